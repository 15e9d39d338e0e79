/* SPDX-License-Identifier: MIT */
/*
 * The runner thread: it steps, spins, sleeps and wakes. A wire of this test
 * counts the steps of its NIC, since each step polls the wire once. Nothing
 * asserts a time; waiting for what must come ends with the test's time limit.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "emu/runner.h"
#include "support/t_nic.h"

/* ----------------------------------------------------- a wire that counts */

struct counting_wire {
	struct wire wire;
	int pipe[2];
	uint64_t polls;
	uint64_t bytes; /* taken from the pipe */
	uint64_t work;	/* polls that will say that there was work */
	uint32_t asleep;
	uint32_t sent; /* packets swallowed */
	struct nic_packet packet;
	uint8_t body[4096];
};

/* All counters: written by the runner, read by the test. */
static uint64_t load(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_SEQ_CST);
}

static unsigned count_poll(struct wire *wire, struct nic *nic, unsigned budget,
			   uint64_t now_ns)
{
	struct counting_wire *w = (struct counting_wire *)wire;
	uint64_t work = load(&w->work);
	char byte;

	(void)nic, (void)budget, (void)now_ns;
	__atomic_add_fetch(&w->polls, 1, __ATOMIC_SEQ_CST);
	if (read(w->pipe[0], &byte, 1) == 1) {
		__atomic_add_fetch(&w->bytes, 1, __ATOMIC_SEQ_CST);
		return 1;
	}
	if (!work)
		return 0;
	__atomic_store_n(&w->work, work - 1, __ATOMIC_SEQ_CST);
	return 1;
}

static unsigned pipe_fd(struct wire *wire, int *fds, unsigned max)
{
	if (!max)
		return 0;
	fds[0] = ((struct counting_wire *)wire)->pipe[0];
	return 1;
}

static void note_asleep(struct wire *wire, bool asleep)
{
	struct counting_wire *w = (struct counting_wire *)wire;

	__atomic_store_n(&w->asleep, asleep, __ATOMIC_SEQ_CST);
}

static int anybody(struct wire *wire, const struct wire_path *path,
		   uint32_t *peer)
{
	(void)wire, (void)path;
	*peer = 0;
	return 0;
}

static int swallow_reserve(struct wire *wire, uint32_t peer,
			   struct nic_packet **packet)
{
	struct counting_wire *w = (struct counting_wire *)wire;

	(void)peer;
	w->packet.body = w->body;
	w->packet.body_bytes = sizeof(w->body);
	*packet = &w->packet;
	return 0;
}

static void swallow(struct wire *wire, uint32_t peer, struct nic_packet *packet)
{
	struct counting_wire *w = (struct counting_wire *)wire;

	(void)peer, (void)packet;
	__atomic_add_fetch(&w->sent, 1, __ATOMIC_SEQ_CST);
}

static void close_pipe(struct wire *wire)
{
	struct counting_wire *w = (struct counting_wire *)wire;

	close(w->pipe[0]);
	close(w->pipe[1]);
}

static const struct wire_ops counting_ops = {
	.name = "counting",
	.resolve = anybody,
	.reserve = swallow_reserve,
	.commit = swallow,
	.poll = count_poll,
	.fds = pipe_fd,
	.set_asleep = note_asleep,
	.detach = close_pipe,
};

static void attach_wire(struct counting_wire *w, struct nic *nic)
{
	memset(w, 0, sizeof(*w));
	w->wire.ops = &counting_ops;
	w->wire.address.lid = 1;
	assert_int_equal(pipe2(w->pipe, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(nic_attach_wire(nic, &w->wire), 0);
}

/* -------------------------------------------------------------- helpers */

struct fixture {
	struct nic_runner *runner;
	struct nic *nic;
	struct counting_wire wire;
};

static struct nic *make_nic(struct nic_runner *runner)
{
	struct nic_config config = {.arg = runner, .wake = nic_runner_wake};
	struct nic *nic = nic_create(&config);

	assert_non_null(nic);
	return nic;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->runner = nic_runner_start(NULL);
	assert_non_null(f->runner);
	f->nic = make_nic(f->runner);
	attach_wire(&f->wire, f->nic);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	nic_runner_stop(f->runner);
	nic_destroy(f->nic);
	free(f);
	return 0;
}

static void nap(long microseconds)
{
	struct timespec time = {.tv_nsec = microseconds * 1000};

	nanosleep(&time, NULL);
}

static void await(const uint64_t *counter, uint64_t at_least)
{
	while (load(counter) < at_least)
		nap(100);
}

static bool is_asleep(struct counting_wire *w)
{
	return __atomic_load_n(&w->asleep, __ATOMIC_SEQ_CST);
}

/*
 * The flag goes up before the last look; asleep for good is who is not
 * stepped any more.
 */
static void await_asleep(struct counting_wire *w)
{
	uint64_t polls;

	do {
		polls = load(&w->polls);
		nap(5000);
	} while (!is_asleep(w) || load(&w->polls) != polls);
}

/* ---------------------------------------------------------------- tests */

static void test_a_nic_is_stepped_from_add_to_remove(void **state)
{
	struct fixture *f = *state;
	uint64_t polls;

	assert_int_equal(load(&f->wire.polls), 0);
	__atomic_store_n(&f->wire.work, UINT64_MAX, __ATOMIC_SEQ_CST);
	assert_int_equal(nic_runner_add(f->runner, f->nic), 0);
	await(&f->wire.polls, 1000);
	assert_int_equal(nic_runner_remove(f->runner, f->nic), 0);
	polls = load(&f->wire.polls);
	nap(20000);
	assert_int_equal(load(&f->wire.polls), polls);
	assert_false(is_asleep(&f->wire));
}

static void test_work_is_done_to_its_end_before_sleep(void **state)
{
	struct fixture *f = *state;

	__atomic_store_n(&f->wire.work, 100000, __ATOMIC_SEQ_CST);
	nic_runner_add(f->runner, f->nic);
	await_asleep(&f->wire);
	assert_int_equal(load(&f->wire.work), 0);
	assert_true(load(&f->wire.polls) >= 100000);
}

static void test_a_nic_without_work_is_not_stepped_at_all(void **state)
{
	struct fixture *f = *state;
	uint64_t polls;

	nic_runner_add(f->runner, f->nic);
	await_asleep(&f->wire);
	polls = load(&f->wire.polls);
	nap(100000);
	assert_int_equal(load(&f->wire.polls), polls);
}

static void test_a_runner_that_spins_does_not_sleep(void **state)
{
	struct fixture *f = *state;
	uint64_t polls;

	nic_runner_set_spin(f->runner, UINT64_MAX);
	nic_runner_add(f->runner, f->nic);
	for (polls = load(&f->wire.polls);
	     load(&f->wire.polls) < polls + 10000;)
		;
	nap(1000000);
	assert_false(is_asleep(&f->wire));
	nic_runner_set_spin(f->runner, 0);
	await_asleep(&f->wire);
}

static void test_a_readable_descriptor_wakes(void **state)
{
	struct fixture *f = *state;

	nic_runner_add(f->runner, f->nic);
	for (uint64_t i = 1; i <= 5; i++) {
		await_asleep(&f->wire);
		assert_int_equal(write(f->wire.pipe[1], "", 1), 1);
		await(&f->wire.bytes, i);
	}
}

static void test_a_wake_from_another_thread_wakes(void **state)
{
	struct fixture *f = *state;
	uint64_t polls;

	nic_runner_add(f->runner, f->nic);
	for (unsigned i = 0; i < 5; i++) {
		await_asleep(&f->wire);
		polls = load(&f->wire.polls);
		nic_runner_wake(f->runner);
		await(&f->wire.polls, polls + 1);
	}
}

static void test_a_wire_attached_later_is_watched(void **state)
{
	struct fixture *f = *state;
	struct nic *nic = make_nic(f->runner);
	struct counting_wire wire;

	nic_runner_add(f->runner, f->nic);
	nic_runner_add(f->runner, nic);
	await_asleep(&f->wire);
	attach_wire(&wire, nic);
	await_asleep(&wire);
	assert_int_equal(write(wire.pipe[1], "", 1), 1);
	await(&wire.bytes, 1);
	nic_runner_remove(f->runner, nic);
	nic_destroy(nic);
}

/*
 * The runner must forget a removed NIC's descriptor: the next one that opens
 * gets the same number.
 */
static void test_a_descriptor_number_may_be_used_again(void **state)
{
	struct fixture *f = *state;
	struct counting_wire wire;
	struct nic *nic;
	int number = -1;

	nic_runner_add(f->runner, f->nic);
	for (unsigned i = 0; i < 5; i++) {
		nic = make_nic(f->runner);
		attach_wire(&wire, nic);
		assert_true(number < 0 || number == wire.pipe[0]);
		number = wire.pipe[0];
		nic_runner_add(f->runner, nic);
		await_asleep(&wire);
		assert_int_equal(write(wire.pipe[1], "", 1), 1);
		await(&wire.bytes, 1);
		nic_runner_remove(f->runner, nic);
		nic_destroy(nic);
	}
}

static void test_wrong_additions_and_removals_are_refused(void **state)
{
	struct nic *nics[65] = {NULL};
	struct fixture *f = *state;

	assert_int_equal(nic_runner_remove(f->runner, f->nic), -ENOENT);
	for (unsigned i = 0; i < 64; i++) {
		nics[i] = make_nic(f->runner);
		assert_int_equal(nic_runner_add(f->runner, nics[i]), 0);
		assert_int_equal(nic_runner_add(f->runner, nics[i]), -EEXIST);
	}
	assert_int_equal(nic_runner_add(f->runner, f->nic), -ENOSPC);
	assert_int_equal(nic_runner_remove(f->runner, nics[7]), 0);
	assert_int_equal(nic_runner_add(f->runner, f->nic), 0);
	await(&f->wire.polls, 1);
	for (unsigned i = 0; i < 64; i++) {
		assert_int_equal(nic_runner_remove(f->runner, nics[i]),
				 i == 7 ? -ENOENT : 0);
		nic_destroy(nics[i]);
	}
}

static void *add_and_remove(void *arg)
{
	struct nic_runner *runner = arg;
	struct counting_wire wire;

	for (unsigned i = 0; i < 50; i++) {
		struct nic *nic = make_nic(runner);

		attach_wire(&wire, nic);
		nic_runner_add(runner, nic);
		await(&wire.polls, 1);
		nic_runner_remove(runner, nic);
		nic_destroy(nic);
	}
	return NULL;
}

static void test_threads_may_add_and_remove_at_once(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[3];

	for (unsigned i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, add_and_remove, f->runner);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

static pthread_t begun_by;

static void begin(void)
{
	begun_by = pthread_self();
}

static void test_the_thread_begins_with_the_given_call(void **state)
{
	struct nic_runner_config config = {.cpu = -1, .begin = begin};
	struct nic_runner *runner = nic_runner_start(&config);

	(void)state;
	assert_non_null(runner);
	nic_runner_halt(runner);
	assert_false(pthread_equal(begun_by, pthread_self()));
	/* The thread has ended, and another may still wake it. */
	nic_runner_wake(runner);
	nic_runner_stop(runner);
}

static void test_a_cpu_that_is_not_there_is_refused(void **state)
{
	struct nic_runner_config config = {.cpu = 1 << 20};

	(void)state;
	errno = 0;
	assert_null(nic_runner_start(&config));
	assert_int_equal(errno, EINVAL);
	config.cpu = 1000; /* a legal number, but no such CPU here */
	if (sysconf(_SC_NPROCESSORS_CONF) <= 1000)
		assert_null(nic_runner_start(&config));
	nic_runner_stop(NULL);
}

/* ------------------------------------------------- with real queue pairs */

static struct nic_runner *node_runner;

static void wake_node_runner(void *arg)
{
	(void)arg;
	nic_runner_wake(node_runner);
}

/* A NIC and a QP to itself over the loop wire, or to nobody. */
struct ringer {
	struct t_node node;
	struct t_cq cq;
	struct t_qp qp;
	uint8_t *memory;
	uint32_t key;
};

static void open_ringer(struct ringer *r, struct wire_loop_fabric *fabric)
{
	struct nic_config config = {.wake = wake_node_runner};

	t_node_open(&r->node, &config, fabric);
	t_cq_create(&r->node, &r->cq, &(struct t_cq_options){.log_size = 4});
	t_qp_create(&r->node, &r->qp, &r->cq, &r->cq,
		    &(struct t_qp_options){.log_sq_size = 4,
					   .rq_type = HW_RQ_ZERO_SIZE});
	r->memory = t_alloc(4096);
	r->key = t_mr(&r->node, r->memory, 4096);
}

static void close_ringer(struct ringer *r)
{
	nic_runner_remove(node_runner, r->node.nic);
	t_qp_destroy(&r->qp);
	t_cq_destroy(&r->cq);
	nic_mkey_deregister(r->node.nic, r->key);
	free(r->memory);
	t_node_close(&r->node);
}

static void await_cqe(struct t_cq *cq, struct hw_cqe_info *info)
{
	while (!t_poll(cq, info))
		nap(100);
}

static int start_runner(void **state)
{
	(void)state;
	node_runner = nic_runner_start(NULL);
	return node_runner ? 0 : -1;
}

static int stop_runner(void **state)
{
	(void)state;
	nic_runner_stop(node_runner);
	return 0;
}

static void ring_after_sleep(struct ringer *r, long sleep_us)
{
	struct hw_cqe_info info;

	nap(sleep_us);
	t_rdma(&r->qp, HW_OP_RDMA_WRITE, r->memory, r->key, r->memory + 2048,
	       r->key, 8);
	t_ring(&r->qp);
	await_cqe(&r->cq, &info);
	assert_int_equal(info.opcode, HW_CQE_REQ);
}

static void test_a_doorbell_that_wakes_nobody_is_found(void **state)
{
	struct wire_loop_fabric *fabric = wire_loop_create();
	struct ringer r;

	(void)state;
	open_ringer(&r, fabric);
	nic_runner_add(node_runner, r.node.nic);
	/* Asleep without a limit, until the QP becomes active. */
	nap(20000);
	t_connect(&r.qp, &r.qp, NULL);
	ring_after_sleep(&r, 0);
	ring_after_sleep(&r, 1000);
	ring_after_sleep(&r, 30000);
	close_ringer(&r);
	wire_loop_release(fabric);
}

static void test_a_timer_fires_while_the_runner_sleeps(void **state)
{
	/* 4 us * 2^4, and 3 retries: then nobody has answered. */
	struct t_connect connect = {.ack_timeout = 4, .retries = 3};
	struct counting_wire wire;
	struct hw_cqe_info info;
	struct ringer r;

	(void)state;
	open_ringer(&r, NULL);
	attach_wire(&wire, r.node.nic);
	t_connect(&r.qp, &r.qp, &connect);
	nic_runner_add(node_runner, r.node.nic);
	t_rdma(&r.qp, HW_OP_RDMA_WRITE, r.memory, r.key, r.memory + 2048, r.key,
	       8);
	t_ring(&r.qp);
	await_cqe(&r.cq, &info);
	assert_int_equal(info.opcode, HW_CQE_REQ_ERR);
	assert_int_equal(__atomic_load_n(&wire.sent, __ATOMIC_SEQ_CST), 4);
	close_ringer(&r);
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec time;

	clock_gettime(id, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/*
 * After 160 ms without work a sixteenth of it is more than 10 ms, and the looks
 * come every 10 ms. A look is one step of a NIC this small; a slow machine makes
 * fewer. What it costs is printed, not asserted.
 */
static void test_an_idle_queue_pair_is_looked_at_ever_less(void **state)
{
	uint64_t polls, cpu_ns, wall_ns;
	struct counting_wire wire;
	struct ringer r;

	(void)state;
	open_ringer(&r, NULL);
	attach_wire(&wire, r.node.nic);
	t_connect(&r.qp, &r.qp, NULL);
	nic_runner_add(node_runner, r.node.nic);
	nap(200000);
	polls = load(&wire.polls);
	wall_ns = clock_ns(CLOCK_MONOTONIC);
	cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	nap(400000);
	cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
	polls = load(&wire.polls) - polls;
	wall_ns = clock_ns(CLOCK_MONOTONIC) - wall_ns;
	printf("idle: %lu steps in %lu ms, %.2f %% of a core\n",
	       (unsigned long)polls, (unsigned long)(wall_ns / 1000000),
	       100.0 * (double)cpu_ns / (double)wall_ns);
	assert_true(polls <= wall_ns / 10000000 + 2);
	assert_true(polls >= 1);
	close_ringer(&r);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define NODE_TEST(name)                                                        \
	cmocka_unit_test_setup_teardown(name, start_runner, stop_runner)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_nic_is_stepped_from_add_to_remove),
		TEST(test_work_is_done_to_its_end_before_sleep),
		TEST(test_a_nic_without_work_is_not_stepped_at_all),
		TEST(test_a_runner_that_spins_does_not_sleep),
		TEST(test_a_readable_descriptor_wakes),
		TEST(test_a_wake_from_another_thread_wakes),
		TEST(test_a_wire_attached_later_is_watched),
		TEST(test_a_descriptor_number_may_be_used_again),
		TEST(test_wrong_additions_and_removals_are_refused),
		TEST(test_threads_may_add_and_remove_at_once),
		cmocka_unit_test(test_the_thread_begins_with_the_given_call),
		cmocka_unit_test(test_a_cpu_that_is_not_there_is_refused),
		NODE_TEST(test_a_doorbell_that_wakes_nobody_is_found),
		NODE_TEST(test_a_timer_fires_while_the_runner_sleeps),
		NODE_TEST(test_an_idle_queue_pair_is_looked_at_ever_less),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
