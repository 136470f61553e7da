# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What functional tests share. A test begins with
#
#	. "$(dirname "$0")/../lib.sh"
#
# and ends with done_testing. tests/run gives the environment (see there); a test called by hand
# takes RBUILD from it or build/rbuild. Each test has a directory of its own, $T, removed at the end.
set -uo pipefail
export LC_ALL=C
RB_TEST_SRC=${RB_TEST_SRC:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
RBUILD=${RBUILD:-$RB_TEST_SRC/build/rbuild}
RB_TEST_BUILD=${RB_TEST_BUILD:-$(dirname "$RBUILD")}
RB_TEST_CACHE=${RB_TEST_CACHE:-/var/tmp/rbuild-test-cache-$(id -u)}
RB_TEST_RUNG=${RB_TEST_RUNG:-$(grep -qs "^$(id -un):" /etc/subuid && echo range || echo single)}
RB_TEST_USER=${RB_TEST_USER:-$RB_TEST_RUNG}

T=$(mktemp -d "${TMPDIR:-/var/tmp}/rb-XXXXXX")
RB_ROOT=$T/store
tap_count=0 tap_bad=0 tap_planned=''
cleanup_pids=()

# --- TAP ------------------------------------------------------------------------------------

diag() { printf '%s\n' "$@" | sed -n 's/^./# &/p'; }

# plan N: only where the number is known; done_testing prints it otherwise.
plan() { tap_planned=$1 && echo "1..$1"; }

ok() { echo "ok $((++tap_count)) - $1"; }

# not_ok NAME [WHY...]
not_ok() {
	local name=$1
	shift
	tap_bad=$((tap_bad + 1))
	echo "not ok $((++tap_count)) - $name"
	[ $# = 0 ] || diag "$@"
}

# skip NAME NEED REASON: one test that cannot run here; a failure if RB_TEST_MUST_HAVE names NEED.
skip() {
	case " ${RB_TEST_MUST_HAVE:-} " in
	*" $2 "*) not_ok "$1" "RB_TEST_MUST_HAVE names $2, but: $3" ;;
	*) echo "ok $((++tap_count)) - $1 # SKIP $3" ;;
	esac
}

skip_all() {
	[ $tap_count = 0 ] || bail_out "skip_all after the first test"
	echo "1..0 # SKIP $1"
	exit 0
}

bail_out() {
	echo "Bail out! $*"
	exit 1
}

# is GOT WANT NAME: on failure the difference is shown.
is() {
	if [ "$1" = "$2" ]; then
		ok "$3"
	else
		not_ok "$3" "$(diff -U1 --label want --label got <(echo "$2") <(echo "$1"))"
	fi
}

# isnt GOT UNWANTED NAME
isnt() {
	if [ "$1" != "$2" ]; then ok "$3"; else not_ok "$3" "both are: $1"; fi
}

# like TEXT REGEX NAME: extended regular expression, matched line by line
like() {
	if grep -Eq -e "$2" <<<"$1"; then
		ok "$3"
	else
		not_ok "$3" "no line matches: $2" "$1"
	fi
}

# unlike TEXT REGEX NAME
unlike() {
	if ! grep -Eq -e "$2" <<<"$1"; then
		ok "$3"
	else
		not_ok "$3" "a line matches: $2" "$1"
	fi
}

# works NAME COMMAND...: exit status 0. Its stdout is then in $out, its stderr in $err.
works() {
	local name=$1 status
	shift
	run_command "$@"
	status=$?
	if [ $status = 0 ]; then
		ok "$name"
	else
		not_ok "$name" "exit status $status from: $*" "$out" "$err"
		return 1
	fi
}

# fails_with STATUS REGEX COMMAND...: exactly this exit status, and a line of stderr that matches.
fails_with() {
	local want=$1 pattern=$2 status
	shift 2
	run_command "$@"
	status=$?
	if [ $status = "$want" ] && grep -Eq -e "$pattern" <<<"$err"; then
		ok "fails with \"$pattern\""
	else
		not_ok "fails with \"$pattern\"" "exit status $status (want $want) from: $*" \
			"$out" "$err"
	fi
}

# shellcheck disable=SC2034 # out is for the tests
run_command() {
	local status
	"$@" >"$T/.out" 2>"$T/.err"
	status=$?
	out=$(tr -d '\0' <"$T/.out") err=$(tr -d '\0' <"$T/.err")
	return $status
}

done_testing() {
	[ -n "$tap_planned" ] || echo "1..$tap_count"
	[ $tap_bad = 0 ]
	exit
}

# --- processes and directories --------------------------------------------------------------

# stop_later PID...: ended with the test, newest first.
stop_later() { cleanup_pids=("$@" "${cleanup_pids[@]}"); }

# Trees hold unreadable directories, and on range also files of subordinate ids.
remove_tree() {
	if [ "$(id -u)" != 0 ]; then
		unshare -U --map-root-user --map-auto rm -rf -- "$1" 2>/dev/null ||
			{ chmod -R u+rwX "$1" && rm -rf -- "$1"; }
	else
		rm -rf -- "$1"
	fi
}

cleanup() {
	local pid
	for pid in "${cleanup_pids[@]}"; do
		kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
	done
	cd / && remove_tree "$T"
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# wait_for SECONDS COMMAND...: until the command succeeds
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}

# processes WORDS: the number of anybody's processes whose command line begins so
processes() {
	local file count=0 words
	for file in /proc/[0-9]*/cmdline; do
		words=()
		{ mapfile -d '' -t words <"$file"; } 2>/dev/null
		[[ "${words[*]}" == "$1"* ]] && count=$((count + 1))
	done
	echo $count
}

# --- rbuild ---------------------------------------------------------------------------------

# rb ARG...: the program on the test's own store.
rb() { "$RBUILD" --root "$RB_ROOT" "$@"; }

# context DIR < Dockerfile: makes a build context with this Dockerfile.
context() { mkdir -p "$1" && cat >"$1/Dockerfile"; }

# step_states < PROGRESS: what became of each step of plain progress, by its number: "DONE NAME", or
# CACHED, CANCELED, ERROR.
step_states() {
	awk '/^#[0-9]+ / {
		n = $1
		text = substr($0, length(n) + 2)
		if (!(n in name)) {
			name[n] = text
			order[++count] = n
		} else if (text ~ /^(DONE [0-9.]+s|CACHED|CANCELED|ERROR: .*)$/) {
			split(text, word, /[ :]/)
			state[n] = word[1]
		}
	}
	END { for (i = 1; i <= count; i++) print state[order[i]], name[order[i]] }'
}

# base_image NAME: prints the path of NAME.tar (busybox, debian, debian-build; see tests/base-image).
# tests/run has made those that it finds named literally; they are shared and read-only.
base_image() {
	if [ -r "$RB_TEST_CACHE/$1.tar" ]; then
		echo "$RB_TEST_CACHE/$1.tar"
	else
		"$RB_TEST_SRC/tests/base-image" "$1" "$RB_TEST_CACHE" ||
			{ echo "base image $1 cannot be made" >&2 && return 1; }
	fi
}

# import_base NAME [REFERENCE]: imports base_image NAME into the test's store.
import_base() {
	local tar
	tar=$(base_image "$1") || bail_out "no base image $1"
	rb import "$tar" "${2:-$1}" >"$T/.import" 2>&1 || bail_out "import of $1: $(cat "$T/.import")"
}

# --- registry -------------------------------------------------------------------------------

# start_registry: a docker-registry on a free port of 127.0.0.1, stopped with the test; sets
# REGISTRY (host:port), REGISTRY_PID and REGISTRY_LOG. Extra YAML for its configuration on stdin
# if the first argument is "-".
start_registry() {
	local extra='' port try
	[ "${1:-}" = - ] && extra=$(cat)
	for try in 1 2 3 4 5; do
		port=$(free_port)
		REGISTRY=127.0.0.1:$port REGISTRY_LOG=$T/registry-$port.log
		cat >"$T/registry-$port.yml" <<-EOT
			version: 0.1
			log: {level: info}
			storage: {filesystem: {rootdirectory: $T/registry-$port}, delete: {enabled: true}}
			http: {addr: '$REGISTRY'}
			$extra
		EOT
		docker-registry serve "$T/registry-$port.yml" >"$REGISTRY_LOG" 2>&1 &
		REGISTRY_PID=$!
		if wait_for 10 registry_answers; then
			stop_later $REGISTRY_PID
			export REGISTRY
			return 0
		fi
		kill $REGISTRY_PID 2>/dev/null
		diag "docker-registry, attempt $try: $(tail -n 1 "$REGISTRY_LOG")"
	done
	bail_out "docker-registry does not start"
}

# It is ours (alive) and it speaks the protocol.
registry_answers() {
	kill -0 "$REGISTRY_PID" && python3 - "$REGISTRY" <<-'EOT'
		import sys, urllib.error, urllib.request
		opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
		try:
		    opener.open(f"http://{sys.argv[1]}/v2/", timeout=5)
		except urllib.error.HTTPError as error:
		    sys.exit(error.code != 401)
	EOT
}

free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# push_archive OCI-ARCHIVE NAME: puts an image into $REGISTRY by other people's tools.
push_archive() {
	skopeo copy --quiet --remove-signatures --dest-tls-verify=false "oci-archive:$1" "docker://$REGISTRY/$2"
}

# push_base NAME REFERENCE: base_image NAME as an image of one layer, pushed without rbuild.
push_base() {
	local tar layout=$T/push-$RANDOM
	tar=$(base_image "$1") || bail_out "no base image $1"
	if ! {
		umoci init --layout "$layout" && umoci new --image "$layout:base" &&
			umoci raw add-layer --image "$layout:base" "$tar" &&
			umoci config --image "$layout:base" --config.cmd /bin/sh \
				--config.env "PATH=/usr/sbin:/usr/bin:/sbin:/bin" &&
			skopeo copy --quiet --remove-signatures --dest-tls-verify=false \
				"oci:$layout:base" "docker://$REGISTRY/$2"
	} >"$T/.push" 2>&1; then
		bail_out "cannot push $1 to the registry: $(tail -n 1 "$T/.push")"
	fi
	rm -rf "$layout"
}

# --- reading images with other people's tools ------------------------------------------------

# skopeo without signatures, policies and directories of the machine. Uid 0 of a user namespace
# would look for signatures where only the real root may read.
skopeo() {
	mkdir -p "$T/.registries.d"
	printf 'default-docker: {lookaside: "file://%s"}\n' "$T/.registries.d" >"$T/.registries.d/none.yaml"
	command skopeo --insecure-policy --tmpdir "$T" --registries.d "$T/.registries.d" "$@"
}

# unpack_oci ARCHIVE DIR: the root file system of an OCI archive at DIR/rootfs (owners are the caller's).
unpack_oci() {
	local layout=$T/unpack-$RANDOM status=0
	{
		skopeo copy --quiet --remove-signatures --dest-oci-accept-uncompressed-layers \
			"oci-archive:$1" "oci:$layout:image" &&
			umoci unpack --rootless --image "$layout:image" "$2"
	} >"$T/.umoci" 2>&1 || status=$?
	[ $status = 0 ] || diag "$(cat "$T/.umoci")"
	rm -rf "$layout"
	return $status
}

# oci ARCHIVE WHAT...: reads an OCI archive by python3; see tests/oci.py.
#   oci F config            the image config, JSON
#   oci F manifest          the manifest, JSON
#   oci F get .path[0].key  one value of the config; strings bare, others as JSON
#   oci F layers            number of layers
#   oci F list N            listing of layer N (0 is the lowest; -1 the last): tree_list's lines
#   oci F xattrs N          extended attributes of layer N: PATH NAME=VALUE
#   oci F mtimes N          times of layer N: PATH SECONDS
#   oci F tree              listing of all layers applied in order, whiteouts included
#   oci F cat N PATH        bytes of a file of layer N
#   oci F check             verifies sizes, digests and diff IDs; prints what is wrong
oci() { python3 "$RB_TEST_SRC/tests/oci.py" "$@"; }

# craft < PROGRAM: Python with all of tests/helpers/craft.py (and tests/oci.py to import), in $T.
craft() { (cd "$T" && { echo 'from craft import *' && cat; } | PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$RB_TEST_SRC/tests/helpers:$RB_TEST_SRC/tests python3 -); }

# tree_list DIR|TAR: one line an entry, sorted: path type mode owner size links [-> target]
tree_list() { python3 "$RB_TEST_SRC/tests/oci.py" --tree "$1"; }
