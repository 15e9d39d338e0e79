/* SPDX-License-Identifier: MIT */
/*
 * What a kernel is written in: one source, two targets.
 *
 *	struct sum_args {
 *		const uint32_t *in;
 *		uint32_t *out;
 *	};
 *
 *	GPU_KERNEL(sum, struct sum_args)
 *	{
 *		GPU_SHARED(uint32_t, total);
 *		...
 *		gpu_sync_block();
 *	}
 *
 * nvcc makes a CUDA kernel of it; a C11 compiler makes a function for the SIMT
 * runner (kernels/simt.h), with fibers for threads. The file is C that is
 * also C++: no designated initialisers, no compound literals, no implicit
 * conversion from void *. Its name ends in .cu; CMake compiles it as C too.
 *
 * Kernels are launched through kernels/gpu_host.h. A header declares them as
 * "GPU_KERNEL_DECLARE(sum);". Arguments are one struct, copied by the launch.
 *
 * Functions that kernels call are GPU_FN. Waiting loops call gpu_pause().
 * Atomics and fences are those of stack/dev/order.h, and no others.
 * Thread: all threads of a grid.
 */
#ifndef GPU_H
#define GPU_H

#ifndef __CUDACC__
#define GDA_DEV_SIMT
#endif

#include "kernels/gpu_host.h"
#include "stack/gda_dev_group.h"

#define GPU_FN	      GDA_DEV
#define GPU_WARP      32u
#define GPU_ALL_LANES 0xffffffffu

/* -------------------------------------------------------------- the kernel */

#ifdef __CUDACC__
#define GPU_KERNEL(name, type)                                                 \
	__device__ static void name##_body(const type *args);                  \
	__global__ void name##_grid(const __grid_constant__ type args)         \
	{                                                                      \
		name##_body(&args);                                            \
	}                                                                      \
	extern "C" const struct gpu_kernel name = {                            \
		#name, (const void *)name##_grid, 0, sizeof(type)};            \
	__device__ static void name##_body(const type *args)

/* Memory of the block: a pointer to one type, or to an array of n. */
#define GPU_SHARED(type, name)                                                 \
	__shared__ type name##_shared;                                         \
	type *const name = &name##_shared
#define GPU_SHARED_ARRAY(type, name, n)                                        \
	__shared__ type name##_shared[n];                                      \
	type *const name = name##_shared
/* What the launch asked for in shared_bytes, aligned to 16. */
#define GPU_SHARED_DYNAMIC(type, name)                                         \
	extern __shared__ uint4 gpu_dynamic[];                                 \
	type *const name = (type *)gpu_dynamic
#else
#define GPU_KERNEL(name, type)                                                 \
	static void name##_body(const type *args);                             \
	static void name##_grid(const void *args)                              \
	{                                                                      \
		name##_body((const type *)args);                               \
	}                                                                      \
	const struct gpu_kernel name = {#name, 0, name##_grid, sizeof(type)};  \
	static void name##_body(const type *args)

#define GPU_SHARED(type, name) GPU_SHARED_ARRAY(type, name, 1)
#define GPU_SHARED_ARRAY(type, name, n)                                        \
	static const char name##_key;                                          \
	type *const name = (type *)simt_shared(&name##_key, (n) * sizeof(type))
#define GPU_SHARED_DYNAMIC(type, name)                                         \
	type *const name = (type *)simt_shared_dynamic()
#endif

/* ------------------------------------------------------------ who is who */

struct gpu_place {
	uint32_t x, y, z;
};

#ifdef __CUDA_ARCH__
#define GPU_PLACE(name, cuda, simt)                                            \
	GPU_FN struct gpu_place name(void)                                     \
	{                                                                      \
		struct gpu_place at = {cuda.x, cuda.y, cuda.z};                \
                                                                               \
		return at;                                                     \
	}
#elif defined(__CUDACC__)
#define GPU_PLACE(name, cuda, simt)                                            \
	GPU_FN struct gpu_place name(void)                                     \
	{                                                                      \
		struct gpu_place nowhere = {0, 0, 0};                          \
                                                                               \
		return nowhere;                                                \
	}
#else
#define GPU_PLACE(name, cuda, simt)                                            \
	GPU_FN struct gpu_place name(void)                                     \
	{                                                                      \
		const struct simt_id *self = simt_self();                      \
		struct gpu_place at = {self->simt.x, self->simt.y,             \
				       self->simt.z};                          \
                                                                               \
		return at;                                                     \
	}
#endif

GPU_PLACE(gpu_thread_idx, threadIdx, thread)
GPU_PLACE(gpu_block_idx, blockIdx, block)
GPU_PLACE(gpu_block_dim, blockDim, threads)
GPU_PLACE(gpu_grid_dim, gridDim, blocks)

/* In one dimension: this thread in its block, and the block's threads. */
GPU_FN uint32_t gpu_thread(void)
{
	return gda_dev_thread_index();
}

GPU_FN uint32_t gpu_threads(void)
{
	return gda_dev_thread_count();
}

/* This block, and the grid's blocks. */
GPU_FN uint32_t gpu_block(void)
{
	return gda_dev_block_index();
}

GPU_FN uint32_t gpu_blocks(void)
{
#ifdef __CUDA_ARCH__
	return gridDim.x * gridDim.y * gridDim.z;
#elif !defined(__CUDACC__)
	return simt_self()->grid_size;
#else
	return 1;
#endif
}

/* This thread among all of the grid, and how many there are. */
GPU_FN uint32_t gpu_global_thread(void)
{
	return gpu_block() * gpu_threads() + gpu_thread();
}

GPU_FN uint32_t gpu_global_threads(void)
{
	return gpu_blocks() * gpu_threads();
}

GPU_FN uint32_t gpu_lane(void)
{
	return gpu_thread() % GPU_WARP;
}

/* This warp in its block, and the block's warps. */
GPU_FN uint32_t gpu_warp(void)
{
	return gpu_thread() / GPU_WARP;
}

GPU_FN uint32_t gpu_warps(void)
{
	return (gpu_threads() + GPU_WARP - 1) / GPU_WARP;
}

/* The clock of this thread's SM, in cycles; on the SIMT runner virtual time,
 * which says nothing of cost. */
GPU_FN uint64_t gpu_cycles(void)
{
#ifdef __CUDA_ARCH__
	return (uint64_t)clock64();
#else
	return gda_dev_now_ns();
#endif
}

/* ----------------------------------------- barriers and warp operations --- */

/*
 * gpu_sync_block(): all threads of the block. gpu_sync_part(barrier, threads):
 * as many, a multiple of 32, at one of the barriers 1 to 15 (bar.sync).
 * gpu_sync_warp(mask): those lanes. What was done before is seen after.
 *
 * gpu_shfl(mask, value, lane): that lane's value, of 64 bits.
 * gpu_ballot, gpu_any, gpu_all(mask, flag). gpu_match_any(mask, value): the
 * lanes that have the same value. All lanes of mask call it, and nobody else.
 */
#ifndef __CUDACC__
GPU_FN uint64_t gpu_meet_at(enum simt_meeting meeting, uint32_t mask,
			    uint64_t value, uint32_t lane, const char *where)
{
	struct simt_meet_call call = {meeting, mask, value, lane, where};

	return simt_meet(&call);
}

#define gpu_sync_block()	 simt_sync(0, 0, SIMT_HERE)
#define gpu_sync_part(id, count) simt_sync(id, count, SIMT_HERE)
#define gpu_sync_warp(mask)	 gpu_meet_at(SIMT_SYNC, mask, 0, 0, SIMT_HERE)
#define gpu_shfl(mask, value, at)                                              \
	gpu_meet_at(SIMT_SHFL, mask, value, at, SIMT_HERE)
#define gpu_ballot(mask, flag)                                                 \
	((uint32_t)gpu_meet_at(SIMT_BALLOT, mask, (flag) != 0, 0, SIMT_HERE))
#define gpu_match_any(mask, value)                                             \
	((uint32_t)gpu_meet_at(SIMT_MATCH_ANY, mask, value, 0, SIMT_HERE))
#else
GPU_FN void gpu_sync_part_(uint32_t barrier, uint32_t threads)
{
#ifdef __CUDA_ARCH__
	asm volatile("bar.sync %0, %1;" ::"r"(barrier), "r"(threads)
		     : "memory");
#endif
}

#define gpu_sync_block()	 __syncthreads()
#define gpu_sync_part(id, count) gpu_sync_part_(id, count)
#define gpu_sync_warp(mask)	 __syncwarp(mask)
#define gpu_shfl(mask, value, at)                                              \
	((uint64_t)__shfl_sync(mask, (unsigned long long)(value), (int)(at)))
#define gpu_ballot(mask, flag) __ballot_sync(mask, flag)
#define gpu_match_any(mask, value)                                             \
	__match_any_sync(mask, (unsigned long long)(value))
#endif

#define gpu_any(mask, flag) (gpu_ballot(mask, flag) != 0)
#define gpu_all(mask, flag) (gpu_ballot(mask, !(flag)) == 0)

/* As gpu_shfl, from this lane's number with bits flipped, or from the lane
 * that is that many below or above; its own value where there is none. */
#define gpu_shfl_xor(mask, value, bits)                                        \
	gpu_shfl(mask, value, gpu_lane() ^ (bits))
#define gpu_shfl_up(mask, value, by)                                           \
	gpu_shfl(mask, value,                                                  \
		 gpu_lane() < (uint32_t)(by) ? gpu_lane()                      \
					     : gpu_lane() - (uint32_t)(by))
#define gpu_shfl_down(mask, value, by)                                         \
	gpu_shfl(mask, value,                                                  \
		 gpu_lane() + (uint32_t)(by) < GPU_WARP                        \
			 ? gpu_lane() + (uint32_t)(by)                         \
			 : gpu_lane())

GPU_FN uint32_t gpu_float_bits(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

GPU_FN float gpu_bits_float(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* Over all lanes of a full warp; the same order, so the same bits, anywhere. */
GPU_FN float gpu_warp_max(float value)
{
	float other;
	uint32_t bits;

	for (bits = GPU_WARP / 2; bits; bits /= 2) {
		other = gpu_bits_float((uint32_t)gpu_shfl_xor(
			GPU_ALL_LANES, gpu_float_bits(value), bits));
		value = other > value ? other : value;
	}
	return value;
}

GPU_FN uint64_t gpu_warp_sum(uint64_t value)
{
	uint32_t bits;

	for (bits = GPU_WARP / 2; bits; bits /= 2)
		value += gpu_shfl_xor(GPU_ALL_LANES, value, bits);
	return value;
}

/* One round of a waiting loop. dev says which NIC may have to move. */
GPU_FN void gpu_pause(const struct gda_dev *dev)
{
	gda_dev_pause(dev);
}

/* --------------------------------------------------------- grid barrier --- */

/* Zeroed memory of the grid. */
struct gpu_grid_barrier {
	uint32_t arrived;
	uint32_t round;
};

/*
 * All threads of all blocks, which must all run at the same time: launch no
 * more than fit. dev as in gpu_pause. Returns 0 or GDA_DEV_ETIMEDOUT, the same
 * to all threads of a block.
 */
GPU_FN int gpu_sync_grid(const struct gda_dev *dev,
			 struct gpu_grid_barrier *barrier)
{
	struct gda_dev_group block = gda_dev_group_block();
	struct gda_dev_wait wait = {0, 0};
	uint32_t round;
	int rc = 0;

	gpu_sync_block();
	if (gpu_thread() == 0) {
		round = gda_order_load_counter_32(&barrier->round);
		if (gda_order_add_counter_32(&barrier->arrived, 1) ==
		    gpu_blocks() - 1) {
			gda_order_store_counter_32(&barrier->arrived, 0);
			gda_order_store_counter_32(&barrier->round, round + 1);
		}
		while (!rc &&
		       gda_order_load_counter_32(&barrier->round) == round)
			rc = gda_dev_wait_round(dev, &wait);
	}
	return (int)(int64_t)gda_dev_group_share(&block, (uint64_t)(int64_t)rc);
}

#endif
