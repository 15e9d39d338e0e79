/* SPDX-License-Identifier: MIT */
/*
 * Client memory on a GPU. Only dma.c calls this; see dma_cuda.c.
 */
#ifndef EMU_DMA_CUDA_H
#define EMU_DMA_CUDA_H

#include "emu/dma.h"

/* Cold: host memory is the usual kind, and GPUs take microseconds anyway. */

/* As dma_attach, for memory of kind NIC_MEM_CUDA. */
int dma_cuda_attach(const struct nic_mem *mem, void **address,
		    const char **why);

/*
 * Copy; one of the two sides is device memory, or both are. What goes to the
 * device is posted: in order with all that went to this device before, and
 * src may be used again at once. What comes to the host is there on return,
 * and everything that was posted to that device too.
 *
 * Returns as dma_copy.
 */
int dma_cuda_copy(void *dst, const void *src, size_t len) __attribute__((cold));

/* As dma_write_cqe; posted. */
int dma_cuda_write_cqe(void *dst, const void *cqe) __attribute__((cold));

/* As dma_atomic; everything that was posted before is visible first. */
int dma_cuda_atomic(void *addr, unsigned bytes, const struct dma_atomic *op,
		    uint64_t *original) __attribute__((cold));

#endif
