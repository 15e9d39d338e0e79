/* SPDX-License-Identifier: MIT */
/*
 * Transport headers of a packet: BTH and the extended headers, opcodes of the
 * services RC, UC, UD and XRC.
 *
 *   BTH, 12 bytes: opcode | se[7] m[6] pad[5:4] tver[3:0] | pkey(2)
 *                  resv8 | destination QP(3) | ackreq[31] | psn[23:0]
 *   RETH, 16: va(8) rkey(4) dma length(4)
 *   AtomicETH, 28: va(8) rkey(4) swap or add(8) compare(8)
 *   DETH, 8: Q_Key(4) resv8 | source QP(3)     XRCETH, 4: resv8 | XRC SRQ(3)
 *   AETH, 4: syndrome[31:24] | msn[23:0]
 *   AtomicAckETH, 8: original value     ImmDt, 4: immediate
 *   IETH, 4: key to invalidate
 *   MaskedAtomicETH, 48: va(8) rkey(4) operand bytes(4) swap or add(8)
 *                  compare or field boundary(8) swap mask(8) compare mask(8)
 *
 * An opcode is a service (bits 7 to 5) and an operation (bits 4 to 0). DETH and
 * XRCETH stand directly behind the BTH; an XRC response has no XRCETH.
 *
 * The masked atomics' wire form is not published; ours uses two opcodes of
 * the manufacturer range (0xc0 up; 0xe0 up for XRC) and is spoken between
 * Belfry NICs only.
 *
 * Example: RC ACK to QP 0x51, psn 100, credits 0x1f, msn 1:
 *   11 40 ff ff  00 00 00 51  00 00 00 64  1f 00 00 01
 *
 * Source of truth: IBTA vol. 1 release 1.4, chapter 9; Linux rxe_hdr.h,
 * rxe_opcode.c.
 */
#ifndef HW_BTH_H
#define HW_BTH_H

#include "be.h"

enum {
	HW_BTH_BYTES = 12,
	HW_RETH_BYTES = 16,
	HW_ATOMIC_ETH_BYTES = 28,
	HW_AETH_BYTES = 4,
	HW_ATOMIC_ACK_ETH_BYTES = 8,
	HW_IMMDT_BYTES = 4,
	HW_IETH_BYTES = 4,
	HW_MASKED_ATOMIC_ETH_BYTES = 48,
	HW_DETH_BYTES = 8,
	HW_XRCETH_BYTES = 4,
	HW_GRH_BYTES = 40,
	HW_PKT_HDR_MAX =
		HW_BTH_BYTES + HW_XRCETH_BYTES + HW_MASKED_ATOMIC_ETH_BYTES,
	HW_PSN_MASK = 0xffffff,
	HW_PKEY_DEFAULT = 0xffff,
};

enum hw_pkt_service {
	HW_PKT_RC = 0x00,
	HW_PKT_UC = 0x20,
	HW_PKT_UD = 0x60,
	HW_PKT_XRC = 0xa0,
	HW_PKT_OURS = 0xc0, /* RC's; with UC's bit they are XRC's */
	HW_PKT_SERVICE_MASK = 0xe0,
};

/* RC; what other services have too is there with their bits added. */
enum hw_pkt_opcode {
	HW_PKT_SEND_FIRST = 0x00,
	HW_PKT_SEND_MIDDLE = 0x01,
	HW_PKT_SEND_LAST = 0x02,
	HW_PKT_SEND_LAST_IMM = 0x03,
	HW_PKT_SEND_ONLY = 0x04,
	HW_PKT_SEND_ONLY_IMM = 0x05,
	HW_PKT_WRITE_FIRST = 0x06,
	HW_PKT_WRITE_MIDDLE = 0x07,
	HW_PKT_WRITE_LAST = 0x08,
	HW_PKT_WRITE_LAST_IMM = 0x09,
	HW_PKT_WRITE_ONLY = 0x0a,
	HW_PKT_WRITE_ONLY_IMM = 0x0b,
	HW_PKT_READ_REQUEST = 0x0c,
	HW_PKT_READ_RESP_FIRST = 0x0d,
	HW_PKT_READ_RESP_MIDDLE = 0x0e,
	HW_PKT_READ_RESP_LAST = 0x0f,
	HW_PKT_READ_RESP_ONLY = 0x10,
	HW_PKT_ACK = 0x11,
	HW_PKT_ATOMIC_ACK = 0x12,
	HW_PKT_CMP_SWAP = 0x13,
	HW_PKT_FETCH_ADD = 0x14,
	HW_PKT_SEND_LAST_INV = 0x16,
	HW_PKT_SEND_ONLY_INV = 0x17,
	HW_PKT_MASKED_CS = 0xc0, /* ours, see above */
	HW_PKT_MASKED_FA = 0xc1,
	HW_PKT_UNREACHABLE = 0xc2, /* ours: a lossless wire reports a drop */
};

/* Properties of a packet opcode */
enum hw_pkt_flags {
	HW_PKTF_FIRST = 1 << 0,
	HW_PKTF_MIDDLE = 1 << 1,
	HW_PKTF_LAST = 1 << 2,
	HW_PKTF_ONLY = HW_PKTF_FIRST | HW_PKTF_LAST,
	HW_PKTF_SEND = 1 << 3,
	HW_PKTF_WRITE = 1 << 4,
	HW_PKTF_READ = 1 << 5,
	HW_PKTF_ATOMIC = 1 << 6,
	HW_PKTF_RESPONSE = 1 << 7, /* goes to a requester */
	HW_PKTF_RETH = 1 << 8,
	HW_PKTF_AETH = 1 << 9,
	HW_PKTF_IMMDT = 1 << 10,
	HW_PKTF_ATOMIC_ETH = 1 << 11,
	HW_PKTF_MASKED_ETH = 1 << 12,
	HW_PKTF_ATOMIC_ACK = 1 << 13,
	HW_PKTF_PAYLOAD = 1 << 14,
	HW_PKTF_IETH = 1 << 15,
	HW_PKTF_DETH = 1 << 16,
	HW_PKTF_XRCETH = 1 << 17,
};

struct hw_pkt_op {
	const char *name;
	uint32_t flags;
	uint8_t hdr_bytes; /* BTH and extended headers */
};

/* The properties of an opcode of RC or ours. Host only. */
static inline struct hw_pkt_op hw_pkt_rc_op(uint8_t opcode)
{
	static const struct hw_pkt_op none = {0, 0, 0};
	/* A row for each opcode, in order. */
	/* clang-format off */
	static const struct hw_pkt_op table[] = {
		{"SEND_FIRST", HW_PKTF_SEND | HW_PKTF_FIRST | HW_PKTF_PAYLOAD, 12},
		{"SEND_MIDDLE", HW_PKTF_SEND | HW_PKTF_MIDDLE | HW_PKTF_PAYLOAD, 12},
		{"SEND_LAST", HW_PKTF_SEND | HW_PKTF_LAST | HW_PKTF_PAYLOAD, 12},
		{"SEND_LAST_IMM",
		 HW_PKTF_SEND | HW_PKTF_LAST | HW_PKTF_IMMDT | HW_PKTF_PAYLOAD, 16},
		{"SEND_ONLY", HW_PKTF_SEND | HW_PKTF_ONLY | HW_PKTF_PAYLOAD, 12},
		{"SEND_ONLY_IMM",
		 HW_PKTF_SEND | HW_PKTF_ONLY | HW_PKTF_IMMDT | HW_PKTF_PAYLOAD, 16},
		{"WRITE_FIRST",
		 HW_PKTF_WRITE | HW_PKTF_FIRST | HW_PKTF_RETH | HW_PKTF_PAYLOAD, 28},
		{"WRITE_MIDDLE", HW_PKTF_WRITE | HW_PKTF_MIDDLE | HW_PKTF_PAYLOAD, 12},
		{"WRITE_LAST", HW_PKTF_WRITE | HW_PKTF_LAST | HW_PKTF_PAYLOAD, 12},
		{"WRITE_LAST_IMM",
		 HW_PKTF_WRITE | HW_PKTF_LAST | HW_PKTF_IMMDT | HW_PKTF_PAYLOAD, 16},
		{"WRITE_ONLY",
		 HW_PKTF_WRITE | HW_PKTF_ONLY | HW_PKTF_RETH | HW_PKTF_PAYLOAD, 28},
		{"WRITE_ONLY_IMM",
		 HW_PKTF_WRITE | HW_PKTF_ONLY | HW_PKTF_RETH | HW_PKTF_IMMDT |
			 HW_PKTF_PAYLOAD, 32},
		{"READ_REQUEST", HW_PKTF_READ | HW_PKTF_ONLY | HW_PKTF_RETH, 28},
		{"READ_RESP_FIRST",
		 HW_PKTF_RESPONSE | HW_PKTF_READ | HW_PKTF_FIRST | HW_PKTF_AETH |
			 HW_PKTF_PAYLOAD, 16},
		{"READ_RESP_MIDDLE",
		 HW_PKTF_RESPONSE | HW_PKTF_READ | HW_PKTF_MIDDLE | HW_PKTF_PAYLOAD,
		 12},
		{"READ_RESP_LAST",
		 HW_PKTF_RESPONSE | HW_PKTF_READ | HW_PKTF_LAST | HW_PKTF_AETH |
			 HW_PKTF_PAYLOAD, 16},
		{"READ_RESP_ONLY",
		 HW_PKTF_RESPONSE | HW_PKTF_READ | HW_PKTF_ONLY | HW_PKTF_AETH |
			 HW_PKTF_PAYLOAD, 16},
		{"ACK", HW_PKTF_RESPONSE | HW_PKTF_AETH, 16},
		{"ATOMIC_ACK",
		 HW_PKTF_RESPONSE | HW_PKTF_ATOMIC | HW_PKTF_ONLY | HW_PKTF_AETH |
			 HW_PKTF_ATOMIC_ACK, 24},
		{"CMP_SWAP", HW_PKTF_ATOMIC | HW_PKTF_ONLY | HW_PKTF_ATOMIC_ETH, 40},
		{"FETCH_ADD", HW_PKTF_ATOMIC | HW_PKTF_ONLY | HW_PKTF_ATOMIC_ETH, 40},
		{0, 0, 0},
		{"SEND_LAST_INV",
		 HW_PKTF_SEND | HW_PKTF_LAST | HW_PKTF_IETH | HW_PKTF_PAYLOAD, 16},
		{"SEND_ONLY_INV",
		 HW_PKTF_SEND | HW_PKTF_ONLY | HW_PKTF_IETH | HW_PKTF_PAYLOAD, 16},
	};
	static const struct hw_pkt_op ours[] = {
		{"MASKED_CS", HW_PKTF_ATOMIC | HW_PKTF_ONLY | HW_PKTF_MASKED_ETH, 60},
		{"MASKED_FA", HW_PKTF_ATOMIC | HW_PKTF_ONLY | HW_PKTF_MASKED_ETH, 60},
		{"UNREACHABLE", HW_PKTF_RESPONSE, 12},
	};
	/* clang-format on */

	if (opcode < sizeof(table) / sizeof(table[0]))
		return table[opcode];
	if (opcode >= HW_PKT_MASKED_CS && opcode <= HW_PKT_UNREACHABLE)
		return ours[opcode - HW_PKT_MASKED_CS];
	return none;
}

/* The same for other services. */
static inline struct hw_pkt_op hw_pkt_other_op(uint8_t opcode)
{
	struct hw_pkt_op op = {0, 0, 0};
	uint8_t operation = opcode & (uint8_t)~HW_PKT_SERVICE_MASK;

	switch (opcode & HW_PKT_SERVICE_MASK) {
	case HW_PKT_OURS:
		return hw_pkt_rc_op(opcode);
	case HW_PKT_UC:
		return operation <= HW_PKT_WRITE_ONLY_IMM
			       ? hw_pkt_rc_op(operation)
			       : op;
	case HW_PKT_UD:
		if (operation != HW_PKT_SEND_ONLY &&
		    operation != HW_PKT_SEND_ONLY_IMM)
			return op;
		op = hw_pkt_rc_op(operation);
		op.flags |= HW_PKTF_DETH;
		op.hdr_bytes += HW_DETH_BYTES;
		return op;
	case HW_PKT_XRC:
		op = hw_pkt_rc_op(operation);
		break;
	case HW_PKT_OURS | HW_PKT_UC:
		if (operation <= 1)
			op = hw_pkt_rc_op(HW_PKT_OURS | operation);
		break;
	default:
		break;
	}
	if (op.name && !(op.flags & HW_PKTF_RESPONSE)) {
		op.flags |= HW_PKTF_XRCETH;
		op.hdr_bytes += HW_XRCETH_BYTES;
	}
	return op;
}

/* The properties of an opcode; name is NULL for an unknown one. Host only. */
static inline struct hw_pkt_op hw_pkt_op(uint8_t opcode)
{
	return opcode < HW_PKT_UC ? hw_pkt_rc_op(opcode)
				  : hw_pkt_other_op(opcode);
}

/* The opcode of RC, or ours, that means the same. */
HW_FN uint8_t hw_pkt_rc_opcode(uint8_t opcode)
{
	uint8_t operation = (uint8_t)(opcode & ~HW_PKT_SERVICE_MASK);

	return (opcode & HW_PKT_OURS) == HW_PKT_OURS
		       ? (uint8_t)(HW_PKT_OURS | operation)
		       : operation;
}

/* Is the packet answered? UC's and UD's are lost without a word. */
HW_FN int hw_pkt_is_reliable(uint8_t opcode)
{
	return (opcode & HW_PKT_SERVICE_MASK) != HW_PKT_UC &&
	       (opcode & HW_PKT_SERVICE_MASK) != HW_PKT_UD;
}

/* May a queue pair of this service (enum hw_pkt_service) get the packet? */
HW_FN int hw_pkt_is_of(uint8_t opcode, uint8_t service)
{
	uint8_t of = opcode & HW_PKT_SERVICE_MASK;

	if (of == service)
		return 1;
	if (opcode == HW_PKT_UNREACHABLE)
		return service == HW_PKT_RC || service == HW_PKT_XRC;
	if (of == HW_PKT_OURS)
		return service == HW_PKT_RC;
	return of == (HW_PKT_OURS | HW_PKT_UC) && service == HW_PKT_XRC;
}

/* ----------------------------------------------------------------- BTH --- */

struct hw_bth {
	uint8_t opcode;
	uint8_t flags; /* solicited[7] | migreq[6] | pad[5:4] | version[3:0] */
	be16 pkey;
	be32 qpn;  /* resv8a[31:24] */
	be32 apsn; /* ackreq[31] | psn[23:0] */
};
HW_SIZE(struct hw_bth, 12);
HW_AT(struct hw_bth, pkey, 2);
HW_AT(struct hw_bth, qpn, 4);
HW_AT(struct hw_bth, apsn, 8);

struct hw_bth_info {
	uint32_t qpn; /* 24 bits */
	uint32_t psn; /* 24 bits */
	uint16_t pkey;
	uint8_t opcode;
	uint8_t pad; /* 0 to 3 bytes behind the payload */
	uint8_t solicited;
	uint8_t ack_req;
	uint8_t version; /* must be 0 */
};

HW_FN struct hw_bth hw_bth_encode(const struct hw_bth_info *in)
{
	struct hw_bth out;

	out.opcode = in->opcode;
	out.flags = (uint8_t)((in->solicited ? 0x80 : 0) | 0x40 |
			      (in->pad & 3) << 4 | (in->version & 0xf));
	out.pkey = to_be16(in->pkey);
	out.qpn = to_be32(in->qpn & 0xffffffu);
	out.apsn = to_be32((in->ack_req ? 0x80000000u : 0) |
			   (in->psn & HW_PSN_MASK));
	return out;
}

HW_FN struct hw_bth_info hw_bth_decode(const struct hw_bth *in)
{
	uint32_t apsn = from_be32(in->apsn);
	struct hw_bth_info out;

	out.opcode = in->opcode;
	out.solicited = in->flags >> 7;
	out.pad = in->flags >> 4 & 3;
	out.version = in->flags & 0xf;
	out.pkey = from_be16(in->pkey);
	out.qpn = from_be32(in->qpn) & 0xffffffu;
	out.psn = apsn & HW_PSN_MASK;
	out.ack_req = (uint8_t)(apsn >> 31);
	return out;
}

/* ---------------------------------------------------- extended headers --- */

struct hw_reth {
	be32 va[2]; /* two words: the header is only 4-byte aligned */
	be32 rkey;
	be32 dma_len;
};
HW_SIZE(struct hw_reth, 16);

struct hw_atomic_eth {
	be32 va[2];
	be32 rkey;
	be32 swap_add[2];
	be32 compare[2];
};
HW_SIZE(struct hw_atomic_eth, 28);

struct hw_masked_atomic_eth {
	be32 va[2];
	be32 rkey;
	be32 operand_bytes;
	be32 swap_add[2];
	be32 compare[2];
	be32 swap_mask[2];
	be32 compare_mask[2];
};
HW_SIZE(struct hw_masked_atomic_eth, 48);

struct hw_aeth {
	be32 syndrome_msn;
};
HW_SIZE(struct hw_aeth, 4);

struct hw_immdt {
	be32 imm;
};
HW_SIZE(struct hw_immdt, 4);

struct hw_ieth {
	be32 rkey;
};
HW_SIZE(struct hw_ieth, 4);

struct hw_atomic_ack_eth {
	be32 orig[2];
};
HW_SIZE(struct hw_atomic_ack_eth, 8);

struct hw_deth {
	be32 qkey;
	be32 src_qpn; /* resv8[31:24] */
};
HW_SIZE(struct hw_deth, 8);

struct hw_xrceth {
	be32 srqn; /* resv8[31:24] */
};
HW_SIZE(struct hw_xrceth, 4);

/*
 * Global route header: an InfiniBand packet's own, and what a UD receive buffer
 * starts with.
 *
 *   offset  size
 *        0     4  version (6)[31:28] | traffic class[27:20] | flow label[19:0]
 *        4     2  length: BTH to ICRC, padding included
 *        6     1  next header: 0x1b is the BTH
 *        7     1  hop limit
 *        8    16  source GID
 *       24    16  destination GID
 */
struct hw_grh {
	be32 version_tclass_flow;
	be16 payload_len;
	uint8_t next_header;
	uint8_t hop_limit;
	uint8_t sgid[16];
	uint8_t dgid[16];
};
HW_SIZE(struct hw_grh, 40);
HW_AT(struct hw_grh, sgid, 8);
HW_AT(struct hw_grh, dgid, 24);

enum {
	HW_GRH_VERSION = 6,
	HW_GRH_NEXT_BTH = 0x1b,
	HW_ICRC_BYTES = 4,
};

HW_FN void hw_put_be64(be32 out[2], uint64_t v)
{
	out[0] = to_be32((uint32_t)(v >> 32));
	out[1] = to_be32((uint32_t)v);
}

HW_FN uint64_t hw_get_be64(const be32 in[2])
{
	return (uint64_t)from_be32(in[0]) << 32 | from_be32(in[1]);
}

HW_FN struct hw_reth hw_reth_encode(uint64_t va, uint32_t rkey, uint32_t len)
{
	struct hw_reth out;

	hw_put_be64(out.va, va);
	out.rkey = to_be32(rkey);
	out.dma_len = to_be32(len);
	return out;
}

/* AETH syndrome: type[6:5] in bits 6:5, value[4:0] */
enum hw_aeth_type {
	HW_AETH_ACK = 0x00, /* value: credits, 0x1f is "not limited" */
	HW_AETH_RNR = 0x20, /* value: RNR timer code */
	HW_AETH_NAK = 0x60, /* value: enum hw_nak */
	HW_AETH_TYPE_MASK = 0xe0,
	HW_AETH_VALUE_MASK = 0x1f,
	HW_AETH_NO_CREDIT_LIMIT = 0x1f,
};

enum hw_nak {
	HW_NAK_PSN_SEQ = 0,
	HW_NAK_INVALID_REQ = 1,
	HW_NAK_REMOTE_ACCESS = 2,
	HW_NAK_REMOTE_OP = 3,
	HW_NAK_SOURCE_FAULT = 0x1e, /* ours: the requester's memory is gone */
};

HW_FN struct hw_aeth hw_aeth_encode(uint8_t syndrome, uint32_t msn)
{
	struct hw_aeth out;

	out.syndrome_msn =
		to_be32((uint32_t)syndrome << 24 | (msn & HW_PSN_MASK));
	return out;
}

/* ----------------------------------------------------------------- PSN --- */

HW_FN uint32_t hw_psn_add(uint32_t psn, uint32_t n)
{
	return (psn + n) & HW_PSN_MASK;
}

/* a - b as a signed 24-bit distance */
HW_FN int32_t hw_psn_diff(uint32_t a, uint32_t b)
{
	return (int32_t)((a - b) << 8) >> 8;
}

#endif
