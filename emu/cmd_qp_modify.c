/* SPDX-License-Identifier: MIT */
/*
 * Queue pair commands: the state changes. The table of allowed and prohibited
 * ones is in emu/qp.h.
 *
 * What a change requires is always taken from the context; what is optional
 * only if its bit in opt_param_mask is set.
 *
 * Source: Linux mlx5 qp.c (opt_param_mask bits, required fields); IBTA vol. 1
 * table 91.
 * Thread: under the NIC's lock.
 */
#include <stdlib.h>

#include "emu/cmd.h"

enum {
	QPC = HW_QPC_OFFSET,
	ADS = HW_QPC_OFFSET + HW_QPC_PATH,
	MTU_MIN = 1, /* IBV_MTU_256 */
	MTU_MAX = 5, /* IBV_MTU_4096 */
};

enum opt_param {
	OPT_RRE = 1 << 1,
	OPT_RAE = 1 << 2,
	OPT_RWE = 1 << 3,
	OPT_PKEY_INDEX = 1 << 4,
	OPT_Q_KEY = 1 << 5,
	OPT_RNR_TIMEOUT = 1 << 6,
	OPT_PRIMARY_ADDR_PATH = 1 << 7,
	OPT_SRA_MAX = 1 << 8,
	OPT_PM_STATE = 1 << 10,
	OPT_RETRY_COUNT = 1 << 12,
	OPT_RNR_RETRY = 1 << 13,
	OPT_ACK_TIMEOUT = 1 << 14,
	OPT_PRI_PORT = 1 << 16,
	OPT_COUNTER_SET_ID = 1 << 25,
};

/* The QP in the state that the command starts from, or NULL after refusing. */
static struct nic_qp *find(struct cmd *cmd, int from)
{
	uint32_t number = cmd_get(cmd, 0, HW_CMD_IN_NUMBER);
	struct nic_qp *qp = nic_qp_get(cmd->nic, number);

	if (!qp) {
		cmd_refuse(cmd, HW_CMD_BAD_RES, HW_CMD_IN_NUMBER.offset,
			   "QP 0x%x does not exist", number);
		return NULL;
	}
	if (from < 0 || qp->state == from)
		return qp;
	cmd_refuse(cmd, HW_CMD_BAD_QP_STATE, HW_CMD_IN_NUMBER.offset,
		   "QP 0x%x is in %s, the command starts from %s", number,
		   nic_qp_state_name(qp->state),
		   nic_qp_state_name((uint8_t)from));
	return NULL;
}

/* Copy a field of the mailbox's context into the one that is kept. */
static void keep(struct cmd *cmd, struct nic_qp *qp, struct hw_field field)
{
	hw_set(qp->qpc, field, cmd_get(cmd, QPC, field));
}

static void keep_ads(struct cmd *cmd, struct nic_qp *qp, struct hw_field field)
{
	hw_set(qp->qpc + HW_QPC_PATH, field, cmd_get(cmd, ADS, field));
}

/* The path but for the partition, and for a port that is left open. */
static void keep_path(struct cmd *cmd, struct nic_qp *qp)
{
	enum { PATH_BYTES = 44 };
	uint8_t *ads = qp->qpc + HW_QPC_PATH;
	uint32_t pkey_index = hw_get(ads, HW_ADS_PKEY_INDEX);
	uint32_t port = hw_get(ads, HW_ADS_PORT);

	memcpy(ads, cmd->in + ADS, PATH_BYTES);
	hw_set(ads, HW_ADS_PKEY_INDEX, pkey_index);
	if (!hw_get(ads, HW_ADS_PORT))
		hw_set(ads, HW_ADS_PORT, port);
}

/* What any state change may set beside what it is for. */
static void keep_optional(struct cmd *cmd, struct nic_qp *qp, uint32_t which)
{
	if (which & OPT_PKEY_INDEX)
		keep_ads(cmd, qp, HW_ADS_PKEY_INDEX);
	if (which & OPT_PRI_PORT)
		keep_ads(cmd, qp, HW_ADS_PORT);
	if (which & OPT_Q_KEY)
		keep(cmd, qp, HW_QPC_Q_KEY);
	if (which & OPT_PM_STATE)
		keep(cmd, qp, HW_QPC_PM_STATE);
	if (which & OPT_COUNTER_SET_ID)
		keep(cmd, qp, HW_QPC_COUNTER_SET_ID);
}

static void set_access(struct cmd *cmd, struct nic_qp *qp, uint32_t which)
{
	uint8_t access = 0;

	if (which & OPT_RRE)
		keep(cmd, qp, HW_QPC_RRE);
	if (which & OPT_RWE)
		keep(cmd, qp, HW_QPC_RWE);
	if (which & OPT_RAE) {
		keep(cmd, qp, HW_QPC_RAE);
		keep(cmd, qp, HW_QPC_ATOMIC_MODE);
	}
	access |= hw_get(qp->qpc, HW_QPC_RRE) ? NIC_ACCESS_REMOTE_READ : 0;
	access |= hw_get(qp->qpc, HW_QPC_RWE) ? NIC_ACCESS_REMOTE_WRITE : 0;
	access |= hw_get(qp->qpc, HW_QPC_RAE) ? NIC_ACCESS_REMOTE_ATOMIC : 0;
	qp->access = access;
}

static void set_rnr_timer(struct cmd *cmd, struct nic_qp *qp)
{
	keep(cmd, qp, HW_QPC_MIN_RNR_NAK);
	qp->min_rnr_nak = (uint8_t)cmd_get(cmd, QPC, HW_QPC_MIN_RNR_NAK);
}

static bool check_port(struct cmd *cmd)
{
	uint32_t port = cmd_get(cmd, ADS, HW_ADS_PORT);

	/* 0: NVSHMEM leaves it so in later changes. */
	CMD_CHECK(cmd, ADS, ADS_PORT, port <= 1, "1, the only port");
	CMD_CHECK(cmd, ADS, ADS_PKEY_INDEX,
		  cmd_get(cmd, ADS, HW_ADS_PKEY_INDEX) == 0,
		  "0, the only partition");
	return true;
}

bool cmd_rst2init(struct cmd *cmd)
{
	struct nic_qp *qp = find(cmd, HW_QP_RST);

	if (!qp || !check_port(cmd))
		return false;
	keep_optional(cmd, qp,
		      OPT_PM_STATE | OPT_COUNTER_SET_ID | OPT_PKEY_INDEX |
			      OPT_PRI_PORT | OPT_Q_KEY);
	set_access(cmd, qp, OPT_RRE | OPT_RWE | OPT_RAE);
	nic_qp_set_state(cmd->nic, qp, HW_QP_INIT);
	return true;
}

bool cmd_init2init(struct cmd *cmd)
{
	struct nic_qp *qp = find(cmd, HW_QP_INIT);

	uint32_t optional = cmd_get(cmd, 0, HW_QP_OPT_PARAM_MASK);

	if (!qp || !check_port(cmd))
		return false;
	keep_optional(cmd, qp, optional);
	set_access(cmd, qp, optional);
	return true;
}

/* ------------------------------------------------------------ INIT2RTR */

static bool check_path(struct cmd *cmd)
{
	const uint8_t *ads = cmd->in + ADS;
	bool roce = cmd->nic->config.link == NIC_LINK_ROCE;
	static const uint8_t no_gid[16];

	if (!check_port(cmd))
		return false;
	CMD_CHECK(cmd, ADS, ADS_RLID,
		  roce || hw_get(ads, HW_ADS_GRH) || hw_get(ads, HW_ADS_RLID),
		  "a LID: this is an InfiniBand port, and grh is 0");
	if ((roce || hw_get(ads, HW_ADS_GRH)) &&
	    !memcmp(ads + HW_ADS_RGID, no_gid, sizeof(no_gid)))
		return cmd_refuse(
			cmd, HW_CMD_BAD_PARAM, ADS + HW_ADS_RGID,
			"ADS_RGID (mailbox 0x%02x, 16 bytes) is zero, "
			"expected the peer's GID: %s",
			ADS + HW_ADS_RGID,
			roce ? "this is an Ethernet port" : "grh is 1");
	CMD_CHECK(cmd, ADS, ADS_SRC_ADDR_INDEX,
		  hw_get(ads, HW_ADS_SRC_ADDR_INDEX) == 0, "0, the only GID");
	return true;
}

static bool check_rtr(struct cmd *cmd, const struct nic_qp *qp)
{
	uint32_t mtu = cmd_get(cmd, QPC, HW_QPC_MTU);
	uint32_t log_msg_max = cmd_get(cmd, QPC, HW_QPC_LOG_MSG_MAX);

	CMD_CHECK(cmd, QPC, QPC_MTU, mtu >= MTU_MIN && mtu <= MTU_MAX,
		  "1 (256 bytes) to 5 (4096 bytes)");
	CMD_CHECK(cmd, QPC, QPC_LOG_MSG_MAX, log_msg_max <= NIC_LOG_MAX_MSG,
		  "at most 30 (1 GiB)");
	CMD_CHECK(cmd, QPC, QPC_LOG_RRA_MAX,
		  !qp->acked || cmd_get(cmd, QPC, HW_QPC_LOG_RRA_MAX) <=
					cmd->nic->persona->log_max_ra,
		  "at most log_max_ra_res_qp");
	/* Each datagram has a path of its own. */
	return qp->service == HW_PKT_UD ? check_port(cmd) : check_path(cmd);
}

/* Room for the reads and atomics that the peer may have outstanding. */
static bool alloc_responses(struct cmd *cmd, struct nic_qp *qp)
{
	uint16_t size = (uint16_t)(1u << cmd_get(cmd, QPC, HW_QPC_LOG_RRA_MAX));
	struct nic_response *rd = calloc(size, sizeof(*rd));

	if (!rd)
		return cmd_no_resources(cmd, "responder resources");
	free(qp->resp.rd);
	qp->resp.rd = rd;
	qp->resp.rd_size = size;
	return true;
}

/* What cannot be sent again travels by value, so in smaller pieces; a datagram
 * is as long as the client was told. */
static uint32_t packet_bytes(struct nic *nic, const struct nic_qp *qp,
			     uint32_t mtu_code)
{
	const struct wire_ops *ops = nic->wire ? nic->wire->ops : NULL;

	if (ops && ops->copied && qp->service == HW_PKT_UC)
		return ops->copied;
	if (ops && ops->mtu && qp->service != HW_PKT_UD)
		return ops->mtu;
	return 128u << mtu_code;
}

static void set_rtr_peer(struct cmd *cmd, struct nic_qp *qp)
{
	keep_path(cmd, qp);
	keep(cmd, qp, HW_QPC_REMOTE_QPN);
	qp->remote_qpn = cmd_get(cmd, QPC, HW_QPC_REMOTE_QPN);
	qp->resp.epsn = cmd_get(cmd, QPC, HW_QPC_NEXT_RCV_PSN);
}

bool cmd_init2rtr(struct cmd *cmd)
{
	struct nic_qp *qp = find(cmd, HW_QP_INIT);
	uint32_t optional = cmd_get(cmd, 0, HW_QP_OPT_PARAM_MASK);

	if (!qp || !check_rtr(cmd, qp) ||
	    (qp->acked && !alloc_responses(cmd, qp)))
		return false;
	keep(cmd, qp, HW_QPC_MTU);
	keep(cmd, qp, HW_QPC_LOG_MSG_MAX);
	qp->mtu = packet_bytes(cmd->nic, qp, cmd_get(cmd, QPC, HW_QPC_MTU));
	qp->msg_max = 1u << cmd_get(cmd, QPC, HW_QPC_LOG_MSG_MAX);
	if (qp->service != HW_PKT_UD)
		set_rtr_peer(cmd, qp);
	else if (qp->msg_max > qp->mtu)
		qp->msg_max = qp->mtu; /* a datagram is one packet */
	if (qp->acked) {
		keep(cmd, qp, HW_QPC_LOG_RRA_MAX);
		set_rnr_timer(cmd, qp);
	}
	keep_optional(cmd, qp, optional);
	set_access(cmd, qp, optional);
	qp->peer_known = qp->peer_dead = false;
	nic_qp_set_state(cmd->nic, qp, HW_QP_RTR);
	if (qp->service != HW_PKT_UD)
		nic_qp_resolve(cmd->nic, qp);
	return true;
}

/* ------------------------------------------------------- RTR2RTS, RTS2RTS */

static void set_timeout(struct cmd *cmd, struct nic_qp *qp)
{
	uint32_t code = cmd_get(cmd, ADS, HW_ADS_ACK_TIMEOUT);

	hw_set(qp->qpc + HW_QPC_PATH, HW_ADS_ACK_TIMEOUT, code);
	/* 4.096 us * 2^code (IBTA 9.7.6.1.3) */
	qp->ack_timeout_ns = code ? 4096ull << code : 0;
}

static void set_retries(struct cmd *cmd, struct nic_qp *qp, uint32_t which)
{
	struct nic_sq *sq = &qp->sq;

	if (which & OPT_RETRY_COUNT) {
		keep(cmd, qp, HW_QPC_RETRY_COUNT);
		sq->retries_max =
			(uint8_t)cmd_get(cmd, QPC, HW_QPC_RETRY_COUNT);
		sq->retries = sq->retries_max;
	}
	if (which & OPT_RNR_RETRY) {
		keep(cmd, qp, HW_QPC_RNR_RETRY);
		sq->rnr_retries_max =
			(uint8_t)cmd_get(cmd, QPC, HW_QPC_RNR_RETRY);
		sq->rnr_retries = sq->rnr_retries_max;
	}
	if (which & OPT_SRA_MAX) {
		keep(cmd, qp, HW_QPC_LOG_SRA_MAX);
		sq->responses_max =
			(uint16_t)(1u << cmd_get(cmd, QPC, HW_QPC_LOG_SRA_MAX));
	}
	if (which & OPT_ACK_TIMEOUT)
		set_timeout(cmd, qp);
	if (which & OPT_RNR_TIMEOUT)
		set_rnr_timer(cmd, qp);
}

static bool check_optional(struct cmd *cmd, uint32_t which)
{
	if ((which & (OPT_PKEY_INDEX | OPT_PRI_PORT)) && !check_port(cmd))
		return false;
	return !(which & OPT_PRIMARY_ADDR_PATH) || check_path(cmd);
}

/* In RTS: what is not on its way yet takes the new path. */
static void set_optional(struct cmd *cmd, struct nic_qp *qp, uint32_t which)
{
	uint32_t timeout = hw_get(qp->qpc + HW_QPC_PATH, HW_ADS_ACK_TIMEOUT);

	keep_optional(cmd, qp, which);
	set_access(cmd, qp, which);
	if (!(which & OPT_PRIMARY_ADDR_PATH) || qp->service == HW_PKT_UD)
		return;
	keep_path(cmd, qp);
	if (!(which & OPT_ACK_TIMEOUT))
		hw_set(qp->qpc + HW_QPC_PATH, HW_ADS_ACK_TIMEOUT, timeout);
	qp->peer_known = qp->peer_dead = false;
	nic_qp_resolve(cmd->nic, qp);
}

static bool check_sra(struct cmd *cmd)
{
	CMD_CHECK(cmd, QPC, QPC_LOG_SRA_MAX,
		  cmd_get(cmd, QPC, HW_QPC_LOG_SRA_MAX) <=
			  cmd->nic->persona->log_max_ra,
		  "at most log_max_ra_req_qp");
	return true;
}

bool cmd_rtr2rts(struct cmd *cmd)
{
	struct nic_qp *qp = find(cmd, HW_QP_RTR);
	uint32_t optional = cmd_get(cmd, 0, HW_QP_OPT_PARAM_MASK);

	if (!qp || (qp->acked && !check_sra(cmd)) ||
	    !check_optional(cmd, optional))
		return false;
	if (qp->acked)
		set_retries(cmd, qp,
			    OPT_RETRY_COUNT | OPT_RNR_RETRY | OPT_SRA_MAX |
				    OPT_ACK_TIMEOUT |
				    (optional & OPT_RNR_TIMEOUT));
	set_optional(cmd, qp, optional);
	keep(cmd, qp, HW_QPC_LOG_ACK_REQ_FREQ);
	qp->sq.next_psn = cmd_get(cmd, QPC, HW_QPC_NEXT_SEND_PSN);
	qp->sq.sent_psn = qp->sq.next_psn;
	nic_qp_set_state(cmd->nic, qp, HW_QP_RTS);
	return true;
}

bool cmd_rts2rts(struct cmd *cmd)
{
	struct nic_qp *qp = find(cmd, HW_QP_RTS);
	uint32_t optional = cmd_get(cmd, 0, HW_QP_OPT_PARAM_MASK);

	if (!qp || ((optional & OPT_SRA_MAX) && !check_sra(cmd)) ||
	    !check_optional(cmd, optional))
		return false;
	set_retries(cmd, qp, optional);
	set_optional(cmd, qp, optional);
	return true;
}

bool cmd_sqerr2rts(struct cmd *cmd)
{
	struct nic_qp *qp = find(cmd, HW_QP_SQER);
	uint32_t optional = cmd_get(cmd, 0, HW_QP_OPT_PARAM_MASK);

	if (!qp || !check_optional(cmd, optional))
		return false;
	/* What was posted behind the failed request is not executed. */
	while (!nic_qp_flush(cmd->nic, qp, qp->sq.size))
		;
	qp->sq.stopped = false;
	set_optional(cmd, qp, optional);
	nic_qp_set_state(cmd->nic, qp, HW_QP_RTS);
	return true;
}

bool cmd_2err(struct cmd *cmd)
{
	struct nic_qp *qp = find(cmd, -1);

	if (!qp)
		return false;
	nic_qp_set_state(cmd->nic, qp, HW_QP_ERR);
	return true;
}

bool cmd_2rst(struct cmd *cmd)
{
	struct nic_qp *qp = find(cmd, -1);

	if (!qp)
		return false;
	nic_qp_set_state(cmd->nic, qp, HW_QP_RST);
	return true;
}
