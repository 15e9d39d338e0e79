/* SPDX-License-Identifier: MIT */
/*
 * User-mode memory registration: the segments of a UMR WQE, and the entries of
 * the list behind an indirect key.
 *
 * A UMR WQE is a control segment whose imm holds the key, then
 *
 *   UMR control (48 bytes) | memory key context (64, hw/cmd_mkey.h) | list
 *
 * where the list is inline (units of 64 bytes, padded with zeros) or one data
 * segment that points to it. Entries are octwords: 16 bytes.
 *
 * Source of truth: rdma-core mlx5dv.h, struct mlx5_wqe_umr_*; Linux
 * include/linux/mlx5/device.h for the flags and mask bits that it leaves out.
 */
#ifndef HW_UMR_H
#define HW_UMR_H

#include "be.h"

/*
 *   offset  size  UMR control segment
 *        0     1  inline[7] | check free[6:5] | offset enable[4] | check qpn[3]
 *        1     3  reserved
 *        4     2  octwords of the list
 *        6     2  where they go in the key's list (octwords), bits 15:0
 *        8     8  mask: which fields of the context are taken over
 *       16     4  the offset's bits 47:16
 *       20    28  reserved
 *
 * Example: inline list of 4 octwords, key must be free, offset 0, takes over
 * length, start, variant, free:
 *   b0 00 00 00  00 04 00 00  00 00 00 00  20 00 20 41  (32 x 00)
 */
struct hw_umr_ctrl {
	uint8_t flags;
	uint8_t rsvd1[3];
	be16 octwords;
	be16 offset_15_0; /* with BSF: its octwords */
	be64 mask;
	be32 offset_47_16;
	uint8_t rsvd20[28];
};
HW_SIZE(struct hw_umr_ctrl, 48);
HW_AT(struct hw_umr_ctrl, octwords, 4);
HW_AT(struct hw_umr_ctrl, offset_15_0, 6);
HW_AT(struct hw_umr_ctrl, mask, 8);
HW_AT(struct hw_umr_ctrl, offset_47_16, 16);

enum hw_umr_flags {
	HW_UMR_CHECK_QPN = 1 << 3,
	HW_UMR_OFFSET = 1 << 4,
	HW_UMR_MUST_BE_FREE = 1 << 5,
	HW_UMR_MUST_NOT_BE_FREE = 1 << 6,
	HW_UMR_INLINE = 1 << 7,
};

/* Bits of the mask: the field is taken over from the context. */
enum hw_umr_mask {
	HW_UMR_LEN = 1 << 0,
	HW_UMR_PAGE_SIZE = 1 << 1,
	HW_UMR_START_ADDR = 1 << 6,
	HW_UMR_PD = 1 << 7,
	HW_UMR_EN_RINVAL = 1 << 8,
	HW_UMR_SIG_ERR = 1 << 9,
	HW_UMR_BSF_EN = 1 << 12,
	HW_UMR_MKEY = 1 << 13,
	HW_UMR_QPN = 1 << 14,
	HW_UMR_LR = 1 << 17,
	HW_UMR_LW = 1 << 18,
	HW_UMR_RR = 1 << 19,
	HW_UMR_RW = 1 << 20,
	HW_UMR_A = 1 << 21,
	HW_UMR_SMALL_FENCE = 1 << 23,
	HW_UMR_FREE = 1 << 29,
};

/* The control segment in host form. */
struct hw_umr_ctrl_info {
	uint64_t mask;
	uint64_t offset; /* 48 bits, octwords */
	uint16_t octwords;
	uint8_t flags;
};

HW_FN struct hw_umr_ctrl hw_umr_ctrl_encode(const struct hw_umr_ctrl_info *in)
{
	struct hw_umr_ctrl out;

	memset(&out, 0, sizeof(out));
	out.flags = in->flags;
	out.octwords = to_be16(in->octwords);
	out.offset_15_0 = to_be16((uint16_t)in->offset);
	out.offset_47_16 = to_be32((uint32_t)(in->offset >> 16));
	out.mask = to_be64(in->mask);
	return out;
}

HW_FN struct hw_umr_ctrl_info hw_umr_ctrl_decode(const struct hw_umr_ctrl *in)
{
	struct hw_umr_ctrl_info out;

	out.flags = in->flags;
	out.octwords = from_be16(in->octwords);
	out.offset = (uint64_t)from_be32(in->offset_47_16) << 16 |
		     from_be16(in->offset_15_0);
	out.mask = from_be64(in->mask);
	return out;
}

/* ------------------------------------------------- entries of the list --- */
/*
 *   offset  size  KLM
 *        0     4  byte count, 0 means 2^31; KSM: ignored, all entries have
 *                 the key's entity size
 *        4     4  key of the memory
 *        8     8  its address there
 *
 * Example: 4096 bytes at 0x7f00ab000000, key 0x1840:
 *   00 00 10 00  00 00 18 40  00 00 7f 00  ab 00 00 00
 */
struct hw_klm {
	be32 byte_count;
	be32 mkey;
	be64 address;
};
HW_SIZE(struct hw_klm, 16);
HW_AT(struct hw_klm, mkey, 4);
HW_AT(struct hw_klm, address, 8);

HW_FN struct hw_klm hw_klm_encode(uint32_t byte_count, uint32_t mkey,
				  uint64_t address)
{
	struct hw_klm out;

	out.byte_count = to_be32(byte_count);
	out.mkey = to_be32(mkey);
	out.address = to_be64(address);
	return out;
}

/*
 * A strided block: a head whose second word is HW_REPEAT_OP, then entries.
 * Entry i of cycle c stands for byte_count bytes at address + c * stride.
 *
 *   offset  size  head                    offset  size  entry
 *        0     4  bytes of a cycle             0     2  stride
 *        4     4  0x400                        2     2  byte count
 *        8     4  cycles                       4     4  key
 *       12     2  reserved                     8     8  address
 *       14     2  entries
 *
 * Example: 16 cycles of one entry, 8 of every 64 bytes:
 *   00 00 00 08  00 00 04 00  00 00 00 10  00 00 00 01
 *   00 40 00 08  00 00 18 40  00 00 7f 00  ab 00 00 00
 */
struct hw_repeat_head {
	be32 byte_count;
	be32 op;
	be32 repeat_count;
	be16 rsvd12;
	be16 num_entries;
};
HW_SIZE(struct hw_repeat_head, 16);
HW_AT(struct hw_repeat_head, op, 4);
HW_AT(struct hw_repeat_head, repeat_count, 8);
HW_AT(struct hw_repeat_head, num_entries, 14);

struct hw_repeat_entry {
	be16 stride;
	be16 byte_count;
	be32 mkey;
	be64 address;
};
HW_SIZE(struct hw_repeat_entry, 16);
HW_AT(struct hw_repeat_entry, byte_count, 2);
HW_AT(struct hw_repeat_entry, mkey, 4);
HW_AT(struct hw_repeat_entry, address, 8);

enum {
	HW_OCTWORD = 16,
	HW_REPEAT_OP = 0x400,
	HW_UMR_MIN_BYTES = 48 + 64, /* control segment and context */
};

HW_FN struct hw_repeat_head hw_repeat_head_encode(uint32_t byte_count,
						  uint32_t repeat_count,
						  uint16_t num_entries)
{
	struct hw_repeat_head out;

	out.byte_count = to_be32(byte_count);
	out.op = to_be32(HW_REPEAT_OP);
	out.repeat_count = to_be32(repeat_count);
	out.rsvd12 = to_be16(0);
	out.num_entries = to_be16(num_entries);
	return out;
}

HW_FN struct hw_repeat_entry hw_repeat_entry_encode(uint16_t stride,
						    uint16_t byte_count,
						    uint32_t mkey,
						    uint64_t address)
{
	struct hw_repeat_entry out;

	out.stride = to_be16(stride);
	out.byte_count = to_be16(byte_count);
	out.mkey = to_be32(mkey);
	out.address = to_be64(address);
	return out;
}

#endif
