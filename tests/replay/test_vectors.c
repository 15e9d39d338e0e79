/* SPDX-License-Identifier: MIT */
/*
 * Replay vectors: command mailboxes, WQEs and doorbells as a producer sends
 * them, and the answers, CQEs and memory that must come of it, in hex.
 *
 * tests/replay/vectors/README.md describes the language. Every vector is also
 * replayed once for each of its expected lines with one bit of that line
 * changed: each must fail.
 *
 * "test_vectors FILE..." replays files and prints the differences.
 */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/t_nic.h"

#ifndef VECTORS
#error "VECTORS is the directory of the vectors"
#endif

enum {
	LINES_MAX = 512,
	TEXT_MAX = 200,
	BYTES_MAX = 64, /* on one line */
	UMEMS_MAX = 4,
	BOX_MAX = 0x1010,
};

struct vector {
	const char *name;
	char lines[LINES_MAX][TEXT_MAX];
	int count;
};

/* One NIC of a vector: A is LID 1, B is LID 2. */
struct side {
	struct t_node node;
	uint8_t *umem[UMEMS_MAX + 1];
	uint32_t umem_len[UMEMS_MAX + 1];
	uint8_t *uar[UMEMS_MAX + 1];
};

/* A replay. spoil is the line with a changed bit, -1: none. */
struct replay {
	const struct vector *vector;
	int line, spoil;
	bool print, failed;
	struct wire_loop_fabric *fabric;
	struct side side[2];
	unsigned sides;
	/* the command that is being put together */
	struct side *commander;
	size_t in_len, out_len;
	uint8_t in[BOX_MAX], out[BOX_MAX], mask[BOX_MAX];
	bool out_spoilt;
};

static void failed(struct replay *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void failed(struct replay *r, const char *fmt, ...)
{
	va_list args;

	r->failed = true;
	if (!r->print)
		return;
	fprintf(stderr, "%s:%d: ", r->vector->name, r->line + 1);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\n");
}

/* --------------------------------------------------------------- parsing */

/* Bytes of a line behind its colon; ".." is a byte of any value. */
struct hex {
	uint8_t bytes[BYTES_MAX], mask[BYTES_MAX];
	unsigned count;
};

static bool parse_hex(const char *text, struct hex *hex)
{
	unsigned value;

	memset(hex, 0, sizeof(*hex));
	text = strchr(text, ':');
	for (text = text ? text + 1 : ""; *text && *text != '#'; text++) {
		if (isspace((unsigned char)*text))
			continue;
		if (hex->count == BYTES_MAX)
			return false;
		if (!strncmp(text, "..", 2)) {
			hex->count++;
		} else if (isxdigit((unsigned char)text[0]) &&
			   isxdigit((unsigned char)text[1]) &&
			   sscanf(text, "%2x", &value) == 1) {
			hex->mask[hex->count] = 0xff;
			hex->bytes[hex->count++] = (uint8_t)value;
		} else {
			return false;
		}
		text++;
	}
	return hex->count > 0;
}

/* Change one bit of what is expected. */
static void spoil(struct hex *hex)
{
	unsigned i;

	for (i = 0; i < hex->count; i++)
		if (hex->mask[i]) {
			hex->bytes[i] ^= 0x10;
			return;
		}
}

static bool take_hex(struct replay *r, struct hex *hex)
{
	if (parse_hex(r->vector->lines[r->line], hex))
		return true;
	failed(r, "no hex bytes, or not 1 to %d of them", BYTES_MAX);
	return false;
}

static struct side *side_of(struct replay *r, char letter)
{
	unsigned i = (unsigned)(letter - 'A');

	if (i < r->sides)
		return &r->side[i];
	failed(r, "there is no NIC %c", letter);
	return NULL;
}

/* ------------------------------------------------------------ the memory */

static uint8_t *memory(struct replay *r, const char *verb, unsigned len)
{
	unsigned id, offset;
	struct side *side;
	char letter;

	if (sscanf(r->vector->lines[r->line] + strlen(verb), " %c %u %i",
		   &letter, &id, (int *)&offset) != 3) {
		failed(r, "expected: %s NIC UMEM OFFSET: bytes", verb);
		return NULL;
	}
	side = side_of(r, letter);
	if (!side)
		return NULL;
	if (id > UMEMS_MAX || !side->umem[id] ||
	    offset + len > side->umem_len[id]) {
		failed(r, "not in a umem");
		return NULL;
	}
	return side->umem[id] + offset;
}

static void do_poke(struct replay *r)
{
	struct hex hex;
	uint8_t *at;

	if (!take_hex(r, &hex))
		return;
	at = memory(r, "poke", hex.count);
	if (at)
		memcpy(at, hex.bytes, hex.count);
}

static void compare(struct replay *r, const char *what, const uint8_t *got,
		    const struct hex *want)
{
	unsigned i;

	for (i = 0; i < want->count; i++)
		if ((got[i] ^ want->bytes[i]) & want->mask[i])
			failed(r, "%s byte %u is %02x, expected %02x", what, i,
			       got[i], want->bytes[i]);
}

static void do_peek(struct replay *r)
{
	struct hex hex;
	uint8_t *at;

	if (!take_hex(r, &hex))
		return;
	if (r->line == r->spoil)
		spoil(&hex);
	at = memory(r, "peek", hex.count);
	if (at)
		compare(r, "memory", at, &hex);
}

static void do_bell(struct replay *r)
{
	unsigned index, offset;
	struct side *side;
	struct hex hex;
	uint64_t word;
	char letter;

	if (!take_hex(r, &hex))
		return;
	if (sscanf(r->vector->lines[r->line], "bell %c %u %i", &letter, &index,
		   (int *)&offset) != 3 ||
	    hex.count != 8 || offset % 8 || offset >= HW_UAR_BYTES) {
		failed(r, "expected: bell NIC UAR OFFSET: 8 bytes");
		return;
	}
	side = side_of(r, letter);
	if (!side)
		return;
	if (index > UMEMS_MAX || !side->uar[index]) {
		failed(r, "no such UAR page");
		return;
	}
	memcpy(&word, hex.bytes, sizeof(word));
	__atomic_store_n((uint64_t *)(side->uar[index] + offset), word,
			 __ATOMIC_RELEASE);
}

/* -------------------------------------------------------------- objects */

static void do_nic(struct replay *r)
{
	if (r->sides == 2) {
		failed(r, "two NICs at most");
		return;
	}
	t_node_open(&r->side[r->sides++].node, NULL, r->fabric);
}

static void do_umem(struct replay *r)
{
	struct nic_mem mem = {0};
	unsigned id, len;
	struct side *side;
	uint32_t got;
	char letter;

	if (sscanf(r->vector->lines[r->line], "umem %c %u %i", &letter, &id,
		   (int *)&len) != 3 ||
	    !id || id > UMEMS_MAX || !len || len > 1 << 20) {
		failed(r, "expected: umem NIC ID LENGTH");
		return;
	}
	side = side_of(r, letter);
	if (!side)
		return;
	side->umem[id] = t_alloc(len);
	side->umem_len[id] = len;
	mem.addr = side->umem[id];
	mem.len = len;
	if (nic_umem_register(side->node.nic, &mem, &got) || got != id)
		failed(r, "the umem did not get this id");
}

static void do_uar(struct replay *r)
{
	unsigned index;
	struct side *side;
	uint32_t got;
	char letter, kind;

	if (sscanf(r->vector->lines[r->line], "uar %c %u %c", &letter, &index,
		   &kind) != 3 ||
	    !index || index > UMEMS_MAX) {
		failed(r, "expected: uar NIC INDEX bf|nc");
		return;
	}
	side = side_of(r, letter);
	if (!side)
		return;
	side->uar[index] = t_alloc(HW_UAR_BYTES);
	if (nic_uar_alloc(side->node.nic, side->uar[index],
			  kind == 'b' ? NIC_UAR_BF : NIC_UAR_NC, &got) ||
	    got != index)
		failed(r, "the UAR page did not get this index");
}

static void do_run(struct replay *r)
{
	struct t_node nodes[2];
	unsigned long long ns = 0;
	unsigned i;

	if (!r->sides) {
		failed(r, "there is no NIC yet");
		return;
	}
	sscanf(r->vector->lines[r->line], "run %llu", &ns);
	for (i = 0; i < r->sides; i++)
		nodes[i] = r->side[i].node;
	t_run_for(nodes, r->sides, ns);
	for (i = 0; i < r->sides; i++)
		r->side[i].node.now_ns = nodes[i].now_ns;
}

/* ------------------------------------------------------------- commands */

static void do_cmd(struct replay *r)
{
	unsigned in_len, out_len;
	char letter;

	if (sscanf(r->vector->lines[r->line], "cmd %c %i %i", &letter,
		   (int *)&in_len, (int *)&out_len) != 3 ||
	    in_len > BOX_MAX || out_len < HW_CMD_HDR_BYTES ||
	    out_len > BOX_MAX) {
		failed(r, "expected: cmd NIC INPUT-LENGTH OUTPUT-LENGTH");
		return;
	}
	r->commander = side_of(r, letter);
	r->in_len = in_len;
	r->out_len = out_len;
	memset(r->in, 0, sizeof(r->in));
	memset(r->out, 0, sizeof(r->out));
	/* What is not said is zero in an answer too. */
	memset(r->mask, 0xff, sizeof(r->mask));
}

static void do_box(struct replay *r, bool input)
{
	unsigned offset;
	struct hex hex;

	if (!r->commander || !take_hex(r, &hex))
		return;
	if (sscanf(r->vector->lines[r->line] + (input ? 2 : 3), " %i",
		   (int *)&offset) != 1 ||
	    offset + hex.count > (input ? r->in_len : r->out_len)) {
		failed(r, "expected: in|out OFFSET: bytes, in the mailbox");
		return;
	}
	if (input) {
		memcpy(r->in + offset, hex.bytes, hex.count);
		return;
	}
	if (r->line == r->spoil)
		spoil(&hex);
	memcpy(r->out + offset, hex.bytes, hex.count);
	memcpy(r->mask + offset, hex.mask, hex.count);
}

/* The lines of the mailbox have ended: send it. */
static void send_command(struct replay *r)
{
	uint8_t answer[BOX_MAX];
	size_t i;

	if (!r->commander)
		return;
	assert_int_equal(nic_cmd(r->commander->node.nic, r->in, r->in_len,
				 answer, r->out_len),
			 0);
	for (i = 0; i < r->out_len; i++)
		if ((answer[i] ^ r->out[i]) & r->mask[i])
			failed(r,
			       "answer to the command above: byte 0x%zx is "
			       "%02x, expected %02x",
			       i, answer[i], r->out[i]);
	r->commander = NULL;
}

/* ------------------------------------------------------------- the replay */

static void do_line(struct replay *r)
{
	static const struct {
		const char *verb;
		void (*act)(struct replay *r);
	} verbs[] = {
		{"nic ", do_nic},   {"umem ", do_umem}, {"uar ", do_uar},
		{"poke ", do_poke}, {"peek ", do_peek}, {"bell ", do_bell},
		{"run", do_run},    {"cmd ", do_cmd},
	};
	const char *line = r->vector->lines[r->line];
	unsigned i;

	if (!strncmp(line, "in ", 3) || !strncmp(line, "out ", 4)) {
		do_box(r, line[0] == 'i');
		return;
	}
	send_command(r);
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (!strncmp(line, verbs[i].verb, strlen(verbs[i].verb))) {
			verbs[i].act(r);
			return;
		}
	failed(r, "unknown verb");
}

static void close_side(struct side *side)
{
	unsigned i;

	t_node_close(&side->node);
	for (i = 0; i <= UMEMS_MAX; i++) {
		free(side->umem[i]);
		free(side->uar[i]);
	}
}

/* True if everything came as expected. */
static bool replay(const struct vector *vector, int spoil_line, bool print)
{
	struct replay *r = calloc(1, sizeof(*r));
	bool ok;
	unsigned i;

	assert_non_null(r);
	r->vector = vector;
	r->spoil = spoil_line;
	r->print = print;
	r->fabric = wire_loop_create();
	for (; r->line < vector->count && !r->failed; r->line++)
		if (vector->lines[r->line][0])
			do_line(r);
	if (!r->failed)
		send_command(r);
	ok = !r->failed;
	for (i = 0; i < r->sides; i++) {
		if (!ok && print)
			fprintf(stderr, "log of NIC %c:\n%s", 'A' + (int)i,
				r->side[i].node.log);
		close_side(&r->side[i]);
	}
	wire_loop_release(r->fabric);
	free(r);
	return ok;
}

/* Without comments, indentation and trailing blanks. */
static void tidy(char *line)
{
	char *start = line, *end = strchr(line, '#');

	if (!end)
		end = line + strlen(line);
	while (end > line && isspace((unsigned char)end[-1]))
		end--;
	*end = '\0';
	while (isspace((unsigned char)*start))
		start++;
	memmove(line, start, strlen(start) + 1);
}

static struct vector *load(const char *path)
{
	struct vector *vector = calloc(1, sizeof(*vector));
	FILE *stream = fopen(path, "r");

	assert_non_null(vector);
	if (!stream)
		perror(path);
	assert_non_null(stream);
	vector->name = path;
	while (vector->count < LINES_MAX &&
	       fgets(vector->lines[vector->count], TEXT_MAX, stream))
		tidy(vector->lines[vector->count++]);
	assert_true(feof(stream)); /* all of it was read */
	fclose(stream);
	return vector;
}

/* --------------------------------------------------------------- the tests */

static bool is_expectation(const char *line)
{
	struct hex hex;

	if (strncmp(line, "out ", 4) && strncmp(line, "peek ", 5))
		return false;
	return parse_hex(line, &hex) && memchr(hex.mask, 0xff, hex.count);
}

static void check_file(const char *path)
{
	struct vector *vector = load(path);
	int i, expectations = 0;

	printf("%s\n", path);
	if (!replay(vector, -1, true))
		fail_msg("%s does not replay", path);
	for (i = 0; i < vector->count; i++) {
		if (!is_expectation(vector->lines[i]))
			continue;
		expectations++;
		if (replay(vector, i, false))
			fail_msg("%s:%d: a changed bit goes unnoticed", path,
				 i + 1);
	}
	assert_true(expectations > 0);
	free(vector);
}

static int is_vector(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return dot && !strcmp(dot, ".txt");
}

static void test_vectors_replay_and_changed_ones_fail(void **state)
{
	struct dirent **names;
	int i, count = scandir(VECTORS, &names, is_vector, alphasort);
	char path[4096];

	(void)state;
	assert_true(count >= 6);
	for (i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%s", VECTORS,
			 names[i]->d_name);
		check_file(path);
		free(names[i]);
	}
	free(names);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors_replay_and_changed_ones_fail),
	};
	struct vector *vector;
	int i, bad = 0;

	for (i = 1; i < argc; i++) {
		vector = load(argv[i]);
		bad += !replay(vector, -1, true);
		free(vector);
	}
	if (argc > 1)
		return bad != 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
