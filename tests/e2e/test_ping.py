"""GET /v2/ and what all answers of /v2 share."""

import re

import pytest
import requests

import oci


def challenge(response):
    """The parameters of WWW-Authenticate: Bearer."""
    value = response.headers["WWW-Authenticate"]
    assert value.startswith("Bearer ")
    return dict(re.findall(r'(\w+)="([^"]*)"', value))


@pytest.mark.parametrize("path", ["/v2/", "/v2"])
def test_stranger_is_challenged(stack, anonymous, path):
    r = anonymous.get(path, scope="", allow_redirects=False)
    assert r.status_code == 401 and oci.error_code(r) == "UNAUTHORIZED"
    assert challenge(r) == {"realm": f"{stack.base}/v2/auth", "service": stack.host}
    assert r.headers["Docker-Distribution-API-Version"] == "registry/2.0"


def test_valid_token(owner):
    r = owner.get("/v2/")
    assert r.status_code == 200 and r.json() is True
    assert r.headers["Docker-Distribution-API-Version"] == "registry/2.0"
    assert r.headers["X-Sparse-Manifest-Support"] == "false"
    h = owner.head("/v2/")
    assert h.status_code == 200 and h.content == b""


def test_token_of_nobody(anonymous):
    """A client that got a token without a name may go on with it."""
    assert anonymous.get("/v2/", token=anonymous.token("repository:nobody/nothing:pull")).status_code == 200


def test_basic_credentials(owner, stack):
    r = owner.http.get(f"{stack.base}/v2/", auth=(owner.user, owner.password))
    assert r.status_code == 200
    r = owner.http.get(f"{stack.base}/v2/", auth=("somebody-else", "wrong"))
    assert r.status_code == 401 and oci.error_code(r) == "UNAUTHORIZED" and r.headers["WWW-Authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("token", ["x", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJIUzI1NiJ9.e30.AAAA"])
def test_forged_token(anonymous, token):
    for path in ("/v2/", "/v2/a/b/tags/list"):
        r = anonymous.get(path, token=token)
        assert r.status_code == 401 and oci.error_code(r) == "UNAUTHORIZED"
        assert r.headers["WWW-Authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("method, path, status", [
    ("GET", "/v2/a/b/nothing", 404),
    ("HEAD", "/v2/a/b/nothing", 404),
    ("POST", "/v2/a/b/nothing", 405),
    ("GET", "/v2/a//b/tags/list", 404),
    ("GET", "/v2/a/../b/tags/list", 404),
    ("DELETE", "/v2/", 405),
    ("PUT", "/v2/a/b/tags/list", 405),
])
def test_no_such_route(owner, stack, method, path, status):
    s = requests.Session()
    request = requests.Request(method, stack.base + path, headers={"Authorization": f"Bearer {owner.token()}"}).prepare()
    request.url = stack.base + path                     # requests would tidy the path
    r = s.send(request)
    assert r.status_code == status
    assert r.headers["Docker-Distribution-API-Version"] == "registry/2.0"
    if method != "HEAD":
        oci.error_code(r)


def test_every_answer_names_its_request(owner):
    ids = {owner.get("/v2/").headers["X-Request-Id"] for _ in range(3)}
    assert len(ids) == 3
