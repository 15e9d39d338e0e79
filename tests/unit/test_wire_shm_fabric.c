/* SPDX-License-Identifier: MIT */
/*
 * The fabric directory: which one, who may use it, which version, the lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "emu/wire_shm_fabric.h"
#include "support/t_fabric.h"

enum { NOBODY = 65534 };

struct fixture {
	char dir[T_PATH];      /* made by the test, 0700 */
	char path[T_PATH + 8]; /* in it, not there yet */
	struct shm_fabric fabric;
	char text[600];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	t_dir_make(f->dir);
	snprintf(f->path, sizeof(f->path), "%s/f", f->dir);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	t_dir_remove(f->path);
	t_dir_remove(f->dir);
	free(f);
	return 0;
}

static int try_open(struct fixture *f, const char *path, bool create)
{
	struct shm_error error = {f->text, sizeof(f->text)};

	f->text[0] = 0;
	return shm_fabric_open(&f->fabric, path, create, &error);
}

static int open_and_close(struct fixture *f, const char *path)
{
	int status = try_open(f, path, true);

	if (!status)
		shm_fabric_close(&f->fabric);
	return status;
}

static void test_the_directory_is_made_with_mode_0700(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(open_and_close(f, f->path), 0);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(open_and_close(f, f->path), 0);
}

static void test_it_is_not_made_for_those_who_only_look(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(try_open(f, f->path, false), -ENOENT);
	assert_int_equal(access(f->path, F_OK), -1);
	assert_int_equal(try_open(f, f->dir, false), -ENOENT);
	assert_int_equal(t_dir_count(f->dir, ""), 0);
}

static void test_a_directory_open_to_others_is_refused(void **state)
{
	static const mode_t modes[] = {0710, 0701, 0777, 0704, 0720};
	struct fixture *f = *state;
	char mode[8];

	for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		chmod(f->dir, modes[i]);
		snprintf(mode, sizeof(mode), "%04o", modes[i]);
		assert_int_equal(open_and_close(f, f->dir), -EPERM);
		assert_non_null(strstr(f->text, f->dir));
		assert_non_null(strstr(f->text, mode));
	}
	chmod(f->dir, 0700);
	assert_int_equal(open_and_close(f, f->dir), 0);
}

static void test_a_directory_of_somebody_else_is_refused(void **state)
{
	struct fixture *f = *state;

	if (geteuid() == 0)
		assert_int_equal(chown(f->dir, NOBODY, NOBODY), 0);
	assert_int_equal(open_and_close(f, geteuid() ? "/" : f->dir), -EPERM);
	assert_non_null(strstr(f->text, geteuid() ? "owner 0" : "owner 65534"));
}

/* root may write anywhere, so it becomes somebody else first. */
static int open_unwritable(struct fixture *f)
{
	if (chmod(f->dir, 0500))
		return 100;
	if (geteuid() == 0 &&
	    (chown(f->dir, NOBODY, NOBODY) || setgid(NOBODY) || setuid(NOBODY)))
		return 101;
	return -open_and_close(f, f->dir);
}

static void test_a_directory_that_cannot_be_written_is_refused(void **state)
{
	struct fixture *f = *state;
	pid_t child = fork();
	int status;

	if (!child)
		_exit(open_unwritable(f));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EACCES);
	chmod(f->dir, 0700);
}

static void test_what_is_not_a_directory_is_refused(void **state)
{
	struct fixture *f = *state;
	int fd = open(f->path, O_CREAT | O_WRONLY, 0600);

	close(fd);
	assert_int_equal(open_and_close(f, f->path), -EPERM);
	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(symlink("/tmp", f->path), 0);
	assert_int_equal(open_and_close(f, f->path), -EPERM);
	unlink(f->path);
}

static void test_a_missing_parent_is_named(void **state)
{
	struct fixture *f = *state;
	char path[T_PATH + 16];

	snprintf(path, sizeof(path), "%s/f/g", f->dir);
	assert_int_equal(open_and_close(f, path), -ENOENT);
	assert_non_null(strstr(f->text, path));
}

static void test_a_name_that_is_too_long_is_refused(void **state)
{
	struct fixture *f = *state;
	char path[PATH_MAX + 2];

	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = 0;
	assert_int_equal(open_and_close(f, path), -ENAMETOOLONG);
}

static void write_fabric_file(struct fixture *f, const void *bytes, size_t len)
{
	char name[T_PATH + 16];
	int fd;

	snprintf(name, sizeof(name), "%s/fabric", f->dir);
	fd = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0600);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

static void test_another_version_is_refused_and_both_named(void **state)
{
	struct fixture *f = *state;
	unsigned char file[24] = "belfryfb";
	char own[24], nic[T_PATH + 8];

	snprintf(own, sizeof(own), "version %d", SHM_VERSION);
	file[8] = 77;
	write_fabric_file(f, file, sizeof(file));
	snprintf(nic, sizeof(nic), "%s/nic", f->dir);
	close(open(nic, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(open_and_close(f, f->dir), -EPROTO);
	assert_non_null(strstr(f->text, "version 77"));
	assert_non_null(strstr(f->text, own));
	/* Taken over when nobody is left in it, for good. */
	unlink(nic);
	assert_int_equal(open_and_close(f, f->dir), 0);
	close(open(nic, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(open_and_close(f, f->dir), 0);
	unlink(nic);
}

static void test_a_file_that_is_no_fabric_is_refused(void **state)
{
	struct fixture *f = *state;

	write_fabric_file(f, "hello, world: 24 bytes.", 24);
	assert_int_equal(open_and_close(f, f->dir), -EPROTO);
	write_fabric_file(f, "belfryfb", 8);
	assert_int_equal(open_and_close(f, f->dir), -EPROTO);
	/* Its maker was killed before it wrote anything. */
	write_fabric_file(f, "", 0);
	assert_int_equal(open_and_close(f, f->dir), 0);
}

static void test_a_lock_that_is_never_released_is_an_error(void **state)
{
	struct fixture *f = *state;
	char name[T_PATH + 16];
	int fd;

	assert_int_equal(open_and_close(f, f->dir), 0);
	snprintf(name, sizeof(name), "%s/fabric", f->dir);
	fd = open(name, O_RDWR);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(open_and_close(f, f->dir), -ETIMEDOUT);
	assert_non_null(strstr(f->text, "locked"));
	close(fd);
	assert_int_equal(open_and_close(f, f->dir), 0);
}

static void test_the_environment_chooses_the_directory(void **state)
{
	struct fixture *f = *state;
	char expected[T_PATH + 16];

	setenv("BELFRY_FABRIC", f->path, 1);
	setenv("XDG_RUNTIME_DIR", f->dir, 1);
	assert_int_equal(open_and_close(f, NULL), 0);
	assert_string_equal(f->fabric.path, f->path);

	unsetenv("BELFRY_FABRIC");
	assert_int_equal(open_and_close(f, NULL), 0);
	snprintf(expected, sizeof(expected), "%s/belfry", f->dir);
	assert_string_equal(f->fabric.path, expected);
	t_dir_remove(expected);

	snprintf(expected, sizeof(expected), "%s/nothing", f->dir);
	setenv("XDG_RUNTIME_DIR", expected, 1);
	try_open(f, NULL, false);
	shm_fabric_close(&f->fabric);
	snprintf(expected, sizeof(expected), "/dev/shm/belfry-%u", geteuid());
	assert_string_equal(f->fabric.path, expected);
	unsetenv("XDG_RUNTIME_DIR");
}

static void test_generations_are_never_used_again(void **state)
{
	struct fixture *f = *state;
	uint64_t last = 0, next;

	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(try_open(f, f->path, true), 0);
		assert_int_equal(shm_fabric_lock(&f->fabric, 0), 0);
		assert_int_equal(shm_fabric_next_generation(&f->fabric, &next),
				 0);
		assert_true(next > last);
		last = next;
		shm_fabric_unlock(&f->fabric);
		shm_fabric_close(&f->fabric);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_directory_is_made_with_mode_0700),
		TEST(test_it_is_not_made_for_those_who_only_look),
		TEST(test_a_directory_open_to_others_is_refused),
		TEST(test_a_directory_of_somebody_else_is_refused),
		TEST(test_a_directory_that_cannot_be_written_is_refused),
		TEST(test_what_is_not_a_directory_is_refused),
		TEST(test_a_missing_parent_is_named),
		TEST(test_a_name_that_is_too_long_is_refused),
		TEST(test_another_version_is_refused_and_both_named),
		TEST(test_a_file_that_is_no_fabric_is_refused),
		TEST(test_a_lock_that_is_never_released_is_an_error),
		TEST(test_the_environment_chooses_the_directory),
		TEST(test_generations_are_never_used_again),
	};

	umask(022);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
