/* SPDX-License-Identifier: MIT */
/*
 * Kernels of the NIC's own, of one block: for atomics and for moves.
 *
 * A kernel starts when a multiprocessor has room for it, and never while the
 * program's grid has them all and waits for this very NIC. So the wait for
 * its start is bounded: the kernel says that it runs, then asks whether it was
 * cancelled; the CPU cancels, then asks whether it runs. One of them sees the
 * other. A cancelled kernel does nothing whenever it starts; the work is done
 * by copies, which always proceed.
 *
 * Kernels have a stream of their own, so that one that waits holds no copy up.
 *
 * Thread: under the GPU's lock.
 */
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

_Static_assert(GPU_MOVES * sizeof(struct gpu_move) == 1536,
	       "the kernel's list has room for them");

/* An atomic takes 12 us in all if there is room (measured on an H100). */
#define START_NS (500ull * 1000)
/* One that runs is done in microseconds. */
#define END_NS (2000ull * 1000 * 1000)

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

/* The first parameter of every kernel is its slot. */
static bool launch(struct gpu *gpu, const struct gpu_kernel_call *call,
		   struct gpu_slot *slot)
{
	uint64_t at = (uintptr_t)slot;

	call->parameters[0] = &at;
	return gpu_ok(gpu, gpu->api->launch(gpu->kernels[call->kernel], 1, 1, 1,
					    call->threads, 1, 1, 0,
					    gpu->kernel_stream,
					    call->parameters, NULL));
}

static bool run(struct gpu *gpu, struct gpu_slot *slot,
		struct gpu_kernel_call *call)
{
	uint32_t state;

	memset(slot, 0, sizeof(*slot));
	if (!launch(gpu, call, slot))
		return false;
	state = wait_for(slot, SLOT_RUNS, START_NS);
	if (state == SLOT_SENT)
		state = nic_order_cancel_gpu(&slot->cancel, &slot->state);
	if (state == SLOT_SENT) {
		gpu->slots_stuck |= 1ull << (slot - gpu->slots);
		return false;
	}
	state = wait_for(slot, SLOT_DONE, END_NS);
	call->original = slot->original;
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

bool gpu_call_kernel(struct gpu *gpu, struct gpu_kernel_call *call)
{
	/* Nothing behind one that waits for room starts before it. */
	if (!gpu->module || stuck(gpu))
		return false;
	return run(gpu, &gpu->slots[gpu->slot_next++ % GPU_SLOTS], call);
}

/* ---------------------------------------------------------- open and close */

/*
 * The driver loads a kernel when it is launched first, and that would wait for
 * kernels of the program: launch each, cancelled already.
 */
static void warm_up(struct gpu *gpu)
{
	uint64_t zero = 0;
	void *parameters[GPU_PARAMETERS_MAX];
	struct gpu_kernel_call call = {.threads = 1, .parameters = parameters};
	struct gpu_slot *slot;
	unsigned i;

	for (i = 0; i < GPU_PARAMETERS_MAX; i++)
		parameters[i] = &zero;
	for (i = 0; i < GPU_KERNELS; i++) {
		slot = &gpu->slots[i];
		slot->cancel = 1;
		call.kernel = (enum gpu_kernel)i;
		if (launch(gpu, &call, slot) &&
		    wait_for(slot, SLOT_DONE, START_NS) < SLOT_DONE)
			gpu->slots_stuck |= 1ull << i;
	}
}

static bool find_kernels(struct gpu *gpu)
{
	static const char *const names[GPU_KERNELS] = {
		[GPU_KERNEL_ATOMIC] = GPU_ATOMIC_NAME,
		[GPU_KERNEL_MOVE] = GPU_MOVE_NAME,
	};
	unsigned i;

	for (i = 0; i < GPU_KERNELS; i++)
		if (gpu->api->module_function(&gpu->kernels[i], gpu->module,
					      names[i]) != CUDA_OK)
			return false;
	return true;
}

bool gpu_kernels_open(struct gpu *gpu)
{
	const struct cuda_api *api = gpu->api;
	unsigned flags = CUDA_HOST_PORTABLE | CUDA_HOST_DEVICEMAP;
	void *slots, *moves;

	if (api->module_load(&gpu->module, gpu_kernels_ptx) != CUDA_OK) {
		gpu->module = NULL;
		return false;
	}
	if (find_kernels(gpu) &&
	    api->host_alloc(&slots, GPU_SLOTS * sizeof(*gpu->slots), flags) ==
		    CUDA_OK) {
		gpu->slots = slots;
		memset(slots, 0, GPU_SLOTS * sizeof(*gpu->slots));
		if (api->host_alloc(&moves, GPU_MOVES * sizeof(*gpu->moves),
				    flags) == CUDA_OK) {
			gpu->moves = moves;
			warm_up(gpu);
			return true;
		}
	}
	gpu_kernels_close(gpu);
	return false;
}

void gpu_kernels_close(struct gpu *gpu)
{
	if (gpu->moves)
		gpu->api->host_free(gpu->moves);
	if (gpu->slots)
		gpu->api->host_free(gpu->slots);
	if (gpu->module)
		gpu->api->module_unload(gpu->module);
	gpu->moves = NULL;
	gpu->slots = NULL;
	gpu->module = NULL;
}
