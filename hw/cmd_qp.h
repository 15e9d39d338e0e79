/* SPDX-License-Identifier: MIT */
/*
 * Queue pair context and its commands.
 *
 *   CREATE_QP and the state changes share one input layout:
 *     0x08[23:0] qpn (not in CREATE_QP) | 0x10 opt_param_mask
 *     0x18 qpc (232 B) | CREATE_QP: 0x100 wq_umem_offset, 0x108 wq_umem_id,
 *     0x10c[31] wq_umem_valid
 *   CREATE_QP output  0x08[23:0] qpn
 *   QUERY_QP output   0x18 qpc
 *
 * The work queue buffer holds the receive ring first, then the send ring.
 *
 * Source of truth: gpunetio mlx5_ifc.h, struct mlx5_ifc_qpc_bits, _ads_bits,
 * _create_qp_in_bits.
 */
#ifndef HW_CMD_QP_H
#define HW_CMD_QP_H

#include "cmd.h"

enum {
	HW_QPC_OFFSET = 0x18, /* in CREATE_QP, the state changes, QUERY_QP */
	HW_QPC_BYTES = 0xe8,
	HW_CREATE_QP_IN_BYTES = 0x110,
	HW_MODIFY_QP_IN_BYTES = 0x110, /* every state change with a context */
	HW_QUERY_QP_OUT_BYTES = 0x110,
};

#define HW_QP_OPT_PARAM_MASK	 HW_FIELD(0x10, 31, 0)
#define HW_CREATE_QP_UMEM_OFFSET HW_FIELD64(0x100)
#define HW_CREATE_QP_UMEM_ID	 HW_FIELD(0x108, 31, 0)
#define HW_CREATE_QP_UMEM_VALID	 HW_FIELD(0x10c, 31, 31)

/* Offsets into the context */
#define HW_QPC_STATE		HW_FIELD(0x00, 31, 28)
#define HW_QPC_ST		HW_FIELD(0x00, 23, 16)
#define HW_QPC_PM_STATE		HW_FIELD(0x00, 12, 11)
#define HW_QPC_PD		HW_FIELD(0x04, 23, 0)
#define HW_QPC_MTU		HW_FIELD(0x08, 31, 29) /* enum ibv_mtu */
#define HW_QPC_LOG_MSG_MAX	HW_FIELD(0x08, 28, 24)
#define HW_QPC_LOG_RQ_SIZE	HW_FIELD(0x08, 22, 19)
#define HW_QPC_LOG_RQ_STRIDE	HW_FIELD(0x08, 18, 16) /* 2^(4 + n) bytes */
#define HW_QPC_NO_SQ		HW_FIELD(0x08, 15, 15)
#define HW_QPC_LOG_SQ_SIZE	HW_FIELD(0x08, 14, 11) /* basic blocks */
#define HW_QPC_TS_FORMAT	HW_FIELD(0x08, 7, 6)
#define HW_QPC_RLKY		HW_FIELD(0x08, 4, 4) /* reserved lkey allowed */
#define HW_QPC_COUNTER_SET_ID	HW_FIELD(0x0c, 31, 24)
#define HW_QPC_UAR_PAGE		HW_FIELD(0x0c, 23, 0)
#define HW_QPC_SEND_DBR_MODE	HW_FIELD(0x10, 31, 30)
#define HW_QPC_USER_INDEX	HW_FIELD(0x10, 23, 0)
#define HW_QPC_LOG_PAGE_SIZE	HW_FIELD(0x14, 28, 24)
#define HW_QPC_REMOTE_QPN	HW_FIELD(0x14, 23, 0)
#define HW_QPC_PATH		0x18 /* primary address path, HW_ADS_* below */
#define HW_QPC_LOG_ACK_REQ_FREQ HW_FIELD(0x70, 31, 28)
#define HW_QPC_LOG_SRA_MAX	HW_FIELD(0x70, 23, 21)
#define HW_QPC_RETRY_COUNT	HW_FIELD(0x70, 18, 16)
#define HW_QPC_RNR_RETRY	HW_FIELD(0x70, 15, 13)
#define HW_QPC_NEXT_SEND_PSN	HW_FIELD(0x78, 23, 0)
#define HW_QPC_CQN_SND		HW_FIELD(0x7c, 23, 0)
#define HW_QPC_LAST_ACKED_PSN	HW_FIELD(0x88, 23, 0)
#define HW_QPC_SSN		HW_FIELD(0x8c, 23, 0)
#define HW_QPC_LOG_RRA_MAX	HW_FIELD(0x90, 23, 21)
#define HW_QPC_ATOMIC_MODE	HW_FIELD(0x90, 19, 16)
#define HW_QPC_RRE		HW_FIELD(0x90, 15, 15)
#define HW_QPC_RWE		HW_FIELD(0x90, 14, 14)
#define HW_QPC_RAE		HW_FIELD(0x90, 13, 13)
#define HW_QPC_PAGE_OFFSET	HW_FIELD(0x90, 11, 6)
#define HW_QPC_CD_MASTER	HW_FIELD(0x90, 0, 0)
#define HW_QPC_MIN_RNR_NAK	HW_FIELD(0x94, 28, 24)
#define HW_QPC_NEXT_RCV_PSN	HW_FIELD(0x94, 23, 0)
#define HW_QPC_XRCD		HW_FIELD(0x98, 23, 0)
#define HW_QPC_CQN_RCV		HW_FIELD(0x9c, 23, 0)
#define HW_QPC_DBR_ADDR		HW_FIELD64(0xa0) /* offset in the dbr umem */
#define HW_QPC_Q_KEY		HW_FIELD(0xa8, 31, 0)
#define HW_QPC_RQ_TYPE		HW_FIELD(0xac, 26, 24)
#define HW_QPC_SRQN_RMPN	HW_FIELD(0xac, 23, 0)
#define HW_QPC_HW_SQ_COUNTER	HW_FIELD(0xb4, 31, 16)
#define HW_QPC_SW_SQ_COUNTER	HW_FIELD(0xb4, 15, 0)
#define HW_QPC_HW_RQ_COUNTER	HW_FIELD(0xb8, 31, 0)
#define HW_QPC_SW_RQ_COUNTER	HW_FIELD(0xbc, 31, 0)
#define HW_QPC_CS_REQ		HW_FIELD(0xc4, 15, 8)
#define HW_QPC_CS_RES		HW_FIELD(0xc4, 7, 0)
#define HW_QPC_DC_ACCESS_KEY	HW_FIELD64(0xc8)
#define HW_QPC_DBR_UMEM_VALID	HW_FIELD(0xd0, 28, 28)
#define HW_QPC_DBR_UMEM_ID	HW_FIELD(0xe4, 31, 0)

/* Address path ("ads"); offsets into the path, which is at HW_QPC_PATH */
#define HW_ADS_PKEY_INDEX     HW_FIELD(0x00, 15, 0)
#define HW_ADS_GRH	      HW_FIELD(0x04, 23, 23)
#define HW_ADS_MLID	      HW_FIELD(0x04, 22, 16)
#define HW_ADS_RLID	      HW_FIELD(0x04, 15, 0)
#define HW_ADS_ACK_TIMEOUT    HW_FIELD(0x08, 31, 27)
#define HW_ADS_SRC_ADDR_INDEX HW_FIELD(0x08, 23, 16)
#define HW_ADS_STAT_RATE      HW_FIELD(0x08, 11, 8)
#define HW_ADS_HOP_LIMIT      HW_FIELD(0x08, 7, 0)
#define HW_ADS_TCLASS	      HW_FIELD(0x0c, 27, 20)
#define HW_ADS_FLOW_LABEL     HW_FIELD(0x0c, 19, 0)
#define HW_ADS_RGID	      0x10 /* 16 bytes: remote GID or IP */
#define HW_ADS_DSCP	      HW_FIELD(0x20, 21, 16)
#define HW_ADS_UDP_SPORT      HW_FIELD(0x20, 15, 0)
#define HW_ADS_ETH_PRIO	      HW_FIELD(0x24, 30, 28)
#define HW_ADS_SL	      HW_FIELD(0x24, 27, 24)
#define HW_ADS_PORT	      HW_FIELD(0x24, 23, 16)
#define HW_ADS_RMAC_47_32     HW_FIELD(0x24, 15, 0)
#define HW_ADS_RMAC_31_0      HW_FIELD(0x28, 31, 0)

enum hw_qp_state {
	HW_QP_RST = 0,
	HW_QP_INIT = 1,
	HW_QP_RTR = 2,
	HW_QP_RTS = 3,
	HW_QP_SQER = 4,
	HW_QP_SQD = 5,
	HW_QP_ERR = 6,
};

/* Service type */
enum hw_qp_st {
	HW_QP_ST_RC = 0x0,
	HW_QP_ST_UC = 0x1,
	HW_QP_ST_UD = 0x2,
	HW_QP_ST_XRC = 0x3,
	HW_QP_ST_DCI = 0x5,
};

enum hw_rq_type {
	HW_RQ_REGULAR = 0,
	HW_RQ_SRQ = 1,
	HW_RQ_ZERO_SIZE = 3,
};

enum hw_send_dbr_mode {
	HW_SEND_DBR_VALID = 0,
	HW_SEND_DBR_NO_DBR_EXT = 1,
};

enum { HW_PM_MIGRATED = 3 };
enum { HW_ATOMIC_MODE_IB = 1, HW_ATOMIC_MODE_8B = 3 };

#endif
