/* SPDX-License-Identifier: MIT */
/*
 * Sockets for the rendezvous: every wait has a deadline and keeps the device
 * moving.
 *
 * Thread: the caller's.
 */
#ifndef GDA_HOST_NET_H
#define GDA_HOST_NET_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stack/host/bootstrap.h"

struct gda_net_wait {
	uint64_t deadline_ns;
	const struct gda_idle *idle;
};

void gda_net_wait_begin(struct gda_net_wait *wait, uint32_t timeout_ms,
			const struct gda_idle *idle);

/* poll() in short steps. Returns as poll; 0 means the deadline passed. */
int gda_net_poll(const struct gda_net_wait *wait, struct pollfd *fds,
		 nfds_t count);

/* A listening socket at "host:port". Returns it, or a negative errno. */
int gda_net_listen(const char *address);

/* Connect, trying again as long as nobody listens. Returns as above. */
int gda_net_connect(const struct gda_net_wait *wait, const char *address);

/* A new, non-blocking connection. */
int gda_net_accept(int listener);

/*
 * Take what is there, up to len. Returns the count, 0: nothing now,
 * -ECONNRESET: the other side is gone.
 */
ptrdiff_t gda_net_take(int fd, void *buf, size_t len);

/* All of it. Returns 0, -ECONNRESET or -ETIMEDOUT. */
int gda_net_send(const struct gda_net_wait *wait, int fd, const void *buf,
		 size_t len);
int gda_net_recv(const struct gda_net_wait *wait, int fd, void *buf,
		 size_t len);

#endif
