/* SPDX-License-Identifier: MIT */
/*
 * Atomics of 4 and 8 bytes, plain and masked: what they leave, what they
 * return and in which byte order, where their segments lie, what is refused.
 */
#include "support/t_pair.h"

static void run(struct t_pair *p)
{
	t_ring(&p->qp[0]);
	t_pair_run(p);
}

/* One atomic; returns what stands at the target and at the result. */
struct outcome {
	uint64_t target, result;
};

static struct outcome execute(struct t_pair *p, const struct t_atomic *atomic,
			      uint64_t start)
{
	uint64_t *target = (uint64_t *)p->memory[1];
	uint64_t *result = (uint64_t *)p->memory[0];
	struct outcome outcome;
	uint16_t index;

	*target = start;
	*result = 0x7777777777777777;
	index = t_pair_atomic(p, atomic, target, result);
	run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, index);
	outcome.target = *target;
	outcome.result = *result;
	return outcome;
}

/* The upper half of the word stays; the result has 4 bytes, big-endian. */
static void expect_4(struct t_pair *p, const struct t_atomic *atomic,
		     uint32_t start, uint32_t end)
{
	struct outcome o = execute(p, atomic, 0xabcdef0100000000 | start);

	assert_int_equal(o.target, 0xabcdef0100000000 | end);
	assert_int_equal((uint32_t)o.result, hw_swap32(start));
	assert_int_equal(o.result >> 32, 0x77777777);
}

static void expect_8(struct t_pair *p, const struct t_atomic *atomic,
		     uint64_t start, uint64_t end)
{
	struct outcome o = execute(p, atomic, start);

	assert_int_equal(o.target, end);
	assert_int_equal(o.result, start);
}

static void test_plain_atomics_have_8_bytes(void **state)
{
	const struct t_atomic fa = {
		HW_OP_ATOMIC_FA, 0, {.swap_add = 5, .compare = ~0ull}};
	const struct t_atomic cs = {
		HW_OP_ATOMIC_CS,
		0,
		{.swap_add = 0x1122334455667788, .compare = 9}};

	expect_8(*state, &fa, 0xffffffff, 0x100000004);
	expect_8(*state, &fa, ~0ull, 4);
	expect_8(*state, &cs, 9, 0x1122334455667788);
	expect_8(*state, &cs, 10, 10);
}

static void test_masked_fetch_and_add(void **state)
{
	struct t_atomic fa4 = {
		HW_OP_MASKED_FA, HW_OPMOD_ATOMIC_4B, {.swap_add = 1}};
	struct t_atomic fa8 = {
		HW_OP_MASKED_FA, HW_OPMOD_ATOMIC_8B, {.swap_add = 1}};

	expect_4(*state, &fa4, 41, 42);
	expect_4(*state, &fa4, 0xffffffff, 0);
	expect_8(*state, &fa8, 0xffffffff, 0x100000000);
	expect_8(*state, &fa8, ~0ull, 0);
	/* Fields of 16 bits: no carry from one to the next. */
	fa4.args.compare = 0x80008000;
	fa4.args.swap_add = 0x00010001;
	expect_4(*state, &fa4, 0x7fffffff, 0x80000000);
	fa8.args.compare = 0x8000800080008000;
	fa8.args.swap_add = 0x0001000100010001;
	expect_8(*state, &fa8, 0x0000ffff7fffffff, 0x0001000080000000);
	/* Every bit a field: exclusive or, as NVSHMEM has it. */
	fa4.args.compare = fa8.args.compare = ~0ull;
	fa4.args.swap_add = 0x0ff00ff0;
	expect_4(*state, &fa4, 0xffff0000, 0xf00f0ff0);
	fa8.args.swap_add = 0xff00ff00ff00ff00;
	expect_8(*state, &fa8, 0xffffffff00000000, 0x00ff00ffff00ff00);
}

static void test_masked_compare_and_swap(void **state)
{
	struct t_atomic cs = {HW_OP_MASKED_CS,
			      HW_OPMOD_ATOMIC_4B,
			      {.swap_add = 0x11223344,
			       .compare = 0x000000aa,
			       .swap_mask = 0x00ffff00,
			       .compare_mask = 0x000000ff}};

	expect_4(*state, &cs, 0x990000aa, 0x992233aa);
	expect_4(*state, &cs, 0x990000ab, 0x990000ab);
	/* Set: no bit is compared, all are written. */
	cs.args.swap_mask = ~0ull;
	cs.args.compare_mask = 0;
	expect_4(*state, &cs, 7, 0x11223344);
	cs.opmod = HW_OPMOD_ATOMIC_8B;
	cs.args.swap_add = 0x1122334455667788;
	expect_8(*state, &cs, 7, 0x1122334455667788);
	/* And: swap = operand, mask = its complement. */
	cs.args.swap_add = 0x00000000ffffffff;
	cs.args.swap_mask = 0xffffffff00000000;
	expect_8(*state, &cs, 0xdeadbeefcafebabe, 0xcafebabe);
	cs.args.compare = 0xaa00000000000000;
	cs.args.compare_mask = 0xff00000000000000;
	expect_8(*state, &cs, 0xaa11111111111111, 0x11111111);
	expect_8(*state, &cs, 0xab11111111111111, 0xab11111111111111);
}

/* Its data segment lies in the next block, which may be the ring's first. */
static void test_the_long_atomic_crosses_blocks_and_the_rings_end(void **state)
{
	const struct t_atomic cs = {HW_OP_MASKED_CS,
				    HW_OPMOD_ATOMIC_8B,
				    {.swap_add = 3, .swap_mask = ~0ull}};
	struct t_pair_options options = t_pair_defaults;
	struct t_pair *p;
	int i;

	(void)state;
	options.config.start_counter = 63;
	p = t_pair_open(&options);
	for (i = 0; i < 70; i++)
		expect_8(p, &cs, (uint64_t)i, 3);
	t_pair_close(p);
}

/* The WQE's first block is what the CQE names. */
static void test_a_cqe_names_the_first_block(void **state)
{
	const struct t_atomic cs = {HW_OP_MASKED_CS,
				    HW_OPMOD_ATOMIC_8B,
				    {.swap_add = 3, .swap_mask = ~0ull}};
	struct t_pair *p = *state;
	uint16_t first = t_pair_atomic(p, &cs, p->memory[1], p->memory[0]);
	uint16_t second = t_pair_atomic(p, &cs, p->memory[1], p->memory[0]);

	assert_int_equal(second, first + 2);
	run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, first);
	t_expect(&p->cq[0], HW_CQE_REQ, second);
}

static void expect_local_failure(struct t_pair *p, uint16_t index,
				 uint8_t syndrome)
{
	run(p);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, index, syndrome);
	t_pair_reconnect(p);
}

static void test_a_masked_atomic_needs_an_operand_size(void **state)
{
	static const uint8_t opmods[] = {0, 1, 7, 10, 0xff};
	struct t_atomic fa = {HW_OP_MASKED_FA, 0, {.swap_add = 1}};
	struct t_pair *p = *state;
	unsigned i;

	for (i = 0; i < sizeof(opmods); i++) {
		fa.opmod = opmods[i];
		t_pair_atomic(p, &fa, p->memory[1], p->memory[0]);
		expect_local_failure(p, 0, HW_SYND_LOCAL_QP_OP);
	}
	assert_true(t_logged(&p->node[0], "ctrl.opmod is 0xff"));
}

static void begin_fa(struct t_pair *p, void *target)
{
	struct hw_wqe_atomic seg = hw_wqe_atomic_encode(1, 0);

	t_begin(&p->qp[0], HW_OP_ATOMIC_FA, 0, T_SIGNALED);
	t_raddr(&p->qp[0], target, p->key[1]);
	t_segment(&p->qp[0], &seg, sizeof(seg));
}

static void test_the_result_needs_one_segment_that_fits(void **state)
{
	struct t_pair *p = *state;

	begin_fa(p, p->memory[1]);
	expect_local_failure(p, t_end(&p->qp[0]), HW_SYND_LOCAL_LENGTH);
	begin_fa(p, p->memory[1]);
	t_data(&p->qp[0], p->memory[0], 7, p->key[0]);
	expect_local_failure(p, t_end(&p->qp[0]), HW_SYND_LOCAL_LENGTH);
	begin_fa(p, p->memory[1]);
	t_data(&p->qp[0], p->memory[0], 4, p->key[0]);
	t_data(&p->qp[0], p->memory[0] + 4, 4, p->key[0]);
	expect_local_failure(p, t_end(&p->qp[0]), HW_SYND_LOCAL_LENGTH);
	assert_int_equal(*(uint64_t *)p->memory[1], 0);
}

static void test_a_result_needs_local_write(void **state)
{
	struct t_pair *p = *state;
	uint32_t key = t_mr_access(&p->node[0], p->memory[0], 64, 0);

	begin_fa(p, p->memory[1]);
	t_data(&p->qp[0], p->memory[0], 8, key);
	expect_local_failure(p, t_end(&p->qp[0]), HW_SYND_LOCAL_PROT);
	assert_true(t_logged(&p->node[0], "does not allow local write"));
}

static void expect_refusal(struct t_pair *p, const struct t_atomic *atomic,
			   void *target, uint8_t syndrome)
{
	uint16_t index = t_pair_atomic(p, atomic, target, p->memory[0]);

	run(p);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, index, syndrome);
	assert_int_equal(t_state(&p->qp[1]), HW_QP_ERR);
	t_pair_reconnect(p);
}

static void test_a_misaligned_target_is_an_invalid_request(void **state)
{
	const struct t_atomic fa8 = {HW_OP_ATOMIC_FA, 0, {.swap_add = 1}};
	const struct t_atomic fa4 = {
		HW_OP_MASKED_FA, HW_OPMOD_ATOMIC_4B, {.swap_add = 1}};
	struct t_pair *p = *state;
	unsigned i;

	for (i = 1; i < 8; i++)
		expect_refusal(p, &fa8, p->memory[1] + i,
			       HW_SYND_REMOTE_INVAL_REQ);
	for (i = 1; i < 4; i++)
		expect_refusal(p, &fa4, p->memory[1] + i,
			       HW_SYND_REMOTE_INVAL_REQ);
	assert_int_equal(*(uint64_t *)p->memory[1], 0);
	/* 4 bytes at an address that 8 could not have */
	t_pair_atomic(p, &fa4, p->memory[1] + 4, p->memory[0]);
	run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, 0);
	assert_int_equal(p->memory[1][4], 1);
}

/* The address is aligned, the memory that the key maps it to is not. */
static void test_a_misaligned_mapping_is_an_invalid_request(void **state)
{
	struct t_pair *p = *state;
	struct nic_mkey_attr attr = {
		.mem = {.addr = p->memory[1] + 1, .len = 64},
		.iova = 0x1000,
		.pd = p->node[1].pd,
		.access = NIC_ACCESS_LOCAL_WRITE | NIC_ACCESS_REMOTE_ATOMIC};
	const struct t_atomic fa = {HW_OP_ATOMIC_FA, 0, {.swap_add = 1}};
	uint32_t key;

	assert_int_equal(nic_mkey_register(p->node[1].nic, &attr, &key), 0);
	p->key[1] = key;
	expect_refusal(p, &fa, (void *)0x1000, HW_SYND_REMOTE_INVAL_REQ);
}

static void test_an_atomic_needs_the_right_and_the_range(void **state)
{
	const struct t_atomic fa = {HW_OP_ATOMIC_FA, 0, {.swap_add = 1}};
	struct t_pair *p = *state;
	uint32_t all = p->key[1];

	p->key[1] =
		t_mr_access(&p->node[1], p->memory[1], 64,
			    NIC_ACCESS_LOCAL_WRITE | NIC_ACCESS_REMOTE_WRITE |
				    NIC_ACCESS_REMOTE_READ);
	expect_refusal(p, &fa, p->memory[1], HW_SYND_REMOTE_ACCESS);
	assert_true(t_logged(&p->node[1], "does not allow atomics"));
	p->key[1] = all;
	expect_refusal(p, &fa, p->memory[1] + T_PAIR_BYTES,
		       HW_SYND_REMOTE_ACCESS);
	assert_int_equal(*(uint64_t *)p->memory[1], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_PAIR_TEST(test_plain_atomics_have_8_bytes),
		T_PAIR_TEST(test_masked_fetch_and_add),
		T_PAIR_TEST(test_masked_compare_and_swap),
		cmocka_unit_test(
			test_the_long_atomic_crosses_blocks_and_the_rings_end),
		T_PAIR_TEST(test_a_cqe_names_the_first_block),
		T_PAIR_TEST(test_a_masked_atomic_needs_an_operand_size),
		T_PAIR_TEST(test_the_result_needs_one_segment_that_fits),
		T_PAIR_TEST(test_a_result_needs_local_write),
		T_PAIR_TEST(test_a_misaligned_target_is_an_invalid_request),
		T_PAIR_TEST(test_a_misaligned_mapping_is_an_invalid_request),
		T_PAIR_TEST(test_an_atomic_needs_the_right_and_the_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
