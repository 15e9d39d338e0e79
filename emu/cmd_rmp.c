/* SPDX-License-Identifier: MIT */
/*
 * Receive memory pool (shared receive queue) commands.
 *
 * Source: gpunetio mlx5_ifc.h (rmpc, wq); that a kernel makes a verbs SRQ
 * with CREATE_RMP: Linux mlx5 srq_cmd.c.
 * Not modelled: striding queues, the state ERR.
 * Thread: under the NIC's lock.
 */
#include <stdlib.h>

#include "emu/cmd.h"

enum { WQ = HW_RMPC_OFFSET + HW_RMPC_WQ };

/* All but basic cyclic slots start with a next segment, used or not. */
static bool headed(const uint8_t *rmpc)
{
	return hw_get(rmpc + HW_RMPC_WQ, HW_WQ_TYPE) == HW_WQ_LINKED_LIST ||
	       !hw_get(rmpc, HW_RMPC_BASIC_CYCLIC_RCV_WQE);
}

static bool check_context(struct cmd *cmd)
{
	const uint8_t *wq = cmd->in + WQ;
	uint32_t stride = hw_get(wq, HW_WQ_LOG_WQ_STRIDE);

	CMD_CHECK(cmd, WQ, WQ_TYPE, hw_get(wq, HW_WQ_TYPE) <= HW_WQ_CYCLIC,
		  "0 (linked list) or 1 (cyclic)");
	CMD_CHECK(cmd, WQ, WQ_PD, cmd_pd_exists(cmd->nic, hw_get(wq, HW_WQ_PD)),
		  "a PD of ALLOC_PD");
	CMD_CHECK(cmd, WQ, WQ_LOG_WQ_STRIDE, stride >= 4 && stride <= 9,
		  "4 to 9 (16 to 512 bytes)");
	CMD_CHECK(cmd, WQ, WQ_LOG_WQ_STRIDE,
		  stride >= 5 || !headed(cmd->in + HW_RMPC_OFFSET),
		  "5 or more: the slot starts with a next segment");
	CMD_CHECK(cmd, WQ, WQ_LOG_WQ_SZ,
		  hw_get(wq, HW_WQ_LOG_WQ_SZ) <=
			  cmd->nic->persona->log_max_srq_sz,
		  "at most log_max_srq_sz");
	return true;
}

static bool bind_memory(struct cmd *cmd, struct nic_rmp *rmp)
{
	const uint8_t *wq = cmd->in + WQ;
	struct cmd_umem_use ring = {
		.id = hw_get(wq, HW_WQ_WQ_UMEM_ID),
		.id_offset = WQ + HW_WQ_WQ_UMEM_ID.offset,
		.offset = hw_get64(wq, HW_WQ_WQ_UMEM_OFFSET),
		.len = (uint64_t)(rmp->rq.mask + 1) << rmp->rq.log_stride,
		.align = HW_WQE_DS,
		.what = "the receive queue",
	};
	struct cmd_umem_use dbr = {
		.id = hw_get(wq, HW_WQ_DBR_UMEM_ID),
		.id_offset = WQ + HW_WQ_DBR_UMEM_ID.offset,
		.offset = hw_get64(wq, HW_WQ_DBR_ADDR),
		.len = sizeof(be32),
		.align = sizeof(be32),
		.what = "the receive queue's doorbell record",
	};

	rmp->wq_umem = cmd_umem(cmd, &ring);
	if (!rmp->wq_umem)
		return false;
	rmp->dbr_umem = cmd_umem(cmd, &dbr);
	if (!rmp->dbr_umem)
		return false;
	rmp->rq.ring = rmp->wq_umem->base + ring.offset;
	rmp->rq.dbrec_word = rmp->dbr_umem->base + dbr.offset;
	return true;
}

static void init(struct cmd *cmd, struct nic_rmp *rmp)
{
	const uint8_t *wq = cmd->in + WQ;

	rmp->pd = hw_get(wq, HW_WQ_PD);
	rmp->limit = (uint16_t)hw_get(wq, HW_WQ_LWM);
	rmp->rq.present = true;
	rmp->rq.linked = hw_get(wq, HW_WQ_TYPE) == HW_WQ_LINKED_LIST;
	rmp->rq.headed = headed(cmd->in + HW_RMPC_OFFSET);
	rmp->rq.log_stride = (uint8_t)hw_get(wq, HW_WQ_LOG_WQ_STRIDE);
	rmp->rq.mask = (1u << hw_get(wq, HW_WQ_LOG_WQ_SZ)) - 1;
	rmp->rq.pi = rmp->rq.ci = cmd->nic->config.start_counter;
	memcpy(rmp->context, cmd->in + HW_RMPC_OFFSET, sizeof(rmp->context));
}

bool cmd_create_rmp(struct cmd *cmd)
{
	struct nic_rmp *rmp;

	if (!check_context(cmd))
		return false;
	rmp = calloc(1, sizeof(*rmp));
	if (!rmp)
		return cmd_no_resources(cmd, "RMPs");
	init(cmd, rmp);
	if (!bind_memory(cmd, rmp)) {
		free(rmp);
		return false;
	}
	if (nic_table_add(&cmd->nic->rmps, rmp, &rmp->number)) {
		free(rmp);
		return cmd_no_resources(cmd, "RMPs");
	}
	rmp->wq_umem->users++;
	rmp->dbr_umem->users++;
	cmd_set_number(cmd, rmp->number);
	return true;
}

static struct nic_rmp *find(struct cmd *cmd)
{
	uint32_t number = cmd_get(cmd, 0, HW_CMD_IN_NUMBER);
	struct nic_rmp *rmp = nic_rmp_get(cmd->nic, number);

	if (rmp && !rmp->cq)
		return rmp;
	cmd_refuse(cmd, HW_CMD_BAD_RES, HW_CMD_IN_NUMBER.offset,
		   "RMP 0x%x does not exist", number);
	return NULL;
}

bool cmd_modify_rmp(struct cmd *cmd)
{
	struct nic_rmp *rmp = find(cmd);

	if (!rmp)
		return false;
	CMD_CHECK(cmd, 0, MODIFY_RMP_STATE,
		  cmd_get(cmd, 0, HW_MODIFY_RMP_STATE) == HW_RMPC_STATE_RDY,
		  "1 (ready)");
	if (cmd_get(cmd, 0, HW_MODIFY_RMP_BITMASK_LWM))
		nic_rmp_arm(cmd->nic, rmp,
			    (uint16_t)cmd_get(cmd, WQ, HW_WQ_LWM));
	return true;
}

bool cmd_query_rmp(struct cmd *cmd)
{
	const struct nic_rmp *rmp = find(cmd);
	uint8_t *rmpc = cmd->out + HW_RMPC_OFFSET;

	if (!rmp)
		return false;
	memcpy(rmpc, rmp->context, sizeof(rmp->context));
	hw_set(rmpc, HW_RMPC_STATE, HW_RMPC_STATE_RDY);
	hw_set(rmpc + HW_RMPC_WQ, HW_WQ_LWM, rmp->limit);
	hw_set(rmpc + HW_RMPC_WQ, HW_WQ_HW_COUNTER, rmp->rq.ci);
	hw_set(rmpc + HW_RMPC_WQ, HW_WQ_SW_COUNTER, rmp->rq.pi);
	return true;
}

bool cmd_destroy_rmp(struct cmd *cmd)
{
	struct nic_rmp *rmp = find(cmd);

	if (!rmp)
		return false;
	if (rmp->users)
		return cmd_refuse(cmd, HW_CMD_RES_BUSY, HW_CMD_IN_NUMBER.offset,
				  "RMP 0x%x is still used by %u queue pairs",
				  rmp->number, rmp->users);
	nic_rmp_destroy(cmd->nic, rmp);
	return true;
}
