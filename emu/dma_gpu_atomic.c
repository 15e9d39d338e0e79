/* SPDX-License-Identifier: MIT */
/*
 * Atomics on device memory: a kernel of one thread, so that they are atomic
 * against the GPU's own threads.
 *
 * A kernel starts when a multiprocessor has room for it, and never while the
 * program's grid has them all and waits for this very atomic. So the wait for
 * its start is bounded: the kernel says that it runs, then asks whether it was
 * cancelled; the CPU cancels, then asks whether it runs. One of them sees the
 * other. A cancelled kernel does nothing whenever it starts. The atomic is then
 * done by copies, under the GPU's lock: right against every NIC of the process,
 * not against a GPU thread that changes the same word at that moment.
 *
 * The kernel has a stream of its own, so that one that waits holds no copy up.
 *
 * Source: PTX ISA, "Memory Consistency Model", "atom".
 * Thread: under the GPU's lock.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "emu/dma_gpu.h"
#include "emu/dma_gpu_ptx.h"
#include "emu/order.h"

enum gpu_slot_state {
	SLOT_SENT = 0,
	SLOT_RUNS = 1,
	SLOT_DONE = 2,
	SLOT_NOTHING_DONE = 3,
};

/* An atomic takes 12 us in all if there is room (measured on an H100). */
#define START_NS (500ull * 1000)
/* One that runs is done in microseconds. */
#define END_NS (2000ull * 1000 * 1000)

/* ------------------------------------------------------------- the kernel */

static bool launch(struct gpu *gpu, struct gpu_slot *slot,
		   const struct gpu_atomic *atomic)
{
	struct dma_atomic op = *atomic->op;
	uint64_t at = (uintptr_t)slot, addr = atomic->addr;
	uint32_t bytes = atomic->bytes, swap = op.compare_swap;
	void *parameters[] = {&at,	     &addr,	      &bytes,
			      &swap,	     &op.operand,     &op.compare,
			      &op.swap_mask, &op.compare_mask};

	return gpu_ok(gpu, gpu->api->launch(gpu->kernel, 1, 1, 1, 1, 1, 1, 0,
					    gpu->atomics, parameters, NULL));
}

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Wait while the slot's state is one of those before that. */
static uint32_t wait_for(const struct gpu_slot *slot, uint32_t state,
			 uint64_t ns)
{
	uint64_t until_ns = clock_ns() + ns;
	uint32_t now;

	while ((now = nic_order_load_gpu_state(&slot->state)) < state)
		if (clock_ns() > until_ns)
			break;
	return now;
}

/* True if the kernel did it. */
static bool run(struct gpu *gpu, struct gpu_slot *slot,
		struct gpu_atomic *atomic)
{
	uint32_t state;

	memset(slot, 0, sizeof(*slot));
	if (!launch(gpu, slot, atomic))
		return false;
	state = wait_for(slot, SLOT_RUNS, START_NS);
	if (state == SLOT_SENT)
		state = nic_order_cancel_gpu(&slot->cancel, &slot->state);
	if (state == SLOT_SENT) {
		gpu->slots_stuck |= 1ull << (slot - gpu->slots);
		return false;
	}
	state = wait_for(slot, SLOT_DONE, END_NS);
	atomic->original = slot->original;
	/* It runs and does not end: the GPU is lost, and so is the answer. */
	if (state == SLOT_RUNS)
		gpu->failed = true;
	return state == SLOT_DONE;
}

/* Kernels that were cancelled end when there is room for them. */
static bool stuck(struct gpu *gpu)
{
	unsigned i;

	for (i = 0; gpu->slots_stuck >> i; i++)
		if (nic_order_load_gpu_state(&gpu->slots[i].state) >= SLOT_DONE)
			gpu->slots_stuck &= ~(1ull << i);
	return gpu->slots_stuck != 0;
}

/* ---------------------------------------------------------- open and close */

/*
 * The driver loads a kernel when it is launched first, and that would wait for
 * kernels of the program: launch one that is cancelled already.
 */
static void warm_up(struct gpu *gpu)
{
	static const struct dma_atomic nothing;
	struct gpu_atomic atomic = {.bytes = 8, .op = &nothing};
	struct gpu_slot *slot = &gpu->slots[0];

	slot->cancel = 1;
	if (launch(gpu, slot, &atomic) &&
	    wait_for(slot, SLOT_DONE, START_NS) < SLOT_DONE)
		gpu->slots_stuck = 1;
}

bool gpu_atomic_open(struct gpu *gpu)
{
	const struct cuda_api *api = gpu->api;
	void *slots;

	if (api->module_load(&gpu->module, gpu_atomic_ptx) != CUDA_OK) {
		gpu->module = NULL;
		return false;
	}
	if (api->module_function(&gpu->kernel, gpu->module,
				 GPU_ATOMIC_KERNEL) != CUDA_OK ||
	    api->host_alloc(&slots, GPU_SLOTS * sizeof(*gpu->slots),
			    CUDA_HOST_PORTABLE | CUDA_HOST_DEVICEMAP) !=
		    CUDA_OK) {
		gpu_atomic_close(gpu);
		return false;
	}
	gpu->slots = slots;
	memset(slots, 0, GPU_SLOTS * sizeof(*gpu->slots));
	warm_up(gpu);
	return true;
}

void gpu_atomic_close(struct gpu *gpu)
{
	if (gpu->slots)
		gpu->api->host_free(gpu->slots);
	if (gpu->module)
		gpu->api->module_unload(gpu->module);
	gpu->slots = NULL;
	gpu->module = NULL;
}

/* -------------------------------------------------------------- by copies */

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
	/* Nothing behind one that waits for room starts before it. */
	if (gpu->module && !stuck(gpu) &&
	    run(gpu, &gpu->slots[gpu->slot_next++ % GPU_SLOTS], atomic))
		return 0;
	return gpu->failed ? -EFAULT : by_copies(gpu, atomic);
}
