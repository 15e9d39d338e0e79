/* SPDX-License-Identifier: MIT */
/*
 * The program's mappings of doorbell pages: which are trapped.
 */
#ifndef EMU_UVERBS_MAPPING_H
#define EMU_UVERBS_MAPPING_H

#include <stdbool.h>
#include <stddef.h>

struct uv_context;
struct uv_uar;

/* Are stores to doorbell pages seen as faults in this process? */
bool uv_mapping_traps(void);

/* Before an object is made that may be rung: find what was mapped unseen. */
void uv_mapping_find(struct uv_context *context, struct uv_uar *uar);

/*
 * Does the range lie on doorbell pages? Then a GPU will ring them: they are
 * plain memory and polled from now on, and the runner looks more often.
 */
bool uv_mapping_rung_by_gpu(const void *addr, size_t len);

/* The page goes: its mappings are plain memory again. */
void uv_mapping_drop(struct uv_uar *uar);

/* The child's mappings swallow what is stored to them. */
void uv_mapping_after_fork(void);

#endif
