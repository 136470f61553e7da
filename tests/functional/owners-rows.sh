#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Owners of what carries no attributes, links, pipes and sockets, through the steps that change them:
# overlay copies them up then, and gives them other numbers.
# users: root
# needs: userns range
# images: debian-owners
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/oracle.sh
. "$RB_TEST_SRC/tests/oracle.sh"
oracle_begin "$(base_image debian-owners)"

case_context "$T/rows" <<-'END'
	FROM base AS one
	COPY tools /tools
	RUN <<'EOF'
	CASE=rows; . /tools/lib
	for op in chmod utime link rename again twice; do
		mkdir $op; mkfifo $op/p; chown 7:8 $op/p; chmod 600 $op/p; ln -s t $op/l; chown -h 9:10 $op/l
	done
	mkdir many; mkfifo many/p; chown 11:12 many/p; ln many/p many/p2; ln many/p many/p3; ln -s t many/l; ln many/l many/l2; chown -h 13:14 many/l
	EOF
	RUN <<'EOF'
	. /tools/lib; cd /t/rows
	chmod 640 chmod/p; touch -h utime/p utime/l; ln link/p link/p2; ln link/l link/l2; mv rename/p rename/p2; mv rename/l rename/l2
	chmod 640 twice/p; chown 20:21 twice/p; chown -h 22:23 twice/l; chmod 644 twice/p; touch -h twice/l; chown :30 again/p; chown -h :31 again/l
	find . \( -type p -o -type l \) -printf '%p %U:%G %m %y\n' | sort
	EOF
	RUN . /tools/lib; cd /t/rows; all
	RUN . /tools/lib; cd /t/rows; chmod 600 */p*; touch -h */l*; all
	RUN . /tools/lib; cd /t/rows; chown 15 many/p2; chown -h 16 many/l2; rm many/p3; all
	RUN . /tools/lib; cd /t/rows; all
	FROM base
	COPY tools /tools
	COPY --from=one /t /t
	RUN . /tools/lib; cd /t; chmod 660 rows/*/p; all
	RUN . /tools/lib; cd /t; all
END
oracle rows "$T/rows"

# A socket is in no layer: while its step's tree is there it is a socket with its owner; a copy is an
# empty file (as other builders make it).
context "$T/sockets" <<-'END'
	FROM base AS one
	RUN mkdir /s && cd /s && python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.bind("sock")' && chown 5:6 sock && touch file
	RUN stat -c 'then %F %u:%g' /s/sock
	FROM base
	COPY --from=one /s /s
	COPY --from=one /s/sock /s/alone
	RUN echo now $(ls /s)
END
oracle_build range sockets "$T/sockets" &
oracle_build single sockets "$T/sockets"
wait $!
for kind in range single; do
	is "$(grep -E '^(then|now)' "$ORACLE/sockets.$kind.output" | sort)" $'now alone file sock\nthen socket 5:6' "sockets: seen in $kind by the steps after"
	is "$(grep '^s/' "$ORACLE/sockets.$kind.tree" | cut -d ' ' -f 1-4)" $'s/alone f 0755 5:6\ns/file f 0644 0:0\ns/sock f 0755 5:6' "sockets: files in the image of $kind"
done
done_testing
