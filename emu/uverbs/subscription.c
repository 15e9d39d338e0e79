/* SPDX-License-Identifier: MIT */
/*
 * DEVX event subscriptions: who wants which event of which object, and the
 * event queue entry that it gets.
 *
 * Source of truth: rdma-core providers/mlx5/mlx5dv.h (event channels); Linux
 * drivers/infiniband/hw/mlx5/devx.c, include/linux/mlx5/device.h (mlx5_eqe).
 * Thread: any; one leaf lock, under which the NIC is not called.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emu/uverbs/call.h"
#include "hw/be.h"

enum {
	EQE_BYTES = 64,
	EQE_TYPE = 1,	  /* one byte */
	EQE_SUB_TYPE = 3, /* one byte */
	EQE_DATA = 0x20,  /* 28 bytes, by type */
	EQE_QP_TYPE = 20, /* in the data of queue events: 0 QP, 1 SRQ */
	EQE_QP_NUMBER = 24,
	EQE_COMP_CQN = 24, /* completion: after six reserved words */
	EQE_CQ_ERROR_CQN = 0,
	EQE_CQ_ERROR_SYNDROME = 11,
	EQE_PORT = 8, /* its upper four bits */
	PORT_SUB_TYPE_DOWN = 1,
	PORT_SUB_TYPE_ACTIVE = 4,
};

struct subscription {
	struct subscription *next;
	struct uv_subscribe what;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct subscription *subscriptions;

static bool same(const struct uv_subscribe *a, const struct uv_subscribe *b)
{
	return a->nic == b->nic && a->channel == b->channel &&
	       a->kind == b->kind && a->number == b->number &&
	       a->event_type == b->event_type;
}

int uv_subscribe(const struct uv_subscribe *subscribe)
{
	struct subscription *s, *fresh = calloc(1, sizeof(*fresh));
	int ret = 0;

	if (!fresh)
		return -ENOMEM;
	fresh->what = *subscribe;
	pthread_mutex_lock(&lock);
	for (s = subscriptions; s && !ret; s = s->next)
		if (same(&s->what, subscribe))
			ret = -EEXIST;
	if (!ret) {
		fresh->next = subscriptions;
		subscriptions = fresh;
	}
	pthread_mutex_unlock(&lock);
	if (ret)
		free(fresh);
	return ret;
}

/* Remove those that match; NULL and UINT32_MAX match everything. */
static void remove_matching(const struct nic *nic, enum uv_source_kind kind,
			    uint32_t number, const struct uv_channel *channel)
{
	struct subscription **link = &subscriptions, *s;

	pthread_mutex_lock(&lock);
	while ((s = *link)) {
		bool match = channel ? s->what.channel == channel
				     : s->what.nic == nic &&
					       s->what.kind == kind &&
					       s->what.number == number;

		if (!match) {
			link = &s->next;
			continue;
		}
		*link = s->next;
		if (s->what.event_fd >= 0)
			close(s->what.event_fd);
		free(s);
	}
	pthread_mutex_unlock(&lock);
}

void uv_unsubscribe_object(const struct nic *nic, enum uv_source_kind kind,
			   uint32_t number)
{
	remove_matching(nic, kind, number, NULL);
}

void uv_unsubscribe_channel(const struct uv_channel *channel)
{
	remove_matching(NULL, UV_SOURCE_CQ, 0, channel);
}

/* Event types of an event queue entry (enum mlx5_event). */
static const uint8_t eqe_types[] = {
	[NIC_EVENT_CQ_COMPLETION] = 0x00, [NIC_EVENT_COMM_EST] = 0x02,
	[NIC_EVENT_CQ_ERROR] = 0x04,	  [NIC_EVENT_QP_FATAL] = 0x05,
	[NIC_EVENT_QP_REQ_ERR] = 0x10,	  [NIC_EVENT_QP_ACCESS_ERR] = 0x11,
	[NIC_EVENT_LAST_WQE] = 0x13,	  [NIC_EVENT_SRQ_LIMIT] = 0x14,
	[NIC_EVENT_PORT_DOWN] = 0x09,	  [NIC_EVENT_PORT_ACTIVE] = 0x09,
};

static void make_eqe(const struct nic_event *event, uint8_t eqe[EQE_BYTES])
{
	be32 number = to_be32(event->number);
	uint8_t *data = eqe + EQE_DATA;

	memset(eqe, 0, EQE_BYTES);
	eqe[EQE_TYPE] = eqe_types[event->type];
	switch (event->type) {
	case NIC_EVENT_CQ_COMPLETION:
		memcpy(data + EQE_COMP_CQN, &number, sizeof(number));
		break;
	case NIC_EVENT_CQ_ERROR:
		memcpy(data + EQE_CQ_ERROR_CQN, &number, sizeof(number));
		data[EQE_CQ_ERROR_SYNDROME] = 1; /* overrun */
		break;
	case NIC_EVENT_PORT_DOWN:
	case NIC_EVENT_PORT_ACTIVE:
		eqe[EQE_SUB_TYPE] = event->type == NIC_EVENT_PORT_DOWN
					    ? PORT_SUB_TYPE_DOWN
					    : PORT_SUB_TYPE_ACTIVE;
		data[EQE_PORT] = (uint8_t)(event->number << 4);
		break;
	default:
		data[EQE_QP_TYPE] = event->type == NIC_EVENT_SRQ_LIMIT;
		memcpy(data + EQE_QP_NUMBER, &number, sizeof(number));
		break;
	}
}

static void tell(const struct uv_subscribe *s, const uint8_t eqe[EQE_BYTES])
{
	uint8_t message[sizeof(s->cookie) + EQE_BYTES];
	uint64_t one = 1;
	size_t bytes = sizeof(message);

	if (s->event_fd >= 0) {
		if (write(s->event_fd, &one, sizeof(one)) < 0)
			uv_say(NIC_LOG_WARN, "an eventfd takes no event");
		return;
	}
	memcpy(message, &s->cookie, sizeof(s->cookie));
	memcpy(message + sizeof(s->cookie), eqe, EQE_BYTES);
	if (uv_channel_omits_data(s->channel))
		bytes = sizeof(s->cookie);
	uv_channel_send(s->channel, message, bytes);
}

void uv_subscription_dispatch(const struct nic *nic, enum uv_source_kind kind,
			      const struct nic_event *event)
{
	uint8_t eqe[EQE_BYTES];
	struct subscription *s;

	/* Relaxed: a subscription made just now may miss this event. */
	if (!__atomic_load_n(&subscriptions, __ATOMIC_RELAXED))
		return;
	make_eqe(event, eqe);
	pthread_mutex_lock(&lock);
	for (s = subscriptions; s; s = s->next)
		if (s->what.nic == nic && s->what.kind == kind &&
		    s->what.number == event->number &&
		    s->what.event_type == eqe_types[event->type])
			tell(&s->what, eqe);
	pthread_mutex_unlock(&lock);
}

void uv_subscription_after_fork(void)
{
	pthread_mutex_init(&lock, NULL);
	subscriptions = NULL;
}
