"""The own account over the REST API: profile, changes, sign-up, end, stars, notes."""

import secrets

import pytest

import api
import oci


@pytest.fixture(scope="module")
def kade(make_stack):
    return make_stack("lighttpd", name="api-user", FEATURE_USER_METADATA=True, FEATURE_USER_RENAME=True, PUBLIC_NAMESPACES=["commons"],
                      GLOBAL_READONLY_SUPER_USERS=["u-auditor"], FEATURE_RATE_LIMITS=False)


@pytest.fixture
def me(kade):
    return api.person(kade)


@pytest.fixture
def nobody(kade):
    return api.anonymous(kade)


def fresh(prefix="u"):
    return f"{prefix}{secrets.token_hex(5)}"


OWN = {"anonymous", "username", "avatar", "can_create_repo", "is_me", "verified", "email", "logins", "invoice_email", "invoice_email_address",
       "preferred_namespace", "tag_expiration_s", "prompts", "company", "family_name", "given_name", "location", "is_free_account",
       "has_password_set", "organizations"}


def test_own_view(kade, me):
    u = me.get("user/").json()
    assert set(u) == OWN, set(u) ^ OWN
    assert u["anonymous"] is False and u["username"] == me.user and u["email"] == f"{me.user}@example.com" and u["is_me"] is True
    assert u["tag_expiration_s"] == 1209600 and u["has_password_set"] is True and u["prompts"] == [] and u["logins"] == []
    import hashlib

    h = hashlib.sha256(f"{me.user}@example.com".encode()).hexdigest()
    assert u["avatar"]["hash"] == h and u["avatar"]["kind"] == "user" and u["avatar"]["name"] == me.user
    assert u["avatar"]["color"].startswith("#") and len(u["avatar"]["color"]) == 7
    assert me.get("user").json() == u                           # with and without the slash


def test_body_form(me):
    r = me.get("user/")
    assert r.headers["Content-Type"] == "application/json" and r.text.endswith("}\n")


def test_not_signed_in(kade, nobody):
    body = api.error(nobody.get("user/"), 401, "invalid_token", "Requires authentication")
    assert body["session_required"] is False
    assert nobody.call("HEAD", "user/").status_code == 401
    stale = api.Bearer(kade, "A" * 40)
    assert stale.get("user/").status_code == 401


def test_organizations(kade, me):
    if not kade.sql("SELECT 1 FROM account WHERE name = 'commons'"):
        kade.create_org("commons")
    boss, maker, plain = (api.organization(kade, who) for who in (me, "admin", "admin"))
    api.team(kade, maker, "makers", "creator", me)
    api.team(kade, plain, "people", "member", me)
    found = {o["name"]: o for o in me.get("user/").json()["organizations"]}
    assert set(found) == {boss, maker, plain, "commons"}
    assert [found[n]["can_create_repo"] for n in (boss, maker, plain, "commons")] == [True, True, False, False]
    assert [found[n]["is_org_admin"] for n in (boss, maker, plain, "commons")] == [True, False, False, False]
    assert [found[n]["public"] for n in (boss, maker, plain, "commons")] == [False, False, False, True]
    assert found[boss]["avatar"]["kind"] == "org"


def test_scopes_of_a_token(kade, me):
    read = api.bearer(kade, me, "user:read").get("user/").json()
    assert set(read) == {"anonymous", "username", "avatar", "organizations"}
    admin = api.bearer(kade, me, "user:admin").get("user/").json()
    assert set(admin) == OWN
    assert api.bearer(kade, me, "repo:read").get("user/").status_code == 401


def test_superusers(kade):
    admin = api.Session(kade, "admin")
    assert admin.get("user/").json()["super_user"] is True
    other = api.person(kade)
    assert admin.get(f"users/{other.user}").json()["super_user"] is False
    assert "super_user" not in other.get("users/admin").json()
    auditor = api.person(kade, "u-auditor")
    u = auditor.get("user/").json()
    assert u["global_readonly_super_user"] is True and "super_user" not in u
    # Not with a token that may not use the power.
    assert "super_user" not in api.bearer(kade, "admin", "user:admin").get("user/").json()


def test_others_see_little(kade, me, nobody):
    stranger = api.person(kade)
    for client in (nobody, stranger):
        assert set(client.get(f"users/{me.user}").json()) == {"anonymous", "username", "avatar"}
    assert set(me.get(f"users/{me.user}").json()) == OWN


@pytest.mark.parametrize("name", ["no-such-user", "%00", "a%2Fb", "..%2F", "'"])
def test_unknown_user(nobody, name):
    r = nobody.get(f"users/{name}")
    if name == "%00":
        assert r.status_code in (400, 404)                      # the web server refuses it itself
    else:
        assert r.status_code == 404 and "message" in r.json()


def test_organizations_and_robots_are_no_users(kade, nobody, me):
    org = api.organization(kade, me)
    robot, _ = kade.create_robot(me.user, "bot")
    assert nobody.get(f"users/{org}").status_code == 404
    assert nobody.get(f"users/{robot}").status_code == 404


# -- changes


def test_change_password(kade, me):
    other = api.Session(kade, me.user)                          # another browser
    old, new = me.password, secrets.token_urlsafe(12)
    kade.secrets.add(new)
    r = me.put("user/", {"password": new})
    assert r.status_code == 200 and r.json()["username"] == me.user and "X-Next-CSRF-Token" in r.headers
    assert me.get("user/").status_code == 200, "the session that changed it goes on"
    assert other.get("user/").status_code == 401, "the others have ended"
    assert api.Session(kade, me.user, new).get("user/").status_code == 200
    a = api.anonymous(kade)
    assert a.post("signin", {"username": me.user, "password": old}).status_code == 403
    assert api.logs(kade, "account_change_password")[0] == (me.user, me.user, {})


@pytest.mark.parametrize("bad", ["short", "with blank in it", "tab\tin the middle", ""])
def test_bad_password(kade, me, bad):
    before = kade.sql("SELECT password_hash, uuid FROM account WHERE name = %s", me.user)
    r = me.put("user/", {"password": bad})
    assert r.status_code == 400 and "Invalid password, password must be at least 8 characters and contain no whitespace." in r.text
    assert kade.sql("SELECT password_hash, uuid FROM account WHERE name = %s", me.user) == before


def test_all_or_nothing(kade, me):
    """What precedes a refused member is not changed either."""
    other = api.person(kade)
    r = me.put("user/", {"invoice_email": True, "email": f"{other.user}@example.com"})
    api.error(r, 400, "invalid_request", "E-mail address already used")
    assert me.get("user/").json()["invoice_email"] is False
    assert api.logs(kade, "user_change_invoicing", invoice_email=True) == []


def test_change_members(kade, me):
    r = me.put("user/", {"invoice_email": True, "invoice_email_address": "bills@example.com", "tag_expiration_s": 86400, "given_name": "Ada",
                         "family_name": "Lovelace", "company": "가나다", "location": None, "email": f"new-{me.user}@example.com"})
    u = r.json()
    assert r.status_code == 200
    assert u == me.get("user/").json()
    assert u["invoice_email"] is True and u["invoice_email_address"] == "bills@example.com" and u["tag_expiration_s"] == 86400
    assert (u["given_name"], u["family_name"], u["company"], u["location"]) == ("Ada", "Lovelace", "가나다", None)
    assert u["email"] == f"new-{me.user}@example.com"
    kinds = {k: m for k, m in kade.sql("SELECT k.name, l.metadata FROM audit_log l JOIN audit_kind k ON k.id = l.kind JOIN account a ON a.id = l.namespace_id"
                                       " WHERE a.name = %s AND k.name LIKE 'user_change_%%'", me.user)}
    assert set(kinds) == {"user_change_invoicing", "user_change_tag_expiration", "user_change_email", "user_change_metadata"}
    assert api.logs(kade, "user_change_email", email=f"new-{me.user}@example.com", old_email=f"{me.user}@example.com")
    assert api.logs(kade, "user_change_metadata", given_name="Ada", company="가나다")
    me.put("user/", {"invoice_email_address": None})
    assert me.get("user/").json()["invoice_email_address"] is None


@pytest.mark.parametrize("body,status", [
    ({"tag_expiration_s": 12345}, 400), ({"tag_expiration_s": -1}, 400), ({"tag_expiration_s": "1d"}, 400), ({"invoice_email": "yes"}, 400),
    ({"email": "nonsense"}, 400), ({"email": "a@b"}, 400), ({"email": "a b@c.d"}, 400), ({"username": "No Good"}, 400), ({"username": "x"}, 400),
    ({"password": 12345678}, 400), ([], 400), (None, 400)])
def test_bad_changes(kade, me, body, status):
    before = kade.sql("SELECT a::text FROM account a WHERE name = %s", me.user)
    r = me.call("PUT", "user/", data=__import__("json").dumps(body), headers={"Content-Type": "application/json"})
    assert r.status_code == status, r.text
    assert kade.sql("SELECT a::text FROM account a WHERE name = %s", me.user) == before


def test_members_that_nobody_may_set(kade, me):
    r = me.put("user/", {"is_verified": False, "verified": False, "super_user": True, "uuid": "x", "id": 1, "kind": 2, "is_enabled": False})
    assert r.status_code == 200
    assert me.get("user/").json()["verified"] is True


def test_rename(kade, me):
    taken = api.person(kade)
    robot, token = kade.create_robot(me.user, "bot")
    r = me.put("user/", {"username": taken.user})
    api.error(r, 400, "invalid_request", "Username is already in use")
    new, old = fresh("n"), me.user
    r = me.put("user/", {"username": new})
    assert r.status_code == 200 and r.json()["username"] == new
    assert me.get("user/").json()["username"] == new, "the session goes on"
    assert me.get(f"users/{old}").status_code == 404
    assert kade.client(f"{new}+bot", token).ask_token().status_code == 200
    assert api.logs(kade, "user_change_name", old_username=old)[0][0] == new


def test_csrf_and_fresh_login(kade, me):
    r = me.put("user/", {"invoice_email": True}, headers={"X-CSRF-Token": "wrong"})
    api.message(r, 403, "CSRF token was invalid or missing.", member="error")
    assert api.bearer(kade, me, "user:admin").put("user/", {"invoice_email": True}).status_code == 200, "a token needs neither"
    row = api.logs(kade, "user_change_invoicing", invoice_email=True)[0]
    assert row[0] == row[1] == me.user
    assert row[2]["oauth_token_application"] == "tool" and isinstance(row[2]["oauth_token_id"], int) and len(row[2]["oauth_token_application_id"]) == 20


@pytest.mark.config(FRESH_LOGIN_TIMEOUT="1s")
def test_stale_login(alone):
    me = api.person(alone)
    import time

    end = time.monotonic() + 10
    while me.put("user/", {"invoice_email": True}).status_code == 200:
        assert time.monotonic() < end, "the login never gets old"
        time.sleep(0.1)
    api.error(me.put("user/", {"invoice_email": False}), 401, "fresh_login_required", "Requires fresh login")
    assert me.post("signin/verify", {"password": me.password}).status_code == 200
    assert me.put("user/", {"invoice_email": False}).status_code == 200


# -- sign-up and end


def test_sign_up(kade, nobody):
    name, password = fresh(), secrets.token_urlsafe(12)
    kade.secrets.add(password)
    r = nobody.post("user/", {"username": name, "password": password, "email": f"{name}@example.com"})
    assert r.status_code == 200 and set(r.json()) == OWN and r.json()["username"] == name and "X-Next-CSRF-Token" in r.headers
    assert nobody.get("user/").json()["username"] == name, "signed in"
    assert api.Session(kade, name, password).get("user/").status_code == 200
    assert api.logs(kade, "user_create", username=name)[0] == (name, None, {"username": name, "email": f"{name}@example.com"})


def test_sign_up_without_address(kade, nobody):
    name, password = fresh(), secrets.token_urlsafe(12)
    assert nobody.post("user/", {"username": name, "password": password}).status_code == 200


def test_sign_up_refused(kade, nobody, me):
    good = secrets.token_urlsafe(12)
    api.error(nobody.post("user/", {"username": me.user, "password": good}), 400, "invalid_request", "The username already exists")
    r = nobody.post("user/", {"username": fresh(), "password": good, "email": f"{me.user}@example.com"})
    assert r.status_code == 400
    for body in ({"username": "ÄÖ", "password": good}, {"username": fresh(), "password": "short"}, {"username": fresh()}, {"password": good},
                 {"username": fresh(), "password": good, "email": "nonsense"}, {"username": "a" * 256, "password": good}):
        assert nobody.post("user/", body).status_code == 400, body
    assert nobody.post("user/", {"username": fresh(), "password": good}, headers={"X-CSRF-Token": None}).status_code == 403


@pytest.mark.config(FEATURE_USER_CREATION=False)
def test_sign_up_off(alone):
    a = api.anonymous(alone)
    assert a.post("user/", {"username": "somebody", "password": "12345678"}).status_code == 405
    assert a.get("user/").status_code == 401


@pytest.mark.config(FEATURE_INVITE_ONLY_USER_CREATION=True)
def test_sign_up_by_invitation(alone):
    a = api.anonymous(alone)
    body = {"username": "somebody", "password": secrets.token_urlsafe(12)}
    api.error(a.post("user/", body), 400, "invalid_request", "Cannot create non-invited user")
    api.error(a.post("user/", {**body, "invite_code": "urn:teaminvite:none"}), 400, "invalid_request", "Cannot create non-invited user")
    assert alone.sql("SELECT count(*) FROM account WHERE name = 'somebody'") == [(0,)]    # with one: test_mail.py


def test_delete(kade):
    me = api.person(kade)
    api.repository(kade, f"{me.user}/kept")
    robot, token = kade.create_robot(me.user, "bot")
    bearer = api.bearer(kade, me, "user:read")
    assert me.delete("user/").status_code == 204
    assert me.get("user/").status_code == 401 and bearer.get("user/").status_code == 401
    assert api.anonymous(kade).get(f"users/{me.user}").status_code == 404
    assert kade.client(me.user, me.password).ask_token().status_code == 401
    assert kade.client(robot, token).ask_token().status_code == 401
    assert api.logs(kade, "user_delete", username=me.user)
    a = api.anonymous(kade)
    r = a.post("user/", {"username": me.user, "password": secrets.token_urlsafe(12)})
    api.error(r, 400, "invalid_request", "Username is not available")
    assert a.post("user/", {"username": fresh(), "password": secrets.token_urlsafe(12), "email": f"{me.user}@example.com"}).status_code == 200, "the address is free"
    with pytest.raises(AssertionError, match="not available"):
        kade.create_org(me.user)


def test_delete_sole_admin(kade, me):
    other = api.person(kade)
    orgs = sorted([api.organization(kade, me), api.organization(kade, me)])
    shared = api.organization(kade, me)
    kade.admin("team", "add", shared, "owners", other.user)
    r = me.delete("user/")
    api.error(r, 400, "invalid_request", f"Cannot delete {me.user} as you are the only admin for organizations: {', '.join(orgs)}")
    assert me.get("user/").status_code == 200


def test_convert(kade, me):
    owner = api.person(kade)
    team_of_others, repo = api.organization(kade, owner), f"{me.user}/kept"
    api.team(kade, team_of_others, "people", "member", me)
    api.repository(kade, repo)
    robot, token = kade.create_robot(me.user, "bot")
    bearer = api.bearer(kade, me, "user:read")
    other_session = api.Session(kade, me.user)
    for name, password, text in ((owner.user, "wrong-password", "The admin user credentials are not valid"), (me.user, me.password, "The admin user is not valid")):
        body = api.error(me.post("user/convert", {"adminUser": name, "adminPassword": password}), 400, "invalid_request", text)
        assert body["reason"] == "invaliduser"
    r = me.post("user/convert", {"adminUser": owner.user, "adminPassword": owner.password})
    if r.status_code == 429:                                    # the wrong password just now
        owner = api.person(kade)
        r = me.post("user/convert", {"adminUser": owner.user, "adminPassword": owner.password})
    assert r.status_code == 200 and r.json() == {"success": True}
    u = me.get("user/").json()
    assert u["username"] == owner.user and me.user in [o["name"] for o in u["organizations"] if o["is_org_admin"]]
    assert other_session.get("user/").status_code == 401 and bearer.get("user/").status_code == 401
    assert kade.client(me.user, me.password).ask_token().status_code == 401
    assert kade.client(robot, token).ask_token().status_code == 200, "robots stay"
    assert kade.client(owner.user, owner.password).granted(f"repository:{repo}:pull") == {repo: ["pull"]}
    assert kade.sql("SELECT count(*) FROM team_member m JOIN account a ON a.id = m.account_id WHERE a.name = %s", me.user) == [(0,)]
    assert kade.sql("SELECT kind, password_hash FROM account WHERE name = %s", me.user) == [(2, None)]
    assert api.logs(kade, "account_convert")[0][0] == me.user


def test_convert_sole_admin(kade, me):
    owner, org = api.person(kade), api.organization(kade, me)
    r = me.post("user/convert", {"adminUser": owner.user, "adminPassword": owner.password})
    api.error(r, 400, "invalid_request", f"Cannot convert {me.user} as you are the only admin for organizations: {org}")


# -- the rest


def test_client_key(kade, me):
    r = me.post("user/clientkey", {"password": me.password})
    assert r.status_code == 200 and "no-store" in r.headers["Cache-Control"]
    key = r.json()["key"]
    assert kade.client(me.user, key).ask_token().status_code == 200
    api.error(me.post("user/clientkey", {"password": "wrong-password"}), 400, "invalid_request")
    assert api.logs(kade, "user_generate_client_key")[0] == (me.user, me.user, {})


def test_detach(kade, me):
    kade.sql("INSERT INTO external_login (account_id, service, ident) SELECT id, 'github', name FROM account WHERE name = %s", me.user)
    assert me.get("user/").json()["logins"] == [{"service": "github", "service_identifier": me.user, "metadata": {}}]
    for _ in range(2):
        r = me.post("detachexternal/github")
        assert r.status_code == 200 and r.json() == {"success": True}
    assert me.get("user/").json()["logins"] == []


def test_stars(kade, me):
    mine, open_one = f"{me.user}/{fresh('r')}", api.repository(kade, f"admin/{fresh('r')}", public=True)
    api.repository(kade, mine)
    closed = api.repository(kade, f"admin/{fresh('r')}")
    for path in (mine, open_one, open_one, closed, f"{me.user}/none", "none/none"):
        ns, repo = path.split("/")
        r = me.post("user/starred", {"namespace": ns, "repository": repo})
        assert r.status_code == 201 and r.json() == {"namespace": ns, "repository": repo}
    listed = me.get("user/starred").json()
    assert sorted(f"{x['namespace']}/{x['name']}" for x in listed["repositories"]) == sorted([mine, open_one]), "not what cannot be seen"
    assert "next_page" not in listed and set(listed["repositories"][0]) == {"namespace", "name", "description", "is_public"}
    assert kade.sql("SELECT count(*) FROM star s JOIN account a ON a.id = s.account_id WHERE a.name = %s", me.user) == [(2,)]
    for path in (mine, mine, "none/none"):
        assert me.delete(f"user/starred/{path}").status_code == 204
    assert [x["name"] for x in me.get("user/starred").json()["repositories"]] == [open_one.split("/")[1]]
    # A repository that becomes private is no longer shown.
    kade.sql("UPDATE repository SET is_public = false WHERE name = %s", open_one.split("/")[1])
    assert me.get("user/starred").json() == {"repositories": []}


def test_star_pages(kade, me):
    kade.sql("INSERT INTO repository (namespace_id, name) SELECT a.id, 'p' || n FROM account a, generate_series(1, 230) n WHERE a.name = %s", me.user)
    kade.sql("INSERT INTO star (account_id, repository_id) SELECT a.id, r.id FROM account a JOIN repository r ON r.namespace_id = a.id WHERE a.name = %s", me.user)
    found, page = [], None
    for _ in range(3):
        r = me.get("user/starred", params={"next_page": page} if page else {}).json()
        found += [x["name"] for x in r["repositories"]]
        page = r.get("next_page")
    assert page is None and sorted(found) == sorted(f"p{n}" for n in range(1, 231))
    assert len(me.get("user/starred?next_page=nonsense").json()["repositories"]) == 100


def test_notes(kade, me):
    org, plain = api.organization(kade, me), api.organization(kade, "admin")
    api.team(kade, plain, "people", "member", me)
    for i in range(7):
        kade.sql("INSERT INTO account_notification (account_id, kind, metadata, created_ms) SELECT id, 'maintenance', %s, %s FROM account WHERE name = %s",
                 f'{{"n": {i}}}', 1700000000000 + i, me.user)
    for name in (org, plain):
        kade.sql("INSERT INTO account_notification (account_id, kind, metadata, created_ms) SELECT id, 'quota_warning', '{}', 1800000000000 FROM account WHERE name = %s", name)
    first = me.get("user/notifications").json()
    assert first["additional"] is True and len(first["notifications"]) == 5
    assert first["notifications"][0]["organization"] == org and first["notifications"][0]["kind"] == "quota_warning"
    assert [n["metadata"].get("n") for n in first["notifications"]] == [None, 6, 5, 4, 3]
    assert all(api.RFC2822.fullmatch(n["created"]) and n["dismissed"] is False for n in first["notifications"])
    assert me.get("user/notifications?page=1").json() == first
    second = me.get("user/notifications?page=2").json()
    assert [n["metadata"].get("n") for n in second["notifications"]] == [2, 1, 0] and second["additional"] is False
    assert me.get("user/notifications?limit=x").status_code == 400
    one = first["notifications"][1]
    assert me.get(f"user/notifications/{one['id']}").json() == one
    r = me.put(f"user/notifications/{one['id']}", {"dismissed": True})
    assert r.status_code == 200 and r.json() == {**one, "dismissed": True}
    assert one["id"] not in [n["id"] for n in me.get("user/notifications?limit=100").json()["notifications"]]
    assert me.put(f"user/notifications/{one['id']}", {}).json()["dismissed"] is False
    stranger = api.person(kade)
    for method, body in (("GET", None), ("PUT", {"dismissed": True})):
        assert stranger.call(method, f"user/notifications/{one['id']}", json=body).status_code == 404
        assert me.call(method, "user/notifications/nonsense", json=body).status_code == 404


@pytest.mark.config(FEATURE_ANONYMOUS_ACCESS=False)
def test_no_anonymous_access(alone):
    a = api.anonymous(alone)
    api.message(a.get("users/admin"), 401, "Anonymous access is not allowed", member="error")
    assert a.get("user/").status_code == 401 and "session_required" in a.get("user/").json()


def test_features_that_are_off(nobody, me):
    for client in (nobody, me):
        assert client.get("user/private").status_code == 404
        assert client.post("recovery", {"email": "x@example.com"}).status_code == 405


def test_registry_is_not_confused(kade, me):
    """A cookie is no credential of the registry."""
    assert kade.sql("SELECT 1 FROM account WHERE name = %s", me.user)
    m = oci.image()
    c = kade.client(me.user)
    c.push(f"{me.user}/private", "latest", m)
    assert me.get(f"/v2/{me.user}/private/manifests/latest").status_code == 401
