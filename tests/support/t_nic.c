/* SPDX-License-Identifier: MIT */
/*
 * A mini driver for tests, see t_nic.h.
 */
#include "support/t_nic.h"

#include <signal.h>
#include <stdlib.h>

#include "emu/dma.h"

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

void t_forget(struct t_node *node)
{
	node->log[0] = '\0';
	node->event_count = 0;
}

uint8_t t_cmd(struct t_node *node, const void *in, size_t in_len, uint8_t *out)
{
	uint8_t local[T_OUT];

	if (!out)
		out = local;
	assert_int_equal(nic_cmd(node->nic, in, in_len, out, sizeof(local)), 0);
	return (uint8_t)hw_get(out, HW_CMD_OUT_STATUS);
}

uint8_t t_simple(struct t_node *node, uint16_t opcode, uint32_t number,
		 uint8_t *out)
{
	uint8_t in[16] = {0};

	hw_set(in, HW_CMD_IN_OPCODE, opcode);
	hw_set(in, HW_CMD_IN_NUMBER, number);
	return t_cmd(node, in, sizeof(in), out);
}

uint32_t t_pd(struct t_node *node)
{
	uint8_t out[T_OUT];

	assert_int_equal(t_simple(node, HW_CMD_ALLOC_PD, 0, out), HW_CMD_OK);
	return hw_get(out, HW_CMD_OUT_NUMBER);
}

void t_refused(struct t_node *node, const void *in, size_t in_len,
	       const struct t_refusal *expected)
{
	struct nic_usage before, after;
	uint8_t out[T_OUT];
	uint32_t syndrome;

	t_forget(node);
	nic_get_usage(node->nic, &before);
	assert_int_equal(t_cmd(node, in, in_len, out), expected->status);
	syndrome = hw_get(in, HW_CMD_IN_OPCODE) << 16 | expected->offset;
	assert_int_equal(hw_get(out, HW_CMD_OUT_SYNDROME), syndrome);
	assert_int_equal(hw_get(out, HW_CMD_OUT_NUMBER), 0);
	nic_get_usage(node->nic, &after);
	assert_memory_equal(&before, &after, sizeof(before));
	if (!t_logged(node, expected->text))
		fail_msg("the log lacks \"%s\": %s", expected->text, node->log);
}

void t_fault_handler(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS};
	static struct sigaction ours[2];
	static bool known;
	int i;

	assert_int_equal(dma_init(), 0);
	for (i = 0; i < 2; i++)
		sigaction(signals[i], known ? &ours[i] : NULL,
			  known ? NULL : &ours[i]);
	known = true;
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
	node->start = copy.start_counter;
	t_fault_handler(); /* the first call must be the one that installs */
	node->nic = nic_create(&copy);
	assert_non_null(node->nic);
	if (fabric)
		assert_int_equal(wire_loop_attach(fabric, node->nic), 0);
	node->pd = t_pd(node);
}

void t_node_close(struct t_node *node)
{
	nic_destroy(node->nic);
	node->nic = NULL;
}

static void run_until_idle(struct t_node *nodes, unsigned count)
{
	enum nic_step_result result;
	unsigned i, rounds = 0;
	bool more = true;

	while (more) {
		more = false;
		for (i = 0; i < count; i++) {
			/* The passes of two nodes do not end together. */
			do
				result =
					nic_step(nodes[i].nic, nodes[i].now_ns);
			while (result == NIC_STEP_LOOKING);
			more |= result == NIC_STEP_BUSY;
		}
		assert_true(++rounds < 10000000);
	}
}

void t_run(struct t_node *nodes, unsigned count)
{
	t_fault_handler();
	/* The first may only end a pass that a lone nic_step() began. */
	run_until_idle(nodes, count);
	run_until_idle(nodes, count);
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

static const struct t_memory *other_memory;
static bool give_other;

void t_memory(const struct t_memory *memory, bool give)
{
	other_memory = memory;
	give_other = give;
}

static struct nic_mem nic_mem(void *memory, size_t len)
{
	struct nic_mem mem = {.addr = memory, .len = len};
	void *device = other_memory ? other_memory->device(memory) : NULL;

	if (device) {
		mem.addr = device;
		mem.kind = NIC_MEM_CUDA;
	}
	return mem;
}

void t_free(void *memory)
{
	if (!other_memory || !other_memory->free(memory))
		free(memory);
}

static void *alloc_host(size_t len)
{
	void *memory = aligned_alloc(4096, (len + 4095) / 4096 * 4096);

	assert_non_null(memory);
	memset(memory, 0, (len + 4095) / 4096 * 4096);
	return memory;
}

void *t_alloc(size_t len)
{
	return give_other ? other_memory->alloc(len) : alloc_host(len);
}

uint32_t t_mr_access(struct t_node *node, void *memory, size_t len,
		     uint32_t access)
{
	struct nic_mkey_attr attr = {
		.mem = nic_mem(memory, len),
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

uint32_t t_umem(struct t_node *node, void *memory, size_t len)
{
	struct nic_mem mem = nic_mem(memory, len);
	uint32_t id;

	assert_int_equal(nic_umem_register(node->nic, &mem, &id), 0);
	return id;
}

/* ------------------------------------------------------------------ CQ */

static void cq_memory(struct t_node *node, struct t_cq *cq)
{
	size_t bytes = (size_t)cq->size * cq->stride;

	cq->ring = t_alloc(bytes + 64);
	memset(cq->ring, 0xff, bytes);
	cq->dbrec = (be32 *)(cq->ring + bytes);
	cq->ci = node->start;
	cq->dbrec[HW_CQ_DBR_CI] = to_be32(cq->ci & HW_CQE_INDEX_MASK);
	cq->umem = t_umem(node, cq->ring, bytes + 64);
	cq->uar = alloc_host(HW_UAR_BYTES);
	assert_int_equal(
		nic_uar_alloc(node->nic, cq->uar, NIC_UAR_NC, &cq->uar_index),
		0);
}

void t_cq_create(struct t_node *node, struct t_cq *cq,
		 const struct t_cq_options *options)
{
	uint8_t *in = cq->create, *cqc = in + HW_CQC_OFFSET, out[T_OUT];

	memset(cq, 0, sizeof(*cq));
	cq->node = node;
	cq->size = 1u << options->log_size;
	cq->stride = options->cqe_sz ? HW_CQE_BYTES_128 : HW_CQE_BYTES;
	cq->collapsed = options->collapsed;
	cq_memory(node, cq);
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_CQ);
	hw_set(in, HW_CREATE_CQ_UMEM_ID, cq->umem);
	hw_set(in, HW_CREATE_CQ_UMEM_VALID, 1);
	hw_set(cqc, HW_CQC_CQE_SZ, options->cqe_sz);
	hw_set(cqc, HW_CQC_CC, options->collapsed);
	hw_set(cqc, HW_CQC_OI, options->overrun_ignore);
	hw_set(cqc, HW_CQC_LOG_CQ_SIZE, options->log_size);
	hw_set(cqc, HW_CQC_UAR_PAGE, cq->uar_index);
	hw_set(cqc, HW_CQC_C_EQN, options->eqn);
	hw_set(cqc, HW_CQC_DBR_UMEM_VALID, 1);
	hw_set(cqc, HW_CQC_DBR_UMEM_ID, cq->umem);
	hw_set64(cqc, HW_CQC_DBR_ADDR, (size_t)cq->size * cq->stride);
	assert_int_equal(t_cmd(node, in, sizeof(cq->create), out), HW_CMD_OK);
	cq->number = hw_get(out, HW_CMD_OUT_NUMBER);
}

uint8_t t_cq_destroy(struct t_cq *cq)
{
	struct nic *nic = cq->node->nic;
	uint8_t status;

	if (!cq->number)
		return 0;
	if (nic) {
		status =
			t_simple(cq->node, HW_CMD_DESTROY_CQ, cq->number, NULL);
		if (status)
			return status;
		assert_int_equal(nic_umem_deregister(nic, cq->umem), 0);
		assert_int_equal(nic_uar_free(nic, cq->uar_index), 0);
	}
	cq->number = 0;
	t_free(cq->ring);
	free(cq->uar);
	return 0;
}

/* ------------------------------------------------------------------ QP */

static void fill_qpc(struct t_qp *qp, uint8_t *qpc,
		     const struct t_qp_options *options, size_t dbr_offset)
{
	hw_set(qpc, HW_QPC_ST, options->st);
	hw_set(qpc, HW_QPC_NO_SQ, options->no_sq);
	hw_set(qpc, HW_QPC_XRCD, options->xrcd);
	hw_set(qpc, HW_QPC_PM_STATE, HW_PM_MIGRATED);
	hw_set(qpc, HW_QPC_PD, qp->node->pd);
	hw_set(qpc, HW_QPC_LOG_RQ_SIZE, options->log_rq_size);
	hw_set(qpc, HW_QPC_LOG_RQ_STRIDE, options->log_rq_stride);
	hw_set(qpc, HW_QPC_LOG_SQ_SIZE, options->log_sq_size);
	hw_set(qpc, HW_QPC_RLKY, options->reserved_lkey);
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

void t_qp_rewind(struct t_qp *qp)
{
	uint32_t start = qp->node->start;

	qp->sq_pi = qp->rq_pi = start;
	qp->dbrec->word[HW_DBR_RCV] = hw_dbrec_encode(start);
	qp->dbrec->word[HW_DBR_SND] = hw_dbrec_encode(start);
}

void t_qp_create(struct t_node *node, struct t_qp *qp, struct t_cq *send,
		 struct t_cq *recv, const struct t_qp_options *options)
{
	uint8_t *in = qp->create, out[T_OUT];
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
	qp->umem = t_umem(node, qp->rq, rq_bytes + sq_bytes + 64);
	t_qp_rewind(qp);
	if (options->share_uar_page) {
		qp->uar = options->share_uar_page;
		qp->uar_index = options->share_uar;
		qp->uar_shared = true;
	} else {
		qp->uar = alloc_host(HW_UAR_BYTES);
		assert_int_equal(nic_uar_alloc(node->nic, qp->uar, NIC_UAR_BF,
					       &qp->uar_index),
				 0);
	}
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_QP);
	hw_set(in, HW_CREATE_QP_UMEM_ID, qp->umem);
	hw_set(in, HW_CREATE_QP_UMEM_VALID, 1);
	fill_qpc(qp, in + HW_QPC_OFFSET, options, rq_bytes + sq_bytes);
	assert_int_equal(t_cmd(node, in, sizeof(qp->create), out), HW_CMD_OK);
	qp->number = hw_get(out, HW_CMD_OUT_NUMBER);
}

uint8_t t_qp_destroy(struct t_qp *qp)
{
	struct nic *nic = qp->node->nic;
	uint8_t status;

	if (!qp->number)
		return 0;
	if (nic) {
		status =
			t_simple(qp->node, HW_CMD_DESTROY_QP, qp->number, NULL);
		if (status)
			return status;
		assert_int_equal(nic_umem_deregister(nic, qp->umem), 0);
	}
	qp->number = 0;
	t_free(qp->rq);
	/* A shared page is freed by the last QP that uses it. */
	if (nic ? !nic_uar_free(nic, qp->uar_index) : !qp->uar_shared)
		free(qp->uar);
	return 0;
}

void t_modify_mailbox(struct t_qp *qp, uint16_t opcode, const struct t_qp *peer,
		      const struct t_connect *options, uint8_t *in)
{
	static const struct t_connect defaults = {.ack_timeout = 14,
						  .retries = 7,
						  .rnr_retries = 7,
						  .min_rnr_nak = 12,
						  .log_ra_max = 4};
	uint8_t *qpc = in + HW_QPC_OFFSET, *ads = qpc + HW_QPC_PATH;
	struct nic_port port;

	if (!options)
		options = &defaults;
	memset(in, 0, HW_MODIFY_QP_IN_BYTES);
	hw_set(in, HW_CMD_IN_OPCODE, opcode);
	hw_set(in, HW_CMD_IN_NUMBER, qp->number);
	hw_set(qpc, HW_QPC_PM_STATE, HW_PM_MIGRATED);
	hw_set(qpc, HW_QPC_RRE, 1);
	hw_set(qpc, HW_QPC_RWE, 1);
	hw_set(qpc, HW_QPC_RAE, 1);
	hw_set(qpc, HW_QPC_ATOMIC_MODE, HW_ATOMIC_MODE_8B);
	hw_set(ads, HW_ADS_PORT, 1);
	hw_set(qpc, HW_QPC_MTU, options->mtu ? options->mtu : 5);
	hw_set(qpc, HW_QPC_LOG_MSG_MAX,
	       options->log_msg_max ? options->log_msg_max : 30);
	hw_set(qpc, HW_QPC_Q_KEY, options->qkey);
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
}

uint8_t t_modify(struct t_qp *qp, uint16_t opcode, const struct t_qp *peer,
		 const struct t_connect *options)
{
	uint8_t in[HW_MODIFY_QP_IN_BYTES];

	if (opcode == HW_CMD_2ERR_QP || opcode == HW_CMD_2RST_QP)
		return t_simple(qp->node, opcode, qp->number, NULL);
	t_modify_mailbox(qp, opcode, peer, options, in);
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

void t_ready_ud(struct t_qp *qp, uint32_t qkey)
{
	struct t_connect options = {.qkey = qkey, .log_msg_max = 12};

	assert_int_equal(t_modify(qp, HW_CMD_RST2INIT_QP, NULL, &options), 0);
	assert_int_equal(t_modify(qp, HW_CMD_INIT2RTR_QP, NULL, &options), 0);
	assert_int_equal(t_modify(qp, HW_CMD_RTR2RTS_QP, NULL, &options), 0);
}

void t_query_qp(struct t_qp *qp, uint8_t *qpc)
{
	uint8_t out[T_OUT];

	assert_int_equal(t_simple(qp->node, HW_CMD_QUERY_QP, qp->number, out),
			 HW_CMD_OK);
	memcpy(qpc, out + HW_QPC_OFFSET, HW_QPC_BYTES);
}

uint8_t t_state(struct t_qp *qp)
{
	uint8_t qpc[HW_QPC_BYTES];

	t_query_qp(qp, qpc);
	return (uint8_t)hw_get(qpc, HW_QPC_STATE);
}
