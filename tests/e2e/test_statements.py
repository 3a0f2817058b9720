"""How many statements a route may send to PostgreSQL, from the access log's own count, and what PostgreSQL says about it."""

import re
import secrets

import pytest
import requests

import oci
import stack as st
from breakage import access, scope_of


@pytest.fixture(scope="module")
def counted(make_stack):
    return make_stack("lighttpd", name="statements")


@pytest.fixture(scope="module")
def admin(counted):
    return counted.superuser()


@pytest.fixture(scope="module")
def image(admin, counted):
    """(repository, image), public, pushed and settled: its blobs are held by a manifest."""
    name, m = f"admin/s{secrets.token_hex(4)}", oci.image(2)
    admin.push(name, "latest", m)
    counted.sql("UPDATE repository SET is_public = true WHERE name = %s", name.split("/")[1])
    return name, m


def statements(stack, response):
    """Of the request that gave this answer."""
    (line,) = st.until(lambda: access(stack, id=response.headers["X-Request-Id"]), 10, "the line of the access log")
    assert line["status"] == response.status_code
    print(f'  {line["method"]} {line["path"]} {line["identity"]}: {line["statements"]}')
    return line["statements"]


@pytest.mark.parametrize("method, path, limit", [
    ("GET", "/v2/{name}/manifests/latest", 1),
    ("HEAD", "/v2/{name}/manifests/latest", 1),
    ("GET", "/v2/{name}/manifests/{digest}", 1),
    ("HEAD", "/v2/{name}/manifests/{digest}", 1),
    ("HEAD", "/v2/{name}/blobs/{blob}", 1),
    ("GET", "/v2/{name}/blobs/{blob}", 1),
    ("GET", "/v2/{name}/tags/list", 1),
    ("GET", "/v2/", 1),
])
@pytest.mark.parametrize("who", ["owner", "robot", "anonymous"])
def test_reads_with_a_token(counted, admin, image, robot, method, path, limit, who):
    """One statement does it all: facts, row, audit, pull statistics; for every identity and again for the second time."""
    name, m = image
    client = {"owner": admin, "robot": robot, "anonymous": counted.client()}[who]
    scope = f"repository:{name}:pull"
    path = path.format(name=name, digest=m.digest, blob=oci.digest(m.blobs[1]))
    for _ in range(2):
        r = client.call(method, path, token=client.token(scope))
        assert r.status_code == 200
        assert 0 < statements(counted, r) <= limit


@pytest.fixture(scope="module")
def robot(counted, admin, image):
    full, token = counted.create_robot("admin", "puller")
    counted.sql("INSERT INTO repository_permission (repository_id, account_id, role) SELECT r.id, a.id, 1 FROM repository r, account a WHERE r.name = %s AND a.name = %s",
                image[0].split("/")[1], full)
    return counted.client(full, token)


def test_token_of_a_robot(counted, robot, image):
    for _ in range(5):
        r = robot.ask_token(f"repository:{image[0]}:pull")
        assert r.status_code == 200
        assert statements(counted, r) <= 2


def test_anonymous_pull(counted, image):
    """Of a public image: the challenge costs nothing, the token one statement, the manifest one."""
    name, m = image
    challenge = requests.get(f"{counted.base}/v2/", timeout=30)
    assert challenge.status_code == 401 and statements(counted, challenge) == 0
    client = counted.client()
    r = client.ask_token(f"repository:{name}:pull")
    assert r.status_code == 200 and statements(counted, r) <= 1
    r = client.call("GET", f"/v2/{name}/manifests/latest", token=r.json()["token"])
    assert r.status_code == 200 and r.content == m.body and statements(counted, r) == 1


def test_refusals_are_no_dearer(counted, image):
    """A stranger's token for a repository that is not there, and a request without any."""
    client = counted.client()
    for r in (requests.get(f"{counted.base}/v2/{image[0]}-none/manifests/x", timeout=30),
              requests.get(f"{counted.base}/v2/{image[0]}-none/blobs/{oci.unknown_digest()}", timeout=30)):
        assert r.status_code == 401 and statements(counted, r) <= 1
    r = client.ask_token(f"repository:{image[0]}-none:pull")
    assert r.status_code == 200 and statements(counted, r) <= 1


def test_pushes(counted, admin, image):
    """Writes cost the same whatever the repository holds; the numbers are seen here, the limits keep them from growing unseen."""
    name, m = image
    blob = secrets.token_bytes(1000)
    start = admin.call("POST", f"/v2/{name}/blobs/uploads/")
    chunk = admin.patch(start.headers["Location"], blob)
    done = admin.finish(chunk.headers["Location"], oci.digest(blob))
    post = admin.call("POST", f"/v2/{name}/blobs/uploads/", params={"digest": oci.digest(blob)}, data=blob)
    new = oci.image(2)
    for b in new.blobs:
        admin.push_blob(name, b)
    manifest = admin.put_manifest(name, "another", new)
    answers = {"start": start, "chunk": chunk, "complete": done, "single": post, "manifest": manifest}
    assert [r.status_code for r in answers.values()] == [202, 202, 201, 201, 201]
    seen = {what: statements(counted, r) for what, r in answers.items()}
    print(seen)
    assert seen["start"] <= 2 and seen["chunk"] <= 3 and seen["complete"] <= 4 and seen["single"] <= 3 and seen["manifest"] <= 12


def test_prepared_once(counted, servers, admin, image):
    """A connection prepares a statement the first time it needs it and never again: PostgreSQL's own log says so."""
    name, m = image
    counted.sql(f"ALTER DATABASE {counted.database} SET log_min_duration_statement = 0")
    log = servers.postgres / "postgres.log"
    try:
        counted.restart_pools()
        from_here, n = log.stat().st_size, 40
        token = admin.token(scope_of(name))
        for _ in range(n):
            for path in (f"manifests/{m.digest}", f"blobs/{oci.digest(m.blobs[1])}"):
                assert admin.call("GET", f"/v2/{name}/{path}", token=token).status_code == 200
            assert admin.patch(admin.start_upload(name), b"x").status_code == 202

        def lines():
            with log.open("rb") as f:
                f.seek(from_here)
                return re.findall(r"\[(\d+)\] .*duration: [\d.]+ ms  (parse|execute) ([a-z]\w+)\b", f.read().decode(errors="replace"))

        st.until(lambda: sum(k == "execute" and s == "upload_save" for _, k, s in lines()) >= n, 10, "the last statement in the log")
        parsed, executed = {}, {}
        for pid, kind, statement in lines():
            (parsed if kind == "parse" else executed).setdefault((pid, statement), []).append(1)
        for key, times in sorted(parsed.items()):
            print("  prepared", *key, f"{len(times)} time(s), executed {len(executed.get(key, []))} times")
            assert len(times) == 1, f"{key} was prepared again"
        for statement in ("manifest_by_digest_quiet", "blob_load", "upload_load", "upload_start", "upload_save"):
            runs = sum(len(v) for (_, s), v in executed.items() if s == statement)
            assert runs >= n, f"{statement}: {runs}"
            assert sum(s == statement for _, s in parsed) < n / 2, "the connections were used again"
    finally:
        counted.sql(f"ALTER DATABASE {counted.database} RESET log_min_duration_statement")
        counted.restart_pools()
