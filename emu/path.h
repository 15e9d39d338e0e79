/* SPDX-License-Identifier: MIT */
/*
 * Paths of datagrams: which peer of the wire an address means. A wire may
 * have to look into files to know, so the NIC remembers.
 */
#ifndef EMU_PATH_H
#define EMU_PATH_H

#include "emu/wire.h"

enum { NIC_PATHS = 64 }; /* a power of two */

struct nic_path {
	struct wire_path to;
	uint32_t peer;
	bool used;
};

/* Returns 0 and *peer, or -EHOSTUNREACH if nobody is there now. */
int nic_path_find(struct nic *nic, const struct wire_path *to, uint32_t *peer);

/* The peer is gone: whoever is at its address later is another one. */
void nic_path_forget(struct nic *nic, uint32_t peer);

#endif
