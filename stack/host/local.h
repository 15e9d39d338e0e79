/* SPDX-License-Identifier: MIT */
/*
 * What the emulated backend needs of a gda_local_group: the fabric that its
 * NICs are attached to, and all of them for one thread to step.
 *
 * Thread: any.
 */
#ifndef GDA_HOST_LOCAL_H
#define GDA_HOST_LOCAL_H

#include <stdbool.h>
#include <stdint.h>

#include "emu/wire.h"
#include "stack/gda.h"

struct wire_loop_fabric *gda_local_fabric(struct gda_local_group *group);

/* nic NULL: it goes; nobody steps it any more when this returns. */
void gda_local_set_nic(struct gda_local_group *group, int pe, struct nic *nic);

/* Step all NICs once. Returns whether one has more to do. */
bool gda_local_step(struct gda_local_group *group, uint64_t now_ns);

#endif
