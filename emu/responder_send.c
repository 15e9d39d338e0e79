/* SPDX-License-Identifier: MIT */
/*
 * Responder, outgoing half: read data, atomic results, ACKs and NAKs.
 *
 * Responses leave in the order of their requests; an ACK waits for the reads
 * and atomics before it, because it acknowledges them too.
 *
 * Source: IBTA vol. 1, 9.7.5.1 (acknowledgements), C9-148 (MSN).
 * Thread: under the NIC's lock.
 */
#include "emu/responder.h"

#include <errno.h>
#include <stdlib.h>

#include "emu/core.h"

void nic_responder_reset(struct nic *nic, struct nic_qp *qp)
{
	struct nic_responder *resp = &qp->resp;
	struct nic_response *rd = resp->rd;
	uint16_t rd_size = resp->rd_size;

	if (resp->recv.taken)
		nic_block_put(&nic->pool, resp->recv.block);
	memset(resp, 0, sizeof(*resp));
	resp->rd = rd;
	resp->rd_size = rd_size;
	resp->nak_psn = NIC_NO_PSN;
	if (rd)
		memset(rd, 0, rd_size * sizeof(*rd)); /* nothing to repeat */
}

static void set_headers(struct nic_qp *qp, uint8_t opcode, uint32_t psn,
			uint8_t syndrome, struct nic_packet *packet)
{
	struct hw_bth_info bth = {
		.opcode = opcode | qp->service,
		.pkey = HW_PKEY_DEFAULT,
		.qpn = qp->remote_qpn,
		.psn = psn,
		.pad = (uint8_t)(-packet->payload_len & 3),
	};
	struct hw_bth raw = hw_bth_encode(&bth);
	struct hw_aeth aeth = hw_aeth_encode(syndrome, qp->resp.msn);

	memcpy(packet->header, &raw, sizeof(raw));
	packet->header_len = sizeof(raw);
	if (hw_pkt_op(opcode).flags & HW_PKTF_AETH) {
		memcpy(packet->header + sizeof(raw), &aeth, sizeof(aeth));
		packet->header_len += sizeof(aeth);
	}
	packet->src_qpn = qp->number;
}

static int reserve(struct nic *nic, struct nic_qp *qp,
		   struct nic_packet **packet)
{
	int ret;

	if (!nic_link_up(nic) || (!qp->peer_known && !nic_qp_resolve(nic, qp)))
		return -EHOSTUNREACH;
	ret = nic->wire->ops->reserve(nic->wire, qp->peer, packet);
	if (!ret)
		(*packet)->payload_len = (*packet)->iov_count = 0;
	return ret;
}

static void commit(struct nic *nic, struct nic_qp *qp,
		   struct nic_packet *packet)
{
	nic->wire->ops->commit(nic->wire, qp->peer, packet);
	nic->counters.packets_out++;
}

/* The response that was next is out, or will never be. */
static void next_response(struct nic_responder *resp)
{
	resp->rd_next++;
	resp->rd_offset = 0;
	if ((int32_t)(resp->rd_next - resp->rd_new) > 0)
		resp->rd_new = resp->rd_next;
}

/*
 * A read or atomic was asked for again: go back to the packet with this PSN.
 * What is ahead of the place that has been reached comes anyway; what is not
 * in the ring any more was received by who has asked for newer ones since.
 */
void nic_responder_repeat(struct nic_qp *qp, uint32_t psn)
{
	struct nic_responder *resp = &qp->resp;
	const struct nic_response *rd;
	uint32_t index = resp->rd_pi, i;
	int32_t offset = -1, ahead;

	for (i = 0; i < resp->rd_size; i++) {
		rd = &resp->rd[--index & (resp->rd_size - 1u)];
		offset = hw_psn_diff(psn, rd->psn);
		if (offset >= 0 && offset < (int32_t)rd->packets)
			break;
	}
	ahead = (int32_t)(index - resp->rd_next);
	if (i == resp->rd_size || ahead > 0 ||
	    (!ahead && offset >= (int32_t)resp->rd_offset))
		return;
	resp->rd_next = index;
	resp->rd_offset = (uint32_t)offset;
}

/* What the peer asked for is not there any more. */
static void late_refusal(struct nic *nic, struct nic_qp *qp,
			 const struct nic_response *rd, enum hw_nak code,
			 const char *why)
{
	struct nic_responder *resp = &qp->resp;

	/* A duplicate may come when all is done and the key is gone. */
	if (resp->rd_next != resp->rd_new) {
		next_response(resp);
		return;
	}
	nic_log(nic, NIC_LOG_ERROR,
		"QP 0x%x: read psn %u of [0x%llx, +%u) rkey 0x%x: %s",
		qp->number, rd->psn, (unsigned long long)rd->va, rd->len,
		rd->rkey, why);
	resp->nak = (uint8_t)(HW_AETH_NAK | code);
	resp->nak_psn = hw_psn_add(rd->psn, resp->rd_offset);
	resp->ack_due = resp->fatal = true;
	resp->rd_next = resp->rd_pi;
}

/* An XRC read was checked with the PD of its SRQ; by now another one may be
 * in use. */
static uint32_t read_pd(struct nic *nic, const struct nic_qp *qp,
			const struct nic_response *rd)
{
	const struct nic_mkey *key = nic_mkey_get(nic, rd->rkey >> 8);

	return qp->service == HW_PKT_XRC && key ? key->pd : qp->key_pd;
}

/* Fill in the read data of the current packet. False: refused. */
static bool read_payload(struct nic *nic, struct nic_qp *qp,
			 const struct nic_response *rd,
			 struct nic_packet *packet)
{
	uint32_t offset = qp->resp.rd_offset * qp->mtu;
	uint32_t left = rd->len - offset;
	struct mkey_use use = {.va = rd->va + offset,
			       .len = left < qp->mtu ? left : qp->mtu,
			       .key = rd->rkey,
			       .pd = read_pd(nic, qp, rd),
			       .qpn = qp->number,
			       .access = MKEY_REMOTE_READ};
	const char *why;
	int ret;

	if (!use.len)
		return true;
	ret = nic_gather_range(nic, &use, packet, &why);
	if (!ret)
		return true;
	late_refusal(nic, qp, rd,
		     ret == -EACCES ? HW_NAK_REMOTE_ACCESS : HW_NAK_REMOTE_OP,
		     why);
	return false;
}

/*
 * By the place in the whole response, also when a duplicate asks for the rest
 * of it only: Linux rxe takes no FIRST in the middle (rxe_comp.c), and sends
 * none; the specification lets a requester count packets by their PSN.
 */
static uint8_t read_opcode(const struct nic_responder *resp,
			   const struct nic_response *rd)
{
	bool first = !resp->rd_offset;
	bool last = resp->rd_offset == rd->packets - 1u;

	if (first)
		return last ? HW_PKT_READ_RESP_ONLY : HW_PKT_READ_RESP_FIRST;
	return last ? HW_PKT_READ_RESP_LAST : HW_PKT_READ_RESP_MIDDLE;
}

static void atomic_result(const struct nic_response *rd,
			  struct nic_packet *packet)
{
	struct hw_atomic_ack_eth eth;

	hw_put_be64(eth.orig, rd->va);
	memcpy(packet->header + packet->header_len, &eth, sizeof(eth));
	packet->header_len += sizeof(eth);
}

/* One packet of the response that is next. Returns as wire reserve. */
static int send_response(struct nic *nic, struct nic_qp *qp)
{
	struct nic_responder *resp = &qp->resp;
	struct nic_response *rd =
		&resp->rd[resp->rd_next & (resp->rd_size - 1u)];
	uint32_t psn = hw_psn_add(rd->psn, resp->rd_offset);
	uint8_t opcode = rd->atomic ? HW_PKT_ATOMIC_ACK : read_opcode(resp, rd);
	struct nic_packet *packet;
	int ret = reserve(nic, qp, &packet);

	if (ret)
		return ret;
	if (!rd->atomic && !read_payload(nic, qp, rd, packet)) {
		packet->header_len = 0; /* take the reservation back */
		nic->wire->ops->commit(nic->wire, qp->peer, packet);
		return 0;
	}
	set_headers(qp, opcode, psn, HW_AETH_ACK | HW_AETH_NO_CREDIT_LIMIT,
		    packet);
	if (rd->atomic)
		atomic_result(rd, packet);
	NIC_TRACE(nic, resp_data, qp->number, 0, opcode, psn,
		  packet->payload_len);
	commit(nic, qp, packet);
	if (++resp->rd_offset == rd->packets)
		next_response(resp);
	return 0;
}

/* The NAK is out: what it means for this side. */
static void after_nak(struct nic *nic, struct nic_qp *qp, uint8_t nak)
{
	bool access = nak == (HW_AETH_NAK | HW_NAK_REMOTE_ACCESS);
	enum nic_event_type event =
		access ? NIC_EVENT_QP_ACCESS_ERR : NIC_EVENT_QP_REQ_ERR;

	if (!qp->resp.fatal)
		return;
	/* One connected to itself must live until its requester has the NAK,
	 * or the request would be flushed without a reason. */
	if (qp->to_itself && qp->state == HW_QP_RTS) {
		nic_event(nic, event, qp->number, 0);
		return;
	}
	nic_qp_fail(nic, qp, event);
	qp->resp.fatal = false;
}

static int send_ack(struct nic *nic, struct nic_qp *qp)
{
	struct nic_responder *resp = &qp->resp;
	uint8_t nak = resp->nak;
	uint8_t syndrome = nak ? nak : HW_AETH_ACK | HW_AETH_NO_CREDIT_LIMIT;
	uint32_t psn = hw_psn_add(resp->epsn, nak ? 0 : HW_PSN_MASK);
	struct nic_packet *packet;
	int ret = reserve(nic, qp, &packet);

	if (ret)
		return ret;
	if (resp->nak_psn != NIC_NO_PSN)
		psn = resp->nak_psn;
	resp->nak_psn = NIC_NO_PSN;
	set_headers(qp, HW_PKT_ACK, psn, syndrome, packet);
	NIC_TRACE(nic, resp_ack, qp->number, 0, syndrome, psn);
	commit(nic, qp, packet);
	resp->ack_due = false;
	resp->nak = 0;
	if (nak)
		after_nak(nic, qp, nak);
	return 0;
}

bool nic_responder_output(struct nic *nic, struct nic_qp *qp, unsigned *budget)
{
	struct nic_responder *resp = &qp->resp;
	int ret = 0;

	while (resp->rd_next != resp->rd_pi && *budget && !ret) {
		ret = send_response(nic, qp);
		--*budget;
	}
	if (!ret && resp->rd_next == resp->rd_pi && resp->ack_due)
		ret = send_ack(nic, qp);
	if (ret == -EAGAIN)
		return true;
	if (ret) { /* nobody to answer to, or no way */
		nic_qp_abandon_answers(nic, qp);
		resp->rd_next = resp->rd_new = resp->rd_pi;
		resp->ack_due = resp->fatal = false;
		resp->nak = 0;
		resp->nak_psn = NIC_NO_PSN;
	}
	return resp->rd_next != resp->rd_pi;
}
