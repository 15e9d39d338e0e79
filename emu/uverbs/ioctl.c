/* SPDX-License-Identifier: MIT */
/*
 * RDMA_VERBS_IOCTL: find the method, check its attributes by its table, call
 * it.
 *
 * Unknown methods and unknown mandatory attributes are EPROTONOSUPPORT: the
 * libraries take that for an older kernel and try another way.
 *
 * Source of truth: Linux drivers/infiniband/core/uverbs_ioctl.c.
 * Thread: any; a call holds its context's lock.
 */
#include <errno.h>
#include <string.h>

#include <rdma/ib_user_ioctl_verbs.h>

#include "emu/dma.h"
#include "emu/uverbs/call.h"

/* ------------------------------------------------------- program's memory */

int uv_copy_in(void *to, uint64_t from, size_t bytes)
{
	return dma_copy(to, dma_host_address(from), bytes) ? -EFAULT : 0;
}

int uv_copy_out(uint64_t to, const void *from, size_t bytes)
{
	return dma_copy(dma_host_address(to), from, bytes) ? -EFAULT : 0;
}

/* -------------------------------------------------------------- accessors */

struct uv_attr *uv_call_attr(struct uv_call *call, uint16_t id)
{
	unsigned i;

	for (i = 0; i < call->count; i++)
		if (call->attrs[i].spec->id == id)
			return &call->attrs[i];
	return NULL;
}

bool uv_call_has(struct uv_call *call, uint16_t id)
{
	return uv_call_attr(call, id) != NULL;
}

uint64_t uv_call_u64(struct uv_call *call, uint16_t id, uint64_t fallback)
{
	const struct uv_attr *attr = uv_call_attr(call, id);
	uint64_t mask;

	if (!attr)
		return fallback;
	mask = attr->len < 8 ? (1ull << 8 * attr->len) - 1 : ~0ull;
	return attr->data & mask;
}

int uv_call_raw_fd(struct uv_call *call, uint16_t id)
{
	const struct uv_attr *attr = uv_call_attr(call, id);

	return attr && attr->data <= INT32_MAX ? (int)attr->data : -1;
}

int uv_call_in(struct uv_call *call, uint16_t id, void *out, size_t bytes)
{
	const struct uv_attr *attr = uv_call_attr(call, id);
	size_t len;

	memset(out, 0, bytes);
	if (!attr)
		return -ENOENT;
	len = attr->len < bytes ? attr->len : bytes;
	if (attr->len <= sizeof(attr->data)) {
		memcpy(out, &attr->data, len);
		return 0;
	}
	return uv_copy_in(out, attr->data, len);
}

static int mark_written(const struct uv_attr *attr)
{
	uint16_t flags;
	uint64_t at = (uintptr_t)&attr->user->flags;

	if (uv_copy_in(&flags, at, sizeof(flags)))
		return -EFAULT;
	flags |= UVERBS_ATTR_F_VALID_OUTPUT;
	return uv_copy_out(at, &flags, sizeof(flags));
}

int uv_call_out(struct uv_call *call, uint16_t id, const void *in, size_t bytes)
{
	static const uint8_t zeros[256];
	const struct uv_attr *attr = uv_call_attr(call, id);
	size_t at, len;

	if (!attr)
		return 0;
	len = attr->len < bytes ? attr->len : bytes;
	if (len && uv_copy_out(attr->data, in, len))
		return -EFAULT;
	for (at = len; at < attr->len; at += len) {
		len = attr->len - at;
		if (len > sizeof(zeros))
			len = sizeof(zeros);
		if (uv_copy_out(attr->data + at, zeros, len))
			return -EFAULT;
	}
	return mark_written(attr);
}

void *uv_call_object(struct uv_call *call, uint16_t id)
{
	struct uv_attr *attr = uv_call_attr(call, id);

	return attr ? attr->object : NULL;
}

struct uv_channel *uv_call_channel(struct uv_call *call, uint16_t id)
{
	struct uv_attr *attr = uv_call_attr(call, id);

	return attr ? attr->channel : NULL;
}

int uv_call_made(struct uv_call *call, uint16_t id, int64_t handle)
{
	const struct uv_attr *attr = uv_call_attr(call, id);

	if (!attr)
		return -EINVAL;
	return uv_copy_out((uintptr_t)&attr->user->data, &handle,
			   sizeof(handle));
}

void uv_unsupported(const char *what)
{
	/* By address: the names are literals, each is told once. */
	static const char *told[64];
	unsigned i;

	for (i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		const char *old = __atomic_load_n(&told[i], __ATOMIC_RELAXED);

		if (old == what)
			return;
		if (old)
			continue;
		__atomic_store_n(&told[i], what, __ATOMIC_RELAXED);
		uv_say(NIC_LOG_WARN,
		       "%s is not supported by the emulated device", what);
		return;
	}
}

/* --------------------------------------------------------------- checking */

static bool is_zero(uint64_t at, size_t bytes)
{
	uint8_t byte;

	for (; bytes; bytes--, at++)
		if (uv_copy_in(&byte, at, 1) || byte)
			return false;
	return true;
}

/* Is what is behind the known part zero? */
static bool tail_is_zero(const struct uv_attr *attr)
{
	size_t known = attr->spec->max;
	const uint8_t *inline_data = (const uint8_t *)&attr->data;
	size_t i;

	if (attr->len > sizeof(attr->data))
		return is_zero(attr->data + known, attr->len - known);
	for (i = known; i < attr->len; i++)
		if (inline_data[i])
			return false;
	return true;
}

static int check_bytes(const struct uv_attr *attr,
		       const struct ib_uverbs_attr *raw)
{
	const struct uv_spec *spec = attr->spec;

	if (spec->type == UV_IN && attr->len > spec->max && spec->open_ended &&
	    !tail_is_zero(attr))
		return -EOPNOTSUPP;
	if (attr->len < spec->min ||
	    (!spec->open_ended && attr->len > spec->max))
		return -EINVAL;
	return raw->attr_data.reserved ? -EINVAL : 0;
}

static int find_channel(struct uv_call *call, struct uv_attr *attr)
{
	struct uv_channel *channel;

	if (attr->data != (uint64_t)(int)attr->data)
		return -EBADF;
	channel = uv_fd_get((int)attr->data, UV_FD_CHANNEL);
	if (!channel)
		return -EBADF;
	attr->channel = channel;
	if (uv_channel_type(channel) != attr->spec->object ||
	    uv_channel_context(channel) != call->context)
		return -EBADF;
	return 0;
}

static int check_object(struct uv_call *call, struct uv_attr *attr,
			const struct ib_uverbs_attr *raw)
{
	int error = 0;

	if (raw->attr_data.reserved || raw->len)
		return -EINVAL;
	switch (attr->spec->type) {
	case UV_OBJ:
	case UV_KILL:
		/* DEVX takes objects of several types: its handlers look. */
		if (attr->spec->object == UINT16_MAX)
			attr->object =
				attr->data < call->context->object_room
					? call->context->objects[attr->data]
					: NULL;
		else
			attr->object = uv_object_find(call->context,
						      attr->spec->object,
						      attr->data, &error);
		return attr->object ? 0 : error ? error : -ENOENT;
	case UV_FD:
		return find_channel(call, attr);
	default:
		return 0;
	}
}

static const struct uv_spec *find_spec(const struct uv_method *method,
				       uint16_t id)
{
	unsigned i;

	for (i = 0; i < method->spec_count; i++)
		if (method->specs[i].id == id)
			return &method->specs[i];
	return NULL;
}

static int take_attr(struct uv_call *call, struct ib_uverbs_attr *user)
{
	const struct uv_spec *spec;
	struct ib_uverbs_attr raw;
	struct uv_attr *attr;

	if (uv_copy_in(&raw, (uintptr_t)user, sizeof(raw)))
		return -EFAULT;
	spec = find_spec(call->method, raw.attr_id);
	if (!spec)
		return raw.flags & UVERBS_ATTR_F_MANDATORY ? -EPROTONOSUPPORT
							   : 0;
	if (uv_call_attr(call, raw.attr_id) || call->count == UV_ATTRS_MAX)
		return -EINVAL;
	attr = &call->attrs[call->count++];
	memset(attr, 0, sizeof(*attr));
	attr->spec = spec;
	attr->user = user;
	attr->data = raw.data;
	attr->len = raw.len;
	if (spec->type == UV_IN || spec->type == UV_OUT)
		return check_bytes(attr, &raw);
	if (spec->type == UV_OBJS)
		return raw.attr_data.reserved || raw.len % 4 ? -EINVAL : 0;
	return check_object(call, attr, &raw);
}

static int check_mandatory(struct uv_call *call)
{
	const struct uv_method *method = call->method;
	unsigned i;

	for (i = 0; i < method->spec_count; i++)
		if (method->specs[i].mandatory &&
		    !uv_call_has(call, method->specs[i].id))
			return -EINVAL;
	return 0;
}

/* -------------------------------------------------------------- dispatch */

static const struct uv_method *find_method(uint16_t object, uint16_t method)
{
	static const struct uv_method *const tables[] = {
		uv_methods_device, uv_methods_write,	  uv_methods_memory,
		uv_methods_key,	   uv_methods_xrcd,	  uv_methods_cq,
		uv_methods_srq,	   uv_methods_qp,	  uv_methods_uar,
		uv_methods_devx,   uv_methods_devx_event,
	};
	const struct uv_method *m;
	unsigned i;

	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (m = tables[i]; m->handler; m++)
			if (m->object == object && m->method == method)
				return m;
	return NULL;
}

static int run(struct uv_call *call, const struct ib_uverbs_ioctl_hdr *hdr,
	       uint64_t attrs)
{
	struct ib_uverbs_attr *user = (void *)(uintptr_t)attrs;
	unsigned i;
	int ret = 0;

	for (i = 0; i < hdr->num_attrs && !ret; i++)
		ret = take_attr(call, user + i);
	if (!ret)
		ret = check_mandatory(call);
	if (!ret && !call->context->ready && !call->method->before_context)
		ret = -EINVAL;
	if (!ret)
		ret = call->method->handler(call);
	for (i = 0; i < call->count; i++)
		if (call->attrs[i].channel)
			uv_fd_put(UV_FD_CHANNEL, call->attrs[i].channel);
	return ret;
}

static int verbs(struct uv_context *context, uint64_t arg)
{
	struct uv_call call = {.context = context};
	struct ib_uverbs_ioctl_hdr hdr;
	int ret;

	if (uv_copy_in(&hdr, arg, sizeof(hdr)))
		return -EFAULT;
	if (hdr.length > 4096 ||
	    hdr.length != sizeof(hdr) + hdr.num_attrs * sizeof(hdr.attrs[0]))
		return -EINVAL;
	if (hdr.reserved1 || hdr.reserved2)
		return -EPROTONOSUPPORT;
	if (hdr.driver_id != RDMA_DRIVER_MLX5)
		return -EINVAL;
	call.method = find_method(hdr.object_id, hdr.method_id);
	if (!call.method) {
		uv_say(NIC_LOG_INFO,
		       "ioctl object 0x%x method 0x%x: no such method",
		       hdr.object_id, hdr.method_id);
		return -EPROTONOSUPPORT;
	}
	call.name = call.method->name;
	pthread_mutex_lock(&context->lock);
	ret = run(&call, &hdr, arg + sizeof(hdr));
	pthread_mutex_unlock(&context->lock);
	if (ret)
		uv_say(NIC_LOG_INFO, "ioctl %s: %s", call.name, strerror(-ret));
	return ret;
}

int uv_context_ioctl(struct uv_context *context, unsigned long request,
		     void *arg)
{
	int ret = -ENOTTY;

	if (request == RDMA_VERBS_IOCTL) {
		uv_enter();
		ret = verbs(context, (uintptr_t)arg);
		uv_leave();
	}
	if (!ret)
		return 0;
	errno = -ret;
	return -1;
}
