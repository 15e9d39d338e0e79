/* SPDX-License-Identifier: MIT */
/*
 * One NIC's end of the shared-memory wire, and the peers that it knows.
 *
 * A peer is one incarnation of a NIC (LID and generation). Its number, the
 * handle of wire_ops, is an index that is never used again.
 *
 *   UP      -> LEAVING  it said so, its process ended, or it wrote nonsense
 *   LEAVING -> DOWN     all that it had published is delivered, and the NIC
 *                       was told (nic_peer_down)
 *   Prohibited: back to UP (a new NIC at that LID is a new peer), and UP to
 *   DOWN at once (its last packets would be lost).
 */
#ifndef EMU_WIRE_SHM_H
#define EMU_WIRE_SHM_H

#include "emu/wire.h"
#include "emu/wire_shm_fabric.h"
#include "emu/wire_shm_nic.h"
#include "emu/wire_shm_ring.h"

enum shm_peer_state {
	SHM_PEER_UP,
	SHM_PEER_LEAVING,
	SHM_PEER_DOWN,
};

struct shm_peer {
	struct shm_nic_ref ref; /* shared is NULL if it had gone before */
	uint32_t number;
	enum shm_peer_state state;
	int wake_fd;	     /* -1: not open */
	struct shm_ring out; /* shared is NULL: not made */
	struct shm_ring in;
};

struct wire_shm {
	struct wire wire;
	struct shm_fabric fabric;
	struct shm_nic *self;
	struct shm_nic_id id;
	struct nic *nic;

	/* One descriptor for all: readable when the FIFO has a byte or a
	 * peer's process has ended. */
	int epoll_fd;
	int wake_fd;
	uint64_t checked_ns;
	bool check_now;

	/* By number; and those that are not DOWN, in no order. */
	struct shm_peer **peers;
	uint32_t peer_count, peer_room;
	struct shm_peer **active;
	uint32_t active_count, active_next;

	struct nic_packet out; /* between reserve and commit */
	struct nic_packet in;  /* during nic_input */
	bool in_lost;	       /* its payload could not be read */
};

/* epoll_data of the FIFO; a peer's pidfd has the peer's number. */
#define SHM_EPOLL_WAKE UINT64_MAX

/* wire_shm_peer.c */
struct shm_peer *shm_peer_find(struct wire_shm *shm, uint16_t lid,
			       uint64_t generation);
int shm_peer_add(struct wire_shm *shm, const struct shm_nic_ref *ref,
		 struct shm_peer **peer);
int shm_peer_connect(struct wire_shm *shm, struct shm_peer *peer);
void shm_peer_wake(struct shm_peer *peer);
void shm_peer_notify(struct wire_shm *shm, struct shm_peer *peer);
void shm_peer_leaving(struct wire_shm *shm, struct shm_peer *peer);
void shm_peer_down(struct wire_shm *shm, struct shm_peer *peer);
void shm_peer_free_all(struct wire_shm *shm);

/* wire_shm_poll.c */
unsigned shm_poll(struct wire *wire, struct nic *nic, unsigned budget,
		  uint64_t now_ns);
void shm_check_attention(struct wire_shm *shm);
void shm_drain_wake(struct wire_shm *shm);

#endif
