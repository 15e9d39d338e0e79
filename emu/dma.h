/* SPDX-License-Identifier: MIT */
/*
 * Every access to client memory. See dma.c for what happens when the memory
 * is not there.
 */
#ifndef EMU_DMA_H
#define EMU_DMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "emu/nic.h"

/* Faults of copies become error values; once, from nic_create. */
int dma_init(void);

/*
 * A handler that calls these functions may have interrupted one of them: it
 * sets that one's guard aside before, and puts it back after.
 */
struct dma_guard {
	uint64_t words[48]; /* a jump buffer, and what is accessed */
};
void dma_suspend(struct dma_guard *saved);
void dma_resume(const struct dma_guard *saved);

/*
 * Copy between client memory (or to or from our own). Naturally aligned
 * pieces of 1, 2, 4 and 8 bytes are copied in one access, with acquire and
 * release order, so that a client may poll a flag that arrives this way.
 *
 * Returns 0; -EFAULT if dst is not there or (under ASan) poisoned; -EIO if
 * src is not. In both cases some bytes may have been copied.
 */
int dma_copy(void *dst, const void *src, size_t len);

/* Read without a destination (DUMP). Returns 0 or -EIO. */
int dma_probe(const void *src, size_t len);

/* Write a CQE of 64 bytes: the last 8 in one store, after all others. */
int dma_write_cqe(void *dst, const void *cqe);

/* One doorbell record word, with acquire order. Returns 0 or -EIO. */
int dma_load_record(const void *word, uint32_t *value);

/*
 * One atomic operation on client memory, 4 or 8 bytes, naturally aligned, in
 * host byte order: atomic against every CPU thread and every NIC of the host.
 * Returns 0 and the original value, or -EFAULT.
 */
struct dma_atomic {
	bool compare_swap; /* else fetch and add */
	uint64_t operand;  /* swap value, or value to add */
	uint64_t compare;  /* compare value, or field boundary */
	uint64_t swap_mask;
	uint64_t compare_mask;
};

int dma_atomic(void *addr, unsigned bytes, const struct dma_atomic *op,
	       uint64_t *original);

#endif
