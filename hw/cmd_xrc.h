/* SPDX-License-Identifier: MIT */
/*
 * XRC: domains and shared receive queues, and their commands.
 *
 *   ALLOC_XRCD output       0x08[23:0] xrcd
 *   CREATE_XRC_SRQ input    0x10 xrc_srqc (64 B) | 0x50 xrc_srq_umem_offset
 *                           0x58 xrc_srq_umem_id | 0x5c[31] xrc_srq_umem_valid
 *   CREATE_XRC_SRQ output   0x08[23:0] xrc_srqn
 *   QUERY_XRC_SRQ output    0x10 xrc_srqc
 *   ARM_XRC_SRQ input       op_mod 1 | 0x08[23:0] xrc_srqn | 0x0c[15:0] lwm
 *
 * Packets name an XRC SRQ; a target queue pair delivers into it if both are
 * in one domain. It completes into a CQ of its own, under its own user index.
 *
 * Source of truth: Linux mlx5_ifc.h, struct mlx5_ifc_xrc_srqc_bits,
 * _create_xrc_srq_in_bits, _arm_xrc_srq_in_bits; the umem fields of the
 * mailbox and of the doorbell record lie as CREATE_CQ has them.
 */
#ifndef HW_CMD_XRC_H
#define HW_CMD_XRC_H

#include "cmd.h"

enum {
	HW_XRC_SRQC_OFFSET = 0x10, /* CREATE input and QUERY output */
	HW_XRC_SRQC_BYTES = 0x40,
	HW_CREATE_XRC_SRQ_IN_BYTES = 0x110,
	HW_ARM_XRC_SRQ_OP_MOD = 1,
};

#define HW_CREATE_XRC_SRQ_UMEM_OFFSET HW_FIELD64(0x50)
#define HW_CREATE_XRC_SRQ_UMEM_ID     HW_FIELD(0x58, 31, 0)
#define HW_CREATE_XRC_SRQ_UMEM_VALID  HW_FIELD(0x5c, 31, 31)
#define HW_ARM_XRC_SRQ_LWM	      HW_FIELD(0x0c, 15, 0)

/* Offsets into the context */
#define HW_XRC_SRQC_STATE		 HW_FIELD(0x00, 31, 28)
#define HW_XRC_SRQC_LOG_SIZE		 HW_FIELD(0x00, 27, 24)
#define HW_XRC_SRQC_BASIC_CYCLIC_RCV_WQE HW_FIELD(0x04, 27, 27)
#define HW_XRC_SRQC_LOG_RQ_STRIDE	 HW_FIELD(0x04, 26, 24) /* 2^(4 + n) */
#define HW_XRC_SRQC_XRCD		 HW_FIELD(0x04, 23, 0)
#define HW_XRC_SRQC_DBR_UMEM_VALID	 HW_FIELD(0x08, 24, 24)
#define HW_XRC_SRQC_CQN			 HW_FIELD(0x08, 23, 0)
#define HW_XRC_SRQC_DBR_UMEM_ID		 HW_FIELD(0x0c, 31, 0)
#define HW_XRC_SRQC_USER_INDEX_IS_SRQN	 HW_FIELD(0x10, 31, 31)
#define HW_XRC_SRQC_USER_INDEX		 HW_FIELD(0x10, 23, 0)
#define HW_XRC_SRQC_PD			 HW_FIELD(0x18, 23, 0)
#define HW_XRC_SRQC_LWM			 HW_FIELD(0x1c, 31, 16)
#define HW_XRC_SRQC_WQE_CNT		 HW_FIELD(0x1c, 15, 0)
#define HW_XRC_SRQC_DBR_ADDR		 HW_FIELD64(0x28)

enum { HW_XRC_SRQC_STATE_GOOD = 0, HW_XRC_SRQC_STATE_ERROR = 1 };

#endif
