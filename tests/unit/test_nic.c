/* SPDX-License-Identifier: MIT */
/*
 * The NIC as a whole: its life and configuration, port and counters, control
 * calls from other threads while traffic runs, queues that do not starve
 * each other.
 */
#include "support/t_pair.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

static void test_a_config_out_of_range_is_einval(void **state)
{
	struct nic_config config = {0};

	(void)state;
	config.persona = (enum nic_persona)4;
	errno = 0;
	assert_null(nic_create(&config));
	assert_int_equal(errno, EINVAL);
	config.persona = NIC_CONNECTX_8;
	config.link = (enum nic_link)2;
	assert_null(nic_create(&config));
	config.link = NIC_LINK_ROCE;
	config.progress = (enum nic_progress)2;
	assert_null(nic_create(&config));
	config.progress = NIC_STRICT;
	nic_destroy(nic_create(&config));
	nic_destroy(nic_create(NULL));
	nic_destroy(NULL);
}

static void test_destroy_frees_what_is_left(void **state)
{
	struct t_pair *p = *state;

	t_pair_works(p);
	t_pair_rdma(p, HW_OP_RDMA_READ, T_PAIR_BYTES);
	t_ring(&p->qp[0]);
	t_fault_handler();
	nic_step(p->node[0].nic, 0);
	/* With objects, a request in flight, and its peer still there */
	nic_destroy(p->node[0].nic);
	p->node[0].nic = NULL;
	t_run(&p->node[1], 1);
}

static void test_a_nic_without_its_wire_takes_calls(void **state)
{
	struct t_pair *p = *state;
	struct nic_port port;
	struct nic_usage usage;

	t_pair_works(p);
	t_pair_rdma(p, HW_OP_RDMA_READ, T_PAIR_BYTES);
	t_ring(&p->qp[0]);
	nic_step(p->node[0].nic, 0);
	nic_detach_wire(p->node[0].nic);
	nic_detach_wire(p->node[0].nic);
	nic_query_port(p->node[0].nic, &port);
	assert_false(port.active);
	/* With a request in flight, a new one, and commands. */
	t_pair_rdma(p, HW_OP_RDMA_WRITE, 8);
	t_ring(&p->qp[0]);
	t_run(&p->node[0], 1);
	nic_get_usage(p->node[0].nic, &usage);
	assert_int_equal(usage.qps, 1);
	t_run(&p->node[1], 1);
}

static void test_the_port_is_what_the_wire_says(void **state)
{
	struct t_pair *p = *state;
	struct nic_port port;
	struct t_node alone;

	nic_query_port(p->node[1].nic, &port);
	assert_true(port.active);
	assert_int_equal(port.lid, 2);
	assert_int_equal(port.mtu, 5);
	assert_int_equal(port.gid[0], 0xfe);
	t_node_open(&alone, NULL, NULL);
	nic_query_port(alone.nic, &port);
	assert_false(port.active);
	assert_int_equal(port.lid, 0);
	t_node_close(&alone);
}

static void test_usage_counts_objects(void **state)
{
	struct t_pair *p = *state;
	struct nic_usage usage;

	nic_get_usage(p->node[0].nic, &usage);
	assert_int_equal(usage.pds, 1);
	assert_int_equal(usage.uars, 2);
	assert_int_equal(usage.umems, 3);
	assert_int_equal(usage.mkeys, 1);
	assert_int_equal(usage.cqs, 1);
	assert_int_equal(usage.qps, 1);
	assert_int_equal(usage.rmps, 0);
}

static void test_doorbells_are_watched_while_a_qp_reads_them(void **state)
{
	struct t_pair *p = *state;
	struct nic *nic = p->node[0].nic;

	assert_true(nic_watches_doorbells(nic));
	t_modify(&p->qp[0], HW_CMD_2ERR_QP, NULL, NULL);
	assert_true(nic_watches_doorbells(nic));
	t_modify(&p->qp[0], HW_CMD_2RST_QP, NULL, NULL);
	assert_false(nic_watches_doorbells(nic));
	t_pair_reconnect(p);
	assert_true(nic_watches_doorbells(nic));
	assert_int_equal(t_qp_destroy(&p->qp[0]), 0);
	assert_false(nic_watches_doorbells(nic));
}

static void test_an_idle_nic_is_idle(void **state)
{
	struct t_pair *p = *state;

	t_pair_works(p);
	t_fault_handler();
	assert_int_equal(nic_step(p->node[0].nic, 5), NIC_STEP_IDLE);
	assert_int_equal(nic_try_step(p->node[0].nic, 5), NIC_STEP_IDLE);
}

/* A packet that comes to a NIC without a wire has come from nowhere. */
static void test_a_packet_without_a_wire_is_dropped(void **state)
{
	struct hw_bth_info bth = {.opcode = HW_PKT_WRITE_ONLY,
				  .pkey = HW_PKEY_DEFAULT};
	uint8_t body[8] = {0}, memory[8] = {0};
	struct nic_packet packet = {.body = body,
				    .body_bytes = 8,
				    .payload_len = 8,
				    .header_len = 28};
	struct nic_counters counters;
	uint8_t in[HW_MODIFY_QP_IN_BYTES];
	struct hw_reth reth;
	struct t_node node;
	struct hw_bth raw;
	struct t_cq cq;
	struct t_qp qp;

	(void)state;
	t_node_open(&node, NULL, NULL);
	t_cq_create(&node, &cq, &t_pair_defaults.cq);
	t_qp_create(&node, &qp, &cq, &cq, &t_pair_defaults.qp);
	assert_int_equal(t_modify(&qp, HW_CMD_RST2INIT_QP, NULL, NULL), 0);
	t_modify_mailbox(&qp, HW_CMD_INIT2RTR_QP, NULL, NULL, in);
	hw_set(in + HW_QPC_OFFSET + HW_QPC_PATH, HW_ADS_RLID, 1);
	assert_int_equal(t_cmd(&node, in, sizeof(in), NULL), 0);
	bth.qpn = qp.number;
	raw = hw_bth_encode(&bth);
	reth = hw_reth_encode((uintptr_t)memory, t_mr(&node, memory, 8), 8);
	memcpy(packet.header, &raw, sizeof(raw));
	memcpy(packet.header + sizeof(raw), &reth, sizeof(reth));
	t_fault_handler();
	assert_int_equal(nic_packet_in(node.nic, &packet), 0);
	t_run(&node, 1);
	nic_get_counters(node.nic, &counters);
	assert_int_equal(counters.packets_dropped, 1);
	assert_int_equal(t_qp_destroy(&qp), 0);
	assert_int_equal(t_cq_destroy(&cq), 0);
	t_node_close(&node);
}

/* --------------------------------------------------------------- fairness */

enum { STUCK = 12 };

/*
 * Queues that wait for ever for a receive WQE of their peer hold requests;
 * another queue of the same NIC must find some.
 */
static void starve(uint32_t inline_bytes)
{
	struct t_pair_options options = t_pair_defaults;
	struct t_qp stuck[STUCK], deaf[STUCK];
	uint8_t bytes[256] = {0};
	struct t_pair *p;
	unsigned i, n;

	options.qp.log_sq_size = 11;
	options.cq.log_size = 14;
	p = t_pair_open(&options);
	for (i = 0; i < STUCK; i++) {
		t_qp_create(&p->node[0], &stuck[i], &p->cq[0], &p->cq[0],
			    &options.qp);
		t_qp_create(&p->node[1], &deaf[i], &p->cq[1], &p->cq[1],
			    &options.qp);
		t_connect(&stuck[i], &deaf[i], NULL);
		for (n = 0; n < 300; n++) {
			t_begin(&stuck[i], HW_OP_SEND, 0, 0);
			t_inline(&stuck[i], bytes, inline_bytes);
			t_end(&stuck[i]);
		}
		t_ring(&stuck[i]);
	}
	t_pair_run(p);
	t_pair_works(p);
	/* One that needs a block of the pool, too */
	t_begin(&p->qp[0], HW_OP_RDMA_WRITE, 0, T_SIGNALED);
	t_raddr(&p->qp[0], p->memory[1], p->key[1]);
	t_inline(&p->qp[0], bytes, sizeof(bytes));
	i = t_end(&p->qp[0]);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, (uint16_t)i);
	for (i = 0; i < STUCK; i++) {
		assert_int_equal(t_qp_destroy(&stuck[i]), 0);
		assert_int_equal(t_qp_destroy(&deaf[i]), 0);
	}
	t_pair_close(p);
}

static void test_stuck_queues_do_not_starve_another(void **state)
{
	(void)state;
	starve(8);
	starve(100); /* longer than a request holds by itself */
}

/* ---------------------------------------------------------------- threads */

struct stepper {
	struct nic *nic;
	uint32_t stop;
};

static void *step(void *arg)
{
	struct stepper *s = arg;
	uint64_t now = 0;

	while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE))
		nic_step(s->nic, now += 1000);
	return NULL;
}

static void *churn(void *arg)
{
	struct t_pair *p = arg;
	uint8_t *memory = t_alloc(4096);
	struct t_cq cq;
	struct t_qp qp;
	uint32_t key;
	int i;

	for (i = 0; i < 60; i++) {
		t_cq_create(&p->node[0], &cq, &t_pair_defaults.cq);
		t_qp_create(&p->node[0], &qp, &cq, &cq, &t_pair_defaults.qp);
		t_connect(&qp, &qp, NULL);
		key = t_mr(&p->node[0], memory, 4096);
		t_rdma(&qp, HW_OP_RDMA_WRITE, memory, key, memory + 2048, key,
		       8);
		t_ring(&qp);
		t_state(&qp);
		assert_int_equal(t_qp_destroy(&qp), 0);
		assert_int_equal(nic_mkey_deregister(p->node[0].nic, key), 0);
		assert_int_equal(t_cq_destroy(&cq), 0);
	}
	free(memory);
	return NULL;
}

/* A CQE that a stepper thread posts; bounded by rounds, not by time. */
static void await(struct t_cq *cq, struct hw_cqe_info *info)
{
	while (!t_poll(cq, info))
		sched_yield();
}

static void test_objects_come_and_go_while_traffic_runs(void **state)
{
	struct t_pair *p = *state;
	struct stepper steppers[2] = {{.nic = p->node[0].nic},
				      {.nic = p->node[1].nic}};
	pthread_t threads[2], churners[2];
	struct hw_cqe_info info;
	int i;

	t_fault_handler();
	for (i = 0; i < 2; i++) {
		pthread_create(&threads[i], NULL, step, &steppers[i]);
		pthread_create(&churners[i], NULL, churn, p);
	}
	for (i = 0; i < 200; i++) {
		t_fill(p->memory[0], 5000, (unsigned)i);
		t_pair_rdma(p, HW_OP_RDMA_WRITE, 5000);
		t_ring(&p->qp[0]);
		await(&p->cq[0], &info);
		assert_int_equal(info.opcode, HW_CQE_REQ);
		assert_int_equal(info.wqe_counter, i);
		assert_memory_equal(p->memory[0], p->memory[1], 5000);
	}
	for (i = 0; i < 2; i++)
		pthread_join(churners[i], NULL);
	for (i = 0; i < 2; i++) {
		__atomic_store_n(&steppers[i].stop, 1, __ATOMIC_RELEASE);
		pthread_join(threads[i], NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_config_out_of_range_is_einval),
		T_PAIR_TEST(test_destroy_frees_what_is_left),
		T_PAIR_TEST(test_a_nic_without_its_wire_takes_calls),
		T_PAIR_TEST(test_the_port_is_what_the_wire_says),
		T_PAIR_TEST(test_usage_counts_objects),
		T_PAIR_TEST(test_doorbells_are_watched_while_a_qp_reads_them),
		T_PAIR_TEST(test_an_idle_nic_is_idle),
		cmocka_unit_test(test_a_packet_without_a_wire_is_dropped),
		cmocka_unit_test(test_stuck_queues_do_not_starve_another),
		T_PAIR_TEST(test_objects_come_and_go_while_traffic_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
