/* SPDX-License-Identifier: MIT */
/*
 * Requester, services without acknowledgements (UC, UD): a request is done when
 * it is out, and a peer that is not there, or a link that is down, loses
 * packets without a word.
 *
 * Source: IBTA vol. 1, 9.8.2 (UC), 9.8.3 (UD).
 * Thread: under the NIC's lock.
 */
#include <errno.h>

#include "emu/core.h"

/* A datagram's peer is the queue pair's for as long as that takes. */
static bool find_peer(struct nic *nic, struct nic_qp *qp,
		      const struct nic_request *r)
{
	if (qp->service != HW_PKT_UD)
		return qp->peer_known || nic_qp_resolve(nic, qp);
	qp->peer = r->datagram.peer;
	qp->remote_qpn = r->datagram.qpn;
	return r->datagram.known;
}

int nic_unacked_reserve(struct nic *nic, struct nic_qp *qp,
			const struct nic_request *r, struct nic_packet **packet)
{
	int ret;

	if (!nic_link_up(nic) || !find_peer(nic, qp, r))
		return -EHOSTUNREACH;
	ret = nic->wire->ops->reserve(nic->wire, qp->peer, packet);
	if (ret == -EHOSTUNREACH) {
		/* Who comes to this address later is another NIC. */
		nic_path_forget(nic, qp->peer);
		qp->peer_known = false;
	}
	return ret;
}

void nic_unacked_done(struct nic *nic, struct nic_qp *qp, struct nic_request *r)
{
	r->done_packets = r->packets;
	r->done = true;
	nic_completer_run(nic, qp);
}
