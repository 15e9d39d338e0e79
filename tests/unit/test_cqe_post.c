/* SPDX-License-Identifier: MIT */
/*
 * CQEs in the ring: owner parity over laps, collapsed, 128 bytes, overrun,
 * a ring or a record that is gone, every field of a good CQE.
 */
#include "support/t_pair.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

static void nops(struct t_qp *qp, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		t_begin(qp, HW_OP_NOP, 0, T_SIGNALED);
		t_end(qp);
	}
	t_ring(qp);
}

static struct t_pair *open_with(const struct t_cq_options *cq, uint32_t start)
{
	struct t_pair_options options = t_pair_defaults;

	options.cq = *cq;
	options.config.start_counter = start;
	return t_pair_open(&options);
}

/* Fill the ring and drain it, lap for lap. */
static void laps(uint8_t log_size, uint8_t cqe_sz, uint32_t start)
{
	const struct t_cq_options cq = {.log_size = log_size, .cqe_sz = cqe_sz};
	struct t_pair *p = open_with(&cq, start);
	unsigned lap, i, size = 1u << log_size;

	for (lap = 0; lap < 5; lap++) {
		nops(&p->qp[0], size);
		t_pair_run(p);
		for (i = 0; i < size; i++)
			t_expect(&p->cq[0], HW_CQE_REQ,
				 (uint16_t)(start + lap * size + i));
		t_expect_none(&p->cq[0]);
	}
	t_pair_close(p);
}

static void test_the_owner_bit_is_the_parity_of_the_lap(void **state)
{
	static const uint32_t starts[] = {0, 0xfffd, 0xfffffd, 0x1000000 - 64,
					  0xfffffffd};
	static const uint8_t log_sizes[] = {0, 1, 3, 6};
	unsigned i, j;
	uint8_t cqe_sz;

	(void)state;
	for (i = 0; i < 5; i++)
		for (j = 0; j < sizeof(log_sizes); j++)
			for (cqe_sz = 0; cqe_sz < 3; cqe_sz++)
				laps(log_sizes[j], cqe_sz, starts[i]);
}

/* The first half of a 128-byte entry is left alone. */
static void test_a_128_byte_entry_has_its_cqe_in_the_second_half(void **state)
{
	const struct t_cq_options cq = {.log_size = 2, .cqe_sz = HW_CQE_SZ_128};
	struct t_pair *p = open_with(&cq, 0);
	uint8_t untouched[64];

	(void)state;
	memset(untouched, 0xff, sizeof(untouched));
	nops(&p->qp[0], 1);
	t_pair_run(p);
	assert_memory_equal(p->cq[0].ring, untouched, 64);
	assert_memory_equal(p->cq[0].ring + 128, untouched, 64);
	t_expect(&p->cq[0], HW_CQE_REQ, 0);
	t_pair_close(p);
}

/* NVSHMEM and UCX: every CQE goes to entry 0, the record is never written. */
static void test_a_collapsed_cq_keeps_the_last_cqe(void **state)
{
	const struct t_cq_options cq = {
		.log_size = 4, .collapsed = true, .overrun_ignore = true};
	struct t_pair *p = open_with(&cq, 0xffff0000);
	struct hw_cqe_info info;
	uint8_t untouched[15 * 64];
	unsigned i;

	(void)state;
	memset(untouched, 0xff, sizeof(untouched));
	assert_false(t_collapsed(&p->cq[0], &info));
	for (i = 0; i < 70000; i += 7) {
		nops(&p->qp[0], 7);
		t_pair_run(p);
		assert_true(t_collapsed(&p->cq[0], &info));
		assert_int_equal(info.opcode, HW_CQE_REQ);
		assert_int_equal(info.wqe_counter, (uint16_t)(i + 6));
		assert_int_equal(info.owner, 0);
	}
	assert_memory_equal(p->cq[0].ring + 64, untouched, sizeof(untouched));
	assert_int_equal(t_state(&p->qp[0]), HW_QP_RTS);
	t_pair_close(p);
}

static void test_overrun_is_ignored_when_asked(void **state)
{
	const struct t_cq_options cq = {.log_size = 2, .overrun_ignore = true};
	struct t_pair *p = open_with(&cq, 0);

	(void)state;
	nops(&p->qp[0], 11);
	t_pair_run(p);
	assert_int_equal(t_state(&p->qp[0]), HW_QP_RTS);
	/* Entries 8, 9, 10 and the older 7; this is the third lap's reader. */
	p->cq[0].ci = 8;
	t_expect(&p->cq[0], HW_CQE_REQ, 8);
	t_expect(&p->cq[0], HW_CQE_REQ, 9);
	t_expect(&p->cq[0], HW_CQE_REQ, 10);
	t_expect_none(&p->cq[0]);
	t_pair_close(p);
}

static void test_overrun_fails_the_cq_and_its_qp_alone(void **state)
{
	const struct t_cq_options small = {.log_size = 2, .eqn = 9};
	struct t_pair *p = *state;
	struct nic_counters counters;
	struct t_cq cq;
	struct t_qp qp;
	uint8_t out[T_OUT];
	unsigned i;

	t_cq_create(&p->node[0], &cq, &small);
	t_qp_create(&p->node[0], &qp, &cq, &cq, &t_pair_defaults.qp);
	t_connect(&qp, &qp, NULL);
	nops(&qp, 4);
	t_pair_run(p);
	assert_int_equal(t_state(&qp), HW_QP_RTS);
	nops(&qp, 2);
	t_pair_run(p);
	assert_int_equal(t_state(&qp), HW_QP_ERR);
	assert_int_equal(t_events(&p->node[0], NIC_EVENT_CQ_ERROR), 1);
	assert_int_equal(p->node[0].events[0].number, cq.number);
	assert_int_equal(p->node[0].events[0].eqn, 9);
	assert_int_equal(t_events(&p->node[0], NIC_EVENT_QP_FATAL), 1);
	assert_true(t_logged(&p->node[0], "overrun"));
	nic_get_counters(p->node[0].nic, &counters);
	assert_int_equal(counters.cq_overruns, 1);
	t_simple(&p->node[0], HW_CMD_QUERY_CQ, cq.number, out);
	assert_int_equal(hw_get(out + HW_CQC_OFFSET, HW_CQC_STATUS),
			 HW_CQ_OVERFLOW);
	/* The CQEs that were there are not overwritten. */
	for (i = 0; i < 4; i++)
		t_expect(&cq, HW_CQE_REQ, (uint16_t)i);
	t_expect_none(&cq);
	t_pair_works(p);
	assert_int_equal(t_qp_destroy(&qp), 0);
	assert_int_equal(t_cq_destroy(&cq), 0);
}

/* A message whose receive CQE finds no room is not acknowledged. */
static void test_an_overrun_receive_cq_fails_the_responder(void **state)
{
	const struct t_cq_options cq = {.log_size = 0};
	struct t_pair_options options = t_pair_defaults;
	struct t_connect connect = {
		.ack_timeout = 8, .retries = 1, .log_ra_max = 4};
	struct t_pair *p;
	int i;

	(void)state;
	options.cq = cq;
	options.connect = &connect;
	p = t_pair_open(&options);
	for (i = 0; i < 2; i++) {
		t_post_recv(&p->qp[1], p->memory[1], 64, p->key[1]);
		t_begin(&p->qp[0], HW_OP_SEND, 0, T_SIGNALED);
		t_data(&p->qp[0], p->memory[0], 64, p->key[0]);
		t_end(&p->qp[0]);
		t_ring(&p->qp[0]);
		t_pair_run(p);
		if (!i)
			t_expect(&p->cq[0], HW_CQE_REQ, 0);
	}
	assert_int_equal(t_state(&p->qp[1]), HW_QP_ERR);
	assert_int_equal(t_events(&p->node[1], NIC_EVENT_CQ_ERROR), 1);
	assert_int_equal(t_events(&p->node[1], NIC_EVENT_QP_FATAL), 1);
	t_run_for(p->node, 2, 1000000000);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 1, HW_SYND_RETRY_EXC);
	t_pair_close(p);
}

static void test_a_good_cqe_has_every_field(void **state)
{
	struct t_pair_options options = t_pair_defaults;
	struct hw_cqe_info info;
	struct t_pair *p;

	(void)state;
	options.qp.user_index = 0x123456;
	p = t_pair_open(&options);
	p->node[0].now_ns = p->node[1].now_ns = 987654321;
	t_pair_rdma(p, HW_OP_RDMA_READ, 1234);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	assert_true(t_poll(&p->cq[0], &info));
	assert_int_equal(info.opcode, HW_CQE_REQ);
	assert_int_equal(info.wqe_opcode, HW_OP_RDMA_READ);
	assert_int_equal(info.qpn, p->qp[0].number);
	assert_int_equal(info.user_index, 0x123456);
	assert_int_equal(info.byte_cnt, 1234);
	assert_int_equal(info.timestamp, 987654321);
	t_pair_close(p);
}

/* --------------------------------------------------- memory that is gone */

enum { PAGE = 4096 };

/* A CQ of 64 entries in a page, its record in the next. */
static void mapped_cq(struct t_pair *p, struct t_cq *cq, struct t_qp *qp,
		      uint8_t log_size)
{
	uint8_t in[HW_CREATE_CQ_IN_BYTES], out[T_OUT];
	uint8_t *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t umem;

	assert_true(pages != MAP_FAILED);
	memset(pages, 0xff, PAGE);
	umem = t_umem(&p->node[0], pages, 2 * PAGE);
	*cq = p->cq[0];
	memcpy(in, cq->create, sizeof(in));
	hw_set(in, HW_CREATE_CQ_UMEM_ID, umem);
	hw_set(in + HW_CQC_OFFSET, HW_CQC_LOG_CQ_SIZE, log_size);
	hw_set(in + HW_CQC_OFFSET, HW_CQC_DBR_UMEM_ID, umem);
	hw_set64(in + HW_CQC_OFFSET, HW_CQC_DBR_ADDR, PAGE);
	assert_int_equal(t_cmd(&p->node[0], in, sizeof(in), out), HW_CMD_OK);
	cq->number = hw_get(out, HW_CMD_OUT_NUMBER);
	cq->ring = pages;
	cq->size = 1u << log_size;
	cq->dbrec = (be32 *)(pages + PAGE);
	t_qp_create(&p->node[0], qp, cq, cq, &t_pair_defaults.qp);
	t_connect(qp, qp, NULL);
}

static void test_a_ring_that_is_unmapped_fails_the_cq(void **state)
{
	struct t_pair *p = *state;
	struct t_cq cq;
	struct t_qp qp;

	mapped_cq(p, &cq, &qp, 6);
	nops(&qp, 1);
	t_pair_run(p);
	t_expect(&cq, HW_CQE_REQ, 0);
	munmap(cq.ring, PAGE);
	nops(&qp, 2);
	t_pair_run(p);
	assert_true(t_logged(&p->node[0], "the CQ buffer is not mapped"));
	assert_int_equal(t_events(&p->node[0], NIC_EVENT_CQ_ERROR), 1);
	assert_int_equal(t_state(&qp), HW_QP_ERR);
	t_pair_works(p);
	assert_int_equal(t_qp_destroy(&qp), 0);
	t_simple(&p->node[0], HW_CMD_DESTROY_CQ, cq.number, NULL);
	munmap(cq.ring + PAGE, PAGE);
}

/* The record is read only when the ring looks full. */
static void test_a_record_that_is_unmapped_is_an_overrun(void **state)
{
	struct t_pair *p = *state;
	struct t_cq cq;
	struct t_qp qp;

	mapped_cq(p, &cq, &qp, 1);
	munmap(cq.dbrec, PAGE);
	nops(&qp, 2);
	t_pair_run(p);
	assert_int_equal(t_state(&qp), HW_QP_RTS);
	nops(&qp, 1);
	t_pair_run(p);
	assert_int_equal(t_state(&qp), HW_QP_ERR);
	t_pair_works(p);
	assert_int_equal(t_qp_destroy(&qp), 0);
	t_simple(&p->node[0], HW_CMD_DESTROY_CQ, cq.number, NULL);
	munmap(cq.ring, PAGE);
}

/* ---------------------------------------------------------------- resize */

static struct hw_cqe *entry(uint8_t *ring, uint32_t log_size, uint32_t stride,
			    uint32_t index)
{
	uint32_t slot = index & ((1u << log_size) - 1);

	return (struct hw_cqe *)(ring + (size_t)slot * stride + stride -
				 HW_CQE_BYTES);
}

/* What libmlx5 does when the command is through: entries move one up. */
static void move_entries(struct t_cq *cq, uint8_t *ring, uint8_t log_new)
{
	uint8_t log_old = (uint8_t)__builtin_ctz(cq->size);
	struct hw_cqe *from, *to;
	uint32_t i;

	for (i = cq->ci;; i++) {
		from = entry(cq->ring, log_old, cq->stride, i);
		assert_int_equal(from->op_own & 1, i >> log_old & 1);
		if (from->op_own >> 4 == HW_CQE_RESIZE)
			break;
		assert_true(i - cq->ci < cq->size);
		to = entry(ring, log_new, cq->stride, i + 1);
		*to = *from;
		to->op_own = (uint8_t)((from->op_own & ~1) |
				       ((i + 1) >> log_new & 1));
	}
	cq->ci++;
	cq->size = 1u << log_new;
	cq->ring = ring;
	cq->dbrec[HW_CQ_DBR_CI] = to_be32(cq->ci & HW_CQE_INDEX_MASK);
}

static uint8_t resize_to(struct t_cq *cq, uint32_t umem, uint8_t log_size)
{
	uint8_t in[HW_CREATE_CQ_IN_BYTES];

	memcpy(in, cq->create, sizeof(in));
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_MODIFY_CQ);
	hw_set(in, HW_CMD_IN_OP_MOD, HW_MODIFY_CQ_RESIZE);
	hw_set(in, HW_CMD_IN_NUMBER, cq->number);
	hw_set(in, HW_MODIFY_CQ_FIELD_SELECT, HW_CQ_RESIZE_LOG_SIZE);
	hw_set(in, HW_CREATE_CQ_UMEM_ID, umem);
	hw_set(in + HW_CQC_OFFSET, HW_CQC_LOG_CQ_SIZE, log_size);
	return t_cmd(cq->node, in, sizeof(in), NULL);
}

/* Some consumed, some pending, then the other ring for the rest. */
static void resize(uint8_t log_old, uint8_t log_new, uint8_t cqe_sz,
		   unsigned pending)
{
	const struct t_cq_options options = {.log_size = log_old,
					     .cqe_sz = cqe_sz};
	struct t_pair *p = open_with(&options, 0xfffffb);
	struct t_cq *cq = &p->cq[0];
	size_t bytes = (size_t)cq->stride << log_new;
	uint8_t *ring = t_alloc(bytes), *old = cq->ring;
	uint32_t umem = t_umem(&p->node[0], ring, bytes);
	unsigned i, index = 0xfffb; /* the low bits of the start */

	memset(ring, 0xff, bytes);
	nops(&p->qp[0], 3);
	t_pair_run(p);
	for (i = 0; i < 3; i++)
		t_expect(cq, HW_CQE_REQ, (uint16_t)index++);
	nops(&p->qp[0], pending);
	t_pair_run(p);
	assert_int_equal(resize_to(cq, umem, log_new), HW_CMD_OK);
	move_entries(cq, ring, log_new);
	for (i = 0; i < pending; i++)
		t_expect(cq, HW_CQE_REQ, (uint16_t)index++);
	for (i = 0; i < 40; i++) {
		nops(&p->qp[0], 1);
		t_pair_run(p);
		t_expect(cq, HW_CQE_REQ, (uint16_t)index++);
	}
	assert_int_equal(t_qp_destroy(&p->qp[0]), 0);
	/* The old ring is the client's again when the CQ has another. */
	cq->ring = old;
	assert_int_equal(nic_umem_deregister(p->node[0].nic, umem), -EBUSY);
	assert_int_equal(t_cq_destroy(cq), 0);
	assert_int_equal(nic_umem_deregister(p->node[0].nic, umem), 0);
	free(ring);
	t_pair_close(p);
}

static void test_a_cq_grows_and_shrinks_under_way(void **state)
{
	uint8_t cqe_sz;
	unsigned pending;

	(void)state;
	for (cqe_sz = 0; cqe_sz < 2; cqe_sz++)
		for (pending = 0; pending < 4; pending++) {
			resize(3, 5, cqe_sz, pending);
			resize(5, 3, cqe_sz, pending);
			resize(4, 4, cqe_sz, pending);
			resize(2, 2, cqe_sz, pending);
		}
}

static void test_a_resize_needs_room_in_both_rings(void **state)
{
	const struct t_cq_options options = {.log_size = 2};
	struct t_pair *p = open_with(&options, 0);
	uint8_t *ring = t_alloc(4096);
	uint32_t umem = t_umem(&p->node[0], ring, 4096);
	unsigned i;

	(void)state;
	nops(&p->qp[0], 2);
	t_pair_run(p);
	assert_int_equal(resize_to(&p->cq[0], umem, 1),
			 HW_CMD_BAD_SIZE_OUTS_CQES);
	nops(&p->qp[0], 2);
	t_pair_run(p);
	assert_int_equal(resize_to(&p->cq[0], umem, 4), HW_CMD_BAD_RES_STATE);
	/* Nothing has happened. */
	for (i = 0; i < 4; i++)
		t_expect(&p->cq[0], HW_CQE_REQ, (uint16_t)i);
	nops(&p->qp[0], 4);
	t_pair_run(p);
	for (i = 4; i < 8; i++)
		t_expect(&p->cq[0], HW_CQE_REQ, (uint16_t)i);
	assert_int_equal(nic_umem_deregister(p->node[0].nic, umem), 0);
	free(ring);
	t_pair_close(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_cq_grows_and_shrinks_under_way),
		cmocka_unit_test(test_a_resize_needs_room_in_both_rings),
		cmocka_unit_test(test_the_owner_bit_is_the_parity_of_the_lap),
		cmocka_unit_test(
			test_a_128_byte_entry_has_its_cqe_in_the_second_half),
		cmocka_unit_test(test_a_collapsed_cq_keeps_the_last_cqe),
		cmocka_unit_test(test_overrun_is_ignored_when_asked),
		T_PAIR_TEST(test_overrun_fails_the_cq_and_its_qp_alone),
		cmocka_unit_test(
			test_an_overrun_receive_cq_fails_the_responder),
		cmocka_unit_test(test_a_good_cqe_has_every_field),
		T_PAIR_TEST(test_a_ring_that_is_unmapped_fails_the_cq),
		T_PAIR_TEST(test_a_record_that_is_unmapped_is_an_overrun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
