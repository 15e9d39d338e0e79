/* SPDX-License-Identifier: MIT */
/*
 * Execute: decode a fetched WQE and check what the NIC can check by itself:
 * opcode, segments, lengths, local keys. The result is one request.
 *
 * Data path: emu/sq_fetch.c -> [emu/execute.c] -> emu/requester.c
 *
 * Source: PRM, "send WQE"; IBTA vol. 1, 10.8.2 (local error classes).
 * Thread: under the NIC's lock.
 */
#include <assert.h>
#include <stdio.h>

#include "emu/core.h"

/* A cursor over the WQE's 16-byte units. */
struct walk {
	struct nic *nic;
	struct nic_qp *qp;
	struct nic_request *request;
	const uint8_t *wqe;
	uint32_t offset, end; /* bytes */
};

static bool bad(struct walk *w, uint8_t syndrome, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static bool bad(struct walk *w, uint8_t syndrome, const char *fmt, ...)
{
	struct hw_wqe_op op = hw_wqe_op(w->request->opcode);
	char text[256];
	va_list args;

	w->request->syndrome = syndrome;
	NIC_TRACE(w->nic, sq_bad_wqe, w->qp->number, w->request->wqe_index,
		  syndrome);
	if (!w->nic->config.log)
		return false;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	nic_log(w->nic, NIC_LOG_ERROR, "QP 0x%x WQE 0x%04x %s: %s (%s)",
		w->qp->number, w->request->wqe_index, op.name ? op.name : "?",
		text, hw_syndrome_name(syndrome));
	return false;
}

/* Copy the next segment out; false if the WQE ends before it does. */
static bool take(struct walk *w, void *segment, uint32_t bytes)
{
	if (bytes > w->end - w->offset)
		return false;
	memcpy(segment, w->wqe + w->offset, bytes);
	w->offset += bytes;
	return true;
}

/* Has the service this operation? */
static bool service_has(const struct nic_qp *qp, struct hw_wqe_op op)
{
	if (hw_get(qp->qpc, HW_QPC_ST) == HW_QP_ST_DCI)
		return op.flags & HW_OPF_LOCAL;
	if (qp->service == HW_PKT_UC)
		return !(op.flags & HW_OPF_RESPONSE);
	if (qp->service == HW_PKT_UD)
		return (op.flags & HW_OPF_LOCAL) ||
		       ((op.flags & HW_OPF_RECV) && !(op.flags & HW_OPF_RADDR));
	return true;
}

static bool unknown_opcode(struct walk *w)
{
	static const char *const names[] = {"RC", "UC", "?", "UD", "?", "XRC"};

	return bad(w, HW_SYND_LOCAL_QP_OP,
		   "ctrl.opcode is 0x%02x, which %s does not know",
		   w->request->opcode, names[w->qp->service >> 5]);
}

static bool take_datagram(struct walk *w)
{
	struct nic_datagram *to = &w->request->datagram;
	struct wire_path path = {0};
	struct hw_wqe_av_info av;
	struct hw_wqe_av raw;

	memset(&raw, 0, sizeof(raw));
	if (!take(w, &raw, HW_AV_COMPACT_BYTES) ||
	    ((from_be32(raw.dqp_dct) & HW_AV_EXT) &&
	     !take(w, (uint8_t *)&raw + HW_AV_COMPACT_BYTES,
		   sizeof(raw) - HW_AV_COMPACT_BYTES)))
		return bad(w, HW_SYND_LOCAL_QP_OP,
			   "ctrl.ds %u leaves no room for the address vector",
			   w->end / HW_WQE_DS);
	av = hw_wqe_av_decode(&raw);
	path.global = av.grh || w->nic->config.link == NIC_LINK_ROCE;
	path.lid = av.rlid;
	memcpy(path.gid, av.rgid, sizeof(path.gid));
	to->qpn = av.qpn;
	to->qkey = av.qkey & HW_QKEY_OF_QP ? hw_get(w->qp->qpc, HW_QPC_Q_KEY)
					   : av.qkey;
	to->route.tclass_flow = (uint32_t)av.tclass << 20 | av.flow_label;
	to->route.hop_limit = av.hop_limit;
	to->route.sl = av.sl;
	to->route.global = path.global;
	to->known = !nic_path_find(w->nic, &path, &to->peer);
	return true;
}

static bool take_xrc(struct walk *w)
{
	struct hw_wqe_xrc xrc;

	if (!take(w, &xrc, sizeof(xrc)))
		return bad(w, HW_SYND_LOCAL_QP_OP,
			   "ctrl.ds %u leaves no room for the XRC segment",
			   w->end / HW_WQE_DS);
	w->request->xrc_srqn = from_be32(xrc.srqn) & 0xffffff;
	return true;
}

/* What the service has behind the control segment, if it goes to a peer. */
static bool take_service(struct walk *w, struct hw_wqe_op op)
{
	if (!service_has(w->qp, op))
		return unknown_opcode(w);
	if (w->request->flags & HW_OPF_LOCAL)
		return true;
	if (w->qp->service == HW_PKT_UD)
		return take_datagram(w);
	return w->qp->service != HW_PKT_XRC || take_xrc(w);
}

static bool too_long(struct walk *w)
{
	return bad(w, HW_SYND_LOCAL_LENGTH,
		   "the message has %u bytes, %u are the most",
		   w->request->total_len, w->qp->msg_max);
}

static bool take_raddr(struct walk *w)
{
	struct hw_wqe_raddr raddr;

	if (!take(w, &raddr, sizeof(raddr)))
		return bad(w, HW_SYND_LOCAL_QP_OP,
			   "ctrl.ds %u leaves no room for the remote address",
			   w->end / HW_WQE_DS);
	w->request->raddr = from_be64(raddr.raddr);
	w->request->rkey = from_be32(raddr.rkey);
	return true;
}

static bool take_masked(struct walk *w, bool compare_swap)
{
	struct hw_atomic_args *args = &w->request->atomic;
	union {
		struct hw_wqe_masked_fa_4 fa4;
		struct hw_wqe_masked_cs_4 cs4;
		struct hw_wqe_masked_fa_8 fa8;
		struct hw_wqe_masked_cs_8 cs8;
	} seg;
	bool is4 = w->request->operand_bytes == 4;

	if (!take(w, &seg, !is4 && compare_swap ? sizeof(seg.cs8) : 16))
		return false;
	if (is4 && compare_swap) {
		args->swap_add = from_be32(seg.cs4.swap);
		args->compare = from_be32(seg.cs4.compare);
		args->swap_mask = from_be32(seg.cs4.swap_mask);
		args->compare_mask = from_be32(seg.cs4.compare_mask);
	} else if (is4) {
		args->swap_add = from_be32(seg.fa4.add);
		args->compare = from_be32(seg.fa4.field_boundary);
	} else if (compare_swap) {
		args->swap_add = from_be64(seg.cs8.swap);
		args->compare = from_be64(seg.cs8.compare);
		args->swap_mask = from_be64(seg.cs8.swap_mask);
		args->compare_mask = from_be64(seg.cs8.compare_mask);
	} else {
		args->swap_add = from_be64(seg.fa8.add);
		args->compare = from_be64(seg.fa8.field_boundary);
	}
	return true;
}

static bool take_plain(struct walk *w)
{
	struct hw_atomic_args *args = &w->request->atomic;
	struct hw_wqe_atomic seg;

	if (!take(w, &seg, sizeof(seg)))
		return false;
	args->swap_add = from_be64(seg.swap_add);
	args->compare = from_be64(seg.compare);
	args->swap_mask = args->compare_mask = ~0ull;
	if (w->request->opcode == HW_OP_ATOMIC_FA)
		args->compare = 0; /* no field boundaries */
	return true;
}

static bool take_atomic(struct walk *w, uint8_t opmod)
{
	struct nic_request *request = w->request;
	bool masked = request->opcode == HW_OP_MASKED_CS ||
		      request->opcode == HW_OP_MASKED_FA;

	if (masked && opmod != HW_OPMOD_ATOMIC_4B &&
	    opmod != HW_OPMOD_ATOMIC_8B)
		return bad(w, HW_SYND_LOCAL_QP_OP,
			   "ctrl.opmod is 0x%02x, expected 0x08 (4 bytes) or "
			   "0x09 (8 bytes)",
			   opmod);
	request->operand_bytes = masked && opmod == HW_OPMOD_ATOMIC_4B ? 4 : 8;
	if (masked ? !take_masked(w, request->opcode == HW_OP_MASKED_CS)
		   : !take_plain(w))
		return bad(w, HW_SYND_LOCAL_QP_OP,
			   "ctrl.ds %u leaves no room for the atomic segment",
			   w->end / HW_WQE_DS);
	return true;
}

static bool take_wait(struct walk *w)
{
	struct hw_wqe_wait wait;

	if (!take(w, &wait, sizeof(wait)))
		return bad(w, HW_SYND_LOCAL_QP_OP,
			   "ctrl.ds %u leaves no room for the WAIT segment",
			   w->end / HW_WQE_DS);
	w->request->wait_index = from_be32(wait.max_index);
	w->request->wait_cqn = from_be32(wait.qpn_cqn) & 0xffffff;
	if (!nic_cq_get(w->nic, w->request->wait_cqn))
		return bad(w, HW_SYND_LOCAL_QP_OP,
			   "it waits for CQ 0x%x: no "
			   "such CQ",
			   w->request->wait_cqn);
	return true;
}

/* The segments are looked at when it is the request's turn: the keys that
 * they are about may change until then. */
static bool take_umr(struct walk *w)
{
	struct nic_request *request = w->request;
	uint32_t bytes = w->end - w->offset;

	if (bytes < HW_UMR_MIN_BYTES)
		return bad(w, HW_SYND_LOCAL_QP_OP,
			   "ctrl.ds %u leaves no room for the UMR control "
			   "segment and the key context",
			   w->end / HW_WQE_DS);
	request->block = nic_block_get(&w->nic->pool);
	assert(request->block); /* see nic_pool_empty() */
	request->kept_bytes = (uint16_t)bytes;
	return take(w, request->block->bytes, bytes);
}

/* Room for that many segments and bytes. */
static void make_room(struct walk *w, uint32_t segments, uint32_t bytes)
{
	struct nic_request *request = w->request;

	if (request->block ||
	    (segments <= NIC_SGE_SMALL && bytes <= NIC_INLINE_SMALL))
		return;
	request->block = nic_block_get(&w->nic->pool);
	assert(request->block); /* see nic_pool_empty() */
	memcpy(request->block->sge, request->sge, sizeof(request->sge));
	memcpy(request->block->bytes, request->bytes, sizeof(request->bytes));
}

static bool add_sge(struct walk *w, const struct nic_sge *sge)
{
	struct nic_request *request = w->request;
	uint32_t n = request->sge_count;

	make_room(w, n + 1, 0);
	(request->block ? request->block->sge : request->sge)[n] = *sge;
	request->sge_count++;
	if ((uint64_t)request->total_len + sge->len > 1ull << NIC_LOG_MAX_MSG)
		return bad(w, HW_SYND_LOCAL_LENGTH,
			   "data segment %u: byte_count %u makes the message "
			   "longer than 2^%u",
			   n, sge->len, NIC_LOG_MAX_MSG);
	request->total_len += sge->len;
	return true;
}

static bool take_inline(struct walk *w, uint32_t len)
{
	struct nic_request *request = w->request;
	struct nic_sge sge = {.va = request->kept_bytes, .len = len};
	uint8_t *bytes;

	w->offset += sizeof(be32);
	if (len > w->end - w->offset)
		return bad(w, HW_SYND_LOCAL_QP_OP,
			   "%u bytes of inline data need %u units, ctrl.ds %u "
			   "leaves room for %u bytes",
			   len, hw_wqe_inline_ds(len), w->end / HW_WQE_DS,
			   w->end - w->offset);
	make_room(w, request->sge_count + 1u, request->kept_bytes + len);
	bytes = request->block ? request->block->bytes : request->bytes;
	memcpy(bytes + sge.va, w->wqe + w->offset, len);
	w->offset += hw_wqe_inline_ds(len) * HW_WQE_DS - (uint32_t)sizeof(be32);
	request->inline_mask |= 1ull << request->sge_count;
	request->kept_bytes = (uint16_t)(request->kept_bytes + len);
	return add_sge(w, &sge);
}

static bool check_sge(struct walk *w, const struct nic_sge *sge)
{
	bool response = w->request->flags & HW_OPF_RESPONSE;
	struct mkey_use use = {
		.va = sge->va,
		.len = sge->len,
		.key = sge->lkey,
		.pd = w->qp->pd,
		.qpn = w->qp->number,
		.access = response ? MKEY_LOCAL_WRITE : MKEY_LOCAL_READ,
	};
	const char *why;

	if (!nic_mkey_direct(w->nic, &use) &&
	    !nic_mkey_check(w->nic, &use, &why))
		return bad(w, HW_SYND_LOCAL_PROT,
			   "data segment %u: [0x%llx, +%u) lkey 0x%x: %s",
			   w->request->sge_count, (unsigned long long)sge->va,
			   sge->len, sge->lkey, why);
	return true;
}

static bool take_data(struct walk *w)
{
	struct hw_wqe_data data;
	struct nic_sge sge;
	be32 count;

	while (w->offset < w->end) {
		memcpy(&count, w->wqe + w->offset, sizeof(count));
		if (from_be32(count) & HW_INLINE_FLAG) {
			if (!(w->request->flags & HW_OPF_INLINE))
				return bad(w, HW_SYND_LOCAL_QP_OP,
					   "inline data is not legal here");
			if (!take_inline(w, from_be32(count) & ~HW_INLINE_FLAG))
				return false;
			continue;
		}
		if (!take(w, &data, sizeof(data)))
			return false;
		sge.va = from_be64(data.addr);
		sge.lkey = from_be32(data.lkey);
		sge.len = hw_wqe_data_len(&data);
		if (!check_sge(w, &sge) || !add_sge(w, &sge))
			return false;
	}
	return true;
}

/* Atomics return as many bytes as they operate on. */
static bool check_atomic(struct walk *w)
{
	struct nic_request *request = w->request;

	if (request->sge_count != 1 ||
	    request->total_len < request->operand_bytes)
		return bad(w, HW_SYND_LOCAL_LENGTH,
			   "the result of %u bytes needs one data segment of "
			   "that size, there are %u with %u bytes",
			   request->operand_bytes, request->sge_count,
			   request->total_len);
	request->total_len = request->operand_bytes;
	return true;
}

bool nic_execute(struct nic *nic, struct nic_qp *qp, const uint8_t *wqe,
		 uint32_t ds, struct nic_request *request)
{
	struct walk w = {
		nic,	       qp, request, wqe, sizeof(struct hw_wqe_ctrl),
		ds * HW_WQE_DS};
	struct hw_wqe_ctrl_info ctrl;
	struct hw_wqe_ctrl raw;
	struct hw_wqe_op op;

	memcpy(&raw, wqe, sizeof(raw));
	ctrl = hw_wqe_ctrl_decode(&raw);
	op = hw_wqe_op(ctrl.opcode);
	request->opcode = ctrl.opcode;
	request->wqe_index = ctrl.idx;
	request->bbs = (uint8_t)hw_wqe_bbs(ds);
	request->fm_ce_se = ctrl.fm_ce_se;
	request->imm = ctrl.imm;
	request->flags = op.flags;
	if (!op.name)
		return unknown_opcode(&w);
	if (qp->service != HW_PKT_RC && !take_service(&w, op))
		return false;
	if ((op.flags & HW_OPF_RADDR) && !take_raddr(&w))
		return false;
	if ((op.flags & HW_OPF_ATOMIC) && !take_atomic(&w, ctrl.opmod))
		return false;
	if ((op.flags & HW_OPF_WAIT) && !take_wait(&w))
		return false;
	if ((op.flags & HW_OPF_UMR) && !take_umr(&w))
		return false;
	if ((op.flags & HW_OPF_DATA) && !take_data(&w))
		return false;
	if (request->total_len > qp->msg_max && !(op.flags & HW_OPF_LOCAL))
		return too_long(&w);
	if ((op.flags & HW_OPF_ATOMIC) && !check_atomic(&w))
		return false;
	NIC_TRACE(nic, execute, qp->number, request->wqe_index, ctrl.opcode,
		  request->total_len, request->raddr);
	return true;
}
