"""Blobs: reading, ranges, who may see them, deletion."""

import os

import pytest

import oci


@pytest.fixture(scope="module")
def blob(owner):
    data = os.urandom(2048)
    owner.push_blob("owner/blobs", data)
    return "/v2/owner/blobs/blobs/" + oci.digest(data), data


def test_headers(owner, blob):
    path, data = blob
    for r in (owner.head(path), owner.get(path)):
        assert r.status_code == 200
        assert r.headers["Docker-Content-Digest"] == oci.digest(data)
        assert r.headers["Content-Length"] == "2048"
        assert r.headers["Content-Type"] == "application/octet-stream"
        assert r.headers["Accept-Ranges"] == "bytes"
        assert "max-age=31536000" in r.headers["Cache-Control"]
        assert r.headers["ETag"] == f'"{oci.digest(data)}"'


def test_empty_blob(owner, repo):
    owner.push_blob(repo, b"")
    for r in (owner.head(f"/v2/{repo}/blobs/{oci.digest(b'')}"), owner.get(f"/v2/{repo}/blobs/{oci.digest(b'')}")):
        assert r.status_code == 200 and r.headers["Content-Length"] == "0" and r.content == b""


def test_conditional(owner, blob):
    path, data = blob
    r = owner.get(path, headers={"If-None-Match": f'"{oci.digest(data)}"'})
    assert r.status_code == 304 and r.content == b""
    assert owner.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("value, first, last", [
    ("bytes=500-1499", 500, 1499), ("bytes=500-", 500, 2047), ("bytes=-500", 1548, 2047), ("bytes=2000-5000", 2000, 2047),
    ("bytes=0-0", 0, 0), ("bytes=0-", 0, 2047), ("bytes=2047-2047", 2047, 2047), ("bytes=-5000", 0, 2047),
])
def test_range(owner, blob, value, first, last):
    path, data = blob
    r = owner.get(path, headers={"Range": value})
    assert r.status_code == 206
    assert r.headers["Content-Range"] == f"bytes {first}-{last}/2048"
    assert r.content == data[first : last + 1] and int(r.headers["Content-Length"]) == len(r.content)


@pytest.mark.parametrize("value", ["bytes=5000-10000", "bytes=2048-", "bytes=500-0", "bytes=-0"])
def test_range_outside(owner, blob, value):
    r = owner.get(blob[0], headers={"Range": value})
    assert r.status_code == 416 and r.headers["Content-Range"] == "bytes */2048"


@pytest.mark.parametrize("value", ["items=0-5", "bytes=a-b", "bytes=0-1,5-9"])
def test_range_that_is_none_of_ours(owner, blob, value):
    r = owner.get(blob[0], headers={"Range": value})
    assert (r.status_code == 200 and r.content == blob[1]) or (r.status_code == 206 and r.content == blob[1][:2])


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_unknown(owner, repo, algorithm):
    owner.start_upload(repo)
    path = f"/v2/{repo}/blobs/{oci.unknown_digest(algorithm)}"
    r = owner.get(path)
    assert r.status_code == 404 and oci.error_code(r) == "BLOB_UNKNOWN"
    h = owner.head(path)
    assert h.status_code == 404 and h.content == b""


@pytest.mark.parametrize("bad", ["sha256:xyz", "sha256:00", "md5:d41d8cd98f00b204e9800998ecf8427e"])
def test_malformed_digest(owner, repo, bad):
    r = owner.get(f"/v2/{repo}/blobs/{bad}")
    assert r.status_code in (400, 404)
    oci.error_code(r)


def test_of_another_repository(owner, repo):
    """The same owner, but the blob was never linked here."""
    data = os.urandom(100)
    owner.push_blob(repo, data)
    owner.push_blob(repo + "-other", b"something else")
    assert owner.head(f"/v2/{repo}-other/blobs/{oci.digest(data)}").status_code == 404


def test_forbidden_looks_like_absent(owner, stranger, anonymous, blob):
    for client in (stranger, anonymous):
        answers = []
        for path in (blob[0], "/v2/owner/blobs/blobs/" + oci.unknown_digest(), "/v2/owner/no-such-repo/blobs/" + oci.unknown_digest()):
            r = client.get(path)
            assert r.status_code == 401 and oci.error_code(r) == "UNAUTHORIZED"
            answers.append(r.json()["errors"][0]["message"])
        assert len(set(answers)) == 1


def test_repository_to_come_is_404_for_who_may_make_it(owner, repo):
    for path in (f"/v2/{repo}/blobs/{oci.unknown_digest()}", f"/v2/{repo}/manifests/latest", f"/v2/{repo}/manifests/{oci.unknown_digest()}"):
        for scope in (f"repository:{repo}:pull", f"repository:{repo}:pull,push"):
            assert owner.head(path, scope=scope).status_code == 404


def test_delete(owner, repo):
    data = os.urandom(100)
    path = f"/v2/{repo}/blobs/{oci.digest(data)}"
    owner.push_blob(repo, data)
    assert owner.delete(path).status_code == 202
    assert owner.head(path).status_code == 404 and owner.get(path).status_code == 404
    assert owner.delete(path).status_code == 404
    owner.push_blob(repo, data)
    assert owner.pull_blob(repo, oci.digest(data)) == data


def test_delete_in_use(owner, repo, pushed):
    for b in pushed.blobs:
        r = owner.delete(f"/v2/{repo}/blobs/{oci.digest(b)}")
        assert r.status_code == 405 and oci.error_code(r) == "UNSUPPORTED"
    owner.pull(repo, "latest", pushed)


def test_delete_leaves_other_repositories(owner, repo):
    data = os.urandom(100)
    owner.push_blob(repo, data)
    owner.push_blob(repo + "-b", data)
    assert owner.delete(f"/v2/{repo}/blobs/{oci.digest(data)}").status_code == 202
    assert owner.pull_blob(repo + "-b", oci.digest(data)) == data


def test_delete_by_others(owner, stranger, repo):
    data = os.urandom(100)
    owner.push_blob(repo, data)
    assert stranger.delete(f"/v2/{repo}/blobs/{oci.digest(data)}").status_code == 401
    assert owner.head(f"/v2/{repo}/blobs/{oci.digest(data)}").status_code == 200
