"""Documents: errors, capabilities, discovery, the configuration that clients see."""

import json

import pytest

import api


@pytest.fixture(scope="module")
def kade(make_stack):
    return make_stack("lighttpd", name="api-document", FEATURE_RATE_LIMITS=False, REGISTRY_TITLE="Häfen", ENTERPRISE_LOGO_URL="/logo.svg", BRANDING={"logo": "/old.svg", "footer_url": "https://x.example"},
                      CONTACT_INFO=["mailto:ops@example.com"])


@pytest.fixture(scope="module")
def nobody(kade):
    return api.Api(kade)


TYPES = ["external_service_timeout", "invalid_request", "invalid_response", "invalid_token", "expired_token", "insufficient_scope", "fresh_login_required",
         "exceeds_license", "not_found", "downstream_issue", "tag_immutable", "token_rotation_failed"]


@pytest.mark.parametrize("kind", TYPES)
def test_error(kade, nobody, kind):
    o = nobody.get(f"error/{kind}").json()
    assert set(o) == {"type", "title", "description"} and o["title"] == kind and o["type"] == f"{kade.base}/api/v1/error/{kind}" and len(o["description"]) > 20


def test_errors_lead_to_their_description(nobody):
    body = nobody.get("user/").json()
    assert nobody.get(body["type"]).json()["title"] == body["title"]
    assert nobody.get("error/nonsense").status_code == 404


def test_capabilities(nobody):
    assert nobody.get("registry/capabilities").json() == {
        "sparse_manifests": {"supported": False, "required_architectures": [], "optional_architectures_allowed": False},
        "mirror_architectures": ["amd64", "arm64", "ppc64le", "s390x"]}


def references(node):
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for v in node.values():
            yield from references(v)
    elif isinstance(node, list):
        for v in node:
            yield from references(v)


def test_discovery(kade, nobody):
    d = nobody.get("discovery").json()
    assert d["swagger"] == "2.0" and d["host"] == kade.host and d["basePath"] == "/" and d["schemes"] == ["http"] and d["info"]["version"] == "v1"
    oauth = d["securityDefinitions"]["oauth2_implicit"]
    assert oauth["authorizationUrl"] == f"{kade.base}/oauth/authorize" and "super:user" in oauth["scopes"] and "direct_user_login" not in oauth["scopes"]
    assert all(p.startswith("/api/v1/") for p in d["paths"])
    assert all(r.removeprefix("#/definitions/") in d["definitions"] for r in references(d))
    ids = [op["operationId"] for item in d["paths"].values() for m, op in item.items() if isinstance(op, dict) and "operationId" in op]
    assert len(ids) == len(set(ids)) and {"getLoggedInUser", "createStar", "listAppTokens", "createOrganizationApplication", "discovery"} <= set(ids)
    assert {t for item in d["paths"].values() for m, op in item.items() if isinstance(op, dict) for t in op["tags"]} == {t["name"] for t in d["tags"]}
    for path, item in d["paths"].items():
        names = [p["name"] for p in item.get("parameters", [])]
        assert all("{%s}" % n in path for n in names) and path.count("{") == len(names), path
        for method, op in item.items():
            if isinstance(op, dict):
                assert op["description"] and {"400", "401", "403", "404"} < set(op["responses"]), path
    get = d["paths"]["/api/v1/user/"]["get"]
    assert get["security"] == [{"oauth2_implicit": ["user:read"]}] and "put" not in d["paths"]["/api/v1/user/"]
    post = d["paths"]["/api/v1/user/apptoken"]["post"]
    assert post["parameters"][-1] == {"name": "body", "in": "body", "required": True, "schema": {"$ref": "#/definitions/createAppTokenBody"}}
    assert d["definitions"]["createAppTokenBody"]["required"] == ["title"]


def test_internal_discovery(nobody):
    d, plain = nobody.get("discovery?internal=true").json(), nobody.get("discovery").json()
    assert set(plain["paths"]) < set(d["paths"]) and d["paths"]["/api/v1/user/"]["put"]["x-internal"] is True
    assert d["paths"]["/api/v1/user/"]["put"]["x-requires-fresh-login"] is True and "/api/v1/user/authorizations" in d["paths"]
    assert nobody.get("discovery?internal=false").json() == plain


@pytest.mark.config(FEATURE_APP_SPECIFIC_TOKENS=False, FEATURE_USER_CREATION=False, FEATURE_SUPER_USERS=False)
def test_discovery_without_features(alone):
    d = api.Api(alone).get("discovery?internal=true").json()
    assert not [p for p in d["paths"] if "apptoken" in p] and "post" not in d["paths"]["/api/v1/user/"]
    assert "super:user" not in d["securityDefinitions"]["oauth2_implicit"]["scopes"]


def test_config(kade, nobody):
    r = nobody.get("/config")
    o = r.json()
    assert set(o) == {"config", "features", "oauth", "external_login", "registry_state", "account_recovery_mode", "version_number"}
    c = o["config"]
    assert c["SERVER_HOSTNAME"] == kade.host and c["PREFERRED_URL_SCHEME"] == "http" and c["REGISTRY_TITLE"] == "Häfen"
    assert c["BRANDING"] == {"logo": "/logo.svg", "logo_dark": "/logo.svg", "footer_url": "https://x.example"}
    assert c["TAG_EXPIRATION_OPTIONS"] == ["0s", "1d", "1w", "2w", "4w"] and c["CONTACT_INFO"] == ["mailto:ops@example.com"]
    assert c["LOCAL_OAUTH_HANDLER"] == "/oauth/localapp" and c["FEATURE_PROXY_CACHE"] is False and c["SETUP_COMPLETE"] is True
    assert o["features"]["MAILING"] is False and o["features"]["DIRECT_LOGIN"] is True and all(not k.startswith("FEATURE_") for k in o["features"])
    assert o["registry_state"] == "normal" and o["account_recovery_mode"] is False
    assert "no-store" in r.headers["Cache-Control"]
    for secret in (kade.config["SECRET_KEY"], kade.config["DATABASE_SECRET_KEY"], kade.config["DB_URI"]):
        assert secret not in r.text
    shown = json.dumps(c)
    assert not any(k in shown for k in ("SECRET", "DB_URI", "REDIS", "STORAGE", "PASSWORD", "SUPER_USERS"))


def test_config_readonly(servers):
    import stack as stack_module

    s = stack_module.Stack(servers, "lighttpd")
    try:
        s.start()
        s.restart_pools(REGISTRY_STATE="readonly")
        a = api.anonymous(s)
        assert a.get("/config").json()["registry_state"] == "readonly"
        admin = api.Session(s, "admin")
        r = admin.post("user/starred", {"namespace": "a", "repository": "b"})
        assert r.status_code == 503 and r.json()["is_readonly"] is True
        assert admin.get("user/").status_code == 200 and admin.get("user/assignedauthorization").status_code == 200
    finally:
        s.stop()
