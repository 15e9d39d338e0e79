/* SPDX-License-Identifier: MIT */
/*
 * Collectives over all PEs: barrier, broadcast, all-to-all, all-gather,
 * reduce-scatter and all-reduce (sum). Every PE launches the kernel, with one
 * block of any size that is a multiple of 32, in the same order.
 *
 *   broadcast        dest of all = source of root             count elements
 *   all-to-all       part i of dest = part me of i's source   count a part
 *   all-gather       part i of dest = source of i             count a part
 *   reduce-scatter   dest = sum over i of part me of source   count a part
 *   all-reduce       dest = sum over i of source              npes x count
 *
 * source and dest are symmetric and do not overlap. A peer may write into dest
 * as soon as it calls, so all PEs have to be done with dest's old content: put
 * a barrier before it if that is not known. When the kernel ends, dest is
 * complete and source may be used again.
 */
#ifndef COLL_H
#define COLL_H

#include "kernels/gpu_host.h"
#include "stack/dev/handle.h"

enum { COLL_PES_MAX = 256 };

enum coll_op {
	COLL_BARRIER,
	COLL_BROADCAST,
	COLL_ALL_TO_ALL,
	COLL_ALL_GATHER,
	COLL_REDUCE_SCATTER,
	COLL_ALL_REDUCE,
	COLL_OPS,
};

enum coll_type {
	COLL_U64,
	COLL_FLOAT,
	COLL_TYPES,
};

/*
 * In the heap, zeroed, one for all collectives of a PE. Signals count up and
 * are never reset. The parts that a sum is made of are received in one of two
 * halves, by turns: a PE can be one call ahead of its peer, not two, because
 * it needs the peer's part of the call between.
 */
struct coll_work {
	uint64_t arrived[COLL_PES_MAX]; /* messages of each PE */
	uint64_t expected[COLL_PES_MAX];
	uint64_t round; /* sums so far */
	uint64_t rsvd;
	/* Behind it: two halves of npes parts. */
};

/* The work area of a PE for sums with parts of up to part_bytes. */
static inline uint64_t coll_work_bytes(int npes, uint64_t part_bytes)
{
	return sizeof(struct coll_work) + 2 * (uint64_t)npes * part_bytes;
}

struct coll_args {
	struct gda_dev dev;
	struct coll_work *work;
	uint8_t *dest;
	const uint8_t *source;
	uint64_t count; /* elements */
	uint64_t room;	/* part_bytes of the work area */
	int32_t *code;	/* 0 or an error of enum gda_dev_error */
	uint32_t op;	/* enum coll_op */
	uint32_t type;	/* enum coll_type */
	int32_t root;
};

/* Errors: GDA_DEV_EINVAL also for a part that is larger than the room. */
GPU_KERNEL_DECLARE(coll);

#endif
