"""GET /v2/auth: who gets which token."""

import base64
import json
import secrets
import time

import pytest

import api
import oci


def claims(token):
    head, body, _ = (json.loads(base64.urlsafe_b64decode(p + "==")) if i < 2 else p for i, p in enumerate(token.split(".")))
    return head, body


@pytest.fixture(scope="module")
def robot(stack, owner):
    name, _ = stack.create_robot(owner.user, "puller")
    return stack.client(name)


@pytest.fixture(scope="module")
def public_repo(stack, owner):
    name = f"{owner.user}/public{secrets.token_hex(4)}"
    owner.push(name, "latest", oci.image())
    assert stack.sql("UPDATE repository SET is_public = true WHERE name = %s", name.split("/")[1]) == 1
    return name


@pytest.fixture(scope="module")
def private_repo(owner):
    name = f"{owner.user}/private{secrets.token_hex(4)}"
    owner.push(name, "latest", oci.image())
    return name


def test_answer(owner, stack):
    before = int(time.time())
    r = owner.ask_token(f"repository:{owner.user}/x:pull")
    assert r.status_code == 200 and r.headers["Content-Type"].startswith("application/json")
    assert "no-store" in r.headers["Cache-Control"] or "no-cache" in r.headers["Cache-Control"]
    answer = r.json()
    assert answer["access_token"] == answer["token"] and answer["expires_in"] == 3600
    head, body = claims(answer["token"])
    owner.secrets.add(answer["token"])
    assert head["alg"] == "ES256" and head["kid"]
    assert body["aud"] == stack.host and body["sub"] == owner.user
    assert body["exp"] - body["iat"] == 3600 and before - 5 <= body["iat"] <= time.time() + 5
    assert body["access"] == [{"type": "repository", "name": f"{owner.user}/x", "actions": ["pull"]}]


# A user of its own: after a wrong password a name has to wait.
@pytest.mark.parametrize("user, password", [("mistaken", "wrong"), ("nobody-here", "wrong"), ("owner+norobot", "x"), ("$app", "x"), ("$oauthtoken", "x"), ("$token", "x")])
def test_bad_credentials(stack, owner, user, password):
    if user == "mistaken":
        stack.create_user(user)
    r = stack.client(user, password).ask_token()
    assert r.status_code == 401 and oci.error_code(r) == "UNAUTHORIZED"
    assert r.headers["WWW-Authenticate"].startswith("Bearer ")


def test_nobody_asking_for_nothing(anonymous):
    for scopes in ((), ("",)):
        r = anonymous.ask_token(*scopes)
        assert r.status_code == 401 and oci.error_code(r) == "UNAUTHORIZED"


def test_login_without_scope(owner):
    r = owner.ask_token()
    assert r.status_code == 200
    assert not claims(r.json()["token"])[1].get("access")


@pytest.mark.parametrize("actions, granted", [
    ("pull", ["pull"]), ("push", ["push"]), ("push,pull", ["push", "pull"]), ("pull,push", ["push", "pull"]),
    ("push,pull,*", ["push", "pull", "*"]), ("delete", ["push"]), ("pull,delete", ["push", "pull"]),
])
def test_own_repository(owner, private_repo, actions, granted):
    assert sorted(owner.granted(f"repository:{private_repo}:{actions}")[private_repo]) == sorted(granted)


def test_repository_to_come(owner):
    """Push and pull for what the caller could make; nothing is made."""
    name = f"{owner.user}/future{secrets.token_hex(4)}"
    assert sorted(owner.granted(f"repository:{name}:pull,push")[name]) == ["pull", "push"]
    assert owner.granted(f"repository:{name}:pull")[name] == ["pull"]


def test_asking_makes_no_repository(owner, stack):
    name = f"future{secrets.token_hex(4)}"
    owner.token(f"repository:{owner.user}/{name}:pull,push")
    assert stack.sql("SELECT count(*) FROM repository WHERE name = %s", name) == [(0,)]


def test_no_right_no_grant(stranger, anonymous, private_repo):
    for client in (stranger, anonymous):
        assert client.granted(f"repository:{private_repo}:pull,push,*")[private_repo] == []


def test_public_repository(stranger, anonymous, public_repo):
    for client in (stranger, anonymous):
        assert client.granted(f"repository:{public_repo}:pull,push")[public_repo] == ["pull"]


def test_unknown_namespace(owner):
    name = f"no-such-{secrets.token_hex(4)}/x"
    assert owner.granted(f"repository:{name}:pull,push")[name] == []


@pytest.mark.parametrize("joined", [False, True])
def test_several_scopes(owner, private_repo, joined):
    other = f"{owner.user}/other{secrets.token_hex(4)}"
    scopes = (f"repository:{private_repo}:pull", f"repository:{other}:pull,push")
    granted = owner.granted(*([" ".join(scopes)] if joined else scopes))
    assert granted[private_repo] == ["pull"] and sorted(granted[other]) == ["pull", "push"]


def test_scope_with_the_registrys_host(owner, stack, private_repo):
    """It is no part of the name: the token speaks of the repository as it is."""
    assert owner.granted(f"repository:{stack.host}/{private_repo}:pull") == {private_repo: ["pull"]}


@pytest.mark.parametrize("scope", ["registry:catalog:*", "repository(plugin):owner/x:pull", "something:else:entirely"])
def test_unknown_kinds_of_scope_are_ignored(owner, scope):
    r = owner.ask_token(scope)
    assert r.status_code == 200 and not claims(r.json()["token"])[1].get("access")


def test_names(owner):
    ok = f"{owner.user}/" + "n" * 255
    assert owner.granted(f"repository:{ok}:push")[ok] == ["push"]
    for bad in ("n" * 256, "-x", ".x", "x/-y"):
        r = owner.ask_token(f"repository:{owner.user}/{bad}:push")
        assert r.status_code == 400 and oci.error_code(r) == "NAME_INVALID", bad


def test_library_name(owner):
    """A name without a namespace belongs to LIBRARY_NAMESPACE."""
    assert owner.granted("repository:busybox:pull") == {"library/busybox": []}


def test_robot(robot, owner, private_repo):
    """A robot has the rights it was given, none by its owner's."""
    assert robot.ask_token().status_code == 200
    assert robot.granted(f"repository:{private_repo}:pull,push")[private_repo] == []


def test_post_is_refused_or_answered_whole(owner, stack):
    r = owner.http.post(f"{stack.base}/v2/auth", params={"service": stack.host}, auth=(owner.user, owner.password))
    assert r.status_code == 405 or (r.status_code == 200 and r.json()["token"])


def test_token_of_another_service(stack, owner, make_stack):
    """Each instance signs with keys of its own."""
    other = make_stack("nginx")
    r = stack.client().get("/v2/", token=other.superuser().token())
    assert r.status_code == 401


def test_token_follows_live_rights(stack, owner, private_repo):
    """A token is an upper bound: a right that is gone is gone at the next request."""
    name = "passing"
    stack.create_user(name)
    visitor = stack.client(name)
    where = "repository_id = (SELECT id FROM repository WHERE name = %s) AND account_id = (SELECT id FROM account WHERE name = %s)"
    repo = private_repo.split("/")[1]
    stack.sql("INSERT INTO repository_permission (repository_id, account_id, role) SELECT r.id, a.id, 1 FROM repository r, account a "
              "WHERE r.name = %s AND a.name = %s", repo, name)
    path = f"/v2/{private_repo}/manifests/latest"
    assert visitor.get(path).status_code == 200
    assert stack.sql(f"DELETE FROM repository_permission WHERE {where}", repo, name) == 1
    assert visitor.get(path).status_code == 401


def test_signing_key_that_is_gone(alone):
    client = alone.superuser()
    assert client.get("/v2/").status_code == 200
    token = client.token()
    alone.sql("DELETE FROM service_key")
    assert client.get("/v2/", token=token).status_code == 401


def algorithm(token):
    head = token.partition(".")[0]
    return json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["alg"]


def test_algorithm_can_be_changed(alone):
    """A key for each: what was signed before stays good, and the way back finds the old key."""
    client = alone.superuser()
    first = client.token()
    alone.restart_pools(KADE={"TOKEN_ALGORITHM": "RS256"})
    second = alone.superuser().token()
    assert (algorithm(first), algorithm(second)) == ("ES256", "RS256")
    alone.restart_pools(KADE={"TOKEN_ALGORITHM": "ES256"})
    third = alone.superuser().token()
    assert algorithm(third) == "ES256" and alone.sql("SELECT count(*) FROM service_key") == [(2,)]
    for token in (first, second, third):
        assert client.get("/v2/", token=token).status_code == 200


def test_deleted_signing_key_stays_revoked(alone):
    """A superuser deletes the key of a host: it is not announced again, by whichever process; a new file makes a new key."""
    client = alone.superuser()
    alone.expect_log("was deleted and may not come back")
    token = client.token()
    (kid,), = alone.sql("SELECT kid FROM service_key")
    root = api.Session(alone, "admin")
    assert root.delete(f"superuser/keys/{kid}").status_code == 204
    assert alone.sql("SELECT kid FROM service_key_revoked") == [(kid,)]
    assert client.get("/v2/", token=token).status_code == 401
    alone.restart_pools()
    r = client.ask_token("")
    assert r.status_code == 503 and alone.sql("SELECT count(*) FROM service_key") == [(0,)]
    assert client.get("/v2/", token=token).status_code == 401
    alone.stop_pools()
    (alone.folder / "kade.pem").unlink()
    alone.start_pools()
    fresh = client.ask_token("")
    assert fresh.status_code == 200
    assert client.get("/v2/", token=fresh.json()["token"]).status_code == 200
    assert client.get("/v2/", token=token).status_code == 401


@pytest.mark.config(FEATURE_ANONYMOUS_ACCESS=False)
def test_without_anonymous_access(alone):
    admin = alone.superuser()
    admin.push("admin/x", "latest", oci.image())
    alone.sql("UPDATE repository SET is_public = true")
    nobody = alone.client()
    r = nobody.ask_token("repository:admin/x:pull")
    assert r.status_code == 401 and oci.error_code(r) == "UNAUTHORIZED"
    r = nobody.get("/v2/admin/x/manifests/latest", scope="")
    assert r.status_code == 401 and "WWW-Authenticate" in r.headers
    alone.create_user("reader")
    assert alone.client("reader").get("/v2/admin/x/manifests/latest").status_code == 200
