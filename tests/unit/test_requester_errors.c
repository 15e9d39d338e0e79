/* SPDX-License-Identifier: MIT */
/*
 * Requester: counters near their wraps, windows, memory that goes before it
 * is sent, a queue pair to itself, the smallest resources.
 */
#include "support/t_pair.h"

#include <sys/mman.h>

/* Every counter starts just below a wrap: queues, CQs and PSNs. */
static void test_everything_works_across_every_wrap(void **state)
{
	static const uint32_t starts[] = {0xfffe, 0xfffffe, 0xfffffffe,
					  0x7ffffffe};
	struct t_connect connect = {.psn = 0xfffffe,
				    .peer_psn = 0x7ffffe,
				    .ack_timeout = 14,
				    .retries = 7,
				    .rnr_retries = 7,
				    .log_ra_max = 4};
	const struct t_atomic fa = {HW_OP_ATOMIC_FA, 0, {.swap_add = 1}};
	struct t_pair_options options = t_pair_defaults;
	struct hw_cqe_info info;
	struct t_pair *p;
	unsigned i, n;

	(void)state;
	options.connect = &connect;
	for (i = 0; i < 4; i++) {
		options.config.start_counter = starts[i];
		p = t_pair_open(&options);
		for (n = 0; n < 20; n++) {
			t_pair_works(p);
			t_fill(p->memory[1] + 64, T_PAIR_BYTES - 64, n);
			t_pair_rdma(p, HW_OP_RDMA_READ, T_PAIR_BYTES);
			memset(p->memory[1], 0, 8);
			t_pair_atomic(p, &fa, p->memory[1], p->memory[0]);
			t_post_recv(&p->qp[1], p->memory[1] + 64, 64,
				    p->key[1]);
			t_begin(&p->qp[0], HW_OP_SEND, 0, T_SIGNALED);
			t_inline(&p->qp[0], &n, sizeof(n));
			t_end(&p->qp[0]);
			t_ring(&p->qp[0]);
			t_pair_run(p);
			assert_true(t_poll(&p->cq[0], &info));
			assert_true(t_poll(&p->cq[0], &info));
			assert_true(t_poll(&p->cq[0], &info));
			assert_int_equal(info.opcode, HW_CQE_REQ);
			assert_int_equal(info.wqe_counter,
					 (uint16_t)(p->qp[0].sq_pi - 1));
			assert_true(t_poll(&p->cq[1], &info));
			assert_int_equal(info.wqe_counter,
					 (uint16_t)(starts[i] + n));
			assert_memory_equal(p->memory[1] + 64, &n, sizeof(n));
			assert_int_equal(p->memory[1][0], 1);
		}
		t_pair_close(p);
	}
}

/* Traffic to itself, both halves on one CQ. */
static void test_a_qp_connected_to_itself(void **state)
{
	struct t_pair *p = *state;
	struct t_qp self;
	struct t_cq cq;
	struct hw_cqe_info info;
	unsigned seen[16] = {0}, i;

	t_cq_create(&p->node[0], &cq, &t_pair_defaults.cq);
	t_qp_create(&p->node[0], &self, &cq, &cq, &t_pair_defaults.qp);
	t_connect(&self, &self, NULL);
	t_fill(p->memory[0], 1 << 20, 1);
	t_post_recv(&self, p->memory[0] + (2 << 20), 1 << 20, p->key[0]);
	t_rdma(&self, HW_OP_RDMA_WRITE, p->memory[0], p->key[0],
	       p->memory[0] + (1 << 20), p->key[0], 1 << 20);
	t_begin(&self, HW_OP_SEND, 0, T_SIGNALED);
	t_data(&self, p->memory[0], 1 << 20, p->key[0]);
	t_end(&self);
	t_ring(&self);
	t_run(p->node, 1);
	for (i = 0; i < 3; i++) {
		assert_true(t_poll(&cq, &info));
		seen[info.opcode]++;
	}
	assert_int_equal(seen[HW_CQE_REQ], 2);
	assert_int_equal(seen[HW_CQE_RESP_SEND], 1);
	assert_memory_equal(p->memory[0], p->memory[0] + (1 << 20), 1 << 20);
	assert_memory_equal(p->memory[0], p->memory[0] + (2 << 20), 1 << 20);
	assert_int_equal(t_qp_destroy(&self), 0);
	assert_int_equal(t_cq_destroy(&cq), 0);
}

/* One read or atomic at a time: the others wait, and keep their order. */
static void test_the_smallest_window_of_reads(void **state)
{
	struct t_connect connect = {.ack_timeout = 14, .log_ra_max = 0};
	struct t_pair_options options = t_pair_defaults;
	struct t_pair *p;
	uint16_t i;

	(void)state;
	options.connect = &connect;
	p = t_pair_open(&options);
	for (i = 0; i < 40; i++)
		t_pair_rdma(p, HW_OP_RDMA_READ, 2000);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	for (i = 0; i < 40; i++)
		t_expect(&p->cq[0], HW_CQE_REQ, i);
	t_pair_close(p);
}

/*
 * The memory of the second is gone when it is sent. The first is in flight:
 * it must not be reported before its answer, and must not fail with it.
 */
static void gone_behind(struct t_pair *p, uint8_t first, bool unmap)
{
	uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t key = t_mr(&p->node[0], page, 4096);

	memset(p->memory[1], 0, 4096);
	t_pair_rdma(p, first, 4096);
	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, page, key, p->memory[1], p->key[1],
	       64);
	t_pair_rdma(p, HW_OP_RDMA_WRITE, 8);
	if (unmap)
		munmap(page, 4096);
	t_ring(&p->qp[0]);
	t_fault_handler();
	while (nic_step(p->node[0].nic, 0))
		;
	/* The peer has done nothing yet. */
	t_expect_none(&p->cq[0]);
	t_pair_run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, 0);
	if (unmap) {
		t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 1,
			       HW_SYND_LOCAL_PROT);
		t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 2, HW_SYND_WR_FLUSH);
	} else {
		t_expect(&p->cq[0], HW_CQE_REQ, 1);
		t_expect(&p->cq[0], HW_CQE_REQ, 2);
		munmap(page, 4096);
	}
	t_expect_none(&p->cq[0]);
	assert_int_equal(nic_mkey_deregister(p->node[0].nic, key), 0);
	t_pair_reconnect(p);
}

static void test_a_local_failure_waits_for_what_is_in_flight(void **state)
{
	struct t_pair *p = *state;

	gone_behind(p, HW_OP_RDMA_WRITE, false);
	gone_behind(p, HW_OP_RDMA_WRITE, true);
	gone_behind(p, HW_OP_RDMA_READ, true);
	t_pair_works(p);
}

/* Long queues of both kinds, deeper than what may be in flight. */
static void test_more_wqes_than_may_be_in_flight(void **state)
{
	struct t_pair_options options = t_pair_defaults;
	struct t_pair *p;
	unsigned i;

	(void)state;
	options.qp.log_sq_size = 12;
	options.cq.log_size = 12;
	p = t_pair_open(&options);
	for (i = 0; i < 2000; i++)
		t_rdma(&p->qp[0], i % 2 ? HW_OP_RDMA_READ : HW_OP_RDMA_WRITE,
		       p->memory[0] + i * 8, p->key[0], p->memory[1] + i * 8,
		       p->key[1], 8);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	for (i = 0; i < 2000; i++)
		t_expect(&p->cq[0], HW_CQE_REQ, (uint16_t)i);
	t_pair_close(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_works_across_every_wrap),
		T_PAIR_TEST(test_a_qp_connected_to_itself),
		cmocka_unit_test(test_the_smallest_window_of_reads),
		T_PAIR_TEST(test_a_local_failure_waits_for_what_is_in_flight),
		cmocka_unit_test(test_more_wqes_than_may_be_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
