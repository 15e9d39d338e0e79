#!/bin/sh
# SPDX-License-Identifier: MIT
# Many processes at once have NICs of their own; a killed one leaves nothing
# that stays; a preloaded list of the program's own is kept.
. "$(dirname "$0")/lib.sh"

count=100
[ -z "${BELFRY_SANITIZE:-}" ] || count=20
i=0
while [ $i -lt $count ]; do
	"$belfry" run --fabric "$fabric" -- "$program" stay \
		>"$work/guid.$i" &
	pids="$pids $!"
	i=$((i + 1))
done
for _ in $(seq 600); do
	[ "$(cat "$work"/guid.* | wc -l)" = $count ] && break
	sleep 0.1
done
guids=$(cat "$work"/guid.* | sort -u | wc -l)
[ "$guids" = $count ] || fail "$count processes have $guids GUIDs"
listed=$("$belfry" devices --fabric "$fabric" | grep -c 'apps_program_pr')
[ "$listed" = $count ] || fail "$count processes, $listed NICs are listed"
"$belfry" devices --json --fabric "$fabric" | python3 -c '
import json, sys
devices = json.load(sys.stdin)
assert len(devices) == int(sys.argv[1])
assert all(d["link"] == "ib" and d["qps"] == 0 for d in devices)
assert len({d["guid"] for d in devices} | {d["pid"] for d in devices}) \
    == 2 * len(devices)
' $count
# shellcheck disable=SC2086
kill -KILL $pids
# shellcheck disable=SC2086
wait $pids 2>/dev/null || true
pids=
[ -n "$(find "$fabric" -maxdepth 1 -name 'tree.*')" ] ||
	fail "nobody was killed with a tree"
run -- "$program" paths
check_empty "a killed process"

# A program that ends by a signal or by _exit() is swept likewise.
"$belfry" run --fabric "$fabric" -- "$program" stay >"$work/guid" &
pids=$!
for _ in $(seq 100); do
	[ -s "$work/guid" ] && break
	sleep 0.1
done
kill -TERM $pids
status=0
wait $pids || status=$?
pids=
[ $status = 143 ] || fail "the program's signal became $status"
run -- "$program" paths
check_empty "a terminated process"

nested=$(run -- "$belfry" run -- sh -c 'echo $LD_PRELOAD')
[ "$(echo "$nested" | grep -o libbelfry | wc -l)" = 1 ] || fail "$nested"

# A list of the program's own stays, in front; a sanitizer would have to be
# in front of it.
[ -z "${BELFRY_SANITIZE:-}" ] || exit 0
preload=$(LD_PRELOAD=libdl.so.2 run -- sh -c 'echo $LD_PRELOAD')
[ "${preload#libdl.so.2:}" != "$preload" ] || fail "LD_PRELOAD is $preload"
