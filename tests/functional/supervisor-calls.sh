#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# System calls of a step that have to do with owners and credentials do what they do for real root: see tests/calls.sh.
# users: range single
# needs: userns overlay
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/calls.sh
. "$RB_TEST_SRC/tests/calls.sh"

calls_base "$T/base.tar" || bail_out 'no base'
works 'import' rb import "$T/base.tar" base
for name in $CALLS_PROGRAMS; do
	calls_supported "$name" || continue
	in_a_step "$name"
	is "$(calls_differences "$name")" '' "$name in a step"
done
done_testing
