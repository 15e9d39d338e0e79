/* SPDX-License-Identifier: MIT */
/*
 * The device handle: everything that a kernel needs, as plain data.
 *
 * Thread: the one in gda_init; gda_qp_error: any.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hw/doorbell.h"
#include "stack/dev/order.h"
#include "stack/host/internal.h"

static void fill_peers(struct gda *gda, const struct gda_hello *hellos,
		       size_t hello_bytes)
{
	const uint8_t *at = (const uint8_t *)hellos;
	int pe;

	for (pe = 0; pe < gda->config.npes; pe++, at += hello_bytes) {
		const struct gda_hello *hello = (const void *)at;

		gda->peers[pe].heap_addr = hello->heap_addr;
		gda->peers[pe].rkey = hello->rkey;
	}
}

static uint8_t *register_of(const struct gda *gda, const struct gda_qp *qp)
{
	uint8_t *page = gda->config.shared_uar ? gda->uar.base : qp->uar.base;

	return page + (gda->config.doorbell == GDA_DOORBELL_NO_RECORD
			       ? HW_UAR_NO_DBR
			       : HW_UAR_BF);
}

static void fill_qp(struct gda *gda, uint32_t index)
{
	const struct gda_qp *qp = &gda->qps[index];
	struct gda_dev_qp *dev = &gda->dev_qps[index];
	uint64_t start = gda->config.emu.start_counter;
	be32 *record =
		(be32 *)(gda->arena.addr + qp->record_offset + HW_WQE_BB);

	dev->sq = gda->arena.addr + qp->sq_offset;
	dev->cq = gda->arena.addr + qp->cq_offset;
	dev->record = record + HW_DBR_SND;
	dev->reg = register_of(gda, qp);
	dev->slots = gda_heap_slots(gda, index);
	dev->sink = (uintptr_t)gda_heap_sink(gda);
	dev->qpn = qp->qpn;
	dev->peer = index % (uint32_t)gda->config.npes;
	dev->depth = gda->config.qp_depth;
	dev->cq_depth_log2 = gda_log2(gda_cq_depth(gda));
	dev->slot_count = gda->config.fetch_slots;
	dev->batch = gda->config.batch;
	dev->bf_half_bytes = 1u << gda->caps.log_bf_reg_bytes >> 1;
	dev->doorbell = (uint8_t)gda->config.doorbell;
	dev->cq_ring = gda->config.cq_mode == GDA_CQ_RING;
	dev->shared = (uint8_t)gda->config.shared;
	dev->in_gpu = gda->config.queue_place == GDA_PLACE_GPU &&
		      gda->config.heap_place == GDA_PLACE_GPU;
	dev->reserved = dev->ready = dev->posted = start;
	dev->completed = dev->cq_consumer = start;
}

static void fill_handle(struct gda *gda)
{
	struct gda_dev *dev = &gda->dev;

	dev->version = GDA_DEV_VERSION;
	dev->pe = gda->config.pe;
	dev->npes = gda->config.npes;
	dev->lanes = (int32_t)gda->config.qps_per_peer;
	dev->lane = GDA_DEV_LANE_ALL;
	dev->heap_lkey = gda->heap_mr.lkey;
	dev->heap_addr = (uintptr_t)gda->heap;
	dev->heap_bytes = gda->heap_len;
	dev->peers = gda->peers;
	dev->qps = gda->dev_qps;
	dev->buffers = gda->buffers;
	dev->buffer_count = gda->config.max_buffers;
	dev->barrier = gda_heap_barrier(gda);
	dev->swap_results_8 = gda->caps.swap_results_8;
	dev->timeout_ns = gda->config.op_timeout_ms * 1000000ull;
	gda->ops->pause_hook(gda->backend, &dev->pause, &dev->pause_arg);
}

enum { PAGE = 4096 };

static size_t whole_pages(size_t bytes)
{
	return (bytes + PAGE - 1) & ~(size_t)(PAGE - 1);
}

/* Zeroed, on pages of its own: a GPU maps whole pages. */
static void *alloc_table(size_t bytes)
{
	size_t whole = whole_pages(bytes);
	void *table = aligned_alloc(PAGE, whole);

	if (table)
		memset(table, 0, whole);
	return table;
}

int gda_export(struct gda *gda, const struct gda_hello *hellos,
	       size_t hello_bytes)
{
	size_t npes = (size_t)gda->config.npes;
	uint32_t i;

	gda->peers = alloc_table(npes * sizeof(*gda->peers));
	gda->buffers = alloc_table((gda->config.max_buffers + 1) *
				   sizeof(*gda->buffers));
	gda->buffer_mrs =
		calloc(gda->config.max_buffers + 1, sizeof(*gda->buffer_mrs));
	gda->dev_qps = alloc_table(gda->qp_count * sizeof(*gda->dev_qps));
	if (!gda->peers || !gda->buffers || !gda->buffer_mrs || !gda->dev_qps)
		return gda_fail(&gda->config, -ENOMEM,
				"device handle: no memory");
	fill_peers(gda, hellos, hello_bytes);
	for (i = 0; i < gda->qp_count; i++)
		fill_qp(gda, i);
	fill_handle(gda);
	return 0;
}

void gda_unexport(struct gda *gda)
{
	if (gda->buffers && gda->buffer_mrs)
		gda_buffers_close(gda);
	free(gda->peers);
	free(gda->buffers);
	free(gda->buffer_mrs);
	free(gda->dev_qps);
}

/* Doorbell pages: one for all, or one for each queue pair. */
static int uar_piece(const struct gda *gda, unsigned index,
		     struct gda_piece *piece)
{
	unsigned count = gda->config.shared_uar ? 1 : gda->qp_count;

	if (index >= count)
		return -ENOENT;
	piece->addr = gda->config.shared_uar ? gda->uar.base
					     : gda->qps[index].uar.base;
	piece->len = HW_UAR_BYTES;
	return 0;
}

int gda_memory(const struct gda *gda, unsigned index, struct gda_piece *piece)
{
	const struct gda_config *config = &gda->config;
	const struct gda_piece pieces[] = {
		{gda->heap, gda->heap_len},
		{gda->arena.addr, gda->arena.len},
		{gda->dev_qps, gda->qp_count * sizeof(*gda->dev_qps)},
		{gda->peers, (size_t)config->npes * sizeof(*gda->peers)},
		{gda->buffers,
		 (config->max_buffers + 1) * sizeof(*gda->buffers)},
	};
	unsigned count = sizeof(pieces) / sizeof(pieces[0]);

	if (index >= count)
		return uar_piece(gda, index - count, piece);
	piece->addr = pieces[index].addr;
	piece->len = whole_pages(pieces[index].len);
	return 0;
}

const struct gda_dev *gda_device(const struct gda *gda)
{
	return &gda->dev;
}

int gda_qp_error(const struct gda *gda, int pe, uint32_t lane,
		 struct gda_qp_error *error)
{
	const struct gda_dev_qp *qp;

	if (pe < 0 || pe >= gda->config.npes ||
	    lane >= gda->config.qps_per_peer)
		return gda_fail(&gda->config, -EINVAL,
				"gda_qp_error: PE %d lane %u, expected below "
				"%d and %u",
				pe, lane, gda->config.npes,
				gda->config.qps_per_peer);
	qp = &gda->dev_qps[lane * (uint32_t)gda->config.npes + (uint32_t)pe];
	memset(error, 0, sizeof(*error));
	error->peer = (uint32_t)pe;
	error->lane = lane;
	error->qpn = qp->qpn;
	if (!gda_order_load_counter(&qp->error))
		return 0;
	error->code = qp->failure_code;
	error->wqe_index = (uint16_t)qp->failure_index;
	error->syndrome = qp->failure_syndrome;
	error->vendor_syndrome = qp->failure_vendor;
	error->wqe_opcode = qp->failure_opcode;
	return 0;
}
