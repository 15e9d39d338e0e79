/* SPDX-License-Identifier: MIT */
/*
 * Expert parallelism, measured and checked, in the manner of DeepEP's
 * low-latency test: rounds of dispatch and combine of random tokens.
 *
 *	gpu_ep [--pes 2, or those of the job] [--experts 8 for each PE]
 *	       [--hidden 7168] [--topk 8]
 *	       [--tokens 128] [--fp8 | --bf16] [--split] [--blocks 16]
 *	       [--threads 256] [--rounds 20] [--qps 4] [--seed 0]
 *
 * --split launches the send and the receive phase one by one, as a program
 * does that computes between them. Two rounds warm up; these and the last are
 * compared with a plain model, and the exit status is 1 if they differ.
 *
 * On a GPU all blocks of all its PEs have to run at the same time. On the SIMT
 * runner times mean nothing.
 *
 * Source of truth: DeepEP's tests/test_low_latency.py for what is measured.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/ep_pe.h"
#include "bench/options.h"
#include "bench/pes.h"

enum { WARM_UP = 2, EXPERTS_OF_PE = 8 };

struct options {
	uint32_t pes, experts, hidden, topk, tokens, is_fp8, is_split;
	uint32_t blocks, threads, rounds, qps, seed;
};

/* A launch, and what it took; sums over rounds. */
struct step {
	const char *name;
	const struct gpu_kernel *kernel;
	uint32_t phases;
	double us, best_us;
	double kernel_us; /* of the slowest PE */
};

static struct step whole[] = {
	{"dispatch", &ep_dispatch, EP_SEND | EP_RECEIVE, 0, 0, 0},
	{"combine", &ep_combine, EP_SEND | EP_RECEIVE, 0, 0, 0},
};
static struct step split[] = {
	{"dispatch, send", &ep_dispatch, EP_SEND, 0, 0, 0},
	{"dispatch, receive", &ep_dispatch, EP_RECEIVE, 0, 0, 0},
	{"combine, send", &ep_combine, EP_SEND, 0, 0, 0},
	{"combine, receive", &ep_combine, EP_RECEIVE, 0, 0, 0},
};

struct bench {
	struct options o;
	struct ep_layout layout;
	struct pes pes;
	struct ep_pe pe[PES_MAX];
	struct step *steps;
	uint32_t step_count;
	uint64_t messages; /* sent by all PEs here, in the measured rounds */
};

/* -------------------------------------------------------------- options --- */

static int parse(int argc, char **argv, struct options *o)
{
	const struct option_number list[] = {
		{"pes", &o->pes, 1, PES_MAX, 0},
		{"experts", &o->experts, 1, 4096, 0},
		{"hidden", &o->hidden, 1, 1 << 20, 0},
		{"topk", &o->topk, 1, EP_TOPK_MAX, 0},
		{"tokens", &o->tokens, 1, 1 << 16, 0},
		{"fp8", &o->is_fp8, 1, 1, 0},
		{"bf16", &o->is_fp8, 0, 0, 0},
		{"split", &o->is_split, 1, 1, 0},
		{"blocks", &o->blocks, 1, 1024, 0},
		{"threads", &o->threads, 32, 1024, 32},
		{"rounds", &o->rounds, 1, 1000000, 0},
		{"qps", &o->qps, 1, 256, 0},
		{"seed", &o->seed, 0, UINT32_MAX, 0},
		{NULL, NULL, 0, 0, 0},
	};

	return options_parse(argc, argv, list);
}

/* What depends on more than one option. */
static int lay_out(struct bench *b, const struct gda_config *config)
{
	struct options *o = &b->o;
	struct ep_shape shape;

	if (!o->pes)
		o->pes = pes_default(config, 2);
	if (!o->experts)
		o->experts = o->pes * EXPERTS_OF_PE;
	if (o->experts % o->pes) {
		fprintf(stderr,
			"--experts is %u, expected a multiple of "
			"--pes, %u\n",
			o->experts, o->pes);
		return 2;
	}
	if (o->topk > o->experts) {
		fprintf(stderr,
			"--topk is %u, expected at most --experts, "
			"%u\n",
			o->topk, o->experts);
		return 2;
	}
	shape.npes = (int32_t)o->pes;
	shape.experts = (int32_t)o->experts;
	shape.topk = (int32_t)o->topk;
	shape.hidden = (int32_t)o->hidden;
	shape.max_tokens = (int32_t)o->tokens;
	shape.is_fp8 = (int32_t)o->is_fp8;
	if (ep_layout(&shape, &b->layout)) {
		fprintf(stderr, "ep_layout refuses this shape\n");
		return 2;
	}
	b->steps = o->is_split ? split : whole;
	b->step_count = o->is_split ? 4 : 2;
	return 0;
}

/* ------------------------------------------------------------- measuring --- */

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec * 1e-3;
}

static int launch(struct bench *b, struct step *step)
{
	struct gpu_shape shape = {b->o.blocks, b->o.threads, 0, 0};
	struct ep_args args[PES_MAX];
	uint64_t ns, slowest = 0;
	double us;
	int i, rc;

	for (i = b->pes.first; i < b->pes.first + b->pes.count; i++) {
		args[i] = b->pe[i].args;
		args[i].phases = step->phases;
	}
	rc = pes_barrier(&b->pes);
	us = now_us();
	rc = rc || pes_run(&b->pes, step->kernel, &shape, args);
	us = now_us() - us;
	for (i = b->pes.first; !rc && i < b->pes.first + b->pes.count; i++) {
		rc = ep_pe_result(&b->pe[i], step->name, &ns);
		slowest = ns > slowest ? ns : slowest;
	}
	step->us += us;
	step->best_us =
		!step->best_us || us < step->best_us ? us : step->best_us;
	step->kernel_us += (double)slowest / 1e3;
	return rc;
}

static int for_all(struct bench *b, int (*call)(struct ep_pe *pe))
{
	int i, rc = 0;

	for (i = b->pes.first; !rc && i < b->pes.first + b->pes.count; i++)
		rc = call(&b->pe[i]);
	return rc;
}

static int run_round(struct bench *b, uint64_t round, int is_checked)
{
	uint32_t s;
	int i, rc = is_checked ? for_all(b, ep_pe_choose) : 0;

	for (i = b->pes.first; i < b->pes.first + b->pes.count; i++) {
		b->pe[i].args.round = round;
		b->messages += b->pe[i].messages;
	}
	for (s = 0; !rc && s < b->step_count; s++) {
		if (s == b->step_count / 2 && is_checked)
			rc = for_all(b, ep_pe_work);
		rc = rc || launch(b, &b->steps[s]);
	}
	if (!rc && is_checked)
		rc = for_all(b, ep_pe_check);
	return rc;
}

static int measure(struct bench *b)
{
	uint64_t round, rounds = WARM_UP + (uint64_t)b->o.rounds;
	uint32_t s;
	int rc = 0;

	for (round = 0; !rc && round < rounds; round++) {
		rc = run_round(b, round,
			       round < WARM_UP || round == rounds - 1);
		if (round != WARM_UP - 1)
			continue;
		b->messages = 0;
		for (s = 0; s < b->step_count; s++) {
			b->steps[s].us = b->steps[s].best_us = 0;
			b->steps[s].kernel_us = 0;
		}
	}
	return rc;
}

/* -------------------------------------------------------------- reports --- */

static void print_head(const struct bench *b)
{
	const struct options *o = &b->o;
	const struct pes *pes = &b->pes;

	printf("%s: PE %d to %d of %d, %u experts, hidden %u, top %u, "
	       "%u tokens, %s, %u blocks of %u threads, %u queue pairs%s\n",
	       gpu_name(pes->gpu), pes->first, pes->first + pes->count - 1,
	       pes->npes, o->experts, o->hidden, o->topk, o->tokens,
	       o->is_fp8 ? "fp8" : "bf16", o->blocks, o->threads, o->qps,
	       gpu_is_runner(pes->gpu) ? "; times mean nothing" : "");
}

/* The steps from first up to end; together they move bytes. */
static void print_kernel(const struct bench *b, uint32_t first,
			 uint64_t message_bytes)
{
	double rounds = b->o.rounds, us = 0;
	double bytes = (double)(b->messages * message_bytes) / rounds /
		       (double)b->pes.count;
	uint32_t s;

	for (s = first; s < first + b->step_count / 2; s++) {
		const struct step *step = &b->steps[s];

		printf("%-18s %10.1f us, best %10.1f, in the kernel %10.1f\n",
		       step->name, step->us / rounds, step->best_us,
		       step->kernel_us / rounds);
		us += step->us / rounds;
	}
	printf("%-18s %10.3f MB from each PE, %.3f GB/s\n", "", bytes / 1e6,
	       bytes / us / 1e3);
}

static void report(const struct bench *b)
{
	print_kernel(b, 0, b->layout.message_bytes);
	print_kernel(b, b->step_count / 2, (uint64_t)b->o.hidden * 2);
	printf("every token came back as expected\n");
}

/* ----------------------------------------------------------------- main --- */

static int open_pe(struct bench *b, int i)
{
	struct ep_args args;

	memset(&args, 0, sizeof(args));
	args.dev = *gda_device(b->pes.gda[i]);
	args.layout = b->layout;
	args.arena = b->pes.arena[i];
	args.tokens = b->o.tokens;
	args.timeout_ns = args.dev.timeout_ns;
	return ep_pe_open(&b->pe[i], b->pes.gpu, &args, b->o.seed);
}

static int run(struct bench *b, const struct gda_config *config)
{
	uint64_t bytes = b->layout.bytes + ep_pe_answer_bytes(&b->layout);
	int i, rc = 0;

	if (pes_open(&b->pes, (int)b->o.pes, config, bytes, b->o.seed))
		return 1;
	print_head(b);
	for (i = b->pes.first; !rc && i < b->pes.first + b->pes.count; i++)
		rc = open_pe(b, i);
	rc = rc || measure(b);
	if (!rc)
		report(b);
	for (i = b->pes.first; i < b->pes.first + b->pes.count; i++)
		ep_pe_close(&b->pe[i]);
	pes_close(&b->pes);
	return rc;
}

int main(int argc, char **argv)
{
	static struct bench b = {
		.o = {0, 0, 7168, 8, 128, 0, 0, 16, 256, 20, 4, 0}};
	struct gda_config config;
	int rc;

	if (gda_config_load(&config)) {
		fprintf(stderr, "%s\n", gda_last_error());
		return 2;
	}
	rc = parse(argc, argv, &b.o);
	rc = rc ? rc : lay_out(&b, &config);
	if (rc)
		return rc;
	if (!getenv("GDA_BACKEND"))
		config.backend = "emu";
	config.shared = GDA_SHARED_GPU;
	config.qps_per_peer = b.o.qps;
	return run(&b, &config);
}
