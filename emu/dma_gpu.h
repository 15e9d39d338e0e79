/* SPDX-License-Identifier: MIT */
/*
 * One GPU (one CUDA context) as the NIC uses it: a stream that copies, a
 * pinned buffer that they go through, and kernels for atomics and moves.
 */
#ifndef EMU_DMA_GPU_H
#define EMU_DMA_GPU_H

#include <pthread.h>
#include <stdbool.h>

#include "emu/cuda_api.h"
#include "emu/dma.h"

enum {
	GPU_PAGE = 64 << 10,
	GPU_BOUNCE = 4 << 20,
	GPU_CHUNK = 512 << 10, /* of a long copy */
	GPU_MOVE = 64 << 10,   /* longer moves do not wait for others */
	GPU_SLOTS = 16,	       /* kernels that may be on their way */
	GPU_MOVES = 64,	       /* that wait */
	GPU_RANGES = 16,
	GPU_PARAMETERS_MAX = 8,
};

enum gpu_kernel { GPU_KERNEL_ATOMIC, GPU_KERNEL_MOVE, GPU_KERNELS };

/* What CPU and kernel tell each other, in pinned host memory; see
 * dma_gpu_kernel.c. */
struct gpu_slot {
	uint32_t state;	 /* enum gpu_slot_state, written by the kernel */
	uint32_t cancel; /* written by the CPU */
	uint64_t original;
};

/* In pinned host memory, as the kernel reads it. */
struct gpu_move {
	cuda_ptr dst, src;
	uint64_t len;
};

/* An allocation; len 0: none. */
struct gpu_range {
	cuda_ptr start;
	size_t len;
	unsigned long long id;
	bool used; /* by a move that waits */
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
	cuda_function kernels[GPU_KERNELS];
	cuda_stream kernel_stream;
	struct gpu_slot *slots;
	unsigned slot_next;
	/* Kernels that were cancelled may still wait for their turn. */
	uint64_t slots_stuck; /* a bit each */

	struct gpu_move *moves; /* that wait: move_count */
	unsigned move_count;
	struct gpu_range ranges[GPU_RANGES];
	unsigned range_next;
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

/* Carry out what waits, and wait for the stream of copies; or only that. */
bool gpu_settle(struct gpu *gpu);
bool gpu_settle_copies(struct gpu *gpu);

/* To and from our own memory, in order with all else; gpu_read waits. */
bool gpu_write(struct gpu *gpu, cuda_ptr dst, const void *src, size_t len);
bool gpu_read(struct gpu *gpu, void *dst, cuda_ptr src, size_t len);

/* Room in the pinned buffer that no copy uses, for that many bytes, and what a
 * copy of len takes of it, so that the next is aligned for the engines. */
uint8_t *gpu_bounce(struct gpu *gpu, size_t bytes);
static inline size_t gpu_bounce_bytes(size_t len)
{
	return (len + 63) & ~(size_t)63;
}

/* Put a copy between device and pinned memory on the stream. */
bool gpu_post(struct gpu *gpu, cuda_ptr dst, const uint8_t *room, size_t len);
bool gpu_fetch(struct gpu *gpu, uint8_t *room, cuda_ptr src, size_t len);

/* ------------------------------------------------------ dma_gpu_kernel.c */

/* False: it all goes by copies. */
bool gpu_kernels_open(struct gpu *gpu);
void gpu_kernels_close(struct gpu *gpu);

struct gpu_kernel_call {
	enum gpu_kernel kernel;
	unsigned threads;
	void **parameters; /* as the driver wants them; [0] is the slot's */
	uint64_t original; /* what the kernel put into its slot */
};

/* True if the kernel has done it; else it has done nothing, or gpu->failed. */
bool gpu_call_kernel(struct gpu *gpu, struct gpu_kernel_call *call);

/* -------------------------------------------------------- dma_gpu_move.c */

/*
 * Requires: at most GPU_MOVE bytes, no overlap, and a module. Later, in order.
 * Returns 0, -EIO for src, -EFAULT for dst.
 */
int gpu_move(struct gpu *gpu, cuda_ptr dst, cuda_ptr src, size_t len);

/* Now. False: some of them are lost. */
bool gpu_moves_carry_out(struct gpu *gpu);

/* ------------------------------------------------------ dma_gpu_atomic.c */

struct gpu_atomic {
	cuda_ptr addr;
	unsigned bytes;
	const struct dma_atomic *op;
	uint64_t original;
};

/* Returns 0; 1 if it was done by copies; -EFAULT. */
int gpu_atomic(struct gpu *gpu, struct gpu_atomic *atomic);

#endif
