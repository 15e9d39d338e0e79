/* SPDX-License-Identifier: MIT */
/*
 * The table of calls that nvshmem_put.cu and nvshmem_pes.cu measure, and how:
 * one launch of some runs of calls, of which the median and the least count.
 */
#ifndef NVSHMEM_TIME_H
#define NVSHMEM_TIME_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/gpu/nvshmem_calls.h"

enum { LANES = 32, BLOCK = 128, RUNS_MAX = 1024, ROOM = 512 };

typedef void call_kernel(struct call_args args);

struct row {
	const char *op, *scope;
	uint32_t threads;
	uint32_t wqes; /* of one call */
	call_kernel *belfry, *nvshmem;
};

#define ROW(op, scope, threads, wqes)                                          \
	{                                                                      \
#op, #scope, threads, wqes,                                    \
			time_calls < belfry_##op##_##scope>,                   \
			time_calls < nvshmem_##op##_##scope>                   \
	}
static const struct row rows[] = {
	ROW(put, thread, 1, 1),
	ROW(put, warp, LANES, 1),
	ROW(put, block, BLOCK, 1),
	ROW(put, each, LANES, LANES),
	ROW(p, thread, 1, 1),
	ROW(p, each, LANES, LANES),
	ROW(atomic, thread, 1, 1),
	ROW(atomic, each, LANES, LANES),
	ROW(put_signal, thread, 1, 2),
	ROW(put_signal, warp, LANES, 2),
	ROW(put_signal, block, BLOCK, 2),
	ROW(put_signal, each, LANES, 2 * LANES),
	{NULL, NULL, 0, 0, NULL, NULL},
};

struct options {
	uint32_t bytes, calls, runs;
};

static void must(cudaError_t code, const char *what)
{
	if (code == cudaSuccess)
		return;
	fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(code));
	exit(1);
}

/* [BYTES [CALLS [RUNS]]] */
static struct options options(int argc, char **argv)
{
	struct options o = {8, 64, 64};

	if (argc > 1)
		o.bytes = (uint32_t)strtoul(argv[1], NULL, 0);
	if (argc > 2)
		o.calls = (uint32_t)strtoul(argv[2], NULL, 0);
	if (argc > 3)
		o.runs = (uint32_t)strtoul(argv[3], NULL, 0);
	if (argc <= 4 && o.bytes && o.bytes <= 1024 && o.calls && o.runs &&
	    o.runs <= RUNS_MAX)
		return o;
	fprintf(stderr, "usage: %s [BYTES [CALLS [RUNS]]]\n", argv[0]);
	exit(2);
}

static void print_machine(const struct options *o)
{
	cudaDeviceProp properties;

	must(cudaSetDevice(0), "GPU");
	must(cudaGetDeviceProperties(&properties, 0), "GPU");
	printf("%s, NVSHMEM %d.%d.%d: %u bytes, %u runs of %u calls\n",
	       properties.name, NVSHMEM_VENDOR_MAJOR_VERSION,
	       NVSHMEM_VENDOR_MINOR_VERSION, NVSHMEM_VENDOR_PATCH_VERSION,
	       o->bytes, o->runs, o->calls);
}

/* Words, then what each of BLOCK threads gets, then what it puts. */
static struct call_args arguments(uint8_t *heap, const struct options *o)
{
	struct call_args args;

	memset(&args, 0, sizeof(args));
	args.words = (uint64_t *)(void *)heap;
	args.dest = heap + BLOCK * sizeof(uint64_t);
	args.source = args.dest + (size_t)BLOCK * o->bytes;
	args.bytes = o->bytes;
	args.runs = o->runs;
	must(cudaHostAlloc((void **)&args.cycles, RUNS_MAX * sizeof(uint64_t),
			   cudaHostAllocMapped),
	     "pinned memory");
	return args;
}

static int compare_cycles(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int check_failures;

/* The doorbell that nobody read says how far the last run got. */
static void check_doorbell(const struct row *row, const struct call_args *args)
{
	uint64_t end = args->start + (uint64_t)args->calls * row->wqes;
	const volatile uint8_t *reg = args->reg;

	if (!reg || (reg[1] << 8 | reg[2]) == (int)(end & 0xffff))
		return;
	fprintf(stderr, "%s %s: the doorbell is %d, expected %d\n", row->op,
		row->scope, reg[1] << 8 | reg[2], (int)(end & 0xffff));
	check_failures++;
}

/* Prints the median and the least cycles a WQE. */
static void print_cost(const struct row *row, call_kernel *kernel,
		       struct call_args *args, const struct options *o)
{
	uint32_t calls = ROOM / row->wqes, wqes;

	args->calls = o->calls < calls ? o->calls : calls;
	wqes = args->calls * row->wqes;
	kernel<<<1, row->threads>>>(*args);
	must(cudaGetLastError(), row->op);
	must(cudaDeviceSynchronize(), row->op);
	check_doorbell(row, args);
	qsort(args->cycles, args->runs, sizeof(uint64_t), compare_cycles);
	printf("  %6.0f (min %.0f)",
	       (double)args->cycles[args->runs / 2] / wqes,
	       (double)args->cycles[0] / wqes);
}

#endif
