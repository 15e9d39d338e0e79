#!/bin/sh
# SPDX-License-Identifier: MIT
# hw/ as C11, with gcc and with clang if they are there.
set -eu
here=$(dirname "$0")
flags='-std=c11 -fsyntax-only -Wall -Wextra -Wconversion -Wno-sign-conversion -Werror'
found=0
for compiler in gcc clang; do
	command -v $compiler >/dev/null || continue
	found=1
	# shellcheck disable=SC2086
	"$here/compile_hw.sh" c $compiler $flags
done
[ $found = 1 ] || { echo "skipped: neither gcc nor clang"; exit 77; }
