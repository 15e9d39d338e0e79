/* SPDX-License-Identifier: MIT */
/*
 * stack/dev/reserve.h: blocks are given out when they are free, and only then.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/t_queue.h"

static struct t_queue q;

static void set_up(bool shared, uint64_t start)
{
	t_queue_init(&q, 4, start);
	q.qp->shared = shared;
}

static void test_blocks_are_given_out_up_to_the_depth(void **state)
{
	uint64_t start = (1ull << 32) - 2, base = 0;
	int shared;

	(void)state;
	for (shared = 0; shared < 2; shared++) {
		set_up(shared, start);
		assert_int_equal(gda_dev_reserve(&q.dev, q.qp, 1, &base), 0);
		assert_int_equal(base, start);
		assert_int_equal(gda_dev_reserve(&q.dev, q.qp, 3, &base), 0);
		assert_int_equal(base, start + 1);
		assert_int_equal(q.qp->reserved, start + 4);
		assert_int_equal(gda_dev_reserve(&q.dev, q.qp, 1, &base),
				 GDA_DEV_ETIMEDOUT);
		assert_int_equal(q.qp->reserved, start + 4);
		q.qp->posted = q.qp->ready = start + 4;
		t_queue_complete(&q, start + 1, HW_CQE_REQ, 0);
		assert_int_equal(gda_dev_reserve(&q.dev, q.qp, 3, &base),
				 GDA_DEV_ETIMEDOUT);
		assert_int_equal(gda_dev_reserve(&q.dev, q.qp, 2, &base), 0);
		assert_int_equal(base, start + 4);
	}
}

static void test_a_whole_queue_can_be_taken(void **state)
{
	uint64_t base;

	(void)state;
	set_up(false, 9);
	assert_int_equal(gda_dev_reserve(&q.dev, q.qp, 4, &base), 0);
	assert_int_equal(base, 9);
}

/* Held back by batching, they would never complete. */
static void test_a_full_queue_is_announced_before_waiting(void **state)
{
	uint64_t base;

	(void)state;
	set_up(false, 0);
	q.qp->reserved = q.qp->ready = 4;
	q.qp->posted = 1;
	assert_int_equal(gda_dev_reserve(&q.dev, q.qp, 1, &base),
			 GDA_DEV_ETIMEDOUT);
	assert_int_equal(q.qp->posted, 4);
	assert_int_equal(hw_dbrec_decode(q.record[1]), 4);
}

static void test_a_broken_queue_gives_nothing(void **state)
{
	uint64_t base = 77;

	(void)state;
	set_up(false, 0);
	q.qp->error = 1;
	assert_int_equal(gda_dev_reserve(&q.dev, q.qp, 1, &base), GDA_DEV_EIO);
	assert_int_equal(base, 77);
	assert_int_equal(q.qp->reserved, 0);
}

static void fail_at_pause(struct t_queue *queue)
{
	t_queue_complete(queue, 0, HW_CQE_REQ_ERR, HW_SYND_RETRY_EXC);
}

static void test_an_error_ends_the_wait_for_blocks(void **state)
{
	uint64_t base;

	(void)state;
	set_up(true, 0);
	q.qp->reserved = q.qp->ready = q.qp->posted = 4;
	q.on_pause = fail_at_pause;
	q.dev.timeout_ns = 0;
	assert_int_equal(gda_dev_reserve(&q.dev, q.qp, 1, &base), GDA_DEV_EIO);
	assert_int_equal(q.qp->reserved, 4);
}

enum { THREADS = 4, EACH = 100000 };

static uint8_t given[THREADS * EACH]; /* how often each block was */

static void *take_blocks(void *arg)
{
	uint64_t base;
	int i;

	(void)arg;
	for (i = 0; i < EACH; i++)
		if (!gda_dev_reserve(&q.dev, q.qp, 1, &base))
			__atomic_fetch_add(&given[base], 1, __ATOMIC_RELAXED);
	return NULL;
}

static void test_threads_never_get_the_same_block(void **state)
{
	pthread_t threads[THREADS];
	int i;

	(void)state;
	set_up(true, 0);
	q.qp->depth = 1 << 20; /* no block is written */
	q.dev.pause = NULL;
	for (i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, take_blocks, NULL);
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < THREADS * EACH; i++)
		assert_int_equal(given[i], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocks_are_given_out_up_to_the_depth),
		cmocka_unit_test(test_a_whole_queue_can_be_taken),
		cmocka_unit_test(test_a_full_queue_is_announced_before_waiting),
		cmocka_unit_test(test_a_broken_queue_gives_nothing),
		cmocka_unit_test(test_an_error_ends_the_wait_for_blocks),
		cmocka_unit_test(test_threads_never_get_the_same_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
