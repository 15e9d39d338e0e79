/* SPDX-License-Identifier: MIT */
/*
 * Memory keys: translation and protection.
 *
 * A key is index << 8 | variant. Its range is one piece of a umem, or all
 * addresses 1:1 (physical mode), or a list of pieces of other keys (KLM and
 * KSM; a memory window is one with a list of one). A range behind a key is
 * walked piece by piece; every key on the way is checked at every use, so that
 * one that is gone takes all with it that was made of it.
 *
 * Source: PRM, "memory key context"; IBTA vol. 1, 10.6 (protection).
 * Thread: under the NIC's lock.
 */
#include <errno.h>
#include <stdlib.h>

#include "emu/core.h"
#include "emu/dma.h"

enum { CHECK_AHEAD = 1024 }; /* pieces */

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
	nic_klm_list_destroy(key->list);
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

/* Has the QP the right to the reserved key? */
static bool reserved_allowed(struct nic *nic, uint32_t qpn)
{
	const struct nic_qp *qp = nic_qp_get(nic, qpn);

	return qp && hw_get(qp->qpc, HW_QPC_RLKY);
}

/* NULL if the key may be used so, else the reason. */
static const char *refuse(const struct nic_mkey *key,
			  const struct mkey_use *use)
{
	uint64_t offset = use->va - key->start;

	if (key->variant != (uint8_t)use->key)
		return "the key's low 8 bits are of another registration";
	if (key->free)
		return "the key is free: not bound, or invalidated";
	if (key->pd != use->pd)
		return "the key belongs to another protection domain";
	if (key->qpn != HW_MKC_QPN_ANY && key->qpn != use->qpn)
		return "the key belongs to another queue pair";
	if ((key->access & use->access) != use->access)
		return access_reason(use->access & ~key->access);
	if (use->va + use->len < use->va)
		return "the range wraps at 2^64";
	if (key->all)
		return NULL;
	if (use->va < key->start || offset > key->len ||
	    use->len > key->len - offset)
		return "the range is not inside the key's memory";
	return NULL;
}

/* Not in the table: one that is always there? */
static void *special(struct nic *nic, const struct mkey_use *use, uint64_t *len,
		     const char **why)
{
	bool local = !(use->access & ~(MKEY_LOCAL_READ | MKEY_LOCAL_WRITE));

	*why = "no such key";
	if (local && use->key == NIC_MKEY_RESERVED) {
		*why = "the reserved key needs qpc.rlky";
		*len = use->len;
		return reserved_allowed(nic, use->qpn)
			       ? dma_host_address(use->va)
			       : NULL;
	}
	if (!local ||
	    (use->key != NIC_MKEY_NULL && use->key != NIC_MKEY_DUMP_FILL))
		return NULL;
	*len = use->len < NIC_NULL_BYTES ? use->len : NIC_NULL_BYTES;
	if (!(use->access & MKEY_LOCAL_WRITE))
		return nic->null_memory;
	/* An atomic reads what it writes to: zeros too. */
	memset(nic->null_memory + NIC_NULL_BYTES, 0, 8);
	return nic->null_memory + NIC_NULL_BYTES;
}

/* The entry of an indirect key's list where the range starts. */
static bool find_entry(const struct nic_mkey *key, const struct mkey_use *use,
		       struct nic_klm_piece *piece)
{
	uint64_t offset = use->va - key->start;

	if (key->mode == HW_MKC_MODE_KSM)
		return nic_klm_list_find_ksm(key->list, key->log_entity, offset,
					     piece);
	return nic_klm_list_find(key->list, offset, piece);
}

/*
 * Through an indirect key: what it names is checked like any key, for this
 * key's domain. The rights that the peer needs are the outer key's; the inner
 * ones must let this device read or write.
 */
static bool go_deeper(const struct nic_mkey *key, struct mkey_use *use)
{
	const uint8_t writes =
		MKEY_LOCAL_WRITE | MKEY_REMOTE_WRITE | MKEY_ATOMIC;
	struct nic_klm_piece piece;

	if (!find_entry(key, use, &piece))
		return false;
	use->va = piece.va;
	use->key = piece.key;
	if (use->len > piece.len)
		use->len = piece.len;
	use->access = use->access & writes ? MKEY_LOCAL_WRITE : MKEY_LOCAL_READ;
	return true;
}

void *nic_mkey_piece(struct nic *nic, const struct mkey_use *use, uint64_t *len,
		     const char **why)
{
	const struct nic_mkey *key;
	struct mkey_use at = *use;
	int depth;

	for (depth = 0; depth <= NIC_MAX_INDIRECTION; depth++) {
		key = nic_mkey_get(nic, at.key >> 8);
		if (!key)
			return special(nic, &at, len, why);
		*why = refuse(key, &at);
		if (*why)
			return NULL;
		*len = at.len;
		if (key->memory)
			return key->memory + (at.va - key->start);
		if (key->mode == HW_MKC_MODE_PA)
			return dma_host_address(at.va);
		if (!go_deeper(key, &at)) {
			*why = "the key's list ends before its range";
			return NULL;
		}
	}
	*why = "too many indirect keys behind each other";
	return NULL;
}

bool nic_mkey_check(struct nic *nic, const struct mkey_use *use,
		    const char **why)
{
	struct mkey_use at = *use;
	uint64_t len;
	int pieces;

	for (pieces = 0; at.len && pieces < CHECK_AHEAD; pieces++) {
		if (!nic_mkey_piece(nic, &at, &len, why))
			return false;
		nic_mkey_next(&at, len);
	}
	return true;
}

/* --------------------------------------------------------- free and bound */

void nic_mkey_set_free(struct nic_mkey *key, bool free)
{
	key->free = free;
	key->memory = NULL;
	if (!free && key->umem)
		key->memory = key->umem->base + key->umem_offset;
}

static void update_access(struct nic_mkey *key, uint64_t mask,
			  const uint8_t *mkc)
{
	const struct {
		uint64_t bit;
		struct hw_field field;
		uint8_t right;
	} rights[] = {{HW_UMR_LR, HW_MKC_LR, MKEY_LOCAL_READ},
		      {HW_UMR_LW, HW_MKC_LW, MKEY_LOCAL_WRITE},
		      {HW_UMR_RR, HW_MKC_RR, MKEY_REMOTE_READ},
		      {HW_UMR_RW, HW_MKC_RW, MKEY_REMOTE_WRITE},
		      {HW_UMR_A, HW_MKC_A, MKEY_ATOMIC}};
	unsigned i;

	for (i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
		if (!(mask & rights[i].bit))
			continue;
		key->access &= (uint8_t)~rights[i].right;
		if (hw_get(mkc, rights[i].field))
			key->access |= rights[i].right;
	}
}

void nic_mkey_update(struct nic_mkey *key, uint64_t mask, const uint8_t *mkc)
{
	update_access(key, mask, mkc);
	if (mask & HW_UMR_LEN) {
		key->len = hw_get64(mkc, HW_MKC_LEN);
		key->all = hw_get(mkc, HW_MKC_LENGTH64);
	}
	if (mask & HW_UMR_START_ADDR)
		key->start = hw_get64(mkc, HW_MKC_START_ADDR);
	if (mask & HW_UMR_PAGE_SIZE)
		key->log_entity = (uint8_t)hw_get(mkc, HW_MKC_LOG_PAGE_SIZE);
	if (mask & HW_UMR_EN_RINVAL)
		key->rinval = hw_get(mkc, HW_MKC_EN_RINVAL);
	if (mask & HW_UMR_MKEY)
		key->variant = (uint8_t)hw_get(mkc, HW_MKC_MKEY_7_0);
	if (mask & HW_UMR_QPN)
		key->qpn = hw_get(mkc, HW_MKC_QPN);
	if (mask & HW_UMR_FREE)
		nic_mkey_set_free(key, hw_get(mkc, HW_MKC_FREE));
}

const char *nic_mkey_invalidate(struct nic *nic, uint32_t rkey, uint32_t pd,
				uint32_t qpn)
{
	struct nic_mkey *key = nic_mkey_get(nic, rkey >> 8);

	if (!key)
		return "no such key";
	if (key->variant != (uint8_t)rkey)
		return "the key's low 8 bits are of another registration";
	if (key->pd != pd)
		return "the key belongs to another protection domain";
	if (key->qpn != HW_MKC_QPN_ANY && key->qpn != qpn)
		return "the key belongs to another queue pair";
	if (!key->rinval)
		return "mkc.en_rinval is 0";
	if (key->free)
		return "the key is free already";
	nic_mkey_set_free(key, true);
	return NULL;
}
