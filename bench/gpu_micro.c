/* SPDX-License-Identifier: MIT */
/*
 * Microbenchmarks of the device API, in the manner of NVSHMEM's perftest:
 * latency, ping-pong, and rate and bandwidth of every operation at thread,
 * warp and block scope and with one operation for each lane.
 *
 *	gpu_micro [--bytes 8] [--rounds 100] [--qps 1] [--blocks 1]
 *	          [--threads 32] [--batch 1] [--depth 1024] [--seed 0]
 *
 * Two PEs in this process. On a GPU times are real; on the SIMT runner they
 * are the rounds that waits took, of no meaning beside a real one.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	static const struct option names[] = {
		{"bytes", 1, NULL, 0},	 {"rounds", 1, NULL, 1},
		{"qps", 1, NULL, 2},	 {"blocks", 1, NULL, 3},
		{"threads", 1, NULL, 4}, {"batch", 1, NULL, 5},
		{"depth", 1, NULL, 6},	 {"seed", 1, NULL, 7},
		{NULL, 0, NULL, 0},
	};
	uint32_t *const fields[] = {&o->bytes,	&o->rounds,  &o->qps,
				    &o->blocks, &o->threads, &o->batch,
				    &o->depth,	&o->seed};
	int i;

	while ((i = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (i < 0 || i > 7)
			return 1;
		*fields[i] = (uint32_t)strtoul(optarg, NULL, 0);
	}
	return optind != argc || !o->bytes || !o->rounds || !o->blocks ||
	       !o->threads || o->threads % 32;
}

static void fill(struct pes *pes, const struct options *o,
		 struct micro_args args[2], struct micro_result *results)
{
	uint64_t threads = (uint64_t)o->blocks * o->threads;
	int pe;

	memset(args, 0, 2 * sizeof(*args));
	for (pe = 0; pe < 2; pe++) {
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

static int run(struct pes *pes, const struct gpu_kernel *kernel,
	       const struct gpu_shape *shape, struct micro_args args[2])
{
	struct micro_result *result = args[0].result;
	const uint64_t zero = 0;

	memset(result, 0, 2 * sizeof(*result));
	if (gpu_copy(pes->gpu, args[0].words, &zero, sizeof(zero)) ||
	    gpu_copy(pes->gpu, args[1].words, &zero, sizeof(zero)) ||
	    pes_run(pes, kernel, shape, args))
		return 1;
	if (result->code)
		fprintf(stderr, "%s: %s\n", kernel->name,
			gda_strerror(result->code));
	return result->code != 0;
}

static int measure(struct pes *pes, const struct gpu_kernel *kernel,
		   const struct options *o, struct micro_args args[2])
{
	struct gpu_shape shape = {o->blocks, o->threads, 0, 0};
	const struct micro_result *result = args[0].result;
	double ns, done;

	if (kernel != &micro_rate)
		shape.blocks = 1;
	/* Once to warm up: the GPU's clock, caches, the NIC's thread. */
	args[0].rounds = args[1].rounds = o->rounds / 10 + 1;
	if (run(pes, kernel, &shape, args))
		return 1;
	args[0].rounds = args[1].rounds = o->rounds;
	if (run(pes, kernel, &shape, args))
		return 1;
	ns = (double)result->ns;
	done = (double)result->done;
	printf("%-16s %-10s %-7s %9.3f us an operation %9.3f M/s %9.3f GB/s\n",
	       kernel->name, ops[args[0].op], scopes[args[0].scope],
	       ns / done / 1e3, done / ns * 1e3, done * o->bytes / ns);
	return 0;
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

int main(int argc, char **argv)
{
	struct options o = {8, 100, 1, 1, 32, 1, 1024, 0};
	struct micro_result *results;
	struct micro_args args[2];
	struct gda_config config;
	struct pes pes;
	uint64_t threads;
	int rc = 1;

	if (parse(argc, argv, &o) || gda_config_load(&config)) {
		fprintf(stderr,
			"bad options: see the top of bench/gpu_micro.c "
			"%s\n",
			gda_last_error());
		return 2;
	}
	if (!getenv("GDA_BACKEND"))
		config.backend = "emu";
	config.shared = GDA_SHARED_GPU;
	config.qps_per_peer = o.qps;
	config.qp_depth = o.depth;
	config.batch = o.batch;
	threads = (uint64_t)o.blocks * o.threads;
	if (pes_open(&pes, 2, &config, threads * (8 + 2 * o.bytes), o.seed))
		return 1;
	results = gpu_alloc(pes.gpu, 2 * sizeof(*results));
	if (results) {
		printf("%s: %u bytes, %u blocks of %u threads, %u queue pairs, "
		       "batch %u%s\n",
		       gpu_name(pes.gpu), o.bytes, o.blocks, o.threads, o.qps,
		       o.batch,
		       gpu_is_runner(pes.gpu) ? "; times are virtual" : "");
		fill(&pes, &o, args, results);
		rc = measure_all(&pes, &o, args);
		gpu_free(pes.gpu, results);
	}
	pes_close(&pes);
	return rc;
}
