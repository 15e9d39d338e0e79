/* SPDX-License-Identifier: MIT */
/*
 * DEVX objects beside the data path: general commands, query and modify of
 * objects of DEVX and of verbs, a memory key made over a umem, a query that is
 * answered later, and what a wrong command is answered.
 *
 * Source of truth: rdma-core mlx5dv.h; Linux drivers/infiniband/hw/mlx5/devx.c
 * for what a failed command returns.
 */
#include "tests/apps/devx_host.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/cmd_cap.h"
#include "hw/cmd_mkey.h"

static void test_capabilities(const struct host *host)
{
	static uint8_t out[HW_CAP_OUT_BYTES];
	uint8_t in[HW_CAP_IN_BYTES] = {0};
	const uint8_t *page = out + HW_CAP_OUT_PAGE;

	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_QUERY_HCA_CAP);
	hw_set(in, HW_CMD_IN_OP_MOD, HW_CAP_GENERAL << 1 | HW_CAP_CUR);
	check(!mlx5dv_devx_general_cmd(host->context, in, sizeof(in), out,
				       sizeof(out)),
	      "QUERY_HCA_CAP failed");
	check(hw_get(page, HW_CAP_LOG_MAX_QP) >= 10, "fewer than 1024 QPs");
	check(hw_get(page, HW_CAP_PORT_TYPE) == host->ethernet,
	      "the port type is not the link layer");
	check(hw_get(page, HW_CAP_NUM_PORTS) == 1, "not one port");
}

static void test_bad_commands(const struct host *host)
{
	uint8_t in[HW_CREATE_CQ_IN_BYTES] = {0}, out[HW_CMD_HDR_BYTES] = {0};
	struct mlx5dv_devx_obj *obj;
	uint32_t status;

	/* The device refuses a CQ without memory, with a reason. */
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_CQ);
	hw_set(in, HW_CREATE_CQ_UMEM_VALID, 1);
	hw_set(in, HW_CREATE_CQ_UMEM_ID, 0xfffff);
	errno = 0;
	obj = mlx5dv_devx_obj_create(host->context, in, sizeof(in), out,
				     sizeof(out));
	status = hw_get(out, HW_CMD_OUT_STATUS);
	check(!obj && errno, "a CQ in a umem that does not exist was created");
	check(status != HW_CMD_OK, "a refused command has status OK");

	/* The kernel passes no command that it does not know. */
	memset(in, 0, sizeof(in));
	hw_set(in, HW_CMD_IN_OPCODE, 0x7ff);
	errno = 0;
	check(!mlx5dv_devx_obj_create(host->context, in, sizeof(in), out,
				      sizeof(out)) &&
		      errno == EINVAL,
	      "opcode 0x7ff as an object is not EINVAL");
	/* An object is not made by a general command. */
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_CQ);
	check(mlx5dv_devx_general_cmd(host->context, in, sizeof(in), out,
				      sizeof(out)),
	      "CREATE_CQ passed as a general command");
	/* Nor a umem of nothing. */
	check(!mlx5dv_devx_umem_reg(host->context, NULL, 4096, 0),
	      "a umem at address 0 was registered");
}

static void query_cq(const struct host *host, struct cq *cq)
{
	uint8_t in[HW_CMD_HDR_BYTES] = {0}, out[HW_QUERY_CQ_OUT_BYTES] = {0};
	const uint8_t *cqc = out + HW_CQC_OFFSET;

	(void)host;
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_QUERY_CQ);
	hw_set(in, HW_CMD_IN_NUMBER, cq->cqn);
	check(!mlx5dv_devx_obj_query(cq->obj, in, sizeof(in), out, sizeof(out)),
	      "QUERY_CQ failed");
	check(1u << hw_get(cqc, HW_CQC_LOG_CQ_SIZE) == CQ_DEPTH,
	      "QUERY_CQ tells another depth");
	check(hw_get(cqc, HW_CQC_STATUS) == HW_CQ_OK, "the CQ is not OK");
	/* Another CQ's number does not belong to this handle. */
	hw_set(in, HW_CMD_IN_NUMBER, cq->cqn + 1);
	check(mlx5dv_devx_obj_query(cq->obj, in, sizeof(in), out, sizeof(out)),
	      "a handle answered for the number of another object");
}

static void test_async_query(const struct host *host, struct cq *cq)
{
	struct mlx5dv_devx_cmd_comp *comp;
	struct mlx5dv_devx_async_cmd_hdr *answer;
	uint8_t in[HW_CMD_HDR_BYTES] = {0};
	size_t len = sizeof(*answer) + HW_QUERY_CQ_OUT_BYTES;
	struct pollfd ready = {.events = POLLIN};
	const uint8_t *cqc;

	comp = mlx5dv_devx_create_cmd_comp(host->context);
	check(comp, "no completion channel for commands");
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_QUERY_CQ);
	hw_set(in, HW_CMD_IN_NUMBER, cq->cqn);
	check(!mlx5dv_devx_obj_query_async(cq->obj, in, sizeof(in),
					   HW_QUERY_CQ_OUT_BYTES, 77, comp),
	      "QUERY_CQ was not taken for later");
	ready.fd = comp->fd;
	check(poll(&ready, 1, 2000) == 1, "no answer within two seconds");
	answer = calloc(1, len);
	check(answer, "no memory");
	check(!mlx5dv_devx_get_async_cmd_comp(comp, answer, len),
	      "the answer cannot be read");
	cqc = answer->out_data + HW_CQC_OFFSET;
	check(answer->wr_id == 77, "the answer is of another query");
	check(1u << hw_get(cqc, HW_CQC_LOG_CQ_SIZE) == CQ_DEPTH,
	      "the answer tells another depth");
	free(answer);
	mlx5dv_devx_destroy_cmd_comp(comp);
}

/* A QP of verbs is seen by DEVX commands too. */
static void test_verbs_qp(const struct host *host)
{
	struct ibv_qp_init_attr attr = {
		.qp_type = IBV_QPT_RC,
		.cap = {.max_send_wr = 4,
			.max_recv_wr = 4,
			.max_send_sge = 1,
			.max_recv_sge = 1},
	};
	uint8_t in[HW_MODIFY_QP_IN_BYTES] = {0};
	uint8_t out[HW_QUERY_QP_OUT_BYTES] = {0};
	uint8_t *qpc = in + HW_QPC_OFFSET;
	struct ibv_qp *qp;

	attr.send_cq = ibv_create_cq(host->context, 4, NULL, NULL, 0);
	attr.recv_cq = attr.send_cq;
	check(attr.send_cq, "no CQ of verbs");
	qp = ibv_create_qp(host->pd, &attr);
	check(qp, "no QP of verbs");
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_RST2INIT_QP);
	hw_set(in, HW_CMD_IN_NUMBER, qp->qp_num);
	hw_set(qpc, HW_QPC_PM_STATE, HW_PM_MIGRATED);
	hw_set(qpc + HW_QPC_PATH, HW_ADS_PORT, 1);
	check(!mlx5dv_devx_qp_modify(qp, in, sizeof(in), out, HW_CMD_HDR_BYTES),
	      "RST2INIT of a verbs QP: status %s",
	      hw_cmd_status_name((uint8_t)hw_get(out, HW_CMD_OUT_STATUS)));
	memset(in, 0, HW_CMD_HDR_BYTES);
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_QUERY_QP);
	hw_set(in, HW_CMD_IN_NUMBER, qp->qp_num);
	check(!mlx5dv_devx_qp_query(qp, in, HW_CMD_HDR_BYTES, out, sizeof(out)),
	      "QUERY_QP of a verbs QP failed");
	check(hw_get(out + HW_QPC_OFFSET, HW_QPC_STATE) == HW_QP_INIT,
	      "the verbs QP is not in INIT");
	check(!ibv_destroy_qp(qp), "the QP does not go");
	check(!ibv_destroy_cq(attr.send_cq), "the CQ does not go");
}

static struct mlx5dv_devx_obj *
create_mkey(const struct host *host, const struct umem *umem, uint32_t *key)
{
	uint8_t in[HW_CREATE_MKEY_IN_BYTES] = {0}, out[HW_CMD_HDR_BYTES] = {0};
	uint8_t *mkc = in + HW_MKC_OFFSET;
	struct mlx5dv_devx_obj *obj;

	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_MKEY);
	hw_set(in, HW_CREATE_MKEY_UMEM_VALID, 1);
	hw_set(in, HW_CREATE_MKEY_UMEM_ID, umem->handle->umem_id);
	hw_set(mkc, HW_MKC_ACCESS_MODE_1_0, HW_MKC_MODE_MTT);
	hw_set(mkc, HW_MKC_RW, 1);
	hw_set(mkc, HW_MKC_RR, 1);
	hw_set(mkc, HW_MKC_LW, 1);
	hw_set(mkc, HW_MKC_LR, 1);
	hw_set(mkc, HW_MKC_QPN, HW_MKC_QPN_ANY);
	hw_set(mkc, HW_MKC_MKEY_7_0, 0x42);
	hw_set(mkc, HW_MKC_PD, host->pdn);
	hw_set64(mkc, HW_MKC_START_ADDR, (uintptr_t)umem->bytes);
	hw_set64(mkc, HW_MKC_LEN, umem->len_bytes);
	hw_set(mkc, HW_MKC_LOG_PAGE_SIZE, 12);
	hw_set(mkc, HW_MKC_TRANSLATIONS_SIZE, 1);
	obj = mlx5dv_devx_obj_create(host->context, in, sizeof(in), out,
				     sizeof(out));
	check(obj, "CREATE_MKEY: status %s",
	      hw_cmd_status_name((uint8_t)hw_get(out, HW_CMD_OUT_STATUS)));
	*key = hw_get(out, HW_CMD_OUT_NUMBER) << 8 | 0x42;
	return obj;
}

/* A write within memory whose key was made by CREATE_MKEY. */
static void test_mkey(const struct host *host, struct cq *cq,
		      struct mlx5dv_devx_uar *uar)
{
	struct qp_receive receive = {.cqn = cq->cqn};
	struct mlx5dv_devx_obj *mkey;
	struct request write = {.opcode = HW_OP_RDMA_WRITE, .len_bytes = 5};
	struct hw_cqe_info cqe;
	struct umem memory;
	struct qp qp;
	uint32_t key;

	umem_open(host, &memory, 4096);
	mkey = create_mkey(host, &memory, &key);
	qp_open(host, &qp, cq->cqn, &receive, uar);
	qp_connect(host, &qp, qp.qpn);
	memcpy(memory.bytes, "hello", 5);
	write.lkey = write.rkey = key;
	write.laddr = (uintptr_t)memory.bytes;
	write.raddr = write.laddr + 100;
	qp_post(&qp, &write);
	qp_ring(&qp);
	cqe = cq_wait(cq, 0);
	check(cqe.opcode == HW_CQE_REQ, "the write ends with syndrome %s",
	      hw_syndrome_name(cqe.syndrome));
	check(!memcmp(memory.bytes + 100, "hello", 5), "nothing arrived");
	qp_close(&qp);
	check(!mlx5dv_devx_obj_destroy(mkey), "DESTROY_MKEY failed");
	umem_close(&memory);
}

int main(void)
{
	struct mlx5dv_devx_uar *uar;
	struct host host;
	struct cq cq;

	host_open(&host);
	uar = mlx5dv_devx_alloc_uar(host.context, MLX5DV_UAR_ALLOC_TYPE_NC);
	check(uar, "no UAR");
	cq_open(&host, &cq, uar, false);
	test_capabilities(&host);
	test_bad_commands(&host);
	query_cq(&host, &cq);
	test_async_query(&host, &cq);
	test_verbs_qp(&host);
	test_mkey(&host, &cq, uar);
	cq_close(&cq);
	mlx5dv_devx_free_uar(uar);
	host_close(&host);
	printf("capabilities, refusals, queries, a verbs QP and an mkey.\n");
	return 0;
}
