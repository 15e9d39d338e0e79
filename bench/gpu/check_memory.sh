#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# GPU memory in the NIC against a real driver: the tests with the label gpu,
# with what each access costs. A machine with a GPU may have no compiler and
# no libraries of ours, so the programs travel with all they need:
#
#   bench/gpu/check_memory.sh pack BUILD DIR   here: make DIR from a build
#   DIR/check_memory.sh                        there: run it
set -euo pipefail

pack() {
	local build=$1 dir=$2 program
	mkdir -p "$dir/lib"
	cp "$0" "$dir/check_memory.sh"
	for program in "$build"/bin/gpu_test_*; do
		cp "$program" "$dir/"
		# All but the C library and the loader.
		ldd "$program" | awk '$3 ~ /^\// { print $3 }' |
			grep -Ev '/(libc|libm|libpthread|libdl|ld-linux[^/]*)\.so' |
			xargs -r cp -Lt "$dir/lib" --
	done
	if [ -f "$build/lib/libbelfry-uverbs.so" ]; then
		cp "$build/lib/libbelfry-uverbs.so" "$dir/lib/"
	fi
}

run() {
	local here program status=0 result
	here=$(cd "$(dirname "$0")" && pwd)
	export LD_LIBRARY_PATH="$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
	command -v nvidia-smi >/dev/null &&
		nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
	for program in "$here"/gpu_test_*; do
		echo "== ${program##*/}"
		result=0
		timeout 120 "$program" || result=$?
		[ $result = 0 ] || [ $result = 77 ] || status=1
	done
	return $status
}

if [ "${1:-}" = pack ]; then
	pack "$2" "$3"
else
	run
fi
