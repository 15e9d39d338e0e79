/* SPDX-License-Identifier: MIT */
/*
 * The NICs of a fabric: LIDs, who counts as alive, and what is swept.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "emu/order_shm.h"
#include "emu/wire_shm_nic.h"
#include "support/t_fabric.h"

static const struct shm_error no_error = {NULL, 0};

struct fixture {
	char path[T_PATH];
	struct shm_fabric fabric;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	t_dir_make(f->path);
	assert_int_equal(shm_fabric_open(&f->fabric, f->path, true, &no_error),
			 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	shm_fabric_close(&f->fabric);
	t_dir_remove(f->path);
	free(f);
	return 0;
}

static struct shm_nic *join(struct fixture *f, struct shm_nic_id *id)
{
	struct shm_nic *nic;

	assert_int_equal(shm_nic_join(&f->fabric, 0, &nic, id, &no_error), 0);
	return nic;
}

static void leave(struct fixture *f, struct shm_nic *nic)
{
	nic_order_shm_set_gone(&nic->gone);
	shm_nic_leave(&f->fabric);
	shm_nic_unmap(nic);
}

static int look_up(struct fixture *f, uint16_t lid, struct shm_nic_id *id)
{
	struct shm_nic_ref ref;
	int status = shm_nic_open(&f->fabric, lid, &ref);

	if (!status && id)
		*id = ref.id;
	if (!status)
		shm_nic_close(&ref);
	return status;
}

static void test_a_nic_takes_the_lowest_free_lid(void **state)
{
	struct fixture *f = *state;
	struct shm_nic_id id[3], again;
	struct shm_nic *nic[3];

	for (unsigned i = 0; i < 3; i++) {
		nic[i] = join(f, &id[i]);
		assert_int_equal(id[i].lid, i + 1);
	}
	leave(f, nic[1]);
	assert_int_equal(look_up(f, 2, NULL), -EHOSTUNREACH);
	assert_int_equal(look_up(f, 3, NULL), 0);
	nic[1] = join(f, &again);
	assert_int_equal(again.lid, 2);
	assert_true(again.generation > id[2].generation);
	assert_memory_not_equal(again.gid, id[1].gid, sizeof(again.gid));
	for (unsigned i = 0; i < 3; i++)
		leave(f, nic[i]);
	assert_int_equal(t_dir_count(f->path, ""), 1); /* the lock file */
}

static void test_a_given_guid_becomes_the_gid(void **state)
{
	static const uint8_t gid[16] = {0xfe, 0x80, 0,	  0,	0,    0,
					0,    0,    0x11, 0x22, 0x33, 0x44,
					0x55, 0x66, 0x77, 0x88};
	struct fixture *f = *state;
	struct shm_nic_id id, seen;
	struct shm_nic *nic;

	assert_int_equal(shm_nic_join(&f->fabric, 0x1122334455667788, &nic, &id,
				      &no_error),
			 0);
	assert_int_equal(look_up(f, 1, &seen), 0);
	assert_memory_equal(seen.gid, gid, sizeof(gid));
	assert_int_equal(seen.pid, getpid());
	leave(f, nic);
}

static void test_lids_outside_1_to_256_are_nobody(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(look_up(f, 0, NULL), -EHOSTUNREACH);
	assert_int_equal(look_up(f, 257, NULL), -EHOSTUNREACH);
	assert_int_equal(look_up(f, 0xffff, NULL), -EHOSTUNREACH);
}

static void test_the_257th_nic_is_refused(void **state)
{
	static struct shm_nic *nics[SHM_NICS_MAX];
	struct fixture *f = *state;
	struct shm_error error;
	struct shm_nic *nic;
	struct shm_nic_id id;
	char text[200];

	for (unsigned i = 0; i < SHM_NICS_MAX; i++)
		nics[i] = join(f, &id);
	assert_int_equal(id.lid, SHM_NICS_MAX);
	error = (struct shm_error){text, sizeof(text)};
	assert_int_equal(shm_nic_join(&f->fabric, 0, &nic, &id, &error),
			 -ENOSPC);
	assert_non_null(strstr(text, "256"));
	nic_order_shm_set_gone(&nics[99]->gone);
	nic = join(f, &id);
	assert_int_equal(id.lid, 100);
	shm_nic_unmap(nic);
	for (unsigned i = 0; i < SHM_NICS_MAX; i++)
		shm_nic_unmap(nics[i]);
}

/* A child that joins, says so, and waits to be killed. */
static pid_t child_joins(struct fixture *f, bool grandchild)
{
	pid_t child, parent = getpid();
	struct shm_nic_id id;
	int ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (!child) {
		t_child_begin(parent);
		join(f, &id);
		parent = getpid();
		if (grandchild && !fork()) {
			t_child_begin(parent);
			pause();
		}
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return child;
}

static void test_a_killed_nic_is_swept_by_the_next_that_joins(void **state)
{
	struct fixture *f = *state;
	pid_t child = child_joins(f, false);
	struct shm_nic_id seen, id;
	struct shm_nic *nic;
	int fd;

	assert_int_equal(look_up(f, 1, &seen), 0);
	assert_int_equal(seen.pid, child);
	fd = openat(f->fabric.dir_fd, "ring.9.1", O_CREAT | O_WRONLY, 0600);
	close(fd);
	fd = openat(f->fabric.dir_fd, "notes.txt", O_CREAT | O_WRONLY, 0600);
	close(fd);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(look_up(f, 1, NULL), -EHOSTUNREACH);
	assert_int_equal(t_dir_count(f->path, "nic.1"), 1);

	nic = join(f, &id);
	assert_int_equal(id.lid, 1);
	assert_true(id.generation > seen.generation);
	assert_int_equal(t_dir_count(f->path, "ring."), 0);
	assert_int_equal(t_dir_count(f->path, "notes.txt"), 1);
	leave(f, nic);
}

static void test_a_zombie_is_dead(void **state)
{
	struct fixture *f = *state;
	pid_t child = child_joins(f, false);
	siginfo_t info;

	kill(child, SIGKILL);
	/* It has ended, but nobody has collected its status. */
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT),
			 0);
	assert_int_equal(look_up(f, 1, NULL), -EHOSTUNREACH);
	waitpid(child, NULL, 0);
}

static void test_a_forked_child_does_not_keep_a_dead_nic_alive(void **state)
{
	struct fixture *f = *state;
	pid_t child = child_joins(f, true);

	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_int_equal(look_up(f, 1, NULL), -EHOSTUNREACH);
}

static void test_a_reused_pid_is_not_the_old_process(void **state)
{
	struct fixture *f = *state;
	struct shm_nic_id id;
	struct shm_nic *nic = join(f, &id);

	assert_int_not_equal(id.pid_start, 0);
	assert_int_equal(look_up(f, 1, NULL), 0);
	nic->id.pid_start--;
	assert_int_equal(look_up(f, 1, NULL), -EHOSTUNREACH);
	shm_nic_unmap(nic);
}

static void test_a_damaged_header_is_nobody(void **state)
{
	struct fixture *f = *state;
	struct shm_nic_id id;
	struct shm_nic *nic = join(f, &id);

	nic->id.lid = 7;
	assert_int_equal(look_up(f, 1, NULL), -EHOSTUNREACH);
	nic->id.lid = 1;
	nic->version++;
	assert_int_equal(look_up(f, 1, NULL), -EHOSTUNREACH);
	nic->version--;
	nic->id.pid = 0;
	assert_int_equal(look_up(f, 1, NULL), -EHOSTUNREACH);
	nic->id.pid = -1;
	assert_int_equal(look_up(f, 1, NULL), -EHOSTUNREACH);
	nic->id.pid = getpid();
	assert_int_equal(look_up(f, 1, NULL), 0);
	leave(f, nic);
}

static void test_a_short_header_file_is_nobody_and_swept(void **state)
{
	struct fixture *f = *state;
	struct shm_nic_id id;
	struct shm_nic *nic;
	int fd;

	fd = openat(f->fabric.dir_fd, "nic.1", O_CREAT | O_WRONLY, 0600);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	assert_int_equal(look_up(f, 1, NULL), -EHOSTUNREACH);
	nic = join(f, &id);
	assert_int_equal(id.lid, 1);
	leave(f, nic);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_nic_takes_the_lowest_free_lid),
		TEST(test_a_given_guid_becomes_the_gid),
		TEST(test_lids_outside_1_to_256_are_nobody),
		TEST(test_the_257th_nic_is_refused),
		TEST(test_a_killed_nic_is_swept_by_the_next_that_joins),
		TEST(test_a_zombie_is_dead),
		TEST(test_a_forked_child_does_not_keep_a_dead_nic_alive),
		TEST(test_a_reused_pid_is_not_the_old_process),
		TEST(test_a_damaged_header_is_nobody),
		TEST(test_a_short_header_file_is_nobody_and_swept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
