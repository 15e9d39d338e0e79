/* SPDX-License-Identifier: MIT */
/*
 * Write WQEs into reserved blocks.
 *
 * Data path: stack/dev/reserve.h -> [stack/dev/post.h] -> stack/dev/doorbell.h
 *
 *   write, read      ctrl raddr data             3 ds   1 block
 *   inline write     ctrl raddr inline           3 ds   1 block
 *   atomic           ctrl raddr atomic data      4 ds   1 block
 *   8-byte MASKED_CS ctrl raddr atomic x 2 data  5 ds   2 blocks, and a NOP
 *   NOP              ctrl                        1 ds   1 block
 *
 * A WQE of two blocks asks for no completion; the NOP behind it does. So the
 * index in every successful CQE is that of the last block done. The longest
 * group is put_signal with SET: a write, two blocks, a NOP.
 *
 * Source of truth: hw/wqe.h; which WQE makes which operation: NVSHMEM
 * ibgda_device.cuh, as shared users of one heap must agree on it.
 * Thread: the one that reserved the blocks.
 */
#ifndef GDA_DEV_POST_H
#define GDA_DEV_POST_H

#include "hw/wqe.h"
#include "hw/wqe_opcode.h"
#include "stack/dev/handle.h"
#include "stack/dev/order.h"

/* A request in host form. */
struct gda_dev_request {
	uint64_t raddr;
	uint64_t laddr;
	uint32_t rkey;
	uint32_t lkey;
	uint32_t len; /* bytes: of the payload, or of an atomic's operand */
	uint8_t opcode;
	uint8_t ce; /* enum hw_ce */
	uint8_t opmod;
	uint8_t is_inline;	    /* a write of value */
	struct hw_atomic_args args; /* atomics */
	uint64_t value;		    /* inline write */
};

/* One 16-byte unit of the WQE that starts at index; the ring may wrap. */
GDA_DEV void gda_dev_store_ds(struct gda_dev_qp *qp, uint64_t index,
			      uint32_t ds, const void *segment)
{
	uint64_t slot = (index + ds / 4) & (qp->depth - 1);
	uint8_t *to = qp->sq + slot * HW_WQE_BB + ds % 4 * HW_WQE_DS;
	uint64_t words[2];

	memcpy(words, segment, sizeof(words));
	gda_order_store_segment(to, words);
}

GDA_DEV void gda_dev_store_ctrl(struct gda_dev_qp *qp, uint64_t index,
				const struct gda_dev_request *request,
				uint32_t ds)
{
	struct hw_wqe_ctrl_info info;
	struct hw_wqe_ctrl ctrl;

	memset(&info, 0, sizeof(info));
	info.qpn = qp->qpn;
	info.idx = (uint16_t)index;
	info.opcode = request->opcode;
	info.opmod = request->opmod;
	info.ds = (uint8_t)ds;
	info.fm_ce_se = hw_fm_ce_se(HW_FENCE_NONE, (enum hw_ce)request->ce, 0);
	ctrl = hw_wqe_ctrl_encode(&info);
	gda_dev_store_ds(qp, index, 0, &ctrl);
}

GDA_DEV void gda_dev_store_raddr(struct gda_dev_qp *qp, uint64_t index,
				 const struct gda_dev_request *request)
{
	struct hw_wqe_raddr raddr =
		hw_wqe_raddr_encode(request->raddr, request->rkey);

	gda_dev_store_ds(qp, index, 1, &raddr);
}

GDA_DEV void gda_dev_store_data(struct gda_dev_qp *qp, uint64_t index,
				const struct gda_dev_request *request,
				uint32_t ds)
{
	struct hw_wqe_data data =
		hw_wqe_data_encode(request->len, request->lkey, request->laddr);

	gda_dev_store_ds(qp, index, ds, &data);
}

/* RDMA_WRITE or RDMA_READ of 1 to 2^31 - 1 bytes: one block. */
GDA_DEV void gda_dev_post_rma(struct gda_dev_qp *qp, uint64_t index,
			      const struct gda_dev_request *request)
{
	gda_dev_store_ctrl(qp, index, request, 3);
	gda_dev_store_raddr(qp, index, request);
	gda_dev_store_data(qp, index, request, 2);
}

/* RDMA_WRITE of the first len <= 8 bytes of value: one block. */
GDA_DEV void gda_dev_post_inline(struct gda_dev_qp *qp, uint64_t index,
				 const struct gda_dev_request *request)
{
	struct hw_wqe_inline head = hw_wqe_inline_encode(request->len);
	uint8_t segment[HW_WQE_DS] = {0};

	memcpy(segment, &head, sizeof(head));
	memcpy(segment + sizeof(head), &request->value, sizeof(uint64_t));
	gda_dev_store_ctrl(qp, index, request, 3);
	gda_dev_store_raddr(qp, index, request);
	gda_dev_store_ds(qp, index, 2, segment);
}

GDA_DEV void gda_dev_post_nop(struct gda_dev_qp *qp, uint64_t index)
{
	struct gda_dev_request request;

	memset(&request, 0, sizeof(request));
	request.opcode = HW_OP_NOP;
	request.ce = HW_CE_ALWAYS;
	gda_dev_store_ctrl(qp, index, &request, 1);
}

GDA_DEV bool gda_dev_is_two_blocks(const struct gda_dev_request *request)
{
	return request->opcode == HW_OP_MASKED_CS && request->len == 8;
}

/* Blocks of an atomic, its NOP included. */
GDA_DEV uint32_t gda_dev_atomic_blocks(const struct gda_dev_request *request)
{
	return gda_dev_is_two_blocks(request) ? 3 : 1;
}

/* The 16 bytes of operands; not for the 8-byte MASKED_CS. */
GDA_DEV void gda_dev_encode_operands(const struct gda_dev_request *request,
				     uint8_t segment[HW_WQE_DS])
{
	const struct hw_atomic_args *args = &request->args;
	struct hw_wqe_masked_fa_4 fa_4 = hw_wqe_masked_fa_4_encode(args);
	struct hw_wqe_masked_fa_8 fa_8 = hw_wqe_masked_fa_8_encode(args);
	struct hw_wqe_masked_cs_4 cs_4 = hw_wqe_masked_cs_4_encode(args);
	struct hw_wqe_atomic plain =
		hw_wqe_atomic_encode(args->swap_add, args->compare);

	if (request->opcode == HW_OP_MASKED_FA && request->len == 4)
		memcpy(segment, &fa_4, HW_WQE_DS);
	else if (request->opcode == HW_OP_MASKED_FA)
		memcpy(segment, &fa_8, HW_WQE_DS);
	else if (request->opcode == HW_OP_MASKED_CS)
		memcpy(segment, &cs_4, HW_WQE_DS);
	else
		memcpy(segment, &plain, HW_WQE_DS);
}

/* The 8-byte MASKED_CS: two blocks, and the NOP that completes for it. */
GDA_DEV_SLOW void gda_dev_post_two_blocks(struct gda_dev_qp *qp, uint64_t index,
					  const struct gda_dev_request *request)
{
	struct gda_dev_request quiet = *request;
	struct hw_wqe_masked_cs_8 cs_8 =
		hw_wqe_masked_cs_8_encode(&request->args);

	quiet.ce = HW_CE_ERROR_ONLY;
	gda_dev_store_ctrl(qp, index, &quiet, 5);
	gda_dev_store_raddr(qp, index, request);
	gda_dev_store_ds(qp, index, 2, &cs_8);
	gda_dev_store_ds(qp, index, 3, (const uint8_t *)&cs_8 + 16);
	gda_dev_store_data(qp, index, request, 4);
	gda_dev_post_nop(qp, index + 2);
}

/* Any atomic: gda_dev_atomic_blocks() blocks. */
GDA_DEV void gda_dev_post_atomic(struct gda_dev_qp *qp, uint64_t index,
				 const struct gda_dev_request *request)
{
	uint8_t segment[HW_WQE_DS];

	if (gda_dev_is_two_blocks(request)) {
		gda_dev_post_two_blocks(qp, index, request);
		return;
	}
	gda_dev_encode_operands(request, segment);
	gda_dev_store_ctrl(qp, index, request, 4);
	gda_dev_store_raddr(qp, index, request);
	gda_dev_store_ds(qp, index, 2, segment);
	gda_dev_store_data(qp, index, request, 3);
}

#endif
