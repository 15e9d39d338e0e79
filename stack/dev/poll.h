/* SPDX-License-Identifier: MIT */
/*
 * Learn from the completion queue how far a send queue is done.
 *
 * Data path: emu/cqe_post.c -> [stack/dev/poll.h] -> END
 *
 * A CQE says which WQE is done by 16 bits of its first block's index. The
 * rest is reconstructed from the completed counter, which was loaded before
 * the CQE and is never more than the queue's depth behind. Every completion
 * that is asked for belongs to a WQE of one block (see stack/dev/post.h), so
 * index + 1 is the first block that is not done.
 *
 * Source of truth: hw/cqe.h; owner bit: rdma-core providers/mlx5/cq.c
 * (get_sw_cqe). Not modelled: consumer records (all CQs ignore overrun, and
 * at most depth CQEs are outstanding).
 * Thread: any number if the QP is shared, else its owner.
 */
#ifndef GDA_DEV_POLL_H
#define GDA_DEV_POLL_H

#include "hw/cqe.h"
#include "stack/dev/wait.h"

/* The part of a CQE that one load gets: all that success needs. */
GDA_DEV struct hw_cqe_info gda_dev_load_cqe(const uint8_t *at)
{
	uint64_t last8 = gda_order_load_cqe(at + 56);
	struct hw_cqe cqe;

	memset(&cqe, 0, sizeof(cqe));
	memcpy((uint8_t *)&cqe + 56, &last8, sizeof(last8));
	return hw_cqe_decode(&cqe);
}

/* Add the syndromes to what gda_dev_load_cqe() returned. */
GDA_DEV void gda_dev_load_syndrome(const uint8_t *at, struct hw_cqe_info *info)
{
	uint64_t from48 = gda_order_load_cqe_details(at + 48);
	struct hw_err_cqe cqe;

	memcpy((uint8_t *)&cqe + 48, &from48, sizeof(from48));
	info->syndrome = cqe.syndrome;
	info->vendor_syndrome = cqe.vendor_err_synd;
}

GDA_DEV void gda_dev_set_completed(struct gda_dev_qp *qp, uint64_t value)
{
	if (qp->shared)
		gda_dev_raise(qp, &qp->completed, value);
	else
		gda_dev_store(qp, &qp->completed, value);
}

/*
 * An error CQE: the queue pair is broken for good. The first thread that sees
 * it writes the failure record. WQEs before the failed one have succeeded,
 * unless the CQE is a flush: in a collapsed CQ it may have replaced the CQE
 * of the WQE that really failed.
 */
GDA_DEV_SLOW int gda_dev_fail(struct gda_dev_qp *qp, const uint8_t *at,
			      struct hw_cqe_info *info)
{
	uint64_t from, index;

	if (!gda_order_try_take(&qp->failure_taken))
		return GDA_DEV_EIO;
	gda_dev_load_syndrome(at, info);
	from = gda_dev_load(qp, &qp->completed);
	index = from + (uint16_t)(info->wqe_counter - from);
	qp->failure_code = GDA_DEV_EIO;
	qp->failure_index = index;
	qp->failure_syndrome = info->syndrome;
	qp->failure_vendor = info->vendor_syndrome;
	qp->failure_opcode = info->wqe_opcode;
	if (info->syndrome != HW_SYND_WR_FLUSH &&
	    index < gda_dev_load(qp, &qp->posted))
		gda_dev_set_completed(qp, index);
	gda_order_store_counter(&qp->error, GDA_DEV_BROKEN);
	return GDA_DEV_EIO;
}

/*
 * The CQE only moves forward, so the 16-bit distance from a counter that was
 * loaded before it is exact, or too small if this thread slept for 2^16
 * blocks: never too large.
 */
GDA_DEV int gda_dev_poll_collapsed(struct gda_dev_qp *qp)
{
	uint64_t from = gda_dev_load(qp, &qp->completed);
	struct hw_cqe_info info = gda_dev_load_cqe(qp->cq);
	uint64_t done;

	if (info.opcode == HW_CQE_INVALID)
		return 0;
	if (hw_cqe_is_error(info.opcode))
		return gda_dev_fail(qp, qp->cq, &info);
	done = from + (uint16_t)(info.wqe_counter + 1 - from);
	if (done == from || done > gda_dev_load(qp, &qp->posted))
		return 0;
	gda_dev_set_completed(qp, done);
	return 1;
}

/*
 * Who moves the consumer from a CQE to the next owns it: only then is what
 * was read known to be of this lap. The counter was loaded after the consumer
 * index, so it lags the CQE by 1 to 2^16 blocks (twice the largest depth).
 */
GDA_DEV int gda_dev_poll_ring(struct gda_dev_qp *qp)
{
	uint64_t at = gda_dev_load(qp, &qp->cq_consumer);
	uint64_t from = gda_dev_load(qp, &qp->completed);
	uint64_t slot = at & ((1ull << qp->cq_depth_log2) - 1);
	const uint8_t *cqe = qp->cq + slot * HW_CQE_BYTES;
	struct hw_cqe_info info = gda_dev_load_cqe(cqe);
	uint64_t done;

	if (info.opcode == HW_CQE_INVALID ||
	    info.owner != (at >> qp->cq_depth_log2 & 1))
		return 0;
	if (hw_cqe_is_error(info.opcode))
		return gda_dev_fail(qp, cqe, &info);
	if (!qp->shared)
		gda_dev_store(qp, &qp->cq_consumer, at + 1);
	else if (!gda_dev_cas(qp, &qp->cq_consumer, at, at + 1))
		return 1;
	done = from + 1 + (uint16_t)(info.wqe_counter - from);
	if (done > gda_dev_load(qp, &qp->posted))
		return 0;
	gda_dev_set_completed(qp, done);
	return 1;
}

/*
 * Look once. Returns 1 if there may be more to see at once, 0 if nothing is
 * new, GDA_DEV_EIO for an error CQE. A CQE whose index is outside
 * (completed, posted] is not believed.
 */
GDA_DEV int gda_dev_poll(struct gda_dev_qp *qp)
{
	return qp->cq_ring ? gda_dev_poll_ring(qp) : gda_dev_poll_collapsed(qp);
}

/*
 * Wait until all blocks before index, which have been rung, are done. Returns
 * 0, GDA_DEV_EIO, GDA_DEV_ESHUTDOWN or GDA_DEV_ETIMEDOUT.
 */
GDA_DEV_SLOW int gda_dev_wait_done(const struct gda_dev *dev,
				   struct gda_dev_qp *qp, uint64_t index)
{
	struct gda_dev_wait wait = {0, 0};
	int rc;

	while (gda_dev_load(qp, &qp->completed) < index) {
		rc = gda_dev_verdict(qp);
		if (rc)
			return rc;
		rc = gda_dev_poll(qp);
		if (rc)
			continue;
		rc = gda_dev_wait_round(dev, &wait);
		if (rc)
			return rc;
	}
	return 0;
}

#endif
