/* SPDX-License-Identifier: MIT */
/*
 * The NIC's side of emu/wire.h for tests of the shared-memory wire: it keeps
 * what the wire delivers. For one .c file of a program, which then must not
 * use the real NIC.
 */
#ifndef T_SHM_NIC_H
#define T_SHM_NIC_H

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "emu/wire_shm.h"
#include "support/t_fabric.h"

enum { KEPT = 4096 };

/* ------------------------------------------------------------- our NIC */

struct nic {
	struct wire *wire;
	uint64_t guid;
	uint64_t now_ns;
	unsigned count; /* packets */
	uint32_t src_qpn[KEPT];
	struct nic_packet last;
	uint8_t payload[SHM_MTU];
	/* Where payload is pulled to; NULL: payload above */
	void *dst;
	enum nic_link link;
	int pull_status;
	unsigned downs;
	uint32_t down_peer;
	unsigned count_at_down;
	unsigned port_changes;
	bool port_down;
	char log[2048];
};

int nic_attach_wire(struct nic *nic, struct wire *wire)
{
	if (nic->wire)
		return -EBUSY;
	nic->wire = wire;
	return 0;
}

uint64_t nic_guid(struct nic *nic)
{
	return nic->guid;
}

void nic_query_port(struct nic *nic, struct nic_port *port)
{
	memset(port, 0, sizeof(*port));
	port->link = nic->link;
}

void nic_input(struct nic *nic, const struct nic_packet *packet)
{
	struct nic_mem dst = {.addr = nic->dst ? nic->dst : nic->payload,
			      .len = packet->payload_len};

	nic->src_qpn[nic->count++ % KEPT] = packet->src_qpn;
	nic->last = *packet;
	nic->pull_status = nic->wire->ops->pull(nic->wire, packet, 0, &dst);
}

void nic_peer_down(struct nic *nic, uint32_t peer)
{
	nic->downs++;
	nic->down_peer = peer;
	nic->count_at_down = nic->count;
}

void nic_port_change(struct nic *nic, bool active)
{
	nic->port_changes++;
	nic->port_down = !active;
	nic->wire->ops->show_port(nic->wire, active);
}

void nic_log(struct nic *nic, enum nic_log_level level, const char *fmt, ...)
{
	size_t used = strlen(nic->log);
	va_list args;

	(void)level;
	va_start(args, fmt);
	vsnprintf(nic->log + used, sizeof(nic->log) - used, fmt, args);
	va_end(args);
}

/* ------------------------------------------------------------- helpers */

static inline void attach(struct nic *nic, const char *dir)
{
	char text[256] = "";

	memset(nic, 0, sizeof(*nic));
	if (wire_shm_attach(dir, nic, text, sizeof(text)))
		fail_msg("attach: %s", text);
}

static inline void detach(struct nic *nic)
{
	if (nic->wire)
		nic->wire->ops->detach(nic->wire);
	nic->wire = NULL;
}

static inline struct wire_shm *shm_of(struct nic *nic)
{
	return (struct wire_shm *)nic->wire;
}

static inline unsigned poll_nic(struct nic *nic, unsigned budget)
{
	return nic->wire->ops->poll(nic->wire, nic, budget, nic->now_ns);
}

/* Time passes, so that processes are looked at; until nothing comes. */
static inline void settle(struct nic *nic)
{
	unsigned quiet = 0;

	while (quiet < 3) {
		nic->now_ns += 20000000;
		quiet = poll_nic(nic, 64) ? 0 : quiet + 1;
	}
}

static inline int resolve_lid(struct nic *nic, uint16_t lid, uint32_t *peer)
{
	struct wire_path path = {.lid = lid};

	return nic->wire->ops->resolve(nic->wire, &path, peer);
}

static inline uint32_t resolved(struct nic *nic, uint16_t lid)
{
	uint32_t peer;

	assert_int_equal(resolve_lid(nic, lid, &peer), 0);
	return peer;
}

static inline int reserve(struct nic *nic, uint32_t peer,
			  struct nic_packet **packet)
{
	return nic->wire->ops->reserve(nic->wire, peer, packet);
}

/* A packet with a number and so many bytes of it. */
static inline int send_bytes(struct nic *nic, uint32_t peer, uint32_t number,
			     uint32_t len)
{
	struct nic_packet *packet;
	int status = reserve(nic, peer, &packet);

	if (status)
		return status;
	memset(packet->header, (int)number & 0xff, 12);
	packet->header_len = 12;
	packet->src_qpn = number;
	packet->iov_count = 0;
	packet->payload_len = len;
	memset(packet->body, (int)(number + 1) & 0xff, len);
	nic->wire->ops->commit(nic->wire, peer, packet);
	return 0;
}

static inline void send_pieces(struct nic *nic, uint32_t peer,
			       const struct nic_iov *pieces, unsigned count)
{
	struct nic_packet *packet;

	assert_int_equal(reserve(nic, peer, &packet), 0);
	assert_true(count * sizeof(*pieces) <= packet->body_bytes);
	memset(packet->header, 0, 12);
	packet->header_len = 12;
	packet->src_qpn = 1;
	packet->iov_count = (uint16_t)count;
	packet->payload_len = 0;
	for (unsigned i = 0; i < count; i++)
		packet->payload_len += pieces[i].len;
	memcpy(packet->body, pieces, count * sizeof(*pieces));
	nic->wire->ops->commit(nic->wire, peer, packet);
}

static inline bool readable(struct nic *nic)
{
	struct pollfd pollfd = {.events = POLLIN};

	assert_int_equal(nic->wire->ops->fds(nic->wire, &pollfd.fd, 1), 1);
	return poll(&pollfd, 1, 0) == 1;
}

static inline bool becomes_readable(struct nic *nic)
{
	struct pollfd pollfd = {.events = POLLIN};

	nic->wire->ops->fds(nic->wire, &pollfd.fd, 1);
	return poll(&pollfd, 1, 20000) == 1;
}

struct fixture {
	char dir[T_PATH];
	struct nic a, b, c;
};

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	t_dir_make(f->dir);
	attach(&f->a, f->dir);
	attach(&f->b, f->dir);
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	detach(&f->a);
	detach(&f->b);
	detach(&f->c);
	/* Everybody left: nothing but the lock file stays. */
	assert_int_equal(t_dir_count(f->dir, ""), 1);
	t_dir_remove(f->dir);
	free(f);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
