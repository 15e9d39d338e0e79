/* SPDX-License-Identifier: MIT */
/*
 * Inside of the SIMT runner: who waits for what, and the lists that the
 * scheduler draws from.
 *
 * Thread: the one that calls simt_wait.
 */
#ifndef SIMT_INTERNAL_H
#define SIMT_INTERNAL_H

#include "kernels/simt.h"
#include "kernels/simt_fiber.h"

enum state {
	STATE_READY,
	STATE_POLLS,   /* in a polling loop, until the next round */
	STATE_BARRIER, /* waits for threads of its block */
	STATE_MEETS,   /* waits for lanes of its warp */
	STATE_DONE,
};

struct thread {
	struct simt_fiber fiber;
	struct simt_id id;
	struct block *block;
	enum state state;
	const char *where; /* the last place that it named, or NULL */
	uint32_t barrier;  /* STATE_BARRIER: which */
	uint32_t mask;	   /* STATE_MEETS */
	uint64_t value;
	uint32_t argument;
	uint64_t result;
	void (*hook)(void *arg); /* of its last pause */
	void *hook_arg;
};

struct meet {
	uint32_t mask; /* 0: free */
	uint32_t arrived;
	enum simt_meeting meeting;
	const char *where;
};

struct warp {
	uint32_t lanes; /* that exist */
	uint32_t done;	/* that have returned */
	struct meet meets[SIMT_WARP];
};

struct barrier {
	uint32_t arrived;  /* 0: nobody is there */
	uint32_t expected; /* threads */
	const char *where;
};

struct shared {
	struct shared *next;
	const void *key;
	size_t bytes;
	/* Aligned as malloc does. */
	uint64_t data[];
};

struct block {
	struct block *next;
	struct simt_grid *grid;
	uint32_t size; /* threads */
	uint32_t done;
	struct thread *threads; /* [size] */
	struct warp *warps;
	struct barrier barriers[SIMT_BARRIERS];
	struct shared *shared;
	void *dynamic;
};

struct simt_grid {
	struct simt_grid *next; /* in the order of the launches */
	struct simt *simt;
	uint64_t number;
	const char *name;
	simt_kernel_fn *fn;
	void *args;
	struct simt_dim blocks, threads;
	uint32_t block_count, block_size;
	uint32_t shared_bytes;
	uint32_t stream;
	uint32_t started, ended; /* blocks */
	struct block *running;
};

/* Threads in no order; the scheduler takes any. */
struct bag {
	struct thread **threads;
	uint32_t count, room;
};

struct simt {
	struct simt_config config;
	uint64_t random;
	/* Of 256, drawn from the seed: how this run behaves. */
	uint32_t yield_chance; /* others run at an ordered access */
	uint32_t step_chance;  /* a pause moves the NICs */
	uint32_t stay_chance;  /* a polling thread may look again at once */

	struct bag ready, polling;
	uint32_t live; /* threads: each bag has room for all */
	struct simt_grid *grids;
	uint64_t launched;
	uint64_t turns, now_ns;
	struct thread *running;
	struct simt_fiber scheduler;

	int rc;
	char error[2048];
};

/* What shared memory holds when a block begins. */
enum { SIMT_RUBBISH = 0xa5 };

void simt_bag_put(struct bag *bag, struct thread *thread);

/* simt_grid.c. NULL and -ENOMEM mean that there is no memory. */
struct simt_grid *simt_make_grid(struct simt *simt,
				 const struct simt_launch *launch);
void simt_free_grid(struct simt_grid *grid);
int simt_start_block(struct simt_grid *grid);
void simt_free_block(struct block *block);

uint32_t simt_below(struct simt *simt, uint32_t n);
bool simt_chance(struct simt *simt, uint32_t of_256);

/* Rest in a state until the scheduler or another thread wakes this one. */
void simt_rest(struct thread *thread, enum state state);
void simt_wake(struct thread *thread);

/* The thread that runs; only inside of a kernel. */
struct thread *simt_running(void);

/* A thread has returned: does anybody wait for it in vain? */
void simt_check_left(struct thread *thread);

/* --------------------------------------------------------------- sentences */

/*
 * End the run with a code and a sentence: what, then where the threads of the
 * block are, or, for block NULL, those of all grids. The running thread, if
 * there is one, does not go on.
 */
void simt_fail(struct simt *simt, int rc, struct block *block,
	       const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
