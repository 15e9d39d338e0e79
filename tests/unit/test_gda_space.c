/* SPDX-License-Identifier: MIT */
/*
 * stack/host/space.c: first fit over offsets, compared with a map of bytes.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stack/host/space.h"
#include "support/t_rng.h"

static void test_offsets_are_aligned_and_first_fit(void **state)
{
	struct gda_space space;
	uint64_t a, b, c;

	(void)state;
	gda_space_init(&space, 1, 1024);
	assert_int_equal(gda_space_take(&space, 1, &a), 0);
	assert_int_equal(a, 128);
	assert_int_equal(gda_space_take(&space, 129, &b), 0);
	assert_int_equal(b, 256);
	assert_int_equal(gda_space_take(&space, 1, &c), 0);
	assert_int_equal(c, 512);
	assert_int_equal(gda_space_len(&space, b), 129);
	assert_int_equal(gda_space_give(&space, b), 0);
	assert_int_equal(gda_space_len(&space, b), 0);
	assert_int_equal(gda_space_take(&space, 257, &a), 0);
	assert_int_equal(a, 640);
	assert_int_equal(gda_space_take(&space, 256, &a), 0);
	assert_int_equal(a, 256);
	gda_space_clear(&space);
}

static void test_the_last_byte_can_be_taken_and_no_more(void **state)
{
	struct gda_space space;
	uint64_t offset;

	(void)state;
	gda_space_init(&space, 0, 1000);
	assert_int_equal(gda_space_take(&space, 1001, &offset), -ENOSPC);
	assert_int_equal(gda_space_take(&space, UINT64_MAX, &offset), -ENOSPC);
	assert_int_equal(gda_space_take(&space, 0, &offset), -EINVAL);
	assert_int_equal(gda_space_take(&space, 1000, &offset), 0);
	assert_int_equal(gda_space_take(&space, 1, &offset), -ENOSPC);
	assert_int_equal(gda_space_give(&space, 128), -EINVAL);
	assert_int_equal(gda_space_give(&space, 0), 0);
	assert_int_equal(gda_space_give(&space, 0), -EINVAL);
	gda_space_clear(&space);
}

/* Random takes and gives: no block overlaps another or leaves the space. */
static void test_blocks_never_overlap(void **state)
{
	enum { SIZE = 8192, BLOCKS = 40, ROUNDS = 5000 };
	struct t_rng rng = {.state = 42};
	struct {
		uint64_t offset, len;
	} blocks[BLOCKS] = {0};
	uint8_t owner[SIZE] = {0};
	struct gda_space space;
	int i, round;
	uint64_t at;

	(void)state;
	gda_space_init(&space, 0, SIZE);
	for (round = 0; round < ROUNDS; round++) {
		i = (int)t_below(&rng, BLOCKS);
		if (blocks[i].len) {
			assert_int_equal(
				gda_space_give(&space, blocks[i].offset), 0);
			for (at = 0; at < blocks[i].len; at++)
				owner[blocks[i].offset + at] = 0;
			blocks[i].len = 0;
			continue;
		}
		blocks[i].len = 1 + t_below(&rng, 700);
		if (gda_space_take(&space, blocks[i].len, &blocks[i].offset)) {
			blocks[i].len = 0;
			continue;
		}
		assert_int_equal(blocks[i].offset % GDA_SPACE_ALIGN, 0);
		assert_true(blocks[i].offset + blocks[i].len <= SIZE);
		for (at = 0; at < blocks[i].len; at++) {
			assert_int_equal(owner[blocks[i].offset + at], 0);
			owner[blocks[i].offset + at] = 1;
		}
	}
	gda_space_clear(&space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offsets_are_aligned_and_first_fit),
		cmocka_unit_test(test_the_last_byte_can_be_taken_and_no_more),
		cmocka_unit_test(test_blocks_never_overlap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
