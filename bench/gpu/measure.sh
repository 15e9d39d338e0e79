#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What is claimed about GPUs, seen on one: the tests with the label gpu, every
# kernel over the NIC inside the stack and over this machine's libibverbs and
# libmlx5, with all PEs in one process and with one in each (which share the GPU
# through MPS), the kernels under compute-sanitizer, and what things cost. A
# machine with a GPU may have no compiler and no libraries of ours, so the
# programs travel with all they need:
#
#   bench/gpu/measure.sh pack BUILD CUDA_BUILD DIR   here: make DIR from a
#                             build and one with the target "cuda"
#   DIR/measure.sh [PART...]  there: run it, or some of its parts, which are
#                             programs times processes sanitized;
#                             what it prints is the result
set -euo pipefail

kernels="02_expert_parallel_cuda 03_embedding_cuda gpu_coll_cuda gpu_ep_cuda
	gpu_micro_cuda gpu_post_cuda"

pack() {
	local build=$1 cuda=$2 dir=$3 program
	mkdir -p "$dir/lib" "$dir/bin"
	cp "$0" "$dir/measure.sh"
	cp "$(dirname "$0")"/{processes,mps}.sh "$dir/"
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

# placed QUEUE HEAP COMMAND...: with rings and records, and the heap, there
placed() {
	local queue=$1 heap=$2
	shift 2
	echo "-- queues: $queue, heap: $heap"
	GDA_QUEUE_PLACE=$queue GDA_HEAP_PLACE=$heap "$@"
}

over_mlx5() {
	local detect=$1
	shift
	GDA_BACKEND=mlx5 run belfry run --detect "$detect" --fabric fabric -- "$@"
}

# Does all of it work, over each backend and with memory at each place?
measure_programs() {
	local program place detect
	run gpu_test_cuda_memory
	for program in $kernels gpu_test_kernel_errors_cuda; do
		for place in "host host" "gpu gpu"; do
			# shellcheck disable=SC2086
			placed $place run "$program"
			# shellcheck disable=SC2086
			placed $place over_mlx5 poll "$program"
		done
	done
	for program in 02_expert_parallel_cuda 03_embedding_cuda \
		gpu_test_kernel_errors_cuda; do
		for place in "host gpu" "gpu host"; do
			# shellcheck disable=SC2086
			placed $place run "$program"
			# shellcheck disable=SC2086
			placed $place over_mlx5 poll "$program"
		done
		for detect in auto trap; do
			over_mlx5 $detect "$program"
		done
	done
	GDA_GPU_DMABUF=1 placed gpu gpu over_mlx5 poll 02_expert_parallel_cuda
}

measure_times() {
	local place pes type rounds
	for place in "host host" "host gpu" "gpu host" "gpu gpu"; do
		# shellcheck disable=SC2086
		placed $place run gpu_post_cuda
	done
	for place in "host host" "gpu gpu"; do
		rounds=300
		[ "$place" = "host host" ] || rounds=30
		# Threads that post: 1, 32 (one for each queue pair), 1,024.
		for type in "" "--batch 16" "--qps 32 --blocks 32" \
			"--qps 32 --blocks 32 --batch 16"; do
			# shellcheck disable=SC2086
			placed $place run gpu_micro_cuda --rounds $rounds $type
		done
		for pes in 2 4 8; do
			for type in --bf16 --fp8 "--bf16 --split" "--fp8 --split"; do
				# shellcheck disable=SC2086
				placed $place run gpu_ep_cuda --pes $pes $type
			done
			# shellcheck disable=SC2086
			placed $place run gpu_coll_cuda --pes $pes
			# shellcheck disable=SC2086
			placed $place run gpu_coll_cuda --pes $pes --count 65536
		done
	done
}

# PEs that are processes need each other's kernels to run at the same time.
measure_processes() {
	local result=0
	./mps.sh ./measure.sh sharing || result=$?
	[ $result = 0 ] || [ $result = 77 ] || status=1
}

# Within MPS.
sharing() {
	local program
	for program in gpu_micro_cuda "gpu_ep_cuda --pes 2" \
		"gpu_ep_cuda --pes 2 --fp8" gpu_coll_cuda; do
		# shellcheck disable=SC2086
		GDA_BACKEND=emu run ./processes.sh 2 $program
		# shellcheck disable=SC2086
		GDA_BACKEND=mlx5 run ./processes.sh 2 belfry run --detect poll \
			--fabric fabric -- $program
		# shellcheck disable=SC2086
		GDA_BACKEND=emu placed gpu gpu run ./processes.sh 2 $program
	done
	return $status
}

measure_sanitized() {
	if ! command -v compute-sanitizer >/dev/null; then
		echo "no compute-sanitizer here"
		return
	fi
	sanitize 02_expert_parallel_cuda
	sanitize 03_embedding_cuda
	sanitize gpu_coll_cuda --count 64 --rounds 2
	sanitize gpu_ep_cuda --hidden 520 --topk 4 --tokens 16 --blocks 4 --rounds 2
	sanitize gpu_micro_cuda --rounds 10
}

measure() {
	local part
	nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
	echo "$(nproc) cores"
	for part in "$@"; do
		"measure_$part"
	done
	return $status
}

if [ "${1:-}" = pack ]; then
	pack "$2" "$3" "$4"
else
	cd "$(dirname "$0")"
	export LD_LIBRARY_PATH="$PWD/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
	export PATH="$PWD/bin:$PATH"
	[ "${1:-}" != sharing ] || { sharing; exit; }
	[ $# -gt 0 ] || set -- programs times processes sanitized
	measure "$@"
fi
