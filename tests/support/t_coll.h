/* SPDX-License-Identifier: MIT */
/*
 * What a collective of kernels/coll.h must do, as loops over plain arrays. For
 * the tests, and for benchmarks that check what they measure.
 */
#ifndef T_COLL_H
#define T_COLL_H

#include <stdint.h>
#include <string.h>

#include "kernels/coll.h"
#include "tests/support/t_rng.h"

enum { T_COLL_PES_MAX = 16 };

struct t_coll {
	uint32_t op, type;
	uint64_t count; /* elements of a part */
	int npes, root;
	const uint8_t *sources[T_COLL_PES_MAX];
};

/* Small whole numbers, so that sums of floats are exact. */
static inline void t_coll_fill(uint32_t type, uint8_t *source, uint64_t words,
			       struct t_rng *rng)
{
	uint64_t *whole = (uint64_t *)(void *)source, i;
	float *real = (float *)(void *)source;

	for (i = 0; i < words; i++)
		if (type == COLL_FLOAT) {
			real[2 * i] = (float)t_below(rng, 1000);
			real[2 * i + 1] = (float)t_below(rng, 1000);
		} else {
			whole[i] = t_random(rng);
		}
}

static inline void t_coll_add(uint32_t type, uint8_t *to, const uint8_t *from,
			      uint64_t count)
{
	uint64_t i;

	for (i = 0; i < count; i++)
		if (type == COLL_FLOAT)
			((float *)(void *)to)[i] +=
				((const float *)(const void *)from)[i];
		else
			((uint64_t *)(void *)to)[i] +=
				((const uint64_t *)(const void *)from)[i];
}

/* Into want, which is zeroed: dest of one PE. A barrier has none. */
static inline void t_coll_expect(const struct t_coll *coll, int pe,
				 uint8_t *want)
{
	uint64_t bytes = coll->count * (coll->type == COLL_FLOAT ? 4 : 8);
	uint64_t mine = (uint64_t)pe * bytes, part;
	int i;

	for (i = 0; i < coll->npes; i++) {
		const uint8_t *source = coll->sources[i];

		part = (uint64_t)i * bytes;
		if (coll->op == COLL_BROADCAST && i == coll->root)
			memcpy(want, source, bytes);
		if (coll->op == COLL_ALL_TO_ALL)
			memcpy(want + part, source + mine, bytes);
		if (coll->op == COLL_ALL_GATHER)
			memcpy(want + part, source, bytes);
		if (coll->op == COLL_REDUCE_SCATTER)
			t_coll_add(coll->type, want, source + mine,
				   coll->count);
		if (coll->op == COLL_ALL_REDUCE)
			t_coll_add(coll->type, want, source,
				   (uint64_t)coll->npes * coll->count);
	}
}

#endif
