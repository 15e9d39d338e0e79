/* SPDX-License-Identifier: MIT */
/*
 * Every access to client memory. See dma.c for what happens when the memory
 * is not there.
 *
 * Addresses of client memory are what dma_attach() made of them: a pointer, or
 * for device memory its address with a mark in the top byte that no address of
 * a process has. So the kind of memory goes wherever the address goes, also
 * through arithmetic, and who takes it for a pointer faults at once.
 *
 * What is written to device memory is posted: it is there, in order, for
 * whatever reads or writes that device through here later. Before anybody
 * learns of it in another way (a store to host memory, a packet, an event),
 * dma_settle() must have waited for it: dma_store, dma_write_cqe and
 * dma_atomic do so themselves.
 */
#ifndef EMU_DMA_H
#define EMU_DMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "emu/nic.h"

/* Faults of copies become error values; once, from nic_create. */
int dma_init(void);

enum {
	DMA_TAG_SHIFT = 56,
	DMA_DEVICES_MAX = 64,
};
#define DMA_ADDRESS_MASK ((1ull << DMA_TAG_SHIFT) - 1)
#define DMA_TAG_DEVICE	 (1ull << 62)

static inline bool dma_is_device(const void *address)
{
	return (uintptr_t)address >> 62 == 1;
}

/* Which of the GPUs (dma_cuda.c). */
static inline unsigned dma_device(const void *address)
{
	return (uintptr_t)address >> DMA_TAG_SHIFT & (DMA_DEVICES_MAX - 1);
}

/* An address that a client wrote into a WQE, for host memory: whatever it is,
 * it has no mark. */
static inline void *dma_host_address(uint64_t va)
{
	return (void *)(uintptr_t)(va > DMA_ADDRESS_MASK ? va | 1ull << 63
							 : va);
}

/*
 * The address for the calls below of memory as the client names it. Device
 * memory opens the CUDA driver: the first call for a GPU may take a second.
 * Returns 0, or as nic_umem_register with a reason in *why.
 */
int dma_attach(const struct nic_mem *mem, void **address, const char **why);

/* Does the CUDA driver, if the program has loaded it, know this address as
 * device memory? */
bool dma_is_cuda(const void *addr);

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

extern unsigned dma_cuda_gpus;

/*
 * Wait until everything that was posted to device memory is there. Returns 0;
 * -EIO if it is lost: the GPU or its context has failed.
 */
int dma_cuda_settle(void) __attribute__((cold));

static inline int dma_settle(void)
{
	return __builtin_expect(dma_cuda_gpus, 0) ? dma_cuda_settle() : 0;
}

/* Copy to client memory, behind everything that was posted before. */
static inline int dma_store(void *dst, const void *src, size_t len)
{
	if (__builtin_expect(dma_cuda_gpus, 0) && !dma_is_device(dst))
		dma_cuda_settle();
	return dma_copy(dst, src, len);
}

/* Read without a destination (DUMP). Returns 0 or -EIO. */
int dma_probe(const void *src, size_t len);

/* Write a CQE of 64 bytes: the last 8 in one store, after all others. */
int dma_write_cqe(void *dst, const void *cqe);

/* One doorbell record word, with acquire order. Returns 0 or -EIO. */
int dma_load_record(const void *word, uint32_t *value);

/*
 * One atomic operation on client memory, 4 or 8 bytes, naturally aligned, in
 * host byte order: atomic against every CPU thread and every NIC of the host,
 * in device memory against the GPU's threads and every NIC of this process.
 *
 * Returns 0 and the original value; 1 likewise, but the GPU had no room for it
 * and it was done by copies, against other NICs only; -EFAULT.
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

/* What an atomic leaves in memory that holds old. */
uint64_t dma_atomic_result(const struct dma_atomic *op, uint64_t old);

#endif
