/* SPDX-License-Identifier: MIT */
/*
 * CQ events: arming for the next CQE and for a solicited one, arming late,
 * arming again, an arm whose register write was lost, wraps of the index.
 */
#include "support/t_pair.h"

static struct t_pair *open_as(enum nic_progress progress, uint32_t start)
{
	struct t_pair_options options = t_pair_defaults;

	options.config.progress = progress;
	options.config.start_counter = start;
	options.cq.eqn = 3;
	return t_pair_open(&options);
}

static void nop(struct t_pair *p, uint8_t fm_ce_se)
{
	t_begin(&p->qp[0], HW_OP_NOP, 0, fm_ce_se);
	t_end(&p->qp[0]);
	t_ring(&p->qp[0]);
	t_pair_run(p);
}

static unsigned events(struct t_pair *p, int node)
{
	return t_events(&p->node[node], NIC_EVENT_CQ_COMPLETION);
}

static void test_an_armed_cq_fires_once(void **state)
{
	struct t_pair *p = open_as(NIC_STRICT, 0);

	(void)state;
	nop(p, T_SIGNALED);
	assert_int_equal(events(p, 0), 0); /* not armed */
	t_expect(&p->cq[0], HW_CQE_REQ, 0);
	t_arm(&p->cq[0], HW_CQ_ARM_NEXT, 0);
	t_pair_run(p);
	assert_int_equal(events(p, 0), 0);
	nop(p, T_SIGNALED);
	assert_int_equal(events(p, 0), 1);
	assert_int_equal(p->node[0].events[0].number, p->cq[0].number);
	assert_int_equal(p->node[0].events[0].eqn, 3);
	nop(p, T_SIGNALED);
	assert_int_equal(events(p, 0), 1);
	t_pair_close(p);
}

static void test_arming_with_unseen_cqes_fires_at_once(void **state)
{
	static const uint32_t starts[] = {0, 0xfffffe, 0xfffffffe};
	unsigned i;

	(void)state;
	for (i = 0; i < 3; i++) {
		struct t_pair *p = open_as(NIC_STRICT, starts[i]);

		nop(p, T_SIGNALED);
		nop(p, T_SIGNALED);
		nop(p, T_SIGNALED);
		t_expect(&p->cq[0], HW_CQE_REQ, (uint16_t)starts[i]);
		t_arm(&p->cq[0], HW_CQ_ARM_NEXT, 0);
		t_pair_run(p);
		assert_int_equal(events(p, 0), 1);
		/* All seen: it waits for the next. */
		t_expect(&p->cq[0], HW_CQE_REQ, (uint16_t)(starts[i] + 1));
		t_expect(&p->cq[0], HW_CQE_REQ, (uint16_t)(starts[i] + 2));
		t_arm(&p->cq[0], HW_CQ_ARM_NEXT, 1);
		t_pair_run(p);
		assert_int_equal(events(p, 0), 1);
		nop(p, T_SIGNALED);
		assert_int_equal(events(p, 0), 2);
		t_pair_close(p);
	}
}

/* As perftest -e does it: event, arm, and then the poll. */
static void test_arming_before_the_poll_does_not_fire_again(void **state)
{
	static const uint32_t starts[] = {0, 0xfffffe, 0xfffffffe};
	unsigned i, lap;

	(void)state;
	for (i = 0; i < 3; i++) {
		struct t_pair *p = open_as(NIC_STRICT, starts[i]);

		t_arm(&p->cq[0], HW_CQ_ARM_NEXT, 0);
		t_pair_run(p);
		for (lap = 1; lap < 5; lap++) {
			nop(p, T_SIGNALED);
			assert_int_equal(events(p, 0), lap);
			t_arm(&p->cq[0], HW_CQ_ARM_NEXT, (uint8_t)lap);
			t_pair_run(p);
			assert_int_equal(events(p, 0), lap);
			t_expect(&p->cq[0], HW_CQE_REQ,
				 (uint16_t)(starts[i] + lap - 1));
		}
		/* A CQE that came behind the event fires the late arm. */
		nop(p, T_SIGNALED);
		nop(p, T_SIGNALED);
		t_arm(&p->cq[0], HW_CQ_ARM_NEXT, (uint8_t)lap);
		t_pair_run(p);
		assert_int_equal(events(p, 0), lap + 1);
		t_pair_close(p);
	}
}

/* A whole series as libibverbs does it: arm, event, poll, arm ... */
static void series(enum nic_progress progress, bool by_record, uint32_t start)
{
	struct t_pair *p = open_as(progress, start);
	uint8_t i;

	for (i = 0; i < 20; i++) {
		/* From 1: an arm whose word is 0 leaves no trace in the record */
		t_arm(&p->cq[0], HW_CQ_ARM_NEXT, (uint8_t)(i + 1));
		if (by_record) /* the register was overwritten by another CQ */
			memset(p->cq[0].uar + HW_UAR_CQ_DOORBELL, 0, 8);
		t_pair_run(p);
		nop(p, T_SIGNALED);
		assert_int_equal(events(p, 0), i + 1);
		t_expect(&p->cq[0], HW_CQE_REQ, (uint16_t)(start + i));
	}
	t_pair_close(p);
}

static void test_arming_again_and_again(void **state)
{
	(void)state;
	series(NIC_STRICT, false, 0);
	series(NIC_COMPAT, false, 0);
	series(NIC_COMPAT, true, 0);
	series(NIC_COMPAT, true, 0xfffff5);
}

static void send(struct t_pair *p, uint8_t flags)
{
	struct hw_cqe_info info;

	t_post_recv(&p->qp[1], p->memory[1], 64, p->key[1]);
	t_begin(&p->qp[0], HW_OP_SEND, 0, flags);
	t_data(&p->qp[0], p->memory[0], 8, p->key[0]);
	t_end(&p->qp[0]);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	assert_true(t_poll(&p->cq[1], &info));
	assert_int_equal(info.solicited, !!(flags & HW_SOLICITED));
}

static void test_a_solicited_arm_waits_for_a_solicited_cqe(void **state)
{
	struct t_pair *p = open_as(NIC_STRICT, 0);

	(void)state;
	t_arm(&p->cq[1], HW_CQ_ARM_SOLICITED, 0);
	t_pair_run(p);
	send(p, 0);
	send(p, 0);
	assert_int_equal(events(p, 1), 0);
	send(p, HW_SOLICITED);
	assert_int_equal(events(p, 1), 1);
	send(p, HW_SOLICITED);
	assert_int_equal(events(p, 1), 1);
	t_pair_close(p);
}

static void test_an_error_fires_a_solicited_arm(void **state)
{
	struct t_pair *p = open_as(NIC_STRICT, 0);

	(void)state;
	t_arm(&p->cq[0], HW_CQ_ARM_SOLICITED, 0);
	t_pair_run(p);
	t_begin(&p->qp[0], 0x77, 0, 0);
	t_end(&p->qp[0]);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	assert_int_equal(events(p, 0), 1);
	t_pair_close(p);
}

static void test_ce_3_fires_a_solicited_arm(void **state)
{
	struct t_pair *p = open_as(NIC_STRICT, 0);

	(void)state;
	t_arm(&p->cq[0], HW_CQ_ARM_SOLICITED, 0);
	t_pair_run(p);
	nop(p, HW_CE_ALWAYS << 2);
	assert_int_equal(events(p, 0), 0);
	nop(p, HW_CE_CQE_AND_EQE << 2);
	assert_int_equal(events(p, 0), 1);
	t_pair_close(p);
}

static void test_an_arm_for_another_pages_cq_is_told_and_ignored(void **state)
{
	struct t_pair *p = open_as(NIC_STRICT, 0);
	struct t_cq cq, other;

	(void)state;
	t_cq_create(&p->node[0], &cq, &t_pair_defaults.cq);
	other = cq;
	other.uar = p->cq[0].uar;
	t_arm(&other, HW_CQ_ARM_NEXT, 0);
	t_pair_run(p);
	assert_true(t_logged(&p->node[0], "it has another UAR page"));
	other.number = 0x999;
	t_arm(&other, HW_CQ_ARM_NEXT, 0);
	t_pair_run(p);
	assert_true(t_logged(&p->node[0], "names CQ 0x999: no such CQ"));
	assert_int_equal(events(p, 0), 0);
	t_pair_works(p);
	assert_int_equal(t_cq_destroy(&cq), 0);
	t_pair_close(p);
}

static uint32_t arm_state(struct t_pair *p, uint32_t cqn)
{
	uint8_t out[T_OUT];

	assert_int_equal(t_simple(&p->node[0], HW_CMD_QUERY_CQ, cqn, out), 0);
	return hw_get(out + HW_CQC_OFFSET, HW_CQC_ST);
}

/* A kernel's client finds something else in the record than an arm. */
static void test_a_first_arm_of_0_shows_in_a_record_that_was_not_0(void **state)
{
	struct t_pair *p = open_as(NIC_COMPAT, 0);
	uint8_t out[T_OUT];
	struct t_cq *cq = &p->cq[0];
	uint32_t cqn;

	(void)state;
	cq->dbrec[HW_CQ_DBR_ARM].raw = 0xffffffff;
	assert_int_equal(
		t_cmd(&p->node[0], cq->create, sizeof(cq->create), out),
		HW_CMD_OK);
	cqn = hw_get(out, HW_CMD_OUT_NUMBER);
	t_pair_run(p);
	assert_int_equal(arm_state(p, cqn), HW_CQ_ST_FIRED);
	/* The register write is lost; the record says: next, from 0. */
	cq->dbrec[HW_CQ_DBR_ARM].raw = 0;
	t_pair_run(p);
	assert_int_equal(arm_state(p, cqn), HW_CQ_ST_ARMED);
	assert_int_equal(t_simple(&p->node[0], HW_CMD_DESTROY_CQ, cqn, NULL),
			 0);
	t_pair_close(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_a_first_arm_of_0_shows_in_a_record_that_was_not_0),
		cmocka_unit_test(test_an_armed_cq_fires_once),
		cmocka_unit_test(test_arming_with_unseen_cqes_fires_at_once),
		cmocka_unit_test(
			test_arming_before_the_poll_does_not_fire_again),
		cmocka_unit_test(test_arming_again_and_again),
		cmocka_unit_test(
			test_a_solicited_arm_waits_for_a_solicited_cqe),
		cmocka_unit_test(test_an_error_fires_a_solicited_arm),
		cmocka_unit_test(test_ce_3_fires_a_solicited_arm),
		cmocka_unit_test(
			test_an_arm_for_another_pages_cq_is_told_and_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
