"""/api/v1/repository: lists, creation, details, changes, deletion."""

import secrets

import pytest

import api
import oci


@pytest.fixture(scope="module")
def world(stack):
    """An owner with an organization of three repositories, a stranger, a member with rights to one of them."""
    w = type("World", (), {})()
    w.owner, w.stranger, w.reader = api.person(stack), api.person(stack), api.person(stack)
    w.org = api.organization(stack, w.owner)
    w.private = api.repository(stack, f"{w.org}/private")
    w.public = api.repository(stack, f"{w.org}/public", public=True)
    w.shared = api.repository(stack, f"{w.org}/shared")
    api.permission(stack, w.shared, w.reader, "read")
    return w


def names(response):
    assert response.status_code == 200, response.text
    return sorted(f"{r['namespace']}/{r['name']}" for r in response.json()["repositories"])


def test_list_needs_a_filter(stack, world):
    for client in (world.owner, api.Api(stack)):
        api.error(client.get("repository"), 400, "invalid_request", "namespace, starred or public are required for this API call")
    api.error(api.Api(stack).get("repository?starred=true"), 400, "invalid_request")


def test_list_of_a_namespace(stack, world):
    path = f"repository?namespace={world.org}"
    assert names(world.owner.get(path)) == [world.private, world.public, world.shared]
    assert names(world.reader.get(path)) == [world.shared]
    assert names(world.reader.get(path + "&public=true")) == [world.public, world.shared]
    assert names(world.stranger.get(path)) == []
    assert names(world.stranger.get(path + "&public=true")) == [world.public]
    assert names(api.Api(stack).get(path)) == []
    assert names(api.Api(stack).get(path + "&public=true")) == [world.public]
    assert names(world.owner.get("repository?namespace=no-such-namespace&public=true")) == []
    assert names(world.owner.get(path + "&repo_kind=application")) == []


def test_list_by_teams(stack, world):
    through_team, boss, member = api.person(stack), api.person(stack), api.person(stack)
    api.team(stack, world.org, "devs", "member", through_team)
    api.team(stack, world.org, "bosses", "admin", boss)
    api.team(stack, world.org, "plain", "member", member)
    stack.sql("INSERT INTO repository_permission (repository_id, team_id, role) SELECT r.id, t.id, 2 FROM repository r JOIN account n ON n.id = r.namespace_id"
              " JOIN team t ON t.organization_id = n.id WHERE n.name = %s AND r.name = 'private' AND t.name = 'devs'", world.org)
    path = f"repository?namespace={world.org}"
    assert names(through_team.get(path)) == [world.private]
    assert names(boss.get(path)) == [world.private, world.public, world.shared]
    assert names(member.get(path)) == []
    for client, own in ((through_team, [world.private]), (boss, [world.private, world.public, world.shared]), (member, [world.public])):
        found = names(client.get("repository?public=true"))
        assert [n for n in found if n.startswith(world.org + "/")] == sorted({*own, world.public})


def test_list_item(stack, world):
    owner = world.owner
    assert owner.post("user/starred", {"namespace": world.org, "repository": "private"}).status_code in (201, 404, 405)   # stars have tests of their own
    item = [r for r in owner.get(f"repository?namespace={world.org}").json()["repositories"] if r["name"] == "public"][0]
    assert item == {"namespace": world.org, "name": "public", "description": None, "is_public": True, "kind": "image", "state": "NORMAL", "is_starred": False}
    item = owner.get(f"repository?namespace={world.org}&last_modified=true&popularity=true").json()["repositories"][0]
    assert item["last_modified"] is None and item["popularity"] == 0.0 and isinstance(item["popularity"], float)
    item = api.Api(stack).get(f"repository?namespace={world.org}&public=true").json()["repositories"][0]
    assert "is_starred" not in item and "last_modified" not in item and "popularity" not in item


def test_last_modified_and_popularity(stack, world):
    owner = api.person(stack)
    client = stack.client(owner.user)
    m = oci.image()
    client.push(f"{owner.user}/app", "v1", m)
    start, repo = stack.sql("SELECT t.start_ms, r.id FROM tag t JOIN repository r ON r.id = t.repository_id JOIN account n ON n.id = r.namespace_id WHERE n.name = %s", owner.user)[0]
    stack.sql("INSERT INTO repository_action SELECT %s, (now() AT TIME ZONE 'UTC')::date - d, 10 FROM unnest(ARRAY[1, 3, 30]) d", repo)
    item = owner.get(f"repository?namespace={owner.user}&last_modified=true&popularity=true").json()["repositories"][0]
    assert item["last_modified"] == start // 1000 and item["popularity"] == 20.0


def test_starred(stack, world):
    u = api.person(stack)
    rows = stack.sql("SELECT r.id FROM repository r JOIN account n ON n.id = r.namespace_id WHERE n.name = %s ORDER BY r.id", world.org)
    for (repo,) in rows:
        stack.sql("INSERT INTO star (account_id, repository_id) SELECT id, %s FROM account WHERE name = %s", repo, u.user)
    assert names(u.get("repository?starred=true")) == [world.public]       # what one may not see is not shown, starred or not
    assert all(r["is_starred"] for r in u.get("repository?starred=true").json()["repositories"])


def test_pages(stack):
    u = api.person(stack)
    stack.sql("INSERT INTO repository (namespace_id, name) SELECT a.id, 'r' || lpad(i::text, 3, '0') FROM account a, generate_series(1, 205) i WHERE a.name = %s", u.user)
    found, token, pages = [], "", 0
    while token is not None:
        body = u.get(f"repository?namespace={u.user}" + (f"&next_page={token}" if token else "")).json()
        found += [r["name"] for r in body["repositories"]]
        token = body.get("next_page")
        pages += 1
    assert pages == 3 and found == [f"r{i:03}" for i in range(1, 206)]
    first = u.get(f"repository?namespace={u.user}&next_page=gAAAAABnonsense").json()
    assert first["repositories"][0]["name"] == "r001"


def test_token_scopes(stack, world):
    path = f"repository?namespace={world.org}&public=true"
    assert names(api.bearer(stack, world.owner, "repo:read").get(path)) == [world.private, world.public, world.shared]
    assert names(api.bearer(stack, world.owner, "user:read").get(path)) == [world.public]


# -- creation

def body(name, **kw):
    return {"repository": name, "visibility": "private", "description": "", **kw}


def test_create(stack, world):
    u = api.person(stack)
    r = u.post("repository", body("app/deep", description="# Head"))
    assert r.status_code == 201 and r.json() == {"namespace": u.user, "name": "app/deep", "kind": "image"} and r.text.endswith("\n")
    got = u.get(f"repository/{u.user}/app/deep").json()
    assert got["description"] == "# Head" and got["is_public"] is False and got["can_admin"] is True
    assert api.logs(stack, "create_repo", repo="app/deep", namespace=u.user)[0][:2] == (u.user, u.user)
    api.error(u.post("repository", body("app/deep")), 400, "invalid_request", "Repository already exists")


def test_create_in_an_organization(stack, world):
    creator, member = api.person(stack), api.person(stack)
    api.team(stack, world.org, "makers", "creator", creator)
    api.team(stack, world.org, "others", "member", member)
    name = f"r{secrets.token_hex(4)}"
    assert creator.post("repository", body(name, namespace=world.org, visibility="public")).status_code == 201
    assert creator.get(f"repository/{world.org}/{name}").json()["can_admin"] is True
    for client in (member, world.stranger):
        api.error(client.post("repository", body("x", namespace=world.org)), 403, "insufficient_scope")
        api.error(client.post("repository", body(name, namespace=world.org)), 403, "insufficient_scope")
        api.error(client.post("repository", body("x", namespace="no-such-namespace")), 403, "insufficient_scope")
    assert stack.sql("SELECT 1 FROM repository WHERE name = 'x'") == []


def test_create_refusals(stack, world):
    u = world.stranger
    for name in ("UPPER", "-x", "a//b", "a/../b", "", "x" * 256, "a b", "é"):
        api.error(u.post("repository", body(name)), 400, "invalid_request", "Invalid repository name")
    api.error(u.post("repository", {"repository": "x", "visibility": "private"}), 400, "invalid_request", "'description' is a required property")
    api.error(u.post("repository", body("x", visibility="secret")), 400, "invalid_request", "'secret' is not one of ['public', 'private']")
    api.error(u.post("repository", body("x", repo_kind="application")), 400, "invalid_request")
    anonymous = api.anonymous(stack)
    for b in (body("x"), body("x", namespace=world.org)):
        api.error(anonymous.post("repository", b), 400, "invalid_request", "Must provide a namespace or must be logged in.")


def test_create_by_token(stack, world):
    assert api.bearer(stack, world.owner, "repo:create").post("repository", body(f"t{secrets.token_hex(4)}", namespace=world.org)).status_code == 201
    for scopes in ("repo:read", "repo:admin", "user:admin"):
        r = api.bearer(stack, world.owner, scopes).post("repository", body("by-token", namespace=world.org))
        api.error(r, 403, "insufficient_scope")


# -- details

def test_get(stack, world):
    owner = api.person(stack)
    client = stack.client(owner.user)
    m = oci.image()
    path = f"{owner.user}/app"
    client.push(path, "v1", m)
    client.put_manifest(path, "v2", m)
    got = owner.get(f"repository/{path}").json()
    assert got["namespace"] == owner.user and got["name"] == "app" and got["kind"] == "image" and got["state"] == "NORMAL"
    assert got["is_organization"] is False and got["is_starred"] is False and got["trust_enabled"] is False and got["is_free_account"] is True
    assert got["tag_expiration_s"] == 1209600 and got["can_write"] is True and got["can_admin"] is True and len(got["status_token"]) == 36
    assert set(got["tags"]) == {"v1", "v2"} and "stats" not in got
    tag = got["tags"]["v1"]
    assert tag["name"] == "v1" and tag["manifest_digest"] == m.digest and api.RFC2822.fullmatch(tag["last_modified"]) and tag["size"] > 0
    assert "expiration" not in tag
    without = owner.get(f"repository/{path}?includeTags=false&includeStats=true").json()
    assert "tags" not in without and len(without["stats"]) == 92 and {s["count"] for s in without["stats"]} == {0}
    assert owner.call("HEAD", f"repository/{path}").status_code == 200


def test_get_stats(stack):
    u = api.person(stack)
    api.repository(stack, f"{u.user}/app")
    stack.sql("INSERT INTO repository_action SELECT r.id, (now() AT TIME ZONE 'UTC')::date - d, d FROM repository r JOIN account n ON n.id = r.namespace_id,"
              " unnest(ARRAY[1, 5, 400]) d WHERE n.name = %s", u.user)
    stats = u.get(f"repository/{u.user}/app?includeStats=true").json()["stats"]
    assert [s["count"] for s in stats[:2]] == [5, 1] and len(stats) == 92 and all(s["count"] == 0 for s in stats[2:])
    assert len({s["date"] for s in stats}) == 92


def test_get_rights(stack, world):
    path = f"repository/{world.private}"
    api.error(api.Api(stack).get(path), 401, "invalid_token")
    api.error(world.stranger.get(path), 403, "insufficient_scope")
    api.error(world.stranger.get(f"repository/{world.org}/missing"), 403, "insufficient_scope")
    api.error(world.owner.get(f"repository/{world.org}/missing"), 404, "not_found")
    got = api.Api(stack).get(f"repository/{world.public}").json()
    assert got["can_write"] is False and got["can_admin"] is False and got["status_token"] == ""
    got = world.reader.get(f"repository/{world.shared}").json()
    assert got["can_write"] is False and got["can_admin"] is False
    stack.sql("UPDATE repository SET state = 1 WHERE name = 'shared' AND namespace_id = (SELECT id FROM account WHERE name = %s)", world.org)
    got = world.owner.get(f"repository/{world.shared}").json()
    assert got["state"] == "READ_ONLY" and got["can_write"] is False and got["can_admin"] is True
    stack.sql("UPDATE repository SET state = 0 WHERE name = 'shared'")


# -- changes

def test_description(stack, world):
    u = api.person(stack)
    path = f"repository/{api.repository(stack, f'{u.user}/app')}"
    for text in ("Ünï\u00e7ode \U0001f40b", "<script>alert(1)</script>", "", "x" * 100_000):
        assert u.put(path, {"description": text}).json() == {"success": True}
        assert u.get(path).json()["description"] == text
    assert len(u.get(f"repository?namespace={u.user}").json()["repositories"][0]["description"]) == 4000
    assert api.logs(stack, "set_repo_description", repo="app", namespace=u.user)[0][:2] == (u.user, u.user)
    api.error(u.put(path, {}), 400, "invalid_request", "'description' is a required property")
    api.error(world.stranger.put(path, {"description": "mine"}), 403, "insufficient_scope")
    api.error(world.stranger.put(path, {}), 403, "insufficient_scope")
    api.error(world.reader.put(f"repository/{world.shared}", {"description": "mine"}), 403, "insufficient_scope")


def test_visibility(stack, world):
    u = api.person(stack)
    path = f"repository/{api.repository(stack, f'{u.user}/app')}"
    assert u.post(f"{path}/changevisibility", {"visibility": "public"}).json() == {"success": True}
    assert api.Api(stack).get(path).status_code == 200
    assert u.post(f"{path}/changevisibility", {"visibility": "private"}).json() == {"success": True}
    assert api.Api(stack).get(path).status_code == 401
    assert [row[2]["visibility"] for row in api.logs(stack, "change_repo_visibility", namespace=u.user)] == ["private", "public"]
    api.error(u.post(f"{path}/changevisibility", {"visibility": "x"}), 400, "invalid_request")
    api.error(world.stranger.post(f"{path}/changevisibility", {"visibility": "public"}), 403, "insufficient_scope")
    r = u.post(f"repository/{u.user}/gone/changevisibility", {"visibility": "public"})
    assert r.status_code == 200 and r.text == "null\n"


def test_delete(stack, world):
    u = api.person(stack)
    client = stack.client(u.user)
    m = oci.image()
    path = f"{u.user}/app"
    client.push(path, "v1", m)
    api.error(world.stranger.delete(f"repository/{path}"), 403, "insufficient_scope")
    r = u.delete(f"repository/{path}")
    assert r.status_code == 204 and r.content == b""
    api.error(u.get(f"repository/{path}"), 404, "not_found")
    assert client.get(f"/v2/{path}/manifests/v1").status_code in (401, 404)
    assert names(u.get(f"repository?namespace={u.user}")) == []
    assert u.delete(f"repository/{path}").status_code == 204
    assert len(api.logs(stack, "delete_repo", repo="app", namespace=u.user)) == 1
    assert u.post("repository", body("app")).status_code == 201            # the name is free at once, and nothing comes back
    assert u.get(f"repository/{path}").json()["tags"] == {}
    assert stack.sql("SELECT count(*) FROM repository r JOIN account n ON n.id = r.namespace_id WHERE n.name = %s AND state = 3", u.user) == [(1,)]


def test_features_that_are_off(stack, world):
    for method, tail in (("POST", "changetrust"), ("PUT", "changestate")):
        assert world.owner.call(method, f"repository/{world.private}/{tail}", json={"state": "READ_ONLY", "trust_enabled": True}).status_code == 405, tail
    assert world.owner.get(f"repository/{world.private}/signatures").status_code == 404
    assert world.stranger.get(f"repository/{world.private}/signatures").status_code == 404


def test_csrf(stack, world):
    r = world.owner.call("DELETE", f"repository/{world.private}", headers={"X-CSRF-Token": None})
    assert r.status_code == 403 and r.json() == {"error": "CSRF token was invalid or missing."}
    assert world.owner.get(f"repository/{world.private}").status_code == 200
