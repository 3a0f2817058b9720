"""Immutability policies against every way to change a tag: over /v2, over the REST API, by jobs; for tags that a policy marked when
they were made, and for those that were there before it and that no job has marked yet. Signatures end with their image."""

import itertools
import json
import secrets

import pytest

import api
import oci
from stack import until
from test_jobs import Jobs


@pytest.fixture(scope="module")
def held(make_stack):
    return make_stack("lighttpd", name="held", FEATURE_IMMUTABLE_TAGS=True, PERMANENTLY_DELETE_TAGS=True, FEATURE_AUTO_PRUNE=True, FEATURE_RATE_LIMITS=False,
                      DEFAULT_LABEL_KEY_RESERVED_PREFIXES=["com.docker."])


@pytest.fixture(scope="module")
def admin(held):
    return held.superuser()


@pytest.fixture(scope="module")
def web(held):
    return api.Session(held, "admin")


class Place:
    """A repository with images, of the superuser."""

    def __init__(self, held, admin, web):
        self.stack, self.oci, self.web = held, admin, web
        self.repo = api.repository(held, f"admin/p{secrets.token_hex(5)}")
        self.one, self.two = oci.image(1, 300), oci.image(1, 300)

    def push(self, tag, m=None):
        return self.oci.push(self.repo, tag, m or self.one)

    def policy(self, pattern, matches=True):
        r = self.web.post(f"repository/{self.repo}/immutabilitypolicy/", {"tagPattern": pattern, "tagPatternMatches": matches})
        assert r.status_code == 201, r.text
        return r.json()["uuid"]

    def tag(self, name, verb="", **body):
        path = f"repository/{self.repo}/tag/{name}" + (f"/{verb}" if verb else "")
        return self.web.post(path, body) if verb else self.web.put(path, body)

    def rows(self, name):
        """(digest, immutable, ended, expires) of every row, oldest first."""
        return self.stack.sql(
            "SELECT m.digest, t.is_immutable, t.ended_ms IS NOT NULL, t.expires_ms IS NOT NULL FROM tag t JOIN manifest m ON m.id = t.manifest_id"
            " JOIN repository r ON r.id = t.repository_id JOIN account n ON n.id = r.namespace_id WHERE n.name || '/' || r.name = %s AND t.name = %s ORDER BY t.id",
            self.repo, name)


@pytest.fixture
def place(held, admin, web):
    return Place(held, admin, web)


SOON = 4102444800                                              # a second of the year 2100: clamped to what is allowed


def label(p, key, value):
    return p.web.post(f"repository/{p.repo}/manifest/{p.one.digest}/labels", {"key": key, "value": value, "media_type": None})


# What is tried, and what a tag that is not immutable would answer; then what an immutable one answers.
WAYS = {
    "push of another manifest": (lambda p: p.oci.put_manifest(p.repo, "t", p.two), 201, 409),
    "push by digest with ?tag=": (lambda p: p.oci.put_manifest(p.repo, p.two.digest, p.two, params={"tag": "t"}), 201, 409),
    "push of the same again": (lambda p: p.oci.put_manifest(p.repo, "t", p.one), 201, 201),
    "DELETE of the tag over /v2": (lambda p: p.oci.delete(f"/v2/{p.repo}/manifests/t"), 202, 409),
    "DELETE of the digest over /v2": (lambda p: p.oci.delete(f"/v2/{p.repo}/manifests/{p.one.digest}"), 202, 409),
    "move over the API": (lambda p: p.tag("t", manifest_digest=p.two.digest), 201, 409),
    "the same over the API": (lambda p: p.tag("t", manifest_digest=p.one.digest), 201, 201),
    "restore of another": (lambda p: p.tag("t", "restore", manifest_digest=p.two.digest), 200, 409),
    "expiry": (lambda p: p.tag("t", expiration=SOON), 201, 400),
    "removal of an expiry": (lambda p: p.tag("t", expiration=None), 201, 400),
    "DELETE over the API": (lambda p: p.web.delete(f"repository/{p.repo}/tag/t"), 204, 409),
    "out of the time machine": (lambda p: p.tag("t", "expire", is_alive=True, manifest_digest=p.one.digest), 200, 409),
    "label that expires": (lambda p: label(p, "quay.expires-after", "1d"), 201, 201),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("state", ["free", "by push", "before the policy"])
def test_every_way_to_change_a_tag(place, way, state):
    act, free, refused = WAYS[way]
    if state == "by push":
        place.policy("t")
    place.push("t")
    place.push("other", place.two)
    if state == "before the policy":
        place.policy("[s-u]")
    before = place.rows("t")
    assert before == [(place.one.digest, state == "by push", False, False)]
    r = act(place)
    assert r.status_code == (free if state == "free" else refused), r.text
    if state != "free":
        assert place.rows("t") == before, "nothing was changed"
        assert place.oci.get(f"/v2/{place.repo}/manifests/t").headers["Docker-Content-Digest"] == place.one.digest
        if r.status_code == 409 and "/v2/" in r.request.url:
            assert oci.error_code(r) == "TAG_IMMUTABLE"
        elif r.status_code == 409:
            api.error(r, 409, "tag_immutable")
    elif "same" not in way and way != "removal of an expiry":
        assert place.rows("t") != before


def test_a_label_that_expires_leaves_the_held_alone(place):
    """Of two tags of one manifest the policy holds one."""
    place.push("t")
    place.push("loose")
    place.policy("t")
    assert label(place, "quay.expires-after", "1d").status_code == 201
    assert [r[3] for r in place.rows("t") + place.rows("loose")] == [False, True]


@pytest.mark.parametrize("how", ["push", "create", "move", "restore"])
def test_made_immutable_by_policy(place, how, held):
    place.push("base")
    place.push("two", place.two)
    if how in ("move", "restore"):
        place.policy("x.*")
        place.push("v1", place.two)
        place.policy("w.*|never")
    name = "w1" if how in ("push", "create") else "v1"
    uuid = None
    if how in ("push", "create"):
        place.policy("w.*")
    if how == "push":
        assert place.push("w1").status_code == 201
    elif how == "create":
        assert place.tag("w1", manifest_digest=place.one.digest).status_code == 201
    else:
        uuid = place.web.get(f"repository/{place.repo}/immutabilitypolicy/").json()["policies"][1]["uuid"]
        # through with the tags of before, then changed so that it wants the name: only new rows
        held.sql("UPDATE immutability_policy SET tag_pattern = 'v.*', backfill_after_id = NULL WHERE uuid = %s", uuid)
        verb = {"manifest_digest": place.one.digest}
        assert (place.tag("v1", **verb) if how == "move" else place.tag("v1", "restore", **verb)).status_code in (200, 201)
    assert place.rows(name)[-1] == (place.one.digest, True, False, False)
    repo = place.repo.split("/")[1]
    assert [m[2]["tag"] for m in api.logs(held, "tag_made_immutable_by_policy", repo=repo)] == [name]


def test_expiry_by_label_gives_way(place):
    """An image that asks for an end of its tags, under a policy that holds them."""
    m = oci.image(1, 300, labels={"quay.expires-after": "1d"})
    place.policy("t")
    place.push("t", m)
    place.push("u", m)
    assert place.rows("t") == [(m.digest, True, False, False)] and place.rows("u") == [(m.digest, False, False, True)]


@pytest.mark.parametrize("when", ["made under the policy", "before the policy"])
def test_an_administrator_lets_go(place, held, when):
    """It stays so, whenever the job comes; a policy that is written later holds the tag again."""
    if when == "made under the policy":
        place.policy("t.*")
    for t in ("t", "t2"):
        place.push(t)
    if when != "made under the policy":
        place.policy("t.*")
    assert place.tag("t", immutable=False).status_code == 201
    held.sql("UPDATE immutability_policy SET changed_ms = changed_ms - 120000 WHERE backfill_after_id IS NOT NULL")
    Jobs(held).run("kade-immutable")
    assert not place.rows("t")[0][1] and place.rows("t2")[0][1]
    assert place.web.delete(f"repository/{place.repo}/tag/t").status_code == 204
    assert place.web.delete(f"repository/{place.repo}/tag/t2").status_code == 409
    assert place.tag("t2", immutable=False).status_code == 201
    place.policy("t2")
    assert place.web.delete(f"repository/{place.repo}/tag/t2").status_code == 409


def test_a_removed_policy_leaves_its_marks(place):
    uuid = place.policy("t")
    place.push("t")
    place.web.delete(f"repository/{place.repo}/immutabilitypolicy/{uuid}")
    place.push("t2")
    assert place.rows("t")[0][1] and not place.rows("t2")[0][1]
    assert place.oci.put_manifest(place.repo, "t", place.two).status_code in (404, 409, 400)


class TestJob:
    @pytest.fixture
    def jobs(self, held):
        return Jobs(held)

    def due(self, held):
        held.sql("UPDATE immutability_policy SET changed_ms = changed_ms - 120000 WHERE backfill_after_id IS NOT NULL")

    def test_marks_what_was_there(self, held, place, jobs):
        for t in ("v1", "v2", "dev", "gone"):
            place.push(t)
        place.web.delete(f"repository/{place.repo}/tag/gone")
        place.tag("v2", expiration=SOON)
        place.policy("v.*|gone")
        jobs.run("kade-immutable")
        assert not place.rows("v1")[0][1], "a push that read the policies before may still be on its way"
        self.due(held)
        jobs.run("kade-immutable")
        assert place.rows("v1") == [(place.one.digest, True, False, False)] and place.rows("v2") == [(place.one.digest, True, False, False)]
        assert not place.rows("dev")[0][1] and not place.rows("gone")[0][1]
        assert held.sql("SELECT backfill_after_id, backfilled FROM immutability_policy p JOIN repository r ON r.id = p.repository_id WHERE r.name = %s",
                        place.repo.split("/")[1]) == [(None, 2)]
        (row,) = api.logs(held, "tags_made_immutable_by_policy", repo=place.repo.split("/")[1])
        assert row[2] == {"namespace": "admin", "repo": place.repo.split("/")[1], "tag_pattern": "v.*|gone", "tag_pattern_matches": True, "count": 2}
        assert json.loads(jobs.run("kade-immutable", "--status").stdout)["exit"] == 0

    def test_an_organization_in_slices(self, held, admin, web, jobs):
        org = api.organization(held, web)
        m = oci.image(1, 300)
        repos = [f"{org}/r{i}" for i in range(3)]
        for r, t in itertools.product(repos, ("a", "b")):
            admin.push(r, t, m)
        assert web.post(f"organization/{org}/immutabilitypolicy/", {"tagPattern": "a", "tagPatternMatches": False}).status_code == 201
        self.due(held)
        jobs.run("kade-immutable", "--max-items", "2", code=6)
        marked = "SELECT count(*) FROM tag t JOIN repository r ON r.id = t.repository_id JOIN account n ON n.id = r.namespace_id WHERE n.name = %s AND t.is_immutable"
        assert 0 < held.sql(marked, org)[0][0] < 3
        jobs.run("kade-immutable")
        assert held.sql(marked, org) == [(3,)]
        (row,) = api.logs(held, "tags_made_immutable_by_policy", namespace=org)
        assert row[2]["count"] == 3 and "repo" not in row[2]

    def test_a_change_begins_anew(self, held, place, jobs):
        place.push("v1")
        place.push("w1")
        uuid = place.policy("v.*")
        self.due(held)
        jobs.run("kade-immutable")
        assert place.web.put(f"repository/{place.repo}/immutabilitypolicy/{uuid}", {"tagPattern": "w.*"}).status_code == 204
        assert place.web.delete(f"repository/{place.repo}/tag/w1").status_code == 409
        self.due(held)
        jobs.run("kade-immutable")
        assert place.rows("w1")[0][1] and place.rows("v1")[0][1]

    def test_off(self, stack):
        Jobs(stack).run("kade-immutable", code=3)


class TestSignatures:
    """Tags that cosign makes end when no other live tag is left on their image."""

    @pytest.fixture
    def signed(self, place):
        place.push("t")
        self.sig = "sha256-" + place.one.digest.split(":")[1] + ".sig"
        place.push(self.sig, oci.artifact())
        place.stack.sql("INSERT INTO tag_pull (repository_id, tag_name, pulls, last_ms) SELECT id, x, 3, kade_now_ms() FROM repository, unnest(%s) x WHERE name = %s",
                        ["t", self.sig], place.repo.split("/")[1])
        return place

    def pulls(self, place):
        return place.stack.sql("SELECT count(*) FROM tag_pull p JOIN repository r ON r.id = p.repository_id WHERE r.name = %s", place.repo.split("/")[1])[0][0]

    @pytest.mark.parametrize("how", ["v2 tag", "v2 digest", "api", "push", "move"])
    def test_end_with_the_image(self, signed, how):
        if how == "v2 tag":
            assert signed.oci.delete(f"/v2/{signed.repo}/manifests/t").status_code == 202
        elif how == "v2 digest":
            assert signed.oci.delete(f"/v2/{signed.repo}/manifests/{signed.one.digest}").status_code == 202
        elif how == "api":
            assert signed.web.delete(f"repository/{signed.repo}/tag/t").status_code == 204
        else:
            signed.push("other", signed.two)
            if how == "push":
                assert signed.push("t", signed.two).status_code == 201
            else:
                assert signed.tag("t", manifest_digest=signed.two.digest).status_code == 201
        assert [r[2] for r in signed.rows(self.sig)] == [True]
        assert self.pulls(signed) == (1 if how in ("push", "move") else 0), "counts go with deleted tags"

    def test_stay_with_another_tag(self, signed):
        signed.push("t2")
        assert signed.oci.delete(f"/v2/{signed.repo}/manifests/t").status_code == 202
        assert [r[2] for r in signed.rows(self.sig)] == [False] and self.pulls(signed) == 1

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_held_ones_stay(self, signed, when):
        signed.policy("sha256-.*")
        if when == "before":
            signed.stack.sql("UPDATE tag SET is_immutable = true WHERE name = %s", self.sig)
        assert signed.oci.delete(f"/v2/{signed.repo}/manifests/t").status_code == 202
        assert [r[2] for r in signed.rows(self.sig)] == [False]
