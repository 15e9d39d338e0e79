/* SPDX-License-Identifier: MIT */
/*
 * Paths of datagrams, remembered: a small table in which an address has one
 * place, and a newer one takes it over.
 *
 * An address where nobody answers is asked for again each time, so that a NIC
 * that comes later is found.
 *
 * Thread: under the NIC's lock.
 */
#include "emu/path.h"

#include <errno.h>
#include <string.h>

#include "emu/core.h"

static uint32_t place(const struct wire_path *to)
{
	uint32_t sum = to->lid;
	unsigned i;

	if (to->global)
		for (sum = 0, i = 8; i < sizeof(to->gid); i++)
			sum = sum * 31 + to->gid[i];
	return (sum ^ sum >> 6) % NIC_PATHS;
}

static bool same(const struct wire_path *a, const struct wire_path *b)
{
	if (a->global != b->global)
		return false;
	return a->global ? !memcmp(a->gid, b->gid, sizeof(a->gid))
			 : a->lid == b->lid;
}

int nic_path_find(struct nic *nic, const struct wire_path *to, uint32_t *peer)
{
	struct nic_path *path = &nic->paths[place(to)];

	if (path->used && same(&path->to, to)) {
		*peer = path->peer;
		return 0;
	}
	if (!nic->wire || nic->wire->ops->resolve(nic->wire, to, peer))
		return -EHOSTUNREACH;
	path->to = *to;
	path->peer = *peer;
	path->used = true;
	return 0;
}

void nic_path_forget(struct nic *nic, uint32_t peer)
{
	unsigned i;

	for (i = 0; i < NIC_PATHS; i++)
		if (nic->paths[i].peer == peer)
			nic->paths[i].used = false;
}
