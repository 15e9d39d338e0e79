/* SPDX-License-Identifier: MIT */
/*
 * Scatter: the payload of a packet into a list of local memory, for read
 * responses (completer) and for sends (responder).
 *
 * Thread: under the NIC's lock.
 */
#include <errno.h>

#include "emu/core.h"

int nic_scatter(struct nic *nic, struct nic_qp *qp, const struct nic_sge *sge,
		uint32_t offset, const struct nic_packet *packet)
{
	uint32_t left = packet->payload_len, at = 0;
	struct mkey_use use = {.pd = qp->key_pd,
			       .qpn = qp->number,
			       .access = MKEY_LOCAL_WRITE};
	struct nic_mem dst = {.kind = NIC_MEM_HOST};
	const char *why;
	int ret;

	for (; left; sge++) {
		if (offset >= sge->len) {
			offset -= sge->len;
			continue;
		}
		dst.len = sge->len - offset < left ? sge->len - offset : left;
		use.va = sge->va + offset;
		use.len = dst.len;
		use.key = sge->lkey;
		dst.addr = nic_mkey_translate(nic, &use, &why);
		if (!dst.addr)
			return -EFAULT;
		ret = nic->wire->ops->pull(nic->wire, packet, at, &dst);
		if (ret)
			return ret;
		at += (uint32_t)dst.len;
		left -= (uint32_t)dst.len;
		offset = 0;
	}
	return 0;
}
