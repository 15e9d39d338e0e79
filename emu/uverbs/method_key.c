/* SPDX-License-Identifier: MIT */
/*
 * Memory windows: keys without memory, which a work request binds.
 *
 * Source of truth: Linux drivers/infiniband/core/uverbs_cmd.c (alloc_mw),
 * hw/mlx5/mr.c (mlx5_ib_alloc_mw).
 * Thread: under the context's lock.
 */
#include <errno.h>

#include "emu/uverbs/call.h"
#include "hw/cmd_mkey.h"

enum {
	MW_TYPE_1 = 1, /* enum ibv_mw_type */
	MW_TYPE_2 = 2,
	KLMS_ALIGN = 4, /* entries are allocated in octwords of four */
};

struct uv_mw {
	struct uv_object object;
	struct uv_pd *pd;
	uint32_t index;
};

static int destroy_mw(struct uv_object *object)
{
	struct uv_mw *mw = (struct uv_mw *)object;
	int ret =
		uv_box_number(object->context, HW_CMD_DESTROY_MKEY, mw->index);

	if (!ret)
		mw->pd->object.users--;
	return ret;
}

static const struct uv_object_type mw_type = {
	.id = UVERBS_OBJECT_MW,
	.bytes = sizeof(struct uv_mw),
	.destroy = destroy_mw,
};

static int make_key(struct uv_context *context, struct uv_mw *mw, uint8_t type,
		    uint32_t klms)
{
	struct uv_box box = {{0}, {0}};
	uint8_t *mkc = box.in + HW_MKC_OFFSET;
	int ret;

	hw_set(box.in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_MKEY);
	hw_set(mkc, HW_MKC_FREE, 1);
	hw_set(mkc, HW_MKC_UMR_EN, 1);
	hw_set(mkc, HW_MKC_LR, 1);
	hw_set(mkc, HW_MKC_ACCESS_MODE_1_0, HW_MKC_MODE_KLMS);
	hw_set(mkc, HW_MKC_EN_RINVAL, type == MW_TYPE_2);
	hw_set(mkc, HW_MKC_QPN, HW_MKC_QPN_ANY);
	hw_set(mkc, HW_MKC_PD, mw->pd->pdn);
	hw_set(mkc, HW_MKC_TRANSLATIONS_SIZE,
	       (klms + KLMS_ALIGN - 1) / KLMS_ALIGN * KLMS_ALIGN);
	ret = uv_box_exec(context, &box);
	if (!ret)
		mw->index = hw_get(box.out, HW_CMD_OUT_NUMBER);
	return ret;
}

static struct uv_mw *new_mw(struct uv_call *call,
			    const struct ib_uverbs_alloc_mw *req, uint32_t klms,
			    int *error)
{
	struct uv_pd *pd = uv_object_find(call->context, UVERBS_OBJECT_PD,
					  req->pd_handle, error);
	struct uv_mw *mw;

	*error = -EINVAL;
	if (!pd || (req->mw_type != MW_TYPE_1 && req->mw_type != MW_TYPE_2))
		return NULL;
	*error = -ENOMEM;
	mw = uv_object_new(call->context, &mw_type);
	if (!mw)
		return NULL;
	mw->pd = pd;
	*error = make_key(call->context, mw, req->mw_type, klms);
	if (*error) {
		uv_object_free(&mw->object);
		return NULL;
	}
	pd->object.users++;
	return mw;
}

static int alloc_mw(struct uv_call *call)
{
	struct ib_uverbs_alloc_mw_resp resp = {0};
	struct ib_uverbs_alloc_mw req;
	struct mlx5_ib_alloc_mw driver;
	struct uv_mw *mw;
	int ret = uv_call_in(call, UVERBS_ATTR_CORE_IN, &req, sizeof(req));

	if (ret)
		return ret;
	ret = uv_call_in(call, UVERBS_ATTR_UHW_IN, &driver, sizeof(driver));
	if (ret && ret != -ENOENT)
		return ret;
	if (driver.comp_mask || driver.reserved1 || driver.reserved2)
		return -EOPNOTSUPP;
	mw = new_mw(call, &req, driver.num_klms ? driver.num_klms : 1, &ret);
	if (!mw)
		return ret;
	resp.mw_handle = mw->object.handle;
	resp.rkey = mw->index << 8;
	ret = uv_call_out(call, UVERBS_ATTR_CORE_OUT, &resp, sizeof(resp));
	if (ret)
		uv_object_destroy(&mw->object);
	return ret;
}

static int mw_destroy(struct uv_call *call)
{
	return uv_object_destroy(
		uv_call_object(call, UVERBS_ATTR_DESTROY_MW_HANDLE));
}

static const struct uv_spec mw_destroy_specs[] = {
	{UVERBS_ATTR_DESTROY_MW_HANDLE, UV_KILL, true, false, 0, 0,
	 UVERBS_OBJECT_MW},
};

const struct uv_method uv_methods_key[] = {
	UV_METHOD(UVERBS_OBJECT_MW, UVERBS_METHOD_MW_DESTROY, mw_destroy,
		  mw_destroy_specs),
	{0},
};

const struct uv_write uv_writes_key[] = {
	UV_WRITE(ALLOC_MW, sizeof(struct ib_uverbs_alloc_mw),
		 sizeof(struct ib_uverbs_alloc_mw_resp), alloc_mw),
	{0},
};
