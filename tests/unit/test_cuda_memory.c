/* SPDX-License-Identifier: MIT */
/*
 * A NIC whose client has its queues, records and data on a GPU: how often it
 * reads what, in which order it writes, and how errors look.
 */
#include <errno.h>
#include <stdlib.h>

#include "support/t_cuda.h"
#include "support/t_pair.h"

static int setup(void **state)
{
	t_cuda_alloc(true);
	*state = t_pair_open(&t_pair_defaults);
	t_cuda_alloc(false);
	return 0;
}

static int teardown(void **state)
{
	t_cuda()->refuse("", 0, 0, 0);
	t_cuda()->set_full(false);
	t_pair_close(*state);
	assert_true(t_cuda()->tidy());
	return 0;
}

static uint16_t rdma(struct t_pair *p, uint8_t opcode, uint32_t len)
{
	uint16_t index = t_pair_rdma(p, opcode, len);

	t_ring(&p->qp[0]);
	return index;
}

static size_t count_ops(enum fake_cuda_kind kind, const uint8_t *view,
			size_t len)
{
	static struct fake_cuda_op ops[4096];
	size_t i, total = t_cuda()->ops(ops, 4096), count = 0;
	const uint8_t *at;

	for (i = 0; i < total; i++) {
		at = t_cuda()->view(ops[i].device);
		count += ops[i].kind == kind && at >= view && at < view + len;
	}
	return count;
}

/* Where in the list of operations the last one of that place is. */
static long last_op(enum fake_cuda_kind kind, const uint8_t *view, size_t len)
{
	static struct fake_cuda_op ops[4096];
	size_t i, total = t_cuda()->ops(ops, 4096);
	const uint8_t *at;
	long found = -1;

	for (i = 0; i < total; i++) {
		at = t_cuda()->view(ops[i].device);
		if (ops[i].kind == kind && at >= view && at < view + len)
			found = (long)i;
	}
	return found;
}

static void test_a_write_from_device_to_device_arrives(void **state)
{
	struct t_pair *p = *state;
	uint16_t index;
	uint32_t len;

	for (len = 1; len <= T_PAIR_BYTES; len *= 4) {
		t_fill(p->memory[0], len, len);
		memset(p->memory[1], 0, len);
		index = rdma(p, HW_OP_RDMA_WRITE, len);
		t_pair_run(p);
		t_expect(&p->cq[0], HW_CQE_REQ, index);
		assert_memory_equal(p->memory[0], p->memory[1], len);
	}
}

static void test_a_read_from_device_to_device_arrives(void **state)
{
	struct t_pair *p = *state;
	uint16_t index;

	t_fill(p->memory[1], T_PAIR_BYTES, 5);
	index = rdma(p, HW_OP_RDMA_READ, T_PAIR_BYTES);
	t_pair_run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, index);
	assert_memory_equal(p->memory[0], p->memory[1], T_PAIR_BYTES);
}

static void test_an_idle_nic_leaves_the_gpu_alone(void **state)
{
	struct t_pair *p = *state;
	uint64_t before;
	int i;

	t_pair_works(p);
	before = t_cuda()->questions();
	for (i = 0; i < 1000; i++) {
		nic_step(p->node[0].nic, p->node[0].now_ns += 1000);
		nic_step(p->node[1].nic, p->node[1].now_ns += 1000);
	}
	assert_int_equal(t_cuda()->questions(), before);
}

static void test_wqes_of_one_doorbell_are_read_together(void **state)
{
	struct t_pair *p = *state;
	uint16_t index = 0;
	int i;

	t_fill(p->memory[0], 32 * 64, 3);
	for (i = 0; i < 32; i++)
		index = t_rdma(&p->qp[0], HW_OP_RDMA_WRITE,
			       p->memory[0] + i * 64, p->key[0],
			       p->memory[1] + i * 64, p->key[1], 64);
	t_cuda()->forget_ops();
	t_ring(&p->qp[0]);
	t_pair_run(p);
	assert_int_equal(count_ops(FAKE_TO_HOST, p->qp[0].sq, 64 * HW_WQE_BB),
			 1);
	assert_memory_equal(p->memory[0], p->memory[1], 32 * 64);
	for (i = 31; i >= 0; i--)
		t_expect(&p->cq[0], HW_CQE_REQ, (uint16_t)(index - i));
}

static void test_a_ring_of_wqes_wraps(void **state)
{
	struct t_pair *p = *state;
	uint16_t index;
	int i, turn;

	for (turn = 0; turn < 10; turn++) {
		for (i = 0; i < 23; i++)
			index = t_rdma(&p->qp[0], HW_OP_RDMA_WRITE,
				       p->memory[0], p->key[0], p->memory[1],
				       p->key[1], 8);
		t_ring(&p->qp[0]);
		t_pair_run(p);
		for (i = 22; i >= 0; i--)
			t_expect(&p->cq[0], HW_CQE_REQ, (uint16_t)(index - i));
	}
}

/* A QP that was reset has other WQEs at the same places. */
static void test_a_reset_forgets_what_was_read_ahead(void **state)
{
	struct t_pair *p = *state;
	int i;

	for (i = 0; i < 3; i++) {
		t_pair_works(p);
		t_pair_reconnect(p);
	}
	t_pair_works(p);
}

static void test_payload_comes_before_flag_and_completion(void **state)
{
	struct t_pair *p = *state;
	uint8_t *flag = p->memory[1] + 8192;

	t_fill(p->memory[0], 8192, 1);
	p->memory[0][8192] = 1;
	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, p->memory[0], p->key[0],
	       p->memory[1], p->key[1], 8192);
	t_rdma(&p->qp[0], HW_OP_RDMA_WRITE, p->memory[0] + 8192, p->key[0],
	       flag, p->key[1], 8);
	t_cuda()->forget_ops();
	t_ring(&p->qp[0]);
	t_pair_run(p);
	assert_in_range(last_op(FAKE_MOVE, p->memory[1], 8192), 0,
			last_op(FAKE_MOVE, flag, 8) - 1);
	assert_true(last_op(FAKE_MOVE, flag, 8) <
		    last_op(FAKE_TO_DEVICE, p->cq[0].ring, 64 * HW_CQE_BYTES));
}

/* What host memory tells must be true of the device: side's data is there. */
static void completion_tells_the_truth(uint8_t opcode, int side)
{
	struct t_pair *p = t_pair_open(&t_pair_defaults);
	const uint8_t *op_own = p->cq[0].ring + 63;
	uint16_t index;

	t_cuda_alloc(true);
	t_free(p->memory[side]);
	p->memory[side] = t_alloc(T_PAIR_BYTES);
	p->key[side] = t_mr(&p->node[side], p->memory[side], T_PAIR_BYTES);
	t_cuda_alloc(false);
	t_fill(p->memory[!side], 4096, opcode);
	index = rdma(p, opcode, 4096);
	/* As soon as it says so, it is so. */
	while (*op_own != HW_CQE_REQ << 4) {
		nic_step(p->node[0].nic, 0);
		if (*op_own != HW_CQE_REQ << 4)
			nic_step(p->node[1].nic, 0);
	}
	assert_memory_equal(p->memory[0], p->memory[1], 4096);
	t_expect(&p->cq[0], HW_CQE_REQ, index);
	t_pair_close(p);
}

static void test_a_completion_on_the_host_waits_for_the_device(void **state)
{
	(void)state;
	completion_tells_the_truth(HW_OP_RDMA_READ, 0);
	completion_tells_the_truth(HW_OP_RDMA_WRITE, 1);
}

static void atomic(struct t_pair *p, uint64_t expected)
{
	struct t_atomic add = {.opcode = HW_OP_ATOMIC_FA,
			       .args = {.swap_add = 5}};
	uint64_t *target = (uint64_t *)p->memory[1];
	uint64_t *result = (uint64_t *)p->memory[0];
	uint16_t index;

	*result = 0;
	index = t_pair_atomic(p, &add, target, result);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, index);
	assert_int_equal(*target, expected + 5);
	assert_int_equal(*result, expected);
}

static void test_an_atomic_that_finds_no_room_is_told_once(void **state)
{
	struct t_pair *p = *state;

	atomic(p, 0);
	atomic(p, 5);
	assert_false(t_logged(&p->node[1], "has no room for an atomic"));
	t_cuda()->set_full(true);
	atomic(p, 10);
	assert_true(t_logged(&p->node[1], "has no room for an atomic"));
	t_forget(&p->node[1]);
	atomic(p, 15);
	assert_false(t_logged(&p->node[1], "has no room for an atomic"));
}

static void test_a_target_that_is_gone_is_an_error_completion(void **state)
{
	struct t_pair *p = *state;
	uint16_t index;

	t_free(p->memory[1]);
	index = rdma(p, HW_OP_RDMA_WRITE, 64);
	t_pair_run(p);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, index, HW_SYND_REMOTE_OP);
	assert_true(t_logged(&p->node[1], "not mapped any more"));
}

static void test_a_source_that_is_gone_is_an_error_completion(void **state)
{
	struct t_pair *p = *state;
	uint16_t index;

	t_free(p->memory[0]);
	index = rdma(p, HW_OP_RDMA_WRITE, 64);
	t_pair_run(p);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, index, HW_SYND_LOCAL_PROT);
}

static void test_a_send_queue_that_is_gone_is_an_error_completion(void **state)
{
	struct t_pair *p = *state;
	uint8_t *device = t_cuda()->device(p->qp[0].rq);
	uint16_t index = rdma(p, HW_OP_RDMA_WRITE, 64);

	t_cuda()->release(device);
	t_pair_run(p);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, index, HW_SYND_LOCAL_QP_OP);
	assert_true(t_logged(&p->node[0], "send queue is not mapped any more"));
}

static void test_a_completion_queue_that_is_gone_is_an_event(void **state)
{
	struct t_pair *p = *state;

	rdma(p, HW_OP_RDMA_WRITE, 64);
	t_cuda()->release(t_cuda()->device(p->cq[0].ring));
	t_pair_run(p);
	assert_int_equal(t_events(&p->node[0], NIC_EVENT_CQ_ERROR), 1);
	assert_true(t_logged(&p->node[0], "CQ buffer is not mapped any more"));
}

static void test_a_lost_context_is_told_and_ends_nothing_else(void **state)
{
	struct t_pair *p = *state, *other;

	rdma(p, HW_OP_RDMA_WRITE, 64);
	t_cuda()->reset();
	t_pair_run(p);
	assert_true(t_logged(&p->node[0], "not mapped any more") ||
		    t_logged(&p->node[0], "are lost"));
	other = t_pair_open(&t_pair_defaults);
	t_pair_works(other);
	t_pair_close(other);
}

static void test_memory_that_is_refused_is_told(void **state)
{
	struct t_pair *p = *state;
	struct nic_mem mem = {.addr = p, .len = 8, .kind = NIC_MEM_CUDA};
	struct nic_mkey_attr attr = {.mem = mem, .pd = p->node[0].pd};
	uint32_t id;

	assert_int_equal(nic_umem_register(p->node[0].nic, &mem, &id), -EINVAL);
	assert_true(t_logged(&p->node[0], "CUDA memory ["));
	assert_true(t_logged(&p->node[0], "not device memory"));
	assert_int_equal(nic_mkey_register(p->node[0].nic, &attr, &id),
			 -EINVAL);
	assert_int_equal(nic_mkey_change(p->node[0].nic, p->key[0], &attr),
			 -EINVAL);
	t_pair_works(p);
}

/* ---------------------------------------------------------------- records */

struct shared {
	struct t_node node;
	struct wire_loop_fabric *fabric;
	struct t_cq cq[2];
	struct t_qp qp[2];
	uint8_t *memory;
	uint32_t key;
};

/* Two queue pairs on one doorbell page, each connected to itself. */
static struct shared *open_shared(void)
{
	struct t_qp_options options = t_pair_defaults.qp;
	struct shared *s = calloc(1, sizeof(*s));
	int i;

	s->fabric = wire_loop_create();
	t_node_open(&s->node, NULL, s->fabric);
	t_cuda_alloc(true);
	for (i = 0; i < 2; i++) {
		t_cq_create(&s->node, &s->cq[i], &t_pair_defaults.cq);
		t_qp_create(&s->node, &s->qp[i], &s->cq[i], &s->cq[i],
			    &options);
		t_connect(&s->qp[i], &s->qp[i], NULL);
		options.share_uar = s->qp[0].uar_index;
		options.share_uar_page = s->qp[0].uar;
	}
	s->memory = t_alloc(4096);
	s->key = t_mr(&s->node, s->memory, 4096);
	t_cuda_alloc(false);
	return s;
}

static void close_shared(struct shared *s)
{
	int i;

	for (i = 1; i >= 0; i--) {
		t_qp_destroy(&s->qp[i]);
		t_cq_destroy(&s->cq[i]);
	}
	t_node_close(&s->node);
	wire_loop_release(s->fabric);
	t_free(s->memory);
	free(s);
}

static void test_an_overwritten_doorbell_is_found_in_its_record(void **state)
{
	struct shared *s = open_shared();
	uint16_t index[2];
	int i, turn;

	(void)state;
	for (turn = 0; turn < 3; turn++) {
		/* The register holds the doorbell of the later one only. */
		for (i = 0; i < 2; i++) {
			index[i] =
				t_rdma(&s->qp[i], HW_OP_RDMA_WRITE, s->memory,
				       s->key, s->memory + 2048, s->key, 64);
			t_ring_record(&s->qp[i]);
		}
		t_ring_register(&s->qp[turn % 2]);
		t_run(&s->node, 1);
		for (i = 0; i < 2; i++)
			t_expect(&s->cq[i], HW_CQE_REQ, index[i]);
	}
	close_shared(s);
}

static void test_a_record_is_read_when_its_page_rings_and_once(void **state)
{
	struct shared *s = open_shared();
	const uint8_t *record = (uint8_t *)s->qp[1].dbrec;

	(void)state;
	t_run(&s->node, 1);
	t_cuda()->forget_ops();
	t_run(&s->node, 1);
	assert_int_equal(count_ops(FAKE_TO_HOST, record, 8), 0);
	t_rdma(&s->qp[0], HW_OP_RDMA_WRITE, s->memory, s->key, s->memory + 2048,
	       s->key, 64);
	t_ring(&s->qp[0]);
	t_run(&s->node, 1);
	t_run(&s->node, 1);
	assert_int_equal(count_ops(FAKE_TO_HOST, record, 8), 1);
	close_shared(s);
}

static void test_a_page_of_one_queue_pair_needs_no_record(void **state)
{
	struct t_pair *p = *state;

	t_cuda()->forget_ops();
	t_pair_works(p);
	assert_int_equal(count_ops(FAKE_TO_HOST, (uint8_t *)p->qp[0].dbrec, 8),
			 0);
}

static void test_receives_posted_in_err_are_flushed_now_and_then(void **state)
{
	struct t_pair *p = *state;
	uint64_t before;
	int i;

	t_modify(&p->qp[1], HW_CMD_2ERR_QP, NULL, NULL);
	t_pair_run(p);
	before = t_cuda()->questions();
	for (i = 0; i < 1000; i++)
		nic_step(p->node[1].nic, p->node[1].now_ns += 1000);
	assert_in_range(t_cuda()->questions() - before, 1, 3);
	t_post_recv(&p->qp[1], p->memory[1], 64, p->key[1]);
	for (i = 0; i < 1000; i++)
		nic_step(p->node[1].nic, p->node[1].now_ns += 2000);
	t_expect_error(&p->cq[1], HW_CQE_RESP_ERR, 0, HW_SYND_WR_FLUSH);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_a_write_from_device_to_device_arrives),
		T(test_a_read_from_device_to_device_arrives),
		T(test_an_idle_nic_leaves_the_gpu_alone),
		T(test_wqes_of_one_doorbell_are_read_together),
		T(test_a_ring_of_wqes_wraps),
		T(test_a_reset_forgets_what_was_read_ahead),
		T(test_payload_comes_before_flag_and_completion),
		T(test_a_completion_on_the_host_waits_for_the_device),
		T(test_an_atomic_that_finds_no_room_is_told_once),
		T(test_a_target_that_is_gone_is_an_error_completion),
		T(test_a_source_that_is_gone_is_an_error_completion),
		T(test_a_send_queue_that_is_gone_is_an_error_completion),
		T(test_a_completion_queue_that_is_gone_is_an_event),
		T(test_memory_that_is_refused_is_told),
		T(test_an_overwritten_doorbell_is_found_in_its_record),
		T(test_a_record_is_read_when_its_page_rings_and_once),
		T(test_a_page_of_one_queue_pair_needs_no_record),
		T(test_receives_posted_in_err_are_flushed_now_and_then),
		T(test_a_lost_context_is_told_and_ends_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
