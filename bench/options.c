/* SPDX-License-Identifier: MIT */
/*
 * Options of benchmarks: see options.h.
 *
 * Thread: the main one.
 */
#include "bench/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum { OPTIONS_MAX = 24 };

static int take(const struct option_number *option, const char *text)
{
	unsigned long long value;
	char *end;

	if (option->min == option->max) {
		*option->value = option->min;
		return 0;
	}
	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-' ||
	    value < option->min || value > option->max) {
		fprintf(stderr,
			"--%s is \"%s\", expected a number from %u to "
			"%u\n",
			option->name, text, option->min, option->max);
		return 2;
	}
	if (option->multiple && value % option->multiple) {
		fprintf(stderr, "--%s is %s, expected a multiple of %u\n",
			option->name, text, option->multiple);
		return 2;
	}
	*option->value = (uint32_t)value;
	return 0;
}

int options_parse(int argc, char **argv, const struct option_number *list)
{
	struct option names[OPTIONS_MAX + 1] = {{NULL, 0, NULL, 0}};
	int i, rc = 0;

	for (i = 0; list[i].name && i < OPTIONS_MAX; i++) {
		names[i].name = list[i].name;
		names[i].has_arg = list[i].min != list[i].max;
		names[i].val = i;
	}
	/* getopt says itself what it does not know. */
	while (!rc && (i = getopt_long(argc, argv, "", names, NULL)) != -1)
		rc = i == '?' ? 2 : take(&list[i], optarg);
	if (!rc && optind < argc) {
		fprintf(stderr, "\"%s\" is no option\n", argv[optind]);
		rc = 2;
	}
	return rc;
}
