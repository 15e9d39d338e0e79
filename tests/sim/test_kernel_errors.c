/* SPDX-License-Identifier: MIT */
/*
 * Kernels and what goes wrong: every thread of a group gets the same error,
 * the kernel ends, and the host can say what it was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/gpu.h"
#include "support/t_gpu.h"

enum { NPES = 2, THREADS = 64 };

enum wrong {
	WRONG_PE,	   /* of one lane */
	WRONG_ADDRESS,	   /* of one lane */
	WRONG_LENGTH,	   /* too long for one WQE */
	WRONG_BLOCK,	   /* threads of a block go to two PEs */
	WRONG_SIGNALS,	   /* lanes use different signal operations */
	WRONG_SIGNAL_PE,   /* not that of the data */
	WRONG_VALUE,	   /* 9 bytes */
	WRONG_ALIGNMENT,   /* of one lane's atomic */
	WRONG_LED,	   /* PE of put_warp */
	WRONG_FAR_ADDRESS, /* of put_block */
	WRONGS,
};

struct args {
	struct gda_dev dev;
	uint64_t *memory; /* 64 words of heap */
	int32_t *codes;	  /* [THREADS] */
	struct gda_qp_error *error;
	int32_t wrong;
};

static int call_wrong(const struct args *args)
{
	const struct gda_dev *dev = &args->dev;
	struct gda_dev_group warp = gda_dev_group_warp();
	struct gda_dev_group block = gda_dev_group_block();
	uint64_t *at = args->memory + gpu_lane();
	uint32_t is_bad = gpu_lane() == 7;
	struct gda_dev_copy copy = {at, at, 8, 1, 0};
	struct gda_dev_signal signal = {args->memory, 1, 1, GDA_DEV_SIGNAL_ADD};
	struct gda_dev_atomic_call atomic = {at, 1, 0, GDA_DEV_ADD, 8, 1};

	switch (args->wrong) {
	case WRONG_PE:
		copy.pe = is_bad ? NPES : 1;
		return gda_dev_put_each(dev, &warp, &copy);
	case WRONG_ADDRESS:
		copy.sym = is_bad ? args->codes : (void *)at;
		return gda_dev_get_each(dev, &warp, &copy);
	case WRONG_LENGTH:
		copy.len = is_bad ? GDA_DEV_CHUNK_BYTES + 1 : 8;
		return gda_dev_put_each(dev, &block, &copy);
	case WRONG_BLOCK:
		copy.pe = is_bad ? 0 : 1;
		return gda_dev_put_each(dev, &block, &copy);
	case WRONG_SIGNALS:
		signal.op = is_bad ? GDA_DEV_SIGNAL_SET : GDA_DEV_SIGNAL_ADD;
		return gda_dev_put_signal_each(dev, &warp, &copy, &signal);
	case WRONG_SIGNAL_PE:
		signal.pe = is_bad ? 0 : 1;
		return gda_dev_put_signal_each(dev, &warp, &copy, &signal);
	case WRONG_VALUE:
		copy.len = is_bad ? 9 : 8;
		return gda_dev_put_value_each(dev, &warp, &copy, 1);
	case WRONG_ALIGNMENT:
		atomic.dest = (uint8_t *)at + (is_bad ? 4 : 0);
		return gda_dev_atomic_each(dev, &warp, &atomic, false);
	case WRONG_LED:
		return gda_dev_put_nbi_warp(dev, at, at, 8, -1);
	default:
		return gda_dev_put_block(dev, args->memory, args->codes, 8, 1);
	}
}

GPU_KERNEL(wrong_call, struct args)
{
	args->codes[gpu_thread()] = call_wrong(args);
}

static void start(struct t_gpu *t, const struct gda_config *config,
		  struct args *args)
{
	static int32_t codes[NPES][THREADS];
	static struct gda_qp_error errors[NPES];
	int pe;

	memset(codes, 0x55, sizeof(codes));
	memset(errors, 0, sizeof(errors));
	assert_int_equal(t_gpu_start(t, config, NPES, 512), 0);
	for (pe = 0; pe < NPES; pe++) {
		args[pe].dev = *t->pes[pe].dev;
		args[pe].memory = t->pes[pe].arg;
		args[pe].codes = codes[pe];
		args[pe].error = &errors[pe];
	}
}

static void expect(const struct args *args, int code)
{
	int i;

	for (i = 0; i < THREADS; i++)
		assert_int_equal(args->codes[i], code);
}

static void test_one_wrong_argument_is_an_error_for_the_group(void **state)
{
	struct gpu_shape shape = {1, THREADS, 0, 0};
	struct args args[NPES];
	struct gda_config config;
	struct t_gpu t = {.seed = 4};
	int wrong, i;

	(void)state;
	t_config(&config);
	config.shared = GDA_SHARED_GPU;
	start(&t, &config, args);
	for (wrong = 0; wrong < WRONGS; wrong++) {
		args[0].wrong = args[1].wrong = wrong;
		assert_int_equal(t_gpu_run(&t, &wrong_call, &shape, args), 0);
		for (i = 0; i < THREADS; i++)
			if (args[0].codes[i] !=
			    (wrong == WRONG_ADDRESS || wrong == WRONG_LENGTH ||
					     wrong == WRONG_FAR_ADDRESS
				     ? GDA_DEV_EFAULT
				     : GDA_DEV_EINVAL))
				fail_msg("wrong %d: thread %d got %d", wrong, i,
					 args[0].codes[i]);
		/* Nothing was posted. */
		assert_int_equal(args[0].dev.qps[1].reserved, 0);
	}
	assert_int_equal(t_gpu_stop(&t), 0);
}

/* ------------------------------------------------------------ broken queue */

GPU_KERNEL(post_until_broken, struct args)
{
	struct gda_dev_group block = gda_dev_group_block();
	uint64_t *at = args->memory + gpu_thread() % 64;
	struct gda_dev_copy copy = {at, at, 8, 1, 0};
	int round, rc = 0;

	for (round = 0; !rc && round < 100; round++)
		rc = gda_dev_put_each(&args->dev, &block, &copy);
	if (!rc)
		rc = gda_dev_quiet_block(&args->dev);
	args->codes[gpu_thread()] = rc;
	if (gpu_thread() == 0)
		gda_dev_qp_error(&args->dev, 1, 0, args->error);
}

static void test_a_broken_queue_ends_the_kernel_and_is_named(void **state)
{
	struct gpu_shape shape = {1, THREADS, 0, 0};
	struct gda_dev_peer peers[NPES];
	struct args args[NPES];
	struct gda_config config;
	struct t_gpu t = {.seed = 0};
	char text[200];
	int i;

	(void)state;
	for (i = 0; i < 6; i++) {
		t_config(&config);
		t.seed = (uint64_t)i;
		config.qp_depth = i & 1 ? 16 : 256;
		config.cq_mode = i & 2 ? GDA_CQ_RING : GDA_CQ_COLLAPSED;
		start(&t, &config, args);
		memcpy(peers, args[0].dev.peers, sizeof(peers));
		peers[1].rkey ^= 0xabcd00;
		args[0].dev.peers = peers;
		assert_int_equal(
			t_gpu_run(&t, &post_until_broken, &shape, args), 0);
		expect(&args[0], GDA_DEV_EIO);
		expect(&args[1], 0);
		assert_int_equal(args[0].error->code, GDA_DEV_EIO);
		assert_int_equal(args[1].error->code, 0);
		assert_true(args[0].error->syndrome == HW_SYND_REMOTE_ACCESS ||
			    args[0].error->syndrome == HW_SYND_WR_FLUSH);
		gda_error_string(args[0].error, text, sizeof(text));
		assert_non_null(strstr(text, "PE 1 lane 0"));
		assert_int_equal(t_gpu_stop(&t), 0);
	}
}

/* ------------------------------------------------------------------ timeout */

GPU_KERNEL(wait_in_vain, struct args)
{
	args->codes[gpu_thread()] = gda_dev_wait_until_u64_block(
		&args->dev, args->memory, GDA_DEV_EQ, 1);
}

static void test_a_wait_for_a_silent_peer_ends(void **state)
{
	struct gpu_shape shape = {1, THREADS, 0, 0};
	struct args args[NPES];
	struct gda_config config;
	struct t_gpu t = {.seed = 1};

	(void)state;
	t_config(&config);
	config.op_timeout_ms = 20; /* of virtual time */
	start(&t, &config, args);
	assert_int_equal(t_gpu_run(&t, &wait_in_vain, &shape, args), 0);
	expect(&args[0], GDA_DEV_ETIMEDOUT);
	expect(&args[1], GDA_DEV_ETIMEDOUT);
	assert_int_equal(t_gpu_stop(&t), 0);
}

static void test_a_launch_on_no_stream_is_refused(void **state)
{
	struct gpu_shape shape = {1, THREADS, 0, GPU_STREAMS};
	struct gpu *gpu;
	struct args args;

	(void)state;
	memset(&args, 0, sizeof(args));
	assert_int_equal(gpu_open(NULL, &gpu), 0);
	assert_string_equal(gpu_name(gpu), "the SIMT runner, seed 0");
	assert_int_equal(gpu_launch(gpu, &wait_in_vain, &shape, &args), -22);
	assert_non_null(strstr(gpu_error(gpu), "stream 64"));
	shape.stream = 0;
	shape.threads = 2000;
	assert_int_equal(gpu_launch(gpu, &wait_in_vain, &shape, &args), -22);
	assert_non_null(strstr(gpu_error(gpu), "2000"));
	assert_int_equal(gpu_wait(gpu, GPU_STREAMS), 0);
	gpu_close(gpu);
	gpu_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_one_wrong_argument_is_an_error_for_the_group),
		cmocka_unit_test(
			test_a_broken_queue_ends_the_kernel_and_is_named),
		cmocka_unit_test(test_a_wait_for_a_silent_peer_ends),
		cmocka_unit_test(test_a_launch_on_no_stream_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
