/* SPDX-License-Identifier: MIT */
/*
 * No doorbell is lost: 64 queue pairs share the few doorbell registers that
 * libmlx5 has, and several threads ring them as fast as they can, by BlueFlame
 * copies and by plain doorbells, one WQE and several at a time. Every
 * completion is counted, and every queue pair's last value is in its place.
 */
#include <infiniband/verbs.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	THREADS = 4,
	QPS_EACH = 16,
	QPS = THREADS * QPS_EACH,
	DEPTH = 16,
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

static struct ibv_pd *pd;
static struct ibv_mr *mr;
static uint64_t (*words)[2 + DEPTH]; /* target, spare, sources */
static uint32_t wanted = 400;	     /* requests of each queue pair */
static struct ringer ringers[THREADS];

static void check(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "%s\n", what);
	exit(1);
}

static uint32_t draw(struct ringer *r, uint32_t below)
{
	r->seed = r->seed * 1664525u + 1013904223u;
	return (r->seed >> 8) % below;
}

/* ---------------------------------------------------------------- set up */

/* A queue pair that is its own peer. */
static struct ibv_qp *open_qp(struct ibv_context *context, struct ibv_cq *cq)
{
	struct ibv_qp_init_attr init = {
		.send_cq = cq,
		.recv_cq = cq,
		.cap = {.max_send_wr = DEPTH,
			.max_recv_wr = 1,
			.max_send_sge = 1,
			.max_recv_sge = 1,
			.max_inline_data = 32},
		.qp_type = IBV_QPT_RC,
		.sq_sig_all = 1,
	};
	struct ibv_qp *qp = ibv_create_qp(pd, &init);
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_INIT,
				   .port_num = 1,
				   .qp_access_flags = IBV_ACCESS_REMOTE_WRITE};
	struct ibv_port_attr port;

	check(qp && !ibv_query_port(context, 1, &port), "no queue pair");
	check(!ibv_modify_qp(qp, &attr,
			     IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
				     IBV_QP_ACCESS_FLAGS),
	      "INIT failed");
	attr.qp_state = IBV_QPS_RTR;
	attr.path_mtu = IBV_MTU_1024;
	attr.dest_qp_num = qp->qp_num;
	attr.ah_attr.port_num = 1;
	attr.ah_attr.dlid = port.lid;
	check(!ibv_modify_qp(qp, &attr,
			     IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
				     IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
				     IBV_QP_MAX_DEST_RD_ATOMIC |
				     IBV_QP_MIN_RNR_TIMER),
	      "RTR failed");
	attr.qp_state = IBV_QPS_RTS;
	attr.timeout = 14;
	attr.retry_cnt = attr.rnr_retry = 7;
	check(!ibv_modify_qp(qp, &attr,
			     IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
				     IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
				     IBV_QP_MAX_QP_RD_ATOMIC),
	      "RTS failed");
	return qp;
}

static void open_all(void)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *context;
	unsigned i, k;

	check(list && *list, "no device");
	context = ibv_open_device(*list);
	check(context != NULL, "the device does not open");
	pd = ibv_alloc_pd(context);
	words = aligned_alloc(4096, QPS * sizeof(*words));
	check(pd && words, "no memory");
	memset(words, 0, QPS * sizeof(*words));
	mr = ibv_reg_mr(pd, words, QPS * sizeof(*words),
			IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
	check(mr != NULL, "no memory region");
	for (i = 0; i < THREADS; i++) {
		ringers[i].cq =
			ibv_create_cq(context, QPS_EACH * DEPTH, NULL, NULL, 0);
		check(ringers[i].cq != NULL, "no completion queue");
		ringers[i].number = i;
		ringers[i].seed = 77 + i;
		for (k = 0; k < QPS_EACH; k++)
			ringers[i].queues[k].qp =
				open_qp(context, ringers[i].cq);
	}
	ibv_free_device_list(list);
}

/* ------------------------------------------------------------------- ring */

/* As many writes as fit and are wanted, up to LIST_MAX, with one doorbell. */
static void post(struct ringer *r, unsigned k)
{
	struct queue *q = &r->queues[k];
	uint64_t *row = words[r->number * QPS_EACH + k];
	struct ibv_send_wr wr[LIST_MAX], *bad;
	struct ibv_sge sge[LIST_MAX];
	uint32_t room = DEPTH - (q->posted - q->done), n, i;

	n = 1 + draw(r, LIST_MAX);
	n = n < room ? n : room;
	n = n < wanted - q->posted ? n : wanted - q->posted;
	memset(wr, 0, sizeof(wr));
	for (i = 0; i < n; i++) {
		uint32_t number = q->posted + i;

		row[2 + number % DEPTH] = number + 1;
		sge[i].addr = (uintptr_t)&row[2 + number % DEPTH];
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

	if (argc > 1)
		wanted = (uint32_t)strtoul(argv[1], NULL, 0);
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
