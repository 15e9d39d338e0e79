#!/bin/sh
# SPDX-License-Identifier: MIT
# The stock libibverbs finds the NICs, with the GUIDs that the fabric has.
. "$(dirname "$0")/lib.sh"
command -v ibv_devices >/dev/null || { echo "skipped: no ibv_devices"; exit 77; }

run --nics 3 -- ibv_devices >"$work/out"
[ "$(grep -c 'mlx5_[012].*02be' "$work/out")" = 3 ] || {
	cat "$work/out"
	exit 1
}
run -- sh -c "ibv_devices | sed -n 's/.*mlx5_0[[:space:]]*//p'
	cat /sys/class/infiniband/mlx5_0/node_guid
	cat /sys/class/infiniband/mlx5_0/ports/1/gids/0" >"$work/out"
grep -qE '^02be[0-9a-f]{12}$' "$work/out"

# Commands and files tell the same.
for link in ib roce; do
	run --link $link -- sh -c '
		cd /sys/class/infiniband/mlx5_0
		ibv_devinfo -d mlx5_0 | awk "
			/fw_ver|board_id|link_layer/ { print \$2 }"
		cat fw_ver board_id ports/1/link_layer' >"$work/out"
	[ "$(head -3 "$work/out")" = "$(tail -3 "$work/out")" ] || {
		cat "$work/out"
		exit 1
	}
done

for link in ib roce; do
	for persona in cx5 cx6 cx7 cx8; do
		run --link $link --persona $persona -- sh -c '
			cd /sys/class/infiniband/mlx5_0
			cat ports/1/link_layer device/device' >"$work/out"
		case $link in
		ib) grep -q '^InfiniBand$' "$work/out" ;;
		roce) grep -q '^Ethernet$' "$work/out" ;;
		esac
		grep -q '^0x10[12][17b3]$' "$work/out"
	done
done

# The shells above ended by _exit(); whoever comes next clears up.
run -- "$program" names
check_empty a shell
