/* SPDX-License-Identifier: MIT */
/*
 * `belfry run`: a program on a machine with ConnectX NICs. And `belfry env`:
 * the environment of such a program, for launchers.
 *
 * The program takes this process's place, so its exit status, its signals and
 * its pid are its own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/belfry.h"
#include "tools/options.h"

static int run_help(void)
{
	printf("usage: belfry run [OPTIONS] [--] PROGRAM [ARGUMENTS]\n\n"
	       "Run a program that uses libibverbs, on emulated NICs.\n\n%s\n"
	       "Exit status: the program's; 125 if belfry fails, 126 if the "
	       "program cannot\n"
	       "be run so, 127 if it is not found.\n",
	       run_options_help);
	return 0;
}

static bool set_variable(const char *name, const char *value)
{
	return !setenv(name, value, 1);
}

int belfry_run(int argc, char **argv)
{
	static struct run_options options = {.command = "run"};
	char path[PATH_MAX];
	int status;

	if (!run_options_read(&options, argc, argv))
		return EXIT_OWN_FAILURE;
	if (options.help)
		return run_help();
	if (options.first == argc) {
		run_say(&options, "which program? See 'belfry run --help'");
		return EXIT_OWN_FAILURE;
	}
	status = program_find(&options, argv[options.first], path);
	if (!status)
		status = program_check(&options, path);
	if (status)
		return status;
	if (!run_options_find(&options))
		return EXIT_OWN_FAILURE;
	if (!run_options_each(&options, set_variable)) {
		run_say(&options, "%s", strerror(errno));
		return EXIT_OWN_FAILURE;
	}
	/* By its path; a script without "#!" is the shell's, as always. */
	execvp(path, argv + options.first);
	status = errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
	run_say(&options, "'%s': %s", path, strerror(errno));
	return status;
}

/* ------------------------------------------------------------------- env */

static int env_help(void)
{
	printf("usage: eval \"$(belfry env [OPTIONS])\"\n\n"
	       "Print shell commands that set the environment of a program on "
	       "emulated NICs,\n"
	       "for launchers that start it themselves.\n\n%s",
	       run_options_help);
	return 0;
}

/* In single quotes everything is itself but the single quote. */
static bool print_variable(const char *name, const char *value)
{
	printf("export %s='", name);
	for (; *value; value++)
		if (*value == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*value);
	puts("'");
	return true;
}

int belfry_env(int argc, char **argv)
{
	static struct run_options options = {.command = "env"};

	if (!run_options_read(&options, argc, argv))
		return EXIT_OWN_FAILURE;
	if (options.help)
		return env_help();
	if (options.first != argc) {
		run_say(&options, "'%s': it takes only options",
			argv[options.first]);
		return EXIT_OWN_FAILURE;
	}
	if (!run_options_find(&options))
		return EXIT_OWN_FAILURE;
	run_options_each(&options, print_variable);
	return fflush(stdout) || ferror(stdout) ? EXIT_OWN_FAILURE : 0;
}
