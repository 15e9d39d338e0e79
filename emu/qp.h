/* SPDX-License-Identifier: MIT */
/*
 * Queue pair: its state machine, and the state of its engines.
 *
 *   from \ to   RST    INIT   RTR    RTS        SQER   ERR
 *   RST         2RST   RST2INIT -    -          -      2ERR
 *   INIT        2RST   INIT2INIT INIT2RTR -     -      2ERR
 *   RTR         2RST   -      -      RTR2RTS    -      2ERR
 *   RTS         2RST   -      -      RTS2RTS    CQE    2ERR, or an error CQE
 *   SQER        2RST   -      -      SQERR2RTS  -      2ERR
 *   ERR         2RST   -      -      -          -      2ERR
 *
 * CQE: a send request of an unacknowledged service (UC, UD) that fails here.
 * Its send queue is flushed; it receives as before.
 *
 * Prohibited, and why: RST to RTR or RTS (no peer, no PSN yet), INIT to RTS
 * (the responder must be able to answer before the requester asks), RTS to
 * RTR or INIT (requests are in flight), ERR to anything but RST (the queues
 * must be flushed and emptied first).
 *
 * Source: IBTA vol. 1, 10.3.1; SQD is not modelled.
 */
#ifndef EMU_QP_H
#define EMU_QP_H

#include "emu/cq.h"
#include "emu/responder.h"
#include "emu/wire.h"
#include "hw/cmd_qp.h"

enum { NIC_SQ_WINDOW = 64 };

/* A ring on a GPU: blocks that were rung for are read many at a time. */
struct nic_sq_window {
	uint32_t start, count; /* counters of its blocks */
	uint8_t blocks[NIC_SQ_WINDOW * HW_WQE_BB];
};

/* Requester: the send queue and what is in flight. */
struct nic_sq {
	uint8_t *ring;
	uint8_t *dbrec_word;
	uint32_t size;	  /* basic blocks */
	uint32_t pi;	  /* free-running; low 16 bits from doorbells */
	uint32_t fetched; /* next block to fetch */
	uint32_t done;	  /* blocks before it are completed */
	struct nic_request *head, *tail; /* in flight, oldest first */
	struct nic_request *tx;		 /* to send next; NULL: fetch */
	uint32_t next_psn;  /* of the next request to be admitted */
	uint32_t sent_psn;  /* no packet from here on was ever sent */
	uint32_t blocks;    /* of the pool, that those in flight hold */
	uint32_t rings;	    /* of its page, when the record was last looked
			     * at; of a queue on a GPU */
	uint16_t record;    /* doorbell record when last looked at */
	uint16_t in_flight; /* requests */
	uint16_t responses; /* reads and atomics outstanding */
	uint16_t responses_max;
	uint8_t retries, retries_max;
	uint8_t rnr_retries, rnr_retries_max;
	bool stopped; /* a failed WQE: fetch no further */
	bool rnr_wait;
	bool retrying;		      /* sent again, and no progress since */
	struct nic_sq_window *window; /* NULL: the ring is host memory */
};

struct nic_qp {
	struct nic_qp *ready_next;
	bool ready; /* on the list of QPs that have output */
	bool peer_known, peer_dead;
	bool to_itself; /* it is its own peer */
	uint8_t state;	/* enum hw_qp_state */
	uint8_t access; /* enum nic_access, remote bits */
	uint8_t min_rnr_nak;
	uint8_t rq_type;
	uint8_t service; /* enum hw_pkt_service */
	bool acked;	 /* a service with acknowledgements: RC, XRC */
	bool no_dbr;
	bool flushing;
	uint32_t number;
	uint32_t remote_qpn;
	uint32_t peer;
	uint32_t mtu;	  /* payload bytes of a full packet */
	uint32_t msg_max; /* bytes of a message */
	uint32_t pd;
	uint32_t key_pd; /* for keys: pd, or that of the XRC SRQ in use */
	uint32_t user_index;
	uint64_t ack_timeout_ns;	     /* 0: none */
	uint64_t ack_deadline, rnr_deadline; /* UINT64_MAX: not running */
	struct nic_cq *cq_send, *cq_recv;
	struct nic_rmp *rmp;
	struct nic_uar *uar;
	struct nic_umem *wq_umem, *dbr_umem;
	struct nic_qp *timer_next, **timer_prev;
	struct nic_sq sq;
	struct nic_rq rq;
	struct nic_responder resp;
	uint8_t qpc[HW_QPC_BYTES]; /* as created and modified */
};

struct nic_qp *nic_qp_get(struct nic *nic, uint32_t number);

/* The one function that changes the state. */
void nic_qp_set_state(struct nic *nic, struct nic_qp *qp,
		      enum hw_qp_state state);

/* To ERR, telling the client why; what is in the queues will be flushed. */
void nic_qp_fail(struct nic *nic, struct nic_qp *qp, enum nic_event_type event);

/* Write flush completions, at most budget. True when none is left. */
bool nic_qp_flush(struct nic *nic, struct nic_qp *qp, unsigned budget);

/* Look the peer up by the path in the context. True if it is known now. */
bool nic_qp_resolve(struct nic *nic, struct nic_qp *qp);

/* The QP has output: nic_step will call its engines. */
void nic_qp_ready(struct nic *nic, struct nic_qp *qp);

/* Its peer waits for answers that will not come: tell it (nic_notify). */
void nic_qp_abandon_answers(struct nic *nic, const struct nic_qp *qp);

/* Timers (timer.c). */
void nic_qp_set_ack_timer(struct nic *nic, struct nic_qp *qp);
void nic_qp_set_gone_timer(struct nic *nic, struct nic_qp *qp);

/* A request to a process that has ended fails after the retries that its QP
 * would make, or after this time if they take longer or never end. */
enum { NIC_GONE_NS = 500 * 1000 * 1000 };

void nic_qp_set_rnr_timer(struct nic *nic, struct nic_qp *qp, uint64_t ns);
void nic_qp_stop_timers(struct nic_qp *qp);

void nic_qp_destroy(struct nic *nic, struct nic_qp *qp);
const char *nic_qp_state_name(uint8_t state);

/* Its shared receive queue: the one that it was made with, or the XRC SRQ
 * that the latest packet named; NULL: none. */
static inline struct nic_rmp *nic_qp_srq(const struct nic_qp *qp)
{
	return qp->service == HW_PKT_XRC ? qp->resp.xrc_srq : qp->rmp;
}

/* Where its receives complete, and under which user index. */
static inline struct nic_cq *nic_qp_recv_cq(const struct nic_qp *qp)
{
	const struct nic_rmp *srq = nic_qp_srq(qp);

	return srq && srq->cq ? srq->cq : qp->cq_recv;
}

static inline uint32_t nic_qp_recv_index(const struct nic_qp *qp)
{
	const struct nic_rmp *srq = nic_qp_srq(qp);

	return srq && srq->cq ? srq->user_index : qp->user_index;
}

/* A receive queue of this QP, its own or the shared one; NULL: none. */
struct nic_rq *nic_qp_rq(struct nic_qp *qp);

/* Is a doorbell for a QP in this state more than a mistake? */
static inline bool nic_qp_takes_doorbells(uint8_t state)
{
	return state == HW_QP_RTS || state == HW_QP_SQER || state == HW_QP_ERR;
}

/* Does it take packets? */
static inline bool nic_qp_receives(uint8_t state)
{
	return state == HW_QP_RTR || state == HW_QP_RTS || state == HW_QP_SQER;
}

/* --------------------------------------------------- data path stages --- */

/* doorbell.c: a producer index, from the register or the record. */
void nic_qp_doorbell(struct nic *nic, struct nic_qp *qp,
		     uint16_t producer_index);

/*
 * sq_fetch.c: copy the next WQE once. Returns its length in 16-byte units, 0
 * if it cannot be executed: *syndrome says why, and it counts as one block.
 */
uint32_t nic_sq_fetch(struct nic *nic, struct nic_qp *qp, uint8_t *wqe,
		      uint8_t *syndrome);

/* The control segment of the next WQE, zeros if it is not readable. */
struct hw_wqe_ctrl_info nic_sq_peek(struct nic_qp *qp);

/* The blocks that a WQE takes which is not executed: what ctrl.ds says, or
 * one if that cannot be. */
uint32_t nic_sq_blocks(const struct nic_sq *sq,
		       const struct hw_wqe_ctrl_info *ctrl);

/* requester.c: a WAIT that will not be executed any more. */
void nic_wait_drop(struct nic *nic, struct nic_request *request);
/* The CQ goes: what waits for it will never come, and completes in error. */
void nic_wait_abort(struct nic *nic, const struct nic_cq *cq);

/* execute.c: decode and validate a fetched WQE; false: it fails locally. */
bool nic_execute(struct nic *nic, struct nic_qp *qp, const uint8_t *wqe,
		 uint32_t ds, struct nic_request *request);

/* What every packet starts with, decoded once. */
struct nic_head {
	struct hw_bth_info bth;
	struct hw_pkt_op op;
};

/* requester_unacked.c: what UC and UD do otherwise. Room for a packet; returns
 * as wire reserve. */
int nic_unacked_reserve(struct nic *nic, struct nic_qp *qp,
			const struct nic_request *r,
			struct nic_packet **packet);
/* The request is out, so it is done. */
void nic_unacked_done(struct nic *nic, struct nic_qp *qp,
		      struct nic_request *r);

/* umr.c: change a key as the request says; an error syndrome, or 0. */
uint8_t nic_umr(struct nic *nic, const struct nic_qp *qp,
		const struct nic_request *request);

/* requester.c: send; true if there is more to do now. */
bool nic_requester_output(struct nic *nic, struct nic_qp *qp, unsigned *budget);
void nic_requester_retransmit(struct nic *nic, struct nic_qp *qp);

/* responder_datagram.c: a UD packet came. */
void nic_datagram_input(struct nic *nic, struct nic_qp *qp,
			const struct nic_packet *packet,
			const struct nic_head *head);

/* responder.c: a request packet came; responder_send.c: what is due. */
void nic_responder_input(struct nic *nic, struct nic_qp *qp,
			 const struct nic_packet *packet,
			 const struct nic_head *head);
bool nic_responder_output(struct nic *nic, struct nic_qp *qp, unsigned *budget);
void nic_responder_repeat(struct nic_qp *qp, uint32_t psn);
void nic_responder_reset(struct nic *nic, struct nic_qp *qp);

/*
 * scatter.c: the packet's payload into the list, from offset on; the list is
 * long enough. Returns 0; -EFAULT: a key refuses, or the memory is not there;
 * -EIO: the sender's is not.
 */
int nic_scatter(struct nic *nic, struct nic_qp *qp, const struct nic_sge *sge,
		uint32_t offset, const struct nic_packet *packet);

/* From byte at of the payload on into a range. As nic_scatter, but -EACCES
 * for a key that refuses. */
int nic_scatter_range(struct nic *nic, struct mkey_use use,
		      const struct nic_packet *packet, uint64_t at);

/* Our own bytes into a range. Returns 0 or -EFAULT. */
int nic_write_range(struct nic *nic, struct mkey_use use, const void *bytes);

/*
 * gather.c: payload_len bytes of the request's segments, from offset on, into
 * the packet; they are long enough. Or a whole range, which sets payload_len. Returns
 * 0; -EACCES: a key refuses; -EIO: the memory is not there; -ENOMEM.
 */
int nic_gather(struct nic *nic, const struct nic_qp *qp,
	       const struct nic_request *request, uint32_t offset,
	       struct nic_packet *packet);
int nic_gather_range(struct nic *nic, const struct mkey_use *use,
		     struct nic_packet *packet, const char **why);

/* completer.c */
void nic_completer_input(struct nic *nic, struct nic_qp *qp,
			 const struct nic_packet *packet,
			 const struct nic_head *head);
void nic_completer_timeout(struct nic *nic, struct nic_qp *qp);
/* The answers under way may be lost: start the timer if it rests. */
void nic_completer_doubt(struct nic *nic, struct nic_qp *qp);
void nic_completer_fail(struct nic *nic, struct nic_qp *qp,
			struct nic_request *request, uint8_t syndrome);
void nic_completer_run(struct nic *nic, struct nic_qp *qp);

#endif
