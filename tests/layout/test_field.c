/* SPDX-License-Identifier: MIT */
/*
 * hw/field.h against a bit-by-bit implementation: any field of any mailbox,
 * neighbours included.
 */
#include "layout/compare.h"
#include "hw/cmd_qp.h"

enum { MAILBOX_BYTES = 64 };

struct place {
	struct hw_field field;
	size_t bit; /* as the PRM counts */
	unsigned width;
};

static struct place random_place(struct t_rng *random)
{
	unsigned word = t_random_32(random) % (MAILBOX_BYTES / 4);
	unsigned lo = t_random_32(random) % 32;
	unsigned hi = lo + t_random_32(random) % (32 - lo);
	struct place place;

	place.field = HW_FIELD((uint16_t)(word * 4), (uint8_t)hi, (uint8_t)lo);
	place.bit = word * 32 + (31 - hi);
	place.width = hi - lo + 1;
	return place;
}

static void test_get_reads_the_bits_of_the_field(void **state)
{
	struct t_rng random = t_random_start("hw_get");
	(void)state;

	for (int i = 0; i < T_ROUNDS; i++) {
		struct place place = random_place(&random);
		uint8_t mailbox[MAILBOX_BYTES];

		t_random_bytes(&random, mailbox, sizeof(mailbox));
		assert_int_equal(hw_get(mailbox, place.field),
				 t_bits_get(mailbox, place.bit, place.width));
	}
}

static void test_set_writes_the_field_and_nothing_else(void **state)
{
	struct t_rng random = t_random_start("hw_set");
	(void)state;

	for (int i = 0; i < T_ROUNDS; i++) {
		struct place place = random_place(&random);
		uint32_t value = t_random_32(&random);
		uint8_t mailbox[MAILBOX_BYTES], expected[MAILBOX_BYTES];

		t_random_bytes(&random, mailbox, sizeof(mailbox));
		memcpy(expected, mailbox, sizeof(mailbox));
		t_bits_set(expected, place.bit, place.width, value);
		hw_set(mailbox, place.field, value);
		assert_memory_equal(mailbox, expected, sizeof(mailbox));
	}
}

static void test_64_bit_fields_at_any_offset(void **state)
{
	struct t_rng random = t_random_start("hw_get64, hw_set64");
	(void)state;

	for (int i = 0; i < T_ROUNDS; i++) {
		uint16_t offset =
			(uint16_t)(t_random_32(&random) % (MAILBOX_BYTES - 7));
		struct hw_field64 field = HW_FIELD64(offset);
		uint64_t value = t_random(&random);
		uint8_t mailbox[MAILBOX_BYTES], expected[MAILBOX_BYTES];

		t_random_bytes(&random, mailbox, sizeof(mailbox));
		assert_true(hw_get64(mailbox, field) ==
			    t_bits_get(mailbox, offset * 8u, 64));
		memcpy(expected, mailbox, sizeof(mailbox));
		t_bits_set(expected, offset * 8u, 64, value);
		hw_set64(mailbox, field, value);
		assert_memory_equal(mailbox, expected, sizeof(mailbox));
	}
}

static void test_max_is_all_ones_of_the_width(void **state)
{
	(void)state;
	for (unsigned lo = 0; lo < 32; lo++) {
		for (unsigned hi = lo; hi < 32; hi++) {
			uint64_t ones = (1ull << (hi - lo + 1)) - 1;

			assert_int_equal(
				hw_max(HW_FIELD(0, (uint8_t)hi, (uint8_t)lo)),
				ones);
		}
	}
}

/* The example of hw/field.h */
static void test_field_example(void **state)
{
	uint8_t qpc[HW_QPC_BYTES] = {0};
	(void)state;

	hw_set(qpc, HW_QPC_REMOTE_QPN, 0x51);
	t_assert_hex(qpc + 0x14, 4, "00 00 00 51");
	assert_int_equal(hw_get(qpc, HW_QPC_REMOTE_QPN), 0x51);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get_reads_the_bits_of_the_field),
		cmocka_unit_test(test_set_writes_the_field_and_nothing_else),
		cmocka_unit_test(test_64_bit_fields_at_any_offset),
		cmocka_unit_test(test_max_is_all_ones_of_the_width),
		cmocka_unit_test(test_field_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
