#!/bin/sh
# SPDX-License-Identifier: MIT
# Kernels on a GPU: what goes wrong, and each program of the target "cuda" with
# rings and heap in host memory and in the GPU's.
set -eu
bin=$BELFRY_BUILD_DIR/bin
[ -x "$bin/gpu_test_kernel_errors_cuda" ] ||
	{ echo "skipped: the target \"cuda\" is not built"; exit 77; }
for place in host gpu; do
	export GDA_QUEUE_PLACE=$place GDA_HEAP_PLACE=$place
	"$bin/gpu_test_kernel_errors_cuda" # exits 77 where there is no GPU
	"$bin/02_expert_parallel_cuda"
	"$bin/03_embedding_cuda"
	"$bin/gpu_micro_cuda" --rounds 20
done
