/* SPDX-License-Identifier: MIT */
/*
 * The random workload with device memory: rings, records, payload, lists of
 * indirect keys and targets of atomics, on one side, on both, or mixed.
 *
 * "test_random_cuda FIRST COUNT" runs other seeds.
 */
#include "support/t_cuda.h"
#include "support/t_sim.h"

#include <stdio.h>
#include <stdlib.h>

#ifdef __SANITIZE_THREAD__
enum { SEEDS = 2 };
#else
enum { SEEDS = 6 };
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
	assert_true(t_cuda()->tidy());
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
	.wire = SIM_LOOP,
	.device_rings = 1000,
	.device_arenas = 1000,
};

static void test_everything_on_the_device_over_loop(void **state)
{
	struct sim_options options = usual;

	(void)state;
	run_seeds("loop, device", &options);
	options.start_counter = 0xfffffff0;
	run_seeds("loop, device, start 0xfffffff0", &options);
}

static void test_everything_on_the_device_over_shm(void **state)
{
	struct sim_options options = usual;

	(void)state;
	options.wire = SIM_SHM;
	run_seeds("shm, device", &options);
}

static void test_payload_on_the_device(void **state)
{
	struct sim_options options = usual;

	(void)state;
	options.device_rings = 0;
	run_seeds("loop, device payload", &options);
	options.wire = SIM_SHM;
	run_seeds("shm, device payload", &options);
}

static void test_queues_on_the_device(void **state)
{
	struct sim_options options = usual;

	(void)state;
	options.device_arenas = 0;
	run_seeds("loop, device queues", &options);
}

static void test_any_mixture(void **state)
{
	struct sim_options options = usual;

	(void)state;
	options.device_rings = options.device_arenas = 500;
	options.nodes = 3;
	options.pairs = 6;
	run_seeds("loop, mixed", &options);
	options.wire = SIM_SHM;
	run_seeds("shm, mixed", &options);
	options.crawl = true;
	run_seeds("shm, mixed, interleaved", &options);
}

static void test_bad_weather(void **state)
{
	struct sim_options options = usual;

	(void)state;
	options.wire = SIM_LOSSY;
	options.rates = (struct t_lossy_rates){.drop = 20,
					       .duplicate = 30,
					       .reorder = 30,
					       .busy = 50,
					       .delay_ns = 50000};
	run_seeds("lossy, device", &options);
	options.self = true;
	run_seeds("lossy, device, to itself", &options);
}

static void test_a_slow_copy_engine(void **state)
{
	struct sim_options options = usual;

	(void)state;
	t_cuda()->set_latency(50);
	run_seeds("loop, slow", &options);
	t_cuda()->set_latency(1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_on_the_device_over_loop),
		cmocka_unit_test(test_everything_on_the_device_over_shm),
		cmocka_unit_test(test_payload_on_the_device),
		cmocka_unit_test(test_queues_on_the_device),
		cmocka_unit_test(test_any_mixture),
		cmocka_unit_test(test_bad_weather),
		cmocka_unit_test(test_a_slow_copy_engine),
	};

	if (argc > 2) {
		first_seed = strtoul(argv[1], NULL, 0);
		seed_count = strtoul(argv[2], NULL, 0);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
