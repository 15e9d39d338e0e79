/* SPDX-License-Identifier: MIT */
/*
 * WQE forms: every shape that the stacks post, and what each malformed one
 * completes with. Atomics: test_execute_atomics.c; WAIT, DUMP and fences:
 * test_execute_local.c.
 */
#include "support/t_pair.h"

#include <sys/mman.h>

static void run(struct t_pair *p)
{
	t_ring(&p->qp[0]);
	t_pair_run(p);
}

/* The WQE fails by itself; the QP is in ERR and works after a reset. */
static void expect_failure(struct t_pair *p, uint16_t index, uint8_t syndrome)
{
	run(p);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, index, syndrome);
	t_expect_none(&p->cq[0]);
	assert_int_equal(t_state(&p->qp[0]), HW_QP_ERR);
	assert_int_equal(t_state(&p->qp[1]), HW_QP_RTS);
	t_pair_reconnect(p);
	t_pair_works(p);
}

static void test_nop_with_and_without_garbage(void **state)
{
	struct t_pair *p = *state;
	uint8_t garbage[16];
	uint16_t index;

	memset(garbage, 0xee, sizeof(garbage));
	t_begin(&p->qp[0], HW_OP_NOP, 0, T_SIGNALED);
	index = t_end(&p->qp[0]);
	t_begin(&p->qp[0], HW_OP_NOP, 0, T_SIGNALED);
	t_segment(&p->qp[0], garbage, sizeof(garbage));
	t_end(&p->qp[0]);
	run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, index);
	t_expect(&p->cq[0], HW_CQE_REQ, (uint16_t)(index + 1));
	t_expect_none(&p->cq[0]);
}

/* Reserved and unused fields of the segments hold what was in the ring. */
static void test_reserved_fields_are_ignored(void **state)
{
	struct t_pair *p = *state;
	uint16_t index;

	t_fill(p->memory[0], 64, 3);
	t_begin(&p->qp[0], HW_OP_RDMA_WRITE, 0xff, T_SIGNALED);
	t_imm(&p->qp[0], 0xdeadbeef);
	p->qp[0].wqe[8] = 0xaa; /* signature */
	p->qp[0].wqe[9] = 0xbb; /* DCI stream */
	p->qp[0].wqe[10] = 0xcc;
	t_raddr(&p->qp[0], p->memory[1], p->key[1]);
	memset(p->qp[0].wqe + 28, 0xdd, 4);
	t_data(&p->qp[0], p->memory[0], 64, p->key[0]);
	index = t_end(&p->qp[0]);
	run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, index);
	assert_memory_equal(p->memory[0], p->memory[1], 64);
}

/* Up to ds 63: a gather list of 61 pieces of odd lengths. */
static void gather(struct t_pair *p, uint8_t opcode, unsigned pieces)
{
	uint8_t *expected = p->memory[0] + (512 << 10);
	uint32_t total = 0, len, i;
	uint16_t index;

	t_fill(p->memory[0], 256 << 10, pieces);
	memset(p->memory[1], 0, 64 << 10);
	t_begin(&p->qp[0], opcode, 0, T_SIGNALED);
	if (opcode == HW_OP_RDMA_WRITE)
		t_raddr(&p->qp[0], p->memory[1], p->key[1]);
	else
		t_post_recv(&p->qp[1], p->memory[1], 64 << 10, p->key[1]);
	for (i = 0; i < pieces; i++) {
		len = 1 + i * 17;
		t_data(&p->qp[0], p->memory[0] + i * 2048, len, p->key[0]);
		memcpy(expected + total, p->memory[0] + i * 2048, len);
		total += len;
	}
	index = t_end(&p->qp[0]);
	run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, index);
	assert_memory_equal(p->memory[1], expected, total);
	assert_int_equal(p->memory[1][total], 0);
}

static void test_gather_lists_of_every_length(void **state)
{
	struct t_pair *p = *state;
	struct hw_cqe_info info;
	unsigned pieces;

	for (pieces = 1; pieces <= 61; pieces++)
		gather(p, HW_OP_RDMA_WRITE, pieces);
	gather(p, HW_OP_SEND, 62);
	assert_true(t_poll(&p->cq[1], &info));
	assert_int_equal(info.byte_cnt, 62 + 17 * 61 * 62 / 2);
}

static void test_a_read_scatters_over_its_list(void **state)
{
	struct t_pair *p = *state;
	unsigned i;
	uint16_t index;

	t_fill(p->memory[1], 4096, 9);
	t_begin(&p->qp[0], HW_OP_RDMA_READ, 0, T_SIGNALED);
	t_raddr(&p->qp[0], p->memory[1], p->key[1]);
	for (i = 0; i < 61; i++)
		t_data(&p->qp[0], p->memory[0] + i * 100, 67, p->key[0]);
	index = t_end(&p->qp[0]);
	run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, index);
	for (i = 0; i < 61; i++) {
		assert_memory_equal(p->memory[0] + i * 100,
				    p->memory[1] + i * 67, 67);
		assert_int_equal(p->memory[0][i * 100 + 67], 0);
	}
}

static void test_inline_data_of_every_length(void **state)
{
	/* 972 fills ds 63: 1008 - ctrl - raddr - 4 */
	static const uint32_t lengths[] = {0,  1,  4,  11, 12,	13,  28,
					   29, 44, 48, 49, 256, 900, 972};
	struct t_pair *p = *state;
	uint8_t bytes[1000];
	uint16_t index;
	unsigned i;

	t_fill(bytes, sizeof(bytes), 7);
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		memset(p->memory[1], 0x55, 1024);
		t_begin(&p->qp[0], HW_OP_RDMA_WRITE, 0, T_SIGNALED);
		t_raddr(&p->qp[0], p->memory[1], p->key[1]);
		t_inline(&p->qp[0], bytes, lengths[i]);
		index = t_end(&p->qp[0]);
		run(p);
		t_expect(&p->cq[0], HW_CQE_REQ, index);
		assert_memory_equal(p->memory[1], bytes, lengths[i]);
		assert_int_equal(p->memory[1][lengths[i]], 0x55);
	}
}

/* The bytes are taken at the doorbell: the WQE may be overwritten after. */
static void test_inline_sends_arrive_with_immediate(void **state)
{
	struct t_pair *p = *state;
	struct hw_cqe_info info;

	t_post_recv(&p->qp[1], p->memory[1], 100, p->key[1]);
	t_begin(&p->qp[0], HW_OP_SEND_IMM, 0, T_SIGNALED | HW_SOLICITED);
	t_imm(&p->qp[0], 0xcafe0001);
	t_inline(&p->qp[0], "sixteen letters.", 16);
	t_end(&p->qp[0]);
	run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, 0);
	assert_true(t_poll(&p->cq[1], &info));
	assert_int_equal(info.opcode, HW_CQE_RESP_SEND_IMM);
	assert_int_equal(info.imm, 0xcafe0001);
	assert_int_equal(info.byte_cnt, 16);
	assert_int_equal(info.solicited, 1);
	assert_memory_equal(p->memory[1], "sixteen letters.", 17);
}

/* Without a data segment: data segments of length 0 mean 2^31 bytes. */
static void test_messages_of_no_bytes(void **state)
{
	static const uint8_t opcodes[] = {HW_OP_RDMA_WRITE, HW_OP_RDMA_READ,
					  HW_OP_RDMA_WRITE_IMM, HW_OP_SEND};
	struct t_pair *p = *state;
	struct hw_cqe_info info;
	uint16_t index;
	unsigned i;

	for (i = 0; i < sizeof(opcodes); i++) {
		if (hw_wqe_op(opcodes[i]).flags & HW_OPF_RECV)
			t_post_recv(&p->qp[1], p->memory[1], 64, p->key[1]);
		t_begin(&p->qp[0], opcodes[i], 0, T_SIGNALED);
		/* No key: there is nothing to protect. */
		if (hw_wqe_op(opcodes[i]).flags & HW_OPF_RADDR)
			t_raddr(&p->qp[0], NULL, 0);
		index = t_end(&p->qp[0]);
		run(p);
		t_expect(&p->cq[0], HW_CQE_REQ, index);
	}
	assert_true(t_poll(&p->cq[1], &info));
	assert_int_equal(info.opcode, HW_CQE_RESP_WR_IMM);
	assert_int_equal(info.byte_cnt, 0);
	assert_true(t_poll(&p->cq[1], &info));
	assert_int_equal(info.opcode, HW_CQE_RESP_SEND);
	assert_int_equal(info.byte_cnt, 0);
}

static void test_write_with_immediate_consumes_a_receive(void **state)
{
	struct t_pair *p = *state;
	struct hw_cqe_info info;
	uint16_t index;

	t_fill(p->memory[0], 300000, 1);
	t_post_recv(&p->qp[1], NULL, 1, 0); /* its list is not used */
	t_begin(&p->qp[0], HW_OP_RDMA_WRITE_IMM, 0, T_SIGNALED);
	t_imm(&p->qp[0], 77);
	t_raddr(&p->qp[0], p->memory[1], p->key[1]);
	t_data(&p->qp[0], p->memory[0], 300000, p->key[0]);
	index = t_end(&p->qp[0]);
	run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, index);
	assert_true(t_poll(&p->cq[1], &info));
	assert_int_equal(info.opcode, HW_CQE_RESP_WR_IMM);
	assert_int_equal(info.wqe_counter, 0);
	assert_int_equal(info.imm, 77);
	assert_int_equal(info.byte_cnt, 300000);
	assert_int_equal(info.qpn, p->qp[1].number);
	assert_memory_equal(p->memory[0], p->memory[1], 300000);
}

/* ------------------------------------------------------------- failures */

static void test_an_unknown_opcode_fails(void **state)
{
	static const uint8_t opcodes[] = {0x02, 0x07, 0x0c, 0x13, 0x16,
					  0x22, 0x24, 0x26, 0xff};
	struct t_pair *p = *state;
	unsigned i;

	for (i = 0; i < sizeof(opcodes); i++) {
		t_begin(&p->qp[0], opcodes[i], 0, T_SIGNALED);
		expect_failure(p, t_end(&p->qp[0]), HW_SYND_LOCAL_QP_OP);
	}
	assert_true(t_logged(&p->node[0], "ctrl.opcode is 0xff"));
}

static void test_segments_that_are_missing_fail(void **state)
{
	static const uint8_t opcodes[] = {HW_OP_RDMA_WRITE, HW_OP_RDMA_READ,
					  HW_OP_ATOMIC_CS, HW_OP_ATOMIC_FA,
					  HW_OP_WAIT};
	struct t_pair *p = *state;
	unsigned i;

	for (i = 0; i < sizeof(opcodes); i++) {
		t_begin(&p->qp[0], opcodes[i], 0, T_SIGNALED);
		expect_failure(p, t_end(&p->qp[0]), HW_SYND_LOCAL_QP_OP);
	}
	assert_true(t_logged(&p->node[0], "leaves no room for the remote"));
	assert_true(t_logged(&p->node[0], "leaves no room for the WAIT"));
}

/* Headers inline and their payload by address, as UCX sends them. */
static void test_inline_and_data_segments_mix(void **state)
{
	static const uint32_t heads[] = {0, 1, 12, 13, 28, 44, 60, 500};
	struct t_pair *p = *state;
	uint32_t lens[] = {0, 3, 3000, 11000}, i, k, at;
	uint8_t head[500], *to = p->memory[1];
	uint16_t index;

	t_fill(head, sizeof(head), 3);
	t_fill(p->memory[0], 12000, 4);
	for (i = 0; i < 8; i++)
		for (k = 0; k < 4; k++) {
			memset(to, 0x55, 24000);
			t_begin(&p->qp[0], HW_OP_RDMA_WRITE, 0, T_SIGNALED);
			t_raddr(&p->qp[0], to, p->key[1]);
			t_data(&p->qp[0], p->memory[0], 5, p->key[0]);
			t_inline(&p->qp[0], head, heads[i]);
			t_data(&p->qp[0], p->memory[0], lens[k] + 1, p->key[0]);
			t_inline(&p->qp[0], head, 7);
			t_data(&p->qp[0], p->memory[0], lens[k] + 9, p->key[0]);
			index = t_end(&p->qp[0]);
			run(p);
			t_expect(&p->cq[0], HW_CQE_REQ, index);
			assert_memory_equal(to, p->memory[0], 5);
			at = 5;
			assert_memory_equal(to + at, head, heads[i]);
			at += heads[i];
			assert_memory_equal(to + at, p->memory[0], lens[k] + 1);
			at += lens[k] + 1;
			assert_memory_equal(to + at, head, 7);
			at += 7;
			assert_memory_equal(to + at, p->memory[0], lens[k] + 9);
			assert_int_equal(to[at + lens[k] + 9], 0x55);
		}
}

static void test_inline_data_longer_than_its_wqe_fails(void **state)
{
	struct t_pair *p = *state;
	struct hw_wqe_inline head = hw_wqe_inline_encode(29);
	uint8_t seg[32] = {0};

	/* ds 4: room for 28 bytes */
	memcpy(seg, &head, sizeof(head));
	t_begin(&p->qp[0], HW_OP_RDMA_WRITE, 0, T_SIGNALED);
	t_raddr(&p->qp[0], p->memory[1], p->key[1]);
	t_segment(&p->qp[0], seg, sizeof(seg));
	expect_failure(p, t_end(&p->qp[0]), HW_SYND_LOCAL_QP_OP);
	assert_true(t_logged(&p->node[0], "29 bytes of inline data need 3"));
}

static void test_inline_data_of_a_read_fails(void **state)
{
	struct t_pair *p = *state;

	t_begin(&p->qp[0], HW_OP_RDMA_READ, 0, T_SIGNALED);
	t_raddr(&p->qp[0], p->memory[1], p->key[1]);
	t_inline(&p->qp[0], "x", 1);
	expect_failure(p, t_end(&p->qp[0]), HW_SYND_LOCAL_QP_OP);
}

static void test_a_bad_local_key_fails(void **state)
{
	struct t_pair *p = *state;
	uint16_t index;

	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, p->memory[0], p->key[0] + 0x100,
	       p->memory[1], p->key[1], 8);
	expect_failure(p, 0, HW_SYND_LOCAL_PROT);
	index = t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, p->memory[0] + 1, p->key[0],
		       p->memory[1], p->key[1], T_PAIR_BYTES);
	expect_failure(p, index, HW_SYND_LOCAL_PROT);
	assert_true(t_logged(&p->node[0], "data segment 0: ["));
	assert_true(t_logged(&p->node[0], "the range is not inside"));
}

/* What stood before a bad WQE completes first; nothing after it runs. */
static void test_a_bad_wqe_fails_in_its_turn(void **state)
{
	struct t_pair *p = *state;

	t_pair_rdma(p, HW_OP_RDMA_WRITE, 8);
	t_pair_rdma(p, HW_OP_RDMA_READ, 300000);
	t_begin(&p->qp[0], 0x77, 0, 0);
	t_end(&p->qp[0]);
	memset(p->memory[1] + 8192, 0, 8);
	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, p->memory[0], p->key[0],
	       p->memory[1] + 8192, p->key[1], 8);
	memset(p->memory[0], 1, 8);
	run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, 0);
	t_expect(&p->cq[0], HW_CQE_REQ, 1);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 2, HW_SYND_LOCAL_QP_OP);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 3, HW_SYND_WR_FLUSH);
	t_expect_none(&p->cq[0]);
	assert_int_equal(p->memory[1][8192], 0);
}

/* ------------------------------------------------------------- lengths */

enum { GIB = 1 << 30 };

/* Memory that costs nothing until it is touched. */
static uint8_t *map_big(struct t_node *node, size_t len, uint32_t *key)
{
	uint8_t *memory =
		mmap(NULL, len, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_true(memory != MAP_FAILED);
	*key = t_mr(node, memory, len);
	return memory;
}

static void test_one_byte_over_1_gib_is_too_long(void **state)
{
	struct t_pair *p = *state;
	uint32_t key;
	uint8_t *big = map_big(&p->node[0], (size_t)GIB + 4096, &key);

	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, big, key, p->memory[1], p->key[1],
	       GIB + 1);
	expect_failure(p, 0, HW_SYND_LOCAL_LENGTH);
	/* In pieces, too */
	t_begin(&p->qp[0], HW_OP_RDMA_WRITE, 0, T_SIGNALED);
	t_raddr(&p->qp[0], p->memory[1], p->key[1]);
	t_data(&p->qp[0], big, GIB, key);
	t_data(&p->qp[0], big, 1, key);
	expect_failure(p, t_end(&p->qp[0]), HW_SYND_LOCAL_LENGTH);
	assert_true(t_logged(&p->node[0], "longer than 2^30"));
	munmap(big, (size_t)GIB + 4096);
}

/* Zero means 2^31: over the limit if there is memory, else not inside it. */
static void test_a_data_segment_of_0_bytes_means_2_to_31(void **state)
{
	struct t_pair *p = *state;
	uint32_t key;
	uint8_t *big = map_big(&p->node[0], 1ul << 31, &key);
	uint16_t index;

	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, big, key, p->memory[1], p->key[1],
	       0);
	expect_failure(p, 0, HW_SYND_LOCAL_LENGTH);
	index = t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, p->memory[0], p->key[0],
		       p->memory[1], p->key[1], 0);
	expect_failure(p, index, HW_SYND_LOCAL_PROT);
	munmap(big, 1ul << 31);
}

/* The largest message, over memory that is mostly never touched. */
static void test_a_message_of_1_gib_is_carried(void **state)
{
	struct t_pair *p = *state;
	uint32_t src_key, dst_key;
	uint8_t *src = map_big(&p->node[0], GIB, &src_key);
	uint8_t *dst = map_big(&p->node[1], GIB, &dst_key);

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
	print_message("skipped: too slow under a sanitizer\n");
	munmap(src, GIB);
	munmap(dst, GIB);
	return;
#endif
	src[0] = 1;
	src[GIB - 1] = 2;
	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, src, src_key, dst, dst_key, GIB);
	run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, 0);
	assert_int_equal(dst[0], 1);
	assert_int_equal(dst[GIB - 1], 2);
	munmap(src, GIB);
	munmap(dst, GIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_PAIR_TEST(test_nop_with_and_without_garbage),
		T_PAIR_TEST(test_reserved_fields_are_ignored),
		T_PAIR_TEST(test_gather_lists_of_every_length),
		T_PAIR_TEST(test_a_read_scatters_over_its_list),
		T_PAIR_TEST(test_inline_data_of_every_length),
		T_PAIR_TEST(test_inline_sends_arrive_with_immediate),
		T_PAIR_TEST(test_messages_of_no_bytes),
		T_PAIR_TEST(test_write_with_immediate_consumes_a_receive),
		T_PAIR_TEST(test_an_unknown_opcode_fails),
		T_PAIR_TEST(test_segments_that_are_missing_fail),
		T_PAIR_TEST(test_inline_and_data_segments_mix),
		T_PAIR_TEST(test_inline_data_longer_than_its_wqe_fails),
		T_PAIR_TEST(test_inline_data_of_a_read_fails),
		T_PAIR_TEST(test_a_bad_local_key_fails),
		T_PAIR_TEST(test_a_bad_wqe_fails_in_its_turn),
		T_PAIR_TEST(test_one_byte_over_1_gib_is_too_long),
		T_PAIR_TEST(test_a_data_segment_of_0_bytes_means_2_to_31),
		T_PAIR_TEST(test_a_message_of_1_gib_is_carried),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
