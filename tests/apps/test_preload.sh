#!/bin/sh
# SPDX-License-Identifier: MIT
# A program under "belfry run" sees a machine with ConnectX NICs, whatever it
# does to names, descriptors and processes; and leaves nothing behind.
. "$(dirname "$0")/lib.sh"

for what in early paths close-all few-descriptors fork vfork threads; do
	run -- "$program" "$what" || fail "$what"
	check_empty "$what"
done
run -- "$program" exec "$fabric" || fail exec
check_empty exec

run -- "$program" daemon "$work/guid" || fail daemon
for _ in $(seq 100); do
	[ -s "$work/guid" ] && break
	sleep 0.1
done
grep -q '^02be:' "$work/guid" || fail "the daemon found no NIC"
for _ in $(seq 50); do
	[ -z "$(find "$fabric" -name 'nic.*')" ] && break
	sleep 0.1
done
check_empty daemon

# The address sanitizer has an allocator of its own.
[ -z "${BELFRY_SANITIZE:-}" ] || exit 0
run -- "$BELFRY_BUILD_DIR/bin/apps_program_allocator" >"$work/out" ||
	fail "an allocator that opens files"
grep -q '^02be:' "$work/out"
check_empty allocator
