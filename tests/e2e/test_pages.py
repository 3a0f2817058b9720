"""Pages that stand for themselves: short addresses, the badge, what crawlers and browsers ask for."""

import secrets
import xml.etree.ElementTree as ET

import pytest

import api


@pytest.fixture
def nobody(stack):
    return api.anonymous(stack, csrf=False)


def test_short_addresses(stack, nobody):
    """By their form: the same whether or not anything is there."""
    for path, target in (("/someone", "/organization/someone"), ("/someone/", "/organization/someone"), ("/someone/app", "/repository/someone/app"),
                         ("/someone/app:v1.0", "/repository/someone/app?tab=tags&tag=v1.0"), ("/someone/app?x=1&y", "/repository/someone/app?x=1&y"),
                         ("/someone/app:v1?x=1", "/repository/someone/app?tab=tags&tag=v1&x=1")):
        r = nobody.get(path)
        assert r.status_code == 302 and r.headers["Location"] == target, (path, r.status_code, r.headers.get("Location"))
    owner = api.person(stack)
    api.repository(stack, f"{owner.user}/hidden")
    a, b = nobody.get(f"/{owner.user}/hidden"), nobody.get(f"/{owner.user}/none")
    assert a.status_code == b.status_code == 302


def test_short_addresses_stay_here(nobody):
    for path in ("//evil.example/x", "/%2F%2Fevil.example", "/evil.example%2Fx/y", "/a/b%0d%0aSet-Cookie:x", "/a/..%2Fb", "/A B/c", "/a/b:c%2Fd", "/v1", "/v2/none", "/api/none",
                 "/organization/x", "/none.html/x"):
        r = nobody.get(path)
        assert "Set-Cookie" not in r.headers or "x" != r.headers["Set-Cookie"]
        if r.status_code == 302:
            target = r.headers["Location"]
            assert target.startswith(("/organization/", "/repository/")) and "\r" not in target and "//" not in target
        else:
            assert r.status_code in (301, 400, 404), (path, r.status_code)
    r = nobody.get("/v2/none")
    assert r.status_code == 404 and r.json()["errors"][0]["code"]
    assert nobody.post("/someone/app").status_code == 405


def test_badge(stack, nobody):
    owner, stranger = api.person(stack), api.person(stack)
    open_, closed = api.repository(stack, f"{owner.user}/open", public=True), api.repository(stack, f"{owner.user}/closed")
    token = owner.get(f"repository/{closed}").json()["status_token"]
    r = nobody.get(f"/repository/{open_}/status")
    assert r.status_code == 200 and r.headers["Content-Type"] == "image/svg+xml" and ET.fromstring(r.text).tag.endswith("svg")
    assert nobody.get(f"/repository/{closed}/status?token={token}").status_code == 200
    assert owner.get(f"/repository/{closed}/status").status_code == 200
    bodies = []
    for who, path in ((nobody, f"{closed}/status"), (nobody, f"{closed}/status?token="), (stranger, f"{closed}/status?token=x"), (nobody, f"{owner.user}/none{secrets.token_hex(3)}/status"),
                      (nobody, f"{owner.user}/none/status?token={token}")):
        r = who.get(f"/repository/{path}")
        assert r.status_code == 404, path
        bodies.append(r.text)
    assert len(set(bodies)) == 1


def test_robots_and_opensearch(stack, nobody):
    r = nobody.get("/robots.txt")
    assert r.status_code == 200 and r.headers["Content-Type"].startswith("text/plain") and "Disallow: /api/" in r.text
    r = nobody.get("/opensearch.xml")
    root = ET.fromstring(r.content)
    url = next(e for e in root if e.tag.endswith("Url")).attrib["template"]
    assert r.status_code == 200 and url.endswith("/search?q={searchTerms}")
