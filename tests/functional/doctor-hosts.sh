#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What doctor says on hosts that are made up: other files in /etc, helpers without their bits,
# switches and filters that forbid things. All of it in private mount namespaces.
# needs: userns overlay
# users: root
# shellcheck disable=SC2016 # setups are expanded inside of the made-up host
. "$(dirname "$0")/../lib.sh"

unshare --mount --propagation private mount -t tmpfs tmpfs /media 2>/dev/null || skip_all "root may not mount here"
plain=$("$RB_TEST_SRC/tests/run" --make-user range) || bail_out "no user for the test"
uid=$(id -u "$plain") gid=$(id -g "$plain")
filter=$RB_TEST_SRC/tests/helpers/filter.py
python3 "$filter" acct=EPERM -- true || skip_all "no seccomp filter can be made here"
python=$(python3 -c 'import os, sys; print(os.path.realpath(sys.executable))')

# Files for the made-up hosts; /media is a tmpfs in each.
printf '%s:300000:65536\n' "$plain" >"$T/name"
printf '%s:300000:65536\n' "$uid" >"$T/number"
printf '%s:300000:100\n' "$plain" >"$T/few"
printf '%s:300000:65536\n' somebody >"$T/others"
printf '4242:300000:65536\n' >"$T/nameless"
printf 'passwd: files\nsubid: ldap\n' >"$T/nsswitch"
mkdir "$T/sys"
echo 1 >"$T/one"
echo 0 >"$T/zero"

# host SETUP COMMAND...: COMMAND as the plain user (by $become) after SETUP as root. In SETUP, `ids
# UIDS GIDS` puts those files in the place of /etc/subuid and /etc/subgid, `tools` makes /usr/bin
# writable for this host alone.
preamble='set -e
T=$1 setup=$2
shift 2
mount -t tmpfs -o mode=755 tmpfs /media
mkdir -m 700 /media/store /media/c
mkdir -m 755 /media/x
cp "$RBUILD" /media/rbuild && chmod 755 /media/rbuild
chown "$uid:$gid" /media/store /media/c
ids() { mount --bind "$T/$1" /etc/subuid && mount --bind "$T/$2" /etc/subgid; }
tools() {
	mkdir /media/x/up /media/x/work
	mount -t overlay -o "lowerdir=/usr/bin,upperdir=/media/x/up,workdir=/media/x/work" overlay /usr/bin
}
sysctls() {
	cp -r "$T/sys" /media/x/kernel && mkdir -p /media/x/kernel/random
	cat /proc/sys/kernel/random/boot_id >/media/x/kernel/random/boot_id
	for name; do echo "${name#*=}" >"/media/x/kernel/${name%%=*}"; done
	mount --bind /media/x/kernel /proc/sys/kernel
}
eval "$setup"
cd /
exec "$@"'
become=()
filtered=()
host() {
	local setup=$1
	shift
	RBUILD=$RBUILD uid=$uid gid=$gid unshare --mount --propagation private bash -c "$preamble" host "$T" "$setup" \
		"${filtered[@]}" "${become[@]}" "$@"
}
as() { become=(setpriv --reuid "$1" --regid "$2" --clear-groups "${@:3}"); }
# under RULE...: the filter for the following hosts; none: no filter
under() { if [ $# = 0 ]; then filtered=(); else filtered=("$python" "$filter" "$@" --); fi; }

# report NAME SETUP: sets $out to doctor's JSON, boiled down to lines KEY=VALUE
report() {
	works "$1" host "$2" /media/rbuild --root /media/store doctor --format json || return
	out=$(python3 -c '
import json, sys
report = json.load(sys.stdin)
print("mode=" + report["mode"])
print("uids=%s" % report.get("uids", 0))
for kind, name in (("modes", "mode"), ("checks", "name")):
    for entry in report[kind]:
        print("%s=%s" % (entry[name], "ok" if entry["ok"] else "no"))
        for key in ("why", "found", "unlock"):
            if key in entry:
                print("%s %s=%s" % (entry[name], key, entry[key]))' <<<"$out")
}
says() { like "$out" "^$1\$" "${2:-$1}"; }

as "$uid" "$gid"

# --- where subordinate ids come from

report "ids by name" 'ids name name'
says 'mode=range'
says 'uids=65537'
report "ids by number" 'ids number number'
says 'mode=range'
report "few ids" 'ids few few'
says 'mode=range'
says 'uids=101'
says 'subordinate ids found=101 uids and 101 gids; owners beyond are kept beside the files'
report "no ids" 'ids others others'
says 'mode=single'
says "range why=$plain \(uid $uid\) has no subordinate ids in /etc/subuid and /etc/subgid"
says "range unlock=sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $plain" "a range that is free"
report "no gids" 'ids name others'
says "range why=$plain \(uid $uid\) has no subordinate ids in /etc/subgid"
says "range unlock=sudo usermod --add-subgids 100000-165535 $plain" "gids only"

# The line helps: usermod works on the files of this host alone.
report "the line is followed" 'mkdir /media/x/etc /media/x/w && mount -t overlay -o lowerdir=/etc,upperdir=/media/x/etc,workdir=/media/x/w overlay /etc &&
	cp "$T/others" /etc/subuid && cp "$T/others" /etc/subgid &&
	usermod --add-subuids 100000-165535 --add-subgids 100000-165535 '"$plain"
says 'mode=range' "and gives range"

# A user whom only a directory knows: here a record of systemd's, asked for by getent.
as 4242 4242
report "a user without a name" 'ids nameless nameless'
says 'mode=single'
says 'helper privilege found=newuidmap serves only users who have a name, and nobody knows one for uid 4242'
says 'range unlock=echo u4242:x:4242:4242::/:/bin/sh \| sudo tee -a /etc/passwd' "a line that makes one"
report "that line is followed" 'ids nameless nameless && cp /etc/passwd /media/x/passwd && echo u4242:x:4242:4242::/:/bin/sh >>/media/x/passwd &&
	mount --bind /media/x/passwd /etc/passwd'
says 'mode=range' "and gives range"
report "without getent" 'ids others others && mount --bind /dev/null /usr/bin/getent'
says 'mode=single'
says 'range why=the user with uid 4242 has no subordinate ids in /etc/subuid and /etc/subgid; newuidmap serves only .*'
says 'range unlock=echo 4242:100000:65536 \| sudo tee -a /etc/subuid /etc/subgid && echo u4242.*' "one line for both"
report "a name from the directory" 'ids others others && tools && rm /usr/bin/getent &&
	printf "#!/bin/sh\n[ \"\$1 \$2\" = \"passwd 4242\" ] && echo jane:x:4242:4242::/home/jane:/bin/sh\n" >/usr/bin/getent && chmod 755 /usr/bin/getent'
says 'range why=jane \(uid 4242\) has no subordinate ids in /etc/subuid and /etc/subgid'
says 'range unlock=echo 4242:100000:65536 \| sudo tee -a /etc/subuid /etc/subgid' "usermod cannot change such a user"
# The same for newuidmap, which asks the C library: here systemd's module with a record of a user.
printf 'passwd: files systemd\n' >"$T/nss-systemd"
printf 'jane:300000:65536\n' >"$T/jane"
echo '{"userName":"jane","uid":4242,"gid":4242,"homeDirectory":"/home/jane","shell":"/bin/sh"}' >"$T/jane.user"
record='mount -t tmpfs -o mode=755 tmpfs /run && mkdir /run/userdb && cp "$T/jane.user" /run/userdb && ln -s jane.user /run/userdb/4242.user &&
	mount --bind "$T/nss-systemd" /etc/nsswitch.conf'
if [ "$(become=() && host "$record" getent passwd 4242 2>/dev/null | cut -d: -f1)" = jane ]; then
	report "ids by a name from the directory" "ids jane jane && $record"
	says 'mode=range'
	says 'uids=65537'
fi
as "$uid" "$gid"

report "ids from a directory" 'ids name name && mount --bind "$T/nsswitch" /etc/nsswitch.conf && tools && rm /usr/bin/getsubids &&
	printf "#!/bin/sh\necho \"0: x 300000 1000\"\n" >/usr/bin/getsubids && chmod 755 /usr/bin/getsubids'
says 'uids=1001' "are those that getsubids names"
report "none in the directory" 'ids name name && mount --bind "$T/nsswitch" /etc/nsswitch.conf && tools && ln -sf false /usr/bin/getsubids'
says 'mode=single'
says "range why=$plain \(uid $uid\) has no subordinate ids in ldap \(subid: in /etc/nsswitch.conf\)"
report "a directory and no getsubids" 'ids name name && mount --bind "$T/nsswitch" /etc/nsswitch.conf && tools && rm /usr/bin/getsubids'
says 'range why=subordinate ids come from ldap \(subid: in /etc/nsswitch.conf\), and getsubids, which asks it, is not installed'

# --- helpers

report "no helpers" 'ids name name && tools && rm /usr/bin/newuidmap /usr/bin/newgidmap'
says 'mode=single'
says 'range why=newuidmap and newgidmap are not installed'
says 'range unlock=sudo apt-get install uidmap' "the package"
report "neither ids nor helpers" 'ids others others && tools && rm /usr/bin/newuidmap /usr/bin/newgidmap'
says "range unlock=sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $plain && sudo apt-get install uidmap" \
	"one line for both"
report "a helper without its bit" 'ids name name && tools && chmod u-s /usr/bin/newgidmap'
says 'mode=single'
says 'range why=/usr/bin/newgidmap is neither setuid root nor has it the file capability cap_setgid'
says 'range unlock=sudo chmod u\+s /usr/bin/newgidmap'
if command -v setcap >/dev/null; then
	report "helpers with file capabilities" 'ids name name && tools && chmod u-s /usr/bin/new[ug]idmap &&
		setcap cap_setuid=ep /usr/bin/newuidmap && setcap cap_setgid=ep /usr/bin/newgidmap'
	says 'mode=range' "serve as well"
fi
report "a helper of another owner" 'ids name name && tools && chown 1 /usr/bin/newuidmap && chmod 4755 /usr/bin/newuidmap'
says 'range why=/usr/bin/newuidmap is setuid, but its owner \(uid 1 here\) is not root'
report "helpers on nosuid" 'ids name name && mount --bind /usr/bin /usr/bin && mount -o remount,bind,nosuid /usr/bin'
says 'mode=single'
says 'range why=/usr/bin/newuidmap cannot serve, because /usr/bin is mounted with nosuid'
says 'range unlock=sudo mount -o remount,bind,suid /usr/bin'
report "a helper on noexec" 'ids name name && mount --bind /usr/bin/newuidmap /usr/bin/newuidmap && mount -o remount,bind,noexec /usr/bin/newuidmap'
says 'range why=/usr/bin/newuidmap cannot serve, because /usr/bin/newuidmap is mounted with noexec'
as "$uid" "$gid" --no-new-privs
report "no_new_privs" 'ids name name'
says 'mode=single'
says 'range why=newuidmap can gain no privilege: no_new_privs is set on this process'
report "no_new_privs, and no helpers" 'ids name name && tools && rm /usr/bin/newuidmap'
says 'range why=newuidmap can gain no privilege: no_new_privs is set on this process; newuidmap and newgidmap are not installed'
says 'range unlock=start the container .*; then sudo apt-get install uidmap' "what a shell cannot do is kept apart"
as "$uid" "$gid" --bounding-set -setgid
report "a bounding set without setgid" 'ids name name'
says 'mode=single'
says 'range why=newgidmap can gain no privilege: cap_setgid is not in the bounding set of this process'
says 'range unlock=start the container with --cap-add SETUID --cap-add SETGID'
as "$uid" "$gid"

# --- what forbids user namespaces

under clone:0x10000000=EPERM clone3=ENOSYS unshare:0x10000000=EPERM
report "a filter that forbids user namespaces" 'ids name name'
says 'mode=none'
says 'single why=a seccomp filter around this process forbids user namespaces or mounts'
says 'single unlock=.*seccomp=unconfined.*'
says 'range why=a seccomp filter around this process forbids user namespaces or mounts' "the same bars range"
works "in a pod" host 'ids name name' env KUBERNETES_SERVICE_HOST=x /media/rbuild --root /media/store doctor
like "$out" '-> put seccompProfile: \{type: Unconfined\} into the securityContext of the container$' "the line for pods"
fails_with 1 '^rbuild: a seccomp filter around this process forbids user namespaces or mounts; rbuild doctor says what would help$' \
	host 'printf "FROM scratch\nCOPY Dockerfile /\n" >/media/c/Dockerfile && chmod 755 /media/c' /media/rbuild --root /media/store /media/c
report "user namespaces for root only" 'ids name name && sysctls unprivileged_userns_clone=0'
says 'single why=user namespaces are for root only \(kernel.unprivileged_userns_clone = 0\)'
says 'single unlock=sudo sysctl -w kernel.unprivileged_userns_clone=1'
under mount=EACCES
report "AppArmor: namespaces without mounts" 'ids others others && sysctls apparmor_restrict_unprivileged_userns=1'
says 'mode=none'
says 'single why=AppArmor lets only listed programs mount in a user namespace \(kernel.apparmor_restrict_unprivileged_userns = 1\)'
says 'range unlock=printf .* && sudo apparmor_parser -r /etc/apparmor.d/rbuild && sudo usermod .*' "one line for all"
line=$(sed -nE 's/^single unlock=(printf .*) \| sudo tee .*/\1/p' <<<"$out")
is "$(sh -c "$line")" 'abi <abi/4.0>,
profile rbuild "/media/rbuild" flags=(unconfined) {
  userns,
}' "the profile is for this very program"
under
report "a chroot" 'ids name name && cd /media/x && mkdir root root/proc root/media root/usr && mount -t proc proc root/proc &&
	mount --rbind /media root/media && mount --rbind /usr root/usr && cp -Pr /lib* root 2>/dev/null
	exec chroot /media/x/root "$@"'
says 'mode=none'
says 'single why=rbuild runs inside a chroot, where the kernel refuses user namespaces'
become=(setpriv --bounding-set -setfcap --inh-caps -setfcap)
under acct=EPERM
report "root without CAP_SETFCAP" 'chown 0:0 /media/store'
under
says 'mode=none'
says 'single why=root without CAP_SETFCAP may not map itself into a user namespace'
says 'range why=root without CAP_SETFCAP may not map itself into a user namespace' "and nothing else bars range"
says 'single unlock=start the container with --cap-add SETFCAP'
become=()
report "real root" 'ids name name && chown 0:0 /media/store'
says 'mode=range'
says 'uids=4294967295'
as "$uid" "$gid"

# --- what the supervisor of single needs

under seccomp=EINVAL
report "no user notification" 'ids others others'
says 'mode=single'
says 'emulated owners found=no seccomp user notification \(Invalid argument\): a step cannot change owners that its ids do not hold'
under acct=notify
report "another listener" 'ids others others'
says 'emulated owners found=no seccomp user notification \(Device or resource busy\), as another supervisor watches this process already: .*'
under pidfd_getfd=EPERM
report "no descriptors of others" 'ids others others'
says 'emulated owners=no'
under process_vm_readv=EPERM
report "no look into processes" 'ids others others'
says 'emulated owners found=processes may not look into each other \(Operation not permitted\): .*'
says 'emulated owners unlock=kernel.yama.ptrace_scope must be below 3 .*'
under ioctl=EINVAL
report "no SYNC_WAKE_UP" 'ids others others'
says 'emulated owners found=seccomp user notification works(: .*)?; without SYNC_WAKE_UP \(Linux 6.6\) it is slower'
under

# --- a container's /proc, and places for the store

report "a /proc that is partly hidden" 'ids name name && mount -t tmpfs tmpfs /proc/fs'
says 'procfs=no'
says 'mode=range'
report "a store on noexec" 'ids name name && mount --bind /media/store /media/store && mount -o remount,bind,noexec /media/store'
says 'mode=range'
says 'overlay=ok' "steps run there through the overlay"

# --- few ids: the rest is in the ledger

under
printf 'FROM busybox\nCOPY --chown=70000:80000 Dockerfile /copied\nRUN touch /made && chown 50:60 /made\n' >"$T/Dockerfile"
tar=$(base_image busybox)
works "a build with few ids" host 'ids few few && cp "$T/Dockerfile" /media/c && cp "'"$tar"'" /media/x/busybox.tar && chmod 755 /media/c' \
	sh -c '/media/rbuild --root /media/store import /media/x/busybox.tar busybox && /media/rbuild --root /media/store --progress=plain -o type=oci,dest=/media/store/oci.tar /media/c &&
		cat /media/store/oci.tar >&3' 3>"$T/oci.tar"
like "$(oci "$T/oci.tar" tree)" 'copied.*70000:80000|70000:80000.*copied' "an owner beyond is kept"
like "$(oci "$T/oci.tar" tree)" 'made.*50:60|50:60.*made' "an owner within is real"

done_testing
