/* SPDX-License-Identifier: MIT */
/*
 * stack/dev/post.h: the exact bytes of every WQE, written by hand from the
 * layouts of hw/wqe.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/t_queue.h"

static struct t_queue q;

static struct gda_dev_request request(uint8_t opcode, uint32_t len)
{
	struct gda_dev_request r;

	memset(&r, 0, sizeof(r));
	r.opcode = opcode;
	r.ce = HW_CE_ALWAYS;
	r.len = len;
	r.raddr = 0x7f1234560000;
	r.rkey = 0x1842;
	r.laddr = 0x7f00ab000000;
	r.lkey = 0x1840;
	return r;
}

static const uint8_t raddr_bytes[16] = {0x00, 0x00, 0x7f, 0x12, 0x34, 0x56,
					0x00, 0x00, 0x00, 0x00, 0x18, 0x42};

#define assert_ds(block, ds, ...)                                              \
	do {                                                                   \
		const uint8_t expected[16] = {__VA_ARGS__};                    \
		assert_memory_equal((block) + 16 * (ds), expected, 16);        \
	} while (0)

static void test_a_write_is_three_units_in_one_block(void **state)
{
	struct gda_dev_request r = request(HW_OP_RDMA_WRITE, 4096);
	uint8_t *block;

	(void)state;
	t_queue_init(&q, 8, 0x1ff);
	block = t_queue_block(&q, 0x1ff);
	gda_dev_post_rma(q.qp, 0x1ff, &r);
	assert_ds(block, 0, 0x00, 0x01, 0xff, 0x08, 0x00, 0x02, 0xed, 0x03, 0,
		  0, 0, 0x08);
	assert_memory_equal(block + 16, raddr_bytes, 16);
	assert_ds(block, 2, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x18, 0x40,
		  0x00, 0x00, 0x7f, 0x00, 0xab, 0x00, 0x00, 0x00);
	/* The rest of the block is not touched. */
	assert_int_equal(block[48], 0xee);
}

static void test_an_unsignalled_read_asks_for_errors_only(void **state)
{
	struct gda_dev_request r = request(HW_OP_RDMA_READ, 1);

	(void)state;
	t_queue_init(&q, 8, 0);
	r.ce = HW_CE_ERROR_ONLY;
	gda_dev_post_rma(q.qp, 0x10002, &r);
	/* The index is cut to 16 bits, the slot to the ring. */
	assert_ds(t_queue_block(&q, 2), 0, 0x00, 0x00, 0x02, 0x10, 0x00, 0x02,
		  0xed, 0x03, 0, 0, 0, 0x00);
}

static void test_an_inline_write_carries_its_bytes(void **state)
{
	struct gda_dev_request r = request(HW_OP_RDMA_WRITE, 4);
	uint8_t *block;

	(void)state;
	t_queue_init(&q, 8, 0);
	block = t_queue_block(&q, 5);
	r.value = 0x44332211;
	gda_dev_post_inline(q.qp, 5, &r);
	assert_ds(block, 0, 0x00, 0x00, 0x05, 0x08, 0x00, 0x02, 0xed, 0x03, 0,
		  0, 0, 0x08);
	assert_memory_equal(block + 16, raddr_bytes, 16);
	assert_ds(block, 2, 0x80, 0x00, 0x00, 0x04, 0x11, 0x22, 0x33, 0x44);
}

static void test_a_nop_is_one_unit(void **state)
{
	(void)state;
	t_queue_init(&q, 8, 0);
	gda_dev_post_nop(q.qp, 3);
	assert_ds(t_queue_block(&q, 3), 0, 0x00, 0x00, 0x03, 0x00, 0x00, 0x02,
		  0xed, 0x01, 0, 0, 0, 0x08);
	assert_int_equal(t_queue_block(&q, 3)[16], 0xee);
}

static void test_atomics_of_one_block(void **state)
{
	struct gda_dev_request r = request(HW_OP_ATOMIC_FA, 8);
	uint8_t *block;

	(void)state;
	t_queue_init(&q, 8, 0);
	block = t_queue_block(&q, 0);
	r.args.swap_add = 7;
	r.args.compare = 5;
	assert_int_equal(gda_dev_atomic_blocks(&r), 1);
	gda_dev_post_atomic(q.qp, 0, &r);
	assert_ds(block, 0, 0x00, 0x00, 0x00, 0x12, 0x00, 0x02, 0xed, 0x04, 0,
		  0, 0, 0x08);
	assert_memory_equal(block + 16, raddr_bytes, 16);
	assert_ds(block, 2, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 5);
	assert_ds(block, 3, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x18, 0x40,
		  0x00, 0x00, 0x7f, 0x00, 0xab, 0x00, 0x00, 0x00);

	r = request(HW_OP_MASKED_FA, 4);
	r.opmod = HW_OPMOD_ATOMIC_4B;
	r.args.swap_add = 1;
	r.args.compare = 0x80000000;
	gda_dev_post_atomic(q.qp, 0, &r);
	assert_ds(block, 0, 0x08, 0x00, 0x00, 0x15, 0x00, 0x02, 0xed, 0x04, 0,
		  0, 0, 0x08);
	assert_ds(block, 2, 0, 0, 0, 1, 0x80, 0, 0, 0);

	r.len = 8;
	r.opmod = HW_OPMOD_ATOMIC_8B;
	gda_dev_post_atomic(q.qp, 0, &r);
	assert_ds(block, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0x80, 0, 0, 0);

	r = request(HW_OP_MASKED_CS, 4);
	r.opmod = HW_OPMOD_ATOMIC_4B;
	r.args = (struct hw_atomic_args){1, 2, 3, 4};
	assert_int_equal(gda_dev_atomic_blocks(&r), 1);
	gda_dev_post_atomic(q.qp, 0, &r);
	assert_ds(block, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4);
}

/* Its second block is the ring's first, and the NOP behind it completes. */
static void test_the_long_atomic_wraps_and_ends_in_a_nop(void **state)
{
	struct gda_dev_request r = request(HW_OP_MASKED_CS, 8);
	uint8_t *last, *first;

	(void)state;
	t_queue_init(&q, 4, 0);
	last = t_queue_block(&q, 3);
	first = t_queue_block(&q, 4);
	assert_ptr_equal(first, q.sq);
	r.opmod = HW_OPMOD_ATOMIC_8B;
	r.args = (struct hw_atomic_args){1, 2, 3, 4};
	assert_int_equal(gda_dev_atomic_blocks(&r), 3);
	gda_dev_post_atomic(q.qp, 3, &r);
	assert_ds(last, 0, 0x09, 0x00, 0x03, 0x14, 0x00, 0x02, 0xed, 0x05, 0, 0,
		  0, 0x00);
	assert_memory_equal(last + 16, raddr_bytes, 16);
	assert_ds(last, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2);
	assert_ds(last, 3, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4);
	assert_ds(first, 0, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x18, 0x40,
		  0x00, 0x00, 0x7f, 0x00, 0xab, 0x00, 0x00, 0x00);
	assert_ds(t_queue_block(&q, 5), 0, 0x00, 0x00, 0x05, 0x00, 0x00, 0x02,
		  0xed, 0x01, 0, 0, 0, 0x08);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_write_is_three_units_in_one_block),
		cmocka_unit_test(test_an_unsignalled_read_asks_for_errors_only),
		cmocka_unit_test(test_an_inline_write_carries_its_bytes),
		cmocka_unit_test(test_a_nop_is_one_unit),
		cmocka_unit_test(test_atomics_of_one_block),
		cmocka_unit_test(test_the_long_atomic_wraps_and_ends_in_a_nop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
