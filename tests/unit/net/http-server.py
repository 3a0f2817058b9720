#!/usr/bin/env python3
"""A real HTTP/1.1 server for the tests of the HTTP client, with the bad habits that they need.

usage: http-server.py NAME[=CERT,KEY[,CLIENT_CA]] ...
Each name becomes a listener on a free port of 127.0.0.1; the file ports in the current directory lists "NAME PORT".
"""
import http.server
import json
import os
import socket
import ssl
import sys
import threading
import urllib.parse


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            data = b""
            while True:
                n = int(self.rfile.readline().strip(), 16)
                data += self.rfile.read(n)
                self.rfile.readline()
                if n == 0:
                    return data
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def answer(self, status, data, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def serve(self):
        body = self.body()
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        n = int(query.get("n", "0"))
        if url.path == "/echo":
            data = {"method": self.command, "target": self.path, "body": body.decode("latin-1"),
                    "headers": {k.lower(): v for k, v in self.headers.items()},
                    "peer": self.client_address[1]}
            self.answer(200, json.dumps(data).encode(), [("X-One", " a b "), ("x-two", "")])
        elif url.path == "/big":
            self.answer(int(query.get("status", "200")), b"x" * n)
        elif url.path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for at in range(0, n, 1000):
                piece = b"y" * min(1000, n - at)
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
        elif url.path == "/slow":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"z")
            self.wfile.flush()
            self.rfile.read(1)  # until the client goes away
            self.close_connection = True
        elif url.path == "/silent":
            self.rfile.read(1)
            self.close_connection = True
        elif url.path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"z" * 10)
            self.close_connection = True
        elif url.path == "/garbage":
            self.wfile.write(b"220 smtp.example ESMTP\r\n")
            self.close_connection = True
        elif url.path == "/heads":
            self.answer(200, b"", [("X-%d" % i, "v") for i in range(n)])
        elif url.path == "/redirect":
            self.answer(int(query.get("status", "302")), b"moved", [("Location", query["to"])])
        else:
            self.answer(404, b"not here")

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = serve

    def log_message(self, fmt, *args):
        sys.stderr.write("%s %s\n" % (self.client_address, fmt % args))


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    context = None

    @staticmethod
    def linger(raw):
        """Takes what the client still sends: closing at once would reset the connection and lose our alert."""
        try:
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(65536):
                pass
        except OSError:
            pass
        raw.close()

    def finish_request(self, request, client_address):  # in the connection's thread: a bad handshake blocks nobody
        if self.context is not None:
            raw = request.dup()
            try:
                request = self.context.wrap_socket(request, server_side=True)
            except (ssl.SSLError, OSError) as e:
                sys.stderr.write("handshake: %s\n" % e)
                self.linger(raw)
                return
            raw.close()
        try:
            super().finish_request(request, client_address)
        except OSError as e:
            sys.stderr.write("connection: %s\n" % e)
        finally:
            request.close()


lines = []
for arg in sys.argv[1:]:
    name, _, files = arg.partition("=")
    server = Server(("127.0.0.1", 0), Handler)
    if files:
        files = files.split(",")
        server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.context.load_cert_chain(files[0], files[1])
        if len(files) > 2:
            server.context.verify_mode = ssl.CERT_REQUIRED
            server.context.load_verify_locations(files[2])
    lines.append("%s %d\n" % (name, server.server_address[1]))
    threading.Thread(target=server.serve_forever).start()
with open("ports.new", "w") as f:
    f.writelines(lines)
os.rename("ports.new", "ports")
