/* SPDX-License-Identifier: MIT */
/*
 * Microbenchmarks in the manner of NVSHMEM's perftest: what the kernels of
 * micro.cu are given, and what they answer.
 */
#ifndef MICRO_H
#define MICRO_H

#include "kernels/gpu_host.h"
#include "stack/dev/handle.h"

enum micro_op {
	MICRO_PUT,
	MICRO_GET,
	MICRO_P,
	MICRO_G,
	MICRO_ATOMIC, /* fetch-add of 8 bytes where one waits, else add */
	MICRO_PUT_SIGNAL,
	MICRO_OPS,
};

/* Who makes one operation together. */
enum micro_scope {
	MICRO_THREAD,
	MICRO_WARP,
	MICRO_BLOCK,
	/* One operation for each thread of a warp, with one doorbell. */
	MICRO_EACH,
	MICRO_SCOPES,
};

struct micro_result {
	uint64_t ns;   /* of the slowest block; of virtual time on a CPU */
	uint64_t done; /* operations of this PE */
	int32_t code;
	uint32_t wrong; /* signals that were seen before their data */
};

struct micro_args {
	struct gda_dev dev;
	uint8_t *dest;	 /* heap, bytes for each thread of the grid */
	uint8_t *source; /* heap, as much */
	uint64_t *words; /* heap, a signal for each thread of the grid */
	struct micro_result *result;
	uint32_t op;	/* enum micro_op */
	uint32_t scope; /* enum micro_scope */
	uint32_t bytes;
	uint32_t rounds;
	int32_t peer;
	/* Bandwidth and rate: this PE only looks on. */
	int32_t is_idle;
};

/*
 * micro_latency    one group after the other waits for each operation
 * micro_ping_pong  put_signal, and wait for the peer's; both PEs run it, and
 *                  look at the data (of a multiple of 8 bytes) behind each
 *                  signal
 * micro_rate       groups post without waiting, except for a value (MICRO_G),
 *                  and one quiet at the end
 *
 * Latency and ping-pong run with one block, and any number of threads that
 * is a multiple of 32. Queue pairs: lane b for block b; shared by the GPU
 * unless a block is one group.
 */
GPU_KERNEL_DECLARE(micro_latency);
GPU_KERNEL_DECLARE(micro_ping_pong);
GPU_KERNEL_DECLARE(micro_rate);

#endif
