"""Set-ups made by kade-admin: what teams and permissions are worth in the registry, what is refused, what is kept."""

import secrets

import pytest

import oci


@pytest.fixture(scope="module")
def org(stack, owner):
    return stack.create_org(f"adm{secrets.token_hex(3)}", owner.user)


@pytest.fixture
def person(stack):
    name = f"a{secrets.token_hex(4)}"
    stack.create_user(name)
    return stack.client(name)


def logged(stack, namespace):
    """Kinds of log rows of a namespace."""
    return [k for (k,) in stack.sql("SELECT k.name FROM audit_log l JOIN audit_kind k ON k.id = l.kind JOIN account a ON a.id = l.namespace_id "
                                    "WHERE a.name = %s ORDER BY l.at_ms, l.id", namespace)]


def accounts(stack):
    return stack.sql("SELECT count(*) FROM account")[0][0]


@pytest.mark.parametrize("role, sees, makes", [("member", False, False), ("creator", False, True), ("admin", True, True)])
def test_roles_of_teams(stack, owner, org, person, role, sees, makes):
    owner.push(f"{org}/base", "latest", oci.image())
    team = f"t{secrets.token_hex(3)}"
    stack.admin("team", "create", org, team, "--role", role)
    stack.admin("team", "add", org, team, person.user)
    assert person.get(f"/v2/{org}/base/manifests/latest").status_code == (200 if sees else 401)
    new = f"{org}/n{secrets.token_hex(3)}"
    if makes:
        m = oci.image()
        person.push(new, "latest", m)
        person.pull(new, "latest", m)                    # who makes a repository administers it
        assert sorted(person.granted(f"repository:{new}:*,pull,push")[new]) == ["*", "pull", "push"]
    else:
        assert person.call("POST", f"/v2/{new}/blobs/uploads/").status_code == 401


@pytest.mark.parametrize("role, actions", [("read", ["pull"]), ("write", ["pull", "push"]), ("admin", ["*", "pull", "push"])])
@pytest.mark.parametrize("kind", ["user", "team"])
def test_permissions(stack, owner, org, person, kind, role, actions):
    repo = f"{org}/p{secrets.token_hex(3)}"
    stack.admin("repo", "create", repo)
    who = f"user:{person.user}"
    if kind == "team":
        team = f"t{secrets.token_hex(3)}"
        stack.admin("team", "create", org, team, "--role", "member")
        stack.admin("team", "add", org, team, person.user)
        who = f"team:{team}"
    stack.permit(repo, role, who)
    assert sorted(person.granted(f"repository:{repo}:*,pull,push")[repo]) == actions


@pytest.mark.parametrize("words", [
    ["user", "create", "owner", "--generate"],                       # taken
    ["user", "create", "Upper", "--generate"],
    ["user", "create", "a", "--generate"],
    ["user", "create", "x+y", "--generate"],
    ["user", "create", "$app", "--generate"],
    ["user", "create", "fine", "--email", "no-address", "--generate"],
    ["user", "create", "nopassword"],
    ["user", "disable", "no-such-user"],
    ["org", "create", "owner", "--owner", "owner"],                  # taken by a user
    ["org", "create", "neworg", "--owner", "no-such-user"],
    ["robot", "create", "owner"],
    ["robot", "create", "no-such-user+x"],
    ["robot", "regenerate", "owner+no-such-robot"],
    ["repo", "create", "owner/-bad"],
    ["repo", "create", "no-such-user/x"],
    ["repo", "visibility", "owner/no-such-repo", "public"],
    ["permission", "set", "owner/no-such-repo", "read", "user:owner"],
    ["token", "app", "no-such-user", "--title", "x"],
    ["token", "oauth", "owner", "owner", "--scopes", "repo:read"],   # no organization
    ["token", "revoke", "no-such-token"],
])
def test_refused(stack, owner, words):
    before = accounts(stack)
    said = stack.admin(*words, code=1)
    assert said.startswith("kade-admin: ") and len(said.splitlines()) == 1
    assert accounts(stack) == before


def test_every_change_is_in_the_log(stack, owner):
    org = stack.create_org(f"log{secrets.token_hex(3)}", owner.user)
    repo = f"{org}/repo"
    stack.admin("team", "create", org, "devs", "--role", "member")
    stack.admin("team", "add", org, "devs", owner.user)
    stack.admin("repo", "create", repo)
    stack.permit(repo, "read", "team:devs")
    stack.permit(repo, None, "team:devs")
    stack.admin("repo", "visibility", repo, "public")
    stack.admin("repo", "state", repo, "readonly")
    stack.admin("team", "remove", org, "devs", owner.user)
    name, _ = stack.create_robot(org, "bot")
    stack.secrets.add(stack.admin("robot", "regenerate", name).split()[-1])
    uuid, _ = stack.create_token("oauth", org, owner.user, "--scopes", "repo:read")
    stack.admin("token", "revoke", uuid)
    uuid, _ = stack.create_token("repository", repo, "--role", "read")
    stack.admin("token", "revoke", uuid)
    assert logged(stack, org) == [
        "org_create", "org_create_team", "org_add_team_member", "create_repo", "change_repo_permission", "delete_repo_permission",
        "change_repo_visibility", "change_repo_state", "org_remove_team_member", "create_robot", "regenerate_robot_token", "create_application",
        "create_oauth_api_token", "revoke_oauth_api_token", "add_repo_accesstoken", "delete_repo_accesstoken"]


def test_no_secret_is_in_the_log_or_in_clear(stack, owner):
    """Passwords as bcrypt; tokens as keyed hashes, sealed where an interface shows them again."""
    password = stack.create_user(f"s{secrets.token_hex(3)}")
    name, robot = stack.create_robot(owner.user, f"s{secrets.token_hex(3)}")
    _, app = stack.create_token("app", owner.user, "--title", "x")
    for table in ("account", "robot", "token", "audit_log"):
        for (row,) in stack.sql(f"SELECT t::text FROM {table} t"):
            assert not any(s in row for s in (password, robot, app)), table


def test_read_only_registry(alone):
    """Code 3 and no change; what only reads works."""
    before = accounts(alone)
    alone.restart_pools(REGISTRY_STATE="readonly")
    alone.admin("user", "create", "late", "--generate", code=3)
    assert accounts(alone) == before and "admin" in alone.admin("user", "list")
