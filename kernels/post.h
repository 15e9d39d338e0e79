/* SPDX-License-Identifier: MIT */
/*
 * What posting costs: cycles of the SM's clock that the posting threads spend,
 * without waiting for completions, and the same for bare stores and fences.
 * What the kernels of post.cu are given, and what they answer.
 */
#ifndef POST_H
#define POST_H

#include "kernels/gpu_host.h"
#include "stack/dev/handle.h"

/* Who makes one call; launched with as many threads in one block. */
enum post_scope {
	POST_THREAD,
	POST_WARP,
	POST_BLOCK,
	/* One operation for each lane of a warp. */
	POST_EACH,
	POST_SCOPES,
};

struct post_args {
	struct gda_dev dev;
	uint8_t *dest;	  /* heap, bytes for each thread */
	uint8_t *source;  /* heap, as much */
	uint64_t *words;  /* heap, one for each thread */
	uint64_t *cycles; /* [runs]: of calls calls and a flush */
	int32_t *code;
	uint32_t bytes;
	uint32_t calls; /* so few that none waits for room in the queue */
	uint32_t runs;	/* with a quiet after each */
	int32_t peer;
};

/* post_put_thread, post_put_warp, post_put_block, post_put_each, post_p_... */
#define POST_DECLARE(op)                                                       \
	GPU_KERNEL_DECLARE(post_##op##_thread);                                \
	GPU_KERNEL_DECLARE(post_##op##_warp);                                  \
	GPU_KERNEL_DECLARE(post_##op##_block);                                 \
	GPU_KERNEL_DECLARE(post_##op##_each)
POST_DECLARE(put);
POST_DECLARE(p);
POST_DECLARE(atomic);
POST_DECLARE(put_signal);

/* ------------------------------------------------------------- the floor --- */

/* What orders WQE, record and register. */
enum post_fences {
	POST_TWO_SYS, /* WQE | record | register, as the stack does */
	POST_TWO_GPU, /* the same, for rings and data in GPU memory */
	POST_ONE_SYS, /* WQE, record | register */
	POST_NONE,    /* of no use with a NIC */
	POST_FENCES,
};

struct post_floor_args {
	uint8_t *ring; /* depth blocks of 64 bytes */
	be32 *record;
	void *reg;	  /* 8 bytes in host memory */
	uint64_t *cycles; /* [runs] */
	uint32_t depth;	  /* a power of two */
	uint32_t calls;
	uint32_t runs;
	uint32_t batch; /* calls for each doorbell, a power of two */
	uint32_t fences;
};

struct post_echo_args {
	uint64_t *ask;	  /* host memory: 1, 2, ... rounds */
	uint64_t *answer; /* host memory: what the host has read of it */
	uint64_t *ns;	  /* of all rounds */
	int32_t *code;
	uint32_t rounds;
};

/*
 * post_floor  each thread of one warp stores a WQE of three segments, and the
 *             first rings: what posting cannot cost less than
 * post_echo   one thread rings, and waits until a CPU thread has answered. It
 *             does not pause, so the SIMT runner cannot run it
 */
GPU_KERNEL_DECLARE(post_floor);
GPU_KERNEL_DECLARE(post_echo);

#endif
