#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What one Dockerfile has made serves another: keys are of operations and content, not of names of files, stages,
# contexts and images.
# needs: userns overlay
# users: range
# images: busybox
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
import_base busybox
import_base busybox same

context "$T/one" <<'EOF'
FROM busybox AS first
WORKDIR /src
COPY dir/file other /src/
RUN cat file other >all && echo ran
FROM busybox
COPY --from=first /src/all /all
RUN echo last
EOF
mkdir "$T/one/dir" && echo file >"$T/one/dir/file" && echo other >"$T/one/other"
works 'one' rb build --progress=plain -o type=cacheonly "$T/one"

mkdir -p "$T/two/deep/er" && cp "$T/one/dir/file" "$T/two/deep/er/file" && cp "$T/one/other" "$T/two/other"
touch -d '2001-01-01' "$T/two/other"
cat >"$T/two/My.Dockerfile" <<'EOF'
# escape=`
ARG BASE=same
from ${BASE} as another
label only=here
workdir /src/
copy deep/er/file other /src/
run cat file other >all && echo ran
cmd ["x"]
from scratch as unused
run false
from busybox as result
copy --from=another /src/./all /all
run echo last
EOF
works 'another' rb build --progress=plain -f "$T/two/My.Dockerfile" -o type=cacheonly "$T/two"
is "$(step_states <<<"$err" | grep -E 'WORKDIR|COPY|RUN' | cut -d ' ' -f 1 | sort | uniq -c | tr -s ' ')" ' 5 CACHED' 'finds all that the first one has made'
sed -i 's/^file$/changed/' "$T/two/deep/er/file"
works 'with other content' rb build --progress=plain -f "$T/two/My.Dockerfile" -o type=cacheonly "$T/two"
is "$(step_states <<<"$err" | grep -E 'WORKDIR|COPY|RUN' | cut -d ' ' -f 1 | sort | uniq -c | tr -s ' ')" ' 1 CACHED
 4 DONE' 'only what comes before it'
done_testing
