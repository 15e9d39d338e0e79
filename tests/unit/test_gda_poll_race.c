/* SPDX-License-Identifier: MIT */
/*
 * stack/dev/poll.h: a thread that is held up between its look at a CQE and
 * what it makes of it, while another polls on. The load of the CQE is replaced
 * by one that lets the other thread run first.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stack/dev/order.h"

static void (*meanwhile)(void);

/* What this thread sees is what lay there before the other one ran. */
static inline uint64_t slow_load_cqe(const void *last8)
{
	uint64_t value = gda_order_load_cqe(last8);
	void (*other)(void) = meanwhile;

	meanwhile = NULL;
	if (other)
		other();
	return value;
}

#define gda_order_load_cqe slow_load_cqe
#include "stack/dev/poll.h"

enum { DEPTH_LOG2 = 3, DEPTH = 1 << DEPTH_LOG2 };

static uint8_t cqes[DEPTH * HW_CQE_BYTES];
static struct gda_dev_qp qp;

static void publish(unsigned slot, uint64_t index, uint8_t opcode)
{
	struct hw_cqe_info info = {.opcode = opcode,
				   .wqe_counter = (uint16_t)index,
				   .syndrome = HW_SYND_REMOTE_ACCESS};
	struct hw_cqe cqe = hw_cqe_encode(&info);

	memcpy(cqes + slot * HW_CQE_BYTES, &cqe, sizeof(cqe));
}

static void set_up(bool ring)
{
	memset(&qp, 0, sizeof(qp));
	memset(cqes, 0xff, sizeof(cqes));
	qp.cq = cqes;
	qp.cq_ring = ring;
	qp.cq_depth_log2 = DEPTH_LOG2;
	qp.depth = DEPTH;
	qp.shared = 1;
	qp.reserved = qp.ready = qp.posted = 6;
}

static void other_sees_more(void)
{
	publish(0, 5, HW_CQE_REQ);
	gda_dev_poll(&qp);
	assert_int_equal(qp.completed, 6);
}

static void test_a_late_thread_does_not_set_completed_back(void **state)
{
	(void)state;
	set_up(false);
	publish(0, 1, HW_CQE_REQ);
	meanwhile = other_sees_more;
	gda_dev_poll(&qp);
	assert_int_equal(qp.completed, 6);
}

static void other_takes_both(void)
{
	gda_dev_poll(&qp);
	gda_dev_poll(&qp);
	assert_int_equal(qp.completed, 4);
	assert_int_equal(qp.cq_consumer, 2);
}

static void test_a_cqe_of_a_ring_is_used_by_one_thread(void **state)
{
	(void)state;
	set_up(true);
	publish(0, 1, HW_CQE_REQ);
	publish(1, 3, HW_CQE_REQ);
	publish(2, 4, HW_CQE_REQ);
	meanwhile = other_takes_both;
	assert_int_equal(gda_dev_poll(&qp), 1); /* lost: look again */
	assert_int_equal(qp.cq_consumer, 2);
	assert_int_equal(qp.completed, 4);
	assert_int_equal(gda_dev_poll(&qp), 1);
	assert_int_equal(qp.completed, 5);
}

static void other_sees_the_error(void)
{
	assert_int_equal(gda_dev_poll(&qp), GDA_DEV_EIO);
}

static void test_two_threads_see_one_error_and_one_records_it(void **state)
{
	(void)state;
	set_up(false);
	publish(0, 2, HW_CQE_REQ_ERR);
	meanwhile = other_sees_the_error;
	assert_int_equal(gda_dev_poll(&qp), GDA_DEV_EIO);
	assert_int_equal(qp.error, 1);
	assert_int_equal(qp.failure_index, 2);
	assert_int_equal(qp.completed, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_a_late_thread_does_not_set_completed_back),
		cmocka_unit_test(test_a_cqe_of_a_ring_is_used_by_one_thread),
		cmocka_unit_test(
			test_two_threads_see_one_error_and_one_records_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
