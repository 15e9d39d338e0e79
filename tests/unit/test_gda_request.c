/* SPDX-License-Identifier: MIT */
/*
 * stack/dev/request.h and gda_dev.h: which WQEs each operation becomes, on a
 * queue where nothing completes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/t_queue.h"

static struct t_queue q;

static struct hw_wqe_ctrl_info ctrl(uint64_t index)
{
	struct hw_wqe_ctrl raw;

	memcpy(&raw, t_queue_block(&q, index), sizeof(raw));
	return hw_wqe_ctrl_decode(&raw);
}

static struct hw_wqe_raddr raddr(uint64_t index)
{
	struct hw_wqe_raddr raw;

	memcpy(&raw, t_queue_block(&q, index) + 16, sizeof(raw));
	return raw;
}

static struct hw_wqe_data data(uint64_t index)
{
	struct hw_wqe_data raw;

	memcpy(&raw, t_queue_block(&q, index) + 32, sizeof(raw));
	return raw;
}

/* 64-bit operand number i of an 8-byte atomic */
static uint64_t operand(uint64_t index, int i)
{
	be64 raw;

	memcpy(&raw, t_queue_block(&q, index) + 32 + i * 8, sizeof(raw));
	return from_be64(raw);
}

/* No memory is touched but the queue: the range may be as long as we like. */
static void test_long_puts_are_split_at_1_gib(void **state)
{
	const uint64_t gib = 1ull << 30;

	(void)state;
	t_queue_init(&q, 8, 0);
	q.dev.heap_bytes = 4 * gib;
	assert_int_equal(
		gda_dev_put_nbi(&q.dev, q.heap, q.heap + 64, 3 * gib + 5, 1),
		0);
	assert_int_equal(q.qp->posted, 4);
	assert_int_equal(from_be32(data(0).byte_count), gib);
	assert_int_equal(from_be32(data(2).byte_count), gib);
	assert_int_equal(from_be32(data(3).byte_count), 5);
	assert_int_equal(from_be64(raddr(3).raddr), T_QUEUE_REMOTE + 3 * gib);
	assert_int_equal(from_be64(data(3).addr),
			 (uintptr_t)q.heap + 64 + 3 * gib);
	assert_int_equal(from_be32(data(3).lkey), T_QUEUE_LKEY);
	assert_int_equal(from_be32(raddr(3).rkey), T_QUEUE_RKEY);
}

static void test_long_put_signals_signal_after_the_last_piece(void **state)
{
	const uint64_t gib = 1ull << 30;
	struct gda_dev_signal signal = {(uint64_t *)q.heap, 9, 1,
					GDA_DEV_SIGNAL_ADD};

	(void)state;
	t_queue_init(&q, 8, 0);
	q.dev.heap_bytes = 4 * gib;
	assert_int_equal(gda_dev_put_signal_nbi(&q.dev, q.heap, q.heap, gib + 3,
						&signal),
			 0);
	assert_int_equal(from_be32(data(0).byte_count), gib);
	assert_int_equal(from_be32(data(1).byte_count), 3);
	assert_int_equal(ctrl(1).fm_ce_se, 0);
	assert_int_equal(ctrl(2).opcode, HW_OP_MASKED_FA);
	assert_int_equal(operand(2, 0), 9);
	assert_int_equal(q.qp->posted, 3);
	/* Exactly two pieces: no piece of no bytes, which would be 2^31. */
	assert_int_equal(gda_dev_put_signal_nbi(&q.dev, q.heap, q.heap, gib * 2,
						&signal),
			 0);
	assert_int_equal(q.qp->posted, 6);
	assert_int_equal(ctrl(5).opcode, HW_OP_MASKED_FA);
}

static void test_the_longest_group_fits_the_smallest_queue(void **state)
{
	struct gda_dev_signal signal = {(uint64_t *)q.heap, 9, 1,
					GDA_DEV_SIGNAL_SET};

	(void)state;
	t_queue_init(&q, GDA_DEV_DEPTH_MIN, 0);
	assert_int_equal(
		gda_dev_put_signal_nbi(&q.dev, q.heap, q.heap, 8, &signal), 0);
	assert_int_equal(q.qp->posted, 4);
	assert_int_equal(ctrl(0).opcode, HW_OP_RDMA_WRITE);
	assert_int_equal(ctrl(1).opcode, HW_OP_MASKED_CS);
	assert_int_equal(ctrl(1).opmod, HW_OPMOD_ATOMIC_8B);
	assert_int_equal(ctrl(3).opcode, HW_OP_NOP);
	assert_int_equal(ctrl(0).fm_ce_se | ctrl(1).fm_ce_se, 0);
	assert_int_equal(ctrl(3).fm_ce_se, 8);
}

struct mapping {
	enum gda_dev_atomic kind;
	uint32_t len;
	bool fetching;
	uint8_t opcode, opmod;
	uint64_t operands[4]; /* swap_add, compare, swap_mask, compare_mask */
};

/* As NVSHMEM's ibgda_device.cuh maps its AMOs. */
static void test_atomics_become_the_wqes_of_nvshmem(void **state)
{
	const uint64_t ones = ~0ull, v = 0x1234;
	const struct mapping mappings[] = {
		{GDA_DEV_ADD, 4, false, HW_OP_MASKED_FA, 8, {v, 0, ones, 0}},
		{GDA_DEV_ADD, 8, false, HW_OP_MASKED_FA, 9, {v, 0, ones, 0}},
		{GDA_DEV_ADD, 4, true, HW_OP_MASKED_FA, 8, {v, 0, ones, 0}},
		{GDA_DEV_ADD, 8, true, HW_OP_ATOMIC_FA, 0, {v, 0, ones, 0}},
		{GDA_DEV_FETCH, 8, true, HW_OP_MASKED_FA, 9, {0, 0, ones, 0}},
		{GDA_DEV_XOR, 8, true, HW_OP_MASKED_FA, 9, {v, ones, ones, 0}},
		{GDA_DEV_XOR, 4, false, HW_OP_MASKED_FA, 8, {v, ones, ones, 0}},
		{GDA_DEV_SWAP, 8, true, HW_OP_MASKED_CS, 9, {v, 7, ones, 0}},
		{GDA_DEV_SWAP, 4, false, HW_OP_MASKED_CS, 8, {v, 7, ones, 0}},
		{GDA_DEV_AND, 8, false, HW_OP_MASKED_CS, 9, {v, 7, ~v, 0}},
		{GDA_DEV_OR, 8, false, HW_OP_MASKED_CS, 9, {v, 7, v, 0}},
		{GDA_DEV_COMPARE_SWAP,
		 4,
		 true,
		 HW_OP_MASKED_CS,
		 8,
		 {v, 7, ones, ones}},
		{GDA_DEV_COMPARE_SWAP,
		 8,
		 true,
		 HW_OP_ATOMIC_CS,
		 0,
		 {v, 7, ones, ones}},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(mappings) / sizeof(mappings[0]); i++) {
		const struct mapping *m = &mappings[i];
		struct gda_dev_request r;

		memset(&r, 0, sizeof(r));
		r.len = m->len;
		gda_dev_set_atomic(&r, m->kind, v, 7, m->fetching);
		assert_int_equal(r.opcode, m->opcode);
		assert_int_equal(r.opmod, m->opmod);
		assert_int_equal(r.args.swap_add, m->operands[0]);
		assert_int_equal(r.args.compare, m->operands[1]);
		assert_int_equal(r.args.swap_mask, m->operands[2]);
		assert_int_equal(r.args.compare_mask, m->operands[3]);
	}
}

static void test_results_are_turned_to_host_order(void **state)
{
	(void)state;
	t_queue_init(&q, 4, 0);
	assert_int_equal(gda_dev_atomic_result(&q.dev, 4, 0x44332211),
			 0x11223344);
	assert_int_equal(gda_dev_atomic_result(&q.dev, 8, 0x11223344),
			 0x11223344);
	q.dev.swap_results_8 = 1;
	assert_true(gda_dev_atomic_result(&q.dev, 8, 0x11223344) ==
		    0x4433221100000000ull);
}

/* The NIC's answer to a fetch: a value in the slot, then the CQE. */
static void answer(struct t_queue *queue)
{
	uint64_t index = queue->qp->posted - 1;

	queue->slots[0].value = 0xdddddddd00000041ull;
	t_queue_complete(queue, index, HW_CQE_REQ, 0);
}

static void test_a_fetch_uses_a_slot_and_gives_it_back(void **state)
{
	uint8_t byte = 0;

	(void)state;
	t_queue_init(&q, 4, 0);
	q.on_pause = answer;
	assert_int_equal(gda_dev_g_u8(&q.dev, q.heap + 3, &byte, 1), 0);
	assert_int_equal(byte, 0x41);
	assert_int_equal(ctrl(0).opcode, HW_OP_RDMA_READ);
	assert_int_equal(from_be32(data(0).byte_count), 1);
	assert_int_equal(from_be64(data(0).addr), (uintptr_t)&q.slots[0]);
	assert_int_equal(from_be64(raddr(0).raddr), T_QUEUE_REMOTE + 3);
	assert_int_equal(q.slots[0].taken, 0);
}

static void test_a_local_buffer_is_found_by_its_range(void **state)
{
	static uint8_t buffer[100];
	struct gda_dev_request r;

	(void)state;
	t_queue_init(&q, 4, 0);
	q.buffers[1].addr = (uintptr_t)buffer;
	q.buffers[1].len = 100;
	q.buffers[1].lkey = 0x777;
	assert_int_equal(gda_dev_set_local(&q.dev, buffer + 10, 90, &r), 0);
	assert_int_equal(r.lkey, 0x777);
	assert_int_equal(r.laddr, (uintptr_t)buffer + 10);
	assert_int_equal(gda_dev_set_local(&q.dev, buffer + 10, 91, &r),
			 GDA_DEV_EFAULT);
	assert_int_equal(gda_dev_set_local(&q.dev, buffer - 1, 2, &r),
			 GDA_DEV_EFAULT);
	assert_int_equal(gda_dev_set_local(&q.dev, buffer + 10, ~0ull, &r),
			 GDA_DEV_EFAULT);
	assert_int_equal(gda_dev_set_local(&q.dev, q.heap, 1, &r), 0);
	assert_int_equal(r.lkey, T_QUEUE_LKEY);
}

static void test_a_lane_that_does_not_exist_is_lane_0(void **state)
{
	(void)state;
	t_queue_init(&q, 4, 0);
	assert_int_equal(gda_dev_lane(&q.dev, 1).lane, 0);
	assert_int_equal(gda_dev_lane(&q.dev, -1).lane, 0);
	q.dev.lanes = 3;
	assert_int_equal(gda_dev_lane(&q.dev, 2).lane, 2);
	assert_ptr_equal(gda_dev_qp_of(&q.dev, 1, 2), q.qps + 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_long_puts_are_split_at_1_gib),
		cmocka_unit_test(
			test_long_put_signals_signal_after_the_last_piece),
		cmocka_unit_test(
			test_the_longest_group_fits_the_smallest_queue),
		cmocka_unit_test(test_atomics_become_the_wqes_of_nvshmem),
		cmocka_unit_test(test_results_are_turned_to_host_order),
		cmocka_unit_test(test_a_fetch_uses_a_slot_and_gives_it_back),
		cmocka_unit_test(test_a_local_buffer_is_found_by_its_range),
		cmocka_unit_test(test_a_lane_that_does_not_exist_is_lane_0),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
