/* SPDX-License-Identifier: MIT */
/*
 * Moves within a GPU, with a driver that has none: that small ones go
 * together, in order, by a kernel or by copies.
 */
#include <errno.h>
#include <stdlib.h>

#include "emu/dma.h"
#include "support/t_cuda.h"
#include "support/t_nic.h"
#include "support/t_pair.h"
#include "support/t_rng.h"

enum { BYTES = 8 << 20 };

static int teardown(void **state)
{
	(void)state;
	t_cuda()->set_full(false);
	dma_settle();
	assert_true(t_cuda()->tidy());
	return 0;
}

static void test_a_full_gpu_moves_through_the_buffer(void **state)
{
	struct t_device from = t_device(BYTES), to = t_device(BYTES);
	struct fake_cuda_op ops[64];
	size_t count;

	(void)state;
	t_fill(from.view, BYTES, 7);
	t_cuda()->set_full(true);
	t_cuda()->forget_ops();
	assert_int_equal(dma_copy(to.dma, from.dma, 100), 0);
	assert_int_equal(dma_settle(), 0);
	count = t_cuda()->ops(ops, 64);
	assert_int_equal(count, 2);
	assert_int_equal(ops[0].kind, FAKE_TO_HOST);
	assert_ptr_equal(ops[0].device, from.plain);
	assert_int_equal(ops[1].kind, FAKE_TO_DEVICE);
	assert_ptr_equal(ops[1].device, to.plain);
	assert_int_equal(dma_copy(to.dma, from.dma, BYTES), 0);
	assert_int_equal(dma_settle(), 0);
	assert_memory_equal(to.view, from.view, BYTES);
	t_cuda()->release(from.plain);
	t_cuda()->release(to.plain);
}

static size_t count_kind(enum fake_cuda_kind kind)
{
	static struct fake_cuda_op ops[4096];
	size_t i, total = t_cuda()->ops(ops, 4096), count = 0;

	for (i = 0; i < total; i++)
		count += ops[i].kind == kind;
	return count;
}

static void test_many_small_moves_are_one_kernel(void **state)
{
	struct t_device from = t_device(BYTES), to = t_device(BYTES);
	uint64_t before;
	size_t i;

	(void)state;
	t_fill(from.view, BYTES, 9);
	t_cuda()->forget_ops();
	before = t_cuda()->questions();
	for (i = 0; i < 60; i++)
		assert_int_equal(
			dma_copy(to.dma + i * 64, from.dma + i * 64, 64), 0);
	/* Nobody has asked yet, so nothing has moved. */
	assert_int_equal(t_cuda()->questions(), before);
	assert_memory_not_equal(to.view, from.view, 3840);
	assert_int_equal(dma_settle(), 0);
	assert_memory_equal(to.view, from.view, 3840);
	assert_int_equal(count_kind(FAKE_KERNEL), 1);
	assert_int_equal(count_kind(FAKE_TO_HOST), 0);
	before = t_cuda()->questions();
	assert_int_equal(dma_settle(), 0);
	assert_int_equal(t_cuda()->questions(), before);
	/* More than wait together, and some that are too long for it. */
	for (i = 0; i < 1000; i++)
		assert_int_equal(dma_copy(to.dma + i * 4096 + i % 64,
					  from.dma + i * 4096 + i % 64, i * 3),
				 0);
	assert_int_equal(
		dma_copy(to.dma + 5 * 1000000, from.dma + 5 * 1000000, 300000),
		0);
	assert_int_equal(dma_settle(), 0);
	for (i = 0; i < 1000; i++)
		assert_memory_equal(to.view + i * 4096 + i % 64,
				    from.view + i * 4096 + i % 64, i * 3);
	assert_memory_equal(to.view + 5 * 1000000, from.view + 5 * 1000000,
			    300000);
	t_cuda()->release(from.plain);
	t_cuda()->release(to.plain);
}

static void test_a_full_gpu_gets_its_moves_by_copies(void **state)
{
	struct t_device from = t_device(BYTES), to = t_device(BYTES);
	struct fake_cuda_op ops[64];
	size_t i;

	(void)state;
	t_fill(from.view, BYTES, 11);
	t_cuda()->set_full(true);
	t_cuda()->forget_ops();
	for (i = 0; i < 20; i++)
		assert_int_equal(
			dma_copy(to.dma + i * 64, from.dma + i * 64, 64), 0);
	assert_int_equal(dma_settle(), 0);
	assert_memory_equal(to.view, from.view, 1280);
	/* All of them out, then all of them in. */
	assert_int_equal(t_cuda()->ops(ops, 64), 40);
	for (i = 0; i < 40; i++)
		assert_int_equal(ops[i].kind,
				 i < 20 ? FAKE_TO_HOST : FAKE_TO_DEVICE);
	/* The kernel that was cancelled does nothing when its turn comes. */
	memset(to.view, 0, 1280);
	t_cuda()->set_full(false);
	assert_int_equal(to.view[5], 0);
	t_cuda()->release(from.plain);
	t_cuda()->release(to.plain);
}

/* Some 64 KiB, and what they should hold when all is there. */
static void random_access(struct t_device *d, uint8_t *model, struct t_rng *rng)
{
	uint64_t len = t_below(rng, 2) ? 8 : t_below(rng, 300);
	uint64_t to = t_below(rng, 65000), word = t_random(rng);
	uint64_t from = t_below(rng, 65000), read = 0;
	struct dma_atomic add = {.operand = word};

	switch (t_below(rng, 12)) {
	case 0:
		assert_int_equal(dma_copy(d->dma + to, &word, 8), 0);
		memcpy(model + to, &word, 8);
		break;
	case 1:
		assert_int_equal(dma_copy(&read, d->dma + from, 8), 0);
		assert_memory_equal(&read, model + from, 8);
		break;
	case 2:
		to &= ~7ull;
		assert_true(dma_atomic(d->dma + to, 8, &add, &read) >= 0);
		assert_memory_equal(&read, model + to, 8);
		word += read;
		memcpy(model + to, &word, 8);
		break;
	case 3:
		assert_int_equal(dma_settle(), 0);
		assert_memory_equal(d->view, model, 65536);
		break;
	default:
		if (t_chance(rng, 100))
			from = to + t_below(rng, 100); /* they overlap */
		assert_int_equal(dma_copy(d->dma + to, d->dma + from, len), 0);
		memmove(model + to, model + from, len);
	}
}

static void test_accesses_keep_their_order(void **state)
{
	struct t_device d = t_device(BYTES);
	static uint8_t model[65536];
	struct t_rng rng;
	uint64_t seed;
	int i;

	(void)state;
	for (seed = 0; seed < 30; seed++) {
		rng = (struct t_rng){.state = seed};
		t_random_bytes(&rng, model, sizeof(model));
		memcpy(d.view, model, sizeof(model));
		t_cuda()->set_full(seed % 3 == 2);
		for (i = 0; i < 300; i++)
			random_access(&d, model, &rng);
		assert_int_equal(dma_settle(), 0);
		assert_memory_equal(d.view, model, sizeof(model));
	}
	t_cuda()->set_full(false);
	t_cuda()->release(d.plain);
}

static void test_memory_that_is_freed_under_moves_is_told(void **state)
{
	struct t_device from = t_device(4096), to = t_device(4096);
	struct t_device other = t_device(BYTES);
	int i;

	(void)state;
	for (i = 0; i < 10; i++)
		assert_int_equal(dma_copy(to.dma + i * 8, from.dma + i * 8, 8),
				 0);
	t_cuda()->release(to.plain);
	assert_int_equal(dma_settle(), -EIO);
	/* No kernel touched it, which would have cost the context. */
	assert_int_equal(dma_copy(other.dma, other.dma + 64, 64), 0);
	assert_int_equal(dma_settle(), 0);
	t_cuda()->release(from.plain);
	t_cuda()->release(other.plain);
}

int main(void)
{
#define T(name) cmocka_unit_test_teardown(name, teardown)
	const struct CMUnitTest tests[] = {
		T(test_a_full_gpu_moves_through_the_buffer),
		T(test_many_small_moves_are_one_kernel),
		T(test_a_full_gpu_gets_its_moves_by_copies),
		T(test_accesses_keep_their_order),
		T(test_memory_that_is_freed_under_moves_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
