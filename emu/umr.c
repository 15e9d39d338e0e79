/* SPDX-License-Identifier: MIT */
/*
 * UMR: a send WQE that changes a memory key: binds it to a list of memory,
 * makes it free again, or gives it other rights.
 *
 * It is executed when it is its turn to be sent, so that what is posted behind
 * it sees the key as it is then. Requests before it may still be under way:
 * a fence is the client's business.
 *
 * Source: PRM, "UMR WQE"; rdma-core providers/mlx5/qp.c and Linux wr.c for
 * what drivers post; IBTA vol. 1, 10.6.7 and 10.7.2 (windows, invalidation).
 * Not modelled: signatures, moving a key to another domain, the page list of
 * an MTT key (docs/deviations.md).
 * Thread: under the NIC's lock.
 */
#include <stdio.h>

#include "emu/core.h"
#include "emu/dma.h"

/* Fields that may be taken over. small_fence orders PCIe, here nothing. */
static const uint64_t known_mask =
	HW_UMR_LEN | HW_UMR_PAGE_SIZE | HW_UMR_START_ADDR | HW_UMR_EN_RINVAL |
	HW_UMR_MKEY | HW_UMR_QPN | HW_UMR_LR | HW_UMR_LW | HW_UMR_RR |
	HW_UMR_RW | HW_UMR_A | HW_UMR_SMALL_FENCE | HW_UMR_FREE;

static const uint64_t memory_mask =
	HW_UMR_LEN | HW_UMR_PAGE_SIZE | HW_UMR_START_ADDR;

struct umr {
	struct nic *nic;
	const struct nic_qp *qp;
	const struct nic_request *request;
	struct hw_umr_ctrl_info ctrl;
	const uint8_t *mkc;
	const uint8_t *list; /* or the segment that points to it */
	uint32_t list_bytes; /* of the WQE that are left for it */
	struct nic_mkey *key;
};

static uint8_t refuse(const struct umr *u, uint8_t syndrome, const char *why)
{
	nic_log(u->nic, NIC_LOG_ERROR,
		"QP 0x%x WQE 0x%04x UMR of key 0x%x: %s (%s)", u->qp->number,
		u->request->wqe_index, u->request->imm, why,
		hw_syndrome_name(syndrome));
	return syndrome;
}

/* Bytes of the list, which are inline or behind a pointer. */
static uint32_t octword_bytes(const struct umr *u)
{
	return u->ctrl.octwords * HW_OCTWORD;
}

static struct hw_wqe_data pointer(const struct umr *u)
{
	struct hw_wqe_data data;

	memcpy(&data, u->list, sizeof(data));
	return data;
}

/* What is wrong with the WQE itself; NULL: nothing. */
static const char *malformed(const struct umr *u)
{
	struct hw_wqe_data data;

	if (u->ctrl.mask & ~known_mask)
		return "umr.mask has bits that are not supported";
	if (!u->ctrl.octwords)
		return NULL;
	if (u->ctrl.flags & HW_UMR_INLINE)
		return octword_bytes(u) <= u->list_bytes
			       ? NULL
			       : "ctrl.ds leaves no room for umr.octwords of "
				 "the list";
	if (u->list_bytes < sizeof(data))
		return "ctrl.ds leaves no room for the pointer to the list";
	data = pointer(u);
	return hw_wqe_data_len(&data) < octword_bytes(u)
		       ? "the memory of the list is shorter than umr.octwords"
		       : NULL;
}

/* The list goes to [offset, +octwords) of the key's. */
static uint64_t list_offset(const struct umr *u)
{
	return u->ctrl.flags & HW_UMR_OFFSET ? u->ctrl.offset : 0;
}

static const char *list_refused(const struct umr *u)
{
	const struct nic_klm_list *list = u->key->list;

	if (!list)
		return u->ctrl.octwords || (u->ctrl.mask & memory_mask)
			       ? "only a KLM or KSM key gets other memory"
			       : NULL;
	if (list_offset(u) > list->capacity ||
	    u->ctrl.octwords > list->capacity - list_offset(u))
		return "the list is longer than the key's "
		       "translations_octword_size";
	return NULL;
}

static const char *range_refused(const struct umr *u)
{
	uint64_t start = u->key->start, len = u->key->len;

	if (u->ctrl.mask & HW_UMR_START_ADDR)
		start = hw_get64(u->mkc, HW_MKC_START_ADDR);
	if (u->ctrl.mask & HW_UMR_LEN)
		len = hw_get64(u->mkc, HW_MKC_LEN);
	return len && start + len - 1 < start
		       ? "start_addr + len is beyond 2^64"
		       : NULL;
}

/* Why the key may not be changed so; NULL: it may. */
static const char *bind_refused(const struct umr *u)
{
	const struct nic_mkey *key = u->key;
	bool invalidate =
		(u->ctrl.mask & HW_UMR_FREE) && hw_get(u->mkc, HW_MKC_FREE);
	const char *why;

	if (!key)
		return "no such key";
	if (!key->umr_en)
		return "mkc.umr_en is 0";
	if (key->pd != u->qp->pd)
		return "the key belongs to another protection domain";
	if ((u->ctrl.flags & HW_UMR_MUST_BE_FREE) && !key->free)
		return "the key is not free";
	if ((u->ctrl.flags & HW_UMR_MUST_NOT_BE_FREE) && key->free)
		return "the key is free";
	if ((u->ctrl.flags & HW_UMR_CHECK_QPN) && key->qpn != HW_MKC_QPN_ANY &&
	    key->qpn != u->qp->number)
		return "the key belongs to another queue pair";
	/* Who invalidates must know the key that is valid; who binds names
	 * the old one or the new one, as drivers do. */
	if (invalidate && !key->free &&
	    key->variant != (uint8_t)u->request->imm)
		return "the key's low 8 bits are of another registration";
	why = list_refused(u);
	return why ? why : range_refused(u);
}

/* The list that the WQE points to, into place. */
static bool fetch_list(const struct umr *u, void *to)
{
	struct hw_wqe_data data = pointer(u);
	struct mkey_use use = {.va = from_be64(data.addr),
			       .len = octword_bytes(u),
			       .key = from_be32(data.lkey),
			       .pd = u->qp->pd,
			       .qpn = u->qp->number,
			       .access = MKEY_LOCAL_READ};
	uint8_t *at = to;
	const char *why;
	uint64_t len;
	void *memory;

	for (; use.len; nic_mkey_next(&use, len)) {
		memory = nic_mkey_piece(u->nic, &use, &len, &why);
		if (!memory || dma_copy(at, memory, len))
			return false;
		at += len;
	}
	return true;
}

/* May the list be read at all? Checked before the key's own changes. */
static bool list_readable(const struct umr *u, const char **why)
{
	struct hw_wqe_data data;
	struct mkey_use use = {.len = octword_bytes(u),
			       .pd = u->qp->pd,
			       .qpn = u->qp->number,
			       .access = MKEY_LOCAL_READ};

	if (!u->ctrl.octwords || (u->ctrl.flags & HW_UMR_INLINE))
		return true;
	data = pointer(u);
	use.va = from_be64(data.addr);
	use.key = from_be32(data.lkey);
	return nic_mkey_check(u->nic, &use, why);
}

static bool write_list(const struct umr *u)
{
	struct nic_klm_list *list = u->key->list;
	struct hw_klm *to;
	bool ok = true;

	if (!u->ctrl.octwords)
		return true;
	to = list->octwords + list_offset(u);
	if (u->ctrl.flags & HW_UMR_INLINE)
		memcpy(to, u->list, octword_bytes(u));
	else
		ok = fetch_list(u, to);
	nic_klm_list_index(list);
	return ok;
}

uint8_t nic_umr(struct nic *nic, const struct nic_qp *qp,
		const struct nic_request *request)
{
	const uint8_t *bytes = request->block->bytes;
	struct umr u = {.nic = nic, .qp = qp, .request = request};
	struct hw_umr_ctrl ctrl;
	const char *why;

	memcpy(&ctrl, bytes, sizeof(ctrl));
	u.ctrl = hw_umr_ctrl_decode(&ctrl);
	u.mkc = bytes + sizeof(ctrl);
	u.list = u.mkc + HW_MKC_BYTES;
	u.list_bytes = request->kept_bytes - HW_UMR_MIN_BYTES;
	u.key = nic_mkey_get(nic, request->imm >> 8);
	why = malformed(&u);
	if (why)
		return refuse(&u, HW_SYND_LOCAL_QP_OP, why);
	why = bind_refused(&u);
	if (why)
		return refuse(&u, HW_SYND_MW_BIND, why);
	if (!list_readable(&u, &why))
		return refuse(&u, HW_SYND_LOCAL_PROT, why);
	if (!write_list(&u)) {
		/* It may be half of the old list and half of the new one. */
		nic->counters.dma_faults++;
		nic_mkey_set_free(u.key, true);
		return refuse(&u, HW_SYND_LOCAL_PROT,
			      "the memory of the list is not mapped");
	}
	nic_mkey_update(u.key, u.ctrl.mask, u.mkc);
	return HW_SYND_NONE;
}
