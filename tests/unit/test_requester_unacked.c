/* SPDX-License-Identifier: MIT */
/*
 * Requester of UC and UD: requests are done when they are out, errors lead to
 * SQER and from there back to RTS, and each service knows its own operations.
 */
#include "support/t_pair.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { QKEY = 7 };

static void open_pair(void **state, uint8_t st, uint8_t log_msg_max)
{
	struct t_connect connect = {.log_msg_max = log_msg_max};
	struct t_pair_options options = t_pair_defaults;
	struct t_pair *p;

	options.unconnected = true;
	options.qp.st = st;
	p = t_pair_open(&options);
	if (st == HW_QP_ST_UD) {
		t_ready_ud(&p->qp[0], QKEY);
		t_ready_ud(&p->qp[1], QKEY);
	} else {
		t_connect(&p->qp[0], &p->qp[1], &connect);
	}
	*state = p;
}

static int setup_uc(void **state)
{
	open_pair(state, HW_QP_ST_UC, 30);
	return 0;
}

static int setup_ud(void **state)
{
	open_pair(state, HW_QP_ST_UD, 12);
	return 0;
}

static void run(struct t_pair *p)
{
	t_ring(&p->qp[0]);
	t_pair_run(p);
}

static void begin(struct t_pair *p, uint8_t opcode)
{
	struct t_av av = {.to = &p->qp[1], .qkey = QKEY};

	t_begin(&p->qp[0], opcode, 0, T_SIGNALED);
	if (p->qp[0].create[HW_QPC_OFFSET + 1] == HW_QP_ST_UD)
		t_av(&p->qp[0], &av);
}

static uint16_t post_send(struct t_pair *p, uint32_t len, uint32_t lkey)
{
	begin(p, HW_OP_SEND);
	t_data(&p->qp[0], p->memory[0], len, lkey);
	return t_end(&p->qp[0]);
}

/* UC and UD alike: a send arrives, and both sides complete. */
static void works(struct t_pair *p)
{
	struct hw_cqe_info info;
	uint16_t index;

	t_post_recv(&p->qp[1], p->memory[1], 8192, p->key[1]);
	index = post_send(p, 200, p->key[0]);
	run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, index);
	assert_true(t_poll(&p->cq[1], &info));
	assert_int_equal(info.opcode, HW_CQE_RESP_SEND);
}

/* As UCX sends a datagram once more: a header inline, the rest by pointer. */
static void test_a_header_inline_before_the_data(void **state)
{
	struct t_pair *p = *state;
	bool ud = p->qp[0].create[HW_QPC_OFFSET + 1] == HW_QP_ST_UD;
	uint32_t grh = ud ? HW_GRH_BYTES : 0;
	struct hw_cqe_info info;
	uint16_t index;

	memcpy(p->memory[0], "the rest of it", 14);
	t_post_recv(&p->qp[1], p->memory[1], 8192, p->key[1]);
	begin(p, HW_OP_SEND);
	t_inline(&p->qp[0], "8 bytes ", 8);
	t_data(&p->qp[0], p->memory[0], 14, p->key[0]);
	index = t_end(&p->qp[0]);
	run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, index);
	assert_true(t_poll(&p->cq[1], &info));
	assert_int_equal(info.byte_cnt, grh + 22);
	assert_memory_equal(p->memory[1] + grh, "8 bytes the rest of it", 22);
}

static void sqerr2rts(struct t_pair *p, uint8_t status)
{
	assert_int_equal(t_modify(&p->qp[0], HW_CMD_SQERR2RTS_QP, NULL, NULL),
			 status);
}

static void test_a_local_error_leads_to_sqer_and_back(void **state)
{
	struct t_pair *p = *state;
	struct hw_cqe_info info;
	uint16_t bad, behind, later;

	works(p);
	sqerr2rts(p, HW_CMD_BAD_QP_STATE);
	bad = post_send(p, 100, p->key[0] + 1);
	behind = post_send(p, 100, p->key[0]);
	run(p);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, bad, HW_SYND_LOCAL_PROT);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, behind, HW_SYND_WR_FLUSH);
	assert_int_equal(t_state(&p->qp[0]), HW_QP_SQER);
	assert_true(t_logged(&p->node[0], "the QP goes to SQER"));
	/* What is posted there is flushed. */
	later = post_send(p, 100, p->key[0]);
	run(p);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, later, HW_SYND_WR_FLUSH);
	t_expect_none(&p->cq[1]);
	sqerr2rts(p, HW_CMD_OK);
	assert_int_equal(t_state(&p->qp[0]), HW_QP_RTS);
	works(p);
	assert_false(t_poll(&p->cq[0], &info));
}

static void test_in_sqer_it_still_receives(void **state)
{
	struct t_pair *p = *state;
	struct t_av av = {.to = &p->qp[0], .qkey = QKEY};
	struct hw_cqe_info info;

	post_send(p, 100, p->key[0] + 1);
	run(p);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 0, HW_SYND_LOCAL_PROT);
	t_post_recv(&p->qp[0], p->memory[0], 8192, p->key[0]);
	t_begin(&p->qp[1], HW_OP_SEND, 0, T_SIGNALED);
	if (p->qp[1].create[HW_QPC_OFFSET + 1] == HW_QP_ST_UD)
		t_av(&p->qp[1], &av);
	t_data(&p->qp[1], p->memory[1], 10, p->key[1]);
	t_end(&p->qp[1]);
	t_ring(&p->qp[1]);
	t_pair_run(p);
	assert_true(t_poll(&p->cq[0], &info));
	assert_int_equal(info.opcode, HW_CQE_RESP_SEND);
	assert_int_equal(t_state(&p->qp[0]), HW_QP_SQER);
}

static void test_from_sqer_to_err_and_reset(void **state)
{
	struct t_pair *p = *state;

	t_post_recv(&p->qp[0], p->memory[0], 8192, p->key[0]);
	post_send(p, 100, p->key[0] + 1);
	run(p);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 0, HW_SYND_LOCAL_PROT);
	t_expect_none(&p->cq[0]);
	assert_int_equal(t_modify(&p->qp[0], HW_CMD_2ERR_QP, NULL, NULL), 0);
	t_pair_run(p);
	/* Only now the receive queue is flushed. */
	t_expect_error(&p->cq[0], HW_CQE_RESP_ERR, 0, HW_SYND_WR_FLUSH);
	sqerr2rts(p, HW_CMD_BAD_QP_STATE);
	assert_int_equal(t_modify(&p->qp[0], HW_CMD_2RST_QP, NULL, NULL), 0);
}

/* WQEs that the NIC has not looked at when the command comes. */
static void test_sqerr2rts_flushes_what_was_rung_before(void **state)
{
	struct t_pair *p = *state;
	uint16_t index, i;

	post_send(p, 100, p->key[0] + 1);
	index = post_send(p, 100, p->key[0]);
	t_ring(&p->qp[0]);
	while (t_state(&p->qp[0]) == HW_QP_RTS)
		nic_step(p->node[0].nic, 0);
	for (i = 0; i < 40; i++)
		post_send(p, 100, p->key[0]);
	t_ring(&p->qp[0]);
	nic_step(p->node[0].nic, 0);
	sqerr2rts(p, HW_CMD_OK);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 0, HW_SYND_LOCAL_PROT);
	for (i = 0; i < 41; i++)
		t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, (uint16_t)(index + i),
			       HW_SYND_WR_FLUSH);
	works(p);
}

static void test_memory_that_goes_while_sending_leads_to_sqer(void **state)
{
	struct t_pair *p = *state;
	uint8_t *memory = t_alloc(4096);
	uint32_t key = t_mr(&p->node[0], memory, 4096);

	begin(p, HW_OP_SEND);
	t_data(&p->qp[0], memory, 1000, key);
	t_end(&p->qp[0]);
	assert_int_equal(mprotect(memory, 4096, PROT_NONE), 0);
	run(p);
	assert_int_equal(mprotect(memory, 4096, PROT_READ | PROT_WRITE), 0);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 0, HW_SYND_LOCAL_PROT);
	assert_int_equal(t_state(&p->qp[0]), HW_QP_SQER);
	assert_int_equal(nic_mkey_deregister(p->node[0].nic, key), 0);
	free(memory);
	sqerr2rts(p, HW_CMD_OK);
	works(p);
}

static void refuse_opcodes(struct t_pair *p, const uint8_t *opcodes,
			   unsigned count, const char *text)
{
	uint16_t index;
	unsigned i;

	for (i = 0; i < count; i++) {
		t_forget(&p->node[0]);
		begin(p, opcodes[i]);
		t_raddr(&p->qp[0], p->memory[1], p->key[1]);
		t_data(&p->qp[0], p->memory[0], 8, p->key[0]);
		index = t_end(&p->qp[0]);
		run(p);
		t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, index,
			       HW_SYND_LOCAL_QP_OP);
		assert_true(t_logged(&p->node[0], text));
		sqerr2rts(p, HW_CMD_OK);
	}
}

static void test_uc_knows_no_reads_and_atomics(void **state)
{
	static const uint8_t opcodes[] = {HW_OP_RDMA_READ, HW_OP_ATOMIC_CS,
					  HW_OP_ATOMIC_FA, HW_OP_MASKED_CS,
					  HW_OP_MASKED_FA, 0x3f};

	refuse_opcodes(*state, opcodes, sizeof(opcodes),
		       "which UC does not know");
	works(*state);
}

static void test_ud_knows_sends_only(void **state)
{
	static const uint8_t opcodes[] = {
		HW_OP_RDMA_WRITE, HW_OP_RDMA_WRITE_IMM,
		HW_OP_RDMA_READ,  HW_OP_ATOMIC_CS,
		HW_OP_ATOMIC_FA,  HW_OP_MASKED_CS,
		HW_OP_MASKED_FA,  0x3f};

	refuse_opcodes(*state, opcodes, sizeof(opcodes),
		       "which UD does not know");
	works(*state);
}

static void test_local_operations_have_no_address(void **state)
{
	struct t_pair *p = *state;
	uint16_t index;

	t_begin(&p->qp[0], HW_OP_NOP, 0, T_SIGNALED);
	index = t_end(&p->qp[0]);
	run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, index);
	works(p);
}

static void test_a_datagram_has_at_most_the_mtu(void **state)
{
	struct t_pair *p = *state;
	uint16_t index;

	t_post_recv(&p->qp[1], p->memory[1], 8192, p->key[1]);
	index = post_send(p, 4096, p->key[0]);
	run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, index);
	t_expect(&p->cq[1], HW_CQE_RESP_SEND, 0);
	index = post_send(p, 4097, p->key[0]);
	run(p);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, index, HW_SYND_LOCAL_LENGTH);
	assert_true(t_logged(&p->node[0], "4097 bytes, 4096 are the most"));
	assert_int_equal(t_state(&p->qp[0]), HW_QP_SQER);
}

static void test_an_address_vector_that_is_cut_off(void **state)
{
	struct t_pair *p = *state;
	struct t_av av = {.to = &p->qp[1], .qkey = QKEY, .ext = true};
	uint32_t units;
	uint16_t index;

	for (units = 1; units <= 3; units++) {
		t_begin(&p->qp[0], HW_OP_SEND, 0, T_SIGNALED);
		t_av(&p->qp[0], &av);
		p->qp[0].wqe_bytes = units * HW_WQE_DS;
		index = t_end(&p->qp[0]);
		run(p);
		t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, index,
			       HW_SYND_LOCAL_QP_OP);
		assert_true(t_logged(&p->node[0], "the address vector"));
		sqerr2rts(p, HW_CMD_OK);
	}
	works(p);
}

static void test_uc_to_a_nic_that_has_left_completes(void **state)
{
	struct t_pair *p = *state;
	uint16_t index;
	unsigned i;

	works(p);
	t_node_close(&p->node[1]);
	for (i = 0; i < 3; i++) {
		index = post_send(p, 5000, p->key[0]);
		t_ring(&p->qp[0]);
		t_run(p->node, 1);
		t_expect(&p->cq[0], HW_CQE_REQ, index);
	}
	assert_int_equal(t_state(&p->qp[0]), HW_QP_RTS);
}

/* The bytes are those of the doorbell, not of a later look. */
static void test_uc_memory_is_free_when_the_request_completes(void **state)
{
	enum { LEN = 300001 };
	struct t_pair *p = *state;
	uint8_t *expected = t_alloc(LEN);
	struct hw_cqe_info info;

	t_fill(p->memory[0], LEN, 1);
	memcpy(expected, p->memory[0], LEN);
	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, p->memory[0], p->key[0],
	       p->memory[1], p->key[1], LEN);
	t_ring(&p->qp[0]);
	t_fault_handler();
	while (!t_poll(&p->cq[0], &info)) {
		nic_step(p->node[0].nic, 0);
		if (t_poll(&p->cq[0], &info))
			break;
		nic_step(p->node[1].nic, 0);
	}
	memset(p->memory[0], 0, LEN);
	t_pair_run(p);
	assert_memory_equal(p->memory[1], expected, LEN);
	free(expected);
}

static void test_messages_are_limited_by_log_msg_max(void **state)
{
	struct t_pair *p;
	uint16_t index;

	t_pair_close(*state);
	open_pair(state, HW_QP_ST_UC, 7);
	p = *state;
	t_post_recv(&p->qp[1], p->memory[1], 8192, p->key[1]);
	index = post_send(p, 128, p->key[0]);
	run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, index);
	index = post_send(p, 129, p->key[0]);
	run(p);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, index, HW_SYND_LOCAL_LENGTH);
}

int main(void)
{
#define UC(name)                                                               \
	cmocka_unit_test_setup_teardown(name, setup_uc, t_pair_teardown)
#define UD(name)                                                               \
	cmocka_unit_test_setup_teardown(name, setup_ud, t_pair_teardown)
	const struct CMUnitTest tests[] = {
		UC(test_a_header_inline_before_the_data),
		UD(test_a_header_inline_before_the_data),
		UC(test_a_local_error_leads_to_sqer_and_back),
		UD(test_a_local_error_leads_to_sqer_and_back),
		UC(test_in_sqer_it_still_receives),
		UD(test_in_sqer_it_still_receives),
		UC(test_from_sqer_to_err_and_reset),
		UD(test_from_sqer_to_err_and_reset),
		UD(test_sqerr2rts_flushes_what_was_rung_before),
		UC(test_memory_that_goes_while_sending_leads_to_sqer),
		UD(test_memory_that_goes_while_sending_leads_to_sqer),
		UC(test_uc_knows_no_reads_and_atomics),
		UD(test_ud_knows_sends_only),
		UC(test_local_operations_have_no_address),
		UD(test_local_operations_have_no_address),
		UD(test_a_datagram_has_at_most_the_mtu),
		UD(test_an_address_vector_that_is_cut_off),
		UC(test_uc_to_a_nic_that_has_left_completes),
		UC(test_uc_memory_is_free_when_the_request_completes),
		UC(test_messages_are_limited_by_log_msg_max),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
