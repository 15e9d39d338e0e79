/* SPDX-License-Identifier: MIT */
/*
 * Take send-queue blocks for WQEs that are about to be written.
 *
 * Data path: START -> [stack/dev/reserve.h] -> stack/dev/post.h
 *
 * Blocks are taken only when they are free, so a wait that ends in a timeout
 * or an error leaves no hole in the queue, and whoever has taken blocks can
 * fill them without waiting again.
 *
 * Source of truth: the reservation of UCX rc_gda, which also refuses rather
 * than overruns; NVSHMEM and DOCA take first and wait then.
 * Thread: any number if the QP is shared, else its owner.
 */
#ifndef GDA_DEV_RESERVE_H
#define GDA_DEV_RESERVE_H

#include "stack/dev/doorbell.h"
#include "stack/dev/poll.h"

/*
 * Take count blocks if they are free: true and *base. Another thread may be
 * faster; then there is one more try, as long as there is room.
 */
GDA_DEV bool gda_dev_try_reserve(struct gda_dev_qp *qp, uint32_t count,
				 uint64_t *base)
{
	uint64_t completed, head;

	do {
		/* Of two moments, head may be behind completed: it looks full,
		 * or the claim fails. */
		completed = gda_dev_peek(qp, &qp->completed);
		head = gda_dev_peek(qp, &qp->reserved);
		if (head + count - completed > qp->depth)
			return false;
	} while (qp->shared &&
		 !gda_dev_claim(qp, &qp->reserved, head, head + count));
	if (!qp->shared)
		gda_dev_note(qp, &qp->reserved, head + count);
	*base = head;
	return true;
}

/* The queue is full, or was a moment ago. Returns the base, or an error. */
GDA_DEV_SLOW int64_t gda_dev_reserve_slow(const struct gda_dev *dev,
					  struct gda_dev_qp *qp, uint32_t count)
{
	struct gda_dev_wait wait = {0, 0};
	uint64_t ready, base;
	int rc;

	for (;;) {
		rc = gda_dev_verdict(qp);
		if (rc)
			return rc;
		/* A counter of blocks never reaches 2^63. */
		if (gda_dev_try_reserve(qp, count, &base))
			return (int64_t)base;
		/* What was never announced would never complete. */
		ready = gda_dev_load(qp, &qp->ready);
		if (gda_dev_load(qp, &qp->posted) < ready) {
			rc = gda_dev_ring(dev, qp, ready);
			if (rc)
				return rc;
		}
		if (gda_dev_poll(qp))
			continue;
		rc = gda_dev_wait_round(dev, &wait);
		if (rc)
			return rc;
	}
}

/*
 * Take count <= depth blocks, waiting for completions if the queue is full.
 * Returns 0 and *base, GDA_DEV_ETIMEDOUT, or the queue pair's verdict.
 */
GDA_DEV int gda_dev_reserve(const struct gda_dev *dev, struct gda_dev_qp *qp,
			    uint32_t count, uint64_t *base)
{
	int64_t answer = gda_dev_verdict(qp);

	if (answer)
		return (int)answer;
	if (gda_dev_try_reserve(qp, count, base))
		return 0;
	answer = gda_dev_reserve_slow(dev, qp, count);
	*base = (uint64_t)answer;
	return answer < 0 ? (int)answer : 0;
}

#endif
