/* SPDX-License-Identifier: MIT */
/*
 * The NIC's own state: the object graph on one screen.
 */
#ifndef EMU_CORE_H
#define EMU_CORE_H

#include <pthread.h>

#include "emu/path.h"
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
	NIC_LOG_MAX_XRCD = 16,
	NIC_EQS = 64,	    /* event queue numbers that CQs may name */
	NIC_NOTICES = 1024, /* more than one step drops packets */
	NIC_PORT = 1,
	NIC_NULL_BYTES = 1 << 16, /* one piece of the null key */
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
	uint64_t lent_ns; /* when a polling thread came by last */
	struct nic_config config;
	const struct nic_persona_info *persona;
	uint64_t now_ns;
	uint64_t trace_mask;
	struct nic_counters counters;
	struct nic_table pds, uars, umems, mkeys, cqs, qps, rmps, xrcds;
	struct nic_pool pool;
	uint8_t *null_memory; /* zeros to read, then as much to write to */
	struct wire *wire;
	struct nic_path paths[NIC_PATHS];
	struct nic_qp *ready_head, **ready_tail;
	struct nic_qp *timers;
	uint64_t next_timer; /* no timer fires before it */
	uint32_t active_qps; /* in RTS or ERR: they read doorbells */
	bool link_down;	     /* see nic_set_port_active() */
	bool unwatched;	     /* the runner was told that it need not look */
	bool told_atomics;   /* of those that are not atomic on a GPU */
	bool told_lost;	     /* of writes to a GPU that has failed */
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
/* As nic_uar_set_trapped, _look and _write, with the lock held. */
void nic_scan_set_trapped(struct nic *nic, struct nic_uar *uar, bool trapped);
void nic_scan_trapped(struct nic *nic, struct nic_uar *uar);
bool nic_scan_write(struct nic *nic, struct nic_uar *uar,
		    const struct nic_uar_store *store);
void nic_scan_forget_qp(struct nic *nic, const struct nic_qp *qp);

/* timer.c: true if one fired. */
bool nic_timers_run(struct nic *nic);
/* When the next one fires, exactly; UINT64_MAX if none runs. */
uint64_t nic_timers_next(struct nic *nic);

void nic_event(struct nic *nic, enum nic_event_type type, uint32_t number,
	       uint32_t eqn);

/* Does what is sent arrive anywhere? */
static inline bool nic_link_up(const struct nic *nic)
{
	return nic->wire && !nic->link_down;
}

/* port.c: the number of queue pairs has changed. */
void nic_show_qps(struct nic *nic);

/*
 * A lossless wire runs no timer: tell a requester that its packet, or the
 * answer to it, was dropped.
 */
void nic_notify(struct nic *nic, uint32_t peer, uint32_t qpn, uint32_t psn);

/*
 * The memory behind the range if its key is the usual one (an MTT key of any
 * queue pair) and may be used so: nearly always, and in one look. NULL: ask
 * nic_mkey_piece().
 */
static inline void *nic_mkey_direct(const struct nic *nic,
				    const struct mkey_use *use)
{
	const struct nic_mkey *key = nic_table_get(&nic->mkeys, use->key >> 8);
	uint64_t offset;

	if (!key)
		return NULL;
	offset = use->va - key->start;
	if (key->variant != (uint8_t)use->key || key->pd != use->pd ||
	    key->qpn != HW_MKC_QPN_ANY || !key->memory ||
	    (key->access & use->access) != use->access ||
	    use->va < key->start || offset > key->len ||
	    use->len > key->len - offset)
		return NULL;
	return key->memory + offset;
}

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
