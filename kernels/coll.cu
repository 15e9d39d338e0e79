/* SPDX-License-Identifier: MIT */
/*
 * Collectives, direct: each PE sends its parts straight to whom they are for.
 * See coll.h.
 *
 * A message is a put with a signal behind it. Warps share out the PEs, so that
 * one warp at a time uses a queue pair and none need be shared.
 *
 * Thread: all of one block; each PE launches one.
 */
#include "kernels/coll.h"

#include "kernels/gpu.h"

GPU_FN uint64_t coll_element_bytes(const struct coll_args *args)
{
	return args->type == COLL_FLOAT ? sizeof(float) : sizeof(uint64_t);
}

GPU_FN int coll_agree(int rc)
{
	struct gda_dev_group block = gda_dev_group_block();

	return gda_dev_group_agree(&block, rc);
}

/* ---------------------------------------------------------------- messages */

/* A part for one PE, then the signal. All lanes of a warp. */
GPU_FN int coll_send(const struct coll_args *args, void *dest,
		     const void *source, uint64_t bytes, int pe)
{
	struct gda_dev_signal signal = {&args->work->arrived[args->dev.pe], 1,
					pe, GDA_DEV_SIGNAL_ADD};

	return gda_dev_put_signal_nbi_warp(&args->dev, dest, source, bytes,
					   &signal);
}

/* What to send to whom: to PE p, bytes from source + p * source_step. */
struct coll_plan {
	uint8_t *dest;
	const uint8_t *source;
	uint64_t source_step;
	uint64_t bytes;
};

/* Start with the next PE, so that not all send to the same one first. */
GPU_FN int coll_send_all(const struct coll_args *args,
			 const struct coll_plan *plan)
{
	uint32_t npes = (uint32_t)args->dev.npes, i, pe;
	int rc = 0;

	gpu_sync_block();
	for (i = gpu_warp(); !rc && i < npes; i += gpu_warps()) {
		pe = ((uint32_t)args->dev.pe + 1 + i) % npes;
		rc = coll_send(args, plan->dest,
			       plan->source + pe * plan->source_step,
			       plan->bytes, (int)pe);
	}
	rc = coll_agree(rc);
	return rc ? rc : gda_dev_flush_block(&args->dev);
}

/* One more message of each PE from first to last. */
GPU_FN int coll_receive(const struct coll_args *args, int first, int last)
{
	struct coll_work *work = args->work;
	uint32_t pe;
	int rc = 0;

	for (pe = (uint32_t)first + gpu_thread(); !rc && pe <= (uint32_t)last;
	     pe += gpu_threads())
		rc = gda_dev_wait_until_u64(&args->dev, &work->arrived[pe],
					    GDA_DEV_GE, ++work->expected[pe]);
	return coll_agree(rc);
}

/* ------------------------------------------------------------- operations */

GPU_FN int coll_broadcast(const struct coll_args *args)
{
	struct coll_plan plan = {args->dest, args->source, 0,
				 args->count * coll_element_bytes(args)};
	int rc = 0;

	if (args->dev.pe == args->root)
		rc = coll_send_all(args, &plan);
	return rc ? rc : coll_receive(args, args->root, args->root);
}

GPU_FN int coll_all_to_all(const struct coll_args *args, uint8_t *dest,
			   const uint8_t *source, uint64_t source_step)
{
	uint64_t bytes = args->count * coll_element_bytes(args);
	struct coll_plan plan = {dest + (uint64_t)args->dev.pe * bytes, source,
				 source_step, bytes};
	int rc = coll_send_all(args, &plan);

	return rc ? rc : coll_receive(args, 0, args->dev.npes - 1);
}

/* In the order of the PEs: the same bits on all of them, every time. */
GPU_FN void coll_sum(const struct coll_args *args, const uint8_t *parts,
		     uint8_t *dest)
{
	uint64_t bytes = args->count * coll_element_bytes(args), i;
	uint64_t whole;
	float real;
	int pe;

	for (i = gpu_thread(); i < args->count; i += gpu_threads()) {
		whole = 0;
		real = 0;
		for (pe = 0; pe < args->dev.npes; pe++)
			if (args->type == COLL_FLOAT)
				real += ((const float *)(parts +
							 (uint64_t)pe *
								 bytes))[i];
			else
				whole += ((const uint64_t *)(parts +
							     (uint64_t)pe *
								     bytes))[i];
		if (args->type == COLL_FLOAT)
			((float *)dest)[i] = real;
		else
			((uint64_t *)dest)[i] = whole;
	}
}

GPU_FN int coll_reduce_scatter(const struct coll_args *args, uint8_t *dest)
{
	struct coll_work *work = args->work;
	uint64_t bytes = args->count * coll_element_bytes(args);
	uint64_t half_bytes = (uint64_t)args->dev.npes * args->room;
	uint8_t *half = (uint8_t *)(work + 1) + work->round % 2 * half_bytes;
	int rc;

	if (bytes > args->room)
		return GDA_DEV_EINVAL;
	rc = coll_all_to_all(args, half, args->source, bytes);
	if (rc)
		return rc;
	coll_sum(args, half, dest);
	gpu_sync_block();
	if (gpu_thread() == 0)
		work->round++;
	return 0;
}

/* Everybody sums a part of it and tells the others. */
GPU_FN int coll_all_reduce(const struct coll_args *args)
{
	uint64_t bytes = args->count * coll_element_bytes(args);
	uint8_t *mine = args->dest + (uint64_t)args->dev.pe * bytes;
	int rc = coll_reduce_scatter(args, mine);

	return rc ? rc : coll_all_to_all(args, args->dest, mine, 0);
}

GPU_FN int coll_run(const struct coll_args *args)
{
	uint64_t bytes = args->count * coll_element_bytes(args);

	if (args->dev.npes > COLL_PES_MAX)
		return GDA_DEV_EINVAL;
	switch (args->op) {
	case COLL_BARRIER:
		return gda_dev_barrier_block(&args->dev);
	case COLL_BROADCAST:
		return coll_broadcast(args);
	case COLL_ALL_TO_ALL:
		return coll_all_to_all(args, args->dest, args->source, bytes);
	case COLL_ALL_GATHER:
		return coll_all_to_all(args, args->dest, args->source, 0);
	case COLL_REDUCE_SCATTER:
		return coll_reduce_scatter(args, args->dest);
	case COLL_ALL_REDUCE:
		return coll_all_reduce(args);
	default:
		return GDA_DEV_EINVAL;
	}
}

GPU_KERNEL(coll, struct coll_args)
{
	int rc = gda_dev_check(&args->dev);

	if (!rc)
		rc = coll_run(args);

	/* The source may be used again. */
	if (!rc)
		rc = gda_dev_quiet_block(&args->dev);
	if (gpu_thread() == 0)
		*args->code = rc;
}
