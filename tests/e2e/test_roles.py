"""Superusers, global read-only superusers, restricted users; states of a repository."""

import secrets

import pytest

import oci


def status(client, repo, method="GET"):
    if method == "GET":
        return client.get(f"/v2/{repo}/manifests/latest").status_code
    return client.call("POST", f"/v2/{repo}/blobs/uploads/").status_code


def granted(client, repo):
    return sorted(client.granted(f"repository:{repo}:pull,push,*")[repo])


# -- superusers


def test_superuser_without_full_access_is_a_user(roles):
    admin = roles.superuser()
    assert granted(admin, "private/box") == [] and status(admin, "private/box") == 401
    assert status(admin, "private/box", "POST") == 401


def test_superuser_with_full_access(make_stack):
    s = make_stack("lighttpd", name="full", FEATURE_SUPERUSERS_FULL_ACCESS=True)
    s.create_user("keeper")
    s.client("keeper").push("keeper/box", "latest", oci.image())
    admin = s.superuser()
    assert granted(admin, "keeper/box") == ["*", "pull", "push"]
    admin.pull("keeper/box", "latest")
    admin.push("keeper/box", "new", oci.image())
    assert admin.delete("/v2/keeper/box/manifests/latest").status_code == 202
    admin.push("keeper/made-by-admin", "latest", oci.image())
    s.client("keeper").pull("keeper/made-by-admin", "latest")


def test_robot_of_a_superuser_is_none(make_stack):
    s = make_stack("lighttpd", name="full", FEATURE_SUPERUSERS_FULL_ACCESS=True)
    s.create_user("holder")
    s.client("holder").push("holder/box", "latest", oci.image())
    robot = s.client(s.create_robot("admin", f"r{secrets.token_hex(3)}")[0])
    assert granted(robot, "holder/box") == [] and status(robot, "holder/box") == 401


def test_read_only_superuser_reads_everything_and_writes_nothing(roles):
    auditor = roles.client("auditor")
    assert granted(auditor, "private/box") == ["pull"]
    auditor.pull("private/box", "latest")
    assert status(auditor, "private/box", "POST") == 401
    assert status(auditor, "private/new", "POST") == 401
    assert auditor.delete("/v2/private/box/manifests/latest").status_code == 401
    assert "private/box" in auditor.get("/v2/_catalog?n=1000").json()["repositories"]


# -- restricted users


def test_restricted_user_makes_nothing_of_the_own(roles):
    limited = roles.client("limited")
    new = f"limited/n{secrets.token_hex(3)}"
    assert granted(limited, new) == [] and status(limited, new, "POST") == 401


def test_restricted_user_pushes_nothing_to_the_own(roles):
    limited = roles.client("limited")
    roles.admin("repo", "create", "limited/old")
    assert granted(limited, "limited/old") == ["pull"]
    token = limited.token("repository:limited/old:pull,push,*")
    r = limited.call("POST", "/v2/limited/old/blobs/uploads/", token=token)
    assert r.status_code == 401 and oci.error_code(r) == "UNAUTHORIZED"
    assert limited.get("/v2/limited/old/tags/list", token=token).json()["tags"] == []


def test_restriction_counts_at_every_request(alone):
    """A token from before the switch is no better."""
    alone.create_user("free")
    free = alone.client("free")
    free.push("free/box", "latest", oci.image())
    token = free.token("repository:free/box:pull,push")
    alone.restart_pools(FEATURE_RESTRICTED_USERS=True)
    r = free.call("POST", "/v2/free/box/blobs/uploads/", token=token)
    assert r.status_code == 401 and r.json()["errors"][0]["detail"] == "Disallowed for restricted users."
    assert free.get("/v2/free/box/manifests/latest", token=token).status_code == 200


def test_robots_of_a_restricted_user(roles):
    roles.admin("repo", "create", "limited/bots")
    name, _ = roles.create_robot("limited", f"r{secrets.token_hex(3)}")
    roles.permit("limited/bots", "write", f"robot:{name}")
    robot = roles.client(name)
    assert granted(robot, "limited/bots") == ["pull"] and status(robot, "limited/bots", "POST") == 401


def test_restricted_user_in_an_organization(roles):
    """Rights that others gave stay."""
    m = oci.image()
    limited = roles.client("limited")
    roles.permit("private/box", "write", "user:limited")
    limited.push("private/box", "by-limited", m)
    limited.pull("private/box", "by-limited", m)


@pytest.mark.parametrize("user", ["trusted", "admin"])
def test_not_restricted(roles, user):
    """Who is on the list, and superusers."""
    roles.client(user).push(f"{user}/box", "latest", oci.image())


# -- states


def test_read_only_repository(stack, owner, repo, pushed):
    token = owner.token(f"repository:{repo}:pull,push")
    stack.admin("repo", "state", repo, "readonly")
    assert owner.pull(repo, "latest", pushed)
    for r in (owner.call("POST", f"/v2/{repo}/blobs/uploads/", token=token), owner.put_manifest(repo, "other", pushed, token=token),
              owner.delete(f"/v2/{repo}/manifests/latest", token=token)):
        assert r.status_code == 401 and oci.error_code(r) == "UNAUTHORIZED"
    owner.tokens.clear()
    assert granted(owner, repo) == ["pull"]
    stack.admin("repo", "state", repo, "normal")
    owner.tokens.clear()
    assert owner.put_manifest(repo, "other", pushed).status_code == 201
