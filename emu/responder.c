/* SPDX-License-Identifier: MIT */
/*
 * Responder: one request packet through the checks of the specification, in
 * its order; each returns the next state.
 *
 * Data path: emu/wire_loop.c -> [emu/responder.c] -> emu/completer.c
 *
 * Input only changes state and writes memory. What goes back (ACK, NAK, read
 * data) is sent by responder_send.c when the QP has its turn, so that a full
 * wire can never stop input.
 *
 * Source: IBTA vol. 1, 9.7.4 (responder, table 55), 9.7.5.1; the order of
 * checks as in Linux rxe_resp.c.
 * Not modelled: memory windows, invalidation.
 * Thread: under the NIC's lock.
 */
#include "emu/responder.h"

#include <errno.h>

#include "emu/core.h"
#include "emu/dma.h"

enum state {
	CHK_PSN,
	CHK_OP_SEQ,
	CHK_OP_VALID,
	CHK_LENGTH,
	CHK_RESOURCE,
	CHK_RKEY,
	EXECUTE,
	COMPLETE,
	DONE,
	STATES
};

/* The packet that is being looked at, decoded. */
struct arrival {
	struct nic *nic;
	struct nic_qp *qp;
	const struct nic_packet *packet;
	struct hw_bth_info bth;
	struct hw_pkt_op op;
	uint64_t va;
	uint32_t rkey, len, imm;
	uint32_t operand_bytes;
	struct hw_atomic_args atomic;
	void *memory; /* where a write or atomic goes */
};

/* ------------------------------------------------------------- decoding */

static void decode(struct arrival *a)
{
	const uint8_t *ext = a->packet->header + HW_BTH_BYTES;
	struct hw_masked_atomic_eth m;
	struct hw_atomic_eth eth;
	struct hw_reth reth;
	be32 imm;

	if (a->op.flags & HW_PKTF_RETH) {
		memcpy(&reth, ext, sizeof(reth));
		a->va = hw_get_be64(reth.va);
		a->rkey = from_be32(reth.rkey);
		a->len = from_be32(reth.dma_len);
		ext += sizeof(reth);
	}
	if (a->op.flags & HW_PKTF_ATOMIC_ETH) {
		memcpy(&eth, ext, sizeof(eth));
		a->va = hw_get_be64(eth.va);
		a->rkey = from_be32(eth.rkey);
		a->len = a->operand_bytes = 8;
		a->atomic.swap_add = hw_get_be64(eth.swap_add);
		a->atomic.compare = hw_get_be64(eth.compare);
		a->atomic.swap_mask = a->atomic.compare_mask = ~0ull;
		if (a->bth.opcode == HW_PKT_FETCH_ADD)
			a->atomic.compare = 0; /* no field boundaries */
	}
	if (a->op.flags & HW_PKTF_MASKED_ETH) {
		memcpy(&m, ext, sizeof(m));
		a->va = hw_get_be64(m.va);
		a->rkey = from_be32(m.rkey);
		a->len = a->operand_bytes = from_be32(m.operand_bytes);
		a->atomic.swap_add = hw_get_be64(m.swap_add);
		a->atomic.compare = hw_get_be64(m.compare);
		a->atomic.swap_mask = hw_get_be64(m.swap_mask);
		a->atomic.compare_mask = hw_get_be64(m.compare_mask);
	}
	if (a->op.flags & HW_PKTF_IMMDT) {
		memcpy(&imm, ext, sizeof(imm));
		a->imm = from_be32(imm);
	}
}

/* ---------------------------------------------------------------- NAKs */

static enum state send_nak(struct arrival *a, uint8_t syndrome, bool fatal)
{
	struct nic_responder *resp = &a->qp->resp;

	resp->nak = syndrome;
	resp->ack_due = true;
	resp->fatal = fatal;
	/* Until the expected PSN comes, whatever follows stays unanswered. */
	resp->nak_sent = true;
	nic_qp_ready(a->nic, a->qp);
	return DONE;
}

/* The peer broke a rule: NAK, and the QP goes to ERR. */
static enum state refuse(struct arrival *a, enum hw_nak code, const char *why)
{
	nic_log(a->nic, NIC_LOG_ERROR,
		"QP 0x%x: %s packet psn %u, [0x%llx, +%u) rkey 0x%x: %s",
		a->qp->number, a->op.name, a->bth.psn,
		(unsigned long long)a->va, a->len, a->rkey, why);
	return send_nak(a, (uint8_t)(HW_AETH_NAK | code), true);
}

static void complete_recv(struct arrival *a, struct hw_cqe_info *info)
{
	struct nic_qp *qp = a->qp;

	info->qpn = qp->number;
	info->user_index = qp->user_index;
	info->imm = a->imm;
	info->solicited = a->bth.solicited;
	if (!nic_cqe_post(a->nic, qp->cq_recv, info))
		nic_qp_fail(a->nic, qp, NIC_EVENT_QP_FATAL);
}

/* The receive WQE in use completes in error, and the peer hears of it. */
static enum state fail_recv(struct arrival *a, uint16_t wqe_counter,
			    uint8_t syndrome, enum hw_nak code)
{
	struct hw_cqe_info info = {.opcode = HW_CQE_RESP_ERR,
				   .wqe_counter = wqe_counter,
				   .syndrome = syndrome};

	if (a->qp->resp.recv.taken) {
		nic_block_put(&a->nic->pool, a->qp->resp.recv.block);
		a->qp->resp.recv.taken = false;
	}
	complete_recv(a, &info);
	return refuse(a, code, hw_syndrome_name(syndrome));
}

/* --------------------------------------------------------------- checks */

/* Answer a request that was executed before (IBTA 9.7.5.1.2). */
static void duplicate(struct arrival *a)
{
	a->nic->counters.duplicate_request++;
	nic_qp_ready(a->nic, a->qp);
	if (a->op.flags & (HW_PKTF_READ | HW_PKTF_ATOMIC))
		nic_responder_repeat(a->qp, a->bth.psn);
	else
		a->qp->resp.ack_due = true;
}

static enum state check_psn(struct arrival *a)
{
	struct nic_responder *resp = &a->qp->resp;
	int32_t ahead = hw_psn_diff(a->bth.psn, resp->epsn);

	if (ahead < 0) {
		duplicate(a);
		return DONE;
	}
	if (ahead > 0) {
		a->nic->counters.out_of_sequence++;
		if (resp->nak_sent)
			return DONE;
		return send_nak(a, HW_AETH_NAK | HW_NAK_PSN_SEQ, false);
	}
	/* It is here: a NAK that asks for it and is not out is stale. */
	resp->nak_sent = false;
	resp->nak = 0;
	return CHK_OP_SEQ;
}

static enum state check_op_seq(struct arrival *a)
{
	uint8_t message = a->qp->resp.message;
	bool starts = a->op.flags & HW_PKTF_FIRST;

	if (message ? starts || !(a->op.flags & message) : !starts)
		return refuse(a, HW_NAK_INVALID_REQ,
			      message ? "it interrupts a message"
				      : "it continues no message");
	return CHK_OP_VALID;
}

static enum state check_op_valid(struct arrival *a)
{
	uint8_t access = a->qp->access;

	if ((a->op.flags & HW_PKTF_WRITE) &&
	    !(access & NIC_ACCESS_REMOTE_WRITE))
		return refuse(a, HW_NAK_INVALID_REQ, "qpc.rwe is 0");
	if ((a->op.flags & HW_PKTF_READ) && !(access & NIC_ACCESS_REMOTE_READ))
		return refuse(a, HW_NAK_INVALID_REQ, "qpc.rre is 0");
	if ((a->op.flags & HW_PKTF_ATOMIC) &&
	    !(access & NIC_ACCESS_REMOTE_ATOMIC))
		return refuse(a, HW_NAK_INVALID_REQ, "qpc.rae is 0");
	return CHK_LENGTH;
}

/* Is the payload as long as its place in the message asks for? */
static bool payload_fits(const struct arrival *a)
{
	uint32_t len = a->packet->payload_len, mtu = a->qp->mtu;
	uint32_t left = a->op.flags & HW_PKTF_RETH ? a->len : a->qp->resp.left;

	if (!(a->op.flags & HW_PKTF_LAST))
		return len == mtu &&
		       (!(a->op.flags & HW_PKTF_WRITE) || left > mtu);
	if (!(a->op.flags & HW_PKTF_FIRST) && !len)
		return false;
	return len <= mtu && (!(a->op.flags & HW_PKTF_WRITE) || len == left);
}

static enum state check_length(struct arrival *a)
{
	if ((a->op.flags & HW_PKTF_PAYLOAD) && !payload_fits(a))
		return refuse(a, HW_NAK_INVALID_REQ,
			      "the payload length does not fit the message");
	if (a->len > 1u << NIC_LOG_MAX_MSG)
		return refuse(a, HW_NAK_INVALID_REQ,
			      "the message is longer than 2^30");
	if (!(a->op.flags & HW_PKTF_ATOMIC))
		return CHK_RESOURCE;
	if (a->operand_bytes != 4 && a->operand_bytes != 8)
		return refuse(a, HW_NAK_INVALID_REQ,
			      "atomic operands have 4 or 8 bytes");
	if (a->va % a->operand_bytes)
		return refuse(a, HW_NAK_INVALID_REQ,
			      "the address of an atomic is not aligned");
	return CHK_RESOURCE;
}

static enum state receiver_not_ready(struct arrival *a)
{
	send_nak(a, HW_AETH_RNR | a->qp->min_rnr_nak, false);
	return DONE;
}

/* Take a receive WQE where the packet needs one. */
static enum state take_recv(struct arrival *a)
{
	struct nic_responder *resp = &a->qp->resp;
	struct nic_rq *rq = nic_qp_rq(a->qp);
	bool first_of_send =
		(a->op.flags & HW_PKTF_SEND) && (a->op.flags & HW_PKTF_FIRST);
	bool write_imm =
		(a->op.flags & HW_PKTF_WRITE) && (a->op.flags & HW_PKTF_IMMDT);
	int ret;

	if (!first_of_send && !write_imm)
		return CHK_RKEY;
	if (!rq)
		return receiver_not_ready(a);
	if (resp->recv.taken) /* by the same packet, when it failed to move */
		return CHK_RKEY;
	/* A write takes its receive WQE when it has arrived. */
	ret = write_imm ? nic_rq_peek(a->nic, rq)
			: nic_rq_take(a->nic, rq, &resp->recv);
	if (ret == -EAGAIN)
		return receiver_not_ready(a);
	if (ret)
		return refuse(a, HW_NAK_REMOTE_OP,
			      "the receive queue is not mapped any more");
	if (a->qp->rmp && !write_imm)
		nic_rmp_taken(a->nic, a->qp->rmp);
	return CHK_RKEY;
}

/* A write with immediate uses up a receive WQE without its buffers. */
static int skip_recv(struct arrival *a, uint16_t *wqe_counter)
{
	int ret = nic_rq_skip(a->nic, nic_qp_rq(a->qp), wqe_counter);

	if (!ret && a->qp->rmp)
		nic_rmp_taken(a->nic, a->qp->rmp);
	return ret;
}

static enum state check_resource(struct arrival *a)
{
	struct nic_responder *resp = &a->qp->resp;

	if (!(a->op.flags & (HW_PKTF_READ | HW_PKTF_ATOMIC)))
		return take_recv(a);
	if (resp->rd_pi - resp->rd_new >= resp->rd_size)
		return refuse(a, HW_NAK_INVALID_REQ,
			      "more reads and atomics than qpc.log_rra_max");
	return CHK_RKEY;
}

static enum state check_rkey(struct arrival *a)
{
	struct mkey_use use = {.va = a->va,
			       .len = a->len,
			       .key = a->rkey,
			       .pd = a->qp->pd,
			       .qpn = a->qp->number,
			       .access = MKEY_REMOTE_WRITE};
	const char *why;

	if (a->op.flags & HW_PKTF_READ)
		use.access = MKEY_REMOTE_READ;
	if (a->op.flags & HW_PKTF_ATOMIC)
		use.access = MKEY_ATOMIC;
	if (!(a->op.flags & HW_PKTF_RETH) && !(a->op.flags & HW_PKTF_ATOMIC)) {
		if (!(a->op.flags & HW_PKTF_WRITE))
			return EXECUTE; /* a send has no rkey */
		/* The key may have gone since the message's first packet. */
		a->va = use.va = a->qp->resp.va;
		a->rkey = use.key = a->qp->resp.rkey;
		a->len = a->packet->payload_len;
		use.len = a->len;
	}
	if (!use.len)
		return EXECUTE; /* IBTA C9-88: nothing to protect */
	a->memory = nic_mkey_translate(a->nic, &use, &why);
	return a->memory ? EXECUTE : refuse(a, HW_NAK_REMOTE_ACCESS, why);
}

/* ------------------------------------------------------------ execution */

/* The payload could not be moved: whose memory was it? */
static enum state move_failed(struct arrival *a, int ret)
{
	uint16_t wqe_counter;

	a->nic->counters.dma_faults++;
	if (ret == -EIO)
		return send_nak(a, HW_AETH_NAK | HW_NAK_SOURCE_FAULT, false);
	if (a->op.flags & HW_PKTF_SEND)
		return fail_recv(a, a->qp->resp.recv.wqe_counter,
				 HW_SYND_LOCAL_PROT, HW_NAK_REMOTE_OP);
	if ((a->op.flags & HW_PKTF_IMMDT) && !skip_recv(a, &wqe_counter))
		return fail_recv(a, wqe_counter, HW_SYND_LOCAL_ACCESS,
				 HW_NAK_REMOTE_OP);
	return refuse(a, HW_NAK_REMOTE_OP, "the memory is not mapped any more");
}

static enum state execute_write(struct arrival *a)
{
	struct nic_responder *resp = &a->qp->resp;
	struct nic_mem dst = {.addr = a->memory,
			      .len = a->packet->payload_len,
			      .kind = NIC_MEM_HOST};
	int ret = 0;

	if (a->op.flags & HW_PKTF_FIRST) {
		resp->va = a->va;
		resp->rkey = a->rkey;
		resp->left = a->len;
	}
	if (dst.len)
		ret = a->nic->wire->ops->pull(a->nic->wire, a->packet, 0, &dst);
	if (ret)
		return move_failed(a, ret);
	NIC_TRACE(a->nic, resp_write, a->qp->number, 0, resp->va, dst.len);
	resp->va += dst.len;
	resp->left -= (uint32_t)dst.len;
	return COMPLETE;
}

/* Place the payload into the receive WQE's scatter list. */
static int scatter(struct arrival *a)
{
	struct nic_recv *recv = &a->qp->resp.recv;
	const struct nic_sge *sge = recv->block->sge;
	uint32_t offset = recv->offset, left = a->packet->payload_len, at = 0;
	struct mkey_use use = {.pd = a->qp->pd,
			       .qpn = a->qp->number,
			       .access = MKEY_LOCAL_WRITE};
	struct nic_mem dst = {.kind = NIC_MEM_HOST};
	const char *why;
	int ret;

	for (; left; sge++) {
		if (offset >= sge->len) {
			offset -= sge->len;
			continue;
		}
		dst.len = sge->len - offset < left ? sge->len - offset : left;
		use.va = sge->va + offset;
		use.len = dst.len;
		use.key = sge->lkey;
		dst.addr = nic_mkey_translate(a->nic, &use, &why);
		if (!dst.addr)
			return -EFAULT;
		ret = a->nic->wire->ops->pull(a->nic->wire, a->packet, at,
					      &dst);
		if (ret)
			return ret;
		at += (uint32_t)dst.len;
		left -= (uint32_t)dst.len;
		offset = 0;
	}
	recv->offset += a->packet->payload_len;
	return 0;
}

static enum state execute_send(struct arrival *a)
{
	struct nic_recv *recv = &a->qp->resp.recv;
	int ret;

	if (a->packet->payload_len > recv->total_len - recv->offset)
		return fail_recv(a, recv->wqe_counter, HW_SYND_LOCAL_LENGTH,
				 HW_NAK_INVALID_REQ);
	ret = scatter(a);
	return ret ? move_failed(a, ret) : COMPLETE;
}

static struct nic_response *add_response(struct arrival *a)
{
	struct nic_responder *resp = &a->qp->resp;
	struct nic_response *rd;

	/* The oldest leaves the ring, also when it is being sent again: who
	 * asks for a new one has it. */
	if (resp->rd_pi - resp->rd_next == resp->rd_size) {
		resp->rd_next++;
		resp->rd_offset = resp->rd_start = 0;
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

static enum state execute_atomic(struct arrival *a)
{
	struct dma_atomic op = {
		.compare_swap = a->bth.opcode == HW_PKT_CMP_SWAP ||
				a->bth.opcode == HW_PKT_MASKED_CS,
		.operand = a->atomic.swap_add,
		.compare = a->atomic.compare,
		.swap_mask = a->atomic.swap_mask,
		.compare_mask = a->atomic.compare_mask,
	};
	struct nic_response *rd;
	uint64_t original;

	if ((uintptr_t)a->memory % a->operand_bytes)
		return refuse(a, HW_NAK_INVALID_REQ,
			      "the memory behind an atomic is not aligned");
	if (dma_atomic(a->memory, a->operand_bytes, &op, &original))
		return move_failed(a, -EFAULT);
	NIC_TRACE(a->nic, resp_atomic, a->qp->number, 0, a->va, original);
	rd = add_response(a);
	rd->va = original;
	rd->atomic = 1;
	return COMPLETE;
}

static enum state execute_read(struct arrival *a)
{
	struct nic_response *rd = add_response(a);

	if (a->len > a->qp->mtu)
		rd->packets =
			((a->len + a->qp->mtu - 1) / a->qp->mtu) & 0x3fffffff;
	return COMPLETE;
}

static enum state execute(struct arrival *a)
{
	if (a->op.flags & HW_PKTF_WRITE)
		return execute_write(a);
	if (a->op.flags & HW_PKTF_SEND)
		return execute_send(a);
	if (a->op.flags & HW_PKTF_READ)
		return execute_read(a);
	return execute_atomic(a);
}

/* ----------------------------------------------------------- completion */

static uint8_t recv_opcode(const struct arrival *a)
{
	if (a->op.flags & HW_PKTF_WRITE)
		return HW_CQE_RESP_WR_IMM;
	return a->op.flags & HW_PKTF_IMMDT ? HW_CQE_RESP_SEND_IMM
					   : HW_CQE_RESP_SEND;
}

static void finish_message(struct arrival *a)
{
	struct nic_responder *resp = &a->qp->resp;
	struct nic_recv *recv = &resp->recv;
	struct hw_cqe_info info = {.opcode = recv_opcode(a)};

	if (recv->taken) {
		info.wqe_counter = recv->wqe_counter;
		info.byte_cnt = recv->offset;
		recv->taken = false;
		nic_block_put(&a->nic->pool, recv->block);
	} else if (a->op.flags & HW_PKTF_IMMDT) {
		if (skip_recv(a, &info.wqe_counter)) {
			nic_qp_fail(a->nic, a->qp, NIC_EVENT_QP_FATAL);
			return;
		}
		info.byte_cnt = resp->write_len;
	} else {
		return;
	}
	complete_recv(a, &info);
}

static enum state complete(struct arrival *a)
{
	struct nic_responder *resp = &a->qp->resp;
	uint32_t packets = 1;

	if (a->op.flags & HW_PKTF_READ)
		packets = resp->rd[(resp->rd_pi - 1) & (resp->rd_size - 1u)]
				  .packets;
	resp->epsn = hw_psn_add(resp->epsn, packets);
	/* Before the receive CQE: if the CQ has no room for it, this QP goes
	 * to ERR, and then it owes an answer that will not come. */
	if (a->bth.ack_req &&
	    !(a->op.flags & (HW_PKTF_READ | HW_PKTF_ATOMIC))) {
		resp->ack_due = true;
		nic_qp_ready(a->nic, a->qp);
	}
	if (a->op.flags & HW_PKTF_FIRST)
		resp->write_len = a->len;
	if (a->op.flags & HW_PKTF_LAST) {
		resp->msn = hw_psn_add(resp->msn, 1);
		resp->message = 0;
		finish_message(a);
	} else {
		resp->message =
			(uint8_t)(a->op.flags & (HW_PKTF_SEND | HW_PKTF_WRITE));
	}
	return DONE;
}

/* ----------------------------------------------------------------- input */

/* Why the packet is dropped without an answer; NULL: it is for this QP. */
static const char *not_for(struct nic *nic, struct nic_qp *qp,
			   const struct nic_packet *packet)
{
	if (qp->state != HW_QP_RTR && qp->state != HW_QP_RTS)
		return "the queue pair is not in RTR or RTS";
	if (packet->src_qpn && packet->src_qpn != qp->remote_qpn)
		return "the queue pair is connected to another one";
	if (nic->wire && nic->wire->ops->lossless &&
	    (qp->peer_known || nic_qp_resolve(nic, qp)) &&
	    packet->peer != qp->peer)
		return "the queue pair is connected to another NIC";
	return NULL;
}

void nic_responder_input(struct nic *nic, struct nic_qp *qp,
			 const struct nic_packet *packet)
{
	static enum state (*const steps[STATES])(struct arrival *) = {
		[CHK_PSN] = check_psn,
		[CHK_OP_SEQ] = check_op_seq,
		[CHK_OP_VALID] = check_op_valid,
		[CHK_LENGTH] = check_length,
		[CHK_RESOURCE] = check_resource,
		[CHK_RKEY] = check_rkey,
		[EXECUTE] = execute,
		[COMPLETE] = complete,
	};
	struct arrival a = {.nic = nic, .qp = qp, .packet = packet};
	const char *why = not_for(nic, qp, packet);
	enum state state = CHK_PSN;

	if (why) {
		nic_drop(nic, packet, why);
		return;
	}
	if (qp->resp.fatal)
		return; /* the NAK that is due answers this one too */
	a.bth = nic_packet_bth(packet);
	a.op = hw_pkt_op(a.bth.opcode);
	decode(&a);
	NIC_TRACE(nic, resp_recv, qp->number, 0, a.bth.opcode, a.bth.psn,
		  packet->payload_len);
	if (qp->state == HW_QP_RTR && !qp->resp.established) {
		qp->resp.established = true;
		nic_event(nic, NIC_EVENT_COMM_EST, qp->number, 0);
	}
	while (state != DONE)
		state = steps[state](&a);
}
