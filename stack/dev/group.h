/* SPDX-License-Identifier: MIT */
/*
 * Threads that act together: one thread, a warp, or a block. Where they
 * meet, how they agree, and how they share out slots.
 *
 * Every member makes the same calls with the same group. What a member did
 * before gda_dev_group_sync, _share or _agree is visible to the others after
 * it. Member 0 is the leader.
 *
 * A CPU thread that is not under the SIMT runner is a group of one at every
 * scope.
 *
 * Source of truth: CUDA C++ Programming Guide, "Synchronization Functions",
 * "Warp Vote", "Warp Shuffle"; that a barrier orders what its participants did
 * before: PTX ISA, "Memory Consistency Model", synchronization.
 * Thread: all members.
 */
#ifndef GDA_DEV_GROUP_H
#define GDA_DEV_GROUP_H

#include "stack/dev/order.h"

enum gda_dev_scope {
	GDA_DEV_THREAD = 0,
	GDA_DEV_WARP,
	GDA_DEV_BLOCK,
};

struct gda_dev_group {
	uint32_t rank;
	uint32_t size;
	uint32_t mask; /* a warp's lanes */
	enum gda_dev_scope scope;
};

enum { GDA_DEV_WARP_LANES = 32, GDA_DEV_WARPS_MAX = 32 };

/* ----------------------------------------------------- the machine's part */

/* This thread in its block, and the block's threads, in one dimension. */
GDA_DEV uint32_t gda_dev_thread_index(void)
{
#ifdef __CUDA_ARCH__
	return threadIdx.x +
	       blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
#elif defined(GDA_DEV_SIMT)
	return simt_self() ? simt_self()->rank : 0;
#else
	return 0;
#endif
}

GDA_DEV uint32_t gda_dev_thread_count(void)
{
#ifdef __CUDA_ARCH__
	return blockDim.x * blockDim.y * blockDim.z;
#elif defined(GDA_DEV_SIMT)
	return simt_self() ? simt_self()->block_size : 1;
#else
	return 1;
#endif
}

GDA_DEV uint32_t gda_dev_block_index(void)
{
#ifdef __CUDA_ARCH__
	return blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
#elif defined(GDA_DEV_SIMT)
	return simt_self() ? simt_self()->block_rank : 0;
#else
	return 0;
#endif
}

GDA_DEV void gda_dev_sync_block(void)
{
#ifdef __CUDA_ARCH__
	__syncthreads();
#elif defined(GDA_DEV_SIMT)
	if (simt_self())
		simt_sync(0, 0, SIMT_HERE);
#endif
}

GDA_DEV void gda_dev_sync_lanes(uint32_t mask)
{
#ifdef __CUDA_ARCH__
	__syncwarp(mask);
#elif defined(GDA_DEV_SIMT)
	struct simt_meet_call call = {SIMT_SYNC, mask, 0, 0, SIMT_HERE};

	if (simt_self())
		simt_meet(&call);
#else
	(void)mask;
#endif
}

/* The value of one of the lanes in mask. */
GDA_DEV uint64_t gda_dev_lane_value(uint32_t mask, uint64_t value,
				    uint32_t lane)
{
#ifdef __CUDA_ARCH__
	return __shfl_sync(mask, (unsigned long long)value, (int)lane);
#elif defined(GDA_DEV_SIMT)
	struct simt_meet_call call = {SIMT_SHFL, mask, value, lane, SIMT_HERE};

	return simt_self() ? simt_meet(&call) : value;
#else
	(void)mask, (void)lane;
	return value;
#endif
}

/* The lanes of mask whose flag is set. */
GDA_DEV uint32_t gda_dev_ballot(uint32_t mask, bool flag)
{
#ifdef __CUDA_ARCH__
	return __ballot_sync(mask, flag);
#elif defined(GDA_DEV_SIMT)
	struct simt_meet_call call = {SIMT_BALLOT, mask, flag, 0, SIMT_HERE};

	return simt_self() ? (uint32_t)simt_meet(&call) : flag;
#else
	(void)mask;
	return flag;
#endif
}

GDA_DEV uint32_t gda_dev_count_bits(uint32_t bits)
{
#ifdef __CUDA_ARCH__
	return (uint32_t)__popc(bits);
#elif !defined(__CUDACC__)
	return (uint32_t)__builtin_popcount(bits);
#else
	return bits;
#endif
}

GDA_DEV uint32_t gda_dev_lowest_bit(uint32_t bits)
{
#ifdef __CUDA_ARCH__
	return (uint32_t)__ffs((int)bits) - 1;
#elif !defined(__CUDACC__)
	return (uint32_t)__builtin_ffs((int)bits) - 1;
#else
	return bits;
#endif
}

/* What the threads of a block tell each other in this header. */
struct gda_dev_board {
	uint64_t word;
	uint32_t counts[GDA_DEV_WARPS_MAX];
};

GDA_DEV struct gda_dev_board *gda_dev_board(void)
{
#ifdef __CUDA_ARCH__
	__shared__ struct gda_dev_board board;

	return &board;
#elif defined(GDA_DEV_SIMT)
	static const char key;

	return (struct gda_dev_board *)simt_shared(
		&key, sizeof(struct gda_dev_board));
#else
	return 0;
#endif
}

/* ----------------------------------------------------------------- groups */

GDA_DEV struct gda_dev_group gda_dev_group_thread(void)
{
	struct gda_dev_group group = {0, 1, 1, GDA_DEV_THREAD};

	return group;
}

/* The lanes of this thread's warp; a block's last warp may have fewer. */
GDA_DEV struct gda_dev_group gda_dev_group_warp(void)
{
	uint32_t index = gda_dev_thread_index();
	uint32_t lane = index % GDA_DEV_WARP_LANES;
	uint32_t left = gda_dev_thread_count() - (index - lane);
	uint32_t size = left < GDA_DEV_WARP_LANES ? left : GDA_DEV_WARP_LANES;
	struct gda_dev_group group = {
		lane, size, 0xffffffffu >> (GDA_DEV_WARP_LANES - size),
		GDA_DEV_WARP};

	return group;
}

GDA_DEV struct gda_dev_group gda_dev_group_block(void)
{
	struct gda_dev_group group = gda_dev_group_warp();

	group.rank = gda_dev_thread_index();
	group.size = gda_dev_thread_count();
	group.scope = GDA_DEV_BLOCK;
	return group;
}

GDA_DEV void gda_dev_group_sync(const struct gda_dev_group *group)
{
	if (group->size == 1)
		return;
	if (group->scope == GDA_DEV_BLOCK)
		gda_dev_sync_block();
	else
		gda_dev_sync_lanes(group->mask);
}

/* The leader's value, for all members. */
GDA_DEV uint64_t gda_dev_group_share(const struct gda_dev_group *group,
				     uint64_t value)
{
	if (group->size == 1)
		return value;
	if (group->scope == GDA_DEV_WARP) {
		gda_dev_sync_lanes(group->mask); /* a shuffle orders nothing */
		return gda_dev_lane_value(group->mask, value, 0);
	}
	gda_dev_sync_block(); /* all have read what was there before */
	if (group->rank == 0)
		gda_dev_board()->word = value;
	gda_dev_sync_block();
	return gda_dev_board()->word;
}

/*
 * How many members before this one have their flag set; *total: how many of
 * all.
 */
GDA_DEV uint32_t gda_dev_group_count(const struct gda_dev_group *group,
				     bool flag, uint32_t *total)
{
	uint32_t warp = gda_dev_thread_index() / GDA_DEV_WARP_LANES;
	uint32_t lane = gda_dev_thread_index() % GDA_DEV_WARP_LANES;
	uint32_t set, before, i;

	*total = flag;
	if (group->size == 1)
		return 0;
	set = gda_dev_ballot(group->mask, flag);
	before = gda_dev_count_bits(set & ((1u << lane) - 1));
	*total = gda_dev_count_bits(set);
	if (group->scope == GDA_DEV_WARP)
		return before;
	gda_dev_sync_block();
	if (lane == 0)
		gda_dev_board()->counts[warp] = *total;
	gda_dev_sync_block();
	*total = 0;
	for (i = 0; i * GDA_DEV_WARP_LANES < group->size; i++) {
		if (i < warp)
			before += gda_dev_board()->counts[i];
		*total += gda_dev_board()->counts[i];
	}
	return before;
}

/* 0 if every member's code is; else the code of one that is not, for all. */
GDA_DEV int gda_dev_group_agree(const struct gda_dev_group *group, int code)
{
	uint32_t total, bad;

	if (group->size == 1)
		return code;
	if (group->scope == GDA_DEV_WARP) {
		gda_dev_sync_lanes(group->mask);
		bad = gda_dev_ballot(group->mask, code != 0);
		if (!bad)
			return 0;
		return (int)gda_dev_lane_value(group->mask,
					       (uint64_t)(int64_t)code,
					       gda_dev_lowest_bit(bad));
	}
	bad = gda_dev_group_count(group, code != 0, &total);
	if (!total)
		return 0;
	if (code && bad == 0)
		gda_dev_board()->word = (uint64_t)(int64_t)code;
	gda_dev_sync_block();
	return (int)gda_dev_board()->word;
}

#endif
