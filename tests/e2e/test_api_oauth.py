"""OAuth: applications of organizations, their tokens, what users grant, and the flow of a browser."""

import base64
import hashlib
import re
import secrets
import urllib.parse

import pytest

import api


@pytest.fixture(scope="module")
def kade(make_stack):
    return make_stack("lighttpd", name="api-oauth", FEATURE_RATE_LIMITS=False, OAUTH_APPLICATION_MAXIMUM_TOKEN_COUNT=4,
                      GLOBAL_READONLY_SUPER_USERS=["o-auditor"], DIRECT_OAUTH_CLIENTID_WHITELIST=["DIRECTCLIENT00000000"])


@pytest.fixture(scope="module")
def boss(kade):
    return api.person(kade)


@pytest.fixture(scope="module")
def org(kade, boss):
    return api.organization(kade, boss)


@pytest.fixture(scope="module")
def stranger(kade):
    return api.person(kade)


CALLBACK = "https://client.example/cb"


@pytest.fixture
def app(kade, boss, org):
    r = boss.post(f"organization/{org}/applications", {"name": f"app-{secrets.token_hex(4)}", "redirect_uri": CALLBACK, "description": "<b>does</b> things",
                                                       "application_uri": "https://client.example"})
    assert r.status_code == 200, r.text
    kade.secrets.add(r.json()["client_secret"])
    return r.json()


APP = {"name", "description", "application_uri", "client_id", "client_secret", "redirect_uri", "avatar_email"}


# -- applications


def test_application_life(kade, boss, org):
    url = f"organization/{org}/applications"
    a = boss.post(url, {"name": "first"}).json()
    assert set(a) == APP and re.fullmatch("[A-Z0-9]{20}", a["client_id"]) and re.fullmatch("[A-Z0-9]{40}", a["client_secret"])
    assert (a["description"], a["redirect_uri"], a["application_uri"], a["avatar_email"]) == ("", "", "", None)
    assert boss.get(f"{url}/{a['client_id']}").json() == a
    assert a in boss.get(url).json()["applications"]
    new = {"name": "second", "redirect_uri": "https://x.example/", "application_uri": "https://x.example", "description": "한글", "avatar_email": "a@example.com"}
    b = boss.put(f"{url}/{a['client_id']}", new).json()
    assert {k: b[k] for k in new} == new and b["client_secret"] == a["client_secret"] and b["client_id"] == a["client_id"]
    c = boss.post(f"{url}/{a['client_id']}/resetclientsecret").json()
    assert c["client_secret"] != a["client_secret"] and boss.get(f"{url}/{a['client_id']}").json() == c
    assert boss.delete(f"{url}/{a['client_id']}").status_code == 204
    api.error(boss.get(f"{url}/{a['client_id']}"), 404, "not_found")
    assert boss.delete(f"{url}/{a['client_id']}").status_code == 404
    ids = {"client_id": a["client_id"]}
    assert api.logs(kade, "create_application", **ids)[0] == (org, boss.user, {"name": "first", "application_name": "first", **ids})
    assert api.logs(kade, "update_application", **ids)[0][2] == {**new, "application_name": "second", **ids}
    for kind in ("reset_application_client_secret", "delete_application"):
        assert api.logs(kade, kind, **ids)[0][2] == {"application_name": "second", **ids}


@pytest.mark.parametrize("body", [{}, {"name": 1}, {"name": "x", "redirect_uri": None}, {"name": "x" * 300}, {"name": "x", "redirect_uri": "y" * 3000},
                                  {"name": ""}, {"name": "\u202e"}])         # of the last nothing is left
def test_bad_application(kade, boss, org, body):
    api.error(boss.post(f"organization/{org}/applications", body), 400, "invalid_request")


def test_reserved_name(boss, org, app):
    text = "Application name is reserved for bootstrap token provisioning"
    api.error(boss.post(f"organization/{org}/applications", {"name": "__quay_bootstrap_app"}), 400, "invalid_request", text)
    r = boss.put(f"organization/{org}/applications/{app['client_id']}", {"name": "__quay_bootstrap_app", "redirect_uri": "", "application_uri": ""})
    api.error(r, 400, "invalid_request", text)


def test_application_of_another_organization(kade, stranger, app):
    """An administrator of one organization reaches nothing of another by its client id."""
    mine = api.organization(kade, stranger)
    url = f"organization/{mine}/applications/{app['client_id']}"
    assert [stranger.get(url).status_code, stranger.delete(url).status_code, stranger.post(f"{url}/resetclientsecret").status_code,
            stranger.get(f"{url}/tokens").status_code, stranger.post(f"{url}/tokens", {"name": "t", "scope": "repo:read"}).status_code] == [404] * 5


def test_user_namespace_is_no_organization(boss):
    assert boss.get(f"organization/{boss.user}/applications").status_code == 404


def test_secrets_are_hidden_from_readers(kade, org, app):
    auditor = api.person(kade, "o-auditor")
    seen = auditor.get(f"organization/{org}/applications/{app['client_id']}").json()
    assert seen["name"] == app["name"] and (seen["client_secret"], seen["redirect_uri"], seen["avatar_email"]) == (None, None, None)
    assert auditor.delete(f"organization/{org}/applications/{app['client_id']}").status_code == 403


def test_public_information(kade, org, app, stranger):
    for client in (api.Api(kade), stranger):
        a = client.get(f"app/{app['client_id']}").json()
        assert set(a) == {"name", "description", "uri", "avatar", "organization"} and a["avatar"]["kind"] == "app"
        assert a["organization"]["name"] == org and a["organization"]["email"] == "" and a["organization"]["is_admin"] is False
    assert api.Api(kade).get("app/NOSUCHAPPLICATION000").status_code == 404


# -- tokens of applications


def make(boss, org, app, **body):
    return boss.post(f"organization/{org}/applications/{app['client_id']}/tokens", {"name": "t", "scope": "repo:read", **body})


def test_token_life(kade, boss, org, app):
    r = make(boss, org, app, name="  ci  ", scope="repo:read,user:read", expiration=3600)
    t = r.json()
    assert r.status_code == 200 and set(t) == {"uuid", "name", "scope", "expires_at", "created", "created_by", "last_accessed", "token"}
    assert t["name"] == "ci" and t["scope"] == "repo:read user:read" and t["created_by"] == boss.user and t["last_accessed"] is None
    assert api.ISO.fullmatch(t["created"]) and api.ISO.fullmatch(t["expires_at"]) and re.fullmatch("[A-Z0-9]{40}", t["token"])
    token = api.Bearer(kade, t["token"])
    assert token.get("user/").json()["username"] == boss.user
    listed = boss.get(f"organization/{org}/applications/{app['client_id']}/tokens").json()
    assert [x["uuid"] for x in listed["tokens"]] == [t["uuid"]] and "token" not in listed["tokens"][0] and "next_page" not in listed
    url = f"organization/{org}/applications/{app['client_id']}/tokens/{t['uuid']}"
    assert boss.delete(url).status_code == 204 and boss.delete(url).status_code == 404
    assert token.get("user/").status_code == 401
    meta = {"oauth_token_uuid": t["uuid"], "application_name": app["name"], "client_id": app["client_id"]}
    assert api.logs(kade, "create_oauth_api_token", oauth_token_uuid=t["uuid"])[0] == (
        org, boss.user, {**meta, "scope": "repo:read user:read", "token_display_name": "ci", "auth_method": "OAuth"})
    assert api.logs(kade, "revoke_oauth_api_token", oauth_token_uuid=t["uuid"])[0][2] == meta


def test_expiration(kade, boss, org, app):
    long = make(boss, org, app, expiration=10**12).json()
    assert kade.sql("SELECT expires_ms - created_ms FROM token WHERE uuid = %s", long["uuid"])[0][0] == 315576000000
    assert make(boss, org, app, expiration=1.5).status_code == 200
    short = make(boss, org, app, expiration=1).json()
    kade.sql("UPDATE token SET expires_ms = kade_now_ms() - 1 WHERE uuid = %s", short["uuid"])
    assert api.Bearer(kade, short["token"]).get("user/").status_code == 401
    assert short["uuid"] not in [t["uuid"] for t in boss.get(f"organization/{org}/applications/{app['client_id']}/tokens").json()["tokens"]]


@pytest.mark.parametrize("body", [{"name": ""}, {"name": "   "}, {"name": "x" * 256}, {"name": None}, {"scope": 1}, {"expiration": 0}, {"expiration": -5}, {"expiration": "1d"}])
def test_bad_token(boss, org, app, body):
    api.error(make(boss, org, app, **body), 400, "invalid_request")


@pytest.mark.parametrize("scope", ["", "nonsense", "repo:read nonsense", "repo:read,,user:read", "direct_user_login"])
def test_bad_scope(boss, org, app, scope):
    api.message(make(boss, org, app, scope=scope), 400, f"Invalid scope: {scope}")


def test_scopes_that_the_maker_lacks(kade, boss, org, app):
    assert make(boss, org, app, scope="super:user").status_code == 403
    assert make(boss, org, app, scope="org:admin user:admin repo:admin repo:create").status_code == 200
    weak = api.bearer(kade, boss, "org:admin")
    assert make(weak, org, app, scope="repo:admin").status_code == 403
    assert make(weak, org, app, scope="org:admin").status_code == 200
    wide = api.bearer(kade, boss, "org:admin repo:write")
    assert make(wide, org, app, scope="repo:read").status_code == 200, "write implies read"


def test_limit(kade, boss, org, app):
    assert [make(boss, org, app).status_code for _ in range(4)] == [200] * 4
    api.message(make(boss, org, app), 400, "Token limit reached: maximum 4 non-expired tokens per application")
    kade.sql("UPDATE token SET expires_ms = kade_now_ms() - 1 WHERE id = (SELECT max(t.id) FROM token t JOIN oauth_application a ON a.id = t.application_id WHERE a.client_id = %s)",
             app["client_id"])
    assert make(boss, org, app).status_code == 200


def test_limit_in_parallel(kade, boss, org, app):
    import concurrent.futures

    sessions = [api.Session(kade, boss.user) for _ in range(6)]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        codes = sorted(f.result().status_code for f in [pool.submit(make, s, org, app) for s in sessions])
    assert codes == [200] * 4 + [400] * 2


def test_token_pages(kade, boss, org, app):
    kade.sql("INSERT INTO token (kind, account_id, application_id, title, scopes) SELECT 2, u.id, a.id, 'n' || n, 'repo:read' FROM generate_series(1, 120) n,"
             " account u, oauth_application a WHERE u.name = %s AND a.client_id = %s", boss.user, app["client_id"])
    url, names, page = f"organization/{org}/applications/{app['client_id']}/tokens", [], None
    while True:
        r = boss.get(url, params={"next_page": page} if page else {}).json()
        names += [t["name"] for t in r["tokens"]]
        page = r.get("next_page")
        if page is None:
            break
        assert len(r["tokens"]) == 50
    assert names == [f"n{i}" for i in range(120, 0, -1)]


def test_deleted_application_takes_its_tokens_along(kade, boss, org, app):
    t = make(boss, org, app, scope="user:read").json()
    assert boss.delete(f"organization/{org}/applications/{app['client_id']}").status_code == 204
    assert api.Bearer(kade, t["token"]).get("user/").status_code == 401


# -- the flow of a browser


def ask(app, **more):
    q = {"client_id": app["client_id"], "redirect_uri": CALLBACK, "scope": "repo:read", "response_type": "code", "state": "s&t=1", **more}
    return {k: v for k, v in q.items() if v is not None}


def parts(response):
    """Location without query and fragment, both as dicts."""
    assert response.status_code == 302, f"{response.status_code} {response.text[:200]}"
    u = urllib.parse.urlsplit(response.headers["Location"])
    return u._replace(query="", fragment="").geturl(), dict(urllib.parse.parse_qsl(u.query)), dict(urllib.parse.parse_qsl(u.fragment))


def agree(session, app, **more):
    return session.call("POST", "/oauth/authorizeapp", data={**ask(app, **more), "_csrf_token": session.csrf}, headers={"X-CSRF-Token": None})


def exchange(kade, app, code, **more):
    data = {"grant_type": "authorization_code", "client_id": app["client_id"], "client_secret": app["client_secret"], "redirect_uri": CALLBACK, "code": code,
            "scope": "repo:read", **more}
    return api.Api(kade).post("/oauth/access_token", data={k: v for k, v in data.items() if v is not None})


def test_code_flow(kade, boss, org, app):
    page = boss.get("/oauth/authorize", params=ask(app))
    assert page.status_code == 200 and page.headers["Content-Type"] == "text/html; charset=utf-8"
    fields = dict(re.findall(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)">', page.text))
    assert fields["client_id"] == app["client_id"] and fields["redirect_uri"] == CALLBACK and fields["state"] == "s&amp;t=1"
    form = {**ask(app), "_csrf_token": fields["_csrf_token"]}
    where, query, fragment = parts(boss.call("POST", "/oauth/authorizeapp", data=form, headers={"X-CSRF-Token": None}))
    assert where == CALLBACK and query["state"] == "s&t=1" and query["scope"] == "repo:read" and fragment == {}
    assert re.fullmatch("[A-Za-z0-9]{40}", query["code"])
    kade.secrets.add(query["code"])
    r = exchange(kade, app, query["code"])
    t = r.json()
    assert r.status_code == 200 and set(t) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert t["token_type"] == "Bearer" and t["expires_in"] == 315576000 and t["refresh_token"] is None
    assert r.headers["Cache-Control"] == "no-store" and r.headers["Pragma"] == "no-cache" and r.headers["Content-Type"] == "application/json;charset=UTF-8"
    kade.secrets.add(t["access_token"])
    granted = boss.get("user/authorizations").json()["authorizations"]
    mine = [g for g in granted if g["application"]["name"] == app["name"]]
    assert len(mine) == 1 and set(mine[0]) == {"application", "scopes", "uuid"} and [s["scope"] for s in mine[0]["scopes"]] == ["repo:read"]
    assert set(mine[0]["application"]) == {"name", "description", "url", "avatar", "organization"}
    assert kade.client("$oauthtoken", t["access_token"]).ask_token().status_code == 200
    # The code works once.
    assert exchange(kade, app, query["code"]).json() == {"error": "invalid_grant"}
    # What was granted is not asked again.
    assert parts(boss.get("/oauth/authorize", params=ask(app)))[1].keys() == {"code", "scope", "state"}
    assert boss.get("/oauth/authorize", params=ask(app, scope="repo:write")).status_code == 200
    # Until it is taken back.
    uuid = mine[0]["uuid"]
    assert boss.get(f"user/authorizations/{uuid}").json() == mine[0]
    assert boss.delete(f"user/authorizations/{uuid}").status_code == 204
    assert kade.client("$oauthtoken", t["access_token"]).ask_token().status_code == 401
    assert boss.get("/oauth/authorize", params=ask(app)).status_code == 200
    assert boss.get(f"user/authorizations/{uuid}").status_code == 404


def test_page_holds_nothing_active(kade, boss, org):
    evil = boss.post(f"organization/{org}/applications", {"name": "<script>alert(1)</script>", "redirect_uri": CALLBACK,
                                                         "description": "\"><img src=x onerror=alert(1)>"}).json()
    kade.secrets.add(evil["client_secret"])
    page = boss.get("/oauth/authorize", params=ask(evil, state='"><script>x</script>'))
    assert "<script" not in page.text and "<img" not in page.text and "onerror=alert(1)&gt;" in page.text
    csp = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in csp and "frame-ancestors 'none'" in csp and "unsafe" not in csp
    assert f"form-action 'self' https://client.example" in csp
    style = re.search("<style>(.*)</style>", page.text, re.S)[1]
    assert f"style-src 'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" in csp
    assert page.headers["X-Frame-Options"] == "DENY" and page.headers["Cache-Control"] == "no-store"


def test_languages(boss, app):
    ko = boss.get("/oauth/authorize", params=ask(app), headers={"Accept-Language": "ko-KR,ko;q=0.9,en;q=0.8"}).text
    en = boss.get("/oauth/authorize", params=ask(app), headers={"Accept-Language": "de, en"}).text
    assert '<html lang="ko">' in ko and "권한을 주시겠습니까" in ko and '<html lang="en">' in en and "Authorize" in en


def test_json_form(boss, org, app):
    o = boss.get("/oauth/authorize", params=ask(app, format="json", scope="repo:read org:admin")).json()
    assert o["has_dangerous_scopes"] is True and [s["scope"] for s in o["scopes"]] == ["repo:read", "org:admin"]
    assert o["csrf_token_val"] == boss.csrf and o["client_id"] == app["client_id"] and o["state"] == "s&t=1" and o["assignment_uuid"] is None
    import json

    assert json.loads(o["application"]["avatar"])["kind"] == "app" and json.loads(o["application"]["organization"]["avatar"])["kind"] == "org"


def test_implicit(kade, boss, app):
    where, query, fragment = parts(agree(boss, app, response_type="token", scope="user:read"))
    assert where == CALLBACK and query == {"scope": "user:read", "state": "s&t=1"}
    assert fragment["token_type"] == "Bearer" and fragment["expires_in"] == "315576000"
    assert api.Bearer(kade, fragment["access_token"]).get("user/").json()["username"] == boss.user


def test_local_app(kade, boss, app):
    where, query, fragment = parts(agree(boss, app, response_type="token", redirect_uri=f"{kade.base}/oauth/localapp"))
    assert where == f"{kade.base}/oauth/localapp"
    kade.secrets.add(fragment["access_token"])
    page = boss.get("/oauth/localapp?scope=repo:read")
    assert page.status_code == 200 and '<script src="/oauth/localapp.js"></script>' in page.text and "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert "<script" not in boss.get("/oauth/localapp").text, "declined"
    assert boss.get("/oauth/localapp.js").headers["Content-Type"].startswith("text/javascript")
    assert boss.get("/oauth/localapp?format=json&access_token=abc").json() == {"access_token": "abc"}
    api.message(api.Api(kade).get("/oauth/localapp"), 401, member="error")


def test_deny(boss, app):
    r = boss.call("POST", "/oauth/denyapp", data={**ask(app), "_csrf_token": boss.csrf}, headers={"X-CSRF-Token": None})
    assert parts(r)[:2] == (CALLBACK, {"error": "authorization_denied", "state": "s&t=1"})


def test_pkce(kade, boss, app):
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    more = {"code_challenge": challenge, "code_challenge_method": "S256", "scope": "user:read"}

    def code():
        return parts(agree(boss, app, **more))[1]["code"]

    assert exchange(kade, app, code(), scope="user:read").json() == {"error": "invalid_grant"}
    assert exchange(kade, app, code(), scope="user:read", code_verifier=secrets.token_urlsafe(48)).json() == {"error": "invalid_grant"}
    burnt = code()
    assert exchange(kade, app, burnt, scope="user:read", code_verifier="x" * 43).json() == {"error": "invalid_grant"}
    assert exchange(kade, app, burnt, scope="user:read", code_verifier=verifier).json() == {"error": "invalid_grant"}, "a wrong try burns it"
    assert exchange(kade, app, code(), scope="user:read", code_verifier=verifier).status_code == 200
    for bad in ({"code_challenge_method": "plain"}, {"code_challenge_method": None}, {"code_challenge": "short"}, {"code_challenge": "é" * 43}):
        assert parts(agree(boss, app, **{**more, **bad}))[1]["error"] == "invalid_request"


def test_exchange_refused(kade, boss, org, app):
    other = boss.post(f"organization/{org}/applications", {"name": "other", "redirect_uri": CALLBACK}).json()
    kade.secrets.add(other["client_secret"])

    def code():
        return parts(agree(boss, app))[1]["code"]

    def error(**more):
        r = exchange(kade, app, **{"code": code(), **more})
        assert r.status_code == 400 and set(r.json()) == {"error"}, r.text
        return r.json()["error"]

    assert error(grant_type="password") == "unsupported_grant_type"
    assert error(client_secret="wrong") == "invalid_client"
    assert error(client_secret=None) == "invalid_client"
    assert error(client_id="NOSUCHCLIENT00000000") == "invalid_client"
    assert error(client_id=other["client_id"], client_secret=other["client_secret"]) == "invalid_grant"
    assert error(redirect_uri=CALLBACK + "/x") == "invalid_grant"
    assert error(scope="repo:write") == "invalid_scope"
    assert error(code="A" * 40) == "invalid_grant"
    for name in ("grant_type", "client_id", "redirect_uri", "code", "scope"):
        assert error(**{name: None}) == f"Required param: {name}"
    old = code()
    kade.sql("UPDATE oauth_code SET expires_ms = kade_now_ms() - 1")
    assert error(code=old) == "invalid_grant"
    # By Basic, which goes before the form; parameters in the query.
    r = api.Api(kade).post("/oauth/access_token", params={"grant_type": "authorization_code", "redirect_uri": CALLBACK, "code": code(), "scope": "repo:read",
                                                          "client_id": "WRONG"}, auth=(app["client_id"], app["client_secret"]))
    assert r.status_code == 200


def test_code_of_somebody_who_left(kade, app, org):
    leaver = api.person(kade)
    kade.admin("team", "add", org, "owners", leaver.user)
    code = parts(agree(leaver, app))[1]["code"]
    kade.admin("user", "disable", leaver.user)
    assert exchange(kade, app, code).json() == {"error": "invalid_grant"}


def test_one_code_in_parallel(kade, boss, app):
    import concurrent.futures

    code = parts(agree(boss, app))[1]["code"]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        codes = sorted(f.result().status_code for f in [pool.submit(exchange, kade, app, code) for _ in range(8)])
    assert codes == [200] + [400] * 7


@pytest.mark.parametrize("missing", ["client_id", "redirect_uri", "scope"])
def test_required(boss, app, missing):
    api.message(boss.get("/oauth/authorize", params=ask(app, **{missing: None})), 400, f"Required param: {missing}", member="error")
    api.message(agree(boss, app, **{missing: None}), 400, f"Required param: {missing}", member="error")


def test_who_may_authorize(kade, app, stranger, org):
    assert api.Api(kade).get("/oauth/authorize", params=ask(app)).status_code == 401
    assert api.anonymous(kade).call("POST", "/oauth/authorizeapp", data=ask(app)).status_code == 401
    assert stranger.get("/oauth/authorize", params=ask(app)).status_code == 403
    assert agree(stranger, app).status_code == 403, "not by a direct POST either"
    member = api.person(kade)
    api.team(kade, org, "makers", "creator", member)
    assert member.get("/oauth/authorize", params=ask(app)).status_code == 403


def test_unknown(boss, app):
    assert boss.get("/oauth/authorize", params=ask(app, client_id="NOSUCHCLIENT00000000")).status_code == 404
    assert boss.get("/oauth/authorize", params=ask(app, scope="nonsense")).status_code == 404
    assert parts(agree(boss, app, scope="nonsense"))[1]["error"] == "invalid_scope"
    assert parts(agree(boss, app, response_type="magic"))[1]["error"] == "unsupported_response_type"


def test_csrf(kade, boss, app):
    for path in ("/oauth/authorizeapp", "/oauth/denyapp", "/oauth/authorize/assignuser"):
        for token in (None, "wrong", "null"):
            form = {**ask(app, username="admin"), **({"_csrf_token": token} if token else {})}
            r = boss.call("POST", path, data=form, headers={"X-CSRF-Token": None})
            api.message(r, 403, "CSRF token was invalid or missing.", member="error")


def test_direct_client(kade, boss, org):
    """A client in the whitelist may ask with a password and without a session."""
    a = boss.post(f"organization/{org}/applications", {"name": "direct", "redirect_uri": CALLBACK}).json()
    kade.secrets.add(a["client_secret"])
    basic = {"auth": (boss.user, boss.password)}
    assert api.Api(kade).call("POST", "/oauth/authorizeapp", data=ask(a), **basic).status_code == 403
    kade.sql("UPDATE oauth_application SET client_id = 'DIRECTCLIENT00000000' WHERE client_id = %s", a["client_id"])
    a["client_id"] = "DIRECTCLIENT00000000"
    assert "code" in parts(api.Api(kade).call("POST", "/oauth/authorizeapp", data=ask(a), **basic))[1]
    assert api.Api(kade).call("POST", "/oauth/authorizeapp", data=ask(a), auth=(boss.user, "wrong-password")).status_code == 401
    assert boss.call("POST", "/oauth/authorizeapp", data=ask(a), headers={"X-CSRF-Token": None}).status_code == 403, "a cookie still needs the token"


EVIL = ["https://evil.example/cb", "http://client.example/cb", "https://client.example:444/cb", "https://client.example.evil.example/cb",
        "https://client.example@evil.example/cb", "https://user@client.example/cb", "https://client.example/other", "https://client.example/cb/../x",
        "https://client.example/cb/%2e%2e/x", "https://client.example/cb%2f..%2fx", "https://client.example/cb/@evil", "//client.example/cb", "/cb", "cb",
        "javascript:alert(1)", "javascript://client.example/cb%0aalert(1)", "data:text/html,x", "https://client.example\\@evil.example/cb",
        "https://client.example/cb\r\nSet-Cookie: a=b", "https://client.example/cb x", "https://client.example/cb#frag", "https:client.example/cb", "https:///cb",
        "https://client.example/cb%00", " https://client.example/cb"]


@pytest.mark.parametrize("uri", EVIL)
def test_redirect_refused(boss, app, uri):
    if "\r" not in uri:                                         # the web server takes no such address
        where, query, _ = parts(boss.get("/oauth/authorize", params=ask(app, redirect_uri=uri)))
        assert where == CALLBACK and query == {"error": "redirect_uri_mismatch"}
    for path in ("/oauth/authorizeapp", "/oauth/denyapp"):
        r = boss.call("POST", path, data={**ask(app, redirect_uri=uri), "_csrf_token": boss.csrf})
        api.message(r, 400, "invalid_request", member="error")
        assert "Set-Cookie" not in r.headers or "a=b" not in r.headers["Set-Cookie"]


@pytest.mark.parametrize("uri", [CALLBACK, CALLBACK + "/deeper", CALLBACK + "?x=1", "HTTPS://Client.Example/cb"])
def test_redirect_allowed(boss, app, uri):
    where, query, _ = parts(agree(boss, app, redirect_uri=uri))
    assert "code" in query and query.get("x", "1") == "1"


def test_application_without_a_redirect(kade, boss, org):
    a = boss.post(f"organization/{org}/applications", {"name": "none"}).json()
    kade.secrets.add(a["client_secret"])
    assert boss.get("/oauth/authorize", params=ask(a)).status_code == 400
    assert agree(boss, a).status_code == 400
    assert "code" in parts(agree(boss, a, redirect_uri=f"{kade.base}/oauth/localapp"))[1]


# -- assignments


def assign(boss, app, user, **more):
    return boss.call("POST", "/oauth/authorize/assignuser", params={**ask(app, response_type="token", format="json"), "username": user, **more})


def test_assignment(kade, boss, org, app):
    who = api.person(kade)
    r = assign(boss, app, who.user)
    assert r.status_code == 200 and r.json() == {"message": "Token assigned successfully"}
    assert api.logs(kade, "oauth_token_assigned", assigned_user=who.user)[0] == (
        org, boss.user, {"assigning_user": boss.user, "assigned_user": who.user, "application": app["name"], "client_id": app["client_id"]})
    assert [n["kind"] for n in who.get("user/notifications").json()["notifications"]] == ["assigned_authorization"]
    offered = who.get("user/assignedauthorization").json()["authorizations"]
    assert len(offered) == 1 and set(offered[0]) == {"application", "uuid", "redirectUri", "scopes", "responseType"}
    assert offered[0]["application"]["clientId"] == app["client_id"] and [s["scope"] for s in offered[0]["scopes"]] == ["repo:read"] and offered[0]["responseType"] == "token"
    assert who.get("user/notifications").json()["notifications"] == [], "the list has been seen"
    q = ask(app, response_type="token", assignment_uuid=offered[0]["uuid"])
    assert who.get("/oauth/authorize", params={**q, "response_type": "code"}).status_code == 400
    assert who.get("/oauth/authorize", params=q).status_code == 200
    assert api.person(kade).get("/oauth/authorize", params=q).status_code == 403, "it is not somebody else's"
    fragment = parts(agree(who, app, response_type="token", assignment_uuid=offered[0]["uuid"]))[2]
    assert "access_token" in fragment
    assert who.get("user/assignedauthorization").json() == {"authorizations": []}


def test_assignment_declined(kade, boss, app):
    who, other = api.person(kade), api.person(kade)
    assign(boss, app, who.user)
    uuid = who.get("user/assignedauthorization").json()["authorizations"][0]["uuid"]
    assert other.delete(f"user/assignedauthorization/{uuid}").status_code == 404
    assert who.delete(f"user/assignedauthorization/{uuid}").status_code == 204
    assert who.delete(f"user/assignedauthorization/{uuid}").status_code == 404


def test_assignment_refused(kade, boss, app, stranger, org):
    assert assign(stranger, app, boss.user).status_code == 403
    assert assign(boss, app, "no-such-user").status_code == 404
    assert assign(boss, app, org).status_code == 404
    assert assign(boss, {**app, "client_id": "NOSUCHCLIENT00000000"}, stranger.user).status_code == 404
    assert assign(boss, app, stranger.user, redirect_uri="https://evil.example/").status_code == 400
    assert assign(boss, app, stranger.user, scope="nonsense").status_code == 400
    gone = api.person(kade)
    kade.admin("user", "disable", gone.user)
    assert assign(boss, app, gone.user).status_code == 404


@pytest.mark.config(FEATURE_ASSIGN_OAUTH_TOKEN=False)
def test_assignment_off(alone):
    me = api.person(alone)
    assert me.get("user/assignedauthorization").status_code == 404
    assert me.call("POST", "/oauth/authorize/assignuser").status_code == 405


def test_grants_of_others(kade, boss, app, stranger):
    agree(boss, app, response_type="token")
    uuid = boss.get("user/authorizations").json()["authorizations"][0]["uuid"]
    assert stranger.get(f"user/authorizations/{uuid}").status_code == 404 and stranger.delete(f"user/authorizations/{uuid}").status_code == 404
