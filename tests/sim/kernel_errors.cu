/* SPDX-License-Identifier: MIT */
/*
 * Kernels that do what they should not, and note what every thread is told.
 * For test_kernel_errors.c, on the SIMT runner and on a GPU.
 */
#include "kernel_errors.h"

#include "kernels/gpu.h"

/* The same, of operations with a result, which stays as it was. */
GPU_FN int errors_fetch(const struct errors_args *args)
{
	const struct gda_dev *dev = &args->dev;
	struct gda_dev_group warp = gda_dev_group_warp();
	struct gda_dev_group block = gda_dev_group_block();
	uint64_t *at = args->memory + gpu_lane(), value = 77;
	uint32_t is_bad = gpu_lane() == 7;
	struct gda_dev_copy copy = {at, 0, 8, 1, 0};
	struct gda_dev_atomic_call atomic = {at, 1, 0, GDA_DEV_ADD, 8, 1};
	int rc;

	if (is_bad && args->kind == WRONG_GET_VALUE)
		copy.len = 9;
	if (is_bad && args->kind == WRONG_GET_ADDRESS)
		copy.sym = args->codes;
	if (is_bad && args->kind == WRONG_GET_BLOCK)
		copy.pe = 0;
	if (is_bad && args->kind == WRONG_FETCH)
		atomic.dest = (uint8_t *)at + 4;
	if (is_bad && args->kind == WRONG_FETCH_LENGTH)
		atomic.len = 2;
	if (is_bad && args->kind == WRONG_FETCHES)
		atomic.kind = GDA_DEV_SWAP;
	if (args->kind == WRONG_GET_VALUE)
		rc = gda_dev_get_value_each(dev, &warp, &copy, &value);
	else if (args->kind < WRONG_FETCH)
		rc = gda_dev_get_value_each(dev, &block, &copy, &value);
	else
		rc = gda_dev_atomic_fetch_each(dev, &warp, &atomic, false,
					       &value);
	return value == 77 ? rc : 1;
}

GPU_FN int errors_call(const struct errors_args *args)
{
	const struct gda_dev *dev = &args->dev;
	struct gda_dev_group warp = gda_dev_group_warp();
	struct gda_dev_group block = gda_dev_group_block();
	uint64_t *at = args->memory + gpu_lane();
	uint32_t is_bad = gpu_lane() == 7;
	struct gda_dev_copy copy = {at, at, 8, 1, 0};
	struct gda_dev_signal signal = {args->memory, 1, 1, GDA_DEV_SIGNAL_ADD};
	struct gda_dev_atomic_call atomic = {at, 1, 0, GDA_DEV_ADD, 8, 1};

	switch (args->kind) {
	case WRONG_PE:
		copy.pe = is_bad ? dev->npes : 1;
		return gda_dev_put_each(dev, &warp, &copy);
	case WRONG_ADDRESS:
		copy.sym = is_bad ? (void *)args->codes : (void *)at;
		return gda_dev_get_each(dev, &warp, &copy);
	case WRONG_LENGTH:
		copy.len = is_bad ? GDA_DEV_CHUNK_BYTES + 1 : 8;
		return gda_dev_put_each(dev, &block, &copy);
	case WRONG_BLOCK:
		copy.pe = is_bad ? 0 : 1;
		return gda_dev_put_each(dev, &block, &copy);
	case WRONG_SIGNALS:
		signal.op = is_bad ? GDA_DEV_SIGNAL_SET : GDA_DEV_SIGNAL_ADD;
		return gda_dev_put_signal_each(dev, &warp, &copy, &signal);
	case WRONG_SIGNAL_PE:
		signal.pe = is_bad ? 0 : 1;
		return gda_dev_put_signal_each(dev, &warp, &copy, &signal);
	case WRONG_VALUE:
		copy.len = is_bad ? 9 : 8;
		return gda_dev_put_value_each(dev, &warp, &copy, 1);
	case WRONG_ALIGNMENT:
		atomic.dest = (uint8_t *)at + (is_bad ? 4 : 0);
		return gda_dev_atomic_each(dev, &warp, &atomic, false);
	case WRONG_GET_VALUE:
	case WRONG_GET_ADDRESS:
	case WRONG_GET_BLOCK:
	case WRONG_FETCH:
	case WRONG_FETCH_LENGTH:
	case WRONG_FETCHES:
		return errors_fetch(args);
	case WRONG_LED:
		return gda_dev_put_nbi_warp(dev, at, at, 8, -1);
	default:
		return gda_dev_put_block(dev, args->memory, args->codes, 8, 1);
	}
}

GPU_KERNEL(wrong_call, struct errors_args)
{
	args->codes[gpu_global_thread()] = errors_call(args);
}

/* All blocks on one queue pair: most threads wait when it breaks. */
GPU_KERNEL(post_until_broken, struct errors_args)
{
	struct gda_dev_group block = gda_dev_group_block();
	uint64_t *at = args->memory + gpu_thread() % ERRORS_WORDS;
	struct gda_dev_copy copy = {at, at, 8, 1, 0};
	int round, rc = 0;

	for (round = 0; !rc && round < args->posts; round++)
		rc = gda_dev_put_each(&args->dev, &block, &copy);
	if (!rc)
		rc = gda_dev_quiet_block(&args->dev);
	args->codes[gpu_global_thread()] = rc;
	if (gpu_global_thread() == 0)
		gda_dev_qp_error(&args->dev, 1, 0, args->error);
}

GPU_KERNEL(wait_in_vain, struct errors_args)
{
	args->codes[gpu_global_thread()] = gda_dev_wait_until_u64_block(
		&args->dev, args->memory, GDA_DEV_EQ, 1);
}

GPU_FN int errors_call_late(const struct errors_args *args)
{
	const struct gda_dev *dev = &args->dev;
	struct gda_dev_group warp = gda_dev_group_warp();
	uint64_t *at = args->memory + gpu_lane(), value;
	struct gda_dev_copy copy = {at, at, 8, 1, 0};
	struct gda_dev_atomic_call atomic = {at, 1, 0, GDA_DEV_ADD, 8, 1};

	switch (args->kind) {
	case LATE_PUT_EACH:
		return gda_dev_put_each(dev, &warp, &copy);
	case LATE_PUT:
		return gda_dev_put(dev, at, at, 8, 1);
	case LATE_GET_BLOCK:
		return gda_dev_get_block(dev, at, args->memory, 8, 1);
	case LATE_FETCH:
		return gda_dev_atomic_fetch_add_u64(dev, at, 1, 1, &value);
	case LATE_FETCH_EACH:
		return gda_dev_atomic_fetch_each(dev, &warp, &atomic, false,
						 &value);
	case LATE_GET_VALUE_EACH:
		return gda_dev_get_value_each(dev, &warp, &copy, &value);
	case LATE_WAIT:
		return gda_dev_wait_until_u64(dev, at, GDA_DEV_EQ, 1);
	case LATE_QUIET:
		return gda_dev_quiet(dev);
	default:
		return gda_dev_barrier_block(dev);
	}
}

GPU_KERNEL(call_too_late, struct errors_args)
{
	args->codes[gpu_global_thread()] = errors_call_late(args);
}
