/* SPDX-License-Identifier: MIT */
/*
 * DEVX channels: for events, and for the answers of asynchronous queries.
 *
 * Source of truth: Linux drivers/infiniband/hw/mlx5/devx.c
 * (DEVX_SUBSCRIBE_EVENT, ASYNC_EVENT_FD_ALLOC, ASYNC_CMD_FD_ALLOC).
 * Not modelled: of the events of no object only that of the port comes; the
 * others are accepted.
 * Thread: under the context's lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "emu/uverbs/devx.h"

enum { EVENTS_MAX = 50 };

static int new_channel(struct uv_call *call, uint16_t type, uint16_t fd_id,
		       bool omit_data)
{
	struct uv_channel *channel;
	int fd, ret;

	ret = uv_channel_new(call->context, type, &channel, &fd);
	if (ret)
		return ret;
	if (omit_data)
		uv_channel_omit_data(channel);
	return uv_call_made(call, fd_id, fd);
}

static int async_cmd_fd_alloc(struct uv_call *call)
{
	return new_channel(call, MLX5_IB_OBJECT_DEVX_ASYNC_CMD_FD,
			   MLX5_IB_ATTR_DEVX_ASYNC_CMD_FD_ALLOC_HANDLE, false);
}

static int async_event_fd_alloc(struct uv_call *call)
{
	uint64_t flags = uv_call_u64(
		call, MLX5_IB_ATTR_DEVX_ASYNC_EVENT_FD_ALLOC_FLAGS, 0);

	if (flags & ~(uint64_t)MLX5_IB_UAPI_DEVX_CR_EV_CH_FLAGS_OMIT_DATA)
		return -EINVAL;
	return new_channel(call, MLX5_IB_OBJECT_DEVX_ASYNC_EVENT_FD,
			   MLX5_IB_ATTR_DEVX_ASYNC_EVENT_FD_ALLOC_HANDLE,
			   flags & MLX5_IB_UAPI_DEVX_CR_EV_CH_FLAGS_OMIT_DATA);
}

/* --------------------------------------------------------------- subscribe */

static bool source_kind(uint32_t devx_kind, enum uv_source_kind *kind)
{
	switch (devx_kind) {
	case UV_DEVX_CQ:
		*kind = UV_SOURCE_CQ;
		return true;
	case UV_DEVX_QP:
		*kind = UV_SOURCE_QP;
		return true;
	case UV_DEVX_RMP:
	case UV_DEVX_XSRQ:
		*kind = UV_SOURCE_SRQ;
		return true;
	default:
		return false;
	}
}

void uv_devx_forget(const struct uv_devx_obj *obj)
{
	enum uv_source_kind kind;
	struct uv_devx_id id;

	if (uv_devx_identify(&obj->object, &id) && source_kind(id.kind, &kind))
		uv_unsubscribe_object(obj->object.context->nic, kind,
				      id.number);
}

/* A descriptor of our own for the program's eventfd; -1: none was given. */
static int take_event_fd(struct uv_call *call, int *out)
{
	int fd = (int)uv_call_u64(
		call, MLX5_IB_ATTR_DEVX_SUBSCRIBE_EVENT_FD_NUM, UINT32_MAX);

	*out = -1;
	if (!uv_call_has(call, MLX5_IB_ATTR_DEVX_SUBSCRIBE_EVENT_FD_NUM))
		return 0;
	*out = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (*out < 0)
		return -EBADF;
	return 0;
}

static int subscribe_one(struct uv_call *call, struct uv_subscribe *s,
			 uint16_t event_type)
{
	int ret = take_event_fd(call, &s->event_fd);

	if (ret)
		return ret;
	s->event_type = event_type;
	ret = uv_subscribe(s);
	if (ret && s->event_fd >= 0)
		close(s->event_fd);
	return ret;
}

static int find_source(struct uv_call *call, struct uv_subscribe *s)
{
	const struct uv_object *object = uv_call_object(
		call, MLX5_IB_ATTR_DEVX_SUBSCRIBE_EVENT_OBJ_HANDLE);
	struct uv_devx_id id;

	s->nic = call->context->nic;
	s->kind = UV_SOURCE_PORT;
	s->number = 1; /* the only port */
	if (!object)
		return 0;
	if (!uv_devx_identify(object, &id) || !source_kind(id.kind, &s->kind))
		return -EINVAL;
	s->number = id.number;
	return 0;
}

static int subscribe_event(struct uv_call *call)
{
	const struct uv_attr *list = uv_call_attr(
		call, MLX5_IB_ATTR_DEVX_SUBSCRIBE_EVENT_TYPE_NUM_LIST);
	unsigned i, count = list->len / sizeof(uint16_t);
	uint16_t types[EVENTS_MAX];
	struct uv_subscribe s = {
		.channel = uv_call_channel(
			call, MLX5_IB_ATTR_DEVX_SUBSCRIBE_EVENT_FD_HANDLE),
		.cookie = uv_call_u64(
			call, MLX5_IB_ATTR_DEVX_SUBSCRIBE_EVENT_COOKIE, 0),
	};
	int ret;

	if (!call->context->devx || !count || count > EVENTS_MAX ||
	    list->len % sizeof(uint16_t))
		return -EINVAL;
	ret = uv_call_in(call, MLX5_IB_ATTR_DEVX_SUBSCRIBE_EVENT_TYPE_NUM_LIST,
			 types, count * sizeof(types[0]));
	if (!ret)
		ret = find_source(call, &s);
	for (i = 0; i < count && !ret; i++)
		ret = subscribe_one(call, &s, types[i]);
	return ret;
}

static const struct uv_spec cmd_fd_specs[] = {
	{MLX5_IB_ATTR_DEVX_ASYNC_CMD_FD_ALLOC_HANDLE, UV_NEWFD, true, false, 0,
	 0, MLX5_IB_OBJECT_DEVX_ASYNC_CMD_FD},
};

static const struct uv_spec event_fd_specs[] = {
	{MLX5_IB_ATTR_DEVX_ASYNC_EVENT_FD_ALLOC_HANDLE, UV_NEWFD, true, false,
	 0, 0, MLX5_IB_OBJECT_DEVX_ASYNC_EVENT_FD},
	{MLX5_IB_ATTR_DEVX_ASYNC_EVENT_FD_ALLOC_FLAGS, UV_IN, true, false, 4, 8,
	 0},
};

static const struct uv_spec subscribe_specs[] = {
	{MLX5_IB_ATTR_DEVX_SUBSCRIBE_EVENT_FD_HANDLE, UV_FD, true, false, 0, 0,
	 MLX5_IB_OBJECT_DEVX_ASYNC_EVENT_FD},
	{MLX5_IB_ATTR_DEVX_SUBSCRIBE_EVENT_OBJ_HANDLE, UV_OBJ, false, false, 0,
	 0, UINT16_MAX},
	{MLX5_IB_ATTR_DEVX_SUBSCRIBE_EVENT_TYPE_NUM_LIST, UV_IN, true, false, 2,
	 UINT16_MAX, 0},
	{MLX5_IB_ATTR_DEVX_SUBSCRIBE_EVENT_COOKIE, UV_IN, false, false, 8, 8,
	 0},
	{MLX5_IB_ATTR_DEVX_SUBSCRIBE_EVENT_FD_NUM, UV_IN, false, false, 4, 4,
	 0},
};

const struct uv_method uv_methods_devx_event[] = {
	UV_METHOD(MLX5_IB_OBJECT_DEVX_ASYNC_CMD_FD,
		  MLX5_IB_METHOD_DEVX_ASYNC_CMD_FD_ALLOC, async_cmd_fd_alloc,
		  cmd_fd_specs),
	UV_METHOD(MLX5_IB_OBJECT_DEVX_ASYNC_EVENT_FD,
		  MLX5_IB_METHOD_DEVX_ASYNC_EVENT_FD_ALLOC,
		  async_event_fd_alloc, event_fd_specs),
	UV_METHOD(MLX5_IB_OBJECT_DEVX, MLX5_IB_METHOD_DEVX_SUBSCRIBE_EVENT,
		  subscribe_event, subscribe_specs),
	{0},
};
