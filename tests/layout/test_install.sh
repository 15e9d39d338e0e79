#!/bin/sh
# SPDX-License-Identifier: MIT
# "cmake --install" into a fresh prefix, then a program outside of the tree
# that finds the NIC by CMake's find_package, and one that does by pkg-config.
set -eu
: "${BELFRY_BUILD_DIR:?run by ctest}"
command -v pkg-config >/dev/null || { echo "skipped: no pkg-config"; exit 77; }
CC=${CC:-cc}
sanitize=${BELFRY_SANITIZE:+-fsanitize=$BELFRY_SANITIZE}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
cmake --install "$BELFRY_BUILD_DIR" --prefix "$prefix" >"$work/log" || {
	cat "$work/log"
	exit 1
}

# The installed tool finds the installed library.
if [ -z "$sanitize" ]; then
	"$prefix/bin/belfry" run --fabric "$work/fabric" -- \
		cat /sys/class/infiniband/mlx5_0/hca_type
fi

# Every installed header finds what it includes.
for header in $(cd "$prefix/include/belfry" && find hw emu -name '*.h'); do
	printf '#include "%s"\n' "$header" >"$work/header.c"
	"$CC" -std=gnu11 -fsyntax-only -I"$prefix/include/belfry" \
		"$work/header.c"
done

mkdir "$work/consumer"
cd "$work/consumer"
cat >main.c <<'END'
#include "emu/nic.h"
#include "hw/wqe.h"

int main(void)
{
	struct nic *nic = nic_create(NULL);
	bool works = nic && hw_wqe_bbs(5) == 2;

	nic_destroy(nic);
	return works ? 0 : 1;
}
END
cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.22)
project(consumer C)
find_package(belfry 0.1 REQUIRED)
add_executable(consumer main.c)
target_link_libraries(consumer PRIVATE belfry::emu)
END
cmake -B build -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$CC" \
	-DCMAKE_C_FLAGS="$sanitize" >"$work/log" 2>&1 &&
	cmake --build build >>"$work/log" 2>&1 || {
	cat "$work/log"
	exit 1
}
./build/consumer
echo "find_package: builds and runs"

PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name belfry-emu.pc)")
export PKG_CONFIG_PATH
# shellcheck disable=SC2046,SC2086
"$CC" $sanitize main.c -o with-pkg-config \
	$(pkg-config --cflags --libs --static belfry-emu)
./with-pkg-config
echo "pkg-config: builds and runs"

# The stack is a package of its own, where it is part of the build.
[ -f "$PKG_CONFIG_PATH/belfry.pc" ] || exit 0
cat >stack.c <<'END'
#include "stack/gda.h"

int main(void)
{
	return gda_strerror(0) ? 0 : 1;
}
END
# shellcheck disable=SC2046,SC2086
"$CC" $sanitize stack.c -o stack $(pkg-config --cflags --libs --static belfry)
./stack
echo "pkg-config belfry: builds and runs"
