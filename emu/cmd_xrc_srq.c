/* SPDX-License-Identifier: MIT */
/*
 * XRC shared receive queue commands. Such a queue is an RMP (emu/rmp.h) with a
 * domain, a CQ and a user index of its own; both kinds share their numbers, as
 * qpc.srqn_rmpn has room for either.
 *
 * Source: Linux mlx5 srq_cmd.c (what the kernel sends), mlx5_ifc.h.
 * Not modelled: page lists, tag matching.
 * Thread: under the NIC's lock.
 */
#include <stdlib.h>

#include "emu/cmd.h"
#include "hw/cmd_xrc.h"

enum { CTX = HW_XRC_SRQC_OFFSET };

static bool check_context(struct cmd *cmd)
{
	const uint8_t *ctx = cmd->in + CTX;
	uint32_t stride = hw_get(ctx, HW_XRC_SRQC_LOG_RQ_STRIDE);

	CMD_CHECK(cmd, CTX, XRC_SRQC_LOG_SIZE,
		  hw_get(ctx, HW_XRC_SRQC_LOG_SIZE) <=
			  cmd->nic->persona->log_max_srq_sz,
		  "at most log_max_srq_sz");
	CMD_CHECK(cmd, CTX, XRC_SRQC_LOG_RQ_STRIDE,
		  16u << stride <= cmd->nic->persona->max_wqe_sz_rq,
		  "a stride of at most max_wqe_sz_rq bytes");
	CMD_CHECK(cmd, CTX, XRC_SRQC_LOG_RQ_STRIDE,
		  stride || hw_get(ctx, HW_XRC_SRQC_BASIC_CYCLIC_RCV_WQE),
		  "1 or more: a linked slot starts with a next segment");
	CMD_CHECK(cmd, CTX, XRC_SRQC_XRCD,
		  cmd_xrcd_exists(cmd->nic, hw_get(ctx, HW_XRC_SRQC_XRCD)),
		  "an XRC domain of ALLOC_XRCD");
	CMD_CHECK(cmd, CTX, XRC_SRQC_CQN,
		  nic_cq_get(cmd->nic, hw_get(ctx, HW_XRC_SRQC_CQN)),
		  "a CQ of CREATE_CQ");
	CMD_CHECK(cmd, CTX, XRC_SRQC_PD,
		  cmd_pd_exists(cmd->nic, hw_get(ctx, HW_XRC_SRQC_PD)),
		  "a PD of ALLOC_PD");
	return true;
}

static bool bind_memory(struct cmd *cmd, struct nic_rmp *srq)
{
	const uint8_t *ctx = cmd->in + CTX;
	struct cmd_umem_use ring = {
		.id = cmd_get(cmd, 0, HW_CREATE_XRC_SRQ_UMEM_ID),
		.id_offset = HW_CREATE_XRC_SRQ_UMEM_ID.offset,
		.offset = cmd_get64(cmd, 0, HW_CREATE_XRC_SRQ_UMEM_OFFSET),
		.len = (uint64_t)(srq->rq.mask + 1) << srq->rq.log_stride,
		.align = HW_WQE_DS,
		.what = "the receive queue",
	};
	struct cmd_umem_use dbr = {
		.id = hw_get(ctx, HW_XRC_SRQC_DBR_UMEM_ID),
		.id_offset = CTX + HW_XRC_SRQC_DBR_UMEM_ID.offset,
		.offset = hw_get64(ctx, HW_XRC_SRQC_DBR_ADDR),
		.len = sizeof(be32),
		.align = sizeof(be32),
		.what = "the receive queue's doorbell record",
	};

	srq->wq_umem = cmd_umem(cmd, &ring);
	if (!srq->wq_umem)
		return false;
	srq->dbr_umem = cmd_umem(cmd, &dbr);
	if (!srq->dbr_umem)
		return false;
	srq->rq.ring = srq->wq_umem->base + ring.offset;
	srq->rq.dbrec_word = srq->dbr_umem->base + dbr.offset;
	return true;
}

static void init(struct cmd *cmd, struct nic_rmp *srq)
{
	const uint8_t *ctx = cmd->in + CTX;

	srq->pd = hw_get(ctx, HW_XRC_SRQC_PD);
	srq->limit = (uint16_t)hw_get(ctx, HW_XRC_SRQC_LWM);
	srq->cq = nic_cq_get(cmd->nic, hw_get(ctx, HW_XRC_SRQC_CQN));
	srq->xrcd = hw_get(ctx, HW_XRC_SRQC_XRCD);
	srq->user_index = hw_get(ctx, HW_XRC_SRQC_USER_INDEX);
	srq->rq.present = true;
	srq->rq.linked = srq->rq.headed =
		!hw_get(ctx, HW_XRC_SRQC_BASIC_CYCLIC_RCV_WQE);
	srq->rq.log_stride =
		(uint8_t)(4 + hw_get(ctx, HW_XRC_SRQC_LOG_RQ_STRIDE));
	srq->rq.mask = (1u << hw_get(ctx, HW_XRC_SRQC_LOG_SIZE)) - 1;
	srq->rq.pi = srq->rq.ci = cmd->nic->config.start_counter;
	memcpy(srq->context, ctx, HW_XRC_SRQC_BYTES);
}

bool cmd_create_xrc_srq(struct cmd *cmd)
{
	struct nic_rmp *srq;

	if (!check_context(cmd))
		return false;
	srq = calloc(1, sizeof(*srq));
	if (!srq)
		return cmd_no_resources(cmd, "XRC SRQs");
	init(cmd, srq);
	if (!bind_memory(cmd, srq)) {
		free(srq);
		return false;
	}
	if (nic_table_add(&cmd->nic->rmps, srq, &srq->number)) {
		free(srq);
		return cmd_no_resources(cmd, "XRC SRQs");
	}
	if (cmd_get(cmd, CTX, HW_XRC_SRQC_USER_INDEX_IS_SRQN))
		srq->user_index = srq->number;
	srq->wq_umem->users++;
	srq->dbr_umem->users++;
	srq->cq->users++;
	cmd_set_number(cmd, srq->number);
	return true;
}

static struct nic_rmp *find(struct cmd *cmd)
{
	uint32_t number = cmd_get(cmd, 0, HW_CMD_IN_NUMBER);
	struct nic_rmp *srq = nic_rmp_get(cmd->nic, number);

	if (srq && srq->cq)
		return srq;
	cmd_refuse(cmd, HW_CMD_BAD_RES, HW_CMD_IN_NUMBER.offset,
		   "XRC SRQ 0x%x does not exist", number);
	return NULL;
}

bool cmd_query_xrc_srq(struct cmd *cmd)
{
	const struct nic_rmp *srq = find(cmd);
	uint8_t *ctx = cmd->out + CTX;

	if (!srq)
		return false;
	memcpy(ctx, srq->context, HW_XRC_SRQC_BYTES);
	hw_set(ctx, HW_XRC_SRQC_STATE, HW_XRC_SRQC_STATE_GOOD);
	hw_set(ctx, HW_XRC_SRQC_USER_INDEX, srq->user_index);
	hw_set(ctx, HW_XRC_SRQC_LWM, srq->limit);
	hw_set(ctx, HW_XRC_SRQC_WQE_CNT, srq->rq.pi - srq->rq.ci);
	return true;
}

bool cmd_arm_xrc_srq(struct cmd *cmd)
{
	struct nic_rmp *srq;

	CMD_CHECK(cmd, 0, CMD_IN_OP_MOD,
		  cmd_get(cmd, 0, HW_CMD_IN_OP_MOD) == HW_ARM_XRC_SRQ_OP_MOD,
		  "1 (XRC SRQ)");
	srq = find(cmd);
	if (!srq)
		return false;
	nic_rmp_arm(cmd->nic, srq,
		    (uint16_t)cmd_get(cmd, 0, HW_ARM_XRC_SRQ_LWM));
	return true;
}

/* A message that is arriving into it loses its receive WQE; its next packet
 * will find that the queue is gone. */
static void leave(struct nic *nic, const struct nic_rmp *srq)
{
	struct nic_qp *qp;
	uint32_t i;

	for (i = 0; (qp = nic_table_walk(&nic->qps, &i));) {
		if (qp->resp.xrc_srq != srq)
			continue;
		if (qp->resp.recv.taken)
			nic_block_put(&nic->pool, qp->resp.recv.block);
		qp->resp.recv.taken = false;
		qp->resp.xrc_srq = NULL;
	}
}

bool cmd_destroy_xrc_srq(struct cmd *cmd)
{
	struct nic_rmp *srq = find(cmd);

	if (!srq)
		return false;
	leave(cmd->nic, srq);
	nic_rmp_destroy(cmd->nic, srq);
	return true;
}
