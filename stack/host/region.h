/* SPDX-License-Identifier: MIT */
/*
 * Memory that kernels and the NIC share, host or GPU: the heap, and the arena
 * of rings and records.
 *
 * Thread: the caller's; nothing is locked.
 */
#ifndef GDA_HOST_REGION_H
#define GDA_HOST_REGION_H

#include "stack/backend.h"

struct gda_region {
	/* Whole pages; len 0: there is none. */
	struct gda_mem mem;
	void *gpu_memory; /* what the GPU's owner gave, or NULL: host memory */
};

/*
 * len bytes of zeroed memory. Returns 0, -ENOMEM, or the error of the dma-buf;
 * what is named in the message.
 */
int gda_region_open(const struct gda_config *config, enum gda_placement place,
		    uint64_t len, const char *what, struct gda_region *region);

/* Requires: no NIC knows it any more. Nothing for a zeroed region. */
void gda_region_close(const struct gda_config *config,
		      struct gda_region *region);

/*
 * How the NIC is told of GPU memory that somebody else allocated: of kind and,
 * for a dma-buf, descriptor, which the caller closes. Requires addr and len;
 * the dma-buf begins at addr, rounded down to a page. As gda_region_open.
 */
int gda_region_describe(const struct gda_config *config, const char *what,
			struct gda_mem *mem);

/* The host's way to write to it. Returns 0, or the error of the copy. */
int gda_region_write(const struct gda_config *config,
		     const struct gda_region *region, uint64_t offset,
		     const void *from, uint64_t bytes);
int gda_region_fill(const struct gda_config *config,
		    const struct gda_region *region, uint64_t offset,
		    uint8_t value, uint64_t bytes);

static inline uint8_t *gda_region_at(const struct gda_region *region,
				     uint64_t offset)
{
	return (uint8_t *)region->mem.addr + offset;
}

#endif
