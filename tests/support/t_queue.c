/* SPDX-License-Identifier: MIT */
/*
 * A queue pair made by hand: see t_queue.h.
 */
#include "support/t_queue.h"

static void pause_queue(void *arg)
{
	struct t_queue *queue = arg;

	queue->pauses++;
	if (queue->on_pause)
		queue->on_pause(queue);
}

static void init_qp(struct t_queue *queue, struct gda_dev_qp *qp,
		    uint32_t depth, uint64_t start)
{
	qp->sq = queue->sq;
	qp->cq = queue->cq;
	qp->record = &queue->record[HW_DBR_SND];
	qp->reg = queue->uar + HW_UAR_BF;
	qp->slots = queue->slots;
	qp->sink = 0x7f00ab000000;
	qp->qpn = T_QUEUE_QPN;
	qp->peer = 1;
	qp->depth = depth;
	qp->cq_depth_log2 = (uint32_t)__builtin_ctz(depth);
	qp->slot_count = T_QUEUE_SLOTS;
	qp->batch = 1;
	qp->bf_half_bytes = HW_UAR_BF_HALF_BYTES;
	qp->reserved = qp->ready = qp->posted = start;
	qp->completed = qp->cq_consumer = start;
}

void t_queue_init(struct t_queue *queue, uint32_t depth, uint64_t start)
{
	struct gda_dev *dev = &queue->dev;

	memset(queue, 0, sizeof(*queue));
	memset(queue->sq, 0xee, sizeof(queue->sq));
	memset(queue->cq, 0xff, sizeof(queue->cq));
	init_qp(queue, &queue->qps[0], depth, start);
	init_qp(queue, &queue->qps[1], depth, start);
	queue->qp = &queue->qps[1];
	queue->cqes = (uint32_t)start;
	dev->version = GDA_DEV_VERSION;
	dev->npes = 2;
	dev->lanes = 1;
	dev->lane = GDA_DEV_LANE_ALL;
	dev->heap_lkey = T_QUEUE_LKEY;
	dev->heap_addr = (uintptr_t)queue->heap;
	dev->heap_bytes = T_QUEUE_HEAP;
	dev->peers = queue->peers;
	dev->qps = queue->qps;
	dev->buffers = queue->buffers;
	dev->buffer_count = 2;
	dev->barrier = &queue->barrier;
	dev->timeout_ns = 5000000;
	dev->pause = pause_queue;
	dev->pause_arg = queue;
	queue->peers[1].heap_addr = T_QUEUE_REMOTE;
	queue->peers[1].rkey = T_QUEUE_RKEY;
}

void t_queue_complete(struct t_queue *queue, uint64_t index, uint8_t opcode,
		      uint8_t syndrome)
{
	uint32_t slot = queue->cqes & (queue->qp->depth - 1);
	struct hw_cqe_info info = {
		.qpn = T_QUEUE_QPN,
		.wqe_counter = (uint16_t)index,
		.opcode = opcode,
		.wqe_opcode = HW_OP_RDMA_WRITE,
		.owner = queue->cqes >> queue->qp->cq_depth_log2 & 1,
		.syndrome = syndrome,
		.vendor_syndrome = syndrome ? 0x88 : 0,
	};
	struct hw_cqe cqe;

	if (!queue->qp->cq_ring) {
		slot = 0;
		info.owner = 0;
	}
	cqe = hw_cqe_encode(&info);
	memcpy(queue->cq + slot * HW_CQE_BYTES, &cqe, sizeof(cqe));
	queue->cqes++;
}
