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
	be32 *record = (void *)gda_region_at(&gda->arena,
					     qp->record_offset + HW_WQE_BB);

	dev->sq = gda_region_at(&gda->arena, qp->sq_offset);
	dev->cq = gda_region_at(&gda->arena, qp->cq_offset);
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
	dev->heap_addr = (uintptr_t)gda->heap.mem.addr;
	dev->heap_bytes = gda->space.end;
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

/* Zeroed, on pages of their own: a GPU maps whole pages. */
static int alloc_tables(struct gda *gda)
{
	const struct gda_config *config = &gda->config;
	size_t qps = gda->qp_count * sizeof(*gda->dev_qps);
	size_t peers = (size_t)config->npes * sizeof(*gda->peers);
	size_t buffers = (config->max_buffers + 1) * sizeof(*gda->buffers);

	gda->tables_len = whole_pages(qps + buffers + peers);
	gda->tables = aligned_alloc(PAGE, gda->tables_len);
	gda->buffer_mrs =
		calloc(config->max_buffers + 1, sizeof(*gda->buffer_mrs));
	if (!gda->tables || !gda->buffer_mrs)
		return -ENOMEM;
	memset(gda->tables, 0, gda->tables_len);
	gda->dev_qps = (void *)gda->tables;
	gda->buffers = (void *)(gda->tables + qps);
	gda->peers = (void *)(gda->tables + qps + buffers);
	if (!config->gpu)
		return 0;
	gda->gpu_tables = config->gpu->alloc(config->gpu->arg, gda->tables_len);
	return gda->gpu_tables ? 0 : -ENOMEM;
}

/* A place in the tables as kernels know it. */
static void *as_kernels_do(const struct gda *gda, const void *place)
{
	size_t offset = (size_t)((const uint8_t *)place - gda->tables);

	return (gda->gpu_tables ? gda->gpu_tables : gda->tables) + offset;
}

int gda_tables_push(struct gda *gda, const void *place, size_t bytes)
{
	const struct gda_gpu_memory *gpu = gda->config.gpu;
	int rc;

	/* Kernels have none of their own, or have been told that it is over. */
	if (!gda->gpu_tables)
		return 0;
	rc = gpu->copy(gpu->arg, as_kernels_do(gda, place), place, bytes);
	return rc ? gda_fail(&gda->config, rc,
			     "device handle: %zu bytes of its tables cannot "
			     "be copied to the GPU",
			     bytes)
		  : 0;
}

int gda_export(struct gda *gda, const struct gda_hello *hellos,
	       size_t hello_bytes)
{
	uint32_t i;

	if (alloc_tables(gda))
		return gda_fail(&gda->config, -ENOMEM,
				"device handle: no memory");
	fill_peers(gda, hellos, hello_bytes);
	for (i = 0; i < gda->qp_count; i++)
		fill_qp(gda, i);
	fill_handle(gda);
	gda->dev.peers = as_kernels_do(gda, gda->peers);
	gda->dev.qps = as_kernels_do(gda, gda->dev_qps);
	gda->dev.buffers = as_kernels_do(gda, gda->buffers);
	return gda_tables_push(gda, gda->tables, gda->tables_len);
}

/*
 * Tables that kernels on a GPU may still look into, whoever launches them: all
 * they find is that the context is closed. The list keeps them known (to leak
 * checkers); who allocated them may be gone when the next one is closed.
 */
struct closed {
	struct closed *next;
	const void *gpu_tables;
};

static struct closed *closed_tables;
static pthread_mutex_t closed_lock = PTHREAD_MUTEX_INITIALIZER;

void gda_handle_close(struct gda *gda)
{
	const struct gda_gpu_memory *gpu = gda->config.gpu;
	struct closed *node = gpu ? malloc(sizeof(*node)) : NULL;
	uint32_t i;

	if (!node)
		return;
	for (i = 0; i < gda->qp_count; i++) {
		gda->dev_qps[i].error = GDA_DEV_CLOSED;
		gda->dev_qps[i].failure_code = GDA_DEV_ESHUTDOWN;
	}
	/* If it fails, the GPU is lost to kernels, too. */
	gpu->copy(gpu->arg, gda->gpu_tables, gda->tables, gda->tables_len);
	node->gpu_tables = gda->gpu_tables;
	gda->gpu_tables = NULL;
	pthread_mutex_lock(&closed_lock);
	node->next = closed_tables;
	closed_tables = node;
	pthread_mutex_unlock(&closed_lock);
}

void gda_unexport(struct gda *gda)
{
	const struct gda_gpu_memory *gpu = gda->config.gpu;

	if (gda->tables && gda->buffer_mrs)
		gda_buffers_close(gda);
	if (gda->gpu_tables)
		gpu->free(gpu->arg, gda->gpu_tables);
	free(gda->tables);
	free(gda->buffer_mrs);
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
	const struct {
		struct gda_piece piece;
		bool in_gpu;
	} pieces[] = {
		{{gda->heap.mem.addr, gda->heap.mem.len}, gda->heap.gpu_memory},
		{{gda->arena.mem.addr, gda->arena.mem.len},
		 gda->arena.gpu_memory},
		{{gda->tables, gda->tables_len}, gda->gpu_tables},
	};
	unsigned i;

	for (i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
		if (!pieces[i].in_gpu && index-- == 0) {
			*piece = pieces[i].piece;
			return 0;
		}
	return uar_piece(gda, index, piece);
}

const struct gda_dev *gda_device(const struct gda *gda)
{
	return &gda->dev;
}

int gda_qp_error(const struct gda *gda, int pe, uint32_t lane,
		 struct gda_qp_error *error)
{
	const struct gda_gpu_memory *gpu = gda->config.gpu;
	const struct gda_dev_qp *qp;
	struct gda_dev_qp now;
	int rc;

	if (pe < 0 || pe >= gda->config.npes ||
	    lane >= gda->config.qps_per_peer)
		return gda_fail(&gda->config, -EINVAL,
				"gda_qp_error: PE %d lane %u, expected below "
				"%d and %u",
				pe, lane, gda->config.npes,
				gda->config.qps_per_peer);
	qp = &gda->dev_qps[lane * (uint32_t)gda->config.npes + (uint32_t)pe];
	if (gpu) {
		rc = gpu->copy(gpu->arg, &now, as_kernels_do(gda, qp),
			       sizeof(now));
		if (rc)
			return gda_fail(&gda->config, rc,
					"gda_qp_error: PE %d lane %u cannot "
					"be copied from the GPU",
					pe, lane);
		qp = &now;
	}
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
