/* SPDX-License-Identifier: MIT */
/*
 * The stack's device API: what a kernel calls. GPU threads, and CPU threads
 * that run the same source, post WQEs and poll CQEs themselves.
 *
 * Addresses. A *symmetric* address is one in this PE's heap (gda_malloc); it
 * names the object at the same heap offset of any PE, this one included. A
 * *local* address lies in the heap or in a registered buffer.
 *
 * Completion. put and get return when the source may be reused and the result
 * is there. The _nbi forms, p, signals and atomics without a result return
 * once they are in the queue; the source of put_nbi stays untouched until
 * gda_dev_quiet(). With batching (gda_config.batch) they may not even have
 * begun before quiet, flush, a barrier or a blocking operation to that PE:
 * call gda_dev_flush() before waiting for what a peer does in return.
 *
 * Order. Writes, signals and atomics to one PE through one lane happen there
 * in the order of the calls. Nothing orders different PEs or lanes but quiet.
 *
 * Errors. Every function returns 0 or an error of enum gda_dev_error:
 *   GDA_DEV_EINVAL     no such PE or lane, misaligned atomic: nothing posted
 *   GDA_DEV_EFAULT     outside heap or buffers: nothing posted
 *   GDA_DEV_EIO        the queue pair got an error CQE, now or earlier; the
 *                      record is in gda_qp_error(). All later operations on
 *                      this queue pair return it at once, others go on
 *   GDA_DEV_ESHUTDOWN  gda_finalize() was called on the handle's PE. Kernels on
 *                      a GPU (gda_config.gpu) are told so; others may not use
 *                      the handle then
 *   GDA_DEV_ETIMEDOUT  gda_config.op_timeout_ms passed; the operation may
 *                      still happen
 *
 * Threads. gda_config.shared says who may use a lane at the same time: one
 * thread, the threads of one block, or all. Who has none to share needs one of
 * its own: gda_dev_lane, gda_dev_lane_of_block, gda_dev_lane_of_warp.
 * Scope: thread; for warps and blocks see stack/gda_dev_group.h.
 * Memory: rings and heap in host or GPU memory (gda_config.queue_place).
 */
#ifndef GDA_DEV_H
#define GDA_DEV_H

#include "stack/dev/request.h"

/* The handle bound to one lane. A lane that does not exist becomes lane 0. */
GDA_DEV struct gda_dev gda_dev_lane(const struct gda_dev *dev, int lane)
{
	struct gda_dev view = *dev;

	view.lane = lane >= 0 && lane < dev->lanes ? lane : 0;
	return view;
}

GDA_DEV int gda_dev_pe(const struct gda_dev *dev)
{
	return dev->pe;
}

GDA_DEV int gda_dev_npes(const struct gda_dev *dev)
{
	return dev->npes;
}

/*
 * 0, or GDA_DEV_ESHUTDOWN. For a kernel that looks at the heap by itself
 * before it makes any call.
 */
GDA_DEV int gda_dev_check(const struct gda_dev *dev)
{
	int rc = gda_dev_verdict(dev->qps);

	return rc == GDA_DEV_ESHUTDOWN ? rc : 0;
}

/* ---------------------------------------------------------- completion --- */

/*
 * Wait until everything that this PE has posted to pe through lane is done:
 * sources are reusable, results are there, writes are visible at pe.
 */
GDA_DEV int gda_dev_quiet_qp(const struct gda_dev *dev, int pe, int lane)
{
	struct gda_dev_qp *qp;
	uint64_t end;
	int rc;

	if (pe < 0 || pe >= dev->npes || lane < 0 || lane >= dev->lanes)
		return GDA_DEV_EINVAL;
	qp = gda_dev_qp_of(dev, pe, lane);
	rc = gda_dev_verdict(qp);
	if (rc)
		return rc;
	end = gda_dev_load(qp, &qp->ready);
	rc = gda_dev_ring(dev, qp, end);
	return rc ? rc : gda_dev_wait_done(dev, qp, end);
}

/*
 * As gda_dev_quiet_qp, for every lane of the view: one that gda_dev_lane()
 * bound has one lane, the handle itself has all (then, if lanes are not
 * shared, no other thread may be using one). Goes on after an error and
 * returns the first.
 */
GDA_DEV int gda_dev_quiet_pe(const struct gda_dev *dev, int pe)
{
	int lane = dev->lane < 0 ? 0 : dev->lane;
	int last = dev->lane < 0 ? dev->lanes - 1 : dev->lane;
	int rc, first = 0;

	for (; lane <= last; lane++) {
		rc = gda_dev_quiet_qp(dev, pe, lane);
		if (rc && !first)
			first = rc;
	}
	return first;
}

/* As gda_dev_quiet_pe, for all PEs. */
GDA_DEV int gda_dev_quiet(const struct gda_dev *dev)
{
	int pe, rc, first = 0;

	for (pe = 0; pe < dev->npes; pe++) {
		rc = gda_dev_quiet_pe(dev, pe);
		if (rc && !first)
			first = rc;
	}
	return first;
}

/* Begin everything that batching has held back on the view's lanes. */
GDA_DEV int gda_dev_flush(const struct gda_dev *dev)
{
	int lane = dev->lane < 0 ? 0 : dev->lane;
	int last = dev->lane < 0 ? dev->lanes - 1 : dev->lane;
	int64_t i = (int64_t)lane * dev->npes;
	int64_t end = ((int64_t)last + 1) * dev->npes;
	struct gda_dev_qp *qp;
	int rc;

	for (; i < end; i++) {
		qp = dev->qps + i;
		rc = gda_dev_ring(dev, qp, gda_dev_load(qp, &qp->ready));
		if (rc)
			return rc;
	}
	return 0;
}

/*
 * Writes, signals and atomics of this view before it reach each PE before
 * those after it. A bound view needs nothing: reliable connections execute
 * them in order. The handle with all lanes behaves as lane 0.
 */
GDA_DEV int gda_dev_fence(const struct gda_dev *dev)
{
	(void)dev;
	return 0;
}

/* --------------------------------------------------------- put and get --- */

/* Copy len bytes from local memory to symmetric address dest at pe. */
GDA_DEV int gda_dev_put(const struct gda_dev *dev, void *dest,
			const void *source, uint64_t len, int pe)
{
	struct gda_dev_copy copy = {dest, source, len, pe, HW_OP_RDMA_WRITE};

	return gda_dev_finish_copy(dev, &copy);
}

GDA_DEV int gda_dev_put_nbi(const struct gda_dev *dev, void *dest,
			    const void *source, uint64_t len, int pe)
{
	struct gda_dev_copy copy = {dest, source, len, pe, HW_OP_RDMA_WRITE};
	uint64_t end;

	return gda_dev_start_copy(dev, &copy, &end);
}

/* Copy len bytes from symmetric address source at pe to local memory. */
GDA_DEV int gda_dev_get(const struct gda_dev *dev, void *dest,
			const void *source, uint64_t len, int pe)
{
	struct gda_dev_copy copy = {source, dest, len, pe, HW_OP_RDMA_READ};

	return gda_dev_finish_copy(dev, &copy);
}

GDA_DEV int gda_dev_get_nbi(const struct gda_dev *dev, void *dest,
			    const void *source, uint64_t len, int pe)
{
	struct gda_dev_copy copy = {source, dest, len, pe, HW_OP_RDMA_READ};
	uint64_t end;

	return gda_dev_start_copy(dev, &copy, &end);
}

/* ------------------------------------------------------------- p and g --- */

/* len bytes of value into the queue itself: no source to keep untouched. */
GDA_DEV int gda_dev_put_value(const struct gda_dev *dev,
			      const struct gda_dev_copy *copy, uint64_t value,
			      bool urgent)
{
	struct gda_dev_request request;
	struct gda_dev_qp *qp;
	uint64_t base;
	int rc;

	memset(&request, 0, sizeof(request));
	request.opcode = HW_OP_RDMA_WRITE;
	request.ce = HW_CE_ALWAYS;
	request.len = (uint32_t)copy->len;
	request.value = value;
	rc = gda_dev_set_remote(dev, copy->sym, copy->len, copy->pe, &request);
	if (rc)
		return rc;
	qp = gda_dev_qp_to(dev, copy->pe);
	rc = gda_dev_reserve(dev, qp, 1, &base);
	if (rc)
		return rc;
	gda_dev_post_inline(qp, base, &request);
	return gda_dev_submit(dev, qp, base, base + 1, urgent);
}

GDA_DEV int gda_dev_get_value(const struct gda_dev *dev,
			      const struct gda_dev_copy *copy, uint64_t *value)
{
	struct gda_dev_request request;
	int rc;

	memset(&request, 0, sizeof(request));
	request.opcode = HW_OP_RDMA_READ;
	request.ce = HW_CE_ALWAYS;
	request.len = (uint32_t)copy->len;
	rc = gda_dev_set_remote(dev, copy->sym, copy->len, copy->pe, &request);
	if (rc)
		return rc;
	return gda_dev_fetch(dev, gda_dev_qp_to(dev, copy->pe), &request,
			     value);
}

/*
 * gda_dev_p_u32(dev, dest, value, pe): store one value at dest of pe; done
 * after quiet. gda_dev_g_u32(dev, source, &value, pe): load one. *value is
 * unchanged on error. Types: u8 u16 u32 u64 float double.
 */
#define GDA_DEV_P_AND_G(name, type)                                            \
	GDA_DEV int gda_dev_p_##name(const struct gda_dev *dev, type *dest,    \
				     type value, int pe)                       \
	{                                                                      \
		struct gda_dev_copy copy = {dest, 0, sizeof(type), pe, 0};     \
		uint64_t raw = 0;                                              \
                                                                               \
		memcpy(&raw, &value, sizeof(type));                            \
		return gda_dev_put_value(dev, &copy, raw, false);              \
	}                                                                      \
	GDA_DEV int gda_dev_g_##name(const struct gda_dev *dev,                \
				     const type *source, type *value, int pe)  \
	{                                                                      \
		struct gda_dev_copy copy = {source, 0, sizeof(type), pe, 0};   \
		uint64_t raw = 0;                                              \
		int rc = gda_dev_get_value(dev, &copy, &raw);                  \
                                                                               \
		if (!rc)                                                       \
			memcpy(value, &raw, sizeof(type));                     \
		return rc;                                                     \
	}

GDA_DEV_P_AND_G(u8, uint8_t)
GDA_DEV_P_AND_G(u16, uint16_t)
GDA_DEV_P_AND_G(u32, uint32_t)
GDA_DEV_P_AND_G(u64, uint64_t)
GDA_DEV_P_AND_G(float, float)
GDA_DEV_P_AND_G(double, double)

/* ------------------------------------------------------------- atomics --- */

/*
 * Atomic against all other atomics through NICs on the same object, and, with
 * the emulated NIC, against CPU atomics. dest must be aligned to its size.
 *
 *   gda_dev_atomic_add_u64(dev, dest, value, pe)            no result
 *   gda_dev_atomic_fetch_add_u64(dev, dest, value, pe, &old) the value before
 *
 * and likewise and, or, xor, inc and fetch_inc (without value), set and swap,
 * fetch (gda_dev_atomic_fetch_u64(dev, source, pe, &value)), and
 *
 *   gda_dev_atomic_compare_swap_u64(dev, dest, &expected, desired, pe)
 *
 * which stores desired if *expected is there, and *expected becomes what was
 * there. Types: u32 u64. Results are unchanged on error.
 */
#define GDA_DEV_ATOMIC_PAIR(suffix, type, name, fetch_name, kind)              \
	GDA_DEV int gda_dev_atomic_##name##_##suffix(                          \
		const struct gda_dev *dev, type *dest, type value, int pe)     \
	{                                                                      \
		struct gda_dev_atomic_call call = {dest, value,	       0,      \
						   kind, sizeof(type), pe};    \
                                                                               \
		return gda_dev_atomic(dev, &call, 0);                          \
	}                                                                      \
	GDA_DEV int gda_dev_atomic_##fetch_name##_##suffix(                    \
		const struct gda_dev *dev, type *dest, type value, int pe,     \
		type *old)                                                     \
	{                                                                      \
		struct gda_dev_atomic_call call = {dest, value,	       0,      \
						   kind, sizeof(type), pe};    \
		uint64_t raw;                                                  \
		int rc = gda_dev_atomic(dev, &call, &raw);                     \
                                                                               \
		if (!rc)                                                       \
			*old = (type)raw;                                      \
		return rc;                                                     \
	}

#define GDA_DEV_ATOMIC_REST(suffix, type)                                      \
	GDA_DEV int gda_dev_atomic_inc_##suffix(const struct gda_dev *dev,     \
						type *dest, int pe)            \
	{                                                                      \
		return gda_dev_atomic_add_##suffix(dev, dest, 1, pe);          \
	}                                                                      \
	GDA_DEV int gda_dev_atomic_fetch_inc_##suffix(                         \
		const struct gda_dev *dev, type *dest, int pe, type *old)      \
	{                                                                      \
		return gda_dev_atomic_fetch_add_##suffix(dev, dest, 1, pe,     \
							 old);                 \
	}                                                                      \
	GDA_DEV int gda_dev_atomic_fetch_##suffix(const struct gda_dev *dev,   \
						  const type *source, int pe,  \
						  type *value)                 \
	{                                                                      \
		struct gda_dev_atomic_call call = {(void *)(uintptr_t)source,  \
						   0,                          \
						   0,                          \
						   GDA_DEV_FETCH,              \
						   sizeof(type),               \
						   pe};                        \
		uint64_t raw;                                                  \
		int rc = gda_dev_atomic(dev, &call, &raw);                     \
                                                                               \
		if (!rc)                                                       \
			*value = (type)raw;                                    \
		return rc;                                                     \
	}                                                                      \
	GDA_DEV int gda_dev_atomic_compare_swap_##suffix(                      \
		const struct gda_dev *dev, type *dest, type *expected,         \
		type desired, int pe)                                          \
	{                                                                      \
		struct gda_dev_atomic_call call = {dest,                       \
						   desired,                    \
						   *expected,                  \
						   GDA_DEV_COMPARE_SWAP,       \
						   sizeof(type),               \
						   pe};                        \
		uint64_t raw;                                                  \
		int rc = gda_dev_atomic(dev, &call, &raw);                     \
                                                                               \
		if (!rc)                                                       \
			*expected = (type)raw;                                 \
		return rc;                                                     \
	}

#define GDA_DEV_ATOMICS(suffix, type)                                          \
	GDA_DEV_ATOMIC_PAIR(suffix, type, add, fetch_add, GDA_DEV_ADD)         \
	GDA_DEV_ATOMIC_PAIR(suffix, type, and, fetch_and, GDA_DEV_AND)         \
	GDA_DEV_ATOMIC_PAIR(suffix, type, or, fetch_or, GDA_DEV_OR)            \
	GDA_DEV_ATOMIC_PAIR(suffix, type, xor, fetch_xor, GDA_DEV_XOR)         \
	GDA_DEV_ATOMIC_PAIR(suffix, type, set, swap, GDA_DEV_SWAP)             \
	GDA_DEV_ATOMIC_REST(suffix, type)

GDA_DEV_ATOMICS(u32, uint32_t)
GDA_DEV_ATOMICS(u64, uint64_t)

/* ------------------------------------------------------------- signals --- */

enum gda_dev_signal_op {
	GDA_DEV_SIGNAL_SET,
	GDA_DEV_SIGNAL_ADD,
};

/* A 64-bit word at pe that is to be changed. */
struct gda_dev_signal {
	uint64_t *addr; /* symmetric, aligned to 8 */
	uint64_t value;
	int pe;
	enum gda_dev_signal_op op;
};

GDA_DEV int gda_dev_set_signal(const struct gda_dev *dev,
			       const struct gda_dev_signal *signal,
			       struct gda_dev_request *request)
{
	int rc;

	memset(request, 0, sizeof(*request));
	if ((uintptr_t)signal->addr & 7)
		return GDA_DEV_EINVAL;
	rc = gda_dev_set_remote(dev, signal->addr, 8, signal->pe, request);
	if (rc)
		return rc;
	request->len = 8;
	gda_dev_set_atomic(request,
			   signal->op == GDA_DEV_SIGNAL_ADD ? GDA_DEV_ADD
							    : GDA_DEV_SWAP,
			   signal->value, 0, false);
	request->laddr = gda_dev_qp_to(dev, signal->pe)->sink;
	request->lkey = dev->heap_lkey;
	return 0;
}

/* Set or add to a word at signal->pe, atomically. */
GDA_DEV int gda_dev_signal_op(const struct gda_dev *dev,
			      const struct gda_dev_signal *signal)
{
	struct gda_dev_request request;
	uint64_t end;
	int rc = gda_dev_set_signal(dev, signal, &request);

	if (rc)
		return rc;
	return gda_dev_issue_atomic(dev, gda_dev_qp_to(dev, signal->pe),
				    &request, false, &end);
}

/*
 * Copy, then change the signal at the same PE: who sees the signal sees the
 * data. Their last chunk and the signal are one group with one doorbell.
 */
GDA_DEV int gda_dev_start_put_signal(const struct gda_dev *dev,
				     const struct gda_dev_copy *copy,
				     const struct gda_dev_signal *signal,
				     uint64_t *end)
{
	struct gda_dev_request data, word;
	uint64_t base, tail = copy->len % GDA_DEV_CHUNK_BYTES;
	struct gda_dev_qp *qp;
	int rc = gda_dev_set_copy(dev, copy, &data);

	if (!rc)
		rc = gda_dev_set_signal(dev, signal, &word);
	if (rc)
		return rc;
	qp = gda_dev_qp_to(dev, copy->pe);
	rc = gda_dev_post_copy(dev, qp, &data, copy->len - tail, end);
	if (rc)
		return rc;
	*end = (tail != 0) + gda_dev_atomic_blocks(&word);
	rc = gda_dev_reserve(dev, qp, (uint32_t)*end, &base);
	if (rc)
		return rc;
	*end += base;
	if (tail) {
		data.len = (uint32_t)tail;
		data.ce = HW_CE_ERROR_ONLY;
		gda_dev_post_rma(qp, base, &data);
	}
	gda_dev_post_atomic(qp, base + (tail != 0), &word);
	return gda_dev_submit(dev, qp, base, *end, false);
}

/* dest is at signal->pe. */
GDA_DEV int gda_dev_put_signal_nbi(const struct gda_dev *dev, void *dest,
				   const void *source, uint64_t len,
				   const struct gda_dev_signal *signal)
{
	struct gda_dev_copy copy = {dest, source, len, signal->pe,
				    HW_OP_RDMA_WRITE};
	uint64_t end;

	return gda_dev_start_put_signal(dev, &copy, signal, &end);
}

GDA_DEV int gda_dev_put_signal(const struct gda_dev *dev, void *dest,
			       const void *source, uint64_t len,
			       const struct gda_dev_signal *signal)
{
	struct gda_dev_copy copy = {dest, source, len, signal->pe,
				    HW_OP_RDMA_WRITE};
	struct gda_dev_qp *qp;
	uint64_t end;
	int rc = gda_dev_start_put_signal(dev, &copy, signal, &end);

	if (rc)
		return rc;
	qp = gda_dev_qp_to(dev, signal->pe);
	rc = gda_dev_ring(dev, qp, end);
	return rc ? rc : gda_dev_wait_done(dev, qp, end);
}

/* ------------------------------------------------------ wait and test --- */

enum gda_dev_cmp {
	GDA_DEV_EQ,
	GDA_DEV_NE,
	GDA_DEV_GT,
	GDA_DEV_GE,
	GDA_DEV_LT,
	GDA_DEV_LE,
};

GDA_DEV bool gda_dev_compare(int order, enum gda_dev_cmp cmp)
{
	switch (cmp) {
	case GDA_DEV_EQ:
		return order == 0;
	case GDA_DEV_NE:
		return order != 0;
	case GDA_DEV_GT:
		return order > 0;
	case GDA_DEV_GE:
		return order >= 0;
	case GDA_DEV_LT:
		return order < 0;
	default:
		return order <= 0;
	}
}

/*
 * gda_dev_test_u64(addr, cmp, value): does *addr, which peers change, compare
 * so? What they wrote before is visible if it does.
 * gda_dev_wait_until_u64(dev, addr, cmp, value): wait until it does. Returns
 * 0, GDA_DEV_ETIMEDOUT or GDA_DEV_ESHUTDOWN. addr is this PE's own. Types: u32 u64 i32 i64.
 */
#define GDA_DEV_WAIT(suffix, type, bits)                                       \
	GDA_DEV bool gda_dev_test_##suffix(const type *addr,                   \
					   enum gda_dev_cmp cmp, type value)   \
	{                                                                      \
		type now = (type)gda_order_load_signal_##bits(addr);           \
                                                                               \
		return gda_dev_compare((now > value) - (now < value), cmp);    \
	}                                                                      \
	GDA_DEV int gda_dev_wait_until_##suffix(                               \
		const struct gda_dev *dev, const type *addr,                   \
		enum gda_dev_cmp cmp, type value)                              \
	{                                                                      \
		struct gda_dev_wait wait = {0, 0};                             \
		int rc = gda_dev_check(dev);                                   \
                                                                               \
		while (!rc && !gda_dev_test_##suffix(addr, cmp, value))        \
			rc = gda_dev_wait_round(dev, &wait);                   \
		return rc;                                                     \
	}

GDA_DEV_WAIT(u32, uint32_t, 32)
GDA_DEV_WAIT(u64, uint64_t, 64)
GDA_DEV_WAIT(i32, int32_t, 32)
GDA_DEV_WAIT(i64, int64_t, 64)

/* As gda_dev_wait_until_u64; *seen is the value that ended the wait. */
GDA_DEV int gda_dev_signal_wait_until(const struct gda_dev *dev,
				      const uint64_t *addr,
				      enum gda_dev_cmp cmp, uint64_t value,
				      uint64_t *seen)
{
	struct gda_dev_wait wait = {0, 0};
	int rc = gda_dev_check(dev);

	while (!rc) {
		*seen = gda_order_load_signal_64(addr);
		if (gda_dev_compare((*seen > value) - (*seen < value), cmp))
			return 0;
		rc = gda_dev_wait_round(dev, &wait);
	}
	return rc;
}

/* ------------------------------------------------------------- barrier --- */

/*
 * Complete what this PE has posted through the view's lanes, then wait until
 * every PE is here. One thread of each PE calls it, in the same order.
 * Dissemination: in round r a PE tells the one 2^r further on and waits for
 * the one 2^r before. After an error the barrier cannot be used again.
 */
GDA_DEV int gda_dev_barrier(const struct gda_dev *dev)
{
	struct gda_dev_barrier *barrier = dev->barrier;
	struct gda_dev_copy copy = {0, 0, sizeof(uint64_t), 0, 0};
	int distance, round = 0;
	int rc = gda_dev_quiet(dev);
	uint64_t epoch;

	if (rc == GDA_DEV_ESHUTDOWN)
		return rc;
	epoch = ++barrier->epoch;
	for (distance = 1; !rc && distance < dev->npes; distance *= 2) {
		copy.sym = &barrier->arrived[round];
		copy.pe = (dev->pe + distance) % dev->npes;
		rc = gda_dev_put_value(dev, &copy, epoch, true);
		if (!rc)
			rc = gda_dev_wait_until_u64(dev,
						    &barrier->arrived[round],
						    GDA_DEV_GE, epoch);
		round++;
	}
	return rc;
}

#endif
