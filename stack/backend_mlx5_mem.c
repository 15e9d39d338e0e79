/* SPDX-License-Identifier: MIT */
/*
 * Memory of a ConnectX: umems for rings and records, memory regions for WQEs,
 * the protection domain of both.
 *
 * Device memory is known in two ways: by its address, which the kernel module
 * nvidia_peermem explains to the RDMA core, or by a dma-buf descriptor.
 *
 * PCIe ordering: keys are strictly ordered unless the config asks otherwise.
 * With relaxed ordering the bytes of a put may land behind those of a later
 * one, so a thread that sees a signal would not be sure of the data.
 *
 * Source of truth: rdma-core libibverbs/man/ibv_reg_mr.3,
 * providers/mlx5/man/mlx5dv_devx_umem_reg.3.md.
 * Thread: any.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "stack/backend_mlx5.h"
#include "stack/host/internal.h"

enum { PAGE = 4096 };

/* ------------------------------------------------------------- refusals */

/* What a bound on locked memory says; 0 bytes: no limit. */
static unsigned long long memlock_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) ||
	    limit.rlim_cur == RLIM_INFINITY)
		return 0;
	return limit.rlim_cur;
}

static bool has_peermem(void)
{
	return !access("/sys/module/nvidia_peermem", F_OK) ||
	       !access("/sys/kernel/mm/memory_peers/nv_mem", F_OK);
}

/* The likely mend of a registration that failed. */
static void mend(const struct gda_mem *mem, int error, char *text, size_t size)
{
	unsigned long long limit = memlock_limit();

	text[0] = 0;
	if (mem->kind == GDA_MEM_DMABUF)
		snprintf(text, size,
			 ": dma-buf needs Linux 5.12 and a driver that exports "
			 "it (NVIDIA's open kernel modules)");
	else if (mem->kind == GDA_MEM_CUDA && !has_peermem())
		snprintf(text, size,
			 ": the kernel module nvidia_peermem is not loaded "
			 "(modprobe nvidia_peermem), or use a dma-buf");
	else if (mem->kind == GDA_MEM_HOST && limit &&
		 (error == ENOMEM || error == EAGAIN || error == EPERM))
		snprintf(text, size,
			 ": locked memory is limited to %llu bytes (ulimit -l "
			 "unlimited)",
			 limit);
	else if (error == EFAULT)
		snprintf(text, size, ": is the whole range mapped, writable?");
}

static int refuse(const struct gda_backend *backend, const char *what,
		  const struct gda_mem *mem, int error)
{
	static const char *const kinds[] = {
		[GDA_MEM_HOST] = "host memory",
		[GDA_MEM_CUDA] = "CUDA memory",
		[GDA_MEM_DMABUF] = "dma-buf memory",
	};
	char text[128];

	/* A library that forgets to say why must not look like success. */
	if (!error)
		error = EIO;
	mend(mem, error, text, sizeof(text));
	return gda_fail(backend->config, -error,
			"%s: %s: %llu bytes of %s at %p refused: %s%s",
			backend->name, what, (unsigned long long)mem->len,
			kinds[mem->kind], mem->addr, strerror(error), text);
}

static int lacks(const struct gda_backend *backend, const char *what,
		 const char *function, const char *release)
{
	return gda_fail(backend->config, -ENOTSUP,
			"%s: %s: kind is dma-buf, and the library has no %s: "
			"expected rdma-core %s or newer",
			backend->name, what, function, release);
}

/* The descriptor's memory begins at a page's start. */
static uint64_t dmabuf_offset(const struct gda_mem *mem)
{
	return (uintptr_t)mem->addr & (PAGE - 1);
}

/* ---------------------------------------------------- protection domain */

/* Requires: the lock is held. */
static int alloc_pd(struct gda_backend *backend)
{
	struct mlx5dv_pd out = {0};
	struct mlx5dv_obj obj = {.pd = {NULL, &out}};
	int rc;

	backend->pd = backend->lib.alloc_pd(backend->context);
	if (!backend->pd)
		return gda_fail(backend->config, errno ? -errno : -EIO,
				"%s: no protection domain: %s", backend->name,
				strerror(errno));
	obj.pd.in = backend->pd;
	rc = backend->lib.init_obj(&obj, MLX5DV_OBJ_PD);
	if (rc) {
		backend->lib.dealloc_pd(backend->pd);
		backend->pd = NULL;
		return gda_fail(backend->config, rc < 0 ? rc : -rc,
				"%s: the protection domain's number cannot be "
				"read: %s",
				backend->name, strerror(abs(rc)));
	}
	backend->pdn = out.pdn;
	return 0;
}

int gda_mlx5_pd(struct gda_backend *backend, uint32_t *pdn)
{
	int rc = 0;

	pthread_mutex_lock(&backend->lock);
	if (!backend->pd)
		rc = alloc_pd(backend);
	*pdn = backend->pdn;
	pthread_mutex_unlock(&backend->lock);
	return rc;
}

/* ---------------------------------------------------------------- umems */

static struct mlx5dv_devx_umem *reg_dmabuf_umem(struct gda_backend *backend,
						const struct gda_mem *mem)
{
	struct mlx5dv_devx_umem_in in = {
		.addr = (void *)(uintptr_t)dmabuf_offset(mem),
		.size = mem->len,
		.access = IBV_ACCESS_LOCAL_WRITE,
		.pgsz_bitmap = UINT64_MAX & ~(uint64_t)(PAGE - 1),
		.comp_mask = MLX5DV_UMEM_MASK_DMABUF,
		.dmabuf_fd = mem->fd,
	};

	return backend->lib.umem_reg_ex(backend->context, &in);
}

int gda_mlx5_umem_reg(struct gda_backend *backend, const struct gda_mem *mem,
		      uint32_t *id)
{
	struct gda_mlx5_umem *node;

	if (mem->kind == GDA_MEM_DMABUF && !backend->lib.umem_reg_ex)
		return lacks(backend, "umem", "mlx5dv_devx_umem_reg_ex", "43");
	node = calloc(1, sizeof(*node));
	if (!node)
		return gda_fail(backend->config, -ENOMEM, "%s: umem: no memory",
				backend->name);
	errno = 0;
	if (mem->kind == GDA_MEM_DMABUF)
		node->umem = reg_dmabuf_umem(backend, mem);
	else
		node->umem =
			backend->lib.umem_reg(backend->context, mem->addr,
					      mem->len, IBV_ACCESS_LOCAL_WRITE);
	if (!node->umem) {
		free(node);
		return refuse(backend, "umem", mem, errno);
	}
	*id = node->umem->umem_id;
	pthread_mutex_lock(&backend->lock);
	node->next = backend->umems;
	backend->umems = node;
	pthread_mutex_unlock(&backend->lock);
	return 0;
}

/* Requires: the lock is held. */
static int drop_umem(struct gda_backend *backend, uint32_t id)
{
	struct gda_mlx5_umem **link = &backend->umems;
	struct gda_mlx5_umem *node;
	int rc;

	while (*link && (*link)->umem->umem_id != id)
		link = &(*link)->next;
	node = *link;
	if (!node)
		return gda_fail(backend->config, -ENOENT,
				"%s: umem %u is not registered", backend->name,
				id);
	rc = backend->lib.umem_dereg(node->umem);
	if (rc)
		return gda_fail(backend->config, -EBUSY,
				"%s: umem %u cannot go: %s (does an object "
				"still use it?)",
				backend->name, id, strerror(abs(rc)));
	*link = node->next;
	free(node);
	return 0;
}

int gda_mlx5_umem_dereg(struct gda_backend *backend, uint32_t id)
{
	int rc;

	pthread_mutex_lock(&backend->lock);
	rc = drop_umem(backend, id);
	pthread_mutex_unlock(&backend->lock);
	return rc;
}

/* ------------------------------------------------------- memory regions */

int gda_mlx5_mr_reg(struct gda_backend *backend, const struct gda_mr_attr *attr,
		    struct gda_mr *mr)
{
	const struct gda_mem *mem = &attr->mem;
	unsigned access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE |
			  IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC;
	struct ibv_mr *made;

	if (mem->kind == GDA_MEM_DMABUF && !backend->lib.reg_dmabuf_mr)
		return lacks(backend, "memory key", "ibv_reg_dmabuf_mr", "34");
	if (backend->config->mlx5.relaxed_ordering)
		access |= IBV_ACCESS_RELAXED_ORDERING;
	errno = 0;
	if (mem->kind == GDA_MEM_DMABUF)
		made = backend->lib.reg_dmabuf_mr(
			backend->pd, dmabuf_offset(mem), mem->len, attr->iova,
			mem->fd, (int)access);
	else
		made = backend->lib.reg_mr_iova2(backend->pd, mem->addr,
						 mem->len, attr->iova, access);
	if (!made)
		return refuse(backend, "memory key", mem, errno);
	mr->lkey = made->lkey;
	mr->rkey = made->rkey;
	mr->handle = made;
	return 0;
}

int gda_mlx5_mr_dereg(struct gda_backend *backend, struct gda_mr *mr)
{
	int rc = backend->lib.dereg_mr(mr->handle);

	if (rc)
		return gda_fail(backend->config, -EBUSY,
				"%s: memory key 0x%x cannot go: %s",
				backend->name, mr->lkey, strerror(abs(rc)));
	mr->handle = NULL;
	return 0;
}
