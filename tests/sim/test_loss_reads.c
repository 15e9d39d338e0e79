/* SPDX-License-Identifier: MIT */
/*
 * Single packets lost, repeated or late: reads, atomics and messages that are
 * half done.
 *
 * Source: IBTA vol. 1, 9.7.5 and 9.7.6; Linux rxe_comp.c and rxe_resp.c.
 */
#include "support/t_loss.h"

#include <stdlib.h>
#include <sys/mman.h>

/* ------------------------------------------------------ reads, atomics */

static void test_read_is_resumed_in_the_middle(void **state)
{
	struct t_loss *l = *state;
	uint16_t index = t_loss_rdma(l, HW_OP_RDMA_READ, 0, 8 * T_LOSS_MTU);
	uint32_t psn = hw_psn_add(t_loss_defaults.psn, 3);

	t_fill(l->memory[1], T_LOSS_BYTES, 7);
	t_loss_lose(l, HW_PKT_READ_RESP_MIDDLE, 2, 1);
	t_ring(&l->qp[0]);
	t_loss_run(l, T_SECOND);
	t_expect(&l->cq[0], HW_CQE_REQ, index);
	assert_memory_equal(l->memory[0], l->memory[1], 8 * T_LOSS_MTU);
	assert_int_equal(t_loss_sent(l, HW_PKT_READ_REQUEST), 2);
	assert_int_equal(t_loss_nth(l, HW_PKT_READ_REQUEST, 1)->bth.psn, psn);
	/* The rest of the answer goes on where it was, as rxe wants it. */
	assert_int_equal(t_loss_sent(l, HW_PKT_READ_RESP_FIRST), 1);
	assert_int_equal(t_loss_nth(l, HW_PKT_READ_RESP_MIDDLE, 6)->bth.psn,
			 psn);
	assert_int_equal(t_loss_sent(l, HW_PKT_READ_RESP_LAST), 2);
	assert_int_equal(t_loss_counters(l, 0).retransmits, 1);
	assert_int_equal(t_loss_counters(l, 0).local_ack_timeout_err, 0);
}

static void test_read_is_resumed_while_it_is_being_answered(void **state)
{
	struct t_loss *l = *state;
	uint16_t index = t_loss_rdma(l, HW_OP_RDMA_READ, 0, 255 * T_LOSS_MTU);

	t_fill(l->memory[1], T_LOSS_BYTES, 7);
	t_loss_lose(l, HW_PKT_READ_RESP_MIDDLE, 2, 1);
	/* The request, half of its answer, and the request for the rest. */
	l->jam_at = 101;
	t_ring(&l->qp[0]);
	nic_step(l->node[0].nic, 0);
	nic_step(l->node[1].nic, 2000);
	assert_int_equal(l->count, 101);
	nic_step(l->node[0].nic, 20000);
	l->net.rates.busy = 0;
	nic_step(l->node[0].nic, 20000);
	assert_int_equal(t_loss_sent(l, HW_PKT_READ_REQUEST), 2);
	nic_step(l->node[1].nic, 30000);
	t_loss_run(l, T_SECOND);
	t_expect(&l->cq[0], HW_CQE_REQ, index);
	assert_memory_equal(l->memory[0], l->memory[1], 255 * T_LOSS_MTU);
	assert_int_equal(t_loss_counters(l, 0).local_ack_timeout_err, 0);
}

static void test_acks_behind_a_lost_answer_are_one_retry(void **state)
{
	struct t_loss *l = *state;
	uint16_t read = t_loss_rdma(l, HW_OP_RDMA_READ, 0, 8), write[10];
	unsigned i;

	for (i = 0; i < 10; i++)
		write[i] = t_loss_rdma(l, HW_OP_RDMA_WRITE, 64 * (i + 1), 8);
	t_loss_lose(l, HW_PKT_READ_RESP_ONLY, 0, 1);
	t_ring(&l->qp[0]);
	t_loss_run(l, T_SECOND);
	t_expect(&l->cq[0], HW_CQE_REQ, read);
	for (i = 0; i < 10; i++)
		t_expect(&l->cq[0], HW_CQE_REQ, write[i]);
	assert_int_equal(t_loss_sent(l, HW_PKT_READ_REQUEST), 2);
	assert_int_equal(t_loss_counters(l, 0).retransmits, 1);
}

static void test_atomic_whose_answer_is_lost_is_applied_once(void **state)
{
	struct t_loss *l = *state;
	uint16_t first, second;

	memset(l->memory[1], 0, 8);
	t_loss_lose(l, HW_PKT_ATOMIC_ACK, 0, 3);
	first = t_loss_add(l, 5);
	second = t_loss_add(l, 70);
	t_ring(&l->qp[0]);
	t_loss_run(l, T_SECOND);
	t_expect(&l->cq[0], HW_CQE_REQ, first);
	t_expect(&l->cq[0], HW_CQE_REQ, second);
	assert_int_equal(*(uint64_t *)l->memory[1], 75);
	assert_int_equal(*(uint64_t *)l->memory[0], 5);
	assert_true(t_loss_counters(l, 1).duplicate_request > 0);
}

/* One responder resource, an old read that comes late, and a new one. */
static void test_late_duplicate_does_not_refuse_a_new_read(void **state)
{
	struct t_connect one = t_loss_defaults;
	struct t_loss *l;
	uint16_t first, second;

	(void)state;
	one.log_ra_max = 0;
	l = t_loss_open(&one);
	t_fill(l->memory[1], T_LOSS_BYTES, 7);
	first = t_loss_rdma(l, HW_OP_RDMA_READ, 0, 8);
	l->opcode = HW_PKT_READ_REQUEST;
	l->fate = T_TWICE;
	l->times = 1;
	l->net.rates.delay_ns = 1000;
	t_ring(&l->qp[0]);
	nic_step(l->node[0].nic, 0);
	nic_step(l->node[1].nic, 1199); /* the second one is due at 1200 */
	nic_step(l->node[0].nic, 2500);
	t_expect(&l->cq[0], HW_CQE_REQ, first);
	second = t_loss_rdma(l, HW_OP_RDMA_READ, 64, 8);
	t_ring(&l->qp[0]);
	nic_step(l->node[0].nic, 2500);
	/* The duplicate and, behind it, the new request. */
	nic_step(l->node[1].nic, 100000);
	nic_step(l->node[0].nic, 102000);
	t_expect(&l->cq[0], HW_CQE_REQ, second);
	assert_int_equal(t_loss_counters(l, 1).duplicate_request, 1);
	assert_memory_equal(l->memory[0] + 64, l->memory[1] + 64, 8);
	assert_int_equal(t_state(&l->qp[1]), HW_QP_RTS);
	*(struct t_loss **)state = l;
	t_loss_teardown(state);
}

static void test_late_duplicate_finds_no_key_and_fails_nobody(void **state)
{
	struct t_loss *l = *state;
	uint16_t index = t_loss_rdma(l, HW_OP_RDMA_READ, 0, 8);

	l->opcode = HW_PKT_READ_REQUEST;
	l->fate = T_TWICE;
	l->times = 1;
	t_ring(&l->qp[0]);
	nic_step(l->node[0].nic, 0);
	nic_step(l->node[1].nic, 1200);
	nic_step(l->node[0].nic, 3000);
	t_expect(&l->cq[0], HW_CQE_REQ, index);
	assert_int_equal(nic_mkey_deregister(l->node[1].nic, l->key[1]), 0);
	t_loss_run(l, T_SECOND);
	assert_int_equal(t_loss_counters(l, 1).duplicate_request, 1);
	assert_int_equal(t_state(&l->qp[1]), HW_QP_RTS);
	assert_int_equal(t_state(&l->qp[0]), HW_QP_RTS);
}

/* ------------------------------------------------------------- the rest */

static void test_refused_immediate_fails_its_receive(void **state)
{
	struct t_loss *l = *state;
	uint16_t index;

	t_post_recv(&l->qp[1], l->memory[1], T_LOSS_BYTES, l->key[1]);
	t_begin(&l->qp[0], HW_OP_RDMA_WRITE_IMM, 0, T_SIGNALED);
	t_raddr(&l->qp[0], l->memory[1], 0xdead00);
	t_data(&l->qp[0], l->memory[0], 8, l->key[0]);
	index = t_end(&l->qp[0]);
	t_ring(&l->qp[0]);
	t_loss_run(l, T_SECOND);
	t_expect_error(&l->cq[0], HW_CQE_REQ_ERR, index, HW_SYND_REMOTE_ACCESS);
	t_expect_error(&l->cq[1], HW_CQE_RESP_ERR, 0, HW_SYND_LOCAL_ACCESS);
	t_expect_none(&l->cq[1]);
}

static void test_receive_posted_in_error_is_flushed(void **state)
{
	struct t_loss *l = *state;

	assert_int_equal(t_modify(&l->qp[1], HW_CMD_2ERR_QP, NULL, NULL), 0);
	t_loss_run(l, T_SECOND);
	t_expect_none(&l->cq[1]);
	t_post_recv(&l->qp[1], l->memory[1], T_LOSS_BYTES, l->key[1]);
	t_loss_run(l, T_SECOND);
	t_expect_error(&l->cq[1], HW_CQE_RESP_ERR, 0, HW_SYND_WR_FLUSH);
	t_expect_none(&l->cq[1]);
}

/* A key that goes away fails its request, not those before it. */
static void test_lost_write_before_a_local_error_is_repeated(void **state)
{
	struct t_loss *l = *state;
	uint8_t *other = t_alloc(T_LOSS_BYTES);
	uint32_t key = t_mr(&l->node[0], other, T_LOSS_BYTES);
	uint16_t first, second;

	t_fill(l->memory[0], T_LOSS_BYTES, 7);
	first = t_loss_rdma(l, HW_OP_RDMA_WRITE, 0, T_LOSS_MTU);
	second = t_rdma(&l->qp[0], HW_OP_RDMA_WRITE, other, key, l->memory[1],
			l->key[1], 200 * T_LOSS_MTU);
	t_loss_lose(l, HW_PKT_WRITE_ONLY, 0, 1);
	l->jam_at = 100; /* half of the second is sent */
	t_ring(&l->qp[0]);
	nic_step(l->node[0].nic, 0);
	assert_int_equal(nic_mkey_deregister(l->node[0].nic, key), 0);
	l->net.rates.busy = 0;
	t_loss_run(l, T_SECOND);
	t_expect(&l->cq[0], HW_CQE_REQ, first);
	assert_int_equal(t_loss_sent(l, HW_PKT_WRITE_ONLY), 2);
	assert_memory_equal(l->memory[1], l->memory[0], T_LOSS_MTU);
	t_expect_error(&l->cq[0], HW_CQE_REQ_ERR, second, HW_SYND_LOCAL_PROT);
	t_expect_none(&l->cq[0]);
	free(other);
}

static void test_duplicate_of_a_message_in_progress_is_dropped(void **state)
{
	struct t_loss *l = *state;
	uint16_t index = t_loss_rdma(l, HW_OP_RDMA_WRITE, 0, 100 * T_LOSS_MTU);

	t_fill(l->memory[0], T_LOSS_BYTES, 7);
	l->opcode = HW_PKT_WRITE_FIRST;
	l->fate = T_TWICE;
	l->times = 1;
	l->net.rates.delay_ns = 9000;
	t_ring(&l->qp[0]);
	t_loss_run(l, T_SECOND);
	t_expect(&l->cq[0], HW_CQE_REQ, index);
	assert_int_equal(t_loss_counters(l, 1).duplicate_request, 1);
	assert_int_equal(t_loss_counters(l, 0).retransmits, 0);
	assert_memory_equal(l->memory[1], l->memory[0], 100 * T_LOSS_MTU);
}

/* Three reads of 2^22 packets: two are all that PSNs can tell apart. */
static void test_no_more_psns_than_half_of_all_are_outstanding(void **state)
{
	enum { GIB = 1 << 30 };
	struct t_loss *l = *state;
	void *big = mmap(NULL, GIB, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint32_t key;
	unsigned i;

	assert_true(big != MAP_FAILED);
	key = t_mr(&l->node[0], big, GIB);
	l->net.rates.drop = 1000;
	for (i = 0; i < 3; i++)
		t_rdma(&l->qp[0], HW_OP_RDMA_READ, big, key, big, key, GIB);
	t_ring(&l->qp[0]);
	nic_step(l->node[0].nic, 0);
	assert_int_equal(t_loss_sent(l, HW_PKT_READ_REQUEST), 2);
	munmap(big, GIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_LOSS_TEST(test_read_is_resumed_in_the_middle),
		T_LOSS_TEST(test_read_is_resumed_while_it_is_being_answered),
		T_LOSS_TEST(test_acks_behind_a_lost_answer_are_one_retry),
		T_LOSS_TEST(test_atomic_whose_answer_is_lost_is_applied_once),
		cmocka_unit_test(
			test_late_duplicate_does_not_refuse_a_new_read),
		T_LOSS_TEST(test_late_duplicate_finds_no_key_and_fails_nobody),
		T_LOSS_TEST(test_refused_immediate_fails_its_receive),
		T_LOSS_TEST(test_receive_posted_in_error_is_flushed),
		T_LOSS_TEST(test_lost_write_before_a_local_error_is_repeated),
		T_LOSS_TEST(test_duplicate_of_a_message_in_progress_is_dropped),
		T_LOSS_TEST(test_no_more_psns_than_half_of_all_are_outstanding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
