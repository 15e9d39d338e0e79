/* SPDX-License-Identifier: MIT */
/*
 * stack/gda_dev_group.h in kernels of several warps and blocks, under many
 * seeds: every operation at every scope, with each way of sharing a queue
 * pair, on queues that are too small and counters that wrap.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/gpu.h"
#include "support/t_gpu.h"

enum { NPES = 2, BLOCKS = 2, THREADS = 80, WORDS = BLOCKS * THREADS };

enum op {
	OP_PUT_WARP,
	OP_PUT_BLOCK,
	OP_GET_WARP,
	OP_GET_BLOCK,
	OP_PUT_SIGNAL_BLOCK,
	OP_FETCH_WARP,
	OP_P_G_BLOCK,
	OP_PUT_EACH_WARP,
	OP_PUT_EACH_BLOCK,
	OP_GET_EACH_WARP,
	OP_GET_EACH_BLOCK,
	OP_SIGNAL_EACH_WARP,
	OP_SIGNAL_EACH_BLOCK,
	OP_P_EACH_WARP,
	OP_P_EACH_BLOCK,
	OP_ADD_EACH_WARP,
	OP_ADD_EACH_BLOCK,
	OP_SET_EACH_WARP,
	OPS,
};

/* The same offsets on every PE. */
struct board {
	uint64_t out[WORDS]; /* mine, to be read by peers and sent */
	uint64_t in[NPES][WORDS];
	uint64_t got[WORDS];
	uint64_t counter;
	uint64_t signals[NPES][WORDS];
	uint64_t tickets;
	uint64_t ticket[WORDS];
};

struct args {
	struct gda_dev dev;
	struct board *board;
	int32_t *codes; /* [WORDS] */
	int32_t op;
	int32_t lane_by_warp;
	/* The host has written out: peers may read it before this kernel. */
	int32_t is_filled;
};

static uint64_t value_of(int pe, uint32_t word)
{
	return 0x1000000ull * (uint64_t)(pe + 1) + word;
}

/* ---------------------------------------------- one transfer, by a group --- */

/* The words of this warp or block: where they begin, and how many. */
static uint32_t first_word(uint32_t block_scope, uint32_t *count)
{
	uint32_t first = gpu_block() * THREADS;

	*count = THREADS;
	if (block_scope)
		return first;
	first += gpu_warp() * GPU_WARP;
	*count = THREADS - gpu_warp() * GPU_WARP;
	*count = *count < GPU_WARP ? *count : GPU_WARP;
	return first;
}

static int put_or_get(const struct args *args, const struct gda_dev *dev)
{
	struct board *b = args->board;
	uint32_t count, first = first_word(args->op == OP_PUT_BLOCK ||
						   args->op == OP_GET_BLOCK,
					   &count);
	uint64_t *mine = b->in[dev->pe] + first;
	int to = 1 - dev->pe;

	switch (args->op) {
	case OP_PUT_WARP:
		return gda_dev_put_nbi_warp(dev, mine, b->out + first,
					    count * 8, to);
	case OP_PUT_BLOCK:
		return gda_dev_put_block(dev, mine, b->out + first, count * 8,
					 to);
	case OP_GET_WARP:
		return gda_dev_get_warp(dev, b->got + first, b->out + first,
					count * 8, to);
	default:
		return gda_dev_get_block(dev, b->got + first, b->out + first,
					 count * 8, to);
	}
}

static int put_signal(const struct args *args, const struct gda_dev *dev)
{
	struct board *b = args->board;
	struct gda_dev_signal signal = {&b->counter, 1, 1 - dev->pe,
					GDA_DEV_SIGNAL_ADD};
	uint32_t count, first = first_word(1, &count);
	int rc = gda_dev_put_signal_nbi_block(dev, b->in[dev->pe] + first,
					      b->out + first, count * 8,
					      &signal);

	if (!rc)
		rc = gda_dev_flush_block(dev);
	return rc ? rc
		  : gda_dev_wait_until_u64_block(dev, &b->counter, GDA_DEV_GE,
						 BLOCKS);
}

static int fetch_warp(const struct args *args, const struct gda_dev *dev)
{
	struct board *b = args->board;

	return gda_dev_atomic_fetch_add_u64_warp(
		dev, &b->tickets, 1, 1 - dev->pe,
		&b->ticket[gpu_global_thread()]);
}

static int p_and_g(const struct args *args, const struct gda_dev *dev)
{
	struct board *b = args->board;
	uint32_t me = gpu_global_thread();
	int rc = gda_dev_p_u64_block(dev, &b->in[dev->pe][gpu_block()],
				     value_of(dev->pe, gpu_block()),
				     1 - dev->pe);

	return rc ? rc
		  : gda_dev_g_u64_block(dev, &b->out[gpu_block()], &b->got[me],
					1 - dev->pe);
}

/* ------------------------------------------------ a transfer each, by all --- */

/* Lanes of a warp go to different PEs where the operation allows it. */
static int to_of(const struct gda_dev *dev, uint32_t block_scope, uint32_t me)
{
	if (block_scope)
		return 1 - dev->pe;
	return (int)(me % 3 == 0) ^ dev->pe;
}

static int copy_each(const struct args *args, const struct gda_dev *dev,
		     const struct gda_dev_group *group)
{
	struct board *b = args->board;
	uint32_t me = gpu_global_thread(), len = me % 5 ? 8 : 0;
	int to = to_of(dev, group->scope == GDA_DEV_BLOCK, me);
	struct gda_dev_signal signal = {&b->signals[dev->pe][me], me + 1, to,
					GDA_DEV_SIGNAL_SET};
	struct gda_dev_copy put = {&b->in[dev->pe][me], &b->out[me], len, to,
				   0};
	struct gda_dev_copy get = {&b->out[me], &b->got[me], len, to, 0};

	switch (args->op) {
	case OP_PUT_EACH_WARP:
	case OP_PUT_EACH_BLOCK:
		return gda_dev_put_each(dev, group, &put);
	case OP_GET_EACH_WARP:
	case OP_GET_EACH_BLOCK:
		return gda_dev_get_each(dev, group, &get);
	case OP_SIGNAL_EACH_WARP:
	case OP_SIGNAL_EACH_BLOCK:
		return gda_dev_put_signal_each(dev, group, &put, &signal);
	default:
		return gda_dev_put_value_each(dev, group, &put,
					      value_of(dev->pe, me));
	}
}

static int atomic_each(const struct args *args, const struct gda_dev *dev,
		       const struct gda_dev_group *group)
{
	struct board *b = args->board;
	uint32_t me = gpu_global_thread();
	struct gda_dev_atomic_call call = {&b->counter, 1, 0,
					   GDA_DEV_ADD, 8, 1 - dev->pe};

	if (args->op == OP_SET_EACH_WARP) {
		call.dest = &b->in[dev->pe][me];
		call.value = value_of(dev->pe, me);
		call.kind = GDA_DEV_SWAP;
	}
	return gda_dev_atomic_each(dev, group, &call, me % 5 == 0);
}

static int run_op(const struct args *args, const struct gda_dev *dev)
{
	struct gda_dev_group warp = gda_dev_group_warp();
	struct gda_dev_group block = gda_dev_group_block();

	switch (args->op) {
	case OP_PUT_WARP:
	case OP_PUT_BLOCK:
	case OP_GET_WARP:
	case OP_GET_BLOCK:
		return put_or_get(args, dev);
	case OP_PUT_SIGNAL_BLOCK:
		return put_signal(args, dev);
	case OP_FETCH_WARP:
		return fetch_warp(args, dev);
	case OP_P_G_BLOCK:
		return p_and_g(args, dev);
	case OP_ADD_EACH_WARP:
	case OP_SET_EACH_WARP:
		return atomic_each(args, dev, &warp);
	case OP_ADD_EACH_BLOCK:
		return atomic_each(args, dev, &block);
	case OP_PUT_EACH_WARP:
	case OP_GET_EACH_WARP:
	case OP_SIGNAL_EACH_WARP:
	case OP_P_EACH_WARP:
		return copy_each(args, dev, &warp);
	default:
		return copy_each(args, dev, &block);
	}
}

GPU_KERNEL(group_test, struct args)
{
	struct gda_dev dev = args->lane_by_warp
				     ? gda_dev_lane_of_warp(&args->dev)
				     : gda_dev_lane_of_block(&args->dev);
	uint32_t me = gpu_global_thread();
	int rc;

	if (!args->is_filled)
		args->board->out[me] = value_of(dev.pe, me);
	rc = run_op(args, &dev);
	if (!rc)
		rc = args->lane_by_warp ? gda_dev_quiet_warp(&dev)
					: gda_dev_quiet_block(&dev);
	args->codes[me] = rc;
}

/* -------------------------------------------------------------- the checks */

static uint32_t expected_tickets(void)
{
	return BLOCKS * ((THREADS + GPU_WARP - 1) / GPU_WARP);
}

static void check_tickets(struct t_pe *pe, const struct board *b)
{
	uint32_t given[WORDS] = {0};
	uint32_t i, count = expected_tickets();

	T_EXPECT(pe, b->tickets == count);
	for (i = 0; i < WORDS; i++) {
		T_EXPECT(pe, b->ticket[i] < count);
		if (b->ticket[i] < count)
			given[b->ticket[i]]++;
	}
	for (i = 0; i < count; i++)
		T_EXPECT(pe, given[i] == GPU_WARP || given[i] == THREADS % 32);
}

static void check_all(struct t_pe *pe, const struct board *b, bool gets)
{
	int from = 1 - pe->pe;
	uint32_t i;

	for (i = 0; i < WORDS; i++)
		T_EXPECT(pe, (gets ? b->got[i] : b->in[from][i]) ==
				     value_of(from, i));
}

static void check_each(struct t_pe *pe, const struct board *b, int op)
{
	bool block = op == OP_PUT_EACH_BLOCK || op == OP_GET_EACH_BLOCK ||
		     op == OP_SIGNAL_EACH_BLOCK || op == OP_P_EACH_BLOCK;
	bool gets = op == OP_GET_EACH_WARP || op == OP_GET_EACH_BLOCK;
	bool signals = op == OP_SIGNAL_EACH_WARP || op == OP_SIGNAL_EACH_BLOCK;
	uint32_t i;
	int from;

	for (from = 0; from < NPES; from++)
		for (i = 0; i < WORDS; i++) {
			struct gda_dev dev = {.pe = gets ? pe->pe : from};
			int to = to_of(&dev, block, i);
			bool mine = i % 5 && to == (gets ? from : pe->pe);

			if (gets && mine)
				T_EXPECT(pe, b->got[i] == value_of(from, i));
			if (gets)
				continue;
			T_EXPECT(pe, b->in[from][i] ==
					     (mine ? value_of(from, i) : 0));
			if (signals)
				T_EXPECT(pe, b->signals[from][i] ==
						     (mine ? i + 1 : 0));
		}
}

static void check(struct t_pe *pe, int op)
{
	const struct board *b = pe->arg;
	int from = 1 - pe->pe;
	uint32_t i;

	switch (op) {
	case OP_GET_WARP:
	case OP_GET_BLOCK:
		check_all(pe, b, true);
		return;
	case OP_PUT_WARP:
	case OP_PUT_BLOCK:
	case OP_PUT_SIGNAL_BLOCK:
		check_all(pe, b, false);
		return;
	case OP_FETCH_WARP:
		check_tickets(pe, b);
		return;
	case OP_P_G_BLOCK:
		for (i = 0; i < WORDS; i++)
			T_EXPECT(pe, b->got[i] == value_of(from, i / THREADS));
		for (i = 0; i < BLOCKS; i++)
			T_EXPECT(pe, b->in[from][i] == value_of(from, i));
		return;
	case OP_ADD_EACH_WARP:
	case OP_ADD_EACH_BLOCK:
		T_EXPECT(pe, b->counter == WORDS - WORDS / 5);
		return;
	case OP_SET_EACH_WARP:
		for (i = 0; i < WORDS; i++)
			T_EXPECT(pe, b->in[from][i] ==
					     (i % 5 ? value_of(from, i) : 0));
		return;
	default:
		check_each(pe, b, op);
	}
}

/* -------------------------------------------------------------- the runs */

static bool is_block_op(int op)
{
	switch (op) {
	case OP_PUT_BLOCK:
	case OP_GET_BLOCK:
	case OP_PUT_SIGNAL_BLOCK:
	case OP_P_G_BLOCK:
	case OP_PUT_EACH_BLOCK:
	case OP_GET_EACH_BLOCK:
	case OP_SIGNAL_EACH_BLOCK:
	case OP_P_EACH_BLOCK:
	case OP_ADD_EACH_BLOCK:
		return true;
	default:
		return false;
	}
}

static void fill(const struct t_pe *pe)
{
	struct board *b = pe->arg;
	uint32_t i;

	for (i = 0; i < WORDS; i++)
		b->out[i] = value_of(pe->pe, i);
}

static bool is_get(int op)
{
	return op == OP_GET_WARP || op == OP_GET_BLOCK || op == OP_P_G_BLOCK ||
	       op == OP_GET_EACH_WARP || op == OP_GET_EACH_BLOCK;
}

static void run_one(const struct gda_config *config, int op, uint64_t seed)
{
	struct gpu_shape shape = {BLOCKS, THREADS, 0, 0};
	int32_t codes[NPES][WORDS];
	struct args args[NPES];
	struct t_gpu t = {.seed = seed};
	int pe, i, failures;

	memset(codes, 0x7f, sizeof(codes));
	failures = t_gpu_start(&t, config, NPES, sizeof(struct board));
	for (pe = 0; pe < NPES; pe++) {
		args[pe].dev = *t.pes[pe].dev;
		args[pe].board = t.pes[pe].arg;
		args[pe].codes = codes[pe];
		args[pe].op = op;
		args[pe].is_filled = is_get(op);
		if (is_get(op))
			fill(&t.pes[pe]);
		args[pe].lane_by_warp =
			config->shared == GDA_SHARED_NO && !is_block_op(op);
	}
	failures += t_gpu_run(&t, &group_test, &shape, args);
	for (pe = 0; pe < NPES; pe++) {
		for (i = 0; i < WORDS; i++)
			T_EXPECT(&t.pes[pe], codes[pe][i] == 0);
		check(&t.pes[pe], op);
	}
	failures += t_gpu_stop(&t);
	if (failures)
		fail_msg("op %d, sharing %d, depth %u, cq %d, batch %u: "
			 "T_SEED=%llu",
			 op, config->shared, config->qp_depth, config->cq_mode,
			 config->batch, (unsigned long long)seed);
}

/* Each seed is also another config. */
static void run(enum gda_sharing sharing)
{
	uint64_t first = t_gpu_first_seed(), count = t_gpu_seeds(6), i;
	struct gda_config config;
	int op;

	for (op = 0; op < OPS; op++)
		for (i = first; i < first + count; i++) {
			t_config(&config);
			config.shared = sharing;
			config.emu.persona = "connectx-8";
			config.emu.start_counter = i & 1 ? 0x10000 - 30 : 0;
			config.qp_depth = 4u << (i % 4 * 2);
			config.cq_mode = i & 2 ? GDA_CQ_RING : GDA_CQ_COLLAPSED;
			config.doorbell = (enum gda_doorbell)(i % 4);
			config.batch = i & 4 ? 4 : 1;
			/* A lane for each warp, or for each block. */
			config.qps_per_peer = sharing == GDA_SHARED_NO ? 6 : 2;
			config.op_timeout_ms = 500;
			run_one(&config, op, i);
		}
}

static void test_groups_with_queue_pairs_of_their_own(void **state)
{
	(void)state;
	run(GDA_SHARED_NO);
}

static void test_blocks_with_queue_pairs_of_their_own(void **state)
{
	(void)state;
	run(GDA_SHARED_BLOCK);
}

static void test_groups_that_share_queue_pairs(void **state)
{
	(void)state;
	run(GDA_SHARED_GPU);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_groups_with_queue_pairs_of_their_own),
		cmocka_unit_test(test_blocks_with_queue_pairs_of_their_own),
		cmocka_unit_test(test_groups_that_share_queue_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
