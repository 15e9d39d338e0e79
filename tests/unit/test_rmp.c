/* SPDX-License-Identifier: MIT */
/*
 * Receive queues: own and shared, cyclic and linked, wraps, RNR, scatter
 * lists, a record that holds garbage, memory that is gone, the limit event.
 */
#include "support/t_pair.h"

#include <stdlib.h>

static void send(struct t_pair *p, uint32_t len)
{
	t_begin(&p->qp[0], HW_OP_SEND, 0, T_SIGNALED);
	t_data(&p->qp[0], p->memory[0], len, p->key[0]);
	t_end(&p->qp[0]);
	t_ring(&p->qp[0]);
	t_pair_run(p);
}

static void expect_recv(struct t_pair *p, uint16_t index, uint32_t len)
{
	struct hw_cqe_info info;

	assert_true(t_poll(&p->cq[1], &info));
	assert_int_equal(info.opcode, HW_CQE_RESP_SEND);
	assert_int_equal(info.wqe_counter, index);
	assert_int_equal(info.byte_cnt, len);
}

/* Every slot of queues of all sizes, over the wraps of the counters. */
static void laps(uint8_t log_size, uint32_t start)
{
	struct t_pair_options options = t_pair_defaults;
	struct t_pair *p;
	unsigned i;

	options.config.start_counter = start;
	options.qp.log_rq_size = log_size;
	p = t_pair_open(&options);
	for (i = 0; i < 40; i++) {
		t_fill(p->memory[0], 100, i);
		t_post_recv(&p->qp[1], p->memory[1] + i * 128, 128, p->key[1]);
		send(p, 100);
		t_expect(&p->cq[0], HW_CQE_REQ, (uint16_t)(start + i));
		expect_recv(p, (uint16_t)(start + i), 100);
		assert_memory_equal(p->memory[0], p->memory[1] + i * 128, 100);
	}
	t_pair_close(p);
}

static void test_queues_of_all_sizes_wrap(void **state)
{
	static const uint32_t starts[] = {0, 0xfff0, 0xfffffff0};
	unsigned i;

	(void)state;
	for (i = 0; i < 3; i++) {
		laps(0, starts[i]);
		laps(1, starts[i]);
		laps(4, starts[i]);
	}
}

static void test_a_message_is_scattered_over_the_list(void **state)
{
	struct t_pair *p = *state;
	struct hw_wqe_data seg[4];
	uint32_t i;

	for (i = 0; i < 4; i++)
		seg[i] = hw_wqe_data_encode(10 + i, p->key[1],
					    (uintptr_t)p->memory[1] + i * 64);
	t_post_recv(&p->qp[1], p->memory[1], 1, p->key[1]);
	memcpy(p->qp[1].rq, seg, sizeof(seg));
	t_fill(p->memory[0], 46, 1);
	send(p, 45); /* a byte less than there is room for */
	expect_recv(p, 0, 45);
	assert_memory_equal(p->memory[1], p->memory[0], 10);
	assert_memory_equal(p->memory[1] + 64, p->memory[0] + 10, 11);
	assert_memory_equal(p->memory[1] + 128, p->memory[0] + 21, 12);
	assert_memory_equal(p->memory[1] + 192, p->memory[0] + 33, 12);
	assert_int_equal(p->memory[1][192 + 12], 0);
}

static void test_a_message_that_just_fits_and_one_that_does_not(void **state)
{
	struct t_pair *p = *state;

	t_post_recv(&p->qp[1], p->memory[1], 5000, p->key[1]);
	send(p, 5000);
	t_expect(&p->cq[0], HW_CQE_REQ, 0);
	expect_recv(p, 0, 5000);
	t_post_recv(&p->qp[1], p->memory[1], 5000, p->key[1]);
	send(p, 5001);
	t_expect_error(&p->cq[1], HW_CQE_RESP_ERR, 1, HW_SYND_LOCAL_LENGTH);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 1, HW_SYND_REMOTE_INVAL_REQ);
	assert_int_equal(t_state(&p->qp[1]), HW_QP_ERR);
	t_pair_reconnect(p);
	t_pair_works(p);
}

static void test_a_bad_key_in_a_receive_wqe(void **state)
{
	struct t_pair *p = *state;

	t_post_recv(&p->qp[1], p->memory[1], 64, p->key[1] + 0x100);
	send(p, 64);
	t_expect_error(&p->cq[1], HW_CQE_RESP_ERR, 0, HW_SYND_LOCAL_PROT);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 0, HW_SYND_REMOTE_OP);
}

/* The count in the record is more than the queue holds: no WQE is there. */
static void test_garbage_in_the_record_is_no_receive_wqe(void **state)
{
	struct t_pair *p = *state;
	struct nic_counters counters;
	struct hw_cqe_info info;

	p->qp[1].dbrec->word[HW_DBR_RCV] = hw_dbrec_encode(17);
	send(p, 8);
	t_run_for(p->node, 2, 10000000);
	assert_false(t_poll(&p->cq[1], &info));
	nic_get_counters(p->node[0].nic, &counters);
	assert_true(counters.rnr_nak_retry_err > 2);
	/* As many as it holds is right. */
	t_post_recv(&p->qp[1], p->memory[1], 64, p->key[1]);
	p->qp[1].dbrec->word[HW_DBR_RCV] = hw_dbrec_encode(16);
	t_run_for(p->node, 2, 10000000);
	expect_recv(p, 0, 8);
}

/* --------------------------------------------------------------- shared */

struct shared {
	struct t_pair *p;
	uint8_t *memory; /* ring of 8 slots of 32 bytes, record behind it */
	uint32_t umem, number, pi;
	struct t_qp qp[2]; /* of node 1: both on the RMP */
	struct t_qp peer;  /* of node 0, of qp[1]; p->qp[0] is qp[0]'s */
};

enum { SLOTS = 8, SLOT = 32, WQ = HW_RMPC_OFFSET + HW_RMPC_WQ };

enum shape { LINKED, CYCLIC, CYCLIC_HEADED };

static void make_rmp(struct shared *s, enum shape shape, uint16_t limit)
{
	uint8_t in[HW_CREATE_RMP_IN_BYTES] = {0}, out[T_OUT];
	struct t_node *node = &s->p->node[1];

	s->memory = t_alloc(4096);
	s->umem = t_umem(node, s->memory, 4096);
	s->pi = node->start;
	*(be32 *)(s->memory + SLOTS * SLOT) = hw_dbrec_encode(s->pi);
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_RMP);
	hw_set(in + HW_RMPC_OFFSET, HW_RMPC_BASIC_CYCLIC_RCV_WQE,
	       shape == CYCLIC);
	hw_set(in + WQ, HW_WQ_TYPE,
	       shape == LINKED ? HW_WQ_LINKED_LIST : HW_WQ_CYCLIC);
	hw_set(in + WQ, HW_WQ_LWM, limit);
	hw_set(in + WQ, HW_WQ_PD, node->pd);
	hw_set(in + WQ, HW_WQ_LOG_WQ_STRIDE, 5);
	hw_set(in + WQ, HW_WQ_LOG_WQ_SZ, 3);
	hw_set(in + WQ, HW_WQ_DBR_UMEM_ID, s->umem);
	hw_set(in + WQ, HW_WQ_WQ_UMEM_ID, s->umem);
	hw_set64(in + WQ, HW_WQ_DBR_ADDR, SLOTS * SLOT);
	assert_int_equal(t_cmd(node, in, sizeof(in), out), HW_CMD_OK);
	s->number = hw_get(out, HW_CMD_OUT_NUMBER);
}

static struct shared *open_shared(enum shape shape, uint16_t limit,
				  uint32_t start)
{
	struct t_pair_options options = t_pair_defaults;
	struct shared *s = calloc(1, sizeof(*s));
	int i;

	options.config.start_counter = start;
	options.unconnected = true;
	s->p = t_pair_open(&options);
	make_rmp(s, shape, limit);
	t_qp_create(&s->p->node[0], &s->peer, &s->p->cq[0], &s->p->cq[0],
		    &options.qp);
	options.qp.rq_type = HW_RQ_SRQ;
	options.qp.rmpn = s->number;
	for (i = 0; i < 2; i++)
		t_qp_create(&s->p->node[1], &s->qp[i], &s->p->cq[1],
			    &s->p->cq[1], &options.qp);
	t_connect(&s->p->qp[0], &s->qp[0], NULL);
	t_connect(&s->peer, &s->qp[1], NULL);
	return s;
}

static void close_shared(struct shared *s)
{
	int i;

	for (i = 0; i < 2; i++)
		assert_int_equal(t_qp_destroy(&s->qp[i]), 0);
	assert_int_equal(t_qp_destroy(&s->peer), 0);
	assert_int_equal(
		t_simple(&s->p->node[1], HW_CMD_DESTROY_RMP, s->number, NULL),
		0);
	assert_int_equal(nic_umem_deregister(s->p->node[1].nic, s->umem), 0);
	t_pair_close(s->p);
	free(s->memory);
	free(s);
}

/* Into a slot; next is the slot that a linked list goes on with. */
static void post(struct shared *s, unsigned slot, unsigned next, bool headed)
{
	struct hw_wqe_srq_next head = {.next_wqe_index =
					       to_be16((uint16_t)next)};
	struct hw_wqe_data seg = hw_wqe_data_encode(
		64, s->p->key[1], (uintptr_t)s->p->memory[1] + slot * 64);
	uint8_t *at = s->memory + slot * SLOT;

	if (headed) {
		memcpy(at, &head, sizeof(head));
		at += sizeof(head);
	}
	memcpy(at, &seg, sizeof(seg));
	if (!headed) {
		seg = hw_wqe_data_encode(0, HW_LKEY_INVALID, 0);
		memcpy(at + sizeof(seg), &seg, sizeof(seg));
	}
	s->pi++;
	__atomic_store_n((uint32_t *)(s->memory + SLOTS * SLOT),
			 hw_dbrec_encode(s->pi).raw, __ATOMIC_RELEASE);
}

static void send_on(struct shared *s, struct t_qp *qp, uint8_t byte)
{
	t_begin(qp, HW_OP_SEND, 0, T_SIGNALED);
	t_inline(qp, &byte, 1);
	t_end(qp);
	t_ring(qp);
	t_pair_run(s->p);
}

static void cyclic(enum shape shape, uint32_t start)
{
	struct shared *s = open_shared(shape, 0, start);
	struct hw_cqe_info info;
	uint16_t slot;
	unsigned i;

	for (i = 0; i < 40; i++) {
		slot = (uint16_t)((start + i) % SLOTS);
		post(s, slot, 0, shape == CYCLIC_HEADED);
		send_on(s, i % 3 ? &s->p->qp[0] : &s->peer, (uint8_t)i);
		assert_true(t_poll(&s->p->cq[1], &info));
		assert_int_equal(info.opcode, HW_CQE_RESP_SEND);
		assert_int_equal(info.wqe_counter, (uint16_t)(start + i));
		assert_int_equal(info.qpn, s->qp[i % 3 ? 0 : 1].number);
		assert_int_equal(s->p->memory[1][slot * 64], i);
	}
	close_shared(s);
}

static void test_a_cyclic_queue_serves_two_qps(void **state)
{
	(void)state;
	cyclic(CYCLIC, 0);
	cyclic(CYCLIC, 0xfffd);
	cyclic(CYCLIC, 0xfffffffd);
}

/* UCX: the slots of a list, taken in turn. */
static void test_a_cyclic_queue_may_have_the_slots_of_a_list(void **state)
{
	(void)state;
	cyclic(CYCLIC_HEADED, 0);
	cyclic(CYCLIC_HEADED, 0xfffd);
}

/* The slots in an order that is not that of their numbers. */
static void test_a_linked_queue_follows_its_links(void **state)
{
	static const unsigned order[] = {0, 5, 2, 7, 1, 3, 6, 4, 0, 3, 5};
	struct shared *s = open_shared(LINKED, 0, 0);
	struct hw_cqe_info info;
	unsigned i;

	(void)state;
	for (i = 0; i < 10; i++) {
		post(s, order[i], order[i + 1], true);
		send_on(s, &s->p->qp[0], (uint8_t)(i + 1));
		assert_true(t_poll(&s->p->cq[1], &info));
		assert_int_equal(info.wqe_counter, order[i]);
		assert_int_equal(s->p->memory[1][order[i] * 64], i + 1);
	}
	close_shared(s);
}

static void test_the_limit_is_told_once(void **state)
{
	struct shared *s = open_shared(CYCLIC, 2, 0);
	unsigned i;

	(void)state;
	for (i = 0; i < 5; i++)
		post(s, i, 0, false);
	for (i = 0; i < 5; i++) {
		send_on(s, &s->p->qp[0], 1);
		/* 4, 3, 2, 1, 0 are left */
		assert_int_equal(t_events(&s->p->node[1], NIC_EVENT_SRQ_LIMIT),
				 i >= 3);
	}
	close_shared(s);
}

/* A shared queue is not flushed with one of its QPs; the event says so. */
static void test_a_failed_qp_leaves_a_shared_queue_alone(void **state)
{
	struct shared *s = open_shared(CYCLIC, 0, 0);
	struct hw_cqe_info info;

	(void)state;
	post(s, 0, 0, false);
	post(s, 1, 0, false);
	assert_int_equal(t_modify(&s->qp[0], HW_CMD_2ERR_QP, NULL, NULL), 0);
	t_pair_run(s->p);
	t_expect_none(&s->p->cq[1]);
	assert_int_equal(t_events(&s->p->node[1], NIC_EVENT_LAST_WQE), 1);
	send_on(s, &s->peer, 9);
	assert_true(t_poll(&s->p->cq[1], &info));
	assert_int_equal(info.opcode, HW_CQE_RESP_SEND);
	assert_int_equal(s->p->memory[1][0], 9);
	close_shared(s);
}

static void test_an_empty_shared_queue_is_not_ready(void **state)
{
	struct shared *s = open_shared(LINKED, 0, 0);
	struct hw_cqe_info info;

	(void)state;
	send_on(s, &s->p->qp[0], 3);
	t_expect_none(&s->p->cq[1]);
	post(s, 0, 1, true);
	t_run_for(s->p->node, 2, 10000000);
	assert_true(t_poll(&s->p->cq[1], &info));
	assert_int_equal(s->p->memory[1][0], 3);
	close_shared(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_queues_of_all_sizes_wrap),
		T_PAIR_TEST(test_a_message_is_scattered_over_the_list),
		T_PAIR_TEST(
			test_a_message_that_just_fits_and_one_that_does_not),
		T_PAIR_TEST(test_a_bad_key_in_a_receive_wqe),
		T_PAIR_TEST(test_garbage_in_the_record_is_no_receive_wqe),
		cmocka_unit_test(test_a_cyclic_queue_serves_two_qps),
		cmocka_unit_test(
			test_a_cyclic_queue_may_have_the_slots_of_a_list),
		cmocka_unit_test(test_a_linked_queue_follows_its_links),
		cmocka_unit_test(test_the_limit_is_told_once),
		cmocka_unit_test(test_a_failed_qp_leaves_a_shared_queue_alone),
		cmocka_unit_test(test_an_empty_shared_queue_is_not_ready),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
