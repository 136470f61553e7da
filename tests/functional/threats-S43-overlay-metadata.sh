#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# S43: nothing from outside speaks the overlay's or rbuild's own language on disk: attributes, devices
# 0:0 and .wh. names from layers, archives, contexts and steps.
# users: range single
# needs: userns overlay setfattr getfattr umoci skopeo
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hostile.sh
. "$RB_TEST_SRC/tests/hostile.sh"

base=$(base_image busybox) || bail_out 'no base image'
export base
craft <<-'EOT' || bail_out 'cannot craft the images'
	base = open(os.environ["base"], "rb").read()
	canary = os.environ["CANARY"].encode()
	evil = {"user.overlay.opaque": b"y", "user.overlay.redirect": canary, "user.overlay.metacopy": b"",
	        "user.overlay.whiteout": b"y", "user.overlay.origin": b"hostile", "user.overlay.overlay.opaque": b"y",
	        "user.overlay.uuid": b"hostile", "user.overlay.impure": b"hostile",
	        "trusted.overlay.opaque": b"y", "trusted.overlay.redirect": canary, "trusted.hostile": b"hostile",
	        "user.rbuild.entry": b"0:0:b:8:0", "user.rbuild.hostile": b"hostile", "security.selinux": b"hostile",
	        "security.ima": b"hostile", "system.nfs4_acl": b"hostile", "user.kept": b"kept"}

	def fill(layer, top=""):
	    layer.directory(top + "dir", xattrs=evil).file(top + "dir/below", b"b", xattrs=evil)
	    layer.file(top + "empty", b"", xattrs=evil).file(top + "file", b"f", uid=5, gid=6, xattrs=evil)
	    layer.symlink(top + "link", "file", xattrs=evil).fifo(top + "fifo", xattrs=evil)
	    layer.char(top + "zero", 0, 0, mode=0o640, uid=7, xattrs=evil).block(top + "block0", 0, 0)
	    return layer

	lower = Layer().directory("dir").file("dir/lower", b"l").file("zero", b"not deleted").file("empty", b"e")
	image("layer.oci", [base, lower, fill(Layer())])
	fill(Layer(), "sub/").write("archive.tar")
	with open("plain.tar", "wb") as out:
	    out.write(Layer(os.environ["base"]).file("etc/.wh.passwd").bytes())
	Layer().file("x/.wh.y").write("white.tar")
EOT

# own_words STORE: attributes on disk that say what only the overlay and rbuild may say. The overlay
# itself writes opaque "y", origin, impure "y" and uuid; rbuild its entries.
own_words() {
	inside getfattr -R -P -h -d -e text -m - --absolute-names "$1" 2>/dev/null |
		grep -E "hostile|$CANARY|overlay\.(redirect|metacopy|whiteout|overlay)|^trusted|entry=\"0:0:b:8:0|selinux=\"hostile"
}
# words ARCHIVE: all attributes of all layers
words() {
	local number
	for ((number = 0; number < $(oci "$1" layers); number++)); do oci "$1" xattrs "$number"; done | sed '/^$/d'
}

evil_works layer 'RUN ls -l / /dir >/list && echo more >>/file && rm /empty && touch /dir/new' \
	'COPY --from=layer /dir /copied/dir/' 'COPY --from=layer /file /zero /link /fifo /copied/'
is "$(own_words "$RB_ROOT")" '' 'layer: no such attribute is on disk'
is "$(for n in 3 4 5; do oci "$T/out.oci" xattrs $n; done | sed '/^$/d')" "$(
	printf '%s user.kept=kept\n' dir file copied/dir/below copied/file copied/link copied/zero
)" 'layer: of what it brought only user.kept is in new layers'
like "$(oci "$T/out.oci" list 5)" '^copied/zero c 0640 7:0 0,0 1$' 'layer: a device 0:0 is a device'
like "$(oci "$T/out.oci" list 5)" '^copied/file f 0644 5:6 1 1$' 'layer: an entry of its own making gives no device'
like "$(oci "$T/out.oci" cat 3 list)" ' lower$' 'layer: nothing made the directory opaque'
like "$(oci "$T/out.oci" cat 3 list)" ' below$' 'layer: files are there'
is "$(oci "$T/out.oci" list 3 | grep wh)" "$(oci "$T/out.oci" list 3 | grep '^\.wh\.empty ')" 'layer: the only whiteout is the step'"'"'s'
canary_safe layer

# --- ADD, and COPY from a context whose files carry such attributes on the host

import_base busybox base
mkdir -p "$T/add/tree/dir"
cp "$T/archive.tar" "$T/add/"
echo f >"$T/add/tree/file"
: >"$T/add/tree/empty"
marked=yes
for file in tree tree/dir tree/file tree/empty; do
	for word in user.overlay.opaque=y "user.overlay.redirect=$CANARY" user.overlay.whiteout=y \
		user.rbuild.entry=0:0:b:8:0 user.rbuild.hostile=hostile user.kept=kept; do
		setfattr -n "${word%%=*}" -v "${word#*=}" "$T/add/$file" || marked=no
	done
done
is $marked yes 'the host keeps such attributes'
printf 'FROM base\nADD archive.tar /added/\nCOPY tree /tree/\nRUN ls -R /added /tree >/list\n' | context "$T/add"
works 'ADD and COPY' rb -o "type=oci,dest=$T/add.oci" "$T/add"
is "$(own_words "$RB_ROOT")" '' 'ADD and COPY: no such attribute is on disk'
is "$(words "$T/add.oci" | cut -d' ' -f2 | sort -u)" 'user.kept=kept' 'ADD and COPY: nor in a layer'
like "$(oci "$T/add.oci" list 1)" '^added/sub/zero c 0640 7:0 0,0 1$' 'ADD: a device 0:0 is a device'
like "$(oci "$T/add.oci" list 1)" '^added/sub/block0 b 0644 0:0 0,0 1$' 'ADD: of either kind'
like "$(oci "$T/add.oci" list 1)" '^added/sub/empty f 0644 0:0 0 1$' 'ADD: an empty file is an empty file'
like "$(oci "$T/add.oci" list 2)" '^tree/empty f 0644 0:0 0 1$' 'COPY: an empty file is an empty file'
like "$(oci "$T/add.oci" list 2)" '^tree/file f 0644 0:0 2 1$' 'COPY: and a file a file'
fails_with 1 '^rbuild: .*etc/\.wh\.passwd' rb import "$T/plain.tar" plain

# --- what a step itself sets

context "$T/step" <<-EOT
	FROM base
	COPY init /init
	RUN mkdir /d && touch /d/file /d/empty && for name in user.overlay.opaque user.overlay.whiteout user.overlay.redirect \\
	    user.overlay.overlay.opaque trusted.overlay.opaque trusted.hostile user.rbuild.hostile user.kept; do \\
	    for f in /d /d/file /d/empty /etc /etc/passwd; do /init setxattr \$f \$name y; done; done >/said; \\
	    /init mknod /d/zero 0 0 >>/said; echo >>/d/file; true
	RUN ls -a /d /etc >/list
EOT
cp "$RB_TEST_BUILD/tests/helpers/init" "$T/step/"
works 'a step that sets attributes' rb -o "type=oci,dest=$T/step.oci" "$T/step"
said=$(oci "$T/step.oci" cat 2 said)
like "$said" '^user.kept: ok$' 'step: ordinary attributes can be set'
unlike "$said" '^trusted.*: ok$' 'step: trusted ones cannot'
is "$(words "$T/step.oci" | cut -d' ' -f2 | sort -u)" 'user.kept=y' 'step: none of the others is in a layer'
is "$(own_words "$RB_ROOT" | grep -v '^user.overlay.overlay\|^user.rbuild.hostile')" '' 'step: nor on disk under its own name'
is "$(oci "$T/step.oci" list 2 | grep -c '\.wh\.')" 0 'step: nothing became a whiteout'
# Where a step may make devices at all, 0:0 is one like any other.
zero=$(grep -q '^mknod: ok' <<<"$said" && echo 'zero ')
is "$(oci "$T/step.oci" cat 3 list | tr '\n' ' ' | tr -s ' ')" "/d: . .. empty file $zero/etc: . .. group hosts passwd resolv.conf shadow " \
	'step: and nothing is hidden'
is "$(oci "$T/step.oci" list 2 | grep '^d/zero ' | cut -d' ' -f1-2)" "${zero:+d/zero c}" 'step: a device 0:0 is a device'

# --- names that no layer can hold are the error of the step that makes them, whatever the output is

# refused NAME STEP...: the last instruction fails at its line, naming NAME, also the second time:
# nothing was cached.
refused() {
	local name=$1 lines
	shift
	{ echo 'FROM base' && printf '%s\n' "$@"; } | context "$T/name"
	lines=$(($(wc -l <"$T/name/Dockerfile") - ${heredoc:-0}))
	for try in first second; do
		fails_with 1 "^rbuild: Dockerfile:$lines: ${name//./\\.}: names that begin with \.wh\. " \
			rb -o "type=local,dest=$T/name.d" "$T/name"
		like "$err" "^ +$lines \| >>> " "$name: the source is shown ($try time)"
	done
	works "$name: no output is left" [ ! -e "$T/name.d" ]
}
mkdir -p "$T/name/tree"
: >"$T/name/tree/.wh.file"
cp "$T/archive.tar" "$T/white.tar" "$T/name/"
refused a/b/.wh.x 'RUN mkdir -p /a/b && touch /a/b/.wh.x'
refused .wh..wh..opq 'RUN true' 'RUN mkdir /.wh..wh..opq'
refused etc/.wh.passwd 'RUN ln -s nothing /etc/.wh.passwd; rm /etc/passwd'
refused tree/.wh.file 'COPY tree /tree/'
refused .wh.dir 'COPY tree/.wh.file /.wh.dir/file'
refused 'archive.tar: .wh.dir/sub/dir' 'ADD archive.tar /.wh.dir/'
refused 'white.tar: in/x/.wh.y' 'ADD white.tar /in/'
refused .wh.work 'WORKDIR /.wh.work/deep'
heredoc=2 refused in/.wh.it 'COPY <<EOT /in/.wh.it' 'text' 'EOT'
printf 'FROM base\nRUN touch /.wh.x && rm /.wh.x\nCOPY tree/.wh.file /file\n' | context "$T/name"
works 'what is gone or has another name in the end is fine' rb -o "type=oci,dest=$T/name.oci" "$T/name"
is "$(oci "$T/name.oci" list 1) $(oci "$T/name.oci" list 2 | cut -d' ' -f1)" ' file' 'and is in no layer'
canary_safe 'everything'
done_testing
