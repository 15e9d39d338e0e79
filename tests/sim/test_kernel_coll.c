/* SPDX-License-Identifier: MIT */
/*
 * kernels/coll.cu on the SIMT runner: chains of collectives on 1 to 5 PEs,
 * compared with loops over plain arrays. No PE waits for another between the
 * calls of a chain.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/coll.h"
#include "support/t_coll.h"
#include "support/t_gpu.h"
#include "support/t_rng.h"

enum { CHAIN = 6, COUNT_MAX = 70, PES_MAX = 5 };
enum { BUFFER = PES_MAX * COUNT_MAX * 8, STAGING = 2 * BUFFER };

/* The same offsets on every PE. */
struct board {
	uint8_t source[CHAIN][BUFFER];
	uint8_t dest[CHAIN][BUFFER];
	struct coll_work work;
	uint8_t staging[STAGING];
};

struct chain {
	struct t_gpu t;
	struct coll_args calls[CHAIN][PES_MAX];
	int32_t codes[CHAIN][PES_MAX];
	int npes;
};

static struct board *board_of(const struct chain *chain, int pe)
{
	return chain->t.pes[pe].arg;
}

static void plan(struct chain *chain, struct t_rng *rng)
{
	uint32_t op, type, count;
	int call, pe, root;

	for (call = 0; call < CHAIN; call++) {
		op = t_below(rng, COLL_OPS);
		type = t_below(rng, COLL_TYPES);
		count = t_below(rng, COUNT_MAX + 1);
		root = (int)t_below(rng, (uint32_t)chain->npes);
		for (pe = 0; pe < chain->npes; pe++) {
			struct coll_args *args = &chain->calls[call][pe];
			struct board *board = board_of(chain, pe);

			t_coll_fill(type, board->source[call], BUFFER / 8, rng);
			args->dev = *chain->t.pes[pe].dev;
			args->work = &board->work;
			args->dest = board->dest[call];
			args->source = board->source[call];
			args->count = count;
			args->room = COUNT_MAX * 8;
			args->code = &chain->codes[call][pe];
			args->op = op;
			args->type = type;
			args->root = root;
			*args->code = 1;
		}
	}
}

/* ------------------------------------------------------ what is expected --- */

static void expect_one(const struct chain *chain, int call, int pe,
		       uint8_t *want)
{
	const struct coll_args *args = &chain->calls[call][pe];
	struct t_coll model = {args->op,    args->type, args->count,
			       chain->npes, args->root, {NULL}};
	int i;

	for (i = 0; i < chain->npes; i++)
		model.sources[i] = board_of(chain, i)->source[call];
	memset(want, 0, BUFFER);
	t_coll_expect(&model, pe, want);
}

static void check(const struct chain *chain)
{
	uint8_t want[BUFFER];
	int call, pe;

	for (call = 0; call < CHAIN; call++)
		for (pe = 0; pe < chain->npes; pe++) {
			assert_int_equal(chain->codes[call][pe], 0);
			expect_one(chain, call, pe, want);
			if (memcmp(want, board_of(chain, pe)->dest[call],
				   BUFFER))
				fail_msg("call %d, op %u on PE %d of %d: "
					 "T_SEED=%llu",
					 call, chain->calls[call][pe].op, pe,
					 chain->npes,
					 (unsigned long long)chain->t.seed);
		}
}

static void start(struct chain *chain, int npes, uint64_t seed)
{
	struct gda_config config;

	memset(chain, 0, sizeof(*chain));
	t_config(&config);
	config.qp_depth = seed % 2 ? 8 : 64;
	config.batch = seed % 3 ? 1 : 4;
	config.cq_mode = seed % 4 < 2 ? GDA_CQ_RING : GDA_CQ_COLLAPSED;
	config.op_timeout_ms = 1000;
	chain->npes = npes;
	chain->t.seed = seed;
	assert_int_equal(
		t_gpu_start(&chain->t, &config, npes, sizeof(struct board)), 0);
}

static void run(struct chain *chain, uint32_t threads)
{
	struct gpu_shape shape = {1, threads, 0, 0};
	int call, pe;

	for (pe = 0; pe < chain->npes; pe++)
		for (call = 0; call < CHAIN; call++) {
			shape.stream = (uint32_t)pe;
			assert_int_equal(gpu_launch(chain->t.gpu, &coll, &shape,
						    &chain->calls[call][pe]),
					 0);
		}
	if (gpu_wait(chain->t.gpu, GPU_STREAMS))
		fail_msg("%s", gpu_error(chain->t.gpu));
}

static void run_chains(int npes)
{
	uint64_t first = t_gpu_first_seed(), count = t_gpu_seeds(12), seed;
	struct chain chain;
	struct t_rng rng;

	for (seed = first; seed < first + count; seed++) {
		rng.state = seed;
		start(&chain, npes, seed);
		plan(&chain, &rng);
		run(&chain, 32u << seed % 3);
		check(&chain);
		assert_int_equal(t_gpu_stop(&chain.t), 0);
	}
}

static void test_a_pe_alone_is_its_own_peer(void **state)
{
	(void)state;
	run_chains(1);
}

static void test_chains_of_two_pes(void **state)
{
	(void)state;
	run_chains(2);
}

static void test_chains_of_five_pes(void **state)
{
	(void)state;
	run_chains(5);
}

static void test_a_part_larger_than_the_room_is_refused(void **state)
{
	struct chain chain;
	struct t_rng rng = {1};
	int pe;

	(void)state;
	start(&chain, 2, 1);
	plan(&chain, &rng);
	for (pe = 0; pe < 2; pe++) {
		chain.calls[0][pe].op = COLL_ALL_REDUCE;
		chain.calls[0][pe].count = COUNT_MAX + 1;
		chain.calls[0][pe].type = COLL_U64;
		chain.calls[1][pe].op = COLL_OPS;
	}
	run(&chain, 32);
	for (pe = 0; pe < 2; pe++) {
		assert_int_equal(chain.codes[0][pe], GDA_DEV_EINVAL);
		assert_int_equal(chain.codes[1][pe], GDA_DEV_EINVAL);
		assert_int_equal(chain.codes[2][pe], 0);
	}
	assert_int_equal(t_gpu_stop(&chain.t), 0);
}

/* One PE never calls: the others give up, all threads of them. */
static void test_a_pe_that_never_calls_is_a_timeout(void **state)
{
	struct gpu_shape shape = {1, 64, 0, 0};
	struct chain chain;
	struct t_rng rng = {3};
	int pe;

	(void)state;
	start(&chain, 3, 5);
	plan(&chain, &rng);
	for (pe = 0; pe < 2; pe++) {
		chain.calls[0][pe].op = COLL_ALL_GATHER;
		chain.calls[0][pe].dev.timeout_ns = 5000000;
		shape.stream = (uint32_t)pe;
		assert_int_equal(gpu_launch(chain.t.gpu, &coll, &shape,
					    &chain.calls[0][pe]),
				 0);
	}
	assert_int_equal(gpu_wait(chain.t.gpu, GPU_STREAMS), 0);
	assert_int_equal(chain.codes[0][0], GDA_DEV_ETIMEDOUT);
	assert_int_equal(chain.codes[0][1], GDA_DEV_ETIMEDOUT);
	assert_int_equal(t_gpu_stop(&chain.t), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_pe_alone_is_its_own_peer),
		cmocka_unit_test(test_chains_of_two_pes),
		cmocka_unit_test(test_chains_of_five_pes),
		cmocka_unit_test(test_a_part_larger_than_the_room_is_refused),
		cmocka_unit_test(test_a_pe_that_never_calls_is_a_timeout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
