/* SPDX-License-Identifier: MIT */
/*
 * Ask the device what it can do, and refuse a config that it cannot.
 *
 * Source of truth: hw/cmd_cap.h; 8-byte atomic results: rdma-core
 * providers/mlx5/verbs.c, which reads the same two endianness fields.
 * Thread: the one in gda_init.
 */
#include <errno.h>
#include <string.h>

#include "hw/cmd_cap.h"
#include "hw/wqe.h"
#include "stack/host/internal.h"

struct page {
	uint8_t out[HW_CAP_OUT_BYTES];
};

static const uint8_t *query(struct gda *gda, enum hw_cap_type type,
			    struct page *page, const char *what)
{
	uint8_t in[HW_CAP_IN_BYTES] = {0};
	struct gda_mailbox box = {in, sizeof(in), page->out, sizeof(page->out)};

	memset(page, 0, sizeof(*page));
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_QUERY_HCA_CAP);
	hw_set(in, HW_CMD_IN_OP_MOD, (uint32_t)type << 1 | HW_CAP_CUR);
	if (gda_command(gda, &box, what))
		return NULL;
	return page->out + HW_CAP_OUT_PAGE;
}

static int query_general(struct gda *gda, struct page *page, bool *has_2)
{
	const uint8_t *cap =
		query(gda, HW_CAP_GENERAL, page, "general capabilities");
	struct gda_caps *caps = &gda->caps;

	if (!cap)
		return -EREMOTEIO;
	caps->log_max_qp_depth = hw_get(cap, HW_CAP_LOG_MAX_QP_SZ);
	caps->log_max_cq_depth = hw_get(cap, HW_CAP_LOG_MAX_CQ_SZ);
	caps->max_wqe_bytes = hw_get(cap, HW_CAP_MAX_WQE_SZ_SQ);
	caps->log_max_reads_out = hw_get(cap, HW_CAP_LOG_MAX_RA_REQ_QP);
	caps->log_max_reads_in = hw_get(cap, HW_CAP_LOG_MAX_RA_RES_QP);
	caps->log_bf_reg_bytes = hw_get(cap, HW_CAP_LOG_BF_REG_SIZE);
	*has_2 = hw_get(cap, HW_CAP_HCA_CAP_2);
	if (hw_get(cap, HW_CAP_CQE_VERSION) != 1)
		return gda_fail(&gda->config, -ENOTSUP,
				"device: cqe_version is %u, expected 1",
				hw_get(cap, HW_CAP_CQE_VERSION));
	if (!hw_get(cap, HW_CAP_RC) || !hw_get(cap, HW_CAP_ATOMIC_SUPPORTED))
		return gda_fail(&gda->config, -ENOTSUP,
				"device: no reliable connections or no "
				"atomics");
	return 0;
}

static int query_general_2(struct gda *gda, struct page *page)
{
	const uint8_t *cap =
		query(gda, HW_CAP_GENERAL_2, page, "general capabilities 2");

	if (!cap)
		return -EREMOTEIO;
	gda->caps.no_record = hw_get(cap, HW_CAP2_SEND_DBR_MODE_NO_DBR_EXT);
	return 0;
}

static int query_atomic(struct gda *gda, struct page *page)
{
	const uint32_t ops = HW_ATOMIC_CS | HW_ATOMIC_FA | HW_ATOMIC_MASKED_CS |
			     HW_ATOMIC_MASKED_FA;
	const uint32_t sizes = HW_ATOMIC_SIZE_4B | HW_ATOMIC_SIZE_8B;
	const uint8_t *cap =
		query(gda, HW_CAP_ATOMIC, page, "atomic capabilities");
	uint32_t has_ops, has_sizes;

	if (!cap)
		return -EREMOTEIO;
	has_ops = hw_get(cap, HW_CAP_ATOMIC_OPERATIONS);
	has_sizes = hw_get(cap, HW_CAP_ATOMIC_SIZE_QP);
	if ((has_ops & ops) != ops || (has_sizes & sizes) != sizes)
		return gda_fail(
			&gda->config, -ENOTSUP,
			"device: atomic operations 0x%x and sizes 0x%x "
			"lack some of 0x%x and 0x%x (is PCI_ATOMIC_MODE "
			"set?)",
			has_ops, has_sizes, ops, sizes);
	gda->caps.swap_results_8 =
		!(hw_get(cap, HW_CAP_ATOMIC_8B_ENDIAN_MODE_1) &&
		  hw_get(cap, HW_CAP_ATOMIC_8B_ENDIAN_MODE));
	return 0;
}

static int check_limits(struct gda *gda)
{
	const struct gda_config *config = &gda->config;
	const struct gda_caps *caps = &gda->caps;

	if (config->qp_depth > 1u << caps->log_max_qp_depth)
		return gda_fail(config, -EINVAL,
				"config: qp_depth is %u, the device's limit is "
				"%u basic blocks",
				config->qp_depth, 1u << caps->log_max_qp_depth);
	if (gda_cq_depth(gda) > 1u << caps->log_max_cq_depth)
		return gda_fail(config, -EINVAL,
				"config: a CQ of %u entries is needed, the "
				"device's limit is %u",
				gda_cq_depth(gda),
				1u << caps->log_max_cq_depth);
	if (caps->max_wqe_bytes < 2 * HW_WQE_BB)
		return gda_fail(config, -ENOTSUP,
				"device: max_wqe_sz_sq is %u bytes, expected "
				"at least %d",
				caps->max_wqe_bytes, 2 * HW_WQE_BB);
	if (config->doorbell == GDA_DOORBELL_NO_RECORD && !caps->no_record)
		return gda_fail(
			config, -EINVAL,
			"config: doorbell is no-record, but the device "
			"needs a record (send_dbr_mode_no_dbr_ext is 0; "
			"a ConnectX-8 has it)");
	if (config->doorbell == GDA_DOORBELL_BLUEFLAME &&
	    caps->log_bf_reg_bytes < HW_WQE_BB_LOG2 + 1)
		return gda_fail(config, -EINVAL,
				"config: doorbell is blueflame, but the "
				"device's log_bf_reg_size is %u",
				caps->log_bf_reg_bytes);
	return 0;
}

int gda_caps_query(struct gda *gda)
{
	struct page page;
	bool has_2 = false;
	int rc = query_general(gda, &page, &has_2);

	if (!rc && has_2)
		rc = query_general_2(gda, &page);
	if (!rc)
		rc = query_atomic(gda, &page);
	return rc ? rc : check_limits(gda);
}
