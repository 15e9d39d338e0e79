/* SPDX-License-Identifier: MIT */
/*
 * Queue pairs: create and destroy. Modify and query: method_qp_modify.c.
 *
 * Source of truth: Linux drivers/infiniband/core/uverbs_std_types_qp.c,
 * hw/mlx5/qp.c (create_user_qp, _create_user_qp).
 * Not modelled: raw packets, DC, RSS, underlay queue pairs.
 * Thread: under the context's lock.
 */
#include <errno.h>
#include <string.h>

#include <rdma/ib_user_ioctl_verbs.h>

#include "emu/uverbs/call.h"
#include "emu/uverbs/limits.h"
#include "emu/uverbs/mapping.h"
#include "emu/uverbs/memory.h"
#include "emu/uverbs/qp.h"
#include "hw/cmd_qp.h"
#include "hw/doorbell.h"

/* ---------------------------------------------------------------- destroy */

static void release(struct uv_qp *qp, int by)
{
	if (qp->pd)
		qp->pd->object.users += (unsigned)by;
	if (qp->send_cq)
		qp->send_cq->object.users += (unsigned)by;
	if (qp->recv_cq)
		qp->recv_cq->object.users += (unsigned)by;
	if (qp->srq)
		qp->srq->object.users += (unsigned)by;
	if (qp->xrcd)
		qp->xrcd->object.users += (unsigned)by;
	if (qp->uar)
		qp->uar->object.users += (unsigned)by;
}

static void drop_memory(struct uv_qp *qp)
{
	uv_umem_drop(qp->object.context, qp->umem);
	uv_umem_drop(qp->object.context, qp->dbr_umem);
	qp->umem = qp->dbr_umem = 0;
}

static int destroy_qp(struct uv_object *object)
{
	struct uv_qp *qp = (struct uv_qp *)object;
	int ret;

	uv_settle(object->context->nic); /* a NIC has acknowledged all of it */
	ret = uv_box_number(object->context, HW_CMD_DESTROY_QP, qp->qpn);
	if (ret)
		return ret;
	uv_source_remove(&qp->source);
	drop_memory(qp);
	release(qp, -1);
	return 0;
}

static const struct uv_object_type qp_type = {
	.id = UVERBS_OBJECT_QP,
	.bytes = sizeof(struct uv_qp),
	.destroy = destroy_qp,
};

static int qp_destroy(struct uv_call *call)
{
	struct uv_qp *qp = uv_call_object(call, UVERBS_ATTR_DESTROY_QP_HANDLE);
	uint32_t events;
	int ret;

	if (qp->object.users)
		return -EBUSY;
	ret = qp->object.type->destroy(&qp->object);
	if (ret)
		return ret;
	events = qp->source.async_sent;
	uv_object_free(&qp->object);
	return uv_call_out(call, UVERBS_ATTR_DESTROY_QP_RESP, &events,
			   sizeof(events));
}

/* ----------------------------------------------------------------- create */

struct request {
	struct mlx5_ib_create_qp driver;
	struct uv_qp qp; /* what the object will be */
	uint64_t flags;
	uint32_t log_sq, log_rq; /* entries */
};

/* Service type of the QP context; -errno for one that is not there. */
static int service_type(uint8_t type)
{
	switch (type) {
	case IB_UVERBS_QPT_RC:
		return HW_QP_ST_RC;
	case IB_UVERBS_QPT_UC:
		return HW_QP_ST_UC;
	case IB_UVERBS_QPT_UD:
		return HW_QP_ST_UD;
	case IB_UVERBS_QPT_XRC_INI:
	case IB_UVERBS_QPT_XRC_TGT:
		return HW_QP_ST_XRC;
	case IB_UVERBS_QPT_RAW_PACKET:
		uv_unsupported("a raw packet queue pair");
		return -EOPNOTSUPP;
	case IB_UVERBS_QPT_DRIVER:
		/* A DC target: nothing for it ever comes. */
		if (uv_config()->idle_dc)
			return HW_QP_ST_UD;
		uv_unsupported("a DC queue pair");
		return -EOPNOTSUPP;
	default:
		return -EINVAL;
	}
}

static int read_objects(struct uv_call *call, struct uv_qp *qp)
{
	qp->pd = uv_call_object(call, UVERBS_ATTR_CREATE_QP_PD_HANDLE);
	qp->srq = uv_call_object(call, UVERBS_ATTR_CREATE_QP_SRQ_HANDLE);
	qp->send_cq =
		uv_call_object(call, UVERBS_ATTR_CREATE_QP_SEND_CQ_HANDLE);
	qp->recv_cq =
		uv_call_object(call, UVERBS_ATTR_CREATE_QP_RECV_CQ_HANDLE);
	qp->xrcd = uv_call_object(call, UVERBS_ATTR_CREATE_QP_XRCD_HANDLE);
	if (qp->type == IB_UVERBS_QPT_XRC_TGT) {
		qp->pd = NULL;
		qp->send_cq = qp->recv_cq = NULL;
		return qp->xrcd ? 0 : -EINVAL;
	}
	qp->xrcd = NULL;
	if (!qp->pd || !qp->send_cq)
		return -EINVAL;
	if (!qp->recv_cq || qp->type == IB_UVERBS_QPT_XRC_INI)
		qp->recv_cq = qp->send_cq;
	return 0;
}

/* A power of two as its exponent; -EINVAL for another number. */
static int exact_log2(uint32_t n, uint32_t *log)
{
	if (!n || (n & (n - 1)))
		return -EINVAL;
	*log = (uint32_t)__builtin_ctz(n);
	return 0;
}

/* The ring may be larger than what was asked for: that is what there is. */
static int read_sizes(struct request *req)
{
	const struct mlx5_ib_create_qp *driver = &req->driver;
	int ret = 0;

	if (driver->sq_wqe_count > UV_MAX_WR ||
	    driver->rq_wqe_count > UV_MAX_WR)
		return -EINVAL;
	if (driver->sq_wqe_count)
		ret = exact_log2(driver->sq_wqe_count, &req->log_sq);
	if (ret || !driver->rq_wqe_count || req->qp.srq)
		return ret;
	if (driver->rq_wqe_shift < 4 ||
	    driver->rq_wqe_shift > UV_LOG_MAX_RQ_DESC)
		return -EINVAL;
	req->qp.cap.max_recv_wr = driver->rq_wqe_count;
	req->qp.cap.max_recv_sge = (1u << driver->rq_wqe_shift) / HW_WQE_DS;
	return exact_log2(driver->rq_wqe_count, &req->log_rq);
}

/* The doorbell register: a page by index, or one of the fixed set. */
static int read_uar(struct uv_context *context, struct request *req)
{
	uint32_t flags = req->driver.flags;
	uint32_t bfreg = req->driver.bfreg_index;

	if (req->qp.type == IB_UVERBS_QPT_XRC_TGT ||
	    req->qp.type == IB_UVERBS_QPT_DRIVER)
		return 0; /* it sends nothing */
	if (flags & MLX5_QP_FLAG_UAR_PAGE_INDEX) {
		req->qp.uar = uv_uar_by_page(context, bfreg);
		return req->qp.uar ? 0 : -EINVAL;
	}
	if (!context->bfregs)
		return -EINVAL;
	if (!(flags & MLX5_QP_FLAG_BFREG_INDEX)) {
		/* Register 0 is everybody's; the others in turn. */
		bfreg = 1 + context->bfreg_next++ % (context->bfregs - 1);
		req->driver.bfreg_index = bfreg;
	}
	req->qp.uar = uv_uar_fixed(context, bfreg / HW_UAR_BF_REGS);
	return req->qp.uar ? 0 : -EINVAL;
}

static int read_request(struct uv_call *call, struct request *req)
{
	const uint64_t known = IB_UVERBS_QP_CREATE_BLOCK_MULTICAST_LOOPBACK |
			       IB_UVERBS_QP_CREATE_SCATTER_FCS |
			       IB_UVERBS_QP_CREATE_CVLAN_STRIPPING |
			       IB_UVERBS_QP_CREATE_PCI_WRITE_END_PADDING |
			       IB_UVERBS_QP_CREATE_SQ_SIG_ALL;
	struct uv_qp *qp = &req->qp;
	int ret;

	ret = uv_call_in(call, UVERBS_ATTR_CREATE_QP_CAP, &qp->cap,
			 sizeof(qp->cap));
	if (!ret)
		ret = uv_call_in(call, UVERBS_ATTR_UHW_IN, &req->driver,
				 sizeof(req->driver));
	if (ret)
		return ret == -ENOENT ? -EINVAL : ret;
	qp->type = (uint8_t)uv_call_u64(call, UVERBS_ATTR_CREATE_QP_TYPE, 0);
	ret = service_type(qp->type);
	if (ret < 0)
		return ret;
	req->flags = uv_call_u64(call, UVERBS_ATTR_CREATE_QP_FLAGS, 0);
	if (req->flags & ~known)
		return -EINVAL;
	/* No multicast is modelled: there is nothing to block. */
	if (req->flags &
	    ~(uint64_t)(IB_UVERBS_QP_CREATE_SQ_SIG_ALL |
			IB_UVERBS_QP_CREATE_BLOCK_MULTICAST_LOOPBACK))
		return -EOPNOTSUPP;
	if (req->driver.flags & MLX5_QP_FLAG_SIGNATURE) {
		uv_unsupported("WQE signatures");
		return -EOPNOTSUPP;
	}
	if (qp->type == IB_UVERBS_QPT_DRIVER &&
	    !(req->driver.flags & MLX5_QP_FLAG_TYPE_DCT)) {
		uv_unsupported("a DC initiator that is not made with DEVX");
		return -EOPNOTSUPP;
	}
	qp->sq_sig_all = req->flags & IB_UVERBS_QP_CREATE_SQ_SIG_ALL;
	ret = read_objects(call, qp);
	if (!ret)
		ret = read_sizes(req);
	return ret ? ret : read_uar(call->context, req);
}

static bool has_rq(const struct request *req)
{
	return req->driver.rq_wqe_count && !req->qp.srq;
}

static int give_memory(struct uv_context *context, struct request *req)
{
	uint64_t bytes = (uint64_t)req->driver.sq_wqe_count * HW_WQE_BB;
	struct uv_qp *qp = &req->qp;
	int ret = 0;

	if (has_rq(req))
		bytes += (uint64_t)req->driver.rq_wqe_count
			 << req->driver.rq_wqe_shift;
	if (bytes)
		ret = uv_umem(context, req->driver.buf_addr, bytes, &qp->umem);
	if (!ret && req->driver.db_addr)
		ret = uv_umem(context, req->driver.db_addr, HW_DBR_BYTES,
			      &qp->dbr_umem);
	return ret;
}

static void fill_context(const struct request *req, uint8_t *qpc)
{
	const struct uv_qp *qp = &req->qp;

	hw_set(qpc, HW_QPC_ST, (uint32_t)service_type(qp->type));
	hw_set(qpc, HW_QPC_PM_STATE, HW_PM_MIGRATED);
	if (qp->xrcd) {
		/* No queue of its own: packets name the XRC SRQ. */
		hw_set(qpc, HW_QPC_XRCD, qp->xrcd->xrcd);
		hw_set(qpc, HW_QPC_PD, qp->xrcd->pdn);
		hw_set(qpc, HW_QPC_CQN_RCV, qp->xrcd->cqn);
		hw_set(qpc, HW_QPC_NO_SQ, 1);
		hw_set(qpc, HW_QPC_RQ_TYPE, HW_RQ_SRQ);
		return;
	}
	hw_set(qpc, HW_QPC_PD, qp->pd->pdn);
	if (qp->uar)
		hw_set(qpc, HW_QPC_UAR_PAGE, qp->uar->page_id);
	hw_set(qpc, HW_QPC_USER_INDEX, req->driver.uidx);
	hw_set(qpc, HW_QPC_CQN_SND, qp->send_cq->cqn);
	hw_set(qpc, HW_QPC_CQN_RCV, qp->recv_cq->cqn);
	hw_set(qpc, HW_QPC_NO_SQ, !req->driver.sq_wqe_count);
	hw_set(qpc, HW_QPC_LOG_SQ_SIZE, req->log_sq);
	hw_set(qpc, HW_QPC_RQ_TYPE, HW_RQ_ZERO_SIZE);
	if (qp->srq) {
		hw_set(qpc, HW_QPC_RQ_TYPE, HW_RQ_SRQ);
		hw_set(qpc, HW_QPC_SRQN_RMPN, qp->srq->srqn);
	} else if (has_rq(req)) {
		hw_set(qpc, HW_QPC_RQ_TYPE, HW_RQ_REGULAR);
		hw_set(qpc, HW_QPC_LOG_RQ_SIZE, req->log_rq);
		hw_set(qpc, HW_QPC_LOG_RQ_STRIDE, req->driver.rq_wqe_shift - 4);
	}
	hw_set(qpc, HW_QPC_DBR_UMEM_VALID, 1);
	hw_set(qpc, HW_QPC_DBR_UMEM_ID, qp->dbr_umem);
}

static int make_qp(struct uv_context *context, struct request *req)
{
	struct uv_box box = {{0}, {0}};
	int ret = give_memory(context, req);

	if (ret)
		return ret;
	hw_set(box.in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_QP);
	hw_set(box.in, HW_CREATE_QP_UMEM_ID, req->qp.umem);
	hw_set(box.in, HW_CREATE_QP_UMEM_VALID, 1);
	fill_context(req, box.in + HW_QPC_OFFSET);
	ret = uv_box_exec(context, &box);
	if (!ret)
		req->qp.qpn = hw_get(box.out, HW_CMD_OUT_NUMBER);
	return ret;
}

/* The object takes over what was made. */
static void fill_object(struct uv_call *call, struct uv_qp *qp,
			const struct uv_qp *init)
{
	struct uv_object head = qp->object;
	struct uv_event_source *source = &qp->source;

	*qp = *init;
	qp->object = head;
	qp->state = UV_QPS_RESET;
	release(qp, 1);
	source->nic = call->context->nic;
	source->kind = UV_SOURCE_QP;
	source->number = qp->qpn;
	source->element =
		uv_call_u64(call, UVERBS_ATTR_CREATE_QP_USER_HANDLE, 0);
	source->async = uv_call_async(call, UVERBS_ATTR_CREATE_QP_EVENT_FD);
	uv_source_add(source);
}

static int answer_create(struct uv_call *call, const struct uv_qp *qp,
			 const struct request *req)
{
	struct mlx5_ib_create_qp_resp driver = {
		.bfreg_index = req->driver.flags & MLX5_QP_FLAG_UAR_PAGE_INDEX
				       ? UINT32_MAX
				       : req->driver.bfreg_index,
	};
	int ret;

	ret = uv_call_out(call, UVERBS_ATTR_CREATE_QP_RESP_CAP, &qp->cap,
			  sizeof(qp->cap));
	if (!ret)
		ret = uv_call_out(call, UVERBS_ATTR_CREATE_QP_RESP_QP_NUM,
				  &qp->qpn, sizeof(qp->qpn));
	if (!ret)
		ret = uv_call_out(call, UVERBS_ATTR_UHW_OUT, &driver,
				  sizeof(driver));
	if (!ret)
		ret = uv_call_made(call, UVERBS_ATTR_CREATE_QP_HANDLE,
				   qp->object.handle);
	return ret;
}

static int qp_create(struct uv_call *call)
{
	struct request req = {.log_sq = 0};
	struct uv_qp *qp;
	int ret = read_request(call, &req);

	if (ret)
		return ret;
	qp = uv_object_new(call->context, &qp_type);
	if (!qp)
		return -ENOMEM;
	req.qp.object = qp->object;
	ret = make_qp(call->context, &req);
	if (ret) {
		drop_memory(&req.qp);
		uv_object_free(&qp->object);
		return ret;
	}
	fill_object(call, qp, &req.qp);
	if (qp->uar)
		uv_mapping_find(call->context, qp->uar);
	ret = answer_create(call, qp, &req);
	if (ret)
		uv_object_destroy(&qp->object);
	return ret;
}

/* ------------------------------------------------------------------ tables */

static const struct uv_spec qp_create_specs[] = {
	{UVERBS_ATTR_CREATE_QP_HANDLE, UV_NEW, true, false, 0, 0,
	 UVERBS_OBJECT_QP},
	{UVERBS_ATTR_CREATE_QP_XRCD_HANDLE, UV_OBJ, false, false, 0, 0,
	 UVERBS_OBJECT_XRCD},
	{UVERBS_ATTR_CREATE_QP_PD_HANDLE, UV_OBJ, false, false, 0, 0,
	 UVERBS_OBJECT_PD},
	{UVERBS_ATTR_CREATE_QP_SRQ_HANDLE, UV_OBJ, false, false, 0, 0,
	 UVERBS_OBJECT_SRQ},
	{UVERBS_ATTR_CREATE_QP_SEND_CQ_HANDLE, UV_OBJ, false, false, 0, 0,
	 UVERBS_OBJECT_CQ},
	{UVERBS_ATTR_CREATE_QP_RECV_CQ_HANDLE, UV_OBJ, false, false, 0, 0,
	 UVERBS_OBJECT_CQ},
	{UVERBS_ATTR_CREATE_QP_USER_HANDLE, UV_IN, true, false, 8, 8, 0},
	{UVERBS_ATTR_CREATE_QP_CAP, UV_IN, true, true,
	 sizeof(struct ib_uverbs_qp_cap), sizeof(struct ib_uverbs_qp_cap), 0},
	{UVERBS_ATTR_CREATE_QP_TYPE, UV_IN, true, false, 4, 8, 0},
	{UVERBS_ATTR_CREATE_QP_FLAGS, UV_IN, false, false, 4, 8, 0},
	{UVERBS_ATTR_CREATE_QP_EVENT_FD, UV_FD, false, false, 0, 0,
	 UVERBS_OBJECT_ASYNC_EVENT},
	{UVERBS_ATTR_CREATE_QP_RESP_CAP, UV_OUT, true, false,
	 sizeof(struct ib_uverbs_qp_cap), sizeof(struct ib_uverbs_qp_cap), 0},
	{UVERBS_ATTR_CREATE_QP_RESP_QP_NUM, UV_OUT, true, false, 4, 4, 0},
	UV_UHW,
};

static const struct uv_spec qp_destroy_specs[] = {
	{UVERBS_ATTR_DESTROY_QP_HANDLE, UV_KILL, true, false, 0, 0,
	 UVERBS_OBJECT_QP},
	{UVERBS_ATTR_DESTROY_QP_RESP, UV_OUT, true, false, 4, 4, 0},
};

const struct uv_method uv_methods_qp[] = {
	UV_METHOD(UVERBS_OBJECT_QP, UVERBS_METHOD_QP_CREATE, qp_create,
		  qp_create_specs),
	UV_METHOD(UVERBS_OBJECT_QP, UVERBS_METHOD_QP_DESTROY, qp_destroy,
		  qp_destroy_specs),
	{0},
};
