/* SPDX-License-Identifier: MIT */
/*
 * Options of benchmarks: numbers within bounds, and flags.
 */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdint.h>

struct option_number {
	const char *name;  /* without the dashes; NULL ends the list */
	uint32_t *value;   /* the default, until it is given */
	uint32_t min, max; /* equal: a flag, which stands for that value */
	uint32_t multiple; /* the value is one of it; 0: any */
};

/* Returns 0, or 2 after a message on stderr that names option and value. */
int options_parse(int argc, char **argv, const struct option_number *list);

#endif
