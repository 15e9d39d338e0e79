/* SPDX-License-Identifier: MIT */
/*
 * Options of `belfry run` and `belfry env`.
 */
#include "tools/options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emu/uverbs/uverbs.h"
#include "emu/wire_shm_fabric.h"

const char run_options_help[] =
	"  --nics N          emulated ConnectX NICs of each process, 1 to 16 "
	"[1]\n"
	"  --persona WHICH   cx5, cx6, cx7 or cx8 [cx7]\n"
	"  --link TYPE       ib or roce [ib]\n"
	"  --detect HOW      how doorbells are seen: trap, poll or auto "
	"[auto]\n"
	"  --dc HOW          none: DC queue pairs are refused; idle: they can "
	"be made,\n"
	"                    and carry nothing [none]\n"
	"  --fabric DIR      directory through which NICs reach each other, "
	"made if\n"
	"                    it is not there [one for each user]\n"
	"  --trace FILE      append a line for each step in the life of a "
	"request\n"
	"  -v, --verbose     tell everything that is dropped or refused\n"
	"  -q, --quiet       tell nothing\n";

void run_say(const struct run_options *options, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "belfry %s: ", options->command);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

/* ---------------------------------------------------------------- values */

static bool one_of(const struct run_options *options, const char *name,
		   const char *value, const char *words)
{
	char list[64];
	char *word, *rest;

	snprintf(list, sizeof(list), "%s", words);
	for (word = strtok_r(list, " ", &rest); word;
	     word = strtok_r(NULL, " ", &rest))
		if (!strcmp(word, value))
			return true;
	run_say(options, "%s %s: it is one of: %s", name, value, words);
	return false;
}

static bool set_nics(struct run_options *options, const char *value)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(value, &end, 10);
	if (*value < '0' || *value > '9' || *end || number < 1 ||
	    number > UV_NICS_MAX) {
		run_say(options, "--nics %s: it is a number from 1 to %d",
			value, UV_NICS_MAX);
		return false;
	}
	options->nics = value;
	return true;
}

static bool set_persona(struct run_options *options, const char *value)
{
	options->persona = value;
	return one_of(options, "--persona", value, "cx5 cx6 cx7 cx8");
}

static bool set_link(struct run_options *options, const char *value)
{
	options->link = value;
	return one_of(options, "--link", value, "ib roce");
}

static bool set_detect(struct run_options *options, const char *value)
{
	options->detect = value;
	return one_of(options, "--detect", value, "trap poll auto");
}

static bool set_dc(struct run_options *options, const char *value)
{
	options->dc = value;
	return one_of(options, "--dc", value, "none idle");
}

/* The program may change its directory. */
static bool set_absolute(struct run_options *options, const char *value,
			 char out[PATH_MAX])
{
	char here[PATH_MAX];
	int length;

	if (*value == '/')
		length = snprintf(out, PATH_MAX, "%s", value);
	else if (!getcwd(here, sizeof(here)))
		length = -1;
	else
		length = snprintf(out, PATH_MAX, "%s/%s", here, value);
	if (*value && length >= 0 && length < PATH_MAX)
		return true;
	run_say(options, "%s: not a usable name", *value ? value : "''");
	return false;
}

static bool set_fabric(struct run_options *options, const char *value)
{
	return set_absolute(options, value, options->fabric);
}

static bool set_trace(struct run_options *options, const char *value)
{
	int fd;

	if (!set_absolute(options, value, options->trace))
		return false;
	fd = open(options->trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
		  0666);
	if (fd < 0)
		run_say(options, "--trace %s: %s", value, strerror(errno));
	else
		close(fd);
	return fd >= 0;
}

static bool set_verbose(struct run_options *options, const char *value)
{
	(void)value;
	options->log = "info";
	return true;
}

static bool set_quiet(struct run_options *options, const char *value)
{
	(void)value;
	options->log = "quiet";
	return true;
}

static bool set_help(struct run_options *options, const char *value)
{
	(void)value;
	options->help = true;
	return true;
}

/* --------------------------------------------------------------- options */

static const struct option {
	const char *name;
	bool takes_value;
	bool (*set)(struct run_options *options, const char *value);
} table[] = {
	{"--nics", true, set_nics},   {"--persona", true, set_persona},
	{"--link", true, set_link},   {"--detect", true, set_detect},
	{"--dc", true, set_dc},	      {"--fabric", true, set_fabric},
	{"--trace", true, set_trace}, {"--verbose", false, set_verbose},
	{"-v", false, set_verbose},   {"--quiet", false, set_quiet},
	{"-q", false, set_quiet},     {"--help", false, set_help},
	{"-h", false, set_help},
};

/* The option, and the value behind a "=" in *value. */
static const struct option *find(const char *argument, const char **value)
{
	size_t len = strcspn(argument, "=");

	*value = argument[len] ? argument + len + 1 : NULL;
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strlen(table[i].name) == len &&
		    !strncmp(argument, table[i].name, len))
			return &table[i];
	return NULL;
}

bool run_options_read(struct run_options *options, int argc, char **argv)
{
	const struct option *option;
	const char *value;
	int i;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--")) {
			i++;
			break;
		}
		option = find(argv[i], &value);
		if (!option || (value && !option->takes_value)) {
			run_say(options, "'%s' is not an option", argv[i]);
			return false;
		}
		if (option->takes_value && !value && i + 1 == argc) {
			run_say(options, "%s takes a value", option->name);
			return false;
		}
		if (option->takes_value && !value)
			value = argv[++i];
		if (!option->set(options, value))
			return false;
	}
	options->first = i;
	return true;
}

/* ------------------------------------------------- library and fabric --- */

/* Where it is in a build tree, and where "cmake --install" puts it. */
static bool find_library(char path[PATH_MAX])
{
	static const char *const places[] = {"../lib", "../lib/belfry", "."};
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (len < 0)
		return false;
	self[len] = '\0';
	*strrchr(self, '/') = '\0';
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char name[PATH_MAX + 64];

		snprintf(name, sizeof(name), "%s/%s/libbelfry-uverbs.so", self,
			 places[i]);
		if (realpath(name, path))
			return true;
	}
	return false;
}

/* Is the library in the list already? A belfry in a belfry. */
static bool listed(const char *list, const char *library)
{
	size_t len = strlen(library);
	const char *at = list;

	while ((at = strstr(at, library))) {
		if ((at == list || strchr(": ", at[-1])) &&
		    (!at[len] || strchr(": ", at[len])))
			return true;
		at += len;
	}
	return false;
}

/* Returns false if it does not fit. */
static bool add(char list[2 * PATH_MAX], const char *library)
{
	size_t len = strlen(list);
	int more;

	if (!*library || listed(list, library))
		return true;
	more = snprintf(list + len, 2 * PATH_MAX - len, "%s%s", len ? ":" : "",
			library);
	return more >= 0 && (size_t)more < 2 * PATH_MAX - len;
}

/*
 * The program's own list stays in front of us. Only a sanitizer that we were
 * built with must be the very first.
 */
static bool make_preload(struct run_options *options)
{
	const char *before = getenv("LD_PRELOAD");
	char library[PATH_MAX];

	if (!find_library(library)) {
		run_say(options, "libbelfry-uverbs.so is not beside this "
				 "program, nor in ../lib or ../lib/belfry");
		return false;
	}
	if (strpbrk(library, ": ")) {
		run_say(options,
			"LD_PRELOAD cannot name a path with a space or colon: "
			"%s",
			library);
		return false;
	}
	if (add(options->preload, BELFRY_PRELOAD_FIRST) &&
	    add(options->preload, before ? before : "") &&
	    add(options->preload, library))
		return true;
	run_say(options, "LD_PRELOAD is too long");
	return false;
}

/* Made here if it is not there: the error is told once, and not by each of a
 * hundred processes. */
static bool check_fabric(struct run_options *options)
{
	char text[PATH_MAX + 256] = "";
	struct shm_error error = {text, sizeof(text)};
	const char *name = *options->fabric ? options->fabric : NULL;
	struct shm_fabric fabric;
	bool good;

	if (shm_fabric_open(&fabric, name, true, &error)) {
		run_say(options, "%s", text);
		return false;
	}
	shm_fabric_close(&fabric);
	good = realpath(fabric.path, options->fabric) != NULL;
	if (!good)
		run_say(options, "%s: %s", fabric.path, strerror(errno));
	return good;
}

bool run_options_find(struct run_options *options)
{
	return make_preload(options) && check_fabric(options);
}

bool run_options_each(const struct run_options *options,
		      bool (*set)(const char *name, const char *value))
{
	const struct {
		const char *name, *value;
	} variables[] = {
		{"BELFRY_NICS", options->nics},
		{"BELFRY_PERSONA", options->persona},
		{"BELFRY_LINK", options->link},
		{"BELFRY_DETECT", options->detect},
		{"BELFRY_DC", options->dc},
		{"BELFRY_LOG", options->log},
		{"BELFRY_FABRIC", options->fabric},
		{"BELFRY_TRACE", *options->trace ? options->trace : NULL},
		{"LD_PRELOAD", options->preload},
	};

	for (unsigned i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		if (variables[i].value &&
		    !set(variables[i].name, variables[i].value))
			return false;
	return true;
}
