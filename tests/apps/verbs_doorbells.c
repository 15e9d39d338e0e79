/* SPDX-License-Identifier: MIT */
/*
 * No doorbell is lost: 64 queue pairs share the few doorbell registers that
 * libmlx5 has, and several threads ring them as fast as they can, by BlueFlame
 * copies and by plain doorbells, one WQE and several at a time. Every
 * completion is counted, and every queue pair's last value is in its place.
 */
#include "tests/apps/verbs_host.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	THREADS = 4,
	QPS_EACH = 16,
	QPS = THREADS * QPS_EACH,
	LIST_MAX = 4,
	STALL_S = 60,
};

struct queue {
	struct ibv_qp *qp;
	uint32_t posted, done;
};

struct ringer {
	pthread_t thread;
	struct ibv_cq *cq;
	struct queue queues[QPS_EACH];
	uint32_t seed, number;
};

static struct verbs_host host;
static struct ibv_mr *mr;
static uint64_t (*words)[2 + VERBS_DEPTH]; /* target, spare, sources */
static uint32_t wanted = 400;		   /* requests of each queue pair */
static struct ringer ringers[THREADS];

static uint32_t draw(struct ringer *r, uint32_t below)
{
	r->seed = r->seed * 1664525u + 1013904223u;
	return (r->seed >> 8) % below;
}

/* ---------------------------------------------------------------- set up */

static void open_all(void)
{
	struct ibv_qp *qp;
	unsigned i, k;

	verbs_open(&host);
	words = aligned_alloc(4096, QPS * sizeof(*words));
	check(words != NULL, "no memory");
	memset(words, 0, QPS * sizeof(*words));
	mr = ibv_reg_mr(host.pd, words, QPS * sizeof(*words),
			IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
	check(mr != NULL, "no memory region");
	for (i = 0; i < THREADS; i++) {
		ringers[i].cq = ibv_create_cq(
			host.context, QPS_EACH * VERBS_DEPTH, NULL, NULL, 0);
		check(ringers[i].cq != NULL, "no completion queue");
		ringers[i].number = i;
		ringers[i].seed = 77 + i;
		for (k = 0; k < QPS_EACH; k++) {
			/* Its own peer. */
			qp = verbs_qp(&host, ringers[i].cq);
			verbs_connect(qp, host.lid, qp->qp_num);
			ringers[i].queues[k].qp = qp;
		}
	}
}

/* ------------------------------------------------------------------- ring */

/* As many writes as fit and are wanted, up to LIST_MAX, with one doorbell. */
static void post(struct ringer *r, unsigned k)
{
	struct queue *q = &r->queues[k];
	uint64_t *row = words[r->number * QPS_EACH + k];
	struct ibv_send_wr wr[LIST_MAX], *bad;
	struct ibv_sge sge[LIST_MAX];
	uint32_t room = VERBS_DEPTH - (q->posted - q->done), n, i;

	n = 1 + draw(r, LIST_MAX);
	n = n < room ? n : room;
	n = n < wanted - q->posted ? n : wanted - q->posted;
	memset(wr, 0, sizeof(wr));
	for (i = 0; i < n; i++) {
		uint32_t number = q->posted + i;

		row[2 + number % VERBS_DEPTH] = number + 1;
		sge[i].addr = (uintptr_t)&row[2 + number % VERBS_DEPTH];
		sge[i].length = 8;
		sge[i].lkey = mr->lkey;
		wr[i].wr_id = (uint64_t)k << 32 | number;
		wr[i].next = i + 1 < n ? &wr[i + 1] : NULL;
		wr[i].sg_list = &sge[i];
		wr[i].num_sge = 1;
		wr[i].opcode = IBV_WR_RDMA_WRITE;
		wr[i].send_flags = draw(r, 2) ? IBV_SEND_INLINE : 0;
		wr[i].wr.rdma.remote_addr = (uintptr_t)row;
		wr[i].wr.rdma.rkey = mr->rkey;
	}
	check(!n || !ibv_post_send(q->qp, wr, &bad), "a post is refused");
	q->posted += n;
}

static uint32_t collect(struct ringer *r)
{
	struct ibv_wc wc[8];
	int i, n = ibv_poll_cq(r->cq, 8, wc);

	check(n >= 0, "the completion queue cannot be polled");
	for (i = 0; i < n; i++) {
		struct queue *q = &r->queues[wc[i].wr_id >> 32];

		check(wc[i].status == IBV_WC_SUCCESS,
		      ibv_wc_status_str(wc[i].status));
		check((uint32_t)wc[i].wr_id == q->done,
		      "a completion is missing, or came twice");
		q->done++;
	}
	return (uint32_t)n;
}

static void *ring(void *arg)
{
	struct ringer *r = arg;
	uint32_t done = 0, last = 0;
	time_t since = time(NULL);

	while (done < wanted * QPS_EACH) {
		post(r, draw(r, QPS_EACH));
		done += collect(r);
		if (done != last)
			since = time(NULL);
		last = done;
		check(time(NULL) - since < STALL_S, "a doorbell was lost");
	}
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned i;

	if (argc > 2)
		wanted = (uint32_t)strtoul(argv[2], NULL, 0);
	open_all();
	for (i = 0; i < THREADS; i++)
		check(!pthread_create(&ringers[i].thread, NULL, ring,
				      &ringers[i]),
		      "no thread");
	for (i = 0; i < THREADS; i++)
		pthread_join(ringers[i].thread, NULL);
	for (i = 0; i < QPS; i++)
		check(words[i][0] == wanted, "a last value is not there");
	printf("%u completions of %u queue pairs\n", wanted * QPS, QPS);
	return 0;
}
