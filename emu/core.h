/* SPDX-License-Identifier: MIT */
/*
 * The NIC's own state: the object graph on one screen.
 */
#ifndef EMU_CORE_H
#define EMU_CORE_H

#include <pthread.h>

#include "emu/qp.h"
#include "emu/table.h"
#include "emu/trace.h"

/* What a device generation can do. */
struct nic_persona_info {
	const char *name;
	uint16_t device_id; /* PCI */
	bool no_dbr_ext;    /* doorbells without a record */
	uint8_t log_max_qp, log_max_cq, log_max_rmp, log_max_mkey;
	uint8_t log_max_qp_sz, log_max_cq_sz, log_max_srq_sz;
	uint8_t log_max_ra; /* outstanding reads and atomics of a QP */
	uint16_t max_wqe_sz_sq, max_wqe_sz_rq;
};

const struct nic_persona_info *nic_persona_info(enum nic_persona persona);

enum {
	NIC_LOG_MAX_MSG = 30, /* 1 GiB; UCX insists on it */
	NIC_PORT_MTU = 5,     /* IBV_MTU_4096 */
	NIC_EQS = 64,	      /* event queue numbers that CQs may name */
	NIC_NOTICES = 256,
};

/* Doorbell scan: what was rung lately is looked at in every step, the rest a
 * slice at a time (doorbell.c). */
enum { NIC_HOT = 8 };

struct nic_scan {
	struct nic_uar *hot_uars[NIC_HOT];
	struct nic_qp *hot_qps[NIC_HOT];
	uint32_t hot_uar_next, hot_qp_next;
	uint32_t uar_cursor, qp_cursor, cq_cursor;
	uint32_t quiet_slices; /* without a doorbell, up to a whole pass */
};

/* "Your packet found nobody", to be sent on a lossless wire. */
struct nic_notice {
	uint32_t peer, qpn, psn;
};

struct nic {
	pthread_mutex_t lock;
	uint32_t control_waiting; /* control calls that want the lock */
	uint32_t asleep;
	struct nic_config config;
	const struct nic_persona_info *persona;
	uint64_t now_ns;
	uint64_t trace_mask;
	struct nic_counters counters;
	struct nic_table pds, uars, umems, mkeys, cqs, qps, rmps;
	struct nic_pool pool;
	struct wire *wire;
	struct nic_qp *ready_head, **ready_tail;
	struct nic_qp *timers;
	uint64_t next_timer; /* no timer fires before it */
	uint32_t active_qps; /* in RTS or ERR: they read doorbells */
	bool unwatched;	     /* the runner was told that it need not look */
	struct nic_scan scan;
	struct nic_notice notices[NIC_NOTICES];
	uint32_t notice_pi, notice_ci;
};

/* The lock of control calls: the step loop lets them through (nic.c). */
void nic_lock(struct nic *nic);
void nic_unlock(struct nic *nic);

/* cmd.c: with the lock held. */
void nic_cmd_locked(struct nic *nic, const uint8_t *in, size_t in_len,
		    uint8_t *out, size_t out_len);

/* doorbell.c: look at a slice of the doorbells. */
enum nic_step_result nic_scan_doorbells(struct nic *nic);
/* A QP that is reset starts without old doorbells. */
void nic_scan_reset_qp(struct nic *nic, const struct nic_qp *qp);
void nic_scan_forget_uar(struct nic *nic, const struct nic_uar *uar);
/* Is there a doorbell, or a receive to flush, that nobody tells about? */
bool nic_scan_needed(struct nic *nic);
/* As nic_uar_set_trapped and nic_uar_write, with the lock held. */
void nic_scan_set_trapped(struct nic *nic, struct nic_uar *uar, bool trapped);
bool nic_scan_write(struct nic *nic, struct nic_uar *uar,
		    const struct nic_uar_store *store);
void nic_scan_forget_qp(struct nic *nic, const struct nic_qp *qp);

/* timer.c: true if one fired. */
bool nic_timers_run(struct nic *nic);
/* When the next one fires, exactly; UINT64_MAX if none runs. */
uint64_t nic_timers_next(struct nic *nic);

void nic_event(struct nic *nic, enum nic_event_type type, uint32_t number,
	       uint32_t eqn);

/*
 * A lossless wire runs no timer: tell a requester that its packet, or the
 * answer to it, was dropped.
 */
void nic_notify(struct nic *nic, uint32_t peer, uint32_t qpn, uint32_t psn);

/* A packet that nobody takes; on a lossless wire its sender is told. */
void nic_drop(struct nic *nic, const struct nic_packet *packet,
	      const char *why);

static inline struct hw_bth_info nic_packet_bth(const struct nic_packet *packet)
{
	struct hw_bth bth;

	memcpy(&bth, packet->header, sizeof(bth));
	return hw_bth_decode(&bth);
}

#endif
