/* SPDX-License-Identifier: MIT */
/*
 * PEs for benchmarks and examples, and one GPU (or SIMT runner) for those of
 * this process.
 *
 * Alone, a process plays all PEs, on the loop wire of the emulated NIC. If a
 * launcher says that it is one of several (gda_config.npes), it is one PE, and
 * meets the others as gda_init says. Programs fill, launch and check the PEs
 * from first on, count of them, and wait for the others by pes_barrier.
 */
#ifndef BENCH_PES_H
#define BENCH_PES_H

#include "kernels/gpu_host.h"
#include "stack/gda.h"

enum { PES_MAX = 16 };

struct pes {
	int npes;
	int first, count; /* those of this process */
	struct gpu *gpu;
	struct gda_gpu_memory memory; /* of that GPU */
	struct gda_local_group *group;
	/* By PE; of those of this process. */
	struct gda *gda[PES_MAX];
	void *arena[PES_MAX]; /* zeroed heap, symmetric */
};

/* PEs of the job, or, of a process that plays all, what it likes best. */
static inline uint32_t pes_default(const struct gda_config *config,
				   uint32_t alone)
{
	return config->npes > 1 ? (uint32_t)config->npes : alone;
}

/*
 * config as gda_config_load made it, but for what the caller wants; seed for
 * the SIMT runner. Returns 0, or 1 after a message on stderr: also if the job
 * has another number of processes than npes.
 */
int pes_open(struct pes *pes, int npes, const struct gda_config *config,
	     uint64_t arena_bytes, uint64_t seed);
void pes_close(struct pes *pes);

/* The PEs only: the GPU is still there, and what is on it. */
void pes_finalize(struct pes *pes);

/*
 * Launch on all PEs of this process: args are those of PE 0, of PE 1 and so
 * on; PE i runs on stream i. pes_run also waits. As above.
 */
int pes_launch(struct pes *pes, const struct gpu_kernel *kernel,
	       const struct gpu_shape *shape, const void *args);
int pes_wait(struct pes *pes, const struct gpu_kernel *kernel);
int pes_run(struct pes *pes, const struct gpu_kernel *kernel,
	    const struct gpu_shape *shape, const void *args);

/* Wait until the PEs of all processes are here. As above. */
int pes_barrier(struct pes *pes);

#endif
