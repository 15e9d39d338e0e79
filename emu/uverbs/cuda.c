/* SPDX-License-Identifier: MIT */
/*
 * Interposers of the CUDA driver: what a kernel driver would have to do with
 * two of its calls.
 *
 * A doorbell page that cuMemHostRegister() is given is polled from then on,
 * because a GPU that rings it traps nowhere. As I/O memory it would be refused,
 * for it is none: that flag is taken off. cuMemGetHandleForAddressRange()
 * gives a dma-buf that the CPU cannot map: the range behind it is remembered.
 *
 * A program gets at these calls by linking, by dlsym(), or by
 * cuGetProcAddress(), as the static runtime does; each way leads here.
 *
 * Source of truth: cuda.h and cudaTypedefs.h of the CUDA toolkit 12 and 13.
 * Thread: any; a lock over what is remembered.
 */
#include "emu/uverbs/cuda.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "emu/cuda_api.h"
#include "emu/dma.h"
#include "emu/uverbs/fd.h"
#include "emu/uverbs/mapping.h"

enum {
	REGISTER_IOMEMORY = 4, /* CU_MEMHOSTREGISTER_IOMEMORY */
	HANDLE_DMABUF = 1,     /* CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD */
	NOT_INITIALIZED = 3,   /* CUDA_ERROR_NOT_INITIALIZED */
	RANGES = 1024,
};

/* Exported under the driver's names; no header of ours has them. */
#define CALLS(X)                                                               \
	X(cuMemHostRegister, (void *addr, size_t len, unsigned flags))         \
	X(cuMemHostRegister_v2, (void *addr, size_t len, unsigned flags))      \
	X(cuMemGetHandleForAddressRange,                                       \
	  (void *handle, cuda_ptr ptr, size_t len, int type,                   \
	   unsigned long long flags))                                          \
	X(cuGetProcAddress,                                                    \
	  (const char *name, void **call, int version, uint64_t flags))        \
	X(cuGetProcAddress_v2, (const char *name, void **call, int version,    \
				uint64_t flags, int *status))

#define X(name, parameters) cuda_result name parameters;
CALLS(X)
#undef X

/* -------------------------------------------------------- the real calls */

struct real {
#define X(name, parameters) cuda_result(*name) parameters;
	CALLS(X)
#undef X
};

static const struct {
	const char *name;
	void *ours;
	size_t offset;
} calls[] = {
#define X(name, parameters) {#name, name, offsetof(struct real, name)},
	CALLS(X)
#undef X
};

enum { CALL_COUNT = sizeof(calls) / sizeof(calls[0]) };

static struct real real;

/* Whoever looks them up finds the same. */
static void *get_real(unsigned i)
{
	void **slot = (void *)((char *)&real + calls[i].offset);
	void *library, *found = __atomic_load_n(slot, __ATOMIC_RELAXED);

	if (found)
		return found;
	library = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
	if (!library)
		return NULL;
	found = uv_real_dlsym(library, calls[i].name);
	__atomic_store_n(slot, found, __ATOMIC_RELAXED);
	dlclose(library);
	return found;
}

static const struct real *find_real(void)
{
	unsigned i;

	for (i = 0; i < CALL_COUNT; i++)
		get_real(i);
	return &real;
}

/*
 * cuGetProcAddress() knows names without versions, and may answer with other
 * addresses than the library's symbols have.
 */
static void *instead_of(void *call, const char *name, int version)
{
	if (!strcmp(name, "cuMemHostRegister"))
		return cuMemHostRegister_v2;
	if (!strcmp(name, "cuMemGetHandleForAddressRange"))
		return cuMemGetHandleForAddressRange;
	if (!strcmp(name, "cuGetProcAddress"))
		return version < 12000 ? (void *)cuGetProcAddress
				       : (void *)cuGetProcAddress_v2;
	return call;
}

void *uv_cuda_symbol(const char *name)
{
	unsigned i;

	for (i = 0; i < CALL_COUNT; i++)
		if (!strcmp(name, calls[i].name))
			return get_real(i) ? calls[i].ours : NULL;
	return NULL;
}

UV_EXPORT cuda_result cuGetProcAddress(const char *name, void **call,
				       int version, uint64_t flags)
{
	const struct real *r = find_real();
	cuda_result result =
		r->cuGetProcAddress
			? r->cuGetProcAddress(name, call, version, flags)
			: NOT_INITIALIZED;

	if (result == CUDA_OK && call && *call)
		*call = instead_of(*call, name, version);
	return result;
}

UV_EXPORT cuda_result cuGetProcAddress_v2(const char *name, void **call,
					  int version, uint64_t flags,
					  int *status)
{
	const struct real *r = find_real();
	cuda_result result =
		r->cuGetProcAddress_v2
			? r->cuGetProcAddress_v2(name, call, version, flags,
						 status)
			: NOT_INITIALIZED;

	if (result == CUDA_OK && call && *call)
		*call = instead_of(*call, name, version);
	return result;
}

/* ------------------------------------------------------- doorbell pages */

/* Is it a doorbell page? Then it is polled, and no I/O memory. */
static unsigned register_flags(const void *addr, size_t len, unsigned flags)
{
	if (!uv_fd_mine() || !uv_mapping_rung_by_gpu(addr, len))
		return flags;
	return flags & ~(unsigned)REGISTER_IOMEMORY;
}

UV_EXPORT cuda_result cuMemHostRegister(void *addr, size_t len, unsigned flags)
{
	const struct real *r = find_real();

	flags = register_flags(addr, len, flags);
	return r->cuMemHostRegister ? r->cuMemHostRegister(addr, len, flags)
				    : NOT_INITIALIZED;
}

UV_EXPORT cuda_result cuMemHostRegister_v2(void *addr, size_t len,
					   unsigned flags)
{
	const struct real *r = find_real();

	flags = register_flags(addr, len, flags);
	return r->cuMemHostRegister_v2
		       ? r->cuMemHostRegister_v2(addr, len, flags)
		       : NOT_INITIALIZED;
}

/* ------------------------------------------------------------- dma-bufs */

/* By file, as descriptors are duplicated and passed on; the newest first. */
static struct range {
	dev_t dev;
	ino_t ino;
	int fd;
	uint64_t addr, len;
} ranges[RANGES];
static unsigned range_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void remember(int fd, uint64_t addr, uint64_t len)
{
	struct range range = {.fd = fd, .addr = addr, .len = len};
	struct stat st;

	if (fstat(fd, &st))
		return;
	range.dev = st.st_dev;
	range.ino = st.st_ino;
	pthread_mutex_lock(&lock);
	ranges[range_count++ % RANGES] = range;
	pthread_mutex_unlock(&lock);
}

/* Requires: locked. The one of this number if files look alike. */
static const struct range *find_range(int fd, const struct stat *st)
{
	unsigned i, count = range_count < RANGES ? range_count : RANGES;
	const struct range *range, *found = NULL;

	for (i = 1; i <= count; i++) {
		range = &ranges[(range_count - i) % RANGES];
		if (range->dev != st->st_dev || range->ino != st->st_ino)
			continue;
		if (range->fd == fd)
			return range;
		if (!found)
			found = range;
	}
	return found;
}

bool uv_cuda_dmabuf(int fd, uint64_t *addr, uint64_t *len)
{
	const struct range *range;
	struct stat st;

	if (!__atomic_load_n(&range_count, __ATOMIC_RELAXED) || fstat(fd, &st))
		return false;
	pthread_mutex_lock(&lock);
	range = find_range(fd, &st);
	if (range) {
		*addr = range->addr;
		*len = range->len;
	}
	pthread_mutex_unlock(&lock);
	/* What is freed may be another file by now. */
	return range && dma_is_cuda((void *)(uintptr_t)*addr);
}

UV_EXPORT cuda_result cuMemGetHandleForAddressRange(void *handle, cuda_ptr ptr,
						    size_t len, int type,
						    unsigned long long flags)
{
	const struct real *r = find_real();
	cuda_result result;

	if (!r->cuMemGetHandleForAddressRange)
		return NOT_INITIALIZED;
	result =
		r->cuMemGetHandleForAddressRange(handle, ptr, len, type, flags);
	if (result == CUDA_OK && type == HANDLE_DMABUF && uv_fd_mine())
		remember(*(int *)handle, ptr, len);
	return result;
}

/* ------------------------------------------------------------------ memory */

struct nic_mem uv_cuda_mem(uint64_t addr, uint64_t len)
{
	struct nic_mem mem = {.addr = (void *)(uintptr_t)addr, .len = len};
	const char *why;
	void *address;
	unsigned depth;

	if (!dma_is_cuda(mem.addr))
		return mem;
	mem.kind = NIC_MEM_CUDA;
	/* What the driver opens now is its own, not the NIC's. If it refuses,
	 * so it does when the NIC asks. */
	depth = uv_step_out();
	dma_attach(&mem, &address, &why);
	uv_step_in(depth);
	return mem;
}
