"""/api/v1/find/… and /api/v1/entities/…: search; nothing is found that the caller may not see."""

import secrets

import pytest

import api


class World:
    """An organization with a word of its own in the names of everything."""

    def __init__(self, stack):
        self.stack = stack
        self.word = "w" + secrets.token_hex(4)
        self.owner, self.stranger, self.reader = api.person(stack, f"{self.word}-owner"), api.person(stack), api.person(stack)
        self.org = api.organization(stack, self.owner, f"{self.word}-org")
        self.public = api.repository(stack, f"{self.org}/{self.word}-public", public=True)
        self.private = api.repository(stack, f"{self.org}/a-{self.word}-private")
        self.shared = api.repository(stack, f"{self.org}/{self.word}")
        api.permission(stack, self.shared, self.reader, "read")
        api.team(stack, self.org, f"{self.word}-team", "member", self.reader)
        stack.create_robot(self.org, f"{self.word}-bot")
        self.described = api.repository(stack, f"{self.org}/other")
        stack.sql("UPDATE repository SET description = %s WHERE name = 'other'", f"All about {self.word.upper()}, 100%")

    def find(self, client, query=None, **params):
        r = client.get("find/repositories", params={"query": self.word if query is None else query, **params})
        assert r.status_code == 200, r.text
        return r.json()

    def paths(self, client, query=None, **params):
        return [f"{x['namespace']['name']}/{x['name']}" for x in self.find(client, query, **params)["results"]]


@pytest.fixture(scope="module")
def w(stack):
    return World(stack)


def test_who_finds_what(stack, w):
    assert w.paths(w.owner)[:2] == [w.shared, w.public]                                      # the nearest names first
    assert sorted(w.paths(w.owner)) == sorted([w.public, w.private, w.shared, w.described])
    assert sorted(w.paths(w.reader)) == sorted([w.public, w.shared])
    assert w.paths(w.stranger) == [w.public] and w.paths(api.Api(stack)) == [w.public]
    assert w.paths(api.bearer(stack, w.owner, "user:read")) == [w.public]
    assert len(w.paths(api.bearer(stack, w.owner, "repo:read"))) == 4


def test_an_item(stack, w):
    (item,) = w.find(w.stranger)["results"]
    ns = item.pop("namespace")
    assert item.pop("score") > 0
    assert item == {"kind": "repository", "title": "repo", "name": f"{w.word}-public", "description": None, "is_public": True,
                    "href": f"/repository/{w.public}"}
    assert ns["title"] == "org" and ns["kind"] == "organization" and ns["name"] == w.org and ns["href"] == f"/organization/{w.org}" and ns["avatar"]["kind"] == "org"
    (item,) = w.find(w.stranger, includeUsage="true")["results"]
    assert item["last_modified"] is None and item["stars"] == 0 and item["popularity"] == 0.0


def test_wildcards_are_text(stack, w):
    for query in ("%", "_", "%%%", "___", "\\", "*", "'", '"', "a%z", w.word[:4] + "%" + w.word[6:], w.word[:-1] + "_"):
        assert not [p for p in w.paths(w.owner, query) if w.word in p and query not in p and query != ""], query
    assert w.paths(w.owner, "100%") == [w.described]
    for query in ("%00", "x" * 5000, "\U0001f40b\U0001f40b\U0001f40b", "한국어", "//", "/", "a/b/c"):
        r = w.owner.get("find/repositories", params={"query": query})
        assert r.status_code == 200, query
    assert w.owner.get("find/repositories?query=%00").status_code in (200, 400)
    assert w.owner.get("find/repositories?query=%ff%fe").status_code in (200, 400)


def test_namespace_and_name(stack, w):
    assert sorted(w.paths(w.owner, f"{w.org}/")) == sorted([w.public, w.private, w.shared, w.described])
    assert w.paths(w.owner, f"{w.org}/private") == [w.private]
    assert w.paths(w.stranger, f"{w.org}/") == [w.public] and w.paths(w.stranger, f"{w.org}/private") == []
    assert sorted(w.paths(w.reader, f"{w.org}/")) == sorted([w.public, w.shared])


def test_short_queries_are_beginnings(stack, w):
    u = api.person(stack)
    for name in ("zq1", "zq2", "azq"):
        api.repository(stack, f"{u.user}/{name}")
    assert sorted(w.paths(u, "zq")) == [f"{u.user}/zq1", f"{u.user}/zq2"]
    assert w.paths(w.stranger, "zq") == []
    stack.sql("UPDATE repository SET is_public = true WHERE name = 'zq1'")
    assert w.paths(w.stranger, "zq") == [f"{u.user}/zq1"]


def test_pages(stack, w):
    u = api.person(stack)
    stack.sql("INSERT INTO repository (namespace_id, name, search_score) SELECT a.id, %s || i, i FROM account a, generate_series(1, 25) i WHERE a.name = %s", w.word + "-many", u.user)
    found = []
    for page in (1, 2, 3):
        body = w.find(u, w.word + "-many", page=page)
        assert body["page"] == page and body["page_size"] == 10 and body["start_index"] == 10 * (page - 1) and body["has_additional"] == (page < 3)
        found += [int(x["name"].removeprefix(w.word + "-many")) for x in body["results"]]
    assert found == list(range(25, 0, -1))                                                   # the most used first
    assert w.find(u, page=999)["page"] == 10 and w.find(u, page=0)["page"] == 1
    assert list(api.message(u.get("find/repositories?page=x"), 400)["message"]) == ["page"]
    everything = w.find(u, "")
    assert [x["name"] for x in everything["results"]][:3] == [w.word + f"-many{i}" for i in (25, 24, 23)]


def test_deleted_repositories_and_disabled_namespaces(stack, w):
    u = api.person(stack)
    name = f"gone{secrets.token_hex(4)}"
    api.repository(stack, f"{u.user}/{name}", public=True)
    assert len(w.paths(w.stranger, name)) == 1
    stack.sql("UPDATE account SET is_enabled = false WHERE name = %s", u.user)
    assert w.paths(w.stranger, name) == []
    stack.sql("UPDATE account SET is_enabled = true WHERE name = %s", u.user)
    u.delete(f"repository/{u.user}/{name}")
    assert w.paths(w.stranger, name) == []


# -- everything

def find_all(client, query):
    r = client.get("find/all", params={"query": query})
    assert r.status_code == 200, r.text
    return r.json()["results"]


def named(results):
    return sorted((x["kind"], x["name"]) for x in results)


def test_find_all(stack, w):
    results = find_all(w.owner, w.word)
    assert named(results) == sorted([("repository", w.word), ("repository", f"{w.word}-public"), ("repository", f"a-{w.word}-private"), ("repository", "other"),
                                     ("team", f"{w.word}-team"), ("robot", f"{w.org}+{w.word}-bot"), ("organization", w.org), ("user", w.owner.user)])
    scores = [x["score"] for x in results]
    assert scores == sorted(scores, reverse=True) and results[0]["name"] == w.word
    by_kind = {x["kind"]: x for x in results}
    team, robot = by_kind["team"], by_kind["robot"]
    assert team["organization"]["name"] == w.org and team["href"] == f"/organization/{w.org}/teams/{w.word}-team" and team["avatar"]["kind"] == "team"
    assert robot["avatar"] is None and robot["title"] == "robot" and robot["short_name"] == f"{w.word}-bot"
    assert by_kind["user"]["href"] == f"/user/{w.owner.user}"


def test_find_all_of_others(stack, w):
    assert named(find_all(w.reader, w.word)) == sorted([("repository", w.word), ("repository", f"{w.word}-public"), ("team", f"{w.word}-team"), ("organization", w.org)])
    for client in (w.stranger, api.Api(stack)):
        assert named(find_all(client, w.word)) == [("organization", w.org), ("repository", f"{w.word}-public")]
    assert find_all(w.owner, "") == [] and api.Api(stack).get("find/all").json() == {"results": []}


# -- entities

def entities(client, prefix, **params):
    r = client.get(f"entities/{prefix}", params=params)
    assert r.status_code == 200, r.text
    return r.json()["results"]


def test_users(stack, w):
    (found,) = entities(w.stranger, w.word)
    assert found["name"] == w.owner.user and found["kind"] == "user" and found["is_robot"] is False and found["avatar"]["kind"] == "user" and "is_org_member" not in found
    assert entities(api.Api(stack), w.word.upper()) == [found] and entities(w.stranger, f" {w.word} ") == [found]
    for i in range(12):
        stack.create_user(f"{w.word}-u{i:02}")
    assert len(entities(w.stranger, w.word)) == 10
    stack.create_user(w.word + "x")
    assert entities(w.stranger, w.word + "x")[0]["name"] == w.word + "x"
    for odd in ("%25", "_", "%00", "%ff", "~", "x" * 400):
        r = w.stranger.get(f"entities/{odd}")
        assert r.status_code == 400 or r.json()["results"] == [], odd
    stack.sql("UPDATE account SET is_enabled = false WHERE name = %s", w.word + "x")
    assert entities(w.stranger, w.word + "x") == []


def test_members_of_a_namespace(stack, w):
    found = entities(w.owner, w.word, namespace=w.org, includeTeams="true", includeOrgs="true")
    kinds = {x["kind"]: x for x in found if not x.get("is_robot")}
    assert kinds["team"]["name"] == f"{w.word}-team" and kinds["team"]["is_org_member"] is True
    assert kinds["org"]["name"] == w.org
    robots = [x for x in found if x.get("is_robot")]
    assert [(x["name"], x["kind"], x["is_org_member"]) for x in robots] == [(f"{w.org}+{w.word}-bot", "user", True)]
    owner = [x for x in entities(w.owner, w.owner.user, namespace=w.org) if x["name"] == w.owner.user][0]
    assert owner["is_org_member"] is True
    member = entities(w.reader, w.word, namespace=w.org, includeTeams="true", includeOrgs="true")
    assert "team" in {x["kind"] for x in member} and "org" not in {x["kind"] for x in member} and any(x.get("is_robot") for x in member)
    for client in (w.stranger, api.Api(stack), api.bearer(stack, w.owner, "repo:admin")):
        other = entities(client, w.word, namespace=w.org, includeTeams="true", includeOrgs="true")
        assert {x["kind"] for x in other} == {"user"} and not any(x["is_robot"] for x in other)
    assert {x["kind"] for x in entities(w.owner, w.word, namespace=w.org)} == {"user"}


def test_own_robots(stack):
    u = api.person(stack)
    stack.create_robot(u.user, "helper")
    assert [x["name"] for x in entities(u, u.user, namespace=u.user) if x["is_robot"]] == [f"{u.user}+helper"]
    assert [x["name"] for x in entities(u, "help", namespace=u.user) if x["is_robot"]] == [f"{u.user}+helper"]
    assert not any(x["is_robot"] for x in entities(api.person(stack), "help", namespace=u.user))


@pytest.mark.config(FEATURE_PARTIAL_USER_AUTOCOMPLETE=False)
def test_whole_names_only(alone):
    u = api.person(alone)
    assert entities(u, u.user[:-1]) == [] and entities(u, u.user)[0]["name"] == u.user


def test_link(stack, w):
    assert w.owner.post(f"entities/link/{w.stranger.user}").status_code == 404
    assert api.anonymous(stack).post("entities/link/x").status_code == 404
