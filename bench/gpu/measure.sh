#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What is claimed about GPUs, seen on one: the tests with the label gpu, every
# kernel over the NIC inside the stack and over this machine's libibverbs and
# libmlx5, the kernels under compute-sanitizer, and what things cost. A machine
# with a GPU may have no compiler and no libraries of ours, so the programs
# travel with all they need:
#
#   bench/gpu/measure.sh pack BUILD CUDA_BUILD DIR   here: make DIR from a
#                             build and one with the target "cuda"
#   DIR/measure.sh            there: run it; what it prints is the result
set -euo pipefail

kernels="02_expert_parallel_cuda 03_embedding_cuda gpu_micro_cuda gpu_post_cuda"

pack() {
	local build=$1 cuda=$2 dir=$3 program
	mkdir -p "$dir/lib" "$dir/bin"
	cp "$0" "$dir/measure.sh"
	cp "$build"/bin/gpu_test_* "$build/bin/belfry" "$cuda"/bin/gpu_test_* \
		"$dir/bin/"
	for program in $kernels; do
		cp "$cuda/bin/$program" "$dir/bin/"
	done
	# All but the C library, the loader and what nvcc's compiler brings.
	ldd "$dir"/bin/* | awk '$3 ~ /^\// { print $3 }' | sort -u |
		grep -Ev '/(libc|libm|libpthread|libdl|libgcc_s|libstdc[+]+)[.]so' |
		xargs -r cp -Lt "$dir/lib" --
	cp "$build/lib/libbelfry-uverbs.so" "$dir/lib/"
	# Opened at run time.
	for program in libev.so.4 libZydis.so.4.0 libZycore.so.1.4; do
		ldconfig -p | awk -v name="$program" '$1 == name { print $NF }' |
			head -1 | xargs -r cp -Lt "$dir/lib" --
	done
}

status=0

run() {
	local result=0
	echo "== $*"
	timeout 120 "$@" || result=$?
	[ $result = 0 ] || [ $result = 77 ] || status=1
	[ $result = 0 ] || echo "exit status $result"
}

sanitize() {
	local tool
	for tool in memcheck racecheck synccheck; do
		run compute-sanitizer --tool "$tool" --error-exitcode 9 "$@" |
			grep -E '^==|SUMMARY|exit status' || status=1
	done
}

measure() {
	local program detect
	nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
	echo "$(nproc) cores"
	for program in bin/gpu_test_*; do
		run "$program"
	done
	for program in $kernels; do
		run "$program"
	done
	# Threads that post: 1, 32 (one for each queue pair), 1,024.
	run gpu_micro_cuda --rounds 500 --batch 16
	run gpu_micro_cuda --qps 32 --blocks 32 --threads 32 --rounds 200
	run gpu_micro_cuda --qps 32 --blocks 32 --threads 32 --rounds 500 --batch 16
	for detect in auto trap poll; do
		for program in $kernels; do
			GDA_BACKEND=mlx5 run belfry run --detect $detect \
				--fabric fabric -- "$program"
		done
	done
	if command -v compute-sanitizer >/dev/null; then
		sanitize 02_expert_parallel_cuda
		sanitize 03_embedding_cuda
		sanitize gpu_micro_cuda --rounds 10
	else
		echo "no compute-sanitizer here"
	fi
	return $status
}

if [ "${1:-}" = pack ]; then
	pack "$2" "$3" "$4"
else
	cd "$(dirname "$0")"
	export LD_LIBRARY_PATH="$PWD/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
	export PATH="$PWD/bin:$PATH"
	measure
fi
