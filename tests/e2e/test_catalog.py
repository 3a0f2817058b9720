"""GET /v2/_catalog."""

import re
import secrets

import pytest

import oci


@pytest.fixture(scope="module")
def library(stack):
    """Users with repositories of their own: private ones, and a public one."""
    name = f"lib{secrets.token_hex(3)}"
    stack.create_user(name)
    client = stack.client(name)
    repos = sorted(f"{name}/r{i}" for i in range(5))
    for r in repos:
        client.push(r, "latest", oci.image())
    stack.sql("UPDATE repository SET is_public = true WHERE name = 'r0' AND namespace_id = (SELECT id FROM account WHERE name = %s)", name)
    return client, repos


def names(client, path="/v2/_catalog", **kw):
    found = []
    while path:
        r = client.get(path, **kw)
        assert r.status_code == 200
        found += r.json()["repositories"]
        link = r.headers.get("Link")
        path = re.fullmatch(r'<(/v2/_catalog[^>]+)>; ?rel="next"', link)[1] if link else None
    return found


def test_own(library):
    client, repos = library
    assert sorted(n for n in names(client) if n.startswith(client.user + "/")) == repos


@pytest.mark.parametrize("n", [1, 2, 3, 100])
def test_pages(library, n):
    client, repos = library
    found = names(client, f"/v2/_catalog?n={n}")
    assert len(found) == len(set(found)) and set(repos) <= set(found)
    first = client.get(f"/v2/_catalog?n={n}").json()["repositories"]
    assert len(first) <= n


@pytest.mark.parametrize("n", ["0", "x", "-5"])
def test_odd_n(library, n):
    r = library[0].get("/v2/_catalog", params={"n": n})
    assert r.status_code == 200 and len(r.json()["repositories"]) == 1


def test_private_is_not_shown(library, stranger):
    client, repos = library
    assert not set(repos[1:]) & set(names(stranger))


def test_superuser_sees_all(library, stack):
    assert set(library[1]) <= set(names(stack.superuser()))


def test_nobody(library, anonymous):
    assert names(anonymous, scope="") == []


@pytest.mark.config(FEATURE_PUBLIC_CATALOG=True)
def test_public_catalog(alone):
    admin = alone.superuser()
    for name in ("shown", "hidden"):
        admin.push(f"admin/{name}", "latest", oci.image())
    alone.sql("UPDATE repository SET is_public = true WHERE name = 'shown'")
    assert names(alone.client(), scope="") == ["admin/shown"]
