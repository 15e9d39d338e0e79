#!/bin/sh
# SPDX-License-Identifier: MIT
# The benchmarks of kernels on the SIMT runner, which check what they measure:
# small shapes, PEs in one process and in several, options that cannot be, and
# what starts the processes, also with MPS around them, for which a daemon
# stands in.
set -eu
: "${BELFRY_BUILD_DIR:?run by ctest}"
bin=$BELFRY_BUILD_DIR/bin
processes=$(dirname "$0")/../../bench/gpu/processes.sh
mps=$(dirname "$0")/../../bench/gpu/mps.sh
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

# together COUNT WORDS PROGRAM ARGUMENTS: as passes, each PE in a process.
together() {
	count=$1 words=$2 program=$3
	shift 3
	"$processes" "$count" "$bin/$program" "$@" >"$work/out" 2>&1 &&
		[ "$(grep -c -- "$words" "$work/out")" = "$count" ] || {
		cat "$work/out"
		echo "$program $* did not pass as $count processes"
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

# PEs in several processes: all of them check, and find nothing.
for type in --bf16 --fp8; do
	# shellcheck disable=SC2086
	together 2 'came back as expected' gpu_ep $small $type
	# shellcheck disable=SC2086
	together 2 'came back as expected' gpu_ep $small $type --split
done
# shellcheck disable=SC2086
together 3 'came back as expected' gpu_ep $small --pes 3
together 2 'all as expected' gpu_coll --count 70 --rounds 3
together 4 'all as expected' gpu_coll --count 5 --rounds 2 --threads 64
together 4 'came back as they went' 02_expert_parallel
"$processes" 2 "$bin/03_embedding" >"$work/out" || { cat "$work/out"; exit 1; }

# Only PE 0 of these prints.
"$processes" 2 "$bin/gpu_micro" --rounds 10 >"$work/out" 2>&1 &&
	[ "$(grep -c '^micro_.* us an operation' "$work/out")" = 45 ] || {
	cat "$work/out"
	echo "gpu_micro did not pass as 2 processes"
	exit 1
}

# Failures are passed on, and nobody is left behind.
fails() {
	expected=$1 status=0
	shift
	"$processes" "$@" >"$work/out" 2>&1 || status=$?
	[ $status = "$expected" ] || {
		cat "$work/out"
		echo "processes.sh $*: exit status $status, not $expected"
		exit 1
	}
}
fails 1 2 "$bin/gpu_ep" --pes 3
grep -q '2 processes .* wants 3 PEs' "$work/out"
fails 2 none true
# shellcheck disable=SC2016
fails 7 3 sh -c 'echo $$ >>"$0"; [ $GDA_PE = 1 ] && exit 7; exec sleep 60' \
	"$work/pids"
while read -r pid; do
	! kill -0 "$pid" 2>/dev/null || { echo "$pid is left"; exit 1; }
done <"$work/pids"

# The daemon: what it is told it writes down, and one that is deaf stays.
mkdir "$work/bin"
cat >"$work/bin/nvidia-cuda-mps-control" <<'END'
#!/bin/sh
pid_file=$CUDA_MPS_PIPE_DIRECTORY/nvidia-cuda-mps-control.pid
if [ "${1:-}" = -d ]; then
	[ "$DAEMON" != broken ] || exit 1
	sleep 60 >/dev/null 2>&1 &
	echo $! >"$pid_file"
	echo "$! $CUDA_MPS_PIPE_DIRECTORY" >>"$SEEN"
else
	read -r line
	[ "$line" = quit ] && [ "$DAEMON" != deaf ] && kill "$(cat "$pid_file")"
fi
END
chmod +x "$work/bin/nvidia-cuda-mps-control"

# around STATUS DAEMON COMMAND: and neither daemon nor directory is left
around() {
	expected=$1 daemon=$2 status=0
	shift 2
	: >"$work/seen"
	PATH=$work/bin:$PATH SEEN=$work/seen DAEMON=$daemon "$@" \
		>"$work/out" 2>&1 || status=$?
	[ $status = "$expected" ] || {
		cat "$work/out"
		echo "$*: exit status $status, not $expected"
		exit 1
	}
	while read -r pid directory; do
		[ ! -e "$directory" ] || { echo "$directory is left"; exit 1; }
		! grep -q 'State:.*[^Z ] (' "/proc/$pid/status" 2>/dev/null ||
			{ echo "the daemon, $pid, is left"; exit 1; }
	done <"$work/seen"
}
around 2 good "$mps"
# shellcheck disable=SC2016
around 0 good "$mps" sh -c '[ -d "$CUDA_MPS_LOG_DIRECTORY" ]'
around 7 good "$mps" sh -c 'exit 7'
around 0 deaf "$mps" true
around 1 broken "$mps" true
around 124 good timeout 1 "$mps" sleep 60
around 124 deaf timeout -s INT 1 "$mps" sleep 60
