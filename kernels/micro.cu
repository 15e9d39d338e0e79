/* SPDX-License-Identifier: MIT */
/*
 * Microbenchmarks: latency, ping-pong, message rate and bandwidth of the device
 * API at every scope. See micro.h.
 *
 * Source of truth: NVSHMEM's perftest/device/pt-to-pt for what is measured.
 * Thread: all of a grid; each PE launches one.
 */
#include "kernels/micro.h"

#include "kernels/gpu.h"

/* Where this thread's part of a buffer begins. */
GPU_FN uint64_t micro_offset(const struct micro_args *args)
{
	return (uint64_t)gpu_global_thread() * args->bytes;
}

/* ------------------------------------------- one for each lane of a warp --- */

GPU_FN int micro_post_each(const struct micro_args *args,
			   const struct gda_dev *dev,
			   const struct gda_dev_group *warp)
{
	uint64_t at = micro_offset(args);
	uint64_t *word = args->words + gpu_global_thread();
	struct gda_dev_copy put = {args->dest + at, args->source + at,
				   args->bytes, args->peer, 0};
	struct gda_dev_copy get = {args->source + at, args->dest + at,
				   args->bytes, args->peer, 0};
	struct gda_dev_copy value = {word, 0, sizeof(*word), args->peer, 0};
	struct gda_dev_signal signal = {word, 1, args->peer,
					GDA_DEV_SIGNAL_ADD};
	struct gda_dev_atomic_call add = {word,	       1, 0,
					  GDA_DEV_ADD, 8, args->peer};
	uint64_t got;

	switch (args->op) {
	case MICRO_PUT:
		return gda_dev_put_each(dev, warp, &put);
	case MICRO_GET:
		return gda_dev_get_each(dev, warp, &get);
	case MICRO_P:
		return gda_dev_put_value_each(dev, warp, &value, 1);
	case MICRO_ATOMIC:
		return gda_dev_atomic_each(dev, warp, &add, false);
	case MICRO_PUT_SIGNAL:
		return gda_dev_put_signal_each(dev, warp, &put, &signal);
	default: /* a value has to be waited for */
		return gda_dev_get_value_each(dev, warp, &value, &got);
	}
}

/* Post and wait. A value is there already. */
GPU_FN int micro_wait_each(const struct micro_args *args,
			   const struct gda_dev *dev,
			   const struct gda_dev_group *warp)
{
	uint64_t *word = args->words + gpu_global_thread(), old;
	struct gda_dev_atomic_call add = {word,	       1, 0,
					  GDA_DEV_ADD, 8, args->peer};
	int rc;

	if (args->op == MICRO_ATOMIC)
		return gda_dev_atomic_fetch_each(dev, warp, &add, false, &old);
	rc = micro_post_each(args, dev, warp);
	return rc || args->op == MICRO_G
		       ? rc
		       : gda_dev_quiet_pe_warp(dev, args->peer);
}

/* ---------------------------------------------- one operation, and wait --- */

GPU_FN int micro_wait_thread(const struct micro_args *args,
			     const struct gda_dev *dev)
{
	uint64_t at = micro_offset(args), value = 0;
	uint64_t *word = args->words + gpu_global_thread();
	struct gda_dev_signal signal = {word, 1, args->peer,
					GDA_DEV_SIGNAL_ADD};
	int rc;

	switch (args->op) {
	case MICRO_PUT:
		return gda_dev_put(dev, args->dest + at, args->source + at,
				   args->bytes, args->peer);
	case MICRO_GET:
		return gda_dev_get(dev, args->dest + at, args->source + at,
				   args->bytes, args->peer);
	case MICRO_P:
		rc = gda_dev_p_u64(dev, word, value, args->peer);
		return rc ? rc : gda_dev_quiet_pe(dev, args->peer);
	case MICRO_G:
		return gda_dev_g_u64(dev, word, &value, args->peer);
	case MICRO_ATOMIC:
		return gda_dev_atomic_fetch_add_u64(dev, word, 1, args->peer,
						    &value);
	default:
		return gda_dev_put_signal(dev, args->dest + at,
					  args->source + at, args->bytes,
					  &signal);
	}
}

/* The same, led by the first thread of a warp or a block, or by each lane. */
GPU_FN int micro_wait_group(const struct micro_args *args,
			    const struct gda_dev *dev,
			    const struct gda_dev_group *group)
{
	int rc = 0;

	if (args->scope == MICRO_EACH)
		return micro_wait_each(args, dev, group);
	gda_dev_group_sync(group);
	if (group->rank == 0)
		rc = micro_wait_thread(args, dev);
	return (int)(int64_t)gda_dev_group_share(group, (uint64_t)(int64_t)rc);
}

GPU_FN struct gda_dev_group micro_group(uint32_t scope)
{
	if (scope == MICRO_THREAD)
		return gda_dev_group_thread();
	return scope == MICRO_BLOCK ? gda_dev_group_block()
				    : gda_dev_group_warp();
}

/* The first error of a block, for all of its threads. */
GPU_FN int micro_agree(int rc)
{
	struct gda_dev_group block = gda_dev_group_block();

	return gda_dev_group_agree(&block, rc);
}

/* The result of a grid: the longest time, the first error. */
GPU_FN void micro_report(const struct micro_args *args, uint64_t begin_ns,
			 uint64_t done, int rc)
{
	uint64_t ns = gda_dev_now_ns() - begin_ns;

	rc = micro_agree(rc);
	gda_order_add_counter(&args->result->done, done);
	if (gpu_thread() == 0)
		gda_order_raise_counter(&args->result->ns, ns);
	if (rc && gpu_thread() == 0)
		gda_order_store_counter_32((uint32_t *)&args->result->code,
					   (uint32_t)rc);
}

/*
 * Scope thread: thread 0 alone. Warp: warp 0. Block: all. So one operation is
 * in flight at a time.
 */
GPU_KERNEL(micro_latency, struct micro_args)
{
	struct gda_dev dev = gda_dev_lane_of_block(&args->dev);
	struct gda_dev_group group = micro_group(args->scope);
	uint64_t begin = gda_dev_now_ns();
	uint32_t i;
	int rc = 0;

	if (!args->is_idle && gpu_thread() < group.size)
		for (i = 0; !rc && i < args->rounds; i++)
			rc = micro_wait_group(args, &dev, &group);
	micro_report(args, begin,
		     gpu_thread() == 0 && !args->is_idle ? args->rounds : 0,
		     rc);
}

/* ------------------------------------------------------------- ping-pong --- */

GPU_FN bool micro_has_words(const struct micro_args *args)
{
	return args->bytes && args->bytes % sizeof(uint64_t) == 0;
}

/* What PE pe sends in a round: its first and its last word. */
GPU_FN void micro_fill(const struct micro_args *args, uint64_t round, int pe)
{
	if (!micro_has_words(args))
		return;
	*(uint64_t *)args->source = 2 * round + (uint64_t)pe;
	*(uint64_t *)(args->source + args->bytes - 8) =
		2 * round + (uint64_t)pe;
}

/* A signal of the peer was seen: its data must be there. */
GPU_FN void micro_look(const struct micro_args *args, uint64_t round)
{
	uint64_t word = 2 * round + (uint64_t)args->peer;

	if (micro_has_words(args) &&
	    (gda_order_load_signal_64(args->dest) != word ||
	     gda_order_load_signal_64(args->dest + args->bytes - 8) != word))
		gda_order_add_counter_32(&args->result->wrong, 1);
}

GPU_FN int micro_await(const struct micro_args *args, const struct gda_dev *dev,
		       uint64_t round)
{
	int rc = gda_dev_wait_until_u64(dev, args->words, GDA_DEV_GE, round);

	if (!rc)
		micro_look(args, round);
	return rc;
}

/* PE 0, or the lower one of the pair, begins. */
GPU_FN int micro_round_trip(const struct micro_args *args,
			    const struct gda_dev *dev, uint64_t round)
{
	struct gda_dev_signal signal = {args->words, round, args->peer,
					GDA_DEV_SIGNAL_SET};
	int rc = 0;

	if (dev->pe > args->peer)
		rc = micro_await(args, dev, round);
	micro_fill(args, round, dev->pe);
	if (!rc)
		rc = gda_dev_put_signal_nbi(dev, args->dest, args->source,
					    args->bytes, &signal);
	if (!rc)
		rc = gda_dev_flush(dev);
	if (!rc && dev->pe < args->peer)
		rc = micro_await(args, dev, round);
	return rc;
}

GPU_KERNEL(micro_ping_pong, struct micro_args)
{
	struct gda_dev dev = gda_dev_lane_of_block(&args->dev);
	struct gda_dev_group group = micro_group(args->scope);
	uint64_t begin = gda_dev_now_ns();
	uint32_t i;
	int rc = 0;

	for (i = 1; !rc && group.rank == gpu_thread() && i <= args->rounds;
	     i++) {
		gda_dev_group_sync(&group);
		if (group.rank == 0)
			rc = micro_round_trip(args, &dev, i);
		rc = gda_dev_group_agree(&group, rc);
	}
	rc = micro_agree(rc);
	if (!rc)
		rc = gda_dev_quiet_block(&dev);
	micro_report(args, begin, gpu_thread() == 0 ? args->rounds : 0, rc);
}

/* ----------------------------------------------- rate and bandwidth ------- */

GPU_FN int micro_post_thread(const struct micro_args *args,
			     const struct gda_dev *dev)
{
	uint64_t at = micro_offset(args);
	uint64_t *word = args->words + gpu_global_thread();
	struct gda_dev_signal signal = {word, 1, args->peer,
					GDA_DEV_SIGNAL_ADD};

	switch (args->op) {
	case MICRO_PUT:
		return gda_dev_put_nbi(dev, args->dest + at, args->source + at,
				       args->bytes, args->peer);
	case MICRO_GET:
		return gda_dev_get_nbi(dev, args->dest + at, args->source + at,
				       args->bytes, args->peer);
	case MICRO_P:
		return gda_dev_p_u64(dev, word, 1, args->peer);
	case MICRO_ATOMIC:
		return gda_dev_atomic_add_u64(dev, word, 1, args->peer);
	case MICRO_PUT_SIGNAL:
		return gda_dev_put_signal_nbi(dev, args->dest + at,
					      args->source + at, args->bytes,
					      &signal);
	default: /* a value has to be waited for */
		return micro_wait_thread(args, dev);
	}
}

GPU_FN int micro_post(const struct micro_args *args, const struct gda_dev *dev,
		      const struct gda_dev_group *group)
{
	int rc = 0;

	if (args->scope == MICRO_EACH)
		return micro_post_each(args, dev, group);
	gda_dev_group_sync(group);
	if (group->rank == 0)
		rc = micro_post_thread(args, dev);
	return (int)(int64_t)gda_dev_group_share(group, (uint64_t)(int64_t)rc);
}

/* Every thread, warp or block of the grid makes rounds operations. */
GPU_KERNEL(micro_rate, struct micro_args)
{
	struct gda_dev dev = gda_dev_lane_of_block(&args->dev);
	struct gda_dev_group group = micro_group(args->scope);
	uint32_t posts = args->scope == MICRO_EACH || group.rank == 0;
	uint64_t begin = gda_dev_now_ns();
	uint32_t i;
	int rc = 0;

	for (i = 0; !rc && !args->is_idle && i < args->rounds; i++)
		rc = micro_post(args, &dev, &group);
	rc = micro_agree(rc);
	if (!rc)
		rc = gda_dev_quiet_block(&dev);
	micro_report(args, begin, posts && !args->is_idle ? args->rounds : 0,
		     rc);
}
