/* SPDX-License-Identifier: MIT */
/*
 * Work queue entries: the segments of a send WQE, and the receive WQE.
 *
 * A send WQE is a list of 16-byte units ("ds"): a control segment first, then
 * what the opcode asks for (hw/wqe_opcode.h). It starts on a 64-byte basic
 * block (WQEBB) and occupies ceil(ds / 4) of them; a WQE that reaches the end
 * of the ring goes on at the ring's first block.
 *
 * Source of truth: rdma-core providers/mlx5/mlx5dv.h (struct mlx5_wqe_*),
 * wqe.h; extended atomics: gpunetio doca_gpunetio_verbs_def.h.
 * tests/layout/test_wqe.c compares every offset and encoder with mlx5dv.h.
 */
#ifndef HW_WQE_H
#define HW_WQE_H

#include "be.h"

enum {
	HW_WQE_BB = 64, /* bytes in a basic block */
	HW_WQE_BB_LOG2 = 6,
	HW_WQE_DS = 16,	    /* bytes in a data-segment unit */
	HW_WQE_DS_MAX = 63, /* ctrl.ds has 6 bits */
	HW_WQE_BYTES_MAX = HW_WQE_DS_MAX * HW_WQE_DS,
	HW_WQE_BBS_MAX = 16,
};

/* Basic blocks that a WQE of ds units occupies. */
HW_FN uint32_t hw_wqe_bbs(uint32_t ds)
{
	return (ds + 3) / 4;
}

/* ------------------------------------------------------------- control --- */
/*
 *   offset  size  control segment
 *        0     4  opmod[31:24] | wqe index[23:8] | opcode[7:0]
 *        4     4  qpn[31:8] | ds[5:0]
 *        8     1  signature
 *        9     2  DCI stream id, otherwise reserved
 *       11     1  fence[7:5] | completion[3:2] | solicited[1]
 *       12     4  immediate (big-endian for *_IMM), or an mkey for UMR
 *
 * Example: RDMA_WRITE, index 0x1ff, QP 0x2ed, ds 3, CQE always:
 *   00 01 ff 08  00 02 ed 03  00 00 00 08  00 00 00 00
 */
struct hw_wqe_ctrl {
	be32 opmod_idx_opcode;
	be32 qpn_ds;
	uint8_t signature;
	uint8_t rsvd9[2];
	uint8_t fm_ce_se;
	be32 imm;
};
HW_SIZE(struct hw_wqe_ctrl, 16);
HW_AT(struct hw_wqe_ctrl, qpn_ds, 4);
HW_AT(struct hw_wqe_ctrl, signature, 8);
HW_AT(struct hw_wqe_ctrl, fm_ce_se, 11);
HW_AT(struct hw_wqe_ctrl, imm, 12);

/* Fence modes, ctrl.fm_ce_se[7:5]. libmlx5 posts 4, NVSHMEM posts 2. */
enum hw_fence {
	HW_FENCE_NONE = 0,
	HW_FENCE_INITIATOR_SMALL = 1, /* after local invalidations and UMR */
	HW_FENCE_FENCE = 2,	      /* after earlier reads and atomics */
	HW_FENCE_STRONG = 3,	      /* after every earlier WQE */
	HW_FENCE_AND_SMALL = 4,	      /* 2 and 1 */
};

/* When a CQE is written, ctrl.fm_ce_se[3:2]. */
enum hw_ce {
	HW_CE_ERROR_ONLY = 0, /* "unsignaled" */
	HW_CE_FIRST_ERROR = 1,
	HW_CE_ALWAYS = 2, /* MLX5_WQE_CTRL_CQ_UPDATE */
	HW_CE_CQE_AND_EQE = 3,
};

enum { HW_SOLICITED = 1 << 1 };

/* ctrl.opmod of the masked ("extended") atomics */
enum {
	HW_OPMOD_ATOMIC_4B = 0x08,
	HW_OPMOD_ATOMIC_8B = 0x09,
};

HW_FN uint8_t hw_fm_ce_se(enum hw_fence fence, enum hw_ce ce, int solicited)
{
	return (uint8_t)((unsigned)fence << 5 | (unsigned)ce << 2 |
			 (solicited ? 2u : 0u));
}

/* The control segment in host form. Every field holds a plain integer. */
struct hw_wqe_ctrl_info {
	uint32_t qpn; /* 24 bits */
	uint32_t imm; /* host form; the encoder makes it big-endian */
	uint16_t idx; /* WQEBB counter, wraps at 2^16 */
	uint8_t opcode;
	uint8_t opmod;
	uint8_t ds; /* 6 bits, 16-byte units */
	uint8_t fm_ce_se;
	uint8_t signature;
};

HW_FN struct hw_wqe_ctrl hw_wqe_ctrl_encode(const struct hw_wqe_ctrl_info *in)
{
	struct hw_wqe_ctrl out;

	out.opmod_idx_opcode = to_be32((uint32_t)in->opmod << 24 |
				       (uint32_t)in->idx << 8 | in->opcode);
	out.qpn_ds = to_be32(in->qpn << 8 | (in->ds & 0x3fu));
	out.signature = in->signature;
	out.rsvd9[0] = out.rsvd9[1] = 0;
	out.fm_ce_se = in->fm_ce_se;
	out.imm = to_be32(in->imm);
	return out;
}

HW_FN struct hw_wqe_ctrl_info hw_wqe_ctrl_decode(const struct hw_wqe_ctrl *in)
{
	uint32_t op = from_be32(in->opmod_idx_opcode);
	uint32_t qd = from_be32(in->qpn_ds);
	struct hw_wqe_ctrl_info out;

	out.qpn = qd >> 8;
	out.imm = from_be32(in->imm);
	out.idx = (uint16_t)(op >> 8);
	out.opcode = (uint8_t)op;
	out.opmod = (uint8_t)(op >> 24);
	out.ds = (uint8_t)(qd & 0x3fu);
	out.fm_ce_se = in->fm_ce_se;
	out.signature = in->signature;
	return out;
}

/* ------------------------------------------------------ remote address --- */
/*
 *   offset  size  remote address segment
 *        0     8  remote virtual address
 *        8     4  rkey
 *       12     4  reserved
 *
 * Example: 0x7f1234560000 with rkey 0x1842:
 *   00 00 7f 12  34 56 00 00  00 00 18 42  00 00 00 00
 */
struct hw_wqe_raddr {
	be64 raddr;
	be32 rkey;
	be32 rsvd12;
};
HW_SIZE(struct hw_wqe_raddr, 16);
HW_AT(struct hw_wqe_raddr, rkey, 8);

HW_FN struct hw_wqe_raddr hw_wqe_raddr_encode(uint64_t raddr, uint32_t rkey)
{
	struct hw_wqe_raddr out;

	out.raddr = to_be64(raddr);
	out.rkey = to_be32(rkey);
	out.rsvd12 = to_be32(0);
	return out;
}

/* ---------------------------------------------------------------- data --- */
/*
 *   offset  size  data segment
 *        0     4  byte count; bit 31 clear; 0 means 2^31 (PRM, "data segment")
 *        4     4  lkey
 *        8     8  local virtual address
 *
 * Example: 4096 bytes at 0x7f00ab000000, lkey 0x1840:
 *   00 00 10 00  00 00 18 40  00 00 7f 00  ab 00 00 00
 */
struct hw_wqe_data {
	be32 byte_count;
	be32 lkey;
	be64 addr;
};
HW_SIZE(struct hw_wqe_data, 16);
HW_AT(struct hw_wqe_data, lkey, 4);
HW_AT(struct hw_wqe_data, addr, 8);

enum {
	/* Ends the scatter list of a receive WQE that has spare entries. */
	HW_LKEY_INVALID = 0x100,
};
#define HW_INLINE_FLAG 0x80000000u

HW_FN struct hw_wqe_data hw_wqe_data_encode(uint32_t byte_count, uint32_t lkey,
					    uint64_t addr)
{
	struct hw_wqe_data out;

	out.byte_count = to_be32(byte_count & ~HW_INLINE_FLAG);
	out.lkey = to_be32(lkey);
	out.addr = to_be64(addr);
	return out;
}

HW_FN uint32_t hw_wqe_data_len(const struct hw_wqe_data *in)
{
	uint32_t len = from_be32(in->byte_count) & ~HW_INLINE_FLAG;

	return len ? len : HW_INLINE_FLAG; /* 0 means 2^31 */
}

/* -------------------------------------------------------------- inline --- */
/*
 *   offset  size  inline data segment
 *        0     4  bit 31 set | byte count
 *        4     n  the bytes, padded to a multiple of 16 with the header
 *
 * Example: the four bytes 11 22 33 44:
 *   80 00 00 04  11 22 33 44  00 00 00 00  00 00 00 00
 */
struct hw_wqe_inline {
	be32 byte_count;
};
HW_SIZE(struct hw_wqe_inline, 4);

HW_FN struct hw_wqe_inline hw_wqe_inline_encode(uint32_t byte_count)
{
	struct hw_wqe_inline out;

	out.byte_count = to_be32(byte_count | HW_INLINE_FLAG);
	return out;
}

/* 16-byte units of an inline segment with its header */
HW_FN uint32_t hw_wqe_inline_ds(uint32_t byte_count)
{
	return (4 + byte_count + HW_WQE_DS - 1) / HW_WQE_DS;
}

/* -------------------------------------------------------------- atomic --- */
/*
 *   offset  size  atomic segment (ATOMIC_CS, ATOMIC_FA; 8-byte operands)
 *        0     8  CS: swap value      FA: value to add
 *        8     8  CS: compare value   FA: ignored
 *
 * Example: compare with 5, swap in 7:
 *   00 00 00 00  00 00 00 07  00 00 00 00  00 00 00 05
 */
struct hw_wqe_atomic {
	be64 swap_add;
	be64 compare;
};
HW_SIZE(struct hw_wqe_atomic, 16);
HW_AT(struct hw_wqe_atomic, compare, 8);

HW_FN struct hw_wqe_atomic hw_wqe_atomic_encode(uint64_t swap_add,
						uint64_t compare)
{
	struct hw_wqe_atomic out;

	out.swap_add = to_be64(swap_add);
	out.compare = to_be64(compare);
	return out;
}

/*
 * Masked atomics: opmod 0x08 has 4-byte operands, 0x09 has 8-byte ones.
 *
 *   MASKED_FA 4 B   {be32 add, be32 field_boundary, 8 B reserved}       16 B
 *   MASKED_CS 4 B   {be32 swap, compare, swap_mask, compare_mask}       16 B
 *   MASKED_FA 8 B   {be64 add, be64 field_boundary}                     16 B
 *   MASKED_CS 8 B   {be64 swap, compare}{be64 swap_mask, compare_mask}  32 B
 *
 * A set bit of field_boundary is the highest bit of a field: the carry out of
 * it is dropped (all ones makes xor, zero a plain add).
 * compare_mask chooses the bits compared, swap_mask the bits written.
 *
 * Example, 4-byte MASKED_FA of 1: 00 00 00 01  00 00 00 00  (8 x 00)
 */
struct hw_wqe_masked_fa_4 {
	be32 add;
	be32 field_boundary;
	be64 rsvd8;
};
HW_SIZE(struct hw_wqe_masked_fa_4, 16);
HW_AT(struct hw_wqe_masked_fa_4, field_boundary, 4);

struct hw_wqe_masked_cs_4 {
	be32 swap;
	be32 compare;
	be32 swap_mask;
	be32 compare_mask;
};
HW_SIZE(struct hw_wqe_masked_cs_4, 16);
HW_AT(struct hw_wqe_masked_cs_4, swap_mask, 8);

struct hw_wqe_masked_fa_8 {
	be64 add;
	be64 field_boundary;
};
HW_SIZE(struct hw_wqe_masked_fa_8, 16);

struct hw_wqe_masked_cs_8 {
	be64 swap;
	be64 compare;
	be64 swap_mask;
	be64 compare_mask;
};
HW_SIZE(struct hw_wqe_masked_cs_8, 32);
HW_AT(struct hw_wqe_masked_cs_8, swap_mask, 16);

/* The operands of any atomic in host form; plain ones leave masks unused. */
struct hw_atomic_args {
	uint64_t swap_add;
	uint64_t compare; /* FA: field boundary */
	uint64_t swap_mask;
	uint64_t compare_mask;
};

HW_FN struct hw_wqe_masked_fa_4
hw_wqe_masked_fa_4_encode(const struct hw_atomic_args *in)
{
	struct hw_wqe_masked_fa_4 out;

	out.add = to_be32((uint32_t)in->swap_add);
	out.field_boundary = to_be32((uint32_t)in->compare);
	out.rsvd8 = to_be64(0);
	return out;
}

HW_FN struct hw_wqe_masked_cs_4
hw_wqe_masked_cs_4_encode(const struct hw_atomic_args *in)
{
	struct hw_wqe_masked_cs_4 out;

	out.swap = to_be32((uint32_t)in->swap_add);
	out.compare = to_be32((uint32_t)in->compare);
	out.swap_mask = to_be32((uint32_t)in->swap_mask);
	out.compare_mask = to_be32((uint32_t)in->compare_mask);
	return out;
}

HW_FN struct hw_wqe_masked_fa_8
hw_wqe_masked_fa_8_encode(const struct hw_atomic_args *in)
{
	struct hw_wqe_masked_fa_8 out;

	out.add = to_be64(in->swap_add);
	out.field_boundary = to_be64(in->compare);
	return out;
}

HW_FN struct hw_wqe_masked_cs_8
hw_wqe_masked_cs_8_encode(const struct hw_atomic_args *in)
{
	struct hw_wqe_masked_cs_8 out;

	out.swap = to_be64(in->swap_add);
	out.compare = to_be64(in->compare);
	out.swap_mask = to_be64(in->swap_mask);
	out.compare_mask = to_be64(in->compare_mask);
	return out;
}

/* ---------------------------------------------------------------- wait --- */
/*
 *   offset  size  WAIT segment: stop the queue until a CQ has moved
 *        0     8  reserved
 *        8     4  index of the CQE to wait for (counts from 0, wraps at 2^32)
 *       12     4  number of the CQ
 *
 * Example: CQE 5 of CQ 0x23: (8 x 00)  00 00 00 05  00 00 00 23
 */
struct hw_wqe_wait {
	be32 rsvd0[2];
	be32 max_index;
	be32 qpn_cqn;
};
HW_SIZE(struct hw_wqe_wait, 16);
HW_AT(struct hw_wqe_wait, max_index, 8);
HW_AT(struct hw_wqe_wait, qpn_cqn, 12);

HW_FN struct hw_wqe_wait hw_wqe_wait_encode(uint32_t max_index, uint32_t cqn)
{
	struct hw_wqe_wait out;

	out.rsvd0[0] = out.rsvd0[1] = to_be32(0);
	out.max_index = to_be32(max_index);
	out.qpn_cqn = to_be32(cqn);
	return out;
}

/* ------------------------------------------------------ address vector --- */
/*
 *   offset  size  address vector of UD and DC WQEs
 *        0     8  DC access key, or be32 Q_Key and 4 reserved bytes (UD)
 *        8     4  ext[31] | destination QP or DCT number[23:0]
 *       12     1  static rate[7:4] | service level[3:0]
 *       13     1  force loopback[7] | source path bits[6:0]
 *       14     2  remote LID (IB), UDP source port (RoCE v2)
 *       16     4  reserved
 *       20     6  remote MAC
 *       26     1  traffic class
 *       27     1  hop limit
 *       28     4  grh[30] | source GID index[27:20] | flow label[19:0]
 *       32    16  remote GID or IP
 *
 * ext clear: only the first 16 bytes are there ("compact"). A Q_Key with its top
 * bit set stands for the Q_Key of the sending queue pair (IBTA 10.2.5).
 *
 * Example, compact: Q_Key 0x11111111, QP 0x51, service level 3, LID 7:
 *   11 11 11 11  00 00 00 00  00 00 00 51  03 00 00 07
 */
struct hw_wqe_av {
	be64 key;
	be32 dqp_dct;
	uint8_t stat_rate_sl;
	uint8_t fl_mlid;
	be16 rlid;
	be32 rsvd16;
	uint8_t rmac[6];
	uint8_t tclass;
	uint8_t hop_limit;
	be32 grh_gid_fl;
	uint8_t rgid[16];
};
HW_SIZE(struct hw_wqe_av, 48);
HW_AT(struct hw_wqe_av, dqp_dct, 8);
HW_AT(struct hw_wqe_av, rlid, 14);
HW_AT(struct hw_wqe_av, rmac, 20);
HW_AT(struct hw_wqe_av, grh_gid_fl, 28);
HW_AT(struct hw_wqe_av, rgid, 32);

#define HW_AV_EXT     0x80000000u
#define HW_QKEY_OF_QP 0x80000000u
enum { HW_AV_COMPACT_BYTES = 16 };

/* The address vector in host form; rlid: or the UDP source port. */
struct hw_wqe_av_info {
	uint32_t qkey;
	uint32_t qpn;	     /* 24 bits */
	uint32_t flow_label; /* 20 bits */
	uint16_t rlid;
	uint8_t stat_rate; /* 4 bits */
	uint8_t sl;	   /* 4 bits */
	uint8_t fl_mlid;
	uint8_t tclass, hop_limit, sgid_index;
	uint8_t ext; /* all 48 bytes */
	uint8_t grh;
	uint8_t rmac[6];
	uint8_t rgid[16];
};

HW_FN struct hw_wqe_av hw_wqe_av_encode(const struct hw_wqe_av_info *in)
{
	struct hw_wqe_av out;

	memset(&out, 0, sizeof(out));
	out.key = to_be64((uint64_t)in->qkey << 32);
	out.dqp_dct =
		to_be32((in->ext ? HW_AV_EXT : 0) | (in->qpn & 0xffffffu));
	out.stat_rate_sl =
		(uint8_t)((in->stat_rate & 0xf) << 4 | (in->sl & 0xf));
	out.fl_mlid = in->fl_mlid;
	out.rlid = to_be16(in->rlid);
	if (!in->ext)
		return out;
	memcpy(out.rmac, in->rmac, sizeof(out.rmac));
	out.tclass = in->tclass;
	out.hop_limit = in->hop_limit;
	out.grh_gid_fl = to_be32((in->grh ? 1u << 30 : 0) |
				 (uint32_t)in->sgid_index << 20 |
				 (in->flow_label & 0xfffffu));
	memcpy(out.rgid, in->rgid, sizeof(out.rgid));
	return out;
}

/* Of a compact one, what is behind its 16 bytes is not looked at. */
HW_FN struct hw_wqe_av_info hw_wqe_av_decode(const struct hw_wqe_av *in)
{
	uint32_t route = from_be32(in->grh_gid_fl);
	struct hw_wqe_av_info out;

	memset(&out, 0, sizeof(out));
	out.qkey = (uint32_t)(from_be64(in->key) >> 32);
	out.qpn = from_be32(in->dqp_dct) & 0xffffffu;
	out.ext = (uint8_t)(from_be32(in->dqp_dct) >> 31);
	out.stat_rate = in->stat_rate_sl >> 4;
	out.sl = in->stat_rate_sl & 0xf;
	out.fl_mlid = in->fl_mlid;
	out.rlid = from_be16(in->rlid);
	if (!out.ext)
		return out;
	memcpy(out.rmac, in->rmac, sizeof(out.rmac));
	out.tclass = in->tclass;
	out.hop_limit = in->hop_limit;
	out.grh = (uint8_t)(route >> 30 & 1);
	out.sgid_index = (uint8_t)(route >> 20);
	out.flow_label = route & 0xfffffu;
	memcpy(out.rgid, in->rgid, sizeof(out.rgid));
	return out;
}

/* ----------------------------------------------------------------- XRC --- */
/*
 *   offset  size  XRC segment, behind the control segment of every XRC WQE
 *                 that goes to the peer
 *        0     4  number of the peer's XRC SRQ[23:0]
 *        4    12  reserved
 *
 * Example: SRQ 0x12: 00 00 00 12  (12 x 00)
 */
struct hw_wqe_xrc {
	be32 srqn;
	uint8_t rsvd4[12];
};
HW_SIZE(struct hw_wqe_xrc, 16);

HW_FN struct hw_wqe_xrc hw_wqe_xrc_encode(uint32_t srqn)
{
	struct hw_wqe_xrc out;

	memset(&out, 0, sizeof(out));
	out.srqn = to_be32(srqn & 0xffffffu);
	return out;
}

/* -------------------------------------------------------------- receive -- */
/*
 * A receive WQE is a list of data segments in a slot of 2^(4 + stride) bytes.
 * In a shared receive queue the slots form a linked list: each starts with
 *
 *   offset  size  next segment
 *        0     2  reserved
 *        2     2  index of the next slot
 *        4     1  signature
 *        5    11  reserved
 */
struct hw_wqe_srq_next {
	be16 rsvd0;
	be16 next_wqe_index;
	uint8_t signature;
	uint8_t rsvd5[11];
};
HW_SIZE(struct hw_wqe_srq_next, 16);
HW_AT(struct hw_wqe_srq_next, next_wqe_index, 2);

#endif
