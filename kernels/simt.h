/* SPDX-License-Identifier: MIT */
/*
 * The SIMT runner: a kernel's grid on one CPU thread.
 *
 * Every GPU thread is a fiber. Fibers change places where a kernel waits
 * (barriers, warp operations, gda_dev_pause) and, now and then, at every
 * ordered memory access of stack/dev/order.h. A seed decides who is next and
 * when NICs move: the same seed gives the same interleaving, another seed
 * another one. Nothing else is random, and time is virtual.
 *
 * It is stricter than a GPU where a GPU would hang or do something undefined:
 * a kernel fails with a sentence that names the threads and the places when
 *   - nobody can go on (deadlock),
 *   - threads of a block wait at different barriers, or one has returned,
 *   - lanes of a warp meet with different operations or masks,
 *   - it has not ended after a bounded number of steps.
 *
 * Several grids run at the same time, for the PEs of one process and for
 * streams. A launch only queues; simt_wait() runs everything that can run.
 *
 * Source of truth: CUDA C++ Programming Guide, "Independent Thread Scheduling",
 * "Synchronization Functions", "Warp Vote", "Warp Shuffle".
 * Not modelled: memory weaker than the CPU's; instructions in lock step; the
 * order of lanes within one instruction.
 * Thread: one at a time for a struct simt and everything launched on it.
 */
#ifndef SIMT_H
#define SIMT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SIMT_WARP = 32,
	SIMT_THREADS_MAX = 1024, /* in a block */
	SIMT_BARRIERS = 16,	 /* of a block, as in hardware */
};

struct simt;
struct simt_grid;

typedef void simt_kernel_fn(const void *args);

struct simt_dim {
	uint32_t x, y, z;
};

struct simt_config {
	uint64_t seed;
	/* Turns that a wait may take before it gives up; 0: 200 million. */
	uint64_t turns_max;
	/* Of virtual time, when everybody has polled in vain once; 0: 1000. */
	uint64_t round_ns;
	uint32_t stack_bytes; /* of a thread; 0: 64 KiB, 256 with ASan */
	/* Blocks of a grid that run at the same time; 0: all of them. */
	uint32_t resident_blocks;
};

/* Returns NULL with errno. config NULL: seed 0 and defaults. */
struct simt *simt_create(const struct simt_config *config);

/* Drops what still runs. NULL is allowed. */
void simt_destroy(struct simt *simt);

/* 0 in y or z counts as 1. args_bytes of args are copied by the launch. */
struct simt_launch {
	const char *name; /* of the kernel; must stay */
	simt_kernel_fn *fn;
	const void *args;
	size_t args_bytes;
	struct simt_dim grid, block;
	uint32_t shared_bytes; /* dynamic */
	/* Grids of one stream run one after the other. */
	uint32_t stream;
};

/*
 * Queue a grid. Returns 0 and its number, which counts from 1, or -EINVAL for
 * an empty or too large one, or -ENOMEM; simt_error() says which.
 */
int simt_launch(struct simt *simt, const struct simt_launch *launch,
		uint64_t *grid);

/*
 * Run until a grid has ended, or, for grid 0, all of them. Returns 0, or what
 * ended the run for good: -EDEADLK, -EPROTO (a rule of the above broken),
 * -ETIMEDOUT (turns_max), -ENOMEM. After that every call returns it.
 */
int simt_wait(struct simt *simt, uint64_t grid);

/* As simt_wait for everything queued on one stream. */
int simt_wait_stream(struct simt *simt, uint32_t stream);

/* Run for some turns. Returns 1 if something is left, 0, or as simt_wait. */
int simt_run(struct simt *simt, uint64_t turns);

/* The sentence that belongs to the last failure, or "". */
const char *simt_error(const struct simt *simt);

uint64_t simt_seed(const struct simt *simt);
/* Turns taken; the same for the same seed. */
uint64_t simt_turns(const struct simt *simt);

/* ----------------------------------------------- what a kernel calls ------ */

struct simt_id {
	struct simt_dim thread, block;	 /* threadIdx, blockIdx */
	struct simt_dim threads, blocks; /* blockDim, gridDim */
	uint32_t rank;			 /* of the thread in its block */
	uint32_t block_rank;		 /* of the block in its grid */
	uint32_t block_size;
	uint32_t grid_size; /* blocks */
};

/* Who runs; NULL outside of a kernel. */
const struct simt_id *simt_self(void);

/* "file:line", for the places that sentences name. */
#define SIMT_STRING_(x) #x
#define SIMT_STRING(x)	SIMT_STRING_(x)
#define SIMT_HERE	__FILE__ ":" SIMT_STRING(__LINE__)

/* Wait until count threads of the block are at this barrier; 0: all. */
void simt_sync(uint32_t barrier, uint32_t count, const char *where);

enum simt_meeting {
	SIMT_SYNC,
	SIMT_SHFL,	/* value of the lane that argument names */
	SIMT_BALLOT,	/* lanes whose value is not 0 */
	SIMT_MATCH_ANY, /* lanes whose value is this one's */
};

/*
 * The lanes of mask meet, exchange their values, and go on. Each lane gets
 * its own result.
 */
struct simt_meet_call {
	enum simt_meeting meeting;
	uint32_t mask;
	uint64_t value;
	uint32_t argument;
	const char *where;
};
uint64_t simt_meet(const struct simt_meet_call *call);

/* Lanes of this warp that exist. */
uint32_t simt_warp_lanes(void);

/* A block's own memory, by key; filled with rubbish when the block starts. */
void *simt_shared(const void *key, size_t bytes);
void *simt_shared_dynamic(void);

/*
 * One round of a polling loop: let NICs move (hook may be NULL) and others
 * run. Outside of a kernel it is a call of the hook.
 */
void simt_pause(void (*hook)(void *arg), void *arg);

/* An ordered access to memory: now and then others run first. */
void simt_point(void);

/* Virtual time inside of a kernel; outside, 0. */
uint64_t simt_now_ns(void);

#endif
