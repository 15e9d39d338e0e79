/* SPDX-License-Identifier: MIT */
/*
 * Combine: the experts' answers back to their tokens, and the weighted sum of
 * them. See ep.h.
 *
 * Send: a warp takes the rows that one PE sent to one local expert, and its
 * lanes put a row each straight out of the expert's output, 32 behind one
 * doorbell; then the flag of that expert.
 *
 * Receive: wait for the flags of all experts, then a block sums up a token.
 *
 * Thread: all of a grid; each PE launches one.
 */
#include "kernels/ep_dev.h"
#include "kernels/fp8.h"

/* ------------------------------------------------------------------- send */

/* The rows of one PE at one local expert. */
struct ep_pair {
	struct gda_dev dev;
	uint64_t expert;    /* among those of all PEs */
	uint64_t first_row; /* of the expert's, in the arrays of this PE */
	struct ep_range range;
	int pe;
};

/* The row first + lane, if there is one. */
GPU_FN int ep_answer_rows(const struct ep_args *args,
			  const struct ep_pair *pair, uint32_t first)
{
	const struct ep_layout *layout = &args->layout;
	struct gda_dev_group warp = gda_dev_group_warp();
	uint32_t i = first + gpu_lane();
	uint64_t hidden = (uint64_t)layout->shape.hidden;
	uint64_t row = pair->first_row + pair->range.begin + i, token = 0;
	struct gda_dev_copy copy = {0, 0, 0, pair->pe, 0};

	if (i < pair->range.count) {
		token = (uint64_t)args->sources[row];
		copy.len = hidden * 2;
	}
	copy.local = args->y + row * hidden;
	copy.sym = args->arena + layout->answers[args->round % 2] +
		   (pair->expert * (uint64_t)layout->shape.max_tokens + token) *
			   layout->row_bytes;
	return gda_dev_put_each(&pair->dev, &warp, &copy);
}

GPU_FN void ep_answer_pair(const struct ep_args *args, uint32_t local,
			   uint32_t pe)
{
	const struct ep_layout *layout = &args->layout;
	uint64_t npes = (uint64_t)layout->shape.npes;
	uint64_t *flags = ep_words(args, layout->flags[args->round % 2]);
	struct ep_pair pair;
	uint64_t dead = 0;
	uint32_t i;
	int rc = 0;

	if (gpu_lane() == 0)
		dead = ep_is_dead(args, (int)pe);
	if (gpu_shfl(GPU_ALL_LANES, dead, 0))
		return;
	pair.dev = ep_lane(args, (int)local);
	pair.expert = (uint64_t)args->dev.pe * (uint64_t)layout->local_experts +
		      local;
	pair.first_row = local * npes * (uint64_t)layout->shape.max_tokens;
	pair.range = args->ranges[local * npes + pe];
	pair.pe = (int)pe;
	for (i = 0; !rc && i < pair.range.count; i += GPU_WARP)
		rc = ep_answer_rows(args, &pair, i);
	if (gpu_lane() == 0 && rc)
		ep_note(args, pair.pe, rc);
	else if (gpu_lane() == 0)
		ep_signal(args, &pair.dev, &flags[pair.expert], 1, pair.pe);
}

GPU_FN void ep_answer(const struct ep_args *args)
{
	uint32_t npes = (uint32_t)args->layout.shape.npes;
	uint32_t pairs = (uint32_t)args->layout.local_experts * npes, i;

	for (i = ep_warp(); i < pairs; i += ep_warps())
		ep_answer_pair(args, i / npes, i % npes);
}

/* ---------------------------------------------------------------- receive */

GPU_FN void ep_wait_for_answers(const struct ep_args *args)
{
	const struct ep_layout *layout = &args->layout;
	const uint64_t *flags = ep_words(args, layout->flags[args->round % 2]);
	int expert;

	for (expert = (int)gpu_global_thread(); expert < layout->shape.experts;
	     expert += (int)gpu_global_threads())
		ep_wait(args, &flags[expert], expert / layout->local_experts);
}

/* The experts of one token that have answered, in the block's memory. */
struct ep_terms {
	const uint16_t *rows[EP_TOPK_MAX];
	float weights[EP_TOPK_MAX];
	uint32_t count;
};

/* In the order of the choice, so that sums do not depend on who was first. */
GPU_FN void ep_find_terms(const struct ep_args *args, uint32_t token,
			  struct ep_terms *terms)
{
	const struct ep_layout *layout = &args->layout;
	uint32_t topk = (uint32_t)layout->shape.topk, k, at;
	int expert;

	terms->count = 0;
	for (k = 0; k < topk; k++) {
		expert = args->experts[token * topk + k];
		if (expert < 0 || expert >= layout->shape.experts ||
		    ep_is_dead(args, expert / layout->local_experts))
			continue;
		at = terms->count++;
		terms->weights[at] = args->weights[token * topk + k];
		terms->rows[at] =
			(const uint16_t *)(args->arena +
					   layout->answers[args->round % 2] +
					   ((uint64_t)expert *
						    (uint64_t)layout->shape
							    .max_tokens +
					    token) *
						   layout->row_bytes);
	}
}

GPU_FN void ep_sum_tokens(const struct ep_args *args)
{
	uint32_t hidden = (uint32_t)args->layout.shape.hidden, token, i, k;
	uint32_t tokens = ep_tokens(args);
	float sum;
	GPU_SHARED(struct ep_terms, terms);

	for (token = gpu_block(); token < tokens; token += gpu_blocks()) {
		if (gpu_thread() == 0)
			ep_find_terms(args, token, terms);
		gpu_sync_block();
		for (i = gpu_thread(); i < hidden; i += gpu_threads()) {
			sum = 0;
			for (k = 0; k < terms->count; k++)
				sum += terms->weights[k] *
				       bf16_to_float(terms->rows[k][i]);
			args->out[(uint64_t)token * hidden + i] =
				bf16_from_float(sum);
		}
		gpu_sync_block();
	}
}

/* y may be written again. One thread for each PE. */
GPU_FN void ep_finish_sends(const struct ep_args *args)
{
	struct gda_dev dev = args->dev;
	int pe;

	dev.timeout_ns = args->timeout_ns;
	for (pe = (int)gpu_global_thread(); pe < dev.npes;
	     pe += (int)gpu_global_threads())
		if (!ep_is_dead(args, pe))
			ep_note(args, pe, gda_dev_quiet_pe(&dev, pe));
}

GPU_KERNEL(ep_combine, struct ep_args)
{
	uint64_t begin = gda_dev_now_ns();

	if (ep_is_closed(args))
		return;
	if (args->phases & EP_SEND) {
		ep_answer(args);
		gpu_sync_block();
		ep_flush(args);
	}
	if (args->phases & EP_RECEIVE) {
		ep_wait_for_answers(args);
		ep_sync_grid(args);
		ep_sum_tokens(args);
		ep_finish_sends(args);
	}
	ep_report_time(args, begin);
}
