/* SPDX-License-Identifier: MIT */
/*
 * Results for many: each member of a group brings one request whose result
 * lands in a slot, and all wait together.
 *
 * Members go in turns. In a turn those that find a slot free post, side by
 * side and behind one doorbell as in each.h; the last of them waits; each
 * reads its slot and gives it back. Who holds a slot waits for nothing but
 * the NIC, and who waits for a slot holds none: groups that share a queue pair
 * cannot block each other.
 *
 * Thread: all members of the group.
 */
#ifndef GDA_DEV_FETCH_EACH_H
#define GDA_DEV_FETCH_EACH_H

#include "stack/dev/each.h"

/* How many members may post in one turn: no more than find room at once. */
GDA_DEV uint32_t gda_dev_turn_size(const struct gda_dev_bundle *bundle)
{
	uint32_t room = bundle->qp->depth / bundle->blocks;

	return room < bundle->qp->slot_count ? room : bundle->qp->slot_count;
}

/*
 * A slot for the member that waits behind rank others, or NULL: then not in
 * this turn. The first of those who wait lets time pass, and is the one whose
 * patience counts.
 */
GDA_DEV_SLOW int gda_dev_ask_slot(const struct gda_dev *dev,
				  struct gda_dev_qp *qp, uint32_t rank,
				  struct gda_dev_wait *wait,
				  struct gda_dev_slot **slot)
{
	int rc = gda_dev_verdict(qp);

	if (!rc && gda_dev_try_slot(qp, rank, slot))
		return 0;
	*slot = 0;
	return rc || rank ? rc : gda_dev_wait_round(dev, wait);
}

/*
 * One turn: post for those with a slot, and wait. Who posted last to a queue
 * pair waits for it, also when another queue pair has failed: it is then that
 * slots are free again. rc is what asking for one returned.
 */
GDA_DEV int gda_dev_fetch_turn(const struct gda_dev *dev,
			       const struct gda_dev_group *group,
			       struct gda_dev_bundle *bundle,
			       struct gda_dev_slot *slot, int rc)
{
	int posted;

	bundle->end = 0;
	bundle->is_empty = !slot;
	if (slot)
		bundle->first.laddr = (uint64_t)(uintptr_t)&slot->value;
	bundle->first.lkey = dev->heap_lkey;
	posted = gda_dev_post_agreed(dev, group, bundle);
	if (bundle->end && bundle->is_last) {
		rc = gda_dev_ring(dev, bundle->qp, bundle->end);
		if (!rc)
			rc = gda_dev_wait_done(dev, bundle->qp, bundle->end);
	}
	return gda_dev_group_agree(group, posted ? posted : rc);
}

/* May the NIC still write the result of what ends at end? Not on a queue pair
 * that is done with it, or broken. */
GDA_DEV bool gda_dev_is_in_flight(const struct gda_dev_qp *qp, uint64_t end)
{
	return gda_dev_load(qp, &qp->completed) < end &&
	       gda_dev_verdict(qp) != GDA_DEV_EIO;
}

/*
 * What each member fetches, after all have found their arguments good (rc is
 * this one's verdict). *raw as it lies in the slot: some bytes may be old.
 */
GDA_DEV int gda_dev_fetch_each(const struct gda_dev *dev,
			       const struct gda_dev_group *group,
			       struct gda_dev_bundle *bundle, int rc,
			       uint64_t *raw)
{
	bool pending = !bundle->is_empty;
	struct gda_dev_wait wait = {0, 0};
	struct gda_dev_slot *slot;
	uint32_t rank, left;

	rc = gda_dev_agree_each(group, bundle, rc);
	if (rc)
		return rc;
	rank = gda_dev_group_count(group, pending, &left);
	while (!rc && left) {
		slot = 0;
		if (pending && rank < gda_dev_turn_size(bundle))
			rc = gda_dev_ask_slot(dev, bundle->qp, rank, &wait,
					      &slot);
		rc = gda_dev_fetch_turn(dev, group, bundle, slot, rc);
		if (slot && !gda_dev_is_in_flight(bundle->qp, bundle->end)) {
			*raw = gda_order_load_signal_64(&slot->value);
			gda_order_give_back(&slot->taken);
		}
		pending = pending && !slot;
		rank = gda_dev_group_count(group, pending, &left);
	}
	return rc;
}

#endif
