#!/bin/sh
# SPDX-License-Identifier: MIT
# hw/ as CUDA, for host and device, where nvcc is found.
set -eu
nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
[ -x "$nvcc" ] || { echo "skipped: no nvcc"; exit 77; }
exec "$(dirname "$0")/compile_hw.sh" cu "$nvcc" -std=c++17 -c -o /dev/null
