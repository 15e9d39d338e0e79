/* SPDX-License-Identifier: MIT */
/*
 * stack/dev/doorbell.h: the order of the stores that each protocol makes. The
 * calls of order.h are replaced by ones that write down what they were asked
 * to store, and what posted was then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stack/dev/order.h"

static char stores[16];
static const uint64_t *posted;
static uint64_t posted_at_register;

static void note(char what)
{
	stores[strlen(stores)] = what;
}

static inline void note_record(be32 *record, be32 value)
{
	(void)record, (void)value;
	note('R');
}

static inline void note_register(void *reg, uint64_t value)
{
	(void)reg, (void)value;
	note('D');
	posted_at_register = *posted;
}

static inline void note_copy(void *reg, const uint64_t block[8])
{
	(void)block;
	note_register(reg, 0);
	stores[strlen(stores) - 1] = 'B';
}

#define gda_order_wqe_before_record	 note_record
#define gda_order_record_before_register note_register
#define gda_order_wqe_before_register	 note_register
#define gda_order_blueflame_copy	 note_copy
#include "stack/dev/doorbell.h"

static uint8_t ring[4 * HW_WQE_BB];
static struct gda_dev_qp qp;

static const char *stores_of(enum gda_doorbell doorbell, uint64_t blocks)
{
	const struct gda_dev dev = {.npes = 1};

	memset(&qp, 0, sizeof(qp));
	memset(stores, 0, sizeof(stores));
	qp.sq = ring;
	qp.depth = 4;
	qp.doorbell = (uint8_t)doorbell;
	qp.ready = blocks;
	posted = &qp.posted;
	posted_at_register = 0;
	assert_int_equal(gda_dev_ring(&dev, &qp, blocks), 0);
	return stores;
}

static void test_each_protocol_stores_in_its_order(void **state)
{
	(void)state;
	assert_string_equal(stores_of(GDA_DOORBELL_CLASSIC, 1), "RD");
	assert_string_equal(stores_of(GDA_DOORBELL_EARLY, 1), "DRD");
	assert_string_equal(stores_of(GDA_DOORBELL_NO_RECORD, 1), "D");
	assert_string_equal(stores_of(GDA_DOORBELL_BLUEFLAME, 1), "RB");
	assert_string_equal(stores_of(GDA_DOORBELL_BLUEFLAME, 2), "RD");
	assert_string_equal(stores_of(GDA_DOORBELL_CLASSIC, 0), "");
}

/* A poller that sees the CQE must find its index in (completed, posted]. */
static void test_posted_is_raised_before_the_register_is_written(void **state)
{
	int doorbell;

	(void)state;
	for (doorbell = 0; doorbell <= GDA_DOORBELL_BLUEFLAME; doorbell++) {
		stores_of((enum gda_doorbell)doorbell, 3);
		assert_int_equal(posted_at_register, 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_protocol_stores_in_its_order),
		cmocka_unit_test(
			test_posted_is_raised_before_the_register_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
