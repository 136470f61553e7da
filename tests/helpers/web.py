#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Web and git servers on loopback that do as the path says.

    web.py ROOT [--log FILE] [--tls CERT KEY]

Prints "PORT OTHER": two servers of the same kind, which are two origins. Ends when its standard
input does. ROOT/files holds what is served, ROOT/git bare repositories. --log gets one line a
request: "PORT METHOD PATH STATUS AUTH", AUTH being the Authorization header or "-".

    /files/NAME        ETag, Last-Modified; answers conditional requests
    /dated/NAME        Last-Modified only
    /tagged/NAME       ETag only, and conditional requests are not understood
    /plain/NAME        neither
    /get-only/NAME     as /files/NAME, but HEAD is answered with 405
    /status/N          an answer with that status
    /to/PATH           redirect to /PATH on the other server; /to-tls/PATH to https
    /down/HOST/PATH    redirect to http://HOST/PATH
    /loop              redirect to itself
    /half/NAME         announces twice what it sends
    /huge              announces 2^60 bytes
    /stall             ten bytes of many, then nothing
    /headers           headers without end
    /liar              the same ETag always, another body each time
    /auth/NAME         as /files/NAME with an Authorization header, else 401
    /git/NAME          smart HTTP of ROOT/git/NAME
    /dumb/NAME         the files of ROOT/git/NAME
    /git-auth/NAME     as /git/NAME with an Authorization header, else 401
    /git-to/NAME       redirect to /git/NAME on the other server
"""
import argparse
import email.utils
import hashlib
import http.server
import os
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def log_request(self, code="-", size="-"):
        if self.server.log:
            auth = self.headers.get("Authorization", "-")
            with self.server.lock, open(self.server.log, "a", encoding="utf-8") as log:
                log.write(f"{self.server.server_port} {self.command} {self.path} {int(code)} {auth}\n")

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(body)

    def do_GET(self):
        kind, _, rest = self.path.lstrip("/").partition("/")
        method = getattr(self, "do_" + kind.replace("-", "_"), None)
        try:
            if method:
                method(rest)
            else:
                self.answer(404)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_HEAD = do_POST = do_GET

    # --- files

    def read(self, name):
        path = os.path.join(self.server.root, "files", urllib.parse.unquote(name.partition("?")[0]))
        if not os.path.isfile(path):
            return None, None
        with open(path, "rb") as file:
            return file.read(), os.stat(path).st_mtime

    def serve(self, name, etag, date, conditional=True):
        body, mtime = self.read(name)
        if body is None:
            self.answer(404, b"no such file")
            return
        headers, unchanged = {}, False
        if etag:
            headers["ETag"] = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            unchanged = self.headers.get("If-None-Match") == headers["ETag"]
        if date:
            headers["Last-Modified"] = email.utils.formatdate(mtime, usegmt=True)
            if not etag:
                unchanged = self.headers.get("If-Modified-Since") == headers["Last-Modified"]
        if unchanged and conditional:
            self.answer(304, **headers)
        else:
            self.answer(200, body, **headers)

    def do_files(self, name):
        self.serve(name, True, True)

    def do_dated(self, name):
        self.serve(name, False, True)

    def do_tagged(self, name):
        self.serve(name, True, False, conditional=False)

    def do_plain(self, name):
        self.serve(name, False, False)

    def do_get_only(self, name):
        if self.command == "HEAD":
            self.answer(405)
        else:
            self.serve(name, True, True)

    def do_auth(self, name):
        if self.headers.get("Authorization"):
            self.serve(name, True, True)
        else:
            self.answer(401)

    # --- misbehaviour

    def do_status(self, number):
        self.answer(int(number), b"some words")

    def do_to(self, rest):
        self.answer(302, Location=f"{self.server.scheme}://127.0.0.1:{self.server.other}/{rest}")

    def do_to_tls(self, rest):
        self.answer(302, Location=f"https://127.0.0.1:{self.server.other}/{rest}")

    def do_down(self, rest):
        self.answer(302, Location=f"http://{rest}")

    def do_loop(self, _):
        self.answer(302, Location="/loop")

    def do_half(self, name):
        body, _ = self.read(name)
        self.send_response(200)
        self.send_header("Content-Length", str(2 * len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def do_huge(self, _):
        self.send_response(200)
        self.send_header("Content-Length", str(2**60))
        self.end_headers()
        self.wfile.write(b"x" * 100)
        self.close_connection = True

    def do_stall(self, _):
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        self.wfile.write(b"0123456789")
        self.wfile.flush()
        time.sleep(60)

    def do_headers(self, _):
        self.send_response(200)
        for i in range(20000):
            self.send_header(f"X-Filler-{i}", "x" * 60)
        self.end_headers()
        self.close_connection = True

    def do_liar(self, _):
        self.answer(200, str(time.time_ns()).encode(), ETag='"always"')

    # --- git

    def do_git(self, rest):
        path, _, query = rest.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        environment = {
            "PATH": os.environ["PATH"], "HOME": self.server.root, "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_PROJECT_ROOT": os.path.join(self.server.root, "git"), "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": "/" + path, "QUERY_STRING": query, "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", "")}
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        head, _, data = done.stdout.partition(b"\r\n\r\n")
        status, headers = 200, {}
        for line in head.decode().split("\r\n"):
            name, _, value = line.partition(": ")
            if name == "Status":
                status = int(value.split()[0])
            elif name:
                headers[name] = value
        self.answer(status, data, **headers)

    def do_git_auth(self, rest):
        if self.headers.get("Authorization"):
            self.do_git(rest)
        else:
            self.answer(401, WWW_Authenticate='Basic realm="git"')

    def do_git_to(self, rest):
        self.answer(302, Location=f"http://127.0.0.1:{self.server.other}/git/{rest}")

    def do_dumb(self, rest):
        path = os.path.join(self.server.root, "git", rest.partition("?")[0])
        if os.path.isfile(path):
            with open(path, "rb") as file:
                self.answer(200, file.read(), Content_Type="text/plain")
        else:
            self.answer(404)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    lock = threading.Lock()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root")
    parser.add_argument("--log")
    parser.add_argument("--tls", nargs=2)
    args = parser.parse_args()
    servers = [Server(("127.0.0.1", 0), Handler) for _ in range(2)]
    for server, other in zip(servers, reversed(servers)):
        server.root, server.log, server.other = args.root, args.log, other.server_port
        server.scheme = "https" if args.tls else "http"
        if args.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*args.tls)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(*(server.server_port for server in servers), flush=True)
    sys.stdin.read()


main()
