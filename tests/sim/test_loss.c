/* SPDX-License-Identifier: MIT */
/*
 * Single packets lost, repeated or late, one case a test: what is sent again,
 * what counts as a retry, and what a client sees when nothing helps.
 *
 * Source: IBTA vol. 1, 9.7.5 and 9.7.6; Linux rxe_comp.c and rxe_resp.c.
 */
#include "support/t_lossy.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
	MTU = 256,
	BYTES = 1 << 16,
	SECOND = 1000000000,
	SEEN_MAX = 4096,
};

struct loss {
	struct t_lossy net;
	struct t_node node[2];
	struct t_cq cq[2];
	struct t_qp qp[2];
	uint8_t *memory[2];
	uint32_t key[2];
	struct t_sight seen[SEEN_MAX]; /* every packet that was sent */
	unsigned count;
	/* Packets of this opcode, except the first `skip`, `times` long. */
	uint8_t opcode;
	unsigned skip, times;
	enum t_fate fate;
	unsigned jam_at; /* the wire is full after so many packets */
};

static enum t_fate filter(void *arg, const struct t_sight *sight)
{
	struct loss *l = arg;

	assert_true(l->count < SEEN_MAX);
	l->seen[l->count++] = *sight;
	if (l->count == l->jam_at)
		l->net.rates.busy = 1000;
	if (!l->times || sight->bth.opcode != l->opcode)
		return T_PASS;
	if (l->skip) {
		l->skip--;
		return T_PASS;
	}
	l->times--;
	return l->fate;
}

static const struct t_connect defaults = {.mtu = 1, /* 256 bytes */
					  .psn = 0xfffffe,
					  .peer_psn = 100,
					  .ack_timeout = 8, /* 1 ms */
					  .retries = 3,
					  .rnr_retries = 3,
					  .min_rnr_nak = 1,
					  .log_ra_max = 2};

static struct loss *open_with(const struct t_connect *connect)
{
	static const struct t_cq_options cq = {.log_size = 6};
	static const struct t_qp_options qp = {
		.log_sq_size = 6, .log_rq_size = 4, .log_rq_stride = 2};
	struct loss *l = calloc(1, sizeof(*l));
	unsigned i;

	assert_non_null(l);
	t_lossy_open(&l->net, 1);
	l->net.rates.delay_ns = 50000;
	l->net.filter = filter;
	l->net.filter_arg = l;
	for (i = 0; i < 2; i++) {
		t_node_open(&l->node[i], NULL, NULL);
		t_lossy_attach(&l->net, &l->node[i]);
		t_cq_create(&l->node[i], &l->cq[i], &cq);
		t_qp_create(&l->node[i], &l->qp[i], &l->cq[i], &l->cq[i], &qp);
		l->memory[i] = t_alloc(BYTES);
		l->key[i] = t_mr(&l->node[i], l->memory[i], BYTES);
	}
	t_connect(&l->qp[0], &l->qp[1], connect);
	return l;
}

static int setup(void **state)
{
	*state = open_with(&defaults);
	return 0;
}

static int teardown(void **state)
{
	struct loss *l = *state;
	unsigned i;

	for (i = 0; i < 2; i++) {
		assert_int_equal(t_qp_destroy(&l->qp[i]), 0);
		assert_int_equal(t_cq_destroy(&l->cq[i]), 0);
		t_node_close(&l->node[i]);
		free(l->memory[i]);
	}
	t_lossy_close(&l->net);
	free(l);
	return 0;
}

static void lose(struct loss *l, uint8_t opcode, unsigned skip, unsigned times)
{
	l->opcode = opcode;
	l->skip = skip;
	l->times = times;
	l->fate = T_DROP;
}

static void run(struct loss *l, uint64_t ns)
{
	t_lossy_run(&l->net, l->node, 2, ns);
}

static unsigned sent(const struct loss *l, uint8_t opcode)
{
	unsigned i, count = 0;

	for (i = 0; i < l->count; i++)
		count += l->seen[i].bth.opcode == opcode;
	return count;
}

/* The n-th packet of this opcode that was sent. */
static const struct t_sight *nth(const struct loss *l, uint8_t opcode,
				 unsigned n)
{
	unsigned i;

	for (i = 0; i < l->count; i++)
		if (l->seen[i].bth.opcode == opcode && !n--)
			return &l->seen[i];
	fail_msg("no such packet 0x%02x was sent", opcode);
	return NULL;
}

static struct nic_counters counters(struct loss *l, unsigned node)
{
	struct nic_counters c;

	nic_get_counters(l->node[node].nic, &c);
	return c;
}

static uint16_t rdma(struct loss *l, uint8_t opcode, uint32_t offset,
		     uint32_t len)
{
	return t_rdma(&l->qp[0], opcode, l->memory[0] + offset, l->key[0],
		      l->memory[1] + offset, l->key[1], len);
}

static uint16_t add(struct loss *l, uint64_t value)
{
	struct hw_wqe_atomic seg = hw_wqe_atomic_encode(value, 0);

	t_begin(&l->qp[0], HW_OP_ATOMIC_FA, 0, T_SIGNALED);
	t_raddr(&l->qp[0], l->memory[1], l->key[1]);
	t_segment(&l->qp[0], &seg, sizeof(seg));
	t_data(&l->qp[0], l->memory[0], 8, l->key[0]);
	return t_end(&l->qp[0]);
}

static uint16_t send_bytes(struct loss *l, uint32_t len)
{
	t_begin(&l->qp[0], HW_OP_SEND, 0, T_SIGNALED);
	t_data(&l->qp[0], l->memory[0], len, l->key[0]);
	return t_end(&l->qp[0]);
}

static void expect(struct t_cq *cq, uint8_t opcode, uint16_t index)
{
	struct hw_cqe_info cqe;

	assert_true(t_poll(cq, &cqe));
	assert_int_equal(cqe.syndrome, 0);
	assert_int_equal(cqe.opcode, opcode);
	assert_int_equal(cqe.wqe_counter, index);
}

static void expect_error(struct t_cq *cq, uint16_t index, uint8_t syndrome)
{
	struct hw_cqe_info cqe;

	assert_true(t_poll(cq, &cqe));
	assert_true(hw_cqe_is_error(cqe.opcode));
	assert_int_equal(cqe.wqe_counter, index);
	assert_int_equal(cqe.syndrome, syndrome);
}

static void expect_none(struct t_cq *cq)
{
	struct hw_cqe_info cqe;

	assert_false(t_poll(cq, &cqe));
}

static void fill(uint8_t *memory)
{
	struct t_rng rng = {7};

	t_random_bytes(&rng, memory, BYTES);
}

/* A packet from NIC 1 to QP 0 that no NIC sent. */
static void inject_ack(struct loss *l, uint32_t psn, uint8_t syndrome)
{
	struct hw_bth_info bth = {.opcode = HW_PKT_ACK,
				  .pkey = HW_PKEY_DEFAULT,
				  .qpn = l->qp[0].number,
				  .psn = psn};
	struct hw_aeth aeth = hw_aeth_encode(syndrome, 1);
	struct hw_bth raw = hw_bth_encode(&bth);
	struct nic_packet packet = {.header_len = sizeof(raw) + sizeof(aeth),
				    .peer = 1};

	memcpy(packet.header, &raw, sizeof(raw));
	memcpy(packet.header + sizeof(raw), &aeth, sizeof(aeth));
	assert_int_equal(nic_packet_in(l->node[0].nic, &packet), 0);
}

/* ------------------------------------------------------------ exhaustion */

static void test_silence_ends_in_one_retry_error_and_flushes(void **state)
{
	struct loss *l = *state;
	uint16_t first = rdma(l, HW_OP_RDMA_WRITE, 0, 8);
	uint16_t second = rdma(l, HW_OP_RDMA_READ, 0, 8);

	l->net.rates.drop = 1000;
	t_ring(&l->qp[0]);
	run(l, 60ull * SECOND);
	expect_error(&l->cq[0], first, HW_SYND_RETRY_EXC);
	expect_error(&l->cq[0], second, HW_SYND_WR_FLUSH);
	expect_none(&l->cq[0]);
	assert_int_equal(t_state(&l->qp[0]), HW_QP_ERR);
	/* Once, and once more for each of three retries. */
	assert_int_equal(sent(l, HW_PKT_WRITE_ONLY), 4);
	assert_int_equal(counters(l, 0).local_ack_timeout_err, 4);
	assert_true(nic_deadline(l->node[0].nic) == UINT64_MAX);
}

static void test_silence_after_a_while_flushes_what_came_later(void **state)
{
	struct loss *l = *state;
	uint16_t first = rdma(l, HW_OP_RDMA_WRITE, 0, 600), second;

	t_ring(&l->qp[0]);
	run(l, SECOND);
	expect(&l->cq[0], HW_CQE_REQ, first);
	l->net.rates.drop = 1000;
	second = add(l, 1);
	t_ring(&l->qp[0]);
	run(l, 60ull * SECOND);
	expect_error(&l->cq[0], second, HW_SYND_RETRY_EXC);
	first = rdma(l, HW_OP_RDMA_WRITE, 0, 8);
	t_ring(&l->qp[0]);
	run(l, SECOND);
	expect_error(&l->cq[0], first, HW_SYND_WR_FLUSH);
	expect_none(&l->cq[0]);
}

static void test_retries_are_counted_anew_after_progress(void **state)
{
	struct loss *l = *state;
	unsigned i;
	uint16_t index;

	for (i = 0; i < 5; i++) {
		index = rdma(l, HW_OP_RDMA_WRITE, 0, 8);
		lose(l, HW_PKT_WRITE_ONLY, 0, 3);
		t_ring(&l->qp[0]);
		run(l, SECOND);
		expect(&l->cq[0], HW_CQE_REQ, index);
	}
}

/* ------------------------------------------------------------------ NAKs */

static void test_lost_sequence_nak_is_made_up_by_the_timer(void **state)
{
	struct loss *l = *state;
	uint16_t index = rdma(l, HW_OP_RDMA_WRITE, 0, 4 * MTU);

	fill(l->memory[0]);
	/* The gap is NAKed with an ACK packet; that is lost too. */
	lose(l, HW_PKT_WRITE_FIRST, 0, 1);
	t_ring(&l->qp[0]);
	l->node[0].now_ns = l->node[1].now_ns = 1;
	t_run(l->node, 2);
	lose(l, HW_PKT_ACK, 0, 1);
	run(l, SECOND);
	expect(&l->cq[0], HW_CQE_REQ, index);
	assert_memory_equal(l->memory[1], l->memory[0], 4 * MTU);
	assert_int_equal(counters(l, 0).packet_seq_err, 0);
	assert_int_equal(counters(l, 0).local_ack_timeout_err, 1);
	assert_int_equal(counters(l, 0).retransmits, 1);
}

static void test_sequence_nak_is_sent_once_and_is_one_retry(void **state)
{
	struct loss *l = *state;
	uint16_t index = rdma(l, HW_OP_RDMA_WRITE, 0, 20 * MTU);

	lose(l, HW_PKT_WRITE_MIDDLE, 2, 1);
	t_ring(&l->qp[0]);
	run(l, SECOND);
	expect(&l->cq[0], HW_CQE_REQ, index);
	assert_int_equal(counters(l, 0).packet_seq_err, 1);
	assert_int_equal(counters(l, 0).retransmits, 1);
	assert_int_equal(counters(l, 0).local_ack_timeout_err, 0);
	/* It goes on with the lost one: packets 0 to 2 are not repeated. */
	assert_int_equal(sent(l, HW_PKT_WRITE_FIRST), 1);
	assert_int_equal(sent(l, HW_PKT_WRITE_MIDDLE), 18 + 16);
}

static void test_lost_fatal_nak_ends_in_retry_error(void **state)
{
	struct loss *l = *state;
	uint16_t index = t_rdma(&l->qp[0], HW_OP_RDMA_WRITE, l->memory[0],
				l->key[0], l->memory[1], 0xdead00, 8);

	lose(l, HW_PKT_ACK, 0, 1);
	t_ring(&l->qp[0]);
	run(l, 60ull * SECOND);
	/* Who has refused is in ERR and answers nobody. */
	assert_int_equal(t_state(&l->qp[1]), HW_QP_ERR);
	expect_error(&l->cq[0], index, HW_SYND_RETRY_EXC);
	expect_none(&l->cq[0]);
}

static void test_lost_rnr_nak_is_made_up_by_the_timer(void **state)
{
	struct loss *l = *state;
	uint16_t index = send_bytes(l, 3 * MTU);

	fill(l->memory[0]);
	lose(l, HW_PKT_ACK, 0, 1);
	t_ring(&l->qp[0]);
	run(l, 500000);
	t_post_recv(&l->qp[1], l->memory[1], BYTES, l->key[1]);
	run(l, SECOND);
	expect(&l->cq[0], HW_CQE_REQ, index);
	expect(&l->cq[1], HW_CQE_RESP_SEND, 0);
	assert_memory_equal(l->memory[1], l->memory[0], 3 * MTU);
	assert_int_equal(counters(l, 0).rnr_nak_retry_err, 0);
	assert_int_equal(counters(l, 0).local_ack_timeout_err, 1);
}

static void test_rnr_is_told_once_while_later_packets_fly(void **state)
{
	struct loss *l = *state;
	uint16_t index = send_bytes(l, 8 * MTU), next;

	next = rdma(l, HW_OP_RDMA_WRITE, 0, 8 * MTU);
	t_ring(&l->qp[0]);
	run(l, 5000); /* less than the RNR timer: 10 us */
	assert_int_equal(counters(l, 0).rnr_nak_retry_err, 1);
	assert_int_equal(counters(l, 1).out_of_sequence, 15);
	t_post_recv(&l->qp[1], l->memory[1], BYTES, l->key[1]);
	run(l, SECOND);
	expect(&l->cq[0], HW_CQE_REQ, index);
	expect(&l->cq[0], HW_CQE_REQ, next);
	assert_int_equal(counters(l, 0).packet_seq_err, 0);
	assert_int_equal(counters(l, 0).rnr_nak_retry_err, 1);
}

static void test_rnr_retries_end_in_one_error(void **state)
{
	struct loss *l = *state;
	uint16_t index = send_bytes(l, 8);

	t_ring(&l->qp[0]);
	run(l, 60ull * SECOND);
	expect_error(&l->cq[0], index, HW_SYND_RNR_RETRY_EXC);
	expect_none(&l->cq[0]);
	assert_int_equal(sent(l, HW_PKT_SEND_ONLY), 4);
}

static void test_old_rnr_nak_is_ignored(void **state)
{
	struct loss *l = *state;
	uint32_t psn = defaults.psn;
	uint16_t index = rdma(l, HW_OP_RDMA_WRITE, 0, 100 * MTU);
	unsigned i;

	/* Packet 64 is acknowledged; the end of the message is lost. */
	lose(l, HW_PKT_WRITE_LAST, 0, 1);
	t_ring(&l->qp[0]);
	run(l, 100000);
	assert_int_equal(sent(l, HW_PKT_WRITE_LAST), 1);
	for (i = 0; i < 5; i++)
		inject_ack(l, psn, HW_AETH_RNR | 1);
	inject_ack(l, psn, HW_AETH_NAK | HW_NAK_REMOTE_ACCESS);
	run(l, SECOND);
	expect(&l->cq[0], HW_CQE_REQ, index);
}

static void test_answer_to_what_was_never_sent_is_ignored(void **state)
{
	struct loss *l = *state;
	uint16_t index;

	t_post_recv(&l->qp[1], l->memory[1], BYTES, l->key[1]);
	index = send_bytes(l, 8);
	l->net.rates.busy = 1000; /* not a packet leaves */
	t_ring(&l->qp[0]);
	nic_step(l->node[0].nic, 1);
	inject_ack(l, defaults.psn, HW_AETH_NO_CREDIT_LIMIT);
	expect_none(&l->cq[0]);
	l->net.rates.busy = 0;
	run(l, SECOND);
	expect(&l->cq[0], HW_CQE_REQ, index);
	expect(&l->cq[1], HW_CQE_RESP_SEND, 0);
}

/* ------------------------------------------------------ reads, atomics */

static void test_read_is_resumed_in_the_middle(void **state)
{
	struct loss *l = *state;
	uint16_t index = rdma(l, HW_OP_RDMA_READ, 0, 8 * MTU);
	uint32_t psn = hw_psn_add(defaults.psn, 3);

	fill(l->memory[1]);
	lose(l, HW_PKT_READ_RESP_MIDDLE, 2, 1);
	t_ring(&l->qp[0]);
	run(l, SECOND);
	expect(&l->cq[0], HW_CQE_REQ, index);
	assert_memory_equal(l->memory[0], l->memory[1], 8 * MTU);
	assert_int_equal(sent(l, HW_PKT_READ_REQUEST), 2);
	assert_int_equal(nth(l, HW_PKT_READ_REQUEST, 1)->bth.psn, psn);
	assert_int_equal(nth(l, HW_PKT_READ_RESP_FIRST, 1)->bth.psn, psn);
	assert_int_equal(counters(l, 0).retransmits, 1);
	assert_int_equal(counters(l, 0).local_ack_timeout_err, 0);
}

static void test_read_is_resumed_while_it_is_being_answered(void **state)
{
	struct loss *l = *state;
	uint16_t index = rdma(l, HW_OP_RDMA_READ, 0, 255 * MTU);

	fill(l->memory[1]);
	lose(l, HW_PKT_READ_RESP_MIDDLE, 2, 1);
	/* The request, half of its answer, and the request for the rest. */
	l->jam_at = 101;
	t_ring(&l->qp[0]);
	nic_step(l->node[0].nic, 0);
	nic_step(l->node[1].nic, 2000);
	assert_int_equal(l->count, 101);
	nic_step(l->node[0].nic, 20000);
	l->net.rates.busy = 0;
	nic_step(l->node[0].nic, 20000);
	assert_int_equal(sent(l, HW_PKT_READ_REQUEST), 2);
	nic_step(l->node[1].nic, 30000);
	run(l, SECOND);
	expect(&l->cq[0], HW_CQE_REQ, index);
	assert_memory_equal(l->memory[0], l->memory[1], 255 * MTU);
	assert_int_equal(counters(l, 0).local_ack_timeout_err, 0);
}

static void test_acks_behind_a_lost_answer_are_one_retry(void **state)
{
	struct loss *l = *state;
	uint16_t read = rdma(l, HW_OP_RDMA_READ, 0, 8), write[10];
	unsigned i;

	for (i = 0; i < 10; i++)
		write[i] = rdma(l, HW_OP_RDMA_WRITE, 64 * (i + 1), 8);
	lose(l, HW_PKT_READ_RESP_ONLY, 0, 1);
	t_ring(&l->qp[0]);
	run(l, SECOND);
	expect(&l->cq[0], HW_CQE_REQ, read);
	for (i = 0; i < 10; i++)
		expect(&l->cq[0], HW_CQE_REQ, write[i]);
	assert_int_equal(sent(l, HW_PKT_READ_REQUEST), 2);
	assert_int_equal(counters(l, 0).retransmits, 1);
}

static void test_atomic_whose_answer_is_lost_is_applied_once(void **state)
{
	struct loss *l = *state;
	uint16_t first, second;

	memset(l->memory[1], 0, 8);
	lose(l, HW_PKT_ATOMIC_ACK, 0, 3);
	first = add(l, 5);
	second = add(l, 70);
	t_ring(&l->qp[0]);
	run(l, SECOND);
	expect(&l->cq[0], HW_CQE_REQ, first);
	expect(&l->cq[0], HW_CQE_REQ, second);
	assert_int_equal(*(uint64_t *)l->memory[1], 75);
	assert_int_equal(*(uint64_t *)l->memory[0], 5);
	assert_true(counters(l, 1).duplicate_request > 0);
}

/* One responder resource, an old read that comes late, and a new one. */
static void test_late_duplicate_does_not_refuse_a_new_read(void **state)
{
	struct t_connect one = defaults;
	struct loss *l;
	uint16_t first, second;

	(void)state;
	one.log_ra_max = 0;
	l = open_with(&one);
	fill(l->memory[1]);
	first = rdma(l, HW_OP_RDMA_READ, 0, 8);
	l->opcode = HW_PKT_READ_REQUEST;
	l->fate = T_TWICE;
	l->times = 1;
	l->net.rates.delay_ns = 1000;
	t_ring(&l->qp[0]);
	nic_step(l->node[0].nic, 0);
	nic_step(l->node[1].nic, 1199); /* the second one is due at 1200 */
	nic_step(l->node[0].nic, 2500);
	expect(&l->cq[0], HW_CQE_REQ, first);
	second = rdma(l, HW_OP_RDMA_READ, 64, 8);
	t_ring(&l->qp[0]);
	nic_step(l->node[0].nic, 2500);
	/* The duplicate and, behind it, the new request. */
	nic_step(l->node[1].nic, 100000);
	nic_step(l->node[0].nic, 102000);
	expect(&l->cq[0], HW_CQE_REQ, second);
	assert_int_equal(counters(l, 1).duplicate_request, 1);
	assert_memory_equal(l->memory[0] + 64, l->memory[1] + 64, 8);
	assert_int_equal(t_state(&l->qp[1]), HW_QP_RTS);
	*(struct loss **)state = l;
	teardown(state);
}

static void
test_late_duplicate_finds_its_key_gone_and_fails_nobody(void **state)
{
	struct loss *l = *state;
	uint16_t index = rdma(l, HW_OP_RDMA_READ, 0, 8);

	l->opcode = HW_PKT_READ_REQUEST;
	l->fate = T_TWICE;
	l->times = 1;
	t_ring(&l->qp[0]);
	nic_step(l->node[0].nic, 0);
	nic_step(l->node[1].nic, 1200);
	nic_step(l->node[0].nic, 3000);
	expect(&l->cq[0], HW_CQE_REQ, index);
	assert_int_equal(nic_mkey_deregister(l->node[1].nic, l->key[1]), 0);
	run(l, SECOND);
	assert_int_equal(counters(l, 1).duplicate_request, 1);
	assert_int_equal(t_state(&l->qp[1]), HW_QP_RTS);
	assert_int_equal(t_state(&l->qp[0]), HW_QP_RTS);
}

/* ------------------------------------------------------------- the rest */

static void test_refused_immediate_leaves_its_receive_to_the_flush(void **state)
{
	struct loss *l = *state;
	uint16_t index;

	t_post_recv(&l->qp[1], l->memory[1], BYTES, l->key[1]);
	t_begin(&l->qp[0], HW_OP_RDMA_WRITE_IMM, 0, T_SIGNALED);
	t_raddr(&l->qp[0], l->memory[1], 0xdead00);
	t_data(&l->qp[0], l->memory[0], 8, l->key[0]);
	index = t_end(&l->qp[0]);
	t_ring(&l->qp[0]);
	run(l, SECOND);
	expect_error(&l->cq[0], index, HW_SYND_REMOTE_ACCESS);
	expect_error(&l->cq[1], 0, HW_SYND_WR_FLUSH);
	expect_none(&l->cq[1]);
}

static void test_receive_posted_in_error_is_flushed(void **state)
{
	struct loss *l = *state;

	assert_int_equal(t_modify(&l->qp[1], HW_CMD_2ERR_QP, NULL, NULL), 0);
	run(l, SECOND);
	expect_none(&l->cq[1]);
	t_post_recv(&l->qp[1], l->memory[1], BYTES, l->key[1]);
	run(l, SECOND);
	expect_error(&l->cq[1], 0, HW_SYND_WR_FLUSH);
	expect_none(&l->cq[1]);
}

/* A key that goes away fails its request, not those before it. */
static void test_lost_write_before_a_local_error_is_repeated(void **state)
{
	struct loss *l = *state;
	uint8_t *other = t_alloc(BYTES);
	uint32_t key = t_mr(&l->node[0], other, BYTES);
	uint16_t first, second;

	fill(l->memory[0]);
	first = rdma(l, HW_OP_RDMA_WRITE, 0, MTU);
	second = t_rdma(&l->qp[0], HW_OP_RDMA_WRITE, other, key, l->memory[1],
			l->key[1], 200 * MTU);
	lose(l, HW_PKT_WRITE_ONLY, 0, 1);
	l->jam_at = 100; /* half of the second is sent */
	t_ring(&l->qp[0]);
	nic_step(l->node[0].nic, 0);
	assert_int_equal(nic_mkey_deregister(l->node[0].nic, key), 0);
	l->net.rates.busy = 0;
	run(l, SECOND);
	expect(&l->cq[0], HW_CQE_REQ, first);
	assert_int_equal(sent(l, HW_PKT_WRITE_ONLY), 2);
	assert_memory_equal(l->memory[1], l->memory[0], MTU);
	expect_error(&l->cq[0], second, HW_SYND_LOCAL_PROT);
	expect_none(&l->cq[0]);
	free(other);
}

static void test_duplicate_of_a_message_in_progress_is_dropped(void **state)
{
	struct loss *l = *state;
	uint16_t index = rdma(l, HW_OP_RDMA_WRITE, 0, 100 * MTU);

	fill(l->memory[0]);
	l->opcode = HW_PKT_WRITE_FIRST;
	l->fate = T_TWICE;
	l->times = 1;
	l->net.rates.delay_ns = 9000;
	t_ring(&l->qp[0]);
	run(l, SECOND);
	expect(&l->cq[0], HW_CQE_REQ, index);
	assert_int_equal(counters(l, 1).duplicate_request, 1);
	assert_int_equal(counters(l, 0).retransmits, 0);
	assert_memory_equal(l->memory[1], l->memory[0], 100 * MTU);
}

/* Three reads of 2^22 packets: two are all that PSNs can tell apart. */
static void test_no_more_psns_than_half_of_all_are_outstanding(void **state)
{
	enum { GIB = 1 << 30 };
	struct loss *l = *state;
	void *big = mmap(NULL, GIB, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint32_t key;
	unsigned i;

	assert_true(big != MAP_FAILED);
	key = t_mr(&l->node[0], big, GIB);
	l->net.rates.drop = 1000;
	for (i = 0; i < 3; i++)
		t_rdma(&l->qp[0], HW_OP_RDMA_READ, big, key, big, key, GIB);
	t_ring(&l->qp[0]);
	nic_step(l->node[0].nic, 0);
	assert_int_equal(sent(l, HW_PKT_READ_REQUEST), 2);
	munmap(big, GIB);
}

int main(void)
{
#define LOSS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		LOSS_TEST(test_silence_ends_in_one_retry_error_and_flushes),
		LOSS_TEST(test_silence_after_a_while_flushes_what_came_later),
		LOSS_TEST(test_retries_are_counted_anew_after_progress),
		LOSS_TEST(test_lost_sequence_nak_is_made_up_by_the_timer),
		LOSS_TEST(test_sequence_nak_is_sent_once_and_is_one_retry),
		LOSS_TEST(test_lost_fatal_nak_ends_in_retry_error),
		LOSS_TEST(test_lost_rnr_nak_is_made_up_by_the_timer),
		LOSS_TEST(test_rnr_is_told_once_while_later_packets_fly),
		LOSS_TEST(test_rnr_retries_end_in_one_error),
		LOSS_TEST(test_old_rnr_nak_is_ignored),
		LOSS_TEST(test_answer_to_what_was_never_sent_is_ignored),
		LOSS_TEST(test_read_is_resumed_in_the_middle),
		LOSS_TEST(test_read_is_resumed_while_it_is_being_answered),
		LOSS_TEST(test_acks_behind_a_lost_answer_are_one_retry),
		LOSS_TEST(test_atomic_whose_answer_is_lost_is_applied_once),
		cmocka_unit_test(
			test_late_duplicate_does_not_refuse_a_new_read),
		LOSS_TEST(
			test_late_duplicate_finds_its_key_gone_and_fails_nobody),
		LOSS_TEST(
			test_refused_immediate_leaves_its_receive_to_the_flush),
		LOSS_TEST(test_receive_posted_in_error_is_flushed),
		LOSS_TEST(test_lost_write_before_a_local_error_is_repeated),
		LOSS_TEST(test_duplicate_of_a_message_in_progress_is_dropped),
		LOSS_TEST(test_no_more_psns_than_half_of_all_are_outstanding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
