/* SPDX-License-Identifier: MIT */
/*
 * A signal handler that posts while its thread is inside a call of the library:
 * two queue pairs, whose doorbells may share a register. Nothing is lost, and
 * nobody waits for a lock that the interrupted thread holds.
 */
#include "tests/apps/verbs_host.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

enum {
	QPS = 2,
	WRITES = 4000, /* of both */
	INTERVAL_US = 100,
};

static struct ibv_qp *qps[QPS];
static struct ibv_mr *mr;
static uint64_t memory[QPS][2]; /* from, to */
static volatile sig_atomic_t posted[QPS], done[QPS], failed;

/* The handler alone posts: no lock of libmlx5 is taken twice. */
static void on_alarm(int sig)
{
	struct ibv_sge sge = {.length = 8};
	struct ibv_send_wr *bad, wr = {.sg_list = &sge,
				       .num_sge = 1,
				       .opcode = IBV_WR_RDMA_WRITE};
	int i;

	(void)sig;
	for (i = 0; i < QPS; i++) {
		if (posted[i] - done[i] == VERBS_DEPTH / 2 ||
		    posted[i] == WRITES / QPS)
			continue;
		wr.wr_id = (uint64_t)i;
		wr.send_flags = IBV_SEND_INLINE;
		wr.wr.rdma.remote_addr = (uintptr_t)&memory[i][1];
		wr.wr.rdma.rkey = mr->rkey;
		memory[i][0] = (uint64_t)posted[i] + 1;
		sge.addr = (uintptr_t)&memory[i][0];
		failed |= ibv_post_send(qps[i], &wr, &bad) != 0;
		posted[i]++;
	}
}

static void take(struct ibv_cq *cq)
{
	struct ibv_wc wc[VERBS_DEPTH];
	int i, n = ibv_poll_cq(cq, VERBS_DEPTH, wc);

	check(n >= 0 && !failed, "a post or a poll failed");
	for (i = 0; i < n; i++) {
		check(wc[i].status == IBV_WC_SUCCESS, "a write failed");
		done[wc[i].wr_id]++;
	}
}

int main(void)
{
	struct sigaction action = {.sa_handler = on_alarm,
				   .sa_flags = SA_RESTART};
	struct itimerval timer = {{0, INTERVAL_US}, {0, INTERVAL_US}};
	struct verbs_host host;
	struct ibv_mr *other;
	struct ibv_cq *cq;
	int i;

	verbs_open(&host);
	cq = ibv_create_cq(host.context, QPS * VERBS_DEPTH, NULL, NULL, 0);
	check(cq != NULL, "no completion queue");
	mr = ibv_reg_mr(host.pd, memory, sizeof(memory),
			IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
	check(mr != NULL, "no memory region");
	for (i = 0; i < QPS; i++) {
		qps[i] = verbs_qp(&host, cq);
		verbs_connect(qps[i], host.lid, qps[i]->qp_num);
	}
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	while (done[0] + done[1] < WRITES) {
		other = ibv_reg_mr(host.pd, memory, sizeof(memory), 0);
		check(other && !ibv_dereg_mr(other), "no other region");
		take(cq);
	}
	memset(&timer, 0, sizeof(timer));
	setitimer(ITIMER_REAL, &timer, NULL);
	for (i = 0; i < QPS; i++)
		check(memory[i][1] == WRITES / QPS, "a write is missing");
	printf("%d writes of a signal handler arrived.\n", WRITES);
	return 0;
}
