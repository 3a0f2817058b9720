"""Kinds of credentials on /v2/auth and what each may do at most: $app, $oauthtoken, $token, robots, e-mail addresses."""

import base64
import json
import secrets

import pytest

import oci


def claims(token):
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def refused(client, *scopes):
    """The message with which the credentials are refused."""
    r = client.ask_token(*scopes)
    assert r.status_code == 401 and oci.error_code(r) == "UNAUTHORIZED", f"{r.status_code} {r.text[:200]}"
    assert r.headers["WWW-Authenticate"].startswith("Bearer ")
    return r.json()["errors"][0]["message"]


@pytest.fixture(scope="module")
def org(stack, owner):
    """An organization that the owner administers."""
    return stack.create_org(f"org{secrets.token_hex(3)}", owner.user)


@pytest.fixture(scope="module")
def shop(stack, owner, org):
    """A private repository of the organization with an image."""
    owner.push(f"{org}/shop", "latest", oci.image())
    return f"{org}/shop"


# -- $app: a user's token for the command line


def test_app_token_is_its_user(stack, owner, repo):
    _, token = stack.create_token("app", owner.user, "--title", "laptop")
    app = stack.client("$app", token)
    m = oci.image()
    app.push(repo, "latest", m)
    app.pull(repo, "latest", m)
    assert claims(app.token(f"repository:{repo}:pull"))["sub"] == owner.user
    assert sorted(app.granted(f"repository:{repo}:pull,push,*")[repo]) == ["*", "pull", "push"]


@pytest.mark.parametrize("change", [lambda t: t[:-1] + ("A" if t[-1] != "A" else "B"), lambda t: t[:60], lambda t: t + "A", lambda t: "x"])
def test_app_token_with_another_code(stack, owner, change):
    _, token = stack.create_token("app", owner.user, "--title", "laptop")
    assert refused(stack.client("$app", change(token))) == "Invalid token"


def test_app_token_past_its_time(stack, owner):
    uuid, token = stack.create_token("app", owner.user, "--title", "short", "--expires", "1h")
    app = stack.client("$app", token)
    assert app.get("/v2/").status_code == 200
    assert stack.sql("UPDATE token SET expires_ms = kade_now_ms() - 1 WHERE uuid = %s", uuid) == 1
    assert app.get("/v2/").status_code == 401
    assert refused(app) == "Invalid token"


def test_app_token_under_another_name(stack, owner):
    """It is no password of the user, no robot's and no OAuth token."""
    _, token = stack.create_token("app", owner.user, "--title", "laptop")
    stack.create_user("appless")
    for name in ("appless", "$oauthtoken", "$token"):
        refused(stack.client(name, token))


@pytest.mark.config(FEATURE_APP_SPECIFIC_TOKENS=False)
def test_app_tokens_switched_off(alone):
    alone.admin("token", "app", "admin", "--title", "x", code=1)
    refused(alone.client("$app", "A" * 120))


# -- $oauthtoken: at most what its scopes say


@pytest.mark.parametrize("scopes, existing, future", [
    ("repo:read", ["pull"], []),
    ("repo:write", ["pull", "push"], []),
    ("repo:admin", ["*", "pull", "push"], []),
    ("repo:create", [], ["pull", "push"]),
    ("repo:create repo:read", ["pull"], ["pull", "push"]),
    ("repo:write repo:create", ["pull", "push"], ["pull", "push"]),
    ("org:admin", [], ["pull", "push"]),
    ("user:read", [], []),
    ("user:admin", [], []),
])
def test_oauth_scopes_are_caps(stack, owner, org, shop, scopes, existing, future):
    """Of one who may do everything with the organization's repositories."""
    _, token = stack.create_token("oauth", org, owner.user, "--scopes", scopes)
    client = stack.client("$oauthtoken", token)
    new = f"{org}/n{secrets.token_hex(4)}"
    granted = client.granted(f"repository:{shop}:pull,push,*", f"repository:{new}:pull,push,*")
    assert (sorted(granted[shop]), sorted(granted[new])) == (existing, future)
    assert client.get(f"/v2/{shop}/manifests/latest").status_code == (200 if existing else 401)
    r = client.call("POST", f"/v2/{shop}/blobs/uploads/")
    assert r.status_code == (202 if "push" in existing else 401)
    if future:
        m = oci.image()
        client.push(new, "latest", m)
        owner.pull(new, "latest", m)
    else:
        assert client.call("POST", f"/v2/{new}/blobs/uploads/").status_code == 401
        assert stack.sql("SELECT count(*) FROM repository WHERE name = %s", new.split("/")[1]) == [(0,)]


def test_oauth_token_never_exceeds_its_user(stack, owner, org, shop, stranger):
    """All scopes of somebody without rights are no rights."""
    _, token = stack.create_token("oauth", org, stranger.user, "--scopes", "repo:admin repo:create org:admin user:admin")
    client = stack.client("$oauthtoken", token)
    new = f"{org}/n{secrets.token_hex(4)}"
    assert client.granted(f"repository:{shop}:pull,push,*", f"repository:{new}:pull,push") == {shop: [], new: []}


def test_oauth_token_of_a_superuser_is_no_superuser_without_the_scope(roles):
    roles.create_org("powers")
    _, token = roles.create_token("oauth", "powers", "admin", "--scopes", "repo:read")
    assert roles.client("$oauthtoken", token).granted("repository:private/box:pull") == {"private/box": []}


def test_oauth_token_past_its_time(stack, owner, org):
    uuid, token = stack.create_token("oauth", org, owner.user, "--scopes", "repo:read", "--expires", "1h")
    client = stack.client("$oauthtoken", token)
    assert client.get("/v2/").status_code == 200
    stack.sql("UPDATE token SET expires_ms = kade_now_ms() - 1 WHERE uuid = %s", uuid)
    assert client.get("/v2/").status_code == 401
    assert refused(client) == "OAuth access token has expired"


def test_oauth_token_of_nobody(stack):
    assert refused(stack.client("$oauthtoken", "A" * 40)) == "OAuth access token could not be validated"


# -- $token: one repository


@pytest.mark.parametrize("role, actions", [("read", ["pull"]), ("write", ["pull", "push"])])
def test_access_token_is_for_one_repository(stack, owner, shop, org, role, actions):
    owner.push(f"{org}/other", "latest", oci.image())
    _, token = stack.create_token("repository", shop, "--role", role)
    client = stack.client("$token", token)
    new = f"{org}/n{secrets.token_hex(4)}"
    granted = client.granted(f"repository:{shop}:pull,push,*", f"repository:{org}/other:pull,push", f"repository:{new}:pull,push")
    assert sorted(granted[shop]) == actions and granted[f"{org}/other"] == [] and granted[new] == []
    assert claims(client.token(f"repository:{shop}:pull"))["sub"] == "(anonymous)"
    client.pull(shop, "latest")
    if role == "write":
        client.push(shop, "by-token", oci.image())
    else:
        assert client.call("POST", f"/v2/{shop}/blobs/uploads/").status_code == 401
    assert client.get(f"/v2/{org}/other/manifests/latest").status_code == 401


def test_access_token_with_another_code(stack, shop):
    _, token = stack.create_token("repository", shop, "--role", "read")
    assert refused(stack.client("$token", token[::-1])) == "Invalid access token"


# -- robots


def test_robot_has_what_it_was_given(stack, owner, org, shop):
    name, _ = stack.create_robot(org, f"r{secrets.token_hex(3)}")
    robot = stack.client(name)
    scope = f"repository:{shop}:pull,push,*"
    for role, actions in ((None, []), ("read", ["pull"]), ("write", ["pull", "push"]), ("admin", ["*", "pull", "push"])):
        if role:
            stack.permit(shop, role, f"robot:{name}")
        robot.tokens.clear()
        assert sorted(robot.granted(scope)[shop]) == actions
    robot.push(shop, "robot", oci.image())


def test_robot_may_not_make_repositories(stack, org):
    name, _ = stack.create_robot(org, f"r{secrets.token_hex(3)}")
    new = f"{org}/n{secrets.token_hex(4)}"
    robot = stack.client(name)
    assert robot.granted(f"repository:{new}:pull,push")[new] == []
    assert robot.call("POST", f"/v2/{new}/blobs/uploads/").status_code == 401


def test_robot_of_a_team_that_may(stack, org):
    name, _ = stack.create_robot(org, f"r{secrets.token_hex(3)}")
    stack.admin("team", "create", org, "builders", "--role", "creator")
    stack.admin("team", "add", org, "builders", name)
    robot = stack.client(name)
    new = f"{org}/n{secrets.token_hex(4)}"
    m = oci.image()
    robot.push(new, "latest", m)
    robot.pull(new, "latest", m)


def test_robot_with_another_token(stack, org):
    """Each name once: who was wrong has to wait."""
    made = [stack.create_robot(org, f"r{secrets.token_hex(3)}") for _ in range(2)]
    for user, secret in ((made[0][0], made[0][1][:-1]), (made[1][0], made[0][1]), (f"{org}+nobody{secrets.token_hex(3)}", made[0][1])):
        assert refused(stack.client(user, secret)) == f"Could not find robot with username: {user} and supplied password."


def test_robot_with_the_right_token_never_waits(stack, org):
    """Another job of the same network that has an old token must not stop it."""
    name, token = stack.create_robot(org, f"r{secrets.token_hex(3)}")
    wrong = [stack.client(name, "A" * 64).ask_token().status_code for _ in range(5)]
    assert wrong[0] == 401 and wrong[-1] == 429
    assert stack.client(name, token).ask_token().status_code == 200


def test_robot_gets_no_rights_in_other_namespaces(stack, owner, org, repo, pushed):
    name, _ = stack.create_robot(org, f"r{secrets.token_hex(3)}")
    assert "another namespace" in stack.admin("permission", "set", repo, "read", f"robot:{name}", code=1)


@pytest.mark.config(ROBOTS_DISALLOW=False)
def test_robots_switched_off(alone):
    name, _ = alone.create_robot("admin", "r2")
    assert alone.client(name).get("/v2/").status_code == 200
    alone.restart_pools(ROBOTS_DISALLOW=True)
    assert "disabled" in refused(alone.client(name))


# -- users


def test_login_by_mail_address(stack):
    password = stack.create_user("mailed")
    assert claims(stack.client("mailed@example.com", password).token())["sub"] == "mailed"


def test_organizations_do_not_log_in(stack, org):
    refused(stack.client(org, ""))


def test_credentials_work_on_registry_paths_too(stack, owner, org, shop):
    """Basic, without a token before: for simple tools."""
    _, oauth = stack.create_token("oauth", org, owner.user, "--scopes", "repo:read")
    for auth in ((owner.user, owner.password), ("$oauthtoken", oauth)):
        r = owner.http.get(f"{stack.base}/v2/{shop}/manifests/latest", auth=auth, headers={"Accept": oci.EVERYTHING})
        assert r.status_code == 200
    r = owner.http.post(f"{stack.base}/v2/{shop}/blobs/uploads/", auth=("$oauthtoken", oauth))
    assert r.status_code == 401


@pytest.mark.config(FEATURE_RATE_LIMITS=True, KADE={"RATE_REGISTRY_READ": 0.1, "RATE_REGISTRY_READ_BURST": 3})
def test_rate_limit_says_when_to_come_back(alone):
    """Counted for each account; others are not concerned."""
    admin = alone.superuser()
    admin.token()
    answers = [admin.get("/v2/_catalog") for _ in range(6)]
    assert [r.status_code for r in answers] == [200] * 3 + [429] * 3
    assert oci.error_code(answers[-1]) == "TOOMANYREQUESTS" and 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    alone.create_user("patient")
    assert alone.client("patient").get("/v2/_catalog").status_code == 200
