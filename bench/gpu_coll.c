/* SPDX-License-Identifier: MIT */
/*
 * Collectives, measured and checked: every operation on every type.
 *
 *	gpu_coll [--pes 2, or those of the job] [--count 1024]
 *	         [--rounds 100] [--threads 256] [--seed 0]
 *
 * count is the elements of a part (see kernels/coll.h). One call warms up, then
 * all of a measurement are queued at once. What it leaves is compared with
 * loops over plain arrays; the exit status is 1 if it differs. On the SIMT
 * runner times mean nothing.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/options.h"
#include "bench/pes.h"
#include "kernels/coll.h"
#include "tests/support/t_coll.h"

static const char *const ops[] = {
	"barrier",    "broadcast",	"all-to-all",
	"all-gather", "reduce-scatter", "all-reduce",
};
static const char *const types[] = {"u64", "float"};

struct options {
	uint32_t pes, count, rounds, threads, seed;
};

struct bench {
	struct options o;
	struct pes pes;
	struct coll_args args[PES_MAX];
	uint64_t bytes;		   /* of source and of dest */
	uint8_t *sources[PES_MAX]; /* of all PEs, as the host fills them */
	uint8_t *want, *got;
	struct t_rng rng;
};

static int parse(int argc, char **argv, struct options *o)
{
	const struct option_number list[] = {
		{"pes", &o->pes, 1, PES_MAX, 0},
		{"count", &o->count, 1, 1 << 20, 0},
		{"rounds", &o->rounds, 1, 1000000, 0},
		{"threads", &o->threads, 32, 1024, 32},
		{"seed", &o->seed, 0, UINT32_MAX, 0},
		{NULL, NULL, 0, 0, 0},
	};

	return options_parse(argc, argv, list);
}

/* --------------------------------------------------------------- memory --- */

static uint64_t work_bytes(const struct options *o)
{
	uint64_t bytes = coll_work_bytes((int)o->pes, (uint64_t)o->count * 8);

	return (bytes + 127) / 128 * 128;
}

/* The kernels' arguments, but for operation and type. */
static int open_pe(struct bench *b, int pe)
{
	struct coll_args *args = &b->args[pe];
	uint8_t *arena = b->pes.arena[pe];

	args->dev = *gda_device(b->pes.gda[pe]);
	args->work = b->pes.arena[pe];
	args->source = arena + work_bytes(&b->o);
	args->dest = arena + work_bytes(&b->o) + b->bytes;
	args->count = b->o.count;
	args->room = (uint64_t)b->o.count * 8;
	args->root = (int32_t)b->o.pes - 1;
	args->code = gpu_alloc_device(b->pes.gpu, sizeof(*args->code));
	return !args->code;
}

static int open_all(struct bench *b)
{
	int pe, rc;

	assert(b->bytes);
	b->want = malloc(b->bytes);
	b->got = malloc(b->bytes);
	rc = !b->want || !b->got;
	for (pe = 0; !rc && pe < (int)b->o.pes; pe++) {
		b->sources[pe] = malloc(b->bytes);
		rc = !b->sources[pe];
	}
	for (pe = b->pes.first; !rc && pe < b->pes.first + b->pes.count; pe++)
		rc = open_pe(b, pe);
	if (rc)
		fprintf(stderr, "no memory\n");
	return rc;
}

static void close_all(struct bench *b)
{
	int pe;

	for (pe = 0; pe < (int)b->o.pes; pe++) {
		if (b->args[pe].code)
			gpu_free_device(b->pes.gpu, b->args[pe].code);
		free(b->sources[pe]);
	}
	free(b->want);
	free(b->got);
}

static int copy(struct bench *b, void *to, const void *from, uint64_t bytes)
{
	if (!gpu_copy(b->pes.gpu, to, from, bytes))
		return 0;
	fprintf(stderr, "%s\n", gpu_error(b->pes.gpu));
	return 1;
}

/* ---------------------------------------------------------------- calls --- */

/* New sources of all PEs, of which those here are sent to the GPU. */
static int fill(struct bench *b, uint32_t op, uint32_t type)
{
	const int32_t not_run = 1;
	int pe, rc = 0;

	for (pe = 0; pe < (int)b->o.pes; pe++)
		t_coll_fill(type, b->sources[pe], b->bytes / 8, &b->rng);
	memset(b->got, 0, b->bytes);
	for (pe = b->pes.first; !rc && pe < b->pes.first + b->pes.count; pe++) {
		struct coll_args *args = &b->args[pe];

		args->op = op;
		args->type = type;
		rc = copy(b, (void *)(uintptr_t)args->source, b->sources[pe],
			  b->bytes) ||
		     copy(b, args->dest, b->got, b->bytes) ||
		     copy(b, args->code, &not_run, sizeof(not_run));
	}
	/* Peers write into dest as soon as they call. */
	return rc || pes_barrier(&b->pes);
}

static void tell_difference(const struct bench *b, int pe)
{
	uint64_t element = b->args[pe].type == COLL_FLOAT ? 4 : 8, i = 0;
	uint64_t got = 0, want = 0;

	while (!memcmp(b->got + i, b->want + i, element))
		i += element;
	memcpy(&got, b->got + i, element);
	memcpy(&want, b->want + i, element);
	fprintf(stderr,
		"%s of %s, PE %d, element %llu: got 0x%llx, expected 0x%llx\n",
		ops[b->args[pe].op], types[b->args[pe].type], pe,
		(unsigned long long)(i / element), (unsigned long long)got,
		(unsigned long long)want);
}

static int check(struct bench *b, int pe)
{
	const struct coll_args *args = &b->args[pe];
	struct t_coll model = {args->op,      args->type, args->count,
			       (int)b->o.pes, args->root, {NULL}};
	int32_t code;
	uint32_t i;

	for (i = 0; i < b->o.pes; i++)
		model.sources[i] = b->sources[i];
	if (copy(b, &code, args->code, sizeof(code)) ||
	    copy(b, b->got, args->dest, b->bytes))
		return 1;
	if (code) {
		fprintf(stderr, "%s of %s, PE %d: %s\n", ops[args->op],
			types[args->type], pe, gda_strerror(code));
		return 1;
	}
	memset(b->want, 0, b->bytes);
	t_coll_expect(&model, pe, b->want);
	if (!memcmp(b->got, b->want, b->bytes))
		return 0;
	tell_difference(b, pe);
	return 1;
}

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec * 1e-3;
}

static int run_calls(struct bench *b, uint32_t calls, double *us)
{
	struct gpu_shape shape = {1, b->o.threads, 0, 0};
	uint32_t i;
	int pe, rc = 0;

	*us = now_us();
	for (i = 0; !rc && i < calls; i++)
		rc = pes_launch(&b->pes, &coll, &shape, b->args);
	rc = rc || pes_wait(&b->pes, &coll);
	*us = (now_us() - *us) / calls;
	for (pe = b->pes.first; !rc && pe < b->pes.first + b->pes.count; pe++)
		rc = check(b, pe);
	return rc;
}

/* -------------------------------------------------------------- reports --- */

/* Of dest, what a call writes. */
static uint64_t result_bytes(const struct options *o, uint32_t op,
			     uint32_t type)
{
	uint64_t part = (uint64_t)o->count * (type == COLL_FLOAT ? 4 : 8);

	switch (op) {
	case COLL_BARRIER:
		return 0;
	case COLL_BROADCAST:
	case COLL_REDUCE_SCATTER:
		return part;
	default:
		return part * o->pes;
	}
}

static int measure(struct bench *b, uint32_t op, uint32_t type)
{
	double us, bytes = (double)result_bytes(&b->o, op, type);

	if (fill(b, op, type) || run_calls(b, 1, &us) || fill(b, op, type) ||
	    run_calls(b, b->o.rounds, &us))
		return 1;
	printf("%-15s %-6s %10.3f us a call, %11.0f bytes, %9.3f GB/s\n",
	       ops[op], op == COLL_BARRIER ? "" : types[type], us, bytes,
	       bytes / us / 1e3);
	return 0;
}

static int measure_all(struct bench *b)
{
	const struct pes *pes = &b->pes;
	uint32_t op, type;
	int rc = 0;

	printf("%s: PE %d to %d of %d, %u elements, %u threads%s\n",
	       gpu_name(pes->gpu), pes->first, pes->first + pes->count - 1,
	       pes->npes, b->o.count, b->o.threads,
	       gpu_is_runner(pes->gpu) ? "; times mean nothing" : "");
	for (op = 0; !rc && op < COLL_OPS; op++)
		for (type = 0; !rc && type < COLL_TYPES; type++)
			if (op != COLL_BARRIER || type == 0)
				rc = measure(b, op, type);
	if (!rc)
		printf("all as expected\n");
	return rc;
}

int main(int argc, char **argv)
{
	static struct bench b = {.o = {0, 1024, 100, 256, 0}};
	struct gda_config config;
	int rc;

	if (gda_config_load(&config)) {
		fprintf(stderr, "%s\n", gda_last_error());
		return 2;
	}
	rc = parse(argc, argv, &b.o);
	if (rc)
		return rc;
	if (!b.o.pes)
		b.o.pes = pes_default(&config, 2);
	if (!getenv("GDA_BACKEND"))
		config.backend = "emu";
	b.bytes = (uint64_t)b.o.pes * b.o.count * 8;
	b.rng.state = b.o.seed;
	if (pes_open(&b.pes, (int)b.o.pes, &config,
		     work_bytes(&b.o) + 2 * b.bytes, b.o.seed))
		return 1;
	rc = open_all(&b) || measure_all(&b);
	close_all(&b);
	pes_close(&b.pes);
	return rc;
}
