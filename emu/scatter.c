/* SPDX-License-Identifier: MIT */
/*
 * Scatter: the payload of a packet into local memory, for read responses
 * (completer) and for sends and writes (responder).
 *
 * Thread: under the NIC's lock.
 */
#include <errno.h>

#include "emu/core.h"
#include "emu/dma.h"

int nic_scatter_range(struct nic *nic, struct mkey_use use,
		      const struct nic_packet *packet, uint64_t at)
{
	struct nic_mem dst = {0};
	const char *why;
	int ret;

	for (; use.len; nic_mkey_next(&use, dst.len)) {
		dst.addr = nic_mkey_piece(nic, &use, &dst.len, &why);
		if (!dst.addr)
			return -EACCES;
		ret = nic->wire->ops->pull(nic->wire, packet, at, &dst);
		if (ret)
			return ret;
		at += dst.len;
	}
	return 0;
}

int nic_scatter(struct nic *nic, struct nic_qp *qp, const struct nic_sge *sge,
		uint32_t offset, const struct nic_packet *packet)
{
	uint32_t left = packet->payload_len;
	struct mkey_use use = {.pd = qp->key_pd,
			       .qpn = qp->number,
			       .access = MKEY_LOCAL_WRITE};
	int ret;

	for (; left; sge++) {
		if (offset >= sge->len) {
			offset -= sge->len;
			continue;
		}
		use.len = sge->len - offset < left ? sge->len - offset : left;
		use.va = sge->va + offset;
		use.key = sge->lkey;
		ret = nic_scatter_range(nic, use, packet,
					packet->payload_len - left);
		if (ret)
			return ret == -EACCES ? -EFAULT : ret;
		left -= (uint32_t)use.len;
		offset = 0;
	}
	return 0;
}

int nic_write_range(struct nic *nic, struct mkey_use use, const void *bytes)
{
	const uint8_t *from = bytes;
	const char *why;
	uint64_t len;
	void *memory;

	for (; use.len; nic_mkey_next(&use, len)) {
		memory = nic_mkey_piece(nic, &use, &len, &why);
		if (!memory || dma_store(memory, from, len))
			return -EFAULT;
		from += len;
	}
	return 0;
}
