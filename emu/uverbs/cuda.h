/* SPDX-License-Identifier: MIT */
/*
 * What the CUDA driver is asked for in a program with the preload library.
 */
#ifndef EMU_UVERBS_CUDA_H
#define EMU_UVERBS_CUDA_H

#include <stdbool.h>
#include <stdint.h>

#include "emu/nic.h"

/*
 * Memory of the program as the NIC has it: device memory if the CUDA driver of
 * this process says so, as nvidia-peermem would. It is attached then, so that
 * the NIC's own call finds it done.
 */
struct nic_mem uv_cuda_mem(uint64_t addr, uint64_t len);

/* Device memory behind a descriptor that the driver gave out. False: it is no
 * such descriptor. */
bool uv_cuda_dmabuf(int fd, uint64_t *addr, uint64_t *len);

/* Of a call that is interposed: ours, if the driver is there. Else NULL. */
void *uv_cuda_symbol(const char *name);

/* dlsym.c: the call behind our dlsym(). */
void *uv_real_dlsym(void *library, const char *name);

#endif
