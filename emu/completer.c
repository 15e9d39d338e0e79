/* SPDX-License-Identifier: MIT */
/*
 * Completer: responses from the wire; which requests are done, what they
 * returned, and what must be sent again.
 *
 * Data path: emu/responder.c -> [emu/completer.c] -> emu/cqe_post.c
 *
 * Source: IBTA vol. 1, 9.7.5.2 (responses), 9.7.6 (retry), 10.7.3 (errors).
 * Thread: under the NIC's lock.
 */
#include <errno.h>

#include "emu/core.h"
#include "emu/dma.h"

/* ----------------------------------------------------------- completing */

/* Vendor syndromes as seen on ConnectX; 0 where none is known. */
static uint8_t vendor_syndrome(uint8_t syndrome)
{
	switch (syndrome) {
	case HW_SYND_LOCAL_PROT:
		return 0x51;
	case HW_SYND_REMOTE_INVAL_REQ:
		return 0x8a;
	case HW_SYND_REMOTE_ACCESS:
		return 0x88;
	case HW_SYND_RETRY_EXC:
		return 0x83;
	default:
		return 0;
	}
}

/* Read a range and drop what was read. */
static bool probe(struct nic *nic, struct mkey_use use)
{
	const char *why;
	uint64_t len;
	void *memory;

	for (; use.len; nic_mkey_next(&use, len)) {
		memory = nic_mkey_piece(nic, &use, &len, &why);
		if (!memory || dma_probe(memory, len))
			return false;
	}
	return true;
}

/* DUMP reads when everything before it is done. */
static void dump(struct nic *nic, struct nic_qp *qp, struct nic_request *r)
{
	const struct nic_sge *sge = nic_request_sges(r);
	struct mkey_use use = {
		.pd = qp->pd, .qpn = qp->number, .access = MKEY_LOCAL_READ};
	unsigned i;

	for (i = 0; i < r->sge_count && !r->syndrome; i++) {
		use.va = sge[i].va;
		use.len = sge[i].len;
		use.key = sge[i].lkey;
		if (!probe(nic, use))
			r->syndrome = HW_SYND_LOCAL_PROT;
	}
}

static bool signaled(const struct nic_request *r)
{
	uint8_t ce = r->fm_ce_se >> 2 & 3;

	return r->syndrome || ce == HW_CE_ALWAYS || ce == HW_CE_CQE_AND_EQE;
}

static bool post(struct nic *nic, struct nic_qp *qp,
		 const struct nic_request *r)
{
	struct hw_cqe_info info = {
		.opcode = r->syndrome ? HW_CQE_REQ_ERR : HW_CQE_REQ,
		.qpn = qp->number,
		.user_index = qp->user_index,
		.wqe_opcode = r->opcode,
		.wqe_counter = r->wqe_index,
		.byte_cnt = r->total_len,
		.solicited = (r->fm_ce_se >> 2 & 3) == HW_CE_CQE_AND_EQE,
		.syndrome = r->syndrome,
		.vendor_syndrome = vendor_syndrome(r->syndrome),
	};

	return nic_cqe_post(nic, qp->cq_send, &info);
}

/* Take the oldest request off the list and complete it. */
static void complete_head(struct nic *nic, struct nic_qp *qp)
{
	struct nic_sq *sq = &qp->sq;
	struct nic_request *r = sq->head;
	enum hw_qp_state failed;
	bool posted;

	sq->head = r->next;
	if (!sq->head)
		sq->tail = NULL;
	sq->in_flight--;
	sq->blocks -= r->block != NULL;
	sq->done += r->bbs;
	NIC_TRACE(nic, comp_done, qp->number, r->wqe_index, r->opcode,
		  r->syndrome);
	posted = !signaled(r) || post(nic, qp, r);
	if (r->syndrome) {
		failed = qp->acked ? HW_QP_ERR : HW_QP_SQER;
		nic_log(nic, NIC_LOG_ERROR,
			"QP 0x%x WQE 0x%04x completes with syndrome 0x%02x "
			"%s; the QP goes to %s",
			qp->number, r->wqe_index, r->syndrome,
			hw_syndrome_name(r->syndrome),
			nic_qp_state_name((uint8_t)failed));
		nic_qp_set_state(nic, qp, failed);
	} else if (!posted) {
		nic_qp_fail(nic, qp, NIC_EVENT_QP_FATAL);
	}
	nic_request_put(&nic->pool, r);
}

void nic_completer_run(struct nic *nic, struct nic_qp *qp)
{
	struct nic_sq *sq = &qp->sq;
	struct nic_request *r;
	bool completed = false;

	while ((r = sq->head) && r != sq->tx && qp->state == HW_QP_RTS) {
		if (!r->done && !(r->flags & HW_OPF_LOCAL))
			break;
		if (r->opcode == HW_OP_DUMP && !r->syndrome)
			dump(nic, qp, r);
		complete_head(nic, qp);
		completed = true;
	}
	/* A fence, the window or a WAIT may have held the queue. */
	if (completed && (sq->tx || sq->fetched != sq->pi))
		nic_qp_ready(nic, qp);
}

void nic_completer_fail(struct nic *nic, struct nic_qp *qp,
			struct nic_request *request, uint8_t syndrome)
{
	struct nic_sq *sq = &qp->sq;
	struct nic_request *r;

	/* A read before it whose response never came fails instead: nobody
	 * will answer it any more. Writes before it are acknowledged. */
	for (r = sq->head; r != request; r = r->next) {
		if (!r->done && (r->flags & HW_OPF_RESPONSE)) {
			syndrome = HW_SYND_RETRY_EXC;
			break;
		}
		r->done = true;
	}
	r->syndrome = syndrome;
	r->done = true;
	sq->stopped = true;
	sq->tx = r->next;
	nic_completer_run(nic, qp);
}

/* ------------------------------------------------------------ progress */

static void progress(struct nic *nic, struct nic_qp *qp)
{
	qp->sq.retries = qp->sq.retries_max;
	qp->sq.rnr_retries = qp->sq.rnr_retries_max;
	qp->sq.retrying = false;
	if (qp->ack_deadline != UINT64_MAX)
		nic_qp_set_ack_timer(nic, qp);
}

/* Is anything out that is not answered? */
static bool waits(const struct nic_qp *qp)
{
	const struct nic_request *r;

	for (r = qp->sq.head; r && r != qp->sq.tx; r = r->next)
		if (!r->done && !(r->flags & HW_OPF_LOCAL))
			return true;
	return qp->sq.tx && qp->sq.tx->sent;
}

/* Nothing is waited for: the timer rests. */
static void settle_timer(struct nic_qp *qp)
{
	if (!waits(qp))
		qp->ack_deadline = UINT64_MAX;
}

void nic_completer_doubt(struct nic *nic, struct nic_qp *qp)
{
	if (qp->acked && qp->state == HW_QP_RTS && waits(qp) &&
	    qp->ack_deadline == UINT64_MAX)
		nic_qp_set_ack_timer(nic, qp);
}

/*
 * Everything up to psn is acknowledged. False: that includes a read or atomic
 * whose response is missing ("implied NAK").
 */
static bool ack_until(struct nic *nic, struct nic_qp *qp, uint32_t psn)
{
	struct nic_request *r;
	bool moved = false, missing = false;
	int32_t count;

	for (r = qp->sq.head; r && r->admitted; r = r->next) {
		if (r->done || !r->packets)
			continue;
		count = hw_psn_diff(psn, r->first_psn) + 1;
		if (count <= 0)
			break;
		if (r->flags & HW_OPF_RESPONSE) {
			missing = true;
			break;
		}
		if ((uint32_t)count > r->packets)
			count = (int32_t)r->packets;
		moved |= (uint32_t)count > r->done_packets;
		if ((uint32_t)count > r->done_packets)
			r->done_packets = (uint32_t)count;
		/* What was to be sent again has arrived after all. */
		if (r->sent < r->done_packets)
			r->sent = r->done_packets;
		r->done = r->done_packets == r->packets;
		if (!r->done)
			break;
	}
	if (moved)
		progress(nic, qp);
	return !missing;
}

/* The request that psn belongs to; NULL if it is acknowledged: old news. */
static struct nic_request *request_at(struct nic_qp *qp, uint32_t psn)
{
	struct nic_request *r;
	int32_t offset;

	for (r = qp->sq.head; r && r->admitted; r = r->next) {
		offset = hw_psn_diff(psn, r->first_psn);
		if (!r->done && offset >= (int32_t)r->done_packets &&
		    offset < (int32_t)r->packets)
			return r;
	}
	return NULL;
}

/*
 * Send again from the oldest request that is not done, or give up. One gap
 * shows in many packets, and is one reason to retry: after the first, only
 * the timer asks again until there is progress.
 */
static void retry(struct nic *nic, struct nic_qp *qp, bool timeout)
{
	struct nic_request *r = qp->sq.head;

	if (qp->sq.retrying && !timeout)
		return;
	while (r && (r->done || (r->flags & HW_OPF_LOCAL)))
		r = r->next;
	if (!r)
		return;
	NIC_TRACE(nic, req_retry, qp->number, r->wqe_index, r->first_psn,
		  qp->sq.retries);
	if (qp->peer_dead || !qp->sq.retries) {
		if (qp->peer_dead)
			nic_log(nic, NIC_LOG_ERROR, "QP 0x%x: its peer is gone",
				qp->number);
		else
			nic_log(nic, NIC_LOG_ERROR,
				"QP 0x%x: QP 0x%x did not answer %u retries",
				qp->number, qp->remote_qpn, qp->sq.retries_max);
		nic_completer_fail(nic, qp, r, HW_SYND_RETRY_EXC);
		return;
	}
	qp->sq.retries--;
	qp->sq.retrying = true;
	nic_requester_retransmit(nic, qp);
}

void nic_completer_timeout(struct nic *nic, struct nic_qp *qp)
{
	if (qp->state != HW_QP_RTS)
		return;
	nic->counters.local_ack_timeout_err++;
	retry(nic, qp, true);
}

/* -------------------------------------------------------------- NAKs */

/* IBTA vol. 1, table 45, in units of 10 us. */
static uint64_t rnr_timer_ns(uint8_t code)
{
	static const uint16_t units[] = {
		0,    1,    2,	  3,	 4,	6,     8,     12,
		16,   24,   32,	  48,	 64,	96,    128,   192,
		256,  384,  512,  768,	 1024,	1536,  2048,  3072,
		4096, 6144, 8192, 12288, 16384, 24576, 32768, 49152};

	code &= HW_AETH_VALUE_MASK;
	return code ? units[code] * 10000ull : 655360000ull;
}

static void rnr(struct nic *nic, struct nic_qp *qp, uint32_t psn, uint8_t code)
{
	struct nic_sq *sq = &qp->sq;
	struct nic_request *r = request_at(qp, psn);

	nic->counters.rnr_nak_retry_err++;
	if (!r || sq->rnr_wait)
		return;
	if (!sq->rnr_retries) {
		nic_log(nic, NIC_LOG_ERROR,
			"QP 0x%x: QP 0x%x has no receive WQE after %u retries",
			qp->number, qp->remote_qpn, sq->rnr_retries_max);
		nic_completer_fail(nic, qp, r, HW_SYND_RNR_RETRY_EXC);
		return;
	}
	if (sq->rnr_retries_max != 7) /* 7: for ever */
		sq->rnr_retries--;
	nic_requester_retransmit(nic, qp);
	sq->rnr_wait = true;
	qp->ack_deadline = UINT64_MAX;
	nic_qp_set_rnr_timer(nic, qp, rnr_timer_ns(code));
}

static uint8_t nak_syndrome(uint8_t nak)
{
	switch (nak) {
	case HW_NAK_INVALID_REQ:
		return HW_SYND_REMOTE_INVAL_REQ;
	case HW_NAK_REMOTE_ACCESS:
		return HW_SYND_REMOTE_ACCESS;
	case HW_NAK_REMOTE_OP:
		return HW_SYND_REMOTE_OP;
	case HW_NAK_SOURCE_FAULT:
		return HW_SYND_LOCAL_PROT;
	default:
		return HW_SYND_BAD_RESP;
	}
}

static void nak(struct nic *nic, struct nic_qp *qp, uint32_t psn, uint8_t code)
{
	struct nic_request *r;

	if (code == HW_NAK_PSN_SEQ)
		nic->counters.packet_seq_err++;
	r = request_at(qp, psn);
	if (!r)
		return;
	if (code == HW_NAK_PSN_SEQ)
		retry(nic, qp, false);
	else
		nic_completer_fail(nic, qp, r, nak_syndrome(code));
}

static void ack_packet(struct nic *nic, struct nic_qp *qp, uint32_t psn,
		       uint8_t syndrome)
{
	uint8_t type = syndrome & HW_AETH_TYPE_MASK;
	bool ack = type == HW_AETH_ACK;

	/* A NAK acknowledges what is before it. */
	if (!ack_until(nic, qp, ack ? psn : hw_psn_add(psn, HW_PSN_MASK))) {
		retry(nic, qp, false);
		return;
	}
	if (type == HW_AETH_RNR)
		rnr(nic, qp, psn, syndrome & HW_AETH_VALUE_MASK);
	else if (type == HW_AETH_NAK)
		nak(nic, qp, psn, syndrome & HW_AETH_VALUE_MASK);
}

/* ------------------------------------------------------ returned data */

/* The packet's payload into the request's local list. */
static uint8_t place(struct nic *nic, struct nic_qp *qp,
		     const struct nic_request *r, uint32_t offset,
		     const struct nic_packet *packet)
{
	int ret = nic_scatter(nic, qp, nic_request_sges(r), offset, packet);

	if (!ret)
		return HW_SYND_NONE;
	nic->counters.dma_faults++;
	return ret == -EFAULT ? HW_SYND_LOCAL_PROT : HW_SYND_REMOTE_OP;
}

static void response_done(struct nic *nic, struct nic_qp *qp,
			  struct nic_request *r, uint8_t syndrome)
{
	if (syndrome) {
		nic_completer_fail(nic, qp, r, syndrome);
		return;
	}
	progress(nic, qp);
	if (++r->done_packets < r->packets)
		return;
	r->done = true;
	qp->sq.responses--;
}

static void read_response(struct nic *nic, struct nic_qp *qp,
			  struct nic_request *r,
			  const struct nic_packet *packet)
{
	struct hw_pkt_op op = hw_pkt_op(packet->header[0]);
	uint32_t offset = r->done_packets * qp->mtu;
	bool last = r->done_packets == r->packets - 1;
	uint32_t expected = last ? r->total_len - offset : qp->mtu;
	uint8_t syndrome = HW_SYND_BAD_RESP;

	if (!!(op.flags & HW_PKTF_LAST) == last &&
	    packet->payload_len == expected && !(r->flags & HW_OPF_ATOMIC))
		syndrome = place(nic, qp, r, offset, packet);
	response_done(nic, qp, r, syndrome);
}

static void atomic_response(struct nic *nic, struct nic_qp *qp,
			    struct nic_request *r,
			    const struct nic_packet *packet)
{
	const struct nic_sge *sge = nic_request_sges(r);
	struct hw_atomic_ack_eth eth;
	struct mkey_use use = {.pd = qp->pd,
			       .qpn = qp->number,
			       .access = MKEY_LOCAL_WRITE,
			       .va = sge->va,
			       .len = r->operand_bytes,
			       .key = sge->lkey};
	uint8_t syndrome = HW_SYND_LOCAL_PROT;
	uint64_t value;

	if (!(r->flags & HW_OPF_ATOMIC)) {
		response_done(nic, qp, r, HW_SYND_BAD_RESP);
		return;
	}
	memcpy(&eth, packet->header + HW_BTH_BYTES + HW_AETH_BYTES,
	       sizeof(eth));
	value = hw_get_be64(eth.orig);
	/* 8 bytes come back in host order, 4 bytes big-endian: what mlx5 does
	 * with atomic_req_8B_endianness_mode 1, and what its users expect. */
	if (r->operand_bytes == 4)
		value = hw_swap32((uint32_t)value);
	if (!nic_write_range(nic, use, &value))
		syndrome = HW_SYND_NONE;
	response_done(nic, qp, r, syndrome);
}

/* The oldest request that waits for returned data. */
static struct nic_request *waiting_response(struct nic_qp *qp)
{
	struct nic_request *r;

	for (r = qp->sq.head; r && r->admitted; r = r->next)
		if (!r->done && (r->flags & HW_OPF_RESPONSE))
			return r;
	return NULL;
}

static void data_packet(struct nic *nic, struct nic_qp *qp, uint32_t psn,
			const struct nic_packet *packet)
{
	struct nic_request *r = waiting_response(qp);
	int32_t ahead;

	if (!r)
		return; /* a duplicate of one that is complete */
	ahead = hw_psn_diff(psn, hw_psn_add(r->first_psn, r->done_packets));
	if (ahead < 0)
		return;
	if (ahead > 0) {
		retry(nic, qp, false); /* one was lost in between */
		return;
	}
	/* A response acknowledges every request before it. */
	ack_until(nic, qp, hw_psn_add(psn, HW_PSN_MASK));
	if (hw_pkt_op(packet->header[0]).flags & HW_PKTF_ATOMIC)
		atomic_response(nic, qp, r, packet);
	else
		read_response(nic, qp, r, packet);
}

/* What waits to be sent again may be done by now. */
static void skip_done(struct nic_sq *sq)
{
	while (sq->tx && (sq->tx->done ||
			  (sq->tx->admitted && (sq->tx->flags & HW_OPF_LOCAL))))
		sq->tx = sq->tx->next;
}

/* Is psn one that the requester has sent and not seen completed? */
static bool outstanding(const struct nic_qp *qp, uint32_t psn)
{
	const struct nic_request *r = qp->sq.head;

	while (r && !r->packets)
		r = r->next;
	return r && hw_psn_diff(psn, qp->sq.sent_psn) < 0 &&
	       hw_psn_diff(psn, r->first_psn) >= 0;
}

void nic_completer_input(struct nic *nic, struct nic_qp *qp,
			 const struct nic_packet *packet,
			 const struct nic_head *head)
{
	struct hw_bth_info bth = head->bth;
	struct hw_pkt_op op = head->op;
	struct hw_aeth aeth = {{0}};
	uint8_t syndrome;

	if (qp->state != HW_QP_RTS || !outstanding(qp, bth.psn))
		return;
	if (op.flags & HW_PKTF_AETH)
		memcpy(&aeth, packet->header + HW_BTH_BYTES, sizeof(aeth));
	syndrome = (uint8_t)(from_be32(aeth.syndrome_msn) >> 24);
	NIC_TRACE(nic, comp_recv, qp->number, qp->sq.done, bth.opcode, bth.psn,
		  syndrome);
	if (bth.opcode == HW_PKT_UNREACHABLE) {
		if (qp->ack_deadline == UINT64_MAX)
			nic_qp_set_ack_timer(nic, qp);
		return;
	}
	if (hw_pkt_rc_opcode(bth.opcode) == HW_PKT_ACK)
		ack_packet(nic, qp, bth.psn, syndrome);
	else
		data_packet(nic, qp, bth.psn, packet);
	skip_done(&qp->sq);
	nic_completer_run(nic, qp);
	settle_timer(qp);
}
