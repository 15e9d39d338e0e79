/* SPDX-License-Identifier: MIT */
/*
 * Annotate: the bytes of a WQE, a doorbell and a CQE, field by field.
 */
#include "tools/belfry.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "hw/cqe.h"
#include "hw/doorbell.h"
#include "hw/wqe.h"
#include "hw/wqe_opcode.h"

/* One field: offset, its bytes, its name, and what they mean. */
struct field {
	const uint8_t *base;
	unsigned offset, bytes;
	const char *name;
};

static void line(FILE *out, struct field f, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void line(FILE *out, struct field f, const char *fmt, ...)
{
	char hex[40] = "";
	va_list args;
	unsigned i;

	for (i = 0; i < f.bytes && i < 12; i++)
		snprintf(hex + i * 3, sizeof(hex) - i * 3, "%02x ",
			 f.base[f.offset + i]);
	fprintf(out, "   +%02x  %-25s %-16s ", f.offset, hex, f.name);
	va_start(args, fmt);
	vfprintf(out, fmt, args);
	va_end(args);
	fputc('\n', out);
}

static const char *ce_name(unsigned ce)
{
	static const char *const names[] = {"CQE on error only",
					    "CQE on the first error",
					    "CQE always", "CQE and EQE"};

	return names[ce & 3];
}

static void annotate_ctrl(FILE *out, const uint8_t *wqe,
			  const struct hw_wqe_ctrl_info *ctrl)
{
	struct hw_wqe_op op = hw_wqe_op(ctrl->opcode);

	line(out, (struct field){wqe, 0, 1, "ctrl.opmod"}, "0x%02x",
	     ctrl->opmod);
	line(out, (struct field){wqe, 1, 2, "ctrl.wqe_index"},
	     "%u, the WQE's first 64-byte block (16 bits)", ctrl->idx);
	line(out, (struct field){wqe, 3, 1, "ctrl.opcode"}, "%s",
	     op.name ? op.name : "?");
	line(out, (struct field){wqe, 4, 3, "ctrl.qpn"}, "0x%06x", ctrl->qpn);
	line(out, (struct field){wqe, 7, 1, "ctrl.ds"},
	     "%u units of 16 bytes: %u bytes in %u block(s)", ctrl->ds,
	     ctrl->ds * HW_WQE_DS, hw_wqe_bbs(ctrl->ds));
	line(out, (struct field){wqe, 11, 1, "ctrl.fm_ce_se"}, "fence %u, %s%s",
	     ctrl->fm_ce_se >> 5, ce_name(ctrl->fm_ce_se >> 2),
	     ctrl->fm_ce_se & HW_SOLICITED ? ", solicited" : "");
	line(out, (struct field){wqe, 12, 4, "ctrl.imm"}, "0x%08x", ctrl->imm);
}

static void annotate_data(FILE *out, const uint8_t *wqe, unsigned at,
			  unsigned end)
{
	struct hw_wqe_data data;
	uint32_t count;

	while (at + sizeof(data) <= end) {
		memcpy(&data, wqe + at, sizeof(data));
		count = from_be32(data.byte_count);
		if (count & HW_INLINE_FLAG) {
			line(out, (struct field){wqe, at, 4, "inline.count"},
			     "inline (bit 31), %u bytes",
			     count & ~HW_INLINE_FLAG);
			line(out,
			     (struct field){wqe, at + 4, end - at - 4,
					    "inline.data"},
			     "%s", "the payload itself");
			return;
		}
		line(out, (struct field){wqe, at, 4, "data.byte_count"}, "%u",
		     hw_wqe_data_len(&data));
		line(out, (struct field){wqe, at + 4, 4, "data.lkey"}, "0x%08x",
		     from_be32(data.lkey));
		line(out, (struct field){wqe, at + 8, 8, "data.addr"},
		     "0x%" PRIx64 ", local memory", from_be64(data.addr));
		at += sizeof(data);
	}
}

void annotate_wqe(FILE *out, const uint8_t *wqe)
{
	struct hw_wqe_ctrl raw;
	struct hw_wqe_raddr raddr;
	struct hw_wqe_ctrl_info ctrl;
	unsigned at = sizeof(raw);
	uint16_t flags;

	memcpy(&raw, wqe, sizeof(raw));
	ctrl = hw_wqe_ctrl_decode(&raw);
	flags = hw_wqe_op(ctrl.opcode).flags;
	annotate_ctrl(out, wqe, &ctrl);
	if (flags & HW_OPF_RADDR) {
		memcpy(&raddr, wqe + at, sizeof(raddr));
		line(out, (struct field){wqe, at, 8, "raddr.va"},
		     "0x%" PRIx64 ", memory of the peer",
		     from_be64(raddr.raddr));
		line(out, (struct field){wqe, at + 8, 4, "raddr.rkey"},
		     "0x%08x", from_be32(raddr.rkey));
		at += sizeof(raddr);
	}
	if (flags & HW_OPF_ATOMIC) {
		line(out, (struct field){wqe, at, 12, "atomic"}, "%s",
		     "operands");
		at += 16;
	}
	annotate_data(out, wqe, at, ctrl.ds * HW_WQE_DS);
}

void annotate_record(FILE *out, uint32_t word)
{
	be32 raw = {word};

	line(out, (struct field){(const uint8_t *)&raw, 0, 4, "record[SND]"},
	     "producer index %u: the next free block", hw_dbrec_decode(raw));
}

void annotate_register(FILE *out, uint64_t word)
{
	struct hw_sq_doorbell raw;
	struct hw_sq_doorbell_info db;

	memcpy(&raw, &word, sizeof(raw));
	db = hw_sq_doorbell_decode(&raw);
	line(out, (struct field){(const uint8_t *)&raw, 0, 8, "register"},
	     "QP 0x%06x, producer index %u", db.qpn, db.producer_index);
}

void annotate_cqe(FILE *out, const uint8_t *cqe)
{
	struct hw_cqe_info info;
	struct hw_cqe raw;

	memcpy(&raw, cqe, sizeof(raw));
	info = hw_cqe_decode(&raw);
	line(out, (struct field){cqe, 44, 4, "byte_cnt"}, "%u", info.byte_cnt);
	if (hw_cqe_is_error(info.opcode)) {
		line(out, (struct field){cqe, 54, 1, "vendor_err_synd"},
		     "0x%02x", info.vendor_syndrome);
		line(out, (struct field){cqe, 55, 1, "syndrome"}, "%s",
		     hw_syndrome_name(info.syndrome));
	} else {
		line(out, (struct field){cqe, 48, 8, "timestamp"},
		     "%" PRIu64 " ns", info.timestamp);
	}
	line(out, (struct field){cqe, 56, 4, "sop_drop_qpn"},
	     "opcode 0x%02x, QP 0x%06x", info.wqe_opcode, info.qpn);
	line(out, (struct field){cqe, 60, 2, "wqe_counter"},
	     "%u: this WQE, and all before it", info.wqe_counter);
	line(out, (struct field){cqe, 63, 1, "op_own"}, "%s, owner %u",
	     info.opcode == HW_CQE_REQ ? "REQ (completed)" : "REQ_ERR (failed)",
	     info.owner);
}
