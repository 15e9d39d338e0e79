/* SPDX-License-Identifier: MIT */
/*
 * `belfry bench`: measurements, each beside a yardstick of the same run.
 */
#ifndef TOOLS_BENCH_H
#define TOOLS_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stack/gda.h"
#include "stack/gda_dev.h"

/* One line of the table. */
struct bench_row {
	const char *name;
	const char *unit;
	double value;
	const char *yardstick;	/* NULL: the target is absolute */
	double yardstick_value; /* in the same unit */
	double target;		/* 0: none */
	bool at_most;		/* the target is an upper bound */
	bool ratio;		/* value / yardstick is compared */
	const char *note;	/* what else was measured, or why nothing */
};

/* How much work: 1 is the full run. */
struct bench {
	double scale;
	bool failed;
	struct bench_row rows[32];
	unsigned count;
};

/* Add a row. Value and yardstick 0: it could not be measured. */
void bench_add(struct bench *bench, const struct bench_row *row);

uint64_t bench_now_ns(void);
void bench_pin(int cpu); /* this thread, and those it starts */

/* A PE of its own, connected to itself over the loop wire. */
struct gda *bench_self(struct gda_config *config);

/* Copies of a buffer: how often, how large. */
struct bench_copy {
	uint8_t *to;
	const uint8_t *from;
	size_t bytes;
	unsigned count;
};

/* GB/s of memcpy, and of non-blocking puts to pe (to is symmetric). */
double bench_memcpy(const struct bench_copy *copy);
double bench_put(const struct gda_dev *dev, int pe,
		 const struct bench_copy *copy);

void bench_latency(struct bench *bench);  /* row 1 */
void bench_rate(struct bench *bench);	  /* row 2 */
void bench_loop(struct bench *bench);	  /* row 3 */
void bench_shm(struct bench *bench);	  /* row 4 */
void bench_perftest(struct bench *bench); /* rows 4 and 5, with verbs */
void bench_idle(struct bench *bench);	  /* rows 6 and 7 */

#endif
