# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the tests of the supervisor share, on top of lib.sh: a base image with the programs of
# tests/helpers that make many system calls, and real root in a chroot, who is always right.
#
# What a program prints there is kept in tests/data/calls/PROGRAM.out. The test supervisor-oracle
# compares real root with these files, supervisor-calls every mode of rbuild: so both agree, and each
# can be run where the other cannot. After a change of a program, real root writes its file anew:
#	RB_CALLS_WRITE=1 tests/functional/supervisor-oracle.sh

# shellcheck disable=SC2034 # for the tests
CALLS_PROGRAMS='calls-ids calls-tasks calls-files calls-xattrs calls-paths'

# The capabilities of a step: dockerfile.md 10.5.
STEP_CAPS=chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,net_raw,sys_chroot,mknod,audit_write,setfcap

# calls_base TAR [PROGRAM...]: busybox, the programs in /calls, and files with owners in /lower.
calls_base() {
	local out=$1
	shift
	BUSYBOX=$(base_image busybox) OUT=$out HELPERS=$RB_TEST_BUILD/tests/helpers craft "$@" <<-'EOT'
		layer = Layer(os.environ["BUSYBOX"])
		layer.directory("calls")
		for name in os.listdir(os.environ["HELPERS"]):
		    if name.startswith("calls-") and "." not in name:
		        with open(os.path.join(os.environ["HELPERS"], name), "rb") as program:
		            layer.file("calls/" + name, program.read(), mode=0o755)
		caps = bytes.fromhex("0100000200040000000000000000000000000000")
		layer.directory("lower", uid=1000, gid=2000).directory("lower/dir", 0o2775, uid=3, gid=4)
		layer.file("lower/file", b"file", uid=1000, gid=2000).file("lower/dir/file", b"inner", mode=0o640, uid=5, gid=6)
		layer.hardlink("lower/twin", "lower/file").symlink("lower/link", "file", uid=7, gid=8)
		layer.fifo("lower/fifo", mode=0o620, uid=9, gid=10).char("lower/null", 1, 3, mode=0o666, uid=0, gid=5)
		layer.block("lower/sda", 8, 0, mode=0o660, gid=6).file("lower/suid", b"s", mode=0o6755, uid=11, gid=12)
		layer.file("lower/caps", b"c", mode=0o755, xattrs={"security.capability": caps})
		layer.file("lower/ldap", b"l", mode=0o640, uid=1000, gid=1000).file("lower/attr", b"a", xattrs={"user.a": b"1"})
		layer.directory("lower/sticky", 0o1777).file("lower/sticky/theirs", b"t", mode=0o666, uid=3, gid=4)
		layer.write(os.environ["OUT"])
	EOT
}

# as_real_root DIR COMMAND...: in a fresh overlay over DIR, with the capabilities of a step. For root.
as_real_root() {
	local dir=$1 upper
	shift
	upper=$(mktemp -d "$T/root-XXXXXX")
	mkdir "$upper/upper" "$upper/work" "$upper/merged"
	# shellcheck disable=SC2016 # the inner shell's
	unshare --mount --pid --fork --ipc --uts bash -c '
		set -e
		cd "$1"
		mount -t overlay -o "lowerdir=$2,upperdir=upper,workdir=work" overlay merged
		cd merged
		mount -t proc proc proc
		mount -t tmpfs -o mode=755 dev dev
		for name in null zero full random urandom tty; do
			: >"dev/$name"
			mount --bind "/dev/$name" "dev/$name"
			mount -o remount,bind,ro,nosuid,noexec "dev/$name"
		done
		mkdir -m 1777 dev/shm
		ln -s /proc/self/fd dev/fd
		for name in stdin stdout stderr; do ln -s "/proc/self/fd/$((fd++))" "dev/$name"; done
		umask 022
		exec env -i PATH=/bin:/sbin HOME=/root setpriv --groups=0 --inh-caps=-all \
			--bounding-set="-all,+${3//,/,+}" busybox chroot . "${@:4}"
	' bash "$upper" "$dir" "$STEP_CAPS" "$@" </dev/null
}

# calls_supported NAME: the expected answers are those of Linux 6.11 or later, where the newest of the calls
# (fchmodat2 and empty paths) say what they still say today.
calls_supported() {
	local major minor
	IFS=.- read -r major minor _ <<<"$(uname -r)"
	[ "$((major * 1000 + minor))" -ge 6011 ] || ! skip "$1" linux-6.11 "Linux $(uname -r) answers otherwise"
}

# here < OUTPUT: without what only another architecture can say
here() { if [ "$(uname -m)" = x86_64 ]; then cat; else grep -v '^32: '; fi; }

calls_expected() { here <"$RB_TEST_SRC/tests/data/calls/$1.out"; }

# in_a_step PROGRAM [ARG]: what it prints in a RUN over the image "base", by the rung's own way.
# shellcheck disable=SC2154 # err is lib.sh's
in_a_step() {
	printf 'FROM base\nRUN ["/calls/%s"%s]\n' "$1" "${2:+, \"$2\"}" | context "$T/step-$1"
	run_command rb --progress=plain --no-cache "$T/step-$1" || diag "$1: $(tail -n 2 <<<"$err")"
	said=$(sed -nE 's/^#[0-9]+ [0-9]+\.[0-9]{3} //p' <<<"$err")
}

# calls_differences PROGRAM: how $said differs from what real root would have said, known differences left out
calls_differences() {
	here <<<"$said" >"$T/got"
	calls_expected "$1" >"$T/want"
	python3 "$RB_TEST_SRC/tests/calls.py" "$RB_TEST_RUNG" "$1" "$T/got" "$T/want" "$RB_TEST_SRC/tests/data/calls/differences"
}
