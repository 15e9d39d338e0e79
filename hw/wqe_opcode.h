/* SPDX-License-Identifier: MIT */
/*
 * Send WQE opcodes: what segments each carries, in one table.
 *
 * Source of truth: rdma-core mlx5dv.h, enum MLX5_OPCODE_*; gpunetio
 * doca_gpunetio_verbs_def.h for WAIT and DUMP.
 */
#ifndef HW_WQE_OPCODE_H
#define HW_WQE_OPCODE_H

#include "be.h"

enum hw_wqe_opcode {
	HW_OP_NOP = 0x00,
	HW_OP_SEND_INVAL = 0x01,
	HW_OP_RDMA_WRITE = 0x08,
	HW_OP_RDMA_WRITE_IMM = 0x09,
	HW_OP_SEND = 0x0a,
	HW_OP_SEND_IMM = 0x0b,
	HW_OP_WAIT = 0x0f,
	HW_OP_RDMA_READ = 0x10,
	HW_OP_ATOMIC_CS = 0x11,
	HW_OP_ATOMIC_FA = 0x12,
	HW_OP_MASKED_CS = 0x14,
	HW_OP_MASKED_FA = 0x15,
	HW_OP_DUMP = 0x23,
	HW_OP_UMR = 0x25,
};

/* What follows the control segment, and how the opcode behaves. */
enum hw_op_flags {
	HW_OPF_RADDR = 1 << 0,	  /* a remote address segment */
	HW_OPF_ATOMIC = 1 << 1,	  /* atomic segment(s) */
	HW_OPF_DATA = 1 << 2,	  /* data or inline segments */
	HW_OPF_INLINE = 1 << 3,	  /* inline data is legal */
	HW_OPF_WAIT = 1 << 4,	  /* a WAIT segment */
	HW_OPF_IMM = 1 << 5,	  /* ctrl.imm travels to the peer */
	HW_OPF_RESPONSE = 1 << 6, /* data comes back: READ, atomics */
	HW_OPF_LOCAL = 1 << 7,	  /* nothing goes to the peer */
	HW_OPF_RECV = 1 << 8,	  /* consumes a receive WQE of the peer */
	HW_OPF_UMR = 1 << 9,	  /* UMR control, key context, list */
	HW_OPF_INVAL = 1 << 10,	  /* ctrl.imm is a key that the peer frees */
};

struct hw_wqe_op {
	const char *name;
	uint16_t flags;
};

/*
 * The properties of an opcode; name is NULL for one that this table (and the
 * emulated device) does not know. Host code only.
 */
static inline struct hw_wqe_op hw_wqe_op(uint8_t opcode)
{
	const struct hw_wqe_op none = {0, 0};
	/* A row for each opcode, in order. */
	/* clang-format off */
	static const struct hw_wqe_op table[] = {
		/* 0x00 */
		{"NOP", HW_OPF_LOCAL},
		{"SEND_INVAL", HW_OPF_DATA | HW_OPF_INLINE | HW_OPF_RECV |
			HW_OPF_INVAL},
		{0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0},
		/* 0x08 */
		{"RDMA_WRITE", HW_OPF_RADDR | HW_OPF_DATA | HW_OPF_INLINE},
		{"RDMA_WRITE_IMM", HW_OPF_RADDR | HW_OPF_DATA | HW_OPF_INLINE |
			HW_OPF_IMM | HW_OPF_RECV},
		{"SEND", HW_OPF_DATA | HW_OPF_INLINE | HW_OPF_RECV},
		{"SEND_IMM", HW_OPF_DATA | HW_OPF_INLINE | HW_OPF_IMM |
			HW_OPF_RECV},
		{0, 0}, {0, 0}, {0, 0},
		/* 0x0f */
		{"WAIT", HW_OPF_LOCAL | HW_OPF_WAIT},
		{"RDMA_READ", HW_OPF_RADDR | HW_OPF_DATA | HW_OPF_RESPONSE},
		{"ATOMIC_CS", HW_OPF_RADDR | HW_OPF_ATOMIC | HW_OPF_DATA |
			HW_OPF_RESPONSE},
		{"ATOMIC_FA", HW_OPF_RADDR | HW_OPF_ATOMIC | HW_OPF_DATA |
			HW_OPF_RESPONSE},
		{0, 0},
		/* 0x14 */
		{"MASKED_CS", HW_OPF_RADDR | HW_OPF_ATOMIC | HW_OPF_DATA |
			HW_OPF_RESPONSE},
		{"MASKED_FA", HW_OPF_RADDR | HW_OPF_ATOMIC | HW_OPF_DATA |
			HW_OPF_RESPONSE},
		{0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0},
		{0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0},
		/* 0x23 */
		{"DUMP", HW_OPF_LOCAL | HW_OPF_DATA},
		{0, 0},
		{"UMR", HW_OPF_LOCAL | HW_OPF_UMR},
	};
	/* clang-format on */

	if (opcode >= sizeof(table) / sizeof(table[0]))
		return none;
	return table[opcode];
}

#endif
