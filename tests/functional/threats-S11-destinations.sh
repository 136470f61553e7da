#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# S9 and S11: links in sources and destinations of COPY and ADD, whatever flag they are used with,
# never lead out of the context or the root: nothing outside is read, made, emptied or changed.
# users: range single
# needs: userns overlay
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hostile.sh
. "$RB_TEST_SRC/tests/hostile.sh"

base_image busybox >/dev/null
import_base busybox base
up=../../../../../../../../../../../..

# --- destinations: a stage full of links to the canary, in all the ways of writing one

mkdir -p "$T/c/dir/sub"
echo mine >"$T/c/f"
echo mine >"$T/c/dir/secret"
echo mine >"$T/c/dir/sub/file"
tar -C "$T/c/dir" -cf "$T/c/a.tar" .
cat >"$T/stage" <<-EOT
	FROM base
	RUN ln -s $CANARY /abs && ln -s $up$CANARY /rel && ln -s $CANARY/secret /file && mkdir /in && ln -s $CANARY/secret /in/secret && ln -s $CANARY/dir /in/sub && \
	    ln -s /proc/self/root$CANARY /proc-root && ln -s /abs/dir /chain && ln -s $CANARY/new /dangling && mkdir -p /deep/a && ln -s $up$up$CANARY /deep/a/b
EOT
n=0
# lands NAME WHERE INSTRUCTION: it works and its file is in the image there, where the canary is not
lands() {
	{ cat "$T/stage" && echo "$3"; } | context "$T/c"
	rm -f "$T/out.oci"
	works "$1" rb -o "type=oci,dest=$T/out.oci" "$T/c"
	like "$(oci "$T/out.oci" list -1 | cut -d' ' -f1,2)" "^$2 f$" "$1: lands in the root"
	n=$((n + 1))
}
# stops NAME REGEX INSTRUCTION: an error of that instruction
stops() {
	{ cat "$T/stage" && echo "$3"; } | context "$T/c"
	fails_with 1 "^rbuild: Dockerfile:3: .*$2" rb "$T/c" || diag "$1"
}
c=${CANARY#/}
lands 'an absolute link' "$c/f" 'COPY f /abs/'
lands 'a relative one' "$c/f" 'COPY f /rel/'
lands 'to a file' "$c/secret" 'COPY f /file'
lands 'in a directory' 'in/secret' 'COPY dir/secret /in/'
lands 'a chain' "$c/dir/f" 'ADD f /chain/'
lands 'to nothing yet' "$c/new/f" 'COPY f /dangling/'
lands 'of a heredoc' "$c/dir/x" $'COPY <<x /abs/dir/x\nmine\nx'
lands 'of an archive' "$c/secret" 'ADD a.tar /abs/'
lands 'in the middle' "$c/new/deep/f" 'COPY --chown=1:2 --chmod=700 f /deep/a/b/new/deep/'
lands '--parents' "$c/dir/sub/file" 'COPY --parents dir/sub/file /rel/'
lands '--link, which follows none' 'abs/f' 'COPY --link f /abs/'
lands '--link of an archive' 'rel/secret' 'ADD --link a.tar /rel/'
lands '--link --parents' 'in/dir/secret' 'COPY --link --parents dir/secret /in/'
lands 'procfs' "proc/self/root/$c/f" 'COPY f /proc-root/'
stops 'a directory over a link below' 'cannot copy to non-directory: /in/sub' 'COPY dir /in/'
stops 'the same with --parents' 'cannot copy to non-directory: /in/sub' 'COPY --parents dir/./sub /in/'
canary_safe 'destinations'

# --- sources: a context and a stage with the same links

cp -a "$T/c" "$T/s"
ln -s "$CANARY" "$T/s/abs"
ln -s "$up$CANARY" "$T/s/rel"
ln -s "$CANARY/secret" "$T/s/file"
ln -s "$CANARY/secret" "$T/s/dir/link"
ln "$T/s/f" "$T/s/hard"
for flags in '' '--link ' '--parents ' '--exclude=x '; do
	for source in abs abs/secret rel/dir/file file '*' 'rel/*' "../..$CANARY/secret" "abs/./secret" "dir/../rel/secret"; do
		printf 'FROM base\nCOPY %s%s /got/\n' "$flags" "$source" | context "$T/s"
		case $flags$source in
		*'rel/*')
			works "COPY $flags$source" rb -o "type=oci,dest=$T/out-$n.oci" "$T/s"
			unlike "$(oci "$T/out-$n.oci" list -1)" '^got/' 'matches nothing'
			;;
		'--parents abs' | '--parents file' | '--parents *')
			works "COPY $flags$source" rb -o "type=oci,dest=$T/out-$n.oci" "$T/s"
			like "$(oci "$T/out-$n.oci" list -1)" '^got/(abs|file) l ' 'copies the link'
			;;
		*) fails_with 1 '^rbuild: Dockerfile:2: .*: not found' rb -o "type=oci,dest=$T/out-$n.oci" "$T/s" ;;
		esac
		unlike "$out$err" "$CANARY_TEXT" "COPY $flags$source says nothing of the canary"
		n=$((n + 1))
	done
done
for source in /abs/secret /rel /file '/in/*' /proc-root/secret; do
	{ cat "$T/stage" && printf 'FROM base\nCOPY --from=0 %s /got/\n' "$source"; } | context "$T/s"
	fails_with 1 '^rbuild: Dockerfile:4: .*: not found' rb -o "type=oci,dest=$T/out-$n.oci" "$T/s"
	n=$((n + 1))
done
not_disclosed 'sources' "$RB_ROOT" "$T"/out-*.oci
canary_safe 'sources'

# Replaced while it is read: a directory that becomes a link to the canary, again and again.
mkdir -p "$T/race/tree/swap"
for i in $(seq 300); do echo "$i" >"$T/race/tree/swap/secret$i"; done
cp "$T/race/tree/swap/secret1" "$T/race/tree/swap/secret"
ln -s "$CANARY" "$T/race/link"
printf 'FROM base\nCOPY tree /got/\n' | context "$T/race"
cd "$T/race" || exit
# race: a build beside the swapper; how often that swapped, or nothing where the build ended in no way that is right
race() {
	local swapper status
	"$RB_TEST_BUILD/tests/helpers/swap" tree/swap link 1000000000 stop >swaps &
	swapper=$!
	run_command rb --no-cache .
	status=$?
	touch stop
	wait "$swapper" || return
	rm stop
	[ $status = 0 ] || { [ $status = 1 ] && grep -q '^rbuild: Dockerfile:2: ' <<<"$err"; } || return
	sed -n 's/^swapped //p' swaps
}
races=0
for ((i = 0; i < 30 && races < 6; i++)); do
	count=$(race)
	[ -n "$count" ] || not_ok "build $i of the race" "$(cat "$T/.err")"
	[ "${count:-0}" -lt 100 ] || races=$((races + 1))
done
is "$races" 6 'six builds while directory and link change places'
cd "$T" || exit
not_disclosed 'a race' "$RB_ROOT"
canary_safe 'a race'
done_testing
