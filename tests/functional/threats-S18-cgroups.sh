#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# No step sees the host's cgroups, or can write there.
# needs: userns overlay
# users: range single
. "$(dirname "$0")/../lib.sh"

base_image busybox >/dev/null
import_base busybox
for options in "" --network=none; do
	context "$T/c" <<-EOF
		FROM busybox
		RUN $options ls -A /sys/fs/cgroup | wc -l; mkdir /sys/fs/cgroup/x 2>/dev/null && echo made; \
		  { echo 0 >/sys/fs/cgroup/cgroup.procs; } 2>/dev/null && echo written; \
		  mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null && echo mounted; \
		  mount -o remount,rw /sys 2>/dev/null && echo writable; umount /sys/fs/cgroup 2>/dev/null && echo uncovered; true
	EOF
	works "a step looks for cgroups $options" rb --progress=plain --no-cache "$T/c"
	is "$(sed -nE 's/^#[0-9]+ [0-9]+\.[0-9]{3} //p' <<<"$err")" 0 "there are none, and none can be had $options"
done

done_testing
