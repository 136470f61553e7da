#!/bin/sh
set -eu
test "$(./hello rbuild)" = "hello, rbuild"
test "$(./hello)" = "hello, nobody"
echo "2 tests passed"
