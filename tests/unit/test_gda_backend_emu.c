/* SPDX-License-Identifier: MIT */
/*
 * stack/backend_emu.c and backend_emu_nic.c: what stack/backend.h promises of
 * each entry.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hw/cmd_cq.h"
#include "hw/cmd_qp.h"
#include "hw/doorbell.h"
#include "stack/backend_emu.h"
#include "stack/host/internal.h"
#include "support/t_cuda.h"
#include "support/t_pes.h"

static const struct gda_backend_ops *const ops = &gda_backend_emu;
static struct gda_config config;
static struct gda_backend *backend;
static uint8_t in[0x110], out[0x110];
static const struct gda_mailbox box = {in, sizeof(in), out, 16};

static int set_up(void **state)
{
	(void)state;
	t_config(&config);
	config.group = gda_local_group_create(1);
	config.npes = 1;
	config.pe = 0;
	memset(in, 0, sizeof(in));
	return ops->open(&config, &backend);
}

static int tear_down(void **state)
{
	(void)state;
	ops->close(backend);
	gda_local_group_free(config.group);
	return 0;
}

static void test_the_port_is_active_and_has_addresses(void **state)
{
	static const uint8_t zeros[16];
	struct gda_port port;

	(void)state;
	assert_int_equal(ops->query_port(backend, &port), 0);
	assert_int_equal(port.active, 1);
	assert_int_equal(port.link, GDA_LINK_IB);
	assert_int_equal(port.lid, 1);
	assert_int_equal(port.mtu, 5);
	assert_memory_not_equal(port.gid, zeros, 16);
}

static void test_an_object_lives_until_it_is_destroyed(void **state)
{
	uint8_t *memory = aligned_alloc(4096, 8192);
	struct gda_mem mem = {memory, 8192, GDA_MEM_HOST, -1};
	uint8_t *cqc = in + HW_CQC_OFFSET;
	struct gda_obj *obj;
	struct gda_uar uar;
	uint32_t umem;

	(void)state;
	memset(memory, 0xff, 8192);
	assert_int_equal(ops->umem_reg(backend, &mem, &umem), 0);
	assert_int_equal(ops->uar_alloc(backend, GDA_UAR_NC, &uar), 0);
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_CQ);
	hw_set(cqc, HW_CQC_LOG_CQ_SIZE, 4);
	hw_set(cqc, HW_CQC_UAR_PAGE, uar.page_id);
	hw_set(cqc, HW_CQC_DBR_UMEM_VALID, 1);
	hw_set(cqc, HW_CQC_DBR_UMEM_ID, umem);
	hw_set64(cqc, HW_CQC_DBR_ADDR, 4096);
	hw_set(in, HW_CREATE_CQ_UMEM_ID, umem);
	hw_set(in, HW_CREATE_CQ_UMEM_VALID, 1);
	assert_int_equal(ops->obj_create(backend, &box, &obj), 0);
	assert_non_null(obj);
	/* What it uses cannot go before it. */
	assert_int_equal(ops->umem_dereg(backend, umem), -EBUSY);
	assert_int_equal(ops->obj_destroy(obj), 0);
	assert_int_equal(ops->umem_dereg(backend, umem), 0);
	ops->uar_free(backend, &uar);
	assert_null(uar.base);
	free(memory);
}

static void test_a_refused_create_makes_nothing(void **state)
{
	struct gda_obj *obj = (struct gda_obj *)&box;

	(void)state;
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_QP);
	hw_set(in + HW_QPC_OFFSET, HW_QPC_PD, 0x777);
	assert_int_equal(ops->obj_create(backend, &box, &obj), 0);
	assert_null(obj);
	assert_int_not_equal(hw_get(out, HW_CMD_OUT_STATUS), 0);
	/* A command that makes nothing is no create. */
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_QUERY_HCA_CAP);
	assert_int_equal(ops->obj_create(backend, &box, &obj), -EINVAL);
	assert_null(obj);
}

static void test_device_memory_is_registered_by_its_address(void **state)
{
	struct gda_mr_attr attr = {{NULL, 8192, GDA_MEM_DMABUF, 3}, 0};
	struct gda_mr mr;
	uint32_t id, pdn;

	(void)state;
	assert_int_equal(ops->pd(backend, &pdn), 0);
	attr.mem.addr = t_cuda()->alloc(8192);
	assert_int_equal(ops->mr_reg(backend, &attr, &mr), 0);
	assert_int_equal(ops->mr_dereg(backend, &mr), 0);
	attr.mem.kind = GDA_MEM_CUDA;
	assert_int_equal(ops->umem_reg(backend, &attr.mem, &id), 0);
	assert_int_equal(ops->umem_dereg(backend, id), 0);
	t_cuda()->release(attr.mem.addr);
	assert_int_equal(ops->umem_reg(backend, &attr.mem, &id), -EINVAL);
	attr.mem.addr = in;
	assert_int_equal(ops->mr_reg(backend, &attr, &mr), -EINVAL);
}

static void test_memory_of_other_kinds_is_refused(void **state)
{
	struct gda_mr_attr attr = {{in, sizeof(in), (enum gda_mem_kind)9, -1},
				   0};
	struct gda_mr mr;
	uint32_t id, pdn;

	(void)state;
	assert_int_equal(ops->pd(backend, &pdn), 0);
	assert_int_equal(ops->mr_reg(backend, &attr, &mr), -EINVAL);
	assert_non_null(strstr(gda_last_error(), "kind is 9"));
	attr.mem.kind = GDA_MEM_HOST;
	attr.mem.len = 0;
	assert_int_equal(ops->umem_reg(backend, &attr.mem, &id), -EINVAL);
	attr.mem.len = sizeof(in);
	assert_int_equal(ops->mr_reg(backend, &attr, &mr), 0);
	assert_int_equal(ops->mr_dereg(backend, &mr), 0);
	assert_int_equal(ops->mr_dereg(backend, &mr), -ENOENT);
}

static void test_the_protection_domain_is_always_the_same(void **state)
{
	uint32_t one = 0, two = 1, eqn = 7;

	(void)state;
	assert_int_equal(ops->pd(backend, &one), 0);
	assert_int_equal(ops->pd(backend, &two), 0);
	assert_int_equal(one, two);
	assert_int_equal(ops->eqn(backend, &eqn), 0);
	assert_int_equal(eqn, 0);
}

static void test_paths_follow_the_link(void **state)
{
	struct gda_port port = {.lid = 0x1234, .link = GDA_LINK_IB};
	uint8_t ads[44] = {0};

	(void)state;
	assert_int_equal(ops->path(backend, &port, ads), 0);
	assert_int_equal(hw_get(ads, HW_ADS_RLID), 0x1234);
	assert_int_equal(hw_get(ads, HW_ADS_GRH), 0);
	memset(port.gid, 0xab, sizeof(port.gid));
	memcpy(port.mac, "\x02\x03\x04\x05\x06\x07", 6);
	port.link = GDA_LINK_ROCE;
	memset(ads, 0, sizeof(ads));
	assert_int_equal(ops->path(backend, &port, ads), 0);
	assert_int_equal(hw_get(ads, HW_ADS_GRH), 1);
	assert_memory_equal(ads + HW_ADS_RGID, port.gid, 16);
	assert_int_equal(hw_get(ads, HW_ADS_RMAC_47_32), 0x0203);
	assert_int_equal(hw_get(ads, HW_ADS_RMAC_31_0), 0x04050607);
}

static void test_the_oldest_events_are_kept(void **state)
{
	struct nic_event event = {.type = NIC_EVENT_QP_FATAL};
	struct gda_event got;
	unsigned i;

	(void)state;
	assert_int_equal(ops->event_poll(backend, &got), 0);
	for (i = 0; i < GDA_EMU_EVENTS_MAX + 10; i++) {
		event.number = i;
		gda_emu_on_event(backend, &event);
	}
	event.type = NIC_EVENT_COMM_EST; /* of no interest */
	gda_emu_on_event(backend, &event);
	for (i = 0; i < GDA_EMU_EVENTS_MAX; i++) {
		assert_int_equal(ops->event_poll(backend, &got), 1);
		assert_int_equal(got.type, GDA_EVENT_QP_FATAL);
		assert_int_equal(got.number, i);
	}
	assert_int_equal(ops->event_poll(backend, &got), 0);
}

#define WITH_NIC(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_NIC(test_the_port_is_active_and_has_addresses),
		WITH_NIC(test_an_object_lives_until_it_is_destroyed),
		WITH_NIC(test_a_refused_create_makes_nothing),
		WITH_NIC(test_device_memory_is_registered_by_its_address),
		WITH_NIC(test_memory_of_other_kinds_is_refused),
		WITH_NIC(test_the_protection_domain_is_always_the_same),
		WITH_NIC(test_paths_follow_the_link),
		WITH_NIC(test_the_oldest_events_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
