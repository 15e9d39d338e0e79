/* SPDX-License-Identifier: MIT */
/*
 * Sparse embeddings, served from tables that lie on all PEs: for each bag of
 * row numbers, the sum of the rows. A PE reads the rows of others by one-sided
 * gets out of the kernel; no PE runs anything for another.
 *
 * Row r lies on PE r % npes, at r / npes of its table. A cache keeps hot rows:
 * one that is missed twice in a row at its place is put there, and stays.
 *
 * Source of truth: the embedding-bag operation of PyTorch (mode "sum").
 */
#ifndef EMBEDDING_H
#define EMBEDDING_H

#include "kernels/gpu_host.h"
#include "stack/dev/handle.h"

/* Memory of the GPU's own, zeroed at first. Count a power of two, or 0. */
struct embedding_cache {
	uint64_t *tags;	      /* 0: empty, ~0: being filled, else row + 1 */
	uint64_t *candidates; /* row + 1 of the last miss */
	float *rows;	      /* [count][dims] */
	uint32_t count;
	uint32_t rsvd28;
};

struct embedding_counts {
	uint64_t local, hit, missed; /* rows looked up */
};

struct embedding_args {
	struct gda_dev dev;
	const float *table;	 /* heap: [rows / npes, rounded up][dims] */
	float *staging;		 /* heap: embedding_staging_bytes() */
	const uint64_t *first;	 /* [bags + 1]: where a bag's rows begin */
	const uint64_t *numbers; /* rows of all bags, one after the other */
	float *pooled;		 /* [bags][dims] */
	struct embedding_cache cache;
	struct embedding_counts *counts; /* added to */
	uint32_t *blocks_done;		 /* zero */
	/* The host polls it: becomes batch when pooled is complete. */
	uint64_t *ready;
	uint64_t batch;
	uint64_t rows; /* of all PEs */
	uint32_t dims;
	uint32_t bags;
	/* 0, or an error: GDA_DEV_EINVAL for a row that does not exist, which
	 * is left out of its sum; else some sums are wrong. */
	int32_t *code;
};

static inline uint64_t embedding_staging_bytes(uint32_t blocks,
					       uint32_t threads, uint32_t dims)
{
	return (uint64_t)blocks * threads * dims * sizeof(float);
}

/*
 * A warp a bag. Any number of blocks, of a multiple of 32 threads. Queue pairs
 * shared by the GPU, or a lane for each warp of the grid.
 */
GPU_KERNEL_DECLARE(embedding_lookup);

/* What comes after it: scores[bag] = dot(pooled[bag], weights). */
struct embedding_score_args {
	const float *pooled;
	const float *weights; /* [dims] */
	float *scores;	      /* [bags] */
	uint32_t dims;
	uint32_t bags;
};
GPU_KERNEL_DECLARE(embedding_score);

#endif
