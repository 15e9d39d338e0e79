/* SPDX-License-Identifier: MIT */
/*
 * Benchmark of two processes: bandwidth over the shm wire.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/belfry.h"
#include "tools/bench.h"

enum { SIZES = 3, BYTES_MAX = 16 << 20 };

static const size_t sizes[SIZES] = {64 << 10, 1 << 20, BYTES_MAX};

/* What PE 0 measured, in memory that the parent shares. */
struct result {
	double put[SIZES], copy[SIZES];
};

static double best(double a, double b)
{
	return a > b ? a : b;
}

static void measure(struct gda *gda, uint8_t *memory, double scale,
		    struct result *result)
{
	struct bench_copy copy = {.to = memory + BYTES_MAX, .from = memory};
	unsigned i, j;

	for (i = 0; i < SIZES; i++) {
		copy.bytes = sizes[i];
		copy.count = (unsigned)((double)(1u << 30) * scale /
					(double)sizes[i]) +
			     1;
		/* In turns, so that both meet the same disturbances. */
		for (j = 0; j < 3; j++) {
			result->copy[i] =
				best(result->copy[i], bench_memcpy(&copy));
			result->put[i] =
				best(result->put[i],
				     bench_put(gda_device(gda), 1, &copy));
		}
	}
}

static int run_pe(int pe, const char *root, const char *fabric, double scale,
		  struct result *result)
{
	struct gda_config config;
	uint64_t *done;
	uint8_t *memory;
	struct gda *gda;
	int rc = 1;

	if (belfry_config_load(&config))
		return 1;
	config.npes = 2;
	config.pe = pe;
	config.root = root;
	config.heap_bytes = 4 * BYTES_MAX;
	config.emu.fabric = fabric;
	/* Both PEs poll all the time: no runner competes for their cores. */
	config.emu.progress = GDA_PROGRESS_HOOK;
	bench_pin(pe);
	if (gda_init(&config, &gda)) {
		fprintf(stderr, "belfry bench: %s\n", gda_last_error());
		return 1;
	}
	done = gda_calloc(gda, 1, sizeof(*done));
	memory = gda_calloc(gda, 2, BYTES_MAX);
	if (done && memory && !pe) {
		measure(gda, memory, scale, result);
		rc = gda_dev_p_u64(gda_device(gda), done, 1, 1) ||
		     gda_dev_quiet(gda_device(gda));
	} else if (done && memory) {
		/* The target: its NIC does all the work. */
		rc = gda_dev_wait_until_u64(gda_device(gda), done, GDA_DEV_EQ,
					    1);
	}
	return gda_finalize(gda) || rc;
}

static bool run(double scale, struct result *result)
{
	char fabric[BELFRY_FABRIC_BYTES], root[32];
	pid_t children[2];
	int i, status;
	bool ok = true;

	if (!belfry_make_fabric(fabric))
		return false;
	snprintf(root, sizeof(root), "127.0.0.1:%d", belfry_free_port());
	for (i = 0; i < 2; i++) {
		children[i] = fork();
		if (!children[i])
			exit(run_pe(i, root, fabric, scale, result));
	}
	for (i = 0; i < 2; i++)
		ok &= waitpid(children[i], &status, 0) > 0 && !status;
	belfry_remove_tree(fabric);
	return ok;
}

void bench_shm(struct bench *bench)
{
	struct result *result =
		mmap(NULL, sizeof(*result), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char name[64];
	unsigned i;

	if (result == MAP_FAILED)
		return;
	bench->failed |= !run(bench->scale, result);
	for (i = 0; i < SIZES; i++) {
		struct bench_row row = {
			.unit = "GB/s",
			.value = result->put[i],
			.yardstick = "memcpy of the same buffers",
			.yardstick_value = result->copy[i],
			.target = 0.5,
			.ratio = true,
		};

		snprintf(name, sizeof(name), "bandwidth, %zu KiB writes, shm",
			 sizes[i] >> 10);
		row.name = strdup(name);
		bench_add(bench, &row);
	}
	munmap(result, sizeof(*result));
}
