/* SPDX-License-Identifier: MIT */
/*
 * Atomics on device memory: by a kernel of one thread, so that they are atomic
 * against the GPU's own threads.
 *
 * If the GPU has no room for it, the atomic is done by copies, under the GPU's
 * lock: right against every NIC of the process, not against a GPU thread that
 * changes the same word at that moment.
 *
 * Source: PTX ISA, "Memory Consistency Model", "atom".
 * Thread: under the GPU's lock.
 */
#include <errno.h>

#include "emu/dma_gpu.h"

/* True if the kernel did it. */
static bool by_kernel(struct gpu *gpu, struct gpu_atomic *atomic)
{
	struct dma_atomic op = *atomic->op;
	uint64_t addr = atomic->addr;
	uint32_t bytes = atomic->bytes, swap = op.compare_swap;
	void *parameters[GPU_PARAMETERS_MAX] = {
		NULL,	     &addr,	  &bytes,	 &swap,
		&op.operand, &op.compare, &op.swap_mask, &op.compare_mask};
	struct gpu_kernel_call call = {GPU_KERNEL_ATOMIC, 1, parameters, 0};
	bool done = gpu_call_kernel(gpu, &call);

	atomic->original = call.original;
	return done;
}

static int by_copies(struct gpu *gpu, struct gpu_atomic *atomic)
{
	uint64_t old = 0, new;

	/* Both are little-endian: 4 bytes are the low half. */
	if (!gpu_read(gpu, &old, atomic->addr, atomic->bytes))
		return -EFAULT;
	new = dma_atomic_result(atomic->op, old);
	atomic->original = old;
	if (new != old && !gpu_write(gpu, atomic->addr, &new, atomic->bytes))
		return -EFAULT;
	return 1;
}

int gpu_atomic(struct gpu *gpu, struct gpu_atomic *atomic)
{
	/* An atomic may tell that what was posted before it is there. And a
	 * kernel with an address that is gone would cost the program its
	 * context. */
	if (!gpu_settle(gpu) || !gpu_knows(gpu->api, atomic->addr))
		return -EFAULT;
	if (by_kernel(gpu, atomic))
		return 0;
	return gpu->failed ? -EFAULT : by_copies(gpu, atomic);
}
