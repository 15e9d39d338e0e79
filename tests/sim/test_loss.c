/* SPDX-License-Identifier: MIT */
/*
 * Single packets lost, one case a test: what is sent again, what counts as a
 * retry, and what a client sees when nothing helps.
 *
 * Source: IBTA vol. 1, 9.7.5 and 9.7.6; Linux rxe_comp.c and rxe_resp.c.
 */
#include "support/t_loss.h"

/* ------------------------------------------------------------ exhaustion */

static void test_silence_ends_in_one_retry_error_and_flushes(void **state)
{
	struct t_loss *l = *state;
	uint16_t first = t_loss_rdma(l, HW_OP_RDMA_WRITE, 0, 8);
	uint16_t second = t_loss_rdma(l, HW_OP_RDMA_READ, 0, 8);

	l->net.rates.drop = 1000;
	t_ring(&l->qp[0]);
	t_loss_run(l, 60ull * T_SECOND);
	t_expect_error(&l->cq[0], HW_CQE_REQ_ERR, first, HW_SYND_RETRY_EXC);
	t_expect_error(&l->cq[0], HW_CQE_REQ_ERR, second, HW_SYND_WR_FLUSH);
	t_expect_none(&l->cq[0]);
	assert_int_equal(t_state(&l->qp[0]), HW_QP_ERR);
	/* Once, and once more for each of three retries. */
	assert_int_equal(t_loss_sent(l, HW_PKT_WRITE_ONLY), 4);
	assert_int_equal(t_loss_counters(l, 0).local_ack_timeout_err, 4);
	assert_true(nic_deadline(l->node[0].nic) == UINT64_MAX);
}

static void test_silence_after_a_while_flushes_what_came_later(void **state)
{
	struct t_loss *l = *state;
	uint16_t first = t_loss_rdma(l, HW_OP_RDMA_WRITE, 0, 600), second;

	t_ring(&l->qp[0]);
	t_loss_run(l, T_SECOND);
	t_expect(&l->cq[0], HW_CQE_REQ, first);
	l->net.rates.drop = 1000;
	second = t_loss_add(l, 1);
	t_ring(&l->qp[0]);
	t_loss_run(l, 60ull * T_SECOND);
	t_expect_error(&l->cq[0], HW_CQE_REQ_ERR, second, HW_SYND_RETRY_EXC);
	first = t_loss_rdma(l, HW_OP_RDMA_WRITE, 0, 8);
	t_ring(&l->qp[0]);
	t_loss_run(l, T_SECOND);
	t_expect_error(&l->cq[0], HW_CQE_REQ_ERR, first, HW_SYND_WR_FLUSH);
	t_expect_none(&l->cq[0]);
}

static void test_retries_are_counted_anew_after_progress(void **state)
{
	struct t_loss *l = *state;
	unsigned i;
	uint16_t index;

	for (i = 0; i < 5; i++) {
		index = t_loss_rdma(l, HW_OP_RDMA_WRITE, 0, 8);
		t_loss_lose(l, HW_PKT_WRITE_ONLY, 0, 3);
		t_ring(&l->qp[0]);
		t_loss_run(l, T_SECOND);
		t_expect(&l->cq[0], HW_CQE_REQ, index);
	}
}

/* ------------------------------------------------------------------ NAKs */

static void test_lost_sequence_nak_is_made_up_by_the_timer(void **state)
{
	struct t_loss *l = *state;
	uint16_t index = t_loss_rdma(l, HW_OP_RDMA_WRITE, 0, 4 * T_LOSS_MTU);

	t_fill(l->memory[0], T_LOSS_BYTES, 7);
	/* The gap is NAKed with an ACK packet; that is lost too. */
	t_loss_lose(l, HW_PKT_WRITE_FIRST, 0, 1);
	t_ring(&l->qp[0]);
	l->node[0].now_ns = l->node[1].now_ns = 1;
	t_run(l->node, 2);
	t_loss_lose(l, HW_PKT_ACK, 0, 1);
	t_loss_run(l, T_SECOND);
	t_expect(&l->cq[0], HW_CQE_REQ, index);
	assert_memory_equal(l->memory[1], l->memory[0], 4 * T_LOSS_MTU);
	assert_int_equal(t_loss_counters(l, 0).packet_seq_err, 0);
	assert_int_equal(t_loss_counters(l, 0).local_ack_timeout_err, 1);
	assert_int_equal(t_loss_counters(l, 0).retransmits, 1);
}

static void test_sequence_nak_is_sent_once_and_is_one_retry(void **state)
{
	struct t_loss *l = *state;
	uint16_t index = t_loss_rdma(l, HW_OP_RDMA_WRITE, 0, 20 * T_LOSS_MTU);

	t_loss_lose(l, HW_PKT_WRITE_MIDDLE, 2, 1);
	t_ring(&l->qp[0]);
	t_loss_run(l, T_SECOND);
	t_expect(&l->cq[0], HW_CQE_REQ, index);
	assert_int_equal(t_loss_counters(l, 0).packet_seq_err, 1);
	assert_int_equal(t_loss_counters(l, 0).retransmits, 1);
	assert_int_equal(t_loss_counters(l, 0).local_ack_timeout_err, 0);
	/* It goes on with the lost one: packets 0 to 2 are not repeated. */
	assert_int_equal(t_loss_sent(l, HW_PKT_WRITE_FIRST), 1);
	assert_int_equal(t_loss_sent(l, HW_PKT_WRITE_MIDDLE), 18 + 16);
}

static void test_lost_fatal_nak_ends_in_retry_error(void **state)
{
	struct t_loss *l = *state;
	uint16_t index = t_rdma(&l->qp[0], HW_OP_RDMA_WRITE, l->memory[0],
				l->key[0], l->memory[1], 0xdead00, 8);

	t_loss_lose(l, HW_PKT_ACK, 0, 1);
	t_ring(&l->qp[0]);
	t_loss_run(l, 60ull * T_SECOND);
	/* Who has refused is in ERR and answers nobody. */
	assert_int_equal(t_state(&l->qp[1]), HW_QP_ERR);
	t_expect_error(&l->cq[0], HW_CQE_REQ_ERR, index, HW_SYND_RETRY_EXC);
	t_expect_none(&l->cq[0]);
}

static void test_lost_rnr_nak_is_made_up_by_the_timer(void **state)
{
	struct t_loss *l = *state;
	uint16_t index = t_loss_send(l, 3 * T_LOSS_MTU);

	t_fill(l->memory[0], T_LOSS_BYTES, 7);
	t_loss_lose(l, HW_PKT_ACK, 0, 1);
	t_ring(&l->qp[0]);
	t_loss_run(l, 500000);
	t_post_recv(&l->qp[1], l->memory[1], T_LOSS_BYTES, l->key[1]);
	t_loss_run(l, T_SECOND);
	t_expect(&l->cq[0], HW_CQE_REQ, index);
	t_expect(&l->cq[1], HW_CQE_RESP_SEND, 0);
	assert_memory_equal(l->memory[1], l->memory[0], 3 * T_LOSS_MTU);
	assert_int_equal(t_loss_counters(l, 0).rnr_nak_retry_err, 0);
	assert_int_equal(t_loss_counters(l, 0).local_ack_timeout_err, 1);
}

static void test_rnr_is_told_once_while_later_packets_fly(void **state)
{
	struct t_loss *l = *state;
	uint16_t index = t_loss_send(l, 8 * T_LOSS_MTU), next;

	next = t_loss_rdma(l, HW_OP_RDMA_WRITE, 0, 8 * T_LOSS_MTU);
	t_ring(&l->qp[0]);
	t_loss_run(l, 5000); /* less than the RNR timer: 10 us */
	assert_int_equal(t_loss_counters(l, 0).rnr_nak_retry_err, 1);
	assert_int_equal(t_loss_counters(l, 1).out_of_sequence, 15);
	t_post_recv(&l->qp[1], l->memory[1], T_LOSS_BYTES, l->key[1]);
	t_loss_run(l, T_SECOND);
	t_expect(&l->cq[0], HW_CQE_REQ, index);
	t_expect(&l->cq[0], HW_CQE_REQ, next);
	assert_int_equal(t_loss_counters(l, 0).packet_seq_err, 0);
	assert_int_equal(t_loss_counters(l, 0).rnr_nak_retry_err, 1);
}

static void test_rnr_retries_end_in_one_error(void **state)
{
	struct t_loss *l = *state;
	uint16_t index = t_loss_send(l, 8);

	t_ring(&l->qp[0]);
	t_loss_run(l, 60ull * T_SECOND);
	t_expect_error(&l->cq[0], HW_CQE_REQ_ERR, index, HW_SYND_RNR_RETRY_EXC);
	t_expect_none(&l->cq[0]);
	assert_int_equal(t_loss_sent(l, HW_PKT_SEND_ONLY), 4);
}

static void test_nak_that_its_packet_overtakes_is_not_sent(void **state)
{
	struct t_loss *l = *state;
	uint16_t index = t_loss_send(l, 8);

	l->opcode = HW_PKT_SEND_ONLY;
	l->fate = T_TWICE;
	l->times = 1;
	l->net.rates.delay_ns = 1000;
	t_ring(&l->qp[0]);
	nic_step(l->node[0].nic, 0);
	/* The first copy finds no receive WQE, and the NAK no room. */
	l->net.rates.busy = 1000;
	nic_step(l->node[1].nic, 1199);
	t_post_recv(&l->qp[1], l->memory[1], T_LOSS_BYTES, l->key[1]);
	nic_step(l->node[1].nic, 5000);
	l->net.rates.busy = 0;
	t_loss_run(l, T_SECOND);
	t_expect(&l->cq[0], HW_CQE_REQ, index);
	t_expect(&l->cq[1], HW_CQE_RESP_SEND, 0);
	assert_int_equal(t_loss_nth(l, HW_PKT_ACK, 0)->syndrome,
			 HW_AETH_NO_CREDIT_LIMIT);
	assert_int_equal(t_loss_counters(l, 0).local_ack_timeout_err, 0);
}

static void test_old_rnr_nak_is_ignored(void **state)
{
	struct t_loss *l = *state;
	uint32_t psn = t_loss_defaults.psn;
	uint16_t index = t_loss_rdma(l, HW_OP_RDMA_WRITE, 0, 100 * T_LOSS_MTU);
	unsigned i;

	/* Packet 64 is acknowledged; the end of the message is lost. */
	t_loss_lose(l, HW_PKT_WRITE_LAST, 0, 1);
	t_ring(&l->qp[0]);
	t_loss_run(l, 100000);
	assert_int_equal(t_loss_sent(l, HW_PKT_WRITE_LAST), 1);
	for (i = 0; i < 5; i++)
		t_loss_inject_ack(l, psn, HW_AETH_RNR | 1);
	t_loss_inject_ack(l, psn, HW_AETH_NAK | HW_NAK_REMOTE_ACCESS);
	t_loss_run(l, T_SECOND);
	t_expect(&l->cq[0], HW_CQE_REQ, index);
}

static void test_answer_to_what_was_never_sent_is_ignored(void **state)
{
	struct t_loss *l = *state;
	uint16_t index;

	t_post_recv(&l->qp[1], l->memory[1], T_LOSS_BYTES, l->key[1]);
	index = t_loss_send(l, 8);
	l->net.rates.busy = 1000; /* not a packet leaves */
	t_ring(&l->qp[0]);
	nic_step(l->node[0].nic, 1);
	t_loss_inject_ack(l, t_loss_defaults.psn, HW_AETH_NO_CREDIT_LIMIT);
	t_expect_none(&l->cq[0]);
	l->net.rates.busy = 0;
	t_loss_run(l, T_SECOND);
	t_expect(&l->cq[0], HW_CQE_REQ, index);
	t_expect(&l->cq[1], HW_CQE_RESP_SEND, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_LOSS_TEST(test_silence_ends_in_one_retry_error_and_flushes),
		T_LOSS_TEST(test_silence_after_a_while_flushes_what_came_later),
		T_LOSS_TEST(test_retries_are_counted_anew_after_progress),
		T_LOSS_TEST(test_lost_sequence_nak_is_made_up_by_the_timer),
		T_LOSS_TEST(test_sequence_nak_is_sent_once_and_is_one_retry),
		T_LOSS_TEST(test_lost_fatal_nak_ends_in_retry_error),
		T_LOSS_TEST(test_lost_rnr_nak_is_made_up_by_the_timer),
		T_LOSS_TEST(test_rnr_is_told_once_while_later_packets_fly),
		T_LOSS_TEST(test_rnr_retries_end_in_one_error),
		T_LOSS_TEST(test_nak_that_its_packet_overtakes_is_not_sent),
		T_LOSS_TEST(test_old_rnr_nak_is_ignored),
		T_LOSS_TEST(test_answer_to_what_was_never_sent_is_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
