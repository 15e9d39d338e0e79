#!/bin/sh
# SPDX-License-Identifier: MIT
# belfry port: a running program sees the link of its port go down and come
# back, and its requests wait for it or fail as a NIC's do. What cannot be done
# is refused with a line that names it.
. "$(dirname "$0")/lib.sh"
watcher=$BELFRY_BUILD_DIR/bin/apps_devx_port
[ -x "$watcher" ] || {
	echo "skipped: no apps_devx_port (it needs libibverbs and libmlx5)"
	exit 77
}

# heard COUNT PATTERN: the program says so many lines like this, in the end.
heard() {
	for _ in $(seq 300); do
		[ "$(grep -c -- "$2" "$work/out")" = "$1" ] && return
		sleep 0.1
	done
	cat "$work/out" "$work/err"
	fail "not $1 times: $2"
}

port() {
	"$belfry" port --fabric "$fabric" "$@"
}

# shown STATE...: what sysfs has, and in whose words `belfry devices` says it.
shown() {
	[ "$(cat "$fabric"/tree.*/sys/class/infiniband/mlx5_0/ports/1/state)" \
		= "$1" ] || fail "sysfs: not $1"
	"$belfry" devices --fabric "$fabric" | grep -q "$guid.* $2 " ||
		fail "belfry devices: not $2"
}

# watch LINK PHYS_STATE: down, up in time, down for good.
watch() {
	"$belfry" run --fabric "$fabric" --link "$1" --quiet -- "$watcher" \
		>"$work/out" 2>"$work/err" &
	pids=$!
	heard 1 '^ready'
	guid=$(sed -n 's/^ready: GUID //p' "$work/out")
	shown '4: ACTIVE' up

	port "$guid" down || fail "down"
	shown '1: DOWN' down
	for context in 0 1; do
		heard 1 "context $context: port error port 1, state down, .* $2\$"
	done
	heard 1 'EQE type 0x09 sub_type 1 port 1'
	port "$guid" down || fail "down again"

	port pid:$pids up || fail "up"
	shown '4: ACTIVE' up
	for context in 0 1; do
		heard 1 "context $context: port active port 1, state active, .* 5\$"
	done
	heard 1 'EQE type 0x09 sub_type 4 port 1'
	heard 1 '^completion: success'

	port all down || fail "down at last"
	heard 1 '^completion: transport retry counter exceeded'
	heard 4 'port error'
	heard 1 '^closed'
	wait "$pids" || fail "the program ends with $?"
	pids=
}
watch ib 2
watch roce 3

# refused WORD ARGUMENTS: exit status 125, and the word is named.
refused() {
	word=$1
	shift
	status=0
	"$belfry" port "$@" >"$work/out" 2>&1 || status=$?
	[ $status = 125 ] || fail "belfry port $*: exit status $status"
	grep -q -- "$word" "$work/out" || fail "belfry port $*: no $word"
}
refused usage
refused usage --fabric "$fabric" all
refused "'--fast'" --fast all up
refused "'left'" --fabric "$fabric" all left
refused "'mlx5_0'" --fabric "$fabric" mlx5_0 up
refused "'now'" --fabric "$fabric" all up now
refused "/no/such" --fabric /no/such all up
refused "'all': no such NIC in fabric $fabric" --fabric "$fabric" all up

# Each way to name a NIC, and only that one is meant; a process that does not
# move is told, and does it later.
"$belfry" run --fabric "$fabric" --nics 2 -- "$program" stay >"$work/guid" &
pids=$!
for _ in $(seq 100); do
	[ "$("$belfry" devices --fabric "$fabric" | grep -c " $pids ")" = 2 ] &&
		break
	sleep 0.1
done
downs() {
	"$belfry" devices --fabric "$fabric" | grep -c ' down '
}
gid=$("$belfry" devices --fabric "$fabric" | awk '$3 == 2 { print $2 }')
[ -n "$gid" ] || fail "no second NIC"
for name in 2 "$gid"; do
	port "$name" down
	[ "$(downs)" = 1 ] || fail "$name: not one NIC is down"
	port "$name" up
	[ "$(downs || true)" = 0 ] || fail "$name: a NIC stays down"
done
refused "'7': no such NIC" --fabric "$fabric" 7 down
refused "'pid:1': no such NIC" --fabric "$fabric" pid:1 down
kill -STOP $pids
# Every thread of it, before it is asked.
for _ in $(seq 100); do
	! grep -h '^State:' /proc/$pids/task/*/status | grep -qv stopped && break
	sleep 0.1
done
refused "process $pids has not moved" --fabric "$fabric" 1 down
kill -CONT $pids
for _ in $(seq 100); do
	[ "$(downs || true)" = 1 ] && break
	sleep 0.1
done
[ "$(downs || true)" = 1 ] || fail "the stopped process forgot it"
kill -KILL $pids
wait $pids 2>/dev/null || true
pids=

# Another version of the fabric: both are named.
mkdir -m 700 "$work/old"
printf 'belfryfb\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0' >"$work/old/fabric"
refused 'version 2, .*version 3' --fabric "$work/old" all up
