"""A right that is taken away is gone at the next request, on every process, whatever tokens are still held. Tokens are only
an upper bound."""

import secrets

import pytest

import oci

REQUESTS = 6        # enough to meet each process


@pytest.fixture(scope="module")
def org(stack, owner):
    return stack.create_org(f"rev{secrets.token_hex(3)}", owner.user)


@pytest.fixture
def box(owner, org):
    """A private repository with an image, for this test alone."""
    name = f"{org}/b{secrets.token_hex(4)}"
    owner.push(name, "latest", oci.image())
    return name


@pytest.fixture
def person(stack):
    name = f"p{secrets.token_hex(4)}"
    stack.create_user(name)
    return stack.client(name)


def statuses(client, repo, scope="pull"):
    """Of reading the repository, with the token that the client holds."""
    token = client.token(f"repository:{repo}:{scope}")
    return {client.get(f"/v2/{repo}/manifests/latest", token=token).status_code for _ in range(REQUESTS)}


def blob_statuses(client, repo, d):
    token = client.token(f"repository:{repo}:pull")
    return {client.get(f"/v2/{repo}/blobs/{d}", token=token).status_code for _ in range(REQUESTS)}


def test_permission(stack, owner, box, person):
    stack.permit(box, "read", f"user:{person.user}")
    assert statuses(person, box) == {200}
    d = owner.pull(box, "latest").json()["config"]["digest"]
    assert blob_statuses(person, box, d) == {200}
    stack.permit(box, None, f"user:{person.user}")
    assert statuses(person, box) == {401} and blob_statuses(person, box, d) == {401}
    stack.permit(box, "read", f"user:{person.user}")
    assert statuses(person, box) == {200}


def test_lower_role(stack, box, person):
    stack.permit(box, "write", f"user:{person.user}")
    token = person.token(f"repository:{box}:pull,push")
    location = person.call("POST", f"/v2/{box}/blobs/uploads/", token=token).headers["Location"]
    assert person.patch(location, b"abc", token=token).status_code == 202
    stack.permit(box, "read", f"user:{person.user}")
    assert person.patch(location, b"def", token=token).status_code == 401
    assert person.finish(location, oci.digest(b"abc"), token=token).status_code == 401
    assert person.call("POST", f"/v2/{box}/blobs/uploads/", token=token).status_code == 401
    assert person.get(f"/v2/{box}/manifests/latest", token=token).status_code == 200


def test_member_of_a_team(stack, org, box, person):
    team = f"t{secrets.token_hex(3)}"
    stack.admin("team", "create", org, team, "--role", "member")
    stack.admin("team", "add", org, team, person.user)
    stack.permit(box, "read", f"team:{team}")
    assert statuses(person, box) == {200}
    stack.admin("team", "remove", org, team, person.user)
    assert statuses(person, box) == {401}
    stack.admin("team", "add", org, team, person.user)
    assert statuses(person, box) == {200}
    stack.permit(box, None, f"team:{team}")
    assert statuses(person, box) == {401}


def test_role_of_a_team(stack, org, box, person):
    team = f"t{secrets.token_hex(3)}"
    stack.admin("team", "create", org, team, "--role", "admin")
    stack.admin("team", "add", org, team, person.user)
    assert statuses(person, box) == {200}
    stack.admin("team", "create", org, team, "--role", "member")
    assert statuses(person, box) == {401}


def test_public_repository_becomes_private(stack, box, person, anonymous):
    stack.admin("repo", "visibility", box, "public")
    assert statuses(person, box) == {200} and statuses(anonymous, box) == {200}
    stack.admin("repo", "visibility", box, "private")
    assert statuses(person, box) == {401} and statuses(anonymous, box) == {401}


def test_user_disabled(stack, box, person):
    stack.permit(box, "read", f"user:{person.user}")
    robot = stack.client(stack.create_robot(person.user, "bot")[0])
    _, app = stack.create_token("app", person.user, "--title", "x")
    clients = [person, stack.client("$app", app)]
    assert all(statuses(c, box) == {200} for c in clients) and robot.get("/v2/").status_code == 200
    stack.admin("user", "disable", person.user)
    assert all(statuses(c, box) == {401} for c in clients) and robot.get("/v2/").status_code == 401
    for c in (*clients, robot):
        r = c.ask_token(f"repository:{box}:pull")
        assert r.status_code == 401 and "disabled" in r.json()["errors"][0]["message"]
    stack.admin("user", "enable", person.user)
    assert all(statuses(c, box) == {200} for c in clients) and robot.get("/v2/").status_code == 200


def test_namespace_disabled(stack, person, anonymous, owner):
    """What a disabled user owns is closed to others, and says why to those who could read it."""
    name = f"{person.user}/open"
    person.push(name, "latest", oci.image())
    stack.admin("repo", "visibility", name, "public")
    assert statuses(anonymous, name) == {200} and statuses(owner, name) == {200}
    stack.admin("user", "disable", person.user)
    for client in (anonymous, owner):
        assert statuses(client, name) == {405}
        r = client.ask_token(f"repository:{name}:pull")
        assert r.status_code == 405 and oci.error_code(r) == "DENIED"


def test_robot_regenerated(stack, org, box):
    name, token = stack.create_robot(org, f"r{secrets.token_hex(3)}")
    stack.permit(box, "read", f"robot:{name}")
    robot = stack.client(name)
    assert statuses(robot, box) == {200}
    fresh = stack.admin("robot", "regenerate", name).split()[-1]
    stack.secrets.add(fresh)
    assert fresh != token and statuses(robot, box) == {401}
    assert robot.ask_token().status_code == 401
    assert statuses(stack.client(name, fresh), box) == {200}


@pytest.mark.parametrize("kind", ["app", "oauth", "repository"])
def test_token_revoked(stack, owner, org, box, kind):
    words = {"app": (owner.user, "--title", "x"), "oauth": (org, owner.user, "--scopes", "repo:read"), "repository": (box, "--role", "read")}[kind]
    uuid, token = stack.create_token(kind, *words)
    client = stack.client({"app": "$app", "oauth": "$oauthtoken", "repository": "$token"}[kind], token)
    assert statuses(client, box) == {200}
    stack.admin("token", "revoke", uuid)
    assert statuses(client, box) == {401} and client.ask_token().status_code == 401
    stack.admin("token", "revoke", uuid, code=1)


def test_password_changed(stack, box, person):
    stack.permit(box, "read", f"user:{person.user}")
    assert statuses(person, box) == {200}
    assert stack.client(person.user, "wrong").ask_token().status_code == 401
    fresh = stack.set_password(person.user)
    assert statuses(person, box) == {401}
    assert statuses(stack.client(person.user, fresh), box) == {200}          # at once: wrong ones from before are forgotten
    assert person.ask_token().status_code == 401


def test_repository_gone(stack, owner, box):
    """And another one of the same name owes nothing to old tokens of others."""
    assert statuses(owner, box) == {200}
    stack.sql("UPDATE repository SET state = 3 WHERE name = %s", box.split("/")[1])
    assert statuses(owner, box) == {404}
