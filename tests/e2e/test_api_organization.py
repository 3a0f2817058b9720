"""Organizations: creation, details, settings, members, collaborators, deletion."""

import hashlib
import secrets
import time

import pytest

import api
import stack


@pytest.fixture(scope="module")
def kade(make_stack):
    return make_stack("lighttpd", name="api-org", FEATURE_SUPERUSERS_FULL_ACCESS=True, GLOBAL_READONLY_SUPER_USERS=["o-auditor"],
                      FEATURE_RATE_LIMITS=False, FEATURE_USER_LAST_ACCESSED=True)


@pytest.fixture
def boss(kade):
    return api.person(kade)


@pytest.fixture
def org(kade, boss):
    name = f"o{secrets.token_hex(5)}"
    r = boss.post("organization/", {"name": name, "email": f"{name}@example.com"})
    assert (r.status_code, r.text) == (201, '"Created"\n')
    return name


def test_create(kade, boss, org):
    view = boss.get(f"organization/{org}").json()
    assert view == {
        "name": org, "email": f"{org}@example.com", "is_admin": True, "is_member": True,
        "avatar": {"name": org, "hash": hashlib.sha256(f"{org}@example.com".encode()).hexdigest(), "color": view["avatar"]["color"], "kind": "org"},
        "teams": {"owners": {"name": "owners", "description": "", "role": "admin", "can_view": True, "repo_count": 0, "member_count": 1,
                             "is_synced": False, "avatar": view["teams"]["owners"]["avatar"]}},
        "ordered_teams": ["owners"], "invoice_email": False, "invoice_email_address": None, "tag_expiration_s": 1209600, "is_free_account": True,
    }
    assert view["teams"]["owners"]["avatar"]["kind"] == "team"
    assert api.logs(kade, "org_create", namespace=org) == [(org, boss.user, {"email": f"{org}@example.com", "namespace": org})]
    assert [m["name"] for m in boss.get(f"organization/{org}/team/owners/members").json()["members"]] == [boss.user]


def test_names(kade, boss, org):
    for taken in (org, boss.user):
        api.error(boss.post("organization/", {"name": taken}), 400, "invalid_request", "A user or organization with this name already exists")
    for wrong in ("X", "a", "-ab", "a b", "ab-", "a/b", "ab\n", "a" * 256, ""):
        api.error(boss.post("organization/", {"name": wrong}), 400, "invalid_request")
    api.error(boss.post("organization/", {}), 400, "invalid_request", "'name' is a required property")
    api.error(boss.post("organization/", {"name": 5}), 400, "invalid_request", "5 is not of type 'string'")
    robot, _ = kade.create_robot(org, "bot")
    api.error(boss.post("organization/", {"name": robot}), 400, "invalid_request")


def test_addresses(kade, boss, org):
    other = f"{org}x"
    used = api.error(boss.post("organization/", {"name": other, "email": f"{org}@EXAMPLE.com"}), 400, "invalid_request")
    assert used["detail"].startswith("Email has already been used: ")
    api.error(boss.post("organization/", {"name": other, "email": f"{boss.user}@example.com"}), 400, "invalid_request")
    api.error(boss.post("organization/", {"name": other, "email": "nobody"}), 400, "invalid_request", "Invalid email address")
    assert boss.post("organization/", {"name": other, "email": "ignored", "contact_email": f"{other}@example.com"}).status_code == 201
    assert boss.get(f"organization/{other}").json()["email"] == f"{other}@example.com"


def test_who_may_create(kade):
    r = api.anonymous(kade).post("organization/", {"name": "anon-org"})
    api.error(r, 401, "invalid_token", "Requires authentication")
    person = api.person(kade)
    api.error(api.bearer(kade, person, "org:admin").post("organization/", {"name": "tok-org"}), 403, "insufficient_scope")
    name = f"t{secrets.token_hex(5)}"
    assert api.bearer(kade, person, "user:admin").post("organization/", {"name": name}).status_code == 201
    (_, performer, meta), = api.logs(kade, "org_create", namespace=name)
    assert performer == person.user and meta["email"] is None and meta["oauth_token_application"] == "tool"


@pytest.mark.config(FEATURE_SUPERUSERS_ORG_CREATION_ONLY=True)
def test_only_superusers_create(alone):
    api.error(api.person(alone).post("organization/", {"name": "xx-org"}), 403, "insufficient_scope")
    assert api.Session(alone, "admin").post("organization/", {"name": "xx-org"}).status_code == 201


@pytest.mark.config(FEATURE_RESTRICTED_USERS=True, FEATURE_ORG_SHARED_EMAIL=True)
def test_restricted_users(alone):
    person, admin = api.person(alone), api.Session(alone, "admin")
    api.error(person.post("organization/", {"name": "xx-org"}), 403, "insufficient_scope")
    for n in ("xx-org", "yy-org"):
        assert admin.post("organization/", {"name": n, "email": "same@example.com"}).status_code == 201
    text = "Operation not allowed on restricted user owned namespace"
    api.message(person.put("user/robots/bot", {}), 403, text)
    api.message(person.post("user/robots/bot/regenerate"), 403, text)
    api.message(person.delete("user/robots/bot"), 403, text)
    assert person.get("user/robots").json() == {"robots": []}
    assert admin.put("user/robots/bot", {}).status_code == 201


def test_views(kade, boss, org):
    member, stranger = api.person(kade), api.person(kade)
    api.team(kade, org, "devs", "member", member)
    seen = stranger.get(f"organization/{org}").json()
    assert seen == {"name": org, "email": "", "avatar": seen["avatar"], "is_admin": False, "is_member": False}
    assert api.Api(kade).get(f"organization/{org}").json() == seen
    seen = member.get(f"organization/{org}").json()
    assert set(seen) == {"name", "email", "avatar", "is_admin", "is_member", "teams", "ordered_teams"}
    assert seen["is_member"] and not seen["is_admin"] and seen["email"] == "" and seen["ordered_teams"] == ["owners", "devs"]
    assert not seen["teams"]["owners"]["can_view"] and seen["teams"]["devs"]["can_view"] and seen["teams"]["devs"]["member_count"] == 1
    # A token without a scope for organizations has no role in them.
    assert "teams" not in api.bearer(kade, boss, "repo:read").get(f"organization/{org}").json()
    assert api.bearer(kade, boss, "org:admin").get(f"organization/{org}").json()["is_admin"]
    kade.create_user("o-auditor")
    for who in (api.Session(kade, "o-auditor"), api.Session(kade, "admin")):
        seen = who.get(f"organization/{org}").json()
        assert seen["is_admin"] and seen["is_member"] and seen["teams"]["owners"]["can_view"] and "tag_expiration_s" in seen
    for missing in ("no-such-org", boss.user, "a%2Fb", "%2e%2e", "O%27x"):
        assert boss.get(f"organization/{missing}").status_code == 404
    assert boss.call("HEAD", f"organization/{org}").status_code == 200


def test_change(kade, boss, org):
    def put(**body):
        return boss.put(f"organization/{org}", body)

    assert put(contact_email=f"new-{org}@example.com").json()["email"] == f"new-{org}@example.com"
    assert api.logs(kade, "org_change_email", namespace=org)[0] == (
        org, boss.user, {"email": f"new-{org}@example.com", "namespace": org, "old_email": f"{org}@example.com"})
    assert put(email="").json()["email"] == "" and put(email=None).json()["email"] == ""
    assert len(api.logs(kade, "org_change_email", namespace=org)) == 2           # the second time nothing changed
    r = put(invoice_email=True, invoice_email_address="pay@example.com", tag_expiration_s=86400)
    view = r.json()
    assert (view["invoice_email"], view["invoice_email_address"], view["tag_expiration_s"]) == (True, "pay@example.com", 86400)
    assert view["teams"]["owners"]["member_count"] == 1
    assert len(api.logs(kade, "org_change_invoicing", namespace=org)) == 2
    assert api.logs(kade, "org_change_tag_expiration", namespace=org)[0][2] == {"tag_expiration": 86400, "namespace": org}
    for wrong in (86401, -1, 99999999999):
        api.error(put(tag_expiration_s=wrong), 400, "invalid_request")
    api.error(put(tag_expiration_s="1d"), 400, "invalid_request", "'1d' is not of type 'integer'")
    api.error(put(email="wrong"), 400, "invalid_request")
    assert boss.get(f"organization/{org}").json()["tag_expiration_s"] == 86400
    # Members that no schema names change nothing.
    put(name="other", is_enabled=False, stripe_id="x", kind=1, id=1)
    assert boss.get(f"organization/{org}").json()["is_free_account"] is True
    assert kade.sql("SELECT kind, is_enabled, stripe_id FROM account WHERE name = %s", org) == [(2, True, None)]


def test_members(kade, boss, org):
    member, outsider = api.person(kade), api.person(kade)
    api.team(kade, org, "devs", "member", member)
    api.team(kade, org, "ops", "creator", member)
    robot, _ = kade.create_robot(org, "bot")
    repo = api.repository(kade, f"{org}/app")
    for who in (member, outsider, robot):
        api.permission(kade, repo, who, "read")
    found = {m["name"]: m for m in boss.get(f"organization/{org}/members").json()["members"]}
    assert set(found) == {boss.user, member.user}
    m = found[member.user]
    assert m["kind"] == "user" and m["avatar"]["kind"] == "user" and m["repositories"] == ["app"]
    assert [t["name"] for t in m["teams"]] == ["devs", "ops"] and m["teams"][0]["avatar"]["kind"] == "team"
    assert found[boss.user]["repositories"] == []
    assert boss.get(f"organization/{org}/members/{member.user}").json() == m
    bot = boss.get(f"organization/{org}/members/{robot.replace('+', '%2B')}").json()
    assert bot["kind"] == "robot" and bot["teams"] == [] and bot["repositories"] == ["app"]
    for nobody in (outsider.user, "no-such-user", org):
        api.error(boss.get(f"organization/{org}/members/{nobody}"), 404, "not_found")
    found = boss.get(f"organization/{org}/collaborators").json()["collaborators"]
    assert {(c["name"], c["kind"], c["avatar"]["kind"], *c["repositories"]) for c in found} == {
        (outsider.user, "user", "user", "app"), (robot, "user", "robot", "app")}


def test_remove_member(kade, boss, org):
    member = api.person(kade)
    api.team(kade, org, "devs", "member", member)
    repo = api.repository(kade, f"{org}/app")
    api.permission(kade, repo, member, "admin")
    prototype = {"role": "read", "delegate": {"name": member.user, "kind": "user"}}
    assert boss.post(f"organization/{org}/prototypes", prototype).status_code == 200
    assert member.get(f"repository/{repo}/permissions/user/").status_code == 200
    assert boss.delete(f"organization/{org}/members/{member.user}").status_code == 204
    assert member.get(f"repository/{repo}/permissions/user/").status_code == 403
    assert [m["name"] for m in boss.get(f"organization/{org}/members").json()["members"]] == [boss.user]
    assert boss.get(f"organization/{org}/collaborators").json() == {"collaborators": []}
    assert boss.get(f"organization/{org}/prototypes").json() == {"prototypes": []}
    text = "Cannot remove user as they are the only organization admin"
    api.message(boss.delete(f"organization/{org}/members/{boss.user}"), 400, text)
    api.message(api.Session(kade, "admin").delete(f"organization/{org}/members/{boss.user}"), 400, text)
    api.error(boss.delete(f"organization/{org}/members/no-such-user"), 404, "not_found")
    kade.admin("team", "add", org, "owners", member.user)
    assert boss.delete(f"organization/{org}/members/{boss.user}").status_code == 204
    assert boss.get(f"organization/{org}/members").status_code == 403


def test_admins_who_remove_each_other(kade, boss, org):
    """Whoever comes second finds no right, or is told that nobody would be left."""
    import concurrent.futures

    for _ in range(5):
        one, two = api.person(kade), api.person(kade)
        name = f"o{secrets.token_hex(5)}"
        api.organization(kade, one, name)
        kade.admin("team", "add", name, "owners", two.user)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            a = pool.submit(one.delete, f"organization/{name}/members/{two.user}")
            b = pool.submit(two.delete, f"organization/{name}/members/{one.user}")
            statuses = sorted((a.result().status_code, b.result().status_code))
        assert statuses in ([204, 400], [204, 403])
        assert kade.sql("SELECT count(*) FROM team_member m JOIN team t ON t.id = m.team_id JOIN account o ON o.id = t.organization_id"
                        " WHERE o.name = %s AND t.role = 3", name) == [(1,)]


def test_delete(kade, boss, org):
    member = api.person(kade)
    api.team(kade, org, "devs", "member", member)
    robot, token = kade.create_robot(org, "bot")
    repo = api.repository(kade, f"{org}/app", public=True)
    api.permission(kade, repo, member, "read")
    tool = api.bearer(kade, boss, "org:admin", org=org)
    assert tool.get(f"organization/{org}/members").status_code == 200
    assert boss.delete(f"organization/{org}").status_code == 204
    assert api.logs(kade, "org_delete", namespace=org)[0][1:] == (boss.user, {"namespace": org})
    for who in (boss, member, api.Api(kade)):
        assert who.get(f"organization/{org}").status_code == 404
    assert boss.get(f"organization/{org}/members").status_code == 403
    assert boss.delete(f"organization/{org}").status_code == 403
    assert tool.get("user/").status_code == 401
    # Nothing of it is served, its robots are gone, its name is reserved until its repositories are collected.
    assert kade.client().get(f"/v2/{repo}/tags/list").status_code == 401
    assert kade.client(robot, token).ask_token().status_code == 401
    assert kade.sql("SELECT count(*) FROM account WHERE name IN (%s, %s)", org, robot) == [(0,)]
    assert kade.sql("SELECT a.is_enabled, a.kind FROM deleted_namespace d JOIN account a ON a.id = d.account_id WHERE d.name = %s", org) == [(False, 2)]
    api.error(boss.post("organization/", {"name": org}), 400, "invalid_request")


@pytest.mark.config(FRESH_LOGIN_TIMEOUT="1s")
def test_delete_wants_fresh_login(alone):
    boss = api.person(alone)
    signed_in = time.monotonic()
    org = api.organization(alone, boss)
    stack.until(lambda: time.monotonic() > signed_in + 1.1, what="a login older than FRESH_LOGIN_TIMEOUT")
    api.error(boss.delete(f"organization/{org}"), 401, "fresh_login_required")
    assert boss.get(f"organization/{org}").status_code == 200
