"""Hostile input over the whole stack: odd paths, forged tokens, other people's ids, slow and huge requests, manifests made to
cost memory. Each is answered in the protocol's form, changes nothing (all tables and objects are compared), and what the caller
may not see costs and says the same as what is not there."""

import base64
import collections
import concurrent.futures
import contextlib
import hashlib
import json
import os
import re
import secrets
import socket
import time
import uuid

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

import oci
import stack as st
from breakage import access, alive, inventory, processes, pss_kib, scope_of
from test_resume import Memory


@pytest.fixture(scope="module")
def attacked(make_stack):
    return make_stack("lighttpd", name="attacked", KADE={"ACCESS_LOG": "all"})


@pytest.fixture(scope="module")
def victim(attacked):
    """(client, repository, image, upload): a private repository of somebody else, an upload of theirs that runs."""
    attacked.create_user("victim")
    client, m = attacked.client("victim"), oci.image(2)
    client.push("victim/secret", "latest", m)
    location = client.start_upload("victim/secret")
    assert client.patch(location, b"x" * 1000).status_code == 202
    return client, "victim/secret", m, location


@pytest.fixture(scope="module")
def mallory(attacked):
    attacked.create_user("mallory")
    client = attacked.client("mallory")
    client.push("mallory/own", "latest", oci.image())
    return client


# What a refused request may write: its own account's last use and the counters of failed logins. Nothing of the registry.
MAY_CHANGE = {"audit_log", "login_failure", "account_network"}


def state(stack):
    """A digest of every table and the list of objects."""
    tables = [r[0] for r in stack.sql("SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                                      "WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1")]
    assert len(tables) > 30
    rows = {t: stack.sql(f"SELECT count(*), md5(coalesce(string_agg(x::text, E'\\n' ORDER BY x::text), '')) FROM \"{t}\" x")[0]
            for t in tables if t not in MAY_CHANGE}
    return rows, inventory(stack)["files"]


@pytest.fixture
def unchanged(attacked, victim, mallory):
    """All tables and objects are the same after the test as before."""
    for repo in ("victim/secret", "mallory/own", "mallory/none"):
        mallory.token(scope_of(repo))                            # what signing in writes is not the attack's doing
    before = state(attacked)
    yield
    after = state(attacked)
    for table, rows in before[0].items():
        assert after[0][table] == rows, f"table {table} was changed"
    assert after[1] == before[1], "objects were changed"


def raw(stack, head, body=b"", timeout=30):
    """Bytes as they are to the web server; (status, headers, body), status None when it only closed."""
    with socket.create_connection(("127.0.0.1", stack.port), timeout=timeout) as s:
        with contextlib.suppress(ConnectionError):
            s.sendall(head + body)
        data = b""
        with contextlib.suppress(ConnectionError):
            while piece := s.recv(65536):
                data += piece
    top, _, rest = data.partition(b"\r\n\r\n")
    m = re.match(rb"HTTP/1\.1 (\d+)", top)
    return (int(m[1]) if m else None), top.decode("latin-1"), rest


# -- paths

ODD = ["/v2/../victim/secret/tags/list", "/v2/mallory/own/../../victim/secret/tags/list", "/v2/mallory/%2e%2e/victim/secret/tags/list",
       "/v2/mallory/own/%2e%2e%2f%2e%2e%2fvictim/secret/tags/list", "/v2//victim/secret/tags/list", "/v2/victim//secret/tags/list", "//v2/victim/secret/tags/list",
       "/v2/victim/secret%00/tags/list", "/v2/victim/secret/tags/list%00", "/v2/victim%2fsecret/tags/list", "/v2/victim%252fsecret/tags/list", "/v2/victim/secret;/tags/list",
       "/v2/victim/secret/./tags/list", "/v2/victim/secret/blobs/../../../../etc/passwd", "/v2/victim/secret/blobs/sha256:..%2f..%2f..%2fetc%2fpasswd",
       "/v2/victim/secret/blobs/uploads/..%2f..%2fx", "/v2/victim/secret/manifests/..", "/v2/victim/secret/manifests/%2e%2e%2f", "/v2/VICTIM/secret/tags/list",
       "/v2/vi\u0441tim/secret/tags/list", "/v2/victim/secret\u202e/tags/list", "/v2/%c0%ae%c0%ae/victim/tags/list", "/v2/victim/" + "s" * 7000 + "/tags/list",
       "/v2/" + "a/" * 3000 + "tags/list", "/v2/victim/secret/manifests/" + "t" * 7000, "/v2/victim/secret/tags/list?n=" + "9" * 5000, "/v2/victim/secret/tags/list#/x",
       "/v2/victim\\secret/tags/list", "/v2/victim/secret/tags/list\x0b", "/v2/victim/secret/%", "/v2/victim/secret/%zz/tags/list", "*", "http://other.example/v2/victim/secret/tags/list"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "TRACE", "PROPFIND"])
def test_paths(attacked, mallory, victim, unchanged, method):
    """No spelling of a path leads to what its plain form would not, and none is the server's fault."""
    token = mallory.token(scope_of("mallory/own"))
    for path in ODD:
        head = f"{method} {path} HTTP/1.1\r\nHost: {attacked.host}\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        status, top, body = raw(attacked, head.encode())
        assert status is None or 400 <= status < 500, f"{method} {path[:60]}: {status} {top} {body[:200]}"
        assert victim[2].digest.encode() not in body and b"latest" not in body
        if body and "application/json" in top.lower():
            assert {"errors", "error"} & set(json.loads(unchunk(top, body))), body


def unchunk(top, body):
    if "transfer-encoding: chunked" not in top.lower():
        return body
    out = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        n = int(size, 16)
        out, body = out + body[:n], body[n + 2:]
        if n == 0:
            break
    return out


# -- tokens


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(head, claims, sign):
    text = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{text}.{b64(sign(text.encode()))}"


def raw_es256(key, data):
    r, s = utils.decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@pytest.fixture(scope="module")
def service_key(attacked):
    """A signing key that the registry accepts, as that of another host: what it signs is right but for what the test changes."""
    key = ec.generate_private_key(ec.SECP256R1())
    jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    kid = b64(hashlib.sha256(json.dumps({m: jwk[m] for m in ("crv", "kty", "x", "y")}, separators=(",", ":")).encode()).digest())
    attacked.sql("INSERT INTO service_key (kid, service, jwk, expires_ms, approved_ms, approval) VALUES (%s, 'quay', %s, kade_now_ms() + 3600000, kade_now_ms(), 'x')",
                 kid, json.dumps({**jwk, "kid": kid}))
    return key, kid


N_ES256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
FORGERIES = {
    "expired": lambda k, h, c: signed(h, {**c, "exp": int(time.time()) - 3600, "iat": int(time.time()) - 7200, "nbf": int(time.time()) - 7200}, lambda t: raw_es256(k, t)),
    "not yet": lambda k, h, c: signed(h, {**c, "nbf": int(time.time()) + 3600}, lambda t: raw_es256(k, t)),
    "no end": lambda k, h, c: signed(h, {m: v for m, v in c.items() if m != "exp"}, lambda t: raw_es256(k, t)),
    "end is text": lambda k, h, c: signed(h, {**c, "exp": "99999999999"}, lambda t: raw_es256(k, t)),
    "audience": lambda k, h, c: signed(h, {**c, "aud": "other.example"}, lambda t: raw_es256(k, t)),
    "issuer": lambda k, h, c: signed(h, {**c, "iss": "somebody"}, lambda t: raw_es256(k, t)),
    "all zero": lambda k, h, c: signed(h, c, lambda t: bytes(64)),
    "r is the order": lambda k, h, c: signed(h, c, lambda t: N_ES256.to_bytes(32, "big") * 2),
    "DER": lambda k, h, c: signed(h, c, lambda t: k.sign(t, ec.ECDSA(hashes.SHA256()))),
    "RS256 by its own key": lambda k, h, c: signed({**h, "alg": "RS256"}, c, lambda t: rsa.generate_private_key(65537, 2048).sign(t, padding.PKCS1v15(), hashes.SHA256())),
    "ES256 said to be RS256": lambda k, h, c: signed({**h, "alg": "RS256"}, c, lambda t: raw_es256(k, t)),
    "ES384": lambda k, h, c: signed({**h, "alg": "ES384"}, c, lambda t: raw_es256(k, t)),
    "alg none": lambda k, h, c: signed({**h, "alg": "none"}, c, lambda t: b""),
    "alg nOnE": lambda k, h, c: signed({**h, "alg": "nOnE"}, c, lambda t: b""),
    "HS256 with the public key": lambda k, h, c: jwt_hs256(h, c, k.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)),
    "two algorithms": lambda k, h, c: f'{b64((json.dumps(h)[:-1] + ", " + chr(34) + "alg" + chr(34) + ": " + chr(34) + "none" + chr(34) + "}").encode())}.{b64(json.dumps(c).encode())}.',
    "jku": lambda k, h, c: signed({**h, "jku": "http://127.0.0.1:1/", "kid": "x"}, c, lambda t: raw_es256(k, t)),
    "kid is a list": lambda k, h, c: signed({**h, "kid": [h["kid"]]}, c, lambda t: raw_es256(k, t)),
    "kid is SQL": lambda k, h, c: signed({**h, "kid": "' OR '1'='1"}, c, lambda t: raw_es256(k, t)),
    "kid is long": lambda k, h, c: signed({**h, "kid": "k" * 5000}, c, lambda t: raw_es256(k, t)),
    "claims are a list": lambda k, h, c: signed(h, [c], lambda t: raw_es256(k, t)),
    "claims are deep": lambda k, h, c: signed(h, {**c, "x": json.loads("[" * 900 + "]" * 900)}, lambda t: raw_es256(k, t)),
    "nothing": lambda k, h, c: "..",
    "huge": lambda k, h, c: signed(h, {**c, "x": "y" * 15000}, lambda t: bytes(64)),
}


def jwt_hs256(head, claims, key):
    import hmac

    return signed({**head, "alg": "HS256"}, claims, lambda t: hmac.new(key, t, hashlib.sha256).digest())


@pytest.mark.parametrize("trick", FORGERIES)
def test_token(attacked, mallory, victim, service_key, unchanged, trick):
    """A token that is right but for one thing. That the untouched one is taken is seen first: else the test would prove nothing."""
    key, kid = service_key
    claims = jwt.decode(victim[0].token(scope_of(victim[1])), options={"verify_signature": False})
    head = {"alg": "ES256", "kid": kid, "typ": "JWT"}
    path = f"{attacked.base}/v2/{victim[1]}/manifests/latest"
    good = signed(head, claims, lambda t: raw_es256(key, t))
    assert requests.head(path, headers={"Authorization": f"Bearer {good}"}, timeout=30).status_code == 200
    r = requests.get(path, headers={"Authorization": f"Bearer {FORGERIES[trick](key, head, claims)}"}, timeout=30)
    assert r.status_code == 401 and oci.error_code(r) == "UNAUTHORIZED" and "WWW-Authenticate" in r.headers
    r = requests.put(path, data=b"{}", headers={"Authorization": f"Bearer {FORGERIES[trick](key, head, claims)}", "Content-Type": oci.OCI_IMAGE}, timeout=30)
    assert r.status_code == 401


# -- what one may not see is as what is not there


def shape(r):
    """What a client can tell: status, headers that do not change by themselves, body."""
    steady = {k.lower(): v for k, v in r.headers.items() if k.lower() not in ("date", "x-request-id", "location", "docker-upload-uuid", "content-length")}
    return r.status_code, steady, r.text


def costs(stack, r):
    (line,) = st.until(lambda: access(stack, id=r.headers["X-Request-Id"]), 60, "the line of the access log")
    return line["statements"]


def pairs(victim):
    """(what, method, path of the foreign thing, path of an absent one, body). The names are equally long."""
    _, repo, m, location = victim
    blob, gone, none = oci.digest(m.blobs[1]), oci.unknown_digest(), "victim/sacret"
    theirs, nobodys = re.search(r"/uploads/([0-9a-f-]{36})", location)[1], str(uuid.uuid4())
    return [
        ("tag", "GET", f"/v2/{repo}/manifests/latest", f"/v2/{none}/manifests/latest", None),
        ("manifest", "GET", f"/v2/{repo}/manifests/{m.digest}", f"/v2/{none}/manifests/{m.digest}", None),
        ("manifest elsewhere", "GET", f"/v2/mallory/own/manifests/{m.digest}", f"/v2/mallory/own/manifests/{gone}", None),
        ("delete of a manifest elsewhere", "DELETE", f"/v2/mallory/own/manifests/{m.digest}", f"/v2/mallory/own/manifests/{gone}", None),
        ("blob", "GET", f"/v2/{repo}/blobs/{blob}", f"/v2/{none}/blobs/{blob}", None),
        ("blob elsewhere", "GET", f"/v2/mallory/own/blobs/{blob}", f"/v2/mallory/own/blobs/{gone}", None),
        ("head of a blob elsewhere", "HEAD", f"/v2/mallory/own/blobs/{blob}", f"/v2/mallory/own/blobs/{gone}", None),
        ("delete of a blob elsewhere", "DELETE", f"/v2/mallory/own/blobs/{blob}", f"/v2/mallory/own/blobs/{gone}", None),
        ("tags", "GET", f"/v2/{repo}/tags/list", f"/v2/{none}/tags/list", None),
        ("referrers", "GET", f"/v2/{repo}/referrers/{m.digest}", f"/v2/{none}/referrers/{m.digest}", None),
        ("upload", "GET", f"/v2/{repo}/blobs/uploads/{theirs}", f"/v2/{none}/blobs/uploads/{nobodys}", None),
        ("upload under one's own name", "GET", f"/v2/mallory/own/blobs/uploads/{theirs}", f"/v2/mallory/own/blobs/uploads/{nobodys}", None),
        ("chunk for it", "PATCH", f"/v2/mallory/own/blobs/uploads/{theirs}", f"/v2/mallory/own/blobs/uploads/{nobodys}", b"mine"),
        ("completion of it", "PUT", f"/v2/mallory/own/blobs/uploads/{theirs}?digest={gone}", f"/v2/mallory/own/blobs/uploads/{nobodys}?digest={gone}", b""),
        ("cancelling it", "DELETE", f"/v2/mallory/own/blobs/uploads/{theirs}", f"/v2/mallory/own/blobs/uploads/{nobodys}", None),
    ]


WHAT = [p[0] for p in pairs((None, "", oci.Manifest(b"", "", [b"", b""]), "/uploads/" + "0" * 36))]


@pytest.mark.parametrize("i", range(len(WHAT)), ids=WHAT)
def test_forbidden_is_as_absent(attacked, mallory, victim, unchanged, i):
    """Same answer, same number of statements. Time on a shared machine says nothing; what is sent to the database does."""
    what, method, foreign, absent, body = pairs(victim)[i]
    seen = []
    for path in (foreign, absent, foreign, absent):
        repo = re.match(r"/v2/(\w+/\w+)/", path)[1]
        r = mallory.call(method, path, data=body, token=mallory.token(scope_of(repo)))
        assert 400 <= r.status_code < 500
        text = re.sub(r"sha256:[0-9a-f]{64}|s[ae]cret|[0-9a-f]{8}-[0-9a-f-]{27}", "#", str(shape(r)))
        seen.append((text, costs(attacked, r)))
    assert seen[0][0] == seen[1][0], what
    assert seen[2][1] == seen[3][1], f"{what}: statements {seen}"


def test_plans_of_forbidden_and_absent(attacked, servers, mallory, victim):
    """The statements themselves are the same ones, in the same order: the log of PostgreSQL names them."""
    attacked.sql(f"ALTER DATABASE {attacked.database} SET log_min_duration_statement = 0")
    log = servers.postgres / "postgres.log"
    try:
        ready = sum(text.count('"ready: ') for text in attacked.logs().values())
        attacked.restart_pools()
        st.until(lambda: sum(text.count('"ready: ') for text in attacked.logs().values()) >= ready + 2, 60, "all workers, with their first statements")
        for what, method, foreign, absent, body in pairs(victim):
            names = []
            for path in (foreign, absent):
                repo = re.match(r"/v2/(\w+/\w+)/", path)[1]
                token, start = mallory.token(scope_of(repo)), log.stat().st_size
                r = mallory.call(method, path, data=body, token=token)
                n = costs(attacked, r)

                def executed():
                    with log.open("rb") as f:
                        f.seek(start)
                        return re.findall(r"execute ([a-z]\w+)\b", f.read().decode(errors="replace"))

                st.until(lambda: len(executed()) >= n, 60, f"{what}: {n} statements in the log")
                names.append(executed())
            assert names[0] == names[1], what
    finally:
        attacked.sql(f"ALTER DATABASE {attacked.database} RESET log_min_duration_statement")
        attacked.restart_pools()


@pytest.mark.parametrize("source", [True, False])
def test_foreign_mount(attacked, mallory, victim, source):
    """A mount of a foreign blob gives an upload, as one of an absent blob: nothing is linked."""
    blob, gone = oci.digest(victim[2].blobs[1]), oci.unknown_digest()
    answers = []
    for d in (blob, gone):
        r = mallory.call("POST", "/v2/mallory/own/blobs/uploads/", params={"mount": d, **({"from": "victim/secret"} if source else {})})
        answers.append((shape(r), costs(attacked, r)))
        assert r.status_code == 202 and mallory.delete(r.headers["Location"]).status_code == 204
    assert answers[0] == answers[1]
    assert mallory.head(f"/v2/mallory/own/blobs/{blob}").status_code == 404


# -- slow and huge requests


@pytest.mark.parametrize("kib", [64, 1024, 10240])
def test_huge_headers(attacked, unchanged, kib):
    """The web server refuses them; the registry lives."""
    before = processes(attacked)
    head = f"GET /v2/ HTTP/1.1\r\nHost: {attacked.host}\r\nConnection: close\r\n".encode()
    for lines in (b"X-A: " + b"a" * (kib << 10) + b"\r\n", b"".join(b"X-%d: " % i + b"a" * 1000 + b"\r\n" for i in range(kib)),
                  b"Cookie: " + b"a=b; " * (kib * 204) + b"\r\n"):
        status, _, _ = raw(attacked, head + lines + b"\r\n")
        assert status in (None, 400, 413, 414, 431)
    assert processes(attacked) == before and all(alive(p) for p in before)
    assert requests.get(f"{attacked.base}/v2/", timeout=30).status_code == 401


def test_slow_headers_and_bodies_hold_nobody(attacked, mallory, unchanged):
    """200 connections that stand in their headers, 40 uploads that stand in their body: others are served, memory stays small."""
    held, repo = [], "mallory/own"
    token = mallory.token(scope_of(repo))
    start = mallory.start_upload(repo)
    try:
        with Memory(attacked, 40):
            for _ in range(200):
                s = socket.create_connection(("127.0.0.1", attacked.port), timeout=30)
                held.append(s)
                s.sendall(f"GET /v2/ HTTP/1.1\r\nHost: {attacked.host}\r\nX-Slow: ".encode())
            for _ in range(40):
                s = socket.create_connection(("127.0.0.1", attacked.port), timeout=30)
                held.append(s)
                s.sendall(f"PUT /v2/{repo}/manifests/slow HTTP/1.1\r\nHost: {attacked.host}\r\nAuthorization: Bearer {token}\r\n"
                          f"Content-Type: {oci.OCI_IMAGE}\r\nContent-Length: 1000000\r\n\r\n{{".encode())
            for _ in range(20):
                assert requests.get(f"{attacked.base}/v2/{repo}/blobs/{oci.unknown_digest()}", headers={"Authorization": f"Bearer {token}"}, timeout=30).status_code == 404
    finally:
        for s in held:
            s.close()
        mallory.delete(start)
    st.until(lambda: requests.get(f"{attacked.base}/v2/", timeout=60).status_code == 401, 60, "an answer after the slow ones left")


# -- manifests made to cost memory


def padded(text, size=5 << 20):
    return text + b" " * (size - len(text) - 1)


def hostile_manifests(size=(5 << 20) - 4096):
    head = b'{"schemaVersion":2,"mediaType":"%s",' % oci.OCI_IMAGE.encode()
    one = b'{"mediaType":"a/b","digest":"sha256:%s","size":1}' % (b"0" * 64)
    return {
        "deep": head + b'"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "depth 65": head + b'"x":' + b"[" * 65 + b"]" * 65 + b"}",
        "many values": head + b'"x":[' + b",".join([b"1"] * 2_000_000) + b"]}",
        "50,000 objects": head + b'"x":[' + b",".join([b"{}"] * 50_001) + b"]}",
        "many layers": head + b'"config":%s,"layers":[' % one + b",".join([one] * 40_000) + b"]}",
        "a string of 5 MiB": head + b'"x":"' + b"a" * (size - 200) + b'"}',
        "a string of escapes": head + b'"x":"' + b"\\u0041" * ((size - 200) // 6) + b'"}',
        "duplicate keys": head + b",".join(b'"k":1' for _ in range(20_000)) + b"}",
        "many keys": head + b",".join(b'"k%d":1' % i for i in range(49_000)) + b"}",
        "not UTF-8": head + b'"x":"\xff\xfe"}',
        "NUL": head + b'"x":"\\u0000"}',
        "a lone surrogate": head + b'"x":"\\ud800"}',
        "a large number": head + b'"x":' + b"9" * 100_000 + b"}",
        "an exponent": head + b'"x":1e999999}',
        "cut": head + b'"x":[1,2',
        "blanks": padded(head, size),
        "not an object": b"[]",
        "nothing": b"",
        "over the limit": b"{" + b" " * (5 << 20) + b"}",
    }


@pytest.mark.parametrize("kind", hostile_manifests(size=10_000))
def test_hostile_manifest(attacked, mallory, unchanged, kind):
    body = hostile_manifests()[kind]
    r = mallory.put(f"/v2/mallory/own/manifests/{secrets.token_hex(3)}", data=body, headers={"Content-Type": oci.OCI_IMAGE})
    assert r.status_code in (400, 413), f"{r.status_code} {r.text[:300]}"
    assert oci.error_code(r) in ("MANIFEST_INVALID", "MANIFEST_BLOB_UNKNOWN", "SIZE_INVALID", "DIGEST_INVALID")


ROW_KIB = 32 << 10                                              # what the row of a manifest push may use, for each thread


def test_64_hostile_manifests_at_once(attacked, mallory, unchanged):
    """All kinds at once from 64 clients. The limit is the row's own for each thread that takes pushes; afterwards the memory is
    given back: 16 MiB for a process, 512 KiB for each thread."""
    bodies, token = list(hostile_manifests().values()), mallory.token(scope_of("mallory/own"))
    api = attacked.children("api")
    most, stop = collections.Counter(), []

    def watch():
        while not stop:
            for pid in api:
                most[pid] = max(most[pid], pss_kib(pid))
            time.sleep(0.02)

    def push(i):
        r = requests.put(f"{attacked.base}/v2/mallory/own/manifests/x{i}", data=bodies[i % len(bodies)], timeout=120,
                         headers={"Content-Type": oci.OCI_IMAGE, "Authorization": f"Bearer {token}"})
        return r.status_code

    with concurrent.futures.ThreadPoolExecutor(65) as pool:
        watcher = pool.submit(watch)
        try:
            got = collections.Counter(pool.map(push, range(192)))
        finally:
            stop.append(True)
            watcher.result()
    print("answers:", got, "most PSS in KiB:", dict(most))
    assert set(got) <= {400, 413, 503} and got[400] > got[503]
    assert attacked.children("api") == api, "a worker ended"
    threads = 8
    assert all(0 < v < 16 * 1024 + threads * ROW_KIB for v in most.values()), most
    # The memory goes back after the answer has gone out.
    st.until(lambda: all(pss_kib(pid) < 16 * 1024 + threads * 512 for pid in api), 30, "memory below the limit again")
