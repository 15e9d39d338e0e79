/* SPDX-License-Identifier: MIT */
/*
 * The host API with a real NIC behind it: symmetric allocation, buffers,
 * refused configs, and threads that fail to meet.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/t_pes.h"

static bool says(const char *words)
{
	return strstr(gda_last_error(), words) != NULL;
}

static void allocate(struct t_pe *pe)
{
	struct gda *gda = pe->gda;
	uint8_t *a = gda_malloc(gda, 1000);
	uint8_t *b = gda_calloc(gda, 3, 50);
	uint8_t *c;
	int i;

	T_EXPECT(pe, gda_pe(gda) == pe->pe && gda_npes(gda) == pe->npes);
	T_EXPECT(pe, gda_dev_pe(pe->dev) == pe->pe);
	T_EXPECT(pe, gda_dev_npes(pe->dev) == pe->npes);
	T_EXPECT(pe, a && b && b - a == 1024 && (uintptr_t)a % 128 == 0);
	for (i = 0; i < 150; i++)
		T_EXPECT(pe, b[i] == 0);
	T_EXPECT(pe, gda_free(gda, a) == 0);
	c = gda_malloc(gda, 10);
	T_EXPECT(pe, c == a); /* first fit, on all PEs alike */
	errno = 0;
	T_EXPECT(pe, !gda_malloc(gda, 2 << 20) && errno == ENOMEM);
	T_EXPECT(pe, says("heap_bytes"));
	T_EXPECT(pe, !gda_malloc(gda, 0) && errno == EINVAL);
	T_EXPECT(pe, !gda_calloc(gda, SIZE_MAX, 3) && errno == ENOMEM);
	T_EXPECT(pe, gda_free(gda, c + 128) == -EINVAL);
	T_EXPECT(pe, gda_free(gda, NULL) == 0);
	errno = 0;
	T_EXPECT(pe, !gda_malloc(gda, pe->pe ? 100 : 200) && errno == EINVAL);
	T_EXPECT(pe, says("collective calls differ"));
	T_EXPECT(pe, gda_malloc(gda, 5) == c + 128); /* still in step */
}

static void test_allocation_is_symmetric_and_first_fit(void **state)
{
	struct gda_config config;

	(void)state;
	t_config(&config);
	assert_int_equal(t_pes_run(&config, 2, allocate, NULL), 0);
}

static void use_buffers(struct t_pe *pe)
{
	static uint8_t bytes[4][64];
	struct gda *gda = pe->gda;
	uint8_t *heap = gda_calloc(gda, 1, 64);

	bytes[0][0] = 17;
	T_EXPECT(pe,
		 gda_dev_put(pe->dev, heap, bytes[0], 64, 0) == GDA_DEV_EFAULT);
	T_EXPECT(pe, gda_buffer_register(gda, bytes[0], 64) == 0);
	T_EXPECT(pe, gda_buffer_register(gda, bytes[0], 32) == -EEXIST);
	T_EXPECT(pe, gda_buffer_register(gda, bytes[1], 0) == -EINVAL);
	T_EXPECT(pe, gda_buffer_register(gda, NULL, 5) == -EINVAL);
	T_EXPECT(pe, gda_buffer_register(gda, bytes[1], SIZE_MAX) == -EINVAL);
	T_EXPECT(pe, gda_buffer_register(gda, bytes[2], 64) == 0);
	T_EXPECT(pe, gda_buffer_register(gda, bytes[3], 64) == -ENOSPC);
	T_EXPECT(pe, says("max_buffers is 2"));
	T_EXPECT(pe, gda_dev_put(pe->dev, heap, bytes[0], 64, 0) == 0);
	T_EXPECT(pe, heap[0] == 17);
	T_EXPECT(pe,
		 gda_dev_put(pe->dev, heap, bytes[0], 65, 0) == GDA_DEV_EFAULT);
	T_EXPECT(pe, gda_buffer_unregister(gda, bytes[1]) == -ENOENT);
	T_EXPECT(pe, gda_buffer_unregister(gda, bytes[0]) == 0);
	T_EXPECT(pe,
		 gda_dev_put(pe->dev, heap, bytes[0], 64, 0) == GDA_DEV_EFAULT);
	T_EXPECT(pe, gda_buffer_register(gda, bytes[3], 64) == 0);
	T_EXPECT(pe, gda_dev_get(pe->dev, bytes[3], heap, 64, 0) == 0);
	T_EXPECT(pe, bytes[3][0] == 17);
	/* The rest is undone by gda_finalize. */
}

static void test_registered_buffers_are_local_operands(void **state)
{
	struct gda_config config;

	(void)state;
	t_config(&config);
	config.max_buffers = 2;
	assert_int_equal(t_pes_run(&config, 1, use_buffers, NULL), 0);
}

/* ------------------------------------------------------ refused configs */

static void refuse(const struct gda_config *config, int rc, const char *words)
{
	struct gda *gda = (struct gda *)&rc;

	assert_int_equal(gda_init(config, &gda), rc);
	assert_null(gda);
	if (!says(words))
		fail_msg("\"%s\" does not say \"%s\"", gda_last_error(), words);
}

static void test_a_config_that_cannot_work_is_refused_by_field(void **state)
{
	struct gda_config good, config;

	(void)state;
	t_config(&good);
	good.group = gda_local_group_create(1);
#define WITH(change, rc, words)                                                \
	do {                                                                   \
		config = good;                                                 \
		change;                                                        \
		refuse(&config, rc, words);                                    \
	} while (0)
	WITH(config.version = 0, -EINVAL, "gda_config_load");
	WITH(config.backend = "mlx6", -ENODEV,
	     "\"mlx6\", this build knows: auto, mlx5, emu");
	WITH(config.npes = 0, -EINVAL, "npes is 0");
	WITH(config.pe = 1, -EINVAL, "pe is 1, expected 0 to 0");
	WITH(config.pe = -1, -EINVAL, "pe is -1");
	WITH(config.qp_depth = 100, -EINVAL,
	     "qp_depth is 100, expected a power");
	WITH(config.qp_depth = 2, -EINVAL, "qp_depth is 2");
	WITH(config.qp_depth = 65536, -EINVAL, "qp_depth is 65536");
	WITH(config.batch = 3, -EINVAL, "batch is 3");
	WITH(config.qps_per_peer = 0, -EINVAL, "qps_per_peer is 0");
	WITH(config.fetch_slots = 0, -EINVAL, "fetch_slots is 0");
	WITH(config.heap_bytes = 10, -EINVAL, "heap_bytes is 10");
	WITH(config.timeout_ms = 0, -EINVAL, "timeout_ms is 0");
	WITH(config.root = NULL, -EINVAL, "root is NULL");
	WITH(config.mlx5.gid_index = 70000, -EINVAL, "mlx5.gid_index is 70000");
	WITH(config.mlx5.service_level = 16, -EINVAL,
	     "mlx5.service_level is 16, expected 0 to 15");
	WITH(config.mlx5.traffic_class = 256, -EINVAL, "traffic_class is 256");
	gda_local_group_free(good.group);
#undef WITH
}

static void test_a_config_beyond_the_device_is_refused(void **state)
{
	struct gda_config good, config;

	(void)state;
	t_config(&good);
#define WITH(change, rc, words)                                                \
	do {                                                                   \
		config = good;                                                 \
		config.group = gda_local_group_create(1);                      \
		change;                                                        \
		refuse(&config, rc, words);                                    \
		gda_local_group_free(config.group);                            \
	} while (0)
	WITH(config.doorbell = GDA_DOORBELL_NO_RECORD, -EINVAL,
	     "send_dbr_mode_no_dbr_ext");
	WITH(config.emu.persona = "connectx-4", -EINVAL, "connectx-4");
	WITH(config.shared_uar = true;
	     config.emu.strict = true, -EINVAL, "shared_uar");
	WITH(config.shared_uar = true; config.emu.persona = "connectx-8";
	     config.doorbell = GDA_DOORBELL_NO_RECORD, -EINVAL, "shared_uar");
	WITH(config.npes = 2; config.pe = 1, -EPROTO, "made for 1");
#undef WITH
}

/* ---------------------------------------------------- threads that meet */

struct claimant {
	struct gda_config config;
	pthread_t thread;
	int rc;
	char text[512];
};

static void *claim(void *arg)
{
	struct claimant *claimant = arg;
	struct gda *gda;

	claimant->rc = gda_init(&claimant->config, &gda);
	snprintf(claimant->text, sizeof(claimant->text), "%s",
		 gda_last_error());
	if (!claimant->rc)
		gda_finalize(gda);
	return NULL;
}

static void meet(struct claimant *claimants, int count, int npes)
{
	struct gda_local_group *group = gda_local_group_create(npes);
	int i;

	for (i = 0; i < count; i++) {
		claimants[i].config.group = group;
		claimants[i].config.npes = npes;
		pthread_create(&claimants[i].thread, NULL, claim,
			       &claimants[i]);
	}
	for (i = 0; i < count; i++)
		pthread_join(claimants[i].thread, NULL);
	gda_local_group_free(group);
}

static void test_two_threads_that_claim_a_number_are_both_told(void **state)
{
	struct claimant claimants[2] = {0};

	(void)state;
	t_config(&claimants[0].config);
	t_config(&claimants[1].config);
	claimants[0].config.pe = claimants[1].config.pe = 1;
	meet(claimants, 2, 2);
	assert_int_equal(claimants[0].rc, -EEXIST);
	assert_int_equal(claimants[1].rc, -EEXIST);
	assert_non_null(strstr(claimants[0].text, "two threads claim PE 1"));
	assert_non_null(strstr(claimants[1].text, "two threads claim PE 1"));
}

static void test_a_thread_that_never_comes_is_named(void **state)
{
	struct claimant claimants[2] = {0};

	(void)state;
	t_config(&claimants[0].config);
	t_config(&claimants[1].config);
	claimants[0].config.timeout_ms = claimants[1].config.timeout_ms = 200;
	claimants[1].config.pe = 3;
	meet(claimants, 2, 4);
	assert_int_equal(claimants[0].rc, -ETIMEDOUT);
	assert_int_equal(claimants[1].rc, -ETIMEDOUT);
	assert_non_null(strstr(claimants[0].text, "PE 1 2 did not come"));
	assert_non_null(strstr(claimants[1].text, "PE 1 2 did not come"));
}

static void test_a_thread_whose_device_fails_ends_it_for_all(void **state)
{
	struct claimant claimants[2] = {0};

	(void)state;
	t_config(&claimants[0].config);
	t_config(&claimants[1].config);
	claimants[1].config.pe = 1;
	claimants[1].config.emu.persona = "none";
	meet(claimants, 2, 2);
	assert_int_equal(claimants[0].rc, -ECONNRESET);
	assert_int_equal(claimants[1].rc, -EINVAL);
	assert_non_null(strstr(claimants[0].text, "PE 1 is gone"));
}

static bool is_in_a_piece(const struct gda *gda, const void *at, size_t len)
{
	struct gda_piece piece;
	unsigned i;

	for (i = 0; !gda_memory(gda, i, &piece); i++) {
		assert_int_equal((uintptr_t)piece.addr % 4096, 0);
		assert_int_equal(piece.len % 4096, 0);
		if ((const uint8_t *)at >= (uint8_t *)piece.addr &&
		    (const uint8_t *)at + len <=
			    (uint8_t *)piece.addr + piece.len)
			return true;
	}
	return false;
}

/* A GPU that maps the pieces reaches all that the handle points to. */
static void test_memory_lists_what_a_kernel_reaches(void **state)
{
	struct gda_config config;
	const struct gda_dev *dev;
	struct gda *gda;
	int shared, lane;

	(void)state;
	for (shared = 0; shared < 2; shared++) {
		t_config(&config);
		config.emu.fabric = "/tmp/belfry-test-memory";
		config.shared_uar = shared;
		config.qps_per_peer = 3;
		assert_int_equal(gda_init(&config, &gda), 0);
		dev = gda_device(gda);
		assert_true(
			is_in_a_piece(gda, dev->peers, sizeof(*dev->peers)));
		assert_true(is_in_a_piece(gda, dev->barrier,
					  sizeof(*dev->barrier)));
		assert_true(is_in_a_piece(gda, dev->buffers,
					  dev->buffer_count *
						  sizeof(*dev->buffers)));
		for (lane = 0; lane < 3; lane++) {
			const struct gda_dev_qp *qp = &dev->qps[lane];

			assert_true(is_in_a_piece(gda, qp, sizeof(*qp)));
			assert_true(
				is_in_a_piece(gda, qp->sq, 64ull * qp->depth));
			assert_true(is_in_a_piece(gda, qp->cq, 64));
			assert_true(is_in_a_piece(gda, qp->record, 4));
			assert_true(is_in_a_piece(gda, qp->reg, 8));
			assert_true(is_in_a_piece(gda, qp->slots, 16));
		}
		assert_false(is_in_a_piece(gda, &config, 1));
		assert_int_equal(gda_finalize(gda), 0);
	}
	assert_int_equal(system("rm -rf /tmp/belfry-test-memory"), 0);
}

static void test_one_pe_alone_needs_nobody(void **state)
{
	struct gda_config config;
	uint64_t *word, value = 0;
	struct gda *gda;

	(void)state;
	t_config(&config);
	config.emu.fabric = "/tmp/belfry-test-alone";
	assert_int_equal(gda_init(&config, &gda), 0);
	word = gda_calloc(gda, 1, sizeof(*word));
	assert_int_equal(gda_dev_p_u64(gda_device(gda), word, 5, 0), 0);
	assert_int_equal(gda_dev_g_u64(gda_device(gda), word, &value, 0), 0);
	assert_int_equal(value, 5);
	assert_int_equal(gda_dev_barrier(gda_device(gda)), 0);
	assert_int_equal(gda_barrier(gda), 0);
	assert_int_equal(gda_finalize(gda), 0);
	assert_int_equal(gda_finalize(NULL), 0);
	assert_int_equal(system("rm -rf /tmp/belfry-test-alone"), 0);
}

static void test_a_group_needs_a_pe(void **state)
{
	(void)state;
	errno = 0;
	assert_null(gda_local_group_create(0));
	assert_int_equal(errno, EINVAL);
	gda_local_group_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allocation_is_symmetric_and_first_fit),
		cmocka_unit_test(test_registered_buffers_are_local_operands),
		cmocka_unit_test(
			test_a_config_that_cannot_work_is_refused_by_field),
		cmocka_unit_test(
			test_two_threads_that_claim_a_number_are_both_told),
		cmocka_unit_test(test_a_thread_that_never_comes_is_named),
		cmocka_unit_test(test_memory_lists_what_a_kernel_reaches),
		cmocka_unit_test(
			test_a_thread_whose_device_fails_ends_it_for_all),
		cmocka_unit_test(test_one_pe_alone_needs_nobody),
		cmocka_unit_test(test_a_group_needs_a_pe),
	};
	/* It chooses the persona. */
	const struct CMUnitTest emu_tests[] = {
		cmocka_unit_test(test_a_config_beyond_the_device_is_refused),
	};
	int failures = cmocka_run_group_tests(tests, NULL, NULL);

	if (t_is_emu())
		failures += cmocka_run_group_tests(emu_tests, NULL, NULL);
	return failures;
}
