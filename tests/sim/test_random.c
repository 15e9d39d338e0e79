/* SPDX-License-Identifier: MIT */
/*
 * Random requests of every opcode over a wire that loses, repeats and
 * reorders packets: memory, completions and atomics come out as if the
 * requests had been executed once and in order.
 *
 * Every seed is a run of its own. "test_random FIRST COUNT" runs other seeds.
 */
#include "support/t_sim.h"

#include <stdio.h>
#include <stdlib.h>

/* One thread: its sanitizer only has to see that these paths run. */
#ifdef __SANITIZE_THREAD__
enum { SEEDS = 3 };
#else
enum { SEEDS = 16 };
#endif

static unsigned long first_seed = 1, seed_count = SEEDS;

static void run_seeds(const char *what, const struct sim_options *base)
{
	struct sim_options options = *base;
	unsigned long i;

	printf("%s: seeds %lu to %lu\n", what, first_seed,
	       first_seed + seed_count - 1);
	for (i = 0; i < seed_count; i++) {
		options.seed = first_seed + i;
		t_sim_run(&options);
	}
}

static const struct sim_options usual = {
	.nodes = 2,
	.pairs = 3,
	.requests = 60,
	.log_sq_size = 6,
	.log_rq_size = 3,
	.log_ra_max = 4,
	.ack_timeout = 8, /* 1 ms */
	.max_bytes = 24 << 10,
};

static void test_clean_wire_executes_in_order(void **state)
{
	struct sim_options options = usual;

	(void)state;
	run_seeds("clean", &options);
}

static void test_full_wire_executes_in_order(void **state)
{
	struct sim_options options = usual;

	(void)state;
	options.rates.busy = 300;
	run_seeds("busy", &options);
}

static void test_lost_packets_are_sent_again(void **state)
{
	struct sim_options options = usual;

	(void)state;
	options.rates.drop = 30;
	run_seeds("drop", &options);
}

static void test_repeated_packets_execute_once(void **state)
{
	struct sim_options options = usual;

	(void)state;
	options.rates.duplicate = 200;
	options.rates.delay_ns = 30000;
	run_seeds("duplicate", &options);
}

static void test_reordered_packets_execute_in_order(void **state)
{
	struct sim_options options = usual;

	(void)state;
	options.rates.reorder = 50;
	options.rates.delay_ns = 20000;
	run_seeds("reorder", &options);
}

static const struct t_lossy_rates bad_weather = {.drop = 20,
						 .duplicate = 30,
						 .reorder = 30,
						 .busy = 50,
						 .delay_ns = 50000};

static void test_bad_weather_changes_nothing(void **state)
{
	struct sim_options options = usual;

	(void)state;
	options.rates = bad_weather;
	run_seeds("all of it", &options);
}

static void test_counters_wrap_at_16_bits(void **state)
{
	struct sim_options options = usual;

	(void)state;
	options.rates = bad_weather;
	options.start_counter = 0xfff0;
	run_seeds("start 0xfff0", &options);
}

static void test_counters_wrap_at_32_bits(void **state)
{
	struct sim_options options = usual;

	(void)state;
	options.rates = bad_weather;
	options.start_counter = 0xfffffff0;
	run_seeds("start 0xfffffff0", &options);
}

static void test_smallest_queues_work(void **state)
{
	struct sim_options options = usual;

	(void)state;
	options.rates = bad_weather;
	options.log_sq_size = 1;
	options.log_rq_size = options.log_ra_max = 0;
	run_seeds("smallest", &options);
}

static void test_three_nodes_work(void **state)
{
	struct sim_options options = usual;

	(void)state;
	options.nodes = 3;
	options.pairs = 6;
	options.rates = bad_weather;
	run_seeds("three nodes", &options);
}

static void test_queue_pair_connected_to_itself_works(void **state)
{
	struct sim_options options = usual;

	(void)state;
	options.self = true;
	options.rates = bad_weather;
	run_seeds("self", &options);
}

/* More than 64 packets: a message asks for acknowledgements on the way. */
static void test_long_messages_survive(void **state)
{
	struct sim_options options = usual;

	(void)state;
	options.mtu = 1;
	options.max_bytes = 47 << 10;
	options.requests = 30;
	options.rates = bad_weather;
	options.rates.drop = 5;
	run_seeds("long", &options);
}

static void test_any_interleaving_executes_in_order(void **state)
{
	struct sim_options options = usual;

	(void)state;
	options.crawl = true;
	options.max_bytes = 47 << 10;
	options.rates = bad_weather;
	run_seeds("interleaved", &options);
	options.log_sq_size = 2;
	options.log_rq_size = options.log_ra_max = 0;
	run_seeds("interleaved, smallest", &options);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean_wire_executes_in_order),
		cmocka_unit_test(test_full_wire_executes_in_order),
		cmocka_unit_test(test_lost_packets_are_sent_again),
		cmocka_unit_test(test_repeated_packets_execute_once),
		cmocka_unit_test(test_reordered_packets_execute_in_order),
		cmocka_unit_test(test_bad_weather_changes_nothing),
		cmocka_unit_test(test_counters_wrap_at_16_bits),
		cmocka_unit_test(test_counters_wrap_at_32_bits),
		cmocka_unit_test(test_smallest_queues_work),
		cmocka_unit_test(test_three_nodes_work),
		cmocka_unit_test(test_queue_pair_connected_to_itself_works),
		cmocka_unit_test(test_long_messages_survive),
		cmocka_unit_test(test_any_interleaving_executes_in_order),
	};

	if (argc > 2) {
		first_seed = strtoul(argv[1], NULL, 0);
		seed_count = strtoul(argv[2], NULL, 0);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
