/* SPDX-License-Identifier: MIT */
/*
 * The peers of a NIC on the shared-memory wire: they come, sleep, leave and
 * are killed.
 */
#include "support/t_shm_nic.h"

/* -------------------------------------------------------- coming, going */

static void
test_a_peer_that_detaches_is_down_after_its_last_packet(void **state)
{
	struct fixture *f = *state;
	uint32_t to_a = resolved(&f->b, 1), to_b = resolved(&f->a, 2);
	struct nic_packet *packet;

	assert_int_equal(send_bytes(&f->b, to_a, 1, 8), 0);
	assert_int_equal(poll_nic(&f->a, 64), 1);
	assert_int_equal(send_bytes(&f->b, to_a, 2, 8), 0);
	detach(&f->b);
	/* Time need not pass: a proper leave is announced. */
	poll_nic(&f->a, 64);
	poll_nic(&f->a, 64);
	assert_int_equal(f->a.count, 2);
	assert_int_equal(f->a.downs, 1);
	assert_int_equal(f->a.down_peer, to_b);
	assert_int_equal(f->a.count_at_down, 2);
	assert_int_equal(reserve(&f->a, to_b, &packet), -EHOSTUNREACH);
	settle(&f->a);
	assert_int_equal(f->a.downs, 1);
}

static void
test_a_packet_of_one_who_left_before_it_was_seen_arrives(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(send_bytes(&f->b, resolved(&f->b, 1), 42, 8), 0);
	detach(&f->b);
	settle(&f->a);
	assert_int_equal(f->a.count, 1);
	assert_int_equal(f->a.src_qpn[0], 42);
	assert_int_equal(f->a.downs, 1);
	assert_int_equal(f->a.count_at_down, 1);
}

static void
test_a_sender_whose_ring_was_never_seen_learns_of_the_end(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(send_bytes(&f->a, resolved(&f->a, 2), 1, 8), 0);
	detach(&f->b);
	poll_nic(&f->a, 64);
	assert_int_equal(f->a.downs, 1);
}

static void test_a_reused_lid_is_a_new_peer(void **state)
{
	struct fixture *f = *state;
	uint32_t old = resolved(&f->a, 2), new_peer;
	struct nic_packet *packet;

	send_bytes(&f->a, old, 1, 8);
	detach(&f->b);
	attach(&f->b, f->dir);
	assert_int_equal(f->b.wire->address.lid, 2);
	new_peer = resolved(&f->a, 2);
	assert_int_not_equal(new_peer, old);
	assert_int_equal(send_bytes(&f->a, new_peer, 2, 8), 0);
	poll_nic(&f->a, 64);
	assert_int_equal(f->a.down_peer, old);
	assert_int_equal(reserve(&f->a, old, &packet), -EHOSTUNREACH);
	assert_int_equal(poll_nic(&f->b, 64), 1);
	assert_int_equal(f->b.src_qpn[0], 2);
}

static void test_a_successor_is_not_taken_for_the_sender(void **state)
{
	struct fixture *f = *state;
	uint32_t successor;

	assert_int_equal(send_bytes(&f->b, resolved(&f->b, 1), 42, 8), 0);
	detach(&f->b);
	attach(&f->c, f->dir);
	assert_int_equal(f->c.wire->address.lid, 2);
	settle(&f->a);
	assert_int_equal(f->a.count, 1);
	assert_int_equal(f->a.downs, 1);
	successor = resolved(&f->a, 2);
	assert_int_not_equal(f->a.down_peer, successor);
	assert_int_equal(send_bytes(&f->a, successor, 43, 8), 0);
	assert_int_equal(poll_nic(&f->c, 64), 1);
}

static void test_a_peer_is_not_down_before_its_last_packet(void **state)
{
	struct fixture *f = *state;

	for (uint32_t i = 0; i < 3; i++)
		send_bytes(&f->b, resolved(&f->b, 1), i, 8);
	detach(&f->b);
	assert_int_equal(poll_nic(&f->a, 1), 1);
	assert_int_equal(poll_nic(&f->a, 1), 1);
	assert_int_equal(f->a.downs, 0);
	assert_int_equal(poll_nic(&f->a, 1), 1);
	assert_int_equal(f->a.downs, 1);
	assert_int_equal(f->a.count_at_down, 3);
}

static void test_a_sender_can_be_answered_without_resolve(void **state)
{
	struct fixture *f = *state;

	send_bytes(&f->a, resolved(&f->a, 2), 1, 8);
	poll_nic(&f->b, 64);
	assert_int_equal(send_bytes(&f->b, f->b.last.peer, 3, 8), 0);
	assert_int_equal(poll_nic(&f->a, 64), 1);
	assert_int_equal(f->a.src_qpn[0], 3);
}

/* As if it left between being found and being connected to. */
static void test_a_peer_that_leaves_just_now_is_not_connected_to(void **state)
{
	struct fixture *f = *state;

	send_bytes(&f->b, resolved(&f->b, 1), 1, 8);
	poll_nic(&f->a, 64);
	shm_of(&f->b)->self->gone = 1;
	assert_int_equal(send_bytes(&f->a, f->a.last.peer, 2, 8),
			 -EHOSTUNREACH);
	poll_nic(&f->a, 64);
	assert_int_equal(f->a.downs, 1);
}

static void test_a_second_wire_for_a_nic_is_refused(void **state)
{
	struct fixture *f = *state;
	struct wire *wire = f->a.wire;
	char text[100];

	assert_int_equal(wire_shm_attach(f->dir, &f->a, text, sizeof(text)),
			 -EBUSY);
	assert_ptr_equal(f->a.wire, wire);
	assert_int_equal(t_dir_count(f->dir, "nic."), 2);
}

static void test_two_fabrics_do_not_see_each_other(void **state)
{
	struct fixture *f = *state;
	char dir[T_PATH];
	uint32_t peer;

	t_dir_make(dir);
	attach(&f->c, dir);
	assert_int_equal(f->c.wire->address.lid, 1);
	assert_int_equal(resolve_lid(&f->c, 2, &peer), -EHOSTUNREACH);
	send_bytes(&f->c, resolved(&f->c, 1), 1, 8);
	send_bytes(&f->a, resolved(&f->a, 1), 2, 8);
	settle(&f->a);
	settle(&f->c);
	assert_int_equal(f->a.count, 1);
	assert_int_equal(f->a.src_qpn[0], 2);
	assert_int_equal(f->c.count, 1);
	assert_int_equal(f->c.src_qpn[0], 1);
	detach(&f->c);
	t_dir_remove(dir);
}

static void count_entry(void *arg, const struct wire_shm_entry *entry)
{
	unsigned *count = arg;

	assert_int_equal(entry->lid, ++*count);
	assert_int_equal(entry->pid, getpid());
	assert_int_equal(entry->gid[0], 0xfe);
	assert_int_equal(entry->link, NIC_LINK_IB);
	assert_int_equal(entry->qps, *count == 2 ? 7 : 0);
}

static void test_the_nics_of_a_fabric_can_be_listed(void **state)
{
	struct fixture *f = *state;
	unsigned count = 0;

	f->b.wire->ops->show_qps(f->b.wire, 7);
	assert_int_equal(wire_shm_list(f->dir, count_entry, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(wire_shm_list("/dev/shm/belfry-test-nothing",
				       count_entry, &count),
			 -ENOENT);
}

/* The pid is the same before and after exec(); the NICs are not served. */
static void test_the_nics_of_a_former_image_leave(void **state)
{
	struct fixture *f = *state;
	uint32_t to_a = resolved(&f->b, 1);
	unsigned count = 0;

	send_bytes(&f->b, to_a, 1, 8);
	f->b.wire->ops->set_asleep(f->b.wire, true);
	shm_fabric_leave_all(&shm_of(&f->a)->fabric);
	assert_true(readable(&f->b));
	settle(&f->b);
	assert_int_equal(f->b.downs, 1);
	assert_int_equal(f->b.down_peer, to_a);
	assert_int_equal(wire_shm_list(f->dir, count_entry, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(t_dir_count(f->dir, "nic."), 0);
}

static void test_nics_of_other_processes_stay(void **state)
{
	struct fixture *f = *state;
	int status;
	pid_t child = fork();

	if (!child) {
		shm_fabric_leave_all(&shm_of(&f->a)->fabric);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(send_bytes(&f->a, resolved(&f->a, 2), 1, 8), 0);
	assert_int_equal(poll_nic(&f->b, 64), 1);
}

/* -------------------------------------------------------------- waking */

static void test_a_packet_wakes_a_nic_that_sleeps_and_no_other(void **state)
{
	struct fixture *f = *state;
	uint32_t to_b = resolved(&f->a, 2);

	settle(&f->b);
	send_bytes(&f->a, to_b, 1, 8);
	assert_false(readable(&f->b)); /* it was awake */
	poll_nic(&f->b, 64);
	f->b.wire->ops->set_asleep(f->b.wire, true);
	assert_false(readable(&f->b));
	send_bytes(&f->a, to_b, 2, 8);
	assert_true(readable(&f->b));
	f->b.wire->ops->set_asleep(f->b.wire, false);
	assert_false(readable(&f->b));
	assert_int_equal(poll_nic(&f->b, 64), 1);
}

static void test_many_packets_wake_once(void **state)
{
	struct fixture *f = *state;
	uint32_t to_b = resolved(&f->a, 2);
	char bytes[16];

	f->b.wire->ops->set_asleep(f->b.wire, true);
	for (uint32_t i = 0; i < 50; i++)
		send_bytes(&f->a, to_b, i, 8);
	assert_int_equal(read(shm_of(&f->b)->wake_fd, bytes, sizeof(bytes)), 1);
	f->b.wire->ops->set_asleep(f->b.wire, false);
}

static void test_a_first_contact_and_a_farewell_wake_too(void **state)
{
	struct fixture *f = *state;

	f->b.wire->ops->set_asleep(f->b.wire, true);
	resolved(&f->a, 2);
	assert_true(readable(&f->b));
	f->b.wire->ops->set_asleep(f->b.wire, false);
	poll_nic(&f->b, 64);
	f->b.wire->ops->set_asleep(f->b.wire, true);
	assert_false(readable(&f->b));
	detach(&f->a);
	assert_true(readable(&f->b));
	f->b.wire->ops->set_asleep(f->b.wire, false);
	poll_nic(&f->b, 64);
	assert_int_equal(f->b.downs, 1);
}

/* ----------------------------------------------------- other processes */

/* A child with a NIC of its own (LID 3) that sends to NIC 1 without end. */
static pid_t start_sender(struct fixture *f, uint32_t limit)
{
	pid_t child, parent = getpid();
	int ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (!child) {
		static struct nic nic;
		uint32_t peer, number = 0;

		t_child_begin(parent);
		attach(&nic, f->dir);
		peer = resolved(&nic, 1);
		while (number < limit)
			number += !send_bytes(&nic, peer, number, 8192);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			number += !send_bytes(&nic, peer, number,
					      number % SHM_MTU);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return child;
}

static void kill_and_collect(pid_t child)
{
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void test_a_peer_killed_in_mid_transfer_is_down_once(void **state)
{
	struct fixture *f = *state;
	pid_t child = start_sender(f, 5);
	uint32_t peer = resolved(&f->a, 3);
	struct nic_packet *packet;

	while (f->a.count < 1000)
		poll_nic(&f->a, 64);
	kill_and_collect(child);
	settle(&f->a);
	assert_int_equal(f->a.downs, 1);
	assert_int_equal(f->a.down_peer, peer);
	assert_int_equal(f->a.count_at_down, f->a.count);
	/* Whole packets, in order, up to the last. */
	for (uint32_t i = f->a.count > KEPT ? f->a.count - KEPT : 0;
	     i < f->a.count; i++)
		assert_int_equal(f->a.src_qpn[i % KEPT], i);
	assert_int_equal(reserve(&f->a, peer, &packet), -EHOSTUNREACH);
	assert_int_equal(resolve_lid(&f->a, 3, &peer), -EHOSTUNREACH);
	/* Who noticed has cleared away. */
	assert_int_equal(t_dir_count(f->dir, "nic.3"), 0);
	assert_int_equal(t_dir_count(f->dir, "wake.3"), 0);
}

static void test_packets_of_one_killed_before_it_was_seen_arrive(void **state)
{
	struct fixture *f = *state;
	pid_t child = start_sender(f, 5);

	kill_and_collect(child);
	settle(&f->a);
	assert_true(f->a.count >= 5);
	assert_int_equal(f->a.src_qpn[4], 4);
	assert_int_equal(f->a.downs, 1);
	assert_int_equal(f->a.count_at_down, f->a.count);
}

static void test_a_killed_peer_wakes_a_nic_that_sleeps(void **state)
{
	struct fixture *f = *state;
	pid_t child = start_sender(f, 5), bystander, parent = getpid();

	resolved(&f->a, 3);
	/* It inherits all descriptors, which must not matter. */
	bystander = fork();
	if (!bystander) {
		t_child_begin(parent);
		pause();
	}
	settle(&f->a);
	kill(child, SIGSTOP);
	settle(&f->a);
	f->a.wire->ops->set_asleep(f->a.wire, true);
	assert_false(readable(&f->a));
	assert_int_equal(f->a.downs, 0); /* stopped is not dead */
	kill_and_collect(child);
	assert_true(becomes_readable(&f->a));
	f->a.wire->ops->set_asleep(f->a.wire, false);
	/* No time passes, but it was woken. */
	poll_nic(&f->a, 64);
	while (poll_nic(&f->a, 64))
		;
	assert_int_equal(f->a.downs, 1);
	assert_false(readable(&f->a));
	kill_and_collect(bystander);
}

static void test_the_lid_of_a_killed_peer_is_taken_again(void **state)
{
	struct fixture *f = *state;
	pid_t child = start_sender(f, 5);
	uint32_t old = resolved(&f->a, 3), new_peer;

	kill_and_collect(child);
	attach(&f->c, f->dir);
	assert_int_equal(f->c.wire->address.lid, 3);
	new_peer = resolved(&f->a, 3);
	assert_int_not_equal(new_peer, old);
	assert_int_equal(send_bytes(&f->a, new_peer, 7, 8), 0);
	assert_int_equal(poll_nic(&f->c, 64), 1);
	settle(&f->a);
	assert_int_equal(f->a.downs, 1);
	assert_int_equal(f->a.down_peer, old);
	assert_int_equal(send_bytes(&f->a, new_peer, 8, 8), 0);
	assert_int_equal(poll_nic(&f->c, 64), 1);
}

static void test_a_forked_child_may_drop_its_copy(void **state)
{
	struct fixture *f = *state;
	uint32_t to_b = resolved(&f->a, 2);
	int status;
	pid_t child;

	send_bytes(&f->a, to_b, 1, 8);
	poll_nic(&f->b, 64);
	child = fork();
	if (!child) {
		detach(&f->a);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	settle(&f->b);
	assert_int_equal(f->b.downs, 0);
	assert_int_equal(send_bytes(&f->a, to_b, 2, 8), 0);
	assert_int_equal(poll_nic(&f->b, 64), 1);
	assert_int_equal(t_dir_count(f->dir, "nic."), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_peer_that_detaches_is_down_after_its_last_packet),
		TEST(test_a_packet_of_one_who_left_before_it_was_seen_arrives),
		TEST(test_a_sender_whose_ring_was_never_seen_learns_of_the_end),
		TEST(test_a_reused_lid_is_a_new_peer),
		TEST(test_a_successor_is_not_taken_for_the_sender),
		TEST(test_a_peer_is_not_down_before_its_last_packet),
		TEST(test_a_sender_can_be_answered_without_resolve),
		TEST(test_a_peer_that_leaves_just_now_is_not_connected_to),
		TEST(test_a_second_wire_for_a_nic_is_refused),
		TEST(test_two_fabrics_do_not_see_each_other),
		TEST(test_the_nics_of_a_fabric_can_be_listed),
		TEST(test_the_nics_of_a_former_image_leave),
		TEST(test_nics_of_other_processes_stay),
		TEST(test_a_packet_wakes_a_nic_that_sleeps_and_no_other),
		TEST(test_many_packets_wake_once),
		TEST(test_a_first_contact_and_a_farewell_wake_too),
		TEST(test_a_peer_killed_in_mid_transfer_is_down_once),
		TEST(test_packets_of_one_killed_before_it_was_seen_arrive),
		TEST(test_a_killed_peer_wakes_a_nic_that_sleeps),
		TEST(test_the_lid_of_a_killed_peer_is_taken_again),
		TEST(test_a_forked_child_may_drop_its_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
