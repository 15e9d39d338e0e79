/* SPDX-License-Identifier: MIT */
/*
 * The receiving end of the shared-memory wire: packets out of the rings, new
 * rings, peers that have gone, and what the NIC is told to do with its port.
 *
 * Data path: emu/wire_shm.c -> [emu/wire_shm_poll.c] -> emu/responder.c
 * Source of truth: struct wire_ops in emu/wire.h.
 *
 * Thread: in the NIC's lock.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "emu/order_shm.h"
#include "emu/wire_shm.h"

enum {
	CHECK_INTERVAL_NS = 10 * 1000 * 1000,
	EVENTS_MAX = 16, /* in one check */
};

/* What woke the runner, once it is awake. */
void shm_drain_wake(struct wire_shm *shm)
{
	char bytes[64];

	while (read(shm->wake_fd, bytes, sizeof(bytes)) == sizeof(bytes))
		;
}

/* Whose process has ended? One system call, whatever the number of peers. */
static void check_processes(struct wire_shm *shm, uint64_t now_ns)
{
	struct epoll_event events[EVENTS_MAX];
	int count;

	if (!shm->check_now && now_ns - shm->checked_ns < CHECK_INTERVAL_NS)
		return;
	shm->check_now = false;
	shm->checked_ns = now_ns;
	count = epoll_wait(shm->epoll_fd, events, EVENTS_MAX, 0);
	for (int i = 0; i < count; i++) {
		/* The byte is for the sleeping runner, which takes it when it
		 * is back: another thread that steps the NIC must leave it, or
		 * the runner sleeps on and nobody writes another. */
		if (events[i].data.u64 != SHM_EPOLL_WAKE)
			shm_peer_leaving(shm, shm->peers[events[i].data.u64]);
	}
}

/*
 * The peer that made the ring. If its header is not there any more, or is
 * that of a successor, the ring is all that is left of it.
 */
static struct shm_peer *sender_of(struct wire_shm *shm,
				  const struct shm_ring_key *key)
{
	struct shm_peer *peer;
	struct shm_nic_ref ref;

	peer = shm_peer_find(shm, key->src_lid, key->src_generation);
	if (peer)
		return peer;
	if (shm_nic_open(&shm->fabric, key->src_lid, &ref)) {
		ref = (struct shm_nic_ref){.pid_fd = -1};
	} else if (ref.id.generation != key->src_generation) {
		shm_nic_close(&ref);
		ref = (struct shm_nic_ref){.pid_fd = -1};
	}
	ref.id.lid = key->src_lid;
	ref.id.generation = key->src_generation;
	if (!shm_peer_add(shm, &ref, &peer))
		return peer;
	shm_nic_close(&ref);
	return NULL;
}

/* NIC lid asked for attention: it made a ring to this NIC, or it has left. */
static void attend(struct wire_shm *shm, uint16_t lid)
{
	struct shm_peer *peer = NULL;
	struct shm_ring ring = {0};
	struct shm_ring_key key;
	int status;

	status = shm_ring_open(shm->fabric.dir_fd, lid, shm->id.lid, &ring,
			       &key);
	if (!status && key.dst_generation == shm->id.generation)
		peer = sender_of(shm, &key);
	if (peer && !peer->in.shared)
		peer->in = ring;
	else
		shm_ring_close(&ring);
	if (status && status != -ENOENT)
		nic_log(shm->nic, NIC_LOG_ERROR,
			"shm wire: the ring of NIC %u cannot be mapped: %s",
			lid, strerror(-status));
	for (uint32_t i = 0; i < shm->active_count; i++) {
		peer = shm->active[i];
		if (peer->ref.id.lid == lid && peer->ref.shared &&
		    nic_order_shm_gone(&peer->ref.shared->gone))
			shm_peer_leaving(shm, peer);
	}
}

void shm_check_attention(struct wire_shm *shm)
{
	for (unsigned i = 0; i < SHM_NICS_MAX / 64; i++) {
		uint64_t *word = &shm->self->attention[i];
		uint64_t bits = nic_order_shm_take_attention(word);

		for (; bits; bits &= bits - 1)
			attend(shm,
			       (uint16_t)(i * 64 + __builtin_ctzll(bits) + 1));
	}
}

static void fill_packet(struct wire_shm *shm, const struct shm_record *record,
			const uint8_t *payload, uint32_t peer)
{
	struct nic_packet *packet = &shm->in;

	memcpy(packet->header, record->header, sizeof(packet->header));
	packet->header_len = record->header_len;
	packet->payload_len = record->payload_len;
	packet->src_qpn = record->src_qpn;
	packet->route = record->route;
	/* Lost: not bytes, but something to pull, and pull() then fails. */
	shm->in_lost = record->flags & SHM_RECORD_LOST;
	packet->iov_count = shm->in_lost;
	packet->peer = peer;
	/* Receivers do not write to a body. */
	packet->body = (void *)payload;
	packet->body_bytes = SHM_MTU;
}

/* Returns how many packets of this peer were delivered. */
static unsigned deliver(struct wire_shm *shm, struct shm_peer *peer,
			unsigned budget)
{
	struct shm_record record;
	const uint8_t *payload;
	unsigned count = 0;
	int status = 0;

	while (peer->in.shared && count < budget) {
		status = shm_ring_peek(&peer->in, &record, &payload);
		if (status)
			break;
		fill_packet(shm, &record, payload, peer->number);
		nic_input(shm->nic, &shm->in);
		shm_ring_release(&peer->in);
		count++;
	}
	if (status == -EPROTO) {
		nic_log(shm->nic, NIC_LOG_ERROR,
			"shm wire: NIC %u (pid %d) wrote a record that cannot "
			"be; nothing more is taken from it",
			peer->ref.id.lid, peer->ref.id.pid);
		shm_ring_close(&peer->in);
		shm_peer_leaving(shm, peer);
	}
	return count;
}

/*
 * One peer may use up the whole budget; the next call then starts with the
 * one behind it.
 */
static unsigned deliver_all(struct wire_shm *shm, unsigned budget)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < shm->active_count && count < budget; i++) {
		uint32_t turn = shm->active_next++ % shm->active_count;

		count += deliver(shm, shm->active[turn], budget - count);
	}
	return count;
}

static bool has_packets(struct shm_peer *peer)
{
	struct shm_record record;
	const uint8_t *payload;

	return peer->in.shared && !shm_ring_peek(&peer->in, &record, &payload);
}

/*
 * Rings of a process that has ended do not grow, and the attention bits that
 * it had set were looked at after its end was noticed.
 */
static void report_down(struct wire_shm *shm)
{
	for (uint32_t i = shm->active_count; i-- > 0;) {
		struct shm_peer *peer = shm->active[i];

		if (peer->state != SHM_PEER_LEAVING || has_packets(peer))
			continue;
		nic_log(shm->nic, NIC_LOG_INFO,
			"shm wire: NIC %u (pid %d) is gone", peer->ref.id.lid,
			peer->ref.id.pid);
		shm_peer_down(shm, peer);
		nic_peer_down(shm->nic, peer->number);
	}
}

/* `belfry port` has asked for another state. */
static void check_port(struct wire_shm *shm)
{
	uint32_t wish = nic_order_shm_take_port(&shm->self->port_wish);

	if (wish)
		nic_port_change(shm->nic, wish != SHM_PORT_DOWN);
}

unsigned shm_poll(struct wire *wire, struct nic *nic, unsigned budget,
		  uint64_t now_ns)
{
	struct wire_shm *shm = (struct wire_shm *)wire;
	unsigned count;

	assert(nic == shm->nic);
	check_processes(shm, now_ns);
	shm_check_attention(shm);
	check_port(shm);
	count = deliver_all(shm, budget);
	report_down(shm);
	return count;
}
