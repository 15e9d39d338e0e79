/* SPDX-License-Identifier: MIT */
/*
 * The program's memory for the NIC.
 */
#ifndef EMU_UVERBS_MEMORY_H
#define EMU_UVERBS_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Would the kernel pin this memory? Returns 0; -EFAULT if part of it is not
 * mapped, or not writable though write is set; -EINVAL for a range that is
 * empty or wraps.
 */
int uv_pin(uint64_t addr, uint64_t len, bool write);

struct uv_context;

/* Pin memory and give it to the NIC, to be written too if it is not said. */
int uv_umem(struct uv_context *context, uint64_t addr, uint64_t len,
	    uint32_t *id);
int uv_umem_access(struct uv_context *context, uint64_t addr, uint64_t len,
		   bool write, uint32_t *id);
/* 0: there is none. */
void uv_umem_drop(struct uv_context *context, uint32_t id);

/* Memory by descriptor, mapped for as long as its object lives. */
struct uv_dmabuf_mapping {
	void *base; /* NULL: device memory, by its address */
	size_t bytes;
	uint8_t *memory; /* at the offset that was asked for */
};

/* Returns 0; -EBADF; -EINVAL; -EOPNOTSUPP if the CPU cannot map it. */
int uv_map_dmabuf(int fd, uint64_t offset, uint64_t len,
		  struct uv_dmabuf_mapping *out);
void uv_unmap_dmabuf(const struct uv_dmabuf_mapping *mapping);

#endif
