#!/bin/sh
# SPDX-License-Identifier: MIT
# Every kernel, and the host side for a GPU, as CUDA: for sm_80, sm_90 and
# sm_100, and as PTX. Prints what each kernel needs: registers, stack, spills.
set -eu
nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
[ -x "$nvcc" ] || { echo "skipped: no nvcc"; exit 77; }
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Lines "kernel arch registers stack spills" of what ptxas says.
table() {
	awk '/Compiling entry function/ {
		kernel = $7
		gsub(/^'\''_Z[0-9]+|_grid.*$/, "", kernel)
		arch = $9
		gsub(/'\''/, "", arch)
	}
	/bytes stack frame/ && kernel { stack = $1; spills = $5 + $9 }
	/Used [0-9]+ registers/ && kernel {
		for (i = 1; i < NF; i++)
			if ($i == "Used")
				registers = $(i + 1)
		printf "%-20s %-7s %4d registers %4d bytes of stack %4d spilled\n", \
			kernel, arch, registers, stack, spills
		kernel = ""
	}' "$1"
}

for source in "$root"/kernels/*.cu "$root"/kernels/cuda/*.cu \
	"$root"/tests/*/*.cu; do
	name=$(basename "$source" .cu)
	if ! "$nvcc" -std=c++17 -Werror all-warnings -I "$root" \
		-gencode arch=compute_80,code=sm_80 \
		-gencode arch=compute_90,code=sm_90 \
		-gencode 'arch=compute_100,code=[sm_100,compute_100]' \
		-Xptxas -v -c -o "$work/$name.o" "$source" \
		>"$work/$name.log" 2>&1; then
		cat "$work/$name.log"
		exit 1
	fi
	table "$work/$name.log"
done
