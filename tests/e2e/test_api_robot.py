"""Robot accounts, of people and of organizations."""

import re

import pytest

import api

TOKEN = re.compile(r"[A-Z0-9]{64}")


@pytest.fixture(scope="module")
def kade(make_stack):
    return make_stack("lighttpd", name="api-org", FEATURE_SUPERUSERS_FULL_ACCESS=True, GLOBAL_READONLY_SUPER_USERS=["o-auditor"],
                      FEATURE_RATE_LIMITS=False, FEATURE_USER_LAST_ACCESSED=True)


@pytest.fixture
def boss(kade):
    return api.person(kade)


@pytest.fixture(params=["user", "organization"])
def place(request, kade, boss):
    """The namespace and the path of its robots."""
    if request.param == "user":
        return boss.user, "user/robots"
    org = api.organization(kade, boss)
    return org, f"organization/{org}/robots"


def create(kade, who, path, short="bot", **body):
    r = who.put(f"{path}/{short}", body)
    assert r.status_code == 201, r.text
    kade.secrets.add(r.json()["token"])
    return r.json()


def test_life(kade, boss, place):
    ns, path = place
    made = create(kade, boss, path, description="builds", unstructured_metadata={"a": [1, {"b": None}]})
    assert made == {"name": f"{ns}+bot", "created": made["created"], "last_accessed": None, "description": "builds", "token": made["token"],
                    "unstructured_metadata": {"a": [1, {"b": None}]}}
    assert TOKEN.fullmatch(made["token"]) and api.RFC2822.fullmatch(made["created"])
    assert api.logs(kade, "create_robot", description="builds")[0] == (
        ns, boss.user, {"robot": "bot", "description": "builds", "unstructured_metadata": {"a": [1, {"b": None}]}})
    assert boss.get(f"{path}/bot").json() == made
    assert kade.client(f"{ns}+bot", made["token"]).ask_token().status_code == 200
    renewed = boss.post(f"{path}/bot/regenerate").json()
    kade.secrets.add(renewed["token"])
    assert TOKEN.fullmatch(renewed["token"]) and renewed["token"] != made["token"]
    assert kade.client(f"{ns}+bot", made["token"]).ask_token().status_code == 401
    assert kade.client(f"{ns}+bot", renewed["token"]).ask_token().status_code == 200
    kade.sql("UPDATE account SET last_accessed_ms = kade_now_ms() WHERE name = %s", f"{ns}+bot")
    assert api.RFC2822.fullmatch(boss.get(f"{path}/bot").json()["last_accessed"])
    assert api.logs(kade, "regenerate_robot_token")[0] == (ns, boss.user, {"robot": "bot"})
    assert boss.delete(f"{path}/bot").status_code == 204
    assert api.logs(kade, "delete_robot")[0] == (ns, boss.user, {"robot": "bot"})
    assert kade.client(f"{ns}+bot", renewed["token"]).ask_token().status_code == 401
    text = "Could not find robot with specified username"
    api.message(boss.get(f"{path}/bot"), 400, text)
    api.message(boss.delete(f"{path}/bot"), 400, text)
    api.message(boss.post(f"{path}/bot/regenerate"), 400, text)
    api.message(boss.get(f"{path}/bot/permissions"), 400, text)


def test_optional_body(kade, boss, place):
    _, path = place
    for i, (kw, description) in enumerate((
        ({}, ""),
        ({"data": "{broken", "headers": {"Content-Type": "application/json"}}, ""),
        ({"data": "null", "headers": {"Content-Type": "application/json"}}, ""),
        ({"data": "[1]", "headers": {"Content-Type": "application/json"}}, ""),
        ({"data": '{"description": "x"}', "headers": {"Content-Type": "text/plain"}}, ""),
        ({"json": {"description": "x", "token": "A" * 64, "name": "other"}}, "x"),
    )):
        r = boss.put(f"{path}/r{i}", **kw)
        assert r.status_code == 201, r.text
        kade.secrets.add(r.json()["token"])
        assert r.json()["description"] == description and r.json()["unstructured_metadata"] == {} and r.json()["name"].endswith(f"+r{i}")
    api.error(boss.put(f"{path}/long", {"description": "x" * 256}), 400, "invalid_request")
    api.error(boss.put(f"{path}/long", {"description": 1}), 400, "invalid_request")
    api.error(boss.put(f"{path}/long", {"unstructured_metadata": {"x": "y" * (1 << 20)}}), 400, "invalid_request")
    api.message(boss.get(f"{path}/long"), 400)


def test_names(kade, boss, place):
    ns, path = place
    create(kade, boss, path)
    api.message(boss.put(f"{path}/bot", {}), 400, f"Existing robot with name: {ns}+bot")
    for wrong in ("B", "a", "a%2Bb", "a%20b", "-ab", "x" * 256):
        assert api.message(boss.put(f"{path}/{wrong}", {}), 400)["message"].startswith("The name for the robot")


def test_list(kade, boss, place):
    ns, path = place
    assert boss.get(path).json() == {"robots": []}
    made = [create(kade, boss, path, f"r{i}") for i in range(3)]
    seen = boss.get(path).json()["robots"]
    assert [r["name"] for r in seen] == [f"{ns}+r{i}" for i in range(3)] and [r["token"] for r in seen] == [m["token"] for m in made]
    assert set(seen[0]) == {"name", "created", "last_accessed", "description", "token"}
    assert set(boss.get(f"{path}?token=false").json()["robots"][0]) == {"name", "created", "last_accessed", "description"}
    assert len(boss.get(f"{path}?limit=2").json()["robots"]) == 2
    assert boss.get(f"{path}?limit=x").status_code == 400
    api.repository(kade, f"{ns}/app")
    api.permission(kade, f"{ns}/app", f"{ns}+r1", "write")
    seen = boss.get(f"{path}?permissions=true&token=false").json()["robots"]
    assert [r["repositories"] for r in seen] == [[], ["app"], []] and [r["teams"] for r in seen] == [[], [], []]
    assert boss.get(f"{path}/r1/permissions").json() == {"permissions": [{"repository": {"name": "app", "is_public": False}, "role": "write"}]}


def test_who_sees_tokens(kade, boss):
    org = api.organization(kade, boss)
    member, stranger, admin = api.person(kade), api.person(kade), api.Session(kade, "admin")
    if not kade.sql("SELECT 1 FROM account WHERE name = 'o-auditor'"):
        kade.create_user("o-auditor")
    reader = api.Session(kade, "o-auditor")
    api.team(kade, org, "devs", "member", member)
    path = f"organization/{org}/robots"
    token = create(kade, boss, path)["token"]
    boss.put(f"organization/{org}/team/devs/members/{org}%2Bbot")
    for who in (boss, admin):
        seen = who.get(f"{path}?permissions=true").json()["robots"][0]
        assert seen["token"] == token and [t["name"] for t in seen["teams"]] == ["devs"]
        assert who.get(f"{path}/bot").json()["token"] == token
    for kind in ("", "?token=true&permissions=true"):
        seen = member.get(path + kind).json()["robots"][0]
        assert set(seen) == {"name", "created", "last_accessed", "description"}
    seen = reader.get(f"{path}?token=true&permissions=true").json()["robots"][0]
    assert "token" not in seen and [t["name"] for t in seen["teams"]] == ["devs"]
    assert "token" not in reader.get(f"{path}/bot").json()
    api.error(reader.post(f"{path}/bot/regenerate"), 403, "insufficient_scope")
    api.error(member.get(f"{path}/bot"), 403, "insufficient_scope")
    api.error(stranger.get(path), 403, "insufficient_scope")
    api.error(api.Api(kade).get(path), 401, "invalid_token")
    # A token of an admin that allows no administration of organizations.
    api.error(api.bearer(kade, boss, "repo:admin").get(path), 403, "insufficient_scope")
    seen = api.bearer(kade, boss, "org:admin").get(path).json()["robots"][0]
    assert seen["token"] == token
    api.error(api.bearer(kade, boss, "org:admin").get(f"{path}/bot/permissions"), 403, "insufficient_scope")
    assert api.bearer(kade, boss, "org:admin user:admin").get(f"{path}/bot/permissions").status_code == 200
    # Robots of another organization are not reached through one's own.
    other = api.organization(kade, member)
    api.message(member.get(f"organization/{other}/robots/bot"), 400)
    api.error(member.get(f"organization/{org}/robots/bot"), 403, "insufficient_scope")
    assert admin.get("organization/no-such-org/robots").json() == {"robots": []}
    api.error(admin.put("organization/no-such-org/robots/bot", {}), 404, "not_found")


def test_federation(kade, boss, place):
    ns, path = place
    create(kade, boss, path)
    url = f"{path}/bot/federation"
    assert boss.get(url).json() == []
    entries = [{"issuer": "https://b.example.com", "subject": "repo:x"}, {"issuer": "http://a.example.com", "subject": "s"}]
    entries[0]["audiences"] = ["x", "y"]
    r = boss.post(url, [entries[0], {**entries[1], "audiences": []}])
    assert r.status_code == 200 and r.json() == entries and r.text.endswith("]\n")
    assert boss.get(url).json() == entries                                  # in the order given
    assert api.logs(kade, "create_robot_federation")[0] == (ns, boss.user, {"config": entries, "robot": "bot"})
    for body, detail in (
        ([{"issuer": "https://x"}], "'subject' is a required property"),
        ([{"subject": "x"}], "'issuer' is a required property"),
        ([{"issuer": "", "subject": "x"}], "Missing one or more required fields (issuer, subject)"),
        ([{"issuer": "ftp://x", "subject": "x"}], "Issuer must be a URL (http:// or https://)"),
        ([entries[0], entries[0]], "Duplicate federation config entry"),
        ({"issuer": "https://x", "subject": "x"}, None),
        (["x"], None),
        ([{**entries[0], "audiences": "x"}], None),
        ([{**entries[0], "audiences": [1]}], "audiences must be a list of strings"),
    ):
        api.error(boss.post(url, body), 400, "invalid_request", detail)
    assert boss.get(url).json() == entries
    assert boss.post(url, entries[1:]).json() == entries[1:] == boss.get(url).json()
    assert boss.delete(url).status_code == 204
    assert api.logs(kade, "delete_robot_federation")[0] == (ns, boss.user, {"robot": "bot"})
    assert boss.get(url).json() == []
    for r in (boss.get(f"{path}/none/federation"), boss.post(f"{path}/none/federation", []), boss.delete(f"{path}/none/federation")):
        api.message(r, 400, "Could not find robot with specified username")


@pytest.mark.config(ROBOTS_DISALLOW=True, ROBOTS_WHITELIST=["admin+good"])
def test_disallowed(alone):
    admin = api.Session(alone, "admin")
    assert api.message(admin.put("user/robots/bot", {}), 400)["message"].startswith("Robot accounts have been disabled.")
    create(alone, admin, "user/robots", "good")
