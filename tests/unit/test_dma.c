/* SPDX-License-Identifier: MIT */
/*
 * Access to client memory: words in one piece, faults as values, atomics.
 */
#include "emu/dma.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "support/t_nic.h"

enum { PAGE = 4096 };

#if defined(__SANITIZE_ADDRESS__)
#define POISONING 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISONING 1
#endif
#endif

/* Two pages of which the second is not mapped. */
static uint8_t *map_half(void)
{
	uint8_t *pages;

	t_fault_handler();
	pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(pages != MAP_FAILED);
	assert_int_equal(munmap(pages + PAGE, PAGE), 0);
	return pages;
}

static void test_every_length_and_alignment_is_copied(void **state)
{
	uint8_t src[96], dst[96];
	size_t len, from, to, i;

	(void)state;
	for (i = 0; i < sizeof(src); i++)
		src[i] = (uint8_t)(i + 1);
	for (len = 0; len <= 33; len++)
		for (from = 0; from < 9; from++)
			for (to = 0; to < 9; to++) {
				memset(dst, 0, sizeof(dst));
				assert_int_equal(
					dma_copy(dst + to, src + from, len), 0);
				assert_memory_equal(dst + to, src + from, len);
				assert_int_equal(dst[to + len], 0);
				assert_true(!to || !dst[to - 1]);
			}
}

static void test_overlapping_memory_is_moved(void **state)
{
	uint8_t bytes[64], expected[64];
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	memcpy(expected, bytes, sizeof(bytes));
	memcpy(expected + 5, bytes, 50);
	assert_int_equal(dma_copy(bytes + 5, bytes, 50), 0);
	assert_memory_equal(bytes, expected, sizeof(bytes));
}

static void test_a_missing_destination_is_efault_a_source_eio(void **state)
{
	static const size_t lengths[] = {1, 2, 4, 8, 16, 64, 1000};
	uint8_t *pages = map_half(), local[1000] = {0};
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		assert_int_equal(dma_copy(pages + PAGE, local, lengths[i]),
				 -EFAULT);
		assert_int_equal(dma_copy(local, pages + PAGE, lengths[i]),
				 -EIO);
		assert_int_equal(
			dma_copy(pages + PAGE - lengths[i], local, lengths[i]),
			0);
		assert_int_equal(
			dma_copy(local, pages + PAGE - lengths[i], lengths[i]),
			0);
	}
	/* One byte too far */
	assert_int_equal(dma_copy(pages + PAGE - 999, local, 1000), -EFAULT);
	assert_int_equal(dma_copy(local, pages + PAGE - 999, 1000), -EIO);
	munmap(pages, PAGE);
}

static void test_read_only_memory_is_no_destination(void **state)
{
	uint8_t *pages = map_half(), local[8] = {0};

	(void)state;
	assert_int_equal(mprotect(pages, PAGE, PROT_READ), 0);
	assert_int_equal(dma_copy(pages, local, 8), -EFAULT);
	assert_int_equal(dma_copy(local, pages, 8), 0);
	munmap(pages, PAGE);
}

/* x86 does not say which address it was when it is not canonical. */
static void test_an_impossible_address_blames_its_side(void **state)
{
	void *impossible = (void *)(uintptr_t)0x0001000000000000ull;
	uint8_t local[64] = {0};

	(void)state;
#ifdef POISONING
	print_message("skipped: ASan has no shadow for such an address\n");
	return;
#endif
	t_fault_handler();
	assert_int_equal(dma_copy(impossible, local, 8), -EFAULT);
	assert_int_equal(dma_copy(impossible, local, 64), -EFAULT);
	assert_int_equal(dma_copy(local, impossible, 8), -EIO);
	assert_int_equal(dma_copy(local, impossible, 64), -EIO);
}

static void test_records_cqes_probes_and_atomics_report_faults(void **state)
{
	struct dma_atomic add = {.operand = 1};
	uint8_t *pages = map_half(), cqe[64] = {0};
	uint64_t original;
	uint32_t word;

	(void)state;
	assert_int_equal(dma_load_record(pages + PAGE, &word), -EIO);
	assert_int_equal(dma_write_cqe(pages + PAGE, cqe), -EFAULT);
	assert_int_equal(dma_probe(pages + PAGE, 1), -EIO);
	assert_int_equal(dma_probe(pages, PAGE + 1), -EIO);
	assert_int_equal(dma_probe(pages, PAGE), 0);
	assert_int_equal(dma_probe(pages + PAGE, 0), 0);
	assert_int_equal(dma_atomic(pages + PAGE, 4, &add, &original), -EFAULT);
	assert_int_equal(dma_atomic(pages + PAGE, 8, &add, &original), -EFAULT);
	munmap(pages, PAGE);
}

static void test_poisoned_memory_is_not_touched(void **state)
{
	(void)state;
#ifdef POISONING
	uint8_t *freed = malloc(64), local[64] = {0};
	uintptr_t address = (uintptr_t)freed;

	free(freed);
	assert_int_equal(dma_copy((void *)address, local, 8), -EFAULT);
	assert_int_equal(dma_copy(local, (void *)address, 8), -EIO);
#else
	print_message("skipped: needs ASan\n");
#endif
}

static uint64_t atomic(unsigned bytes, uint64_t start,
		       const struct dma_atomic *op)
{
	uint64_t value = start, original;
	uint32_t half = (uint32_t)start;
	void *target = bytes == 4 ? (void *)&half : (void *)&value;

	assert_int_equal(dma_atomic(target, bytes, op, &original), 0);
	assert_int_equal(original, bytes == 4 ? (uint32_t)start : start);
	return bytes == 4 ? half : value;
}

static void test_compare_and_swap_uses_both_masks(void **state)
{
	struct dma_atomic op = {.compare_swap = true,
				.operand = 0x1122334455667788,
				.compare = 0x00000000000000aa,
				.swap_mask = 0xffff,
				.compare_mask = 0xff};

	(void)state;
	assert_int_equal(atomic(8, 0xdeadbeef000012aa, &op),
			 0xdeadbeef00007788);
	assert_int_equal(atomic(8, 0xdeadbeef000012ab, &op),
			 0xdeadbeef000012ab);
	assert_int_equal(atomic(4, 0x990012aa, &op), 0x99007788);
	op.compare_mask = 0; /* always */
	op.swap_mask = ~0ull;
	assert_int_equal(atomic(8, 5, &op), 0x1122334455667788);
	assert_int_equal(atomic(4, 5, &op), 0x55667788);
}

/* A set bit of compare is the top of a field: its carry is dropped. */
static void test_fetch_and_add_keeps_carries_in_their_field(void **state)
{
	struct dma_atomic op = {.operand = 1};

	(void)state;
	assert_int_equal(atomic(8, ~0ull, &op), 0);
	assert_int_equal(atomic(4, 0xffffffff, &op), 0);
	op.compare = 0x8080808080808080; /* eight fields of a byte */
	op.operand = 0x0101010101010101;
	assert_int_equal(atomic(8, 0xff00ff00ff00ff00, &op),
			 0x0001000100010001);
	assert_int_equal(atomic(4, 0x7fff00fe, &op), 0x800001ff);
	op.compare = ~0ull; /* exclusive or */
	op.operand = 0xf0f0f0f0f0f0f0f0;
	assert_int_equal(atomic(8, 0xffff0000ffff0000, &op),
			 0x0f0ff0f00f0ff0f0);
	op.compare = 1ull << 31; /* two fields of 32 bits */
	op.operand = 0x0000000100000001;
	assert_int_equal(atomic(8, 0x00000000ffffffff, &op),
			 0x0000000100000000);
}

enum { ADDS = 20000 };

static void *adder(void *arg)
{
	struct dma_atomic add = {.operand = 1};
	uint64_t original;
	int i;

	for (i = 0; i < ADDS; i++)
		if (dma_atomic(arg, 8, &add, &original))
			return arg;
	return NULL;
}

static void test_atomics_of_threads_do_not_get_lost(void **state)
{
	uint64_t value = 0;
	pthread_t thread;
	void *failed;
	int i;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, adder, &value), 0);
	for (i = 0; i < ADDS; i++)
		__atomic_add_fetch(&value, 1, __ATOMIC_RELAXED);
	assert_int_equal(pthread_join(thread, &failed), 0);
	assert_null(failed);
	assert_int_equal(value, 2 * ADDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_length_and_alignment_is_copied),
		cmocka_unit_test(test_overlapping_memory_is_moved),
		cmocka_unit_test(
			test_a_missing_destination_is_efault_a_source_eio),
		cmocka_unit_test(test_read_only_memory_is_no_destination),
		cmocka_unit_test(test_an_impossible_address_blames_its_side),
		cmocka_unit_test(
			test_records_cqes_probes_and_atomics_report_faults),
		cmocka_unit_test(test_poisoned_memory_is_not_touched),
		cmocka_unit_test(test_compare_and_swap_uses_both_masks),
		cmocka_unit_test(
			test_fetch_and_add_keeps_carries_in_their_field),
		cmocka_unit_test(test_atomics_of_threads_do_not_get_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
