/* SPDX-License-Identifier: MIT */
/*
 * stack/backend_mlx5*.c: what stack/backend.h promises of each entry, on fake
 * libraries (support/fake/); and that the installed ones have every function
 * that is called.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hw/cmd_qp.h"
#include "hw/doorbell.h"
#include "stack/backend_mlx5.h"
#include "stack/host/internal.h"
#include "support/fake/fake_rdma.h"
#include "support/t_pes.h"

static const struct gda_backend_ops *const ops = &gda_backend_mlx5;
static struct fake_rdma *fake;
static struct gda_config config;
static struct gda_backend *backend;
static char log_text[4096];
static uint8_t in[0x110], out[0x110];
static const struct gda_mailbox box = {in, sizeof(in), out, 16};

static void remember(void *arg, enum gda_log_level level, const char *text)
{
	size_t used = strlen(log_text);

	(void)arg, (void)level;
	snprintf(log_text + used, sizeof(log_text) - used, "%s\n", text);
}

static bool says(const char *words)
{
	return strstr(gda_last_error(), words) != NULL;
}

static void expect(int rc, int expected, const char *words)
{
	if (rc != expected || !says(words))
		fail_msg("returned %d and says \"%s\", expected %d and \"%s\"",
			 rc, gda_last_error(), expected, words);
}

static void set_gid(uint32_t index, enum ibv_gid_type type, const char *text)
{
	fake->gids[index].port_num = 1;
	fake->gids[index].gid_type = type;
	inet_pton(AF_INET6, text, fake->gids[index].gid.raw);
}

static void set_device(int index, const char *name, enum ibv_port_state state,
		       uint8_t link_layer)
{
	struct fake_device *device = &fake->devices[index];

	device->name = name;
	device->is_mlx5 = true;
	device->ports = 1;
	device->port[0].state = state;
	device->port[0].lid = 7;
	device->port[0].active_mtu = IBV_MTU_2048;
	device->port[0].link_layer = link_layer;
	if (fake->device_count <= index)
		fake->device_count = index + 1;
}

/* One InfiniBand device with an active port; fakes instead of libraries. */
static void set_up_fake(void)
{
	static void *library;

	if (!library)
		library = dlopen(FAKE_RDMA, RTLD_NOW);
	assert_non_null(library);
	fake = dlsym(library, "fake_rdma");
	memset(fake, 0, sizeof(*fake));
	fake->uar_types = 7;
	memcpy(fake->next_hop, "\x02\x03\x04\x05\x06\x07", 6);
	set_device(0, "mlx5_0", IBV_PORT_ACTIVE, IBV_LINK_LAYER_INFINIBAND);
	set_gid(0, IBV_GID_TYPE_IB, "fe80::1");
	t_config(&config);
	config.backend = "mlx5";
	config.mlx5.libibverbs = config.mlx5.libmlx5 = FAKE_RDMA;
	config.log = remember;
	log_text[0] = 0;
	memset(in, 0, sizeof(in));
}

static int set_up(void **state)
{
	(void)state;
	set_up_fake();
	return ops->open(&config, &backend);
}

/* Whatever a test did, all that was made is gone; and the right ABI was used. */
static int tear_down(void **state)
{
	(void)state;
	ops->close(backend);
	return fake->open_objects || fake->old_calls;
}

static int set_up_only(void **state)
{
	(void)state;
	set_up_fake();
	return 0;
}

static int tear_down_only(void **state)
{
	(void)state;
	return fake->open_objects || fake->old_calls;
}

static void reopen(void)
{
	ops->close(backend);
	if (ops->open(&config, &backend))
		fail_msg("%s", gda_last_error());
}

static void fail_next(const char *function, int error)
{
	fake->fail = function;
	fake->error = error;
}

static void refuse_open(int rc, const char *words)
{
	expect(ops->open(&config, &backend), rc, words);
	assert_int_equal(fake->open_objects, 0);
}

/* ------------------------------------------------------------ libraries */

static void test_a_missing_library_is_named_with_a_way_out(void **state)
{
	(void)state;
	config.mlx5.libibverbs = "libnowhere.so.1";
	refuse_open(-ENODEV, "library libnowhere.so.1 cannot be opened");
	assert_true(says("GDA_BACKEND=emu"));
	config.mlx5.libibverbs = FAKE_RDMA;
	config.mlx5.libmlx5 = "libnowhere.so.5";
	refuse_open(-ENODEV, "library libnowhere.so.5 cannot be opened");
}

static void test_a_library_without_a_function_is_too_old(void **state)
{
	(void)state;
	config.mlx5.libmlx5 = "libc.so.6";
	refuse_open(-ENODEV,
		    "libc.so.6 has no mlx5dv_is_supported of version MLX5_1.8");
}

static void test_the_installed_libraries_have_every_function(void **state)
{
	struct gda_mlx5_lib lib;

	(void)state;
	config.mlx5.libibverbs = config.mlx5.libmlx5 = NULL;
	if (gda_mlx5_lib_open(&config, &lib)) {
		assert_true(says("cannot be opened"));
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
	fake->device_count = 0;
	refuse_open(-ENODEV, "libibverbs lists no mlx5 device");
	assert_true(says("mlx5_ib"));
	fake->device_count = -1;
	refuse_open(-ENODEV, "libibverbs lists no mlx5 device");
	set_device(0, "rxe_0", IBV_PORT_ACTIVE, IBV_LINK_LAYER_ETHERNET);
	fake->devices[0].is_mlx5 = false;
	refuse_open(-ENODEV, "libibverbs lists no mlx5 device");
}

static void test_the_first_active_port_is_taken(void **state)
{
	(void)state;
	set_device(0, "mlx5_0", IBV_PORT_DOWN, IBV_LINK_LAYER_INFINIBAND);
	set_device(1, "mlx5_1", IBV_PORT_INIT, IBV_LINK_LAYER_INFINIBAND);
	refuse_open(-ENODEV, "mlx5_0 port 1: DOWN; mlx5_1 port 1: INIT");
	fake->devices[1].ports = 2;
	fake->devices[1].port[1].state = IBV_PORT_ACTIVE;
	assert_int_equal(ops->open(&config, &backend), 0);
	assert_string_equal(backend->name, "mlx5_1 port 2");
	assert_int_equal(backend->port, 2);
	assert_int_equal(fake->open_flags, MLX5DV_CONTEXT_FLAGS_DEVX);
	ops->close(backend);
}

static void test_a_device_is_found_by_name_and_port(void **state)
{
	(void)state;
	set_device(1, "mlx5_1", IBV_PORT_ACTIVE, IBV_LINK_LAYER_INFINIBAND);
	fake->devices[1].ports = 2;
	fake->devices[1].port[1] = fake->devices[1].port[0];
	config.mlx5.device = "mlx5_1:2";
	assert_int_equal(ops->open(&config, &backend), 0);
	assert_string_equal(backend->name, "mlx5_1 port 2");
	ops->close(backend);
	config.mlx5.device = "mlx5_1";
	assert_int_equal(ops->open(&config, &backend), 0);
	assert_string_equal(backend->name, "mlx5_1 port 1");
	ops->close(backend);
	config.mlx5.device = "mlx5_1:3";
	refuse_open(-ENODEV, "it has 2 ports, not 3");
	config.mlx5.device = "mlx5_";
	refuse_open(-ENODEV, "no mlx5 device has that name: mlx5_0 is there; "
			     "mlx5_1 is there");
	config.mlx5.device = "mlx5_1:0";
	refuse_open(-EINVAL, "\"mlx5_1:0\", expected a name");
	config.mlx5.device = ":1";
	refuse_open(-EINVAL, "expected a name");
	config.mlx5.device = "mlx5_1:256";
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
		fake->devices[0].open_errno = cases[i].error;
		refuse_open(-cases[i].error, cases[i].mend);
		assert_true(says("mlx5_0: not opened"));
	}
	fake->devices[0].open_errno = 0;
	fail_next("ibv_query_device", EIO);
	refuse_open(-EIO, "mlx5_0: cannot be queried");
	fail_next("ibv_query_port", EIO);
	refuse_open(-ENODEV, "mlx5_0 port 1: Input/output error");
}

static void test_options_of_the_emulated_nic_are_refused(void **state)
{
	const struct gda_config good = config;

	(void)state;
	config.emu.strict = true;
	refuse_open(-EINVAL, "emu.strict is set");
	config = good;
	config.emu.start_counter = 1;
	refuse_open(-EINVAL, "emu.start_counter is set");
	config = good;
	config.emu.persona = "connectx-8";
	refuse_open(-EINVAL, "emu.persona is set");
	config = good;
	config.emu.trace = "*";
	refuse_open(-EINVAL, "emu.trace is set");
	/* How an emulated NIC would run is not asked of this one. */
	config = good;
	config.emu.fabric = "/nowhere";
	config.emu.progress = GDA_PROGRESS_RUNNER;
	assert_int_equal(ops->open(&config, &backend), 0);
	ops->close(backend);
}

/* ----------------------------------------------------------------- auto */

static void expect_auto(const struct gda_backend_ops *expected,
			const char *words)
{
	const struct gda_backend_ops *found = NULL;
	char earlier[512];

	gda_take_error(earlier, sizeof(earlier));
	log_text[0] = 0;
	assert_int_equal(gda_backend_find(&config, &found), 0);
	assert_ptr_equal(found, expected);
	if (!strstr(log_text, words))
		fail_msg("\"%s\" does not say \"%s\"", log_text, words);
	/* What was missing is no error of this program. */
	assert_string_equal(gda_last_error(), "");
	assert_int_equal(fake->open_objects, 0);
}

static void test_auto_takes_a_device_that_is_there(void **state)
{
	(void)state;
	config.backend = "auto";
	expect_auto(&gda_backend_mlx5,
		    "backend auto is mlx5: mlx5_0 port 1 is active");
	/* It is there, and open() will say what is wrong with it. */
	fake->devices[0].open_errno = EACCES;
	expect_auto(&gda_backend_mlx5, "Permission denied");
	config.mlx5.device = "mlx5_7";
	expect_auto(&gda_backend_mlx5, "mlx5_7");
}

static void test_auto_takes_the_emulated_one_where_there_is_none(void **state)
{
	(void)state;
	config.backend = "auto";
	fake->device_count = 0;
	expect_auto(&gda_backend_emu, "backend auto is emu: mlx5: libibverbs "
				      "lists no mlx5 device");
	set_device(0, "mlx5_0", IBV_PORT_DOWN, IBV_LINK_LAYER_INFINIBAND);
	expect_auto(&gda_backend_emu, "mlx5_0 port 1: DOWN");
	config.mlx5.libibverbs = "libnowhere.so.1";
	expect_auto(&gda_backend_emu, "libnowhere.so.1 cannot be opened");
}

/* ----------------------------------------------------- port, GID and path */

static void test_the_port_says_how_it_is_reached(void **state)
{
	struct gda_port port;

	(void)state;
	assert_int_equal(ops->query_port(backend, &port), 0);
	assert_int_equal(port.active, 1);
	assert_int_equal(port.link, GDA_LINK_IB);
	assert_int_equal(port.lid, 7);
	assert_int_equal(port.mtu, IBV_MTU_2048);
	assert_int_equal(port.number, 1);
	assert_memory_equal(port.gid, fake->gids[0].gid.raw, 16);
	fail_next("ibv_query_port", EIO);
	expect(ops->query_port(backend, &port), -EIO,
	       "mlx5_0 port 1: cannot be queried");
	fake->fail = NULL;
}

static void set_roce(void)
{
	set_device(0, "mlx5_0", IBV_PORT_ACTIVE, IBV_LINK_LAYER_ETHERNET);
	set_gid(0, IBV_GID_TYPE_ROCE_V1, "fe80::1");
	set_gid(1, IBV_GID_TYPE_ROCE_V2, "fe80::1");
	set_gid(2, IBV_GID_TYPE_ROCE_V1, "::ffff:10.0.0.1");
	set_gid(3, IBV_GID_TYPE_ROCE_V2, "2001:db8::1");
	set_gid(5, IBV_GID_TYPE_ROCE_V2, "::ffff:10.0.0.1");
}

static void test_a_roce_port_sends_from_its_best_gid(void **state)
{
	(void)state;
	set_roce();
	reopen();
	assert_int_equal(backend->gid_index, 5);
	fake->gids[5].port_num = 0;
	reopen();
	assert_int_equal(backend->gid_index, 3);
	fake->gids[3].port_num = 0;
	reopen();
	assert_int_equal(backend->gid_index, 1);
	config.mlx5.gid_index = 1;
	reopen();
	assert_int_equal(backend->gid_index, 1);
}

static void test_a_gid_that_cannot_be_used_is_refused(void **state)
{
	(void)state;
	set_roce();
	config.mlx5.gid_index = 2;
	refuse_open(-EINVAL, "mlx5.gid_index is 2, a RoCE v1 GID");
	config.mlx5.gid_index = 7;
	refuse_open(-EINVAL, "mlx5.gid_index is 7, and mlx5_0 port 1 has no");
	config.mlx5.gid_index = 300;
	refuse_open(-EINVAL, "mlx5.gid_index is 300");
	config.mlx5.gid_index = GDA_GID_AUTO;
	fake->gids[1].port_num = fake->gids[3].port_num =
		fake->gids[5].port_num = 0;
	refuse_open(-ENODEV, "no GID of RoCE v2");
	set_device(0, "mlx5_0", IBV_PORT_ACTIVE, IBV_LINK_LAYER_INFINIBAND);
	fail_next("_ibv_query_gid_ex", EIO);
	refuse_open(-ENODEV, "GID 0 cannot be read");
}

static void test_an_infiniband_path_has_a_lid_and_maybe_a_grh(void **state)
{
	struct gda_port remote = {.lid = 0x1234, .link = GDA_LINK_IB};
	uint8_t ads[44] = {0};

	(void)state;
	inet_pton(AF_INET6, "fe80::2", remote.gid);
	config.mlx5.service_level = 3;
	assert_int_equal(ops->path(backend, &remote, ads), 0);
	assert_int_equal(hw_get(ads, HW_ADS_RLID), 0x1234);
	assert_int_equal(hw_get(ads, HW_ADS_SL), 3);
	assert_int_equal(hw_get(ads, HW_ADS_GRH), 0);
	/* In another subnet, or where the port demands it. */
	inet_pton(AF_INET6, "fec0::2", remote.gid);
	assert_int_equal(ops->path(backend, &remote, ads), 0);
	assert_int_equal(hw_get(ads, HW_ADS_GRH), 1);
	assert_int_equal(hw_get(ads, HW_ADS_HOP_LIMIT), 64);
	assert_memory_equal(ads + HW_ADS_RGID, remote.gid, 16);
	fake->devices[0].port[0].flags = IBV_QPF_GRH_REQUIRED;
	reopen();
	memset(ads, 0, sizeof(ads));
	inet_pton(AF_INET6, "fe80::2", remote.gid);
	assert_int_equal(ops->path(backend, &remote, ads), 0);
	assert_int_equal(hw_get(ads, HW_ADS_GRH), 1);
}

static void test_a_roce_path_asks_for_the_next_hop(void **state)
{
	struct gda_port remote = {.link = GDA_LINK_ROCE}, port;
	uint8_t ads[44] = {0};

	(void)state;
	set_roce();
	config.mlx5.service_level = 5;
	config.mlx5.traffic_class = 106;
	reopen();
	inet_pton(AF_INET6, "::ffff:10.0.0.2", remote.gid);
	assert_int_equal(ops->path(backend, &remote, ads), 0);
	assert_memory_equal(fake->ah.grh.dgid.raw, remote.gid, 16);
	assert_int_equal(fake->ah.grh.sgid_index, 5);
	assert_int_equal(fake->ah.grh.traffic_class, 106);
	assert_int_equal(fake->ah.sl, 5);
	assert_int_equal(fake->ah.is_global, 1);
	assert_int_equal(hw_get(ads, HW_ADS_GRH), 0);
	assert_int_equal(hw_get(ads, HW_ADS_SRC_ADDR_INDEX), 5);
	assert_int_equal(hw_get(ads, HW_ADS_ETH_PRIO), 5);
	assert_int_equal(hw_get(ads, HW_ADS_SL), 0);
	assert_int_equal(hw_get(ads, HW_ADS_TCLASS), 106);
	assert_int_equal(hw_get(ads, HW_ADS_DSCP), 26);
	assert_int_equal(hw_get(ads, HW_ADS_UDP_SPORT), 0xc000);
	assert_memory_equal(ads + HW_ADS_RGID, remote.gid, 16);
	assert_memory_equal(ads + 0x26, fake->next_hop, 6);
	assert_int_equal(ops->path(backend, &remote, ads), 0);
	assert_int_equal(hw_get(ads, HW_ADS_UDP_SPORT), 0xc001);
	assert_int_equal(ops->query_port(backend, &port), 0);
	assert_memory_equal(port.mac, fake->next_hop, 6);
}

static void test_a_peer_without_a_route_is_named(void **state)
{
	struct gda_port remote = {.link = GDA_LINK_ROCE};
	uint8_t ads[44] = {0};

	(void)state;
	set_roce();
	reopen();
	inet_pton(AF_INET6, "::ffff:10.0.0.2", remote.gid);
	fail_next("ibv_create_ah", ENETUNREACH);
	expect(ops->path(backend, &remote, ads), -ENETUNREACH,
	       "no next hop from GID 5 (::ffff:10.0.0.1) to ::ffff:10.0.0.2");
	assert_true(says("GDA_GID_INDEX"));
	fail_next("mlx5dv_init_obj", EINVAL);
	expect(ops->path(backend, &remote, ads), -EINVAL, "no next hop");
	fake->fail = NULL;
}

/* ----------------------------------------------------- mailboxes, objects */

static void test_a_mailbox_goes_through_and_its_answer_comes_back(void **state)
{
	(void)state;
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_QUERY_HCA_CAP);
	memset(out, 0xff, sizeof(out));
	assert_int_equal(ops->command(backend, &box), 0);
	assert_memory_equal(fake->last_in, in, 16);
	assert_int_equal(hw_get(out, HW_CMD_OUT_STATUS), 0);
	/* A refusal with the device's answer, and one without. */
	fail_next("mlx5dv_devx_general_cmd", EREMOTEIO);
	fake->status = 3;
	assert_int_equal(ops->command(backend, &box), 0);
	assert_int_equal(hw_get(out, HW_CMD_OUT_STATUS), 3);
	fake->status = 0;
	expect(ops->command(backend, &box), -EREMOTEIO,
	       "command 0x100 failed in the kernel");
	fake->fail = NULL;
}

static void test_an_object_lives_until_it_is_destroyed(void **state)
{
	struct gda_obj *obj = NULL;

	(void)state;
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_QP);
	assert_int_equal(ops->obj_create(backend, &box, &obj), 0);
	assert_non_null(obj);
	assert_int_equal(hw_get(out, HW_CMD_OUT_NUMBER), 0x123456);
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_RST2INIT_QP);
	assert_int_equal(ops->obj_modify(obj, &box), 0);
	assert_memory_equal(fake->last_in, in, 16);
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_QUERY_QP);
	assert_int_equal(ops->obj_query(obj, &box), 0);
	assert_memory_equal(fake->last_in, in, 16);
	fail_next("mlx5dv_devx_obj_modify", EREMOTEIO);
	expect(ops->obj_modify(obj, &box), -EREMOTEIO, "command 0x50b failed");
	fail_next("mlx5dv_devx_obj_query", EREMOTEIO);
	fake->status = 5;
	assert_int_equal(ops->obj_query(obj, &box), 0);
	assert_int_equal(hw_get(out, HW_CMD_OUT_STATUS), 5);
	fail_next("mlx5dv_devx_obj_destroy", EBUSY);
	expect(ops->obj_destroy(obj), -EBUSY, "cannot be destroyed");
	fake->fail = NULL;
	assert_int_equal(ops->obj_destroy(obj), 0);
}

static void test_a_refused_create_makes_nothing(void **state)
{
	struct gda_obj *obj = (struct gda_obj *)&box;

	(void)state;
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_CQ);
	fail_next("mlx5dv_devx_obj_create", EREMOTEIO);
	fake->status = 3;
	assert_int_equal(ops->obj_create(backend, &box, &obj), 0);
	assert_null(obj);
	assert_int_equal(hw_get(out, HW_CMD_OUT_STATUS), 3);
	fake->status = 0;
	expect(ops->obj_create(backend, &box, &obj), -EREMOTEIO,
	       "command 0x400 failed in the kernel");
	assert_null(obj);
	assert_int_equal(fake->subscriptions, 0);
	fake->fail = NULL;
}

static void test_domain_and_event_queue_have_numbers(void **state)
{
	uint32_t pdn = 0, eqn = 0;

	(void)state;
	fail_next("ibv_alloc_pd", ENOMEM);
	expect(ops->pd(backend, &pdn), -ENOMEM, "no protection domain");
	fail_next("mlx5dv_init_obj", EINVAL);
	expect(ops->pd(backend, &pdn), -EINVAL, "number cannot be read");
	fail_next("mlx5dv_devx_query_eqn", ENOSYS);
	expect(ops->eqn(backend, &eqn), -ENOSYS, "event queue of vector 0");
	fake->fail = NULL;
	assert_int_equal(ops->pd(backend, &pdn), 0);
	assert_int_equal(pdn, 0x77);
	assert_int_equal(ops->pd(backend, &pdn), 0);
	assert_int_equal(ops->eqn(backend, &eqn), 0);
	assert_int_equal(eqn, 9);
}

/* --------------------------------------------------------------- memory */

static void test_umems_are_known_by_their_id(void **state)
{
	struct gda_mem mem = {in, 4096, GDA_MEM_HOST, -1};
	uint32_t one, two;

	(void)state;
	assert_int_equal(ops->umem_reg(backend, &mem, &one), 0);
	assert_int_equal(ops->umem_reg(backend, &mem, &two), 0);
	assert_int_not_equal(one, two);
	fail_next("mlx5dv_devx_umem_dereg", EBUSY);
	expect(ops->umem_dereg(backend, one), -EBUSY, "cannot go");
	fake->fail = NULL;
	assert_int_equal(ops->umem_dereg(backend, one), 0);
	expect(ops->umem_dereg(backend, one), -ENOENT, "is not registered");
	assert_int_equal(ops->umem_dereg(backend, two), 0);
	fail_next("mlx5dv_devx_umem_reg", EFAULT);
	expect(ops->umem_reg(backend, &mem, &one), -EFAULT,
	       "umem: 4096 bytes of host memory");
	fake->fail = NULL;
}

static void test_a_dmabuf_is_registered_from_its_page(void **state)
{
	struct gda_mr_attr attr = {
		{(void *)0x7000123, 8192, GDA_MEM_DMABUF, 42}, 0x7000123};
	struct gda_mr mr;
	uint32_t id, pdn;

	(void)state;
	assert_int_equal(ops->pd(backend, &pdn), 0);
	assert_int_equal(ops->umem_reg(backend, &attr.mem, &id), 0);
	assert_ptr_equal(fake->umem.addr, (void *)0x123);
	assert_int_equal(fake->umem.dmabuf_fd, 42);
	assert_int_equal(fake->umem.comp_mask, MLX5DV_UMEM_MASK_DMABUF);
	assert_int_equal(fake->umem.pgsz_bitmap & 0xfff, 0);
	assert_int_equal(ops->umem_dereg(backend, id), 0);
	assert_int_equal(ops->mr_reg(backend, &attr, &mr), 0);
	assert_int_equal(fake->mr_offset, 0x123);
	assert_int_equal(fake->mr_iova, 0x7000123);
	assert_int_equal(fake->mr_fd, 42);
	assert_int_equal(ops->mr_dereg(backend, &mr), 0);
	fail_next("ibv_reg_dmabuf_mr", EOPNOTSUPP);
	expect(ops->mr_reg(backend, &attr, &mr), -EOPNOTSUPP, "Linux 5.12");
	fake->fail = NULL;
	backend->lib.reg_dmabuf_mr = NULL;
	backend->lib.umem_reg_ex = NULL;
	expect(ops->mr_reg(backend, &attr, &mr), -ENOTSUP,
	       "no ibv_reg_dmabuf_mr: expected rdma-core 34");
	expect(ops->umem_reg(backend, &attr.mem, &id), -ENOTSUP,
	       "no mlx5dv_devx_umem_reg_ex: expected rdma-core 43");
}

static void test_keys_are_strictly_ordered_unless_asked(void **state)
{
	struct gda_mr_attr attr = {{in, sizeof(in), GDA_MEM_HOST, -1}, 0x1000};
	struct gda_mr mr;
	uint32_t pdn;

	(void)state;
	assert_int_equal(ops->pd(backend, &pdn), 0);
	assert_int_equal(ops->mr_reg(backend, &attr, &mr), 0);
	assert_int_equal(mr.lkey, 0x1234);
	assert_int_equal(mr.rkey, 0x1234);
	assert_int_equal(fake->mr_iova, 0x1000);
	assert_int_equal(fake->mr_access, IBV_ACCESS_LOCAL_WRITE |
						  IBV_ACCESS_REMOTE_WRITE |
						  IBV_ACCESS_REMOTE_READ |
						  IBV_ACCESS_REMOTE_ATOMIC);
	fail_next("ibv_dereg_mr", EBUSY);
	expect(ops->mr_dereg(backend, &mr), -EBUSY, "memory key 0x1234");
	fake->fail = NULL;
	assert_int_equal(ops->mr_dereg(backend, &mr), 0);
	config.mlx5.relaxed_ordering = true;
	assert_int_equal(ops->mr_reg(backend, &attr, &mr), 0);
	assert_true(fake->mr_access & IBV_ACCESS_RELAXED_ORDERING);
	assert_int_equal(ops->mr_dereg(backend, &mr), 0);
}

static void test_a_refused_registration_says_what_to_try(void **state)
{
	struct gda_mr_attr attr = {{in, sizeof(in), GDA_MEM_CUDA, -1}, 0};
	struct gda_mr mr;
	uint32_t pdn;

	(void)state;
	assert_int_equal(ops->pd(backend, &pdn), 0);
	fail_next("ibv_reg_mr_iova2", EFAULT);
	expect(ops->mr_reg(backend, &attr, &mr), -EFAULT, "of CUDA memory at");
	attr.mem.kind = GDA_MEM_HOST;
	expect(ops->mr_reg(backend, &attr, &mr), -EFAULT, "mapped, writable");
	fail_next("ibv_reg_mr_iova2", ENOMEM);
	expect(ops->mr_reg(backend, &attr, &mr), -ENOMEM, "Cannot allocate");
	fail_next("ibv_reg_mr_iova2", 0);
	expect(ops->mr_reg(backend, &attr, &mr), -EIO, "refused");
	fake->fail = NULL;
}

/* ------------------------------------------------------- doorbell pages */

static void test_every_page_is_ones_own(void **state)
{
	struct gda_uar uars[4];
	int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		assert_int_equal(ops->uar_alloc(backend, GDA_UAR_NC, &uars[i]),
				 0);
		assert_int_equal((uintptr_t)uars[i].base % HW_UAR_BYTES, 0);
		assert_int_equal(uars[i].page_id, (i + 1) | 1 << 8);
		assert_true(!i || uars[i].base != uars[i - 1].base);
	}
	for (i = 0; i < 4; i++) {
		ops->uar_free(backend, &uars[i]);
		assert_null(uars[i].base);
	}
	/* The set-aside halves go with the backend: tear_down counts. */
}

static void expect_type(enum gda_uar_kind kind, uint32_t types, uint32_t page)
{
	struct gda_uar uar;

	fake->uar_types = types;
	fake->uar_registers = 0;
	assert_int_equal(ops->uar_alloc(backend, kind, &uar), 0);
	assert_int_equal(uar.page_id, page);
	ops->uar_free(backend, &uar);
}

static void test_pages_are_of_the_best_type_there_is(void **state)
{
	enum { DEDICATED = 0x101, COMBINING = 0x201, SINGLETON = 0x1000 };

	(void)state;
	expect_type(GDA_UAR_NC, 7, DEDICATED);
	expect_type(GDA_UAR_NC, 6, SINGLETON);
	expect_type(GDA_UAR_NC, 2, COMBINING);
	expect_type(GDA_UAR_BF, 7, COMBINING);
	/* Polled memory: one's own counts for more. */
	backend->emulated = true;
	expect_type(GDA_UAR_NC, 7, DEDICATED);
	expect_type(GDA_UAR_NC, 6, COMBINING);
	expect_type(GDA_UAR_NC, 4, SINGLETON);
}

static void test_no_page_is_told_with_a_way_out(void **state)
{
	struct gda_uar uar;

	(void)state;
	fake->uar_types = 0;
	expect(ops->uar_alloc(backend, GDA_UAR_NC, &uar), -EOPNOTSUPP,
	       "no uncached doorbell page");
	expect(ops->uar_alloc(backend, GDA_UAR_BF, &uar), -EOPNOTSUPP,
	       "no BlueFlame doorbell page");
	fake->uar_types = 2;
	fail_next("mlx5dv_devx_alloc_uar", ENOSPC);
	expect(ops->uar_alloc(backend, GDA_UAR_NC, &uar), -ENOSPC,
	       "GDA_SHARED_UAR=1");
	fake->fail = NULL;
}

static void test_hardware_needs_no_help_and_emulation_a_yield(void **state)
{
	gda_pause_fn *pause;
	void *arg;
	int i;

	(void)state;
	assert_false(ops->polled_registers(backend));
	ops->pause_hook(backend, &pause, &arg);
	assert_null(pause);
	ops->progress(backend);
	backend->emulated = true;
	assert_true(ops->polled_registers(backend));
	ops->pause_hook(backend, &pause, &arg);
	for (i = 0; i < 200; i++)
		pause(arg);
}

/* --------------------------------------------------------------- events */

static void create(enum hw_cmd_opcode opcode, struct gda_obj **obj)
{
	hw_set(in, HW_CMD_IN_OPCODE, opcode);
	assert_int_equal(ops->obj_create(backend, &box, obj), 0);
}

static void test_errors_of_queues_are_heard(void **state)
{
	struct gda_obj *cq, *qp;
	struct gda_event event;
	int i;

	(void)state;
	create(HW_CMD_CREATE_CQ, &cq);
	create(HW_CMD_CREATE_QP, &qp);
	assert_int_equal(fake->subscriptions, 4);
	assert_int_equal(fake->event_types[0], 0x04);
	assert_int_equal(fake->event_types[1], 0x05);
	assert_int_equal(ops->event_poll(backend, &event), 0);
	for (i = 0; i < 4; i++)
		fake->events[i] = fake->cookies[i];
	fake->event_count = 4;
	assert_int_equal(ops->event_poll(backend, &event), 1);
	assert_int_equal(event.type, GDA_EVENT_CQ_ERROR);
	assert_int_equal(event.number, 0x123456);
	assert_int_equal(ops->event_poll(backend, &event), 1);
	assert_int_equal(event.type, GDA_EVENT_QP_FATAL);
	assert_int_equal(ops->event_poll(backend, &event), 1);
	assert_int_equal(event.type, GDA_EVENT_QP_OTHER);
	assert_int_equal(ops->event_poll(backend, &event), 1);
	assert_int_equal(event.type, GDA_EVENT_QP_OTHER);
	assert_int_equal(ops->event_poll(backend, &event), 0);
	ops->obj_destroy(qp);
	ops->obj_destroy(cq);
}

static void test_events_of_the_port_go_to_the_log(void **state)
{
	struct gda_event event;

	(void)state;
	fake->port_events = 2;
	assert_int_equal(ops->event_poll(backend, &event), 0);
	assert_int_equal(fake->port_events, 0);
	assert_non_null(strstr(log_text, "event: local port error"));
}

static void test_a_device_without_events_still_works(void **state)
{
	struct gda_event event;
	struct gda_obj *qp;

	(void)state;
	fail_next("mlx5dv_devx_subscribe_devx_event", EINVAL);
	create(HW_CMD_CREATE_QP, &qp);
	assert_non_null(strstr(log_text, "0x05 of object 0x123456 are not"));
	ops->obj_destroy(qp);
	fail_next("mlx5dv_devx_create_event_channel", EOPNOTSUPP);
	reopen();
	assert_non_null(strstr(log_text, "no event channel"));
	create(HW_CMD_CREATE_QP, &qp);
	assert_int_equal(ops->event_poll(backend, &event), 0);
	ops->obj_destroy(qp);
	fake->fail = NULL;
}

#define WITH_DEVICE(test)                                                      \
	cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define WITH_FAKE(test)                                                        \
	cmocka_unit_test_setup_teardown(test, set_up_only, tear_down_only)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FAKE(test_a_missing_library_is_named_with_a_way_out),
		WITH_FAKE(test_a_library_without_a_function_is_too_old),
		WITH_FAKE(test_the_installed_libraries_have_every_function),
		WITH_FAKE(test_no_device_is_told_with_what_to_look_at),
		WITH_FAKE(test_the_first_active_port_is_taken),
		WITH_FAKE(test_a_device_is_found_by_name_and_port),
		WITH_FAKE(test_a_device_that_does_not_open_says_why),
		WITH_FAKE(test_options_of_the_emulated_nic_are_refused),
		WITH_FAKE(test_auto_takes_a_device_that_is_there),
		WITH_FAKE(test_auto_takes_the_emulated_one_where_there_is_none),
		WITH_DEVICE(test_the_port_says_how_it_is_reached),
		WITH_DEVICE(test_a_roce_port_sends_from_its_best_gid),
		WITH_FAKE(test_a_gid_that_cannot_be_used_is_refused),
		WITH_DEVICE(test_an_infiniband_path_has_a_lid_and_maybe_a_grh),
		WITH_DEVICE(test_a_roce_path_asks_for_the_next_hop),
		WITH_DEVICE(test_a_peer_without_a_route_is_named),
		WITH_DEVICE(
			test_a_mailbox_goes_through_and_its_answer_comes_back),
		WITH_DEVICE(test_an_object_lives_until_it_is_destroyed),
		WITH_DEVICE(test_a_refused_create_makes_nothing),
		WITH_DEVICE(test_domain_and_event_queue_have_numbers),
		WITH_DEVICE(test_umems_are_known_by_their_id),
		WITH_DEVICE(test_a_dmabuf_is_registered_from_its_page),
		WITH_DEVICE(test_keys_are_strictly_ordered_unless_asked),
		WITH_DEVICE(test_a_refused_registration_says_what_to_try),
		WITH_DEVICE(test_every_page_is_ones_own),
		WITH_DEVICE(test_pages_are_of_the_best_type_there_is),
		WITH_DEVICE(test_no_page_is_told_with_a_way_out),
		WITH_DEVICE(test_hardware_needs_no_help_and_emulation_a_yield),
		WITH_DEVICE(test_errors_of_queues_are_heard),
		WITH_DEVICE(test_events_of_the_port_go_to_the_log),
		WITH_DEVICE(test_a_device_without_events_still_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
