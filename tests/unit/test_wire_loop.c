/* SPDX-License-Identifier: MIT */
/*
 * Loop wire: addresses, many NICs, a full inbox, NICs that come and go.
 */
#include "support/t_pair.h"

#include <errno.h>
#include <stdlib.h>

#include "emu/qp.h"

static void test_addresses_count_in_the_order_of_attach(void **state)
{
	struct wire_loop_fabric *fabric = wire_loop_create();
	struct nic_config config = {.guid = 0x1122334455667788};
	struct t_node a, b;
	struct nic_port port;

	(void)state;
	t_node_open(&a, &config, fabric);
	t_node_open(&b, NULL, fabric);
	nic_query_port(a.nic, &port);
	assert_int_equal(port.lid, 1);
	assert_int_equal(port.gid[8], 0x11);
	assert_int_equal(port.gid[15], 0x88);
	nic_query_port(b.nic, &port);
	assert_int_equal(port.lid, 2);
	assert_int_equal(wire_loop_attach(fabric, a.nic), -EBUSY);
	t_node_close(&a);
	t_node_close(&b);
	wire_loop_release(fabric);
}

static void test_the_thousand_and_twenty_fifth_nic_is_too_many(void **state)
{
	struct wire_loop_fabric *fabric = wire_loop_create();
	struct nic *nic;
	int i;

	(void)state;
	/* LIDs are not used twice. */
	for (i = 0; i < 1025; i++) {
		nic = nic_create(NULL);
		assert_int_equal(wire_loop_attach(fabric, nic),
				 i < 1024 ? 0 : -ENOSPC);
		nic_destroy(nic);
	}
	wire_loop_release(fabric);
}

/* A receiver that does not look: its inbox fills, and empties again. */
static void test_a_full_inbox_is_waited_for(void **state)
{
	struct t_pair_options options = t_pair_defaults;
	struct t_pair *p;
	unsigned i;

	(void)state;
	options.qp.log_sq_size = 10;
	options.cq.log_size = 10;
	p = t_pair_open(&options);
	for (i = 0; i < 1000; i++)
		t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, p->memory[0] + i, p->key[0],
		       p->memory[1] + i, p->key[1], 1);
	t_fill(p->memory[0], 1000, 3);
	t_ring(&p->qp[0]);
	t_fault_handler();
	for (i = 0; i < 2000; i++)
		nic_step(p->node[0].nic, 0);
	t_expect_none(&p->cq[0]);
	t_pair_run(p);
	for (i = 0; i < 1000; i++)
		t_expect(&p->cq[0], HW_CQE_REQ, (uint16_t)i);
	assert_memory_equal(p->memory[0], p->memory[1], 1000);
	t_pair_close(p);
}

/* Both directions at once: neither full inbox may stop the other. */
static void test_two_full_inboxes_do_not_deadlock(void **state)
{
	struct t_pair_options options = t_pair_defaults;
	struct t_pair *p;
	unsigned i;

	(void)state;
	options.qp.log_sq_size = 11;
	options.cq.log_size = 11;
	p = t_pair_open(&options);
	for (i = 0; i < 2000; i++) {
		t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, p->memory[0], p->key[0],
		       p->memory[1], p->key[1], 8);
		t_rdma(&p->qp[1], i % 2 ? HW_OP_RDMA_READ : HW_OP_RDMA_WRITE,
		       p->memory[1] + 64, p->key[1], p->memory[0] + 64,
		       p->key[0], 8);
	}
	t_ring(&p->qp[0]);
	t_ring(&p->qp[1]);
	t_pair_run(p);
	for (i = 0; i < 2000; i++) {
		t_expect(&p->cq[0], HW_CQE_REQ, (uint16_t)i);
		t_expect(&p->cq[1], HW_CQE_REQ, (uint16_t)i);
	}
	t_pair_close(p);
}

enum { NICS = 8 };

/* A ring of NICs: each writes to the next; one leaves, the others go on. */
static void test_many_nics_on_one_fabric(void **state)
{
	struct wire_loop_fabric *fabric = wire_loop_create();
	struct t_node node[NICS];
	struct t_cq cq[NICS];
	struct t_qp out[NICS], in[NICS];
	uint8_t *memory[NICS];
	uint32_t key[NICS];
	int i, next;

	(void)state;
	for (i = 0; i < NICS; i++) {
		t_node_open(&node[i], NULL, fabric);
		t_cq_create(&node[i], &cq[i], &t_pair_defaults.cq);
		t_qp_create(&node[i], &out[i], &cq[i], &cq[i],
			    &t_pair_defaults.qp);
		t_qp_create(&node[i], &in[i], &cq[i], &cq[i],
			    &t_pair_defaults.qp);
		memory[i] = t_alloc(4096);
		key[i] = t_mr(&node[i], memory[i], 4096);
	}
	for (i = 0; i < NICS; i++) {
		next = (i + 1) % NICS;
		t_connect(&out[i], &in[next], NULL);
		memory[i][0] = (uint8_t)(i + 1);
		t_rdma(&out[i], HW_OP_RDMA_WRITE, memory[i], key[i],
		       memory[next] + 8, key[next], 1);
		t_ring(&out[i]);
	}
	t_run(node, NICS);
	for (i = 0; i < NICS; i++) {
		t_expect(&cq[i], HW_CQE_REQ, 0);
		assert_int_equal(memory[(i + 1) % NICS][8], i + 1);
	}
	nic_destroy(node[NICS - 1].nic);
	node[NICS - 1].nic = NULL;
	for (i = 0; i < NICS - 1; i++) {
		next = (i + 1) % NICS;
		t_rdma(&out[i], HW_OP_RDMA_READ, memory[i], key[i],
		       memory[next], key[next], 8);
		t_ring(&out[i]);
	}
	t_run(node, NICS - 1);
	t_run_for(node, NICS - 1, NIC_GONE_NS);
	for (i = 0; i < NICS - 2; i++)
		t_expect(&cq[i], HW_CQE_REQ, 1);
	t_expect_error(&cq[NICS - 2], HW_CQE_REQ_ERR, 1, HW_SYND_RETRY_EXC);
	for (i = 0; i < NICS; i++) {
		assert_int_equal(t_qp_destroy(&out[i]), 0);
		assert_int_equal(t_qp_destroy(&in[i]), 0);
		assert_int_equal(t_cq_destroy(&cq[i]), 0);
		t_node_close(&node[i]);
		free(memory[i]);
	}
	wire_loop_release(fabric);
}

/*
 * After nic_destroy() nobody reads the client's memory any more, though a
 * packet of the NIC that points to it may still lie in an inbox.
 */
static void test_a_message_of_a_nic_that_left_is_not_delivered(void **state)
{
	struct t_pair *p = *state;

	t_fill(p->memory[0], 1 << 20, 1);
	t_pair_rdma(p, HW_OP_RDMA_WRITE, 1 << 20);
	t_ring(&p->qp[0]);
	t_fault_handler();
	while (nic_step(p->node[0].nic, 0))
		;
	nic_destroy(p->node[0].nic);
	p->node[0].nic = NULL;
	memset(p->memory[0], 0xee, 1 << 20); /* used for something else */
	t_run(&p->node[1], 1);
	assert_int_equal(p->memory[1][0], 0);
	assert_int_equal(p->memory[1][(1 << 20) - 1], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses_count_in_the_order_of_attach),
		cmocka_unit_test(
			test_the_thousand_and_twenty_fifth_nic_is_too_many),
		cmocka_unit_test(test_a_full_inbox_is_waited_for),
		cmocka_unit_test(test_two_full_inboxes_do_not_deadlock),
		cmocka_unit_test(test_many_nics_on_one_fabric),
		T_PAIR_TEST(test_a_message_of_a_nic_that_left_is_not_delivered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
