/* SPDX-License-Identifier: MIT */
/*
 * Queue pairs: change their state, and tell what they are.
 *
 * The kernel keeps a state of its own: an error that the device found changes
 * it only when the program queries the queue pair.
 *
 * Source of truth: Linux drivers/infiniband/core/uverbs_cmd.c (modify_qp,
 * ib_uverbs_query_qp), hw/mlx5/qp.c (__mlx5_ib_modify_qp, optab).
 * Not modelled: path migration, rate limits.
 * Thread: under the context's lock.
 */
#include <errno.h>
#include <string.h>

#include <rdma/ib_user_ioctl_verbs.h>

#include "emu/uverbs/call.h"
#include "emu/uverbs/qp.h"
#include "hw/cmd_qp.h"

enum {
	PATH = HW_QPC_PATH,
	MTU_4096 = 5,
	UD_LOG_MSG_MAX = 12,
	LOG_MSG_MAX = 30,
};

/* Bits of opt_param_mask (enum mlx5_qp_optpar). */
enum {
	OPT_RRE = 1 << 1,
	OPT_RAE = 1 << 2,
	OPT_RWE = 1 << 3,
	OPT_PKEY_INDEX = 1 << 4,
	OPT_Q_KEY = 1 << 5,
	OPT_RNR_TIMEOUT = 1 << 6,
	OPT_PRIMARY_ADDR_PATH = 1 << 7,
	OPT_SRA_MAX = 1 << 8,
	OPT_RRA_MAX = 1 << 9,
	OPT_RETRY_COUNT = 1 << 12,
	OPT_RNR_RETRY = 1 << 13,
	OPT_ACK_TIMEOUT = 1 << 14,
	OPT_PRI_PORT = 1 << 16,
};

static const struct {
	uint32_t attr, opt;
} optional_params[] = {
	{UV_QP_ACCESS_FLAGS, OPT_RRE | OPT_RAE | OPT_RWE},
	{UV_QP_PKEY_INDEX, OPT_PKEY_INDEX},
	{UV_QP_QKEY, OPT_Q_KEY},
	{UV_QP_MIN_RNR_TIMER, OPT_RNR_TIMEOUT},
	{UV_QP_AV, OPT_PRIMARY_ADDR_PATH},
	{UV_QP_MAX_QP_RD_ATOMIC, OPT_SRA_MAX},
	{UV_QP_MAX_DEST_RD_ATOMIC, OPT_RRA_MAX},
	{UV_QP_RETRY_CNT, OPT_RETRY_COUNT},
	{UV_QP_RNR_RETRY, OPT_RNR_RETRY},
	{UV_QP_TIMEOUT, OPT_ACK_TIMEOUT},
	{UV_QP_PORT, OPT_PRI_PORT},
};

/* The command of a change; 0: there is none. */
static uint16_t command_of(uint8_t from, uint8_t to)
{
	static const uint16_t commands[UV_QPS_COUNT][UV_QPS_COUNT] = {
		[UV_QPS_RESET] = {[UV_QPS_INIT] = HW_CMD_RST2INIT_QP},
		[UV_QPS_INIT] = {[UV_QPS_INIT] = HW_CMD_INIT2INIT_QP,
				 [UV_QPS_RTR] = HW_CMD_INIT2RTR_QP},
		[UV_QPS_RTR] = {[UV_QPS_RTS] = HW_CMD_RTR2RTS_QP},
		[UV_QPS_RTS] = {[UV_QPS_RTS] = HW_CMD_RTS2RTS_QP},
		[UV_QPS_SQE] = {[UV_QPS_RTS] = HW_CMD_SQERR2RTS_QP},
	};

	if (to == UV_QPS_RESET)
		return HW_CMD_2RST_QP;
	if (to == UV_QPS_ERR)
		return HW_CMD_2ERR_QP;
	return commands[from][to];
}

/* ------------------------------------------------------------- to the QPC */

/* Rounded up. */
static uint32_t log2_of(uint32_t n)
{
	return n > 1 ? 32 - (uint32_t)__builtin_clz(n - 1) : 0;
}

/* The six bytes that the wire gives the NIC with this GID. */
static void set_mac(uint8_t *ads, const uint8_t gid[16])
{
	const uint8_t *guid = gid + 8;

	hw_set(ads, HW_ADS_RMAC_47_32,
	       (uint32_t)((guid[0] & 0xfc) | 2) << 8 | guid[1]);
	hw_set(ads, HW_ADS_RMAC_31_0,
	       (uint32_t)guid[4] << 24 | (uint32_t)guid[5] << 16 |
		       (uint32_t)guid[6] << 8 | guid[7]);
}

static void set_path(uint8_t *ads, const struct ib_uverbs_qp_dest *dest,
		     bool roce)
{
	hw_set(ads, HW_ADS_RLID, dest->dlid);
	hw_set(ads, HW_ADS_SL, dest->sl);
	hw_set(ads, HW_ADS_STAT_RATE, dest->static_rate);
	hw_set(ads, HW_ADS_MLID, dest->src_path_bits);
	if (!dest->is_global)
		return;
	hw_set(ads, HW_ADS_GRH, 1);
	hw_set(ads, HW_ADS_SRC_ADDR_INDEX, dest->sgid_index);
	hw_set(ads, HW_ADS_HOP_LIMIT, dest->hop_limit);
	hw_set(ads, HW_ADS_TCLASS, dest->traffic_class);
	hw_set(ads, HW_ADS_FLOW_LABEL, dest->flow_label);
	memcpy(ads + HW_ADS_RGID, dest->dgid, sizeof(dest->dgid));
	if (!roce)
		return;
	hw_set(ads, HW_ADS_DSCP, dest->traffic_class >> 2);
	hw_set(ads, HW_ADS_UDP_SPORT, 0xc000 | (dest->flow_label & 0x3fff));
	set_mac(ads, dest->dgid);
}

static void set_access(uint8_t *qpc, uint32_t access)
{
	hw_set(qpc, HW_QPC_RRE, !!(access & IB_UVERBS_ACCESS_REMOTE_READ));
	hw_set(qpc, HW_QPC_RWE, !!(access & IB_UVERBS_ACCESS_REMOTE_WRITE));
	hw_set(qpc, HW_QPC_RAE, !!(access & IB_UVERBS_ACCESS_REMOTE_ATOMIC));
	if (access & IB_UVERBS_ACCESS_REMOTE_ATOMIC)
		hw_set(qpc, HW_QPC_ATOMIC_MODE, HW_ATOMIC_MODE_8B);
}

static void set_sizes(uint8_t *qpc, const struct ib_uverbs_modify_qp *m,
		      uint8_t type)
{
	bool ud = type == IB_UVERBS_QPT_UD;

	if (m->qp_state != UV_QPS_RTR)
		return;
	hw_set(qpc, HW_QPC_MTU, ud ? MTU_4096 : m->path_mtu);
	hw_set(qpc, HW_QPC_LOG_MSG_MAX, ud ? UD_LOG_MSG_MAX : LOG_MSG_MAX);
}

static void fill_context(struct uv_call *call, const struct uv_qp *qp,
			 const struct ib_uverbs_modify_qp *m, uint8_t *qpc)
{
	struct uv_device_info info;
	uint32_t mask = m->attr_mask;

	uv_device_describe(call->context->device, &info);
	hw_set(qpc, HW_QPC_PM_STATE, HW_PM_MIGRATED);
	hw_set(qpc + PATH, HW_ADS_PORT, 1);
	set_sizes(qpc, m, qp->type);
	if (mask & UV_QP_PKEY_INDEX)
		hw_set(qpc + PATH, HW_ADS_PKEY_INDEX, m->pkey_index);
	if (mask & UV_QP_ACCESS_FLAGS)
		set_access(qpc, m->qp_access_flags);
	if (mask & UV_QP_QKEY)
		hw_set(qpc, HW_QPC_Q_KEY, m->qkey);
	if (mask & UV_QP_AV)
		set_path(qpc + PATH, &m->dest, info.link == NIC_LINK_ROCE);
	if (mask & UV_QP_DEST_QPN)
		hw_set(qpc, HW_QPC_REMOTE_QPN, m->dest_qp_num);
	if (mask & UV_QP_RQ_PSN)
		hw_set(qpc, HW_QPC_NEXT_RCV_PSN, m->rq_psn);
	if (mask & UV_QP_SQ_PSN)
		hw_set(qpc, HW_QPC_NEXT_SEND_PSN, m->sq_psn);
	if (mask & UV_QP_TIMEOUT)
		hw_set(qpc + PATH, HW_ADS_ACK_TIMEOUT, m->timeout);
	if (mask & UV_QP_RETRY_CNT)
		hw_set(qpc, HW_QPC_RETRY_COUNT, m->retry_cnt);
	if (mask & UV_QP_RNR_RETRY)
		hw_set(qpc, HW_QPC_RNR_RETRY, m->rnr_retry);
	if (mask & UV_QP_MIN_RNR_TIMER)
		hw_set(qpc, HW_QPC_MIN_RNR_NAK, m->min_rnr_timer);
	if (mask & UV_QP_MAX_QP_RD_ATOMIC)
		hw_set(qpc, HW_QPC_LOG_SRA_MAX, log2_of(m->max_rd_atomic));
	if (mask & UV_QP_MAX_DEST_RD_ATOMIC)
		hw_set(qpc, HW_QPC_LOG_RRA_MAX, log2_of(m->max_dest_rd_atomic));
}

/* ------------------------------------------------------------------ modify */

static int check_values(struct uv_call *call,
			const struct ib_uverbs_modify_qp *m)
{
	struct uv_device_info info;
	uint32_t mask = m->attr_mask;

	uv_device_describe(call->context->device, &info);
	if ((mask & UV_QP_PORT) && m->port_num != 1)
		return -EINVAL;
	if ((mask & UV_QP_AV) && (m->dest.port_num != 1 ||
				  (m->dest.is_global && m->dest.sgid_index)))
		return -EINVAL;
	if ((mask & UV_QP_AV) && info.link == NIC_LINK_ROCE &&
	    !m->dest.is_global)
		return -EINVAL;
	if ((mask & UV_QP_PKEY_INDEX) && m->pkey_index)
		return -EINVAL;
	if ((mask & UV_QP_MAX_QP_RD_ATOMIC) && m->max_rd_atomic > 16)
		return -EINVAL;
	if ((mask & UV_QP_MAX_DEST_RD_ATOMIC) && m->max_dest_rd_atomic > 16)
		return -EINVAL;
	if ((mask & UV_QP_CUR_STATE) && m->cur_qp_state > UV_QPS_ERR)
		return -EINVAL;
	if ((mask & UV_QP_STATE) && m->qp_state > UV_QPS_ERR)
		return -EINVAL;
	if (mask & (UV_QP_ALT_PATH | UV_QP_PATH_MIG_STATE)) {
		/* Asking for what is the case already is fine. */
		if ((mask & UV_QP_ALT_PATH) || m->path_mig_state)
			uv_unsupported("path migration");
	}
	return 0;
}

static uint32_t optional_mask(uint32_t attr_mask)
{
	uint32_t opt = 0;
	unsigned i;

	for (i = 0; i < sizeof(optional_params) / sizeof(optional_params[0]);
	     i++)
		if (attr_mask & optional_params[i].attr)
			opt |= optional_params[i].opt;
	return opt;
}

static int change(struct uv_call *call, struct uv_qp *qp,
		  struct ib_uverbs_modify_qp *m)
{
	struct uv_qp_change change = {
		.from = m->attr_mask & UV_QP_CUR_STATE ? m->cur_qp_state
						       : qp->state,
		.type = qp->type,
		.mask = m->attr_mask,
	};
	struct uv_box box = {{0}, {0}};
	uint16_t command;
	int ret;

	change.to = m->attr_mask & UV_QP_STATE ? m->qp_state : change.from;
	if (!uv_qp_change_ok(&change))
		return -EINVAL;
	ret = check_values(call, m);
	if (ret)
		return ret;
	if (change.from == UV_QPS_RESET && change.to == UV_QPS_RESET)
		return 0;
	command = command_of(change.from, change.to);
	if (!command) {
		uv_unsupported("draining a send queue (state SQD)");
		return -EINVAL;
	}
	m->qp_state = change.to;
	hw_set(box.in, HW_CMD_IN_OPCODE, command);
	hw_set(box.in, HW_CMD_IN_NUMBER, qp->qpn);
	if (command != HW_CMD_2RST_QP && command != HW_CMD_2ERR_QP) {
		hw_set(box.in, HW_QP_OPT_PARAM_MASK,
		       optional_mask(m->attr_mask));
		fill_context(call, qp, m, box.in + HW_QPC_OFFSET);
	}
	ret = uv_box_exec(call->context, &box);
	if (!ret)
		qp->state = change.to;
	return ret;
}

/* One half of an XRC connection ignores what is the other half's to know. */
static uint32_t attrs_of_type(uint8_t type, uint32_t attr_mask)
{
	switch (type) {
	case IB_UVERBS_QPT_XRC_INI:
		return attr_mask & ~(uint32_t)(UV_QP_MAX_DEST_RD_ATOMIC |
					       UV_QP_MIN_RNR_TIMER);
	case IB_UVERBS_QPT_XRC_TGT:
		return attr_mask &
		       ~(uint32_t)(UV_QP_MAX_QP_RD_ATOMIC | UV_QP_RETRY_CNT |
				   UV_QP_RNR_RETRY);
	default:
		return attr_mask;
	}
}

/* Its number in *qpn: a program learns a DC target's only here. */
static int modify(struct uv_call *call, struct ib_uverbs_modify_qp *m,
		  uint32_t *qpn)
{
	struct uv_qp *qp;
	int error;

	qp = uv_object_find(call->context, UVERBS_OBJECT_QP, m->qp_handle,
			    &error);
	if (!qp)
		return -EINVAL;
	*qpn = qp->qpn;
	m->attr_mask = attrs_of_type(qp->type, m->attr_mask);
	return change(call, qp, m);
}

static int modify_qp(struct uv_call *call)
{
	struct ib_uverbs_modify_qp req;
	uint32_t qpn;
	int ret = uv_call_in(call, UVERBS_ATTR_CORE_IN, &req, sizeof(req));

	if (!ret && (req.attr_mask & ~((UV_QP_DEST_QPN << 1) - 1u)))
		ret = -EOPNOTSUPP;
	return ret ? ret : modify(call, &req, &qpn);
}

static int ex_modify_qp(struct uv_call *call)
{
	struct ib_uverbs_ex_modify_qp_resp resp = {.response_length =
							   sizeof(resp)};
	struct mlx5_ib_modify_qp_resp driver = {0};
	const struct uv_attr *uhw = uv_call_attr(call, UVERBS_ATTR_UHW_OUT);
	struct ib_uverbs_ex_modify_qp req;
	int ret = uv_call_in(call, UVERBS_ATTR_CORE_IN, &req, sizeof(req));

	if (!ret && (req.base.attr_mask & UV_QP_RATE_LIMIT)) {
		uv_unsupported("a rate limit");
		ret = -EOPNOTSUPP;
	}
	if (!ret)
		ret = modify(call, &req.base, &driver.dctn);
	if (!ret)
		ret = uv_call_out(call, UVERBS_ATTR_CORE_OUT, &resp,
				  sizeof(resp));
	if (ret || !uhw)
		return ret;
	driver.response_length =
		uhw->len < sizeof(driver) ? uhw->len : (uint32_t)sizeof(driver);
	return uv_call_out(call, UVERBS_ATTR_UHW_OUT, &driver, sizeof(driver));
}

/* ------------------------------------------------------------------- query */

static uint8_t verbs_state(uint32_t hw_state)
{
	static const uint8_t states[] = {
		[HW_QP_RST] = UV_QPS_RESET, [HW_QP_INIT] = UV_QPS_INIT,
		[HW_QP_RTR] = UV_QPS_RTR,   [HW_QP_RTS] = UV_QPS_RTS,
		[HW_QP_SQER] = UV_QPS_SQE,  [HW_QP_SQD] = UV_QPS_SQD,
		[HW_QP_ERR] = UV_QPS_ERR,
	};

	return hw_state < sizeof(states) ? states[hw_state] : UV_QPS_ERR;
}

static void get_path(const uint8_t *ads, struct ib_uverbs_qp_dest *dest)
{
	dest->dlid = (uint16_t)hw_get(ads, HW_ADS_RLID);
	dest->sl = (uint8_t)hw_get(ads, HW_ADS_SL);
	dest->src_path_bits = (uint8_t)hw_get(ads, HW_ADS_MLID);
	dest->static_rate = (uint8_t)hw_get(ads, HW_ADS_STAT_RATE);
	dest->port_num = (uint8_t)hw_get(ads, HW_ADS_PORT);
	dest->is_global = (uint8_t)hw_get(ads, HW_ADS_GRH);
	if (!dest->is_global)
		return;
	memcpy(dest->dgid, ads + HW_ADS_RGID, sizeof(dest->dgid));
	dest->flow_label = hw_get(ads, HW_ADS_FLOW_LABEL);
	dest->sgid_index = (uint8_t)hw_get(ads, HW_ADS_SRC_ADDR_INDEX);
	dest->hop_limit = (uint8_t)hw_get(ads, HW_ADS_HOP_LIMIT);
	dest->traffic_class = (uint8_t)hw_get(ads, HW_ADS_TCLASS);
}

static uint32_t get_access(const uint8_t *qpc)
{
	uint32_t access = 0;

	if (hw_get(qpc, HW_QPC_RRE))
		access |= IB_UVERBS_ACCESS_REMOTE_READ;
	if (hw_get(qpc, HW_QPC_RWE))
		access |= IB_UVERBS_ACCESS_REMOTE_WRITE;
	if (hw_get(qpc, HW_QPC_RAE))
		access |= IB_UVERBS_ACCESS_REMOTE_ATOMIC;
	return access;
}

static void fill_query(const struct uv_qp *qp, const uint8_t *qpc,
		       struct ib_uverbs_query_qp_resp *resp)
{
	const uint8_t *ads = qpc + PATH;

	get_path(ads, &resp->dest);
	resp->max_send_wr = qp->cap.max_send_wr;
	resp->max_recv_wr = qp->cap.max_recv_wr;
	resp->max_send_sge = qp->cap.max_send_sge;
	resp->max_recv_sge = qp->cap.max_recv_sge;
	resp->max_inline_data = qp->cap.max_inline_data;
	resp->qkey = hw_get(qpc, HW_QPC_Q_KEY);
	resp->rq_psn = hw_get(qpc, HW_QPC_NEXT_RCV_PSN);
	resp->sq_psn = hw_get(qpc, HW_QPC_NEXT_SEND_PSN);
	resp->dest_qp_num = hw_get(qpc, HW_QPC_REMOTE_QPN);
	resp->qp_access_flags = get_access(qpc);
	resp->pkey_index = (uint16_t)hw_get(ads, HW_ADS_PKEY_INDEX);
	resp->qp_state = resp->cur_qp_state = qp->state;
	resp->path_mtu = (uint8_t)hw_get(qpc, HW_QPC_MTU);
	resp->path_mig_state = 0; /* migrated */
	resp->max_rd_atomic = (uint8_t)(1u << hw_get(qpc, HW_QPC_LOG_SRA_MAX));
	resp->max_dest_rd_atomic =
		(uint8_t)(1u << hw_get(qpc, HW_QPC_LOG_RRA_MAX));
	resp->min_rnr_timer = (uint8_t)hw_get(qpc, HW_QPC_MIN_RNR_NAK);
	resp->port_num = 1;
	resp->timeout = (uint8_t)hw_get(ads, HW_ADS_ACK_TIMEOUT);
	resp->retry_cnt = (uint8_t)hw_get(qpc, HW_QPC_RETRY_COUNT);
	resp->rnr_retry = (uint8_t)hw_get(qpc, HW_QPC_RNR_RETRY);
	resp->sq_sig_all = qp->sq_sig_all;
}

static int query_qp(struct uv_call *call)
{
	struct ib_uverbs_query_qp_resp resp;
	struct uv_box box = {{0}, {0}};
	const uint8_t *qpc = box.out + HW_QPC_OFFSET;
	struct ib_uverbs_query_qp req;
	struct uv_qp *qp;
	int ret = uv_call_in(call, UVERBS_ATTR_CORE_IN, &req, sizeof(req));

	if (ret)
		return ret;
	qp = uv_object_find(call->context, UVERBS_OBJECT_QP, req.qp_handle,
			    &ret);
	if (!qp)
		return -EINVAL;
	hw_set(box.in, HW_CMD_IN_OPCODE, HW_CMD_QUERY_QP);
	hw_set(box.in, HW_CMD_IN_NUMBER, qp->qpn);
	ret = uv_box_exec(call->context, &box);
	if (ret)
		return ret;
	qp->state = verbs_state(hw_get(qpc, HW_QPC_STATE));
	memset(&resp, 0, sizeof(resp));
	fill_query(qp, qpc, &resp);
	return uv_call_out(call, UVERBS_ATTR_CORE_OUT, &resp, sizeof(resp));
}

const struct uv_write uv_writes_qp[] = {
	UV_WRITE(MODIFY_QP, sizeof(struct ib_uverbs_modify_qp), 0, modify_qp),
	UV_WRITE_EX(MODIFY_QP, sizeof(struct ib_uverbs_modify_qp), 0,
		    ex_modify_qp),
	UV_WRITE(QUERY_QP, sizeof(struct ib_uverbs_query_qp),
		 sizeof(struct ib_uverbs_query_qp_resp), query_qp),
	{0},
};
