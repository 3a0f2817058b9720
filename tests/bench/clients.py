"""Clients whose own cost is small: blobs sent with sendfile(2), many pushes at a time, many slow uploads, one FastCGI request."""

import asyncio
import hashlib
import http.client
import json
import os
import selectors
import socket
import struct
import time
import urllib.parse


class Wire:
    """One HTTP/1.1 connection; bodies go out with sendfile."""

    def __init__(self, base):
        u = urllib.parse.urlsplit(base)
        self.host = u.netloc
        self.sock = socket.create_connection((u.hostname.replace("localhost", "127.0.0.1"), u.port))
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):                 # sendfile wants a blocking socket
            self.sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", 600, 0))

    def head(self, method, path, **headers):
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}", *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items() if v is not None)]
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())

    def answer(self):
        r = http.client.HTTPResponse(self.sock)
        r.begin()
        r.read()
        return r

    def send(self, fd, offset, count):
        while count:
            n = os.sendfile(self.sock.fileno(), fd, offset, count)
            offset, count = offset + n, count - n

    def close(self):
        self.sock.close()


def expect(r, status, what):
    if r.status != status:
        raise RuntimeError(f"{what}: {r.status}")
    return r


def local(location):
    """The path and query of a Location."""
    u = urllib.parse.urlsplit(location)
    return u.path + ("?" + u.query if u.query else "")


def push_file(base, repo, token, file, digest, chunked):
    """As clients do: POST, then PUT with the body (monolithic), or a chunked PATCH and an empty PUT."""
    auth, size = token and f"Bearer {token}", os.path.getsize(file)
    w = Wire(base)
    fd = os.open(file, os.O_RDONLY)
    try:
        w.head("POST", f"/v2/{repo}/blobs/uploads/", Authorization=auth, Content_Length=0)
        where = local(expect(w.answer(), 202, "POST").getheader("Location"))
        if chunked:
            w.head("PATCH", where, Authorization=auth, Transfer_Encoding="chunked", Content_Type="application/octet-stream")
            step = 1 << 20
            for offset in range(0, size, step):
                n = min(step, size - offset)
                w.sock.sendall(f"{n:x}\r\n".encode())
                w.send(fd, offset, n)
                w.sock.sendall(b"\r\n")
            w.sock.sendall(b"0\r\n\r\n")
            where = local(expect(w.answer(), 202, "PATCH").getheader("Location"))
            size = 0
        sep = "&" if "?" in where else "?"
        w.head("PUT", f"{where}{sep}digest={digest}", Authorization=auth, Content_Length=size, Content_Type="application/octet-stream")
        w.send(fd, 0, size)
        expect(w.answer(), 201, "PUT")
    finally:
        os.close(fd)
        w.close()


def renew_file(file, size):
    """Gives the file content of its own (its first bytes change) and returns its digest."""
    with open(file, "r+b" if os.path.exists(file) else "w+b") as f:
        if os.path.getsize(file) != size:
            f.truncate(0)
            block = os.urandom(1 << 20)
            for _ in range(0, size, 1 << 20):
                f.write(block)
            f.truncate(size)
        f.seek(0)
        f.write(os.urandom(32))
    h = hashlib.sha256()
    with open(file, "rb") as f:
        while data := f.read(1 << 20):
            h.update(data)
    return "sha256:" + h.hexdigest()


def fetch(base, path, token):
    """GET, body thrown away: bytes."""
    w = Wire(base)
    try:
        w.head("GET", path, Authorization=token and f"Bearer {token}")
        r = http.client.HTTPResponse(w.sock)
        r.begin()
        expect(r, 200, f"GET {path}")
        want, got, buffer = r.length, 0, memoryview(bytearray(1 << 18))
        while n := r.readinto(buffer):
            got += n
        if want is not None and got != want:
            raise RuntimeError(f"GET {path}: {got} of {want} bytes")
        return got
    finally:
        w.close()


# -- many at a time

class Image:
    """A small image of its own on a base layer that all share."""

    def __init__(self, base_layer, number):
        self.config = json.dumps({"architecture": "amd64", "os": "linux", "n": number, "r": os.urandom(8).hex()}).encode()
        self.layer = os.urandom(2000)
        d = lambda kind, b: {"mediaType": f"application/vnd.oci.image.{kind}", "size": len(b), "digest": "sha256:" + hashlib.sha256(b).hexdigest()}
        self.parts = [(d("config.v1+json", self.config)["digest"], self.config), (d("layer.v1.tar", self.layer)["digest"], self.layer)]
        self.base = d("layer.v1.tar", base_layer)["digest"]
        self.manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": d("config.v1+json", self.config),
                                    "layers": [d("layer.v1.tar", base_layer), d("layer.v1.tar", self.layer)]}).encode()


async def _call(reader, writer, host, method, path, token, body=b"", kind="application/octet-stream"):
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Type: {kind}\r\n"
                 f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    head = await reader.readuntil(b"\r\n\r\n")
    status, length, chunked = int(head[9:12]), 0, False
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.lower().partition(b":")
        if name == b"content-length":
            length = int(value)
        chunked |= name == b"transfer-encoding"
    if chunked:
        while n := int((await reader.readuntil(b"\r\n"))[:-2], 16):
            await reader.readexactly(n + 2)
        await reader.readuntil(b"\r\n")
    elif length and method != "HEAD":
        await reader.readexactly(length)
    return status


async def _push(host, port, repo, token, image, tag):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async def must(status, *words):
            got = await _call(reader, writer, f"{host}:{port}", *words)
            if got != status:
                raise RuntimeError(f"{words[0]} {words[1]}: {got}")

        await must(200, "HEAD", f"/v2/{repo}/blobs/{image.base}", token)
        for d, data in image.parts:
            await must(201, "POST", f"/v2/{repo}/blobs/uploads/?digest={d}", token, data)
        await must(201, "PUT", f"/v2/{repo}/manifests/{tag}", token, image.manifest, "application/vnd.oci.image.manifest.v1+json")
    finally:
        writer.close()


def push_together(base, jobs, at_once=200):
    """jobs: (repo, token, Image, tag) for each push. Seconds from the first to the last answer."""
    u = urllib.parse.urlsplit(base)

    async def run():
        gate = asyncio.Semaphore(at_once)

        async def one(job):
            async with gate:
                await _push(u.hostname, u.port, *job)

        began = time.monotonic()
        await asyncio.gather(*map(one, jobs))
        return time.monotonic() - began

    return asyncio.run(run())


class SlowUploads:
    """Uploads that send bytes_per_s each; drive() does it until told to stop. Nothing ties their clients together, so their sends
    are spread over the interval. Each body has a connection of its own: to start all of them takes longer than a web server
    keeps a connection on which nothing happens."""

    SLOTS = 40

    def __init__(self, base, repo, token, count, bytes_per_s):
        self.step, self.every = max(1, bytes_per_s // 5), 0.2
        self.socks, self.sent, self.refused, started = [], 0, 0, []
        first = Wire(base)
        for _ in range(count):
            first.head("POST", f"/v2/{repo}/blobs/uploads/", Authorization=f"Bearer {token}", Content_Length=0)
            started.append(local(expect(first.answer(), 202, "POST").getheader("Location")))
        first.close()
        for where in started:
            w = Wire(base)
            w.head("PATCH", where, Authorization=f"Bearer {token}", Content_Length=1 << 30, Content_Type="application/octet-stream")
            w.sock.setblocking(False)
            self.socks.append(w)

    def drive(self, done):
        data, watch = b"\0" * self.step, selectors.DefaultSelector()
        for w in self.socks:
            watch.register(w.sock, selectors.EVENT_READ, w)
        due, turn = time.monotonic(), 0
        while not done():
            for key, _ in watch.select(max(0, due - time.monotonic())):
                watch.unregister(key.fileobj)            # an answer before the body's end, or the connection is gone
                self.refused += 1
                self.socks.remove(key.data)
                key.data.close()
            if time.monotonic() >= due:
                due += self.every / self.SLOTS
                turn += 1
                for w in self.socks[turn % self.SLOTS::self.SLOTS]:
                    try:
                        self.sent += w.sock.send(data)
                    except OSError:                      # its buffer is full: slower still
                        pass
        watch.close()

    def close(self):
        for w in self.socks:
            w.close()


# -- FastCGI

def fastcgi_get(sock_path, path):
    """One GET sent to a pool directly; True when it answered anything."""
    def record(kind, data):
        return struct.pack("!BBHHBB", 1, kind, 1, len(data), 0, 0) + data

    def pair(k, v):
        return bytes((len(k), len(v))) + k.encode() + v.encode()

    params = {"REQUEST_METHOD": "GET", "REQUEST_URI": path, "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost"}
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(5)
        s.connect(str(sock_path))
        s.sendall(record(1, struct.pack("!HB5x", 1, 0)) + record(4, b"".join(pair(k, v) for k, v in params.items())) + record(4, b"") + record(5, b""))
        return s.recv(8) != b""
