#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# S13: a Dockerfile or an ignore file that is a link or something odd discloses nothing of the host.
# users: range single
# needs: userns overlay
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hostile.sh
. "$RB_TEST_SRC/tests/hostile.sh"

base_image busybox >/dev/null
import_base busybox base

# quiet NAME: the last command failed or not, but said nothing of the canary
quiet() { unlike "$err$out" "$CANARY_TEXT" "$1: nothing of the canary is said"; }

# A parser that shows the line it cannot read would show a host's file.
mkdir "$T/c"
for target in "$CANARY/secret" "../canary/secret" /etc/passwd; do
	ln -sf "$target" "$T/c/Dockerfile"
	run_command timeout 20 "$RBUILD" --root "$RB_ROOT" "$T/c"
	is $? 1 "a Dockerfile that is a link to $(basename "$target") is refused"
	quiet 'link out of the context'
	unlike "$err" '^[^ ]*root:' 'nor of /etc/passwd'
done
ln -sfn "$CANARY" "$T/c/sub"
run_command timeout 20 "$RBUILD" --root "$RB_ROOT" -f "$T/c/sub/../../../../../../../../nosuch" "$T/c"
is $? 1 'a missing -f'

# Inside of the context a link is fine
rm -f "$T/c/Dockerfile" "$T/c/sub"
printf 'FROM base\nCOPY . /all/\n' >"$T/c/real"
ln -s real "$T/c/Dockerfile"
works 'a link inside of the context is followed' rb -o "type=oci,dest=$T/out.oci" "$T/c"

for kind in link fifo directory huge binary; do
	rm -rf "$T/c/.dockerignore"
	case $kind in
	link) ln -s "$CANARY/secret" "$T/c/.dockerignore" ;;
	fifo) mkfifo "$T/c/.dockerignore" ;;
	directory) mkdir "$T/c/.dockerignore" ;;
	huge) truncate -s 1G "$T/c/.dockerignore" ;;
	binary) head -c 100000 /dev/urandom >"$T/c/.dockerignore" ;;
	esac
	run_command timeout 20 "$RBUILD" --root "$RB_ROOT" -o "type=oci,dest=$T/out-$kind.oci" "$T/c"
	status=$?
	works "ignore file, $kind: ends" test $status -le 1
	quiet "ignore file, $kind"
done
rm -rf "$T/c/.dockerignore"
for kind in fifo directory huge; do
	rm -rf "$T/c/Dockerfile"
	case $kind in
	fifo) mkfifo "$T/c/Dockerfile" ;;
	directory) mkdir "$T/c/Dockerfile" ;;
	huge) truncate -s 1G "$T/c/Dockerfile" ;;
	esac
	run_command timeout 20 "$RBUILD" --root "$RB_ROOT" "$T/c"
	is $? 1 "a Dockerfile that is $kind is refused"
	is "$(grep -c '^rbuild: ' <<<"$err")" 1 'with one line'
done
# The same of what podman's users call them, and in named contexts
rm -rf "$T/c/Dockerfile" && ln -s "$CANARY/secret" "$T/c/Containerfile"
fails_with 1 'Containerfile is a symbolic link that leads out of the build context' rb "$T/c"
quiet 'Containerfile'
rm "$T/c/Containerfile" && printf 'FROM scratch\nCOPY --from=dep . /\n' >"$T/c/Dockerfile"
mkdir "$T/dep"
for name in .dockerignore .containerignore; do
	ln -s "$CANARY/secret" "$T/dep/$name"
	fails_with 1 "failed to get build context dep: failed to read ignore file: $name is a symbolic link" \
		rb --build-context "dep=$T/dep" "$T/c"
	quiet "named context, $name"
	rm "$T/dep/$name" && mkfifo "$T/dep/$name"
	fails_with 1 "failed to get build context dep: failed to read ignore file: $name is not a regular file" \
		timeout 20 "$RBUILD" --root "$RB_ROOT" --build-context "dep=$T/dep" "$T/c"
	rm "$T/dep/$name"
done
not_disclosed 'everything' "$RB_ROOT" "$T/out-link.oci"
canary_safe everything
done_testing
