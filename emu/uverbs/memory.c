/* SPDX-License-Identifier: MIT */
/*
 * The program's memory for the NIC: what the kernel would pin.
 *
 * Nothing is pinned here; that memory is there and writable is found out by
 * having the kernel fault it in, which is what pinning does too.
 *
 * Source of truth: Linux drivers/infiniband/core/umem.c, umem_dmabuf.c.
 * Thread: any.
 */
#include "emu/uverbs/memory.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "emu/dma.h"
#include "emu/uverbs/call.h"
#include "emu/uverbs/cuda.h"

/* Can every page be read? For kernels before MADV_POPULATE, and for memory of
 * devices, which it does not take. */
static int all_readable(uint64_t from, uint64_t to, uint64_t page)
{
	for (; from < to; from += page)
		if (dma_probe((void *)(uintptr_t)from, 1))
			return -EFAULT;
	return 0;
}

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

/* Device memory is pinned by whoever made it. */
int uv_pin(uint64_t addr, uint64_t len, bool write)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t from = addr & ~(page - 1);
	uint64_t to = (addr + len + page - 1) & ~(page - 1);

	if (!len || addr + len < addr || to < from)
		return -EINVAL;
	if (dma_is_cuda((void *)(uintptr_t)addr))
		return 0;
	if (!madvise((void *)(uintptr_t)from, to - from,
		     write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ))
		return 0;
	if (errno != EINVAL)
		return errno == ENOMEM || errno == EFAULT ? -EFAULT : -errno;
	/* Not writable, if it can be read after all. */
	if (write &&
	    !madvise((void *)(uintptr_t)from, to - from, MADV_POPULATE_READ))
		return -EFAULT;
	return all_readable(from, to, page);
}

int uv_umem_access(struct uv_context *context, uint64_t addr, uint64_t len,
		   bool write, uint32_t *id)
{
	int ret = uv_pin(addr, len, write);
	struct nic_mem mem;

	if (ret)
		return ret;
	mem = uv_cuda_mem(addr, len);
	return nic_umem_register(context->nic, &mem, id);
}

int uv_umem(struct uv_context *context, uint64_t addr, uint64_t len,
	    uint32_t *id)
{
	return uv_umem_access(context, addr, len, true, id);
}

void uv_umem_drop(struct uv_context *context, uint32_t id)
{
	if (id)
		nic_umem_deregister(context->nic, id);
}

int uv_map_dmabuf(int fd, uint64_t offset, uint64_t len,
		  struct uv_dmabuf_mapping *out)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t skip = offset % page, device, device_len;

	if (!len || offset + len < offset)
		return -EINVAL;
	if (uv_cuda_dmabuf(fd, &device, &device_len)) {
		if (offset + len > device_len)
			return -EINVAL;
		out->base = NULL;
		out->bytes = 0;
		out->memory = (uint8_t *)(uintptr_t)(device + offset);
		return 0;
	}
	out->bytes = len + skip;
	out->base = mmap(NULL, out->bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			 fd, (off_t)(offset - skip));
	if (out->base == MAP_FAILED) {
		if (errno == EBADF)
			return -EBADF;
		uv_unsupported("a dmabuf that the CPU cannot map");
		return -EOPNOTSUPP;
	}
	out->memory = (uint8_t *)out->base + skip;
	return 0;
}

void uv_unmap_dmabuf(const struct uv_dmabuf_mapping *mapping)
{
	if (mapping->base)
		munmap(mapping->base, mapping->bytes);
}
