/* SPDX-License-Identifier: MIT */
/*
 * XRC domains and SRQs: each checked field from both sides, what QUERY says,
 * what is busy, and that an RMP and an XRC SRQ are not taken for each other.
 */
#include "support/t_pair.h"
#include "support/t_xrc.h"

enum { CTX = HW_XRC_SRQC_OFFSET };

struct fixture {
	struct t_node node;
	struct t_cq cq;
	struct t_xrc_srq srq;
	uint32_t xrcd;
};

static int setup(void **state)
{
	static struct fixture f;

	t_node_open(&f.node, NULL, NULL);
	t_cq_create(&f.node, &f.cq, &t_pair_defaults.cq);
	f.xrcd = t_xrcd(&f.node);
	t_xrc_srq_create(&f.node, &f.srq, &f.cq, f.xrcd);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(t_xrc_srq_destroy(&f->srq), 0);
	assert_int_equal(t_cq_destroy(&f->cq), 0);
	assert_int_equal(t_simple(&f->node, HW_CMD_DEALLOC_XRCD, f->xrcd, NULL),
			 0);
	t_node_close(&f->node);
	return 0;
}

static void refuse(struct fixture *f, struct hw_field field, uint32_t value,
		   const char *text)
{
	struct t_refusal expected = {HW_CMD_BAD_PARAM,
				     (uint16_t)(CTX + field.offset), text};
	uint8_t in[HW_CREATE_XRC_SRQ_IN_BYTES];

	memcpy(in, f->srq.create, sizeof(in));
	hw_set(in + CTX, field, value);
	t_refused(&f->node, in, sizeof(in), &expected);
}

static void test_each_field_is_checked(void **state)
{
	struct fixture *f = *state;

	refuse(f, HW_XRC_SRQC_LOG_RQ_STRIDE, 6, "XRC_SRQC_LOG_RQ_STRIDE");
	refuse(f, HW_XRC_SRQC_LOG_RQ_STRIDE, 0, "a linked slot starts with");
	refuse(f, HW_XRC_SRQC_XRCD, f->xrcd + 1, "XRC_SRQC_XRCD");
	refuse(f, HW_XRC_SRQC_CQN, f->cq.number + 1, "XRC_SRQC_CQN");
	refuse(f, HW_XRC_SRQC_PD, f->node.pd + 1, "XRC_SRQC_PD");
}

static void test_a_cyclic_queue_may_have_slots_of_16_bytes(void **state)
{
	struct fixture *f = *state;
	uint8_t in[HW_CREATE_XRC_SRQ_IN_BYTES], out[T_OUT];

	memcpy(in, f->srq.create, sizeof(in));
	hw_set(in + CTX, HW_XRC_SRQC_LOG_RQ_STRIDE, 0);
	hw_set(in + CTX, HW_XRC_SRQC_BASIC_CYCLIC_RCV_WQE, 1);
	assert_int_equal(t_cmd(&f->node, in, sizeof(in), out), HW_CMD_OK);
	assert_int_equal(t_simple(&f->node, HW_CMD_DESTROY_XRC_SRQ,
				  hw_get(out, HW_CMD_OUT_NUMBER), NULL),
			 0);
}

static void test_ring_and_record_must_lie_in_their_umems(void **state)
{
	struct t_refusal ring = {HW_CMD_BAD_RES, 0x58, "the receive queue: "};
	struct t_refusal record = {HW_CMD_BAD_RES, CTX + 0x0c,
				   "the receive queue's doorbell record: "};
	struct fixture *f = *state;
	uint8_t in[HW_CREATE_XRC_SRQ_IN_BYTES];

	memcpy(in, f->srq.create, sizeof(in));
	hw_set(in, HW_CREATE_XRC_SRQ_UMEM_ID, 77);
	t_refused(&f->node, in, sizeof(in), &ring);
	memcpy(in, f->srq.create, sizeof(in));
	hw_set(in + CTX, HW_XRC_SRQC_DBR_UMEM_ID, 77);
	t_refused(&f->node, in, sizeof(in), &record);
	ring.status = HW_CMD_BAD_PARAM;
	ring.text = "do not fit umem";
	memcpy(in, f->srq.create, sizeof(in));
	hw_set64(in, HW_CREATE_XRC_SRQ_UMEM_OFFSET, 80);
	t_refused(&f->node, in, sizeof(in), &ring);
	hw_set64(in, HW_CREATE_XRC_SRQ_UMEM_OFFSET, 8);
	ring.text = "is not a multiple of 16";
	t_refused(&f->node, in, sizeof(in), &ring);
}

static void test_query_returns_what_was_created(void **state)
{
	struct fixture *f = *state;
	uint8_t out[T_OUT], *ctx = out + CTX;

	assert_int_equal(
		t_simple(&f->node, HW_CMD_QUERY_XRC_SRQ, f->srq.number, out),
		0);
	assert_int_equal(hw_get(ctx, HW_XRC_SRQC_STATE),
			 HW_XRC_SRQC_STATE_GOOD);
	assert_int_equal(hw_get(ctx, HW_XRC_SRQC_LOG_SIZE), T_XRC_LOG_SIZE);
	assert_int_equal(hw_get(ctx, HW_XRC_SRQC_XRCD), f->xrcd);
	assert_int_equal(hw_get(ctx, HW_XRC_SRQC_CQN), f->cq.number);
	assert_int_equal(hw_get(ctx, HW_XRC_SRQC_USER_INDEX), 0x5151);
	assert_int_equal(hw_get(ctx, HW_XRC_SRQC_LWM), 0);
}

static void test_the_number_can_be_the_user_index(void **state)
{
	struct fixture *f = *state;
	uint8_t in[HW_CREATE_XRC_SRQ_IN_BYTES], out[T_OUT];
	uint32_t number;

	memcpy(in, f->srq.create, sizeof(in));
	hw_set(in + CTX, HW_XRC_SRQC_USER_INDEX_IS_SRQN, 1);
	assert_int_equal(t_cmd(&f->node, in, sizeof(in), out), HW_CMD_OK);
	number = hw_get(out, HW_CMD_OUT_NUMBER);
	assert_int_equal(t_simple(&f->node, HW_CMD_QUERY_XRC_SRQ, number, out),
			 0);
	assert_int_equal(hw_get(out + CTX, HW_XRC_SRQC_USER_INDEX), number);
	assert_int_equal(
		t_simple(&f->node, HW_CMD_DESTROY_XRC_SRQ, number, NULL), 0);
}

static void arm(struct fixture *f, uint16_t lwm)
{
	uint8_t in[16] = {0};

	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_ARM_XRC_SRQ);
	hw_set(in, HW_CMD_IN_OP_MOD, HW_ARM_XRC_SRQ_OP_MOD);
	hw_set(in, HW_CMD_IN_NUMBER, f->srq.number);
	hw_set(in, HW_ARM_XRC_SRQ_LWM, lwm);
	assert_int_equal(t_cmd(&f->node, in, sizeof(in), NULL), HW_CMD_OK);
}

static void test_arming_tells_at_once_when_few_are_left(void **state)
{
	struct fixture *f = *state;
	uint8_t out[T_OUT];
	int i;

	t_forget(&f->node);
	for (i = 0; i < 3; i++)
		t_xrc_post_recv(&f->srq, NULL, 0, 0);
	arm(f, 3);
	assert_int_equal(t_events(&f->node, NIC_EVENT_SRQ_LIMIT), 0);
	t_simple(&f->node, HW_CMD_QUERY_XRC_SRQ, f->srq.number, out);
	assert_int_equal(hw_get(out + CTX, HW_XRC_SRQC_LWM), 3);
	assert_int_equal(hw_get(out + CTX, HW_XRC_SRQC_WQE_CNT), 3);
	arm(f, 4);
	assert_int_equal(t_events(&f->node, NIC_EVENT_SRQ_LIMIT), 1);
	assert_int_equal(f->node.events[0].number, f->srq.number);
	t_simple(&f->node, HW_CMD_QUERY_XRC_SRQ, f->srq.number, out);
	assert_int_equal(hw_get(out + CTX, HW_XRC_SRQC_LWM), 0);
	arm(f, 0);
	assert_int_equal(t_events(&f->node, NIC_EVENT_SRQ_LIMIT), 1);
}

static void refuse_simple(struct fixture *f, uint16_t opcode, uint32_t number,
			  const struct t_refusal *expected)
{
	uint8_t in[16] = {0};

	hw_set(in, HW_CMD_IN_OPCODE, opcode);
	hw_set(in, HW_CMD_IN_OP_MOD, HW_ARM_XRC_SRQ_OP_MOD);
	hw_set(in, HW_CMD_IN_NUMBER, number);
	t_refused(&f->node, in, sizeof(in), expected);
}

static void test_numbers_that_are_none_are_refused(void **state)
{
	struct t_refusal srq = {HW_CMD_BAD_RES, 8, "XRC SRQ 0xff does not"};
	struct t_refusal domain = {HW_CMD_BAD_RES, 8, "domain 0xff does not"};
	struct t_refusal rmp = {HW_CMD_BAD_RES, 8, "RMP 0x"};
	struct t_refusal op_mod = {HW_CMD_BAD_PARAM, 4, "CMD_IN_OP_MOD"};
	struct fixture *f = *state;
	uint8_t in[16] = {0};

	refuse_simple(f, HW_CMD_QUERY_XRC_SRQ, 0xff, &srq);
	refuse_simple(f, HW_CMD_DESTROY_XRC_SRQ, 0xff, &srq);
	refuse_simple(f, HW_CMD_ARM_XRC_SRQ, 0xff, &srq);
	refuse_simple(f, HW_CMD_DEALLOC_XRCD, 0xff, &domain);
	refuse_simple(f, HW_CMD_QUERY_RMP, f->srq.number, &rmp);
	refuse_simple(f, HW_CMD_DESTROY_RMP, f->srq.number, &rmp);
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_ARM_XRC_SRQ);
	hw_set(in, HW_CMD_IN_NUMBER, f->srq.number);
	t_refused(&f->node, in, sizeof(in), &op_mod);
}

static void test_domain_cq_and_pd_are_busy(void **state)
{
	struct t_refusal domain = {HW_CMD_RES_BUSY, 8, "still has queues"};
	struct t_refusal cq = {HW_CMD_RES_BUSY, 8, "is still used by 1"};
	struct t_refusal pd = {HW_CMD_RES_BUSY, 8, "still has keys"};
	struct fixture *f = *state;

	refuse_simple(f, HW_CMD_DEALLOC_XRCD, f->xrcd, &domain);
	refuse_simple(f, HW_CMD_DESTROY_CQ, f->cq.number, &cq);
	refuse_simple(f, HW_CMD_DEALLOC_PD, f->node.pd, &pd);
}

/* ---------------------------------------------------- XRC queue pairs */

static void test_queue_pairs_of_xrc(void **state)
{
	struct t_refusal rq = {HW_CMD_BAD_PARAM, 0xc4, "QPC_RQ_TYPE"};
	struct t_refusal domain = {HW_CMD_BAD_PARAM, 0xb0, "QPC_XRCD"};
	struct t_refusal cq = {HW_CMD_BAD_PARAM, 0xb4, "QPC_CQN_RCV"};
	struct t_refusal busy = {HW_CMD_RES_BUSY, 8, "still has queues"};
	struct fixture *f = *state;
	uint8_t in[HW_CREATE_QP_IN_BYTES] = {0}, out[T_OUT];
	uint8_t *qpc = in + HW_QPC_OFFSET;
	uint32_t other = t_xrcd(&f->node);

	/* As Linux makes a target: no memory, no UAR, no queues. */
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_QP);
	hw_set(qpc, HW_QPC_ST, HW_QP_ST_XRC);
	hw_set(qpc, HW_QPC_PD, f->node.pd);
	hw_set(qpc, HW_QPC_NO_SQ, 1);
	hw_set(qpc, HW_QPC_RQ_TYPE, HW_RQ_SRQ);
	hw_set(qpc, HW_QPC_CQN_RCV, f->cq.number);
	hw_set(qpc, HW_QPC_XRCD, 0xff);
	t_refused(&f->node, in, sizeof(in), &domain);
	hw_set(qpc, HW_QPC_XRCD, other);
	hw_set(qpc, HW_QPC_CQN_RCV, 0);
	t_refused(&f->node, in, sizeof(in), &cq);
	hw_set(qpc, HW_QPC_CQN_RCV, f->cq.number);
	hw_set(qpc, HW_QPC_RQ_TYPE, HW_RQ_REGULAR);
	t_refused(&f->node, in, sizeof(in), &rq);
	hw_set(qpc, HW_QPC_RQ_TYPE, HW_RQ_SRQ);
	assert_int_equal(t_cmd(&f->node, in, sizeof(in), out), HW_CMD_OK);
	refuse_simple(f, HW_CMD_DEALLOC_XRCD, other, &busy);
	assert_int_equal(t_simple(&f->node, HW_CMD_DESTROY_QP,
				  hw_get(out, HW_CMD_OUT_NUMBER), NULL),
			 0);
	assert_int_equal(t_simple(&f->node, HW_CMD_DEALLOC_XRCD, other, NULL),
			 0);
}

static void test_other_services_take_no_xrc_srq(void **state)
{
	struct t_refusal expected = {HW_CMD_BAD_PARAM, 0xc4, "QPC_SRQN_RMPN"};
	struct fixture *f = *state;
	struct t_qp_options options = t_pair_defaults.qp;
	uint8_t in[HW_CREATE_QP_IN_BYTES];
	struct t_qp qp;

	t_qp_create(&f->node, &qp, &f->cq, &f->cq, &options);
	memcpy(in, qp.create, sizeof(in));
	hw_set(in + HW_QPC_OFFSET, HW_QPC_RQ_TYPE, HW_RQ_SRQ);
	hw_set(in + HW_QPC_OFFSET, HW_QPC_SRQN_RMPN, f->srq.number);
	t_refused(&f->node, in, sizeof(in), &expected);
	assert_int_equal(t_qp_destroy(&qp), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_each_field_is_checked),
		T(test_a_cyclic_queue_may_have_slots_of_16_bytes),
		T(test_ring_and_record_must_lie_in_their_umems),
		T(test_query_returns_what_was_created),
		T(test_the_number_can_be_the_user_index),
		T(test_arming_tells_at_once_when_few_are_left),
		T(test_numbers_that_are_none_are_refused),
		T(test_domain_cq_and_pd_are_busy),
		T(test_queue_pairs_of_xrc),
		T(test_other_services_take_no_xrc_srq),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
