"""Many at once on the same thing: only documented outcomes, never a 5xx, never a tag without its manifest, never a manifest
that can be pulled and lacks a blob. After each race the rows and the store are compared."""

import collections
import concurrent.futures
import os
import secrets
import threading

import pytest

import oci
from breakage import audit, with_digest

N = 20


@pytest.fixture(scope="module")
def racing(make_stack):
    return make_stack("lighttpd", name="races")


@pytest.fixture(scope="module")
def admin(racing):
    return racing.superuser()


@pytest.fixture
def name():
    return f"admin/race{secrets.token_hex(5)}"


def at_once(stack, admin, repo, jobs):
    """Runs every job with a client of its own, all let go at the same moment. The results, in order."""
    token = admin.token(f"repository:{repo}:pull,push")
    gate = threading.Barrier(len(jobs))

    def one(job):
        c = stack.client(admin.user, admin.password)
        c.tokens = {(f"repository:{repo}:pull,push",): token}
        gate.wait(30)
        return job(c)

    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(one, jobs))


@pytest.fixture(autouse=True)
def whole(racing):
    yield
    left = audit(racing)
    racing.check_logs(new=True)
    print("left over:", left)


def put_blobs(admin, repo, m):
    for b in m.blobs:
        admin.push_blob(repo, b)


def test_same_tag_by_many(racing, admin, name):
    """Different manifests under one tag: all 201, one of them is the tag's, the history has every push once."""
    images = [oci.image(1, 500) for _ in range(N)]
    for m in images:
        put_blobs(admin, name, m)
    got = at_once(racing, admin, name, [lambda c, m=m: c.put_manifest(name, "t", m).status_code for m in images])
    print("same tag:", collections.Counter(got))
    assert set(got) == {201}
    r = admin.get(f"/v2/{name}/manifests/t")
    assert r.headers["Docker-Content-Digest"] in {m.digest for m in images}
    rows = racing.sql("SELECT count(*), count(*) FILTER (WHERE t.ended_ms IS NULL), count(DISTINCT t.manifest_id) FROM tag t JOIN repository r ON r.id = t.repository_id WHERE r.name = %s", name.split("/")[1])
    assert rows == [(N, 1, N)], "each push is a row, one is live"
    admin.pull(name, "t", next(m for m in images if m.digest == r.headers["Docker-Content-Digest"]))


def test_same_digest_by_many(racing, admin, name):
    """One manifest under one tag and by digest: all 201, one row."""
    m = oci.image(2, 500)
    put_blobs(admin, name, m)
    jobs = [lambda c, ref=ref: c.put_manifest(name, ref, m).status_code for ref in ("t", m.digest) * (N // 2)]
    got = at_once(racing, admin, name, jobs)
    print("same digest:", collections.Counter(got))
    assert set(got) == {201}
    assert racing.sql("SELECT count(*) FROM manifest WHERE digest = %s", m.digest) == [(1,)]
    assert racing.sql("SELECT count(*) FROM tag t JOIN manifest m ON m.id = t.manifest_id WHERE m.digest = %s AND t.ended_ms IS NULL", m.digest) == [(1,)]
    admin.pull(name, "t", m)


def test_first_write_of_a_repository_by_many(racing, admin, name):
    got = at_once(racing, admin, name, [lambda c: c.call("POST", f"/v2/{name}/blobs/uploads/").status_code] * N)
    assert set(got) == {202}
    assert racing.sql("SELECT count(*) FROM repository WHERE name = %s", name.split("/")[1]) == [(1,)]


def test_same_blob_by_many(racing, admin, name):
    data = os.urandom(200_000)
    d = oci.digest(data)
    admin.start_upload(name)
    hows = ("put", "patch", "post", "chunks")
    got = at_once(racing, admin, name, [lambda c, how=hows[i % 4]: c.push_blob(name, data, how).status_code for i in range(N)])
    assert set(got) == {201}
    assert racing.sql("SELECT count(*) FROM blob WHERE digest = %s", d) == [(1,)]
    assert len([f for f in racing.stored_files() if d.split(":")[1] in f]) == 1
    assert admin.pull_blob(name, d) == data


def test_images_with_a_shared_layer(racing, admin, name):
    """Whole pushes that share a base layer: no deadlock, no refusal."""
    base = oci.tar_layer(50_000)
    images = [oci.image([base, oci.tar_layer(500, str(i))]) for i in range(N)]
    got = at_once(racing, admin, name, [lambda c, m=m, i=i: c.push(name, f"t{i}", m).status_code for i, m in enumerate(images)])
    assert set(got) == {201}
    for i, m in enumerate(images):
        admin.pull(name, f"t{i}", m)


@pytest.mark.parametrize("turn", range(5))
def test_tag_delete_against_push(racing, admin, name, turn):
    """A tag is deleted while it is pushed: 202 or 404 for the deletions, 201 for the pushes. At the end the tag is there with its
    manifest, or it is not there."""
    images = [oci.image(1, 300) for _ in range(4)]
    for m in images:
        put_blobs(admin, name, m)
    admin.put_manifest(name, "t", images[0])
    jobs = [lambda c, m=m: c.put_manifest(name, "t", m).status_code for m in images * 2] + [lambda c: c.delete(f"/v2/{name}/manifests/t").status_code] * 8
    got = at_once(racing, admin, name, jobs)
    print("tag delete against push:", collections.Counter(got[:8]), collections.Counter(got[8:]))
    assert set(got[:8]) == {201} and set(got[8:]) <= {202, 404}
    r = admin.get(f"/v2/{name}/manifests/t")
    assert r.status_code in (200, 404)
    if r.status_code == 200:
        assert r.content in [m.body for m in images]
    live = racing.sql("SELECT count(*) FROM tag t JOIN repository r ON r.id = t.repository_id WHERE r.name = %s AND t.ended_ms IS NULL", name.split("/")[1])
    assert live == [(1 if r.status_code == 200 else 0,)]


@pytest.mark.parametrize("turn", range(5))
def test_manifest_delete_against_push(racing, admin, name, turn):
    """Deletion by digest while the same digest is pushed under tags: never a tag whose digest cannot be pulled."""
    m = oci.image(1, 300)
    admin.push(name, "t0", m)
    jobs = [lambda c, i=i: c.put_manifest(name, f"t{i}", m).status_code for i in range(8)] + [lambda c: c.delete(f"/v2/{name}/manifests/{m.digest}").status_code] * 8
    got = at_once(racing, admin, name, jobs)
    print("manifest delete against push:", collections.Counter(got[:8]), collections.Counter(got[8:]))
    assert set(got[:8]) == {201} and set(got[8:]) <= {202, 404}
    tags = admin.get(f"/v2/{name}/tags/list", scope=f"repository:{name}:pull,push").json()["tags"] or []
    for t in tags:
        admin.pull(name, t, m)
    assert admin.get(f"/v2/{name}/manifests/{m.digest}").status_code == (200 if tags else 404)


@pytest.mark.parametrize("turn", range(5))
def test_blob_delete_against_manifest_push(racing, admin, name, turn):
    """A layer is deleted while manifests that need it are pushed. Pushes: 201, or 400 MANIFEST_BLOB_UNKNOWN. Deletions: 202, 404
    when it is gone, 405 when it is in use. What was answered 201 can be pulled whole."""
    layer = oci.tar_layer(400)
    images = [oci.image([layer, oci.tar_layer(100, str(i))]) for i in range(8)]
    for m in images:
        put_blobs(admin, name, m)
    d = oci.digest(layer[0])
    jobs = [lambda c, m=m, i=i: c.put_manifest(name, f"t{i}", m) for i, m in enumerate(images)] + [lambda c: c.delete(f"/v2/{name}/blobs/{d}")] * 8
    got = at_once(racing, admin, name, jobs)
    puts, dels = [r.status_code for r in got[:8]], [r.status_code for r in got[8:]]
    print("blob delete against push:", collections.Counter(puts), collections.Counter(dels))
    assert set(puts) <= {201, 400} and set(dels) <= {202, 404, 405}
    for i, r in enumerate(got[:8]):
        if r.status_code == 400:
            assert oci.error_code(r) in ("MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID")
            assert admin.get(f"/v2/{name}/manifests/t{i}").status_code == 404
        else:
            admin.pull(name, f"t{i}", images[i])
    assert 202 not in dels or 201 not in puts, "the layer was deleted under a manifest that can be pulled"


@pytest.mark.parametrize("turn", range(5))
def test_child_delete_against_index_push(racing, admin, name, turn):
    """A child is deleted while an index of it is pushed: an index that was taken has its children."""
    child = oci.image(1, 300)
    admin.push(name, child.digest, child)
    indexes = [oci.index([child], annotations={"i": str(i)}) for i in range(6)]
    jobs = [lambda c, m=m, i=i: c.put_manifest(name, f"x{i}", m) for i, m in enumerate(indexes)] + [lambda c: c.delete(f"/v2/{name}/manifests/{child.digest}")] * 6
    got = at_once(racing, admin, name, jobs)
    puts, dels = [r.status_code for r in got[:6]], [r.status_code for r in got[6:]]
    print("child delete against index push:", collections.Counter(puts), collections.Counter(dels))
    assert set(puts) <= {201, 400} and set(dels) <= {202, 404, 405}
    for i, r in enumerate(got[:6]):
        if r.status_code == 201:
            admin.pull(name, f"x{i}", indexes[i])
    assert 202 not in dels or 201 not in puts, "the child was deleted under an index that can be pulled"


@pytest.mark.parametrize("how", ["empty", "body"])
def test_two_puts_of_one_session(racing, admin, name, how):
    """A client sends the closing PUT twice (it lost patience): one or both 201; 416 while the other writes; the blob is whole."""
    data = os.urandom(1 << 20)
    d = oci.digest(data)
    location = admin.start_upload(name)
    body = data
    if how == "empty":
        location = admin.patch(location, data).headers["Location"]
        body = b""
    got = at_once(racing, admin, name, [lambda c: c.put(with_digest(location, d), data=body, headers={"Content-Type": "application/octet-stream"}).status_code] * N)
    print("PUTs of one session:", collections.Counter(got))
    assert 201 in got and set(got) <= {201, 416, 404}
    assert admin.pull_blob(name, d) == data
    assert admin.finish(location, d).status_code == 201, "asked again, the answer is 201"
    assert racing.sql("SELECT count(*) FROM upload WHERE uuid = %s", location.split("/uploads/")[1][:36]) == [(0,)]


def test_cancel_against_completion(racing, admin, name):
    """DELETE and PUT of one session at once: the PUT is 201 and the blob is whole, or it is 404 and there is none."""
    seen = collections.Counter()
    for _ in range(8):
        data = os.urandom(50_000)
        d = oci.digest(data)
        location = admin.start_upload(name)
        jobs = [lambda c: c.finish(location, d, data).status_code, lambda c: c.delete(location).status_code]
        put, cancel = at_once(racing, admin, name, jobs)
        seen[(put, cancel)] += 1
        assert put in (201, 404, 416) and cancel in (204, 404)
        there = admin.head(f"/v2/{name}/blobs/{d}").status_code
        assert there == (200 if put == 201 else 404), (put, cancel)
    print("PUT and DELETE:", seen)
