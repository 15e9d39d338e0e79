/* SPDX-License-Identifier: MIT */
/*
 * Command execution: what the handlers share.
 *
 * A handler checks every field with the macros below, in mailbox order, and
 * changes nothing until all checks have passed. The macros name the field by
 * its hw/cmd_*.h macro, so the log reads like the datasheet:
 *
 *   INIT2RTR_QP: QPC_MTU (mailbox 0x20[31:29]) holds 7, expected 1 to 5
 */
#ifndef EMU_CMD_H
#define EMU_CMD_H

#include "emu/core.h"

enum {
	/* The part of a mailbox that any command looks at; what is behind it
	 * must be zero. */
	CMD_IN_BYTES = 0x110,
	CMD_OUT_BYTES = 0x1010,
};

struct cmd {
	struct nic *nic;
	const char *name;
	uint8_t in[CMD_IN_BYTES]; /* a copy: the client may change its own */
	const uint8_t *tail; /* what is behind it, the client's: read once */
	size_t tail_len;
	uint8_t *out; /* zeroed, status OK */
	size_t out_len;
};

/* Refuse: returns false, so that a check can be `return cmd_refuse(...)`. */
bool cmd_refuse(struct cmd *cmd, enum hw_cmd_status status, uint32_t offset,
		const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Refuse because of a field: base is where its context starts. */
bool cmd_refuse_field(struct cmd *cmd, uint32_t base, struct hw_field field,
		      const char *name, const char *expected);
bool cmd_refuse_field64(struct cmd *cmd, uint32_t base, struct hw_field64 field,
			const char *name, const char *expected);

/* In a function returning bool: refuse unless ok. NAME without "HW_". */
#define CMD_CHECK(cmd, base, FIELD, ok, expected)                              \
	do {                                                                   \
		if (!(ok))                                                     \
			return cmd_refuse_field(cmd, base, HW_##FIELD, #FIELD, \
						expected);                     \
	} while (0)

#define CMD_CHECK64(cmd, base, FIELD, ok, expected)                            \
	do {                                                                   \
		if (!(ok))                                                     \
			return cmd_refuse_field64(cmd, base, HW_##FIELD,       \
						  #FIELD, expected);           \
	} while (0)

static inline uint32_t cmd_get(const struct cmd *cmd, uint32_t base,
			       struct hw_field field)
{
	return hw_get(cmd->in + base, field);
}

static inline uint64_t cmd_get64(const struct cmd *cmd, uint32_t base,
				 struct hw_field64 field)
{
	return hw_get64(cmd->in + base, field);
}

/* The command takes nothing behind its CMD_IN_BYTES: refuse what is there. */
bool cmd_no_tail(struct cmd *cmd);

/* The answer to a CREATE command. */
static inline void cmd_set_number(struct cmd *cmd, uint32_t number)
{
	hw_set(cmd->out, HW_CMD_OUT_NUMBER, number);
}

/* From -ENOMEM or -ENOSPC of a table; returns false. */
bool cmd_no_resources(struct cmd *cmd, const char *what);

/* Does the PD exist? */
bool cmd_pd_exists(struct nic *nic, uint32_t pd);

/* Does the XRC domain? */
bool cmd_xrcd_exists(struct nic *nic, uint32_t xrcd);

/*
 * A piece of a umem that a mailbox names: [offset, +len) must lie inside.
 * Returns its umem, or NULL after refusing.
 */
struct cmd_umem_use {
	uint32_t id;
	uint32_t id_offset; /* of the id field in the mailbox */
	uint64_t offset, len;
	uint32_t align;
	const char *what; /* "the work queue" */
};

struct nic_umem *cmd_umem(struct cmd *cmd, const struct cmd_umem_use *use);

/* Handlers; false: refused. */
bool cmd_query_hca_cap(struct cmd *cmd);
bool cmd_query_roce_address(struct cmd *cmd);
bool cmd_query_hca_vport_context(struct cmd *cmd);
bool cmd_query_lag(struct cmd *cmd);
bool cmd_create_mkey(struct cmd *cmd);
bool cmd_query_mkey(struct cmd *cmd);
bool cmd_destroy_mkey(struct cmd *cmd);
bool cmd_query_special_contexts(struct cmd *cmd);
bool cmd_create_cq(struct cmd *cmd);
bool cmd_query_cq(struct cmd *cmd);
bool cmd_modify_cq(struct cmd *cmd);
bool cmd_destroy_cq(struct cmd *cmd);
bool cmd_create_qp(struct cmd *cmd);
bool cmd_query_qp(struct cmd *cmd);
bool cmd_destroy_qp(struct cmd *cmd);
bool cmd_rst2init(struct cmd *cmd);
bool cmd_init2init(struct cmd *cmd);
bool cmd_init2rtr(struct cmd *cmd);
bool cmd_rtr2rts(struct cmd *cmd);
bool cmd_rts2rts(struct cmd *cmd);
bool cmd_sqerr2rts(struct cmd *cmd);
bool cmd_2err(struct cmd *cmd);
bool cmd_2rst(struct cmd *cmd);
bool cmd_create_rmp(struct cmd *cmd);
bool cmd_query_rmp(struct cmd *cmd);
bool cmd_destroy_rmp(struct cmd *cmd);
bool cmd_modify_rmp(struct cmd *cmd);
bool cmd_create_xrc_srq(struct cmd *cmd);
bool cmd_query_xrc_srq(struct cmd *cmd);
bool cmd_arm_xrc_srq(struct cmd *cmd);
bool cmd_destroy_xrc_srq(struct cmd *cmd);
bool cmd_alloc_xrcd(struct cmd *cmd);
bool cmd_dealloc_xrcd(struct cmd *cmd);

#endif
