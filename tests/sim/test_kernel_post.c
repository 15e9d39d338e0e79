/* SPDX-License-Identifier: MIT */
/*
 * kernels/post.cu on the SIMT runner: every operation at every scope is made
 * as often as asked and arrives; and what the bare loop stores is a ring of
 * WQEs with its record and register behind it. What it costs is not seen here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/post.h"
#include "support/t_gpu.h"

enum { NPES = 2, THREADS = 64, CALLS = 3, RUNS = 2, BYTES = 24, DEPTH = 256 };

struct board {
	uint64_t words[THREADS];
	uint8_t dest[THREADS * BYTES];
	uint8_t source[THREADS * BYTES];
};

struct run {
	struct t_gpu t;
	struct post_args args[NPES];
	uint64_t cycles[NPES][RUNS];
	int32_t codes[NPES];
};

#define KERNELS(op)                                                            \
	{                                                                      \
		&post_##op##_thread, &post_##op##_warp, &post_##op##_block,    \
			&post_##op##_each                                      \
	}
static const struct gpu_kernel *const kernels[][POST_SCOPES] = {
	KERNELS(put), KERNELS(p), KERNELS(atomic), KERNELS(put_signal)};
enum { PUT, P, ATOMIC, PUT_SIGNAL, OPS };

static void set_up(struct run *run, uint64_t seed)
{
	struct gda_config config;
	struct board *board;
	int pe, i;

	memset(run, 0, sizeof(*run));
	run->t.seed = seed;
	t_config(&config);
	config.shared = (enum gda_sharing)(seed % 3);
	config.qp_depth = DEPTH;
	config.batch = seed % 2 ? 1 : 16;
	config.op_timeout_ms = 2000;
	assert_int_equal(t_gpu_start(&run->t, &config, NPES, sizeof(*board)),
			 0);
	for (pe = 0; pe < NPES; pe++) {
		struct post_args *args = &run->args[pe];

		board = run->t.pes[pe].arg;
		for (i = 0; i < THREADS * BYTES; i++)
			board->source[i] = (uint8_t)(i * 7 + pe);
		args->dev = *run->t.pes[pe].dev;
		args->dest = board->dest;
		args->source = board->source;
		args->words = board->words;
		args->cycles = run->cycles[pe];
		args->code = &run->codes[pe];
		args->bytes = BYTES;
		args->calls = CALLS;
		args->runs = RUNS;
		args->peer = 1 - pe;
	}
}

static void launch(struct run *run, const struct gpu_kernel *kernel, int scope)
{
	const uint32_t threads[POST_SCOPES] = {1, 32, THREADS, 32};
	struct gpu_shape shape = {1, threads[scope], 0, 0};
	int pe;

	for (pe = 0; pe < NPES; pe++) {
		struct board *board = run->t.pes[pe].arg;

		memset(board->dest, 0, sizeof(board->dest));
		memset(board->words, 0, sizeof(board->words));
	}
	assert_int_equal(t_gpu_run(&run->t, kernel, &shape, run->args), 0);
}

static void check(const struct run *run, int op, int scope)
{
	const struct board *here = run->t.pes[0].arg;
	const struct board *there = run->t.pes[1].arg;
	int i;

	assert_int_equal(run->codes[0], 0);
	assert_int_equal(run->codes[1], 0);
	for (i = 0; i < (scope == POST_EACH ? 32 : 1); i++) {
		if (op == PUT || op == PUT_SIGNAL)
			assert_memory_equal(there->dest + i * BYTES,
					    here->source + i * BYTES, BYTES);
		if (op == P)
			assert_int_equal(there->words[i], 1);
		if (op == ATOMIC || op == PUT_SIGNAL)
			assert_int_equal(there->words[i], CALLS * RUNS);
	}
}

static void test_every_call_posts_what_it_says(void **state)
{
	uint64_t first = t_gpu_first_seed(), count = t_gpu_seeds(6), seed;
	struct run run;
	int op, scope;

	(void)state;
	for (seed = first; seed < first + count; seed++) {
		set_up(&run, seed);
		for (op = 0; op < OPS; op++)
			for (scope = 0; scope < POST_SCOPES; scope++) {
				launch(&run, kernels[op][scope], scope);
				check(&run, op, scope);
			}
		assert_int_equal(t_gpu_stop(&run.t), 0);
	}
}

static void test_a_peer_that_does_not_exist_is_an_error(void **state)
{
	struct run run;
	int op, scope;

	(void)state;
	set_up(&run, 1);
	run.args[0].peer = NPES;
	for (op = 0; op < OPS; op++)
		for (scope = 0; scope < POST_SCOPES; scope++) {
			launch(&run, kernels[op][scope], scope);
			assert_int_equal(run.codes[0], GDA_DEV_EINVAL);
			assert_int_equal(run.codes[1], 0);
		}
	assert_int_equal(t_gpu_stop(&run.t), 0);
}

static void test_the_bare_loop_rings_for_every_batch(void **state)
{
	static _Alignas(64) uint8_t ring[16 * 64];
	struct post_floor_args args;
	struct gpu_shape shape = {1, 1, 0, 0};
	struct gpu *gpu;
	uint64_t reg, cycles[RUNS];
	uint32_t fences;
	be32 record;

	(void)state;
	assert_int_equal(gpu_open(NULL, &gpu), 0);
	for (fences = 0; fences < POST_FENCES; fences++) {
		memset(ring, 0, sizeof(ring));
		memset(&args, 0, sizeof(args));
		reg = 0;
		args.ring = ring;
		args.record = &record;
		args.reg = &reg;
		args.cycles = cycles;
		args.depth = 16;
		args.calls = 6;
		args.runs = RUNS;
		args.batch = 4;
		args.fences = fences;
		assert_int_equal(gpu_launch(gpu, &post_floor, &shape, &args),
				 0);
		assert_int_equal(gpu_wait(gpu, 0), 0);
		/* Calls 0 to 3 of each run rang, the last two did not. */
		assert_int_equal(reg, 10);
		assert_int_equal(from_be32(record), 10);
		/* WQE 11, its third segment. */
		assert_int_equal(ring[11 * 64 + 32], 11);
		assert_int_equal(ring[12 * 64], 0);
	}
	gpu_close(gpu);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_call_posts_what_it_says),
		cmocka_unit_test(test_a_peer_that_does_not_exist_is_an_error),
		cmocka_unit_test(test_the_bare_loop_rings_for_every_batch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
