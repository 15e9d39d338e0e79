/* SPDX-License-Identifier: MIT */
/*
 * Memory keys: translation and protection.
 *
 * A key is index << 8 | variant. Its range is one piece of a umem, or all
 * addresses 1:1 (physical mode, what drivers use as the reserved lkey).
 *
 * Source: PRM, "memory key context"; IBTA vol. 1, 10.6 (protection).
 * Not modelled: indirect keys (KLM, KSM), memory windows.
 * Thread: under the NIC's lock.
 */
#include <errno.h>
#include <stdlib.h>

#include "emu/core.h"
#include "hw/cmd_mkey.h"

struct nic_mkey *nic_mkey_get(struct nic *nic, uint32_t index)
{
	return nic_table_get(&nic->mkeys, index);
}

int nic_mkey_add(struct nic *nic, const struct nic_mkey *init, uint32_t *index)
{
	struct nic_mkey *key = malloc(sizeof(*key));
	int ret;

	if (!key)
		return -ENOMEM;
	*key = *init;
	ret = nic_table_add(&nic->mkeys, key, &key->index);
	if (ret) {
		free(key);
		return ret;
	}
	if (key->umem)
		key->umem->users++;
	*index = key->index;
	return 0;
}

void nic_mkey_remove(struct nic *nic, struct nic_mkey *key)
{
	if (key->umem) {
		key->umem->users--;
		if (key->owns_umem)
			nic_umem_remove(nic, key->umem->id);
	}
	nic_table_remove(&nic->mkeys, key->index);
	free(key);
}

static const char *access_reason(uint8_t missing)
{
	if (missing & MKEY_LOCAL_READ)
		return "the key does not allow local read";
	if (missing & MKEY_LOCAL_WRITE)
		return "the key does not allow local write";
	if (missing & MKEY_REMOTE_READ)
		return "the key does not allow remote read";
	if (missing & MKEY_REMOTE_WRITE)
		return "the key does not allow remote write";
	return "the key does not allow atomics";
}

/* NULL if the key may be used so, else the reason. */
static const char *refuse(const struct nic_mkey *key,
			  const struct mkey_use *use)
{
	uint64_t offset = use->va - key->start;

	if (key->variant != (uint8_t)use->key)
		return "the key's low 8 bits are of another registration";
	if (key->pd != use->pd)
		return "the key belongs to another protection domain";
	if (key->qpn != HW_MKC_QPN_ANY && key->qpn != use->qpn)
		return "the key belongs to another queue pair";
	if ((key->access & use->access) != use->access)
		return access_reason(use->access & ~key->access);
	if (use->va + use->len < use->va)
		return "the range wraps at 2^64";
	if (!key->umem)
		return NULL;
	if (use->va < key->start || offset > key->len ||
	    use->len > key->len - offset)
		return "the range is not inside the key's memory";
	return NULL;
}

/* The same in one look, for the usual key: an MTT key of any queue pair. */
static bool allowed(const struct nic_mkey *key, const struct mkey_use *use)
{
	uint64_t offset = use->va - key->start;

	return key->variant == (uint8_t)use->key && key->pd == use->pd &&
	       key->qpn == HW_MKC_QPN_ANY && key->memory &&
	       (key->access & use->access) == use->access &&
	       use->va >= key->start && offset <= key->len &&
	       use->len <= key->len - offset;
}

void *nic_mkey_translate(struct nic *nic, const struct mkey_use *use,
			 const char **why)
{
	const struct nic_mkey *key = nic_mkey_get(nic, use->key >> 8);

	if (key && allowed(key, use))
		return key->memory + (use->va - key->start);
	*why = key ? refuse(key, use) : "no such key";
	if (*why)
		return NULL;
	if (!key->umem)
		return (void *)(uintptr_t)use->va;
	return key->memory + (use->va - key->start);
}
