/* SPDX-License-Identifier: MIT */
/*
 * Completion queue commands.
 *
 * Source: UCX ib_mlx5_ifc.h (cqc); *_umem_valid is implied by an id, because
 * the kernel sets it for its clients and UCX relies on that.
 * Not modelled: page lists, compression; moderation is kept, without effect.
 * Thread: under the NIC's lock.
 */
#include <stdlib.h>

#include "emu/cmd.h"
#include "emu/dma.h"

static bool check_context(struct cmd *cmd)
{
	const uint8_t *cqc = cmd->in + HW_CQC_OFFSET;

	CMD_CHECK(cmd, HW_CQC_OFFSET, CQC_CQE_SZ,
		  hw_get(cqc, HW_CQC_CQE_SZ) <= HW_CQE_SZ_128_PAD,
		  "0 (64 bytes), 1 (128) or 2 (128 with padding)");
	CMD_CHECK(cmd, HW_CQC_OFFSET, CQC_CQE_COMP_EN,
		  !hw_get(cqc, HW_CQC_CQE_COMP_EN),
		  "0: compressed CQEs are not supported");
	CMD_CHECK(cmd, HW_CQC_OFFSET, CQC_LOG_CQ_SIZE,
		  hw_get(cqc, HW_CQC_LOG_CQ_SIZE) <=
			  cmd->nic->persona->log_max_cq_sz,
		  "at most log_max_cq_sz");
	CMD_CHECK(cmd, HW_CQC_OFFSET, CQC_UAR_PAGE,
		  nic_uar_get(cmd->nic, hw_get(cqc, HW_CQC_UAR_PAGE)),
		  "a UAR page of this device");
	CMD_CHECK(cmd, HW_CQC_OFFSET, CQC_C_EQN,
		  hw_get(cqc, HW_CQC_C_EQN) < NIC_EQS,
		  "an event queue below 64");
	return true;
}

/* The ring that the mailbox names, or NULL after refusing. */
static uint8_t *find_ring(struct cmd *cmd, uint32_t log_bytes,
			  struct nic_umem **umem)
{
	struct cmd_umem_use ring = {
		.id = cmd_get(cmd, 0, HW_CREATE_CQ_UMEM_ID),
		.id_offset = HW_CREATE_CQ_UMEM_ID.offset,
		.offset = cmd_get64(cmd, 0, HW_CREATE_CQ_UMEM_OFFSET),
		.len = (uint64_t)1 << log_bytes,
		.align = HW_CQE_BYTES,
		.what = "the CQ buffer",
	};

	*umem = cmd_umem(cmd, &ring);
	return *umem ? (*umem)->base + ring.offset : NULL;
}

/* Find the ring and the record in their umems. */
static bool bind_memory(struct cmd *cmd, struct nic_cq *cq)
{
	const uint8_t *cqc = cmd->in + HW_CQC_OFFSET;
	struct cmd_umem_use dbr = {
		.id = hw_get(cqc, HW_CQC_DBR_UMEM_ID),
		.id_offset = HW_CQC_OFFSET + HW_CQC_DBR_UMEM_ID.offset,
		.offset = hw_get64(cqc, HW_CQC_DBR_ADDR),
		.len = HW_DBR_BYTES,
		.align = HW_DBR_BYTES,
		.what = "the CQ's doorbell record",
	};

	cq->ring = find_ring(cmd, (uint32_t)cq->log_size + cq->log_stride,
			     &cq->ring_umem);
	if (!cq->ring)
		return false;
	cq->dbr_umem = cmd_umem(cmd, &dbr);
	if (!cq->dbr_umem)
		return false;
	cq->dbrec = cq->dbr_umem->base + dbr.offset;
	/* What is there now is no arm: whatever differs from it later is. */
	if (dma_load_record(cq->dbrec + 4 * HW_CQ_DBR_ARM, &cq->arm_record))
		cq->arm_record = 0;
	return true;
}

static void init(struct cmd *cmd, struct nic_cq *cq)
{
	const uint8_t *cqc = cmd->in + HW_CQC_OFFSET;

	cq->log_size = (uint8_t)hw_get(cqc, HW_CQC_LOG_CQ_SIZE);
	cq->log_stride = hw_get(cqc, HW_CQC_CQE_SZ) ? 7 : 6;
	cq->mask = (1u << cq->log_size) - 1;
	cq->collapsed = hw_get(cqc, HW_CQC_CC);
	cq->overrun_ignore = hw_get(cqc, HW_CQC_OI);
	cq->eqn = hw_get(cqc, HW_CQC_C_EQN);
	cq->uar = nic_uar_get(cmd->nic, hw_get(cqc, HW_CQC_UAR_PAGE));
	cq->pi = cmd->nic->config.start_counter;
	cq->ci = cq->pi & HW_CQE_INDEX_MASK;
	memcpy(cq->cqc, cqc, sizeof(cq->cqc));
}

bool cmd_create_cq(struct cmd *cmd)
{
	struct nic_cq *cq;

	if (!check_context(cmd))
		return false;
	cq = calloc(1, sizeof(*cq));
	if (!cq)
		return cmd_no_resources(cmd, "CQs");
	init(cmd, cq);
	if (!bind_memory(cmd, cq)) {
		free(cq);
		return false;
	}
	if (nic_table_add(&cmd->nic->cqs, cq, &cq->number)) {
		free(cq);
		return cmd_no_resources(cmd, "CQs");
	}
	cq->ring_umem->users++;
	cq->dbr_umem->users++;
	cq->uar->users++;
	cmd_set_number(cmd, cq->number);
	return true;
}

static struct nic_cq *find(struct cmd *cmd)
{
	uint32_t number = cmd_get(cmd, 0, HW_CMD_IN_NUMBER);
	struct nic_cq *cq = nic_cq_get(cmd->nic, number);

	if (!cq)
		cmd_refuse(cmd, HW_CMD_BAD_RES, HW_CMD_IN_NUMBER.offset,
			   "CQ 0x%x does not exist", number);
	return cq;
}

bool cmd_query_cq(struct cmd *cmd)
{
	const struct nic_cq *cq = find(cmd);
	uint8_t *cqc = cmd->out + HW_CQC_OFFSET;
	uint32_t st = HW_CQ_ST_FIRED;

	if (!cq)
		return false;
	if (cq->armed)
		st = cq->armed_solicited ? HW_CQ_ST_ARMED_SOLICITED
					 : HW_CQ_ST_ARMED;
	memcpy(cqc, cq->cqc, sizeof(cq->cqc));
	hw_set(cqc, HW_CQC_STATUS, cq->failed ? HW_CQ_OVERFLOW : HW_CQ_OK);
	hw_set(cqc, HW_CQC_ST, st);
	hw_set(cqc, HW_CQC_CONSUMER_COUNTER, cq->ci);
	hw_set(cqc, HW_CQC_PRODUCER_COUNTER, cq->pi & HW_CQE_INDEX_MASK);
	return true;
}

static bool modify_fields(struct cmd *cmd, struct nic_cq *cq)
{
	uint32_t select = cmd_get(cmd, 0, HW_MODIFY_CQ_FIELD_SELECT);
	const uint8_t *cqc = cmd->in + HW_CQC_OFFSET;

	CMD_CHECK(cmd, 0, MODIFY_CQ_FIELD_SELECT,
		  !(select &
		    ~(uint32_t)(HW_CQ_MODIFY_PERIOD | HW_CQ_MODIFY_COUNT |
				HW_CQ_MODIFY_OVERRUN)),
		  "period (1), max count (2) or overrun ignore (4)");
	if (select & HW_CQ_MODIFY_PERIOD)
		hw_set(cq->cqc, HW_CQC_CQ_PERIOD,
		       hw_get(cqc, HW_CQC_CQ_PERIOD));
	if (select & HW_CQ_MODIFY_COUNT)
		hw_set(cq->cqc, HW_CQC_CQ_MAX_COUNT,
		       hw_get(cqc, HW_CQC_CQ_MAX_COUNT));
	if (select & HW_CQ_MODIFY_OVERRUN) {
		hw_set(cq->cqc, HW_CQC_OI, hw_get(cqc, HW_CQC_OI));
		cq->overrun_ignore = hw_get(cqc, HW_CQC_OI);
	}
	return true;
}

/*
 * The old ring ends with a RESIZE entry, which counts as one; the client moves
 * what it has not consumed and goes on behind it in the new ring.
 */
static bool resize(struct cmd *cmd, struct nic_cq *cq)
{
	const uint8_t *cqc = cmd->in + HW_CQC_OFFSET;
	uint32_t log_size = hw_get(cqc, HW_CQC_LOG_CQ_SIZE);
	struct nic_umem *umem;
	uint8_t *ring;

	CMD_CHECK(cmd, 0, MODIFY_CQ_FIELD_SELECT,
		  cmd_get(cmd, 0, HW_MODIFY_CQ_FIELD_SELECT) &
			  HW_CQ_RESIZE_LOG_SIZE,
		  "the bit of log_cq_size (1)");
	CMD_CHECK(cmd, HW_CQC_OFFSET, CQC_LOG_CQ_SIZE,
		  log_size <= cmd->nic->persona->log_max_cq_sz,
		  "at most log_max_cq_sz");
	CMD_CHECK(cmd, HW_CQC_OFFSET, CQC_CQE_SZ,
		  (hw_get(cqc, HW_CQC_CQE_SZ) ? 7 : 6) == cq->log_stride &&
			  !cq->collapsed,
		  "the size that the CQ was made with; not collapsed");
	ring = find_ring(cmd, log_size + cq->log_stride, &umem);
	if (!ring)
		return false;
	if (!cq->overrun_ignore && nic_cq_used(cq) >= 1u << log_size)
		return cmd_refuse(cmd, HW_CMD_BAD_SIZE_OUTS_CQES, 0xffff,
				  "CQ 0x%x holds %u CQEs that were not "
				  "consumed, and one more does not fit 2^%u",
				  cq->number, nic_cq_used(cq), log_size);
	if (!nic_cqe_post_resize(cmd->nic, cq))
		return cmd_refuse(cmd, HW_CMD_BAD_RES_STATE, 0xffff,
				  "CQ 0x%x is full or in error", cq->number);
	cq->ring_umem->users--;
	cq->ring_umem = umem;
	cq->ring_umem->users++;
	cq->ring = ring;
	cq->log_size = (uint8_t)log_size;
	cq->mask = (1u << log_size) - 1;
	hw_set(cq->cqc, HW_CQC_LOG_CQ_SIZE, log_size);
	return true;
}

bool cmd_modify_cq(struct cmd *cmd)
{
	uint32_t op_mod = cmd_get(cmd, 0, HW_CMD_IN_OP_MOD);
	struct nic_cq *cq = find(cmd);

	if (!cq)
		return false;
	CMD_CHECK(cmd, 0, CMD_IN_OP_MOD, op_mod <= HW_MODIFY_CQ_RESIZE,
		  "0 (fields) or 1 (resize)");
	return op_mod == HW_MODIFY_CQ_RESIZE ? resize(cmd, cq)
					     : modify_fields(cmd, cq);
}

bool cmd_destroy_cq(struct cmd *cmd)
{
	struct nic_cq *cq = find(cmd);

	if (!cq)
		return false;
	if (cq->users)
		return cmd_refuse(cmd, HW_CMD_RES_BUSY, HW_CMD_IN_NUMBER.offset,
				  "CQ 0x%x is still used by %u queue pair "
				  "halves",
				  cq->number, cq->users);
	nic_cq_destroy(cmd->nic, cq);
	return true;
}
