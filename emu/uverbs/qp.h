/* SPDX-License-Identifier: MIT */
/*
 * Queue pairs as the verbs see them: states, attribute bits, and which change
 * needs and may have which attribute.
 *
 * Source of truth: rdma-core verbs.h (enum ibv_qp_state, ibv_qp_attr_mask);
 * IBTA vol. 1, table 91, as Linux drivers/infiniband/core/verbs.c has it.
 */
#ifndef EMU_UVERBS_QP_H
#define EMU_UVERBS_QP_H

#include <stdbool.h>
#include <stdint.h>

enum uv_qp_state {
	UV_QPS_RESET,
	UV_QPS_INIT,
	UV_QPS_RTR,
	UV_QPS_RTS,
	UV_QPS_SQD,
	UV_QPS_SQE,
	UV_QPS_ERR,
	UV_QPS_COUNT,
};

enum uv_qp_attr {
	UV_QP_STATE = 1 << 0,
	UV_QP_CUR_STATE = 1 << 1,
	UV_QP_EN_SQD_ASYNC_NOTIFY = 1 << 2,
	UV_QP_ACCESS_FLAGS = 1 << 3,
	UV_QP_PKEY_INDEX = 1 << 4,
	UV_QP_PORT = 1 << 5,
	UV_QP_QKEY = 1 << 6,
	UV_QP_AV = 1 << 7,
	UV_QP_PATH_MTU = 1 << 8,
	UV_QP_TIMEOUT = 1 << 9,
	UV_QP_RETRY_CNT = 1 << 10,
	UV_QP_RNR_RETRY = 1 << 11,
	UV_QP_RQ_PSN = 1 << 12,
	UV_QP_MAX_QP_RD_ATOMIC = 1 << 13,
	UV_QP_ALT_PATH = 1 << 14,
	UV_QP_MIN_RNR_TIMER = 1 << 15,
	UV_QP_SQ_PSN = 1 << 16,
	UV_QP_MAX_DEST_RD_ATOMIC = 1 << 17,
	UV_QP_PATH_MIG_STATE = 1 << 18,
	UV_QP_CAP = 1 << 19,
	UV_QP_DEST_QPN = 1 << 20,
	UV_QP_RATE_LIMIT = 1 << 25,
};

/* One change of a queue pair's state, for one type (enum ib_uverbs_qp_type). */
struct uv_qp_change {
	uint8_t from, to, type;
	uint32_t mask;
};

/* May the change be made with just these attributes? */
bool uv_qp_change_ok(const struct uv_qp_change *change);

#endif
