/* SPDX-License-Identifier: MIT */
/*
 * User buffers as the local side of operations: a table that device threads
 * read while it changes.
 *
 * An entry is published by its length, written last; length 0 is free.
 *
 * Thread: any; writers hold the lock.
 */
#include <errno.h>
#include <unistd.h>

#include "stack/dev/order.h"
#include "stack/host/internal.h"

/* The entry that begins at addr; with len 0, the first free one. */
static struct gda_dev_buffer *find(struct gda *gda, uint64_t addr, bool used)
{
	uint32_t i;

	for (i = 0; i < gda->config.max_buffers; i++) {
		struct gda_dev_buffer *buffer = &gda->buffers[i];

		if (used ? buffer->len && buffer->addr == addr : !buffer->len)
			return buffer;
	}
	return NULL;
}

static int push_length(struct gda *gda, const struct gda_dev_buffer *buffer)
{
	return gda_tables_push(gda, &buffer->len, sizeof(buffer->len));
}

static int drop(struct gda *gda, struct gda_dev_buffer *buffer)
{
	int pushed, rc;

	gda_order_store_counter(&buffer->len, 0);
	pushed = push_length(gda, buffer);
	rc = gda->ops->mr_dereg(gda->backend,
				&gda->buffer_mrs[buffer - gda->buffers]);
	return rc ? rc : pushed;
}

/*
 * Kernels that rely on all data lying in GPU memory no longer may. They have
 * not heard of the buffer yet, so none is late.
 */
static int leave_gpu(struct gda *gda)
{
	uint32_t i;
	int rc = 0;

	for (i = 0; !rc && i < gda->qp_count; i++) {
		if (!gda->dev_qps[i].in_gpu)
			continue;
		gda->dev_qps[i].in_gpu = 0;
		rc = gda_tables_push(gda, &gda->dev_qps[i].in_gpu, 1);
	}
	return rc;
}

static int register_key(struct gda *gda, const struct gda_mem *mem,
			struct gda_mr *mr)
{
	struct gda_mr_attr attr = {*mem, (uintptr_t)mem->addr};

	return gda->ops->mr_reg(gda->backend, &attr, mr);
}

static int add(struct gda *gda, const struct gda_mem *mem)
{
	struct gda_dev_buffer *buffer = find(gda, 0, false);
	struct gda_mr *mr;
	int rc;

	if (find(gda, (uintptr_t)mem->addr, true))
		return gda_fail(&gda->config, -EEXIST,
				"gda_buffer_register: %p is registered",
				mem->addr);
	if (!buffer)
		return gda_fail(&gda->config, -ENOSPC,
				"gda_buffer_register: max_buffers is %u, and "
				"all are in use",
				gda->config.max_buffers);
	mr = &gda->buffer_mrs[buffer - gda->buffers];
	rc = register_key(gda, mem, mr);
	if (rc)
		return rc;
	gda_order_store_counter(&buffer->addr, (uintptr_t)mem->addr);
	gda_order_store_counter(&buffer->lkey, mr->lkey);
	rc = gda_tables_push(gda, buffer, sizeof(*buffer));
	if (!rc && mem->kind == GDA_MEM_HOST)
		rc = leave_gpu(gda);
	gda_order_store_counter(&buffer->len, mem->len);
	if (!rc)
		rc = push_length(gda, buffer);
	if (rc)
		drop(gda, buffer);
	return rc;
}

static int check(const struct gda *gda, const void *addr, size_t bytes)
{
	if (addr && bytes && (uintptr_t)addr + bytes >= bytes)
		return 0;
	return gda_fail(&gda->config, -EINVAL,
			"gda_buffer_register: %zu bytes at %p, expected a "
			"range that is not empty and does not wrap",
			bytes, addr);
}

int gda_buffer_register(struct gda *gda, void *addr, size_t bytes)
{
	struct gda_mem mem = {addr, bytes, GDA_MEM_HOST, -1};
	int rc = check(gda, addr, bytes);

	if (rc)
		return rc;
	pthread_mutex_lock(&gda->lock);
	rc = add(gda, &mem);
	pthread_mutex_unlock(&gda->lock);
	return rc;
}

int gda_buffer_register_gpu(struct gda *gda, void *addr, size_t bytes)
{
	struct gda_mem mem = {addr, bytes, GDA_MEM_HOST, -1};
	int rc = check(gda, addr, bytes);

	if (!rc && !gda->config.gpu)
		rc = gda_fail(&gda->config, -EINVAL,
			      "gda_buffer_register_gpu: config.gpu is NULL, "
			      "expected who knows the GPU's memory");
	if (!rc)
		rc = gda_region_describe(&gda->config,
					 "gda_buffer_register_gpu", &mem);
	if (rc)
		return rc;
	pthread_mutex_lock(&gda->lock);
	rc = add(gda, &mem);
	pthread_mutex_unlock(&gda->lock);
	if (mem.kind == GDA_MEM_DMABUF)
		close(mem.fd);
	return rc;
}

int gda_buffer_unregister(struct gda *gda, void *addr)
{
	struct gda_dev_buffer *buffer;
	int rc;

	pthread_mutex_lock(&gda->lock);
	buffer = find(gda, (uintptr_t)addr, true);
	if (buffer)
		rc = drop(gda, buffer);
	else
		rc = gda_fail(&gda->config, -ENOENT,
			      "gda_buffer_unregister: no buffer begins at %p",
			      addr);
	pthread_mutex_unlock(&gda->lock);
	return rc;
}

void gda_buffers_close(struct gda *gda)
{
	uint32_t i;

	for (i = 0; i < gda->config.max_buffers; i++)
		if (gda->buffers[i].len)
			drop(gda, &gda->buffers[i]);
}
