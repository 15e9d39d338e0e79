/* SPDX-License-Identifier: MIT */
/*
 * UD: a datagram reaches one receive WQE of the right queue pair with the
 * right Q_Key, or vanishes; what the receive CQE and the first 40 bytes say.
 */
#include "support/t_pair.h"

#include <sys/mman.h>

enum { QKEY = 0x11111111, GRH = HW_GRH_BYTES };

static void open_pair(void **state, enum nic_link link)
{
	struct t_pair_options options = t_pair_defaults;
	struct t_pair *p;

	options.config.link = link;
	options.unconnected = true;
	options.qp.st = HW_QP_ST_UD;
	options.qp.user_index = 0x4711;
	p = t_pair_open(&options);
	t_ready_ud(&p->qp[0], QKEY);
	t_ready_ud(&p->qp[1], QKEY);
	*state = p;
}

static int setup(void **state)
{
	open_pair(state, NIC_LINK_IB);
	return 0;
}

static int setup_roce(void **state)
{
	open_pair(state, NIC_LINK_ROCE);
	return 0;
}

static uint16_t post(struct t_pair *p, uint8_t opcode, const struct t_av *av,
		     uint32_t len)
{
	uint16_t index;

	t_begin(&p->qp[0], opcode, 0, T_SIGNALED);
	t_imm(&p->qp[0], 0xa1b2c3d4);
	t_av(&p->qp[0], av);
	if (len)
		t_data(&p->qp[0], p->memory[0], len, p->key[0]);
	index = t_end(&p->qp[0]);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	return index;
}

static void post_recv(struct t_pair *p, uint32_t len)
{
	memset(p->memory[1], 0xee, 8192);
	t_post_recv(&p->qp[1], p->memory[1], len, p->key[1]);
}

/* The datagram is sent, and the peer never hears of it. */
static void expect_lost(struct t_pair *p, uint16_t index)
{
	t_expect(&p->cq[0], HW_CQE_REQ, index);
	t_expect_none(&p->cq[0]);
	t_expect_none(&p->cq[1]);
	assert_int_equal(t_state(&p->qp[0]), HW_QP_RTS);
	assert_int_equal(t_state(&p->qp[1]), HW_QP_RTS);
}

static void expect_arrival(struct t_pair *p, struct hw_cqe_info *info,
			   uint32_t len)
{
	struct nic_port port;

	nic_query_port(p->node[0].nic, &port);
	assert_true(t_poll(&p->cq[1], info));
	if (info->opcode == HW_CQE_RESP_ERR)
		fail_msg("%s", p->node[1].log);
	assert_int_equal(info->byte_cnt, GRH + len);
	assert_int_equal(info->src_qpn, p->qp[0].number);
	assert_int_equal(info->qpn, p->qp[1].number);
	assert_int_equal(info->user_index, 0x4711);
	assert_int_equal(info->slid, port.link == NIC_LINK_ROCE ? 0 : port.lid);
	assert_int_equal(info->path_bits, 0);
	assert_memory_equal(p->memory[1] + GRH, p->memory[0], len);
	assert_int_equal(p->memory[1][GRH + len], 0xee);
}

static void test_a_datagram_arrives_behind_40_bytes(void **state)
{
	static const uint32_t lengths[] = {0,	 1,    31,   32,  1023,
					   1024, 1025, 4095, 4096};
	struct t_pair *p = *state;
	struct t_av av = {.to = &p->qp[1], .qkey = QKEY, .sl = 5};
	struct hw_cqe_info info;
	uint8_t untouched[GRH];
	uint16_t index;
	unsigned i;

	memset(untouched, 0xee, sizeof(untouched));
	for (i = 0; i < 2 * sizeof(lengths) / sizeof(lengths[0]); i++) {
		t_fill(p->memory[0], 4096, i);
		post_recv(p, GRH + lengths[i / 2]);
		av.ext = i % 2; /* both forms */
		index = post(p, HW_OP_SEND, &av, lengths[i / 2]);
		t_expect(&p->cq[0], HW_CQE_REQ, index);
		expect_arrival(p, &info, lengths[i / 2]);
		assert_int_equal(info.opcode, HW_CQE_RESP_SEND);
		assert_int_equal(info.wqe_counter, i);
		assert_int_equal(info.sl, 5);
		assert_int_equal(info.grh, 0);
		assert_memory_equal(p->memory[1], untouched, GRH);
	}
}

static void test_immediate_and_solicited_travel(void **state)
{
	struct t_pair *p = *state;
	struct t_av av = {.to = &p->qp[1], .qkey = QKEY};
	struct hw_cqe_info info;

	post_recv(p, 100);
	t_begin(&p->qp[0], HW_OP_SEND_IMM, 0, T_SIGNALED | HW_SOLICITED);
	t_imm(&p->qp[0], 0x31323334);
	t_av(&p->qp[0], &av);
	t_inline(&p->qp[0], p->memory[0], 20);
	t_end(&p->qp[0]);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	expect_arrival(p, &info, 20);
	assert_int_equal(info.opcode, HW_CQE_RESP_SEND_IMM);
	assert_int_equal(info.imm, 0x31323334);
	assert_int_equal(info.solicited, 1);
}

static void expect_grh(struct t_pair *p, uint32_t len)
{
	struct nic_port from, to;
	struct hw_grh grh;

	nic_query_port(p->node[0].nic, &from);
	nic_query_port(p->node[1].nic, &to);
	memcpy(&grh, p->memory[1], sizeof(grh));
	assert_int_equal(from_be32(grh.version_tclass_flow),
			 6u << 28 | 0x21 << 20 | 0x12345);
	/* BTH, DETH, payload, padding, ICRC */
	assert_int_equal(from_be16(grh.payload_len),
			 12 + 8 + (len + 3) / 4 * 4 + 4);
	assert_int_equal(grh.next_header, 0x1b);
	assert_int_equal(grh.hop_limit, 7);
	assert_memory_equal(grh.sgid, from.gid, 16);
	assert_memory_equal(grh.dgid, to.gid, 16);
}

static void test_a_route_header_is_written(void **state)
{
	struct t_pair *p = *state;
	struct t_av av = {
		.to = &p->qp[1], .qkey = QKEY, .ext = true, .grh = true};
	struct hw_cqe_info info;
	uint32_t len;

	for (len = 61; len <= 64; len++) {
		post_recv(p, 4096);
		post(p, HW_OP_SEND, &av, len);
		expect_arrival(p, &info, len);
		assert_int_equal(info.grh, 1);
		expect_grh(p, len);
	}
}

static void test_ethernet_always_has_a_route_header(void **state)
{
	struct t_pair *p = *state;
	struct t_av av = {.to = &p->qp[1], .qkey = QKEY, .ext = true};
	struct hw_cqe_info info;

	post_recv(p, 4096);
	post(p, HW_OP_SEND, &av, 64);
	expect_arrival(p, &info, 64);
	assert_int_equal(info.grh, 1);
	expect_grh(p, 64);
}

static void test_header_and_payload_cross_the_scatter_list(void **state)
{
	struct t_pair *p = *state;
	struct t_av av = {
		.to = &p->qp[1], .qkey = QKEY, .ext = true, .grh = true};
	uint8_t *slot = p->qp[1].rq;
	struct hw_wqe_data seg[3] = {
		hw_wqe_data_encode(33, p->key[1], (uintptr_t)p->memory[1]),
		hw_wqe_data_encode(11, p->key[1], (uintptr_t)p->memory[1] + 33),
		hw_wqe_data_encode(60, p->key[1], (uintptr_t)p->memory[1] + 44),
	};
	struct hw_cqe_info info;

	post_recv(p, 0);
	memcpy(slot, seg, sizeof(seg));
	t_fill(p->memory[0], 64, 9);
	post(p, HW_OP_SEND, &av, 64);
	expect_arrival(p, &info, 64);
	expect_grh(p, 64);
}

static void test_the_q_key_must_match(void **state)
{
	struct t_pair *p = *state;
	struct t_av av = {.to = &p->qp[1], .qkey = QKEY + 1};
	struct hw_cqe_info info;

	post_recv(p, 4096);
	expect_lost(p, post(p, HW_OP_SEND, &av, 10));
	assert_true(t_logged(&p->node[1], "with Q_Key 0x11111112"));
	/* The highest bit: the sending queue pair's own. */
	av.qkey = 0x80010000;
	t_expect_none(&p->cq[1]);
	post(p, HW_OP_SEND, &av, 10);
	expect_arrival(p, &info, 10);
}

static void test_the_q_key_can_change_in_rts(void **state)
{
	struct t_pair *p = *state;
	struct t_connect options = {.qkey = 0x222};
	struct t_av av = {.to = &p->qp[1], .qkey = QKEY};
	uint8_t in[HW_MODIFY_QP_IN_BYTES], qpc[HW_QPC_BYTES];
	struct hw_cqe_info info;

	post_recv(p, 4096);
	t_modify_mailbox(&p->qp[1], HW_CMD_RTS2RTS_QP, NULL, &options, in);
	assert_int_equal(t_cmd(&p->node[1], in, sizeof(in), NULL), 0);
	post(p, HW_OP_SEND, &av, 10); /* without its mask bit: as before */
	expect_arrival(p, &info, 10);
	hw_set(in, HW_QP_OPT_PARAM_MASK, 1 << 5); /* MLX5_QP_OPTPAR_Q_KEY */
	assert_int_equal(t_cmd(&p->node[1], in, sizeof(in), NULL), 0);
	t_query_qp(&p->qp[1], qpc);
	assert_int_equal(hw_get(qpc, HW_QPC_Q_KEY), 0x222);
	t_poll(&p->cq[0], &info);
	post_recv(p, 4096);
	expect_lost(p, post(p, HW_OP_SEND, &av, 10));
	av.qkey = 0x222;
	post(p, HW_OP_SEND, &av, 10);
	expect_arrival(p, &info, 10);
}

static void test_without_a_receive_wqe_it_is_lost(void **state)
{
	struct t_pair *p = *state;
	struct t_av av = {.to = &p->qp[1], .qkey = QKEY};
	struct nic_counters counters;
	struct hw_cqe_info info;

	expect_lost(p, post(p, HW_OP_SEND, &av, 10));
	nic_get_counters(p->node[1].nic, &counters);
	assert_int_equal(counters.out_of_buffer, 1);
	assert_int_equal(counters.packets_dropped, 1);
	post_recv(p, 4096);
	post(p, HW_OP_SEND, &av, 11);
	expect_arrival(p, &info, 11);
}

static void test_to_nobody_it_vanishes(void **state)
{
	struct t_pair *p = *state;
	struct t_qp nobody = p->qp[1];
	struct t_av av = {.to = &nobody, .qkey = QKEY};
	struct hw_wqe_av_info info = {.qpn = p->qp[1].number, .qkey = QKEY};
	struct hw_wqe_av seg;
	uint16_t index;

	/* no such QP */
	nobody.number = 0xffffff;
	post_recv(p, 4096);
	expect_lost(p, post(p, HW_OP_SEND, &av, 10));
	/* no such port */
	info.rlid = 99;
	seg = hw_wqe_av_encode(&info);
	t_begin(&p->qp[0], HW_OP_SEND, 0, T_SIGNALED);
	t_segment(&p->qp[0], &seg, HW_AV_COMPACT_BYTES);
	index = t_end(&p->qp[0]);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	expect_lost(p, index);
}

static void test_a_nic_that_has_left_is_forgotten(void **state)
{
	struct t_pair *p = *state;
	struct t_av av = {.to = &p->qp[1], .qkey = QKEY};
	struct hw_wqe_av_info info = {.qpn = p->qp[1].number, .qkey = QKEY};
	struct hw_wqe_av seg;
	struct nic_port port;
	unsigned i;

	post_recv(p, 4096);
	t_expect(&p->cq[0], HW_CQE_REQ, post(p, HW_OP_SEND, &av, 10));
	nic_query_port(p->node[1].nic, &port);
	t_node_close(&p->node[1]);
	info.rlid = port.lid;
	seg = hw_wqe_av_encode(&info);
	for (i = 0; i < 3; i++) {
		t_begin(&p->qp[0], HW_OP_SEND, 0, T_SIGNALED);
		t_segment(&p->qp[0], &seg, HW_AV_COMPACT_BYTES);
		t_end(&p->qp[0]);
		t_ring(&p->qp[0]);
		t_run(p->node, 1);
		t_expect(&p->cq[0], HW_CQE_REQ, (uint16_t)(i + 1));
	}
	assert_int_equal(t_state(&p->qp[0]), HW_QP_RTS);
}

static void test_a_buffer_that_is_too_short_fails_the_receiver(void **state)
{
	static const uint32_t sizes[] = {GRH + 99, GRH, 1};
	struct t_pair *p = *state;
	struct t_av av = {.to = &p->qp[1], .qkey = QKEY};
	unsigned i;

	for (i = 0; i < 3; i++) {
		post_recv(p, sizes[i]);
		t_post_recv(&p->qp[1], p->memory[1], 4096, p->key[1]);
		t_expect(&p->cq[0], HW_CQE_REQ, post(p, HW_OP_SEND, &av, 100));
		t_expect_error(&p->cq[1], HW_CQE_RESP_ERR, 0,
			       HW_SYND_LOCAL_LENGTH);
		t_expect_error(&p->cq[1], HW_CQE_RESP_ERR, 1, HW_SYND_WR_FLUSH);
		assert_int_equal(t_state(&p->qp[1]), HW_QP_ERR);
		assert_int_equal(t_state(&p->qp[0]), HW_QP_RTS);
		assert_int_equal(
			t_modify(&p->qp[1], HW_CMD_2RST_QP, NULL, NULL), 0);
		t_qp_rewind(&p->qp[1]);
		t_ready_ud(&p->qp[1], QKEY);
	}
}

static void test_a_bad_local_key_fails_the_receiver(void **state)
{
	struct t_pair *p = *state;
	struct t_av av = {
		.to = &p->qp[1], .qkey = QKEY, .ext = true, .grh = true};

	t_post_recv(&p->qp[1], p->memory[1], 4096, p->key[1] + 1);
	post(p, HW_OP_SEND, &av, 100);
	t_expect_error(&p->cq[1], HW_CQE_RESP_ERR, 0, HW_SYND_LOCAL_PROT);
	assert_int_equal(t_state(&p->qp[1]), HW_QP_ERR);
}

static void test_packets_of_other_services_are_dropped(void **state)
{
	static const uint8_t opcodes[] = {HW_PKT_SEND_ONLY,
					  HW_PKT_SEND_ONLY | HW_PKT_UC};
	struct t_pair *p = *state;
	struct hw_bth_info bth = {.pkey = HW_PKEY_DEFAULT,
				  .qpn = p->qp[1].number};
	struct nic_packet packet = {.header_len = sizeof(struct hw_bth)};
	struct hw_bth raw;
	unsigned i;

	post_recv(p, 4096);
	for (i = 0; i < sizeof(opcodes); i++) {
		bth.opcode = opcodes[i];
		raw = hw_bth_encode(&bth);
		memcpy(packet.header, &raw, sizeof(raw));
		t_forget(&p->node[1]);
		assert_int_equal(nic_packet_in(p->node[1].nic, &packet), 0);
		assert_true(t_logged(&p->node[1], "has another service"));
		t_expect_none(&p->cq[1]);
	}
}

/* One that a broken sender made: no wire and no client would. */
static void test_a_datagram_beyond_the_mtu_is_dropped(void **state)
{
	static uint8_t body[4097];
	struct t_pair *p = *state;
	struct hw_bth_info bth = {.opcode = HW_PKT_SEND_ONLY | HW_PKT_UD,
				  .pkey = HW_PKEY_DEFAULT,
				  .qpn = p->qp[1].number};
	struct hw_bth raw = hw_bth_encode(&bth);
	struct hw_deth deth = {to_be32(QKEY), to_be32(0x99)};
	struct nic_packet packet = {.header_len = sizeof(raw) + sizeof(deth),
				    .body = body,
				    .body_bytes = sizeof(body),
				    .payload_len = sizeof(body)};
	struct hw_cqe_info info;

	memcpy(packet.header, &raw, sizeof(raw));
	memcpy(packet.header + sizeof(raw), &deth, sizeof(deth));
	post_recv(p, 8000);
	assert_int_equal(nic_packet_in(p->node[1].nic, &packet), 0);
	assert_true(t_logged(&p->node[1], "it is longer than the MTU"));
	t_expect_none(&p->cq[1]);
	packet.payload_len--;
	assert_int_equal(nic_packet_in(p->node[1].nic, &packet), 0);
	assert_true(t_poll(&p->cq[1], &info));
	assert_int_equal(info.byte_cnt, GRH + 4096);
	assert_int_equal(info.src_qpn, 0x99);
}

static void test_a_receive_ring_that_is_gone_is_fatal(void **state)
{
	struct t_pair_options options = t_pair_defaults;
	struct t_av av = {.qkey = QKEY};
	struct t_pair *p;

	t_pair_close(*state);
	options.unconnected = true;
	options.qp.st = HW_QP_ST_UD;
	options.qp.log_rq_size = 6; /* a page */
	*state = p = t_pair_open(&options);
	t_ready_ud(&p->qp[0], QKEY);
	t_ready_ud(&p->qp[1], QKEY);
	av.to = &p->qp[1];
	post_recv(p, 4096);
	assert_int_equal(mprotect(p->qp[1].rq, 4096, PROT_NONE), 0);
	t_expect(&p->cq[0], HW_CQE_REQ, post(p, HW_OP_SEND, &av, 10));
	assert_int_equal(mprotect(p->qp[1].rq, 4096, PROT_READ | PROT_WRITE),
			 0);
	assert_int_equal(t_events(&p->node[1], NIC_EVENT_QP_FATAL), 1);
	assert_int_equal(t_state(&p->qp[1]), HW_QP_ERR);
}

static void test_in_init_nothing_is_received(void **state)
{
	struct t_pair *p = *state;
	struct t_av av = {.to = &p->qp[1], .qkey = QKEY};
	struct t_connect options = {.qkey = QKEY};
	struct hw_cqe_info info;

	assert_int_equal(t_modify(&p->qp[1], HW_CMD_2RST_QP, NULL, NULL), 0);
	t_qp_rewind(&p->qp[1]);
	post_recv(p, 4096);
	assert_int_equal(
		t_modify(&p->qp[1], HW_CMD_RST2INIT_QP, NULL, &options), 0);
	t_expect(&p->cq[0], HW_CQE_REQ, post(p, HW_OP_SEND, &av, 5));
	t_expect_none(&p->cq[1]);
	/* RTR is enough. */
	assert_int_equal(
		t_modify(&p->qp[1], HW_CMD_INIT2RTR_QP, NULL, &options), 0);
	post(p, HW_OP_SEND, &av, 5);
	expect_arrival(p, &info, 5);
}

static void test_a_datagram_to_oneself(void **state)
{
	struct t_pair *p = *state;
	struct t_av av = {.to = &p->qp[0], .qkey = QKEY};
	struct hw_cqe_info info;

	t_post_recv(&p->qp[0], p->memory[0] + 8192, 4096, p->key[0]);
	t_fill(p->memory[0], 100, 3);
	post(p, HW_OP_SEND, &av, 100);
	assert_true(t_poll(&p->cq[0], &info));
	assert_int_equal(info.opcode, HW_CQE_REQ);
	assert_true(t_poll(&p->cq[0], &info));
	assert_int_equal(info.opcode, HW_CQE_RESP_SEND);
	assert_int_equal(info.src_qpn, p->qp[0].number);
	assert_memory_equal(p->memory[0], p->memory[0] + 8192 + GRH, 100);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, t_pair_teardown)
	const struct CMUnitTest tests[] = {
		T(test_a_datagram_arrives_behind_40_bytes),
		T(test_immediate_and_solicited_travel),
		T(test_a_route_header_is_written),
		cmocka_unit_test_setup_teardown(
			test_ethernet_always_has_a_route_header, setup_roce,
			t_pair_teardown),
		T(test_header_and_payload_cross_the_scatter_list),
		T(test_the_q_key_must_match),
		T(test_the_q_key_can_change_in_rts),
		T(test_without_a_receive_wqe_it_is_lost),
		T(test_to_nobody_it_vanishes),
		T(test_a_nic_that_has_left_is_forgotten),
		T(test_a_buffer_that_is_too_short_fails_the_receiver),
		T(test_a_bad_local_key_fails_the_receiver),
		T(test_packets_of_other_services_are_dropped),
		T(test_a_datagram_beyond_the_mtu_is_dropped),
		T(test_a_receive_ring_that_is_gone_is_fatal),
		T(test_in_init_nothing_is_received),
		T(test_a_datagram_to_oneself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
