/* SPDX-License-Identifier: MIT */
/*
 * Event channels: what the program reads, and how many it has read.
 *
 * The kernel counts an event as reported when the program has read it, and
 * destroying an object waits until that many are acknowledged. A pipe does
 * not tell what was read; what is left in it when the object goes does.
 *
 * Source of truth: Linux drivers/infiniband/core/uverbs_main.c
 * (ib_uverbs_event_read, ib_uverbs_event_handler), uverbs_std_types_cq.c, mlx5
 * devx.c.
 * Thread: any; one leaf lock, under which the NIC is not called.
 */
#include "emu/uverbs/event.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rdma/ib_user_verbs.h>

#include "emu/uverbs/call.h"

/* Of enum ib_event_type, which no header of the library has. */
enum { IB_EVENT_PORT_ACTIVE = 9, IB_EVENT_PORT_ERR = 10 };

enum {
	PIPE_BYTES = 1 << 20, /* 65,536 events that nobody reads */
	DATAGRAM_MAX = 4096 + 64,
	BUCKETS = 256,
};

struct uv_channel {
	struct uv_channel *next;
	const struct uv_context *context; /* NULL: gone */
	unsigned refs;
	uint16_t type;
	bool datagrams;
	bool omit_data;
	bool overflowed;
	int write_fd;
	int drain_fd; /* reads without waiting, whatever the program set */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct uv_channel *channels;
static struct uv_event_source *sources[BUCKETS];

/* --------------------------------------------------------------- channels */

/* Our end, under a number that the program has no business with. */
static int keep(int fd)
{
	int internal = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	close(fd);
	return internal;
}

static int open_pipe(struct uv_channel *channel, int *program)
{
	char path[32];
	int fds[2], ret;

	/* Not internal: the program's end is a low number, for select(). */
	uv_leave();
	ret = pipe2(fds, O_CLOEXEC);
	uv_enter();
	if (ret)
		return -errno;
	*program = fds[0];
	channel->write_fd = keep(fds[1]);
	fcntl(channel->write_fd, F_SETFL, O_NONBLOCK);
	fcntl(channel->write_fd, F_SETPIPE_SZ, PIPE_BYTES);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
	channel->drain_fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return channel->drain_fd < 0 || channel->write_fd < 0 ? -EMFILE : 0;
}

static int open_sockets(struct uv_channel *channel, int *program)
{
	int fds[2], ret;

	uv_leave();
	ret = socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds);
	uv_enter();
	if (ret)
		return -errno;
	*program = fds[0];
	channel->write_fd = keep(fds[1]);
	channel->datagrams = true;
	return channel->write_fd < 0 ? -EMFILE : 0;
}

static void free_channel(struct uv_channel *channel)
{
	uv_enter();
	if (channel->write_fd >= 0)
		close(channel->write_fd);
	if (channel->drain_fd >= 0)
		close(channel->drain_fd);
	uv_leave();
	free(channel);
}

int uv_channel_new(struct uv_context *context, uint16_t type_id,
		   struct uv_channel **out, int *fd)
{
	struct uv_channel *channel = calloc(1, sizeof(*channel));
	bool events = type_id == UVERBS_OBJECT_COMP_CHANNEL ||
		      type_id == UVERBS_OBJECT_ASYNC_EVENT;
	int ret;

	if (!channel)
		return -ENOMEM;
	channel->context = context;
	channel->type = type_id;
	channel->refs = 1; /* of the descriptor */
	channel->write_fd = channel->drain_fd = *fd = -1;
	ret = events ? open_pipe(channel, fd) : open_sockets(channel, fd);
	if (!ret)
		ret = uv_fd_add(*fd, UV_FD_CHANNEL, channel);
	if (ret) {
		if (*fd >= 0)
			close(*fd);
		free_channel(channel);
		return ret;
	}
	pthread_mutex_lock(&lock);
	channel->next = channels;
	channels = channel;
	pthread_mutex_unlock(&lock);
	*out = channel;
	return 0;
}

void uv_channel_hold(struct uv_channel *channel)
{
	pthread_mutex_lock(&lock);
	channel->refs++;
	pthread_mutex_unlock(&lock);
}

void uv_channel_put(struct uv_channel *channel)
{
	struct uv_channel **link = &channels;
	bool last;

	if (!channel)
		return;
	pthread_mutex_lock(&lock);
	last = --channel->refs == 0;
	if (last) {
		while (*link && *link != channel)
			link = &(*link)->next;
		if (*link)
			*link = channel->next;
	}
	pthread_mutex_unlock(&lock);
	if (last)
		free_channel(channel);
}

void uv_channel_release(struct uv_channel *channel)
{
	uv_unsubscribe_channel(channel);
	uv_channel_put(channel);
}

uint16_t uv_channel_type(const struct uv_channel *channel)
{
	return channel->type;
}

const struct uv_context *uv_channel_context(const struct uv_channel *channel)
{
	return channel->context;
}

void uv_channel_omit_data(struct uv_channel *channel)
{
	channel->omit_data = true;
}

bool uv_channel_omits_data(const struct uv_channel *channel)
{
	return channel->omit_data;
}

void uv_channel_orphan_all(const struct uv_context *context)
{
	struct uv_channel *channel;

	pthread_mutex_lock(&lock);
	for (channel = channels; channel; channel = channel->next)
		if (channel->context == context)
			channel->context = NULL;
	pthread_mutex_unlock(&lock);
}

/* Requires: locked. */
static int send_locked(struct uv_channel *channel, const void *data,
		       size_t bytes)
{
	ssize_t n;

	if (channel->datagrams)
		n = send(channel->write_fd, data, bytes,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		n = write(channel->write_fd, data, bytes);
	if (n == (ssize_t)bytes)
		return 0;
	if (!channel->overflowed)
		uv_say(NIC_LOG_ERROR,
		       "an event channel is full: events are lost");
	channel->overflowed = true;
	return -ENOBUFS;
}

int uv_channel_send(struct uv_channel *channel, const void *data, size_t bytes)
{
	int ret;

	pthread_mutex_lock(&lock);
	ret = send_locked(channel, data, bytes);
	pthread_mutex_unlock(&lock);
	return ret;
}

/* Is what the channel holds there about the object, and not about a port? */
static bool is_about(const struct uv_channel *channel, const uint8_t *at,
		     uint64_t element)
{
	struct ib_uverbs_async_event_desc async;
	uint64_t name;

	/* Both descriptions begin with the object's name. */
	memcpy(&name, at, sizeof(name));
	if (name != element || channel->type == UVERBS_OBJECT_COMP_CHANNEL)
		return name == element;
	memcpy(&async, at, sizeof(async));
	return async.event_type != IB_EVENT_PORT_ACTIVE &&
	       async.event_type != IB_EVENT_PORT_ERR;
}

/*
 * Take the events about element out of what the program has not read. The
 * rest goes back in its order. Requires: locked. Returns how many went.
 */
static uint32_t purge(struct uv_channel *channel, uint64_t element)
{
	size_t size = channel->type == UVERBS_OBJECT_COMP_CHANNEL
			      ? sizeof(struct ib_uverbs_comp_event_desc)
			      : sizeof(struct ib_uverbs_async_event_desc);
	uint8_t *buffer = malloc(PIPE_BYTES);
	uint32_t gone = 0;
	size_t at, kept = 0;
	ssize_t n = 0;

	if (!buffer)
		return 0;
	n = read(channel->drain_fd, buffer, PIPE_BYTES);
	for (at = 0; n > 0 && at + size <= (size_t)n; at += size) {
		if (is_about(channel, buffer + at, element)) {
			gone++;
			continue;
		}
		memmove(buffer + kept, buffer + at, size);
		kept += size;
	}
	for (at = 0; at < kept; at += size)
		send_locked(channel, buffer + at, size);
	free(buffer);
	return gone;
}

/* ---------------------------------------------------------------- sources */

static struct uv_event_source **
bucket(const struct nic *nic, enum uv_source_kind kind, uint32_t number)
{
	uintptr_t hash = (uintptr_t)nic / 64 + number * 3u + (unsigned)kind;

	return &sources[hash % BUCKETS];
}

void uv_source_add(struct uv_event_source *source)
{
	struct uv_event_source **head =
		bucket(source->nic, source->kind, source->number);

	pthread_mutex_lock(&lock);
	source->next = *head;
	*head = source;
	source->known = true;
	if (source->completions)
		source->completions->refs++;
	if (source->async)
		source->async->refs++;
	pthread_mutex_unlock(&lock);
}

void uv_source_remove(struct uv_event_source *source)
{
	struct uv_event_source **link =
		bucket(source->nic, source->kind, source->number);

	if (!source->known)
		return;
	pthread_mutex_lock(&lock);
	while (*link != source)
		link = &(*link)->next;
	*link = source->next;
	source->known = false;
	if (source->completions && source->completions_sent)
		source->completions_sent -=
			purge(source->completions, source->element);
	if (source->async && source->async_sent)
		source->async_sent -= purge(source->async, source->element);
	pthread_mutex_unlock(&lock);
	uv_unsubscribe_object(source->nic, source->kind, source->number);
	uv_channel_put(source->completions);
	uv_channel_put(source->async);
}

/* --------------------------------------------------------------- dispatch */

/* What the NIC's events are for the program: enum ib_event_type + 1. */
static const struct {
	uint8_t kind;
	uint8_t event; /* 0: none for verbs */
} translation[] = {
	[NIC_EVENT_CQ_COMPLETION] = {UV_SOURCE_CQ, 0},
	[NIC_EVENT_CQ_ERROR] = {UV_SOURCE_CQ, 0 + 1},
	[NIC_EVENT_QP_FATAL] = {UV_SOURCE_QP, 1 + 1},
	[NIC_EVENT_QP_REQ_ERR] = {UV_SOURCE_QP, 2 + 1},
	[NIC_EVENT_QP_ACCESS_ERR] = {UV_SOURCE_QP, 3 + 1},
	[NIC_EVENT_COMM_EST] = {UV_SOURCE_QP, 4 + 1},
	[NIC_EVENT_LAST_WQE] = {UV_SOURCE_QP, 16 + 1},
	[NIC_EVENT_SRQ_LIMIT] = {UV_SOURCE_SRQ, 15 + 1},
	[NIC_EVENT_PORT_DOWN] = {UV_SOURCE_PORT, IB_EVENT_PORT_ERR + 1},
	[NIC_EVENT_PORT_ACTIVE] = {UV_SOURCE_PORT, IB_EVENT_PORT_ACTIVE + 1},
};

static void tell(struct uv_event_source *source, const struct nic_event *event)
{
	struct ib_uverbs_comp_event_desc completion = {.cq_handle =
							       source->element};
	struct ib_uverbs_async_event_desc async = {.element = source->element};
	uint8_t type = translation[event->type].event;

	if (event->type == NIC_EVENT_CQ_COMPLETION) {
		if (source->completions &&
		    !send_locked(source->completions, &completion,
				 sizeof(completion)))
			source->completions_sent++;
		return;
	}
	if (!type || !source->async)
		return;
	async.event_type = type - 1u;
	if (!send_locked(source->async, &async, sizeof(async)))
		source->async_sent++;
}

/* Requires: locked. */
static void tell_source(const struct nic *nic, enum uv_source_kind kind,
			const struct nic_event *event)
{
	struct uv_event_source *source = *bucket(nic, kind, event->number);

	while (source && (source->nic != nic || source->kind != kind ||
			  source->number != event->number))
		source = source->next;
	if (source)
		tell(source, event);
}

/* Every asynchronous channel of every context. Requires: locked. */
static void tell_all(const struct nic *nic, const struct nic_event *event)
{
	struct ib_uverbs_async_event_desc async = {
		.element = event->number,
		.event_type = translation[event->type].event - 1u,
	};
	struct uv_channel *channel;

	for (channel = channels; channel; channel = channel->next)
		if (channel->type == UVERBS_OBJECT_ASYNC_EVENT &&
		    channel->context && channel->context->nic == nic)
			send_locked(channel, &async, sizeof(async));
}

void uv_event_dispatch(struct uv_device *device, const struct nic_event *event)
{
	const struct nic *nic = uv_device_nic(device);
	enum uv_source_kind kind =
		(enum uv_source_kind)translation[event->type].kind;

	pthread_mutex_lock(&lock);
	if (kind == UV_SOURCE_PORT)
		tell_all(nic, event);
	else
		tell_source(nic, kind, event);
	pthread_mutex_unlock(&lock);
	uv_subscription_dispatch(nic, kind, event);
}

/* The child's copies of the channels stay silent. */
void uv_event_after_fork(void)
{
	pthread_mutex_init(&lock, NULL);
	channels = NULL;
	memset(sources, 0, sizeof(sources));
	uv_subscription_after_fork();
}
