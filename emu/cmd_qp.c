/* SPDX-License-Identifier: MIT */
/*
 * Queue pair commands: create, query, destroy. State changes: cmd_qp_modify.c.
 *
 * Source: gpunetio mlx5_ifc.h (qpc); *_umem_valid is implied by an id.
 * Not modelled: service types other than RC, UC, UD and XRC; page lists.
 * Thread: under the NIC's lock.
 */
#include <assert.h>
#include <stdlib.h>

#include "emu/cmd.h"
#include "emu/dma.h"

enum { QPC = HW_QPC_OFFSET };

/*
 * The service's bits in packets, or -1: not supported. A DC initiator that
 * carries nothing is a datagram queue pair, of which only the local operations
 * are left (see emu/execute.c).
 */
static int service_of(const struct nic *nic, const uint8_t *qpc)
{
	switch (hw_get(qpc, HW_QPC_ST)) {
	case HW_QP_ST_RC:
		return HW_PKT_RC;
	case HW_QP_ST_UC:
		return HW_PKT_UC;
	case HW_QP_ST_UD:
		return HW_PKT_UD;
	case HW_QP_ST_XRC:
		return HW_PKT_XRC;
	case HW_QP_ST_DCI:
		return nic->config.idle_dc ? HW_PKT_UD : -1;
	default:
		return -1;
	}
}

/*
 * XRC: an initiator has a send queue only, a target none at all: packets name
 * their receive queues. What else the context names is not looked at.
 */
static bool check_xrc(struct cmd *cmd)
{
	const uint8_t *qpc = cmd->in + QPC;

	CMD_CHECK(cmd, QPC, QPC_RQ_TYPE,
		  hw_get(qpc, HW_QPC_RQ_TYPE) == HW_RQ_SRQ ||
			  hw_get(qpc, HW_QPC_RQ_TYPE) == HW_RQ_ZERO_SIZE,
		  "1 (SRQ) or 3 (zero size): XRC has no receive queue");
	CMD_CHECK(cmd, QPC, QPC_XRCD,
		  !hw_get(qpc, HW_QPC_NO_SQ) ||
			  cmd_xrcd_exists(cmd->nic, hw_get(qpc, HW_QPC_XRCD)),
		  "an XRC domain of ALLOC_XRCD");
	CMD_CHECK(cmd, QPC, QPC_CQN_RCV,
		  !hw_get(qpc, HW_QPC_NO_SQ) ||
			  nic_cq_get(cmd->nic, hw_get(qpc, HW_QPC_CQN_RCV)),
		  "a CQ of CREATE_CQ");
	return true;
}

static bool is_rmp(struct nic *nic, uint32_t number)
{
	const struct nic_rmp *rmp = nic_rmp_get(nic, number);

	return rmp && !rmp->cq;
}

static bool check_receive(struct cmd *cmd)
{
	const uint8_t *qpc = cmd->in + QPC;
	uint32_t rq_type = hw_get(qpc, HW_QPC_RQ_TYPE);

	CMD_CHECK(cmd, QPC, QPC_RQ_TYPE,
		  rq_type == HW_RQ_REGULAR || rq_type == HW_RQ_SRQ ||
			  rq_type == HW_RQ_ZERO_SIZE,
		  "0 (regular), 1 (SRQ) or 3 (zero size)");
	CMD_CHECK(cmd, QPC, QPC_CQN_RCV,
		  rq_type == HW_RQ_ZERO_SIZE ||
			  nic_cq_get(cmd->nic, hw_get(qpc, HW_QPC_CQN_RCV)),
		  "a CQ of CREATE_CQ");
	CMD_CHECK(cmd, QPC, QPC_SRQN_RMPN,
		  rq_type != HW_RQ_SRQ ||
			  is_rmp(cmd->nic, hw_get(qpc, HW_QPC_SRQN_RMPN)),
		  "an RMP of CREATE_RMP");
	return true;
}

static bool check_objects(struct cmd *cmd)
{
	const uint8_t *qpc = cmd->in + QPC;

	CMD_CHECK(cmd, QPC, QPC_ST, service_of(cmd->nic, qpc) >= 0,
		  "0 (RC), 1 (UC), 2 (UD) or 3 (XRC)");
	CMD_CHECK(cmd, QPC, QPC_PD,
		  cmd_pd_exists(cmd->nic, hw_get(qpc, HW_QPC_PD)),
		  "a PD of ALLOC_PD");
	CMD_CHECK(cmd, QPC, QPC_UAR_PAGE,
		  hw_get(qpc, HW_QPC_NO_SQ) ||
			  nic_uar_get(cmd->nic, hw_get(qpc, HW_QPC_UAR_PAGE)),
		  "a UAR page of this device");
	CMD_CHECK(cmd, QPC, QPC_CQN_SND,
		  hw_get(qpc, HW_QPC_NO_SQ) ||
			  nic_cq_get(cmd->nic, hw_get(qpc, HW_QPC_CQN_SND)),
		  "a CQ of CREATE_CQ");
	return hw_get(qpc, HW_QPC_ST) == HW_QP_ST_XRC ? check_xrc(cmd)
						      : check_receive(cmd);
}

static bool check_sizes(struct cmd *cmd)
{
	const struct nic_persona_info *persona = cmd->nic->persona;
	const uint8_t *qpc = cmd->in + QPC;

	CMD_CHECK(cmd, QPC, QPC_NO_SQ,
		  !hw_get(qpc, HW_QPC_NO_SQ) ||
			  hw_get(qpc, HW_QPC_RQ_TYPE) != HW_RQ_ZERO_SIZE,
		  "0: a queue pair needs one queue at least");
	CMD_CHECK(cmd, QPC, QPC_LOG_SQ_SIZE,
		  hw_get(qpc, HW_QPC_LOG_SQ_SIZE) <= persona->log_max_qp_sz,
		  "at most log_max_qp_sz");
	CMD_CHECK(cmd, QPC, QPC_LOG_RQ_SIZE,
		  hw_get(qpc, HW_QPC_LOG_RQ_SIZE) <= persona->log_max_qp_sz,
		  "at most log_max_qp_sz");
	CMD_CHECK(cmd, QPC, QPC_LOG_RQ_STRIDE,
		  16u << hw_get(qpc, HW_QPC_LOG_RQ_STRIDE) <=
			  persona->max_wqe_sz_rq,
		  "a stride of at most max_wqe_sz_rq bytes");
	CMD_CHECK(cmd, QPC, QPC_SEND_DBR_MODE,
		  hw_get(qpc, HW_QPC_SEND_DBR_MODE) <=
			  (persona->no_dbr_ext ? HW_SEND_DBR_NO_DBR_EXT
					       : HW_SEND_DBR_VALID),
		  "0, or 1 on a device with send_dbr_mode_no_dbr_ext");
	return true;
}

/* The sizes of the rings, and where the send ring starts. */
static uint64_t init_rings(const uint8_t *qpc, struct nic_qp *qp)
{
	uint64_t rq_bytes = 0;

	qp->rq_type = (uint8_t)hw_get(qpc, HW_QPC_RQ_TYPE);
	if (qp->rq_type == HW_RQ_REGULAR) {
		qp->rq.present = true;
		qp->rq.mask = (1u << hw_get(qpc, HW_QPC_LOG_RQ_SIZE)) - 1;
		qp->rq.log_stride =
			(uint8_t)(4 + hw_get(qpc, HW_QPC_LOG_RQ_STRIDE));
		rq_bytes = (uint64_t)(qp->rq.mask + 1) << qp->rq.log_stride;
	}
	qp->sq.size = 1u << hw_get(qpc, HW_QPC_LOG_SQ_SIZE);
	if (hw_get(qpc, HW_QPC_NO_SQ))
		qp->sq.size = 0;
	return rq_bytes;
}

static bool bind_memory(struct cmd *cmd, struct nic_qp *qp)
{
	const uint8_t *qpc = cmd->in + QPC;
	uint64_t rq_bytes = init_rings(qpc, qp);
	struct cmd_umem_use wq = {
		.id = cmd_get(cmd, 0, HW_CREATE_QP_UMEM_ID),
		.id_offset = HW_CREATE_QP_UMEM_ID.offset,
		.offset = cmd_get64(cmd, 0, HW_CREATE_QP_UMEM_OFFSET),
		.len = rq_bytes + (uint64_t)qp->sq.size * HW_WQE_BB,
		.align = HW_WQE_BB,
		.what = "the work queues",
	};
	struct cmd_umem_use dbr = {
		.id = hw_get(qpc, HW_QPC_DBR_UMEM_ID),
		.id_offset = QPC + HW_QPC_DBR_UMEM_ID.offset,
		.offset = hw_get64(qpc, HW_QPC_DBR_ADDR),
		.len = HW_DBR_BYTES,
		.align = HW_DBR_BYTES,
		.what = "the doorbell record",
	};
	uint8_t *record;

	qp->no_dbr =
		hw_get(qpc, HW_QPC_SEND_DBR_MODE) == HW_SEND_DBR_NO_DBR_EXT;
	if (!wq.len) /* an XRC target, or receives from an SRQ only */
		return true;
	qp->wq_umem = cmd_umem(cmd, &wq);
	if (!qp->wq_umem)
		return false;
	qp->rq.ring = qp->wq_umem->base + wq.offset;
	qp->sq.ring = qp->rq.ring + rq_bytes;
	if (qp->no_dbr && !qp->rq.present && !dbr.id)
		return true; /* nobody would read a record */
	qp->dbr_umem = cmd_umem(cmd, &dbr);
	if (!qp->dbr_umem)
		return false;
	record = qp->dbr_umem->base + dbr.offset;
	qp->rq.dbrec_word = record + sizeof(be32) * HW_DBR_RCV;
	qp->sq.dbrec_word = record + sizeof(be32) * HW_DBR_SND;
	return true;
}

static void bind_objects(struct nic *nic, const uint8_t *qpc, struct nic_qp *qp)
{
	qp->pd = qp->key_pd = hw_get(qpc, HW_QPC_PD);
	qp->service = (uint8_t)service_of(nic, qpc);
	qp->acked = hw_pkt_is_reliable(qp->service);
	qp->user_index = hw_get(qpc, HW_QPC_USER_INDEX);
	qp->uar = nic_uar_get(nic, hw_get(qpc, HW_QPC_UAR_PAGE));
	qp->cq_send = nic_cq_get(nic, hw_get(qpc, HW_QPC_CQN_SND));
	qp->cq_recv = nic_cq_get(nic, hw_get(qpc, HW_QPC_CQN_RCV));
	/* A missing half never completes anything; check_sizes() has seen to
	 * it that one is there. */
	if (!qp->cq_send)
		qp->cq_send = qp->cq_recv;
	if (!qp->cq_recv || qp->rq_type == HW_RQ_ZERO_SIZE)
		qp->cq_recv = qp->cq_send;
	assert(qp->cq_send && qp->cq_recv);
	if (qp->rq_type == HW_RQ_SRQ && qp->service != HW_PKT_XRC)
		qp->rmp = nic_rmp_get(nic, hw_get(qpc, HW_QPC_SRQN_RMPN));
	if (qp->uar) {
		qp->uar->users++;
		qp->uar->qps++;
		qp->uar->no_dbr_users += qp->no_dbr;
	}
	qp->cq_send->users++;
	qp->cq_recv->users++;
	if (qp->wq_umem)
		qp->wq_umem->users++;
	if (qp->dbr_umem)
		qp->dbr_umem->users++;
	if (qp->rmp)
		qp->rmp->users++;
}

/* A send ring on a GPU is read through a window; see nic_sq_fetch(). */
static bool make_window(struct nic_sq *sq)
{
	if (!sq->size || !dma_is_device(sq->ring))
		return true;
	sq->window = calloc(1, sizeof(*sq->window));
	return sq->window != NULL;
}

bool cmd_create_qp(struct cmd *cmd)
{
	const uint8_t *qpc = cmd->in + QPC;
	struct nic_qp *qp;

	if (!check_objects(cmd) || !check_sizes(cmd))
		return false;
	qp = calloc(1, sizeof(*qp));
	if (!qp)
		return cmd_no_resources(cmd, "QPs");
	if (!bind_memory(cmd, qp)) {
		free(qp);
		return false;
	}
	if (!make_window(&qp->sq) ||
	    nic_table_add(&cmd->nic->qps, qp, &qp->number)) {
		free(qp->sq.window);
		free(qp);
		return cmd_no_resources(cmd, "QPs");
	}
	nic_show_qps(cmd->nic);
	bind_objects(cmd->nic, qpc, qp);
	memcpy(qp->qpc, qpc, sizeof(qp->qpc));
	nic_qp_set_state(cmd->nic, qp, HW_QP_RST);
	cmd_set_number(cmd, qp->number);
	return true;
}

static struct nic_qp *find(struct cmd *cmd)
{
	uint32_t number = cmd_get(cmd, 0, HW_CMD_IN_NUMBER);
	struct nic_qp *qp = nic_qp_get(cmd->nic, number);

	if (!qp)
		cmd_refuse(cmd, HW_CMD_BAD_RES, HW_CMD_IN_NUMBER.offset,
			   "QP 0x%x does not exist", number);
	return qp;
}

bool cmd_query_qp(struct cmd *cmd)
{
	const struct nic_qp *qp = find(cmd);
	uint8_t *qpc = cmd->out + QPC;

	if (!qp)
		return false;
	memcpy(qpc, qp->qpc, sizeof(qp->qpc));
	hw_set(qpc, HW_QPC_STATE, qp->state);
	hw_set(qpc, HW_QPC_NEXT_SEND_PSN, qp->sq.next_psn);
	hw_set(qpc, HW_QPC_NEXT_RCV_PSN, qp->resp.epsn);
	hw_set(qpc, HW_QPC_LAST_ACKED_PSN,
	       hw_psn_add(qp->sq.head && qp->sq.head->admitted
				  ? qp->sq.head->first_psn
				  : qp->sq.next_psn,
			  HW_PSN_MASK));
	hw_set(qpc, HW_QPC_HW_SQ_COUNTER, qp->sq.done & 0xffff);
	hw_set(qpc, HW_QPC_SW_SQ_COUNTER, qp->sq.pi & 0xffff);
	hw_set(qpc, HW_QPC_HW_RQ_COUNTER, qp->rq.ci);
	hw_set(qpc, HW_QPC_SW_RQ_COUNTER, qp->rq.pi);
	return true;
}

bool cmd_destroy_qp(struct cmd *cmd)
{
	struct nic_qp *qp = find(cmd);

	if (!qp)
		return false;
	nic_qp_destroy(cmd->nic, qp);
	return true;
}
