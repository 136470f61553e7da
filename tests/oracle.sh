# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The oracle of owners, for tests that run as root ("# users: root") and have sourced lib.sh: the same
# Dockerfile is built in the modes range and single, by the users of tests/run, and by real root
# (tests/root-build). What the steps print and the whole trees must be the same. ORACLE_KEEP=DIR keeps
# outputs, listings and logs there; ORACLE_KINDS=single asks for one mode only.

ORACLE_NOISE=$RB_TEST_SRC/tests/oracle.noise
ORACLE_LIMIT_S=${ORACLE_LIMIT_S:-200}

# The test's own directory lets nobody else in.
ORACLE=$(mktemp -d /var/tmp/rb-oracle-XXXXXX)
chmod 755 "$ORACLE"
oracle_cleanup() {
	[ -z "${ORACLE_KEEP:-}" ] || { mkdir -p "$ORACLE_KEEP" && cp "$ORACLE"/*.* "$ORACLE_KEEP"; }
	rm -rf -- "$ORACLE"
	cleanup
}
trap oracle_cleanup EXIT

oracle_kinds=${ORACLE_KINDS:-range single}

# oracle_as KIND COMMAND...: as its user, in the directory that it owns
oracle_as() {
	local kind=$1
	shift
	(cd "$ORACLE/$kind" &&
		exec setpriv --reuid "${oracle_user[$kind]}" --regid "$(id -g "${oracle_user[$kind]}")" --clear-groups \
			env -i HOME="$PWD" TMPDIR="$PWD/tmp" PATH="$PATH" LANG=C.UTF-8 RB_TEST_ID="${RB_TEST_ID:-none}" "$@")
}

# oracle_begin TAR: everybody imports this base; real root unpacks it.
declare -A oracle_user
oracle_begin() {
	local kind pids=()
	mkdir "$ORACLE/l" "$ORACLE/u" "$ORACLE/w"
	unshare --mount --pid --fork mount -t overlay -o "lowerdir=$ORACLE/l,upperdir=$ORACLE/u,workdir=$ORACLE/w" overlay "$ORACLE/l" \
		2>"$T/.err" || skip_all "real root is to be the measure, and root may not mount here: $(tail -n 1 "$T/.err")"
	for kind in $oracle_kinds; do
		oracle_user[$kind]=$("$RB_TEST_SRC/tests/run" --make-user "$kind" | tail -n 1)
		mkdir -p "$ORACLE/$kind/tmp"
		cp "$RBUILD" "$ORACLE/$kind/rbuild"
		chmod 700 "$ORACLE/$kind"
		chown -R "${oracle_user[$kind]}:" "$ORACLE/$kind"
		oracle_as "$kind" ./rbuild --mode "$kind" --root store import "$1" base >"$ORACLE/$kind.import" 2>&1 &
		pids+=($!)
	done
	mkdir "$ORACLE/root" "$ORACLE/cache" "$ORACLE/root/base"
	tar -xpf "$1" -C "$ORACLE/root/base" --numeric-owner --xattrs --xattrs-include='*' || bail_out 'cannot unpack the base'
	for kind in "${pids[@]}"; do
		wait "$kind" || bail_out "import: $(cat "$ORACLE"/*.import)"
	done
}

# What the steps printed, from plain progress, as tests/root-build writes it.
oracle_output() {
	awk '/^#[0-9]+ \[.*\] RUN / && !($1 in number) { number[$1] = ++count; text[count] = "RUN " count "\n" }
	($1 in number) && /^#[0-9]+ [0-9]+\.[0-9]+( |$)/ {
		line = $0
		sub(/^#[0-9]+ [0-9.]+ ?/, "", line)
		text[number[$1]] = text[number[$1]] line "\n"
	}
	($1 in number) && /^#[0-9]+ ERROR: .*exit code: [0-9]+/ {
		match($0, /exit code: [0-9]+/)
		text[number[$1]] = text[number[$1]] "exit status " substr($0, RSTART + 11, RLENGTH - 11) "\n"
	}
	END { for (i = 1; i <= count; i++) printf "%s", text[i] }'
}

# oracle_build KIND NAME CONTEXT: leaves NAME.KIND.{log,output,tree,config}
oracle_build() {
	local kind=$1 name=$2 context=$3 at=$ORACLE/$2.$1
	if [ "$kind" = root ]; then
		timeout -k 5 "$ORACLE_LIMIT_S" "$RB_TEST_SRC/tests/root-build" "$ORACLE/root/base" "$context" "$ORACLE/root/$name" \
			--noise "$ORACLE_NOISE" >"$at.log" 2>&1
		cp "$ORACLE/root/$name/output" "$at.output"
		: >"$at.tree"
		[ ! -e "$ORACLE/root/$name/tree" ] || cp "$ORACLE/root/$name/tree" "$at.tree"
		rm -rf "${ORACLE:?}/root/$name"
		return
	fi
	cp -r "$context" "$ORACLE/$kind/$name"
	chown -R "${oracle_user[$kind]}:" "$ORACLE/$kind/$name"
	oracle_as "$kind" timeout -k 5 "$ORACLE_LIMIT_S" ./rbuild --mode "$kind" --root store build --no-cache --progress=plain \
		-o "type=oci,dest=$name.oci,tar=false,compression=uncompressed" "$name" >"$at.log" 2>&1
	oracle_output <"$at.log" >"$at.output"
	: >"$at.tree"
	: >"$at.config"
	if [ -e "$ORACLE/$kind/$name.oci/index.json" ]; then
		python3 "$RB_TEST_SRC/tests/tree.py" --noise "$ORACLE_NOISE" --cache "$ORACLE/cache" "$ORACLE/$kind/$name.oci" >"$at.tree"
		oracle_config "$ORACLE/$kind/$name.oci" >"$at.config"
		rm -rf "$ORACLE/$kind/$name.oci"
	fi
}

# The image config without what a clock is in: times and digests of layers.
oracle_config() {
	python3 - "$1" <<-'EOT'
		import json, sys
		def blob(name):
		    with open(f"{sys.argv[1]}/{name}") as file:
		        return json.load(file)
		path = lambda descriptor: "blobs/" + descriptor["digest"].replace(":", "/")
		config = blob(path(blob(path(blob("index.json")["manifests"][0]))["config"]))
		config.pop("created", None)
		for step in config["history"]:
		    step.pop("created", None)
		config["rootfs"]["diff_ids"] = len(config["rootfs"]["diff_ids"])
		print(json.dumps(config, indent=1, sort_keys=True))
	EOT
}

# case_context DIR < Dockerfile: a context whose steps begin with ". /tools/lib"; see there.
case_context() {
	context "$1"
	cp -r "$RB_TEST_SRC/tests/data/owners" "$1/tools"
}

# oracle NAME CONTEXT [KIND]: builds it everywhere; one test for what the steps print and one for the
# tree in each mode, one for the configs. What is printed in KIND is another matter.
oracle() {
	local name=$1 kind
	oracle_build_all "$1" "$2"
	for kind in $oracle_kinds; do
		[ "$kind" = "${3:-}" ] || oracle_same "$name" "$kind" output ||
			diag "$(grep -A 3 '^rbuild: ' "$ORACLE/$name.$kind.log")"
		# A step that fails leaves no tree: then the output tells all.
		[ ! -s "$ORACLE/$name.root.tree" ] || oracle_same "$name" "$kind" tree
	done
	[ "$oracle_kinds" != 'range single' ] ||
		is "$(cat "$ORACLE/$name.single.config")" "$(cat "$ORACLE/$name.range.config")" "$name: the same config in both modes"
}

# oracle_build_all NAME CONTEXT
oracle_build_all() {
	local name=$1 context=$2 kind pids=()
	for kind in root $oracle_kinds; do
		oracle_build "$kind" "$name" "$context" &
		pids+=($!)
	done
	wait "${pids[@]}"
	# A reference that did nothing would agree with an rbuild that does nothing.
	[ "$(wc -l <"$ORACLE/$name.root.output")" -gt 1 ] || diag "$(cat "$ORACLE/$name.root.log")"
}

# oracle_diff NAME KIND WHAT: what real root has (-), what the mode has (+)
oracle_diff() { diff -U0 "$ORACLE/$1.root.$3" "$ORACLE/$1.$2.$3" | sed '1,2d; /^@@/d'; }

# oracle_same NAME KIND WHAT
oracle_same() {
	local want=$ORACLE/$1.root.$3 got=$ORACLE/$1.$2.$3 title="$1: $3 of $2 as of real root"
	if cmp -s "$want" "$got"; then
		ok "$title"
	else
		not_ok "$title" "$(oracle_diff "$@" | head -n 60)"
		return 1
	fi
}
