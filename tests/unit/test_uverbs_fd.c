/* SPDX-License-Identifier: MIT */
/*
 * The descriptor table of the impersonated device, and closing and copying of
 * what is in it. The interposers stand in this program: its close() is ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "emu/uverbs/fd.h"

static unsigned contexts_released, channels_released;
static void *last_released;

void uv_context_release(struct uv_context *context)
{
	__atomic_fetch_add(&contexts_released, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&last_released, context, __ATOMIC_RELAXED);
}

void uv_channel_release(struct uv_channel *channel)
{
	__atomic_fetch_add(&channels_released, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&last_released, channel, __ATOMIC_RELAXED);
}

static int object_a, object_b;

static int setup(void **state)
{
	(void)state;
	contexts_released = channels_released = 0;
	last_released = NULL;
	return 0;
}

static int open_null(void)
{
	int fd = uv_fd_opened(open("/dev/null", O_RDWR));

	assert_true(fd >= 0);
	return fd;
}

static int open_context(void *object)
{
	int fd = open_null();

	assert_int_equal(uv_fd_add(fd, UV_FD_CONTEXT, object), 0);
	return fd;
}

static int open_internal(void)
{
	int fd;

	uv_enter();
	fd = open_null();
	uv_leave();
	return fd;
}

static void close_internal(int fd)
{
	uv_enter();
	assert_int_equal(close(fd), 0);
	uv_leave();
}

static bool is_open(int fd)
{
	bool open;

	uv_enter();
	open = fcntl(fd, F_GETFD) >= 0;
	uv_leave();
	return open;
}

/* ------------------------------------------------------------- objects */

static void test_an_object_is_found_by_its_kind_only(void **state)
{
	int fd = open_context(&object_a), other = open_null();

	(void)state;
	assert_ptr_equal(uv_fd_get(fd, UV_FD_CONTEXT), &object_a);
	uv_fd_put(UV_FD_CONTEXT, &object_a);
	assert_null(uv_fd_get(fd, UV_FD_CHANNEL));
	assert_null(uv_fd_get(other, UV_FD_CONTEXT));
	assert_null(uv_fd_get(-1, UV_FD_CONTEXT));
	assert_null(uv_fd_get(1 << 29, UV_FD_CONTEXT));
	close(other);
	close(fd);
}

static void test_the_last_close_releases(void **state)
{
	int fd = open_context(&object_a), copy = dup(fd);
	int high = fcntl(fd, F_DUPFD_CLOEXEC, 300);

	(void)state;
	assert_ptr_equal(uv_fd_get(copy, UV_FD_CONTEXT), &object_a);
	uv_fd_put(UV_FD_CONTEXT, &object_a);
	close(fd);
	close(high);
	assert_int_equal(contexts_released, 0);
	close(copy);
	assert_int_equal(contexts_released, 1);
	assert_ptr_equal(last_released, &object_a);
	assert_int_equal(uv_fd_kind(copy), UV_FD_NONE);
}

static void test_an_object_in_use_outlives_its_descriptor(void **state)
{
	int fd = open_context(&object_a);

	(void)state;
	assert_non_null(uv_fd_get(fd, UV_FD_CONTEXT));
	close(fd);
	assert_int_equal(contexts_released, 0);
	uv_fd_put(UV_FD_CONTEXT, &object_a);
	assert_int_equal(contexts_released, 1);
}

static void test_dup2_onto_an_object_releases_it(void **state)
{
	int a = open_context(&object_a), b = open_context(&object_b);

	(void)state;
	assert_int_equal(dup2(a, b), b);
	assert_int_equal(contexts_released, 1);
	assert_ptr_equal(last_released, &object_b);
	assert_int_equal(dup2(a, a), a);
	assert_int_equal(dup3(a, b, O_CLOEXEC), b);
	assert_int_equal(contexts_released, 1);
	close(a);
	assert_ptr_equal(uv_fd_get(b, UV_FD_CONTEXT), &object_a);
	uv_fd_put(UV_FD_CONTEXT, &object_a);
	close(b);
	assert_int_equal(contexts_released, 2);
}

static void test_a_failed_dup2_changes_nothing(void **state)
{
	int fd = open_context(&object_a);

	(void)state;
	assert_int_equal(dup2(999, fd), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(contexts_released, 0);
	assert_ptr_equal(uv_fd_get(fd, UV_FD_CONTEXT), &object_a);
	uv_fd_put(UV_FD_CONTEXT, &object_a);
	close(fd);
}

static void test_a_number_that_was_closed_unseen_is_corrected(void **state)
{
	int fd = open_context(&object_a), again;
	FILE *file = fdopen(fd, "r");

	(void)state;
	fclose(file);
	again = open_null();
	assert_int_equal(again, fd);
	assert_int_equal(uv_fd_kind(again), UV_FD_NONE);
	assert_int_equal(contexts_released, 1);
	close(again);
}

static void test_high_numbers_and_many_objects(void **state)
{
	enum { COUNT = 600 };
	static int objects[COUNT];
	int fds[COUNT], base = open_null();
	struct rlimit limit = {4096, 4096};

	(void)state;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		skip();
	for (unsigned i = 0; i < COUNT; i++) {
		fds[i] = fcntl(base, F_DUPFD, 2000);
		assert_int_equal(uv_fd_add(fds[i], UV_FD_CHANNEL, &objects[i]),
				 0);
	}
	for (unsigned i = 0; i < COUNT; i++) {
		assert_ptr_equal(uv_fd_get(fds[i], UV_FD_CHANNEL), &objects[i]);
		uv_fd_put(UV_FD_CHANNEL, &objects[i]);
	}
	assert_int_equal(close_range(2000, 4095, 0), 0);
	assert_int_equal(channels_released, COUNT);
	close(base);
}

/* ------------------------------------------------------------ internal */

static void test_internal_descriptors_are_high_and_not_there(void **state)
{
	int fd = open_internal();

	(void)state;
	assert_true(fd >= 256);
	assert_int_equal(uv_fd_kind(fd), UV_FD_INTERNAL);
	assert_int_equal(close(fd), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(dup(fd), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(dup2(0, fd), -1);
	assert_int_equal(errno, EBUSY);
	assert_true(is_open(fd));
	close_internal(fd);
	assert_int_equal(uv_fd_kind(fd), UV_FD_NONE);
}

static void test_closing_everything_leaves_the_internal_ones(void **state)
{
	int a = open_internal(), b = open_internal(), mine[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		mine[i] = fcntl(0, F_DUPFD, i ? a : 100);
	assert_true(mine[1] > a);
	assert_int_equal(close_range(100, ~0u, 0), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_false(is_open(mine[i]));
	assert_true(is_open(a) && is_open(b));
	mine[0] = fcntl(0, F_DUPFD, a);
	closefrom(100);
	assert_false(is_open(mine[0]));
	assert_true(is_open(a) && is_open(b));
	for (int fd = 100; fd < 4096; fd++)
		close(fd);
	assert_true(is_open(a) && is_open(b));
	assert_int_equal(close_range(9, 3, 0), -1);
	assert_int_equal(errno, EINVAL);
	close_internal(a);
	close_internal(b);
}

static void test_a_child_of_vfork_may_close_everything(void **state)
{
	int fd = open_context(&object_a), internal = open_internal();
	volatile int failed = 0;
	pid_t child = vfork(); /* NOLINT: its memory is ours */

	(void)state;
	if (!child) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Vfork) */
		failed = dup2(0, internal) != internal ||
			 dup2(internal, fd) != fd;
		for (int i = 3; i < 4096; i++)
			close(i);
		closefrom(3);
		_exit(0);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_false(failed);
	assert_int_equal(contexts_released, 0);
	assert_int_equal(uv_fd_kind(fd), UV_FD_CONTEXT);
	assert_int_equal(uv_fd_kind(internal), UV_FD_INTERNAL);
	close(fd);
	close_internal(internal);
	assert_int_equal(contexts_released, 1);
}

static void test_a_forked_child_has_neither_objects_nor_internal(void **state)
{
	int fd = open_context(&object_a), internal = open_internal(), status;
	pid_t child = fork();

	(void)state;
	if (!child) {
		uv_fd_after_fork();
		status = uv_fd_get(fd, UV_FD_CONTEXT) != NULL ||
			 uv_fd_kind(fd) != UV_FD_CONTEXT ||
			 uv_fd_kind(internal) != UV_FD_NONE ||
			 is_open(internal) || close(fd) || contexts_released;
		_exit(status);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(fd);
	close_internal(internal);
}

/* ------------------------------------------------------------- threads */

static int shared_fd;
static unsigned found;

static void *use(void *arg)
{
	void *object;

	(void)arg;
	for (unsigned i = 0; i < 20000; i++) {
		object = uv_fd_get(shared_fd, UV_FD_CONTEXT);
		if (!object)
			continue;
		__atomic_fetch_add(&found, 1, __ATOMIC_RELAXED);
		uv_fd_put(UV_FD_CONTEXT, object);
	}
	return NULL;
}

static void test_objects_come_and_go_while_threads_look(void **state)
{
	enum { ROUNDS = 2000 };
	pthread_t threads[3];
	int base = open_null();

	(void)state;
	shared_fd = 200;
	for (unsigned i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, use, NULL);
	for (unsigned i = 0; i < ROUNDS; i++) {
		assert_int_equal(dup2(base, shared_fd), shared_fd);
		uv_fd_add(shared_fd, UV_FD_CONTEXT,
			  i & 1 ? &object_a : &object_b);
		close(shared_fd);
	}
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(contexts_released, ROUNDS);
	close(base);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_an_object_is_found_by_its_kind_only),
		TEST(test_the_last_close_releases),
		TEST(test_an_object_in_use_outlives_its_descriptor),
		TEST(test_dup2_onto_an_object_releases_it),
		TEST(test_a_failed_dup2_changes_nothing),
		TEST(test_a_number_that_was_closed_unseen_is_corrected),
		TEST(test_internal_descriptors_are_high_and_not_there),
		TEST(test_closing_everything_leaves_the_internal_ones),
		TEST(test_a_child_of_vfork_may_close_everything),
		TEST(test_a_forked_child_has_neither_objects_nor_internal),
		TEST(test_high_numbers_and_many_objects),
		TEST(test_objects_come_and_go_while_threads_look),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
