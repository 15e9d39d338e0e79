/* SPDX-License-Identifier: MIT */
/*
 * Requester: every opcode reaches the peer, in order, over the loop wire.
 * Method: two NICs stepped in one thread; memory is compared byte by byte.
 */
#include "support/t_pair.h"

enum { BYTES = T_PAIR_BYTES };

static void test_write_reaches_the_peer(void **state)
{
	static const uint32_t lengths[] = {1,	 3,    8,    64,    1023,
					   1024, 1025, 4096, 65537, BYTES};
	struct t_pair *p = *state;
	uint16_t index;
	unsigned i;

	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		t_fill(p->memory[0], BYTES, i);
		memset(p->memory[1], 0, BYTES);
		index = t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, p->memory[0],
			       p->key[0], p->memory[1], p->key[1], lengths[i]);
		t_ring(&p->qp[0]);
		t_pair_run(p);
		t_expect(&p->cq[0], HW_CQE_REQ, index);
		assert_memory_equal(p->memory[0], p->memory[1], lengths[i]);
		if (lengths[i] < BYTES)
			assert_int_equal(p->memory[1][lengths[i]], 0);
	}
}

static void test_read_brings_the_peers_bytes(void **state)
{
	static const uint32_t lengths[] = {1, 8, 1024, 1025, 300001, BYTES};
	struct t_pair *p = *state;
	uint16_t index;
	unsigned i;

	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		t_fill(p->memory[1], BYTES, i);
		memset(p->memory[0], 0, BYTES);
		index = t_rdma(&p->qp[0], HW_OP_RDMA_READ, p->memory[0],
			       p->key[0], p->memory[1], p->key[1], lengths[i]);
		t_ring(&p->qp[0]);
		t_pair_run(p);
		t_expect(&p->cq[0], HW_CQE_REQ, index);
		assert_memory_equal(p->memory[0], p->memory[1], lengths[i]);
	}
}

static void test_inline_write_wraps_at_the_rings_end(void **state)
{
	struct t_pair *p = *state;
	uint8_t bytes[900];
	uint16_t index;
	unsigned i;

	t_fill(bytes, sizeof(bytes), 5);
	/* 15 blocks each: the fifth wraps, after which it wraps again. */
	for (i = 0; i < 20; i++) {
		memset(p->memory[1], 0, 1024);
		t_begin(&p->qp[0], HW_OP_RDMA_WRITE, 0, T_SIGNALED);
		t_raddr(&p->qp[0], p->memory[1], p->key[1]);
		t_inline(&p->qp[0], bytes, sizeof(bytes));
		index = t_end(&p->qp[0]);
		t_ring(&p->qp[0]);
		t_pair_run(p);
		t_expect(&p->cq[0], HW_CQE_REQ, index);
		assert_memory_equal(p->memory[1], bytes, sizeof(bytes));
	}
}

static void test_send_lands_in_the_receive_wqe(void **state)
{
	struct t_pair *p = *state;
	struct hw_cqe_info info;

	t_fill(p->memory[0], 5000, 1);
	t_post_recv(&p->qp[1], p->memory[1], 8192, p->key[1]);
	t_begin(&p->qp[0], HW_OP_SEND_IMM, 0, T_SIGNALED);
	t_imm(&p->qp[0], 0x12345678);
	t_data(&p->qp[0], p->memory[0], 5000, p->key[0]);
	t_end(&p->qp[0]);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, 0);
	assert_true(t_poll(&p->cq[1], &info));
	assert_int_equal(info.opcode, HW_CQE_RESP_SEND_IMM);
	assert_int_equal(info.imm, 0x12345678);
	assert_int_equal(info.byte_cnt, 5000);
	assert_memory_equal(p->memory[0], p->memory[1], 5000);
}

static void test_atomics_return_the_original(void **state)
{
	struct hw_wqe_atomic fa = hw_wqe_atomic_encode(5, 0);
	struct hw_wqe_atomic cs = hw_wqe_atomic_encode(77, 15);
	struct t_pair *p = *state;
	uint64_t *target = (uint64_t *)p->memory[1];
	uint64_t *result = (uint64_t *)p->memory[0];

	*target = 10;
	t_begin(&p->qp[0], HW_OP_ATOMIC_FA, 0, T_SIGNALED);
	t_raddr(&p->qp[0], target, p->key[1]);
	t_segment(&p->qp[0], &fa, sizeof(fa));
	t_data(&p->qp[0], &result[0], 8, p->key[0]);
	t_end(&p->qp[0]);
	t_begin(&p->qp[0], HW_OP_ATOMIC_CS, 0, T_SIGNALED);
	t_raddr(&p->qp[0], target, p->key[1]);
	t_segment(&p->qp[0], &cs, sizeof(cs));
	t_data(&p->qp[0], &result[1], 8, p->key[0]);
	t_end(&p->qp[0]);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, 0);
	t_expect(&p->cq[0], HW_CQE_REQ, 1);
	assert_int_equal(result[0], 10);
	assert_int_equal(result[1], 15);
	assert_int_equal(*target, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_PAIR_TEST(test_write_reaches_the_peer),
		T_PAIR_TEST(test_read_brings_the_peers_bytes),
		T_PAIR_TEST(test_inline_write_wraps_at_the_rings_end),
		T_PAIR_TEST(test_send_lands_in_the_receive_wqe),
		T_PAIR_TEST(test_atomics_return_the_original),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
