#!/bin/sh
# SPDX-License-Identifier: MIT
# compile_hw.sh SUFFIX COMPILER [FLAG...]
#
# Each header of hw/ compiles alone as a source file of that suffix, and a
# host integer can be assigned neither to nor from a big-endian field.
set -eu
suffix=$1
shift
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
source=$work/source.$suffix

compiles() {
	"$@" -I"$root" "$source" >"$work/log" 2>&1
}

must_compile() {
	if ! compiles "$@"; then
		echo "$*: does not compile:"
		cat "$source" "$work/log"
		exit 1
	fi
}

must_not_compile() {
	if compiles "$@"; then
		echo "$*: must not compile, but does:"
		cat "$source"
		exit 1
	fi
	# For the reason that is meant, not for some other.
	if ! grep -qE 'incompatible|no match for|no viable|no suitable|no operator|cannot convert' \
		"$work/log"; then
		echo "$*: is refused for another reason:"
		cat "$source" "$work/log"
		exit 1
	fi
}

count=0
for header in "$root"/hw/*.h; do
	printf '#include "hw/%s"\n' "$(basename "$header")" >"$source"
	must_compile "$@"
	count=$((count + 1))
done

use='#include "hw/be.h"
void use(uint32_t host);
void use(uint32_t host) { be32 x; x = %s; (void)x; (void)host; }\n'
# shellcheck disable=SC2059
printf "$use" 'to_be32(host)' >"$source"
must_compile "$@"
# shellcheck disable=SC2059
printf "$use" 'host' >"$source"
must_not_compile "$@"

use='#include "hw/be.h"
uint32_t use(be32 x);
uint32_t use(be32 x) { uint32_t host = %s; return host; }\n'
# shellcheck disable=SC2059
printf "$use" 'from_be32(x)' >"$source"
must_compile "$@"
# shellcheck disable=SC2059
printf "$use" 'x' >"$source"
must_not_compile "$@"
echo "$*: $count headers compile alone, 2 wrong assignments do not"
