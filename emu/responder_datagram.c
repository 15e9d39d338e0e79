/* SPDX-License-Identifier: MIT */
/*
 * Responder, unreliable datagram (UD): one packet, one receive WQE. A buffer
 * starts with 40 bytes for the route header, which is written if there is one.
 *
 * Source: IBTA vol. 1, 9.8.3 (UD), 11.4.2.1 (GRH in the buffer); the fields of
 * the CQE: rdma-core mlx5 cq.c.
 * Not modelled: multicast; partitions but the default one.
 * Thread: under the NIC's lock.
 */
#include <errno.h>

#include "emu/arrival.h"

static void decode(struct nic_arrival *a, struct hw_deth *deth)
{
	const uint8_t *ext = a->packet->header + HW_BTH_BYTES;
	be32 imm;

	memcpy(deth, ext, sizeof(*deth));
	if (a->op.flags & HW_PKTF_IMMDT) {
		memcpy(&imm, ext + sizeof(*deth), sizeof(imm));
		a->imm = from_be32(imm);
	}
}

/* Why the datagram is lost; NULL: it is taken. */
static const char *refuse(const struct nic_arrival *a,
			  const struct hw_deth *deth)
{
	const struct nic_qp *qp = a->qp;

	if (!nic_qp_receives(qp->state))
		return "the queue pair is not in RTR or RTS";
	if (from_be32(deth->qkey) != hw_get(qp->qpc, HW_QPC_Q_KEY)) {
		nic_log(a->nic, NIC_LOG_WARN,
			"QP 0x%x: datagram of QP 0x%x with Q_Key 0x%x, "
			"expected 0x%x",
			qp->number, from_be32(deth->src_qpn) & 0xffffff,
			from_be32(deth->qkey), hw_get(qp->qpc, HW_QPC_Q_KEY));
		return "its Q_Key is not the queue pair's";
	}
	if (a->packet->payload_len > qp->mtu)
		return "it is longer than the MTU";
	return NULL;
}

/* False: there is none, or it cannot be read. */
static bool take_recv(struct nic_arrival *a)
{
	struct nic_rq *rq = nic_qp_rq(a->qp);
	struct nic_rmp *srq = nic_qp_srq(a->qp);
	int ret = rq ? nic_rq_take(a->nic, rq, &a->qp->resp.recv) : -EAGAIN;

	if (ret == -EAGAIN) {
		a->nic->counters.out_of_buffer++;
		nic_drop(a->nic, a->packet, "there is no receive WQE");
		return false;
	}
	if (ret) {
		nic_log(a->nic, NIC_LOG_ERROR,
			"QP 0x%x: the receive queue is not mapped any more",
			a->qp->number);
		nic_qp_fail(a->nic, a->qp, NIC_EVENT_QP_FATAL);
		return false;
	}
	if (srq)
		nic_rmp_taken(a->nic, srq);
	return true;
}

static void make_grh(const struct nic_arrival *a,
		     const struct wire_address *from, struct hw_grh *grh)
{
	const struct wire_route *route = &a->packet->route;

	grh->version_tclass_flow = to_be32((uint32_t)HW_GRH_VERSION << 28 |
					   (route->tclass_flow & 0xfffffff));
	grh->payload_len = to_be16((uint16_t)(a->packet->header_len +
					      a->packet->payload_len +
					      a->bth.pad + HW_ICRC_BYTES));
	grh->next_header = HW_GRH_NEXT_BTH;
	grh->hop_limit = route->hop_limit;
	memcpy(grh->sgid, from->gid, sizeof(grh->sgid));
	memcpy(grh->dgid, a->nic->wire->address.gid, sizeof(grh->dgid));
}

/* Route header and payload into the buffers. Returns as nic_scatter. */
static int place(struct nic_arrival *a, const struct wire_address *from)
{
	const struct nic_sge *sge = a->qp->resp.recv.block->sge;
	struct hw_grh grh;
	struct nic_packet header = {.body = &grh,
				    .body_bytes = sizeof(grh),
				    .payload_len = sizeof(grh)};
	int ret;

	if (a->packet->route.global) {
		make_grh(a, from, &grh);
		ret = nic_scatter(a->nic, a->qp, sge, 0, &header);
		if (ret)
			return ret;
	}
	return nic_scatter(a->nic, a->qp, sge, sizeof(grh), a->packet);
}

/* Which error the receive completes with; 0: it is all there. */
static uint8_t execute(struct nic_arrival *a, const struct wire_address *from)
{
	const struct nic_recv *recv = &a->qp->resp.recv;
	int ret;

	if (HW_GRH_BYTES + a->packet->payload_len > recv->total_len)
		return HW_SYND_LOCAL_LENGTH;
	ret = place(a, from);
	if (!ret)
		return HW_SYND_NONE;
	a->nic->counters.dma_faults++;
	return HW_SYND_LOCAL_PROT;
}

static void complete(struct nic_arrival *a, const struct hw_deth *deth)
{
	bool roce = a->nic->config.link == NIC_LINK_ROCE;
	struct nic_recv *recv = &a->qp->resp.recv;
	struct wire_address from = {0};
	struct hw_cqe_info info = {
		.opcode = a->op.flags & HW_PKTF_IMMDT ? HW_CQE_RESP_SEND_IMM
						      : HW_CQE_RESP_SEND,
		.wqe_counter = recv->wqe_counter,
		.byte_cnt = HW_GRH_BYTES + a->packet->payload_len,
		.src_qpn = from_be32(deth->src_qpn) & 0xffffff,
		.sl = a->packet->route.sl,
		.grh = a->packet->route.global != 0,
	};

	a->nic->wire->ops->address(a->nic->wire, a->packet->peer, &from);
	if (!roce) /* an Ethernet frame has none */
		info.slid = from.lid;
	info.syndrome = execute(a, &from);
	if (info.syndrome)
		info.opcode = HW_CQE_RESP_ERR;
	nic_block_put(&a->nic->pool, recv->block);
	recv->taken = false;
	nic_arrival_complete_recv(a, &info);
	if (info.syndrome)
		nic_qp_set_state(a->nic, a->qp, HW_QP_ERR);
}

void nic_datagram_input(struct nic *nic, struct nic_qp *qp,
			const struct nic_packet *packet,
			const struct nic_head *head)
{
	struct nic_arrival a = {.nic = nic,
				.qp = qp,
				.packet = packet,
				.bth = head->bth,
				.op = head->op};
	struct hw_deth deth;
	const char *why;

	decode(&a, &deth);
	NIC_TRACE(nic, resp_recv, qp->number, 0, a.bth.opcode, a.bth.psn,
		  packet->payload_len);
	why = refuse(&a, &deth);
	if (why) {
		nic_drop(nic, packet, why);
		return;
	}
	if (take_recv(&a))
		complete(&a, &deth);
}
