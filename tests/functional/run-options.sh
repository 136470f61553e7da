#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the command line says of all steps (dockerfile.md 8.1): --add-host, --ulimit, --shm-size,
# --hostname, --allow and limits; --security and --device of RUN (3.2); proxies (3.14); and what of
# it is in the keys of steps (6.1).
# needs: userns overlay
# users: range single
. "$(dirname "$0")/../lib.sh"

base_image busybox >/dev/null
import_base busybox
mkdir "$T/c"

# step [OPTION...] < Dockerfile: builds $T/c; $err is the progress, $said what steps printed
step() {
	cat >"$T/c/Dockerfile"
	again "$@"
}
again() {
	local status
	run_command rb --progress=plain "$@" "$T/c"
	status=$?
	said=$(sed -nE 's/^#[0-9]+ [0-9]+\.[0-9]{3} //p' <<<"$err")
	return $status
}
# Whether the one RUN was run: the cache of a step is asked for by its options.
is_cached() { is "$(step_states <<<"$err" | grep -c '^CACHED .*RUN ')$said" 1 "$1"; }
is_run() { isnt "$said" "" "$1"; }
refused() {
	local want=$1 status=$2
	shift 2
	fails_with "$status" "^rbuild: (build: )?$want" rb --progress=plain "$@" "$T/c"
}

# --- hosts

dockerfile=$'FROM busybox\nRUN cat /etc/hosts; hostname; df -k /dev/shm | tail -n 1; ulimit -n; ulimit -Hn; ulimit -c'
step --add-host a.example:192.0.2.1 --add-host 'b=[2001:db8::1],c:::1' --add-host "d=[192.0.2.2]" <<<"$dockerfile" ||
	not_ok "--add-host" "$err"
is "$(tail -n +3 <<<"$said" | head -n 4)" "$(printf '%s\t%s\n' 192.0.2.1 a.example 2001:db8::1 b ::1 c 192.0.2.2 d)" \
	"--add-host in all its forms"
again --add-host a.example:192.0.2.99 --add-host b:::2 --add-host c=::3,d=::4
is_cached "addresses are not in the key"
again --add-host a.example:192.0.2.99 --add-host b:::2 --add-host c=::3
is_run "names are"
again --network=none --add-host hub:host-gateway
like "$said" $'^127.0.0.1\thub$' "host-gateway without a network is this host"
for bad in a a: :1.2.3.4 a:1.2.3 'a b:1.2.3.4' 'a#:1.2.3.4' a:host a=1.2.3.4.5 $'a\nb:1.2.3.4' 'a:[::1' a:::g; do
	refused "--add-host: invalid host " 2 --add-host "$bad"
done

# --- limits

again --ulimit nofile=100:200 --ulimit core=0
is "$(tail -n 3 <<<"$said")" $'100\n200\n0' "--ulimit"
again --ulimit core=0:0 --ulimit nofile=1:1 --ulimit nofile=100:200
is_cached "the last of a name counts, in any order"
again --ulimit nofile=100:201 --ulimit core=0
is_run "limits are in the key"
is "$(ulimit -Sn 77; again --no-cache; tail -n 3 <<<"$said" | head -n 2)" "77
$(ulimit -Hn)" "without it they are the caller's"
again --no-cache --ulimit locks=5 --ulimit memlock=4096
is_run "all kinds can be given"
refused '--ulimit x: invalid ulimit argument' 2 --ulimit x
refused '--ulimit nofiles=1: invalid ulimit type: nofiles \(did you mean nofile\?\)' 2 --ulimit nofiles=1
refused '--ulimit nofile=a: a limit is a number' 2 --ulimit nofile=a
refused '--ulimit nofile=1:2:3: a limit is a number' 2 --ulimit nofile=1:2:3
refused '--ulimit nofile=: a limit is a number' 2 --ulimit nofile=
refused '--ulimit nofile=2:1: ulimit soft limit must be less than or equal to hard limit' 2 --ulimit nofile=2:1
refused '--ulimit core=-1:5: ulimit soft limit must be less' 2 --ulimit core=-1:5
refused "Dockerfile:2: --ulimit: a limit above the hard limit of this process \([0-9]+\) takes root" 1 \
	--ulimit nofile=1:999999999

again --shm-size 3m
like "$said" '^[^ ]+ +3072 ' "--shm-size"
again --shm-size 3072KiB
is_cached "in any unit"
again --no-cache --shm-size 0
like "$said" '^[^ ]+ +65536 ' "0 is the usual size"
refused "--shm-size: invalid size: 'x'" 2 --shm-size x

# --- host name

again --hostname one.example
is "$(sed -n 3p <<<"$said")" one.example "--hostname"
like "$said" $'^127.0.0.1\tlocalhost one.example$' "in /etc/hosts, too"
again --hostname one.example --build-arg BUILDKIT_SANDBOX_HOSTNAME=two
is "$(sed -n 3p <<<"$said")" two "BUILDKIT_SANDBOX_HOSTNAME wins"
again --build-arg BUILDKIT_SANDBOX_HOSTNAME=two
is_cached "the name is in the key, wherever it comes from"
for bad in 'a b' $'a\nb' "$(printf %065d 0)" a/b; do
	refused '--hostname .*: a host name has letters' 2 --hostname "$bad"
	refused 'Dockerfile:2: --build-arg BUILDKIT_SANDBOX_HOSTNAME=.*: a host name has letters' 2 --build-arg "BUILDKIT_SANDBOX_HOSTNAME=$bad"
done

# --- privileges (threats S24)

insecure=$'FROM busybox\nRUN --security=insecure grep -E "^(CapEff|CapBnd|Seccomp):" /proc/self/status; [ -e /dev/kmsg ] && echo kmsg; \
    { echo x >/proc/sysrq-trigger; } 2>/dev/null && echo trigger; umount /proc/sysrq-trigger 2>/dev/null && echo unmasked; \
    hostname other && hostname; mkdir /mnt; mount -t tmpfs none /mnt 2>/dev/null && grep -o "/mnt tmpfs" /proc/self/mounts; ls /dev | tr "\\n" " "'
cat >"$T/c/Dockerfile" <<<"$insecure"
refused 'Dockerfile:2: RUN --security=insecure needs the entitlement security.insecure.*--allow security.insecure$' 1
refused 'Dockerfile:2: RUN --security=insecure needs' 1 --allow network.host
works "a check needs no entitlement" rb check "$T/c"
works "--security=insecure works where it is allowed" again --allow security.insecure
all=$(printf %016x $(((1 << ($(cat /proc/sys/kernel/cap_last_cap) + 1)) - 1)))
[ "$RB_TEST_RUNG" = range ] && filter=0 || filter=2 # that of the supervisor
is "$(grep -E '^Cap|^Sec' <<<"$said")" $'CapEff:\t'$all$'\nCapBnd:\t'$all$'\nSeccomp:\t'$filter "all capabilities and no filter"
unlike "$said" '^(kmsg|trigger|unmasked)$' "but no further devices, and what is masked stays so"
like "$said" '^other$' "its host name is its own"
[ "$RB_TEST_RUNG" = single ] || like "$said" '^/mnt tmpfs$' "it can mount"
is "$(hostname)" "$(uname -n)" "and this host keeps its name"
cat >"$T/c/Dockerfile" <<<"${insecure/insecure/sandbox}"
again --allow security.insecure
isnt "$(grep CapEff <<<"$said")" $'CapEff:\t'$all "--security=sandbox is not insecure, and has another key"
printf 'FROM busybox\nRUN --security=x y\n' >"$T/c/Dockerfile"
refused 'Dockerfile:2: dockerfile parse error on line 2: security "x" is not valid' 1
printf 'FROM busybox\nRUN --network=x y\n' >"$T/c/Dockerfile"
refused 'Dockerfile:2: dockerfile parse error on line 2: invalid network mode "x"' 1
printf 'FROM busybox\nRUN true\n' >"$T/c/Dockerfile"
refused '--allow: unknown entitlement "networkhost" \(did you mean network.host\?\)' 2 --allow networkhost
refused '--network is default, none or host, not "bridge"' 2 --network bridge
# Nothing of an image switches the confinement off (S25).
works "a base with labels" rb -q --label io.security=insecure -t evil "$T/c"
step --no-cache <<<$'FROM evil\nENV BUILDKIT_SECURITY=insecure security=insecure\nLABEL security.insecure=1\nRUN grep CapEff /proc/self/status'
is "$said" $'CapEff:\t00000000a80425fb' "labels and variables do not"

# --- devices

step <<<$'FROM busybox\nRUN --device=vendor.example/class=one echo went on' || not_ok "an optional device" "$err"
like "$err" '^#[0-9]+ WARN: the CDI device vendor.example/class=one is not available' "an optional device that is not there is said"
is "$said" "went on" "and done without"
printf 'FROM busybox\nRUN --device=vendor.example/class=one,required true\n' >"$T/c/Dockerfile"
refused 'Dockerfile:2: RUN --device: the step requires the CDI device vendor.example/class=one' 1

# --- what takes cgroups

printf 'FROM busybox\nRUN true\n' >"$T/c/Dockerfile"
refused '--resource is not supported: .*systemd-run' 1 --resource memory=1g
refused '--cgroup-parent is not supported: ' 1 --cgroup-parent /x
works "old options are taken" again --memory 1g -m 1g --memory-swap 2g --cpu-shares 2 --cpuset-cpus 0 --security-opt x --isolation default --squash
is "$(grep -c 'has no meaning for rbuild and is ignored$' <<<"$err")" 8 "each with a notice"

# --- proxies

cat >"$T/c/Dockerfile" <<'EOF'
FROM busybox
ENV https_proxy=http://of.image:1
RUN env | grep -i proxy | sort
EOF
marker=proxy-$RANDOM$RANDOM
args=(--build-arg "HTTP_PROXY=http://$marker:1" --build-arg "https_proxy=http://$marker:2" --build-arg "No_Proxy=$marker" --build-arg "all_proxy=a" --build-arg FTP_PROXY=)
works "proxies" again "${args[@]}" -o "type=oci,dest=$T/proxy.tar"
is "$said" "$(printf '%s\n' ALL_PROXY=a FTP_PROXY= HTTPS_PROXY=http://$marker:2 HTTP_PROXY=http://$marker:1 NO_PROXY=$marker \
	all_proxy=a ftp_proxy= http_proxy=http://$marker:1 https_proxy=http://$marker:2 no_proxy=$marker)" \
	"both spellings reach the step, instead of an ENV"
is "$(oci "$T/proxy.tar" config | grep -c "$marker")" 0 "they are not in config or history"
is "$(oci "$T/proxy.tar" get '.config.Env' | grep -c of.image)" 1 "the ENV is"
is "$(grep -rl "$marker" "$RB_ROOT" | grep -v '/logs/' | wc -l)" 0 "nor in the store, but for the log of what the step printed"
again --build-arg HTTP_PROXY=http://other:1
is_cached "nor in the key"
cat >"$T/c/Dockerfile" <<'EOF'
FROM busybox
ARG HTTP_PROXY
RUN echo $HTTP_PROXY
EOF
again --build-arg HTTP_PROXY=http://one:1 -o "type=oci,dest=$T/declared.tar"
is "$said" http://one:1 "a declared one is an ARG"
like "$(oci "$T/declared.tar" config)" 'one:1' "which history shows"
again --build-arg HTTP_PROXY=http://two:1
is "$said" http://two:1 "and the key has"

done_testing
