/* SPDX-License-Identifier: MIT */
/*
 * The list behind an indirect key: what an offset means.
 */
#include "support/t_nic.h"

#include "emu/klm_list.h"

static void expect(const struct nic_klm_list *list, uint64_t offset,
		   struct nic_klm_piece want)
{
	struct nic_klm_piece piece;

	assert_true(nic_klm_list_find(list, offset, &piece));
	assert_int_equal(piece.key, want.key);
	assert_int_equal(piece.va, want.va);
	assert_int_equal(piece.len, want.len);
}

static void test_an_offset_is_found_in_its_entry(void **state)
{
	struct nic_klm_list *list = nic_klm_list_create(4);
	struct nic_klm_piece piece;
	(void)state;

	list->octwords[0] = hw_klm_encode(100, 7, 0x1000);
	list->octwords[1] = hw_klm_encode(1, 8, 0x2000);
	list->octwords[2] = hw_klm_encode(50, 9, 0x3000);
	list->octwords[3] = hw_klm_encode(0, 10, 0x4000); /* 2^31 */
	nic_klm_list_index(list);
	expect(list, 0, (struct nic_klm_piece){0x1000, 100, 7});
	expect(list, 99, (struct nic_klm_piece){0x1063, 1, 7});
	expect(list, 100, (struct nic_klm_piece){0x2000, 1, 8});
	expect(list, 101, (struct nic_klm_piece){0x3000, 50, 9});
	expect(list, 151, (struct nic_klm_piece){0x4000, 1u << 31, 10});
	expect(list, 150 + (1ull << 31),
	       (struct nic_klm_piece){0x4000 + (1ull << 31) - 1, 1, 10});
	assert_false(nic_klm_list_find(list, 151 + (1ull << 31), &piece));
	assert_false(nic_klm_list_find(list, UINT64_MAX, &piece));
	nic_klm_list_destroy(list);
}

static void put_head(struct nic_klm_list *list, unsigned i,
		     struct hw_repeat_head head)
{
	memcpy(&list->octwords[i], &head, sizeof(head));
}

static void put_entry(struct nic_klm_list *list, unsigned i,
		      struct hw_repeat_entry entry)
{
	memcpy(&list->octwords[i], &entry, sizeof(entry));
}

static void test_a_strided_block_goes_round(void **state)
{
	struct nic_klm_list *list = nic_klm_list_create(5);
	struct nic_klm_piece piece;
	(void)state;

	list->octwords[0] = hw_klm_encode(10, 6, 0x100);
	put_head(list, 1, hw_repeat_head_encode(12, 3, 2));
	put_entry(list, 2, hw_repeat_entry_encode(64, 8, 7, 0x1000));
	put_entry(list, 3, hw_repeat_entry_encode(16, 4, 8, 0x2000));
	list->octwords[4] = hw_klm_encode(5, 9, 0x3000);
	nic_klm_list_index(list);
	expect(list, 9, (struct nic_klm_piece){0x109, 1, 6});
	expect(list, 10, (struct nic_klm_piece){0x1000, 8, 7});
	expect(list, 18, (struct nic_klm_piece){0x2000, 4, 8});
	expect(list, 22, (struct nic_klm_piece){0x1040, 8, 7});
	expect(list, 22 + 9, (struct nic_klm_piece){0x2011, 3, 8});
	expect(list, 34 + 11, (struct nic_klm_piece){0x2023, 1, 8});
	expect(list, 46, (struct nic_klm_piece){0x3000, 5, 9});
	assert_false(nic_klm_list_find(list, 51, &piece));
	nic_klm_list_destroy(list);
}

/* It would be read beyond the list, divide by nothing, or never end. */
static void test_a_malformed_block_ends_the_list(void **state)
{
	static const struct {
		uint32_t cycle, repeat;
		uint16_t entries;
	} heads[] = {{8, 3, 2}, {12, 3, 1}, {12, 3, 4}, {12, 3, 0xffff},
		     {0, 3, 0}, {12, 0, 2}, {13, 3, 2}};
	struct nic_klm_list *list = nic_klm_list_create(4);
	struct nic_klm_piece piece;
	unsigned i;
	(void)state;

	list->octwords[0] = hw_klm_encode(10, 6, 0x100);
	put_entry(list, 2, hw_repeat_entry_encode(64, 8, 7, 0x1000));
	put_entry(list, 3, hw_repeat_entry_encode(16, 4, 8, 0x2000));
	for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		put_head(list, 1,
			 hw_repeat_head_encode(heads[i].cycle, heads[i].repeat,
					       heads[i].entries));
		nic_klm_list_index(list);
		assert_true(nic_klm_list_find(list, 9, &piece));
		assert_false(nic_klm_list_find(list, 10, &piece));
	}
	put_head(list, 1, hw_repeat_head_encode(12, 3, 2));
	nic_klm_list_index(list);
	assert_true(nic_klm_list_find(list, 45, &piece));
	assert_false(nic_klm_list_find(list, 46, &piece));
	nic_klm_list_destroy(list);
}

static void test_lengths_saturate(void **state)
{
	struct nic_klm_list *list = nic_klm_list_create(4);
	(void)state;

	put_head(list, 0, hw_repeat_head_encode(0xfffe, 0xffffffff, 1));
	put_entry(list, 1, hw_repeat_entry_encode(0, 0xfffe, 7, 0x1000));
	put_head(list, 2, hw_repeat_head_encode(0xffff, 0xffffffff, 1));
	put_entry(list, 3, hw_repeat_entry_encode(0, 0xffff, 8, 0x1000));
	nic_klm_list_index(list);
	expect(list, 0xfffeull * 0xffffffff,
	       (struct nic_klm_piece){0x1000, 0xffff, 8});
	nic_klm_list_destroy(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_offset_is_found_in_its_entry),
		cmocka_unit_test(test_a_strided_block_goes_round),
		cmocka_unit_test(test_a_malformed_block_ends_the_list),
		cmocka_unit_test(test_lengths_saturate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
