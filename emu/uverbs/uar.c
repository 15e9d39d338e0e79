/* SPDX-License-Identifier: MIT */
/*
 * Doorbell pages (UARs): where they lie in the file, and who looks at them.
 *
 * A page that the library allocates (dynamic UARs) gets an offset of its own;
 * a library without dynamic UARs maps a fixed set by index. The file's memory
 * is the page; the NIC polls our mapping of it, or the program's mapping is
 * write-protected and its stores are seen as faults (trap.c).
 *
 * Source of truth: Linux drivers/infiniband/hw/mlx5/main.c (uar_mmap,
 * UAR_OBJ_ALLOC); the offsets follow rdma-core mlx5.c, mlx5_mmap().
 * Thread: under the context's lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "emu/uverbs/call.h"
#include "emu/uverbs/mapping.h"
#include "hw/doorbell.h"

/* Behind every offset that a command in bits 8 and up can name. */
#define DYNAMIC_OFFSET 0x90000000ull

static int map_page(struct uv_context *context, struct uv_uar *uar,
		    uint64_t offset, enum nic_uar_kind kind)
{
	void *page = mmap(NULL, HW_UAR_BYTES, PROT_READ | PROT_WRITE,
			  MAP_SHARED, context->pages_fd, (off_t)offset);
	int ret;

	if (page == MAP_FAILED)
		return -errno;
	memset(page, 0, HW_UAR_BYTES); /* of a page that was here before */
	ret = nic_uar_alloc(context->nic, page, kind, &uar->page_id);
	if (ret) {
		munmap(page, HW_UAR_BYTES);
		return ret;
	}
	uar->page = page;
	uar->offset = offset;
	return 0;
}

static int unmap_page(struct uv_context *context, struct uv_uar *uar)
{
	int ret = nic_uar_free(context->nic, uar->page_id);

	if (ret)
		return ret;
	uv_mapping_drop(uar);
	if (uar->by_gpu)
		uv_device_rung_by_gpu(-1);
	uar->by_gpu = false;
	munmap(uar->page, HW_UAR_BYTES);
	uar->page = NULL;
	return 0;
}

bool uv_uar_has_blueflame(void)
{
	/* A copy of 64 bytes would be many faults instead of one. */
	return !uv_mapping_traps();
}

/* ------------------------------------------------------------------ fixed */

/* Page index of the file, as MLX5_IB_MMAP_REGULAR_PAGE names it. */
static uint64_t fixed_offset(unsigned index)
{
	return (uint64_t)index * HW_UAR_BYTES;
}

int uv_uar_make_fixed(struct uv_context *context, unsigned count)
{
	unsigned i;
	int ret = 0;

	context->fixed = calloc(count, sizeof(*context->fixed));
	if (!context->fixed)
		return -ENOMEM;
	for (i = 0; i < count && !ret; i++)
		ret = map_page(context, &context->fixed[i], fixed_offset(i),
			       NIC_UAR_BF);
	context->fixed_count = ret ? i - 1 : count;
	if (ret)
		uv_uar_free_fixed(context);
	return ret;
}

void uv_uar_free_fixed(struct uv_context *context)
{
	unsigned i;

	for (i = 0; i < context->fixed_count; i++)
		unmap_page(context, &context->fixed[i]);
	free(context->fixed);
	context->fixed = NULL;
	context->fixed_count = 0;
}

struct uv_uar *uv_uar_fixed(struct uv_context *context, uint32_t index)
{
	return index < context->fixed_count ? &context->fixed[index] : NULL;
}

/* ---------------------------------------------------------------- dynamic */

static int destroy_uar(struct uv_object *object)
{
	struct uv_uar *uar = (struct uv_uar *)object;

	return unmap_page(object->context, uar);
}

static const struct uv_object_type uar_type = {
	.id = MLX5_IB_OBJECT_UAR,
	.bytes = sizeof(struct uv_uar),
	.destroy = destroy_uar,
};

struct uv_uar *uv_uar_by_page(struct uv_context *context, uint32_t page_id)
{
	struct uv_object *object;
	struct uv_uar *uar;
	uint32_t i;

	for (i = 0; i < context->object_room; i++) {
		object = context->objects[i];
		uar = (struct uv_uar *)object;
		if (object && object->type == &uar_type &&
		    uar->page_id == page_id)
			return uar;
	}
	for (i = 0; i < context->fixed_count; i++)
		if (context->fixed[i].page_id == page_id)
			return &context->fixed[i];
	return NULL;
}

struct uv_uar *uv_uar_at(struct uv_context *context, uint64_t offset)
{
	struct uv_object *object;
	struct uv_uar *uar;
	uint32_t i;

	for (i = 0; i < context->object_room; i++) {
		object = context->objects[i];
		uar = (struct uv_uar *)object;
		if (object && object->type == &uar_type &&
		    uar->offset == offset)
			return uar;
	}
	i = (uint32_t)(offset / HW_UAR_BYTES);
	return offset == fixed_offset(i) ? uv_uar_fixed(context, i) : NULL;
}

static int answer_alloc(struct uv_call *call, const struct uv_uar *uar)
{
	uint32_t length = HW_UAR_BYTES;
	int ret;

	ret = uv_call_out(call, MLX5_IB_ATTR_UAR_OBJ_ALLOC_MMAP_OFFSET,
			  &uar->offset, sizeof(uar->offset));
	if (!ret)
		ret = uv_call_out(call, MLX5_IB_ATTR_UAR_OBJ_ALLOC_MMAP_LENGTH,
				  &length, sizeof(length));
	if (!ret)
		ret = uv_call_out(call, MLX5_IB_ATTR_UAR_OBJ_ALLOC_PAGE_ID,
				  &uar->page_id, sizeof(uar->page_id));
	if (!ret)
		ret = uv_call_made(call, MLX5_IB_ATTR_UAR_OBJ_ALLOC_HANDLE,
				   uar->object.handle);
	return ret;
}

static int uar_alloc(struct uv_call *call)
{
	uint64_t type = uv_call_u64(call, MLX5_IB_ATTR_UAR_OBJ_ALLOC_TYPE, 0);
	struct uv_context *context = call->context;
	struct uv_uar *uar;
	int ret;

	if (type != MLX5_IB_UAPI_UAR_ALLOC_TYPE_BF &&
	    type != MLX5_IB_UAPI_UAR_ALLOC_TYPE_NC)
		return -EOPNOTSUPP;
	uar = uv_object_new(context, &uar_type);
	if (!uar)
		return -ENOMEM;
	/* An NC page has the same registers: which are used is up to its
	 * owner, and UCX uses more than one. */
	ret = map_page(context, uar,
		       DYNAMIC_OFFSET +
			       (uint64_t)uar->object.handle * HW_UAR_BYTES,
		       NIC_UAR_BF);
	if (ret) {
		uv_object_free(&uar->object);
		return ret;
	}
	ret = answer_alloc(call, uar);
	if (ret)
		uv_object_destroy(&uar->object);
	return ret;
}

static int uar_destroy(struct uv_call *call)
{
	return uv_object_destroy(
		uv_call_object(call, MLX5_IB_ATTR_UAR_OBJ_DESTROY_HANDLE));
}

/* ------------------------------------------------------------------ tables */

static const struct uv_spec uar_alloc_specs[] = {
	{MLX5_IB_ATTR_UAR_OBJ_ALLOC_HANDLE, UV_NEW, true, false, 0, 0,
	 MLX5_IB_OBJECT_UAR},
	{MLX5_IB_ATTR_UAR_OBJ_ALLOC_TYPE, UV_IN, true, false, 4, 8, 0},
	{MLX5_IB_ATTR_UAR_OBJ_ALLOC_MMAP_OFFSET, UV_OUT, true, false, 8, 8, 0},
	{MLX5_IB_ATTR_UAR_OBJ_ALLOC_MMAP_LENGTH, UV_OUT, true, false, 4, 4, 0},
	{MLX5_IB_ATTR_UAR_OBJ_ALLOC_PAGE_ID, UV_OUT, true, false, 4, 4, 0},
};

static const struct uv_spec uar_destroy_specs[] = {
	{MLX5_IB_ATTR_UAR_OBJ_DESTROY_HANDLE, UV_KILL, true, false, 0, 0,
	 MLX5_IB_OBJECT_UAR},
};

const struct uv_method uv_methods_uar[] = {
	UV_METHOD(MLX5_IB_OBJECT_UAR, MLX5_IB_METHOD_UAR_OBJ_ALLOC, uar_alloc,
		  uar_alloc_specs),
	UV_METHOD(MLX5_IB_OBJECT_UAR, MLX5_IB_METHOD_UAR_OBJ_DESTROY,
		  uar_destroy, uar_destroy_specs),
	{0},
};
