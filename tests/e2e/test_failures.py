"""When things break: PostgreSQL, Redis, the disks, our processes, the web server. What a client hears is an error of the
protocol, soon; what was answered stays; what was not leaves nothing behind that can be seen; nobody has to be restarted."""

import concurrent.futures
import contextlib
import os
import pathlib
import secrets
import signal
import socket
import subprocess
import threading
import time

import psycopg2
import pytest
import requests

import oci
import stack as st
from breakage import (Slow, alive, audit, expire_lease, fragile, give, inventory, is_v2_error, running,  # noqa: F401
                      scope_of, upload_file, uuid_of, with_digest, writing)

SOON = 30               # seconds: guards against a hang, says nothing of speed


@pytest.fixture(scope="module")
def broken(fragile):  # noqa: F811
    with running(st.Stack(fragile, "lighttpd", name="broken")) as s:
        yield s


@pytest.fixture
def admin(broken):
    return broken.superuser()


@pytest.fixture
def name():
    return f"admin/f{secrets.token_hex(5)}"


@pytest.fixture(autouse=True)
def sound(request):
    """After each test that broke the shared stack: rows and store agree, and the log holds nothing but the announced fault."""
    yield
    if "broken" in request.fixturenames:
        s = request.getfixturevalue("broken")
        s.expect_log(r'"msg":"[A-Z]+ /\S*: 503: |ended by signal 9')
        s.check_logs(new=True)
        print("left over:", audit(s))


def every_route(client, repo, m, location):
    """One request for every route of /v2, with tokens that are there already."""
    blob, blobs = oci.digest(m.blobs[0]), f"/v2/{repo}/blobs/"
    token = client.token(scope_of(repo))
    yield "ping", lambda: client.call("GET", "/v2/", token=token)
    yield "token", lambda: client.ask_token(scope_of(repo))
    yield "token without scope", lambda: client.ask_token()
    yield "anonymous token", lambda: requests.get(f"{client.base}/v2/auth", params={"service": client.service, "scope": f"repository:{repo}:pull"}, timeout=60)
    yield "token by form", lambda: client.http.post(f"{client.base}/v2/auth", data={"grant_type": "password", "service": client.service, "username": client.user, "password": client.password}, timeout=60)
    for how in ("GET", "HEAD"):
        yield f"{how} manifest by tag", lambda how=how: client.call(how, f"/v2/{repo}/manifests/latest")
        yield f"{how} manifest by digest", lambda how=how: client.call(how, f"/v2/{repo}/manifests/{m.digest}")
        yield f"{how} blob", lambda how=how: client.call(how, blobs + blob)
    yield "PUT manifest", lambda: client.put_manifest(repo, "latest", m)
    yield "DELETE tag", lambda: client.delete(f"/v2/{repo}/manifests/none")
    yield "DELETE manifest", lambda: client.delete(f"/v2/{repo}/manifests/{oci.unknown_digest()}")
    yield "DELETE blob", lambda: client.delete(blobs + oci.unknown_digest())
    yield "POST upload", lambda: client.call("POST", blobs + "uploads/")
    yield "POST blob", lambda: client.call("POST", blobs + "uploads/", params={"digest": oci.digest(b"x")}, data=b"x")
    yield "mount", lambda: client.call("POST", blobs + "uploads/", params={"mount": blob, "from": repo})
    yield "upload status", lambda: client.get(location)
    yield "PATCH", lambda: client.patch(location, b"x" * 1000)
    yield "chunked PATCH", lambda: client.patch(location, b"x" * 1000, streamed=True)
    yield "PUT blob", lambda: client.finish(location, oci.digest(b"y"), b"y")
    yield "DELETE upload", lambda: client.delete(location)
    yield "tags", lambda: client.get(f"/v2/{repo}/tags/list")
    yield "referrers", lambda: client.get(f"/v2/{repo}/referrers/{m.digest}")
    yield "catalog", lambda: client.call("GET", "/v2/_catalog", token=token)


def all_unavailable(client, repo, m, location):
    for what, ask in every_route(client, repo, m, location):
        t0 = time.monotonic()
        r = ask()
        took = time.monotonic() - t0
        print(f"  {what}: {r.status_code} after {took:.2f} s")
        assert r.status_code == 503, f"{what}: {r.status_code} {r.text[:200]}"
        assert took < SOON, f"{what}: answered after {took:.1f} s"
        if r.request.method != "HEAD":
            assert oci.error_code(r) == "UNAVAILABLE", what


def many_pushes(stack, admin, repo, n=8):
    """So many whole pushes at once that every connection of every process is used."""
    images = [oci.image(1, 300) for _ in range(n)]
    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        got = list(pool.map(lambda im: stack.client(admin.user, admin.password).push(repo, f"t{im[0]}", im[1]).status_code, enumerate(images)))
    assert set(got) == {201}
    for i, m in enumerate(images):
        admin.pull(repo, f"t{i}", m)


# -- PostgreSQL


def test_postgres_is_stopped_and_comes_back(broken, fragile, admin, name):  # noqa: F811
    m = oci.image(2)
    admin.push(name, "latest", m)
    location = admin.start_upload(name)
    pids = broken.children("api") + broken.children("transfer")
    fragile.stop_postgres()
    try:
        all_unavailable(admin, name, m, location)
        assert requests.get(f"{broken.base}/v2/", timeout=SOON).status_code == 401, "who has no token needs no database to hear so"
    finally:
        fragile.start_postgres()
    many_pushes(broken, admin, name)
    admin.pull(name, "latest", m)
    assert admin.get(location).status_code == 204, "the upload is still there"
    assert broken.children("api") + broken.children("transfer") == pids, "no process was replaced"


def test_postgres_hangs(fragile):  # noqa: F811
    """Its processes take no notice of anything: each request ends all the same, and all is well when it wakes up."""
    with running(st.Stack(fragile, "lighttpd", {"KADE": {"DB_STATEMENT_TIMEOUT": "1s"}}, name="hang")) as s:
        admin, m = s.superuser(), oci.image()
        admin.push("admin/x", "latest", m)
        top = int((fragile.postgres / "postgres.pid").read_text())
        frozen = [top, *map(int, pathlib.Path(f"/proc/{top}/task/{top}/children").read_text().split())]
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        try:
            t0 = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(12) as pool:
                got = list(pool.map(lambda _: s.client("admin", admin.password).call("GET", "/v2/admin/x/manifests/latest", token=admin.token(scope_of("admin/x"))), range(12)))
            print("hanging database:", [r.status_code for r in got], f"{time.monotonic() - t0:.1f} s")
            for r in got:
                assert r.status_code == 503 and oci.error_code(r) == "UNAVAILABLE"
                assert r.elapsed.total_seconds() < SOON
        finally:
            for pid in frozen:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        admin.pull("admin/x", "latest", m)
        many_pushes(s, admin, "admin/x")


def backends(stack):
    return [r[0] for r in stack.sql("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'kade.fcgi'")]


def test_idle_connections_are_killed(broken, admin, name):
    """The next request of every connection, reads and writes, is served as if nothing had been."""
    for _ in range(3):
        many_pushes(broken, admin, name)
        victims = backends(broken)
        assert victims
        broken.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = ANY(%s)", victims)
        st.until(lambda: not set(backends(broken)) & set(victims), 20, "the end of the connections")
        many_pushes(broken, admin, name)


@contextlib.contextmanager
def blocked_push(stack, admin, repo, m):
    """A manifest push that stands in the middle of its transaction: (future, pid of its backend)."""
    (repo_id,), = stack.sql("SELECT r.id FROM repository r WHERE r.name = %s", repo.split("/")[1])
    with contextlib.closing(psycopg2.connect(stack.uri)) as db, concurrent.futures.ThreadPoolExecutor(1) as pool:
        with db.cursor() as cur:
            # The push ends the tag's old row: somebody else holds it.
            cur.execute("SELECT id FROM tag WHERE repository_id = %s AND name = 'latest' AND ended_ms IS NULL FOR UPDATE", (repo_id,))
            assert cur.rowcount == 1
            push = pool.submit(admin.put_manifest, repo, "latest", m)

            def waiting():
                return stack.sql("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'kade.fcgi' AND wait_event_type = 'Lock'")

            (pid,), = st.until(waiting, 20, "the push to wait in its transaction")
            yield push, pid
            db.rollback()


def pushed_twice(admin, name):
    """An image under latest, and another whose blobs are there."""
    old, new = oci.image(1, 300), oci.image(1, 300)
    admin.push(name, "latest", old)
    for b in new.blobs:
        admin.push_blob(name, b)
    return old, new


def test_connection_is_killed_in_a_manifest_push(broken, admin, name):
    old, new = pushed_twice(admin, name)
    with blocked_push(broken, admin, name, new) as (push, pid):
        assert broken.sql("SELECT pg_terminate_backend(%s)", pid) == [(True,)]
        r = push.result(SOON)
        print("push whose connection was killed:", r.status_code, r.text)
        assert r.status_code == 503 and oci.error_code(r) == "UNAVAILABLE"
    admin.pull(name, "latest", old)
    assert admin.get(f"/v2/{name}/manifests/{new.digest}").status_code == 404, "nothing of the push is there"
    assert admin.put_manifest(name, "latest", new).status_code == 201
    admin.pull(name, "latest", new)


def test_postgres_stops_in_mid_upload(broken, fragile, admin, name):  # noqa: F811
    data = os.urandom(3 << 20)
    location = admin.start_upload(name)
    admin.patch(location, data[: 1 << 20], first=0)
    slow = Slow(broken, admin, "PATCH", location, name, length=2 << 20)
    slow.send(data[1 << 20 : 2 << 20])
    st.until(lambda: writing(broken, uuid_of(location)), 20, "the writer")
    fragile.stop_postgres()
    try:
        slow.send(data[2 << 20 :])
        status, headers, body = slow.read()
        print("chunk without a database:", status, body)
        assert status == 503 and is_v2_error(status, headers, body) == "UNAVAILABLE"
    finally:
        fragile.start_postgres()
    assert admin.get(location).headers["Range"] == f"0-{(1 << 20) - 1}"
    expire_lease(broken, location)
    assert admin.patch(location, data[1 << 20 :], first=1 << 20).status_code == 202
    assert admin.finish(location, oci.digest(data)).status_code == 201
    assert admin.pull_blob(name, oci.digest(data)) == data


# -- Redis


def redis_block(path):
    r = {"unix_socket_path": str(path)}
    return {"BUILDLOGS_REDIS": r, "USER_EVENTS_REDIS": r}


def whole_life(stack, admin, repo):
    m = oci.index([oci.image(2), oci.image(1)])
    admin.push(repo, "latest", m)
    admin.pull(repo, "latest", m)
    assert admin.get(f"/v2/{repo}/tags/list").json()["tags"] == ["latest"]
    assert admin.call("GET", "/v2/_catalog").status_code == 200
    assert admin.delete(f"/v2/{repo}/manifests/latest").status_code == 202


def test_redis_was_never_there(fragile):  # noqa: F811
    with running(st.Stack(fragile, "lighttpd", redis_block("/nonexistent/redis.sock"), name="noredis")) as s:
        whole_life(s, s.superuser(), "admin/x")
        s.check_logs()


def test_redis_goes_away_and_comes_back(fragile):  # noqa: F811
    folder = fragile.start("redis", "redis-mortal")
    with running(st.Stack(fragile, "lighttpd", redis_block(st.read_env(folder)["KADE_TEST_REDIS"]), name="redis-away")) as s:
        admin = s.superuser()
        whole_life(s, admin, "admin/a")
        st.ctl("stop", "redis", folder)
        admin.tokens.clear()
        whole_life(s, admin, "admin/b")
        st.ctl("start", "redis", folder)
        whole_life(s, admin, "admin/c")
        s.check_logs()


# -- disks


@contextlib.contextmanager
def small_disk(folder, options):
    folder.mkdir(parents=True, exist_ok=True)
    r = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], capture_output=True, text=True)
    if r.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted: {r.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def grow(folder, options):
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


@pytest.fixture
def tight(fragile, request):  # noqa: F811
    """A stack whose store is a small disk."""
    label = "tight-" + secrets.token_hex(3)
    with small_disk(fragile.folder / label / "store", request.param) as disk:
        config = {"DISTRIBUTED_STORAGE_CONFIG": {"default": ["LocalStorage", {"storage_path": str(disk)}]}}
        stack = st.Stack(fragile, "lighttpd", config, name=label + "-stack")
        give(stack, disk)
        with running(stack) as s:
            yield s, disk
            s.expect_log(": 503: ")
            s.check_logs()
            print("left over:", audit(s))


@pytest.mark.parametrize("tight", ["size=6m"], indirect=True)
@pytest.mark.parametrize("streamed", [False, True])
def test_store_is_full_in_mid_chunk(tight, streamed):
    stack, disk = tight
    admin, data = stack.superuser(), os.urandom(12 << 20)
    location = admin.start_upload("admin/x")
    assert admin.patch(location, data[: 3 << 20], first=0).status_code == 202
    r = admin.patch(location, data[3 << 20 :], first=None if streamed else 3 << 20, streamed=streamed)
    print("chunk on a full disk:", r.status_code, r.text)
    assert r.status_code == 503 and oci.error_code(r) == "UNAVAILABLE"
    r = admin.get(location)
    assert (r.status_code, r.headers["Range"]) == (204, f"0-{(3 << 20) - 1}"), "the session stands where it stood"
    assert admin.head(f"/v2/admin/x/blobs/{oci.digest(data)}").status_code == 404
    grow(disk, "size=64m")
    assert admin.patch(location, data[3 << 20 :], first=3 << 20).status_code == 202
    assert admin.finish(location, oci.digest(data)).status_code == 201
    assert admin.pull_blob("admin/x", oci.digest(data)) == data


@pytest.mark.parametrize("tight", ["size=6m"], indirect=True)
@pytest.mark.parametrize("how", ["put", "post"])
def test_store_is_full_in_one_request(tight, how):
    """A whole blob in one request that does not fit: refused, and a smaller one fits afterwards."""
    stack, _ = tight
    admin, data, less = stack.superuser(), os.urandom(12 << 20), os.urandom(4 << 20)
    if how == "post":
        r = admin.call("POST", "/v2/admin/x/blobs/uploads/", params={"digest": oci.digest(data)}, data=data)
    else:
        location = admin.start_upload("admin/x")
        r = admin.finish(location, oci.digest(data), data)
    print("blob on a full disk:", r.status_code, r.text)
    assert r.status_code == 503 and oci.error_code(r) == "UNAVAILABLE"
    if how == "put":
        assert admin.delete(location).status_code == 204
    assert inventory(stack)["uploads"] == set(), "what did not fit is gone"
    admin.push_blob("admin/x", less, how)
    assert admin.pull_blob("admin/x", oci.digest(less)) == less


@pytest.mark.parametrize("tight", ["size=64m,nr_inodes=14"], indirect=True)
def test_store_is_full_at_completion(tight):
    """All bytes are there, but no name is left for the folder of the blob."""
    stack, disk = tight
    admin, data = stack.superuser(), os.urandom(1 << 20)
    location = admin.start_upload("admin/x")
    assert admin.patch(location, data).status_code == 202
    n = 0
    with contextlib.suppress(OSError):
        while True:
            (disk / f"filler{n}").touch()
            n += 1
    r = admin.finish(location, oci.digest(data))
    print("completion on a full disk:", r.status_code, r.text, f"({n} fillers)")
    assert r.status_code == 503 and oci.error_code(r) == "UNAVAILABLE"
    assert admin.head(f"/v2/admin/x/blobs/{oci.digest(data)}").status_code == 404
    assert stack.sql("SELECT count(*) FROM blob WHERE digest = %s", oci.digest(data)) == [(0,)]
    r = admin.get(location)
    assert (r.status_code, r.headers["Range"]) == (204, f"0-{len(data) - 1}")
    for i in range(n):
        (disk / f"filler{i}").unlink()
    assert admin.finish(location, oci.digest(data)).status_code == 201
    assert admin.pull_blob("admin/x", oci.digest(data)) == data


def test_log_disk_is_full(fragile):  # noqa: F811
    """Lines are lost, requests are not."""
    with small_disk(fragile.folder / "logdisk", "size=64k") as disk:
        stack = st.Stack(fragile, "lighttpd", {"KADE": {"LOG": f"{disk}/kade.log"}}, name="logfull")
        give(stack, disk)
        log = disk / "kade.log"
        with running(stack) as s:
            admin = s.superuser()
            with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as f:
                while True:
                    f.write(b"x" * 512)
            size = log.stat().st_size
            for i in range(5):
                whole_life(s, admin, f"admin/x{i}")
            many_pushes(s, admin, "admin/y")
            assert log.stat().st_size - size < 4096, "the disk was not full"
            print("log on a full disk:", size, "→", log.stat().st_size)
            (disk / "filler").unlink()
            admin.get("/v2/")
            st.until(lambda: log.stat().st_size > size, 10, "lines again")
            assert all(line.startswith('{"time"') for line in log.read_text().splitlines()[-3:])


# -- our processes


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_worker_is_killed_in_mid_body(broken, admin, name, method):
    data = os.urandom(4 << 20)
    location = admin.start_upload(name)
    admin.patch(location, data[: 1 << 20], first=0)
    path = with_digest(location, oci.digest(data)) if method == "PUT" else location
    slow = Slow(broken, admin, method, path, name, length=3 << 20)
    slow.send(data[1 << 20 : 3 << 20])
    st.until(lambda: writing(broken, uuid_of(location)) and upload_file(broken, location).stat().st_size > 1 << 20, 20, "bytes beyond the offset")
    killed = broken.kill_children("transfer")
    status, _, body = slow.read()
    print("answer when the worker was killed:", status, body[:80])
    assert status is None or status >= 500
    st.until(lambda: len(broken.children("transfer")) == len(killed), 20, "new workers")
    r = admin.get(location)
    assert (r.status_code, r.headers["Range"]) == (204, f"0-{(1 << 20) - 1}")
    r = admin.patch(location, data[1 << 20 :], first=1 << 20)
    assert r.status_code == 416 and r.headers["Range"] == f"0-{(1 << 20) - 1}", "the lease of the dead writer holds"
    expire_lease(broken, location)
    assert admin.patch(location, data[1 << 20 :], first=1 << 20).status_code == 202
    assert admin.finish(location, oci.digest(data)).status_code == 201
    assert admin.pull_blob(name, oci.digest(data)) == data


def test_worker_is_killed_in_a_manifest_push(broken, admin, name):
    old, new = pushed_twice(admin, name)
    with blocked_push(broken, admin, name, new) as (push, _):
        killed = broken.kill_children("api")
        r = push.result(SOON)
        print("push whose worker was killed:", r.status_code)
        assert r.status_code >= 500
        st.until(lambda: len(broken.children("api")) == len(killed), 20, "new workers")
        assert admin.get("/v2/").status_code == 200
        admin.pull(name, "latest", old)
    st.until(lambda: broken.sql("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND starts_with(state, 'idle in transaction')") == [(0,)], 20, "the rollback")
    admin.pull(name, "latest", old)
    assert admin.get(f"/v2/{name}/manifests/{new.digest}").status_code == 404
    assert admin.put_manifest(name, "latest", new).status_code == 201
    admin.pull(name, "latest", new)


def test_term_finishes_uploads_and_downloads(broken, admin, name):
    """TERM to the pool: what runs is finished, then the pool ends."""
    data = os.urandom(24 << 20)
    admin.push_blob(name, data)
    location = admin.start_upload(name)
    more = os.urandom(3 << 20)
    slow = Slow(broken, admin, "PUT", with_digest(location, oci.digest(more)), name, length=len(more))
    slow.send(more[: 1 << 20])
    st.until(lambda: writing(broken, uuid_of(location)), 20, "the upload to run")
    get = admin.get(f"/v2/{name}/blobs/{oci.digest(data)}", stream=True)
    pieces = get.iter_content(1 << 20)
    first = next(pieces)
    pid = broken.pool_pid("transfer")
    os.kill(pid, signal.SIGTERM)
    try:
        slow.send(more[1 << 20 :])
        assert slow.read()[0] == 201
        assert oci.digest(first + b"".join(pieces)) == oci.digest(data)
        st.until(lambda: not alive(pid), SOON, "the end of the pool")
    finally:
        broken.stop_pools()
        broken.start_pools()
    assert admin.pull_blob(name, oci.digest(more)) == more


def test_reload_under_load_loses_nothing(broken, admin, name):
    m = oci.image(1, 300)
    admin.push(name, "latest", m)
    stop, seen, failed = threading.Event(), [], []

    def pulls():
        c = broken.client(admin.user, admin.password)
        while not stop.is_set():
            r = c.get(f"/v2/{name}/manifests/latest")
            seen.append(r.status_code)
            if r.status_code != 200 or r.content != m.body:
                failed.append((r.status_code, r.text[:200]))

    def pushes():
        c = broken.client(admin.user, admin.password)
        while not stop.is_set():
            try:
                c.push_blob(name, os.urandom(30_000), "patch")
                seen.append(201)
            except (AssertionError, requests.RequestException) as e:
                failed.append(repr(e)[:300])

    threads = [threading.Thread(target=t) for t in (pulls, pulls, pushes, pushes)]
    for t in threads:
        t.start()
    try:
        for _ in range(3):
            before, old = len(seen), {p: set(broken.children(p)) for p in ("api", "transfer")}
            for pool in old:
                os.kill(broken.pool_pid(pool), signal.SIGHUP)
            for pool, pids in old.items():
                st.until(lambda pool=pool, pids=pids: (now := set(broken.children(pool))) and not now & pids, SOON, f"new workers of {pool} alone")
            st.until(lambda before=before: len(seen) > before + 20, SOON, "requests after the reload")
    finally:
        stop.set()
        for t in threads:
            t.join()
    print("requests over three reloads:", len(seen), "failed:", failed[:5])
    assert not failed


# -- the web server


@pytest.mark.parametrize("server", ["lighttpd", "apache", "nginx"])
def test_web_server_dies_in_mid_body(fragile, server):  # noqa: F811
    """The body is cut, and a cut body is no end: the session is where it was."""
    with running(st.Stack(fragile, server, name=f"web-{server}")) as s:
        admin, data = s.superuser(), os.urandom(3 << 20)
        location = admin.start_upload("admin/x")
        admin.patch(location, data[: 1 << 20], first=0)
        for method, path in (("PATCH", location), ("PUT", with_digest(location, oci.digest(data)))):
            slow = Slow(s, admin, method, path, "admin/x", length=2 << 20)
            slow.send(data[1 << 20 : 2 << 20])
            st.until(lambda: writing(s, uuid_of(location)), 20, "the writer")
            (pid_file,) = s.web.glob("*.pid")
            top = int(pid_file.read_text())
            family = [top, *map(int, pathlib.Path(f"/proc/{top}/task/{top}/children").read_text().split())]
            for pid in family:
                os.kill(pid, signal.SIGKILL)
            slow.close()
            st.until(lambda: not any(alive(p) for p in family), 20, "the end of the web server")
            for stale in (s.web / "run").glob("*.pid"):
                stale.unlink()                                          # as a boot does
            s.start_web()
            st.until(lambda: not writing(s, uuid_of(location)), 20, "the lease to be given back")
            assert admin.get(location).headers["Range"] == f"0-{(1 << 20) - 1}"
        assert admin.finish(location, oci.digest(data), data[1 << 20 :]).status_code == 201
        assert admin.pull_blob("admin/x", oci.digest(data)) == data
        audit(s)


def test_end_of_input_comes_late(broken):
    """A web server may write the empty record that ends the input after the answer is there (httpd does, on a loaded machine):
    the connection is still open for it."""
    def record(kind, data):
        return bytes((1, kind, 0, 1, len(data) >> 8, len(data) & 255, 0, 0)) + data

    params = {"REQUEST_METHOD": "GET", "REQUEST_URI": "/v2/", "REMOTE_ADDR": "127.0.0.1", "SERVER_PROTOCOL": "HTTP/1.1"}
    pairs = b"".join(bytes((len(k), len(v))) + k.encode() + v.encode() for k, v in params.items())
    for _ in range(5):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(SOON)
            s.connect(str(broken.pools / "api.sock"))
            s.sendall(record(1, bytes((0, 1, 0, 0, 0, 0, 0, 0))) + record(4, pairs) + record(4, b""))
            data = b""
            while b"UNAUTHORIZED" not in data or data[-16:-14] != b"\x01\x03":      # up to END_REQUEST
                piece = s.recv(65536)
                assert piece, data
                data += piece
            s.sendall(record(5, b""))                                             # BrokenPipeError if it was closed before
            assert s.recv(1) == b"", "closed when the input ended"
