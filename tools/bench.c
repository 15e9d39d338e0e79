/* SPDX-License-Identifier: MIT */
/*
 * `belfry bench`: the table of ratios, as text or JSON.
 *
 * A number alone says as much about the machine as about the code, so each
 * stands beside a yardstick that the same run measured.
 */
#include "tools/bench.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/belfry.h"

uint64_t bench_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void bench_pin(int cpu)
{
	cpu_set_t set;
	int i;

	CPU_ZERO(&set);
	if (cpu >= 0)
		CPU_SET((unsigned)cpu, &set);
	for (i = 0; cpu < 0 && i < CPU_SETSIZE; i++)
		CPU_SET((unsigned)i, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

void bench_add(struct bench *bench, const struct bench_row *row)
{
	if (bench->count < sizeof(bench->rows) / sizeof(bench->rows[0]))
		bench->rows[bench->count++] = *row;
	fputc('.', stderr);
}

struct gda *bench_self(struct gda_config *config)
{
	struct gda_local_group *group = gda_local_group_create(1);
	struct gda *gda;

	if (!group)
		return NULL;
	config->npes = 1;
	config->pe = 0;
	config->group = group;
	/* Another backend has no such option. */
	config->emu.strict = !strcmp(config->backend, "emu");
	if (gda_init(config, &gda)) {
		fprintf(stderr, "belfry bench: %s\n", gda_last_error());
		gda_local_group_free(group);
		return NULL;
	}
	return gda;
}

double bench_memcpy(const struct bench_copy *copy)
{
	uint64_t start = bench_now_ns();
	unsigned i;

	for (i = 0; i < copy->count; i++) {
		memcpy(copy->to, copy->from, copy->bytes);
		__asm__ volatile("" : : : "memory"); /* every time anew */
	}
	return (double)copy->bytes * copy->count /
	       (double)(bench_now_ns() - start);
}

double bench_put(const struct gda_dev *dev, int pe,
		 const struct bench_copy *copy)
{
	uint64_t start = bench_now_ns();
	unsigned i;

	for (i = 0; i < copy->count; i++)
		if (gda_dev_put_nbi(dev, copy->to, copy->from, copy->bytes, pe))
			return 0;
	if (gda_dev_quiet(dev))
		return 0;
	return (double)copy->bytes * copy->count /
	       (double)(bench_now_ns() - start);
}

static double compared(const struct bench_row *row)
{
	return row->ratio ? row->value / row->yardstick_value : row->value;
}

static const char *verdict(const struct bench_row *row)
{
	double value = compared(row);

	if (row->value <= 0)
		return "not measured";
	if (row->at_most ? value <= row->target : value >= row->target)
		return "met";
	return "missed";
}

static void print_text(const struct bench *bench)
{
	const struct bench_row *row;
	unsigned i;

	printf("%-44s %10s  %-30s %10s %7s %8s\n", "what", "measured",
	       "yardstick", "measured", "ratio", "target");
	for (i = 0; i < bench->count; i++) {
		row = &bench->rows[i];
		printf("%-44s %6.4g %-4s", row->name, row->value, row->unit);
		if (row->yardstick)
			printf(" %-30s %6.4g %-4s", row->yardstick,
			       row->yardstick_value, row->unit);
		else
			printf(" %-30s %10s ", "-", "");
		if (row->ratio)
			printf(" %6.2fx", compared(row));
		else
			printf(" %7s", "");
		printf(" %s%-6.4g %s\n",
		       row->at_most ? "<=" : ">=", row->target, verdict(row));
	}
}

static void print_json(const struct bench *bench)
{
	const struct bench_row *row;
	unsigned i;

	printf("{\"cpus\": %ld, \"rows\": [\n", sysconf(_SC_NPROCESSORS_ONLN));
	for (i = 0; i < bench->count; i++) {
		row = &bench->rows[i];
		printf("  {\"name\": \"%s\", \"unit\": \"%s\", \"value\": "
		       "%.6g, ",
		       row->name, row->unit, row->value);
		if (row->yardstick)
			printf("\"yardstick\": \"%s\", "
			       "\"yardstick_value\": %.6g, ",
			       row->yardstick, row->yardstick_value);
		if (row->ratio)
			printf("\"ratio\": %.4g, ", compared(row));
		printf("\"target\": %.6g, \"at_most\": %s, \"verdict\": "
		       "\"%s\"}%s\n",
		       row->target, row->at_most ? "true" : "false",
		       verdict(row), i + 1 < bench->count ? "," : "");
	}
	printf("]}\n");
}

int belfry_bench(int argc, char **argv)
{
	struct bench bench = {.scale = 1};
	bool json = false;
	int i;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--json")) {
			json = true;
		} else if (!strcmp(argv[i], "--quick")) {
			bench.scale = 0.1;
		} else {
			fprintf(stderr,
				"belfry bench: '%s': expected --json or "
				"--quick\n",
				argv[i]);
			return 2;
		}
	}
	bench_latency(&bench);
	bench_rate(&bench);
	bench_loop(&bench);
	bench_shm(&bench);
	bench_idle(&bench);
	fputc('\n', stderr);
	if (json)
		print_json(&bench);
	else
		print_text(&bench);
	return bench.failed;
}
