/* SPDX-License-Identifier: MIT */
/*
 * The SIMT runner: launches and the scheduler. See simt.h.
 *
 * A turn: draw one of the ready threads and let it run until it waits. When
 * none is ready, a round is over: the NICs move, time passes, and all who
 * poll look again. Nobody ready and nobody polling is a deadlock.
 *
 * Source of truth for the generator: Steele, Lea, Flood, "splitmix64" (2014).
 * Thread: the one that calls simt_wait.
 */
#include "kernels/simt.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/simt_internal.h"

enum {
	TURNS_MAX = 200 * 1000 * 1000,
	ROUND_NS = 1000,
#ifdef SIMT_ASAN
	STACK_BYTES = 256 << 10, /* redzones make frames large */
#else
	STACK_BYTES = 64 << 10,
#endif
	STACK_BYTES_MIN = 16 << 10,
};

/* The runner whose scheduler this CPU thread is in. */
static _Thread_local struct simt *current;

/* --------------------------------------------------------- random numbers */

static uint64_t draw(struct simt *simt)
{
	uint64_t z = simt->random += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint32_t simt_below(struct simt *simt, uint32_t n)
{
	return (uint32_t)((draw(simt) >> 32) * n >> 32);
}

bool simt_chance(struct simt *simt, uint32_t of_256)
{
	return of_256 && simt_below(simt, 256) < of_256;
}

/* Some bugs need threads that change places often, others need patience. */
static void choose_manners(struct simt *simt)
{
	static const uint32_t yields[] = {0, 2, 16, 96};
	static const uint32_t steps[] = {8, 64, 200};
	static const uint32_t stays[] = {0, 64, 160};

	simt->random = simt->config.seed * 0x2545f4914f6cdd1dull + 1;
	simt->yield_chance = yields[simt_below(simt, 4)];
	simt->step_chance = steps[simt_below(simt, 3)];
	simt->stay_chance = stays[simt_below(simt, 3)];
}

/* ------------------------------------------------------------------- bags */

/* There is room: see simt_start_block. */
void simt_bag_put(struct bag *bag, struct thread *thread)
{
	assert(bag->count < bag->room);
	bag->threads[bag->count++] = thread;
}

static struct thread *bag_take(struct simt *simt, struct bag *bag)
{
	uint32_t i = simt_below(simt, bag->count);
	struct thread *thread = bag->threads[i];

	bag->threads[i] = bag->threads[--bag->count];
	return thread;
}

/* ------------------------------------------------------------------ grids */

/* Room for blocks that may start: of the first grid of each stream. */
static int start_blocks(struct simt *simt)
{
	struct simt_grid *grid, *other;
	uint32_t limit = simt->config.resident_blocks;
	int rc = 0;

	for (grid = simt->grids; grid; grid = grid->next) {
		for (other = simt->grids; other != grid; other = other->next)
			if (other->stream == grid->stream)
				break;
		if (other != grid)
			continue;
		while (!rc && grid->started < grid->block_count &&
		       (!limit || grid->started - grid->ended < limit))
			rc = simt_start_block(grid);
	}
	return rc;
}

/* Take out blocks and grids that have ended. Returns whether one has. */
static bool reap(struct simt *simt, struct block *block)
{
	struct simt_grid *grid = block->grid, **grid_at = &simt->grids;
	struct block **at = &grid->running;

	if (block->done < block->size)
		return false;
	while (*at != block)
		at = &(*at)->next;
	*at = block->next;
	simt_free_block(block);
	if (++grid->ended < grid->block_count)
		return true;
	while (*grid_at != grid)
		grid_at = &(*grid_at)->next;
	*grid_at = grid->next;
	simt_free_grid(grid);
	return true;
}

static bool is_too_large(const struct simt_dim *dim, uint64_t max)
{
	return (uint64_t)dim->x * dim->y > max ||
	       (uint64_t)dim->x * dim->y * dim->z > max;
}

/* What is not said counts as 1. */
static void complete(struct simt_dim *dim)
{
	dim->y += !dim->y;
	dim->z += !dim->z;
}

int simt_launch(struct simt *simt, const struct simt_launch *launch,
		uint64_t *number)
{
	struct simt_grid **at = &simt->grids,
			 *grid = simt_make_grid(simt, launch);

	if (simt->rc)
		goto out_free;
	if (!grid)
		return -ENOMEM;
	complete(&grid->blocks);
	complete(&grid->threads);
	if (!grid->blocks.x || !grid->threads.x ||
	    is_too_large(&grid->threads, SIMT_THREADS_MAX) ||
	    is_too_large(&grid->blocks, UINT32_MAX)) {
		simt_fail(simt, -EINVAL, NULL,
			  "kernel %s: a grid of %u x %u x %u blocks of "
			  "%u x %u x %u threads, expected 1 to %d threads",
			  launch->name, grid->blocks.x, grid->blocks.y,
			  grid->blocks.z, grid->threads.x, grid->threads.y,
			  grid->threads.z, SIMT_THREADS_MAX);
		simt->rc = 0;
		simt_free_grid(grid);
		return -EINVAL;
	}
	grid->block_count = grid->blocks.x * grid->blocks.y * grid->blocks.z;
	grid->block_size = grid->threads.x * grid->threads.y * grid->threads.z;
	grid->number = ++simt->launched;
	while (*at)
		at = &(*at)->next;
	*at = grid;
	if (number)
		*number = grid->number;
	return 0;

out_free:
	if (grid)
		simt_free_grid(grid);
	return simt->rc;
}

/* -------------------------------------------------------------- scheduler */

struct thread *simt_running(void)
{
	assert(current && current->running);
	return current->running;
}

void simt_rest(struct thread *thread, enum state state)
{
	struct simt *simt = thread->block->grid->simt;

	thread->state = state;
	if (state == STATE_READY)
		simt_bag_put(&simt->ready, thread);
	else if (state == STATE_POLLS)
		simt_bag_put(&simt->polling, thread);
	simt_fiber_switch(&thread->fiber, &simt->scheduler);
}

void simt_wake(struct thread *thread)
{
	if (thread->state == STATE_READY)
		return; /* the one that runs */
	thread->state = STATE_READY;
	simt_bag_put(&thread->block->grid->simt->ready, thread);
}

/* Everybody who polls has looked once: let the world move. */
static void end_round(struct simt *simt)
{
	struct bag swap = simt->ready;
	struct thread *any;
	uint32_t i;

	simt->now_ns += simt->config.round_ns;
	any = simt->polling.threads[simt_below(simt, simt->polling.count)];
	if (any->hook)
		any->hook(any->hook_arg);
	simt->ready = simt->polling;
	simt->polling = swap;
	for (i = 0; i < simt->ready.count; i++)
		simt->ready.threads[i]->state = STATE_READY;
}

/* One turn. Returns 1, or 0 if nothing is left to run, or the failure. */
static int turn(struct simt *simt)
{
	struct thread *thread;

	if (!simt->ready.count && simt->polling.count)
		end_round(simt);
	if (!simt->ready.count) {
		if (simt->grids)
			simt_fail(simt, -EDEADLK, NULL,
				  "deadlock: no thread can go on");
		return simt->rc;
	}
	thread = bag_take(simt, &simt->ready);
	simt->turns++;
	simt->running = thread;
	simt_fiber_switch(&simt->scheduler, &thread->fiber);
	simt->running = NULL;
	if (simt->rc)
		return simt->rc;
	if (thread->state == STATE_DONE && reap(simt, thread->block) &&
	    start_blocks(simt)) {
		simt_fail(simt, -ENOMEM, NULL, "a block: no memory");
		return simt->rc;
	}
	return 1;
}

static bool is_left(const struct simt *simt, uint64_t number)
{
	const struct simt_grid *grid;

	for (grid = simt->grids; grid; grid = grid->next)
		if (!number || grid->number == number)
			return true;
	return false;
}

static bool is_stream_left(const struct simt *simt, uint64_t stream)
{
	const struct simt_grid *grid;

	for (grid = simt->grids; grid; grid = grid->next)
		if (grid->stream == stream)
			return true;
	return false;
}

/* Run while something is left, for a number of turns at most. */
static int run(struct simt *simt,
	       bool (*left)(const struct simt *simt, uint64_t what),
	       uint64_t what, uint64_t turns)
{
	struct simt *outer = current;
	int rc = 1;

	assert(!simt->running);
	current = simt;
	if (!simt->rc && start_blocks(simt))
		simt_fail(simt, -ENOMEM, NULL, "a block: no memory");
	while (!simt->rc && rc > 0 && turns-- && left(simt, what))
		rc = turn(simt);
	current = outer;
	return simt->rc ? simt->rc : left(simt, what);
}

static int run_to_end(struct simt *simt,
		      bool (*left)(const struct simt *simt, uint64_t what),
		      uint64_t what)
{
	int rc = run(simt, left, what, simt->config.turns_max);

	if (rc <= 0)
		return rc;
	simt_fail(simt, -ETIMEDOUT, NULL, "not done after %llu turns",
		  (unsigned long long)simt->config.turns_max);
	return simt->rc;
}

int simt_wait(struct simt *simt, uint64_t grid)
{
	return run_to_end(simt, is_left, grid);
}

int simt_wait_stream(struct simt *simt, uint32_t stream)
{
	return run_to_end(simt, is_stream_left, stream);
}

int simt_run(struct simt *simt, uint64_t turns)
{
	return run(simt, is_left, 0, turns);
}

/* ------------------------------------------------------ create and destroy */

struct simt *simt_create(const struct simt_config *config)
{
	struct simt *simt = calloc(1, sizeof(*simt));

	if (!simt)
		return NULL;
	if (config)
		simt->config = *config;
	if (!simt->config.turns_max)
		simt->config.turns_max = TURNS_MAX;
	if (!simt->config.round_ns)
		simt->config.round_ns = ROUND_NS;
	if (!simt->config.stack_bytes)
		simt->config.stack_bytes = STACK_BYTES;
	if (simt->config.stack_bytes < STACK_BYTES_MIN)
		simt->config.stack_bytes = STACK_BYTES_MIN;
	simt->config.stack_bytes = (simt->config.stack_bytes + 4095) & ~4095u;
	choose_manners(simt);
	return simt;
}

void simt_destroy(struct simt *simt)
{
	struct simt_grid *grid, *next;

	if (!simt)
		return;
	assert(!simt->running || simt->rc);
	for (grid = simt->grids; grid; grid = next) {
		next = grid->next;
		simt_free_grid(grid);
	}
	free(simt->ready.threads);
	free(simt->polling.threads);
	free(simt);
}

const char *simt_error(const struct simt *simt)
{
	return simt->error;
}

uint64_t simt_seed(const struct simt *simt)
{
	return simt->config.seed;
}

uint64_t simt_turns(const struct simt *simt)
{
	return simt->turns;
}

/* ------------------------------------------------------- for the kernels */

const struct simt_id *simt_self(void)
{
	return current && current->running ? &current->running->id : NULL;
}

void simt_pause(void (*hook)(void *arg), void *arg)
{
	struct thread *thread = current ? current->running : NULL;
	struct simt *simt = current;

	if (!thread) {
		if (hook)
			hook(arg);
		return;
	}
	thread->hook = hook;
	thread->hook_arg = arg;
	if (hook && simt_chance(simt, simt->step_chance))
		hook(arg);
	simt_rest(thread, simt_chance(simt, simt->stay_chance) ? STATE_READY
							       : STATE_POLLS);
}

void simt_point(void)
{
	struct simt *simt = current;

	if (!simt || !simt->running || !simt->yield_chance)
		return;
	if (simt_chance(simt, simt->yield_chance))
		simt_rest(simt->running, STATE_READY);
}

uint64_t simt_now_ns(void)
{
	/* Never 0: that means "no deadline yet" in a wait. */
	return current && current->running ? current->now_ns + 1 : 0;
}

void *simt_shared(const void *key, size_t bytes)
{
	struct block *block = simt_running()->block;
	struct shared *shared;

	for (shared = block->shared; shared; shared = shared->next)
		if (shared->key == key)
			return shared->data;
	shared = malloc(sizeof(*shared) + bytes);
	if (!shared) {
		simt_fail(block->grid->simt, -ENOMEM, block,
			  "kernel %s: no %zu bytes of shared memory",
			  block->grid->name, bytes);
		return NULL;
	}
	memset(shared->data, SIMT_RUBBISH, bytes);
	shared->key = key;
	shared->bytes = bytes;
	shared->next = block->shared;
	block->shared = shared;
	return shared->data;
}

void *simt_shared_dynamic(void)
{
	return simt_running()->block->dynamic;
}

uint32_t simt_warp_lanes(void)
{
	struct thread *thread = simt_running();

	return thread->block->warps[thread->id.rank / SIMT_WARP].lanes;
}
