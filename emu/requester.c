/* SPDX-License-Identifier: MIT */
/*
 * Requester: turn requests into packets; PSNs, fences, window, retransmission.
 *
 * Data path: emu/execute.c -> [emu/requester.c] -> emu/wire_loop.c
 *
 * Requests in flight form a list, oldest first. sq.tx is the one to send
 * next; behind the list the next WQE is fetched. Retransmission moves tx back.
 *
 * Source: IBTA vol. 1, 9.4 (packets), 9.7.2 (requester), 10.8.3 (fences).
 * Thread: under the NIC's lock.
 */
#include <errno.h>

#include "emu/core.h"

enum {
	IN_FLIGHT_MAX = 256, /* requests of one QP */
	/* A long message asks for an ACK now and then, so that a lost packet
	 * is noticed before its end. */
	ACK_EVERY = 64,
	/* Half of the PSNs, else old and new ones look alike (IBTA 9.7.2). */
	WINDOW = 1 << 23,
};

enum why_blocked { /* trace sq_blocked */
		   BLOCKED_FENCE = 1,
		   BLOCKED_RESPONSES,
		   BLOCKED_WAIT,
		   BLOCKED_WINDOW,
};

/* ----------------------------------------------------------- admission */

/*
 * Modes 2 and 4 wait for earlier reads and atomics, 3 for every earlier
 * request. Mode 1 waits for local invalidations and UMR, which are done when
 * the next WQE is looked at (umr.c).
 */
static bool fence_holds(const struct nic_sq *sq, const struct nic_request *r)
{
	switch (r->fm_ce_se >> 5) {
	case HW_FENCE_FENCE:
	case HW_FENCE_AND_SMALL:
		return sq->responses != 0;
	case HW_FENCE_STRONG:
		return sq->head != r;
	default:
		return false;
	}
}

/* Has the CQ the entry that a WAIT names? Counts wrap at 2^32. */
static bool wait_holds(struct nic *nic, const struct nic_request *r)
{
	const struct nic_cq *cq = nic_cq_get(nic, r->wait_cqn);

	return cq && (int32_t)(cq->pi - 1 - r->wait_index) < 0;
}

static void wait_count(struct nic *nic, const struct nic_request *r, int by)
{
	struct nic_cq *cq = nic_cq_get(nic, r->wait_cqn);

	if (cq)
		cq->waiters += by;
}

void nic_wait_drop(struct nic *nic, struct nic_request *request)
{
	/* One that is malformed was never counted. */
	if (!request->admitted && !request->syndrome)
		wait_count(nic, request, -1);
}

void nic_wait_abort(struct nic *nic, const struct nic_cq *cq)
{
	struct nic_request *r;
	struct nic_qp *qp;
	uint32_t i;

	for (i = 0; (qp = nic_table_walk(&nic->qps, &i));) {
		/* Nothing is fetched behind a WAIT that holds. */
		r = qp->sq.tail;
		if (!r || r->opcode != HW_OP_WAIT || r->admitted ||
		    r->wait_cqn != cq->number)
			continue;
		nic_log(nic, NIC_LOG_ERROR,
			"QP 0x%x WQE 0x%04x WAIT: CQ 0x%x was destroyed",
			qp->number, r->wqe_index, cq->number);
		r->syndrome = HW_SYND_LOCAL_QP_OP;
		qp->sq.stopped = true;
		nic_qp_ready(nic, qp);
	}
}

static uint32_t packet_count(const struct nic_qp *qp,
			     const struct nic_request *r)
{
	if (r->flags & HW_OPF_LOCAL)
		return 0;
	if ((r->flags & HW_OPF_ATOMIC) || r->total_len <= qp->mtu)
		return 1;
	return (r->total_len + qp->mtu - 1) / qp->mtu;
}

/* Would it take more PSNs than may be unacknowledged? */
static bool window_holds(const struct nic_sq *sq, uint32_t packets)
{
	const struct nic_request *oldest = sq->head;

	while (oldest && !oldest->packets)
		oldest = oldest->next;
	return oldest &&
	       ((sq->next_psn - oldest->first_psn) & HW_PSN_MASK) + packets >
		       WINDOW;
}

/* May the request start? Returns 0 or why not. */
static int admit(struct nic *nic, struct nic_qp *qp, struct nic_request *r)
{
	struct nic_sq *sq = &qp->sq;

	if (r->admitted)
		return 0;
	if (fence_holds(sq, r))
		return BLOCKED_FENCE;
	if (window_holds(sq, packet_count(qp, r)))
		return BLOCKED_WINDOW;
	if (r->flags & HW_OPF_RESPONSE) {
		if (sq->responses == sq->responses_max)
			return BLOCKED_RESPONSES;
		sq->responses++;
	}
	if (r->opcode == HW_OP_WAIT) {
		if (wait_holds(nic, r))
			return BLOCKED_WAIT;
		wait_count(nic, r, -1);
	}
	r->admitted = true;
	r->first_psn = sq->next_psn;
	r->packets = packet_count(qp, r);
	sq->next_psn = hw_psn_add(sq->next_psn, r->packets);
	return 0;
}

/* Fetch the next WQE into a new request at the list's tail. */
static struct nic_request *next_request(struct nic *nic, struct nic_qp *qp)
{
	uint8_t wqe[HW_WQE_BBS_MAX * HW_WQE_BB];
	struct nic_sq *sq = &qp->sq;
	struct nic_request *r;
	struct hw_wqe_ctrl_info ctrl;
	uint8_t syndrome;
	uint32_t ds;

	if (sq->fetched == sq->pi || sq->stopped ||
	    sq->in_flight == IN_FLIGHT_MAX ||
	    !nic_pool_spares(&nic->pool, sq->in_flight, sq->blocks))
		return NULL;
	r = nic_request_get(&nic->pool);
	ds = nic_sq_fetch(nic, qp, wqe, &syndrome);
	if (!ds) {
		ctrl = nic_sq_peek(qp);
		r->wqe_index = (uint16_t)sq->fetched;
		r->bbs = (uint8_t)nic_sq_blocks(sq, &ctrl);
		r->syndrome = syndrome;
	}
	if (!ds || !nic_execute(nic, qp, wqe, ds, r)) {
		/* It completes in error in its turn; nothing behind it runs. */
		r->flags |= HW_OPF_LOCAL;
		sq->stopped = true;
	} else if (r->opcode == HW_OP_WAIT) {
		wait_count(nic, r, 1);
	}
	sq->fetched += r->bbs;
	*(sq->tail ? &sq->tail->next : &sq->head) = r;
	sq->tail = r;
	sq->in_flight++;
	sq->blocks += r->block != NULL;
	return r;
}

/* ------------------------------------------------------------- packets */

/* The operation of packet i; an opcode needs the service's bits too. */
static uint8_t packet_operation(const struct nic_request *r, uint32_t i)
{
	bool first = i == 0, last = i == r->packets - 1;
	bool imm = r->flags & HW_OPF_IMM, inval = r->flags & HW_OPF_INVAL;

	switch (r->opcode) {
	case HW_OP_RDMA_READ:
		return HW_PKT_READ_REQUEST;
	case HW_OP_ATOMIC_CS:
		return HW_PKT_CMP_SWAP;
	case HW_OP_ATOMIC_FA:
		return HW_PKT_FETCH_ADD;
	case HW_OP_MASKED_CS:
		return HW_PKT_MASKED_CS;
	case HW_OP_MASKED_FA:
		return HW_PKT_MASKED_FA;
	default:
		break;
	}
	if (r->flags & HW_OPF_RADDR) {
		if (first && last)
			return HW_PKT_WRITE_ONLY + imm;
		if (first)
			return HW_PKT_WRITE_FIRST;
		return last ? HW_PKT_WRITE_LAST + imm : HW_PKT_WRITE_MIDDLE;
	}
	if (first && last)
		return inval ? HW_PKT_SEND_ONLY_INV : HW_PKT_SEND_ONLY + imm;
	if (first)
		return HW_PKT_SEND_FIRST;
	if (last && inval)
		return HW_PKT_SEND_LAST_INV;
	return last ? HW_PKT_SEND_LAST + imm : HW_PKT_SEND_MIDDLE;
}

static void append(struct nic_packet *packet, const void *header, size_t bytes)
{
	memcpy(packet->header + packet->header_len, header, bytes);
	packet->header_len = (uint16_t)(packet->header_len + bytes);
}

static void append_atomic(struct nic_packet *packet,
			  const struct nic_request *r, bool masked)
{
	struct hw_masked_atomic_eth m;
	struct hw_atomic_eth eth;

	if (!masked) {
		hw_put_be64(eth.va, r->raddr);
		eth.rkey = to_be32(r->rkey);
		hw_put_be64(eth.swap_add, r->atomic.swap_add);
		hw_put_be64(eth.compare, r->atomic.compare);
		append(packet, &eth, sizeof(eth));
		return;
	}
	hw_put_be64(m.va, r->raddr);
	m.rkey = to_be32(r->rkey);
	m.operand_bytes = to_be32(r->operand_bytes);
	hw_put_be64(m.swap_add, r->atomic.swap_add);
	hw_put_be64(m.compare, r->atomic.compare);
	hw_put_be64(m.swap_mask, r->atomic.swap_mask);
	hw_put_be64(m.compare_mask, r->atomic.compare_mask);
	append(packet, &m, sizeof(m));
}

/* The header between BTH and the others that the service has. */
static void append_service(const struct nic_qp *qp, const struct nic_request *r,
			   struct nic_packet *packet)
{
	struct hw_xrceth xrc;
	struct hw_deth deth;

	if (qp->service == HW_PKT_XRC) {
		xrc.srqn = to_be32(r->xrc_srqn);
		append(packet, &xrc, sizeof(xrc));
	} else if (qp->service == HW_PKT_UD) {
		deth.qkey = to_be32(r->datagram.qkey);
		deth.src_qpn = to_be32(qp->number);
		append(packet, &deth, sizeof(deth));
		packet->src_qpn = 0;
		packet->route = r->datagram.route;
	}
}

/* BTH and extended headers of packet i. */
static void build_headers(struct nic_qp *qp, const struct nic_request *r,
			  uint32_t i, struct nic_packet *packet)
{
	uint8_t opcode = packet_operation(r, i) | qp->service;
	struct hw_pkt_op op = hw_pkt_op(opcode);
	bool last = r->flags & HW_OPF_RESPONSE || i == r->packets - 1;
	struct hw_bth_info bth = {
		.opcode = opcode,
		.pkey = HW_PKEY_DEFAULT,
		.qpn = qp->remote_qpn,
		.psn = hw_psn_add(r->first_psn, i),
		.solicited = last && (r->fm_ce_se & HW_SOLICITED),
		.ack_req =
			qp->acked && (last || i % ACK_EVERY == ACK_EVERY - 1),
	};
	struct hw_bth raw;
	struct hw_reth reth;
	struct hw_immdt imm;

	bth.pad = (uint8_t)(-packet->payload_len & 3);
	raw = hw_bth_encode(&bth);
	packet->header_len = 0;
	packet->src_qpn = qp->number;
	append(packet, &raw, sizeof(raw));
	if (qp->service != HW_PKT_RC)
		append_service(qp, r, packet);
	if (op.flags & HW_PKTF_RETH) {
		/* A read that is resumed asks for the rest only. */
		uint64_t skip = (uint64_t)i * qp->mtu;

		reth = hw_reth_encode(r->raddr + skip, r->rkey,
				      r->total_len - (uint32_t)skip);
		append(packet, &reth, sizeof(reth));
	}
	if (op.flags & (HW_PKTF_ATOMIC_ETH | HW_PKTF_MASKED_ETH))
		append_atomic(packet, r, op.flags & HW_PKTF_MASKED_ETH);
	/* An immediate, or a key to invalidate: they look alike. */
	if (op.flags & (HW_PKTF_IMMDT | HW_PKTF_IETH)) {
		imm.imm = to_be32(r->imm);
		append(packet, &imm, sizeof(imm));
	}
}

static uint8_t fill_payload(struct nic *nic, struct nic_qp *qp,
			    const struct nic_request *r, uint32_t i,
			    struct nic_packet *packet)
{
	uint32_t offset = i * qp->mtu, left = r->total_len - offset;

	packet->iov_count = 0;
	packet->payload_len = 0;
	if ((r->flags & HW_OPF_RESPONSE) || !left)
		return HW_SYND_NONE;
	packet->payload_len = left < qp->mtu ? left : qp->mtu;
	if (!qp->acked && packet->payload_len > packet->body_bytes) {
		packet->body = packet->spare;
		packet->body_bytes = packet->spare_bytes;
	}
	return nic_gather(nic, qp, r, offset, packet) ? HW_SYND_LOCAL_PROT
						      : HW_SYND_NONE;
}

/* ------------------------------------------------------------- sending */

/* The QP cannot reach its peer: as a NIC whose packets vanish. */
static void unreachable(struct nic *nic, struct nic_qp *qp)
{
	if (qp->ack_deadline != UINT64_MAX)
		return;
	if (qp->peer_dead) {
		nic_qp_set_gone_timer(nic, qp);
		return;
	}
	nic_log(nic, NIC_LOG_WARN, "QP 0x%x: %s%s", qp->number,
		nic->link_down ? "the port is down"
			       : "nobody answers to the address in its path",
		qp->ack_timeout_ns ? ""
				   : "; ack_timeout is 0, so it waits "
				     "for ever");
	nic_qp_set_ack_timer(nic, qp);
}

static int reserve(struct nic *nic, struct nic_qp *qp,
		   const struct nic_request *r, struct nic_packet **packet)
{
	int ret;

	if (!qp->acked)
		return nic_unacked_reserve(nic, qp, r, packet);
	if (!nic_link_up(nic) || qp->peer_dead)
		return -EHOSTUNREACH;
	if (!qp->peer_known && !nic_qp_resolve(nic, qp))
		return -EHOSTUNREACH;
	ret = nic->wire->ops->reserve(nic->wire, qp->peer, packet);
	if (ret == -EHOSTUNREACH)
		qp->peer_dead = true;
	return ret;
}

enum sent { SENT, SENT_LATER, SENT_STOP };

/*
 * The request fails here, in its turn: those before it are still under way,
 * and may be sent again.
 */
static void fail_local(struct nic *nic, struct nic_qp *qp,
		       struct nic_request *r, uint8_t syndrome)
{
	r->syndrome = syndrome;
	r->flags |= HW_OPF_LOCAL;
	r->packets = 0;
	qp->sq.stopped = true;
	qp->sq.tx = r->next;
	nic_completer_run(nic, qp);
}

/* Remember how far the peer may answer. */
static void note_sent(struct nic_sq *sq, const struct nic_request *r,
		      uint32_t i)
{
	uint32_t count = r->flags & HW_OPF_RESPONSE ? r->packets : i + 1;
	uint32_t end = hw_psn_add(r->first_psn, count);

	if (hw_psn_diff(end, sq->sent_psn) > 0)
		sq->sent_psn = end;
}

/* Send packet i of the request. */
static enum sent send_packet(struct nic *nic, struct nic_qp *qp,
			     struct nic_request *r, uint32_t i)
{
	struct nic_packet *packet;
	uint8_t syndrome;
	int ret = reserve(nic, qp, r, &packet);

	if (ret == -EAGAIN)
		return SENT_LATER;
	if (ret && !qp->acked)
		return SENT; /* to nobody, and nobody will tell */
	if (ret) {
		unreachable(nic, qp);
		return SENT_STOP;
	}
	syndrome = fill_payload(nic, qp, r, i, packet);
	if (syndrome) {
		packet->header_len = 0; /* take the reservation back */
		nic->wire->ops->commit(nic->wire, qp->peer, packet);
		nic_log(nic, NIC_LOG_ERROR,
			"QP 0x%x WQE 0x%04x: its local memory is gone",
			qp->number, r->wqe_index);
		fail_local(nic, qp, r, syndrome);
		return SENT_STOP;
	}
	build_headers(qp, r, i, packet);
	note_sent(&qp->sq, r, i);
	NIC_TRACE(nic, req_send, qp->number, r->wqe_index, packet->header[0],
		  hw_psn_add(r->first_psn, i), packet->payload_len);
	nic->wire->ops->commit(nic->wire, qp->peer, packet);
	nic->counters.packets_out++;
	if (!nic->wire->ops->lossless && qp->ack_deadline == UINT64_MAX &&
	    qp->acked)
		nic_qp_set_ack_timer(nic, qp);
	return SENT;
}

/* Send what is left of the request; true when all of it is out. */
static enum sent send_request(struct nic *nic, struct nic_qp *qp,
			      struct nic_request *r, unsigned *budget)
{
	bool response = r->flags & HW_OPF_RESPONSE;
	enum sent sent;

	while (r->sent < r->packets) {
		if (!*budget)
			return SENT_LATER;
		sent = send_packet(nic, qp, r,
				   response ? r->done_packets : r->sent);
		if (sent != SENT)
			return sent;
		--*budget;
		r->sent = response ? r->packets : r->sent + 1;
	}
	return SENT;
}

/*
 * A request that stays here: done when the older ones are, in the completer.
 * Returns whether the queue may go on behind it.
 */
static bool local_request(struct nic *nic, struct nic_qp *qp,
			  struct nic_request *r)
{
	/* Once: retransmission comes by again. */
	if ((r->flags & HW_OPF_UMR) && !r->syndrome && !r->done) {
		r->syndrome = nic_umr(nic, qp, r);
		r->done = true;
		qp->sq.stopped |= r->syndrome != HW_SYND_NONE;
	}
	qp->sq.tx = r->next;
	nic_completer_run(nic, qp);
	return qp->state == HW_QP_RTS;
}

bool nic_requester_output(struct nic *nic, struct nic_qp *qp, unsigned *budget)
{
	struct nic_sq *sq = &qp->sq;
	struct nic_request *r;
	enum sent sent;
	int blocked;

	if (qp->peer_dead && sq->head) /* what is under way gets no answer */
		unreachable(nic, qp);
	while (*budget && !sq->rnr_wait && qp->state == HW_QP_RTS) {
		if (!sq->tx)
			sq->tx = next_request(nic, qp);
		r = sq->tx;
		if (!r) /* a completion makes it ready; without one, ask on */
			return sq->fetched != sq->pi && !sq->stopped &&
			       !sq->in_flight;
		blocked = r->syndrome ? 0 : admit(nic, qp, r);
		if (blocked) {
			NIC_TRACE(nic, sq_blocked, qp->number, r->wqe_index,
				  (uint64_t)blocked);
			return false; /* a completion makes it ready */
		}
		if (r->flags & HW_OPF_LOCAL) {
			--*budget;
			if (!local_request(nic, qp, r))
				return true;
			continue;
		}
		sent = send_request(nic, qp, r, budget);
		if (sent != SENT)
			return sent == SENT_LATER;
		sq->tx = r->next;
		if (!qp->acked)
			nic_unacked_done(nic, qp, r);
	}
	return !sq->rnr_wait && qp->state == HW_QP_RTS;
}

void nic_requester_retransmit(struct nic *nic, struct nic_qp *qp)
{
	struct nic_request *r, *first = NULL;

	for (r = qp->sq.head; r && r != qp->sq.tx; r = r->next) {
		if (r->done || (r->flags & HW_OPF_LOCAL))
			continue;
		/* Writes resume behind what was acknowledged. */
		r->sent = r->flags & HW_OPF_RESPONSE ? 0 : r->done_packets;
		if (!first)
			first = r;
	}
	if (qp->sq.tx && !(qp->sq.tx->flags & HW_OPF_LOCAL))
		qp->sq.tx->sent = qp->sq.tx->flags & HW_OPF_RESPONSE
					  ? 0
					  : qp->sq.tx->done_packets;
	if (first)
		qp->sq.tx = first;
	/* The timer measures what is sent from now on. */
	qp->ack_deadline = UINT64_MAX;
	nic->counters.retransmits++;
	nic_qp_ready(nic, qp);
}
