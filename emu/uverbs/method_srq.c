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
#include "hw/wqe.h"

/* ---------------------------------------------------------------- destroy */

static void drop_memory(struct uv_srq *srq)
{
	uv_umem_drop(srq->object.context, srq->umem);
	uv_umem_drop(srq->object.context, srq->dbr_umem);
	srq->umem = srq->dbr_umem = 0;
}

static int destroy_srq(struct uv_object *object)
{
	struct uv_srq *srq = (struct uv_srq *)object;
	int ret = uv_box_number(object->context, HW_CMD_DESTROY_RMP, srq->srqn);

	if (ret)
		return ret;
	uv_source_remove(&srq->source);
	drop_memory(srq);
	srq->pd->object.users--;
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
	if (type != IB_UVERBS_SRQT_BASIC) {
		uv_unsupported(type == IB_UVERBS_SRQT_TM ? "tag matching"
							 : "an XRC SRQ");
		return -EOPNOTSUPP;
	}
	if (req->driver.flags) {
		uv_unsupported("WQE signatures");
		return -EOPNOTSUPP;
	}
	req->limit =
		(uint32_t)uv_call_u64(call, UVERBS_ATTR_CREATE_SRQ_LIMIT, 0);
	req->pd = uv_call_object(call, UVERBS_ATTR_CREATE_SRQ_PD_HANDLE);
	return read_sizes(call, req);
}

static int make_srq(struct uv_context *context, struct uv_srq *srq,
		    const struct request *req)
{
	uint64_t bytes = 1ull << (req->log_size + req->log_stride);
	struct uv_box box = {{0}, {0}};
	uint8_t *rmpc = box.in + HW_RMPC_OFFSET;
	uint8_t *wq = rmpc + HW_RMPC_WQ;
	int ret;

	ret = uv_umem(context, req->driver.buf_addr, bytes, &srq->umem);
	if (!ret)
		ret = uv_umem(context, req->driver.db_addr, sizeof(be32),
			      &srq->dbr_umem);
	if (ret)
		return ret;
	hw_set(box.in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_RMP);
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
	ret = uv_box_exec(context, &box);
	if (ret)
		return ret;
	srq->srqn = hw_get(box.out, HW_CMD_OUT_NUMBER);
	srq->pd = req->pd;
	srq->pd->object.users++;
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
	{0},
};
