/* SPDX-License-Identifier: MIT */
/*
 * Requester, services without acknowledgements (UC, UD): a request is done when
 * it is out, and a peer that is not there loses packets without a word.
 *
 * Source: IBTA vol. 1, 9.8.2 (UC), 9.8.3 (UD).
 * Thread: under the NIC's lock.
 */
#include <errno.h>

#include "emu/core.h"

int nic_unacked_reserve(struct nic *nic, struct nic_qp *qp,
			const struct nic_request *r, struct nic_packet **packet)
{
	bool datagram = qp->service == HW_PKT_UD;
	int ret;

	if (!nic->wire)
		return -EHOSTUNREACH;
	if (datagram ? !r->datagram.known
		     : !qp->peer_known && !nic_qp_resolve(nic, qp))
		return -EHOSTUNREACH;
	ret = nic->wire->ops->reserve(
		nic->wire, datagram ? r->datagram.peer : qp->peer, packet);
	/* Who comes to this address later is another NIC, and is found. */
	if (ret == -EHOSTUNREACH && datagram)
		nic_path_forget(nic, r->datagram.peer);
	else if (ret == -EHOSTUNREACH)
		qp->peer_known = false;
	return ret;
}

void nic_unacked_done(struct nic *nic, struct nic_qp *qp, struct nic_request *r)
{
	r->done_packets = r->packets;
	r->done = true;
	nic_completer_run(nic, qp);
}
