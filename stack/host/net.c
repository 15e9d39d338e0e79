/* SPDX-License-Identifier: MIT */
/*
 * Sockets for the rendezvous. All are non-blocking; waiting is poll() in
 * steps of a millisecond if a device has to be moved in between.
 *
 * Thread: the caller's.
 */
#include "stack/host/net.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stack/dev/order.h"

enum { STEP_MS = 1, LONG_STEP_MS = 100, RETRY_MS = 10 };

void gda_net_wait_begin(struct gda_net_wait *wait, uint32_t timeout_ms,
			const struct gda_idle *idle)
{
	wait->deadline_ns = gda_dev_now_ns() + timeout_ms * 1000000ull;
	wait->idle = idle;
}

static void call_idle(const struct gda_net_wait *wait)
{
	if (wait->idle && wait->idle->fn)
		wait->idle->fn(wait->idle->arg);
}

int gda_net_poll(const struct gda_net_wait *wait, struct pollfd *fds,
		 nfds_t count)
{
	bool busy = wait->idle && wait->idle->fn;
	int rc;

	do {
		call_idle(wait);
		rc = poll(fds, count, busy ? STEP_MS : LONG_STEP_MS);
		if (rc > 0 || (rc < 0 && errno != EINTR))
			return rc;
	} while (gda_dev_now_ns() < wait->deadline_ns);
	return 0;
}

/* The last colon separates, so that IPv6 addresses may be given. */
static int resolve(const char *address, bool passive, struct addrinfo **list)
{
	struct addrinfo hints = {0};
	const char *colon = strrchr(address, ':');
	char host[256];

	if (!colon || (size_t)(colon - address) >= sizeof(host))
		return -EINVAL;
	memcpy(host, address, (size_t)(colon - address));
	host[colon - address] = 0;
	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = passive ? AI_PASSIVE : 0;
	return getaddrinfo(host[0] ? host : NULL, colon + 1, &hints, list)
		       ? -EINVAL
		       : 0;
}

static int make_socket(const struct addrinfo *at)
{
	int one = 1;
	int fd = socket(at->ai_family,
			at->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
			at->ai_protocol);

	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

int gda_net_listen(const char *address)
{
	struct addrinfo *list;
	int one = 1;
	int fd, rc = resolve(address, true, &list);

	if (rc)
		return rc;
	fd = make_socket(list);
	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (bind(fd, list->ai_addr, list->ai_addrlen) ||
		    listen(fd, 128)) {
			rc = -errno;
			close(fd);
			fd = rc;
		}
	}
	freeaddrinfo(list);
	return fd;
}

/* Returns 0 when connected. */
static int finish_connect(const struct gda_net_wait *wait, int fd)
{
	struct pollfd poller = {fd, POLLOUT, 0};
	socklen_t len = sizeof(int);
	int error = 0;

	if (gda_net_poll(wait, &poller, 1) <= 0)
		return -ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len))
		return -errno;
	return -error;
}

static int connect_once(const struct gda_net_wait *wait,
			const struct addrinfo *at)
{
	int fd = make_socket(at);
	int rc = 0;

	if (fd < 0)
		return fd;
	if (connect(fd, at->ai_addr, at->ai_addrlen))
		rc = errno == EINPROGRESS ? finish_connect(wait, fd) : -errno;
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

int gda_net_connect(const struct gda_net_wait *wait, const char *address)
{
	struct addrinfo *list;
	int rc = resolve(address, false, &list);

	if (rc)
		return rc;
	for (;;) {
		rc = connect_once(wait, list);
		if (rc >= 0 || gda_dev_now_ns() >= wait->deadline_ns)
			break;
		call_idle(wait);
		poll(NULL, 0, RETRY_MS);
	}
	freeaddrinfo(list);
	return rc;
}

int gda_net_accept(int listener)
{
	int one = 1;
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

ptrdiff_t gda_net_take(int fd, void *buf, size_t len)
{
	ssize_t count = recv(fd, buf, len, 0);

	if (count > 0)
		return count;
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return -ECONNRESET;
}

int gda_net_send(const struct gda_net_wait *wait, int fd, const void *buf,
		 size_t len)
{
	struct pollfd poller = {fd, POLLOUT, 0};
	const uint8_t *at = buf;
	ssize_t count;

	while (len) {
		count = send(fd, at, len, MSG_NOSIGNAL);
		if (count > 0) {
			at += count;
			len -= (size_t)count;
		} else if (count < 0 && errno != EAGAIN && errno != EINTR) {
			return -ECONNRESET;
		} else if (gda_net_poll(wait, &poller, 1) <= 0) {
			return -ETIMEDOUT;
		}
	}
	return 0;
}

int gda_net_recv(const struct gda_net_wait *wait, int fd, void *buf, size_t len)
{
	struct pollfd poller = {fd, POLLIN, 0};
	uint8_t *at = buf;
	ptrdiff_t count;

	while (len) {
		count = gda_net_take(fd, at, len);
		if (count < 0)
			return (int)count;
		at += count;
		len -= (size_t)count;
		if (!count && gda_net_poll(wait, &poller, 1) <= 0)
			return -ETIMEDOUT;
	}
	return 0;
}
