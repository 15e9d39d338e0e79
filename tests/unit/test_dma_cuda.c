/* SPDX-License-Identifier: MIT */
/*
 * Access to device memory, with a driver that has no GPU: what is copied, in
 * which order, when it is there, and what is said when it is not.
 */
#include "emu/dma.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/t_cuda.h"
#include "support/t_nic.h"
#include "support/t_rng.h"

enum { BYTES = 8 << 20, OOM = 2, ILLEGAL_ADDRESS = 700 };

static int attach(const void *addr, uint64_t len, const char **why)
{
	struct nic_mem mem = {
		.addr = (void *)addr, .len = len, .kind = NIC_MEM_CUDA};
	void *address;

	return dma_attach(&mem, &address, why);
}

static void fill(uint8_t *bytes, size_t len, uint64_t seed)
{
	struct t_rng rng = {.state = seed};

	t_random_bytes(&rng, bytes, len);
}

static int teardown(void **state)
{
	(void)state;
	t_cuda()->refuse("", 0, 0, 0);
	t_cuda()->set_full(false);
	t_cuda()->set_latency(1);
	t_cuda()->on_start(NULL);
	dma_settle();
	assert_true(t_cuda()->tidy());
	return 0;
}

/* ------------------------------------------------------------ no driver */

static void test_without_a_gpu_it_is_said_what_is_missing(void **state)
{
	const char *why = NULL;
	uint64_t word = 0;

	(void)state;
	if (attach(&word, 8, &why) != -ENOTSUP)
		return; /* this machine has one */
	assert_non_null(strstr(why, "there is no CUDA driver"));
	assert_non_null(strstr(why, "libcuda.so.1"));
	assert_false(dma_is_cuda(&word));
	t_cuda()->set_devices(0);
	assert_int_equal(attach(&word, 8, &why), -ENOTSUP);
	assert_non_null(strstr(why, "finds no GPU"));
	assert_non_null(strstr(why, "CUDA_ERROR_NO_DEVICE"));
	t_cuda()->set_devices(1);
}

/* --------------------------------------------------------------- attach */

static void test_only_device_memory_is_attached(void **state)
{
	uint8_t *plain = t_cuda()->alloc(4096);
	uint64_t left = -((uintptr_t)plain + 4096) & 65535;
	const char *why = NULL;
	uint64_t word = 0;

	(void)state;
	assert_int_equal(attach(plain, 4096, &why), 0);
	assert_int_equal(attach(&word, 8, &why), -EINVAL);
	assert_non_null(strstr(why, "not device memory"));
	/* Programs register to the end of the GPU's page. */
	assert_int_equal(attach(plain, 4096 + left, &why), 0);
	assert_int_equal(attach(plain, 4097 + left, &why), -EINVAL);
	assert_int_equal(attach(plain, 0, &why), -EINVAL);
	assert_int_equal(attach(plain + 4095, UINT64_MAX, &why), -EINVAL);
	t_cuda()->release(plain);
	assert_int_equal(attach(plain, 4096, &why), -EINVAL);
}

static void test_device_memory_is_told_from_host_memory(void **state)
{
	struct t_device d = t_device(4096);
	uint64_t word = 0;

	(void)state;
	assert_true(dma_is_cuda(d.plain));
	assert_false(dma_is_cuda(&word));
	assert_true(dma_is_device(d.dma));
	assert_true(dma_is_device(d.dma + 4095));
	assert_false(dma_is_device(&word));
	/* What a client writes into a WQE never has the mark. */
	assert_false(dma_is_device(dma_host_address((uintptr_t)d.dma)));
	assert_ptr_equal(dma_host_address((uintptr_t)&word), &word);
	t_cuda()->release(d.plain);
}

static void test_no_pinned_memory_is_no_memory(void **state)
{
	uint8_t *plain = t_cuda()->alloc(4096);
	const char *why = NULL;

	(void)state;
	t_cuda()->reset(); /* so that streams and buffer are made anew */
	t_cuda()->refuse("cuMemHostAlloc", OOM, 0, 1);
	assert_int_equal(attach(plain, 8, &why), -ENOMEM);
	assert_non_null(strstr(why, "pinned"));
	t_cuda()->refuse("cuStreamCreateWithPriority", OOM, 1, 1);
	assert_int_equal(attach(plain, 8, &why), -ENOMEM);
	assert_int_equal(attach(plain, 8, &why), 0);
}

/* --------------------------------------------------------------- copies */

static void copy_both_ways(struct t_device *d, size_t len, size_t at)
{
	uint8_t *src = malloc(len + 1), *dst = malloc(len + 1);

	fill(src, len, len);
	memset(d->view, 0, BYTES);
	assert_int_equal(dma_copy(d->dma + at, src, len), 0);
	/* Posted: it may be changed at once. */
	memset(dst, 0, len);
	assert_int_equal(dma_copy(dst, d->dma + at, len), 0);
	assert_memory_equal(dst, src, len);
	assert_memory_equal(d->view + at, src, len);
	assert_int_equal(d->view[at + len], 0);
	free(src);
	free(dst);
}

static void test_every_length_is_copied(void **state)
{
	static const size_t lengths[] = {1,    2,	3,	4,	7,
					 8,    63,	64,	65,	4096,
					 5000, 1 << 19, 600000, 5 << 20};
	struct t_device d = t_device(BYTES);
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		copy_both_ways(&d, lengths[i], 0);
		copy_both_ways(&d, lengths[i], 3);
	}
	assert_int_equal(dma_copy(d.dma, NULL, 0), 0);
	t_cuda()->release(d.plain);
}

static void test_a_store_to_host_memory_waits_for_the_device(void **state)
{
	struct t_device d = t_device(4096);
	uint64_t value = 1, flag = 0;

	(void)state;
	assert_int_equal(dma_copy(d.dma, &value, 8), 0);
	assert_int_equal(d.view[0], 0);
	assert_int_equal(dma_store(&flag, &value, 8), 0);
	assert_int_equal(d.view[0], 1);
	value = 2;
	assert_int_equal(dma_copy(d.dma, &value, 8), 0);
	assert_int_equal(d.view[0], 1);
	assert_int_equal(dma_copy(&flag, &value, 8), 0); /* not a client's */
	assert_int_equal(d.view[0], 1);
	assert_int_equal(dma_settle(), 0);
	t_cuda()->release(d.plain);
}

static void test_host_memory_that_is_gone_is_told(void **state)
{
	struct t_device d = t_device(4096);
	uint8_t *gone = t_cuda()->alloc(4096); /* as memory of the CPU */

	(void)state;
	t_fault_handler();
	assert_int_equal(dma_copy(d.dma, gone, 8), -EIO);
	assert_int_equal(dma_copy(gone, d.dma, 8), -EFAULT);
	assert_int_equal(dma_copy(gone, d.dma, 4096), -EFAULT);
	copy_both_ways(&d, 8, 0);
}

static void test_device_memory_that_is_gone_is_told(void **state)
{
	struct t_device d = t_device(4096), other = t_device(BYTES);
	struct dma_atomic add = {.operand = 1};
	uint64_t word = 0;
	uint8_t cqe[64] = {0};
	uint32_t record;

	(void)state;
	t_cuda()->release(d.plain);
	assert_int_equal(dma_copy(&word, d.dma, 8), -EIO);
	assert_int_equal(dma_copy(d.dma, &word, 8), -EFAULT);
	assert_int_equal(dma_copy(other.dma, d.dma, 8), -EIO);
	assert_int_equal(dma_copy(d.dma, other.dma, 8), -EFAULT);
	assert_int_equal(dma_probe(d.dma, 8), -EIO);
	assert_int_equal(dma_load_record(d.dma, &record), -EIO);
	assert_int_equal(dma_write_cqe(d.dma, cqe), -EFAULT);
	assert_int_equal(dma_atomic(d.dma, 8, &add, &word), -EFAULT);
	copy_both_ways(&other, 100, 0);
	t_cuda()->release(other.plain);
}

static void test_an_address_of_no_gpu_is_an_error(void **state)
{
	uint8_t *strange = (uint8_t *)(uintptr_t)(0x7f00000000001000ull);
	struct dma_atomic add = {.operand = 1};
	uint64_t word = 0;

	(void)state;
	assert_true(dma_is_device(strange));
	assert_int_equal(dma_copy(&word, strange, 8), -EIO);
	assert_int_equal(dma_copy(strange, &word, 8), -EFAULT);
	assert_int_equal(dma_atomic(strange, 8, &add, &word), -EFAULT);
}

static void test_the_end_of_a_cqe_comes_last(void **state)
{
	struct t_device d = t_device(4096);
	struct fake_cuda_op ops[8];
	uint8_t cqe[64];

	(void)state;
	fill(cqe, 64, 3);
	t_cuda()->forget_ops();
	assert_int_equal(dma_write_cqe(d.dma + 64, cqe), 0);
	assert_int_equal(dma_settle(), 0);
	assert_memory_equal(d.view + 64, cqe, 64);
	assert_int_equal(t_cuda()->ops(ops, 8), 2);
	assert_int_equal(ops[0].len, 56);
	assert_int_equal(ops[1].len, 8);
	assert_ptr_equal(ops[1].device, d.plain + 64 + 56);
	t_cuda()->release(d.plain);
}

static void test_a_copy_engine_may_be_slow(void **state)
{
	struct t_device d = t_device(BYTES);

	(void)state;
	t_cuda()->set_latency(1000);
	copy_both_ways(&d, 3 << 20, 1);
	t_cuda()->release(d.plain);
}

/* -------------------------------------------------------------- atomics */

static const struct dma_atomic operations[] = {
	{.operand = 5},
	{.operand = 0xff, .compare = 0x8080808080808080},
	{.compare_swap = true,
	 .operand = 9,
	 .compare = 0x1122334455667788,
	 .swap_mask = ~0ull,
	 .compare_mask = ~0ull},
	{.compare_swap = true,
	 .operand = 9,
	 .compare = 1,
	 .swap_mask = ~0ull,
	 .compare_mask = ~0ull},
	{.compare_swap = true,
	 .operand = ~0ull,
	 .compare = 0x88,
	 .swap_mask = 0xff00,
	 .compare_mask = 0xff},
};

/* As on host memory; ret is what dma_atomic() is to say. */
static void all_atomics(struct t_device *d, unsigned bytes, int ret)
{
	uint64_t host, was, is;
	unsigned i;

	for (i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		host = 0x1122334455667788;
		memcpy(d->view, &host, 8);
		assert_int_equal(dma_atomic(&host, bytes, &operations[i], &was),
				 0);
		assert_int_equal(dma_atomic(d->dma, bytes, &operations[i], &is),
				 ret);
		assert_int_equal(dma_settle(), 0);
		assert_int_equal(is, was);
		assert_memory_equal(d->view, &host, 8);
	}
}

static void test_atomics_are_done_by_the_gpu(void **state)
{
	struct t_device d = t_device(4096);

	(void)state;
	all_atomics(&d, 8, 0);
	all_atomics(&d, 4, 0);
	t_cuda()->release(d.plain);
}

static void test_an_atomic_comes_behind_what_was_written(void **state)
{
	struct t_device d = t_device(4096);
	struct dma_atomic add = {.operand = 1};
	struct fake_cuda_op ops[8];
	uint64_t word = 7;
	size_t count;

	(void)state;
	t_cuda()->forget_ops();
	assert_int_equal(dma_copy(d.dma + 64, &word, 8), 0);
	assert_int_equal(dma_atomic(d.dma, 8, &add, &word), 0);
	count = t_cuda()->ops(ops, 8);
	assert_int_equal(count, 2);
	assert_int_equal(ops[0].kind, FAKE_TO_DEVICE);
	assert_int_equal(ops[1].kind, FAKE_KERNEL);
	t_cuda()->release(d.plain);
}

static void test_a_full_gpu_gets_its_atomics_by_copies(void **state)
{
	struct t_device d = t_device(4096);
	uint64_t word = 1, original;
	struct dma_atomic add = {.operand = 1};

	(void)state;
	memcpy(d.view, &word, 8);
	t_cuda()->set_full(true);
	assert_int_equal(dma_atomic(d.dma, 8, &add, &original), 1);
	assert_int_equal(original, 1);
	assert_int_equal(dma_settle(), 0);
	all_atomics(&d, 8, 1);
	all_atomics(&d, 4, 1);
	/* The one that was cancelled does nothing when its turn comes. */
	word = 50;
	memcpy(d.view, &word, 8);
	t_cuda()->set_full(false);
	assert_int_equal(*(uint64_t *)d.view, 50);
	all_atomics(&d, 8, 0);
	t_cuda()->release(d.plain);
}

static void test_memory_may_be_attached_while_the_gpu_is_full(void **state)
{
	struct t_device d;

	(void)state;
	t_cuda()->reset();
	t_cuda()->set_full(true);
	d = t_device(4096);
	all_atomics(&d, 8, 1);
	t_cuda()->set_full(false);
	all_atomics(&d, 8, 0);
	t_cuda()->release(d.plain);
}

/* Longer than the wait for a kernel's start: it has started, so it counts. */
static void dawdle(void *slot)
{
	(void)slot;
	usleep(3000);
}

static void *launch_later(void *arg)
{
	usleep(*(useconds_t *)arg);
	t_cuda()->set_full(false);
	return NULL;
}

static void test_a_kernel_that_starts_late_runs_once_or_not(void **state)
{
	struct t_device d = t_device(4096);
	struct dma_atomic add = {.operand = 1};
	uint64_t original, sum = 0;
	useconds_t delay;
	pthread_t thread;
	int ret;

	(void)state;
	for (delay = 0; delay < 1200; delay += 20) {
		t_cuda()->set_full(true);
		pthread_create(&thread, NULL, launch_later, &delay);
		ret = dma_atomic(d.dma, 8, &add, &original);
		assert_true(ret == 0 || ret == 1);
		pthread_join(thread, NULL);
		assert_int_equal(original, sum++);
		assert_int_equal(dma_settle(), 0);
		assert_int_equal(*(uint64_t *)d.view, sum);
	}
	/* One that has started is waited for, however long it takes. */
	t_cuda()->on_start(dawdle);
	for (delay = 0, ret = 1; ret; sum++) {
		t_cuda()->set_full(true);
		pthread_create(&thread, NULL, launch_later, &delay);
		ret = dma_atomic(d.dma, 8, &add, &original);
		pthread_join(thread, NULL);
		assert_int_equal(original, sum);
		assert_int_equal(dma_settle(), 0);
	}
	t_cuda()->release(d.plain);
}

static void test_without_the_kernel_atomics_are_copies(void **state)
{
	struct t_device d;

	(void)state;
	t_cuda()->reset();
	t_cuda()->refuse("cuModuleLoadData", ILLEGAL_ADDRESS, 0, 1);
	d = t_device(4096);
	all_atomics(&d, 8, 1);
	t_cuda()->reset();
	t_cuda()->release(d.plain);
}

static void *add_many(void *arg)
{
	struct dma_atomic add = {.operand = 1};
	uint64_t original;
	int i;

	for (i = 0; i < 500; i++)
		if (dma_atomic(arg, 8, &add, &original) < 0)
			return arg;
	return NULL;
}

static void test_atomics_of_two_threads_lose_nothing(void **state)
{
	struct t_device d = t_device(4096);
	pthread_t thread;
	void *failed;
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		t_cuda()->set_full(i);
		pthread_create(&thread, NULL, add_many, d.dma);
		assert_null(add_many(d.dma));
		pthread_join(thread, &failed);
		assert_null(failed);
		dma_settle();
		assert_int_equal(*(uint64_t *)d.view, (i + 1) * 1000);
	}
	t_cuda()->set_full(false);
	t_cuda()->release(d.plain);
}

/* --------------------------------------------------------- context lost */

static void test_a_lost_context_is_an_error_and_a_new_one_works(void **state)
{
	struct t_device d = t_device(4096), fresh;
	struct dma_atomic add = {.operand = 1};
	uint64_t word = 1;

	(void)state;
	assert_int_equal(dma_copy(d.dma, &word, 8), 0);
	t_cuda()->reset();
	assert_int_equal(dma_settle(), -EIO);
	assert_int_equal(dma_settle(), 0);
	assert_int_equal(dma_copy(d.dma, &word, 8), -EFAULT);
	assert_int_equal(dma_copy(&word, d.dma, 8), -EIO);
	assert_int_equal(dma_atomic(d.dma, 8, &add, &word), -EFAULT);
	fresh = t_device(BYTES);
	assert_int_not_equal(dma_device(fresh.dma), dma_device(d.dma));
	copy_both_ways(&fresh, 1000, 0);
	assert_int_equal(dma_copy(fresh.dma, d.dma, 8), -EIO);
	t_cuda()->release(fresh.plain);
}

static void test_a_call_that_fails_once_is_tried_again(void **state)
{
	struct t_device d = t_device(BYTES);
	uint64_t word = 1;

	(void)state;
	t_cuda()->refuse("cuMemcpyHtoDAsync_v2", OOM, 0, 1);
	assert_int_equal(dma_copy(d.dma, &word, 8), -EFAULT);
	t_cuda()->refuse("cuMemcpyDtoHAsync_v2", OOM, 0, 1);
	assert_int_equal(dma_copy(&word, d.dma, 8), -EIO);
	copy_both_ways(&d, 1000, 0);
	t_cuda()->refuse("cuMemcpyDtoHAsync_v2", ILLEGAL_ADDRESS, 0, 1);
	assert_int_equal(dma_copy(&word, d.dma, 8), -EIO);
	/* That one was for good. */
	assert_int_equal(dma_copy(&word, d.dma, 8), -EIO);
	t_cuda()->release(d.plain);
}

int main(void)
{
#define T(name) cmocka_unit_test_teardown(name, teardown)
	const struct CMUnitTest tests[] = {
		T(test_without_a_gpu_it_is_said_what_is_missing),
		T(test_only_device_memory_is_attached),
		T(test_device_memory_is_told_from_host_memory),
		T(test_every_length_is_copied),
		T(test_a_store_to_host_memory_waits_for_the_device),
		T(test_host_memory_that_is_gone_is_told),
		T(test_device_memory_that_is_gone_is_told),
		T(test_an_address_of_no_gpu_is_an_error),
		T(test_the_end_of_a_cqe_comes_last),
		T(test_a_copy_engine_may_be_slow),
		T(test_atomics_are_done_by_the_gpu),
		T(test_an_atomic_comes_behind_what_was_written),
		T(test_a_full_gpu_gets_its_atomics_by_copies),
		T(test_a_kernel_that_starts_late_runs_once_or_not),
		T(test_atomics_of_two_threads_lose_nothing),
		T(test_no_pinned_memory_is_no_memory),
		T(test_without_the_kernel_atomics_are_copies),
		T(test_memory_may_be_attached_while_the_gpu_is_full),
		T(test_a_lost_context_is_an_error_and_a_new_one_works),
		T(test_a_call_that_fails_once_is_tried_again),
	};

	t_fault_handler();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
