#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Real root in a chroot prints what tests/data/calls says: the oracle of supervisor-calls is right. See tests/calls.sh.
# users: root
# needs: overlay
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/calls.sh
. "$RB_TEST_SRC/tests/calls.sh"

calls_base "$T/base.tar" || bail_out 'no base'
mkdir "$T/base"
tar -xpf "$T/base.tar" --numeric-owner --xattrs --xattrs-include='*' -C "$T/base" || bail_out 'the base cannot be unpacked'
for name in $CALLS_PROGRAMS; do
	calls_supported "$name" || continue
	said=$(as_real_root "$T/base" "/calls/$name" 2>&1 | cat)
	[ -z "${RB_CALLS_WRITE:-}" ] || echo "$said" >"$RB_TEST_SRC/tests/data/calls/$name.out"
	is "$(here <<<"$said")" "$(calls_expected "$name")" "$name by real root"
done
done_testing
