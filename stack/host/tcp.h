/* SPDX-License-Identifier: MIT */
/*
 * What travels over the rendezvous connections, and the state both sides
 * share. PE 0 is the root: all others hold one connection to it.
 *
 *	other -> root   hello
 *	root -> other   GO, once all are there; or FAIL and a sentence
 *	other -> root   GATHER and its part
 *	root -> other   GATHER and all parts; or FAIL and a sentence
 *
 * Integers are little-endian, as on all hosts that we build for.
 * Thread: one call of a PE at a time.
 */
#ifndef GDA_HOST_TCP_H
#define GDA_HOST_TCP_H

#include "stack/gda.h"
#include "stack/host/net.h"

enum { GDA_TCP_MAGIC = 0x31414447, GDA_TCP_VERSION = 1 };

struct gda_tcp_hello {
	uint32_t magic;
	uint32_t version;
	int32_t npes;
	int32_t pe;
	uint32_t pid;
	uint32_t rsvd20;
	char host[40];
	char job[64];
};

enum gda_tcp_type {
	GDA_TCP_GO = 1,
	GDA_TCP_FAIL,
	GDA_TCP_GATHER,
};

struct gda_tcp_message {
	uint32_t type;
	int32_t code; /* FAIL: what the call returns */
	uint64_t len; /* bytes that follow: text or parts */
};

enum { GDA_TCP_TEXT = 384 };

/* A connection of the root. */
struct gda_tcp_peer {
	int fd;	    /* -1: none */
	size_t got; /* bytes of the message that is being received */
	struct gda_tcp_hello hello;
	struct gda_tcp_message message;
};

struct gda_tcp {
	struct gda_bootstrap base;
	int broken; /* after a failure: what every call returns */
	int fd;	    /* others: the connection to the root */
	struct gda_tcp_peer *peers; /* root: [npes], [0] unused */
	struct pollfd *pollfds;	    /* root: room for all */
};

void gda_tcp_fill_hello(const struct gda_config *config,
			struct gda_tcp_hello *hello);

/* Close all and free. */
void gda_tcp_free(struct gda_tcp *tcp);

/* tcp_root.c: accept all others. Returns as gda_init. */
int gda_tcp_serve(struct gda_tcp *tcp);

/* Remember the failure, and tell it to all connected PEs. */
int gda_tcp_broadcast_failure(struct gda_tcp *tcp, int code, const char *fmt,
			      ...) __attribute__((format(printf, 3, 4)));
void gda_tcp_refuse(int fd, int code, const char *text);

#endif
