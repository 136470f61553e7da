# shellcheck shell=bash disable=SC2154 # $out is set by works
# SPDX-License-Identifier: Apache-2.0
# Reads images back with the tools of others; for tests that have sourced lib.sh.

# readback ARCHIVE NAME: skopeo, umoci, podman and python3 agree that this is a sound image. Leaves the
# bundle of umoci at ARCHIVE.d.
readback() {
	local archive=$1 name=$2
	inspects "$archive" "$name"
	works "$name: umoci unpacks it" unpack_oci "$archive" "$archive.d"
	podman_loads "$archive" "$name"
}

# inspects ARCHIVE NAME: the part of it that unpacks nothing.
inspects() {
	local archive=$1 name=$2
	works "$name: digests, sizes, diff IDs and history agree" oci "$archive" check || diag "$out"
	works "$name: skopeo inspects it" skopeo inspect "oci-archive:$archive" &&
		is "$(grep -Ec '^ +"sha256:[0-9a-f]{64}",?$' <<<"$out")" "$(oci "$archive" layers)" \
			"$name: skopeo sees each layer"
}

# base_kept ARCHIVE NAME: owners and modes that only a Debian base knows. Leaves the listing in $T/tree.
base_kept() {
	oci "$1" tree >"$T/tree"
	is "$(grep -E '^(etc/shadow|var/mail|usr/bin/su) ' "$T/tree" | cut -d ' ' -f 1-4)" \
		$'etc/shadow f 0640 0:42\nusr/bin/su f 4755 0:0\nvar/mail d 2775 0:8' "$2: owners of the base"
}

# podman without the machine's configuration, on a storage of its own. A user with one id can only
# load what it may give to itself.
podman_own() {
	XDG_RUNTIME_DIR=$podman_run podman --root "$podman_run/storage" --runroot "$podman_run/root" --storage-driver overlay \
		--storage-opt overlay.ignore_chown_errors=true --cgroup-manager cgroupfs --events-backend file "$@"
}

# podman_loads ARCHIVE NAME: and finds in it the ID that the manifest has.
podman_loads() {
	local id podman_run
	# podman takes no path of more than 50 characters here, and $T is often longer.
	podman_run=$(mktemp -d /tmp/rb-XXXXXX)
	id=$(oci "$1" manifest | sed -n '/"config"/,/}/s/^  "digest": "\(.*\)",$/\1/p')
	works "$2: podman loads it" podman_own load -q -i "$1" &&
		is "$(podman_own images -q --no-trunc 2>/dev/null)" "$id" "$2: podman finds the image ID"
	kill "$(cat "$podman_run/libpod/tmp/pause.pid" 2>/dev/null)" 2>/dev/null
	remove_tree "$podman_run"
}

# bundle_runs BUNDLE [ARG...]: runs the command of umoci's bundle, or another one, by runc. Without a
# terminal, which a test has not.
bundle_runs() {
	local bundle=$1
	shift
	python3 - "$bundle/config.json" "$@" <<-'EOT'
		import json, sys
		path, args = sys.argv[1], sys.argv[2:]
		with open(path) as file:
		    spec = json.load(file)
		spec["process"]["terminal"] = False
		spec["process"]["args"] = args or spec["process"]["args"]
		with open(path, "w") as file:
		    json.dump(spec, file)
	EOT
	runc --root "$T/runc" --rootless true run --bundle "$bundle" "rbuild-test-$$" </dev/null
}

# chroot_runs BUNDLE COMMAND...: in its root file system, without any runtime.
chroot_runs() {
	local bundle=$1
	shift
	unshare --user --map-root-user chroot "$bundle/rootfs" "$@"
}
