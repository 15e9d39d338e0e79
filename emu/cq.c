/* SPDX-License-Identifier: MIT */
/*
 * Completion queue: arming, and the end of its life.
 *
 * Source: PRM, "CQ doorbell"; rdma-core mlx5 cq.c, mlx5_arm_cq().
 * Not modelled: moderation (every event is told at once), compression.
 * Thread: under the NIC's lock.
 */
#include "emu/cq.h"

#include <stdlib.h>

#include "emu/core.h"
#include "emu/dma.h"

struct nic_cq *nic_cq_get(struct nic *nic, uint32_t number)
{
	return nic_table_get(&nic->cqs, number);
}

void nic_cq_arm(struct nic *nic, struct nic_cq *cq,
		const struct hw_cq_arm_info *arm)
{
	cq->armed = true;
	cq->armed_solicited = arm->cmd == HW_CQ_ARM_SOLICITED;
	/*
	 * A CQE that the client has not seen yet fires at once, but not one
	 * that an event has told of already: a client may arm again between
	 * the event and its poll.
	 */
	if (((cq->pi ^ arm->ci) & HW_CQE_INDEX_MASK) == 0 ||
	    cq->pi == cq->event_pi)
		return;
	NIC_TRACE(nic, cq_event, 0, 0, cq->number, cq->eqn);
	nic_cq_fire(nic, cq);
}

void nic_cq_fire(struct nic *nic, struct nic_cq *cq)
{
	cq->armed = false;
	cq->event_pi = cq->pi;
	nic_event(nic, NIC_EVENT_CQ_COMPLETION, cq->number, cq->eqn);
}

void nic_cq_poll_record(struct nic *nic, struct nic_cq *cq)
{
	struct hw_cq_arm_info arm;
	be32 word;

	/* Who has its record on a GPU rings the register for an event. */
	if (!cq->dbrec || cq->uar->trapped || dma_is_device(cq->dbrec) ||
	    dma_load_record(cq->dbrec + 4 * HW_CQ_DBR_ARM, &word.raw))
		return;
	if (word.raw == cq->arm_record)
		return;
	cq->arm_record = word.raw;
	arm = hw_cq_arm_decode(word);
	nic_cq_arm(nic, cq, &arm);
}

void nic_cq_destroy(struct nic *nic, struct nic_cq *cq)
{
	if (cq->waiters)
		nic_wait_abort(nic, cq);
	cq->ring_umem->users--;
	if (cq->dbr_umem)
		cq->dbr_umem->users--;
	cq->uar->users--;
	nic_table_remove(&nic->cqs, cq->number);
	free(cq);
}
