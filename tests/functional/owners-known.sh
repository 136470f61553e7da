#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The differences to real root that doc/modes.md names: they are as it says, no more and no less. A case
# that fails here because both sides agree is good news for doc/modes.md.
# users: root
# needs: userns range
# images: debian-owners
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/oracle.sh
. "$RB_TEST_SRC/tests/oracle.sh"
oracle_begin "$(base_image debian-owners)"

# differs NAME KIND [LINE...]: exactly these lines of the output, "-" of real root and "+" of the mode
differs() {
	local name=$1 kind=$2
	shift 2
	[[ " $oracle_kinds " == *" $kind "* ]] || return 0
	is "$(oracle_diff "$name" "$kind" output)" "$(printf '%s\n' "$@")" "$name: $kind"
}

# The kernel clears set-id bits at a write unless CAP_FSETID is one of the host's.
case_context "$T/write" <<-'END'
	FROM base
	COPY tools /tools
	RUN CASE=write; . /tools/lib; cp /bin/true a; chmod 6755 a; echo x >>a; st a
END
oracle_build_all write "$T/write"
for kind in range single; do
	differs write "$kind" '-a regular file 0:0 6755 1' '+a regular file 0:0 755 1'
done

# Devices are empty files on disk. range answers no stat; readdir tells types in neither mode.
case_context "$T/devices" <<-'END'
	FROM base
	COPY tools /tools
	RUN <<'EOF'
	CASE=devices; . /tools/lib
	mknod c c 1 3; chown 5:6 c; st c; find . -type c; cp -a c copy; st copy; echo lost >c; stat -c %s c
	EOF
	RUN . /tools/lib; cd /t/devices; cat copy
END
oracle_build_all devices "$T/devices"
differs devices range '-c character special file 5:6 644 1' '-./c' '-copy character special file 5:6 644 1' \
	'-0' '+c regular empty file 0:0 644 1' '+copy regular empty file 0:0 644 1' '+5'
differs devices single '-./c'

# range: an owner beyond the range is in the image, the step sees root.
case_context "$T/beyond" <<-'END'
	FROM base
	COPY tools /tools
	RUN <<'EOF'
	CASE=beyond; . /tools/lib
	touch f; chown 197609:1000000 f; st f; cp -a f g; st g; mkdir d; chgrp 1000000 d; chmod 2755 d; touch d/in; st d/in
	EOF
END
oracle_build_all beyond "$T/beyond"
differs beyond range '-f regular empty file 197609:1000000 644 1' '-g regular empty file 197609:1000000 644 1' \
	'-d/in regular empty file 0:1000000 644 1' '+f regular empty file 0:0 644 1' \
	'+g regular empty file 0:0 644 1' '+d/in regular empty file 0:0 644 1'
differs beyond single

# The overlay of a user namespace cannot remember that a linked file of a lower layer was one inode, until
# the next step.
case_context "$T/inode" <<-'END'
	FROM base
	COPY tools /tools
	RUN mkdir /t; echo x >/t/f
	RUN exec 2>&1; cd /t; ln f g; touch -r /etc/passwd g; [ f -ef g ] && echo one || echo two; stat -c '%h' f g
	RUN exec 2>&1; cd /t; [ f -ef g ] && echo one || echo two; stat -c '%h' f g
END
oracle_build_all inode "$T/inode"
for kind in range single; do
	differs inode "$kind" '-one' '+two'
done

# single: what opens a file without making one, and signals, are not asked about; /proc shows the one id
# that the kernel knows.
case_context "$T/other" <<-'END'
	FROM base
	COPY tools /tools
	RUN <<'EOF'
	CASE=other; . /tools/lib
	useradd app; echo text >secret; chmod 600 secret; mkdir closed; touch closed/f; chmod 700 closed
	as app cat secret; as app ls closed; as app sh -c 'cd closed && echo entered'; as app perl -e 'truncate("secret", 2) or print "truncate: $!\n"'; as app sh -c 'kill -0 1 && echo signalled'
	as app grep -E '^(Uid|Groups|CapEff)' /proc/self/status | tr '\t' ' '
	EOF
END
oracle_build_all other "$T/other"
differs other range
differs other single '-cat: secret: Permission denied' "-ls: cannot open directory 'closed': Permission denied" \
	"-sh: 1: cd: can't cd to closed" '-truncate: Permission denied' '-sh: 1: kill: Operation not permitted' '-' \
	'-Uid: 1000 1000 1000 1000' '-Groups: 1000 ' '-CapEff: 0000000000000000' '+text' '+f' '+entered' '+signalled' \
	'+Uid: 0 0 0 0' '+Groups:  ' '+CapEff: 00000000a80425fb'
done_testing
