#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What doctor says to a plain user about the machine as it is, and inside user namespaces.
# needs: userns overlay
# users: range single
. "$(dirname "$0")/../lib.sh"

# json PATH...: strings of the report in $out, by python; "-" where there is none
json() {
	python3 -c '
import json, sys
report = json.load(sys.stdin)
checks = {c["name"]: c for c in report["checks"]}
modes = {m["mode"]: m for m in report["modes"]}
for expression in sys.argv[1:]:
    try:
        print(json.dumps(eval(expression)))
    except KeyError:
        print("-")' "$@" <<<"$out"
}

# check_line NAME: the line of $out about it
check_line() { grep -E "^  (ok|no)   $1  " <<<"$out"; }

# --- the machine as it is

works "a report in text" rb doctor
is "$(head -n 1 <<<"$out")" "mode: $RB_TEST_RUNG" "the mode comes first"
like "$out" "^store: $RB_ROOT\$" "the store is named"
for name in kernel "user namespaces" "emulated owners" overlay store; do
	like "$out" "^  (ok|no)   $name  " "text: $name"
done
like "$(check_line "user namespaces")" "^  ok " "user namespaces are tried"
like "$(check_line overlay)" "^  ok .*'s [a-z0-9.]+\$" "the overlay is tried on the store"
like "$(check_line store)" '[0-9] (KiB|MiB|GiB|TiB) and [0-9]+ inodes free$|[0-9] (MiB|GiB|TiB) free$' "room is told"
is "$(find "$RB_ROOT" -name '.doctor*')" "" "nothing is left in the store"

works "a report in JSON" rb doctor --format json
is "$(json 'report["mode"]' 'report["store"]["path"]' 'report["store"]["freeBytes"] > 0')" \
	"\"$RB_TEST_RUNG\""$'\n'"\"$RB_ROOT\""$'\ntrue' "JSON: mode and store"
is "$(json 'modes["single"]["ok"]' 'checks["user namespaces"]["ok"]' 'checks["overlay"]["ok"]' 'len(modes)')" \
	$'true\ntrue\ntrue\n2' "JSON: modes and checks"
if [ "$RB_TEST_RUNG" = range ]; then
	is "$(json 'modes["range"]["ok"]' 'modes["range"]["why"]' 'checks["id helpers"]["found"]')" \
		$'true\n-\n"newuidmap and newgidmap work"' "range needs nothing more"
	is "$(json 'report["uids"] > 1000' 'report["gids"] > 1000')" $'true\ntrue' "its ids"
else
	is "$(json 'modes["range"]["ok"]' 'report["uids"]')" $'false\n1' "range is out of reach"
	like "$(json 'modes["range"]["why"]')" "$(id -un) \(uid $(id -u)\) has no subordinate ids in /etc/subuid and /etc/subgid\"" \
		"why"
	line=$(json 'modes["range"]["unlock"]')
	like "$line" "^\"sudo usermod --add-subuids [0-9]+-[0-9]+ --add-subgids [0-9]+-[0-9]+ $(id -un)\"\$" "the line"
	first=$(sed -E 's/.*--add-subuids ([0-9]+)-.*/\1/' <<<"$line")
	is "$(awk -F: -v first="$first" '$2 < first + 65536 && $2 + $3 > first' /etc/subuid /etc/subgid)" "" \
		"whose range is nobody's"
fi

fails_with 2 '^rbuild: --format is text or json, not "xml"$' rb doctor --format=xml
fails_with 2 '^rbuild: doctor looks at every mode: leave out --mode range$' rb doctor --mode range

# --- a store that cannot be used

mkdir "$T/full" && touch "$T/full/something"
for root in /proc/nowhere "$T/full"; do
	works "a report with --root $root" "$RBUILD" --root "$root" doctor
	like "$out" '^store: none that can be used$' "the store is none"
	like "$(check_line store)" "^  no   .*$root" "and why"
	like "$(check_line "user namespaces")" "^  ok " "the machine is looked at all the same"
	works "in JSON" "$RBUILD" --root "$root" doctor --format json
	is "$(json 'report["store"]' 'checks["store"]["ok"]' 'checks["overlay"]' 'report["mode"]')" \
		$'-\nfalse\n-\n"'"$RB_TEST_RUNG"'"' "JSON: the store"
done

# --- small and odd stores, inside a namespace where we may mount

works "a store of 512 KiB" unshare -rm sh -c 'mkdir "$1/small" && mount -t tmpfs -o size=512k tmpfs "$1/small" &&
	"$2" --root "$1/small/s" doctor' sh "$T" "$RBUILD"
like "$(check_line store)" '^  no   .*tmpfs, [0-9.]+ KiB and [0-9]+ inodes free: that is little for images$' \
	"its room in a unit that shows it"
like "$out" '-> rbuild reset --force, or a store elsewhere' "and what to do"
works "a store on an overlay" unshare -rm sh -c 'cd "$1" && mkdir low up work merged &&
	mount -t overlay -o userxattr,lowerdir=low,upperdir=up,workdir=work overlay merged &&
	"$2" --root "$1/merged/s" doctor' sh "$T" "$RBUILD"
like "$(check_line overlay)" "^  no   .*does not work on the store's overlay \(.*\): steps cannot run\$" \
	"cannot hold another"
like "$out" "-> export RBUILD_ROOT=/var/tmp/rbuild-0 \(there it works\)" "a better place is tried"
works "a read-only store" unshare -rm sh -c 'mkdir "$1/ro" && "$2" --root "$1/ro/s" images && mount --bind "$1/ro" "$1/ro" &&
	mount -o remount,bind,ro "$1/ro" && "$2" --root "$1/ro/s" doctor' sh "$T" "$RBUILD"
like "$(check_line store)" '^  no   .*Read-only file system' "is named"

# --- inside user namespaces

works "in a namespace of one id" unshare -r "$RBUILD" --root "$T/inner" doctor
like "$out" '^mode: single$' "single works"
like "$out" '^not range: rbuild runs inside a user namespace with one user id' "what keeps from range"
like "$out" '^    -> run rbuild outside of that user namespace$' "and the way out"
unlike "$out" usermod "usermod cannot help there"

works "in a namespace without further namespaces" \
	unshare -r sh -c 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"' sh "$RBUILD" --root "$T/inner" doctor --format json
is "$(json 'report["mode"]' 'modes["single"]["ok"]' 'checks["user namespaces"]["ok"]' 'checks["overlay"]')" \
	$'"none"\nfalse\nfalse\n-' "no mode works"
is "$(json 'modes["single"]["why"]' 'modes["single"]["unlock"]')" \
	'"user namespaces are switched off (user.max_user_namespaces = 0)"
"sysctl -w user.max_user_namespaces=15000"' "the switch and its line"
works "without pid namespaces" \
	unshare -r sh -c 'echo 0 >/proc/sys/user/max_pid_namespaces && exec "$@"' sh "$RBUILD" --root "$T/inner" doctor
like "$out" '^not single: pid namespaces are switched off \(user.max_pid_namespaces = 0\)$' "the switch is named"
works "with all user namespaces in use" \
	unshare -r sh -c 'echo 1 >/proc/sys/user/max_user_namespaces && exec "$@"' sh "$RBUILD" --root "$T/inner" doctor
like "$out" '^not single: the number of user namespaces allowed is used up, or they are nested too deep$' "that is named"
works "without network namespaces" \
	unshare -r sh -c 'echo 0 >/proc/sys/user/max_net_namespaces && exec "$@"' sh "$RBUILD" --root "$T/inner" doctor
like "$(check_line network)" '^  no   .*RUN --network=none is not possible' "--network=none is not possible"
like "$out" 'sysctl -w user.max_net_namespaces=15000$' "with its line"

if [ "$RB_TEST_RUNG" = range ]; then
	# As root of a container has it: all ids of a range, CAP_SETUID, no helper.
	cat >"$T/inside" <<-'EOT'
		mount --bind /dev/null /usr/bin/newuidmap && mount --bind /dev/null /usr/bin/newgidmap
		"$1" --root "$2/inner" doctor --format json || exit
		cd "$2" && exec "$1" --root "$2/inner" --progress=plain -o "type=oci,dest=$2/oci.tar" "$2/chown"
	EOT
	context "$T/chown" <<-'EOT'
		FROM busybox AS base
		RUN touch /file && chown 7:8 /file && [ "$(stat -c %u:%g /file)" = 7:8 ]
		FROM scratch
		COPY --from=base /file /
	EOT
	unshare -r --map-auto "$RBUILD" --root "$T/inner" import "$(base_image busybox)" busybox >/dev/null 2>&1 ||
		bail_out "import failed"
	works "in a namespace of many ids, without newuidmap" unshare -rm --map-auto sh "$T/inside" "$RBUILD" "$T"
	is "$(json 'report["mode"]' 'report["uids"] > 1000' 'checks["id helpers"]["found"]')" \
		$'"range"\ntrue\n"not needed: root maps ids by CAP_SETUID and CAP_SETGID"' "CAP_SETUID serves"
	works "the same without CAP_SETUID" unshare -r --map-auto setpriv --bounding-set -setuid --inh-caps -setuid \
		"$RBUILD" --root "$T/inner" doctor
	like "$out" '^mode: single$' "gives single"
	like "$out" '^not range: root lacks CAP_SETUID or CAP_SETGID here, with which it could map the ids of this container$' "why"
	like "$out" '^    -> start the container with --cap-add SETUID --cap-add SETGID$' "its line"
	like "$(oci "$T/oci.tar" tree)" '7:8.*file|file.*7:8' "a step changes owners there"
fi

# --- what is remembered

rb images >/dev/null
printf 'FROM scratch\nCOPY Dockerfile /\n' | context "$T/c"
works "a build remembers" rb --progress=plain "$T/c"
is "$(ls "$RB_ROOT/cache/host-probe")" "$RB_ROOT/cache/host-probe" "what it found"
works "doctor looks anew" rb doctor
is "$(ls "$RB_ROOT/cache/host-probe" 2>/dev/null)" "" "and lets builds look anew"
works "a build" rb --debug --progress=plain "$T/c"
unlike "$err" 'as found earlier' "looks once more"
works "the next one" rb --debug --progress=plain "$T/c"
like "$err" "host: mode $RB_TEST_RUNG, as found earlier" "knows it"

done_testing
