/* SPDX-License-Identifier: MIT */
/*
 * stack/host/log.c: sentences, and words for codes.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hw/cqe.h"
#include "hw/wqe_opcode.h"
#include "stack/host/internal.h"

static char heard[256];
static enum gda_log_level heard_level;

static void hear(void *arg, enum gda_log_level level, const char *text)
{
	assert_ptr_equal(arg, heard);
	heard_level = level;
	snprintf(heard, sizeof(heard), "%s", text);
}

static void test_a_failure_is_told_and_remembered(void **state)
{
	struct gda_config config = {.log = hear, .log_arg = heard};

	(void)state;
	assert_int_equal(gda_fail(&config, -ENOENT, "no %s", "thing"), -ENOENT);
	assert_string_equal(heard, "no thing");
	assert_int_equal(heard_level, GDA_LOG_ERROR);
	assert_string_equal(gda_last_error(), "no thing");
	gda_log(&config, GDA_LOG_INFO, "%d things", 3);
	assert_string_equal(heard, "3 things");
	assert_int_equal(heard_level, GDA_LOG_INFO);
	assert_string_equal(gda_last_error(), "no thing");
	/* Without a callback, and without a config. */
	config.log = NULL;
	gda_log(&config, GDA_LOG_WARN, "unheard");
	assert_int_equal(gda_fail(&config, -EIO, "a"), -EIO);
	assert_int_equal(gda_fail(NULL, -EIO, "b"), -EIO);
	assert_string_equal(gda_last_error(), "b");
	assert_string_equal(heard, "3 things");
}

static void *look(void *arg)
{
	*(size_t *)arg = strlen(gda_last_error());
	return NULL;
}

static void test_each_thread_has_its_own_last_error(void **state)
{
	size_t len = 99;
	pthread_t thread;

	(void)state;
	gda_fail(NULL, -EIO, "mine");
	pthread_create(&thread, NULL, look, &len);
	pthread_join(thread, NULL);
	assert_int_equal(len, 0);
}

static void test_long_sentences_are_cut(void **state)
{
	char text[2000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	gda_fail(NULL, -EIO, "%s", text);
	assert_in_range(strlen(gda_last_error()), 400, 600);
}

static void test_every_code_has_words(void **state)
{
	int code;

	(void)state;
	for (code = 1; code > -200; code--) {
		assert_non_null(gda_strerror(code));
		assert_true(gda_strerror(code)[0]);
	}
	assert_string_equal(gda_strerror(0), "success");
	assert_non_null(strstr(gda_strerror(GDA_DEV_EIO), "error CQE"));
	assert_non_null(strstr(gda_strerror(GDA_DEV_ETIMEDOUT), "timed out"));
	/* Device code has no errno.h; the numbers are the same. */
	assert_int_equal(GDA_DEV_EIO, -EIO);
	assert_int_equal(GDA_DEV_EFAULT, -EFAULT);
	assert_int_equal(GDA_DEV_EINVAL, -EINVAL);
	assert_int_equal(GDA_DEV_ETIMEDOUT, -ETIMEDOUT);
}

static void test_an_error_record_names_everything(void **state)
{
	struct gda_qp_error error = {
		.code = GDA_DEV_EIO,
		.peer = 3,
		.lane = 1,
		.qpn = 0x2ed,
		.wqe_index = 0x1ff,
		.syndrome = HW_SYND_RNR_RETRY_EXC,
		.vendor_syndrome = 0x88,
		.wqe_opcode = HW_OP_RDMA_READ,
	};
	char text[256], small[10];
	int len;

	(void)state;
	len = gda_error_string(&error, text, sizeof(text));
	assert_int_equal(len, strlen(text));
	assert_string_equal(
		text, "PE 3 lane 1: QP 0x2ed, WQE 0x01ff (RDMA_READ): "
		      "error CQE with syndrome 0x16 RNR_RETRY_EXC, vendor "
		      "syndrome 0x88");
	assert_int_equal(gda_error_string(&error, small, sizeof(small)), len);
	assert_string_equal(small, "PE 3 lane");
	error.wqe_opcode = 0xee;
	gda_error_string(&error, text, sizeof(text));
	assert_non_null(strstr(text, "(?)"));
	error.code = 0;
	gda_error_string(&error, text, sizeof(text));
	assert_non_null(strstr(text, "no error"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_failure_is_told_and_remembered),
		cmocka_unit_test(test_each_thread_has_its_own_last_error),
		cmocka_unit_test(test_long_sentences_are_cut),
		cmocka_unit_test(test_every_code_has_words),
		cmocka_unit_test(test_an_error_record_names_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
