/* SPDX-License-Identifier: MIT */
/*
 * XRC domain commands: what XRC target queue pairs and XRC SRQs have in common.
 *
 * Source: mlx5_ifc.h (alloc_xrcd, dealloc_xrcd).
 * Thread: under the NIC's lock.
 */
#include "emu/cmd.h"

bool cmd_xrcd_exists(struct nic *nic, uint32_t xrcd)
{
	return nic_table_get(&nic->xrcds, xrcd) != NULL;
}

bool cmd_alloc_xrcd(struct cmd *cmd)
{
	static char exists; /* a domain has no state, only a number */
	uint32_t xrcd;

	if (nic_table_add(&cmd->nic->xrcds, &exists, &xrcd))
		return cmd_no_resources(cmd, "XRC domains");
	cmd_set_number(cmd, xrcd);
	return true;
}

static bool in_use(struct nic *nic, uint32_t xrcd)
{
	struct nic_rmp *srq;
	struct nic_qp *qp;
	uint32_t i;

	for (i = 0; (srq = nic_table_walk(&nic->rmps, &i));)
		if (srq->cq && srq->xrcd == xrcd)
			return true;
	for (i = 0; (qp = nic_table_walk(&nic->qps, &i));)
		if (qp->service == HW_PKT_XRC &&
		    hw_get(qp->qpc, HW_QPC_XRCD) == xrcd)
			return true;
	return false;
}

bool cmd_dealloc_xrcd(struct cmd *cmd)
{
	uint32_t xrcd = cmd_get(cmd, 0, HW_CMD_IN_NUMBER);

	if (!cmd_xrcd_exists(cmd->nic, xrcd))
		return cmd_refuse(cmd, HW_CMD_BAD_RES, HW_CMD_IN_NUMBER.offset,
				  "XRC domain 0x%x does not exist", xrcd);
	if (in_use(cmd->nic, xrcd))
		return cmd_refuse(cmd, HW_CMD_RES_BUSY, HW_CMD_IN_NUMBER.offset,
				  "XRC domain 0x%x still has queues", xrcd);
	nic_table_remove(&cmd->nic->xrcds, xrcd);
	return true;
}
