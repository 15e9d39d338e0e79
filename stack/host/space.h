/* SPDX-License-Identifier: MIT */
/*
 * First-fit allocation of offsets: the symmetric heap's map. Equal calls in
 * equal order give equal offsets on every PE.
 *
 * Thread: the caller's; nothing is locked.
 */
#ifndef GDA_HOST_SPACE_H
#define GDA_HOST_SPACE_H

#include <stddef.h>
#include <stdint.h>

enum { GDA_SPACE_ALIGN = 128 };

struct gda_block {
	struct gda_block *next;
	uint64_t offset;
	uint64_t len;
};

struct gda_space {
	struct gda_block *used; /* ascending */
	uint64_t first;		/* offset of the first usable byte */
	uint64_t end;
};

void gda_space_init(struct gda_space *space, uint64_t first, uint64_t end);
void gda_space_clear(struct gda_space *space);

/* Returns 0 and *offset; -EINVAL for len 0; -ENOSPC; -ENOMEM. */
int gda_space_take(struct gda_space *space, uint64_t len, uint64_t *offset);

/* Length of the block that begins at offset; 0: none does. */
uint64_t gda_space_len(const struct gda_space *space, uint64_t offset);

/* Returns 0, or -EINVAL if no block begins at offset. */
int gda_space_give(struct gda_space *space, uint64_t offset);

#endif
