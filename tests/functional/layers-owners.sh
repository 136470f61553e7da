#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Owners, types, modes and attributes of base files survive steps and copies, alike on both rungs:
# both are compared with the same listings here.
# users: range single
# needs: userns overlay skopeo umoci
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

# Modes of whiteouts mean nothing.
whiteouts() { sed -E 's/(\.wh\.[^ ]* f) [0-7]+/\1/'; }

base=$(base_image busybox) || bail_out 'no base image'
export base
craft <<-'EOT' || bail_out 'cannot craft the base'
	layer = Layer(os.environ["base"])
	layer.directory("own", 0o2750, uid=7, gid=8, xattrs={"user.dir": b"d"})
	layer.file("own/append", b"first\n", mode=0o640, uid=0, gid=42)
	layer.file("own/chmod", b"x", mode=0o644, uid=33, gid=33)
	layer.file("own/ldap", b"l", uid=197609, gid=197609)
	layer.file("own/million", b"m", uid=1000000, gid=1000000)
	layer.file("own/caps", b"c", mode=0o755,
	           xattrs={"security.capability": bytes.fromhex("0100000200040000000000000000000000000000")})
	layer.file("own/attrs", b"a", uid=5, xattrs={"user.one": b"1", "user.bin": b"\xff\x01"})
	layer.file("own/setuid", b"s", mode=0o6755, uid=0, gid=8)
	layer.symlink("own/link", "attrs", uid=5, gid=5)
	layer.fifo("own/fifo", mode=0o620, uid=5, gid=6)
	layer.char("own/null", 1, 3, mode=0o666, uid=0, gid=5)
	layer.block("own/sda", 8, 0, mode=0o660, uid=0, gid=6)
	layer.directory("own/sub", 0o700, uid=1000, gid=1000)
	layer.file("own/sub/file", b"f", mode=0o600, uid=1000, gid=1000)
	layer.hardlink("own/sub/twin", "own/sub/file", mode=0o600, uid=1000, gid=1000)
	layer.write("base.tar")
EOT
works 'import' rb import "$T/base.tar" base

context "$T/run" <<-'EOT'
	FROM base
	RUN mv /etc/shadow /etc/shadow2 && chmod 600 /own/chmod && echo more >>/own/append && \
	    chmod g+s /own/sub && mv /own/ldap /own/ldap2 && rm /own/million
	USER 1000:1000
	WORKDIR /home/user/work
	USER 0
	WORKDIR /srv/root
EOT
works 'a step that changes files' rb -o "type=oci,dest=$T/run.oci" "$T/run"
is "$(oci "$T/run.oci" check)" '' 'digests agree'
is "$(oci "$T/run.oci" list 1 | whiteouts)" "$(
	cat <<-'EOT'
		etc d 0755 0:0 0 1
		etc/.wh.shadow f 0:0 0 1
		etc/shadow2 f 0640 0:42 19 1
		own d 2750 7:8 0 1
		own/.wh.ldap f 0:0 0 1
		own/.wh.million f 0:0 0 1
		own/append f 0640 0:42 11 1
		own/chmod f 0600 33:33 1 1
		own/ldap2 f 0644 197609:197609 1 1
		own/sub d 2700 1000:1000 0 1
	EOT
)" 'the layer of the step: owners as in the base'
is "$(oci "$T/run.oci" xattrs 1)" 'own user.dir=d' 'attributes of the directory are kept, and no other is there'
is "$(oci "$T/run.oci" list 2)" "$(
	cat <<-'EOT'
		home d 0755 0:0 0 1
		home/user d 0755 1000:1000 0 1
		home/user/work d 0755 1000:1000 0 1
	EOT
)" 'WORKDIR under USER 1000:1000'
is "$(oci "$T/run.oci" list 3)" "$(
	cat <<-'EOT'
		srv d 0755 0:0 0 1
		srv/root d 0755 0:0 0 1
	EOT
)" 'WORKDIR as root'
is "$(oci "$T/run.oci" tree | grep -E '^(own|etc/shadow|var/mail)' | grep -v '^own/null\|^own/sda')" "$(
	cat <<-'EOT'
		etc/shadow2 f 0640 0:42 19 1
		own d 2750 7:8 0 1
		own/append f 0640 0:42 11 1
		own/attrs f 0644 5:0 1 1
		own/caps f 0755 0:0 1 1
		own/chmod f 0600 33:33 1 1
		own/fifo p 0620 5:6 0 1
		own/ldap2 f 0644 197609:197609 1 1
		own/link l 0777 5:5 0 1 -> attrs
		own/setuid f 6755 0:8 1 1
		own/sub d 2700 1000:1000 0 1
		own/sub/file f 0600 1000:1000 1 2
		own/sub/twin h 0600 1000:1000 0 2 -> own/sub/file
		var/mail d 2775 0:8 0 1
	EOT
)" 'the whole image'
is "$(oci "$T/run.oci" tree | grep -E '^own/(null|sda)')" "$(
	printf '%s\n' 'own/null c 0666 0:5 1,3 1' 'own/sda b 0660 0:6 8,0 1'
)" 'device nodes of the base'

# What a step moves keeps its owner, also where only the ledger has it.
context "$T/move" <<-'EOT'
	FROM base
	RUN mv /own/link /own/link2 && mv /own/fifo /own/fifo2 && mv /own/null /own/null2 && mv /own/million /own/million2
EOT
works 'a step that moves links, FIFOs and devices' rb -o "type=oci,dest=$T/move.oci" "$T/move"
is "$(oci "$T/move.oci" list 1 | grep 'own' | grep -v '/\.wh\.')" "$(
	cat <<-EOT
		own d 2750 7:8 0 1
		own/fifo2 p 0620 5:6 0 1
		own/link2 l 0777 5:5 0 1 -> attrs
		own/million2 f 0644 1000000:1000000 1 1
		own/null2 c 0666 0:5 1,3 1
	EOT
)" 'moved entries keep their owners'

# --- COPY --from: everything in one layer, so that the writer has to say all of it

context "$T/copy" <<-'EOT'
	FROM base AS changed
	RUN chmod 600 /own/chmod
	FROM scratch
	COPY --from=changed /own /kept/
	COPY --from=changed --chown=1000:1000 /own /given/
	COPY --from=base /etc/shadow /var/mail /
	COPY --from=base --chown=5:300000 /etc/shadow /made/deep/
	COPY --chown=1000:1000 file /context/
	COPY file /context/root
	COPY --from=base --chmod=4711 /own/sub /modes/
EOT
echo hello >"$T/copy/file"
chmod 640 "$T/copy/file"
works 'copies' rb -o "type=oci,dest=$T/copy.oci" "$T/copy"
is "$(oci "$T/copy.oci" check)" '' 'digests agree'
kept=$(
	cat <<-'EOT'
		kept d 0755 0:0 0 1
		kept/append f 0640 0:42 6 1
		kept/attrs f 0644 5:0 1 1
		kept/caps f 0755 0:0 1 1
		kept/chmod f 0600 33:33 1 1
		kept/fifo p 0620 5:6 0 1
		kept/ldap f 0644 197609:197609 1 1
		kept/link l 0777 5:5 0 1 -> attrs
		kept/million f 0644 1000000:1000000 1 1
		kept/null c 0666 0:5 1,3 1
		kept/sda b 0660 0:6 8,0 1
		kept/setuid f 6755 0:8 1 1
		kept/sub d 0700 1000:1000 0 1
		kept/sub/file f 0600 1000:1000 1 2
		kept/sub/twin h 0600 1000:1000 0 2 -> kept/sub/file
	EOT
)
is "$(oci "$T/copy.oci" list 0)" "$kept" 'COPY --from keeps every owner'
is "$(oci "$T/copy.oci" xattrs 0)" "$(
	cat <<-'EOT'
		kept/attrs user.bin=\xff\x01
		kept/attrs user.one=1
		kept/caps security.capability=\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00
	EOT
)" 'attributes and capabilities are copied'
# chown takes neither setuid bits away nor capabilities (rule 8 keeps the mode)
is "$(oci "$T/copy.oci" list 1 | cut -d' ' -f1-4 | grep -v '^\. ')" \
	"$(sed 's/kept/given/g; s/ [0-9]*:[0-9]* / 1000:1000 /; /^\. /d' <<<"$kept" | cut -d' ' -f1-4)" \
	'--chown goes to everything copied and to created directories'
is "$(oci "$T/copy.oci" xattrs 1)" "$(oci "$T/copy.oci" xattrs 0 | sed 's/^kept/given/')" '--chown keeps the attributes'
is "$(oci "$T/copy.oci" list 2 | sed 's/ [0-9]*$//')" 'shadow f 0640 0:42 19' 'a file of another image keeps its owner; the contents of a directory are copied, not itself'
is "$(oci "$T/copy.oci" list 3)" "$(
	cat <<-'EOT'
		made d 0755 5:300000 0 1
		made/deep d 0755 5:300000 0 1
		made/deep/shadow f 0640 5:300000 19 1
	EOT
)" 'an owner beyond the range, on parents, too'
is "$(oci "$T/copy.oci" list 4)" "$(
	cat <<-'EOT'
		context d 0755 1000:1000 0 1
		context/file f 0640 1000:1000 6 1
	EOT
)" 'COPY --chown=1000:1000 from the context'
is "$(oci "$T/copy.oci" list 5 | tail -n 1)" 'context/root f 0640 0:0 6 1' 'files of the context belong to root'
is "$(oci "$T/copy.oci" list 6)" "$(
	cat <<-'EOT'
		modes d 4711 0:0 0 1
		modes/file f 4711 1000:1000 1 2
		modes/twin h 4711 1000:1000 0 2 -> modes/file
	EOT
)" '--chmod keeps owners'

# A second image from the first, through an archive: the ledger is filled by what was written.
works 'the copies are loaded again' rb load -t again "$T/copy.oci"
context "$T/again" <<-'EOT'
	FROM scratch
	COPY --from=again /kept /kept/
EOT
works 'and copied again' rb -o "type=oci,dest=$T/again.oci" "$T/again"
is "$(oci "$T/again.oci" list 0)" "$kept" 'with the same owners'
is "$(oci "$T/again.oci" get '.rootfs.diff_ids[0]')" "$(oci "$T/copy.oci" get '.rootfs.diff_ids[0]')" \
	'and, times included, the same layer'

# The caller's umask is nobody's business.
for mask in 000 077; do
	(
		umask $mask
		RB_ROOT=$T/store-$mask
		rb import "$T/base.tar" base && rb -o "type=oci,dest=$T/mask.oci" "$T/copy" &&
			rb -o "type=oci,dest=$T/mask-run.oci" "$T/run"
	) >"$T/.mask" 2>&1 || diag "$(cat "$T/.mask")"
	is "$(oci "$T/mask.oci" tree)" "$(oci "$T/copy.oci" tree)" "copies under umask $mask"
	is "$(oci "$T/mask-run.oci" tree)" "$(oci "$T/run.oci" tree)" "steps under umask $mask"
done

# What other tools make of it
works 'umoci unpacks the image' unpack_oci "$T/copy.oci" "$T/unpacked"
is "$(tree_list "$T/unpacked/rootfs" | grep -E '^kept/(sub/|link|caps|append)' | cut -d' ' -f1-3,5-)" \
	"$(sed 's/ h / f /; s/ 0 2 -> .*/ 1 2/' <<<"$kept" | grep -E '^kept/(sub/|link|caps|append)' | cut -d' ' -f1-3,5-)" \
	'as the listing says'
done_testing
