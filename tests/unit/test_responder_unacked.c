/* SPDX-License-Identifier: MIT */
/*
 * UC: what arrives whole is delivered; a message with a gap, without a receive
 * WQE or without rights is forgotten, and the next one is welcome.
 * Method: whole messages over the loop wire; gaps with packets built by hand.
 */
#include "support/t_pair.h"

enum { MTU = 4096 }; /* of UC on the loop wire */

struct packet {
	struct nic_packet p;
	uint8_t body[MTU];
};

static int setup(void **state)
{
	struct t_pair_options options = t_pair_defaults;

	options.qp.st = HW_QP_ST_UC;
	*state = t_pair_open(&options);
	return 0;
}

/* A packet to QP 1 as if QP 0 had sent it, filled with the psn. */
static void input(struct t_pair *p, uint8_t opcode, uint32_t psn, uint32_t len)
{
	struct hw_bth_info bth = {.opcode = opcode | HW_PKT_UC,
				  .pkey = HW_PKEY_DEFAULT,
				  .qpn = p->qp[1].number,
				  .psn = psn,
				  .ack_req = 1};
	struct hw_bth raw = hw_bth_encode(&bth);
	static struct packet k;

	memset(&k, 0, sizeof(k));
	memset(k.body, (int)psn, len);
	k.p.body = k.body;
	k.p.body_bytes = sizeof(k.body);
	k.p.payload_len = len;
	k.p.src_qpn = p->qp[0].number;
	memcpy(k.p.header, &raw, sizeof(raw));
	k.p.header_len = sizeof(raw);
	if (hw_pkt_op(opcode).flags & HW_PKTF_RETH) {
		uint32_t whole = opcode == HW_PKT_WRITE_FIRST ? 2 * MTU : len;
		struct hw_reth reth = hw_reth_encode((uintptr_t)p->memory[1],
						     p->key[1], whole);

		memcpy(k.p.header + k.p.header_len, &reth, sizeof(reth));
		k.p.header_len += sizeof(reth);
	}
	if (hw_pkt_op(opcode).flags & HW_PKTF_IMMDT)
		k.p.header_len += HW_IMMDT_BYTES;
	t_fault_handler();
	assert_int_equal(nic_packet_in(p->node[1].nic, &k.p), 0);
	t_pair_run(p);
}

static void post_recv(struct t_pair *p)
{
	memset(p->memory[1], 0xee, 4 * MTU);
	t_post_recv(&p->qp[1], p->memory[1], 4 * MTU, p->key[1]);
}

static void expect_recv(struct t_pair *p, uint8_t opcode, uint16_t index,
			uint32_t len)
{
	struct hw_cqe_info info;

	assert_true(t_poll(&p->cq[1], &info));
	assert_int_equal(info.opcode, opcode);
	assert_int_equal(info.wqe_counter, index);
	assert_int_equal(info.byte_cnt, len);
	t_expect_none(&p->cq[1]);
}

/* Nothing goes back: no ACK, no NAK, no notice. */
static void expect_silence(struct t_pair *p)
{
	struct nic_counters counters;

	nic_get_counters(p->node[1].nic, &counters);
	assert_int_equal(counters.packets_out, 0);
	nic_get_counters(p->node[0].nic, &counters);
	assert_int_equal(counters.packets_in, 0);
	assert_int_equal(t_state(&p->qp[1]), HW_QP_RTS);
}

static void test_sends_and_writes_of_any_length_arrive(void **state)
{
	static const uint32_t lengths[] = {0,	    1,	     1024,    1025,
					   MTU,	    MTU + 1, 2 * MTU, 300001,
					   1 << 20, 3000000};
	struct t_pair *p = *state;
	struct hw_cqe_info info;
	uint16_t index;
	unsigned i;

	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		t_fill(p->memory[0], lengths[i], i);
		t_post_recv(&p->qp[1], p->memory[1], T_PAIR_BYTES, p->key[1]);
		t_begin(&p->qp[0], HW_OP_SEND_IMM, 0, T_SIGNALED);
		t_imm(&p->qp[0], 77 + i);
		if (lengths[i])
			t_data(&p->qp[0], p->memory[0], lengths[i], p->key[0]);
		index = t_end(&p->qp[0]);
		t_ring(&p->qp[0]);
		t_pair_run(p);
		t_expect(&p->cq[0], HW_CQE_REQ, index);
		assert_true(t_poll(&p->cq[1], &info));
		assert_int_equal(info.opcode, HW_CQE_RESP_SEND_IMM);
		assert_int_equal(info.imm, 77 + i);
		assert_int_equal(info.byte_cnt, lengths[i]);
		assert_memory_equal(p->memory[0], p->memory[1], lengths[i]);
		if (!lengths[i])
			continue;
		memset(p->memory[1], 0, lengths[i]);
		index = t_pair_rdma(p, HW_OP_RDMA_WRITE, lengths[i]);
		t_ring(&p->qp[0]);
		t_pair_run(p);
		t_expect(&p->cq[0], HW_CQE_REQ, index);
		assert_memory_equal(p->memory[0], p->memory[1], lengths[i]);
	}
	expect_silence(p);
}

static void test_write_with_immediate_takes_a_receive_wqe(void **state)
{
	struct t_pair *p = *state;
	struct hw_cqe_info info;

	post_recv(p);
	t_begin(&p->qp[0], HW_OP_RDMA_WRITE_IMM, 0, T_SIGNALED);
	t_imm(&p->qp[0], 5);
	t_raddr(&p->qp[0], p->memory[1], p->key[1]);
	t_data(&p->qp[0], p->memory[0], 5000, p->key[0]);
	t_end(&p->qp[0]);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, 0);
	assert_true(t_poll(&p->cq[1], &info));
	assert_int_equal(info.opcode, HW_CQE_RESP_WR_IMM);
	assert_int_equal(info.byte_cnt, 5000);
}

static void test_a_gap_drops_the_message_and_keeps_its_wqe(void **state)
{
	struct t_pair *p = *state;
	struct nic_counters counters;

	post_recv(p);
	input(p, HW_PKT_SEND_FIRST, 0, MTU);
	input(p, HW_PKT_SEND_MIDDLE, 2, MTU); /* 1 is lost */
	input(p, HW_PKT_SEND_LAST, 3, 10);
	t_expect_none(&p->cq[1]);
	nic_get_counters(p->node[1].nic, &counters);
	assert_int_equal(counters.out_of_sequence, 1);
	assert_int_equal(counters.packets_dropped, 2);
	/* The next message starts anywhere, into the same WQE. */
	input(p, HW_PKT_SEND_FIRST, 100, MTU);
	input(p, HW_PKT_SEND_LAST, 101, 10);
	expect_recv(p, HW_CQE_RESP_SEND, 0, MTU + 10);
	assert_int_equal(p->memory[1][0], 100);
	assert_int_equal(p->memory[1][MTU], 101);
	assert_int_equal(p->memory[1][MTU + 10], 0xee);
	expect_silence(p);
}

static void test_a_message_whose_end_is_lost_gives_way(void **state)
{
	struct t_pair *p = *state;

	post_recv(p);
	input(p, HW_PKT_SEND_FIRST, 0, MTU);
	/* In sequence, so the LAST was never sent; or later, so it was lost */
	input(p, HW_PKT_SEND_ONLY, 1, 7);
	expect_recv(p, HW_CQE_RESP_SEND, 0, 7);
	post_recv(p);
	input(p, HW_PKT_SEND_FIRST, 2, MTU);
	input(p, HW_PKT_SEND_ONLY, 9, 8);
	expect_recv(p, HW_CQE_RESP_SEND, 1, 8);
	expect_silence(p);
}

static void test_a_psn_from_the_past_starts_a_message_too(void **state)
{
	struct t_pair *p = *state;

	post_recv(p);
	input(p, HW_PKT_SEND_ONLY, 0xfffffe, 7);
	expect_recv(p, HW_CQE_RESP_SEND, 0, 7);
	post_recv(p);
	input(p, HW_PKT_SEND_ONLY, 0xfffffe, 7);
	expect_recv(p, HW_CQE_RESP_SEND, 1, 7);
}

static void test_what_continues_nothing_is_dropped(void **state)
{
	struct t_pair *p = *state;

	post_recv(p);
	input(p, HW_PKT_SEND_MIDDLE, 0, MTU);
	input(p, HW_PKT_SEND_LAST, 1, 9);
	input(p, HW_PKT_WRITE_LAST, 2, 9);
	input(p, HW_PKT_SEND_FIRST, 3, MTU);
	input(p, HW_PKT_WRITE_LAST, 4, 9); /* of another kind */
	input(p, HW_PKT_SEND_LAST, 5, 9);
	t_expect_none(&p->cq[1]);
	input(p, HW_PKT_SEND_ONLY, 6, 7);
	expect_recv(p, HW_CQE_RESP_SEND, 0, 7);
	expect_silence(p);
}

static void test_an_abandoned_sends_wqe_serves_a_write(void **state)
{
	struct t_pair *p = *state;

	post_recv(p);
	input(p, HW_PKT_SEND_FIRST, 0, MTU);
	input(p, HW_PKT_WRITE_ONLY, 1, 20); /* none of its business */
	t_expect_none(&p->cq[1]);
	assert_int_equal(p->memory[1][0], 1);
	input(p, HW_PKT_WRITE_ONLY_IMM, 2, 30);
	expect_recv(p, HW_CQE_RESP_WR_IMM, 0, 30);
	/* It was the only one. */
	input(p, HW_PKT_WRITE_ONLY_IMM, 3, 30);
	t_expect_none(&p->cq[1]);
}

static void test_without_a_receive_wqe_it_is_lost(void **state)
{
	struct t_pair *p = *state;
	struct nic_counters counters;

	input(p, HW_PKT_SEND_FIRST, 0, MTU);
	post_recv(p);
	input(p, HW_PKT_SEND_LAST, 1, 10);
	t_expect_none(&p->cq[1]);
	nic_get_counters(p->node[1].nic, &counters);
	assert_int_equal(counters.out_of_buffer, 1);
	input(p, HW_PKT_SEND_ONLY, 2, 10);
	expect_recv(p, HW_CQE_RESP_SEND, 0, 10);
	expect_silence(p);
}

static void test_a_write_without_rights_is_dropped(void **state)
{
	struct t_pair *p = *state;

	p->key[1]++;
	input(p, HW_PKT_WRITE_FIRST, 0, MTU);
	input(p, HW_PKT_WRITE_LAST, 1, MTU);
	assert_true(t_logged(&p->node[1], "its sender is not told"));
	assert_int_equal(p->memory[1][0], 0);
	p->key[1]--;
	input(p, HW_PKT_WRITE_FIRST, 2, MTU);
	input(p, HW_PKT_WRITE_LAST, 3, MTU);
	assert_int_equal(p->memory[1][0], 2);
	assert_int_equal(p->memory[1][MTU], 3);
	expect_silence(p);
	assert_int_equal(t_events(&p->node[1], NIC_EVENT_QP_ACCESS_ERR), 0);
}

static void test_lengths_that_do_not_fit_are_dropped(void **state)
{
	struct t_pair *p = *state;

	post_recv(p);
	input(p, HW_PKT_SEND_FIRST, 0, MTU - 1);
	input(p, HW_PKT_SEND_LAST, 1, 10);
	input(p, HW_PKT_SEND_FIRST, 2, MTU);
	input(p, HW_PKT_SEND_LAST, 3, 0);
	t_expect_none(&p->cq[1]);
	expect_silence(p);
}

static void test_a_buffer_that_is_too_short_fails_the_receiver(void **state)
{
	struct t_pair *p = *state;

	t_post_recv(&p->qp[1], p->memory[1], MTU + 9, p->key[1]);
	t_post_recv(&p->qp[1], p->memory[1], MTU, p->key[1]);
	input(p, HW_PKT_SEND_FIRST, 0, MTU);
	input(p, HW_PKT_SEND_LAST, 1, 10);
	t_expect_error(&p->cq[1], HW_CQE_RESP_ERR, 0, HW_SYND_LOCAL_LENGTH);
	t_expect_error(&p->cq[1], HW_CQE_RESP_ERR, 1, HW_SYND_WR_FLUSH);
	assert_int_equal(t_state(&p->qp[1]), HW_QP_ERR);
	assert_int_equal(t_state(&p->qp[0]), HW_QP_RTS);
}

static void test_a_held_wqe_is_flushed(void **state)
{
	struct t_pair *p = *state;

	post_recv(p);
	input(p, HW_PKT_SEND_FIRST, 0, MTU);
	input(p, HW_PKT_SEND_LAST, 5, 10);
	assert_int_equal(t_modify(&p->qp[1], HW_CMD_2ERR_QP, NULL, NULL), 0);
	t_pair_run(p);
	t_expect_error(&p->cq[1], HW_CQE_RESP_ERR, 0, HW_SYND_WR_FLUSH);
	t_expect_none(&p->cq[1]);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, t_pair_teardown)
	const struct CMUnitTest tests[] = {
		T(test_sends_and_writes_of_any_length_arrive),
		T(test_write_with_immediate_takes_a_receive_wqe),
		T(test_a_gap_drops_the_message_and_keeps_its_wqe),
		T(test_a_message_whose_end_is_lost_gives_way),
		T(test_a_psn_from_the_past_starts_a_message_too),
		T(test_what_continues_nothing_is_dropped),
		T(test_an_abandoned_sends_wqe_serves_a_write),
		T(test_without_a_receive_wqe_it_is_lost),
		T(test_a_write_without_rights_is_dropped),
		T(test_lengths_that_do_not_fit_are_dropped),
		T(test_a_buffer_that_is_too_short_fails_the_receiver),
		T(test_a_held_wqe_is_flushed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
