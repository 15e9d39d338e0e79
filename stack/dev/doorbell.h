/* SPDX-License-Identifier: MIT */
/*
 * Announce written WQEs: in order among threads, then to the NIC by the
 * queue's doorbell protocol.
 *
 * Data path: stack/dev/post.h -> [stack/dev/doorbell.h] -> emu/doorbell.c
 *
 * Source of truth: hw/doorbell.h. Classic: rdma-core qp.c, post_send_db;
 * early: gpunetio doca_gpunetio_dev_verbs_qp.cuh; BlueFlame: rdma-core
 * mlx5_bf_copy, which copies only a WQE that is announced alone.
 * Thread: any number if the QP is shared, else its owner.
 */
#ifndef GDA_DEV_DOORBELL_H
#define GDA_DEV_DOORBELL_H

#include "hw/doorbell.h"
#include "stack/dev/wait.h"

GDA_DEV uint64_t gda_dev_doorbell_value(const struct gda_dev_qp *qp,
					uint64_t index)
{
	struct hw_sq_doorbell doorbell =
		hw_sq_doorbell_encode(qp->qpn, (uint16_t)index);
	uint64_t value;

	memcpy(&value, &doorbell, sizeof(value));
	return value;
}

/* Where the rings and the data lie decides how far the order must reach. */
GDA_DEV void gda_dev_store_record(struct gda_dev_qp *qp, uint64_t index)
{
	be32 value = hw_dbrec_encode((uint32_t)index);

	if (qp->in_gpu)
		gda_order_wqe_before_record_gpu(qp->record, value);
	else
		gda_order_wqe_before_record(qp->record, value);
}

GDA_DEV void gda_dev_store_register(struct gda_dev_qp *qp, void *reg,
				    uint64_t index)
{
	uint64_t value = gda_dev_doorbell_value(qp, index);

	if (qp->in_gpu)
		gda_order_record_before_register_gpu(reg, value);
	else
		gda_order_record_before_register(reg, value);
}

/* Before the record is written, or without one. */
GDA_DEV void gda_dev_store_register_early(struct gda_dev_qp *qp, uint64_t index)
{
	uint64_t value = gda_dev_doorbell_value(qp, index);

	if (qp->in_gpu)
		gda_order_wqe_before_register_gpu(qp->reg, value);
	else
		gda_order_wqe_before_register(qp->reg, value);
}

/* The halves take turns, so that a write-combining buffer can drain. */
GDA_DEV void gda_dev_ring_blueflame(struct gda_dev_qp *qp, uint64_t from,
				    uint64_t index)
{
	uint8_t *half = qp->reg + qp->bf_half * qp->bf_half_bytes;
	uint64_t block[8];

	qp->bf_half ^= 1;
	gda_order_before_combining();
	if (index - from != 1) {
		gda_dev_store_register(qp, half, index);
	} else {
		memcpy(block, qp->sq + (from & (qp->depth - 1)) * HW_WQE_BB,
		       sizeof(block));
		gda_order_blueflame_copy(half, block);
	}
	gda_order_after_combining();
}

/* Announce blocks from..index-1. */
GDA_DEV void gda_dev_ring_now(struct gda_dev_qp *qp, uint64_t from,
			      uint64_t index)
{
	if (qp->doorbell == GDA_DOORBELL_EARLY ||
	    qp->doorbell == GDA_DOORBELL_NO_RECORD)
		gda_dev_store_register_early(qp, index);
	if (qp->doorbell == GDA_DOORBELL_NO_RECORD)
		return;
	gda_dev_store_record(qp, index);
	if (qp->doorbell == GDA_DOORBELL_BLUEFLAME)
		gda_dev_ring_blueflame(qp, from, index);
	else
		gda_dev_store_register(qp, qp->reg, index);
}

/* As far as WQEs are written. Requires: the caller owns the doorbell. */
GDA_DEV void gda_dev_ring_ready(struct gda_dev_qp *qp)
{
	uint64_t ready = gda_dev_peek(qp, &qp->ready);
	uint64_t from = gda_dev_peek(qp, &qp->posted);

	if (ready == from)
		return;
	/* Before the register: a poller may see the CQE at once. */
	gda_dev_note(qp, &qp->posted, ready);
	gda_dev_ring_now(qp, from, ready);
}

/* Until somebody has: this thread, or another that is at it. */
GDA_DEV_SLOW int gda_dev_ring_shared(const struct gda_dev *dev,
				     struct gda_dev_qp *qp, uint64_t index)
{
	struct gda_dev_wait wait = {0, 0};
	int rc;

	while (gda_dev_peek(qp, &qp->posted) < index) {
		if (gda_order_try_take(&qp->bell_taken)) {
			gda_dev_ring_ready(qp);
			gda_order_give_back(&qp->bell_taken);
			return 0;
		}
		rc = gda_dev_wait_round(dev, &wait);
		if (rc)
			return rc;
	}
	return 0;
}

/* See to it that all blocks before index, which are ready, are announced. */
GDA_DEV int gda_dev_ring(const struct gda_dev *dev, struct gda_dev_qp *qp,
			 uint64_t index)
{
	if (qp->shared)
		return gda_dev_ring_shared(dev, qp, index);
	gda_dev_ring_ready(qp);
	return 0;
}

/*
 * Blocks base..end-1 are written: publish them behind those of threads that
 * reserved earlier. This wait has no timeout of its own: the others are past
 * their last wait and only have to store their WQEs.
 */
GDA_DEV void gda_dev_mark_ready(const struct gda_dev *dev,
				struct gda_dev_qp *qp, uint64_t base,
				uint64_t end)
{
	if (!qp->shared) {
		gda_dev_note(qp, &qp->ready, end);
		return;
	}
	while (gda_dev_peek(qp, &qp->ready) != base)
		gda_dev_pause(dev);
	gda_dev_store(qp, &qp->ready, end);
}

/* Does the range cross a multiple of the batch? */
GDA_DEV bool gda_dev_batch_full(const struct gda_dev_qp *qp, uint64_t base,
				uint64_t end)
{
	return ((base ^ end) & ~(uint64_t)(qp->batch - 1)) != 0;
}

/*
 * Hand over blocks base..end-1. They are announced now if the caller is going
 * to wait for them (urgent) or a batch is full, else by a later call or by
 * gda_dev_flush().
 */
GDA_DEV int gda_dev_submit(const struct gda_dev *dev, struct gda_dev_qp *qp,
			   uint64_t base, uint64_t end, bool urgent)
{
	gda_dev_mark_ready(dev, qp, base, end);
	if (!urgent && !gda_dev_batch_full(qp, base, end))
		return 0;
	return gda_dev_ring(dev, qp, end);
}

#endif
