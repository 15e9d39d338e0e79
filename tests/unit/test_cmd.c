/* SPDX-License-Identifier: MIT */
/*
 * Command dispatch: lengths, unknown opcodes, protection domains.
 * Method: real mailboxes; a refusal is checked with its syndrome and log line.
 */
#include "support/t_pair.h"

#include <errno.h>
#include <stdlib.h>

static int setup(void **state)
{
	static struct t_node node;

	t_node_open(&node, NULL, NULL);
	*state = &node;
	return 0;
}

static int teardown(void **state)
{
	t_node_close(*state);
	return 0;
}

static void test_mailboxes_that_cannot_be_answered_are_einval(void **state)
{
	struct t_node *node = *state;
	uint8_t in[16] = {0}, out[16];

	assert_int_equal(nic_cmd(node->nic, NULL, 16, out, 16), -EINVAL);
	assert_int_equal(nic_cmd(node->nic, in, 16, NULL, 16), -EINVAL);
	assert_int_equal(nic_cmd(node->nic, in, 16, out, 15), -EINVAL);
}

static void test_an_unknown_opcode_is_bad_op(void **state)
{
	const struct t_refusal expected = {HW_CMD_BAD_OP, 0, "opcode 0x999"};
	uint8_t in[16] = {0};

	hw_set(in, HW_CMD_IN_OPCODE, 0x999);
	t_refused(*state, in, sizeof(in), &expected);
}

static void test_input_shorter_than_a_header_is_refused(void **state)
{
	const struct t_refusal expected = {HW_CMD_BAD_INP_LEN, 0xffff,
					   "15 bytes, expected 16"};
	uint8_t in[16] = {0};

	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_ALLOC_PD);
	t_refused(*state, in, 15, &expected);
}

/* The shortest mailbox that each command takes. */
static const struct {
	uint16_t opcode, in_min;
} commands[] = {
	{HW_CMD_QUERY_HCA_CAP, 0x10},
	{HW_CMD_CREATE_MKEY, 0x70},
	{HW_CMD_QUERY_MKEY, 0x10},
	{HW_CMD_DESTROY_MKEY, 0x10},
	{HW_CMD_CREATE_CQ, 0x60},
	{HW_CMD_DESTROY_CQ, 0x10},
	{HW_CMD_QUERY_CQ, 0x10},
	{HW_CMD_CREATE_QP, 0x110},
	{HW_CMD_DESTROY_QP, 0x10},
	{HW_CMD_RST2INIT_QP, 0x100},
	{HW_CMD_INIT2RTR_QP, 0x100},
	{HW_CMD_RTR2RTS_QP, 0x100},
	{HW_CMD_RTS2RTS_QP, 0x100},
	{HW_CMD_2ERR_QP, 0x10},
	{HW_CMD_2RST_QP, 0x10},
	{HW_CMD_QUERY_QP, 0x10},
	{HW_CMD_INIT2INIT_QP, 0x100},
	{HW_CMD_QUERY_ROCE_ADDRESS, 0x10},
	{HW_CMD_ALLOC_PD, 0x10},
	{HW_CMD_DEALLOC_PD, 0x10},
	{HW_CMD_QUERY_LAG, 0x10},
	{HW_CMD_CREATE_RMP, 0x110},
	{HW_CMD_DESTROY_RMP, 0x10},
	{HW_CMD_QUERY_RMP, 0x10},
	{HW_CMD_QUERY_SPECIAL_CONTEXTS, 0x10},
};

static void test_a_byte_too_few_is_refused_for_every_command(void **state)
{
	const struct t_refusal expected = {HW_CMD_BAD_INP_LEN, 0xffff,
					   "the input mailbox has"};
	uint8_t in[0x110] = {0};
	unsigned i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		hw_set(in, HW_CMD_IN_OPCODE, commands[i].opcode);
		t_refused(*state, in, commands[i].in_min - 1u, &expected);
	}
}

static void test_bytes_behind_a_command_must_be_zero(void **state)
{
	uint8_t in[0x200] = {0};
	struct t_refusal expected = {HW_CMD_BAD_INP_LEN, 0, "data beyond"};
	unsigned i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		/* A list may stand behind this one: test_cmd_mkey. */
		if (commands[i].opcode == HW_CMD_CREATE_MKEY)
			continue;
		/* A command of a header takes a header; the rest 0x110. */
		expected.offset = commands[i].in_min == 0x10 ? 0x10 : 0x110;
		hw_set(in, HW_CMD_IN_OPCODE, commands[i].opcode);
		in[expected.offset] = 1;
		t_refused(*state, in, sizeof(in), &expected);
		t_refused(*state, in, expected.offset + 1u, &expected);
		in[expected.offset] = 0;
		in[sizeof(in) - 1] = 0x80;
		t_refused(*state, in, sizeof(in), &expected);
		in[sizeof(in) - 1] = 0;
	}
}

static void test_a_longer_mailbox_of_zeros_is_the_same_command(void **state)
{
	struct t_node *node = *state;
	uint8_t in[0x200] = {0};

	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_ALLOC_PD);
	assert_int_equal(t_cmd(node, in, sizeof(in), NULL), HW_CMD_OK);
}

static void test_output_too_short_is_refused(void **state)
{
	static const struct {
		uint16_t opcode, out_min;
	} queries[] = {
		{HW_CMD_QUERY_HCA_VPORT_CONTEXT, 0x78},
		{HW_CMD_QUERY_MKEY, 0x50},
		{HW_CMD_QUERY_CQ, 0x50},
		{HW_CMD_QUERY_QP, 0x100},
		{HW_CMD_QUERY_RMP, 0x110},
		{HW_CMD_QUERY_ROCE_ADDRESS, 0x30},
	};
	struct t_node *node = *state;
	uint8_t in[16] = {0}, out[0x1010];
	unsigned i;

	for (i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		hw_set(in, HW_CMD_IN_OPCODE, queries[i].opcode);
		t_forget(node);
		assert_int_equal(nic_cmd(node->nic, in, sizeof(in), out,
					 queries[i].out_min - 1u),
				 0);
		assert_int_equal(out[0], HW_CMD_BAD_OUTP_LEN);
		assert_true(t_logged(node, "the output mailbox has"));
		/* With a byte more it is looked at. */
		assert_int_equal(nic_cmd(node->nic, in, sizeof(in), out,
					 queries[i].out_min),
				 0);
		assert_int_not_equal(out[0], HW_CMD_BAD_OUTP_LEN);
	}
}

static void test_an_output_is_cleared_to_its_end(void **state)
{
	struct t_node *node = *state;
	uint8_t in[16] = {0}, out[64], zero[48] = {0};

	memset(out, 0xaa, sizeof(out));
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_ALLOC_PD);
	assert_int_equal(nic_cmd(node->nic, in, sizeof(in), out, sizeof(out)),
			 0);
	assert_int_equal(out[0], HW_CMD_OK);
	assert_memory_equal(out + 16, zero, sizeof(zero));
}

static void test_the_counters_count_commands_and_refusals(void **state)
{
	struct t_node *node = *state;
	struct nic_counters before, after;

	nic_get_counters(node->nic, &before);
	t_pd(node);
	assert_int_equal(t_simple(node, 0x999, 0, NULL), HW_CMD_BAD_OP);
	nic_get_counters(node->nic, &after);
	assert_int_equal(after.commands - before.commands, 2);
	assert_int_equal(after.commands_refused - before.commands_refused, 1);
}

/* ------------------------------------------------------------------ PDs */

static void test_a_pd_in_use_is_busy_until_the_last_user_goes(void **state)
{
	const struct t_refusal busy = {HW_CMD_RES_BUSY, 8, "still has keys"};
	const struct t_refusal gone = {HW_CMD_BAD_RES, 8, "does not exist"};
	struct t_node *node = *state;
	uint8_t in[16] = {0};
	void *memory = t_alloc(64);
	uint32_t key = t_mr(node, memory, 64);

	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_DEALLOC_PD);
	hw_set(in, HW_CMD_IN_NUMBER, node->pd);
	t_refused(node, in, sizeof(in), &busy);
	assert_int_equal(nic_mkey_deregister(node->nic, key), 0);
	assert_int_equal(t_cmd(node, in, sizeof(in), NULL), HW_CMD_OK);
	t_refused(node, in, sizeof(in), &gone);
	free(memory);
}

static void test_a_pd_of_a_qp_is_busy(void **state)
{
	const struct t_refusal busy = {HW_CMD_RES_BUSY, 8, "still has keys"};
	struct t_node *node = *state;
	struct t_qp qp;
	struct t_cq cq;
	uint8_t in[16] = {0};

	t_cq_create(node, &cq, &t_pair_defaults.cq);
	t_qp_create(node, &qp, &cq, &cq, &t_pair_defaults.qp);
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_DEALLOC_PD);
	hw_set(in, HW_CMD_IN_NUMBER, node->pd);
	t_refused(node, in, sizeof(in), &busy);
	assert_int_equal(t_qp_destroy(&qp), 0);
	assert_int_equal(t_cq_destroy(&cq), 0);
	assert_int_equal(t_cmd(node, in, sizeof(in), NULL), HW_CMD_OK);
}

static void test_the_limit_of_pds_is_answered(void **state)
{
	const struct t_refusal none = {HW_CMD_NO_RES, 0xffff,
				       "no more protection domains"};
	struct t_node *node = *state;
	uint8_t in[16] = {0};
	unsigned i;

	for (i = 1; i < 1 << 16; i++)
		t_pd(node);
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_ALLOC_PD);
	t_refused(node, in, sizeof(in), &none);
	assert_int_equal(t_simple(node, HW_CMD_DEALLOC_PD, 77, NULL), 0);
	assert_int_equal(t_pd(node), 77);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_mailboxes_that_cannot_be_answered_are_einval),
		T(test_an_unknown_opcode_is_bad_op),
		T(test_input_shorter_than_a_header_is_refused),
		T(test_a_byte_too_few_is_refused_for_every_command),
		T(test_bytes_behind_a_command_must_be_zero),
		T(test_a_longer_mailbox_of_zeros_is_the_same_command),
		T(test_output_too_short_is_refused),
		T(test_an_output_is_cleared_to_its_end),
		T(test_the_counters_count_commands_and_refusals),
		T(test_a_pd_in_use_is_busy_until_the_last_user_goes),
		T(test_a_pd_of_a_qp_is_busy),
		T(test_the_limit_of_pds_is_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
