#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# COPY and ADD --link: a layer of its own that is placed over any stage, and stays when what is below
# changes.
# users: range single
# needs: userns overlay setfattr
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/copy.sh
. "$RB_TEST_SRC/tests/copy.sh"

base_image busybox >/dev/null
import_base busybox base

# states: what became of the COPYs and LINKs of the last build, in the order of the file
states() { step_states <<<"$err" | sed -n 's/^\([A-Z]*\) \[[^]]*\] \(COPY\|ADD\|LINK\) .*/\2=\1/p' | sort | tr '\n' ' ' | sed 's/ $//'; }
# refused REGEX < Dockerfile
refused() {
	context "$T/c"
	fails_with 1 "^rbuild: Dockerfile:[0-9]+: .*$1" rb "$T/c"
}

mkdir -p "$T/c/dir/sub"
echo a >"$T/c/a"
echo x >"$T/c/dir/x"
echo y >"$T/c/dir/sub/y"
ln -s x "$T/c/dir/link"
mkfifo "$T/c/dir/fifo"
chmod 711 "$T/c/dir/sub"
chmod 600 "$T/c/a"
tar -C "$T/c" -cf "$T/c/a.tar" dir

# --- what is in it, and what it does to the stage

build <<-'EOT'
	FROM base
	RUN mkdir -m 750 /there /there/sub && echo kept >/there/kept && echo old >/there/x && ln -s there /here && chown 3:4 /there && echo f >/file
	COPY --link --chmod=755 a /here/mode
	COPY --link a /there/
	COPY --link dir /here/
	COPY --link --chown=7:8 a /new/deep/
	WORKDIR /work
	COPY --link dir/x a rel/
	COPY --link=false dir/x /there/
	ADD --link a.tar /archive
	COPY --link <<doc /there/doc
	text
	doc
	COPY --link dir/sub /file/
	RUN ls -ld /there /here /here/x /file/y /there/sub && cat /there/kept /there/a /here/x /file/y && stat -c '%a %u:%g' / /there /work/rel && rm /there/a && echo more >/there/x && ls /there/kept
EOT
is "$(names 2)" 'there d 0750 3:4 there/mode f 0755 0:0' 'with --chmod it is a plain copy'
is "$(names 3)" 'there d 0755 0:0 there/a f 0600 0:0' 'directories on the way are new ones'
is "$(names 4)" 'here d 0755 0:0 here/fifo p 0644 0:0 here/link l 0777 0:0 here/sub d 0711 0:0 here/sub/y f 0644 0:0 here/x f 0644 0:0' 'links of the stage are not followed'
is "$(names 5)" 'new d 0755 7:8 new/deep d 0755 7:8 new/deep/a f 0600 7:8' '--chown by number'
is "$(names 7)" 'work d 0755 0:0 work/rel d 0755 0:0 work/rel/a f 0600 0:0 work/rel/x f 0644 0:0' 'below WORKDIR'
is "$(names 8)" 'there d 0755 0:0 there/x f 0644 0:0' '--link=false is a plain copy'
like "$(names 9)" '^archive d 0755 0:0 archive/dir d 0755' 'an archive'
is "$(names 10)" 'there d 0755 0:0 there/doc f 0644 0:0' 'a heredoc'
is "$(names 11)" 'file d 0755 0:0 file/y f 0644 0:0' 'a directory in the place of a file'
like "$err" ' drwxr-xr-x .* /here$' 'a step sees a directory in the place of the link'
like "$err" ' kept$' 'and what was in a directory before'
like "$err" ' 755 0:0$' 'with the mode of the copy'
is "$(oci "$T/out.oci" layers)" 13 'one layer for each'
is "$(names 12)" 'there d 0755 0:0 there/.wh.a f 0000 0:0 there/x f 0644 0:0' 'a step changes what is in it'
is "$(oci "$T/out.oci" check)" '' 'the image is sound'
unlike "$(oci "$T/out.oci" tree | cut -d' ' -f1)" '\.wh\.' 'nothing is hidden as a whole'
like "$(oci "$T/out.oci" tree)" '^there/kept f' 'what was below is still there'
like "$err" '^#[0-9]+ \[ *4/[0-9]+\] COPY --link a /there/$' 'a step of its own'
like "$err" '^#[0-9]+ \[ *4/[0-9]+\] LINK COPY --link a /there/$' 'and one that places it'
works 'unpacks with umoci' unpack_oci "$T/out.oci" "$T/bundle"
is "$(cat "$T/bundle/rootfs/there/x" "$T/bundle/rootfs/there/kept" "$T/bundle/rootfs/here/x" "$T/bundle/rootfs/file/y")" $'more\nkept\nx\ny' 'which sees the same'
like "$(oci "$T/out.oci" config)" '"COPY a /there/ # buildkit"' 'history does not have the flag'

# --- the layer does not depend on what is below

two() { printf '%s\n' 'FROM base' "RUN echo $1 >/one" 'COPY --link a /there/' 'COPY --link dir /etc/' 'RUN cat /there/a /etc/x /etc/passwd >/seen'; }
build <<<"$(two 1)"
first=$(oci "$T/out.oci" get '.rootfs.diff_ids[2]') etc=$(oci "$T/out.oci" list 3 | cut -d' ' -f1 | tr '\n' ' ')
is "$(states)" 'COPY=CACHED COPY=DONE LINK=DONE LINK=DONE' 'what was made on another stage serves here'
build <<<"$(two 1)"
is "$(states)" 'COPY=CACHED COPY=CACHED LINK=CACHED LINK=CACHED' 'nothing changed'
build <<<"$(two 2)"
is "$(states)" 'COPY=CACHED COPY=CACHED LINK=DONE LINK=DONE' 'what is below changes: nothing is copied'
is "$(oci "$T/out.oci" get '.rootfs.diff_ids[2]')" "$first" 'the layer is the same'
is "$etc" 'etc etc/fifo etc/link etc/sub etc/sub/y etc/x ' 'and has nothing of the stage'
like "$(oci "$T/out.oci" tree)" '^etc/passwd f' 'nor hides it'
build <<<$'FROM scratch\nCOPY --link a /there/'
is "$(states)" 'COPY=CACHED LINK=DONE' 'also over nothing'
is "$(oci "$T/out.oci" get '.rootfs.diff_ids[0]')" "$first" 'with the same layer'
echo b >"$T/c/a"
build <<<"$(two 2)"
is "$(states)" 'COPY=CACHED COPY=DONE LINK=DONE LINK=DONE' 'what is copied changes'
touch -d 2001-01-01 "$T/c/a" "$T/c/dir"/*
build <<<"$(two 2)"
is "$(states)" 'COPY=CACHED COPY=CACHED LINK=CACHED LINK=CACHED' 'times do not matter'
context "$T/c" <<<"$(two 2)"
run_command rb --no-cache --progress plain "$T/c"
is "$(states)" 'COPY=DONE COPY=DONE LINK=DONE LINK=DONE' '--no-cache'

# the same tree twice in a stack, and over a deleted file
build <<-'EOT'
	FROM base
	COPY --link dir /d/
	RUN rm -r /d/sub && echo changed >/d/x && echo more >/d/more
	COPY --link dir /d/
	RUN cat /d/x /d/more /d/sub/y >/seen && echo last >/d/x
	COPY --link dir /d/
	COPY --link dir /d/
EOT
is "$(oci "$T/out.oci" get .rootfs.diff_ids | python3 -c 'import json, sys; d = json.load(sys.stdin); print(len(d), len(set(d)), d[1] == d[3] == d[5] == d[6])')" '7 4 True' 'the same layer several times'
is "$(oci "$T/out.oci" cat 4 seen)" $'x\nmore\ny' 'it comes back'
is "$(oci "$T/out.oci" check)" '' 'the image is sound'
build <<-'EOT'
	FROM base
	RUN chmod 1770 / && chown 5:6 /
	COPY --link a /x/
	RUN touch /y
EOT
is "$(names 1 | cut -d' ' -f1-4)" '. d 1770 5:6' 'a root directory of its own'
is "$(names 2)" 'x d 0755 0:0 x/a f 0600 0:0' 'is not touched'
like "$(oci "$T/out.oci" tree)" '^\. d 1770 5:6' 'and stays'

# a URL, an empty file, a device, attributes that an overlay would take for its own
mkdir "$T/www"
echo body >"$T/www/file"
port=$(free_port)
(cd "$T/www" && exec python3 -m http.server --bind 127.0.0.1 "$port" >/dev/null 2>&1) &
stop_later $!
wait_for 10 bash -c "echo >/dev/tcp/127.0.0.1/$port"
: >"$T/c/dir/empty"
setfattr -n user.overlay.whiteout -v y "$T/c/dir/empty"
setfattr -n user.overlay.opaque -v y "$T/c/dir"
setfattr -n user.kept -v y "$T/c/dir/x"
build <<-EOT
	FROM base AS s
	RUN mkdir /dev3 && mknod /dev3/zero c 0 0 && mknod /dev3/null c 1 3
	FROM base
	RUN mkdir /o && touch /o/kept /o/empty
	ADD --link http://127.0.0.1:$port/file /o/
	COPY --link dir /o
	COPY --link --from=s /dev3 /o/
	RUN ls /o/kept /o/file /o/empty && stat -c '%t:%T' /o/zero /o/null >/seen
EOT
is "$(names 2)" 'o d 0755 0:0 o/file f 0600 0:0' 'a URL'
is "$(oci "$T/out.oci" xattrs 3)" 'o/x user.kept=y' 'no attribute of an overlay'
is "$(oci "$T/out.oci" list 4 | cut -d' ' -f1,2,5)" $'o d 0\no/null c 1,3\no/zero c 0,0' 'devices'
is "$(oci "$T/out.oci" tree | grep -c '^o/')" 10 'nothing is hidden'
is "$(names 5)" 'seen f 0644 0:0' 'also for a step'
rm "$T/c/dir/empty"

# stages: from a stage, and of a stage with links as the base and the source of others
build <<-'EOT'
	FROM base AS s
	RUN mkdir /o && echo o >/o/f && ln -s f /o/l && chown -h 9:10 /o/*
	FROM base AS m
	COPY --link --from=s /o /p/
	FROM m
	COPY --from=m /p/f /q/
	COPY --link --from=m --parents /p/l /r/
	RUN cat /p/f /q/f /r/p/l/../../../p/f 2>/dev/null; stat -c '%n %u:%g' /p/f /p/l /q/f /r/p /r/p/l >/seen
EOT
is "$(names 1)" 'p d 0755 0:0 p/f f 0644 9:10 p/l l 0777 9:10' '--from keeps owners'
is "$(names 3)" 'r d 0755 0:0 r/p d 0755 0:0 r/p/l l 0777 9:10' 'with --parents, from a stage with a placed layer'
is "$(oci "$T/out.oci" cat 4 seen)" $'/p/f 9:10\n/p/l 9:10\n/q/f 9:10\n/r/p 0:0\n/r/p/l 9:10' 'a step sees these owners'
like "$err" '\[m 2/2\] LINK COPY' 'names of stages'

# nothing below is needed for it: it runs while the stage does
build <<-'EOT'
	FROM base
	RUN sleep 1; echo slow
	COPY --link a /early/
EOT
is "$(grep -nE '^#[0-9]+ \[' <<<"$err" | grep -oE 'RUN sleep|COPY --link a|LINK' | awk '!seen[$0]++' | tr '\n' ' ')" 'RUN sleep COPY --link a LINK ' 'begins beside the stage'

refused "--chown=nobody: with --link there is no /etc/passwd" <<<$'FROM base\nCOPY --link --chown=nobody a /x'
refused "--chown=1:mail: with --link there is no /etc/passwd" <<<$'FROM base\nADD --link --chown=1:mail a /x'
refused 'in/\.wh\.a' <<<$'FROM base\nCOPY --link a /in/.wh.a'
refused '"/missing": not found' <<<$'FROM base\nCOPY --link missing /x'
refused 'expecting boolean value for flag --link, not: yes' <<<$'FROM base\nCOPY --link=yes a /x'
build <<<$'FROM base\nCOPY --link --chown=root:root a /x'
is "$(names 1)" 'x f 0600 0:0' 'root is a number'

# by the local exporter and by run, from the store
context "$T/c" <<<$'FROM base\nCOPY --link dir /there/dir\nCOPY --link a /there/'
works 'a local directory' rb -o "type=local,dest=$T/local" "$T/c"
is "$(cd "$T/local/there" && find . ! -type p | sort | tr '\n' ' ')" '. ./a ./dir ./dir/link ./dir/sub ./dir/sub/y ./dir/x ' 'has what is there'
works 'an image in the store' rb -t linked "$T/c"
run_command rb run linked cat /there/dir/x /there/a
is "$out" $'x\nb' 'runs'
done_testing
