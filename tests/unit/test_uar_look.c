/* SPDX-License-Identifier: MIT */
/*
 * nic_uar_look(): one look at a trapped page whose stores went to its memory.
 */
#include "support/t_pair.h"

#include <errno.h>

static struct t_pair *open_trapped(void)
{
	struct t_pair *p = t_pair_open(&t_pair_defaults);

	nic_uar_set_trapped(p->node[0].nic, p->qp[0].uar_index, true);
	nic_uar_set_trapped(p->node[0].nic, p->cq[0].uar_index, true);
	return p;
}

static void ring_a_nop(struct t_pair *p)
{
	t_begin(&p->qp[0], HW_OP_NOP, 0, T_SIGNALED);
	t_end(&p->qp[0]);
	t_ring(&p->qp[0]);
}

static void look(struct t_pair *p)
{
	struct nic *nic = p->node[0].nic;

	assert_int_equal(nic_uar_look(nic, p->qp[0].uar_index), 0);
	assert_int_equal(nic_uar_look(nic, p->cq[0].uar_index), 0);
}

/* Way 1: another queue has rung at the register since; the record tells. */
static void test_a_trapped_page_is_looked_at_once(void **state)
{
	int way;

	(void)state;
	for (way = 0; way < 2; way++) {
		struct t_pair *p = open_trapped();

		ring_a_nop(p);
		if (way)
			memset(p->qp[0].uar + HW_UAR_BF, 0, 8);
		t_arm(&p->cq[0], HW_CQ_ARM_NEXT, 1);
		t_pair_run(p);
		t_expect_none(&p->cq[0]);
		look(p);
		t_pair_run(p);
		t_expect(&p->cq[0], HW_CQE_REQ, 0);
		assert_int_equal(t_events(&p->node[0], NIC_EVENT_CQ_COMPLETION),
				 1);
		ring_a_nop(p);
		t_pair_run(p);
		t_expect_none(&p->cq[0]);
		t_pair_close(p);
	}
}

/* What was taken from its memory is not rung again by another look. */
static void test_a_second_look_sees_nothing(void **state)
{
	struct t_pair *p = open_trapped();

	(void)state;
	ring_a_nop(p);
	look(p);
	look(p);
	t_pair_run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, 0);
	look(p);
	t_pair_run(p);
	t_expect_none(&p->cq[0]);
	t_pair_close(p);
}

static void test_other_pages_are_left_alone(void **state)
{
	struct t_pair *p = t_pair_open(&t_pair_defaults);

	(void)state;
	assert_int_equal(nic_uar_look(p->node[0].nic, 9999), -ENOENT);
	ring_a_nop(p);
	look(p); /* it is polled anyway */
	t_pair_run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, 0);
	t_pair_close(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_trapped_page_is_looked_at_once),
		cmocka_unit_test(test_a_second_look_sees_nothing),
		cmocka_unit_test(test_other_pages_are_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
