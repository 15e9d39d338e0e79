/* SPDX-License-Identifier: MIT */
/*
 * Gather: local memory into the payload of a packet, for writes and sends
 * (requester) and for read responses (responder).
 *
 * A payload that does not fit the packet's body travels as a list of pieces of
 * memory. If the pieces are too many for that (an indirect key may be made of
 * words), or are inline data, which the request holds and takes with it, the
 * packet gets a larger body and the bytes are copied.
 *
 * Thread: under the NIC's lock.
 */
#include <errno.h>
#include <string.h>

#include "emu/core.h"
#include "emu/dma.h"

/* A payload that is being put together. */
struct gather {
	struct nic *nic;
	struct nic_packet *packet;
	uint32_t done; /* bytes */
	bool by_reference;
	bool must_copy; /* whatever the memory is */
	const char **why;
};

/* Out of a GPU and into it again is a wait for every packet. */
static bool better_left(const struct gather *g)
{
	return !g->done && !g->must_copy && g->nic->wire->ops->refers;
}

static int add_piece(struct gather *g, void *memory, uint32_t len)
{
	struct nic_packet *packet = g->packet;
	struct nic_iov *iov = packet->body;

	if (__builtin_expect(dma_is_device(memory), 0) && better_left(g))
		g->by_reference = true;
	if (!g->by_reference) {
		if (dma_copy((uint8_t *)packet->body + g->done, memory, len)) {
			g->nic->counters.dma_faults++;
			*g->why = "the memory is not mapped any more";
			return -EIO;
		}
	} else if (packet->iov_count == packet->body_bytes / sizeof(*iov)) {
		return -ENOBUFS;
	} else {
		iov[packet->iov_count].addr = (uintptr_t)memory;
		iov[packet->iov_count].rsvd12 = 0;
		iov[packet->iov_count++].len = len;
	}
	g->done += len;
	return 0;
}

static int add_pieces(struct gather *g, struct mkey_use use)
{
	uint64_t len;
	void *memory;
	int ret;

	for (; use.len; nic_mkey_next(&use, len)) {
		memory = nic_mkey_piece(g->nic, &use, &len, g->why);
		if (!memory)
			return -EACCES;
		ret = add_piece(g, memory, (uint32_t)len);
		if (ret)
			return ret;
	}
	return 0;
}

static int add_range(struct gather *g, const struct mkey_use *use)
{
	void *memory = nic_mkey_direct(g->nic, use);

	return memory ? add_piece(g, memory, (uint32_t)use->len)
		      : add_pieces(g, *use);
}

static int add_inline(struct gather *g, const uint8_t *bytes, uint32_t len)
{
	if (g->by_reference)
		return -ENOBUFS;
	memcpy((uint8_t *)g->packet->body + g->done, bytes, len);
	g->done += len;
	return 0;
}

/* The part [offset, +payload_len) of the segments. */
static int add_segments(struct gather *g, const struct nic_qp *qp,
			const struct nic_request *r, uint32_t offset)
{
	const struct nic_sge *sge = nic_request_sges(r);
	uint32_t left = g->packet->payload_len;
	struct mkey_use use = {
		.pd = qp->pd, .qpn = qp->number, .access = MKEY_LOCAL_READ};
	unsigned i;
	int ret;

	for (i = 0; left; i++) {
		if (offset >= sge[i].len) {
			offset -= sge[i].len;
			continue;
		}
		use.len =
			sge[i].len - offset < left ? sge[i].len - offset : left;
		use.va = sge[i].va + offset;
		use.key = sge[i].lkey;
		if (r->inline_mask >> i & 1)
			ret = add_inline(g, nic_request_bytes(r) + use.va,
					 (uint32_t)use.len);
		else
			ret = add_range(g, &use);
		if (ret)
			return ret;
		left -= (uint32_t)use.len;
		offset = 0;
	}
	return 0;
}

static void start(struct gather *g)
{
	g->done = g->packet->iov_count = 0;
	g->by_reference = g->packet->payload_len > g->packet->body_bytes;
}

/* Start again with room for the bytes themselves. */
static int enlarge(struct gather *g)
{
	const struct wire *wire = g->nic->wire;
	int ret = wire->ops->enlarge(g->packet, g->packet->payload_len);

	g->must_copy = true;
	start(g);
	*g->why = "no memory to put its many pieces together";
	return ret;
}

int nic_gather(struct nic *nic, const struct nic_qp *qp,
	       const struct nic_request *request, uint32_t offset,
	       struct nic_packet *packet)
{
	const char *why;
	struct gather g = {.nic = nic,
			   .packet = packet,
			   .must_copy = !qp->acked,
			   .why = &why};
	int ret;

	start(&g);
	ret = add_segments(&g, qp, request, offset);
	if (ret != -ENOBUFS)
		return ret;
	ret = enlarge(&g);
	return ret ? ret : add_segments(&g, qp, request, offset);
}

int nic_gather_range(struct nic *nic, const struct mkey_use *use,
		     struct nic_packet *packet, const char **why)
{
	struct gather g = {.nic = nic, .packet = packet, .why = why};
	int ret;

	packet->payload_len = (uint32_t)use->len;
	start(&g);
	ret = add_range(&g, use);
	if (ret != -ENOBUFS)
		return ret;
	ret = enlarge(&g);
	return ret ? ret : add_range(&g, use);
}
