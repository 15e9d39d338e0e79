/* SPDX-License-Identifier: MIT */
/*
 * Small floats, bit by bit, so that a GPU and a CPU get the same bytes.
 *
 *   e4m3   sign, 4 bits of exponent (bias 7), 3 of mantissa; largest 448, no
 *          infinity, NaN is 0x7f
 *   bf16   the upper half of a float
 *
 * Both round to nearest, ties to even; e4m3 saturates.
 *
 * Source of truth: OCP 8-bit Floating Point Specification 1.0, E4M3.
 * Thread: any.
 */
#ifndef FP8_H
#define FP8_H

#include "kernels/gpu.h"

#define FP8_MAX 448.0f

GPU_FN uint8_t fp8_from_float(float value)
{
	uint32_t bits = gpu_float_bits(value);
	uint8_t sign = (uint8_t)(bits >> 24 & 0x80);
	uint32_t scaled;
	float rest;

	bits &= 0x7fffffff;
	if (bits > 0x7f800000) /* NaN */
		return (uint8_t)(sign | 0x7f);
	if (bits >= 0x43e00000) /* 448 */
		return (uint8_t)(sign | 0x7e);
	if (bits < 0x3c800000) { /* 2^-6: steps of 2^-9 */
		rest = gpu_bits_float(bits) * 512.0f;
		scaled = (uint32_t)rest;
		rest -= (float)scaled;
		if (rest > 0.5f || (rest == 0.5f && (scaled & 1)))
			scaled++;
		return (uint8_t)(sign | scaled);
	}
	bits += 0x7ffff + (bits >> 20 & 1);
	/* Exponent bias 127 to 7: 120 << 3 off the upper bits. */
	scaled = (bits >> 20) - (120u << 3);
	return (uint8_t)(sign | scaled);
}

GPU_FN float fp8_to_float(uint8_t code)
{
	uint32_t exponent = code >> 3 & 15, mantissa = code & 7;
	float value;

	if ((code & 0x7f) == 0x7f)
		return gpu_bits_float(0x7fc00000);
	if (exponent)
		value = gpu_bits_float((exponent + 120) << 23 | mantissa << 20);
	else
		value = (float)mantissa / 512.0f;
	return code & 0x80 ? -value : value;
}

GPU_FN float bf16_to_float(uint16_t bits)
{
	return gpu_bits_float((uint32_t)bits << 16);
}

GPU_FN uint16_t bf16_from_float(float value)
{
	uint32_t bits = gpu_float_bits(value);

	if ((bits & 0x7fffffff) > 0x7f800000)
		return 0x7fc0;
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#endif
