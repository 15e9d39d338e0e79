/* SPDX-License-Identifier: MIT */
/*
 * Grids and blocks of the SIMT runner: their memory and their threads.
 *
 * Thread: the one that calls simt_wait.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/simt_internal.h"

static bool bag_reserve(struct bag *bag, uint32_t room)
{
	struct thread **threads;

	if (room <= bag->room)
		return true;
	threads = realloc(bag->threads, room * sizeof(void *));
	if (!threads)
		return false;
	bag->threads = threads;
	bag->room = room;
	return true;
}

/* ----------------------------------------------------------------- blocks */

void simt_free_block(struct block *block)
{
	struct simt *simt = block->grid->simt;
	struct shared *shared, *next;
	uint32_t i;

	for (i = 0; block->threads && i < block->size; i++)
		if (block->threads[i].fiber.stack)
			simt_stack_free(block->threads[i].fiber.stack,
					simt->config.stack_bytes);
	for (shared = block->shared; shared; shared = next) {
		next = shared->next;
		free(shared);
	}
	simt->live -= block->size;
	free(block->dynamic);
	free(block->warps);
	free(block->threads);
	free(block);
}

static void run_thread(void *arg)
{
	struct thread *thread = arg;
	struct simt_grid *grid = thread->block->grid;

	grid->fn(grid->args);
	thread->state = STATE_DONE;
	thread->block->done++;
	simt_check_left(thread);
	simt_fiber_leave(&thread->fiber, &grid->simt->scheduler);
}

static struct simt_dim place(uint32_t rank, struct simt_dim size)
{
	struct simt_dim at = {rank % size.x, rank / size.x % size.y,
			      rank / size.x / size.y};

	return at;
}

static int start_thread(struct block *block, uint32_t rank, uint32_t number)
{
	struct simt_grid *grid = block->grid;
	struct thread *thread = &block->threads[rank];
	uint8_t *stack = simt_stack_alloc(grid->simt->config.stack_bytes);

	if (!stack)
		return -ENOMEM;
	simt_fiber_init(&thread->fiber, stack, grid->simt->config.stack_bytes,
			run_thread, thread);
	thread->block = block;
	thread->id.thread = place(rank, grid->threads);
	thread->id.block = place(number, grid->blocks);
	thread->id.threads = grid->threads;
	thread->id.blocks = grid->blocks;
	thread->id.rank = rank;
	thread->id.block_rank = number;
	thread->id.block_size = grid->block_size;
	thread->id.grid_size = grid->block_count;
	block->warps[rank / SIMT_WARP].lanes |= 1u << rank % SIMT_WARP;
	return 0;
}

static int fill_block(struct block *block, uint32_t number)
{
	struct simt_grid *grid = block->grid;
	uint32_t i;
	int rc = 0;

	block->threads = calloc(block->size, sizeof(*block->threads));
	block->warps = calloc((block->size + SIMT_WARP - 1) / SIMT_WARP,
			      sizeof(*block->warps));
	block->dynamic = malloc(grid->shared_bytes + 1);
	if (!block->threads || !block->warps || !block->dynamic)
		return -ENOMEM;
	memset(block->dynamic, SIMT_RUBBISH, grid->shared_bytes + 1);
	for (i = 0; !rc && i < block->size; i++)
		rc = start_thread(block, i, number);
	return rc;
}

int simt_start_block(struct simt_grid *grid)
{
	struct simt *simt = grid->simt;
	struct block *block = calloc(1, sizeof(*block));
	uint32_t i;

	if (!block)
		return -ENOMEM;
	block->grid = grid;
	block->size = grid->block_size;
	simt->live += block->size;
	if (fill_block(block, grid->started) ||
	    !bag_reserve(&simt->ready, simt->live) ||
	    !bag_reserve(&simt->polling, simt->live)) {
		simt_free_block(block);
		return -ENOMEM;
	}
	block->next = grid->running;
	grid->running = block;
	grid->started++;
	for (i = 0; i < block->size; i++)
		simt_bag_put(&simt->ready, &block->threads[i]);
	return 0;
}

void simt_free_grid(struct simt_grid *grid)
{
	struct block *block, *next;

	for (block = grid->running; block; block = next) {
		next = block->next;
		simt_free_block(block);
	}
	free(grid->args);
	free(grid);
}

struct simt_grid *simt_make_grid(struct simt *simt,
				 const struct simt_launch *launch)
{
	struct simt_grid *grid = calloc(1, sizeof(*grid));

	if (!grid)
		return NULL;
	grid->args = malloc(launch->args_bytes + 1);
	if (!grid->args) {
		free(grid);
		return NULL;
	}
	if (launch->args_bytes)
		memcpy(grid->args, launch->args, launch->args_bytes);
	grid->simt = simt;
	grid->name = launch->name;
	grid->fn = launch->fn;
	grid->blocks = launch->grid;
	grid->threads = launch->block;
	grid->shared_bytes = launch->shared_bytes;
	grid->stream = launch->stream;
	return grid;
}
