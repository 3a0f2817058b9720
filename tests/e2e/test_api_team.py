"""Teams: roles, members, permissions, the last administrators."""

import secrets

import pytest

import api


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


def test_put(kade, boss, org):
    path = f"organization/{org}/team/devs"
    r = boss.put(path, {"role": "member", "description": "Those who write"})
    assert r.status_code == 200
    assert r.json() == {"name": "devs", "description": "Those who write", "can_view": True, "role": "member", "avatar": r.json()["avatar"], "new_team": True}
    assert api.logs(kade, "org_create_team", team="devs")[0] == (org, boss.user, {"team": "devs"})
    r = boss.put(path, {"role": "creator"})
    assert (r.json()["role"], r.json()["description"], r.json()["new_team"]) == ("creator", "Those who write", False)
    assert api.logs(kade, "org_set_team_role")[0] == (org, boss.user, {"team": "devs", "role": "creator"})
    boss.put(path, {"role": "creator", "description": ""})
    assert api.logs(kade, "org_set_team_description")[0] == (org, boss.user, {"team": "devs", "description": ""})
    before = len(api.logs(kade, "org_set_team_role")) + len(api.logs(kade, "org_set_team_description"))
    boss.put(path, {"role": "creator", "description": ""})
    assert len(api.logs(kade, "org_set_team_role")) + len(api.logs(kade, "org_set_team_description")) == before
    api.error(boss.put(path, {"role": "owner"}), 400, "invalid_request", "'owner' is not one of ['member', 'creator', 'admin']")
    api.error(boss.put(path, {"description": "x"}), 400, "invalid_request", "'role' is a required property")
    for wrong in ("X", "a", "a%20b", "a%2Fb", "ab-"):
        api.message(boss.put(f"organization/{org}/team/{wrong}", {"role": "member"}), 400)
    api.error(boss.put(f"organization/{boss.user}/team/devs", {"role": "member"}), 404, "not_found")
    assert boss.get(f"organization/{org}").json()["ordered_teams"] == ["owners", "devs"]


def test_delete(kade, boss, org):
    boss.put(f"organization/{org}/team/devs", {"role": "member"})
    assert boss.delete(f"organization/{org}/team/devs").status_code == 204
    assert api.logs(kade, "org_delete_team", team="devs")[0] == (org, boss.user, {"team": "devs"})
    api.message(boss.delete(f"organization/{org}/team/devs"), 400)


def test_last_admins(kade, boss, org):
    other, admin = api.person(kade), api.Session(kade, "admin")
    path = f"organization/{org}/team/owners"
    api.message(boss.delete(path), 400)
    api.message(boss.put(path, {"role": "member"}), 400)
    api.message(boss.delete(f"{path}/members/{boss.user}"), 400)
    api.message(admin.delete(path), 400)                                   # nobody would be left
    # A second team of administrators does not help who is not in it.
    api.team(kade, org, "admins", "admin", other)
    api.message(boss.delete(path), 400)
    api.message(boss.put(path, {"role": "member"}), 400)
    api.message(boss.delete(f"{path}/members/{boss.user}"), 400)
    assert boss.get(f"{path}/members").status_code == 200
    assert boss.put(f"organization/{org}/team/admins/members/{boss.user}").status_code == 200
    assert boss.delete(f"{path}/members/{boss.user}").status_code == 204
    assert boss.put(path, {"role": "member"}).json()["role"] == "member"
    assert boss.delete(path).status_code == 204


def test_admins_who_remove_each_other(kade, boss):
    import concurrent.futures

    for _ in range(5):
        one, two = api.person(kade), api.person(kade)
        org = api.organization(kade, one)
        kade.admin("team", "add", org, "owners", two.user)
        path = f"organization/{org}/team/owners/members"
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            a, b = pool.submit(one.delete, f"{path}/{two.user}"), pool.submit(two.delete, f"{path}/{one.user}")
            assert sorted((a.result().status_code, b.result().status_code)) in ([204, 400], [204, 403])
    left, = api.Session(kade, "admin").get(path).json()["members"]
    api.message(api.Session(kade, "admin").delete(f"{path}/{left['name']}"), 400)


def test_members(kade, boss, org):
    member, outsider = api.person(kade), api.person(kade)
    robot, _ = kade.create_robot(org, "bot")
    foreign, _ = kade.create_robot(outsider.user, "bot")
    path = f"organization/{org}/team/devs"
    boss.put(path, {"role": "member"})
    r = boss.put(f"{path}/members/{member.user}")
    assert r.status_code == 200
    assert r.json() == {"name": member.user, "kind": "user", "is_robot": False, "avatar": r.json()["avatar"], "invited": False}
    assert api.logs(kade, "org_add_team_member", member=member.user)[0] == (org, boss.user, {"member": member.user, "team": "devs"})
    r = boss.put(f"{path}/members/{robot.replace('+', '%2B')}").json()
    assert r["is_robot"] and r["kind"] == "user" and r["avatar"]["kind"] == "robot"
    api.message(boss.put(f"{path}/members/{member.user}"), 400)                            # already in it
    api.message(boss.put(f"{path}/members/{foreign.replace('+', '%2B')}"), 400)
    api.error(boss.put(f"{path}/members/no-such-user"), 400, "invalid_request", "Unknown user")
    api.error(boss.put(f"{path}/members/{org}"), 400, "invalid_request", "Unknown user")
    api.error(boss.put(f"organization/{org}/team/nope/members/{member.user}"), 404, "not_found")
    seen = boss.get(f"{path}/members").json()
    assert seen["name"] == "devs" and seen["can_edit"] is True and "can_sync" not in seen
    assert sorted(m["name"] for m in seen["members"]) == sorted([member.user, robot])
    seen = member.get(f"{path}/members").json()
    assert seen["can_edit"] is False and len(seen["members"]) == 2
    # Other teams of the organization, and teams that are not there, look alike to a member.
    api.error(member.get(f"organization/{org}/team/owners/members"), 403, "insufficient_scope")
    api.error(member.get(f"organization/{org}/team/nope/members"), 403, "insufficient_scope")
    api.error(outsider.get(f"{path}/members"), 403, "insufficient_scope")
    api.error(api.Api(kade).get(f"{path}/members"), 401, "invalid_token")
    api.error(boss.get(f"organization/{org}/team/nope/members"), 404, "not_found")
    api.error(api.bearer(kade, member, "repo:read user:admin").get(f"{path}/members"), 403, "insufficient_scope")
    assert boss.delete(f"{path}/members/{member.user}").status_code == 204
    assert api.logs(kade, "org_remove_team_member", member=member.user)[0] == (org, boss.user, {"member": member.user, "team": "devs"})
    api.message(boss.delete(f"{path}/members/{member.user}"), 400)
    api.message(boss.delete(f"{path}/members/no-such-user"), 400)
    api.error(member.get(f"{path}/members"), 403, "insufficient_scope")


def test_invitations_of_an_import(kade, boss, org):
    guest = api.person(kade)
    path = f"organization/{org}/team/devs"
    boss.put(path, {"role": "member"})
    kade.sql("INSERT INTO team_invite (team_id, account_id, email, inviter_id, code_hash) SELECT t.id, CASE WHEN x.n = 1 THEN g.id END,"
             " CASE WHEN x.n = 2 THEN 'new@example.com' END, b.id, (%s || x.n)::bytea FROM team t JOIN account o ON o.id = t.organization_id, account g, account b,"
             " (VALUES (1), (2)) x(n) WHERE o.name = %s AND t.name = 'devs' AND g.name = %s AND b.name = %s", secrets.token_hex(8), org, guest.user, boss.user)
    assert boss.get(f"{path}/members").json()["members"] == []
    seen = boss.get(f"{path}/members?includePending=true").json()["members"]
    assert [(m.get("name"), m.get("email"), m["kind"], m["invited"]) for m in seen] == [
        (guest.user, None, "user", True), (None, "new@example.com", "invite", True)]
    assert guest.get(f"{path}/members").status_code == 403                               # invited is not in
    assert boss.delete(f"{path}/members/{guest.user}").status_code == 204
    assert api.logs(kade, "org_delete_team_member_invite")[0] == (org, boss.user, {"user": boss.user, "member": guest.user, "team": "devs"})
    assert len(boss.get(f"{path}/members?includePending=true").json()["members"]) == 1


def test_permissions(kade, boss, org):
    boss.put(f"organization/{org}/team/devs", {"role": "member"})
    path = f"organization/{org}/team/devs/permissions"
    assert boss.get(path).json() == {"permissions": []}
    for name, public in (("b", True), ("a", False)):
        api.repository(kade, f"{org}/{name}", public)
        assert boss.put(f"repository/{org}/{name}/permissions/team/devs", {"role": "write"}).status_code == 200
    assert boss.get(path).json() == {"permissions": [{"repository": {"name": "a", "is_public": False}, "role": "write"},
                                                     {"repository": {"name": "b", "is_public": True}, "role": "write"}]}
    assert boss.get(f"organization/{org}").json()["teams"]["devs"]["repo_count"] == 2
    api.error(boss.get(f"organization/{org}/team/nope/permissions"), 404, "not_found")


def test_what_is_switched_off(kade, boss, org):
    """Invitations by mail and groups of login services: as with their feature off."""
    assert boss.put(f"organization/{org}/team/owners/invite/a@example.com").status_code == 405
    assert boss.post(f"organization/{org}/team/owners/syncing", {}).status_code == 405
    assert boss.delete(f"organization/{org}/team/owners/syncing").status_code == 405
    assert boss.put("teaminvite/code").status_code == 405
    assert boss.get(f"organization/{org}/team/owners/syncing").status_code == 404
