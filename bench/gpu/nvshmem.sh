#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Posting through NVSHMEM's device library and through Belfry's: instructions
# and cycles, side by side. NVSHMEM comes from its Python package
# (nvidia-nvshmem-cu13), of which no file is copied. nvcc is needed here, a
# compiler is not needed there:
#
#   bench/gpu/nvshmem.sh pack NVSHMEM BUILD DIR
#                         here: make DIR from nvidia/nvshmem of the package, and
#                         a build
#   DIR/nvshmem.sh run [NVSHMEM]
#                         there: what it prints is the result; NVSHMEM is
#                         looked for among Python's packages
#
# NVDISASM names the disassembler, if it is not in the path; without one no
# instructions are counted. ARCH is the GPU's, sm_90 if it is not set.
set -euo pipefail

programs="nvshmem_put nvshmem_pes"

find_nvdisasm() {
	local name
	for name in "${NVDISASM:-}" nvdisasm /usr/local/cuda/bin/nvdisasm; do
		command -v "$name" && return
	done
	return 1
}

nvcc=${NVCC:-$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)}
arch=${ARCH:-sm_90}

# compile NVSHMEM DIR: to objects, and those to programs
compile() {
	local nvshmem=$1 dir=$2 program
	for program in $programs; do
		"$nvcc" -std=c++17 -O3 -dc -arch "$arch" \
			-I "$nvshmem/include" -I . -o "$dir/$program.o" \
			"bench/gpu/$program.cu"
		"$nvcc" -arch "$arch" -o "$dir/bin/$program" \
			"$dir/$program.o" -L "$nvshmem/lib" \
			-lnvshmem_device -l:libnvshmem_host.so.3
	done
}

# Of the linked code, as it is there that calls have found their functions.
count() {
	local nvshmem=$1 dir=$2 nvdisasm cubin=$2/nvshmem_put.cubin
	if ! nvdisasm=$(find_nvdisasm); then
		echo "not counted: no nvdisasm" >"$dir/instructions.txt"
		return
	fi
	"$nvcc" -dlink -cubin -arch "$arch" -o "$cubin" "$dir/nvshmem_put.o" \
		-L "$nvshmem/lib" -lnvshmem_device
	"$nvdisasm" -c "$cubin" | bench/gpu/sass.py >"$dir/instructions.txt"
	rm "$cubin"
}

pack() {
	local nvshmem=$1 build=$2 dir=$3 name
	mkdir -p "$dir/bin" "$dir/lib"
	cp "$0" "$dir/nvshmem.sh"
	compile "$nvshmem" "$dir"
	count "$nvshmem" "$dir"
	rm "$dir"/*.o
	cp "$build/bin/belfry" "$dir/bin/"
	# All but the C library, the loader and what comes with NVSHMEM.
	ldd "$dir/bin/belfry" |
		awk '$3 ~ /^\// && $1 !~ /^lib(c|m|pthread|dl|gcc_s|stdc[+]+)[.]so/ {
			print $3 }' | sort -u |
		xargs -r cp -Lt "$dir/lib" --
	cp "$build/lib/libbelfry-uverbs.so" "$dir/lib/"
	# Opened at run time.
	for name in libev.so.4 libZydis.so.4.0 libZycore.so.1.4; do
		ldconfig -p | awk -v name="$name" '$1 == name { print $NF }' |
			head -1 | xargs -r cp -Lt "$dir/lib" --
	done
}

# The folder of the package, or nothing.
find_nvshmem() {
	python3 -c 'import nvidia.nvshmem as n; print(list(n.__path__)[0])' \
		2>/dev/null || true
}

status=0

attempt() {
	local result=0
	echo "== $*"
	timeout -k 5 90 "$@" || result=$?
	[ $result = 0 ] || echo "exit status $result"
	[ $result = 0 ] || status=1
}

# NVSHMEM's own host side, on emulated NICs, with its queues in both places.
# That it cannot be initialised is an answer too, and changes no exit status.
initialised() {
	local queue
	export NVSHMEM_REMOTE_TRANSPORT=ibgda NVSHMEM_IB_ENABLE_IBGDA=1
	export NVSHMEM_DISABLE_P2P=1 NVSHMEM_DISABLE_NVLS=1
	export NVSHMEM_DISABLE_CUDA_VMM=1 NVSHMEM_SYMMETRIC_SIZE=64M
	export NVSHMEM_DISABLE_GDRCOPY=1 NVSHMEM_DISABLE_DATA_DIRECT=1
	export NVSHMEM_BOOTSTRAP_UID_SOCK_IFNAME=lo
	export NVSHMEM_DEBUG=${NVSHMEM_DEBUG:-WARN}
	for queue in gpumem hostmem; do
		NVSHMEM_IBGDA_FORCE_NIC_BUF_MEMTYPE=$queue two_pes
	done
}

two_pes() {
	local rank pids=() work result=0
	work=$(mktemp -d)
	echo "== nvshmem_pes, queues in $NVSHMEM_IBGDA_FORCE_NIC_BUF_MEMTYPE"
	for rank in 0 1; do
		timeout -k 5 60 belfry run --dc idle --detect poll \
			--fabric "$work/fabric" \
			-- nvshmem_pes $rank "$work/id" &
		pids+=($!)
	done
	for rank in 0 1; do
		wait "${pids[rank]}" || result=$?
	done
	[ $result = 0 ] || echo "not initialised, or not measured: $result"
	rm -rf "$work"
}

run() {
	local nvshmem=${1:-$(find_nvshmem)}
	[ -e "$nvshmem/lib/libnvshmem_host.so.3" ] ||
		{ echo "no NVSHMEM at '$nvshmem'"; exit 77; }
	export LD_LIBRARY_PATH="$PWD/lib:$nvshmem/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
	nvidia-smi --query-gpu=name,driver_version,clocks.max.sm \
		--format=csv,noheader || echo "no nvidia-smi"
	echo "== instructions, of which the shortest path that rings"
	cat instructions.txt
	attempt nvshmem_put
	initialised
	return $status
}

case ${1:-} in
pack)
	[ $# = 4 ] || { echo "usage: see the top of $0"; exit 2; }
	pack "$2" "$3" "$4"
	;;
run)
	[ $# -le 2 ] || { echo "usage: see the top of $0"; exit 2; }
	shift
	nvshmem=${1:+$(cd "$1" && pwd)}
	cd "$(dirname "$0")"
	export PATH="$PWD/bin:$PATH"
	run "$nvshmem"
	;;
*)
	echo "usage: see the top of $0"
	exit 2
	;;
esac
