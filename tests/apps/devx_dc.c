/* SPDX-License-Identifier: MIT */
/*
 * DC queue pairs as a GPU-initiated library makes them whether it uses them or
 * not: a target through libmlx5, an initiator through DEVX. For `belfry run
 * --dc idle`: an initiator there does nothing for a peer.
 *
 * Source of truth: NVSHMEM's ibgda transport (its public source).
 */
#include "tests/apps/devx_host.h"

#include <stdio.h>
#include <string.h>

enum { ACCESS_KEY = 0x1234, TARGETS = 2, DEPTH = 1024 };

struct bench {
	struct host host;
	struct ibv_pd *domain; /* parent domain */
	struct ibv_srq *srq;
	struct ibv_cq *send_cq, *recv_cq;
	struct ibv_ah_attr path;
	struct ibv_ah *ah;
	struct ibv_qp *targets[TARGETS];
};

static void open_shared(struct bench *b)
{
	struct ibv_parent_domain_init_attr domain = {.pd = b->host.pd};
	struct ibv_srq_init_attr srq = {
		.attr = {.max_wr = DEPTH, .max_sge = 1}};
	struct mlx5dv_ah out;
	struct mlx5dv_obj obj;

	b->domain = ibv_alloc_parent_domain(b->host.context, &domain);
	check(b->domain, "no parent domain");
	b->srq = ibv_create_srq(b->domain, &srq);
	check(b->srq, "no SRQ");
	b->send_cq = ibv_create_cq(b->host.context, DEPTH, NULL, NULL, 0);
	b->recv_cq = ibv_create_cq(b->host.context, DEPTH, NULL, NULL, 0);
	check(b->send_cq && b->recv_cq, "no CQ");
	b->path.port_num = 1;
	b->path.dlid = b->host.lid;
	b->path.is_global = b->host.ethernet;
	b->path.grh.dgid = b->host.gid;
	b->path.grh.hop_limit = 255;
	b->ah = ibv_create_ah(b->host.pd, &b->path);
	check(b->ah, "no address handle");
	obj.ah.in = b->ah;
	obj.ah.out = &out;
	check(!mlx5dv_init_obj(&obj, MLX5DV_OBJ_AH) && out.av,
	      "no address vector");
}

static struct ibv_qp *make_target(const struct bench *b)
{
	struct ibv_qp_init_attr_ex attr = {
		.qp_type = IBV_QPT_DRIVER,
		.comp_mask = IBV_QP_INIT_ATTR_PD,
		.pd = b->domain,
		.srq = b->srq,
		.send_cq = b->send_cq,
		.recv_cq = b->recv_cq,
		.cap = {DEPTH, DEPTH, 1, 1, 12},
	};
	struct mlx5dv_qp_init_attr dc = {
		.comp_mask = MLX5DV_QP_INIT_ATTR_MASK_DC,
		.dc_init_attr = {.dc_type = MLX5DV_DCTYPE_DCT,
				 .dct_access_key = ACCESS_KEY},
	};
	struct ibv_qp *qp = mlx5dv_create_qp(b->host.context, &attr, &dc);

	check(qp, "no DC target: %m");
	return qp;
}

static void bring_up(const struct bench *b, struct ibv_qp *qp)
{
	struct ibv_qp_attr init = {
		.qp_state = IBV_QPS_INIT,
		.port_num = 1,
		.qp_access_flags =
			IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ |
			IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_ATOMIC,
	};
	struct ibv_qp_attr rtr = {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = IBV_MTU_4096,
		.min_rnr_timer = 12,
		.ah_attr = b->path,
	};

	check(!ibv_modify_qp(qp, &init,
			     IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
				     IBV_QP_ACCESS_FLAGS),
	      "a target does not go to INIT: %m");
	check(!ibv_modify_qp(qp, &rtr,
			     IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
				     IBV_QP_MIN_RNR_TIMER),
	      "a target does not go to RTR: %m");
	check(qp->qp_num, "a target in RTR has no number");
}

static uint16_t post(struct qp *qp, uint8_t opcode)
{
	struct request request = {.opcode = opcode, .len_bytes = 8};
	uint16_t index = qp_post(qp, &request);

	qp_ring(qp);
	return index;
}

static void run_initiator(const struct bench *b, struct mlx5dv_devx_uar *uar)
{
	struct qp_receive receive = {.service = HW_QP_ST_DCI};
	struct hw_cqe_info cqe;
	struct cq cq;
	struct qp qp;

	cq_open(&b->host, &cq, uar, true);
	qp_open(&b->host, &qp, cq.cqn, &receive, uar);
	qp_connect(&b->host, &qp, 0);
	check(qp_state(&qp) == HW_QP_RTS, "the initiator is not in RTS");
	cqe = cq_wait(&cq, post(&qp, HW_OP_NOP));
	check(cqe.opcode == HW_CQE_REQ, "NOP: syndrome %s",
	      hw_syndrome_name(cqe.syndrome));
	cqe = cq_wait(&cq, post(&qp, HW_OP_RDMA_WRITE));
	check(cqe.opcode == HW_CQE_REQ_ERR &&
		      cqe.syndrome == HW_SYND_LOCAL_QP_OP,
	      "a write: CQE opcode 0x%x, syndrome %s", cqe.opcode,
	      hw_syndrome_name(cqe.syndrome));
	qp_close(&qp);
	cq_close(&cq);
}

int main(void)
{
	struct bench bench = {0}, *b = &bench;
	struct mlx5dv_devx_uar *uar;
	int i;

	host_open(&b->host);
	open_shared(b);
	for (i = 0; i < TARGETS; i++) {
		b->targets[i] = make_target(b);
		bring_up(b, b->targets[i]);
	}
	check(b->targets[0]->qp_num != b->targets[1]->qp_num,
	      "both targets are number 0x%x", b->targets[0]->qp_num);
	uar = mlx5dv_devx_alloc_uar(b->host.context, MLX5DV_UAR_ALLOC_TYPE_NC);
	check(uar, "no UAR");
	run_initiator(b, uar);
	mlx5dv_devx_free_uar(uar);
	for (i = 0; i < TARGETS; i++)
		check(!ibv_destroy_qp(b->targets[i]), "a target is in use");
	check(!ibv_destroy_ah(b->ah) && !ibv_destroy_srq(b->srq) &&
		      !ibv_destroy_cq(b->recv_cq) &&
		      !ibv_destroy_cq(b->send_cq) && !ibv_dealloc_pd(b->domain),
	      "something is in use");
	host_close(&b->host);
	printf("%d DC targets and an initiator that carry nothing.\n", TARGETS);
	return 0;
}
