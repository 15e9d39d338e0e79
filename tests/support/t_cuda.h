/* SPDX-License-Identifier: MIT */
/*
 * Device memory for tests without a GPU: the fake driver is loaded under the
 * real one's name, and what t_alloc() gives can be device memory.
 *
 * Tests then write and read the view of it, as if it were host memory, while
 * the NIC gets addresses that the CPU cannot touch.
 */
#ifndef T_CUDA_H
#define T_CUDA_H

#include "support/fake/fake_cuda.h"

/* Load the fake driver. Once; before the NIC has looked for one. */
const struct fake_cuda *t_cuda(void);

/* Device memory that the NIC has attached. */
struct t_device {
	uint8_t *plain; /* as the client names it */
	uint8_t *view;
	uint8_t *dma; /* as emu/dma.h wants it */
};
struct t_device t_device(size_t len);

/* What t_alloc() gives from now on: views of device memory, or host memory. */
void t_cuda_alloc(bool device);

#endif
