#!/bin/sh
# SPDX-License-Identifier: MIT
# The belfry command: the demo passes, the benchmark measures every row (with
# sanitizers it would measure them), and bad arguments are refused by name.
set -eu
: "${BELFRY_BUILD_DIR:?run by ctest}"
belfry=$BELFRY_BUILD_DIR/bin/belfry
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$belfry" demo >"$work/demo" || { cat "$work/demo"; exit 1; }
for word in put get atomics put_signal embedding ctrl.opcode 'record\[SND\]' \
	register wqe_counter 'All results are as computed'; do
	grep -q "$word" "$work/demo" || { echo "demo: no $word"; exit 1; }
done

# One request can be followed from fetch to CQE, through both processes.
GDA_LOG=stderr GDA_TRACE='sq_fetch,req_send,resp_*,comp_*,cqe_post' \
	"$belfry" demo >"$work/demo" 2>"$work/trace"
for event in sq_fetch req_send resp_recv resp_write comp_done cqe_post; do
	grep -q " $event " "$work/trace" || { echo "trace: no $event"; exit 1; }
done
status=0
GDA_TRACE='nonsense*' "$belfry" demo >"$work/out" 2>&1 || status=$?
[ $status = 1 ] && grep -q 'nonsense\*.* names no event' "$work/out"

if [ -z "${BELFRY_SANITIZE:-}" ]; then
	"$belfry" bench --quick --json >"$work/json" 2>"$work/err" || {
		cat "$work/json" "$work/err"
		exit 1
	}
	rows=$(grep -c '"verdict": "\(met\|missed\|no target\)"' "$work/json")
	# Two programs of perftest, two sizes, trapped and polled doorbells.
	lacks='"not measured".*\(package perftest\|doorbells are polled\)'
	lacking=$(grep -c "$lacks" "$work/json") || true
	[ "$rows" = $((18 - lacking)) ] && [ "$lacking" -le 8 ] || {
		cat "$work/json"
		echo "bench: $rows rows"
		exit 1
	}
	! command -v ib_write_lat >/dev/null ||
		! grep 'package perftest' "$work/json"
fi

# refused WORD ARGUMENTS: exit status 2, and the word is named.
refused() {
	word=$1
	shift
	status=0
	"$belfry" "$@" >"$work/out" 2>&1 || status=$?
	[ $status = 2 ] || { echo "belfry $*: exit status $status"; exit 1; }
	grep -q -- "$word" "$work/out" || { echo "belfry $*: no $word"; exit 1; }
}
refused usage
refused nonsense nonsense
refused arguments demo now
refused "'--fast'" bench --fast
