/* SPDX-License-Identifier: MIT */
/*
 * Options of `belfry run` and `belfry env`, and the environment that they
 * stand for.
 */
#ifndef TOOLS_OPTIONS_H
#define TOOLS_OPTIONS_H

#include <limits.h>
#include <stdbool.h>

/* As env(1) and timeout(1) exit. */
enum {
	EXIT_OWN_FAILURE = 125,
	EXIT_CANNOT_RUN = 126,
	EXIT_NOT_FOUND = 127,
};

/* The variables of an emulated machine; NULL: leave it as it is. */
struct run_options {
	const char *command; /* "run" or "env" */
	const char *nics, *persona, *link, *detect, *dc, *log;
	char fabric[PATH_MAX];
	char trace[PATH_MAX];
	char preload[2 * PATH_MAX]; /* LD_PRELOAD */
	int first;		    /* index of the first argument */
	bool help;
};

/*
 * Read the options up to "--" or the first argument; look for the library;
 * check the fabric. Returns false after telling what is wrong.
 */
bool run_options_read(struct run_options *options, int argc, char **argv);
bool run_options_find(struct run_options *options);

/* What both commands say of their options. */
extern const char run_options_help[];

/*
 * Call set for each variable. Returns false as soon as set does.
 */
bool run_options_each(const struct run_options *options,
		      bool (*set)(const char *name, const char *value));

/* "belfry run: ..." on standard error. */
void run_say(const struct run_options *options, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Find a program as execvp() would, in path; and see whether a library can be
 * loaded into it. Returns 0, or an exit status after telling what is wrong.
 */
int program_find(const struct run_options *options, const char *name,
		 char path[PATH_MAX]);
int program_check(const struct run_options *options, const char *path);

#endif
