/* SPDX-License-Identifier: MIT */
/*
 * The device API for warps and blocks, and for QP lanes chosen by them. What
 * stack/gda_dev.h says of operations, order and errors holds here too.
 *
 * Three kinds:
 *
 *   NAME_warp, NAME_block    one operation by all threads of the warp or the
 *                            block, which all pass the same arguments
 *   NAME_each                one operation by every member of a group, which
 *                            pass arguments of their own: one reservation, WQEs
 *                            written side by side, one doorbell
 *   gda_dev_lane_of_...      a lane for each block or warp
 *
 * All threads of the group must make the call. Before it, each may have
 * written a part of what is sent; after it, all see what has come. Every
 * member gets the same code back.
 *
 * A queue pair that is not shared may be used by a group as by one thread. A
 * member of another group must not use it at the same time.
 */
#ifndef GDA_DEV_GROUP_API_H
#define GDA_DEV_GROUP_API_H

#include "stack/dev/fetch_each.h"
#include "stack/gda_dev.h"

/* ------------------------------------------------------------------ lanes */

/* Block 0 gets lane 0, block 1 lane 1, and round again. */
GDA_DEV struct gda_dev gda_dev_lane_of_block(const struct gda_dev *dev)
{
	return gda_dev_lane(
		dev, (int)(gda_dev_block_index() % (uint32_t)dev->lanes));
}

/* As above, with the warps of all blocks counted through. */
GDA_DEV struct gda_dev gda_dev_lane_of_warp(const struct gda_dev *dev)
{
	uint32_t warps = (gda_dev_thread_count() + GDA_DEV_WARP_LANES - 1) /
			 GDA_DEV_WARP_LANES;
	uint32_t warp = gda_dev_block_index() * warps +
			gda_dev_thread_index() / GDA_DEV_WARP_LANES;

	return gda_dev_lane(dev, (int)(warp % (uint32_t)dev->lanes));
}

/* ------------------------------------------------------------------ quiet */

/* The members share out the queue pairs. */
GDA_DEV int gda_dev_quiet_group(const struct gda_dev *dev,
				const struct gda_dev_group *group)
{
	uint32_t lanes = dev->lane < 0 ? (uint32_t)dev->lanes : 1;
	uint32_t npes = (uint32_t)dev->npes, i;
	int lane, rc, first = 0;

	gda_dev_group_sync(group);
	for (i = group->rank; i < lanes * npes; i += group->size) {
		lane = dev->lane < 0 ? (int)(i / npes) : dev->lane;
		rc = gda_dev_quiet_qp(dev, (int)(i % npes), lane);
		if (rc && !first)
			first = rc;
	}
	return gda_dev_group_agree(group, first);
}

GDA_DEV int gda_dev_quiet_warp(const struct gda_dev *dev)
{
	struct gda_dev_group group = gda_dev_group_warp();

	return gda_dev_quiet_group(dev, &group);
}

GDA_DEV int gda_dev_quiet_block(const struct gda_dev *dev)
{
	struct gda_dev_group group = gda_dev_group_block();

	return gda_dev_quiet_group(dev, &group);
}

/* ---------------------------------------------- an operation by each member */

/*
 * Every member puts (or gets) copy->len bytes, at most 2^30; none for a length
 * of 0. Lanes of a warp may name different PEs; threads of a block all name
 * the same, those with nothing to do as well. As put_nbi: complete after quiet.
 */
GDA_DEV int gda_dev_copy_each(const struct gda_dev *dev,
			      const struct gda_dev_group *group,
			      const struct gda_dev_copy *copy)
{
	struct gda_dev_bundle bundle;
	int rc;

	memset(&bundle, 0, sizeof(bundle));
	rc = gda_dev_set_copy(dev, copy, &bundle.first);
	if (!rc && copy->len > GDA_DEV_CHUNK_BYTES)
		rc = GDA_DEV_EINVAL;
	bundle.qp = rc ? dev->qps : gda_dev_qp_to(dev, copy->pe);
	bundle.first.len = (uint32_t)copy->len;
	bundle.blocks = 1;
	bundle.is_empty = copy->len == 0;
	return gda_dev_post_each(dev, group, &bundle, rc);
}

GDA_DEV int gda_dev_put_each(const struct gda_dev *dev,
			     const struct gda_dev_group *group,
			     const struct gda_dev_copy *copy)
{
	struct gda_dev_copy put = *copy;

	put.opcode = HW_OP_RDMA_WRITE;
	return gda_dev_copy_each(dev, group, &put);
}

GDA_DEV int gda_dev_get_each(const struct gda_dev *dev,
			     const struct gda_dev_group *group,
			     const struct gda_dev_copy *copy)
{
	struct gda_dev_copy get = *copy;

	get.opcode = HW_OP_RDMA_READ;
	return gda_dev_copy_each(dev, group, &get);
}

/* As gda_dev_put_each, each with a signal behind it; all of one op. The data
 * and its signal go to copy->pe, which is signal->pe. */
GDA_DEV int gda_dev_put_signal_each(const struct gda_dev *dev,
				    const struct gda_dev_group *group,
				    const struct gda_dev_copy *copy,
				    const struct gda_dev_signal *signal)
{
	struct gda_dev_copy put = *copy;
	struct gda_dev_bundle bundle;
	int rc;

	memset(&bundle, 0, sizeof(bundle));
	put.opcode = HW_OP_RDMA_WRITE;
	bundle.qp = dev->qps;
	rc = gda_dev_set_copy(dev, &put, &bundle.first);
	if (!rc)
		rc = gda_dev_set_signal(dev, signal, &bundle.second);
	if (!rc && (signal->pe != copy->pe || copy->len > GDA_DEV_CHUNK_BYTES))
		rc = GDA_DEV_EINVAL;
	if (!rc)
		bundle.qp = gda_dev_qp_to(dev, copy->pe);
	bundle.first.len = (uint32_t)copy->len;
	bundle.blocks = signal->op == GDA_DEV_SIGNAL_ADD ? 2 : 4;
	bundle.has_second = true;
	bundle.is_empty = copy->len == 0;
	return gda_dev_post_each(dev, group, &bundle, rc);
}

/* Every member stores the first len <= 8 bytes of value at sym of pe. */
GDA_DEV int gda_dev_put_value_each(const struct gda_dev *dev,
				   const struct gda_dev_group *group,
				   const struct gda_dev_copy *copy,
				   uint64_t value)
{
	struct gda_dev_bundle bundle;
	int rc;

	memset(&bundle, 0, sizeof(bundle));
	bundle.first.opcode = HW_OP_RDMA_WRITE;
	bundle.first.is_inline = 1;
	bundle.first.len = (uint32_t)copy->len;
	bundle.first.value = value;
	bundle.blocks = 1;
	bundle.is_empty = copy->len == 0;
	rc = gda_dev_set_remote(dev, copy->sym, copy->len, copy->pe,
				&bundle.first);
	if (!rc && copy->len > sizeof(value))
		rc = GDA_DEV_EINVAL;
	bundle.qp = rc ? dev->qps : gda_dev_qp_to(dev, copy->pe);
	return gda_dev_post_each(dev, group, &bundle, rc);
}

/* Every member's atomic, without result; all of one kind and length. */
GDA_DEV int gda_dev_atomic_each(const struct gda_dev *dev,
				const struct gda_dev_group *group,
				const struct gda_dev_atomic_call *call,
				bool is_empty)
{
	struct gda_dev_bundle bundle;
	int rc;

	memset(&bundle, 0, sizeof(bundle));
	rc = gda_dev_set_call(dev, call, false, &bundle.first);
	bundle.qp = rc ? dev->qps : gda_dev_qp_to(dev, call->pe);
	bundle.first.laddr = bundle.qp->sink;
	bundle.first.lkey = dev->heap_lkey;
	bundle.blocks = gda_dev_request_blocks(&bundle.first);
	bundle.is_empty = is_empty;
	return gda_dev_post_each(dev, group, &bundle, rc);
}

/* ------------------------------------------------- a result for each member */

/*
 * One operation by every member, and a result for each, which is there when
 * the call returns. Lanes of a warp may name different PEs; threads of a block
 * all name the same. Members with nothing to do do so as well, whatever
 * address they bring; their result stays as it is.
 *
 * Cost: for each queue pair one reservation, one doorbell, whatever the batch,
 * and one wait; a warp waits for its queue pairs at the same time. A result
 * needs one of the queue pair's slots (gda_config.fetch_slots) and a place in
 * the queue. With slots for s of n members they go in n / s turns, each with
 * a doorbell and a round trip of its own: have as many as members. Slots that
 * others hold are waited for with empty hands, so turns may also be smaller,
 * and members served in any order.
 *
 * Every member gets the same code back. On an error all results stay as they
 * are, but some operations may have been executed, unless it is one of the
 * first two:
 *
 *   GDA_DEV_EINVAL      a member's PE, length or alignment; atomics of different
 *                       size in the queue; a block's threads name several PEs
 *   GDA_DEV_EFAULT      a member's address
 *   GDA_DEV_EIO, GDA_DEV_ESHUTDOWN   as the queue pair's verdict is
 *   GDA_DEV_ETIMEDOUT   no slot, no room, or no completion. Slots that the NIC
 *                       may still write to stay taken for good
 */

/* Any, if there is no such PE. */
GDA_DEV struct gda_dev_qp *gda_dev_qp_named(const struct gda_dev *dev, int pe)
{
	return gda_dev_qp_to(dev, pe < 0 || pe >= dev->npes ? 0 : pe);
}

/* Every member reads the copy->len bytes at sym of pe, 1 to 8; none for a
 * length of 0. *value: those bytes, and zeros above them. */
GDA_DEV int gda_dev_get_value_each(const struct gda_dev *dev,
				   const struct gda_dev_group *group,
				   const struct gda_dev_copy *copy,
				   uint64_t *value)
{
	struct gda_dev_bundle bundle;
	uint64_t raw = 0;
	int rc;

	memset(&bundle, 0, sizeof(bundle));
	bundle.first.opcode = HW_OP_RDMA_READ;
	bundle.first.len = (uint32_t)copy->len;
	bundle.blocks = 1;
	bundle.is_empty = copy->len == 0;
	rc = gda_dev_set_remote(dev, copy->sym, copy->len, copy->pe,
				&bundle.first);
	if (!rc && copy->len > sizeof(raw))
		rc = GDA_DEV_EINVAL;
	bundle.qp = gda_dev_qp_named(dev, copy->pe);
	rc = gda_dev_fetch_each(dev, group, &bundle, rc, &raw);
	if (!rc && copy->len)
		*value = raw & (~0ull >> (64 - 8 * copy->len));
	return rc;
}

/* Every member's atomic of 4 or 8 bytes; all of one kind and length, those
 * of empty-handed members as well. *old: what was there before. */
GDA_DEV int gda_dev_atomic_fetch_each(const struct gda_dev *dev,
				      const struct gda_dev_group *group,
				      const struct gda_dev_atomic_call *call,
				      bool is_empty, uint64_t *old)
{
	struct gda_dev_bundle bundle;
	uint64_t raw = 0;
	int rc;

	memset(&bundle, 0, sizeof(bundle));
	rc = gda_dev_set_call(dev, call, true, &bundle.first);
	if (!rc && call->len != 4 && call->len != 8)
		rc = GDA_DEV_EINVAL;
	bundle.qp = gda_dev_qp_named(dev, call->pe);
	bundle.blocks = gda_dev_request_blocks(&bundle.first);
	bundle.is_empty = is_empty;
	rc = gda_dev_fetch_each(dev, group, &bundle, rc, &raw);
	if (!rc && !is_empty)
		*old = gda_dev_atomic_result(dev, call->len, raw);
	return rc;
}

/* ----------------------------------------------------------------- errors */

/*
 * The error CQE of a queue pair, for a kernel to pass on; the host's
 * gda_error_string() makes words of it. Code 0: the queue pair is sound.
 */
GDA_DEV int gda_dev_qp_error(const struct gda_dev *dev, int pe, int lane,
			     struct gda_qp_error *error)
{
	const struct gda_dev_qp *qp;

	memset(error, 0, sizeof(*error));
	if (pe < 0 || pe >= dev->npes || lane < 0 || lane >= dev->lanes)
		return GDA_DEV_EINVAL;
	qp = gda_dev_qp_of(dev, pe, lane);
	error->peer = (uint32_t)pe;
	error->lane = (uint32_t)lane;
	error->qpn = qp->qpn;
	if (!gda_order_load_counter(&qp->error))
		return 0;
	error->code = qp->failure_code;
	error->wqe_index = (uint16_t)qp->failure_index;
	error->syndrome = qp->failure_syndrome;
	error->vendor_syndrome = qp->failure_vendor;
	error->wqe_opcode = qp->failure_opcode;
	return 0;
}

/* ------------------------------------------- one operation, by its leader */

/*
 * For NAME that stack/gda_dev.h has: NAME_warp and NAME_block. The first sync
 * puts the members' stores before what the leader announces.
 */
#define GDA_DEV_LED_AT(name, scope, params, args)                              \
	GDA_DEV int name##_##scope params                                      \
	{                                                                      \
		struct gda_dev_group group = gda_dev_group_##scope();          \
		int rc = 0;                                                    \
                                                                               \
		gda_dev_group_sync(&group);                                    \
		if (group.rank == 0)                                           \
			rc = name args;                                        \
		return (int)(int64_t)gda_dev_group_share(                      \
			&group, (uint64_t)(int64_t)rc);                        \
	}
#define GDA_DEV_LED(name, params, args)                                        \
	GDA_DEV_LED_AT(name, warp, params, args)                               \
	GDA_DEV_LED_AT(name, block, params, args)

GDA_DEV_LED(gda_dev_put,
	    (const struct gda_dev *dev, void *dest, const void *source,
	     uint64_t len, int pe),
	    (dev, dest, source, len, pe))
GDA_DEV_LED(gda_dev_put_nbi,
	    (const struct gda_dev *dev, void *dest, const void *source,
	     uint64_t len, int pe),
	    (dev, dest, source, len, pe))
GDA_DEV_LED(gda_dev_get,
	    (const struct gda_dev *dev, void *dest, const void *source,
	     uint64_t len, int pe),
	    (dev, dest, source, len, pe))
GDA_DEV_LED(gda_dev_get_nbi,
	    (const struct gda_dev *dev, void *dest, const void *source,
	     uint64_t len, int pe),
	    (dev, dest, source, len, pe))
GDA_DEV_LED(gda_dev_put_signal,
	    (const struct gda_dev *dev, void *dest, const void *source,
	     uint64_t len, const struct gda_dev_signal *signal),
	    (dev, dest, source, len, signal))
GDA_DEV_LED(gda_dev_put_signal_nbi,
	    (const struct gda_dev *dev, void *dest, const void *source,
	     uint64_t len, const struct gda_dev_signal *signal),
	    (dev, dest, source, len, signal))
GDA_DEV_LED(gda_dev_signal_op,
	    (const struct gda_dev *dev, const struct gda_dev_signal *signal),
	    (dev, signal))
GDA_DEV_LED(gda_dev_quiet_pe, (const struct gda_dev *dev, int pe), (dev, pe))
GDA_DEV_LED(gda_dev_quiet_qp, (const struct gda_dev *dev, int pe, int lane),
	    (dev, pe, lane))
GDA_DEV_LED(gda_dev_flush, (const struct gda_dev *dev), (dev))
GDA_DEV_LED(gda_dev_fence, (const struct gda_dev *dev), (dev))
GDA_DEV_LED(gda_dev_barrier, (const struct gda_dev *dev), (dev))

#define GDA_DEV_LED_WAIT(suffix, type)                                         \
	GDA_DEV_LED(gda_dev_wait_until_##suffix,                               \
		    (const struct gda_dev *dev, const type *addr,              \
		     enum gda_dev_cmp cmp, type value),                        \
		    (dev, addr, cmp, value))
GDA_DEV_LED_WAIT(u32, uint32_t)
GDA_DEV_LED_WAIT(u64, uint64_t)
GDA_DEV_LED_WAIT(i32, int32_t)
GDA_DEV_LED_WAIT(i64, int64_t)

#define GDA_DEV_LED_P(suffix, type)                                            \
	GDA_DEV_LED(                                                           \
		gda_dev_p_##suffix,                                            \
		(const struct gda_dev *dev, type *dest, type value, int pe),   \
		(dev, dest, value, pe))
GDA_DEV_LED_P(u8, uint8_t)
GDA_DEV_LED_P(u16, uint16_t)
GDA_DEV_LED_P(u32, uint32_t)
GDA_DEV_LED_P(u64, uint64_t)
GDA_DEV_LED_P(float, float)
GDA_DEV_LED_P(double, double)

/* Operations with a result: every member gets it. */
#define GDA_DEV_LED_RESULT_AT(name, scope, params, args, type, result)         \
	GDA_DEV int name##_##scope params                                      \
	{                                                                      \
		struct gda_dev_group group = gda_dev_group_##scope();          \
		type value = *(result);                                        \
		uint64_t raw = 0;                                              \
		int rc = 0;                                                    \
                                                                               \
		gda_dev_group_sync(&group);                                    \
		if (group.rank == 0) {                                         \
			rc = name args;                                        \
			memcpy(&raw, &value, sizeof(value));                   \
		}                                                              \
		raw = gda_dev_group_share(&group, raw);                        \
		rc = (int)(int64_t)gda_dev_group_share(&group,                 \
						       (uint64_t)(int64_t)rc); \
		if (!rc)                                                       \
			memcpy(result, &raw, sizeof(value));                   \
		return rc;                                                     \
	}
#define GDA_DEV_LED_RESULT(name, params, args, type, result)                   \
	GDA_DEV_LED_RESULT_AT(name, warp, params, args, type, result)          \
	GDA_DEV_LED_RESULT_AT(name, block, params, args, type, result)

#define GDA_DEV_LED_G(suffix, type)                                            \
	GDA_DEV_LED_RESULT(gda_dev_g_##suffix,                                 \
			   (const struct gda_dev *dev, const type *source,     \
			    type *result, int pe),                             \
			   (dev, source, &value, pe), type, result)
GDA_DEV_LED_G(u8, uint8_t)
GDA_DEV_LED_G(u16, uint16_t)
GDA_DEV_LED_G(u32, uint32_t)
GDA_DEV_LED_G(u64, uint64_t)
GDA_DEV_LED_G(float, float)
GDA_DEV_LED_G(double, double)

#define GDA_DEV_LED_ATOMIC(suffix, type, name, fetch_name)                     \
	GDA_DEV_LED(                                                           \
		gda_dev_atomic_##name##_##suffix,                              \
		(const struct gda_dev *dev, type *dest, type operand, int pe), \
		(dev, dest, operand, pe))                                      \
	GDA_DEV_LED_RESULT(gda_dev_atomic_##fetch_name##_##suffix,             \
			   (const struct gda_dev *dev, type *dest,             \
			    type operand, int pe, type *old),                  \
			   (dev, dest, operand, pe, &value), type, old)

#define GDA_DEV_LED_ATOMICS(suffix, type)                                      \
	GDA_DEV_LED_ATOMIC(suffix, type, add, fetch_add)                       \
	GDA_DEV_LED_ATOMIC(suffix, type, and, fetch_and)                       \
	GDA_DEV_LED_ATOMIC(suffix, type, or, fetch_or)                         \
	GDA_DEV_LED_ATOMIC(suffix, type, xor, fetch_xor)                       \
	GDA_DEV_LED_ATOMIC(suffix, type, set, swap)                            \
	GDA_DEV_LED(gda_dev_atomic_inc_##suffix,                               \
		    (const struct gda_dev *dev, type *dest, int pe),           \
		    (dev, dest, pe))                                           \
	GDA_DEV_LED_RESULT(                                                    \
		gda_dev_atomic_fetch_inc_##suffix,                             \
		(const struct gda_dev *dev, type *dest, int pe, type *old),    \
		(dev, dest, pe, &value), type, old)                            \
	GDA_DEV_LED_RESULT(gda_dev_atomic_fetch_##suffix,                      \
			   (const struct gda_dev *dev, const type *source,     \
			    int pe, type *result),                             \
			   (dev, source, pe, &value), type, result)            \
	GDA_DEV_LED_RESULT(gda_dev_atomic_compare_swap_##suffix,               \
			   (const struct gda_dev *dev, type *dest,             \
			    type *expected, type desired, int pe),             \
			   (dev, dest, &value, desired, pe), type, expected)

GDA_DEV_LED_ATOMICS(u32, uint32_t)
GDA_DEV_LED_ATOMICS(u64, uint64_t)

#endif
