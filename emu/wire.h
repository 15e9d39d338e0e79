/* SPDX-License-Identifier: MIT */
/*
 * Wires: how packets travel between NICs. One transport engine (requester,
 * responder, completer) works over each of them.
 *
 * A packet is real header bytes (BTH and extended headers, hw/bth.h) and a
 * payload: either bytes, or a list of pieces of the sender's memory that the
 * receiver pulls. A lossless wire (loop, shm) may carry packets larger than
 * an InfiniBand MTU and needs no retransmission timers; the protocol is the
 * same.
 *
 * Threads: the NIC calls its wire with the NIC's lock held, so one call at a
 * time per wire object; what several wire objects share, they protect.
 */
#ifndef EMU_WIRE_H
#define EMU_WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include "hw/bth.h"
#include "emu/nic.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
	/* Smallest room for payload bytes that every wire offers: the largest
	 * inline WQE fits, and so does the longest list of pieces. */
	WIRE_BODY_BYTES = 1024,
	WIRE_IOV_MAX = WIRE_BODY_BYTES / 16,
};

/* A piece of the sender's memory: an address of emu/dma.h in the sender's
 * process, which tells host memory from a GPU's. */
struct nic_iov {
	uint64_t addr;
	uint32_t len;
	uint32_t rsvd12;
};

/* What a UD packet's route says; a link's headers carry it. */
struct wire_route {
	uint32_t tclass_flow; /* traffic class[27:20] | flow label[19:0] */
	uint8_t hop_limit;
	uint8_t sl;
	uint8_t global; /* there is a route header */
	uint8_t rsvd7;
};

struct nic_packet {
	uint8_t header[HW_PKT_HDR_MAX];
	uint16_t header_len;
	uint16_t iov_count; /* 0: body holds the payload bytes themselves */
	uint32_t payload_len;
	uint32_t src_qpn;    /* sender's QP; lossless wires only, else 0 */
	uint32_t peer;	     /* input: who sent it, as resolve() would say */
	void *body;	     /* payload bytes, or struct nic_iov[iov_count] */
	uint32_t body_bytes; /* room in body */
	/* More room than body has, or NULL: what no acknowledgement comes for
	 * must travel by value, see wire_ops.copied. */
	void *spare;
	uint32_t spare_bytes;
	struct wire_route route; /* UD only, else undefined */
};

/* Where a QP's packets go, from the address path of its context. */
struct wire_path {
	bool global; /* gid is valid */
	uint16_t lid;
	uint8_t gid[16];
	uint16_t udp_sport;
};

struct wire_address {
	uint16_t lid;
	uint8_t gid[16];
	uint8_t mac[6];
};

struct wire_ops {
	const char *name;
	bool lossless;
	/* Payload bytes in a full packet; 0: the MTU of the QP's context. */
	uint32_t mtu;
	/* The most payload that body or spare hold: a full packet of UC. 0: as
	 * much as mtu says. 4096 at least, for UD. */
	uint32_t copied;
	/* What lies on a GPU is better left there, however short: pull() copies
	 * from the pieces themselves. */
	bool refers;

	/*
	 * Guarantees: *peer names the NIC at path for the calls below, until
	 * detach. Returns 0, or -EHOSTUNREACH if nobody is there (now).
	 */
	int (*resolve)(struct wire *wire, const struct wire_path *path,
		       uint32_t *peer);

	/*
	 * Guarantees: on 0, *packet has body and body_bytes set, and must be
	 * handed to commit before the next reserve. -EAGAIN: no room now, try
	 * in a later step. -EHOSTUNREACH: the peer is gone for good.
	 */
	int (*reserve)(struct wire *wire, uint32_t peer,
		       struct nic_packet **packet);

	/*
	 * Give a reserved packet a body with room for so many bytes of
	 * payload, at most the MTU. Returns 0 or -ENOMEM. A wire whose packets
	 * have that room anyway needs none.
	 */
	int (*enlarge)(struct nic_packet *packet, uint32_t bytes);

	/*
	 * Requires: header, payload and src_qpn are filled in. Pieces of
	 * memory stay valid until the packet is acknowledged. header_len 0
	 * takes the reservation back: nothing is delivered.
	 */
	void (*commit)(struct wire *wire, uint32_t peer,
		       struct nic_packet *packet);

	/* Guarantees: who sent a packet, for the receiver of a datagram. */
	void (*address)(struct wire *wire, uint32_t peer,
			struct wire_address *address);

	/*
	 * Deliver up to budget packets through nic_input(), and report peers
	 * that died through nic_peer_down(). Returns how many.
	 */
	unsigned (*poll)(struct wire *wire, struct nic *nic, unsigned budget,
			 uint64_t now_ns);

	/*
	 * Copy dst->len bytes from offset of a received packet's payload to
	 * dst->addr, memory of this process that the NIC has validated: an
	 * address of emu/dma.h, for dma_store(). dst->kind is not set.
	 * Returns 0; -EFAULT if dst is not mapped; -EIO if the sender's
	 * memory is not (any more).
	 */
	int (*pull)(struct wire *wire, const struct nic_packet *packet,
		    uint64_t offset, const struct nic_mem *dst);

	/* Descriptors that become readable when there is something to poll.
	 * Returns how many were written to fds, at most max. */
	unsigned (*fds)(struct wire *wire, int *fds, unsigned max);

	/* Optional. The NIC's runner is about to sleep, or is back: peers must
	 * make a descriptor readable when they send. */
	void (*set_asleep)(struct wire *wire, bool asleep);

	/* Optional. How many queue pairs the NIC has now. */
	void (*show_qps)(struct wire *wire, uint32_t qps);

	/* Optional. The link of the NIC's port went down, or came back. */
	void (*show_port)(struct wire *wire, bool active);

	/* Forget the NIC and free the wire. Its peers see it as dead. */
	void (*detach)(struct wire *wire);
};

/* The common head of every wire object. */
struct wire {
	const struct wire_ops *ops;
	struct wire_address address; /* of the NIC that the wire serves */
};

/*
 * Connect a NIC to a wire; the NIC owns it from then on. Returns 0, -EBUSY if
 * the NIC has one. Called by the wires' own attach functions.
 */
int nic_attach_wire(struct nic *nic, struct wire *wire);

/* For wires, inside poll(): the NIC's lock is held. */
void nic_input(struct nic *nic, const struct nic_packet *packet);
void nic_peer_down(struct nic *nic, uint32_t peer);
void nic_port_change(struct nic *nic, bool active); /* nic_set_port_active */
void nic_log(struct nic *nic, enum nic_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* config.guid; 0: the wire makes one up. */
uint64_t nic_guid(struct nic *nic);

/* For wires, from any thread, without the lock: there is something to poll. */
void nic_wake(struct nic *nic);

/* ---------------------------------------------------------------- loop --- */

/*
 * NICs of one process. LIDs count from 1 in the order of attach, GIDs are
 * fe80::<guid>. The fabric lives until the last NIC is gone and
 * wire_loop_release was called.
 */
struct wire_loop_fabric;

struct wire_loop_fabric *wire_loop_create(void);
void wire_loop_release(struct wire_loop_fabric *fabric);

/* Returns 0; -ENOSPC after 1,024 NICs in the fabric's life (LIDs are not used
 * twice); -ENOMEM; -EBUSY if the NIC has a wire. */
int wire_loop_attach(struct wire_loop_fabric *fabric, struct nic *nic);

/* ----------------------------------------------------------------- shm --- */

/*
 * NICs of several processes of one user on one host. dir is the fabric: made
 * with mode 0700 if it is not there, refused if it is not ours or others may
 * enter it. NULL: the user's default, $BELFRY_FABRIC, else
 * $XDG_RUNTIME_DIR/belfry if $XDG_RUNTIME_DIR can be written, else
 * /dev/shm/belfry-<uid>. A pair of NICs that talk needs up to 1 MiB there in
 * each direction.
 *
 * The NIC is the calling process's. A forked child may destroy its copy and
 * must not use it otherwise; when the parent ends, the NIC is gone for its
 * peers. What a killed process left behind is cleared away by the next attach.
 *
 * Returns 0; -EBUSY; -ENOMEM; -ENOSPC when 256 NICs are attached or the file
 * system is full; -EPERM or -EACCES for a directory that is not ours alone or
 * cannot be written; -EPROTO for a fabric of another version; -ETIMEDOUT if
 * somebody keeps it locked; -ENOSYS without pidfd_open (Linux 5.3). error (may
 * be NULL) gets a sentence.
 */
int wire_shm_attach(const char *dir, struct nic *nic, char *error,
		    size_t error_size);

/* A NIC that is attached to a fabric now. */
struct wire_shm_entry {
	uint8_t gid[16];
	int32_t pid;
	uint16_t lid;
	enum nic_link link;
	uint32_t qps; /* that exist now */
	bool active;  /* the link of its port is up */
};

typedef void wire_shm_seen(void *arg, const struct wire_shm_entry *entry);

/*
 * Call seen for each NIC of the fabric, by LID; makes and changes nothing.
 * Returns 0; -ENOENT if there is no such fabric; else as wire_shm_attach.
 */
int wire_shm_list(const char *dir, wire_shm_seen *seen, void *arg);

/*
 * nic_set_port_active() for a NIC of another process, one that was listed.
 * Waits up to patience_ms until it has done so. Returns 0; -EHOSTUNREACH if it
 * is gone; -ETIMEDOUT if its process does not move (it does it when it moves
 * again); else as wire_shm_list.
 */
int wire_shm_set_port(const char *dir, const struct wire_shm_entry *entry,
		      bool active, unsigned patience_ms);

#ifdef __cplusplus
}
#endif
#endif
