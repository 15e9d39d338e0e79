/* SPDX-License-Identifier: MIT */
/*
 * Big-endian integers as they lie in device memory.
 *
 * Each is a one-member struct, so assigning a host integer to a wire field
 * (or the reverse) is a compile error in C, C++ and CUDA, with no extra tool.
 */
#ifndef HW_BE_H
#define HW_BE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef __cplusplus
#include <assert.h> /* static_assert */
#endif

#ifdef __CUDACC__
#define HW_FN __host__ __device__ static inline
#else
#define HW_FN static inline
#endif

/* Size and offsets of a layout, checked where it is defined. */
#define HW_SIZE(type, bytes)                                                   \
	static_assert(sizeof(type) == (bytes),                                 \
		      #type " must be " #bytes " bytes")
#define HW_AT(type, field, off)                                                \
	static_assert(offsetof(type, field) == (off),                          \
		      #type "." #field " must be at " #off)

typedef struct {
	uint16_t raw;
} be16;
typedef struct {
	uint32_t raw;
} be32;
typedef struct {
	uint64_t raw;
} be64;
HW_SIZE(be16, 2);
HW_SIZE(be32, 4);
HW_SIZE(be64, 8);

/* Shifts, so that they are constant expressions; compilers emit one bswap. */
HW_FN uint16_t hw_swap16(uint16_t v)
{
	return (uint16_t)(v << 8 | v >> 8);
}

HW_FN uint32_t hw_swap32(uint32_t v)
{
	return (uint32_t)hw_swap16((uint16_t)v) << 16 |
	       hw_swap16((uint16_t)(v >> 16));
}

HW_FN uint64_t hw_swap64(uint64_t v)
{
	return (uint64_t)hw_swap32((uint32_t)v) << 32 |
	       hw_swap32((uint32_t)(v >> 32));
}

/* Hosts and GPUs that we build for are little-endian. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Belfry supports little-endian hosts only"
#endif

HW_FN be16 to_be16(uint16_t v)
{
	be16 b;

	b.raw = hw_swap16(v);
	return b;
}

HW_FN be32 to_be32(uint32_t v)
{
	be32 b;

	b.raw = hw_swap32(v);
	return b;
}

HW_FN be64 to_be64(uint64_t v)
{
	be64 b;

	b.raw = hw_swap64(v);
	return b;
}

HW_FN uint16_t from_be16(be16 b)
{
	return hw_swap16(b.raw);
}

HW_FN uint32_t from_be32(be32 b)
{
	return hw_swap32(b.raw);
}

HW_FN uint64_t from_be64(be64 b)
{
	return hw_swap64(b.raw);
}

#endif
