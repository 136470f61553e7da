#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ADD verifies certificates, of files and of git repositories, and is not led from https to http
# (threats S41; redirects: S34).
# needs: userns overlay python3 openssl git
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/web.sh
. "$RB_TEST_SRC/tests/web.sh"

cd "$T" || exit 1
# certificate NAME SAN DAYS
certificate() {
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.pem" -days "$3" -subj "/CN=$1" \
		-addext "subjectAltName=$2" 2>/dev/null || bail_out 'openssl makes no certificate'
}
certificate good IP:127.0.0.1 30
certificate wrong DNS:elsewhere.example 30
# add VARIABLE=VALUE... URL
add() {
	context c <<<$'FROM scratch\nADD '"${*: -1} /f"
	env -u SSL_CERT_FILE -u SSL_CERT_DIR "${@:1:$#-1}" "$RBUILD" --root "$RB_ROOT" -o type=cacheonly c
}
git init -q -b main r && (cd r && echo r >r && git add r && git commit -qm r)
mkdir -p web/git && publish "$T/r"

start_web --tls good.pem good.key
echo hello | serve f
works 'a certificate that is trusted' add SSL_CERT_FILE=good.pem "https://$WEB/files/f"
works 'and git' add SSL_CERT_FILE="$T/good.pem" "https://$WEB/git/r.git"
fails_with 1 'has an issuer unknown to this machine' add A=b "https://$WEB/plain/f"
fails_with 1 'git: .*certificate' add A=b "https://$OTHER/git/r.git"
works 'a redirect to https' add SSL_CERT_FILE=good.pem "https://$WEB/to/files/f"
fails_with 1 'redirects to a place that is not allowed \(only http and https, never from https to http' \
	add SSL_CERT_FILE=good.pem "https://$WEB/down/$WEB/files/f"
fails_with 1 'git: .*[Pp]rotocol "http"' add SSL_CERT_FILE="$T/good.pem" "https://$WEB/down/$WEB/git/r.git"
fails_with 1 'the connection to .* failed|sent nothing' add SSL_CERT_FILE=good.pem "http://$WEB/files/f"
start_web --tls wrong.pem wrong.key
fails_with 1 'was issued for another host name' add SSL_CERT_FILE=wrong.pem "https://$WEB/files/f"
fails_with 1 'git: .*(certificate|SSL)' add SSL_CERT_FILE="$T/wrong.pem" "https://$WEB/git/r.git"
done_testing
