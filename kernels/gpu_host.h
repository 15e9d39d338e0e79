/* SPDX-License-Identifier: MIT */
/*
 * Launch kernels and wait for them, on a GPU or on the SIMT runner; which of
 * the two is decided by what the program is linked with (gpu_simt.c, or
 * gpu_cuda.cu).
 *
 * Kernels of one stream run one after the other, those of different streams
 * at the same time.
 *
 * Errors: 0 or a negative errno; gpu_error() has the sentence.
 * Thread: one at a time for a struct gpu.
 */
#ifndef GPU_HOST_H
#define GPU_HOST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gpu;

/* A kernel, as GPU_KERNEL makes it. */
struct gpu_kernel {
	const char *name;
	const void *cuda;
	void (*simt)(const void *args);
	size_t args_bytes;
};

#ifdef __cplusplus
#define GPU_KERNEL_DECLARE(name) extern "C" const struct gpu_kernel name
#else
#define GPU_KERNEL_DECLARE(name) extern const struct gpu_kernel name
#endif

struct gpu_config {
	uint64_t seed;		  /* SIMT: the interleaving */
	uint32_t resident_blocks; /* SIMT: see struct simt_config */
	uint64_t turns_max;	  /* SIMT */
	int device;		  /* CUDA: its number */
};

/* config NULL: all zero. -ENODEV: no GPU, no driver, or one that is too old;
 * gpu_error(NULL) says which. */
int gpu_open(const struct gpu_config *config, struct gpu **out);

/* Waits for nothing: call gpu_wait before. NULL is allowed. */
void gpu_close(struct gpu *gpu);

/* "the SIMT runner, seed 7", or the GPU's name. */
const char *gpu_name(const struct gpu *gpu);

/* 1: kernels run on the CPU, in gpu_wait and gpu_run, and move emulated NICs
 * themselves (GDA_PROGRESS_HOOK). 0: on a GPU, where a thread must. */
int gpu_is_runner(const struct gpu *gpu);

/*
 * Zeroed memory that kernels and the host both reach at the same address.
 * NULL with errno. On a GPU it is pinned host memory.
 */
void *gpu_alloc(struct gpu *gpu, size_t bytes);

/* As above; kernels are faster there, the host uses gpu_copy. */
void *gpu_alloc_device(struct gpu *gpu, size_t bytes);
void gpu_free(struct gpu *gpu, void *memory);
void gpu_free_device(struct gpu *gpu, void *memory);
int gpu_copy(struct gpu *gpu, void *to, const void *from, size_t bytes);

/* A dma-buf descriptor of whole pages of device memory, which the caller
 * closes, or a negative errno. -ENOTSUP: the driver or the runner has none. */
int gpu_dmabuf(struct gpu *gpu, void *memory, size_t bytes);

/*
 * Let kernels reach memory of the host that somebody else allocated, at its
 * address; whole pages of 4 KiB. 0, -EEXIST: they already can.
 */
int gpu_map(struct gpu *gpu, void *memory, size_t bytes);
void gpu_unmap(struct gpu *gpu, void *memory);

struct gpu_shape {
	uint32_t blocks, threads; /* in one dimension */
	uint32_t shared_bytes;	  /* dynamic */
	uint32_t stream;	  /* 0 to GPU_STREAMS - 1 */
};

enum { GPU_STREAMS = 64 };

/* Queue a kernel. args are copied. */
int gpu_launch(struct gpu *gpu, const struct gpu_kernel *kernel,
	       const struct gpu_shape *shape, const void *args);

/* Wait for one stream, or, GPU_STREAMS, for all. */
int gpu_wait(struct gpu *gpu, uint32_t stream);

/*
 * While the host waits for a word that a kernel stores: let kernels that need
 * this thread run for a while. Returns 1 if some are left, 0, or an error. On
 * a GPU it yields the core and returns 1, or the error of a kernel that died.
 */
int gpu_run(struct gpu *gpu);

/* The sentence of the last error, or "". NULL: of this thread's last gpu_open
 * that failed. */
const char *gpu_error(const struct gpu *gpu);

#ifdef __cplusplus
}
#endif
#endif
