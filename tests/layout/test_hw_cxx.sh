#!/bin/sh
# SPDX-License-Identifier: MIT
# hw/ as C++17, with g++ and with clang++ if they are there.
set -eu
here=$(dirname "$0")
found=0
for compiler in g++ clang++; do
	command -v $compiler >/dev/null || continue
	found=1
	"$here/compile_hw.sh" cpp $compiler -std=c++17 -fsyntax-only -Wall \
		-Wextra -Werror
done
[ $found = 1 ] || { echo "skipped: neither g++ nor clang++"; exit 77; }
