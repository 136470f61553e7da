#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# COPY and ADD --chmod: octal and symbolic, against the machine's own chmod.
# users: range single
# needs: userns overlay
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

base_image busybox >/dev/null
import_base busybox base

# --- the table of the unit test says what the real program does, but where BSD's differs

is "$(python3 - "$RB_TEST_SRC/tests/unit/test_mode.c" "$T" <<-'EOT'
	import os, re, subprocess, sys
	rows = re.findall(r'\{"([^"]*)", (0[0-7]*), ([0-7 |]+), (0[0-7]*)\},?(?: */\* differs([^*]*)\*/)?',
	                  open(sys.argv[1]).read())
	file, dir = sys.argv[2] + "/f", sys.argv[2] + "/d"
	open(file, "w").close()
	os.mkdir(dir)
	os.umask(0)
	compared = 0
	for text, before, *wanted, differs in rows:
	    for path, want in zip((file, dir), wanted):
	        want = eval(re.sub(r"0+([0-7]+)", r"0o\1", want)) if want.strip("0") else 0
	        if differs and ("directories" not in differs or path == dir):
	            continue
	        os.chmod(path, int(before, 8))
	        done = subprocess.run(["chmod", "--", text, path], capture_output=True, text=True)
	        got = os.stat(path).st_mode & 0o7777
	        compared += 1
	        if done.returncode or got != want:
	            print(f"{text} of {before}: {got:04o} instead of {want:04o} {done.stderr}")
	print("many" if compared > 120 else compared, "compared")
	EOT
)" 'many compared' 'the modes of the unit test are those of chmod(1)'

# --- through layers

mkdir -p "$T/c/tree/sub" "$T/c/tree/closed"
touch "$T/c/tree/"{plain,exec,sub/mine,suid}
chmod 600 "$T/c/tree/plain"
chmod 744 "$T/c/tree/exec"
chmod 640 "$T/c/tree/sub/mine"
chmod 4755 "$T/c/tree/suid"
chmod 700 "$T/c/tree/closed"
ln -s plain "$T/c/tree/link"
tar -C "$T/c" -cf "$T/c/a.tar" tree
modes=('u=rwX,go=rX' 'a+X' 'go=' 'g=u,o-rwx' '+t' 'u-s,ug+w' '0751')
context "$T/c" <<-EOT
	FROM base
	RUN mkdir -m 711 /there
	$(for mode in "${modes[@]}"; do echo "COPY --chmod=$mode tree /there/x"; done)
	ARG mode=u+x
	COPY --chmod=\$mode tree/plain /var-mode/
	COPY --chmod=g=u,o=u <<here <<there /here/
	a
	here
	b
	there
	ADD --chmod=a-rwx a.tar /archive/
	ADD --chmod=o+w tree/plain /added
	COPY --chmod=711 tree/plain /made/for/it
	COPY --chmod= tree/plain /empty
EOT
works 'builds' rb -o "type=oci,dest=$T/out.oci" "$T/c"
layer=2
for mode in "${modes[@]}"; do
	rm -rf "$T/real"
	cp -a "$T/c/tree" "$T/real"
	find "$T/real" ! -type l -exec chmod "$mode" {} +
	is "$(oci "$T/out.oci" list $layer | grep '^there/x/' | cut -d' ' -f1-3 | sed s,^there/x/,,)" \
		"$(find "$T/real" -mindepth 1 -printf '%P %y %04m\n' | LC_ALL=C sort)" "--chmod=$mode"
	layer=$((layer + 1))
done
is "$(oci "$T/out.oci" list 2 | grep -c '^there/x d 0755 0:0')" 1 'a symbolic mode is not for what has none: DEST'
is "$(oci "$T/out.oci" list 9 | cut -d' ' -f1-3)" "$(printf '%s\n' 'var-mode d 0755' 'var-mode/plain f 0700')" 'variables in it'
is "$(oci "$T/out.oci" list 10 | cut -d' ' -f1-3)" "$(printf '%s\n' 'here d 0755' 'here/here f 0666' 'here/there f 0666')" \
	'heredocs start at 0644'
like "$(oci "$T/out.oci" list 11)" '^archive/tree/plain f 0600 ' 'not for what is in an archive'
is "$(oci "$T/out.oci" list 12 | cut -d' ' -f1-3)" 'added f 0602' 'of ADD'
is "$(oci "$T/out.oci" list 13 | cut -d' ' -f1-3)" "$(printf '%s\n' 'made d 0711' 'made/for d 0711' 'made/for/it f 0711')" \
	'directories that are made get an octal one'
is "$(oci "$T/out.oci" list 14 | cut -d' ' -f1-3)" 'empty f 0600' 'an empty one is none'
# shellcheck disable=SC2016
like "$(oci "$T/out.oci" config)" 'COPY --chmod=u=rwX,go=rX tree /there/x # buildkit' 'history has it as written'
for bad in 999 u+y rwx u+x,; do
	context "$T/c" <<<$'FROM base\n'"COPY --chmod=$bad tree /x"
	fails_with 1 "^rbuild: Dockerfile:2: .*invalid chmod parameter: '${bad//+/\\+}'\. it should be octal string and between 0 and 07777" \
		rb "$T/c"
done

# --- the mode is in the key

context "$T/c" <<<$'FROM base\nCOPY --chmod=u+x tree /x'
rb "$T/c" >"$T/.build" 2>&1
context "$T/c" <<<$'FROM base\nCOPY --chmod=u-x tree /x'
run_command rb --progress plain "$T/c"
like "$(step_states <<<"$err")" '^DONE .*COPY --chmod=u-x' 'another mode is another step'
run_command rb --progress plain "$T/c"
like "$(step_states <<<"$err")" '^CACHED .*COPY --chmod=u-x' 'the same is cached'
done_testing
