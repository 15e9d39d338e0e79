/* SPDX-License-Identifier: MIT */
/*
 * CQ commands: each field check from both sides, QUERY_CQ, busy and gone.
 * Method: the mailbox of a good CQ with one field spoilt.
 */
#include "support/t_pair.h"

#include <errno.h>

struct fixture {
	struct t_node node;
	struct t_cq cq;
};

static int setup(void **state)
{
	static struct fixture f;
	struct t_cq_options options = {.log_size = 4, .eqn = 5};

	t_node_open(&f.node, NULL, NULL);
	t_cq_create(&f.node, &f.cq, &options);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(t_cq_destroy(&f->cq), 0);
	t_node_close(&f->node);
	return 0;
}

static void refuse(struct fixture *f, uint32_t base, struct hw_field field,
		   uint32_t value, const struct t_refusal *expected)
{
	uint8_t in[HW_CREATE_CQ_IN_BYTES];

	memcpy(in, f->cq.create, sizeof(in));
	hw_set(in + base, field, value);
	t_refused(&f->node, in, sizeof(in), expected);
}

/* A field of the context: the log names it, its place and its value. */
static void refuse_cqc(struct fixture *f, struct hw_field field, uint32_t value,
		       const char *text)
{
	struct t_refusal expected = {HW_CMD_BAD_PARAM,
				     (uint16_t)(HW_CQC_OFFSET + field.offset),
				     text};

	refuse(f, HW_CQC_OFFSET, field, value, &expected);
}

static void test_each_field_of_the_context_is_checked(void **state)
{
	struct fixture *f = *state;

	refuse_cqc(
		f, HW_CQC_CQE_SZ, 3,
		"CQC_CQE_SZ (mailbox 0x10[23:21]) holds 3 (0x3), expected 0");
	refuse_cqc(f, HW_CQC_CQE_SZ, 7, "CQC_CQE_SZ");
	refuse_cqc(f, HW_CQC_CQE_COMP_EN, 1,
		   "CQC_CQE_COMP_EN (mailbox 0x10[14:14]) holds 1");
	refuse_cqc(f, HW_CQC_LOG_CQ_SIZE, 23,
		   "CQC_LOG_CQ_SIZE (mailbox 0x1c[28:24]) holds 23 (0x17), "
		   "expected at most log_max_cq_sz");
	refuse_cqc(f, HW_CQC_UAR_PAGE, f->cq.uar_index + 1,
		   "CQC_UAR_PAGE (mailbox 0x1c[23:0])");
	refuse_cqc(f, HW_CQC_UAR_PAGE, 0, "expected a UAR page");
	refuse_cqc(f, HW_CQC_C_EQN, 64,
		   "CQC_C_EQN (mailbox 0x24[7:0]) holds 64");
}

static void test_the_ring_must_lie_in_its_umem(void **state)
{
	struct t_refusal unknown = {HW_CMD_BAD_RES, 0x58,
				    "the CQ buffer: umem id 99 does not exist"};
	struct t_refusal bad = {HW_CMD_BAD_PARAM, 0x58, "do not fit umem"};
	struct fixture *f = *state;
	uint8_t in[HW_CREATE_CQ_IN_BYTES];

	refuse(f, 0, HW_CREATE_CQ_UMEM_ID, 99, &unknown);
	unknown.text = "umem id 0 does not exist (page lists are not supported";
	refuse(f, 0, HW_CREATE_CQ_UMEM_ID, 0, &unknown);
	/* 16 entries of 64 bytes; the umem has 64 bytes more. */
	refuse(f, HW_CQC_OFFSET, HW_CQC_LOG_CQ_SIZE, 5, &bad);
	memcpy(in, f->cq.create, sizeof(in));
	hw_set64(in, HW_CREATE_CQ_UMEM_OFFSET, 128);
	t_refused(&f->node, in, sizeof(in), &bad);
	hw_set64(in, HW_CREATE_CQ_UMEM_OFFSET, ~63ull);
	t_refused(&f->node, in, sizeof(in), &bad);
	bad.text = "is not a multiple of 64";
	hw_set64(in, HW_CREATE_CQ_UMEM_OFFSET, 32);
	t_refused(&f->node, in, sizeof(in), &bad);
}

static void test_the_record_must_lie_in_its_umem(void **state)
{
	struct t_refusal unknown = {HW_CMD_BAD_RES, 0x14,
				    "the CQ's doorbell record: umem id 99"};
	struct t_refusal bad = {HW_CMD_BAD_PARAM, 0x14, "do not fit umem"};
	struct fixture *f = *state;
	uint8_t in[HW_CREATE_CQ_IN_BYTES];

	refuse(f, HW_CQC_OFFSET, HW_CQC_DBR_UMEM_ID, 99, &unknown);
	memcpy(in, f->cq.create, sizeof(in));
	hw_set64(in + HW_CQC_OFFSET, HW_CQC_DBR_ADDR, 16 * 64 + 64);
	t_refused(&f->node, in, sizeof(in), &bad);
	bad.text = "is not a multiple of 8";
	hw_set64(in + HW_CQC_OFFSET, HW_CQC_DBR_ADDR, 4);
	t_refused(&f->node, in, sizeof(in), &bad);
}

static void test_the_last_legal_values_are_taken(void **state)
{
	struct fixture *f = *state;
	uint8_t in[HW_CREATE_CQ_IN_BYTES], out[T_OUT];

	memcpy(in, f->cq.create, sizeof(in));
	hw_set(in + HW_CQC_OFFSET, HW_CQC_C_EQN, 63);
	hw_set(in + HW_CQC_OFFSET, HW_CQC_LOG_CQ_SIZE, 0);
	hw_set(in + HW_CQC_OFFSET, HW_CQC_CQE_SZ, HW_CQE_SZ_128_PAD);
	/* 128 bytes at the end of the umem of 17 * 64 */
	hw_set64(in, HW_CREATE_CQ_UMEM_OFFSET, 15 * 64);
	hw_set64(in + HW_CQC_OFFSET, HW_CQC_DBR_ADDR, 17 * 64 - 8);
	assert_int_equal(t_cmd(&f->node, in, sizeof(in), out), HW_CMD_OK);
	assert_int_equal(t_simple(&f->node, HW_CMD_DESTROY_CQ,
				  hw_get(out, HW_CMD_OUT_NUMBER), NULL),
			 HW_CMD_OK);
}

/* UCX sets no *_umem_valid; the kernel implies it. */
static void test_umem_valid_is_implied_by_an_id(void **state)
{
	struct fixture *f = *state;
	uint8_t in[HW_CREATE_CQ_IN_BYTES], out[T_OUT];

	memcpy(in, f->cq.create, sizeof(in));
	hw_set(in, HW_CREATE_CQ_UMEM_VALID, 0);
	hw_set(in + HW_CQC_OFFSET, HW_CQC_DBR_UMEM_VALID, 0);
	assert_int_equal(t_cmd(&f->node, in, 0x60, out), HW_CMD_OK);
	assert_int_equal(t_simple(&f->node, HW_CMD_DESTROY_CQ,
				  hw_get(out, HW_CMD_OUT_NUMBER), NULL),
			 HW_CMD_OK);
}

static void test_query_returns_what_was_created(void **state)
{
	struct fixture *f = *state;
	uint8_t out[T_OUT], *cqc = out + HW_CQC_OFFSET;

	assert_int_equal(t_simple(&f->node, HW_CMD_QUERY_CQ, f->cq.number, out),
			 0);
	assert_int_equal(hw_get(cqc, HW_CQC_STATUS), HW_CQ_OK);
	assert_int_equal(hw_get(cqc, HW_CQC_ST), HW_CQ_ST_FIRED);
	assert_int_equal(hw_get(cqc, HW_CQC_LOG_CQ_SIZE), 4);
	assert_int_equal(hw_get(cqc, HW_CQC_C_EQN), 5);
	assert_int_equal(hw_get(cqc, HW_CQC_UAR_PAGE), f->cq.uar_index);
	assert_int_equal(hw_get(cqc, HW_CQC_PRODUCER_COUNTER), 0);
	t_arm(&f->cq, HW_CQ_ARM_NEXT, 0);
	t_run(&f->node, 1);
	t_simple(&f->node, HW_CMD_QUERY_CQ, f->cq.number, out);
	assert_int_equal(hw_get(cqc, HW_CQC_ST), HW_CQ_ST_ARMED);
	t_arm(&f->cq, HW_CQ_ARM_SOLICITED, 1);
	t_run(&f->node, 1);
	t_simple(&f->node, HW_CMD_QUERY_CQ, f->cq.number, out);
	assert_int_equal(hw_get(cqc, HW_CQC_ST), HW_CQ_ST_ARMED_SOLICITED);
}

static void test_a_cq_in_use_is_busy(void **state)
{
	struct t_refusal busy = {HW_CMD_RES_BUSY, 8, "still used by 2"};
	struct fixture *f = *state;
	uint8_t in[16] = {0};
	struct t_qp qp;

	t_qp_create(&f->node, &qp, &f->cq, &f->cq, &t_pair_defaults.qp);
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_DESTROY_CQ);
	hw_set(in, HW_CMD_IN_NUMBER, f->cq.number);
	t_refused(&f->node, in, sizeof(in), &busy);
	assert_int_equal(t_qp_destroy(&qp), 0);
}

static void test_a_destroyed_number_is_gone(void **state)
{
	struct t_refusal gone = {HW_CMD_BAD_RES, 8, "does not exist"};
	struct fixture *f = *state;
	uint8_t in[16] = {0};
	struct t_cq cq;
	uint32_t number;

	t_cq_create(&f->node, &cq, &t_pair_defaults.cq);
	number = cq.number;
	assert_int_equal(t_cq_destroy(&cq), 0);
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_DESTROY_CQ);
	hw_set(in, HW_CMD_IN_NUMBER, number);
	t_refused(&f->node, in, sizeof(in), &gone);
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_QUERY_CQ);
	t_refused(&f->node, in, sizeof(in), &gone);
	/* A stale number is not given out again at once. */
	t_cq_create(&f->node, &cq, &t_pair_defaults.cq);
	assert_int_not_equal(cq.number, number);
	assert_int_equal(t_cq_destroy(&cq), 0);
}

static void test_memory_of_a_cq_cannot_be_taken_away(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(nic_umem_deregister(f->node.nic, f->cq.umem), -EBUSY);
	assert_int_equal(nic_uar_free(f->node.nic, f->cq.uar_index), -EBUSY);
}

static void modify_mailbox(struct fixture *f, uint16_t op_mod, uint32_t select,
			   uint8_t *in)
{
	memcpy(in, f->cq.create, HW_CREATE_CQ_IN_BYTES);
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_MODIFY_CQ);
	hw_set(in, HW_CMD_IN_OP_MOD, op_mod);
	hw_set(in, HW_CMD_IN_NUMBER, f->cq.number);
	hw_set(in, HW_MODIFY_CQ_FIELD_SELECT, select);
}

static void test_moderation_and_overrun_are_kept(void **state)
{
	struct t_refusal select = {HW_CMD_BAD_PARAM, 0x0c,
				   "MODIFY_CQ_FIELD_SELECT"};
	struct t_refusal op_mod = {HW_CMD_BAD_PARAM, 4, "CMD_IN_OP_MOD"};
	struct t_refusal gone = {HW_CMD_BAD_RES, 8, "CQ 0xff does not exist"};
	struct fixture *f = *state;
	uint8_t in[HW_CREATE_CQ_IN_BYTES], out[T_OUT];
	uint8_t *cqc = in + HW_CQC_OFFSET;

	modify_mailbox(f, HW_MODIFY_CQ_FIELDS,
		       HW_CQ_MODIFY_PERIOD | HW_CQ_MODIFY_COUNT, in);
	hw_set(cqc, HW_CQC_CQ_PERIOD, 16);
	hw_set(cqc, HW_CQC_CQ_MAX_COUNT, 32);
	hw_set(cqc, HW_CQC_OI, 1); /* without its bit: not looked at */
	assert_int_equal(t_cmd(&f->node, in, sizeof(in), NULL), HW_CMD_OK);
	t_simple(&f->node, HW_CMD_QUERY_CQ, f->cq.number, out);
	assert_int_equal(hw_get(out + HW_CQC_OFFSET, HW_CQC_CQ_PERIOD), 16);
	assert_int_equal(hw_get(out + HW_CQC_OFFSET, HW_CQC_CQ_MAX_COUNT), 32);
	assert_int_equal(hw_get(out + HW_CQC_OFFSET, HW_CQC_OI), 0);
	hw_set(in, HW_MODIFY_CQ_FIELD_SELECT, HW_CQ_MODIFY_OVERRUN);
	assert_int_equal(t_cmd(&f->node, in, sizeof(in), NULL), HW_CMD_OK);
	t_simple(&f->node, HW_CMD_QUERY_CQ, f->cq.number, out);
	assert_int_equal(hw_get(out + HW_CQC_OFFSET, HW_CQC_OI), 1);
	hw_set(in, HW_MODIFY_CQ_FIELD_SELECT, 8);
	t_refused(&f->node, in, sizeof(in), &select);
	hw_set(in, HW_CMD_IN_OP_MOD, 2);
	t_refused(&f->node, in, sizeof(in), &op_mod);
	hw_set(in, HW_CMD_IN_NUMBER, 0xff);
	t_refused(&f->node, in, sizeof(in), &gone);
}

static void test_a_resize_checks_its_fields(void **state)
{
	struct t_refusal select = {HW_CMD_BAD_PARAM, 0x0c,
				   "MODIFY_CQ_FIELD_SELECT"};
	struct t_refusal size = {HW_CMD_BAD_PARAM, 0x1c, "CQC_LOG_CQ_SIZE"};
	struct t_refusal stride = {HW_CMD_BAD_PARAM, 0x10, "CQC_CQE_SZ"};
	struct t_refusal ring = {HW_CMD_BAD_PARAM, 0x58, "do not fit umem"};
	struct fixture *f = *state;
	uint8_t in[HW_CREATE_CQ_IN_BYTES], *cqc = in + HW_CQC_OFFSET;

	modify_mailbox(f, HW_MODIFY_CQ_RESIZE, HW_CQ_RESIZE_PAGE_SIZE, in);
	t_refused(&f->node, in, sizeof(in), &select);
	modify_mailbox(f, HW_MODIFY_CQ_RESIZE, HW_CQ_RESIZE_LOG_SIZE, in);
	hw_set(cqc, HW_CQC_LOG_CQ_SIZE, 23);
	t_refused(&f->node, in, sizeof(in), &size);
	hw_set(cqc, HW_CQC_LOG_CQ_SIZE, 4);
	hw_set(cqc, HW_CQC_CQE_SZ, HW_CQE_SZ_128);
	t_refused(&f->node, in, sizeof(in), &stride);
	hw_set(cqc, HW_CQC_CQE_SZ, HW_CQE_SZ_64);
	hw_set(cqc, HW_CQC_LOG_CQ_SIZE, 5);
	t_refused(&f->node, in, sizeof(in), &ring);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_each_field_of_the_context_is_checked),
		T(test_the_ring_must_lie_in_its_umem),
		T(test_the_record_must_lie_in_its_umem),
		T(test_the_last_legal_values_are_taken),
		T(test_umem_valid_is_implied_by_an_id),
		T(test_query_returns_what_was_created),
		T(test_a_cq_in_use_is_busy),
		T(test_a_destroyed_number_is_gone),
		T(test_memory_of_a_cq_cannot_be_taken_away),
		T(test_moderation_and_overrun_are_kept),
		T(test_a_resize_checks_its_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
