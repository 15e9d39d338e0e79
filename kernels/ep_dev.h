/* SPDX-License-Identifier: MIT */
/*
 * What the two kernels of expert parallelism have in common.
 *
 * Thread: all of a grid.
 */
#ifndef EP_DEV_H
#define EP_DEV_H

#include "kernels/ep.h"
#include "kernels/gpu.h"

/* Warps of the grid, and this thread's among them. */
GPU_FN uint32_t ep_warp(void)
{
	return gpu_block() * gpu_warps() + gpu_warp();
}

GPU_FN uint32_t ep_warps(void)
{
	return gpu_blocks() * gpu_warps();
}

GPU_FN uint64_t *ep_words(const struct ep_args *args, uint64_t offset)
{
	return (uint64_t *)(args->arena + offset);
}

GPU_FN uint32_t *ep_counters(const struct ep_args *args, uint64_t offset)
{
	return (uint32_t *)(args->arena + offset);
}

GPU_FN bool ep_is_dead(const struct ep_args *args, int pe)
{
	return gda_order_load_counter_32((const uint32_t *)&args->dead[pe]) !=
	       0;
}

/* A PE that failed is dead; any other error is the caller's. */
GPU_FN void ep_note(const struct ep_args *args, int pe, int rc)
{
	if (rc == GDA_DEV_EIO || rc == GDA_DEV_ETIMEDOUT)
		gda_order_store_counter_32((uint32_t *)&args->dead[pe], 1);
	else if (rc)
		gda_order_store_counter_32((uint32_t *)args->code,
					   (uint32_t)rc);
}

/* The handle for what one expert of any PE sends and receives. */
GPU_FN struct gda_dev ep_lane(const struct ep_args *args, int local_expert)
{
	struct gda_dev dev =
		gda_dev_lane(&args->dev, local_expert % args->dev.lanes);

	dev.timeout_ns = args->timeout_ns;
	return dev;
}

/* Add to a word of a PE, behind what was put there through this lane. */
GPU_FN void ep_signal(const struct ep_args *args, const struct gda_dev *dev,
		      uint64_t *word, uint64_t value, int pe)
{
	ep_note(args, pe, gda_dev_atomic_add_u64(dev, word, value, pe));
}

/*
 * Wait until a word of this PE is not 0. Returns it, or 0 if the PE that it
 * comes from is dead. One thread.
 */
GPU_FN uint64_t ep_wait(const struct ep_args *args, const uint64_t *word,
			int pe)
{
	struct gda_dev dev = args->dev;
	uint64_t seen = 0;
	int rc;

	if (ep_is_dead(args, pe))
		return 0;
	dev.timeout_ns = args->timeout_ns;
	rc = gda_dev_signal_wait_until(&dev, word, GDA_DEV_NE, 0, &seen);
	ep_note(args, pe, rc);
	return rc ? 0 : seen;
}

/* Begin what batching has held back. All threads of a block. */
GPU_FN void ep_flush(const struct ep_args *args)
{
	int rc = gda_dev_flush_block(&args->dev);

	if (rc && gpu_thread() == 0)
		ep_note(args, args->dev.pe, rc);
}

/* The arena may be gone with the handle's context: then only say so. */
GPU_FN bool ep_is_closed(const struct ep_args *args)
{
	int rc = gda_dev_check(&args->dev);

	if (rc && gpu_thread() == 0)
		gda_order_store_counter_32((uint32_t *)args->code,
					   (uint32_t)rc);
	return rc != 0;
}

/* A block may be waiting for all PEs, one after the other. */
GPU_FN void ep_sync_grid(const struct ep_args *args)
{
	struct gpu_grid_barrier *barrier =
		(struct gpu_grid_barrier *)(args->arena + args->layout.barrier);
	struct gda_dev dev = args->dev;
	int rc;

	if (dev.timeout_ns)
		dev.timeout_ns += (uint64_t)dev.npes * args->timeout_ns;
	rc = gpu_sync_grid(&dev, barrier);
	if (rc && gpu_thread() == 0)
		gda_order_store_counter_32((uint32_t *)args->code,
					   (uint32_t)rc);
}

/* The last of a kernel, by all threads of a block. */
GPU_FN void ep_report_time(const struct ep_args *args, uint64_t begin_ns)
{
	if (!args->ns)
		return;
	gpu_sync_block();
	if (gpu_thread() == 0)
		gda_order_raise_counter(args->ns, gda_dev_now_ns() - begin_ns);
}

/* 0 if there are more than the arena has room for. */
GPU_FN uint32_t ep_tokens(const struct ep_args *args)
{
	if (args->tokens <= (uint32_t)args->layout.shape.max_tokens)
		return args->tokens;
	ep_note(args, args->dev.pe, GDA_DEV_EINVAL);
	return 0;
}

#endif
