/* SPDX-License-Identifier: MIT */
/*
 * Capabilities: QUERY_HCA_CAP, QUERY_ROCE_ADDRESS, QUERY_LAG.
 *
 * QUERY_HCA_CAP: op_mod = capability type << 1 | (0 maximum, 1 current).
 * Output: 16 bytes of header, then a 4096-byte capability page, of which a
 * shorter mailbox gets the beginning; fields below are offsets into that page.
 *
 * Source of truth: rdma-core and UCX copies of struct mlx5_ifc_cmd_hca_cap,
 * _cmd_hca_cap_2, _atomic_caps; gpunetio's of _roce_cap, _roce_addr_layout.
 */
#ifndef HW_CMD_CAP_H
#define HW_CMD_CAP_H

#include "cmd.h"

enum {
	HW_CAP_IN_BYTES = 0x10,
	HW_CAP_OUT_BYTES = 0x10 + 0x1000,
	HW_CAP_PAGE_BYTES = 0x1000,
	HW_CAP_OUT_PAGE = 0x10, /* offset of the page in the output */
};

enum hw_cap_type {
	HW_CAP_GENERAL = 0x00,
	HW_CAP_ATOMIC = 0x03,
	HW_CAP_ROCE = 0x04,
	HW_CAP_GENERAL_2 = 0x20,
	HW_CAP_TYPE_LAST = 0x25,
};

enum hw_cap_mode {
	HW_CAP_MAX = 0,
	HW_CAP_CUR = 1,
};

/* GENERAL */
#define HW_CAP_HCA_CAP_2	  HW_FIELD(0x04, 31, 31)
#define HW_CAP_VHCA_ID		  HW_FIELD(0x04, 15, 0)
#define HW_CAP_LOG_MAX_SRQ_SZ	  HW_FIELD(0x10, 31, 24)
#define HW_CAP_LOG_MAX_QP_SZ	  HW_FIELD(0x10, 23, 16)
#define HW_CAP_LOG_MAX_QP	  HW_FIELD(0x10, 4, 0)
#define HW_CAP_LOG_MAX_SRQ	  HW_FIELD(0x14, 20, 16)
#define HW_CAP_LOG_MAX_CQ_SZ	  HW_FIELD(0x18, 23, 16)
#define HW_CAP_LOG_MAX_CQ	  HW_FIELD(0x18, 4, 0)
#define HW_CAP_LOG_MAX_EQ_SZ	  HW_FIELD(0x1c, 31, 24)
#define HW_CAP_LOG_MAX_MKEY	  HW_FIELD(0x1c, 21, 16)
#define HW_CAP_TERMINATE_MKEY	  HW_FIELD(0x1c, 9, 9)
#define HW_CAP_REPEATED_MKEY	  HW_FIELD(0x1c, 8, 8)
#define HW_CAP_DUMP_FILL_MKEY	  HW_FIELD(0x1c, 7, 7)
#define HW_CAP_LOG_MAX_EQ	  HW_FIELD(0x1c, 3, 0)
#define HW_CAP_MAX_INDIRECTION	  HW_FIELD(0x20, 31, 24)
#define HW_CAP_FIXED_BUFFER_SIZE  HW_FIELD(0x20, 23, 23)
#define HW_CAP_LOG_MAX_MRW_SZ	  HW_FIELD(0x20, 22, 16)
#define HW_CAP_LOG_MAX_BSF_LIST	  HW_FIELD(0x20, 13, 8)
#define HW_CAP_UMR_EXT_OFFSET	  HW_FIELD(0x20, 7, 7)
#define HW_CAP_NULL_MKEY	  HW_FIELD(0x20, 6, 6)
#define HW_CAP_LOG_MAX_KLM_LIST	  HW_FIELD(0x20, 5, 0)
#define HW_CAP_LOG_MAX_RA_REQ_DC  HW_FIELD(0x24, 21, 16)
#define HW_CAP_LOG_MAX_RA_RES_DC  HW_FIELD(0x24, 5, 0)
#define HW_CAP_LOG_MAX_RA_REQ_QP  HW_FIELD(0x28, 21, 16)
#define HW_CAP_LOG_MAX_RA_RES_QP  HW_FIELD(0x28, 5, 0)
#define HW_CAP_CC_QUERY_ALLOWED	  HW_FIELD(0x2c, 30, 30)
#define HW_CAP_RTS2RTS_QP_DSCP	  HW_FIELD(0x2c, 21, 21)
#define HW_CAP_GID_TABLE_SIZE	  HW_FIELD(0x2c, 15, 0)
#define HW_CAP_PKEY_TABLE_SIZE	  HW_FIELD(0x30, 15, 0)
#define HW_CAP_LOCAL_CA_ACK_DELAY HW_FIELD(0x34, 20, 16)
#define HW_CAP_PORT_TYPE	  HW_FIELD(0x34, 9, 8)
#define HW_CAP_NUM_PORTS	  HW_FIELD(0x34, 7, 0)
#define HW_CAP_LOG_MAX_MSG	  HW_FIELD(0x38, 28, 24)
#define HW_CAP_CQE_VERSION	  HW_FIELD(0x3c, 3, 0)
#define HW_CAP_COMPACT_AV	  HW_FIELD(0x40, 31, 31)
#define HW_CAP_REPEATED_BLOCK_OFF HW_FIELD(0x40, 25, 25)
#define HW_CAP_UMR_ENTITY_OFF	  HW_FIELD(0x40, 24, 24)
#define HW_CAP_UMR_ATOMIC_OFF	  HW_FIELD(0x40, 23, 23)
#define HW_CAP_UMR_INDIRECT_OFF	  HW_FIELD(0x40, 22, 22)
#define HW_CAP_UMR_FENCE	  HW_FIELD(0x40, 21, 20)
#define HW_CAP_DCT		  HW_FIELD(0x40, 5, 5)
#define HW_CAP_ROCE_SUPPORTED	  HW_FIELD(0x40, 2, 2)
#define HW_CAP_ATOMIC_SUPPORTED	  HW_FIELD(0x40, 1, 1)
#define HW_CAP_CQ_OI		  HW_FIELD(0x44, 31, 31)
#define HW_CAP_CQ_RESIZE	  HW_FIELD(0x44, 30, 30)
#define HW_CAP_CQ_MODERATION	  HW_FIELD(0x44, 29, 29)
#define HW_CAP_CD		  HW_FIELD(0x44, 19, 19)
#define HW_CAP_UMR_PTR_RLKEY	  HW_FIELD(0x44, 15, 15)
#define HW_CAP_IMAICL		  HW_FIELD(0x44, 14, 14) /* memory windows */
#define HW_CAP_XRC		  HW_FIELD(0x44, 3, 3)
#define HW_CAP_UD		  HW_FIELD(0x44, 2, 2)
#define HW_CAP_UC		  HW_FIELD(0x44, 1, 1)
#define HW_CAP_RC		  HW_FIELD(0x44, 0, 0)
#define HW_CAP_UAR_4K		  HW_FIELD(0x48, 31, 31)
#define HW_CAP_UAR_SZ		  HW_FIELD(0x48, 21, 16)
#define HW_CAP_LOG_PG_SZ	  HW_FIELD(0x48, 7, 0)
#define HW_CAP_BF		  HW_FIELD(0x4c, 31, 31)
#define HW_CAP_MKEY_BY_NAME	  HW_FIELD(0x4c, 25, 25)
#define HW_CAP_LOG_BF_REG_SIZE	  HW_FIELD(0x4c, 20, 16)
#define HW_CAP_MAX_WQE_SZ_SQ	  HW_FIELD(0x50, 15, 0)
#define HW_CAP_MAX_WQE_SZ_RQ	  HW_FIELD(0x54, 15, 0)
#define HW_CAP_MAX_WQE_SZ_SQ_DC	  HW_FIELD(0x58, 15, 0)
#define HW_CAP_LOG_MAX_PD	  HW_FIELD(0x64, 20, 16)
#define HW_CAP_LOG_MAX_XRCD	  HW_FIELD(0x64, 4, 0)
#define HW_CAP_BASIC_CYCLIC_RCV	  HW_FIELD(0x70, 31, 31)
#define HW_CAP_LOG_MAX_RMP	  HW_FIELD(0x70, 28, 24)
#define HW_CAP_LOG_MAX_WQ_SZ	  HW_FIELD(0x78, 4, 0)
#define HW_CAP_LOG_UAR_PAGE_SZ	  HW_FIELD(0x90, 15, 0)
#define HW_CAP_DEVICE_FREQ_MHZ	  HW_FIELD(0x98, 31, 0)
#define HW_CAP_DEVICE_FREQ_KHZ	  HW_FIELD(0x9c, 31, 0)

/* UMR_FENCE: the fence that a WQE behind a UMR needs */
enum hw_umr_fence {
	HW_UMR_FENCE_STRONG = 0,
	HW_UMR_FENCE_SMALL = 1,
	HW_UMR_FENCE_NONE = 2,
};

enum hw_port_type {
	HW_PORT_IB = 0,
	HW_PORT_ETHERNET = 1,
};

/* GENERAL_2 */
#define HW_CAP2_SEND_DBR_MODE_NO_DBR_EXT HW_FIELD(0x5c, 30, 30)

/* ATOMIC */
#define HW_CAP_ATOMIC_8B_ENDIAN_MODE   HW_FIELD(0x08, 31, 30)
#define HW_CAP_ATOMIC_8B_ENDIAN_MODE_1 HW_FIELD(0x08, 25, 25)
#define HW_CAP_ATOMIC_OPERATIONS       HW_FIELD(0x10, 15, 0)
#define HW_CAP_ATOMIC_SIZE_QP	       HW_FIELD(0x14, 15, 0)
#define HW_CAP_ATOMIC_SIZE_DC	       HW_FIELD(0x18, 15, 0)

/* Bits of ATOMIC_OPERATIONS */
enum hw_atomic_operation {
	HW_ATOMIC_CS = 1 << 0,
	HW_ATOMIC_FA = 1 << 1,
	HW_ATOMIC_MASKED_CS = 1 << 2,
	HW_ATOMIC_MASKED_FA = 1 << 3,
};

/* Bits of ATOMIC_SIZE_*: 1 << log2(bytes) */
enum {
	HW_ATOMIC_SIZE_4B = 1 << 2,
	HW_ATOMIC_SIZE_8B = 1 << 3,
};

/* ROCE */
#define HW_CAP_ROCE_SW_SRC_UDP_PORT  HW_FIELD(0x00, 27, 27)
#define HW_CAP_ROCE_L3_TYPE	     HW_FIELD(0x10, 19, 16)
#define HW_CAP_ROCE_VERSION	     HW_FIELD(0x10, 7, 0)
#define HW_CAP_ROCE_DEST_UDP_PORT    HW_FIELD(0x14, 15, 0)
#define HW_CAP_ROCE_MAX_SRC_UDP_PORT HW_FIELD(0x18, 31, 16)
#define HW_CAP_ROCE_MIN_SRC_UDP_PORT HW_FIELD(0x18, 15, 0)
#define HW_CAP_ROCE_TABLE_SIZE	     HW_FIELD(0x1c, 15, 0)

/* QUERY_ROCE_ADDRESS: index in 0x08[31:16]; the address is output + 0x10 */
#define HW_ROCE_IN_INDEX  HW_FIELD(0x08, 31, 16)
#define HW_ROCE_MAC_47_32 HW_FIELD(0x10, 15, 0)
#define HW_ROCE_MAC_31_0  HW_FIELD(0x14, 31, 0)
#define HW_ROCE_L3_TYPE	  HW_FIELD(0x18, 11, 8)
#define HW_ROCE_VERSION	  HW_FIELD(0x18, 7, 0)
enum {
	HW_ROCE_OUT_ADDRESS = 0x10, /* 16 bytes of GID first */
	HW_ROCE_OUT_BYTES = 0x30,
	HW_ROCE_VERSION_2 = 2,
};

/* QUERY_HCA_VPORT_CONTEXT: offsets into the context, which is output + 0x10 */
#define HW_VPORT_PORT_STATE  HW_FIELD(0x20, 7, 4)
#define HW_VPORT_STATE	     HW_FIELD(0x20, 3, 0)
#define HW_VPORT_SYSTEM_GUID HW_FIELD64(0x28)
#define HW_VPORT_PORT_GUID   HW_FIELD64(0x30)
#define HW_VPORT_NODE_GUID   HW_FIELD64(0x38)
#define HW_VPORT_LID	     HW_FIELD(0x60, 31, 16)
#define HW_VPORT_SM_LID	     HW_FIELD(0x64, 31, 16)
enum {
	HW_VPORT_OUT_CONTEXT = 0x10,
	HW_VPORT_OUT_BYTES = 0x210,
	HW_VPORT_DOWN = 1, /* as a port's logical state */
	HW_VPORT_UP = 4,
};

#endif
