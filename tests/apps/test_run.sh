#!/bin/sh
# SPDX-License-Identifier: MIT
# belfry run: the program's status is its own; what cannot work is refused
# before it starts, with one line that names it. belfry env and devices.
. "$(dirname "$0")/lib.sh"
cc=${CC:-cc}

# status EXPECTED WORD COMMAND...: exit status, and one line with the word.
status() {
	expected=$1
	word=$2
	shift 2
	got=0
	"$@" >"$work/out" 2>&1 || got=$?
	[ $got = "$expected" ] || {
		cat "$work/out"
		fail "$*: exit status $got, not $expected"
	}
	[ -z "$word" ] || {
		grep -q -- "$word" "$work/out" || {
			cat "$work/out"
			fail "$*: no $word"
		}
		[ "$(wc -l <"$work/out")" = 1 ] || {
			cat "$work/out"
			fail "$*: not one line"
		}
	}
}

status 0 '' run -- true
status 7 '' run -- sh -c 'exit 7'
status 143 '' sh -c "$belfry run --fabric $fabric -- sh -c 'kill -TERM \$\$'"
status 0 'a b' run echo 'a b'

# Options.
status 0 '' "$belfry" run --help
status 125 'which program' run
status 125 "'--nonsense'" run --nonsense -- true
status 125 "'--quiet=1'" run --quiet=1 -- true
status 125 'takes a value' run --nics
for value in 0 17 x '' 1x -1 99999999999999999999; do
	status 125 'from 1 to 16' run --nics "$value" -- true
done
status 125 'cx5 cx6 cx7 cx8' run --persona cx4 -- true
status 125 'ib roce' run --link=eth -- true
status 125 'trap poll auto' run --detect never -- true
status 125 'none idle' run --dc never -- true
status 125 'no/such' run --trace "$work/no/such" -- true
status 0 '^2$' run --nics=2 -v --persona cx8 --link roce --detect poll -- \
	sh -c 'ls /sys/class/infiniband | wc -l'
status 0 'info cx8 roce poll' run -v --persona cx8 --link roce \
	--detect poll -- sh -c 'echo $BELFRY_LOG $BELFRY_PERSONA $BELFRY_LINK \
	$BELFRY_DETECT'

# Relative names mean the same to a program that goes elsewhere.
(cd "$work" && "$belfry" run --fabric relative --trace trace -- sh -c '
	cd / && ls /dev/infiniband >/dev/null && echo $BELFRY_FABRIC') \
	>"$work/out"
[ "$(cat "$work/out")" = "$(realpath "$work")/relative" ]
[ -f "$work/relative/fabric" ] && [ -f "$work/trace" ]

# Programs.
status 127 'no such program' run -- no-such-program
status 127 'no such program' run -- ./no-such-program
status 126 'not an executable' run -- "$work"
: >"$work/plain"
status 126 'not an executable' run -- "$work/plain"
printf 'int main(void) { return 0; }\n' >"$work/main.c"
if "$cc" -static -o "$work/static" "$work/main.c" 2>/dev/null; then
	status 126 'static.*PT_INTERP' run -- "$work/static"
	printf '#!%s\n' "$work/static" >"$work/script"
	chmod +x "$work/script"
	status 126 'static.*PT_INTERP' run -- "$work/script"
	printf '#!/usr/bin/env %s\n' "$work/static" >"$work/script"
	status 126 'static.*PT_INTERP' run -- "$work/script"
fi
if "$cc" -m32 -o "$work/narrow" "$work/main.c" 2>/dev/null; then
	status 126 '32-bit' run -- "$work/narrow"
fi
printf '#!/no/such/shell\n' >"$work/script"
chmod +x "$work/script"
status 127 '/no/such/shell' run -- "$work/script"
printf 'exit 5\n' >"$work/script"
status 5 '' run -- "$work/script"
printf '#!/bin/sh -e\nexit 6\n' >"$work/script"
status 6 '' run -- "$work/script"
# Another user's program with the set-user-ID bit; root can make one.
"$cc" -o "$work/dynamic" "$work/main.c"
if [ "$(id -u)" = 0 ] && chown 65534 "$work/dynamic" &&
	chmod u+s "$work/dynamic" &&
	! findmnt -no OPTIONS -T "$work" | grep -q nosuid; then
	status 126 'set-user-ID' run -- "$work/dynamic"
fi

# Fabrics.
mkdir -m 0755 "$work/open"
status 125 'mode 0755' "$belfry" run --fabric "$work/open" -- true
status 125 'not a directory' "$belfry" run --fabric "$work/plain" -- true
status 125 'no/such' "$belfry" run --fabric "$work/no/such" -- true
mkdir -m 0700 "$work/old"
printf 'belfryfb\115\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0' >"$work/old/fabric"
touch "$work/old/nic"
status 125 'version 77' "$belfry" run --fabric "$work/old" -- true
rm "$work/old/nic"
status 125 'version 77' "$belfry" devices --fabric "$work/old"
# Nobody of that version is left: taken over.
status 0 '' "$belfry" run --fabric "$work/old" -- true
if [ "$(id -u)" = 0 ]; then
	mkdir -m 0700 "$work/foreign"
	chown 65534 "$work/foreign"
	status 125 'owner 65534' "$belfry" run --fabric "$work/foreign" -- true
fi

# The environment for launchers, through any quoting.
odd="$work/it's \"odd\" \$here"
status 0 '' "$belfry" env --fabric "$odd" --nics 2 --link roce
# shellcheck disable=SC2016
env -i PATH="$PATH" sh -c '
	eval "$1"
	ls /sys/class/infiniband | wc -l
	echo "$BELFRY_FABRIC"' sh "$(cat "$work/out")" >"$work/seen"
[ "$(head -1 "$work/seen")" = 2 ]
[ "$(tail -1 "$work/seen")" = "$(realpath "$odd")" ]
status 125 'only options' "$belfry" env true

# Listings.
status 0 'no NICs' "$belfry" devices --fabric "$fabric"
status 0 '\[\]' "$belfry" devices --json --fabric "$fabric"
status 125 'no/such' "$belfry" devices --fabric "$work/no/such"
