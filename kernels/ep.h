/* SPDX-License-Identifier: MIT */
/*
 * Expert parallelism: send every token to the experts that it chose, and
 * bring their answers back. Low-latency style: one message a token and expert,
 * straight into a place of its own, counts by atomics.
 *
 * Words: each PE holds experts / npes experts ("local experts") and has up to
 * max_tokens tokens of hidden bf16 channels. A round is a dispatch, the
 * experts' work, and a combine; rounds count from 0 and are the same on all
 * PEs. Buffers alternate with the round's parity.
 *
 * Both kernels have a send phase and a receive phase. Launched one by one, the
 * network works while the GPU does something else between them.
 *
 * A PE that does not answer within timeout_ns, or whose queue pair breaks, is
 * put into the mask of dead PEs: nothing is sent to it or expected of it from
 * then on, and its experts count as absent. The rest goes on.
 *
 * Source of truth: the structure of DeepEP's low-latency kernels (internode_ll.cu);
 * bytes and code are our own.
 */
#ifndef EP_H
#define EP_H

#include "kernels/gpu_host.h"
#include "stack/dev/handle.h"

enum { EP_GROUP = 128, EP_TOPK_MAX = 32, EP_HEADER_BYTES = 16 };

enum ep_phase {
	EP_SEND = 1,
	EP_RECEIVE = 2,
};

struct ep_shape {
	int32_t npes;
	int32_t experts; /* of all PEs, a multiple of npes */
	int32_t topk;
	int32_t hidden;	    /* channels, any number */
	int32_t max_tokens; /* of one PE */
	int32_t is_fp8;	    /* dispatch e4m3 and a scale for 128 channels */
};

/*
 * Where things lie in a PE's arena, which is symmetric and zeroed at first.
 * Pairs are for even and odd rounds.
 *
 * A message: header {int32 token}, payload, scales (fp8), each padded to 16.
 */
struct ep_layout {
	struct ep_shape shape;
	int32_t local_experts;
	int32_t groups;		/* of channels */
	uint64_t payload_bytes; /* padded */
	uint64_t scale_bytes;	/* padded */
	uint64_t message_bytes;
	uint64_t row_bytes; /* of a combined token, padded */
	/* Offsets. Words of 64 bits, that peers add to: */
	uint64_t counts[2]; /* [local expert][PE]: messages + 1 */
	uint64_t flags[2];  /* [expert]: its answers are here */
	/* Words of 32 bits, this PE's own: */
	uint64_t slots[2];  /* [expert]: messages that were sent */
	uint64_t packed[2]; /* [local expert]: rows that were received */
	uint64_t barrier;   /* struct gpu_grid_barrier */
	/* Data: */
	uint64_t send[2];    /* [token] message */
	uint64_t receive[2]; /* [local expert][PE][slot] message */
	uint64_t answers[2]; /* [expert][token] row */
	uint64_t bytes;
};

/* Returns 0, or -EINVAL for a shape that cannot be. */
int ep_layout(const struct ep_shape *shape, struct ep_layout *layout);

/* Rows that one local expert can receive. */
static inline uint64_t ep_rows_max(const struct ep_shape *shape)
{
	return (uint64_t)shape->npes * (uint64_t)shape->max_tokens;
}

/* Where an expert finds the rows of one PE. */
struct ep_range {
	uint32_t begin;
	uint32_t count;
};

struct ep_args {
	struct gda_dev dev;
	struct ep_layout layout;
	uint8_t *arena;
	uint64_t round;
	uint32_t phases;     /* enum ep_phase */
	uint32_t tokens;     /* of this PE */
	uint64_t timeout_ns; /* for each PE */
	int32_t *dead;	     /* [npes] */
	int32_t *code;	     /* an error that is not a dead PE, or unchanged */
	/* NULL, or raised to the time from a block's begin to its end, of the
	 * slowest one. */
	uint64_t *ns;

	/* [tokens][topk]: expert, or -1 for none; no expert twice. */
	const int32_t *experts;
	const float *weights; /* [tokens][topk]; combine only */

	/* Dispatch: from x, [tokens][hidden] bf16, to the experts' input. */
	const uint16_t *x;
	uint8_t *rows;		 /* [local expert][rows_max][payload_bytes] */
	float *scales;		 /* [local expert][rows_max][groups] */
	int32_t *sources;	 /* [local expert][rows_max]: token */
	struct ep_range *ranges; /* [local expert][PE] */

	/* Combine: from the experts' output, in the heap or a registered
	 * buffer, to the weighted sums. */
	const uint16_t *y; /* [local expert][rows_max][hidden] bf16 */
	uint16_t *out;	   /* [tokens][hidden] bf16 */
};

/*
 * Any number of blocks that run at the same time, of any multiple of 32
 * threads. Queue pairs shared by the GPU; lane e % lanes for local expert e.
 */
GPU_KERNEL_DECLARE(ep_dispatch);
GPU_KERNEL_DECLARE(ep_combine);

#endif
