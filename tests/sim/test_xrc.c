/* SPDX-License-Identifier: MIT */
/*
 * XRC end to end: one initiator, one target, two shared receive queues; every
 * operation, also under loss; and what a packet may not name.
 */
#include "support/t_lossy.h"
#include "support/t_pair.h"
#include "support/t_xrc.h"

#include <stdlib.h>

enum { BYTES = 256 << 10 };

struct xrc {
	struct wire_loop_fabric *fabric;
	struct t_lossy net;
	struct t_node node[2];
	struct t_cq cq, target_cq, srq_cq[2];
	struct t_qp ini, tgt;
	struct t_xrc_srq srq[2];
	uint32_t xrcd, other_xrcd;
	uint8_t *memory[2];
	uint32_t key[2];
	bool lossy;
};

static void open_queues(struct xrc *x)
{
	struct t_qp_options ini = {.st = HW_QP_ST_XRC,
				   .log_sq_size = 6,
				   .rq_type = HW_RQ_SRQ,
				   .user_index = 0x77};
	struct t_qp_options tgt = {
		.st = HW_QP_ST_XRC, .no_sq = true, .rq_type = HW_RQ_SRQ};
	unsigned i;

	t_cq_create(&x->node[0], &x->cq, &t_pair_defaults.cq);
	t_cq_create(&x->node[1], &x->target_cq, &t_pair_defaults.cq);
	x->xrcd = t_xrcd(&x->node[1]);
	x->other_xrcd = t_xrcd(&x->node[1]);
	for (i = 0; i < 2; i++) {
		t_cq_create(&x->node[1], &x->srq_cq[i], &t_pair_defaults.cq);
		t_xrc_srq_create(&x->node[1], &x->srq[i], &x->srq_cq[i],
				 x->xrcd);
		x->memory[i] = t_alloc(BYTES);
		x->key[i] = t_mr(&x->node[i], x->memory[i], BYTES);
	}
	tgt.xrcd = x->xrcd;
	t_qp_create(&x->node[0], &x->ini, &x->cq, &x->cq, &ini);
	t_qp_create(&x->node[1], &x->tgt, &x->target_cq, &x->target_cq, &tgt);
	t_connect(&x->ini, &x->tgt, NULL);
}

static struct xrc *open_xrc(bool lossy)
{
	struct xrc *x = calloc(1, sizeof(*x));
	unsigned i;

	assert_non_null(x);
	x->lossy = lossy;
	x->fabric = wire_loop_create();
	t_lossy_open(&x->net, 1);
	for (i = 0; i < 2; i++) {
		t_node_open(&x->node[i], NULL, lossy ? NULL : x->fabric);
		if (lossy)
			t_lossy_attach(&x->net, &x->node[i]);
	}
	open_queues(x);
	return x;
}

static void close_xrc(struct xrc *x)
{
	unsigned i;

	assert_int_equal(t_qp_destroy(&x->ini), 0);
	assert_int_equal(t_qp_destroy(&x->tgt), 0);
	for (i = 0; i < 2; i++) {
		assert_int_equal(t_xrc_srq_destroy(&x->srq[i]), 0);
		assert_int_equal(t_cq_destroy(&x->srq_cq[i]), 0);
	}
	assert_int_equal(t_cq_destroy(&x->cq), 0);
	assert_int_equal(t_cq_destroy(&x->target_cq), 0);
	for (i = 0; i < 2; i++) {
		t_node_close(&x->node[i]);
		free(x->memory[i]);
	}
	t_lossy_close(&x->net);
	wire_loop_release(x->fabric);
	free(x);
}

static int setup(void **state)
{
	*state = open_xrc(false);
	return 0;
}

static int setup_lossy(void **state)
{
	struct xrc *x = open_xrc(true);

	x->net.rates.drop = 50;
	x->net.rates.duplicate = 20;
	x->net.rates.reorder = 20;
	x->net.rates.delay_ns = 20000;
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	close_xrc(*state);
	return 0;
}

static void run(struct xrc *x)
{
	t_ring(&x->ini);
	if (x->lossy)
		t_lossy_run(&x->net, x->node, 2, 60000000000ull);
	else
		t_run(x->node, 2);
}

static void expect_recv(struct xrc *x, unsigned i, uint8_t opcode, uint32_t len)
{
	struct hw_cqe_info info;

	assert_true(t_poll(&x->srq_cq[i], &info));
	assert_int_equal(info.opcode, opcode);
	assert_int_equal(info.byte_cnt, len);
	assert_int_equal(info.user_index, 0x5151);
	assert_int_equal(info.qpn, x->tgt.number);
	t_expect_none(&x->target_cq);
}

static void begin(struct xrc *x, uint8_t opcode, uint32_t srqn)
{
	t_begin(&x->ini, opcode, 0, T_SIGNALED);
	t_xrc(&x->ini, srqn);
}

static uint16_t post_send(struct xrc *x, uint32_t srqn, uint32_t len)
{
	begin(x, HW_OP_SEND, srqn);
	t_data(&x->ini, x->memory[0], len, x->key[0]);
	return t_end(&x->ini);
}

static void test_sends_reach_the_queue_that_they_name(void **state)
{
	static const uint32_t lengths[] = {1, 1000, 4096, 4097, 100000};
	struct xrc *x = *state;
	unsigned i, k;

	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		for (k = 0; k < 2; k++) {
			t_fill(x->memory[0], lengths[i], i * 2 + k);
			t_xrc_post_recv(&x->srq[k], x->memory[1], BYTES,
					x->key[1]);
			post_send(x, x->srq[k].number, lengths[i]);
			run(x);
			t_expect(&x->cq, HW_CQE_REQ, (uint16_t)(i * 2 + k));
			expect_recv(x, k, HW_CQE_RESP_SEND, lengths[i]);
			t_expect_none(&x->srq_cq[!k]);
			assert_memory_equal(x->memory[0], x->memory[1],
					    lengths[i]);
		}
}

static void test_writes_reads_and_atomics_work(void **state)
{
	struct hw_wqe_atomic add = hw_wqe_atomic_encode(5, 0);
	struct hw_wqe_atomic swap = hw_wqe_atomic_encode(99, 15);
	struct xrc *x = *state;
	uint64_t *target = (uint64_t *)(x->memory[1] + 128 * 1024);
	uint64_t *result = (uint64_t *)(x->memory[0] + 128 * 1024);
	uint32_t srqn = x->srq[1].number;
	unsigned i;

	*target = 10;
	t_fill(x->memory[0], 50000, 7);
	t_xrc_post_recv(&x->srq[1], x->memory[1], 0, x->key[1]);
	begin(x, HW_OP_RDMA_WRITE_IMM, srqn);
	t_raddr(&x->ini, x->memory[1], x->key[1]);
	t_data(&x->ini, x->memory[0], 50000, x->key[0]);
	t_end(&x->ini);
	begin(x, HW_OP_RDMA_READ, srqn);
	t_raddr(&x->ini, x->memory[1], x->key[1]);
	t_data(&x->ini, x->memory[0] + 64 * 1024, 50000, x->key[0]);
	t_end(&x->ini);
	begin(x, HW_OP_ATOMIC_FA, srqn);
	t_raddr(&x->ini, target, x->key[1]);
	t_segment(&x->ini, &add, sizeof(add));
	t_data(&x->ini, &result[0], 8, x->key[0]);
	t_end(&x->ini);
	begin(x, HW_OP_ATOMIC_CS, srqn);
	t_raddr(&x->ini, target, x->key[1]);
	t_segment(&x->ini, &swap, sizeof(swap));
	t_data(&x->ini, &result[1], 8, x->key[0]);
	t_end(&x->ini);
	t_begin(&x->ini, HW_OP_NOP, 0, T_SIGNALED); /* has no XRC segment */
	t_end(&x->ini);
	run(x);
	for (i = 0; i < 5; i++) {
		struct hw_cqe_info info;

		assert_true(t_poll(&x->cq, &info));
		assert_int_equal(info.opcode, HW_CQE_REQ);
		assert_int_equal(info.user_index, 0x77);
	}
	expect_recv(x, 1, HW_CQE_RESP_WR_IMM, 50000);
	assert_memory_equal(x->memory[0], x->memory[1], 50000);
	assert_memory_equal(x->memory[0] + 64 * 1024, x->memory[1], 50000);
	assert_int_equal(result[0], 10);
	assert_int_equal(result[1], 15);
	assert_int_equal(*target, 99);
}

static void test_masked_atomics_work(void **state)
{
	const struct hw_atomic_args args = {.swap_add = 0xff,
					    .compare = 0x10,
					    .swap_mask = 0x0f,
					    .compare_mask = 0xf0};
	struct hw_wqe_masked_cs_8 cs = hw_wqe_masked_cs_8_encode(&args);
	struct xrc *x = *state;
	uint64_t *target = (uint64_t *)x->memory[1];

	*target = 0x15;
	t_begin(&x->ini, HW_OP_MASKED_CS, HW_OPMOD_ATOMIC_8B, T_SIGNALED);
	t_xrc(&x->ini, x->srq[0].number);
	t_raddr(&x->ini, target, x->key[1]);
	t_segment(&x->ini, &cs, sizeof(cs));
	t_data(&x->ini, x->memory[0], 8, x->key[0]);
	t_end(&x->ini);
	run(x);
	t_expect(&x->cq, HW_CQE_REQ, 0);
	assert_int_equal(*target, 0x1f);
	assert_int_equal(*(uint64_t *)x->memory[0], 0x15);
}

static void test_many_sends_under_loss_arrive_once(void **state)
{
	struct xrc *x = *state;
	unsigned i, k;

	for (i = 0; i < 200; i++) {
		k = i % 3 == 0;
		memset(x->memory[0], (int)i, 6000);
		t_xrc_post_recv(&x->srq[k], x->memory[1], 8192, x->key[1]);
		post_send(x, x->srq[k].number, 1 + i * 29);
		run(x);
		t_expect(&x->cq, HW_CQE_REQ, (uint16_t)i);
		expect_recv(x, k, HW_CQE_RESP_SEND, 1 + i * 29);
		assert_memory_equal(x->memory[0], x->memory[1], 1 + i * 29);
	}
	t_expect_none(&x->srq_cq[0]);
	t_expect_none(&x->srq_cq[1]);
}

/* RNR: the sender waits until there is a receive WQE. */
static void test_without_a_receive_wqe_the_sender_waits(void **state)
{
	struct xrc *x = *state;

	post_send(x, x->srq[0].number, 10);
	run(x);
	t_expect_none(&x->cq);
	t_xrc_post_recv(&x->srq[0], x->memory[1], 100, x->key[1]);
	t_run_for(x->node, 2, 1000000000);
	t_expect(&x->cq, HW_CQE_REQ, 0);
	expect_recv(x, 0, HW_CQE_RESP_SEND, 10);
}

static void refuse(struct xrc *x, uint32_t srqn, const char *text)
{
	uint16_t index = post_send(x, srqn, 10);

	run(x);
	t_expect_error(&x->cq, HW_CQE_REQ_ERR, index, HW_SYND_REMOTE_INVAL_REQ);
	assert_int_equal(t_state(&x->tgt), HW_QP_ERR);
	assert_int_equal(t_events(&x->node[1], NIC_EVENT_LAST_WQE), 1);
	if (!t_logged(&x->node[1], text))
		fail_msg("%s", x->node[1].log);
	t_forget(&x->node[1]);
	assert_int_equal(t_modify(&x->ini, HW_CMD_2RST_QP, NULL, NULL), 0);
	assert_int_equal(t_modify(&x->tgt, HW_CMD_2RST_QP, NULL, NULL), 0);
	t_qp_rewind(&x->ini);
	t_connect(&x->ini, &x->tgt, NULL);
}

static void test_only_srqs_of_the_domain_can_be_named(void **state)
{
	struct xrc *x = *state;
	struct t_xrc_srq foreign;

	t_xrc_srq_create(&x->node[1], &foreign, &x->srq_cq[0], x->other_xrcd);
	t_forget(&x->node[1]);
	refuse(x, 0xff, "there is no such XRC SRQ");
	refuse(x, 0, "there is no such XRC SRQ");
	refuse(x, foreign.number, "the XRC SRQ is in another domain");
	assert_int_equal(t_xrc_srq_destroy(&foreign), 0);
	t_xrc_post_recv(&x->srq[0], x->memory[1], 100, x->key[1]);
	post_send(x, x->srq[0].number, 10);
	run(x);
	expect_recv(x, 0, HW_CQE_RESP_SEND, 10);
}

/* The rights of a write are those of the SRQ's protection domain. */
static void test_keys_belong_to_the_srqs_pd(void **state)
{
	struct xrc *x = *state;
	uint32_t pd = x->node[1].pd, key;
	uint8_t *memory = t_alloc(4096);
	struct t_xrc_srq srq;

	x->node[1].pd = t_pd(&x->node[1]);
	key = t_mr(&x->node[1], memory, 4096);
	t_xrc_srq_create(&x->node[1], &srq, &x->srq_cq[0], x->xrcd);
	begin(x, HW_OP_RDMA_READ, srq.number);
	t_raddr(&x->ini, memory, key);
	t_data(&x->ini, x->memory[0], 100, x->key[0]);
	t_end(&x->ini);
	begin(x, HW_OP_RDMA_WRITE, x->srq[0].number); /* another PD's */
	t_raddr(&x->ini, x->memory[1], x->key[1]);
	t_data(&x->ini, x->memory[0], 100, x->key[0]);
	t_end(&x->ini);
	begin(x, HW_OP_RDMA_WRITE, x->srq[0].number);
	t_raddr(&x->ini, memory, key);
	t_data(&x->ini, x->memory[0], 100, x->key[0]);
	t_end(&x->ini);
	run(x);
	t_expect(&x->cq, HW_CQE_REQ, 0);
	t_expect(&x->cq, HW_CQE_REQ, 1);
	t_expect_error(&x->cq, HW_CQE_REQ_ERR, 2, HW_SYND_REMOTE_ACCESS);
	assert_int_equal(t_xrc_srq_destroy(&srq), 0);
	assert_int_equal(nic_mkey_deregister(x->node[1].nic, key), 0);
	x->node[1].pd = pd;
	free(memory);
}

static void test_a_queue_that_goes_in_mid_message(void **state)
{
	struct xrc *x = *state;
	struct t_xrc_srq srq;
	uint16_t index;

	t_xrc_srq_create(&x->node[1], &srq, &x->srq_cq[0], x->xrcd);
	t_xrc_post_recv(&srq, x->memory[1], BYTES, x->key[1]);
	index = post_send(x, srq.number, BYTES);
	t_ring(&x->ini);
	/* 64 packets; stop in the middle. */
	t_lossy_run(&x->net, x->node, 2, 5000);
	assert_int_equal(t_xrc_srq_destroy(&srq), 0);
	run(x);
	t_expect_error(&x->cq, HW_CQE_REQ_ERR, index, HW_SYND_REMOTE_INVAL_REQ);
	t_expect_none(&x->srq_cq[0]);
}

static int setup_slow(void **state)
{
	*state = open_xrc(true);
	return 0;
}

static void test_a_wqe_without_its_xrc_segment_fails(void **state)
{
	struct xrc *x = *state;

	t_begin(&x->ini, HW_OP_SEND, 0, T_SIGNALED);
	t_end(&x->ini);
	run(x);
	t_expect_error(&x->cq, HW_CQE_REQ_ERR, 0, HW_SYND_LOCAL_QP_OP);
	assert_true(t_logged(&x->node[0], "no room for the XRC segment"));
	assert_int_equal(t_state(&x->ini), HW_QP_ERR);
}

static void test_an_initiator_answers_nobody(void **state)
{
	struct hw_bth_info bth = {.opcode = HW_PKT_SEND_ONLY | HW_PKT_XRC,
				  .pkey = HW_PKEY_DEFAULT};
	struct xrc *x = *state;
	struct nic_packet packet = {.header_len = 16, .peer = 1};
	struct hw_bth raw;

	bth.qpn = x->ini.number;
	raw = hw_bth_encode(&bth);
	memcpy(packet.header, &raw, sizeof(raw));
	assert_int_equal(nic_packet_in(x->node[0].nic, &packet), 0);
	assert_true(t_logged(&x->node[0], "an XRC initiator has no responder"));
}

int main(void)
{
#define T(name)	    cmocka_unit_test_setup_teardown(name, setup, teardown)
#define LOSSY(name) cmocka_unit_test_setup_teardown(name, setup_lossy, teardown)
	const struct CMUnitTest tests[] = {
		T(test_sends_reach_the_queue_that_they_name),
		LOSSY(test_sends_reach_the_queue_that_they_name),
		T(test_writes_reads_and_atomics_work),
		LOSSY(test_writes_reads_and_atomics_work),
		T(test_masked_atomics_work),
		LOSSY(test_masked_atomics_work),
		LOSSY(test_many_sends_under_loss_arrive_once),
		T(test_without_a_receive_wqe_the_sender_waits),
		T(test_only_srqs_of_the_domain_can_be_named),
		T(test_keys_belong_to_the_srqs_pd),
		cmocka_unit_test_setup_teardown(
			test_a_queue_that_goes_in_mid_message, setup_slow,
			teardown),
		T(test_a_wqe_without_its_xrc_segment_fails),
		T(test_an_initiator_answers_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
