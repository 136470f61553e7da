#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ACLs that name ids: the same in each mode as by real root, also where the kernel has no such ids.
# users: root
# needs: userns range
# images: debian-owners
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/oracle.sh
. "$RB_TEST_SRC/tests/oracle.sh"
oracle_begin "$(base_image debian-owners)"

case_context "$T/acl" <<-'END'
	FROM base AS made
	COPY tools /tools
	RUN <<'EOF'
	CASE=acl; . /tools/lib
	touch f; setfacl -m u:games:rw,g:staff:r f; getfacl -n f; chmod 2640 f; getfacl -n f; chown 5:6 f; cp -a f g; ln f hard; mv g h; getfacl -n h
	chmod 0 h; getfacl -n h; chmod 777 h; getfacl -n h; setfacl -x g:staff h; getfacl -n h; setfacl -b h; getfacl -n h; st f h
	mkdir log; setfacl -Rnm g:adm:rx,d:g:adm:rx log; touch log/a; mkdir log/b; touch log/b/c; getfacl -nR log
	python3 - <<'PY'
	import os, struct
	os.umask(0o077)
	os.mkdir("d"); os.chmod("d", 0o2755)
	def acl(*entries):
	    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)
	NONE = 2**32 - 1
	value = acl((1, 7, NONE), (2, 7, 1234), (4, 5, NONE), (8, 6, 55), (16, 7, NONE), (32, 1, NONE))
	os.setxattr("d", "system.posix_acl_default", value)
	os.mkdir("d/dir", 0o1773); os.mkdir("d/dir/in", 0o700)
	for mode in (0o777, 0o640, 0o404, 0o000):
	    os.close(os.open(f"d/f{mode:o}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
	os.mkfifo("d/fifo", 0o666); print(oct(os.lstat("d/fifo").st_mode)); os.unlink("d/fifo"); os.mknod("d/node", 0o100664); os.symlink("x", "d/link")
	tmp = os.open("d", os.O_TMPFILE | os.O_RDWR, 0o666)
	os.link(f"/proc/self/fd/{tmp}", "d/tmp", src_dir_fd=0, follow_symlinks=True)
	def show(name, follow=True):
	    print(name, oct(os.lstat(name).st_mode), [(k, os.getxattr(name, k, follow_symlinks=False).hex())
	        for k in sorted(os.listxattr(name, follow_symlinks=False))])
	for at, dirs, files in os.walk("d"):
	    for n in sorted(dirs + files):
	        show(os.path.join(at, n))
	def bad(what, *args, **kw):
	    try:
	        print(what, getattr(os, what)(*args, **kw))
	    except OSError as e:
	        print(what, args[1], e.strerror)
	A, D = "system.posix_acl_access", "system.posix_acl_default"
	open("p", "w").close()
	bad("setxattr", "p", D, value); bad("setxattr", "d/link", A, value, follow_symlinks=False)
	bad("setxattr", "p", A, value[:-8]); bad("setxattr", "p", A, value + b"x"); bad("setxattr", "p", A, b"\x01" + value[1:])
	bad("setxattr", "p", A, acl((1, 7, NONE), (2, 7, NONE), (4, 5, NONE), (16, 7, NONE), (32, 0, NONE)))
	bad("setxattr", "p", A, acl((1, 7, NONE), (2, 7, 5), (4, 5, NONE), (32, 0, NONE)))
	bad("setxattr", "p", A, acl((1, 9, NONE), (2, 7, 5), (4, 5, NONE), (16, 7, NONE), (32, 0, NONE))); show("p")
	bad("setxattr", "p", A, value); show("p"); bad("setxattr", "p", A, acl((1, 6, NONE), (4, 4, NONE), (32, 4, NONE))); show("p")
	bad("setxattr", "p", A, value); os.chmod("p", 0o4751); show("p"); bad("removexattr", "p", A); show("p")
	bad("setxattr", "d/dir", D, b""); show("d/dir")
	PY
	all
	EOF
	RUN <<'EOF'
	CASE=users; . /tools/lib
	echo x >f; setfacl -m u:games:rw,u:man:r,g:staff:rx,g:mail:w f; chmod o= f; mkdir -m 750 d; setfacl -m u:games:rwx,u:man:rx d; mkdir -m 700 e; setfacl -m u:games:x e
	chmod 755 .; cp /bin/true run; setfacl -m u:games:rx,o::- run
	for user in games man nobody; do
		for name in f d e run; do for bit in r w x; do as "$user" test -$bit $name && echo "$user $bit $name"; done; done
		as "$user" sh -c 'echo y >>f; : >d/$0; mkdir d/dir-$0; ./run; echo $?; setfacl -m u:7:r f' "$user"
	done
	for groups in 50 8 50,8 1; do setpriv --reuid 77 --regid 77 --groups $groups sh -c 'for b in r w x; do test -$b f && echo $0 $b; done' $groups; done
	install -o games -d own; cd own; as games sh -c 'touch f; chmod 640 f; setfacl -m u:9:rw f; getfacl -n f; chmod 600 f; getfacl -n f; setfacl -b f; getfacl -n f'; cd ..
	all
	EOF
	RUN . /tools/lib; cd /t; getfacl -nR .; chmod 600 acl/f; mv acl/log log; touch log/later; echo x >>acl/d/f640; chown 9 acl/d/f777; ln acl/d/f404 linked; cp -a acl/d d2; getfacl -nR . ; all
	FROM base AS again
	COPY tools /tools
	COPY --from=made /t /t
	RUN . /tools/lib; cd /t; getfacl -nR .; all
END
oracle acl "$T/acl"

# What layers of others, COPY and WORKDIR bring: ids that neither mode has, which are there after steps
# that know nothing of them; and places below a default ACL. The reference for these is the mode that
# has the ids.
python3 - "$T/acls.tar" <<-'EOT'
	import base64, io, struct, sys, tarfile
	def acl(*entries):
	    return base64.b64encode(struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)).decode()
	NONE = 2**32 - 1
	value = acl((1, 6, NONE), (2, 7, 1000000), (4, 4, NONE), (8, 6, 12), (16, 6, NONE), (32, 4, NONE))
	with tarfile.open(sys.argv[1], "w", format=tarfile.PAX_FORMAT) as tar:
	    for name, kind, keys in (("v/log", tarfile.DIRTYPE, ["access", "default"]), ("v/log/f", tarfile.REGTYPE, ["access"]),
	            ("v/log/plain", tarfile.REGTYPE, []), ("v/log/p", tarfile.FIFOTYPE, ["access"])):
	        info = tarfile.TarInfo(name)
	        info.type, info.mode = kind, 0o664
	        info.pax_headers = {f"LIBARCHIVE.xattr.system.posix_acl_{key}": value for key in keys}
	        tar.addfile(info, io.BytesIO())
EOT
case_context "$T/places" <<-'END'
	FROM base AS made
	COPY --from=acls /v /
	RUN chmod 640 /log/f && ln /log/f /log/hard && mv /log/plain /log/moved && rm -f /log/p
	RUN mkdir -m 751 /d /d/old && setfacl -m d:u:1234:rwx,d:g:55:rw /d && touch /f && setfacl -m u:33:r /f && setfacl -m d:u:1000:rwx /
	FROM made
	COPY --from=made --chmod=640 /f /d/one
	COPY --from=made /f /d/two
	COPY --chmod=751 tools/lib /d/new/way/
	COPY --from=made /etc/default /d/default
	COPY <<-EOF /d/inline
		text
	EOF
	WORKDIR /d/work/dir
	RUN mkdir /top && getfacl -nR /d >/listing 2>&1
END
builds=()
for kind in range single; do
	cp "$T/acls.tar" "$ORACLE/$kind/"
	oracle_as "$kind" ./rbuild --mode "$kind" --root store import acls.tar acls >"$T/$kind.import" 2>&1 || diag "$(cat "$T/$kind.import")"
	oracle_build "$kind" places "$T/places" &
	builds+=($!)
done
wait "${builds[@]}"

want=02000000$(printf '%s%s' 01000600ffffffff 0200070040420f00 04000400ffffffff 080006000c000000)
for kind in range single; do
	like "$(cat "$ORACLE/places.$kind.log")" 'log/p: attribute system.posix_acl_access cannot be kept' "layers: $kind says what it leaves out"
	is "$(grep '^log' "$ORACLE/places.$kind.tree" | sed 's/ e3b0c442[0-9a-f]*//')" "$(sed 's/^\t*//' <<-END
		log d 0664 0:0 0 - system.posix_acl_access=${want}10000600ffffffff20000400ffffffff system.posix_acl_default=${want}10000600ffffffff20000400ffffffff
		log/f f 0640 0:0 0 system.posix_acl_access=${want}10000400ffffffff20000000ffffffff
		log/hard f 0640 0:0 0 system.posix_acl_access=${want}10000400ffffffff20000000ffffffff = log/f
		log/moved f 0664 0:0 0
	END
	)" "layers: the ACLs that $kind cannot have are in the image"
done
is "$(cat "$ORACLE/places.single.tree")" "$(cat "$ORACLE/places.range.tree")" 'places: the same tree in both modes'
for path in d/one d/two d/new d/new/way/lib d/default d/inline d/work d/work/dir top; do
	like "$(cat "$ORACLE/places.single.tree")" "^$path .* system.posix_acl_access=" "places: /$path has an ACL"
done
done_testing
