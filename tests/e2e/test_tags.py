"""GET /v2/NAME/tags/list."""

import re

import pytest

import oci


@pytest.fixture(scope="module")
def tagged(owner):
    """A repository with 25 tags, whose order differs between a dictionary's and ASCII's."""
    names = sorted({f"v{i}" for i in range(20)} | {"A", "a", "B", "b", "_", "Z.1"})
    m = oci.image()
    owner.push("owner/tagged", names[0], m)
    for name in names[1:]:
        assert owner.put_manifest("owner/tagged", name, m).status_code == 201
    return names


def pages(client, path):
    """Every page, by the Link headers."""
    found = []
    while path:
        r = client.get(path)
        assert r.status_code == 200
        found.append(r.json()["tags"])
        link = r.headers.get("Link")
        m = re.fullmatch(r'<(/v2/[^>]+)>; ?rel="next"', link) if link else None
        assert m or not link, link
        path = m[1] if m else None
    return found


def test_all(owner, tagged):
    r = owner.get("/v2/owner/tagged/tags/list")
    assert r.status_code == 200 and r.headers["Content-Type"].split(";")[0] == "application/json"
    assert r.json() == {"name": "owner/tagged", "tags": tagged}
    assert "Link" not in r.headers


@pytest.mark.parametrize("n", [1, 2, 10, 26, 50, 100])
def test_pages(owner, tagged, n):
    found = pages(owner, f"/v2/owner/tagged/tags/list?n={n}")
    assert [t for p in found for t in p] == tagged
    assert all(len(p) == n for p in found[:-1]) and 0 < len(found[-1]) <= n


def test_last(owner, tagged):
    middle = tagged[len(tagged) // 2]
    assert owner.get(f"/v2/owner/tagged/tags/list?last={middle}").json()["tags"] == tagged[len(tagged) // 2 + 1 :]
    assert owner.get("/v2/owner/tagged/tags/list?last=v").json()["tags"] == [t for t in tagged if t > "v"]
    assert owner.get("/v2/owner/tagged/tags/list?last=zzz").json()["tags"] == []


@pytest.mark.parametrize("n", ["0", "-1"])
def test_none_asked_for(owner, tagged, n):
    r = owner.get(f"/v2/owner/tagged/tags/list?n={n}")
    assert r.status_code == 200 and r.json()["tags"] == [] and "Link" not in r.headers


@pytest.mark.parametrize("n", ["x", "", "99999999999999999999999", "100000"])
def test_odd_n(owner, tagged, n):
    assert owner.get("/v2/owner/tagged/tags/list", params={"n": n}).json()["tags"] == tagged


def test_hundred_by_default(owner, repo):
    m = oci.image()
    owner.push(repo, "t000", m)
    for i in range(1, 105):
        owner.put_manifest(repo, f"t{i:03}", m)
    found = pages(owner, f"/v2/{repo}/tags/list")
    assert [len(p) for p in found] == [100, 5]


def test_repository_without_tags(owner, repo):
    owner.push_blob(repo, b"x")
    assert owner.get(f"/v2/{repo}/tags/list").json() == {"name": repo, "tags": []}


def test_repository_to_come(owner, repo):
    r = owner.get(f"/v2/{repo}/tags/list")
    assert r.status_code in (200, 404)
    if r.status_code == 404:
        assert oci.error_code(r) == "NAME_UNKNOWN"


def test_private(stranger, anonymous, owner, tagged):
    for client in (stranger, anonymous):
        for path in ("/v2/owner/tagged/tags/list", "/v2/owner/no-such-thing/tags/list"):
            r = client.get(path)
            assert r.status_code == 401 and oci.error_code(r) == "UNAUTHORIZED"
            assert ":pull\"" in r.headers["WWW-Authenticate"]


def test_never_stale(owner, repo, pushed):
    for i in range(5):
        owner.put_manifest(repo, f"t{i}", pushed)
        assert f"t{i}" in owner.get(f"/v2/{repo}/tags/list").json()["tags"]
        owner.delete(f"/v2/{repo}/manifests/t{i}")
        assert owner.get(f"/v2/{repo}/tags/list").json()["tags"] == ["latest"]
