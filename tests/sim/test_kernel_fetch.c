/* SPDX-License-Identifier: MIT */
/*
 * Operations that bring a result to each member of a group, of
 * stack/gda_dev_group.h, against a plain model under many seeds: with fewer
 * slots than members, queues that are too small, empty-handed members, and
 * lanes of a warp that go to several PEs. And what is left after errors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/gpu.h"
#include "support/t_gpu.h"

enum { NPES = 3, BLOCKS = 2, THREADS = 48, WORDS = BLOCKS * THREADS };
enum { ROUNDS = 2 };

/* An atomic of each kind on a word of the member's own, or one of these. */
enum { OP_GET = GDA_DEV_FETCH + 1, OP_TICKET, OPS };

#define UNCHANGED 0x5a5a5a5a5a5a5a5aull

/* The same offsets on every PE. */
struct board {
	uint64_t words[NPES][WORDS]; /* [who works on it][thread] */
	uint64_t tickets;
};

struct args {
	struct gda_dev dev;
	struct board *board;
	uint64_t (*got)[WORDS]; /* [ROUNDS] */
	int32_t *codes;		/* [WORDS] */
	int32_t op;
	uint32_t len; /* of atomics */
	int32_t is_block;
	int32_t lane_by_warp;
};

/* --------------------------------- what a member does, for kernel and model */

struct step {
	int op;
	uint32_t len;
	int to;
	uint32_t offset; /* into its word */
	uint64_t value;
	uint64_t compare;
	bool is_empty;
};

static uint64_t initial(int pe, int from, uint32_t me)
{
	return 0x9e3779b97f4a7c15ull *
	       ((uint64_t)(pe * NPES + from) * WORDS + me + 1);
}

/* Lanes of a warp go to PEs of their own, a block's threads to one. */
static struct step step_of(const struct args *args, int from, uint32_t me,
			   uint32_t round)
{
	uint32_t to = args->is_block ? round + me / THREADS : me * 5 + round;
	struct step step = {args->op, args->len, 0, 0, 0, 0, false};

	step.to = (int)((uint32_t)from + to) % NPES;
	if (step.op == OP_GET)
		step.len = 1 + (me + round) % 8;
	step.offset = me % 2 ? 8 - step.len : 0u;
	step.value = initial((int)round + 7, from, me);
	step.compare = initial(step.to, from, me) >> step.offset * 8;
	if (step.len == 4)
		step.compare &= 0xffffffffu;
	step.compare += me % 4 == 3; /* in vain */
	step.is_empty = (me + round) % 5 == 0;
	if (step.op == OP_TICKET)
		step.to = 0;
	return step;
}

static int make_step(const struct args *args, const struct gda_dev *dev,
		     const struct step *step, uint64_t *got)
{
	struct gda_dev_group group =
		args->is_block ? gda_dev_group_block() : gda_dev_group_warp();
	uint64_t *word = &args->board->words[dev->pe][gpu_global_thread()];
	struct gda_dev_copy get = {(uint8_t *)word + step->offset, 0,
				   step->is_empty ? 0 : step->len, step->to, 0};
	struct gda_dev_atomic_call call = {
		(uint8_t *)word + step->offset, step->value, step->compare,
		(enum gda_dev_atomic)step->op,	step->len,   step->to};

	if (step->is_empty)
		get.sym = call.dest = 0;
	if (step->op == OP_GET)
		return gda_dev_get_value_each(dev, &group, &get, got);
	if (step->op == OP_TICKET) {
		call.dest = &args->board->tickets;
		call.kind = GDA_DEV_ADD;
		call.value = 1;
		call.len = 8;
	}
	return gda_dev_atomic_fetch_each(dev, &group, &call, step->is_empty,
					 got);
}

GPU_KERNEL(fetch_test, struct args)
{
	struct gda_dev dev = args->lane_by_warp
				     ? gda_dev_lane_of_warp(&args->dev)
				     : gda_dev_lane_of_block(&args->dev);
	uint32_t me = gpu_global_thread(), round;
	int rc = 0;

	for (round = 0; !rc && round < ROUNDS; round++) {
		struct step step = step_of(args, dev.pe, me, round);

		rc = make_step(args, &dev, &step, &args->got[round][me]);
	}
	args->codes[me] = rc;
}

/* ---------------------------------------------------------------- the model */

/* What is in the word after it. */
static uint64_t model(const struct step *step, uint64_t old)
{
	switch (step->op) {
	case GDA_DEV_ADD:
		return old + step->value;
	case GDA_DEV_SWAP:
		return step->value;
	case GDA_DEV_COMPARE_SWAP:
		return old == step->compare ? step->value : old;
	case GDA_DEV_AND:
		return old & step->value;
	case GDA_DEV_OR:
		return old | step->value;
	case GDA_DEV_XOR:
		return old ^ step->value;
	default:
		return old;
	}
}

struct run {
	struct t_gpu t;
	struct args args[NPES];
	uint64_t got[NPES][ROUNDS][WORDS];
	int32_t codes[NPES][WORDS];
	uint64_t words[NPES][NPES][WORDS]; /* as they should be */
};

static void check_member(struct run *run, int from, uint32_t me)
{
	const struct args *args = &run->args[from];
	uint64_t old, after;
	uint32_t round;
	struct step step;
	uint8_t *at;

	T_EXPECT(&run->t.pes[from], run->codes[from][me] == 0);
	for (round = 0; round < ROUNDS; round++) {
		step = step_of(args, from, me, round);
		at = (uint8_t *)&run->words[step.to][from][me] + step.offset;
		old = 0;
		memcpy(&old, at, step.len);
		after = model(&step, old);
		if (step.is_empty)
			old = UNCHANGED;
		else
			memcpy(at, &after, step.len);
		T_EXPECT(&run->t.pes[from], run->got[from][round][me] == old);
	}
}

/* Every ticket is given once. */
static void check_tickets(struct run *run)
{
	static uint8_t given[NPES * ROUNDS * WORDS];
	const struct board *b = run->t.pes[0].arg;
	uint32_t me, round, count = 0;
	uint64_t ticket;
	int from;

	memset(given, 0, sizeof(given));
	for (from = 0; from < NPES; from++)
		for (round = 0; round < ROUNDS; round++)
			for (me = 0; me < WORDS; me++) {
				ticket = run->got[from][round][me];
				if ((me + round) % 5 == 0) {
					T_EXPECT(&run->t.pes[from],
						 ticket == UNCHANGED);
					continue;
				}
				count++;
				T_EXPECT(&run->t.pes[from],
					 ticket < sizeof(given) &&
						 !given[ticket]++);
			}
	T_EXPECT(&run->t.pes[0], b->tickets == count);
}

static void check(struct run *run)
{
	const struct board *b;
	uint32_t me;
	int pe;

	if (run->args[0].op == OP_TICKET) {
		check_tickets(run);
		return;
	}
	for (pe = 0; pe < NPES; pe++)
		for (me = 0; me < WORDS; me++)
			check_member(run, pe, me);
	for (pe = 0; pe < NPES; pe++) {
		b = run->t.pes[pe].arg;
		T_EXPECT(&run->t.pes[pe],
			 !memcmp(b->words, run->words[pe], sizeof(b->words)));
	}
}

static uint32_t taken_slots(const struct t_gpu *t, int pe)
{
	const struct gda_dev *dev = t->pes[pe].dev;
	uint32_t count = 0, i;
	int qp;

	for (qp = 0; qp < dev->lanes * dev->npes; qp++)
		for (i = 0; i < dev->qps[qp].slot_count; i++)
			count += dev->qps[qp].slots[i].taken;
	return count;
}

/* ----------------------------------------------------------------- the runs */

static void start(struct run *run, const struct gda_config *config,
		  uint64_t seed)
{
	struct board *b;
	uint32_t me;
	int pe, from;

	memset(run, 0, sizeof(*run));
	memset(run->got, 0x5a, sizeof(run->got));
	memset(run->codes, 0x5a, sizeof(run->codes));
	run->t.seed = seed;
	assert_int_equal(t_gpu_start(&run->t, config, NPES, sizeof(*b)), 0);
	for (pe = 0; pe < NPES; pe++) {
		for (from = 0; from < NPES; from++)
			for (me = 0; me < WORDS; me++)
				run->words[pe][from][me] =
					initial(pe, from, me);
		b = run->t.pes[pe].arg;
		memcpy(b->words, run->words[pe], sizeof(b->words));
		run->args[pe].dev = *run->t.pes[pe].dev;
		run->args[pe].board = b;
		run->args[pe].got = run->got[pe];
		run->args[pe].codes = run->codes[pe];
		run->args[pe].op = OP_GET;
		run->args[pe].len = 8;
	}
}

static void run_one(const struct gda_config *config, int op, int is_block,
		    uint64_t seed)
{
	struct gpu_shape shape = {BLOCKS, THREADS, 0, 0};
	static struct run run;
	int pe, failures;

	start(&run, config, seed);
	for (pe = 0; pe < NPES; pe++) {
		run.args[pe].op = op;
		run.args[pe].len = seed & 1 ? 4 : 8;
		run.args[pe].is_block = is_block;
		run.args[pe].lane_by_warp =
			config->shared == GDA_SHARED_NO && !is_block;
	}
	failures = t_gpu_run(&run.t, &fetch_test, &shape, run.args);
	check(&run);
	for (pe = 0; pe < NPES; pe++)
		T_EXPECT(&run.t.pes[pe], taken_slots(&run.t, pe) == 0);
	failures += t_gpu_stop(&run.t);
	if (failures)
		fail_msg("op %d, block %d, sharing %d, slots %u, depth %u, "
			 "cq %d, batch %u: T_SEED=%llu",
			 op, is_block, config->shared, config->fetch_slots,
			 config->qp_depth, config->cq_mode, config->batch,
			 (unsigned long long)seed);
}

/* Each seed is also another config. */
static void run(enum gda_sharing sharing)
{
	static const uint32_t slots[] = {1, 3, 32};
	uint64_t first = t_gpu_first_seed(), count = t_gpu_seeds(6), i;
	struct gda_config config;
	int op;

	for (op = 0; op < OPS; op++)
		for (i = first; i < first + count; i++) {
			t_config(&config);
			config.shared = sharing;
			config.emu.persona = "connectx-8";
			config.emu.start_counter = i & 1 ? 0x10000 - 30 : 0;
			config.fetch_slots = slots[i % 3];
			config.qp_depth = 4u << (i % 4 * 2);
			config.cq_mode = i & 2 ? GDA_CQ_RING : GDA_CQ_COLLAPSED;
			config.doorbell = (enum gda_doorbell)(i % 4);
			config.batch = i & 4 ? 4 : 1;
			/* A lane for each warp, or for each block. */
			config.qps_per_peer = sharing == GDA_SHARED_NO ? 6 : 2;
			config.op_timeout_ms = 5000;
			run_one(&config, op, 0, i);
			run_one(&config, op, 1, i);
		}
}

static void test_results_for_groups_with_queue_pairs_of_their_own(void **state)
{
	(void)state;
	run(GDA_SHARED_NO);
}

static void test_results_for_blocks_with_queue_pairs_of_their_own(void **state)
{
	(void)state;
	run(GDA_SHARED_BLOCK);
}

static void test_results_for_groups_that_share_queue_pairs(void **state)
{
	(void)state;
	run(GDA_SHARED_GPU);
}

/* ----------------------------------------------------- one warp, by itself */

/* In place of args->op. */
enum alone {
	ALONE_ONE_PEER, /* all lanes to PE 1 */
	ALONE_TWO_PEERS,
};

GPU_KERNEL(fetch_alone, struct args)
{
	struct gda_dev_group warp = gda_dev_group_warp();
	uint32_t me = gpu_thread();
	int to = args->op == ALONE_ONE_PEER ? 1 : 1 + (int)(me % 2);
	struct gda_dev_copy get = {&args->board->words[0][me], 0, 8, to, 0};

	args->codes[me] =
		args->dev.pe ? 0
			     : gda_dev_get_value_each(&args->dev, &warp, &get,
						      &args->got[0][me]);
}

static void launch_alone(struct run *run, enum alone alone, int code)
{
	struct gpu_shape shape = {1, GPU_WARP, 0, 0};
	uint64_t expected;
	uint32_t me;
	int to;

	memset(run->got, 0x5a, sizeof(run->got));
	run->args[0].op = (int)alone;
	assert_int_equal(t_gpu_run(&run->t, &fetch_alone, &shape, run->args),
			 0);
	for (me = 0; me < GPU_WARP; me++) {
		to = alone == ALONE_ONE_PEER ? 1 : 1 + (int)(me % 2);
		expected = code ? UNCHANGED : initial(to, 0, me);
		assert_int_equal(run->codes[0][me], code);
		assert_int_equal(run->got[0][0][me], expected);
	}
}

static void config_alone(struct gda_config *config, uint32_t slots)
{
	t_config(config);
	config->fetch_slots = slots;
	config->qp_depth = 64;
	config->shared = GDA_SHARED_GPU;
	config->cq_mode = GDA_CQ_RING;
	config->op_timeout_ms = 20; /* of virtual time */
}

/* A ring CQ counts them. */
static void test_a_turn_is_one_completion(void **state)
{
	static const struct {
		uint32_t slots, depth, turns;
	} rows[] = {{32, 64, 1}, {64, 64, 1}, {31, 64, 2},
		    {3, 64, 11}, {1, 64, 32}, {32, 8, 4}};
	static struct run run;
	struct gda_config config;
	uint32_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		config_alone(&config, rows[i].slots);
		config.qp_depth = rows[i].depth;
		start(&run, &config, i);
		launch_alone(&run, ALONE_ONE_PEER, 0);
		assert_int_equal(run.args[0].dev.qps[1].cq_consumer,
				 rows[i].turns);
		launch_alone(&run, ALONE_TWO_PEERS, 0);
		assert_int_equal(t_gpu_stop(&run.t), 0);
	}
}

static void test_a_thread_is_a_group_of_one(void **state)
{
	struct gda_dev_group group = gda_dev_group_thread();
	struct gda_dev_atomic_call call = {0, 5, 0, GDA_DEV_ADD, 8, 1};
	struct gda_dev_copy get = {0, 0, 3, 1, 0};
	uint64_t old = 0, value = UNCHANGED;
	static struct run run;
	struct gda_config config;
	uint64_t *word;

	(void)state;
	config_alone(&config, 1);
	start(&run, &config, 1);
	word = &run.args[0].board->words[0][0];
	call.dest = word;
	get.sym = (uint8_t *)word + 5;
	assert_int_equal(gda_dev_atomic_fetch_each(&run.args[0].dev, &group,
						   &call, false, &old),
			 0);
	assert_true(old == initial(1, 0, 0));
	assert_int_equal(
		gda_dev_get_value_each(&run.args[0].dev, &group, &get, &value),
		0);
	assert_true(value == (initial(1, 0, 0) + 5) >> 40);
	assert_int_equal(t_gpu_stop(&run.t), 0);
}

/* --------------------------------------------------------------- the errors */

/* Half of the lanes have a wrong key: all of them are told, and no slot is
 * lost. The other queue pair is sound. */
static void test_a_broken_queue_pair_is_an_error_for_all_lanes(void **state)
{
	uint64_t first = t_gpu_first_seed(), count = t_gpu_seeds(12), seed;
	struct gda_dev_peer peers[NPES];
	static struct run run;
	struct gda_config config;

	(void)state;
	for (seed = first; seed < first + count; seed++) {
		config_alone(&config, seed % 2 ? 3 : 32);
		config.cq_mode = seed & 2 ? GDA_CQ_RING : GDA_CQ_COLLAPSED;
		start(&run, &config, seed);
		memcpy(peers, run.args[0].dev.peers, sizeof(peers));
		peers[2].rkey ^= 0xabcd00;
		run.args[0].dev.peers = peers;
		launch_alone(&run, ALONE_TWO_PEERS, GDA_DEV_EIO);
		launch_alone(&run, ALONE_TWO_PEERS, GDA_DEV_EIO);
		assert_int_equal(taken_slots(&run.t, 0), 0);
		launch_alone(&run, ALONE_ONE_PEER, 0);
		assert_int_equal(t_gpu_stop(&run.t), 0);
	}
}

/* Nobody moves the NIC, which may still write to these slots afterwards. */
static void test_a_timeout_keeps_the_slots_of_what_was_posted(void **state)
{
	static struct run run;
	struct gda_config config;
	uint32_t slots;
	int pe;

	(void)state;
	for (slots = 3; slots <= 64; slots += 61) {
		config_alone(&config, slots);
		start(&run, &config, slots);
		for (pe = 0; pe < NPES; pe++)
			run.args[pe].dev.pause = NULL;
		launch_alone(&run, ALONE_ONE_PEER, GDA_DEV_ETIMEDOUT);
		assert_int_equal(taken_slots(&run.t, 0), slots < 32 ? 3 : 32);
		for (pe = 0; pe < NPES; pe++)
			run.args[pe].dev.pause = run.t.pes[pe].dev->pause;
		/* Of 3 none is left, and of 64 as many as are needed. */
		launch_alone(&run, ALONE_ONE_PEER,
			     slots < 32 ? GDA_DEV_ETIMEDOUT : 0);
		launch_alone(&run, ALONE_TWO_PEERS,
			     slots < 32 ? GDA_DEV_ETIMEDOUT : 0);
		assert_int_equal(taken_slots(&run.t, 0), slots < 32 ? 3 : 32);
		assert_int_equal(t_gpu_stop(&run.t), 0);
	}
}

/* What was never posted has not been the NIC's: its slots are free again. */
static void test_a_full_queue_is_a_timeout_that_keeps_no_slot(void **state)
{
	static struct run run;
	struct gda_config config;
	uint64_t *word;
	int i;

	(void)state;
	config_alone(&config, 32);
	config.qp_depth = 4;
	start(&run, &config, 1);
	word = &run.args[0].board->words[0][0];
	for (i = 0; i < 4; i++)
		assert_int_equal(gda_dev_p_u64(&run.args[0].dev, word,
					       initial(1, 0, 0), 1),
				 0);
	run.args[0].dev.pause = NULL;
	launch_alone(&run, ALONE_ONE_PEER, GDA_DEV_ETIMEDOUT);
	assert_int_equal(taken_slots(&run.t, 0), 0);
	run.args[0].dev.pause = run.t.pes[0].dev->pause;
	launch_alone(&run, ALONE_ONE_PEER, 0);
	assert_int_equal(t_gpu_stop(&run.t), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_results_for_groups_with_queue_pairs_of_their_own),
		cmocka_unit_test(
			test_results_for_blocks_with_queue_pairs_of_their_own),
		cmocka_unit_test(
			test_results_for_groups_that_share_queue_pairs),
		cmocka_unit_test(test_a_turn_is_one_completion),
		cmocka_unit_test(test_a_thread_is_a_group_of_one),
		cmocka_unit_test(
			test_a_broken_queue_pair_is_an_error_for_all_lanes),
		cmocka_unit_test(
			test_a_timeout_keeps_the_slots_of_what_was_posted),
		cmocka_unit_test(
			test_a_full_queue_is_a_timeout_that_keeps_no_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
