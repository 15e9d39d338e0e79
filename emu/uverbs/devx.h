/* SPDX-License-Identifier: MIT */
/*
 * DEVX: objects that were made by a mailbox of the program.
 */
#ifndef EMU_UVERBS_DEVX_H
#define EMU_UVERBS_DEVX_H

#include "emu/uverbs/call.h"

/* What a command is about, and what it does. */
enum uv_devx_flags {
	UV_DEVX_MKEY = 1 << 0,
	UV_DEVX_CQ = 1 << 1,
	UV_DEVX_QP = 1 << 2,
	UV_DEVX_RMP = 1 << 3,
	UV_DEVX_XSRQ = 1 << 4,
	UV_DEVX_PD = 1 << 5,
	UV_DEVX_XRCD = 1 << 6,
	UV_DEVX_KINDS = (1 << 8) - 1,
	UV_DEVX_MODIFY = 1 << 8,
	UV_DEVX_QUERY = 1 << 9,
	UV_DEVX_GENERAL = 1 << 10, /* about no object */
};

struct uv_devx_command {
	uint16_t opcode;
	uint16_t destroy; /* what undoes it; 0: it makes nothing */
	uint32_t flags;	  /* enum uv_devx_flags */
};

struct uv_devx_mailbox {
	uint8_t *in;
	size_t len;
};

struct uv_devx_obj {
	struct uv_object object;
	const struct uv_devx_command *command;
	uint32_t number;
};

struct uv_devx_id {
	uint32_t kind; /* of UV_DEVX_KINDS */
	uint32_t number;
};

/* The device's name for an object of verbs or DEVX; false: it has none. */
bool uv_devx_identify(const struct uv_object *object, struct uv_devx_id *id);

/* method_devx_event.c: its subscriptions end. */
void uv_devx_forget(const struct uv_devx_obj *obj);

#endif
