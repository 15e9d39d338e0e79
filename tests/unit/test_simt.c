/* SPDX-License-Identifier: MIT */
/*
 * kernels/simt.c: grids, barriers, warp operations, shared memory; and that a
 * seed is an interleaving.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/simt.h"

#define FULL 0xffffffffu

static struct simt *start(uint64_t seed)
{
	struct simt_config config = {.seed = seed, .turns_max = 200000};
	struct simt *simt = simt_create(&config);

	assert_non_null(simt);
	return simt;
}

/* Launch blocks of threads and run them. */
static int run(struct simt *simt, simt_kernel_fn *fn, const void *args,
	       uint32_t blocks, uint32_t threads)
{
	struct simt_launch launch = {.name = "test",
				     .fn = fn,
				     .args = args,
				     .args_bytes = sizeof(void *),
				     .grid = {blocks, 0, 0},
				     .block = {threads, 0, 0},
				     .shared_bytes = 256};
	uint64_t grid = 0;
	int rc = simt_launch(simt, &launch, &grid);

	return rc ? rc : simt_wait(simt, grid);
}

static uint64_t meet(enum simt_meeting meeting, uint32_t mask, uint64_t value,
		     uint32_t argument)
{
	struct simt_meet_call call = {meeting, mask, value, argument, "meet"};

	return simt_meet(&call);
}

/* Run it under many seeds; it writes into words, which check looks at. */
static void for_seeds(simt_kernel_fn *fn, uint32_t blocks, uint32_t threads,
		      void (*check)(const uint32_t *words))
{
	static uint32_t words[8192];
	uint32_t *at = words;
	struct simt *simt;
	uint64_t seed;

	for (seed = 0; seed < 40; seed++) {
		memset(words, 0, sizeof(words));
		simt = start(seed);
		assert_int_equal(run(simt, fn, &at, blocks, threads), 0);
		check(words);
		simt_destroy(simt);
	}
}

/* ------------------------------------------------------------------ grids */

static void count_me(const void *args)
{
	uint32_t *words = *(uint32_t *const *)args;
	const struct simt_id *id = simt_self();

	words[id->block_rank * id->block_size + id->rank]++;
	simt_point();
}

static void check_counted(const uint32_t *words)
{
	uint32_t i;

	for (i = 0; i < 5 * 100; i++)
		assert_int_equal(words[i], 1);
	assert_int_equal(words[i], 0);
}

static void test_every_thread_of_a_grid_runs_once(void **state)
{
	(void)state;
	for_seeds(count_me, 5, 100, check_counted);
}

static void note_place(const void *args)
{
	uint32_t *words = *(uint32_t *const *)args;
	const struct simt_id *id = simt_self();
	uint32_t at = id->block_rank * id->block_size + id->rank;

	words[at] = id->thread.x | id->thread.y << 4 | id->thread.z << 8 |
		    id->block.x << 12 | id->block.y << 16 | id->block.z << 20;
}

static void test_threads_and_blocks_have_three_dimensions(void **state)
{
	uint32_t words[2 * 3 * 4 * 24] = {0}, *at = words, i;
	struct simt_launch launch = {"places",	note_place, &at, sizeof(at),
				     {2, 3, 4}, {4, 3, 2},  0,	 0};
	struct simt *simt = start(1);

	(void)state;
	assert_int_equal(simt_launch(simt, &launch, NULL), 0);
	assert_int_equal(simt_wait(simt, 0), 0);
	for (i = 0; i < 24 * 24; i++)
		assert_int_equal(words[i], (i % 4) | (i / 4 % 3) << 4 |
						   (i / 12 % 2) << 8 |
						   (i / 24 % 2) << 12 |
						   (i / 48 % 3) << 16 |
						   (i / 144) << 20);
	simt_destroy(simt);
}

static void test_more_blocks_than_fit_run_one_after_the_other(void **state)
{
	struct simt_config config = {.seed = 3, .resident_blocks = 2};
	struct simt *simt = simt_create(&config);
	uint32_t words[501] = {0}, *at = words;

	(void)state;
	assert_int_equal(run(simt, count_me, &at, 5, 100), 0);
	check_counted(words);
	simt_destroy(simt);
}

static void test_an_empty_or_too_large_grid_is_refused(void **state)
{
	struct simt *simt = start(0);
	void *nothing = NULL;

	(void)state;
	assert_int_equal(run(simt, count_me, &nothing, 0, 32), -EINVAL);
	assert_int_equal(run(simt, count_me, &nothing, 1, 0), -EINVAL);
	assert_int_equal(run(simt, count_me, &nothing, 1, 1025), -EINVAL);
	assert_non_null(strstr(simt_error(simt), "1025"));
	assert_int_equal(simt_wait(simt, 0), 0);
	simt_destroy(simt);
}

/* --------------------------------------------------- two grids, streams --- */

static void wait_for_word(const void *args)
{
	uint32_t *words = *(uint32_t *const *)args;

	while (!words[0])
		simt_pause(NULL, NULL);
	words[1]++;
}

static void set_word(const void *args)
{
	(*(uint32_t *const *)args)[0] = 1;
}

static void launch_on(struct simt *simt, simt_kernel_fn *fn, uint32_t **at,
		      uint32_t stream)
{
	struct simt_launch launch = {.name = "stream",
				     .fn = fn,
				     .args = at,
				     .args_bytes = sizeof(*at),
				     .grid = {1, 1, 1},
				     .block = {1, 1, 1},
				     .stream = stream};

	assert_int_equal(simt_launch(simt, &launch, NULL), 0);
}

static void test_grids_of_different_streams_run_at_the_same_time(void **state)
{
	uint32_t words[2] = {0}, *at = words;
	struct simt *simt = start(5);

	(void)state;
	launch_on(simt, wait_for_word, &at, 1);
	launch_on(simt, set_word, &at, 2);
	assert_int_equal(simt_wait_stream(simt, 1), 0);
	assert_int_equal(words[1], 1);
	assert_int_equal(simt_wait(simt, 0), 0);
	simt_destroy(simt);
}

static void test_grids_of_one_stream_do_not(void **state)
{
	uint32_t words[2] = {0}, *at = words;
	struct simt *simt = start(5);

	(void)state;
	launch_on(simt, wait_for_word, &at, 1);
	launch_on(simt, set_word, &at, 1);
	assert_int_equal(simt_run(simt, 1000), 1);
	assert_int_equal(words[1], 0);
	assert_int_equal(simt_wait(simt, 0), -ETIMEDOUT);
	assert_non_null(strstr(simt_error(simt), "thread 0: "));
	assert_int_equal(simt_wait(simt, 0), -ETIMEDOUT);
	simt_destroy(simt);
}

static void test_a_pause_moves_what_its_hook_moves(void **state)
{
	uint32_t words[2] = {0}, *at = words;
	struct simt *simt = start(7);

	(void)state;
	launch_on(simt, wait_for_word, &at, 0);
	assert_int_equal(simt_run(simt, 50), 1);
	words[0] = 1; /* the host, between two runs */
	assert_int_equal(simt_run(simt, 50), 0);
	assert_int_equal(words[1], 1);
	simt_destroy(simt);
}

/* --------------------------------------------------------------- barriers */

static char shared_key, other_key;

/* Each reads what its neighbour wrote. */
static void rotate(const void *args)
{
	uint32_t *words = *(uint32_t *const *)args;
	const struct simt_id *id = simt_self();
	uint32_t *mine = simt_shared(&shared_key, 1024 * sizeof(*mine));
	uint32_t next = (id->rank + 1) % id->block_size, round;

	for (round = 1; round < 4; round++) {
		mine[id->rank] = id->rank * round;
		simt_sync(0, 0, "a");
		words[id->rank] += mine[next] == next * round;
		simt_sync(0, 0, "b");
	}
}

static void check_rotated(const uint32_t *words)
{
	uint32_t i;

	for (i = 0; i < 70; i++)
		assert_int_equal(words[i], 3);
}

static void test_a_block_meets_at_its_barriers(void **state)
{
	(void)state;
	for_seeds(rotate, 1, 70, check_rotated);
}

/* Two halves use a barrier each, at different paces. */
static void two_halves(const void *args)
{
	uint32_t *words = *(uint32_t *const *)args;
	uint32_t rank = simt_self()->rank, half = rank / 64;
	uint32_t i;

	for (i = 0; i < 3 + half; i++)
		simt_sync(1 + half, 64, "half");
	words[rank] = i;
	simt_sync(0, 0, "both");
	words[rank] += words[127 - rank];
}

static void check_halves(const uint32_t *words)
{
	uint32_t i, sum = 0;

	for (i = 0; i < 128; i++)
		sum += words[i] == 7 || words[i] > 7;
	assert_int_equal(sum, 128);
}

static void test_a_part_of_a_block_meets_at_a_named_barrier(void **state)
{
	(void)state;
	for_seeds(two_halves, 1, 128, check_halves);
}

/* ------------------------------------------------------------------- warps */

static void exchange(const void *args)
{
	uint32_t *words = *(uint32_t *const *)args;
	const struct simt_id *id = simt_self();
	uint32_t lane = id->rank % SIMT_WARP, low = lane < 16;
	uint32_t half = low ? 0xffff : 0xffff0000;
	uint32_t good = 0;

	good += meet(SIMT_SHFL, FULL, lane * 3, 31 - lane) == (31 - lane) * 3;
	good += meet(SIMT_SHFL, FULL, lane, lane ^ 1) == (lane ^ 1);
	good += meet(SIMT_BALLOT, FULL, lane % 3 == 0, 0) == 0x49249249;
	good += meet(SIMT_MATCH_ANY, FULL, lane % 2, 0) ==
		(lane % 2 ? 0xaaaaaaaa : 0x55555555);
	good += meet(SIMT_BALLOT, half, lane % 2, 0) == (half & 0xaaaaaaaa);
	if (lane < 4)
		good += meet(SIMT_SHFL, 0xf, lane, 2) == 2;
	else
		good += 1;
	meet(SIMT_SYNC, FULL, 0, 0);
	words[id->rank] = good;
}

static void check_exchanged(const uint32_t *words)
{
	uint32_t i;

	for (i = 0; i < 96; i++)
		assert_int_equal(words[i], 6);
}

static void test_lanes_of_a_warp_exchange_values(void **state)
{
	(void)state;
	for_seeds(exchange, 1, 96, check_exchanged);
}

/* The mask of a whole warp, in one that has 5 lanes. */
static void short_warp(const void *args)
{
	uint32_t *words = *(uint32_t *const *)args;
	const struct simt_id *id = simt_self();

	words[id->rank] = (uint32_t)meet(SIMT_BALLOT, FULL, 1, 0);
	words[64 + id->rank] = simt_warp_lanes();
}

static void check_short(const uint32_t *words)
{
	assert_int_equal(words[0], FULL);
	assert_int_equal(words[36], 0x1f);
	assert_int_equal(words[64 + 36], 0x1f);
}

static void test_lanes_that_do_not_exist_are_not_waited_for(void **state)
{
	(void)state;
	for_seeds(short_warp, 1, 37, check_short);
}

/* ----------------------------------------------------------- shared memory */

static void look_at_shared(const void *args)
{
	uint32_t *words = *(uint32_t *const *)args;
	const struct simt_id *id = simt_self();
	uint32_t *a = simt_shared(&shared_key, 8);
	uint32_t *b = simt_shared(&other_key, 8);
	uint8_t *dynamic = simt_shared_dynamic();

	if (id->rank)
		return;
	words[id->block_rank] = a != b && a[0] == 0xa5a5a5a5 &&
				b[1] == 0xa5a5a5a5 && dynamic[255] == 0xa5;
	a[0] = b[1] = dynamic[255] = 0;
}

static void check_shared(const uint32_t *words)
{
	assert_int_equal(words[0] + words[1] + words[2], 3);
}

static void test_shared_memory_is_a_blocks_own_and_begins_as_rubbish(void **s)
{
	(void)s;
	for_seeds(look_at_shared, 3, 4, check_shared);
}

/* ------------------------------------------------------------------- seeds */

static void note_order(const void *args)
{
	uint32_t *words = *(uint32_t *const *)args;
	uint32_t i;

	for (i = 0; i < 4; i++) {
		words[1 + words[0]++] = simt_self()->rank;
		simt_pause(NULL, NULL);
	}
}

static void record(uint64_t seed, uint32_t words[200])
{
	struct simt *simt = start(seed);

	memset(words, 0, 200 * sizeof(*words));
	assert_int_equal(run(simt, note_order, &words, 1, 40), 0);
	simt_destroy(simt);
}

static void test_a_seed_is_an_interleaving(void **state)
{
	uint32_t a[200], b[200], different = 0;
	uint64_t seed;

	(void)state;
	for (seed = 0; seed < 20; seed++) {
		record(seed, a);
		record(seed, b);
		assert_memory_equal(a, b, sizeof(a));
		record(seed + 1, b);
		different += memcmp(a, b, sizeof(a)) != 0;
	}
	assert_int_equal(different, 20);
}

/* -------------------------------------------------------------- outside ---- */

static void raise_word(void *arg)
{
	++*(int *)arg;
}

static void test_outside_of_a_kernel_there_is_nobody(void **state)
{
	int calls = 0;

	(void)state;
	assert_null(simt_self());
	assert_int_equal(simt_now_ns(), 0);
	simt_point();
	simt_pause(raise_word, &calls);
	simt_pause(NULL, NULL);
	assert_int_equal(calls, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_thread_of_a_grid_runs_once),
		cmocka_unit_test(test_threads_and_blocks_have_three_dimensions),
		cmocka_unit_test(
			test_more_blocks_than_fit_run_one_after_the_other),
		cmocka_unit_test(test_an_empty_or_too_large_grid_is_refused),
		cmocka_unit_test(
			test_grids_of_different_streams_run_at_the_same_time),
		cmocka_unit_test(test_grids_of_one_stream_do_not),
		cmocka_unit_test(test_a_pause_moves_what_its_hook_moves),
		cmocka_unit_test(test_a_block_meets_at_its_barriers),
		cmocka_unit_test(
			test_a_part_of_a_block_meets_at_a_named_barrier),
		cmocka_unit_test(test_lanes_of_a_warp_exchange_values),
		cmocka_unit_test(
			test_lanes_that_do_not_exist_are_not_waited_for),
		cmocka_unit_test(
			test_shared_memory_is_a_blocks_own_and_begins_as_rubbish),
		cmocka_unit_test(test_a_seed_is_an_interleaving),
		cmocka_unit_test(test_outside_of_a_kernel_there_is_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
