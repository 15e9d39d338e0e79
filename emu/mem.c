/* SPDX-License-Identifier: MIT */
/*
 * Client memory by id: umems, and the doorbell pages (UARs).
 *
 * Thread: public calls take the NIC's lock.
 */
#include "emu/mem.h"

#include <errno.h>
#include <stdlib.h>

#include "emu/core.h"
#include "emu/dma.h"
#include "hw/cmd_mkey.h"

/* Client memory that the NIC can reach; or not, and why. */
struct attached {
	const struct nic_mem *mem;
	void *base;
	const char *why;
	int error;
};

/* Before the lock is taken: a GPU's memory may take a while. */
static struct attached attach(const struct nic_mem *mem)
{
	struct attached a = {.mem = mem};

	a.error = dma_attach(mem, &a.base, &a.why);
	return a;
}

static int umem_add(struct nic *nic, const struct attached *from, uint32_t *id)
{
	const struct nic_mem *mem = from->mem;
	struct nic_umem *umem;
	int ret;

	if (from->error) {
		nic_log(nic, NIC_LOG_ERROR,
			"%s memory [%p, +0x%llx) is refused: %s",
			mem->kind == NIC_MEM_CUDA ? "CUDA" : "host", mem->addr,
			(unsigned long long)mem->len, from->why);
		return from->error;
	}
	umem = calloc(1, sizeof(*umem));
	if (!umem)
		return -ENOMEM;
	umem->mem = *mem;
	umem->base = from->base;
	ret = nic_table_add(&nic->umems, umem, &umem->id);
	if (ret) {
		free(umem);
		return ret;
	}
	*id = umem->id;
	return 0;
}

int nic_umem_remove(struct nic *nic, uint32_t id)
{
	struct nic_umem *umem = nic_umem_get(nic, id);

	if (!umem)
		return -ENOENT;
	if (umem->users)
		return -EBUSY;
	nic_table_remove(&nic->umems, id);
	free(umem);
	return 0;
}

int nic_umem_register(struct nic *nic, const struct nic_mem *mem, uint32_t *id)
{
	struct attached attached;
	int ret;

	if (!mem || !id)
		return -EINVAL;
	attached = attach(mem);
	nic_lock(nic);
	ret = umem_add(nic, &attached, id);
	nic_unlock(nic);
	return ret;
}

int nic_umem_deregister(struct nic *nic, uint32_t id)
{
	int ret;

	nic_lock(nic);
	ret = nic_umem_remove(nic, id);
	nic_unlock(nic);
	return ret;
}

struct nic_umem *nic_umem_get(struct nic *nic, uint32_t id)
{
	return nic_table_get(&nic->umems, id);
}

/* ------------------------------------------------------------------ UAR */

static int uar_add(struct nic *nic, const struct nic_uar *init, uint32_t *index)
{
	struct nic_uar *uar = calloc(1, sizeof(*uar));
	int ret;

	if (!uar)
		return -ENOMEM;
	*uar = *init;
	ret = nic_table_add(&nic->uars, uar, &uar->index);
	if (ret) {
		free(uar);
		return ret;
	}
	*index = uar->index;
	return 0;
}

int nic_uar_alloc(struct nic *nic, void *page, enum nic_uar_kind kind,
		  uint32_t *index)
{
	struct nic_uar uar = {.page = page, .kind = kind};
	int ret;

	if (!page || (uintptr_t)page % HW_UAR_BYTES || !index)
		return -EINVAL;
	if (kind != NIC_UAR_NC && kind != NIC_UAR_BF)
		return -EINVAL;
	nic_lock(nic);
	ret = uar_add(nic, &uar, index);
	nic_unlock(nic);
	return ret;
}

int nic_uar_set_trapped(struct nic *nic, uint32_t index, bool trapped)
{
	struct nic_uar *uar;

	nic_lock(nic);
	uar = nic_uar_get(nic, index);
	if (uar)
		nic_scan_set_trapped(nic, uar, trapped);
	nic_unlock(nic);
	return uar ? 0 : -ENOENT;
}

int nic_uar_look(struct nic *nic, uint32_t index)
{
	struct nic_uar *uar;

	nic_lock(nic);
	uar = nic_uar_get(nic, index);
	if (uar)
		nic_scan_trapped(nic, uar);
	nic_unlock(nic);
	return uar ? 0 : -ENOENT;
}

int nic_uar_write(struct nic *nic, uint32_t index, uint32_t offset,
		  const void *bytes, size_t len)
{
	struct nic_uar_store store = {bytes, offset, len};
	struct nic_uar *uar;
	int ret = -ENOENT;

	if (!bytes || !len || offset >= HW_UAR_BYTES ||
	    len > HW_UAR_BYTES - offset)
		return -EINVAL;
	nic_lock(nic);
	uar = nic_uar_get(nic, index);
	if (uar)
		ret = nic_scan_write(nic, uar, &store);
	nic_unlock(nic);
	return ret;
}

static int uar_remove(struct nic *nic, uint32_t index)
{
	struct nic_uar *uar = nic_uar_get(nic, index);

	if (!uar)
		return -ENOENT;
	if (uar->users)
		return -EBUSY;
	nic_scan_forget_uar(nic, uar);
	nic_table_remove(&nic->uars, index);
	free(uar);
	return 0;
}

int nic_uar_free(struct nic *nic, uint32_t index)
{
	int ret;

	nic_lock(nic);
	ret = uar_remove(nic, index);
	nic_unlock(nic);
	return ret;
}

struct nic_uar *nic_uar_get(struct nic *nic, uint32_t index)
{
	return nic_table_get(&nic->uars, index);
}

/* ------------------------------------------------------------------ MR */

/* The mailbox that a kernel driver would send for a memory region. */
static int create_mkey(struct nic *nic, const struct nic_mkey_attr *attr,
		       uint32_t umem_id, uint32_t *mkey)
{
	uint8_t in[HW_CREATE_MKEY_IN_BYTES] = {0}, out[HW_CMD_HDR_BYTES];
	uint8_t *mkc = in + HW_MKC_OFFSET;
	uint32_t access = attr->access;

	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_MKEY);
	hw_set(in, HW_CREATE_MKEY_UMEM_VALID, 1);
	hw_set(in, HW_CREATE_MKEY_UMEM_ID, umem_id);
	hw_set(mkc, HW_MKC_ACCESS_MODE_1_0, HW_MKC_MODE_MTT);
	hw_set(mkc, HW_MKC_LR, 1);
	hw_set(mkc, HW_MKC_LW, !!(access & NIC_ACCESS_LOCAL_WRITE));
	hw_set(mkc, HW_MKC_RR, !!(access & NIC_ACCESS_REMOTE_READ));
	hw_set(mkc, HW_MKC_RW, !!(access & NIC_ACCESS_REMOTE_WRITE));
	hw_set(mkc, HW_MKC_A, !!(access & NIC_ACCESS_REMOTE_ATOMIC));
	hw_set(mkc, HW_MKC_QPN, HW_MKC_QPN_ANY);
	hw_set(mkc, HW_MKC_PD, attr->pd);
	hw_set64(mkc, HW_MKC_START_ADDR, attr->iova);
	hw_set64(mkc, HW_MKC_LEN, attr->mem.len);
	nic_cmd_locked(nic, in, sizeof(in), out, sizeof(out));
	switch (hw_get(out, HW_CMD_OUT_STATUS)) {
	case HW_CMD_OK:
		*mkey = hw_get(out, HW_CMD_OUT_NUMBER) << 8;
		return 0;
	case HW_CMD_NO_RES:
		return -ENOSPC;
	default:
		return -EINVAL;
	}
}

static int mkey_register(struct nic *nic, const struct nic_mkey_attr *attr,
			 const struct attached *memory, uint32_t *mkey)
{
	uint32_t id;
	int ret = umem_add(nic, memory, &id);

	if (ret)
		return ret;
	ret = create_mkey(nic, attr, id, mkey);
	if (ret)
		nic_umem_remove(nic, id);
	else
		nic_mkey_get(nic, *mkey >> 8)->owns_umem = true;
	return ret;
}

int nic_mkey_register(struct nic *nic, const struct nic_mkey_attr *attr,
		      uint32_t *mkey)
{
	struct attached attached;
	int ret;

	if (!attr || !mkey)
		return -EINVAL;
	attached = attach(&attr->mem);
	nic_lock(nic);
	ret = mkey_register(nic, attr, &attached, mkey);
	nic_unlock(nic);
	return ret;
}

/* Two keys change their places: each stands under the other's number. */
static void swap_keys(struct nic_mkey *a, struct nic_mkey *b)
{
	struct nic_mkey was = *a;

	*a = *b;
	*b = was;
	b->index = a->index;
	a->index = was.index;
	b->variant = a->variant;
	a->variant = was.variant;
}

int nic_mkey_change(struct nic *nic, uint32_t mkey,
		    const struct nic_mkey_attr *attr)
{
	struct nic_mkey *key, *fresh;
	struct attached attached;
	uint32_t number;
	int ret;

	if (!attr)
		return -EINVAL;
	attached = attach(&attr->mem);
	nic_lock(nic);
	key = nic_mkey_get(nic, mkey >> 8);
	ret = key && key->owns_umem
		      ? mkey_register(nic, attr, &attached, &number)
		      : -ENOENT;
	if (!ret) {
		fresh = nic_mkey_get(nic, number >> 8);
		swap_keys(key, fresh);
		nic_mkey_remove(nic, fresh);
	}
	nic_unlock(nic);
	return ret;
}

int nic_mkey_deregister(struct nic *nic, uint32_t mkey)
{
	struct nic_mkey *key;
	int ret = -ENOENT;

	nic_lock(nic);
	key = nic_mkey_get(nic, mkey >> 8);
	if (key && key->owns_umem) {
		nic_mkey_remove(nic, key);
		ret = 0;
	}
	nic_unlock(nic);
	return ret;
}

void nic_mem_free(struct nic *nic)
{
	void *object;
	uint32_t i;

	for (i = 0; (object = nic_table_walk(&nic->mkeys, &i));)
		nic_mkey_remove(nic, object);
	for (i = 0; (object = nic_table_walk(&nic->umems, &i));)
		free(object);
	for (i = 0; (object = nic_table_walk(&nic->uars, &i));)
		free(object);
	nic_table_free(&nic->mkeys);
	nic_table_free(&nic->umems);
	nic_table_free(&nic->uars);
}
