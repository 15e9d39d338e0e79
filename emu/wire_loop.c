/* SPDX-License-Identifier: MIT */
/*
 * Wire "loop": NICs of one process, and a NIC to itself.
 *
 * Data path: emu/requester.c -> [emu/wire_loop.c] -> emu/responder.c
 *
 * Each NIC has an inbox, a ring of packets. A sender that finds another one at
 * it comes again in its next step; the one receiver needs no lock. Payload that does not fit a
 * packet is copied once, by the receiver, from source to destination.
 *
 * A NIC that detaches leaves its inbox's lock behind (LIDs are not used
 * twice), so that a sender never touches memory that is gone.
 *
 * Thread: as emu/wire.h says; the fabric may be shared by threads.
 */
#include "emu/wire.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "emu/dma.h"

enum {
	NICS_MAX = 1024,
	CELLS = 128,	      /* packets in an inbox */
	POLL_BYTES = 1 << 20, /* payload taken in one poll */
	LOOP_MTU = 1 << 20,
	SPARE_BYTES = 4096, /* a datagram, or a piece of an UC message */
};

struct cell {
	struct nic_packet packet;
	uint8_t body[WIRE_BODY_BYTES];
};

struct inbox {
	bool busy;	  /* a sender is at it, or its NIC detaches */
	struct nic *nic;  /* NULL: gone */
	unsigned readers; /* of its client's memory, right now */
	struct cell *cells;
	uint8_t *spares; /* SPARE_BYTES for each cell, rarely touched */
	uint64_t gid_guid;
	uint32_t head __attribute__((aligned(64))); /* written by senders */
	uint32_t tail __attribute__((aligned(64))); /* by the receiver */
};

struct wire_loop_fabric {
	pthread_mutex_t lock;
	unsigned users; /* NICs, and one until wire_loop_release */
	unsigned count; /* inboxes ever made */
	unsigned departures;
	struct inbox *inboxes[NICS_MAX];
};

struct wire_loop {
	struct wire wire;
	struct wire_loop_fabric *fabric;
	struct inbox *inbox;
	unsigned departures_seen;
};

static struct wire_loop *loop_of(struct wire *wire)
{
	return (struct wire_loop *)wire; /* wire is the first member */
}

/* ----------------------------------------------------------------- send */

static unsigned inbox_count(const struct wire_loop_fabric *fabric)
{
	/* Acquire: an inbox that is counted is filled in. */
	return __atomic_load_n(&fabric->count, __ATOMIC_ACQUIRE);
}

static int loop_resolve(struct wire *wire, const struct wire_path *path,
			uint32_t *peer)
{
	struct wire_loop_fabric *fabric = loop_of(wire)->fabric;
	unsigned i, count = inbox_count(fabric);
	uint64_t guid;

	memcpy(&guid, path->gid + 8, sizeof(guid));
	for (i = 0; i < count; i++) {
		if (path->global ? fabric->inboxes[i]->gid_guid != guid
				 : path->lid != i + 1)
			continue;
		*peer = i;
		return 0;
	}
	return -EHOSTUNREACH;
}

/* Acquire and release: what the last one at the inbox did is visible. */
static bool inbox_try(struct inbox *inbox)
{
	return !__atomic_exchange_n(&inbox->busy, true, __ATOMIC_ACQUIRE);
}

static void inbox_leave(struct inbox *inbox)
{
	__atomic_store_n(&inbox->busy, false, __ATOMIC_RELEASE);
}

static void inbox_enter(struct inbox *inbox)
{
	while (!inbox_try(inbox))
		sched_yield();
}

/* As it was made. */
static void reset_body(struct cell *cell)
{
	struct nic_packet *packet = &cell->packet;

	if (packet->body != cell->body && packet->body != packet->spare)
		free(packet->body);
	cell->packet.body = cell->body;
	cell->packet.body_bytes = WIRE_BODY_BYTES;
}

/* The receiver reads it before it gives the cell back; until that is used
 * again the memory stays. */
static int loop_enlarge(struct nic_packet *packet, uint32_t bytes)
{
	void *body = malloc(bytes);

	if (!body)
		return -ENOMEM;
	packet->body = body;
	packet->body_bytes = bytes;
	return 0;
}

/* On success the inbox is ours until commit. */
static int loop_reserve(struct wire *wire, uint32_t peer,
			struct nic_packet **packet)
{
	struct inbox *inbox = loop_of(wire)->fabric->inboxes[peer];
	int ret = -EHOSTUNREACH;
	struct cell *cell;

	if (!inbox_try(inbox))
		return -EAGAIN;
	if (!inbox->nic)
		goto leave;
	ret = -EAGAIN;
	/* Acquire: the receiver is done with the cell that it gave back. */
	if (inbox->head - __atomic_load_n(&inbox->tail, __ATOMIC_ACQUIRE) ==
	    CELLS)
		goto leave;
	cell = &inbox->cells[inbox->head % CELLS];
	reset_body(cell);
	*packet = &cell->packet;
	return 0;
leave:
	inbox_leave(inbox);
	return ret;
}

static void loop_commit(struct wire *wire, uint32_t peer,
			struct nic_packet *packet)
{
	struct wire_loop *loop = loop_of(wire);
	struct inbox *inbox = loop->fabric->inboxes[peer];

	if (packet->header_len) {
		packet->peer = (uint32_t)(wire->address.lid - 1);
		/* Release: who sees the new head sees the packet. */
		__atomic_store_n(&inbox->head, inbox->head + 1,
				 __ATOMIC_RELEASE);
		if (inbox != loop->inbox)
			nic_wake(inbox->nic);
	}
	inbox_leave(inbox);
}

static void address_of(const struct wire_loop_fabric *fabric, uint32_t peer,
		       struct wire_address *address)
{
	static const uint8_t prefix[8] = {0xfe, 0x80};

	address->lid = (uint16_t)(peer + 1);
	memcpy(address->gid, prefix, sizeof(prefix));
	memcpy(address->gid + 8, &fabric->inboxes[peer]->gid_guid, 8);
	memcpy(address->mac, address->gid + 10, sizeof(address->mac));
}

static void loop_address(struct wire *wire, uint32_t peer,
			 struct wire_address *address)
{
	address_of(loop_of(wire)->fabric, peer, address);
}

/* -------------------------------------------------------------- receive */

static void report_departures(struct wire_loop *loop, struct nic *nic)
{
	struct wire_loop_fabric *fabric = loop->fabric;
	unsigned i, departures, count = inbox_count(fabric);
	bool gone;

	departures = __atomic_load_n(&fabric->departures, __ATOMIC_ACQUIRE);
	if (departures == loop->departures_seen)
		return;
	loop->departures_seen = departures;
	for (i = 0; i < count; i++) {
		inbox_enter(fabric->inboxes[i]);
		gone = !fabric->inboxes[i]->nic;
		inbox_leave(fabric->inboxes[i]);
		if (gone)
			nic_peer_down(nic, i);
	}
}

/* A packet that points to memory of its sender, unless that is gone. */
static void deliver_pieces(struct wire_loop *loop, struct nic *nic,
			   const struct nic_packet *packet)
{
	struct inbox *sender = loop->fabric->inboxes[packet->peer];

	/* Sequentially consistent, as in loop_detach(): either this sees that
	 * the sender is gone, or the sender waits. */
	__atomic_add_fetch(&sender->readers, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&sender->nic, __ATOMIC_SEQ_CST))
		nic_input(nic, packet);
	__atomic_sub_fetch(&sender->readers, 1, __ATOMIC_RELEASE);
}

static unsigned loop_poll(struct wire *wire, struct nic *nic, unsigned budget,
			  uint64_t now_ns)
{
	struct wire_loop *loop = loop_of(wire);
	struct inbox *inbox = loop->inbox;
	/* Acquire: pairs with the sender's release of head. */
	uint32_t head = __atomic_load_n(&inbox->head, __ATOMIC_ACQUIRE);
	uint32_t tail = inbox->tail;
	struct nic_packet *packet;
	uint64_t bytes = 0;
	unsigned count = 0;

	(void)now_ns;
	while (tail != head && count < budget && bytes < POLL_BYTES) {
		packet = &inbox->cells[tail % CELLS].packet;
		if (packet->iov_count)
			deliver_pieces(loop, nic, packet);
		else
			nic_input(nic, packet);
		bytes += packet->payload_len;
		count++;
		/* Release: we are done with the cell. */
		__atomic_store_n(&inbox->tail, ++tail, __ATOMIC_RELEASE);
	}
	report_departures(loop, nic);
	return count;
}

static int loop_pull(struct wire *wire, const struct nic_packet *packet,
		     uint64_t offset, const struct nic_mem *dst)
{
	const struct nic_iov *iov = packet->body;
	uint64_t done = 0, len;
	int ret;

	(void)wire;
	if (!packet->iov_count)
		return dma_store(dst->addr,
				 (const uint8_t *)packet->body + offset,
				 dst->len);
	for (; done < dst->len; iov++) {
		if (offset >= iov->len) {
			offset -= iov->len;
			continue;
		}
		len = iov->len - offset;
		if (len > dst->len - done)
			len = dst->len - done;
		ret = dma_store((uint8_t *)dst->addr + done,
				(const void *)(uintptr_t)(iov->addr + offset),
				len);
		if (ret)
			return ret;
		done += len;
		offset = 0;
	}
	return 0;
}

/* ------------------------------------------------------ attach, detach */

static void fabric_put(struct wire_loop_fabric *fabric)
{
	unsigned i, users;

	pthread_mutex_lock(&fabric->lock);
	users = --fabric->users;
	pthread_mutex_unlock(&fabric->lock);
	if (users)
		return;
	for (i = 0; i < fabric->count; i++)
		free(fabric->inboxes[i]);
	pthread_mutex_destroy(&fabric->lock);
	free(fabric);
}

static void wake_all(struct wire_loop_fabric *fabric)
{
	unsigned i, count = inbox_count(fabric);

	for (i = 0; i < count; i++) {
		inbox_enter(fabric->inboxes[i]);
		if (fabric->inboxes[i]->nic)
			nic_wake(fabric->inboxes[i]->nic);
		inbox_leave(fabric->inboxes[i]);
	}
}

static void free_cells(struct inbox *inbox)
{
	free(inbox->cells);
	free(inbox->spares);
	inbox->cells = NULL;
	inbox->spares = NULL;
}

static void loop_detach(struct wire *wire)
{
	struct wire_loop *loop = loop_of(wire);
	struct inbox *inbox = loop->inbox;
	unsigned i;

	inbox_enter(inbox);
	__atomic_store_n(&inbox->nic, NULL, __ATOMIC_SEQ_CST);
	for (i = 0; i < CELLS; i++)
		reset_body(&inbox->cells[i]);
	free_cells(inbox);
	inbox_leave(inbox);
	/* The client's memory is its own again when nic_destroy() returns. */
	while (__atomic_load_n(&inbox->readers, __ATOMIC_SEQ_CST))
		sched_yield();
	__atomic_add_fetch(&loop->fabric->departures, 1, __ATOMIC_RELEASE);
	wake_all(loop->fabric);
	fabric_put(loop->fabric);
	free(loop);
}

static const struct wire_ops loop_ops = {
	.name = "loop",
	.lossless = true,
	.mtu = LOOP_MTU,
	.copied = SPARE_BYTES,
	.refers = true,
	.resolve = loop_resolve,
	.address = loop_address,
	.reserve = loop_reserve,
	.enlarge = loop_enlarge,
	.commit = loop_commit,
	.poll = loop_poll,
	.pull = loop_pull,
	.detach = loop_detach,
};

static struct inbox *inbox_create(struct nic *nic)
{
	struct inbox *inbox = aligned_alloc(64, sizeof(*inbox));
	unsigned i;

	if (!inbox)
		return NULL;
	memset(inbox, 0, sizeof(*inbox));
	inbox->cells = calloc(CELLS, sizeof(*inbox->cells));
	inbox->spares = calloc(CELLS, SPARE_BYTES);
	if (!inbox->cells || !inbox->spares) {
		free_cells(inbox);
		free(inbox);
		return NULL;
	}
	for (i = 0; i < CELLS; i++) {
		inbox->cells[i].packet.body = inbox->cells[i].body;
		inbox->cells[i].packet.spare =
			inbox->spares + (size_t)i * SPARE_BYTES;
		inbox->cells[i].packet.spare_bytes = SPARE_BYTES;
		reset_body(&inbox->cells[i]);
	}
	inbox->nic = nic;
	return inbox;
}

/* Enter the inbox into the fabric: its place is its LID. */
static int enlist(struct wire_loop *loop, uint64_t guid)
{
	struct wire_loop_fabric *fabric = loop->fabric;
	struct wire_address *address = &loop->wire.address;
	uint64_t be;

	pthread_mutex_lock(&fabric->lock);
	if (fabric->count == NICS_MAX) {
		pthread_mutex_unlock(&fabric->lock);
		return -ENOSPC;
	}
	address->lid = (uint16_t)(fabric->count + 1);
	be = to_be64(guid ? guid : 0x5eed000000000000ull + address->lid).raw;
	loop->inbox->gid_guid = be;
	fabric->inboxes[fabric->count] = loop->inbox;
	address_of(fabric, fabric->count, address);
	__atomic_store_n(&fabric->count, fabric->count + 1, __ATOMIC_RELEASE);
	fabric->users++;
	pthread_mutex_unlock(&fabric->lock);
	return 0;
}

int wire_loop_attach(struct wire_loop_fabric *fabric, struct nic *nic)
{
	struct wire_loop *loop = calloc(1, sizeof(*loop));
	int ret = -ENOMEM;

	if (!loop)
		return -ENOMEM;
	loop->wire.ops = &loop_ops;
	loop->fabric = fabric;
	loop->inbox = inbox_create(nic);
	if (!loop->inbox)
		goto out_loop;
	ret = enlist(loop, nic_guid(nic));
	if (ret)
		goto out_inbox;
	ret = nic_attach_wire(nic, &loop->wire);
	if (ret)
		loop_detach(&loop->wire);
	return ret;

out_inbox:
	free_cells(loop->inbox);
	free(loop->inbox);
out_loop:
	free(loop);
	return ret;
}

struct wire_loop_fabric *wire_loop_create(void)
{
	struct wire_loop_fabric *fabric = calloc(1, sizeof(*fabric));

	if (!fabric)
		return NULL;
	pthread_mutex_init(&fabric->lock, NULL);
	fabric->users = 1;
	return fabric;
}

void wire_loop_release(struct wire_loop_fabric *fabric)
{
	fabric_put(fabric);
}
