#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What packages and their daemons do in steps: a database made by its own user, apt's sandbox, processes
# that outlive their parents, many files made while others change owners.
# users: root
# needs: userns range
# images: debian-owners
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/oracle.sh
. "$RB_TEST_SRC/tests/oracle.sh"
oracle_begin "$(base_image debian-owners)"

case_context "$T/services" <<-'END'
	FROM base
	COPY tools /tools
	COPY repository /srv/repository
	RUN <<'EOF'
	. /tools/lib
	bin=/usr/lib/postgresql/15/bin; data=/var/lib/postgresql/data
	install -d -o postgres -g postgres -m 2775 /var/run/postgresql
	su postgres -c "$bin/initdb -D $data -A trust --no-sync --no-locale -E UTF8 >/tmp/initdb.log 2>&1; echo initdb: \$?"
	su postgres -c "$bin/pg_ctl -D $data -o '-c listen_addresses= -c fsync=off' -w -t 60 -l /tmp/server.log start >/dev/null; echo start: \$?"
	psql -U postgres -Atc "select current_user, 6*7"; su postgres -c 'createdb app; psql -Atc "create table t as select generate_series(1,1000) i; copy (select 1) to '"'/tmp/copied'"'" app'
	stat -c '%n %U:%G %a' /tmp/copied /var/run/postgresql/.s.PGSQL.5432 $data $data/PG_VERSION $data/base $data/postmaster.pid
	su postgres -c "$bin/pg_ctl -D $data -w -m fast stop >/dev/null; echo stop: \$?"
	find $data ! -user postgres -o ! -group postgres -o -perm /077; find $data -type d -printf '%m\n' | sort | uniq -c
	$bin/initdb -D /tmp/as-root; echo "as root: $?"
	tail -n 1 /tmp/server.log | cut -d ' ' -f 5-
	rm -r $data /tmp/*.log
	EOF
	RUN <<'EOF'
	. /tools/lib
	rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*; echo 'deb [trusted=yes] file:/srv/repository ./' >/etc/apt/sources.list; chmod 700 /srv/repository
	apt-get update >/tmp/log; echo "closed: $?"; chmod 755 /srv/repository
	apt-get update 2>&1 | grep -E '^(E|W|Err)'
	apt-cache policy owners-test | head -n 3; st /var/lib/apt/lists/partial /var/cache/apt/archives/partial /var/lib/apt/lists/lock
	apt-get download owners-test 2>&1 | tail -n 1; rm -f *.deb /tmp/log
	apt-get -y -q install owners-test 2>&1 | grep -E '^(Setting|E:|W:|dpkg)'; find /var/lib/owners-test -printf '%P %U:%G %m\n' | sort; dpkg -V owners-test; id owners-test
	apt-get -y -q purge owners-test 2>&1 | grep -E '^(Purging|E:|W:|dpkg)'; ls /var/lib/owners-test
	rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log /var/lib/dpkg/*-old
	EOF
	RUN <<'EOF'
	CASE=daemons; . /tools/lib
	useradd worker; chmod 777 .
	cat >daemon.py <<'PY'
	import os, sys, time
	who, out = int(sys.argv[1]), sys.argv[2]
	def fork():
	    if os.fork():
	        os._exit(0)
	if who:
	    os.setgroups([]); os.setgid(who); os.setuid(who)
	fork(); os.setsid(); fork(); os.chdir("/"); os.umask(0)
	# Nobody waits for it but process 1 of the step.
	while os.getppid() not in (1,):
	    time.sleep(0.01)
	if not who and len(sys.argv) > 3:
	    os.setgid(int(sys.argv[3])); os.setuid(int(sys.argv[3]))
	with open(out + ".tmp", "w") as file:
	    print(os.getresuid(), os.getresgid(), os.getgroups(), oct(os.stat(out + ".tmp").st_mode), os.stat(out + ".tmp").st_uid, file=file)
	    try:
	        os.chown(out + ".tmp", 0, 0); print("chown worked", file=file)
	    except OSError as e:
	        print("chown", e.strerror, file=file)
	os.rename(out + ".tmp", out)
	PY
	pids=
	for n in 1 2 3 4 5 6; do python3 daemon.py $((1000 + n)) /t/daemons/out$n & done
	python3 daemon.py 0 /t/daemons/out7; python3 daemon.py 0 /t/daemons/out8 3000
	start-stop-daemon --start --background --make-pidfile --pidfile /t/daemons/pid --chuid worker --exec /bin/sh -- -c 'id >/t/daemons/out9.tmp; mv /t/daemons/out9.tmp /t/daemons/out9'
	wait; for n in 1 2 3 4 5 6 7 8 9; do i=0; until [ -e out$n ] || [ $((i += 1)) -gt 200 ]; do sleep 0.05; done; done
	cat out*; rm pid; all
	EOF
	RUN <<'EOF'
	CASE=parallel; . /tools/lib
	cat >Makefile <<'MAKE'
	.RECIPEPREFIX := >
	all: $(foreach n,0 1 2 3 4 5 6 7 8 9,$(addprefix out/$(n),0 1 2 3 4 5 6 7 8 9))
	out/%:
	>@mkdir -p out/$*.d && cd out/$*.d && for i in 1 2 3 4 5 6 7 8 9 10; do echo $$i >f$$i; : >g$$i; rm g$$i; mkdir d$$i; done; mv f1 ../$*; ln -s f2 l; ln f3 h
	MAKE
	mkdir out; (while [ ! -e done ]; do chown -R 1234:5678 out; chown -hR 4321:8765 out; done) 2>/dev/null & other=$!
	setpriv --reuid 0 make -s -j8 all; : >done; wait $other
	chown -hR 1234:5678 out; rm done; find out -printf '%y %U:%G %m\n' | sort | uniq -c
	(as nobody sh -c 'i=0; while [ $i -lt 200 ]; do mkdir /tmp/n$i && : >/tmp/n$i/f; i=$((i+1)); done') & (i=0; while [ $i -lt 200 ]; do mkdir /tmp/r$i && : >/tmp/r$i/f; i=$((i+1)); done) & (i=0; while [ $i -lt 200 ]; do : >/tmp/x$i; chown 5:5 /tmp/x$i; mv /tmp/x$i /tmp/y$i; rm /tmp/y$i; i=$((i+1)); done) & wait
	find /tmp -mindepth 1 -printf '%U:%G %m %y %P\n' | tr -d 0-9 | sort | uniq -c; find /tmp -mindepth 1 -printf '%y %U:%G %m\n' | sort | uniq -c
	python3 - <<'PY'
	import os, threading
	os.mkdir("threads")
	def work(n):
	    for i in range(50):
	        name = f"threads/{n}-{i}"
	        os.close(os.open(name, os.O_CREAT | os.O_WRONLY)); os.chown(name, n, i); assert os.stat(name).st_uid == n and os.stat(name).st_gid == i
	        if i % 2:
	            os.unlink(name)
	        # Numbers of links and pipes that went away are taken again at once, by the other threads too.
	        os.symlink("x", name + "l"); os.chown(name + "l", n, i, follow_symlinks=False); st = os.lstat(name + "l"); assert (st.st_uid, st.st_gid) == (n, i), st
	        os.rename(name + "l", name + "m"); st = os.lstat(name + "m"); assert (st.st_uid, st.st_gid) == (n, i), st
	        os.unlink(name + "m"); os.mkfifo(name + "p"); st = os.lstat(name + "p"); assert (st.st_uid, st.st_gid) == (0, 0), st
	        os.chown(name + "p", i, n); os.unlink(name + "p"); os.symlink("y", name + "l"); st = os.lstat(name + "l"); assert (st.st_uid, st.st_gid) == (0, 0), st
	        if i % 3:
	            os.unlink(name + "l")
	threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 9)]
	for t in threads: t.start()
	for t in threads: t.join()
	PY
	find threads -type f -printf '%f %U-%G\n' | awk '$1 != $2' | head; find threads -type f | wc -l
	EOF
END
mkdir -p "$T/services/repository/package/DEBIAN"
cat >"$T/services/repository/package/DEBIAN/control" <<-'EOT'
	Package: owners-test
	Version: 1.0
	Architecture: all
	Maintainer: nobody <nobody@example.com>
	Description: gives files away while it is installed
EOT
cat >"$T/services/repository/package/DEBIAN/postinst" <<-'EOT'
	#!/bin/sh
	set -e
	useradd --system --user-group --no-create-home owners-test
	chown -R owners-test: /var/lib/owners-test
	chmod 2750 /var/lib/owners-test
	dpkg-statoverride --update --add owners-test mail 4750 /usr/bin/owners-test
	su -s /bin/sh owners-test -c 'umask 077; echo state >/var/lib/owners-test/state'
EOT
cat >"$T/services/repository/package/DEBIAN/postrm" <<-'EOT'
	#!/bin/sh
	set -e
	[ "$1" != purge ] || { userdel owners-test; dpkg-statoverride --remove /usr/bin/owners-test; rm -r /var/lib/owners-test; }
EOT
(
	cd "$T/services/repository" || exit
	chmod 755 package/DEBIAN/p*
	mkdir -p package/usr/bin package/var/lib/owners-test/sub
	cp /bin/true package/usr/bin/owners-test
	echo data >package/var/lib/owners-test/sub/data
	chmod -R go-w package
	dpkg-deb --root-owner-group --build package owners-test_1.0_all.deb >/dev/null && rm -r package
	dpkg-scanpackages --multiversion . >Packages 2>/dev/null
) || bail_out 'no repository'
oracle services "$T/services"
done_testing
