/* SPDX-License-Identifier: MIT */
/*
 * Post a completion: 64 bytes into the client's ring, the last 8 with one
 * release store, then the event if the client asked for one.
 *
 * Data path: emu/completer.c -> [emu/cqe_post.c] -> stack/dev/poll.h
 * Source: PRM, "completion queue"; overrun: IBTA vol. 1, 11.6.3.
 * Thread: under the NIC's lock.
 */
#include "emu/core.h"
#include "emu/dma.h"

static void cq_failed(struct nic *nic, struct nic_cq *cq, const char *why)
{
	cq->failed = true;
	nic_log(nic, NIC_LOG_ERROR, "CQ 0x%x: %s; the CQ is in error state",
		cq->number, why);
	nic_event(nic, NIC_EVENT_CQ_ERROR, cq->number, cq->eqn);
}

/* Is there a free entry? Reads the consumer index only when it must. */
static bool has_room(struct nic_cq *cq)
{
	uint32_t size = cq->mask + 1;
	be32 word;

	if (cq->overrun_ignore)
		return true;
	if (((cq->pi - cq->ci) & HW_CQE_INDEX_MASK) < size)
		return true;
	if (!cq->dbrec ||
	    dma_load_record(cq->dbrec + 4 * HW_CQ_DBR_CI, &word.raw))
		return false;
	cq->ci = from_be32(word) & HW_CQE_INDEX_MASK;
	return ((cq->pi - cq->ci) & HW_CQE_INDEX_MASK) < size;
}

static void raise_event(struct nic *nic, struct nic_cq *cq,
			const struct hw_cqe_info *info)
{
	if (nic->config.progress == NIC_COMPAT && !cq->armed &&
	    nic->config.event)
		nic_cq_poll_record(nic, cq);
	if (!cq->armed)
		return;
	if (cq->armed_solicited && !info->solicited &&
	    !hw_cqe_is_error(info->opcode))
		return;
	NIC_TRACE(nic, cq_event, info->qpn, info->wqe_counter, cq->number,
		  cq->eqn);
	nic_cq_fire(nic, cq);
}

/* A WAIT that names this CQ may go on. */
static void wake_waiters(struct nic *nic)
{
	struct nic_qp *qp;
	uint32_t i;

	for (i = 0; (qp = nic_table_walk(&nic->qps, &i));)
		if (qp->sq.tx && qp->sq.tx->opcode == HW_OP_WAIT)
			nic_qp_ready(nic, qp);
}

uint32_t nic_cq_used(struct nic_cq *cq)
{
	be32 word;

	if (!dma_load_record(cq->dbrec + 4 * HW_CQ_DBR_CI, &word.raw))
		cq->ci = from_be32(word) & HW_CQE_INDEX_MASK;
	return (cq->pi - cq->ci) & HW_CQE_INDEX_MASK;
}

/* False: the ring is not writable, and the CQ has failed. */
static bool write_entry(struct nic *nic, struct nic_cq *cq,
			struct hw_cqe_info *info)
{
	uint32_t slot = cq->collapsed ? 0 : cq->pi & cq->mask;
	uint8_t *entry = cq->ring + ((size_t)slot << cq->log_stride);
	struct hw_cqe cqe;

	info->owner = !cq->collapsed && (cq->pi >> cq->log_size & 1);
	info->timestamp = nic->now_ns;
	cqe = hw_cqe_encode(info);
	/* A 128-byte entry carries the CQE in its second half. */
	if (cq->log_stride == 7)
		entry += HW_CQE_BYTES;
	if (dma_write_cqe(entry, &cqe)) {
		nic->counters.dma_faults++;
		cq_failed(nic, cq, "the CQ buffer is not mapped any more");
		return false;
	}
	NIC_TRACE(nic, cqe_post, info->qpn, info->wqe_counter, cq->number,
		  cq->pi,
		  (uint64_t)from_be32(cqe.sop_drop_qpn) << 32 |
			  (uint32_t)info->wqe_counter << 16 | cqe.op_own);
	cq->pi++;
	return true;
}

/* It is not a completion: nobody is woken, and nothing is counted. */
bool nic_cqe_post_resize(struct nic *nic, struct nic_cq *cq)
{
	struct hw_cqe_info info = {.opcode = HW_CQE_RESIZE};

	return !cq->failed && has_room(cq) && write_entry(nic, cq, &info);
}

bool nic_cqe_post(struct nic *nic, struct nic_cq *cq, struct hw_cqe_info *info)
{
	if (cq->failed)
		return false;
	if (!has_room(cq)) {
		nic->counters.cq_overruns++;
		NIC_TRACE(nic, cq_overrun, info->qpn, info->wqe_counter,
			  cq->number, cq->pi, cq->ci);
		cq_failed(nic, cq,
			  "overrun, every entry holds a CQE that was "
			  "not consumed");
		return false;
	}
	if (!write_entry(nic, cq, info))
		return false;
	nic->counters.cqes++;
	if (hw_cqe_is_error(info->opcode)) {
		if (info->opcode == HW_CQE_REQ_ERR)
			nic->counters.req_cqe_error++;
		else
			nic->counters.resp_cqe_error++;
	}
	raise_event(nic, cq, info);
	if (cq->waiters)
		wake_waiters(nic);
	return true;
}
