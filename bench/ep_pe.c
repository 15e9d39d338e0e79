/* SPDX-License-Identifier: MIT */
/*
 * One PE of the expert-parallel benchmark: see ep_pe.h.
 *
 * The host never follows a pointer of the kernels' arguments: each may be
 * one of GPU memory.
 *
 * Thread: the main one.
 */
#include "bench/ep_pe.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/pes.h"
#include "tests/support/t_floats.h"
#include "tests/support/t_rng.h"

/* --------------------------------------------------------------- memory --- */

static void *take(uint64_t *at, uint64_t bytes)
{
	uint64_t begin = *at;

	*at += (bytes + 255) / 256 * 256;
	return (void *)(uintptr_t)begin;
}

/* Where things lie from an address on. Returns their end. */
static uint64_t place(struct ep_args *args, uint64_t at)
{
	const struct ep_shape *shape = &args->layout.shape;
	uint64_t tokens = (uint64_t)shape->max_tokens;
	uint64_t hidden = (uint64_t)shape->hidden;
	uint64_t topk = (uint64_t)shape->topk;
	uint64_t rows =
		(uint64_t)args->layout.local_experts * ep_rows_max(shape);

	args->dead = take(&at, (uint64_t)shape->npes * 4);
	args->code = take(&at, 4);
	args->ns = take(&at, 8);
	args->experts = take(&at, tokens * topk * 4);
	args->weights = take(&at, tokens * topk * 4);
	args->x = take(&at, tokens * hidden * 2);
	args->out = take(&at, tokens * hidden * 2);
	args->rows = take(&at, rows * args->layout.payload_bytes);
	args->scales = take(&at, rows * (uint64_t)args->layout.groups * 4);
	args->sources = take(&at, rows * 4);
	args->ranges = take(&at, (uint64_t)shape->experts * 8);
	return at;
}

uint64_t ep_pe_answer_bytes(const struct ep_layout *layout)
{
	return (uint64_t)layout->local_experts * ep_rows_max(&layout->shape) *
	       (uint64_t)layout->shape.hidden * 2;
}

int ep_pe_open(struct ep_pe *pe, struct gpu *gpu, const struct ep_args *args,
	       uint64_t seed)
{
	const struct ep_shape *shape = &args->layout.shape;
	uint64_t tokens = (uint64_t)shape->max_tokens, bytes;

	memset(pe, 0, sizeof(*pe));
	pe->gpu = gpu;
	pe->args = *args;
	pe->random = seed ^ (uint64_t)args->dev.pe << 32;
	bytes = place(&pe->args, 0);
	pe->memory = gpu_alloc_device(gpu, bytes);
	pe->experts = calloc(tokens * (uint64_t)shape->topk, 4);
	pe->weights = calloc(tokens * (uint64_t)shape->topk, 4);
	pe->x = calloc(tokens * (uint64_t)shape->hidden, 2);
	pe->out = calloc(tokens * (uint64_t)shape->hidden, 2);
	if (!pe->memory || !pe->experts || !pe->weights || !pe->x || !pe->out) {
		fprintf(stderr, "PE %d: no memory, %llu bytes of the GPU's\n",
			args->dev.pe, (unsigned long long)bytes);
		return 1;
	}
	place(&pe->args, (uint64_t)(uintptr_t)pe->memory);
	pe->args.y = (const uint16_t *)(uintptr_t)((uintptr_t)args->arena +
						   args->layout.bytes);
	return 0;
}

void ep_pe_close(struct ep_pe *pe)
{
	if (pe->memory)
		gpu_free_device(pe->gpu, pe->memory);
	free(pe->experts);
	free(pe->weights);
	free(pe->x);
	free(pe->out);
}

static int copy(struct ep_pe *pe, void *to, const void *from, uint64_t bytes)
{
	if (!gpu_copy(pe->gpu, to, from, bytes))
		return 0;
	fprintf(stderr, "PE %d: %s\n", pe->args.dev.pe, gpu_error(pe->gpu));
	return 1;
}

/* --------------------------------------------------------------- tokens --- */

/* One in 32 choices is none. The others of a token differ. */
static int32_t choose_one(struct ep_pe *pe, struct t_rng *rng,
			  const int32_t *before, uint32_t count)
{
	uint32_t experts = (uint32_t)pe->args.layout.shape.experts, i;
	int32_t expert;

	if (t_below(rng, 32) == 0)
		return -1;
	do {
		expert = (int32_t)t_below(rng, experts);
		for (i = 0; i < count && before[i] != expert; i++)
			;
	} while (i < count);
	pe->messages++;
	return expert;
}

int ep_pe_choose(struct ep_pe *pe)
{
	const struct ep_shape *shape = &pe->args.layout.shape;
	uint32_t topk = (uint32_t)shape->topk, hidden = (uint32_t)shape->hidden;
	uint64_t choices = (uint64_t)pe->args.tokens * topk, i;
	uint64_t channels = (uint64_t)pe->args.tokens * hidden;
	struct t_rng rng = {pe->random};

	pe->messages = 0;
	for (i = 0; i < choices; i++) {
		uint32_t k = (uint32_t)(i % topk);

		pe->weights[i] = (float)t_below(&rng, 64) / 64;
		pe->experts[i] = choose_one(pe, &rng, &pe->experts[i - k], k);
	}
	for (i = 0; i < channels; i++)
		pe->x[i] = t_to_bf16(((float)t_below(&rng, 20001) - 10000) *
				     1e-3f);
	pe->random = rng.state;
	return copy(pe, (void *)(uintptr_t)pe->args.experts, pe->experts,
		    choices * 4) ||
	       copy(pe, (void *)(uintptr_t)pe->args.weights, pe->weights,
		    choices * 4) ||
	       copy(pe, (void *)(uintptr_t)pe->args.x, pe->x, channels * 2);
}

/* -------------------------------------------------------------- experts --- */

/* Of three bits, so that a product with a bf16 is rounded once. */
static float factor_of(int expert)
{
	float factor = (float)(expert % 8 + 1) / 8;

	return expert / 8 % 2 ? -factor : factor;
}

/* What one local expert has received, and what it answers. */
struct desk {
	uint8_t *rows;
	float *scales;
	uint16_t *y;
	struct ep_range *ranges; /* [PE] */
	float e4m3[256];
};

static int desk_open(struct desk *desk, const struct ep_layout *layout)
{
	uint64_t rows = ep_rows_max(&layout->shape);
	uint32_t code;

	desk->rows = malloc(rows * layout->payload_bytes);
	desk->scales = malloc(rows * (uint64_t)layout->groups * 4);
	desk->y = malloc(rows * (uint64_t)layout->shape.hidden * 2);
	desk->ranges = malloc((uint64_t)layout->shape.npes * 8);
	for (code = 0; code < 256; code++)
		desk->e4m3[code] = (float)t_from_e4m3(code & 0x7f) *
				   (code & 0x80 ? -1.0f : 1.0f);
	return !desk->rows || !desk->scales || !desk->y || !desk->ranges;
}

static void desk_close(struct desk *desk)
{
	free(desk->rows);
	free(desk->scales);
	free(desk->y);
	free(desk->ranges);
}

static void answer_row(const struct ep_layout *layout, const struct desk *desk,
		       uint64_t row, float factor)
{
	uint64_t hidden = (uint64_t)layout->shape.hidden, c;
	const uint8_t *small = desk->rows + row * layout->payload_bytes;
	const uint16_t *wide = (const uint16_t *)(const void *)small;
	const float *scales = desk->scales + row * (uint64_t)layout->groups;
	float value;

	for (c = 0; c < hidden; c++) {
		value = layout->shape.is_fp8
				? desk->e4m3[small[c]] * scales[c / EP_GROUP]
				: t_from_bf16(wide[c]);
		desk->y[row * hidden + c] = t_to_bf16(value * factor);
	}
}

/* Ranges of all PEs lie one behind the other, in any order. */
static int count_rows(struct ep_pe *pe, const struct desk *desk, int local,
		      uint64_t *rows)
{
	const struct ep_shape *shape = &pe->args.layout.shape;
	int from;

	*rows = 0;
	for (from = 0; from < shape->npes; from++) {
		struct ep_range range = desk->ranges[from];

		*rows += range.count;
		if (range.count <= (uint32_t)shape->max_tokens &&
		    range.begin + range.count <= ep_rows_max(shape))
			continue;
		fprintf(stderr,
			"PE %d: local expert %d has rows %u to %u of PE %d\n",
			pe->args.dev.pe, local, range.begin,
			range.begin + range.count, from);
		return 1;
	}
	return 0;
}

static int work_of(struct ep_pe *pe, struct desk *desk, int local)
{
	const struct ep_args *args = &pe->args;
	const struct ep_layout *layout = &args->layout;
	uint64_t npes = (uint64_t)layout->shape.npes, i, rows;
	uint64_t hidden = (uint64_t)layout->shape.hidden;
	uint64_t groups = (uint64_t)layout->groups;
	uint64_t first = (uint64_t)local * ep_rows_max(&layout->shape);
	int expert = args->dev.pe * layout->local_experts + local;

	if (copy(pe, desk->ranges, args->ranges + (uint64_t)local * npes,
		 npes * 8) ||
	    count_rows(pe, desk, local, &rows))
		return 1;
	if (copy(pe, desk->rows, args->rows + first * layout->payload_bytes,
		 rows * layout->payload_bytes) ||
	    (layout->shape.is_fp8 &&
	     copy(pe, desk->scales, args->scales + first * groups,
		  rows * groups * 4)))
		return 1;
	for (i = 0; i < rows; i++)
		answer_row(layout, desk, i, factor_of(expert));
	return copy(pe, (void *)(uintptr_t)(args->y + first * hidden), desk->y,
		    rows * hidden * 2);
}

int ep_pe_work(struct ep_pe *pe)
{
	struct desk desk;
	int local, rc;

	rc = desk_open(&desk, &pe->args.layout);
	if (rc)
		fprintf(stderr, "PE %d: no memory\n", pe->args.dev.pe);
	for (local = 0; !rc && local < pe->args.layout.local_experts; local++)
		rc = work_of(pe, &desk, local);
	desk_close(&desk);
	return rc;
}

/* ---------------------------------------------------------------- check --- */

/* The largest of the channels that share a scale with this one. */
static double largest_of(const uint16_t *x, uint32_t c, uint32_t hidden)
{
	uint32_t end = c / EP_GROUP * EP_GROUP + EP_GROUP;
	double largest = 1e-4;

	end = end < hidden ? end : hidden;
	for (c = c / EP_GROUP * EP_GROUP; c < end; c++)
		largest = fmax(largest, fabs((double)t_from_bf16(x[c])));
	return largest;
}

/*
 * Answer and sum are rounded to bf16, each by up to 2^-8 of its size. e4m3
 * adds 2^-4 of the channel, or half of its smallest step, 2^-10 of a scale.
 */
static int check_token(const struct ep_pe *pe, uint32_t token)
{
	const struct ep_shape *shape = &pe->args.layout.shape;
	uint32_t hidden = (uint32_t)shape->hidden, c, k;
	uint32_t topk = (uint32_t)shape->topk;
	const uint16_t *x = pe->x + (uint64_t)token * hidden;
	double sum = 0, size = 0, step = 0, want, within, got;

	for (k = 0; k < topk; k++) {
		uint64_t at = (uint64_t)token * topk + k;

		if (pe->experts[at] < 0)
			continue;
		want = (double)pe->weights[at] *
		       (double)factor_of(pe->experts[at]);
		sum += want;
		size += fabs(want);
	}
	for (c = 0; c < hidden; c++) {
		if (shape->is_fp8 && c % EP_GROUP == 0)
			step = largest_of(x, c, hidden) / 448 / 1024;
		want = sum * (double)t_from_bf16(x[c]);
		got = (double)t_from_bf16(
			pe->out[(uint64_t)token * hidden + c]);
		within = size * (fabs((double)t_from_bf16(x[c])) *
					 (shape->is_fp8 ? 0.071 : 0.0079) +
				 step);
		if (fabs(got - want) <= within)
			continue;
		fprintf(stderr,
			"PE %d, token %u, channel %u: got %g, expected %g, "
			"give or take %g\n",
			pe->args.dev.pe, token, c, got, want, within);
		return 1;
	}
	return 0;
}

int ep_pe_check(struct ep_pe *pe)
{
	uint64_t hidden = (uint64_t)pe->args.layout.shape.hidden;
	uint32_t token;

	if (copy(pe, pe->out, pe->args.out, pe->args.tokens * hidden * 2))
		return 1;
	for (token = 0; token < pe->args.tokens; token++)
		if (check_token(pe, token))
			return 1;
	return 0;
}

int ep_pe_result(struct ep_pe *pe, const char *what, uint64_t *ns)
{
	int32_t dead[PES_MAX], code, peer, npes = pe->args.layout.shape.npes;
	const uint64_t zero = 0;

	if (copy(pe, &code, pe->args.code, sizeof(code)) ||
	    copy(pe, ns, pe->args.ns, sizeof(*ns)) ||
	    copy(pe, pe->args.ns, &zero, sizeof(zero)) ||
	    copy(pe, dead, pe->args.dead, (uint64_t)npes * 4))
		return 1;
	if (code)
		fprintf(stderr, "PE %d, %s: %s\n", pe->args.dev.pe, what,
			gda_strerror(code));
	for (peer = 0; peer < npes; peer++) {
		if (dead[peer])
			fprintf(stderr, "PE %d, %s: PE %d is dead\n",
				pe->args.dev.pe, what, peer);
		code |= dead[peer];
	}
	return code != 0;
}
