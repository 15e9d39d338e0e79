/* SPDX-License-Identifier: MIT */
/*
 * stack/backend_mlx5_lib.c, _open.c, _path.c and stack/host/backend.c: which
 * libraries, which device, which addresses; what "auto" takes; and that the
 * installed libraries have every function that is called.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hw/cmd_qp.h"
#include "support/t_mlx5.h"

static const struct gda_backend_ops *const ops = &gda_backend_mlx5;
static struct t_mlx5 *const t = &t_mlx5;

static void refuse_open(int rc, const char *words)
{
	t_mlx5_expect(ops->open(&t->config, &t->backend), rc, words);
	assert_int_equal(t->fake->open_objects, 0);
}

/* ------------------------------------------------------------ libraries */

static void test_a_missing_library_is_named_with_a_way_out(void **state)
{
	(void)state;
	t->config.mlx5.libibverbs = "libnowhere.so.1";
	refuse_open(-ENODEV, "library libnowhere.so.1 cannot be opened");
	assert_true(t_mlx5_says("GDA_BACKEND=emu"));
	t->config.mlx5.libibverbs = t->config.mlx5.libmlx5;
	t->config.mlx5.libmlx5 = "libnowhere.so.5";
	refuse_open(-ENODEV, "library libnowhere.so.5 cannot be opened");
}

static void test_a_library_without_a_function_is_too_old(void **state)
{
	(void)state;
	t->config.mlx5.libmlx5 = "libc.so.6";
	refuse_open(-ENODEV,
		    "libc.so.6 has no mlx5dv_is_supported of version MLX5_1.8");
}

static void test_the_installed_libraries_have_every_function(void **state)
{
	struct gda_mlx5_lib lib;

	(void)state;
	t->config.mlx5.libibverbs = t->config.mlx5.libmlx5 = NULL;
	if (gda_mlx5_lib_open(&t->config, &lib)) {
		assert_true(t_mlx5_says("cannot be opened"));
		printf("skipped: %s\n", gda_last_error());
		skip();
	}
	assert_non_null(lib.create_ah);
	assert_non_null(lib.get_event);
	gda_mlx5_lib_close(&lib);
	assert_null(lib.create_ah);
}

/* -------------------------------------------------------------- devices */

static void test_no_device_is_told_with_what_to_look_at(void **state)
{
	(void)state;
	t->fake->device_count = 0;
	refuse_open(-ENODEV, "libibverbs lists no mlx5 device");
	assert_true(t_mlx5_says("mlx5_ib"));
	t->fake->device_count = -1;
	refuse_open(-ENODEV, "libibverbs lists no mlx5 device");
	t_mlx5_device(0, "rxe_0", IBV_PORT_ACTIVE, IBV_LINK_LAYER_ETHERNET);
	t->fake->devices[0].is_mlx5 = false;
	refuse_open(-ENODEV, "libibverbs lists no mlx5 device");
}

static void test_the_first_active_port_is_taken(void **state)
{
	(void)state;
	t_mlx5_device(0, "mlx5_0", IBV_PORT_DOWN, IBV_LINK_LAYER_INFINIBAND);
	t_mlx5_device(1, "mlx5_1", IBV_PORT_INIT, IBV_LINK_LAYER_INFINIBAND);
	refuse_open(-ENODEV, "mlx5_0 port 1: DOWN; mlx5_1 port 1: INIT");
	t->fake->devices[1].ports = 2;
	t->fake->devices[1].port[1].state = IBV_PORT_ACTIVE;
	assert_int_equal(ops->open(&t->config, &t->backend), 0);
	assert_string_equal(t->backend->name, "mlx5_1 port 2");
	assert_int_equal(t->backend->port, 2);
	assert_int_equal(t->fake->open_flags, MLX5DV_CONTEXT_FLAGS_DEVX);
	ops->close(t->backend);
}

static void test_a_device_is_found_by_name_and_port(void **state)
{
	(void)state;
	t_mlx5_device(1, "mlx5_1", IBV_PORT_ACTIVE, IBV_LINK_LAYER_INFINIBAND);
	t->fake->devices[1].ports = 2;
	t->fake->devices[1].port[1] = t->fake->devices[1].port[0];
	t->config.mlx5.device = "mlx5_1:2";
	assert_int_equal(ops->open(&t->config, &t->backend), 0);
	assert_string_equal(t->backend->name, "mlx5_1 port 2");
	ops->close(t->backend);
	t->config.mlx5.device = "mlx5_1";
	assert_int_equal(ops->open(&t->config, &t->backend), 0);
	assert_string_equal(t->backend->name, "mlx5_1 port 1");
	ops->close(t->backend);
	t->config.mlx5.device = "mlx5_1:3";
	refuse_open(-ENODEV, "it has 2 ports, not 3");
	t->config.mlx5.device = "mlx5_";
	refuse_open(-ENODEV, "no mlx5 device has that name: mlx5_0 is there; "
			     "mlx5_1 is there");
	t->config.mlx5.device = "mlx5_1:0";
	refuse_open(-EINVAL, "\"mlx5_1:0\", expected a name");
	t->config.mlx5.device = ":1";
	refuse_open(-EINVAL, "expected a name");
	t->config.mlx5.device = "mlx5_1:256";
	refuse_open(-EINVAL, "expected a name");
}

static void test_a_device_that_does_not_open_says_why(void **state)
{
	static const struct {
		int error;
		const char *mend;
	} cases[] = {
		{EACCES, "/dev/infiniband/uverbs"},
		{EPERM, "CAP_NET_RAW"},
		{EOPNOTSUPP, "UCTX_EN=1"},
		{EINVAL, "UCTX_EN=1"},
		{ENOMEM, "ulimit -l"},
		{EIO, "dmesg"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		t->fake->devices[0].open_errno = cases[i].error;
		refuse_open(-cases[i].error, cases[i].mend);
		assert_true(t_mlx5_says("mlx5_0: not opened"));
	}
	t->fake->devices[0].open_errno = 0;
	t_mlx5_fail("ibv_query_device", EIO);
	refuse_open(-EIO, "mlx5_0: cannot be queried");
	t_mlx5_fail("ibv_query_port", EIO);
	refuse_open(-ENODEV, "mlx5_0 port 1: Input/output error");
}

static void test_options_of_the_emulated_nic_are_refused(void **state)
{
	const struct gda_config good = t->config;

	(void)state;
	t->config.emu.strict = true;
	refuse_open(-EINVAL, "emu.strict is set");
	t->config = good;
	t->config.emu.start_counter = 1;
	refuse_open(-EINVAL, "emu.start_counter is 0x1,");
	t->config = good;
	t->config.emu.persona = "connectx-8";
	refuse_open(-EINVAL, "emu.persona is \"connectx-8\"");
	t->config = good;
	t->config.emu.trace = "*";
	refuse_open(-EINVAL, "emu.trace is \"*\"");
	/* How an emulated NIC would run is not asked of this one. */
	t->config = good;
	t->config.emu.fabric = "/nowhere";
	t->config.emu.progress = GDA_PROGRESS_RUNNER;
	assert_int_equal(ops->open(&t->config, &t->backend), 0);
	ops->close(t->backend);
}

/* ----------------------------------------------------------------- auto */

static void expect_auto(const struct gda_backend_ops *expected,
			const char *words)
{
	const struct gda_backend_ops *found = NULL;
	char earlier[512];

	gda_take_error(earlier, sizeof(earlier));
	t->log_text[0] = 0;
	assert_int_equal(gda_backend_find(&t->config, &found), 0);
	assert_ptr_equal(found, expected);
	if (!strstr(t->log_text, words))
		fail_msg("\"%s\" does not say \"%s\"", t->log_text, words);
	/* What was missing is no error of this program. */
	assert_string_equal(gda_last_error(), "");
	assert_int_equal(t->fake->open_objects, 0);
}

static void test_auto_takes_a_device_that_is_there(void **state)
{
	(void)state;
	t->config.backend = "auto";
	expect_auto(&gda_backend_mlx5,
		    "backend auto is mlx5: mlx5_0 port 1 is active");
	/* It is there, and open() will say what is wrong with it. */
	t->fake->devices[0].open_errno = EACCES;
	expect_auto(&gda_backend_mlx5, "Permission denied");
	t->config.mlx5.device = "mlx5_7";
	expect_auto(&gda_backend_mlx5, "mlx5_7");
}

static void test_auto_takes_the_emulated_one_where_there_is_none(void **state)
{
	(void)state;
	t->config.backend = "auto";
	t->fake->device_count = 0;
	expect_auto(&gda_backend_emu, "backend auto is emu: mlx5: libibverbs "
				      "lists no mlx5 device");
	t_mlx5_device(0, "mlx5_0", IBV_PORT_DOWN, IBV_LINK_LAYER_INFINIBAND);
	expect_auto(&gda_backend_emu, "mlx5_0 port 1: DOWN");
	t->config.mlx5.libibverbs = "libnowhere.so.1";
	expect_auto(&gda_backend_emu, "libnowhere.so.1 cannot be opened");
}

/* ----------------------------------------------------- port, GID and path */

static void test_the_port_says_how_it_is_reached(void **state)
{
	struct gda_port port;

	(void)state;
	assert_int_equal(ops->query_port(t->backend, &port), 0);
	assert_int_equal(port.active, 1);
	assert_int_equal(port.link, GDA_LINK_IB);
	assert_int_equal(port.lid, 7);
	assert_int_equal(port.mtu, IBV_MTU_2048);
	assert_int_equal(port.number, 1);
	assert_memory_equal(port.gid, t->fake->gids[0].gid.raw, 16);
	t_mlx5_fail("ibv_query_port", EIO);
	t_mlx5_expect(ops->query_port(t->backend, &port), -EIO,
		      "mlx5_0 port 1: cannot be queried");
	t->fake->fail = NULL;
}

static void set_roce(void)
{
	t_mlx5_device(0, "mlx5_0", IBV_PORT_ACTIVE, IBV_LINK_LAYER_ETHERNET);
	t_mlx5_gid(0, IBV_GID_TYPE_ROCE_V1, "fe80::1");
	t_mlx5_gid(1, IBV_GID_TYPE_ROCE_V2, "fe80::1");
	t_mlx5_gid(2, IBV_GID_TYPE_ROCE_V1, "::ffff:10.0.0.1");
	t_mlx5_gid(3, IBV_GID_TYPE_ROCE_V2, "2001:db8::1");
	t_mlx5_gid(5, IBV_GID_TYPE_ROCE_V2, "::ffff:10.0.0.1");
}

static void test_a_roce_port_sends_from_its_best_gid(void **state)
{
	(void)state;
	set_roce();
	t_mlx5_reopen();
	assert_int_equal(t->backend->gid_index, 5);
	t->fake->gids[5].port_num = 0;
	t_mlx5_reopen();
	assert_int_equal(t->backend->gid_index, 3);
	t->fake->gids[3].port_num = 0;
	t_mlx5_reopen();
	assert_int_equal(t->backend->gid_index, 1);
	t->config.mlx5.gid_index = 1;
	t_mlx5_reopen();
	assert_int_equal(t->backend->gid_index, 1);
}

static void test_a_gid_that_cannot_be_used_is_refused(void **state)
{
	(void)state;
	set_roce();
	t->config.mlx5.gid_index = 2;
	refuse_open(-EINVAL, "mlx5.gid_index is 2, a RoCE v1 GID");
	t->config.mlx5.gid_index = 7;
	refuse_open(-EINVAL, "mlx5.gid_index is 7, and mlx5_0 port 1 has no");
	t->config.mlx5.gid_index = 300;
	refuse_open(-EINVAL, "mlx5.gid_index is 300");
	t->config.mlx5.gid_index = GDA_GID_AUTO;
	t->fake->gids[1].port_num = t->fake->gids[3].port_num =
		t->fake->gids[5].port_num = 0;
	refuse_open(-ENODEV, "no GID of RoCE v2");
	t_mlx5_device(0, "mlx5_0", IBV_PORT_ACTIVE, IBV_LINK_LAYER_INFINIBAND);
	t_mlx5_fail("_ibv_query_gid_ex", EIO);
	refuse_open(-ENODEV, "GID 0 cannot be read");
}

static void test_an_infiniband_path_has_a_lid_and_maybe_a_grh(void **state)
{
	struct gda_port remote = {.lid = 0x1234, .link = GDA_LINK_IB};
	uint8_t ads[44] = {0};

	(void)state;
	inet_pton(AF_INET6, "fe80::2", remote.gid);
	t->config.mlx5.service_level = 3;
	assert_int_equal(ops->path(t->backend, &remote, ads), 0);
	assert_int_equal(hw_get(ads, HW_ADS_RLID), 0x1234);
	assert_int_equal(hw_get(ads, HW_ADS_SL), 3);
	assert_int_equal(hw_get(ads, HW_ADS_GRH), 0);
	/* In another subnet, or where the port demands it. */
	inet_pton(AF_INET6, "fec0::2", remote.gid);
	assert_int_equal(ops->path(t->backend, &remote, ads), 0);
	assert_int_equal(hw_get(ads, HW_ADS_GRH), 1);
	assert_int_equal(hw_get(ads, HW_ADS_HOP_LIMIT), 64);
	assert_memory_equal(ads + HW_ADS_RGID, remote.gid, 16);
	t->fake->devices[0].port[0].flags = IBV_QPF_GRH_REQUIRED;
	t_mlx5_reopen();
	memset(ads, 0, sizeof(ads));
	inet_pton(AF_INET6, "fe80::2", remote.gid);
	assert_int_equal(ops->path(t->backend, &remote, ads), 0);
	assert_int_equal(hw_get(ads, HW_ADS_GRH), 1);
}

static void test_a_roce_path_asks_for_the_next_hop(void **state)
{
	struct gda_port remote = {.link = GDA_LINK_ROCE}, port;
	uint8_t ads[44] = {0};

	(void)state;
	set_roce();
	t->config.mlx5.service_level = 5;
	t->config.mlx5.traffic_class = 106;
	t_mlx5_reopen();
	inet_pton(AF_INET6, "::ffff:10.0.0.2", remote.gid);
	assert_int_equal(ops->path(t->backend, &remote, ads), 0);
	assert_memory_equal(t->fake->ah.grh.dgid.raw, remote.gid, 16);
	assert_int_equal(t->fake->ah.grh.sgid_index, 5);
	assert_int_equal(t->fake->ah.grh.traffic_class, 106);
	assert_int_equal(t->fake->ah.sl, 5);
	assert_int_equal(t->fake->ah.is_global, 1);
	assert_int_equal(hw_get(ads, HW_ADS_GRH), 0);
	assert_int_equal(hw_get(ads, HW_ADS_SRC_ADDR_INDEX), 5);
	assert_int_equal(hw_get(ads, HW_ADS_ETH_PRIO), 5);
	assert_int_equal(hw_get(ads, HW_ADS_SL), 0);
	assert_int_equal(hw_get(ads, HW_ADS_TCLASS), 106);
	assert_int_equal(hw_get(ads, HW_ADS_DSCP), 26);
	assert_int_equal(hw_get(ads, HW_ADS_UDP_SPORT), 0xc000);
	assert_memory_equal(ads + HW_ADS_RGID, remote.gid, 16);
	assert_memory_equal(ads + 0x26, t->fake->next_hop, 6);
	assert_int_equal(ops->path(t->backend, &remote, ads), 0);
	assert_int_equal(hw_get(ads, HW_ADS_UDP_SPORT), 0xc001);
	assert_int_equal(ops->query_port(t->backend, &port), 0);
	assert_memory_equal(port.mac, t->fake->next_hop, 6);
}

static void test_a_peer_without_a_route_is_named(void **state)
{
	struct gda_port remote = {.link = GDA_LINK_ROCE};
	uint8_t ads[44] = {0};

	(void)state;
	set_roce();
	t_mlx5_reopen();
	inet_pton(AF_INET6, "::ffff:10.0.0.2", remote.gid);
	t_mlx5_fail("ibv_create_ah", ENETUNREACH);
	t_mlx5_expect(
		ops->path(t->backend, &remote, ads), -ENETUNREACH,
		"no next hop from GID 5 (::ffff:10.0.0.1) to ::ffff:10.0.0.2");
	assert_true(t_mlx5_says("GDA_GID_INDEX"));
	t_mlx5_fail("mlx5dv_init_obj", EINVAL);
	t_mlx5_expect(ops->path(t->backend, &remote, ads), -EINVAL,
		      "no next hop");
	t->fake->fail = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_WITH_FAKE(test_a_missing_library_is_named_with_a_way_out),
		T_WITH_FAKE(test_a_library_without_a_function_is_too_old),
		T_WITH_FAKE(test_the_installed_libraries_have_every_function),
		T_WITH_FAKE(test_no_device_is_told_with_what_to_look_at),
		T_WITH_FAKE(test_the_first_active_port_is_taken),
		T_WITH_FAKE(test_a_device_is_found_by_name_and_port),
		T_WITH_FAKE(test_a_device_that_does_not_open_says_why),
		T_WITH_FAKE(test_options_of_the_emulated_nic_are_refused),
		T_WITH_FAKE(test_auto_takes_a_device_that_is_there),
		T_WITH_FAKE(
			test_auto_takes_the_emulated_one_where_there_is_none),
		T_WITH_DEVICE(test_the_port_says_how_it_is_reached),
		T_WITH_DEVICE(test_a_roce_port_sends_from_its_best_gid),
		T_WITH_FAKE(test_a_gid_that_cannot_be_used_is_refused),
		T_WITH_DEVICE(
			test_an_infiniband_path_has_a_lid_and_maybe_a_grh),
		T_WITH_DEVICE(test_a_roce_path_asks_for_the_next_hop),
		T_WITH_DEVICE(test_a_peer_without_a_route_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
