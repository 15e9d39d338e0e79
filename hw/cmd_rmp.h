/* SPDX-License-Identifier: MIT */
/*
 * Receive memory pool (the device's shared receive queue) and its commands.
 *
 *   CREATE_RMP input   0x20 rmpc (0xf0 B); its work queue at rmpc + 0x30
 *   CREATE_RMP output  0x08[23:0] rmpn
 *   MODIFY_RMP input   0x08[31:28] rmp_state | 0x08[23:0] rmpn
 *                      0x14[0] bitmask: lwm | 0x20 rmpc
 *   QUERY_RMP output   0x20 rmpc
 *
 * A QP with rq_type SRQ names it in qpc.srqn_rmpn.
 *
 * Source of truth: gpunetio mlx5_ifc.h, struct mlx5_ifc_rmpc_bits, _wq_bits.
 */
#ifndef HW_CMD_RMP_H
#define HW_CMD_RMP_H

#include "cmd.h"

enum {
	HW_RMPC_OFFSET = 0x20,
	HW_RMPC_WQ = 0x30, /* offset of the wq in the rmpc */
	HW_CREATE_RMP_IN_BYTES = 0x110,
	HW_QUERY_RMP_OUT_BYTES = 0x110,
};

#define HW_MODIFY_RMP_STATE	  HW_FIELD(0x08, 31, 28)
#define HW_MODIFY_RMP_BITMASK_LWM HW_FIELD(0x14, 0, 0)

#define HW_RMPC_STATE		     HW_FIELD(0x00, 23, 20)
#define HW_RMPC_BASIC_CYCLIC_RCV_WQE HW_FIELD(0x04, 31, 31)

/* Offsets into the work queue context */
#define HW_WQ_TYPE	     HW_FIELD(0x00, 31, 28)
#define HW_WQ_LWM	     HW_FIELD(0x04, 15, 0)
#define HW_WQ_PD	     HW_FIELD(0x08, 23, 0)
#define HW_WQ_UAR_PAGE	     HW_FIELD(0x0c, 23, 0)
#define HW_WQ_DBR_ADDR	     HW_FIELD64(0x10)
#define HW_WQ_HW_COUNTER     HW_FIELD(0x18, 31, 0)
#define HW_WQ_SW_COUNTER     HW_FIELD(0x1c, 31, 0)
#define HW_WQ_LOG_WQ_STRIDE  HW_FIELD(0x20, 19, 16) /* log2 of bytes */
#define HW_WQ_LOG_WQ_PG_SZ   HW_FIELD(0x20, 12, 8)
#define HW_WQ_LOG_WQ_SZ	     HW_FIELD(0x20, 4, 0)
#define HW_WQ_DBR_UMEM_VALID HW_FIELD(0x24, 31, 31)
#define HW_WQ_WQ_UMEM_VALID  HW_FIELD(0x24, 30, 30)
#define HW_WQ_DBR_UMEM_ID    HW_FIELD(0x28, 31, 0)
#define HW_WQ_WQ_UMEM_ID     HW_FIELD(0x2c, 31, 0)
#define HW_WQ_WQ_UMEM_OFFSET HW_FIELD64(0x30)

enum hw_wq_type {
	HW_WQ_LINKED_LIST = 0,
	HW_WQ_CYCLIC = 1,
};

enum { HW_RMPC_STATE_RDY = 1, HW_RMPC_STATE_ERR = 3 };

#endif
