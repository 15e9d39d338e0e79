/* SPDX-License-Identifier: MIT */
/*
 * Firmware command mailboxes: opcodes, status codes, and the common words.
 *
 *   offset  size  input mailbox            output mailbox
 *        0     4  opcode[31:16] uid[15:0]  status[31:24]
 *        4     4  op_mod[15:0]             syndrome[31:0]
 *        8     8  per command: object number first, as a rule in 23:0
 *       16     -  per command
 *
 * Example, CREATE_CQ with op_mod 0: 04 00 00 00  00 00 00 00  (8 x 00) ...
 *
 * Source of truth: rdma-core providers/mlx5/mlx5_ifc.h, gpunetio and UCX
 * copies of the same for the fields that rdma-core leaves out.
 */
#ifndef HW_CMD_H
#define HW_CMD_H

#include "field.h"

#define HW_CMD_IN_OPCODE    HW_FIELD(0x00, 31, 16)
#define HW_CMD_IN_UID	    HW_FIELD(0x00, 15, 0)
#define HW_CMD_IN_OP_MOD    HW_FIELD(0x04, 15, 0)
#define HW_CMD_IN_NUMBER    HW_FIELD(0x08, 23, 0) /* qpn, cqn, mkey index ... */
#define HW_CMD_OUT_STATUS   HW_FIELD(0x00, 31, 24)
#define HW_CMD_OUT_SYNDROME HW_FIELD(0x04, 31, 0)
#define HW_CMD_OUT_NUMBER   HW_FIELD(0x08, 23, 0)

enum {
	HW_CMD_HDR_BYTES = 0x10, /* the shortest mailbox, in and out */
};

enum hw_cmd_opcode {
	HW_CMD_QUERY_HCA_CAP = 0x100,
	HW_CMD_CREATE_MKEY = 0x200,
	HW_CMD_QUERY_MKEY = 0x201,
	HW_CMD_DESTROY_MKEY = 0x202,
	HW_CMD_QUERY_SPECIAL_CONTEXTS = 0x203,
	HW_CMD_CREATE_CQ = 0x400,
	HW_CMD_DESTROY_CQ = 0x401,
	HW_CMD_QUERY_CQ = 0x402,
	HW_CMD_MODIFY_CQ = 0x403,
	HW_CMD_CREATE_QP = 0x500,
	HW_CMD_DESTROY_QP = 0x501,
	HW_CMD_RST2INIT_QP = 0x502,
	HW_CMD_INIT2RTR_QP = 0x503,
	HW_CMD_RTR2RTS_QP = 0x504,
	HW_CMD_RTS2RTS_QP = 0x505,
	HW_CMD_SQERR2RTS_QP = 0x506,
	HW_CMD_2ERR_QP = 0x507,
	HW_CMD_2RST_QP = 0x50a,
	HW_CMD_QUERY_QP = 0x50b,
	HW_CMD_INIT2INIT_QP = 0x50e,
	HW_CMD_CREATE_XRC_SRQ = 0x705,
	HW_CMD_DESTROY_XRC_SRQ = 0x706,
	HW_CMD_QUERY_XRC_SRQ = 0x707,
	HW_CMD_ARM_XRC_SRQ = 0x708,
	HW_CMD_QUERY_ROCE_ADDRESS = 0x760,
	HW_CMD_QUERY_HCA_VPORT_CONTEXT = 0x762,
	HW_CMD_ALLOC_PD = 0x800,
	HW_CMD_DEALLOC_PD = 0x801,
	HW_CMD_ALLOC_XRCD = 0x80e,
	HW_CMD_DEALLOC_XRCD = 0x80f,
	HW_CMD_QUERY_LAG = 0x842,
	HW_CMD_CREATE_RMP = 0x90c,
	HW_CMD_MODIFY_RMP = 0x90d,
	HW_CMD_DESTROY_RMP = 0x90e,
	HW_CMD_QUERY_RMP = 0x90f,
};

/* mlx5_ifc.h MLX5_CMD_STAT_* */
enum hw_cmd_status {
	HW_CMD_OK = 0x00,
	HW_CMD_INT_ERR = 0x01,
	HW_CMD_BAD_OP = 0x02,	 /* unknown command or op_mod */
	HW_CMD_BAD_PARAM = 0x03, /* a field holds an illegal value */
	HW_CMD_BAD_SYS_STATE = 0x04,
	HW_CMD_BAD_RES = 0x05,	/* no such object */
	HW_CMD_RES_BUSY = 0x06, /* the object is still in use */
	HW_CMD_LIM_ERR = 0x08,	/* a device limit is reached */
	HW_CMD_BAD_RES_STATE = 0x09,
	HW_CMD_IX_ERR = 0x0a,
	HW_CMD_NO_RES = 0x0f, /* out of objects or memory */
	HW_CMD_BAD_QP_STATE = 0x10,
	HW_CMD_BAD_PKT = 0x30,
	HW_CMD_BAD_SIZE_OUTS_CQES = 0x40,
	HW_CMD_BAD_INP_LEN = 0x50,
	HW_CMD_BAD_OUTP_LEN = 0x51,
};

/* The name as in mlx5_ifc.h, "?" for an unknown one. Host code only. */
static inline const char *hw_cmd_status_name(uint8_t status)
{
	switch (status) {
	case HW_CMD_OK:
		return "OK";
	case HW_CMD_INT_ERR:
		return "INT_ERR";
	case HW_CMD_BAD_OP:
		return "BAD_OP";
	case HW_CMD_BAD_PARAM:
		return "BAD_PARAM";
	case HW_CMD_BAD_SYS_STATE:
		return "BAD_SYS_STATE";
	case HW_CMD_BAD_RES:
		return "BAD_RES";
	case HW_CMD_RES_BUSY:
		return "RES_BUSY";
	case HW_CMD_LIM_ERR:
		return "LIM_ERR";
	case HW_CMD_BAD_RES_STATE:
		return "BAD_RES_STATE";
	case HW_CMD_IX_ERR:
		return "IX_ERR";
	case HW_CMD_NO_RES:
		return "NO_RES";
	case HW_CMD_BAD_QP_STATE:
		return "BAD_QP_STATE";
	case HW_CMD_BAD_PKT:
		return "BAD_PKT";
	case HW_CMD_BAD_SIZE_OUTS_CQES:
		return "BAD_SIZE_OUTS_CQES";
	case HW_CMD_BAD_INP_LEN:
		return "BAD_INP_LEN";
	case HW_CMD_BAD_OUTP_LEN:
		return "BAD_OUTP_LEN";
	default:
		return "?";
	}
}

#endif
