/* SPDX-License-Identifier: MIT */
/*
 * A mini driver for tests, its data path: WQEs, doorbells, receives, CQEs. See
 * t_nic.h.
 */
#include "support/t_nic.h"

void t_begin(struct t_qp *qp, uint8_t opcode, uint8_t opmod, uint8_t fm_ce_se)
{
	struct hw_wqe_ctrl_info info = {.qpn = qp->number,
					.idx = (uint16_t)qp->sq_pi,
					.opcode = opcode,
					.opmod = opmod,
					.fm_ce_se = fm_ce_se};
	struct hw_wqe_ctrl ctrl = hw_wqe_ctrl_encode(&info);

	memset(qp->wqe, 0, sizeof(qp->wqe));
	memcpy(qp->wqe, &ctrl, sizeof(ctrl));
	qp->wqe_bytes = sizeof(ctrl);
}

void t_imm(struct t_qp *qp, uint32_t imm)
{
	be32 value = to_be32(imm);

	memcpy(qp->wqe + offsetof(struct hw_wqe_ctrl, imm), &value, 4);
}

void t_segment(struct t_qp *qp, const void *segment, uint32_t bytes)
{
	assert_true(qp->wqe_bytes + bytes <= HW_WQE_BYTES_MAX);
	memcpy(qp->wqe + qp->wqe_bytes, segment, bytes);
	qp->wqe_bytes += (bytes + 15) / 16 * 16;
}

void t_raddr(struct t_qp *qp, const void *raddr, uint32_t rkey)
{
	struct hw_wqe_raddr seg = hw_wqe_raddr_encode((uintptr_t)raddr, rkey);

	t_segment(qp, &seg, sizeof(seg));
}

void t_av(struct t_qp *qp, const struct t_av *av)
{
	struct hw_wqe_av_info info = {.qkey = av->qkey,
				      .qpn = av->to->number,
				      .sl = av->sl,
				      .ext = av->ext,
				      .grh = av->grh,
				      .tclass = 0x21,
				      .hop_limit = 7,
				      .flow_label = 0x12345};
	struct hw_wqe_av seg;
	struct nic_port port;

	nic_query_port(av->to->node->nic, &port);
	info.rlid = port.lid;
	memcpy(info.rgid, port.gid, sizeof(info.rgid));
	seg = hw_wqe_av_encode(&info);
	t_segment(qp, &seg, av->ext ? sizeof(seg) : HW_AV_COMPACT_BYTES);
}

void t_xrc(struct t_qp *qp, uint32_t srqn)
{
	struct hw_wqe_xrc seg = hw_wqe_xrc_encode(srqn);

	t_segment(qp, &seg, sizeof(seg));
}

void t_data(struct t_qp *qp, const void *addr, uint32_t len, uint32_t lkey)
{
	struct hw_wqe_data seg = hw_wqe_data_encode(len, lkey, (uintptr_t)addr);

	t_segment(qp, &seg, sizeof(seg));
}

void t_inline(struct t_qp *qp, const void *bytes, uint32_t len)
{
	uint8_t seg[HW_WQE_BYTES_MAX];
	struct hw_wqe_inline head = hw_wqe_inline_encode(len);

	memcpy(seg, &head, sizeof(head));
	memcpy(seg + sizeof(head), bytes, len);
	t_segment(qp, seg, sizeof(head) + len);
}

uint16_t t_end(struct t_qp *qp)
{
	uint32_t bbs = (qp->wqe_bytes + HW_WQE_BB - 1) / HW_WQE_BB, i;
	uint16_t index = (uint16_t)qp->sq_pi;
	be32 qpn_ds = to_be32(qp->number << 8 | qp->wqe_bytes / HW_WQE_DS);
	uint32_t part;

	memcpy(qp->wqe + 4, &qpn_ds, sizeof(qpn_ds));
	for (i = 0; i < bbs; i++) {
		part = qp->wqe_bytes - i * HW_WQE_BB;
		memcpy(qp->sq + (size_t)((qp->sq_pi + i) & (qp->sq_size - 1)) *
					HW_WQE_BB,
		       qp->wqe + i * HW_WQE_BB,
		       part < HW_WQE_BB ? part : HW_WQE_BB);
	}
	qp->sq_pi += bbs;
	return index;
}

uint16_t t_rdma(struct t_qp *qp, uint8_t opcode, const void *local,
		uint32_t lkey, const void *remote, uint32_t rkey, uint32_t len)
{
	t_begin(qp, opcode, 0, T_SIGNALED);
	t_raddr(qp, remote, rkey);
	t_data(qp, local, len, lkey);
	return t_end(qp);
}

void t_ring_record(struct t_qp *qp)
{
	be32 word = hw_dbrec_encode(qp->sq_pi);

	__atomic_store_n(&qp->dbrec->word[HW_DBR_SND].raw, word.raw,
			 __ATOMIC_RELEASE);
}

void t_ring_register(struct t_qp *qp)
{
	struct hw_sq_doorbell db =
		hw_sq_doorbell_encode(qp->number, (uint16_t)qp->sq_pi);
	uint64_t word;

	memcpy(&word, &db, sizeof(word));
	__atomic_store_n((uint64_t *)(qp->uar + HW_UAR_BF), word,
			 __ATOMIC_RELEASE);
}

void t_ring(struct t_qp *qp)
{
	t_ring_record(qp);
	t_ring_register(qp);
}

void t_post_recv(struct t_qp *qp, const void *addr, uint32_t len, uint32_t lkey)
{
	struct hw_wqe_data seg[2] = {
		hw_wqe_data_encode(len, lkey, (uintptr_t)addr),
		hw_wqe_data_encode(0, HW_LKEY_INVALID, 0),
	};
	uint8_t *slot = qp->rq +
			(size_t)(qp->rq_pi & (qp->rq_size - 1)) * qp->rq_stride;

	memcpy(slot, seg, qp->rq_stride < sizeof(seg) ? 16 : sizeof(seg));
	qp->rq_pi++;
	__atomic_store_n(&qp->dbrec->word[HW_DBR_RCV].raw,
			 hw_dbrec_encode(qp->rq_pi).raw, __ATOMIC_RELEASE);
}

/* ------------------------------------------------------------------ CQ */

static const uint8_t *entry_at(const struct t_cq *cq, uint32_t slot)
{
	return cq->ring + (size_t)slot * cq->stride + cq->stride - HW_CQE_BYTES;
}

/* Is it there? The NIC may be writing the rest of it if not. */
static bool is_ours(const struct t_cq *cq, uint32_t slot, uint8_t lap)
{
	uint8_t op_own =
		__atomic_load_n(entry_at(cq, slot) + 63, __ATOMIC_ACQUIRE);

	return op_own >> 4 != HW_CQE_INVALID && (op_own & 1) == lap;
}

/* What the entry holds; its last 8 bytes are read first, and once. */
static struct hw_cqe_info read_entry(const struct t_cq *cq, uint32_t slot)
{
	const uint8_t *entry = entry_at(cq, slot);
	struct hw_cqe cqe;
	uint64_t last;

	last = __atomic_load_n((const uint64_t *)(entry + 56),
			       __ATOMIC_ACQUIRE);
	memcpy(&cqe, entry, 56);
	memcpy((uint8_t *)&cqe + 56, &last, 8);
	return hw_cqe_decode(&cqe);
}

bool t_collapsed(struct t_cq *cq, struct hw_cqe_info *info)
{
	*info = read_entry(cq, 0);
	return info->opcode != HW_CQE_INVALID;
}

bool t_poll(struct t_cq *cq, struct hw_cqe_info *info)
{
	uint8_t lap = (cq->ci & cq->size) != 0;
	uint32_t slot = cq->ci & (cq->size - 1);

	assert_false(cq->collapsed);
	if (!is_ours(cq, slot, lap))
		return false;
	*info = read_entry(cq, slot);
	cq->ci++;
	__atomic_store_n(&cq->dbrec[HW_CQ_DBR_CI].raw,
			 to_be32(cq->ci & HW_CQE_INDEX_MASK).raw,
			 __ATOMIC_RELEASE);
	return true;
}

void t_arm(struct t_cq *cq, enum hw_cq_arm_cmd cmd, uint8_t sn)
{
	struct hw_cq_arm_info info = {.ci = cq->ci & HW_CQE_INDEX_MASK,
				      .sn = sn,
				      .cmd = (uint8_t)cmd};
	struct hw_cq_doorbell db;
	uint64_t word;

	db.sn_cmd_ci = cq->dbrec[HW_CQ_DBR_ARM] = hw_cq_arm_encode(&info);
	db.cqn = to_be32(cq->number);
	memcpy(&word, &db, sizeof(word));
	__atomic_store_n((uint64_t *)(cq->uar + HW_UAR_CQ_DOORBELL), word,
			 __ATOMIC_RELEASE);
}
