/* SPDX-License-Identifier: MIT */
/*
 * Doorbells that are told to the NIC store by store: every register, whole and
 * in pieces, and pages that nobody looks at.
 */
#include <errno.h>
#include <stdlib.h>

#include "support/t_pair.h"

static struct t_pair *open_trapped(enum nic_progress progress)
{
	struct t_pair_options options = t_pair_defaults;
	struct t_pair *p;

	options.config.progress = progress;
	p = t_pair_open(&options);
	assert_int_equal(
		nic_uar_set_trapped(p->node[0].nic, p->qp[0].uar_index, true),
		0);
	assert_int_equal(
		nic_uar_set_trapped(p->node[0].nic, p->cq[0].uar_index, true),
		0);
	return p;
}

/* Returns whether it was a doorbell. */
static bool put(struct t_qp *qp, uint32_t offset, const void *bytes, size_t len)
{
	int rung =
		nic_uar_write(qp->node->nic, qp->uar_index, offset, bytes, len);

	assert_in_range(rung, 0, 1);
	return rung;
}

static struct hw_sq_doorbell doorbell(const struct t_qp *qp)
{
	return hw_sq_doorbell_encode(qp->number, (uint16_t)qp->sq_pi);
}

static void nop(struct t_qp *qp)
{
	t_begin(qp, HW_OP_NOP, 0, T_SIGNALED);
	t_end(qp);
}

static struct nic_counters counters(struct t_pair *p)
{
	struct nic_counters c;

	nic_get_counters(p->node[0].nic, &c);
	return c;
}

static void expect_next(struct t_pair *p)
{
	t_pair_run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, (uint16_t)p->cq[0].ci);
}

static void expect_nothing(struct t_pair *p)
{
	t_pair_run(p);
	t_expect_none(&p->cq[0]);
}

/* ------------------------------------------------------------- registers */

static void test_each_blueflame_half_is_a_register(void **state)
{
	static const uint32_t halves[] = {0x800, 0x900, 0xa00, 0xb00};
	struct t_pair *p = open_trapped(NIC_COMPAT);
	struct hw_sq_doorbell db;
	unsigned i;

	(void)state;
	for (i = 0; i < 40; i++) {
		nop(&p->qp[0]);
		db = doorbell(&p->qp[0]);
		put(&p->qp[0], halves[i % 4], &db, sizeof(db));
		expect_next(p);
	}
	assert_int_equal(counters(p).doorbells, 40);
	t_pair_close(p);
}

static void test_other_offsets_are_no_registers(void **state)
{
	struct t_pair *p = open_trapped(NIC_COMPAT);
	struct hw_sq_doorbell db;
	uint32_t offset;

	(void)state;
	nop(&p->qp[0]);
	db = doorbell(&p->qp[0]);
	for (offset = 0; offset < HW_UAR_BYTES; offset += 8)
		if (offset != HW_UAR_CQ_DOORBELL &&
		    (offset < 0x800 || offset >= 0xc00 || offset % 0x100))
			assert_false(put(&p->qp[0], offset, &db, sizeof(db)));
	expect_nothing(p);
	assert_int_equal(counters(p).doorbells, 0);
	assert_true(put(&p->qp[0], 0x800, &db, sizeof(db)));
	expect_next(p);
	t_pair_close(p);
}

static void test_an_nc_page_has_one_register(void **state)
{
	struct t_pair *p = open_trapped(NIC_STRICT);
	struct t_qp_options options = t_pair_defaults.qp;
	struct hw_sq_doorbell db;
	struct t_qp qp;

	(void)state;
	options.share_uar = p->cq[0].uar_index;
	options.share_uar_page = p->cq[0].uar;
	t_qp_create(&p->node[0], &qp, &p->cq[0], &p->cq[0], &options);
	t_connect(&qp, &qp, NULL);
	nop(&qp);
	db = doorbell(&qp);
	put(&qp, 0x900, &db, sizeof(db));
	put(&qp, 0xa00, &db, sizeof(db));
	expect_nothing(p);
	put(&qp, 0x800, &db, sizeof(db));
	expect_next(p);
	assert_int_equal(t_qp_destroy(&qp), 0);
	t_pair_close(p);
}

static void
test_the_register_without_a_record_needs_a_queue_for_it(void **state)
{
	int no_dbr;

	(void)state;
	for (no_dbr = 0; no_dbr <= 1; no_dbr++) {
		struct t_pair_options options = t_pair_defaults;
		struct hw_sq_doorbell db;
		struct t_pair *p;

		options.config.persona = NIC_CONNECTX_8;
		options.qp.no_dbr = no_dbr;
		p = t_pair_open(&options);
		nic_uar_set_trapped(p->node[0].nic, p->qp[0].uar_index, true);
		nop(&p->qp[0]);
		db = doorbell(&p->qp[0]);
		put(&p->qp[0], HW_UAR_NO_DBR, &db, sizeof(db));
		if (no_dbr)
			expect_next(p);
		else
			expect_nothing(p);
		t_pair_close(p);
	}
}

static void test_a_cq_doorbell_arms_whole_or_in_halves(void **state)
{
	struct t_pair *p = open_trapped(NIC_COMPAT);
	struct hw_cq_doorbell db = {.cqn = to_be32(p->cq[0].number)};
	struct hw_sq_doorbell ring;
	unsigned i;

	(void)state;
	for (i = 0; i < 4; i++) {
		struct hw_cq_arm_info arm = {
			.ci = p->cq[0].ci, .sn = i & 3, .cmd = HW_CQ_ARM_NEXT};
		const uint8_t *bytes = (const uint8_t *)&db;
		unsigned piece = i & 1 ? 4 : 8, at;

		db.sn_cmd_ci = hw_cq_arm_encode(&arm);
		for (at = 0; at < 8; at += piece)
			assert_int_equal(nic_uar_write(p->node[0].nic,
						       p->cq[0].uar_index,
						       HW_UAR_CQ_DOORBELL + at,
						       bytes + at, piece),
					 at + piece == 8);
		assert_int_equal(t_events(&p->node[0], NIC_EVENT_CQ_COMPLETION),
				 i);
		nop(&p->qp[0]);
		ring = doorbell(&p->qp[0]);
		put(&p->qp[0], HW_UAR_BF, &ring, sizeof(ring));
		expect_next(p);
		assert_int_equal(t_events(&p->node[0], NIC_EVENT_CQ_COMPLETION),
				 i + 1);
	}
	t_pair_close(p);
}

/* ---------------------------------------------------------------- pieces */

/* A BlueFlame copy of two blocks, in stores of this size. */
static void blueflame(struct t_pair *p, size_t piece)
{
	struct hw_wqe_ctrl_info ctrl = {.qpn = p->qp[0].number,
					.opcode = HW_OP_RDMA_WRITE};
	struct hw_wqe_ctrl raw;
	uint8_t copy[128];
	size_t at;

	t_fill(p->memory[0], 80, (unsigned)piece);
	t_begin(&p->qp[0], HW_OP_RDMA_WRITE, 0, T_SIGNALED);
	t_raddr(&p->qp[0], p->memory[1], p->key[1]);
	t_inline(&p->qp[0], p->memory[0], 80);
	ctrl.ds = (uint8_t)(p->qp[0].wqe_bytes / HW_WQE_DS);
	memcpy(copy, p->qp[0].wqe, sizeof(copy));
	ctrl.idx = t_end(&p->qp[0]);
	raw = hw_wqe_ctrl_encode(&ctrl);
	memcpy(copy, &raw, 8);
	for (at = 0; at < sizeof(copy); at += piece)
		assert_int_equal(put(&p->qp[0], HW_UAR_BF + (uint32_t)at,
				     copy + at, piece),
				 at <= 7 && at + piece > 7);
	t_pair_run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, ctrl.idx);
	t_expect_none(&p->cq[0]);
	assert_memory_equal(p->memory[0], p->memory[1], 80);
}

static void test_a_blueflame_copy_rings_once_in_pieces_of_any_size(void **state)
{
	static const size_t pieces[] = {1, 2, 4, 8, 16, 32, 64, 128};
	struct t_pair *p = open_trapped(NIC_STRICT);
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		blueflame(p, pieces[i]);
		assert_int_equal(counters(p).doorbells, i + 1);
	}
	t_pair_close(p);
}

static void test_the_order_of_the_pieces_does_not_matter(void **state)
{
	static const uint8_t orders[][4] = {
		{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}, {1, 1, 0, 3}};
	struct t_pair *p = open_trapped(NIC_STRICT);
	struct hw_sq_doorbell db;
	const uint8_t *bytes = (const uint8_t *)&db;
	unsigned i, j;

	(void)state;
	for (i = 0; i < 4; i++) {
		nop(&p->qp[0]);
		db = doorbell(&p->qp[0]);
		for (j = 0; j < 4; j++) {
			t_expect_none(&p->cq[0]);
			put(&p->qp[0], HW_UAR_BF + 2u * orders[i][j],
			    bytes + 2 * orders[i][j], 2);
			t_pair_run(p);
		}
		/* The last order leaves a piece out: a whole store heals. */
		if (i == 3) {
			t_expect_none(&p->cq[0]);
			put(&p->qp[0], HW_UAR_BF, &db, sizeof(db));
		}
		expect_next(p);
	}
	t_pair_close(p);
}

static void test_one_store_may_cover_every_register(void **state)
{
	struct t_pair *p = open_trapped(NIC_STRICT);
	uint8_t page[HW_UAR_BYTES] = {0};
	struct hw_sq_doorbell db;
	unsigned i;

	(void)state;
	for (i = 0; i < 4; i++) {
		nop(&p->qp[0]);
		db = doorbell(&p->qp[0]);
		memcpy(page + HW_UAR_BF + i * 0x100, &db, sizeof(db));
	}
	put(&p->qp[0], 0, page, sizeof(page));
	for (i = 0; i < 4; i++)
		expect_next(p);
	assert_int_equal(counters(p).doorbells, 4);
	t_pair_close(p);
}

/* ----------------------------------------------------------- no doorbell lost */

static void test_doorbells_of_one_register_are_not_merged(void **state)
{
	struct t_pair *p = open_trapped(NIC_STRICT);
	struct t_qp_options options = t_pair_defaults.qp;
	struct hw_sq_doorbell db;
	struct t_qp qp[5];
	unsigned i;

	(void)state;
	options.share_uar = p->qp[0].uar_index;
	options.share_uar_page = p->qp[0].uar;
	for (i = 0; i < 5; i++) {
		t_qp_create(&p->node[0], &qp[i], &p->cq[0], &p->cq[0],
			    &options);
		t_connect(&qp[i], &qp[i], NULL);
		nop(&qp[i]);
	}
	for (i = 0; i < 5; i++) {
		db = doorbell(&qp[i]);
		put(&qp[i], HW_UAR_BF, &db, sizeof(db));
	}
	t_pair_run(p);
	for (i = 0; i < 5; i++) {
		t_expect(&p->cq[0], HW_CQE_REQ, 0);
		assert_int_equal(t_qp_destroy(&qp[i]), 0);
	}
	assert_int_equal(counters(p).doorbells, 5);
	t_pair_close(p);
}

static void test_a_repeated_doorbell_is_seen_and_stale(void **state)
{
	struct t_pair *p = open_trapped(NIC_COMPAT);
	struct hw_sq_doorbell db;

	(void)state;
	nop(&p->qp[0]);
	db = doorbell(&p->qp[0]);
	put(&p->qp[0], HW_UAR_BF, &db, sizeof(db));
	put(&p->qp[0], HW_UAR_BF, &db, sizeof(db));
	expect_next(p);
	t_expect_none(&p->cq[0]);
	assert_int_equal(counters(p).doorbells, 2);
	assert_int_equal(counters(p).doorbells_stale, 1);
	t_pair_close(p);
}

static void test_doorbells_that_nobody_takes_are_told_and_ignored(void **state)
{
	struct t_pair *p = open_trapped(NIC_STRICT);
	struct hw_sq_doorbell db = hw_sq_doorbell_encode(0xabcdef, 1);
	struct hw_cq_doorbell arm = {.cqn = to_be32(0xbcdef0)};
	struct t_qp idle;

	(void)state;
	assert_false(put(&p->qp[0], HW_UAR_BF, &db, sizeof(db)));
	assert_true(t_logged(&p->node[0],
			     "names QP 0xabcdef: no such queue pair; ignored"));
	t_qp_create(&p->node[0], &idle, &p->cq[0], &p->cq[0],
		    &t_pair_defaults.qp);
	idle.sq_pi++;
	db = doorbell(&idle);
	put(&p->qp[0], HW_UAR_BF, &db, sizeof(db));
	assert_true(t_logged(&p->node[0], "it has another UAR page"));
	put(&idle, HW_UAR_BF, &db, sizeof(db));
	assert_true(t_logged(&p->node[0], "it is not in RTS"));
	put(&p->qp[0], HW_UAR_CQ_DOORBELL, &arm, sizeof(arm));
	assert_true(t_logged(&p->node[0], "names CQ 0xbcdef0: no such CQ"));
	assert_int_equal(counters(p).doorbells_dropped, 3);
	assert_int_equal(t_qp_destroy(&idle), 0);
	t_pair_close(p);
}

static void test_what_is_not_within_a_page_is_refused(void **state)
{
	struct t_pair *p = open_trapped(NIC_STRICT);
	struct nic *nic = p->node[0].nic;
	uint32_t uar = p->qp[0].uar_index;
	uint8_t bytes[HW_UAR_BYTES + 1] = {0};

	(void)state;
	assert_int_equal(nic_uar_write(nic, uar, 0, NULL, 8), -EINVAL);
	assert_int_equal(nic_uar_write(nic, uar, 0, bytes, 0), -EINVAL);
	assert_int_equal(nic_uar_write(nic, uar, 4096, bytes, 1), -EINVAL);
	assert_int_equal(nic_uar_write(nic, uar, 4095, bytes, 2), -EINVAL);
	assert_int_equal(nic_uar_write(nic, uar, 0, bytes, 4097), -EINVAL);
	assert_int_equal(nic_uar_write(nic, uar, 4095, bytes, 1), 0);
	assert_int_equal(nic_uar_write(nic, uar, 0, bytes, 4096), 1);
	assert_int_equal(nic_uar_write(nic, 9999, 0, bytes, 8), -ENOENT);
	assert_int_equal(nic_uar_set_trapped(nic, 9999, true), -ENOENT);
	t_pair_close(p);
}

/* --------------------------------------------------------- trapped or looked at */

static void test_nobody_looks_at_a_trapped_page_or_its_records(void **state)
{
	struct t_pair *p = open_trapped(NIC_COMPAT);
	struct hw_sq_doorbell db;

	(void)state;
	nop(&p->qp[0]);
	t_ring(&p->qp[0]);
	t_arm(&p->cq[0], HW_CQ_ARM_NEXT, 1);
	expect_nothing(p);
	db = doorbell(&p->qp[0]);
	put(&p->qp[0], HW_UAR_BF, &db, sizeof(db));
	expect_next(p);
	assert_int_equal(t_events(&p->node[0], NIC_EVENT_CQ_COMPLETION), 0);
	t_pair_close(p);
}

static void test_what_was_rung_before_the_page_is_trapped_counts(void **state)
{
	int way;

	(void)state;
	for (way = 0; way < 3; way++) {
		struct t_pair *p = t_pair_open(&t_pair_defaults);

		nop(&p->qp[0]);
		if (way != 1)
			t_ring_record(&p->qp[0]);
		if (way != 2)
			t_ring_register(&p->qp[0]);
		t_arm(&p->cq[0], HW_CQ_ARM_NEXT, 1);
		nic_uar_set_trapped(p->node[0].nic, p->qp[0].uar_index, true);
		nic_uar_set_trapped(p->node[0].nic, p->cq[0].uar_index, true);
		expect_next(p);
		assert_int_equal(t_events(&p->node[0], NIC_EVENT_CQ_COMPLETION),
				 1);
		t_pair_close(p);
	}
}

static void test_a_page_may_be_looked_at_again(void **state)
{
	struct t_pair *p = t_pair_open(&t_pair_defaults);
	struct nic *nic = p->node[0].nic;
	uint32_t uar = p->qp[0].uar_index;
	struct hw_sq_doorbell db;
	unsigned i;

	(void)state;
	for (i = 0; i < 6; i++) {
		nop(&p->qp[0]);
		t_ring(&p->qp[0]);
		expect_next(p);
		assert_int_equal(nic_uar_set_trapped(nic, uar, true), 0);
		/* The same word may come again when it is polled again. */
		assert_memory_equal(p->qp[0].uar + HW_UAR_BF,
				    "\0\0\0\0\0\0\0\0", 8);
		nop(&p->qp[0]);
		t_ring_record(&p->qp[0]);
		db = doorbell(&p->qp[0]);
		put(&p->qp[0], HW_UAR_BF, &db, sizeof(db));
		if (i & 1)
			expect_next(p);
		assert_int_equal(nic_uar_set_trapped(nic, uar, false), 0);
		if (!(i & 1))
			expect_next(p);
	}
	expect_nothing(p);
	assert_int_equal(counters(p).wqes, 12);
	t_pair_close(p);
}

static void
test_a_runner_need_not_look_if_all_pages_in_use_are_trapped(void **state)
{
	struct t_pair *p = t_pair_open(&t_pair_defaults);
	struct nic *nic = p->node[0].nic;

	(void)state;
	assert_true(nic_watches_doorbells(nic));
	nic_uar_set_trapped(nic, p->qp[0].uar_index, true);
	assert_true(nic_watches_doorbells(nic));
	nic_uar_set_trapped(nic, p->cq[0].uar_index, true);
	assert_false(nic_watches_doorbells(nic));
	/* A receive that is posted in ERR has no doorbell. */
	t_modify(&p->qp[0], HW_CMD_2ERR_QP, NULL, NULL);
	assert_true(nic_watches_doorbells(nic));
	t_modify(&p->qp[0], HW_CMD_2RST_QP, NULL, NULL);
	assert_false(nic_watches_doorbells(nic));
	t_pair_close(p);
}

/* --------------------------------------------------------------- sleep */

static unsigned wakes;

static void count_wake(void *arg)
{
	(void)arg;
	wakes++;
}

/* As a runner: nothing to look at, so it sleeps until it is woken. */
static void sleep_without_limit(struct nic *nic)
{
	nic_set_asleep(nic, true);
	while (nic_step(nic, 0))
		;
	assert_false(nic_watches_doorbells(nic));
	assert_true(nic_deadline(nic) == UINT64_MAX);
	wakes = 0;
}

static struct t_pair *open_sleeping(void)
{
	static const struct t_connect connect = {.rnr_retries = 7,
						 .min_rnr_nak = 1};
	struct t_pair_options options = t_pair_defaults;
	struct t_pair *p;

	options.config.wake = count_wake;
	options.connect = &connect;
	p = t_pair_open(&options);
	nic_uar_set_trapped(p->node[0].nic, p->qp[0].uar_index, true);
	nic_uar_set_trapped(p->node[0].nic, p->cq[0].uar_index, true);
	t_pair_run(p);
	return p;
}

static void test_a_sleeper_is_woken_for_what_commands_leave_to_do(void **state)
{
	struct t_pair *p = open_sleeping();
	struct nic *nic = p->node[0].nic;

	(void)state;
	sleep_without_limit(nic);
	t_modify(&p->qp[0], HW_CMD_2ERR_QP, NULL, NULL);
	assert_int_not_equal(wakes, 0);
	t_modify(&p->qp[0], HW_CMD_2RST_QP, NULL, NULL);
	t_pair_reconnect(p);
	sleep_without_limit(nic);
	nic_uar_set_trapped(nic, p->cq[0].uar_index, false);
	assert_int_not_equal(wakes, 0);
	assert_true(nic_watches_doorbells(nic));
	t_pair_close(p);
}

static void test_a_new_queue_on_a_page_that_is_looked_at_wakes(void **state)
{
	struct t_pair *p = open_sleeping();
	struct t_cq cq;

	(void)state;
	sleep_without_limit(p->node[0].nic);
	t_cq_create(&p->node[0], &cq, &t_pair_defaults.cq);
	assert_int_not_equal(wakes, 0);
	assert_true(nic_watches_doorbells(p->node[0].nic));
	t_cq_destroy(&cq);
	t_pair_close(p);
}

/* Who rings steps too, and starts a timer that the sleeper does not know. */
static void test_a_timer_that_another_thread_starts_wakes(void **state)
{
	struct t_pair *p = open_sleeping();
	struct hw_sq_doorbell db;

	(void)state;
	sleep_without_limit(p->node[0].nic);
	t_begin(&p->qp[0], HW_OP_SEND, 0, T_SIGNALED);
	t_data(&p->qp[0], p->memory[0], 8, p->key[0]);
	t_end(&p->qp[0]);
	db = doorbell(&p->qp[0]);
	put(&p->qp[0], HW_UAR_BF, &db, sizeof(db));
	assert_int_equal(wakes, 0);
	nic_step(p->node[0].nic, 0);
	nic_step(p->node[1].nic, 0);
	wakes = 0;
	nic_step(p->node[0].nic, 0); /* takes the RNR NAK */
	assert_int_not_equal(wakes, 0);
	assert_false(nic_deadline(p->node[0].nic) == UINT64_MAX);
	t_pair_close(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_blueflame_half_is_a_register),
		cmocka_unit_test(test_other_offsets_are_no_registers),
		cmocka_unit_test(test_an_nc_page_has_one_register),
		cmocka_unit_test(
			test_the_register_without_a_record_needs_a_queue_for_it),
		cmocka_unit_test(test_a_cq_doorbell_arms_whole_or_in_halves),
		cmocka_unit_test(
			test_a_blueflame_copy_rings_once_in_pieces_of_any_size),
		cmocka_unit_test(test_the_order_of_the_pieces_does_not_matter),
		cmocka_unit_test(test_one_store_may_cover_every_register),
		cmocka_unit_test(test_doorbells_of_one_register_are_not_merged),
		cmocka_unit_test(test_a_repeated_doorbell_is_seen_and_stale),
		cmocka_unit_test(
			test_doorbells_that_nobody_takes_are_told_and_ignored),
		cmocka_unit_test(test_what_is_not_within_a_page_is_refused),
		cmocka_unit_test(
			test_nobody_looks_at_a_trapped_page_or_its_records),
		cmocka_unit_test(
			test_what_was_rung_before_the_page_is_trapped_counts),
		cmocka_unit_test(test_a_page_may_be_looked_at_again),
		cmocka_unit_test(
			test_a_runner_need_not_look_if_all_pages_in_use_are_trapped),
		cmocka_unit_test(
			test_a_sleeper_is_woken_for_what_commands_leave_to_do),
		cmocka_unit_test(
			test_a_new_queue_on_a_page_that_is_looked_at_wakes),
		cmocka_unit_test(test_a_timer_that_another_thread_starts_wakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
