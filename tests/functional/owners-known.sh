#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The differences to real root that doc/modes.md names: they are as it says, no more and no less. A line
# that is missing here because both sides agree is good news for doc/modes.md.
# users: root
# needs: userns range
# images: debian-owners
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/oracle.sh
. "$RB_TEST_SRC/tests/oracle.sh"
oracle_begin "$(base_image debian-owners)"

case_context "$T/known" <<-'END'
	FROM base
	COPY tools /tools
	RUN echo x >/lower
	RUN <<'EOF'
	CASE=write; . /tools/lib
	cp /bin/true a; chmod 6755 a; echo x >>a; st a
	EOF
	RUN <<'EOF'
	CASE=devices; . /tools/lib
	mknod c c 1 3; chown 5:6 c; st c; find . -type c; cp -a c copy; st copy; echo lost >c; stat -c %s c
	EOF
	RUN <<'EOF'
	. /tools/lib
	ln lower linked; touch -r /etc/passwd linked; [ lower -ef linked ] && echo one || echo two
	EOF
	RUN <<'EOF'
	CASE=other; . /tools/lib
	useradd app; echo text >secret; chmod 600 secret; mkdir closed; touch closed/f; chmod 700 closed
	as app cat secret; as app ls closed; as app stat -c %n closed/f; as app sh -c 'cd closed && echo entered'
	as app perl -e 'truncate("secret", 2) or print "truncate: $!\n"'; as app sh -c 'kill -0 1 && echo signalled'
	as app grep -E '^(Uid|Groups|CapEff)' /proc/self/status | tr '\t' ' '
	EOF
	RUN [ lower -ef linked ] && echo one || echo two
	RUN <<'EOF'
	CASE=slack; . /tools/lib
	python3 - <<'PY'
	import ctypes, platform, threading
	libc = ctypes.CDLL(None)
	def slack(what):
	    before = libc.prctl(30, 0, 0, 0, 0); libc.prctl(29, 70000, 0, 0, 0)
	    print(what, "default" if before == 50000 else "above" if 50000 < before < 50100 else before, libc.prctl(30, 0, 0, 0, 0) == 70000)
	def other():
	    libc.syscall({"x86_64": 119, "aarch64": 149}[platform.machine()], 5, 5, 5); slack("a thread that differs:")
	thread = threading.Thread(target=other); thread.start(); thread.join(); slack("its process:")
	PY
	EOF
	# Last: where there is such an owner range emulates all further steps as single does.
	RUN <<'EOF'
	CASE=beyond; . /tools/lib
	touch f; chown 197609:1000000 f; st f; cp -a f g; st g; mkdir d; chgrp 1000000 d; chmod 2755 d; touch d/in; st d/in
	EOF
END
oracle_build_all known "$T/known"

# expect KIND < LINES: "-" what real root prints and "+" what the mode prints
expect() {
	local want
	want=$(cat)
	[[ " $oracle_kinds " != *" $1 "* ]] || is "$(oracle_diff known "$1" output)" "$want" "known: $1"
}

# The kernel clears set-id bits at a write unless CAP_FSETID is one of the host's. To stat and to readdir a
# device is the empty file that it is on disk, and an owner beyond the range root. The overlay of a user
# namespace forgets, until the next step, that a name linked just now is the same file of a lower layer.
expect range <<-'EOT'
	-a regular file 0:0 6755 1
	+a regular file 0:0 755 1
	-c character special file 5:6 644 1
	-./c
	-copy character special file 5:6 644 1
	-0
	+c regular empty file 0:0 644 1
	+copy regular empty file 0:0 644 1
	+5
	-one
	+two
	-f regular empty file 197609:1000000 644 1
	-g regular empty file 197609:1000000 644 1
	-d/in regular empty file 0:1000000 644 1
	+f regular empty file 0:0 644 1
	+g regular empty file 0:0 644 1
	+d/in regular empty file 0:0 644 1
EOT
# Opening what exists and asking about it, and signals, are not for the supervisor; /proc shows the one id
# that the kernel knows. Where a thread has another its timer slack is not its own.
expect single <<-'EOT'
	-a regular file 0:0 6755 1
	+a regular file 0:0 755 1
	-./c
	-one
	+two
	-cat: secret: Permission denied
	-ls: cannot open directory 'closed': Permission denied
	-stat: cannot statx 'closed/f': Permission denied
	-sh: 1: cd: can't cd to closed
	-truncate: Permission denied
	-sh: 1: kill: Operation not permitted
	-
	-Uid: 1000 1000 1000 1000
	-Groups: 1000 
	-CapEff: 0000000000000000
	+text
	+f
	+closed/f
	+entered
	+signalled
	+Uid: 0 0 0 0
	+Groups:  
	+CapEff: 00000000a80425fb
	-a thread that differs: default True
	+a thread that differs: above False
EOT
done_testing
