/* SPDX-License-Identifier: MIT */
/*
 * Doorbells: every producer protocol in compat and in strict mode, lost,
 * repeated and backward doorbells, wraps, bad ones, many pages.
 */
#include "support/t_pair.h"

#include <stdlib.h>

static struct t_pair *open_as(enum nic_progress progress, uint32_t start,
			      uint8_t log_sq_size)
{
	struct t_pair_options options = t_pair_defaults;

	options.config.progress = progress;
	options.config.start_counter = start;
	options.qp.log_sq_size = log_sq_size;
	options.cq.log_size = 10;
	return t_pair_open(&options);
}

static void store(struct t_qp *qp, uint32_t offset, uint64_t word)
{
	__atomic_store_n((uint64_t *)(qp->uar + offset), word,
			 __ATOMIC_RELEASE);
}

/* The first 8 bytes of a control segment: opmod, index, opcode, qpn, ds. */
static void store_ctrl(struct t_qp *qp, uint32_t offset,
		       const struct hw_wqe_ctrl_info *info)
{
	struct hw_wqe_ctrl ctrl = hw_wqe_ctrl_encode(info);
	uint64_t word;

	memcpy(&word, &ctrl, sizeof(word));
	store(qp, offset, word);
}

static uint16_t nop(struct t_qp *qp)
{
	t_begin(qp, HW_OP_NOP, 0, T_SIGNALED);
	return t_end(qp);
}

static struct nic_counters counters(struct t_pair *p)
{
	struct nic_counters c;

	nic_get_counters(p->node[0].nic, &c);
	return c;
}

/* ------------------------------------------------------------- protocols */

static void test_register_after_record_works_in_both_modes(void **state)
{
	int mode;

	(void)state;
	for (mode = NIC_COMPAT; mode <= NIC_STRICT; mode++) {
		struct t_pair *p = open_as((enum nic_progress)mode, 0, 6);

		t_pair_works(p);
		t_pair_works(p);
		t_pair_close(p);
	}
}

static void test_a_record_alone_moves_compat_and_not_strict(void **state)
{
	int mode;

	(void)state;
	for (mode = NIC_COMPAT; mode <= NIC_STRICT; mode++) {
		struct t_pair *p = open_as((enum nic_progress)mode, 0, 6);

		nop(&p->qp[0]);
		t_ring_record(&p->qp[0]);
		t_pair_run(p);
		if (mode == NIC_STRICT) {
			t_expect_none(&p->cq[0]);
			t_ring_register(&p->qp[0]);
			t_pair_run(p);
		}
		t_expect(&p->cq[0], HW_CQE_REQ, 0);
		assert_int_equal(counters(p).doorbells_by_record,
				 mode == NIC_COMPAT);
		t_pair_close(p);
	}
}

/* NVSHMEM's CPU proxy never writes the right record, and works on hardware. */
static void register_alone(enum nic_progress progress, uint32_t start)
{
	struct t_pair *p = open_as(progress, start, 6);
	uint32_t i;

	/* Far enough for the index to pass the record from behind. */
	for (i = 0; i < 70000; i++) {
		nop(&p->qp[0]);
		if (i % 50 == 49) {
			t_ring_register(&p->qp[0]);
			t_pair_run(p);
		}
		while (i % 50 == 49 && p->cq[0].ci != p->qp[0].sq_pi)
			t_expect(&p->cq[0], HW_CQE_REQ, (uint16_t)p->cq[0].ci);
	}
	assert_int_equal(t_state(&p->qp[0]), HW_QP_RTS);
	assert_int_equal(counters(p).doorbells_by_record, 0);
	t_pair_close(p);
}

static void test_a_register_alone_is_enough_for_ever(void **state)
{
	(void)state;
	register_alone(NIC_STRICT, 0);
	register_alone(NIC_COMPAT, 0);
	register_alone(NIC_COMPAT, 0xfff0);
}

/* DOCA, NCCL and UCX: register, record, register. */
static void test_the_early_protocol_works(void **state)
{
	int mode, when;

	(void)state;
	for (mode = NIC_COMPAT; mode <= NIC_STRICT; mode++)
		for (when = 0; when < 8; when++) {
			struct t_pair *p =
				open_as((enum nic_progress)mode, 0, 6);

			nop(&p->qp[0]);
			t_ring_register(&p->qp[0]);
			if (when & 1)
				t_pair_run(p);
			t_ring_record(&p->qp[0]);
			if (when & 2)
				t_pair_run(p);
			t_ring_register(&p->qp[0]);
			if (when & 4)
				t_pair_run(p);
			t_pair_run(p);
			t_expect(&p->cq[0], HW_CQE_REQ, 0);
			t_expect_none(&p->cq[0]);
			t_pair_close(p);
		}
}

static void test_without_a_record_at_its_own_register(void **state)
{
	struct t_pair_options options = t_pair_defaults;
	struct hw_sq_doorbell db;
	struct t_pair *p;
	uint64_t word;

	(void)state;
	options.config.persona = NIC_CONNECTX_8;
	options.qp.no_dbr = true;
	p = t_pair_open(&options);
	nop(&p->qp[0]);
	/* The record is not looked at. */
	t_ring_record(&p->qp[0]);
	t_pair_run(p);
	t_expect_none(&p->cq[0]);
	db = hw_sq_doorbell_encode(p->qp[0].number, (uint16_t)p->qp[0].sq_pi);
	memcpy(&word, &db, sizeof(word));
	store(&p->qp[0], HW_UAR_NO_DBR, word);
	t_pair_run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, 0);
	t_pair_close(p);
}

/* libmlx5 copies the WQE, alternating between the halves: ds is not 0. */
static void test_blueflame_copies_in_every_half(void **state)
{
	static const uint32_t halves[] = {0x800, 0x900, 0xa00, 0xb00};
	struct t_pair *p = open_as(NIC_STRICT, 0, 6);
	struct hw_wqe_ctrl_info ctrl = {.qpn = p->qp[0].number,
					.opcode = HW_OP_RDMA_WRITE};
	unsigned i, len;

	(void)state;
	for (i = 0; i < 40; i++) {
		/* 1 to 3 blocks: the index moves by ceil(ds / 4) */
		len = 12 + i % 3 * 60;
		t_fill(p->memory[0], len, i);
		t_begin(&p->qp[0], HW_OP_RDMA_WRITE, 0, T_SIGNALED);
		t_raddr(&p->qp[0], p->memory[1], p->key[1]);
		t_inline(&p->qp[0], p->memory[0], len);
		ctrl.ds = (uint8_t)(p->qp[0].wqe_bytes / HW_WQE_DS);
		ctrl.idx = t_end(&p->qp[0]);
		/* The rest of the copy lies behind, and is not a doorbell. */
		memcpy(p->qp[0].uar + halves[i % 4] + 8, p->qp[0].wqe + 8, 56);
		store_ctrl(&p->qp[0], halves[i % 4], &ctrl);
		t_pair_run(p);
		t_expect(&p->cq[0], HW_CQE_REQ, ctrl.idx);
		assert_memory_equal(p->memory[0], p->memory[1], len);
	}
	t_pair_close(p);
}

/* DOCA shifts a 64-bit index: bits 23:16 land where opmod is. */
static void test_opmod_and_opcode_of_a_doorbell_are_ignored(void **state)
{
	struct t_pair *p = open_as(NIC_STRICT, 0, 6);
	struct hw_wqe_ctrl_info ctrl = {
		.qpn = p->qp[0].number, .opmod = 0xff, .opcode = 0xee};

	(void)state;
	nop(&p->qp[0]);
	ctrl.idx = (uint16_t)p->qp[0].sq_pi; /* ds 0: the index itself */
	store_ctrl(&p->qp[0], HW_UAR_BF, &ctrl);
	t_pair_run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, 0);
	t_pair_close(p);
}

/* -------------------------------------------------------------- old news */

static void test_repeated_and_backward_doorbells_are_old_news(void **state)
{
	struct t_pair *p = open_as(NIC_STRICT, 0xfffe, 6);
	struct nic_counters before, after;
	uint32_t pi;
	int i;

	(void)state;
	for (i = 0; i < 7; i++)
		nop(&p->qp[0]);
	t_ring_register(&p->qp[0]);
	t_pair_run(p);
	for (i = 0; i < 7; i++)
		t_expect(&p->cq[0], HW_CQE_REQ, (uint16_t)(0xfffe + i));
	before = counters(p);
	pi = p->qp[0].sq_pi;
	for (i = 4; i >= 0; i--) {
		p->qp[0].sq_pi = pi - (uint32_t)i;
		t_ring_register(&p->qp[0]);
		t_pair_run(p);
		t_ring_register(&p->qp[0]);
		t_pair_run(p);
	}
	after = counters(p);
	assert_int_equal(after.doorbells_stale - before.doorbells_stale, 5);
	assert_int_equal(after.wqes, before.wqes);
	t_expect_none(&p->cq[0]);
	t_pair_works(p);
	t_pair_close(p);
}

/* ------------------------------------------------------------ bad doorbells */

static void ring_number(struct t_qp *qp, uint32_t number)
{
	struct hw_sq_doorbell db = hw_sq_doorbell_encode(number, 1);
	uint64_t word;

	memcpy(&word, &db, sizeof(word));
	store(qp, HW_UAR_BF, word);
}

static void test_doorbells_that_nobody_takes_are_told_and_ignored(void **state)
{
	struct t_pair *p = open_as(NIC_STRICT, 0, 6);
	struct t_qp idle;

	(void)state;
	ring_number(&p->qp[0], 0xabcdef);
	t_pair_run(p);
	assert_true(t_logged(&p->node[0],
			     "names QP 0xabcdef: no such queue pair; ignored"));
	assert_int_equal(counters(p).doorbells_dropped, 1);
	/* Another page than its own */
	t_qp_create(&p->node[0], &idle, &p->cq[0], &p->cq[0],
		    &t_pair_defaults.qp);
	ring_number(&p->qp[0], idle.number);
	t_pair_run(p);
	assert_true(t_logged(&p->node[0], "it has another UAR page"));
	/* Not in RTS */
	ring_number(&idle, idle.number);
	t_pair_run(p);
	assert_true(t_logged(&p->node[0], "it is not in RTS"));
	assert_int_equal(counters(p).doorbells_dropped, 3);
	assert_int_equal(t_qp_destroy(&idle), 0);
	t_pair_works(p);
	t_pair_close(p);
}

/* The index runs over what was not fetched yet: WQEs are lost. */
static void overrun(enum nic_progress progress, bool by_record)
{
	struct t_pair *p = open_as(progress, 0, 2);
	int i;

	for (i = 0; i < 5; i++)
		nop(&p->qp[0]);
	if (by_record)
		t_ring_record(&p->qp[0]);
	else
		t_ring_register(&p->qp[0]);
	t_pair_run(p);
	assert_true(t_logged(&p->node[0], "send queue overrun"));
	assert_int_equal(t_state(&p->qp[0]), HW_QP_ERR);
	assert_int_equal(t_events(&p->node[0], NIC_EVENT_QP_FATAL), 1);
	t_expect_none(&p->cq[0]);
	t_pair_reconnect(p);
	t_pair_works(p);
	t_pair_close(p);
}

static void test_a_doorbell_beyond_the_queue_is_fatal(void **state)
{
	(void)state;
	overrun(NIC_STRICT, false);
	overrun(NIC_COMPAT, false);
	overrun(NIC_COMPAT, true);
}

/* --------------------------------------------------------------- sizes */

static void fill_whole(uint8_t log_size, uint32_t start, bool by_record)
{
	struct t_pair_options options = t_pair_defaults;
	uint32_t i, size = 1u << log_size;
	struct t_pair *p;
	int lap;

	options.config.start_counter = start;
	options.config.progress = by_record ? NIC_COMPAT : NIC_STRICT;
	options.qp.log_sq_size = log_size;
	options.cq.log_size = log_size;
	p = t_pair_open(&options);
	for (lap = 0; lap < 3; lap++) {
		for (i = 0; i < size; i++)
			nop(&p->qp[0]);
		if (by_record)
			t_ring_record(&p->qp[0]);
		else
			t_ring_register(&p->qp[0]);
		t_pair_run(p);
		for (i = 0; i < size; i++)
			t_expect(&p->cq[0], HW_CQE_REQ, (uint16_t)p->cq[0].ci);
		t_expect_none(&p->cq[0]);
	}
	t_pair_close(p);
}

static void test_one_doorbell_for_a_whole_queue_of_any_size(void **state)
{
	static const uint8_t log_sizes[] = {0, 1, 6, 15};
	static const uint32_t starts[] = {0, 0xfffd, 0x7fff, 0xfffffffd};
	unsigned i, j;

	(void)state;
	for (i = 0; i < sizeof(log_sizes); i++)
		for (j = 0; j < 4; j++) {
			fill_whole(log_sizes[i], starts[j], false);
			fill_whole(log_sizes[i], starts[j], true);
		}
}

/* ------------------------------------------------------------ many of them */

enum { MANY = 150 };

struct crowd {
	struct t_pair *p;
	struct t_qp qp[MANY];
};

static struct crowd *crowd_open(enum nic_progress progress, bool share)
{
	struct t_qp_options options = t_pair_defaults.qp;
	struct crowd *c = calloc(1, sizeof(*c));
	unsigned i;

	c->p = open_as(progress, 0, 6);
	for (i = 0; i < MANY; i++) {
		if (share && i) {
			options.share_uar = c->qp[0].uar_index;
			options.share_uar_page = c->qp[0].uar;
		}
		t_qp_create(&c->p->node[0], &c->qp[i], &c->p->cq[0],
			    &c->p->cq[0], &options);
		t_connect(&c->qp[i], &c->qp[i], NULL);
	}
	return c;
}

static void crowd_close(struct crowd *c)
{
	unsigned i;

	for (i = 0; i < MANY; i++)
		assert_int_equal(t_qp_destroy(&c->qp[i]), 0);
	t_pair_close(c->p);
	free(c);
}

/* Ring in an order that is not that of creation; all must be served. */
static void ring_all(struct crowd *c, void (*ring)(struct t_qp *qp))
{
	uint8_t seen[MANY] = {0};
	struct hw_cqe_info info;
	unsigned i, round;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < MANY; i++) {
			nop(&c->qp[i * 7 % MANY]);
			ring(&c->qp[i * 7 % MANY]);
		}
		t_pair_run(c->p);
		for (i = 0; i < MANY; i++) {
			assert_true(t_poll(&c->p->cq[0], &info));
			assert_int_equal(info.opcode, HW_CQE_REQ);
			seen[info.qpn - c->qp[0].number]++;
		}
		for (i = 0; i < MANY; i++)
			assert_int_equal(seen[i], round + 1);
	}
}

static void test_every_page_of_many_is_looked_at(void **state)
{
	struct crowd *c = crowd_open(NIC_STRICT, false);

	(void)state;
	ring_all(c, t_ring_register);
	crowd_close(c);
}

static void test_every_record_of_many_is_looked_at(void **state)
{
	struct crowd *c = crowd_open(NIC_COMPAT, false);

	(void)state;
	ring_all(c, t_ring_record);
	crowd_close(c);
}

/* Each doorbell but the last is overwritten before anybody looks. */
static void test_a_shared_page_loses_nothing_in_compat(void **state)
{
	struct crowd *c = crowd_open(NIC_COMPAT, true);

	(void)state;
	ring_all(c, t_ring);
	crowd_close(c);
}

/* Objects that go while the scan is among them */
static void test_the_scan_survives_objects_that_go(void **state)
{
	struct crowd *c = crowd_open(NIC_COMPAT, false);
	struct hw_cqe_info info;
	unsigned i;

	(void)state;
	t_fault_handler();
	for (i = 0; i < MANY; i++) {
		nop(&c->qp[i]);
		t_ring(&c->qp[i]);
		nic_step(c->p->node[0].nic, 0);
		assert_int_equal(t_qp_destroy(&c->qp[i]), 0);
		nic_step(c->p->node[0].nic, 0);
	}
	while (t_poll(&c->p->cq[0], &info))
		;
	t_pair_works(c->p);
	crowd_close(c);
}

/* From IDLE a loop makes a whole pass, wherever the scan stands. */
static void test_a_loop_of_steps_finds_every_doorbell(void **state)
{
	struct crowd *c = crowd_open(NIC_STRICT, false);
	struct nic *nic = c->p->node[0].nic;
	struct hw_cqe_info info;
	unsigned i;

	(void)state;
	t_fault_handler();
	while (nic_step(nic, 0))
		;
	for (i = 0; i < 10 * MANY; i += 13) {
		nop(&c->qp[i % MANY]);
		t_ring_register(&c->qp[i % MANY]);
		while (nic_step(nic, 0))
			;
		assert_true(t_poll(&c->p->cq[0], &info));
		assert_int_equal(info.qpn, c->qp[i % MANY].number);
	}
	crowd_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_register_after_record_works_in_both_modes),
		cmocka_unit_test(
			test_a_record_alone_moves_compat_and_not_strict),
		cmocka_unit_test(test_a_register_alone_is_enough_for_ever),
		cmocka_unit_test(test_the_early_protocol_works),
		cmocka_unit_test(test_without_a_record_at_its_own_register),
		cmocka_unit_test(test_blueflame_copies_in_every_half),
		cmocka_unit_test(
			test_opmod_and_opcode_of_a_doorbell_are_ignored),
		cmocka_unit_test(
			test_repeated_and_backward_doorbells_are_old_news),
		cmocka_unit_test(
			test_doorbells_that_nobody_takes_are_told_and_ignored),
		cmocka_unit_test(test_a_doorbell_beyond_the_queue_is_fatal),
		cmocka_unit_test(
			test_one_doorbell_for_a_whole_queue_of_any_size),
		cmocka_unit_test(test_every_page_of_many_is_looked_at),
		cmocka_unit_test(test_every_record_of_many_is_looked_at),
		cmocka_unit_test(test_a_shared_page_loses_nothing_in_compat),
		cmocka_unit_test(test_the_scan_survives_objects_that_go),
		cmocka_unit_test(test_a_loop_of_steps_finds_every_doorbell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
