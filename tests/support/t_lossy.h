/* SPDX-License-Identifier: MIT */
/*
 * A wire for tests that loses, repeats, delays and reorders packets.
 *
 * It carries what a real network would: header and payload bytes of at most
 * the queue pair's path MTU, no reference to the sender's memory. Time is
 * virtual and everything follows from the seed. With all rates zero nothing
 * is lost, but the wire is still not "lossless": the timers run.
 */
#ifndef T_LOSSY_H
#define T_LOSSY_H

#include "support/t_nic.h"
#include "support/t_rng.h"

enum {
	T_LOSSY_NICS = 4,
	T_LOSSY_BODY = 4096, /* the largest path MTU */
	T_LOSSY_HOP_NS = 1000,
	T_LOSSY_PACKET_NS = 100, /* on the link, one after the other */
};

/* In thousandths, each drawn for every packet. */
struct t_lossy_rates {
	uint32_t drop, duplicate, reorder;
	uint32_t busy;	   /* reserve answers -EAGAIN */
	uint64_t delay_ns; /* most that reordering adds */
};

enum t_fate { T_PASS, T_DROP, T_TWICE, T_LATE };

/* What a filter sees of a packet that is being sent. */
struct t_sight {
	unsigned from, to; /* NICs in the order of attach */
	struct hw_bth_info bth;
	uint8_t syndrome; /* of an AETH, else 0 */
	uint32_t payload_len;
};

typedef enum t_fate t_lossy_filter(void *arg, const struct t_sight *sight);

struct t_cell {
	struct t_cell *next;
	uint64_t due_ns;
	uint32_t to;
	struct nic_packet packet;
	uint8_t body[T_LOSSY_BODY];
};

struct t_lossy {
	struct t_rng rng;
	struct t_lossy_rates rates;
	/* Looks first; what it lets pass is subject to the rates. */
	t_lossy_filter *filter;
	void *filter_arg;
	uint64_t now_ns, link_free_ns;
	struct t_cell *flying; /* sorted by due_ns */
	struct t_cell *spare;
	struct nic *nics[T_LOSSY_NICS];
	uint64_t guids[T_LOSSY_NICS]; /* big-endian, as in a GID */
	unsigned count;
	uint64_t sent, dropped; /* packets */
};

void t_lossy_open(struct t_lossy *net, uint64_t seed);
/* After the NICs are destroyed. */
void t_lossy_close(struct t_lossy *net);
void t_lossy_attach(struct t_lossy *net, struct t_node *node);

/* When the next packet arrives, UINT64_MAX if none is under way. */
uint64_t t_lossy_due(const struct t_lossy *net);

/*
 * The next time at which anything happens at all: a packet or a timer.
 * UINT64_MAX: never, the nodes are quiet.
 */
uint64_t t_lossy_next(const struct t_lossy *net, struct t_node *nodes,
		      unsigned count);
void t_lossy_set_time(struct t_node *nodes, unsigned count, uint64_t now_ns);

/* Serve everything, moving time along, until quiet or limit_ns has passed. */
void t_lossy_run(struct t_lossy *net, struct t_node *nodes, unsigned count,
		 uint64_t limit_ns);

#endif
