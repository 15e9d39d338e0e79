/* SPDX-License-Identifier: MIT */
/*
 * One PE of the expert-parallel benchmark: its tokens, what its experts do,
 * and what must come back. A plain model of the kernels: ep.h says what they
 * are given.
 *
 * An expert answers with what it was sent, times a factor of its own.
 *
 * Functions return 0, or 1 after a message on stderr.
 */
#ifndef BENCH_EP_PE_H
#define BENCH_EP_PE_H

#include "kernels/ep.h"

struct ep_pe {
	struct gpu *gpu;
	struct ep_args args; /* pointers are the GPU's */
	void *memory;	     /* of the GPU: all but the arena */
	uint64_t random;
	/* What the host has of it. */
	int32_t *experts;
	float *weights;
	uint16_t *x;
	uint16_t *out;
	uint64_t messages; /* choices that are experts */
};

/* Bytes of the arena behind layout.bytes: the experts' answers. */
uint64_t ep_pe_answer_bytes(const struct ep_layout *layout);

/* args: dev, layout, arena, tokens and timeout_ns; the rest is filled in. */
int ep_pe_open(struct ep_pe *pe, struct gpu *gpu, const struct ep_args *args,
	       uint64_t seed);
void ep_pe_close(struct ep_pe *pe);

/* Before a dispatch: other tokens, with other experts and weights. */
int ep_pe_choose(struct ep_pe *pe);

/* After a dispatch: the experts' answers. */
int ep_pe_work(struct ep_pe *pe);

/* After a combine: did all come back, as from the experts that were chosen? */
int ep_pe_check(struct ep_pe *pe);

/* After a kernel: its own time, and whether it says that all went well. */
int ep_pe_result(struct ep_pe *pe, const char *what, uint64_t *ns);

#endif
