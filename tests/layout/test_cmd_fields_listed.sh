#!/bin/sh
# SPDX-License-Identifier: MIT
# Every HW_FIELD and HW_FIELD64 that hw/cmd*.h defines has a row in
# prm_fields.def, so that test_cmd compares all of them.
set -eu
cd "$(dirname "$0")/../.."

fields=$(sed -nE 's/^#define (HW_[A-Z0-9_]+)[ \t]+HW_FIELD(64)?\(.*/\1/p' \
	hw/cmd*.h)
count=0
missing=0
for field in $fields; do
	count=$((count + 1))
	if ! grep -qE "^FIELD(64)?\($field," tests/layout/prm_fields.def; then
		echo "$field has no row in tests/layout/prm_fields.def"
		missing=$((missing + 1))
	fi
done
# A changed way of writing the definitions must not empty the list unseen.
mentions=$(grep -hE '^#define HW_' hw/cmd*.h | grep -c 'HW_FIELD' || true)
echo "$count fields, $missing without a row"
[ "$count" -gt 0 ] && [ "$count" -eq "$mentions" ] && [ "$missing" -eq 0 ]
