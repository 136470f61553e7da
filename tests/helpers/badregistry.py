#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A registry on loopback that misbehaves on demand: the repository's name says how.

    badregistry.py [--log FILE] [--tls CERT KEY]

Prints "PORT OTHER": the registry's port, and the port of a second server, which is another origin
(redirect target, token service). `PORT/ok:1` is a good image of one layer; each further name is
described where it is handled. --log gets one line a request: "PORT METHOD PATH STATUS AUTH", AUTH being the
Authorization header or "-". Ends when its standard input does.
"""

import argparse
import gzip
import hashlib
import http.server
import io
import json
import socket
import ssl
import struct
import sys
import tarfile
import threading
import time

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def descriptor(media_type, data, **more):
    return {"mediaType": media_type, "digest": digest(data), "size": len(data), **more}


def dump(document):
    return json.dumps(document).encode()


def make_layer(n):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        data = (b"file %d\n" % n) * 20000
        info = tarfile.TarInfo("file%d" % n)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return raw.getvalue(), gzip.compress(raw.getvalue(), 0, mtime=0)


class Image:
    """Six layers, so that there are more than are fetched at once."""

    def __init__(self):
        made = [make_layer(n) for n in range(6)]
        self.layers = [packed for _, packed in made]
        self.config = dump({
            "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest(raw) for raw, _ in made]}})
        self.document = {
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": descriptor(CONFIG, self.config),
            "layers": [descriptor(LAYER, layer) for layer in self.layers]}
        self.manifest = dump(self.document)
        self.blobs = {digest(b): b for b in [self.config, *self.layers]}

    def changed(self, **members):
        return dump({**self.document, **members})

    def index(self, entry, media_type=MANIFEST, **members):
        platform = {"os": "linux", "architecture": "amd64"}
        return dump({"schemaVersion": 2, "mediaType": INDEX,
                     "manifests": [descriptor(media_type, entry, platform=platform)], **members})


IMAGE = Image()
FIRST_LAYER = digest(IMAGE.layers[0])
FLIPPED = bytes([IMAGE.layers[0][-1] ^ 1])

# Manifests that are served as they stand: name -> (media type, body).
DOCUMENTS = {
    "ok": (MANIFEST, IMAGE.manifest),
    "parameter": (MANIFEST + "; charset=utf-8", IMAGE.manifest),
    "general-type": ("application/json", IMAGE.manifest),
    "index": (INDEX, IMAGE.index(IMAGE.manifest)),
    "html": ("text/html", b"<html>Welcome to the hotel"),
    "not-json": (MANIFEST, b"manifest"),
    "deep": (MANIFEST, b"[" * 1000000),
    "schema1": ("application/vnd.docker.distribution.manifest.v1+prettyjws", b'{"schemaVersion":1}'),
    "index-as-manifest": (MANIFEST, IMAGE.index(IMAGE.manifest)),
    "manifest-as-index": (INDEX, IMAGE.manifest),
    "both": (MANIFEST, IMAGE.changed(manifests=[descriptor(MANIFEST, IMAGE.manifest)])),
    "twice": (MANIFEST, IMAGE.manifest[:-1] + b',"layers":[]}'),
    "nested-index": (INDEX, IMAGE.index(IMAGE.index(IMAGE.manifest))),
    "path-digest": (MANIFEST, IMAGE.manifest.replace(FIRST_LAYER.encode(), b"sha256:../../../../tmp/x")),
    "sha512": (MANIFEST, IMAGE.manifest.replace(FIRST_LAYER.encode(), b"sha512:" + b"0" * 128)),
    "huge-size": (MANIFEST, IMAGE.changed(config=dict(IMAGE.document["config"], size=2**62))),
    "overflow": (MANIFEST, IMAGE.changed(layers=[
        {"mediaType": LAYER, "digest": "sha256:" + c * 64, "size": 2**63 - 1} for c in "abcdef"])),
    "negative": (MANIFEST, IMAGE.changed(config=dict(IMAGE.document["config"], size=-1))),
    "fewer-layers": (MANIFEST, IMAGE.changed(layers=IMAGE.document["layers"][:3])),
    "artifact": (MANIFEST, IMAGE.changed(config=dict(
        IMAGE.document["config"], mediaType="application/vnd.cncf.helm.config.v1+json"))),
    "other-platform": (INDEX, IMAGE.index(IMAGE.manifest).replace(b"amd64", b"s390x")),
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def log_request(self, code="-", size="-"):
        server = self.server
        if server.log:
            auth = self.headers.get("Authorization", "-").replace(" ", "_")
            with server.lock:
                server.log.write("%d %s %s %s %s\n" % (
                    server.server_port, self.command, self.path, int(code), auth))
                server.log.flush()

    # ---- answers ----

    def answer(self, status, body=b"", length=None, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if length != "none":
            self.send_header("Content-Length", str(len(body) if length is None else length))
        else:
            self.close_connection = True
        self.end_headers()
        try:
            self.wfile.write(body)
            self.wfile.flush()
        except OSError:
            self.close_connection = True

    def refuse(self, status, code="UNKNOWN", message="no", **headers):
        self.answer(status, dump({"errors": [{"code": code, "message": message}]}), **headers)

    def forever(self, **headers):
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.close_connection = True
        try:
            while True:
                self.wfile.write(b" " * 65536)
        except OSError:
            pass

    def reset(self):
        """Ends the connection with RST."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def nth(self):
        """How often this path was asked for, this time included."""
        with self.server.lock:
            n = self.server.seen.get(self.path, 0) + 1
            self.server.seen[self.path] = n
            return n

    def other(self, path):
        return "%s://127.0.0.1:%d%s" % (self.server.scheme, self.server.other_port, path)

    def challenge(self, realm):
        self.refuse(401, "UNAUTHORIZED", "authentication required", WWW_Authenticate=(
            'Basic realm="x", Bearer realm="%s",service="bad registry",scope="repository:x:pull"' % realm))

    # ---- requests ----

    def do_GET(self):
        path = self.path.split("?")[0]
        if path.startswith("/token/"):
            return self.token(path[len("/token/"):])
        if path.startswith("/blob/"):
            return self.answer(200, IMAGE.blobs[path[len("/blob/"):]])
        if path == "/v2/":
            return self.answer(200)
        parts = path.split("/")
        if len(parts) != 5 or parts[1] != "v2":
            return self.refuse(404)
        _, _, name, kind, what = parts
        if not self.admit(name):
            return None
        if kind == "manifests":
            return self.manifest(name, what)
        return self.blob(name, what)

    def admit(self, name):
        """False when the request was answered with a challenge or with what is wrong with the whole repository."""
        auth = self.headers.get("Authorization")
        if name == "basic":
            self.refuse(401, WWW_Authenticate='Basic realm="x"')
        elif name == "no-challenge":
            self.refuse(401)
        elif name == "bad-challenge":
            self.refuse(401, WWW_Authenticate='Bearer realm="open')
        elif name == "realm-remote-http":
            self.challenge("http://192.0.2.1/token")
        elif name == "realm-file":
            self.challenge("file:///etc/passwd")
        elif name == "forbidden":
            self.refuse(403, "DENIED", "\x1b[31mred\x07 \u009b alert")
        elif name == "private":  # no token helps
            self.challenge(self.other("/token/good"))
        elif name == "token-expires":  # each serves four requests
            n = int(auth.rsplit("-", 1)[1]) if auth else 0
            with self.server.lock:
                uses = self.server.seen["uses", n] = self.server.seen.get(("uses", n), 0) + 1
            if n > 0 and uses <= 4:
                return True
            self.challenge(self.other("/token/counted"))
        elif name.startswith("token-") and auth != "Bearer good":
            self.challenge(self.other("/token/" + name[len("token-"):]))
        elif name == "busy" and self.nth() <= 2:  # then fine
            self.refuse(429, "TOOMANYREQUESTS", "slow down", Retry_After="1")
        elif name == "trouble" and self.nth() <= 1:
            self.refuse(503)
        elif name == "broken":
            self.refuse(500, "UNKNOWN", "disk on fire")
        elif name == "reset" and self.nth() <= 2:
            self.reset()
        elif name == "stall":
            time.sleep(3600)
        elif name == "endless-refusal":
            self.send_response(404)
            self.end_headers()
            self.forever()
        else:
            return True
        return False

    def token(self, kind):
        if kind == "refused":
            self.refuse(403, "DENIED", "denied")
        elif kind == "bad-json":
            self.answer(200, b"token")
        elif kind == "none":
            self.answer(200, b"{}")
        elif kind == "header":  # would split the header of the next request
            self.answer(200, dump({"token": "good\r\nX-Injected: 1"}))
        elif kind == "huge":
            self.forever()
        elif kind == "counted":
            self.answer(200, dump({"token": "counted-%d" % self.nth()}))
        elif kind == "access":
            self.answer(200, dump({"access_token": "good"}))
        else:
            self.answer(200, dump({"token": "good"}))

    def manifest(self, name, what):
        if what not in ("1", digest(IMAGE.manifest)) and name in ("ok", "index"):
            return self.refuse(404, "MANIFEST_UNKNOWN", "manifest unknown")
        if name == "index" and what != "1":
            name = "ok"
        if name in DOCUMENTS:
            media_type, body = DOCUMENTS[name]
            if name == "nested-index" and what != "1":
                body = IMAGE.index(IMAGE.manifest)
            return self.answer(200, body, Content_Type=media_type)
        if name == "wrong-digest":  # other bytes than asked for by digest
            return self.answer(200, IMAGE.manifest + b" ", Content_Type=MANIFEST)
        if name == "digest-header":
            return self.answer(200, IMAGE.manifest, Content_Type=MANIFEST, Docker_Content_Digest=digest(b""))
        if name == "digest-header-path":
            return self.answer(200, IMAGE.manifest, Content_Type=MANIFEST, Docker_Content_Digest="sha256:../x")
        if name == "endless-manifest":
            return self.forever(Content_Type=MANIFEST)
        if name == "endless-headers":
            return self.endless_headers()
        return self.answer(200, IMAGE.manifest, Content_Type=MANIFEST, Docker_Content_Digest=digest(IMAGE.manifest))

    def endless_headers(self):
        self.close_connection = True
        try:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while True:
                self.wfile.write(b"X-Filler: " + b"x" * 1000 + b"\r\n")
        except OSError:
            pass

    def blob(self, name, what):
        body = IMAGE.blobs.get(what)
        if body is None:
            return self.refuse(404, "BLOB_UNKNOWN", "blob unknown")
        redirects = {
            "redirect": "/v2/ok/blobs/" + what,
            "redirect-other": self.other("/blob/" + what),
            "token-redirect-other": self.other("/blob/" + what),
            "redirect-remote-http": "http://192.0.2.1/blob",
            "redirect-file": "file:///etc/passwd",
            "redirect-loop": self.path,
            "redirect-user": self.other("/blob/" + what).replace("://", "://user:pass@"),
        }
        if name in redirects:
            return self.answer(307, b"elsewhere", Location=redirects[name])
        if name == "redirect-nowhere":
            return self.answer(307)
        if name == "wrong-config":
            return self.answer(200, b"x" * len(body) if body == IMAGE.config else body)
        if what != FIRST_LAYER:
            return self.answer(200, body)
        return self.first_layer(name, body)

    def first_layer(self, name, body):
        half = len(body) // 2
        if name == "wrong-bytes":
            self.answer(200, body[:-1] + FLIPPED)
        elif name == "missing-layer":
            self.refuse(404, "BLOB_UNKNOWN", "blob unknown")
        elif name == "long":
            self.answer(200, body + b"x", length="none")
        elif name == "endless-layer":
            self.forever()
        elif name == "says-longer":
            self.answer(200, body, length=len(body) + 1)
        elif name == "says-shorter":
            self.answer(200, body, length=len(body) - 1)
        elif name == "empty":
            self.answer(200)
        elif name == "no-length":
            self.answer(200, body, length="none")
        elif name == "no-length-half":
            self.answer(200, body[:half], length="none")
        elif name == "half" or (name == "half-once" and self.nth() == 1):
            self.close_connection = True
            self.answer(200, body[:half], length=len(body))
        elif name == "stall-layer":
            self.answer(200, body[:half], length=len(body))
            time.sleep(3600)
        elif name == "slow":
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            for i in range(0, len(body), len(body) // 20 + 1):
                self.wfile.write(body[i:i + len(body) // 20 + 1])
                time.sleep(0.1)
        else:
            self.answer(200, body)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, log, tls):
        super().__init__(("127.0.0.1", 0), Handler)
        self.log, self.lock, self.seen, self.other_port = log, threading.Lock(), {}, 0
        self.scheme = "https" if tls else "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            # The handshake happens in the request's own thread: a peer that gives up must not end us.
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request, client_address):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--log")
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    args = parser.parse_args()
    log = open(args.log, "a") if args.log else None
    servers = [Server(log, args.tls) for _ in range(2)]
    for a, b in (servers, servers[::-1]):
        a.other_port = b.server_port
        threading.Thread(target=a.serve_forever, daemon=True).start()
    print(servers[0].server_port, servers[1].server_port, flush=True)
    sys.stdin.read()


main()
