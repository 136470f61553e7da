# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Servers for what ADD and contexts fetch. Sourced after lib.sh.

# start_web [--tls CERT KEY]: tests/helpers/web.py on $T/web; sets WEB and OTHER (host:port) and
# WEB_LOG.
start_web() {
	local port other
	mkdir -p "$T/web/files" "$T/web/git"
	WEB_LOG=$T/web.log
	rm -f "$T/web.stop" "$T/web.ports"
	mkfifo "$T/web.stop" "$T/web.ports"
	python3 "$RB_TEST_SRC/tests/helpers/web.py" "$T/web" --log "$WEB_LOG" "$@" \
		<"$T/web.stop" >"$T/web.ports" &
	stop_later $!
	exec 8>"$T/web.stop"
	read -r port other <"$T/web.ports" || bail_out 'web.py does not start'
	WEB=127.0.0.1:$port OTHER=127.0.0.1:$other
}

# requests: what was asked since the last call, one "METHOD PATH STATUS" a line
requests() {
	[ -e "$WEB_LOG" ] || return 0
	cut -d' ' -f2-4 "$WEB_LOG"
	: >"$WEB_LOG"
}

# serve NAME [DATE] < BODY: $T/web/files/NAME
serve() {
	cat >"$T/web/files/$1"
	touch -d "${2:-2021-03-04T05:06:07Z}" "$T/web/files/$1"
}

export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a \
	GIT_COMMITTER_EMAIL=a@example.org GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null \
	GIT_AUTHOR_DATE='2022-02-03T04:05:06Z' GIT_COMMITTER_DATE='2022-02-03T04:05:06Z'

# publish DIR: the repository DIR as $T/web/git/DIR.git
publish() {
	rm -rf "$T/web/git/${1##*/}.git"
	git clone --quiet --bare "$1" "$T/web/git/${1##*/}.git" 2>/dev/null &&
		git -C "$T/web/git/${1##*/}.git" update-server-info
}
