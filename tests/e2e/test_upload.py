"""Uploads of blobs: sessions, chunks, completion, mounts, limits."""

import concurrent.futures
import os
import secrets
import uuid

import pytest

import oci

EMPTY = oci.digest(b"")


@pytest.mark.parametrize("size", [0, 1, 2, 1000, 1 << 20, (5 << 20) + 3])
@pytest.mark.parametrize("how", ["put", "patch", "chunks", "post"])
def test_ways_to_push(owner, repo, how, size):
    data = os.urandom(size)
    if how == "chunks" and size < 3:
        how = "patch"
    owner.push_blob(repo, data, how)
    assert owner.pull_blob(repo, oci.digest(data), size) == data


@pytest.mark.parametrize("how", ["put", "patch", "chunks", "post"])
def test_sha512(owner, repo, how):
    data = os.urandom(5000)
    owner.push_blob(repo, data, how, oci.digest(data, "sha512"))
    assert owner.pull_blob(repo, oci.digest(data, "sha512"), 5000) == data


def test_start(stack, owner, repo):
    r = owner.call("POST", f"/v2/{repo}/blobs/uploads/")
    assert r.status_code == 202 and r.content == b""
    name = r.headers["Docker-Upload-UUID"]
    assert uuid.UUID(name).version == 4
    assert r.headers["Location"].split("?")[0].endswith(f"/v2/{repo}/blobs/uploads/{name}")
    assert r.headers["Range"] == "0-0"
    assert owner.call("POST", f"/v2/{repo}/blobs/uploads", scope=f"repository:{repo}:pull,push").status_code == 202


def test_status(owner, repo):
    location = owner.start_upload(repo)
    r = owner.get(location)
    assert (r.status_code, r.headers["Range"]) == (204, "0-0")
    owner.patch(location, b"x" * 100)
    r = owner.get(location)
    assert (r.status_code, r.headers["Range"], r.content) == (204, "0-99", b"")
    assert r.headers["Location"] and r.headers["Docker-Upload-UUID"] in location


def test_unknown_session(owner, repo):
    owner.start_upload(repo)
    path = f"/v2/{repo}/blobs/uploads/{uuid.uuid4()}"
    for r in (owner.get(path), owner.patch(path, b"x"), owner.finish(path, oci.digest(b"x"), b"x"), owner.delete(path)):
        assert r.status_code == 404 and oci.error_code(r) == "BLOB_UPLOAD_UNKNOWN"


def test_session_belongs_to_its_repository(owner, repo):
    location = owner.start_upload(repo)
    other = location.replace(repo, repo + "-other")
    owner.start_upload(repo + "-other")
    assert owner.get(other).status_code == 404
    assert owner.get(location).status_code == 204


def test_cancel(owner, repo):
    location = owner.start_upload(repo)
    owner.patch(location, b"x" * 10)
    r = owner.delete(location, params={"digest": oci.digest(b"x")})
    assert r.status_code == 204 and r.content == b""
    assert owner.get(location).status_code == 404
    assert owner.delete(location).status_code == 404


def test_cancel_removes_the_bytes(owner, repo, stack):
    before = stack.stored_files()
    location = owner.start_upload(repo)
    owner.patch(location, os.urandom(1 << 20))
    assert owner.delete(location).status_code == 204
    assert stack.stored_files() == before


@pytest.mark.parametrize("how", ["put", "patch", "post"])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_wrong_digest(owner, repo, stack, how, algorithm):
    data, wrong = os.urandom(3000), oci.unknown_digest(algorithm)
    before = stack.stored_files()
    if how == "post":
        r = owner.call("POST", f"/v2/{repo}/blobs/uploads/", params={"digest": wrong}, data=data)
        location = None
    else:
        location = owner.start_upload(repo)
        if how == "patch":
            owner.patch(location, data)
            data = b""
        r = owner.finish(location, wrong, data)
    assert r.status_code == 400 and oci.error_code(r) in ("DIGEST_INVALID", "BLOB_UPLOAD_INVALID")
    assert owner.head(f"/v2/{repo}/blobs/{wrong}").status_code == 404
    if location:
        assert owner.get(location).status_code == 404, "the session ends with the mismatch"
    assert stack.stored_files() == before


@pytest.mark.parametrize("bad", ["sha256:baddigeststring", "sha256:00", "nothing", "md5:d41d8cd98f00b204e9800998ecf8427e", ""])
def test_malformed_digest(owner, repo, bad):
    location = owner.start_upload(repo)
    r = owner.finish(location, bad, b"x")
    assert r.status_code == 400 and oci.error_code(r) in ("DIGEST_INVALID", "BLOB_UPLOAD_INVALID")


def test_missing_digest(owner, repo):
    location = owner.start_upload(repo)
    r = owner.put(location, data=b"x")
    assert r.status_code == 400 and oci.error_code(r) in ("DIGEST_INVALID", "BLOB_UPLOAD_INVALID")


def test_post_naming_a_digest_without_a_body(owner, repo):
    r = owner.call("POST", f"/v2/{repo}/blobs/uploads/", params={"digest": oci.unknown_digest()}, data=b"")
    assert r.status_code == 202
    r = owner.call("POST", f"/v2/{repo}/blobs/uploads/", params={"digest": EMPTY}, data=b"")
    assert r.status_code == 201


def test_unknown_algorithm(owner, repo):
    r = owner.call("POST", f"/v2/{repo}/blobs/uploads/", params={"digest-algorithm": "md5"})
    assert r.status_code == 400 and oci.error_code(r) == "DIGEST_INVALID"
    assert owner.call("POST", f"/v2/{repo}/blobs/uploads/", params={"digest-algorithm": "sha512"}).status_code == 202


# -- ranges


def test_overlap_is_skipped(owner, repo):
    data = os.urandom(200)
    location = owner.start_upload(repo)
    assert owner.patch(location, data[:90], first=0).headers["Range"] == "0-89"
    assert owner.patch(location, data[10:], first=10).headers["Range"] == "0-199"
    assert owner.finish(location, oci.digest(data)).status_code == 201
    assert owner.pull_blob(repo, oci.digest(data)) == data


@pytest.mark.parametrize("received, first", [(0, 13), (100, 101), (100, 0), (100, 5000)])
def test_gap_and_restart_are_refused(owner, repo, received, first):
    data = os.urandom(300)
    location = owner.start_upload(repo)
    if received:
        owner.patch(location, data[:received], first=0)
    r = owner.patch(location, data[first : first + 50] or b"x" * 50, first=first)
    assert r.status_code == 416 and oci.error_code(r) == "BLOB_UPLOAD_INVALID"
    assert r.headers["Range"] == f"0-{max(received - 1, 0)}" and r.headers["Location"] and r.headers["Docker-Upload-UUID"]
    status = owner.get(location)
    assert (status.status_code, status.headers["Range"]) == (204, f"0-{max(received - 1, 0)}")
    assert owner.patch(location, data[received:], first=received).status_code == 202, "the session survives"
    assert owner.finish(location, oci.digest(data)).status_code == 201


def test_out_of_order_put_keeps_the_session(owner, repo):
    """416 comes before any look at the digest."""
    data = os.urandom(3000)
    location = owner.start_upload(repo)
    owner.patch(location, data[:2000], first=0)
    wrong = owner.finish(location, oci.digest(data), data[:1000], headers={"Content-Range": "0-999"})
    assert wrong.status_code == 416
    right = owner.finish(location, oci.digest(data), data[2000:], headers={"Content-Range": "2000-2999"})
    assert right.status_code == 201
    assert owner.pull_blob(repo, oci.digest(data)) == data


@pytest.mark.parametrize("value, status", [("0-9", 202), ("bytes 0-9/*", 202), ("9-0", 400), ("x", 400), ("0-", 400), ("-9", 400), ("0-99999999999999999999999", 400)])
def test_range_syntax(owner, repo, value, status):
    r = owner.patch(owner.start_upload(repo), b"0123456789", headers={"Content-Range": value})
    assert r.status_code == status
    if status == 400:
        assert oci.error_code(r) == "INVALID_REQUEST"


# -- repeats and races


def test_put_again_after_a_lost_answer(owner, repo):
    data = os.urandom(500)
    location = owner.start_upload(repo)
    assert owner.finish(location, oci.digest(data), data).status_code == 201
    assert owner.finish(location, oci.digest(data), data).status_code == 201
    assert owner.finish(location, oci.unknown_digest(), data).status_code == 404


def test_same_blob_by_many_at_once(owner, repo):
    data = os.urandom(300_000)
    owner.token(f"repository:{repo}:pull,push")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for f in [pool.submit(owner.push_blob, repo, data, how) for how in ("put", "patch", "post", "chunks") * 2]:
            f.result()
    assert owner.pull_blob(repo, oci.digest(data)) == data


def test_one_session_by_two_at_once(owner, repo):
    """One of two chunks at the same offset wins; the other hears 416; the bytes are those of the winner."""
    a, b = os.urandom(2 << 20), os.urandom(2 << 20)
    location = owner.start_upload(repo)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda d: owner.patch(location, d, first=0).status_code, (a, b)))
    assert sorted(answers) == [202, 416]
    winner = a if answers[0] == 202 else b
    assert owner.finish(location, oci.digest(winner)).status_code == 201


def test_stored_once(owner, stack):
    """The same bytes in two repositories are one object."""
    data = os.urandom(1000)
    for i in range(2):
        owner.push_blob(f"{owner.user}/once{i}{secrets.token_hex(3)}", data)
    assert len([f for f in stack.stored_files() if oci.digest(data).split(":")[1] in f]) == 1


# -- mounts


def test_mount(owner, repo):
    data = os.urandom(1000)
    d = oci.digest(data)
    owner.push_blob(repo + "-from", data)
    r = owner.call("POST", f"/v2/{repo}/blobs/uploads/", params={"mount": d, "from": repo + "-from"})
    assert r.status_code == 201 and r.headers["Docker-Content-Digest"] == d and r.headers["Location"].endswith(f"/v2/{repo}/blobs/{d}")
    assert owner.pull_blob(repo, d) == data


def test_mount_without_from(owner, repo):
    data = os.urandom(1000)
    owner.push_blob(repo + "-from", data)
    r = owner.call("POST", f"/v2/{repo}/blobs/uploads/", params={"mount": oci.digest(data)})
    assert r.status_code == 201
    assert owner.pull_blob(repo, oci.digest(data)) == data


@pytest.mark.parametrize("case", ["unknown blob", "unknown repository", "malformed", "bad name"])
def test_mount_falls_back_to_a_session(owner, repo, case):
    data = os.urandom(100)
    owner.push_blob(repo + "-from", data)
    params = {
        "unknown blob": {"mount": oci.unknown_digest(), "from": repo + "-from"},
        "unknown repository": {"mount": oci.digest(data), "from": repo + "-nowhere"},
        "malformed": {"mount": "sha256:xyz", "from": repo + "-from"},
        "bad name": {"mount": oci.unknown_digest(), "from": "//"},
    }[case]
    r = owner.call("POST", f"/v2/{repo}/blobs/uploads/", params=params)
    assert r.status_code == 202
    assert owner.finish(r.headers["Location"], oci.digest(data), data).status_code == 201


@pytest.mark.parametrize("with_from", [True, False])
def test_mount_of_what_one_may_not_read(owner, stranger, repo, with_from):
    """A digest is no key: what the caller cannot read is like absent."""
    data = os.urandom(1000)
    owner.push_blob(repo, data)
    mine = f"{stranger.user}/m{secrets.token_hex(4)}"
    params = {"mount": oci.digest(data), **({"from": repo} if with_from else {})}
    r = stranger.call("POST", f"/v2/{mine}/blobs/uploads/", params=params)
    assert r.status_code == 202
    assert stranger.head(f"/v2/{mine}/blobs/{oci.digest(data)}").status_code == 404


def test_mount_from_a_public_repository(owner, stranger, repo, stack):
    data = os.urandom(1000)
    owner.push_blob(repo, data)
    stack.sql("UPDATE repository SET is_public = true WHERE name = %s", repo.split("/")[1])
    r = stranger.call("POST", f"/v2/{stranger.user}/m{secrets.token_hex(4)}/blobs/uploads/", params={"mount": oci.digest(data), "from": repo})
    assert r.status_code == 201


# -- rights and limits


def test_who_may_push(owner, stranger, anonymous, repo):
    location = owner.start_upload(repo)
    for client in (stranger, anonymous):
        for r in (client.call("POST", f"/v2/{repo}/blobs/uploads/"), client.patch(location, b"x"), client.get(location), client.delete(location)):
            assert r.status_code == 401 and oci.error_code(r) == "UNAUTHORIZED"
            assert f'scope="repository:{repo}:pull,push"' in r.headers["WWW-Authenticate"]
    assert owner.get(location).headers["Range"] == "0-0"


def test_push_with_a_pull_token(owner, repo):
    token = owner.token(f"repository:{repo}:pull")
    assert owner.call("POST", f"/v2/{repo}/blobs/uploads/", token=token).status_code == 401


@pytest.mark.config(MAXIMUM_LAYER_SIZE="1M")
def test_too_large(alone):
    admin = alone.superuser()
    ok = os.urandom(1_000_000)
    admin.push_blob("admin/x", ok, "patch")
    before = alone.stored_files()
    for streamed in (False, True):
        location = admin.start_upload("admin/x")
        r = admin.patch(location, ok + b"x", streamed=streamed)
        assert r.status_code == 413 and oci.error_code(r) == "BLOB_UPLOAD_INVALID"
        admin.http.close()                  # the server may close a connection whose body it could not pass on
        assert admin.get(location).status_code == 404, "the upload is cancelled"
    location = admin.start_upload("admin/x")
    assert admin.patch(location, ok[:600_000]).status_code == 202
    assert admin.patch(location, ok[:600_000]).status_code == 413
    admin.http.close()
    assert alone.stored_files() == before


@pytest.mark.config(DISABLE_PUSHES=True)
def test_pushes_disabled(alone):
    r = alone.superuser().call("POST", "/v2/admin/x/blobs/uploads/")
    assert r.status_code == 405 and oci.error_code(r) == "DENIED"


def test_session_survives_a_restart(alone):
    """Any process takes the next chunk: the row is the only state."""
    admin = alone.superuser()
    data = os.urandom(3 << 20)
    location = admin.start_upload("admin/x")
    admin.patch(location, data[: 1 << 20])
    alone.restart_pools()
    admin.patch(location, data[1 << 20 :], first=1 << 20)
    assert admin.finish(location, oci.digest(data)).status_code == 201
    assert admin.pull_blob("admin/x", oci.digest(data)) == data


def test_many_small_chunks(owner, repo):
    """Each begins the moment the one before it is answered, and finds the session free."""
    data = os.urandom(400)
    location = owner.start_upload(repo)
    for i, byte in enumerate(data):
        r = owner.patch(location, bytes([byte]), first=i)
        assert r.status_code == 202 and r.headers["Range"] == f"0-{i}", f"chunk {i}: {r.status_code} {r.headers}"
        location = r.headers["Location"]
    assert owner.finish(location, oci.digest(data)).status_code == 201
    assert owner.pull_blob(repo, oci.digest(data)) == data


def test_refused_chunk_leaves_the_session_free(owner, repo):
    """Also after a refusal the next request is served at once."""
    location = owner.start_upload(repo)
    for i in range(50):
        assert owner.patch(location, b"abc", first=i + 10).status_code == 416
        r = owner.patch(location, b"x", first=i)
        assert r.status_code == 202, f"{i}: {r.status_code} {r.text}"
        location = r.headers["Location"]
