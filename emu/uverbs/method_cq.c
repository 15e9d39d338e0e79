/* SPDX-License-Identifier: MIT */
/*
 * Completion queues.
 *
 * Source of truth: Linux drivers/infiniband/core/uverbs_std_types_cq.c,
 * hw/mlx5/cq.c.
 * Not modelled: compression; moderation is accepted and has no effect.
 * Thread: under the context's lock.
 */
#include <errno.h>
#include <string.h>

#include <rdma/ib_user_ioctl_verbs.h>

#include "emu/uverbs/call.h"
#include "emu/uverbs/limits.h"
#include "emu/uverbs/mapping.h"
#include "emu/uverbs/memory.h"
#include "hw/cmd_cq.h"
#include "hw/doorbell.h"

/* ---------------------------------------------------------------- destroy */

static void drop_memory(struct uv_cq *cq)
{
	uv_umem_drop(cq->object.context, cq->umem);
	uv_umem_drop(cq->object.context, cq->dbr_umem);
	cq->umem = cq->dbr_umem = 0;
}

static int destroy_cq(struct uv_object *object)
{
	struct uv_cq *cq = (struct uv_cq *)object;
	int ret = 0;

	if (cq->cqn)
		ret = uv_box_number(object->context, HW_CMD_DESTROY_CQ,
				    cq->cqn);
	if (ret)
		return ret;
	uv_source_remove(&cq->source);
	drop_memory(cq);
	if (cq->uar)
		cq->uar->object.users--;
	return 0;
}

static const struct uv_object_type cq_type = {
	.id = UVERBS_OBJECT_CQ,
	.bytes = sizeof(struct uv_cq),
	.destroy = destroy_cq,
};

static int cq_destroy(struct uv_call *call)
{
	struct uv_cq *cq = uv_call_object(call, UVERBS_ATTR_DESTROY_CQ_HANDLE);
	struct ib_uverbs_destroy_cq_resp resp = {0};
	int ret;

	if (cq->object.users)
		return -EBUSY;
	ret = cq->object.type->destroy(&cq->object);
	if (ret)
		return ret;
	resp.comp_events_reported = cq->source.completions_sent;
	resp.async_events_reported = cq->source.async_sent;
	uv_object_free(&cq->object);
	return uv_call_out(call, UVERBS_ATTR_DESTROY_CQ_RESP, &resp,
			   sizeof(resp));
}

/* ----------------------------------------------------------------- create */

/* What the call asks for, checked. */
struct request {
	struct mlx5_ib_create_cq driver;
	uint32_t log_size;
	uint32_t vector;
	uint64_t flags;
	struct uv_uar *uar;
};

static int read_request(struct uv_call *call, struct request *req)
{
	uint64_t cqe = uv_call_u64(call, UVERBS_ATTR_CREATE_CQ_CQE, 0);
	int ret = uv_call_in(call, UVERBS_ATTR_UHW_IN, &req->driver,
			     sizeof(req->driver));

	if (ret)
		return -EINVAL;
	if (!cqe || cqe >= 1u << UV_LOG_MAX_CQE)
		return -EINVAL;
	while (1ull << req->log_size < cqe + 1)
		req->log_size++;
	req->vector = (uint32_t)uv_call_u64(
		call, UVERBS_ATTR_CREATE_CQ_COMP_VECTOR, 0);
	req->flags = uv_call_u64(call, UVERBS_ATTR_CREATE_CQ_FLAGS, 0);
	if (req->vector >= UV_COMP_VECTORS ||
	    (req->flags & ~(uint64_t)(IB_UVERBS_CQ_FLAGS_TIMESTAMP_COMPLETION |
				      IB_UVERBS_CQ_FLAGS_IGNORE_OVERRUN)))
		return -EINVAL;
	if (req->driver.cqe_size != 64 && req->driver.cqe_size != 128)
		return -EINVAL;
	if (req->driver.cqe_comp_en) {
		uv_unsupported("CQE compression");
		return -EOPNOTSUPP;
	}
	req->uar = req->driver.flags & MLX5_IB_CREATE_CQ_FLAGS_UAR_PAGE_INDEX
			   ? uv_uar_by_page(call->context,
					    req->driver.uar_page_index)
			   : uv_uar_fixed(call->context, 0);
	return req->uar ? 0 : -EINVAL;
}

/*
 * The library has zeroed the record. Its first arm would write 0 over 0, and
 * an arm that another CQ's doorbell overtook could not be seen: something
 * that no arm writes makes every arm a change.
 */
static int mark_record(uint64_t dbr)
{
	uint32_t never = 0xffffffff;

	return uv_copy_out(dbr + sizeof(be32) * HW_CQ_DBR_ARM, &never,
			   sizeof(never));
}

static int make_cq(struct uv_context *context, struct uv_cq *cq,
		   const struct request *req)
{
	uint64_t bytes = (uint64_t)req->driver.cqe_size << req->log_size;
	struct uv_box box = {{0}, {0}};
	uint8_t *cqc = box.in + HW_CQC_OFFSET;
	bool pad = req->driver.flags & MLX5_IB_CREATE_CQ_FLAGS_CQE_128B_PAD;
	int ret;

	ret = uv_umem(context, req->driver.buf_addr, bytes, &cq->umem);
	if (!ret)
		ret = uv_umem(context, req->driver.db_addr, HW_DBR_BYTES,
			      &cq->dbr_umem);
	if (!ret)
		ret = mark_record(req->driver.db_addr);
	if (ret)
		return ret;
	hw_set(box.in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_CQ);
	hw_set(box.in, HW_CREATE_CQ_UMEM_ID, cq->umem);
	hw_set(box.in, HW_CREATE_CQ_UMEM_VALID, 1);
	hw_set(cqc, HW_CQC_DBR_UMEM_VALID, 1);
	hw_set(cqc, HW_CQC_DBR_UMEM_ID, cq->dbr_umem);
	if (req->driver.cqe_size == 128)
		hw_set(cqc, HW_CQC_CQE_SZ,
		       pad ? HW_CQE_SZ_128_PAD : HW_CQE_SZ_128);
	hw_set(cqc, HW_CQC_OI,
	       !!(req->flags & IB_UVERBS_CQ_FLAGS_IGNORE_OVERRUN));
	hw_set(cqc, HW_CQC_LOG_CQ_SIZE, req->log_size);
	hw_set(cqc, HW_CQC_UAR_PAGE, req->uar->page_id);
	hw_set(cqc, HW_CQC_C_EQN, req->vector);
	ret = uv_box_exec(context, &box);
	if (ret)
		return ret;
	cq->cqn = hw_get(box.out, HW_CMD_OUT_NUMBER);
	cq->uar = req->uar;
	uv_mapping_find(context, cq->uar);
	cq->uar->object.users++;
	return 0;
}

struct uv_channel *uv_call_async(struct uv_call *call, uint16_t id)
{
	struct uv_channel *channel = uv_call_channel(call, id);

	return channel ? channel : call->context->async;
}

static void add_source(struct uv_call *call, struct uv_cq *cq)
{
	struct uv_event_source *source = &cq->source;

	source->nic = call->context->nic;
	source->kind = UV_SOURCE_CQ;
	source->number = cq->cqn;
	source->element =
		uv_call_u64(call, UVERBS_ATTR_CREATE_CQ_USER_HANDLE, 0);
	source->completions =
		uv_call_channel(call, UVERBS_ATTR_CREATE_CQ_COMP_CHANNEL);
	source->async = uv_call_async(call, UVERBS_ATTR_CREATE_CQ_EVENT_FD);
	uv_source_add(source);
}

static int answer_create(struct uv_call *call, const struct uv_cq *cq,
			 const struct request *req)
{
	struct mlx5_ib_create_cq_resp driver = {.cqn = cq->cqn};
	uint32_t cqe = (1u << req->log_size) - 1;
	int ret;

	ret = uv_call_out(call, UVERBS_ATTR_CREATE_CQ_RESP_CQE, &cqe,
			  sizeof(cqe));
	if (!ret)
		ret = uv_call_out(call, UVERBS_ATTR_UHW_OUT, &driver,
				  sizeof(driver));
	if (!ret)
		ret = uv_call_made(call, UVERBS_ATTR_CREATE_CQ_HANDLE,
				   cq->object.handle);
	return ret;
}

static int cq_create(struct uv_call *call)
{
	struct request req = {.log_size = 0};
	struct uv_cq *cq;
	int ret = read_request(call, &req);

	if (ret)
		return ret;
	cq = uv_object_new(call->context, &cq_type);
	if (!cq)
		return -ENOMEM;
	ret = make_cq(call->context, cq, &req);
	if (ret) {
		drop_memory(cq);
		uv_object_free(&cq->object);
		return ret;
	}
	add_source(call, cq);
	ret = answer_create(call, cq, &req);
	if (ret)
		uv_object_destroy(&cq->object);
	return ret;
}

/* ------------------------------------------------------------------ resize */

/* The device marks the end of the old ring, and goes on in the new one. */
static int move(struct uv_context *context, struct uv_cq *cq,
		const struct mlx5_ib_resize_cq *driver, uint32_t log_size)
{
	struct uv_box box = {{0}, {0}};
	uint8_t *cqc = box.in + HW_CQC_OFFSET;
	uint32_t umem = 0;
	int ret;

	ret = uv_umem(context, driver->buf_addr,
		      (uint64_t)driver->cqe_size << log_size, &umem);
	if (ret)
		return ret;
	hw_set(box.in, HW_CMD_IN_OPCODE, HW_CMD_MODIFY_CQ);
	hw_set(box.in, HW_CMD_IN_OP_MOD, HW_MODIFY_CQ_RESIZE);
	hw_set(box.in, HW_CMD_IN_NUMBER, cq->cqn);
	hw_set(box.in, HW_MODIFY_CQ_FIELD_SELECT,
	       HW_CQ_RESIZE_LOG_SIZE | HW_CQ_RESIZE_PAGE_OFFSET |
		       HW_CQ_RESIZE_PAGE_SIZE);
	hw_set(box.in, HW_CREATE_CQ_UMEM_ID, umem);
	hw_set(box.in, HW_CREATE_CQ_UMEM_VALID, 1);
	hw_set(cqc, HW_CQC_CQE_SZ, driver->cqe_size == 128);
	hw_set(cqc, HW_CQC_LOG_CQ_SIZE, log_size);
	hw_set(cqc, HW_CQC_UAR_PAGE, cq->uar->page_id);
	ret = uv_box_exec(context, &box);
	uv_umem_drop(context, ret ? umem : cq->umem);
	if (!ret)
		cq->umem = umem;
	return ret;
}

static int resize_cq(struct uv_call *call)
{
	struct ib_uverbs_resize_cq_resp resp = {0};
	struct mlx5_ib_resize_cq driver;
	struct ib_uverbs_resize_cq req;
	uint32_t log_size = 0;
	struct uv_cq *cq;
	int ret = uv_call_in(call, UVERBS_ATTR_CORE_IN, &req, sizeof(req));

	if (!ret)
		ret = uv_call_in(call, UVERBS_ATTR_UHW_IN, &driver,
				 sizeof(driver));
	if (ret)
		return ret == -ENOENT ? -EINVAL : ret;
	cq = uv_object_find(call->context, UVERBS_OBJECT_CQ, req.cq_handle,
			    &ret);
	if (!cq || !req.cqe || req.cqe >= 1u << UV_LOG_MAX_CQE ||
	    (driver.cqe_size != 64 && driver.cqe_size != 128) ||
	    driver.reserved0 || driver.reserved1)
		return -EINVAL;
	while (1u << log_size < req.cqe + 1)
		log_size++;
	ret = move(call->context, cq, &driver, log_size);
	if (ret)
		return ret;
	resp.cqe = (1u << log_size) - 1;
	return uv_call_out(call, UVERBS_ATTR_CORE_OUT, &resp, sizeof(resp));
}

/* ------------------------------------------------------------------ tables */

/* struct ib_uverbs_ex_modify_cq, which not every kernel header has. */
struct modify_cq {
	uint32_t cq_handle, attr_mask;
	struct {
		uint16_t count, period;
	} moderation;
	uint32_t reserved;
};

static int ex_modify_cq(struct uv_call *call)
{
	struct modify_cq req;
	int ret = uv_call_in(call, UVERBS_ATTR_CORE_IN, &req, sizeof(req));

	if (ret)
		return ret;
	if (!req.attr_mask || req.reserved)
		return -EINVAL;
	if (req.attr_mask & ~1u)
		return -EOPNOTSUPP;
	return uv_object_find(call->context, UVERBS_OBJECT_CQ, req.cq_handle,
			      &ret)
		       ? 0
		       : -EINVAL;
}

static const struct uv_spec cq_create_specs[] = {
	{UVERBS_ATTR_CREATE_CQ_HANDLE, UV_NEW, true, false, 0, 0,
	 UVERBS_OBJECT_CQ},
	{UVERBS_ATTR_CREATE_CQ_CQE, UV_IN, true, false, 4, 4, 0},
	{UVERBS_ATTR_CREATE_CQ_USER_HANDLE, UV_IN, true, false, 8, 8, 0},
	{UVERBS_ATTR_CREATE_CQ_COMP_CHANNEL, UV_FD, false, false, 0, 0,
	 UVERBS_OBJECT_COMP_CHANNEL},
	{UVERBS_ATTR_CREATE_CQ_COMP_VECTOR, UV_IN, true, false, 4, 4, 0},
	{UVERBS_ATTR_CREATE_CQ_FLAGS, UV_IN, false, false, 4, 8, 0},
	{UVERBS_ATTR_CREATE_CQ_RESP_CQE, UV_OUT, true, false, 4, 4, 0},
	{UVERBS_ATTR_CREATE_CQ_EVENT_FD, UV_FD, false, false, 0, 0,
	 UVERBS_OBJECT_ASYNC_EVENT},
	UV_UHW,
};

static const struct uv_spec cq_destroy_specs[] = {
	{UVERBS_ATTR_DESTROY_CQ_HANDLE, UV_KILL, true, false, 0, 0,
	 UVERBS_OBJECT_CQ},
	{UVERBS_ATTR_DESTROY_CQ_RESP, UV_OUT, true, false,
	 sizeof(struct ib_uverbs_destroy_cq_resp),
	 sizeof(struct ib_uverbs_destroy_cq_resp), 0},
};

const struct uv_method uv_methods_cq[] = {
	UV_METHOD(UVERBS_OBJECT_CQ, UVERBS_METHOD_CQ_CREATE, cq_create,
		  cq_create_specs),
	UV_METHOD(UVERBS_OBJECT_CQ, UVERBS_METHOD_CQ_DESTROY, cq_destroy,
		  cq_destroy_specs),
	{0},
};

const struct uv_write uv_writes_cq[] = {
	UV_WRITE(RESIZE_CQ, sizeof(struct ib_uverbs_resize_cq),
		 sizeof(uint32_t), resize_cq),
	UV_WRITE_EX(MODIFY_CQ, sizeof(struct modify_cq), 0, ex_modify_cq),
	{0},
};
