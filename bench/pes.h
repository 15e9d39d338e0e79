/* SPDX-License-Identifier: MIT */
/*
 * PEs for benchmarks and examples: all of them in this process, on the loop
 * wire of the emulated NIC, and one GPU (or SIMT runner) that runs the kernels
 * of all.
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
	struct gda *gda[PES_MAX];
	void *arena[PES_MAX]; /* zeroed heap, symmetric */
};

/*
 * config as gda_config_load made it, but for what the caller wants; seed for
 * the SIMT runner. Returns 0, or 1 after a message on stderr.
 */
int pes_open(struct pes *pes, int npes, const struct gda_config *config,
	     uint64_t arena_bytes, uint64_t seed);
void pes_close(struct pes *pes);

/*
 * Launch on all PEs of this process: args are those of PE 0, of PE 1 and so
 * on; PE i runs on stream i. pes_run also waits. As above.
 */
int pes_launch(struct pes *pes, const struct gpu_kernel *kernel,
	       const struct gpu_shape *shape, const void *args);
int pes_wait(struct pes *pes, const struct gpu_kernel *kernel);
int pes_run(struct pes *pes, const struct gpu_kernel *kernel,
	    const struct gpu_shape *shape, const void *args);

#endif
