"""GET /v2/NAME/referrers/DIGEST."""

import pytest

import oci


def referrers(client, repo, d, kind=None):
    r = client.get(f"/v2/{repo}/referrers/{d}", params={"artifactType": kind} if kind else None)
    assert r.status_code == 200, r.text[:300]
    assert r.headers["Content-Type"] == oci.OCI_INDEX
    value = r.json()
    assert value["schemaVersion"] == 2 and value["mediaType"] == oci.OCI_INDEX
    assert ("artifactType" in r.headers.get("OCI-Filters-Applied", "")) == bool(kind)
    return {m["digest"]: m for m in value["manifests"]}


def test_before_the_first_push(owner, repo):
    assert referrers(owner, repo, oci.unknown_digest()) == {}


def test_found_and_filtered(owner, repo, pushed):
    signature = oci.artifact("application/vnd.example.signature", pushed, annotations={"by": "me"})
    bill = oci.artifact("application/vnd.example.bill", pushed)
    for m in (signature, bill):
        assert owner.push(repo, m.digest, m).headers["OCI-Subject"] == pushed.digest
    found = referrers(owner, repo, pushed.digest)
    assert set(found) == {signature.digest, bill.digest}
    assert found[signature.digest] == {"mediaType": oci.OCI_IMAGE, "digest": signature.digest, "size": len(signature.body),
                                       "artifactType": "application/vnd.example.signature", "annotations": {"by": "me"}}
    for _ in range(2):                                  # filtered and unfiltered answers do not mix
        assert set(referrers(owner, repo, pushed.digest, "application/vnd.example.bill")) == {bill.digest}
        assert set(referrers(owner, repo, pushed.digest)) == {signature.digest, bill.digest}
    assert referrers(owner, repo, pushed.digest, "application/vnd.example.none") == {}


def test_type_of_an_image_is_its_configs(owner, repo, pushed):
    m = oci.image(1, subject=pushed.descriptor())
    owner.push(repo, m.digest, m)
    assert referrers(owner, repo, pushed.digest)[m.digest]["artifactType"] == oci.OCI_CONFIG
    assert m.digest in referrers(owner, repo, pushed.digest, oci.OCI_CONFIG)


def test_index_with_a_subject(owner, repo, pushed):
    m = oci.index([pushed], subject=pushed.descriptor())
    owner.push(repo, m.digest, m)
    found = referrers(owner, repo, pushed.digest)[m.digest]
    assert found["mediaType"] == oci.OCI_INDEX and "artifactType" not in found


def test_subject_that_comes_later(owner, repo):
    subject = oci.image()
    m = oci.artifact(subject=subject)
    owner.push(repo, m.digest, m)
    assert set(referrers(owner, repo, subject.digest)) == {m.digest}
    owner.push(repo, "latest", subject)
    assert set(referrers(owner, repo, subject.digest)) == {m.digest}


def test_deleted_referrer_is_gone(owner, repo, pushed):
    m = oci.artifact(subject=pushed)
    owner.push(repo, m.digest, m)
    assert owner.delete(f"/v2/{repo}/manifests/{m.digest}").status_code == 202
    assert referrers(owner, repo, pushed.digest) == {}


def test_fallback_tag_is_merged(owner, repo, pushed):
    """What old clients wrote under the tag sha256-HEX is shown too, once."""
    known, old = oci.artifact(subject=pushed), oci.artifact("application/vnd.example.old")
    owner.push(repo, known.digest, known)
    owner.push(repo, old.digest, old)
    fallback = oci.index([old, known])
    owner.push(repo, pushed.digest.replace(":", "-"), fallback)
    assert set(referrers(owner, repo, pushed.digest)) == {known.digest, old.digest}


@pytest.mark.parametrize("kind", [None, "application/vnd.example.many/1+json"])
def test_pages(owner, stack, repo, pushed, kind):
    """More than a page of them: Link leads through all, once each; the entries of the fallback tag come with the first
    (where a type is asked for, not this one: the index names none)."""
    n, old = 2100, oci.artifact("application/vnd.example.old")
    owner.push(repo, old.digest, old)
    owner.push(repo, pushed.digest.replace(":", "-"), oci.index([old]))
    stack.sql("INSERT INTO manifest (repository_id, digest, media_type, bytes, subject, artifact_type) SELECT r.id, 'sha256:' || encode(sha256((r.name || g)::bytea), 'hex'),"
              " %s, '{}', %s, 'application/vnd.example.many/1+json' FROM repository r, generate_series(1, %s) g WHERE r.name = %s", oci.OCI_IMAGE, pushed.digest, n, repo.split("/")[1])
    seen, path, pages = [], f"/v2/{repo}/referrers/{pushed.digest}" + (f"?artifactType={kind.replace('+', '%2B')}" if kind else ""), 0
    while path:
        r = owner.get(path)
        assert r.status_code == 200, r.text[:300]
        digests = [m["digest"] for m in r.json()["manifests"]]
        assert len(digests) <= 1001 and ("OCI-Filters-Applied" in r.headers) == bool(kind)
        assert (old.digest in digests) == (pages == 0 and not kind)
        seen, pages = seen + digests, pages + 1
        link = r.headers.get("Link", "")
        assert not link or (link.startswith(f"</v2/{repo}/referrers/{pushed.digest}?") and link.endswith('>; rel="next"'))
        path = link.partition(">")[0][1:]
    assert pages == 3 and len(seen) == len(set(seen)) == n + (not kind)
    assert owner.get(f"/v2/{repo}/referrers/{pushed.digest}?next_page=nonsense").json() == owner.get(f"/v2/{repo}/referrers/{pushed.digest}").json()


def test_other_repository(owner, repo, pushed):
    m = oci.artifact(subject=pushed)
    owner.push(repo + "-other", m.digest, m)
    assert referrers(owner, repo, pushed.digest) == {}


def test_private(stranger, owner, repo, pushed):
    r = stranger.get(f"/v2/{repo}/referrers/{pushed.digest}")
    assert r.status_code == 401 and oci.error_code(r) == "UNAUTHORIZED"


def test_malformed(owner, repo, pushed):
    r = owner.get(f"/v2/{repo}/referrers/sha256:xyz")
    assert r.status_code in (400, 404)
    oci.error_code(r)


@pytest.mark.config(FEATURE_REFERRERS_API=False)
def test_switched_off(alone):
    admin = alone.superuser()
    m = oci.image()
    admin.push("admin/x", "latest", m)
    assert admin.get(f"/v2/admin/x/referrers/{m.digest}").status_code == 404
    a = oci.artifact(subject=m)
    assert "OCI-Subject" not in admin.push("admin/x", a.digest, a).headers
