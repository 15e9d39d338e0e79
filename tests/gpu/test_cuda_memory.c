/* SPDX-License-Identifier: MIT */
/*
 * The NIC and a real GPU: data, queues and atomics in device memory, also
 * while a kernel has every multiprocessor, and what it costs.
 */
#include "emu/dma.h"
#include "emu/runner.h"
#include "support/t_card.h"
#include "support/t_pair.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FULL_THREADS = 1024 };

static uint64_t now_ns(void)
{
	return nic_runner_now_ns();
}

static uint8_t *attach(uint64_t ptr, uint64_t len)
{
	struct nic_mem mem = {.addr = (void *)(uintptr_t)ptr,
			      .len = len,
			      .kind = NIC_MEM_CUDA};
	const char *why = NULL;
	void *address = NULL;

	if (dma_attach(&mem, &address, &why))
		fail_msg("attach: %s", why);
	return address;
}

/* A kernel on all of the GPU, until stop is set. */
static volatile uint64_t *fill_gpu(void)
{
	volatile uint64_t *stop = t_card_pinned(sizeof(*stop));
	void *parameters[] = {(void *)&stop};

	t_card_launch("spin", t_card_blocks(FULL_THREADS), FULL_THREADS,
		      parameters);
	usleep(20000);
	return stop;
}

static void end_kernels(volatile uint64_t *stop)
{
	*stop = 1;
	assert_true(t_card_wait(2000));
}

/* ---------------------------------------------------------------- copies */

static void copy_all_lengths(void)
{
	static const size_t lengths[] = {1,    2,     3,       4,      7,
					 8,    63,    64,      65,     4096,
					 7424, 65536, 1000003, 5 << 20};
	uint64_t ptr = t_card_malloc(16 << 20);
	uint8_t *dma = attach(ptr, 16 << 20), *src = malloc(8 << 20),
		*dst = malloc(8 << 20);
	unsigned i, at;

	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		for (at = 0; at < 8; at += 3) {
			t_fill(src, lengths[i], i + at);
			memset(dst, 0, lengths[i]);
			assert_int_equal(dma_copy(dma + at, src, lengths[i]),
					 0);
			assert_int_equal(dma_copy(dma + (8 << 20) + at,
						  dma + at, lengths[i]),
					 0);
			assert_int_equal(
				dma_copy(dst, dma + (8 << 20) + at, lengths[i]),
				0);
			assert_memory_equal(src, dst, lengths[i]);
		}
	}
	free(src);
	free(dst);
	t_card_free(ptr);
}

static void test_every_length_is_copied(void **state)
{
	(void)state;
	copy_all_lengths();
}

static void test_copies_go_on_while_a_kernel_has_the_gpu(void **state)
{
	volatile uint64_t *stop;
	uint64_t ptr = t_card_malloc(4096), back = 0, value = 42;
	uint8_t *dma = attach(ptr, 4096);

	(void)state;
	stop = fill_gpu();
	assert_int_equal(dma_copy(dma, &value, 8), 0);
	assert_int_equal(dma_copy(dma + 64, dma, 8), 0);
	assert_int_equal(dma_copy(&back, dma + 64, 8), 0);
	assert_int_equal(back, 42);
	assert_false(t_card_wait(1));
	end_kernels(stop);
	t_card_free(ptr);
}

static void test_memory_that_is_freed_is_an_error(void **state)
{
	uint64_t ptr = t_card_malloc(64 << 20), word = 0;
	uint8_t *dma = attach(ptr, 64 << 20);
	struct dma_atomic add = {.operand = 1};

	(void)state;
	t_card_free(ptr);
	assert_int_not_equal(dma_copy(dma, &word, 8), 0);
	assert_int_not_equal(dma_copy(&word, dma, 8), 0);
	assert_int_not_equal(dma_atomic(dma, 8, &add, &word), 0);
	copy_all_lengths(); /* and nothing else broke */
}

static void test_a_cqe_is_never_seen_half(void **state)
{
	uint64_t ptr = t_card_malloc(4096), count = 20000, i;
	uint8_t *dma = attach(ptr, 4096);
	uint64_t *out = t_card_pinned(16), cqe[8];
	void *parameters[] = {&ptr, (void *)&out, &count};

	(void)state;
	memset(cqe, 0, sizeof(cqe));
	assert_int_equal(dma_write_cqe(dma, cqe), 0);
	assert_int_equal(dma_settle(), 0);
	t_card_launch("watch", 1, 1, parameters);
	usleep(10000);
	for (i = 1; i <= count; i++) {
		for (int word = 0; word < 8; word++)
			cqe[word] = i;
		assert_int_equal(dma_write_cqe(dma, cqe), 0);
	}
	assert_int_equal(dma_settle(), 0);
	assert_true(t_card_wait(2000));
	printf("  %llu of %llu CQEs were seen\n", (unsigned long long)out[0],
	       (unsigned long long)count);
	assert_int_equal(out[1], 0);
	t_card_free(ptr);
}

/* --------------------------------------------------------------- atomics */

static void test_atomics_do_what_those_on_host_memory_do(void **state)
{
	static const struct dma_atomic operations[] = {
		{.operand = 5},
		{.operand = 0xff, .compare = 0x8080808080808080},
		{.compare_swap = true,
		 .operand = 9,
		 .compare = 0x1122334455667788,
		 .swap_mask = ~0ull,
		 .compare_mask = ~0ull},
		{.compare_swap = true,
		 .operand = ~0ull,
		 .compare = 0x88,
		 .swap_mask = 0xff00,
		 .compare_mask = 0xff},
	};
	uint64_t ptr = t_card_malloc(4096), host, was, is;
	uint8_t *dma = attach(ptr, 4096);
	unsigned i, bytes;

	(void)state;
	for (bytes = 4; bytes <= 8; bytes += 4) {
		for (i = 0; i < 4; i++) {
			host = 0x1122334455667788;
			t_card_set_word(ptr, host);
			dma_atomic(&host, bytes, &operations[i], &was);
			assert_int_equal(
				dma_atomic(dma, bytes, &operations[i], &is), 0);
			assert_int_equal(is, was);
			assert_int_equal(t_card_word(ptr), host);
		}
	}
	t_card_free(ptr);
}

static void test_atomics_lose_nothing_against_card_threads(void **state)
{
	enum { THREADS = 64, COUNT = 20000, OURS = 1000 };
	uint64_t ptr = t_card_malloc(4096), count = COUNT, original;
	volatile uint64_t *stop = t_card_pinned(sizeof(*stop));
	uint8_t *dma = attach(ptr, 4096);
	struct dma_atomic add = {.operand = 1};
	void *parameters[] = {&ptr, &count, (void *)&stop};
	int i;

	(void)state;
	t_card_set_word(ptr, 0);
	t_card_launch("add", 1, THREADS, parameters);
	for (i = 0; i < OURS; i++)
		assert_int_equal(dma_atomic(dma, 8, &add, &original), 0);
	end_kernels(stop);
	assert_int_equal(t_card_word(ptr), THREADS * COUNT + OURS);
	t_card_free(ptr);
}

static void test_a_full_gpu_gets_its_atomics_by_copies(void **state)
{
	uint64_t ptr = t_card_malloc(4096), original, begin;
	uint8_t *dma = attach(ptr, 4096);
	struct dma_atomic add = {.operand = 1};
	volatile uint64_t *stop;
	int i;

	(void)state;
	t_card_set_word(ptr, 0);
	stop = fill_gpu();
	begin = now_ns();
	for (i = 0; i < 10; i++) {
		assert_int_equal(dma_atomic(dma, 8, &add, &original), 1);
		assert_int_equal(original, i);
	}
	printf("  10 atomics on a full GPU: %llu us\n",
	       (unsigned long long)(now_ns() - begin) / 1000);
	end_kernels(stop);
	t_card_synchronize();
	assert_int_equal(t_card_word(ptr), 10);
	assert_int_equal(dma_atomic(dma, 8, &add, &original), 0);
	assert_int_equal(original, 10);
	t_card_free(ptr);
}

/* -------------------------------------------- what the program may expect */

static void *free_later(void *arg)
{
	t_card_free(*(uint64_t *)arg);
	return NULL;
}

static void test_nothing_of_the_program_is_held_up(void **state)
{
	uint64_t ptr = t_card_malloc(4096), other = t_card_malloc(64 << 20);
	uint64_t value = 1;
	uint8_t *dma = attach(ptr, 4096);

	(void)state;
	assert_int_equal(dma_copy(dma, &value, 8), 0);
	t_card_synchronize();
	t_card_free(other);
	t_card_begin_capture();
	assert_int_equal(dma_copy(dma, &value, 8), 0);
	assert_int_equal(dma_settle(), 0);
	assert_int_equal(t_card_end_capture(), CUDA_OK);
	t_card_free(ptr);
}

/* A program that frees memory while its kernel waits for the NIC. */
struct copies {
	uint8_t *dma;
	volatile unsigned done;
};

static void *copy_on(void *arg)
{
	struct copies *copies = arg;
	uint64_t value = 0, back = 0;

	while (copies->done < 100) {
		value++;
		assert_int_equal(dma_copy(copies->dma, &value, 8), 0);
		assert_int_equal(dma_copy(&back, copies->dma, 8), 0);
		assert_int_equal(back, value);
		copies->done++;
	}
	return NULL;
}

/*
 * cuMemFree waits for every kernel. Whether the driver lets other threads copy
 * meanwhile is the driver's business, and printed; they go on when it is done.
 */
static void test_copies_outlive_a_free_that_waits(void **state)
{
	uint64_t ptr = t_card_malloc(4096), other = t_card_malloc(64 << 20);
	struct copies copies = {.dma = attach(ptr, 4096)};
	pthread_t freeing, copying;
	volatile uint64_t *stop;

	(void)state;
	stop = fill_gpu();
	pthread_create(&freeing, NULL, free_later, &other);
	usleep(20000);
	pthread_create(&copying, NULL, copy_on, &copies);
	usleep(500000);
	printf("  while a free waits for a kernel, copies %s\n",
	       copies.done == 100 ? "go on" : "wait too");
	*stop = 1;
	pthread_join(freeing, NULL);
	pthread_join(copying, NULL);
	assert_true(t_card_wait(2000));
	t_card_free(ptr);
}

/* ------------------------------------------------------------------- NIC */

static struct t_pair *open_pair(bool rings, bool memory)
{
	struct t_pair *p;
	int i;

	t_card_alloc(rings);
	p = t_pair_open(&t_pair_defaults);
	t_card_alloc(memory);
	for (i = 0; i < 2 && rings != memory; i++) {
		t_free(p->memory[i]);
		p->memory[i] = t_alloc(T_PAIR_BYTES);
		p->key[i] = t_mr(&p->node[i], p->memory[i], T_PAIR_BYTES);
	}
	t_card_alloc(false);
	return p;
}

static void push(struct t_pair *p, bool rings, bool memory)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (rings)
			t_card_push(p->qp[i].rq);
		if (memory)
			t_card_push(p->memory[i]);
	}
}

static void pull(struct t_pair *p, bool rings, bool memory)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (rings)
			t_card_pull(p->cq[i].ring);
		if (memory)
			t_card_pull(p->memory[i]);
	}
}

static void exchange(struct t_pair *p, bool rings, bool memory)
{
	static const uint32_t lengths[] = {8, 64, 1000, 70000, T_PAIR_BYTES};
	struct t_atomic add = {.opcode = HW_OP_ATOMIC_FA,
			       .args = {.swap_add = 5}};
	uint16_t index;
	unsigned i;

	for (i = 0; i < 10; i++) {
		uint32_t len = lengths[i / 2];

		t_fill(p->memory[i % 2], T_PAIR_BYTES, i);
		index = t_pair_rdma(
			p, i % 2 ? HW_OP_RDMA_READ : HW_OP_RDMA_WRITE, len);
		t_ring_record(&p->qp[0]);
		push(p, rings, memory);
		t_ring_register(&p->qp[0]);
		t_pair_run(p);
		pull(p, rings, memory);
		t_expect(&p->cq[0], HW_CQE_REQ, index);
		assert_memory_equal(p->memory[0], p->memory[1], len);
	}
	*(uint64_t *)p->memory[1] = 7;
	index = t_pair_atomic(p, &add, p->memory[1], p->memory[0]);
	t_ring_record(&p->qp[0]);
	push(p, rings, memory);
	t_ring_register(&p->qp[0]);
	t_pair_run(p);
	pull(p, rings, memory);
	t_expect(&p->cq[0], HW_CQE_REQ, index);
	assert_int_equal(*(uint64_t *)p->memory[1], 12);
	assert_int_equal(*(uint64_t *)p->memory[0], 7);
}

static void test_queues_and_data_may_lie_on_the_gpu(void **state)
{
	struct t_pair *p;
	int i;

	(void)state;
	for (i = 1; i < 4; i++) {
		p = open_pair(i & 1, i & 2);
		exchange(p, i & 1, i & 2);
		t_pair_close(p);
	}
}

/* ------------------------------------------------------------------ cost */

static double us(uint64_t begin, unsigned count)
{
	return (double)(now_ns() - begin) / 1000 / count;
}

static void test_cost_of_each_access(void **state)
{
	enum { COUNT = 2000, BATCH = 100 };
	uint64_t ptr = t_card_malloc(64 << 20), begin, word = 1, original;
	uint8_t *dma = attach(ptr, 64 << 20), cqe[64] = {0};
	struct dma_atomic add = {.operand = 1};
	uint8_t *host = malloc(32 << 20);
	int i;

	(void)state;
	printf("  GPU: %s\n", t_card_name());
	begin = now_ns();
	for (i = 0; i < COUNT; i++)
		dma_copy(&word, dma, 8);
	printf("  read 8 B:                     %7.2f us\n", us(begin, COUNT));
	begin = now_ns();
	for (i = 0; i < COUNT; i++) {
		dma_copy(dma, &word, 8);
		dma_settle();
	}
	printf("  write 8 B, settled:           %7.2f us\n", us(begin, COUNT));
	begin = now_ns();
	for (i = 0; i < COUNT; i++) {
		dma_copy(dma, &word, 8);
		if (i % BATCH == BATCH - 1)
			dma_settle();
	}
	printf("  write 8 B, 100 in flight:     %7.2f us\n", us(begin, COUNT));
	begin = now_ns();
	for (i = 0; i < COUNT; i++) {
		dma_copy(dma, dma + 65536, 7424);
		if (i % BATCH == BATCH - 1)
			dma_settle();
	}
	printf("  move 7,424 B, 100 in flight:  %7.2f us\n", us(begin, COUNT));
	begin = now_ns();
	for (i = 0; i < COUNT; i++) {
		dma_write_cqe(dma, cqe);
		if (i % BATCH == BATCH - 1)
			dma_settle();
	}
	printf("  CQE, 100 in flight:           %7.2f us\n", us(begin, COUNT));
	begin = now_ns();
	for (i = 0; i < COUNT; i++)
		dma_atomic(dma, 8, &add, &original);
	printf("  atomic 8 B:                   %7.2f us\n", us(begin, COUNT));
	memset(host, 1, 32 << 20);
	begin = now_ns();
	dma_copy(dma, host, 32 << 20);
	dma_settle();
	printf("  write 32 MiB:  %6.2f GB/s\n", 33554.432 / us(begin, 1));
	begin = now_ns();
	dma_copy(host, dma, 32 << 20);
	printf("  read 32 MiB:   %6.2f GB/s\n", 33554.432 / us(begin, 1));
	begin = now_ns();
	dma_copy(dma, dma + (32 << 20), 32 << 20);
	dma_settle();
	printf("  move 32 MiB:   %6.2f GB/s\n", 33554.432 / us(begin, 1));
	free(host);
	t_card_free(ptr);
}

/* Posted, rung and stepped by this thread. */
static void cost_of_writes(bool rings, unsigned batch, uint32_t len)
{
	enum { ROUNDS = 50 };
	struct t_pair *p = open_pair(rings, true);
	uint64_t begin, total = 0;
	uint16_t index = 0;
	unsigned i, round;

	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < batch; i++)
			index = t_pair_rdma(p, HW_OP_RDMA_WRITE, len);
		t_ring_record(&p->qp[0]);
		if (rings) {
			t_card_push(p->qp[0].rq);
			t_card_push(p->cq[0].ring); /* its consumer index */
		}
		begin = now_ns();
		t_ring_register(&p->qp[0]);
		t_pair_run(p);
		total += now_ns() - begin;
		if (rings)
			t_card_pull(p->cq[0].ring);
		for (i = 0; i < batch; i++)
			t_expect(&p->cq[0], HW_CQE_REQ,
				 (uint16_t)(index - batch + 1 + i));
	}
	printf("  write %u B device to device, queues on the %s, %2u a "
	       "doorbell: %7.2f us each\n",
	       len, rings ? "GPU " : "host", batch,
	       (double)total / 1000 / ROUNDS / batch);
	t_pair_close(p);
}

static void test_cost_of_writes(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < 2; i++) {
		cost_of_writes(i, 1, 8);
		cost_of_writes(i, 32, 8);
		cost_of_writes(i, 32, 7424);
	}
}

/* In the order in which they were posted: each overwrites the one before. */
static void test_moves_keep_their_order(void **state)
{
	static const uint32_t lengths[] = {8, 1, 7424, 4096, 3328, 64, 250};
	uint64_t ptr = t_card_malloc(1 << 20);
	uint8_t *dma = attach(ptr, 1 << 20), *host = malloc(1 << 20);
	uint8_t *got = malloc(1 << 20);
	uint32_t i, to, from, len;

	(void)state;
	t_fill(host, 1 << 20, 5);
	assert_int_equal(dma_copy(dma, host, 1 << 20), 0);
	for (i = 0; i < 3000; i++) {
		len = lengths[i % 7];
		to = i * 2654435761u % 500000;
		from = 510000 + i * 40503u % 500000;
		if (i % 3 == 0) {
			from = to + 8192; /* what the next may overwrite */
			to = to & ~15u;
		}
		assert_int_equal(dma_copy(dma + to, dma + from, len), 0);
		memmove(host + to, host + from, len);
	}
	assert_int_equal(dma_copy(got, dma, 1 << 20), 0);
	assert_memory_equal(got, host, 1 << 20);
	free(host);
	free(got);
	t_card_free(ptr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_length_is_copied),
		cmocka_unit_test(test_moves_keep_their_order),
		cmocka_unit_test(test_copies_go_on_while_a_kernel_has_the_gpu),
		cmocka_unit_test(test_a_cqe_is_never_seen_half),
		cmocka_unit_test(test_atomics_do_what_those_on_host_memory_do),
		cmocka_unit_test(
			test_atomics_lose_nothing_against_card_threads),
		cmocka_unit_test(test_a_full_gpu_gets_its_atomics_by_copies),
		cmocka_unit_test(test_queues_and_data_may_lie_on_the_gpu),
		cmocka_unit_test(test_nothing_of_the_program_is_held_up),
		cmocka_unit_test(test_cost_of_each_access),
		cmocka_unit_test(test_cost_of_writes),
		cmocka_unit_test(test_memory_that_is_freed_is_an_error),
		cmocka_unit_test(test_copies_outlive_a_free_that_waits),
	};

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!t_card_open())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
