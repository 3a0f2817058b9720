"""/api/v1/ui/: the lists of Kade's own interface, and why somebody may pull or push."""

import secrets

import pytest

import api
import oci


def pages(client, path, name):
    """All rows, page by page, and the total of the first page."""
    rows, total, cursor = [], None, None
    while True:
        r = client.get(path + ("&" if "?" in path else "?") + (f"cursor={cursor}" if cursor else ""))
        assert r.status_code == 200, r.text
        body = r.json()
        total = body.get("total", total)
        rows += body[name]
        cursor = body.get("cursor")
        if cursor is None:
            return rows, total


class Place:
    def __init__(self, stack):
        self.stack = stack
        self.owner, self.member, self.stranger = (api.person(stack) for _ in range(3))
        self.org = api.organization(stack, self.owner)
        self.team = api.team(stack, self.org, "dev", "member", self.member)
        for n in ("alpha", "beta", "gamma"):
            api.repository(stack, f"{self.org}/{n}", public=n == "gamma")
        api.permission(stack, f"{self.org}/beta", self.member, "write")


@pytest.fixture(scope="module")
def place(stack):
    return Place(stack)


def names(rows):
    return [r["name"] for r in rows]


def test_repositories(place):
    path = f"ui/repositories?namespace={place.org}&limit=1"
    for who, seen in ((place.owner, ["alpha", "beta", "gamma"]), (place.member, ["beta", "gamma"]), (place.stranger, ["gamma"]), (api.anonymous(place.stack), ["gamma"])):
        rows, total = pages(who, path, "repositories")
        assert names(rows) == seen and total == len(seen)            # the total tells no more than the rows
    rows, total = pages(place.owner, f"ui/repositories?namespace={place.org}&q=A_", "repositories")
    assert rows == [] and total == 0                                 # no wildcard
    assert names(pages(place.owner, f"ui/repositories?namespace={place.org}&q=ET", "repositories")[0]) == ["beta"]
    assert pages(place.owner, f"ui/repositories?namespace=none{secrets.token_hex(4)}", "repositories") == ([], 0)
    rows, total = pages(place.owner, "ui/repositories?limit=2", "repositories")
    assert names(rows) == ["gamma", "beta", "alpha"] and total == 3  # the newest first
    rows, total = pages(place.member, "ui/repositories?limit=1", "repositories")
    assert names(rows) == ["beta"] and total == 1
    found = place.owner.get("ui/repositories?q=alpha").json()
    assert place.org in [r["namespace"] for r in found["repositories"]]
    assert place.org not in [r["namespace"] for r in place.stranger.get("ui/repositories?q=alpha&public=true").json()["repositories"]]


def test_repositories_by_token(place):
    """A token without repo:read lists public ones alone."""
    token = api.bearer(place.stack, place.owner, "org:admin")
    assert names(pages(token, f"ui/repositories?namespace={place.org}", "repositories")[0]) == ["gamma"]
    token = api.bearer(place.stack, place.owner, "repo:read")
    assert len(pages(token, f"ui/repositories?namespace={place.org}", "repositories")[0]) == 3


def test_cursor(place):
    r = place.owner.get(f"ui/repositories?namespace={place.org}&limit=1").json()
    for bad in (r["cursor"][:-4] + "AAAA", "x"):
        again = place.owner.get(f"ui/repositories?namespace={place.org}&limit=1&cursor={bad}").json()
        assert names(again["repositories"]) == ["alpha"]             # as the first page
    assert "total" not in place.owner.get(f"ui/repositories?namespace={place.org}&limit=1&cursor={r['cursor']}").json()
    assert place.owner.get("ui/repositories?limit=x").status_code == 400


def test_namespaces(place):
    rows, total = pages(place.member, "ui/namespaces?limit=1", "namespaces")
    assert sorted(names(rows)) == sorted([place.member.user, place.org]) and total == 2
    org = next(r for r in rows if r["name"] == place.org)
    assert org["kind"] == "organization" and org["teams"] == 2 and org["members"] == 2 and org["is_admin"] is False
    assert not {"email", "robots", "repositories"} & set(org)       # for admins
    org = next(r for r in pages(place.owner, f"ui/namespaces?q={place.org[1:6]}", "namespaces")[0] if r["name"] == place.org)
    assert org["repositories"] == 3 and org["robots"] == 0 and org["is_admin"] is True
    assert place.org not in names(pages(place.stranger, "ui/namespaces", "namespaces")[0])
    assert api.anonymous(place.stack).get("ui/namespaces").status_code == 401


def test_members_and_robots(place):
    rows, total = pages(place.owner, f"ui/namespace/{place.org}/members?limit=1", "members")
    assert names(rows) == sorted([place.owner.user, place.member.user]) and total == 2
    m = next(r for r in rows if r["name"] == place.member.user)
    assert m["teams"] == ["dev"] and m["team_count"] == 1 and m["repositories"] == 1 and m["last_accessed"]
    for short in ("rb", "ra", "rc"):
        assert place.owner.put(f"organization/{place.org}/robots/{short}", {"description": short}).status_code == 201
    rows, total = pages(place.owner, f"ui/namespace/{place.org}/robots?limit=2", "robots")
    assert names(rows) == [f"{place.org}+r{s}" for s in "abc"] and total == 3
    assert "token" not in str(rows) and rows[0]["last_accessed"] is None and rows[0]["created"]
    for who, status in ((place.member, 403), (place.stranger, 403), (api.anonymous(place.stack), 401)):
        for path in ("members", "robots"):
            assert who.get(f"ui/namespace/{place.org}/{path}").status_code == status
            assert who.get(f"ui/namespace/none-{secrets.token_hex(3)}/{path}").status_code == status
    assert place.owner.get(f"ui/namespace/{place.owner.user}/robots").json()["total"] == 0
    assert place.owner.get(f"ui/namespace/{place.owner.user}/members").status_code == 404


def test_tags(stack):
    owner = api.person(stack)
    client, repo = stack.client(owner.user), f"{owner.user}/app"
    images = {t: oci.image() for t in ("b", "a", "c-rc_1")}
    for t, m in images.items():
        client.push(repo, t, m)
    path = f"ui/repository/{repo}/tags"
    rows, total = pages(owner, path + "?sort=name&limit=2", "tags")
    assert names(rows) == ["a", "b", "c-rc_1"] and total == 3
    rows, total = pages(owner, path + "?limit=1", "tags")
    assert names(rows) == ["c-rc_1", "a", "b"] and total == 3       # newest first
    assert rows[0]["digest"] == images["c-rc_1"].digest and rows[0]["size_bytes"] > 0 and rows[0]["expires"] is None and rows[0]["is_index"] is False
    assert names(pages(owner, path + "?q=_", "tags")[0]) == ["c-rc_1"]
    etag = owner.get(path).headers["ETag"]
    assert owner.get(path, headers={"If-None-Match": etag}).status_code == 304
    assert api.person(stack).get(path).status_code == 403 and api.anonymous(stack).get(path).status_code == 401


def test_tags_of_an_index(stack):
    owner = api.person(stack)
    client, repo = stack.client(owner.user), f"{owner.user}/multi"
    one, two = oci.image(), oci.image()
    for m in (one, two):
        client.push(repo, m.digest, m)
    client.push(repo, "all", oci.index([one, two]))
    t = owner.get(f"ui/repository/{repo}/tags").json()["tags"][0]
    assert t["is_index"] is True and [c["digest"] for c in t["children"]] == [one.digest, two.digest] and all(c["is_present"] for c in t["children"])
    blobs = stack.sql("SELECT sum(b.size_bytes)::int8 FROM repository_blob l JOIN blob b ON b.id = l.blob_id WHERE l.repository_id = (SELECT id FROM repository WHERE name = 'multi'"
                      " AND namespace_id = (SELECT id FROM account WHERE name = %s))", owner.user)[0][0]
    assert t["size_bytes"] == blobs                                  # each blob once
    assert "children" not in owner.get(f"ui/repository/{repo}/tags?children=false").json()["tags"][0]


def why(place, who, action="pull", repo="beta", client=None, **query):
    q = "".join(f"&{k}={v}" for k, v in query.items())
    r = (client or place.owner).get(f"ui/repository/{place.org}/{repo}/why?action={action}&user={who}{q}")
    assert r.status_code == 200, r.text
    body = r.json()
    return body["is_allowed"], [(g["kind"], g["role"]) for g in body["grants"]], [o["kind"] for o in body["obstacles"]]


def test_why(place):
    m, s = place.member.user, place.stranger.user
    assert why(place, m, "push") == (True, [("direct_permission", "write")], [])
    assert why(place, m, "push", scope="repo:read") == (False, [("direct_permission", "write")], ["token_scope"])
    assert why(place, place.owner.user, "push") == (True, [("organization_admin", "admin")], [])
    assert why(place, s) == why(place, f"none{secrets.token_hex(4)}") == (False, [], [])
    assert why(place, s, repo="gamma") == why(place, "", repo="gamma") == (True, [("public", "read")], [])
    assert why(place, s, "push", repo="gamma")[0] is False
    place.stack.sql("INSERT INTO repository_permission (repository_id, team_id, role) SELECT r.id, t.id, 1 FROM repository r JOIN team t ON t.organization_id = r.namespace_id"
                    " JOIN account n ON n.id = r.namespace_id WHERE n.name = %s AND r.name = 'alpha' AND t.name = 'dev'", place.org)
    assert why(place, m, repo="alpha") == (True, [("team", "read")], [])
    assert why(place, m, "push", repo="alpha") == (False, [("team", "read")], [])
    place.stack.sql("UPDATE account SET is_enabled = false WHERE name = ANY(%s)", [m, s])
    try:
        assert why(place, m) == (False, [("direct_permission", "write")], ["account_disabled"])
        assert why(place, s) == (False, [], [])                      # of who has no right nothing is told
    finally:
        place.stack.sql("UPDATE account SET is_enabled = true WHERE name = ANY(%s)", [m, s])
    place.stack.sql("UPDATE repository SET state = 1 WHERE name = 'beta' AND namespace_id = (SELECT id FROM account WHERE name = %s)", place.org)
    try:
        assert why(place, m, "push") == (False, [("direct_permission", "write")], ["repository_state"]) and why(place, m)[0]
    finally:
        place.stack.sql("UPDATE repository SET state = 0 WHERE name = 'beta' AND namespace_id = (SELECT id FROM account WHERE name = %s)", place.org)
    assert place.owner.get(f"ui/repository/{place.org}/beta/why?action=delete").status_code == 400
    for who in (place.member, place.stranger):
        assert who.get(f"ui/repository/{place.org}/beta/why?user={m}").status_code == 403


def test_why_is_what_happens(place):
    """The answer for each of several people is what the registry does."""
    for who, repo in ((place.member, "beta"), (place.member, "gamma"), (place.stranger, "beta"), (place.stranger, "gamma"), (place.owner, "alpha")):
        client = place.stack.client(who.user)
        r = client.call("POST", f"/v2/{place.org}/{repo}/blobs/uploads/")
        assert (r.status_code == 202) == why(place, who.user, "push", repo=repo)[0], (who.user, repo)
