/* SPDX-License-Identifier: MIT */
/*
 * Which change of state needs which attributes, and which it may have.
 *
 * A change that is in no row needs nothing, takes nothing but the state, and
 * is legal only to RESET, and to ERR from all states but RESET.
 *
 * Source of truth: IBTA vol. 1, 11.2.5.2, table 91; Linux
 * drivers/infiniband/core/verbs.c (ib_modify_qp_is_ok).
 * Thread: any.
 */
#include "emu/uverbs/qp.h"

#include <stddef.h>

#include <rdma/ib_user_ioctl_verbs.h>

/* Types as bits. */
enum {
	RC = 1 << 0,
	UC = 1 << 1,
	UD = 1 << 2,
	INI = 1 << 3, /* XRC */
	TGT = 1 << 4,
	DCT = 1 << 5, /* ends in RTR; Linux drivers/infiniband/hw/mlx5/qp.c,
		       * mlx5_ib_modify_dct() */
	CONNECTED = RC | UC | INI | TGT,
	RELIABLE_REQUESTER = RC | INI,
	RELIABLE_RESPONDER = RC | TGT,
	ALL = CONNECTED | UD,
};

#define PATH_ATTRS (UV_QP_AV | UV_QP_PATH_MTU | UV_QP_DEST_QPN | UV_QP_RQ_PSN)
#define RETRY_ATTRS                                                            \
	(UV_QP_TIMEOUT | UV_QP_RETRY_CNT | UV_QP_RNR_RETRY |                   \
	 UV_QP_MAX_QP_RD_ATOMIC)
#define LATE_ATTRS                                                             \
	(UV_QP_CUR_STATE | UV_QP_ALT_PATH | UV_QP_ACCESS_FLAGS |               \
	 UV_QP_PATH_MIG_STATE)

static const struct {
	uint8_t from, to, types;
	uint32_t required, optional;
} rows[] = {
	{UV_QPS_RESET, UV_QPS_INIT, UD,
	 UV_QP_PKEY_INDEX | UV_QP_PORT | UV_QP_QKEY, 0},
	{UV_QPS_RESET, UV_QPS_INIT, CONNECTED | DCT,
	 UV_QP_PKEY_INDEX | UV_QP_PORT | UV_QP_ACCESS_FLAGS, 0},
	{UV_QPS_INIT, UV_QPS_RTR, DCT,
	 UV_QP_AV | UV_QP_PATH_MTU | UV_QP_MIN_RNR_TIMER, 0},
	{UV_QPS_INIT, UV_QPS_INIT, UD, 0,
	 UV_QP_PKEY_INDEX | UV_QP_PORT | UV_QP_QKEY},
	{UV_QPS_INIT, UV_QPS_INIT, CONNECTED, 0,
	 UV_QP_PKEY_INDEX | UV_QP_PORT | UV_QP_ACCESS_FLAGS},
	{UV_QPS_INIT, UV_QPS_RTR, UD, 0, UV_QP_PKEY_INDEX | UV_QP_QKEY},
	{UV_QPS_INIT, UV_QPS_RTR, UC | INI, PATH_ATTRS,
	 UV_QP_ALT_PATH | UV_QP_ACCESS_FLAGS | UV_QP_PKEY_INDEX},
	{UV_QPS_INIT, UV_QPS_RTR, RELIABLE_RESPONDER,
	 PATH_ATTRS | UV_QP_MAX_DEST_RD_ATOMIC | UV_QP_MIN_RNR_TIMER,
	 UV_QP_ALT_PATH | UV_QP_ACCESS_FLAGS | UV_QP_PKEY_INDEX},
	{UV_QPS_RTR, UV_QPS_RTS, UD, UV_QP_SQ_PSN,
	 UV_QP_CUR_STATE | UV_QP_QKEY},
	{UV_QPS_RTR, UV_QPS_RTS, UC, UV_QP_SQ_PSN, LATE_ATTRS},
	{UV_QPS_RTR, UV_QPS_RTS, RC, UV_QP_SQ_PSN | RETRY_ATTRS,
	 LATE_ATTRS | UV_QP_MIN_RNR_TIMER},
	{UV_QPS_RTR, UV_QPS_RTS, INI, UV_QP_SQ_PSN | RETRY_ATTRS, LATE_ATTRS},
	{UV_QPS_RTR, UV_QPS_RTS, TGT, UV_QP_SQ_PSN | UV_QP_TIMEOUT,
	 LATE_ATTRS | UV_QP_MIN_RNR_TIMER},
	{UV_QPS_RTS, UV_QPS_RTS, UD, 0, UV_QP_CUR_STATE | UV_QP_QKEY},
	{UV_QPS_RTS, UV_QPS_RTS, UC | INI, 0, LATE_ATTRS},
	{UV_QPS_RTS, UV_QPS_RTS, RELIABLE_RESPONDER, 0,
	 LATE_ATTRS | UV_QP_MIN_RNR_TIMER},
	{UV_QPS_RTS, UV_QPS_SQD, ALL, 0, UV_QP_EN_SQD_ASYNC_NOTIFY},
	{UV_QPS_SQD, UV_QPS_RTS, UD, 0, UV_QP_CUR_STATE | UV_QP_QKEY},
	{UV_QPS_SQD, UV_QPS_RTS, UC | INI, 0, LATE_ATTRS},
	{UV_QPS_SQD, UV_QPS_RTS, RELIABLE_RESPONDER, 0,
	 LATE_ATTRS | UV_QP_MIN_RNR_TIMER},
	{UV_QPS_SQE, UV_QPS_RTS, UD, 0, UV_QP_CUR_STATE | UV_QP_QKEY},
	{UV_QPS_SQE, UV_QPS_RTS, UC, 0, UV_QP_CUR_STATE | UV_QP_ACCESS_FLAGS},
};

static uint8_t type_bit(uint8_t type)
{
	switch (type) {
	case IB_UVERBS_QPT_RC:
		return RC;
	case IB_UVERBS_QPT_UC:
		return UC;
	case IB_UVERBS_QPT_UD:
		return UD;
	case IB_UVERBS_QPT_XRC_INI:
		return INI;
	case IB_UVERBS_QPT_XRC_TGT:
		return TGT;
	case IB_UVERBS_QPT_DRIVER:
		return DCT;
	default:
		return 0;
	}
}

bool uv_qp_change_ok(const struct uv_qp_change *change)
{
	uint32_t mask = change->mask & ~(uint32_t)UV_QP_STATE;
	size_t i;

	if (change->to == UV_QPS_RESET)
		return !mask;
	if (change->to == UV_QPS_ERR)
		return !mask && change->from != UV_QPS_RESET;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].from != change->from || rows[i].to != change->to ||
		    !(rows[i].types & type_bit(change->type)))
			continue;
		return (mask & rows[i].required) == rows[i].required &&
		       !(mask & ~(rows[i].required | rows[i].optional));
	}
	return false;
}
