#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Users and groups in steps: who a process is, may become and may touch is the same in each mode as by
# real root.
# users: root
# needs: userns range
# images: debian-owners
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/oracle.sh
. "$RB_TEST_SRC/tests/oracle.sh"
oracle_begin "$(base_image debian-owners)"

case_context "$T/users" <<-'END'
	FROM base
	COPY tools /tools
	RUN <<'EOF'
	CASE=useradd; . /tools/lib
	groupadd -g 900 crew; groupadd -g 901 extra
	useradd -m -G crew,extra app; useradd -m -u 1234 -g crew -s /bin/bash -d /srv/dev dev; useradd --system --no-create-home svc
	adduser --system --group --home /var/lib/daemonish --disabled-password daemonish >/dev/null
	useradd -m gone; touch /home/gone/x; groupadd gonegroup; userdel -r gone 2>/dev/null; groupdel gonegroup
	usermod -aG staff dev; usermod -u 1500 svc; groupmod -g 950 extra; chage -d 19000 app; chage -d 19000 dev; echo dev:pw | chpasswd -e; gpasswd -a app staff
	id app; id dev; id svc; id daemonish
	st /home/* /srv/dev /var/lib/daemonish /home/app/.bashrc /etc/shadow /etc/gshadow /etc/passwd /etc/subuid
	EOF
	RUN <<'EOF'
	CASE=become; . /tools/lib
	chmod 1777 .
	for how in 'su app -c' 'su - dev -c' 'runuser -u app -- sh -c' 'setpriv --reuid app --regid app --init-groups sh -c' \
		'setpriv --reuid 4321 --regid 8765 --clear-groups sh -c' 'setpriv --reuid app --regid crew --groups staff,mail sh -c' \
		'gosu app sh -c' 'gosu dev:staff sh -c' 'gosu 77:88 sh -c' 'sudo -u app sh -c' 'sudo -u dev -g staff sh -c' 'sudo -u #4321 sh -c' 'chroot --userspec=app:crew / sh -c' \
		'su -s /bin/sh svc -c' 'start-stop-daemon --start --chuid app:crew --pidfile /run/none --startas /bin/sh -- -c'
	do
		name=$(echo "$how" | tr -dc a-z0-9)
		echo "== $how"
		$how "cd /t/become; umask 027; id; touch $name.f; mkdir $name.d; ln -s x $name.l; mkfifo $name.p; chmod 2751 $name.d; cp /etc/passwd $name.c
			touch /etc/x; chown root $name.f; chgrp mail $name.f && echo chgrp; chmod 600 /etc/passwd; rm -f /etc/passwd; mkdir /nope; capsh --print | grep Current"
	done
	all
	EOF
	RUN <<'EOF'
	CASE=drop; . /tools/lib
	chmod 1777 .
	python3 - <<'PY'
	import os, ctypes
	libc = ctypes.CDLL(None, use_errno=True)
	def who(what):
	    print(what, os.getresuid(), os.getresgid(), sorted(os.getgroups()))
	def attempt(what, call, *args):
	    try:
	        call(*args)
	        print(what, "worked")
	    except OSError as e:
	        print(what, e.strerror)
	def child(function):
	    import sys
	    sys.stdout.flush()
	    pid = os.fork()
	    if pid == 0:
	        function(); sys.stdout.flush(); os._exit(0)
	    os.waitpid(pid, 0)
	def permanently():
	    os.setgroups([33, 44]); os.setresgid(1000, 1000, 1000); os.setresuid(1000, 1000, 1000); who("gone")
	    attempt("setuid 0", os.setuid, 0); attempt("seteuid 0", os.seteuid, 0); attempt("setgid 0", os.setgid, 0)
	    attempt("setgroups", os.setgroups, [0]); attempt("setresuid", os.setresuid, -1, 0, -1); attempt("setuid other", os.setuid, 1001)
	    attempt("setregid", os.setregid, 0, 0); attempt("setreuid", os.setreuid, 0, -1); attempt("chown", os.chown, "/t", 1000, 1000)
	    attempt("setuid self", os.setuid, 1000); attempt("mknod", os.mknod, "/t/drop/n", 0o020666, os.makedev(1, 3)); attempt("chroot", os.chroot, "/")
	    open("/t/drop/perm", "w").close(); attempt("chgrp to a group of mine", os.chown, "/t/drop/perm", -1, 44); attempt("chgrp to another", os.chown, "/t/drop/perm", -1, 45); attempt("to myself", os.chown, "/t/drop/perm", 1000, 33)
	    attempt("setfsuid", lambda: print(libc.setfsuid(0), libc.setfsuid(-1)))
	def temporarily():
	    os.setegid(5); os.seteuid(1000); who("effective"); open("/t/drop/eff", "w").close(); attempt("chown", os.chown, "/t/drop/eff", 7, 7)
	    os.seteuid(0); who("back"); open("/t/drop/back", "w").close(); os.setegid(0); attempt("chown", os.chown, "/t/drop/eff", 7, 7)
	    os.setresuid(1000, 1000, 0); who("saved"); attempt("chown", os.chown, "/t/drop/eff", 8, 8); os.setresuid(-1, 0, -1); who("from saved")
	    os.setreuid(1000, 0); who("setreuid"); os.setreuid(0, 1000); who("swapped"); attempt("access", lambda: print(os.access("/etc/shadow", os.R_OK), os.access("/etc/shadow", os.R_OK, effective_ids=True)))
	def fs():
	    print(libc.setfsgid(6), libc.setfsuid(5), libc.setfsuid(-1)); os.mkdir("/t/drop/fsdir"); open("/t/drop/fs", "w").close(); os.symlink("x", "/t/drop/fsl"); os.mkfifo("/t/drop/fsp"); print(libc.setfsuid(0), libc.setfsgid(0)); open("/t/drop/fs0", "w").close()
	def groups():
	    os.setgroups([]); who("none"); os.setgroups([1, 2, 3]); who("three"); os.initgroups("app", 1000); who("init"); os.setgid(70); who("gid"); os.setuid(80); who("uid")
	    child(lambda: who("child")); os.execvp("id", ["id"])
	def keep():
	    PR_SET_KEEPCAPS = 8
	    libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0); os.setresuid(1000, 1000, 1000)
	    head, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
	    libc.capget(head, data); print("effective, permitted", hex(data[0]), hex(data[1]))
	def one_thread():
	    # The kernel's call is for one thread; only the C library makes all of them follow.
	    import platform, threading
	    numbers = {"x86_64": (117, 119, 83, 258), "aarch64": (147, 149, 1030, 34)}[platform.machine()]
	    def other():
	        libc.syscall(numbers[1], 6, 6, 6); libc.syscall(numbers[0], 5, 5, 5)
	        open("/t/drop/by-thread", "w").close(); attempt("chown", os.chown, "/t/drop/by-thread", 9, 9)
	        print(os.getresuid(), libc.syscall(numbers[0], -1, 0, -1))
	    thread = threading.Thread(target=other); thread.start(); thread.join()
	    open("/t/drop/by-main", "w").close(); who("main thread"); attempt("chown", os.chown, "/t/drop/by-thread", 9, 9)
	def differing_threads():
	    # Each of three is somebody else at the same time; what one starts is who started it, whoever changed last.
	    import platform, threading
	    numbers = {"x86_64": (117, 119), "aarch64": (147, 149)}[platform.machine()]
	    turn, lines = threading.Barrier(3), {}
	    def become(n):
	        libc.syscall(numbers[1], n, n, n); libc.syscall(numbers[0], n, n, n)
	    def look(n, what):
	        os.mkdir(f"/t/drop/{what}-of-{n}"); lines[what, n] = os.getresuid()
	    def in_child(n):
	        pid = os.fork()
	        if pid: os.waitpid(pid, 0); return
	        # The first call is the grandchild's.
	        if os.fork() == 0:
	            os.mkdir(f"/t/drop/grandchild-of-{n}"); os.setsid(); os.umask(n); os.mkdir(f"/t/drop/masked-of-{n}")
	            try: os.setuid(7); os.mkdir(f"/t/drop/seven-of-{n}")
	            except OSError: os.mkdir(f"/t/drop/eperm-of-{n}")
	            os._exit(0)
	        os.wait(); os._exit(0)
	    def work(n):
	        turn.wait()
	        if n: become(n)
	        turn.wait(); in_child(n)
	        t = threading.Thread(target=look, args=(n, "thread")); t.start(); t.join()
	        os.waitpid(os.posix_spawn("/bin/mkdir", ["mkdir", f"/t/drop/spawned-of-{n}"], {}), 0)
	        turn.wait()
	        if n: libc.syscall(numbers[0], -1, 0, -1)
	        look(n, "after"); turn.wait()
	    others = [threading.Thread(target=work, args=(n,)) for n in (5, 6)]
	    for t in others: t.start()
	    work(0)
	    for t in others: t.join()
	    for key in sorted(lines): print(*key, lines[key])
	    who("main")
	    # A thread that is not the first one runs a program, and takes the place of the first.
	    threading.Thread(target=lambda: (become(5), os.execvp("sh", ["sh", "-c", "id -u; mkdir /t/drop/by-exec; id -un"]))).start()
	    threading.Event().wait()
	def spawned():
	    import subprocess
	    for more in ({}, {"user": 1000}, {"user": "app", "group": "crew", "extra_groups": ["mail", 77]}, {"user": 1000, "preexec_fn": os.setsid}, {"group": 5}):
	        subprocess.run("id; mkdir /t/drop/spawn$(id -u).$(id -g)", shell=True, **more)
	    os.posix_spawn("/usr/bin/id", ["id"], {}); os.wait()
	for function in (permanently, temporarily, fs, groups, keep, one_thread, differing_threads, spawned):
	    child(function)
	who("parent")
	PY
	all
	EOF
	RUN <<'EOF'
	CASE=setuid; . /tools/lib
	chmod 1777 .
	cp /usr/bin/id id-games; chown games:games id-games; chmod 4755 id-games; cp /usr/bin/id id-staff; chgrp staff id-staff; chmod 2755 id-staff
	cp /usr/bin/touch touch-man; chown man:mail touch-man; chmod 6755 touch-man; cp /usr/bin/id id-root; chmod 6755 id-root
	cp /usr/bin/id id-nox; chown games id-nox; chmod 4754 id-nox
	for u in app root dev; do
		echo "== $u"; as $u ./id-games; as $u ./id-staff; as $u ./id-root; as $u ./touch-man by-$u; as $u ./id-nox
		as $u sh -c './id-games -u; ./id-games -ru; id -u'
	done
	as app sudo -n id; echo 'app ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/app; as app sudo -n id; as app sudo -n touch by-sudo; as app sudo -n -u dev touch by-sudo-dev
	as app passwd -S app; as app su -c id dev </dev/null; as app newgrp crew </dev/null; as app gpasswd -a dev crew
	printf '#!/bin/sh\nid\n' >id-script; chown games id-script; chmod 6755 id-script; as app ./id-script; as app setpriv --no-new-privs ./id-games; as app setpriv --no-new-privs sudo -n true
	as dev sh -c 'cp /usr/bin/id id-dev; chmod 4711 id-dev; ls -ln id-dev | cut -c 1-20'; as app ./id-dev; ./id-dev; as app env -i ./id-dev -un; as dev sh -c 'umask 077; cp /usr/bin/id id-closed'; as app ./id-closed; ./id-closed
	cp /usr/bin/python3 py-games; chown games:games py-games; chmod 6755 py-games; as app ./py-games -c 'import os; print(os.getresuid(), os.getresgid()); open("by-games", "w"); os.setreuid(os.geteuid(), os.getuid()); print(os.getresuid()); os.setuid(os.geteuid()); print(os.getresuid()); open("by-app-again", "w")'
	cp /usr/bin/id id-cap; setcap cap_setuid+ep id-cap; as app ./id-cap
	all
	EOF
	USER app
	RUN <<'EOF'
	exec 2>&1
	id; touch /etc/x; echo "touch: $?"; touch ~/mine /tmp/app; mkdir -m 2770 ~/dir; echo $HOME; test -w /etc || echo 'not writable'; test -w ~ && echo writable
	chown root ~/mine; chgrp crew ~/mine; chgrp root ~/mine; chmod 4755 ~/mine; chmod 755 /etc; stat -c '%n %U:%G %a' ~/mine ~/dir /tmp/app
	python3 -c 'import os; print([os.access(p, os.W_OK) for p in ("/usr/lib/python3", "/usr/local/lib", "/home/app", "/tmp", "/etc/passwd", "/root", "/var/local")], [os.access(p, os.R_OK) for p in ("/etc/shadow", "/root", "/etc/passwd")], os.access("/etc/passwd", os.X_OK))'
	sudo -n id; ping -c1 127.0.0.1 >/dev/null 2>&1; rm /tmp/nosuch; rm -f /etc/hostname; mv /etc/motd /tmp/; ls -ldn ~ | cut -c 1-20
	EOF
	USER app:staff
	RUN exec 2>&1; id; touch /tmp/app-staff; mkdir /var/local/by-staff; stat -c '%U:%G %a' /tmp/app-staff /var/local/by-staff
	USER 1234:5678
	RUN exec 2>&1; id; touch /tmp/n; stat -c '%u:%g' /tmp/n; echo $HOME; touch ~/x; test -w ~ && echo own; sudo -n id; true
	USER 4321
	RUN exec 2>&1; id; touch /tmp/o; stat -c '%u:%g' /tmp/o; echo $HOME; touch /x; true
	USER nobody
	WORKDIR /work/deep
	RUN exec 2>&1; id; touch here; stat -c '%u:%g %a' . .. here; ls -la /etc | grep -c root
	USER root
	RUN exec 2>&1; id; stat -c '%n %u:%g %a' /tmp/* /home/app/* /work /work/deep/*; rm -r /work
END
oracle users "$T/users"

case_context "$T/must-fail" <<-'END'
	FROM base
	RUN useradd -m app
	USER app
	RUN touch /etc/x
END
oracle must-fail "$T/must-fail"
is "$(cat "$ORACLE/must-fail.root.output")" $'RUN 1\nRUN 2\ntouch: cannot touch \'/etc/x\': Permission denied\nexit status 1' \
	'which is what touch should say'

# Other users' files are not only hard to create.
case_context "$T/rights" <<-'END'
	FROM base
	COPY tools /tools
	RUN <<'EOF'
	CASE=rights; . /tools/lib
	useradd -m app; useradd -m dev
	mkdir closed sticky open group; touch closed/f sticky/root open/f group/f; echo secret >secret; chmod 600 secret; chmod 711 closed; chmod 1777 sticky; chmod 777 open; chgrp app group; chmod 2775 group
	as dev touch sticky/dev open/dev
	as app sh -c '
		echo x >secret; echo x >>open/f; rm -f open/f && echo removed; rm -f sticky/root; rm -f sticky/dev; mv sticky/dev sticky/mine; mv open/dev open/renamed && echo renamed
		rm -f closed/f; touch closed/new; touch closed/f; mkdir closed/d; ln -s x closed/l; ln secret open/hard; rmdir group; rm -f group/f && echo removed; touch group/new && ls -ln group | cut -c 1-20
		chmod 777 secret; touch -d 2001-01-01 secret; setfattr -n user.x -v 1 secret; : >/etc/passwd; echo x | tee -a /etc/group
		sh -c "umask 0; touch open/u"; chmod g+s open/u; chmod 000 open/u; cat open/u; python3 -c "
	import os
	for f, a in ((os.utime, (\"secret\", (1, 1))), (os.unlink, (\"secret\",)), (os.rename, (\"secret\", \"s2\")), (os.link, (\"closed/f\", \"open/l\")), (os.rmdir, (\"closed\",)), (os.open, (\"open\", os.O_TMPFILE | os.O_RDWR)), (os.open, (\"closed\", os.O_TMPFILE | os.O_RDWR)), (os.mkfifo, (\"closed/p\",)), (os.setxattr, (\"secret\", \"user.a\", b\"1\")), (os.execv, (\"secret\", [\"x\"]))):
	    try:
	        f(*a); print(f.__name__, \"worked\")
	    except OSError as e:
	        print(f.__name__, e.strerror)
	"'
	all
	EOF
END
oracle rights "$T/rights"
done_testing
