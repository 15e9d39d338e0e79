/* SPDX-License-Identifier: MIT */
/*
 * DEVX: mailboxes of the program, passed through.
 *
 * The impersonated kernel does what mlx5_ib does with them: it looks at the
 * opcode (is it one that makes, changes or asks for an object, and for this
 * one?), remembers how to undo what was made, and lets the device decide the
 * rest. A refused mailbox is EREMOTEIO, and the answer is there to be read.
 *
 * Source of truth: Linux drivers/infiniband/hw/mlx5/devx.c; rdma-core
 * providers/mlx5/mlx5_ifc.h.
 * Thread: under the context's lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "emu/uverbs/call.h"
#include "emu/uverbs/devx.h"
#include "emu/uverbs/limits.h"
#include "emu/uverbs/cuda.h"
#include "emu/uverbs/memory.h"
#include "hw/cmd_cap.h"

enum { MAILBOX_MAX = 1 << 16 };

/* ------------------------------------------------------ what opcodes do */

static const struct uv_devx_command commands[] = {
	{HW_CMD_CREATE_MKEY, HW_CMD_DESTROY_MKEY, UV_DEVX_MKEY},
	{HW_CMD_CREATE_CQ, HW_CMD_DESTROY_CQ, UV_DEVX_CQ},
	{HW_CMD_CREATE_QP, HW_CMD_DESTROY_QP, UV_DEVX_QP},
	{HW_CMD_CREATE_RMP, HW_CMD_DESTROY_RMP, UV_DEVX_RMP},
	{HW_CMD_CREATE_XRC_SRQ, HW_CMD_DESTROY_XRC_SRQ, UV_DEVX_XSRQ},
	{HW_CMD_ALLOC_PD, HW_CMD_DEALLOC_PD, UV_DEVX_PD},
	{HW_CMD_ALLOC_XRCD, HW_CMD_DEALLOC_XRCD, UV_DEVX_XRCD},
	{HW_CMD_MODIFY_RMP, 0, UV_DEVX_RMP | UV_DEVX_MODIFY},
	{HW_CMD_ARM_XRC_SRQ, 0, UV_DEVX_XSRQ | UV_DEVX_MODIFY},
	{HW_CMD_QUERY_XRC_SRQ, 0, UV_DEVX_XSRQ | UV_DEVX_QUERY},
	{HW_CMD_QUERY_MKEY, 0, UV_DEVX_MKEY | UV_DEVX_QUERY},
	{HW_CMD_QUERY_CQ, 0, UV_DEVX_CQ | UV_DEVX_QUERY},
	{HW_CMD_QUERY_QP, 0, UV_DEVX_QP | UV_DEVX_QUERY},
	{HW_CMD_QUERY_RMP, 0, UV_DEVX_RMP | UV_DEVX_QUERY},
	{HW_CMD_RST2INIT_QP, 0, UV_DEVX_QP | UV_DEVX_MODIFY},
	{HW_CMD_INIT2INIT_QP, 0, UV_DEVX_QP | UV_DEVX_MODIFY},
	{HW_CMD_INIT2RTR_QP, 0, UV_DEVX_QP | UV_DEVX_MODIFY},
	{HW_CMD_RTR2RTS_QP, 0, UV_DEVX_QP | UV_DEVX_MODIFY},
	{HW_CMD_RTS2RTS_QP, 0, UV_DEVX_QP | UV_DEVX_MODIFY},
	{HW_CMD_SQERR2RTS_QP, 0, UV_DEVX_QP | UV_DEVX_MODIFY},
	{HW_CMD_2ERR_QP, 0, UV_DEVX_QP | UV_DEVX_MODIFY},
	{HW_CMD_2RST_QP, 0, UV_DEVX_QP | UV_DEVX_MODIFY},
	{HW_CMD_QUERY_HCA_CAP, 0, UV_DEVX_GENERAL},
	{HW_CMD_QUERY_ROCE_ADDRESS, 0, UV_DEVX_GENERAL},
	{HW_CMD_QUERY_HCA_VPORT_CONTEXT, 0, UV_DEVX_GENERAL},
	{HW_CMD_QUERY_LAG, 0, UV_DEVX_GENERAL},
};

static const struct uv_devx_command *find_command(uint32_t opcode)
{
	unsigned i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (commands[i].opcode == opcode)
			return &commands[i];
	return NULL;
}

/* ------------------------------------------------------------- mailboxes */

/* Read the mailbox of an attribute; NULL and *error. The caller frees it. */
static uint8_t *read_mailbox(struct uv_call *call, uint16_t id, size_t *len,
			     int *error)
{
	const struct uv_attr *attr = uv_call_attr(call, id);
	uint8_t *in = malloc(attr->len);

	*error = -ENOMEM;
	if (!in)
		return NULL;
	*len = attr->len;
	*error = uv_call_in(call, id, in, attr->len);
	if (!*error)
		return in;
	free(in);
	return NULL;
}

/*
 * Execute it. Returns 0; -EREMOTEIO, and the answer was copied out; or that
 * the program cannot be answered. out gets the answer's first bytes.
 */
static int execute(struct uv_call *call, const struct uv_devx_mailbox *box,
		   uint16_t out_id, uint8_t head[HW_CMD_HDR_BYTES])
{
	const struct uv_attr *attr = uv_call_attr(call, out_id);
	uint8_t *out = calloc(1, attr->len);
	int ret;

	if (!out)
		return -ENOMEM;
	ret = nic_cmd(call->context->nic, box->in, box->len, out, attr->len);
	if (!ret) {
		memcpy(head, out, HW_CMD_HDR_BYTES);
		ret = uv_call_out(call, out_id, out, attr->len);
	}
	if (!ret && hw_get(head, HW_CMD_OUT_STATUS))
		ret = -EREMOTEIO;
	free(out);
	return ret;
}

static int other(struct uv_call *call)
{
	uint8_t head[HW_CMD_HDR_BYTES];
	const struct uv_devx_command *command;
	struct uv_devx_mailbox box;
	int ret;

	box.in = read_mailbox(call, MLX5_IB_ATTR_DEVX_OTHER_CMD_IN, &box.len,
			      &ret);
	if (!box.in)
		return ret;
	command = find_command(hw_get(box.in, HW_CMD_IN_OPCODE));
	if (!command || !(command->flags & UV_DEVX_GENERAL))
		ret = -EINVAL;
	else
		ret = execute(call, &box, MLX5_IB_ATTR_DEVX_OTHER_CMD_OUT,
			      head);
	free(box.in);
	return ret;
}

/* ---------------------------------------------------------------- objects */

static int destroy_obj(struct uv_object *object)
{
	struct uv_devx_obj *obj = (struct uv_devx_obj *)object;
	int ret;

	ret = uv_box_number(object->context, obj->command->destroy,
			    obj->number);
	if (!ret)
		uv_devx_forget(obj);
	return ret;
}

static const struct uv_object_type obj_type = {
	.id = MLX5_IB_OBJECT_DEVX_OBJ,
	.bytes = sizeof(struct uv_devx_obj),
	.destroy = destroy_obj,
};

static int create(struct uv_call *call, const struct uv_devx_mailbox *box)
{
	const struct uv_devx_command *command =
		find_command(hw_get(box->in, HW_CMD_IN_OPCODE));
	uint8_t head[HW_CMD_HDR_BYTES];
	struct uv_devx_obj *obj;
	int ret;

	if (!call->context->devx || !command || !command->destroy)
		return -EINVAL;
	obj = uv_object_new(call->context, &obj_type);
	if (!obj)
		return -ENOMEM;
	ret = execute(call, box, MLX5_IB_ATTR_DEVX_OBJ_CREATE_CMD_OUT, head);
	if (ret) {
		uv_object_free(&obj->object);
		return ret;
	}
	obj->command = command;
	obj->number = hw_get(head, HW_CMD_OUT_NUMBER);
	ret = uv_call_made(call, MLX5_IB_ATTR_DEVX_OBJ_CREATE_HANDLE,
			   obj->object.handle);
	if (ret)
		uv_object_destroy(&obj->object);
	return ret;
}

static int obj_create(struct uv_call *call)
{
	struct uv_devx_mailbox box;
	int ret;

	box.in = read_mailbox(call, MLX5_IB_ATTR_DEVX_OBJ_CREATE_CMD_IN,
			      &box.len, &ret);
	if (!box.in)
		return ret;
	ret = create(call, &box);
	free(box.in);
	return ret;
}

static int obj_destroy(struct uv_call *call)
{
	return uv_object_destroy(
		uv_call_object(call, MLX5_IB_ATTR_DEVX_OBJ_DESTROY_HANDLE));
}

bool uv_devx_identify(const struct uv_object *object, struct uv_devx_id *id)
{
	const struct uv_devx_obj *obj = (const struct uv_devx_obj *)object;

	switch (object->type->id) {
	case UVERBS_OBJECT_CQ:
		id->kind = UV_DEVX_CQ;
		id->number = ((const struct uv_cq *)object)->cqn;
		return true;
	case UVERBS_OBJECT_QP:
		id->kind = UV_DEVX_QP;
		id->number = ((const struct uv_qp *)object)->qpn;
		return true;
	case UVERBS_OBJECT_SRQ:
		id->kind = ((const struct uv_srq *)object)->xrcd ? UV_DEVX_XSRQ
								 : UV_DEVX_RMP;
		id->number = ((const struct uv_srq *)object)->srqn;
		return true;
	case MLX5_IB_OBJECT_DEVX_OBJ:
		id->kind = obj->command->flags & UV_DEVX_KINDS;
		id->number = obj->number;
		return true;
	default:
		return false;
	}
}

/* Is the mailbox of this sort, and about this object? */
static bool is_about(const uint8_t *in, const struct uv_object *object,
		     uint32_t sort)
{
	const struct uv_devx_command *command =
		find_command(hw_get(in, HW_CMD_IN_OPCODE));
	struct uv_devx_id id;

	return command && (command->flags & sort) &&
	       uv_devx_identify(object, &id) &&
	       (command->flags & UV_DEVX_KINDS) == id.kind &&
	       hw_get(in, HW_CMD_IN_NUMBER) == id.number;
}

/* Modify and query: the ids of their attributes are the same. */
static int obj_command(struct uv_call *call, uint32_t sort)
{
	struct uv_object *object =
		uv_call_object(call, MLX5_IB_ATTR_DEVX_OBJ_MODIFY_HANDLE);
	uint8_t head[HW_CMD_HDR_BYTES];
	struct uv_devx_mailbox box;
	int ret;

	box.in = read_mailbox(call, MLX5_IB_ATTR_DEVX_OBJ_MODIFY_CMD_IN,
			      &box.len, &ret);
	if (!box.in)
		return ret;
	if (!call->context->devx || !is_about(box.in, object, sort))
		ret = -EINVAL;
	else
		ret = execute(call, &box, MLX5_IB_ATTR_DEVX_OBJ_MODIFY_CMD_OUT,
			      head);
	free(box.in);
	return ret;
}

static int obj_modify(struct uv_call *call)
{
	return obj_command(call, UV_DEVX_MODIFY);
}

static int obj_query(struct uv_call *call)
{
	return obj_command(call, UV_DEVX_QUERY);
}

/*
 * The answer comes through a channel, behind the program's id of the request.
 * The device has it at once.
 */
static int async_query(struct uv_call *call, const struct uv_devx_mailbox *box)
{
	uint64_t len =
		uv_call_u64(call, MLX5_IB_ATTR_DEVX_OBJ_QUERY_ASYNC_OUT_LEN, 0);
	uint64_t wr_id =
		uv_call_u64(call, MLX5_IB_ATTR_DEVX_OBJ_QUERY_ASYNC_WR_ID, 0);
	struct uv_channel *channel =
		uv_call_channel(call, MLX5_IB_ATTR_DEVX_OBJ_QUERY_ASYNC_FD);
	uint8_t *message;
	int ret;

	if (len < HW_CMD_HDR_BYTES || len > MAILBOX_MAX)
		return -EINVAL;
	message = calloc(1, sizeof(wr_id) + len);
	if (!message)
		return -ENOMEM;
	memcpy(message, &wr_id, sizeof(wr_id));
	ret = nic_cmd(call->context->nic, box->in, box->len,
		      message + sizeof(wr_id), len);
	if (!ret)
		ret = uv_channel_send(channel, message, sizeof(wr_id) + len);
	free(message);
	return ret == -ENOBUFS ? -EAGAIN : ret;
}

static int obj_async_query(struct uv_call *call)
{
	struct uv_object *object =
		uv_call_object(call, MLX5_IB_ATTR_DEVX_OBJ_QUERY_ASYNC_HANDLE);
	struct uv_devx_mailbox box;
	int ret;

	box.in = read_mailbox(call, MLX5_IB_ATTR_DEVX_OBJ_QUERY_ASYNC_CMD_IN,
			      &box.len, &ret);
	if (!box.in)
		return ret;
	if (!call->context->devx || !is_about(box.in, object, UV_DEVX_QUERY))
		ret = -EINVAL;
	else
		ret = async_query(call, &box);
	free(box.in);
	return ret;
}

/* ------------------------------------------------------------ UAR and EQ */

static int query_eqn(struct uv_call *call)
{
	uint64_t vector =
		uv_call_u64(call, MLX5_IB_ATTR_DEVX_QUERY_EQN_USER_VEC, 0);
	uint32_t eqn = (uint32_t)vector;

	if (vector >= UV_COMP_VECTORS)
		return -ENOENT;
	return uv_call_out(call, MLX5_IB_ATTR_DEVX_QUERY_EQN_DEV_EQN, &eqn,
			   sizeof(eqn));
}

static int query_uar(struct uv_call *call)
{
	uint64_t index =
		uv_call_u64(call, MLX5_IB_ATTR_DEVX_QUERY_UAR_USER_IDX, 0);
	struct uv_uar *uar = uv_uar_fixed(call->context, (uint32_t)index / 2);

	if (!uar)
		return -EINVAL;
	return uv_call_out(call, MLX5_IB_ATTR_DEVX_QUERY_UAR_DEV_IDX,
			   &uar->page_id, sizeof(uar->page_id));
}

/* ------------------------------------------------------------------ umems */

struct uv_devx_umem {
	struct uv_object object;
	uint32_t id;
	struct uv_dmabuf_mapping mapping;
};

static int destroy_umem(struct uv_object *object)
{
	struct uv_devx_umem *umem = (struct uv_devx_umem *)object;
	int ret = nic_umem_deregister(object->context->nic, umem->id);

	if (!ret)
		uv_unmap_dmabuf(&umem->mapping);
	return ret;
}

static const struct uv_object_type umem_type = {
	.id = MLX5_IB_OBJECT_DEVX_UMEM,
	.bytes = sizeof(struct uv_devx_umem),
	.destroy = destroy_umem,
};

static int register_umem(struct uv_call *call, struct uv_devx_umem *umem)
{
	uint64_t addr = uv_call_u64(call, MLX5_IB_ATTR_DEVX_UMEM_REG_ADDR, 0);
	uint64_t len = uv_call_u64(call, MLX5_IB_ATTR_DEVX_UMEM_REG_LEN, 0);
	uint64_t access =
		uv_call_u64(call, MLX5_IB_ATTR_DEVX_UMEM_REG_ACCESS, 0);
	struct nic_mem mem;
	int ret;

	/* Local write, remote write and read, as for a region. */
	if (access & ~7ull)
		return -EINVAL;
	if (!uv_call_has(call, MLX5_IB_ATTR_DEVX_UMEM_REG_DMABUF_FD))
		return uv_umem_access(call->context, addr, len, access & 3,
				      &umem->id);
	ret = uv_map_dmabuf(
		uv_call_raw_fd(call, MLX5_IB_ATTR_DEVX_UMEM_REG_DMABUF_FD),
		addr, len, &umem->mapping);
	if (ret)
		return ret;
	mem = uv_cuda_mem((uintptr_t)umem->mapping.memory, len);
	ret = nic_umem_register(call->context->nic, &mem, &umem->id);
	if (ret)
		uv_unmap_dmabuf(&umem->mapping);
	return ret;
}

static int umem_reg(struct uv_call *call)
{
	struct uv_devx_umem *umem;
	int ret;

	if (!call->context->devx)
		return -EINVAL;
	umem = uv_object_new(call->context, &umem_type);
	if (!umem)
		return -ENOMEM;
	ret = register_umem(call, umem);
	if (ret) {
		uv_object_free(&umem->object);
		return ret;
	}
	ret = uv_call_out(call, MLX5_IB_ATTR_DEVX_UMEM_REG_OUT_ID, &umem->id,
			  sizeof(umem->id));
	if (!ret)
		ret = uv_call_made(call, MLX5_IB_ATTR_DEVX_UMEM_REG_HANDLE,
				   umem->object.handle);
	if (ret)
		uv_object_destroy(&umem->object);
	return ret;
}

static int umem_dereg(struct uv_call *call)
{
	return uv_object_destroy(
		uv_call_object(call, MLX5_IB_ATTR_DEVX_UMEM_DEREG_HANDLE));
}

/* ------------------------------------------------------------------ tables */

#define MAILBOX_IN(id)                                                         \
	{                                                                      \
		id, UV_IN, true, false, HW_CMD_HDR_BYTES, UINT16_MAX, 0        \
	}
#define MAILBOX_OUT(id)                                                        \
	{                                                                      \
		id, UV_OUT, true, false, HW_CMD_HDR_BYTES, UINT16_MAX, 0       \
	}
#define ANY_OBJECT(id)                                                         \
	{                                                                      \
		id, UV_OBJ, true, false, 0, 0, UINT16_MAX                      \
	}

static const struct uv_spec other_specs[] = {
	MAILBOX_IN(MLX5_IB_ATTR_DEVX_OTHER_CMD_IN),
	MAILBOX_OUT(MLX5_IB_ATTR_DEVX_OTHER_CMD_OUT),
};

static const struct uv_spec query_eqn_specs[] = {
	{MLX5_IB_ATTR_DEVX_QUERY_EQN_USER_VEC, UV_IN, true, false, 4, 4, 0},
	{MLX5_IB_ATTR_DEVX_QUERY_EQN_DEV_EQN, UV_OUT, true, false, 4, 4, 0},
};

static const struct uv_spec query_uar_specs[] = {
	{MLX5_IB_ATTR_DEVX_QUERY_UAR_USER_IDX, UV_IN, true, false, 4, 4, 0},
	{MLX5_IB_ATTR_DEVX_QUERY_UAR_DEV_IDX, UV_OUT, true, false, 4, 4, 0},
};

static const struct uv_spec obj_create_specs[] = {
	{MLX5_IB_ATTR_DEVX_OBJ_CREATE_HANDLE, UV_NEW, true, false, 0, 0,
	 MLX5_IB_OBJECT_DEVX_OBJ},
	MAILBOX_IN(MLX5_IB_ATTR_DEVX_OBJ_CREATE_CMD_IN),
	MAILBOX_OUT(MLX5_IB_ATTR_DEVX_OBJ_CREATE_CMD_OUT),
};

static const struct uv_spec obj_destroy_specs[] = {
	{MLX5_IB_ATTR_DEVX_OBJ_DESTROY_HANDLE, UV_KILL, true, false, 0, 0,
	 MLX5_IB_OBJECT_DEVX_OBJ},
};

static const struct uv_spec obj_command_specs[] = {
	ANY_OBJECT(MLX5_IB_ATTR_DEVX_OBJ_MODIFY_HANDLE),
	MAILBOX_IN(MLX5_IB_ATTR_DEVX_OBJ_MODIFY_CMD_IN),
	MAILBOX_OUT(MLX5_IB_ATTR_DEVX_OBJ_MODIFY_CMD_OUT),
};

static const struct uv_spec async_query_specs[] = {
	ANY_OBJECT(MLX5_IB_ATTR_DEVX_OBJ_QUERY_ASYNC_HANDLE),
	MAILBOX_IN(MLX5_IB_ATTR_DEVX_OBJ_QUERY_ASYNC_CMD_IN),
	{MLX5_IB_ATTR_DEVX_OBJ_QUERY_ASYNC_OUT_LEN, UV_IN, true, false, 2, 8,
	 0},
	{MLX5_IB_ATTR_DEVX_OBJ_QUERY_ASYNC_FD, UV_FD, true, false, 0, 0,
	 MLX5_IB_OBJECT_DEVX_ASYNC_CMD_FD},
	{MLX5_IB_ATTR_DEVX_OBJ_QUERY_ASYNC_WR_ID, UV_IN, true, false, 8, 8, 0},
};

static const struct uv_spec umem_reg_specs[] = {
	{MLX5_IB_ATTR_DEVX_UMEM_REG_HANDLE, UV_NEW, true, false, 0, 0,
	 MLX5_IB_OBJECT_DEVX_UMEM},
	{MLX5_IB_ATTR_DEVX_UMEM_REG_ADDR, UV_IN, true, false, 8, 8, 0},
	{MLX5_IB_ATTR_DEVX_UMEM_REG_LEN, UV_IN, true, false, 8, 8, 0},
	{MLX5_IB_ATTR_DEVX_UMEM_REG_ACCESS, UV_IN, false, false, 4, 8, 0},
	{MLX5_IB_ATTR_DEVX_UMEM_REG_DMABUF_FD, UV_RAW_FD, false, false, 0, 0,
	 0},
	{MLX5_IB_ATTR_DEVX_UMEM_REG_PGSZ_BITMAP, UV_IN, false, false, 8, 8, 0},
	{MLX5_IB_ATTR_DEVX_UMEM_REG_OUT_ID, UV_OUT, true, false, 4, 4, 0},
};

static const struct uv_spec umem_dereg_specs[] = {
	{MLX5_IB_ATTR_DEVX_UMEM_DEREG_HANDLE, UV_KILL, true, false, 0, 0,
	 MLX5_IB_OBJECT_DEVX_UMEM},
};

const struct uv_method uv_methods_devx[] = {
	UV_METHOD(MLX5_IB_OBJECT_DEVX, MLX5_IB_METHOD_DEVX_OTHER, other,
		  other_specs),
	UV_METHOD(MLX5_IB_OBJECT_DEVX, MLX5_IB_METHOD_DEVX_QUERY_EQN, query_eqn,
		  query_eqn_specs),
	UV_METHOD(MLX5_IB_OBJECT_DEVX, MLX5_IB_METHOD_DEVX_QUERY_UAR, query_uar,
		  query_uar_specs),
	UV_METHOD(MLX5_IB_OBJECT_DEVX_OBJ, MLX5_IB_METHOD_DEVX_OBJ_CREATE,
		  obj_create, obj_create_specs),
	UV_METHOD(MLX5_IB_OBJECT_DEVX_OBJ, MLX5_IB_METHOD_DEVX_OBJ_DESTROY,
		  obj_destroy, obj_destroy_specs),
	UV_METHOD(MLX5_IB_OBJECT_DEVX_OBJ, MLX5_IB_METHOD_DEVX_OBJ_MODIFY,
		  obj_modify, obj_command_specs),
	UV_METHOD(MLX5_IB_OBJECT_DEVX_OBJ, MLX5_IB_METHOD_DEVX_OBJ_QUERY,
		  obj_query, obj_command_specs),
	UV_METHOD(MLX5_IB_OBJECT_DEVX_OBJ, MLX5_IB_METHOD_DEVX_OBJ_ASYNC_QUERY,
		  obj_async_query, async_query_specs),
	UV_METHOD(MLX5_IB_OBJECT_DEVX_UMEM, MLX5_IB_METHOD_DEVX_UMEM_REG,
		  umem_reg, umem_reg_specs),
	UV_METHOD(MLX5_IB_OBJECT_DEVX_UMEM, MLX5_IB_METHOD_DEVX_UMEM_DEREG,
		  umem_dereg, umem_dereg_specs),
	{0},
};
