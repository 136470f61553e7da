#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# How a Dockerfile is read, from its first byte to heredocs: seen by what the steps do.
# needs: userns overlay
# users: range single
# images: busybox
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
import_base busybox

said() { sed -n 's/^#[0-9]* [0-9]*\.[0-9]* //p' <<<"$err"; }
# build < Dockerfile
build() { context "$T/c" && rb build --no-cache --progress=plain -o type=cacheonly "$T/c"; }
# reads NAME WANT < Dockerfile: the steps print this
reads() { works "$1" build && is "$(said)" "$2" "$1: as it should"; }

reads 'escape is a backtick' $'a b\nC:\\dir' <<'EOF'
# escape=`
FROM busybox
RUN echo a `
  b
ENV D=C:\dir
RUN echo "$D"
EOF
reads 'a directive that comes too late' 'x`y' <<'EOF'
# a comment
# escape=`
FROM busybox
RUN echo 'x`y'
EOF
reads 'comments, empty lines and blanks in a continuation' 'a b c' <<'EOF'
from busybox
rUn echo a \
# dropped \
    # dropped too
  b \   

  c
EOF
like "$err" 'NoEmptyContinuation: Empty continuation line \(line 7\)' 'an empty one is told'
printf '\xef\xbb\xbfFROM busybox\r\nRUN echo a \\\r\n  b\r\nRUN echo c' >"$T/crlf"
reads 'CRLF, a byte order mark, no end of line' $'a b\nc' <"$T/crlf"
reads 'the JSON form, and what only looks like it' $'$HOME\nin shell\nyes\nx' <<'EOF'
FROM busybox
RUN ["echo", "$HOME"]
RUN ['echo', 'a'] 2>/dev/null || echo in shell
RUN [ -d / ] && echo yes
RUN ["/bin/sh", "-c", "echo \u0078"]
EOF
reads 'SHELL' 'sh -x: hello' <<'EOF'
FROM busybox
RUN printf '#!/bin/sh\necho "sh -x: $(eval "$1")"\n' >/s && chmod 755 /s
SHELL ["/s"]
RUN echo hello
EOF

# --- heredocs
reads 'a script' $'one\ntwo $x\nin\n3' <<'DOCKERFILE'
FROM busybox
ENV x=3
RUN <<EOF
echo one
# not a comment of the Dockerfile \
echo 'two $x'
cat <<IN
in
IN
echo $x
EOF
DOCKERFILE
reads 'one that names its program' 'by awk 2' <<'DOCKERFILE'
FROM busybox
RUN <<EOF
#!/bin/awk -f
BEGIN { print "by awk", 1 + 1 }
EOF
DOCKERFILE
reads 'for a command, for descriptors, several' $'stdin\nfirst\n$HOME\nsecond\tindented' <<'DOCKERFILE'
FROM busybox
RUN <<EOF cat
stdin
EOF
RUN cat <<A - 3<<-"B" <<C >/dev/null; cat /dev/fd/3 3<<X ; sed -n p <<"E" && cat <<-Y
none
A
none
B
none
C
first
X
$HOME
E
	second	indented
	Y
DOCKERFILE
context "$T/c" <<'DOCKERFILE'
FROM scratch
ENV v=value
COPY <<one <<"two" <<-three /dir/
$v \$v \\ 'q' "q"
one
$v \$v
two
	tab $v
		tabs
	three
ADD <<x /y
${v:-z}
x
DOCKERFILE
works 'files' rb build -q -o "type=oci,dest=$T/out.oci" "$T/c"
is "$(oci "$T/out.oci" cat 0 dir/one)" "value \$v \\ 'q' \"q\"" 'variables and escapes, quotes are data'
is "$(oci "$T/out.oci" cat 0 dir/two)" '$v \$v' 'a quoted delimiter: nothing'
is "$(oci "$T/out.oci" cat 0 dir/three)" $'tab value\ntabs' 'without tabs'
is "$(oci "$T/out.oci" cat 1 y)" value 'a file name'
is "$(oci "$T/out.oci" list 0 | grep '^dir/' | cut -d ' ' -f 3-4 | sort -u)" '0644 0:0' 'mode and owner'

# --- errors have their lines
context "$T/c" <<<$'FROM busybox\n\nRUN echo a \\\n  && false\n\nUSER x'
fails_with 1 '^rbuild: Dockerfile:3: process ' rb build "$T/c"
like "$err" '^   3 \| >>> RUN echo a \\$' 'the first line'
like "$err" '^   4 \| >>>   && false$' 'and the last'
like "$err" '^   1 \|     FROM busybox$|^   2 \| ' 'with those around'
for bad in 'FRMO x|unknown instruction: FRMO \(did you mean FROM\?\)' 'RUN --mout=x y|unknown flag: --mout \(did you mean --mount\?\)' 'CMD --help|unknown flag: --help' \
	'COPY a|COPY requires at least two arguments, but only one was provided' 'RUN <<E|unterminated heredoc' $'COPY a <<E\nE|COPY cannot accept a heredoc as a destination' \
	'ENV a|ENV must have two arguments' 'RUN ["a", 1]|arrays must be comprised of strings only' "ENV a=\${b|syntax error: missing '}'" 'ENV a="b|looking for matching double-quote'; do
	context "$T/c" <<<$'FROM busybox\n'"${bad%%|*}"
	fails_with 1 "Dockerfile:2: .*${bad#*|}|${bad#*|}" rb build "$T/c"
done
done_testing
