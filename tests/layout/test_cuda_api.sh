#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# emu/cuda_api.h declares the CUDA driver's calls itself: are they those of
# cuda.h? And is the kernel in emu/dma_gpu_ptx.h what the assembler takes?
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

header=
for root in ${CUDA_HOME:-} /usr/local/cuda /usr/lib/cuda /usr; do
	[ -f "$root/include/cuda.h" ] && header=$root && break
done
if [ -z "$header" ]; then
	echo "no cuda.h: install the CUDA toolkit, or set CUDA_HOME"
	exit 77
fi

cat >"$dir/check.c" <<'END'
#include <cuda.h>
#include "emu/cuda_api.h"
#define SAME(ours, theirs) _Static_assert((int)(ours) == (int)(theirs), #ours)
SAME(CUDA_OK, CUDA_SUCCESS);
SAME(CUDA_INVALID_VALUE, CUDA_ERROR_INVALID_VALUE);
SAME(CUDA_OUT_OF_MEMORY, CUDA_ERROR_OUT_OF_MEMORY);
SAME(CUDA_NO_DEVICE, CUDA_ERROR_NO_DEVICE);
SAME(CUDA_NOT_READY, CUDA_ERROR_NOT_READY);
SAME(CUDA_ATTR_CONTEXT, CU_POINTER_ATTRIBUTE_CONTEXT);
SAME(CUDA_ATTR_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_MEMORY_TYPE);
SAME(CUDA_ATTR_BUFFER_ID, CU_POINTER_ATTRIBUTE_BUFFER_ID);
SAME(CUDA_ATTR_IS_MANAGED, CU_POINTER_ATTRIBUTE_IS_MANAGED);
SAME(CUDA_ATTR_DEVICE_ORDINAL, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL);
SAME(CUDA_ATTR_RANGE_START, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR);
SAME(CUDA_ATTR_RANGE_SIZE, CU_POINTER_ATTRIBUTE_RANGE_SIZE);
SAME(CUDA_MEMORY_DEVICE, CU_MEMORYTYPE_DEVICE);
SAME(CUDA_STREAM_APART, CU_STREAM_NON_BLOCKING);
SAME(CUDA_HOST_PORTABLE, CU_MEMHOSTALLOC_PORTABLE);
SAME(CUDA_HOST_DEVICEMAP, CU_MEMHOSTALLOC_DEVICEMAP);
SAME(CUDA_CAPTURE_RELAXED, CU_STREAM_CAPTURE_MODE_RELAXED);
_Static_assert(sizeof(CUdeviceptr) == 8 && sizeof(CUdevice) == sizeof(int) &&
	       sizeof(CUresult) == sizeof(int), "sizes");
/* As CUDA_CALLS has them: enums are ints there, and handles pointers. */
#define TAKES(call, ...) \
	_Static_assert(__builtin_types_compatible_p( \
		__typeof__(&call), CUresult (*)(__VA_ARGS__)), #call)
TAKES(cuInit, unsigned);
TAKES(cuDeviceGet, CUdevice *, int);
TAKES(cuDevicePrimaryCtxRetain, CUcontext *, CUdevice);
TAKES(cuCtxPushCurrent_v2, CUcontext);
TAKES(cuCtxPopCurrent_v2, CUcontext *);
TAKES(cuCtxGetStreamPriorityRange, int *, int *);
TAKES(cuThreadExchangeStreamCaptureMode, CUstreamCaptureMode *);
TAKES(cuPointerGetAttribute, void *, CUpointer_attribute, CUdeviceptr);
TAKES(cuMemHostAlloc, void **, size_t, unsigned);
TAKES(cuMemFreeHost, void *);
TAKES(cuStreamCreateWithPriority, CUstream *, unsigned, int);
TAKES(cuStreamDestroy_v2, CUstream);
TAKES(cuStreamQuery, CUstream);
TAKES(cuMemcpyHtoDAsync_v2, CUdeviceptr, const void *, size_t, CUstream);
TAKES(cuMemcpyDtoHAsync_v2, void *, CUdeviceptr, size_t, CUstream);
TAKES(cuModuleLoadData, CUmodule *, const void *);
TAKES(cuModuleUnload, CUmodule);
TAKES(cuModuleGetFunction, CUfunction *, CUmodule, const char *);
TAKES(cuLaunchKernel, CUfunction, unsigned, unsigned, unsigned, unsigned,
      unsigned, unsigned, unsigned, CUstream, void **, void **);
END
"${CC:-cc}" -std=gnu11 -Wall -Wno-unused -isystem "$header/include" -I. \
	-fsyntax-only "$dir/check.c"

ptxas=$(command -v ptxas || echo "$header/bin/ptxas")
if [ -x "$ptxas" ]; then
	printf '#include <stdio.h>\n#include "emu/dma_gpu_ptx.h"\n%s\n' \
		'int main(void) { return fputs(gpu_kernels_ptx, stdout) < 0; }' \
		>"$dir/print.c"
	"${CC:-cc}" -I. "$dir/print.c" -o "$dir/print"
	"$dir/print" >"$dir/kernel.ptx"
	for arch in sm_80 sm_90 sm_100; do
		"$ptxas" -arch=$arch "$dir/kernel.ptx" -o "$dir/kernel.cubin"
	done
fi
echo "as cuda.h has them"
