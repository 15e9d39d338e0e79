/* SPDX-License-Identifier: MIT */
/*
 * Kernels and what goes wrong: every thread of a group gets the same error,
 * the kernel ends, the host can say what it was, and the next one works. On
 * the SIMT runner; with nvcc also as gpu_test_kernel_errors_cuda, on a GPU.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bench/pes.h"
#include "hw/cqe.h"
#include "kernel_errors.h"

enum { NPES = 2, THREADS = 64, BLOCKS_MAX = 32 };

/* What one PE's kernels and the host share, at one address. */
struct shared {
	int32_t codes[BLOCKS_MAX * THREADS];
	struct gda_qp_error error;
	struct gda_dev_peer peers[NPES];
};

struct fixture {
	struct pes pes;
	struct shared *shared[NPES];
	struct errors_args args[NPES];
};

static const struct gpu_shape one_block = {1, THREADS, 0, 0};

static void load(struct gda_config *config)
{
	if (gda_config_load(config))
		fail_msg("%s", gda_last_error());
	if (!getenv("GDA_BACKEND"))
		config->backend = "emu";
	config->shared = GDA_SHARED_GPU;
	config->timeout_ms = 20000;
	config->op_timeout_ms = 20000;
}

static void start(struct fixture *f, const struct gda_config *config,
		  uint64_t seed)
{
	int pe;

	memset(f, 0, sizeof(*f));
	assert_int_equal(pes_open(&f->pes, NPES, config,
				  ERRORS_WORDS * sizeof(uint64_t), seed),
			 0);
	for (pe = 0; pe < NPES; pe++) {
		f->shared[pe] = gpu_alloc(f->pes.gpu, sizeof(*f->shared[pe]));
		assert_non_null(f->shared[pe]);
		memset(f->shared[pe]->codes, 0x55,
		       sizeof(f->shared[pe]->codes));
		f->args[pe].dev = *gda_device(f->pes.gda[pe]);
		f->args[pe].memory = f->pes.arena[pe];
		f->args[pe].codes = f->shared[pe]->codes;
		f->args[pe].error = &f->shared[pe]->error;
	}
}

static void run(struct fixture *f, const struct gpu_kernel *kernel,
		const struct gpu_shape *shape)
{
	assert_int_equal(pes_run(&f->pes, kernel, shape, f->args), 0);
}

static void expect(const struct fixture *f, int pe, uint32_t threads, int code)
{
	uint32_t i;

	for (i = 0; i < threads; i++)
		if (f->shared[pe]->codes[i] != code)
			fail_msg("PE %d thread %u got %d, expected %d", pe, i,
				 f->shared[pe]->codes[i], code);
}

/* The process goes on: queue pairs that nothing happened to still work. */
static void stop_after_one_that_works(struct fixture *f)
{
	int pe;

	for (pe = 0; pe < NPES; pe++) {
		f->args[pe].posts = 1;
		f->args[pe].dev = *gda_device(f->pes.gda[pe]);
	}
	f->args[0].posts = 0;
	run(f, &post_until_broken, &one_block);
	expect(f, 1, THREADS, 0);
	for (pe = 0; pe < NPES; pe++)
		gpu_free(f->pes.gpu, f->shared[pe]);
	pes_close(&f->pes);
}

static void test_one_wrong_argument_is_an_error_for_the_group(void **state)
{
	struct gda_config config;
	struct gda_dev_qp qp;
	struct fixture f;
	int wrong;

	(void)state;
	load(&config);
	start(&f, &config, 4);
	for (wrong = 0; wrong < WRONGS; wrong++) {
		f.args[0].kind = f.args[1].kind = wrong;
		run(&f, &wrong_call, &one_block);
		expect(&f, 0, THREADS,
		       wrong == WRONG_ADDRESS || wrong == WRONG_LENGTH ||
				       wrong == WRONG_GET_ADDRESS ||
				       wrong == WRONG_FAR_ADDRESS
			       ? GDA_DEV_EFAULT
			       : GDA_DEV_EINVAL);
		/* Nothing was posted. */
		assert_int_equal(gpu_copy(f.pes.gpu, &qp, f.args[0].dev.qps + 1,
					  sizeof(qp)),
				 0);
		assert_int_equal(qp.reserved, config.emu.start_counter);
	}
	stop_after_one_that_works(&f);
}

/* ------------------------------------------------------------ broken queue */

/* PE 0 has a wrong key for PE 1. */
static void spoil_key(struct fixture *f)
{
	struct gda_dev_peer *peers = f->shared[0]->peers;

	assert_int_equal(gpu_copy(f->pes.gpu, peers, f->args[0].dev.peers,
				  sizeof(f->shared[0]->peers)),
			 0);
	peers[1].rkey ^= 0xabcd00;
	f->args[0].dev.peers = peers;
}

static void test_a_broken_queue_ends_the_kernel_and_is_named(void **state)
{
	struct gpu_shape shape = one_block;
	struct gda_qp_error error;
	struct gda_config config;
	struct fixture f;
	char text[200];
	int i;

	(void)state;
	for (i = 0; i < 6; i++) {
		load(&config);
		config.qp_depth = i & 1 ? 64 : 256;
		config.cq_mode = i & 2 ? GDA_CQ_RING : GDA_CQ_COLLAPSED;
		start(&f, &config, (uint64_t)i);
		/* Of one block, or thousands of threads, most of which wait. */
		shape.blocks = !gpu_is_runner(f.pes.gpu) ? BLOCKS_MAX
			       : i & 4			 ? 4
							 : 1;
		f.args[0].posts = f.args[1].posts = 20;
		spoil_key(&f);
		run(&f, &post_until_broken, &shape);
		expect(&f, 0, shape.blocks * THREADS, GDA_DEV_EIO);
		expect(&f, 1, shape.blocks * THREADS, 0);
		assert_int_equal(gda_qp_error(f.pes.gda[0], 1, 0, &error), 0);
		assert_int_equal(error.code, GDA_DEV_EIO);
		assert_true(error.syndrome == HW_SYND_REMOTE_ACCESS ||
			    error.syndrome == HW_SYND_WR_FLUSH);
		gda_error_string(&error, text, sizeof(text));
		assert_non_null(strstr(text, "PE 1 lane 0"));
		/* What the kernel itself saw is the same. */
		assert_memory_equal(&error, &f.shared[0]->error, sizeof(error));
		stop_after_one_that_works(&f);
	}
}

/* ------------------------------------------------------------------ timeout */

static void test_a_wait_for_a_silent_peer_ends(void **state)
{
	struct gda_config config;
	struct fixture f;

	(void)state;
	load(&config);
	config.op_timeout_ms = 20; /* of virtual time, on the runner */
	start(&f, &config, 1);
	run(&f, &wait_in_vain, &one_block);
	expect(&f, 0, THREADS, GDA_DEV_ETIMEDOUT);
	expect(&f, 1, THREADS, GDA_DEV_ETIMEDOUT);
	stop_after_one_that_works(&f);
}

/* ------------------------------------------------------- finalized contexts */

static void test_a_handle_of_a_finalized_pe_is_refused(void **state)
{
	struct gda_config config;
	struct fixture f;
	int kind, pe;

	(void)state;
	load(&config);
	start(&f, &config, 2);
	pes_finalize(&f.pes);
	for (kind = 0; kind < LATES; kind++) {
		f.args[0].kind = kind;
		memset(f.shared[0]->codes, 0x55, sizeof(f.shared[0]->codes));
		assert_int_equal(gpu_launch(f.pes.gpu, &call_too_late,
					    &one_block, &f.args[0]),
				 0);
		assert_int_equal(gpu_wait(f.pes.gpu, GPU_STREAMS), 0);
		expect(&f, 0, THREADS, GDA_DEV_ESHUTDOWN);
	}
	for (pe = 0; pe < NPES; pe++)
		gpu_free(f.pes.gpu, f.shared[pe]);
	pes_close(&f.pes);
	start(&f, &config, 3);
	stop_after_one_that_works(&f);
}

/* ----------------------------------------------------------------- the host */

static void test_more_memory_than_the_gpu_has_is_refused(void **state)
{
	struct gda_config config;
	struct fixture f;

	(void)state;
	load(&config);
	start(&f, &config, 5);
	if (gpu_is_runner(f.pes.gpu)) {
		stop_after_one_that_works(&f);
		return;
	}
	assert_null(gpu_alloc_device(f.pes.gpu, 1ull << 45));
	assert_int_equal(errno, ENOMEM);
	assert_non_null(strstr(gpu_error(f.pes.gpu), "device memory"));
	stop_after_one_that_works(&f);

	config.heap_place = GDA_PLACE_GPU;
	assert_int_equal(pes_open(&f.pes, NPES, &config, 1ull << 45, 0), 1);
	load(&config);
	start(&f, &config, 5);
	stop_after_one_that_works(&f);
}

static void test_a_launch_that_cannot_be_is_refused(void **state)
{
	struct gpu_shape shape = {1, THREADS, 0, GPU_STREAMS};
	struct errors_args args;
	struct gpu *gpu;

	(void)state;
	memset(&args, 0, sizeof(args));
	assert_int_equal(gpu_open(NULL, &gpu), 0);
	if (gpu_is_runner(gpu))
		assert_string_equal(gpu_name(gpu), "the SIMT runner, seed 0");
	assert_int_equal(gpu_launch(gpu, &wait_in_vain, &shape, &args),
			 -EINVAL);
	assert_non_null(strstr(gpu_error(gpu), "stream 64"));
	shape.stream = 0;
	shape.threads = 2000;
	assert_int_equal(gpu_launch(gpu, &wait_in_vain, &shape, &args),
			 -EINVAL);
	assert_non_null(strstr(gpu_error(gpu), "2000"));
	assert_int_equal(gpu_wait(gpu, GPU_STREAMS), 0);
	gpu_close(gpu);
	gpu_close(NULL);
}

static void test_a_gpu_that_is_not_there_is_named(void **state)
{
	struct gpu_config config = {.device = 4711};
	struct gpu *gpu;

	(void)state;
	if (!gpu_open(&config, &gpu)) {
		assert_true(gpu_is_runner(gpu)); /* it has no numbers */
		gpu_close(gpu);
		return;
	}
	assert_non_null(strstr(gpu_error(NULL), "4711"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_one_wrong_argument_is_an_error_for_the_group),
		cmocka_unit_test(
			test_a_broken_queue_ends_the_kernel_and_is_named),
		cmocka_unit_test(test_a_wait_for_a_silent_peer_ends),
		cmocka_unit_test(test_a_handle_of_a_finalized_pe_is_refused),
		cmocka_unit_test(test_more_memory_than_the_gpu_has_is_refused),
		cmocka_unit_test(test_a_launch_that_cannot_be_is_refused),
		cmocka_unit_test(test_a_gpu_that_is_not_there_is_named),
	};
	struct gpu *gpu;

	if (gpu_open(NULL, &gpu)) {
		printf("skipped: %s\n", gpu_error(NULL));
		return 77;
	}
	gpu_close(gpu);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
