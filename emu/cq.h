/* SPDX-License-Identifier: MIT */
/*
 * Completion queue.
 */
#ifndef EMU_CQ_H
#define EMU_CQ_H

#include "emu/mem.h"
#include "hw/cmd_cq.h"
#include "hw/cqe.h"

struct nic_cq {
	uint8_t *ring;	/* in the client's umem */
	uint8_t *dbrec; /* {ci, arm}; NULL: none was given */
	struct nic_umem *ring_umem, *dbr_umem;
	struct nic_uar *uar;
	uint32_t number;
	uint32_t pi;	  /* free-running count of CQEs written */
	uint32_t ci;	  /* 24 bits, as last read from the record */
	uint32_t mask;	  /* entries - 1 */
	uint32_t users;	  /* QPs that complete into it */
	uint32_t waiters; /* send queues that WAIT for it */
	uint32_t eqn;
	uint32_t arm_record; /* record word when last looked at */
	uint32_t event_pi;   /* pi when the last event was raised */
	uint8_t log_size;
	uint8_t log_stride; /* of an entry: 6 or 7 */
	bool collapsed;
	bool overrun_ignore;
	bool failed; /* overran, or its ring is not writable */
	bool armed, armed_solicited;
	uint8_t cqc[HW_CQC_BYTES]; /* as created, for QUERY_CQ */
};

struct nic_cq *nic_cq_get(struct nic *nic, uint32_t number);

/* A CQ doorbell: ask for an event at the next CQE beyond arm->ci. */
void nic_cq_arm(struct nic *nic, struct nic_cq *cq,
		const struct hw_cq_arm_info *arm);

/* Raise the completion event: the CQ is no longer armed. */
void nic_cq_fire(struct nic *nic, struct nic_cq *cq);

/* Compat: an arm whose register write was lost is still in the record. */
void nic_cq_poll_record(struct nic *nic, struct nic_cq *cq);

/*
 * Post one completion (cqe_post.c). info->owner is filled in here. Returns
 * false if the CQ has failed, now or before: the caller's QP must go to ERR.
 */
bool nic_cqe_post(struct nic *nic, struct nic_cq *cq, struct hw_cqe_info *info);

/* Entries that the client has not consumed; reads the record. */
uint32_t nic_cq_used(struct nic_cq *cq);

/* The ring's last entry: the client goes on in another one. False: no room for
 * it, or the CQ has failed. */
bool nic_cqe_post_resize(struct nic *nic, struct nic_cq *cq);

void nic_cq_destroy(struct nic *nic, struct nic_cq *cq);

#endif
