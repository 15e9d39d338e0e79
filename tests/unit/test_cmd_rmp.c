/* SPDX-License-Identifier: MIT */
/*
 * RMP (shared receive queue) commands: each field check from both sides.
 * Method: the mailbox of a good RMP with one field spoilt.
 */
#include "support/t_pair.h"

#include <stdlib.h>

enum { WQ = HW_RMPC_OFFSET + HW_RMPC_WQ, LOG_SIZE = 3, LOG_STRIDE = 5 };

struct fixture {
	struct t_node node;
	uint8_t *memory;
	uint32_t umem;
	uint8_t good[HW_CREATE_RMP_IN_BYTES];
};

/* 8 slots of 32 bytes at offset 0, the record behind them. */
static int setup(void **state)
{
	static struct fixture f;
	uint8_t *wq = f.good + WQ;

	t_node_open(&f.node, NULL, NULL);
	f.memory = t_alloc(4096);
	f.umem = t_umem(&f.node, f.memory, 256 + 4);
	memset(f.good, 0, sizeof(f.good));
	hw_set(f.good, HW_CMD_IN_OPCODE, HW_CMD_CREATE_RMP);
	hw_set(wq, HW_WQ_TYPE, HW_WQ_LINKED_LIST);
	hw_set(wq, HW_WQ_LWM, 2);
	hw_set(wq, HW_WQ_PD, f.node.pd);
	hw_set(wq, HW_WQ_LOG_WQ_STRIDE, LOG_STRIDE);
	hw_set(wq, HW_WQ_LOG_WQ_SZ, LOG_SIZE);
	hw_set(wq, HW_WQ_DBR_UMEM_ID, f.umem);
	hw_set(wq, HW_WQ_WQ_UMEM_ID, f.umem);
	hw_set64(wq, HW_WQ_DBR_ADDR, 256);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(nic_umem_deregister(f->node.nic, f->umem), 0);
	t_node_close(&f->node);
	free(f->memory);
	return 0;
}

static uint32_t create(struct fixture *f, const uint8_t *in)
{
	uint8_t out[T_OUT];

	assert_int_equal(t_cmd(&f->node, in, HW_CREATE_RMP_IN_BYTES, out),
			 HW_CMD_OK);
	return hw_get(out, HW_CMD_OUT_NUMBER);
}

static void destroy(struct fixture *f, uint32_t number)
{
	assert_int_equal(t_simple(&f->node, HW_CMD_DESTROY_RMP, number, NULL),
			 0);
}

static void refuse_wq(struct fixture *f, struct hw_field field, uint32_t value,
		      const struct t_refusal *expected)
{
	uint8_t in[HW_CREATE_RMP_IN_BYTES];

	memcpy(in, f->good, sizeof(in));
	hw_set(in + WQ, field, value);
	t_refused(&f->node, in, sizeof(in), expected);
}

static void test_each_field_is_checked(void **state)
{
	struct fixture *f = *state;
	struct t_refusal type = {HW_CMD_BAD_PARAM, WQ, "WQ_TYPE"};
	struct t_refusal pd = {HW_CMD_BAD_PARAM, WQ + 8, "WQ_PD"};
	struct t_refusal stride = {
		HW_CMD_BAD_PARAM, WQ + 0x20,
		"WQ_LOG_WQ_STRIDE (mailbox 0x70[19:16]) holds 10 (0xa), "
		"expected 4 to 9"};
	struct t_refusal linked = {HW_CMD_BAD_PARAM, WQ + 0x20,
				   "the slot starts with"};
	struct t_refusal size = {HW_CMD_BAD_PARAM, WQ + 0x20,
				 "WQ_LOG_WQ_SZ (mailbox 0x70[4:0]) holds 16"};

	refuse_wq(f, HW_WQ_TYPE, 2, &type);
	refuse_wq(f, HW_WQ_PD, f->node.pd + 1, &pd);
	refuse_wq(f, HW_WQ_LOG_WQ_STRIDE, 10, &stride);
	stride.text = "holds 3";
	refuse_wq(f, HW_WQ_LOG_WQ_STRIDE, 3, &stride);
	refuse_wq(f, HW_WQ_LOG_WQ_STRIDE, 4, &linked);
	refuse_wq(f, HW_WQ_LOG_WQ_SZ, 16, &size);
}

static void test_ring_and_record_must_lie_in_their_umems(void **state)
{
	struct t_refusal ring = {HW_CMD_BAD_RES, WQ + 0x2c,
				 "the receive queue: umem id 77"};
	struct t_refusal record = {HW_CMD_BAD_RES, WQ + 0x28,
				   "the receive queue's doorbell record: "};
	struct fixture *f = *state;
	uint8_t in[HW_CREATE_RMP_IN_BYTES];

	refuse_wq(f, HW_WQ_WQ_UMEM_ID, 77, &ring);
	refuse_wq(f, HW_WQ_DBR_UMEM_ID, 77, &record);
	ring.status = record.status = HW_CMD_BAD_PARAM;
	ring.text = record.text = "do not fit umem";
	refuse_wq(f, HW_WQ_LOG_WQ_SZ, LOG_SIZE + 1, &ring);
	memcpy(in, f->good, sizeof(in));
	hw_set64(in + WQ, HW_WQ_DBR_ADDR, 260);
	t_refused(&f->node, in, sizeof(in), &record);
	hw_set64(in + WQ, HW_WQ_DBR_ADDR, 254);
	record.text = "is not a multiple of 4";
	t_refused(&f->node, in, sizeof(in), &record);
	hw_set64(in + WQ, HW_WQ_DBR_ADDR, 256);
	hw_set64(in + WQ, HW_WQ_WQ_UMEM_OFFSET, 8);
	ring.text = "do not fit umem";
	t_refused(&f->node, in, sizeof(in), &ring);
}

static void test_a_cyclic_queue_may_have_slots_of_16_bytes(void **state)
{
	struct fixture *f = *state;
	uint8_t in[HW_CREATE_RMP_IN_BYTES];

	memcpy(in, f->good, sizeof(in));
	hw_set(in + HW_RMPC_OFFSET, HW_RMPC_BASIC_CYCLIC_RCV_WQE, 1);
	hw_set(in + WQ, HW_WQ_TYPE, HW_WQ_CYCLIC);
	hw_set(in + WQ, HW_WQ_LOG_WQ_STRIDE, 4);
	hw_set(in + WQ, HW_WQ_LOG_WQ_SZ, 0);
	destroy(f, create(f, in));
}

static void test_query_returns_what_was_created(void **state)
{
	struct fixture *f = *state;
	uint32_t number = create(f, f->good);
	uint8_t out[T_OUT], *rmpc = out + HW_RMPC_OFFSET;

	assert_int_equal(t_simple(&f->node, HW_CMD_QUERY_RMP, number, out), 0);
	assert_int_equal(hw_get(rmpc, HW_RMPC_STATE), HW_RMPC_STATE_RDY);
	assert_int_equal(hw_get(rmpc + HW_RMPC_WQ, HW_WQ_LWM), 2);
	assert_int_equal(hw_get(rmpc + HW_RMPC_WQ, HW_WQ_PD), f->node.pd);
	assert_int_equal(hw_get(rmpc + HW_RMPC_WQ, HW_WQ_LOG_WQ_SZ), LOG_SIZE);
	assert_int_equal(hw_get(rmpc + HW_RMPC_WQ, HW_WQ_HW_COUNTER), 0);
	destroy(f, number);
}

static void modify(struct fixture *f, uint32_t number, uint16_t lwm,
		   bool bitmask)
{
	uint8_t in[HW_CREATE_RMP_IN_BYTES] = {0};

	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_MODIFY_RMP);
	hw_set(in, HW_CMD_IN_NUMBER, number);
	hw_set(in, HW_MODIFY_RMP_STATE, HW_RMPC_STATE_RDY);
	hw_set(in, HW_MODIFY_RMP_BITMASK_LWM, bitmask);
	hw_set(in + WQ, HW_WQ_LWM, lwm);
	assert_int_equal(t_cmd(&f->node, in, sizeof(in), NULL), HW_CMD_OK);
}

static uint32_t limit_of(struct fixture *f, uint32_t number)
{
	uint8_t out[T_OUT];

	t_simple(&f->node, HW_CMD_QUERY_RMP, number, out);
	return hw_get(out + WQ, HW_WQ_LWM);
}

static void test_modify_arms_the_limit_again(void **state)
{
	struct fixture *f = *state;
	uint32_t number = create(f, f->good);
	be32 *record = (be32 *)(f->memory + 256);

	t_forget(&f->node);
	*record = to_be32(3);
	modify(f, number, 5, false); /* without its mask bit: as it was */
	assert_int_equal(limit_of(f, number), 2);
	modify(f, number, 3, true);
	assert_int_equal(limit_of(f, number), 3);
	assert_int_equal(t_events(&f->node, NIC_EVENT_SRQ_LIMIT), 0);
	modify(f, number, 4, true); /* 3 are there: at once */
	assert_int_equal(t_events(&f->node, NIC_EVENT_SRQ_LIMIT), 1);
	assert_int_equal(limit_of(f, number), 0);
	modify(f, number, 1, true);
	modify(f, number, 0, true); /* disarmed */
	assert_int_equal(limit_of(f, number), 0);
	assert_int_equal(t_events(&f->node, NIC_EVENT_SRQ_LIMIT), 1);
	destroy(f, number);
	*record = to_be32(0);
}

static void test_modify_checks_number_and_state(void **state)
{
	struct t_refusal gone = {HW_CMD_BAD_RES, 8, "RMP 0xff does not exist"};
	struct t_refusal not_ready = {HW_CMD_BAD_PARAM, 8, "MODIFY_RMP_STATE"};
	struct fixture *f = *state;
	uint32_t number = create(f, f->good);
	uint8_t in[HW_CREATE_RMP_IN_BYTES] = {0};

	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_MODIFY_RMP);
	hw_set(in, HW_CMD_IN_NUMBER, 0xff);
	t_refused(&f->node, in, sizeof(in), &gone);
	hw_set(in, HW_CMD_IN_NUMBER, number);
	hw_set(in, HW_MODIFY_RMP_STATE, HW_RMPC_STATE_ERR);
	t_refused(&f->node, in, sizeof(in), &not_ready);
	destroy(f, number);
}

static void test_an_rmp_in_use_is_busy_and_then_gone(void **state)
{
	struct t_refusal busy = {HW_CMD_RES_BUSY, 8, "still used by 1"};
	struct t_refusal gone = {HW_CMD_BAD_RES, 8, "does not exist"};
	struct t_refusal pd_busy = {HW_CMD_RES_BUSY, 8, "still has keys"};
	struct fixture *f = *state;
	uint32_t number = create(f, f->good);
	struct t_qp_options options = t_pair_defaults.qp;
	uint8_t in[16] = {0};
	struct t_cq cq;
	struct t_qp qp;

	options.rq_type = HW_RQ_SRQ;
	options.rmpn = number;
	t_cq_create(&f->node, &cq, &t_pair_defaults.cq);
	t_qp_create(&f->node, &qp, &cq, &cq, &options);
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_DESTROY_RMP);
	hw_set(in, HW_CMD_IN_NUMBER, number);
	t_refused(&f->node, in, sizeof(in), &busy);
	assert_int_equal(t_qp_destroy(&qp), 0);
	assert_int_equal(t_cq_destroy(&cq), 0);
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_DEALLOC_PD);
	hw_set(in, HW_CMD_IN_NUMBER, f->node.pd);
	t_refused(&f->node, in, sizeof(in), &pd_busy);
	destroy(f, number);
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_DESTROY_RMP);
	hw_set(in, HW_CMD_IN_NUMBER, number);
	t_refused(&f->node, in, sizeof(in), &gone);
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_QUERY_RMP);
	t_refused(&f->node, in, sizeof(in), &gone);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_each_field_is_checked),
		T(test_ring_and_record_must_lie_in_their_umems),
		T(test_a_cyclic_queue_may_have_slots_of_16_bytes),
		T(test_query_returns_what_was_created),
		T(test_modify_arms_the_limit_again),
		T(test_modify_checks_number_and_state),
		T(test_an_rmp_in_use_is_busy_and_then_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
