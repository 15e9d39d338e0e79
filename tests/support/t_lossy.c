/* SPDX-License-Identifier: MIT */
/*
 * A wire for tests that loses, repeats, delays and reorders packets, see
 * t_lossy.h.
 *
 * Thread: one.
 */
#include "support/t_lossy.h"

#include <errno.h>
#include <stdlib.h>

#include "emu/dma.h"

struct port {
	struct wire wire;
	struct t_lossy *net;
	unsigned index;
	struct nic_packet staging;
	uint8_t body[T_LOSSY_BODY];
};

static struct port *port_of(struct wire *wire)
{
	return (struct port *)wire; /* wire is the first member */
}

/* ----------------------------------------------------------------- send */

static int lossy_resolve(struct wire *wire, const struct wire_path *path,
			 uint32_t *peer)
{
	const struct t_lossy *net = port_of(wire)->net;
	unsigned i;

	for (i = 0; i < net->count; i++) {
		if (path->global ? memcmp(path->gid + 8, &net->guids[i], 8) != 0
				 : path->lid != i + 1)
			continue;
		*peer = i;
		return 0;
	}
	return -EHOSTUNREACH;
}

static int lossy_reserve(struct wire *wire, uint32_t peer,
			 struct nic_packet **packet)
{
	struct port *port = port_of(wire);
	struct t_lossy *net = port->net;

	(void)peer;
	if (net->rates.busy && t_chance(&net->rng, net->rates.busy))
		return -EAGAIN;
	port->staging.body = port->body;
	port->staging.body_bytes = sizeof(port->body);
	*packet = &port->staging;
	return 0;
}

static void lossy_address(struct wire *wire, uint32_t peer,
			  struct wire_address *address)
{
	static const uint8_t prefix[8] = {0xfe, 0x80};

	address->lid = (uint16_t)(peer + 1);
	memcpy(address->gid, prefix, sizeof(prefix));
	memcpy(address->gid + 8, &port_of(wire)->net->guids[peer], 8);
}

static struct t_cell *get_cell(struct t_lossy *net)
{
	struct t_cell *cell = net->spare;

	if (cell) {
		net->spare = cell->next;
		return cell;
	}
	cell = calloc(1, sizeof(*cell));
	assert_non_null(cell);
	return cell;
}

/* Behind every packet that is due no later. */
static void launch(struct t_lossy *net, struct t_cell *cell)
{
	struct t_cell **link = &net->flying;

	while (*link && (*link)->due_ns <= cell->due_ns)
		link = &(*link)->next;
	cell->next = *link;
	*link = cell;
}

static void send_copy(struct port *port, uint32_t peer,
		      const struct nic_packet *packet, uint64_t extra_ns)
{
	struct t_lossy *net = port->net;
	struct t_cell *cell = get_cell(net);

	if (net->link_free_ns < net->now_ns)
		net->link_free_ns = net->now_ns;
	net->link_free_ns += T_LOSSY_PACKET_NS;
	cell->due_ns = net->link_free_ns + T_LOSSY_HOP_NS + extra_ns;
	cell->to = peer;
	cell->packet = *packet;
	cell->packet.peer = port->index;
	cell->packet.src_qpn = 0; /* no network tells it */
	cell->packet.body = cell->body;
	memcpy(cell->body, packet->body, packet->payload_len);
	launch(net, cell);
}

static struct t_sight look(const struct port *port, uint32_t peer,
			   const struct nic_packet *packet)
{
	struct t_sight sight = {.from = port->index,
				.to = peer,
				.payload_len = packet->payload_len};
	struct hw_bth bth;

	memcpy(&bth, packet->header, sizeof(bth));
	sight.bth = hw_bth_decode(&bth);
	if (hw_pkt_op(sight.bth.opcode).flags & HW_PKTF_AETH)
		sight.syndrome = packet->header[HW_BTH_BYTES];
	return sight;
}

static enum t_fate draw(struct t_lossy *net)
{
	const struct t_lossy_rates *rates = &net->rates;

	if (rates->drop && t_chance(&net->rng, rates->drop))
		return T_DROP;
	if (rates->duplicate && t_chance(&net->rng, rates->duplicate))
		return T_TWICE;
	if (rates->reorder && t_chance(&net->rng, rates->reorder))
		return T_LATE;
	return T_PASS;
}

static uint64_t lateness(struct t_lossy *net)
{
	uint64_t most = net->rates.delay_ns;

	return most ? t_random(&net->rng) % most : 0;
}

static void lossy_commit(struct wire *wire, uint32_t peer,
			 struct nic_packet *packet)
{
	struct port *port = port_of(wire);
	struct t_lossy *net = port->net;
	struct t_sight sight;
	enum t_fate fate = T_PASS;

	if (!packet->header_len)
		return;
	assert_int_equal(packet->iov_count, 0);
	assert_true(packet->payload_len <= T_LOSSY_BODY);
	sight = look(port, peer, packet);
	net->sent++;
	if (net->filter)
		fate = net->filter(net->filter_arg, &sight);
	if (fate == T_PASS)
		fate = draw(net);
	if (fate == T_DROP) {
		net->dropped++;
		return;
	}
	send_copy(port, peer, packet, fate == T_LATE ? lateness(net) : 0);
	if (fate == T_TWICE)
		send_copy(port, peer, packet, lateness(net));
}

/* -------------------------------------------------------------- receive */

static unsigned lossy_poll(struct wire *wire, struct nic *nic, unsigned budget,
			   uint64_t now_ns)
{
	struct port *port = port_of(wire);
	struct t_lossy *net = port->net;
	struct t_cell **link = &net->flying;
	struct t_cell *cell;
	unsigned count = 0;

	if (now_ns > net->now_ns)
		net->now_ns = now_ns;
	while ((cell = *link) && cell->due_ns <= net->now_ns &&
	       count < budget) {
		if (cell->to != port->index) {
			link = &cell->next;
			continue;
		}
		*link = cell->next;
		nic_input(nic, &cell->packet);
		cell->next = net->spare;
		net->spare = cell;
		count++;
	}
	return count;
}

static int lossy_pull(struct wire *wire, const struct nic_packet *packet,
		      uint64_t offset, const struct nic_mem *dst)
{
	(void)wire;
	return dma_store(dst->addr, (const uint8_t *)packet->body + offset,
			 dst->len);
}

/* ------------------------------------------------------- attach, detach */

static void lossy_detach(struct wire *wire)
{
	struct port *port = port_of(wire);

	port->net->nics[port->index] = NULL;
	free(port);
}

static const struct wire_ops lossy_ops = {
	.name = "lossy",
	.lossless = false,
	.mtu = 0,
	.resolve = lossy_resolve,
	.address = lossy_address,
	.reserve = lossy_reserve,
	.commit = lossy_commit,
	.poll = lossy_poll,
	.pull = lossy_pull,
	.detach = lossy_detach,
};

void t_lossy_attach(struct t_lossy *net, struct t_node *node)
{
	static const uint8_t prefix[8] = {0xfe, 0x80};
	struct port *port = calloc(1, sizeof(*port));

	assert_non_null(port);
	assert_true(net->count < T_LOSSY_NICS);
	port->wire.ops = &lossy_ops;
	port->net = net;
	port->index = net->count;
	net->guids[net->count] = to_be64(0xbe1f00 + net->count).raw;
	port->wire.address.lid = (uint16_t)(net->count + 1);
	memcpy(port->wire.address.gid, prefix, sizeof(prefix));
	memcpy(port->wire.address.gid + 8, &net->guids[net->count], 8);
	net->nics[net->count++] = node->nic;
	assert_int_equal(nic_attach_wire(node->nic, &port->wire), 0);
}

void t_lossy_open(struct t_lossy *net, uint64_t seed)
{
	memset(net, 0, sizeof(*net));
	net->rng.state = seed;
}

static void free_cells(struct t_cell *cell)
{
	struct t_cell *next;

	for (; cell; cell = next) {
		next = cell->next;
		free(cell);
	}
}

void t_lossy_close(struct t_lossy *net)
{
	free_cells(net->flying);
	free_cells(net->spare);
	net->flying = net->spare = NULL;
}

/* ----------------------------------------------------------------- time */

uint64_t t_lossy_due(const struct t_lossy *net)
{
	return net->flying ? net->flying->due_ns : UINT64_MAX;
}

uint64_t t_lossy_next(const struct t_lossy *net, struct t_node *nodes,
		      unsigned count)
{
	uint64_t next = t_lossy_due(net), deadline;
	unsigned i;

	for (i = 0; i < count; i++) {
		deadline = nic_deadline(nodes[i].nic);
		if (deadline < next)
			next = deadline;
	}
	return next;
}

void t_lossy_set_time(struct t_node *nodes, unsigned count, uint64_t now_ns)
{
	unsigned i;

	for (i = 0; i < count; i++)
		if (now_ns > nodes[i].now_ns)
			nodes[i].now_ns = now_ns;
}

void t_lossy_run(struct t_lossy *net, struct t_node *nodes, unsigned count,
		 uint64_t limit_ns)
{
	uint64_t end = nodes[0].now_ns + limit_ns, next;

	for (;;) {
		t_run(nodes, count);
		next = t_lossy_next(net, nodes, count);
		if (next == UINT64_MAX || next > end)
			break;
		t_lossy_set_time(nodes, count, next);
	}
	if (next != UINT64_MAX)
		t_lossy_set_time(nodes, count, end);
}
