/* SPDX-License-Identifier: MIT */
/*
 * QP state changes: the whole table of emu/qp.h, each field check from both
 * sides, required and optional fields, what QUERY_QP says afterwards.
 */
#include "support/t_pair.h"

enum { QPC = HW_QPC_OFFSET, ADS = HW_QPC_OFFSET + HW_QPC_PATH };

static int setup(void **state)
{
	struct t_pair_options options = t_pair_defaults;

	options.unconnected = true;
	*state = t_pair_open(&options);
	return 0;
}

static int setup_roce(void **state)
{
	struct t_pair_options options = t_pair_defaults;

	options.config.link = NIC_LINK_ROCE;
	options.unconnected = true;
	*state = t_pair_open(&options);
	return 0;
}

/* Bring QP 0 to a state, from wherever it is. */
static void bring(struct t_pair *p, enum hw_qp_state state)
{
	static const uint16_t way[] = {HW_CMD_RST2INIT_QP, HW_CMD_INIT2RTR_QP,
				       HW_CMD_RTR2RTS_QP};
	struct t_qp *qp = &p->qp[0];
	unsigned i;

	assert_int_equal(t_modify(qp, HW_CMD_2RST_QP, NULL, NULL), 0);
	for (i = 0; state <= HW_QP_RTS && i < state; i++)
		assert_int_equal(t_modify(qp, way[i], &p->qp[1], NULL), 0);
	if (state == HW_QP_ERR)
		assert_int_equal(t_modify(qp, HW_CMD_2ERR_QP, NULL, NULL), 0);
	assert_int_equal(t_state(qp), state);
}

static void test_the_table_of_state_changes_holds(void **state)
{
	static const uint8_t from[] = {HW_QP_RST, HW_QP_INIT, HW_QP_RTR,
				       HW_QP_RTS, HW_QP_ERR};
	static const struct {
		uint16_t opcode;
		int from; /* -1: any */
		uint8_t to;
	} commands[] = {
		{HW_CMD_RST2INIT_QP, HW_QP_RST, HW_QP_INIT},
		{HW_CMD_INIT2INIT_QP, HW_QP_INIT, HW_QP_INIT},
		{HW_CMD_INIT2RTR_QP, HW_QP_INIT, HW_QP_RTR},
		{HW_CMD_RTR2RTS_QP, HW_QP_RTR, HW_QP_RTS},
		{HW_CMD_RTS2RTS_QP, HW_QP_RTS, HW_QP_RTS},
		{HW_CMD_SQERR2RTS_QP, HW_QP_SQER, HW_QP_RTS},
		{HW_CMD_2ERR_QP, -1, HW_QP_ERR},
		{HW_CMD_2RST_QP, -1, HW_QP_RST},
	};
	struct t_refusal refusal = {HW_CMD_BAD_QP_STATE, 8,
				    "the command starts from"};
	uint8_t in[HW_MODIFY_QP_IN_BYTES];
	struct t_pair *p = *state;
	unsigned i, j;

	for (i = 0; i < sizeof(from); i++)
		for (j = 0; j < sizeof(commands) / sizeof(commands[0]); j++) {
			bring(p, from[i]);
			t_modify_mailbox(&p->qp[0], commands[j].opcode,
					 &p->qp[1], NULL, in);
			if (commands[j].from < 0 ||
			    commands[j].from == from[i]) {
				assert_int_equal(t_modify(&p->qp[0],
							  commands[j].opcode,
							  &p->qp[1], NULL),
						 HW_CMD_OK);
				assert_int_equal(t_state(&p->qp[0]),
						 commands[j].to);
				continue;
			}
			t_refused(&p->node[0], in, sizeof(in), &refusal);
			assert_int_equal(t_state(&p->qp[0]), from[i]);
		}
}

static void test_a_state_change_of_no_qp_is_refused(void **state)
{
	static const uint16_t opcodes[] = {
		HW_CMD_RST2INIT_QP, HW_CMD_INIT2INIT_QP, HW_CMD_INIT2RTR_QP,
		HW_CMD_RTR2RTS_QP, HW_CMD_RTS2RTS_QP};
	struct t_refusal gone = {HW_CMD_BAD_RES, 8, "QP 0xffff does not exist"};
	uint8_t in[HW_MODIFY_QP_IN_BYTES];
	struct t_pair *p = *state;
	unsigned i;

	for (i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
		t_modify_mailbox(&p->qp[0], opcodes[i], &p->qp[1], NULL, in);
		hw_set(in, HW_CMD_IN_NUMBER, 0xffff);
		t_refused(&p->node[0], in, sizeof(in), &gone);
	}
}

struct spoilt {
	uint16_t opcode;
	uint8_t from;
	uint32_t base;
	struct hw_field field;
	uint32_t good, bad; /* neighbours */
	const char *text;
};

static void check_field(struct t_pair *p, const struct spoilt *s)
{
	struct t_refusal refusal = {HW_CMD_BAD_PARAM,
				    (uint16_t)(s->base + s->field.offset),
				    s->text};
	uint8_t in[HW_MODIFY_QP_IN_BYTES];

	bring(p, s->from);
	t_modify_mailbox(&p->qp[0], s->opcode, &p->qp[1], NULL, in);
	hw_set(in + s->base, s->field, s->bad);
	t_refused(&p->node[0], in, sizeof(in), &refusal);
	assert_int_equal(t_state(&p->qp[0]), s->from);
	hw_set(in + s->base, s->field, s->good);
	assert_int_equal(t_cmd(&p->node[0], in, sizeof(in), NULL), HW_CMD_OK);
}

static void test_each_field_is_checked_on_both_sides(void **state)
{
	const struct spoilt fields[] = {
		{HW_CMD_RST2INIT_QP, HW_QP_RST, ADS, HW_ADS_PORT, 1, 2,
		 "ADS_PORT (mailbox 0x54[23:16]) holds 2 (0x2), expected 1"},
		{HW_CMD_RST2INIT_QP, HW_QP_RST, ADS, HW_ADS_PKEY_INDEX, 0, 1,
		 "ADS_PKEY_INDEX (mailbox 0x30[15:0]) holds 1"},
		{HW_CMD_INIT2INIT_QP, HW_QP_INIT, ADS, HW_ADS_PORT, 0, 2,
		 "ADS_PORT"},
		{HW_CMD_INIT2RTR_QP, HW_QP_INIT, ADS, HW_ADS_PORT, 0, 3,
		 "ADS_PORT"},
		{HW_CMD_INIT2RTR_QP, HW_QP_INIT, QPC, HW_QPC_MTU, 1, 0,
		 "QPC_MTU (mailbox 0x20[31:29]) holds 0 (0x0), expected 1"},
		{HW_CMD_INIT2RTR_QP, HW_QP_INIT, QPC, HW_QPC_MTU, 5, 6,
		 "QPC_MTU"},
		{HW_CMD_INIT2RTR_QP, HW_QP_INIT, QPC, HW_QPC_LOG_MSG_MAX, 30,
		 31, "QPC_LOG_MSG_MAX (mailbox 0x20[28:24]) holds 31"},
		{HW_CMD_INIT2RTR_QP, HW_QP_INIT, QPC, HW_QPC_LOG_RRA_MAX, 4, 5,
		 "QPC_LOG_RRA_MAX (mailbox 0xa8[23:21]) holds 5"},
		{HW_CMD_INIT2RTR_QP, HW_QP_INIT, ADS, HW_ADS_RLID, 0xffff, 0,
		 "ADS_RLID (mailbox 0x34[15:0]) holds 0"},
		{HW_CMD_INIT2RTR_QP, HW_QP_INIT, ADS, HW_ADS_SRC_ADDR_INDEX, 0,
		 1, "ADS_SRC_ADDR_INDEX (mailbox 0x38[23:16]) holds 1"},
		{HW_CMD_RTR2RTS_QP, HW_QP_RTR, QPC, HW_QPC_LOG_SRA_MAX, 4, 5,
		 "QPC_LOG_SRA_MAX (mailbox 0x88[23:21]) holds 5"},
	};
	unsigned i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		check_field(*state, &fields[i]);
}

static void test_a_global_route_needs_a_gid(void **state)
{
	struct t_refusal refusal = {
		HW_CMD_BAD_PARAM, ADS + HW_ADS_RGID,
		"ADS_RGID (mailbox 0x40, 16 bytes) is zero"};
	uint8_t in[HW_MODIFY_QP_IN_BYTES];
	struct t_pair *p = *state;
	struct nic_port port;

	bring(p, HW_QP_INIT);
	t_modify_mailbox(&p->qp[0], HW_CMD_INIT2RTR_QP, &p->qp[1], NULL, in);
	hw_set(in + ADS, HW_ADS_GRH, 1);
	t_refused(&p->node[0], in, sizeof(in), &refusal);
	nic_query_port(p->node[1].nic, &port);
	memcpy(in + ADS + HW_ADS_RGID, port.gid, 16);
	/* With a global route the LID does not matter. */
	hw_set(in + ADS, HW_ADS_RLID, 0);
	assert_int_equal(t_cmd(&p->node[0], in, sizeof(in), NULL), HW_CMD_OK);
}

static void test_an_ethernet_port_needs_a_gid_and_no_lid(void **state)
{
	struct t_refusal refusal = {HW_CMD_BAD_PARAM, ADS + HW_ADS_RGID,
				    "this is an Ethernet port"};
	uint8_t in[HW_MODIFY_QP_IN_BYTES];
	struct t_pair *p = *state;

	bring(p, HW_QP_INIT);
	t_modify_mailbox(&p->qp[0], HW_CMD_INIT2RTR_QP, &p->qp[1], NULL, in);
	hw_set(in + ADS, HW_ADS_GRH, 0);
	hw_set(in + ADS, HW_ADS_RLID, 0);
	memset(in + ADS + HW_ADS_RGID, 0, 16);
	t_refused(&p->node[0], in, sizeof(in), &refusal);
	assert_int_equal(
		t_modify(&p->qp[0], HW_CMD_INIT2RTR_QP, &p->qp[1], NULL), 0);
}

static void test_query_shows_what_the_changes_set(void **state)
{
	struct t_connect options = {.psn = 0x123456,
				    .peer_psn = 0xfedcba,
				    .mtu = 3,
				    .ack_timeout = 20,
				    .retries = 5,
				    .rnr_retries = 6,
				    .min_rnr_nak = 12,
				    .log_ra_max = 2};
	struct t_pair *p = *state;
	uint8_t qpc[HW_QPC_BYTES];

	t_connect(&p->qp[0], &p->qp[1], &options);
	t_query_qp(&p->qp[0], qpc);
	assert_int_equal(hw_get(qpc, HW_QPC_STATE), HW_QP_RTS);
	assert_int_equal(hw_get(qpc, HW_QPC_MTU), 3);
	assert_int_equal(hw_get(qpc, HW_QPC_REMOTE_QPN), p->qp[1].number);
	assert_int_equal(hw_get(qpc, HW_QPC_NEXT_SEND_PSN), 0x123456);
	assert_int_equal(hw_get(qpc, HW_QPC_NEXT_RCV_PSN), 0xfedcba);
	assert_int_equal(hw_get(qpc, HW_QPC_RETRY_COUNT), 5);
	assert_int_equal(hw_get(qpc, HW_QPC_RNR_RETRY), 6);
	assert_int_equal(hw_get(qpc, HW_QPC_MIN_RNR_NAK), 12);
	assert_int_equal(hw_get(qpc, HW_QPC_LOG_SRA_MAX), 2);
	assert_int_equal(hw_get(qpc, HW_QPC_LOG_RRA_MAX), 2);
	assert_int_equal(hw_get(qpc, HW_QPC_RRE), 1);
	assert_int_equal(hw_get(qpc, HW_QPC_RWE), 1);
	assert_int_equal(hw_get(qpc, HW_QPC_RAE), 1);
	assert_int_equal(hw_get(qpc + HW_QPC_PATH, HW_ADS_ACK_TIMEOUT), 20);
	assert_int_equal(hw_get(qpc + HW_QPC_PATH, HW_ADS_PORT), 1);
	assert_int_equal(hw_get(qpc, HW_QPC_PM_STATE), HW_PM_MIGRATED);
	assert_int_equal(hw_get(qpc, HW_QPC_LOG_MSG_MAX), 30);
	assert_int_equal(hw_get(qpc, HW_QPC_LAST_ACKED_PSN), 0x123455);
}

static void test_query_follows_the_traffic(void **state)
{
	struct t_pair *p = *state;
	uint8_t qpc[HW_QPC_BYTES];

	t_connect(&p->qp[0], &p->qp[1], NULL);
	t_pair_works(p);
	t_query_qp(&p->qp[0], qpc);
	assert_int_equal(hw_get(qpc, HW_QPC_NEXT_SEND_PSN), 1);
	assert_int_equal(hw_get(qpc, HW_QPC_LAST_ACKED_PSN), 0);
	assert_int_equal(hw_get(qpc, HW_QPC_HW_SQ_COUNTER), 1);
	assert_int_equal(hw_get(qpc, HW_QPC_SW_SQ_COUNTER), 1);
	t_query_qp(&p->qp[1], qpc);
	assert_int_equal(hw_get(qpc, HW_QPC_NEXT_RCV_PSN), 1);
}

/* What is optional is taken only if its bit in opt_param_mask is set. */
static void test_optional_fields_need_their_mask_bit(void **state)
{
	struct t_pair *p = *state;
	uint8_t in[HW_MODIFY_QP_IN_BYTES], qpc[HW_QPC_BYTES];

	t_connect(&p->qp[0], &p->qp[1], NULL);
	t_modify_mailbox(&p->qp[0], HW_CMD_RTS2RTS_QP, &p->qp[1], NULL, in);
	hw_set(in + QPC, HW_QPC_RWE, 0);
	hw_set(in + QPC, HW_QPC_RETRY_COUNT, 1);
	hw_set(in + QPC, HW_QPC_MIN_RNR_NAK, 3);
	hw_set(in + QPC, HW_QPC_LOG_SRA_MAX, 7); /* not looked at */
	assert_int_equal(t_cmd(&p->node[0], in, sizeof(in), NULL), 0);
	t_query_qp(&p->qp[0], qpc);
	assert_int_equal(hw_get(qpc, HW_QPC_RWE), 1);
	assert_int_equal(hw_get(qpc, HW_QPC_RETRY_COUNT), 7);
	assert_int_equal(hw_get(qpc, HW_QPC_MIN_RNR_NAK), 12);
	/* MLX5_QP_OPTPAR_RWE, _RETRY_COUNT, _RNR_TIMEOUT */
	hw_set(in, HW_QP_OPT_PARAM_MASK, 1 << 3 | 1 << 12 | 1 << 6);
	assert_int_equal(t_cmd(&p->node[0], in, sizeof(in), NULL), 0);
	t_query_qp(&p->qp[0], qpc);
	assert_int_equal(hw_get(qpc, HW_QPC_RWE), 0);
	assert_int_equal(hw_get(qpc, HW_QPC_RETRY_COUNT), 1);
	assert_int_equal(hw_get(qpc, HW_QPC_MIN_RNR_NAK), 3);
	/* MLX5_QP_OPTPAR_SRA_MAX */
	hw_set(in, HW_QP_OPT_PARAM_MASK, 1 << 8);
	assert_int_equal(t_cmd(&p->node[0], in, sizeof(in), NULL),
			 HW_CMD_BAD_PARAM);
}

/* Linux sends the port with RST2INIT, and with INIT2RTR a path. */
static void test_a_path_without_a_port_keeps_the_port(void **state)
{
	struct t_pair *p = *state;
	uint8_t in[HW_MODIFY_QP_IN_BYTES], qpc[HW_QPC_BYTES];

	bring(p, HW_QP_INIT);
	t_modify_mailbox(&p->qp[0], HW_CMD_INIT2RTR_QP, &p->qp[1], NULL, in);
	hw_set(in + ADS, HW_ADS_PORT, 0);
	hw_set(in + ADS, HW_ADS_SL, 5);
	assert_int_equal(t_cmd(&p->node[0], in, sizeof(in), NULL), 0);
	t_query_qp(&p->qp[0], qpc);
	assert_int_equal(hw_get(qpc + HW_QPC_PATH, HW_ADS_PORT), 1);
	assert_int_equal(hw_get(qpc + HW_QPC_PATH, HW_ADS_SL), 5);
}

struct optional {
	uint16_t opcode;
	uint8_t from;
	uint32_t bit, base;
	struct hw_field field;
	uint32_t value;
};

static void check_optional(struct t_pair *p, const struct optional *o)
{
	uint32_t at = o->base - QPC, before;
	uint8_t in[HW_MODIFY_QP_IN_BYTES], qpc[HW_QPC_BYTES];

	bring(p, o->from);
	t_query_qp(&p->qp[0], qpc);
	before = hw_get(qpc + at, o->field);
	assert_int_not_equal(before, o->value);
	t_modify_mailbox(&p->qp[0], o->opcode, &p->qp[1], NULL, in);
	hw_set(in + o->base, o->field, o->value);
	assert_int_equal(t_cmd(&p->node[0], in, sizeof(in), NULL), 0);
	t_query_qp(&p->qp[0], qpc);
	assert_int_equal(hw_get(qpc + at, o->field), before);
	bring(p, o->from);
	t_modify_mailbox(&p->qp[0], o->opcode, &p->qp[1], NULL, in);
	hw_set(in + o->base, o->field, o->value);
	hw_set(in, HW_QP_OPT_PARAM_MASK, o->bit);
	assert_int_equal(t_cmd(&p->node[0], in, sizeof(in), NULL), 0);
	t_query_qp(&p->qp[0], qpc);
	assert_int_equal(hw_get(qpc + at, o->field), o->value);
}

/* The bits are MLX5_QP_OPTPAR_*. */
static void test_each_optional_field_needs_its_bit(void **state)
{
	const struct optional fields[] = {
		{HW_CMD_INIT2INIT_QP, HW_QP_INIT, 1 << 5, QPC, HW_QPC_Q_KEY, 9},
		{HW_CMD_INIT2RTR_QP, HW_QP_INIT, 1 << 5, QPC, HW_QPC_Q_KEY, 9},
		{HW_CMD_RTR2RTS_QP, HW_QP_RTR, 1 << 5, QPC, HW_QPC_Q_KEY, 9},
		{HW_CMD_RTS2RTS_QP, HW_QP_RTS, 1 << 5, QPC, HW_QPC_Q_KEY, 9},
		{HW_CMD_INIT2INIT_QP, HW_QP_INIT, 1 << 16, ADS, HW_ADS_PORT, 0},
		{HW_CMD_RTR2RTS_QP, HW_QP_RTR, 1 << 10, QPC, HW_QPC_PM_STATE,
		 0},
		{HW_CMD_RTS2RTS_QP, HW_QP_RTS, 1 << 25, QPC,
		 HW_QPC_COUNTER_SET_ID, 7},
		{HW_CMD_RTS2RTS_QP, HW_QP_RTS, 1 << 7, ADS, HW_ADS_SL, 3},
		{HW_CMD_RTS2RTS_QP, HW_QP_RTS, 1 << 14, ADS, HW_ADS_ACK_TIMEOUT,
		 9},
	};
	struct t_pair *p = *state;
	unsigned i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		check_optional(p, &fields[i]);
}

/* To the same peer by another address; the timeout stays. */
static void test_a_path_can_change_in_rts(void **state)
{
	struct t_refusal port = {HW_CMD_BAD_PARAM, ADS + 0x24, "ADS_PORT"};
	struct t_refusal path = {HW_CMD_BAD_PARAM, ADS + 4, "ADS_RLID"};
	struct t_pair *p = *state;
	uint8_t in[HW_MODIFY_QP_IN_BYTES], qpc[HW_QPC_BYTES];
	struct nic_port to;

	t_connect(&p->qp[0], &p->qp[1], NULL);
	t_pair_works(p);
	nic_query_port(p->node[1].nic, &to);
	t_modify_mailbox(&p->qp[0], HW_CMD_RTS2RTS_QP, &p->qp[1], NULL, in);
	hw_set(in, HW_QP_OPT_PARAM_MASK, 1 << 7);
	hw_set(in + ADS, HW_ADS_ACK_TIMEOUT, 0);
	hw_set(in + ADS, HW_ADS_GRH, 1);
	hw_set(in + ADS, HW_ADS_RLID, 0);
	memcpy(in + ADS + HW_ADS_RGID, to.gid, 16);
	assert_int_equal(t_cmd(&p->node[0], in, sizeof(in), NULL), 0);
	t_query_qp(&p->qp[0], qpc);
	assert_int_equal(hw_get(qpc + HW_QPC_PATH, HW_ADS_ACK_TIMEOUT), 14);
	assert_int_equal(hw_get(qpc + HW_QPC_PATH, HW_ADS_GRH), 1);
	t_pair_works(p);
	hw_set(in + ADS, HW_ADS_GRH, 0);
	t_refused(&p->node[0], in, sizeof(in), &path);
	hw_set(in, HW_QP_OPT_PARAM_MASK, 1 << 16);
	hw_set(in + ADS, HW_ADS_PORT, 2);
	t_refused(&p->node[0], in, sizeof(in), &port);
}

static void test_messages_are_limited_by_log_msg_max(void **state)
{
	struct t_connect options = {.log_msg_max = 10,
				    .ack_timeout = 14,
				    .retries = 7,
				    .rnr_retries = 7,
				    .log_ra_max = 4};
	struct t_pair *p = *state;

	t_connect(&p->qp[0], &p->qp[1], &options);
	t_pair_rdma(p, HW_OP_RDMA_READ, 1024);
	t_pair_rdma(p, HW_OP_RDMA_READ, 1025);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, 0);
	t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 1, HW_SYND_LOCAL_LENGTH);
}

/* The peer may send more: each kind of message is refused. */
static void test_the_responder_limits_messages_too(void **state)
{
	static const uint8_t opcodes[] = {HW_OP_SEND, HW_OP_RDMA_WRITE,
					  HW_OP_RDMA_READ};
	struct t_connect small = {.log_msg_max = 10, .log_ra_max = 4};
	struct t_pair *p = *state;
	unsigned i;

	for (i = 0; i < sizeof(opcodes); i++) {
		bring(p, HW_QP_RTS);
		t_qp_rewind(&p->qp[0]);
		t_modify(&p->qp[1], HW_CMD_2RST_QP, NULL, NULL);
		t_qp_rewind(&p->qp[1]);
		t_modify(&p->qp[1], HW_CMD_RST2INIT_QP, &p->qp[0], &small);
		t_modify(&p->qp[1], HW_CMD_INIT2RTR_QP, &p->qp[0], &small);
		t_post_recv(&p->qp[1], p->memory[1], 4096, p->key[1]);
		t_begin(&p->qp[0], opcodes[i], 0, T_SIGNALED);
		if (opcodes[i] != HW_OP_SEND)
			t_raddr(&p->qp[0], p->memory[1], p->key[1]);
		t_data(&p->qp[0], p->memory[0], 1025, p->key[0]);
		t_end(&p->qp[0]);
		t_ring(&p->qp[0]);
		t_pair_run(p);
		t_expect_error(&p->cq[0], HW_CQE_REQ_ERR, 0,
			       HW_SYND_REMOTE_INVAL_REQ);
		assert_true(t_logged(&p->node[1], "2^qpc.log_msg_max"));
		t_forget(&p->node[1]);
	}
}

static void test_a_qp_works_again_after_reset(void **state)
{
	struct t_pair *p = *state;
	int i;

	t_connect(&p->qp[0], &p->qp[1], NULL);
	for (i = 0; i < 3; i++) {
		t_pair_works(p);
		t_pair_reconnect(p);
	}
	t_pair_works(p);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, t_pair_teardown)
	const struct CMUnitTest tests[] = {
		T(test_the_table_of_state_changes_holds),
		T(test_a_state_change_of_no_qp_is_refused),
		T(test_each_field_is_checked_on_both_sides),
		T(test_a_global_route_needs_a_gid),
		cmocka_unit_test_setup_teardown(
			test_an_ethernet_port_needs_a_gid_and_no_lid,
			setup_roce, t_pair_teardown),
		T(test_query_shows_what_the_changes_set),
		T(test_query_follows_the_traffic),
		T(test_optional_fields_need_their_mask_bit),
		T(test_a_path_without_a_port_keeps_the_port),
		T(test_each_optional_field_needs_its_bit),
		T(test_a_path_can_change_in_rts),
		T(test_messages_are_limited_by_log_msg_max),
		T(test_the_responder_limits_messages_too),
		T(test_a_qp_works_again_after_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
