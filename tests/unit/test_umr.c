/* SPDX-License-Identifier: MIT */
/*
 * UMR WQEs: an indirect key is configured as mlx5dv_wr_mr_list() and
 * mlx5dv_wr_mr_interleaved() do it, inline or through a pointer; each refusal;
 * order and completions.
 */
#include "support/t_klm.h"
#include "support/t_pair.h"

#include <stdlib.h>
#include <sys/mman.h>

static uint8_t run(struct t_pair *p)
{
	struct hw_cqe_info info;

	t_ring(&p->qp[0]);
	t_pair_run(p);
	assert_true(t_poll(&p->cq[0], &info));
	assert_int_equal(info.wqe_opcode, HW_OP_UMR);
	if (info.opcode == HW_CQE_REQ)
		return 0;
	t_pair_reconnect(p);
	return info.syndrome;
}

/* A key as mlx5dv_create_mkey() makes it, for a list of so many. */
static uint32_t indirect(struct t_pair *p, uint32_t capacity)
{
	struct t_klm_options options = {.free = true, .capacity = capacity};

	return t_klm_key(&p->node[0], &options, NULL, 0);
}

/* What mlx5dv_wr_mkey_configure() with access flags and a list posts. */
static struct t_umr configure(uint32_t key, const struct hw_klm *list,
			      uint16_t octwords, uint64_t len)
{
	struct t_umr umr = {
		.key = key,
		.fm_ce_se = T_SIGNALED,
		.ctrl = {.flags = HW_UMR_INLINE,
			 .octwords = octwords,
			 .mask = HW_UMR_FREE | HW_UMR_MKEY | HW_UMR_LEN |
				 HW_UMR_LW | HW_UMR_RR | HW_UMR_RW | HW_UMR_A},
		.list = list,
	};

	hw_set(umr.mkc, HW_MKC_QPN, HW_MKC_QPN_ANY);
	hw_set(umr.mkc, HW_MKC_MKEY_7_0, key & 0xff);
	hw_set(umr.mkc, HW_MKC_LW, 1);
	hw_set(umr.mkc, HW_MKC_RR, 1);
	hw_set(umr.mkc, HW_MKC_RW, 1);
	hw_set(umr.mkc, HW_MKC_A, 1);
	hw_set64(umr.mkc, HW_MKC_LEN, len);
	return umr;
}

/* Bytes of the two pieces that most tests use, 100 at 500 and 60 at 50. */
static void two(struct t_pair *p, struct hw_klm list[4])
{
	memset(list, 0, 4 * sizeof(*list));
	list[0] = hw_klm_encode(100, p->key[0], (uintptr_t)p->memory[0] + 500);
	list[1] = hw_klm_encode(60, p->key[0], (uintptr_t)p->memory[0] + 50);
}

static void expect_two(struct t_pair *p, uint32_t key)
{
	struct t_qp *qp = &p->qp[0];
	uint16_t index;

	memset(p->memory[1], 0, 160);
	t_fill(p->memory[0], 1000, key);
	index = t_rdma(qp, HW_OP_RDMA_WRITE, NULL, key, p->memory[1], p->key[1],
		       160);
	t_ring(qp);
	t_pair_run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, index);
	assert_memory_equal(p->memory[1], p->memory[0] + 500, 100);
	assert_memory_equal(p->memory[1] + 100, p->memory[0] + 50, 60);
}

static void test_an_inline_list_binds_the_key(void **state)
{
	struct t_pair *p = *state;
	uint32_t key = indirect(p, 4);
	uint8_t mkc[HW_MKC_BYTES];
	struct hw_klm list[4];
	struct t_umr umr;

	two(p, list);
	umr = configure(key | 0x77, list, 4, 160);
	t_umr_post(&p->qp[0], &umr);
	assert_int_equal(run(p), 0);
	expect_two(p, key | 0x77);
	t_query_mkey(&p->node[0], key, mkc);
	assert_int_equal(hw_get(mkc, HW_MKC_FREE), 0);
	assert_int_equal(hw_get(mkc, HW_MKC_MKEY_7_0), 0x77);
	assert_int_equal(hw_get64(mkc, HW_MKC_LEN), 160);
	assert_int_equal(hw_get(mkc, HW_MKC_LR), 1);
	assert_int_equal(hw_get(mkc, HW_MKC_RW), 1);
	/* It may be configured again without being free. */
	umr = configure(key, list, 4, 100);
	t_umr_post(&p->qp[0], &umr);
	assert_int_equal(run(p), 0);
	t_query_mkey(&p->node[0], key, mkc);
	assert_int_equal(hw_get(mkc, HW_MKC_MKEY_7_0), 0);
}

static void test_a_pointer_to_the_list_does_the_same(void **state)
{
	struct t_pair *p = *state;
	uint32_t key = indirect(p, 4);
	struct hw_klm *list = (struct hw_klm *)(p->memory[0] + 2000);
	struct hw_wqe_data data =
		hw_wqe_data_encode(64, p->key[0], (uintptr_t)list);
	struct t_umr umr = configure(key, NULL, 4, 160);

	two(p, list);
	umr.ctrl.flags = HW_UMR_MUST_BE_FREE;
	umr.pointer = &data;
	t_umr_post(&p->qp[0], &umr);
	assert_int_equal(run(p), 0);
	expect_two(p, key);
}

static void test_an_interleaved_layout_repeats(void **state)
{
	struct t_pair *p = *state;
	uint32_t key = indirect(p, 4), i;
	struct hw_repeat_head head = hw_repeat_head_encode(12, 10, 2);
	struct hw_repeat_entry a = hw_repeat_entry_encode(
		32, 8, p->key[0], (uintptr_t)p->memory[0]);
	struct hw_repeat_entry b = hw_repeat_entry_encode(
		16, 4, p->key[0], (uintptr_t)p->memory[0] + 1000);
	struct hw_klm list[4] = {{{0}, {0}, {0}}};
	struct t_umr umr;

	memcpy(&list[0], &head, 16);
	memcpy(&list[1], &a, 16);
	memcpy(&list[2], &b, 16);
	umr = configure(key, list, 4, 120);
	t_umr_post(&p->qp[0], &umr);
	assert_int_equal(run(p), 0);
	t_fill(p->memory[0], 2000, 9);
	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, NULL, key, p->memory[1], p->key[1],
	       120);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, (uint16_t)(p->qp[0].sq_pi - 1));
	for (i = 0; i < 10; i++) {
		assert_memory_equal(p->memory[1] + 12 * i,
				    p->memory[0] + 32 * i, 8);
		assert_memory_equal(p->memory[1] + 12 * i + 8,
				    p->memory[0] + 1000 + 16 * i, 4);
	}
}

static void test_an_offset_changes_part_of_the_list(void **state)
{
	struct t_pair *p = *state;
	uint32_t key = indirect(p, 8);
	struct hw_klm list[4];
	struct t_umr umr;

	two(p, list);
	list[0] = hw_klm_encode(100, 0x123400, 0);
	list[2] = hw_klm_encode(10, p->key[0], (uintptr_t)p->memory[0]);
	umr = configure(key, list, 4, 160);
	t_umr_post(&p->qp[0], &umr);
	assert_int_equal(run(p), 0);
	two(p, list);
	umr = configure(key, list, 1, 160);
	umr.ctrl.flags |= HW_UMR_OFFSET;
	t_umr_post(&p->qp[0], &umr);
	assert_int_equal(run(p), 0);
	expect_two(p, key);
	/* The last place, and one behind it. */
	umr.ctrl.offset = 7;
	t_umr_post(&p->qp[0], &umr);
	assert_int_equal(run(p), 0);
	umr.ctrl.offset = 8;
	t_umr_post(&p->qp[0], &umr);
	assert_int_equal(run(p), HW_SYND_MW_BIND);
	assert_true(t_logged(&p->node[0], "longer than the key's"));
	umr.ctrl.offset = (1ull << 48) - 1;
	t_umr_post(&p->qp[0], &umr);
	assert_int_equal(run(p), HW_SYND_MW_BIND);
	expect_two(p, key);
}

static void test_only_what_the_mask_names_is_taken_over(void **state)
{
	struct t_pair *p = *state;
	uint32_t key = indirect(p, 4);
	uint8_t before[HW_MKC_BYTES], after[HW_MKC_BYTES];
	struct hw_klm list[4];
	struct t_umr umr;

	two(p, list);
	umr = configure(key, list, 4, 160);
	t_umr_post(&p->qp[0], &umr);
	assert_int_equal(run(p), 0);
	t_query_mkey(&p->node[0], key, before);
	memset(umr.mkc, 0xff, sizeof(umr.mkc));
	umr.list = NULL;
	umr.ctrl.octwords = 0;
	umr.ctrl.mask = 0;
	t_umr_post(&p->qp[0], &umr);
	assert_int_equal(run(p), 0);
	t_query_mkey(&p->node[0], key, after);
	assert_memory_equal(before, after, sizeof(before));
	umr.ctrl.mask = HW_UMR_QPN | HW_UMR_EN_RINVAL | HW_UMR_SMALL_FENCE;
	hw_set(umr.mkc, HW_MKC_QPN, p->qp[0].number);
	t_umr_post(&p->qp[0], &umr);
	assert_int_equal(run(p), 0);
	hw_set(before, HW_MKC_QPN, p->qp[0].number);
	hw_set(before, HW_MKC_EN_RINVAL, 1);
	t_query_mkey(&p->node[0], key, after);
	assert_memory_equal(before, after, sizeof(before));
	/* The rights one by one. */
	umr.ctrl.mask = HW_UMR_LR | HW_UMR_A;
	memset(umr.mkc, 0, sizeof(umr.mkc));
	t_umr_post(&p->qp[0], &umr);
	assert_int_equal(run(p), 0);
	t_query_mkey(&p->node[0], key, after);
	assert_int_equal(hw_get(after, HW_MKC_LR), 0);
	assert_int_equal(hw_get(after, HW_MKC_A), 0);
	assert_int_equal(hw_get(after, HW_MKC_LW), 1);
	assert_int_equal(hw_get(after, HW_MKC_RR), 1);
}

static void test_a_ksm_key_gets_its_entity_size(void **state)
{
	struct t_pair *p = *state;
	struct t_klm_options options = {.mode = HW_MKC_MODE_KSM,
					.log_entity = 20,
					.free = true,
					.capacity = 4};
	uint32_t key = t_klm_key(&p->node[0], &options, NULL, 0);
	struct hw_klm list[4];
	struct t_umr umr;

	memset(list, 0, sizeof(list));
	list[0] = hw_klm_encode(0, p->key[0], (uintptr_t)p->memory[0] + 8192);
	list[1] = hw_klm_encode(0, p->key[0], (uintptr_t)p->memory[0]);
	umr = configure(key, list, 4, 8192);
	umr.ctrl.mask |= HW_UMR_PAGE_SIZE;
	hw_set(umr.mkc, HW_MKC_LOG_PAGE_SIZE, 12);
	t_umr_post(&p->qp[0], &umr);
	assert_int_equal(run(p), 0);
	t_fill(p->memory[0], 16384, 3);
	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, NULL, key, p->memory[1], p->key[1],
	       8192);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	assert_memory_equal(p->memory[1], p->memory[0] + 8192, 4096);
	assert_memory_equal(p->memory[1] + 4096, p->memory[0], 4096);
}

/* ------------------------------------------------------------- refusals */

static void refused(struct t_pair *p, const struct t_umr *umr, uint8_t syndrome,
		    const char *text)
{
	t_forget(&p->node[0]);
	t_umr_post(&p->qp[0], umr);
	assert_int_equal(run(p), syndrome);
	if (!t_logged(&p->node[0], text))
		fail_msg("the log lacks \"%s\": %s", text, p->node[0].log);
}

static void test_a_malformed_wqe_is_a_qp_operation_error(void **state)
{
	struct t_pair *p = *state;
	uint32_t key = indirect(p, 80);
	struct hw_klm list[8] = {{{0}, {0}, {0}}};
	struct t_umr umr = configure(key, list, 4, 160);
	struct hw_umr_ctrl ctrl = {.flags = 0};
	struct hw_wqe_data data;
	uint64_t bit;

	for (bit = 1; bit; bit <<= 1) {
		static const uint64_t fine =
			HW_UMR_LEN | HW_UMR_PAGE_SIZE | HW_UMR_START_ADDR |
			HW_UMR_EN_RINVAL | HW_UMR_MKEY | HW_UMR_QPN |
			HW_UMR_LR | HW_UMR_LW | HW_UMR_RR | HW_UMR_RW |
			HW_UMR_A | HW_UMR_SMALL_FENCE | HW_UMR_FREE;

		umr.ctrl.mask = bit;
		if (!(bit & fine))
			refused(p, &umr, HW_SYND_LOCAL_QP_OP,
				"bits that are not supported");
	}
	/* No room for the context, by one unit. */
	t_begin(&p->qp[0], HW_OP_UMR, 0, T_SIGNALED);
	t_segment(&p->qp[0], &ctrl, sizeof(ctrl));
	t_segment(&p->qp[0], list, 48);
	t_end(&p->qp[0]);
	assert_int_equal(run(p), HW_SYND_LOCAL_QP_OP);
	assert_true(t_logged(&p->node[0], "leaves no room for the UMR"));
	/* One entry less than octwords says. */
	umr = configure(key, NULL, 5, 160);
	t_begin(&p->qp[0], HW_OP_UMR, 0, T_SIGNALED);
	t_imm(&p->qp[0], key);
	ctrl = hw_umr_ctrl_encode(&umr.ctrl);
	t_segment(&p->qp[0], &ctrl, sizeof(ctrl));
	t_segment(&p->qp[0], umr.mkc, sizeof(umr.mkc));
	t_segment(&p->qp[0], list, 64);
	t_end(&p->qp[0]);
	assert_int_equal(run(p), HW_SYND_LOCAL_QP_OP);
	/* No pointer, or one to fewer bytes. */
	umr = configure(key, NULL, 4, 160);
	umr.ctrl.flags = 0;
	refused(p, &umr, HW_SYND_LOCAL_QP_OP, "no room for the pointer");
	data = hw_wqe_data_encode(63, p->key[0], (uintptr_t)p->memory[0]);
	umr.pointer = &data;
	refused(p, &umr, HW_SYND_LOCAL_QP_OP, "shorter than umr.octwords");
}

static void test_a_key_that_may_not_be_bound_is_a_bind_error(void **state)
{
	struct t_pair *p = *state;
	uint32_t pd = p->node[0].pd, key = indirect(p, 4), foreign;
	struct t_klm_options fixed = {.len = 10, .capacity = 4};
	struct hw_klm list[4] = {{{0}, {0}, {0}}};
	struct t_umr umr = configure(0x777700, list, 4, 160);

	refused(p, &umr, HW_SYND_MW_BIND, "no such key");
	umr.key = t_klm_key(&p->node[0], &fixed, list, 4);
	refused(p, &umr, HW_SYND_MW_BIND, "mkc.umr_en is 0");
	p->node[0].pd = t_pd(&p->node[0]);
	foreign = indirect(p, 4);
	p->node[0].pd = pd;
	umr.key = foreign;
	refused(p, &umr, HW_SYND_MW_BIND, "another protection domain");
	umr.key = key;
	umr.ctrl.flags |= HW_UMR_MUST_NOT_BE_FREE;
	refused(p, &umr, HW_SYND_MW_BIND, "the key is free");
	umr.ctrl.flags ^= HW_UMR_MUST_NOT_BE_FREE;
	hw_set64(umr.mkc, HW_MKC_START_ADDR, UINT64_MAX - 158);
	umr.ctrl.mask |= HW_UMR_START_ADDR;
	refused(p, &umr, HW_SYND_MW_BIND, "beyond 2^64");
	hw_set64(umr.mkc, HW_MKC_START_ADDR, UINT64_MAX - 159);
	t_umr_post(&p->qp[0], &umr);
	assert_int_equal(run(p), 0);
	umr.ctrl.flags |= HW_UMR_MUST_BE_FREE;
	refused(p, &umr, HW_SYND_MW_BIND, "the key is not free");
	umr.ctrl.octwords = 5;
	umr.list = (struct hw_klm[5]){{{0}, {0}, {0}}};
	umr.ctrl.flags = HW_UMR_INLINE;
	refused(p, &umr, HW_SYND_MW_BIND, "longer than the key's");
}

/* The memory of an MTT key is a umem; rights and the free bit may change. */
static void test_umr_of_a_direct_key(void **state)
{
	struct t_pair *p = *state;
	uint8_t in[HW_CREATE_MKEY_IN_BYTES] = {0}, out[T_OUT];
	uint8_t *mkc = in + HW_MKC_OFFSET;
	struct t_umr umr = {.fm_ce_se = T_SIGNALED};
	struct hw_klm list[4] = {{{0}, {0}, {0}}};
	uint32_t key;

	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_MKEY);
	hw_set(in, HW_CREATE_MKEY_UMEM_ID,
	       t_umem(&p->node[0], p->memory[0], 4096));
	hw_set(mkc, HW_MKC_ACCESS_MODE_1_0, HW_MKC_MODE_MTT);
	hw_set(mkc, HW_MKC_UMR_EN, 1);
	hw_set(mkc, HW_MKC_LR, 1);
	hw_set(mkc, HW_MKC_PD, p->node[0].pd);
	hw_set(mkc, HW_MKC_QPN, HW_MKC_QPN_ANY);
	hw_set64(mkc, HW_MKC_LEN, 4096);
	assert_int_equal(t_cmd(&p->node[0], in, sizeof(in), out), 0);
	key = hw_get(out, HW_CMD_OUT_NUMBER) << 8;
	umr.key = key;
	umr.ctrl.flags = HW_UMR_INLINE;
	umr.ctrl.mask = HW_UMR_LEN;
	refused(p, &umr, HW_SYND_MW_BIND, "only a KLM or KSM key");
	umr.ctrl.mask = 0;
	umr.ctrl.octwords = 4;
	umr.list = list;
	refused(p, &umr, HW_SYND_MW_BIND, "only a KLM or KSM key");
	/* Invalidated, and valid again: the same memory. */
	t_local_inv(&p->qp[0], key);
	assert_int_equal(run(p), 0);
	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, NULL, key, p->memory[1], p->key[1],
	       8);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR,
		       (uint16_t)(p->qp[0].sq_pi - 1), HW_SYND_LOCAL_PROT);
	assert_true(t_logged(&p->node[0], "the key is free"));
	t_pair_reconnect(p);
	umr.ctrl.octwords = 0;
	umr.list = NULL;
	umr.ctrl.mask = HW_UMR_FREE | HW_UMR_MKEY;
	hw_set(umr.mkc, HW_MKC_MKEY_7_0, 5);
	t_umr_post(&p->qp[0], &umr);
	assert_int_equal(run(p), 0);
	t_fill(p->memory[0], 8, 77);
	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, NULL, key | 5, p->memory[1],
	       p->key[1], 8);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	assert_memory_equal(p->memory[0], p->memory[1], 8);
}

static void test_the_memory_of_the_list_is_protected(void **state)
{
	struct t_pair *p = *state;
	uint32_t key = indirect(p, 4), gone;
	struct hw_wqe_data data =
		hw_wqe_data_encode(64, p->key[0] + 1, (uintptr_t)p->memory[0]);
	struct t_umr umr = configure(key, NULL, 4, 160);
	uint8_t mkc[HW_MKC_BYTES];
	void *page;

	umr.ctrl.flags = 0;
	umr.pointer = &data;
	refused(p, &umr, HW_SYND_LOCAL_PROT, "of another registration");
	data = hw_wqe_data_encode(64, p->key[0],
				  (uintptr_t)p->memory[0] + T_PAIR_BYTES - 63);
	refused(p, &umr, HW_SYND_LOCAL_PROT, "not inside the key's memory");
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	gone = t_mr(&p->node[0], page, 4096);
	munmap(page, 4096);
	data = hw_wqe_data_encode(64, gone, (uintptr_t)page);
	refused(p, &umr, HW_SYND_LOCAL_PROT, "is not mapped");
	t_query_mkey(&p->node[0], key, mkc);
	assert_int_equal(hw_get(mkc, HW_MKC_FREE), 1);
}

/* ------------------------------------------------- order and completions */

/* A request in the same doorbell behind it uses the key. */
static void test_what_is_posted_behind_it_sees_the_key(void **state)
{
	struct t_pair *p = *state;
	uint32_t key = indirect(p, 4);
	struct hw_klm list[4];
	struct t_umr umr;

	two(p, list);
	umr = configure(key, list, 4, 160);
	umr.fm_ce_se = 0; /* unsignaled */
	t_fill(p->memory[0], 1000, 5);
	t_umr_post(&p->qp[0], &umr);
	t_begin(&p->qp[0], HW_OP_RDMA_WRITE, 0,
		hw_fm_ce_se(HW_FENCE_INITIATOR_SMALL, HW_CE_ALWAYS, 0));
	t_raddr(&p->qp[0], p->memory[1], p->key[1]);
	t_data(&p->qp[0], NULL, 160, key);
	t_end(&p->qp[0]);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, 3);
	t_expect_none(&p->cq[0]);
	assert_memory_equal(p->memory[1], p->memory[0] + 500, 100);
}

/* Behind a fence it waits for the reads that use the key's old memory. */
static void test_a_fence_holds_it_behind_reads(void **state)
{
	struct t_pair *p = *state;
	uint32_t key = indirect(p, 4);
	struct hw_klm list[4];
	struct t_umr umr;

	two(p, list);
	umr = configure(key, list, 4, 160);
	t_umr_post(&p->qp[0], &umr);
	assert_int_equal(run(p), 0);
	t_fill(p->memory[1], 160, 8);
	t_rdma(&p->qp[0], HW_OP_RDMA_READ, NULL, key, p->memory[1], p->key[1],
	       160);
	hw_set(umr.mkc, HW_MKC_FREE, 1);
	umr.ctrl.octwords = 0;
	umr.list = NULL;
	umr.fm_ce_se = hw_fm_ce_se(HW_FENCE_FENCE, HW_CE_ALWAYS, 0);
	t_umr_post(&p->qp[0], &umr);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, (uint16_t)(p->qp[0].sq_pi - 3));
	t_expect(&p->cq[0], HW_CQE_REQ, (uint16_t)(p->qp[0].sq_pi - 2));
	assert_memory_equal(p->memory[1], p->memory[0] + 500, 100);
}

/* Those before it complete, it fails, those behind it are flushed. */
static void test_a_failed_umr_completes_in_its_turn(void **state)
{
	struct t_pair *p = *state;
	struct t_umr umr = {.key = 0x777700};

	t_rdma(&p->qp[0], HW_OP_RDMA_READ, p->memory[0], p->key[0],
	       p->memory[1], p->key[1], 100000);
	t_umr_post(&p->qp[0], &umr);
	t_begin(&p->qp[0], HW_OP_NOP, 0, T_SIGNALED);
	t_end(&p->qp[0]);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, 0);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 1, HW_SYND_MW_BIND);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 3, HW_SYND_WR_FLUSH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_PAIR_TEST(test_an_inline_list_binds_the_key),
		T_PAIR_TEST(test_a_pointer_to_the_list_does_the_same),
		T_PAIR_TEST(test_an_interleaved_layout_repeats),
		T_PAIR_TEST(test_an_offset_changes_part_of_the_list),
		T_PAIR_TEST(test_only_what_the_mask_names_is_taken_over),
		T_PAIR_TEST(test_a_ksm_key_gets_its_entity_size),
		T_PAIR_TEST(test_a_malformed_wqe_is_a_qp_operation_error),
		T_PAIR_TEST(test_a_key_that_may_not_be_bound_is_a_bind_error),
		T_PAIR_TEST(test_umr_of_a_direct_key),
		T_PAIR_TEST(test_the_memory_of_the_list_is_protected),
		T_PAIR_TEST(test_what_is_posted_behind_it_sees_the_key),
		T_PAIR_TEST(test_a_fence_holds_it_behind_reads),
		T_PAIR_TEST(test_a_failed_umr_completes_in_its_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
