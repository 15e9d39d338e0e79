/* SPDX-License-Identifier: MIT */
/*
 * `belfry devices`: the NICs of a fabric, whose they are, and how they are.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emu/wire.h"
#include "emu/wire_shm_fabric.h"
#include "tools/belfry.h"
#include "tools/options.h"

struct listing {
	bool json;
	unsigned count;
};

static int devices_help(FILE *out)
{
	fprintf(out, "usage: belfry devices [--fabric DIR] [--json]\n\n"
		     "List the emulated NICs that are attached to a fabric "
		     "now.\n\n"
		     "  --fabric DIR  which one [the user's own]\n"
		     "  --json        as JSON\n");
	return out == stderr ? EXIT_OWN_FAILURE : 0;
}

uint64_t belfry_guid(const uint8_t gid[16])
{
	uint64_t guid = 0;

	for (unsigned i = 8; i < 16; i++)
		guid = guid << 8 | gid[i];
	return guid;
}

void belfry_gid_text(const uint8_t gid[16], char text[BELFRY_GID_BYTES])
{
	for (unsigned i = 0; i < 16; i++)
		snprintf(text + i / 2 * 5 + i % 2 * 2, 4,
			 i % 2 && i < 15 ? "%02x:" : "%02x", gid[i]);
}

/* The name of a process; "?" if it has ended meanwhile. */
static void program_of(int pid, char name[32])
{
	char path[32];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, name, 31);
		close(fd);
	}
	snprintf(name + (n > 0 ? n : 0), n > 0 ? 1 : 2, "%s", n > 0 ? "" : "?");
	name[strcspn(name, "\n")] = '\0';
}

static void print_json_string(const char *text)
{
	putchar('"');
	for (; *text; text++)
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if ((unsigned char)*text < ' ')
			printf("\\u%04x", *text);
		else
			putchar(*text);
	putchar('"');
}

static void seen(void *arg, const struct wire_shm_entry *entry)
{
	struct listing *listing = arg;
	const char *link = entry->link == NIC_LINK_ROCE ? "roce" : "ib";
	const char *port = entry->active ? "up" : "down";
	char program[32], text[BELFRY_GID_BYTES];
	uint64_t guid = belfry_guid(entry->gid);

	program_of(entry->pid, program);
	belfry_gid_text(entry->gid, text);
	if (listing->json) {
		printf("%s\n  {\"guid\": \"%016" PRIx64 "\", \"gid\": \"%s\", "
		       "\"lid\": %u, \"link\": \"%s\", \"port\": \"%s\", "
		       "\"pid\": %d, \"program\": ",
		       listing->count ? "," : "", guid, text, entry->lid, link,
		       port, entry->pid);
		print_json_string(program);
		printf(", \"qps\": %u}", entry->qps);
	} else {
		if (!listing->count)
			printf("%-16s  %-39s  %5s  %-4s  %-4s  %5s  %8s  %s\n",
			       "guid", "gid", "lid", "link", "port", "QPs",
			       "pid", "program");
		printf("%016" PRIx64 "  %s  %5u  %-4s  %-4s  %5u  %8d  %s\n",
		       guid, text, entry->lid, link, port, entry->qps,
		       entry->pid, program);
	}
	listing->count++;
}

static int list(const char *fabric, bool json)
{
	const struct run_options options = {.command = "devices"};
	struct listing listing = {.json = json};
	char text[PATH_MAX + 256] = "";
	struct shm_error error = {text, sizeof(text)};
	struct shm_fabric probe;
	int status = shm_fabric_open(&probe, fabric, false, &error);

	/* No fabric is one without NICs, unless it was asked for by name. */
	if (status && (status != -ENOENT || fabric)) {
		run_say(&options, "%s", text);
		return EXIT_OWN_FAILURE;
	}
	if (!status)
		shm_fabric_close(&probe);
	if (json)
		printf("[");
	if (!status)
		wire_shm_list(fabric, seen, &listing);
	if (json)
		printf("%s]\n", listing.count ? "\n" : "");
	else if (!listing.count)
		printf("no NICs\n");
	return 0;
}

int belfry_devices(int argc, char **argv)
{
	const struct run_options options = {.command = "devices"};
	const char *fabric = NULL;
	bool json = false;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return devices_help(stdout);
		if (!strcmp(argv[i], "--json")) {
			json = true;
		} else if (!strncmp(argv[i], "--fabric=", 9)) {
			fabric = argv[i] + 9;
		} else if (!strcmp(argv[i], "--fabric") && i + 1 < argc) {
			fabric = argv[++i];
		} else {
			run_say(&options,
				"'%s': not an option, or without "
				"its value",
				argv[i]);
			return devices_help(stderr);
		}
	}
	return list(fabric, json);
}
