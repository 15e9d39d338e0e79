/* SPDX-License-Identifier: MIT */
/*
 * What a failed run says: a sentence, and where its threads are, neighbours
 * that wait for the same thing together.
 *
 * Thread: the one that calls simt_wait.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kernels/simt_internal.h"

static void add(struct simt *simt, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void add(struct simt *simt, const char *format, ...)
{
	size_t len = strlen(simt->error);
	va_list args;

	va_start(args, format);
	vsnprintf(simt->error + len, sizeof(simt->error) - len, format, args);
	va_end(args);
}

static void describe(const struct thread *thread, char *buf, size_t size)
{
	const char *where = thread->where ? thread->where : "its start";

	switch (thread->state) {
	case STATE_READY:
		snprintf(buf, size, "can run, last seen at %s", where);
		return;
	case STATE_POLLS:
		snprintf(buf, size, "polls, last seen at %s", where);
		return;
	case STATE_BARRIER:
		snprintf(buf, size, "at barrier %u, %s (%u of %u are there)",
			 thread->barrier, where,
			 thread->block->barriers[thread->barrier].arrived,
			 thread->block->barriers[thread->barrier].expected);
		return;
	case STATE_MEETS:
		snprintf(buf, size, "for lanes 0x%x at %s", thread->mask,
			 where);
		return;
	default:
		snprintf(buf, size, "has returned");
	}
}

static void add_block(struct simt *simt, const struct block *block)
{
	char text[256], next[256];
	uint32_t first = 0, i;

	add(simt, "\n  %s block %u:", block->grid->name,
	    block->threads[0].id.block_rank);
	describe(&block->threads[0], text, sizeof(text));
	for (i = 1; i <= block->size; i++) {
		if (i < block->size)
			describe(&block->threads[i], next, sizeof(next));
		if (i < block->size && !strcmp(text, next))
			continue;
		if (first == i - 1)
			add(simt, "\n    thread %u: %s", first, text);
		else
			add(simt, "\n    threads %u to %u: %s", first, i - 1,
			    text);
		first = i;
		memcpy(text, next, sizeof(text));
	}
}

static void add_grids(struct simt *simt)
{
	const struct simt_grid *grid;
	const struct block *block;

	for (grid = simt->grids; grid; grid = grid->next)
		for (block = grid->running; block; block = block->next)
			add_block(simt, block);
}

void simt_fail(struct simt *simt, int rc, struct block *block,
	       const char *format, ...)
{
	va_list args;

	simt->rc = rc;
	va_start(args, format);
	vsnprintf(simt->error, sizeof(simt->error), format, args);
	va_end(args);
	if (block)
		add_block(simt, block);
	else
		add_grids(simt);
	add(simt, "\n  seed %llu, turn %llu",
	    (unsigned long long)simt->config.seed,
	    (unsigned long long)simt->turns);
	/* Nobody switches to a thread of a run that has failed. */
	if (simt->running)
		simt_fiber_leave(&simt->running->fiber, &simt->scheduler);
}
