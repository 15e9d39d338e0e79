/* SPDX-License-Identifier: MIT */
/*
 * kernels/ep_*.cu on the SIMT runner: rounds of dispatch and combine of random
 * shapes and choices, compared with a plain model; phases together and apart;
 * PEs that are dead.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/ep.h"
#include "support/t_floats.h"
#include "support/t_gpu.h"
#include "support/t_rng.h"

enum { PES_MAX = 4, ROUNDS = 3, ARENA_MAX = 12 << 20 };

/* What one PE has outside of the heap. */
struct pe_data {
	int32_t *experts;
	float *weights;
	uint16_t *x, *out;
	uint8_t *rows;
	float *scales;
	int32_t *sources;
	struct ep_range *ranges;
	int32_t dead[PES_MAX];
	int32_t code;
	uint16_t *y; /* in the heap */
	uint32_t tokens;
};

struct model {
	struct t_gpu t;
	struct t_rng rng;
	struct ep_shape shape;
	struct ep_layout layout;
	struct ep_args args[PES_MAX];
	struct pe_data pes[PES_MAX];
	bool split; /* phases are launched apart */
	int absent; /* a PE that launches nothing; -1: none */
};

/* --------------------------------------------------------------- the model */

static void *alloc(uint64_t bytes)
{
	return calloc(1, bytes + 1);
}

static void choose(struct model *m, struct pe_data *pe)
{
	uint32_t experts = (uint32_t)m->shape.experts;
	uint32_t topk = (uint32_t)m->shape.topk, t, k, j, at;

	pe->tokens = t_below(&m->rng, (uint32_t)m->shape.max_tokens + 1);
	for (t = 0; t < pe->tokens; t++)
		for (k = 0; k < topk; k++) {
			at = t * topk + k;
			pe->weights[at] = (float)t_below(&m->rng, 100) / 64;
			pe->experts[at] = (int32_t)t_below(&m->rng, experts);
			if (t_chance(&m->rng, 100))
				pe->experts[at] = -1;
			for (j = 0; j < k; j++)
				if (pe->experts[t * topk + j] ==
				    pe->experts[at])
					pe->experts[at] = -1;
		}
	for (t = 0; t < pe->tokens * (uint32_t)m->shape.hidden; t++)
		pe->x[t] = t_to_bf16(((float)t_below(&m->rng, 20001) - 10000) *
				     (t_chance(&m->rng, 50) ? 1e-6f : 1e-2f));
}

static void make_pe(struct model *m, int i)
{
	struct pe_data *pe = &m->pes[i];
	uint64_t tokens = (uint64_t)m->shape.max_tokens;
	uint64_t rows =
		(uint64_t)m->layout.local_experts * ep_rows_max(&m->shape);
	uint64_t topk = (uint64_t)m->shape.topk;
	uint64_t hidden = (uint64_t)m->shape.hidden;

	pe->experts = alloc(tokens * topk * 4);
	pe->weights = alloc(tokens * topk * 4);
	pe->x = alloc(tokens * hidden * 2);
	pe->out = alloc(tokens * hidden * 2);
	pe->rows = alloc(rows * m->layout.payload_bytes);
	pe->scales = alloc(rows * (uint64_t)m->layout.groups * 4);
	pe->sources = alloc(rows * 4);
	pe->ranges = alloc((uint64_t)m->shape.experts * 8);
	pe->y = (uint16_t *)((uint8_t *)m->t.pes[i].arg + m->layout.bytes);
	assert_true(m->layout.bytes + rows * hidden * 2 <= ARENA_MAX);
}

static void free_pe(struct pe_data *pe)
{
	free(pe->experts);
	free(pe->weights);
	free(pe->x);
	free(pe->out);
	free(pe->rows);
	free(pe->scales);
	free(pe->sources);
	free(pe->ranges);
}

static void start(struct model *m, uint64_t seed)
{
	const int32_t hiddens[] = {128, 7, 200, 512, 130};
	struct gda_config config;
	int i;

	memset(m, 0, sizeof(*m));
	m->rng.state = seed;
	m->t.seed = seed;
	m->absent = -1;
	m->split = seed % 2;
	m->shape.npes = 1 + (int)t_below(&m->rng, PES_MAX);
	m->shape.experts = m->shape.npes * (1 + (int)t_below(&m->rng, 4));
	m->shape.topk = 1 + (int)t_below(&m->rng, 4);
	m->shape.hidden = hiddens[t_below(&m->rng, 5)];
	m->shape.max_tokens = 1 + (int)t_below(&m->rng, 40);
	m->shape.is_fp8 = t_chance(&m->rng, 600);
	assert_int_equal(ep_layout(&m->shape, &m->layout), 0);
	t_config(&config);
	config.heap_bytes = ARENA_MAX + 65536;
	config.shared = GDA_SHARED_GPU;
	config.qps_per_peer = 1 + (uint32_t)t_below(&m->rng, 3);
	config.qp_depth = 8u << t_below(&m->rng, 4);
	config.batch = 1u << t_below(&m->rng, 3);
	config.cq_mode = seed % 3 ? GDA_CQ_COLLAPSED : GDA_CQ_RING;
	config.op_timeout_ms = 1000;
	assert_int_equal(t_gpu_start(&m->t, &config, m->shape.npes, ARENA_MAX),
			 0);
	for (i = 0; i < m->shape.npes; i++)
		make_pe(m, i);
}

static void stop(struct model *m)
{
	int i;

	for (i = 0; i < m->shape.npes; i++)
		free_pe(&m->pes[i]);
	assert_int_equal(t_gpu_stop(&m->t), 0);
}

static void fill_args(struct model *m, uint64_t round)
{
	int i;

	for (i = 0; i < m->shape.npes; i++) {
		struct pe_data *pe = &m->pes[i];
		struct ep_args *args = &m->args[i];

		choose(m, pe);
		args->dev = *m->t.pes[i].dev;
		args->layout = m->layout;
		args->arena = m->t.pes[i].arg;
		args->round = round;
		args->tokens = pe->tokens;
		args->timeout_ns = 20000000;
		args->dead = pe->dead;
		args->code = &pe->code;
		args->experts = pe->experts;
		args->weights = pe->weights;
		args->x = pe->x;
		args->rows = pe->rows;
		args->scales = pe->scales;
		args->sources = pe->sources;
		args->ranges = pe->ranges;
		args->y = pe->y;
		args->out = pe->out;
	}
}

static void launch(struct model *m, const struct gpu_kernel *kernel,
		   uint32_t phases)
{
	struct gpu_shape shape = {3, 64, 0, 0};
	int i;

	for (i = 0; i < m->shape.npes; i++) {
		if (i == m->absent)
			continue;
		m->args[i].phases = phases;
		shape.stream = (uint32_t)i;
		assert_int_equal(
			gpu_launch(m->t.gpu, kernel, &shape, &m->args[i]), 0);
	}
	if (gpu_wait(m->t.gpu, GPU_STREAMS))
		fail_msg("%s", gpu_error(m->t.gpu));
}

static void run(struct model *m, const struct gpu_kernel *kernel)
{
	if (m->split) {
		launch(m, kernel, EP_SEND);
		launch(m, kernel, EP_RECEIVE);
	} else {
		launch(m, kernel, EP_SEND | EP_RECEIVE);
	}
}

/* ----------------------------------------------------------- after dispatch */

static int32_t count_choices(const struct model *m, const struct pe_data *from,
			     int expert)
{
	int32_t count = 0;
	uint32_t i;

	for (i = 0; i < from->tokens * (uint32_t)m->shape.topk; i++)
		count += from->experts[i] == expert;
	return count;
}

static bool chose(const struct model *m, const struct pe_data *from,
		  uint32_t token, int expert)
{
	int k;

	for (k = 0; k < m->shape.topk; k++)
		if (from->experts[(int)token * m->shape.topk + k] == expert)
			return true;
	return false;
}

static void check_fp8_row(const struct model *m, const uint16_t *x,
			  const uint8_t *row, const float *scales)
{
	int group, c, end;
	float largest;

	for (group = 0; group < m->layout.groups; group++) {
		end = (group + 1) * EP_GROUP;
		end = end < m->shape.hidden ? end : m->shape.hidden;
		largest = 1e-4f;
		for (c = group * EP_GROUP; c < end; c++)
			largest = fmaxf(largest, fabsf(t_from_bf16(x[c])));
		assert_true(scales[group] == largest / 448.0f);
		for (c = group * EP_GROUP; c < end; c++)
			assert_int_equal(row[c], t_to_e4m3(t_from_bf16(x[c]) *
							   (448.0f / largest)));
	}
}

static void check_row(const struct model *m, const struct pe_data *from,
		      const struct pe_data *at, uint64_t row)
{
	const uint16_t *x =
		from->x + (int64_t)at->sources[row] * m->shape.hidden;
	const uint8_t *got = at->rows + row * m->layout.payload_bytes;

	if (m->shape.is_fp8)
		check_fp8_row(m, x, got,
			      at->scales + row * (uint64_t)m->layout.groups);
	else
		assert_memory_equal(got, x, (size_t)m->shape.hidden * 2);
}

/* Every choice arrived once, with its bytes, and nothing else. */
static void check_pair(const struct model *m, int here, int local, int from)
{
	const struct pe_data *at = &m->pes[here], *peer = &m->pes[from];
	struct ep_range range = at->ranges[local * m->shape.npes + from];
	uint64_t first = (uint64_t)local * ep_rows_max(&m->shape);
	int expert = here * m->layout.local_experts + local;
	uint8_t seen[64] = {0};
	uint32_t i;

	if (from == m->absent) {
		assert_int_equal(range.count, 0);
		return;
	}
	assert_int_equal(range.count, count_choices(m, peer, expert));
	for (i = 0; i < range.count; i++) {
		uint64_t row = first + range.begin + i;
		uint32_t token = (uint32_t)at->sources[row];

		assert_true(token < peer->tokens);
		assert_true(chose(m, peer, token, expert));
		assert_int_equal(seen[token]++, 0);
		check_row(m, peer, at, row);
	}
}

static void check_dispatch(const struct model *m)
{
	int here, local, from;

	for (here = 0; here < m->shape.npes; here++)
		for (local = 0; local < m->layout.local_experts; local++)
			for (from = 0; from < m->shape.npes; from++)
				if (here != m->absent)
					check_pair(m, here, local, from);
}

/* ------------------------------------------------------------ the experts */

/* What an expert makes of a channel of a token. */
static uint16_t answer(const struct pe_data *from, const struct model *m,
		       int64_t token, int c, int expert)
{
	float x = t_from_bf16(from->x[token * m->shape.hidden + c]);

	return t_to_bf16(x * (float)(expert + 1));
}

static void work(struct model *m)
{
	int here, local, from, c;
	uint32_t i;

	for (here = 0; here < m->shape.npes; here++) {
		struct pe_data *at = &m->pes[here];

		for (local = 0;
		     here != m->absent && local < m->layout.local_experts;
		     local++)
			for (from = 0; from < m->shape.npes; from++) {
				struct ep_range range =
					at->ranges[local * m->shape.npes +
						   from];

				for (i = 0; i < range.count; i++) {
					uint64_t row =
						(uint64_t)local *
							ep_rows_max(&m->shape) +
						range.begin + i;

					for (c = 0; c < m->shape.hidden; c++)
						at->y[row * (uint64_t)m->shape
								      .hidden +
						      (uint64_t)c] =
							answer(&m->pes[from], m,
							       at->sources[row],
							       c,
							       here * m->layout.local_experts +
								       local);
				}
			}
	}
}

static void check_token(const struct model *m, const struct pe_data *pe,
			uint32_t token)
{
	int c, k;

	for (c = 0; c < m->shape.hidden; c++) {
		float sum = 0;

		for (k = 0; k < m->shape.topk; k++) {
			int at = (int)token * m->shape.topk + k;
			int expert = pe->experts[at];

			if (expert < 0 ||
			    expert / m->layout.local_experts == m->absent)
				continue;
			sum += pe->weights[at] *
			       t_from_bf16(answer(pe, m, token, c, expert));
		}
		assert_int_equal(pe->out[(int)token * m->shape.hidden + c],
				 t_to_bf16(sum));
	}
}

static void check_combine(const struct model *m)
{
	uint32_t token;
	int i, peer;

	for (i = 0; i < m->shape.npes; i++) {
		const struct pe_data *pe = &m->pes[i];

		if (i == m->absent)
			continue;
		assert_int_equal(pe->code, 0);
		for (peer = 0; peer < m->shape.npes; peer++)
			assert_int_equal(pe->dead[peer], peer == m->absent);
		for (token = 0; token < pe->tokens; token++)
			check_token(m, pe, token);
	}
}

/* ---------------------------------------------------------------- the tests */

static void one_round(struct model *m, uint64_t round)
{
	fill_args(m, round);
	run(m, &ep_dispatch);
	check_dispatch(m);
	work(m);
	run(m, &ep_combine);
	check_combine(m);
}

static void test_rounds_agree_with_the_model(void **state)
{
	uint64_t first = t_gpu_first_seed(), count = t_gpu_seeds(24), seed;
	uint64_t round;
	struct model m;

	(void)state;
	for (seed = first; seed < first + count; seed++) {
		printf("seed %llu\n", (unsigned long long)seed);
		start(&m, seed);
		for (round = 0; round < ROUNDS; round++)
			one_round(&m, round);
		stop(&m);
	}
}

static void test_a_dead_pe_is_masked_and_the_rest_goes_on(void **state)
{
	uint64_t first = t_gpu_first_seed(), count = t_gpu_seeds(8), seed;
	uint64_t round;
	struct model m;

	(void)state;
	for (seed = first; seed < first + count; seed++) {
		printf("seed %llu\n", (unsigned long long)seed);
		start(&m, seed);
		m.absent = (int)(seed % (uint64_t)m.shape.npes);
		for (round = 0; round < ROUNDS && m.shape.npes > 1; round++)
			one_round(&m, round);
		stop(&m);
	}
}

/* Its memory key is wrong: the queue pair breaks at the first message. */
static void test_a_broken_queue_pair_is_a_dead_pe(void **state)
{
	struct gda_dev_peer peers[PES_MAX];
	struct model m;
	uint64_t seed = 0;
	uint32_t i;

	(void)state;
	do {
		start(&m, ++seed);
		if (m.shape.npes != 2)
			stop(&m);
	} while (m.shape.npes != 2);
	fill_args(&m, 0);
	memcpy(peers, m.args[0].dev.peers, 2 * sizeof(peers[0]));
	peers[1].rkey ^= 0xabcd00;
	m.args[0].dev.peers = peers;
	m.split = false;
	run(&m, &ep_dispatch);
	assert_int_equal(m.pes[1].dead[0], 1); /* heard nothing */
	run(&m, &ep_combine);
	assert_int_equal(m.pes[0].dead[1], 1);
	assert_int_equal(m.pes[0].dead[0], 0);
	for (i = 0; i < 2; i++)
		assert_int_equal(m.pes[i].code, 0);
	stop(&m);
}

static void test_too_many_tokens_are_an_error(void **state)
{
	struct model m;
	int i;

	(void)state;
	start(&m, 3);
	fill_args(&m, 0);
	for (i = 0; i < m.shape.npes; i++)
		m.args[i].tokens = (uint32_t)m.shape.max_tokens + 1;
	run(&m, &ep_dispatch);
	for (i = 0; i < m.shape.npes; i++)
		assert_int_equal(m.pes[i].code, GDA_DEV_EINVAL);
	stop(&m);
}

static void test_impossible_shapes_are_refused(void **state)
{
	const struct ep_shape good = {2, 4, 2, 128, 8, 1};
	struct ep_layout layout;
	struct ep_shape bad;
	int i;

	(void)state;
	assert_int_equal(ep_layout(&good, &layout), 0);
	assert_int_equal(layout.message_bytes, 16 + 128 + 16);
	for (i = 0; i < 6; i++) {
		bad = good;
		if (i < 5)
			((int32_t *)&bad)[i] = 0;
		else
			bad.experts = 5;
		assert_int_equal(ep_layout(&bad, &layout), -EINVAL);
	}
	bad = good;
	bad.topk = EP_TOPK_MAX + 1;
	assert_int_equal(ep_layout(&bad, &layout), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rounds_agree_with_the_model),
		cmocka_unit_test(test_a_dead_pe_is_masked_and_the_rest_goes_on),
		cmocka_unit_test(test_a_broken_queue_pair_is_a_dead_pe),
		cmocka_unit_test(test_too_many_tokens_are_an_error),
		cmocka_unit_test(test_impossible_shapes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
