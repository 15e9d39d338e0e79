/* SPDX-License-Identifier: MIT */
/*
 * The NIC: its life, its lock, and one step of its work.
 *
 * Thread: public calls take the lock; a step loop gives way to control calls
 * that wait for it (a plain mutex would starve them).
 */
#include "emu/nic.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "emu/core.h"
#include "emu/dma.h"
#include "emu/order.h"

enum {
	INPUT_BUDGET = 64, /* packets in one round */
	QP_BUDGET = 32,	   /* packets or CQEs for one QP's turn */
	READY_BUDGET = 64, /* QPs in one round */
	ROUNDS = 4,	   /* rounds in one step */
};

/* ----------------------------------------------------------------- lock */

void nic_lock(struct nic *nic)
{
	if (!pthread_mutex_trylock(&nic->lock))
		return;
	__atomic_add_fetch(&nic->control_waiting, 1, __ATOMIC_RELAXED);
	pthread_mutex_lock(&nic->lock);
	__atomic_sub_fetch(&nic->control_waiting, 1, __ATOMIC_RELAXED);
}

void nic_unlock(struct nic *nic)
{
	pthread_mutex_unlock(&nic->lock);
}

static void step_lock(struct nic *nic)
{
	/* Relaxed: only fairness depends on it, not data. */
	while (__atomic_load_n(&nic->control_waiting, __ATOMIC_RELAXED))
		sched_yield();
	pthread_mutex_lock(&nic->lock);
}

/* ----------------------------------------------------------------- life */

static bool config_ok(const struct nic_config *config)
{
	return nic_persona_info(config->persona) &&
	       (unsigned)config->link <= NIC_LINK_ROCE &&
	       (unsigned)config->progress <= NIC_STRICT;
}

static void init_tables(struct nic *nic)
{
	const struct nic_persona_info *persona = nic->persona;

	/* Different bases, so that a log line tells a CQ from a QP. */
	nic_table_init(&nic->pds, 1, 1 << 16);
	nic_table_init(&nic->uars, 1, 1 << 16);
	nic_table_init(&nic->umems, 1, 1 << 20);
	nic_table_init(&nic->mkeys, 0x18, 1u << persona->log_max_mkey);
	nic_table_init(&nic->cqs, 0x20, 1u << persona->log_max_cq);
	nic_table_init(&nic->qps, 0x50, 1u << persona->log_max_qp);
	nic_table_init(&nic->rmps, 0x10, 1u << persona->log_max_rmp);
	nic_table_init(&nic->xrcds, 1, 1u << NIC_LOG_MAX_XRCD);
}

struct nic *nic_create(const struct nic_config *config)
{
	static const struct nic_config defaults;
	struct nic *nic;
	int ret;

	if (!config)
		config = &defaults;
	if (!config_ok(config)) {
		errno = EINVAL;
		return NULL;
	}
	ret = dma_init();
	if (ret) {
		errno = -ret;
		return NULL;
	}
	nic = calloc(1, sizeof(*nic));
	if (!nic)
		return NULL;
	nic->null_memory = calloc(2, NIC_NULL_BYTES);
	if (!nic->null_memory || nic_pool_init(&nic->pool)) {
		free(nic->null_memory);
		free(nic);
		errno = ENOMEM;
		return NULL;
	}
	pthread_mutex_init(&nic->lock, NULL);
	nic->config = *config;
	nic->persona = nic_persona_info(config->persona);
	nic->ready_tail = &nic->ready_head;
	nic->next_timer = UINT64_MAX;
	init_tables(nic);
	return nic;
}

static void destroy_queues(struct nic *nic)
{
	void *object;
	uint32_t i;

	for (i = 0; (object = nic_table_walk(&nic->qps, &i));)
		nic_qp_destroy(nic, object);
	for (i = 0; (object = nic_table_walk(&nic->rmps, &i));)
		nic_rmp_destroy(nic, object);
	for (i = 0; (object = nic_table_walk(&nic->cqs, &i));)
		nic_cq_destroy(nic, object);
	nic_table_free(&nic->qps);
	nic_table_free(&nic->rmps);
	nic_table_free(&nic->cqs);
	nic_table_free(&nic->pds);
	nic_table_free(&nic->xrcds);
}

void nic_destroy(struct nic *nic)
{
	if (!nic)
		return;
	if (nic->wire)
		nic->wire->ops->detach(nic->wire);
	nic->wire = NULL;
	destroy_queues(nic);
	nic_mem_free(nic);
	nic_pool_free(&nic->pool);
	free(nic->null_memory);
	pthread_mutex_destroy(&nic->lock);
	free(nic);
}

void nic_detach_wire(struct nic *nic)
{
	struct nic_qp *qp;
	uint32_t i;

	nic_lock(nic);
	if (nic->wire)
		nic->wire->ops->detach(nic->wire);
	nic->wire = NULL;
	nic->notice_ci = nic->notice_pi;
	/* Handles of peers end with their wire. */
	for (i = 0; (qp = nic_table_walk(&nic->qps, &i));)
		qp->peer_known = false;
	nic_unlock(nic);
}

/* What was written to GPUs is there, before anybody hears of it. */
static void settle(struct nic *nic)
{
	if (!dma_settle() || nic->told_lost)
		return;
	nic->told_lost = true;
	nic_log(nic, NIC_LOG_ERROR,
		"writes to GPU memory are lost: it was freed, or the GPU or "
		"its CUDA context has failed (told once)");
}

int nic_cmd(struct nic *nic, const void *in, size_t in_len, void *out,
	    size_t out_len)
{
	if (!in || !out || out_len < HW_CMD_HDR_BYTES)
		return -EINVAL;
	nic_lock(nic);
	nic_cmd_locked(nic, in, in_len, out, out_len);
	settle(nic);
	/* A runner that need not look at doorbells sleeps without a limit. */
	if (nic->ready_head || (nic->unwatched && nic_scan_needed(nic)))
		nic_wake(nic);
	nic_unlock(nic);
	return 0;
}

/* ----------------------------------------------------------------- step */

/*
 * Send the notices that are due; see nic_drop(). They stand for the peer's own
 * timer and are no packets of the link: they go out when it is down, too.
 */
static bool send_notices(struct nic *nic)
{
	struct hw_bth_info bth = {.opcode = HW_PKT_UNREACHABLE,
				  .pkey = HW_PKEY_DEFAULT};
	struct nic_packet *packet;
	struct nic_notice *notice;
	struct hw_bth raw;
	int ret;

	while (nic->notice_ci != nic->notice_pi) {
		notice = &nic->notices[nic->notice_ci % NIC_NOTICES];
		ret = nic->wire->ops->reserve(nic->wire, notice->peer, &packet);
		if (ret == -EAGAIN)
			return true;
		nic->notice_ci++;
		if (ret)
			continue;
		bth.qpn = notice->qpn;
		bth.psn = notice->psn;
		raw = hw_bth_encode(&bth);
		memcpy(packet->header, &raw, sizeof(raw));
		packet->header_len = sizeof(raw);
		packet->payload_len = packet->iov_count = 0;
		packet->src_qpn = 0;
		nic->wire->ops->commit(nic->wire, notice->peer, packet);
	}
	return false;
}

/* One turn of a QP's engines; true if it has more to do. */
static bool run_qp(struct nic *nic, struct nic_qp *qp)
{
	unsigned budget = QP_BUDGET;
	bool more;

	more = nic_responder_output(nic, qp, &budget);
	if (qp->state == HW_QP_ERR || qp->state == HW_QP_SQER)
		return !nic_qp_flush(nic, qp, QP_BUDGET) || more;
	if (qp->state == HW_QP_RTS)
		more |= nic_requester_output(nic, qp, &budget);
	return more;
}

static bool run_ready(struct nic *nic)
{
	unsigned turns = READY_BUDGET;
	struct nic_qp *qp;
	bool ran = nic->ready_head != NULL;

	while (nic->ready_head && turns--) {
		qp = nic->ready_head;
		nic->ready_head = qp->ready_next;
		if (!nic->ready_head)
			nic->ready_tail = &nic->ready_head;
		qp->ready = false;
		if (run_qp(nic, qp))
			nic_qp_ready(nic, qp);
	}
	return ran;
}

/* Packets in, then what they caused: responses, and requests behind them. */
static bool exchange(struct nic *nic)
{
	bool busy = false;

	if (nic->wire)
		busy = nic->wire->ops->poll(nic->wire, nic, INPUT_BUDGET,
					    nic->now_ns) != 0;
	/* All that came, in one wait: an acknowledgement says it is there. */
	settle(nic);
	return busy | run_ready(nic);
}

static enum nic_step_result step_locked(struct nic *nic, uint64_t now_ns)
{
	enum nic_step_result scan;
	unsigned i;
	bool busy;

	if (now_ns > nic->now_ns)
		nic->now_ns = now_ns;
	busy = nic_timers_run(nic);
	scan = nic_scan_doorbells(nic);
	/* A request to oneself is through in three rounds. */
	for (i = 0; i < ROUNDS && exchange(nic); i++)
		busy = true;
	if (nic->notice_ci != nic->notice_pi)
		busy |= send_notices(nic);
	settle(nic);
	return busy ? NIC_STEP_BUSY : scan;
}

enum nic_step_result nic_step(struct nic *nic, uint64_t now_ns)
{
	enum nic_step_result result;

	step_lock(nic);
	result = step_locked(nic, now_ns);
	nic_unlock(nic);
	return result;
}

enum nic_step_result nic_try_step(struct nic *nic, uint64_t now_ns)
{
	enum nic_step_result result;

	if (__atomic_load_n(&nic->control_waiting, __ATOMIC_RELAXED) ||
	    pthread_mutex_trylock(&nic->lock))
		return NIC_STEP_IDLE;
	result = step_locked(nic, now_ns);
	nic_unlock(nic);
	return result;
}

/* Relaxed: it says who will look next, and publishes nothing. */
void nic_lend(struct nic *nic, uint64_t now_ns)
{
	__atomic_store_n(&nic->lent_ns, now_ns, __ATOMIC_RELAXED);
}

bool nic_is_lent(struct nic *nic, uint64_t now_ns)
{
	uint64_t lent_ns = __atomic_load_n(&nic->lent_ns, __ATOMIC_RELAXED);

	/* The clock of another thread may be ahead. */
	return lent_ns && lent_ns + NIC_LENT_NS > now_ns;
}

uint64_t nic_deadline(struct nic *nic)
{
	uint64_t deadline;

	nic_lock(nic);
	deadline = nic_timers_next(nic);
	nic_unlock(nic);
	return deadline;
}

bool nic_watches_doorbells(struct nic *nic)
{
	bool watches;

	nic_lock(nic);
	watches = nic_scan_needed(nic);
	nic->unwatched = !watches;
	nic_unlock(nic);
	return watches;
}

void nic_set_asleep(struct nic *nic, bool asleep)
{
	/* Sequentially consistent, as the load in nic_wake(): either the
	 * waker sees the flag, or the sleeper's last look sees the work. */
	(void)__atomic_exchange_n(&nic->asleep, asleep, __ATOMIC_SEQ_CST);
	nic_lock(nic);
	if (nic->wire && nic->wire->ops->set_asleep)
		nic->wire->ops->set_asleep(nic->wire, asleep);
	nic_unlock(nic);
}

void nic_wake(struct nic *nic)
{
	if (nic_order_sent_before_asleep(&nic->asleep) && nic->config.wake)
		nic->config.wake(nic->config.arg);
}

unsigned nic_fds(struct nic *nic, int *fds, unsigned max)
{
	unsigned count = 0;

	nic_lock(nic);
	if (nic->wire && nic->wire->ops->fds)
		count = nic->wire->ops->fds(nic->wire, fds, max);
	nic_unlock(nic);
	return count;
}

/* --------------------------------------------------------------- packets */

void nic_notify(struct nic *nic, uint32_t peer, uint32_t qpn, uint32_t psn)
{
	struct nic_notice *notice;

	if (!nic->wire || !nic->wire->ops->lossless ||
	    nic->notice_pi - nic->notice_ci == NIC_NOTICES)
		return;
	notice = &nic->notices[nic->notice_pi++ % NIC_NOTICES];
	notice->peer = peer;
	notice->qpn = qpn;
	notice->psn = psn;
}

void nic_drop(struct nic *nic, const struct nic_packet *packet, const char *why)
{
	struct hw_bth_info bth = nic_packet_bth(packet);

	nic->counters.packets_dropped++;
	NIC_TRACE(nic, packet_drop, bth.qpn, 0, bth.opcode, bth.psn);
	nic_log(nic, NIC_LOG_INFO,
		"packet 0x%02x psn %u for QP 0x%x dropped: %s", bth.opcode,
		bth.psn, bth.qpn, why);
	if (packet->src_qpn && hw_pkt_is_reliable(bth.opcode))
		nic_notify(nic, packet->peer, packet->src_qpn, bth.psn);
}

/* Why a packet is not even looked at; NULL if it is well-formed. */
static const char *malformed(const struct nic_packet *packet,
			     struct nic_head *head)
{
	struct hw_pkt_op *op = &head->op;

	if (packet->header_len < HW_BTH_BYTES ||
	    packet->header_len > sizeof(packet->header))
		return "no room for a BTH";
	head->bth = nic_packet_bth(packet);
	*op = hw_pkt_op(head->bth.opcode);
	if (!op->name)
		return "unknown opcode";
	if (head->bth.version)
		return "transport version is not 0";
	if (packet->header_len != op->hdr_bytes)
		return "header length does not fit the opcode";
	if (packet->payload_len && !(op->flags & HW_PKTF_PAYLOAD))
		return "payload behind an opcode that has none";
	if (!packet->iov_count && packet->payload_len > packet->body_bytes)
		return "payload longer than the packet's body";
	return NULL;
}

void nic_input(struct nic *nic, const struct nic_packet *packet)
{
	struct nic_head head;
	const char *why = malformed(packet, &head);
	struct nic_qp *qp;

	if (!why && nic->link_down) {
		nic_drop(nic, packet, "the port is down");
		return;
	}
	nic->counters.packets_in++;
	if (why) {
		nic->counters.packets_dropped++;
		nic_log(nic, NIC_LOG_INFO, "packet dropped: %s", why);
		return;
	}
	qp = nic->wire ? nic_qp_get(nic, head.bth.qpn) : NULL;
	if (!qp) {
		nic_drop(nic, packet,
			 nic->wire ? "no such queue pair"
				   : "the NIC is attached to no wire");
		return;
	}
	if (!hw_pkt_is_of(head.bth.opcode, qp->service))
		nic_drop(nic, packet, "the queue pair has another service");
	else if (head.op.flags & HW_PKTF_DETH)
		nic_datagram_input(nic, qp, packet, &head);
	else if (head.op.flags & HW_PKTF_RESPONSE)
		nic_completer_input(nic, qp, packet, &head);
	else
		nic_responder_input(nic, qp, packet, &head);
}

int nic_packet_in(struct nic *nic, const struct nic_packet *packet)
{
	if (!packet)
		return -EINVAL;
	nic_lock(nic);
	nic_input(nic, packet);
	settle(nic);
	nic_unlock(nic);
	return 0;
}

void nic_peer_down(struct nic *nic, uint32_t peer)
{
	struct nic_qp *qp;
	uint32_t i;

	NIC_TRACE(nic, peer_down, 0, 0, peer);
	nic_path_forget(nic, peer);
	for (i = 0; (qp = nic_table_walk(&nic->qps, &i));) {
		if (!qp->peer_known || qp->peer != peer)
			continue;
		qp->peer_known = qp->acked; /* else ask again, every time */
		qp->peer_dead = qp->acked;
		nic_qp_ready(nic, qp);
	}
}
