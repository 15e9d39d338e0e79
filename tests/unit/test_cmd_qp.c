/* SPDX-License-Identifier: MIT */
/*
 * CREATE_QP, QUERY_QP, DESTROY_QP: each field check from both sides.
 * Method: the mailbox of a good QP with one field spoilt.
 */
#include "support/t_pair.h"

#include <errno.h>

enum { QPC = HW_QPC_OFFSET };

struct fixture {
	struct t_node node;
	struct t_cq cq;
	struct t_qp qp;
};

static int open_as(void **state, enum nic_persona persona)
{
	static struct fixture f;
	struct nic_config config = {.persona = persona};
	struct t_qp_options options = t_pair_defaults.qp;

	options.user_index = 0xabcdef;
	t_node_open(&f.node, &config, NULL);
	t_cq_create(&f.node, &f.cq, &t_pair_defaults.cq);
	t_qp_create(&f.node, &f.qp, &f.cq, &f.cq, &options);
	*state = &f;
	return 0;
}

static int setup(void **state)
{
	return open_as(state, NIC_CONNECTX_7);
}

static int setup_8(void **state)
{
	return open_as(state, NIC_CONNECTX_8);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(t_qp_destroy(&f->qp), 0);
	assert_int_equal(t_cq_destroy(&f->cq), 0);
	t_node_close(&f->node);
	return 0;
}

static void refuse_qpc(struct fixture *f, struct hw_field field, uint32_t value,
		       const char *text)
{
	struct t_refusal expected = {HW_CMD_BAD_PARAM,
				     (uint16_t)(QPC + field.offset), text};
	uint8_t in[HW_CREATE_QP_IN_BYTES];

	memcpy(in, f->qp.create, sizeof(in));
	hw_set(in + QPC, field, value);
	t_refused(&f->node, in, sizeof(in), &expected);
}

/* The mailbox is taken; the QP goes again. */
static void taken(struct fixture *f, const uint8_t *in)
{
	uint8_t out[T_OUT];

	t_forget(&f->node);
	if (t_cmd(&f->node, in, HW_CREATE_QP_IN_BYTES, out))
		fail_msg("%s", f->node.log);
	assert_int_equal(t_simple(&f->node, HW_CMD_DESTROY_QP,
				  hw_get(out, HW_CMD_OUT_NUMBER), NULL),
			 HW_CMD_OK);
}

static void test_each_field_of_the_context_is_checked(void **state)
{
	struct fixture *f = *state;

	refuse_qpc(f, HW_QPC_ST, HW_QP_ST_DCI,
		   "QPC_ST (mailbox 0x18[23:16]) holds 5 (0x5), expected 0");
	refuse_qpc(f, HW_QPC_ST, 4, "QPC_ST");
	refuse_qpc(f, HW_QPC_PD, f->node.pd + 1, "QPC_PD (mailbox 0x1c[23:0])");
	refuse_qpc(f, HW_QPC_UAR_PAGE, 0xffffff,
		   "QPC_UAR_PAGE (mailbox 0x24[23:0]) holds 16777215");
	refuse_qpc(f, HW_QPC_CQN_SND, f->cq.number + 1,
		   "QPC_CQN_SND (mailbox 0x94[23:0])");
	refuse_qpc(f, HW_QPC_CQN_RCV, f->cq.number + 1,
		   "QPC_CQN_RCV (mailbox 0xb4[23:0])");
	refuse_qpc(f, HW_QPC_RQ_TYPE, 2,
		   "QPC_RQ_TYPE (mailbox 0xc4[26:24]) holds 2");
	refuse_qpc(f, HW_QPC_LOG_RQ_STRIDE, 6,
		   "QPC_LOG_RQ_STRIDE (mailbox 0x20[18:16]) holds 6");
	refuse_qpc(f, HW_QPC_SEND_DBR_MODE, HW_SEND_DBR_NO_DBR_EXT,
		   "QPC_SEND_DBR_MODE (mailbox 0x28[31:30]) holds 1");
}

static void test_an_srq_must_exist(void **state)
{
	struct t_refusal expected = {HW_CMD_BAD_PARAM, QPC + 0xac,
				     "QPC_SRQN_RMPN (mailbox 0xc4[23:0])"};
	struct fixture *f = *state;
	uint8_t in[HW_CREATE_QP_IN_BYTES];

	memcpy(in, f->qp.create, sizeof(in));
	hw_set(in + QPC, HW_QPC_RQ_TYPE, HW_RQ_SRQ);
	hw_set(in + QPC, HW_QPC_SRQN_RMPN, 0x10);
	t_refused(&f->node, in, sizeof(in), &expected);
}

static void test_a_qp_needs_a_queue(void **state)
{
	struct t_refusal expected = {HW_CMD_BAD_PARAM, QPC + 8,
				     "QPC_NO_SQ (mailbox 0x20[15:15])"};
	struct fixture *f = *state;
	uint8_t in[HW_CREATE_QP_IN_BYTES];

	memcpy(in, f->qp.create, sizeof(in));
	hw_set(in + QPC, HW_QPC_NO_SQ, 1);
	taken(f, in);
	hw_set(in + QPC, HW_QPC_RQ_TYPE, HW_RQ_ZERO_SIZE);
	t_refused(&f->node, in, sizeof(in), &expected);
	hw_set(in + QPC, HW_QPC_NO_SQ, 0);
	taken(f, in);
}

static void test_unused_halves_need_no_cq(void **state)
{
	struct fixture *f = *state;
	uint8_t in[HW_CREATE_QP_IN_BYTES];

	memcpy(in, f->qp.create, sizeof(in));
	hw_set(in + QPC, HW_QPC_RQ_TYPE, HW_RQ_ZERO_SIZE);
	hw_set(in + QPC, HW_QPC_CQN_RCV, 0);
	taken(f, in);
	memcpy(in, f->qp.create, sizeof(in));
	hw_set(in + QPC, HW_QPC_NO_SQ, 1);
	hw_set(in + QPC, HW_QPC_CQN_SND, 0);
	taken(f, in);
}

/* 16 receive WQEs of 64 bytes, 64 blocks of 64 bytes, then 64 bytes. */
enum { RINGS = 16 * 64 + 64 * 64, UMEM = RINGS + 64 };

static void test_the_rings_must_lie_in_their_umem(void **state)
{
	struct t_refusal unknown = {HW_CMD_BAD_RES, 0x108,
				    "the work queues: umem id 99"};
	struct t_refusal bad = {HW_CMD_BAD_PARAM, 0x108, "do not fit umem"};
	struct fixture *f = *state;
	uint8_t in[HW_CREATE_QP_IN_BYTES];

	memcpy(in, f->qp.create, sizeof(in));
	hw_set(in, HW_CREATE_QP_UMEM_ID, 99);
	t_refused(&f->node, in, sizeof(in), &unknown);
	memcpy(in, f->qp.create, sizeof(in));
	hw_set64(in, HW_CREATE_QP_UMEM_OFFSET, UMEM - RINGS);
	taken(f, in);
	hw_set64(in, HW_CREATE_QP_UMEM_OFFSET, UMEM - RINGS + 64);
	t_refused(&f->node, in, sizeof(in), &bad);
	hw_set64(in, HW_CREATE_QP_UMEM_OFFSET, 1ull << 63);
	t_refused(&f->node, in, sizeof(in), &bad);
	hw_set64(in, HW_CREATE_QP_UMEM_OFFSET, 16);
	bad.text = "is not a multiple of 64";
	t_refused(&f->node, in, sizeof(in), &bad);
	memcpy(in, f->qp.create, sizeof(in));
	hw_set(in + QPC, HW_QPC_LOG_SQ_SIZE, 7);
	bad.text = "do not fit umem";
	t_refused(&f->node, in, sizeof(in), &bad);
	hw_set(in + QPC, HW_QPC_LOG_SQ_SIZE, 6);
	hw_set(in + QPC, HW_QPC_LOG_RQ_SIZE, 5);
	t_refused(&f->node, in, sizeof(in), &bad);
	/* Without a receive ring there is room. */
	hw_set(in + QPC, HW_QPC_RQ_TYPE, HW_RQ_ZERO_SIZE);
	taken(f, in);
}

static void test_the_record_must_lie_in_its_umem(void **state)
{
	struct t_refusal unknown = {HW_CMD_BAD_RES, QPC + 0xe4,
				    "the doorbell record: umem id 99"};
	struct t_refusal bad = {HW_CMD_BAD_PARAM, QPC + 0xe4,
				"do not fit umem"};
	struct fixture *f = *state;
	uint8_t in[HW_CREATE_QP_IN_BYTES];

	memcpy(in, f->qp.create, sizeof(in));
	hw_set(in + QPC, HW_QPC_DBR_UMEM_ID, 99);
	t_refused(&f->node, in, sizeof(in), &unknown);
	hw_set(in + QPC, HW_QPC_DBR_UMEM_ID, 0);
	unknown.text = "the doorbell record: umem id 0";
	t_refused(&f->node, in, sizeof(in), &unknown);
	memcpy(in, f->qp.create, sizeof(in));
	hw_set64(in + QPC, HW_QPC_DBR_ADDR, UMEM - 8);
	taken(f, in);
	hw_set64(in + QPC, HW_QPC_DBR_ADDR, UMEM);
	t_refused(&f->node, in, sizeof(in), &bad);
	hw_set64(in + QPC, HW_QPC_DBR_ADDR, 4);
	bad.text = "is not a multiple of 8";
	t_refused(&f->node, in, sizeof(in), &bad);
}

/* UCX sets no *_umem_valid; the kernel implies it. */
static void test_umem_valid_is_implied_by_an_id(void **state)
{
	struct fixture *f = *state;
	uint8_t in[HW_CREATE_QP_IN_BYTES];

	memcpy(in, f->qp.create, sizeof(in));
	hw_set(in, HW_CREATE_QP_UMEM_VALID, 0);
	hw_set(in + QPC, HW_QPC_DBR_UMEM_VALID, 0);
	taken(f, in);
}

/* A stray bit that DOCA sets instead of cd_master (next_rcv_psn's lowest). */
static void test_fields_that_do_not_matter_yet_are_ignored(void **state)
{
	struct fixture *f = *state;
	uint8_t in[HW_CREATE_QP_IN_BYTES];

	memcpy(in, f->qp.create, sizeof(in));
	hw_set(in + QPC, HW_QPC_NEXT_RCV_PSN, 1);
	hw_set(in + QPC, HW_QPC_CD_MASTER, 1);
	hw_set(in + QPC, HW_QPC_LOG_PAGE_SIZE, 4);
	taken(f, in);
}

static void test_the_smallest_queues_are_taken(void **state)
{
	struct fixture *f = *state;
	uint8_t in[HW_CREATE_QP_IN_BYTES];

	memcpy(in, f->qp.create, sizeof(in));
	hw_set(in + QPC, HW_QPC_LOG_SQ_SIZE, 0);
	hw_set(in + QPC, HW_QPC_LOG_RQ_SIZE, 0);
	hw_set(in + QPC, HW_QPC_LOG_RQ_STRIDE, 0);
	taken(f, in);
}

static void test_connectx_8_takes_doorbells_without_a_record(void **state)
{
	struct fixture *f = *state;
	uint8_t in[HW_CREATE_QP_IN_BYTES];

	refuse_qpc(f, HW_QPC_SEND_DBR_MODE, 2, "QPC_SEND_DBR_MODE");
	memcpy(in, f->qp.create, sizeof(in));
	hw_set(in + QPC, HW_QPC_SEND_DBR_MODE, HW_SEND_DBR_NO_DBR_EXT);
	taken(f, in);
	/* Nobody would read a record: none is needed. */
	hw_set(in + QPC, HW_QPC_RQ_TYPE, HW_RQ_ZERO_SIZE);
	hw_set(in + QPC, HW_QPC_DBR_UMEM_ID, 0);
	taken(f, in);
}

static void test_query_returns_what_was_created(void **state)
{
	struct fixture *f = *state;
	uint8_t qpc[HW_QPC_BYTES];

	t_query_qp(&f->qp, qpc);
	assert_int_equal(hw_get(qpc, HW_QPC_STATE), HW_QP_RST);
	assert_int_equal(hw_get(qpc, HW_QPC_ST), HW_QP_ST_RC);
	assert_int_equal(hw_get(qpc, HW_QPC_PD), f->node.pd);
	assert_int_equal(hw_get(qpc, HW_QPC_LOG_SQ_SIZE), 6);
	assert_int_equal(hw_get(qpc, HW_QPC_LOG_RQ_SIZE), 4);
	assert_int_equal(hw_get(qpc, HW_QPC_CQN_SND), f->cq.number);
	assert_int_equal(hw_get(qpc, HW_QPC_USER_INDEX), 0xabcdef);
	assert_int_equal(hw_get(qpc, HW_QPC_HW_SQ_COUNTER), 0);
}

static void test_a_destroyed_qp_is_gone(void **state)
{
	static const uint16_t opcodes[] = {HW_CMD_DESTROY_QP, HW_CMD_QUERY_QP,
					   HW_CMD_2ERR_QP, HW_CMD_2RST_QP};
	struct t_refusal gone = {HW_CMD_BAD_RES, 8, "does not exist"};
	struct fixture *f = *state;
	uint8_t in[16] = {0};
	uint32_t number;
	struct t_qp qp;
	unsigned i;

	t_qp_create(&f->node, &qp, &f->cq, &f->cq, &t_pair_defaults.qp);
	number = qp.number;
	assert_int_equal(t_qp_destroy(&qp), 0);
	hw_set(in, HW_CMD_IN_NUMBER, number);
	for (i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
		hw_set(in, HW_CMD_IN_OPCODE, opcodes[i]);
		t_refused(&f->node, in, sizeof(in), &gone);
	}
}

static void test_memory_of_a_qp_cannot_be_taken_away(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(nic_umem_deregister(f->node.nic, f->qp.umem), -EBUSY);
	assert_int_equal(nic_uar_free(f->node.nic, f->qp.uar_index), -EBUSY);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_each_field_of_the_context_is_checked),
		T(test_an_srq_must_exist),
		T(test_a_qp_needs_a_queue),
		T(test_unused_halves_need_no_cq),
		T(test_the_rings_must_lie_in_their_umem),
		T(test_the_record_must_lie_in_its_umem),
		T(test_umem_valid_is_implied_by_an_id),
		T(test_fields_that_do_not_matter_yet_are_ignored),
		T(test_the_smallest_queues_are_taken),
		cmocka_unit_test_setup_teardown(
			test_connectx_8_takes_doorbells_without_a_record,
			setup_8, teardown),
		T(test_query_returns_what_was_created),
		T(test_a_destroyed_qp_is_gone),
		T(test_memory_of_a_qp_cannot_be_taken_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
