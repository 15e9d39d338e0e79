/* SPDX-License-Identifier: MIT */
/*
 * Memory windows of both types, and invalidation: local, and by the peer's
 * send. The windows are on node 1; QP 0 of node 0 uses them.
 */
#include "support/t_klm.h"
#include "support/t_pair.h"

static const uint8_t all_remote = NIC_ACCESS_REMOTE_READ |
				  NIC_ACCESS_REMOTE_WRITE |
				  NIC_ACCESS_REMOTE_ATOMIC;

/* Bind on node 1, as QP 1; returns the syndrome. */
static uint8_t post(struct t_pair *p, const struct t_bind *bind)
{
	struct hw_cqe_info info;

	t_bind_post(&p->qp[1], bind);
	t_ring(&p->qp[1]);
	t_pair_run(p);
	assert_true(t_poll(&p->cq[1], &info));
	assert_int_equal(info.wqe_opcode, HW_OP_UMR);
	if (info.opcode == HW_CQE_REQ)
		return 0;
	t_pair_reconnect(p);
	return info.syndrome;
}

static struct t_bind window(struct t_pair *p, uint32_t key)
{
	return (struct t_bind){.key = key,
			       .rkey = (key & ~0xffu) | ((key + 1) & 0xff),
			       .access = all_remote,
			       .lkey = p->key[1],
			       .addr = (uintptr_t)p->memory[1] + 1000,
			       .len = 500};
}

/* QP 0 writes or reads; returns the syndrome. */
static uint8_t access(struct t_pair *p, uint8_t opcode, uint64_t addr,
		      uint32_t rkey, uint32_t len)
{
	struct hw_cqe_info info;

	t_rdma(&p->qp[0], opcode, p->memory[0], p->key[0],
	       (void *)(uintptr_t)addr, rkey, len);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	assert_true(t_poll(&p->cq[0], &info));
	if (info.opcode == HW_CQE_REQ)
		return 0;
	t_pair_reconnect(p);
	return info.syndrome;
}

static void works(struct t_pair *p, uint64_t addr, uint32_t rkey)
{
	static unsigned seed = 100;

	t_fill(p->memory[0], 500, seed++);
	assert_int_equal(access(p, HW_OP_RDMA_WRITE, addr, rkey, 500), 0);
	assert_memory_equal(p->memory[0], p->memory[1] + 1000, 500);
}

static void is_free(struct t_pair *p, uint64_t addr, uint32_t rkey)
{
	assert_int_equal(access(p, HW_OP_RDMA_READ, addr, rkey, 1),
			 HW_SYND_REMOTE_ACCESS);
}

static void test_a_window_of_type_1(void **state)
{
	struct t_pair *p = *state;
	struct t_bind bind = window(p, t_mw(&p->node[1], false));

	bind.type_1 = true;
	is_free(p, bind.addr, bind.key);
	assert_int_equal(post(p, &bind), 0);
	works(p, bind.addr, bind.rkey);
	/* Its bounds, its old rkey. */
	assert_int_equal(
		access(p, HW_OP_RDMA_WRITE, bind.addr - 1, bind.rkey, 500),
		HW_SYND_REMOTE_ACCESS);
	assert_int_equal(
		access(p, HW_OP_RDMA_WRITE, bind.addr + 1, bind.rkey, 500),
		HW_SYND_REMOTE_ACCESS);
	is_free(p, bind.addr, bind.key);
	/* Bound again while it is bound: type 1 may. */
	bind.key = bind.rkey;
	bind.rkey = (bind.key & ~0xffu) | 0x99;
	bind.access = NIC_ACCESS_REMOTE_READ;
	assert_int_equal(post(p, &bind), 0);
	assert_int_equal(access(p, HW_OP_RDMA_READ, bind.addr, bind.rkey, 500),
			 0);
	assert_int_equal(access(p, HW_OP_RDMA_WRITE, bind.addr, bind.rkey, 500),
			 HW_SYND_REMOTE_ACCESS);
	/* A length of 0 unbinds. */
	bind.key = bind.rkey;
	bind.len = 0;
	assert_int_equal(post(p, &bind), 0);
	is_free(p, bind.addr, bind.rkey);
	t_mkey_destroy(&p->node[1], bind.key);
}

static void test_a_window_of_type_2(void **state)
{
	struct t_pair *p = *state;
	struct t_bind bind = window(p, t_mw(&p->node[1], true));
	uint8_t mkc[HW_MKC_BYTES];

	assert_int_equal(post(p, &bind), 0);
	works(p, bind.addr, bind.rkey);
	t_query_mkey(&p->node[1], bind.rkey, mkc);
	assert_int_equal(hw_get(mkc, HW_MKC_QPN), p->qp[1].number);
	/* It must be invalidated before it is bound again. */
	assert_int_equal(post(p, &bind), HW_SYND_MW_BIND);
	assert_true(t_logged(&p->node[1], "the key is not free"));
	works(p, bind.addr, bind.rkey);
	bind.len = 0;
	bind.key = bind.rkey;
	assert_int_equal(post(p, &bind), 0);
	is_free(p, bind.addr, bind.rkey);
	/* What libmlx5 does next: names the window by an older rkey. */
	bind.len = 500;
	bind.rkey += 5;
	assert_int_equal(post(p, &bind), 0);
	works(p, bind.addr, bind.rkey);
}

static void test_a_zero_based_window(void **state)
{
	struct t_pair *p = *state;
	struct t_bind bind = window(p, t_mw(&p->node[1], true));

	bind.zero_based = true;
	assert_int_equal(post(p, &bind), 0);
	works(p, 0, bind.rkey);
	assert_int_equal(access(p, HW_OP_RDMA_WRITE, 499, bind.rkey, 1), 0);
	is_free(p, 500, bind.rkey);
}

/* Another QP of the same domain may not use a type 2 window, but a type 1. */
static void test_a_window_of_type_2_is_for_one_qp(void **state)
{
	struct t_pair *p = *state;
	struct t_bind one = window(p, t_mw(&p->node[1], false));
	struct t_bind two = window(p, t_mw(&p->node[1], true));
	struct t_qp other;

	one.type_1 = true;
	assert_int_equal(post(p, &one), 0);
	assert_int_equal(post(p, &two), 0);
	t_qp_create(&p->node[1], &other, &p->cq[1], &p->cq[1],
		    &t_pair_defaults.qp);
	assert_int_equal(t_modify(&p->qp[0], HW_CMD_2RST_QP, NULL, NULL), 0);
	t_qp_rewind(&p->qp[0]);
	t_connect(&p->qp[0], &other, NULL);
	works(p, one.addr, one.rkey);
	t_rdma(&p->qp[0], HW_OP_RDMA_READ, p->memory[0], p->key[0],
	       (void *)(uintptr_t)two.addr, two.rkey, 8);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR,
		       (uint16_t)(p->qp[0].sq_pi - 1), HW_SYND_REMOTE_ACCESS);
	assert_true(t_logged(&p->node[1], "belongs to another queue pair"));
	/* Nor may it invalidate it. */
	assert_int_equal(t_modify(&other, HW_CMD_2RST_QP, NULL, NULL), 0);
	assert_int_equal(t_modify(&p->qp[0], HW_CMD_2RST_QP, NULL, NULL), 0);
	t_qp_rewind(&other);
	t_qp_rewind(&p->qp[0]);
	t_connect(&p->qp[0], &other, NULL);
	t_local_inv(&other, two.rkey);
	t_ring(&other);
	t_pair_run(p);
	t_expect_error(&p->cq[1], HW_CQE_REQ_ERR, 0, HW_SYND_MW_BIND);
	assert_int_equal(t_qp_destroy(&other), 0);
}

static void test_binding_needs_the_domain(void **state)
{
	struct t_pair *p = *state;
	uint32_t pd = p->node[1].pd;
	struct t_bind bind;

	p->node[1].pd = t_pd(&p->node[1]);
	bind = window(p, t_mw(&p->node[1], true));
	p->node[1].pd = pd;
	assert_int_equal(post(p, &bind), HW_SYND_MW_BIND);
	assert_true(t_logged(&p->node[1], "another protection domain"));
}

/* The window grants what the region behind it does not have: it fails when it
 * is used, as the device's keys do. */
static void test_a_window_cannot_grant_more_than_its_region(void **state)
{
	struct t_pair *p = *state;
	struct t_bind bind = window(p, t_mw(&p->node[1], true));

	bind.lkey = t_mr_access(&p->node[1], p->memory[1], 4096, 0);
	assert_int_equal(post(p, &bind), 0);
	assert_int_equal(access(p, HW_OP_RDMA_READ, bind.addr, bind.rkey, 500),
			 0);
	assert_int_equal(access(p, HW_OP_RDMA_WRITE, bind.addr, bind.rkey, 1),
			 HW_SYND_REMOTE_ACCESS);
	assert_true(t_logged(&p->node[1], "does not allow local write"));
	t_local_inv(&p->qp[1], bind.rkey);
	t_ring(&p->qp[1]);
	t_pair_run(p);
	t_expect(&p->cq[1], HW_CQE_REQ, 0);
	bind.key = bind.rkey;
	bind.len = 4096 - 1000 + 1; /* one byte beyond the region */
	assert_int_equal(post(p, &bind), 0);
	assert_int_equal(
		access(p, HW_OP_RDMA_READ, bind.addr, bind.rkey, 4096 - 1000),
		0);
	assert_int_equal(access(p, HW_OP_RDMA_READ, bind.addr, bind.rkey,
				4096 - 1000 + 1),
			 HW_SYND_REMOTE_ACCESS);
}

static void test_destroying_the_region_ends_the_window(void **state)
{
	struct t_pair *p = *state;
	struct t_bind bind = window(p, t_mw(&p->node[1], true));
	uint32_t region = t_mr(&p->node[1], p->memory[1], 4096);

	bind.lkey = region;
	assert_int_equal(post(p, &bind), 0);
	works(p, bind.addr, bind.rkey);
	t_mkey_destroy(&p->node[1], region);
	is_free(p, bind.addr, bind.rkey);
	assert_true(t_logged(&p->node[1], "no such key"));
	/* And the window itself, bound as it is. */
	t_mkey_destroy(&p->node[1], bind.rkey);
	is_free(p, bind.addr, bind.rkey);
}

/* --------------------------------------------------------- invalidation */

static void test_local_invalidation(void **state)
{
	struct t_pair *p = *state;
	struct t_bind bind = window(p, t_mw(&p->node[1], true));
	uint8_t mkc[HW_MKC_BYTES];

	assert_int_equal(post(p, &bind), 0);
	/* Who does not know the rkey may not. */
	t_local_inv(&p->qp[1], bind.rkey + 1);
	t_ring(&p->qp[1]);
	t_pair_run(p);
	t_expect_error(&p->cq[1], HW_CQE_REQ_ERR, 3, HW_SYND_MW_BIND);
	assert_true(t_logged(&p->node[1], "of another registration"));
	t_pair_reconnect(p);
	works(p, bind.addr, bind.rkey);
	t_local_inv(&p->qp[1], bind.rkey);
	t_ring(&p->qp[1]);
	t_pair_run(p);
	t_expect(&p->cq[1], HW_CQE_REQ, 0);
	is_free(p, bind.addr, bind.rkey);
	t_query_mkey(&p->node[1], bind.rkey, mkc);
	assert_int_equal(hw_get(mkc, HW_MKC_FREE), 1);
	assert_int_equal(hw_get(mkc, HW_MKC_QPN), HW_MKC_QPN_ANY);
}

/* QP 0 sends len bytes and asks to invalidate rkey. */
static void send_inval(struct t_pair *p, uint32_t rkey, uint32_t len)
{
	t_begin(&p->qp[0], HW_OP_SEND_INVAL, 0, T_SIGNALED | HW_SOLICITED);
	t_imm(&p->qp[0], rkey);
	t_data(&p->qp[0], p->memory[0], len, p->key[0]);
	t_end(&p->qp[0]);
	t_ring(&p->qp[0]);
	t_pair_run(p);
}

static void test_a_send_invalidates_at_the_peer(void **state)
{
	static const uint32_t lengths[] = {10, 3000000}; /* ONLY; FIRST, LAST */
	struct t_pair *p = *state;
	struct t_bind bind = window(p, t_mw(&p->node[1], true));
	struct hw_cqe_info info;
	unsigned i;

	for (i = 0; i < 2; i++) {
		assert_int_equal(post(p, &bind), 0);
		works(p, bind.addr, bind.rkey);
		t_post_recv(&p->qp[1], p->memory[1], T_PAIR_BYTES, p->key[1]);
		t_ring_record(&p->qp[1]);
		t_fill(p->memory[0], lengths[i], i);
		send_inval(p, bind.rkey, lengths[i]);
		t_expect(&p->cq[0], HW_CQE_REQ, (uint16_t)(p->qp[0].sq_pi - 1));
		assert_true(t_poll(&p->cq[1], &info));
		assert_int_equal(info.opcode, HW_CQE_RESP_SEND_INV);
		assert_int_equal(info.imm, bind.rkey);
		assert_int_equal(info.byte_cnt, lengths[i]);
		assert_true(info.solicited);
		assert_memory_equal(p->memory[0], p->memory[1], lengths[i]);
		is_free(p, bind.addr, bind.rkey);
		bind.key = bind.rkey;
		bind.rkey++;
	}
}

static void refused(struct t_pair *p, uint32_t rkey, const char *text)
{
	t_forget(&p->node[1]);
	t_post_recv(&p->qp[1], p->memory[1], 100, p->key[1]);
	send_inval(p, rkey, 10);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR,
		       (uint16_t)(p->qp[0].sq_pi - 1), HW_SYND_REMOTE_ACCESS);
	t_expect_error(&p->cq[1], HW_CQE_RESP_ERR,
		       (uint16_t)(p->qp[1].rq_pi - 1),
		       HW_SYND_REMOTE_INVAL_REQ);
	if (!t_logged(&p->node[1], text))
		fail_msg("the log lacks \"%s\": %s", text, p->node[1].log);
	t_pair_reconnect(p);
}

static void test_what_a_send_may_not_invalidate(void **state)
{
	struct t_pair *p = *state;
	struct t_bind bind = window(p, t_mw(&p->node[1], true));
	struct t_bind type_1 = window(p, t_mw(&p->node[1], false));
	uint32_t pd = p->node[1].pd, foreign;
	struct t_klm_options options = {.len = 8, .rinval = true, .qpn = 0x999};
	struct hw_klm list = hw_klm_encode(8, p->key[1], 0);

	refused(p, 0x777700, "no such key");
	refused(p, bind.key, "the key is free already");
	assert_int_equal(post(p, &bind), 0);
	refused(p, bind.key, "of another registration");
	type_1.type_1 = true;
	assert_int_equal(post(p, &type_1), 0);
	refused(p, type_1.rkey, "mkc.en_rinval is 0");
	refused(p, p->key[1], "mkc.en_rinval is 0");
	refused(p, t_klm_key(&p->node[1], &options, &list, 1),
		"another queue pair");
	options.qpn = 0;
	p->node[1].pd = t_pd(&p->node[1]);
	foreign = t_klm_key(&p->node[1], &options, &list, 1);
	p->node[1].pd = pd;
	refused(p, foreign, "another protection domain");
	works(p, bind.addr, bind.rkey);
	works(p, type_1.addr, type_1.rkey);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_PAIR_TEST(test_a_window_of_type_1),
		T_PAIR_TEST(test_a_window_of_type_2),
		T_PAIR_TEST(test_a_zero_based_window),
		T_PAIR_TEST(test_a_window_of_type_2_is_for_one_qp),
		T_PAIR_TEST(test_binding_needs_the_domain),
		T_PAIR_TEST(test_a_window_cannot_grant_more_than_its_region),
		T_PAIR_TEST(test_destroying_the_region_ends_the_window),
		T_PAIR_TEST(test_local_invalidation),
		T_PAIR_TEST(test_a_send_invalidates_at_the_peer),
		T_PAIR_TEST(test_what_a_send_may_not_invalidate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
