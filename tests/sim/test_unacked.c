/* SPDX-License-Identifier: MIT */
/*
 * UC and UD under random loss, repetition, delay and reordering, and between
 * NICs on the shared-memory wire: every send completes, and what is received
 * is one whole message, never a mixture.
 * Method: a message is a number and bytes that follow from it.
 */
#include "support/t_fabric.h"
#include "support/t_lossy.h"
#include "support/t_pair.h"

#include <stdlib.h>

enum {
	SLOT = 16 << 10,
	SLOTS = 8,
	MESSAGES = 400,
	QKEY = 0x1234,
	SEEDS = 12,
};

struct end {
	struct t_cq cq;
	struct t_qp qp;
	uint8_t *memory; /* SLOTS of SLOT bytes, sent from or received to */
	uint32_t key;
	uint32_t sent, sends_done, posted, received;
};

struct sim {
	struct t_rng rng;
	struct t_lossy net;
	struct t_node node[2];
	struct end end[2];
	char dir[T_PATH];
	uint8_t st;
};

static void open_end(struct sim *sim, unsigned i)
{
	static const struct t_cq_options cq = {.log_size = 6};
	struct t_qp_options qp = {
		.st = sim->st, .log_sq_size = 4 + 2, .log_rq_size = 3};
	struct end *end = &sim->end[i];

	t_cq_create(&sim->node[i], &end->cq, &cq);
	t_qp_create(&sim->node[i], &end->qp, &end->cq, &end->cq, &qp);
	end->memory = t_alloc(2 * SLOTS * SLOT);
	end->key = t_mr(&sim->node[i], end->memory, 2 * SLOTS * SLOT);
}

static struct sim *open_sim(uint8_t st, uint64_t seed, bool shm)
{
	struct t_connect connect = {.mtu = (uint8_t)(1 + seed % 5),
				    .psn = 0xfffff0};
	struct sim *sim = calloc(1, sizeof(*sim));
	char text[256];
	unsigned i;

	assert_non_null(sim);
	sim->rng.state = seed;
	sim->st = st;
	t_lossy_open(&sim->net, seed);
	if (shm)
		t_dir_make(sim->dir);
	for (i = 0; i < 2; i++) {
		t_node_open(&sim->node[i], NULL, NULL);
		if (!shm)
			t_lossy_attach(&sim->net, &sim->node[i]);
		else if (wire_shm_attach(sim->dir, sim->node[i].nic, text,
					 sizeof(text)))
			fail_msg("%s", text);
	}
	for (i = 0; i < 2; i++)
		open_end(sim, i);
	if (st == HW_QP_ST_UC) {
		t_connect(&sim->end[0].qp, &sim->end[1].qp, &connect);
	} else {
		t_ready_ud(&sim->end[0].qp, QKEY);
		t_ready_ud(&sim->end[1].qp, QKEY);
	}
	return sim;
}

static void close_sim(struct sim *sim)
{
	unsigned i;

	for (i = 0; i < 2; i++) {
		assert_int_equal(t_qp_destroy(&sim->end[i].qp), 0);
		assert_int_equal(t_cq_destroy(&sim->end[i].cq), 0);
		t_node_close(&sim->node[i]);
		free(sim->end[i].memory);
	}
	t_lossy_close(&sim->net);
	if (sim->dir[0])
		t_dir_remove(sim->dir);
	free(sim);
}

static uint32_t length_of(const struct sim *sim, uint32_t number)
{
	uint32_t most = sim->st == HW_QP_ST_UC ? SLOT : 4096;

	return 4 + number * 2654435761u % (most - 3);
}

static void post_recv(struct sim *sim, unsigned i)
{
	struct end *end = &sim->end[i];

	if (end->posted - end->received == SLOTS)
		return;
	t_post_recv(&end->qp,
		    end->memory + (SLOTS + end->posted++ % SLOTS) * SLOT, SLOT,
		    end->key);
}

static void post_send(struct sim *sim, unsigned i)
{
	struct end *end = &sim->end[i];
	uint32_t number = end->sent * 2 + i, len = length_of(sim, number);
	struct t_av av = {.to = &sim->end[!i].qp,
			  .qkey = QKEY,
			  .ext = t_chance(&sim->rng, 500)};
	uint8_t *slot = end->memory + end->sent % SLOTS * SLOT;

	if (end->sent == MESSAGES || end->sent - end->sends_done == SLOTS)
		return;
	av.grh = av.ext && t_chance(&sim->rng, 500);
	t_fill(slot, len, number * 31);
	memcpy(slot, &number, sizeof(number));
	t_begin(&end->qp, HW_OP_SEND, 0, T_SIGNALED);
	if (sim->st == HW_QP_ST_UD)
		t_av(&end->qp, &av);
	t_data(&end->qp, slot, len, end->key);
	t_end(&end->qp);
	t_ring(&end->qp);
	end->sent++;
}

static void check_message(struct sim *sim, unsigned i, uint32_t bytes)
{
	uint32_t grh = sim->st == HW_QP_ST_UD ? HW_GRH_BYTES : 0, number;
	struct end *end = &sim->end[i];
	const uint8_t *slot =
		end->memory + (SLOTS + end->received % SLOTS) * SLOT + grh;
	static uint8_t expected[SLOT];

	memcpy(&number, slot, sizeof(number));
	assert_int_equal(number % 2, !i);
	assert_true(number / 2 < sim->end[!i].sent);
	assert_int_equal(bytes - grh, length_of(sim, number));
	t_fill(expected, bytes - grh, number * 31);
	memcpy(expected, &number, sizeof(number));
	assert_memory_equal(slot, expected, bytes - grh);
}

static void drain(struct sim *sim, unsigned i)
{
	struct end *end = &sim->end[i];
	struct hw_cqe_info info;

	while (t_poll(&end->cq, &info)) {
		if (info.opcode == HW_CQE_REQ) {
			end->sends_done++;
			continue;
		}
		assert_int_equal(info.opcode, HW_CQE_RESP_SEND);
		check_message(sim, i, info.byte_cnt);
		end->received++;
	}
}

static void run(struct sim *sim)
{
	unsigned i, rounds = 0;

	while (sim->end[0].sends_done + sim->end[1].sends_done < 2 * MESSAGES) {
		assert_true(++rounds < 100000);
		i = t_below(&sim->rng, 2);
		if (t_chance(&sim->rng, 700))
			post_recv(sim, i);
		post_send(sim, i);
		if (sim->dir[0])
			t_run(sim->node, 2);
		else
			t_lossy_run(&sim->net, sim->node, 2,
				    t_below(&sim->rng, 20000));
		drain(sim, 0);
		drain(sim, 1);
	}
}

static void run_lossy(uint8_t st)
{
	uint32_t received = 0;
	struct sim *sim;
	uint64_t seed;

	for (seed = 1; seed <= SEEDS; seed++) {
		sim = open_sim(st, seed, false);
		sim->net.rates.drop = 20;
		sim->net.rates.duplicate = 20;
		sim->net.rates.reorder = 20;
		sim->net.rates.busy = 100;
		sim->net.rates.delay_ns = 30000;
		run(sim);
		received += sim->end[0].received + sim->end[1].received;
		close_sim(sim);
	}
	/* Much is lost, but not all. */
	assert_true(received > SEEDS * MESSAGES / 4);
}

static void test_uc_messages_arrive_whole_or_not_at_all(void **state)
{
	(void)state;
	run_lossy(HW_QP_ST_UC);
}

static void test_datagrams_arrive_whole_or_not_at_all(void **state)
{
	(void)state;
	run_lossy(HW_QP_ST_UD);
}

/* Nothing is lost there but for want of a receive WQE. */
static void run_shm(uint8_t st)
{
	struct nic_counters counters;
	struct sim *sim;
	uint64_t seed, lost;
	unsigned i;

	for (seed = 1; seed <= 3; seed++) {
		sim = open_sim(st, seed, true);
		run(sim);
		for (i = 0; i < 2; i++) {
			nic_get_counters(sim->node[i].nic, &counters);
			lost = counters.out_of_buffer;
			assert_int_equal(sim->end[i].received + lost, MESSAGES);
			assert_true(lost < MESSAGES);
		}
		close_sim(sim);
	}
}

static void test_uc_over_shared_memory(void **state)
{
	(void)state;
	run_shm(HW_QP_ST_UC);
}

static void test_datagrams_over_shared_memory(void **state)
{
	(void)state;
	run_shm(HW_QP_ST_UD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uc_messages_arrive_whole_or_not_at_all),
		cmocka_unit_test(test_datagrams_arrive_whole_or_not_at_all),
		cmocka_unit_test(test_uc_over_shared_memory),
		cmocka_unit_test(test_datagrams_over_shared_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
