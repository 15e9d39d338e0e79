/* SPDX-License-Identifier: MIT */
/*
 * Cycles that posting costs, by the stack and by bare stores. See post.h.
 *
 * The clock is read when an instruction is issued: what a store or a fence
 * makes the thread wait for is counted, what happens behind its back is not.
 *
 * Thread: all of a grid of one block.
 */
#include "kernels/post.h"

#include "kernels/gpu.h"

/* ------------------------------------------------------------ by the stack */

/* Each operation as the leader of a group calls it. suffix: nothing, _warp or
 * _block. */
#define POST_CALLS(scope, suffix)                                              \
	GPU_FN int post_call_put_##scope(const struct post_args *args,         \
					 const struct gda_dev *dev)            \
	{                                                                      \
		return gda_dev_put_nbi##suffix(dev, args->dest, args->source,  \
					       args->bytes, args->peer);       \
	}                                                                      \
	GPU_FN int post_call_p_##scope(const struct post_args *args,           \
				       const struct gda_dev *dev)              \
	{                                                                      \
		return gda_dev_p_u64##suffix(dev, args->words, 1, args->peer); \
	}                                                                      \
	GPU_FN int post_call_atomic_##scope(const struct post_args *args,      \
					    const struct gda_dev *dev)         \
	{                                                                      \
		return gda_dev_atomic_add_u64##suffix(dev, args->words, 1,     \
						      args->peer);             \
	}                                                                      \
	GPU_FN int post_call_put_signal_##scope(const struct post_args *args,  \
						const struct gda_dev *dev)     \
	{                                                                      \
		struct gda_dev_signal signal = {args->words, 1, args->peer,    \
						GDA_DEV_SIGNAL_ADD};           \
                                                                               \
		return gda_dev_put_signal_nbi##suffix(                         \
			dev, args->dest, args->source, args->bytes, &signal);  \
	}

POST_CALLS(thread, )
POST_CALLS(warp, _warp)
POST_CALLS(block, _block)

/* What this lane puts. */
GPU_FN struct gda_dev_copy post_copy(const struct post_args *args)
{
	uint64_t at = (uint64_t)gpu_thread() * args->bytes;
	struct gda_dev_copy copy = {args->dest + at, args->source + at,
				    args->bytes, args->peer, 0};

	return copy;
}

GPU_FN int post_call_put_each(const struct post_args *args,
			      const struct gda_dev *dev)
{
	struct gda_dev_group warp = gda_dev_group_warp();
	struct gda_dev_copy copy = post_copy(args);

	return gda_dev_put_each(dev, &warp, &copy);
}

GPU_FN int post_call_p_each(const struct post_args *args,
			    const struct gda_dev *dev)
{
	struct gda_dev_group warp = gda_dev_group_warp();
	struct gda_dev_copy copy = {args->words + gpu_thread(), 0, 8,
				    args->peer, 0};

	return gda_dev_put_value_each(dev, &warp, &copy, 1);
}

GPU_FN int post_call_atomic_each(const struct post_args *args,
				 const struct gda_dev *dev)
{
	struct gda_dev_group warp = gda_dev_group_warp();
	struct gda_dev_atomic_call call = {
		args->words + gpu_thread(), 1, 0, GDA_DEV_ADD, 8, args->peer};

	return gda_dev_atomic_each(dev, &warp, &call, false);
}

GPU_FN int post_call_put_signal_each(const struct post_args *args,
				     const struct gda_dev *dev)
{
	struct gda_dev_group warp = gda_dev_group_warp();
	struct gda_dev_copy copy = post_copy(args);
	struct gda_dev_signal signal = {args->words + gpu_thread(), 1,
					args->peer, GDA_DEV_SIGNAL_ADD};

	return gda_dev_put_signal_each(dev, &warp, &copy, &signal);
}

/* All members of the group have the same rc, so they leave together. */
#define POST_KERNEL(op, scope, suffix)                                         \
	GPU_KERNEL(post_##op##_##scope, struct post_args)                      \
	{                                                                      \
		struct gda_dev dev = gda_dev_lane(&args->dev, 0);              \
		uint64_t begin, cycles;                                        \
		uint32_t run, i;                                               \
		int rc = 0;                                                    \
                                                                               \
		for (run = 0; !rc && run < args->runs; run++) {                \
			begin = gpu_cycles();                                  \
			for (i = 0; !rc && i < args->calls; i++)               \
				rc = post_call_##op##_##scope(args, &dev);     \
			if (!rc)                                               \
				rc = gda_dev_flush##suffix(&dev);              \
			cycles = gpu_cycles() - begin;                         \
			if (gpu_thread() == 0)                                 \
				args->cycles[run] = cycles;                    \
			if (!rc)                                               \
				rc = gda_dev_quiet_pe##suffix(&dev,            \
							      args->peer);     \
		}                                                              \
		if (gpu_thread() == 0)                                         \
			*args->code = rc;                                      \
	}
#define POST_KERNELS(op)                                                       \
	POST_KERNEL(op, thread, )                                              \
	POST_KERNEL(op, warp, _warp)                                           \
	POST_KERNEL(op, block, _block)                                         \
	POST_KERNEL(op, each, _warp)

POST_KERNELS(put)
POST_KERNELS(p)
POST_KERNELS(atomic)
POST_KERNELS(put_signal)

/* --------------------------------------------------------- by bare stores */

/* Three segments that differ from call to call, as those of a WQE do. */
GPU_FN void post_bare_wqe(const struct post_floor_args *args, uint64_t index)
{
	uint8_t *to = args->ring + (index & (args->depth - 1)) * HW_WQE_BB;
	uint64_t segment[2] = {index, (uint64_t)(uintptr_t)to};

	gda_order_store_segment(to, segment);
	gda_order_store_segment(to + HW_WQE_DS, segment);
	gda_order_store_segment(to + 2 * HW_WQE_DS, segment);
}

GPU_FN void post_bare_ring(const struct post_floor_args *args, uint32_t index)
{
	be32 record = hw_dbrec_encode(index);

	if (args->fences == POST_TWO_SYS) {
		gda_order_wqe_before_record(args->record, record);
		gda_order_record_before_register(args->reg, index);
	} else if (args->fences == POST_TWO_GPU) {
		gda_order_wqe_before_record_gpu(args->record, record);
		gda_order_record_before_register_gpu(args->reg, index);
	} else {
		gda_order_unordered_record(args->record, record);
		if (args->fences == POST_ONE_SYS)
			gda_order_record_before_register(args->reg, index);
		else
			gda_order_unordered_register(args->reg, index);
	}
}

GPU_KERNEL(post_floor, struct post_floor_args)
{
	struct gda_dev_group warp = gda_dev_group_warp();
	uint32_t run, i, index = 0;
	uint64_t begin;

	for (run = 0; run < args->runs; run++) {
		begin = gpu_cycles();
		for (i = 0; i < args->calls; i++) {
			post_bare_wqe(args, index + warp.rank);
			index += warp.size;
			gda_dev_group_sync(&warp);
			if (warp.rank == 0 && (i + 1) % args->batch == 0)
				post_bare_ring(args, index);
		}
		if (warp.rank == 0)
			args->cycles[run] = gpu_cycles() - begin;
	}
}

/* A look takes about a microsecond, so this many are some seconds. */
enum { POST_LOOKS_MAX = 1 << 22 };

GPU_KERNEL(post_echo, struct post_echo_args)
{
	uint64_t begin = gda_dev_now_ns();
	uint32_t round, looks = 0;

	for (round = 1; round <= args->rounds; round++) {
		gda_order_store_for_host(args->ask, round);
		for (looks = 0; looks < POST_LOOKS_MAX; looks++)
			if (gda_order_load_signal_64(args->answer) == round)
				break;
		if (looks == POST_LOOKS_MAX)
			break;
	}
	*args->ns = gda_dev_now_ns() - begin;
	*args->code = round <= args->rounds ? GDA_DEV_ETIMEDOUT : 0;
}
