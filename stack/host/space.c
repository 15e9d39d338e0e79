/* SPDX-License-Identifier: MIT */
/*
 * First-fit allocation over a list of used blocks in ascending order. The
 * list is host memory, never heap memory, so a peer's stray write cannot
 * break it.
 *
 * Thread: the caller's; nothing is locked.
 */
#include "stack/host/space.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t align_up(uint64_t value)
{
	return (value + GDA_SPACE_ALIGN - 1) & ~(uint64_t)(GDA_SPACE_ALIGN - 1);
}

void gda_space_init(struct gda_space *space, uint64_t first, uint64_t end)
{
	space->used = NULL;
	space->first = align_up(first);
	space->end = end;
}

void gda_space_clear(struct gda_space *space)
{
	struct gda_block *block;

	while ((block = space->used)) {
		space->used = block->next;
		free(block);
	}
}

/* Where a block of len bytes fits; *at is the link to put it behind. */
static int find_hole(struct gda_space *space, uint64_t len,
		     struct gda_block ***at, uint64_t *offset)
{
	uint64_t from = space->first;
	struct gda_block **link = &space->used;

	for (; *link; link = &(*link)->next) {
		if ((*link)->offset >= from && (*link)->offset - from >= len)
			break;
		from = align_up((*link)->offset + (*link)->len);
	}
	if (from > space->end || space->end - from < len)
		return -ENOSPC;
	*at = link;
	*offset = from;
	return 0;
}

int gda_space_take(struct gda_space *space, uint64_t len, uint64_t *offset)
{
	struct gda_block *block;
	struct gda_block **link;
	int rc;

	if (!len)
		return -EINVAL;
	rc = find_hole(space, len, &link, offset);
	if (rc)
		return rc;
	block = malloc(sizeof(*block));
	if (!block)
		return -ENOMEM;
	block->offset = *offset;
	block->len = len;
	block->next = *link;
	*link = block;
	return 0;
}

static struct gda_block **find_block(struct gda_space *space, uint64_t offset)
{
	struct gda_block **link = &space->used;

	while (*link && (*link)->offset != offset)
		link = &(*link)->next;
	return link;
}

uint64_t gda_space_len(const struct gda_space *space, uint64_t offset)
{
	const struct gda_block *block = space->used;

	while (block && block->offset != offset)
		block = block->next;
	return block ? block->len : 0;
}

int gda_space_give(struct gda_space *space, uint64_t offset)
{
	struct gda_block **link = find_block(space, offset);
	struct gda_block *block = *link;

	if (!block)
		return -EINVAL;
	*link = block->next;
	free(block);
	return 0;
}
