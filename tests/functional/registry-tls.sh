#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Certificates are verified, on loopback too: a bad one is an error and never a reason for plain HTTP
# (threats S41).
# needs: python3 openssl
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

cd "$T" || exit 1
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 30 -subj '/CN=Test CA' 2>/dev/null
mkdir db && : >db/index && echo 01 >db/serial
cat >ca.cnf <<'EOT'
[ca]
default_ca = d
[d]
database = db/index
serial = db/serial
new_certs_dir = db
default_md = sha256
policy = p
copy_extensions = copy
[p]
commonName = supplied
EOT

# certificate NAME SAN START END: signed by the CA, at NAME.pem and NAME.key
certificate() {
	openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" \
		-addext "subjectAltName=$2" 2>/dev/null &&
		openssl ca -batch -notext -config ca.cnf -cert ca.pem -keyfile ca.key -in "$1.csr" \
			-out "$1.pem" -startdate "$3" -enddate "$4" 2>/dev/null
}
here=DNS:localhost,IP:127.0.0.1
certificate good $here 20200101000000Z 20990101000000Z || bail_out 'openssl makes no certificate'
certificate wrong DNS:elsewhere.example 20200101000000Z 20990101000000Z
certificate expired $here 20200101000000Z 20210101000000Z
certificate future $here 20980101000000Z 20990101000000Z
openssl req -x509 -newkey rsa:2048 -nodes -keyout self.key -out self.pem -days 30 -subj '/CN=localhost' \
	-addext "subjectAltName=$here" 2>/dev/null

# serve NAME: a registry with that certificate; sets R
serve() {
	mkfifo "$1.stop" "$1.ports"
	python3 "$RB_TEST_SRC/tests/helpers/badregistry.py" --log log --tls "$1.pem" "$1.key" \
		<"$1.stop" >"$1.ports" &
	stop_later $!
	exec 9>"$1.stop"
	read -r port other <"$1.ports" || bail_out 'badregistry does not start'
	R=localhost:$port
}

# pull_with VARIABLE=VALUE... REFERENCE: into an empty store
# shellcheck disable=SC2317 # called by works and fails_with
pull_with() {
	RB_ROOT=$T/store-$((++stores))
	env -u SSL_CERT_FILE -u SSL_CERT_DIR "${@:1:$#-1}" "$RBUILD" --root "$RB_ROOT" pull "${@: -1}"
}
stores=0

serve good
works 'a CA named by SSL_CERT_FILE is trusted' pull_with SSL_CERT_FILE="$T/ca.pem" "$R/ok:1"
mkdir ca.d && cp ca.pem ca.d/ && openssl rehash ca.d
works 'so is one in the directory SSL_CERT_DIR' pull_with SSL_CERT_DIR="$T/ca.d" "$R/ok:1"
fails_with 1 'issuer unknown to this machine .*set SSL_CERT_FILE' pull_with LC_ALL=C "$R/ok:1"
fails_with 1 'cannot read the CA certificates in .*/nonexistent' pull_with SSL_CERT_FILE=/nonexistent "$R/ok:1"
works 'redirects and tokens over TLS' pull_with SSL_CERT_FILE="$T/ca.pem" "$R/token-redirect-other:1"
is "$(grep -c "^$other GET /blob/.* Bearer" log)" 0 'the token stays with the registry'
fails_with 1 'redirects to a place that is not allowed' \
	pull_with SSL_CERT_FILE="$T/ca.pem" "$R/redirect-remote-http:1"

: >log
while read -r name pattern <&8; do
	serve "$name"
	fails_with 1 "TLS certificate of $R $pattern" pull_with SSL_CERT_FILE="$T/ca.pem" "$R/ok:1"
done 8<<'EOT'
wrong was issued for another host name
expired has expired
future is not valid yet
self has an issuer unknown to this machine
EOT
is "$(cat log)" '' 'none of these was sent a request'
done_testing
