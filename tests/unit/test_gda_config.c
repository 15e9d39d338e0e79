/* SPDX-License-Identifier: MIT */
/*
 * stack/host/config.c and launch.c: what the environment says.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stack/host/internal.h"

static struct gda_config config;

/* Load under an environment of name, value, ..., NULL and nothing else. */
static int load(const char *name, ...)
{
	const char *value;
	va_list args;

	clearenv();
	va_start(args, name);
	while (name) {
		value = va_arg(args, const char *);
		setenv(name, value, 1);
		name = va_arg(args, const char *);
	}
	va_end(args);
	return gda_config_load(&config);
}

#define LOAD(...) load(__VA_ARGS__, NULL)

static void refuse(const char *name, const char *value)
{
	assert_int_equal(LOAD(name, value), -EINVAL);
	assert_non_null(strstr(gda_last_error(), name));
	assert_non_null(strstr(gda_last_error(), value));
	assert_non_null(strstr(gda_last_error(), "expected"));
}

static void test_an_empty_environment_gives_one_pe_with_defaults(void **state)
{
	(void)state;
	assert_int_equal(load(NULL), 0);
	assert_int_equal(config.npes, 1);
	assert_int_equal(config.pe, 0);
	assert_string_equal(config.backend, "auto");
	assert_string_equal(config.job, "");
	assert_non_null(strstr(config.root, "127.0.0.1:"));
	assert_int_equal(gda_config_check(&config), 0);
}

static void test_every_variable_sets_its_field(void **state)
{
	(void)state;
	assert_int_equal(
		LOAD("GDA_BACKEND", "mlx5", "GDA_HEAP_BYTES", "3G",
		     "GDA_QPS_PER_PEER", "4", "GDA_QP_DEPTH", "0x40",
		     "GDA_SHARED", "1", "GDA_SHARED_UAR", "1", "GDA_CQ", "ring",
		     "GDA_DOORBELL", "no-record", "GDA_BATCH", "16",
		     "GDA_FETCH_SLOTS", "7", "GDA_MAX_BUFFERS", "9",
		     "GDA_TIMEOUT_MS", "12", "GDA_OP_TIMEOUT_MS", "0",
		     "GDA_PERSONA", "connectx-8", "GDA_FABRIC", "/f",
		     "GDA_LINK", "roce", "GDA_PROGRESS", "runner", "GDA_STRICT",
		     "1", "GDA_START_COUNTER", "0xfff0", "GDA_ROOT", "h:1",
		     "GDA_JOB", "j", "GDA_LOG", "stderr", "GDA_DEVICE",
		     "mlx5_3:2", "GDA_GID_INDEX", "3", "GDA_SERVICE_LEVEL", "2",
		     "GDA_TRAFFIC_CLASS", "104", "GDA_RELAXED_ORDERING", "1",
		     "GDA_LIBIBVERBS", "/v", "GDA_LIBMLX5", "/m"),
		0);
	assert_string_equal(config.backend, "mlx5");
	assert_true(config.heap_bytes == 3ull << 30);
	assert_int_equal(config.qps_per_peer, 4);
	assert_int_equal(config.qp_depth, 64);
	assert_true(config.shared && config.shared_uar && config.emu.strict);
	assert_int_equal(config.cq_mode, GDA_CQ_RING);
	assert_int_equal(config.doorbell, GDA_DOORBELL_NO_RECORD);
	assert_int_equal(config.batch, 16);
	assert_int_equal(config.fetch_slots, 7);
	assert_int_equal(config.max_buffers, 9);
	assert_int_equal(config.timeout_ms, 12);
	assert_int_equal(config.op_timeout_ms, 0);
	assert_string_equal(config.emu.persona, "connectx-8");
	assert_string_equal(config.emu.fabric, "/f");
	assert_int_equal(config.emu.link, GDA_LINK_ROCE);
	assert_int_equal(config.emu.progress, GDA_PROGRESS_RUNNER);
	assert_int_equal(config.emu.start_counter, 0xfff0);
	assert_string_equal(config.root, "h:1");
	assert_string_equal(config.job, "j");
	assert_ptr_equal(config.log, gda_log_stderr);
	assert_string_equal(config.mlx5.device, "mlx5_3:2");
	assert_int_equal(config.mlx5.gid_index, 3);
	assert_int_equal(config.mlx5.service_level, 2);
	assert_int_equal(config.mlx5.traffic_class, 104);
	assert_true(config.mlx5.relaxed_ordering);
	assert_string_equal(config.mlx5.libibverbs, "/v");
	assert_string_equal(config.mlx5.libmlx5, "/m");
}

static void test_names_of_choices_are_found_whole(void **state)
{
	(void)state;
	assert_int_equal(LOAD("GDA_DOORBELL", "classic"), 0);
	assert_int_equal(config.doorbell, GDA_DOORBELL_CLASSIC);
	assert_int_equal(LOAD("GDA_DOORBELL", "early"), 0);
	assert_int_equal(config.doorbell, GDA_DOORBELL_EARLY);
	assert_int_equal(LOAD("GDA_DOORBELL", "blueflame"), 0);
	assert_int_equal(config.doorbell, GDA_DOORBELL_BLUEFLAME);
	assert_int_equal(LOAD("GDA_SHARED", "block"), 0);
	assert_int_equal(config.shared, GDA_SHARED_BLOCK);
	assert_int_equal(LOAD("GDA_SHARED", "0"), 0);
	assert_int_equal(config.shared, GDA_SHARED_NO);
	assert_int_equal(LOAD("GDA_QUEUE_PLACE", "gpu"), 0);
	assert_int_equal(config.queue_place, GDA_PLACE_GPU);
	assert_int_equal(LOAD("GDA_HEAP_PLACE", "gpu"), 0);
	assert_int_equal(config.heap_place, GDA_PLACE_GPU);
	refuse("GDA_DOORBELL", "blue");
	refuse("GDA_DOORBELL", "lassic");
	refuse("GDA_CQ", "collapsed|ring");
}

static void test_what_is_no_value_is_refused_by_name(void **state)
{
	(void)state;
	refuse("GDA_QP_DEPTH", "many");
	refuse("GDA_QP_DEPTH", "-1");
	refuse("GDA_QP_DEPTH", "12x");
	refuse("GDA_QP_DEPTH", "4294967296");
	refuse("GDA_HEAP_BYTES", "99999999999999999999");
	refuse("GDA_HEAP_BYTES", "17179869184G");
	refuse("GDA_SHARED", "yes");
	refuse("GDA_LOG", "syslog");
}

static void test_launchers_are_understood(void **state)
{
	static const char *const launchers[][2] = {
		{"GDA_NPES", "GDA_PE"},
		{"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"},
		{"MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK"},
		{"PMI_SIZE", "PMI_RANK"},
		{"PMIX_SIZE", "PMIX_RANK"},
		{"SLURM_NTASKS", "SLURM_PROCID"},
		{"MPI_LOCALNRANKS", "MPI_LOCALRANKID"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(launchers) / sizeof(launchers[0]); i++) {
		assert_int_equal(
			LOAD(launchers[i][0], "5", launchers[i][1], "3"), 0);
		assert_int_equal(config.npes, 5);
		assert_int_equal(config.pe, 3);
		assert_int_equal(
			LOAD(launchers[i][0], "5", launchers[i][1], "5"),
			-EINVAL);
		assert_non_null(strstr(gda_last_error(), launchers[i][1]));
	}
}

static void test_our_own_variables_win_over_the_launcher(void **state)
{
	(void)state;
	assert_int_equal(LOAD("SLURM_NTASKS", "8", "SLURM_PROCID", "7",
			      "SLURM_JOB_ID", "123", "GDA_NPES", "2", "GDA_PE",
			      "1"),
			 0);
	assert_int_equal(config.npes, 2);
	assert_int_equal(config.pe, 1);
	assert_string_equal(config.job, "123");
}

static void test_numbers_that_contradict_are_refused(void **state)
{
	(void)state;
	assert_int_equal(LOAD("GDA_NPES", "2", "GDA_PE", "2"), -EINVAL);
	assert_non_null(strstr(gda_last_error(), "0 to 1"));
	assert_int_equal(LOAD("GDA_NPES", "0", "GDA_PE", "0"), -EINVAL);
	assert_int_equal(LOAD("GDA_NPES", "x", "GDA_PE", "0"), -EINVAL);
	assert_int_equal(LOAD("GDA_NPES", "2"), -EINVAL);
	assert_int_equal(LOAD("GDA_PE", "0"), -EINVAL);
	/* A batch shell: the job's size, but no number. */
	assert_int_equal(LOAD("SLURM_NTASKS", "8"), 0);
	assert_int_equal(config.npes, 1);
}

static void test_numbers_take_suffixes(void **state)
{
	uint64_t value;

	(void)state;
	assert_true(gda_parse_number("4k", UINT64_MAX, &value));
	assert_int_equal(value, 4096);
	assert_true(gda_parse_number("2M", UINT64_MAX, &value));
	assert_int_equal(value, 2 << 20);
	assert_true(gda_parse_number("0xffffffff", UINT32_MAX, &value));
	assert_false(gda_parse_number("0x100000000", UINT32_MAX, &value));
	assert_false(gda_parse_number("4M", UINT32_MAX >> 11, &value));
	assert_false(gda_parse_number("", UINT32_MAX, &value));
	assert_false(gda_parse_number(" 4", UINT32_MAX, &value));
	assert_false(gda_parse_number("4kk", UINT32_MAX, &value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_an_empty_environment_gives_one_pe_with_defaults),
		cmocka_unit_test(test_every_variable_sets_its_field),
		cmocka_unit_test(test_names_of_choices_are_found_whole),
		cmocka_unit_test(test_what_is_no_value_is_refused_by_name),
		cmocka_unit_test(test_launchers_are_understood),
		cmocka_unit_test(test_our_own_variables_win_over_the_launcher),
		cmocka_unit_test(test_numbers_that_contradict_are_refused),
		cmocka_unit_test(test_numbers_take_suffixes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
