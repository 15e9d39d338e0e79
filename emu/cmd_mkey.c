/* SPDX-License-Identifier: MIT */
/*
 * Memory key commands.
 *
 * Source: rdma-core mlx5_ifc.h (mkc), UCX ib_mlx5_ifc.h (umem words); Linux
 * mr.c and rdma-core verbs.c for the keys that they make free.
 * Not modelled: signatures (BSF), encryption; lists in a umem.
 * Thread: under the NIC's lock.
 */
#include "emu/cmd.h"
#include "hw/wqe.h"

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

static bool is_indirect(uint32_t mode)
{
	return mode == HW_MKC_MODE_KLMS || mode == HW_MKC_MODE_KSM;
}

static bool check_mode(struct cmd *cmd, const uint8_t *mkc)
{
	uint32_t mode = hw_get(mkc, HW_MKC_ACCESS_MODE_1_0);

	CMD_CHECK(cmd, HW_MKC_OFFSET, MKC_ACCESS_MODE_4_2,
		  !hw_get(mkc, HW_MKC_ACCESS_MODE_4_2),
		  "0: only PA, MTT, KLM and KSM keys are supported");
	CMD_CHECK(cmd, HW_MKC_OFFSET, MKC_FREE,
		  !hw_get(mkc, HW_MKC_FREE) || is_indirect(mode),
		  "0: only a KLM or KSM key can begin free");
	CMD_CHECK(cmd, HW_MKC_OFFSET, MKC_UMR_EN,
		  !hw_get(mkc, HW_MKC_FREE) || hw_get(mkc, HW_MKC_UMR_EN),
		  "1: a free key is bound by UMR");
	CMD_CHECK(cmd, HW_MKC_OFFSET, MKC_BSF_EN, !hw_get(mkc, HW_MKC_BSF_EN),
		  "0: signatures are not supported");
	CMD_CHECK(cmd, HW_MKC_OFFSET, MKC_CRYPTO_EN,
		  !hw_get(mkc, HW_MKC_CRYPTO_EN),
		  "0: encryption is not supported");
	return true;
}

static bool check_context(struct cmd *cmd)
{
	const uint8_t *mkc = cmd->in + HW_MKC_OFFSET;
	uint32_t mode = hw_get(mkc, HW_MKC_ACCESS_MODE_1_0);
	uint64_t start = hw_get64(mkc, HW_MKC_START_ADDR);
	uint64_t len = hw_get64(mkc, HW_MKC_LEN);

	if (!check_mode(cmd, mkc))
		return false;
	CMD_CHECK(cmd, HW_MKC_OFFSET, MKC_PD,
		  cmd_pd_exists(cmd->nic, hw_get(mkc, HW_MKC_PD)),
		  "a PD of ALLOC_PD");
	if (hw_get(mkc, HW_MKC_LENGTH64)) {
		CMD_CHECK(cmd, HW_MKC_OFFSET, MKC_LENGTH64,
			  mode != HW_MKC_MODE_MTT,
			  "0: an MTT key does not span all addresses");
		return true;
	}
	CMD_CHECK(cmd, HW_MKC_OFFSET, MKC_LENGTH64, mode != HW_MKC_MODE_PA,
		  "1: a PA key spans all addresses");
	if (hw_get(mkc, HW_MKC_FREE) && !len)
		return true; /* UMR will tell */
	CMD_CHECK64(cmd, HW_MKC_OFFSET, MKC_LEN,
		    len && start + len - 1 >= start,
		    "1 or more, and start_addr + len within 2^64");
	return true;
}

/* Lists are kept in steps of four octwords, as UMR writes them. */
static uint32_t list_capacity(const uint8_t *mkc)
{
	return (hw_get(mkc, HW_MKC_TRANSLATIONS_SIZE) + 3) / 4 * 4;
}

static bool check_list(struct cmd *cmd)
{
	const uint8_t *mkc = cmd->in + HW_MKC_OFFSET;
	uint32_t size = hw_get(mkc, HW_MKC_TRANSLATIONS_SIZE);
	uint32_t actual = cmd_get(cmd, 0, HW_CREATE_MKEY_ACTUAL_SIZE);

	CMD_CHECK(cmd, HW_MKC_OFFSET, MKC_TRANSLATIONS_SIZE,
		  size && size <= 1u << NIC_LOG_MAX_KLM_LIST,
		  "1 to 65536 entries (octwords)");
	CMD_CHECK(cmd, 0, CREATE_MKEY_UMEM_VALID,
		  !cmd_get(cmd, 0, HW_CREATE_MKEY_UMEM_VALID),
		  "0: the list is in the mailbox");
	CMD_CHECK(cmd, 0, CREATE_MKEY_ACTUAL_SIZE,
		  actual <= size && actual <= cmd->tail_len / HW_OCTWORD,
		  "no more entries than translations_octword_size and than "
		  "the mailbox holds");
	if (hw_get(mkc, HW_MKC_ACCESS_MODE_1_0) == HW_MKC_MODE_KSM)
		CMD_CHECK(cmd, HW_MKC_OFFSET, MKC_LOG_PAGE_SIZE,
			  hw_get(mkc, HW_MKC_LOG_PAGE_SIZE),
			  "the entity size, a power of two");
	return true;
}

/* The list behind a KLM or KSM key. */
static bool take_list(struct cmd *cmd, struct nic_mkey *key)
{
	const uint8_t *mkc = cmd->in + HW_MKC_OFFSET;
	uint32_t actual = cmd_get(cmd, 0, HW_CREATE_MKEY_ACTUAL_SIZE);

	if (!check_list(cmd))
		return false;
	key->list = nic_klm_list_create(list_capacity(mkc));
	if (!key->list)
		return cmd_no_resources(cmd, "memory for a key's list");
	if (actual)
		memcpy(key->list->octwords, cmd->tail,
		       (size_t)actual * HW_OCTWORD);
	nic_klm_list_index(key->list);
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
	key->umem_offset = use.offset;
	return true;
}

/* What is behind the key, by its mode. */
static bool take_translation(struct cmd *cmd, struct nic_mkey *key)
{
	if (is_indirect(key->mode))
		return take_list(cmd, key);
	if (!cmd_no_tail(cmd))
		return false;
	return key->mode != HW_MKC_MODE_MTT || bind_umem(cmd, key);
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
		.mode = (uint8_t)hw_get(mkc, HW_MKC_ACCESS_MODE_1_0),
		.log_entity = (uint8_t)hw_get(mkc, HW_MKC_LOG_PAGE_SIZE),
		.all = hw_get(mkc, HW_MKC_LENGTH64),
		.umr_en = hw_get(mkc, HW_MKC_UMR_EN),
		.rinval = hw_get(mkc, HW_MKC_EN_RINVAL),
	};
	uint32_t index;

	if (!check_context(cmd) || !take_translation(cmd, &key))
		return false;
	memcpy(key.mkc, mkc, sizeof(key.mkc));
	nic_mkey_set_free(&key, hw_get(mkc, HW_MKC_FREE));
	if (nic_mkey_add(cmd->nic, &key, &index)) {
		nic_klm_list_destroy(key.list);
		return cmd_no_resources(cmd, "memory keys");
	}
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
	memcpy(mkc, key->mkc, sizeof(key->mkc));
	/* What UMR may have changed. */
	hw_set(mkc, HW_MKC_FREE, key->free);
	hw_set(mkc, HW_MKC_LR, !!(key->access & MKEY_LOCAL_READ));
	hw_set(mkc, HW_MKC_LW, !!(key->access & MKEY_LOCAL_WRITE));
	hw_set(mkc, HW_MKC_RR, !!(key->access & MKEY_REMOTE_READ));
	hw_set(mkc, HW_MKC_RW, !!(key->access & MKEY_REMOTE_WRITE));
	hw_set(mkc, HW_MKC_A, !!(key->access & MKEY_ATOMIC));
	hw_set(mkc, HW_MKC_EN_RINVAL, key->rinval);
	hw_set(mkc, HW_MKC_LENGTH64, key->all);
	hw_set(mkc, HW_MKC_QPN, key->qpn);
	hw_set(mkc, HW_MKC_MKEY_7_0, key->variant);
	hw_set(mkc, HW_MKC_LOG_PAGE_SIZE, key->log_entity);
	hw_set64(mkc, HW_MKC_START_ADDR, key->start);
	hw_set64(mkc, HW_MKC_LEN, key->len);
	if (key->list && cmd->out_len >= HW_QUERY_MKEY_LIST + 2 * HW_OCTWORD)
		memcpy(cmd->out + HW_QUERY_MKEY_LIST, key->list->octwords,
		       2 * HW_OCTWORD);
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

bool cmd_query_special_contexts(struct cmd *cmd)
{
	hw_set(cmd->out, HW_SPECIAL_DUMP_FILL_MKEY, NIC_MKEY_DUMP_FILL);
	hw_set(cmd->out, HW_SPECIAL_RESD_LKEY, NIC_MKEY_RESERVED);
	hw_set(cmd->out, HW_SPECIAL_NULL_MKEY, NIC_MKEY_NULL);
	hw_set(cmd->out, HW_SPECIAL_TERMINATE_MKEY, HW_LKEY_INVALID);
	return true;
}
