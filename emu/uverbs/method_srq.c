/* SPDX-License-Identifier: MIT */
/*
 * Shared receive queues: receive memory pools of the device.
 *
 * Source of truth: Linux drivers/infiniband/core/uverbs_std_types_srq.c,
 * hw/mlx5/srq.c, srq_cmd.c (a basic SRQ is made with CREATE_RMP).
 * Not modelled: tag matching, WQE signatures.
 * Thread: under the context's lock.
 */
#include <errno.h>
#include <string.h>

#include <rdma/ib_user_ioctl_verbs.h>

#include "emu/uverbs/call.h"
#include "emu/uverbs/limits.h"
#include "emu/uverbs/memory.h"
#include "hw/cmd_rmp.h"
#include "hw/cmd_xrc.h"
#include "hw/wqe.h"

/* ---------------------------------------------------------------- destroy */

static void drop_memory(struct uv_srq *srq)
{
	uv_umem_drop(srq->object.context, srq->umem);
	uv_umem_drop(srq->object.context, srq->dbr_umem);
	srq->umem = srq->dbr_umem = 0;
}

static void release(struct uv_srq *srq, int by)
{
	srq->pd->object.users += (unsigned)by;
	if (!srq->xrcd)
		return;
	srq->xrcd->object.users += (unsigned)by;
	srq->cq->object.users += (unsigned)by;
}

static int destroy_srq(struct uv_object *object)
{
	struct uv_srq *srq = (struct uv_srq *)object;
	int ret = uv_box_number(object->context,
				srq->xrcd ? HW_CMD_DESTROY_XRC_SRQ
					  : HW_CMD_DESTROY_RMP,
				srq->srqn);

	if (ret)
		return ret;
	uv_source_remove(&srq->source);
	drop_memory(srq);
	release(srq, -1);
	return 0;
}

static const struct uv_object_type srq_type = {
	.id = UVERBS_OBJECT_SRQ,
	.bytes = sizeof(struct uv_srq),
	.destroy = destroy_srq,
};

static int srq_destroy(struct uv_call *call)
{
	struct uv_srq *srq =
		uv_call_object(call, UVERBS_ATTR_DESTROY_SRQ_HANDLE);
	uint32_t events;
	int ret;

	if (srq->object.users)
		return -EBUSY;
	ret = srq->object.type->destroy(&srq->object);
	if (ret)
		return ret;
	events = srq->source.async_sent;
	uv_object_free(&srq->object);
	return uv_call_out(call, UVERBS_ATTR_DESTROY_SRQ_RESP, &events,
			   sizeof(events));
}

/* ----------------------------------------------------------------- create */

struct request {
	struct mlx5_ib_create_srq driver;
	uint32_t max_wr, max_sge, limit;
	uint32_t log_size, log_stride;
	struct uv_pd *pd;
	struct uv_xrcd *xrcd; /* NULL: a basic queue */
	struct uv_cq *cq;
};

/* The same sizes as the library has worked out for its buffer. */
static int read_sizes(struct uv_call *call, struct request *req)
{
	uint64_t max_wr = uv_call_u64(call, UVERBS_ATTR_CREATE_SRQ_MAX_WR, 0);
	uint64_t max_sge = uv_call_u64(call, UVERBS_ATTR_CREATE_SRQ_MAX_SGE, 0);
	uint32_t bytes;

	if (max_wr >= UV_MAX_WR ||
	    max_sge > UV_MAX_RQ_DESC / sizeof(struct hw_wqe_data) - 1)
		return -EINVAL;
	while (1ull << req->log_size < max_wr + 1)
		req->log_size++;
	bytes = (uint32_t)(sizeof(struct hw_wqe_srq_next) +
			   max_sge * sizeof(struct hw_wqe_data));
	for (req->log_stride = 5; 1u << req->log_stride < bytes;)
		req->log_stride++;
	req->max_wr = (1u << req->log_size) - 1;
	req->max_sge = (uint32_t)((1u << req->log_stride) -
				  sizeof(struct hw_wqe_srq_next)) /
		       (uint32_t)sizeof(struct hw_wqe_data);
	return 0;
}

static int read_request(struct uv_call *call, struct request *req)
{
	uint64_t type = uv_call_u64(call, UVERBS_ATTR_CREATE_SRQ_TYPE, 0);
	int ret = uv_call_in(call, UVERBS_ATTR_UHW_IN, &req->driver,
			     sizeof(req->driver));

	if (ret)
		return -EINVAL;
	if (type == IB_UVERBS_SRQT_TM) {
		uv_unsupported("tag matching");
		return -EOPNOTSUPP;
	}
	if (type == IB_UVERBS_SRQT_XRC) {
		req->xrcd = uv_call_object(call,
					   UVERBS_ATTR_CREATE_SRQ_XRCD_HANDLE);
		req->cq =
			uv_call_object(call, UVERBS_ATTR_CREATE_SRQ_CQ_HANDLE);
	}
	if (type > IB_UVERBS_SRQT_TM ||
	    (type == IB_UVERBS_SRQT_XRC && (!req->xrcd || !req->cq)))
		return -EINVAL;
	if (req->driver.flags) {
		uv_unsupported("WQE signatures");
		return -EOPNOTSUPP;
	}
	req->limit =
		(uint32_t)uv_call_u64(call, UVERBS_ATTR_CREATE_SRQ_LIMIT, 0);
	req->pd = uv_call_object(call, UVERBS_ATTR_CREATE_SRQ_PD_HANDLE);
	return read_sizes(call, req);
}

static void fill_rmp(const struct uv_srq *srq, const struct request *req,
		     uint8_t *in)
{
	uint8_t *rmpc = in + HW_RMPC_OFFSET;
	uint8_t *wq = rmpc + HW_RMPC_WQ;

	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_RMP);
	hw_set(rmpc, HW_RMPC_STATE, HW_RMPC_STATE_RDY);
	hw_set(wq, HW_WQ_TYPE, HW_WQ_LINKED_LIST);
	hw_set(wq, HW_WQ_PD, req->pd->pdn);
	hw_set(wq, HW_WQ_LWM, req->limit);
	hw_set(wq, HW_WQ_LOG_WQ_STRIDE, req->log_stride);
	hw_set(wq, HW_WQ_LOG_WQ_SZ, req->log_size);
	hw_set(wq, HW_WQ_DBR_UMEM_VALID, 1);
	hw_set(wq, HW_WQ_WQ_UMEM_VALID, 1);
	hw_set(wq, HW_WQ_DBR_UMEM_ID, srq->dbr_umem);
	hw_set(wq, HW_WQ_WQ_UMEM_ID, srq->umem);
}

static void fill_xrc_srq(const struct uv_srq *srq, const struct request *req,
			 uint8_t *in)
{
	uint8_t *ctx = in + HW_XRC_SRQC_OFFSET;

	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_XRC_SRQ);
	hw_set(in, HW_CREATE_XRC_SRQ_UMEM_ID, srq->umem);
	hw_set(in, HW_CREATE_XRC_SRQ_UMEM_VALID, 1);
	hw_set(ctx, HW_XRC_SRQC_LOG_SIZE, req->log_size);
	hw_set(ctx, HW_XRC_SRQC_LOG_RQ_STRIDE, req->log_stride - 4);
	hw_set(ctx, HW_XRC_SRQC_XRCD, req->xrcd->xrcd);
	hw_set(ctx, HW_XRC_SRQC_CQN, req->cq->cqn);
	hw_set(ctx, HW_XRC_SRQC_DBR_UMEM_VALID, 1);
	hw_set(ctx, HW_XRC_SRQC_DBR_UMEM_ID, srq->dbr_umem);
	hw_set(ctx, HW_XRC_SRQC_USER_INDEX, req->driver.uidx);
	hw_set(ctx, HW_XRC_SRQC_PD, req->pd->pdn);
	hw_set(ctx, HW_XRC_SRQC_LWM, req->limit);
}

static int make_srq(struct uv_context *context, struct uv_srq *srq,
		    const struct request *req)
{
	uint64_t bytes = 1ull << (req->log_size + req->log_stride);
	struct uv_box box = {{0}, {0}};
	int ret;

	ret = uv_umem(context, req->driver.buf_addr, bytes, &srq->umem);
	if (!ret)
		ret = uv_umem(context, req->driver.db_addr, sizeof(be32),
			      &srq->dbr_umem);
	if (ret)
		return ret;
	if (req->xrcd)
		fill_xrc_srq(srq, req, box.in);
	else
		fill_rmp(srq, req, box.in);
	ret = uv_box_exec(context, &box);
	if (ret)
		return ret;
	srq->srqn = hw_get(box.out, HW_CMD_OUT_NUMBER);
	srq->pd = req->pd;
	srq->xrcd = req->xrcd;
	srq->cq = req->cq;
	release(srq, 1);
	srq->max_wr = req->max_wr;
	srq->max_sge = req->max_sge;
	return 0;
}

static void add_source(struct uv_call *call, struct uv_srq *srq)
{
	struct uv_event_source *source = &srq->source;

	source->nic = call->context->nic;
	source->kind = UV_SOURCE_SRQ;
	source->number = srq->srqn;
	source->element =
		uv_call_u64(call, UVERBS_ATTR_CREATE_SRQ_USER_HANDLE, 0);
	source->async = uv_call_async(call, UVERBS_ATTR_CREATE_SRQ_EVENT_FD);
	uv_source_add(source);
}

static int answer_create(struct uv_call *call, const struct uv_srq *srq)
{
	struct mlx5_ib_create_srq_resp driver = {.srqn = srq->srqn};
	int ret;

	ret = uv_call_out(call, UVERBS_ATTR_CREATE_SRQ_RESP_MAX_WR,
			  &srq->max_wr, 4);
	if (!ret)
		ret = uv_call_out(call, UVERBS_ATTR_CREATE_SRQ_RESP_MAX_SGE,
				  &srq->max_sge, 4);
	if (!ret)
		ret = uv_call_out(call, UVERBS_ATTR_CREATE_SRQ_RESP_SRQ_NUM,
				  &srq->srqn, 4);
	if (!ret)
		ret = uv_call_out(call, UVERBS_ATTR_UHW_OUT, &driver,
				  sizeof(driver));
	if (!ret)
		ret = uv_call_made(call, UVERBS_ATTR_CREATE_SRQ_HANDLE,
				   srq->object.handle);
	return ret;
}

static int srq_create(struct uv_call *call)
{
	struct request req = {.log_size = 0};
	struct uv_srq *srq;
	int ret = read_request(call, &req);

	if (ret)
		return ret;
	srq = uv_object_new(call->context, &srq_type);
	if (!srq)
		return -ENOMEM;
	ret = make_srq(call->context, srq, &req);
	if (ret) {
		drop_memory(srq);
		uv_object_free(&srq->object);
		return ret;
	}
	add_source(call, srq);
	ret = answer_create(call, srq);
	if (ret)
		uv_object_destroy(&srq->object);
	return ret;
}

/* --------------------------------------------------------- modify, query */

enum { SRQ_MAX_WR = 1, SRQ_LIMIT = 2 }; /* enum ibv_srq_attr_mask */

static int arm(struct uv_context *context, struct uv_srq *srq, uint32_t limit)
{
	struct uv_box box = {{0}, {0}};

	hw_set(box.in, HW_CMD_IN_NUMBER, srq->srqn);
	if (srq->xrcd) {
		hw_set(box.in, HW_CMD_IN_OPCODE, HW_CMD_ARM_XRC_SRQ);
		hw_set(box.in, HW_CMD_IN_OP_MOD, HW_ARM_XRC_SRQ_OP_MOD);
		hw_set(box.in, HW_ARM_XRC_SRQ_LWM, limit);
	} else {
		hw_set(box.in, HW_CMD_IN_OPCODE, HW_CMD_MODIFY_RMP);
		hw_set(box.in, HW_MODIFY_RMP_STATE, HW_RMPC_STATE_RDY);
		hw_set(box.in, HW_MODIFY_RMP_BITMASK_LWM, 1);
		hw_set(box.in + HW_RMPC_OFFSET, HW_RMPC_STATE,
		       HW_RMPC_STATE_RDY);
		hw_set(box.in + HW_RMPC_OFFSET + HW_RMPC_WQ, HW_WQ_LWM, limit);
	}
	return uv_box_exec(context, &box);
}

static int modify_srq(struct uv_call *call)
{
	struct ib_uverbs_modify_srq req;
	struct uv_srq *srq;
	int ret = uv_call_in(call, UVERBS_ATTR_CORE_IN, &req, sizeof(req));

	if (ret)
		return ret;
	srq = uv_object_find(call->context, UVERBS_OBJECT_SRQ, req.srq_handle,
			     &ret);
	/* mlx5 does not resize shared queues. */
	if (!srq || (req.attr_mask & SRQ_MAX_WR))
		return -EINVAL;
	if (!(req.attr_mask & SRQ_LIMIT))
		return 0;
	if (req.srq_limit > srq->max_wr)
		return -EINVAL;
	return arm(call->context, srq, req.srq_limit);
}

static int read_limit(struct uv_context *context, const struct uv_srq *srq,
		      uint32_t *limit)
{
	struct uv_box box = {{0}, {0}};
	int ret;

	hw_set(box.in, HW_CMD_IN_NUMBER, srq->srqn);
	hw_set(box.in, HW_CMD_IN_OPCODE,
	       srq->xrcd ? HW_CMD_QUERY_XRC_SRQ : HW_CMD_QUERY_RMP);
	ret = uv_box_exec(context, &box);
	if (srq->xrcd)
		*limit = hw_get(box.out + HW_XRC_SRQC_OFFSET, HW_XRC_SRQC_LWM);
	else
		*limit = hw_get(box.out + HW_RMPC_OFFSET + HW_RMPC_WQ,
				HW_WQ_LWM);
	return ret;
}

static int query_srq(struct uv_call *call)
{
	struct ib_uverbs_query_srq_resp resp = {0};
	struct ib_uverbs_query_srq req;
	struct uv_srq *srq;
	int ret = uv_call_in(call, UVERBS_ATTR_CORE_IN, &req, sizeof(req));

	if (ret)
		return ret;
	srq = uv_object_find(call->context, UVERBS_OBJECT_SRQ, req.srq_handle,
			     &ret);
	if (!srq)
		return -EINVAL;
	ret = read_limit(call->context, srq, &resp.srq_limit);
	if (ret)
		return ret;
	resp.max_wr = srq->max_wr;
	resp.max_sge = srq->max_sge;
	return uv_call_out(call, UVERBS_ATTR_CORE_OUT, &resp, sizeof(resp));
}

/* ------------------------------------------------------------------ tables */

static const struct uv_spec srq_create_specs[] = {
	{UVERBS_ATTR_CREATE_SRQ_HANDLE, UV_NEW, true, false, 0, 0,
	 UVERBS_OBJECT_SRQ},
	{UVERBS_ATTR_CREATE_SRQ_PD_HANDLE, UV_OBJ, true, false, 0, 0,
	 UVERBS_OBJECT_PD},
	{UVERBS_ATTR_CREATE_SRQ_XRCD_HANDLE, UV_OBJ, false, false, 0, 0,
	 UVERBS_OBJECT_XRCD},
	{UVERBS_ATTR_CREATE_SRQ_CQ_HANDLE, UV_OBJ, false, false, 0, 0,
	 UVERBS_OBJECT_CQ},
	{UVERBS_ATTR_CREATE_SRQ_USER_HANDLE, UV_IN, true, false, 8, 8, 0},
	{UVERBS_ATTR_CREATE_SRQ_MAX_WR, UV_IN, true, false, 4, 4, 0},
	{UVERBS_ATTR_CREATE_SRQ_MAX_SGE, UV_IN, true, false, 4, 4, 0},
	{UVERBS_ATTR_CREATE_SRQ_LIMIT, UV_IN, true, false, 4, 4, 0},
	{UVERBS_ATTR_CREATE_SRQ_MAX_NUM_TAGS, UV_IN, false, false, 4, 4, 0},
	{UVERBS_ATTR_CREATE_SRQ_TYPE, UV_IN, true, false, 4, 8, 0},
	{UVERBS_ATTR_CREATE_SRQ_EVENT_FD, UV_FD, false, false, 0, 0,
	 UVERBS_OBJECT_ASYNC_EVENT},
	{UVERBS_ATTR_CREATE_SRQ_RESP_MAX_WR, UV_OUT, true, false, 4, 4, 0},
	{UVERBS_ATTR_CREATE_SRQ_RESP_MAX_SGE, UV_OUT, true, false, 4, 4, 0},
	{UVERBS_ATTR_CREATE_SRQ_RESP_SRQ_NUM, UV_OUT, false, false, 4, 4, 0},
	UV_UHW,
};

static const struct uv_spec srq_destroy_specs[] = {
	{UVERBS_ATTR_DESTROY_SRQ_HANDLE, UV_KILL, true, false, 0, 0,
	 UVERBS_OBJECT_SRQ},
	{UVERBS_ATTR_DESTROY_SRQ_RESP, UV_OUT, true, false, 4, 4, 0},
};

const struct uv_method uv_methods_srq[] = {
	UV_METHOD(UVERBS_OBJECT_SRQ, UVERBS_METHOD_SRQ_CREATE, srq_create,
		  srq_create_specs),
	UV_METHOD(UVERBS_OBJECT_SRQ, UVERBS_METHOD_SRQ_DESTROY, srq_destroy,
		  srq_destroy_specs),
	{0},
};

const struct uv_write uv_writes_srq[] = {
	UV_WRITE(MODIFY_SRQ, sizeof(struct ib_uverbs_modify_srq), 0,
		 modify_srq),
	UV_WRITE(QUERY_SRQ, sizeof(struct ib_uverbs_query_srq),
		 sizeof(struct ib_uverbs_query_srq_resp), query_srq),
	{0},
};
