/* SPDX-License-Identifier: MIT */
/*
 * `belfry port`: the link of NICs that other processes have, down and up.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "emu/wire.h"
#include "emu/wire_shm_fabric.h"
#include "tools/belfry.h"
#include "tools/options.h"

enum { PATIENCE_MS = 5000 };

static const struct run_options options = {.command = "port"};

/* Which NICs a word on the command line means. */
struct choice {
	const char *text;
	enum { BY_ALL, BY_PID, BY_LID, BY_GUID, BY_GID } by;
	uint64_t number;
	uint8_t gid[16];
};

/* Copied, because they are commanded one after the other. */
struct found {
	const struct choice *choice;
	struct wire_shm_entry entries[SHM_NICS_MAX];
	unsigned count;
};

static int port_help(FILE *out)
{
	fprintf(out,
		"usage: belfry port [--fabric DIR] NIC down|up\n\n"
		"Take the link of a NIC's port down, or up again, while its "
		"program runs.\n"
		"NIC is, as `belfry devices` shows them, a GUID, a GID, a LID, "
		"pid:PID (all\n"
		"NICs of that process), or all (of the fabric).\n\n"
		"  --fabric DIR  which one [the user's own]\n");
	return out == stderr ? EXIT_OWN_FAILURE : 0;
}

/* All of text is a number in this base. */
static bool is_number(const char *text, int base, uint64_t *number)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	size_t allowed = base == 16 ? sizeof(digits) - 1 : 10;

	if (!*text || strlen(text) > 16)
		return false;
	for (const char *c = text; *c; c++)
		if (!memchr(digits, *c, allowed))
			return false;
	*number = strtoull(text, NULL, base);
	return true;
}

static bool read_choice(const char *text, struct choice *choice)
{
	choice->text = text;
	if (!strcmp(text, "all"))
		choice->by = BY_ALL;
	else if (!strncmp(text, "pid:", 4) &&
		 is_number(text + 4, 10, &choice->number))
		choice->by = BY_PID;
	else if (strlen(text) == 16 && is_number(text, 16, &choice->number))
		choice->by = BY_GUID;
	else if (strlen(text) < 6 && is_number(text, 10, &choice->number))
		choice->by = BY_LID;
	else if (inet_pton(AF_INET6, text, choice->gid) == 1)
		choice->by = BY_GID;
	else
		return false;
	return true;
}

static bool is_meant(const struct choice *choice,
		     const struct wire_shm_entry *entry)
{
	switch (choice->by) {
	case BY_PID:
		return choice->number == (uint64_t)entry->pid;
	case BY_LID:
		return choice->number == entry->lid;
	case BY_GUID:
		return choice->number == belfry_guid(entry->gid);
	case BY_GID:
		return !memcmp(choice->gid, entry->gid, sizeof(entry->gid));
	case BY_ALL:
	default:
		return true;
	}
}

static void seen(void *arg, const struct wire_shm_entry *entry)
{
	struct found *found = arg;

	if (is_meant(found->choice, entry) && found->count < SHM_NICS_MAX)
		found->entries[found->count++] = *entry;
}

/* Returns whether the NIC did it, after telling what is wrong. */
static bool set_one(const char *fabric, const struct wire_shm_entry *entry,
		    bool active)
{
	int status = wire_shm_set_port(fabric, entry, active, PATIENCE_MS);
	uint64_t guid = belfry_guid(entry->gid);

	if (status == -ETIMEDOUT)
		run_say(&options,
			"NIC %016" PRIx64 ": process %d has not moved for %d "
			"s; the port goes %s when it does",
			guid, entry->pid, PATIENCE_MS / 1000,
			active ? "up" : "down");
	else if (status == -EHOSTUNREACH)
		run_say(&options, "NIC %016" PRIx64 " of process %d is gone",
			guid, entry->pid);
	else if (status)
		run_say(&options, "NIC %016" PRIx64 " of process %d: %s", guid,
			entry->pid, strerror(-status));
	return !status;
}

static int set_ports(const char *fabric, const struct choice *choice,
		     bool active)
{
	static struct found found;
	char text[PATH_MAX + 256] = "";
	struct shm_error error = {text, sizeof(text)};
	struct shm_fabric probe;
	bool done = true;

	if (shm_fabric_open(&probe, fabric, false, &error)) {
		run_say(&options, "%s", text);
		return EXIT_OWN_FAILURE;
	}
	found.choice = choice;
	wire_shm_list(fabric, seen, &found);
	if (!found.count)
		run_say(&options, "'%s': no such NIC in fabric %s",
			choice->text, probe.path);
	shm_fabric_close(&probe);
	for (unsigned i = 0; i < found.count; i++)
		done &= set_one(fabric, &found.entries[i], active);
	return found.count && done ? 0 : EXIT_OWN_FAILURE;
}

/* What is wrong with a word, or with their number. */
static int refuse(const char *word, const char *why)
{
	run_say(&options, "'%s': %s", word, why);
	return port_help(stderr);
}

int belfry_port(int argc, char **argv)
{
	const char *fabric = NULL, *words[2];
	struct choice choice;
	int count = 0;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return port_help(stdout);
		if (!strncmp(argv[i], "--fabric=", 9))
			fabric = argv[i] + 9;
		else if (!strcmp(argv[i], "--fabric") && i + 1 < argc)
			fabric = argv[++i];
		else if (argv[i][0] == '-' || count == 2)
			return refuse(argv[i], "not an option, without its "
					       "value, or one word too many");
		else
			words[count++] = argv[i];
	}
	if (count < 2)
		return port_help(stderr);
	if (!read_choice(words[0], &choice))
		return refuse(words[0], "not a GUID (16 hexadecimal digits), "
					"GID, LID, pid:PID or all");
	if (strcmp(words[1], "down") && strcmp(words[1], "up"))
		return refuse(words[1], "expected down or up");
	return set_ports(fabric, &choice, !strcmp(words[1], "up"));
}
