#!/bin/sh
# SPDX-License-Identifier: MIT
# The benchmarks of kernels on the SIMT runner, which check what they measure:
# small shapes, and options that cannot be.
set -eu
: "${BELFRY_BUILD_DIR:?run by ctest}"
bin=$BELFRY_BUILD_DIR/bin
[ -x "$bin/gpu_ep" ] || { echo "this build has no kernels"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# passes WORDS PROGRAM ARGUMENTS: exit status 0, and the words are printed.
passes() {
	words=$1 program=$2
	shift 2
	"$bin/$program" "$@" >"$work/out" 2>&1 && grep -q -- "$words" "$work/out" || {
		cat "$work/out"
		echo "$program $* did not pass"
		exit 1
	}
}

# refused WORDS PROGRAM ARGUMENTS: exit status 2, and the words are printed.
refused() {
	words=$1 program=$2 status=0
	shift 2
	"$bin/$program" "$@" >"$work/out" 2>&1 || status=$?
	[ $status = 2 ] && grep -q -- "$words" "$work/out" || {
		cat "$work/out"
		echo "$program $*: exit status $status, expected 2 and \"$words\""
		exit 1
	}
}

small='--hidden 200 --topk 3 --tokens 12 --blocks 2 --threads 64 --rounds 3'
for type in --bf16 --fp8; do
	for pes in 1 2 4; do
		# shellcheck disable=SC2086
		passes 'came back as expected' gpu_ep $small $type --pes $pes
	done
	# shellcheck disable=SC2086
	passes 'dispatch, receive' gpu_ep $small $type --split --seed 7
done
refused '--experts is 7, .* --pes, 2' gpu_ep --experts 7
refused '--topk is 20, .* 16' gpu_ep --topk 20
refused '--topk is "33"' gpu_ep --topk 33
refused '--threads is 33' gpu_ep --threads 33
refused '--hidden is "many"' gpu_ep --hidden many
refused '"more" is no option' gpu_ep more

passes 'all as expected' gpu_coll --count 70 --rounds 5
passes 'all-reduce *u64' gpu_coll --count 3 --rounds 2 --pes 5 --threads 64
passes 'all as expected' gpu_coll --count 9 --rounds 2 --pes 1 --threads 32
refused '--threads is "2048"' gpu_coll --threads 2048
refused '--pes is "0"' gpu_coll --pes 0
