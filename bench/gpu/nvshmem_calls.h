/* SPDX-License-Identifier: MIT */
/*
 * The same calls to Belfry's and to NVSHMEM's device library, and two kernels
 * around each: one that makes it once, for a disassembler, and one that takes
 * the SM's clock around many.
 *
 * No batching: NVSHMEM rings for every call of a thread that posts alone.
 *
 * Source of truth: NVSHMEM's ibgda_device.cuh for what its counters mean.
 * Thread: all of a grid of one block.
 */
#ifndef NVSHMEM_CALLS_H
#define NVSHMEM_CALLS_H

#include <nvshmem.h>
#include <nvshmemx.h>

#include <device_host_transport/nvshmem_common_ibgda.h>

#include "kernels/gpu.h"

struct call_args {
	struct gda_dev dev;		/* Belfry's, bound to lane 0 */
	nvshmemi_ibgda_device_qp_t *qp; /* NVSHMEM's to peer, if hand-made */
	uint8_t *dest, *source;		/* symmetric, bytes for each thread */
	uint64_t *words;		/* symmetric, one for each thread */
	uint64_t *cycles;		/* [runs]: of calls calls */
	const uint8_t *reg; /* the hand-made queue's register, or NULL */
	uint64_t start;	    /* counters of hand-made queues */
	uint32_t bytes, calls, runs;
	int32_t peer;
};

/* A library, and a call of it; C++ has no other name for a device function. */
struct belfry {
	/* As if everything were done and nothing posted but start blocks. */
	GPU_FN void rewind(const struct call_args *args)
	{
		struct gda_dev_qp *qp = args->dev.qps + args->peer;

		qp->reserved = qp->ready = args->start;
		qp->posted = qp->completed = args->start;
	}
};

struct nvshmem {
	/* Once the ring has wrapped, every call looks whether its blocks are
	 * free: they are, by far. */
	GPU_FN void rewind(const struct call_args *args)
	{
		nvshmemi_ibgda_device_qp_t *qp = args->qp;

		if (!qp) {
			nvshmem_quiet();
			return;
		}
		qp->mvars.tx_wq.resv_head = args->start;
		qp->mvars.tx_wq.ready_head = args->start;
		qp->mvars.tx_wq.prod_idx = args->start;
		qp->mvars.tx_wq.cons_idx = args->start ? 1ull << 40 : 0;
	}
};

template <class call>
__global__ void time_calls(const __grid_constant__ struct call_args args)
{
	struct gda_dev dev = args.dev;
	uint64_t begin, cycles;
	uint32_t run, i;

	for (run = 0; run < args.runs; run++) {
		if (threadIdx.x == 0)
			call::rewind(&args);
		__threadfence();
		__syncthreads();
		begin = gpu_cycles();
		for (i = 0; i < args.calls; i++)
			call::make(&args, &dev);
		cycles = gpu_cycles() - begin;
		if (threadIdx.x == 0)
			args.cycles[run] = cycles;
		__syncthreads();
	}
	/* What was posted lands before the next who uses the memory. */
	if (threadIdx.x == 0)
		call::rewind(&args);
}

/* What this thread puts, and where. */
GPU_FN uint64_t *word_of(const struct call_args *args)
{
	return args->words + threadIdx.x;
}

GPU_FN uint8_t *dest_of(const struct call_args *args)
{
	return args->dest + threadIdx.x * args->bytes;
}

GPU_FN uint8_t *source_of(const struct call_args *args)
{
	return args->source + threadIdx.x * args->bytes;
}

#define CALL_MAKE                                                              \
	GPU_FN void make(const struct call_args *args,                         \
			 const struct gda_dev *dev)
#define CALL_ONCE(name)                                                        \
	extern "C" __global__ void once_##name(                                \
		const __grid_constant__ struct call_args args)                 \
	{                                                                      \
		struct gda_dev dev = args.dev;                                 \
                                                                               \
		name::make(&args, &dev);                                       \
	}

/* ----------------------------------------------------------------- Belfry */

struct belfry_put_thread : belfry {
	CALL_MAKE
	{
		gda_dev_put_nbi(dev, args->dest, args->source, args->bytes,
				args->peer);
	}
};
CALL_ONCE(belfry_put_thread)

struct belfry_put_warp : belfry {
	CALL_MAKE
	{
		gda_dev_put_nbi_warp(dev, args->dest, args->source, args->bytes,
				     args->peer);
	}
};
CALL_ONCE(belfry_put_warp)

struct belfry_put_block : belfry {
	CALL_MAKE
	{
		gda_dev_put_nbi_block(dev, args->dest, args->source,
				      args->bytes, args->peer);
	}
};
CALL_ONCE(belfry_put_block)

struct belfry_put_each : belfry {
	CALL_MAKE
	{
		struct gda_dev_group warp = gda_dev_group_warp();
		struct gda_dev_copy copy = {dest_of(args), source_of(args),
					    args->bytes, args->peer, 0};

		gda_dev_put_each(dev, &warp, &copy);
	}
};
CALL_ONCE(belfry_put_each)

struct belfry_p_thread : belfry {
	CALL_MAKE
	{
		gda_dev_p_u64(dev, args->words, 1, args->peer);
	}
};
CALL_ONCE(belfry_p_thread)

struct belfry_p_each : belfry {
	CALL_MAKE
	{
		struct gda_dev_group warp = gda_dev_group_warp();
		struct gda_dev_copy copy = {word_of(args), 0, 8, args->peer, 0};

		gda_dev_put_value_each(dev, &warp, &copy, 1);
	}
};
CALL_ONCE(belfry_p_each)

struct belfry_atomic_thread : belfry {
	CALL_MAKE
	{
		gda_dev_atomic_add_u64(dev, args->words, 1, args->peer);
	}
};
CALL_ONCE(belfry_atomic_thread)

struct belfry_atomic_each : belfry {
	CALL_MAKE
	{
		struct gda_dev_group warp = gda_dev_group_warp();
		struct gda_dev_atomic_call call = {
			word_of(args), 1, 0, GDA_DEV_ADD, 8, args->peer};

		gda_dev_atomic_each(dev, &warp, &call, false);
	}
};
CALL_ONCE(belfry_atomic_each)

struct belfry_put_signal_thread : belfry {
	CALL_MAKE
	{
		struct gda_dev_signal signal = {args->words, 1, args->peer,
						GDA_DEV_SIGNAL_ADD};

		gda_dev_put_signal_nbi(dev, args->dest, args->source,
				       args->bytes, &signal);
	}
};
CALL_ONCE(belfry_put_signal_thread)

struct belfry_put_signal_warp : belfry {
	CALL_MAKE
	{
		struct gda_dev_signal signal = {args->words, 1, args->peer,
						GDA_DEV_SIGNAL_ADD};

		gda_dev_put_signal_nbi_warp(dev, args->dest, args->source,
					    args->bytes, &signal);
	}
};
CALL_ONCE(belfry_put_signal_warp)

struct belfry_put_signal_block : belfry {
	CALL_MAKE
	{
		struct gda_dev_signal signal = {args->words, 1, args->peer,
						GDA_DEV_SIGNAL_ADD};

		gda_dev_put_signal_nbi_block(dev, args->dest, args->source,
					     args->bytes, &signal);
	}
};
CALL_ONCE(belfry_put_signal_block)

struct belfry_put_signal_each : belfry {
	CALL_MAKE
	{
		struct gda_dev_group warp = gda_dev_group_warp();
		struct gda_dev_copy copy = {dest_of(args), source_of(args),
					    args->bytes, args->peer, 0};
		struct gda_dev_signal signal = {word_of(args), 1, args->peer,
						GDA_DEV_SIGNAL_ADD};

		gda_dev_put_signal_each(dev, &warp, &copy, &signal);
	}
};
CALL_ONCE(belfry_put_signal_each)

/* ---------------------------------------------------------------- NVSHMEM */

struct nvshmem_put_thread : nvshmem {
	CALL_MAKE
	{
		nvshmem_putmem_nbi(args->dest, args->source, args->bytes,
				   args->peer);
	}
};
CALL_ONCE(nvshmem_put_thread)

struct nvshmem_put_warp : nvshmem {
	CALL_MAKE
	{
		nvshmemx_putmem_nbi_warp(args->dest, args->source, args->bytes,
					 args->peer);
	}
};
CALL_ONCE(nvshmem_put_warp)

struct nvshmem_put_block : nvshmem {
	CALL_MAKE
	{
		nvshmemx_putmem_nbi_block(args->dest, args->source, args->bytes,
					  args->peer);
	}
};
CALL_ONCE(nvshmem_put_block)

/* A warp whose lanes all call for themselves is joined by the library. */
struct nvshmem_put_each : nvshmem {
	CALL_MAKE
	{
		nvshmem_putmem_nbi(dest_of(args), source_of(args), args->bytes,
				   args->peer);
	}
};
CALL_ONCE(nvshmem_put_each)

struct nvshmem_p_thread : nvshmem {
	CALL_MAKE
	{
		nvshmem_uint64_p(args->words, 1, args->peer);
	}
};
CALL_ONCE(nvshmem_p_thread)

struct nvshmem_p_each : nvshmem {
	CALL_MAKE
	{
		nvshmem_uint64_p(word_of(args), 1, args->peer);
	}
};
CALL_ONCE(nvshmem_p_each)

struct nvshmem_atomic_thread : nvshmem {
	CALL_MAKE
	{
		nvshmem_uint64_atomic_add(args->words, 1, args->peer);
	}
};
CALL_ONCE(nvshmem_atomic_thread)

struct nvshmem_atomic_each : nvshmem {
	CALL_MAKE
	{
		nvshmem_uint64_atomic_add(word_of(args), 1, args->peer);
	}
};
CALL_ONCE(nvshmem_atomic_each)

struct nvshmem_put_signal_thread : nvshmem {
	CALL_MAKE
	{
		nvshmem_putmem_signal_nbi(args->dest, args->source, args->bytes,
					  args->words, 1, NVSHMEM_SIGNAL_ADD,
					  args->peer);
	}
};
CALL_ONCE(nvshmem_put_signal_thread)

struct nvshmem_put_signal_warp : nvshmem {
	CALL_MAKE
	{
		nvshmemx_putmem_signal_nbi_warp(args->dest, args->source,
						args->bytes, args->words, 1,
						NVSHMEM_SIGNAL_ADD, args->peer);
	}
};
CALL_ONCE(nvshmem_put_signal_warp)

struct nvshmem_put_signal_block : nvshmem {
	CALL_MAKE
	{
		nvshmemx_putmem_signal_nbi_block(
			args->dest, args->source, args->bytes, args->words, 1,
			NVSHMEM_SIGNAL_ADD, args->peer);
	}
};
CALL_ONCE(nvshmem_put_signal_block)

struct nvshmem_put_signal_each : nvshmem {
	CALL_MAKE
	{
		nvshmem_putmem_signal_nbi(dest_of(args), source_of(args),
					  args->bytes, word_of(args), 1,
					  NVSHMEM_SIGNAL_ADD, args->peer);
	}
};
CALL_ONCE(nvshmem_put_signal_each)

#endif
