"""kade-autoprune: tags go by the policies of organizations, users, repositories and the configuration; what stays; the log; runs
that are stopped; the dry run and the preview name each tag and why."""

import json
import secrets

import pytest

import api
import oci
from test_jobs import Jobs

DAY_MS = 86400000


@pytest.fixture(scope="module")
def pruned(make_stack):
    return make_stack("lighttpd", name="pruned", FEATURE_AUTO_PRUNE=True, FEATURE_IMMUTABLE_TAGS=True, FEATURE_IMAGE_PULL_STATS=True, FEATURE_RATE_LIMITS=False)


@pytest.fixture(scope="module")
def admin(pruned):
    return pruned.superuser()


@pytest.fixture(scope="module")
def web(pruned):
    return api.Session(pruned, "admin")


class Org:
    def __init__(self, stack, admin, web):
        self.stack, self.admin, self.web = stack, admin, web
        self.name = api.organization(stack, web)
        self.image = oci.image(1, 200)

    def tags(self, repo, *ages):
        """Tags with their ages in days: "v1/30"."""
        for a in ages:
            name, days = a.rsplit("/", 1)
            self.admin.push(f"{self.name}/{repo}", name, self.image)
            self.stack.sql("UPDATE tag t SET start_ms = t.start_ms - %s FROM repository r, account n WHERE r.id = t.repository_id AND n.id = r.namespace_id"
                           " AND n.name = %s AND r.name = %s AND t.name = %s AND t.ended_ms IS NULL", int(float(days) * DAY_MS) + 1000, self.name, repo, name)

    def policy(self, method, value, pattern=None, matches=None, repo=None):
        path = f"repository/{self.name}/{repo}" if repo else f"organization/{self.name}"
        r = self.web.post(f"{path}/autoprunepolicy/", {"method": method, "value": value, "tagPattern": pattern, "tagPatternMatches": matches})
        assert r.status_code == 201, r.text
        return r.json()["uuid"]

    def left(self, repo):
        return set(self.admin.get(f"/v2/{self.name}/{repo}/tags/list").json()["tags"] or [])

    def run(self, *words, code=0):
        return Jobs(self.stack).summary("kade-autoprune", "--namespace", self.name, *words, code=code)

    def preview(self, repo=None):
        path = f"ui/repository/{self.name}/{repo}" if repo else f"ui/organization/{self.name}"
        r = self.web.get(f"{path}/autoprunepreview")
        assert r.status_code == 200, r.text
        return r.json()

    def task(self):
        return self.stack.sql("SELECT t.status, t.after_repository_id, t.last_ran_ms IS NOT NULL FROM prune_task t JOIN account a ON a.id = t.namespace_id WHERE a.name = %s", self.name)


@pytest.fixture
def org(pruned, admin, web):
    return Org(pruned, admin, web)


AGES = ("new/0", "v3/2", "dev/3", "v2/8", "old/20", "v1/40")


@pytest.mark.parametrize("policies, gone", [
    ([("creation_date", "7d")], {"v2", "old", "v1"}),
    ([("creation_date", "1d", "^v")], {"v3", "v2", "v1"}),
    ([("creation_date", "1d", "^v", False)], {"dev", "old"}),
    ([("number_of_tags", 2)], {"dev", "v2", "old", "v1"}),
    ([("number_of_tags", 1, "^v[0-9]")], {"v2", "v1"}),
    ([("number_of_tags", 4), ("creation_date", "30d")], {"old", "v1"}),
    ([("number_of_tags", 2), ("creation_date", "1d", "^v")], {"v3", "v2", "v1", "old"}),
    ([("number_per_group", 1, "^(v|[a-z]{3})")], {"v2", "v1"}),
    ([("number_of_tags", 100)], set()),
], ids=str)
@pytest.mark.parametrize("of", ["organization", "repository"])
def test_what_goes(org, policies, gone, of):
    """The dry run and the preview say the same beforehand, the log afterwards; the time machine has it."""
    org.tags("app", *AGES)
    org.tags("other", *AGES)
    uuids = [org.policy(*p, repo="app" if of == "repository" else None) for p in policies]
    repos = ("app", "other") if of == "organization" else ("app",)
    seen = org.preview("app")
    assert {t["name"] for t in seen["tags"]} == gone and not seen["has_additional"] and {t["policy_uuid"] for t in seen["tags"]} <= set(uuids)
    assert all(t["reason"] and t["policy_of"] == ("repository" if of == "repository" else "namespace") and t["repository"] == "app" for t in seen["tags"])
    assert {(t["repository"], t["name"]) for t in org.preview()["tags"]} == {(r, g) for r in repos for g in gone}
    dry = Jobs(org.stack).run("kade-autoprune", "--dry-run", "--namespace", org.name).stdout
    assert sorted(line.split("  ")[0] for line in dry.splitlines() if line.startswith(org.name)) == sorted(f"{org.name}/{r}:{g}" for r in repos for g in gone)
    assert org.left("app") == {a.split("/")[0] for a in AGES}, "so far nothing was changed"
    org.run()
    kept = {a.split("/")[0] for a in AGES} - gone
    assert org.left("app") == kept and org.left("other") == (kept if of == "organization" else {a.split("/")[0] for a in AGES})
    rows = api.logs(org.stack, "autoprune_tag_delete", namespace=org.name)
    assert sorted((m["repo"], m["tag"]) for _, _, m in rows) == sorted((r, g) for r in repos for g in gone)
    assert all(who is None and set(m) == {"performer", "namespace", "repo", "tag"} and m["performer"] == "autoprune worker" for _, who, m in rows)
    assert org.task() == [("success", None, True)]
    for g in gone:
        assert org.web.post(f"repository/{org.name}/app/tag/{g}/restore", {"manifest_digest": org.image.digest}).status_code == 200


def test_what_stays(org, pruned):
    """Immutable tags, those that a policy holds, signatures of images that stay; they are not counted either."""
    org.tags("app", "a/1", "pinned/2", "held/3", "b/4", "c/5")
    sig = "sha256-" + org.image.digest.split(":")[1] + ".sig"
    org.admin.push(f"{org.name}/app", sig, oci.artifact())
    pruned.sql("UPDATE tag SET is_immutable = true WHERE name = 'pinned'")
    assert org.web.post(f"organization/{org.name}/immutabilitypolicy/", {"tagPattern": "held"}).status_code == 201
    org.policy("number_of_tags", 2)
    assert {t["name"] for t in org.preview()["tags"]} == {"c"}
    org.run()
    assert org.left("app") == {"a", "pinned", "held", "b", sig}


def test_signatures_go_with_their_image(org):
    org.tags("app", "a/1")
    m = oci.image(1, 100)
    org.admin.push(f"{org.name}/app", "old", m)
    sig = "sha256-" + m.digest.split(":")[1] + ".sig"
    org.admin.push(f"{org.name}/app", sig, oci.artifact())
    org.stack.sql("UPDATE tag SET start_ms = start_ms - %s WHERE name = 'old'", 9 * DAY_MS)
    org.policy("creation_date", "7d")
    org.run()
    assert org.left("app") == {"a"}


@pytest.mark.parametrize("state", [1, 2])
def test_only_normal_repositories(org, state):
    org.tags("app", "a/9")
    org.stack.sql("UPDATE repository r SET state = %s FROM account n WHERE n.id = r.namespace_id AND n.name = %s", state, org.name)
    org.policy("creation_date", "7d")
    assert org.preview()["tags"] == []
    org.run()
    assert org.stack.sql("SELECT t.ended_ms FROM tag t JOIN repository r ON r.id = t.repository_id JOIN account n ON n.id = r.namespace_id WHERE n.name = %s", org.name) == [(None,)]


def test_not_pulled(org, pruned, admin):
    """Pulls by tag and by digest keep a tag; so does the time before the policy, and an inbox that nobody files."""
    org.tags("app", "tag-pulled/40")
    org.image = oci.image(1, 170)
    org.tags("app", "never/40", "new/1")
    other = oci.image(1, 150)
    org.admin.push(f"{org.name}/app", "digest-pulled", other)
    pruned.sql("UPDATE tag SET start_ms = start_ms - %s WHERE name = 'digest-pulled'", 40 * DAY_MS)
    admin.get(f"/v2/{org.name}/app/manifests/tag-pulled")
    admin.get(f"/v2/{org.name}/app/manifests/{other.digest}")
    Jobs(pruned).run("kade-audit")
    uuid = org.policy("not_pulled", "30d")
    assert org.preview()["tags"] == []
    org.run()
    assert org.left("app") == {"tag-pulled", "never", "new", "digest-pulled"}
    pruned.sql("UPDATE prune_policy SET changed_ms = changed_ms - %s WHERE uuid = %s", 31 * DAY_MS, uuid)
    assert [(t["name"], t["method"], t["last_pulled_ts"]) for t in org.preview()["tags"]] == [("never", "not_pulled", None)]
    pruned.sql("INSERT INTO audit_inbox (kind, at_ms) SELECT id, kade_now_ms() - 7200000 FROM audit_kind WHERE name = 'pull_repo'")
    assert org.preview() == {"tags": [], "has_additional": False, "pulls_known": False}
    org.run()
    assert org.left("app") == {"tag-pulled", "never", "new", "digest-pulled"}
    Jobs(pruned).run("kade-audit")
    org.run()
    assert org.left("app") == {"tag-pulled", "new", "digest-pulled"}


def test_new_methods_are_checked(org, stack):
    path = f"organization/{org.name}/autoprunepolicy/"
    for body in ({"method": "not_pulled", "value": 3}, {"method": "not_pulled", "value": "x"}, {"method": "number_per_group", "value": 3},
                 {"method": "number_per_group", "value": "3", "tagPattern": "(a)"}, {"method": "number_per_group", "value": 3, "tagPattern": "(a)", "tagPatternMatches": False}):
        api.error(org.web.post(path, body), 400, "invalid_request")
    org.policy("number_per_group", 3, "(a)")
    assert org.web.get(path).json()["policies"][0]["value"] == 3


@pytest.mark.config(FEATURE_AUTO_PRUNE=True, FEATURE_IMAGE_PULL_STATS=False)
def test_pulls_that_nobody_counts(alone):
    web = api.Session(alone, "admin")
    api.error(web.post("user/autoprunepolicy/", {"method": "not_pulled", "value": "3d"}), 400, "invalid_request")


def test_own_namespace(pruned):
    who = api.person(pruned)
    c = pruned.client(who.user)
    for t in ("a", "b"):
        c.push(f"{who.user}/app", t, oci.image(1, 100))
    assert who.get("ui/user/autoprunepreview").json()["tags"] == []
    who.post("user/autoprunepolicy/", {"method": "number_of_tags", "value": 1})
    assert [t["name"] for t in who.get("ui/user/autoprunepreview").json()["tags"]] == ["a"]
    Jobs(pruned).run("kade-autoprune", "--namespace", who.user)
    assert c.get(f"/v2/{who.user}/app/tags/list").json()["tags"] == ["b"]


def test_the_interval(org, pruned):
    """A namespace is due again an hour after its last run; one that is disabled is not."""
    org.tags("app", "a/9")
    org.policy("creation_date", "7d")
    jobs = Jobs(pruned)
    jobs.run("kade-autoprune")
    assert org.left("app") == set() and org.task() == [("success", None, True)]
    org.tags("app", "b/9")
    jobs.run("kade-autoprune")
    assert org.left("app") == {"b"}
    assert jobs.summary("kade-autoprune")["selected"] == 0
    pruned.sql("UPDATE prune_task SET last_ran_ms = last_ran_ms - 3600001")
    pruned.sql("UPDATE account SET is_enabled = false WHERE name = %s", org.name)
    jobs.run("kade-autoprune")
    assert jobs.summary("kade-autoprune")["backlog"] == 0
    pruned.sql("UPDATE account SET is_enabled = true WHERE name = %s", org.name)
    jobs.run("kade-autoprune")
    assert org.left("app") == set()


def test_a_run_that_ends_early_goes_on(org, pruned):
    for i in range(4):
        org.tags(f"r{i}", "a/9")
    org.policy("creation_date", "7d")
    org.run("--max-items", "2", code=6)
    gone = [i for i in range(4) if not org.left(f"r{i}")]
    assert 0 < len(gone) < 4 and org.task()[0][0] == "running" and org.task()[0][1] is not None
    org.run()
    assert not any(org.left(f"r{i}") for i in range(4)) and org.task() == [("success", None, True)]


def test_one_repository_alone(org):
    for r in ("a", "b"):
        org.tags(r, "x/9")
    org.policy("creation_date", "7d")
    Jobs(org.stack).run("kade-autoprune", "--repository", f"{org.name}/b")
    assert org.left("a") == {"x"} and org.left("b") == set() and org.task() == [("queued", None, False)]


def test_many_tags(org, pruned):
    """More than a page, and a page of tags that started at the same moment."""
    org.tags("app", "seed/1")
    pruned.sql("INSERT INTO tag (repository_id, manifest_id, name, start_ms) SELECT t.repository_id, t.manifest_id, 'n' || g, t.start_ms - 10 * 86400000::int8 - g / 1500"
               " FROM tag t JOIN repository r ON r.id = t.repository_id JOIN account n ON n.id = r.namespace_id, generate_series(1, 3100) g WHERE n.name = %s", org.name)
    org.policy("number_of_tags", 51)
    seen = org.preview()
    assert len(seen["tags"]) == 1000 and seen["has_additional"]
    org.run()
    assert pruned.sql("SELECT count(*) FROM tag t JOIN repository r ON r.id = t.repository_id JOIN account n ON n.id = r.namespace_id WHERE n.name = %s AND t.ended_ms IS NULL", org.name) == [(51,)]
    assert len(api.logs(pruned, "autoprune_tag_delete", namespace=org.name)) == 3050


def test_while_a_tag_is_pushed_again(org, pruned):
    """The row that was selected has ended: the new one stays. A trigger moves the tag when the job is about to end it."""
    org.tags("app", "a/9")
    org.policy("creation_date", "7d")
    new = oci.image(1, 100)
    for b in new.blobs:
        org.admin.push_blob(f"{org.name}/app", b)
    import psycopg2
    import threading

    with psycopg2.connect(pruned.uri) as db, db.cursor() as cur:
        cur.execute("SELECT t.id FROM tag t JOIN repository r ON r.id = t.repository_id JOIN account n ON n.id = r.namespace_id WHERE n.name = %s FOR UPDATE OF t", (org.name,))
        t = threading.Thread(target=org.run)
        t.start()
        from stack import until
        until(lambda: pruned.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")[0][0] >= 1, what="the job to wait")
        cur.execute("UPDATE tag t SET ended_ms = kade_now_ms() FROM repository r, account n WHERE r.id = t.repository_id AND n.id = r.namespace_id AND n.name = %s", (org.name,))
        cur.execute("INSERT INTO tag (repository_id, manifest_id, name) SELECT t.repository_id, t.manifest_id, t.name FROM tag t JOIN repository r ON r.id = t.repository_id"
                    " JOIN account n ON n.id = r.namespace_id WHERE n.name = %s", (org.name,))
    t.join(60)
    assert org.left("app") == {"a"}
    assert api.logs(pruned, "autoprune_tag_delete", namespace=org.name) == []


@pytest.mark.config(FEATURE_AUTO_PRUNE=True, DEFAULT_NAMESPACE_AUTOPRUNE_POLICY={"method": "number_of_tags", "value": 2})
def test_the_policy_of_the_configuration(alone):
    """For every namespace, once a day, beside the policies of their own."""
    root, jobs = alone.superuser(), Jobs(alone)
    api.organization(alone, "admin", "acme")
    for repo in ("admin/a", "acme/b"):
        for t in ("x", "y", "z"):
            root.push(repo, t, oci.image(1, 100))
    web = api.Session(alone, "admin")
    assert [(t["name"], t["policy_uuid"], t["policy_of"]) for t in web.get("ui/user/autoprunepreview").json()["tags"]] == [("x", None, "registry")]
    assert "acme/b:x  not among the newest 2 (DEFAULT_NAMESPACE_AUTOPRUNE_POLICY)" in jobs.run("kade-autoprune", "--dry-run").stdout
    jobs.run("kade-autoprune", "--max-items", "1", code=6)
    assert alone.sql("SELECT after_repository_id IS NOT NULL, last_ran_ms FROM prune_default") == [(True, None)]
    jobs.run("kade-autoprune")
    for repo in ("admin/a", "acme/b"):
        assert root.get(f"/v2/{repo}/tags/list").json()["tags"] == ["y", "z"]
        root.push(repo, "w", oci.image(1, 100))
    assert jobs.summary("kade-autoprune")["selected"] == 0
    assert alone.sql("SELECT after_repository_id, last_ran_ms IS NOT NULL FROM prune_default") == [(None, True)]


def test_off(stack):
    Jobs(stack).run("kade-autoprune", code=3)
    admin = api.Session(stack, "admin")
    assert admin.get("ui/user/autoprunepreview").status_code == 404
