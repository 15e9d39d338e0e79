/* SPDX-License-Identifier: MIT */
/*
 * Responder, execution: a request packet that passed the checks writes
 * memory, fills a receive buffer, or queues an answer.
 *
 * Source: IBTA vol. 1, 9.7.5 (responses), 9.4.5 (atomics).
 * Thread: under the NIC's lock.
 */
#include "emu/arrival.h"

#include <errno.h>

#include "emu/dma.h"

/* The payload could not be moved: whose memory was it? */
static enum nic_arrival_state move_failed(struct nic_arrival *a, int ret)
{
	uint16_t wqe_counter;

	a->nic->counters.dma_faults++;
	if (ret == -EIO)
		return nic_arrival_nak(a, HW_AETH_NAK | HW_NAK_SOURCE_FAULT,
				       false);
	if (a->op.flags & HW_PKTF_SEND)
		return nic_arrival_fail_recv(a, a->qp->resp.recv.wqe_counter,
					     HW_SYND_LOCAL_PROT,
					     HW_NAK_REMOTE_OP);
	if ((a->op.flags & HW_PKTF_IMMDT) &&
	    !nic_arrival_skip_recv(a, &wqe_counter))
		return nic_arrival_fail_recv(
			a, wqe_counter, HW_SYND_LOCAL_ACCESS, HW_NAK_REMOTE_OP);
	return nic_arrival_refuse(a, HW_NAK_REMOTE_OP,
				  "the memory is not mapped any more");
}

/* The packet's payload to where its key says. */
static int write_payload(struct nic_arrival *a)
{
	struct nic_mem dst = {.addr = a->memory, .len = a->packet->payload_len};
	struct mkey_use use;

	if (!dst.len)
		return 0;
	if (dst.len <= a->memory_len)
		return a->nic->wire->ops->pull(a->nic->wire, a->packet, 0,
					       &dst);
	nic_arrival_use(a, &use);
	use.len = dst.len;
	return nic_scatter_range(a->nic, use, a->packet, 0);
}

static enum nic_arrival_state execute_write(struct nic_arrival *a)
{
	struct nic_responder *resp = &a->qp->resp;
	uint32_t len = a->packet->payload_len;
	int ret;

	if (a->op.flags & HW_PKTF_FIRST) {
		resp->va = a->va;
		resp->rkey = a->rkey;
		resp->left = a->len;
	}
	ret = write_payload(a);
	if (ret == -EACCES)
		return nic_arrival_refuse(a, HW_NAK_REMOTE_ACCESS,
					  "a key behind the key refuses");
	if (ret)
		return move_failed(a, ret);
	NIC_TRACE(a->nic, resp_write, a->qp->number, 0, resp->va, len);
	resp->va += len;
	resp->left -= len;
	return COMPLETE;
}

/*
 * Send with invalidate: the key goes before the message completes. IBTA lets
 * the responder end without a word if it cannot (class J), as rxe does. Here
 * the request is refused, so that its peer learns of it; what a ConnectX does
 * is not documented (docs/deviations.md).
 */
static enum nic_arrival_state invalidate(struct nic_arrival *a)
{
	const char *why;

	a->rkey = a->imm;
	why = nic_mkey_invalidate(a->nic, a->rkey, a->qp->pd, a->qp->number);
	if (!why)
		return COMPLETE;
	nic_log(a->nic, NIC_LOG_ERROR, "QP 0x%x: invalidation of rkey 0x%x: %s",
		a->qp->number, a->rkey, why);
	return nic_arrival_fail_recv(a, a->qp->resp.recv.wqe_counter,
				     HW_SYND_REMOTE_INVAL_REQ,
				     HW_NAK_REMOTE_ACCESS);
}

static enum nic_arrival_state execute_send(struct nic_arrival *a)
{
	struct nic_recv *recv = &a->qp->resp.recv;
	int ret;

	if (a->packet->payload_len > a->qp->msg_max - recv->offset)
		return nic_arrival_refuse(
			a, HW_NAK_INVALID_REQ,
			"the message is longer than 2^qpc.log_msg_max");
	if (a->packet->payload_len > recv->total_len - recv->offset)
		return nic_arrival_fail_recv(a, recv->wqe_counter,
					     HW_SYND_LOCAL_LENGTH,
					     HW_NAK_INVALID_REQ);
	ret = nic_scatter(a->nic, a->qp, recv->block->sge, recv->offset,
			  a->packet);
	if (ret)
		return move_failed(a, ret);
	recv->offset += a->packet->payload_len;
	return a->op.flags & HW_PKTF_IETH ? invalidate(a) : COMPLETE;
}

static struct nic_response *add_response(struct nic_arrival *a)
{
	struct nic_responder *resp = &a->qp->resp;
	struct nic_response *rd;

	/* The oldest leaves the ring, also when it is being sent again: who
	 * asks for a new one has it. */
	if (resp->rd_pi - resp->rd_next == resp->rd_size) {
		resp->rd_next++;
		resp->rd_offset = 0;
	}
	rd = &resp->rd[resp->rd_pi++ & (resp->rd_size - 1u)];
	memset(rd, 0, sizeof(*rd));
	rd->psn = a->bth.psn;
	rd->rkey = a->rkey;
	rd->va = a->va;
	rd->len = a->len;
	rd->packets = 1;
	nic_qp_ready(a->nic, a->qp);
	return rd;
}

static enum nic_arrival_state execute_atomic(struct nic_arrival *a)
{
	uint8_t opcode = hw_pkt_rc_opcode(a->bth.opcode);
	struct dma_atomic op = {
		.compare_swap =
			opcode == HW_PKT_CMP_SWAP || opcode == HW_PKT_MASKED_CS,
		.operand = a->atomic.swap_add,
		.compare = a->atomic.compare,
		.swap_mask = a->atomic.swap_mask,
		.compare_mask = a->atomic.compare_mask,
	};
	struct nic_response *rd;
	uint64_t original;
	int ret;

	if (a->memory_len < a->operand_bytes)
		return nic_arrival_refuse(
			a, HW_NAK_INVALID_REQ,
			"the memory behind an atomic is not in one piece");
	if ((uintptr_t)a->memory % a->operand_bytes)
		return nic_arrival_refuse(
			a, HW_NAK_INVALID_REQ,
			"the memory behind an atomic is not aligned");
	ret = dma_atomic(a->memory, a->operand_bytes, &op, &original);
	if (ret < 0)
		return move_failed(a, ret);
	if (ret && !a->nic->told_atomics) {
		a->nic->told_atomics = true;
		nic_log(a->nic, NIC_LOG_WARN,
			"QP 0x%x: the GPU has no room for an atomic, it is "
			"done by copies: GPU threads that change the same word "
			"now may lose their change (told once)",
			a->qp->number);
	}
	NIC_TRACE(a->nic, resp_atomic, a->qp->number, 0, a->va, original);
	rd = add_response(a);
	rd->va = original;
	rd->atomic = 1;
	return COMPLETE;
}

static enum nic_arrival_state execute_read(struct nic_arrival *a)
{
	struct nic_response *rd = add_response(a);

	if (a->len > a->qp->mtu)
		rd->packets =
			((a->len + a->qp->mtu - 1) / a->qp->mtu) & 0x3fffffff;
	return COMPLETE;
}

enum nic_arrival_state nic_arrival_execute(struct nic_arrival *a)
{
	if (a->op.flags & HW_PKTF_WRITE)
		return execute_write(a);
	if (a->op.flags & HW_PKTF_SEND)
		return execute_send(a);
	if (a->op.flags & HW_PKTF_READ)
		return execute_read(a);
	return execute_atomic(a);
}
