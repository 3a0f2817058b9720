"""Many at once on the same thing: only documented outcomes, never a 5xx, never a tag without its manifest, never a manifest
that can be pulled and lacks a blob. After each race the rows and the store are compared."""

import collections
import concurrent.futures
import os
import secrets
import threading

import pytest

import oci
from breakage import audit, running, with_digest
from test_resume import Twin, at

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
    """Runs every job with a client of its own, all let go at the same moment. The results, in order. stack: one, or several
    hosts that take turns."""
    stacks = stack if isinstance(stack, tuple) else (stack,)
    token = admin.token(f"repository:{repo}:pull,push")
    gate = threading.Barrier(len(jobs))

    def one(i):
        c = stacks[i % len(stacks)].client(admin.user, admin.password)
        c.tokens = {(f"repository:{repo}:pull,push",): token}
        gate.wait(30)
        return jobs[i](c)

    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(one, range(len(jobs))))


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


@pytest.mark.parametrize("turn", range(4))
def test_mount_against_delete_of_the_source(racing, admin, name, turn):
    """A blob is mounted elsewhere while its source deletes it. 201: it is there and stays; 202: an upload, and no blob."""
    data = os.urandom(20_000)
    d, source = oci.digest(data), f"{name}-source"
    admin.push_blob(source, data)
    admin.start_upload(name)
    token = admin.token(f"repository:{name}:pull,push", f"repository:{source}:pull")
    drop = admin.token(f"repository:{source}:pull,push")
    mount = [lambda c: c.call("POST", f"/v2/{name}/blobs/uploads/", params={"mount": d, "from": source}, token=token).status_code] * 8
    got = at_once(racing, admin, name, mount + [lambda c: c.delete(f"/v2/{source}/blobs/{d}", token=drop).status_code] * 4)
    print("mount against delete:", collections.Counter(got[:8]), collections.Counter(got[8:]))
    assert set(got[:8]) <= {201, 202} and set(got[8:]) <= {202, 404} and 202 in got[8:]
    assert admin.head(f"/v2/{source}/blobs/{d}").status_code == 404
    if 201 in got[:8]:
        assert admin.pull_blob(name, d) == data
    else:
        assert admin.head(f"/v2/{name}/blobs/{d}").status_code == 404
    admin.push_blob(name, data)
    assert admin.pull_blob(name, d) == data


@pytest.mark.parametrize("turn", range(4))
def test_tag_move_against_its_expiry(racing, admin, name, turn):
    """A tag expires in the very moment in which it is pushed anew: it is there afterwards, with the new manifest and no end of its
    own; what expired is in the history once, ended when it expired or when it was moved."""
    old, images = oci.image(1, 300), [oci.image(1, 300) for _ in range(6)]
    admin.push(name, "t", old)
    for m in images:
        put_blobs(admin, name, m)
    short = name.split("/")[1]
    mine = "FROM repository r WHERE r.id = t.repository_id AND r.name = %s AND t.name = 't'"

    def expire(_):
        return racing.sql(f"UPDATE tag t SET expires_ms = kade_now_ms() {mine} AND t.ended_ms IS NULL AND t.expires_ms IS NULL AND t.manifest_id = "
                          "(SELECT m.id FROM manifest m WHERE m.digest = %s AND m.repository_id = t.repository_id)", short, old.digest)

    jobs = [lambda c, m=m: c.put_manifest(name, "t", m).status_code for m in images] + [expire] + [lambda c: c.get(f"/v2/{name}/manifests/t").status_code] * 6
    got = at_once(racing, admin, name, jobs)
    print("tag move against expiry:", got)
    assert set(got[:6]) == {201} and got[6] in (0, 1) and set(got[7:]) <= {200, 404}
    r = admin.get(f"/v2/{name}/manifests/t")
    assert r.status_code == 200 and r.content in [m.body for m in images]
    rows = racing.sql(f"SELECT count(*), count(*) FILTER (WHERE t.ended_ms IS NULL), count(*) FILTER (WHERE t.ended_ms < t.start_ms) FROM tag t, repository r {mine[mine.index('WHERE'):]}", short)
    assert rows == [(7, 1, 0)]


# -- two hosts: pools, web servers, states of their own; one database, one store


@pytest.fixture(scope="module")
def pair(racing):
    with running(Twin(racing)) as second:
        yield racing, second
        second.check_logs()


@pytest.mark.parametrize("turn", range(6))
def test_first_push_of_one_tag_by_two_hosts(pair, admin, name, turn):
    """The tag does not exist and neither does the manifest row: both 201, one tag is live, whichever host is asked."""
    images = [oci.image(1, 300), oci.image(1, 300)]
    for m in images:
        put_blobs(admin, name, m)
    got = at_once(pair, admin, name, [lambda c, m=m: c.put_manifest(name, "t", m).status_code for m in images])
    assert got == [201, 201]
    seen = {host.client(admin.user, admin.password).get(f"/v2/{name}/manifests/t").content for host in pair}
    assert len(seen) == 1 and seen <= {m.body for m in images}
    rows = pair[0].sql("SELECT count(*), count(*) FILTER (WHERE t.ended_ms IS NULL) FROM tag t JOIN repository r ON r.id = t.repository_id WHERE r.name = %s", name.split("/")[1])
    assert rows == [(2, 1)]


@pytest.mark.parametrize("turn", range(4))
def test_upload_is_completed_by_two_hosts(pair, admin, name, turn):
    data = os.urandom(300_000)
    d = oci.digest(data)
    location = admin.patch(admin.start_upload(name), data).headers["Location"]
    got = at_once(pair, admin, name, [lambda c, h=h: c.finish(at(h, location), d).status_code for h in pair * 2])
    print("completion by two hosts:", got)
    assert 201 in got and set(got) <= {201, 404, 416}
    assert admin.pull_blob(name, d) == data
    assert len([f for f in pair[0].stored_files() if d.split(":")[1] in f]) == 1


@pytest.mark.parametrize("turn", range(6))
def test_cancel_by_one_host_against_completion_by_the_other(pair, admin, name, turn):
    data = os.urandom(50_000)
    d = oci.digest(data)
    location = admin.patch(admin.start_upload(name), data).headers["Location"]
    put, cancel = at_once(pair, admin, name, [lambda c: c.finish(at(pair[0], location), d).status_code, lambda c: c.delete(at(pair[1], location)).status_code])
    print("completion and cancel:", put, cancel)
    assert put in (201, 404, 416) and cancel in (204, 404)
    assert admin.head(f"/v2/{name}/blobs/{d}").status_code == (200 if put == 201 else 404)


@pytest.mark.parametrize("turn", range(6))
def test_child_is_deleted_at_one_host_while_the_other_takes_its_index(pair, admin, name, turn):
    child = oci.image(1, 300)
    admin.push(name, child.digest, child)
    m = oci.index([child])
    put, drop = at_once(pair, admin, name, [lambda c: c.put_manifest(name, "x", m).status_code, lambda c: c.delete(f"/v2/{name}/manifests/{child.digest}").status_code])
    print("index and deletion of its child:", put, drop)
    assert (put, drop) in ((201, 405), (400, 202))
    if put == 201:
        admin.pull(name, "x", m)
    else:
        assert admin.get(f"/v2/{name}/manifests/x").status_code == 404


@pytest.mark.parametrize("turn", range(6))
def test_blob_is_deleted_at_one_host_while_the_other_takes_a_manifest_that_needs_it(pair, admin, name, turn):
    m = oci.image(1, 300)
    put_blobs(admin, name, m)
    d = oci.digest(m.blobs[1])
    put, drop = at_once(pair, admin, name, [lambda c: c.put_manifest(name, "t", m).status_code, lambda c: c.delete(f"/v2/{name}/blobs/{d}").status_code])
    print("manifest and deletion of its layer:", put, drop)
    assert (put, drop) in ((201, 405), (400, 202))
    if put == 201:
        admin.pull(name, "t", m)
