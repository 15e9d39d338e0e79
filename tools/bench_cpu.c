/* SPDX-License-Identifier: MIT */
/*
 * Benchmarks of one process: latency with a polling NIC on its own core, WQE
 * rate on one core, bandwidth over the loop wire, idle queue pairs.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emu/qp.h"
#include "tools/bench.h"
#include "tools/belfry.h"

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, unsigned count)
{
	qsort(values, count, sizeof(*values), compare_double);
	return values[count / 2];
}

/* ------------------------------------------------------------ latency */

enum { SAMPLES = 101, PER_SAMPLE = 1000 };

/* Two cache lines that two threads answer each other on. */
struct echo {
	uint64_t ping __attribute__((aligned(128)));
	uint64_t pong __attribute__((aligned(128)));
};

static void *echo_thread(void *arg)
{
	struct echo *echo = arg;
	uint64_t seen = 0, now;

	bench_pin(1);
	while (seen != UINT64_MAX) {
		now = __atomic_load_n(&echo->ping, __ATOMIC_ACQUIRE);
		if (now == seen)
			continue;
		seen = now;
		__atomic_store_n(&echo->pong, seen, __ATOMIC_RELEASE);
	}
	return NULL;
}

static double core_to_core_ns(unsigned samples)
{
	struct echo echo = {0};
	double ns[SAMPLES];
	pthread_t thread;
	uint64_t start, count = 0;
	unsigned i, j;

	if (pthread_create(&thread, NULL, echo_thread, &echo))
		return 0;
	for (i = 0; i < samples; i++) {
		start = bench_now_ns();
		for (j = 0; j < PER_SAMPLE; j++) {
			__atomic_store_n(&echo.ping, ++count, __ATOMIC_RELEASE);
			while (__atomic_load_n(&echo.pong, __ATOMIC_ACQUIRE) !=
			       count)
				;
		}
		ns[i] = (double)(bench_now_ns() - start) / PER_SAMPLE;
	}
	__atomic_store_n(&echo.ping, UINT64_MAX, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	return median(ns, samples);
}

/* From the doorbell to the CQE, as a thread sees it; the WQE is written. */
static double doorbell_ns(const struct gda_dev *dev, uint64_t *word,
			  unsigned samples)
{
	uint64_t start, total;
	double ns[SAMPLES];
	unsigned i, j;

	for (i = 0; i < samples; i++) {
		total = 0;
		for (j = 0; j < PER_SAMPLE; j++) {
			/* Batching holds the doorbell back until quiet. */
			if (gda_dev_put_nbi(dev, &word[8], word, 8, 0))
				return 0;
			start = bench_now_ns();
			if (gda_dev_quiet_qp(dev, 0, 0))
				return 0;
			total += bench_now_ns() - start;
		}
		ns[i] = (double)total / PER_SAMPLE;
	}
	return median(ns, samples);
}

/* What reading the clock twice adds to each measurement. */
static double clock_ns(void)
{
	uint64_t start = bench_now_ns();
	unsigned i;

	for (i = 0; i < 100000; i++)
		bench_now_ns();
	return (double)(bench_now_ns() - start) / 100000;
}

void bench_latency(struct bench *bench)
{
	unsigned samples = (unsigned)(SAMPLES * bench->scale) | 1;
	struct bench_row row = {
		.name = "doorbell to CQE, 8 B write, polling NIC",
		.unit = "ns",
		.yardstick = "core-to-core round trip",
		.target = 3,
		.at_most = true,
		.ratio = true,
	};
	struct gda_config config;
	struct gda *gda;
	uint64_t *word;

	if (belfry_config_load(&config))
		return;
	config.emu.progress = GDA_PROGRESS_RUNNER;
	config.batch = 1024;
	bench_pin(1); /* the NIC's thread inherits it */
	gda = bench_self(&config);
	bench_pin(0);
	if (!gda)
		return;
	word = gda_calloc(gda, 64, 8);
	row.yardstick_value = core_to_core_ns(samples);
	if (word) {
		doorbell_ns(gda_device(gda), word, 3); /* warm up */
		row.value = doorbell_ns(gda_device(gda), word, samples) -
			    clock_ns();
	}
	bench_add(bench, &row);
	gda_finalize(gda);
	gda_local_group_free(config.group);
	bench_pin(-1);
}

/* --------------------------------------------------------------- rate */

/* Batches of 32 writes of 8 bytes, one doorbell each, stepped by us. */
static double rate(const struct gda_dev *dev, uint8_t *memory, unsigned batches)
{
	struct gda_dev_qp *qp = gda_dev_qp_of(dev, 0, 0);
	struct gda_dev_request request = {
		.opcode = HW_OP_RDMA_WRITE,
		.raddr = (uintptr_t)memory + 4096,
		.rkey = dev->peers[0].rkey,
		.laddr = (uintptr_t)memory,
		.lkey = dev->heap_lkey,
		.len = 8,
	};
	uint64_t start = bench_now_ns(), base;
	unsigned i, j;

	for (i = 0; i < batches; i++) {
		if (gda_dev_reserve(dev, qp, 32, &base))
			return 0;
		for (j = 0; j < 32; j++) {
			request.ce = j == 31 ? HW_CE_ALWAYS : HW_CE_ERROR_ONLY;
			gda_dev_post_rma(qp, base + j, &request);
		}
		if (gda_dev_submit(dev, qp, base, base + 32, true) ||
		    gda_dev_wait_done(dev, qp, base + 32))
			return 0;
	}
	return batches * 32 * 1e3 / (double)(bench_now_ns() - start);
}

void bench_rate(struct bench *bench)
{
	struct bench_row row = {
		.name = "WQE rate, one core, batch 32, 8 B writes, loop",
		.unit = "M/s",
		.target = 10,
	};
	unsigned i, batches = (unsigned)(20000 * bench->scale);
	struct gda_config config;
	uint8_t *memory;
	struct gda *gda;
	double now;

	if (belfry_config_load(&config))
		return;
	config.emu.progress = GDA_PROGRESS_HOOK;
	gda = bench_self(&config);
	if (!gda)
		return;
	memory = gda_calloc(gda, 1, 8192);
	/* The best of ten: what the code can do when nobody disturbs it. */
	for (i = 0; memory && i < 10; i++) {
		now = rate(gda_device(gda), memory, batches);
		if (now > row.value)
			row.value = now;
	}
	bench_add(bench, &row);
	gda_finalize(gda);
	gda_local_group_free(config.group);
}

/* ---------------------------------------------------------- bandwidth */

static void loop_row(struct bench *bench, const struct gda_dev *dev,
		     uint8_t *memory, size_t bytes)
{
	unsigned i, count = (unsigned)((double)(1u << 30) * bench->scale /
				       (double)bytes) +
			    1;
	double copy[5], put[5];
	char name[64];
	struct bench_row row = {
		.unit = "GB/s",
		.yardstick = "memcpy of the same buffers",
		.target = 0.9,
		.ratio = true,
	};

	snprintf(name, sizeof(name), "bandwidth, %zu KiB writes, loop",
		 bytes >> 10);
	row.name = strdup(name);
	/* In turns, so that both meet the same disturbances. */
	for (i = 0; i < 5; i++) {
		copy[i] = bench_memcpy(&(struct bench_copy){
			memory + bytes, memory, bytes, count});
		put[i] = bench_put(dev, 0,
				   &(struct bench_copy){memory + bytes, memory,
							bytes, count});
	}
	row.yardstick_value = median(copy, 5);
	row.value = median(put, 5);
	bench_add(bench, &row);
}

void bench_loop(struct bench *bench)
{
	struct gda_config config;
	uint8_t *memory;
	struct gda *gda;

	if (belfry_config_load(&config))
		return;
	config.emu.progress = GDA_PROGRESS_HOOK;
	config.heap_bytes = 64 << 20;
	gda = bench_self(&config);
	if (!gda)
		return;
	memory = gda_calloc(gda, 1, 32 << 20);
	if (memory) {
		loop_row(bench, gda_device(gda), memory, 64 << 10);
		loop_row(bench, gda_device(gda), memory, 1 << 20);
		loop_row(bench, gda_device(gda), memory, 16 << 20);
	}
	gda_finalize(gda);
	gda_local_group_free(config.group);
}

/* --------------------------------------------------------------- idle */

enum { IDLE_PES = 4, IDLE_LANES = 250 };

struct idle_pe {
	struct gda_config config;
	struct gda *gda;
};

static void *idle_init(void *arg)
{
	struct idle_pe *pe = arg;

	if (gda_init(&pe->config, &pe->gda))
		fprintf(stderr, "belfry bench: %s\n", gda_last_error());
	return NULL;
}

static void *idle_finalize(void *arg)
{
	gda_finalize(((struct idle_pe *)arg)->gda);
	return NULL;
}

static void on_all(struct idle_pe *pes, void *(*run)(void *))
{
	pthread_t threads[IDLE_PES];
	unsigned i;

	for (i = 0; i < IDLE_PES; i++)
		if (pthread_create(&threads[i], NULL, run, &pes[i]))
			abort();
	for (i = 0; i < IDLE_PES; i++)
		pthread_join(threads[i], NULL);
}

/* Four NICs with 1,000 connected queue pairs each; time of one NIC's step. */
static double idle_step_us(struct bench *bench)
{
	struct gda_local_group *group = gda_local_group_create(IDLE_PES);
	unsigned i, count = (unsigned)(100000 * bench->scale);
	struct idle_pe pes[IDLE_PES] = {0};
	const struct gda_dev *dev;
	uint64_t start;
	double us = 0;

	for (i = 0; i < IDLE_PES; i++) {
		if (belfry_config_load(&pes[i].config))
			return 0;
		pes[i].config.npes = IDLE_PES;
		pes[i].config.pe = (int)i;
		pes[i].config.group = group;
		pes[i].config.qps_per_peer = IDLE_LANES;
		pes[i].config.qp_depth = 16;
		pes[i].config.emu.progress = GDA_PROGRESS_HOOK;
	}
	on_all(pes, idle_init);
	if (pes[0].gda) {
		dev = gda_device(pes[0].gda);
		start = bench_now_ns();
		for (i = 0; i < count; i++)
			dev->pause(dev->pause_arg);
		us = (double)(bench_now_ns() - start) / count / IDLE_PES / 1e3;
		on_all(pes, idle_finalize);
	}
	gda_local_group_free(group);
	return us;
}

void bench_idle(struct bench *bench)
{
	struct bench_row idle = {
		.name = "one step of a NIC with 1,000 idle queue pairs",
		.unit = "us",
		.target = 2,
		.at_most = true,
	};
	struct bench_row bytes = {
		.name = "NIC state of a queue pair, beside its queues",
		.unit = "B",
		.target = 1023,
		.at_most = true,
	};

	/* The state of a NIC that is stepped from here; others have none. */
	if (!belfry_on_emu())
		return;
	idle.value = idle_step_us(bench);
	bench_add(bench, &idle);
	bytes.value = (double)(sizeof(struct nic_qp) +
			       16 * sizeof(struct nic_response));
	bench_add(bench, &bytes);
}
