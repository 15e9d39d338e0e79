/* SPDX-License-Identifier: MIT */
/*
 * The emulated backend with a recorder in front: it keeps every mailbox, and
 * fails or refuses the call that it is told to.
 *
 * One at a time, used by one thread.
 */
#ifndef T_BACKEND_H
#define T_BACKEND_H

#include "stack/backend.h"

enum { T_BACKEND_BOXES = 64, T_BACKEND_BOX_BYTES = 0x110 };

struct t_backend_box {
	uint16_t opcode;
	size_t in_len;
	uint8_t in[T_BACKEND_BOX_BYTES];
};

struct t_backend_state {
	int calls;	  /* that may fail, so far */
	int fail_at;	  /* this one does, counted from 1; 0: none */
	int refuse_at;	  /* this mailbox gets a bad status, from 1; 0: none */
	uint16_t refused; /* its opcode */
	int box_count;
	struct t_backend_box boxes[T_BACKEND_BOXES];
	/* Changes the answer to QUERY_HCA_CAP; may be NULL. */
	void (*edit_cap)(uint32_t type, uint8_t *page);
	int open_objects; /* made and not yet destroyed, of any kind */
};

extern struct t_backend_state t_backend_state;
extern const struct gda_backend_ops t_backend;

/* Forget everything. */
void t_backend_reset(void);

/* The nth mailbox with the opcode, from 0; NULL: there is none. */
const struct t_backend_box *t_backend_find(uint16_t opcode, int nth);

#endif
