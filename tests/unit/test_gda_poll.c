/* SPDX-License-Identifier: MIT */
/*
 * stack/dev/poll.h: CQEs written by hand, across every wrap.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sched.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/t_queue.h"

static struct t_queue q;

static void set_up(bool ring, uint32_t depth, uint64_t start)
{
	t_queue_init(&q, depth, start);
	q.qp->cq_ring = ring;
}

/* count blocks are posted. */
static void post(uint32_t count)
{
	q.qp->posted += count;
	q.qp->ready = q.qp->reserved = q.qp->posted;
}

static void test_nothing_is_done_before_the_first_cqe(void **state)
{
	(void)state;
	set_up(false, 4, 0);
	post(2);
	assert_int_equal(gda_dev_poll(q.qp), 0);
	set_up(true, 4, 4); /* the filling's owner bit is this lap's */
	post(2);
	assert_int_equal(gda_dev_poll(q.qp), 0);
	assert_int_equal(q.qp->completed, 4);
}

static void test_a_collapsed_cqe_completes_all_before_it(void **state)
{
	(void)state;
	set_up(false, 8, 0xfffd);
	post(6);
	t_queue_complete(&q, 0xfffd, HW_CQE_REQ, 0);
	assert_int_equal(gda_dev_poll(q.qp), 1);
	assert_int_equal(q.qp->completed, 0xfffe);
	assert_int_equal(gda_dev_poll(q.qp), 0);
	t_queue_complete(&q, 0x10002, HW_CQE_REQ, 0);
	assert_int_equal(gda_dev_poll(q.qp), 1);
	assert_int_equal(q.qp->completed, 0x10003);
}

static void test_counters_pass_2_to_the_32(void **state)
{
	uint64_t start = (1ull << 32) - 2;
	int ring;

	(void)state;
	for (ring = 0; ring < 2; ring++) {
		set_up(ring, 4, start);
		post(4);
		t_queue_complete(&q, start + 2, HW_CQE_REQ, 0);
		assert_int_equal(gda_dev_poll(q.qp), 1);
		assert_int_equal(q.qp->completed, start + 3);
	}
}

/* 40 laps and more, one CQE for each block, seen when it is there. */
static void test_a_ring_changes_its_owner_bit_each_lap(void **state)
{
	uint64_t index;

	(void)state;
	set_up(true, 4, 0xffff - 80);
	for (index = 0xffff - 80; index < 0xffff + 100; index++) {
		post(1);
		assert_int_equal(gda_dev_poll(q.qp), 0);
		t_queue_complete(&q, index, HW_CQE_REQ, 0);
		assert_int_equal(gda_dev_poll(q.qp), 1);
		assert_int_equal(q.qp->completed, index + 1);
		assert_int_equal(gda_dev_poll(q.qp), 0);
	}
}

static void test_a_ring_takes_cqes_one_by_one_in_order(void **state)
{
	(void)state;
	set_up(true, 4, 0);
	post(4);
	t_queue_complete(&q, 1, HW_CQE_REQ, 0); /* 0 asked for none */
	t_queue_complete(&q, 3, HW_CQE_REQ, 0);
	assert_int_equal(gda_dev_poll(q.qp), 1);
	assert_int_equal(q.qp->completed, 2);
	assert_int_equal(gda_dev_poll(q.qp), 1);
	assert_int_equal(q.qp->completed, 4);
	assert_int_equal(q.qp->cq_consumer, 2);
}

static void test_an_index_outside_completed_and_posted_is_ignored(void **state)
{
	(void)state;
	set_up(false, 8, 100);
	post(3);
	t_queue_complete(&q, 103, HW_CQE_REQ, 0); /* not posted */
	assert_int_equal(gda_dev_poll(q.qp), 0);
	t_queue_complete(&q, 99, HW_CQE_REQ, 0); /* done before */
	assert_int_equal(gda_dev_poll(q.qp), 0);
	t_queue_complete(&q, 90, HW_CQE_REQ, 0); /* long ago */
	assert_int_equal(gda_dev_poll(q.qp), 0);
	assert_int_equal(q.qp->completed, 100);
	t_queue_complete(&q, 102, HW_CQE_REQ, 0);
	assert_int_equal(gda_dev_poll(q.qp), 1);
	assert_int_equal(q.qp->completed, 103);
}

static void run_error(bool ring)
{
	set_up(ring, 8, 0xfffe);
	post(5);
	t_queue_complete(&q, 0x10001, HW_CQE_REQ_ERR, HW_SYND_REMOTE_ACCESS);
	assert_int_equal(gda_dev_poll(q.qp), GDA_DEV_EIO);
	assert_int_equal(q.qp->error, 1);
	assert_int_equal(q.qp->failure_index, 0x10001);
	assert_int_equal(q.qp->failure_syndrome, HW_SYND_REMOTE_ACCESS);
	assert_int_equal(q.qp->failure_vendor, 0x88);
	assert_int_equal(q.qp->failure_opcode, HW_OP_RDMA_WRITE);
	/* What is before it has succeeded. */
	assert_int_equal(q.qp->completed, 0x10001);
	/* The record is of the first error, whoever polls later. */
	t_queue_complete(&q, 0x10002, HW_CQE_REQ_ERR, HW_SYND_WR_FLUSH);
	assert_int_equal(gda_dev_poll(q.qp), GDA_DEV_EIO);
	assert_int_equal(q.qp->failure_syndrome, HW_SYND_REMOTE_ACCESS);
}

static void test_an_error_cqe_is_recorded_once(void **state)
{
	(void)state;
	run_error(false);
	run_error(true);
}

static void test_a_flush_alone_does_not_say_what_has_succeeded(void **state)
{
	(void)state;
	set_up(false, 8, 0);
	post(5);
	t_queue_complete(&q, 3, HW_CQE_REQ_ERR, HW_SYND_WR_FLUSH);
	assert_int_equal(gda_dev_poll(q.qp), GDA_DEV_EIO);
	assert_int_equal(q.qp->completed, 0);
}

static void complete_at_pause(struct t_queue *queue)
{
	if (queue->pauses == 40)
		t_queue_complete(queue, 1, HW_CQE_REQ, 0);
}

static void fail_at_pause(struct t_queue *queue)
{
	if (queue->pauses == 2)
		t_queue_complete(queue, 0, HW_CQE_REQ_ERR, HW_SYND_RETRY_EXC);
}

static void test_a_wait_ends_with_success_error_or_timeout(void **state)
{
	int ring;

	(void)state;
	for (ring = 0; ring < 2; ring++) {
		set_up(ring, 4, 0);
		post(2);
		q.on_pause = complete_at_pause;
		assert_int_equal(gda_dev_wait_done(&q.dev, q.qp, 2), 0);
		assert_int_equal(q.pauses, 40);
		assert_int_equal(gda_dev_wait_done(&q.dev, q.qp, 1), 0);

		set_up(ring, 4, 0);
		post(2);
		assert_int_equal(gda_dev_wait_done(&q.dev, q.qp, 2),
				 GDA_DEV_ETIMEDOUT);
		q.pauses = 0;
		q.on_pause = fail_at_pause;
		assert_int_equal(gda_dev_wait_done(&q.dev, q.qp, 2),
				 GDA_DEV_EIO);
		assert_int_equal(gda_dev_wait_done(&q.dev, q.qp, 0), 0);
	}
}

static void test_without_a_timeout_the_clock_is_not_read(void **state)
{
	struct gda_dev_wait wait = {0, 0};
	int i;

	(void)state;
	set_up(false, 4, 0);
	q.dev.timeout_ns = 0;
	for (i = 0; i < 1000; i++)
		assert_int_equal(gda_dev_wait_round(&q.dev, &wait), 0);
	assert_int_equal(q.pauses, 1000);
	assert_int_equal(wait.deadline_ns, 0);
}

enum { THREADS = 3, CQES = 200000 };

static uint32_t went_back; /* how often a thread saw completed fall */

static void *poll_all(void *arg)
{
	uint64_t now, before = 0;

	(void)arg;
	do {
		gda_dev_poll(q.qp);
		now = gda_order_load_counter(&q.qp->completed);
		if (now < before)
			__atomic_fetch_add(&went_back, 1, __ATOMIC_RELAXED);
		before = now;
	} while (now < CQES);
	return NULL;
}

/* The NIC's store of one CQE after the other; only the last 8 bytes count. */
static void publish(uint64_t index)
{
	struct hw_cqe_info info = {.opcode = HW_CQE_REQ,
				   .wqe_counter = (uint16_t)index};
	struct hw_cqe cqe = hw_cqe_encode(&info);
	uint64_t last8;

	memcpy(&last8, (uint8_t *)&cqe + 56, sizeof(last8));
	__atomic_store_n((uint64_t *)(q.cq + 56), last8, __ATOMIC_RELEASE);
}

static void test_completed_never_falls_whoever_polls(void **state)
{
	pthread_t threads[THREADS];
	uint64_t index;
	int i;

	(void)state;
	set_up(false, 16, 0);
	q.qp->shared = 1;
	post(CQES);
	for (i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, poll_all, NULL);
	for (index = 0; index < CQES; index++) {
		publish(index);
		/* No further ahead than a real queue can be. */
		while (index - gda_order_load_counter(&q.qp->completed) >
			       30000 &&
		       index > gda_order_load_counter(&q.qp->completed))
			sched_yield();
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(went_back, 0);
	assert_int_equal(q.qp->completed, CQES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_done_before_the_first_cqe),
		cmocka_unit_test(test_a_collapsed_cqe_completes_all_before_it),
		cmocka_unit_test(test_counters_pass_2_to_the_32),
		cmocka_unit_test(test_a_ring_changes_its_owner_bit_each_lap),
		cmocka_unit_test(test_a_ring_takes_cqes_one_by_one_in_order),
		cmocka_unit_test(
			test_an_index_outside_completed_and_posted_is_ignored),
		cmocka_unit_test(test_an_error_cqe_is_recorded_once),
		cmocka_unit_test(
			test_a_flush_alone_does_not_say_what_has_succeeded),
		cmocka_unit_test(
			test_a_wait_ends_with_success_error_or_timeout),
		cmocka_unit_test(test_without_a_timeout_the_clock_is_not_read),
		cmocka_unit_test(test_completed_never_falls_whoever_polls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
