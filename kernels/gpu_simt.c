/* SPDX-License-Identifier: MIT */
/*
 * kernels/gpu_host.h on the SIMT runner.
 *
 * Thread: one at a time for a struct gpu.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/gpu_host.h"
#include "kernels/simt.h"

enum { TURNS_PER_RUN = 1000 };

struct gpu {
	struct simt *simt;
	char name[64];
	char error[128];
};

int gpu_open(const struct gpu_config *config, struct gpu **out)
{
	struct simt_config simt = {0};
	struct gpu *gpu = calloc(1, sizeof(*gpu));

	if (!gpu)
		return -ENOMEM;
	if (config) {
		simt.seed = config->seed;
		simt.resident_blocks = config->resident_blocks;
		simt.turns_max = config->turns_max;
	}
	gpu->simt = simt_create(&simt);
	if (!gpu->simt) {
		free(gpu);
		return -ENOMEM;
	}
	snprintf(gpu->name, sizeof(gpu->name), "the SIMT runner, seed %llu",
		 (unsigned long long)simt.seed);
	*out = gpu;
	return 0;
}

void gpu_close(struct gpu *gpu)
{
	if (!gpu)
		return;
	simt_destroy(gpu->simt);
	free(gpu);
}

const char *gpu_name(const struct gpu *gpu)
{
	return gpu->name;
}

int gpu_is_runner(const struct gpu *gpu)
{
	(void)gpu;
	return 1;
}

void *gpu_alloc(struct gpu *gpu, size_t bytes)
{
	(void)gpu;
	return calloc(1, bytes + !bytes);
}

void *gpu_alloc_device(struct gpu *gpu, size_t bytes)
{
	return gpu_alloc(gpu, bytes);
}

void gpu_free(struct gpu *gpu, void *memory)
{
	(void)gpu;
	free(memory);
}

void gpu_free_device(struct gpu *gpu, void *memory)
{
	gpu_free(gpu, memory);
}

int gpu_copy(struct gpu *gpu, void *to, const void *from, size_t bytes)
{
	(void)gpu;
	memcpy(to, from, bytes);
	return 0;
}

int gpu_dmabuf(struct gpu *gpu, void *memory, size_t bytes)
{
	(void)memory, (void)bytes;
	snprintf(gpu->error, sizeof(gpu->error),
		 "dma-buf: the SIMT runner has none");
	return -ENOTSUP;
}

int gpu_map(struct gpu *gpu, void *memory, size_t bytes)
{
	(void)gpu, (void)memory, (void)bytes;
	return 0;
}

void gpu_unmap(struct gpu *gpu, void *memory)
{
	(void)gpu, (void)memory;
}

int gpu_launch(struct gpu *gpu, const struct gpu_kernel *kernel,
	       const struct gpu_shape *shape, const void *args)
{
	struct simt_launch launch = {.name = kernel->name,
				     .fn = kernel->simt,
				     .args = args,
				     .args_bytes = kernel->args_bytes,
				     .grid = {shape->blocks, 1, 1},
				     .block = {shape->threads, 1, 1},
				     .shared_bytes = shape->shared_bytes,
				     .stream = shape->stream};

	gpu->error[0] = 0;
	if (shape->stream >= GPU_STREAMS) {
		snprintf(gpu->error, sizeof(gpu->error),
			 "kernel %s: stream %u, expected below %d",
			 kernel->name, shape->stream, GPU_STREAMS);
		return -EINVAL;
	}
	return simt_launch(gpu->simt, &launch, NULL);
}

int gpu_wait(struct gpu *gpu, uint32_t stream)
{
	gpu->error[0] = 0;
	if (stream == GPU_STREAMS)
		return simt_wait(gpu->simt, 0);
	return simt_wait_stream(gpu->simt, stream);
}

int gpu_run(struct gpu *gpu)
{
	return simt_run(gpu->simt, TURNS_PER_RUN);
}

const char *gpu_error(const struct gpu *gpu)
{
	if (!gpu)
		return "the SIMT runner: no memory";
	return gpu->error[0] ? gpu->error : simt_error(gpu->simt);
}
