"""Application-specific tokens."""

import pytest

import api


@pytest.fixture(scope="module")
def kade(make_stack):
    return make_stack("lighttpd", name="api-user", FEATURE_USER_METADATA=True, FEATURE_USER_RENAME=True, PUBLIC_NAMESPACES=["commons"],
                      GLOBAL_READONLY_SUPER_USERS=["u-auditor"], FEATURE_RATE_LIMITS=False)


def test_life(kade):
    me = api.person(kade)
    r = me.post("user/apptoken", {"title": "laptop"})
    assert r.status_code == 200 and "no-store" in r.headers["Cache-Control"]
    token = r.json()["token"]
    assert set(token) == {"uuid", "title", "last_accessed", "created", "expiration", "token_code"}
    assert token["title"] == "laptop" and token["expiration"] is None and token["last_accessed"] is None and len(token["token_code"]) == 120
    assert api.RFC2822.fullmatch(token["created"])
    kade.secrets.add(token["token_code"])
    assert kade.client("$app", token["token_code"]).ask_token().status_code == 200
    listed = me.get("user/apptoken").json()
    assert listed["only_expiring"] is None and len(listed["tokens"]) == 1 and "token_code" not in listed["tokens"][0]
    assert me.get(f"user/apptoken/{token['uuid']}").json()["token"]["token_code"] == token["token_code"]
    assert me.get("user/apptoken?expiring=true").json() == {"tokens": [], "only_expiring": True}
    assert me.get("user/apptoken?expiring=false").json()["only_expiring"] is False
    assert me.delete(f"user/apptoken/{token['uuid']}").status_code == 204
    assert me.delete(f"user/apptoken/{token['uuid']}").status_code == 404
    assert kade.client("$app", token["token_code"]).ask_token().status_code == 401
    meta = {"app_specific_token_title": "laptop", "app_specific_token": token["uuid"]}
    assert api.logs(kade, "create_app_specific_token")[0] == (me.user, me.user, meta)
    assert api.logs(kade, "revoke_app_specific_token")[0] == (me.user, me.user, meta)


def test_of_others(kade):
    me, other, admin = api.person(kade), api.person(kade), api.Session(kade, "admin")
    uuid = me.post("user/apptoken", {"title": "t"}).json()["token"]["uuid"]
    for who in (other, admin):
        assert who.get(f"user/apptoken/{uuid}").status_code == 404
        assert who.delete(f"user/apptoken/{uuid}").status_code == 404
    assert me.get(f"user/apptoken/{uuid}").status_code == 200


@pytest.mark.parametrize("body", [{}, {"title": 1}, {"title": None}, {"title": "x" * 256}])
def test_bad_body(kade, body):
    me = api.person(kade)
    api.error(me.post("user/apptoken", body), 400, "invalid_request")


@pytest.mark.config(APP_SPECIFIC_TOKEN_EXPIRATION="10d")
def test_expiration(alone):
    me = api.person(alone)
    token = me.post("user/apptoken", {"title": "t"}).json()["token"]
    assert api.RFC2822.fullmatch(token["expiration"])
    assert me.get("user/apptoken?expiring=true").json()["tokens"] == []
    alone.sql("UPDATE token SET expires_ms = kade_now_ms() + 23 * 3600000 WHERE uuid = %s", token["uuid"])
    assert len(me.get("user/apptoken?expiring=true").json()["tokens"]) == 1


@pytest.mark.config(FEATURE_APP_SPECIFIC_TOKENS=False)
def test_off(alone):
    me = api.person(alone)
    assert me.get("user/apptoken").status_code == 404 and me.post("user/apptoken", {"title": "x"}).status_code == 405


def test_secret_is_sealed(kade):
    me = api.person(kade)
    code = me.post("user/apptoken", {"title": "t"}).json()["token"]["token_code"]
    row = kade.sql("SELECT t::text FROM token t JOIN account a ON a.id = t.account_id WHERE a.name = %s", me.user)[0][0]
    assert code not in row and code[60:] not in row
