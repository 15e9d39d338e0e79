/* SPDX-License-Identifier: MIT */
/*
 * kernels/embedding.cu on the SIMT runner: random tables and bags, compared
 * with a loop; the cache; the signal to the host, which launches the next
 * stage on it; and what goes wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/embedding.h"
#include "stack/dev/order.h"
#include "support/t_gpu.h"
#include "support/t_rng.h"

enum {
	PES_MAX = 3,
	ROWS = 301,
	DIMS_MAX = 70,
	BAGS = 9,
	BAG_MAX = 80,
	BATCHES = 3,
	CACHE = 16,
	BLOCKS = 2,
	THREADS = 64,
};

/* The same offsets on every PE. */
struct board {
	float table[(ROWS + 1) * DIMS_MAX];
	float staging[BLOCKS * THREADS * DIMS_MAX];
};

struct pe_data {
	uint64_t first[BATCHES][BAGS + 1];
	uint64_t numbers[BATCHES][BAGS * BAG_MAX];
	float pooled[BATCHES][BAGS * DIMS_MAX];
	float scores[BATCHES][BAGS];
	uint64_t tags[CACHE], candidates[CACHE];
	float rows[CACHE * DIMS_MAX];
	struct embedding_counts counts;
	uint32_t blocks_done;
	uint64_t ready;
	int32_t code;
};

struct serving {
	struct t_gpu t;
	struct t_rng rng;
	struct pe_data *pes; /* [npes] */
	float weights[DIMS_MAX];
	int npes;
	uint32_t dims, cache;
};

/* Halves of small numbers: every sum is exact. */
static float value_of(uint64_t row, uint32_t channel)
{
	return (float)((row * 37 + channel * 11) % 512) / 2;
}

static void fill_tables(struct serving *s)
{
	uint64_t row;
	uint32_t c;

	for (row = 0; row < ROWS; row++) {
		struct board *board = s->t.pes[row % (uint64_t)s->npes].arg;

		for (c = 0; c < s->dims; c++)
			board->table[row / (uint64_t)s->npes * s->dims + c] =
				value_of(row, c);
	}
	for (c = 0; c < s->dims; c++)
		s->weights[c] = (float)(c % 3);
}

/* A few rows are asked for often. */
static void fill_bags(struct serving *s)
{
	int pe, batch, bag;
	uint32_t i, len;

	for (pe = 0; pe < s->npes; pe++)
		for (batch = 0; batch < BATCHES; batch++) {
			struct pe_data *data = &s->pes[pe];
			uint64_t at = 0;

			for (bag = 0; bag < BAGS; bag++) {
				data->first[batch][bag] = at;
				len = t_below(&s->rng, BAG_MAX + 1);
				for (i = 0; i < len; i++)
					data->numbers[batch][at++] = t_below(
						&s->rng, t_chance(&s->rng, 500)
								 ? 10
								 : ROWS);
			}
			data->first[batch][BAGS] = at;
		}
}

static void start(struct serving *s, uint64_t seed)
{
	const uint32_t dims[] = {64, 5, 70, 32};
	struct gda_config config;

	memset(s, 0, sizeof(*s));
	s->rng.state = seed;
	s->t.seed = seed;
	s->npes = 1 + (int)(seed % PES_MAX);
	s->dims = dims[seed % 4];
	s->cache = seed % 5 ? CACHE : 0;
	t_config(&config);
	config.shared = seed % 2 ? GDA_SHARED_GPU : GDA_SHARED_NO;
	/* A lane for each warp, if they cannot share. */
	config.qps_per_peer = seed % 2 ? 1 : BLOCKS * THREADS / 32;
	config.qp_depth = seed % 3 ? 64 : 8;
	config.batch = seed % 4 ? 1 : 4;
	config.op_timeout_ms = 1000;
	s->pes = calloc((size_t)s->npes, sizeof(*s->pes));
	assert_int_equal(
		t_gpu_start(&s->t, &config, s->npes, sizeof(struct board)), 0);
	fill_tables(s);
	fill_bags(s);
}

static void stop(struct serving *s)
{
	assert_int_equal(t_gpu_stop(&s->t), 0);
	free(s->pes);
}

static struct embedding_args args_of(const struct serving *s, int pe, int batch)
{
	struct board *board = s->t.pes[pe].arg;
	struct pe_data *data = &s->pes[pe];
	struct embedding_args args = {
		.dev = *s->t.pes[pe].dev,
		.table = board->table,
		.staging = board->staging,
		.first = data->first[batch],
		.numbers = data->numbers[batch],
		.pooled = data->pooled[batch],
		.cache = {data->tags, data->candidates, data->rows, s->cache,
			  0},
		.counts = &data->counts,
		.blocks_done = &data->blocks_done,
		.ready = &data->ready,
		.batch = (uint64_t)batch + 1,
		.rows = ROWS,
		.dims = s->dims,
		.bags = BAGS,
		.code = &data->code,
	};

	return args;
}

static void launch_batch(struct serving *s, int pe, int batch)
{
	struct embedding_args args = args_of(s, pe, batch);
	struct gpu_shape shape = {BLOCKS, THREADS, 0, (uint32_t)pe};

	assert_int_equal(gpu_launch(s->t.gpu, &embedding_lookup, &shape, &args),
			 0);
}

static void launch_score(struct serving *s, int pe, int batch)
{
	struct pe_data *data = &s->pes[pe];
	struct embedding_score_args args = {data->pooled[batch], s->weights,
					    data->scores[batch], s->dims, BAGS};
	struct gpu_shape shape = {1, THREADS, 0, (uint32_t)(PES_MAX + pe)};

	assert_int_equal(gpu_launch(s->t.gpu, &embedding_score, &shape, &args),
			 0);
}

static void check(const struct serving *s)
{
	int pe, batch, bag;
	uint32_t c;
	uint64_t i;

	for (pe = 0; pe < s->npes; pe++)
		for (batch = 0; batch < BATCHES; batch++)
			for (bag = 0; bag < BAGS; bag++) {
				const struct pe_data *data = &s->pes[pe];
				float score = 0;

				for (c = 0; c < s->dims; c++) {
					float sum = 0;

					for (i = data->first[batch][bag];
					     i < data->first[batch][bag + 1];
					     i++)
						sum += value_of(
							data->numbers[batch][i],
							c);
					assert_true(
						data->pooled[batch]
							    [(uint32_t)bag *
								     s->dims +
							     c] == sum);
					score += sum * s->weights[c];
				}
				assert_true(data->scores[batch][bag] == score);
			}
}

/* The server: as soon as a batch is pooled, the next stage is launched. */
static void serve(struct serving *s)
{
	int scored[PES_MAX] = {0};
	int pe, batch, left = s->npes * BATCHES, rc;

	for (batch = 0; batch < BATCHES; batch++)
		for (pe = 0; pe < s->npes; pe++)
			launch_batch(s, pe, batch);
	while (left) {
		rc = gpu_run(s->t.gpu);
		if (rc < 0)
			fail_msg("%s", gpu_error(s->t.gpu));
		for (pe = 0; pe < s->npes; pe++)
			while ((uint64_t)scored[pe] <
			       gda_order_load_signal_64(&s->pes[pe].ready)) {
				launch_score(s, pe, scored[pe]++);
				left--;
			}
	}
	assert_int_equal(gpu_wait(s->t.gpu, GPU_STREAMS), 0);
}

static void test_bags_are_summed_up_and_scored(void **state)
{
	uint64_t first = t_gpu_first_seed(), count = t_gpu_seeds(24), seed;
	struct serving s;
	int pe;

	(void)state;
	for (seed = first; seed < first + count; seed++) {
		printf("seed %llu\n", (unsigned long long)seed);
		start(&s, seed);
		serve(&s);
		check(&s);
		for (pe = 0; pe < s.npes; pe++) {
			const struct embedding_counts *c = &s.pes[pe].counts;
			uint64_t rows = 0;
			int batch;

			for (batch = 0; batch < BATCHES; batch++)
				rows += s.pes[pe].first[batch][BAGS];
			assert_int_equal(s.pes[pe].code, 0);
			assert_int_equal(c->local + c->hit + c->missed, rows);
			if (s.npes == 1)
				assert_int_equal(c->local, rows);
			else if (s.cache)
				assert_true(c->hit > 0);
			else
				assert_int_equal(c->hit, 0);
		}
		stop(&s);
	}
}

static void test_a_row_that_does_not_exist_is_left_out(void **state)
{
	struct serving s;

	(void)state;
	start(&s, 1);
	s.pes[0].first[0][1] = 2;
	s.pes[0].numbers[0][0] = ROWS;
	s.pes[0].numbers[0][1] = 4;
	launch_batch(&s, 0, 0);
	assert_int_equal(gpu_wait(s.t.gpu, GPU_STREAMS), 0);
	assert_int_equal(s.pes[0].code, GDA_DEV_EINVAL);
	assert_int_equal(s.pes[0].ready, 1);
	assert_true(s.pes[0].pooled[0][1] == value_of(4, 1));
	stop(&s);
}

static void test_a_broken_queue_pair_ends_the_batch(void **state)
{
	struct gpu_shape shape = {BLOCKS, THREADS, 0, 0};
	struct gda_dev_peer peers[PES_MAX];
	struct embedding_args args;
	struct serving s;

	(void)state;
	start(&s, 1);
	assert_int_equal(s.npes, 2);
	args = args_of(&s, 0, 0);
	memcpy(peers, args.dev.peers, 2 * sizeof(peers[0]));
	peers[1].rkey ^= 0xabcd00;
	args.dev.peers = peers;
	assert_int_equal(gpu_launch(s.t.gpu, &embedding_lookup, &shape, &args),
			 0);
	assert_int_equal(gpu_wait(s.t.gpu, GPU_STREAMS), 0);
	assert_int_equal(s.pes[0].code, GDA_DEV_EIO);
	assert_int_equal(s.pes[0].ready, 1);
	stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bags_are_summed_up_and_scored),
		cmocka_unit_test(test_a_row_that_does_not_exist_is_left_out),
		cmocka_unit_test(test_a_broken_queue_pair_ends_the_batch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
