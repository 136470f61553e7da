#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A COPY that names what the ignore file hides says by which pattern of which file; and only what
# an instruction can reach is read.
# users: range single
# needs: userns overlay strace
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

base_image busybox >/dev/null
import_base busybox base

# names LAYER: paths of one layer of $T/out.oci
names() { oci "$T/out.oci" list "$1" | cut -d' ' -f1 | tr '\n' ' ' | sed 's/ $//'; }
# refused REGEX INSTRUCTION
refused() {
	printf 'FROM base\n%s\n' "$2" | context "$T/c"
	fails_with 1 "^rbuild: Dockerfile:2: .*$1" rb "$T/c"
}
# copied WANT INSTRUCTION NAME
copied() {
	printf 'FROM base\n%s\n' "$2" | context "$T/c"
	rb -o "type=oci,dest=$T/out.oci" "$T/c" >"$T/.build" 2>&1 || diag "$(cat "$T/.build")"
	is "$(names 1)" "$1" "$3"
}
excluded() { echo ": not found: excluded by the pattern \"$1\" in $2\$"; }

mkdir -p "$T/c"/{dir/sub,keep/in,hidden/deep,lib}
touch "$T/c"/{secret.key,dir/{a,b,sub/c},keep/{x,in/y},hidden/{f,deep/g},lib/l.so,lib/l.o,plain}
ln -s secret.key "$T/c/tosecret"
ln -s hidden/deep "$T/c/tohidden"
ln -s plain "$T/c/hiddenlink"
cat >"$T/c/.dockerignore" <<-'EOT'
	# keys
	*.key
	  /dir/*  
	keep
	!keep/in/y
	!keep/none
	hidden
	!hidden/nothing/here
	lib/**
	!lib/*.so
	lib/l.[s]o
	hiddenlink
EOT
refused "\"/secret.key\"$(excluded '\*\.key' .dockerignore)" 'COPY secret.key /x'
refused "\"/secret.key\"$(excluded '\*\.key' .dockerignore)" 'COPY ./lib/../secret.key /x'
refused "\"/secret.key\"$(excluded '\*\.key' .dockerignore)" 'ADD plain secret.key /x/'
refused "\"/dir/sub/c\"$(excluded '/dir/\*' .dockerignore)" 'COPY dir/sub/c /x'
refused "\"/dir/a\"$(excluded '/dir/\*' .dockerignore)" 'COPY --link dir/a /x'
refused "\"/keep/x\"$(excluded keep .dockerignore)" 'COPY keep/x /x'
refused "\"/hidden\"$(excluded hidden .dockerignore)" 'COPY hidden /x'
refused "\"/hidden/deep\"$(excluded hidden .dockerignore)" 'COPY hidden/deep/ /x'
refused "\"/lib/l.so\"$(excluded 'lib/l\.\[s\]o' .dockerignore)" 'COPY lib/l.so /x'
refused "\"/secret.key\"$(excluded '\*\.key' .dockerignore)" 'COPY tosecret /x'
refused "\"/hidden/deep/g\"$(excluded hidden .dockerignore)" 'COPY tohidden/g /x'
refused "\"/hiddenlink\"$(excluded hiddenlink .dockerignore)" 'COPY hiddenlink /x'
refused "\"/keep/x\"$(excluded keep .dockerignore)" 'COPY --parents keep/./x /x'
refused '"/keep/none": not found$' 'COPY keep/none /x'
refused '"/other.key": not found$' 'COPY other.key /x'
copied 'x' 'COPY dir /x/' 'a directory whose whole content is ignored is there, empty'
copied 'x x/in x/in/y' 'COPY keep /x/' 'what a ! takes back'
copied 'x x/y' 'COPY keep/in /x/' 'also by its own name'
copied '' 'COPY *.key hidden/* /x/' 'wildcards take nothing'
copied 'x x/plain' 'COPY *.key plai? /x/' 'or what is left'
printf 'plain\n' >"$T/c/Dockerfile.dockerignore"
refused "\"/plain\"$(excluded plain Dockerfile.dockerignore)" 'COPY plain /x'
rm "$T/c/Dockerfile.dockerignore"
mkdir "$T/named"
touch "$T/named/f"
echo '**/f' >"$T/named/.dockerignore"
printf 'FROM base\nCOPY --from=other f /x\n' | context "$T/c"
fails_with 1 "^rbuild: Dockerfile:2: .*\"/f\": not found: excluded by the pattern \"\*\*/f\" in .*\.dockerignore" rb --build-context "other=$T/named" "$T/c"

# --- what is read

mkdir -p "$T/r"/{a/b,other/deep,node_modules}
touch "$T/r"/{a/b/f,a/g,other/deep/h,node_modules/i,top}
echo node_modules >"$T/r/.dockerignore"
chmod 000 "$T/r/other/deep" "$T/r/node_modules" "$T/r/top"
printf 'FROM base\nCOPY a/b /x/\nCOPY a/* /y/\nCOPY --parents a/*/f /z/\n' | context "$T/r"
works 'what is not named may be unreadable' rb "$T/r"
chmod 755 "$T/r/other/deep"
chmod 644 "$T/r/top"
printf 'FROM base\nCOPY . /x/\n' | context "$T/r"
works 'what is ignored, too' rb "$T/r"
run_command strace -f -qq -e trace=openat,openat2 -o "$T/trace" "$RBUILD" --root "$RB_ROOT" --no-cache "$T/r"
is "$(grep -c '"node_modules"\|"i"' "$T/trace")" 0 'and is not opened'
chmod 000 "$T/r/a/g"
fails_with 1 'cannot read "a/g" in the build context: Permission denied; make it readable' rb "$T/r"
chmod 755 "$T/r/node_modules" "$T/r/a/g"

# Each file once for its checksum, once for the copy; a second time not at all.
mkdir -p "$T/many/tree"
for i in $(seq 200); do echo "$i" >"$T/many/tree/file$i"; done
sleep 0.1
# Whoever writes the layers opens files in another way.
opened() { grep -cE 'openat.*"file[0-9]+", O_RDONLY\|O_NOCTTY' "$T/trace"; }
printf 'FROM base\nCOPY tree /1/\nCOPY --chmod=600 tree /2/\n' | context "$T/many"
if [ "$RB_TEST_RUNG" = single ]; then # a traced newuidmap gets no rights
	run_command strace -f -qq -e trace=openat,openat2 -o "$T/trace" "$RBUILD" --root "$RB_ROOT" "$T/many"
	is "$(opened)" 600 'two copies of a tree: one checksum'
else
	rb "$T/many" >"$T/.build" 2>&1
fi
run_command strace -f -qq -e trace=openat,openat2 -o "$T/trace" "$RBUILD" --root "$RB_ROOT" "$T/many"
is "$(opened)" 0 'cached: nothing is opened'
done_testing
