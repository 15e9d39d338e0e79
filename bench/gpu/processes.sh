#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Start a program N times, as the PEs 0 to N - 1 of one job on this machine:
#
#   processes.sh N PROGRAM [ARGUMENT...]
#
# They meet at a free port of the loopback address, unless GDA_ROOT names one,
# and their emulated NICs in a directory of their own, unless GDA_FABRIC does.
# When one fails the others are ended. The exit status is that of the first
# that failed, or 0; 2 for a bad N. Signals end them all.
set -uo pipefail

usage() {
	echo "usage: processes.sh N PROGRAM [ARGUMENT...], N from 1 up" >&2
	exit 2
}

[ $# -ge 2 ] || usage
[[ $1 =~ ^[1-9][0-9]{0,3}$ ]] || usage
count=$1
shift

# Below what the kernel gives to clients, and nobody answers there.
free_port() {
	local port
	while :; do
		port=$((10000 + RANDOM % 20000))
		(: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
	done
	echo "$port"
}

work=$(mktemp -d)

finish() {
	local left
	left=$(jobs -pr)
	# shellcheck disable=SC2086
	[ -z "$left" ] || kill $left 2>/dev/null
	wait
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

export GDA_NPES=$count
export GDA_ROOT=${GDA_ROOT:-127.0.0.1:$(free_port)}
export GDA_FABRIC=${GDA_FABRIC:-$work/fabric}
for ((pe = 0; pe < count; pe++)); do
	GDA_PE=$pe "$@" &
done

# Whoever ends first: a PE that fails leaves the others waiting for it.
for ((pe = 0; pe < count; pe++)); do
	wait -n || exit $?
done
