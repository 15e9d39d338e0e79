/* SPDX-License-Identifier: MIT */
/*
 * What a ConnectX reports: errors of our queue pairs and completion queues by
 * the DEVX event channel, and of port and device by the context.
 *
 * Objects made by DEVX are unknown to verbs, so that their events come by the
 * channel only. Each type is subscribed by itself, and its cookie says what
 * the event is: the channel is asked to leave out the device's own bytes.
 *
 * Source of truth: the Linux kernel's drivers/infiniband/hw/mlx5/devx.c and
 * include/linux/mlx5/device.h (event types).
 * Thread: any; nothing blocks.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "stack/backend_mlx5.h"
#include "stack/host/internal.h"

/* The device's numbers of event types. */
enum {
	EVENT_CQ_ERROR = 0x04,
	EVENT_WQ_CATAS_ERROR = 0x05,
	EVENT_WQ_INVAL_REQ_ERROR = 0x10,
	EVENT_WQ_ACCESS_ERROR = 0x11,
};

enum { COOKIE_TYPE_SHIFT = 32 };

struct subscription {
	uint16_t opcode; /* that makes the object */
	uint16_t event;
	enum gda_event_type type;
};

static const struct subscription subscriptions[] = {
	{HW_CMD_CREATE_CQ, EVENT_CQ_ERROR, GDA_EVENT_CQ_ERROR},
	{HW_CMD_CREATE_QP, EVENT_WQ_CATAS_ERROR, GDA_EVENT_QP_FATAL},
	{HW_CMD_CREATE_QP, EVENT_WQ_INVAL_REQ_ERROR, GDA_EVENT_QP_OTHER},
	{HW_CMD_CREATE_QP, EVENT_WQ_ACCESS_ERROR, GDA_EVENT_QP_OTHER},
};

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

void gda_mlx5_events_open(struct gda_backend *backend)
{
	const struct gda_mlx5_lib *lib = &backend->lib;

	backend->hears_port = !set_nonblocking(backend->context->async_fd);
	if (!backend->hears_port)
		gda_log(backend->config, GDA_LOG_WARN,
			"%s: events of the port are not read: %s",
			backend->name, strerror(errno));
	backend->channel = lib->create_event_channel(
		backend->context,
		(enum mlx5dv_devx_create_event_channel_flags)
			MLX5_IB_UAPI_DEVX_CR_EV_CH_FLAGS_OMIT_DATA);
	if (backend->channel && !set_nonblocking(backend->channel->fd))
		return;
	gda_log(backend->config, GDA_LOG_WARN,
		"%s: no event channel (%s): errors of queue pairs are seen in "
		"their completions only",
		backend->name, strerror(errno));
	gda_mlx5_events_close(backend);
}

void gda_mlx5_events_close(struct gda_backend *backend)
{
	if (backend->channel)
		backend->lib.destroy_event_channel(backend->channel);
	backend->channel = NULL;
}

void gda_mlx5_events_subscribe(struct gda_backend *backend,
			       struct mlx5dv_devx_obj *obj,
			       const struct gda_mailbox *box)
{
	uint32_t opcode = hw_get(box->in, HW_CMD_IN_OPCODE);
	uint32_t number = hw_get(box->out, HW_CMD_OUT_NUMBER);
	const struct subscription *row = subscriptions;
	const struct subscription *end =
		row + sizeof(subscriptions) / sizeof(subscriptions[0]);

	for (; backend->channel && row < end; row++) {
		uint64_t cookie = (uint64_t)row->type << COOKIE_TYPE_SHIFT;
		uint16_t event = row->event;
		int rc;

		if (row->opcode != opcode)
			continue;
		rc = backend->lib.subscribe_devx_event(backend->channel, obj,
						       sizeof(event), &event,
						       cookie | number);
		if (rc)
			gda_log(backend->config, GDA_LOG_WARN,
				"%s: events of type 0x%02x of object 0x%x are "
				"not reported: %s",
				backend->name, event, number,
				strerror(rc < 0 ? -rc : rc));
	}
}

/* ----------------------------------------------------------------- poll */

static bool read_channel(struct gda_backend *backend, struct gda_event *event)
{
	/* Only the header arrives; room for a library that sends more. */
	union {
		struct mlx5dv_devx_async_event_hdr header;
		uint8_t room[128];
	} data = {.room = {0}};
	uint64_t cookie;

	if (!backend->channel ||
	    backend->lib.get_event(backend->channel, &data.header,
				   sizeof(data)) < 0)
		return false;
	cookie = data.header.cookie;
	event->type = (enum gda_event_type)(cookie >> COOKIE_TYPE_SHIFT);
	event->number = (uint32_t)cookie;
	return event->type <= GDA_EVENT_QP_OTHER;
}

/* Port and device: nothing that a queue pair's owner could be told of. */
static void log_async(struct gda_backend *backend)
{
	struct ibv_async_event event;

	while (backend->hears_port &&
	       !backend->lib.get_async_event(backend->context, &event)) {
		gda_log(backend->config, GDA_LOG_WARN, "%s: event: %s",
			backend->name,
			backend->lib.event_type_str(event.event_type));
		backend->lib.ack_async_event(&event);
	}
}

int gda_mlx5_event_poll(struct gda_backend *backend, struct gda_event *event)
{
	log_async(backend);
	return read_channel(backend, event);
}
