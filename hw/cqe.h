/* SPDX-License-Identifier: MIT */
/*
 * Completion queue entries.
 *
 *   offset  size  64-byte CQE (the second half of a 128-byte one)
 *        0    17  tunnel, hash and checksum fields, zero here
 *       17     1  path bits of the destination LID[6:0]; UD
 *       18     4  reserved
 *       22     2  source LID; UD
 *       24     4  grh[29:28] | service level[27:24] | source QP[23:0]; UD
 *       28     4  checksum and VLAN fields, zero here
 *       32     4  srqn_uidx: user index of the QP (CQE version 1)
 *       36     4  immediate, invalidated key or pkey
 *       40     4  reserved
 *       44     4  byte count
 *       48     8  timestamp
 *       56     4  send: opcode[31:24] | QP number[23:0]
 *       60     2  wqe_counter: index of the WQE's first basic block
 *       62     1  signature
 *       63     1  opcode[7:4] | format[3:2] | solicited[1] | owner[0]
 *
 *   error CQE: 32 as above, 52 hw error syndrome, 53 hw syndrome type,
 *              54 vendor error syndrome, 55 syndrome, 56.. as above,
 *              the rest is reserved
 *
 * Owner: the device writes the parity of the lap, 0 in the first. A consumer
 * fills the ring with opcode 0xf (and owner 1) before it gives it away.
 * Bytes 56 to 63 are published by one 8-byte store, after all others.
 *
 * Example, last 8 bytes of a completed RDMA_WRITE 0x1ff on QP 0x2ed, lap 0:
 *   08 00 02 ed  01 ff 00 00
 *
 * Source of truth: rdma-core mlx5dv.h, struct mlx5_cqe64, mlx5_err_cqe.
 */
#ifndef HW_CQE_H
#define HW_CQE_H

#include "be.h"

enum {
	HW_CQE_BYTES = 64,
	HW_CQE_BYTES_128 = 128,
	HW_CQE_INDEX_MASK = 0xffffff, /* consumer and producer: 24 bits */
};

enum hw_cqe_opcode {
	HW_CQE_REQ = 0x0,
	HW_CQE_RESP_WR_IMM = 0x1,
	HW_CQE_RESP_SEND = 0x2,
	HW_CQE_RESP_SEND_IMM = 0x3,
	HW_CQE_RESP_SEND_INV = 0x4,
	HW_CQE_RESIZE = 0x5, /* the last entry of a ring that was replaced */
	HW_CQE_REQ_ERR = 0xd,
	HW_CQE_RESP_ERR = 0xe,
	HW_CQE_INVALID = 0xf,
};

/* mlx5dv.h MLX5_CQE_SYNDROME_*; the comment is the IBV_WC_* it becomes */
enum hw_syndrome {
	HW_SYND_NONE = 0x00,
	HW_SYND_LOCAL_LENGTH = 0x01,	 /* LOC_LEN_ERR */
	HW_SYND_LOCAL_QP_OP = 0x02,	 /* LOC_QP_OP_ERR */
	HW_SYND_LOCAL_PROT = 0x04,	 /* LOC_PROT_ERR */
	HW_SYND_WR_FLUSH = 0x05,	 /* WR_FLUSH_ERR */
	HW_SYND_MW_BIND = 0x06,		 /* MW_BIND_ERR */
	HW_SYND_BAD_RESP = 0x10,	 /* BAD_RESP_ERR */
	HW_SYND_LOCAL_ACCESS = 0x11,	 /* LOC_ACCESS_ERR */
	HW_SYND_REMOTE_INVAL_REQ = 0x12, /* REM_INV_REQ_ERR */
	HW_SYND_REMOTE_ACCESS = 0x13,	 /* REM_ACCESS_ERR */
	HW_SYND_REMOTE_OP = 0x14,	 /* REM_OP_ERR */
	HW_SYND_RETRY_EXC = 0x15,	 /* RETRY_EXC_ERR */
	HW_SYND_RNR_RETRY_EXC = 0x16,	 /* RNR_RETRY_EXC_ERR */
	HW_SYND_REMOTE_ABORTED = 0x22,	 /* REM_ABORT_ERR */
};

/* The name as in mlx5dv.h, "?" for an unknown one. Host code only. */
static inline const char *hw_syndrome_name(uint8_t syndrome)
{
	switch (syndrome) {
	case HW_SYND_NONE:
		return "NONE";
	case HW_SYND_LOCAL_LENGTH:
		return "LOCAL_LENGTH";
	case HW_SYND_LOCAL_QP_OP:
		return "LOCAL_QP_OP";
	case HW_SYND_LOCAL_PROT:
		return "LOCAL_PROT";
	case HW_SYND_WR_FLUSH:
		return "WR_FLUSH";
	case HW_SYND_MW_BIND:
		return "MW_BIND";
	case HW_SYND_BAD_RESP:
		return "BAD_RESP";
	case HW_SYND_LOCAL_ACCESS:
		return "LOCAL_ACCESS";
	case HW_SYND_REMOTE_INVAL_REQ:
		return "REMOTE_INVAL_REQ";
	case HW_SYND_REMOTE_ACCESS:
		return "REMOTE_ACCESS";
	case HW_SYND_REMOTE_OP:
		return "REMOTE_OP";
	case HW_SYND_RETRY_EXC:
		return "RETRY_EXC";
	case HW_SYND_RNR_RETRY_EXC:
		return "RNR_RETRY_EXC";
	case HW_SYND_REMOTE_ABORTED:
		return "REMOTE_ABORTED";
	default:
		return "?";
	}
}

struct hw_cqe {
	uint8_t rsvd0[17];
	uint8_t ml_path;
	uint8_t rsvd18[4];
	be16 slid;
	be32 flags_rqpn;
	uint8_t rsvd28[4];
	be32 srqn_uidx;
	be32 imm_inval_pkey;
	be32 rsvd40;
	be32 byte_cnt;
	be64 timestamp;
	be32 sop_drop_qpn;
	be16 wqe_counter;
	uint8_t signature;
	uint8_t op_own;
};
HW_SIZE(struct hw_cqe, 64);
HW_AT(struct hw_cqe, ml_path, 17);
HW_AT(struct hw_cqe, slid, 22);
HW_AT(struct hw_cqe, flags_rqpn, 24);
HW_AT(struct hw_cqe, srqn_uidx, 32);
HW_AT(struct hw_cqe, imm_inval_pkey, 36);
HW_AT(struct hw_cqe, byte_cnt, 44);
HW_AT(struct hw_cqe, timestamp, 48);
HW_AT(struct hw_cqe, sop_drop_qpn, 56);
HW_AT(struct hw_cqe, wqe_counter, 60);
HW_AT(struct hw_cqe, op_own, 63);

/* The same 64 bytes when op_own says REQ_ERR or RESP_ERR */
struct hw_err_cqe {
	uint8_t rsvd0[32];
	be32 srqn_uidx;
	uint8_t rsvd36[16];
	uint8_t hw_err_synd;
	uint8_t hw_synd_type;
	uint8_t vendor_err_synd;
	uint8_t syndrome;
	be32 s_wqe_opcode_qpn;
	be16 wqe_counter;
	uint8_t signature;
	uint8_t op_own;
};
HW_SIZE(struct hw_err_cqe, 64);
HW_AT(struct hw_err_cqe, srqn_uidx, 32);
HW_AT(struct hw_err_cqe, hw_err_synd, 52);
HW_AT(struct hw_err_cqe, vendor_err_synd, 54);
HW_AT(struct hw_err_cqe, syndrome, 55);
HW_AT(struct hw_err_cqe, s_wqe_opcode_qpn, 56);
HW_AT(struct hw_err_cqe, wqe_counter, 60);
HW_AT(struct hw_err_cqe, op_own, 63);

/* A completion in host form, error or not. */
struct hw_cqe_info {
	uint64_t timestamp;
	uint32_t qpn;	     /* 24 bits */
	uint32_t user_index; /* 24 bits */
	uint32_t byte_cnt;
	uint32_t imm;	  /* host form */
	uint32_t src_qpn; /* 24 bits; this and the next four: UD receives */
	uint16_t slid;
	uint8_t path_bits; /* 7 bits */
	uint8_t sl;	   /* 4 bits */
	uint8_t grh;	   /* 2 bits */
	uint16_t wqe_counter;
	uint8_t opcode;	    /* enum hw_cqe_opcode */
	uint8_t wqe_opcode; /* of the send WQE; requester CQEs only */
	uint8_t solicited;
	uint8_t owner;
	uint8_t syndrome; /* error CQEs only */
	uint8_t vendor_syndrome;
};

HW_FN int hw_cqe_is_error(uint8_t opcode)
{
	return opcode == HW_CQE_REQ_ERR || opcode == HW_CQE_RESP_ERR;
}

HW_FN uint8_t hw_cqe_op_own(uint8_t opcode, int solicited, int owner)
{
	return (uint8_t)(opcode << 4 | (solicited ? 2 : 0) | (owner & 1));
}

HW_FN struct hw_cqe hw_cqe_encode(const struct hw_cqe_info *in)
{
	struct hw_cqe out;

	memset(&out, 0, sizeof(out));
	out.srqn_uidx = to_be32(in->user_index & 0xffffffu);
	if (hw_cqe_is_error(in->opcode)) {
		/* bytes 54 and 55, where others end the timestamp */
		out.timestamp = to_be64((uint64_t)in->vendor_syndrome << 8 |
					in->syndrome);
	} else {
		out.ml_path = in->path_bits & 0x7f;
		out.slid = to_be16(in->slid);
		out.flags_rqpn =
			to_be32((in->grh & 3u) << 28 | (in->sl & 0xfu) << 24 |
				(in->src_qpn & 0xffffffu));
		out.imm_inval_pkey = to_be32(in->imm);
		out.byte_cnt = to_be32(in->byte_cnt);
		out.timestamp = to_be64(in->timestamp);
	}
	out.sop_drop_qpn =
		to_be32((uint32_t)in->wqe_opcode << 24 | (in->qpn & 0xffffffu));
	out.wqe_counter = to_be16(in->wqe_counter);
	out.op_own = hw_cqe_op_own(in->opcode, in->solicited, in->owner);
	return out;
}

HW_FN struct hw_cqe_info hw_cqe_decode(const struct hw_cqe *in)
{
	uint32_t sop = from_be32(in->sop_drop_qpn);
	uint32_t from = from_be32(in->flags_rqpn);
	struct hw_cqe_info out;

	memset(&out, 0, sizeof(out));
	out.opcode = in->op_own >> 4;
	out.solicited = in->op_own >> 1 & 1;
	out.owner = in->op_own & 1;
	out.qpn = sop & 0xffffffu;
	out.wqe_opcode = (uint8_t)(sop >> 24);
	out.wqe_counter = from_be16(in->wqe_counter);
	out.user_index = from_be32(in->srqn_uidx) & 0xffffffu;
	if (hw_cqe_is_error(out.opcode)) {
		out.vendor_syndrome = ((const uint8_t *)in)[54];
		out.syndrome = ((const uint8_t *)in)[55];
	} else {
		out.path_bits = in->ml_path & 0x7f;
		out.slid = from_be16(in->slid);
		out.src_qpn = from & 0xffffffu;
		out.sl = (uint8_t)(from >> 24 & 0xf);
		out.grh = (uint8_t)(from >> 28 & 3);
		out.imm = from_be32(in->imm_inval_pkey);
		out.byte_cnt = from_be32(in->byte_cnt);
		out.timestamp = from_be64(in->timestamp);
	}
	return out;
}

#endif
