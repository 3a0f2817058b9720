"""Manifests: pushing, reading by tag and digest, what is refused, deletion."""

import concurrent.futures
import json
import os
import secrets

import psycopg2
import pytest

import oci
from stack import until


def kinds():
    layers = [oci.tar_layer(), oci.tar_layer()]
    image = oci.image(layers)
    foreign = {"mediaType": oci.DOCKER_FOREIGN, "size": 10, "digest": oci.unknown_digest(), "urls": ["https://example.com/layer"]}
    with_foreign = oci.image(1, media_type=oci.DOCKER_IMAGE)
    value = with_foreign.json
    value["layers"].insert(0, foreign)
    zero = oci.image(0)
    return {
        "image": image,
        "docker image": oci.image(2, media_type=oci.DOCKER_IMAGE),
        "no layers": zero,
        "same layer twice": oci.image([layers[0], layers[0]]),
        "empty layer": oci.image([oci.tar_layer(0)]),
        "foreign layer": oci.to_manifest(value, oci.DOCKER_IMAGE, blobs=with_foreign.blobs),
        "index": oci.index([oci.image(), oci.image(arch="arm64")]),
        "docker list": oci.index([oci.image(media_type=oci.DOCKER_IMAGE), oci.image(media_type=oci.DOCKER_IMAGE)], oci.DOCKER_LIST),
        "nested index": oci.index([oci.index([oci.image()])]),
        "empty index": oci.index([]),
        "same child twice": oci.index([image, image]),
        "artifact": oci.artifact(),
        "artifact of a subject": oci.artifact(subject=image),
        "artifact of a missing subject": oci.artifact(subject={"mediaType": oci.OCI_IMAGE, "size": 5, "digest": oci.unknown_digest()}),
        "helm chart": oci.to_manifest({
            "schemaVersion": 2,
            "config": oci.descriptor(b'{"name":"chart"}', "application/vnd.cncf.helm.config.v1+json"),
            "layers": [oci.descriptor(b"chart", "application/vnd.cncf.helm.chart.content.v1.tar+gzip")],
        }, oci.OCI_IMAGE, blobs=[b'{"name":"chart"}', b"chart"]),
        "unknown members": oci.image(1, **{"org.example.extra": {"a": [1, {"b": None}]}, "annotations": {"k": "v"}}),
        "emoji and escapes": oci.image(1, labels={"title": "naïve 🚢 \u2028 \"quoted\" \\u0041"}, annotations={"text": "한국어 🚢"}),
        "config without history": odd_config({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}),
        "config that is {}": odd_config({}),
        "config that is no object": odd_config([1, 2]),
    }


def odd_config(config):
    """An OCI image is never refused for what its config says."""
    raw = json.dumps(config).encode()
    layer, _ = oci.tar_layer()
    return oci.to_manifest({"schemaVersion": 2, "mediaType": oci.OCI_IMAGE, "config": oci.descriptor(raw, oci.OCI_CONFIG),
                            "layers": [oci.descriptor(layer, oci.OCI_LAYER)]}, oci.OCI_IMAGE, blobs=[raw, layer])


@pytest.mark.parametrize("kind", sorted(kinds()))
@pytest.mark.parametrize("by", ["tag", "digest"])
def test_push_and_pull(owner, repo, kind, by):
    m = kinds()[kind]
    r = owner.push(repo, "v1" if by == "tag" else m.digest, m)
    assert (r.headers.get("OCI-Subject") == m.json["subject"]["digest"]) if "subject" in m.json else "OCI-Subject" not in r.headers
    assert owner.get(r.headers["Location"]).content == m.body
    owner.pull(repo, m.digest, m)
    if by == "tag":
        owner.pull(repo, "v1", m)
    owner.push(repo, "v1", m)                          # again


def test_sent_without_a_length(owner, repo):
    m = oci.image()
    for b in m.blobs:
        owner.push_blob(repo, b)
    r = owner.put(f"/v2/{repo}/manifests/v1", data=oci.chunks(m.body, 100), headers={"Content-Type": m.media_type})
    assert r.status_code == 201
    owner.pull(repo, "v1", m)


def test_large(owner, repo):
    """Four megabytes must be possible."""
    m = oci.image(1, annotations={f"k{i}": secrets.token_hex(5000) for i in range(390)})
    assert len(m.body) > 3_900_000
    owner.push(repo, "large", m)
    owner.pull(repo, "large", m)


def test_too_large(owner, repo):
    m = oci.image(1, annotations={f"k{i}": "x" * 10000 for i in range(540)})
    assert 5 << 20 < len(m.body) < 6 << 20
    for b in m.blobs:
        owner.push_blob(repo, b)
    r = owner.put_manifest(repo, "large", m)
    assert r.status_code == 413 and oci.error_code(r) in ("MANIFEST_INVALID", "SIZE_INVALID")


def test_conditional(owner, repo, pushed):
    r = owner.get(f"/v2/{repo}/manifests/latest")
    again = owner.get(f"/v2/{repo}/manifests/latest", headers={"If-None-Match": r.headers["ETag"]})
    assert again.status_code == 304 and again.content == b""


@pytest.mark.parametrize("accept", [None, "*/*", "application/*", oci.OCI_IMAGE, f"text/plain, {oci.OCI_IMAGE};q=0.5"])
def test_accept_gives_the_stored_manifest(owner, repo, pushed, accept):
    r = owner.get(f"/v2/{repo}/manifests/latest", headers={"Accept": accept})
    assert r.status_code == 200 and r.content == pushed.body and r.headers["Content-Type"] == oci.OCI_IMAGE


def test_list_for_a_client_that_knows_no_lists(owner, repo):
    m = oci.index([oci.image(media_type=oci.DOCKER_IMAGE), oci.image(media_type=oci.DOCKER_IMAGE)], oci.DOCKER_LIST)
    owner.push(repo, "multi", m)
    r = owner.get(f"/v2/{repo}/manifests/multi", headers={"Accept": oci.DOCKER_IMAGE})
    assert r.status_code == 200 and r.content == m.children[0].body and r.headers["Docker-Content-Digest"] == m.children[0].digest
    by_digest = owner.get(f"/v2/{repo}/manifests/{m.digest}", headers={"Accept": oci.DOCKER_IMAGE})
    assert by_digest.content == m.body, "no negotiation by digest"


# -- what is refused


def changed(m, **members):
    value = {**m.json, **members}
    return oci.to_manifest({k: v for k, v in value.items() if v is not None}, m.media_type, blobs=m.blobs)


@pytest.mark.parametrize("case", ["not json", "not an object", "empty", "no config", "no layers", "version 3", "other mediaType", "layer without digest",
                                  "layer with a bad digest", "negative size", "text as size", "two members of one name", "deep", "cut", "bytes that are no UTF-8"])
def test_malformed(owner, repo, case):
    m = oci.image()
    for b in m.blobs:
        owner.push_blob(repo, b)
    layer = dict(m.json["layers"][0])
    body = {
        "not json": b"hello",
        "not an object": b"[]",
        "empty": b"",
        "no config": changed(m, config=None).body,
        "no layers": changed(m, layers=None).body,
        "version 3": changed(m, schemaVersion=3).body,
        "other mediaType": changed(m, mediaType=oci.OCI_INDEX).body,
        "layer without digest": changed(m, layers=[{k: v for k, v in layer.items() if k != "digest"}]).body,
        "layer with a bad digest": changed(m, layers=[{**layer, "digest": "sha256:xyz"}]).body,
        "negative size": changed(m, layers=[{**layer, "size": -1}]).body,
        "text as size": changed(m, layers=[{**layer, "size": "1"}]).body,
        "two members of one name": m.body.replace(b'"schemaVersion": 2,', b'"schemaVersion": 2, "schemaVersion": 2,'),
        "deep": changed(m, extra=json.loads("[" * 200 + "]" * 200)).body,
        "cut": m.body[:-3],
        "bytes that are no UTF-8": m.body.replace(b"linux", b"lin\xff\xfe").replace(b'"config"', b'"x\xff": 1, "config"', 1),
    }[case]
    for ref in ("bad", oci.digest(body)):
        r = owner.put_manifest(repo, ref, body, oci.OCI_IMAGE)
        assert r.status_code == 400 and oci.error_code(r) == "MANIFEST_INVALID", f"{ref}: {r.status_code} {r.text[:200]}"
    assert owner.head(f"/v2/{repo}/manifests/bad").status_code == 404


@pytest.mark.parametrize("media_type", ["text/plain", "application/vnd.oci.artifact.manifest.v1+json", "application/octet-stream"])
def test_unknown_media_type(owner, repo, media_type):
    r = owner.put_manifest(repo, "x", oci.image(), media_type)
    assert r.status_code == 415 and oci.error_code(r) == "MANIFEST_INVALID"


def test_parameters_of_the_media_type(owner, repo):
    m = oci.image()
    for b in m.blobs:
        owner.push_blob(repo, b)
    assert owner.put_manifest(repo, "x", m, f"{oci.OCI_IMAGE}; charset=utf-8").status_code == 201
    assert owner.get(f"/v2/{repo}/manifests/x").headers["Content-Type"] == oci.OCI_IMAGE


def test_other_bytes_than_the_digest(owner, repo):
    m = oci.image()
    for b in m.blobs:
        owner.push_blob(repo, b)
    r = owner.put_manifest(repo, m.digest, m.body + b"  ", m.media_type)
    assert r.status_code == 400 and oci.error_code(r) in ("MANIFEST_INVALID", "DIGEST_INVALID")


def test_unknown_blob(owner, repo):
    m = oci.image(layers=2)
    for b in m.blobs[:-1]:
        owner.push_blob(repo, b)
    r = owner.put_manifest(repo, "x", m)
    assert r.status_code == 400 and oci.error_code(r) == "MANIFEST_BLOB_UNKNOWN"
    assert r.json()["errors"][0]["detail"]["digest"] == oci.digest(m.blobs[-1])
    assert owner.head(f"/v2/{repo}/manifests/x").status_code == 404


def test_blob_of_somebody_else(owner, stranger, repo, pushed):
    """Naming a digest does not give access to it."""
    mine = f"{stranger.user}/theft{secrets.token_hex(4)}"
    stranger.push_blob(mine, b"mine")
    r = stranger.put_manifest(mine, "x", pushed)
    assert r.status_code == 400 and oci.error_code(r) == "MANIFEST_BLOB_UNKNOWN"


def test_missing_child(owner, repo):
    m = oci.index([oci.image()])
    owner.start_upload(repo)
    r = owner.put_manifest(repo, "x", m)
    assert r.status_code == 400 and oci.error_code(r) in ("MANIFEST_INVALID", "MANIFEST_BLOB_UNKNOWN")


def test_child_with_another_size(owner, repo):
    child = oci.image()
    owner.push(repo, child.digest, child)
    value = oci.index([child]).json
    value["manifests"][0]["size"] += 1
    r = owner.put_manifest(repo, "x", oci.to_manifest(value, oci.OCI_INDEX))
    assert r.status_code == 400 and oci.error_code(r) == "MANIFEST_INVALID"


@pytest.mark.parametrize("ref", ["sha256:baddigeststring", "sha256:00"])
def test_malformed_reference(owner, repo, ref):
    r = owner.put_manifest(repo, ref, oci.image())
    assert r.status_code == 400 and oci.error_code(r) == "DIGEST_INVALID"
    r = owner.get(f"/v2/{repo}/manifests/{ref}")
    assert r.status_code in (400, 404)
    oci.error_code(r)


@pytest.mark.parametrize("tag, status", [("l", 201), ("1", 201), ("_x", 201), ("a.b-c_D", 201), ("t" * 128, 201), ("t" * 129, 404), (".fail", 404), ("-fail", 404), ("a+b", 404)])
def test_names_of_tags(owner, repo, tag, status):
    m = oci.image()
    for b in m.blobs:
        owner.push_blob(repo, b)
    assert owner.put_manifest(repo, tag, m).status_code == status


def test_unknown_manifest(owner, repo, pushed):
    for ref in ("nothing", oci.unknown_digest(), oci.unknown_digest("sha512")):
        r = owner.get(f"/v2/{repo}/manifests/{ref}")
        assert r.status_code == 404 and oci.error_code(r) == "MANIFEST_UNKNOWN"


def test_failed_push_leaves_the_tag(owner, repo, pushed):
    owner.put_manifest(repo, "latest", b"{}", oci.OCI_IMAGE)
    owner.put_manifest(repo, "latest", oci.image())
    owner.pull(repo, "latest", pushed)


# -- changing and deleting


def test_overwrite(owner, repo, pushed):
    new = oci.image()
    owner.push(repo, "latest", new)
    owner.pull(repo, "latest", new)


def test_overwrite_is_never_a_gap(owner, repo, pushed):
    """Readers see the old or the new manifest at every moment."""
    other = oci.image()
    owner.push(repo, "other", other)
    scope = f"repository:{repo}:pull,push"
    owner.token(scope)

    def write(i):
        assert owner.put_manifest(repo, "latest", (pushed, other)[i % 2]).status_code == 201

    def read(_):
        r = owner.get(f"/v2/{repo}/manifests/latest")
        assert r.status_code == 200 and r.content in (pushed.body, other.body)

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        for f in [pool.submit(f, i) for i in range(30) for f in (write, read, read)]:
            f.result()


def test_first_push_of_one_tag_by_many(owner, repo):
    images = [oci.image() for _ in range(8)]
    for m in images:
        for b in m.blobs:
            owner.push_blob(repo, b)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert {r.status_code for r in pool.map(lambda m: owner.put_manifest(repo, "race", m), images)} == {201}
    assert owner.get(f"/v2/{repo}/manifests/race").content in [m.body for m in images]
    assert owner.get(f"/v2/{repo}/tags/list").json()["tags"] == ["race"]


def test_delete_tag(owner, repo, pushed):
    owner.push(repo, "second", pushed)
    r = owner.delete(f"/v2/{repo}/manifests/latest")
    assert r.status_code == 202 and r.content == b""
    gone = owner.get(f"/v2/{repo}/manifests/latest")
    assert gone.status_code == 404 and oci.error_code(gone) in ("TAG_EXPIRED", "MANIFEST_UNKNOWN")
    assert owner.get(f"/v2/{repo}/tags/list").json()["tags"] == ["second"]
    owner.pull(repo, "second", pushed)
    assert owner.delete(f"/v2/{repo}/manifests/latest").status_code == 404


def test_delete_digest(owner, repo, pushed):
    other = oci.image()
    owner.push(repo, "second", pushed)
    owner.push(repo, "other", other)
    assert owner.delete(f"/v2/{repo}/manifests/{pushed.digest}").status_code == 202
    for ref in ("latest", "second", pushed.digest):
        assert owner.head(f"/v2/{repo}/manifests/{ref}").status_code == 404, ref
    assert owner.get(f"/v2/{repo}/tags/list").json()["tags"] == ["other"]
    assert owner.delete(f"/v2/{repo}/manifests/{pushed.digest}").status_code == 404
    owner.push(repo, "latest", pushed)
    owner.pull(repo, "latest", pushed)


def test_delete_untagged(owner, repo):
    m = oci.image()
    owner.push(repo, m.digest, m)
    assert owner.delete(f"/v2/{repo}/manifests/{m.digest}").status_code == 202
    assert owner.head(f"/v2/{repo}/manifests/{m.digest}").status_code == 404
    owner.push(repo, m.digest, m)
    owner.pull(repo, m.digest, m)


def test_push_a_b_a_then_delete_a(owner, repo):
    a, b = oci.image(), oci.image()
    for m in (a, b, a):
        owner.push(repo, "latest", m)
    assert owner.delete(f"/v2/{repo}/manifests/{a.digest}").status_code == 202
    assert owner.head(f"/v2/{repo}/manifests/latest").status_code == 404


def test_delete_needs_write(owner, stranger, anonymous, repo, pushed):
    for client in (stranger, anonymous):
        assert client.delete(f"/v2/{repo}/manifests/latest").status_code == 401
    assert owner.delete(f"/v2/{repo}/manifests/latest", token=owner.token(f"repository:{repo}:pull")).status_code == 401
    owner.pull(repo, "latest", pushed)


def test_children_live_with_the_index(owner, repo):
    m = oci.index([oci.index([oci.image()])])
    owner.push(repo, "multi", m)
    grandchild = m.children[0].children[0]
    owner.pull(repo, grandchild.digest, grandchild)
    assert owner.delete(f"/v2/{repo}/manifests/multi").status_code == 202
    assert owner.head(f"/v2/{repo}/manifests/{m.digest}").status_code == 404


def test_tags_in_the_query(owner, repo):
    m = oci.image()
    for b in m.blobs:
        owner.push_blob(repo, b)
    r = owner.put_manifest(repo, m.digest, m, params={"tag": [f"t{i}" for i in range(10)]})
    assert r.status_code == 201
    assert {t.strip() for t in r.headers["OCI-Tag"].split(",")} == {f"t{i}" for i in range(10)}
    assert len(owner.get(f"/v2/{repo}/tags/list").json()["tags"]) == 10


def test_sha512(owner, repo):
    m = oci.image()
    for b in m.blobs:
        owner.push_blob(repo, b)
    d = oci.digest(m.body, "sha512")
    r = owner.put_manifest(repo, d, m)
    assert r.status_code == 201 and r.headers["Docker-Content-Digest"] == d
    g = owner.get(f"/v2/{repo}/manifests/{d}")
    assert g.status_code == 200 and g.content == m.body and g.headers["Docker-Content-Digest"] == d


# -- what a push and a pull leave behind


def audit(stack, repo):
    """Kinds of log rows, oldest first: filed ones, and those of pulls that a job will file."""
    return [k for (k,) in stack.sql(
        "SELECT k.name FROM (SELECT at_ms, kind, repository_id FROM audit_log UNION ALL SELECT at_ms, kind, repository_id FROM audit_inbox) l "
        "JOIN audit_kind k ON k.id = l.kind JOIN repository r ON r.id = l.repository_id WHERE r.name = %s ORDER BY l.at_ms, k.name DESC", repo.split("/")[1])]


def test_one_log_entry_for_each_push_and_pull(owner, stack, repo, pushed):
    assert audit(stack, repo) == ["push_repo"]
    owner.head(f"/v2/{repo}/manifests/latest")
    owner.pull_blob(repo, oci.digest(pushed.blobs[0]))
    assert audit(stack, repo) == ["push_repo"]
    owner.get(f"/v2/{repo}/manifests/latest")
    until(lambda: len(audit(stack, repo)) > 1, what="the row of the pull")
    assert audit(stack, repo) == ["push_repo", "pull_repo"]


@pytest.mark.config(REGISTRY_STATE="normal")
def test_read_only_registry(alone):
    admin = alone.superuser()
    m = oci.image()
    admin.push("admin/x", "latest", m)
    alone.restart_pools(REGISTRY_STATE="readonly")
    admin.pull("admin/x", "latest", m)
    for r in (admin.call("POST", "/v2/admin/x/blobs/uploads/"), admin.put_manifest("admin/x", "new", m), admin.delete("/v2/admin/x/manifests/latest")):
        assert r.status_code == 405 and oci.error_code(r) == "DENIED" and r.json()["errors"][0]["is_readonly"] is True


def test_bytes_are_stored_before_the_answer(alone):
    """After 201 everything can be killed: the image is there."""
    admin = alone.superuser()
    images = [oci.image(2, os.urandom(1)[0] * 100) for _ in range(3)]
    for i, m in enumerate(images):
        admin.push("admin/kill", f"t{i}", m)
        for pool in ("api", "transfer"):
            alone.kill_children(pool)
        alone.expect_log("signal 9|SIGKILL|killed")
        admin.tokens.clear()
        for j in range(i + 1):
            admin.pull("admin/kill", f"t{j}", images[j])


# -- the rows of pulls are written together, a moment later


def pulls(stack, repo):
    return stack.sql("SELECT i.tag_name, i.metadata::jsonb, i.ip, m.digest, a.name, abs(i.at_ms - kade_now_ms()) FROM audit_inbox i JOIN repository r ON r.id = i.repository_id "
                     "JOIN manifest m ON m.id = i.manifest_id LEFT JOIN account a ON a.id = i.performer_id WHERE r.name = %s ORDER BY i.id", repo.split("/")[1])


def test_row_of_a_pull(owner, stack, repo, pushed):
    for ref in ("latest", pushed.digest):
        assert owner.get(f"/v2/{repo}/manifests/{ref}").status_code == 200
    assert owner.get(f"/v2/{repo}/manifests/latest", headers={"If-None-Match": f'"{pushed.digest}"'}).status_code == 304
    assert owner.get(f"/v2/{repo}/manifests/none").status_code == 404
    until(lambda: len(pulls(stack, repo)) >= 3, what="the rows of the pulls")
    rows = pulls(stack, repo)
    assert sorted((r[0] or "", r[3], r[4]) for r in rows) == [("", pushed.digest, owner.user), ("latest", pushed.digest, owner.user), ("latest", pushed.digest, owner.user)]
    for tag, meta, ip, _, _, age_ms in rows:
        assert meta["mediaType"] == oci.OCI_IMAGE and meta["repo"] == repo.split("/")[1] and meta["username"] == owner.user and ip and age_ms < 60000
        assert meta.get("tag") == tag and (tag or meta["manifest_digest"] == pushed.digest)


def test_rows_that_wait_are_written_at_the_end(alone):
    client, m = alone.superuser(), oci.image()
    client.push("admin/end", "v1", m)
    client.get("/v2/admin/end/manifests/v1")
    before = len(until(lambda: pulls(alone, "admin/end"), what="the first row"))
    for _ in range(50):
        assert client.get("/v2/admin/end/manifests/v1").status_code == 200
    alone.stop_pools()
    assert len(pulls(alone, "admin/end")) == before + 50
    alone.start_pools()


def test_rows_that_cannot_be_written_wait(alone):
    """The table is locked: pulls go on, and no row is lost."""
    alone.expect_log("log rows of pulls wait")
    client = alone.superuser()
    client.push("admin/wait", "v1", oci.image())
    db = psycopg2.connect(alone.uri)
    with db.cursor() as cur:
        cur.execute("LOCK TABLE audit_inbox IN EXCLUSIVE MODE")
        for _ in range(30):
            assert client.get("/v2/admin/wait/manifests/v1").status_code == 200
        db.rollback()
    db.close()
    until(lambda: len(pulls(alone, "admin/wait")) == 30, what="all rows")


def test_one_bad_row_keeps_no_other_back(alone):
    client = alone.superuser()
    alone.expect_log("the log row of a pull cannot be stored")
    for name in ("admin/good", "admin/bad"):
        client.push(name, "v1", oci.image())
    alone.sql("ALTER TABLE audit_inbox ADD CONSTRAINT picky CHECK (metadata NOT LIKE '%%\"repo\":\"bad\"%%')")
    for _ in range(3):
        for name in ("bad", "good"):
            assert client.get(f"/v2/admin/{name}/manifests/v1").status_code == 200
    until(lambda: len(pulls(alone, "admin/good")) == 3, what="the good rows")
    assert pulls(alone, "admin/bad") == []
    until(lambda: "".join(alone.logs().values()).count("the log row of a pull cannot be stored") == 3, what="a word on each bad row")
    alone.sql("ALTER TABLE audit_inbox DROP CONSTRAINT picky")


@pytest.mark.config(KADE={"STRICT_PULL_LOG": True})
def test_strict_log_of_pulls(alone):
    """The row is there when the answer is, and without it there is no answer."""
    client = alone.superuser()
    client.push("admin/strict", "v1", oci.image())
    assert client.get("/v2/admin/strict/manifests/v1").status_code == 200
    assert [r[0] for r in pulls(alone, "admin/strict")] == ["v1"]
