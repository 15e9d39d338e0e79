/* SPDX-License-Identifier: MIT */
/*
 * Sparse embeddings: gather, pool, and tell the host. See embedding.h.
 *
 * The 32 lanes of a warp look up 32 rows of a bag at a time: each finds where
 * its row is, or gets it into a place of its own, all gets of a PE behind one
 * doorbell. Then the lanes share out the channels and add up the rows.
 *
 * Thread: all of a grid; PEs need not launch at the same time.
 */
#include "kernels/embedding.h"

#include "kernels/gpu.h"

#define EMBEDDING_FILLING (~0ull)

GPU_FN void embedding_note(const struct embedding_args *args, int rc)
{
	if (rc)
		gda_order_store_counter_32((uint32_t *)args->code,
					   (uint32_t)rc);
}

/* Where one lane's row is. */
struct embedding_row {
	const float *at; /* NULL: nowhere */
	uint64_t number;
	bool is_missed; /* at is the lane's place of staging */
};

/* ---------------------------------------------------------------- the cache */

GPU_FN const float *embedding_cached(const struct embedding_args *args,
				     uint64_t number)
{
	const struct embedding_cache *cache = &args->cache;
	uint64_t place = number & (cache->count - 1ull);

	if (!cache->count ||
	    gda_order_load_counter(&cache->tags[place]) != number + 1)
		return 0;
	return cache->rows + place * args->dims;
}

/* Is it hot, and has this lane taken the place for it? */
GPU_FN bool embedding_admit(const struct embedding_args *args,
			    const struct embedding_row *row)
{
	const struct embedding_cache *cache = &args->cache;
	uint64_t place = row->number & (cache->count - 1ull);

	if (!row->is_missed || !cache->count)
		return false;
	if (gda_order_load_counter(&cache->candidates[place]) !=
	    row->number + 1) {
		gda_order_store_counter(&cache->candidates[place],
					row->number + 1);
		return false;
	}
	return gda_order_cas_counter(&cache->tags[place], 0, EMBEDDING_FILLING);
}

/* The warp copies the rows that its lanes have found a place for. */
GPU_FN void embedding_keep(const struct embedding_args *args,
			   const struct embedding_row *row)
{
	uint32_t admitted =
		gpu_ballot(GPU_ALL_LANES, embedding_admit(args, row));
	uint64_t number, place;
	const float *from;
	uint32_t lane, i;

	for (; admitted; admitted &= admitted - 1) {
		lane = gda_dev_lowest_bit(admitted);
		number = gpu_shfl(GPU_ALL_LANES, row->number, lane);
		from = (const float *)(uintptr_t)gpu_shfl(
			GPU_ALL_LANES, (uintptr_t)row->at, lane);
		place = number & (args->cache.count - 1ull);
		for (i = gpu_lane(); i < args->dims; i += GPU_WARP)
			args->cache.rows[place * args->dims + i] = from[i];
		gpu_sync_warp(GPU_ALL_LANES);
		if (gpu_lane() == 0)
			gda_order_store_counter(&args->cache.tags[place],
						number + 1);
	}
}

/* --------------------------------------------------------------- the lookup */

/* This lane's row: here, in the cache, or to be fetched. */
GPU_FN void embedding_find(const struct embedding_args *args, uint64_t number,
			   struct embedding_row *row)
{
	uint64_t npes = (uint64_t)args->dev.npes;

	row->number = number;
	row->is_missed = false;
	if (number >= args->rows) {
		embedding_note(args, GDA_DEV_EINVAL);
		return;
	}
	if ((int)(number % npes) == args->dev.pe) {
		row->at = args->table + number / npes * args->dims;
		gda_order_add_counter(&args->counts->local, 1);
		return;
	}
	row->at = embedding_cached(args, number);
	if (row->at) {
		gda_order_add_counter(&args->counts->hit, 1);
		return;
	}
	row->at = args->staging + (uint64_t)gpu_global_thread() * args->dims;
	row->is_missed = true;
	gda_order_add_counter(&args->counts->missed, 1);
}

/* Get the rows that the lanes have missed. */
GPU_FN int embedding_fetch(const struct embedding_args *args,
			   const struct embedding_row *row)
{
	struct gda_dev_group warp = gda_dev_group_warp();
	struct gda_dev dev = gda_dev_lane_of_warp(&args->dev);
	uint64_t npes = (uint64_t)dev.npes;
	struct gda_dev_copy copy = {args->table, row->at, 0, 0, 0};
	int rc;

	if (!gpu_any(GPU_ALL_LANES, row->is_missed))
		return 0;
	if (row->is_missed) {
		copy.sym = args->table + row->number / npes * args->dims;
		copy.len = args->dims * sizeof(float);
		copy.pe = (int)(row->number % npes);
	}
	rc = gda_dev_get_each(&dev, &warp, &copy);
	return rc ? rc : gda_dev_quiet_warp(&dev);
}

/* Add up to 32 rows to a sum, in their order. */
GPU_FN void embedding_add(const struct embedding_args *args,
			  const struct embedding_row *row, float *sum)
{
	uint32_t first, i, lane;
	const float *from;
	float value;

	for (first = 0; first < args->dims; first += GPU_WARP) {
		i = first + gpu_lane();
		value = i < args->dims ? sum[i] : 0;
		for (lane = 0; lane < GPU_WARP; lane++) {
			from = (const float *)(uintptr_t)gpu_shfl(
				GPU_ALL_LANES, (uintptr_t)row->at, lane);
			if (from && i < args->dims)
				value += from[i];
		}
		if (i < args->dims)
			sum[i] = value;
	}
}

GPU_FN void embedding_pool(const struct embedding_args *args, uint32_t bag)
{
	float *sum = args->pooled + (uint64_t)bag * args->dims;
	uint64_t at = args->first[bag], end = args->first[bag + 1];
	struct embedding_row row;
	uint32_t i;
	int rc = gda_dev_check(&args->dev);

	for (i = gpu_lane(); i < args->dims; i += GPU_WARP)
		sum[i] = 0;
	for (; !rc && at < end; at += GPU_WARP) {
		row.at = 0;
		row.number = 0;
		row.is_missed = false;
		if (at + gpu_lane() < end)
			embedding_find(args, args->numbers[at + gpu_lane()],
				       &row);
		rc = embedding_fetch(args, &row);
		if (rc)
			break;
		embedding_add(args, &row, sum);
		embedding_keep(args, &row);
		/* Staging is written again by the next 32. */
		gpu_sync_warp(GPU_ALL_LANES);
	}
	embedding_note(args, rc);
}

GPU_KERNEL(embedding_lookup, struct embedding_args)
{
	uint32_t warps = gpu_blocks() * gpu_warps(), bag;

	for (bag = gpu_block() * gpu_warps() + gpu_warp(); bag < args->bags;
	     bag += warps)
		embedding_pool(args, bag);
	gpu_sync_block();
	if (gpu_thread() != 0 ||
	    gda_order_add_counter_32(args->blocks_done, 1) != gpu_blocks() - 1)
		return;
	gda_order_store_counter_32(args->blocks_done, 0);
	gda_order_store_for_host(args->ready, args->batch);
}

GPU_KERNEL(embedding_score, struct embedding_score_args)
{
	uint32_t warps = gpu_blocks() * gpu_warps(), bag, i, bits;
	float sum;

	for (bag = gpu_block() * gpu_warps() + gpu_warp(); bag < args->bags;
	     bag += warps) {
		sum = 0;
		for (i = gpu_lane(); i < args->dims; i += GPU_WARP)
			sum += args->pooled[(uint64_t)bag * args->dims + i] *
			       args->weights[i];
		for (bits = GPU_WARP / 2; bits; bits /= 2)
			sum += gpu_bits_float((uint32_t)gpu_shfl_xor(
				GPU_ALL_LANES, gpu_float_bits(sum), bits));
		if (gpu_lane() == 0)
			args->scores[bag] = sum;
	}
}
