/* SPDX-License-Identifier: MIT */
/*
 * Run a fuzz target without a fuzzer: over its corpus, then over seeded
 * random inputs (bytes of any kind, and corpus files with a few changed).
 *
 *   fuzz_NAME_regress CORPUS-DIRECTORY COUNT [FIRST-SEED]
 */
#include <dirent.h>

#include "fuzz.h"

enum { FILES_MAX = 1024, BYTES_MAX = 4096 };

struct file {
	uint8_t *bytes;
	size_t len;
};

static struct file files[FILES_MAX];
static unsigned file_count;

static void load(const char *directory, const char *name)
{
	struct file *file = &files[file_count];
	char path[4096];
	FILE *stream;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	stream = fopen(path, "rb");
	REQUIRE(stream);
	file->bytes = malloc(BYTES_MAX);
	REQUIRE(file->bytes);
	file->len = fread(file->bytes, 1, BYTES_MAX, stream);
	fclose(stream);
	file_count++;
}

static void load_all(const char *directory)
{
	struct dirent **names;
	int i, count = scandir(directory, &names, NULL, alphasort);

	if (count < 0)
		perror(directory);
	REQUIRE(count >= 0);
	for (i = 0; i < count; i++) {
		if (names[i]->d_name[0] != '.' && file_count < FILES_MAX)
			load(directory, names[i]->d_name);
		free(names[i]);
	}
	free(names);
}

/* A file with some bytes changed, cut, or followed by another file. */
static size_t mutate(struct t_rng *rng, uint8_t *bytes)
{
	const struct file *file = &files[t_below(rng, file_count)], *other;
	size_t len = file->len, more;
	uint32_t changes = 1 + t_below(rng, 8), value;

	memcpy(bytes, file->bytes, len);
	if (t_chance(rng, 300)) {
		other = &files[t_below(rng, file_count)];
		more = other->len < BYTES_MAX - len ? other->len
						    : BYTES_MAX - len;
		memcpy(bytes + len, other->bytes, more);
		len += more;
	}
	if (t_chance(rng, 200))
		len = t_below(rng, (uint32_t)len + 1);
	for (; len && changes; changes--) {
		value = (uint32_t)t_random(rng);
		if (t_chance(rng, 500))
			value = 1u << t_below(rng, 8);
		bytes[t_below(rng, (uint32_t)len)] = value & 0xff;
	}
	return len;
}

static void run_seed(uint64_t seed)
{
	struct t_rng rng = {seed};
	uint8_t bytes[BYTES_MAX];
	size_t len;

	if (file_count && t_chance(&rng, 700)) {
		len = mutate(&rng, bytes);
	} else {
		len = t_below(&rng, 1024);
		t_random_bytes(&rng, bytes, len);
	}
	LLVMFuzzerTestOneInput(bytes, len);
}

int main(int argc, char **argv)
{
	unsigned long i, count, first;

	if (argc < 3) {
		fprintf(stderr, "usage: %s CORPUS COUNT [SEED]\n", argv[0]);
		return 2;
	}
	count = strtoul(argv[2], NULL, 0);
	first = argc > 3 ? strtoul(argv[3], NULL, 0) : 1;
	load_all(argv[1]);
	printf("%u files of %s, then seeds %lu to %lu\n", file_count, argv[1],
	       first, first + count - 1);
	fflush(stdout);
	for (i = 0; i < file_count; i++)
		LLVMFuzzerTestOneInput(files[i].bytes, files[i].len);
	for (i = 0; i < count; i++)
		run_seed(first + i);
	for (i = 0; i < file_count; i++)
		free(files[i].bytes);
	return 0;
}
