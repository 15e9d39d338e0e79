/* SPDX-License-Identifier: MIT */
/*
 * A GPU-initiated program over libmlx5 with its memory on a GPU: regions and
 * umems by address and by dma-buf, and a doorbell page that is registered with
 * CUDA as I/O memory, through cuGetProcAddress() as the static runtime does.
 *
 * The GPU is that of the fake driver, whose file is the argument: the program
 * sees device memory through its view and plays the GPU's threads.
 */
#include "support/fake/fake_cuda.h"
#include "tests/apps/devx_host.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BYTES = 1 << 16, WRITES = 2000, BATCH = 32, IOMEMORY = 4 };

typedef int get_proc_address(const char *name, void **call, int version,
			     uint64_t flags, int *status);
typedef int host_register(void *addr, size_t len, unsigned flags);
typedef int get_handle(void *handle, uint64_t ptr, size_t len, int type,
		       unsigned long long flags);

static const struct fake_cuda *gpu;
static host_register *cu_host_register;
static get_handle *cu_get_handle;

static void *library_call(void *library, const char *name)
{
	void *call = dlsym(library, name);

	check(call != NULL, "dlsym() finds no %s", name);
	return call;
}

static void open_driver(const char *path)
{
	void *library = dlopen(path, RTLD_NOW), *call;
	fake_cuda_get *get;
	get_proc_address *lookup;
	int status;

	check(library != NULL, "%s", dlerror());
	*(void **)&get = library_call(library, "fake_cuda");
	gpu = get();
	*(void **)&lookup = library_call(library, "cuGetProcAddress_v2");
	check(!lookup("cuMemHostRegister", &call, 13000, 0, &status),
	      "no cuMemHostRegister");
	*(void **)&cu_host_register = call;
	check(!lookup("cuMemGetHandleForAddressRange", &call, 13000, 0,
		      &status),
	      "no cuMemGetHandleForAddressRange");
	*(void **)&cu_get_handle = call;
	/* What is not ours is the program's own business. */
	check(dlsym(RTLD_NEXT, "malloc") == (void *)malloc &&
		      !dlsym(RTLD_DEFAULT, "no_such_function"),
	      "dlsym() is not what it was");
}

static void *on_gpu(size_t len_bytes, uint8_t **seen)
{
	void *device = gpu->alloc(len_bytes);

	check(device != NULL, "no device memory");
	*seen = gpu->view(device);
	return device;
}

struct bench {
	struct host host;
	struct ibv_mr *mr[2]; /* by address, by dma-buf */
	uint8_t *device[2], *seen[2];
	struct mlx5dv_devx_uar *uar;
	struct cq cq[2];
	struct qp qp[2];
};

static void open_regions(struct bench *b)
{
	int access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE |
		     IBV_ACCESS_REMOTE_READ;
	int i, fd = -1, copy;

	for (i = 0; i < 2; i++)
		b->device[i] = on_gpu(BYTES, &b->seen[i]);
	b->mr[0] = ibv_reg_mr(b->host.pd, b->device[0], BYTES, access);
	check(b->mr[0], "no region by address: %s", strerror(errno));
	check(!cu_get_handle(&fd, (uintptr_t)b->device[1], BYTES, 1, 0),
	      "no dma-buf");
	/* The number is another one, the file the same. */
	copy = dup(fd);
	close(fd);
	b->mr[1] = ibv_reg_dmabuf_mr(b->host.pd, 0, BYTES,
				     (uintptr_t)b->device[1], copy, access);
	check(b->mr[1], "no region by dma-buf: %s", strerror(errno));
	check(!ibv_reg_dmabuf_mr(b->host.pd, 4096, BYTES,
				 (uintptr_t)b->device[1], copy, access),
	      "a region beyond its dma-buf");
	close(copy);
	gpu->release(gpu->alloc(4096));
}

static void umem_by_dmabuf(struct bench *b)
{
	struct mlx5dv_devx_umem_in in = {
		.size = 4096,
		.access = IBV_ACCESS_LOCAL_WRITE,
		.pgsz_bitmap = UINT64_MAX & ~4095ull,
		.comp_mask = MLX5DV_UMEM_MASK_DMABUF,
	};
	struct mlx5dv_devx_umem *umem;
	uint8_t *seen;
	void *device = on_gpu(4096, &seen);

	check(!cu_get_handle(&in.dmabuf_fd, (uintptr_t)device, 4096, 1, 0),
	      "no dma-buf");
	umem = mlx5dv_devx_umem_reg_ex(b->host.context, &in);
	check(umem, "no umem by dma-buf: %s", strerror(errno));
	check(!mlx5dv_devx_umem_dereg(umem), "the umem is in use");
	close(in.dmabuf_fd);
}

/* Is a store to the page seen as a fault? Then it is mapped read-only. */
static bool traps(const void *addr)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long from, to;
	char line[512], perms[8];
	bool found = false;

	while (!found && fgets(line, sizeof(line), maps))
		found = sscanf(line, "%lx-%lx %7s", &from, &to, perms) == 3 &&
			(uintptr_t)addr >= from && (uintptr_t)addr < to;
	fclose(maps);
	check(found, "the doorbell page is not mapped");
	return perms[1] != 'w';
}

static void open_doorbells(struct bench *b)
{
	uint64_t word = 0;

	b->uar = mlx5dv_devx_alloc_uar(b->host.context,
				       MLX5DV_UAR_ALLOC_TYPE_NC);
	check(b->uar, "no UAR");
	check(cu_host_register(&word, sizeof(word), IOMEMORY | 3) != 0,
	      "ordinary memory passes as I/O memory");
	check(!cu_host_register(b->uar->reg_addr, sizeof(word), IOMEMORY | 3),
	      "the doorbell register does not pass as I/O memory");
	check(!traps(b->uar->reg_addr), "a page that a GPU rings traps");
}

static void open_queues(struct bench *b)
{
	struct qp_receive receive = {0};
	int i;

	umem_memory = on_gpu;
	for (i = 0; i < 2; i++) {
		cq_open(&b->host, &b->cq[i], b->uar, true);
		receive.cqn = b->cq[i].cqn;
		qp_open(&b->host, &b->qp[i], b->cq[i].cqn, &receive, b->uar);
	}
	for (i = 0; i < 2; i++)
		qp_connect(&b->host, &b->qp[i], b->qp[!i].qpn);
}

static void write_and_read(struct bench *b, uint8_t opcode)
{
	struct request request = {.opcode = opcode,
				  .rkey = b->mr[1]->rkey,
				  .lkey = b->mr[0]->lkey,
				  .len_bytes = 512};
	int source = opcode == HW_OP_RDMA_READ, i, done;
	struct hw_cqe_info cqe;
	uint16_t index = 0;

	for (done = 0; done < WRITES; done += BATCH) {
		memset(b->seen[source], done, BATCH * 512);
		for (i = 0; i < BATCH; i++) {
			request.laddr = (uintptr_t)b->device[0] + i * 512;
			request.raddr = (uintptr_t)b->device[1] + i * 512;
			index = qp_post(&b->qp[0], &request);
		}
		qp_ring(&b->qp[0]);
		cqe = cq_wait(&b->cq[0], index);
		check(cqe.opcode == HW_CQE_REQ, "opcode 0x%x: syndrome %s",
		      opcode, hw_syndrome_name(cqe.syndrome));
		check(!memcmp(b->seen[0], b->seen[1], BATCH * 512),
		      "opcode 0x%x did not arrive", opcode);
	}
}

int main(int argc, char **argv)
{
	struct bench bench = {0}, *b = &bench;
	int i;

	check(argc == 2, "usage: devx_cuda LIBCUDA");
	open_driver(argv[1]);
	host_open(&b->host);
	open_regions(b);
	umem_by_dmabuf(b);
	open_doorbells(b);
	open_queues(b);
	write_and_read(b, HW_OP_RDMA_WRITE);
	write_and_read(b, HW_OP_RDMA_READ);
	for (i = 0; i < 2; i++) {
		qp_close(&b->qp[i]);
		cq_close(&b->cq[i]);
	}
	mlx5dv_devx_free_uar(b->uar);
	check(!ibv_dereg_mr(b->mr[0]) && !ibv_dereg_mr(b->mr[1]),
	      "a region is in use");
	host_close(&b->host);
	printf("%d writes and %d reads between regions, umems and a doorbell "
	       "page of a GPU.\n",
	       WRITES, WRITES);
	return 0;
}
