/* SPDX-License-Identifier: MIT */
/*
 * Kernels in tests: see t_gpu.h.
 */
#include "support/t_gpu.h"

#include <stdlib.h>
#include <string.h>

int t_gpu_start(struct t_gpu *t, const struct gda_config *config, int npes,
		size_t bytes)
{
	struct gpu_config gpu = {.seed = t->seed, .turns_max = 50000000};

	t->npes = npes;
	if (gpu_open(&gpu, &t->gpu))
		return 1;
	return t_pes_start(config, npes, bytes, t->pes);
}

int t_gpu_stop(struct t_gpu *t)
{
	gpu_close(t->gpu);
	return t_pes_stop(t->pes, t->npes);
}

int t_gpu_run(struct t_gpu *t, const struct gpu_kernel *kernel,
	      const struct gpu_shape *shape, const void *args)
{
	const uint8_t *at = args;
	int pe, rc = 0;

	for (pe = 0; !rc && pe < t->npes; pe++) {
		struct gpu_shape own = *shape;

		own.stream = (uint32_t)pe;
		rc = gpu_launch(t->gpu, kernel, &own, at);
		at += kernel->args_bytes;
	}
	if (!rc)
		rc = gpu_wait(t->gpu, GPU_STREAMS);
	if (rc)
		printf("%s: %s (%s); T_SEED=%llu\n", kernel->name,
		       gda_strerror(rc), gpu_error(t->gpu),
		       (unsigned long long)t->seed);
	return rc != 0;
}

uint64_t t_gpu_first_seed(void)
{
	const char *text = getenv("T_SEED");

	return text ? strtoull(text, NULL, 0) : 0;
}

uint64_t t_gpu_seeds(uint64_t count)
{
	return getenv("T_SEED") ? 1 : count;
}
