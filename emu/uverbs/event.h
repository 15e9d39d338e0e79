/* SPDX-License-Identifier: MIT */
/*
 * Event channels, and the objects that events are about.
 *
 * A channel is what the program reads events from. Completion and
 * asynchronous events have a fixed size and travel through a pipe; DEVX
 * events and answers vary in size and travel as datagrams.
 *
 * A source is an object that the NIC names in its events, by kind and number;
 * or its port, of which every context hears, and which counts nothing.
 * Events come from any thread, with the NIC's lock held: what is done about
 * them here must not call the NIC.
 */
#ifndef EMU_UVERBS_EVENT_H
#define EMU_UVERBS_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nic;
struct nic_event;
struct uv_channel;
struct uv_context;
struct uv_device;

enum uv_source_kind {
	UV_SOURCE_CQ,
	UV_SOURCE_QP,
	UV_SOURCE_SRQ,
	UV_SOURCE_PORT, /* no object: every context of the NIC hears of it */
};

struct uv_event_source {
	struct uv_event_source *next;
	const struct nic *nic;
	enum uv_source_kind kind;
	uint32_t number;
	uint64_t element;		/* the program's name for the object */
	struct uv_channel *completions; /* a CQ's, may be NULL */
	struct uv_channel *async;	/* may be NULL */
	uint32_t completions_sent, async_sent;
	bool known; /* in the table */
};

/*
 * A new channel for objects of type_id (UVERBS_OBJECT_COMP_CHANNEL ...). *fd
 * is the program's end, known to fd.c. Returns 0 or a negative errno.
 */
int uv_channel_new(struct uv_context *context, uint16_t type_id,
		   struct uv_channel **channel, int *fd);

void uv_channel_hold(struct uv_channel *channel);
void uv_channel_put(struct uv_channel *channel); /* NULL is fine */
uint16_t uv_channel_type(const struct uv_channel *channel);
const struct uv_context *uv_channel_context(const struct uv_channel *channel);

/* Data without an object, of at most 4 KiB. Returns 0, or -ENOBUFS. */
int uv_channel_send(struct uv_channel *channel, const void *data, size_t bytes);

/* DEVX event channels: leave the event's data out, send the cookie alone. */
void uv_channel_omit_data(struct uv_channel *channel);
bool uv_channel_omits_data(const struct uv_channel *channel);

/* The context goes: its channels stay for the program, and stay silent. */
void uv_channel_orphan_all(const struct uv_context *context);

/* The source holds its channels until uv_source_remove(). */
void uv_source_add(struct uv_event_source *source);

/*
 * No event is about it any more; those that the program has not read yet are
 * taken back, so that the counts are of what it did read.
 */
void uv_source_remove(struct uv_event_source *source);

/* ----------------------------------- DEVX subscriptions (subscription.c) */

struct uv_subscribe {
	const struct nic *nic;
	struct uv_channel *channel;
	enum uv_source_kind kind;
	uint32_t number;     /* of the object */
	uint16_t event_type; /* as in an event queue entry */
	int event_fd;	     /* -1: through the channel */
	uint64_t cookie;
};

/* Returns 0; -EEXIST if the channel has it already; -ENOMEM. */
int uv_subscribe(const struct uv_subscribe *subscribe);
/* An object goes; a channel goes. */
void uv_unsubscribe_object(const struct nic *nic, enum uv_source_kind kind,
			   uint32_t number);
void uv_unsubscribe_channel(const struct uv_channel *channel);
void uv_subscription_dispatch(const struct nic *nic, enum uv_source_kind kind,
			      const struct nic_event *event);
void uv_subscription_after_fork(void);

/* The NIC's event callback ends here. */
void uv_event_dispatch(struct uv_device *device, const struct nic_event *event);

void uv_event_after_fork(void);

#endif
