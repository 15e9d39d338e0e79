/* SPDX-License-Identifier: MIT */
/*
 * Capability commands: QUERY_HCA_CAP, QUERY_ROCE_ADDRESS, QUERY_LAG.
 *
 * The values are what NVSHMEM, DOCA GPUNetIO, NCCL and UCX insist on (the
 * comment names who), within what the emulation carries.
 *
 * Source: rdma-core, gpunetio and UCX copies of mlx5_ifc.h.
 * Thread: under the NIC's lock.
 */
#include "emu/cmd.h"
#include "hw/cmd_cap.h"

static void limits(const struct nic_persona_info *persona, uint8_t *cap)
{
	hw_set(cap, HW_CAP_LOG_MAX_QP, persona->log_max_qp);
	hw_set(cap, HW_CAP_LOG_MAX_QP_SZ, persona->log_max_qp_sz);
	hw_set(cap, HW_CAP_LOG_MAX_SRQ, persona->log_max_rmp);
	hw_set(cap, HW_CAP_LOG_MAX_RMP, persona->log_max_rmp);
	hw_set(cap, HW_CAP_LOG_MAX_SRQ_SZ, persona->log_max_srq_sz);
	hw_set(cap, HW_CAP_LOG_MAX_WQ_SZ, persona->log_max_srq_sz);
	hw_set(cap, HW_CAP_LOG_MAX_CQ, persona->log_max_cq);
	hw_set(cap, HW_CAP_LOG_MAX_CQ_SZ, persona->log_max_cq_sz);
	hw_set(cap, HW_CAP_LOG_MAX_MKEY, persona->log_max_mkey);
	hw_set(cap, HW_CAP_LOG_MAX_EQ, 6); /* NIC_EQS */
	hw_set(cap, HW_CAP_LOG_MAX_EQ_SZ, 22);
	hw_set(cap, HW_CAP_LOG_MAX_MRW_SZ, 63);
	hw_set(cap, HW_CAP_LOG_MAX_PD, 16);
	hw_set(cap, HW_CAP_LOG_MAX_RA_REQ_QP, persona->log_max_ra);
	hw_set(cap, HW_CAP_LOG_MAX_RA_RES_QP, persona->log_max_ra);
	hw_set(cap, HW_CAP_MAX_WQE_SZ_SQ, persona->max_wqe_sz_sq); /* DOCA */
	hw_set(cap, HW_CAP_MAX_WQE_SZ_RQ, persona->max_wqe_sz_rq);
	hw_set(cap, HW_CAP_LOG_MAX_MSG, NIC_LOG_MAX_MSG); /* UCX: 30 exactly */
}

/*
 * Indirect keys, UMR and windows. UCX: fixed_buffer_size, null_mkey and the
 * extended offset together; Linux: imaicl for memory windows. What is not set
 * here is 0: nothing is disabled, no key by name, no signatures.
 */
static void keys(uint8_t *cap)
{
	hw_set(cap, HW_CAP_MAX_INDIRECTION, NIC_MAX_INDIRECTION);
	hw_set(cap, HW_CAP_LOG_MAX_KLM_LIST, NIC_LOG_MAX_KLM_LIST);
	hw_set(cap, HW_CAP_FIXED_BUFFER_SIZE, 1); /* KSM */
	hw_set(cap, HW_CAP_UMR_EXT_OFFSET, 1);
	hw_set(cap, HW_CAP_UMR_FENCE, HW_UMR_FENCE_NONE);
	hw_set(cap, HW_CAP_IMAICL, 1);
	hw_set(cap, HW_CAP_NULL_MKEY, 1);
	hw_set(cap, HW_CAP_DUMP_FILL_MKEY, 1);
	hw_set(cap, HW_CAP_TERMINATE_MKEY, 1);
}

static void general(struct nic *nic, uint8_t *cap)
{
	bool roce = nic->config.link == NIC_LINK_ROCE;

	limits(nic->persona, cap);
	keys(cap);
	hw_set(cap, HW_CAP_HCA_CAP_2, 1);
	hw_set(cap, HW_CAP_CQE_VERSION, 1); /* NVSHMEM: 1 exactly */
	hw_set(cap, HW_CAP_RC, 1);
	hw_set(cap, HW_CAP_UC, 1);
	hw_set(cap, HW_CAP_UD, 1);
	hw_set(cap, HW_CAP_XRC, 1);
	hw_set(cap, HW_CAP_LOG_MAX_XRCD, NIC_LOG_MAX_XRCD);
	hw_set(cap, HW_CAP_COMPACT_AV, 1);
	hw_set(cap, HW_CAP_ATOMIC_SUPPORTED, 1);
	hw_set(cap, HW_CAP_ROCE_SUPPORTED, roce);
	hw_set(cap, HW_CAP_PORT_TYPE, roce ? HW_PORT_ETHERNET : HW_PORT_IB);
	hw_set(cap, HW_CAP_NUM_PORTS, 1);
	hw_set(cap, HW_CAP_GID_TABLE_SIZE, 0);	/* code 0: 8 entries */
	hw_set(cap, HW_CAP_PKEY_TABLE_SIZE, 0); /* code 0: 128 entries */
	hw_set(cap, HW_CAP_CQ_OI, 1);
	hw_set(cap, HW_CAP_CQ_RESIZE, 1);
	hw_set(cap, HW_CAP_CQ_MODERATION, 1);
	hw_set(cap, HW_CAP_CD, 1); /* WAIT */
	hw_set(cap, HW_CAP_BF, 1);
	hw_set(cap, HW_CAP_LOG_BF_REG_SIZE, HW_UAR_LOG_BF_REG_SIZE);
	hw_set(cap, HW_CAP_UAR_4K, 1);
	hw_set(cap, HW_CAP_BASIC_CYCLIC_RCV, 1);
	hw_set(cap, HW_CAP_LOCAL_CA_ACK_DELAY, 16);
	/* CQE timestamps count nanoseconds. */
	hw_set(cap, HW_CAP_DEVICE_FREQ_MHZ, 1000);
	hw_set(cap, HW_CAP_DEVICE_FREQ_KHZ, 1000000);
}

static void atomic(uint8_t *cap)
{
	uint32_t sizes = HW_ATOMIC_SIZE_4B | HW_ATOMIC_SIZE_8B;

	/* NVSHMEM skips a device without all four, at both sizes. */
	hw_set(cap, HW_CAP_ATOMIC_OPERATIONS,
	       HW_ATOMIC_CS | HW_ATOMIC_FA | HW_ATOMIC_MASKED_CS |
		       HW_ATOMIC_MASKED_FA);
	hw_set(cap, HW_CAP_ATOMIC_SIZE_QP, sizes);
	hw_set(cap, HW_CAP_ATOMIC_SIZE_DC, sizes);
	/* 8-byte results come back in host order. */
	hw_set(cap, HW_CAP_ATOMIC_8B_ENDIAN_MODE, 1);
	hw_set(cap, HW_CAP_ATOMIC_8B_ENDIAN_MODE_1, 1);
}

/* DOCA queries it on InfiniBand ports too and must succeed. */
static void roce(uint8_t *cap)
{
	hw_set(cap, HW_CAP_ROCE_SW_SRC_UDP_PORT, 1);
	hw_set(cap, HW_CAP_ROCE_VERSION, 1 << HW_ROCE_VERSION_2);
	hw_set(cap, HW_CAP_ROCE_L3_TYPE, 3); /* IPv4 and IPv6 */
	hw_set(cap, HW_CAP_ROCE_DEST_UDP_PORT, 4791);
	hw_set(cap, HW_CAP_ROCE_MIN_SRC_UDP_PORT, 0xc000);
	hw_set(cap, HW_CAP_ROCE_MAX_SRC_UDP_PORT, 0xffff);
	hw_set(cap, HW_CAP_ROCE_TABLE_SIZE, 8);
}

bool cmd_query_hca_cap(struct cmd *cmd)
{
	uint32_t type = cmd_get(cmd, 0, HW_CMD_IN_OP_MOD) >> 1;
	uint8_t page[HW_CAP_PAGE_BYTES] = {0};
	size_t room = cmd->out_len - HW_CAP_OUT_PAGE;

	CMD_CHECK(cmd, 0, CMD_IN_OP_MOD, type <= HW_CAP_TYPE_LAST,
		  "a capability type of at most 0x25, shifted left by one");
	switch (type) { /* maximum and current are the same here */
	case HW_CAP_GENERAL:
		general(cmd->nic, page);
		break;
	case HW_CAP_GENERAL_2:
		hw_set(page, HW_CAP2_SEND_DBR_MODE_NO_DBR_EXT,
		       cmd->nic->persona->no_dbr_ext);
		break;
	case HW_CAP_ATOMIC:
		atomic(page);
		break;
	case HW_CAP_ROCE:
		roce(page);
		break;
	default:
		break; /* zeros: the device can nothing of that sort */
	}
	memcpy(cmd->out + HW_CAP_OUT_PAGE, page,
	       room < sizeof(page) ? room : sizeof(page));
	return true;
}

/* What a driver of an InfiniBand port asks for its LID. */
bool cmd_query_hca_vport_context(struct cmd *cmd)
{
	uint32_t state = nic_link_up(cmd->nic) ? HW_VPORT_UP : HW_VPORT_DOWN;
	uint8_t *ctx = cmd->out + HW_VPORT_OUT_CONTEXT;
	const struct wire *wire = cmd->nic->wire;
	uint64_t guid = 0;
	int i;

	hw_set(ctx, HW_VPORT_STATE, state);
	hw_set(ctx, HW_VPORT_PORT_STATE, state);
	if (!wire)
		return true;
	for (i = 8; i < 16; i++)
		guid = guid << 8 | wire->address.gid[i];
	hw_set64(ctx, HW_VPORT_SYSTEM_GUID, guid);
	hw_set64(ctx, HW_VPORT_PORT_GUID, guid);
	hw_set64(ctx, HW_VPORT_NODE_GUID, guid);
	hw_set(ctx, HW_VPORT_LID, wire->address.lid);
	hw_set(ctx, HW_VPORT_SM_LID, 1);
	return true;
}

bool cmd_query_roce_address(struct cmd *cmd)
{
	uint8_t *address = cmd->out + HW_ROCE_OUT_ADDRESS;
	const struct wire *wire = cmd->nic->wire;
	uint64_t mac = 0;
	int i;

	CMD_CHECK(cmd, 0, ROCE_IN_INDEX, cmd_get(cmd, 0, HW_ROCE_IN_INDEX) == 0,
		  "0, the only address");
	if (!wire)
		return true;
	for (i = 0; i < 6; i++)
		mac = mac << 8 | wire->address.mac[i];
	memcpy(address, wire->address.gid, sizeof(wire->address.gid));
	hw_set(address, HW_ROCE_MAC_47_32, (uint32_t)(mac >> 32));
	hw_set(address, HW_ROCE_MAC_31_0, (uint32_t)mac);
	hw_set(address, HW_ROCE_VERSION, HW_ROCE_VERSION_2);
	return true;
}

/* There is no bond: all zero is "LAG is not active". */
bool cmd_query_lag(struct cmd *cmd)
{
	(void)cmd;
	return true;
}
