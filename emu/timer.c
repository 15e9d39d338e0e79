/* SPDX-License-Identifier: MIT */
/*
 * Timers of queue pairs: waiting for an acknowledgement, and waiting after an
 * RNR NAK.
 *
 * QPs with a running timer are on one list; nic->next_timer is a lower bound
 * of their deadlines, so a step without an expired timer costs one compare,
 * and moving a deadline forward (every acknowledgement does) costs nothing.
 *
 * Source: IBTA vol. 1, 9.7.6.1.3 (local ACK timeout), 9.7.5.2.8 (RNR).
 * Thread: under the NIC's lock.
 */
#include "emu/core.h"

static void start(struct nic *nic, struct nic_qp *qp, uint64_t deadline)
{
	if (!qp->timer_prev) {
		qp->timer_next = nic->timers;
		qp->timer_prev = &nic->timers;
		if (qp->timer_next)
			qp->timer_next->timer_prev = &qp->timer_next;
		nic->timers = qp;
	}
	if (deadline < nic->next_timer) {
		nic->next_timer = deadline;
		/* Another thread steps, and the runner sleeps longer. */
		nic_wake(nic);
	}
}

void nic_qp_set_ack_timer(struct nic *nic, struct nic_qp *qp)
{
	if (!qp->ack_timeout_ns)
		return; /* code 0: wait for ever (IBTA 9.7.6.1.3) */
	qp->ack_deadline = nic->now_ns + qp->ack_timeout_ns;
	start(nic, qp, qp->ack_deadline);
}

/*
 * The peer's process has ended. Its last packets may have crossed ours, and a
 * program that has what it waited for may be about to end too: it must not
 * see an error that a NIC would report only after its retries.
 */
void nic_qp_set_gone_timer(struct nic *nic, struct nic_qp *qp)
{
	uint64_t ns = qp->ack_timeout_ns * (qp->sq.retries_max + 1u);

	if (!ns || ns > NIC_GONE_NS)
		ns = NIC_GONE_NS;
	qp->ack_deadline = nic->now_ns + ns;
	start(nic, qp, qp->ack_deadline);
}

void nic_qp_set_rnr_timer(struct nic *nic, struct nic_qp *qp, uint64_t ns)
{
	qp->rnr_deadline = nic->now_ns + ns;
	start(nic, qp, qp->rnr_deadline);
}

static void unlink_timer(struct nic_qp *qp)
{
	if (!qp->timer_prev)
		return;
	*qp->timer_prev = qp->timer_next;
	if (qp->timer_next)
		qp->timer_next->timer_prev = qp->timer_prev;
	qp->timer_prev = NULL;
}

void nic_qp_stop_timers(struct nic_qp *qp)
{
	qp->ack_deadline = qp->rnr_deadline = UINT64_MAX;
	unlink_timer(qp);
}

static uint64_t first_deadline(const struct nic_qp *qp)
{
	return qp->ack_deadline < qp->rnr_deadline ? qp->ack_deadline
						   : qp->rnr_deadline;
}

uint64_t nic_timers_next(struct nic *nic)
{
	const struct nic_qp *qp;

	nic->next_timer = UINT64_MAX;
	for (qp = nic->timers; qp; qp = qp->timer_next)
		if (first_deadline(qp) < nic->next_timer)
			nic->next_timer = first_deadline(qp);
	return nic->next_timer;
}

/* Returns true if a timer of the QP fired. */
static bool run_qp(struct nic *nic, struct nic_qp *qp)
{
	if (qp->rnr_deadline <= nic->now_ns) {
		qp->rnr_deadline = UINT64_MAX;
		qp->sq.rnr_wait = false;
		nic_qp_ready(nic, qp);
		return true;
	}
	if (qp->ack_deadline <= nic->now_ns) {
		qp->ack_deadline = UINT64_MAX;
		nic_completer_timeout(nic, qp);
		return true;
	}
	return false;
}

bool nic_timers_run(struct nic *nic)
{
	struct nic_qp *qp, *next;
	uint64_t first = UINT64_MAX;
	bool fired = false;

	if (nic->now_ns < nic->next_timer)
		return false;
	nic->next_timer = UINT64_MAX;
	for (qp = nic->timers; qp; qp = next) {
		next = qp->timer_next;
		fired |= run_qp(nic, qp);
		if (first_deadline(qp) == UINT64_MAX)
			unlink_timer(qp);
		else if (first_deadline(qp) < first)
			first = first_deadline(qp);
	}
	if (first < nic->next_timer)
		nic->next_timer = first;
	return fired;
}
