/* SPDX-License-Identifier: MIT */
/*
 * A mini driver for tests: brings NICs up, makes objects with real mailboxes,
 * builds WQEs, rings, polls. Also the shortest description of the boot order.
 *
 * Helpers assert that what they do succeeds; tests of refusals build their
 * mailboxes with t_cmd().
 */
#ifndef T_NIC_H
#define T_NIC_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "emu/nic.h"
#include "emu/wire.h"
#include "hw/cmd_cq.h"
#include "hw/cmd_mkey.h"
#include "hw/cmd_qp.h"
#include "hw/cmd_rmp.h"
#include "hw/cqe.h"
#include "hw/doorbell.h"
#include "hw/wqe.h"
#include "hw/wqe_opcode.h"

enum {
	T_EVENTS = 64,
	T_LOG = 8192,
	T_OUT = 0x1010, /* bytes of an output mailbox of t_cmd() */
};

struct t_node {
	struct nic *nic;
	uint32_t pd;
	uint32_t start; /* config.start_counter */
	uint64_t now_ns;
	char log[T_LOG]; /* every line so far, as long as it fits */
	struct nic_event events[T_EVENTS];
	unsigned event_count;
};

/* cmocka puts fault handlers of its own in place of the NIC's before every
 * setup and test: put the NIC's back. t_run() does it. */
void t_fault_handler(void);

/* config may be NULL; its callbacks are replaced. fabric may be NULL. */
void t_node_open(struct t_node *node, const struct nic_config *config,
		 struct wire_loop_fabric *fabric);
void t_node_close(struct t_node *node);

/* Did the log say this (substring)? */
bool t_logged(const struct t_node *node, const char *text);
unsigned t_events(const struct t_node *node, enum nic_event_type type);

/* Empty the log and the list of events. */
void t_forget(struct t_node *node);

/* Step all nodes until none has work. Time does not move. */
void t_run(struct t_node *nodes, unsigned count);
/* Let time pass in steps of its timers, at most ns. */
void t_run_for(struct t_node *nodes, unsigned count, uint64_t ns);

/* Send a mailbox; returns the status. out gets T_OUT bytes; may be NULL. */
uint8_t t_cmd(struct t_node *node, const void *in, size_t in_len, uint8_t *out);
/* One with nothing but a header. */
uint8_t t_simple(struct t_node *node, uint16_t opcode, uint32_t number,
		 uint8_t *out);

struct t_refusal {
	uint8_t status;
	uint16_t offset;  /* lower half of the syndrome */
	const char *text; /* what the log must say */
};

/* The mailbox is refused so, and no object came or went. */
void t_refused(struct t_node *node, const void *in, size_t in_len,
	       const struct t_refusal *expected);

/* Page-aligned, zeroed memory; given back by t_free(). */
void *t_alloc(size_t len);
void t_free(void *memory);

/* Another kind of memory for t_alloc() (see t_cuda.h): what it gives is a view
 * of what the NIC is to use. */
struct t_memory {
	void *(*alloc)(size_t len);
	bool (*free)(void *view);    /* false: it is no view */
	void *(*device)(void *view); /* NULL: it is no view */
};

/* Views are known from now on, and given if so wanted. */
void t_memory(const struct t_memory *memory, bool give);

uint32_t t_pd(struct t_node *node);
uint32_t t_umem(struct t_node *node, void *memory, size_t len);
/* All rights. */
uint32_t t_mr(struct t_node *node, void *memory, size_t len);
uint32_t t_mr_access(struct t_node *node, void *memory, size_t len,
		     uint32_t access);

/* ------------------------------------------------------------------ CQ */

struct t_cq {
	struct t_node *node;
	uint8_t *ring;
	be32 *dbrec;
	uint32_t umem, number, size, ci, stride;
	bool collapsed;
	uint8_t *uar;
	uint32_t uar_index;
	uint8_t create[HW_CREATE_CQ_IN_BYTES]; /* the mailbox that made it */
};

struct t_cq_options {
	uint8_t log_size, cqe_sz, eqn;
	bool collapsed, overrun_ignore;
};

void t_cq_create(struct t_node *node, struct t_cq *cq,
		 const struct t_cq_options *options);
/* Nothing happens if it was destroyed; only memory is freed if the NIC is. */
uint8_t t_cq_destroy(struct t_cq *cq);

/* The only entry of a collapsed CQ; false: nothing was ever written. */
bool t_collapsed(struct t_cq *cq, struct hw_cqe_info *info);
/* The next CQE of a ring, consumed (with the consumer index record). */
bool t_poll(struct t_cq *cq, struct hw_cqe_info *info);
void t_arm(struct t_cq *cq, enum hw_cq_arm_cmd cmd, uint8_t sn);

/* ------------------------------------------------------------------ QP */

struct t_qp {
	struct t_node *node;
	struct t_cq *cq_send, *cq_recv;
	uint8_t *rq, *sq; /* rings */
	struct hw_dbrec *dbrec;
	uint8_t *uar;
	uint32_t umem, uar_index, number;
	uint32_t sq_size, sq_pi;
	uint32_t rq_size, rq_pi, rq_stride;
	bool uar_shared;
	uint8_t create[HW_CREATE_QP_IN_BYTES]; /* the mailbox that made it */
	/* the WQE that is being built */
	uint8_t wqe[HW_WQE_BYTES_MAX + 16];
	uint32_t wqe_bytes;
};

struct t_qp_options {
	uint8_t st; /* enum hw_qp_st; 0: RC */
	bool no_sq;
	uint32_t xrcd;
	uint8_t log_sq_size;
	uint8_t log_rq_size, log_rq_stride; /* rq_type regular */
	uint8_t rq_type;		    /* enum hw_rq_type */
	uint32_t rmpn;
	uint32_t user_index;
	bool no_dbr;
	bool reserved_lkey;
	uint32_t share_uar; /* page index of another QP, with its page */
	uint8_t *share_uar_page;
};

void t_qp_create(struct t_node *node, struct t_qp *qp, struct t_cq *send,
		 struct t_cq *recv, const struct t_qp_options *options);
uint8_t t_qp_destroy(struct t_qp *qp); /* as t_cq_destroy */
/* Counters and records as a new QP has them; for reuse after 2RST. */
void t_qp_rewind(struct t_qp *qp);

struct t_connect {
	uint32_t psn, peer_psn; /* first PSN each way */
	uint8_t mtu;		/* 0: 4096 */
	uint8_t ack_timeout, retries, rnr_retries, min_rnr_nak;
	uint8_t log_ra_max;
	uint8_t log_msg_max; /* 0: 30 */
	uint32_t qkey;	     /* UD */
};

/* A UD queue pair to RTS. */
void t_ready_ud(struct t_qp *qp, uint32_t qkey);

/* Both to RTS, connected to each other; options may be NULL. a may be b. */
void t_connect(struct t_qp *a, struct t_qp *b, const struct t_connect *options);
uint8_t t_modify(struct t_qp *qp, uint16_t opcode, const struct t_qp *peer,
		 const struct t_connect *options);
void t_modify_mailbox(struct t_qp *qp, uint16_t opcode, const struct t_qp *peer,
		      const struct t_connect *options, uint8_t *in);
void t_query_qp(struct t_qp *qp, uint8_t *qpc);
uint8_t t_state(struct t_qp *qp);

/* ----------------------------------------------------------------- WQE */

void t_begin(struct t_qp *qp, uint8_t opcode, uint8_t opmod, uint8_t fm_ce_se);
void t_imm(struct t_qp *qp, uint32_t imm);
void t_segment(struct t_qp *qp, const void *segment, uint32_t bytes);
void t_raddr(struct t_qp *qp, const void *raddr, uint32_t rkey);
/* Where a datagram goes: the port of to, by LID or (grh) by GID. */
struct t_av {
	const struct t_qp *to;
	uint32_t qkey;
	bool ext, grh;
	uint8_t sl;
};

void t_av(struct t_qp *qp, const struct t_av *av);
void t_xrc(struct t_qp *qp, uint32_t srqn);
void t_data(struct t_qp *qp, const void *addr, uint32_t len, uint32_t lkey);
void t_inline(struct t_qp *qp, const void *bytes, uint32_t len);
/* Into the ring (wrapping); returns the WQE's index. */
uint16_t t_end(struct t_qp *qp);

enum { T_SIGNALED = HW_CE_ALWAYS << 2 };

/* A whole signaled RDMA_WRITE or RDMA_READ WQE. */
uint16_t t_rdma(struct t_qp *qp, uint8_t opcode, const void *local,
		uint32_t lkey, const void *remote, uint32_t rkey, uint32_t len);

void t_ring_record(struct t_qp *qp);
void t_ring_register(struct t_qp *qp);
void t_ring(struct t_qp *qp); /* record, then register */

void t_post_recv(struct t_qp *qp, const void *addr, uint32_t len,
		 uint32_t lkey);

#endif
