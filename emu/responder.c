/* SPDX-License-Identifier: MIT */
/*
 * Responder: one request packet through the checks of the specification, in
 * its order; each returns the next state.
 *
 * Data path: emu/wire_loop.c -> [emu/responder.c] -> emu/completer.c
 *
 * Execution is in responder_execute.c. Input only changes state and writes
 * memory: what goes back (ACK, NAK, read data) is sent by responder_send.c
 * when the QP has its turn, so that a full wire can never stop input.
 *
 * Source: IBTA vol. 1, 9.7.4 (responder, table 55), 9.7.5.1; the order of
 * checks as in Linux rxe_resp.c.
 * Thread: under the NIC's lock.
 */
#include "emu/arrival.h"

#include <errno.h>

/* ------------------------------------------------------------- decoding */

static void decode(struct nic_arrival *a)
{
	const uint8_t *ext = a->packet->header + HW_BTH_BYTES;
	struct hw_masked_atomic_eth m;
	struct hw_atomic_eth eth;
	struct hw_reth reth;
	be32 imm;

	if (a->op.flags & HW_PKTF_XRCETH) {
		memcpy(&imm, ext, sizeof(imm));
		a->xrc_srqn = from_be32(imm) & 0xffffff;
		ext += sizeof(imm);
	}
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
		if (hw_pkt_rc_opcode(a->bth.opcode) == HW_PKT_FETCH_ADD)
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
	/* An immediate, or a key to invalidate: they look alike. */
	if (a->op.flags & (HW_PKTF_IMMDT | HW_PKTF_IETH)) {
		memcpy(&imm, ext, sizeof(imm));
		a->imm = from_be32(imm);
	}
}

/* ---------------------------------------------------------------- NAKs */

enum nic_arrival_state nic_arrival_nak(struct nic_arrival *a, uint8_t syndrome,
				       bool fatal)
{
	struct nic_responder *resp = &a->qp->resp;

	if (!a->qp->acked)
		return nic_arrival_drop(a, "it could not be carried out");
	resp->nak = syndrome;
	resp->ack_due = true;
	resp->fatal = fatal;
	/* Until the expected PSN comes, whatever follows stays unanswered. */
	resp->nak_sent = true;
	nic_qp_ready(a->nic, a->qp);
	return DONE;
}

/* The peer broke a rule: NAK, and the QP goes to ERR. */
enum nic_arrival_state nic_arrival_refuse(struct nic_arrival *a,
					  enum hw_nak code, const char *why)
{
	if (!a->qp->acked)
		return nic_arrival_drop(a, why);
	nic_log(a->nic, NIC_LOG_ERROR,
		"QP 0x%x: %s packet psn %u, [0x%llx, +%u) rkey 0x%x: %s",
		a->qp->number, a->op.name, a->bth.psn,
		(unsigned long long)a->va, a->len, a->rkey, why);
	return nic_arrival_nak(a, (uint8_t)(HW_AETH_NAK | code), true);
}

void nic_arrival_complete_recv(struct nic_arrival *a, struct hw_cqe_info *info)
{
	struct nic_qp *qp = a->qp;

	info->qpn = qp->number;
	info->user_index = nic_qp_recv_index(qp);
	info->imm = a->imm;
	info->solicited = a->bth.solicited;
	if (!nic_cqe_post(a->nic, nic_qp_recv_cq(qp), info))
		nic_qp_fail(a->nic, qp, NIC_EVENT_QP_FATAL);
}

/* The receive WQE in use completes in error, and the peer hears of it. */
enum nic_arrival_state nic_arrival_fail_recv(struct nic_arrival *a,
					     uint16_t wqe_counter,
					     uint8_t syndrome, enum hw_nak code)
{
	struct hw_cqe_info info = {.opcode = HW_CQE_RESP_ERR,
				   .wqe_counter = wqe_counter,
				   .syndrome = syndrome};

	if (a->qp->resp.recv.taken) {
		nic_block_put(&a->nic->pool, a->qp->resp.recv.block);
		a->qp->resp.recv.taken = false;
	}
	nic_arrival_complete_recv(a, &info);
	if (!a->qp->acked) {
		nic_qp_set_state(a->nic, a->qp, HW_QP_ERR);
		return DONE;
	}
	return nic_arrival_refuse(a, code, hw_syndrome_name(syndrome));
}

/* --------------------------------------------------------------- checks */

/* Answer a request that was executed before (IBTA 9.7.5.1.2). */
static void duplicate(struct nic_arrival *a)
{
	a->nic->counters.duplicate_request++;
	nic_qp_ready(a->nic, a->qp);
	if (a->op.flags & (HW_PKTF_READ | HW_PKTF_ATOMIC))
		nic_responder_repeat(a->qp, a->bth.psn);
	else
		a->qp->resp.ack_due = true;
}

static enum nic_arrival_state check_psn(struct nic_arrival *a)
{
	struct nic_responder *resp = &a->qp->resp;
	int32_t ahead = hw_psn_diff(a->bth.psn, resp->epsn);

	if (!a->qp->acked)
		return nic_arrival_check_unacked(a);
	if (ahead < 0) {
		duplicate(a);
		return DONE;
	}
	if (ahead > 0) {
		a->nic->counters.out_of_sequence++;
		if (resp->nak_sent)
			return DONE;
		return nic_arrival_nak(a, HW_AETH_NAK | HW_NAK_PSN_SEQ, false);
	}
	/* It is here: a NAK that asks for it and is not out is stale. */
	resp->nak_sent = false;
	resp->nak = 0;
	return CHK_OP_SEQ;
}

static enum nic_arrival_state check_op_seq(struct nic_arrival *a)
{
	uint8_t message = a->qp->resp.message;
	bool starts = a->op.flags & HW_PKTF_FIRST;

	if (message ? starts || !(a->op.flags & message) : !starts)
		return nic_arrival_refuse(a, HW_NAK_INVALID_REQ,
					  message ? "it interrupts a message"
						  : "it continues no message");
	return CHK_OP_VALID;
}

/* The XRC SRQ that the packet names must be in the queue pair's domain. */
static enum nic_arrival_state check_xrc(struct nic_arrival *a)
{
	struct nic_rmp *srq = nic_rmp_get(a->nic, a->xrc_srqn);
	struct nic_responder *resp = &a->qp->resp;

	if (a->qp->sq.size)
		return nic_arrival_refuse(a, HW_NAK_INVALID_REQ,
					  "an XRC initiator has no responder");
	if (!srq || !srq->cq)
		return nic_arrival_refuse(a, HW_NAK_INVALID_REQ,
					  "there is no such XRC SRQ");
	if (srq->xrcd != hw_get(a->qp->qpc, HW_QPC_XRCD))
		return nic_arrival_refuse(a, HW_NAK_INVALID_REQ,
					  "the XRC SRQ is in another domain");
	if (resp->message && srq != resp->xrc_srq)
		return nic_arrival_refuse(a, HW_NAK_INVALID_REQ,
					  "it names another XRC SRQ than the "
					  "message's first packet");
	resp->xrc_srq = srq;
	a->qp->key_pd = srq->pd;
	return CHK_LENGTH;
}

static enum nic_arrival_state check_op_valid(struct nic_arrival *a)
{
	uint8_t access = a->qp->access;

	if ((a->op.flags & HW_PKTF_WRITE) &&
	    !(access & NIC_ACCESS_REMOTE_WRITE))
		return nic_arrival_refuse(a, HW_NAK_INVALID_REQ,
					  "qpc.rwe is 0");
	if ((a->op.flags & HW_PKTF_READ) && !(access & NIC_ACCESS_REMOTE_READ))
		return nic_arrival_refuse(a, HW_NAK_INVALID_REQ,
					  "qpc.rre is 0");
	if ((a->op.flags & HW_PKTF_ATOMIC) &&
	    !(access & NIC_ACCESS_REMOTE_ATOMIC))
		return nic_arrival_refuse(a, HW_NAK_INVALID_REQ,
					  "qpc.rae is 0");
	return a->qp->service == HW_PKT_XRC ? check_xrc(a) : CHK_LENGTH;
}

/* Is the payload as long as its place in the message asks for? */
static bool payload_fits(const struct nic_arrival *a)
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

static enum nic_arrival_state check_length(struct nic_arrival *a)
{
	if ((a->op.flags & HW_PKTF_PAYLOAD) && !payload_fits(a))
		return nic_arrival_refuse(
			a, HW_NAK_INVALID_REQ,
			"the payload length does not fit the message");
	if (a->len > a->qp->msg_max)
		return nic_arrival_refuse(
			a, HW_NAK_INVALID_REQ,
			"the message is longer than 2^qpc.log_msg_max");
	if (!(a->op.flags & HW_PKTF_ATOMIC))
		return CHK_RESOURCE;
	if (a->operand_bytes != 4 && a->operand_bytes != 8)
		return nic_arrival_refuse(a, HW_NAK_INVALID_REQ,
					  "atomic operands have 4 or 8 bytes");
	if (a->va % a->operand_bytes)
		return nic_arrival_refuse(
			a, HW_NAK_INVALID_REQ,
			"the address of an atomic is not aligned");
	return CHK_RESOURCE;
}

static enum nic_arrival_state receiver_not_ready(struct nic_arrival *a)
{
	if (!a->qp->acked) {
		a->nic->counters.out_of_buffer++;
		return nic_arrival_drop(a, "there is no receive WQE");
	}
	nic_arrival_nak(a, HW_AETH_RNR | a->qp->min_rnr_nak, false);
	return DONE;
}

/* Take a receive WQE where the packet needs one. */
static enum nic_arrival_state take_recv(struct nic_arrival *a)
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
		return nic_arrival_refuse(
			a, HW_NAK_REMOTE_OP,
			"the receive queue is not mapped any more");
	if (nic_qp_srq(a->qp) && !write_imm)
		nic_rmp_taken(a->nic, nic_qp_srq(a->qp));
	return CHK_RKEY;
}

/* A write with immediate uses up a receive WQE without its buffers. */
int nic_arrival_skip_recv(struct nic_arrival *a, uint16_t *wqe_counter)
{
	struct nic_recv *recv = &a->qp->resp.recv;
	int ret;

	if (recv->taken) { /* UC: by a send that was abandoned */
		*wqe_counter = recv->wqe_counter;
		recv->taken = false;
		nic_block_put(&a->nic->pool, recv->block);
		return 0;
	}
	ret = nic_rq_skip(a->nic, nic_qp_rq(a->qp), wqe_counter);
	if (!ret && nic_qp_srq(a->qp))
		nic_rmp_taken(a->nic, nic_qp_srq(a->qp));
	return ret;
}

static enum nic_arrival_state check_resource(struct nic_arrival *a)
{
	struct nic_responder *resp = &a->qp->resp;

	if (!(a->op.flags & (HW_PKTF_READ | HW_PKTF_ATOMIC)))
		return take_recv(a);
	if (resp->rd_pi - resp->rd_new >= resp->rd_size)
		return nic_arrival_refuse(
			a, HW_NAK_INVALID_REQ,
			"more reads and atomics than qpc.log_rra_max");
	return CHK_RKEY;
}

bool nic_arrival_use(struct nic_arrival *a, struct mkey_use *use)
{
	*use = (struct mkey_use){.pd = a->qp->key_pd,
				 .qpn = a->qp->number,
				 .access = MKEY_REMOTE_WRITE};
	if (a->op.flags & HW_PKTF_READ)
		use->access = MKEY_REMOTE_READ;
	if (a->op.flags & HW_PKTF_ATOMIC)
		use->access = MKEY_ATOMIC;
	if (!(a->op.flags & HW_PKTF_RETH) && !(a->op.flags & HW_PKTF_ATOMIC)) {
		if (!(a->op.flags & HW_PKTF_WRITE))
			return false; /* a send has no rkey */
		/* The key may have gone since the message's first packet. */
		a->va = a->qp->resp.va;
		a->rkey = a->qp->resp.rkey;
		a->len = a->packet->payload_len;
	}
	use->va = a->va;
	use->key = a->rkey;
	use->len = a->len;
	return use->len; /* IBTA C9-88: of no bytes, nothing to protect */
}

/*
 * The key refuses. A write with immediate has its receive WQE by then, and
 * that completes as "local access" (IBTA vol. 1, 11.6.2: protection of the
 * data buffer of such a write).
 */
static enum nic_arrival_state refuse_access(struct nic_arrival *a,
					    const char *why)
{
	uint16_t wqe_counter;

	if (!(a->op.flags & HW_PKTF_WRITE) || !(a->op.flags & HW_PKTF_IMMDT) ||
	    nic_arrival_skip_recv(a, &wqe_counter))
		return nic_arrival_refuse(a, HW_NAK_REMOTE_ACCESS, why);
	nic_log(a->nic, NIC_LOG_ERROR, "QP 0x%x: rkey 0x%x: %s", a->qp->number,
		a->rkey, why);
	return nic_arrival_fail_recv(a, wqe_counter, HW_SYND_LOCAL_ACCESS,
				     HW_NAK_REMOTE_ACCESS);
}

/* Behind a key that is not the usual one. */
static enum nic_arrival_state check_pieces(struct nic_arrival *a,
					   const struct mkey_use *use)
{
	const char *why;

	a->memory = nic_mkey_piece(a->nic, use, &a->memory_len, &why);
	if (a->memory &&
	    (a->memory_len == use->len || nic_mkey_check(a->nic, use, &why)))
		return EXECUTE;
	return refuse_access(a, why);
}

static enum nic_arrival_state check_rkey(struct nic_arrival *a)
{
	struct mkey_use use;

	if (!nic_arrival_use(a, &use))
		return EXECUTE;
	a->memory = nic_mkey_direct(a->nic, &use);
	a->memory_len = use.len;
	return a->memory ? EXECUTE : check_pieces(a, &use);
}

/* ----------------------------------------------------------- completion */

static uint8_t recv_opcode(const struct nic_arrival *a)
{
	if (a->op.flags & HW_PKTF_WRITE)
		return HW_CQE_RESP_WR_IMM;
	if (a->op.flags & HW_PKTF_IETH)
		return HW_CQE_RESP_SEND_INV;
	return a->op.flags & HW_PKTF_IMMDT ? HW_CQE_RESP_SEND_IMM
					   : HW_CQE_RESP_SEND;
}

static void finish_message(struct nic_arrival *a)
{
	struct nic_responder *resp = &a->qp->resp;
	struct nic_recv *recv = &resp->recv;
	struct hw_cqe_info info = {.opcode = recv_opcode(a)};

	if (a->op.flags & HW_PKTF_SEND) {
		info.wqe_counter = recv->wqe_counter;
		info.byte_cnt = recv->offset;
		recv->taken = false;
		nic_block_put(&a->nic->pool, recv->block);
	} else if (a->op.flags & HW_PKTF_IMMDT) {
		if (nic_arrival_skip_recv(a, &info.wqe_counter)) {
			nic_qp_fail(a->nic, a->qp, NIC_EVENT_QP_FATAL);
			return;
		}
		info.byte_cnt = resp->write_len;
	} else {
		return;
	}
	nic_arrival_complete_recv(a, &info);
}

static enum nic_arrival_state complete(struct nic_arrival *a)
{
	struct nic_responder *resp = &a->qp->resp;
	uint32_t packets = 1;

	if (a->op.flags & HW_PKTF_READ)
		packets = resp->rd[(resp->rd_pi - 1) & (resp->rd_size - 1u)]
				  .packets;
	resp->epsn = hw_psn_add(a->bth.psn, packets);
	/* Before the receive CQE: if the CQ has no room for it, this QP goes
	 * to ERR, and then it owes an answer that will not come. */
	if (a->bth.ack_req && a->qp->acked &&
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
	if (!nic_qp_receives(qp->state))
		return "the queue pair is not in RTR or RTS";
	if (packet->src_qpn && packet->src_qpn != qp->remote_qpn)
		return "the queue pair is connected to another one";
	if (nic->wire && nic->wire->ops->lossless &&
	    (qp->peer_known || nic_qp_resolve(nic, qp)) &&
	    packet->peer != qp->peer)
		return "the queue pair is connected to another NIC";
	return NULL;
}

static enum nic_arrival_state step(struct nic_arrival *a,
				   enum nic_arrival_state state)
{
	switch (state) {
	case CHK_PSN:
		return check_psn(a);
	case CHK_OP_SEQ:
		return check_op_seq(a);
	case CHK_OP_VALID:
		return check_op_valid(a);
	case CHK_LENGTH:
		return check_length(a);
	case CHK_RESOURCE:
		return check_resource(a);
	case CHK_RKEY:
		return check_rkey(a);
	case EXECUTE:
		return nic_arrival_execute(a);
	case COMPLETE:
		return complete(a);
	default:
		return DONE;
	}
}

void nic_responder_input(struct nic *nic, struct nic_qp *qp,
			 const struct nic_packet *packet,
			 const struct nic_head *head)
{
	struct nic_arrival a = {.nic = nic,
				.qp = qp,
				.packet = packet,
				.bth = head->bth,
				.op = head->op};
	const char *why = not_for(nic, qp, packet);
	enum nic_arrival_state state = CHK_PSN;

	if (why) {
		nic_drop(nic, packet, why);
		return;
	}
	if (qp->resp.fatal)
		return; /* the NAK that is due answers this one too */
	decode(&a);
	NIC_TRACE(nic, resp_recv, qp->number, 0, a.bth.opcode, a.bth.psn,
		  packet->payload_len);
	if (qp->state == HW_QP_RTR && !qp->resp.established) {
		qp->resp.established = true;
		nic_event(nic, NIC_EVENT_COMM_EST, qp->number, 0);
	}
	while (state != DONE)
		state = step(&a, state);
}
