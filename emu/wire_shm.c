/* SPDX-License-Identifier: MIT */
/*
 * The shared-memory wire: packets between NICs of several processes.
 *
 * Data path: emu/requester.c -> [emu/wire_shm.c] -> emu/wire_shm_poll.c
 * Source of truth: struct wire_ops in emu/wire.h.
 *
 * Each side touches only its own process's memory and the ring between them
 * (wire_shm_ring.h). Nothing is lost or reordered; a peer that ends is
 * reported. Not modelled: bit errors, congestion, the time of flight.
 *
 * Thread: in the NIC's lock, but wire_shm_attach and detach, which have the
 * wire to themselves.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "emu/dma.h"
#include "emu/order_shm.h"
#include "emu/wire_shm.h"

static int open_by_gid(const struct wire_shm *shm, const uint8_t gid[16],
		       struct shm_nic_ref *ref)
{
	for (unsigned lid = 1; lid <= SHM_NICS_MAX; lid++) {
		if (shm_nic_open(&shm->fabric, (uint16_t)lid, ref))
			continue;
		if (!memcmp(ref->id.gid, gid, sizeof(ref->id.gid)))
			return 0;
		shm_nic_close(ref);
	}
	return -EHOSTUNREACH;
}

/* The host's own troubles are told here: the NIC only knows "unreachable". */
static int connect_peer(struct wire_shm *shm, struct shm_peer *peer)
{
	int status = shm_peer_connect(shm, peer);

	if (!status)
		return 0;
	if (status != -EHOSTUNREACH)
		nic_log(shm->nic, NIC_LOG_ERROR,
			"shm wire: no ring to NIC %u in %s: %s",
			peer->ref.id.lid, shm->fabric.path, strerror(-status));
	return -EHOSTUNREACH;
}

static int resolve(struct wire *wire, const struct wire_path *path,
		   uint32_t *number)
{
	struct wire_shm *shm = (struct wire_shm *)wire;
	struct shm_nic_ref ref;
	struct shm_peer *peer;
	int status;

	if (path->global)
		status = open_by_gid(shm, path->gid, &ref);
	else
		status = shm_nic_open(&shm->fabric, path->lid, &ref);
	if (status)
		return -EHOSTUNREACH;
	peer = shm_peer_find(shm, ref.id.lid, ref.id.generation);
	if (peer)
		shm_nic_close(&ref);
	else
		status = shm_peer_add(shm, &ref, &peer);
	if (status) {
		shm_nic_close(&ref);
		return -EHOSTUNREACH;
	}
	*number = peer->number;
	if (peer->state != SHM_PEER_UP)
		return -EHOSTUNREACH;
	return connect_peer(shm, peer);
}

static int reserve(struct wire *wire, uint32_t number,
		   struct nic_packet **packet)
{
	struct wire_shm *shm = (struct wire_shm *)wire;
	struct shm_record *record;
	struct shm_peer *peer;
	int status;

	assert(number < shm->peer_count);
	peer = shm->peers[number];
	if (peer->state != SHM_PEER_UP)
		return -EHOSTUNREACH;
	/* A peer that sent first may be answered without resolve(). */
	if (!peer->out.shared && connect_peer(shm, peer))
		return -EHOSTUNREACH;
	status = shm_ring_reserve(&peer->out, &record);
	if (status == -EPROTO) {
		nic_log(shm->nic, NIC_LOG_ERROR,
			"shm wire: NIC %u (pid %d) wrote a ring position that "
			"cannot be; nothing more is sent to it",
			peer->ref.id.lid, peer->ref.id.pid);
		shm_peer_leaving(shm, peer);
		return -EHOSTUNREACH;
	}
	if (status)
		return status;
	shm->out.body = (uint8_t *)record + SHM_BODY_OFFSET;
	shm->out.body_bytes = SHM_MTU;
	*packet = &shm->out;
	return 0;
}

/*
 * Replace a list of pieces by their bytes. The list lies where the bytes go,
 * so it is put aside first. Returns false if a piece is not mapped.
 */
static bool gather(const struct nic_packet *packet)
{
	struct nic_iov pieces[WIRE_IOV_MAX];
	uint32_t offset = 0;

	assert(packet->iov_count <= WIRE_IOV_MAX);
	memcpy(pieces, packet->body, packet->iov_count * sizeof(pieces[0]));
	for (unsigned i = 0; i < packet->iov_count; i++) {
		const struct nic_iov *piece = &pieces[i];

		assert(piece->len <= packet->payload_len - offset);
		if (dma_copy((uint8_t *)packet->body + offset,
			     (const void *)(uintptr_t)piece->addr, piece->len))
			return false;
		offset += piece->len;
	}
	return true;
}

static void commit(struct wire *wire, uint32_t number,
		   struct nic_packet *packet)
{
	struct wire_shm *shm = (struct wire_shm *)wire;
	struct shm_peer *peer = shm->peers[number];
	struct shm_record *record =
		(void *)((uint8_t *)packet->body - SHM_BODY_OFFSET);

	if (!packet->header_len)
		return;
	assert(packet->header_len <= HW_PKT_HDR_MAX);
	assert(packet->payload_len <= SHM_MTU);
	record->flags = 0;
	if (packet->iov_count && !gather(packet))
		record->flags = SHM_RECORD_LOST;
	record->payload_len = packet->payload_len;
	record->src_qpn = packet->src_qpn;
	record->header_len = packet->header_len;
	memcpy(record->header, packet->header, sizeof(record->header));
	record->route = packet->route;
	shm_ring_publish(&peer->out, packet->payload_len);
	shm_peer_wake(peer);
}

static void set_address(const struct shm_nic_id *id,
			struct wire_address *address)
{
	const uint8_t *guid = id->gid + 8;

	address->lid = id->lid;
	memcpy(address->gid, id->gid, sizeof(address->gid));
	/* Unicast and locally administered. */
	address->mac[0] = (uint8_t)((guid[0] & 0xfc) | 2);
	address->mac[1] = guid[1];
	memcpy(&address->mac[2], &guid[4], 4);
}

static void address_of(struct wire *wire, uint32_t number,
		       struct wire_address *address)
{
	struct wire_shm *shm = (struct wire_shm *)wire;

	set_address(&shm->peers[number]->ref.id, address);
}

static int pull(struct wire *wire, const struct nic_packet *packet,
		uint64_t offset, const struct nic_mem *dst)
{
	struct wire_shm *shm = (struct wire_shm *)wire;

	assert(offset <= packet->payload_len &&
	       dst->len <= packet->payload_len - offset);
	if (shm->in_lost)
		return -EIO;
	return dma_store(dst->addr, (const uint8_t *)packet->body + offset,
			 dst->len);
}

static unsigned fds(struct wire *wire, int *out, unsigned max)
{
	if (!max)
		return 0;
	out[0] = ((struct wire_shm *)wire)->epoll_fd;
	return 1;
}

/*
 * A descriptor woke the runner, perhaps: take its byte, and have the next
 * poll look which process has ended.
 */
static void set_asleep(struct wire *wire, bool asleep)
{
	struct wire_shm *shm = (struct wire_shm *)wire;

	nic_order_shm_set_asleep(&shm->self->asleep, asleep);
	if (asleep)
		return;
	shm_drain_wake(shm);
	shm->check_now = true;
}

/* Nobody waits for the number: it needs no order. */
static void show_qps(struct wire *wire, uint32_t qps)
{
	struct wire_shm *shm = (struct wire_shm *)wire;

	__atomic_store_n(&shm->self->qps, qps, __ATOMIC_RELAXED);
}

/* Who waits for it wants to see the state, and nothing that is behind it. */
static void show_port(struct wire *wire, bool active)
{
	struct wire_shm *shm = (struct wire_shm *)wire;

	__atomic_store_n(&shm->self->port_down, !active, __ATOMIC_RELAXED);
}

/*
 * Tell everybody, also those who made a ring just now, then remove the files.
 * The packets sent last stay in their rings until the receivers took them.
 */
static void leave(struct wire_shm *shm)
{
	nic_order_shm_set_gone(&shm->self->gone);
	shm_check_attention(shm);
	for (uint32_t i = 0; i < shm->active_count; i++)
		if (shm->active[i]->state == SHM_PEER_UP)
			shm_peer_notify(shm, shm->active[i]);
	shm_nic_leave(&shm->fabric);
}

/* In a forked child the NIC is the parent's, and stays. */
static void detach(struct wire *wire)
{
	struct wire_shm *shm = (struct wire_shm *)wire;

	if (shm->id.pid == getpid())
		leave(shm);
	shm_peer_free_all(shm);
	if (shm->epoll_fd >= 0)
		close(shm->epoll_fd);
	if (shm->wake_fd >= 0)
		close(shm->wake_fd);
	shm_nic_unmap(shm->self);
	shm_fabric_close(&shm->fabric);
	free(shm);
}

static const struct wire_ops shm_ops = {
	.name = "shm",
	.lossless = true,
	.mtu = SHM_MTU,
	.resolve = resolve,
	.address = address_of,
	.reserve = reserve,
	.commit = commit,
	.poll = shm_poll,
	.pull = pull,
	.fds = fds,
	.set_asleep = set_asleep,
	.show_qps = show_qps,
	.show_port = show_port,
	.detach = detach,
};

static int open_fds(struct wire_shm *shm)
{
	struct epoll_event event = {.events = EPOLLIN,
				    .data.u64 = SHM_EPOLL_WAKE};
	char name[SHM_NAME_MAX];

	shm_wake_name(name, shm->id.lid);
	shm->wake_fd = openat(shm->fabric.dir_fd, name,
			      O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (shm->wake_fd < 0)
		return -errno;
	shm->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (shm->epoll_fd < 0 ||
	    epoll_ctl(shm->epoll_fd, EPOLL_CTL_ADD, shm->wake_fd, &event) < 0)
		return -errno;
	return 0;
}

/* Requires: joined, so that detach() can undo everything. */
static int attach_joined(struct wire_shm *shm, const struct shm_error *error)
{
	struct nic_port port;
	int status;

	nic_query_port(shm->nic, &port);
	__atomic_store_n(&shm->self->link, port.link, __ATOMIC_RELAXED);
	shm->wire.ops = &shm_ops;
	set_address(&shm->id, &shm->wire.address);
	status = open_fds(shm);
	if (status)
		return shm_fail(error, status, "fabric %s: %s",
				shm->fabric.path, strerror(-status));
	status = nic_attach_wire(shm->nic, &shm->wire);
	if (status)
		return shm_fail(error, status, "the NIC has a wire already");
	return 0;
}

int wire_shm_attach(const char *dir, struct nic *nic, char *text,
		    size_t text_size)
{
	struct shm_error error = {text, text_size};
	struct wire_shm *shm = calloc(1, sizeof(*shm));
	int status;

	if (!shm)
		return shm_fail(&error, -ENOMEM, "out of memory");
	shm->nic = nic;
	shm->epoll_fd = shm->wake_fd = -1;
	status = shm_fabric_open(&shm->fabric, dir, true, &error);
	if (status)
		goto out_free;
	status = shm_nic_join(&shm->fabric, nic_guid(nic), &shm->self, &shm->id,
			      &error);
	if (status)
		goto out_close;
	status = attach_joined(shm, &error);
	if (status)
		detach(&shm->wire);
	return status;
out_close:
	shm_fabric_close(&shm->fabric);
out_free:
	free(shm);
	return status;
}

int wire_shm_list(const char *dir, wire_shm_seen *seen, void *arg)
{
	struct shm_error error = {NULL, 0};
	struct wire_shm_entry entry;
	struct shm_fabric fabric;
	struct shm_nic_ref ref;
	int status;

	status = shm_fabric_open(&fabric, dir, false, &error);
	if (status)
		return status;
	for (unsigned lid = 1; lid <= SHM_NICS_MAX; lid++) {
		if (shm_nic_open(&fabric, (uint16_t)lid, &ref))
			continue;
		entry.lid = (uint16_t)lid;
		entry.pid = ref.id.pid;
		memcpy(entry.gid, ref.id.gid, sizeof(entry.gid));
		entry.link =
			__atomic_load_n(&ref.shared->link, __ATOMIC_RELAXED)
				? NIC_LINK_ROCE
				: NIC_LINK_IB;
		entry.qps = __atomic_load_n(&ref.shared->qps, __ATOMIC_RELAXED);
		entry.active = !__atomic_load_n(&ref.shared->port_down,
						__ATOMIC_RELAXED);
		shm_nic_close(&ref);
		seen(arg, &entry);
	}
	shm_fabric_close(&fabric);
	return 0;
}
