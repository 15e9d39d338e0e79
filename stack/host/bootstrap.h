/* SPDX-License-Identifier: MIT */
/*
 * How PEs meet before they are connected, and wait for each other on the host
 * side: a table with two implementations, TCP for processes (bootstrap.c) and
 * a shared object for threads of one process (local.c).
 *
 * Errors: a call that fails has failed for all PEs, or will at their next
 * call; every call after the first failure fails at once with the same code.
 * Thread: one call of a PE at a time.
 */
#ifndef GDA_HOST_BOOTSTRAP_H
#define GDA_HOST_BOOTSTRAP_H

#include <stddef.h>
#include <stdint.h>

struct gda_bootstrap;
struct gda_config;

/* Called while a PE waits, so that its device can serve the others. */
struct gda_idle {
	void (*fn)(void *arg);
	void *arg;
};

struct gda_bootstrap_ops {
	/*
	 * Requires: the same len on all PEs.
	 * Guarantees: all[pe * len] is what each PE passed in mine.
	 * -ETIMEDOUT, -ECONNRESET: see gda_barrier.
	 */
	int (*allgather)(struct gda_bootstrap *bootstrap, const void *mine,
			 void *all, size_t len);
	/* This PE will take no part any more: the others fail at once. */
	void (*close)(struct gda_bootstrap *bootstrap);
};

struct gda_bootstrap {
	const struct gda_bootstrap_ops *ops;
	const struct gda_config *config; /* of the gda; for npes, pe, log */
	struct gda_idle idle;		 /* fn NULL: nothing to do */
};

/* Returns as gda_init. config is borrowed. */
int gda_bootstrap_tcp(const struct gda_config *config,
		      struct gda_bootstrap **out);
int gda_bootstrap_local(const struct gda_config *config,
			struct gda_bootstrap **out);
/* npes 1: nobody to wait for. */
int gda_bootstrap_alone(const struct gda_config *config,
			struct gda_bootstrap **out);

#endif
