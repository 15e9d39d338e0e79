/* SPDX-License-Identifier: MIT */
/*
 * kernels/micro.cu on the SIMT runner: every operation at every scope is made
 * as often as asked, arrives, and ends without an error.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/micro.h"
#include "support/t_gpu.h"

enum { NPES = 2, BLOCKS = 2, THREADS = 64, ROUNDS = 3, BYTES = 24 };
enum { GRID = BLOCKS * THREADS };

struct board {
	uint8_t dest[GRID * BYTES];
	uint8_t source[GRID * BYTES];
	uint64_t words[GRID];
};

struct run {
	struct t_gpu t;
	struct micro_args args[NPES];
	struct micro_result results[NPES];
};

static void set_up(struct run *run, uint64_t seed)
{
	struct gda_config config;
	struct board *board;
	int pe, i;

	memset(run, 0, sizeof(*run));
	run->t.seed = seed;
	t_config(&config);
	config.shared = GDA_SHARED_GPU;
	config.qps_per_peer = 1 + seed % 2;
	config.qp_depth = seed % 3 ? 64 : 8;
	config.batch = seed % 2 ? 1 : 8;
	config.op_timeout_ms = 2000;
	assert_int_equal(t_gpu_start(&run->t, &config, NPES, sizeof(*board)),
			 0);
	for (pe = 0; pe < NPES; pe++) {
		struct micro_args *args = &run->args[pe];

		board = run->t.pes[pe].arg;
		for (i = 0; i < GRID * BYTES; i++)
			board->source[i] = (uint8_t)(i * 7 + pe);
		args->dev = *run->t.pes[pe].dev;
		args->dest = board->dest;
		args->source = board->source;
		args->words = board->words;
		args->result = &run->results[pe];
		args->bytes = BYTES;
		args->rounds = ROUNDS;
		args->peer = 1 - pe;
	}
}

static void launch(struct run *run, const struct gpu_kernel *kernel,
		   uint32_t blocks)
{
	struct gpu_shape shape = {blocks, THREADS, 0, 0};
	int pe;

	memset(run->results, 0, sizeof(run->results));
	for (pe = 0; pe < NPES; pe++) {
		struct board *board = run->t.pes[pe].arg;

		memset(board->dest, 0, sizeof(board->dest));
		memset(board->words, 0, sizeof(board->words));
	}
	assert_int_equal(t_gpu_run(&run->t, kernel, &shape, run->args), 0);
}

/* Who of the grid makes operations, at a scope. */
static uint32_t makers(uint32_t scope, uint32_t blocks)
{
	const uint32_t per_block[MICRO_SCOPES] = {THREADS, THREADS / 32, 1,
						  THREADS};

	return blocks * per_block[scope];
}

static void check_data(const struct run *run, uint32_t op, uint32_t scope,
		       uint32_t blocks)
{
	const struct board *here = run->t.pes[0].arg;
	const struct board *there = run->t.pes[1].arg;
	uint32_t each = scope == MICRO_WARP    ? 32
			: scope == MICRO_BLOCK ? THREADS
					       : 1;
	uint32_t i;

	for (i = 0; i < blocks * THREADS; i += each) {
		if (op == MICRO_PUT || op == MICRO_PUT_SIGNAL)
			assert_memory_equal(there->dest + i * BYTES,
					    here->source + i * BYTES, BYTES);
		if (op == MICRO_GET)
			assert_memory_equal(here->dest + i * BYTES,
					    there->source + i * BYTES, BYTES);
		if (op == MICRO_ATOMIC || op == MICRO_PUT_SIGNAL)
			assert_int_equal(there->words[i], ROUNDS);
	}
}

static void test_rate_makes_every_operation(void **state)
{
	uint64_t first = t_gpu_first_seed(), count = t_gpu_seeds(4), seed;
	struct run run;
	uint32_t op, scope;
	uint64_t ns;

	(void)state;
	for (seed = first; seed < first + count; seed++) {
		set_up(&run, seed);
		run.args[1].is_idle = 1;
		ns = 0;
		for (op = 0; op < MICRO_OPS; op++)
			for (scope = 0; scope < MICRO_SCOPES; scope++) {
				run.args[0].op = run.args[1].op = op;
				run.args[0].scope = run.args[1].scope = scope;
				launch(&run, &micro_rate, BLOCKS);
				assert_int_equal(run.results[0].code, 0);
				assert_int_equal(run.results[0].done,
						 ROUNDS *
							 makers(scope, BLOCKS));
				assert_int_equal(run.results[1].done, 0);
				ns += run.results[0].ns;
				check_data(&run, op, scope, BLOCKS);
			}
		/* Time is virtual, and one launch may find all done. */
		assert_true(ns > 0);
		assert_int_equal(t_gpu_stop(&run.t), 0);
	}
}

/* One thread of the block adds, or each of one warp. */
static void check_words(const struct run *run, uint32_t scope)
{
	const struct board *there = run->t.pes[1].arg;
	uint32_t i, adders = scope == MICRO_EACH ? 32 : 1;

	for (i = 0; i < THREADS; i++)
		assert_int_equal(there->words[i], i < adders ? ROUNDS : 0);
}

static void test_latency_waits_for_each_operation(void **state)
{
	uint64_t first = t_gpu_first_seed(), count = t_gpu_seeds(4), seed;
	struct run run;
	uint32_t op, scope;

	(void)state;
	for (seed = first; seed < first + count; seed++) {
		set_up(&run, seed);
		run.args[1].is_idle = 1;
		for (op = 0; op < MICRO_OPS; op++)
			for (scope = 0; scope < MICRO_SCOPES; scope++) {
				run.args[0].op = run.args[1].op = op;
				run.args[0].scope = run.args[1].scope = scope;
				launch(&run, &micro_latency, 1);
				assert_int_equal(run.results[0].code, 0);
				assert_int_equal(run.results[0].done, ROUNDS);
				assert_int_equal(run.results[1].done, 0);
				if (op == MICRO_ATOMIC)
					check_words(&run, scope);
			}
		assert_int_equal(t_gpu_stop(&run.t), 0);
	}
}

static void test_ping_pong_goes_back_and_forth(void **state)
{
	uint64_t first = t_gpu_first_seed(), count = t_gpu_seeds(8), seed;
	struct run run;
	uint32_t scope;
	int pe;

	(void)state;
	for (seed = first; seed < first + count; seed++) {
		set_up(&run, seed);
		for (scope = 0; scope < MICRO_EACH; scope++) {
			run.args[0].scope = run.args[1].scope = scope;
			launch(&run, &micro_ping_pong, 1);
			for (pe = 0; pe < NPES; pe++) {
				const struct board *b = run.t.pes[pe].arg;

				assert_int_equal(run.results[pe].code, 0);
				assert_int_equal(run.results[pe].done, ROUNDS);
				assert_int_equal(run.results[pe].wrong, 0);
				assert_int_equal(b->words[0], ROUNDS);
			}
		}
		assert_int_equal(t_gpu_stop(&run.t), 0);
	}
}

static void test_a_peer_that_does_not_exist_is_an_error(void **state)
{
	struct run run;
	uint32_t scope;

	(void)state;
	set_up(&run, 1);
	run.args[0].peer = NPES;
	run.args[1].is_idle = 1;
	for (scope = 0; scope < MICRO_SCOPES; scope++) {
		run.args[0].scope = scope;
		launch(&run, &micro_rate, BLOCKS);
		assert_int_equal(run.results[0].code, GDA_DEV_EINVAL);
		launch(&run, &micro_latency, 1);
		assert_int_equal(run.results[0].code, GDA_DEV_EINVAL);
	}
	assert_int_equal(t_gpu_stop(&run.t), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rate_makes_every_operation),
		cmocka_unit_test(test_latency_waits_for_each_operation),
		cmocka_unit_test(test_ping_pong_goes_back_and_forth),
		cmocka_unit_test(test_a_peer_that_does_not_exist_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
