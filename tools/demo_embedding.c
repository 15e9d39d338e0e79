/* SPDX-License-Identifier: MIT */
/*
 * The serving path of a recommender: an embedding table is sharded over the
 * PEs; a request is a list of bags of rows; the answer is the sum of each
 * bag's rows.
 *
 * A "kernel" thread gathers the rows by one-sided reads, one bag after the
 * other on alternating queue pairs, and sums a bag while the next one's rows
 * are on their way. When all are done it signals the host through its own
 * NIC, as a GPU kernel would.
 */
#include <pthread.h>
#include <string.h>

#include "tools/demo.h"

enum {
	ROWS = 4096, /* of the whole table */
	DIM = 64,    /* floats in a row */
	BAGS = 256,
	BAG_ROWS = 16,
	LANES = 2,
};

typedef float row[DIM];

struct lookup {
	const struct gda_dev *dev;
	row *shard;	 /* symmetric: rows r with r % npes == pe */
	row *staging;	 /* LANES * BAG_ROWS rows that arrive */
	uint64_t *ready; /* symmetric: the kernel's signal to the host */
	row pooled[BAGS];
	int rc;
};

/* Small integers, so that float sums are exact in any order. */
static float table_value(unsigned r, unsigned column)
{
	return (float)((r * 31u + column * 7u) % 1009u);
}

static unsigned row_of(unsigned pe, unsigned bag, unsigned i)
{
	uint32_t x = pe * 0x9e3779b9u + bag * 0x85ebca6bu + i * 0xc2b2ae35u + 1;

	x ^= x >> 16;
	x *= 0x7feb352du;
	x ^= x >> 15;
	return x % ROWS;
}

/* Begin to read the rows of a bag into its half of the staging memory. */
static int gather(struct lookup *l, const struct gda_dev *lane, unsigned bag)
{
	unsigned i, r, npes = (unsigned)gda_dev_npes(l->dev);
	row *to = l->staging + (size_t)(bag % LANES) * BAG_ROWS;
	int rc = 0;

	for (i = 0; i < BAG_ROWS && !rc; i++) {
		r = row_of((unsigned)gda_dev_pe(l->dev), bag, i);
		rc = gda_dev_get_nbi(lane, to[i], l->shard[r / npes],
				     sizeof(row), (int)(r % npes));
	}
	return rc ? rc : gda_dev_flush(lane);
}

/* The bag's rows have arrived: sum them. */
static void pool(struct lookup *l, unsigned bag)
{
	const row *from = l->staging + (size_t)(bag % LANES) * BAG_ROWS;
	unsigned i, column;

	memset(l->pooled[bag], 0, sizeof(row));
	for (i = 0; i < BAG_ROWS; i++)
		for (column = 0; column < DIM; column++)
			l->pooled[bag][column] += from[i][column];
}

static void *kernel(void *arg)
{
	struct lookup *l = arg;
	struct gda_dev_signal done = {l->ready, 1, gda_dev_pe(l->dev),
				      GDA_DEV_SIGNAL_SET};
	struct gda_dev lanes[LANES];
	unsigned bag;

	for (bag = 0; bag < LANES; bag++)
		lanes[bag] = gda_dev_lane(l->dev, (int)bag);
	l->rc = gather(l, &lanes[0], 0);
	for (bag = 0; bag < BAGS && !l->rc; bag++) {
		if (bag + 1 < BAGS)
			l->rc = gather(l, &lanes[(bag + 1) % LANES], bag + 1);
		if (!l->rc)
			l->rc = gda_dev_quiet(&lanes[bag % LANES]);
		if (!l->rc)
			pool(l, bag);
	}
	if (!l->rc)
		l->rc = gda_dev_signal_op(&lanes[0], &done);
	if (!l->rc)
		l->rc = gda_dev_quiet(&lanes[0]);
	return NULL;
}

static bool as_computed(const struct lookup *l)
{
	unsigned bag, i, column;
	float sum;

	for (bag = 0; bag < BAGS; bag++) {
		for (column = 0; column < DIM; column++) {
			sum = 0;
			for (i = 0; i < BAG_ROWS; i++)
				sum += table_value(
					row_of((unsigned)gda_dev_pe(l->dev),
					       bag, i),
					column);
			if (l->pooled[bag][column] != sum)
				return false;
		}
	}
	return true;
}

static void fill_shard(struct lookup *l)
{
	unsigned r, column, npes = (unsigned)gda_dev_npes(l->dev);

	for (r = (unsigned)gda_dev_pe(l->dev); r < ROWS; r += npes)
		for (column = 0; column < DIM; column++)
			l->shard[r / npes][column] = table_value(r, column);
}

bool demo_embedding(struct demo *demo)
{
	static struct lookup lookup; /* its results are large */
	struct lookup *l = &lookup;
	pthread_t thread;
	bool signaled;

	l->dev = demo->dev;
	l->shard = gda_malloc(demo->gda, ROWS / 2 * sizeof(row));
	l->staging = gda_malloc(demo->gda, LANES * BAG_ROWS * sizeof(row));
	l->ready = gda_calloc(demo->gda, 1, sizeof(*l->ready));
	if (!l->shard || !l->staging || !l->ready)
		return false;
	fill_shard(l);
	if (gda_barrier(demo->gda))
		return false;
	if (pthread_create(&thread, NULL, kernel, l))
		return false;
	signaled = !gda_dev_wait_until_u64(l->dev, l->ready, GDA_DEV_EQ, 1);
	pthread_join(thread, NULL);
	if (!demo_check(demo, signaled && !l->rc && as_computed(l),
			"embedding lookup") ||
	    gda_barrier(demo->gda))
		return false;
	demo_say(
		demo,
		"embedding   %d bags x %d rows gathered by reads, summed, host "
		"signaled  ok\n",
		BAGS, BAG_ROWS);
	return true;
}
