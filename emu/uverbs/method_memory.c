/* SPDX-License-Identifier: MIT */
/*
 * Protection domains, memory regions, address handles.
 *
 * Source of truth: Linux drivers/infiniband/core/uverbs_cmd.c, ib_verbs.h
 * (ib_check_mr_access), hw/mlx5/mr.c, ah.c.
 * Not modelled: on-demand paging, device memory; a dmabuf is any descriptor
 * that can be mapped.
 * Thread: under the context's lock.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <rdma/ib_user_ioctl_verbs.h>

#include "emu/uverbs/call.h"
#include "emu/uverbs/cuda.h"
#include "emu/uverbs/memory.h"

/* --------------------------------------------------------------------- PD */

static int destroy_pd(struct uv_object *object)
{
	return uv_box_number(object->context, HW_CMD_DEALLOC_PD,
			     ((struct uv_pd *)object)->pdn);
}

static const struct uv_object_type pd_type = {
	.id = UVERBS_OBJECT_PD,
	.bytes = sizeof(struct uv_pd),
	.destroy = destroy_pd,
};

static int alloc_pd(struct uv_call *call)
{
	struct uv_pd *pd = uv_object_new(call->context, &pd_type);
	struct mlx5_ib_alloc_pd_resp driver;
	struct ib_uverbs_alloc_pd_resp resp;
	struct uv_box box = {{0}, {0}};
	int ret;

	if (!pd)
		return -ENOMEM;
	hw_set(box.in, HW_CMD_IN_OPCODE, HW_CMD_ALLOC_PD);
	ret = uv_box_exec(call->context, &box);
	if (ret) {
		uv_object_free(&pd->object);
		return ret;
	}
	pd->pdn = hw_get(box.out, HW_CMD_OUT_NUMBER);
	driver.pdn = pd->pdn;
	resp.pd_handle = pd->object.handle;
	ret = uv_call_out(call, UVERBS_ATTR_CORE_OUT, &resp, sizeof(resp));
	if (!ret)
		ret = uv_call_out(call, UVERBS_ATTR_UHW_OUT, &driver,
				  sizeof(driver));
	if (ret)
		uv_object_destroy(&pd->object);
	return ret;
}

static int pd_query(struct uv_call *call)
{
	const struct uv_pd *pd =
		uv_call_object(call, MLX5_IB_ATTR_QUERY_PD_HANDLE);

	return uv_call_out(call, MLX5_IB_ATTR_QUERY_PD_RESP_PDN, &pd->pdn,
			   sizeof(pd->pdn));
}

/* --------------------------------------------------------------------- MR */

struct uv_mr {
	struct uv_object object;
	struct uv_pd *pd;
	uint32_t mkey;
	uint64_t start, length, iova;
	uint32_t access;
	void *mapping; /* of a dmabuf */
	size_t mapping_bytes;
};

static int destroy_mr(struct uv_object *object)
{
	struct uv_mr *mr = (struct uv_mr *)object;
	int ret = nic_mkey_deregister(object->context->nic, mr->mkey);

	if (ret)
		return ret;
	if (mr->mapping)
		munmap(mr->mapping, mr->mapping_bytes);
	mr->pd->object.users--;
	return 0;
}

static const struct uv_object_type mr_type = {
	.id = UVERBS_OBJECT_MR,
	.bytes = sizeof(struct uv_mr),
	.destroy = destroy_mr,
};

static int check_access(uint32_t access)
{
	uint32_t remote_write =
		IB_UVERBS_ACCESS_REMOTE_WRITE | IB_UVERBS_ACCESS_REMOTE_ATOMIC;
	uint32_t known =
		IB_UVERBS_ACCESS_LOCAL_WRITE | remote_write |
		IB_UVERBS_ACCESS_REMOTE_READ | IB_UVERBS_ACCESS_MW_BIND |
		IB_UVERBS_ACCESS_ZERO_BASED | IB_UVERBS_ACCESS_ON_DEMAND |
		IB_UVERBS_ACCESS_HUGETLB | IB_UVERBS_ACCESS_OPTIONAL_RANGE;

	if (access & ~known)
		return -EINVAL;
	if ((access & remote_write) && !(access & IB_UVERBS_ACCESS_LOCAL_WRITE))
		return -EINVAL;
	if (access & IB_UVERBS_ACCESS_ON_DEMAND) {
		uv_unsupported("on-demand paging");
		return -EOPNOTSUPP;
	}
	return 0;
}

static uint32_t nic_access(uint32_t access)
{
	uint32_t out = 0;

	if (access & IB_UVERBS_ACCESS_LOCAL_WRITE)
		out |= NIC_ACCESS_LOCAL_WRITE;
	if (access & IB_UVERBS_ACCESS_REMOTE_WRITE)
		out |= NIC_ACCESS_REMOTE_WRITE;
	if (access & IB_UVERBS_ACCESS_REMOTE_READ)
		out |= NIC_ACCESS_REMOTE_READ;
	if (access & IB_UVERBS_ACCESS_REMOTE_ATOMIC)
		out |= NIC_ACCESS_REMOTE_ATOMIC;
	return out;
}

static struct nic_mkey_attr key_attr(const struct uv_mr *mr)
{
	struct nic_mkey_attr attr = {
		.mem = uv_cuda_mem(mr->start, mr->length),
		.iova = mr->iova,
		.pd = mr->pd->pdn,
		.access = nic_access(mr->access),
	};

	return attr;
}

static int pin(const struct uv_mr *mr)
{
	uint32_t write = IB_UVERBS_ACCESS_LOCAL_WRITE |
			 IB_UVERBS_ACCESS_REMOTE_WRITE |
			 IB_UVERBS_ACCESS_REMOTE_ATOMIC;

	return uv_pin(mr->start, mr->length, mr->access & write);
}

/* A new region object with its key, or NULL and *error. */
static struct uv_mr *new_mr(struct uv_context *context,
			    const struct uv_mr *init, int *error)
{
	struct uv_mr *mr = uv_object_new(context, &mr_type);
	struct nic_mkey_attr attr;

	*error = -ENOMEM;
	if (!mr)
		return NULL;
	mr->pd = init->pd;
	mr->start = init->start;
	mr->length = init->length;
	mr->iova = init->iova;
	mr->access = init->access;
	mr->mapping = init->mapping;
	mr->mapping_bytes = init->mapping_bytes;
	attr = key_attr(mr);
	*error = nic_mkey_register(context->nic, &attr, &mr->mkey);
	if (*error) {
		*error = *error == -ENOSPC ? -ENOMEM : *error;
		uv_object_free(&mr->object);
		return NULL;
	}
	mr->pd->object.users++;
	return mr;
}

static int reg_mr(struct uv_call *call)
{
	struct ib_uverbs_reg_mr req;
	struct ib_uverbs_reg_mr_resp resp = {0};
	struct uv_mr init = {0}, *mr;
	int ret;

	ret = uv_call_in(call, UVERBS_ATTR_CORE_IN, &req, sizeof(req));
	if (ret)
		return ret;
	if ((req.start ^ req.hca_va) & 4095)
		return -EINVAL;
	ret = check_access(req.access_flags);
	if (ret)
		return ret;
	init.pd = uv_object_find(call->context, UVERBS_OBJECT_PD, req.pd_handle,
				 &ret);
	if (!init.pd)
		return -EINVAL;
	init.start = req.start;
	init.length = req.length;
	init.iova = req.hca_va;
	init.access = req.access_flags;
	ret = pin(&init);
	if (ret)
		return ret;
	mr = new_mr(call->context, &init, &ret);
	if (!mr)
		return ret;
	resp.mr_handle = mr->object.handle;
	resp.lkey = resp.rkey = mr->mkey;
	ret = uv_call_out(call, UVERBS_ATTR_CORE_OUT, &resp, sizeof(resp));
	if (ret)
		uv_object_destroy(&mr->object);
	return ret;
}

enum { REREG_TRANS = 1, REREG_PD = 2, REREG_ACCESS = 4 };

static int apply_rereg(struct uv_call *call,
		       const struct ib_uverbs_rereg_mr *req, struct uv_mr *next)
{
	int ret = 0;

	if (!req->flags ||
	    (req->flags & ~(REREG_TRANS | REREG_PD | REREG_ACCESS)))
		return -EINVAL;
	if (req->flags & REREG_TRANS) {
		if (!req->start || !req->hca_va || !req->length ||
		    ((req->start ^ req->hca_va) & 4095))
			return -EINVAL;
		next->start = req->start;
		next->length = req->length;
		next->iova = req->hca_va;
	}
	if (req->flags & REREG_ACCESS) {
		ret = check_access(req->access_flags);
		next->access = req->access_flags;
	}
	if (!ret && (req->flags & REREG_PD)) {
		next->pd = uv_object_find(call->context, UVERBS_OBJECT_PD,
					  req->pd_handle, &ret);
		ret = next->pd ? 0 : -EINVAL;
	}
	return ret ? ret : pin(next);
}

/* The key's number stays: the program has told its peers. */
static int rereg_mr(struct uv_call *call)
{
	struct ib_uverbs_rereg_mr req;
	struct ib_uverbs_rereg_mr_resp resp = {0};
	struct nic_mkey_attr attr;
	struct uv_mr *mr, next;
	int ret;

	ret = uv_call_in(call, UVERBS_ATTR_CORE_IN, &req, sizeof(req));
	if (ret)
		return ret;
	mr = uv_object_find(call->context, UVERBS_OBJECT_MR, req.mr_handle,
			    &ret);
	if (!mr)
		return -EINVAL;
	next = *mr;
	ret = apply_rereg(call, &req, &next);
	if (ret)
		return ret;
	attr = key_attr(&next);
	ret = nic_mkey_change(call->context->nic, mr->mkey, &attr);
	if (ret)
		return ret == -ENOSPC ? -ENOMEM : ret;
	mr->pd->object.users--;
	next.pd->object.users++;
	*mr = next;
	resp.lkey = resp.rkey = mr->mkey;
	return uv_call_out(call, UVERBS_ATTR_CORE_OUT, &resp, sizeof(resp));
}

static int query_mr(struct uv_call *call)
{
	const struct uv_mr *mr =
		uv_call_object(call, UVERBS_ATTR_QUERY_MR_HANDLE);
	int ret;

	ret = uv_call_out(call, UVERBS_ATTR_QUERY_MR_RESP_LKEY, &mr->mkey, 4);
	if (!ret)
		ret = uv_call_out(call, UVERBS_ATTR_QUERY_MR_RESP_RKEY,
				  &mr->mkey, 4);
	if (!ret)
		ret = uv_call_out(call, UVERBS_ATTR_QUERY_MR_RESP_LENGTH,
				  &mr->length, 8);
	if (!ret)
		ret = uv_call_out(call, UVERBS_ATTR_QUERY_MR_RESP_IOVA,
				  &mr->iova, 8);
	return ret;
}

/* ----------------------------------------------------------------- dmabuf */

static int dmabuf_key(struct uv_call *call, struct uv_mr *init)
{
	struct uv_mr *mr;
	int ret;

	mr = new_mr(call->context, init, &ret);
	if (!mr)
		return ret;
	ret = uv_call_out(call, UVERBS_ATTR_REG_DMABUF_MR_RESP_LKEY, &mr->mkey,
			  4);
	if (!ret)
		ret = uv_call_out(call, UVERBS_ATTR_REG_DMABUF_MR_RESP_RKEY,
				  &mr->mkey, 4);
	if (!ret)
		ret = uv_call_made(call, UVERBS_ATTR_REG_DMABUF_MR_HANDLE,
				   mr->object.handle);
	if (ret) {
		mr->mapping = NULL; /* the caller's again */
		uv_object_destroy(&mr->object);
	}
	return ret;
}

static int reg_dmabuf_mr(struct uv_call *call)
{
	uint64_t offset =
		uv_call_u64(call, UVERBS_ATTR_REG_DMABUF_MR_OFFSET, 0);
	struct uv_dmabuf_mapping mapping;
	struct uv_mr init = {
		.pd = uv_call_object(call, UVERBS_ATTR_REG_DMABUF_MR_PD_HANDLE),
		.length =
			uv_call_u64(call, UVERBS_ATTR_REG_DMABUF_MR_LENGTH, 0),
		.iova = uv_call_u64(call, UVERBS_ATTR_REG_DMABUF_MR_IOVA, 0),
		.access = (uint32_t)uv_call_u64(
			call, UVERBS_ATTR_REG_DMABUF_MR_ACCESS_FLAGS, 0),
	};
	int ret = check_access(init.access);

	if (ret)
		return ret;
	if ((offset ^ init.iova) & 4095)
		return -EINVAL;
	ret = uv_map_dmabuf(
		(int)uv_call_u64(call, UVERBS_ATTR_REG_DMABUF_MR_FD, 0), offset,
		init.length, &mapping);
	if (ret)
		return ret;
	init.start = (uintptr_t)mapping.memory;
	init.mapping = mapping.base;
	init.mapping_bytes = mapping.bytes;
	ret = dmabuf_key(call, &init);
	if (ret)
		uv_unmap_dmabuf(&mapping);
	return ret;
}

/* --------------------------------------------------------------------- AH */

struct uv_ah {
	struct uv_object object;
	struct uv_pd *pd;
};

static int destroy_ah(struct uv_object *object)
{
	((struct uv_ah *)object)->pd->object.users--;
	return 0;
}

static const struct uv_object_type ah_type = {
	.id = UVERBS_OBJECT_AH,
	.bytes = sizeof(struct uv_ah),
	.destroy = destroy_ah,
};

/* The MAC that the shared-memory wire gives to the NIC with this GID. */
static void gid_to_mac(const uint8_t gid[16], uint8_t mac[6])
{
	const uint8_t *guid = gid + 8;

	mac[0] = (uint8_t)((guid[0] & 0xfc) | 2);
	mac[1] = guid[1];
	memcpy(mac + 2, guid + 4, 4);
}

static int check_ah(struct uv_call *call, const struct ib_uverbs_ah_attr *attr)
{
	struct uv_device_info info;

	uv_device_describe(call->context->device, &info);
	if (attr->port_num != 1 || (attr->is_global && attr->grh.sgid_index))
		return -EINVAL;
	if (info.link == NIC_LINK_ROCE && !attr->is_global)
		return -EINVAL;
	return 0;
}

static int create_ah(struct uv_call *call)
{
	struct mlx5_ib_create_ah_resp driver = {
		.response_length =
			offsetof(struct mlx5_ib_create_ah_resp, reserved)};
	struct ib_uverbs_create_ah_resp resp = {0};
	struct ib_uverbs_create_ah req;
	struct uv_ah *ah;
	struct uv_pd *pd;
	int ret;

	ret = uv_call_in(call, UVERBS_ATTR_CORE_IN, &req, sizeof(req));
	if (!ret)
		ret = check_ah(call, &req.attr);
	if (ret)
		return ret;
	pd = uv_object_find(call->context, UVERBS_OBJECT_PD, req.pd_handle,
			    &ret);
	if (!pd)
		return -EINVAL;
	ah = uv_object_new(call->context, &ah_type);
	if (!ah)
		return -ENOMEM;
	ah->pd = pd;
	pd->object.users++;
	gid_to_mac(req.attr.grh.dgid, driver.dmac);
	resp.ah_handle = ah->object.handle;
	ret = uv_call_out(call, UVERBS_ATTR_UHW_OUT, &driver, sizeof(driver));
	if (!ret)
		ret = uv_call_out(call, UVERBS_ATTR_CORE_OUT, &resp,
				  sizeof(resp));
	if (ret)
		uv_object_destroy(&ah->object);
	return ret;
}

/* ----------------------------------------------------------------- tables */

/* The ids of all these attributes are 0. */
static int destroy_first(struct uv_call *call)
{
	return uv_object_destroy(uv_call_object(call, 0));
}

static const struct uv_spec pd_destroy_specs[] = {
	{UVERBS_ATTR_DESTROY_PD_HANDLE, UV_KILL, true, false, 0, 0,
	 UVERBS_OBJECT_PD},
};

static const struct uv_spec mr_destroy_specs[] = {
	{UVERBS_ATTR_DESTROY_MR_HANDLE, UV_KILL, true, false, 0, 0,
	 UVERBS_OBJECT_MR},
};

static const struct uv_spec ah_destroy_specs[] = {
	{UVERBS_ATTR_DESTROY_AH_HANDLE, UV_KILL, true, false, 0, 0,
	 UVERBS_OBJECT_AH},
};

static const struct uv_spec pd_query_specs[] = {
	{MLX5_IB_ATTR_QUERY_PD_HANDLE, UV_OBJ, true, false, 0, 0,
	 UVERBS_OBJECT_PD},
	{MLX5_IB_ATTR_QUERY_PD_RESP_PDN, UV_OUT, true, false, 4, 4, 0},
};

static const struct uv_spec query_mr_specs[] = {
	{UVERBS_ATTR_QUERY_MR_HANDLE, UV_OBJ, true, false, 0, 0,
	 UVERBS_OBJECT_MR},
	{UVERBS_ATTR_QUERY_MR_RESP_LKEY, UV_OUT, true, false, 4, 4, 0},
	{UVERBS_ATTR_QUERY_MR_RESP_RKEY, UV_OUT, true, false, 4, 4, 0},
	{UVERBS_ATTR_QUERY_MR_RESP_LENGTH, UV_OUT, true, false, 8, 8, 0},
	{UVERBS_ATTR_QUERY_MR_RESP_IOVA, UV_OUT, false, false, 8, 8, 0},
};

static const struct uv_spec dmabuf_mr_specs[] = {
	{UVERBS_ATTR_REG_DMABUF_MR_HANDLE, UV_NEW, true, false, 0, 0,
	 UVERBS_OBJECT_MR},
	{UVERBS_ATTR_REG_DMABUF_MR_PD_HANDLE, UV_OBJ, true, false, 0, 0,
	 UVERBS_OBJECT_PD},
	{UVERBS_ATTR_REG_DMABUF_MR_OFFSET, UV_IN, true, false, 8, 8, 0},
	{UVERBS_ATTR_REG_DMABUF_MR_LENGTH, UV_IN, true, false, 8, 8, 0},
	{UVERBS_ATTR_REG_DMABUF_MR_IOVA, UV_IN, true, false, 8, 8, 0},
	{UVERBS_ATTR_REG_DMABUF_MR_FD, UV_IN, true, false, 4, 8, 0},
	{UVERBS_ATTR_REG_DMABUF_MR_ACCESS_FLAGS, UV_IN, true, false, 4, 8, 0},
	{UVERBS_ATTR_REG_DMABUF_MR_RESP_LKEY, UV_OUT, true, false, 4, 4, 0},
	{UVERBS_ATTR_REG_DMABUF_MR_RESP_RKEY, UV_OUT, true, false, 4, 4, 0},
};

const struct uv_method uv_methods_memory[] = {
	UV_METHOD(UVERBS_OBJECT_PD, UVERBS_METHOD_PD_DESTROY, destroy_first,
		  pd_destroy_specs),
	UV_METHOD(UVERBS_OBJECT_PD, MLX5_IB_METHOD_PD_QUERY, pd_query,
		  pd_query_specs),
	UV_METHOD(UVERBS_OBJECT_MR, UVERBS_METHOD_MR_DESTROY, destroy_first,
		  mr_destroy_specs),
	UV_METHOD(UVERBS_OBJECT_MR, UVERBS_METHOD_QUERY_MR, query_mr,
		  query_mr_specs),
	UV_METHOD(UVERBS_OBJECT_MR, UVERBS_METHOD_REG_DMABUF_MR, reg_dmabuf_mr,
		  dmabuf_mr_specs),
	UV_METHOD(UVERBS_OBJECT_AH, UVERBS_METHOD_AH_DESTROY, destroy_first,
		  ah_destroy_specs),
	{0},
};

const struct uv_write uv_writes_memory[] = {
	UV_WRITE(ALLOC_PD, sizeof(struct ib_uverbs_alloc_pd),
		 sizeof(struct ib_uverbs_alloc_pd_resp), alloc_pd),
	UV_WRITE(REG_MR, sizeof(struct ib_uverbs_reg_mr),
		 sizeof(struct ib_uverbs_reg_mr_resp), reg_mr),
	UV_WRITE(REREG_MR, sizeof(struct ib_uverbs_rereg_mr),
		 sizeof(struct ib_uverbs_rereg_mr_resp), rereg_mr),
	UV_WRITE(CREATE_AH, sizeof(struct ib_uverbs_create_ah),
		 sizeof(struct ib_uverbs_create_ah_resp), create_ah),
	{0},
};
