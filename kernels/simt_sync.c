/* SPDX-License-Identifier: MIT */
/*
 * Where threads of a kernel wait for each other: barriers of a block, and
 * meetings of a warp's lanes. See simt.h.
 *
 * Who comes last does the work for all: it fills in every lane's result and
 * wakes the others, so nothing of a meeting is left when the next begins.
 *
 * Source of truth: CUDA C++ Programming Guide, "Synchronization Functions" and
 * "Warp Shuffle Functions"; PTX ISA, barrier, for named barriers.
 * Thread: the one that calls simt_wait.
 */
#include <errno.h>
#include <string.h>

#include "kernels/simt_internal.h"

/* ---------------------------------------------------------------- barriers */

static void open_barrier(struct block *block, uint32_t number)
{
	uint32_t i;

	memset(&block->barriers[number], 0, sizeof(struct barrier));
	for (i = 0; i < block->size; i++)
		if (block->threads[i].state == STATE_BARRIER &&
		    block->threads[i].barrier == number)
			simt_wake(&block->threads[i]);
}

/* Places are string literals, but the same one may have two addresses. */
static bool is_same_place(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static void check_barrier(struct thread *thread, uint32_t number,
			  uint32_t count, const char *where)
{
	struct block *block = thread->block;
	struct barrier *barrier = &block->barriers[number];
	struct simt *simt = block->grid->simt;

	if (barrier->arrived && barrier->expected != count)
		simt_fail(simt, -EPROTO, block,
			  "thread %u waits at barrier %u for %u threads (%s), "
			  "others for %u (%s)",
			  thread->id.rank, number, count, where,
			  barrier->expected, barrier->where);
	if (barrier->arrived && !is_same_place(barrier->where, where))
		simt_fail(simt, -EPROTO, block,
			  "thread %u waits at barrier %u at %s, others at %s",
			  thread->id.rank, number, where, barrier->where);
	if (count > block->size - block->done)
		simt_fail(simt, -EPROTO, block,
			  "thread %u waits at barrier %u at %s for %u threads, "
			  "but %u of %u have returned",
			  thread->id.rank, number, where, count, block->done,
			  block->size);
}

void simt_sync(uint32_t number, uint32_t count, const char *where)
{
	struct thread *thread = simt_running();
	struct block *block = thread->block;
	struct barrier *barrier;

	thread->where = where;
	if (!count)
		count = block->size;
	if (number >= SIMT_BARRIERS)
		simt_fail(block->grid->simt, -EPROTO, block,
			  "barrier %u at %s, expected below %d", number, where,
			  SIMT_BARRIERS);
	check_barrier(thread, number, count, where);
	barrier = &block->barriers[number];
	barrier->expected = count;
	barrier->where = where;
	if (++barrier->arrived == count) {
		open_barrier(block, number);
		simt_point();
		return;
	}
	thread->barrier = number;
	simt_rest(thread, STATE_BARRIER);
}

/* ---------------------------------------------------------------- meetings */

static const char *const names[] = {"sync", "shuffle", "ballot", "match"};

static uint64_t ballot(const struct thread *lanes, uint32_t mask,
		       const uint64_t *equal_to)
{
	uint64_t set = 0;
	uint32_t i;

	for (i = 0; i < SIMT_WARP; i++) {
		if (!(mask >> i & 1))
			continue;
		if (equal_to ? lanes[i].value == *equal_to
			     : lanes[i].value != 0)
			set |= 1u << i;
	}
	return set;
}

static uint64_t result_of(const struct thread *lanes, uint32_t lane,
			  const struct meet *meet)
{
	switch (meet->meeting) {
	case SIMT_SHFL:
		return lanes[lanes[lane].argument].value;
	case SIMT_BALLOT:
		return ballot(lanes, meet->mask, NULL);
	case SIMT_MATCH_ANY:
		return ballot(lanes, meet->mask, &lanes[lane].value);
	default:
		return 0;
	}
}

/* All are here. */
static void end_meeting(struct thread *lanes, struct meet *meet)
{
	uint32_t mask = meet->mask, i;

	for (i = 0; i < SIMT_WARP; i++)
		if (mask >> i & 1)
			lanes[i].result = result_of(lanes, i, meet);
	memset(meet, 0, sizeof(*meet));
	for (i = 0; i < SIMT_WARP; i++)
		if (mask >> i & 1)
			simt_wake(&lanes[i]);
}

static void check_call(struct thread *thread, const struct warp *warp,
		       const struct simt_meet_call *call, uint32_t mask)
{
	struct block *block = thread->block;
	struct simt *simt = block->grid->simt;
	uint32_t lane = thread->id.rank % SIMT_WARP;

	if (!(mask >> lane & 1))
		simt_fail(simt, -EPROTO, block,
			  "thread %u calls %s at %s with mask 0x%x, in which "
			  "its own lane %u is not",
			  thread->id.rank, names[call->meeting], call->where,
			  call->mask, lane);
	if (mask & warp->done)
		simt_fail(simt, -EPROTO, block,
			  "thread %u calls %s at %s with mask 0x%x, but lanes "
			  "0x%x have returned",
			  thread->id.rank, names[call->meeting], call->where,
			  call->mask, mask & warp->done);
	if (call->meeting == SIMT_SHFL &&
	    (call->argument >= SIMT_WARP || !(mask >> call->argument & 1)))
		simt_fail(simt, -EPROTO, block,
			  "thread %u reads lane %u at %s, which is not in mask "
			  "0x%x",
			  thread->id.rank, call->argument, call->where,
			  call->mask);
}

/* The one of this mask that goes on, or a free place. */
static struct meet *find_meet(struct warp *warp, uint32_t mask)
{
	struct meet *meet = NULL;
	uint32_t i;

	for (i = 0; i < SIMT_WARP; i++) {
		if (warp->meets[i].mask == mask)
			return &warp->meets[i];
		if (!warp->meets[i].mask && !meet)
			meet = &warp->meets[i];
	}
	return meet; /* a lane waits at one meeting, so there is room */
}

uint64_t simt_meet(const struct simt_meet_call *call)
{
	struct thread *thread = simt_running();
	struct block *block = thread->block;
	uint32_t lane = thread->id.rank % SIMT_WARP;
	struct thread *lanes = &block->threads[thread->id.rank - lane];
	struct warp *warp = &block->warps[thread->id.rank / SIMT_WARP];
	/* Lanes that never were are excused, as in hardware. */
	uint32_t mask = call->mask & warp->lanes;
	struct meet *meet = find_meet(warp, mask);

	thread->where = call->where;
	check_call(thread, warp, call, mask);
	if (meet->mask && meet->meeting != call->meeting)
		simt_fail(block->grid->simt, -EPROTO, block,
			  "thread %u calls %s at %s, others of its warp %s at "
			  "%s",
			  thread->id.rank, names[call->meeting], call->where,
			  names[meet->meeting], meet->where);
	meet->mask = mask;
	meet->meeting = call->meeting;
	meet->where = call->where;
	meet->arrived |= 1u << lane;
	thread->value = call->value;
	thread->argument = call->argument;
	thread->mask = mask;
	if (meet->arrived == mask) {
		end_meeting(lanes, meet);
		simt_point();
	} else {
		simt_rest(thread, STATE_MEETS);
	}
	return thread->result;
}

/* ------------------------------------------------------------------ leaving */

void simt_check_left(struct thread *thread)
{
	struct block *block = thread->block;
	struct simt *simt = block->grid->simt;
	struct warp *warp = &block->warps[thread->id.rank / SIMT_WARP];
	uint32_t lane = thread->id.rank % SIMT_WARP, i;

	warp->done |= 1u << lane;
	for (i = 0; i < SIMT_WARP; i++)
		if (warp->meets[i].mask >> lane & 1)
			simt_fail(simt, -EPROTO, block,
				  "thread %u has returned, but lanes of its "
				  "warp wait for it at %s",
				  thread->id.rank, warp->meets[i].where);
	for (i = 0; i < SIMT_BARRIERS; i++)
		if (block->barriers[i].arrived &&
		    block->barriers[i].expected > block->size - block->done)
			simt_fail(simt, -EPROTO, block,
				  "thread %u has returned, but barrier %u at "
				  "%s waits for %u of %u threads",
				  thread->id.rank, i, block->barriers[i].where,
				  block->barriers[i].expected, block->size);
}
