/* SPDX-License-Identifier: MIT */
/*
 * Fetch: copy the next WQE out of the client's ring, once.
 *
 * Data path: emu/doorbell.c -> [emu/sq_fetch.c] -> emu/execute.c
 *
 * Everything later works on the copy: a client that changes a WQE after it
 * rang cannot make the NIC check one thing and do another.
 *
 * Source: PRM, "send WQE construction"; ring wrap: rdma-core mlx5 wqe.h.
 * Thread: under the NIC's lock.
 */
#include "emu/core.h"
#include "emu/dma.h"

static uint8_t *block_address(const struct nic_sq *sq, uint32_t counter)
{
	return sq->ring + (size_t)(counter & (sq->size - 1)) * HW_WQE_BB;
}

/*
 * A ring on a GPU: the blocks up to the doorbell index are the NIC's, so that
 * they are read together, as a device reads ahead. Returns where the block is.
 */
static const uint8_t *window_at(const struct nic_sq *sq, uint32_t counter)
{
	struct nic_sq_window *w = sq->window;
	uint32_t count = sq->size - (counter & (sq->size - 1));

	if (counter - w->start < w->count)
		return w->blocks + (size_t)(counter - w->start) * HW_WQE_BB;
	if (count > sq->pi - counter)
		count = sq->pi - counter;
	if (count > NIC_SQ_WINDOW)
		count = NIC_SQ_WINDOW;
	w->start = counter;
	w->count = 0;
	if (dma_copy(w->blocks, block_address(sq, counter),
		     (size_t)count * HW_WQE_BB))
		return NULL;
	w->count = count;
	return w->blocks;
}

__attribute__((cold)) static int copy_windows(const struct nic_sq *sq,
					      uint32_t counter, uint8_t *dst,
					      uint32_t count)
{
	const uint8_t *block;

	for (; count; count--, dst += HW_WQE_BB) {
		block = window_at(sq, counter++);
		if (!block)
			return -1;
		memcpy(dst, block, HW_WQE_BB);
	}
	return 0;
}

/* Copy blocks from the ring; a WQE may go on at the ring's first block. */
static int copy_blocks(const struct nic_sq *sq, uint32_t counter, void *dst,
		       uint32_t count)
{
	uint32_t to_end = sq->size - (counter & (sq->size - 1));
	uint32_t first = count < to_end ? count : to_end;

	if (__builtin_expect(sq->window != NULL, 0))
		return copy_windows(sq, counter, dst, count);
	if (dma_copy(dst, block_address(sq, counter), first * HW_WQE_BB))
		return -1;
	if (first == count)
		return 0;
	return dma_copy((uint8_t *)dst + first * HW_WQE_BB, sq->ring,
			(count - first) * HW_WQE_BB);
}

struct hw_wqe_ctrl_info nic_sq_peek(struct nic_qp *qp)
{
	uint8_t block[HW_WQE_BB];
	struct hw_wqe_ctrl ctrl;

	if (copy_blocks(&qp->sq, qp->sq.fetched, block, 1))
		memset(block, 0, sizeof(block));
	memcpy(&ctrl, block, sizeof(ctrl));
	return hw_wqe_ctrl_decode(&ctrl);
}

uint32_t nic_sq_blocks(const struct nic_sq *sq,
		       const struct hw_wqe_ctrl_info *ctrl)
{
	uint32_t bbs = hw_wqe_bbs(ctrl->ds);

	return bbs && bbs <= sq->pi - sq->fetched ? bbs : 1;
}

static uint32_t bad(struct nic *nic, struct nic_qp *qp, const char *what,
		    uint32_t value)
{
	nic_log(nic, NIC_LOG_ERROR, "QP 0x%x WQE 0x%04x: %s (%u)", qp->number,
		(uint16_t)qp->sq.fetched, what, value);
	NIC_TRACE(nic, sq_bad_wqe, qp->number, qp->sq.fetched,
		  HW_SYND_LOCAL_QP_OP);
	return 0;
}

uint32_t nic_sq_fetch(struct nic *nic, struct nic_qp *qp, uint8_t *wqe,
		      uint8_t *syndrome)
{
	struct nic_sq *sq = &qp->sq;
	struct hw_wqe_ctrl_info ctrl;
	struct hw_wqe_ctrl raw;
	uint32_t bbs;

	*syndrome = HW_SYND_LOCAL_QP_OP;
	nic->counters.wqes++;
	if (copy_blocks(sq, sq->fetched, wqe, 1)) {
		nic->counters.dma_faults++;
		return bad(nic, qp, "the send queue is not mapped any more", 0);
	}
	memcpy(&raw, wqe, sizeof(raw));
	ctrl = hw_wqe_ctrl_decode(&raw);
	bbs = hw_wqe_bbs(ctrl.ds);
	if (!bbs)
		return bad(nic, qp, "ctrl.ds is 0, expected 1 to 63", 0);
	if (bbs > sq->pi - sq->fetched)
		return bad(nic, qp, "ctrl.ds reaches beyond the doorbell index",
			   ctrl.ds);
	if (ctrl.qpn != qp->number)
		return bad(nic, qp, "ctrl.qpn names another queue pair",
			   ctrl.qpn);
	if (bbs > 1 &&
	    copy_blocks(sq, sq->fetched + 1, wqe + HW_WQE_BB, bbs - 1)) {
		nic->counters.dma_faults++;
		return bad(nic, qp, "the send queue is not mapped any more", 1);
	}
	NIC_TRACE(nic, sq_fetch, qp->number, sq->fetched, ctrl.opcode, ctrl.ds,
		  (uintptr_t)block_address(sq, sq->fetched));
	return ctrl.ds;
}
