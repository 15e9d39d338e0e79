/* SPDX-License-Identifier: MIT */
/*
 * Two programs of perftest that measure one size, and what they printed.
 *
 * Source of truth: the output of perftest 4.5 to 24.01, as it is printed
 * without --report_gbits and --output.
 */
#ifndef TOOLS_PERFTEST_H
#define TOOLS_PERFTEST_H

#include <stdbool.h>
#include <stddef.h>

enum { PERFTEST_SAID = 240 };

struct perftest {
	const char *tool;   /* ib_write_lat, ib_write_bw */
	const char *detect; /* of `belfry run`, as is the fabric */
	const char *fabric;
	int port; /* a free one, for their rendezvous */
	size_t bytes;
	unsigned count; /* iterations */
	double limit_s; /* then they are killed */
	/*
	 * In a child: `belfry run` with these arguments. Returns an exit
	 * status if it cannot.
	 */
	int (*start)(const struct perftest *test, bool client, int argc,
		     char **argv);
};

enum perftest_end {
	PERFTEST_MEASURED,
	PERFTEST_NOT_HERE, /* this machine lacks what it needs */
	PERFTEST_FAILED,
};

/* What the client measured. */
struct perftest_figures {
	/* latency in us: t_typical, t_avg; bandwidth: MiB/s, 10^6 messages/s */
	double value, other;
};

/*
 * Run server and client to their end. In said: why there are no figures.
 * Afterwards no child is left.
 */
enum perftest_end perftest_run(const struct perftest *test,
			       struct perftest_figures *figures,
			       char said[PERFTEST_SAID]);

/*
 * Read the figures for a size out of what the client of a tool printed.
 * Returns false if they are not there.
 */
bool perftest_read(const char *output, const char *tool, size_t bytes,
		   struct perftest_figures *figures);

#endif
