#!/bin/sh
# SPDX-License-Identifier: MIT
# The device API as CUDA: every operation in a kernel, where nvcc is found.
set -eu
nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
[ -x "$nvcc" ] || { echo "skipped: no nvcc"; exit 77; }
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/kernel.cu" <<'CODE'
#include "stack/gda_dev_group.h"

#define ATOMICS(suffix, type)                                                  \
	__device__ int atomics_##suffix(const struct gda_dev *dev, type *at)   \
	{                                                                      \
		type old = 0;                                                  \
		return gda_dev_atomic_add_##suffix(dev, at, 1, 1) |            \
		       gda_dev_atomic_inc_##suffix(dev, at, 1) |               \
		       gda_dev_atomic_set_##suffix(dev, at, 1, 1) |            \
		       gda_dev_atomic_and_##suffix(dev, at, 1, 1) |            \
		       gda_dev_atomic_or_##suffix(dev, at, 1, 1) |             \
		       gda_dev_atomic_xor_##suffix(dev, at, 1, 1) |            \
		       gda_dev_atomic_fetch_add_##suffix(dev, at, 1, 1, &old) |\
		       gda_dev_atomic_fetch_inc_##suffix(dev, at, 1, &old) |   \
		       gda_dev_atomic_fetch_and_##suffix(dev, at, 1, 1, &old) |\
		       gda_dev_atomic_fetch_or_##suffix(dev, at, 1, 1, &old) | \
		       gda_dev_atomic_fetch_xor_##suffix(dev, at, 1, 1, &old) |\
		       gda_dev_atomic_fetch_##suffix(dev, at, 1, &old) |       \
		       gda_dev_atomic_swap_##suffix(dev, at, 1, 1, &old) |     \
		       gda_dev_atomic_compare_swap_##suffix(dev, at, &old, 1,  \
							    1);                \
	}

ATOMICS(u32, uint32_t)
ATOMICS(u64, uint64_t)

__device__ int groups(const struct gda_dev *dev, uint64_t *at)
{
	struct gda_dev_group group = gda_dev_group_block();
	struct gda_dev_copy copy = {at, at, 8, 1, 0};
	struct gda_dev_signal signal = {at, 1, 1, GDA_DEV_SIGNAL_SET};
	struct gda_dev_atomic_call add = {at, 1, 0, GDA_DEV_ADD, 8, 1};
	struct gda_qp_error error;
	uint64_t old = 0;

	return gda_dev_put_warp(dev, at, at, 8, 1) |
	       gda_dev_get_block(dev, at, at, 8, 1) |
	       gda_dev_atomic_fetch_add_u64_warp(dev, at, 1, 1, &old) |
	       gda_dev_put_each(dev, &group, &copy) |
	       gda_dev_put_value_each(dev, &group, &copy, 1) |
	       gda_dev_put_signal_each(dev, &group, &copy, &signal) |
	       gda_dev_atomic_each(dev, &group, &add, false) |
	       gda_dev_quiet_block(dev) | gda_dev_barrier_block(dev) |
	       gda_dev_qp_error(dev, 1, 0, &error);
}

__global__ void kernel(struct gda_dev handle, uint64_t *at, float *f, int *out)
{
	struct gda_dev dev = gda_dev_lane(&handle, (int)blockIdx.x);
	struct gda_dev_signal signal = {at, 1, 1, GDA_DEV_SIGNAL_ADD};
	uint64_t seen = 0;
	float value = 0;
	int rc = 0;

	rc |= gda_dev_put(&dev, at, at, 8, 1) | gda_dev_get(&dev, at, at, 8, 1);
	rc |= gda_dev_put_nbi(&dev, at, at, 8, 1);
	rc |= gda_dev_get_nbi(&dev, at, at, 8, 1);
	rc |= gda_dev_p_float(&dev, f, 1.0f, 1);
	rc |= gda_dev_g_float(&dev, f, &value, 1);
	rc |= gda_dev_put_signal(&dev, at, at, 8, &signal);
	rc |= gda_dev_put_signal_nbi(&dev, at, at, 8, &signal);
	rc |= gda_dev_signal_op(&dev, &signal);
	rc |= gda_dev_signal_wait_until(&dev, at, GDA_DEV_GE, 1, &seen);
	rc |= gda_dev_wait_until_i32(&dev, (int32_t *)at, GDA_DEV_NE, 0);
	rc |= gda_dev_test_u64(at, GDA_DEV_EQ, 1);
	rc |= atomics_u32(&dev, (uint32_t *)at) | atomics_u64(&dev, at);
	rc |= gda_dev_fence(&dev) | gda_dev_flush(&dev);
	rc |= gda_dev_quiet(&dev) | gda_dev_quiet_pe(&dev, 1);
	rc |= groups(&dev, at);
	*out = rc | gda_dev_barrier(&dev) | (int)seen | (int)value;
}
CODE
"$nvcc" -arch=sm_90 -std=c++17 -Werror all-warnings -Xcicc -O1 -Xptxas -O1 -I "$root" -c \
	-o "$work/kernel.o" "$work/kernel.cu"
