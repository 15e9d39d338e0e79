/* SPDX-License-Identifier: MIT */
/*
 * Queue pairs: their memory, their doorbell pages and CREATE_QP.
 *
 * All rings and records lie in one arena, registered once. For each queue
 * pair: send ring, CQ (each on pages of its own), and the two records (each
 * on a cache line of its own).
 *
 * Source of truth: hw/cmd_qp.h; the fields that are set are those of DOCA
 * GPUNetIO's doca_verbs_qp.cpp for a queue pair without receive queue.
 * Thread: the one in gda_init.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hw/cmd_qp.h"
#include "hw/cqe.h"
#include "hw/doorbell.h"
#include "stack/host/internal.h"

enum { PAGE = 4096, LINE = 64 };

static uint64_t page_up(uint64_t bytes)
{
	return (bytes + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

/* Give every queue pair its place; returns the arena's length. */
static uint64_t lay_out(struct gda *gda)
{
	uint64_t sq_bytes = page_up((uint64_t)gda->config.qp_depth * HW_WQE_BB);
	uint64_t cq_bytes = page_up((uint64_t)gda_cq_depth(gda) * HW_CQE_BYTES);
	uint64_t at = 0;
	uint32_t i;

	for (i = 0; i < gda->qp_count; i++) {
		gda->qps[i].sq_offset = at;
		gda->qps[i].cq_offset = at + sq_bytes;
		at += sq_bytes + cq_bytes;
	}
	for (i = 0; i < gda->qp_count; i++) {
		gda->qps[i].record_offset = at;
		at += 2 * LINE;
	}
	return page_up(at);
}

static int arena_open(struct gda *gda)
{
	const struct gda_config *config = &gda->config;
	uint32_t count = (uint32_t)config->npes * config->qps_per_peer;
	int rc;

	gda->qps = calloc(count, sizeof(*gda->qps));
	if (!gda->qps)
		return gda_fail(config, -ENOMEM,
				"queue pairs: no memory for %u of them", count);
	gda->qp_count = count;
	rc = gda_region_open(config, config->queue_place, lay_out(gda),
			     "queue pairs", &gda->arena);
	if (rc)
		goto out_qps;
	rc = gda->ops->umem_reg(gda->backend, &gda->arena.mem,
				&gda->arena_umem);
	if (!rc)
		return 0;

	gda_region_close(config, &gda->arena);
out_qps:
	free(gda->qps);
	gda->qps = NULL;
	gda->qp_count = 0;
	return rc;
}

static void arena_close(struct gda *gda)
{
	gda->ops->umem_dereg(gda->backend, gda->arena_umem);
	gda_region_close(&gda->config, &gda->arena);
	free(gda->qps);
	gda->qps = NULL;
}

int gda_qp_create(struct gda *gda, struct gda_qp *qp, uint32_t uar_page)
{
	uint8_t in[HW_CREATE_QP_IN_BYTES] = {0};
	uint8_t out[HW_CMD_HDR_BYTES] = {0};
	struct gda_mailbox box = {in, sizeof(in), out, sizeof(out)};
	uint8_t *qpc = in + HW_QPC_OFFSET;
	be32 start = hw_dbrec_encode(gda->config.emu.start_counter);
	int rc;

	/* A device that counts from elsewhere must not find itself behind. */
	rc = gda_region_write(&gda->config, &gda->arena,
			      qp->record_offset + LINE +
				      HW_DBR_SND * sizeof(start),
			      &start, sizeof(start));
	if (rc)
		return rc;
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_QP);
	hw_set(qpc, HW_QPC_ST, HW_QP_ST_RC);
	hw_set(qpc, HW_QPC_PM_STATE, HW_PM_MIGRATED);
	hw_set(qpc, HW_QPC_PD, gda->pdn);
	hw_set(qpc, HW_QPC_LOG_SQ_SIZE, gda_log2(gda->config.qp_depth));
	hw_set(qpc, HW_QPC_UAR_PAGE, uar_page);
	hw_set(qpc, HW_QPC_RQ_TYPE, HW_RQ_ZERO_SIZE);
	hw_set(qpc, HW_QPC_CQN_SND, qp->cqn);
	hw_set(qpc, HW_QPC_CQN_RCV, qp->cqn);
	hw_set(qpc, HW_QPC_SEND_DBR_MODE,
	       gda->config.doorbell == GDA_DOORBELL_NO_RECORD
		       ? HW_SEND_DBR_NO_DBR_EXT
		       : HW_SEND_DBR_VALID);
	hw_set(qpc, HW_QPC_DBR_UMEM_VALID, 1);
	hw_set(qpc, HW_QPC_DBR_UMEM_ID, gda->arena_umem);
	hw_set64(qpc, HW_QPC_DBR_ADDR, qp->record_offset + LINE);
	hw_set64(in, HW_CREATE_QP_UMEM_OFFSET, qp->sq_offset);
	hw_set(in, HW_CREATE_QP_UMEM_ID, gda->arena_umem);
	hw_set(in, HW_CREATE_QP_UMEM_VALID, 1);
	rc = gda_create(gda, &box, "queue pair", &qp->qp_obj);
	qp->qpn = hw_get(out, HW_CMD_OUT_NUMBER);
	return rc;
}

/* ------------------------------------------------------- doorbell pages */

static int uar_alloc(struct gda *gda, struct gda_uar *uar)
{
	enum gda_uar_kind kind = gda->config.doorbell == GDA_DOORBELL_BLUEFLAME
					 ? GDA_UAR_BF
					 : GDA_UAR_NC;

	return gda->ops->uar_alloc(gda->backend, kind, uar);
}

/* A polled register that queue pairs share loses doorbells. */
static int check_shared_uar(const struct gda *gda)
{
	const struct gda_config *config = &gda->config;

	if (!config->shared_uar || !gda->ops->polled_registers(gda->backend))
		return 0;
	if (config->emu.strict || config->doorbell == GDA_DOORBELL_NO_RECORD)
		return gda_fail(config, -EINVAL,
				"config: shared_uar is set, but %s: backend %s "
				"polls the register, and a doorbell that "
				"another overwrites would be lost",
				config->emu.strict
					? "emu.strict leaves the record unread"
					: "doorbell no-record has no record",
				gda->ops->name);
	return 0;
}

static int open_one(struct gda *gda, struct gda_qp *qp)
{
	uint32_t page;
	int rc;

	if (!gda->config.shared_uar) {
		rc = uar_alloc(gda, &qp->uar);
		if (rc)
			return rc;
	}
	page = gda->config.shared_uar ? gda->uar.page_id : qp->uar.page_id;
	rc = gda_cq_create(gda, qp, page);
	return rc ? rc : gda_qp_create(gda, qp, page);
}

static void close_one(struct gda *gda, struct gda_qp *qp)
{
	gda_destroy(gda, qp->qp_obj, "queue pair");
	gda_destroy(gda, qp->cq_obj, "completion queue");
	if (qp->uar.base)
		gda->ops->uar_free(gda->backend, &qp->uar);
}

int gda_queues_open(struct gda *gda)
{
	uint32_t i;
	int rc = check_shared_uar(gda);

	if (!rc)
		rc = arena_open(gda);
	if (rc)
		return rc;
	if (gda->config.shared_uar)
		rc = uar_alloc(gda, &gda->uar);
	for (i = 0; !rc && i < gda->qp_count; i++)
		rc = open_one(gda, &gda->qps[i]);
	if (rc)
		gda_queues_close(gda);
	return rc;
}

/* Undo whatever of it was done. */
void gda_queues_close(struct gda *gda)
{
	uint32_t i;

	for (i = 0; i < gda->qp_count; i++)
		close_one(gda, &gda->qps[i]);
	if (gda->uar.base)
		gda->ops->uar_free(gda->backend, &gda->uar);
	arena_close(gda);
}
