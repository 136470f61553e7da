#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Owners, modes and types of what steps make as root: the same in each mode as by real root.
# users: root
# needs: userns range
# images: debian-owners
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/oracle.sh
. "$RB_TEST_SRC/tests/oracle.sh"
oracle_begin "$(base_image debian-owners)"

case_context "$T/files" <<-'END'
	FROM base
	COPY tools /tools
	RUN <<'EOF'
	CASE=chown; . /tools/lib
	touch f; mkdir d; ln -s f l; ln -s missing dangling
	chown 5:6 f; chown games d; chown :staff d; chown -h 7:8 l dangling; chown 33 l
	try chown 1:1 dangling
	agree f d l dangling /etc/shadow /var/mail /tmp
	chown 0:0 f; agree f
	chown 65534:65534 d; agree d
	try chown -1:-1 f
	chown 1000:1000 f; chown --reference=/etc/shadow f; agree f
	chown --from=0:42 9:9 f; chown --from=1:1 10:10 f; agree f
	chown 12: f; st f
	EOF
	RUN <<'EOF'
	CASE=calls; . /tools/lib
	python3 - <<'PY'
	import os
	def show(name):
	    st = os.lstat(name)
	    print(name, f"{st.st_uid}:{st.st_gid} {st.st_mode:o}")
	os.umask(0o022)
	fd = os.open("f", os.O_CREAT | os.O_RDWR, 0o644)
	os.fchown(fd, 11, 12); show("f")
	os.fchown(fd, -1, 13); show("f")
	os.fchown(fd, 14, -1); show("f")
	os.fchmod(fd, 0o6711); show("f")
	os.chown(f"/proc/self/fd/{fd}", 15, 16); show("f")
	os.mkdir("d"); dfd = os.open("d", os.O_RDONLY)
	os.fchown(dfd, 17, 18); show("d")
	os.close(os.open("in", os.O_CREAT | os.O_WRONLY, 0o640, dir_fd=dfd)); show("d/in")
	os.chown("in", 19, 20, dir_fd=dfd); show("d/in")
	os.symlink("in", "ln", dir_fd=dfd)
	os.chown("ln", 21, 22, dir_fd=dfd, follow_symlinks=False); show("d/ln"); show("d/in")
	os.chown("ln", 23, 24, dir_fd=dfd); show("d/ln"); show("d/in")
	path = os.open("d/in", os.O_PATH)
	try:
	    os.fchown(path, 1, 1)
	except OSError as e:
	    print("fchown of O_PATH:", e.strerror)
	ro = os.open("d/in", os.O_RDONLY); os.fchown(ro, 25, 26); show("d/in")
	os.rename("d/in", "moved"); show("moved"); st = os.fstat(ro); print(st.st_uid, st.st_gid)
	os.fchown(ro, 27, 28); show("moved")
	os.unlink("moved"); os.fchown(ro, 29, 30); st = os.fstat(ro); print("unlinked", st.st_uid, st.st_gid, st.st_nlink)
	for name in ("nosuch", "f/x", "x" * 300, ""):
	    try:
	        os.chown(name, 1, 1)
	    except OSError as e:
	        print("chown", name[:8], e.strerror)
	try:
	    os.chown("f", 2**32 - 1, 2**32 - 1)
	    show("f")
	except (OSError, OverflowError) as e:
	    print("chown to -1", e)
	os.symlink("loop", "loop")
	try:
	    os.chown("loop", 1, 1)
	except OSError as e:
	    print("chown loop", e.strerror)
	tmp = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600)
	os.fchown(tmp, 31, 32); os.fchmod(tmp, 0o4755)
	os.link(f"/proc/self/fd/{tmp}", "from-tmp", dst_dir_fd=os.open(".", os.O_RDONLY)); show("from-tmp")
	PY
	all
	EOF
	RUN <<'EOF'
	CASE=modes; . /tools/lib
	for m in 4755 2755 6755 1777 7777 0 1 444 200 2644; do touch m$m; chmod $m m$m; mkdir d$m; chmod $m d$m; done
	all
	cp /bin/true a; chmod 6755 a; chown 5:5 a; st a
	chmod 6755 a; chown 5 a; st a; chmod 6755 a; chgrp 6 a; st a
	chmod 2644 a; chgrp 7 a; st a
	chmod u+s,g-s,+t a; st a
	mkdir d; chmod 6755 d; chown 5:5 d; st d
	chmod 0 d; touch d/inside; all
	(umask 077; touch u077; mkdir d077); (umask 000; touch u000; mkdir d000); (umask 027; touch u027; mknod p027 p; mkdir -m 2775 d2775)
	all
	EOF
	RUN <<'EOF'
	CASE=install; . /tools/lib
	echo x >src
	install -o games -g staff -m 2750 src a
	install -d -o daemon -g mail -m 2770 dir dir/sub
	install -D -o 1234 -g 5678 -m 600 src deep/er/file
	install -o 33 -m 4711 src dir/in
	cp -a a copy; cp -p a copy2; cp a copy3; cp -a dir dir2; mv a moved; mv dir2 dir3
	cp --preserve=ownership src src2
	mkdir fresh; cp -r dir fresh/
	all
	EOF
	RUN <<'EOF'
	CASE=tar; . /tools/lib
	mkdir -p in/sub; echo 1 >in/a; ln in/a in/hard; ln -s a in/link; mkfifo in/fifo; echo 2 >in/sub/b
	chown -h 5:6 in/link; chown 1:2 in/a; chown 3:4 in/sub in/sub/b; chown 8:9 in/fifo; chmod 6711 in/a; chmod 2770 in/sub;
	tar -cf t.tar --numeric-owner in
	tar -tvf t.tar --numeric-owner | sed 's/20[0-9-]* [0-9:]*//' | sort
	mkdir x y z; tar -xf t.tar -C x; tar -xpf t.tar -C y --same-owner; tar -xf t.tar -C z --no-same-owner
	tar -cf - -C in . | tar -xpf - -C z --owner=70 --group=80 --overwrite
	cp -a in w; rm -rf in t.tar
	all
	EOF
	RUN <<'EOF'
	CASE=links; . /tools/lib
	echo x >a; ln a b; chown 5:6 a; st a b; chown 7:8 b; chmod 4755 a; st a b; ln b c; rm a; st b c; mv b d; st c d
	mkdir sub; mv c sub/; chgrp 9 d; st d sub/c; echo y >>d; st d sub/c
	ln -s d l; chown -h 11:12 l; mv l l2; st l2; rm l2; ln -s d l2; st l2; ln l2 l3; chown -h 13:14 l3; st l2 l3
	ln -sfn e l2; st l2 l3; rm l3; mkfifo l3; st l3; chown 15:16 l3; mv l3 f3; st f3
	ln -s x s1; chown -h 1:1 s1; ln -s y s2; chown -h 2:2 s2; mv -T s1 s2; st s2
	python3 - <<'PY'
	import ctypes, os
	libc = ctypes.CDLL(None, use_errno=True)
	for name, uid in (("x1", 21), ("x2", 22)):
	    os.symlink("t", name); os.lchown(name, uid, uid)
	print(libc.renameat2(-100, b"x1", -100, b"x2", 2))
	print(os.lstat("x1").st_uid, os.lstat("x2").st_uid)
	PY
	all
	EOF
	RUN <<'EOF'
	CASE=inodes; . /tools/lib
	i=0; while [ $i -lt 40 ]; do
		echo x >f; chown 5:6 f; chmod 4755 f; rm f; echo y >f; stat -c '%u:%g %a' f
		ln -s t l; chown -h 7:8 l; rm l; ln -s t l; stat -c '%u:%g' l; rm l
		mkfifo p; chown 9:9 p; rm p; mkfifo p; stat -c '%u:%g' p; rm p; mkfifo l; stat -c '%u:%g' l; rm l
		mknod n c 1 3; chown 3:3 n; rm n; : >n; stat -c '%F %u:%g' n; rm n
		mkdir d; chown 4:4 d; rmdir d; mkdir d; stat -c '%u:%g' d; rmdir d; mkfifo d; stat -c '%F %u:%g' d; rm d
		i=$((i + 1))
	done | sort | uniq -c
	for i in 1 2 3 4 5 6 7 8; do ln -s t s$i; chown -h $i:$i s$i; done
	for i in 1 3 5 7; do rm s$i; mkfifo p$i; done; for i in 2 4 6 8; do mv s$i t$i; ln -s t s$i; done
	echo a >r; chown 5:5 r; echo b >r.new; chown 6:6 r.new; mv r.new r; st r; sed -i s/b/c/ r; st r
	all
	EOF
	RUN <<'EOF'
	CASE=setgid; . /tools/lib
	mkdir plain; mkdir -m 2775 site; chown root:staff site; chmod 2775 site
	umask 022
	touch site/f; mkdir site/d; ln -s f site/l; mkfifo site/p; mkdir -p site/d/e/f; touch site/d/e/g
	echo x >site/d/h; ln site/d/h site/hard; install -d site/i; install -m 600 /dev/null site/j; cp /etc/passwd site/k; cp -a /etc/shadow site/shadow
	mv /tools/../t/setgid/plain site/moved; touch site/moved/x; mkdir -m 700 site/m700
	tar -cf - -C /etc passwd | tar -xf - -C site --no-same-owner
	python3 - <<'PY'
	import os, tempfile
	tempfile.mkdtemp(dir="site", prefix="tmp-")
	os.rename([f"site/{n}" for n in os.listdir("site") if n.startswith("tmp-")][0], "site/tmp")
	os.open("site/exec", os.O_CREAT | os.O_EXCL, 0o2755); os.open("site/suid", os.O_CREAT | os.O_EXCL, 0o6775)
	tmp = os.open("site", os.O_TMPFILE | os.O_RDWR, 0o644); os.link(f"/proc/self/fd/{tmp}", "site/otmp", dst_dir_fd=os.open(".", os.O_RDONLY))
	PY
	chmod 3775 site/d; mkdir site/d/sticky; chown daemon:mail site/d/e; touch site/d/e/by-mail; mkdir site/d/e/dir
	python3 -c 'import os; os.makedirs("/usr/local/lib/python3.11/dist-packages/pkg/sub"); open("/usr/local/lib/python3.11/dist-packages/pkg/m.py", "w")'
	st /var/local /usr/local/lib /usr/local/lib/python3.11/dist-packages/pkg/m.py; mkdir /var/local/x; st /var/local/x
	all
	EOF
	RUN <<'EOF'
	CASE=caps; . /tools/lib
	cp /bin/true t; setcap cap_net_raw,cap_net_admin+ep t; getcap t; cp -a t t2; getcap t2; cp t t3; getcap t3; mv t2 t4; getcap t4
	chown 5:5 t4; getcap t4; setcap cap_net_bind_service=+eip t4; getcap t4; setcap -r t; getcap t; echo "left: $?"
	ln t4 t5; getcap t5; echo x >>t5; getcap t4; setcap cap_chown=p t3; getcap -r .
	try setcap -r t
	tar --xattrs --xattrs-include='security.*' -cf c.tar t3; mkdir x; tar --xattrs --xattrs-include='security.*' -xf c.tar -C x; getcap x/t3; rm c.tar
	python3 - <<'PY'
	import os
	print(os.listxattr("t3"), os.getxattr("t3", "security.capability").hex())
	fd = os.open("t3", os.O_RDONLY); print(os.listxattr(fd), os.getxattr(fd, "security.capability").hex())
	def bad(what, *a, **k):
	    try:
	        print(getattr(os, what)(*a, **k))
	    except OSError as e:
	        print(what, a[1:], e.strerror)
	bad("getxattr", "t", "security.capability"); bad("removexattr", "t", "security.capability")
	bad("setxattr", "t", "security.capability", b"junk")
	bad("setxattr", "t3", "security.capability", os.getxattr("t3", "security.capability"), os.XATTR_CREATE)
	bad("setxattr", "t", "security.capability", os.getxattr("t3", "security.capability"), os.XATTR_REPLACE)
	bad("setxattr", "t", "user.mine", b"1"); bad("getxattr", "t", "user.mine"); print(os.listxattr("t"))
	bad("setxattr", "t3", "user.mine", b"2"); print(sorted(os.listxattr("t3"))); bad("removexattr", "t", "user.mine")
	bad("getxattr", "t", "nosuch.name"); print(os.listxattr("."))
	PY
	all
	EOF
	RUN <<'EOF'
	CASE=rename; . /tools/lib
	mkdir a b; touch a/f b/f; chown 1:1 a/f; chown 2:2 b/f; mv a/f b/f; st b/f; chown 3:3 a; mv a b/; st b/a
	touch x; chown 4:4 x; mv x /tmp/x; st /tmp/x; mv /tmp/x .; st x; mkdir d; chown 5:5 d; chmod 2755 d; mv d e; st e; touch e/in; st e/in
	python3 - <<'PY'
	import ctypes, os
	libc = ctypes.CDLL(None, use_errno=True)
	for name, uid in (("p", 6), ("q", 7)):
	    open(name, "w").close(); os.chown(name, uid, uid)
	print(libc.renameat2(-100, b"p", -100, b"q", 2), os.stat("p").st_uid, os.stat("q").st_uid)
	print(libc.renameat2(-100, b"p", -100, b"q", 1), os.strerror(ctypes.get_errno()))
	PY
	all
	EOF
END
oracle files "$T/files"

# In range the step itself sees a device as an empty file, and an owner beyond the range as root
# (doc/modes.md): what it prints is compared for single only.
case_context "$T/devices" <<-'END'
	FROM base AS one
	COPY tools /tools
	RUN <<'EOF'
	CASE=mknod; . /tools/lib
	mknod c c 1 5; mknod b b 8 1; mknod p p; mkfifo -m 640 q; mknod -m 622 console c 5 1; mknod big b 259 1048575
	chown 5:6 c b p; chmod 660 b; agree c b p q
	stat -c '%n %t,%T' c b console big
	mv c c2; cp -a b b2; ln b b3; rm p; mv q q2; st c2 b2 b3 q2
	test -c c2 && test -b b && test -p q2 && echo types
	ls -ln | awk '{print $1,$2,$3,$4,$5,$6,$NF}'
	python3 - <<'PY'
	import os, socket, stat
	os.mknod("reg", 0o100640); os.mknod("fifo", 0o010600)
	os.mknod("chr", 0o020666, os.makedev(1, 7)); st = os.stat("chr"); print(oct(st.st_mode), st.st_rdev)
	try:
	    os.mknod("chr", 0o020666, os.makedev(1, 7))
	except OSError as e:
	    print(e.strerror)
	s = socket.socket(socket.AF_UNIX); s.bind("sock"); os.chown("sock", 5, 6); st = os.stat("sock"); print(oct(st.st_mode), st.st_uid, st.st_gid); os.unlink("sock")
	PY
	all
	EOF
	RUN <<'EOF'
	CASE=devices; . /tools/lib
	mkdir -p in; mkdir -m 2775 site; chown root:staff site; chmod 2775 site; mknod site/c c 1 3
	mknod in/null c 1 3; mknod in/loop b 7 0; chown 10:11 in/null in/loop; chmod 600 in/null
	mknod m c 1 3; rm m; touch m; mknod m2 c 1 3; mv m m2; st m2; find . ! -user root | sort
	all
	EOF
	RUN <<'EOF'
	CASE=beyond; . /tools/lib
	touch f g; mkdir d; chown 197609:1000000 f; agree f; chown 4294967294:4294967294 g; agree g; chown 1000000 d; chmod 2755 d; touch d/in; agree d/in
	ln -s x l; chown -h 300000:5 l; mkfifo p; chown 5:300000 p; mv f d/; all
	EOF
	RUN <<'EOF'
	. /tools/lib; cd /t; all
	chown 21 devices/in/null; chmod 640 devices/in/loop; mv devices/in/null null; ln devices/in/loop loop; mv mknod/b3 b4; rm mknod/b; mkdir new; mv mknod/c2 new/; chown 1:1 beyond/g; mv beyond/l beyond/l2; mv beyond/p p
	echo x >>beyond/d/f; chmod 600 beyond/g; rm devices/site/c; touch devices/site/c; ln -s y beyond/l; all
	EOF
	FROM base
	COPY tools /tools
	COPY --from=one /t /t
	RUN . /tools/lib; cd /t; all
END
oracle devices "$T/devices" range

case_context "$T/acl" <<-'END'
	FROM base
	COPY tools /tools
	RUN <<'EOF'
	CASE=acl; . /tools/lib
	touch f; setfacl -m u:games:rw,g:staff:r f; getfacl -n f; chown 5:6 f; getfacl -n f; chmod 640 f; getfacl -n f; cp -a f g; getfacl -n g
	mkdir d; setfacl -d -m u:1234:rwx,g::rx,o::- d; touch d/f; mkdir d/d; getfacl -n d d/f d/d; setfacl -b f; getfacl -n f; setfacl -m g::rwx,u::r g
	setpriv --reuid games --regid games --clear-groups sh -c 'echo x >>g; touch d/x; setfacl -m u:7:r g; setfacl -m u:7:r f && getfacl -n f'; mv d e; getfacl -n e
	all
	EOF
	RUN . /tools/lib; cd /t/acl; getfacl -nR .
END
oracle acl "$T/acl"
# The same through other programs: Python's shutil and tarfile, Perl, tar, dd, sed, install.
case_context "$T/tools" <<-'END'
	FROM base
	COPY tools /tools
	RUN <<'EOF'
	CASE=tools; . /tools/lib
	useradd -m app
	python3 - <<'PY'
	import os, shutil, zipfile, tarfile, subprocess
	os.makedirs("src/a/b"); open("src/a/f", "w").write("x"); os.chown("src/a/f", 5, 6); os.chown("src/a/b", 7, 8)
	shutil.copytree("src", "copy"); shutil.chown("copy/a/f", "games", "staff"); shutil.copystat("src/a/f", "copy/a/f"); shutil.move("copy", "moved")
	with tarfile.open("t.tar", "w") as t: t.add("src")
	with tarfile.open("t.tar") as t: t.extractall("x", numeric_owner=True)
	os.unlink("t.tar"); shutil.rmtree("moved"); os.makedirs("y/z", mode=0o2770); os.chown("y", -1, 9); os.chmod("y", 0o3777)
	subprocess.run(["cp", "-r", "src", "y/"], user="app"); subprocess.run("umask 0; mkdir -m 1777 y/m; touch y/n; chmod 4777 y/n; ln y/n y/o; mv y/n y/p", shell=True, user="app", group="app", extra_groups=[9])
	fd = os.open("y/p", os.O_RDWR); os.ftruncate(fd, 10); os.fchmod(fd, 0o600); os.fchown(fd, 0, 0); os.posix_fallocate(fd, 0, 100); print(os.fstat(fd).st_uid, oct(os.fstat(fd).st_mode))
	print(sorted((e.name, e.stat().st_uid) for e in os.scandir("y")), os.path.samefile("y/o", "y/p"), os.access("y", os.W_OK))
	os.mkfifo("ff"); r = os.open("ff", os.O_RDWR); os.fchown(r, 3, 4); print(os.stat("ff").st_uid)
	PY
	perl -e 'mkdir "pd", 0755; chown 3, 4, "pd"; open F, ">pd/f"; chown 5, 6, *F; close F; print join(":", (stat "pd/f")[4,5]), "\n"; $( = 50; $) = "50 50 60"; $> = 1000; print "$< $> $( $)\n"; open F, ">/tmp/p"; print -w "/etc/passwd" ? 1 : 0, -o "/tmp/p" ? 1:0, "\n"; $> = 0; print "$>\n"; unlink "/tmp/p" or print "$!\n"'
	dd if=/dev/zero of=big bs=64k count=64 2>/dev/null; chown 5 big; cp --reflink=auto -p big big2; ln -f big2 big; st big big2
	sort -o sorted /etc/passwd; sed -i.bak s/root/toor/ sorted; chown 9:9 sorted; sed -i s/toor/root/ sorted; st sorted sorted.bak; tee -a sorted </dev/null; truncate -s 0 sorted; st sorted; split -n 2 sorted part; mktemp -p . tmpXXXX >/dev/null; chmod 640 tmp*; chown app tmp*; stat -c '%U:%a' tmp*; rm tmp*
	install -d -o app -g staff dd; as app sh -c 'cd dd; tar -cf - -C /etc passwd group | tar -xf -; cp -a /var/mail .; ls -ln | cut -c 1-20'
	flock dd true; ionice -c3 true; nice -n 5 id -u; timeout 5 setsid id -g; env -i id -un; xargs -a /etc/shells -n1 -P4 test -e; echo $?
	all
	EOF
END
oracle tools "$T/tools"
done_testing
