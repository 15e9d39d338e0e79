/* SPDX-License-Identifier: MIT */
/*
 * Completion queues: one for each queue pair, made by a CREATE_CQ mailbox.
 *
 * Overrun is ignored and no consumer record is kept: at most depth CQEs are
 * outstanding, because send queue blocks are reused only after their CQE was
 * seen. Source of truth: hw/cmd_cq.h; the choice is that of all GPU stacks.
 * Not modelled: completion events, 128-byte CQEs.
 * Thread: the one in gda_init.
 */
#include <string.h>

#include "hw/cmd_cq.h"
#include "hw/cqe.h"
#include "stack/host/internal.h"

uint32_t gda_log2(uint32_t value)
{
	return (uint32_t)(31 - __builtin_clz(value));
}

/*
 * A collapsed CQ uses one entry; it is given depth entries as NVSHMEM does,
 * because older devices count them.
 */
uint32_t gda_cq_depth(const struct gda *gda)
{
	return gda->config.qp_depth;
}

int gda_cq_create(struct gda *gda, struct gda_qp *qp, uint32_t uar_page)
{
	uint8_t in[HW_CREATE_CQ_IN_BYTES] = {0};
	uint8_t out[HW_CMD_HDR_BYTES] = {0};
	struct gda_mailbox box = {in, sizeof(in), out, sizeof(out)};
	uint8_t *cqc = in + HW_CQC_OFFSET;
	int rc;

	/* No CQE has been written as long as its opcode is 0xf, INVALID. */
	rc = gda_region_fill(&gda->config, &gda->arena, qp->cq_offset, 0xff,
			     (uint64_t)gda_cq_depth(gda) * HW_CQE_BYTES);
	if (rc)
		return rc;
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_CQ);
	hw_set(cqc, HW_CQC_DBR_UMEM_VALID, 1);
	hw_set(cqc, HW_CQC_DBR_UMEM_ID, gda->arena_umem);
	hw_set64(cqc, HW_CQC_DBR_ADDR, qp->record_offset);
	hw_set(cqc, HW_CQC_CQE_SZ, HW_CQE_SZ_64);
	hw_set(cqc, HW_CQC_CC, gda->config.cq_mode == GDA_CQ_COLLAPSED);
	hw_set(cqc, HW_CQC_OI, 1);
	hw_set(cqc, HW_CQC_LOG_CQ_SIZE, gda_log2(gda_cq_depth(gda)));
	hw_set(cqc, HW_CQC_UAR_PAGE, uar_page);
	hw_set(cqc, HW_CQC_C_EQN, gda->eqn);
	hw_set64(in, HW_CREATE_CQ_UMEM_OFFSET, qp->cq_offset);
	hw_set(in, HW_CREATE_CQ_UMEM_ID, gda->arena_umem);
	hw_set(in, HW_CREATE_CQ_UMEM_VALID, 1);
	rc = gda_create(gda, &box, "completion queue", &qp->cq_obj);
	qp->cqn = hw_get(out, HW_CMD_OUT_NUMBER);
	return rc;
}
