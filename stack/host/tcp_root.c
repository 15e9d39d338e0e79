/* SPDX-License-Identifier: MIT */
/*
 * The rendezvous at PE 0: accept connections until every PE has said hello.
 *
 * A stranger (other protocol, version or job) is turned away and the rest goes
 * on. A contradiction (another PE count, a number claimed twice, a PE that
 * dies) ends it for all, by name.
 *
 * Thread: the one in gda_init.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stack/host/internal.h"
#include "stack/host/tcp.h"

enum { STRANGERS_MAX = 64 };

struct lobby {
	struct gda_tcp *tcp;
	int listener;
	int missing;
	/* Connections that have not said who they are. */
	struct gda_tcp_peer strangers[STRANGERS_MAX];
	int stranger_count;
};

static const struct gda_config *config_of(const struct lobby *lobby)
{
	return lobby->tcp->base.config;
}

void gda_tcp_refuse(int fd, int code, const char *text)
{
	struct gda_tcp_message message = {GDA_TCP_FAIL, code, strlen(text)};
	struct gda_net_wait wait;

	/* The other side has room in its socket or is not worth waiting for. */
	gda_net_wait_begin(&wait, 100, NULL);
	if (!gda_net_send(&wait, fd, &message, sizeof(message)))
		gda_net_send(&wait, fd, text, message.len);
}

int gda_tcp_broadcast_failure(struct gda_tcp *tcp, int code, const char *fmt,
			      ...)
{
	char text[GDA_TCP_TEXT];
	va_list args;
	int pe;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	for (pe = 1; pe < tcp->base.config->npes; pe++)
		if (tcp->peers[pe].fd >= 0)
			gda_tcp_refuse(tcp->peers[pe].fd, code, text);
	tcp->broken = code;
	return gda_fail(tcp->base.config, code, "%s", text);
}

/* "1, 3-5": the PEs that have not said hello. */
static void list_missing(const struct lobby *lobby, char *buf, size_t size)
{
	const struct gda_tcp_peer *peers = lobby->tcp->peers;
	int npes = config_of(lobby)->npes;
	int pe, last;
	size_t at = 0;

	buf[0] = 0;
	for (pe = 1; pe < npes && at + 32 < size; pe = last + 1) {
		last = pe;
		if (peers[pe].fd >= 0)
			continue;
		while (last + 1 < npes && peers[last + 1].fd < 0)
			last++;
		at += (size_t)snprintf(buf + at, size - at, "%s%d",
				       at ? ", " : "", pe);
		if (last > pe)
			at += (size_t)snprintf(buf + at, size - at, "-%d",
					       last);
	}
}

static int fail_missing(struct lobby *lobby)
{
	char missing[200];

	list_missing(lobby, missing, sizeof(missing));
	return gda_tcp_broadcast_failure(
		lobby->tcp, -ETIMEDOUT,
		"rendezvous at %s: PE %s did not come within %u ms (%d of %d "
		"are there)",
		config_of(lobby)->root, missing, config_of(lobby)->timeout_ms,
		config_of(lobby)->npes - lobby->missing,
		config_of(lobby)->npes);
}

static int fail_duplicate(struct lobby *lobby, struct gda_tcp_peer *late)
{
	const struct gda_tcp_peer *first = &lobby->tcp->peers[late->hello.pe];
	const struct gda_config *config = config_of(lobby);
	char text[GDA_TCP_TEXT];
	struct gda_tcp_hello own;
	const struct gda_tcp_hello *one = &first->hello;

	if (!late->hello.pe) {
		gda_tcp_fill_hello(config, &own);
		one = &own;
	}
	snprintf(text, sizeof(text),
		 "rendezvous at %s: two processes claim PE %d: process %u on "
		 "%.40s and process %u on %.40s",
		 config->root, late->hello.pe, one->pid, one->host,
		 late->hello.pid, late->hello.host);
	gda_tcp_refuse(late->fd, -EEXIST, text);
	return gda_tcp_broadcast_failure(lobby->tcp, -EEXIST, "%s", text);
}

static int fail_npes(struct lobby *lobby, struct gda_tcp_peer *late)
{
	const struct gda_config *config = config_of(lobby);
	char text[GDA_TCP_TEXT];

	snprintf(text, sizeof(text),
		 "rendezvous at %s: PE %d (process %u on %.40s) counts %d PEs, "
		 "PE 0 counts %d, expected the same",
		 config->root, late->hello.pe, late->hello.pid,
		 late->hello.host, late->hello.npes, config->npes);
	gda_tcp_refuse(late->fd, -EPROTO, text);
	return gda_tcp_broadcast_failure(lobby->tcp, -EPROTO, "%s", text);
}

/* Why this connection is not one of ours; NULL: it is. */
static const char *why_stranger(const struct gda_config *config,
				const struct gda_tcp_hello *hello)
{
	if (hello->magic != GDA_TCP_MAGIC)
		return "rendezvous: that was no hello of this library";
	if (hello->version != GDA_TCP_VERSION)
		return "rendezvous: another version of this library";
	if (strncmp(hello->job, config->job, sizeof(hello->job) - 1))
		return "rendezvous: another job (GDA_JOB) uses this address";
	if (hello->pe < 0 || hello->pe >= hello->npes)
		return "rendezvous: the PE number is not below the PE count";
	return NULL;
}

/* The hello is complete. Returns 0 if the connection is no stranger now. */
static int welcome(struct lobby *lobby, struct gda_tcp_peer *late)
{
	const char *why = why_stranger(config_of(lobby), &late->hello);
	struct gda_tcp_peer *peer;

	if (why) {
		gda_log(config_of(lobby), GDA_LOG_WARN,
			"PE 0 turned a connection away: %s", why);
		gda_tcp_refuse(late->fd, -EPROTO, why);
		close(late->fd);
		return 0;
	}
	if (late->hello.npes != config_of(lobby)->npes)
		return fail_npes(lobby, late);
	peer = &lobby->tcp->peers[late->hello.pe];
	if (!late->hello.pe || peer->fd >= 0)
		return fail_duplicate(lobby, late);
	late->hello.host[sizeof(late->hello.host) - 1] = 0;
	*peer = *late;
	peer->got = 0;
	lobby->missing--;
	return 0;
}

/* Returns 1 if the stranger is still one, 0 if its place is free. */
static int hear_stranger(struct lobby *lobby, struct gda_tcp_peer *late)
{
	ptrdiff_t count =
		gda_net_take(late->fd, (uint8_t *)&late->hello + late->got,
			     sizeof(late->hello) - late->got);

	if (count < 0) {
		close(late->fd);
		return 0;
	}
	late->got += (size_t)count;
	if (late->got < sizeof(late->hello))
		return 1;
	return welcome(lobby, late);
}

static int hear_strangers(struct lobby *lobby)
{
	int i = 0, rc;

	while (i < lobby->stranger_count) {
		rc = hear_stranger(lobby, &lobby->strangers[i]);
		if (rc < 0)
			return rc;
		if (rc)
			i++;
		else
			lobby->strangers[i] =
				lobby->strangers[--lobby->stranger_count];
	}
	return 0;
}

static void accept_all(struct lobby *lobby)
{
	struct gda_tcp_peer *late;
	int fd;

	while (lobby->stranger_count < STRANGERS_MAX) {
		fd = gda_net_accept(lobby->listener);
		if (fd < 0)
			return;
		late = &lobby->strangers[lobby->stranger_count++];
		memset(late, 0, sizeof(*late));
		late->fd = fd;
	}
}

/* A PE that has said hello has nothing to say now: readable means gone. */
static int check_guests(struct lobby *lobby)
{
	struct gda_tcp *tcp = lobby->tcp;
	char byte;
	int pe;

	for (pe = 1; pe < config_of(lobby)->npes; pe++) {
		struct gda_tcp_peer *peer = &tcp->peers[pe];

		if (peer->fd < 0 || !gda_net_take(peer->fd, &byte, 1))
			continue;
		close(peer->fd);
		peer->fd = -1;
		return gda_tcp_broadcast_failure(
			tcp, -ECONNRESET,
			"rendezvous at %s: PE %d (process %u on %s) left "
			"before all had come",
			config_of(lobby)->root, pe, peer->hello.pid,
			peer->hello.host);
	}
	return 0;
}

static nfds_t fill_poll(const struct lobby *lobby, struct pollfd *fds)
{
	nfds_t count = 0;
	int i;

	fds[count++] = (struct pollfd){lobby->listener, POLLIN, 0};
	for (i = 0; i < lobby->stranger_count; i++)
		fds[count++] =
			(struct pollfd){lobby->strangers[i].fd, POLLIN, 0};
	for (i = 1; i < config_of(lobby)->npes; i++)
		fds[count++] =
			(struct pollfd){lobby->tcp->peers[i].fd, POLLIN, 0};
	return count;
}

static int receive_all(struct lobby *lobby)
{
	struct pollfd *fds =
		calloc((size_t)config_of(lobby)->npes + STRANGERS_MAX + 1,
		       sizeof(*fds));
	struct gda_net_wait wait;
	int rc = fds ? 0 : -ENOMEM;

	gda_net_wait_begin(&wait, config_of(lobby)->timeout_ms, NULL);
	while (!rc && lobby->missing) {
		if (gda_net_poll(&wait, fds, fill_poll(lobby, fds)) <= 0) {
			rc = fail_missing(lobby);
			break;
		}
		accept_all(lobby);
		rc = hear_strangers(lobby);
		if (!rc)
			rc = check_guests(lobby);
	}
	free(fds);
	return rc;
}

static int say_go(struct gda_tcp *tcp)
{
	struct gda_tcp_message go = {GDA_TCP_GO, 0, 0};
	struct gda_net_wait wait;
	int pe;

	gda_net_wait_begin(&wait, tcp->base.config->timeout_ms, NULL);
	for (pe = 1; pe < tcp->base.config->npes; pe++)
		if (gda_net_send(&wait, tcp->peers[pe].fd, &go, sizeof(go)))
			return gda_tcp_broadcast_failure(
				tcp, -ECONNRESET,
				"rendezvous at %s: PE %d left",
				tcp->base.config->root, pe);
	return 0;
}

int gda_tcp_serve(struct gda_tcp *tcp)
{
	struct lobby lobby = {.tcp = tcp,
			      .missing = tcp->base.config->npes - 1};
	int i, rc;

	lobby.listener = gda_net_listen(tcp->base.config->root);
	if (lobby.listener < 0)
		return lobby.listener;
	rc = receive_all(&lobby);
	for (i = 0; i < lobby.stranger_count; i++)
		close(lobby.strangers[i].fd);
	close(lobby.listener);
	return rc ? rc : say_go(tcp);
}
