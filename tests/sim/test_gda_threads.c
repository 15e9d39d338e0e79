/* SPDX-License-Identifier: MIT */
/*
 * Several threads of a PE at the same time: on one shared queue pair, and each
 * on a lane of its own. Every word that a thread writes is its own, but for
 * counters that all add to.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/t_pes.h"

enum { NPES = 2, THREADS = 4, ROUNDS = 150, WORDS = 16 };

/* The same offsets on every PE. */
struct board {
	uint64_t counter_64;
	uint32_t counter_32;
	uint32_t tickets; /* fetch_inc: each value is given out once */
	uint64_t words[NPES][THREADS][WORDS];
	uint64_t signals[NPES][THREADS];
	uint64_t sources[THREADS][WORDS];
};

struct thread {
	struct t_pe pe; /* a copy: failures are counted per thread */
	struct gda_dev dev;
	struct board *board;
	uint8_t *seen; /* [NPES][tickets]: how often each was given out */
	int number;
	pthread_t id;
};

static void one_round(struct thread *t, int round)
{
	int to = (t->number + round) % NPES;
	uint64_t *source = t->board->sources[t->number];
	uint64_t(*mine)[WORDS] = &t->board->words[t->pe.pe][t->number];
	struct gda_dev_signal signal = {&t->board->signals[t->pe.pe][t->number],
					1, to, GDA_DEV_SIGNAL_ADD};
	uint64_t got = 0;
	uint32_t ticket = 0;
	int i;

	for (i = 0; i < WORDS; i++)
		source[i] = (uint64_t)round * 1000 + (uint64_t)i;
	T_EXPECT(&t->pe, !gda_dev_put_signal(&t->dev, mine, source,
					     sizeof(*mine), &signal));
	T_EXPECT(&t->pe,
		 !gda_dev_g_u64(&t->dev, &(*mine)[WORDS - 1], &got, to));
	T_EXPECT(&t->pe, got == (uint64_t)round * 1000 + WORDS - 1);
	T_EXPECT(&t->pe, !gda_dev_atomic_add_u64(&t->dev, &t->board->counter_64,
						 2, to));
	T_EXPECT(&t->pe,
		 !gda_dev_atomic_inc_u32(&t->dev, &t->board->counter_32, to));
	T_EXPECT(&t->pe, !gda_dev_atomic_fetch_inc_u32(
				 &t->dev, &t->board->tickets, to, &ticket));
	T_EXPECT(&t->pe, ticket < NPES * THREADS * ROUNDS);
	__atomic_fetch_add(&t->seen[to * NPES * THREADS * ROUNDS + (int)ticket],
			   1, __ATOMIC_RELAXED);
}

static void *run_thread(void *arg)
{
	struct thread *t = arg;
	int round;

	for (round = 0; round < ROUNDS && !t->pe.failures; round++)
		one_round(t, round);
	return NULL;
}

static void check(struct t_pe *pe, const struct board *board, uint8_t *seen)
{
	const uint64_t ops = (uint64_t)NPES * THREADS * ROUNDS / NPES;
	int from, number;
	uint32_t i;

	T_EXPECT(pe, board->counter_64 == 2 * ops);
	T_EXPECT(pe, board->counter_32 == ops);
	T_EXPECT(pe, board->tickets == ops);
	for (from = 0; from < NPES; from++)
		for (number = 0; number < THREADS; number++)
			T_EXPECT(pe,
				 board->signals[from][number] == ROUNDS / NPES);
	for (i = 0; i < ops; i++)
		T_EXPECT(pe,
			 seen[(uint32_t)pe->pe * NPES * THREADS * ROUNDS + i] ==
				 1);
}

static void play(struct t_pe *pe)
{
	struct board *board = gda_calloc(pe->gda, 1, sizeof(*board));
	struct thread threads[THREADS];
	int i;

	for (i = 0; i < THREADS; i++) {
		threads[i].pe = *pe;
		threads[i].dev = gda_dev_lane(pe->dev, i % pe->dev->lanes);
		threads[i].board = board;
		threads[i].seen = pe->arg;
		threads[i].number = i;
		pthread_create(&threads[i].id, NULL, run_thread, &threads[i]);
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(threads[i].id, NULL);
		pe->failures += threads[i].pe.failures;
	}
	T_EXPECT(pe, gda_dev_barrier(pe->dev) == 0);
	T_EXPECT(pe, gda_barrier(pe->gda) == 0);
	check(pe, board, pe->arg);
}

static void run(const struct gda_config *config)
{
	uint8_t *seen = calloc(NPES, NPES * THREADS * ROUNDS);

	assert_int_equal(t_pes_run(config, NPES, play, seen), 0);
	free(seen);
}

static void set_up(struct gda_config *config)
{
	t_config(config);
	t_emu_options(config, "connectx-8", 0x10000 - 50);
	config->qp_depth = 8;
	config->fetch_slots = 2;
}

static void test_threads_share_one_queue_pair(void **state)
{
	struct gda_config config;
	int doorbell, ring;

	(void)state;
	set_up(&config);
	config.shared = true;
	for (doorbell = 0; doorbell <= GDA_DOORBELL_BLUEFLAME; doorbell++)
		for (ring = 0; ring < 2; ring++) {
			config.doorbell = (enum gda_doorbell)doorbell;
			config.cq_mode = (enum gda_cq_mode)ring;
			config.batch = ring ? 4 : 1;
			run(&config);
		}
}

static void test_threads_share_the_smallest_queue_pair(void **state)
{
	struct gda_config config;

	(void)state;
	set_up(&config);
	config.shared = true;
	config.qp_depth = GDA_DEV_DEPTH_MIN;
	config.fetch_slots = 1;
	config.cq_mode = GDA_CQ_RING;
	run(&config);
	config.cq_mode = GDA_CQ_COLLAPSED;
	config.batch = 2;
	run(&config);
}

static void test_threads_on_lanes_of_their_own(void **state)
{
	struct gda_config config;

	(void)state;
	set_up(&config);
	config.qps_per_peer = THREADS;
	run(&config);
	config.cq_mode = GDA_CQ_RING;
	config.emu.strict = t_is_emu();
	run(&config);
}

static void test_progress_by_hook_alone_and_by_runner_alone(void **state)
{
	struct gda_config config;

	(void)state;
	set_up(&config);
	config.shared = true;
	config.emu.progress = GDA_PROGRESS_HOOK;
	run(&config);
	config.emu.progress = GDA_PROGRESS_RUNNER;
	run(&config);
}

/* The runner flushes a queue while this thread reads its error. */
static void break_queue(struct t_pe *pe)
{
	uint8_t *memory = gda_calloc(pe->gda, 1, 64);
	struct gda_dev_peer peers[NPES];
	struct gda_dev bad = *pe->dev;
	struct gda_qp_error error;
	int i;

	memcpy(peers, bad.peers, sizeof(peers));
	peers[1 - pe->pe].rkey ^= 0xabcd00;
	bad.peers = peers;
	for (i = 0; i < 60; i++)
		gda_dev_put_nbi(&bad, memory, memory, 1, 1 - pe->pe);
	T_EXPECT(pe, gda_dev_quiet(pe->dev) == GDA_DEV_EIO);
	T_EXPECT(pe, !gda_qp_error(pe->gda, 1 - pe->pe, 0, &error));
	T_EXPECT(pe, error.code == GDA_DEV_EIO);
	T_EXPECT(pe, error.syndrome == HW_SYND_REMOTE_ACCESS ||
			     error.syndrome == HW_SYND_WR_FLUSH);
	T_EXPECT(pe, gda_barrier(pe->gda) == 0);
}

static void test_an_error_is_read_while_the_queue_is_flushed(void **state)
{
	struct gda_config config;
	int i;

	(void)state;
	t_config(&config);
	for (i = 0; i < 8; i++) {
		config.batch = i & 1 ? 64 : 1;
		config.cq_mode = i & 2 ? GDA_CQ_RING : GDA_CQ_COLLAPSED;
		config.shared = i & 4 ? GDA_SHARED_GPU : GDA_SHARED_NO;
		assert_int_equal(t_pes_run(&config, NPES, break_queue, NULL),
				 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads_share_one_queue_pair),
		cmocka_unit_test(test_threads_share_the_smallest_queue_pair),
		cmocka_unit_test(test_threads_on_lanes_of_their_own),
		cmocka_unit_test(
			test_progress_by_hook_alone_and_by_runner_alone),
		cmocka_unit_test(
			test_an_error_is_read_while_the_queue_is_flushed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
