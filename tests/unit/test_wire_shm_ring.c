/* SPDX-License-Identifier: MIT */
/*
 * The ring between two NICs: order, wrap, full and empty, a file system that
 * is full, and an other side that writes nonsense.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "emu/wire_shm_ring.h"
#include "support/t_fabric.h"

static const struct shm_ring_key a_key = {
	.src_generation = 11, .dst_generation = 12, .src_lid = 1, .dst_lid = 2};

struct fixture {
	char path[T_PATH];
	int dir_fd;
	struct shm_ring producer, consumer;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct shm_ring_key key;

	t_dir_make(f->path);
	f->dir_fd = open(f->path, O_RDONLY | O_DIRECTORY);
	assert_true(f->dir_fd >= 0);
	assert_int_equal(shm_ring_create(f->dir_fd, &a_key, &f->producer), 0);
	assert_int_equal(shm_ring_open(f->dir_fd, 1, 2, &f->consumer, &key), 0);
	assert_memory_equal(&key, &a_key, sizeof(key));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	shm_ring_close(&f->producer);
	shm_ring_close(&f->consumer);
	close(f->dir_fd);
	t_dir_remove(f->path);
	free(f);
	return 0;
}

/* A record whose bytes follow from its number. Returns as reserve. */
static int put(struct shm_ring *ring, uint32_t number, uint32_t len)
{
	struct shm_record *record;
	int status = shm_ring_reserve(ring, &record);

	if (status)
		return status;
	memset(record, 0, sizeof(*record));
	record->payload_len = len;
	record->src_qpn = number;
	record->header_len = (uint16_t)(number % (HW_PKT_HDR_MAX + 1));
	memset(record->header, (int)number & 0xff, sizeof(record->header));
	memset((uint8_t *)record + SHM_BODY_OFFSET, (int)(number * 7) & 0xff,
	       len);
	shm_ring_publish(ring, len);
	return 0;
}

static void take(struct shm_ring *ring, uint32_t number, uint32_t len)
{
	struct shm_record record;
	const uint8_t *payload;

	assert_int_equal(shm_ring_peek(ring, &record, &payload), 0);
	assert_int_equal(record.src_qpn, number);
	assert_int_equal(record.payload_len, len);
	assert_int_equal(record.header_len, number % (HW_PKT_HDR_MAX + 1));
	for (uint32_t i = 0; i < len; i++)
		if (payload[i] != ((number * 7) & 0xff))
			fail_msg("record %u: byte %u is 0x%02x", number, i,
				 payload[i]);
	shm_ring_release(ring);
}

static int peek(struct shm_ring *ring)
{
	struct shm_record record;
	const uint8_t *payload;

	return shm_ring_peek(ring, &record, &payload);
}

static void test_records_arrive_in_order_across_every_wrap(void **state)
{
	struct fixture *f = *state;
	unsigned seed = (unsigned)getpid(), wraps = 0;
	uint32_t sizes[64], put_count = 0, take_count = 0;

	printf("seed %u\n", seed);
	srand(seed);
	assert_true(f->producer.position > 0xf0000000u);
	while (wraps < 3 || take_count < put_count) {
		uint32_t before = f->producer.position;
		uint32_t len = (uint32_t)rand() % (SHM_MTU + 1);

		if (wraps < 3 && put_count - take_count < 64 &&
		    !put(&f->producer, put_count, len)) {
			sizes[put_count++ % 64] = len;
			wraps += f->producer.position < before ||
				 f->producer.position / f->producer.size !=
					 before / f->producer.size;
		} else {
			take(&f->consumer, take_count, sizes[take_count % 64]);
			take_count++;
		}
	}
	assert_int_equal(peek(&f->consumer), -EAGAIN);
	assert_true(f->producer.position < 0x10000000u);
}

static void test_a_full_ring_refuses_and_recovers(void **state)
{
	struct fixture *f = *state;
	uint32_t count = 0;

	while (!put(&f->producer, count, SHM_MTU))
		count++;
	assert_in_range(count, 16, SHM_RING_MAX / SHM_MTU);
	assert_int_equal(put(&f->producer, count, 0), -EAGAIN);
	take(&f->consumer, 0, SHM_MTU);
	take(&f->consumer, 1, SHM_MTU);
	assert_int_equal(put(&f->producer, count, 0), 0);
	for (uint32_t i = 2; i < count; i++)
		take(&f->consumer, i, SHM_MTU);
	take(&f->consumer, count, 0);
	assert_int_equal(peek(&f->consumer), -EAGAIN);
}

static void test_a_tail_beyond_the_ring_is_refused(void **state)
{
	struct fixture *f = *state;

	f->producer.position += 2 * SHM_RING_MAX;
	shm_ring_publish(&f->producer, 0);
	assert_int_equal(peek(&f->consumer), -EPROTO);
}

static void test_a_tail_within_a_record_is_refused(void **state)
{
	struct fixture *f = *state;
	struct shm_record *record;

	assert_int_equal(shm_ring_reserve(&f->producer, &record), 0);
	record->header_len = 12;
	record->payload_len = 4096;
	shm_ring_publish(&f->producer, 4095 - SHM_RECORD_STEP);
	assert_int_equal(peek(&f->consumer), -EPROTO);
}

static void test_a_record_one_byte_too_long_is_refused(void **state)
{
	struct fixture *f = *state;
	struct shm_record *record;

	assert_int_equal(shm_ring_reserve(&f->producer, &record), 0);
	record->header_len = HW_PKT_HDR_MAX;
	record->payload_len = SHM_MTU + 1;
	shm_ring_publish(&f->producer, SHM_MTU);
	assert_int_equal(peek(&f->consumer), -EPROTO);
	record->payload_len = SHM_MTU;
	assert_int_equal(peek(&f->consumer), 0);
	record->header_len = HW_PKT_HDR_MAX + 1;
	assert_int_equal(peek(&f->consumer), -EPROTO);
}

static void test_a_record_of_the_largest_number_is_refused(void **state)
{
	struct fixture *f = *state;
	struct shm_record *record;

	assert_int_equal(shm_ring_reserve(&f->producer, &record), 0);
	record->header_len = 0;
	record->payload_len = UINT32_MAX;
	shm_ring_publish(&f->producer, 0);
	assert_int_equal(peek(&f->consumer), -EPROTO);
}

static void test_a_head_that_was_never_sent_is_refused(void **state)
{
	struct fixture *f = *state;
	uint32_t count = 0;

	while (!put(&f->producer, count, SHM_MTU))
		count++;
	f->consumer.next = f->producer.position + SHM_RECORD_STEP;
	shm_ring_release(&f->consumer);
	assert_int_equal(put(&f->producer, 0, 0), -EPROTO);
}

static void test_random_shared_bytes_never_leave_the_ring(void **state)
{
	struct fixture *f = *state;
	unsigned seed = (unsigned)getpid();

	printf("seed %u\n", seed);
	srand(seed);
	for (unsigned i = 0; i < 2000; i++) {
		struct shm_record record;
		const uint8_t *payload;

		for (size_t j = 0; j < 64; j++)
			f->consumer.records[(size_t)rand() % SHM_RING_MAX] =
				(uint8_t)rand();
		f->producer.position = (uint32_t)rand() * 64;
		shm_ring_publish(&f->producer, 0);
		for (unsigned j = 0; j < 100; j++) {
			if (shm_ring_peek(&f->consumer, &record, &payload))
				break;
			assert_true(payload >= f->consumer.records);
			assert_true(payload + record.payload_len <=
				    f->consumer.records + f->consumer.size);
			shm_ring_release(&f->consumer);
		}
	}
}

static void test_the_name_is_gone_once_mapped(void **state)
{
	struct fixture *f = *state;
	struct shm_ring_key key;
	struct shm_ring ring;

	assert_int_equal(t_dir_count(f->path, "ring."), 0);
	assert_int_equal(shm_ring_open(f->dir_fd, 1, 2, &ring, &key), -ENOENT);
}

static void test_a_ring_made_anew_replaces_the_old_one(void **state)
{
	struct fixture *f = *state;
	struct shm_ring_key key = {.src_generation = 13,
				   .dst_generation = 12,
				   .src_lid = 3,
				   .dst_lid = 2};
	struct shm_ring old_ring, new_ring, ring;

	assert_int_equal(shm_ring_create(f->dir_fd, &key, &old_ring), 0);
	key.src_generation = 14;
	assert_int_equal(shm_ring_create(f->dir_fd, &key, &new_ring), 0);
	assert_int_equal(shm_ring_open(f->dir_fd, 3, 2, &ring, &key), 0);
	assert_int_equal(key.src_generation, 14);
	assert_int_equal(put(&old_ring, 1, 8), 0);
	assert_int_equal(peek(&ring), -EAGAIN);
	shm_ring_close(&old_ring);
	shm_ring_close(&new_ring);
	shm_ring_close(&ring);
}

/* Overwrites bytes of a ring file before it is opened. */
static int open_damaged(struct fixture *f, off_t at, off_t length)
{
	struct shm_ring ring, opened;
	struct shm_ring_key key;
	int fd, status;

	assert_int_equal(shm_ring_create(f->dir_fd, &a_key, &ring), 0);
	fd = openat(f->dir_fd, "ring.1.2", O_RDWR);
	assert_true(fd >= 0);
	if (length)
		assert_int_equal(ftruncate(fd, length), 0);
	else
		assert_int_equal(pwrite(fd, "\xff\xff", 2, at), 2);
	close(fd);
	status = shm_ring_open(f->dir_fd, 1, 2, &opened, &key);
	shm_ring_close(&ring);
	if (!status)
		shm_ring_close(&opened);
	return status;
}

static void test_a_damaged_ring_file_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(open_damaged(f, 0, 0), -EPROTO);  /* magic */
	assert_int_equal(open_damaged(f, 8, 0), -EPROTO);  /* version */
	assert_int_equal(open_damaged(f, 12, 0), -EPROTO); /* size */
	assert_int_equal(open_damaged(f, 32, 0), -EPROTO); /* LID */
	assert_int_equal(open_damaged(f, 0, 100), -EPROTO);
	assert_int_equal(open_damaged(f, 0, SHM_RING_MIN), -EPROTO);
	assert_int_equal(open_damaged(f, 40, 0), 0); /* nothing is there */
}

/* Exit status of the child: what went wrong, or 0; 77: no such mount. */
static int try_small_file_system(const char *path, const char *size)
{
	struct shm_ring first = {0}, second = {0};
	struct shm_ring_key key = a_key;
	int dir_fd;

	if (unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", path, "tmpfs", 0, size))
		return 77;
	dir_fd = open(path, O_RDONLY | O_DIRECTORY);
	if (shm_ring_create(dir_fd, &key, &first))
		return 1;
	if (first.size != SHM_RING_MIN)
		return 2;
	for (uint32_t i = 0; i < 2; i++)
		if (put(&first, i, SHM_MTU))
			return 3;
	key.dst_lid = 3;
	if (shm_ring_create(dir_fd, &key, &second) != -ENOSPC)
		return 4;
	return t_dir_count(path, "ring.") == 1 ? 0 : 5;
}

static void test_a_full_file_system_means_smaller_rings_then_none(void **state)
{
	struct fixture *f = *state;
	pid_t child = fork();
	int status;

	if (!child)
		_exit(try_small_file_system(f->path, "size=200k"));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		printf("this user may not mount a small file system\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_records_arrive_in_order_across_every_wrap),
		TEST(test_a_full_ring_refuses_and_recovers),
		TEST(test_a_tail_beyond_the_ring_is_refused),
		TEST(test_a_tail_within_a_record_is_refused),
		TEST(test_a_record_one_byte_too_long_is_refused),
		TEST(test_a_record_of_the_largest_number_is_refused),
		TEST(test_a_head_that_was_never_sent_is_refused),
		TEST(test_random_shared_bytes_never_leave_the_ring),
		TEST(test_the_name_is_gone_once_mapped),
		TEST(test_a_ring_made_anew_replaces_the_old_one),
		TEST(test_a_damaged_ring_file_is_refused),
		TEST(test_a_full_file_system_means_smaller_rings_then_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
