/* SPDX-License-Identifier: MIT */
/*
 * Memory key commands: each field check from both sides, QUERY_MKEY, destroy.
 * Method: the mailbox of a good key with one field spoilt.
 */
#include "support/t_klm.h"

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
	refuse_mkc(f, HW_MKC_BSF_EN, 1, "signatures are not supported");
	refuse_mkc(f, HW_MKC_CRYPTO_EN, 1, "encryption is not supported");
	refuse_mkc(f, HW_MKC_PD, f->node.pd + 1, "MKC_PD (mailbox 0x1c[23:0])");
	refuse_mkc(f, HW_MKC_PD, 0, "a PD of ALLOC_PD");
	refuse_mkc(f, HW_MKC_LENGTH64, 1, "an MTT key does not span");
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

/* ------------------------------------------------------------ indirect */

/* What differs from a good mailbox with a list of four. */
struct spoilt {
	struct hw_field field;
	uint32_t value;
	bool in_header; /* else in the context */
	const char *text;
};

static void test_each_field_of_an_indirect_key_is_checked(void **state)
{
	const struct spoilt all[] = {
		{HW_MKC_TRANSLATIONS_SIZE, 0, false, "holds 0"},
		{HW_MKC_TRANSLATIONS_SIZE, 65537, false, "1 to 65536"},
		{HW_MKC_FREE, 1, false, ""}, /* without umr_en */
		{HW_MKC_ACCESS_MODE_1_0, HW_MKC_MODE_KSM, false, "entity size"},
		{HW_MKC_LENGTH64, 0, false, ""}, /* length is 0 */
		{HW_CREATE_MKEY_UMEM_VALID, 1, true, "list is in the mailbox"},
		{HW_CREATE_MKEY_ACTUAL_SIZE, 5, true, "no more entries"},
	};
	static const uint16_t offsets[] = {0x44, 0x44, 0x10, 0x48,
					   0x28, 0x0c, 0x60};
	struct t_klm_options options = {.length64 = true};
	struct hw_klm list[4] = {{{0}, {0}, {0}}};
	struct t_refusal expected = {.status = HW_CMD_BAD_PARAM};
	struct fixture *f = *state;
	uint8_t in[0x200];
	size_t len, i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		len = t_klm_mailbox(&f->node, &options, list, 4, in);
		hw_set(in + (all[i].in_header ? 0 : HW_MKC_OFFSET),
		       all[i].field, all[i].value);
		expected.offset = offsets[i];
		expected.text = all[i].text;
		t_refused(&f->node, in, len, &expected);
	}
	/* More entries than the mailbox has bytes for. */
	len = t_klm_mailbox(&f->node, &options, list, 4, in);
	expected.offset = 0x60;
	t_refused(&f->node, in, len - 1, &expected);
	destroy(f, create(f, in, len));
}

static void test_a_list_behind_a_direct_key_is_refused(void **state)
{
	struct t_refusal expected = {HW_CMD_BAD_INP_LEN, 0x110, "data beyond"};
	struct fixture *f = *state;
	uint8_t in[0x120] = {0};

	memcpy(in, f->good, sizeof(f->good));
	destroy(f, create(f, in, sizeof(in)));
	in[0x11f] = 1;
	t_refused(&f->node, in, sizeof(in), &expected);
}

/* As rdma-core's mlx5dv_create_mkey() does: no length, no list yet. */
static void test_a_free_key_needs_no_length(void **state)
{
	struct t_klm_options options = {.free = true, .capacity = 4};
	struct fixture *f = *state;
	uint32_t key = t_klm_key(&f->node, &options, NULL, 0);
	uint8_t mkc[HW_MKC_BYTES];

	t_query_mkey(&f->node, key, mkc);
	assert_int_equal(hw_get(mkc, HW_MKC_FREE), 1);
	assert_int_equal(hw_get(mkc, HW_MKC_UMR_EN), 1);
	assert_int_equal(hw_get(mkc, HW_MKC_TRANSLATIONS_SIZE), 4);
	assert_int_equal(hw_get(mkc, HW_MKC_ACCESS_MODE_1_0), HW_MKC_MODE_KLMS);
	t_mkey_destroy(&f->node, key);
}

static void test_query_shows_the_first_two_entries(void **state)
{
	const struct hw_klm list[] = {hw_klm_encode(1, 2, 3),
				      hw_klm_encode(4, 5, 6),
				      hw_klm_encode(7, 8, 9)};
	struct t_klm_options options = {.mode = HW_MKC_MODE_KSM,
					.log_entity = 31,
					.start = 5,
					.len = 77,
					.rinval = true};
	struct fixture *f = *state;
	uint32_t key = t_klm_key(&f->node, &options, list, 3);
	uint8_t out[T_OUT], *mkc = out + HW_MKC_OFFSET;

	t_simple(&f->node, HW_CMD_QUERY_MKEY, key >> 8, out);
	assert_int_equal(hw_get(mkc, HW_MKC_ACCESS_MODE_1_0), HW_MKC_MODE_KSM);
	assert_int_equal(hw_get(mkc, HW_MKC_LOG_PAGE_SIZE), 31);
	assert_int_equal(hw_get(mkc, HW_MKC_EN_RINVAL), 1);
	assert_int_equal(hw_get64(mkc, HW_MKC_START_ADDR), 5);
	assert_int_equal(hw_get64(mkc, HW_MKC_LEN), 77);
	assert_memory_equal(out + HW_QUERY_MKEY_LIST, list, 32);
	t_mkey_destroy(&f->node, key);
}

static void test_special_contexts_are_keys_that_no_object_has(void **state)
{
	struct fixture *f = *state;
	uint8_t out[T_OUT];
	uint32_t first = create(f, f->good, sizeof(f->good));

	assert_int_equal(
		t_simple(&f->node, HW_CMD_QUERY_SPECIAL_CONTEXTS, 0, out), 0);
	assert_in_range(hw_get(out, HW_SPECIAL_NULL_MKEY) >> 8, 2, first - 1);
	assert_in_range(hw_get(out, HW_SPECIAL_RESD_LKEY) >> 8, 2, first - 1);
	assert_in_range(hw_get(out, HW_SPECIAL_DUMP_FILL_MKEY) >> 8, 2,
			first - 1);
	assert_int_equal(hw_get(out, HW_SPECIAL_TERMINATE_MKEY),
			 HW_LKEY_INVALID);
	destroy(f, first);
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
		T(test_each_field_of_an_indirect_key_is_checked),
		T(test_a_list_behind_a_direct_key_is_refused),
		T(test_a_free_key_needs_no_length),
		T(test_query_shows_the_first_two_entries),
		T(test_special_contexts_are_keys_that_no_object_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
