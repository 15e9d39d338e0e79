/* SPDX-License-Identifier: MIT */
/*
 * kernels/gpu_host.h on a GPU, through the CUDA runtime.
 *
 * Streams do not wait for the default stream, and copies have one of their
 * own: a kernel that spins holds nothing up.
 *
 * Source of truth: CUDA Runtime API, "Stream Management", "Execution Control".
 * Thread: one at a time for a struct gpu.
 */
#include <cudaTypedefs.h>
#include <cuda_runtime.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/gpu_host.h"

struct gpu {
	cudaStream_t streams[GPU_STREAMS]; /* NULL: not used yet */
	cudaStream_t copies;
	char name[256];
	char error[256];
};

static int gpu_failed(struct gpu *gpu, const char *what, cudaError_t code)
{
	snprintf(gpu->error, sizeof(gpu->error), "%s: %s (%s)", what,
		 cudaGetErrorString(code), cudaGetErrorName(code));
	return code == cudaErrorMemoryAllocation ? -ENOMEM : -EIO;
}

/* Why the last gpu_open of a thread failed. */
static __thread char gpu_open_error[256];

static int gpu_no_device(int device, cudaError_t code)
{
	int driver = 0, runtime = 0;

	cudaDriverGetVersion(&driver);
	cudaRuntimeGetVersion(&runtime);
	if (!driver)
		snprintf(gpu_open_error, sizeof(gpu_open_error),
			 "GPU %d: this machine has no CUDA driver", device);
	else
		snprintf(gpu_open_error, sizeof(gpu_open_error),
			 "GPU %d: %s (the driver is for CUDA %d.%d, the "
			 "program needs %d.%d)",
			 device, cudaGetErrorString(code), driver / 1000,
			 driver % 1000 / 10, runtime / 1000,
			 runtime % 1000 / 10);
	return -ENODEV;
}

int gpu_open(const struct gpu_config *config, struct gpu **out)
{
	struct gpu *gpu = (struct gpu *)calloc(1, sizeof(*gpu));
	int device = config ? config->device : 0;
	cudaDeviceProp properties;
	cudaError_t code;

	if (!gpu)
		return -ENOMEM;
	/* A kernel that is loaded when it is launched waits for those that
	 * run, which may wait for it. */
	setenv("CUDA_MODULE_LOADING", "EAGER", 0);
	code = cudaSetDevice(device);
	if (code == cudaSuccess)
		code = cudaGetDeviceProperties(&properties, device);
	if (code == cudaSuccess)
		code = cudaStreamCreateWithFlags(&gpu->copies,
						 cudaStreamNonBlocking);
	if (code != cudaSuccess) {
		free(gpu);
		return gpu_no_device(device, code);
	}
	snprintf(gpu->name, sizeof(gpu->name), "%s", properties.name);
	*out = gpu;
	return 0;
}

void gpu_close(struct gpu *gpu)
{
	int i;

	if (!gpu)
		return;
	for (i = 0; i < GPU_STREAMS; i++)
		if (gpu->streams[i])
			cudaStreamDestroy(gpu->streams[i]);
	cudaStreamDestroy(gpu->copies);
	free(gpu);
}

const char *gpu_name(const struct gpu *gpu)
{
	return gpu->name;
}

int gpu_is_runner(const struct gpu *gpu)
{
	(void)gpu;
	return 0;
}

/* ----------------------------------------------------------------- memory */

void *gpu_alloc(struct gpu *gpu, size_t bytes)
{
	void *memory = NULL;
	cudaError_t code =
		cudaHostAlloc(&memory, bytes + !bytes,
			      cudaHostAllocPortable | cudaHostAllocMapped);

	if (code != cudaSuccess) {
		errno = -gpu_failed(gpu, "pinned memory", code);
		return NULL;
	}
	memset(memory, 0, bytes + !bytes);
	return memory;
}

void *gpu_alloc_device(struct gpu *gpu, size_t bytes)
{
	void *memory = NULL;
	cudaError_t code = cudaMalloc(&memory, bytes + !bytes);

	if (code == cudaSuccess)
		code = cudaMemsetAsync(memory, 0, bytes + !bytes, gpu->copies);
	if (code == cudaSuccess)
		code = cudaStreamSynchronize(gpu->copies);
	if (code != cudaSuccess) {
		errno = -gpu_failed(gpu, "device memory", code);
		return NULL;
	}
	return memory;
}

void gpu_free(struct gpu *gpu, void *memory)
{
	(void)gpu;
	cudaFreeHost(memory);
}

void gpu_free_device(struct gpu *gpu, void *memory)
{
	(void)gpu;
	cudaFree(memory);
}

int gpu_copy(struct gpu *gpu, void *to, const void *from, size_t bytes)
{
	cudaError_t code = cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault,
					   gpu->copies);

	if (code == cudaSuccess)
		code = cudaStreamSynchronize(gpu->copies);
	return code == cudaSuccess ? 0 : gpu_failed(gpu, "copy", code);
}

/* Found in the driver as all of it is: the program is not linked with it. */
int gpu_dmabuf(struct gpu *gpu, void *memory, size_t bytes)
{
	PFN_cuMemGetHandleForAddressRange_v11070 get = NULL;
	cudaDriverEntryPointQueryResult found;
	cudaError_t code = cudaGetDriverEntryPointByVersion(
		"cuMemGetHandleForAddressRange", (void **)&get, 11070,
		cudaEnableDefault, &found);
	int fd = -1;

	if (code != cudaSuccess || !get)
		return -ENOTSUP;
	if (get(&fd, (CUdeviceptr)memory, bytes,
		CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD, 0) == CUDA_SUCCESS)
		return fd;
	snprintf(gpu->error, sizeof(gpu->error),
		 "dma-buf: the driver refuses %zu bytes at %p", bytes, memory);
	return -ENOTSUP;
}

int gpu_map(struct gpu *gpu, void *memory, size_t bytes)
{
	unsigned flags = cudaHostRegisterPortable | cudaHostRegisterMapped;
	cudaError_t code = cudaHostRegister(memory, bytes, flags);

	/* The doorbell page of a NIC on the PCIe bus. */
	if (code == cudaErrorInvalidValue || code == cudaErrorNotSupported) {
		cudaGetLastError();
		code = cudaHostRegister(memory, bytes,
					flags | cudaHostRegisterIoMemory);
	}
	if (code == cudaErrorHostMemoryAlreadyRegistered) {
		cudaGetLastError();
		return -EEXIST;
	}
	return code == cudaSuccess ? 0 : gpu_failed(gpu, "mapping", code);
}

void gpu_unmap(struct gpu *gpu, void *memory)
{
	(void)gpu;
	cudaHostUnregister(memory);
}

/* ---------------------------------------------------------------- kernels */

int gpu_launch(struct gpu *gpu, const struct gpu_kernel *kernel,
	       const struct gpu_shape *shape, const void *args)
{
	void *list[] = {(void *)args};
	cudaError_t code = cudaSuccess;

	if (shape->stream >= GPU_STREAMS) {
		snprintf(gpu->error, sizeof(gpu->error),
			 "kernel %s: stream %u, expected below %d",
			 kernel->name, shape->stream, GPU_STREAMS);
		return -EINVAL;
	}
	if (shape->threads < 1 || shape->threads > 1024) {
		snprintf(gpu->error, sizeof(gpu->error),
			 "kernel %s: %u threads, expected 1 to 1024",
			 kernel->name, shape->threads);
		return -EINVAL;
	}
	if (!gpu->streams[shape->stream])
		code = cudaStreamCreateWithFlags(&gpu->streams[shape->stream],
						 cudaStreamNonBlocking);
	if (code == cudaSuccess)
		code = cudaLaunchKernel(
			kernel->cuda, dim3(shape->blocks), dim3(shape->threads),
			list, shape->shared_bytes, gpu->streams[shape->stream]);
	return code == cudaSuccess ? 0 : gpu_failed(gpu, kernel->name, code);
}

int gpu_wait(struct gpu *gpu, uint32_t stream)
{
	uint32_t last = stream == GPU_STREAMS ? GPU_STREAMS - 1 : stream;
	cudaError_t code = cudaSuccess;

	for (stream = stream == GPU_STREAMS ? 0 : stream;
	     code == cudaSuccess && stream <= last; stream++)
		if (gpu->streams[stream])
			code = cudaStreamSynchronize(gpu->streams[stream]);
	return code == cudaSuccess ? 0 : gpu_failed(gpu, "kernels", code);
}

/* A kernel that has died never stores what the host waits for. */
int gpu_run(struct gpu *gpu)
{
	cudaError_t code;
	int i;

	for (i = 0; i < GPU_STREAMS; i++) {
		if (!gpu->streams[i])
			continue;
		code = cudaStreamQuery(gpu->streams[i]);
		if (code != cudaSuccess && code != cudaErrorNotReady)
			return gpu_failed(gpu, "kernels", code);
	}
	sched_yield();
	return 1;
}

const char *gpu_error(const struct gpu *gpu)
{
	return gpu ? gpu->error : gpu_open_error;
}
