/* SPDX-License-Identifier: MIT */
/*
 * Indirect keys: data finds its pieces in every place where the NIC touches
 * memory, and every key on the way is checked.
 */
#include "support/t_klm.h"
#include "support/t_pair.h"

#include "emu/klm_list.h"

enum { START = 0x5000 }; /* of the keys, in WQEs */

/* Three pieces of memory of a node, in another order than in memory. */
static uint32_t three(struct t_node *node, uint8_t *memory, uint32_t key,
		      struct t_klm_options options)
{
	const struct hw_klm list[] = {
		hw_klm_encode(3000, key, (uintptr_t)memory + 20000),
		hw_klm_encode(1000, key, (uintptr_t)memory + 8),
		hw_klm_encode(4192, key, (uintptr_t)memory + 40000)};

	options.start = START;
	options.len = 8192;
	return t_klm_key(node, &options, list, 3);
}

static void spread(uint8_t *memory, const uint8_t *flat)
{
	memcpy(memory + 20000, flat, 3000);
	memcpy(memory + 8, flat + 3000, 1000);
	memcpy(memory + 40000, flat + 4000, 4192);
}

static bool is_spread(const uint8_t *memory, const uint8_t *flat)
{
	return !memcmp(memory + 20000, flat, 3000) &&
	       !memcmp(memory + 8, flat + 3000, 1000) &&
	       !memcmp(memory + 40000, flat + 4000, 4192);
}

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

static void test_reads_and_writes_find_their_pieces(void **state)
{
	struct t_pair *p = *state;
	uint8_t flat[8192];
	uint32_t local = three(&p->node[0], p->memory[0], p->key[0],
			       (struct t_klm_options){0});
	uint32_t remote = three(&p->node[1], p->memory[1], p->key[1],
				(struct t_klm_options){.variant = 9});

	t_fill(flat, sizeof(flat), 1);
	spread(p->memory[0], flat);
	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, AT(0), local, AT(0), remote, 8192);
	assert_int_equal(run(p), 0);
	assert_true(is_spread(p->memory[1], flat));
	t_fill(flat, sizeof(flat), 2);
	spread(p->memory[1], flat);
	t_rdma(&p->qp[0], HW_OP_RDMA_READ, AT(0), local, AT(0), remote, 8192);
	assert_int_equal(run(p), 0);
	assert_true(is_spread(p->memory[0], flat));
	/* Small ones travel in the packet itself. */
	t_rdma(&p->qp[0], HW_OP_RDMA_READ, p->memory[0], p->key[0], AT(2990),
	       remote, 20);
	assert_int_equal(run(p), 0);
	assert_memory_equal(p->memory[0], flat + 2990, 20);
	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, AT(3990), local, p->memory[1],
	       p->key[1], 20);
	spread(p->memory[0], flat);
	assert_int_equal(run(p), 0);
	assert_memory_equal(p->memory[1], flat + 3990, 20);
}

static void test_sends_find_their_pieces(void **state)
{
	struct t_pair *p = *state;
	struct hw_cqe_info info;
	uint8_t flat[8192];
	uint32_t local = three(&p->node[0], p->memory[0], p->key[0],
			       (struct t_klm_options){0});
	uint32_t remote = three(&p->node[1], p->memory[1], p->key[1],
				(struct t_klm_options){0});

	t_fill(flat, sizeof(flat), 3);
	spread(p->memory[0], flat);
	t_post_recv(&p->qp[1], AT(0), 8192, remote);
	t_begin(&p->qp[0], HW_OP_SEND, 0, T_SIGNALED);
	t_data(&p->qp[0], AT(0), 8192, local);
	t_end(&p->qp[0]);
	assert_int_equal(run(p), 0);
	assert_true(t_poll(&p->cq[1], &info));
	assert_int_equal(info.opcode, HW_CQE_RESP_SEND);
	assert_int_equal(info.byte_cnt, 8192);
	assert_true(is_spread(p->memory[1], flat));
}

static void test_dump_reads_every_piece(void **state)
{
	struct t_pair *p = *state;
	uint32_t bad, key = three(&p->node[0], p->memory[0], p->key[0],
				  (struct t_klm_options){0});
	const struct hw_klm list[] = {
		hw_klm_encode(10, p->key[0], (uintptr_t)p->memory[0]),
		hw_klm_encode(10, 0x123456, 0)};
	struct t_klm_options options = {.start = START, .len = 20};

	t_begin(&p->qp[0], HW_OP_DUMP, 0, T_SIGNALED);
	t_data(&p->qp[0], AT(0), 8192, key);
	t_end(&p->qp[0]);
	assert_int_equal(run(p), 0);
	bad = t_klm_key(&p->node[0], &options, list, 2);
	t_begin(&p->qp[0], HW_OP_DUMP, 0, T_SIGNALED);
	t_data(&p->qp[0], AT(0), 11, bad);
	t_end(&p->qp[0]);
	assert_int_equal(run(p), HW_SYND_LOCAL_PROT);
}

/* 2,500 pieces of 4 bytes: more than a packet has room to point to. */
static void test_many_small_pieces_are_put_together(void **state)
{
	struct t_pair *p = *state;
	struct hw_repeat_head head = hw_repeat_head_encode(4, 2500, 1);
	struct hw_repeat_entry entry;
	struct hw_klm list[2];
	struct t_klm_options options = {.start = START, .len = 10000};
	uint32_t local, remote, i;
	uint32_t *from = (uint32_t *)p->memory[0], *to;

	memcpy(&list[0], &head, sizeof(head));
	entry = hw_repeat_entry_encode(12, 4, p->key[0],
				       (uintptr_t)p->memory[0]);
	memcpy(&list[1], &entry, sizeof(entry));
	local = t_klm_key(&p->node[0], &options, list, 2);
	entry = hw_repeat_entry_encode(20, 4, p->key[1],
				       (uintptr_t)p->memory[1]);
	memcpy(&list[1], &entry, sizeof(entry));
	remote = t_klm_key(&p->node[1], &options, list, 2);
	t_fill(p->memory[0], 30000, 4);
	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, AT(0), local, AT(0), remote, 10000);
	assert_int_equal(run(p), 0);
	to = (uint32_t *)p->memory[1];
	for (i = 0; i < 2500; i++)
		assert_int_equal(to[i * 5], from[i * 3]);
	/* And back, the responder's turn to put them together. */
	t_fill(p->memory[1], 50000, 5);
	t_rdma(&p->qp[0], HW_OP_RDMA_READ, AT(0), local, AT(0), remote, 10000);
	assert_int_equal(run(p), 0);
	for (i = 0; i < 2500; i++)
		assert_int_equal(to[i * 5], from[i * 3]);
	t_pair_works(p);
}

static void test_ksm_entries_have_the_size_of_the_key(void **state)
{
	struct t_pair *p = *state;
	uintptr_t base = (uintptr_t)p->memory[1];
	/* The byte counts are ignored. */
	const struct hw_klm list[] = {hw_klm_encode(1, p->key[1], base + 8192),
				      hw_klm_encode(9, p->key[1], base + 100)};
	struct t_klm_options options = {.mode = HW_MKC_MODE_KSM,
					.log_entity = 12,
					.start = START + 40,
					.len = 8192};
	uint32_t key = t_klm_key(&p->node[1], &options, list, 2);

	t_fill(p->memory[0], 8192, 6);
	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, p->memory[0], p->key[0], AT(40),
	       key, 8192);
	assert_int_equal(run(p), 0);
	assert_memory_equal(p->memory[0], p->memory[1] + 8192, 4096);
	assert_memory_equal(p->memory[0] + 4096, p->memory[1] + 100, 4096);
	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, p->memory[0], p->key[0], AT(40),
	       key, 8193);
	assert_int_equal(run(p), HW_SYND_REMOTE_ACCESS);
	assert_true(t_logged(&p->node[1], "not inside the key's memory"));
	/* The list may end before the key does. */
	options.len = 1 << 20;
	key = t_klm_key(&p->node[1], &options, list, 2);
	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, p->memory[0], p->key[0],
	       AT(40 + 4 * 4096), key, 1);
	assert_int_equal(run(p), HW_SYND_REMOTE_ACCESS);
	assert_true(t_logged(&p->node[1], "list ends before its range"));
}

/* ------------------------------------------------------------ protection */

static void test_every_key_on_the_way_is_checked(void **state)
{
	struct t_pair *p = *state;
	uintptr_t base = (uintptr_t)p->memory[1];
	uint32_t read_only = t_mr_access(&p->node[1], p->memory[1], 4096, 0);
	uint32_t pd = p->node[1].pd, foreign, whole = p->key[1];
	struct t_klm_options options = {.start = START, .len = 8192};
	const struct {
		uint32_t key;
		uint64_t addr;
		const char *text;
	} bad[] = {{whole + 1, base, "of another registration"},
		   {0x777700, base, "no such key"},
		   {whole, base - 1, "not inside the key's memory"},
		   {whole, base + T_PAIR_BYTES - 4095, "not inside"},
		   {read_only, base, "does not allow local write"},
		   {0, base, "another protection domain"}};
	struct hw_klm list[2];
	unsigned i;
	uint32_t key;

	p->node[1].pd = t_pd(&p->node[1]);
	foreign = t_mr(&p->node[1], p->memory[1], 4096);
	p->node[1].pd = pd;
	list[0] = hw_klm_encode(4096, whole, base);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		list[1] = hw_klm_encode(4096, bad[i].key ? bad[i].key : foreign,
					bad[i].addr);
		key = t_klm_key(&p->node[1], &options, list, 2);
		t_forget(&p->node[1]);
		t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, p->memory[0], p->key[0],
		       AT(0), key, 8192);
		assert_int_equal(run(p), HW_SYND_REMOTE_ACCESS);
		assert_true(t_logged(&p->node[1], bad[i].text));
		/* What does not touch the bad piece is fine. */
		t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, p->memory[0], p->key[0],
		       AT(0), key, 4096);
		assert_int_equal(run(p), 0);
	}
}

/* The peer needs the outer key's right, the inner key a local one. */
static void test_the_outer_key_grants_the_peers_rights(void **state)
{
	struct t_pair *p = *state;
	uint32_t inner = t_mr_access(&p->node[1], p->memory[1], T_PAIR_BYTES,
				     NIC_ACCESS_LOCAL_WRITE);
	uint32_t key = three(&p->node[1], p->memory[1], inner,
			     (struct t_klm_options){0});

	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, p->memory[0], p->key[0], AT(0), key,
	       8192);
	assert_int_equal(run(p), 0);
	key = three(&p->node[1], p->memory[1], inner,
		    (struct t_klm_options){.read_only = true});
	t_rdma(&p->qp[0], HW_OP_RDMA_READ, p->memory[0], p->key[0], AT(0), key,
	       8192);
	assert_int_equal(run(p), 0);
	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, p->memory[0], p->key[0], AT(0), key,
	       8192);
	assert_int_equal(run(p), HW_SYND_REMOTE_ACCESS);
	assert_true(t_logged(&p->node[1], "does not allow remote write"));
}

/* Keys of keys, four deep; the fifth is one too many. */
static void test_indirection_is_bounded(void **state)
{
	struct t_pair *p = *state;
	uint32_t key = p->key[1];
	uint64_t addr = (uintptr_t)p->memory[1];
	struct t_klm_options options = {.start = START, .len = 64};
	struct hw_klm entry;
	int depth;

	for (depth = 1; depth <= NIC_MAX_INDIRECTION + 1; depth++) {
		entry = hw_klm_encode(64, key, addr);
		key = t_klm_key(&p->node[1], &options, &entry, 1);
		addr = START;
		t_fill(p->memory[0], 64, (unsigned)depth);
		t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, p->memory[0], p->key[0],
		       AT(0), key, 64);
		if (depth > NIC_MAX_INDIRECTION)
			break;
		assert_int_equal(run(p), 0);
		assert_memory_equal(p->memory[0], p->memory[1], 64);
	}
	assert_int_equal(run(p), HW_SYND_REMOTE_ACCESS);
	assert_true(t_logged(&p->node[1], "too many indirect keys"));
}

static void test_a_key_of_itself_ends(void **state)
{
	struct t_pair *p = *state;
	struct t_klm_options options = {.start = START, .len = 64};
	struct hw_klm entry = hw_klm_encode(64, 0, START);
	uint32_t first = t_klm_key(&p->node[1], &options, &entry, 1);

	/* Numbers are given out in turn. */
	entry = hw_klm_encode(64, first + 0x100, START);
	assert_int_equal(t_klm_key(&p->node[1], &options, &entry, 1),
			 first + 0x100);
	t_rdma(&p->qp[0], HW_OP_RDMA_READ, p->memory[0], p->key[0], AT(0),
	       first + 0x100, 64);
	assert_int_equal(run(p), HW_SYND_REMOTE_ACCESS);
}

static void test_a_local_list_that_fails_is_a_protection_error(void **state)
{
	struct t_pair *p = *state;
	uint32_t key = three(&p->node[0], p->memory[0], p->key[0] + 1,
			     (struct t_klm_options){0});

	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, AT(0), key, p->memory[1], p->key[1],
	       10);
	assert_int_equal(run(p), HW_SYND_LOCAL_PROT);
	t_rdma(&p->qp[0], HW_OP_RDMA_READ, AT(0), key, p->memory[1], p->key[1],
	       10);
	assert_int_equal(run(p), HW_SYND_LOCAL_PROT);
	t_post_recv(&p->qp[0], AT(0), 10, key);
	t_pair_works(p);
}

/* --------------------------------------------------------------- atomics */

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

static void test_an_atomic_needs_one_piece(void **state)
{
	struct t_pair *p = *state;
	uintptr_t base = (uintptr_t)p->memory[1];
	const struct hw_klm list[] = {hw_klm_encode(16, p->key[1], base + 64),
				      hw_klm_encode(12, p->key[1], base),
				      hw_klm_encode(20, p->key[1], base + 32)};
	struct t_klm_options options = {.start = START, .len = 48};
	uint32_t key = t_klm_key(&p->node[1], &options, list, 3);
	uint64_t *target = (uint64_t *)p->memory[1];
	uint64_t *result = (uint64_t *)p->memory[0];

	target[9] = 41;
	assert_int_equal(fetch_add(p, START + 8, key, result, p->key[0]), 0);
	assert_int_equal(result[0], 41);
	assert_int_equal(target[9], 42);
	assert_int_equal(fetch_add(p, START + 16, key, result, p->key[0]), 0);
	assert_int_equal(target[0], 1);
	/* Four bytes in one piece, four in another. */
	assert_int_equal(fetch_add(p, START + 24, key, result, p->key[0]),
			 HW_SYND_REMOTE_INVAL_REQ);
	assert_true(t_logged(&p->node[1], "not in one piece"));
	/* In one piece, which is not aligned. */
	assert_int_equal(fetch_add(p, START + 32, key, result, p->key[0]),
			 HW_SYND_REMOTE_INVAL_REQ);
	assert_true(t_logged(&p->node[1], "is not aligned"));
}

/* The result of an atomic is plain data: it may be in two pieces. */
static void test_the_result_of_an_atomic_may_be_in_pieces(void **state)
{
	struct t_pair *p = *state;
	uintptr_t base = (uintptr_t)p->memory[0];
	const struct hw_klm list[] = {hw_klm_encode(3, p->key[0], base + 100),
				      hw_klm_encode(5, p->key[0], base)};
	struct t_klm_options options = {.start = START, .len = 8};
	uint32_t key = t_klm_key(&p->node[0], &options, list, 2);
	uint64_t value = 0x1122334455667788;

	memcpy(p->memory[1], &value, 8);
	assert_int_equal(
		fetch_add(p, (uintptr_t)p->memory[1], p->key[1], AT(0), key),
		0);
	assert_memory_equal(p->memory[0] + 100, &value, 3);
	assert_memory_equal(p->memory[0], (uint8_t *)&value + 3, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_PAIR_TEST(test_reads_and_writes_find_their_pieces),
		T_PAIR_TEST(test_sends_find_their_pieces),
		T_PAIR_TEST(test_dump_reads_every_piece),
		T_PAIR_TEST(test_many_small_pieces_are_put_together),
		T_PAIR_TEST(test_ksm_entries_have_the_size_of_the_key),
		T_PAIR_TEST(test_every_key_on_the_way_is_checked),
		T_PAIR_TEST(test_the_outer_key_grants_the_peers_rights),
		T_PAIR_TEST(test_indirection_is_bounded),
		T_PAIR_TEST(test_a_key_of_itself_ends),
		T_PAIR_TEST(test_a_local_list_that_fails_is_a_protection_error),
		T_PAIR_TEST(test_an_atomic_needs_one_piece),
		T_PAIR_TEST(test_the_result_of_an_atomic_may_be_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
