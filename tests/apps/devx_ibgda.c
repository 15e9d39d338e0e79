/* SPDX-License-Identifier: MIT */
/*
 * What the host of a GPU-initiated library sets up over libmlx5, and what its
 * GPU threads then do, by a CPU: umems, a UAR of each type, collapsed CQ, QP
 * with the SRQ and receive CQ of verbs, own WQEs, own doorbells.
 *
 * Source of truth: NVSHMEM's ibgda transport (its public source).
 */
#include "tests/apps/devx_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	WRITES = 8000,
	BATCH = 32,
	WORDS = SQ_DEPTH, /* 8-byte words, source first, then target */
	/* rdma-core 60 and later; refused by older kernels. */
	UAR_NC_DEDICATED = 1u << 31,
};

/* One side: its queues; both sides share everything else. */
struct side {
	struct cq cq;
	struct qp qp;
};

struct bench {
	struct host host;
	struct ibv_cq *recv_cq;
	struct ibv_srq *srq;
	struct qp_receive receive;
	struct ibv_mr *mr;
	uint64_t *words;
	struct mlx5dv_devx_uar *uar;
	struct side side[2];
};

/* IBGDA takes the receive side from verbs, and its numbers from mlx5dv. */
static void open_receive(struct bench *b)
{
	struct ibv_srq_init_attr attr = {.attr = {.max_wr = 16, .max_sge = 1}};
	struct mlx5dv_srq srq_out = {.comp_mask = MLX5DV_SRQ_MASK_SRQN};
	struct mlx5dv_cq cq_out = {0};
	struct mlx5dv_obj obj = {0};

	b->recv_cq = ibv_create_cq(b->host.context, 16, NULL, NULL, 0);
	check(b->recv_cq, "no receive CQ of verbs");
	b->srq = ibv_create_srq(b->host.pd, &attr);
	check(b->srq, "no SRQ of verbs");
	obj.cq.in = b->recv_cq;
	obj.cq.out = &cq_out;
	obj.srq.in = b->srq;
	obj.srq.out = &srq_out;
	check(!mlx5dv_init_obj(&obj, MLX5DV_OBJ_CQ | MLX5DV_OBJ_SRQ),
	      "CQ and SRQ have no numbers");
	b->receive.cqn = cq_out.cqn;
	b->receive.srqn = srq_out.srqn;
	check(b->receive.srqn, "the SRQ's number is 0");
}

static void open_memory(struct bench *b)
{
	int access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE |
		     IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC;

	b->words = calloc(2 * WORDS, sizeof(*b->words));
	check(b->words, "no memory");
	b->mr = ibv_reg_mr(b->host.pd, b->words, 2 * WORDS * sizeof(*b->words),
			   access);
	check(b->mr, "no memory region");
}

static void open_sides(struct bench *b)
{
	int i;

	for (i = 0; i < 2; i++) {
		cq_open(&b->host, &b->side[i].cq, b->uar, true);
		qp_open(&b->host, &b->side[i].qp, b->side[i].cq.cqn,
			&b->receive, b->uar);
		check(qp_state(&b->side[i].qp) == HW_QP_RST,
		      "a new QP is not in RESET");
	}
	for (i = 0; i < 2; i++)
		qp_connect(&b->host, &b->side[i].qp, b->side[!i].qp.qpn);
	check(qp_state(&b->side[0].qp) == HW_QP_RTS,
	      "a connected QP is not in RTS");
}

static void close_sides(struct bench *b)
{
	int i;

	for (i = 0; i < 2; i++) {
		qp_close(&b->side[i].qp);
		cq_close(&b->side[i].cq);
	}
}

/* A request on word `from` here and word `to` of the other half. */
static struct request on_words(const struct bench *b, uint8_t opcode, int word)
{
	struct request request = {
		.opcode = opcode,
		.rkey = b->mr->rkey,
		.lkey = b->mr->lkey,
		.len_bytes = sizeof(*b->words),
		.raddr = (uintptr_t)&b->words[WORDS + word],
		.laddr = (uintptr_t)&b->words[word],
	};

	return request;
}

static void do_writes(struct bench *b, struct side *side)
{
	struct hw_cqe_info cqe;
	struct request write;
	uint16_t index = 0;
	int i, done;

	for (done = 0; done < WRITES; done += BATCH) {
		for (i = 0; i < BATCH; i++) {
			b->words[i] = (uint64_t)done + (uint64_t)i;
			write = on_words(b, HW_OP_RDMA_WRITE, i);
			index = qp_post(&side->qp, &write);
		}
		qp_ring(&side->qp);
		cqe = cq_wait(&side->cq, index);
		check(cqe.opcode == HW_CQE_REQ && cqe.qpn == side->qp.qpn &&
			      cqe.wqe_opcode == HW_OP_RDMA_WRITE,
		      "write %d: CQE opcode 0x%x, syndrome %s", done,
		      cqe.opcode, hw_syndrome_name(cqe.syndrome));
		for (i = 0; i < BATCH; i++)
			check(b->words[WORDS + i] ==
				      (uint64_t)done + (uint64_t)i,
			      "write %d did not arrive", done + i);
	}
}

static void do_one(struct side *side, const struct request *request)
{
	uint16_t index = qp_post(&side->qp, request);
	struct hw_cqe_info cqe;

	qp_ring(&side->qp);
	cqe = cq_wait(&side->cq, index);
	check(cqe.opcode == HW_CQE_REQ, "opcode 0x%x ends with syndrome %s",
	      request->opcode, hw_syndrome_name(cqe.syndrome));
}

static void do_read_and_atomics(struct bench *b, struct side *side)
{
	struct request read = on_words(b, HW_OP_RDMA_READ, 1);
	struct request add = on_words(b, HW_OP_ATOMIC_FA, 2);
	struct request swap = on_words(b, HW_OP_ATOMIC_CS, 2);

	b->words[1] = 0;
	b->words[WORDS + 1] = 0x1122334455667788;
	do_one(side, &read);
	check(b->words[1] == 0x1122334455667788, "the read got something else");

	b->words[WORDS + 2] = 40;
	add.atomic = hw_wqe_atomic_encode(2, 0);
	do_one(side, &add);
	check(b->words[2] == 40 && b->words[WORDS + 2] == 42,
	      "fetch-and-add: fetched %ju, left %ju", (uintmax_t)b->words[2],
	      (uintmax_t)b->words[WORDS + 2]);
	swap.atomic = hw_wqe_atomic_encode(7, 42);
	do_one(side, &swap);
	check(b->words[2] == 42 && b->words[WORDS + 2] == 7,
	      "compare-and-swap: fetched %ju, left %ju", (uintmax_t)b->words[2],
	      (uintmax_t)b->words[WORDS + 2]);
}

/* A key that nobody has: an error completion, and the QP is in ERR. */
static void do_bad_key(struct bench *b, struct side *side)
{
	struct request write = on_words(b, HW_OP_RDMA_WRITE, 0);
	struct hw_cqe_info cqe;
	uint16_t index;

	write.rkey ^= 0xff; /* the right index, another variant */
	index = qp_post(&side->qp, &write);
	qp_ring(&side->qp);
	cqe = cq_wait(&side->cq, index);
	check(cqe.opcode == HW_CQE_REQ_ERR, "a bad key: CQE opcode 0x%x",
	      cqe.opcode);
	check(cqe.syndrome == HW_SYND_REMOTE_ACCESS, "a bad key: syndrome %s",
	      hw_syndrome_name(cqe.syndrome));
	check(cqe.wqe_counter == index, "the error is of WQE %u, not %u",
	      cqe.wqe_counter, index);
	check(qp_state(&side->qp) == HW_QP_ERR, "the QP is not in ERR");
}

/* All of it with one type of UAR. Returns whether the type exists here. */
static bool run_on(struct bench *b, uint32_t type, const char *name)
{
	b->uar = mlx5dv_devx_alloc_uar(b->host.context, type);
	if (!b->uar) {
		check(type == UAR_NC_DEDICATED, "no UAR of type %s", name);
		return false;
	}
	check(((uintptr_t)b->uar->reg_addr & (HW_UAR_BYTES - 1)) >= HW_UAR_BF,
	      "the register of %s is at %p", name, b->uar->reg_addr);
	open_sides(b);
	do_writes(b, &b->side[0]);
	do_writes(b, &b->side[1]);
	do_read_and_atomics(b, &b->side[0]);
	do_bad_key(b, &b->side[0]);
	close_sides(b);
	mlx5dv_devx_free_uar(b->uar);
	printf("%s: %d writes, read, atomics, bad key\n", name, 2 * WRITES);
	return true;
}

int main(void)
{
	struct bench bench = {0}, *b = &bench;
	int kinds = 0;

	host_open(&b->host);
	open_receive(b);
	open_memory(b);
	kinds += run_on(b, MLX5DV_UAR_ALLOC_TYPE_BF, "BF");
	kinds += run_on(b, MLX5DV_UAR_ALLOC_TYPE_NC, "NC");
	kinds += run_on(b, UAR_NC_DEDICATED, "NC_DEDICATED");
	check(!ibv_dereg_mr(b->mr), "the MR is in use");
	check(!ibv_destroy_srq(b->srq), "the SRQ is in use");
	check(!ibv_destroy_cq(b->recv_cq), "the receive CQ is in use");
	free(b->words);
	host_close(&b->host);
	printf("%d writes on %d types of UAR, reads, atomics, errors agree.\n",
	       kinds * 2 * WRITES, kinds);
	return 0;
}
