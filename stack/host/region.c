/* SPDX-License-Identifier: MIT */
/*
 * Memory that kernels and the NIC share: host pages, or a piece of what the
 * holder of the CUDA context allocates.
 *
 * GPU memory begins and ends at 64 KiB, the unit in which a GPU's memory is
 * shown to other devices (NVIDIA, "Developing a Linux Kernel Module using
 * GPUDirect RDMA"); cudaMalloc promises 256 bytes. A dma-buf asks for pages.
 *
 * Thread: the caller's; nothing is locked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stack/host/internal.h"
#include "stack/host/region.h"

enum { PAGE = 4096, GPU_PAGE = 65536, FILL_BYTES = 1 << 20 };

static uint64_t round_up(uint64_t bytes, uint64_t unit)
{
	return (bytes + unit - 1) & ~(unit - 1);
}

static int open_host(const struct gda_config *config, const char *what,
		     struct gda_region *region)
{
	struct gda_mem *mem = &region->mem;

	mem->len = round_up(mem->len, PAGE);
	mem->addr = mmap(NULL, mem->len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem->addr != MAP_FAILED)
		return 0;
	return gda_fail(config, -ENOMEM, "%s: no %llu bytes of memory: %s",
			what, (unsigned long long)mem->len, strerror(errno));
}

int gda_region_describe(const struct gda_config *config, const char *what,
			struct gda_mem *mem)
{
	const struct gda_gpu_memory *gpu = config->gpu;
	uintptr_t first = (uintptr_t)mem->addr & ~(uintptr_t)(PAGE - 1);
	uint64_t len = round_up((uintptr_t)mem->addr + mem->len - first, PAGE);

	if (gpu->is_host)
		return 0;
	mem->kind = GDA_MEM_CUDA;
	if (!config->gpu_dmabuf)
		return 0;
	mem->kind = GDA_MEM_DMABUF;
	mem->fd = gpu->dmabuf(gpu->arg, (void *)first, len);
	return mem->fd >= 0
		       ? 0
		       : gda_fail(config, mem->fd,
				  "%s: no dma-buf of %llu bytes of GPU memory "
				  "at %p: %s (without gpu_dmabuf it is "
				  "registered by its address)",
				  what, (unsigned long long)mem->len, mem->addr,
				  strerror(-mem->fd));
}

static int open_gpu(const struct gda_config *config, const char *what,
		    struct gda_region *region)
{
	const struct gda_gpu_memory *gpu = config->gpu;
	struct gda_mem *mem = &region->mem;

	unsigned long long bytes;

	mem->len = round_up(mem->len, GPU_PAGE);
	bytes = mem->len + GPU_PAGE;
	region->gpu_memory = gpu->alloc(gpu->arg, bytes);
	if (!region->gpu_memory)
		return gda_fail(config, -ENOMEM,
				"%s: no %llu bytes of GPU memory", what, bytes);
	mem->addr = (void *)(uintptr_t)round_up((uintptr_t)region->gpu_memory,
						GPU_PAGE);
	return gda_region_describe(config, what, mem);
}

int gda_region_open(const struct gda_config *config, enum gda_placement place,
		    uint64_t len, const char *what, struct gda_region *region)
{
	int rc;

	*region = (struct gda_region){{NULL, len, GDA_MEM_HOST, -1}, NULL};
	if (place == GDA_PLACE_HOST)
		rc = open_host(config, what, region);
	else
		rc = open_gpu(config, what, region);
	if (!rc)
		return 0;
	if (region->gpu_memory)
		config->gpu->free(config->gpu->arg, region->gpu_memory);
	memset(region, 0, sizeof(*region));
	return rc;
}

void gda_region_close(const struct gda_config *config,
		      struct gda_region *region)
{
	if (region->gpu_memory)
		config->gpu->free(config->gpu->arg, region->gpu_memory);
	else if (region->mem.len)
		munmap(region->mem.addr, region->mem.len);
	if (region->mem.kind == GDA_MEM_DMABUF)
		close(region->mem.fd);
	memset(region, 0, sizeof(*region));
}

int gda_region_write(const struct gda_config *config,
		     const struct gda_region *region, uint64_t offset,
		     const void *from, uint64_t bytes)
{
	const struct gda_gpu_memory *gpu = config->gpu;
	uint8_t *to = gda_region_at(region, offset);
	int rc;

	if (!region->gpu_memory) {
		memcpy(to, from, bytes);
		return 0;
	}
	rc = gpu->copy(gpu->arg, to, from, bytes);
	return rc ? gda_fail(config, rc,
			     "GPU memory: %llu bytes cannot be copied to %p",
			     (unsigned long long)bytes, (void *)to)
		  : 0;
}

static int fill_gpu(const struct gda_config *config,
		    const struct gda_region *region, uint64_t offset,
		    uint8_t value, uint64_t bytes)
{
	uint64_t most = bytes < FILL_BYTES ? bytes : FILL_BYTES, now;
	uint8_t *pattern = malloc(most + !most);
	int rc = 0;

	if (!pattern)
		return gda_fail(config, -ENOMEM,
				"GPU memory: no %llu bytes of host memory for "
				"what is copied to it",
				(unsigned long long)most);
	memset(pattern, value, most);
	for (; !rc && bytes; bytes -= now, offset += now) {
		now = bytes < most ? bytes : most;
		rc = gda_region_write(config, region, offset, pattern, now);
	}
	free(pattern);
	return rc;
}

int gda_region_fill(const struct gda_config *config,
		    const struct gda_region *region, uint64_t offset,
		    uint8_t value, uint64_t bytes)
{
	if (region->gpu_memory)
		return fill_gpu(config, region, offset, value, bytes);
	memset(gda_region_at(region, offset), value, bytes);
	return 0;
}
