#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The helper of a private network has no more rights than it needs, and does not outlive its build.
# (What takes a word on the command line: run-options.sh "privileges", run-network.sh.)
# users: root
# needs: root userns overlay ip pasta slirp4netns setpriv unshare
# images: debian
. "$(dirname "$0")/../own-host.sh"

slirp() { grep -ls '^Name:.slirp4netns' /proc/[0-9]*/status | head -n 1 | xargs -r dirname; }
slirp_runs() { [ "$(slirp)" ]; }

be rb-range
dockerfile <<<$'FROM debian\nSHELL ["/bin/bash", "-c"]\nRUN exec 3<>/dev/tcp/192.0.2.1/8000; exec sleep 60'
for program in pasta slirp4netns; do
	start 2>/dev/null
	if [ $program = pasta ]; then
		wait_for 10 helpers_are 1 || not_ok "pasta runs"
		sleep 0.5
		helper=$(helpers)
	else
		wait_for 10 slirp_runs || not_ok "slirp4netns runs"
		sleep 0.5
		helper=$(slirp)
	fi
	status=$(cat "$helper/status")
	like "$status" $'^NoNewPrivs:\t1$' "$program gains no privilege"
	like "$status" $'^Seccomp:\t2$' "$program has a filter"
	like "$status" $'^CapEff:\t0000000000(000000|000400|200000|200400)$' "$program keeps none that matters"
	like "$status" $'^CapBnd:\t0000000000(201000|000400|201500)$' "$program could never get more than it needs to begin with"
	is "$(ls "$helper/root/" 2>/dev/null | grep -cvE '^(etc|run|tmp|var)$')" 0 "$program sees nothing of this host's files"
	is "$(readlink "$helper"/fd/* 2>/dev/null | grep -cF "$T")" 0 "$program has no descriptor of the build"
	unlike "$(tr '\0' '\n' <"$helper/environ")" "^(HOME|TMPDIR|RB_TEST)" "$program has nothing of the caller's environment"

	kill -9 $pid && wait $pid 2>/dev/null
	gone() { ! grep -qs "^State:.[^Z]" "$helper/status"; }
	wait_for 5 gone && ok "kill -9 of the build ends $program" || not_ok "kill -9 of the build ends $program"
	[ $program = slirp4netns ] || mount --bind /dev/null "$(realpath /usr/bin/pasta)"
done

done_testing
