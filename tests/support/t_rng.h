/* SPDX-License-Identifier: MIT */
/*
 * Seeded random numbers for tests: the same seed gives the same run
 * everywhere.
 *
 * Source: Steele, Lea, Flood, "splitmix64" (2014).
 */
#ifndef T_RNG_H
#define T_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct t_rng {
	uint64_t state;
};

static inline uint64_t t_random(struct t_rng *rng)
{
	uint64_t z = rng->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* 0 to n - 1 */
static inline uint32_t t_below(struct t_rng *rng, uint32_t n)
{
	return (uint32_t)((t_random(rng) >> 32) * n >> 32);
}

/* True in permille of 1000 cases. */
static inline bool t_chance(struct t_rng *rng, uint32_t permille)
{
	return t_below(rng, 1000) < permille;
}

static inline void t_random_bytes(struct t_rng *rng, uint8_t *bytes, size_t len)
{
	uint64_t word;
	size_t i;

	for (i = 0; i < len; i += sizeof(word)) {
		word = t_random(rng);
		memcpy(bytes + i, &word, len - i < 8 ? len - i : 8);
	}
}

#endif
