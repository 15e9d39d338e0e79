/* SPDX-License-Identifier: MIT */
/*
 * The rendezvous of processes over TCP: joining it, and allgather through
 * PE 0. The bytes are in tcp.h, PE 0's waiting room is in tcp_root.c.
 *
 * Thread: one call of a PE at a time.
 */
#include "stack/host/bootstrap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stack/host/internal.h"
#include "stack/host/tcp.h"

/* How much longer the others wait than PE 0, which knows who is missing. */
enum { GRACE_MS = 2000 };

void gda_tcp_fill_hello(const struct gda_config *config,
			struct gda_tcp_hello *hello)
{
	memset(hello, 0, sizeof(*hello));
	hello->magic = GDA_TCP_MAGIC;
	hello->version = GDA_TCP_VERSION;
	hello->npes = config->npes;
	hello->pe = config->pe;
	hello->pid = (uint32_t)getpid();
	gethostname(hello->host, sizeof(hello->host) - 1);
	snprintf(hello->job, sizeof(hello->job), "%s", config->job);
}

void gda_tcp_free(struct gda_tcp *tcp)
{
	int pe;

	for (pe = 1; tcp->peers && pe < tcp->base.config->npes; pe++)
		if (tcp->peers[pe].fd >= 0)
			close(tcp->peers[pe].fd);
	if (tcp->fd >= 0)
		close(tcp->fd);
	free(tcp->peers);
	free(tcp->pollfds);
	free(tcp);
}

static void close_tcp(struct gda_bootstrap *bootstrap)
{
	gda_tcp_free((struct gda_tcp *)bootstrap);
}

/* ------------------------------------------------- the others: to PE 0 */

static int break_client(struct gda_tcp *tcp, int code, const char *what)
{
	const struct gda_config *config = tcp->base.config;

	tcp->broken = code;
	if (code == -ETIMEDOUT)
		return gda_fail(config, code,
				"%s: PE %d had no answer from PE 0 at %s "
				"within %u ms",
				what, config->pe, config->root,
				config->timeout_ms);
	return gda_fail(config, code,
			"%s: PE 0 at %s closed the connection of PE %d", what,
			config->root, config->pe);
}

/* PE 0 tells what went wrong. */
static int receive_failure(struct gda_tcp *tcp, const struct gda_net_wait *wait,
			   const struct gda_tcp_message *message)
{
	char text[GDA_TCP_TEXT] = "";

	tcp->broken = message->code < 0 ? message->code : -EPROTO;
	if (message->len >= sizeof(text) ||
	    gda_net_recv(wait, tcp->fd, text, message->len))
		return break_client(tcp, -EPROTO, "rendezvous");
	return gda_fail(tcp->base.config, tcp->broken, "%s", text);
}

/* Wait for a message of the type and length, which follows. */
static int receive(struct gda_tcp *tcp, const struct gda_net_wait *wait,
		   struct gda_tcp_message *expected, const char *what)
{
	struct gda_tcp_message message;
	int rc = gda_net_recv(wait, tcp->fd, &message, sizeof(message));

	if (rc)
		return break_client(tcp, rc, what);
	if (message.type == GDA_TCP_FAIL)
		return receive_failure(tcp, wait, &message);
	if (message.type == expected->type && message.len == expected->len)
		return 0;
	tcp->broken = -EPROTO;
	return gda_fail(tcp->base.config, -EPROTO,
			"%s: PE %d got message %u of %llu bytes from PE 0, "
			"expected %u of %llu: collective calls differ",
			what, tcp->base.config->pe, message.type,
			(unsigned long long)message.len, expected->type,
			(unsigned long long)expected->len);
}

static int join(struct gda_tcp *tcp)
{
	const struct gda_config *config = tcp->base.config;
	struct gda_tcp_message go = {GDA_TCP_GO, 0, 0};
	struct gda_tcp_hello hello;
	struct gda_net_wait wait;
	int rc;

	gda_net_wait_begin(&wait, config->timeout_ms, NULL);
	tcp->fd = gda_net_connect(&wait, config->root);
	if (tcp->fd == -EINVAL)
		return gda_fail(config, -EINVAL,
				"config: root is \"%s\", expected host:port "
				"of PE 0",
				config->root);
	if (tcp->fd < 0)
		return gda_fail(config, -ETIMEDOUT,
				"rendezvous: PE 0 did not come: nobody listens "
				"at %s within %u ms (%s); PE %d gives up",
				config->root, config->timeout_ms,
				strerror(-tcp->fd), config->pe);
	gda_tcp_fill_hello(config, &hello);
	gda_net_wait_begin(&wait, config->timeout_ms + GRACE_MS, NULL);
	rc = gda_net_send(&wait, tcp->fd, &hello, sizeof(hello));
	if (rc)
		return break_client(tcp, rc, "rendezvous");
	return receive(tcp, &wait, &go, "rendezvous");
}

static int gather_client(struct gda_tcp *tcp, const void *mine, void *all,
			 size_t len)
{
	const struct gda_config *config = tcp->base.config;
	struct gda_tcp_message message = {GDA_TCP_GATHER, 0, len};
	struct gda_net_wait wait;
	int rc;

	gda_net_wait_begin(&wait, config->timeout_ms + GRACE_MS,
			   &tcp->base.idle);
	/* A failure to send is reported by what PE 0 may have said before. */
	rc = gda_net_send(&wait, tcp->fd, &message, sizeof(message));
	if (!rc)
		gda_net_send(&wait, tcp->fd, mine, len);
	message.len = len * (size_t)config->npes;
	rc = receive(tcp, &wait, &message, "allgather");
	if (rc)
		return rc;
	rc = gda_net_recv(&wait, tcp->fd, all, message.len);
	return rc ? break_client(tcp, rc, "allgather") : 0;
}

/* ----------------------------------------------------------- PE 0: root */

struct gather {
	uint8_t *all;
	size_t len;
	int missing;
};

/* A PE that goes after the last call of all is not an error to name here. */
static int lost(struct gda_tcp *tcp, int pe)
{
	struct gda_tcp_peer *peer = &tcp->peers[pe];

	close(peer->fd);
	peer->fd = -1;
	return gda_tcp_broadcast_failure(
		tcp, -ECONNRESET,
		"PE %d (process %u on %s) is gone: its connection to PE 0 "
		"closed",
		pe, peer->hello.pid, peer->hello.host);
}

/* Where the next bytes of this PE go; 0: nothing more is expected. */
static size_t want(struct gda_tcp_peer *peer, struct gather *gather, int pe,
		   uint8_t **to)
{
	size_t head = sizeof(peer->message);

	if (peer->got < head) {
		*to = (uint8_t *)&peer->message + peer->got;
		return head - peer->got;
	}
	*to = gather->all + (size_t)pe * gather->len + (peer->got - head);
	return gather->len - (peer->got - head);
}

static int check_part(struct gda_tcp *tcp, const struct gather *gather, int pe)
{
	const struct gda_tcp_message *message = &tcp->peers[pe].message;

	if (message->type == GDA_TCP_GATHER && message->len == gather->len)
		return 0;
	return gda_tcp_broadcast_failure(
		tcp, -EPROTO,
		"allgather: PE %d passed %llu bytes and PE 0 %zu: collective "
		"calls differ",
		pe, (unsigned long long)message->len, gather->len);
}

static int hear(struct gda_tcp *tcp, struct gather *gather, int pe)
{
	struct gda_tcp_peer *peer = &tcp->peers[pe];
	uint8_t *to, extra;
	size_t len = want(peer, gather, pe, &to);
	ptrdiff_t count = len ? gda_net_take(peer->fd, to, len)
			      : gda_net_take(peer->fd, &extra, 1);

	if (count < 0 || (!len && count))
		return lost(tcp, pe);
	if (!count)
		return 0;
	peer->got += (size_t)count;
	if (peer->got == sizeof(peer->message) && check_part(tcp, gather, pe))
		return tcp->broken;
	if (peer->got == sizeof(peer->message) + gather->len)
		gather->missing--;
	return 0;
}

static int fail_late(struct gda_tcp *tcp, const struct gather *gather)
{
	size_t whole = sizeof(struct gda_tcp_message) + gather->len;
	char names[200] = "";
	size_t at = 0;
	int pe;

	for (pe = 1; pe < tcp->base.config->npes && at + 16 < sizeof(names);
	     pe++)
		if (tcp->peers[pe].got < whole)
			at += (size_t)snprintf(names + at, sizeof(names) - at,
					       "%s%d", at ? ", " : "", pe);
	return gda_tcp_broadcast_failure(
		tcp, -ETIMEDOUT,
		"barrier or allgather: PE %s did not come within %u ms", names,
		tcp->base.config->timeout_ms);
}

static int collect(struct gda_tcp *tcp, struct gather *gather)
{
	const struct gda_config *config = tcp->base.config;
	struct gda_net_wait wait;
	int pe, rc = 0;

	gda_net_wait_begin(&wait, config->timeout_ms, &tcp->base.idle);
	for (pe = 1; pe < config->npes; pe++)
		tcp->peers[pe].got = 0;
	while (!rc && gather->missing) {
		for (pe = 1; pe < config->npes; pe++)
			tcp->pollfds[pe] =
				(struct pollfd){tcp->peers[pe].fd, POLLIN, 0};
		if (gda_net_poll(&wait, tcp->pollfds + 1,
				 (nfds_t)config->npes - 1) <= 0)
			return fail_late(tcp, gather);
		for (pe = 1; !rc && pe < config->npes; pe++)
			if (tcp->pollfds[pe].revents)
				rc = hear(tcp, gather, pe);
	}
	return rc;
}

static int distribute(struct gda_tcp *tcp, const struct gather *gather)
{
	const struct gda_config *config = tcp->base.config;
	struct gda_tcp_message message = {GDA_TCP_GATHER, 0,
					  gather->len * (size_t)config->npes};
	struct gda_net_wait wait;
	int pe;

	gda_net_wait_begin(&wait, config->timeout_ms, &tcp->base.idle);
	for (pe = 1; pe < config->npes; pe++) {
		int fd = tcp->peers[pe].fd;

		if (gda_net_send(&wait, fd, &message, sizeof(message)) ||
		    gda_net_send(&wait, fd, gather->all, message.len))
			return lost(tcp, pe);
	}
	return 0;
}

static int gather_root(struct gda_tcp *tcp, const void *mine, void *all,
		       size_t len)
{
	struct gather gather = {all, len, tcp->base.config->npes - 1};
	int rc;

	memcpy(all, mine, len);
	rc = collect(tcp, &gather);
	return rc ? rc : distribute(tcp, &gather);
}

/* --------------------------------------------------------------- both */

static int allgather(struct gda_bootstrap *bootstrap, const void *mine,
		     void *all, size_t len)
{
	struct gda_tcp *tcp = (struct gda_tcp *)bootstrap;

	if (tcp->broken)
		return gda_fail(bootstrap->config, tcp->broken,
				"collective call after an earlier one failed: "
				"%s",
				gda_strerror(tcp->broken));
	if (bootstrap->config->pe)
		return gather_client(tcp, mine, all, len);
	return gather_root(tcp, mine, all, len);
}

static const struct gda_bootstrap_ops ops = {allgather, close_tcp};

/*
 * Somebody listens at our address. If it is another PE 0, it will tell both of
 * us; join() says what else it may be.
 */
static int meet_rival(struct gda_tcp *tcp)
{
	int rc = join(tcp);

	if (rc == -EEXIST || rc == -EPROTO)
		return rc;
	return gda_fail(tcp->base.config, -EADDRINUSE,
			"rendezvous: PE 0 cannot listen at %s: another program "
			"does (GDA_ROOT gives another address)",
			tcp->base.config->root);
}

static int serve(struct gda_tcp *tcp)
{
	const struct gda_config *config = tcp->base.config;
	int rc = gda_tcp_serve(tcp);

	if (!rc || tcp->broken)
		return rc;
	if (rc == -EADDRINUSE)
		return meet_rival(tcp);
	return gda_fail(config, rc, "rendezvous: PE 0 cannot listen at %s: %s",
			config->root, strerror(-rc));
}

int gda_bootstrap_tcp(const struct gda_config *config,
		      struct gda_bootstrap **out)
{
	struct gda_tcp *tcp = calloc(1, sizeof(*tcp));
	int pe, rc;

	if (!tcp)
		return gda_fail(config, -ENOMEM, "rendezvous: no memory");
	tcp->base.ops = &ops;
	tcp->base.config = config;
	tcp->fd = -1;
	tcp->peers = calloc((size_t)config->npes, sizeof(*tcp->peers));
	tcp->pollfds = calloc((size_t)config->npes, sizeof(*tcp->pollfds));
	for (pe = 0; tcp->peers && pe < config->npes; pe++)
		tcp->peers[pe].fd = -1;
	if (!tcp->peers || !tcp->pollfds)
		rc = gda_fail(config, -ENOMEM, "rendezvous: no memory");
	else
		rc = config->pe ? join(tcp) : serve(tcp);
	if (rc) {
		gda_tcp_free(tcp);
		return rc;
	}
	*out = &tcp->base;
	return 0;
}
