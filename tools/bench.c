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

static double ratio(const struct bench_row *row)
{
	return row->yardstick_value > 0 ? row->value / row->yardstick_value : 0;
}

static const char *verdict(const struct bench_row *row)
{
	double value = row->ratio ? ratio(row) : row->value;

	if (row->value <= 0)
		return "not measured";
	if (row->target <= 0)
		return "no target";
	if (row->at_most ? value <= row->target : value >= row->target)
		return "met";
	return "missed";
}

/* Four digits, but no exponent before a million. */
static void print_number(double value)
{
	printf(value >= 1000 && value < 1e6 ? " %6.0f" : " %6.4g", value);
}

static void print_row(const struct bench_row *row)
{
	char target[32] = "";

	printf("%-46s", row->name);
	print_number(row->value);
	printf(" %-5s %-26s", row->unit, row->yardstick ? row->yardstick : "-");
	if (row->yardstick) {
		print_number(row->yardstick_value);
		printf(" %-5s", row->unit);
	} else {
		printf(" %12s", "");
	}
	if (ratio(row) > 0)
		printf(" %6.2fx", ratio(row));
	else
		printf(" %7s", "");
	if (row->target > 0)
		snprintf(target, sizeof(target), "%s%.4g%s%s",
			 row->at_most ? "<=" : ">=", row->target,
			 row->ratio ? "" : " ", row->ratio ? "x" : row->unit);
	printf(" %-9s %s%s%s\n", target, verdict(row), row->note ? ": " : "",
	       row->note ? row->note : "");
}

static void print_text(const struct bench *bench)
{
	unsigned i;

	printf("%-46s %-12s %-26s %-12s %7s %s\n", "what", "measured",
	       "yardstick", "measured", "ratio", "target");
	for (i = 0; i < bench->count; i++)
		print_row(&bench->rows[i]);
}

/* Other people's words may hold anything. */
static void print_json_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar(*text >= ' ' && *text <= '~' ? *text : '?');
	}
	putchar('"');
}

static void print_json_row(const struct bench_row *row)
{
	printf("  {\"name\": \"%s\", \"unit\": \"%s\", \"value\": %.6g, ",
	       row->name, row->unit, row->value);
	if (row->yardstick)
		printf("\"yardstick\": \"%s\", \"yardstick_value\": %.6g, "
		       "\"ratio\": %.4g, ",
		       row->yardstick, row->yardstick_value, ratio(row));
	printf("\"target\": ");
	if (row->target > 0)
		printf("%.6g", row->target);
	else
		printf("null");
	printf(", \"at_most\": %s, \"verdict\": \"%s\"",
	       row->at_most ? "true" : "false", verdict(row));
	if (row->note) {
		printf(", \"note\": ");
		print_json_string(row->note);
	}
	putchar('}');
}

static void print_json(const struct bench *bench)
{
	unsigned i;

	printf("{\"cpus\": %ld, \"rows\": [\n", sysconf(_SC_NPROCESSORS_ONLN));
	for (i = 0; i < bench->count; i++) {
		print_json_row(&bench->rows[i]);
		puts(i + 1 < bench->count ? "," : "");
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
	bench_perftest(&bench);
	bench_idle(&bench);
	fputc('\n', stderr);
	if (json)
		print_json(&bench);
	else
		print_text(&bench);
	return bench.failed;
}
