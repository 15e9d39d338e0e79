/* SPDX-License-Identifier: MIT */
/*
 * Fetch: what the NIC makes of a send ring that holds nonsense, and that it
 * copies a WQE once.
 */
#include "support/t_pair.h"

#include <sys/mman.h>

static void run(struct t_pair *p)
{
	t_ring(&p->qp[0]);
	t_pair_run(p);
}

static void expect_bad(struct t_pair *p, uint16_t index, const char *text)
{
	run(p);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, index, HW_SYND_LOCAL_QP_OP);
	if (!t_logged(&p->node[0], text))
		fail_msg("%s", p->node[0].log);
	assert_int_equal(t_state(&p->qp[0]), HW_QP_ERR);
}

static void set_qpn_ds(struct t_qp *qp, uint32_t slot, uint32_t qpn,
		       uint32_t ds)
{
	be32 word = to_be32(qpn << 8 | ds);

	memcpy(qp->sq + slot * HW_WQE_BB + 4, &word, sizeof(word));
}

static uint16_t nop(struct t_qp *qp)
{
	t_begin(qp, HW_OP_NOP, 0, T_SIGNALED);
	return t_end(qp);
}

static void test_ds_0_is_refused_and_counts_as_a_block(void **state)
{
	struct t_pair *p = *state;

	nop(&p->qp[0]);
	nop(&p->qp[0]);
	nop(&p->qp[0]);
	set_qpn_ds(&p->qp[0], 1, p->qp[0].number, 0);
	run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, 0);
	expect_bad(p, 1, "WQE 0x0001: ctrl.ds is 0");
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 2, HW_SYND_WR_FLUSH);
	t_expect_none(&p->cq[0]);
	t_pair_reconnect(p);
	t_pair_works(p);
}

static void test_ds_beyond_the_doorbell_is_refused(void **state)
{
	struct t_pair *p = *state;

	nop(&p->qp[0]);
	set_qpn_ds(&p->qp[0], 0, p->qp[0].number, 4);
	run(p); /* one block is just right */
	t_expect(&p->cq[0], HW_CQE_REQ, 0);
	nop(&p->qp[0]);
	set_qpn_ds(&p->qp[0], 1, p->qp[0].number, 5);
	expect_bad(p, 1, "ctrl.ds reaches beyond the doorbell index (5)");
	t_expect_none(&p->cq[0]);
}

static void test_the_qpn_of_another_is_refused(void **state)
{
	struct t_pair *p = *state;

	nop(&p->qp[0]);
	set_qpn_ds(&p->qp[0], 0, p->qp[0].number + 1, 1);
	expect_bad(p, 0, "ctrl.qpn names another queue pair");
}

/* A ring of garbage: an error CQE, not a crash, not a hang. */
static void test_garbage_is_refused(void **state)
{
	struct t_pair *p = *state;

	memset(p->qp[0].sq, 0xff, 64 * HW_WQE_BB);
	p->qp[0].sq_pi += 64;
	expect_bad(p, 0, "ctrl.qpn");
}

/* Each WQE starts at another block of the ring and wraps at another one. */
static void test_wqes_of_all_sizes_wrap_anywhere(void **state)
{
	struct t_pair_options options = t_pair_defaults;
	uint8_t bytes[972];
	unsigned size, i;
	uint16_t index;
	struct t_pair *p;

	(void)state;
	options.qp.log_sq_size = 4; /* 16 blocks: the longest just fits */
	options.config.start_counter = 0xfffffff5;
	p = t_pair_open(&options);
	for (size = 1; size <= 972; size += 37)
		for (i = 0; i < 17; i++) {
			t_fill(bytes, size, i);
			t_begin(&p->qp[0], HW_OP_RDMA_WRITE, 0, T_SIGNALED);
			t_raddr(&p->qp[0], p->memory[1], p->key[1]);
			t_inline(&p->qp[0], bytes, size);
			index = t_end(&p->qp[0]);
			run(p);
			t_expect(&p->cq[0], HW_CQE_REQ, index);
			assert_memory_equal(p->memory[1], bytes, size);
		}
	t_pair_close(p);
}

/* What the client writes over a fetched WQE changes nothing. */
static void test_a_wqe_is_copied_once(void **state)
{
	struct t_pair *p = *state;

	/* The read holds the fenced write; both are fetched. */
	p->memory[1][0] = 1;
	t_pair_rdma(p, HW_OP_RDMA_READ, 64);
	t_begin(&p->qp[0], HW_OP_RDMA_WRITE, 0,
		hw_fm_ce_se(HW_FENCE_FENCE, HW_CE_ALWAYS, 0));
	t_raddr(&p->qp[0], p->memory[1] + 4096, p->key[1]);
	t_inline(&p->qp[0], "good", 4);
	t_end(&p->qp[0]);
	t_ring(&p->qp[0]);
	t_fault_handler();
	while (nic_step(p->node[0].nic, 0))
		;
	memset(p->qp[0].sq, 0xff, 64 * HW_WQE_BB);
	t_pair_run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, 0);
	t_expect(&p->cq[0], HW_CQE_REQ, 1);
	assert_memory_equal(p->memory[1] + 4096, "good", 4);
}

/* --------------------------------------------------- memory that is gone */

/* Put pages that can be unmapped in place of a queue pair's memory. */
struct mapped {
	struct t_pair *p;
	struct t_qp qp;
	uint8_t *
		memory; /* the ring of 64 blocks, then a page with the record */
};

enum { RING = 64 * HW_WQE_BB, PAGE = 4096 };

static void open_mapped(struct mapped *m, struct t_pair *p)
{
	uint8_t in[HW_CREATE_QP_IN_BYTES], out[T_OUT];
	uint32_t umem;

	m->p = p;
	m->memory = mmap(NULL, RING + PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(m->memory != MAP_FAILED);
	umem = t_umem(&p->node[0], m->memory, RING + PAGE);
	memcpy(in, p->qp[0].create, sizeof(in));
	hw_set(in, HW_CREATE_QP_UMEM_ID, umem);
	hw_set(in + HW_QPC_OFFSET, HW_QPC_RQ_TYPE, HW_RQ_ZERO_SIZE);
	hw_set(in + HW_QPC_OFFSET, HW_QPC_DBR_UMEM_ID, umem);
	hw_set64(in + HW_QPC_OFFSET, HW_QPC_DBR_ADDR, RING);
	assert_int_equal(t_cmd(&p->node[0], in, sizeof(in), out), HW_CMD_OK);
	m->qp = p->qp[0];
	m->qp.number = hw_get(out, HW_CMD_OUT_NUMBER);
	m->qp.sq = m->memory;
	m->qp.dbrec = (struct hw_dbrec *)(m->memory + RING);
	t_connect(&m->qp, &m->qp, NULL);
}

static void close_mapped(struct mapped *m)
{
	t_simple(&m->p->node[0], HW_CMD_DESTROY_QP, m->qp.number, NULL);
	t_pair_works(m->p); /* the other QP of the NIC goes on */
}

static void test_a_ring_that_is_unmapped_fails_the_qp(void **state)
{
	struct nic_counters counters;
	struct t_pair *p = *state;
	struct mapped m;

	open_mapped(&m, p);
	nop(&m.qp);
	nop(&m.qp);
	munmap(m.memory, RING);
	t_ring(&m.qp);
	t_pair_run(p);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 0, HW_SYND_LOCAL_QP_OP);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 1, HW_SYND_WR_FLUSH);
	assert_true(t_logged(&p->node[0], "the send queue is not mapped"));
	nic_get_counters(p->node[0].nic, &counters);
	assert_true(counters.dma_faults > 0);
	assert_int_equal(t_state(&m.qp), HW_QP_ERR);
	close_mapped(&m);
	munmap(m.memory + RING, PAGE);
}

static void test_a_record_that_is_unmapped_fails_the_qp(void **state)
{
	struct t_pair *p = *state;
	struct mapped m;

	open_mapped(&m, p);
	nop(&m.qp);
	t_ring(&m.qp);
	t_pair_run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, 0);
	munmap(m.memory + RING, PAGE);
	t_pair_run(p);
	assert_true(t_logged(&p->node[0], "the doorbell record is not mapped"));
	assert_int_equal(t_state(&m.qp), HW_QP_ERR);
	assert_int_equal(t_events(&p->node[0], NIC_EVENT_QP_FATAL), 1);
	close_mapped(&m);
	munmap(m.memory, RING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_PAIR_TEST(test_ds_0_is_refused_and_counts_as_a_block),
		T_PAIR_TEST(test_ds_beyond_the_doorbell_is_refused),
		T_PAIR_TEST(test_the_qpn_of_another_is_refused),
		T_PAIR_TEST(test_garbage_is_refused),
		cmocka_unit_test(test_wqes_of_all_sizes_wrap_anywhere),
		T_PAIR_TEST(test_a_wqe_is_copied_once),
		T_PAIR_TEST(test_a_ring_that_is_unmapped_fails_the_qp),
		T_PAIR_TEST(test_a_record_that_is_unmapped_fails_the_qp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
