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
# Then two processes on one GPU, which share it through MPS, initialise NVSHMEM
# over emulated NICs: what they write to each other is compared with a model,
# and what posts and round trips cost is measured.
#
# With MPS=no it does without MPS, and without what needs it. NVDISASM names
# the disassembler, if it is not in the path; without one no instructions are
# counted. ARCH is the GPU's, sm_90 if it is not set.
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
	cp "$(dirname "$0")"/{processes,mps}.sh "$dir/"
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
	timeout -k 2 30 "$@" || result=$?
	[ $result = 0 ] || echo "exit status $result"
	[ $result = 0 ] || status=1
}

# With NVSHMEM_DEBUG set, to WARN even, NVSHMEM's bootstrap tells of each of its
# steps on the standard output; errors go to the other.
without_bootstrap() {
	sed -u '/^[/]dvs[/].*[/]bootstrap[/]/d'
}

# two_pes SECONDS WHAT PARTS: what came of it is the last line, and the status
two_pes() {
	local limit=$1 what=$2 parts=$3 work result=0
	work=$(mktemp -d)
	echo "== nvshmem_pes, $what: $parts"
	timeout -k 2 "$limit" ./processes.sh 2 \
		belfry run --dc idle --detect poll --fabric "$work/fabric" -- \
		nvshmem_pes "$work/id" "$parts" 8 64 16 |
		without_bootstrap || result=$?
	rm -rf "$work"
	case $result in
	0) echo "$what: done" ;;
	3) echo "$what: not initialised, or not over this transport" ;;
	124 | 137) echo "$what: not done after $limit s" ;;
	*) echo "$what: exit status $result" ;;
	esac
	return $result
}

over_ibgda() {
	NVSHMEM_REMOTE_TRANSPORT=ibgda NVSHMEM_IB_ENABLE_IBGDA=1 two_pes "$@"
}

# Device functions through a thread of the host.
over_ibrc() {
	NVSHMEM_REMOTE_TRANSPORT=ibrc NVSHMEM_IB_ENABLE_IBGDA=0 two_pes "$@"
}

# NVSHMEM's own host side, on emulated NICs, with its queues in both places.
# That it cannot be initialised is an answer too, and changes no exit status;
# nor does what is beside IBGDA. With MPS, PEs take part in what needs both
# kernels at the same time.
initialised() {
	local mps=$1 queue result parts=transfers,atomics,measure
	[ "$mps" != yes ] || parts+=,pingpong
	export NVSHMEM_DISABLE_P2P=1 NVSHMEM_DISABLE_NVLS=1
	export NVSHMEM_DISABLE_CUDA_VMM=1 NVSHMEM_SYMMETRIC_SIZE=64M
	export NVSHMEM_DISABLE_GDRCOPY=1 NVSHMEM_DISABLE_DATA_DIRECT=1
	export NVSHMEM_BOOTSTRAP_UID_SOCK_IFNAME=lo
	for queue in gpumem hostmem; do
		result=0
		NVSHMEM_IBGDA_FORCE_NIC_BUF_MEMTYPE=$queue \
			over_ibgda 30 "queues in $queue" $parts || result=$?
		[ $result != 1 ] || status=1
	done
	over_ibrc 12 "ibrc" transfers || true
	over_ibrc 12 "ibrc" atomics || true
	[ "$mps" = yes ] || return 0
	NVSHMEM_IBGDA_FORCE_NIC_BUF_MEMTYPE=hostmem \
		over_ibgda 15 "calls of the host" collectives || true
}

# NVSHMEM looks whether the PEs' shares of a GPU add up to no more than all.
sharing() {
	local result=0
	[ "${MPS:-}" != no ] || { initialised no; return; }
	CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=50 \
		./mps.sh ./nvshmem.sh initialised || result=$?
	[ $result != 77 ] || initialised no
	[ $result = 0 ] || [ $result = 77 ] || status=1
}

run() {
	local nvshmem=${1:-$(find_nvshmem)}
	[ -e "$nvshmem/lib/libnvshmem_host.so.3" ] ||
		{ echo "no NVSHMEM at '$nvshmem'"; exit 77; }
	export PATH="$PWD/bin:$PATH"
	export LD_LIBRARY_PATH="$PWD/lib:$nvshmem/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
	nvidia-smi --query-gpu=name,driver_version,clocks.max.sm \
		--format=csv,noheader || echo "no nvidia-smi"
	echo "== instructions, of which the shortest path that rings"
	cat instructions.txt
	attempt nvshmem_put
	sharing
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
	run "$nvshmem"
	;;
initialised) # by itself, within MPS
	initialised yes
	exit $status
	;;
*)
	echo "usage: see the top of $0"
	exit 2
	;;
esac
