/* SPDX-License-Identifier: MIT */
/*
 * kernels/simt.c: the sentences that a broken kernel gets, and that a failed or
 * unfinished run leaves nothing behind.
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

/* ------------------------------------------------------------ broken ones */

static void half_at_barrier(const void *args)
{
	(void)args;
	if (simt_self()->rank < 32)
		simt_sync(0, 0, "kernel.cu:7");
	else
		meet(SIMT_SYNC, 0xffff, 0, 0);
}

static void some_return(const void *args)
{
	(void)args;
	if (simt_self()->rank != 3)
		simt_sync(0, 0, "kernel.cu:9");
}

static void two_barriers(const void *args)
{
	(void)args;
	if (simt_self()->rank % 2)
		simt_sync(0, 0, "kernel.cu:11");
	else
		simt_sync(0, 0, "kernel.cu:12");
}

static void two_operations(const void *args)
{
	(void)args;
	if (simt_self()->rank % 2)
		meet(SIMT_BALLOT, FULL, 0, 0);
	else
		meet(SIMT_SHFL, FULL, 0, 0);
}

static void lane_returns(const void *args)
{
	(void)args;
	if (simt_self()->rank != 9)
		meet(SIMT_SYNC, FULL, 0, 0);
}

static void outside_of_mask(const void *args)
{
	(void)args;
	meet(SIMT_SYNC, 0xfffffffe, 0, 0);
}

static void reads_outside_of_mask(const void *args)
{
	(void)args;
	if (simt_self()->rank < 16)
		meet(SIMT_SHFL, 0xffff, 0, 20);
}

static void two_masks(const void *args)
{
	(void)args;
	meet(SIMT_SYNC, simt_self()->rank == 5 ? 0x30 : FULL, 0, 0);
}

static void other_count(const void *args)
{
	(void)args;
	simt_sync(1, simt_self()->rank < 8 ? 32 : 64, "kernel.cu:20");
}

static void no_such_barrier(const void *args)
{
	(void)args;
	simt_sync(16, 0, "kernel.cu:30");
}

static void polls_for_ever(const void *args)
{
	(void)args;
	for (;;)
		simt_pause(NULL, NULL);
}

static const struct {
	simt_kernel_fn *fn;
	int rc;
	const char *words[3];
} broken[] = {
	{half_at_barrier, -EPROTO, {"own lane", NULL}},
	{some_return, -EPROTO, {"kernel.cu:9", "returned", NULL}},
	{two_barriers, -EPROTO, {"kernel.cu:11", "kernel.cu:12", NULL}},
	{two_operations, -EPROTO, {"ballot", "shuffle", NULL}},
	{lane_returns, -EPROTO, {"returned", NULL}},
	{outside_of_mask, -EPROTO, {"lane 0", "0xfffffffe", NULL}},
	{reads_outside_of_mask, -EPROTO, {"reads lane 20", NULL}},
	{two_masks, -EDEADLK, {"deadlock", "for lanes 0x30", NULL}},
	{other_count, -EPROTO, {"for 32", "64", NULL}},
	{no_such_barrier, -EPROTO, {"barrier 16", NULL}},
	{polls_for_ever, -ETIMEDOUT, {"200000 turns", "polls", NULL}},
};

static void test_a_broken_kernel_is_told_what_is_wrong(void **state)
{
	const void *nothing = NULL;
	uint64_t seed;
	size_t i, w;

	(void)state;
	for (i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		for (seed = 0; seed < 4; seed++) {
			struct simt *simt = start(seed);

			assert_int_equal(
				run(simt, broken[i].fn, &nothing, 2, 64),
				broken[i].rc);
			for (w = 0; w < 3 && broken[i].words[w]; w++)
				if (!strstr(simt_error(simt),
					    broken[i].words[w]))
					fail_msg("%zu: no \"%s\" in: %s", i,
						 broken[i].words[w],
						 simt_error(simt));
			simt_destroy(simt);
		}
}

static void deadlock(const void *args)
{
	(void)args;
	simt_sync(1 + simt_self()->rank / 32, 64, "kernel.cu:40");
}

static void test_a_deadlock_names_who_waits_where(void **state)
{
	const void *nothing = NULL;
	struct simt *simt = start(0);

	(void)state;
	assert_int_equal(run(simt, deadlock, &nothing, 1, 64), -EDEADLK);
	assert_non_null(strstr(simt_error(simt),
			       "test block 0:\n    threads 0 to 31: at barrier "
			       "1, kernel.cu:40 (32 of 64 are there)\n    "
			       "threads 32 to 63: at barrier 2, kernel.cu:40"));
	assert_non_null(strstr(simt_error(simt), "seed 0, turn 64"));
	simt_destroy(simt);
}

static void test_a_runner_with_work_left_can_be_destroyed(void **state)
{
	const void *nothing = NULL;
	struct simt_launch launch = {"left",	polls_for_ever, &nothing, 8,
				     {4, 1, 1}, {64, 1, 1},	0,	  0};
	struct simt *simt = start(0);

	(void)state;
	assert_int_equal(simt_launch(simt, &launch, NULL), 0);
	assert_int_equal(simt_launch(simt, &launch, NULL), 0);
	assert_int_equal(simt_run(simt, 1000), 1);
	simt_destroy(simt);
	simt_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_broken_kernel_is_told_what_is_wrong),
		cmocka_unit_test(test_a_deadlock_names_who_waits_where),
		cmocka_unit_test(test_a_runner_with_work_left_can_be_destroyed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
