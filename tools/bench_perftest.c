/* SPDX-License-Identifier: MIT */
/*
 * Benchmark of the whole stack: ib_write_lat and ib_write_bw of the package
 * perftest, over the installed libibverbs and libmlx5, in two processes that
 * are started as `belfry run` starts them.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/belfry.h"
#include "tools/bench.h"
#include "tools/perftest.h"

/* Some runs take seconds where more programs than cores want to run. */
enum { LIMIT_S = 60 };

/* ----------------------------------------------------------- yardsticks */

/* us of a copy out of another process; 0 if the kernel refuses. */
static double process_vm_us(size_t bytes)
{
	enum { COPIES = 1000 };
	char here[64], there[64] = "";
	struct iovec to = {here, bytes}, from = {there, bytes};
	double us, least = 0;
	unsigned i, j;
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	for (i = 0; pid > 0 && i < 5; i++) {
		uint64_t start = bench_now_ns();

		for (j = 0; j < COPIES; j++)
			if (process_vm_readv(pid, &to, 1, &from, 1, 0) < 0)
				break;
		us = (double)(bench_now_ns() - start) / 1e3 / COPIES;
		if (j == COPIES && (!least || us < least))
			least = us;
	}
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return least;
}

/* MiB/s, which perftest calls MB/sec. */
static double memcpy_mib_s(size_t bytes, double scale)
{
	uint8_t *memory = calloc(2, bytes);
	struct bench_copy copy = {
		.to = memory + bytes,
		.from = memory,
		.bytes = bytes,
		.count = (unsigned)((256 << 20) * scale / (double)bytes) + 1,
	};
	double gb_s, most = 0;
	unsigned i;

	if (!memory)
		return 0;
	memset(memory, 1, 2 * bytes); /* the pages are there */
	for (i = 0; i < 3; i++) {
		gb_s = bench_memcpy(&copy);
		most = gb_s > most ? gb_s : most;
	}
	free(memory);
	return most * 1e9 / (1 << 20);
}

/* ------------------------------------------------------------------ rows */

/*
 * The target of trapped doorbells is for two processes on two cores. Where
 * they are polled a thread of each NIC never rests: it goes where there is room.
 */
static int start(const struct perftest *test, bool client, int argc,
		 char **argv)
{
	if (!strcmp(test->detect, "trap"))
		bench_pin(client);
	return belfry_run(argc, argv);
}

static enum perftest_end run(struct perftest *test,
			     struct perftest_figures *figures,
			     char said[PERFTEST_SAID])
{
	char fabric[BELFRY_FABRIC_BYTES];
	enum perftest_end end;

	if (!belfry_make_fabric(fabric)) {
		snprintf(said, PERFTEST_SAID, "%s: %s", fabric,
			 strerror(errno));
		return PERFTEST_FAILED;
	}
	test->fabric = fabric;
	test->port = belfry_free_port();
	test->limit_s = LIMIT_S;
	test->start = start;
	end = perftest_run(test, figures, said);
	belfry_remove_tree(fabric);
	return end;
}

static void measure(struct bench *bench, struct perftest *test,
		    struct bench_row *row)
{
	struct perftest_figures figures;
	char said[PERFTEST_SAID];
	enum perftest_end end = run(test, &figures, said);

	if (end == PERFTEST_MEASURED) {
		row->value = figures.value;
		snprintf(said, sizeof(said),
			 row->ratio ? "MsgRate %.6f M/s" : "t_avg %.2f us",
			 figures.other);
	}
	row->note = strdup(said);
	bench->failed |= end == PERFTEST_FAILED;
	bench_add(bench, row);
}

static void latency(struct bench *bench, const char *detect, size_t bytes)
{
	struct perftest test = {
		.tool = "ib_write_lat",
		.detect = detect,
		.bytes = bytes,
		/* Each waits for the scheduler where cores are few. */
		.count = bench->scale < 1 ? 20 : 1000,
	};
	struct bench_row row = {
		.unit = "us",
		.yardstick = "one process_vm copy",
		.yardstick_value = process_vm_us(bytes),
		.at_most = true,
	};
	char name[64];

	/* The one of which something is asked. */
	if (bytes == 8 && !strcmp(detect, "trap"))
		row.target = 3;
	snprintf(name, sizeof(name), "ib_write_lat %zu B, %s, t_typical", bytes,
		 detect);
	row.name = strdup(name);
	measure(bench, &test, &row);
}

static void bandwidth(struct bench *bench, const char *detect, size_t bytes)
{
	struct perftest test = {
		.tool = "ib_write_bw",
		.detect = detect,
		.bytes = bytes,
		.count = (unsigned)((1 << 30) * bench->scale / (double)bytes),
	};
	struct bench_row row = {
		.unit = "MiB/s",
		.yardstick = "memcpy of as many bytes",
		.yardstick_value = memcpy_mib_s(bytes, bench->scale),
		.target = 0.5,
		.ratio = true,
	};
	char name[64];

	snprintf(name, sizeof(name), "ib_write_bw %zu KiB, %s, BW average",
		 bytes >> 10, detect);
	row.name = strdup(name);
	measure(bench, &test, &row);
}

void bench_perftest(struct bench *bench)
{
	static const char *const detects[] = {"trap", "poll"};
	unsigned i;

	for (i = 0; i < 2; i++) {
		latency(bench, detects[i], 2);
		latency(bench, detects[i], 8);
		bandwidth(bench, detects[i], 64 << 10);
		bandwidth(bench, detects[i], 1 << 20);
	}
}
