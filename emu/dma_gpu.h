/* SPDX-License-Identifier: MIT */
/*
 * One GPU (one CUDA context) as the NIC uses it: a stream that copies, a
 * pinned buffer that they go through, and the unit that does atomics.
 */
#ifndef EMU_DMA_GPU_H
#define EMU_DMA_GPU_H

#include <pthread.h>
#include <stdbool.h>

#include "emu/cuda_api.h"
#include "emu/dma.h"

enum {
	GPU_BOUNCE = 4 << 20,
	GPU_CHUNK = 512 << 10, /* of a long copy */
	GPU_SLOTS = 16,	       /* atomics that may be on their way */
};

/* What CPU and kernel tell each other, in pinned host memory; see
 * dma_gpu_atomic.c. */
struct gpu_slot {
	uint32_t state;	 /* enum gpu_slot_state, written by the kernel */
	uint32_t cancel; /* written by the CPU */
	uint64_t original;
};

/* Is it device memory that CUDA knows? Managed memory is the CPU's too. */
bool gpu_knows(const struct cuda_api *api, cuda_ptr ptr);

struct gpu {
	/* Over all of the below, and over the order of what is posted. */
	pthread_mutex_t lock;
	const struct cuda_api *api;
	cuda_context context;
	bool failed;	/* for good: the context is gone, or the GPU */
	bool unsettled; /* something was posted, and not waited for */

	cuda_stream copies;
	uint8_t *bounce;
	size_t bounce_used; /* since the stream was empty */

	cuda_module module; /* NULL: it did not load */
	cuda_function kernel;
	cuda_stream atomics;
	struct gpu_slot *slots;
	unsigned slot_next;
	/* Kernels that were cancelled may still wait for their turn. */
	uint64_t slots_stuck; /* a bit each */
};

/* Calls into the driver stand between these two: the context is current, and
 * a capture of the calling thread's streams does not mind them. */
struct gpu_visit {
	int capture_mode;
};

bool gpu_enter(struct gpu *gpu, struct gpu_visit *visit);
void gpu_leave(struct gpu *gpu, const struct gpu_visit *visit);

/*
 * Requires for all below: lock held, entered.
 */

/* Did the call work? If not because of its arguments, the GPU has failed. */
bool gpu_ok(struct gpu *gpu, cuda_result result);

/* Wait for the stream of copies. */
bool gpu_settle(struct gpu *gpu);

/* To and from our own memory, in order on the stream; gpu_read waits. */
bool gpu_write(struct gpu *gpu, cuda_ptr dst, const void *src, size_t len);
bool gpu_read(struct gpu *gpu, void *dst, cuda_ptr src, size_t len);

/* dma_gpu_atomic.c. False: atomics go by copies. */
bool gpu_atomic_open(struct gpu *gpu);
void gpu_atomic_close(struct gpu *gpu);

struct gpu_atomic {
	cuda_ptr addr;
	unsigned bytes;
	const struct dma_atomic *op;
	uint64_t original;
};

/* Returns 0; 1 if it was done by copies; -EFAULT. */
int gpu_atomic(struct gpu *gpu, struct gpu_atomic *atomic);

#endif
