# SPDX-License-Identifier: MIT
# Sourced by the scripts beside it: where things are, and an empty fabric.
# "run" is belfry run on that fabric.
set -eu
: "${BELFRY_BUILD_DIR:?run by ctest}"
belfry=$BELFRY_BUILD_DIR/bin/belfry
program=$BELFRY_BUILD_DIR/bin/apps_program_preload
unset BELFRY_NICS BELFRY_PERSONA BELFRY_LINK BELFRY_DETECT BELFRY_DC BELFRY_LOG \
	BELFRY_FABRIC BELFRY_TRACE

case ${BELFRY_SANITIZE:-} in
*thread*)
	echo "skipped: the thread sanitizer's runtime must come before every" \
		"preloaded library that uses it"
	exit 77
	;;
*address*)
	# The programs' own leaks are not our business.
	export ASAN_OPTIONS=detect_leaks=0
	;;
esac

shm=/dev/shm
[ -w $shm ] || shm=/tmp
work=$(mktemp -d "$shm/belfry-test-XXXXXX")
# Processes in the background that a failed test leaves.
pids=
# shellcheck disable=SC2086
trap '[ -z "$pids" ] || kill -KILL $pids 2>/dev/null; rm -rf "$work"' EXIT
fabric=$work/fabric

run() {
	"$belfry" run --fabric "$fabric" "$@"
}

fail() {
	echo "$*"
	exit 1
}

# The fabric has no NIC and no tree any more.
check_empty() {
	for left in "$fabric"/nic.* "$fabric"/wake.* "$fabric"/tree.*; do
		[ ! -e "$left" ] || fail "${1:-somebody} left $left"
	done
}
