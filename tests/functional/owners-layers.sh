#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Owners over many layers: steps on steps, copies between stages, links that steps give away.
# users: root
# needs: userns range
# images: debian-owners
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/oracle.sh
. "$RB_TEST_SRC/tests/oracle.sh"
oracle_begin "$(base_image debian-owners)"

case_context "$T/layers" <<-'END'
	FROM base AS one
	COPY tools /tools
	RUN <<'EOF'
	CASE=l; . /tools/lib
	mkdir -p tree/sub/deep; for i in 1 2 3; do echo $i >tree/f$i; echo $i >tree/sub/g$i; done
	ln tree/f1 tree/hard; ln -s f1 tree/link; mkfifo tree/fifo; ln -s x tree/sub/away; mkdir tree/gone; touch tree/gone/x
	chown -h 5:6 tree/link; chown 7:8 tree/fifo; chown 11:12 tree/f1; chmod 2770 tree/sub; chown 13:14 tree/sub tree/sub/g*; chown -h 15:16 tree/sub/away
	chmod 4755 tree/f2; chown 17:18 tree/f3; setcap cap_net_raw+ep tree/f3
	EOF
	# Everything is seen by the next step as it was left.
	RUN <<'EOF'
	CASE=l; . /tools/lib
	all; agree tree/link tree/fifo tree/f1 tree/sub; getcap tree/f3; cat tree/f1
	cp -a tree copied; (cd copied && all)
	find tree -uid 5 -o -gid 14 | sort; find tree ! -user root -type f | sort; find / -xdev -nouser 2>/dev/null | grep ^/t | sort
	EOF
	# chown -R over lower layers, and over files of the base
	RUN <<'EOF'
	CASE=l; . /tools/lib
	chown -R 100:200 copied; all | grep copied
	chown -R games:games /var/mail /etc/skel; st /var/mail /etc/skel /etc/skel/.bashrc; touch /var/mail/new; st /var/mail/new
	chown -hR --from=0 101:201 copied; chgrp -R 44 /etc/cron.d /etc/alternatives; stat -c '%u:%g' /etc/alternatives/awk
	EOF
	# changes of what lies below: rename, unlink, replace, link, mode only, append
	RUN <<'EOF'
	CASE=l; . /tools/lib
	mv tree/link tree/link2; mv tree/fifo tree/fifo2; mv tree/f1 tree/first; st tree/link2 tree/fifo2 tree/first
	chmod 600 tree/hard; echo more >>tree/sub/g1; ln tree/sub/g2 tree/sub/g2link; chown 19:20 tree/sub/g2link; st tree/hard tree/sub/g1 tree/sub/g2 tree/sub/g2link
	rm tree/sub/away; ln -s y tree/sub/away; st tree/sub/away; rm -r tree/gone; mkdir tree/gone; st tree/gone; mv tree/sub/g3 tree/f3; st tree/f3; getcap tree/f3
	all
	EOF
	# (In a step of its own: the overlay of a user namespace shows the two names of a file of a lower layer
	# that was linked just now as two inodes, and mv, which copies directories of lower layers, believes it.)
	RUN <<'EOF'
	CASE=l; . /tools/lib
	rm tree/f2; echo new >tree/f2; st tree/f2; mv tree/sub tree/sub2 && st tree/sub2 tree/sub2/g1; touch tree/sub2/fresh; mkdir tree/sub2/freshdir
	chmod 640 tree/fifo2; chown -h :22 tree/link2; touch copied/gone/y
	all
	EOF
	# a step that only looks changes nothing; one that moves things to and fro neither
	RUN CASE=l; . /tools/lib; all >/dev/null; agree tree/fifo2 tree/sub2; find / -xdev >/dev/null
	RUN <<'EOF'
	CASE=l; . /tools/lib
	mv tree/link2 tree/l; mv tree/l tree/link2; mv tree /tmp/tree; mv /tmp/tree tree; mkdir /t/new; mv tree/fifo2 /t/new/; mv tree/link2 /t/new/
	cp -a /t/new/. /t/new2; rm -r /t/new; ln -s back /t/new; st /t/new /t/new2/*; rm -f /etc/skel/.profile; mv /etc/skel /etc/skel2; userdel games; st /etc/skel2
	EOF
	USER 13:14
	RUN <<'EOF'
	exec 2>&1; cd /t/l/tree
	cat sub2/g1; echo mine >>sub2/g1; touch sub2/mine; rm sub2/g2; mv sub2/away sub2/kept; touch x; rm first; chmod 700 sub2/g1; chown 13:15 sub2/g1; ls -ln sub2 | cut -d ' ' -f 1-4; true
	EOF
	USER 0

	FROM base AS two
	COPY --from=one /t/l/tree /from-one/
	COPY --from=one /t/l/copied /t/new2 /both/
	COPY --from=one --chown=70:80 /t/l/copied /given
	COPY --chown=1234:5678 tools /tools
	COPY tools/lib /root-owned
	RUN <<'EOF'
	. /tools/lib
	cd /from-one && all; cd /both && all; cd /given && all; st /tools /tools/* /root-owned; getcap /from-one/*
	chown 1:1 /given/f2 /tools/ask; mv /from-one/first /from-one/again; chown -h 2:2 /from-one/link2 /both/link; mv /both/fifo /both/n; rm /both/link2; ln -s x /both/link2
	EOF
	COPY --from=one /t/l/tree /from-one/
	RUN . /tools/lib; cd /from-one && all; cd /both; all
END
oracle layers "$T/layers"

# The cache gives back what was made.
for kind in $oracle_kinds; do
	oracle_as "$kind" ./rbuild --mode "$kind" --root store build --progress=plain -o type=oci,dest=cached,tar=false layers \
		>"$T/cached" 2>&1 || diag "$(cat "$T/cached")"
	is "$(step_states <"$T/cached" | grep RUN | cut -d ' ' -f 1 | uniq)" CACHED "layers: all steps are in the cache of $kind"
	python3 "$RB_TEST_SRC/tests/tree.py" --noise "$ORACLE_NOISE" "$ORACLE/$kind/cached" >"$T/cached.tree"
	is "$(cat "$T/cached.tree")" "$(cat "$ORACLE/layers.$kind.tree")" "layers: the same tree from the cache of $kind"
done
done_testing
