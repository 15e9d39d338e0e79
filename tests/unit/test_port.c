/* SPDX-License-Identifier: MIT */
/*
 * The link of a port goes down and comes back: what is under way, what is
 * lost, what is told.
 */
#include "support/t_pair.h"

#include "emu/core.h"
#include "hw/cmd_cap.h"

enum {
	TIMEOUT_CODE = 14, /* 4.096 us << 14 */
	TIMEOUT_NS = 67108864,
	RETRIES = 3,
	QKEY = 0x11111111,
	/* Queue pairs whose answers are due, and all of them: those whose
	 * requests are still in the inbox fill that. */
	MANY_DUE = 300,
	MANY = MANY_DUE + 128,
};

static const struct t_connect connected = {
	.ack_timeout = TIMEOUT_CODE,
	.retries = RETRIES,
	.rnr_retries = 7,
	.log_ra_max = 4,
};

static struct t_pair *open_pair(void)
{
	struct t_pair_options options = t_pair_defaults;

	options.connect = &connected;
	return t_pair_open(&options);
}

static void set_link(struct t_pair *p, int side, bool up)
{
	nic_set_port_active(p->node[side].nic, up);
}

static void run_for(struct t_pair *p, uint64_t ns)
{
	t_run_for(p->node, 2, ns);
}

/* The packets that have arrived, and nothing that they cause. */
static void take_in(struct t_node *node)
{
	struct nic *nic = node->nic;

	while (nic->wire->ops->poll(nic->wire, nic, 64, node->now_ns))
		;
}

/* ------------------------------------------------------------------- RC */

/* How far a request gets before a link goes down. */
enum stage { POSTED, SENT, TAKEN_IN, ANSWERED, STAGES };

static void advance(struct t_pair *p, enum stage stage)
{
	t_fault_handler();
	if (stage >= SENT)
		nic_step(p->node[0].nic, p->node[0].now_ns);
	if (stage == TAKEN_IN)
		take_in(&p->node[1]);
	if (stage == ANSWERED)
		nic_step(p->node[1].nic, p->node[1].now_ns);
}

/* Is it too late? Answers that have left do arrive. */
static bool is_through(unsigned stage, unsigned side)
{
	return stage == ANSWERED && side == 1;
}

/* A write and a read of several packets, and an atomic. */
static void post_some(struct t_pair *p, unsigned seed)
{
	const struct t_atomic add = {HW_OP_ATOMIC_FA, 0, {.swap_add = 1}};
	uint64_t *target = (uint64_t *)(p->memory[1] + (3 << 20));
	enum { LEN = (2 << 20) + 100 };

	t_fill(p->memory[0], LEN, seed);
	*target = seed;
	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, p->memory[0], p->key[0],
	       p->memory[1], p->key[1], LEN);
	t_rdma(&p->qp[0], HW_OP_RDMA_READ, p->memory[0], p->key[0],
	       p->memory[1], p->key[1], LEN);
	t_pair_atomic(p, &add, target, p->memory[0] + (3 << 20));
	t_ring(&p->qp[0]);
}

static void expect_all_done(struct t_pair *p, unsigned seed)
{
	struct hw_cqe_info info;
	unsigned i;

	for (i = 0; i < 3; i++) {
		if (!t_poll(&p->cq[0], &info))
			fail_msg("request %u did not complete: %s", i,
				 p->node[0].log);
		assert_int_equal(info.opcode, HW_CQE_REQ);
	}
	t_expect_none(&p->cq[0]);
	assert_memory_equal(p->memory[0], p->memory[1], 2 << 20);
	/* Once, although it was asked for more than once. */
	assert_int_equal(*(uint64_t *)(p->memory[1] + (3 << 20)), seed + 1);
	assert_int_equal(*(uint64_t *)(p->memory[0] + (3 << 20)), seed);
}

/* Either side, at any stage; the link is back before the last retry. */
static void test_a_link_that_comes_back_in_time_costs_only_time(void **state)
{
	unsigned stage, side;

	(void)state;
	for (stage = POSTED; stage < STAGES; stage++) {
		for (side = 0; side < 2; side++) {
			struct t_pair *p = open_pair();

			t_pair_works(p);
			post_some(p, stage * 2 + side);
			advance(p, stage);
			set_link(p, (int)side, false);
			run_for(p, TIMEOUT_NS * 2 + TIMEOUT_NS / 2);
			if (!is_through(stage, side))
				t_expect_none(&p->cq[0]);
			set_link(p, (int)side, true);
			run_for(p, TIMEOUT_NS);
			expect_all_done(p, stage * 2 + side);
			t_pair_works(p);
			t_pair_close(p);
		}
	}
}

static void test_a_link_that_stays_down_ends_in_retry_exceeded(void **state)
{
	unsigned stage, side;
	struct hw_cqe_info info;

	(void)state;
	for (stage = POSTED; stage < STAGES; stage++) {
		for (side = 0; side < 2; side++) {
			struct t_pair *p;

			if (is_through(stage, side))
				continue;
			p = open_pair();
			post_some(p, 1);
			advance(p, stage);
			set_link(p, (int)side, false);
			run_for(p, (uint64_t)TIMEOUT_NS * RETRIES);
			t_expect_none(&p->cq[0]);
			run_for(p, (uint64_t)TIMEOUT_NS * 2);
			assert_true(t_poll(&p->cq[0], &info));
			assert_int_equal(info.opcode, HW_CQE_REQ_ERR);
			assert_int_equal(info.syndrome, HW_SYND_RETRY_EXC);
			assert_int_equal(t_state(&p->qp[0]), HW_QP_ERR);
			assert_int_equal(t_state(&p->qp[1]), HW_QP_RTS);
			set_link(p, (int)side, true);
			t_pair_reconnect(p);
			t_pair_close(p);
		}
	}
}

/* One that is posted while the link is down is no different. */
static void test_a_request_waits_for_the_link(void **state)
{
	struct t_pair *p = open_pair();
	uint16_t index;

	(void)state;
	set_link(p, 0, false);
	index = t_pair_rdma(p, HW_OP_RDMA_WRITE, 8);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	t_expect_none(&p->cq[0]);
	assert_true(t_logged(&p->node[0], "the port is down"));
	set_link(p, 0, true);
	run_for(p, TIMEOUT_NS * 2);
	t_expect(&p->cq[0], HW_CQE_REQ, index);
	t_pair_works(p);
	t_pair_close(p);
}

/* Timeout code 0 is "for ever". */
static void test_without_a_timeout_a_lost_request_is_lost(void **state)
{
	const struct t_connect forever = {.retries = RETRIES};
	struct t_pair_options options = t_pair_defaults;
	struct t_pair *p;

	(void)state;
	options.connect = &forever;
	p = t_pair_open(&options);
	t_pair_rdma(p, HW_OP_RDMA_WRITE, 8);
	t_ring(&p->qp[0]);
	advance(p, ANSWERED);
	set_link(p, 0, false);
	t_pair_run(p);
	set_link(p, 0, true);
	run_for(p, (uint64_t)TIMEOUT_NS * 100);
	t_expect_none(&p->cq[0]);
	t_pair_close(p);
}

/* A NAK that is lost comes again with the request that it is about. */
static void test_a_refusal_that_is_lost_comes_again(void **state)
{
	struct t_pair *p = open_pair();
	uint16_t index;

	(void)state;
	index = t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, p->memory[0], p->key[0],
		       p->memory[1], p->key[1] ^ 0xff, 8);
	t_ring(&p->qp[0]);
	advance(p, TAKEN_IN);
	set_link(p, 1, false);
	t_pair_run(p);
	t_expect_none(&p->cq[0]);
	set_link(p, 1, true);
	run_for(p, TIMEOUT_NS * 2);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, index, HW_SYND_REMOTE_ACCESS);
	t_pair_close(p);
}

/* One step loses as many answers and requests as it can: each sender hears. */
static void test_every_one_of_many_queue_pairs_gives_up(void **state)
{
	struct t_pair *p = open_pair();
	static struct t_qp qps[2][MANY];
	struct t_cq_options options = {.log_size = 10};
	struct hw_cqe_info info;
	struct t_cq cq[2];
	unsigned i, side;

	(void)state;
	for (side = 0; side < 2; side++)
		t_cq_create(&p->node[side], &cq[side], &options);
	for (i = 0; i < MANY; i++) {
		for (side = 0; side < 2; side++)
			t_qp_create(&p->node[side], &qps[side][i], &cq[side],
				    &cq[side], &t_pair_defaults.qp);
		t_connect(&qps[0][i], &qps[1][i], &connected);
		t_rdma(&qps[0][i], HW_OP_RDMA_WRITE, p->memory[0], p->key[0],
		       p->memory[1], p->key[1], 8);
		t_ring(&qps[0][i]);
		while (nic_step(p->node[0].nic, 0) != NIC_STEP_IDLE)
			;
		if (i < MANY_DUE)
			take_in(&p->node[1]);
	}
	set_link(p, 1, false);
	nic_step(p->node[1].nic, 0);
	run_for(p, (uint64_t)TIMEOUT_NS * (RETRIES + 2));
	for (i = 0; i < MANY; i++) {
		assert_true(t_poll(&cq[0], &info));
		assert_int_equal(info.syndrome, HW_SYND_RETRY_EXC);
	}
	for (side = 0; side < 2; side++) {
		for (i = 0; i < MANY; i++)
			t_qp_destroy(&qps[side][i]);
		t_cq_destroy(&cq[side]);
	}
	t_pair_close(p);
}

/* -------------------------------------------------------------- UC, UD */

static uint16_t post_datagram(struct t_pair *p)
{
	const struct t_av av = {.to = &p->qp[1], .qkey = QKEY};
	uint16_t index;

	t_begin(&p->qp[0], HW_OP_SEND, 0, T_SIGNALED);
	t_av(&p->qp[0], &av);
	t_data(&p->qp[0], p->memory[0], 8, p->key[0]);
	index = t_end(&p->qp[0]);
	t_ring(&p->qp[0]);
	return index;
}

static void expect_datagram(struct t_pair *p, bool arrives)
{
	struct hw_cqe_info info;

	assert_int_equal(t_poll(&p->cq[1], &info), arrives);
	if (arrives)
		assert_int_equal(info.opcode, HW_CQE_RESP_SEND);
}

static void test_datagrams_are_lost_without_a_word(void **state)
{
	struct t_pair_options options = t_pair_defaults;
	struct t_pair *p;
	int side, i;

	(void)state;
	options.unconnected = true;
	options.qp.st = HW_QP_ST_UD;
	p = t_pair_open(&options);
	for (i = 0; i < 2; i++)
		t_ready_ud(&p->qp[i], QKEY);
	for (i = 0; i < 4; i++)
		t_post_recv(&p->qp[1], p->memory[1], 64, p->key[1]);
	for (side = 0; side < 2; side++) {
		set_link(p, side, false);
		post_datagram(p);
		t_pair_run(p);
		assert_true(t_poll(&p->cq[0], &(struct hw_cqe_info){0}));
		expect_datagram(p, false);
		set_link(p, side, true);
		post_datagram(p);
		t_pair_run(p);
		assert_true(t_poll(&p->cq[0], &(struct hw_cqe_info){0}));
		expect_datagram(p, true);
		expect_datagram(p, false);
	}
	t_pair_close(p);
}

static void test_uc_loses_what_is_sent_meanwhile(void **state)
{
	struct t_pair_options options = t_pair_defaults;
	struct t_pair *p;
	uint16_t index;
	int side;

	(void)state;
	options.qp.st = HW_QP_ST_UC;
	p = t_pair_open(&options);
	for (side = 0; side < 2; side++) {
		set_link(p, side, false);
		t_fill(p->memory[0], 64, 7);
		memset(p->memory[1], 0, 64);
		index = t_pair_rdma(p, HW_OP_RDMA_WRITE, 64);
		t_ring(&p->qp[0]);
		t_pair_run(p);
		t_expect(&p->cq[0], HW_CQE_REQ, index);
		assert_int_equal(p->memory[1][63], 0);
		set_link(p, side, true);
		t_pair_works(p);
	}
	t_pair_close(p);
}

/* --------------------------------------------------------------- telling */

static uint32_t vport_state(struct t_node *node)
{
	uint8_t out[T_OUT];

	assert_int_equal(t_simple(node, HW_CMD_QUERY_HCA_VPORT_CONTEXT, 0, out),
			 0);
	assert_int_equal(
		hw_get(out + HW_VPORT_OUT_CONTEXT, HW_VPORT_STATE),
		hw_get(out + HW_VPORT_OUT_CONTEXT, HW_VPORT_PORT_STATE));
	return hw_get(out + HW_VPORT_OUT_CONTEXT, HW_VPORT_PORT_STATE);
}

static void test_queries_and_events_tell_of_the_link(void **state)
{
	struct t_pair *p = *state;
	struct t_node *node = &p->node[0];
	struct nic_port up, down;

	nic_query_port(node->nic, &up);
	assert_true(up.active);
	assert_int_equal(vport_state(node), HW_VPORT_UP);
	t_forget(node);
	nic_set_port_active(node->nic, true);
	assert_int_equal(node->event_count, 0);

	nic_set_port_active(node->nic, false);
	nic_set_port_active(node->nic, false);
	assert_int_equal(node->event_count, 1);
	assert_int_equal(node->events[0].type, NIC_EVENT_PORT_DOWN);
	assert_int_equal(node->events[0].number, 1);
	nic_query_port(node->nic, &down);
	assert_false(down.active);
	assert_int_equal(vport_state(node), HW_VPORT_DOWN);
	/* Addresses are the subnet's, and stay. */
	down.active = true;
	assert_memory_equal(&down, &up, sizeof(up));

	nic_set_port_active(node->nic, true);
	assert_int_equal(node->event_count, 2);
	assert_int_equal(node->events[1].type, NIC_EVENT_PORT_ACTIVE);
	assert_int_equal(vport_state(node), HW_VPORT_UP);
	assert_int_equal(p->node[1].event_count, 0);
}

static void test_without_a_wire_no_link_is_up(void **state)
{
	struct nic_port port;
	struct t_node node;

	(void)state;
	t_node_open(&node, NULL, NULL);
	nic_set_port_active(node.nic, false);
	nic_set_port_active(node.nic, true);
	nic_query_port(node.nic, &port);
	assert_false(port.active);
	assert_int_equal(vport_state(&node), HW_VPORT_DOWN);
	t_node_close(&node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_a_link_that_comes_back_in_time_costs_only_time),
		cmocka_unit_test(
			test_a_link_that_stays_down_ends_in_retry_exceeded),
		cmocka_unit_test(test_a_request_waits_for_the_link),
		cmocka_unit_test(test_without_a_timeout_a_lost_request_is_lost),
		cmocka_unit_test(test_a_refusal_that_is_lost_comes_again),
		cmocka_unit_test(test_every_one_of_many_queue_pairs_gives_up),
		cmocka_unit_test(test_datagrams_are_lost_without_a_word),
		cmocka_unit_test(test_uc_loses_what_is_sent_meanwhile),
		T_PAIR_TEST(test_queries_and_events_tell_of_the_link),
		cmocka_unit_test(test_without_a_wire_no_link_is_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
