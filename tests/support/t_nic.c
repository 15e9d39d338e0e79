/* SPDX-License-Identifier: MIT */
/*
 * A mini driver for tests, see t_nic.h.
 */
#include "support/t_nic.h"

#include <stdlib.h>

static void on_log(void *arg, enum nic_log_level level, const char *text)
{
	struct t_node *node = arg;
	size_t used = strlen(node->log);

	(void)level;
	if (used + strlen(text) + 2 > sizeof(node->log))
		return;
	strcat(node->log, text);
	strcat(node->log, "\n");
}

static void on_event(void *arg, const struct nic_event *event)
{
	struct t_node *node = arg;

	if (node->event_count < T_EVENTS)
		node->events[node->event_count++] = *event;
}

bool t_logged(const struct t_node *node, const char *text)
{
	return strstr(node->log, text) != NULL;
}

unsigned t_events(const struct t_node *node, enum nic_event_type type)
{
	unsigned i, count = 0;

	for (i = 0; i < node->event_count; i++)
		count += node->events[i].type == type;
	return count;
}

uint8_t t_cmd(struct t_node *node, const void *in, size_t in_len, uint8_t *out)
{
	uint8_t local[0x1010];

	if (!out)
		out = local;
	assert_int_equal(nic_cmd(node->nic, in, in_len, out, sizeof(local)), 0);
	return (uint8_t)hw_get(out, HW_CMD_OUT_STATUS);
}

/* A command of only a header; returns the number in the answer. */
static uint32_t simple(struct t_node *node, uint16_t opcode, uint32_t number)
{
	uint8_t in[16] = {0}, out[0x1010];

	hw_set(in, HW_CMD_IN_OPCODE, opcode);
	hw_set(in, HW_CMD_IN_NUMBER, number);
	assert_int_equal(t_cmd(node, in, sizeof(in), out), HW_CMD_OK);
	return hw_get(out, HW_CMD_OUT_NUMBER);
}

void t_node_open(struct t_node *node, const struct nic_config *config,
		 struct wire_loop_fabric *fabric)
{
	struct nic_config copy = {0};

	memset(node, 0, sizeof(*node));
	if (config)
		copy = *config;
	copy.arg = node;
	copy.log = on_log;
	copy.event = on_event;
	node->nic = nic_create(&copy);
	assert_non_null(node->nic);
	if (fabric)
		assert_int_equal(wire_loop_attach(fabric, node->nic), 0);
	node->pd = simple(node, HW_CMD_ALLOC_PD, 0);
}

void t_node_close(struct t_node *node)
{
	nic_destroy(node->nic);
	node->nic = NULL;
}

void t_run(struct t_node *nodes, unsigned count)
{
	unsigned i, rounds = 0;
	bool more = true;

	while (more) {
		more = false;
		for (i = 0; i < count; i++)
			more |= nic_step(nodes[i].nic, nodes[i].now_ns) !=
				NIC_STEP_IDLE;
		assert_true(++rounds < 10000000);
	}
}

void t_run_for(struct t_node *nodes, unsigned count, uint64_t ns)
{
	uint64_t end = nodes[0].now_ns + ns, next, deadline;
	unsigned i;

	for (;;) {
		t_run(nodes, count);
		next = end;
		for (i = 0; i < count; i++) {
			deadline = nic_deadline(nodes[i].nic);
			if (deadline < next)
				next = deadline;
		}
		if (nodes[0].now_ns >= end)
			return;
		for (i = 0; i < count; i++)
			if (next > nodes[i].now_ns)
				nodes[i].now_ns = next;
	}
}

void *t_alloc(size_t len)
{
	void *memory = aligned_alloc(4096, (len + 4095) / 4096 * 4096);

	assert_non_null(memory);
	memset(memory, 0, (len + 4095) / 4096 * 4096);
	return memory;
}

uint32_t t_mr_access(struct t_node *node, void *memory, size_t len,
		     uint32_t access)
{
	struct nic_mkey_attr attr = {
		.mem = {.addr = memory, .len = len, .kind = NIC_MEM_HOST},
		.iova = (uintptr_t)memory,
		.pd = node->pd,
		.access = access,
	};
	uint32_t key;

	assert_int_equal(nic_mkey_register(node->nic, &attr, &key), 0);
	return key;
}

uint32_t t_mr(struct t_node *node, void *memory, size_t len)
{
	return t_mr_access(node, memory, len,
			   NIC_ACCESS_LOCAL_WRITE | NIC_ACCESS_REMOTE_WRITE |
				   NIC_ACCESS_REMOTE_READ |
				   NIC_ACCESS_REMOTE_ATOMIC);
}

static uint32_t umem(struct t_node *node, void *memory, size_t len)
{
	struct nic_mem mem = {.addr = memory, .len = len};
	uint32_t id;

	assert_int_equal(nic_umem_register(node->nic, &mem, &id), 0);
	return id;
}

/* ------------------------------------------------------------------ CQ */

void t_cq_create(struct t_node *node, struct t_cq *cq,
		 const struct t_cq_options *options)
{
	uint8_t in[HW_CREATE_CQ_IN_BYTES] = {0}, out[0x1010];
	uint8_t *cqc = in + HW_CQC_OFFSET;
	size_t bytes;

	memset(cq, 0, sizeof(*cq));
	cq->node = node;
	cq->size = 1u << options->log_size;
	cq->stride = options->cqe_sz ? HW_CQE_BYTES_128 : HW_CQE_BYTES;
	cq->collapsed = options->collapsed;
	bytes = (size_t)cq->size * cq->stride;
	cq->ring = t_alloc(bytes + 64);
	memset(cq->ring, 0xff, bytes);
	cq->dbrec = (be32 *)(cq->ring + bytes);
	cq->umem = umem(node, cq->ring, bytes + 64);
	cq->uar = t_alloc(HW_UAR_BYTES);
	assert_int_equal(
		nic_uar_alloc(node->nic, cq->uar, NIC_UAR_NC, &cq->uar_index),
		0);
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_CQ);
	hw_set(in, HW_CREATE_CQ_UMEM_ID, cq->umem);
	hw_set(in, HW_CREATE_CQ_UMEM_VALID, 1);
	hw_set(cqc, HW_CQC_CQE_SZ, options->cqe_sz);
	hw_set(cqc, HW_CQC_CC, options->collapsed);
	hw_set(cqc, HW_CQC_OI, options->overrun_ignore);
	hw_set(cqc, HW_CQC_LOG_CQ_SIZE, options->log_size);
	hw_set(cqc, HW_CQC_UAR_PAGE, cq->uar_index);
	hw_set(cqc, HW_CQC_DBR_UMEM_VALID, 1);
	hw_set(cqc, HW_CQC_DBR_UMEM_ID, cq->umem);
	hw_set64(cqc, HW_CQC_DBR_ADDR, bytes);
	assert_int_equal(t_cmd(node, in, sizeof(in), out), HW_CMD_OK);
	cq->number = hw_get(out, HW_CMD_OUT_NUMBER);
}

static uint8_t destroy(struct t_node *node, uint16_t opcode, uint32_t number)
{
	uint8_t in[16] = {0};

	hw_set(in, HW_CMD_IN_OPCODE, opcode);
	hw_set(in, HW_CMD_IN_NUMBER, number);
	return t_cmd(node, in, sizeof(in), NULL);
}

uint8_t t_cq_destroy(struct t_cq *cq)
{
	uint8_t status = destroy(cq->node, HW_CMD_DESTROY_CQ, cq->number);

	if (status)
		return status;
	assert_int_equal(nic_umem_deregister(cq->node->nic, cq->umem), 0);
	assert_int_equal(nic_uar_free(cq->node->nic, cq->uar_index), 0);
	free(cq->ring);
	free(cq->uar);
	return status;
}

bool t_poll(struct t_cq *cq, struct hw_cqe_info *info)
{
	uint8_t *entry =
		cq->ring + (size_t)(cq->ci & (cq->size - 1)) * cq->stride;
	uint8_t lap = (cq->ci & cq->size) != 0;
	struct hw_cqe cqe;
	uint64_t last;

	entry += cq->stride - HW_CQE_BYTES;
	last = __atomic_load_n((uint64_t *)(entry + 56), __ATOMIC_ACQUIRE);
	memcpy(&cqe, entry, 56);
	memcpy((uint8_t *)&cqe + 56, &last, 8);
	*info = hw_cqe_decode(&cqe);
	if (info->opcode == HW_CQE_INVALID ||
	    (!cq->collapsed && info->owner != lap))
		return false;
	cq->ci++;
	cq->dbrec[HW_CQ_DBR_CI] = to_be32(cq->ci & HW_CQE_INDEX_MASK);
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

/* ------------------------------------------------------------------ QP */

static void fill_qpc(struct t_qp *qp, uint8_t *qpc,
		     const struct t_qp_options *options, size_t dbr_offset)
{
	hw_set(qpc, HW_QPC_ST, HW_QP_ST_RC);
	hw_set(qpc, HW_QPC_PM_STATE, HW_PM_MIGRATED);
	hw_set(qpc, HW_QPC_PD, qp->node->pd);
	hw_set(qpc, HW_QPC_LOG_RQ_SIZE, options->log_rq_size);
	hw_set(qpc, HW_QPC_LOG_RQ_STRIDE, options->log_rq_stride);
	hw_set(qpc, HW_QPC_LOG_SQ_SIZE, options->log_sq_size);
	hw_set(qpc, HW_QPC_UAR_PAGE, qp->uar_index);
	hw_set(qpc, HW_QPC_SEND_DBR_MODE, options->no_dbr);
	hw_set(qpc, HW_QPC_USER_INDEX, options->user_index);
	hw_set(qpc, HW_QPC_CQN_SND, qp->cq_send->number);
	hw_set(qpc, HW_QPC_CQN_RCV, qp->cq_recv->number);
	hw_set(qpc, HW_QPC_RQ_TYPE, options->rq_type);
	hw_set(qpc, HW_QPC_SRQN_RMPN, options->rmpn);
	hw_set(qpc, HW_QPC_DBR_UMEM_VALID, 1);
	hw_set(qpc, HW_QPC_DBR_UMEM_ID, qp->umem);
	hw_set64(qpc, HW_QPC_DBR_ADDR, dbr_offset);
}

void t_qp_create(struct t_node *node, struct t_qp *qp, struct t_cq *send,
		 struct t_cq *recv, const struct t_qp_options *options)
{
	uint8_t in[HW_CREATE_QP_IN_BYTES] = {0}, out[0x1010];
	size_t rq_bytes = 0, sq_bytes;

	memset(qp, 0, sizeof(*qp));
	qp->node = node;
	qp->cq_send = send;
	qp->cq_recv = recv;
	qp->sq_size = 1u << options->log_sq_size;
	qp->rq_size = 1u << options->log_rq_size;
	qp->rq_stride = 16u << options->log_rq_stride;
	if (options->rq_type == HW_RQ_REGULAR)
		rq_bytes = ((size_t)qp->rq_size * qp->rq_stride);
	sq_bytes = (size_t)qp->sq_size * HW_WQE_BB;
	qp->rq = t_alloc(rq_bytes + sq_bytes + 64);
	qp->sq = qp->rq + rq_bytes;
	qp->dbrec = (struct hw_dbrec *)(qp->sq + sq_bytes);
	qp->umem = umem(node, qp->rq, rq_bytes + sq_bytes + 64);
	if (options->share_uar_page) {
		qp->uar = options->share_uar_page;
		qp->uar_index = options->share_uar;
	} else {
		qp->uar = t_alloc(HW_UAR_BYTES);
		assert_int_equal(nic_uar_alloc(node->nic, qp->uar, NIC_UAR_BF,
					       &qp->uar_index),
				 0);
	}
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_QP);
	hw_set(in, HW_CREATE_QP_UMEM_ID, qp->umem);
	hw_set(in, HW_CREATE_QP_UMEM_VALID, 1);
	fill_qpc(qp, in + HW_QPC_OFFSET, options, rq_bytes + sq_bytes);
	assert_int_equal(t_cmd(node, in, sizeof(in), out), HW_CMD_OK);
	qp->number = hw_get(out, HW_CMD_OUT_NUMBER);
}

uint8_t t_qp_destroy(struct t_qp *qp)
{
	uint8_t status = destroy(qp->node, HW_CMD_DESTROY_QP, qp->number);

	if (status)
		return status;
	assert_int_equal(nic_umem_deregister(qp->node->nic, qp->umem), 0);
	free(qp->rq);
	/* A shared page is freed by the QP that brought it. */
	if (!nic_uar_free(qp->node->nic, qp->uar_index))
		free(qp->uar);
	return status;
}

uint8_t t_modify(struct t_qp *qp, uint16_t opcode, const struct t_qp *peer,
		 const struct t_connect *options)
{
	static const struct t_connect defaults = {.ack_timeout = 14,
						  .retries = 7,
						  .rnr_retries = 7,
						  .min_rnr_nak = 12,
						  .log_ra_max = 4};
	uint8_t in[HW_MODIFY_QP_IN_BYTES] = {0};
	uint8_t *qpc = in + HW_QPC_OFFSET, *ads = qpc + HW_QPC_PATH;
	struct nic_port port;

	if (!options)
		options = &defaults;
	hw_set(in, HW_CMD_IN_OPCODE, opcode);
	hw_set(in, HW_CMD_IN_NUMBER, qp->number);
	hw_set(qpc, HW_QPC_PM_STATE, HW_PM_MIGRATED);
	hw_set(qpc, HW_QPC_RRE, 1);
	hw_set(qpc, HW_QPC_RWE, 1);
	hw_set(qpc, HW_QPC_RAE, 1);
	hw_set(qpc, HW_QPC_ATOMIC_MODE, HW_ATOMIC_MODE_8B);
	hw_set(ads, HW_ADS_PORT, 1);
	hw_set(qpc, HW_QPC_MTU, options->mtu ? options->mtu : 5);
	hw_set(qpc, HW_QPC_LOG_MSG_MAX, 30);
	hw_set(qpc, HW_QPC_LOG_RRA_MAX, options->log_ra_max);
	hw_set(qpc, HW_QPC_LOG_SRA_MAX, options->log_ra_max);
	hw_set(qpc, HW_QPC_MIN_RNR_NAK, options->min_rnr_nak);
	hw_set(qpc, HW_QPC_NEXT_RCV_PSN, options->peer_psn);
	hw_set(qpc, HW_QPC_NEXT_SEND_PSN, options->psn);
	hw_set(qpc, HW_QPC_RETRY_COUNT, options->retries);
	hw_set(qpc, HW_QPC_RNR_RETRY, options->rnr_retries);
	hw_set(ads, HW_ADS_ACK_TIMEOUT, options->ack_timeout);
	if (peer) {
		nic_query_port(peer->node->nic, &port);
		hw_set(qpc, HW_QPC_REMOTE_QPN, peer->number);
		hw_set(ads, HW_ADS_RLID, port.lid);
		if (port.link == NIC_LINK_ROCE) {
			hw_set(ads, HW_ADS_GRH, 1);
			memcpy(ads + HW_ADS_RGID, port.gid, 16);
		}
	}
	return t_cmd(qp->node, in, sizeof(in), NULL);
}

void t_connect(struct t_qp *a, struct t_qp *b, const struct t_connect *options)
{
	struct t_connect back;

	assert_int_equal(t_modify(a, HW_CMD_RST2INIT_QP, b, options), 0);
	assert_int_equal(t_modify(a, HW_CMD_INIT2RTR_QP, b, options), 0);
	if (a != b) {
		if (options) {
			back = *options;
			back.psn = options->peer_psn;
			back.peer_psn = options->psn;
		}
		assert_int_equal(t_modify(b, HW_CMD_RST2INIT_QP, a,
					  options ? &back : NULL),
				 0);
		assert_int_equal(t_modify(b, HW_CMD_INIT2RTR_QP, a,
					  options ? &back : NULL),
				 0);
		assert_int_equal(t_modify(b, HW_CMD_RTR2RTS_QP, a,
					  options ? &back : NULL),
				 0);
	}
	assert_int_equal(t_modify(a, HW_CMD_RTR2RTS_QP, b, options), 0);
}

uint8_t t_state(struct t_qp *qp)
{
	uint8_t in[16] = {0}, out[0x1010];

	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_QUERY_QP);
	hw_set(in, HW_CMD_IN_NUMBER, qp->number);
	assert_int_equal(t_cmd(qp->node, in, sizeof(in), out), HW_CMD_OK);
	return (uint8_t)hw_get(out + HW_QPC_OFFSET, HW_QPC_STATE);
}

/* ----------------------------------------------------------------- WQE */

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
