/* SPDX-License-Identifier: MIT */
/*
 * Queue pairs between processes: the whole NIC over the shared-memory wire,
 * with a peer that serves, sleeps, loses its memory, leaves and is killed.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "emu/runner.h"
#include "support/t_fabric.h"
#include "support/t_pair.h"

enum { BYTES = 4 << 20 };

/* What the two sides tell each other before they connect. */
struct card {
	uint64_t memory;
	uint32_t qpn, key;
	uint16_t lid;
};

/* One process's end. */
struct end {
	struct t_node node;
	struct t_cq cq;
	struct t_qp qp;
	uint8_t *memory;
	uint32_t key;
	struct nic_runner *runner;
	int socket;
	struct card peer;
	pid_t child;
};

static void wake_runner(void *arg)
{
	struct end *end =
		(struct end *)((char *)arg - offsetof(struct end, node));

	if (end->runner)
		nic_runner_wake(end->runner);
}

static void open_end(struct end *end, const char *dir, bool runner)
{
	struct nic_config config = {.wake = wake_runner};
	char text[256];

	end->runner = runner ? nic_runner_start(NULL) : NULL;
	t_node_open(&end->node, &config, NULL);
	if (wire_shm_attach(dir, end->node.nic, text, sizeof(text)))
		fail_msg("%s", text);
	t_cq_create(&end->node, &end->cq,
		    &(struct t_cq_options){.log_size = 6});
	t_qp_create(&end->node, &end->qp, &end->cq, &end->cq,
		    &(struct t_qp_options){.log_sq_size = 6,
					   .rq_type = HW_RQ_ZERO_SIZE});
	end->memory = t_alloc(BYTES);
	end->key = t_mr(&end->node, end->memory, BYTES);
	if (runner)
		nic_runner_add(end->runner, end->node.nic);
}

static void close_end(struct end *end)
{
	nic_runner_stop(end->runner);
	end->runner = NULL;
	t_qp_destroy(&end->qp);
	t_cq_destroy(&end->cq);
	nic_mkey_deregister(end->node.nic, end->key);
	free(end->memory);
	t_node_close(&end->node);
	close(end->socket);
}

static void modify(struct end *end, uint16_t opcode)
{
	struct t_connect options = {.ack_timeout = 14,
				    .retries = 7,
				    .rnr_retries = 7,
				    .log_ra_max = 4};
	uint8_t in[HW_MODIFY_QP_IN_BYTES];
	uint8_t *qpc = in + HW_QPC_OFFSET;

	t_modify_mailbox(&end->qp, opcode, NULL, &options, in);
	hw_set(qpc, HW_QPC_REMOTE_QPN, end->peer.qpn);
	hw_set(qpc + HW_QPC_PATH, HW_ADS_RLID, end->peer.lid);
	assert_int_equal(t_cmd(&end->node, in, sizeof(in), NULL), HW_CMD_OK);
}

static void swap_cards(struct end *end)
{
	struct card card = {.memory = (uintptr_t)end->memory,
			    .qpn = end->qp.number,
			    .key = end->key};
	struct nic_port port;

	nic_query_port(end->node.nic, &port);
	card.lid = port.lid;
	assert_int_equal(write(end->socket, &card, sizeof(card)), sizeof(card));
	assert_int_equal(read(end->socket, &end->peer, sizeof(end->peer)),
			 sizeof(end->peer));
}

static void connect_end(struct end *end)
{
	char byte = 0;

	swap_cards(end);
	modify(end, HW_CMD_RST2INIT_QP);
	modify(end, HW_CMD_INIT2RTR_QP);
	modify(end, HW_CMD_RTR2RTS_QP);
	/* Both are ready before either sends. */
	assert_int_equal(write(end->socket, &byte, 1), 1);
	assert_int_equal(read(end->socket, &byte, 1), 1);
}

static void step(struct end *end)
{
	if (!end->runner)
		nic_step(end->node.nic, nic_runner_now_ns());
}

/* The next order from the parent, while the NIC is kept going; 0: none. */
static char order(struct end *end)
{
	char byte;

	for (;;) {
		for (unsigned i = 0; i < 100; i++)
			step(end);
		if (recv(end->socket, &byte, 1,
			 end->runner ? 0 : MSG_DONTWAIT) != -1)
			return byte;
	}
}

/* A peer that answers until it is told to leave ('q') or lose memory ('u'). */
static void serve(struct end *end, const char *dir, bool runner)
{
	char byte;

	t_fault_handler();
	open_end(end, dir, runner);
	t_fill(end->memory, BYTES, 2);
	connect_end(end);
	while ((byte = order(end)) != 'q') {
		if (byte == 'u')
			munmap(end->memory + BYTES / 2, BYTES / 2);
		if (write(end->socket, &byte, 1) != 1)
			break;
	}
	nic_runner_stop(end->runner);
	nic_destroy(end->node.nic);
	_exit(0);
}

static void start(struct end *end, const char *dir, bool runner)
{
	pid_t parent = getpid();
	int sockets[2];

	memset(end, 0, sizeof(*end));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	end->child = fork();
	if (!end->child) {
		t_child_begin(parent);
		close(sockets[0]);
		end->socket = sockets[1];
		serve(end, dir, runner);
	}
	close(sockets[1]);
	end->socket = sockets[0];
	open_end(end, dir, runner);
	t_fill(end->memory, BYTES, 1);
	connect_end(end);
}

static void tell(struct end *end, char what)
{
	char byte = 0;

	assert_int_equal(write(end->socket, &what, 1), 1);
	assert_int_equal(read(end->socket, &byte, 1), 1);
	assert_int_equal(byte, what);
}

static void stop(struct end *end)
{
	int status;

	assert_int_equal(write(end->socket, "q", 1), 1);
	assert_int_equal(waitpid(end->child, &status, 0), end->child);
	assert_int_equal(status, 0);
	close_end(end);
}

static void post(struct end *end, uint8_t opcode, uint32_t offset, uint32_t len)
{
	t_rdma(&end->qp, opcode, end->memory + offset, end->key,
	       (void *)(uintptr_t)(end->peer.memory + offset), end->peer.key,
	       len);
	t_ring(&end->qp);
}

static struct hw_cqe_info completion(struct end *end)
{
	struct hw_cqe_info info;

	t_fault_handler();
	while (!t_poll(&end->cq, &info))
		step(end);
	return info;
}

static void expect_ok(struct end *end)
{
	struct hw_cqe_info info = completion(end);

	if (info.opcode != HW_CQE_REQ)
		fail_msg("error CQE, syndrome 0x%02x", info.syndrome);
}

static int setup(void **state)
{
	char *dir = malloc(T_PATH);

	t_dir_make(dir);
	*state = dir;
	return 0;
}

static int teardown(void **state)
{
	assert_int_equal(t_dir_count(*state, ""), 1); /* the lock file */
	t_dir_remove(*state);
	free(*state);
	return 0;
}

/* Write, clear, read back: every length around a packet's and a ring's. */
static void test_writes_and_reads_of_all_lengths(void **state)
{
	static const uint32_t lengths[] = {
		1,	   8,	      4095,  4096,	    4097,
		32767,	   32768,     32769, (1 << 20) - 1, 1 << 20,
		BYTES / 2, BYTES - 1, BYTES};
	uint8_t *expected = malloc(BYTES);
	struct end end;

	start(&end, *state, false);
	t_fill(expected, BYTES, 1);
	for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		post(&end, HW_OP_RDMA_WRITE, 0, lengths[i]);
		expect_ok(&end);
		memset(end.memory, 0, BYTES);
		post(&end, HW_OP_RDMA_READ, 0, lengths[i]);
		expect_ok(&end);
		assert_memory_equal(end.memory, expected, lengths[i]);
		if (lengths[i] < BYTES)
			assert_int_equal(end.memory[lengths[i]], 0);
		memcpy(end.memory, expected, BYTES);
	}
	free(expected);
	stop(&end);
}

static void test_runners_that_sleep_wake_each_other(void **state)
{
	struct timespec pause = {.tv_nsec = 30000000};
	struct end end;

	start(&end, *state, true);
	for (unsigned i = 0; i < 10; i++) {
		post(&end, HW_OP_RDMA_READ, i * 4096, 4096);
		expect_ok(&end);
		nanosleep(&pause, NULL);
	}
	stop(&end);
}

static void test_memory_that_a_peer_unmapped_is_its_error(void **state)
{
	struct hw_cqe_info info;
	struct end end;

	start(&end, *state, false);
	post(&end, HW_OP_RDMA_READ, 0, 4096);
	expect_ok(&end);
	tell(&end, 'u');
	post(&end, HW_OP_RDMA_WRITE, 0, BYTES);
	info = completion(&end);
	assert_int_equal(info.opcode, HW_CQE_REQ_ERR);
	assert_int_equal(info.syndrome, HW_SYND_REMOTE_OP);
	stop(&end);
}

static void expect_retries_exceeded(struct end *end)
{
	struct hw_cqe_info info;

	do
		info = completion(end);
	while (info.opcode == HW_CQE_REQ);
	assert_int_equal(info.opcode, HW_CQE_REQ_ERR);
	assert_int_equal(info.syndrome, HW_SYND_RETRY_EXC);
}

static void test_a_peer_killed_in_mid_transfer_exceeds_the_retries(void **state)
{
	struct end victim, other;
	struct hw_cqe_info info;

	start(&victim, *state, false);
	start(&other, *state, false);
	for (unsigned i = 0; i < 4; i++)
		post(&victim, HW_OP_RDMA_WRITE, 0, BYTES);
	for (unsigned i = 0; i < 20; i++)
		step(&victim);
	kill(victim.child, SIGKILL);
	waitpid(victim.child, NULL, 0);
	/* One that it can not have completed. */
	post(&victim, HW_OP_RDMA_READ, 0, BYTES);
	post(&victim, HW_OP_RDMA_READ, 0, BYTES);
	expect_retries_exceeded(&victim);
	do
		info = completion(&victim);
	while (info.syndrome == HW_SYND_WR_FLUSH &&
	       info.wqe_counter != (uint16_t)(victim.qp.sq_pi - 1));
	assert_int_equal(info.syndrome, HW_SYND_WR_FLUSH);
	/* Another peer is not concerned. */
	post(&other, HW_OP_RDMA_READ, 0, BYTES);
	expect_ok(&other);
	stop(&other);
	close_end(&victim);
}

static void test_a_request_to_a_peer_that_left_exceeds_the_retries(void **state)
{
	struct end end;
	int status;

	start(&end, *state, false);
	post(&end, HW_OP_RDMA_WRITE, 0, 8);
	expect_ok(&end);
	assert_int_equal(write(end.socket, "q", 1), 1);
	assert_int_equal(waitpid(end.child, &status, 0), end.child);
	post(&end, HW_OP_RDMA_WRITE, 0, 8);
	expect_retries_exceeded(&end);
	close_end(&end);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_writes_and_reads_of_all_lengths),
		TEST(test_runners_that_sleep_wake_each_other),
		TEST(test_memory_that_a_peer_unmapped_is_its_error),
		TEST(test_a_peer_killed_in_mid_transfer_exceeds_the_retries),
		TEST(test_a_request_to_a_peer_that_left_exceeds_the_retries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
