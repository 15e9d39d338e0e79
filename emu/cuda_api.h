/* SPDX-License-Identifier: MIT */
/*
 * The part of the CUDA driver's interface that the NIC uses, declared here so
 * that a build needs no CUDA toolkit. The library is opened at run time.
 *
 * Source of truth: cuda.h of the CUDA toolkit 12 and 13; tests/layout checks
 * these lines against it where it is installed.
 */
#ifndef EMU_CUDA_API_H
#define EMU_CUDA_API_H

#include <stddef.h>
#include <stdint.h>

typedef int cuda_result;   /* CUresult */
typedef int cuda_device;   /* CUdevice */
typedef uint64_t cuda_ptr; /* CUdeviceptr */
typedef struct CUctx_st *cuda_context;
typedef struct CUstream_st *cuda_stream;
typedef struct CUmod_st *cuda_module;
typedef struct CUfunc_st *cuda_function;

enum cuda_error {
	CUDA_OK = 0,
	CUDA_INVALID_VALUE = 1,
	CUDA_OUT_OF_MEMORY = 2,
	CUDA_NO_DEVICE = 100,
	CUDA_NOT_READY = 600,
};

enum cuda_constant {
	CUDA_ATTR_CONTEXT = 1,	   /* CUpointer_attribute */
	CUDA_ATTR_MEMORY_TYPE = 2, /* 0 for memory that CUDA does not know */
	CUDA_ATTR_BUFFER_ID = 7,   /* of an allocation; none has it twice */
	CUDA_ATTR_IS_MANAGED = 8,
	CUDA_ATTR_DEVICE_ORDINAL = 9,
	CUDA_ATTR_RANGE_START = 11, /* of the allocation */
	CUDA_ATTR_RANGE_SIZE = 12,
	CUDA_MEMORY_DEVICE = 2,	  /* CUmemorytype */
	CUDA_STREAM_APART = 1,	  /* CU_STREAM_NON_BLOCKING */
	CUDA_HOST_PORTABLE = 1,	  /* CU_MEMHOSTALLOC_PORTABLE */
	CUDA_HOST_DEVICEMAP = 2,  /* CU_MEMHOSTALLOC_DEVICEMAP */
	CUDA_CAPTURE_RELAXED = 2, /* CUstreamCaptureMode */
};

/* X(member, symbol, parameters): names as dlsym() wants them. */
#define CUDA_CALLS(X)                                                          \
	X(init, cuInit, (unsigned))                                            \
	X(error_name, cuGetErrorName, (cuda_result, const char **))            \
	X(device_get, cuDeviceGet, (cuda_device *, int))                       \
	X(primary_retain, cuDevicePrimaryCtxRetain,                            \
	  (cuda_context *, cuda_device))                                       \
	X(push, cuCtxPushCurrent_v2, (cuda_context))                           \
	X(pop, cuCtxPopCurrent_v2, (cuda_context *))                           \
	X(priorities, cuCtxGetStreamPriorityRange, (int *, int *))             \
	X(capture_mode, cuThreadExchangeStreamCaptureMode, (int *))            \
	X(pointer_attribute, cuPointerGetAttribute, (void *, int, cuda_ptr))   \
	X(host_alloc, cuMemHostAlloc, (void **, size_t, unsigned))             \
	X(host_free, cuMemFreeHost, (void *))                                  \
	X(stream_create, cuStreamCreateWithPriority,                           \
	  (cuda_stream *, unsigned, int))                                      \
	X(stream_destroy, cuStreamDestroy_v2, (cuda_stream))                   \
	X(stream_query, cuStreamQuery, (cuda_stream))                          \
	X(to_device, cuMemcpyHtoDAsync_v2,                                     \
	  (cuda_ptr, const void *, size_t, cuda_stream))                       \
	X(to_host, cuMemcpyDtoHAsync_v2,                                       \
	  (void *, cuda_ptr, size_t, cuda_stream))                             \
	X(module_load, cuModuleLoadData, (cuda_module *, const void *))        \
	X(module_unload, cuModuleUnload, (cuda_module))                        \
	X(module_function, cuModuleGetFunction,                                \
	  (cuda_function *, cuda_module, const char *))                        \
	X(launch, cuLaunchKernel,                                              \
	  (cuda_function, unsigned, unsigned, unsigned, unsigned, unsigned,    \
	   unsigned, unsigned, cuda_stream, void **, void **))

struct cuda_api {
#define X(member, symbol, parameters) cuda_result(*member) parameters;
	CUDA_CALLS(X)
#undef X
};

/*
 * The driver of this process, opened and initialised by the first call that
 * finds one. NULL, and in *why a sentence: no library, one that is too old, or
 * no GPU. Any thread.
 */
const struct cuda_api *cuda_api(const char **why);

/*
 * As above, but only if the program has loaded the driver itself: else it has
 * no memory of it. Nothing is initialised, so that calls may answer that they
 * are not. No reason is given.
 */
const struct cuda_api *cuda_api_if_loaded(void);

#endif
