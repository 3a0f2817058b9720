"""A hostile user: what must not leak, what must not outlive its right, what must not break under races and odd bytes."""

import base64
import concurrent.futures
import hashlib
import hmac
import json
import os
import random
import secrets
import socket
import string
import threading
import time
import uuid

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec

import oci
import stack as stack_module

UPPER = string.ascii_uppercase + string.digits


# -- what no program makes yet: tokens and rights, straight in the database


def token_hash(stack, kind, token):
    key = (stack.config["DATABASE_SECRET_KEY"].encode("latin1") * 32)[:32]
    prk = hmac.new(b"kade", key, hashlib.sha256).digest()
    inner = hmac.new(hmac.new(prk, b"token hashes 1\x01", hashlib.sha256).digest(), kind.encode(), hashlib.sha256).digest()
    return hmac.new(inner, token.encode(), hashlib.sha256).digest()


def random_token(n):
    return "".join(secrets.choice(UPPER) for _ in range(n))


def account_id(stack, name):
    return stack.sql("SELECT id FROM account WHERE name = %s", name)[0][0]


def repository_id(stack, repo):
    ns, name = repo.split("/", 1)
    return stack.sql("SELECT r.id FROM repository r JOIN account n ON n.id = r.namespace_id WHERE n.name = %s AND r.name = %s", ns, name)[0][0]


def grant(stack, repo, user, role):
    stack.sql("INSERT INTO repository_permission AS p (repository_id, account_id, role) VALUES (%s, %s, %s) "
              "ON CONFLICT (account_id, repository_id) WHERE account_id IS NOT NULL DO UPDATE SET role = EXCLUDED.role",
              repository_id(stack, repo), account_id(stack, user), role)


def publish(stack, repo, public=True):
    stack.sql("UPDATE repository SET is_public = %s WHERE id = %s", public, repository_id(stack, repo))


def app_token(stack, user):
    token = random_token(120)
    stack.sql("INSERT INTO token (kind, account_id, secret_hash, title) VALUES (1, %s, %s, 't')", account_id(stack, user), token_hash(stack, "app", token))
    return token


def oauth_token(stack, user, scopes):
    token, client = random_token(40), random_token(20)
    app = stack.sql("INSERT INTO oauth_application (organization_id, client_id, name) VALUES (%s, %s, 'x') RETURNING id", account_id(stack, user), client)
    stack.sql("INSERT INTO token (kind, account_id, secret_hash, title, scopes, application_id) VALUES (2, %s, %s, 't', %s, %s)",
              account_id(stack, user), token_hash(stack, "oauth", token), scopes, app[0][0])
    return token


def access_token(stack, repo, role):
    token = random_token(64)
    stack.sql("INSERT INTO token (kind, secret_hash, repository_id, role) VALUES (3, %s, %s, %s)", token_hash(stack, "access", token), repository_id(stack, repo), role)
    return token


@pytest.fixture
def user(stack):
    """A fresh user for tests that break one."""
    name = "u" + secrets.token_hex(5)
    stack.create_user(name)
    return stack.client(name)


@pytest.fixture
def secret_image(owner, repo):
    """An image in a private repository of somebody else, and its repository."""
    m = oci.image(layers=1)
    owner.push(repo, "latest", m)
    return repo, m


# -- blobs and manifests are never reachable by digest alone


def test_foreign_blob_by_digest(user, secret_image):
    repo, m = secret_image
    mine = f"{user.user}/own"
    user.push(mine, "latest", oci.image())
    absent = oci.unknown_digest()
    for b in m.blobs:
        d = oci.digest(b)
        for method in ("HEAD", "GET"):
            theirs, none = (user.call(method, f"/v2/{mine}/blobs/{x}") for x in (d, absent))
            assert theirs.status_code == none.status_code == 404
            assert theirs.text.replace(d, "D") == none.text.replace(absent, "D")
            assert user.call(method, f"/v2/{repo}/blobs/{d}", scope=f"repository:{mine}:pull,push").status_code == 401
    for method in ("HEAD", "GET", "DELETE"):
        assert user.call(method, f"/v2/{mine}/manifests/{m.digest}").status_code == 404


@pytest.mark.parametrize("source", ["its repository", "mine", "none", "absent", "host", "upper", "dots"])
def test_foreign_blob_by_mount(stack, user, secret_image, source):
    repo, m = secret_image
    mine = f"{user.user}/m{secrets.token_hex(3)}"
    sources = {"its repository": repo, "mine": mine, "none": None, "absent": "nobody/nothing", "host": f"{stack.host}/{repo}", "upper": repo.upper(),
               "dots": f"{mine}/../../{repo}"}
    for b in m.blobs:
        d = oci.digest(b)
        params = {"mount": d, **({"from": sources[source]} if sources[source] else {})}
        r = user.call("POST", f"/v2/{mine}/blobs/uploads/", params=params)
        assert r.status_code == 202, r.text
        assert user.head(f"/v2/{mine}/blobs/{d}").status_code == 404


def test_foreign_parts_in_a_manifest(user, secret_image):
    repo, m = secret_image
    mine = f"{user.user}/own"
    r = user.put_manifest(mine, "stolen", m)
    assert r.status_code == 400 and oci.error_code(r) == "MANIFEST_BLOB_UNKNOWN"
    r = user.put_manifest(mine, "stolen", oci.index([m]))
    assert r.status_code == 400
    user.push(mine, "x", oci.artifact(subject=m))                     # a subject is only a name
    for path in (f"/v2/{mine}/manifests/{m.digest}", f"/v2/{mine}/manifests/stolen"):
        assert user.get(path).status_code == 404


def test_foreign_upload_session(owner, user, secret_image):
    repo, _ = secret_image
    location = owner.start_upload(repo)
    name = location.split("?")[0].rsplit("/", 1)[1]
    mine = f"{user.user}/own"
    user.push(mine, "latest", oci.image())
    path = f"/v2/{mine}/blobs/uploads/{name}"
    scope = f"repository:{mine}:pull,push"
    for r in (user.get(path), user.patch(path, b"x"), user.finish(path, oci.digest(b"x"), b"x"), user.delete(path)):
        assert r.status_code == 404 and oci.error_code(r) == "BLOB_UPLOAD_UNKNOWN"
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        assert user.call(method, f"/v2/{repo}/blobs/uploads/{name}", scope=scope).status_code == 401
    assert owner.get(location).status_code == 204


def test_private_lists(stack, user, anonymous, secret_image):
    repo, m = secret_image
    for c in (user, anonymous):
        scope = f"repository:{repo}:pull,push,*"
        for path in ("tags/list", f"referrers/{m.digest}", "manifests/latest", "manifests/gone", f"manifests/{m.digest}", f"manifests/{oci.unknown_digest()}"):
            hidden = c.get(f"/v2/{repo}/{path}", scope=scope)
            absent = c.get(f"/v2/{repo}x/{path}", scope=scope)
            assert hidden.status_code == absent.status_code == 401
            assert hidden.text == absent.text
    assert repo not in user.get("/v2/_catalog?n=10000").json()["repositories"]


def test_expired_tag_of_a_private_repository(stack, user, owner, secret_image):
    repo, m = secret_image
    assert owner.delete(f"/v2/{repo}/manifests/latest").status_code == 202
    assert oci.error_code(owner.get(f"/v2/{repo}/manifests/latest")) == "TAG_EXPIRED"
    r = user.get(f"/v2/{repo}/manifests/latest")
    assert r.status_code == 401 and "TAG_EXPIRED" not in r.text


# -- tokens


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def parts(token):
    return [json.loads(base64.urlsafe_b64decode(p + "=" * (-len(p) % 4))) for p in token.split(".")[:2]]


@pytest.mark.parametrize("trick", ["none", "hs256", "kid", "kid path", "no kid", "claims", "aud", "signature cut", "signature empty", "two dots", "jwk", "crit"])
def test_forged_token(user, secret_image, trick):
    repo, _ = secret_image
    good = user.token(f"repository:{user.user}/x:pull")
    head, claims = parts(good)
    claims = {**claims, "access": [{"type": "repository", "name": repo, "actions": ["pull"]}]}
    signature = good.split(".")[2]
    if trick == "none":
        head, signature = {**head, "alg": "none"}, ""
    elif trick == "hs256":
        key = requests.get(f"{user.base}/keys/services/quay/keys/{head['kid']}", timeout=10).content
        head = {**head, "alg": "HS256"}
        signed = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(claims).encode())}"
        signature = b64(hmac.new(key, signed.encode(), hashlib.sha256).digest())
    elif trick == "kid":
        head["kid"] = "a" * 43
    elif trick == "kid path":
        head["kid"] = "../../../etc/passwd\u0000"
    elif trick == "no kid":
        del head["kid"]
    elif trick == "aud":
        claims["aud"] = [claims["aud"], "x"]
    elif trick == "signature cut":
        signature = signature[:-2]
    elif trick == "signature empty":
        signature = ""
    elif trick == "jwk":
        head["jwk"] = {"kty": "oct", "k": b64(b"x" * 32)}
    elif trick == "crit":
        head["crit"] = ["b64"]
    token = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(claims).encode())}.{signature}" + (".." if trick == "two dots" else "")
    r = user.get(f"/v2/{repo}/tags/list", token=token)
    assert r.status_code == 401 and oci.error_code(r) == "UNAUTHORIZED"


def test_grants_are_whole_names(stack, owner, user):
    """A token for a/b says nothing of a/bc, a/b/c, or a."""
    short = f"{owner.user}/p{secrets.token_hex(4)}"
    names = [short, short + "c", short + "/c", short + "/"]
    for n in names[:3]:
        owner.push(n, "latest", oci.image())
        grant(stack, n, user.user, 2)
    for n in names[:3]:
        token = user.token(f"repository:{n}:pull,push")
        for other in names[:3]:
            expected = 200 if other == n else 401
            assert user.get(f"/v2/{other}/tags/list", token=token).status_code == expected
    ns, name = short.split("/")
    token = user.token(f"repository:{ns}/{name}:pull")
    for path in (f"{ns}%2F{name}c", f"{ns}%2f..%2f{name}c", f"{ns.upper()}/{name}", f"{ns}//{name}", f"./{ns}/{name}", f"{ns}/../{ns}/{name}c",
                 f"{ns}/%2e%2e/{ns}/{name}c", f"%2e/{ns}/{name}c", f"{ns}/{name}%00c", f"{ns}/{name}c%20"):
        answer = raw(stack, f"GET /v2/{path}/tags/list HTTP/1.1\r\nHost: {stack.host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n")
        assert answer.split(" ")[1] in ("400", "401", "404") and '"tags"' not in answer, (path, answer)


@pytest.mark.parametrize("service, approved, status", [("quay", True, 200), ("another", True, 401), ("quay", False, 401)])
def test_token_of_a_service_key(stack, user, service, approved, status):
    """A key of another service does not sign registry tokens, nor does a key that is not approved; that of another host does."""
    repo = f"{user.user}/own"
    user.push(repo, "latest", oci.image())
    token = user.token(f"repository:{repo}:pull")
    key = ec.generate_private_key(ec.SECP256R1())
    jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    required = {m: jwk[m] for m in ("crv", "kty", "x", "y")}
    kid = b64(hashlib.sha256(json.dumps(required, separators=(",", ":")).encode()).digest())            # RFC 7638
    stack.sql("INSERT INTO service_key (kid, service, jwk, expires_ms, approved_ms, approval)"
              " VALUES (%s, %s, %s, kade_now_ms() + 3600000, CASE WHEN %s THEN kade_now_ms() END, 'x')", kid, service, json.dumps({**jwk, "kid": kid}), approved)
    forged = jwt.encode(jwt.decode(token, options={"verify_signature": False}), key, algorithm="ES256", headers={"kid": kid})
    assert pull_ok(user, repo, token) == 200
    assert pull_ok(user, repo, forged) == status
    stack.sql("DELETE FROM service_key WHERE kid = %s", kid)


# -- revocation: the next request must fail


def pull_ok(c, repo, token):
    return c.get(f"/v2/{repo}/tags/list", token=token).status_code


def test_revoked_permission(stack, owner, user, secret_image):
    repo, _ = secret_image
    grant(stack, repo, user.user, 2)
    token = user.token(f"repository:{repo}:pull,push")
    assert pull_ok(user, repo, token) == 200
    location = user.call("POST", f"/v2/{repo}/blobs/uploads/", token=token).headers["Location"]
    grant(stack, repo, user.user, 1)
    assert user.patch(location, b"x", token=token).status_code == 401
    assert pull_ok(user, repo, token) == 200
    stack.sql("DELETE FROM repository_permission WHERE account_id = %s", account_id(stack, user.user))
    assert pull_ok(user, repo, token) == 401


@pytest.mark.parametrize("how", ["disabled", "password", "namespace", "deleted"])
def test_revoked_user(stack, user, how):
    repo = f"{user.user}/own"
    user.push(repo, "latest", oci.image())
    token = user.token(f"repository:{repo}:pull,push")
    assert pull_ok(user, repo, token) == 200
    statement = {"disabled": "UPDATE account SET is_enabled = false WHERE name = %s",
                 "password": "UPDATE account SET uuid = gen_random_uuid()::text WHERE name = %s",
                 "namespace": "UPDATE account SET is_enabled = false WHERE name = %s",
                 "deleted": "UPDATE account SET uuid = gen_random_uuid()::text, name = name || '-old' WHERE name = %s"}[how]
    stack.sql(statement, user.user)
    assert pull_ok(user, repo, token) == 401
    assert user.get("/v2/", token=token).status_code == 401
    assert user.get("/v2/_catalog", token=token).status_code == 401


def test_revoked_robot_and_tokens(stack, owner, user):
    repo = f"{user.user}/own"
    user.push(repo, "latest", oci.image())
    robot, secret = stack.create_robot(user.user, "bot")
    grant(stack, repo, robot, 1)
    app, access = app_token(stack, user.user), access_token(stack, repo, 1)
    oauth = oauth_token(stack, user.user, "repo:read")
    scope = f"repository:{repo}:pull"
    cases = [(stack.client(robot, secret), "UPDATE account SET uuid = gen_random_uuid()::text WHERE name = %s", robot),
             (stack.client("$app", app), "DELETE FROM token WHERE secret_hash = %s", token_hash(stack, "app", app)),
             (stack.client("$oauthtoken", oauth), "DELETE FROM token WHERE secret_hash = %s", token_hash(stack, "oauth", oauth)),
             (stack.client("$token", access), "DELETE FROM token WHERE secret_hash = %s", token_hash(stack, "access", access))]
    for c, statement, arg in cases:
        token = c.token(scope)
        assert pull_ok(c, repo, token) == 200, c.user
        stack.sql(statement, arg)
        assert pull_ok(c, repo, token) == 401, c.user
    robot, secret = stack.create_robot(user.user, "bot2")
    grant(stack, repo, robot, 1)
    c = stack.client(robot, secret)
    token = c.token(scope)
    stack.sql("UPDATE account SET is_enabled = false WHERE name = %s", user.user)
    assert pull_ok(c, repo, token) == 401


def test_a_stale_robot_token_locks_nobody_out(stack, user):
    """A job that still has the old token must not keep the other jobs of that address from the new one."""
    robot, secret = stack.create_robot(user.user, "ci")
    stale, fresh = stack.client(robot, random_token(64)), stack.client(robot, secret)
    codes = [stale.ask_token().status_code for _ in range(6)]
    assert set(codes) <= {401, 429} and 429 in codes
    assert fresh.ask_token().status_code == 200


# -- caps


def test_access_token_is_for_one_repository(stack, user):
    repo, other = f"{user.user}/one", f"{user.user}/two"
    for r in (repo, other):
        user.push(r, "latest", oci.image())
    for role, write in ((1, 401), (2, 202)):
        c = stack.client("$token", access_token(stack, repo, role))
        assert c.get(f"/v2/{repo}/tags/list").status_code == 200
        assert c.call("POST", f"/v2/{repo}/blobs/uploads/").status_code == write
        assert c.get(f"/v2/{other}/tags/list").status_code == 401
        assert c.call("POST", f"/v2/{user.user}/three/blobs/uploads/").status_code == 401
        assert c.get("/v2/_catalog", scope="registry:catalog:*").json()["repositories"] == []
        blob = json.loads(user.get(f"/v2/{other}/manifests/latest").content)["layers"][0]["digest"]
        for params in ({"mount": blob, "from": other}, {"mount": blob}):
            assert c.call("POST", f"/v2/{repo}/blobs/uploads/", params=params).status_code == write


@pytest.mark.parametrize("scopes,read,write,create", [("repo:read", 200, 401, 401), ("repo:write", 200, 202, 401), ("repo:create", 401, 401, 202),
                                                     ("repo:create repo:write", 200, 202, 202),
                                                     ("user:read", 401, 401, 401), ("", 401, 401, 401), ("repo:read bogus", 401, 401, 401),
                                                     ("super:user", 401, 401, 401)])
def test_oauth_scopes_cap(stack, user, scopes, read, write, create):
    repo = f"{user.user}/own"
    user.push(repo, "latest", oci.image())
    c = stack.client("$oauthtoken", oauth_token(stack, user.user, scopes))
    assert c.get(f"/v2/{repo}/tags/list").status_code == read
    assert c.call("POST", f"/v2/{repo}/blobs/uploads/").status_code == write
    assert c.call("POST", f"/v2/{user.user}/new/blobs/uploads/").status_code == create
    listed = c.get("/v2/_catalog", scope="registry:catalog:*").json()["repositories"]
    assert (repo in listed) == (read == 200), listed


def test_oauth_of_a_superuser(stack, secret_image):
    repo, _ = secret_image
    for scopes, status in (("repo:read", 401), ("super:user", 401), ("super:user repo:read", 401)):
        c = stack.client("$oauthtoken", oauth_token(stack, stack_module.SUPERUSER, scopes))
        assert c.get(f"/v2/{repo}/tags/list").status_code == status      # FEATURE_SUPERUSERS_FULL_ACCESS is off
        listed = c.get("/v2/_catalog?n=10000", scope="registry:catalog:*").json()["repositories"]
        assert (repo in listed) == (scopes == "super:user repo:read")


@pytest.mark.config(FEATURE_SUPERUSERS_FULL_ACCESS=True, GLOBAL_READONLY_SUPER_USERS=["auditor"], FEATURE_RESTRICTED_USERS=True,
                    RESTRICTED_USERS_WHITELIST=["free"])
def test_people_with_powers(alone):
    for n in ("free", "bound", "auditor"):
        alone.create_user(n)
    free, bound, auditor, admin = (alone.client(n) for n in ("free", "bound", "auditor", "admin"))
    free.push("free/x", "latest", oci.image())
    assert auditor.get("/v2/free/x/tags/list").status_code == 200
    assert auditor.call("POST", "/v2/free/x/blobs/uploads/").status_code == 401
    assert auditor.delete("/v2/free/x/manifests/latest").status_code == 401
    assert admin.call("POST", "/v2/free/x/blobs/uploads/").status_code == 202
    assert bound.call("POST", "/v2/bound/x/blobs/uploads/").status_code == 401
    alone.sql("INSERT INTO repository (namespace_id, name) VALUES (%s, 'old')", account_id(alone, "bound"))
    assert bound.get("/v2/bound/old/tags/list").status_code == 200
    assert bound.call("POST", "/v2/bound/old/blobs/uploads/").status_code == 401         # pushes to the own namespace too
    robot, secret = alone.create_robot("bound", "bot")
    grant(alone, "bound/old", robot, 2)
    assert alone.client(robot, secret).call("POST", "/v2/bound/old/blobs/uploads/").status_code == 401
    alone.create_org("firm", "free")
    alone.sql("INSERT INTO team_member SELECT t.id, %s FROM team t JOIN account o ON o.id = t.organization_id WHERE o.name = 'firm'", account_id(alone, "bound"))
    assert bound.call("POST", "/v2/firm/x/blobs/uploads/").status_code == 202
    # the name alone gives no power: the account that the token was made for must still have it
    token = auditor.token("repository:free/x:pull")
    alone.sql("UPDATE account SET name = 'renamed' WHERE name = 'auditor'")
    assert auditor.get("/v2/free/x/tags/list", token=token).status_code == 401


@pytest.mark.parametrize("state,read,write", [(1, 200, 401), (2, 200, 401), (3, 401, 401), (4, 200, 401)])
def test_states(stack, owner, user, secret_image, state, read, write):
    repo, m = secret_image
    stack.sql("UPDATE repository SET state = %s WHERE id = %s", state, repository_id(stack, repo))
    grant(stack, repo, user.user, 2)
    assert user.get(f"/v2/{repo}/tags/list").status_code == read
    for r in (user.call("POST", f"/v2/{repo}/blobs/uploads/"), user.put_manifest(repo, "new", m), user.delete(f"/v2/{repo}/manifests/latest")):
        assert r.status_code == write, r.text


def test_push_into_a_repository_that_is_being_deleted(stack, owner, secret_image):
    """Nothing may be accepted into it, and nothing of it may come back."""
    repo, m = secret_image
    stack.sql("UPDATE repository SET state = 3 WHERE id = %s", repository_id(stack, repo))
    r = owner.call("POST", f"/v2/{repo}/blobs/uploads/")
    assert r.status_code in (404, 409), r.text
    r = owner.put_manifest(repo, "latest", m)
    assert r.status_code in (404, 409), r.text


def test_application_repository(stack, owner, user, anonymous):
    repo = f"{owner.user}/app{secrets.token_hex(3)}"
    stack.sql("INSERT INTO repository (namespace_id, name, kind) VALUES (%s, %s, 2)", account_id(stack, owner.user), repo.split("/")[1])
    r = owner.ask_token(f"repository:{repo}:pull,push")
    assert r.status_code == 405 and oci.error_code(r) == "UNSUPPORTED"
    basic = {"auth": (owner.user, owner.password), "timeout": 30}
    assert requests.get(f"{owner.base}/v2/{repo}/tags/list", **basic).status_code == 405
    assert requests.post(f"{owner.base}/v2/{repo}/blobs/uploads/", **basic).status_code == 405
    assert user.get(f"/v2/{repo}/tags/list").status_code == 401
    assert user.ask_token(f"repository:{repo}:pull,push").status_code == 200


# -- odd bytes are the client's fault: never 500


@pytest.mark.parametrize("path", ["/v2/a%00b/c/manifests/x", "/v2/a%ffb/c/manifests/x", "/v2/a/c/manifests/%ff", "/v2/a/c/blobs/uploads/%ff%fe",
                                  "/v2/a/c/tags/list?last=%00", "/v2/a/c/tags/list?last=%ff&n=99999999999999999999", "/v2/_catalog?last=%00/%ff",
                                  "/v2/_catalog?next_page=%00", "/v2/a/c/referrers/sha256:00?artifactType=%ff", "/keys/services/%ff/keys",
                                  "/keys/services/quay/keys/%ff", "/v2/a%0d%0aSet-Cookie:x=y/c/manifests/x", "/v2/" + "a/" * 100 + "manifests/x",
                                  "/v2/" + "a" * 3000 + "/b/manifests/x", "/v2/auth?scope=repository:%ff:pull", "/v2/auth?scope=repository:%00/x:pull",
                                  "/v2/auth?" + "&".join("scope=repository:a/b:pull" for _ in range(200))])
def test_odd_paths(user, anonymous, path):
    for auth in (None, (user.user, user.password)):
        r = requests.get(user.base + path, auth=auth, timeout=30)
        assert r.status_code < 500, f"{r.status_code} {r.text}"
        assert "Set-Cookie" not in r.headers


ODD_LOGINS = [b"\xff:x", b"a\x00b:x", b"nobody7:\x00", b"nobody7:\xff\xfe", b"a+\xff:x", b"$token:\xff", b"$app:\x00", b"$oauthtoken:\xff",
              b":", b"x", b"nobody7", b"a" * 3000 + b":x", "é:é".encode()]


def test_odd_logins(alone):
    """On a stack of its own: so many failures make the address wait."""
    for login in ODD_LOGINS:
        header = {"Authorization": "Basic " + base64.b64encode(login).decode()}
        for path in ("/v2/auth", "/v2/", "/v2/a/b/tags/list"):
            r = requests.get(alone.base + path, headers=header, timeout=30)
            assert r.status_code in (401, 429), f"{login[:20]}: {r.status_code} {r.text}"


def test_odd_user_agent(stack, owner, repo, pushed):
    """The audit row of a pull holds what the client says of itself, whatever that is."""
    for agent in (b"\xff\xfe\x80", b'"},{"x":"', b"a" * 4000, "é\\\"".encode()):
        r = owner.get(f"/v2/{repo}/manifests/latest", headers={"User-Agent": agent})
        assert r.status_code == 200, f"{agent[:20]}: {r.status_code} {r.text}"
    rows = stack.sql("SELECT metadata FROM audit_log WHERE repository_id = %s", repository_id(stack, repo))
    assert all(isinstance(json.loads(m), dict) for (m,) in rows)


def test_twenty_tags_in_one_push(owner, repo):
    m = oci.image()
    owner.push(repo, "first", m)
    tags = [f"t{i:02}" for i in range(20)]
    r = owner.put_manifest(repo, m.digest, m, params=[("tag", t) for t in tags])
    assert r.status_code == 201, r.text
    assert set(owner.get(f"/v2/{repo}/tags/list").json()["tags"]) == {"first", *tags}


# -- races


def together(n, work):
    """work(i) in n threads that start at once; the results."""
    gate = threading.Barrier(n)

    def one(i):
        gate.wait()
        return work(i)

    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        return list(pool.map(one, range(n)))


def test_one_tag_from_twenty_clients(stack, owner, repo):
    images = [oci.image(layers=1, size=100) for _ in range(20)]
    for m in images:
        owner.push(repo, m.digest, m)
    token = owner.token(f"repository:{repo}:pull,push")
    clients = [stack.client(owner.user) for _ in images]
    for tag in ("new", "new", "other"):
        results = together(20, lambda i: clients[i].put_manifest(repo, tag, images[i], token=token).status_code)
        assert results == [201] * 20
        assert owner.get(f"/v2/{repo}/manifests/{tag}").content in [m.body for m in images]
    live = stack.sql("SELECT count(*) FROM tag WHERE repository_id = %s AND name = 'new' AND ended_ms IS NULL", repository_id(stack, repo))
    assert live == [(1,)]


def test_first_pushes_of_one_repository(stack, owner):
    repo = f"{owner.user}/f{secrets.token_hex(4)}"
    m = oci.image(layers=3, size=100)
    token = owner.token(f"repository:{repo}:pull,push")
    clients = [stack.client(owner.user) for _ in range(12)]
    for c in clients:
        c.tokens[(f"repository:{repo}:pull,push",)] = token
    results = together(12, lambda i: clients[i].push(repo, "latest", m).status_code)
    assert results == [201] * 12
    owner.pull(repo, "latest", m)


def test_delete_by_digest_against_pushes(stack, owner, repo):
    """Whoever comes last, a live tag's manifest can be pulled by digest, and the parts of a pushed manifest are there."""
    m = oci.image(layers=2, size=100)
    owner.push(repo, "keep", oci.image(size=50))
    token = owner.token(f"repository:{repo}:pull,push")
    clients = [stack.client(owner.user) for _ in range(8)]
    for turn in range(25):
        for b in m.blobs:
            owner.push_blob(repo, b)

        def work(i):
            if i % 2:
                return clients[i].put_manifest(repo, f"t{i}", m, token=token).status_code
            return clients[i].delete(f"/v2/{repo}/manifests/{m.digest}", token=token).status_code

        results = together(8, work)
        assert all(s in (201, 202, 404) for s in results), results
        for tag in owner.get(f"/v2/{repo}/tags/list").json()["tags"]:
            d = owner.head(f"/v2/{repo}/manifests/{tag}").headers["Docker-Content-Digest"]
            assert owner.get(f"/v2/{repo}/manifests/{d}").status_code == 200, f"turn {turn}: {tag} cannot be pulled by digest"


def test_delete_of_a_part_against_pushes(stack, owner, repo):
    """A manifest that was accepted has its blobs and children, however the deletions fell."""
    token = owner.token(f"repository:{repo}:pull,push")
    pusher, killer = stack.client(owner.user), stack.client(owner.user)
    for turn in range(40):
        m = oci.image(layers=1, size=60)
        for b in m.blobs:
            owner.push_blob(repo, b)
        d = oci.digest(m.blobs[1])
        calls = [lambda: pusher.put_manifest(repo, "latest", m, token=token).status_code,
                 lambda: killer.delete(f"/v2/{repo}/blobs/{d}", token=token).status_code]
        pushed, killed = together(2, lambda i: calls[i]())
        assert pushed in (201, 400) and killed in (202, 405, 404)
        if pushed == 201:
            assert owner.head(f"/v2/{repo}/blobs/{d}").status_code == 200, f"turn {turn}: {pushed} {killed}"
        child = oci.image(layers=1, size=60)
        owner.push(repo, child.digest, child)
        parent = oci.index([child])
        calls = [lambda: pusher.put_manifest(repo, "list", parent, token=token).status_code,
                 lambda: killer.delete(f"/v2/{repo}/manifests/{child.digest}", token=token).status_code]
        pushed, killed = together(2, lambda i: calls[i]())
        assert pushed in (201, 400) and killed in (202, 405, 404)
        if pushed == 201:
            assert owner.head(f"/v2/{repo}/manifests/{child.digest}").status_code == 200, f"turn {turn}: {pushed} {killed}"


def test_shared_layers_in_fifty_pushes(stack, owner, repo):
    base = [oci.tar_layer(200, f"b{i}") for i in range(6)]
    images = []
    for i in range(50):
        layers = base + [oci.tar_layer(100, f"own{i}")]
        random.shuffle(layers)
        images.append(oci.image(layers=layers))
    token = owner.token(f"repository:{repo}:pull,push")
    for m in images:
        for b in m.blobs:
            if owner.head(f"/v2/{repo}/blobs/{oci.digest(b)}").status_code != 200:
                owner.push_blob(repo, b)
    clients = [stack.client(owner.user) for _ in images]
    before = stack.sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert together(50, lambda i: clients[i].put_manifest(repo, f"t{i}", images[i], token=token).status_code) == [201] * 50
    assert stack.sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == before


def test_writers_of_one_session(stack, owner, repo):
    """Two writers at once: one is told where the upload is, no byte is lost or doubled."""
    data = os.urandom(300000)
    token = owner.token(f"repository:{repo}:pull,push")
    location = owner.start_upload(repo)
    clients = [stack.client(owner.user) for _ in range(8)]
    results = together(8, lambda i: clients[i].patch(location, data, first=0, token=token).status_code)
    assert sorted(set(results)) in ([202], [202, 416]) and results.count(202) == 1, results
    d = oci.digest(data)
    results = together(8, lambda i: clients[i].finish(location, d, token=token).status_code)
    assert 201 in results and set(results) <= {201, 416}, results
    assert owner.pull_blob(repo, d) == data
    assert owner.finish(location, d).status_code == 201                # a 201 that was lost
    assert owner.finish(location, oci.unknown_digest()).status_code == 404


# -- uploads


@pytest.mark.parametrize("text", ["0-9223372036854775807", "9223372036854775807-9223372036854775807", "-1-5", "5--1", "0-18446744073709551616", "a-b",
                                  "bytes 0-5", "bytes 0-5/99999999999999999999", "0-5,7-9", "5-0", "0 - 5"])
def test_odd_content_ranges(owner, repo, text):
    location = owner.start_upload(repo)
    assert owner.patch(location, b"abcdef").status_code == 202
    r = owner.patch(location, b"123456", headers={"Content-Range": text})
    assert r.status_code in (202, 400, 416), r.text
    r = owner.get(location)
    assert r.status_code == 204 and r.headers["Range"] in ("0-5", "0-11")


def test_overlap_longer_than_the_body(owner, repo):
    location = owner.start_upload(repo)
    assert owner.patch(location, b"x" * 100).status_code == 202
    r = owner.patch(location, b"y" * 10, headers={"Content-Range": "10-99"})
    assert r.status_code in (202, 416) and owner.get(location).headers["Range"] == "0-99"
    assert owner.finish(location, oci.digest(b"x" * 100)).status_code == 201


def raw(stack, head, body=b"", wait=True):
    """Bytes as they are; closed in the middle when wait is false."""
    with socket.create_connection(("127.0.0.1", stack.port), timeout=30) as s:
        s.sendall(head.encode() + body)
        return s.recv(65536).decode(errors="replace") if wait else ""


def test_body_cut_off(stack, owner, repo):
    data = os.urandom(400000)
    location = owner.start_upload(repo)
    token = owner.token(f"repository:{repo}:pull,push")
    assert owner.patch(location, data[:1000]).status_code == 202
    path = location.split(stack.host)[1]
    raw(stack, f"PATCH {path} HTTP/1.1\r\nHost: {stack.host}\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(data) - 1000}\r\n\r\n", data[1000:200000], wait=False)
    stack_module.until(lambda: stack.sql("SELECT count(*) FROM upload WHERE lease IS NOT NULL AND repository_id = %s", repository_id(stack, repo)) == [(0,)], 30)
    assert owner.get(location).headers["Range"] == "0-999"
    assert owner.patch(location, data[1000:], first=1000).status_code == 202
    assert owner.finish(location, oci.digest(data)).status_code == 201


def test_worker_killed_in_an_upload(alone):
    alone.create_user("up")
    c = alone.client("up")
    repo, data = "up/x", os.urandom(3 << 20)
    location = c.start_upload(repo)
    token = c.token(f"repository:{repo}:pull,push")
    path = location.split(alone.host)[1]
    with socket.create_connection(("127.0.0.1", alone.port), timeout=30) as s:
        s.sendall(f"PATCH {path} HTTP/1.1\r\nHost: {alone.host}\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data[: 1 << 20])
        stack_module.until(lambda: alone.sql("SELECT count(*) FROM upload WHERE lease IS NOT NULL") == [(1,)], 20)
        alone.expect_log("signal 9")
        alone.kill_children("transfer")
    stack_module.until(lambda: alone._answers(), 20)
    alone.sql("UPDATE upload SET lease_until_ms = 0")                  # the minute of the dead writer is over
    r = c.get(location)
    assert r.status_code == 204 and r.headers["Range"] == "0-0"
    assert c.patch(location, data, first=0).status_code == 202
    assert c.finish(location, oci.digest(data)).status_code == 201
    assert c.pull_blob(repo, oci.digest(data)) == data


def test_wrong_digests(owner, repo):
    data = os.urandom(1000)
    for d in (oci.digest(b"x"), oci.digest(b"x", "sha512"), "sha256:" + "A" * 64, "sha256:zz", "md5:" + "0" * 32, "sha256:" + "0" * 63, "../../etc/passwd", "sha256:%00"):
        location = owner.start_upload(repo)
        r = owner.finish(location, d, data)
        assert r.status_code == 400, f"{d}: {r.status_code}"
    d = oci.digest(data)
    assert owner.head(f"/v2/{repo}/blobs/{d}").status_code == 404


# -- a right that ends while a slow body comes


def test_creator_cannot_write_into_what_another_made(stack, owner):
    """Who may only create gets no right to a repository that another made while the body was on its way."""
    org = stack.create_org("o" + secrets.token_hex(4), owner.user)
    name = "c" + secrets.token_hex(4)
    stack.create_user(name)
    stack.sql("WITH t AS (INSERT INTO team (organization_id, name, role) VALUES (%s, 'makers', 2) RETURNING id) INSERT INTO team_member SELECT id, %s FROM t",
              account_id(stack, org), account_id(stack, name))
    creator = stack.client(name)
    repo = f"{org}/app"
    token = creator.token(f"repository:{repo}:pull,push")
    body = json.dumps({"schemaVersion": 2, "mediaType": oci.OCI_INDEX, "manifests": []}).encode()
    half = len(body) // 2
    with socket.create_connection(("127.0.0.1", stack.port), timeout=30) as s:
        s.sendall((f"PUT /v2/{repo}/manifests/latest HTTP/1.1\r\nHost: {stack.host}\r\nAuthorization: Bearer {token}\r\n"
                   f"Content-Type: {oci.OCI_INDEX}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n").encode() + body[:half])
        stack_module.until(lambda: stack.sql("SELECT count(*) FROM account WHERE name = %s", org) == [(1,)])
        m = oci.image(size=200000)
        owner.push(repo, "latest", m)                                  # far more round trips than the other needs for its permission
        s.sendall(body[half:])
        answer = s.recv(65536).decode()
    assert " 401 " in answer.splitlines()[0], answer
    owner.pull(repo, "latest", m)


# -- limits


@pytest.mark.config(FEATURE_RATE_LIMITS=True, NON_RATE_LIMITED_NAMESPACES=["free"], KADE={"RATE_REGISTRY_READ": 0.001, "RATE_REGISTRY_READ_BURST": 3})
def test_rate_limits(alone):
    c = alone.client()
    codes = [c.get("/v2/some/x/tags/list", scope="").status_code for _ in range(5)]
    assert set(codes[:2]) <= {401, 429} and codes[3:] == [429, 429]    # the start of the server has asked too
    r = c.get("/v2/some/x/tags/list", scope="")
    assert oci.error_code(r) == "TOOMANYREQUESTS" and int(r.headers["Retry-After"]) > 0
    assert [c.get("/v2/free/x/tags/list", scope="").status_code for _ in range(5)] == [401] * 5
    # a wrong credential counts for its address, so that it cannot be tried for ever
    assert c.get("/v2/some/x/tags/list", token="a.b.c").status_code == 429


def test_no_rate_limit_unless_told(anonymous):
    assert {anonymous.get("/v2/some/x/tags/list", scope="").status_code for _ in range(300)} == {401}


@pytest.mark.config(REGISTRY_STATE="normal")
def test_tokens_while_read_only(alone):
    """A read-only registry on a standby database still gives tokens out."""
    alone.create_user("reader")
    alone.client("reader").push("reader/x", "latest", oci.image())
    alone.sql(f"ALTER DATABASE {alone.database} SET default_transaction_read_only = on")
    alone.restart_pools(REGISTRY_STATE="readonly")
    c = alone.client("reader")
    c.pull("reader/x", "latest")
    assert c.get("/v2/reader/x/tags/list").json()["tags"] == ["latest"]
    assert c.get("/v2/_catalog").json()["repositories"] == ["reader/x"]
    assert c.call("POST", "/v2/reader/x/blobs/uploads/").status_code == 405


def test_networks_of_an_account_are_bounded(stack):
    name = "n" + secrets.token_hex(5)
    stack.create_user(name)
    account = account_id(stack, name)
    stack.sql("INSERT INTO account_network (account_id, network, last_ms) SELECT %s, '2001:db8:' || n || '::/64', n FROM generate_series(1, 500) n", account)
    assert stack.client(name).ask_token().status_code == 200
    assert stack.sql("SELECT count(*), min(last_ms) > 400 FROM account_network WHERE account_id = %s", account) == [(100, True)]


def test_database_that_dropped_its_connections(stack, owner, repo, pushed):
    """After a restart or failover of PostgreSQL the next requests are served, those too that write."""
    path = f"/v2/{repo}/manifests/latest"
    together(8, lambda i: stack.client(owner.user).get(path, token=owner.token(f"repository:{repo}:pull,push")).status_code)
    gone = ("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'kade.fcgi'")
    alive = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'kade.fcgi'"
    assert stack.sql(gone)[0][0] > 0
    stack_module.until(lambda: stack.sql(alive) == [(0,)])
    assert [owner.get(path).status_code for _ in range(10)] == [200] * 10
    stack.sql(gone)
    stack_module.until(lambda: stack.sql(alive) == [(0,)])
    assert owner.put_manifest(repo, "again", pushed).status_code == 201


# -- trees that an attacker builds


def sql_digest(text):
    return oci.digest(text.encode())


def test_long_chain_and_many_referrers(stack, user):
    """Ten thousand indexes on top of each other, and thousands of referrers below: reads stay far from the statement's time limit."""
    repo = f"{user.user}/tree"
    user.push(repo, "x", oci.image())
    rid = repository_id(stack, repo)
    make = ("INSERT INTO manifest (repository_id, digest, media_type, bytes, is_index, subject, idle_since_ms) "
            "SELECT %s, 'sha256:' || encode(sha256((%s || g)::bytea), 'hex'), %s, '{}', %s, %s, %s FROM generate_series(1, %s) g")
    stack.sql(make, rid, f"{repo}c", oci.OCI_INDEX, True, None, None, 10000)
    bottom = sql_digest(f"{repo}c1")
    stack.sql("WITH c AS (SELECT id, lead(id) OVER (ORDER BY id) AS up FROM manifest WHERE repository_id = %s AND is_index) "
              "INSERT INTO manifest_child (manifest_id, child_id, repository_id, position) SELECT up, id, %s, 0 FROM c WHERE up IS NOT NULL", rid, rid)
    stack.sql(make, rid, f"{repo}r", oci.OCI_IMAGE, False, bottom, 1, 7000)
    stack.sql(make, rid, f"{repo}top", oci.OCI_INDEX, True, None, 1, 1)
    stack.sql("INSERT INTO manifest_child (manifest_id, child_id, repository_id, position) SELECT t.id, m.id, m.repository_id, 0 FROM manifest m, manifest t "
              "WHERE m.repository_id = %s AND m.subject IS NOT NULL AND t.digest = %s", rid, sql_digest(f"{repo}top1"))
    for path in (f"referrers/{bottom}", f"manifests/{bottom}", f"manifests/{sql_digest(repo + 'r5')}"):
        assert user.get(f"/v2/{repo}/{path}").status_code in (200, 404)
    assert user.delete(f"/v2/{repo}/manifests/{bottom}").status_code in (202, 404, 405)


def test_wide_index(stack, user):
    repo = f"{user.user}/wide"
    user.push(repo, "x", oci.image())
    rid, n = repository_id(stack, repo), 7000
    stack.sql("INSERT INTO manifest (repository_id, digest, media_type, bytes) SELECT %s, 'sha256:' || encode(sha256((%s || g)::bytea), 'hex'), %s, '{}' "
              "FROM generate_series(1, %s) g", rid, repo, oci.OCI_IMAGE, n)
    stack.sql("INSERT INTO label (manifest_id, key, value, source) SELECT id, 'quay.expires-after', '2h', 1 FROM manifest WHERE repository_id = %s AND bytes = '{}'", rid)
    entries = [{"mediaType": oci.OCI_IMAGE, "digest": sql_digest(f"{repo}{i}"), "size": 2} for i in range(1, n + 1)]
    body = json.dumps({"schemaVersion": 2, "mediaType": oci.OCI_INDEX, "manifests": entries}).encode()
    r = user.put_manifest(repo, "wide", body, media_type=oci.OCI_INDEX)
    assert r.status_code == 201, r.text
    assert user.get(f"/v2/{repo}/manifests/wide").content == body
    assert stack.sql("SELECT count(*) FROM manifest_child WHERE repository_id = %s", rid) == [(n,)]
    assert stack.sql("SELECT expires_ms - start_ms FROM tag WHERE repository_id = %s AND name = 'wide'", rid) == [(7200000,)]


def test_catalog_by_every_way_to_a_right(stack):
    """Each repository once, in pages, whichever way the caller may read it; nothing else."""
    a, b = ("k" + secrets.token_hex(4) for _ in range(2))
    for n in (a, b):
        stack.create_user(n)
    led, other = (stack.create_org("g" + secrets.token_hex(4), a), stack.create_org("g" + secrets.token_hex(4), b))
    make = "INSERT INTO repository (namespace_id, name, kind, state, is_public) VALUES (%s, %s, %s, %s, %s)"
    seen = set()
    for ns, name, kind, state, public, readable in ((a, "own", 1, 0, False, True), (a, "app", 2, 0, False, False), (a, "dead", 1, 3, False, False),
                                                    (led, "admin", 1, 0, False, True), (other, "user", 1, 0, False, True), (other, "team", 1, 0, False, True),
                                                    (other, "both", 1, 0, False, True), (other, "hidden", 1, 0, False, False), (b, "hidden", 1, 0, False, False)):
        stack.sql(make, account_id(stack, ns), name, kind, state, public)
        if readable:
            seen.add(f"{ns}/{name}")
    team = stack.sql("INSERT INTO team (organization_id, name, role) VALUES (%s, 'readers', 1) RETURNING id", account_id(stack, other))[0][0]
    stack.sql("INSERT INTO team_member VALUES (%s, %s)", team, account_id(stack, a))
    for name in ("team", "both"):
        stack.sql("INSERT INTO repository_permission (repository_id, team_id, role) VALUES (%s, %s, 1)", repository_id(stack, f"{other}/{name}"), team)
    for name in ("user", "both"):
        grant(stack, f"{other}/{name}", a, 1)
    c, found, path = stack.client(a), [], "/v2/_catalog?n=2"
    while path:
        r = c.get(path)
        found += r.json()["repositories"]
        path = r.links["next"]["url"] if "next" in r.links else None
    assert sorted(found) == sorted(seen)
    stack.sql("UPDATE account SET is_enabled = false WHERE name = %s", other)
    assert sorted(c.get("/v2/_catalog?n=100").json()["repositories"]) == sorted(s for s in seen if not s.startswith(other))
