#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Modes, owners, times, attributes and links of what COPY makes and meets, rule by rule
# (dockerfile.md 3.9), and where --chown looks names up.
# users: range single
# needs: userns overlay setfattr getfattr
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/copy.sh
. "$RB_TEST_SRC/tests/copy.sh"

base_image busybox >/dev/null
import_base busybox base

# times LAYER PATH: its time in that layer, in seconds and a fraction
times() {
	python3 - "$T/out.oci" "$RB_TEST_SRC/tests" "$@" <<-'EOT'
		import io, sys, tarfile
		sys.dont_write_bytecode = True
		sys.path.insert(0, sys.argv[2])
		from oci import Image
		tar = tarfile.open(fileobj=io.BytesIO(Image(sys.argv[1]).layer(int(sys.argv[3]))))
		info = next(i for i in tar if i.name.strip("/") == sys.argv[4])
		print(info.pax_headers.get("mtime", info.mtime))
	EOT
}
# refused REGEX < Dockerfile
refused() {
	context "$T/c"
	fails_with 1 "^rbuild: Dockerfile:[0-9]+: .*$1" rb "$T/c"
}

mkdir -p "$T/c/d/sub/deep" "$T/c/one"
cd "$T/c" || exit
echo f >d/f
echo g >d/sub/g
echo h >d/sub/deep/h
ln d/f d/sub/f2
ln -s f d/l
ln -s ../d/f link
mkfifo d/p
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("d/s")'
echo set >d/setid
chmod 6755 d/setid
chmod 1770 d/sub
chmod 751 d/sub/deep
chmod 600 d/sub/g
setfattr -n user.origin -v here d/f
setfattr -n user.origin -v below d/sub
touch -d '2001-02-03 04:05:06.123456789 UTC' d/f d/sub/g
touch -h -d '2002-02-03 04:05:06.5 UTC' d/l
touch -d '2003-02-03 04:05:06 UTC' d/sub/deep d/sub d
cd / || exit

# --- rules 4 to 8

build <<-'EOT'
	FROM base
	RUN mkdir -p /have/d /have/sub /have/sub/deep && chmod 711 /have && chmod 700 /have/sub && chown 5:6 /have /have/sub && ln -s /have /to && echo old >/have/f && \
	    ln -s f /have/lf && echo t >/target && ln -s /target /have/g && ln -s /target /ontarget && mkdir -p /have2/sub && chmod 2755 /have2/sub
	COPY d /have/
	COPY --chown=7:8 d/sub /have2/sub
	COPY --chown=7:8 d/f /a/b/c/
	COPY d/f /a/b/x/y
	COPY d/sub/g /have
	COPY d/f /ontarget
	COPY link /
	COPY link d/sub/../f /two/
	COPY d/f /to/sub/../sub2/
	COPY --chown=7:8 d /have2/
EOT
is "$(names 2)" 'have d 0711 5:6 have/f f 0644 0:0 have/l l 0777 0:0 have/p p 0644 0:0 have/s f 0755 0:0 have/setid f 6755 0:0 have/sub d 1770 0:0 have/sub/deep d 0751 0:0 have/sub/deep/h f 0644 0:0 have/sub/f2 h 0644 0:0 have/sub/g f 0600 0:0' \
	'5, 7, 8: the destination keeps mode and owner, what is below takes the source'"'"'s; links, FIFOs, sockets'
is "$(oci "$T/out.oci" xattrs 2)" $'have/f user.origin=here\nhave/sub user.origin=below' '8: attributes'
is "$(times 2 have/f) $(times 2 have/l) $(times 2 have/sub/deep) $(times 2 have/sub)" '981173106.123456789 1012709106.5 1044245106 1044245106' '8: times with nanoseconds, of links and directories, too'
is "$(times 2 have)" 1044245106 '5: and that of the destination'
is "$(names 3)" 'have2 d 0755 0:0 have2/sub d 2755 0:0 have2/sub/deep d 0751 7:8 have2/sub/deep/h f 0644 7:8 have2/sub/f2 f 0644 7:8 have2/sub/g f 0600 7:8' '5: a directory that was there has no new owner'
is "$(names 4)" 'a d 0755 7:8 a/b d 0755 7:8 a/b/c d 0755 7:8 a/b/c/f f 0644 7:8' '4: directories that are made have'
is "$(names 5)" 'a d 0755 7:8 a/b d 0755 7:8 a/b/x d 0755 0:0 a/b/x/y f 0644 0:0' '4: those before have not'
is "$(names 6)" 'have d 0711 5:6 have/g f 0600 0:0' '6: a link in a directory is replaced'
is "$(names 7)" 'target f 0644 0:0' '4: one that is the destination is followed'
is "$(names 8)" 'link f 0644 0:0' '3: a link is what it leads to, under its own name'
is "$(names 9)" 'two d 0755 0:0 two/f f 0644 0:0 two/link f 0644 0:0' '3: names of several sources'
is "$(names 10)" 'have d 0711 5:6 have/sub2 d 0755 0:0 have/sub2/f f 0644 0:0' '4: links in the middle of the destination'
like "$(names 11)" 'have2/sub d 1770 7:8 ' '7: also --chown'
refused 'cannot replace to directory /have/f with file' <<<$'FROM base\nRUN mkdir -p /have/f\nCOPY d/f /have/'
refused 'cannot replace to directory /have/f with file' <<<$'FROM base\nRUN mkdir -p /have/f\nCOPY d /have/'
refused 'cannot copy to non-directory: /f' <<<$'FROM base\nRUN touch /f\nCOPY d/f /f/'
refused 'cannot copy to non-directory: /f' <<<$'FROM base\nRUN touch /f\nCOPY d/f /f/x'
refused 'cannot copy to non-directory: /target' <<<$'FROM base\nRUN touch /target && ln -s target /l\nCOPY d /l'
refused 'cannot copy to non-directory: /have/sub' <<<$'FROM base\nRUN mkdir -p /have /x && ln -s /x /have/sub\nCOPY d /have'
refused 'cannot follow /loop' <<<$'FROM base\nRUN ln -s loop /loop\nCOPY d/f /loop/'

# --- several sources need a directory: a file would be replaced by the next one

several='cannot copy several files to /to, which is not a directory; if it is meant to be one, end it with a slash: /to/'
refused "$several" <<<$'FROM base\nCOPY d/f d/setid /to'
refused "$several" <<<$'FROM base\nCOPY --link d/f d/setid /to'
refused "$several" <<<$'FROM base\nCOPY d/[fp] /to'
refused "$several" <<<$'FROM base\nRUN touch /to\nADD d/f d/setid /to'
refused "$several" <<<$'FROM base\nCOPY d/f <<in /to\nin'
build <<-'EOT'
	FROM base
	RUN mkdir /to && touch /file
	COPY d/f d/setid /to
	COPY d/[f] /one
	COPY d/f /file
	COPY d d/setid /both
	COPY --parents d/f d/setid /parents
EOT
is "$(names 2)" 'to d 0755 0:0 to/f f 0644 0:0 to/setid f 6755 0:0' 'a directory that is there will do'
is "$(names 3) $(names 4)" 'one f 0644 0:0 file f 0644 0:0' 'and of a wildcard that is one file, or of one source, a file'
is "$(names 5 | grep -o 'both/setid [^b]*0:0')" 'both/setid f 6755 0:0' 'one that a directory before has made'
is "$(names 6 | tr ' ' '\n' | grep /)" $'parents/d\nparents/d/f\nparents/d/setid' 'with --parents it is one'

# --- rule 9 and devices: of stages owners are kept

build <<-'EOT'
	FROM base AS s
	RUN mkdir /o && touch /o/f && ln /o/f /o/g && ln -s f /o/l && mkfifo /o/p && mknod /o/null c 1 3 && chown -h 11:12 /o/* && chown 13:14 /o && chmod 4711 /o/f && mkdir -p /o/sub && chown 15:16 /o/sub
	FROM base
	COPY --from=s /o /k
	COPY --from=s --chown=root:1 /o /r/
	COPY --from=s /o/null /o/p /one/
	RUN mkdir -p /e/sub
	COPY --from=s /o /e
EOT
is "$(names 1)" 'k d 0755 0:0 k/f f 4711 11:12 k/g h 4711 11:12 k/l l 0777 11:12 k/null c 0644 11:12 k/p p 0644 11:12 k/sub d 0755 15:16' '9: files of a stage keep owners, the destination is root'"'"'s'
is "$(names 2)" 'r d 0755 0:1 r/f f 4711 0:1 r/g h 4711 0:1 r/l l 0777 0:1 r/null c 0644 0:1 r/p p 0644 0:1 r/sub d 0755 0:1' '--chown is for all, also links and devices'
is "$(oci "$T/out.oci" list 3)" $'one d 0755 0:0 0 1\none/null c 0644 11:12 1,3 1\none/p p 0644 11:12 0 1' 'a device and a FIFO by name'
like "$(names 5)" 'e/sub d 0755 15:16' '7: a directory that was there has the source'"'"'s owner'

# --- --chown

build <<-'EOT'
	FROM base
	RUN echo 'app:x:1001:2001::/:' >>/etc/passwd && echo 'own:x:77:78::/:' >>/etc/passwd && echo 'staff2:x:3001:' >>/etc/group && echo '1005:x:1006:1007::/:' >>/etc/passwd && \
	    mv /etc/group /etc/real && ln -s /etc/real /etc/group
	COPY --chown=app d/f /1
	COPY --chown=app:staff2 d/f /2
	COPY --chown=1234 d/f /3
	COPY --chown=1234:staff2 d/f /4
	COPY --chown=app:9 d/f /5
	COPY --chown=root d/f /6
	COPY --chown=0:root d/f /7
	ARG who=own
	COPY --chown=${who} d/f /8
	COPY --chown=4000000000:3 d/f /9
	COPY --chown=$nobody d/f /10
	USER app
	COPY d/f /11
	ADD --chown=$who:$who-x d/f /12
EOT
want=$'1 f 0644 1001:2001\n2 f 0644 1001:3001\n3 f 0644 1234:1234\n4 f 0644 1234:3001\n5 f 0644 1001:9\n6 f 0644 0:0\n7 f 0644 0:0\n8 f 0644 77:78\n9 f 0644 4000000000:3\n10 f 0644 0:0\n11 f 0644 0:0'
like "$err" 'own-x' 'the last one names a group that is not there'
sed -i '/^	ADD --chown=.who/d' "$T/c/Dockerfile"
sed -i '/^ADD --chown=.who/d' "$T/c/Dockerfile"
works 'the others' rb -o "type=oci,dest=$T/out.oci" "$T/c"
is "$(for i in 2 3 4 5 6 7 8 9 10 11 12; do names $i; echo; done | sed '/^$/d')" "$want" 'names and numbers'
build <<<$'FROM base AS s\nRUN echo src:x:50:51::/: >>/etc/passwd\nFROM base\nRUN echo src:x:60:61::/: >>/etc/passwd\nCOPY --from=s --chown=src /etc/hostname* /etc/passwd /x/'
is "$(names 2)" 'x d 0755 60:61 x/passwd f 0644 60:61' 'names are those of the stage that is copied to'
refused '--chown=missing.*missing' <<<$'FROM base\nCOPY --chown=missing d/f /x'
refused '--chown=root:missing.*missing' <<<$'FROM base\nCOPY --chown=root:missing d/f /x'
refused '--chown=app.*passwd' <<<$'FROM scratch\nCOPY --chown=app d/f /x'
refused '--chown=app.*passwd' <<<$'FROM base\nRUN rm /etc/passwd && mkfifo /etc/passwd\nCOPY --chown=app d/f /x'
refused '--chown=5000000000' <<<$'FROM base\nCOPY --chown=5000000000 d/f /x'
refused '--chown=-1' <<<$'FROM base\nCOPY --chown=-1 d/f /x'
build <<<$'FROM scratch\nCOPY --chown=root:5 d/f /x'
is "$(names 0)" 'x f 0644 0:5' 'root needs no file'
done_testing
