/* SPDX-License-Identifier: MIT */
/*
 * A device and queues made with DEVX commands; devx_host.h says what for.
 *
 * Source of truth for the order of the steps and the fields that a
 * GPU-initiated library sets: NVSHMEM's ibgda transport (its public source).
 */
#include "tests/apps/devx_host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PORT = 1, LINE = 64, PAGE = 4096 };

void check(bool condition, const char *fmt, ...)
{
	int error = errno;
	va_list args;

	if (condition)
		return;
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf(" (errno: %s)\n", strerror(error));
	exit(1);
}

void skip(const char *fmt, ...)
{
	va_list args;

	printf("skipped: ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	exit(77);
}

/* ------------------------------------------------------------------ device */

static struct ibv_context *open_first(void)
{
	struct mlx5dv_context_attr attr = {
		.flags = MLX5DV_CONTEXT_FLAGS_DEVX,
	};
	struct ibv_context *context = NULL;
	struct ibv_device **list;
	int i, count = 0;

	list = ibv_get_device_list(&count);
	for (i = 0; list && i < count && !context; i++)
		if (mlx5dv_is_supported(list[i]))
			context = mlx5dv_open_device(list[i], &attr);
	if (list)
		ibv_free_device_list(list);
	return context;
}

void host_open(struct host *host)
{
	struct mlx5dv_pd pd_out = {0};
	struct mlx5dv_obj obj = {0};
	struct ibv_port_attr port;

	memset(host, 0, sizeof(*host));
	host->context = open_first();
	if (!host->context)
		skip("no mlx5 device with DEVX");
	check(!ibv_query_port(host->context, PORT, &port),
	      "port 1 cannot be queried");
	check(port.state == IBV_PORT_ACTIVE, "port 1 is not active");
	host->ethernet = port.link_layer == IBV_LINK_LAYER_ETHERNET;
	host->lid = port.lid;
	check(!ibv_query_gid(host->context, PORT, 0, &host->gid),
	      "there is no GID 0");
	/* The MAC is in the interface identifier of a link-local GID. */
	memcpy(host->mac, host->gid.raw + 8, 3);
	memcpy(host->mac + 3, host->gid.raw + 13, 3);
	host->mac[0] ^= 2;
	host->pd = ibv_alloc_pd(host->context);
	check(host->pd, "no protection domain");
	obj.pd.in = host->pd;
	obj.pd.out = &pd_out;
	check(!mlx5dv_init_obj(&obj, MLX5DV_OBJ_PD), "the PD has no number");
	host->pdn = pd_out.pdn;
	check(!mlx5dv_devx_query_eqn(host->context, 0, &host->eqn),
	      "completion vector 0 has no event queue");
}

void host_close(struct host *host)
{
	check(!ibv_dealloc_pd(host->pd), "the PD is still in use");
	check(!ibv_close_device(host->context), "the device does not close");
}

/* ------------------------------------------------------------------ memory */

void *(*umem_memory)(size_t len_bytes, uint8_t **seen);

void umem_open(const struct host *host, struct umem *umem, size_t len_bytes)
{
	void *bytes = NULL;

	if (umem_memory) {
		bytes = umem_memory(len_bytes, &umem->bytes);
	} else {
		check(!posix_memalign(&bytes, PAGE, len_bytes), "no memory");
		umem->bytes = bytes;
	}
	memset(umem->bytes, 0, len_bytes);
	umem->len_bytes = len_bytes;
	umem->handle = mlx5dv_devx_umem_reg(host->context, bytes, len_bytes,
					    IBV_ACCESS_LOCAL_WRITE);
	check(umem->handle, "%zu bytes cannot be a umem", len_bytes);
}

void umem_close(struct umem *umem)
{
	check(!mlx5dv_devx_umem_dereg(umem->handle), "the umem is in use");
	if (!umem_memory)
		free(umem->bytes);
}

/* -------------------------------------------------------- completion queue */

static unsigned log2_of(uint32_t value)
{
	return (unsigned)__builtin_ctz(value);
}

static void cq_fill(const struct host *host, const struct cq *cq, uint8_t *in,
		    uint32_t uar_page)
{
	uint8_t *cqc = in + HW_CQC_OFFSET;

	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_CQ);
	hw_set(in, HW_CREATE_CQ_UMEM_ID, cq->umem.handle->umem_id);
	hw_set(in, HW_CREATE_CQ_UMEM_VALID, 1);
	hw_set(cqc, HW_CQC_CC, cq->collapsed);
	hw_set(cqc, HW_CQC_OI, cq->collapsed);
	hw_set(cqc, HW_CQC_LOG_CQ_SIZE, log2_of(CQ_DEPTH));
	hw_set(cqc, HW_CQC_UAR_PAGE, uar_page);
	hw_set(cqc, HW_CQC_C_EQN, host->eqn);
	hw_set(cqc, HW_CQC_DBR_UMEM_VALID, 1);
	hw_set(cqc, HW_CQC_DBR_UMEM_ID, cq->umem.handle->umem_id);
	hw_set64(cqc, HW_CQC_DBR_ADDR, CQ_DEPTH * HW_CQE_BYTES);
}

void cq_open(const struct host *host, struct cq *cq,
	     const struct mlx5dv_devx_uar *uar, bool collapsed)
{
	uint8_t in[HW_CREATE_CQ_IN_BYTES] = {0}, out[HW_CMD_HDR_BYTES] = {0};
	uint32_t i;

	memset(cq, 0, sizeof(*cq));
	cq->collapsed = collapsed;
	umem_open(host, &cq->umem, CQ_DEPTH * HW_CQE_BYTES + LINE);
	cq->ring = (volatile struct hw_cqe *)cq->umem.bytes;
	cq->record =
		(volatile be32 *)(cq->umem.bytes + CQ_DEPTH * HW_CQE_BYTES);
	for (i = 0; i < CQ_DEPTH; i++)
		cq->ring[i].op_own = HW_CQE_INVALID << 4 | 1;
	cq_fill(host, cq, in, uar->page_id);
	cq->obj = mlx5dv_devx_obj_create(host->context, in, sizeof(in), out,
					 sizeof(out));
	check(cq->obj, "CREATE_CQ: status %s, syndrome 0x%x",
	      hw_cmd_status_name((uint8_t)hw_get(out, HW_CMD_OUT_STATUS)),
	      hw_get(out, HW_CMD_OUT_SYNDROME));
	cq->cqn = hw_get(out, HW_CMD_OUT_NUMBER);
}

void cq_close(struct cq *cq)
{
	check(!mlx5dv_devx_obj_destroy(cq->obj), "DESTROY_CQ failed");
	umem_close(&cq->umem);
}

void cq_arm(struct cq *cq, const struct mlx5dv_devx_uar *uar)
{
	struct hw_cq_arm_info arm = {.ci = cq->ci, .sn = cq->arms++ & 3};
	struct hw_cq_doorbell doorbell = {
		.sn_cmd_ci = hw_cq_arm_encode(&arm),
		.cqn = to_be32(cq->cqn),
	};
	uint64_t word;

	cq->record[HW_CQ_DBR_ARM].raw = doorbell.sn_cmd_ci.raw;
	/* The device reads the record when it sees the register. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	memcpy(&word, &doorbell, sizeof(word));
	*(volatile uint64_t *)((uint8_t *)uar->base_addr + HW_UAR_CQ_DOORBELL) =
		word;
}

/* Whether the entry at the consumer's place is there. */
static bool cq_ready(const struct cq *cq, uint16_t wqe_index)
{
	const volatile struct hw_cqe *cqe =
		&cq->ring[cq->collapsed ? 0 : cq->ci % CQ_DEPTH];
	uint8_t op_own = __atomic_load_n(&cqe->op_own, __ATOMIC_ACQUIRE);
	uint16_t counter;

	if (op_own >> 4 == HW_CQE_INVALID)
		return false;
	if (!cq->collapsed)
		return (op_own & 1) == (cq->ci / CQ_DEPTH & 1);
	counter = hw_swap16(cqe->wqe_counter.raw);
	return (int16_t)(counter - wqe_index) >= 0 ||
	       hw_cqe_is_error(op_own >> 4);
}

struct hw_cqe_info cq_wait(struct cq *cq, uint16_t wqe_index)
{
	time_t start = time(NULL);
	struct hw_cqe copy;

	while (!cq_ready(cq, wqe_index))
		check(time(NULL) - start < 3,
		      "no completion of WQE %u within two seconds", wqe_index);
	memcpy(&copy,
	       (const void *)&cq->ring[cq->collapsed ? 0 : cq->ci % CQ_DEPTH],
	       sizeof(copy));
	if (!cq->collapsed) {
		cq->ci++;
		cq->record[HW_CQ_DBR_CI] = to_be32(cq->ci & HW_CQE_INDEX_MASK);
	}
	return hw_cqe_decode(&copy);
}

/* -------------------------------------------------------------- queue pair */

static void qp_fill(const struct host *host, const struct qp *qp, uint8_t *in,
		    const struct qp_receive *receive)
{
	uint8_t *qpc = in + HW_QPC_OFFSET;

	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_QP);
	hw_set(in, HW_CREATE_QP_UMEM_ID, qp->umem.handle->umem_id);
	hw_set(in, HW_CREATE_QP_UMEM_VALID, 1);
	hw_set(qpc, HW_QPC_ST, receive->service);
	hw_set(qpc, HW_QPC_PM_STATE, HW_PM_MIGRATED);
	hw_set(qpc, HW_QPC_PD, host->pdn);
	hw_set(qpc, HW_QPC_LOG_SQ_SIZE, log2_of(SQ_DEPTH));
	hw_set(qpc, HW_QPC_CQN_RCV, receive->cqn);
	hw_set(qpc, HW_QPC_RQ_TYPE,
	       receive->srqn ? HW_RQ_SRQ : HW_RQ_ZERO_SIZE);
	hw_set(qpc, HW_QPC_SRQN_RMPN, receive->srqn);
	hw_set(qpc, HW_QPC_DBR_UMEM_VALID, 1);
	hw_set(qpc, HW_QPC_DBR_UMEM_ID, qp->umem.handle->umem_id);
	hw_set64(qpc, HW_QPC_DBR_ADDR, SQ_DEPTH * HW_WQE_BB);
}

void qp_open(const struct host *host, struct qp *qp, uint32_t send_cqn,
	     const struct qp_receive *receive,
	     const struct mlx5dv_devx_uar *uar)
{
	uint8_t in[HW_CREATE_QP_IN_BYTES] = {0}, out[HW_CMD_HDR_BYTES] = {0};

	memset(qp, 0, sizeof(*qp));
	umem_open(host, &qp->umem, SQ_DEPTH * HW_WQE_BB + LINE);
	qp->record = (volatile be32 *)(qp->umem.bytes + SQ_DEPTH * HW_WQE_BB);
	qp->reg = uar->reg_addr;
	qp_fill(host, qp, in, receive);
	hw_set(in + HW_QPC_OFFSET, HW_QPC_CQN_SND, send_cqn);
	hw_set(in + HW_QPC_OFFSET, HW_QPC_UAR_PAGE, uar->page_id);
	qp->obj = mlx5dv_devx_obj_create(host->context, in, sizeof(in), out,
					 sizeof(out));
	check(qp->obj, "CREATE_QP: status %s, syndrome 0x%x",
	      hw_cmd_status_name((uint8_t)hw_get(out, HW_CMD_OUT_STATUS)),
	      hw_get(out, HW_CMD_OUT_SYNDROME));
	qp->qpn = hw_get(out, HW_CMD_OUT_NUMBER);
}

void qp_close(struct qp *qp)
{
	check(!mlx5dv_devx_obj_destroy(qp->obj), "DESTROY_QP failed");
	umem_close(&qp->umem);
}

static void qp_modify(struct qp *qp, uint8_t *in, enum hw_cmd_opcode opcode)
{
	uint8_t out[HW_CMD_HDR_BYTES] = {0};

	hw_set(in, HW_CMD_IN_OPCODE, opcode);
	hw_set(in, HW_CMD_IN_NUMBER, qp->qpn);
	check(!mlx5dv_devx_obj_modify(qp->obj, in, HW_MODIFY_QP_IN_BYTES, out,
				      sizeof(out)),
	      "command 0x%x: status %s, syndrome 0x%x", opcode,
	      hw_cmd_status_name((uint8_t)hw_get(out, HW_CMD_OUT_STATUS)),
	      hw_get(out, HW_CMD_OUT_SYNDROME));
}

static void set_path(const struct host *host, uint8_t *path)
{
	hw_set(path, HW_ADS_PORT, PORT);
	hw_set(path, HW_ADS_ACK_TIMEOUT, 20);
	if (!host->ethernet) {
		hw_set(path, HW_ADS_RLID, host->lid);
		return;
	}
	memcpy(path + HW_ADS_RGID, host->gid.raw, sizeof(host->gid.raw));
	hw_set(path, HW_ADS_RMAC_47_32, host->mac[0] << 8 | host->mac[1]);
	hw_set(path, HW_ADS_RMAC_31_0,
	       (uint32_t)host->mac[2] << 24 | (uint32_t)host->mac[3] << 16 |
		       (uint32_t)host->mac[4] << 8 | host->mac[5]);
	hw_set(path, HW_ADS_HOP_LIMIT, 64);
	hw_set(path, HW_ADS_UDP_SPORT, 0xc000);
}

void qp_connect(const struct host *host, struct qp *qp, uint32_t remote_qpn)
{
	uint8_t init[HW_MODIFY_QP_IN_BYTES] = {0};
	uint8_t rtr[HW_MODIFY_QP_IN_BYTES] = {0};
	uint8_t rts[HW_MODIFY_QP_IN_BYTES] = {0};
	uint8_t *qpc = init + HW_QPC_OFFSET;

	hw_set(qpc, HW_QPC_PM_STATE, HW_PM_MIGRATED);
	hw_set(qpc, HW_QPC_RRE, 1);
	hw_set(qpc, HW_QPC_RWE, 1);
	hw_set(qpc, HW_QPC_RAE, 1);
	hw_set(qpc, HW_QPC_ATOMIC_MODE, HW_ATOMIC_MODE_8B);
	hw_set(qpc + HW_QPC_PATH, HW_ADS_PORT, PORT);
	qp_modify(qp, init, HW_CMD_RST2INIT_QP);

	qpc = rtr + HW_QPC_OFFSET;
	memcpy(rtr, init, sizeof(rtr));
	hw_set(qpc, HW_QPC_MTU, IBV_MTU_1024);
	hw_set(qpc, HW_QPC_LOG_MSG_MAX, 30);
	hw_set(qpc, HW_QPC_REMOTE_QPN, remote_qpn);
	hw_set(qpc, HW_QPC_MIN_RNR_NAK, 12);
	hw_set(qpc, HW_QPC_LOG_RRA_MAX, 4);
	set_path(host, qpc + HW_QPC_PATH);
	qp_modify(qp, rtr, HW_CMD_INIT2RTR_QP);

	qpc = rts + HW_QPC_OFFSET;
	hw_set(qpc, HW_QPC_PM_STATE, HW_PM_MIGRATED);
	hw_set(qpc, HW_QPC_LOG_SRA_MAX, 4);
	hw_set(qpc, HW_QPC_RETRY_COUNT, 7);
	hw_set(qpc, HW_QPC_RNR_RETRY, 7);
	hw_set(qpc + HW_QPC_PATH, HW_ADS_ACK_TIMEOUT, 20);
	qp_modify(qp, rts, HW_CMD_RTR2RTS_QP);
}

unsigned qp_state(struct qp *qp)
{
	uint8_t in[HW_CMD_HDR_BYTES] = {0}, out[HW_QUERY_QP_OUT_BYTES] = {0};

	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_QUERY_QP);
	hw_set(in, HW_CMD_IN_NUMBER, qp->qpn);
	check(!mlx5dv_devx_obj_query(qp->obj, in, sizeof(in), out, sizeof(out)),
	      "QUERY_QP failed");
	return hw_get(out + HW_QPC_OFFSET, HW_QPC_STATE);
}

/* ---------------------------------------------------------------- requests */

uint16_t qp_post(struct qp *qp, const struct request *request)
{
	bool atomic = request->opcode == HW_OP_ATOMIC_FA ||
		      request->opcode == HW_OP_ATOMIC_CS;
	struct hw_wqe_ctrl_info ctrl = {
		.qpn = qp->qpn,
		.idx = qp->pi,
		.opcode = request->opcode,
		.ds = atomic ? 4 : 3,
		.fm_ce_se = hw_fm_ce_se(HW_FENCE_NONE, HW_CE_ALWAYS, 0),
	};
	struct hw_wqe_raddr raddr =
		hw_wqe_raddr_encode(request->raddr, request->rkey);
	struct hw_wqe_data data = hw_wqe_data_encode(
		request->len_bytes, request->lkey, request->laddr);
	struct hw_wqe_ctrl encoded = hw_wqe_ctrl_encode(&ctrl);
	uint8_t *wqe = qp->umem.bytes + qp->pi % SQ_DEPTH * HW_WQE_BB;

	memcpy(wqe, &encoded, HW_WQE_DS);
	memcpy(wqe + HW_WQE_DS, &raddr, HW_WQE_DS);
	if (atomic)
		memcpy(wqe + 2 * HW_WQE_DS, &request->atomic, HW_WQE_DS);
	memcpy(wqe + (atomic ? 3 : 2) * HW_WQE_DS, &data, HW_WQE_DS);
	return qp->pi++;
}

void qp_ring(struct qp *qp)
{
	struct hw_sq_doorbell doorbell = hw_sq_doorbell_encode(qp->qpn, qp->pi);
	uint64_t word;

	/* The WQEs before the record, for the device that reads the record. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	qp->record[HW_DBR_SND].raw = hw_dbrec_encode(qp->pi).raw;
	/* The record before the register that makes the device look. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	memcpy(&word, &doorbell, sizeof(word));
	*qp->reg = word;
}
