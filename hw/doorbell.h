/* SPDX-License-Identifier: MIT */
/*
 * Doorbell registers (in a UAR page) and doorbell records (in client memory).
 *
 *   offset  UAR page of 4 KiB
 *    0x020  CQ doorbell: arm
 *    0x600  send doorbell without a record (send_dbr_mode NO_DBR_EXT)
 *    0x800  send doorbell, register 0 first half; BlueFlame buffer
 *    0x900  register 0, second half       (half = 2^log_bf_reg_size / 2 bytes)
 *    0xa00  register 1, first half
 *    0xb00  register 1, second half
 *
 * Send doorbell, 8 bytes in one store: the first 8 bytes of a control
 * segment. Two kinds of producer exist, told apart by ds:
 *   ds == 0  index[23:8] is the producer index: the next free basic block
 *            (NVSHMEM, DeepEP, DOCA GPUNetIO, NCCL GIN, UCX rc_gda)
 *   ds != 0  a copy of the last WQE's control segment: the producer index is
 *            index + ceil(ds / 4) (libmlx5, UCX rc_mlx5, BlueFlame)
 * The index has 16 bits. DOCA shifts a longer counter, so that the opmod byte
 * holds index bits 23:16: it must be ignored.
 *
 * Example: producer index 0x200 on QP 0x2ed: 00 02 00 00  00 02 ed 00
 *
 * Send/receive doorbell record, 8 bytes: {be32 receive, be32 send}, 16-bit
 * producer counters (receive: WQEs, send: basic blocks). An SRQ has one word.
 *
 * CQ doorbell register: {be32 sn[29:28] | cmd[24] | ci[23:0], be32 cqn}
 * CQ doorbell record:   {be32 ci[23:0], be32 as the register's first word}
 *
 * Source of truth: rdma-core mlx5dv.h (MLX5_RCV_DBR, MLX5_SND_DBR), qp.c
 * (post_send_db), cq.c (mlx5_arm_cq); gpunetio doca_verbs_uar.cpp (0x600).
 */
#ifndef HW_DOORBELL_H
#define HW_DOORBELL_H

#include "wqe.h"

enum {
	HW_UAR_BYTES = 4096,
	HW_UAR_CQ_DOORBELL = 0x20,
	HW_UAR_NO_DBR = 0x600,
	HW_UAR_BF = 0x800,
	HW_UAR_LOG_BF_REG_SIZE = 9,
	HW_UAR_BF_REG_BYTES = 1 << HW_UAR_LOG_BF_REG_SIZE,
	HW_UAR_BF_HALF_BYTES = HW_UAR_BF_REG_BYTES / 2,
	HW_UAR_BF_REGS = 2, /* registers that drivers use */
};

enum {
	HW_DBR_RCV = 0, /* word index in a QP's record */
	HW_DBR_SND = 1,
	HW_DBR_BYTES = 8,
	HW_CQ_DBR_CI = 0, /* word index in a CQ's record */
	HW_CQ_DBR_ARM = 1,
};

struct hw_dbrec {
	be32 word[2];
};
HW_SIZE(struct hw_dbrec, 8);

struct hw_sq_doorbell {
	be32 opmod_idx_opcode;
	be32 qpn_ds;
};
HW_SIZE(struct hw_sq_doorbell, 8);
HW_AT(struct hw_sq_doorbell, qpn_ds, 4);

struct hw_sq_doorbell_info {
	uint32_t qpn;
	uint16_t producer_index; /* next free basic block */
};

HW_FN struct hw_sq_doorbell hw_sq_doorbell_encode(uint32_t qpn,
						  uint16_t producer_index)
{
	struct hw_sq_doorbell out;

	out.opmod_idx_opcode = to_be32((uint32_t)producer_index << 8);
	out.qpn_ds = to_be32(qpn << 8);
	return out;
}

HW_FN struct hw_sq_doorbell_info
hw_sq_doorbell_decode(const struct hw_sq_doorbell *in)
{
	uint32_t op = from_be32(in->opmod_idx_opcode);
	uint32_t qd = from_be32(in->qpn_ds);
	struct hw_sq_doorbell_info out;

	out.qpn = qd >> 8;
	out.producer_index =
		(uint16_t)((op >> 8) + hw_wqe_bbs(qd & HW_WQE_DS_MAX));
	return out;
}

HW_FN be32 hw_dbrec_encode(uint32_t counter)
{
	return to_be32(counter & 0xffffu);
}

HW_FN uint16_t hw_dbrec_decode(be32 word)
{
	return (uint16_t)from_be32(word);
}

/* ------------------------------------------------------------ CQ doorbell */

enum hw_cq_arm_cmd {
	HW_CQ_ARM_NEXT = 0,	 /* event at the next CQE */
	HW_CQ_ARM_SOLICITED = 1, /* at the next solicited or error CQE */
};

struct hw_cq_doorbell {
	be32 sn_cmd_ci;
	be32 cqn;
};
HW_SIZE(struct hw_cq_doorbell, 8);
HW_AT(struct hw_cq_doorbell, cqn, 4);

struct hw_cq_arm_info {
	uint32_t ci; /* 24 bits */
	uint8_t sn;  /* 2 bits, changes with every event */
	uint8_t cmd; /* enum hw_cq_arm_cmd */
};

HW_FN be32 hw_cq_arm_encode(const struct hw_cq_arm_info *in)
{
	return to_be32((in->sn & 3u) << 28 | (in->cmd & 1u) << 24 |
		       (in->ci & 0xffffffu));
}

HW_FN struct hw_cq_arm_info hw_cq_arm_decode(be32 word)
{
	uint32_t w = from_be32(word);
	struct hw_cq_arm_info out;

	out.ci = w & 0xffffffu;
	out.sn = w >> 28 & 3;
	out.cmd = w >> 24 & 1;
	return out;
}

#endif
