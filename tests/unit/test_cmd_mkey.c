/* SPDX-License-Identifier: MIT */
/*
 * Memory key commands: each field check from both sides, QUERY_MKEY, destroy.
 * Method: the mailbox of a good key with one field spoilt.
 */
#include "support/t_nic.h"

#include <stdlib.h>

enum { BYTES = 8192 };

struct fixture {
	struct t_node node;
	uint8_t *memory;
	uint32_t umem;
	uint8_t good[HW_CREATE_MKEY_IN_BYTES];
};

static int setup(void **state)
{
	static struct fixture f;
	uint8_t *mkc = f.good + HW_MKC_OFFSET;

	t_node_open(&f.node, NULL, NULL);
	f.memory = t_alloc(BYTES);
	f.umem = t_umem(&f.node, f.memory, BYTES);
	memset(f.good, 0, sizeof(f.good));
	hw_set(f.good, HW_CMD_IN_OPCODE, HW_CMD_CREATE_MKEY);
	hw_set(f.good, HW_CREATE_MKEY_UMEM_VALID, 1);
	hw_set(f.good, HW_CREATE_MKEY_UMEM_ID, f.umem);
	hw_set(mkc, HW_MKC_ACCESS_MODE_1_0, HW_MKC_MODE_MTT);
	hw_set(mkc, HW_MKC_LR, 1);
	hw_set(mkc, HW_MKC_LW, 1);
	hw_set(mkc, HW_MKC_RR, 1);
	hw_set(mkc, HW_MKC_A, 1);
	hw_set(mkc, HW_MKC_QPN, HW_MKC_QPN_ANY);
	hw_set(mkc, HW_MKC_MKEY_7_0, 0x42);
	hw_set(mkc, HW_MKC_PD, f.node.pd);
	hw_set64(mkc, HW_MKC_START_ADDR, 0x7000000000);
	hw_set64(mkc, HW_MKC_LEN, BYTES);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(nic_umem_deregister(f->node.nic, f->umem), 0);
	t_node_close(&f->node);
	free(f->memory);
	return 0;
}

static uint32_t create(struct fixture *f, const uint8_t *in, size_t in_len)
{
	uint8_t out[T_OUT];

	assert_int_equal(t_cmd(&f->node, in, in_len, out), HW_CMD_OK);
	return hw_get(out, HW_CMD_OUT_NUMBER);
}

static void destroy(struct fixture *f, uint32_t index)
{
	assert_int_equal(t_simple(&f->node, HW_CMD_DESTROY_MKEY, index, NULL),
			 0);
}

static void refuse_mkc(struct fixture *f, struct hw_field field, uint32_t value,
		       const char *text)
{
	struct t_refusal expected = {HW_CMD_BAD_PARAM,
				     (uint16_t)(HW_MKC_OFFSET + field.offset),
				     text};
	uint8_t in[HW_CREATE_MKEY_IN_BYTES];

	memcpy(in, f->good, sizeof(in));
	hw_set(in + HW_MKC_OFFSET, field, value);
	t_refused(&f->node, in, sizeof(in), &expected);
}

static void test_each_field_of_the_context_is_checked(void **state)
{
	struct fixture *f = *state;

	refuse_mkc(f, HW_MKC_FREE, 1, "MKC_FREE (mailbox 0x10[30:30]) holds 1");
	refuse_mkc(f, HW_MKC_ACCESS_MODE_4_2, 1, "MKC_ACCESS_MODE_4_2");
	refuse_mkc(f, HW_MKC_ACCESS_MODE_1_0, HW_MKC_MODE_KLMS,
		   "MKC_ACCESS_MODE_1_0 (mailbox 0x10[9:8]) holds 2 (0x2), "
		   "expected 0 (PA) or 1 (MTT)");
	refuse_mkc(f, HW_MKC_ACCESS_MODE_1_0, HW_MKC_MODE_KSM,
		   "MKC_ACCESS_MODE_1_0");
	refuse_mkc(f, HW_MKC_PD, f->node.pd + 1, "MKC_PD (mailbox 0x1c[23:0])");
	refuse_mkc(f, HW_MKC_PD, 0, "a PD of ALLOC_PD");
	refuse_mkc(f, HW_MKC_LENGTH64, 1, "only a PA key spans");
}

static void test_a_pa_key_has_no_length_of_its_own(void **state)
{
	struct t_refusal expected = {
		HW_CMD_BAD_PARAM, 0x1c,
		"MKC_LENGTH64 (mailbox 0x1c[31:31]) holds 0"};
	struct fixture *f = *state;
	uint8_t in[HW_CREATE_MKEY_IN_BYTES];

	memcpy(in, f->good, sizeof(in));
	hw_set(in + HW_MKC_OFFSET, HW_MKC_ACCESS_MODE_1_0, HW_MKC_MODE_PA);
	t_refused(&f->node, in, sizeof(in), &expected);
}

static void test_the_range_of_addresses_must_not_wrap(void **state)
{
	struct t_refusal bad = {HW_CMD_BAD_PARAM, 0x28,
				"MKC_LEN (mailbox 0x28, 8 bytes) holds 0x0"};
	struct fixture *f = *state;
	uint8_t in[HW_CREATE_MKEY_IN_BYTES], *mkc = in + HW_MKC_OFFSET;

	memcpy(in, f->good, sizeof(in));
	hw_set64(mkc, HW_MKC_LEN, 0);
	t_refused(&f->node, in, sizeof(in), &bad);
	bad.text = "MKC_LEN";
	hw_set64(mkc, HW_MKC_LEN, BYTES);
	hw_set64(mkc, HW_MKC_START_ADDR, 0ull - BYTES + 1);
	t_refused(&f->node, in, sizeof(in), &bad);
	hw_set64(mkc, HW_MKC_START_ADDR, 0ull - BYTES);
	destroy(f, create(f, in, sizeof(in)));
	hw_set64(mkc, HW_MKC_START_ADDR, 0); /* NCCL: iova is 0 */
	destroy(f, create(f, in, sizeof(in)));
}

static void test_the_memory_must_lie_in_its_umem(void **state)
{
	struct t_refusal unknown = {HW_CMD_BAD_RES, 0x64,
				    "the key's memory: umem id 99"};
	struct t_refusal bad = {HW_CMD_BAD_PARAM, 0x64, "do not fit umem"};
	struct fixture *f = *state;
	uint8_t in[HW_CREATE_MKEY_IN_BYTES];

	memcpy(in, f->good, sizeof(in));
	hw_set(in, HW_CREATE_MKEY_UMEM_ID, 99);
	t_refused(&f->node, in, sizeof(in), &unknown);
	hw_set(in, HW_CREATE_MKEY_UMEM_ID, f->umem);
	hw_set64(in, HW_CREATE_MKEY_UMEM_OFFSET, 1);
	t_refused(&f->node, in, sizeof(in), &bad);
	hw_set64(in, HW_CREATE_MKEY_UMEM_OFFSET, ~0ull);
	t_refused(&f->node, in, sizeof(in), &bad);
	hw_set64(in, HW_CREATE_MKEY_UMEM_OFFSET, BYTES - 1);
	hw_set64(in + HW_MKC_OFFSET, HW_MKC_LEN, 1);
	destroy(f, create(f, in, sizeof(in)));
}

/* UCX sets no umem_valid, and may send the short form. */
static void test_umem_valid_is_implied_by_an_id(void **state)
{
	struct fixture *f = *state;
	uint8_t in[HW_CREATE_MKEY_IN_BYTES];

	memcpy(in, f->good, sizeof(in));
	hw_set(in, HW_CREATE_MKEY_UMEM_VALID, 0);
	destroy(f, create(f, in, 0x70));
}

static void test_query_returns_what_was_created(void **state)
{
	struct fixture *f = *state;
	uint32_t index = create(f, f->good, sizeof(f->good));
	uint8_t out[T_OUT], *mkc = out + HW_MKC_OFFSET;

	assert_int_equal(t_simple(&f->node, HW_CMD_QUERY_MKEY, index, out), 0);
	assert_int_equal(hw_get(mkc, HW_MKC_LR), 1);
	assert_int_equal(hw_get(mkc, HW_MKC_LW), 1);
	assert_int_equal(hw_get(mkc, HW_MKC_RR), 1);
	assert_int_equal(hw_get(mkc, HW_MKC_RW), 0);
	assert_int_equal(hw_get(mkc, HW_MKC_A), 1);
	assert_int_equal(hw_get(mkc, HW_MKC_ACCESS_MODE_1_0), HW_MKC_MODE_MTT);
	assert_int_equal(hw_get(mkc, HW_MKC_QPN), HW_MKC_QPN_ANY);
	assert_int_equal(hw_get(mkc, HW_MKC_MKEY_7_0), 0x42);
	assert_int_equal(hw_get(mkc, HW_MKC_PD), f->node.pd);
	assert_int_equal(hw_get64(mkc, HW_MKC_START_ADDR), 0x7000000000);
	assert_int_equal(hw_get64(mkc, HW_MKC_LEN), BYTES);
	destroy(f, index);
}

static void test_a_pa_key_spans_all_addresses(void **state)
{
	struct fixture *f = *state;
	uint8_t in[HW_CREATE_MKEY_IN_BYTES], out[T_OUT];
	uint32_t index;

	memcpy(in, f->good, sizeof(in));
	hw_set(in, HW_CREATE_MKEY_UMEM_ID, 0);
	hw_set(in + HW_MKC_OFFSET, HW_MKC_ACCESS_MODE_1_0, HW_MKC_MODE_PA);
	hw_set(in + HW_MKC_OFFSET, HW_MKC_LENGTH64, 1);
	index = create(f, in, sizeof(in));
	t_simple(&f->node, HW_CMD_QUERY_MKEY, index, out);
	assert_int_equal(hw_get(out + HW_MKC_OFFSET, HW_MKC_LENGTH64), 1);
	destroy(f, index);
}

static void test_a_destroyed_key_is_gone(void **state)
{
	struct t_refusal gone = {HW_CMD_BAD_RES, 8, "does not exist"};
	struct fixture *f = *state;
	uint32_t index = create(f, f->good, sizeof(f->good));
	uint8_t in[16] = {0};

	destroy(f, index);
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_DESTROY_MKEY);
	hw_set(in, HW_CMD_IN_NUMBER, index);
	t_refused(&f->node, in, sizeof(in), &gone);
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_QUERY_MKEY);
	t_refused(&f->node, in, sizeof(in), &gone);
	assert_int_not_equal(create(f, f->good, sizeof(f->good)), index);
	destroy(f, index + 1);
}

/* DESTROY_MKEY of a key that nic_mkey_register made leaves nothing behind. */
static void test_destroying_a_registered_key_frees_its_umem(void **state)
{
	struct fixture *f = *state;
	struct nic_usage before, after;
	uint32_t key;

	nic_get_usage(f->node.nic, &before);
	key = t_mr(&f->node, f->memory, BYTES);
	destroy(f, key >> 8);
	nic_get_usage(f->node.nic, &after);
	assert_memory_equal(&before, &after, sizeof(before));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_each_field_of_the_context_is_checked),
		T(test_a_pa_key_has_no_length_of_its_own),
		T(test_the_range_of_addresses_must_not_wrap),
		T(test_the_memory_must_lie_in_its_umem),
		T(test_umem_valid_is_implied_by_an_id),
		T(test_query_returns_what_was_created),
		T(test_a_pa_key_spans_all_addresses),
		T(test_a_destroyed_key_is_gone),
		T(test_destroying_a_registered_key_frees_its_umem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
