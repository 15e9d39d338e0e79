/* SPDX-License-Identifier: MIT */
/*
 * The ring that carries packets between two NICs of a shared-memory fabric.
 *
 * What the other side wrote (counters, lengths) is read once and checked
 * before use: a broken peer costs its own packets, never our memory. Not
 * modelled: a peer that truncates the file while we use it.
 *
 * Thread: each side in its own NIC's lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "emu/order_shm.h"
#include "emu/wire_shm_fabric.h"
#include "emu/wire_shm_ring.h"

static const uint64_t ring_magic = 0x62656c667279726e; /* "belfryrn" */

enum { HEADER_BYTES = 4096 };

struct shm_ring_header {
	uint64_t magic;
	uint32_t version;
	uint32_t size; /* of the records, a power of two */
	struct shm_ring_key key;
	/* Each side writes one of these; apart, so that the lines rest. */
	_Alignas(64) uint32_t tail;
	_Alignas(64) uint32_t head;
};

/*
 * A ring appears under its name complete and is taken from it in one step, so
 * a source that makes it anew (its LID had another owner) and a destination
 * that takes the old one do not disturb each other.
 */
static void ring_name(char name[SHM_NAME_MAX], uint16_t src, uint16_t dst,
		      const char *suffix)
{
	snprintf(name, SHM_NAME_MAX, "ring.%u.%u%s", src, dst, suffix);
}

static uint32_t next_position(const struct shm_ring *ring, uint32_t payload_len)
{
	uint32_t bytes = SHM_BODY_OFFSET + payload_len, position, left;

	bytes = (bytes + SHM_RECORD_STEP - 1) & ~(SHM_RECORD_STEP - 1u);
	position = ring->position + bytes;
	left = ring->size - (position & (ring->size - 1));
	return left < SHM_RECORD_MAX ? position + left : position;
}

static uint8_t *record_at(const struct shm_ring *ring, uint32_t position)
{
	return ring->records + (position & (ring->size - 1));
}

static int map_ring(int fd, uint32_t size, struct shm_ring *ring)
{
	void *map = mmap(NULL, HEADER_BYTES + (size_t)size,
			 PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	ring->shared = map;
	ring->records = (uint8_t *)map + HEADER_BYTES;
	ring->size = size;
	ring->position = ring->other = ring->next = 0u - size;
	return 0;
}

/*
 * All pages now: running out of them on a later write would be a SIGBUS.
 * Returns 0 and the size that fitted, or -errno.
 */
static int allocate(int fd, uint32_t *size)
{
	int status;

	for (*size = SHM_RING_MAX;; *size /= 2) {
		status = -posix_fallocate(fd, 0, HEADER_BYTES + (off_t)*size);
		if (status != -ENOSPC || *size == SHM_RING_MIN)
			return status;
		/* What it got before it failed is given back. */
		if (ftruncate(fd, 0) < 0)
			return -errno;
	}
}

static int make_ring(int fd, const struct shm_ring_key *key,
		     struct shm_ring *ring)
{
	uint32_t size;
	int status = allocate(fd, &size);

	if (!status)
		status = map_ring(fd, size, ring);
	if (status)
		return status;
	ring->shared->magic = ring_magic;
	ring->shared->version = SHM_VERSION;
	ring->shared->size = size;
	ring->shared->key = *key;
	ring->shared->tail = ring->shared->head = ring->position;
	return 0;
}

int shm_ring_create(int dir_fd, const struct shm_ring_key *key,
		    struct shm_ring *ring)
{
	char name[SHM_NAME_MAX], new_name[SHM_NAME_MAX];
	int fd, status;

	ring_name(name, key->src_lid, key->dst_lid, "");
	ring_name(new_name, key->src_lid, key->dst_lid, ".new");
	unlinkat(dir_fd, new_name, 0);
	fd = openat(dir_fd, new_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return -errno;
	status = make_ring(fd, key, ring);
	close(fd);
	if (status)
		goto out_unlink;
	if (!renameat(dir_fd, new_name, dir_fd, name))
		return 0;
	status = -errno;
	shm_ring_close(ring);
out_unlink:
	unlinkat(dir_fd, new_name, 0);
	return status;
}

static bool is_size(uint64_t size)
{
	return size >= SHM_RING_MIN && size <= SHM_RING_MAX &&
	       !(size & (size - 1));
}

static int map_existing(int fd, struct shm_ring *ring)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!is_size((uint64_t)st.st_size - HEADER_BYTES))
		return -EPROTO;
	return map_ring(fd, (uint32_t)(st.st_size - HEADER_BYTES), ring);
}

int shm_ring_open(int dir_fd, uint16_t src_lid, uint16_t dst_lid,
		  struct shm_ring *ring, struct shm_ring_key *key)
{
	char name[SHM_NAME_MAX], taken[SHM_NAME_MAX];
	int fd, status;

	ring_name(name, src_lid, dst_lid, "");
	ring_name(taken, src_lid, dst_lid, ".taken");
	if (renameat(dir_fd, name, dir_fd, taken) < 0)
		return -errno;
	fd = openat(dir_fd, taken, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	unlinkat(dir_fd, taken, 0);
	status = map_existing(fd, ring);
	close(fd);
	if (status)
		return status;
	*key = ring->shared->key;
	nic_order_shm_copied();
	if (ring->shared->magic == ring_magic &&
	    ring->shared->version == SHM_VERSION &&
	    ring->shared->size == ring->size && key->src_lid == src_lid &&
	    key->dst_lid == dst_lid)
		return 0;
	shm_ring_close(ring);
	return -EPROTO;
}

void shm_ring_close(struct shm_ring *ring)
{
	if (ring->shared)
		munmap(ring->shared, HEADER_BYTES + (size_t)ring->size);
	ring->shared = NULL;
}

int shm_ring_reserve(struct shm_ring *ring, struct shm_record **record)
{
	const uint32_t full = ring->size - SHM_RECORD_MAX;

	if (ring->position - ring->other > full)
		ring->other = nic_order_ring_load_head(&ring->shared->head);
	if (ring->position - ring->other > ring->size)
		return -EPROTO;
	if (ring->position - ring->other > full)
		return -EAGAIN;
	*record = (struct shm_record *)record_at(ring, ring->position);
	return 0;
}

void shm_ring_publish(struct shm_ring *ring, uint32_t payload_len)
{
	ring->position = next_position(ring, payload_len);
	nic_order_ring_publish(&ring->shared->tail, ring->position);
}

/* Is [position, next) a record within what the producer published? */
static bool is_sound(const struct shm_ring *ring, const struct shm_record *copy)
{
	return copy->header_len <= HW_PKT_HDR_MAX &&
	       copy->payload_len <= SHM_MTU &&
	       next_position(ring, copy->payload_len) - ring->position <=
		       ring->other - ring->position;
}

int shm_ring_peek(struct shm_ring *ring, struct shm_record *copy,
		  const uint8_t **payload)
{
	const uint8_t *record = record_at(ring, ring->position);

	if (ring->other == ring->position)
		ring->other = nic_order_ring_load_tail(&ring->shared->tail);
	if (ring->other == ring->position)
		return -EAGAIN;
	if (ring->other - ring->position > ring->size)
		return -EPROTO;
	memcpy(copy, record, sizeof(*copy));
	nic_order_shm_copied();
	if (!is_sound(ring, copy))
		return -EPROTO;
	ring->next = next_position(ring, copy->payload_len);
	*payload = record + SHM_BODY_OFFSET;
	return 0;
}

void shm_ring_release(struct shm_ring *ring)
{
	ring->position = ring->next;
	nic_order_ring_release(&ring->shared->head, ring->position);
}
