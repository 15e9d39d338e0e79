/* SPDX-License-Identifier: MIT */
/*
 * Fields of firmware command mailboxes, written as the PRM prints them:
 * byte offset of the 32-bit word, highest bit, lowest bit.
 *
 *   #define HW_QPC_REMOTE_QPN HW_FIELD(0x14, 23, 0)
 *   hw_set(qpc, HW_QPC_REMOTE_QPN, 0x51);
 *
 * A mailbox is an array of bytes; words are big-endian; no alignment is
 * needed. 64-bit fields (addresses) are HW_FIELD64(byte offset).
 */
#ifndef HW_FIELD_H
#define HW_FIELD_H

#include "be.h"

struct hw_field {
	uint16_t offset; /* of the 32-bit word, in bytes */
	uint8_t hi, lo;	 /* bit numbers, 31 is the first on the wire */
};

struct hw_field64 {
	uint16_t offset; /* in bytes */
};

HW_FN struct hw_field hw_field(uint16_t offset, uint8_t hi, uint8_t lo)
{
	struct hw_field f;

	f.offset = offset;
	f.hi = hi;
	f.lo = lo;
	return f;
}

HW_FN struct hw_field64 hw_field64(uint16_t offset)
{
	struct hw_field64 f;

	f.offset = offset;
	return f;
}

#define HW_FIELD(offset, hi, lo) hw_field(offset, hi, lo)
#define HW_FIELD64(offset)	 hw_field64(offset)

/* The largest value that the field can hold. */
HW_FN uint32_t hw_max(struct hw_field f)
{
	return (uint32_t)((1ull << (f.hi - f.lo + 1)) - 1);
}

HW_FN uint32_t hw_get(const void *base, struct hw_field f)
{
	be32 word;

	memcpy(&word, (const uint8_t *)base + f.offset, sizeof(word));
	return from_be32(word) >> f.lo & hw_max(f);
}

/* Bits of value that do not fit the field are dropped. */
HW_FN void hw_set(void *base, struct hw_field f, uint32_t value)
{
	uint32_t mask = hw_max(f) << f.lo;
	be32 word;

	memcpy(&word, (uint8_t *)base + f.offset, sizeof(word));
	word = to_be32((from_be32(word) & ~mask) | (value << f.lo & mask));
	memcpy((uint8_t *)base + f.offset, &word, sizeof(word));
}

HW_FN uint64_t hw_get64(const void *base, struct hw_field64 f)
{
	be64 word;

	memcpy(&word, (const uint8_t *)base + f.offset, sizeof(word));
	return from_be64(word);
}

HW_FN void hw_set64(void *base, struct hw_field64 f, uint64_t value)
{
	be64 word = to_be64(value);

	memcpy((uint8_t *)base + f.offset, &word, sizeof(word));
}

#endif
