/* SPDX-License-Identifier: MIT */
/*
 * Random operations under every combination of doorbell protocol, CQ mode,
 * sharing and batching, on queues of the smallest legal size, with counters
 * that start just below 2^16 and 2^32.
 *
 * One thread plays all PEs (the NICs move in its pause hook), so a run is the
 * list of its operations and repeats from its seed: T_SEED in the
 * environment, printed on failure.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/t_pes.h"
#include "support/t_rng.h"

enum { NPES = 2, BYTES = 4096, STEPS = 150 };

/* The PEs, and what their memory must hold once all is quiet. */
struct world {
	struct t_pe pes[NPES];
	uint8_t *model[NPES];
	struct t_rng rng;
	uint64_t seed;
	int lanes;
	int failures;
};

static void expect(struct world *world, bool condition, const char *what)
{
	if (condition)
		return;
	if (!world->failures++)
		printf("%s is wrong, T_SEED=%llu (%s)\n", what,
		       (unsigned long long)world->seed, gda_last_error());
}

static uint8_t *memory(struct world *world, int pe)
{
	return world->pes[pe].arg;
}

/* The middle third of the memory is only written by remote operations. */
static uint32_t random_target(struct world *world, uint32_t len)
{
	return BYTES / 4 + t_below(&world->rng, BYTES / 2 - len);
}

static void do_put(struct world *world, const struct gda_dev *dev, int to)
{
	uint32_t len = t_below(&world->rng, 300);
	uint32_t at = random_target(world, len);
	uint32_t from = t_below(&world->rng, BYTES / 4 - 300);
	uint8_t *mine = memory(world, dev->pe);
	int rc;

	if (t_chance(&world->rng, 500))
		rc = gda_dev_put(dev, mine + at, mine + from, len, to);
	else
		rc = gda_dev_put_nbi(dev, mine + at, mine + from, len, to);
	expect(world, rc == 0, "put");
	memcpy(world->model[to] + at, world->model[dev->pe] + from, len);
}

static void do_p(struct world *world, const struct gda_dev *dev, int to)
{
	uint32_t at = random_target(world, 8) & ~7u;
	uint64_t value = t_random(&world->rng);
	uint8_t *mine = memory(world, dev->pe);

	expect(world, !gda_dev_p_u64(dev, (uint64_t *)(mine + at), value, to),
	       "p");
	memcpy(world->model[to] + at, &value, sizeof(value));
}

/* The last quarter is brought by gets, after which all must be quiet. */
static void do_get(struct world *world, const struct gda_dev *dev, int to)
{
	uint32_t len = t_below(&world->rng, 300);
	uint32_t at = BYTES * 3 / 4 + t_below(&world->rng, BYTES / 4 - len);
	uint32_t from = random_target(world, len);
	uint8_t *mine = memory(world, dev->pe);

	expect(world, !gda_dev_get(dev, mine + at, mine + from, len, to),
	       "get");
	memcpy(world->model[dev->pe] + at, world->model[to] + from, len);
}

static void do_atomic(struct world *world, const struct gda_dev *dev, int to)
{
	uint32_t at = random_target(world, 8) & ~7u;
	uint64_t value = t_random(&world->rng);
	uint64_t *mine = (uint64_t *)(memory(world, dev->pe) + at);
	uint64_t now, old = 0;

	memcpy(&now, world->model[to] + at, sizeof(now));
	if (t_chance(&world->rng, 300)) {
		expect(world,
		       !gda_dev_atomic_fetch_and_u64(dev, mine, value, to,
						     &old) &&
			       old == now,
		       "fetch_and");
		now &= value;
	} else if (t_chance(&world->rng, 300)) {
		expect(world, !gda_dev_atomic_set_u64(dev, mine, value, to),
		       "set");
		now = value;
	} else {
		expect(world, !gda_dev_atomic_add_u64(dev, mine, value, to),
		       "add");
		now += value;
	}
	memcpy(world->model[to] + at, &now, sizeof(now));
}

static void do_put_signal(struct world *world, const struct gda_dev *dev,
			  int to)
{
	uint32_t at = random_target(world, 64) & ~7u;
	uint8_t *mine = memory(world, dev->pe);
	uint64_t value = t_random(&world->rng);
	struct gda_dev_signal signal = {(uint64_t *)(mine + at + 56), value, to,
					GDA_DEV_SIGNAL_SET};

	expect(world,
	       !gda_dev_put_signal_nbi(dev, mine + at, mine, 56, &signal),
	       "put_signal");
	memcpy(world->model[to] + at, world->model[dev->pe], 56);
	memcpy(world->model[to] + at + 56, &value, sizeof(value));
}

/* Different lanes and PEs are not ordered: each step of one is finished. */
static void do_step(struct world *world)
{
	int pe = (int)t_below(&world->rng, NPES);
	int to = (int)t_below(&world->rng, NPES);
	int lane = (int)t_below(&world->rng, (uint32_t)world->lanes);
	struct gda_dev dev = gda_dev_lane(world->pes[pe].dev, lane);
	uint32_t count = 1 + t_below(&world->rng, 6);

	while (count--) {
		switch (t_below(&world->rng, 5)) {
		case 0:
			do_put(world, &dev, to);
			break;
		case 1:
			do_p(world, &dev, to);
			break;
		case 2:
			do_atomic(world, &dev, to);
			break;
		case 3:
			do_put_signal(world, &dev, to);
			break;
		default:
			do_get(world, &dev, to);
			break;
		}
	}
	expect(world, gda_dev_quiet_pe(&dev, to) == 0, "quiet");
}

/* A run that never reached the wrap would prove nothing. */
static void expect_wrap(struct world *world, const struct gda_config *config)
{
	uint64_t start = config->emu.start_counter;
	uint64_t wrap = start > 0xffff ? 1ull << 32 : 1ull << 16;
	int pe, i;

	for (pe = 0; start && pe < NPES; pe++)
		for (i = 0; i < NPES * world->lanes; i++)
			expect(world,
			       world->pes[pe].dev->qps[i].completed > wrap,
			       "the counter's wrap");
}

static void run(const struct gda_config *config, struct world *world)
{
	int pe, i;

	world->lanes = (int)config->qps_per_peer;
	world->failures = t_pes_start(config, NPES, BYTES, world->pes);
	if (world->failures)
		return;
	for (pe = 0; pe < NPES; pe++) {
		world->model[pe] = malloc(BYTES);
		t_random_bytes(&world->rng, memory(world, pe), BYTES);
		memcpy(world->model[pe], memory(world, pe), BYTES);
	}
	for (i = 0; i < STEPS && !world->failures; i++)
		do_step(world);
	for (pe = 0; pe < NPES; pe++) {
		expect(world,
		       !memcmp(world->model[pe], memory(world, pe), BYTES),
		       "memory");
		free(world->model[pe]);
	}
	expect_wrap(world, config);
	world->failures += t_pes_stop(world->pes, NPES);
}

static uint64_t first_seed(void)
{
	const char *text = getenv("T_SEED");

	return text ? strtoull(text, NULL, 0) : 1;
}

static void run_seeded(const struct gda_config *config, uint64_t salt)
{
	struct world world = {.seed = first_seed()};

	world.rng.state = world.seed * 1000003 + salt;
	run(config, &world);
	if (world.failures)
		printf("doorbell %d cq %d shared %d batch %u depth %u strict "
		       "%d start 0x%x shared_uar %d\n",
		       config->doorbell, config->cq_mode, config->shared,
		       config->batch, config->qp_depth, config->emu.strict,
		       config->emu.start_counter, config->shared_uar);
	assert_int_equal(world.failures, 0);
}

/* All values of the four choices, for one depth and start. */
static void run_matrix(struct gda_config *config)
{
	int doorbell, ring, shared, batch;
	uint64_t salt = 0;

	for (doorbell = 0; doorbell <= GDA_DOORBELL_BLUEFLAME; doorbell++)
		for (ring = 0; ring < 2; ring++)
			for (shared = 0; shared < 2; shared++)
				for (batch = 1; batch <= 8; batch *= 8) {
					config->doorbell =
						(enum gda_doorbell)doorbell;
					config->cq_mode =
						(enum gda_cq_mode)ring;
					config->shared = shared;
					config->batch = (uint32_t)batch;
					run_seeded(config, salt++);
				}
}

static void set_up(struct gda_config *config)
{
	t_config(config);
	t_emu_options(config, "connectx-8", 0); /* which needs no record */
}

static void test_every_protocol_on_the_smallest_queue(void **state)
{
	struct gda_config config;

	(void)state;
	set_up(&config);
	config.qp_depth = GDA_DEV_DEPTH_MIN;
	run_matrix(&config);
}

static void test_every_protocol_across_2_to_the_16(void **state)
{
	struct gda_config config;

	(void)state;
	set_up(&config);
	config.qp_depth = 16;
	config.emu.start_counter = 0x10000 - 100;
	config.emu.strict = true;
	run_matrix(&config);
}

static void test_every_protocol_across_2_to_the_32(void **state)
{
	struct gda_config config;

	(void)state;
	set_up(&config);
	config.qp_depth = 8;
	config.qps_per_peer = 2;
	config.emu.start_counter = 0xffffffffu - 20;
	run_matrix(&config);
}

static void test_lanes_that_share_a_doorbell_page(void **state)
{
	struct gda_config config;

	(void)state;
	set_up(&config);
	config.shared_uar = true;
	config.qps_per_peer = 3;
	config.doorbell = GDA_DOORBELL_CLASSIC;
	run_seeded(&config, 1);
	config.doorbell = GDA_DOORBELL_EARLY;
	run_seeded(&config, 2);
	config.doorbell = GDA_DOORBELL_BLUEFLAME;
	run_seeded(&config, 3);
}

static void test_the_largest_queue_and_the_roce_link(void **state)
{
	struct gda_config config;

	(void)state;
	set_up(&config);
	config.qp_depth = GDA_DEV_DEPTH_MAX;
	config.cq_mode = GDA_CQ_RING;
	config.emu.link = GDA_LINK_ROCE;
	run_seeded(&config, 1);
}

static void test_every_persona(void **state)
{
	static const char *const names[] = {"connectx-5", "connectx-6",
					    "connectx-7", "connectx-8"};
	struct gda_config config;
	size_t i;

	(void)state;
	t_config(&config);
	for (i = 0; i < 4; i++) {
		config.emu.persona = names[i];
		run_seeded(&config, i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_protocol_on_the_smallest_queue),
		cmocka_unit_test(test_lanes_that_share_a_doorbell_page),
		cmocka_unit_test(test_the_largest_queue_and_the_roce_link),
	};
	/* They set where counters start, or the persona. */
	const struct CMUnitTest emu_tests[] = {
		cmocka_unit_test(test_every_protocol_across_2_to_the_16),
		cmocka_unit_test(test_every_protocol_across_2_to_the_32),
		cmocka_unit_test(test_every_persona),
	};
	int failures = cmocka_run_group_tests(tests, NULL, NULL);

	if (t_is_emu())
		failures += cmocka_run_group_tests(emu_tests, NULL, NULL);
	return failures;
}
