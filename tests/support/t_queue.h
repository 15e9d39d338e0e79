/* SPDX-License-Identifier: MIT */
/*
 * A queue pair made by hand, for the stack's device functions: rings, record
 * and register are arrays, and the test plays the NIC.
 */
#ifndef T_QUEUE_H
#define T_QUEUE_H

#include <string.h>

#include "stack/gda_dev.h"

enum { T_QUEUE_BLOCKS_MAX = 16, T_QUEUE_SLOTS = 2, T_QUEUE_HEAP = 4096 };

struct t_queue {
	_Alignas(64) uint8_t sq[T_QUEUE_BLOCKS_MAX * HW_WQE_BB];
	_Alignas(64) uint8_t cq[T_QUEUE_BLOCKS_MAX * HW_CQE_BYTES];
	_Alignas(4096) uint8_t uar[HW_UAR_BYTES];
	_Alignas(8) uint8_t heap[T_QUEUE_HEAP];
	be32 record[2];
	struct gda_dev_slot slots[T_QUEUE_SLOTS];
	struct gda_dev_barrier barrier;
	struct gda_dev_peer peers[2];
	struct gda_dev_buffer buffers[2];
	struct gda_dev_qp qps[2]; /* [0]: to itself, unused; [1]: in use */
	struct gda_dev_qp *qp;	  /* qps + 1 */
	struct gda_dev dev;
	/* What a pause does; NULL: nothing. */
	void (*on_pause)(struct t_queue *queue);
	int pauses;
	uint32_t cqes; /* written by t_queue_complete */
	void *arg;
};

enum {
	T_QUEUE_QPN = 0x2ed,
	T_QUEUE_LKEY = 0x1840,
	T_QUEUE_RKEY = 0x1842,
};
#define T_QUEUE_REMOTE 0x7f1234560000ull

/* depth blocks, every counter at start. */
void t_queue_init(struct t_queue *queue, uint32_t depth, uint64_t start);

/* Write a CQE for the WQE at index; opcode as enum hw_cqe_opcode. */
void t_queue_complete(struct t_queue *queue, uint64_t index, uint8_t opcode,
		      uint8_t syndrome);

/* The 64 bytes of the block at index. */
static inline uint8_t *t_queue_block(struct t_queue *queue, uint64_t index)
{
	return queue->sq + (index & (queue->qp->depth - 1)) * HW_WQE_BB;
}

/* The 8 bytes at an offset of the doorbell page, as they lie there. */
static inline const uint8_t *t_queue_register(struct t_queue *queue,
					      unsigned offset)
{
	return queue->uar + offset;
}

#endif
