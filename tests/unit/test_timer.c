/* SPDX-License-Identifier: MIT */
/*
 * Timers: the ACK timeout and its retries, the RNR timer and its retries, the
 * deadline that a runner sleeps to, a peer that goes away.
 */
#include "support/t_pair.h"

#include <stdlib.h>

#include "emu/qp.h"

static struct t_pair *open_with(const struct t_connect *connect)
{
	struct t_pair_options options = t_pair_defaults;

	options.connect = connect;
	return t_pair_open(&options);
}

static void send(struct t_pair *p)
{
	t_begin(&p->qp[0], HW_OP_SEND, 0, T_SIGNALED);
	t_data(&p->qp[0], p->memory[0], 8, p->key[0]);
	t_end(&p->qp[0]);
	t_ring(&p->qp[0]);
	t_pair_run(p);
}

static uint64_t deadline(struct t_pair *p)
{
	return nic_deadline(p->node[0].nic);
}

static void set_time(struct t_pair *p, uint64_t now_ns)
{
	p->node[0].now_ns = p->node[1].now_ns = now_ns;
	t_pair_run(p);
}

/* IBTA table 45, in microseconds */
static const uint32_t rnr_us[32] = {
	655360, 10,    20,    30,     40,     60,     80,     120,
	160,	240,   320,   480,    640,    960,    1280,   1920,
	2560,	3840,  5120,  7680,   10240,  15360,  20480,  30720,
	40960,	61440, 81920, 122880, 163840, 245760, 327680, 491520};

static void test_every_rnr_timer_has_its_time(void **state)
{
	struct t_connect connect = {.rnr_retries = 7, .log_ra_max = 4};
	struct t_pair *p;
	uint64_t due;
	uint8_t code;

	(void)state;
	for (code = 0; code < 32; code++) {
		connect.min_rnr_nak = code;
		p = open_with(&connect);
		assert_true(deadline(p) == UINT64_MAX);
		set_time(p, 1000);
		send(p);
		due = 1000 + rnr_us[code] * 1000ull;
		assert_int_equal(deadline(p), due);
		t_post_recv(&p->qp[1], p->memory[1], 64, p->key[1]);
		set_time(p, due - 1);
		t_expect_none(&p->cq[0]);
		set_time(p, due);
		t_expect(&p->cq[0], HW_CQE_REQ, 0);
		assert_true(deadline(p) == UINT64_MAX);
		t_pair_close(p);
	}
}

static void rnr_retries(uint8_t retries)
{
	struct t_connect connect = {
		.rnr_retries = retries, .min_rnr_nak = 1, .log_ra_max = 4};
	struct t_pair *p = open_with(&connect);
	struct nic_counters counters;

	send(p);
	t_run_for(p->node, 2, 1000000000);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 0, HW_SYND_RNR_RETRY_EXC);
	nic_get_counters(p->node[0].nic, &counters);
	assert_int_equal(counters.rnr_nak_retry_err, retries + 1);
	assert_int_equal(t_state(&p->qp[0]), HW_QP_ERR);
	assert_int_equal(t_state(&p->qp[1]), HW_QP_RTS);
	t_pair_reconnect(p);
	t_pair_works(p);
	t_pair_close(p);
}

static void test_rnr_retries_are_counted(void **state)
{
	uint8_t retries;

	(void)state;
	for (retries = 0; retries < 7; retries++)
		rnr_retries(retries);
}

static void test_rnr_retry_7_is_for_ever(void **state)
{
	struct t_connect connect = {
		.rnr_retries = 7, .min_rnr_nak = 1, .log_ra_max = 4};
	struct t_pair *p = open_with(&connect);
	struct nic_counters counters;

	(void)state;
	send(p);
	t_run_for(p->node, 2, 50000000);
	nic_get_counters(p->node[0].nic, &counters);
	assert_true(counters.rnr_nak_retry_err > 1000);
	t_expect_none(&p->cq[0]);
	t_post_recv(&p->qp[1], p->memory[1], 64, p->key[1]);
	t_run_for(p->node, 2, 50000);
	t_expect(&p->cq[0], HW_CQE_REQ, 0);
	t_pair_close(p);
}

/* What came through in between gives the retries back. */
static void test_progress_gives_rnr_retries_back(void **state)
{
	struct t_connect connect = {
		.rnr_retries = 1, .min_rnr_nak = 1, .log_ra_max = 4};
	struct t_pair *p = open_with(&connect);
	uint16_t i;

	(void)state;
	for (i = 0; i < 10; i++) {
		send(p); /* refused once, the one retry succeeds */
		t_post_recv(&p->qp[1], p->memory[1], 64, p->key[1]);
		t_run_for(p->node, 2, 50000);
		t_expect(&p->cq[0], HW_CQE_REQ, i);
	}
	t_pair_close(p);
}

/* ------------------------------------------------------------- ACK timeout */

/* The peer's QP stays in INIT: packets are dropped, and the sender hears. */
static struct t_pair *open_deaf(const struct t_connect *connect)
{
	struct t_pair_options options = t_pair_defaults;
	struct t_pair *p;

	options.unconnected = true;
	p = t_pair_open(&options);
	assert_int_equal(
		t_modify(&p->qp[0], HW_CMD_RST2INIT_QP, &p->qp[1], connect), 0);
	assert_int_equal(
		t_modify(&p->qp[0], HW_CMD_INIT2RTR_QP, &p->qp[1], connect), 0);
	assert_int_equal(
		t_modify(&p->qp[0], HW_CMD_RTR2RTS_QP, &p->qp[1], connect), 0);
	return p;
}

static void test_the_timeout_is_4096_ns_shifted_by_its_code(void **state)
{
	struct t_connect connect = {.retries = 2, .log_ra_max = 4};
	uint64_t timeout;
	struct t_pair *p;
	unsigned i;

	(void)state;
	for (connect.ack_timeout = 1; connect.ack_timeout < 32;
	     connect.ack_timeout++) {
		timeout = 4096ull << connect.ack_timeout;
		p = open_deaf(&connect);
		t_pair_rdma(p, HW_OP_RDMA_WRITE, 8);
		t_ring(&p->qp[0]);
		t_pair_run(p);
		for (i = 1; i <= 3; i++) {
			assert_int_equal(deadline(p), i * timeout);
			set_time(p, i * timeout - 1);
			t_expect_none(&p->cq[0]);
			set_time(p, i * timeout);
		}
		t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 0, HW_SYND_RETRY_EXC);
		assert_true(deadline(p) == UINT64_MAX);
		t_pair_close(p);
	}
}

static void test_retries_are_counted(void **state)
{
	struct t_connect connect = {.ack_timeout = 1, .log_ra_max = 4};
	struct nic_counters counters;
	struct t_pair *p;

	(void)state;
	for (connect.retries = 0; connect.retries < 8; connect.retries++) {
		p = open_deaf(&connect);
		t_pair_rdma(p, HW_OP_RDMA_READ, 8);
		t_ring(&p->qp[0]);
		t_run_for(p->node, 2, 1000000);
		t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 0, HW_SYND_RETRY_EXC);
		nic_get_counters(p->node[0].nic, &counters);
		assert_int_equal(counters.local_ack_timeout_err,
				 connect.retries + 1);
		assert_int_equal(counters.retransmits, connect.retries);
		t_pair_close(p);
	}
}

static void test_timeout_0_waits_for_ever(void **state)
{
	struct t_connect connect = {.retries = 1, .log_ra_max = 4};
	struct t_pair *p = open_deaf(&connect);

	(void)state;
	t_pair_rdma(p, HW_OP_RDMA_WRITE, 8);
	t_ring(&p->qp[0]);
	t_run_for(p->node, 2, 1ull << 40);
	t_expect_none(&p->cq[0]);
	assert_true(deadline(p) == UINT64_MAX);
	t_pair_close(p);
}

static void test_a_timer_that_stops_leaves_no_deadline(void **state)
{
	struct t_connect connect = {
		.ack_timeout = 10, .retries = 7, .log_ra_max = 4};
	struct t_pair *p = open_deaf(&connect);

	(void)state;
	t_pair_rdma(p, HW_OP_RDMA_WRITE, 8);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	assert_int_equal(deadline(p), 4096 << 10);
	assert_int_equal(t_modify(&p->qp[0], HW_CMD_2RST_QP, NULL, NULL), 0);
	assert_true(deadline(p) == UINT64_MAX);
	t_pair_close(p);
}

/* A peer that comes late but in time is served by a retry. */
static void test_a_late_peer_is_reached(void **state)
{
	struct t_connect connect = {
		.ack_timeout = 10, .retries = 7, .log_ra_max = 4};
	struct t_pair *p = open_deaf(&connect);

	(void)state;
	t_fill(p->memory[0], 300000, 1);
	t_pair_rdma(p, HW_OP_RDMA_WRITE, 300000);
	t_ring(&p->qp[0]);
	t_run_for(p->node, 2, 3 * (4096ull << 10));
	assert_int_equal(
		t_modify(&p->qp[1], HW_CMD_RST2INIT_QP, &p->qp[0], &connect),
		0);
	assert_int_equal(
		t_modify(&p->qp[1], HW_CMD_INIT2RTR_QP, &p->qp[0], &connect),
		0);
	t_run_for(p->node, 2, 4096ull << 10);
	t_expect(&p->cq[0], HW_CQE_REQ, 0);
	assert_memory_equal(p->memory[0], p->memory[1], 300000);
	assert_int_equal(t_events(&p->node[1], NIC_EVENT_COMM_EST), 1);
	assert_true(deadline(p) == UINT64_MAX); /* nothing is waited for */
	t_pair_close(p);
}

/* Nobody has this LID. */
static void test_an_address_that_nobody_has(void **state)
{
	struct t_connect connect = {
		.ack_timeout = 4, .retries = 3, .log_ra_max = 4};
	uint8_t in[HW_MODIFY_QP_IN_BYTES];
	struct t_pair_options options = t_pair_defaults;
	struct t_pair *p;

	(void)state;
	options.unconnected = true;
	p = t_pair_open(&options);
	assert_int_equal(t_modify(&p->qp[0], HW_CMD_RST2INIT_QP, NULL, NULL),
			 0);
	t_modify_mailbox(&p->qp[0], HW_CMD_INIT2RTR_QP, &p->qp[1], NULL, in);
	hw_set(in + HW_QPC_OFFSET + HW_QPC_PATH, HW_ADS_RLID, 0x777);
	assert_int_equal(t_cmd(&p->node[0], in, sizeof(in), NULL), 0);
	assert_int_equal(t_modify(&p->qp[0], HW_CMD_RTR2RTS_QP, NULL, &connect),
			 0);
	t_pair_rdma(p, HW_OP_RDMA_WRITE, 8);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	assert_true(t_logged(&p->node[0], "nobody answers to the address"));
	t_run_for(p->node, 2, 3 * (4096ull << 4));
	t_expect_none(&p->cq[0]);
	t_run_for(p->node, 2, 4096ull << 4);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 0, HW_SYND_RETRY_EXC);
	t_pair_close(p);
}

/* ------------------------------------------------------ a peer that goes */

static void leave(struct t_pair *p)
{
	nic_destroy(p->node[1].nic);
	p->node[1].nic = NULL;
}

static void test_a_peer_that_goes_in_mid_transfer(void **state)
{
	static const uint8_t opcodes[] = {HW_OP_RDMA_WRITE, HW_OP_RDMA_READ};
	struct t_pair *p;
	unsigned i, steps;

	(void)state;
	for (i = 0; i < 2; i++)
		for (steps = 0; steps < 6; steps++) {
			unsigned n;

			p = t_pair_open(&t_pair_defaults);
			t_pair_rdma(p, opcodes[i], T_PAIR_BYTES);
			t_pair_rdma(p, opcodes[i], T_PAIR_BYTES);
			t_ring(&p->qp[0]);
			t_fault_handler();
			for (n = 0; n < steps; n++) {
				nic_step(p->node[0].nic, 0);
				if (n + 1 < steps)
					nic_step(p->node[1].nic, 0);
			}
			leave(p);
			t_run(p->node, 1);
			t_run_for(p->node, 1, NIC_GONE_NS);
			while (p->cq[0].ci < p->qp[0].sq_pi) {
				struct hw_cqe_info info;

				assert_true(t_poll(&p->cq[0], &info));
				if (info.opcode == HW_CQE_REQ)
					continue;
				assert_int_equal(info.syndrome,
						 HW_SYND_RETRY_EXC);
				break;
			}
			t_pair_close(p);
		}
}

static void test_a_peer_that_has_gone_fails_the_next_send_in_time(void **state)
{
	struct t_pair *p = *state;

	t_pair_works(p);
	leave(p);
	t_run(p->node, 1);
	assert_int_equal(t_state(&p->qp[0]), HW_QP_RTS);
	/* What stays here still works. */
	t_begin(&p->qp[0], HW_OP_NOP, 0, T_SIGNALED);
	t_end(&p->qp[0]);
	t_ring(&p->qp[0]);
	t_run(p->node, 1);
	t_expect(&p->cq[0], HW_CQE_REQ, 1);
	t_pair_rdma(p, HW_OP_RDMA_WRITE, 8);
	t_ring(&p->qp[0]);
	t_run(p->node, 1);
	t_run_for(p->node, 1, NIC_GONE_NS - 1);
	t_expect_none(&p->cq[0]);
	t_run_for(p->node, 1, 1);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 2, HW_SYND_RETRY_EXC);
	assert_true(t_logged(&p->node[0], "its peer is gone"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_rnr_timer_has_its_time),
		cmocka_unit_test(test_rnr_retries_are_counted),
		cmocka_unit_test(test_rnr_retry_7_is_for_ever),
		cmocka_unit_test(test_progress_gives_rnr_retries_back),
		cmocka_unit_test(
			test_the_timeout_is_4096_ns_shifted_by_its_code),
		cmocka_unit_test(test_retries_are_counted),
		cmocka_unit_test(test_timeout_0_waits_for_ever),
		cmocka_unit_test(test_a_timer_that_stops_leaves_no_deadline),
		cmocka_unit_test(test_a_late_peer_is_reached),
		cmocka_unit_test(test_an_address_that_nobody_has),
		cmocka_unit_test(test_a_peer_that_goes_in_mid_transfer),
		T_PAIR_TEST(
			test_a_peer_that_has_gone_fails_the_next_send_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
