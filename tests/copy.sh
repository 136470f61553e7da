# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For tests of COPY and ADD, after tests/lib.sh: one context, $T/c, and one result, $T/out.oci.

# names LAYER: path, type, mode and owner of what one layer of $T/out.oci has
names() { oci "$T/out.oci" list "$1" | cut -d' ' -f1-4 | tr '\n' ' ' | sed 's/ $//'; }
# build < Dockerfile: builds $T/c into $T/out.oci, plain progress in $err; errors are diagnosed, and
# no earlier result is left for the checks that follow.
build() {
	context "$T/c"
	rm -f "$T/out.oci"
	run_command rb --progress plain -o "type=oci,dest=$T/out.oci" "$T/c" || diag "$err"
}
