/* SPDX-License-Identifier: MIT */
/*
 * Memory key commands.
 *
 * Source: rdma-core mlx5_ifc.h (mkc), UCX ib_mlx5_ifc.h (umem words).
 * Not modelled: KLM and KSM translations, UMR; refused with a sentence.
 * Thread: under the NIC's lock.
 */
#include "emu/cmd.h"
#include "hw/cmd_mkey.h"

static uint8_t access_rights(const uint8_t *mkc)
{
	uint8_t access = 0;

	access |= hw_get(mkc, HW_MKC_LR) ? MKEY_LOCAL_READ : 0;
	access |= hw_get(mkc, HW_MKC_LW) ? MKEY_LOCAL_WRITE : 0;
	access |= hw_get(mkc, HW_MKC_RR) ? MKEY_REMOTE_READ : 0;
	access |= hw_get(mkc, HW_MKC_RW) ? MKEY_REMOTE_WRITE : 0;
	access |= hw_get(mkc, HW_MKC_A) ? MKEY_ATOMIC : 0;
	return access;
}

static bool check_context(struct cmd *cmd)
{
	const uint8_t *mkc = cmd->in + HW_MKC_OFFSET;
	uint32_t mode = hw_get(mkc, HW_MKC_ACCESS_MODE_1_0);

	CMD_CHECK(cmd, HW_MKC_OFFSET, MKC_FREE, !hw_get(mkc, HW_MKC_FREE),
		  "0: keys are made valid");
	CMD_CHECK(cmd, HW_MKC_OFFSET, MKC_ACCESS_MODE_4_2,
		  !hw_get(mkc, HW_MKC_ACCESS_MODE_4_2),
		  "0: only PA and MTT keys are supported");
	CMD_CHECK(cmd, HW_MKC_OFFSET, MKC_ACCESS_MODE_1_0,
		  mode == HW_MKC_MODE_PA || mode == HW_MKC_MODE_MTT,
		  "0 (PA) or 1 (MTT)");
	CMD_CHECK(cmd, HW_MKC_OFFSET, MKC_PD,
		  cmd_pd_exists(cmd->nic, hw_get(mkc, HW_MKC_PD)),
		  "a PD of ALLOC_PD");
	if (hw_get(mkc, HW_MKC_LENGTH64)) {
		CMD_CHECK(cmd, HW_MKC_OFFSET, MKC_LENGTH64,
			  mode == HW_MKC_MODE_PA,
			  "0: only a PA key spans all addresses");
		return true;
	}
	CMD_CHECK64(cmd, HW_MKC_OFFSET, MKC_LEN,
		    hw_get64(mkc, HW_MKC_LEN) &&
			    hw_get64(mkc, HW_MKC_START_ADDR) +
					    hw_get64(mkc, HW_MKC_LEN) - 1 >=
				    hw_get64(mkc, HW_MKC_START_ADDR),
		    "1 or more, and start_addr + len within 2^64");
	return true;
}

/* The memory behind an MTT key. */
static bool bind_umem(struct cmd *cmd, struct nic_mkey *key)
{
	struct cmd_umem_use use = {
		.id = cmd_get(cmd, 0, HW_CREATE_MKEY_UMEM_ID),
		.id_offset = HW_CREATE_MKEY_UMEM_ID.offset,
		.offset = cmd_get64(cmd, 0, HW_CREATE_MKEY_UMEM_OFFSET),
		.len = key->len,
		.align = 1,
		.what = "the key's memory",
	};

	key->umem = cmd_umem(cmd, &use);
	if (!key->umem)
		return false;
	key->memory = (uint8_t *)key->umem->mem.addr + use.offset;
	return true;
}

bool cmd_create_mkey(struct cmd *cmd)
{
	const uint8_t *mkc = cmd->in + HW_MKC_OFFSET;
	struct nic_mkey key = {
		.start = hw_get64(mkc, HW_MKC_START_ADDR),
		.len = hw_get64(mkc, HW_MKC_LEN),
		.pd = hw_get(mkc, HW_MKC_PD),
		.qpn = hw_get(mkc, HW_MKC_QPN),
		.variant = (uint8_t)hw_get(mkc, HW_MKC_MKEY_7_0),
		.access = access_rights(mkc),
		.relaxed = hw_get(mkc, HW_MKC_RELAXED_ORDERING_WRITE),
	};
	uint32_t index;

	if (!check_context(cmd))
		return false;
	if (hw_get(mkc, HW_MKC_ACCESS_MODE_1_0) == HW_MKC_MODE_MTT) {
		if (!bind_umem(cmd, &key))
			return false;
	} else {
		CMD_CHECK(cmd, HW_MKC_OFFSET, MKC_LENGTH64,
			  hw_get(mkc, HW_MKC_LENGTH64),
			  "1: a PA key spans all addresses");
	}
	if (nic_mkey_add(cmd->nic, &key, &index))
		return cmd_no_resources(cmd, "memory keys");
	cmd_set_number(cmd, index);
	return true;
}

static struct nic_mkey *find(struct cmd *cmd)
{
	uint32_t index = cmd_get(cmd, 0, HW_CMD_IN_NUMBER);
	struct nic_mkey *key = nic_mkey_get(cmd->nic, index);

	if (!key)
		cmd_refuse(cmd, HW_CMD_BAD_RES, HW_CMD_IN_NUMBER.offset,
			   "mkey index 0x%x does not exist", index);
	return key;
}

bool cmd_query_mkey(struct cmd *cmd)
{
	const struct nic_mkey *key = find(cmd);
	uint8_t *mkc = cmd->out + HW_MKC_OFFSET;

	if (!key)
		return false;
	hw_set(mkc, HW_MKC_LR, !!(key->access & MKEY_LOCAL_READ));
	hw_set(mkc, HW_MKC_LW, !!(key->access & MKEY_LOCAL_WRITE));
	hw_set(mkc, HW_MKC_RR, !!(key->access & MKEY_REMOTE_READ));
	hw_set(mkc, HW_MKC_RW, !!(key->access & MKEY_REMOTE_WRITE));
	hw_set(mkc, HW_MKC_A, !!(key->access & MKEY_ATOMIC));
	hw_set(mkc, HW_MKC_ACCESS_MODE_1_0,
	       key->umem ? HW_MKC_MODE_MTT : HW_MKC_MODE_PA);
	hw_set(mkc, HW_MKC_LENGTH64, !key->umem);
	hw_set(mkc, HW_MKC_QPN, key->qpn);
	hw_set(mkc, HW_MKC_MKEY_7_0, key->variant);
	hw_set(mkc, HW_MKC_PD, key->pd);
	hw_set64(mkc, HW_MKC_START_ADDR, key->start);
	hw_set64(mkc, HW_MKC_LEN, key->len);
	return true;
}

bool cmd_destroy_mkey(struct cmd *cmd)
{
	struct nic_mkey *key = find(cmd);

	if (!key)
		return false;
	nic_mkey_remove(cmd->nic, key);
	return true;
}
