/* SPDX-License-Identifier: MIT */
/*
 * Kernels in tests: PEs of this process whose NICs move when a kernel pauses,
 * and one SIMT runner under a seed for all of them.
 *
 * T_SEED=n runs one seed, that a failure has printed.
 */
#ifndef T_GPU_H
#define T_GPU_H

#include "kernels/gpu_host.h"
#include "support/t_pes.h"

enum { T_GPU_PES_MAX = 8 };

struct t_gpu {
	struct gpu *gpu;
	struct t_pe pes[T_GPU_PES_MAX];
	int npes;
	uint64_t seed;
};

/* Each PE gets heap bytes of zeroed memory at pes[i].arg. Returns failures. */
int t_gpu_start(struct t_gpu *t, const struct gda_config *config, int npes,
		size_t bytes);
int t_gpu_stop(struct t_gpu *t);

/*
 * Launch on every PE, each with its args (args_bytes apart) and on a stream
 * of its own, and wait. Returns 0, or 1 and has printed why.
 */
int t_gpu_run(struct t_gpu *t, const struct gpu_kernel *kernel,
	      const struct gpu_shape *shape, const void *args);

/* For a loop over seeds: the first, and how many; one if T_SEED is set. */
uint64_t t_gpu_first_seed(void);
uint64_t t_gpu_seeds(uint64_t count);

#endif
