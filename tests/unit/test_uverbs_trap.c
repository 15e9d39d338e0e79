/* SPDX-License-Identifier: MIT */
/*
 * Trapped pages: many threads, pages that come and go, instructions that
 * cannot be followed, and a program with ideas of its own about SIGSEGV. The
 * store instructions themselves: test_uverbs_store.c.
 */
#include "emu/uverbs/trap.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/t_trap.h"

/* ---------------------------------------------------------------- control */

static void test_wrong_additions_and_removals_are_refused(void **state)
{
	struct t_trap *t = t_trap_open(2);
	struct t_trap *other = t_trap_open(1);

	(void)state;
	assert_int_equal(t_trap_add(t, 0, 2), 0);
	assert_int_equal(t_trap_add(t, 0, 1), -EEXIST);
	assert_int_equal(t_trap_add(t, 1, 1), -EEXIST);
	assert_int_equal(uv_trap_add(other->page + 8, 4096, &t_trap_ops, t),
			 -EINVAL);
	assert_int_equal(uv_trap_add(other->page, 8, &t_trap_ops, t), -EINVAL);
	assert_int_equal(uv_trap_add(other->page, 0, &t_trap_ops, t), -EINVAL);
	assert_int_equal(uv_trap_add(other->page, 4096, NULL, t), -EINVAL);
	assert_int_equal(uv_trap_add(NULL, 4096, &t_trap_ops, t), -EINVAL);
	assert_int_equal(uv_trap_remove(t->page + 4096), -ENOENT);
	assert_int_equal(uv_trap_remove(other->page), -ENOENT);
	assert_int_equal(uv_trap_remove(t->page), 0);
	assert_int_equal(uv_trap_remove(t->page), -ENOENT);
	assert_int_equal(t_trap_add(t, 0, 1), 0);
	assert_int_equal(uv_trap_remove(t->page), 0);
	/* Memory that is not there. */
	munmap(other->page, 4096);
	assert_int_equal(t_trap_add(other, 0, 1), -ENOMEM);
	assert_int_equal(uv_trap_remove(other->page), -ENOENT);
	t_trap_close(other);
	t_trap_close(t);
}

static void test_a_trapped_page_can_be_read_and_is_not_written(void **state)
{
	struct t_trap *t = t_trap_open(1);

	(void)state;
	t->alias[7] = 0x77;
	assert_int_equal(t_trap_add(t, 0, 1), 0);
	assert_int_equal(*(volatile uint8_t *)(t->page + 7), 0x77);
	t_trap_store(t->page + 8, 0x1122334455667788);
	t_trap_told(t, 0, 8, 8, "\x88\x77\x66\x55\x44\x33\x22\x11");
	assert_int_equal(t->told_count, 1);
	assert_int_equal(*(volatile uint64_t *)(t->page + 8), 0);
	assert_int_equal(uv_trap_remove(t->page), 0);
	t_trap_store(t->page + 8, 5);
	assert_int_equal(t->alias[8], 5);
	assert_int_equal(t->told_count, 1);
	t_trap_close(t);
}

static void test_pages_are_many_and_come_again(void **state)
{
	enum { PAGES = 700 };
	struct t_trap *t = t_trap_open(PAGES);
	unsigned i, lap;

	(void)state;
	for (lap = 0; lap < 3; lap++) {
		for (i = 0; i < PAGES; i++)
			assert_int_equal(t_trap_add(t, i, 1), 0);
		t->told_count = 0;
		for (i = 0; i < PAGES; i++)
			t_trap_store(t->page + (size_t)i * 4096 + 16, i);
		assert_int_equal(t->told_count, PAGES);
		for (i = 0; i < PAGES; i++)
			assert_int_equal(
				uv_trap_remove(t->page + (size_t)i * 4096), 0);
	}
	t_trap_close(t);
}

/* A page that is unmapped by and by is the program's again. */
static void fault_where_a_trap_was(void)
{
	struct t_trap *t = t_trap_open(1);

	t_trap_add(t, 0, 1);
	t_trap_store(t->page, 1);
	uv_trap_remove(t->page);
	mprotect(t->page, 4096, PROT_READ);
	t_trap_store(t->page, 2);
}

static int status_of(void (*child)(void))
{
	static const struct rlimit no_core;
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		setrlimit(RLIMIT_CORE, &no_core);
		alarm(60);
		signal(SIGSEGV, SIG_DFL);
		child();
		_exit(0);
	}
	assert_true(waitpid(pid, &status, 0) == pid);
	return status;
}

static void fault_elsewhere(void)
{
	struct t_trap *t = t_trap_open(1);
	uint8_t *gone =
		mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	t_trap_add(t, 0, 1);
	t_trap_store(t->page, 1);
	t_trap_store(gone, 1);
}

static void test_other_faults_kill_as_without_us(void **state)
{
	int status;

	(void)state;
	status = status_of(fault_where_a_trap_was);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	status = status_of(fault_elsewhere);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

/* -------------------------------------------- a program with its own ideas */

static volatile sig_atomic_t program_calls;

static void program_handler(int sig)
{
	(void)sig;
	program_calls++;
}

static void rings(struct t_trap *t)
{
	unsigned before = t->told_count;

	t_trap_store(t->page + 0x800, before);
	assert_int_equal(t->told_count, before + 1);
}

static void test_handlers_and_masks_of_the_program_do_not_matter(void **state)
{
	struct t_trap *t = t_trap_open(1);
	struct sigaction action = {.sa_handler = program_handler};
	sigset_t all, old;

	(void)state;
	sigaction(SIGSEGV, &action, NULL);
	assert_int_equal(t_trap_add(t, 0, 1), 0);
	rings(t);
	action.sa_flags = (int)SA_RESETHAND;
	sigaction(SIGSEGV, &action, NULL);
	rings(t);
	signal(SIGSEGV, SIG_IGN);
	rings(t);
	signal(SIGSEGV, SIG_DFL);
	rings(t);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	rings(t);
	signal(SIGSEGV, program_handler);
	rings(t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	rings(t);
	assert_int_equal(program_calls, 0);
	raise(SIGSEGV);
	assert_int_equal(program_calls, 1);
	t_trap_close(t);
}

/* The sanitizers bring stacks of their own, and larger frames. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { OWN_STACKS = 0 };
#else
enum { OWN_STACKS = 1 };
#endif

static void test_an_alternate_stack_of_16_kib_is_enough(void **state)
{
	static uint8_t stack[16384];
	struct sigaction action = {.sa_handler = program_handler,
				   .sa_flags = SA_ONSTACK};
	stack_t set = {.ss_sp = stack, .ss_size = sizeof(stack)}, old;
	unsigned untouched = 0;
	struct t_trap *t;

	(void)state;
	if (!OWN_STACKS)
		skip();
	memset(stack, 0xa5, sizeof(stack));
	assert_int_equal(sigaltstack(&set, &old), 0);
	sigaction(SIGSEGV, &action, NULL);
	t = t_trap_open(1);
	t_trap_add(t, 0, 1);
	rings(t);
	while (stack[untouched] == 0xa5)
		untouched++;
	assert_in_range(untouched, 1024, sizeof(stack) - 1);
	print_message("%zu bytes of the alternate stack were used\n",
		      sizeof(stack) - untouched);
	sigaltstack(&old, NULL);
	t_trap_close(t);
}

/* --------------------------------------------------------------- giving up */

static void gives_up(void (*store)(uint8_t *at), const char *bytes)
{
	struct t_trap *t = t_trap_open(1);

	t->alias[0x100] = 4;
	assert_int_equal(t_trap_add(t, 0, 1), 0);
	rings(t);
	store(t->page + 0x100);
	assert_int_equal(t->given_up, 1);
	assert_non_null(strstr(t->why, bytes));
	assert_int_equal(t->alias[0x100], 7);
	assert_int_equal(t->told_count, 1);
	/* Plain memory from now on. */
	store(t->page + 0x100);
	assert_int_equal(t->alias[0x100], 10);
	assert_int_equal(t->given_up, 1);
	assert_int_equal(uv_trap_remove(t->page), 0);
	t_trap_close(t);
}

static void add_3(uint8_t *at)
{
	__asm__ volatile("lock addq $3, (%0)" : : "r"(at) : "memory");
}

static void exchange_add_3(uint8_t *at)
{
	uint64_t three = 3;

	__asm__ volatile("lock xaddq %0, (%1)"
			 : "+r"(three)
			 : "r"(at)
			 : "memory");
}

static void compare_and_add_3(uint8_t *at)
{
	uint64_t old = *(volatile uint64_t *)at;

	__asm__ volatile("lock cmpxchgq %2, (%1)"
			 : "+a"(old)
			 : "r"(at), "r"(old + 3)
			 : "memory");
}

static void test_what_cannot_be_followed_makes_the_page_plain(void **state)
{
	(void)state;
	gives_up(add_3, "instruction f0 48 83 ");
	gives_up(exchange_add_3, "instruction f0 48 0f c1 ");
	gives_up(compare_and_add_3, " 0f b1 ");
}

static void *add_for_a_while(void *arg)
{
	int i;

	for (i = 0; i < 1000; i++)
		add_3(arg);
	return NULL;
}

static void test_threads_that_give_up_at_once_lose_nothing(void **state)
{
	pthread_t threads[4];
	int i, lap;

	(void)state;
	for (lap = 0; lap < 50; lap++) {
		struct t_trap *t = t_trap_open(1);
		uint64_t sum;

		t_trap_add(t, 0, 1);
		for (i = 0; i < 4; i++)
			pthread_create(&threads[i], NULL, add_for_a_while,
				       t->page + 64);
		for (i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		memcpy(&sum, t->alias + 64, sizeof(sum));
		assert_int_equal(sum, 4 * 1000 * 3);
		assert_int_equal(t->given_up, 1);
		t_trap_close(t);
	}
}

/* ----------------------------------------------------------------- threads */

enum { THREADS = 4, STORES = 5000 };

struct storer {
	pthread_t thread;
	struct t_trap *t;
	unsigned number;
	uint64_t told, lost;
};

static __thread uint64_t told_last;

static void note_told(void *arg, size_t offset, const void *bytes, size_t len)
{
	(void)arg, (void)offset;
	memcpy(&told_last, bytes, len);
}

static void no_give_up(void *arg, const char *why)
{
	(void)arg, (void)why;
	abort();
}

static const struct uv_trap_ops note_ops = {note_told, no_give_up};

static void *store_on(void *arg)
{
	struct storer *s = arg;
	uint8_t *at = s->t->page + 64u * s->number;
	uint64_t i;

	for (i = 1; i <= STORES; i++) {
		t_trap_store(at, i);
		if (told_last == i)
			s->told++;
		else if (t_trap_load(at) != i)
			s->lost++;
	}
	return NULL;
}

static void start(struct storer *storers, struct t_trap *t)
{
	unsigned i;

	for (i = 0; i < THREADS; i++) {
		storers[i] = (struct storer){.t = t, .number = i};
		pthread_create(&storers[i].thread, NULL, store_on, &storers[i]);
	}
}

static void test_stores_of_threads_are_told_once_each(void **state)
{
	struct t_trap *t = t_trap_open(1);
	struct storer storers[THREADS];
	unsigned i;

	(void)state;
	assert_int_equal(uv_trap_add(t->page, 4096, &note_ops, t), 0);
	start(storers, t);
	for (i = 0; i < THREADS; i++) {
		pthread_join(storers[i].thread, NULL);
		assert_int_equal(storers[i].told, STORES);
	}
	t_trap_close(t);
}

static void test_no_store_is_lost_while_a_page_comes_and_goes(void **state)
{
	struct t_trap *t = t_trap_open(1);
	struct storer storers[THREADS];
	unsigned i;

	(void)state;
	start(storers, t);
	for (i = 0; i < 2000; i++) {
		assert_int_equal(uv_trap_add(t->page, 4096, &note_ops, t), 0);
		assert_int_equal(uv_trap_remove(t->page), 0);
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(storers[i].thread, NULL);
		assert_int_equal(storers[i].lost, 0);
	}
	t_trap_close(t);
}

/* ---------------------------------------------------------- who is in ops */

static struct {
	bool entered, leave, removed;
} slow;

static void store_slowly(void *arg, size_t offset, const void *bytes,
			 size_t len)
{
	(void)arg, (void)offset, (void)bytes, (void)len;
	__atomic_store_n(&slow.entered, true, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&slow.leave, __ATOMIC_SEQ_CST))
		sched_yield();
}

static const struct uv_trap_ops slow_ops = {store_slowly, no_give_up};

static void *store_once(void *arg)
{
	t_trap_store(arg, 1);
	return NULL;
}

static void *remove_page(void *arg)
{
	uv_trap_remove(arg);
	__atomic_store_n(&slow.removed, true, __ATOMIC_SEQ_CST);
	return NULL;
}

static void test_removal_waits_for_who_is_told(void **state)
{
	struct t_trap *t = t_trap_open(1);
	pthread_t storer, remover;

	(void)state;
	assert_int_equal(uv_trap_add(t->page, 4096, &slow_ops, t), 0);
	pthread_create(&storer, NULL, store_once, t->page);
	while (!__atomic_load_n(&slow.entered, __ATOMIC_SEQ_CST))
		sched_yield();
	pthread_create(&remover, NULL, remove_page, t->page);
	usleep(20000);
	assert_false(__atomic_load_n(&slow.removed, __ATOMIC_SEQ_CST));
	__atomic_store_n(&slow.leave, true, __ATOMIC_SEQ_CST);
	pthread_join(storer, NULL);
	pthread_join(remover, NULL);
	assert_true(slow.removed);
	t_trap_close(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wrong_additions_and_removals_are_refused),
		cmocka_unit_test(
			test_a_trapped_page_can_be_read_and_is_not_written),
		cmocka_unit_test(test_pages_are_many_and_come_again),
		cmocka_unit_test(test_other_faults_kill_as_without_us),
		cmocka_unit_test(
			test_handlers_and_masks_of_the_program_do_not_matter),
		cmocka_unit_test(test_an_alternate_stack_of_16_kib_is_enough),
		cmocka_unit_test(
			test_what_cannot_be_followed_makes_the_page_plain),
		cmocka_unit_test(
			test_threads_that_give_up_at_once_lose_nothing),
		cmocka_unit_test(test_removal_waits_for_who_is_told),
		cmocka_unit_test(test_stores_of_threads_are_told_once_each),
		cmocka_unit_test(
			test_no_store_is_lost_while_a_page_comes_and_goes),
	};

	if (t_trap_missing())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
