/* SPDX-License-Identifier: MIT */
/*
 * WAIT, DUMP, fences, and when a WQE gets a CQE.
 */
#include "support/t_pair.h"

static void run(struct t_pair *p)
{
	t_ring(&p->qp[0]);
	t_pair_run(p);
}

static uint16_t wait(struct t_qp *qp, uint32_t index, uint32_t cqn)
{
	struct hw_wqe_wait seg = hw_wqe_wait_encode(index, cqn);

	seg.rsvd0[0] = to_be32(0xdeadbeef); /* DOCA leaves garbage there */
	t_begin(qp, HW_OP_WAIT, 0, T_SIGNALED);
	t_segment(qp, &seg, sizeof(seg));
	return t_end(qp);
}

static uint16_t nop(struct t_qp *qp, uint8_t fm_ce_se)
{
	t_begin(qp, HW_OP_NOP, 0, fm_ce_se);
	return t_end(qp);
}

/* ----------------------------------------------------------------- WAIT */

/* NCCL's counters: a companion queue waits for the CQ of the main one. */
static void wait_on_another(uint32_t start)
{
	struct t_pair_options options = t_pair_defaults;
	struct t_qp companion;
	struct t_cq cq;
	struct t_pair *p;
	uint32_t i;

	options.config.start_counter = start;
	p = t_pair_open(&options);
	t_cq_create(&p->node[0], &cq, &options.cq);
	t_qp_create(&p->node[0], &companion, &cq, &cq, &options.qp);
	t_connect(&companion, &companion, NULL);
	for (i = 0; i < 5; i++) {
		wait(&companion, start + i, p->cq[0].number);
		t_ring(&companion);
		t_pair_run(p);
		t_expect_none(&cq);
		t_pair_works(p); /* one CQE */
		t_pair_run(p);
		t_expect(&cq, HW_CQE_REQ, (uint16_t)(start + i));
	}
	/* One that is there already does not wait. */
	wait(&companion, start, p->cq[0].number);
	t_ring(&companion);
	t_pair_run(p);
	t_expect(&cq, HW_CQE_REQ, (uint16_t)(start + 5));
	assert_int_equal(t_qp_destroy(&companion), 0);
	assert_int_equal(t_cq_destroy(&cq), 0);
	t_pair_close(p);
}

static void test_wait_holds_the_queue_until_a_cq_has_moved(void **state)
{
	(void)state;
	wait_on_another(0);
}

static void test_wait_survives_the_wrap_of_its_index(void **state)
{
	(void)state;
	wait_on_another(0xfffffffd);
	wait_on_another(0xfffffd);
	wait_on_another(0xfffd);
	wait_on_another(0x7ffffffd);
}

static void test_wait_on_its_own_cq(void **state)
{
	struct t_pair *p = *state;

	t_pair_rdma(p, HW_OP_RDMA_READ, 64);
	wait(&p->qp[0], 0, p->cq[0].number);
	nop(&p->qp[0], T_SIGNALED);
	run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, 0);
	t_expect(&p->cq[0], HW_CQE_REQ, 1);
	t_expect(&p->cq[0], HW_CQE_REQ, 2);
	/* For ever: the CQE that it waits for would be its own. */
	wait(&p->qp[0], 3, p->cq[0].number);
	run(p);
	t_expect_none(&p->cq[0]);
	assert_int_equal(t_modify(&p->qp[0], HW_CMD_2ERR_QP, NULL, NULL), 0);
	t_pair_run(p);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 3, HW_SYND_WR_FLUSH);
}

static void test_wait_for_a_cq_that_is_not_there_fails(void **state)
{
	struct t_pair *p = *state;

	wait(&p->qp[0], 0, 0x777);
	run(p);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 0, HW_SYND_LOCAL_QP_OP);
	assert_true(t_logged(&p->node[0], "it waits for CQ 0x777"));
}

static void test_destroying_the_cq_ends_a_wait_with_an_error(void **state)
{
	struct t_pair *p = *state;
	struct t_cq cq;

	t_cq_create(&p->node[0], &cq, &t_pair_defaults.cq);
	nop(&p->qp[0], T_SIGNALED);
	wait(&p->qp[0], 0, cq.number);
	nop(&p->qp[0], T_SIGNALED);
	run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, 0);
	t_expect_none(&p->cq[0]);
	assert_int_equal(t_cq_destroy(&cq), 0);
	t_pair_run(p);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 1, HW_SYND_LOCAL_QP_OP);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 2, HW_SYND_WR_FLUSH);
	assert_true(t_logged(&p->node[0], "was destroyed"));
	t_pair_reconnect(p);
	t_pair_works(p);
}

/* A WAIT that is dropped leaves its CQ able to wake the next one. */
static void test_a_dropped_wait_does_not_disturb_the_next(void **state)
{
	struct t_pair *p = *state;
	struct t_cq cq;
	struct t_qp other;

	t_cq_create(&p->node[0], &cq, &t_pair_defaults.cq);
	t_qp_create(&p->node[0], &other, &cq, &cq, &t_pair_defaults.qp);
	t_connect(&other, &other, NULL);
	wait(&p->qp[0], 0, cq.number);
	run(p);
	t_pair_reconnect(p);
	wait(&p->qp[0], 0, cq.number);
	run(p);
	t_expect_none(&p->cq[0]);
	nop(&other, T_SIGNALED);
	t_ring(&other);
	t_pair_run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, 0);
	assert_int_equal(t_qp_destroy(&other), 0);
	assert_int_equal(t_cq_destroy(&cq), 0);
}

/* ----------------------------------------------------------------- DUMP */

static uint16_t dump(struct t_pair *p, enum hw_fence fence, void *memory)
{
	t_begin(&p->qp[0], HW_OP_DUMP, 0, hw_fm_ce_se(fence, HW_CE_ALWAYS, 0));
	t_data(&p->qp[0], memory, 1, p->key[0]);
	return t_end(&p->qp[0]);
}

/* DOCA posts it without a fence, NVSHMEM with one: both mean a barrier. */
static void test_dump_completes_after_the_read_before_it(void **state)
{
	static const enum hw_fence fences[] = {HW_FENCE_NONE, HW_FENCE_FENCE};
	struct t_pair *p = *state;
	struct hw_cqe_info info;
	uint16_t index;
	unsigned i;

	for (i = 0; i < 2; i++) {
		t_fill(p->memory[1], 500000, i);
		memset(p->memory[0], 0, 500000);
		t_begin(&p->qp[0], HW_OP_RDMA_READ, 0, 0);
		t_raddr(&p->qp[0], p->memory[1], p->key[1]);
		t_data(&p->qp[0], p->memory[0], 500000, p->key[0]);
		t_end(&p->qp[0]);
		index = dump(p, fences[i], p->memory[0]);
		t_ring(&p->qp[0]);
		while (!t_poll(&p->cq[0], &info)) {
			t_fault_handler();
			nic_step(p->node[0].nic, 0);
			nic_step(p->node[1].nic, 0);
		}
		assert_int_equal(info.opcode, HW_CQE_REQ);
		assert_int_equal(info.wqe_counter, index);
		assert_memory_equal(p->memory[0], p->memory[1], 500000);
	}
}

static void test_dump_checks_its_key_and_its_memory(void **state)
{
	struct t_pair *p = *state;

	dump(p, HW_FENCE_NONE, p->memory[0] + T_PAIR_BYTES);
	run(p);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 0, HW_SYND_LOCAL_PROT);
}

/* --------------------------------------------------------------- fences */

/* Is the WRITE behind a READ held until the data is there? */
static bool held(struct t_pair *p, enum hw_fence fence, uint8_t before)
{
	uint64_t *local = (uint64_t *)p->memory[0];
	uint64_t *remote = (uint64_t *)p->memory[1];
	bool waited;

	local[0] = 1;
	remote[0] = 7; /* READ brings it to local[0] */
	remote[1] = 0; /* WRITE takes local[0] there */
	t_rdma(&p->qp[0], before, &local[0], p->key[0], &remote[0], p->key[1],
	       8);
	t_begin(&p->qp[0], HW_OP_RDMA_WRITE, 0,
		hw_fm_ce_se(fence, HW_CE_ALWAYS, 0));
	t_raddr(&p->qp[0], &remote[1], p->key[1]);
	t_data(&p->qp[0], &local[0], 8, p->key[0]);
	t_end(&p->qp[0]);
	t_ring(&p->qp[0]);
	t_fault_handler();
	/* Only the requester moves: is the second request out already? */
	while (nic_step(p->node[0].nic, 0))
		;
	local[0] = 5;
	t_pair_run(p);
	waited = remote[1] != 1;
	t_expect(&p->cq[0], HW_CQE_REQ, (uint16_t)(p->qp[0].sq_pi - 2));
	t_expect(&p->cq[0], HW_CQE_REQ, (uint16_t)(p->qp[0].sq_pi - 1));
	if (before == HW_OP_RDMA_READ && waited)
		assert_int_equal(remote[1], 7);
	return waited;
}

static void test_fences_wait_for_what_they_name(void **state)
{
	struct t_pair *p = *state;

	assert_false(held(p, HW_FENCE_NONE, HW_OP_RDMA_READ));
	assert_false(held(p, HW_FENCE_INITIATOR_SMALL, HW_OP_RDMA_READ));
	assert_true(held(p, HW_FENCE_FENCE, HW_OP_RDMA_READ));
	assert_true(held(p, HW_FENCE_STRONG, HW_OP_RDMA_READ));
	assert_true(held(p, HW_FENCE_AND_SMALL, HW_OP_RDMA_READ));
	/* A write before it: only the strong fence waits. */
	assert_false(held(p, HW_FENCE_FENCE, HW_OP_RDMA_WRITE));
	assert_true(held(p, HW_FENCE_STRONG, HW_OP_RDMA_WRITE));
	assert_false(held(p, HW_FENCE_AND_SMALL, HW_OP_RDMA_WRITE));
}

/* ----------------------------------------------------------------- CQEs */

static void test_only_ce_2_and_3_write_a_cqe(void **state)
{
	struct t_pair *p = *state;

	nop(&p->qp[0], HW_CE_ERROR_ONLY << 2);
	nop(&p->qp[0], HW_CE_FIRST_ERROR << 2);
	nop(&p->qp[0], HW_CE_ALWAYS << 2);
	nop(&p->qp[0], HW_CE_CQE_AND_EQE << 2);
	run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, 2);
	t_expect(&p->cq[0], HW_CQE_REQ, 3);
	t_expect_none(&p->cq[0]);
}

static void test_an_error_gets_a_cqe_whatever_ce_says(void **state)
{
	struct t_pair *p = *state;
	uint8_t ce;

	for (ce = 0; ce < 4; ce++) {
		t_begin(&p->qp[0], 0x77, 0, (uint8_t)(ce << 2));
		t_end(&p->qp[0]);
		run(p);
		t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 0,
			       HW_SYND_LOCAL_QP_OP);
		t_pair_reconnect(p);
	}
}

/* A long unsignaled run: the queue's room comes back without CQEs. */
static void test_unsignaled_runs_of_many_laps(void **state)
{
	struct t_pair *p = *state;
	uint16_t index = 0;
	unsigned lap, i;

	for (lap = 0; lap < 40; lap++) {
		for (i = 0; i < 64; i++) {
			t_begin(&p->qp[0], HW_OP_RDMA_WRITE, 0,
				i == 63 ? T_SIGNALED : 0);
			t_raddr(&p->qp[0], p->memory[1] + i * 8, p->key[1]);
			t_data(&p->qp[0], p->memory[0] + i * 8, 8, p->key[0]);
			index = t_end(&p->qp[0]);
		}
		t_fill(p->memory[0], 512, lap);
		run(p);
		t_expect(&p->cq[0], HW_CQE_REQ, index);
		t_expect_none(&p->cq[0]);
		assert_memory_equal(p->memory[0], p->memory[1], 512);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_wait_holds_the_queue_until_a_cq_has_moved),
		cmocka_unit_test(test_wait_survives_the_wrap_of_its_index),
		T_PAIR_TEST(test_wait_on_its_own_cq),
		T_PAIR_TEST(test_wait_for_a_cq_that_is_not_there_fails),
		T_PAIR_TEST(test_destroying_the_cq_ends_a_wait_with_an_error),
		T_PAIR_TEST(test_a_dropped_wait_does_not_disturb_the_next),
		T_PAIR_TEST(test_dump_completes_after_the_read_before_it),
		T_PAIR_TEST(test_dump_checks_its_key_and_its_memory),
		T_PAIR_TEST(test_fences_wait_for_what_they_name),
		T_PAIR_TEST(test_only_ce_2_and_3_write_a_cqe),
		T_PAIR_TEST(test_an_error_gets_a_cqe_whatever_ce_says),
		T_PAIR_TEST(test_unsignaled_runs_of_many_laps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
