"""Quotas at work: what is refused and when, sizes after parallel pushes, the ledger with and without a job that folds it, what the
people of a namespace hear, and the weekly comparison."""

import collections
import concurrent.futures
import contextlib
import json
import os
import secrets
import signal
import threading

import psycopg2
import pytest

import api
import oci
from stack import until
from test_jobs import Jobs

KIB = 1024


@pytest.fixture(scope="module")
def tight(make_stack):
    return make_stack("lighttpd", name="tight", FEATURE_QUOTA_MANAGEMENT=True, FEATURE_SUPERUSERS_FULL_ACCESS=True, FEATURE_RATE_LIMITS=False,
                      FEATURE_QUOTA_NOTIFICATIONS=True, KADE={"ANONYMOUS_MOUNT": True})


@pytest.fixture(scope="module")
def root(tight):
    return tight.superuser()


@pytest.fixture(scope="module")
def web(tight):
    return api.Session(tight, "admin")


@pytest.fixture
def org(tight):
    return api.organization(tight, "admin")


def limit(tight, org, size, reject=100, warning=None):
    """Rows as the REST API writes them (test_api_quota.py)."""
    tight.sql("DELETE FROM quota q USING account a WHERE a.id = q.namespace_id AND a.name = %s", org)
    tight.sql("INSERT INTO quota (namespace_id, limit_bytes) SELECT id, %s FROM account WHERE name = %s", size, org)
    for kind, percent in ((1, warning), (2, reject)):
        if percent:
            tight.sql("INSERT INTO quota_limit (namespace_id, kind, percent) SELECT id, %s, %s FROM account WHERE name = %s", kind, percent, org)


def used(tight, org):
    return tight.sql("SELECT kade_quota_used(id) FROM account WHERE name = %s", org)[0][0]


def fresh_sum(tight, org):
    """Each blob of the namespace that a manifest refers to, once."""
    return tight.sql(
        "SELECT COALESCE(sum(size_bytes), 0)::int8 FROM blob WHERE id IN (SELECT mb.blob_id FROM manifest_blob mb JOIN repository r ON r.id = mb.repository_id"
        " JOIN account n ON n.id = r.namespace_id WHERE n.name = %s)", org)[0][0]


def repository_sizes(tight, org):
    return dict(tight.sql("SELECT r.name, kade_repository_size(r.id) FROM repository r JOIN account n ON n.id = r.namespace_id WHERE n.name = %s", org))


def size_of(m):
    return sum(len(b) for b in m.blobs)


def refused(r):
    assert r.status_code == 403, f"{r.status_code} {r.text[:300]}"
    (e,) = r.json()["errors"]
    assert e["code"] == "DENIED" and e["message"] == "Quota has been exceeded on namespace", e


def notes(tight, org):
    return [(k, json.loads(m)) for k, m in tight.sql(
        "SELECT o.kind, o.metadata FROM account_notification o JOIN account a ON a.id = o.account_id WHERE a.name = %s ORDER BY o.id", org)]


class TestRefusals:
    def test_each_request_when_full(self, tight, root, org):
        m = oci.image(2, 3000)
        root.push(f"{org}/a", "t", m)
        limit(tight, org, size_of(m))
        data = os.urandom(500)
        refused(root.call("POST", f"/v2/{org}/a/blobs/uploads/"))
        refused(root.call("POST", f"/v2/{org}/new/blobs/uploads/"))
        assert not tight.sql("SELECT 1 FROM repository r JOIN account n ON n.id = r.namespace_id WHERE n.name = %s AND r.name = 'new'", org)
        refused(root.call("POST", f"/v2/{org}/a/blobs/uploads/", params={"digest": oci.digest(data)}, data=data))
        refused(root.call("POST", f"/v2/{org}/b/blobs/uploads/", params={"mount": oci.digest(m.blobs[1]), "from": f"{org}/a"}))
        refused(root.put_manifest(f"{org}/a", "u", m))
        refused(root.put_manifest(f"{org}/a", m.digest, m))
        assert root.get(f"/v2/{org}/a/tags/list").json()["tags"] == ["t"]
        root.pull(f"{org}/a", "t", m)                             # reading goes on
        assert root.delete(f"/v2/{org}/a/manifests/t").status_code == 202
        assert notes(tight, org) == [("quota_error", {"namespace": org, "severity": "Reject"})], "told once"

    def test_the_chunk_that_goes_over(self, tight, root, org):
        """It is taken; the next request of the upload is refused and ends it; a smaller upload then succeeds."""
        repo = f"{org}/a"
        limit(tight, org, 10 * KIB)
        start = root.start_upload(repo)
        over = root.patch(start, os.urandom(11 * KIB))
        assert over.status_code == 202
        refused(root.patch(over.headers["Location"], b"more"))
        assert root.patch(over.headers["Location"], b"more").status_code == 404
        start = root.start_upload(repo)
        data = os.urandom(12 * KIB)
        over = root.patch(start, data)
        refused(root.finish(over.headers["Location"], oci.digest(data)))
        until(lambda: not [f for f in tight.stored_files() if f.startswith("uploads/")], what="the bytes' end")
        assert tight.sql("SELECT count(*) FROM upload") == [(0,)]
        m = oci.image(1, 2000)
        assert root.push(repo, "t", m).status_code == 201
        assert used(tight, org) == size_of(m)

    def test_a_manifest_that_goes_over(self, tight, root, org):
        """Nothing of it stays; a smaller image fits."""
        repo, m, small = f"{org}/a", oci.image(1, 9000), oci.image(1, 1000)
        root.push(repo, "first", small)
        for b in m.blobs:
            assert root.push_blob(repo, b).status_code == 201
        limit(tight, org, size_of(small) + size_of(m))            # reached counts as over
        refused(root.put_manifest(repo, "t", m))
        refused(root.put_manifest(repo, m.digest, m))
        assert not tight.sql("SELECT 1 FROM manifest WHERE digest = %s", m.digest)
        assert used(tight, org) == size_of(small) == repository_sizes(tight, org)["a"]
        limit(tight, org, size_of(small) + size_of(m) + 1)
        assert root.put_manifest(repo, "t", m).status_code == 201
        assert used(tight, org) == size_of(small) + size_of(m)

    def test_the_least_reject_decides(self, tight, root, org):
        """A warning above it does not lift it (Quay takes the largest limit that is passed)."""
        m = oci.image(1, 5000)
        root.push(f"{org}/a", "t", m)
        limit(tight, org, size_of(m), reject=50, warning=90)
        refused(root.call("POST", f"/v2/{org}/a/blobs/uploads/"))

    def test_no_limits_no_refusal(self, tight, root, org):
        """A quota without limits refuses nothing, and switches the registry's own off."""
        m = oci.image(1, 5000)
        root.push(f"{org}/a", "t", m)
        limit(tight, org, 1, reject=None)
        assert root.push(f"{org}/a", "u", oci.image(1, 500)).status_code == 201

    def test_namespaces_are_apart(self, tight, root, org):
        other = api.organization(tight, "admin")
        m = oci.image(1, 5000)
        root.push(f"{org}/a", "t", m)
        limit(tight, org, 1)
        refused(root.call("POST", f"/v2/{org}/a/blobs/uploads/"))
        assert root.push(f"{other}/a", "t", m).status_code == 201


class TestSizes:
    def test_shared_blobs_count_once(self, tight, root, org):
        base = oci.tar_layer(20_000)
        images = [oci.image([base, oci.tar_layer(500, str(i))]) for i in range(4)]
        for i, m in enumerate(images):
            root.push(f"{org}/r{i % 2}", f"t{i}", m)
        assert used(tight, org) == fresh_sum(tight, org) == sum(map(size_of, images)) - 3 * len(base[0])
        assert repository_sizes(tight, org) == {f"r{n}": sum(map(size_of, images[n::2])) - len(base[0]) for n in (0, 1)}
        root.push(f"{org}/r0", "again", images[0])
        root.push(f"{org}/r0", "t0", images[2])
        assert used(tight, org) == fresh_sum(tight, org)

    def test_fold(self, tight, root, org):
        for i in range(5):
            root.push(f"{org}/r{i % 2}", f"t{i}", oci.image(1, 500))
        before, sizes = used(tight, org), repository_sizes(tight, org)
        Jobs(tight).run("kade-quota")
        assert tight.sql("SELECT count(*) FROM quota_ledger") == [(0,)]
        assert used(tight, org) == before == fresh_sum(tight, org) and repository_sizes(tight, org) == sizes
        root.push(f"{org}/r0", "more", oci.image(1, 500))
        Jobs(tight).run("kade-quota")
        assert used(tight, org) == fresh_sum(tight, org)

    def test_a_push_folds_a_long_ledger(self, tight, root, org):
        """With cron stopped."""
        limit(tight, org, 1 << 40)
        root.push(f"{org}/a", "t", oci.image(1, 500))
        tight.sql("INSERT INTO quota_ledger (namespace_id, delta_bytes) SELECT a.id, 0 FROM account a, generate_series(1, 1100) WHERE a.name = %s", org)
        root.push(f"{org}/a", "u", oci.image(1, 500))
        ledger = "SELECT count(*) FROM quota_ledger l JOIN account a ON a.id = l.namespace_id WHERE a.name = %s"
        assert tight.sql(ledger, org) == [(0,)]
        assert used(tight, org) == fresh_sum(tight, org)

    def test_registry_size(self, tight, root, org, web):
        root.push(f"{org}/a", "t", oci.image(1, 500))
        assert web.post("superuser/registrysize/", {"namespace": ""}).status_code == 201
        tight.sql("UPDATE registry_size SET is_queued = false, is_running = true, after_blob_id = 1, partial_bytes = (SELECT COALESCE(sum(size_bytes), 0) FROM blob WHERE id <= 1)")
        Jobs(tight).run("kade-quota")                             # a run that died goes on where it was
        real = tight.sql("SELECT sum(size_bytes)::int8 FROM blob")[0][0]
        got = web.get("superuser/registrysize/").json()
        assert got["size_bytes"] == real and not got["queued"] and not got["running"] and got["last_ran"] > 0
        root.push(f"{org}/a", "u", oci.image(1, 500))
        assert web.post("superuser/registrysize/", {"namespace": ""}).status_code == 201
        Jobs(tight).run("kade-quota")
        assert web.get("superuser/registrysize/").json()["size_bytes"] == tight.sql("SELECT sum(size_bytes)::int8 FROM blob")[0][0]

    def test_verify_puts_right(self, tight, root, org):
        for i in range(3):
            root.push(f"{org}/r{i}", "t", oci.image(2, 500))
        Jobs(tight).run("kade-quota")
        want, sizes = used(tight, org), repository_sizes(tight, org)
        mine = "(SELECT id FROM account WHERE name = %s)"
        gone = tight.sql(f"DELETE FROM namespace_blob WHERE namespace_id = {mine} AND blob_id = (SELECT min(blob_id) FROM namespace_blob WHERE namespace_id = {mine}) RETURNING blob_id", org, org)
        assert gone
        tight.sql(f"INSERT INTO namespace_blob SELECT {mine}, b.id FROM blob b WHERE NOT EXISTS (SELECT 1 FROM namespace_blob x WHERE x.blob_id = b.id) ORDER BY b.id DESC LIMIT 2", org)
        tight.sql(f"INSERT INTO namespace_blob SELECT {mine}, (SELECT blob_id FROM namespace_blob WHERE namespace_id <> {mine} LIMIT 1)", org, org)
        tight.sql(f"UPDATE quota_total SET used_bytes = used_bytes + 12345 WHERE namespace_id = {mine}", org)
        tight.sql("UPDATE repository_size SET size_bytes = 7 WHERE repository_id = (SELECT min(r.id) FROM repository r JOIN account n ON n.id = r.namespace_id WHERE n.name = %s)", org)
        tight.expect_log(r"put right")
        Jobs(tight).run("kade-quota")
        assert used(tight, org) != want, "a week has not passed"
        Jobs(tight).run("kade-quota", "--verify", "--namespace", org)
        assert used(tight, org) == want == fresh_sum(tight, org) and repository_sizes(tight, org) == sizes
        members = f"SELECT count(*) FROM namespace_blob WHERE namespace_id = {mine}"
        assert tight.sql(members, org) == tight.sql("SELECT count(DISTINCT mb.blob_id) FROM manifest_blob mb JOIN repository r ON r.id = mb.repository_id JOIN account n ON n.id = r.namespace_id WHERE n.name = %s", org)
        tight.sql(f"UPDATE quota_total SET used_bytes = 1, verified_ms = verified_ms - 8 * 86400000::int8 WHERE namespace_id = {mine}", org)
        Jobs(tight).run("kade-quota")
        assert used(tight, org) == want

    def test_nothing_due(self, tight):
        jobs = Jobs(tight)
        jobs.run("kade-quota")
        s = jobs.summary("kade-quota")
        assert s["selected"] == 0 and s["backlog"] == 0
        jobs.run("kade-tokens", "--verify", code=2)


class TestPeopleHear:
    def test_warning(self, tight, root, org):
        m = oci.image(1, 5000)
        limit(tight, org, 2 * size_of(m) + 4000, warning=30)
        root.push(f"{org}/a", "t", m)
        assert notes(tight, org) == [("quota_warning", {"namespace": org})]
        root.push(f"{org}/a", "u", oci.image(1, 100))
        assert len(notes(tight, org)) == 1
        tight.sql("UPDATE account_notification SET dismissed = true WHERE kind = 'quota_warning'")
        root.push(f"{org}/a", "v", oci.image(1, 100))
        assert len(notes(tight, org)) == 1, "dismissed a moment ago"
        tight.sql("UPDATE account_notification SET created_ms = created_ms - 86400001 WHERE kind = 'quota_warning'")
        root.push(f"{org}/a", "w", oci.image(1, 100))
        assert len(notes(tight, org)) == 2

    def test_notifications_are_queued(self, tight, root, org, web):
        """Once, again after the size was below the limit, and not for a limit that nobody asked about."""
        m = oci.image(1, 5000)
        limit(tight, org, size_of(m), warning=50)
        for event in ("quota_warning", "quota_error"):
            r = web.post(f"organization/{org}/notifications", {"event": event, "method": "webhook", "config": {"url": "https://example.com/x"}, "eventConfig": {}, "title": "q"})
            assert r.status_code == 201, r.text

        def run():
            tight.sql("DELETE FROM job_run WHERE job = 'quota-notices'")
            Jobs(tight).run("kade-quota")
            rows = tight.sql("DELETE FROM queue_item WHERE queue = 'notification' AND name = %s RETURNING body", org)
            return sorted((json.loads(b)["event_data"]["threshold_percent"], json.loads(b)["event_data"]["usage_percent"]) for (b,) in rows)

        assert run() == []
        limit_ids = tight.sql("SELECT count(*) FROM quota_limit l JOIN account a ON a.id = l.namespace_id WHERE a.name = %s", org)
        assert limit_ids == [(2,)]
        tight.sql("UPDATE quota SET limit_bytes = %s FROM account a WHERE a.id = namespace_id AND a.name = %s", 10 * size_of(m), org)
        root.push(f"{org}/a", "t", m)
        tight.sql("UPDATE quota SET limit_bytes = %s FROM account a WHERE a.id = namespace_id AND a.name = %s", size_of(m), org)
        assert run() == [(50, 100), (100, 100)]
        assert run() == []
        tight.sql("UPDATE quota SET limit_bytes = %s FROM account a WHERE a.id = namespace_id AND a.name = %s", 10 * size_of(m), org)
        assert run() == []
        tight.sql("UPDATE quota SET limit_bytes = %s FROM account a WHERE a.id = namespace_id AND a.name = %s", size_of(m), org)
        assert run() == [(50, 100), (100, 100)]


def at_once(tight, root, jobs):
    """Every job with a client of its own, all let go at the same moment."""
    gate = threading.Barrier(len(jobs))
    tokens = {repo: root.token(f"repository:{repo}:pull,push") for repo in {repo for repo, _ in jobs}}

    def one(job):
        repo, act = job
        c = tight.client(root.user, root.password)
        c.tokens = {(f"repository:{repo}:pull,push",): tokens[repo]}
        gate.wait(60)
        return act(c)

    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(one, jobs))


class TestParallel:
    @pytest.mark.parametrize("repositories", [1, 10])
    def test_fifty_pushes_around_the_limit(self, tight, root, org, repositories):
        """No job runs. The size never reaches the limit, and what fits is taken."""
        base = oci.tar_layer(2000)
        images = [oci.image([base, oci.tar_layer(4000, str(i))]) for i in range(50)]
        repos = [f"{org}/r{i % repositories}" for i in range(50)]
        for repo, m in zip(repos, images):
            for b in m.blobs:
                assert root.push_blob(repo, b).status_code == 201
        own = [size_of(m) - len(base[0]) for m in images]
        room = len(base[0]) + sum(sorted(own)[:25]) + 1
        limit(tight, org, room)
        got = at_once(tight, root, [(r, lambda c, r=r, i=i, m=m: c.put_manifest(r, f"t{i}", m).status_code) for i, (r, m) in enumerate(zip(repos, images))])
        print(collections.Counter(got))
        assert set(got) == {201, 403}
        assert used(tight, org) == fresh_sum(tight, org) < room
        assert room - used(tight, org) <= max(own), "another one would not have fitted"
        assert got.count(201) == tight.sql("SELECT count(*) FROM manifest m JOIN repository r ON r.id = m.repository_id JOIN account n ON n.id = r.namespace_id WHERE n.name = %s", org)[0][0]

    def test_sums_stay_right_while_it_folds(self, tight, root, org):
        """Pushes that share layers, into repositories of one organization, with the job at work beside them."""
        layers = [oci.tar_layer(1000, f"l{i}") for i in range(6)]
        images = [oci.image([layers[i % 6], layers[(i * 5 + 1) % 6]]) for i in range(30)]
        repos = [f"{org}/r{i % 3}" for i in range(30)]
        for r in set(repos):
            for b in {b for m in images for b in m.blobs}:
                root.push_blob(r, b)
        done = threading.Event()

        def folding():
            while not done.is_set():
                Jobs(tight).run("kade-quota")

        t = threading.Thread(target=folding)
        t.start()
        try:
            got = at_once(tight, root, [(r, lambda c, r=r, i=i, m=m: c.put_manifest(r, f"t{i}", m).status_code) for i, (r, m) in enumerate(zip(repos, images))])
        finally:
            done.set()
            t.join()
        assert set(got) == {201}
        assert used(tight, org) == fresh_sum(tight, org)
        want = dict(tight.sql("SELECT r.name, sum(b.size_bytes)::int8 FROM (SELECT DISTINCT repository_id, blob_id FROM manifest_blob) x JOIN blob b ON b.id = x.blob_id"
                              " JOIN repository r ON r.id = x.repository_id JOIN account n ON n.id = r.namespace_id WHERE n.name = %s GROUP BY r.name", org))
        assert repository_sizes(tight, org) == want

    def test_a_removal_waits_for_a_push_that_counts(self, tight, root, org):
        """The statements of quota_release against a push of the same blob: whoever is first, the sum is right."""
        m = oci.image(1, 3000)
        root.push(f"{org}/a", "t", m)
        root.push_blob(f"{org}/b", m.blobs[0])
        root.push_blob(f"{org}/b", m.blobs[1])
        ns = tight.sql("SELECT id FROM account WHERE name = %s", org)[0][0]
        blobs = [i for (i,) in tight.sql("SELECT blob_id FROM namespace_blob WHERE namespace_id = %s", ns)]
        (ra,) = tight.sql("SELECT id FROM repository WHERE namespace_id = %s AND name = 'a'", ns)[0]
        statements = load_statements()
        with contextlib.closing(psycopg2.connect(tight.uri)) as db, db.cursor() as cur:
            # repository a is collected: its links go, then their sizes
            cur.execute("DELETE FROM tag WHERE repository_id = %s", (ra,))
            cur.execute("DELETE FROM manifest_blob WHERE repository_id = %s", (ra,))
            cur.execute("DELETE FROM manifest WHERE repository_id = %s", (ra,))
            cur.execute("DELETE FROM repository_blob WHERE repository_id = %s", (ra,))
            execute(cur, statements["quota_release_lock"], [ns] * 2, blobs)
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                push = pool.submit(lambda: root.put_manifest(f"{org}/b", "t", m).status_code)
                until(lambda: tight.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()") == [(1,)],
                      what="the push to wait")
                execute(cur, statements["quota_release"], [ns] * 2, [ra] * 2, blobs)
                db.commit()
                assert push.result(30) == 201
        assert used(tight, org) == fresh_sum(tight, org) == size_of(m)
        assert repository_sizes(tight, org) == {"a": 0, "b": size_of(m)}

    def test_killed_folds_lose_nothing(self, tight, root, org):
        """kade-quota is killed at random moments, again and again."""
        for i in range(3):
            root.push(f"{org}/r{i}", "t", oci.image(1, 800))
        want = fresh_sum(tight, org)
        ns = tight.sql("SELECT id FROM account WHERE name = %s", org)[0][0]
        for turn in range(12):
            tight.sql("INSERT INTO quota_ledger (namespace_id, delta_bytes) SELECT %s, CASE WHEN g %% 2 = 0 THEN 5 ELSE -5 END FROM generate_series(1, 400) g", ns)
            p = Jobs(tight).popen("kade-quota")
            with contextlib.suppress(Exception):
                p.wait(0.004 * turn)
            p.kill()
            p.communicate()
            assert used(tight, org) == want
        until(lambda: Jobs(tight).popen("kade-quota").wait(60) == 0, what="the lock of the killed one to go")
        assert used(tight, org) == want
        assert tight.sql("SELECT count(*) FROM quota_ledger WHERE namespace_id = %s", ns) == [(0,)]


def load_statements():
    """Name → text, of sql/query/quota.sql."""
    from stack import TOP

    found, name = {}, None
    for line in (TOP / "sql" / "query" / "quota.sql").read_text().splitlines():
        if line.startswith("-- name: "):
            name = line.removeprefix("-- name: ")
            found[name] = []
        elif name and not line.startswith("--"):
            found[name].append(line)
    return {k: "\n".join(v).strip().rstrip(";") for k, v in found.items()}


def execute(cur, text, *arrays):
    cur.execute(f"PREPARE q ({', '.join(['int8[]'] * len(arrays))}) AS {text}")
    values = ", ".join("ARRAY[%s]::int8[]" % ", ".join(map(str, a)) for a in arrays)
    cur.execute(f"EXECUTE q ({values})")
    cur.execute("DEALLOCATE q")


@pytest.mark.config(FEATURE_QUOTA_MANAGEMENT=True, DEFAULT_SYSTEM_REJECT_QUOTA_BYTES=20000)
def test_the_limit_of_the_registry(alone):
    """For namespaces without a quota of their own."""
    root = alone.superuser()
    m = oci.image(1, 15000)
    root.push("admin/a", "t", m)
    refused(root.push_blob("admin/a", os.urandom(30000))) if used(alone, "admin") >= 20000 else None
    big = oci.image(1, 12000)
    for b in big.blobs:
        assert root.push_blob("admin/a", b).status_code == 201
    refused(root.put_manifest("admin/a", "big", big))
    alone.sql("INSERT INTO quota (namespace_id, limit_bytes) SELECT id, 1 FROM account WHERE name = 'admin'")
    assert root.put_manifest("admin/a", "big", big).status_code == 201


@pytest.mark.config(FEATURE_QUOTA_MANAGEMENT=True, FEATURE_VERIFY_QUOTA=False)
def test_not_verified(alone):
    root = alone.superuser()
    limit(alone, "admin", 1)
    assert root.push("admin/a", "t", oci.image()).status_code == 201
    assert used(alone, "admin") == fresh_sum(alone, "admin") > 1


def test_statements(tight, root, org):
    """The verdict travels with the push: no statement more than two, in the same round trip; an upload costs none."""
    from test_statements import statements

    limit(tight, org, 1 << 40)
    m = oci.image(2)
    for b in m.blobs:
        root.push_blob(f"{org}/a", b)
    root.put_manifest(f"{org}/a", "warm", m)
    start = root.call("POST", f"/v2/{org}/a/blobs/uploads/")
    new = oci.image(2)
    for b in new.blobs:
        root.push_blob(f"{org}/a", b)
    r = root.put_manifest(f"{org}/a", "t", new)
    assert r.status_code == 201 and statements(tight, start) <= 2 and statements(tight, r) <= 13


def test_killed_workers_count_right(tight, root, org):
    """Workers die in the middle of pushes that share layers: what was acknowledged is there, the sizes are those of what is there."""
    tight.expect_log(r"ended by signal 9|: 50[0-9]: |premature|upstream|got FCGI EOF|unexpected end-of-file|connection|backend")
    layers = [oci.tar_layer(800, f"k{i}") for i in range(4)]
    images = [oci.image([layers[i % 4], layers[(i + 1) % 4], oci.tar_layer(200, str(i))]) for i in range(24)]
    repos = [f"{org}/r{i % 3}" for i in range(24)]
    for r, m in zip(repos, images):
        for b in m.blobs:
            root.push_blob(r, b)
    limit(tight, org, 1 << 40)

    def push(c, r, i, m):
        if i % 6 == 5:
            tight.kill_children("api")
        with contextlib.suppress(OSError):
            return c.put_manifest(r, f"t{i}", m).status_code

    got = at_once(tight, root, [(r, lambda c, r=r, i=i, m=m: push(c, r, i, m)) for i, (r, m) in enumerate(zip(repos, images))])
    print(collections.Counter(got))
    until(lambda: tight.client().call("GET", "/v2/", scope="").status_code == 401, what="new workers")
    until(lambda: tight.sql("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()") == [(0,)], what="the ends of cut transactions")
    for r, i, m in zip(repos, range(24), images):
        if got[i] == 201:
            root.pull(r, f"t{i}", m)
    assert used(tight, org) == fresh_sum(tight, org)
