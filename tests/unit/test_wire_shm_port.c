/* SPDX-License-Identifier: MIT */
/*
 * The port of a NIC, commanded through its header: it does it at its next
 * step, is woken for that, and shows it.
 */
#include "support/t_shm_nic.h"

#include <pthread.h>

static void keep(void *arg, const struct wire_shm_entry *entry)
{
	struct wire_shm_entry *entries = arg;

	entries[entry->lid] = *entry;
}

/* The NIC with this LID as it is listed now. */
static struct wire_shm_entry listed(struct fixture *f, uint16_t lid)
{
	struct wire_shm_entry entries[4];

	memset(entries, 0, sizeof(entries));
	assert_int_equal(wire_shm_list(f->dir, keep, entries), 0);
	return entries[lid];
}

static void test_a_wish_is_taken_at_the_next_step(void **state)
{
	struct fixture *f = *state;
	struct wire_shm_entry b = listed(f, 2);

	assert_true(b.active);
	assert_int_equal(wire_shm_set_port(f->dir, &b, false, 0), -ETIMEDOUT);
	assert_true(listed(f, 2).active);
	poll_nic(&f->b, 64);
	assert_int_equal(f->b.port_changes, 1);
	assert_true(f->b.port_down);
	assert_false(listed(f, 2).active);
	assert_true(listed(f, 1).active);
	/* Once, and the other NIC is not meant. */
	poll_nic(&f->b, 64);
	poll_nic(&f->a, 64);
	assert_int_equal(f->b.port_changes, 1);
	assert_int_equal(f->a.port_changes, 0);
	/* What it shows already need not be waited for. */
	assert_int_equal(wire_shm_set_port(f->dir, &b, false, 0), 0);
}

static void test_the_last_wish_counts(void **state)
{
	struct fixture *f = *state;
	struct wire_shm_entry b = listed(f, 2);

	wire_shm_set_port(f->dir, &b, false, 0);
	assert_int_equal(wire_shm_set_port(f->dir, &b, true, 0), 0);
	poll_nic(&f->b, 64);
	assert_int_equal(f->b.port_changes, 1);
	assert_true(listed(f, 2).active);
}

static void test_a_sleeping_nic_is_woken(void **state)
{
	struct fixture *f = *state;
	struct wire_shm_entry b = listed(f, 2);

	f->b.wire->ops->set_asleep(f->b.wire, true);
	poll_nic(&f->b, 64);
	assert_false(readable(&f->b));
	wire_shm_set_port(f->dir, &b, false, 0);
	assert_true(readable(&f->b));
	f->b.wire->ops->set_asleep(f->b.wire, false);
	poll_nic(&f->b, 64);
	assert_true(f->b.port_down);
}

static void *step_later(void *arg)
{
	usleep(20000);
	poll_nic(arg, 64);
	return NULL;
}

static void test_the_command_waits_until_it_is_done(void **state)
{
	struct fixture *f = *state;
	struct wire_shm_entry b = listed(f, 2);
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, step_later, &f->b), 0);
	assert_int_equal(wire_shm_set_port(f->dir, &b, false, 20000), 0);
	pthread_join(thread, NULL);
	assert_true(f->b.port_down);
}

static void test_one_that_is_not_there_is_refused(void **state)
{
	struct fixture *f = *state;
	struct wire_shm_entry b = listed(f, 2), other = b;

	assert_int_equal(wire_shm_set_port("/nowhere", &b, false, 0), -ENOENT);
	other.pid++;
	assert_int_equal(wire_shm_set_port(f->dir, &other, false, 0),
			 -EHOSTUNREACH);
	other = b;
	other.gid[15]++;
	assert_int_equal(wire_shm_set_port(f->dir, &other, false, 0),
			 -EHOSTUNREACH);
	detach(&f->b);
	assert_int_equal(wire_shm_set_port(f->dir, &b, false, 0),
			 -EHOSTUNREACH);
	/* A successor at the LID is another NIC. */
	attach(&f->c, f->dir);
	assert_int_equal(listed(f, 2).lid, 2);
	assert_int_equal(wire_shm_set_port(f->dir, &b, false, 0),
			 -EHOSTUNREACH);
	poll_nic(&f->c, 64);
	assert_int_equal(f->c.port_changes, 0);
}

static void test_a_wish_that_is_none_is_up(void **state)
{
	struct fixture *f = *state;

	shm_of(&f->a)->self->port_wish = UINT32_MAX;
	poll_nic(&f->a, 64);
	assert_false(f->a.port_down);
	assert_int_equal(shm_of(&f->a)->self->port_wish, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_wish_is_taken_at_the_next_step),
		TEST(test_the_last_wish_counts),
		TEST(test_a_sleeping_nic_is_woken),
		TEST(test_the_command_waits_until_it_is_done),
		TEST(test_one_that_is_not_there_is_refused),
		TEST(test_a_wish_that_is_none_is_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
