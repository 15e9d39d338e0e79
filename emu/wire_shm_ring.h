/* SPDX-License-Identifier: MIT */
/*
 * A ring of packets from one NIC to another: single producer, single consumer,
 * in a file ring.<src>.<dst> that the source makes and both map.
 *
 * Records lie one after the other, each in one piece: 64-byte steps, and a
 * record never starts where the longest one would not fit before the end;
 * both sides compute that alike, so there is no filler to mark.
 *
 *   offset 0    struct shm_ring_header (ids; tail and head, a line each)
 *   4096        size bytes of records: struct shm_record, padding, payload
 *
 * Positions run freely over 32 bits and start one ring's length below 2^32,
 * so that every run crosses the wrap early.
 *
 * Payload is copied in by the sender and out by the receiver, also when it is
 * long. Measured on two cores, this moves 1.1 to 3 times the bytes that
 * process_vm_readv does for 4 KiB to 1 MiB (which pays for each page), needs
 * no right to read the other process, and carries device memory alike.
 */
#ifndef EMU_WIRE_SHM_RING_H
#define EMU_WIRE_SHM_RING_H

#include <stdint.h>
#include "emu/wire.h"

enum {
	SHM_MTU = 32768,
	SHM_BODY_OFFSET = 128, /* of the payload in its record */
	SHM_RECORD_STEP = 64,
	SHM_RECORD_MAX = SHM_BODY_OFFSET + SHM_MTU,
	/* A full file system (a container's /dev/shm) gets smaller rings. */
	SHM_RING_MAX = 1 << 20,
	SHM_RING_MIN = 1 << 17,
};

/* Whose ring it is; generations because LIDs are used again. */
struct shm_ring_key {
	uint64_t src_generation;
	uint64_t dst_generation;
	uint16_t src_lid;
	uint16_t dst_lid;
};

enum shm_record_flags {
	SHM_RECORD_LOST = 1 << 0, /* the sender's memory was not there */
};

/* Shared memory: copied out once, then checked. */
struct shm_record {
	uint32_t payload_len;
	uint32_t src_qpn;
	uint16_t header_len;
	uint16_t flags;
	uint8_t header[HW_PKT_HDR_MAX];
	struct wire_route route;
};

/* One side's view of a ring. */
struct shm_ring {
	struct shm_ring_header *shared;
	uint8_t *records;
	uint32_t size;
	uint32_t position; /* producer: the tail; consumer: the head */
	uint32_t other;	   /* the other side's position, as last seen */
	uint32_t next;	   /* consumer: behind the record of the last peek */
};

/*
 * Make the ring, replacing one of former NICs. Returns 0; -ENOSPC when the
 * file system is full; -errno.
 */
int shm_ring_create(int dir_fd, const struct shm_ring_key *key,
		    struct shm_ring *ring);

/*
 * Map the ring that src made for dst and remove its name. Returns 0 and key;
 * -ENOENT; -EPROTO for a file that is no such ring.
 */
int shm_ring_open(int dir_fd, uint16_t src_lid, uint16_t dst_lid,
		  struct shm_ring *ring, struct shm_ring_key *key);

void shm_ring_close(struct shm_ring *ring);

/*
 * Producer. Room for one record of any length, payload at SHM_BODY_OFFSET;
 * nothing is taken until publish. Returns 0; -EAGAIN: full; -EPROTO: the
 * consumer wrote nonsense.
 */
int shm_ring_reserve(struct shm_ring *ring, struct shm_record **record);
void shm_ring_publish(struct shm_ring *ring, uint32_t payload_len);

/*
 * Consumer. The oldest record: its checked copy, and where its payload is
 * until release. Returns 0; -EAGAIN: empty; -EPROTO: the producer wrote
 * nonsense, and nothing more can be read from this ring.
 */
int shm_ring_peek(struct shm_ring *ring, struct shm_record *copy,
		  const uint8_t **payload);
void shm_ring_release(struct shm_ring *ring);

#endif
