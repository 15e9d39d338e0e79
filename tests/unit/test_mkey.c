/* SPDX-License-Identifier: MIT */
/*
 * Protection: rights, ranges, domains, variants and queue pairs of a key,
 * seen from WQEs at both ends.
 */
#include "support/t_pair.h"

#include <sys/mman.h>

enum { BYTES = 4096 };

struct use {
	uint8_t opcode;
	uint64_t local, remote; /* addresses */
	uint32_t lkey, rkey, len;
};

/* Run one WQE; returns its syndrome, 0 for success. */
static uint8_t attempt(struct t_pair *p, const struct use *use)
{
	struct hw_cqe_info info;

	t_rdma(&p->qp[0], use->opcode, (void *)(uintptr_t)use->local, use->lkey,
	       (void *)(uintptr_t)use->remote, use->rkey, use->len);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	assert_true(t_poll(&p->cq[0], &info));
	if (info.opcode == HW_CQE_REQ)
		return 0;
	assert_int_equal(info.opcode, HW_CQE_REQ_ERR);
	t_pair_reconnect(p);
	return info.syndrome;
}

static struct use good(struct t_pair *p, uint8_t opcode)
{
	return (struct use){opcode,
			    (uintptr_t)p->memory[0],
			    (uintptr_t)p->memory[1],
			    p->key[0],
			    p->key[1],
			    BYTES};
}

static void test_each_right_is_needed_for_its_operation(void **state)
{
	struct t_pair *p = *state;
	struct use use;

	/* A source needs no right but to be read. */
	use = good(p, HW_OP_RDMA_WRITE);
	use.lkey = t_mr_access(&p->node[0], p->memory[0], BYTES, 0);
	assert_int_equal(attempt(p, &use), 0);
	use.opcode = HW_OP_RDMA_READ;
	assert_int_equal(attempt(p, &use), HW_SYND_LOCAL_PROT);
	use = good(p, HW_OP_RDMA_WRITE);
	use.rkey = t_mr_access(&p->node[1], p->memory[1], BYTES,
			       NIC_ACCESS_LOCAL_WRITE | NIC_ACCESS_REMOTE_READ);
	assert_int_equal(attempt(p, &use), HW_SYND_REMOTE_ACCESS);
	assert_true(t_logged(&p->node[1], "does not allow remote write"));
	use.opcode = HW_OP_RDMA_READ;
	assert_int_equal(attempt(p, &use), 0);
	use.rkey =
		t_mr_access(&p->node[1], p->memory[1], BYTES,
			    NIC_ACCESS_LOCAL_WRITE | NIC_ACCESS_REMOTE_WRITE);
	assert_int_equal(attempt(p, &use), HW_SYND_REMOTE_ACCESS);
	use.opcode = HW_OP_RDMA_WRITE;
	assert_int_equal(attempt(p, &use), 0);
}

static void test_ranges_end_where_the_memory_ends(void **state)
{
	struct t_pair *p = *state;
	struct use use = good(p, HW_OP_RDMA_WRITE), bad;
	uint32_t local = t_mr(&p->node[0], p->memory[0] + 64, BYTES);
	uint32_t remote = t_mr(&p->node[1], p->memory[1] + 64, BYTES);

	use.local += 64;
	use.remote += 64;
	use.lkey = local;
	use.rkey = remote;
	assert_int_equal(attempt(p, &use), 0);
	bad = use;
	bad.len++;
	assert_int_equal(attempt(p, &bad), HW_SYND_LOCAL_PROT);
	bad.lkey = p->key[0];
	assert_int_equal(attempt(p, &bad), HW_SYND_REMOTE_ACCESS);
	assert_int_equal(p->memory[1][64 + BYTES], 0);
	bad = use;
	bad.local--;
	assert_int_equal(attempt(p, &bad), HW_SYND_LOCAL_PROT);
	bad = use;
	bad.remote--;
	assert_int_equal(attempt(p, &bad), HW_SYND_REMOTE_ACCESS);
	bad = use;
	bad.remote += BYTES - 1;
	bad.len = 1;
	assert_int_equal(attempt(p, &bad), 0);
	bad.remote++;
	assert_int_equal(attempt(p, &bad), HW_SYND_REMOTE_ACCESS);
}

static void test_addresses_that_wrap_are_refused(void **state)
{
	struct t_pair *p = *state;
	struct use use = good(p, HW_OP_RDMA_WRITE);

	use.remote = 0ull - 16;
	use.len = 32;
	assert_int_equal(attempt(p, &use), HW_SYND_REMOTE_ACCESS);
	assert_true(t_logged(&p->node[1], "the range wraps at 2^64"));
	use = good(p, HW_OP_RDMA_WRITE);
	use.local = 0ull - 16;
	use.len = 32;
	assert_int_equal(attempt(p, &use), HW_SYND_LOCAL_PROT);
	assert_true(t_logged(&p->node[0], "the range wraps at 2^64"));
}

static void test_a_key_of_another_domain_is_refused(void **state)
{
	struct t_pair *p = *state;
	struct use use = good(p, HW_OP_RDMA_WRITE);
	uint32_t pd[2] = {p->node[0].pd, p->node[1].pd};
	int i;

	for (i = 0; i < 2; i++)
		p->node[i].pd = t_pd(&p->node[i]);
	use.lkey = t_mr(&p->node[0], p->memory[0], BYTES);
	assert_int_equal(attempt(p, &use), HW_SYND_LOCAL_PROT);
	assert_true(t_logged(&p->node[0], "another protection domain"));
	use = good(p, HW_OP_RDMA_WRITE);
	use.rkey = t_mr(&p->node[1], p->memory[1], BYTES);
	assert_int_equal(attempt(p, &use), HW_SYND_REMOTE_ACCESS);
	assert_true(t_logged(&p->node[1], "another protection domain"));
	for (i = 0; i < 2; i++)
		p->node[i].pd = pd[i];
	t_pair_works(p);
}

static void test_keys_that_are_not_there_are_refused(void **state)
{
	struct t_pair *p = *state;
	struct use use = good(p, HW_OP_RDMA_WRITE);

	use.rkey = p->key[1] + 1; /* another variant */
	assert_int_equal(attempt(p, &use), HW_SYND_REMOTE_ACCESS);
	assert_true(t_logged(&p->node[1], "of another registration"));
	use.rkey = 0;
	assert_int_equal(attempt(p, &use), HW_SYND_REMOTE_ACCESS);
	use.rkey = 0xffffffff;
	assert_int_equal(attempt(p, &use), HW_SYND_REMOTE_ACCESS);
	assert_true(t_logged(&p->node[1], "no such key"));
	use = good(p, HW_OP_RDMA_READ);
	use.lkey = t_mr(&p->node[0], p->memory[0], BYTES);
	assert_int_equal(nic_mkey_deregister(p->node[0].nic, use.lkey), 0);
	assert_int_equal(attempt(p, &use), HW_SYND_LOCAL_PROT);
}

/* A mailbox of its own: variant, queue pair, address, physical mode. */
static uint32_t make_key(struct t_node *node, void *memory, uint32_t qpn,
			 bool physical)
{
	uint8_t in[HW_CREATE_MKEY_IN_BYTES] = {0}, out[T_OUT];
	uint8_t *mkc = in + HW_MKC_OFFSET;

	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_MKEY);
	hw_set(mkc, HW_MKC_LR, 1);
	hw_set(mkc, HW_MKC_LW, 1);
	hw_set(mkc, HW_MKC_RR, 1);
	hw_set(mkc, HW_MKC_RW, 1);
	hw_set(mkc, HW_MKC_PD, node->pd);
	hw_set(mkc, HW_MKC_QPN, qpn);
	hw_set(mkc, HW_MKC_MKEY_7_0, 0x5a);
	if (physical) {
		hw_set(mkc, HW_MKC_LENGTH64, 1);
	} else {
		hw_set(mkc, HW_MKC_ACCESS_MODE_1_0, HW_MKC_MODE_MTT);
		hw_set(in, HW_CREATE_MKEY_UMEM_ID, t_umem(node, memory, BYTES));
		hw_set64(mkc, HW_MKC_LEN, BYTES);
	}
	assert_int_equal(t_cmd(node, in, sizeof(in), out), HW_CMD_OK);
	return hw_get(out, HW_CMD_OUT_NUMBER) << 8 | 0x5a;
}

/* NCCL's windows: the address in the WQE is an offset. */
static void test_a_key_may_start_at_address_0(void **state)
{
	struct t_pair *p = *state;
	struct use use = good(p, HW_OP_RDMA_WRITE);

	use.rkey = make_key(&p->node[1], p->memory[1], HW_MKC_QPN_ANY, false);
	use.remote = 100;
	use.len = 8;
	t_fill(p->memory[0], 8, 3);
	assert_int_equal(attempt(p, &use), 0);
	assert_memory_equal(p->memory[0], p->memory[1] + 100, 8);
	use.remote = BYTES - 7;
	assert_int_equal(attempt(p, &use), HW_SYND_REMOTE_ACCESS);
}

static void test_a_key_of_one_qp_is_for_it_alone(void **state)
{
	struct t_pair *p = *state;
	struct use use = good(p, HW_OP_RDMA_WRITE);

	use.remote = 0;
	use.rkey = make_key(&p->node[1], p->memory[1], p->qp[1].number, false);
	assert_int_equal(attempt(p, &use), 0);
	use.rkey = make_key(&p->node[1], p->memory[1], 0x999, false);
	assert_int_equal(attempt(p, &use), HW_SYND_REMOTE_ACCESS);
	assert_true(t_logged(&p->node[1], "belongs to another queue pair"));
}

static void test_a_physical_key_reaches_every_address(void **state)
{
	struct t_pair *p = *state;
	struct use use = good(p, HW_OP_RDMA_WRITE);
	uint8_t *page = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	use.lkey = make_key(&p->node[0], NULL, HW_MKC_QPN_ANY, true);
	use.rkey = make_key(&p->node[1], NULL, HW_MKC_QPN_ANY, true);
	t_fill(p->memory[0], BYTES, 4);
	assert_int_equal(attempt(p, &use), 0);
	assert_memory_equal(p->memory[0], p->memory[1], BYTES);
	/* Addresses where nothing is: an error, not a crash. */
	munmap(page, BYTES);
	use.remote = (uintptr_t)page;
	assert_int_equal(attempt(p, &use), HW_SYND_REMOTE_OP);
	use.remote = (uintptr_t)p->memory[1];
	use.local = (uintptr_t)page;
	assert_int_equal(attempt(p, &use), HW_SYND_LOCAL_PROT);
}

/* ------------------------------------------- memory that is gone, keys too */

static void unmapped(struct t_pair *p, uint32_t len, bool local, uint8_t opcode,
		     uint8_t syndrome)
{
	uint8_t *pages = mmap(NULL, len, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct use use = good(p, opcode);
	uint32_t key = t_mr(&p->node[local ? 0 : 1], pages, len);

	*(local ? &use.local : &use.remote) = (uintptr_t)pages;
	*(local ? &use.lkey : &use.rkey) = key;
	use.len = len;
	assert_int_equal(attempt(p, &use), 0);
	munmap(pages, len);
	assert_int_equal(attempt(p, &use), syndrome);
	t_pair_works(p);
}

static void test_memory_unmapped_after_registration(void **state)
{
	static const uint32_t lengths[] = {8, 64, 1024, 4096, 300000};
	struct t_pair *p = *state;
	unsigned i;

	for (i = 0; i < 5; i++) {
		unmapped(p, lengths[i], true, HW_OP_RDMA_WRITE,
			 HW_SYND_LOCAL_PROT);
		unmapped(p, lengths[i], true, HW_OP_RDMA_READ,
			 HW_SYND_LOCAL_PROT);
		unmapped(p, lengths[i], false, HW_OP_RDMA_WRITE,
			 HW_SYND_REMOTE_OP);
		unmapped(p, lengths[i], false, HW_OP_RDMA_READ,
			 HW_SYND_REMOTE_OP);
	}
}

/* The key goes while packets of the message are still to come. */
static void mid_transfer(struct t_pair *p, uint8_t opcode, int side,
			 uint8_t syndrome)
{
	uint32_t key = t_mr(&p->node[side], p->memory[side], T_PAIR_BYTES);

	t_rdma(&p->qp[0], opcode, p->memory[0], side ? p->key[0] : key,
	       p->memory[1], side ? key : p->key[1], T_PAIR_BYTES);
	t_rdma(&p->qp[0], opcode, p->memory[0], side ? p->key[0] : key,
	       p->memory[1], side ? key : p->key[1], T_PAIR_BYTES);
	t_ring(&p->qp[0]);
	t_fault_handler();
	nic_step(p->node[0].nic, 0);
	assert_int_equal(nic_mkey_deregister(p->node[side].nic, key), 0);
	t_pair_run(p);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 0, syndrome);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 1, HW_SYND_WR_FLUSH);
	t_expect_none(&p->cq[0]);
	t_pair_reconnect(p);
	t_pair_works(p);
	t_pair_reconnect(p);
}

static void test_a_key_destroyed_in_mid_transfer(void **state)
{
	struct t_pair *p = *state;

	mid_transfer(p, HW_OP_RDMA_WRITE, 1, HW_SYND_REMOTE_ACCESS);
	mid_transfer(p, HW_OP_RDMA_READ, 1, HW_SYND_REMOTE_ACCESS);
	mid_transfer(p, HW_OP_RDMA_READ, 0, HW_SYND_LOCAL_PROT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_PAIR_TEST(test_each_right_is_needed_for_its_operation),
		T_PAIR_TEST(test_ranges_end_where_the_memory_ends),
		T_PAIR_TEST(test_addresses_that_wrap_are_refused),
		T_PAIR_TEST(test_a_key_of_another_domain_is_refused),
		T_PAIR_TEST(test_keys_that_are_not_there_are_refused),
		T_PAIR_TEST(test_a_key_may_start_at_address_0),
		T_PAIR_TEST(test_a_key_of_one_qp_is_for_it_alone),
		T_PAIR_TEST(test_a_physical_key_reaches_every_address),
		T_PAIR_TEST(test_memory_unmapped_after_registration),
		T_PAIR_TEST(test_a_key_destroyed_in_mid_transfer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
