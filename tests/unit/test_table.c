/* SPDX-License-Identifier: MIT */
/*
 * Object tables: numbers, limits, growth, reuse that comes late.
 */
#include "emu/table.h"

#include <errno.h>

#include "support/t_nic.h"

static int objects[64];

static uint32_t add(struct nic_table *table, int *object)
{
	uint32_t number;

	assert_int_equal(nic_table_add(table, object, &number), 0);
	return number;
}

static void test_numbers_start_at_the_base_and_count(void **state)
{
	struct nic_table table;
	uint32_t i;

	(void)state;
	nic_table_init(&table, 0x50, 64);
	for (i = 0; i < 64; i++)
		assert_int_equal(add(&table, &objects[i]), 0x50 + i);
	for (i = 0; i < 64; i++)
		assert_ptr_equal(nic_table_get(&table, 0x50 + i), &objects[i]);
	assert_null(nic_table_get(&table, 0x4f));
	assert_null(nic_table_get(&table, 0));
	assert_null(nic_table_get(&table, 0x50 + 64));
	assert_null(nic_table_get(&table, UINT32_MAX));
	nic_table_free(&table);
}

static void test_the_limit_holds_even_when_it_is_no_power_of_two(void **state)
{
	struct nic_table table;
	uint32_t number, i;

	(void)state;
	nic_table_init(&table, 1, 19);
	for (i = 0; i < 19; i++)
		add(&table, &objects[i]);
	assert_int_equal(nic_table_add(&table, &objects[0], &number), -ENOSPC);
	nic_table_remove(&table, 7);
	assert_int_equal(add(&table, &objects[20]), 7);
	assert_int_equal(nic_table_add(&table, &objects[0], &number), -ENOSPC);
	nic_table_free(&table);
}

static void test_a_freed_number_comes_back_late(void **state)
{
	struct nic_table table;
	uint32_t first, i;

	(void)state;
	nic_table_init(&table, 1, 64);
	first = add(&table, &objects[0]);
	nic_table_remove(&table, first);
	assert_null(nic_table_get(&table, first));
	/* Every other slot is given out before. */
	for (i = 0; i < 15; i++)
		assert_int_not_equal(add(&table, &objects[i]), first);
	assert_int_equal(add(&table, &objects[15]), first);
	nic_table_free(&table);
}

static void test_a_walk_sees_every_object_once(void **state)
{
	struct nic_table table;
	uint32_t i, seen = 0;
	int *object;

	(void)state;
	nic_table_init(&table, 1, 64);
	for (i = 0; i < 40; i++)
		add(&table, &objects[i]);
	for (i = 1; i <= 40; i += 3)
		nic_table_remove(&table, i);
	for (i = 0; i < 64; i++)
		objects[i] = 0;
	for (i = 0; (object = nic_table_walk(&table, &i)); seen++)
		assert_int_equal((*object)++, 0);
	assert_int_equal(seen, table.count);
	assert_int_equal(seen, 26);
	nic_table_free(&table);
}

static void test_an_empty_table_has_nothing(void **state)
{
	struct nic_table table;
	uint32_t i = 0;

	(void)state;
	nic_table_init(&table, 1, 4);
	assert_null(nic_table_get(&table, 1));
	assert_null(nic_table_walk(&table, &i));
	nic_table_free(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_start_at_the_base_and_count),
		cmocka_unit_test(
			test_the_limit_holds_even_when_it_is_no_power_of_two),
		cmocka_unit_test(test_a_freed_number_comes_back_late),
		cmocka_unit_test(test_a_walk_sees_every_object_once),
		cmocka_unit_test(test_an_empty_table_has_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
