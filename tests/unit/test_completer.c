/* SPDX-License-Identifier: MIT */
/*
 * Completer: responses that are wrong, errors and what they carry, the order
 * and number of flushes, the QP after an error.
 */
#include "support/t_pair.h"

static void run(struct t_pair *p)
{
	t_ring(&p->qp[0]);
	t_pair_run(p);
}

/* The requester sends; the responder never sees it. */
static void send_only(struct t_pair *p)
{
	t_ring(&p->qp[0]);
	t_fault_handler();
	while (nic_step(p->node[0].nic, 0))
		;
}

/* A response to QP 0 as if QP 1 had sent it. */
static void respond(struct t_pair *p, uint8_t opcode, uint32_t psn,
		    uint8_t syndrome, uint32_t payload)
{
	struct hw_bth_info bth = {.opcode = opcode,
				  .pkey = HW_PKEY_DEFAULT,
				  .qpn = p->qp[0].number,
				  .psn = psn};
	struct hw_aeth aeth = hw_aeth_encode(syndrome, 0);
	struct hw_bth raw = hw_bth_encode(&bth);
	uint8_t body[WIRE_BODY_BYTES] = {0};
	struct nic_packet packet = {.body = body,
				    .body_bytes = sizeof(body),
				    .payload_len = payload,
				    .peer = 1,
				    .src_qpn = p->qp[1].number};

	memcpy(packet.header, &raw, sizeof(raw));
	memcpy(packet.header + sizeof(raw), &aeth, sizeof(aeth));
	packet.header_len = hw_pkt_op(opcode).hdr_bytes;
	assert_int_equal(nic_packet_in(p->node[0].nic, &packet), 0);
	while (nic_step(p->node[0].nic, 0))
		;
}

static void test_a_malformed_response_is_bad_resp(void **state)
{
	static const struct {
		uint8_t opcode;
		uint32_t payload;
	} responses[] = {
		{HW_PKT_READ_RESP_ONLY, 63},   {HW_PKT_READ_RESP_ONLY, 65},
		{HW_PKT_READ_RESP_ONLY, 0},    {HW_PKT_READ_RESP_FIRST, 64},
		{HW_PKT_READ_RESP_MIDDLE, 64}, {HW_PKT_ATOMIC_ACK, 0},
	};
	struct hw_cqe_info info;
	struct t_pair *p;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(responses) / sizeof(responses[0]); i++) {
		p = t_pair_open(&t_pair_defaults);
		t_pair_rdma(p, HW_OP_RDMA_READ, 64);
		send_only(p);
		respond(p, responses[i].opcode, 0, 0x1f, responses[i].payload);
		assert_true(t_poll(&p->cq[0], &info));
		assert_int_equal(info.opcode, HW_CQE_REQ_ERR);
		assert_int_equal(info.syndrome, HW_SYND_BAD_RESP);
		t_pair_close(p);
	}
}

static void test_each_nak_has_its_syndrome(void **state)
{
	static const struct {
		uint8_t nak, syndrome;
	} naks[] = {
		{HW_AETH_NAK | HW_NAK_INVALID_REQ, HW_SYND_REMOTE_INVAL_REQ},
		{HW_AETH_NAK | HW_NAK_REMOTE_ACCESS, HW_SYND_REMOTE_ACCESS},
		{HW_AETH_NAK | HW_NAK_REMOTE_OP, HW_SYND_REMOTE_OP},
		{HW_AETH_NAK | 9, HW_SYND_BAD_RESP},
	};
	struct t_pair *p;
	unsigned i;

	(void)state;
	for (i = 0; i < 4; i++) {
		p = t_pair_open(&t_pair_defaults);
		t_pair_rdma(p, HW_OP_RDMA_WRITE, 64);
		t_pair_rdma(p, HW_OP_RDMA_WRITE, 64);
		t_pair_rdma(p, HW_OP_RDMA_WRITE, 64);
		send_only(p);
		/* Of the second: it acknowledges the first. */
		respond(p, HW_PKT_ACK, 1, naks[i].nak, 0);
		t_expect(&p->cq[0], HW_CQE_REQ, 0);
		t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 1, naks[i].syndrome);
		t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 2, HW_SYND_WR_FLUSH);
		t_expect_none(&p->cq[0]);
		t_pair_close(p);
	}
}

static void test_responses_that_were_not_asked_for_are_ignored(void **state)
{
	static const uint8_t opcodes[] = {
		HW_PKT_ACK, HW_PKT_READ_RESP_ONLY, HW_PKT_ATOMIC_ACK,
		HW_PKT_READ_RESP_MIDDLE, HW_PKT_UNREACHABLE};
	struct t_pair *p = *state;
	unsigned i;

	t_fault_handler();
	for (i = 0; i < sizeof(opcodes); i++) {
		respond(p, opcodes[i], 0, 0x1f, 0);
		respond(p, opcodes[i], 0xffffff, 0x1f, 0);
	}
	respond(p, HW_PKT_ACK, 0, HW_AETH_NAK | HW_NAK_REMOTE_OP, 0);
	t_expect_none(&p->cq[0]);
	t_pair_works(p);
	/* An acknowledgement of what was never sent */
	t_pair_rdma(p, HW_OP_RDMA_WRITE, 64);
	send_only(p);
	respond(p, HW_PKT_ACK, 2, 0x1f, 0);
	respond(p, HW_PKT_ACK, 0x800000, 0x1f, 0);
	t_expect_none(&p->cq[0]);
}

/* ---------------------------------------------------------------- errors */

static void test_an_error_cqe_has_every_field(void **state)
{
	struct t_pair_options options = t_pair_defaults;
	struct hw_cqe_info info;
	struct t_pair *p;

	(void)state;
	options.qp.user_index = 0xfedcba;
	p = t_pair_open(&options);
	t_pair_works(p);
	t_rdma(&p->qp[0], HW_OP_RDMA_READ, p->memory[0], p->key[0],
	       p->memory[1], p->key[1] + 0x100, 64);
	run(p);
	assert_true(t_poll(&p->cq[0], &info));
	assert_int_equal(info.opcode, HW_CQE_REQ_ERR);
	assert_int_equal(info.wqe_opcode, HW_OP_RDMA_READ);
	assert_int_equal(info.qpn, p->qp[0].number);
	assert_int_equal(info.user_index, 0xfedcba);
	assert_int_equal(info.wqe_counter, 1);
	assert_int_equal(info.syndrome, HW_SYND_REMOTE_ACCESS);
	assert_int_equal(info.vendor_syndrome, 0x88);
	assert_int_equal(t_events(&p->node[1], NIC_EVENT_QP_ACCESS_ERR), 1);
	t_pair_close(p);
}

/* Each WQE gets one, in order: in flight, held, not fetched, unsignaled. */
static void test_flushes_come_in_order_and_for_every_wqe(void **state)
{
	struct t_pair *p = *state;
	struct hw_cqe_info info;
	uint8_t bytes[100] = {0};
	uint16_t indices[12];
	unsigned i;

	for (i = 0; i < 4; i++)
		t_post_recv(&p->qp[0], p->memory[0], 64, p->key[0]);
	for (i = 0; i < 12; i++) {
		t_begin(&p->qp[0], HW_OP_RDMA_WRITE, 0,
			hw_fm_ce_se(i == 5 ? HW_FENCE_STRONG : HW_FENCE_NONE,
				    i % 2 ? HW_CE_ALWAYS : HW_CE_ERROR_ONLY,
				    0));
		t_raddr(&p->qp[0], p->memory[1], p->key[1]);
		t_inline(&p->qp[0], bytes, i % 3 ? 10 : 100); /* 1 or 3 */
		indices[i] = t_end(&p->qp[0]);
	}
	send_only(p); /* up to the fence */
	assert_int_equal(t_modify(&p->qp[0], HW_CMD_2ERR_QP, NULL, NULL), 0);
	while (nic_step(p->node[0].nic, 0))
		;
	for (i = 0; i < 12; i++) {
		assert_true(t_poll(&p->cq[0], &info));
		assert_int_equal(info.opcode, HW_CQE_REQ_ERR);
		assert_int_equal(info.syndrome, HW_SYND_WR_FLUSH);
		assert_int_equal(info.vendor_syndrome, 0xf9);
		assert_int_equal(info.wqe_counter, indices[i]);
		assert_int_equal(info.wqe_opcode, HW_OP_RDMA_WRITE);
		assert_int_equal(info.qpn, p->qp[0].number);
	}
	for (i = 0; i < 4; i++)
		t_expect_error(&p->cq[0], HW_CQE_RESP_ERR, (uint16_t)i,
			       HW_SYND_WR_FLUSH);
	t_expect_none(&p->cq[0]);
	/* In ERR, what is posted later is flushed too: both queues. */
	t_begin(&p->qp[0], HW_OP_NOP, 0, 0);
	t_end(&p->qp[0]);
	run(p);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR,
		       (uint16_t)(p->qp[0].sq_pi - 1), HW_SYND_WR_FLUSH);
	t_post_recv(&p->qp[0], p->memory[0], 64, p->key[0]);
	t_pair_run(p);
	t_expect_error(&p->cq[0], HW_CQE_RESP_ERR, 4, HW_SYND_WR_FLUSH);
	t_pair_reconnect(p);
	t_pair_works(p);
}

/* The same with a doorbell register alone: receives have no register. */
static void test_strict_flushes_late_receives_too(void **state)
{
	struct t_pair_options options = t_pair_defaults;
	struct t_pair *p;

	(void)state;
	options.config.progress = NIC_STRICT;
	p = t_pair_open(&options);
	assert_int_equal(t_modify(&p->qp[0], HW_CMD_2ERR_QP, NULL, NULL), 0);
	t_pair_run(p);
	t_post_recv(&p->qp[0], p->memory[0], 64, p->key[0]);
	t_pair_run(p);
	t_expect_error(&p->cq[0], HW_CQE_RESP_ERR, 0, HW_SYND_WR_FLUSH);
	t_pair_close(p);
}

/* Another QP of the same NICs, with its own CQ, does not notice. */
static void test_other_qps_go_on(void **state)
{
	struct t_pair *p = *state;
	struct t_cq cq;
	struct t_qp a, b;
	int i;

	t_cq_create(&p->node[0], &cq, &t_pair_defaults.cq);
	t_qp_create(&p->node[0], &a, &cq, &cq, &t_pair_defaults.qp);
	t_qp_create(&p->node[1], &b, &p->cq[1], &p->cq[1], &t_pair_defaults.qp);
	t_connect(&a, &b, NULL);
	for (i = 0; i < 20; i++) {
		t_rdma(&a, HW_OP_RDMA_WRITE, p->memory[0], p->key[0],
		       p->memory[1], p->key[1], 5000);
		t_ring(&a);
		t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, p->memory[0], p->key[0],
		       p->memory[1], i % 2 ? 0 : p->key[1], 5000);
		run(p);
		t_expect(&cq, HW_CQE_REQ, (uint16_t)i);
		if (i % 2)
			t_pair_reconnect(p);
	}
	assert_int_equal(t_qp_destroy(&a), 0);
	assert_int_equal(t_qp_destroy(&b), 0);
	assert_int_equal(t_cq_destroy(&cq), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_malformed_response_is_bad_resp),
		cmocka_unit_test(test_each_nak_has_its_syndrome),
		T_PAIR_TEST(test_responses_that_were_not_asked_for_are_ignored),
		cmocka_unit_test(test_an_error_cqe_has_every_field),
		T_PAIR_TEST(test_flushes_come_in_order_and_for_every_wqe),
		cmocka_unit_test(test_strict_flushes_late_receives_too),
		T_PAIR_TEST(test_other_qps_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
