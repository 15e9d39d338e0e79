/* SPDX-License-Identifier: MIT */
/*
 * Responder, unreliable connection (UC): no answer, and what does not fit is
 * forgotten until the next message starts.
 *
 * A message that is abandoned gives its receive WQE to the next one.
 *
 * Source: IBTA vol. 1, 9.8.2.2 (responder of UC, table 59).
 * Thread: under the NIC's lock.
 */
#include "emu/arrival.h"

/* The message that was arriving will not be whole. */
static void abandon(struct nic_responder *resp)
{
	resp->message = 0;
	resp->recv.offset = 0;
}

enum nic_arrival_state nic_arrival_drop(struct nic_arrival *a, const char *why)
{
	abandon(&a->qp->resp);
	a->nic->counters.packets_dropped++;
	NIC_TRACE(a->nic, packet_drop, a->qp->number, 0, a->bth.opcode,
		  a->bth.psn);
	nic_log(a->nic, NIC_LOG_WARN,
		"QP 0x%x: %s packet psn %u dropped, its sender is not told: %s",
		a->qp->number, a->op.name, a->bth.psn, why);
	return DONE;
}

enum nic_arrival_state nic_arrival_check_unacked(struct nic_arrival *a)
{
	struct nic_responder *resp = &a->qp->resp;
	bool starts = a->op.flags & HW_PKTF_FIRST;

	if (a->bth.psn != resp->epsn) {
		a->nic->counters.out_of_sequence++;
		abandon(resp);
	} else if (starts) {
		abandon(resp);
	}
	resp->epsn = hw_psn_add(a->bth.psn, 1);
	if (!starts && !(a->op.flags & resp->message))
		return nic_arrival_drop(a, "it continues no message");
	return CHK_OP_VALID;
}
