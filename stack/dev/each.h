/* SPDX-License-Identifier: MIT */
/*
 * Many requests at once: each member of a group brings one, they are written
 * side by side behind one reservation, and announced by one doorbell.
 *
 * Only the last of them asks for a completion: it stands for all, because a
 * queue pair executes in order.
 *
 * Source of truth: NVSHMEM's ibgda_device.cuh, which joins the lanes of a warp
 * in the same way when all go to one queue pair.
 * Thread: all members of the group.
 */
#ifndef GDA_DEV_EACH_H
#define GDA_DEV_EACH_H

#include "stack/dev/group.h"
#include "stack/dev/request.h"

/* What one member brings: a request, and maybe a second that follows it. */
struct gda_dev_bundle {
	struct gda_dev_request first, second;
	struct gda_dev_qp *qp;
	uint32_t blocks; /* of both; the same for all members */
	bool has_second;
	bool is_empty;
	bool is_last; /* of its turn: completes for all */
	uint64_t end; /* of its turn's blocks; 0 until they are taken */
};

/* Blocks of a request, with the NOP of a long one. */
GDA_DEV uint32_t gda_dev_request_blocks(const struct gda_dev_request *request)
{
	return gda_dev_atomic_blocks(request);
}

/* Write any request. */
GDA_DEV void gda_dev_post(struct gda_dev_qp *qp, uint64_t index,
			  const struct gda_dev_request *request)
{
	if (request->is_inline)
		gda_dev_post_inline(qp, index, request);
	else if (request->opcode == HW_OP_RDMA_WRITE ||
		 request->opcode == HW_OP_RDMA_READ)
		gda_dev_post_rma(qp, index, request);
	else
		gda_dev_post_atomic(qp, index, request);
}

GDA_DEV void gda_dev_post_bundle(struct gda_dev_qp *qp, uint64_t index,
				 struct gda_dev_bundle *bundle)
{
	uint8_t ce = bundle->is_last ? HW_CE_ALWAYS : HW_CE_ERROR_ONLY;

	bundle->first.ce = bundle->has_second ? (uint8_t)HW_CE_ERROR_ONLY : ce;
	bundle->second.ce = ce;
	gda_dev_post(qp, index, &bundle->first);
	if (bundle->has_second)
		gda_dev_post(qp, index + gda_dev_request_blocks(&bundle->first),
			     &bundle->second);
}

/* The leader takes blocks; every member learns where, or the error. */
GDA_DEV int gda_dev_reserve_together(const struct gda_dev *dev,
				     const struct gda_dev_group *group,
				     struct gda_dev_qp *qp, uint32_t blocks,
				     uint64_t *base)
{
	int64_t answer = 0;
	int rc;

	*base = 0;
	if (group->rank == 0) {
		rc = gda_dev_reserve(dev, qp, blocks, base);
		answer = rc ? rc : (int64_t)*base;
	}
	/* A counter of blocks never reaches 2^63: below 0 is an error. */
	answer = (int64_t)gda_dev_group_share(group, (uint64_t)answer);
	*base = (uint64_t)answer;
	return answer < 0 ? (int)answer : 0;
}

/* All bundles for which is_mine is set go to qp. */
GDA_DEV int gda_dev_post_to(const struct gda_dev *dev,
			    const struct gda_dev_group *group,
			    struct gda_dev_qp *qp,
			    struct gda_dev_bundle *bundle, bool is_mine)
{
	uint32_t total, rank = gda_dev_group_count(group, is_mine, &total);
	uint32_t each = bundle->blocks, room = qp->depth / each;
	uint32_t first, count;
	uint64_t base;
	int rc = 0;

	for (first = 0; !rc && first < total; first += count) {
		count = total - first < room ? total - first : room;
		rc = gda_dev_reserve_together(dev, group, qp, count * each,
					      &base);
		if (rc)
			return rc;
		if (is_mine && rank - first < count) {
			bundle->is_last = rank - first == count - 1;
			bundle->end = base + count * each;
			gda_dev_post_bundle(qp, base + (rank - first) * each,
					    bundle);
		}
		/* All are written before the leader says so. */
		gda_dev_group_sync(group);
		if (group->rank == 0)
			rc = gda_dev_submit(dev, qp, base, base + count * each,
					    false);
		rc = (int)(int64_t)gda_dev_group_share(group,
						       (uint64_t)(int64_t)rc);
	}
	return rc;
}

/* Lanes may go to different queue pairs: one after the other. */
GDA_DEV int gda_dev_post_lanes(const struct gda_dev *dev,
			       const struct gda_dev_group *group,
			       struct gda_dev_bundle *bundle)
{
	bool pending = !bundle->is_empty, is_mine;
	uint32_t lanes = gda_dev_ballot(group->mask, pending);
	struct gda_dev_qp *qp;
	int rc = 0;

	while (!rc && lanes) {
		qp = (struct gda_dev_qp *)(uintptr_t)gda_dev_lane_value(
			group->mask, (uintptr_t)bundle->qp,
			gda_dev_lowest_bit(lanes));
		is_mine = pending && bundle->qp == qp;
		rc = gda_dev_post_to(dev, group, qp, bundle, is_mine);
		pending = pending && !is_mine;
		lanes = gda_dev_ballot(group->mask, pending);
	}
	return rc;
}

/*
 * Have all members found their arguments good? rc is this one's verdict.
 * Threads of a block, empty-handed ones too, all go to one queue pair.
 */
GDA_DEV int gda_dev_agree_each(const struct gda_dev_group *group,
			       const struct gda_dev_bundle *bundle, int rc)
{
	uint64_t qp;

	if (bundle->is_empty)
		rc = 0;
	if (gda_dev_group_share(group, bundle->blocks) != bundle->blocks && !rc)
		rc = GDA_DEV_EINVAL;
	if (group->scope == GDA_DEV_BLOCK) {
		qp = gda_dev_group_share(group, (uintptr_t)bundle->qp);
		if (qp != (uintptr_t)bundle->qp && !rc)
			rc = GDA_DEV_EINVAL;
	}
	return gda_dev_group_agree(group, rc);
}

/* Post what the members bring, who have agreed. */
GDA_DEV int gda_dev_post_agreed(const struct gda_dev *dev,
				const struct gda_dev_group *group,
				struct gda_dev_bundle *bundle)
{
	if (group->scope == GDA_DEV_WARP)
		return gda_dev_post_lanes(dev, group, bundle);
	return gda_dev_post_to(dev, group, bundle->qp, bundle,
			       !bundle->is_empty);
}

GDA_DEV int gda_dev_post_each(const struct gda_dev *dev,
			      const struct gda_dev_group *group,
			      struct gda_dev_bundle *bundle, int rc)
{
	rc = gda_dev_agree_each(group, bundle, rc);
	return rc ? rc : gda_dev_post_agreed(dev, group, bundle);
}

#endif
