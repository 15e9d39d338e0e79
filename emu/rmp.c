/* SPDX-License-Identifier: MIT */
/*
 * Receive queues: taking receive WQEs from a QP's ring or from a shared one.
 *
 * A ring is cyclic (slot = counter), or a linked list whose slots name their
 * successor; the device starts at slot 0 and follows it.
 *
 * Source: PRM, "receive WQE", "SRQ"; rdma-core mlx5 srq.c.
 * Not modelled: striding receive queues, WQE signatures.
 * Thread: under the NIC's lock.
 */
#include "emu/rmp.h"

#include <errno.h>
#include <stdlib.h>

#include "emu/core.h"
#include "emu/dma.h"

static int read_producer(struct nic *nic, struct nic_rq *rq)
{
	uint16_t count;
	be32 word;

	if (dma_load_record(rq->dbrec_word, &word.raw)) {
		nic->counters.dma_faults++;
		return -EIO;
	}
	/* The record has 16 bits; the queue is never more than 2^15 long, and
	 * more than the queue holds is not a count but garbage. */
	count = (uint16_t)(hw_dbrec_decode(word) - rq->ci);
	rq->pi = rq->ci + (count <= rq->mask + 1 ? count : 0);
	return 0;
}

int nic_rq_peek(struct nic *nic, struct nic_rq *rq)
{
	int ret;

	if (!rq->present)
		return -EAGAIN;
	if (rq->pi != rq->ci)
		return 0;
	ret = read_producer(nic, rq);
	if (ret)
		return ret;
	return rq->pi == rq->ci ? -EAGAIN : 0;
}

static uint8_t *slot_address(const struct nic_rq *rq, uint32_t slot)
{
	return rq->ring + ((size_t)(slot & rq->mask) << rq->log_stride);
}

int nic_rq_skip(struct nic *nic, struct nic_rq *rq, uint16_t *wqe_counter)
{
	struct hw_wqe_srq_next next;
	int ret = nic_rq_peek(nic, rq);

	if (ret)
		return ret;
	*wqe_counter = rq->linked ? rq->next_slot : (uint16_t)rq->ci;
	if (rq->linked) {
		if (dma_copy(&next, slot_address(rq, rq->next_slot),
			     sizeof(next)))
			return -EIO;
		rq->next_slot =
			from_be16(next.next_wqe_index) & (uint16_t)rq->mask;
	}
	rq->ci++;
	return 0;
}

/* Decode the scatter list that was copied into the block. */
static void decode(struct nic_recv *recv, uint32_t entries)
{
	struct nic_sge *sge = recv->block->sge;
	struct hw_wqe_data data;
	uint32_t i, len;

	for (i = 0; i < entries && recv->sge_count < NIC_SGE_MAX; i++) {
		memcpy(&data, recv->block->bytes + i * sizeof(data),
		       sizeof(data));
		if (from_be32(data.lkey) == HW_LKEY_INVALID)
			break;
		len = hw_wqe_data_len(&data);
		sge[recv->sge_count].va = from_be64(data.addr);
		sge[recv->sge_count].lkey = from_be32(data.lkey);
		sge[recv->sge_count].len = len;
		recv->sge_count++;
		recv->total_len = len > UINT32_MAX - recv->total_len
					  ? UINT32_MAX
					  : recv->total_len + len;
	}
}

int nic_rq_take(struct nic *nic, struct nic_rq *rq, struct nic_recv *recv)
{
	uint32_t slot = rq->linked ? rq->next_slot : rq->ci;
	uint32_t bytes = 1u << rq->log_stride;
	uint32_t skip = rq->headed ? sizeof(struct hw_wqe_srq_next) : 0;
	int ret = nic_rq_peek(nic, rq);

	if (ret)
		return ret;
	memset(recv, 0, sizeof(*recv));
	recv->block = nic_block_get(&nic->pool);
	if (!recv->block)
		return -EAGAIN;
	if (bytes - skip > sizeof(recv->block->bytes))
		bytes = skip +
			sizeof(recv->block->bytes) / HW_WQE_DS * HW_WQE_DS;
	ret = nic_rq_skip(nic, rq, &recv->wqe_counter);
	if (!ret && dma_copy(recv->block->bytes, slot_address(rq, slot) + skip,
			     bytes - skip))
		ret = -EIO;
	if (ret) {
		nic->counters.dma_faults++;
		nic_block_put(&nic->pool, recv->block);
		return -EIO;
	}
	decode(recv, (bytes - skip) / HW_WQE_DS);
	recv->taken = true;
	return 0;
}

void nic_rmp_taken(struct nic *nic, struct nic_rmp *rmp)
{
	if (!rmp->limit || read_producer(nic, &rmp->rq) ||
	    rmp->rq.pi - rmp->rq.ci >= rmp->limit)
		return;
	rmp->limit = 0; /* once; the client arms it again */
	nic_event(nic, NIC_EVENT_SRQ_LIMIT, rmp->number, 0);
}

void nic_rmp_arm(struct nic *nic, struct nic_rmp *rmp, uint16_t limit)
{
	rmp->limit = limit;
	nic_rmp_taken(nic, rmp);
}

struct nic_rmp *nic_rmp_get(struct nic *nic, uint32_t number)
{
	return nic_table_get(&nic->rmps, number);
}

void nic_rmp_destroy(struct nic *nic, struct nic_rmp *rmp)
{
	if (rmp->cq)
		rmp->cq->users--;
	rmp->wq_umem->users--;
	rmp->dbr_umem->users--;
	nic_table_remove(&nic->rmps, rmp->number);
	free(rmp);
}
