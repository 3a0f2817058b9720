"""/api/v1/repository/…/tag: list, history, changes, deletion, time machine."""

import re
import time

import pytest

import api
import oci


class Place:
    """A repository of a new owner, with a client for pushes and one for the API."""

    def __init__(self, stack):
        self.stack = stack
        self.owner = api.person(stack)
        self.client = stack.client(self.owner.user)
        self.repo = f"{self.owner.user}/app"
        self.path = f"repository/{self.repo}/tag"
        self.id = None

    def push(self, tag, m=None):
        m = m or oci.image()
        self.client.push(self.repo, tag, m)
        return m

    def tags(self, query="", client=None):
        r = (client or self.owner).get(f"{self.path}/?{query}")
        assert r.status_code == 200, r.text
        return r.json()["tags"]

    def digest(self, tag):
        r = self.client.head(f"/v2/{self.repo}/manifests/{tag}")
        return r.headers["Docker-Content-Digest"] if r.status_code == 200 else None

    def sql(self, text, *args):
        return self.stack.sql(text.replace("THE_REPO", "(SELECT r.id FROM repository r JOIN account n ON n.id = r.namespace_id WHERE n.name || '/' || r.name = %s)"), self.repo, *args)

    def logs(self, kind):
        return [m for _, _, m in api.logs(self.stack, kind, repo="app") if m.get("namespace", self.owner.user) == self.owner.user and m.get("username") == self.owner.user]


@pytest.fixture
def place(stack):
    return Place(stack)


@pytest.fixture(scope="module")
def special(make_stack):
    """Immutable tags, and the permanent deletion of tags."""
    return make_stack("lighttpd", name="api-tags", FEATURE_IMMUTABLE_TAGS=True, PERMANENTLY_DELETE_TAGS=True, FEATURE_IMAGE_PULL_STATS=True)


@pytest.fixture
def strict(special):
    return Place(special)


# -- lists

def test_list(place):
    m = place.push("v1")
    (t,) = place.tags()
    assert t["name"] == "v1" and t["manifest_digest"] == m.digest and t["is_manifest_list"] is False and t["reversion"] is False
    assert t["size"] > 0 and abs(t["start_ts"] - time.time()) < 60 and api.RFC2822.fullmatch(t["last_modified"])
    assert not {"end_ts", "expiration", "immutable", "child_manifest_count"} & set(t)
    body = place.owner.get(f"{place.path}/").json()
    assert body["page"] == 1 and body["has_additional"] is False
    assert place.owner.get(place.path).json() == body


def test_history(place):
    first = place.push("latest")
    second = place.push("latest")
    alive, dead = place.tags("specificTag=latest")
    assert alive["manifest_digest"] == second.digest and "end_ts" not in alive
    assert dead["manifest_digest"] == first.digest and dead["end_ts"] <= time.time() + 1 and api.RFC2822.fullmatch(dead["expiration"])
    assert [t["manifest_digest"] for t in place.tags("onlyActiveTags=true")] == [second.digest]
    assert [t["manifest_digest"] for t in place.tags("specificTag=latest&onlyActiveTags=true")] == [second.digest]
    place.sql("UPDATE tag SET collect_after_ms = 1 WHERE repository_id = THE_REPO AND ended_ms IS NOT NULL")
    assert [t["manifest_digest"] for t in place.tags()] == [second.digest]                  # its window is over
    assert [t["manifest_digest"] for t in place.tags("specificTag=latest")] == [second.digest]


def test_a_tag_that_expired_is_dead(place):
    place.push("old")
    place.sql("UPDATE tag SET start_ms = kade_now_ms() - 7200000, expires_ms = kade_now_ms() - 3600000 WHERE repository_id = THE_REPO")
    (t,) = place.tags()
    assert t["end_ts"] < time.time()
    assert place.tags("onlyActiveTags=true") == [] and place.tags("specificTag=old&onlyActiveTags=true") == []
    place.sql("UPDATE tag SET start_ms = 1, expires_ms = 2 WHERE repository_id = THE_REPO")
    assert place.tags() == [] and place.tags("specificTag=old") == []


def test_pages_and_order(place):
    m = place.push("t00")
    for i in range(1, 12):
        place.client.put_manifest(place.repo, f"t{i:02}", m)
    place.sql("UPDATE tag SET start_ms = 1000 * (1 + right(name, 2)::int / 2) WHERE repository_id = THE_REPO")
    expected = ["t10", "t11", "t08", "t09", "t06", "t07", "t04", "t05", "t02", "t03", "t00", "t01"]
    for extra in ("", "&onlyActiveTags=true"):
        found, page, more = [], 1, True
        while more:
            body = place.owner.get(f"{place.path}/?limit=5&page={page}{extra}").json()
            assert body["page"] == page
            found += [t["name"] for t in body["tags"]]
            more, page = body["has_additional"], page + 1
        assert found == expected and page == 4
    assert len(place.tags("limit=0")) == 1 and len(place.tags("limit=-5")) == 1 and len(place.tags("limit=1000")) == 12
    assert len(place.tags("page=0")) == 12 and place.tags("page=99999999999") == []
    for name in ("limit", "page"):
        body = api.message(place.owner.get(f"{place.path}/?{name}=many"), 400)
        assert list(body["message"]) == [name]


def test_filters(place):
    m = place.push("app-1.0")
    for name in ("app_1x0", "app-1.1", "other", "APP-2"):
        place.client.put_manifest(place.repo, name, m)

    def named(query):
        return sorted(t["name"] for t in place.tags(query))

    for extra in ("", "&onlyActiveTags=true"):
        assert named("filter_tag_name=like:app" + extra) == ["APP-2", "app-1.0", "app-1.1", "app_1x0"]
        assert named("filter_tag_name=like:1.0" + extra) == ["app-1.0"]
        assert named("filter_tag_name=like:_" + extra) == ["app_1x0"]                      # no wildcard
        assert named("filter_tag_name=like:%25" + extra) == [] and named("filter_tag_name=like:%5C" + extra) == []
        assert named("filter_tag_name=eq:app-1.0" + extra) == ["app-1.0"] and named("filter_tag_name=eq:app" + extra) == []
        assert len(named("filter_tag_name=gt:x" + extra)) == 5
        assert named("specificTag=other" + extra) == ["other"]
    api.error(place.owner.get(f"{place.path}/?filter_tag_name=app"), 400, "invalid_request")
    for odd in ("%00", "%ff", "%F0%9F%90%8B", "'", "a" * 5000):
        r = place.owner.get(f"{place.path}/?filter_tag_name=like:{odd}&specificTag={odd}")
        assert r.status_code in (200, 400), f"{odd[:9]}: {r.status_code}"


def test_index(place):
    children = [oci.image(), oci.image(arch="arm64")]
    place.push("multi", oci.index(children))
    (t,) = place.tags("specificTag=multi")
    assert t["is_manifest_list"] is True and t["size"] is None and t["is_sparse"] is False
    assert t["child_manifest_count"] == t["present_child_count"] == 2
    assert t["child_manifests_presence"] == {c.digest: True for c in children}


def test_list_rights(stack, place):
    place.push("v1")
    stranger = api.person(stack)
    api.error(stranger.get(f"{place.path}/"), 403, "insufficient_scope")
    api.error(api.Api(stack).get(f"{place.path}/"), 401, "invalid_token")
    api.error(stranger.get(f"repository/{place.owner.user}/missing/tag/"), 403, "insufficient_scope")
    api.error(place.owner.get(f"repository/{place.owner.user}/missing/tag/"), 404, "not_found")
    place.sql("UPDATE repository SET is_public = true WHERE id = THE_REPO")
    assert len(api.Api(stack).get(f"{place.path}/").json()["tags"]) == 1


# -- changes

def test_move_and_create(place):
    a, b = place.push("a"), place.push("b")
    r = place.owner.put(f"{place.path}/new", {"manifest_digest": a.digest})
    assert r.status_code == 201 and r.text == '"Updated"\n'
    assert place.digest("new") == a.digest
    assert place.owner.put(f"{place.path}/new", {"manifest_digest": b.digest}).status_code == 201
    assert place.digest("new") == b.digest
    assert [t["manifest_digest"] for t in place.tags("specificTag=new")] == [b.digest, a.digest]
    assert place.logs("create_tag")[0] == {"username": place.owner.user, "repo": "app", "tag": "new", "namespace": place.owner.user,
                                           "manifest_digest": a.digest, "original_manifest_digest": None}
    assert place.logs("move_tag")[0]["original_manifest_digest"] == a.digest
    api.error(place.owner.put(f"{place.path}/new", {"manifest_digest": "sha256:" + "0" * 64}), 404, "not_found")
    api.error(place.owner.put(f"{place.path}/new", {"manifest_digest": "nonsense"}), 404, "not_found")
    for bad in (".x", "-x", "x" * 129, "x%20y", "ü"):
        api.message(place.owner.put(f"{place.path}/{bad}", {"manifest_digest": a.digest}), 400,
                    'Invalid tag: must match [A-Za-z0-9_.-], NOT start with "." or "-", and can contain 1-128 characters')


def test_move_to_what_is_not_visible(stack, place):
    m = place.push("gone")
    place.owner.delete(f"{place.path}/gone")
    place.push("kept")
    api.error(place.owner.put(f"{place.path}/again", {"manifest_digest": m.digest}), 404, "not_found")
    other = Place(stack)
    foreign = other.push("x")
    api.error(place.owner.put(f"{place.path}/again", {"manifest_digest": foreign.digest}), 404, "not_found")
    api.error(place.owner.post(f"{place.path}/again/restore", {"manifest_digest": foreign.digest}), 404, "not_found")


def test_expiration(place):
    place.push("v1")
    soon = int(time.time()) + 86400
    assert place.owner.put(f"{place.path}/v1", {"expiration": soon}).status_code == 201
    (t,) = place.tags()
    assert t["end_ts"] == soon and api.RFC2822.fullmatch(t["expiration"])
    log = place.logs("change_tag_expiration")[0]
    assert api.RFC2822.fullmatch(log["expiration_date"]) and log["old_expiration_date"] is None and log["tag"] == "v1"
    assert place.owner.put(f"{place.path}/v1", {"expiration": int(time.time()) + 5}).status_code == 201
    (t,) = place.tags()
    assert t["end_ts"] == pytest.approx(t["start_ts"] + 3600, abs=1)                         # at least an hour
    assert place.logs("change_tag_expiration")[0]["old_expiration_date"] == soon
    assert place.owner.put(f"{place.path}/v1", {"expiration": int(time.time()) + 10 * 365 * 86400}).status_code == 201
    (t,) = place.tags()
    assert t["end_ts"] == pytest.approx(t["start_ts"] + 104 * 7 * 86400, abs=1)              # at most 104 weeks
    assert place.owner.put(f"{place.path}/v1", {"expiration": None}).status_code == 201
    assert "end_ts" not in place.tags()[0]
    n = len(place.logs("change_tag_expiration"))
    assert place.owner.put(f"{place.path}/v1", {"expiration": None}).status_code == 201
    assert len(place.logs("change_tag_expiration")) == n                                     # nothing was, nothing is
    for bad in (1, int(time.time()) - 5, -1, "tomorrow", True, [], {}, 1e300, "NaN"):
        assert place.owner.put(f"{place.path}/v1", {"expiration": bad}).status_code == 400, bad
    api.error(place.owner.put(f"{place.path}/none", {"expiration": soon}), 404, "not_found")
    assert place.digest("v1")


def test_an_old_tag_can_be_given_an_expiration(place):
    place.push("v1")
    place.sql("UPDATE tag SET start_ms = start_ms - 86400000::int8 * 1000 WHERE repository_id = THE_REPO")
    soon = int(time.time()) + 7 * 86400
    assert place.owner.put(f"{place.path}/v1", {"expiration": soon}).status_code == 201
    assert place.tags()[0]["end_ts"] == soon and place.digest("v1")


def test_delete(stack, place):
    m = place.push("v1")
    place.client.put_manifest(place.repo, "v2", m)
    r = place.owner.delete(f"{place.path}/v1")
    assert r.status_code == 204 and r.content == b""
    assert place.digest("v1") is None and place.digest("v2") == m.digest
    assert [t["name"] for t in place.tags("onlyActiveTags=true")] == ["v2"] and len(place.tags("specificTag=v1")) == 1
    assert place.logs("delete_tag")[0] == {"username": place.owner.user, "repo": "app", "namespace": place.owner.user, "tag": "v1"}
    api.error(place.owner.delete(f"{place.path}/v1"), 404, "not_found")
    api.error(api.person(stack).delete(f"{place.path}/v2"), 403, "insufficient_scope")
    assert place.digest("v2") == m.digest


def test_restore(place):
    first = place.push("latest")
    second = place.push("latest")
    r = place.owner.post(f"{place.path}/latest/restore", {"manifest_digest": first.digest})
    assert r.status_code == 200 and r.json() == {}
    assert place.digest("latest") == first.digest
    alive = place.tags("specificTag=latest")[0]
    assert alive["manifest_digest"] == first.digest and alive["reversion"] is True and "end_ts" not in alive
    assert len(place.tags("specificTag=latest")) == 3
    assert place.logs("revert_tag")[0] == {"username": place.owner.user, "repo": "app", "tag": "latest", "manifest_digest": first.digest}
    place.owner.delete(f"{place.path}/latest")
    assert place.digest("latest") is None
    assert place.owner.post(f"{place.path}/latest/restore", {"manifest_digest": second.digest}).status_code == 200
    assert place.digest("latest") == second.digest
    api.error(place.owner.post(f"{place.path}/latest/restore", {}), 400, "invalid_request", "Missing manifest_digest")
    api.error(place.owner.post(f"{place.path}/latest/restore", {"manifest_digest": "sha256:" + "1" * 64}), 404, "not_found")


def test_restore_what_was_deleted_by_digest(place):
    m = place.push("v1")
    assert place.client.delete(f"/v2/{place.repo}/manifests/{m.digest}").status_code == 202
    layer = m.json["layers"][0]["digest"]
    assert place.client.delete(f"/v2/{place.repo}/blobs/{layer}").status_code == 202
    assert place.client.head(f"/v2/{place.repo}/blobs/{layer}").status_code == 404
    assert place.owner.post(f"{place.path}/v1/restore", {"manifest_digest": m.digest}).status_code == 200
    assert place.digest("v1") == m.digest
    assert place.client.get(f"/v2/{place.repo}/manifests/{m.digest}").status_code == 200
    assert place.client.get(f"/v2/{place.repo}/blobs/{layer}").status_code == 200


def test_restore_only_within_the_window(place):
    m = place.push("v1")
    place.owner.delete(f"{place.path}/v1")
    place.sql("UPDATE tag SET collect_after_ms = 1 WHERE repository_id = THE_REPO")
    api.error(place.owner.post(f"{place.path}/v1/restore", {"manifest_digest": m.digest}), 404, "not_found")


def test_cosign_tags_follow(place):
    m = place.push("v1")
    sig = f"sha256-{m.digest.removeprefix('sha256:')}.sig"
    place.push(sig)
    place.client.put_manifest(place.repo, "v2", m)
    place.owner.delete(f"{place.path}/v1")
    assert place.digest(sig)
    place.push("v2")                                                                         # by a push: not the API's matter
    other = place.push("v3")
    place.client.put_manifest(place.repo, "v4", m)
    assert place.owner.put(f"{place.path}/v4", {"manifest_digest": other.digest}).status_code == 201
    assert place.digest(sig) is None
    assert len(place.tags(f"specificTag={sig}")) == 1


def test_state(place):
    m = place.push("v1")
    place.sql("UPDATE repository SET state = 1 WHERE id = THE_REPO")
    place.stack.expect_log("503: Repository is in read only or mirror mode")
    for r in (place.owner.put(f"{place.path}/x", {"manifest_digest": m.digest}), place.owner.delete(f"{place.path}/v1"),
              place.owner.post(f"{place.path}/v1/restore", {"manifest_digest": m.digest})):
        api.message(r, 503, "Repository is in read only or mirror mode: 1")
    assert place.digest("v1") == m.digest


def test_features_that_are_off(place):
    m = place.push("v1")
    assert place.owner.post(f"{place.path}/v1/expire", {"is_alive": True}).status_code == 405
    assert place.owner.get(f"{place.path}/v1/pull_statistics").status_code == 404
    api.error(place.owner.put(f"{place.path}/v1", {"immutable": True}), 400, "invalid_request")
    assert place.digest("v1") == m.digest


# -- immutable tags

def test_immutable(strict):
    m, other = strict.push("v1"), strict.push("other")
    assert strict.tags("specificTag=v1")[0]["immutable"] is False
    assert strict.owner.put(f"{strict.path}/v1", {"immutable": True}).status_code == 201
    assert strict.tags("specificTag=v1")[0]["immutable"] is True
    assert strict.logs("change_tag_immutability")[0] == {"username": strict.owner.user, "repo": "app", "tag": "v1", "namespace": strict.owner.user,
                                                         "immutable": True, "previous_immutable": False}
    api.error(strict.owner.put(f"{strict.path}/v1", {"manifest_digest": other.digest}), 409, "tag_immutable", "Cannot overwrite immutable tag 'v1'")
    assert strict.owner.put(f"{strict.path}/v1", {"manifest_digest": m.digest}).status_code == 201
    api.error(strict.owner.delete(f"{strict.path}/v1"), 409, "tag_immutable", "Cannot delete immutable tag 'v1'")
    api.error(strict.owner.post(f"{strict.path}/v1/restore", {"manifest_digest": other.digest}), 409, "tag_immutable", "Cannot overwrite immutable tag 'v1'")
    api.error(strict.owner.post(f"{strict.path}/v1/expire", {"is_alive": True}), 409, "tag_immutable")
    api.message(strict.owner.put(f"{strict.path}/v1", {"expiration": int(time.time()) + 9999}), 400, "Cannot set expiration on immutable tag 'v1'")
    assert strict.digest("v1") == m.digest and "end_ts" not in strict.tags("specificTag=v1")[0]
    assert strict.owner.put(f"{strict.path}/v1", {"immutable": False, "manifest_digest": other.digest}).status_code == 201
    assert strict.digest("v1") == other.digest


def test_only_administrators_make_a_tag_mutable(special, strict):
    strict.push("v1")
    writer = api.person(special)
    api.permission(special, strict.repo, writer, "write")
    assert writer.put(f"{strict.path}/v1", {"immutable": True}).status_code == 201
    api.error(writer.put(f"{strict.path}/v1", {"immutable": False}), 403, "insufficient_scope")
    assert strict.tags("specificTag=v1")[0]["immutable"] is True
    assert strict.owner.put(f"{strict.path}/v1", {"immutable": False}).status_code == 201


def test_an_expiring_tag_does_not_become_immutable(strict):
    strict.push("v1")
    strict.owner.put(f"{strict.path}/v1", {"expiration": int(time.time()) + 9999})
    api.error(strict.owner.put(f"{strict.path}/v1", {"immutable": True}), 400, "invalid_request")
    assert strict.owner.put(f"{strict.path}/v1", {"expiration": None, "immutable": True}).status_code == 201
    api.error(strict.owner.put(f"{strict.path}/none", {"immutable": True}), 404, "not_found")


# -- permanent deletion

def test_expire_a_live_tag(strict):
    m = strict.push("v1")
    r = strict.owner.post(f"{strict.path}/v1/expire", {"is_alive": True, "include_submanifests": True})
    assert r.status_code == 200 and r.text == '""\n'
    assert strict.digest("v1") is None and strict.tags() == []
    api.error(strict.owner.post(f"{strict.path}/v1/restore", {"manifest_digest": m.digest}), 404, "not_found")
    assert strict.logs("permanently_delete_tag")[0]["manifest_digest"] == m.digest
    api.error(strict.owner.post(f"{strict.path}/v1/expire", {"is_alive": True}), 404, "not_found")


def test_expire_a_dead_tag(strict):
    first, second = strict.push("v1"), strict.push("v1")
    api.error(strict.owner.post(f"{strict.path}/v1/expire", {}), 400, "invalid_request", "Missing manifest_digest")
    api.error(strict.owner.post(f"{strict.path}/v1/expire", {"manifest_digest": second.digest}), 404, "not_found")     # it is alive
    assert strict.owner.post(f"{strict.path}/v1/expire", {"manifest_digest": first.digest}).status_code == 200
    assert [t["manifest_digest"] for t in strict.tags()] == [second.digest] and strict.digest("v1") == second.digest
    api.error(strict.owner.post(f"{strict.path}/v1/expire", {"manifest_digest": first.digest}), 404, "not_found")


def test_pull_statistics(strict):
    m = strict.push("v1")
    got = strict.owner.get(f"{strict.path}/v1/pull_statistics").json()
    assert got == {"tag_name": "v1", "tag_pull_count": 0, "last_tag_pull_date": None, "current_manifest_digest": m.digest, "manifest_pull_count": 0,
                   "last_manifest_pull_date": None}
    strict.sql("INSERT INTO tag_pull (repository_id, tag_name, pulls, last_ms, digest) VALUES (THE_REPO, 'v1', 3, 1600000000000, %s)", m.digest)
    strict.sql("INSERT INTO manifest_pull (repository_id, digest, pulls, last_ms) VALUES (THE_REPO, %s, 5, 1700000000000)", m.digest)
    got = strict.owner.get(f"{strict.path}/v1/pull_statistics").json()
    assert got["tag_pull_count"] == 3 and got["manifest_pull_count"] == 5 and got["last_tag_pull_date"] == "Sun, 13 Sep 2020 12:26:40 -0000"
    api.error(strict.owner.get(f"{strict.path}/none/pull_statistics"), 404, "not_found")
    strict.owner.delete(f"{strict.path}/v1")
    assert strict.sql("SELECT count(*) FROM tag_pull WHERE repository_id = THE_REPO") == [(0,)]


# -- conditional requests

def asked_again(place, path, etag, **kw):
    return (kw.pop("client", None) or place.owner).get(path, headers={"If-None-Match": etag})


def test_live_list_not_modified(place):
    place.push("v1")
    path = f"{place.path}/?onlyActiveTags=true"
    first = place.owner.get(path)
    etag = first.headers["ETag"]
    assert etag.startswith('W/"t1.') and first.headers["Cache-Control"] == "private, no-cache" and "Cookie" in first.headers["Vary"]
    again = asked_again(place, path, etag)
    assert again.status_code == 304 and not again.content and again.headers["ETag"] == etag
    place.push("v2")                                         # each of these changes the list
    second = asked_again(place, path, etag)
    assert second.status_code == 200 and len(second.json()["tags"]) == 2
    etag = second.headers["ETag"]
    for change in (lambda: place.owner.put(f"{place.path}/v1", {"expiration": int(time.time()) + 90000}), lambda: place.owner.delete(f"{place.path}/v2"),
                   lambda: place.owner.put(f"{place.path}/v3", {"manifest_digest": place.digest("v1")})):
        assert asked_again(place, path, etag).status_code == 304
        assert change().status_code in (200, 201, 204)
        r = asked_again(place, path, etag)
        assert r.status_code == 200
        etag = r.headers["ETag"]
    place.sql("UPDATE tag SET expires_ms = kade_now_ms() + 1500 WHERE repository_id = THE_REPO AND name = 'v1' AND ended_ms IS NULL")
    r = asked_again(place, path, etag)
    etag = r.headers["ETag"]
    deadline = time.time() + 20
    while (r := asked_again(place, path, etag)).status_code == 304 and time.time() < deadline:
        pass                                                 # until the tag's time has come: nothing is written then
    assert r.status_code == 200 and [t["name"] for t in r.json()["tags"]] == ["v3"]


def test_not_modified_sees_late_commits(place):
    """A transaction that began before the list was read and ends after it shows, although later ones had ended."""
    import psycopg2

    place.push("v1")
    path = f"{place.path}/?onlyActiveTags=true"
    with psycopg2.connect(place.stack.uri) as db, db.cursor() as cur:
        cur.execute("UPDATE tag SET expires_ms = kade_now_ms() + 9000000 WHERE name = 'v1' AND repository_id = (SELECT r.id FROM repository r JOIN account n"
                    " ON n.id = r.namespace_id WHERE n.name || '/' || r.name = %s)", (place.repo,))
        place.push("v2")
        etag = place.owner.get(path).headers["ETag"]
        assert asked_again(place, path, etag).status_code == 304
        db.commit()
    r = asked_again(place, path, etag)
    assert r.status_code == 200 and {t["name"] for t in r.json()["tags"] if "end_ts" in t} == {"v1"}


def test_not_modified_needs_the_right(place):
    reader = api.person(place.stack)
    place.push("v1")
    api.permission(place.stack, place.repo, reader, "read")
    for query in ("?onlyActiveTags=true", ""):
        path = f"{place.path}/{query}"
        etag = reader.get(path).headers["ETag"]
        assert asked_again(place, path, etag, client=reader).status_code == 304
        place.sql("DELETE FROM repository_permission WHERE repository_id = THE_REPO AND account_id = (SELECT id FROM account WHERE name = %s)", reader.user)
        assert asked_again(place, path, etag, client=reader).status_code == 403
        assert asked_again(place, path, etag, client=api.anonymous(place.stack)).status_code == 401
        api.permission(place.stack, place.repo, reader, "read")


def test_not_modified_tags_of_others(place):
    """A tag of another repository, a broken one, one of another form."""
    other = Place(place.stack)
    place.push("v1")
    etag = place.owner.get(f"{place.path}/?onlyActiveTags=true").headers["ETag"]
    other.push("v1")
    path = f"{other.path}/?onlyActiveTags=true"
    for bad in (etag, '"t1."', 'W/"t1.1.0.1.0.0"', 'W/"t1.%s.0.9.0.0.99999999999999999999"' % 1, 't1.', '"', "*", 'W/"t2.1.1.1.1.1.1"'):
        r = other.owner.get(path, headers={"If-None-Match": bad})
        assert r.status_code == 200 and len(r.json()["tags"]) == 1, bad


def test_other_lists_not_modified(place):
    place.push("v1")
    for path in ("repository?namespace=" + place.owner.user, f"{place.path}/", "user/", f"repository/{place.repo}/permissions/user/"):
        etag = place.owner.get(path).headers["ETag"]
        assert asked_again(place, path, etag).status_code == 304, path
    assert "ETag" not in place.owner.get("user/robots").headers      # holds tokens: never stored
