/* SPDX-License-Identifier: MIT */
/*
 * XRC for tests, see t_xrc.h.
 */
#include "support/t_xrc.h"

#include <stdlib.h>

enum { RING = T_XRC_SLOT << T_XRC_LOG_SIZE };

uint32_t t_xrcd(struct t_node *node)
{
	uint8_t out[T_OUT];

	assert_int_equal(t_simple(node, HW_CMD_ALLOC_XRCD, 0, out), HW_CMD_OK);
	return hw_get(out, HW_CMD_OUT_NUMBER);
}

static struct hw_wqe_srq_next *slot(struct t_xrc_srq *srq, uint32_t i)
{
	return (void *)(srq->ring +
			(size_t)(i % (1 << T_XRC_LOG_SIZE)) * T_XRC_SLOT);
}

void t_xrc_srq_create(struct t_node *node, struct t_xrc_srq *srq,
		      const struct t_cq *cq, uint32_t xrcd)
{
	uint8_t *in = srq->create, *ctx = in + HW_XRC_SRQC_OFFSET, out[T_OUT];
	unsigned i;

	memset(srq, 0, sizeof(*srq));
	srq->node = node;
	srq->pi = node->start;
	srq->ring = t_alloc(RING + 64);
	for (i = 0; i < 1 << T_XRC_LOG_SIZE; i++)
		slot(srq, i)->next_wqe_index =
			to_be16((uint16_t)((i + 1) % (1 << T_XRC_LOG_SIZE)));
	*(be32 *)(srq->ring + RING) = to_be32(srq->pi & 0xffff);
	srq->umem = t_umem(node, srq->ring, RING + 64);
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_XRC_SRQ);
	hw_set(in, HW_CREATE_XRC_SRQ_UMEM_ID, srq->umem);
	hw_set(in, HW_CREATE_XRC_SRQ_UMEM_VALID, 1);
	hw_set(ctx, HW_XRC_SRQC_LOG_SIZE, T_XRC_LOG_SIZE);
	hw_set(ctx, HW_XRC_SRQC_LOG_RQ_STRIDE, 1); /* 32 bytes */
	hw_set(ctx, HW_XRC_SRQC_XRCD, xrcd);
	hw_set(ctx, HW_XRC_SRQC_CQN, cq->number);
	hw_set(ctx, HW_XRC_SRQC_DBR_UMEM_VALID, 1);
	hw_set(ctx, HW_XRC_SRQC_DBR_UMEM_ID, srq->umem);
	hw_set(ctx, HW_XRC_SRQC_USER_INDEX, 0x5151);
	hw_set(ctx, HW_XRC_SRQC_PD, node->pd);
	hw_set64(ctx, HW_XRC_SRQC_DBR_ADDR, RING);
	assert_int_equal(t_cmd(node, in, sizeof(srq->create), out), HW_CMD_OK);
	srq->number = hw_get(out, HW_CMD_OUT_NUMBER);
}

uint8_t t_xrc_srq_destroy(struct t_xrc_srq *srq)
{
	uint8_t status =
		t_simple(srq->node, HW_CMD_DESTROY_XRC_SRQ, srq->number, NULL);

	if (status)
		return status;
	assert_int_equal(nic_umem_deregister(srq->node->nic, srq->umem), 0);
	t_free(srq->ring);
	return 0;
}

void t_xrc_post_recv(struct t_xrc_srq *srq, const void *addr, uint32_t len,
		     uint32_t lkey)
{
	struct hw_wqe_data seg = hw_wqe_data_encode(len, lkey, (uintptr_t)addr);
	be32 word;

	memcpy(slot(srq, srq->pi - srq->node->start) + 1, &seg, sizeof(seg));
	word = to_be32(++srq->pi & 0xffff);
	__atomic_store_n(&((be32 *)(srq->ring + RING))->raw, word.raw,
			 __ATOMIC_RELEASE);
}
