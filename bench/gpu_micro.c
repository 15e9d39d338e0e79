/* SPDX-License-Identifier: MIT */
/*
 * Microbenchmarks of the device API, in the manner of NVSHMEM's perftest:
 * latency, ping-pong, and rate and bandwidth of every operation at thread,
 * warp and block scope and with one operation for each lane.
 *
 *	gpu_micro [--bytes 8] [--rounds 100] [--qps 1] [--blocks 1]
 *	          [--threads 32] [--batch 1] [--depth 1024] [--seed 0]
 *
 * Two PEs, in this process or, if a launcher says so, in two. On a GPU times
 * are real; on the SIMT runner they are the rounds that waits took, of no
 * meaning beside a real one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/options.h"
#include "bench/pes.h"
#include "kernels/micro.h"

static const char *const ops[] = {"put", "get",	   "p",
				  "g",	 "atomic", "put_signal"};
static const char *const scopes[] = {"thread", "warp", "block", "each"};

struct options {
	uint32_t bytes, rounds, qps, blocks, threads, batch, depth, seed;
};

static int parse(int argc, char **argv, struct options *o)
{
	const struct option_number list[] = {
		{"bytes", &o->bytes, 1, 1 << 24, 0},
		{"rounds", &o->rounds, 1, 100000000, 0},
		{"qps", &o->qps, 1, 256, 0},
		{"blocks", &o->blocks, 1, 1024, 0},
		{"threads", &o->threads, 32, 1024, 32},
		{"batch", &o->batch, 1, 1 << 20, 0},
		{"depth", &o->depth, 4, 1 << 20, 0},
		{"seed", &o->seed, 0, UINT32_MAX, 0},
		{NULL, NULL, 0, 0, 0},
	};

	return options_parse(argc, argv, list);
}

static int is_here(const struct pes *pes, int pe)
{
	return pe >= pes->first && pe < pes->first + pes->count;
}

static void fill(struct pes *pes, const struct options *o,
		 struct micro_args args[2], struct micro_result *results)
{
	uint64_t threads = (uint64_t)o->blocks * o->threads;
	int pe;

	memset(args, 0, 2 * sizeof(*args));
	for (pe = pes->first; pe < pes->first + pes->count; pe++) {
		uint8_t *arena = pes->arena[pe];

		args[pe].dev = *gda_device(pes->gda[pe]);
		args[pe].words = (uint64_t *)(void *)arena;
		args[pe].dest = arena + threads * 8;
		args[pe].source = arena + threads * (8 + o->bytes);
		args[pe].result = results + pe;
		args[pe].bytes = o->bytes;
		args[pe].rounds = o->rounds;
		args[pe].peer = 1 - pe;
		args[pe].is_idle = pe;
	}
}

/* Between two measurements nobody may use what this sets. */
static int reset(struct pes *pes, struct micro_args args[2])
{
	const struct micro_result none = {0, 0, 0, 0};
	const uint64_t zero = 0;
	int pe, rc = pes_barrier(pes);

	for (pe = pes->first; !rc && pe < pes->first + pes->count; pe++)
		rc = gpu_copy(pes->gpu, args[pe].words, &zero, sizeof(zero)) ||
		     gpu_copy(pes->gpu, args[pe].result, &none, sizeof(none));
	return rc || pes_barrier(pes);
}

/* Has it all happened? */
static int check(struct pes *pes, const struct gpu_kernel *kernel,
		 const struct micro_args *args)
{
	struct micro_result result;

	if (gpu_copy(pes->gpu, &result, args->result, sizeof(result)))
		return 1;
	if (result.code)
		fprintf(stderr, "%s: %s\n", kernel->name,
			gda_strerror(result.code));
	if (result.wrong)
		fprintf(stderr, "%s: PE %d saw %u signals before their data\n",
			kernel->name, args->dev.pe, result.wrong);
	return result.code || result.wrong;
}

/* That of PE 0; its process prints it. */
static int report(struct pes *pes, const struct gpu_kernel *kernel,
		  const struct options *o, const struct micro_args *args)
{
	struct micro_result result;
	double ns, done;

	if (!is_here(pes, 0))
		return 0;
	if (gpu_copy(pes->gpu, &result, args->result, sizeof(result)))
		return 1;
	ns = (double)result.ns;
	done = (double)result.done;
	printf("%-16s %-10s %-7s %9.3f us an operation %9.3f M/s %9.3f GB/s\n",
	       kernel->name, ops[args->op], scopes[args->scope],
	       ns / done / 1e3, done / ns * 1e3, done * o->bytes / ns);
	return 0;
}

static int measure(struct pes *pes, const struct gpu_kernel *kernel,
		   const struct options *o, struct micro_args args[2])
{
	struct gpu_shape shape = {o->blocks, o->threads, 0, 0};
	int pe, rc = 0;

	if (kernel != &micro_rate)
		shape.blocks = 1;
	/* Once to warm up: the GPU's clock, caches, the NIC's thread. */
	args[0].rounds = args[1].rounds = o->rounds / 10 + 1;
	if (reset(pes, args) || pes_run(pes, kernel, &shape, args))
		return 1;
	args[0].rounds = args[1].rounds = o->rounds;
	if (reset(pes, args) || pes_run(pes, kernel, &shape, args))
		return 1;
	for (pe = pes->first; !rc && pe < pes->first + pes->count; pe++)
		rc = check(pes, kernel, &args[pe]);
	return rc ? rc : report(pes, kernel, o, &args[0]);
}

static int measure_all(struct pes *pes, const struct options *o,
		       struct micro_args args[2])
{
	const struct gpu_kernel *const kernels[] = {&micro_latency, &micro_rate,
						    &micro_ping_pong};
	uint32_t k, op, scope;
	int rc = 0;

	for (k = 0; !rc && k < 3; k++)
		for (op = 0; !rc && op < MICRO_OPS; op++)
			for (scope = 0; !rc && scope < MICRO_SCOPES; scope++) {
				if (k != 1 && scope == MICRO_EACH)
					continue;
				if (k == 2 && op != MICRO_PUT_SIGNAL)
					continue;
				args[0].op = args[1].op = op;
				args[0].scope = args[1].scope = scope;
				rc = measure(pes, kernels[k], o, args);
			}
	return rc;
}

static void print_head(const struct pes *pes, const struct options *o)
{
	printf("%s: %u bytes, %u blocks of %u threads, %u queue pairs, "
	       "batch %u%s\n",
	       gpu_name(pes->gpu), o->bytes, o->blocks, o->threads, o->qps,
	       o->batch, gpu_is_runner(pes->gpu) ? "; times are virtual" : "");
}

int main(int argc, char **argv)
{
	struct options o = {8, 100, 1, 1, 32, 1, 1024, 0};
	struct micro_result *results;
	struct micro_args args[2];
	struct gda_config config;
	struct pes pes;
	uint64_t threads;
	int rc;

	if (gda_config_load(&config)) {
		fprintf(stderr, "%s\n", gda_last_error());
		return 2;
	}
	rc = parse(argc, argv, &o);
	if (rc)
		return rc;
	if (!getenv("GDA_BACKEND"))
		config.backend = "emu";
	config.shared = GDA_SHARED_GPU;
	config.qps_per_peer = o.qps;
	config.qp_depth = o.depth;
	config.batch = o.batch;
	threads = (uint64_t)o.blocks * o.threads;
	if (pes_open(&pes, 2, &config, threads * (8 + 2 * o.bytes), o.seed))
		return 1;
	results = gpu_alloc_device(pes.gpu, 2 * sizeof(*results));
	rc = !results;
	if (results && is_here(&pes, 0))
		print_head(&pes, &o);
	if (results) {
		fill(&pes, &o, args, results);
		rc = measure_all(&pes, &o, args);
		gpu_free_device(pes.gpu, results);
	}
	pes_close(&pes);
	return rc;
}
