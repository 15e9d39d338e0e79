/* SPDX-License-Identifier: MIT */
/*
 * Expert parallelism: where things lie. See ep.h.
 *
 * Thread: any.
 */
#include "kernels/ep.h"

#include <errno.h>
#include <string.h>

static uint64_t pad(uint64_t bytes, uint64_t to)
{
	return (bytes + to - 1) / to * to;
}

/* Take bytes for even and odd rounds, each on cache lines of its own. */
static void take(struct ep_layout *layout, uint64_t offsets[2], uint64_t bytes)
{
	int i;

	for (i = 0; i < 2; i++) {
		offsets[i] = layout->bytes;
		layout->bytes += pad(bytes, 128);
	}
}

int ep_layout(const struct ep_shape *shape, struct ep_layout *layout)
{
	uint64_t experts = (uint64_t)shape->experts;
	uint64_t hidden = (uint64_t)shape->hidden;
	uint64_t tokens = (uint64_t)shape->max_tokens;

	if (shape->npes < 1 || shape->experts < 1 || shape->hidden < 1 ||
	    shape->max_tokens < 1 || shape->topk < 1 ||
	    shape->topk > EP_TOPK_MAX || shape->experts % shape->npes)
		return -EINVAL;
	memset(layout, 0, sizeof(*layout));
	layout->shape = *shape;
	layout->local_experts = shape->experts / shape->npes;
	layout->groups = (shape->hidden + EP_GROUP - 1) / EP_GROUP;
	layout->payload_bytes = pad(hidden * (shape->is_fp8 ? 1 : 2), 16);
	if (shape->is_fp8)
		layout->scale_bytes = pad((uint64_t)layout->groups * 4, 16);
	layout->message_bytes =
		EP_HEADER_BYTES + layout->payload_bytes + layout->scale_bytes;
	layout->row_bytes = pad(hidden * 2, 16);
	take(layout, layout->counts, experts * 8);
	take(layout, layout->flags, experts * 8);
	take(layout, layout->slots, experts * 4);
	take(layout, layout->packed, experts * 4);
	layout->barrier = layout->bytes;
	layout->bytes += 128;
	take(layout, layout->send, tokens * layout->message_bytes);
	take(layout, layout->receive, experts * tokens * layout->message_bytes);
	take(layout, layout->answers, experts * tokens * layout->row_bytes);
	return 0;
}
