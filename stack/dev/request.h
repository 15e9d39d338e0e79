/* SPDX-License-Identifier: MIT */
/*
 * From the arguments of an operation to a request: which queue pair, which
 * remote address and key, which local key, which slot for a result.
 *
 * Thread: any.
 */
#ifndef GDA_DEV_REQUEST_H
#define GDA_DEV_REQUEST_H

#include "stack/dev/post.h"
#include "stack/dev/reserve.h"

/* Largest payload of one WQE; longer transfers are split. */
#define GDA_DEV_CHUNK_BYTES (1ull << 30)

/* Requires: pe and lane exist. */
GDA_DEV struct gda_dev_qp *gda_dev_qp_of(const struct gda_dev *dev, int pe,
					 int lane)
{
	return dev->qps + ((int64_t)lane * dev->npes + pe);
}

/* The queue pair that operations of this view towards pe use. */
GDA_DEV struct gda_dev_qp *gda_dev_qp_to(const struct gda_dev *dev, int pe)
{
	return gda_dev_qp_of(dev, pe, dev->lane < 0 ? 0 : dev->lane);
}

/*
 * Fill in raddr and rkey of the object that lies at symmetric address sym of
 * PE pe. The whole of it must lie in the heap.
 */
GDA_DEV int gda_dev_set_remote(const struct gda_dev *dev, const void *sym,
			       uint64_t len, int pe,
			       struct gda_dev_request *request)
{
	uint64_t offset = (uint64_t)(uintptr_t)sym - dev->heap_addr;

	if (pe < 0 || pe >= dev->npes)
		return GDA_DEV_EINVAL;
	if (offset > dev->heap_bytes || len > dev->heap_bytes - offset)
		return GDA_DEV_EFAULT;
	request->raddr = dev->peers[pe].heap_addr + offset;
	request->rkey = dev->peers[pe].rkey;
	return 0;
}

GDA_DEV bool gda_dev_contains(uint64_t addr, uint64_t bytes, uint64_t at,
			      uint64_t len)
{
	return at - addr < bytes && len <= bytes - (at - addr);
}

#define GDA_DEV_NO_KEY (~0ull)

/* The lkey of the registered buffer that holds these bytes. */
GDA_DEV_SLOW uint64_t gda_dev_find_buffer(const struct gda_dev *dev,
					  uint64_t at, uint64_t len)
{
	const struct gda_dev_buffer *buffer = dev->buffers;
	uint64_t bytes;
	uint32_t i;

	for (i = 0; i < dev->buffer_count; i++, buffer++) {
		bytes = gda_order_load_counter(&buffer->len);
		if (gda_dev_contains(gda_order_load_counter(&buffer->addr),
				     bytes, at, len))
			return (uint32_t)gda_order_load_counter(&buffer->lkey);
	}
	return GDA_DEV_NO_KEY;
}

/* Fill in laddr and lkey: the heap's, or those of a registered buffer. */
GDA_DEV int gda_dev_set_local(const struct gda_dev *dev, const void *local,
			      uint64_t len, struct gda_dev_request *request)
{
	uint64_t at = (uint64_t)(uintptr_t)local;
	uint64_t key = dev->heap_lkey;

	if (!gda_dev_contains(dev->heap_addr, dev->heap_bytes, at, len))
		key = gda_dev_find_buffer(dev, at, len);
	request->laddr = at;
	request->lkey = (uint32_t)key;
	return key == GDA_DEV_NO_KEY ? GDA_DEV_EFAULT : 0;
}

/* Take a slot that is free, the one at `from` if it is. Requires: a verdict of
 * 0, because slots lie in the heap, which a closed queue pair has not. */
GDA_DEV bool gda_dev_try_slot(struct gda_dev_qp *qp, uint32_t from,
			      struct gda_dev_slot **slot)
{
	uint32_t i, at = from;

	for (i = 0; i < qp->slot_count; i++, at++) {
		if (at == qp->slot_count)
			at = 0;
		*slot = qp->slots + at;
		if (gda_order_try_take(&(*slot)->taken))
			return true;
	}
	return false;
}

/*
 * Take a slot for the result of a fetching operation. It is taken before send
 * queue blocks are, so that nobody waits while holding those.
 */
GDA_DEV_SLOW int gda_dev_take_slot(const struct gda_dev *dev,
				   struct gda_dev_qp *qp,
				   struct gda_dev_slot **slot)
{
	struct gda_dev_wait wait = {0, 0};
	int rc;

	for (;;) {
		rc = gda_dev_verdict(qp);
		if (rc || gda_dev_try_slot(qp, 0, slot))
			return rc;
		rc = gda_dev_wait_round(dev, &wait);
		if (rc)
			return rc;
	}
}

/* Reserve, write and submit one RDMA_WRITE or RDMA_READ. */
GDA_DEV int gda_dev_issue_rma(const struct gda_dev *dev, struct gda_dev_qp *qp,
			      const struct gda_dev_request *request,
			      bool urgent, uint64_t *end)
{
	uint64_t base;
	int rc = gda_dev_reserve(dev, qp, 1, &base);

	if (rc)
		return rc;
	gda_dev_post_rma(qp, base, request);
	*end = base + 1;
	return gda_dev_submit(dev, qp, base, *end, urgent);
}

GDA_DEV int gda_dev_issue_atomic(const struct gda_dev *dev,
				 struct gda_dev_qp *qp,
				 const struct gda_dev_request *request,
				 bool urgent, uint64_t *end)
{
	uint32_t blocks = gda_dev_atomic_blocks(request);
	uint64_t base;
	int rc = gda_dev_reserve(dev, qp, blocks, &base);

	if (rc)
		return rc;
	gda_dev_post_atomic(qp, base, request);
	*end = base + blocks;
	return gda_dev_submit(dev, qp, base, *end, urgent);
}

/*
 * Post request so that its result lands in slot, wait for it and give the
 * slot back. After a timeout the slot stays taken: the NIC may still write.
 */
GDA_DEV int gda_dev_fetch_into(const struct gda_dev *dev, struct gda_dev_qp *qp,
			       struct gda_dev_request *request,
			       struct gda_dev_slot *slot, uint64_t *value)
{
	uint64_t end = 0;
	int rc;

	request->laddr = (uint64_t)(uintptr_t)&slot->value;
	request->lkey = dev->heap_lkey;
	if (request->opcode == HW_OP_RDMA_READ)
		rc = gda_dev_issue_rma(dev, qp, request, true, &end);
	else
		rc = gda_dev_issue_atomic(dev, qp, request, true, &end);
	if (!rc)
		rc = gda_dev_wait_done(dev, qp, end);
	if (rc != GDA_DEV_ETIMEDOUT || !end) {
		*value = gda_order_load_signal_64(&slot->value);
		gda_order_give_back(&slot->taken);
	}
	return rc;
}

GDA_DEV_SLOW int gda_dev_fetch(const struct gda_dev *dev, struct gda_dev_qp *qp,
			       struct gda_dev_request *request, uint64_t *value)
{
	struct gda_dev_slot *slot;
	int rc = gda_dev_take_slot(dev, qp, &slot);

	return rc ? rc : gda_dev_fetch_into(dev, qp, request, slot, value);
}

/* ------------------------------------------------------------------ copy */

/* A put or get as a caller states it. */
struct gda_dev_copy {
	const void *sym;
	const void *local;
	uint64_t len;
	int pe;
	uint8_t opcode; /* HW_OP_RDMA_WRITE or HW_OP_RDMA_READ */
};

/* Check the whole range before anything is posted. */
GDA_DEV int gda_dev_set_copy(const struct gda_dev *dev,
			     const struct gda_dev_copy *copy,
			     struct gda_dev_request *request)
{
	int rc;

	memset(request, 0, sizeof(*request));
	request->opcode = copy->opcode;
	request->ce = HW_CE_ALWAYS;
	rc = gda_dev_set_remote(dev, copy->sym, copy->len, copy->pe, request);
	if (!rc && copy->len)
		rc = gda_dev_set_local(dev, copy->local, copy->len, request);
	return rc;
}

/*
 * Post len bytes of a copy, one WQE a chunk, and advance the request. *end is
 * where the last WQE ends, unchanged for no bytes.
 */
GDA_DEV int gda_dev_post_copy(const struct gda_dev *dev, struct gda_dev_qp *qp,
			      struct gda_dev_request *request, uint64_t len,
			      uint64_t *end)
{
	uint64_t chunk;
	int rc;

	for (; len; len -= chunk) {
		chunk = len < GDA_DEV_CHUNK_BYTES ? len : GDA_DEV_CHUNK_BYTES;
		request->len = (uint32_t)chunk;
		rc = gda_dev_issue_rma(dev, qp, request, false, end);
		if (rc)
			return rc;
		request->raddr += chunk;
		request->laddr += chunk;
	}
	return 0;
}

GDA_DEV int gda_dev_start_copy(const struct gda_dev *dev,
			       const struct gda_dev_copy *copy, uint64_t *end)
{
	struct gda_dev_request request;
	int rc = gda_dev_set_copy(dev, copy, &request);

	if (rc || !copy->len)
		return rc;
	return gda_dev_post_copy(dev, gda_dev_qp_to(dev, copy->pe), &request,
				 copy->len, end);
}

/* Start it, announce it, and wait for it. */
GDA_DEV int gda_dev_finish_copy(const struct gda_dev *dev,
				const struct gda_dev_copy *copy)
{
	struct gda_dev_qp *qp;
	uint64_t end = 0;
	int rc = gda_dev_start_copy(dev, copy, &end);

	if (rc || !copy->len)
		return rc;
	qp = gda_dev_qp_to(dev, copy->pe);
	rc = gda_dev_ring(dev, qp, end);
	return rc ? rc : gda_dev_wait_done(dev, qp, end);
}

/* --------------------------------------------------------------- atomics */

enum gda_dev_atomic {
	GDA_DEV_ADD,
	GDA_DEV_SWAP,
	GDA_DEV_COMPARE_SWAP,
	GDA_DEV_AND,
	GDA_DEV_OR,
	GDA_DEV_XOR,
	GDA_DEV_FETCH,
};

/*
 * Opcode and operands of request->len bytes. Add with a boundary at every bit
 * is exclusive or; a masked swap that compares nothing sets bits. Plain
 * ATOMIC_FA serves 8-byte fetch-add, plain ATOMIC_CS 8-byte compare-swap.
 */
GDA_DEV void gda_dev_set_atomic(struct gda_dev_request *request,
				enum gda_dev_atomic kind, uint64_t value,
				uint64_t compare, bool fetching)
{
	bool is_8 = request->len == 8;
	uint64_t mask = kind == GDA_DEV_AND ? ~value : ~0ull;

	if (kind == GDA_DEV_OR)
		mask = value;
	request->ce = HW_CE_ALWAYS;
	request->args.swap_add = kind == GDA_DEV_FETCH ? 0 : value;
	request->args.compare = compare;
	request->args.swap_mask = mask;
	request->args.compare_mask = 0;
	request->opcode = HW_OP_MASKED_CS;
	if (kind == GDA_DEV_ADD || kind == GDA_DEV_XOR ||
	    kind == GDA_DEV_FETCH) {
		request->args.compare = kind == GDA_DEV_XOR ? ~0ull : 0;
		request->opcode = HW_OP_MASKED_FA;
		if (kind == GDA_DEV_ADD && is_8 && fetching)
			request->opcode = HW_OP_ATOMIC_FA;
	} else if (kind == GDA_DEV_COMPARE_SWAP) {
		request->args.compare_mask = ~0ull;
		if (is_8)
			request->opcode = HW_OP_ATOMIC_CS;
	}
	if (request->opcode == HW_OP_MASKED_CS ||
	    request->opcode == HW_OP_MASKED_FA)
		request->opmod = is_8 ? HW_OPMOD_ATOMIC_8B : HW_OPMOD_ATOMIC_4B;
}

/* A 4-byte result is big-endian, an 8-byte one as the device's caps say. */
GDA_DEV uint64_t gda_dev_atomic_result(const struct gda_dev *dev, uint32_t len,
				       uint64_t raw)
{
	if (len == 4)
		return hw_swap32((uint32_t)raw);
	return dev->swap_results_8 ? hw_swap64(raw) : raw;
}

/* One atomic as a caller states it. */
struct gda_dev_atomic_call {
	void *dest;
	uint64_t value;
	uint64_t compare;
	enum gda_dev_atomic kind;
	uint32_t len;
	int pe;
};

/* The request is of the call's kind and length also after an error. */
GDA_DEV int gda_dev_set_call(const struct gda_dev *dev,
			     const struct gda_dev_atomic_call *call,
			     bool fetching, struct gda_dev_request *request)
{
	memset(request, 0, sizeof(*request));
	request->len = call->len;
	gda_dev_set_atomic(request, call->kind, call->value, call->compare,
			   fetching);
	if ((uintptr_t)call->dest & (call->len - 1))
		return GDA_DEV_EINVAL;
	return gda_dev_set_remote(dev, call->dest, call->len, call->pe,
				  request);
}

/* old NULL: do not wait for it. */
GDA_DEV int gda_dev_atomic(const struct gda_dev *dev,
			   const struct gda_dev_atomic_call *call,
			   uint64_t *old)
{
	struct gda_dev_request request;
	struct gda_dev_qp *qp;
	uint64_t end;
	int rc = gda_dev_set_call(dev, call, old != 0, &request);

	if (rc)
		return rc;
	qp = gda_dev_qp_to(dev, call->pe);
	if (!old) {
		request.laddr = qp->sink;
		request.lkey = dev->heap_lkey;
		return gda_dev_issue_atomic(dev, qp, &request, false, &end);
	}
	rc = gda_dev_fetch(dev, qp, &request, old);
	if (!rc)
		*old = gda_dev_atomic_result(dev, call->len, *old);
	return rc;
}

#endif
