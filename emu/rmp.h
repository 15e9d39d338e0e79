/* SPDX-License-Identifier: MIT */
/*
 * Receive queues: the ring of a QP, or a shared one (RMP, the device's SRQ).
 */
#ifndef EMU_RMP_H
#define EMU_RMP_H

#include "emu/cq.h"
#include "emu/mem.h"
#include "emu/request.h"
#include "hw/cmd_rmp.h"

struct nic_rq {
	uint8_t *ring;
	uint8_t *dbrec_word; /* the producer counter */
	uint32_t pi;	     /* free-running, as last read from the record */
	uint32_t ci;	     /* receive WQEs taken */
	uint32_t mask;	     /* slots - 1 */
	uint16_t next_slot;  /* linked list: the slot to take */
	uint8_t log_stride;  /* bytes */
	bool linked;	     /* slots name their successor */
	bool headed;	     /* slots start with a next segment */
	bool present;	     /* false: zero-size queue */
	uint64_t looked_ns;  /* for one to flush, in a GPU's record */
};

struct nic_rmp {
	struct nic_rq rq;
	struct nic_umem *wq_umem, *dbr_umem;
	uint32_t number;
	uint32_t pd;
	uint32_t users;
	uint16_t limit; /* lwm: event when fewer are left; 0: none */
	/* An XRC SRQ: one that packets name, in a domain, with a CQ. */
	struct nic_cq *cq; /* NULL: it is none, but an RMP */
	uint32_t xrcd;
	uint32_t user_index;
	uint8_t context[0xf0]; /* rmpc or xrc_srqc, as created */
};

/* A receive WQE in use by the message that is arriving. */
struct nic_recv {
	struct nic_block *block;
	uint32_t total_len;
	uint32_t offset; /* bytes placed so far */
	uint16_t wqe_counter;
	uint8_t sge_count;
	bool taken;
};

/*
 * Take the next receive WQE. Returns 0; -EAGAIN if there is none (RNR);
 * -EIO if the ring or the record is not readable.
 */
int nic_rq_take(struct nic *nic, struct nic_rq *rq, struct nic_recv *recv);

/* Is there one? Reads the record if it has to. Same returns. */
int nic_rq_peek(struct nic *nic, struct nic_rq *rq);

/* Take one only to flush it. Returns 0 and its index, or as nic_rq_take. */
int nic_rq_skip(struct nic *nic, struct nic_rq *rq, uint16_t *wqe_counter);

/* Tell when fewer than limit WQEs are left, once; at once if that is so now. */
void nic_rmp_arm(struct nic *nic, struct nic_rmp *rmp, uint16_t limit);

/* A receive WQE was taken: tell when the limit is crossed. */
void nic_rmp_taken(struct nic *nic, struct nic_rmp *rmp);

struct nic_rmp *nic_rmp_get(struct nic *nic, uint32_t number);
void nic_rmp_destroy(struct nic *nic, struct nic_rmp *rmp);

#endif
