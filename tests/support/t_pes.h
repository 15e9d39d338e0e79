/* SPDX-License-Identifier: MIT */
/*
 * PEs for tests: threads of this process on a loop wire, or forked processes
 * on a shm wire, each running one function.
 *
 * A failed expectation is printed and counted; the function goes on or
 * returns. (cmocka's asserts jump, which only its own thread may do.)
 */
#ifndef T_PES_H
#define T_PES_H

#include <stdio.h>

#include "stack/gda_dev.h"

struct t_pe {
	struct gda *gda;
	const struct gda_dev *dev;
	int pe;
	int npes;
	int init_rc; /* not 0: gda is NULL */
	int failures;
	void *arg;
};

typedef void t_pe_fn(struct t_pe *pe);

#define T_EXPECT(pe_, condition)                                               \
	do {                                                                   \
		if (!(condition)) {                                            \
			printf("%s:%d: PE %d: %s is false (%s)\n", __FILE__,   \
			       __LINE__, (pe_)->pe, #condition,                \
			       gda_last_error());                              \
			(pe_)->failures++;                                     \
		}                                                              \
	} while (0)

/*
 * The backend that tests run on: that of GDA_BACKEND, else "emu". Tests that
 * need options of the emulated NIC (personas, counters, stepping) look here.
 */
const char *t_backend_name(void);
bool t_is_emu(void);

/*
 * Options of the emulated NIC that only make a test harder. Another backend
 * has none: there its device decides, and counters start at 0.
 */
void t_emu_options(struct gda_config *config, const char *persona,
		   uint32_t start_counter);

/* A small heap, short timeouts, no log; from the environment only the
 * backend's name. */
void t_config(struct gda_config *config);

/*
 * Run fn as npes threads; each is initialised before and finalised after.
 * Returns how many expectations failed, failed inits included.
 */
int t_pes_run(const struct gda_config *config, int npes, t_pe_fn *fn,
	      void *arg);

/*
 * Initialise npes PEs that make progress in the pause hook only, each with
 * bytes of zeroed heap at pes[i].arg, for one thread to play them all.
 * Returns failures; t_pes_stop finalises them.
 */
int t_pes_start(const struct gda_config *config, int npes, size_t bytes,
		struct t_pe *pes);
int t_pes_stop(struct t_pe *pes, int npes);

/*
 * Run fn as npes processes that meet over TCP, each in a fabric directory of
 * this call. fn is called even if its gda_init failed. Returns failures; a
 * process that was killed by SIGKILL is none.
 */
int t_pes_fork(const struct gda_config *config, int npes, t_pe_fn *fn,
	       void *arg);

/* "127.0.0.1:port" with a port that is free now. */
void t_free_root(char *buf, size_t size);

#endif
