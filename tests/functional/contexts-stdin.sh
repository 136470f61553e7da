#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Contexts and Dockerfiles on standard input, -f in its forms, Containerfile and ignore files.
# users: range single
# needs: userns overlay umoci
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hostile.sh
. "$RB_TEST_SRC/tests/hostile.sh"

base_image busybox >/dev/null
import_base busybox base

# built [OPTION...]: into $T/out.oci, standard input goes to rbuild; progress in $err
built() {
	rm -f "$T/out.oci"
	run_command rb -o "type=oci,dest=$T/out.oci" "$@" || diag "$err"
}
tree() { oci "$T/out.oci" tree | cut -d' ' -f1-4; }
mtime() { unpack_oci "$T/out.oci" "$T/u" && stat -c %Y "$T/u/rootfs/$1" && remove_tree "$T/u"; }

# --- an archive

mkdir -p "$T/c/dir"
echo a >"$T/c/a"
echo x >"$T/c/dir/x"
echo a >"$T/c/.dockerignore"
ln -s a "$T/c/link"
ln "$T/c/dir/x" "$T/c/hard"
chmod 4751 "$T/c/a"
touch -d @1000000000 "$T/c/dir/x" "$T/c/a"
printf 'FROM scratch\nCOPY . /\n' >"$T/c/Dockerfile"
mkdir "$T/c/sub"
printf 'FROM base\nCOPY --chown=5 link /l\nRUN stat -c "%%u:%%g %%a" /l /bin >/seen\nCOPY dir /dir\n' >"$T/c/sub/D"
tar --owner=1234 --group=4321 --sort=name -C "$T/c" -cf "$T/c.tar" .
want=$(
	cat <<-'EOT'
		.dockerignore f 0644 1234:4321
		Dockerfile f 0644 1234:4321
		a f 4751 1234:4321
		dir d 0755 1234:4321
		dir/x f 0644 1234:4321
		hard h 0644 1234:4321
		link l 0777 1234:4321
		sub d 0755 1234:4321
		sub/D f 0644 1234:4321
	EOT
)
for compress in cat gzip bzip2 xz zstd; do
	built - < <($compress <"$T/c.tar")
	is "$(tree)" "$want" "$compress: owners and modes are the archive's, and nothing is ignored"
done
is "$(mtime dir/x) $(mtime a)" '1000000000 1000000000' 'so are the times'
is "$(oci "$T/out.oci" tree | awk '$1 ~ /^(dir.x|hard)$/ { print $6 }' | sort -u)" 2 'and hard links'
like "$(step_states <<<"$err")" '^CACHED .*COPY \. /$' 'the same files in another archive are the same'
built - <"$T/c.tar"
like "$(step_states <<<"$err")" '^CACHED .*COPY \. /$' 'and so is the same archive'
built -f sub/D - <"$T/c.tar"
is "$(oci "$T/out.oci" cat 2 seen | head -n 1)" '5:5 4751' '-f is a path in the archive; a step sees the owner'
is "$(oci "$T/out.oci" list -1 | cut -d' ' -f1-4)" "$(printf '%s\n' 'dir d 0755 0:0' 'dir/x f 0644 1234:4321')" 'a new directory is root'"'"'s'
built -f "$T/c/sub/D" - <"$T/c.tar"
is "$(oci "$T/out.oci" layers)" 4 'an absolute one is a file of this machine'
printf 'FROM base\nRUN --mount=target=/m --mount=source=dir,target=/d stat -c "%%n %%u:%%g %%a" /m/a /m/dir /d/x >/seen\n' >"$T/mounts"
built -f "$T/mounts" - <"$T/c.tar"
is "$(oci "$T/out.oci" cat 1 seen)" $'/m/a 1234:4321 4751\n/m/dir 1234:4321 755\n/d/x 1234:4321 644' 'a mount of it shows the archive'"'"'s owners'
works 'rbuild plan' rb plan -f sub/D - <"$T/c.tar"
like "$out" '^  cached \[2/4\] COPY --chown=5 link /l$' 'knows the archive'
fails_with 1 '^rbuild: failed to read dockerfile: open nope: no such file or directory \(the path of -f begins at the top of the context\)$' rb -f nope - <"$T/c.tar"
fails_with 1 '^rbuild: failed to read dockerfile: open Dockerfile: no such file or directory \(nor has the context a Containerfile; name another file with -f\)$' rb - < <(tar -C "$T/c" -c dir)
fails_with 1 '"/nope": not found$' rb -f Dn - < <(printf 'FROM scratch\nCOPY nope /\n' >"$T/c/Dn" && tar -C "$T/c" -c Dn)
fails_with 1 '^rbuild: unable to prepare context: .*gzip stream ends too early' rb - < <(gzip <"$T/c.tar" | head -c 200)

# --- a Dockerfile

printf 'FROM base\nRUN echo hi >/hi\n' | built -
is "$(oci "$T/out.oci" cat 1 hi)" hi 'text on standard input is the Dockerfile'
fails_with 1 '^rbuild: Dockerfile:2: "/a": not found \(the build context is empty\)$' rb - < <(printf 'FROM scratch\nCOPY a /\n')
fails_with 1 '^rbuild: Dockerfile:2: .*unknown instruction: FRMO' rb - < <(printf 'FROM scratch\nFRMO a /\n')
fails_with 1 'the Dockerfile cannot be empty' rb - </dev/null
fails_with 2 '^rbuild: ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles$' rb -f x - < <(echo FROM scratch)
fails_with 2 "^rbuild: invalid argument: can't use stdin for both build context and dockerfile\$" rb -f - - <"$T/c.tar"
printf 'FROM scratch\nCOPY . /\n' | built -f - "$T/c"
is "$(tree)" "$(printf '%s\n' '.dockerignore f 0644 0:0' 'Dn f 0644 0:0' 'Dockerfile f 0644 0:0' 'dir d 0755 0:0' 'dir/x f 0644 0:0' \
	'hard h 0644 0:0' 'link l 0777 0:0' 'sub d 0755 0:0' 'sub/D f 0644 0:0')" '-f -: with the context and its ignore file'
run_command rb --build-context "named=$T/c/dir" -f - "$T/c/" < <(printf 'FROM named\nCOPY a /\n')
like "$err" 'excluded by the pattern "a" in \.dockerignore' 'also with named contexts'

# --- files on this machine

rm "$T/c/Dn" "$T/c/Dockerfile" "$T/c/.dockerignore"
printf 'FROM scratch\nCOPY a /first\n' >"$T/c/Containerfile"
built "$T/c"
is "$(tree)" 'first f 4751 0:0' 'Containerfile, where there is no Dockerfile'
printf 'FROM scratch\nCOPY a /second\n' >"$T/c/dockerfile"
built "$T/c"
is "$(tree)" 'second f 4751 0:0' 'dockerfile comes before it'
built -f "$T/c/Dockerfile" "$T/c"
is "$(tree)" 'second f 4751 0:0' 'and is also meant by -f DIR/Dockerfile where there is none'
tar -C "$T/c" -cf "$T/lower.tar" .
built -f ./Dockerfile - <"$T/lower.tar"
is "$(tree | cut -d' ' -f1)" second 'in an archive too'
built -f "$T/c/Dockerfile" - <"$T/lower.tar"
is "$(tree | cut -d' ' -f1)" second 'and on this machine'
fails_with 1 '^rbuild: failed to read dockerfile: open .*/DOCKERFILE: no such file or directory \(' rb -f "$T/c/DOCKERFILE" "$T/c"
echo a >"$T/c/dockerfile.dockerignore"
run_command rb -f "$T/c/Dockerfile" "$T/c"
like "$err" 'excluded by the pattern "a" in dockerfile.dockerignore' 'and its ignore file goes by the name it has'
rm "$T/c/dockerfile" "$T/c/dockerfile.dockerignore"
printf 'FROM scratch\nCOPY . /\n' >"$T/c/Containerfile"
printf '*\n!dir\n!a\n' >"$T/c/.containerignore"
built "$T/c"
is "$(tree)" "$(printf '%s\n' 'a f 4751 0:0' 'dir d 0755 0:0' 'dir/x f 0644 0:0')" '.containerignore; the last match wins'
printf '*\n!dir\n' >"$T/c/.dockerignore"
built "$T/c"
is "$(tree)" "$(printf '%s\n' 'dir d 0755 0:0' 'dir/x f 0644 0:0')" '.dockerignore comes before it'
printf '*\n!link\n' >"$T/c/Containerfile.containerignore"
built "$T/c"
is "$(tree)" 'link l 0777 0:0' 'and that of the very file before both'
printf '*\n!hard\n' >"$T/c/Containerfile.dockerignore"
built "$T/c"
is "$(tree)" 'hard f 0644 0:0' 'where docker'"'"'s name comes first again'
mkdir "$T/files"
printf 'FROM scratch\nCOPY a /third\n' >"$T/files/D"
(cd "$T/files" && run_command rb -f D "$T/c")
like "$(cat "$T/.err")" 'excluded by the pattern "\*" in \.dockerignore' '-f outside of the context has the ignore file of the context'
printf 'nothing\n' >"$T/files/D.dockerignore"
(cd "$T/files" && built -f D "$T/c")
is "$(tree)" 'third f 4751 0:0' 'or its own'
ln -s "$T/files/D" "$T/files/E"
(cd "$T/c" && run_command rb -f ../files/E .)
like "$(cat "$T/.err")" '^rbuild: E:2: .*excluded by the pattern' 'a link there is followed; the ignore file goes by its own name'

# Sockets become empty files; what is not copied is never opened
mkdir "$T/s"
python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$T/s/sock"
mkfifo "$T/s/fifo"
printf 'FROM scratch\nCOPY . /\n' >"$T/s/Dockerfile"
run_command timeout 20 "$RBUILD" --root "$RB_ROOT" -o "type=oci,dest=$T/out.oci" "$T/s"
is "$(tree)" "$(printf '%s\n' 'Dockerfile f 0644 0:0' 'fifo p 0644 0:0' 'sock f 0755 0:0')" 'a FIFO stays one, a socket is an empty file'
canary_safe contexts
done_testing
