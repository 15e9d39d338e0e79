/* SPDX-License-Identifier: MIT */
/*
 * Queue pair: state changes, flushing, and the end of its life.
 *
 * Source: IBTA vol. 1, 10.3.1 (states), 10.3.1.6 (flushing in ERR).
 * Not modelled: SQD, path migration.
 * Thread: under the NIC's lock.
 */
#include "emu/qp.h"

#include <assert.h>
#include <stdlib.h>

#include "emu/core.h"
#include "emu/dma.h"

struct nic_qp *nic_qp_get(struct nic *nic, uint32_t number)
{
	return nic_table_get(&nic->qps, number);
}

const char *nic_qp_state_name(uint8_t state)
{
	static const char *const names[] = {"RST",  "INIT", "RTR", "RTS",
					    "SQER", "SQD",  "ERR"};

	return state < sizeof(names) / sizeof(names[0]) ? names[state] : "?";
}

struct nic_rq *nic_qp_rq(struct nic_qp *qp)
{
	struct nic_rmp *srq = nic_qp_srq(qp);

	if (srq)
		return &srq->rq;
	return qp->rq.present ? &qp->rq : NULL;
}

void nic_qp_ready(struct nic *nic, struct nic_qp *qp)
{
	if (qp->ready)
		return;
	qp->ready = true;
	qp->ready_next = NULL;
	*nic->ready_tail = qp;
	nic->ready_tail = &qp->ready_next;
}

static void unready(struct nic *nic, struct nic_qp *qp)
{
	struct nic_qp **link;

	if (!qp->ready)
		return;
	for (link = &nic->ready_head; *link != qp; link = &(*link)->ready_next)
		;
	*link = qp->ready_next;
	if (!*link)
		nic->ready_tail = link;
	qp->ready = false;
}

static bool is_own_address(const struct wire *wire,
			   const struct wire_path *path)
{
	if (path->global)
		return !memcmp(path->gid, wire->address.gid, sizeof(path->gid));
	return path->lid == wire->address.lid;
}

bool nic_qp_resolve(struct nic *nic, struct nic_qp *qp)
{
	const uint8_t *ads = qp->qpc + HW_QPC_PATH;
	struct wire_path path = {
		.global = hw_get(ads, HW_ADS_GRH) ||
			  nic->config.link == NIC_LINK_ROCE,
		.lid = (uint16_t)hw_get(ads, HW_ADS_RLID),
		.udp_sport = (uint16_t)hw_get(ads, HW_ADS_UDP_SPORT),
	};

	memcpy(path.gid, ads + HW_ADS_RGID, sizeof(path.gid));
	qp->peer_known = nic->wire &&
			 !nic->wire->ops->resolve(nic->wire, &path, &qp->peer);
	qp->to_itself = qp->peer_known && qp->remote_qpn == qp->number &&
			is_own_address(nic->wire, &path);
	return qp->peer_known;
}

/* Back to the counters that a new QP has. */
static void reset_queues(struct nic *nic, struct nic_qp *qp)
{
	struct nic_sq *sq = &qp->sq;
	uint32_t start = nic->config.start_counter;

	while (sq->head) {
		struct nic_request *request = sq->head;

		if (request->opcode == HW_OP_WAIT)
			nic_wait_drop(nic, request);
		sq->head = request->next;
		nic_request_put(&nic->pool, request);
	}
	sq->tail = sq->tx = NULL;
	sq->pi = sq->fetched = sq->done = start;
	sq->record = (uint16_t)start;
	sq->in_flight = sq->responses = 0;
	sq->blocks = 0;
	if (sq->window)
		sq->window->count = 0;
	sq->stopped = sq->rnr_wait = sq->retrying = false;
	qp->rq.pi = qp->rq.ci = start;
	qp->rq.next_slot = 0;
	qp->flushing = false;
	nic_qp_stop_timers(qp);
	nic_scan_reset_qp(nic, qp);
	nic_responder_reset(nic, qp);
	unready(nic, qp);
}

void nic_qp_abandon_answers(struct nic *nic, const struct nic_qp *qp)
{
	const struct nic_responder *resp = &qp->resp;
	/* A NAK is about the packet that is expected. */
	uint32_t psn = hw_psn_add(resp->epsn, resp->nak ? 0 : HW_PSN_MASK);

	if (resp->nak_psn != NIC_NO_PSN)
		psn = resp->nak_psn;
	if ((resp->ack_due || resp->rd_next != resp->rd_pi) && qp->peer_known)
		nic_notify(nic, qp->peer, qp->remote_qpn, psn);
}

void nic_qp_set_state(struct nic *nic, struct nic_qp *qp,
		      enum hw_qp_state state)
{
	uint8_t from = qp->state;

	assert(state <= HW_QP_SQER || state == HW_QP_ERR);
	NIC_TRACE(nic, qp_state, qp->number, qp->sq.done, from, state);
	nic->active_qps -= nic_qp_takes_doorbells(from);
	nic->active_qps += nic_qp_takes_doorbells((uint8_t)state);
	qp->state = (uint8_t)state;
	if (state == HW_QP_RST || state == HW_QP_ERR)
		nic_qp_abandon_answers(nic, qp);
	/* A runner that had no doorbell to look at may sleep for ever. */
	if (nic_qp_takes_doorbells((uint8_t)state) &&
	    !nic_qp_takes_doorbells(from))
		nic_wake(nic);
	if (state == HW_QP_SQER)
		nic_qp_ready(nic, qp); /* to be flushed */
	if (state == HW_QP_RST)
		reset_queues(nic, qp);
	if (state == HW_QP_ERR && from != HW_QP_ERR) {
		nic_qp_stop_timers(qp);
		/* A QP in ERR answers nobody (IBTA 10.3.1.6). */
		qp->resp.rd_next = qp->resp.rd_pi;
		qp->resp.ack_due = false;
		qp->flushing = true;
		nic_qp_ready(nic, qp);
	}
}

void nic_qp_fail(struct nic *nic, struct nic_qp *qp, enum nic_event_type event)
{
	if (qp->state == HW_QP_ERR)
		return;
	nic_log(nic, NIC_LOG_WARN,
		"QP 0x%x: goes from %s to ERR, what is queued is flushed",
		qp->number, nic_qp_state_name(qp->state));
	nic_qp_set_state(nic, qp, HW_QP_ERR);
	nic_event(nic, event, qp->number, 0);
}

/* ------------------------------------------------------------- flushing */

static void post_flush(struct nic *nic, struct nic_cq *cq, struct nic_qp *qp,
		       struct hw_cqe_info *info)
{
	info->qpn = qp->number;
	info->syndrome = HW_SYND_WR_FLUSH;
	info->vendor_syndrome = 0xf9; /* as ConnectX reports it (observed) */
	nic_cqe_post(nic, cq, info);
}

static void flush_request(struct nic *nic, struct nic_qp *qp)
{
	struct nic_request *request = qp->sq.head;
	struct hw_cqe_info info = {
		.opcode = HW_CQE_REQ_ERR,
		.user_index = qp->user_index,
		.wqe_opcode = request->opcode,
		.wqe_counter = request->wqe_index,
	};

	if (request->opcode == HW_OP_WAIT)
		nic_wait_drop(nic, request);
	qp->sq.done += request->bbs;
	qp->sq.head = request->next;
	if (!qp->sq.head)
		qp->sq.tail = NULL;
	qp->sq.in_flight--;
	qp->sq.blocks -= request->block != NULL;
	nic_request_put(&nic->pool, request);
	post_flush(nic, qp->cq_send, qp, &info);
}

/* A WQE that was never fetched: only its header matters now. */
static void flush_wqe(struct nic *nic, struct nic_qp *qp)
{
	struct hw_wqe_ctrl_info ctrl;
	struct hw_cqe_info info = {.opcode = HW_CQE_REQ_ERR,
				   .user_index = qp->user_index};

	ctrl = nic_sq_peek(qp);
	info.wqe_opcode = ctrl.opcode;
	info.wqe_counter = (uint16_t)qp->sq.fetched;
	qp->sq.fetched += nic_sq_blocks(&qp->sq, &ctrl);
	qp->sq.done = qp->sq.fetched;
	post_flush(nic, qp->cq_send, qp, &info);
}

static bool flush_receive(struct nic *nic, struct nic_qp *qp)
{
	struct hw_cqe_info info = {.opcode = HW_CQE_RESP_ERR,
				   .user_index = nic_qp_recv_index(qp)};
	struct nic_recv *recv = &qp->resp.recv;

	if (recv->taken) {
		/* The message that was arriving keeps its WQE. */
		info.wqe_counter = recv->wqe_counter;
		nic_block_put(&nic->pool, recv->block);
		recv->taken = false;
	} else if (nic_qp_srq(qp) ||
		   nic_rq_skip(nic, &qp->rq, &info.wqe_counter)) {
		return false; /* a shared queue is not flushed */
	}
	post_flush(nic, nic_qp_recv_cq(qp), qp, &info);
	return true;
}

bool nic_qp_flush(struct nic *nic, struct nic_qp *qp, unsigned budget)
{
	unsigned count = 0;

	qp->sq.tx = NULL;
	for (; count < budget; count++) {
		if (qp->sq.head)
			flush_request(nic, qp);
		else if (qp->sq.fetched != qp->sq.pi)
			flush_wqe(nic, qp);
		else if (qp->state == HW_QP_SQER || !flush_receive(nic, qp))
			break;
	}
	if (count)
		NIC_TRACE(nic, qp_flush, qp->number, qp->sq.done, count);
	if (count == budget)
		return false;
	if (qp->flushing &&
	    (qp->rmp || (qp->service == HW_PKT_XRC && !qp->sq.size)))
		nic_event(nic, NIC_EVENT_LAST_WQE, qp->number, 0);
	qp->flushing = false;
	return true;
}

void nic_qp_destroy(struct nic *nic, struct nic_qp *qp)
{
	nic_qp_set_state(nic, qp, HW_QP_RST);
	nic_scan_forget_qp(nic, qp);
	qp->cq_send->users--;
	qp->cq_recv->users--;
	if (qp->rmp)
		qp->rmp->users--;
	if (qp->uar) {
		qp->uar->users--;
		qp->uar->qps--;
		qp->uar->no_dbr_users -= qp->no_dbr;
	}
	if (qp->wq_umem)
		qp->wq_umem->users--;
	if (qp->dbr_umem)
		qp->dbr_umem->users--;
	nic_table_remove(&nic->qps, qp->number);
	nic_show_qps(nic);
	free(qp->resp.rd);
	free(qp->sq.window);
	free(qp);
}
