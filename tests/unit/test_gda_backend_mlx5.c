/* SPDX-License-Identifier: MIT */
/*
 * stack/backend_mlx5.c, _mem.c, _uar.c and _event.c: what stack/backend.h
 * promises of each entry, on fake libraries; also when the library refuses.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hw/cmd_qp.h"
#include "hw/doorbell.h"
#include "support/t_mlx5.h"

static const struct gda_backend_ops *const ops = &gda_backend_mlx5;
static struct t_mlx5 *const t = &t_mlx5;
static uint8_t in[0x110], out[0x110];
static const struct gda_mailbox box = {in, sizeof(in), out, 16};

/* ----------------------------------------------------- mailboxes, objects */

static void test_a_mailbox_goes_through_and_its_answer_comes_back(void **state)
{
	(void)state;
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_QUERY_HCA_CAP);
	memset(out, 0xff, sizeof(out));
	assert_int_equal(ops->command(t->backend, &box), 0);
	assert_memory_equal(t->fake->last_in, in, 16);
	assert_int_equal(hw_get(out, HW_CMD_OUT_STATUS), 0);
	/* A refusal with the device's answer, and one without. */
	t_mlx5_fail("mlx5dv_devx_general_cmd", EREMOTEIO);
	t->fake->status = 3;
	assert_int_equal(ops->command(t->backend, &box), 0);
	assert_int_equal(hw_get(out, HW_CMD_OUT_STATUS), 3);
	t->fake->status = 0;
	t_mlx5_expect(ops->command(t->backend, &box), -EREMOTEIO,
		      "command 0x100 failed in the kernel");
	t->fake->fail = NULL;
}

static void test_an_object_lives_until_it_is_destroyed(void **state)
{
	struct gda_obj *obj = NULL;

	(void)state;
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_QP);
	assert_int_equal(ops->obj_create(t->backend, &box, &obj), 0);
	assert_non_null(obj);
	assert_int_equal(hw_get(out, HW_CMD_OUT_NUMBER), 0x123456);
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_RST2INIT_QP);
	assert_int_equal(ops->obj_modify(obj, &box), 0);
	assert_memory_equal(t->fake->last_in, in, 16);
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_QUERY_QP);
	assert_int_equal(ops->obj_query(obj, &box), 0);
	assert_memory_equal(t->fake->last_in, in, 16);
	t_mlx5_fail("mlx5dv_devx_obj_modify", EREMOTEIO);
	t_mlx5_expect(ops->obj_modify(obj, &box), -EREMOTEIO,
		      "command 0x50b failed");
	t_mlx5_fail("mlx5dv_devx_obj_query", EREMOTEIO);
	t->fake->status = 5;
	assert_int_equal(ops->obj_query(obj, &box), 0);
	assert_int_equal(hw_get(out, HW_CMD_OUT_STATUS), 5);
	t_mlx5_fail("mlx5dv_devx_obj_destroy", EBUSY);
	t_mlx5_expect(ops->obj_destroy(obj), -EBUSY, "cannot be destroyed");
	t->fake->fail = NULL;
	assert_int_equal(ops->obj_destroy(obj), 0);
}

static void test_a_refused_create_makes_nothing(void **state)
{
	struct gda_obj *obj = (struct gda_obj *)&box;

	(void)state;
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_CQ);
	t_mlx5_fail("mlx5dv_devx_obj_create", EREMOTEIO);
	t->fake->status = 3;
	assert_int_equal(ops->obj_create(t->backend, &box, &obj), 0);
	assert_null(obj);
	assert_int_equal(hw_get(out, HW_CMD_OUT_STATUS), 3);
	t->fake->status = 0;
	t_mlx5_expect(ops->obj_create(t->backend, &box, &obj), -EREMOTEIO,
		      "command 0x400 failed in the kernel");
	assert_null(obj);
	assert_int_equal(t->fake->subscriptions, 0);
	t->fake->fail = NULL;
}

static void test_domain_and_event_queue_have_numbers(void **state)
{
	uint32_t pdn = 0, eqn = 0;

	(void)state;
	t_mlx5_fail("ibv_alloc_pd", ENOMEM);
	t_mlx5_expect(ops->pd(t->backend, &pdn), -ENOMEM,
		      "no protection domain");
	t_mlx5_fail("mlx5dv_init_obj", EINVAL);
	t_mlx5_expect(ops->pd(t->backend, &pdn), -EINVAL,
		      "number cannot be read");
	t_mlx5_fail("mlx5dv_devx_query_eqn", ENOSYS);
	t_mlx5_expect(ops->eqn(t->backend, &eqn), -ENOSYS,
		      "event queue of vector 0");
	t->fake->fail = NULL;
	assert_int_equal(ops->pd(t->backend, &pdn), 0);
	assert_int_equal(pdn, 0x77);
	assert_int_equal(ops->pd(t->backend, &pdn), 0);
	assert_int_equal(ops->eqn(t->backend, &eqn), 0);
	assert_int_equal(eqn, 9);
}

/* --------------------------------------------------------------- memory */

static void test_umems_are_known_by_their_id(void **state)
{
	struct gda_mem mem = {in, 4096, GDA_MEM_HOST, -1};
	uint32_t one, two;

	(void)state;
	assert_int_equal(ops->umem_reg(t->backend, &mem, &one), 0);
	assert_int_equal(ops->umem_reg(t->backend, &mem, &two), 0);
	assert_int_not_equal(one, two);
	t_mlx5_fail("mlx5dv_devx_umem_dereg", EBUSY);
	t_mlx5_expect(ops->umem_dereg(t->backend, one), -EBUSY, "cannot go");
	t->fake->fail = NULL;
	assert_int_equal(ops->umem_dereg(t->backend, one), 0);
	t_mlx5_expect(ops->umem_dereg(t->backend, one), -ENOENT,
		      "is not registered");
	assert_int_equal(ops->umem_dereg(t->backend, two), 0);
	t_mlx5_fail("mlx5dv_devx_umem_reg", EFAULT);
	t_mlx5_expect(ops->umem_reg(t->backend, &mem, &one), -EFAULT,
		      "umem: 4096 bytes of host memory");
	t->fake->fail = NULL;
}

static void test_a_dmabuf_is_registered_from_its_page(void **state)
{
	struct gda_mr_attr attr = {
		{(void *)0x7000123, 8192, GDA_MEM_DMABUF, 42}, 0x7000123};
	struct gda_mr mr;
	uint32_t id, pdn;

	(void)state;
	assert_int_equal(ops->pd(t->backend, &pdn), 0);
	assert_int_equal(ops->umem_reg(t->backend, &attr.mem, &id), 0);
	assert_ptr_equal(t->fake->umem.addr, (void *)0x123);
	assert_int_equal(t->fake->umem.dmabuf_fd, 42);
	assert_int_equal(t->fake->umem.comp_mask, MLX5DV_UMEM_MASK_DMABUF);
	assert_int_equal(t->fake->umem.pgsz_bitmap & 0xfff, 0);
	assert_int_equal(ops->umem_dereg(t->backend, id), 0);
	assert_int_equal(ops->mr_reg(t->backend, &attr, &mr), 0);
	assert_int_equal(t->fake->mr_offset, 0x123);
	assert_int_equal(t->fake->mr_iova, 0x7000123);
	assert_int_equal(t->fake->mr_fd, 42);
	assert_int_equal(ops->mr_dereg(t->backend, &mr), 0);
	t_mlx5_fail("ibv_reg_dmabuf_mr", EOPNOTSUPP);
	t_mlx5_expect(ops->mr_reg(t->backend, &attr, &mr), -EOPNOTSUPP,
		      "Linux 5.12");
	t->fake->fail = NULL;
	t->backend->lib.reg_dmabuf_mr = NULL;
	t->backend->lib.umem_reg_ex = NULL;
	t_mlx5_expect(ops->mr_reg(t->backend, &attr, &mr), -ENOTSUP,
		      "no ibv_reg_dmabuf_mr: expected rdma-core 34");
	t_mlx5_expect(ops->umem_reg(t->backend, &attr.mem, &id), -ENOTSUP,
		      "no mlx5dv_devx_umem_reg_ex: expected rdma-core 43");
}

static void test_keys_are_strictly_ordered_unless_asked(void **state)
{
	struct gda_mr_attr attr = {{in, sizeof(in), GDA_MEM_HOST, -1}, 0x1000};
	struct gda_mr mr;
	uint32_t pdn;

	(void)state;
	assert_int_equal(ops->pd(t->backend, &pdn), 0);
	assert_int_equal(ops->mr_reg(t->backend, &attr, &mr), 0);
	assert_int_equal(mr.lkey, 0x1234);
	assert_int_equal(mr.rkey, 0x1234);
	assert_int_equal(t->fake->mr_iova, 0x1000);
	assert_int_equal(t->fake->mr_access, IBV_ACCESS_LOCAL_WRITE |
						     IBV_ACCESS_REMOTE_WRITE |
						     IBV_ACCESS_REMOTE_READ |
						     IBV_ACCESS_REMOTE_ATOMIC);
	t_mlx5_fail("ibv_dereg_mr", EBUSY);
	t_mlx5_expect(ops->mr_dereg(t->backend, &mr), -EBUSY,
		      "memory key 0x1234");
	t->fake->fail = NULL;
	assert_int_equal(ops->mr_dereg(t->backend, &mr), 0);
	t->config.mlx5.relaxed_ordering = true;
	assert_int_equal(ops->mr_reg(t->backend, &attr, &mr), 0);
	assert_true(t->fake->mr_access & IBV_ACCESS_RELAXED_ORDERING);
	assert_int_equal(ops->mr_dereg(t->backend, &mr), 0);
}

static void test_a_refused_registration_says_what_to_try(void **state)
{
	struct gda_mr_attr attr = {{in, sizeof(in), GDA_MEM_CUDA, -1}, 0};
	struct gda_mr mr;
	uint32_t pdn;

	(void)state;
	assert_int_equal(ops->pd(t->backend, &pdn), 0);
	t_mlx5_fail("ibv_reg_mr_iova2", EFAULT);
	t_mlx5_expect(ops->mr_reg(t->backend, &attr, &mr), -EFAULT,
		      "of CUDA memory at");
	attr.mem.kind = GDA_MEM_HOST;
	t_mlx5_expect(ops->mr_reg(t->backend, &attr, &mr), -EFAULT,
		      "mapped, writable");
	t_mlx5_fail("ibv_reg_mr_iova2", ENOMEM);
	t_mlx5_expect(ops->mr_reg(t->backend, &attr, &mr), -ENOMEM,
		      "Cannot allocate");
	t_mlx5_fail("ibv_reg_mr_iova2", 0);
	t_mlx5_expect(ops->mr_reg(t->backend, &attr, &mr), -EIO, "refused");
	t->fake->fail = NULL;
}

/* ------------------------------------------------------- doorbell pages */

static void test_every_page_is_ones_own(void **state)
{
	struct gda_uar uars[4];
	int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		assert_int_equal(
			ops->uar_alloc(t->backend, GDA_UAR_NC, &uars[i]), 0);
		assert_int_equal((uintptr_t)uars[i].base % HW_UAR_BYTES, 0);
		assert_int_equal(uars[i].page_id, (i + 1) | 1 << 8);
		assert_true(!i || uars[i].base != uars[i - 1].base);
	}
	for (i = 0; i < 4; i++) {
		ops->uar_free(t->backend, &uars[i]);
		assert_null(uars[i].base);
	}
	/* The set-aside halves go with the backend: tear_down counts. */
}

static void expect_type(enum gda_uar_kind kind, uint32_t types, uint32_t page)
{
	struct gda_uar uar;

	t->fake->uar_types = types;
	t->fake->uar_registers = 0;
	assert_int_equal(ops->uar_alloc(t->backend, kind, &uar), 0);
	assert_int_equal(uar.page_id, page);
	ops->uar_free(t->backend, &uar);
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
	t->backend->emulated = true;
	expect_type(GDA_UAR_NC, 7, DEDICATED);
	expect_type(GDA_UAR_NC, 6, COMBINING);
	expect_type(GDA_UAR_NC, 4, SINGLETON);
}

static void test_no_page_is_told_with_a_way_out(void **state)
{
	struct gda_uar uar;

	(void)state;
	t->fake->uar_types = 0;
	t_mlx5_expect(ops->uar_alloc(t->backend, GDA_UAR_NC, &uar), -EOPNOTSUPP,
		      "no uncached doorbell page");
	t_mlx5_expect(ops->uar_alloc(t->backend, GDA_UAR_BF, &uar), -EOPNOTSUPP,
		      "no BlueFlame doorbell page");
	t->fake->uar_types = 2;
	t_mlx5_fail("mlx5dv_devx_alloc_uar", ENOSPC);
	t_mlx5_expect(ops->uar_alloc(t->backend, GDA_UAR_NC, &uar), -ENOSPC,
		      "GDA_SHARED_UAR=1");
	t->fake->fail = NULL;
}

static void test_hardware_needs_no_help_and_emulation_a_yield(void **state)
{
	gda_pause_fn *pause;
	void *arg;
	int i;

	(void)state;
	assert_false(ops->polled_registers(t->backend));
	ops->pause_hook(t->backend, &pause, &arg);
	assert_null(pause);
	ops->progress(t->backend);
	t->backend->emulated = true;
	assert_true(ops->polled_registers(t->backend));
	ops->pause_hook(t->backend, &pause, &arg);
	for (i = 0; i < 200; i++)
		pause(arg);
}

/* --------------------------------------------------------------- events */

static void create(enum hw_cmd_opcode opcode, struct gda_obj **obj)
{
	hw_set(in, HW_CMD_IN_OPCODE, opcode);
	assert_int_equal(ops->obj_create(t->backend, &box, obj), 0);
}

static void test_errors_of_queues_are_heard(void **state)
{
	struct gda_obj *cq, *qp;
	struct gda_event event;
	int i;

	(void)state;
	create(HW_CMD_CREATE_CQ, &cq);
	create(HW_CMD_CREATE_QP, &qp);
	assert_int_equal(t->fake->subscriptions, 4);
	assert_int_equal(t->fake->event_types[0], 0x04);
	assert_int_equal(t->fake->event_types[1], 0x05);
	assert_int_equal(ops->event_poll(t->backend, &event), 0);
	for (i = 0; i < 4; i++)
		t->fake->events[i] = t->fake->cookies[i];
	t->fake->event_count = 4;
	assert_int_equal(ops->event_poll(t->backend, &event), 1);
	assert_int_equal(event.type, GDA_EVENT_CQ_ERROR);
	assert_int_equal(event.number, 0x123456);
	assert_int_equal(ops->event_poll(t->backend, &event), 1);
	assert_int_equal(event.type, GDA_EVENT_QP_FATAL);
	assert_int_equal(ops->event_poll(t->backend, &event), 1);
	assert_int_equal(event.type, GDA_EVENT_QP_OTHER);
	assert_int_equal(ops->event_poll(t->backend, &event), 1);
	assert_int_equal(event.type, GDA_EVENT_QP_OTHER);
	assert_int_equal(ops->event_poll(t->backend, &event), 0);
	ops->obj_destroy(qp);
	ops->obj_destroy(cq);
}

static void test_events_of_the_port_go_to_the_log(void **state)
{
	struct gda_event event;

	(void)state;
	t->fake->port_events = 2;
	assert_int_equal(ops->event_poll(t->backend, &event), 0);
	assert_int_equal(t->fake->port_events, 0);
	assert_non_null(strstr(t->log_text, "event: local port error"));
}

static void test_a_device_without_events_still_works(void **state)
{
	struct gda_event event;
	struct gda_obj *qp;

	(void)state;
	t_mlx5_fail("mlx5dv_devx_subscribe_devx_event", EINVAL);
	create(HW_CMD_CREATE_QP, &qp);
	assert_non_null(strstr(t->log_text, "0x05 of object 0x123456 are not"));
	ops->obj_destroy(qp);
	t_mlx5_fail("mlx5dv_devx_create_event_channel", EOPNOTSUPP);
	t_mlx5_reopen();
	assert_non_null(strstr(t->log_text, "no event channel"));
	create(HW_CMD_CREATE_QP, &qp);
	assert_int_equal(ops->event_poll(t->backend, &event), 0);
	ops->obj_destroy(qp);
	t->fake->fail = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_WITH_DEVICE(
			test_a_mailbox_goes_through_and_its_answer_comes_back),
		T_WITH_DEVICE(test_an_object_lives_until_it_is_destroyed),
		T_WITH_DEVICE(test_a_refused_create_makes_nothing),
		T_WITH_DEVICE(test_domain_and_event_queue_have_numbers),
		T_WITH_DEVICE(test_umems_are_known_by_their_id),
		T_WITH_DEVICE(test_a_dmabuf_is_registered_from_its_page),
		T_WITH_DEVICE(test_keys_are_strictly_ordered_unless_asked),
		T_WITH_DEVICE(test_a_refused_registration_says_what_to_try),
		T_WITH_DEVICE(test_every_page_is_ones_own),
		T_WITH_DEVICE(test_pages_are_of_the_best_type_there_is),
		T_WITH_DEVICE(test_no_page_is_told_with_a_way_out),
		T_WITH_DEVICE(
			test_hardware_needs_no_help_and_emulation_a_yield),
		T_WITH_DEVICE(test_errors_of_queues_are_heard),
		T_WITH_DEVICE(test_events_of_the_port_go_to_the_log),
		T_WITH_DEVICE(test_a_device_without_events_still_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
