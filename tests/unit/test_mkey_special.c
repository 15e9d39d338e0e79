/* SPDX-License-Identifier: MIT */
/*
 * Keys that are always there: the null key and the reserved lkey.
 */
#include "support/t_klm.h"
#include "support/t_pair.h"

enum { START = 0x5000 }; /* of the keys, in WQEs */

static uint8_t run(struct t_pair *p)
{
	struct hw_cqe_info info;

	t_ring(&p->qp[0]);
	t_pair_run(p);
	assert_true(t_poll(&p->cq[0], &info));
	if (info.opcode == HW_CQE_REQ)
		return 0;
	t_pair_reconnect(p);
	return info.syndrome;
}

#define AT(offset) ((void *)(uintptr_t)(START + (offset)))

static uint8_t fetch_add(struct t_pair *p, uint64_t target, uint32_t rkey,
			 void *result, uint32_t lkey)
{
	struct hw_wqe_atomic seg = hw_wqe_atomic_encode(1, 0);

	t_begin(&p->qp[0], HW_OP_ATOMIC_FA, 0, T_SIGNALED);
	t_raddr(&p->qp[0], (void *)(uintptr_t)target, rkey);
	t_segment(&p->qp[0], &seg, sizeof(seg));
	t_data(&p->qp[0], result, 8, lkey);
	t_end(&p->qp[0]);
	return run(p);
}

static void test_the_null_key_is_zeros_and_swallows(void **state)
{
	struct t_pair *p = *state;
	uint8_t out[T_OUT];
	uint32_t null, key;
	struct t_klm_options options = {.start = START, .len = 300000};
	struct hw_klm list[3];
	size_t i;

	assert_int_equal(
		t_simple(&p->node[1], HW_CMD_QUERY_SPECIAL_CONTEXTS, 0, out),
		0);
	null = hw_get(out, HW_SPECIAL_NULL_MKEY);
	list[0] = hw_klm_encode(50000, p->key[1], (uintptr_t)p->memory[1]);
	list[1] = hw_klm_encode(200000, null, 0x1234);
	list[2] = hw_klm_encode(50000, p->key[1],
				(uintptr_t)p->memory[1] + 50000);
	key = t_klm_key(&p->node[1], &options, list, 3);
	t_fill(p->memory[0], 300000, 8);
	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, p->memory[0], p->key[0], AT(0), key,
	       300000);
	assert_int_equal(run(p), 0);
	assert_memory_equal(p->memory[1], p->memory[0], 50000);
	assert_memory_equal(p->memory[1] + 50000, p->memory[0] + 250000, 50000);
	t_rdma(&p->qp[0], HW_OP_RDMA_READ, p->memory[0], p->key[0], AT(0), key,
	       300000);
	assert_int_equal(run(p), 0);
	assert_memory_equal(p->memory[1], p->memory[0], 50000);
	for (i = 50000; i < 250000; i++)
		assert_int_equal(p->memory[0][i], 0);
	/* An atomic sees zero, whatever was written before. */
	memset(p->memory[0], 0xff, 8);
	assert_int_equal(
		fetch_add(p, START + 50000, key, p->memory[0], p->key[0]), 0);
	assert_int_equal(*(uint64_t *)p->memory[0], 0);
}

/* As ibv_alloc_null_mr() gives it: any address, local use only. */
static void test_the_null_key_is_for_local_use(void **state)
{
	struct t_pair *p = *state;
	uint8_t out[T_OUT];
	uint32_t null;

	t_simple(&p->node[0], HW_CMD_QUERY_SPECIAL_CONTEXTS, 0, out);
	null = hw_get(out, HW_SPECIAL_DUMP_FILL_MKEY);
	memset(p->memory[1], 0xff, 100000);
	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, AT(0), null, p->memory[1],
	       p->key[1], 100000);
	assert_int_equal(run(p), 0);
	assert_int_equal(p->memory[1][0], 0);
	assert_int_equal(p->memory[1][99999], 0);
	t_rdma(&p->qp[0], HW_OP_RDMA_READ, AT(0), null, p->memory[1], p->key[1],
	       100000);
	assert_int_equal(run(p), 0);
	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, p->memory[0], p->key[0], AT(0),
	       null, 8);
	assert_int_equal(run(p), HW_SYND_REMOTE_ACCESS);
	assert_true(t_logged(&p->node[1], "no such key"));
}

static void test_the_reserved_key_needs_a_right_of_the_qp(void **state)
{
	struct t_pair *p = *state;
	uint8_t out[T_OUT];
	uint32_t key;

	t_simple(&p->node[0], HW_CMD_QUERY_SPECIAL_CONTEXTS, 0, out);
	key = hw_get(out, HW_SPECIAL_RESD_LKEY);
	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, p->memory[0], key, p->memory[1],
	       p->key[1], 8);
	assert_int_equal(run(p), HW_SYND_LOCAL_PROT);
	assert_true(t_logged(&p->node[0], "needs qpc.rlky"));
	assert_int_equal(t_qp_destroy(&p->qp[0]), 0);
	t_qp_create(&p->node[0], &p->qp[0], &p->cq[0], &p->cq[0],
		    &(struct t_qp_options){.log_sq_size = 6,
					   .log_rq_size = 2,
					   .reserved_lkey = true});
	t_modify(&p->qp[1], HW_CMD_2RST_QP, NULL, NULL);
	t_qp_rewind(&p->qp[1]);
	t_connect(&p->qp[0], &p->qp[1], NULL);
	t_fill(p->memory[0], 64, 9);
	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, p->memory[0], key, p->memory[1],
	       p->key[1], 64);
	assert_int_equal(run(p), 0);
	assert_memory_equal(p->memory[0], p->memory[1], 64);
	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, p->memory[0], p->key[0],
	       p->memory[1], key, 64);
	assert_int_equal(run(p), HW_SYND_REMOTE_ACCESS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_PAIR_TEST(test_the_null_key_is_zeros_and_swallows),
		T_PAIR_TEST(test_the_null_key_is_for_local_use),
		T_PAIR_TEST(test_the_reserved_key_needs_a_right_of_the_qp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
