/* SPDX-License-Identifier: MIT */
/*
 * Dispatch: tokens to their experts. See ep.h.
 *
 * Send: a block takes a token, its warps quantise it into one message, then
 * each sends it to one of the experts. When all tokens are under way, every
 * expert is told how many there were, behind them in the same queue pair.
 *
 * Receive: a warp takes one PE's messages for one local expert, waits for
 * their count and packs them into the expert's rows.
 *
 * Thread: all of a grid; each PE launches one.
 */
#include "kernels/ep_dev.h"
#include "kernels/fp8.h"

/* ------------------------------------------------------------------- send */

/* The next round's words: nobody has used them since two rounds ago, and no
 * peer will before it has this round's counts. */
GPU_FN void ep_clear_next(const struct ep_args *args)
{
	const struct ep_layout *layout = &args->layout;
	uint32_t next = (args->round + 1) % 2;
	uint32_t experts = (uint32_t)layout->shape.experts, i;

	for (i = gpu_global_thread(); i < experts; i += gpu_global_threads()) {
		ep_words(args, layout->counts[next])[i] = 0;
		ep_words(args, layout->flags[next])[i] = 0;
		ep_counters(args, layout->slots[next])[i] = 0;
		ep_counters(args, layout->packed[next])[i] = 0;
	}
}

/* 128 channels by the lanes of a warp, four each: e4m3, and their scale. */
GPU_FN void ep_quantise(const struct ep_args *args, const uint16_t *x,
			uint8_t *payload, float *scales, uint32_t group)
{
	uint32_t hidden = (uint32_t)args->layout.shape.hidden, i;
	uint32_t first = group * EP_GROUP + gpu_lane() * 4;
	float values[4], largest = 1e-4f, scale;

	for (i = 0; i < 4; i++) {
		values[i] =
			first + i < hidden ? bf16_to_float(x[first + i]) : 0;
		if (values[i] > largest)
			largest = values[i];
		if (-values[i] > largest)
			largest = -values[i];
	}
	largest = gpu_warp_max(largest);
	scale = FP8_MAX / largest;
	for (i = 0; i < 4 && first + i < hidden; i++)
		payload[first + i] = fp8_from_float(values[i] * scale);
	if (gpu_lane() == 0)
		scales[group] = largest / FP8_MAX;
}

/* All threads of a block. */
GPU_FN void ep_build_message(const struct ep_args *args, uint32_t token,
			     uint8_t *message)
{
	const struct ep_layout *layout = &args->layout;
	uint32_t hidden = (uint32_t)layout->shape.hidden, i;
	const uint16_t *x = args->x + (uint64_t)token * hidden;
	uint8_t *payload = message + EP_HEADER_BYTES;
	float *scales = (float *)(payload + layout->payload_bytes);

	if (gpu_thread() == 0)
		*(int32_t *)message = (int32_t)token;
	if (layout->shape.is_fp8)
		for (i = gpu_warp(); i < (uint32_t)layout->groups;
		     i += gpu_warps())
			ep_quantise(args, x, payload, scales, i);
	else
		for (i = gpu_thread(); i < hidden; i += gpu_threads())
			((uint16_t *)payload)[i] = x[i];
}

/* One message to one expert, by a warp. */
GPU_FN void ep_send_to(const struct ep_args *args, const uint8_t *message,
		       int expert)
{
	const struct ep_layout *layout = &args->layout;
	uint32_t odd = args->round % 2;
	int local = expert % layout->local_experts;
	int pe = expert / layout->local_experts;
	struct gda_dev dev = ep_lane(args, local);
	uint64_t slot = 0, place;
	int rc;

	if (gpu_lane() == 0)
		slot = gda_order_add_counter_32(
			&ep_counters(args, layout->slots[odd])[expert], 1);
	slot = gpu_shfl(GPU_ALL_LANES, slot, 0);
	place = ((uint64_t)local * (uint64_t)layout->shape.npes +
		 (uint64_t)args->dev.pe) *
			(uint64_t)layout->shape.max_tokens +
		slot;
	rc = gda_dev_put_nbi_warp(&dev,
				  args->arena + layout->receive[odd] +
					  place * layout->message_bytes,
				  message, layout->message_bytes, pe);
	if (gpu_lane() == 0)
		ep_note(args, pe, rc);
}

/* Is this one to be sent to? The same answer for all lanes of a warp. */
GPU_FN bool ep_takes(const struct ep_args *args, int expert)
{
	const struct ep_layout *layout = &args->layout;
	uint64_t takes = 0;

	if (gpu_lane() == 0 && expert >= 0 && expert < layout->shape.experts)
		takes = !ep_is_dead(args, expert / layout->local_experts);
	return gpu_shfl(GPU_ALL_LANES, takes, 0) != 0;
}

GPU_FN void ep_send_tokens(const struct ep_args *args)
{
	const struct ep_layout *layout = &args->layout;
	uint32_t topk = (uint32_t)layout->shape.topk, token, k;
	uint32_t tokens = ep_tokens(args);
	uint8_t *message;
	int expert;

	for (token = gpu_block(); token < tokens; token += gpu_blocks()) {
		message = args->arena + layout->send[args->round % 2] +
			  token * layout->message_bytes;
		ep_build_message(args, token, message);
		gpu_sync_block();
		for (k = gpu_warp(); k < topk; k += gpu_warps()) {
			expert = args->experts[token * topk + k];
			if (ep_takes(args, expert))
				ep_send_to(args, message, expert);
		}
	}
}

/* One thread an expert. +1, so that none is not the same as no answer. */
GPU_FN void ep_send_counts(const struct ep_args *args)
{
	const struct ep_layout *layout = &args->layout;
	uint32_t odd = args->round % 2, npes = (uint32_t)layout->shape.npes;
	uint32_t *slots = ep_counters(args, layout->slots[odd]);
	uint64_t *counts = ep_words(args, layout->counts[odd]);
	int expert, local, pe;
	struct gda_dev dev;

	for (expert = (int)gpu_global_thread(); expert < layout->shape.experts;
	     expert += (int)gpu_global_threads()) {
		local = expert % layout->local_experts;
		pe = expert / layout->local_experts;
		if (ep_is_dead(args, pe))
			continue;
		dev = ep_lane(args, local);
		ep_signal(args, &dev,
			  &counts[(uint32_t)local * npes +
				  (uint32_t)args->dev.pe],
			  gda_order_load_counter_32(&slots[expert]) + 1ull, pe);
	}
}

/* ---------------------------------------------------------------- receive */

/* One message into one row, by a warp. */
GPU_FN void ep_unpack(const struct ep_args *args, const uint8_t *message,
		      uint64_t row)
{
	const struct ep_layout *layout = &args->layout;
	const uint64_t *payload = (const uint64_t *)(message + EP_HEADER_BYTES);
	const float *scales = (const float *)(message + EP_HEADER_BYTES +
					      layout->payload_bytes);
	uint64_t *to = (uint64_t *)(args->rows + row * layout->payload_bytes);
	uint32_t groups = (uint32_t)layout->groups, i;

	for (i = gpu_lane(); i < layout->payload_bytes / 8; i += GPU_WARP)
		to[i] = payload[i];
	for (i = gpu_lane(); layout->shape.is_fp8 && i < groups; i += GPU_WARP)
		args->scales[row * groups + i] = scales[i];
	if (gpu_lane() == 0)
		args->sources[row] = *(const int32_t *)message;
}

/* What one PE has sent to one local expert. */
GPU_FN void ep_receive_pair(const struct ep_args *args, uint32_t local,
			    uint32_t pe)
{
	const struct ep_layout *layout = &args->layout;
	uint32_t odd = args->round % 2, npes = (uint32_t)layout->shape.npes, i;
	uint64_t pair = (uint64_t)local * npes + pe;
	uint64_t tokens = (uint64_t)layout->shape.max_tokens;
	const uint8_t *message = args->arena + layout->receive[odd] +
				 pair * tokens * layout->message_bytes;
	uint64_t *word = &ep_words(args, layout->counts[odd])[pair];
	uint32_t *packed = &ep_counters(args, layout->packed[odd])[local];
	struct ep_range range = {0, 0};
	uint64_t seen = 0;

	if (gpu_lane() == 0) {
		seen = ep_wait(args, word, (int)pe);
		range.count = seen ? (uint32_t)seen - 1 : 0;
		range.begin = gda_order_add_counter_32(packed, range.count);
		args->ranges[pair] = range;
	}
	/* What the leader has waited for is there for all lanes. */
	gpu_sync_warp(GPU_ALL_LANES);
	range.count = (uint32_t)gpu_shfl(GPU_ALL_LANES, range.count, 0);
	range.begin = (uint32_t)gpu_shfl(GPU_ALL_LANES, range.begin, 0);
	for (i = 0; i < range.count; i++)
		ep_unpack(args, message + i * layout->message_bytes,
			  local * npes * tokens + range.begin + i);
}

GPU_FN void ep_receive(const struct ep_args *args)
{
	uint32_t npes = (uint32_t)args->layout.shape.npes;
	uint32_t pairs = (uint32_t)args->layout.local_experts * npes, i;

	for (i = ep_warp(); i < pairs; i += ep_warps())
		ep_receive_pair(args, i / npes, i % npes);
}

GPU_KERNEL(ep_dispatch, struct ep_args)
{
	uint64_t begin = gda_dev_now_ns();

	if (ep_is_closed(args))
		return;
	if (args->phases & EP_SEND) {
		ep_clear_next(args);
		ep_send_tokens(args);
		ep_sync_grid(args);
		ep_send_counts(args);
		ep_flush(args);
	}
	if (args->phases & EP_RECEIVE)
		ep_receive(args);
	ep_report_time(args, begin);
}
