"""Behind each web server, with its file of conf-examples/: what depends on how the server speaks FastCGI."""

import concurrent.futures
import hashlib
import os
import secrets
import select
import signal
import socket
import time

import pytest
import requests

import oci
import stack as st


@pytest.fixture(scope="module")
def client(any_stack):
    return any_stack.superuser()


@pytest.fixture
def name():
    return f"admin/t{secrets.token_hex(5)}"


@pytest.mark.parametrize("how", ["put", "patch", "chunks", "post"])
def test_image_there_and_back(client, name, how):
    m = oci.index([oci.image(3, 200_000), oci.image(1)])
    client.push(name, "latest", m, how)
    client.pull(name, "latest", m)


def send_raw(any_stack, text, body=b""):
    """A request as bytes; the answer up to the end of the connection."""
    s = socket.create_connection(("127.0.0.1", any_stack.port), timeout=30)
    s.sendall(text.encode() + body)
    return s


def test_client_leaves_in_the_middle(any_stack, client, name):
    """Offset unchanged, no object: a cut body is not an end."""
    location = client.start_upload(name)
    client.patch(location, b"a" * 1000)
    before = any_stack.stored_files()
    token = client.token(f"repository:{name}:pull,push")
    path = location.split(any_stack.host, 1)[1]
    for method, tail in (("PATCH", ""), ("PUT", f"?digest={oci.unknown_digest()}")):
        s = send_raw(any_stack, f"{method} {path}{tail} HTTP/1.1\r\nHost: {any_stack.host}\r\nAuthorization: Bearer {token}\r\nContent-Length: 5000000\r\n\r\n", b"b" * 1_000_000)
        s.close()
        # The writer's lease is free again when the server has seen the end.
        st.until(lambda: client.patch(location, b"").status_code == 202, 30, "the session to be free")
        assert client.get(location).headers["Range"] == "0-999"
    assert any_stack.stored_files() == before
    assert client.finish(location, oci.digest(b"a" * 1000)).status_code == 201


def test_paths(any_stack, client, name):
    m = oci.image()
    client.push(name, "latest", m)
    token = client.token(f"repository:{name}:pull,push")

    def status(path):
        s = send_raw(any_stack, f"GET {path} HTTP/1.1\r\nHost: {any_stack.host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n")
        with s, s.makefile("rb") as f:
            return int(f.readline().split()[1])

    assert status(f"/v2/{name}/manifests/latest") == 200
    assert status(f"/v2/{name}/manifests/{m.digest.replace(':', '%3A')}") == 200
    assert status(f"/v2/{name.replace('/', '%2F')}/manifests/latest") == 200           # as Quay
    for bad in (f"/v2/{name.replace('/', '//')}/manifests/latest", f"/v2/{name}/manifests%2Flatest",
                f"/v2/x/../{name}/manifests/latest", f"//v2/{name}/manifests/latest", f"/v2/{name}/manifests/lat%00est"):
        assert status(bad) in (400, 401, 404), bad


def test_accept_in_two_lines(any_stack, client, name):
    m = oci.image()
    client.push(name, "latest", m)
    token = client.token(f"repository:{name}:pull,push")
    s = send_raw(any_stack, f"GET /v2/{name}/manifests/latest HTTP/1.1\r\nHost: {any_stack.host}\r\nAuthorization: Bearer {token}\r\n"
                 f"Accept: {oci.OCI_INDEX}\r\nAccept: {oci.OCI_IMAGE}\r\nConnection: close\r\n\r\n")
    with s, s.makefile("rb") as f:
        assert b" 200 " in f.readline()


def test_range_is_applied_once(client, name):
    data = os.urandom(300_000)
    client.push_blob(name, data)
    r = client.get(f"/v2/{name}/blobs/{oci.digest(data)}", headers={"Range": "bytes=1000-99999"})
    assert r.status_code == 206 and r.content == data[1000:100000]
    assert r.headers["Content-Range"] == "bytes 1000-99999/300000" and r.headers["Content-Length"] == "99000"


def test_head_equals_get(client, name):
    m = oci.image()
    client.push(name, "latest", m)
    for path in (f"/v2/{name}/manifests/latest", f"/v2/{name}/blobs/{oci.digest(m.blobs[0])}", f"/v2/{name}/tags/list"):
        h, g = client.head(path), client.get(path)
        assert h.status_code == g.status_code == 200 and h.content == b""
        volatile = {"Date", "X-Request-Id", "Connection", "Keep-Alive", "Transfer-Encoding"}
        assert {k: v for k, v in h.headers.items() if k not in volatile} == {k: v for k, v in g.headers.items() if k not in volatile}


def send_until_answered(s, pieces):
    """Sends chunks of 1 MiB until the server says something; how many it took."""
    for sent in range(pieces):
        if select.select([s], [], [], 0)[0]:
            return sent
        try:
            s.sendall(b"100000\r\n" + bytes(1 << 20) + b"\r\n")
        except (BrokenPipeError, ConnectionResetError):
            return sent
    return pieces


def test_refusal_needs_no_body(any_stack, client, name):
    """401 to a stranger's 64 MiB, and nothing of it is kept."""
    before = any_stack.stored_files()
    s = send_raw(any_stack, f"POST /v2/{name}/blobs/uploads/?digest={oci.unknown_digest()} HTTP/1.1\r\nHost: {any_stack.host}\r\nTransfer-Encoding: chunked\r\n\r\n")
    with s:
        sent = send_until_answered(s, 64)
        if any_stack.server == "apache-fcgid":          # reads all of it first
            assert sent == 64
            s.sendall(b"0\r\n\r\n")
        else:
            assert sent < 64
        assert b" 401 " in s.recv(1000).split(b"\r\n")[0]
    assert any_stack.stored_files() == before


def test_gzip_is_never_applied(client, name):
    m = oci.image(1, annotations={"k": "x" * 20000})
    client.push(name, "latest", m)
    r = client.get(f"/v2/{name}/manifests/latest", headers={"Accept-Encoding": "gzip, deflate, br"})
    assert "Content-Encoding" not in r.headers and int(r.headers["Content-Length"]) == len(m.body)


def test_more_requests_than_threads(client, name):
    """They wait and are served: no 5xx. Each comes on a connection of its own."""
    client.push(name, "latest", oci.image())
    url = f"{client.base}/v2/{name}/manifests/latest"
    headers = {"Authorization": f"Bearer {client.token(f'repository:{name}:pull,push')}"}
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        codes = list(pool.map(lambda _: requests.get(url, headers=headers, timeout=60).status_code, range(400)))
    assert set(codes) == {200}


# With mod_fcgid there is no parent process of ours, and no request runs while a body comes.
OURS = pytest.mark.parametrize("any_stack", ["lighttpd", "apache", "nginx"], indirect=True)


@OURS
@pytest.mark.parametrize("pool", ["api", "transfer"])
def test_killed_process_is_replaced(any_stack, client, pool):
    any_stack.expect_log("signal 9|SIGKILL|killed")
    killed = any_stack.kill_children(pool, signal.SIGKILL)
    assert killed
    st.until(lambda: len(any_stack.children(pool)) == len(killed) and not set(killed) & set(any_stack.children(pool)), 20, "new processes")
    client.tokens.clear()
    assert client.get("/v2/").status_code == 200


@OURS
def test_term_finishes_what_runs(any_stack, client, name):
    """TERM to the pool during an upload: the upload ends with 201, then the pool ends."""
    data = os.urandom(4 << 20)
    location = client.start_upload(name)
    token = client.token(f"repository:{name}:pull,push")
    path = location.split(any_stack.host, 1)[1]
    sep = "&" if "?" in path else "?"
    s = send_raw(any_stack, f"PUT {path}{sep}digest={oci.digest(data)} HTTP/1.1\r\nHost: {any_stack.host}\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n", data[: 1 << 20])
    st.until(lambda: any_stack.sql("SELECT count(*) FROM upload WHERE lease_until_ms > kade_now_ms()")[0][0] > 0, 20, "the upload to run")
    pid = any_stack.pool_pid("transfer")
    os.kill(pid, signal.SIGTERM)
    s.sendall(data[1 << 20 :])
    with s, s.makefile("rb") as f:
        assert b" 201 " in f.readline()
    st.until(lambda: not os.path.exists(f"/proc/{pid}"), 30, "the end of the pool")
    any_stack.stop_pools()
    any_stack.start_pools()
    assert client.pull_blob(name, oci.digest(data)) == data


def test_slow_upload_holds_nobody(any_stack, client, name):
    """While a client sends a byte now and then, others are served."""
    location = client.start_upload(name)
    token = client.token(f"repository:{name}:pull,push")
    path = location.split(any_stack.host, 1)[1]
    slow = [send_raw(any_stack, f"PATCH {path} HTTP/1.1\r\nHost: {any_stack.host}\r\nAuthorization: Bearer {token}\r\nContent-Length: 1000000\r\n\r\n", b"x") for _ in range(20)]
    try:
        t0 = time.monotonic()
        for _ in range(20):
            assert client.get("/v2/").status_code == 200
        assert time.monotonic() - t0 < 20, "quick requests wait for slow ones"
    finally:
        for s in slow:
            s.close()


@pytest.mark.full
@pytest.mark.parametrize("streamed", [True, False])
def test_blob_above_one_gib(any_stack, client, name, streamed):
    """1 GiB + 1 byte: catches 411, limits of 32 bits, and silent cuts."""
    size = (1 << 30) + 1
    piece = os.urandom(1 << 20)
    h = hashlib.sha256()

    def body():
        left = size
        while left:
            n = min(left, len(piece))
            yield piece[:n]
            left -= n

    for part in body():
        h.update(part)
    d = f"sha256:{h.hexdigest()}"
    location = client.start_upload(name)
    if streamed:
        r = client.call("PATCH", location, data=body(), headers={"Content-Type": "application/octet-stream"}, timeout=900)
        assert r.status_code == 202 and r.headers["Range"] == f"0-{size - 1}"
        r = client.finish(location, d)
    else:
        r = client.finish(location, d, body(), headers={"Content-Length": str(size)}, timeout=900)
    assert r.status_code == 201
    got = hashlib.sha256()
    with client.get(f"/v2/{name}/blobs/{d}", stream=True, timeout=900) as r:
        assert r.headers["Content-Length"] == str(size)
        for part in r.iter_content(1 << 20):
            got.update(part)
    assert got.hexdigest() == d.split(":")[1]
