/* SPDX-License-Identifier: MIT */
/*
 * stack/dev/doorbell.h: what each protocol leaves in record and register, when
 * batching rings, and who may publish.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/t_queue.h"

static struct t_queue q;

static const uint8_t nothing[8];

#define assert_bytes(at, ...)                                                  \
	do {                                                                   \
		const uint8_t expected[] = {__VA_ARGS__};                      \
		assert_memory_equal(at, expected, sizeof(expected));           \
	} while (0)

/* Blocks up to end are written: hand them over. */
static void submit(uint64_t end, bool urgent)
{
	uint64_t base = q.qp->ready;

	q.qp->reserved = end;
	assert_int_equal(gda_dev_submit(&q.dev, q.qp, base, end, urgent), 0);
}

static void set_up(enum gda_doorbell doorbell, uint64_t start)
{
	t_queue_init(&q, 8, start);
	q.qp->doorbell = (uint8_t)doorbell;
}

static void test_classic_writes_record_and_register(void **state)
{
	(void)state;
	set_up(GDA_DOORBELL_CLASSIC, 0x1ffff);
	submit(0x20001, true);
	assert_bytes(&q.record[1], 0, 0, 0x00, 0x01);
	assert_memory_equal(&q.record[0], nothing, 4);
	assert_bytes(t_queue_register(&q, 0x800), 0x00, 0x00, 0x01, 0x00, 0x00,
		     0x02, 0xed, 0x00);
	assert_int_equal(q.qp->posted, 0x20001);
}

static void test_early_ends_with_record_and_register_too(void **state)
{
	(void)state;
	set_up(GDA_DOORBELL_EARLY, 0);
	submit(2, true);
	assert_bytes(&q.record[1], 0, 0, 0, 2);
	assert_bytes(t_queue_register(&q, 0x800), 0, 0, 2, 0, 0, 0x02, 0xed, 0);
}

static void test_no_record_leaves_the_record_alone(void **state)
{
	(void)state;
	set_up(GDA_DOORBELL_NO_RECORD, 0);
	q.qp->reg = q.uar + HW_UAR_NO_DBR;
	submit(2, true);
	assert_memory_equal(q.record, nothing, 8);
	assert_bytes(t_queue_register(&q, 0x600), 0, 0, 2, 0, 0, 0x02, 0xed, 0);
	assert_memory_equal(t_queue_register(&q, 0x800), nothing, 8);
}

static void test_blueflame_copies_a_lone_block_to_alternate_halves(void **state)
{
	struct gda_dev_request r;
	int i;

	(void)state;
	memset(&r, 0, sizeof(r));
	set_up(GDA_DOORBELL_BLUEFLAME, 6);
	for (i = 0; i < 3; i++) {
		gda_dev_post_nop(q.qp, 6 + (uint64_t)i);
		submit(7 + (uint64_t)i, true);
		assert_memory_equal(t_queue_register(&q, i % 2 ? 0x900 : 0x800),
				    t_queue_block(&q, 6 + (uint64_t)i),
				    HW_WQE_BB);
		assert_int_equal(hw_dbrec_decode(q.record[1]), 7 + i);
	}
}

static void test_blueflame_announces_several_blocks_by_doorbell(void **state)
{
	(void)state;
	set_up(GDA_DOORBELL_BLUEFLAME, 0);
	gda_dev_post_nop(q.qp, 0);
	gda_dev_post_nop(q.qp, 1);
	submit(2, true);
	assert_bytes(t_queue_register(&q, 0x800), 0, 0, 2, 0, 0, 0x02, 0xed, 0,
		     0, 0);
	submit(4, true);
	assert_bytes(t_queue_register(&q, 0x900), 0, 0, 4, 0, 0, 0x02, 0xed, 0);
}

static void test_a_batch_rings_at_its_multiples_only(void **state)
{
	(void)state;
	set_up(GDA_DOORBELL_CLASSIC, 3);
	q.qp->batch = 4;
	submit(4, false);
	assert_int_equal(q.qp->posted, 4);
	submit(5, false);
	submit(6, false);
	assert_int_equal(q.qp->posted, 4);
	assert_int_equal(q.qp->ready, 6);
	submit(9, false); /* over the boundary, not on it */
	assert_int_equal(q.qp->posted, 9);
	assert_int_equal(hw_dbrec_decode(q.record[1]), 9);
	submit(10, true);
	assert_int_equal(q.qp->posted, 10);
	submit(11, false);
	assert_int_equal(gda_dev_flush(&q.dev), 0);
	assert_int_equal(q.qp->posted, 11);
}

static void test_without_batching_every_submit_rings(void **state)
{
	(void)state;
	set_up(GDA_DOORBELL_CLASSIC, 0);
	submit(1, false);
	assert_int_equal(q.qp->posted, 1);
	submit(2, false);
	assert_int_equal(q.qp->posted, 2);
}

/* The thread of blocks 0 and 1 is slow: it publishes while we wait. */
static void publish_first(struct t_queue *queue)
{
	assert_int_equal(queue->qp->ready, 0);
	if (queue->pauses == 3)
		gda_order_store_counter(&queue->qp->ready, 2);
}

static void test_a_shared_queue_publishes_in_order(void **state)
{
	(void)state;
	set_up(GDA_DOORBELL_CLASSIC, 0);
	q.qp->shared = 1;
	q.qp->reserved = 3;
	q.on_pause = publish_first;
	assert_int_equal(gda_dev_submit(&q.dev, q.qp, 2, 3, true), 0);
	assert_int_equal(q.pauses, 3);
	assert_int_equal(q.qp->ready, 3);
	assert_int_equal(q.qp->posted, 3);
}

/* Somebody else rings meanwhile, and further than we need. */
static void ring_elsewhere(struct t_queue *queue)
{
	if (queue->pauses == 2)
		gda_order_store_counter(&queue->qp->posted, 5);
}

static void test_a_shared_queue_is_rung_by_one_thread(void **state)
{
	(void)state;
	set_up(GDA_DOORBELL_CLASSIC, 0);
	q.qp->shared = 1;
	q.qp->ready = 5;
	q.qp->bell_taken = 1;
	q.on_pause = ring_elsewhere;
	assert_int_equal(gda_dev_ring(&q.dev, q.qp, 3), 0);
	assert_int_equal(q.pauses, 2);
	assert_memory_equal(t_queue_register(&q, 0x800), nothing, 8);
	/* Never given back, never rung: a timeout. */
	assert_int_equal(gda_dev_ring(&q.dev, q.qp, 6), GDA_DEV_ETIMEDOUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classic_writes_record_and_register),
		cmocka_unit_test(test_early_ends_with_record_and_register_too),
		cmocka_unit_test(test_no_record_leaves_the_record_alone),
		cmocka_unit_test(
			test_blueflame_copies_a_lone_block_to_alternate_halves),
		cmocka_unit_test(
			test_blueflame_announces_several_blocks_by_doorbell),
		cmocka_unit_test(test_a_batch_rings_at_its_multiples_only),
		cmocka_unit_test(test_without_batching_every_submit_rings),
		cmocka_unit_test(test_a_shared_queue_publishes_in_order),
		cmocka_unit_test(test_a_shared_queue_is_rung_by_one_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
