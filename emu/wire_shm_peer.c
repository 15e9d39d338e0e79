/* SPDX-License-Identifier: MIT */
/*
 * The peers of a NIC on the shared-memory wire: found, connected to, woken,
 * and taken leave of.
 *
 * Thread: in the NIC's lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "emu/order_shm.h"
#include "emu/wire_shm.h"

/* Only those that are not DOWN. */
struct shm_peer *shm_peer_find(struct wire_shm *shm, uint16_t lid,
			       uint64_t generation)
{
	for (uint32_t i = 0; i < shm->active_count; i++) {
		struct shm_peer *peer = shm->active[i];

		if (peer->ref.id.lid == lid &&
		    peer->ref.id.generation == generation)
			return peer;
	}
	return NULL;
}

static int make_room(struct wire_shm *shm)
{
	uint32_t room = shm->peer_room ? shm->peer_room * 2 : 16;
	struct shm_peer **peers, **active;

	if (shm->peer_count < shm->peer_room)
		return 0;
	peers = realloc(shm->peers, room * sizeof(struct shm_peer *));
	if (!peers)
		return -ENOMEM;
	shm->peers = peers;
	active = realloc(shm->active, room * sizeof(struct shm_peer *));
	if (!active)
		return -ENOMEM;
	shm->active = active;
	shm->peer_room = room;
	return 0;
}

/*
 * A new peer; it owns what ref holds from then on. A ref without a header
 * (shared NULL) is one that had gone before its ring was seen. Returns 0 or
 * -errno.
 */
int shm_peer_add(struct wire_shm *shm, const struct shm_nic_ref *ref,
		 struct shm_peer **peer)
{
	struct epoll_event event = {.events = EPOLLIN,
				    .data.u64 = shm->peer_count};
	struct shm_peer *new_peer;

	if (make_room(shm))
		return -ENOMEM;
	new_peer = calloc(1, sizeof(*new_peer));
	if (!new_peer)
		return -ENOMEM;
	if (ref->pid_fd >= 0 &&
	    epoll_ctl(shm->epoll_fd, EPOLL_CTL_ADD, ref->pid_fd, &event) < 0) {
		free(new_peer);
		return -errno;
	}
	new_peer->ref = *ref;
	new_peer->number = shm->peer_count;
	new_peer->state = ref->shared ? SHM_PEER_UP : SHM_PEER_LEAVING;
	new_peer->wake_fd = -1;
	shm->peers[shm->peer_count++] = new_peer;
	shm->active[shm->active_count++] = new_peer;
	*peer = new_peer;
	return 0;
}

/*
 * Make the ring to the peer, once, and tell it. The FIFO is opened for reading
 * too: it then has a reader even when the peer is gone, and a write to it is
 * never a SIGPIPE. Returns 0; -EHOSTUNREACH if the peer leaves just now (it
 * may not have seen us, so it would not tell us); or -errno.
 */
int shm_peer_connect(struct wire_shm *shm, struct shm_peer *peer)
{
	struct shm_ring_key key = {
		.src_generation = shm->id.generation,
		.dst_generation = peer->ref.id.generation,
		.src_lid = shm->id.lid,
		.dst_lid = peer->ref.id.lid,
	};
	char name[SHM_NAME_MAX];
	int status;

	if (peer->out.shared)
		return 0;
	if (peer->wake_fd < 0) {
		shm_wake_name(name, key.dst_lid);
		peer->wake_fd =
			openat(shm->fabric.dir_fd, name,
			       O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	}
	if (peer->wake_fd < 0)
		return -errno;
	status = shm_ring_create(shm->fabric.dir_fd, &key, &peer->out);
	if (status)
		return status;
	shm_peer_notify(shm, peer);
	if (!nic_order_shm_gone(&peer->ref.shared->gone))
		return 0;
	shm_peer_leaving(shm, peer);
	return -EHOSTUNREACH;
}

/*
 * Wake the peer if it sleeps. A FIFO that is full has bytes enough. Called
 * after something was published; order_shm.h says why none is missed.
 */
void shm_peer_wake(struct shm_peer *peer)
{
	if (peer->wake_fd >= 0 &&
	    nic_order_shm_take_asleep(&peer->ref.shared->asleep))
		while (write(peer->wake_fd, "", 1) < 0 && errno == EINTR)
			;
}

/* Ask the peer to look at this NIC's files. */
void shm_peer_notify(struct wire_shm *shm, struct shm_peer *peer)
{
	unsigned bit = shm->id.lid - 1u;

	nic_order_shm_attention(&peer->ref.shared->attention[bit / 64],
				1ull << bit % 64);
	shm_peer_wake(peer);
}

/* No new packets to it, and none beyond what it has published already. */
void shm_peer_leaving(struct wire_shm *shm, struct shm_peer *peer)
{
	if (peer->state != SHM_PEER_UP)
		return;
	peer->state = SHM_PEER_LEAVING;
	epoll_ctl(shm->epoll_fd, EPOLL_CTL_DEL, peer->ref.pid_fd, NULL);
}

static void release(struct shm_peer *peer)
{
	shm_ring_close(&peer->out);
	shm_ring_close(&peer->in);
	if (peer->wake_fd >= 0)
		close(peer->wake_fd);
	peer->wake_fd = -1;
	shm_nic_close(&peer->ref);
}

/*
 * It is gone for good; the handle stays and answers so. Its files are swept
 * at once if nobody else is busy with the directory, else by who comes next.
 */
void shm_peer_down(struct wire_shm *shm, struct shm_peer *peer)
{
	bool alive[SHM_NICS_MAX + 1];
	uint32_t i = 0;

	while (shm->active[i] != peer)
		i++;
	shm->active[i] = shm->active[--shm->active_count];
	release(peer);
	peer->state = SHM_PEER_DOWN;
	if (!shm_fabric_lock(&shm->fabric, 0)) {
		shm_fabric_sweep(&shm->fabric, alive);
		shm_fabric_unlock(&shm->fabric);
	}
}

void shm_peer_free_all(struct wire_shm *shm)
{
	for (uint32_t i = 0; i < shm->peer_count; i++) {
		release(shm->peers[i]);
		free(shm->peers[i]);
	}
	free(shm->active);
	free(shm->peers);
}
