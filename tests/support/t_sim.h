/* SPDX-License-Identifier: MIT */
/*
 * A random workload over queue pairs, with a plain model beside it.
 *
 * Every end of every queue pair owns an arena, and only its peer's requests
 * write to the arena's target and inbox. So the requests of one end can be
 * applied to a copy of the arenas in the order of posting, and memory must
 * equal that copy when all is done. What the specification leaves open (a
 * read that a later write overtakes, a source that a read still fills) is
 * posted only behind a fence that orders it.
 */
#ifndef T_SIM_H
#define T_SIM_H

#include "support/t_fabric.h"
#include "support/t_klm.h"
#include "support/t_lossy.h"

enum {
	SIM_SOURCE = 0, /* random, never changes */
	SIM_SINK = 48 << 10,
	SIM_TARGET = 96 << 10,
	SIM_INBOX = 144 << 10,
	SIM_REGION = 48 << 10,
	SIM_SCRATCH = 192 << 10, /* results that the model does not know */
	SIM_ARENA = 196 << 10,
	SIM_SLOTS = 8, /* receive buffers of an inbox */
	SIM_SLOT = SIM_REGION / SIM_SLOTS,
	SIM_ENDS_MAX = 12,
	SIM_NODES_MAX = 3,
	SIM_EXPECTED = 128,
	SIM_CUTS = 8, /* entries of an end's indirect key */
};

enum sim_wire { SIM_LOSSY = 0, SIM_LOOP, SIM_SHM };

struct sim_options {
	uint64_t seed;
	enum sim_wire wire;
	/* Rings with their records, and arenas, that are device memory, in
	 * thousandths (t_cuda.h). */
	uint32_t device_rings, device_arenas;
	unsigned nodes, pairs;
	unsigned requests; /* of each end */
	uint32_t start_counter;
	uint8_t log_sq_size, log_rq_size; /* most; drawn from 0 up */
	uint8_t mtu;			  /* 0: drawn */
	uint8_t log_ra_max;		  /* most */
	uint8_t ack_timeout;
	uint32_t max_bytes;
	bool self;  /* pair 0 is one queue pair, connected to itself */
	bool crawl; /* steps, time and posting interleave at random */
	struct t_lossy_rates rates;
};

/* A completion that must come, in this order. */
struct sim_expect {
	uint16_t wqe_counter;
	uint8_t opcode;	    /* receive side: enum hw_cqe_opcode */
	uint8_t wqe_opcode; /* send side */
	uint32_t byte_cnt, imm;
	uint32_t sq_after; /* send side: blocks free again up to here */
	bool solicited;
};

struct sim_queue {
	struct sim_expect entry[SIM_EXPECTED];
	unsigned head, tail;
};

struct sim_end {
	struct t_node *node;
	struct sim_end *peer;
	struct t_qp qp;
	struct t_cq cq_send, cq_recv;
	uint8_t *arena, *model;
	/* For the whole arena, at its addresses: one direct, one through a
	 * list of pieces that UMR cuts anew while it is used. */
	uint32_t key, indirect_key;
	struct sim_queue sends, recvs;
	unsigned left;	      /* requests still to post */
	uint32_t sq_ci;	      /* blocks before it are free again */
	uint32_t sends_made;  /* requests that consume a receive WQE */
	uint32_t recvs_taken; /* receive completions seen */
	/* Responses of these kinds may be under way without a fence. */
	bool reads_target, fills_sink;
	uint64_t added; /* to the peer node's shared counter */
};

struct sim {
	struct sim_options options;
	struct t_rng rng;
	struct t_lossy net;
	char fabric[T_PATH]; /* SIM_SHM */
	struct t_node nodes[SIM_NODES_MAX];
	uint64_t *shared[SIM_NODES_MAX]; /* counters that all ends add to */
	uint32_t shared_key[SIM_NODES_MAX];
	struct sim_end ends[SIM_ENDS_MAX];
	unsigned end_count;
};

/* Run one seed to its end; asserts everything that the header promises. */
void t_sim_run(const struct sim_options *options);

/* Path MTU in bytes. */
uint32_t t_sim_mtu(const struct sim *sim);

/* t_sim_post.c: the arena cut into entries of the indirect key's list. */
void t_sim_cut(struct sim *sim, const struct sim_end *end,
	       struct hw_klm list[SIM_CUTS]);
/* A random request, applied to the model too. False: no room. */
bool t_sim_post(struct sim *sim, struct sim_end *end);
bool t_sim_post_recv(struct sim *sim, struct sim_end *end);

#endif
