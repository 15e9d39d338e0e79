/* SPDX-License-Identifier: MIT */
/*
 * What ends without being destroyed: contexts that are closed with everything
 * in them, descriptors with a second name, a child that inherits them, and
 * peers that are killed in the middle of what they do.
 *
 *	verbs_lifetimes BELFRY	path of the command, to ask who has which QPs
 */
#include "tests/apps/verbs_host.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	QPS = 4,
	BYTES = 1 << 20,
	ABANDONED = 50, /* contexts */
	KILLED = 10,	/* peers */
	LIMIT_S = 30,
};

static const char *belfry;
static uint8_t memory[BYTES];

/* The queue pairs of this process's NIC, as others see them. */
static unsigned qps(void)
{
	char command[512], line[512];
	unsigned count = 0;
	const char *found;
	FILE *devices;

	snprintf(command, sizeof(command), "%s devices --json", belfry);
	devices = popen(command, "r");
	check(devices != NULL, "no \"belfry devices\"");
	while (fgets(line, sizeof(line), devices))
		for (found = line; (found = strstr(found, "\"qps\": "));
		     found++)
			count += (unsigned)strtoul(found + 7, NULL, 10);
	check(!pclose(devices), "\"belfry devices\" fails");
	return count;
}

/* ------------------------------------------------------------ one context */

struct world {
	struct verbs_host host;
	struct ibv_cq *cq;
	struct ibv_mr *mr;
	struct ibv_qp *qp[QPS];
};

static void open_world(struct world *w)
{
	struct ibv_comp_channel *channel;
	unsigned i;

	verbs_open(&w->host);
	channel = ibv_create_comp_channel(w->host.context);
	w->cq = ibv_create_cq(w->host.context, 64, NULL, channel, 0);
	w->mr = ibv_reg_mr(w->host.pd, memory, BYTES,
			   IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
	check(channel && w->cq && w->mr, "no queue or no memory region");
	for (i = 0; i < QPS; i++)
		w->qp[i] = verbs_qp(&w->host, w->cq);
}

static void write_to(struct world *w, unsigned i, uint64_t addr, uint32_t rkey)
{
	struct ibv_sge sge = {(uintptr_t)memory, BYTES / 2, w->mr->lkey};
	struct ibv_send_wr wr = {.sg_list = &sge,
				 .num_sge = 1,
				 .opcode = IBV_WR_RDMA_WRITE,
				 .wr.rdma = {addr, rkey}};
	struct ibv_send_wr *bad;

	check(!ibv_post_send(w->qp[i], &wr, &bad), "a post is refused");
}

static enum ibv_wc_status next_status(struct world *w)
{
	time_t since = time(NULL);
	struct ibv_wc wc;
	int n;

	while (!(n = ibv_poll_cq(w->cq, 1, &wc)))
		check(time(NULL) - since < LIMIT_S, "nothing completes");
	check(n == 1, "the completion queue cannot be polled");
	return wc.status;
}

/* ---------------------------------------------------------------- abandon */

static void test_abandoned_contexts(void)
{
	struct world w;
	unsigned n, i;

	for (n = 0; n < ABANDONED; n++) {
		open_world(&w);
		for (i = 0; i < QPS; i++) {
			verbs_connect(w.qp[i], w.host.lid, w.qp[i]->qp_num);
			write_to(&w, i, (uintptr_t)memory + BYTES / 2,
				 w.mr->rkey);
		}
		if (n % 2)
			check(!next_status(&w), "a write fails");
		check(n || qps() == QPS, "the open context has other QPs");
		check(!ibv_close_device(w.host.context), "it does not close");
	}
	check(!qps(), "closed contexts left queue pairs");
}

static void test_a_second_name_keeps_the_context(void)
{
	struct world w;
	int second;

	open_world(&w);
	second = dup(w.host.context->cmd_fd);
	check(second >= 0, "no second name");
	check(!ibv_close_device(w.host.context), "it does not close");
	check(qps() == QPS, "the context went with its first name");
	close(second);
	check(!qps(), "the context stayed without a name");
}

/* Two contexts in one process are two programs to the device. */
static void test_two_contexts(void)
{
	struct world a, b;

	open_world(&a);
	open_world(&b);
	verbs_connect(a.qp[0], b.host.lid, b.qp[0]->qp_num);
	verbs_connect(b.qp[0], a.host.lid, a.qp[0]->qp_num);
	write_to(&a, 0, (uintptr_t)memory + BYTES / 2, b.mr->rkey);
	check(next_status(&a) == IBV_WC_SUCCESS, "no way between contexts");
	check(!ibv_close_device(b.host.context), "it does not close");
	write_to(&a, 0, (uintptr_t)memory, 1);
	check(next_status(&a) == IBV_WC_RETRY_EXC_ERR,
	      "a closed context's queue pair answers");
	check(!ibv_close_device(a.host.context), "it does not close");
}

static void test_a_child_leaves_all_as_it_is(void)
{
	struct ibv_port_attr port;
	struct world w;
	int status;
	pid_t pid;

	open_world(&w);
	verbs_connect(w.qp[0], w.host.lid, w.qp[0]->qp_num);
	pid = fork();
	if (!pid) {
		/* It cannot use the parent's NIC, and is told so. */
		status = !ibv_query_port(w.host.context, 1, &port);
		ibv_close_device(w.host.context);
		exit(status);
	}
	check(pid > 0 && waitpid(pid, &status, 0) == pid && !status,
	      "a child uses its parent's NIC");
	write_to(&w, 0, (uintptr_t)memory + BYTES / 2, w.mr->rkey);
	check(!next_status(&w), "a write fails after a child has closed");
	check(!ibv_close_device(w.host.context), "it does not close");
}

/* ------------------------------------------------------------ killed peers */

struct hello {
	uint64_t addr;
	uint32_t qpn, rkey;
	uint16_t lid;
};

/* A peer: writes to the parent without end. */
static void peer(int in, int out)
{
	struct hello mine, theirs;
	struct world w;

	open_world(&w);
	mine = (struct hello){(uintptr_t)memory, w.qp[0]->qp_num, w.mr->rkey,
			      w.host.lid};
	check(write(out, &mine, sizeof(mine)) == sizeof(mine), "no pipe");
	check(read(in, &theirs, sizeof(theirs)) == sizeof(theirs), "no pipe");
	verbs_connect(w.qp[0], theirs.lid, theirs.qpn);
	check(write(out, &mine, 1) == 1, "no pipe");
	for (;;) {
		write_to(&w, 0, theirs.addr, theirs.rkey);
		check(!next_status(&w), "the peer's write fails");
	}
}

static pid_t start_peer(const char *self, int *in, int *out)
{
	int down[2], up[2];
	pid_t pid;

	check(!pipe(down) && !pipe(up), "no pipe");
	pid = fork();
	if (!pid) {
		char text[2][16];

		snprintf(text[0], sizeof(text[0]), "%d", down[0]);
		snprintf(text[1], sizeof(text[1]), "%d", up[1]);
		execl(self, self, "peer", text[0], text[1], NULL);
		_exit(1);
	}
	check(pid > 0, "no peer");
	close(down[0]);
	close(up[1]);
	*in = up[0];
	*out = down[1];
	return pid;
}

/* Both sides write to each other when one of them is killed. */
static void test_killed_peers(const char *self)
{
	struct hello mine, theirs;
	unsigned n, sent;
	int in, out;
	struct world w;
	char ready;
	pid_t pid;

	for (n = 0; n < KILLED; n++) {
		open_world(&w);
		pid = start_peer(self, &in, &out);
		check(read(in, &theirs, sizeof(theirs)) == sizeof(theirs),
		      "the peer does not start");
		verbs_connect(w.qp[0], theirs.lid, theirs.qpn);
		mine = (struct hello){(uintptr_t)memory, w.qp[0]->qp_num,
				      w.mr->rkey, w.host.lid};
		check(write(out, &mine, sizeof(mine)) == sizeof(mine) &&
			      read(in, &ready, 1) == 1,
		      "the peer does not connect");
		for (sent = 0; sent < 1 + n; sent++) {
			write_to(&w, 0, theirs.addr, theirs.rkey);
			check(!next_status(&w), "a write to the peer fails");
		}
		kill(pid, SIGKILL);
		check(waitpid(pid, NULL, 0) == pid, "the peer is lost");
		write_to(&w, 0, theirs.addr, theirs.rkey);
		write_to(&w, 0, theirs.addr, theirs.rkey);
		check(next_status(&w) == IBV_WC_RETRY_EXC_ERR &&
			      next_status(&w) == IBV_WC_WR_FLUSH_ERR,
		      "a dead peer is not reported");
		close(in);
		close(out);
		check(!ibv_close_device(w.host.context), "it does not close");
	}
	check(!qps(), "queue pairs of the dead are there");
}

int main(int argc, char **argv)
{
	if (argc > 3) {
		peer(atoi(argv[2]), atoi(argv[3]));
		return 0;
	}
	check(argc == 2, "usage: verbs_lifetimes BELFRY");
	belfry = argv[1];
	test_abandoned_contexts();
	test_a_second_name_keeps_the_context();
	test_two_contexts();
	test_a_child_leaves_all_as_it_is();
	test_killed_peers("/proc/self/exe");
	puts("all that ended is gone");
	return 0;
}
