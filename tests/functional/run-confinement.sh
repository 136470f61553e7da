#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a RUN sees and may do: dockerfile.md 10 and 12, threats.md S23.
# needs: userns overlay
# users: range single
. "$(dirname "$0")/../lib.sh"

base_image busybox >/dev/null
import_base busybox

# step NAME [OPTION...] < Dockerfile: builds it without cache; $err is the progress, $said what steps
# printed, without the times.
step() {
	local name=$1 status
	shift
	context "$T/$name"
	run_command rb --progress=plain --no-cache "$@" "$T/$name"
	status=$?
	said=$(sed -nE 's/^#[0-9]+ [0-9]+\.[0-9]{3} //p' <<<"$err")
	return $status
}

# after LABEL: what the step printed after this label, up to the next
after() { sed -n "/^== $1\$/,/^== /p" <<<"$said" | sed '/^== /d'; }

# --- processes, namespaces, host name

sleep 1000 &
stop_later $!
secret_word=canary-$RANDOM$RANDOM
RB_TEST_SECRET=$secret_word step look <<'EOT' || bail_out "the build failed: $err"
FROM busybox
ENV A=1 B="two words"
ARG C=3
WORKDIR /work/dir
RUN for ns in pid mnt ipc uts cgroup user net; do echo "== $ns"; readlink /proc/self/ns/$ns; done
RUN echo "== pid of shell"; echo $$; echo "== processes"; ls -d /proc/[0-9]*; \
    echo "== host"; hostname; echo "== cwd"; pwd; echo "== umask"; umask; \
    echo "== stdin"; cat; readlink /proc/self/fd/0; echo "== environment"; env | sort; \
    echo "== session"; cut -d' ' -f6 /proc/self/stat; \
    echo "== status"; grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; echo "== end"
RUN echo "== id"; id -u; id -g; echo "== end"
EOT
for ns in pid mnt ipc uts cgroup user; do
	like "$(after $ns)" '^[a-z]+:\[[0-9]+\]$' "the $ns namespace is known"
	isnt "$(after $ns)" "$(readlink /proc/self/ns/$ns)" "and is not that of the host"
done
# run-network.sh has the rest.
case $err in
*"steps share this host's network"*) is "$(after net)" "$(readlink /proc/self/ns/net)" "the network is the host's, which is said" ;;
*) isnt "$(after net)" "$(readlink /proc/self/ns/net)" "the network is a private one" ;;
esac
is "$(after "pid of shell")" 1 "the command is process 1"
is "$(after processes)" /proc/1 "it sees itself only"
is "$(after host)" buildkitsandbox "host name"
is "$(after cwd)" /work/dir "working directory"
is "$(after umask)" 0022 "umask"
is "$(after stdin)" /dev/null "standard input is empty"
is "$(after session)" 1 "it leads its session"
is "$(after id)" $'0\n0' "it is root"
is "$(after environment)" \
	"$(printf '%s\n' A=1 'B=two words' C=3 HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		PWD=/work/dir SHLVL=1)" "the environment is the stage's and HOME (PWD and SHLVL are the shell's)"
unlike "$err" "$secret_word|RB_TEST" "nothing of the caller's environment is seen"
caps='00000000a80425fb'
is "$(after status)" "$(printf '%s\n' CapInh:$'\t'0000000000000000 CapPrm:$'\t'$caps CapEff:$'\t'$caps \
	CapBnd:$'\t'$caps CapAmb:$'\t'0000000000000000 NoNewPrivs:$'\t'0 Seccomp:$'\t'2)" \
	"capabilities, no_new_privs and seccomp"

# By exec form, without a shell in between: 3 is the directory that ls reads.
step descriptors <<'EOT'
FROM busybox
RUN ["ls", "/proc/self/fd"]
EOT
is "$said" $'0\n1\n2\n3' "no descriptor leaks into a step"
step bare <<'EOT'
FROM busybox
RUN ["/bin/env"]
EOT
is "$said" $'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nHOME=/root' \
	"without ENV the environment is PATH and HOME"

# --- /proc, /sys, /dev

step files <<'EOT' || bail_out "the build failed: $err"
FROM busybox
RUN for f in /proc/kcore /proc/keys /proc/timer_list /proc/sysrq-trigger; do [ -e $f ] || continue; \
      echo "== $f"; head -c 1 $f | wc -c; done; \
    for d in /proc/acpi /proc/scsi /sys/firmware /sys/devices/virtual/powercap; do [ -e $d ] || continue; \
      echo "== $d"; ls -A $d | wc -l; done; echo "== end"
RUN for f in /proc/sys/kernel/domainname /proc/sysrq-trigger /proc/irq/default_smp_affinity /sys/kernel/x; do \
      echo "== write $f"; { echo x >$f; } 2>/dev/null && echo written || echo refused; done; \
    echo "== mkdir"; mkdir /sys/x /proc/sys/x /sys/fs/cgroup/x 2>/dev/null || echo refused; echo "== end"
RUN echo "== dev"; ls /dev; echo "== null"; echo x >/dev/null && echo fine; echo "== zero"; head -c 2 /dev/zero | wc -c; \
    echo "== links"; for l in fd stdin ptmx; do readlink /dev/$l; done; echo "== shm"; echo x >/dev/shm/x && echo fine; \
    echo "== chmod"; chmod 600 /dev/null 2>/dev/null || echo refused; \
    echo "== kinds"; find /dev -type b; find /dev -maxdepth 1 -type c | sort; \
    echo "== end"
RUN echo "== hosts"; cat /etc/hosts; echo "== write hosts"; { echo x >>/etc/hosts; } 2>/dev/null || echo refused; \
    echo "== rm resolv"; rm /etc/resolv.conf 2>/dev/null || echo refused; echo "== end"
EOT
for path in /proc/kcore /proc/keys /proc/timer_list /proc/sysrq-trigger; do
	grep -q "^== $path\$" <<<"$said" || continue
	is "$(after "${path//\//.}")" 0 "$path cannot be read"
done
for path in /proc/acpi /proc/scsi /sys/firmware /sys/devices/virtual/powercap; do
	grep -q "^== $path\$" <<<"$said" || continue
	is "$(after "${path//\//.}")" 0 "$path is empty"
done
is "$(grep -c '^written$' <<<"$said")" 0 "nothing of /proc/sys, /proc/irq, /proc/sysrq-trigger and /sys can be written"
is "$(after mkdir)" refused "nor directories made there"
is "$(after dev | tr '\n' ' ')" \
	"core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero " "/dev is minimal"
is "$(after kinds | tr '\n' ' ')" "/dev/full /dev/null /dev/random /dev/tty /dev/urandom /dev/zero " "its devices"
is "$(after null)$(after zero)$(after shm)" fine2fine "they work"
is "$(after chmod)" refused "the host's devices cannot be changed"
is "$(after links | tr '\n' ' ')" "/proc/self/fd /proc/self/fd/0 pts/ptmx " "links of /dev"
is "$(after hosts)" $'127.0.0.1\tlocalhost buildkitsandbox\n::1\tlocalhost ip6-localhost ip6-loopback' "/etc/hosts"
is "$(after "write hosts")$(after "rm resolv")" refusedrefused "/etc/hosts and resolv.conf are read-only"

# Nothing of the mounts is in the layer, not even stubs.
context "$T/layer" <<'EOT'
FROM busybox
RUN echo x >/run/kept && touch /dev/shm/gone
EOT
works "a layer is written" rb -o "type=oci,dest=$T/layer.tar" "$T/layer"
listing=$(oci "$T/layer.tar" list -1)
like "$listing" '^run/kept ' "it has what was written to /run"
unlike "$listing" 'hosts|resolv|gone|^(dev|proc|sys)/.' "/etc/hosts, resolv.conf and what is mounted are not in it"

# --- calls that are refused

step denied <<'EOT' || bail_out "the build failed: $err"
FROM busybox
RUN for c in "mount -t tmpfs t /tmp" "umount /proc" "unshare -U true" "unshare -m true" \
      "mount -o remount,rw /proc/sys" "mount -o bind /proc /tmp" "hostname other" "chroot /proc/1/root/.. true" \
      "nsenter -t 1 -m true" "swapoff -a" "dmesg" "mknod /tmp/sda b 8 0" "mknod /tmp/null c 1 3"; do \
      echo "== $c"; $c >/dev/null 2>&1 && echo worked || echo refused; done; \
    for c in "mkfifo /tmp/fifo" "chroot / true"; do \
      echo "== $c"; $c >/dev/null 2>&1 && echo worked || echo refused; done; echo "== end"
EOT
for call in "mount -t tmpfs t .tmp" "umount .proc" "unshare -U true" "unshare -m true" \
	"mount -o remount,rw .proc.sys" "mount -o bind .proc .tmp" "hostname other" "nsenter -t 1 -m true" "dmesg"; do
	is "$(after "$call")" refused "$call is refused"
done
# Devices are made in the image only (owners-*.sh): what is on disk is an empty file.
for call in "mkfifo .tmp.fifo" "chroot . true" "mknod .tmp.sda b 8 0" "mknod .tmp.null c 1 3"; do
	is "$(after "$call")" worked "$call works"
done

# --- network

step lonely --network=none <<'EOT' || bail_out "the build failed: $err"
FROM busybox
RUN ls /sys/class/net; tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '; ip link show lo | grep -q LOOPBACK,UP && echo up
EOT
is "$(sort -u <<<"$said")" $'lo\nup' "--network=none has only lo, and that is up"
step lonely_flag <<'EOT' || bail_out "the build failed: $err"
FROM busybox
RUN --network=none tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '
EOT
is "$said" lo "RUN --network=none, too"

# --- leftovers

marker=73$RANDOM
step leftovers <<EOT || bail_out "the build failed: $err"
FROM busybox
RUN sleep $marker & (setsid sleep $marker &) ; sleep 0.1; echo left
EOT
is "$said" left "a step ends although it leaves processes"
is "$(processes "sleep $marker")" 0 "and they are killed"

# --- how a command can fail

# fails STATUS-TEXT COMMAND: RUN COMMAND is refused with this end of the message
fails() {
	local want=$1
	printf 'FROM busybox\n%s\n' "$2" >"$T/fail/Dockerfile"
	fails_with 1 "^rbuild: Dockerfile:2: $want" rb --progress=plain "$T/fail"
}
mkdir "$T/fail"
log='\(full log: /.*\.log\)'
fails "process \"/bin/sh -c exit 7\" did not complete successfully: exit code: 7( $log)?$" "RUN exit 7"
fails "process \"/bin/sh -c no-such\" did not complete successfully: exit code: 127( $log)?$" "RUN no-such"
fails 'exec: "no-such": executable file not found in \$PATH$' 'RUN ["no-such"]'
fails 'exec: "/no/such": no such file or directory$' 'RUN ["/no/such"]'
fails 'exec: "/etc/passwd": permission denied$' 'RUN ["/etc/passwd"]'
fails 'exec: "/etc": (permission denied|is a directory)$' 'RUN ["/etc"]'
echo '#!/no/interpreter' >"$T/fail/script" && chmod +x "$T/fail/script"
echo 'neither' >"$T/fail/text" && chmod +x "$T/fail/text"
printf 'FROM busybox\nCOPY script text /\nRUN ["/script"]\n' >"$T/fail/Dockerfile"
fails_with 1 '^rbuild: Dockerfile:3: exec: "/script": its interpreter /no/interpreter is not in the image$' rb "$T/fail"
printf 'FROM busybox\nCOPY script text /\nRUN ["/text"]\n' >"$T/fail/Dockerfile"
fails_with 1 '^rbuild: Dockerfile:3: exec: "/text": exec format error: it is not a program' rb "$T/fail"
printf 'FROM busybox\nSHELL ["/no/shell", "-c"]\nRUN x\n' >"$T/fail/Dockerfile"
fails_with 1 '^rbuild: Dockerfile:3: exec: "/no/shell": no such file or directory: the image has no such shell; .* name another with SHELL' rb "$T/fail"
printf 'FROM scratch\nCOPY text /\nRUN true\n' >"$T/fail/Dockerfile"
fails_with 1 '^rbuild: Dockerfile:3: exec: "/bin/sh": no such file or directory: the image has no such shell; take a base image with one, .*RUN \["program", "argument"\]$' rb "$T/fail"
long=$(printf '%140000s' | tr ' ' x)
for part in 1 2 3; do echo "x='${long:0:50000}' \\"; done >"$T/fail/parts"
{ printf 'FROM busybox\nRUN ' && cat "$T/fail/parts" && echo 'y=1'; } >"$T/fail/Dockerfile"
fails_with 1 '^rbuild: Dockerfile:2: exec: "/bin/sh": argument list too long: an argument has 150[0-9]+ bytes and the kernel takes 131071; COPY the text into a file' \
	rb "$T/fail"
{ printf 'FROM busybox\nENV a=%s\n' "${long:0:60000}" && printf 'ENV b=$a$a$a\nRUN true\n'; } >"$T/fail/Dockerfile"
fails_with 1 '^rbuild: Dockerfile:4: exec: "/bin/sh": argument list too long: the variable b has 180002 bytes and the kernel takes 131071; put its value into a file$' \
	rb "$T/fail"

# Process 1 of a pid namespace ignores what is sent to it; only a fault ends it by a signal. This
# program consists of an instruction that is undefined on x86-64 and arm64 alike.
python3 - "$T/fail/faults" <<'EOT'
import os, struct, sys
base, machine = 0x400000, {"x86_64": 62, "aarch64": 183}.get(os.uname().machine, 0)
header = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, base + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0)
segment = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, 124, 124, 4096)
with open(sys.argv[1], "wb") as file:
    file.write(header + segment + b"\x0f\x0b\0\0")
os.chmod(sys.argv[1], 0o755)
EOT
printf 'FROM scratch\nCOPY faults /\nRUN ["/faults"]\n' >"$T/fail/Dockerfile"
case $(uname -m) in
x86_64 | aarch64)
	fails_with 1 '^rbuild: Dockerfile:3: process "/faults" did not complete successfully: exit code: 132 \(killed by signal 4, Illegal instruction\)' \
		rb "$T/fail"
	;;
esac

# --- users

printf 'FROM busybox\nUSER nobody2\nRUN true\n' >"$T/fail/Dockerfile"
fails_with 1 '^rbuild: Dockerfile:3: unable to find user nobody2: no matching entries in passwd file \(an earlier RUN can make it, or write a number\)$' rb "$T/fail"

user_dockerfile='FROM busybox
USER daemon
WORKDIR /home/d
RUN echo "== id"; id -u; id -g; echo "== caps"; grep -E "^Cap(Eff|Prm|Amb)" /proc/self/status | cut -f2 | sort -u; echo "== home"; echo $HOME; echo "== end"'
step user <<<"$user_dockerfile" || not_ok "USER works" "$err"
is "$(after id)" $'1\n1' "a USER of /etc/passwd has its ids"
[ "$RB_TEST_RUNG" = single ] || # where /proc shows what the kernel knows
	is "$(after caps)" 0000000000000000 "and no capabilities"
is "$(after home)" /usr/sbin "and its HOME"
step chown <<<$'FROM busybox\nRUN touch /x && chown 5:6 /x && stat -c %u:%g /x' || not_ok "chown works" "$err"
is "$said" 5:6 "chown works"
step beyond <<<$'FROM busybox\nUSER 100000000\nRUN id -u && touch /tmp/x && stat -c %u:%g /tmp/x' || not_ok "a USER beyond the range works" "$err"
is "$said" $'100000000\n100000000:0' "a USER beyond the range works"
step root <<<$'FROM busybox\nUSER root\nRUN id -u' || not_ok "USER root works" "$err"
is "$said" 0 "USER root works"
step zero <<<$'FROM busybox\nUSER 0:0\nRUN id -u' || not_ok "USER 0:0 works" "$err"
is "$said" 0 "USER 0:0 works"

done_testing
