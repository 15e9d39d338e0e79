#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Run a command whose processes share a GPU through MPS, so that their kernels
# run at the same time:
#
#   mps.sh COMMAND [ARGUMENT...]
#
# The daemon lives in directories of its own and ends with the command, or with
# a signal to this script, which ends the command, too. The exit status is the
# command's; 77 where there is no nvidia-cuda-mps-control, 1 if it does not
# start, 2 without a command.
set -uo pipefail

[ $# -gt 0 ] || { echo "usage: mps.sh COMMAND [ARGUMENT...]" >&2; exit 2; }
if ! command -v nvidia-cuda-mps-control >/dev/null; then
	echo "no nvidia-cuda-mps-control here"
	exit 77
fi

work=$(mktemp -d)
command=

finish() {
	local result=$? pid_file=$work/pipe/nvidia-cuda-mps-control.pid
	trap '' INT TERM HUP
	if [ -n "$command" ]; then
		kill "$command" 2>/dev/null
		wait "$command"
	fi
	# One that does not answer would outlive its directories.
	echo quit | timeout 30 nvidia-cuda-mps-control >/dev/null ||
		{ [ -s "$pid_file" ] && kill "$(<"$pid_file")"; }
	[ "$result" = 0 ] || tail -n 20 "$work"/log/*.log 2>/dev/null
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

mkdir "$work/pipe" "$work/log"
export CUDA_MPS_PIPE_DIRECTORY=$work/pipe CUDA_MPS_LOG_DIRECTORY=$work/log
if ! timeout 30 nvidia-cuda-mps-control -d; then
	echo "nvidia-cuda-mps-control does not start"
	exit 1
fi

# In the background: signals are heard while bash waits, not while it runs.
"$@" <&0 &
command=$!
wait "$command"
result=$?
command=
[ $result = 0 ] || exit $result
