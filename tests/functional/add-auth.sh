#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Credentials of URLs and git repositories: where they go, where they do not, and that no byte that a
# build leaves behind or shows holds one (dockerfile.md 3.10; threats S34, S39). git over ssh.
# users: range single
# needs: userns overlay python3 git ssh-agent ssh-add ssh-keygen
# shellcheck disable=SC2119
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/web.sh
. "$RB_TEST_SRC/tests/web.sh"

start_web
cd "$T" || exit 1
echo hello | serve f
git init -q -b main inner && (cd inner && echo i >i && git add i && git commit -qm i) && publish "$T/inner"
git init -q -b main repo && (
	cd repo && git -c protocol.file.allow=always submodule --quiet add "$T/inner" sub 2>/dev/null
	git config -f .gitmodules submodule.sub.url "http://$OTHER/git/inner.git"
	git add . && git commit -qm repo
) && publish "$T/repo"
token=tok$(head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n')
export TOKEN=$token
printf '%s\n' "$token" >token.txt && printf 'Basic hdr%s' "$token" >header.txt

# build [OPTION...] < Dockerfile
build() {
	context c
	run_command rb --debug --progress=plain -o "type=oci,dest=$T/out.oci,compression=uncompressed" "$@" c
	local status=$?
	printf '%s\n' "$out" "$err" >>shown
	[ $status = 0 ] || diag "$err"
	return $status
}
# auths: "PATH AUTH" of the requests since the last call
auths() {
	sed "s/^\(${WEB#*:}\|${OTHER#*:}\) //" "$WEB_LOG" | awk '{ print $2, substr($0, index($0, $4)) }' | sort -u
	: >"$WEB_LOG"
}

# --- URLs

host=${WEB%:*}
for row in "HTTP_AUTH_TOKEN_$host,env=TOKEN|Bearer $token" "HTTP_AUTH_TOKEN_$WEB,src=token.txt|Bearer $token" \
	"HTTP_AUTH_HEADER_$host,src=header.txt|Basic hdr$token"; do
	build --no-cache --secret "id=${row%%|*}" <<<$'FROM scratch\nADD '"http://$WEB/auth/f /f"
	is "$(auths)" "/auth/f ${row#*|}" "${row%%,*}"
done
build --secret "id=HTTP_AUTH_TOKEN_$WEB,env=TOKEN" <<<$'FROM scratch\nADD '"http://$WEB/to/files/f /f"
is "$(auths)" "/files/f -
/to/files/f Bearer $token" 'a redirect takes none to another origin'
build <<<$'FROM scratch\nADD '"http://me:$token@$WEB/auth/f /f"
is "$(auths)" "/auth/f Basic $(printf 'me:%s' "$token" | base64 -w0)" 'user name and password of a URL'
is "$(oci out.oci get '.history[0].created_by')" "ADD http://xxxxx:xxxxx@$WEB/auth/f /f # buildkit" 'are not in the history'
context c <<<$'FROM scratch\nADD '"http://$WEB/auth/g /f"
fails_with 1 "invalid response status 401 \(a secret HTTP_AUTH_TOKEN_$WEB would be sent\)" rb -o type=cacheonly c
printf 'a\r\nX-Evil: 1' >evil.txt
fails_with 1 "the secret HTTP_AUTH_TOKEN_$host cannot be sent: it is not one line of ASCII" \
	rb --secret "id=HTTP_AUTH_TOKEN_$host,src=evil.txt" -o type=cacheonly c

# --- git

git_auth() { auths | grep -v ' -$' | sed 's/.*[0-9a-z] \(B\)/\1/' | sort -u; }
basic="Basic $(printf 'x-access-token:%s' "$token" | base64 -w0)"
for row in "GIT_AUTH_TOKEN,env=TOKEN|$basic" "GIT_AUTH_TOKEN.$host,src=token.txt|$basic" \
	"GIT_AUTH_TOKEN.$WEB,env=TOKEN|$basic" "GIT_AUTH_HEADER,src=header.txt|Basic hdr$token"; do
	rm -rf "$RB_ROOT/git"
	build --no-cache --secret "id=${row%%|*}" <<<$'FROM scratch\nADD '"http://$WEB/git-auth/inner.git /r"
	is "$(git_auth)" "${row#*|}" "${row%%,*}"
done
build <<<$'FROM scratch\nADD '"http://me:$token@$WEB/git-auth/repo.git /r"
is "$(auths | grep -c "/inner.git.* -$") $(auths | grep -c '/inner.git.* B')" '2 0' \
	'a submodule elsewhere gets nothing of it'
is "$(oci out.oci list 0 | cut -d' ' -f1 | paste -sd' ')" 'r r/.gitmodules r/sub r/sub/i' 'and comes along'
build <<<$'FROM scratch\nADD --keep-git-dir '"http://me:$token@$WEB/git-auth/inner.git /r"
context c <<<$'FROM scratch\nADD '"http://$WEB/git-auth/none.git /r"
fails_with 1 'git: .*could not read Username.* \(a secret GIT_AUTH_TOKEN would be sent\)' rb -o type=cacheonly c
context c <<<$'FROM scratch\nADD '"http://$WEB/git-to/inner.git /r"
: >"$WEB_LOG"
fails_with 1 'git: ' rb --secret id=GIT_AUTH_TOKEN,env=TOKEN -o type=cacheonly c
is "$(auths | grep -c '^/git/')" 0 'with credentials no redirect is followed'

# --- nothing is left

leaks() { grep -rlaF -e "$token" -e "$(printf 'me:%s' "$token" | base64 -w0 | cut -c 4-30)" -e "$(printf 'x-access-token:%s' "$token" | base64 -w0 | cut -c 1-30)" "$@"; }
is "$(leaks token.txt)" token.txt 'what is looked for can be found'
is "$(leaks "$RB_ROOT" out.oci)" '' 'no file of the store or the image holds a credential'
is "$(leaks shown)" '' 'and nothing that was shown, with --debug'

# --- ssh: a program that serves the repository here, when the agent is the one that was lent

mkdir bin
cat >bin/ssh <<EOT
#!/bin/sh
echo "\$*" >>$T/ssh.log
ssh-add -l | cut -d' ' -f2 >>$T/ssh.log
for last; do :; done
exec sh -c "\$(echo "\$last" | sed "s#'#'$T/web/git/#")"
EOT
chmod +x bin/ssh
ssh-keygen -q -t ed25519 -N '' -f key
unset SSH_AUTH_SOCK SSH_AGENT_PID
eval "$(ssh-agent)" >agent.out
stop_later "$SSH_AGENT_PID"
ssh-add -q key
PATH=$T/bin:$PATH build --ssh default <<<$'FROM scratch\nADD git@example.org:inner.git /r\nADD ssh://git@example.org:22/inner.git#main /s'
is "$(oci out.oci tree | cut -d' ' -f1 | paste -sd' ')" 'r r/i s s/i' 'repositories by ssh'
like "$(cat ssh.log)" "^-F none -o BatchMode=yes -o StrictHostKeyChecking=yes .*git@example.org git-upload-pack 'inner.git'" 'ssh takes no configuration and asks nothing'
like "$(cat ssh.log)" "$(ssh-keygen -lf key.pub | cut -d' ' -f2 | sed 's/[+]/[+]/g')" 'with the keys of the agent'
# The repository as a context, the main one and a named one, for a build and for whoever asks about it
unset SSH_AUTH_SOCK
git init -q -b main app && (cd app && printf 'FROM scratch\nCOPY f /\n' | tee f >Dockerfile && git add . && git commit -qm app) && publish "$T/app"
for verb in build plan check; do
	PATH=$T/bin:$PATH RB_ROOT=$T/store-$verb works "rbuild $verb of a repository by ssh, with a key" rb $verb --ssh default=key git@example.org:app.git
done
like "$out" 'no warnings found' 'whose Dockerfile was read'
PATH=$T/bin:$PATH build --ssh default=key --build-context dep=ssh://git@example.org/app.git <<<$'FROM scratch\nCOPY --from=dep f /by-name'
is "$(oci out.oci tree | cut -d' ' -f1)" by-name 'a named context by ssh'
for verb in build plan check; do
	fails_with 1 'it is reached by ssh: lend the build an agent' rb $verb git@example.org:other.git
done
is "$(find /tmp -maxdepth 1 -name 'rbuild-ssh-*' -user "$(id -u)")" '' 'its socket is gone'
done_testing
