/* SPDX-License-Identifier: MIT */
/*
 * What the layout tests share: seeded random values, bytes written as hex,
 * and bit fields read and written one bit at a time, so that nothing of hw/
 * is checked with itself.
 *
 * Bits are counted as the PRM and the IBTA specification count them in a
 * structure: bit 0 is the highest bit of the first byte.
 */
#ifndef LAYOUT_COMPARE_H
#define LAYOUT_COMPARE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "support/t_rng.h"

enum { T_ROUNDS = 100000 };

static inline uint32_t t_random_32(struct t_rng *random)
{
	return (uint32_t)(t_random(random) >> 32);
}

static inline uint16_t t_random_16(struct t_rng *random)
{
	return (uint16_t)(t_random(random) >> 48);
}

static inline uint8_t t_random_8(struct t_rng *random)
{
	return (uint8_t)(t_random(random) >> 56);
}

/* Start from $T_SEED if it is set, and say from where. */
static inline struct t_rng t_random_start(const char *what)
{
	const char *text = getenv("T_SEED");
	struct t_rng random = {text ? strtoull(text, NULL, 0) : 1};

	printf("%s: T_SEED=%llu\n", what, (unsigned long long)random.state);
	return random;
}

static inline unsigned t_hex_digit(char c)
{
	const char *digits = "0123456789abcdef";
	const char *at = strchr(digits, c);

	assert_non_null(at);
	return (unsigned)(at - digits);
}

/* "00 01 ff" as the headers of hw/ print their examples; spaces are free. */
static inline void t_assert_hex(const void *bytes, size_t len_bytes,
				const char *hex)
{
	uint8_t expected[256];
	size_t count = 0;

	while (*hex) {
		if (*hex == ' ') {
			hex++;
			continue;
		}
		assert_true(count < sizeof(expected));
		expected[count++] = (uint8_t)(t_hex_digit(hex[0]) << 4 |
					      t_hex_digit(hex[1]));
		hex += 2;
	}
	assert_int_equal(count, len_bytes);
	assert_memory_equal(bytes, expected, len_bytes);
}

static inline uint64_t t_bits_get(const uint8_t *bytes, size_t bit,
				  unsigned width)
{
	uint64_t value = 0;

	for (size_t i = bit; i < bit + width; i++)
		value = value << 1 | (bytes[i / 8] >> (7 - i % 8) & 1);
	return value;
}

static inline void t_bits_set(uint8_t *bytes, size_t bit, unsigned width,
			      uint64_t value)
{
	for (size_t i = bit; i < bit + width; i++) {
		unsigned one = value >> (bit + width - 1 - i) & 1;
		unsigned mask = 1u << (7 - i % 8);

		bytes[i / 8] =
			(uint8_t)((bytes[i / 8] & ~mask) | (one ? mask : 0));
	}
}

/* The two structs have the field at the same offset, with the same size. */
#define T_SAME_FIELD(ours, our_field, theirs, their_field)                     \
	do {                                                                   \
		assert_int_equal(offsetof(ours, our_field),                    \
				 offsetof(theirs, their_field));               \
		assert_int_equal(sizeof(((ours *)0)->our_field),               \
				 sizeof(((theirs *)0)->their_field));          \
	} while (0)

#define T_SAME_SIZE(ours, theirs) assert_int_equal(sizeof(ours), sizeof(theirs))

/* The program cannot run here: say why; ctest counts 77 as a skip. */
static inline int t_skip(const char *reason)
{
	printf("skipped: %s\n", reason);
	return 77;
}

#endif
