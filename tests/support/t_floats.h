/* SPDX-License-Identifier: MIT */
/*
 * Small floats, the slow way: what kernels/fp8.h must agree with. For the
 * tests, and for benchmarks that check what they measure.
 *
 * Source of truth: OCP 8-bit Floating Point Specification 1.0, E4M3.
 */
#ifndef T_FLOATS_H
#define T_FLOATS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline float t_from_bf16(uint16_t bits)
{
	uint32_t wide = (uint32_t)bits << 16;
	float value;

	memcpy(&value, &wide, sizeof(value));
	return value;
}

/* The nearer of the two neighbours; of equals, the even one. */
static inline uint16_t t_to_bf16(float value)
{
	uint32_t bits;
	uint16_t low;
	double below, above;

	memcpy(&bits, &value, sizeof(bits));
	low = (uint16_t)(bits >> 16);
	below = fabs((double)value - (double)t_from_bf16(low));
	above = fabs((double)t_from_bf16((uint16_t)(low + 1)) - (double)value);
	if (above < below || (above == below && (low & 1)))
		low++;
	return low;
}

/* Of the seven bits below the sign. */
static inline double t_from_e4m3(uint32_t code)
{
	uint32_t exponent = code >> 3, mantissa = code & 7;

	if (!exponent)
		return ldexp(mantissa, -9);
	return ldexp(8 + mantissa, (int)exponent - 10);
}

/* Try them all. */
static inline uint8_t t_to_e4m3(float value)
{
	double size = fabs((double)value), best = 1e30, distance;
	uint32_t code, found = 0;

	for (code = 0; code <= 0x7e; code++) {
		distance = fabs(t_from_e4m3(code) - size);
		if (distance < best || (distance == best && !(code & 1))) {
			best = distance;
			found = code;
		}
	}
	return (uint8_t)(found | (signbit(value) ? 0x80 : 0));
}

#endif
