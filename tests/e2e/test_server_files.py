"""What each web server does to a request with its file of conf-examples/: seen by fcgi-probe, which stands where kade.fcgi
would. No Kade takes part; what is tested is the files."""

import http.client
import os
import pathlib
import re
import secrets
import shutil
import socket
import ssl
import tempfile
import time

import pytest

import stack as st

KINDS = ("lighttpd", "apache", "nginx", "apache-fcgid")
STREAMING = ("apache", "nginx")
GOOD = {"Authorization": "Bearer good"}


class Site:
    def __init__(self, kind, folder, probe, sockets, tls):
        self.kind, self.folder, self.sockets = kind, folder, sockets
        st.ctl("start", kind, folder, SOCKETS=sockets, FCGI=probe, CONFIG="/none", TLS="yes" if tls else "no")
        self.port = int(st.read_env(folder)["WEB_PORT"])
        self.tls = tls

    def connect(self):
        if self.tls:
            context = ssl.create_default_context(cafile=str(self.folder / "tls.crt"))
            return http.client.HTTPSConnection("localhost", self.port, timeout=60, context=context)
        return http.client.HTTPConnection("localhost", self.port, timeout=60)

    def ask(self, method, path, body=None, headers=None, chunked=False):
        c = self.connect()
        c.request(method, path, body, headers or {}, encode_chunked=chunked)
        r = c.getresponse()
        r.body = r.read()
        c.close()
        return r

    def seen(self, *args, **kw):
        """The parameters as the probe saw them, duplicates kept as a list in order."""
        r = self.ask(*args, **kw)
        assert r.status == 200, f"{r.status} {r.body[:200]}"
        return [tuple(line.split("=", 1)) for line in r.body.decode().splitlines()]

    def log(self, name):
        p = self.sockets / f"{name}.log"
        return p.read_text() if p.exists() else ""


def value(seen, name):
    found = [v for k, v in seen if k == name]
    return ", ".join(found) if found else None


def fnv(data):
    h = 14695981039346656037
    for b in data:
        h = ((h ^ b) * 1099511628211) & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


@pytest.fixture(scope="module")
def probe_sockets():
    build = pathlib.Path(os.environ.get("KADE_BUILD", st.TOP / ".kade" / "build-test"))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kade-probe."))
    folder.chmod(0o755)
    shutil.copy2(build / "tests" / "servers" / "fcgi-probe", folder / "fcgi-probe")
    (folder / "fcgi-probe").chmod(0o755)
    st.ctl("start", "probe", folder / "pools", PROBE=folder / "fcgi-probe")
    yield folder
    st.ctl("stop", "probe", folder / "pools")
    shutil.rmtree(folder)


def site_fixture(tls):
    @pytest.fixture(scope="module", params=KINDS)
    def site(request, probe_sockets):
        folder = probe_sockets / (request.param + ("-tls" if tls else ""))
        s = Site(request.param, folder, probe_sockets / "fcgi-probe", probe_sockets / "pools", tls)
        yield s
        st.ctl("stop", request.param, folder)

    return site


site = site_fixture(False)
tls_site = site_fixture(True)


@pytest.mark.parametrize("path, pool", [
    ("/v2/", "api"),
    ("/v2/auth?service=x", "api"),
    ("/v2/ns/repo/manifests/latest", "api"),
    ("/v2/ns/repo/tags/list", "api"),
    ("/api/v1/repository", "api"),
    ("/v1/_ping", "api"),
    ("/v2/ns/repo/blobs/sha256:00", "transfer"),
    ("/v2/ns/deep/er/blobs/uploads/", "transfer"),
    ("/v1/images/abc/layer", "transfer"),
    ("/cnr/api/v1/packages/a/b", "transfer"),
    ("/realtime/user/subscribe?x", "transfer"),
])
def test_pools_are_chosen_by_path(site, path, pool):
    assert value(site.seen("GET", path), "probe") == pool


@pytest.mark.parametrize("path", ["/v2/a%2Fb/manifests/x", "/v2/a//b/manifests/x", "/v2/a/../b/manifests/x", "/v2/a/b?n=1&last=%2F", "/v2/a%3Ab"])
def test_request_uri_is_raw(site, path):
    assert value(site.seen("GET", path), "REQUEST_URI") == path


def test_nul_in_path_is_refused_by_the_server(site):
    assert site.ask("GET", "/v2/a%00b").status in (400, 404)


def test_authorization_and_repeated_accept_arrive(site):
    c = site.connect()
    c.putrequest("GET", "/v2/x")
    for name, v in (("Authorization", "Bearer good"), ("Accept", "a/b"), ("Accept", "c/d"), ("Range", "bytes=0-1"), ("Content-Range", "0-5")):
        c.putheader(name, v)
    c.endheaders()
    r = c.getresponse()
    seen = [tuple(line.split("=", 1)) for line in r.read().decode().splitlines()]
    assert value(seen, "HTTP_AUTHORIZATION") == "Bearer good"
    assert value(seen, "HTTP_ACCEPT") == "a/b, c/d"
    assert value(seen, "HTTP_CONTENT_RANGE") == "0-5"


def test_identity_and_proxy_are_not_made_up(site):
    seen = site.seen("GET", "/v2/x", headers={"Authorization": "Basic YWRtaW46eA==", "Proxy": "http://evil/"})
    assert not value(seen, "REMOTE_USER")
    assert not value(seen, "HTTP_PROXY")


@pytest.mark.parametrize("size", [0, 1, 65536, 3_000_001])
@pytest.mark.parametrize("chunked", [False, True])
def test_body_arrives_whole(site, size, chunked):
    data = os.urandom(size)
    headers = dict(GOOD)
    if not chunked:
        headers["Content-Length"] = str(size)
    body = (data[i : i + 50000] for i in range(0, size, 50000)) if chunked else data
    if chunked:
        headers["Transfer-Encoding"] = "chunked"
    seen = site.seen("PATCH", "/v2/a/b/blobs/uploads/u", body=body, headers=headers, chunked=chunked)
    assert value(seen, "body") == str(size) and value(seen, "fnv") == fnv(data)
    assert value(seen, "probe") == "transfer"
    length = value(seen, "CONTENT_LENGTH")
    if site.kind in STREAMING and chunked and size > 65536:
        assert not length and value(seen, "HTTP_TRANSFER_ENCODING") == "chunked"
    else:
        assert length in (str(size), None, ""), "a wrong length"


def test_head_keeps_the_length(site):
    g = site.ask("GET", "/v2/hello")
    h = site.ask("HEAD", "/v2/hello")
    assert h.status == 200 and h.body == b""
    assert h.headers["Content-Length"] == g.headers["Content-Length"] == "3"


def test_length_of_dynamic_answer_is_kept(site):
    r = site.ask("GET", "/v2/x")
    assert int(r.headers["Content-Length"]) == len(r.body)
    assert "Content-Encoding" not in site.ask("GET", "/v2/x", headers={"Accept-Encoding": "gzip, br"}).headers


def test_range_is_left_to_the_application(site):
    assert site.ask("GET", "/v2/hello", headers={"Range": "bytes=0-0"}).status == 200


def test_refusal_before_the_body(site):
    """Asked with Expect, the client hears 401 without sending 64 MiB, or the server has taken the body (mod_fcgid)."""
    c = site.connect()
    c.putrequest("PATCH", "/v2/a/b/blobs/uploads/refuse")
    c.putheader("Content-Length", str(64 << 20))
    c.putheader("Authorization", "Bearer bad")
    c.endheaders()
    sent, piece = 0, b"x" * 65536
    try:
        while sent < 64 << 20:
            c.sock.sendall(piece)
            sent += len(piece)
    except OSError:
        pass
    try:
        status = c.getresponse().status
    except (http.client.BadStatusLine, ConnectionError):
        status = None                                   # the answer was lost with the reset: seen as a refusal
    assert status in (401, None)
    if site.kind != "apache-fcgid":
        assert sent < 64 << 20 or status == 401


@pytest.mark.parametrize("site", ["lighttpd"], indirect=True)
def test_gate_is_asked_before_a_spooled_body(site):
    """lighttpd writes a body of unknown length to disk first: it asks the Authorizer before it does. The others stream, or
    (mod_fcgid) cannot ask."""
    spool = site.folder / "spool"
    c = site.connect()
    c.putrequest("PATCH", f"/v2/a/b/blobs/uploads/{secrets.token_hex(4)}")
    c.putheader("Transfer-Encoding", "chunked")
    c.putheader("Authorization", "Bearer bad")
    c.endheaders()
    r = c.getresponse()                                 # not one byte of the body was sent
    assert r.status == 401 and r.headers["X-Gate"] == "no"
    assert list(spool.iterdir()) == [p for p in spool.iterdir() if p.is_dir()]
    c.close()
    before = site.log("api").count("asked")
    site.seen("PATCH", "/v2/a/b/blobs/uploads/u", body=iter([b"x" * 10]), headers={**GOOD, "Transfer-Encoding": "chunked"}, chunked=True)
    assert site.log("api").count("asked") == before + 1
    site.seen("PATCH", "/v2/a/b/blobs/uploads/u", body=b"x" * 10, headers={"Authorization": "Bearer bad"})
    assert site.log("api").count("asked") == before + 1, "a streamed body is refused by the responder itself"


def test_client_that_leaves_is_not_a_short_body(site):
    path = f"/v2/a/b/blobs/uploads/{secrets.token_hex(8)}"
    s = socket.create_connection(("127.0.0.1", site.port))
    s.sendall(f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer good\r\nContent-Length: 1000000\r\n\r\n".encode() + b"x" * 300000)
    s.close()
    site.seen("GET", "/v2/x")
    if site.kind == "apache-fcgid":
        assert path not in site.log("transfer")         # it never asks the application
    else:
        st.until(lambda: re.search(r"cut after \d+ bytes: " + re.escape(path), site.log("transfer")), 20, "notice of the cut")


def test_events_arrive_one_by_one(site):
    c = site.connect()
    c.request("GET", "/realtime/events")
    r = c.getresponse()
    first, times = time.monotonic(), []
    while line := r.readline():
        if line.startswith(b"data:"):
            times.append(time.monotonic() - first)
    assert len(times) == 5
    assert times[-1] - times[0] > 0.4, "all came at the end"


@pytest.mark.parametrize("path, limit", [("/api/v1/x", 2 << 20), ("/v2/a/b/manifests/x", 6 << 20)])
def test_body_limits(site, path, limit):
    """Above Kade's own limits, so that Kade answers; far above, the server refuses where it can."""
    ok = site.seen("PUT", path, body=b"x" * (limit - 4096), headers=GOOD)
    assert value(ok, "body") == str(limit - 4096)
    if site.kind in ("lighttpd", "nginx"):
        c = site.connect()
        c.putrequest("PUT", path)
        c.putheader("Content-Length", str(limit + 4096))
        c.endheaders()
        assert c.getresponse().status == 413


def test_large_headers(site):
    token = "Bearer " + secrets.token_urlsafe(10500)          # 14,000 bytes
    assert value(site.seen("GET", "/v2/x", headers={"Authorization": token}), "HTTP_AUTHORIZATION") == token


def test_tls(tls_site):
    seen = tls_site.seen("GET", "/v2/x")
    assert value(seen, "HTTPS") == "on"
    data = os.urandom(200_000)
    seen = tls_site.seen("PATCH", "/v2/a/b/blobs/uploads/u", body=iter([data]), headers={**GOOD, "Transfer-Encoding": "chunked"}, chunked=True)
    assert value(seen, "fnv") == fnv(data)


@pytest.mark.full
@pytest.mark.parametrize("chunked", [False, True])
def test_body_above_one_gib(site, chunked):
    """1 GiB + 1 byte: catches limits of 32 bits, of 1 GiB, and silent cuts."""
    size = (1 << 30) + 1
    piece = os.urandom(1 << 20)

    def body():
        left = size
        while left:
            n = min(left, len(piece))
            yield piece[:n]
            left -= n

    headers = {**GOOD, **({"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(size)})}
    seen = site.seen("PUT", "/v2/a/b/blobs/uploads/u", body=body(), headers=headers, chunked=chunked)
    assert value(seen, "body") == str(size)
