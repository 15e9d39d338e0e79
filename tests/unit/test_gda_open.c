/* SPDX-License-Identifier: MIT */
/*
 * stack/host/open.c, command.c, caps.c, cq.c, qp.c, connect.c: which mailboxes
 * they send, what they make of the answers, and that a failure at any step
 * undoes all before it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hw/cmd_cap.h"
#include "hw/cmd_cq.h"
#include "hw/cmd_qp.h"
#include "hw/doorbell.h"
#include "stack/host/internal.h"
#include "support/t_backend.h"
#include "support/t_pes.h"

static struct t_backend_state *const state = &t_backend_state;

/* A PE alone in a group of its own; free the group with stop(). */
static void set_up(struct gda_config *config)
{
	t_config(config);
	t_backend_reset();
	config->group = gda_local_group_create(1);
	config->emu.progress = GDA_PROGRESS_HOOK;
}

static struct gda *start(struct gda_config *config)
{
	struct gda *gda = NULL;

	if (gda_init_on(&t_backend, config, &gda))
		fail_msg("%s", gda_last_error());
	return gda;
}

static void stop(struct gda *gda, struct gda_config *config)
{
	assert_int_equal(gda_finalize(gda), 0);
	assert_int_equal(state->open_objects, 0);
	gda_local_group_free(config->group);
}

static void refuse(struct gda_config *config, int rc, const char *words)
{
	struct gda *gda = NULL;

	assert_int_equal(gda_init_on(&t_backend, config, &gda), rc);
	assert_null(gda);
	if (!strstr(gda_last_error(), words))
		fail_msg("\"%s\" does not say \"%s\"", gda_last_error(), words);
	assert_int_equal(state->open_objects, 0);
	gda_local_group_free(config->group);
}

static void test_a_failure_at_any_call_undoes_all_before_it(void **unused)
{
	struct gda_config config;
	struct gda *gda;
	int at, rc = -1;

	(void)unused;
	for (at = 1; rc; at++) {
		set_up(&config);
		config.qps_per_peer = 2;
		state->fail_at = at;
		rc = gda_init_on(&t_backend, &config, &gda);
		if (!rc)
			gda_finalize(gda);
		assert_int_equal(state->open_objects, 0);
		gda_local_group_free(config.group);
	}
	/* open, port, caps, pd, eqn, mr, umem, (uar, cq, qp, ...) x 2 */
	assert_in_range(at, 20, 40);
}

static void test_a_refused_mailbox_is_told_by_command_and_status(void **unused)
{
	struct gda_config config;
	struct gda *gda = NULL;
	char command[32];
	int at, rc = -1;

	(void)unused;
	for (at = 1; rc; at++) {
		set_up(&config);
		state->refuse_at = at;
		rc = gda_init_on(&t_backend, &config, &gda);
		if (rc) {
			snprintf(command, sizeof(command), "command 0x%03x",
				 state->refused);
			assert_int_equal(rc, -EREMOTEIO);
			assert_non_null(strstr(gda_last_error(), command));
			assert_non_null(strstr(gda_last_error(), "BAD_PARAM"));
			assert_non_null(strstr(gda_last_error(), "0x12345678"));
		} else {
			gda_finalize(gda);
		}
		assert_int_equal(state->open_objects, 0);
		gda_local_group_free(config.group);
	}
	/* 3 capabilities, CREATE_CQ, CREATE_QP, 3 transitions */
	assert_int_equal(at - 1, 9);
}

static void test_create_cq_says_what_the_config_says(void **unused)
{
	const struct t_backend_box *box;
	struct gda_config config;
	const uint8_t *cqc;
	struct gda *gda;
	int ring;

	(void)unused;
	for (ring = 0; ring < 2; ring++) {
		set_up(&config);
		config.qp_depth = 256;
		config.cq_mode = (enum gda_cq_mode)ring;
		gda = start(&config);
		box = t_backend_find(HW_CMD_CREATE_CQ, 0);
		cqc = box->in + HW_CQC_OFFSET;
		assert_int_equal(box->in_len, HW_CREATE_CQ_IN_BYTES);
		assert_int_equal(hw_get(cqc, HW_CQC_CC), !ring);
		assert_int_equal(hw_get(cqc, HW_CQC_OI), 1);
		assert_int_equal(hw_get(cqc, HW_CQC_CQE_SZ), HW_CQE_SZ_64);
		assert_int_equal(hw_get(cqc, HW_CQC_LOG_CQ_SIZE), 8);
		assert_int_equal(hw_get(cqc, HW_CQC_UAR_PAGE),
				 gda->qps[0].uar.page_id);
		assert_int_equal(hw_get(cqc, HW_CQC_DBR_UMEM_VALID), 1);
		assert_int_equal(hw_get(box->in, HW_CREATE_CQ_UMEM_VALID), 1);
		assert_int_equal(hw_get(box->in, HW_CREATE_CQ_UMEM_ID),
				 gda->arena_umem);
		assert_int_equal(hw_get64(box->in, HW_CREATE_CQ_UMEM_OFFSET),
				 256 * 64);
		assert_int_equal(*gda_region_at(&gda->arena, 256 * 64 + 63),
				 0xff);
		stop(gda, &config);
	}
}

static void test_create_qp_says_what_the_config_says(void **unused)
{
	const struct t_backend_box *box;
	struct gda_config config;
	const uint8_t *qpc;
	struct gda *gda;
	uint64_t record;

	(void)unused;
	set_up(&config);
	config.qp_depth = 32;
	config.emu.persona = "connectx-8";
	config.emu.start_counter = 0x123456;
	config.doorbell = GDA_DOORBELL_NO_RECORD;
	gda = start(&config);
	box = t_backend_find(HW_CMD_CREATE_QP, 0);
	qpc = box->in + HW_QPC_OFFSET;
	record = hw_get64(qpc, HW_QPC_DBR_ADDR);
	assert_int_equal(box->in_len, HW_CREATE_QP_IN_BYTES);
	assert_int_equal(hw_get(qpc, HW_QPC_ST), HW_QP_ST_RC);
	assert_int_equal(hw_get(qpc, HW_QPC_PM_STATE), HW_PM_MIGRATED);
	assert_int_equal(hw_get(qpc, HW_QPC_PD), gda->pdn);
	assert_int_equal(hw_get(qpc, HW_QPC_LOG_SQ_SIZE), 5);
	assert_int_equal(hw_get(qpc, HW_QPC_NO_SQ), 0);
	assert_int_equal(hw_get(qpc, HW_QPC_RQ_TYPE), HW_RQ_ZERO_SIZE);
	assert_int_equal(hw_get(qpc, HW_QPC_CQN_SND), gda->qps[0].cqn);
	assert_int_equal(hw_get(qpc, HW_QPC_SEND_DBR_MODE),
			 HW_SEND_DBR_NO_DBR_EXT);
	assert_int_equal(hw_get(qpc, HW_QPC_UAR_PAGE), gda->qps[0].uar.page_id);
	assert_int_equal(hw_get(box->in, HW_CREATE_QP_UMEM_VALID), 1);
	assert_int_equal(hw_get64(box->in, HW_CREATE_QP_UMEM_OFFSET), 0);
	assert_int_equal(hw_get(qpc, HW_QPC_DBR_UMEM_VALID), 1);
	/* Records keep a cache line's distance, and begin where we count. */
	assert_int_equal(record % 64, 0);
	assert_int_equal(record - gda->qps[0].record_offset, 64);
	assert_memory_equal(gda_region_at(&gda->arena, record + 4),
			    "\0\0\x34\x56", 4);
	assert_ptr_equal(gda->dev_qps[0].reg,
			 gda->qps[0].uar.base + HW_UAR_NO_DBR);
	assert_int_equal(gda->dev_qps[0].completed, 0x123456);
	stop(gda, &config);
}

static void test_the_transitions_say_how_to_reach_the_peer(void **unused)
{
	const struct t_backend_box *init, *rtr, *rts;
	const uint8_t *qpc, *ads;
	struct gda_config config;
	struct gda *gda;

	(void)unused;
	set_up(&config);
	config.emu.start_counter = 0x1234567;
	gda = start(&config);
	init = t_backend_find(HW_CMD_RST2INIT_QP, 0);
	rtr = t_backend_find(HW_CMD_INIT2RTR_QP, 0);
	rts = t_backend_find(HW_CMD_RTR2RTS_QP, 0);
	qpc = init->in + HW_QPC_OFFSET;
	assert_int_equal(hw_get(init->in, HW_CMD_IN_NUMBER), gda->qps[0].qpn);
	assert_int_equal(hw_get(qpc, HW_QPC_RRE) & hw_get(qpc, HW_QPC_RWE) &
				 hw_get(qpc, HW_QPC_RAE),
			 1);
	assert_int_equal(hw_get(qpc + HW_QPC_PATH, HW_ADS_PORT), 1);
	qpc = rtr->in + HW_QPC_OFFSET;
	ads = qpc + HW_QPC_PATH;
	assert_int_equal(hw_get(qpc, HW_QPC_REMOTE_QPN), gda->qps[0].qpn);
	assert_int_equal(hw_get(qpc, HW_QPC_MTU), gda->port.mtu);
	assert_int_equal(hw_get(qpc, HW_QPC_LOG_MSG_MAX), 30);
	assert_int_equal(hw_get(qpc, HW_QPC_NEXT_RCV_PSN), 0x234567);
	assert_int_equal(hw_get(qpc, HW_QPC_LOG_RRA_MAX), 4);
	assert_int_equal(hw_get(qpc, HW_QPC_ATOMIC_MODE), HW_ATOMIC_MODE_8B);
	assert_int_equal(hw_get(ads, HW_ADS_RLID), gda->port.lid);
	assert_int_equal(hw_get(ads, HW_ADS_GRH), 0);
	qpc = rts->in + HW_QPC_OFFSET;
	assert_int_equal(hw_get(qpc, HW_QPC_NEXT_SEND_PSN), 0x234567);
	assert_int_equal(hw_get(qpc, HW_QPC_RETRY_COUNT), 7);
	assert_int_equal(hw_get(qpc, HW_QPC_LOG_SRA_MAX), 4);
	assert_in_range(hw_get(qpc + HW_QPC_PATH, HW_ADS_ACK_TIMEOUT), 14, 20);
	stop(gda, &config);
}

static void test_a_roce_path_has_gid_mac_and_port(void **unused)
{
	const struct t_backend_box *rtr;
	struct gda_config config;
	const uint8_t *ads;
	struct gda *gda;

	(void)unused;
	set_up(&config);
	config.emu.link = GDA_LINK_ROCE;
	gda = start(&config);
	rtr = t_backend_find(HW_CMD_INIT2RTR_QP, 0);
	ads = rtr->in + HW_QPC_OFFSET + HW_QPC_PATH;
	assert_int_equal(hw_get(ads, HW_ADS_GRH), 1);
	assert_memory_equal(ads + HW_ADS_RGID, gda->port.gid, 16);
	assert_memory_equal(ads + 0x26, gda->port.mac, 6);
	assert_in_range(hw_get(ads, HW_ADS_UDP_SPORT), 0xc000, 0xffff);
	stop(gda, &config);
}

static void test_one_page_serves_all_if_it_is_shared(void **unused)
{
	struct gda_config config;
	struct gda *gda;

	(void)unused;
	set_up(&config);
	config.shared_uar = true;
	config.qps_per_peer = 3;
	gda = start(&config);
	assert_ptr_equal(gda->dev_qps[0].reg, gda->dev_qps[2].reg);
	assert_ptr_equal(gda->dev_qps[0].reg, gda->uar.base + HW_UAR_BF);
	stop(gda, &config);
	set_up(&config);
	config.qps_per_peer = 3;
	gda = start(&config);
	assert_ptr_not_equal(gda->dev_qps[0].reg, gda->dev_qps[2].reg);
	stop(gda, &config);
}

/* ------------------------------------------------------------ capabilities */

static struct hw_field edited;
static enum hw_cap_type edited_type;
static uint32_t edited_value;

static void edit(uint32_t type, uint8_t *page)
{
	if (type == edited_type)
		hw_set(page, edited, edited_value);
}

static void set_up_cap(struct gda_config *config, enum hw_cap_type type,
		       struct hw_field field, uint32_t value)
{
	set_up(config);
	edited_type = type;
	edited = field;
	edited_value = value;
	state->edit_cap = edit;
}

static void test_a_device_that_lacks_something_is_refused(void **unused)
{
	struct gda_config config;

	(void)unused;
	set_up_cap(&config, HW_CAP_GENERAL, HW_CAP_CQE_VERSION, 0);
	refuse(&config, -ENOTSUP, "cqe_version is 0, expected 1");
	set_up_cap(&config, HW_CAP_GENERAL, HW_CAP_RC, 0);
	refuse(&config, -ENOTSUP, "reliable connections");
	set_up_cap(&config, HW_CAP_GENERAL, HW_CAP_LOG_MAX_QP_SZ, 6);
	refuse(&config, -EINVAL, "qp_depth is 128, the device's limit is 64");
	set_up_cap(&config, HW_CAP_GENERAL, HW_CAP_LOG_MAX_CQ_SZ, 6);
	refuse(&config, -EINVAL, "CQ of 128 entries");
	set_up_cap(&config, HW_CAP_GENERAL, HW_CAP_MAX_WQE_SZ_SQ, 64);
	refuse(&config, -ENOTSUP, "max_wqe_sz_sq is 64");
	set_up_cap(&config, HW_CAP_ATOMIC, HW_CAP_ATOMIC_OPERATIONS, 3);
	refuse(&config, -ENOTSUP, "atomic operations 0x3");
	set_up_cap(&config, HW_CAP_GENERAL, HW_CAP_LOG_BF_REG_SIZE, 0);
	config.doorbell = GDA_DOORBELL_BLUEFLAME;
	refuse(&config, -EINVAL, "log_bf_reg_size is 0");
}

static void test_limits_that_are_just_reached_are_accepted(void **unused)
{
	struct gda_config config;

	(void)unused;
	set_up_cap(&config, HW_CAP_GENERAL, HW_CAP_LOG_MAX_QP_SZ, 7);
	stop(start(&config), &config);
	set_up_cap(&config, HW_CAP_GENERAL, HW_CAP_LOG_MAX_CQ_SZ, 7);
	stop(start(&config), &config);
}

static void test_results_are_swapped_as_the_device_says(void **unused)
{
	struct gda_config config;
	struct gda *gda;

	(void)unused;
	set_up(&config);
	gda = start(&config);
	assert_int_equal(gda->dev.swap_results_8, 0);
	stop(gda, &config);
	set_up_cap(&config, HW_CAP_ATOMIC, HW_CAP_ATOMIC_8B_ENDIAN_MODE, 0);
	gda = start(&config);
	assert_int_equal(gda->dev.swap_results_8, 1);
	stop(gda, &config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_a_failure_at_any_call_undoes_all_before_it),
		cmocka_unit_test(
			test_a_refused_mailbox_is_told_by_command_and_status),
		cmocka_unit_test(test_create_cq_says_what_the_config_says),
		cmocka_unit_test(test_create_qp_says_what_the_config_says),
		cmocka_unit_test(
			test_the_transitions_say_how_to_reach_the_peer),
		cmocka_unit_test(test_a_roce_path_has_gid_mac_and_port),
		cmocka_unit_test(test_one_page_serves_all_if_it_is_shared),
		cmocka_unit_test(test_a_device_that_lacks_something_is_refused),
		cmocka_unit_test(
			test_limits_that_are_just_reached_are_accepted),
		cmocka_unit_test(test_results_are_swapped_as_the_device_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
