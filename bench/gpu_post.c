/* SPDX-License-Identifier: MIT */
/*
 * What posting one WQE costs the threads that post it, in cycles of the SM's
 * clock: every operation at thread, warp and block scope and with one for each
 * lane, for every sharing of the queue pair, with and without batching. Beside
 * each the floor: stores of a WQE, record and register, and the fences between
 * them, by a loop that does nothing else.
 *
 *	gpu_post [--bytes 8] [--calls 64] [--runs 64] [--depth 1024] [--seed 0]
 *
 * A run is calls calls and a flush, into a queue with room for all of them;
 * then it is left to become empty. Printed are the median and the least of all
 * runs, divided by the WQEs. GDA_QUEUE_PLACE and GDA_HEAP_PLACE say where
 * memory lies. On the SIMT runner there are no cycles: 0, or virtual time.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/pes.h"
#include "kernels/post.h"
#include "stack/dev/order.h"

enum { RUNS_MAX = 1024, FLOOR_DEPTH = 1024, LANES = 32, ECHOES = 2000 };

static const char *const scopes[] = {"thread", "warp", "block", "each"};
static const uint32_t threads[] = {1, LANES, 128, LANES};
static const char *const sharings[] = {"none", "gpu", "block"};
static const char *const places[] = {"host", "gpu"};
static const char *const fences[] = {"two-sys", "two-gpu", "one-sys", "none"};
/* The stack's, and that of a put with its signal. */
enum { BATCHES = 2, PAIRS = 2, FLOOR_BATCHES };
static const uint32_t batches[] = {1, 16, 2};

#define KERNELS(op)                                                            \
	{                                                                      \
		&post_##op##_thread, &post_##op##_warp, &post_##op##_block,    \
			&post_##op##_each                                      \
	}
static const struct op {
	const char *name;
	uint32_t wqes; /* of one operation */
	const struct gpu_kernel *kernels[POST_SCOPES];
} ops[] = {
	{"put", 1, KERNELS(put)},
	{"p", 1, KERNELS(p)},
	{"atomic", 1, KERNELS(atomic)},
	{"put_signal", 2, KERNELS(put_signal)},
};

struct options {
	uint32_t bytes, calls, runs, depth, seed;
};

/* Cycles a WQE. */
struct cost {
	double median, least;
};

/* By place, batch, and whether a thread or each lane of a warp posts. */
static struct cost floors[2][FLOOR_BATCHES][2][POST_FENCES];

static int parse(int argc, char **argv, struct options *o)
{
	static const struct option names[] = {
		{"bytes", 1, NULL, 0}, {"calls", 1, NULL, 1},
		{"runs", 1, NULL, 2},  {"depth", 1, NULL, 3},
		{"seed", 1, NULL, 4},  {NULL, 0, NULL, 0},
	};
	uint32_t *const fields[] = {&o->bytes, &o->calls, &o->runs, &o->depth,
				    &o->seed};
	int i;

	while ((i = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (i < 0 || i > 4)
			return 1;
		*fields[i] = (uint32_t)strtoul(optarg, NULL, 0);
	}
	/* Room for what is posted in a run, and for each lane's operation. */
	return optind != argc || !o->bytes || !o->calls || !o->runs ||
	       o->runs > RUNS_MAX || o->depth < 4 * LANES ||
	       o->calls > o->depth / 4;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Sorts cycles. */
static struct cost cost_of(uint64_t *cycles, uint32_t runs, uint32_t wqes)
{
	uint32_t middle = runs / 2;
	struct cost cost;

	qsort(cycles, runs, sizeof(*cycles), compare);
	cost.median = (double)cycles[middle] / wqes;
	cost.least = (double)cycles[0] / wqes;
	return cost;
}

/* One launch on stream 0, to its end. */
static int run_one(struct gpu *gpu, const struct gpu_kernel *kernel,
		   uint32_t count, const void *args)
{
	struct gpu_shape shape = {1, count, 0, 0};

	if (!gpu_launch(gpu, kernel, &shape, args) && !gpu_wait(gpu, 0))
		return 0;
	fprintf(stderr, "%s: %s\n", kernel->name, gpu_error(gpu));
	return 1;
}

/* -------------------------------------------------------------- the floor */

static int measure_floor(struct gpu *gpu, const struct options *o,
			 struct post_floor_args *args, struct cost *cost,
			 int lanes)
{
	uint32_t count = lanes ? LANES : 1;

	args->calls = lanes ? FLOOR_DEPTH / 2 / LANES : o->calls;
	args->runs = o->runs;
	args->depth = FLOOR_DEPTH;
	if (run_one(gpu, &post_floor, count, args))
		return 1;
	*cost = cost_of(args->cycles, o->runs, args->calls * count);
	return 0;
}

/* With the ring and the record in one place. */
static int measure_floors_in(struct gpu *gpu, const struct options *o,
			     struct post_floor_args *args, int place)
{
	int batch, lanes, fence, rc = 0;

	for (batch = 0; batch < FLOOR_BATCHES; batch++)
		for (lanes = 0; lanes < 2; lanes++)
			for (fence = 0; !rc && fence < POST_FENCES; fence++) {
				struct cost *cost =
					&floors[place][batch][lanes][fence];

				/* A warp's WQEs are a batch by themselves. */
				args->batch = lanes ? 1 : batches[batch];
				args->fences = (uint32_t)fence;
				rc = measure_floor(gpu, o, args, cost, lanes);
				if (rc || (lanes && batch))
					continue;
				printf("floor %-6s batch=%u queue=%s "
				       "fences=%s: %.0f cycles (min %.0f)\n",
				       lanes ? "each" : "thread", args->batch,
				       places[place], fences[fence],
				       cost->median, cost->least);
			}
	return rc;
}

static int measure_floors(struct gpu *gpu, const struct options *o)
{
	size_t ring = FLOOR_DEPTH * 64, bytes = ring + 64;
	uint8_t *memory[2] = {gpu_alloc(gpu, bytes),
			      gpu_alloc_device(gpu, bytes)};
	uint64_t *words = gpu_alloc(gpu, (RUNS_MAX + 8) * sizeof(uint64_t));
	struct post_floor_args args;
	int place, rc = !memory[0] || !memory[1] || !words;

	for (place = 0; !rc && place < 2; place++) {
		memset(&args, 0, sizeof(args));
		args.ring = memory[place];
		args.record = (be32 *)(void *)(memory[place] + ring);
		args.reg = words;
		args.cycles = words + 8;
		rc = measure_floors_in(gpu, o, &args, place);
	}
	gpu_free(gpu, words);
	gpu_free_device(gpu, memory[1]);
	gpu_free(gpu, memory[0]);
	return rc;
}

/* This thread is the NIC that sees the register, until the last round. */
static void answer(struct gpu *gpu, const struct post_echo_args *args)
{
	uint64_t asked, seen = 0, looks = 0;

	while (seen < args->rounds) {
		asked = gda_order_load_signal_64(args->ask);
		if (asked != seen)
			gda_order_store_for_host(args->answer, asked);
		seen = asked;
		/* A kernel that died or gave up asks no more. */
		if (++looks % (1 << 24) == 0 && gpu_run(gpu) < 0)
			return;
		if (looks >> 31)
			return;
	}
}

static int measure_echo(struct gpu *gpu)
{
	uint64_t *words = gpu_alloc(gpu, 64 * sizeof(uint64_t));
	struct gpu_shape shape = {1, 1, 0, 0};
	struct post_echo_args args;
	int rc = 1;

	if (!words)
		return 1;
	/* A cache line each. */
	args.ask = words;
	args.answer = words + 16;
	args.ns = words + 32;
	args.code = (int32_t *)(void *)(words + 48);
	args.rounds = ECHOES;
	if (!gpu_launch(gpu, &post_echo, &shape, &args)) {
		answer(gpu, &args);
		rc = gpu_wait(gpu, 0);
	}
	if (!rc && !*args.code)
		printf("echo register to a CPU thread and back: %.0f ns\n",
		       (double)*args.ns / ECHOES);
	else
		fprintf(stderr, "echo: %s\n",
			rc ? gpu_error(gpu) : gda_strerror(*args.code));
	rc = rc || *args.code;
	gpu_free(gpu, words);
	return rc;
}

/* What no stack has a part in. */
static int measure_bare(const struct options *o)
{
	struct gpu_config config = {.seed = o->seed};
	struct gpu *gpu;
	int rc;

	if (gpu_open(&config, &gpu)) {
		fprintf(stderr, "no GPU\n");
		return 1;
	}
	printf("%s: %u bytes, runs of %u calls, depth %u%s\n", gpu_name(gpu),
	       o->bytes, o->calls, o->depth,
	       gpu_is_runner(gpu) ? "; no cycles here, the numbers are of no "
				    "meaning"
				  : "");
	rc = measure_floors(gpu, o);
	if (!rc && !gpu_is_runner(gpu))
		rc = measure_echo(gpu);
	gpu_close(gpu);
	return rc;
}

/* -------------------------------------------------------------- the stack */

struct setup {
	const struct options *o;
	struct gda_config config;
	struct pes pes;
	uint64_t *results; /* cycles of the runs, then the code */
	int batch;	   /* of batches */
};

/* The floor with the fences that this placement needs, and as many WQEs for
 * each doorbell. */
static struct cost floor_of(const struct setup *s, const struct op *op,
			    int scope)
{
	int batch = s->batch == 0 && op->wqes == 2 ? PAIRS : s->batch;
	int in_gpu = s->config.queue_place == GDA_PLACE_GPU;
	int fence = in_gpu && s->config.heap_place == GDA_PLACE_GPU
			    ? POST_TWO_GPU
			    : POST_TWO_SYS;

	return floors[in_gpu][batch][scope == POST_EACH][fence];
}

static void report(const struct setup *s, const struct op *op, int scope,
		   const struct cost *cost)
{
	struct cost bare = floor_of(s, op, scope);

	printf("post %-10s %-6s shared=%-5s batch=%-2u queue=%s heap=%s: "
	       "%.0f cycles (min %.0f), floor %.0f\n",
	       op->name, scopes[scope], sharings[s->config.shared],
	       s->config.batch, places[s->config.queue_place],
	       places[s->config.heap_place], cost->median, cost->least,
	       bare.median);
}

static int measure(struct setup *s, const struct op *op, int scope)
{
	uint32_t lanes = scope == POST_EACH ? LANES : 1;
	uint32_t wqes = lanes * op->wqes;
	uint32_t calls = s->o->depth / 2 / wqes;
	uint8_t *arena = s->pes.arena[0];
	struct post_args args;
	struct cost cost;

	memset(&args, 0, sizeof(args));
	args.dev = *gda_device(s->pes.gda[0]);
	args.words = (uint64_t *)(void *)arena;
	args.dest = arena + (size_t)LANES * 8;
	args.source = args.dest + (size_t)LANES * s->o->bytes;
	args.cycles = s->results;
	args.code = (int32_t *)(void *)(s->results + RUNS_MAX);
	args.bytes = s->o->bytes;
	args.calls = calls < s->o->calls ? calls : s->o->calls;
	args.runs = s->o->runs;
	args.peer = 1;
	if (run_one(s->pes.gpu, op->kernels[scope], threads[scope], &args))
		return 1;
	if (*args.code) {
		fprintf(stderr, "%s: %s\n", op->kernels[scope]->name,
			gda_strerror(*args.code));
		return 1;
	}
	cost = cost_of(s->results, s->o->runs, args.calls * wqes);
	report(s, op, scope, &cost);
	return 0;
}

/* Two PEs, of which the second only looks on. */
static int measure_setup(struct setup *s)
{
	uint64_t arena_bytes = LANES * (8 + 2 * (uint64_t)s->o->bytes);
	unsigned op;
	int scope, rc = 0;

	if (pes_open(&s->pes, 2, &s->config, arena_bytes, s->o->seed))
		return 1;
	s->results = gpu_alloc(s->pes.gpu, (RUNS_MAX + 1) * sizeof(uint64_t));
	rc = !s->results;
	for (op = 0; op < sizeof(ops) / sizeof(*ops); op++)
		for (scope = 0; !rc && scope < POST_SCOPES; scope++)
			rc = measure(s, &ops[op], scope);
	gpu_free(s->pes.gpu, s->results);
	pes_close(&s->pes);
	return rc;
}

int main(int argc, char **argv)
{
	static const enum gda_sharing order[] = {
		GDA_SHARED_NO, GDA_SHARED_BLOCK, GDA_SHARED_GPU};
	struct options o = {8, 64, 64, 1024, 0};
	struct setup s = {.o = &o};
	int sharing, rc;

	if (parse(argc, argv, &o) || gda_config_load(&s.config)) {
		fprintf(stderr,
			"bad options: see the top of bench/gpu_post.c "
			"%s\n",
			gda_last_error());
		return 2;
	}
	if (!getenv("GDA_BACKEND"))
		s.config.backend = "emu";
	s.config.qps_per_peer = 1;
	s.config.qp_depth = o.depth;
	rc = measure_bare(&o);
	for (sharing = 0; sharing < 3; sharing++)
		for (s.batch = 0; !rc && s.batch < BATCHES; s.batch++) {
			s.config.shared = order[sharing];
			s.config.batch = batches[s.batch];
			rc = measure_setup(&s);
		}
	return rc;
}
