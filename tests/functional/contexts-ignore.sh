#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Ignore files at random: what COPY and a mount show of a context is what a second reading of dockerfile.md 5.2
# leaves of it. RB_TEST_SEED=N runs another one.
# needs: userns overlay python3
# users: range single
# images: busybox
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
import_base busybox
count=30

mkdir "$T/empty"
for seed in ${RB_TEST_SEED:-1 2}; do
	mkdir "$T/$seed"
	python3 "$RB_TEST_SRC/tests/helpers/ignore.py" make "$T/$seed" "$seed" $count
	mounts='' copies='' options=()
	for ((i = 0; i < count; i++)); do
		mounts+=" --mount=from=c$i,target=/m/$i"
		copies+="COPY --from=c$i . /$i/"$'\n'
		options+=(--build-context "c$i=$T/$seed/c$i")
	done
	context "$T/empty" <<-EOT
		FROM busybox AS mounted
		RUN$mounts cd /m && find . -mindepth 2 >/seen
		FROM scratch
		COPY --from=mounted /seen /seen
		$copies
	EOT
	works "seed $seed builds" rb -q -o "type=local,dest=$T/out$seed" "${options[@]}" "$T/empty" || continue
	want=$(python3 "$RB_TEST_SRC/tests/helpers/ignore.py" left "$T/$seed")
	isnt "$(grep -c / <<<"$want")" 0 'something is left'
	is "$(cd "$T/out$seed" && find . -mindepth 2 | sed 's,^\./,,' | sort)" "$want" 'COPY takes what is left'
	is "$(sed 's,^\./,,' "$T/out$seed/seen" | sort)" "$want" 'a mount shows the same'
done
done_testing
