/* SPDX-License-Identifier: MIT */
/*
 * Responder: what a request packet must be, and what comes back if it is not.
 * Method: packets built by hand and put in with nic_packet_in(), as a broken
 * peer would send them; the QP they claim to come from looks on.
 */
#include "support/t_pair.h"

struct packet {
	struct nic_packet p;
	uint8_t body[WIRE_BODY_BYTES];
};

/* A request to QP 1 as if QP 0 had sent it. */
static void begin(struct t_pair *p, struct packet *k, uint8_t opcode,
		  uint32_t psn)
{
	struct hw_bth_info bth = {.opcode = opcode,
				  .pkey = HW_PKEY_DEFAULT,
				  .qpn = p->qp[1].number,
				  .psn = psn,
				  .ack_req = 1};
	struct hw_bth raw = hw_bth_encode(&bth);

	memset(k, 0, sizeof(*k));
	k->p.body = k->body;
	k->p.body_bytes = sizeof(k->body);
	k->p.src_qpn = p->qp[0].number;
	memcpy(k->p.header, &raw, sizeof(raw));
	k->p.header_len = sizeof(raw);
}

static void add_reth(struct packet *k, const void *va, uint32_t rkey,
		     uint32_t len)
{
	struct hw_reth reth = hw_reth_encode((uintptr_t)va, rkey, len);

	memcpy(k->p.header + k->p.header_len, &reth, sizeof(reth));
	k->p.header_len += sizeof(reth);
}

static void add_payload(struct packet *k, uint32_t len)
{
	memset(k->body, 0x5a, len);
	k->p.payload_len = len;
}

static void input(struct t_pair *p, const struct packet *k)
{
	t_fault_handler();
	assert_int_equal(nic_packet_in(p->node[1].nic, &k->p), 0);
	t_pair_run(p);
}

static void write_only(struct t_pair *p, struct packet *k, uint32_t psn,
		       uint32_t reth_len, uint32_t payload)
{
	begin(p, k, HW_PKT_WRITE_ONLY, psn);
	add_reth(k, p->memory[1], p->key[1], reth_len);
	add_payload(k, payload);
}

static struct nic_counters counters(struct t_pair *p)
{
	struct nic_counters c;

	nic_get_counters(p->node[1].nic, &c);
	return c;
}

static void expect_invalid(struct t_pair *p, const struct packet *k,
			   const char *text)
{
	t_forget(&p->node[1]);
	input(p, k);
	assert_int_equal(t_state(&p->qp[1]), HW_QP_ERR);
	assert_int_equal(t_events(&p->node[1], NIC_EVENT_QP_REQ_ERR), 1);
	if (!t_logged(&p->node[1], text))
		fail_msg("%s", p->node[1].log);
	t_pair_reconnect(p);
	t_pair_works(p);
	t_pair_reconnect(p);
}

static void test_a_good_packet_is_executed(void **state)
{
	struct t_pair *p = *state;
	struct packet k;
	uint8_t qpc[HW_QPC_BYTES];

	write_only(p, &k, 0, 8, 8);
	input(p, &k);
	assert_int_equal(p->memory[1][7], 0x5a);
	assert_int_equal(p->memory[1][8], 0);
	t_query_qp(&p->qp[1], qpc);
	assert_int_equal(hw_get(qpc, HW_QPC_NEXT_RCV_PSN), 1);
}

static void test_malformed_packets_are_dropped(void **state)
{
	struct t_pair *p = *state;
	struct packet k;
	unsigned len;

	assert_true(nic_packet_in(p->node[1].nic, NULL) < 0);
	for (len = 0; len <= sizeof(k.p.header); len++) {
		write_only(p, &k, 0, 8, 8);
		k.p.header_len = (uint16_t)len;
		if (len != 28)
			input(p, &k);
	}
	write_only(p, &k, 0, 8, 8);
	k.p.header[0] = 0x1f; /* no such opcode */
	input(p, &k);
	write_only(p, &k, 0, 8, 8);
	k.p.header[1] |= 1; /* version */
	input(p, &k);
	write_only(p, &k, 0, 8, 8);
	k.p.body_bytes = 7;
	input(p, &k);
	begin(p, &k, HW_PKT_READ_REQUEST, 0);
	add_reth(&k, p->memory[1], p->key[1], 8);
	add_payload(&k, 8); /* a read has none */
	input(p, &k);
	assert_int_equal(counters(p).packets_dropped, counters(p).packets_in);
	assert_int_equal(p->memory[1][0], 0);
	t_pair_works(p);
}

static void test_packets_for_nobody_are_dropped(void **state)
{
	struct t_pair *p = *state;
	struct packet k;

	write_only(p, &k, 0, 8, 8);
	k.p.src_qpn = 0x777; /* QP 1 is connected to another */
	input(p, &k);
	assert_true(t_logged(&p->node[1], "connected to another one"));
	write_only(p, &k, 0, 8, 8);
	k.p.peer = 1;
	input(p, &k);
	assert_true(t_logged(&p->node[1], "connected to another NIC"));
	write_only(p, &k, 0, 8, 8);
	k.p.header[7] ^= 0x40; /* destination QP */
	input(p, &k);
	assert_true(t_logged(&p->node[1], "no such queue pair"));
	assert_int_equal(t_modify(&p->qp[1], HW_CMD_2RST_QP, NULL, NULL), 0);
	write_only(p, &k, 0, 8, 8);
	input(p, &k);
	assert_true(t_logged(&p->node[1], "not in RTR or RTS"));
	assert_int_equal(p->memory[1][0], 0);
}

static void test_lengths_that_do_not_fit_are_invalid(void **state)
{
	struct t_pair *p = *state;
	struct packet k;

	write_only(p, &k, 0, 9, 8);
	expect_invalid(p, &k, "the payload length does not fit");
	write_only(p, &k, 0, 7, 8);
	expect_invalid(p, &k, "the payload length does not fit");
	/* The first of several must be full, the last not empty. */
	begin(p, &k, HW_PKT_WRITE_FIRST, 0);
	add_reth(&k, p->memory[1], p->key[1], 16);
	add_payload(&k, 8);
	expect_invalid(p, &k, "the payload length does not fit");
	begin(p, &k, HW_PKT_READ_REQUEST, 0);
	add_reth(&k, p->memory[1], p->key[1], (1u << 30) + 1);
	expect_invalid(p, &k, "longer than 2^qpc.log_msg_max");
}

static void test_the_order_of_packets_is_checked(void **state)
{
	static const uint8_t continued[] = {
		HW_PKT_SEND_MIDDLE,  HW_PKT_SEND_LAST,	HW_PKT_SEND_LAST_IMM,
		HW_PKT_WRITE_MIDDLE, HW_PKT_WRITE_LAST, HW_PKT_WRITE_LAST_IMM};
	struct t_pair *p = *state;
	struct packet k;
	unsigned i;

	for (i = 0; i < sizeof(continued); i++) {
		begin(p, &k, continued[i], 0);
		k.p.header_len = hw_pkt_op(continued[i]).hdr_bytes;
		add_payload(&k, 8);
		expect_invalid(p, &k, "it continues no message");
	}
}

static void test_reserved_atomic_sizes_are_invalid(void **state)
{
	static const uint32_t sizes[] = {0, 1, 2, 16, 0xffffffff};
	struct hw_masked_atomic_eth eth;
	struct t_pair *p = *state;
	struct packet k;
	unsigned i;

	for (i = 0; i < 5; i++) {
		memset(&eth, 0, sizeof(eth));
		hw_put_be64(eth.va, (uintptr_t)p->memory[1]);
		eth.rkey = to_be32(p->key[1]);
		eth.operand_bytes = to_be32(sizes[i]);
		begin(p, &k, HW_PKT_MASKED_FA, 0);
		memcpy(k.p.header + k.p.header_len, &eth, sizeof(eth));
		k.p.header_len += sizeof(eth);
		expect_invalid(p, &k,
			       sizes[i] > 1u << 30
				       ? "longer than 2^qpc.log_msg_max"
				       : "4 or 8 bytes");
	}
}

/* What the QP's context does not allow (qpc.rwe, rre, rae). */
static void test_operations_need_their_bit_in_the_context(void **state)
{
	static const struct {
		uint8_t opcode;
		struct hw_field bit;
		const char *text;
	} operations[] = {
		{HW_OP_RDMA_WRITE, {0x90, 14, 14}, "qpc.rwe is 0"},
		{HW_OP_RDMA_READ, {0x90, 15, 15}, "qpc.rre is 0"},
		{HW_OP_ATOMIC_FA, {0x90, 13, 13}, "qpc.rae is 0"},
	};
	const struct t_atomic fa = {HW_OP_ATOMIC_FA, 0, {.swap_add = 1}};
	uint8_t in[HW_MODIFY_QP_IN_BYTES];
	struct t_pair *p = *state;
	unsigned i;

	for (i = 0; i < 3; i++) {
		t_modify_mailbox(&p->qp[1], HW_CMD_RTS2RTS_QP, &p->qp[0], NULL,
				 in);
		hw_set(in, HW_QP_OPT_PARAM_MASK, 0xe);
		hw_set(in + HW_QPC_OFFSET, operations[i].bit, 0);
		assert_int_equal(t_cmd(&p->node[1], in, sizeof(in), NULL), 0);
		if (operations[i].opcode == HW_OP_ATOMIC_FA)
			t_pair_atomic(p, &fa, p->memory[1], p->memory[0]);
		else
			t_pair_rdma(p, operations[i].opcode, 8);
		t_ring(&p->qp[0]);
		t_pair_run(p);
		t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 0,
			       HW_SYND_REMOTE_INVAL_REQ);
		assert_true(t_logged(&p->node[1], operations[i].text));
		t_pair_reconnect(p);
		t_pair_works(p);
		t_pair_reconnect(p);
	}
}

/* A requester that has more in flight than the responder keeps. */
static void test_more_reads_than_resources_are_invalid(void **state)
{
	struct t_pair *p = *state;
	struct packet k;
	uint32_t i;

	t_fault_handler();
	for (i = 0; i < 17; i++) {
		begin(p, &k, HW_PKT_READ_REQUEST, i);
		add_reth(&k, p->memory[1], p->key[1], 8);
		assert_int_equal(nic_packet_in(p->node[1].nic, &k.p), 0);
	}
	t_pair_run(p);
	assert_true(t_logged(&p->node[1], "more reads and atomics than"));
	assert_int_equal(t_state(&p->qp[1]), HW_QP_ERR);
}

static void test_a_gap_is_naked_once_and_a_duplicate_is_acked(void **state)
{
	struct t_pair *p = *state;
	struct packet k;

	write_only(p, &k, 5, 8, 8);
	input(p, &k);
	input(p, &k);
	assert_int_equal(counters(p).out_of_sequence, 2);
	assert_int_equal(counters(p).packets_out, 1); /* one NAK */
	assert_int_equal(p->memory[1][0], 0);
	write_only(p, &k, 0xffffff, 8, 8); /* one before the first */
	input(p, &k);
	assert_int_equal(counters(p).duplicate_request, 1);
	assert_int_equal(counters(p).packets_out, 2);
	assert_int_equal(p->memory[1][0], 0);
	t_pair_works(p);
}

/* ------------------------------------------------------------- the QP goes */

/* In each step of a transfer; the requester must hear of it. */
static void vanish(uint8_t opcode, uint16_t how, unsigned steps)
{
	struct t_connect connect = {.ack_timeout = 8,
				    .retries = 2,
				    .rnr_retries = 7,
				    .min_rnr_nak = 1,
				    .log_ra_max = 4};
	struct t_pair_options options = t_pair_defaults;
	struct hw_cqe_info info;
	struct t_pair *p;
	unsigned i;

	options.connect = &connect;
	p = t_pair_open(&options);
	t_pair_rdma(p, opcode, T_PAIR_BYTES);
	t_ring(&p->qp[0]);
	t_fault_handler();
	for (i = 0; i < steps; i++)
		nic_step(p->node[i % 2].nic, 0);
	if (how == HW_CMD_DESTROY_QP)
		assert_int_equal(t_qp_destroy(&p->qp[1]), 0);
	else
		assert_int_equal(t_modify(&p->qp[1], how, NULL, NULL), 0);
	t_run_for(p->node, 2, 1000000000);
	assert_true(t_poll(&p->cq[0], &info));
	if (info.opcode != HW_CQE_REQ)
		assert_int_equal(info.syndrome, HW_SYND_RETRY_EXC);
	t_pair_close(p);
}

static void test_a_qp_that_goes_with_packets_in_flight(void **state)
{
	static const uint16_t how[] = {HW_CMD_DESTROY_QP, HW_CMD_2ERR_QP,
				       HW_CMD_2RST_QP};
	unsigned i, steps;

	(void)state;
	for (i = 0; i < 3; i++)
		for (steps = 0; steps < 12; steps++) {
			vanish(HW_OP_RDMA_WRITE, how[i], steps);
			vanish(HW_OP_RDMA_READ, how[i], steps);
		}
}

/* A message that had begun to arrive keeps its receive WQE: one flush. */
static void test_a_half_received_message_is_flushed_once(void **state)
{
	enum { LOOP_MTU = 1 << 20 };
	struct t_pair *p = *state;
	struct packet k;
	int i;

	for (i = 0; i < 2; i++)
		t_post_recv(&p->qp[1], p->memory[1], T_PAIR_BYTES, p->key[1]);
	begin(p, &k, HW_PKT_SEND_FIRST, 0);
	k.p.body = p->memory[0];
	k.p.body_bytes = k.p.payload_len = LOOP_MTU;
	p->memory[0][LOOP_MTU - 1] = 9;
	input(p, &k);
	assert_int_equal(p->memory[1][LOOP_MTU - 1], 9);
	t_expect_none(&p->cq[1]);
	assert_int_equal(t_modify(&p->qp[1], HW_CMD_2ERR_QP, NULL, NULL), 0);
	t_pair_run(p);
	t_expect_error(&p->cq[1], HW_CQE_RESP_ERR, 0, HW_SYND_WR_FLUSH);
	t_expect_error(&p->cq[1], HW_CQE_RESP_ERR, 1, HW_SYND_WR_FLUSH);
	t_expect_none(&p->cq[1]);
}

static void test_a_write_may_not_be_interrupted(void **state)
{
	struct t_pair *p = *state;
	struct packet k;

	begin(p, &k, HW_PKT_WRITE_FIRST, 0);
	add_reth(&k, p->memory[1], p->key[1], 2 << 20);
	k.p.body = p->memory[0];
	k.p.body_bytes = k.p.payload_len = 1 << 20;
	input(p, &k);
	write_only(p, &k, 1, 8, 8);
	expect_invalid(p, &k, "it interrupts a message");
}

static void test_a_write_with_immediate_to_memory_that_is_gone(void **state)
{
	struct t_pair *p = *state;
	uint32_t key;
	uint8_t *wild = (uint8_t *)(uintptr_t)(1ull << 46);

	/* Registered, never mapped */
	key = t_mr(&p->node[1], wild, 4096);
	t_post_recv(&p->qp[1], p->memory[1], 64, p->key[1]);
	t_begin(&p->qp[0], HW_OP_RDMA_WRITE_IMM, 0, T_SIGNALED);
	t_raddr(&p->qp[0], wild, key);
	t_data(&p->qp[0], p->memory[0], 64, p->key[0]);
	t_end(&p->qp[0]);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	t_expect_error(&p->cq[1], HW_CQE_RESP_ERR, 0, HW_SYND_LOCAL_ACCESS);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 0, HW_SYND_REMOTE_OP);
}

/* It used a receive WQE, whose buffers do not matter; a plain write none. */
static void test_a_write_with_immediate_that_its_key_refuses(void **state)
{
	static const uint32_t lengths[] = {8, 3000000}; /* ONLY; FIRST */
	struct t_pair *p = *state;
	struct hw_cqe_info info;
	unsigned i;

	for (i = 0; i < 2; i++) {
		t_post_recv(&p->qp[1], p->memory[1], 64, p->key[1]);
		t_begin(&p->qp[0], HW_OP_RDMA_WRITE_IMM, 0, T_SIGNALED);
		t_raddr(&p->qp[0], p->memory[1], p->key[1] + 1);
		t_data(&p->qp[0], p->memory[0], lengths[i], p->key[0]);
		t_end(&p->qp[0]);
		t_ring(&p->qp[0]);
		t_pair_run(p);
		t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 0,
			       HW_SYND_REMOTE_ACCESS);
		/* The first packet of many has no immediate: no receive yet. */
		assert_true(t_poll(&p->cq[1], &info));
		assert_int_equal(info.opcode, HW_CQE_RESP_ERR);
		assert_int_equal(info.wqe_counter, 0);
		assert_int_equal(info.syndrome,
				 i ? HW_SYND_WR_FLUSH : HW_SYND_LOCAL_ACCESS);
		t_expect_none(&p->cq[1]);
		t_pair_reconnect(p);
	}
}

static void test_a_receive_ring_that_is_gone(void **state)
{
	struct t_pair *p = *state;
	uint8_t in[HW_CREATE_QP_IN_BYTES], out[T_OUT];
	struct t_qp qp = p->qp[1];

	/* Rings that are not mapped, the record of QP 1. */
	memcpy(in, qp.create, sizeof(in));
	hw_set(in, HW_CREATE_QP_UMEM_ID,
	       t_umem(&p->node[1], (void *)(uintptr_t)(1ull << 46), 1 << 20));
	assert_int_equal(t_cmd(&p->node[1], in, sizeof(in), out), 0);
	qp.number = hw_get(out, HW_CMD_OUT_NUMBER);
	assert_int_equal(t_modify(&p->qp[0], HW_CMD_2RST_QP, NULL, NULL), 0);
	t_connect(&p->qp[0], &qp, NULL);
	t_post_recv(&p->qp[1], p->memory[1], 64, p->key[1]);
	t_begin(&p->qp[0], HW_OP_SEND, 0, T_SIGNALED);
	t_data(&p->qp[0], p->memory[0], 64, p->key[0]);
	t_end(&p->qp[0]);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 0, HW_SYND_REMOTE_OP);
	assert_int_equal(t_state(&qp), HW_QP_ERR);
	t_simple(&p->node[1], HW_CMD_DESTROY_QP, qp.number, NULL);
}

/* Its requester must learn why before the QP is in ERR. */
static void test_a_qp_to_itself_names_its_refusal(void **state)
{
	struct t_pair_options options = t_pair_defaults;
	struct t_pair *p;
	struct t_qp *qp;

	(void)state;
	options.unconnected = true;
	p = t_pair_open(&options);
	qp = &p->qp[0];
	t_connect(qp, qp, NULL);
	t_rdma(qp, HW_OP_RDMA_WRITE, p->memory[0], p->key[0], p->memory[0],
	       p->key[0] + 1, 8);
	t_rdma(qp, HW_OP_RDMA_WRITE, p->memory[0], p->key[0], p->memory[0],
	       p->key[0], 8);
	t_ring(qp);
	t_pair_run(p);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 0, HW_SYND_REMOTE_ACCESS);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 1, HW_SYND_WR_FLUSH);
	assert_int_equal(t_state(qp), HW_QP_ERR);
	assert_int_equal(t_events(&p->node[0], NIC_EVENT_QP_ACCESS_ERR), 1);
	t_pair_close(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_PAIR_TEST(test_a_good_packet_is_executed),
		T_PAIR_TEST(test_malformed_packets_are_dropped),
		T_PAIR_TEST(test_packets_for_nobody_are_dropped),
		T_PAIR_TEST(test_lengths_that_do_not_fit_are_invalid),
		T_PAIR_TEST(test_the_order_of_packets_is_checked),
		T_PAIR_TEST(test_reserved_atomic_sizes_are_invalid),
		T_PAIR_TEST(test_operations_need_their_bit_in_the_context),
		T_PAIR_TEST(test_more_reads_than_resources_are_invalid),
		T_PAIR_TEST(test_a_gap_is_naked_once_and_a_duplicate_is_acked),
		cmocka_unit_test(test_a_qp_that_goes_with_packets_in_flight),
		T_PAIR_TEST(test_a_half_received_message_is_flushed_once),
		T_PAIR_TEST(test_a_write_may_not_be_interrupted),
		T_PAIR_TEST(test_a_write_with_immediate_to_memory_that_is_gone),
		T_PAIR_TEST(test_a_write_with_immediate_that_its_key_refuses),
		T_PAIR_TEST(test_a_receive_ring_that_is_gone),
		cmocka_unit_test(test_a_qp_to_itself_names_its_refusal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
