/* SPDX-License-Identifier: MIT */
/*
 * Completion queue context and its commands.
 *
 *   CREATE_CQ input   0x10 cqc (64 B) | 0x50 cq_umem_offset | 0x58 cq_umem_id
 *                     0x5c[31] cq_umem_valid | 0x110 page list (not modelled)
 *   CREATE_CQ output  0x08[23:0] cqn
 *   MODIFY_CQ input   op_mod: enum hw_modify_cq | 0x08[23:0] cqn
 *                     0x0c field select | cqc and umem as in CREATE_CQ
 *   QUERY_CQ output   0x10 cqc
 *
 * Source of truth: UCX ib_mlx5_ifc.h, uct_ib_mlx5_cqc_bits, create_cq_in;
 * MODIFY_CQ: Linux mlx5_ifc.h, cq.h, and mlx5_ib_resize_cq().
 */
#ifndef HW_CMD_CQ_H
#define HW_CMD_CQ_H

#include "cmd.h"

enum {
	HW_CQC_OFFSET = 0x10, /* in CREATE_CQ input and QUERY_CQ output */
	HW_CQC_BYTES = 0x40,
	HW_CREATE_CQ_IN_BYTES = 0x110,
	HW_QUERY_CQ_OUT_BYTES = 0x110,
};

#define HW_CREATE_CQ_UMEM_OFFSET HW_FIELD64(0x50)
#define HW_CREATE_CQ_UMEM_ID	 HW_FIELD(0x58, 31, 0)
#define HW_CREATE_CQ_UMEM_VALID	 HW_FIELD(0x5c, 31, 31)

#define HW_MODIFY_CQ_FIELD_SELECT HW_FIELD(0x0c, 31, 0)

/* MODIFY_CQ: what it does, and the bits that say which fields count */
enum hw_modify_cq {
	HW_MODIFY_CQ_FIELDS = 0,
	HW_MODIFY_CQ_RESIZE = 1,
};

enum hw_modify_cq_fields {
	HW_CQ_MODIFY_PERIOD = 1 << 0,
	HW_CQ_MODIFY_COUNT = 1 << 1,
	HW_CQ_MODIFY_OVERRUN = 1 << 2,
};

enum hw_modify_cq_resize {
	HW_CQ_RESIZE_LOG_SIZE = 1 << 0,
	HW_CQ_RESIZE_PAGE_OFFSET = 1 << 1,
	HW_CQ_RESIZE_PAGE_SIZE = 1 << 2,
};

/* Offsets into the context */
#define HW_CQC_STATUS		HW_FIELD(0x00, 31, 28)
#define HW_CQC_DBR_UMEM_VALID	HW_FIELD(0x00, 25, 25)
#define HW_CQC_CQE_SZ		HW_FIELD(0x00, 23, 21)
#define HW_CQC_CC		HW_FIELD(0x00, 20, 20) /* collapsed */
#define HW_CQC_OI		HW_FIELD(0x00, 17, 17) /* overrun ignore */
#define HW_CQC_CQE_COMP_EN	HW_FIELD(0x00, 14, 14)
#define HW_CQC_ST		HW_FIELD(0x00, 11, 8)
#define HW_CQC_DBR_UMEM_ID	HW_FIELD(0x04, 31, 0)
#define HW_CQC_PAGE_OFFSET	HW_FIELD(0x08, 11, 6)
#define HW_CQC_LOG_CQ_SIZE	HW_FIELD(0x0c, 28, 24)
#define HW_CQC_UAR_PAGE		HW_FIELD(0x0c, 23, 0)
#define HW_CQC_CQ_PERIOD	HW_FIELD(0x10, 27, 16)
#define HW_CQC_CQ_MAX_COUNT	HW_FIELD(0x10, 15, 0)
#define HW_CQC_C_EQN		HW_FIELD(0x14, 7, 0)
#define HW_CQC_LOG_PAGE_SIZE	HW_FIELD(0x18, 28, 24)
#define HW_CQC_CONSUMER_COUNTER HW_FIELD(0x28, 23, 0)
#define HW_CQC_PRODUCER_COUNTER HW_FIELD(0x2c, 23, 0)
#define HW_CQC_DBR_ADDR		HW_FIELD64(0x38) /* offset in the dbr umem */

enum hw_cqe_sz {
	HW_CQE_SZ_64 = 0,
	HW_CQE_SZ_128 = 1,
	HW_CQE_SZ_128_PAD = 2,
};

enum hw_cq_status {
	HW_CQ_OK = 0x0,
	HW_CQ_OVERFLOW = 0x9,
	HW_CQ_WRITE_FAIL = 0xa,
};

/* HW_CQC_ST in QUERY_CQ */
enum hw_cq_st {
	HW_CQ_ST_ARMED_SOLICITED = 0x6,
	HW_CQ_ST_ARMED = 0x9,
	HW_CQ_ST_FIRED = 0xa,
};

#endif
