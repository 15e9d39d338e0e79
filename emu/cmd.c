/* SPDX-License-Identifier: MIT */
/*
 * Firmware commands: one table, one way in.
 *
 * Source: rdma-core mlx5_ifc.h; the mailbox fields are in hw/cmd_*.h.
 * Not modelled: commands that are not in the table answer BAD_OP, as on a
 * device without them (docs/deviations.md).
 * Thread: under the NIC's lock.
 */
#include "emu/cmd.h"

#include <stdio.h>
#include <stdlib.h>

static bool cmd_alloc_pd(struct cmd *cmd)
{
	static char exists; /* a PD has no state, only a number */
	uint32_t pd;

	if (nic_table_add(&cmd->nic->pds, &exists, &pd))
		return cmd_no_resources(cmd, "protection domains");
	cmd_set_number(cmd, pd);
	return true;
}

static bool pd_in_use(struct nic *nic, uint32_t pd)
{
	struct nic_mkey *key;
	struct nic_rmp *rmp;
	struct nic_qp *qp;
	uint32_t i;

	for (i = 0; (key = nic_table_walk(&nic->mkeys, &i));)
		if (key->pd == pd)
			return true;
	for (i = 0; (qp = nic_table_walk(&nic->qps, &i));)
		if (qp->pd == pd)
			return true;
	for (i = 0; (rmp = nic_table_walk(&nic->rmps, &i));)
		if (rmp->pd == pd)
			return true;
	return false;
}

static bool cmd_dealloc_pd(struct cmd *cmd)
{
	uint32_t pd = cmd_get(cmd, 0, HW_CMD_IN_NUMBER);

	if (!cmd_pd_exists(cmd->nic, pd))
		return cmd_refuse(cmd, HW_CMD_BAD_RES, 0x08,
				  "PD 0x%x does not exist", pd);
	if (pd_in_use(cmd->nic, pd))
		return cmd_refuse(cmd, HW_CMD_RES_BUSY, 0x08,
				  "PD 0x%x still has keys or queues", pd);
	nic_table_remove(&cmd->nic->pds, pd);
	return true;
}

/* in_min: the last byte that the handler reads; out_min: that it writes. */
static const struct {
	uint16_t opcode;
	uint16_t in_min, out_min;
	const char *name;
	bool (*handler)(struct cmd *cmd);
} commands[] = {
#define C(name, in_min, out_min, handler)                                      \
	{                                                                      \
		HW_CMD_##name, in_min, out_min, #name, handler                 \
	}
	C(QUERY_HCA_CAP, 0x10, 0x10, cmd_query_hca_cap),
	C(CREATE_MKEY, 0x70, 0x10, cmd_create_mkey),
	C(QUERY_MKEY, 0x10, 0x50, cmd_query_mkey),
	C(DESTROY_MKEY, 0x10, 0x10, cmd_destroy_mkey),
	C(QUERY_SPECIAL_CONTEXTS, 0x10, 0x20, cmd_query_special_contexts),
	C(CREATE_CQ, 0x60, 0x10, cmd_create_cq),
	C(DESTROY_CQ, 0x10, 0x10, cmd_destroy_cq),
	C(QUERY_CQ, 0x10, 0x50, cmd_query_cq),
	C(MODIFY_CQ, 0x60, 0x10, cmd_modify_cq),
	C(CREATE_QP, 0x110, 0x10, cmd_create_qp),
	C(DESTROY_QP, 0x10, 0x10, cmd_destroy_qp),
	C(RST2INIT_QP, 0x100, 0x10, cmd_rst2init),
	C(INIT2RTR_QP, 0x100, 0x10, cmd_init2rtr),
	C(RTR2RTS_QP, 0x100, 0x10, cmd_rtr2rts),
	C(RTS2RTS_QP, 0x100, 0x10, cmd_rts2rts),
	C(SQERR2RTS_QP, 0x100, 0x10, cmd_sqerr2rts),
	C(2ERR_QP, 0x10, 0x10, cmd_2err),
	C(2RST_QP, 0x10, 0x10, cmd_2rst),
	C(QUERY_QP, 0x10, 0x100, cmd_query_qp),
	C(INIT2INIT_QP, 0x100, 0x10, cmd_init2init),
	C(CREATE_XRC_SRQ, 0x60, 0x10, cmd_create_xrc_srq),
	C(DESTROY_XRC_SRQ, 0x10, 0x10, cmd_destroy_xrc_srq),
	C(QUERY_XRC_SRQ, 0x10, 0x50, cmd_query_xrc_srq),
	C(ARM_XRC_SRQ, 0x10, 0x10, cmd_arm_xrc_srq),
	C(QUERY_ROCE_ADDRESS, 0x10, 0x30, cmd_query_roce_address),
	C(QUERY_HCA_VPORT_CONTEXT, 0x10, 0x78, cmd_query_hca_vport_context),
	C(ALLOC_PD, 0x10, 0x10, cmd_alloc_pd),
	C(DEALLOC_PD, 0x10, 0x10, cmd_dealloc_pd),
	C(ALLOC_XRCD, 0x10, 0x10, cmd_alloc_xrcd),
	C(DEALLOC_XRCD, 0x10, 0x10, cmd_dealloc_xrcd),
	C(QUERY_LAG, 0x10, 0x10, cmd_query_lag),
	C(CREATE_RMP, 0x110, 0x10, cmd_create_rmp),
	C(MODIFY_RMP, 0x110, 0x10, cmd_modify_rmp),
	C(DESTROY_RMP, 0x10, 0x10, cmd_destroy_rmp),
	C(QUERY_RMP, 0x10, 0x110, cmd_query_rmp),
#undef C
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

bool cmd_refuse(struct cmd *cmd, enum hw_cmd_status status, uint32_t offset,
		const char *fmt, ...)
{
	uint32_t opcode = cmd_get(cmd, 0, HW_CMD_IN_OPCODE);
	char text[384];
	va_list args;

	memset(cmd->out, 0, cmd->out_len);
	hw_set(cmd->out, HW_CMD_OUT_STATUS, status);
	hw_set(cmd->out, HW_CMD_OUT_SYNDROME, opcode << 16 | (offset & 0xffff));
	cmd->nic->counters.commands_refused++;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	nic_log(cmd->nic, NIC_LOG_ERROR, "%s: %s (status %s)", cmd->name, text,
		hw_cmd_status_name((uint8_t)status));
	return false;
}

bool cmd_refuse_field(struct cmd *cmd, uint32_t base, struct hw_field field,
		      const char *name, const char *expected)
{
	uint32_t value = cmd_get(cmd, base, field);

	return cmd_refuse(cmd, HW_CMD_BAD_PARAM, base + field.offset,
			  "%s (mailbox 0x%02x[%u:%u]) holds %u (0x%x), "
			  "expected %s",
			  name, base + field.offset, field.hi, field.lo, value,
			  value, expected);
}

bool cmd_refuse_field64(struct cmd *cmd, uint32_t base, struct hw_field64 field,
			const char *name, const char *expected)
{
	return cmd_refuse(cmd, HW_CMD_BAD_PARAM, base + field.offset,
			  "%s (mailbox 0x%02x, 8 bytes) holds 0x%llx, expected "
			  "%s",
			  name, base + field.offset,
			  (unsigned long long)cmd_get64(cmd, base, field),
			  expected);
}

bool cmd_no_resources(struct cmd *cmd, const char *what)
{
	return cmd_refuse(cmd, HW_CMD_NO_RES, 0xffff,
			  "no more %s: the device limit, or out of memory",
			  what);
}

bool cmd_pd_exists(struct nic *nic, uint32_t pd)
{
	return nic_table_get(&nic->pds, pd) != NULL;
}

struct nic_umem *cmd_umem(struct cmd *cmd, const struct cmd_umem_use *use)
{
	struct nic_umem *umem = nic_umem_get(cmd->nic, use->id);

	if (!umem) {
		cmd_refuse(cmd, HW_CMD_BAD_RES, use->id_offset,
			   "%s: umem id %u does not exist (page lists are not "
			   "supported, only umems)",
			   use->what, use->id);
		return NULL;
	}
	if (use->offset > umem->mem.len ||
	    use->len > umem->mem.len - use->offset) {
		cmd_refuse(cmd, HW_CMD_BAD_PARAM, use->id_offset,
			   "%s: %llu bytes at offset %llu do not fit umem %u "
			   "of %llu bytes",
			   use->what, (unsigned long long)use->len,
			   (unsigned long long)use->offset, use->id,
			   (unsigned long long)umem->mem.len);
		return NULL;
	}
	if (((uintptr_t)umem->mem.addr + use->offset) % use->align) {
		cmd_refuse(cmd, HW_CMD_BAD_PARAM, use->id_offset,
			   "%s: address %p is not a multiple of %u", use->what,
			   (void *)((uint8_t *)umem->mem.addr + use->offset),
			   use->align);
		return NULL;
	}
	return umem;
}

/* ------------------------------------------------------------- dispatch */

static bool all_zero(const uint8_t *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (bytes[i])
			return false;
	return true;
}

static int find(uint32_t opcode)
{
	int i;

	for (i = 0; i < COMMANDS; i++)
		if (commands[i].opcode == opcode)
			return i;
	return -1;
}

static bool too_long(struct cmd *cmd, size_t in_len, size_t in_max)
{
	return cmd_refuse(cmd, HW_CMD_BAD_INP_LEN, (uint32_t)in_max,
			  "the input mailbox has %zu bytes and data beyond "
			  "0x%zx",
			  in_len, in_max);
}

bool cmd_no_tail(struct cmd *cmd)
{
	return all_zero(cmd->tail, cmd->tail_len) ||
	       too_long(cmd, CMD_IN_BYTES + cmd->tail_len, CMD_IN_BYTES);
}

/* Lengths are right, or refused. */
static bool check_lengths(struct cmd *cmd, int i, const uint8_t *in,
			  size_t in_len)
{
	/* What needs no more than a header has nothing behind it. */
	size_t in_max = commands[i].in_min == HW_CMD_HDR_BYTES
				? HW_CMD_HDR_BYTES
				: CMD_IN_BYTES;

	if (in_len < commands[i].in_min)
		return cmd_refuse(cmd, HW_CMD_BAD_INP_LEN, 0xffff,
				  "the input mailbox has %zu bytes, expected "
				  "%u or more",
				  in_len, commands[i].in_min);
	/* The handler of this one looks at its tail. */
	if (commands[i].opcode == HW_CMD_CREATE_MKEY)
		in_max = in_len;
	if (in_len > in_max && !all_zero(in + in_max, in_len - in_max))
		return too_long(cmd, in_len, in_max);
	if (cmd->out_len < commands[i].out_min)
		return cmd_refuse(cmd, HW_CMD_BAD_OUTP_LEN, 0xffff,
				  "the output mailbox has %zu bytes, expected "
				  "%u or more",
				  cmd->out_len, commands[i].out_min);
	return true;
}

void nic_cmd_locked(struct nic *nic, const uint8_t *in, size_t in_len,
		    uint8_t *out, size_t out_len)
{
	struct cmd cmd = {
		.nic = nic, .name = "command", .out = out, .out_len = out_len};
	int i;

	memset(out, 0, out_len);
	memcpy(cmd.in, in, in_len < CMD_IN_BYTES ? in_len : CMD_IN_BYTES);
	if (in_len > CMD_IN_BYTES) {
		cmd.tail = in + CMD_IN_BYTES;
		cmd.tail_len = in_len - CMD_IN_BYTES;
	}
	nic->counters.commands++;
	if (in_len < HW_CMD_HDR_BYTES) {
		cmd_refuse(&cmd, HW_CMD_BAD_INP_LEN, 0xffff,
			   "the input mailbox has %zu bytes, expected 16 or "
			   "more",
			   in_len);
		return;
	}
	i = find(cmd_get(&cmd, 0, HW_CMD_IN_OPCODE));
	if (i < 0) {
		cmd_refuse(&cmd, HW_CMD_BAD_OP, 0,
			   "opcode 0x%03x is not a command of this device",
			   cmd_get(&cmd, 0, HW_CMD_IN_OPCODE));
		return;
	}
	cmd.name = commands[i].name;
	if (check_lengths(&cmd, i, in, in_len))
		commands[i].handler(&cmd);
}
