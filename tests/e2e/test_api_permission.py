"""Permissions of repositories, default permissions, and the repository tokens that are no more."""

import pytest

import api
import oci


@pytest.fixture(scope="module")
def kade(make_stack):
    return make_stack("lighttpd", name="api-org", FEATURE_SUPERUSERS_FULL_ACCESS=True, GLOBAL_READONLY_SUPER_USERS=["o-auditor"],
                      FEATURE_RATE_LIMITS=False, FEATURE_USER_LAST_ACCESSED=True)


@pytest.fixture
def boss(kade):
    return api.person(kade)


@pytest.fixture
def org(kade, boss):
    return api.organization(kade, boss)


@pytest.fixture
def repo(kade, org):
    return api.repository(kade, f"{org}/group/app")


def test_users(kade, boss, org, repo):
    member, outsider = api.person(kade), api.person(kade)
    api.team(kade, org, "devs", "member", member)
    robot, _ = kade.create_robot(org, "bot")
    foreign, _ = kade.create_robot(boss.user, "bot")
    path = f"repository/{repo}/permissions/user"
    assert outsider.get(f"{path}/").status_code == 403
    r = boss.put(f"{path}/{outsider.user}", {"role": "admin"})
    assert r.status_code == 200
    assert r.json() == {"role": "admin", "name": outsider.user, "is_robot": False, "avatar": r.json()["avatar"], "is_org_member": False}
    assert api.logs(kade, "change_repo_permission", username=outsider.user)[0] == (
        org, boss.user, {"username": outsider.user, "repo": "group/app", "namespace": org, "role": "admin"})
    assert outsider.get(f"{path}/").status_code == 200
    assert boss.put(f"{path}/{member.user}", {"role": "read"}).json()["is_org_member"] is True
    bot = boss.put(f"{path}/{robot.replace('+', '%2B')}", {"role": "write"}).json()
    assert bot["is_robot"] and bot["is_org_member"] and bot["avatar"]["kind"] == "robot"
    seen = boss.get(f"{path}/").json()["permissions"]
    assert {n: p["role"] for n, p in seen.items()} == {outsider.user: "admin", member.user: "read", robot: "write"}
    assert seen[robot] == bot == boss.get(f"{path}/{robot.replace('+', '%2B')}").json()
    assert boss.put(f"{path}/{outsider.user}", {"role": "read"}).json()["role"] == "read"
    assert outsider.get(f"{path}/").status_code == 403
    api.message(boss.put(f"{path}/no-such-user", {"role": "read"}), 400, "Invalid username: no-such-user")
    api.message(boss.put(f"{path}/{foreign.replace('+', '%2B')}", {"role": "read"}), 400, f"Cannot add robot {foreign} under namespace {org}")
    api.message(boss.put(f"{path}/{org}", {"role": "read"}), 400, "Namespace owner must always be admin.")
    api.error(boss.put(f"{path}/{member.user}", {"role": "owner"}), 400, "invalid_request")
    api.error(boss.put(f"{path}/{member.user}", {}), 400, "invalid_request", "'role' is a required property")
    assert boss.delete(f"{path}/{member.user}").status_code == 204
    assert api.logs(kade, "delete_repo_permission", username=member.user)[0] == (
        org, boss.user, {"username": member.user, "repo": "group/app", "namespace": org})
    for r in (boss.delete(f"{path}/{member.user}"), boss.get(f"{path}/{member.user}"), boss.get(f"{path}/no-such-user")):
        api.message(r, 400, "User does not have permission for repo.")


def test_owner(kade, boss):
    repo = api.repository(kade, f"{boss.user}/app")
    friend = api.person(kade)
    path = f"repository/{repo}/permissions/user"
    text = "Namespace owner must always be admin."
    api.message(boss.put(f"{path}/{boss.user}", {"role": "read"}), 400, text)
    api.message(boss.delete(f"{path}/{boss.user}"), 400, text)
    seen = boss.put(f"{path}/{friend.user}", {"role": "admin"}).json()
    assert "is_org_member" not in seen
    api.message(friend.put(f"{path}/{boss.user}", {"role": "read"}), 400, text)
    api.message(boss.put(f"repository/{repo}/permissions/team/owners", {"role": "read"}), 400, f"No team owners in organization {boss.user}")


def test_teams(kade, boss, org, repo):
    member = api.person(kade)
    api.team(kade, org, "devs", "member", member)
    path = f"repository/{repo}/permissions/team"
    api.message(boss.get(f"{path}/devs"), 400, "Team does not have permission for repo.")
    r = boss.put(f"{path}/devs", {"role": "admin"}).json()
    assert r == {"role": "admin", "name": "devs", "avatar": r["avatar"]} and r["avatar"]["kind"] == "team"
    assert api.logs(kade, "change_repo_permission", team="devs")[0] == (org, boss.user, {"team": "devs", "repo": "group/app", "role": "admin"})
    assert member.get(f"{path}/").json() == {"permissions": {"devs": r}}
    assert member.get(f"{path}/devs").json() == {"role": "admin"}
    api.message(boss.put(f"{path}/nope", {"role": "read"}), 400, f"No team nope in organization {org}")
    assert boss.delete(f"{path}/devs").status_code == 204
    assert api.logs(kade, "delete_repo_permission", team="devs")[0] == (org, boss.user, {"team": "devs", "repo": "group/app"})
    api.message(boss.delete(f"{path}/devs"), 400, "Team does not have permission for repo.")
    assert member.get(f"{path}/").status_code == 403


def test_transitive(kade, boss, org, repo):
    member = api.person(kade)
    api.team(kade, org, "devs", "member", member)
    path = f"repository/{repo}/permissions/user/{member.user}/transitive"
    api.error(boss.get(path), 404, "not_found")
    boss.put(f"repository/{repo}/permissions/team/devs", {"role": "write"})
    assert boss.get(path).json() == {"permissions": [{"role": "write"}]}
    boss.put(f"repository/{repo}/permissions/user/{member.user}", {"role": "read"})
    assert sorted(p["role"] for p in boss.get(path).json()["permissions"]) == ["read", "write"]
    api.error(boss.get(f"repository/{repo}/permissions/user/no-such-user/transitive"), 404, "not_found")


def test_scopes(kade, boss, repo):
    path = f"repository/{repo}/permissions/user/"
    api.error(api.bearer(kade, boss, "repo:write").get(path), 403, "insufficient_scope")
    assert api.bearer(kade, boss, "repo:admin").get(path).status_code == 200
    api.error(api.Api(kade).get(path), 401, "invalid_token")
    # Who administrates the namespace learns that a repository is missing, nobody else.
    missing = f"repository/{repo}-missing/permissions/user/"
    api.error(boss.get(missing), 404, "not_found")
    api.error(api.person(kade).get(missing), 403, "insufficient_scope")


def test_prototypes(kade, boss, org):
    person, delegate = api.person(kade), api.person(kade)
    robot, _ = kade.create_robot(org, "bot")
    foreign, _ = kade.create_robot(person.user, "bot")
    api.team(kade, org, "devs", "creator", person)
    path = f"organization/{org}/prototypes"
    assert boss.get(path).json() == {"prototypes": []}
    r = boss.post(path, {"role": "read", "delegate": {"name": delegate.user, "kind": "user", "is_robot": False}})
    one = r.json()
    assert r.status_code == 200
    assert one == {"id": one["id"], "role": "read", "activating_user": None,
                   "delegate": {"name": delegate.user, "kind": "user", "is_robot": False, "avatar": one["delegate"]["avatar"], "is_org_member": False}}
    assert api.logs(kade, "create_prototype_permission", prototypeid=one["id"])[0] == (org, boss.user, {
        "prototypeid": one["id"], "username": boss.user, "activating_username": None, "role": "read", "delegate_user": delegate.user})
    two = boss.post(path, {"role": "admin", "activating_user": {"name": person.user}, "delegate": {"name": "devs", "kind": "team"}}).json()
    assert two["activating_user"]["name"] == person.user and two["activating_user"]["is_org_member"] is True
    assert two["delegate"] == {"name": "devs", "kind": "team", "avatar": two["delegate"]["avatar"]}
    three = boss.post(path, {"role": "write", "delegate": {"name": robot, "kind": "user"}}).json()
    assert three["delegate"]["is_robot"] and three["delegate"]["kind"] == "user" and three["delegate"]["is_org_member"]
    assert boss.get(path).json()["prototypes"] == [one, two, three]
    for body, detail in (
        ({"role": "read", "delegate": {"name": "no-such-user", "kind": "user"}}, "Missing delegate user or team"),
        ({"role": "read", "activating_user": {"name": "no-such-user"}, "delegate": {"name": robot, "kind": "user"}}, "Unknown activating user"),
        ({"role": "read"}, "'delegate' is a required property"),
        ({"role": "read", "delegate": {"name": "x"}}, "'kind' is a required property"),
        ({"role": "read", "delegate": {"name": "x", "kind": "robot"}}, "'robot' is not one of ['user', 'team']"),
    ):
        api.error(boss.post(path, body), 400, "invalid_request", detail)
    api.message(boss.post(path, {"role": "read", "delegate": {"name": "nope", "kind": "team"}}), 400)
    api.message(boss.post(path, {"role": "read", "delegate": {"name": foreign, "kind": "user"}}), 400)
    changed = boss.put(f"{path}/{one['id']}", {"role": "write"}).json()
    assert changed == {**one, "role": "write"}
    meta = api.logs(kade, "modify_prototype_permission", prototypeid=one["id"])[0][2]
    assert (meta["original_role"], meta["role"]) == ("read", "write")
    # They are applied to what is made from now on.
    client = kade.client(person.user)
    client.push(f"{org}/fresh", "latest", oci.image(layers=1))
    roles = {n: p["role"] for n, p in boss.get(f"repository/{org}/fresh/permissions/user/").json()["permissions"].items()}
    assert roles == {person.user: "admin", delegate.user: "write", robot: "write"}
    assert {n: p["role"] for n, p in boss.get(f"repository/{org}/fresh/permissions/team/").json()["permissions"].items()} == {"devs": "admin"}
    assert boss.delete(f"{path}/{one['id']}").status_code == 204
    assert api.logs(kade, "delete_prototype_permission", prototypeid=one["id"])[0][2]["delegate_user"] == delegate.user
    api.error(boss.delete(f"{path}/{one['id']}"), 404, "not_found")
    api.error(boss.put(f"{path}/{one['id']}", {"role": "read"}), 404, "not_found")
    # One of another organization is not reached through one's own.
    other = api.organization(kade, person)
    api.error(person.put(f"organization/{other}/prototypes/{two['id']}", {"role": "read"}), 404, "not_found")
    api.error(person.delete(f"organization/{other}/prototypes/{two['id']}"), 404, "not_found")
    assert len(boss.get(path).json()["prototypes"]) == 2


def test_repository_tokens(kade, boss, repo):
    stranger = api.person(kade)
    path = f"repository/{repo}/tokens"
    for r in (boss.get(f"{path}/"), boss.post(f"{path}/", {"friendlyName": "x"}), boss.get(f"{path}/code"), boss.put(f"{path}/code", {"role": "read"}),
              boss.delete(f"{path}/code")):
        api.message(r, 410)
    api.error(stranger.get(f"{path}/"), 403, "insufficient_scope")
    api.error(stranger.delete(f"{path}/code"), 403, "insufficient_scope")
