/* SPDX-License-Identifier: MIT */
/*
 * One send request: a WQE after it was fetched, decoded and validated, until
 * its completion. Requests and their long lists come from pools that are
 * allocated with the NIC.
 */
#ifndef EMU_REQUEST_H
#define EMU_REQUEST_H

#include <stdbool.h>
#include "emu/wire.h"
#include "hw/wqe.h"
#include "hw/wqe_opcode.h"

/*
 * Local memory as a WQE names it; translated again at every use. An inline
 * segment is an entry too: va is where it starts in the request's bytes.
 */
struct nic_sge {
	uint64_t va;
	uint32_t len;
	uint32_t lkey;
};

enum {
	NIC_SGE_MAX = HW_WQE_DS_MAX - 1,
	NIC_SGE_SMALL = 3,
	NIC_INLINE_SMALL = 48,
};

/* Room for the longest list and the longest inline data. */
struct nic_block {
	struct nic_block *next;
	struct nic_sge sge[NIC_SGE_MAX];
	uint8_t bytes[HW_WQE_BYTES_MAX];
};

/* Where a datagram goes. */
struct nic_datagram {
	uint32_t peer; /* of the wire; valid if known */
	uint32_t qpn;
	uint32_t qkey;
	struct wire_route route;
	bool known; /* false: to nobody, it will be lost */
};

struct nic_request {
	struct nic_request *next; /* younger request of the queue, or pool */
	struct nic_block *block;  /* NULL: there is room enough below */
	uint64_t inline_mask;	  /* bit i: segment i is inline data */
	uint64_t raddr;
	uint32_t rkey;
	uint32_t imm;
	uint32_t total_len; /* payload bytes, request or response */
	uint32_t first_psn;
	uint32_t packets;      /* PSNs that it occupies; 0 for local opcodes */
	uint32_t sent;	       /* packets sent since the last retransmission */
	uint32_t done_packets; /* acknowledged, or response packets placed */
	uint16_t wqe_index;    /* ctrl.index: what the CQE will say */
	uint16_t flags;	       /* enum hw_op_flags */
	uint16_t kept_bytes;   /* inline data, or the segments of a UMR */
	uint8_t opcode;
	uint8_t bbs;
	uint8_t fm_ce_se;
	uint8_t syndrome; /* of a failed request */
	uint8_t sge_count;
	uint8_t operand_bytes; /* atomics: 4 or 8 */
	bool admitted;	       /* PSN given, fences passed */
	bool done;
	union {
		struct hw_atomic_args atomic;
		struct nic_datagram datagram;
	};
	union {
		uint32_t wait_cqn;
		uint32_t xrc_srqn;
	};
	uint32_t wait_index;
	struct nic_sge sge[NIC_SGE_SMALL];
	uint8_t bytes[NIC_INLINE_SMALL];
};

static inline const struct nic_sge *
nic_request_sges(const struct nic_request *r)
{
	return r->block ? r->block->sge : r->sge;
}

static inline const uint8_t *nic_request_bytes(const struct nic_request *r)
{
	return r->block ? r->block->bytes : r->bytes;
}

struct nic_pool {
	struct nic_request *requests; /* free ones */
	struct nic_block *blocks;
	uint32_t free_requests, free_blocks;
	void *request_memory, *block_memory;
};

int nic_pool_init(struct nic_pool *pool);
void nic_pool_free(struct nic_pool *pool);

/* Is there room for one more request, long list included? */
static inline bool nic_pool_empty(const struct nic_pool *pool)
{
	return !pool->requests || !pool->blocks;
}

/*
 * May a queue that holds so many take one more? A queue gets an eighth of what
 * is free, so that some that wait for ever do not starve the others.
 */
static inline bool nic_pool_spares(const struct nic_pool *pool,
				   uint32_t requests, uint32_t blocks)
{
	return !nic_pool_empty(pool) && requests <= pool->free_requests / 8 &&
	       blocks <= pool->free_blocks / 8;
}

/* NULL when there is none; cleared otherwise. */
struct nic_request *nic_request_get(struct nic_pool *pool);
void nic_request_put(struct nic_pool *pool, struct nic_request *request);
struct nic_block *nic_block_get(struct nic_pool *pool);
void nic_block_put(struct nic_pool *pool, struct nic_block *block);

#endif
