/* SPDX-License-Identifier: MIT */
/*
 * String instructions into trapped pages: told in pieces, in order, and the
 * registers as the CPU would leave them; and what libc copies with.
 */
#include <signal.h>
#include <sys/wait.h>

#include "support/t_trap.h"

#ifdef __x86_64__

static void rep_movsb_bytes(uint8_t *to, const uint8_t *from, size_t len)
{
	uint8_t *end = to + len;
	const uint8_t *from_end = from + len;

	__asm__ volatile("cld; rep movsb"
			 : "+D"(to), "+S"(from), "+c"(len)
			 :
			 : "memory");
	assert_ptr_equal(to, end);
	assert_ptr_equal(from, from_end);
	assert_int_equal(len, 0);
}

static void test_a_string_goes_on_where_the_page_ends(void **state)
{
	struct t_trap *t = t_trap_open(3);
	uint8_t from[5000];
	size_t at = 4096, i;

	(void)state;
	for (i = 0; i < sizeof(from); i++)
		from[i] = (uint8_t)(i * 3 + 1);
	assert_int_equal(t_trap_add(t, 1, 1), 0);
	/* From the plain page before to the plain page behind. */
	rep_movsb_bytes(t->page + 3900, from, sizeof(from));
	assert_memory_equal(t->alias + 3900, from, 196);
	assert_memory_equal(t->alias + 8192, from + 4292, 708);
	for (i = 0; i < t->told_count; at += t->told[i++].len) {
		assert_int_equal(t->told[i].offset, at - 4096);
		assert_memory_equal(t->told[i].bytes, from + at - 3900,
				    t->told[i].len);
	}
	assert_int_equal(at, 8192);
	assert_int_equal(t->alias[4096], 0);
	uv_trap_remove(t->page + 4096);
	t_trap_close(t);
}

static void test_rep_stos_fills(void **state)
{
	struct t_trap *t = t_trap_open(1);
	uint8_t *to = t->page + 64;
	uint64_t count = 20;
	unsigned i;

	(void)state;
	assert_int_equal(t_trap_add(t, 0, 1), 0);
	__asm__ volatile("cld; rep stosl"
			 : "+D"(to), "+c"(count)
			 : "a"(0x44332211)
			 : "memory");
	assert_ptr_equal(to, t->page + 144);
	assert_int_equal(count, 0);
	t_trap_told(t, 0, 64, 64,
		    "\x11\x22\x33\x44\x11\x22\x33\x44\x11\x22\x33\x44\x11\x22"
		    "\x33\x44\x11\x22\x33\x44\x11\x22\x33\x44\x11\x22\x33\x44"
		    "\x11\x22\x33\x44\x11\x22\x33\x44\x11\x22\x33\x44\x11\x22"
		    "\x33\x44\x11\x22\x33\x44\x11\x22\x33\x44\x11\x22\x33\x44"
		    "\x11\x22\x33\x44\x11\x22\x33\x44");
	for (i = 0; i < 16; i += 4)
		assert_memory_equal(t->told[1].bytes + i, "\x11\x22\x33\x44",
				    4);
	assert_int_equal(t->told[1].offset, 128);
	assert_int_equal(t->told[1].len, 16);
	t_trap_close(t);
}

static void copy_from_nowhere(uint8_t *to)
{
	uint8_t *gone = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(gone, 1, 4096);
	munmap(gone + 4096, 4096);
	rep_movsb_bytes(to, gone + 3996, 200);
}

/* What was there is told; then the program dies of its own mistake. */
static void test_a_source_that_is_gone_is_the_programs_fault(void **state)
{
	struct t_trap *t = t_trap_open(1);
	int status;
	pid_t pid;

	(void)state;
	fflush(NULL);
	pid = fork();
	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		t_trap_add(t, 0, 1);
		copy_from_nowhere(t->page);
		_exit(0);
	}
	assert_true(waitpid(pid, &status, 0) == pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	t_trap_close(t);
}

/* Whatever libc stores with, the bytes arrive; all of them, in any order. */
static void test_memcpy_and_memset_of_any_length_are_told(void **state)
{
	struct t_trap *t = t_trap_open(1);
	uint8_t from[512], seen[512];
	volatile size_t len;
	unsigned i;

	(void)state;
	assert_int_equal(t_trap_add(t, 0, 1), 0);
	for (i = 0; i < sizeof(from); i++)
		from[i] = (uint8_t)(i * 5 + 3);
	for (len = 1; len <= sizeof(from); len++) {
		memset(seen, 0, sizeof(seen));
		t->told_count = 0;
		memcpy(t->page + 0x800, from, len);
		if (t->given_up)
			fail_msg("%zu bytes: %s", len, t->why);
		assert_in_range(t->told_count, 1, T_TRAP_TOLD);
		for (i = 0; i < t->told_count; i++)
			memcpy(seen + t->told[i].offset - 0x800,
			       t->told[i].bytes, t->told[i].len);
		assert_memory_equal(seen, from, len);
	}
	memset(t->page, 0x5a, 512);
	assert_int_equal(t->given_up, 0);
	t_trap_close(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_string_goes_on_where_the_page_ends),
		cmocka_unit_test(test_rep_stos_fills),
		cmocka_unit_test(
			test_a_source_that_is_gone_is_the_programs_fault),
		cmocka_unit_test(test_memcpy_and_memset_of_any_length_are_told),
	};

	if (t_trap_missing())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	return t_trap_missing() ? 77 : 1;
}

#endif
