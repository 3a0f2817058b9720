"""Pushes, mounts, restores and deletions against kade-gc, held at a step by a trigger that waits for a lock of the test. Whatever order
they come in: what was answered 201 can be pulled, now and after every later run; nothing leaks."""

import concurrent.futures
import contextlib
import os
import secrets
import signal
import time

import psycopg2
import pytest
import requests

import oci
from api import Session
from collect import Gc
from breakage import store_of
from stack import until

QUICK_S = 5                                                  # a request that does not wait for the barrier


@pytest.fixture(scope="module")
def racing(make_stack):
    return make_stack("lighttpd", name="gcrace")


@pytest.fixture(scope="module")
def gc(racing):
    g = Gc(racing)
    g.run()
    return g


@pytest.fixture(scope="module")
def admin(racing):
    return racing.superuser()


@pytest.fixture
def repo():
    return f"admin/race{secrets.token_hex(5)}"


@pytest.fixture(autouse=True)
def whole(racing, gc):
    yield
    gc.check()
    racing.check_logs(new=True)


@pytest.fixture(scope="module")
def pool():
    with concurrent.futures.ThreadPoolExecutor(8) as p:
        yield p


def delete_tag(admin, repo, tag):
    assert admin.delete(f"/v2/{repo}/manifests/{tag}").status_code == 202


def dying(gc, admin, repo, m, tag="t"):
    """An image whose tag is due; its manifest follows in the same run."""
    admin.push(repo, tag, m)
    delete_tag(admin, repo, tag)
    gc.age_tags()
    return m


def clean(gc):
    gc.everything()


def blocked(racing, application="kade-api"):
    """Sessions that wait for a lock of a row."""
    return racing.sql("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND application_name NOT LIKE 'kade-gc%%'")[0][0]


def client(racing, admin, repo):
    c = racing.client(admin.user, admin.password)
    scope = f"repository:{repo}:pull,push"
    c.tokens = {(scope,): admin.token(scope)}
    return c


def later(gc, admin, repo, images):
    """All of these can be pulled, and still so when weeks have passed."""
    for ref, m in images.items():
        admin.pull(repo, ref, m)
    gc.everything()
    for ref, m in images.items():
        admin.pull(repo, ref, m)


ALL_STEPS = [("BEFORE DELETE", "tag"), ("AFTER DELETE", "tag"), ("BEFORE DELETE", "manifest_blob"), ("BEFORE DELETE", "label"),
             ("BEFORE DELETE", "manifest"), ("AFTER DELETE", "manifest")]


def steps(of, short):
    """As parameters; those that are not among the short ones run in the full run only."""
    return [pytest.param(*x, marks=[] if x in short else pytest.mark.full) for x in of]


STEPS = steps(ALL_STEPS, [("AFTER DELETE", "tag"), ("BEFORE DELETE", "manifest")])


@pytest.mark.parametrize("event, table", STEPS)
@pytest.mark.parametrize("how", ["tag", "digest"])
def test_push_of_the_same_manifest(racing, gc, admin, repo, pool, event, table, how):
    """Pushed again, without its layers, while it is collected: 201 and whole, or the layers are asked for and then 201."""
    clean(gc)
    m = dying(gc, admin, repo, oci.image(labels={"a": "b"}))
    c = client(racing, admin, repo)
    with gc.stopped_at(event, table):
        f = pool.submit(c.put_manifest, repo, "again" if how == "tag" else m.digest, m)
        until(lambda: f.done() or blocked(racing), QUICK_S, "an answer, or a wait")
    r = f.result(60)
    assert r.status_code in (201, 400), r.text
    if r.status_code == 400:
        assert oci.error_code(r) in ("MANIFEST_BLOB_UNKNOWN", "MANIFEST_UNKNOWN")
        admin.push(repo, "again", m)
    if how == "digest":
        gc.age(0.5)
        gc.run()
        admin.pull(repo, m.digest, m)
        admin.push(repo, "again", m)
    later(gc, admin, repo, {"again": m})


@pytest.mark.parametrize("event, table", STEPS)
def test_restore_of_the_tag(racing, gc, admin, repo, pool, event, table):
    """The tag is restored while its row is collected: restored and whole, or 404; never a tag without a manifest."""
    clean(gc)
    m = dying(gc, admin, repo, oci.image(labels={"a": "b"}))
    # Still in the list of the time machine for the one who asks: the row's time comes between his look and his deed.
    api = Session(racing, "admin", racing.password)
    with gc.stopped_at(event, table):
        racing.sql("SELECT 1")
        f = pool.submit(api.post, f"repository/{repo}/tag/t/restore", {"manifest_digest": m.digest})
        until(lambda: f.done() or blocked(racing), QUICK_S, "an answer, or a wait")
    r = f.result(60)
    assert r.status_code in (200, 404, 400), r.text
    if r.status_code == 200:
        later(gc, admin, repo, {"t": m})
    else:
        assert admin.get(f"/v2/{repo}/manifests/t").status_code == 404


@pytest.mark.parametrize("event, table", STEPS)
def test_second_tag_on_the_manifest(racing, gc, admin, repo, pool, event, table):
    """Its last tag goes while a second name is put on it by a client that still sees it: an index child, by digest."""
    clean(gc)
    child = dying(gc, admin, repo, oci.image(labels={"a": "b"}))
    index = oci.index([child])
    c = client(racing, admin, repo)
    with gc.stopped_at(event, table):
        f = pool.submit(c.put_manifest, repo, "index", index)
        until(lambda: f.done() or blocked(racing), QUICK_S, "an answer, or a wait")
    r = f.result(60)
    assert r.status_code in (201, 400), r.text
    if r.status_code == 400:
        admin.push(repo, "index", index)
    later(gc, admin, repo, {"index": index, child.digest: child})


ALL_LINK_STEPS = [("BEFORE DELETE", "namespace_blob"), ("AFTER DELETE", "namespace_blob"), ("BEFORE DELETE", "repository_blob"), ("BEFORE INSERT", "tombstone"),
                  ("BEFORE DELETE", "placement"), ("BEFORE DELETE", "blob"), ("AFTER DELETE", "blob")]
LINK_STEPS = steps(ALL_LINK_STEPS, [("BEFORE DELETE", "repository_blob"), ("AFTER DELETE", "blob")])


def idle_image(gc, admin, repo):
    """An image whose manifest was collected and whose links are due."""
    m = dying(gc, admin, repo, oci.image())
    gc.run()
    gc.age()
    return m


@pytest.mark.parametrize("event, table", LINK_STEPS)
@pytest.mark.parametrize("how", ["put", pytest.param("patch", marks=pytest.mark.full), "post"])
def test_upload_of_the_same_blob(racing, gc, admin, repo, pool, event, table, how):
    """A layer comes again while its last link, its row, its placement goes."""
    clean(gc)
    m = idle_image(gc, admin, repo)
    data = m.blobs[1]
    c = client(racing, admin, repo)
    with gc.stopped_at(event, table):
        f = pool.submit(c.push_blob, repo, data, how)
        until(lambda: f.done() or blocked(racing), QUICK_S, "an answer, or a wait")
    assert f.result(60).status_code == 201
    assert admin.pull_blob(repo, oci.digest(data)) == data
    gc.age_tombstones()
    gc.run()
    assert admin.pull_blob(repo, oci.digest(data)) == data
    admin.push(repo, "again", m)
    later(gc, admin, repo, {"again": m})


@pytest.mark.parametrize("event, table", LINK_STEPS)
@pytest.mark.parametrize("source", ["from", "anywhere"])
def test_mount(racing, gc, admin, repo, pool, event, table, source):
    """The source of a mount is collected: 201 and pullable, or 202 and the upload works."""
    clean(gc)
    m = idle_image(gc, admin, repo)
    data, target = m.blobs[1], repo + "-to"
    c = client(racing, admin, target)
    params = {"mount": oci.digest(data), **({"from": repo} if source == "from" else {})}
    with gc.stopped_at(event, table):
        f = pool.submit(c.call, "POST", f"/v2/{target}/blobs/uploads/", params=params)
        until(lambda: f.done() or blocked(racing), QUICK_S, "an answer, or a wait")
    r = f.result(60)
    assert r.status_code in (201, 202), r.text
    if r.status_code == 202:
        assert c.finish(r.headers["Location"], oci.digest(data), data).status_code == 201
    assert admin.pull_blob(target, oci.digest(data)) == data
    admin.push(target, "t", m)
    later(gc, admin, target, {"t": m})


def test_mount_of_what_another_namespace_member_keeps(racing, gc, admin, repo, pool):
    """A namespace gets a second link to a blob while its first goes: it stays a member, and its account stays right."""
    clean(gc)
    m = idle_image(gc, admin, repo)
    other, user = repo + "-b", "keeper" + secrets.token_hex(3)
    racing.create_user(user)
    keeper = racing.client(user)
    keeper.push(f"{user}/keep", "t", m)                     # the blobs live on in another namespace
    c = client(racing, admin, other)
    with gc.stopped_at("BEFORE DELETE", "namespace_blob"):
        f = pool.submit(c.push, other, "t", m)
        until(lambda: f.done() or blocked(racing), QUICK_S, "an answer, or a wait")
    assert f.result(60).status_code == 201
    later(gc, admin, other, {"t": m})
    keeper.pull(f"{user}/keep", "t", m)


@pytest.mark.parametrize("event, table", STEPS[2:])
def test_referrer_of_a_dying_subject(racing, gc, admin, repo, pool, event, table):
    """A signature is pushed while its subject is collected: both live or both gone in the end, and it can be deleted."""
    clean(gc)
    m = dying(gc, admin, repo, oci.image(labels={"a": "b"}))
    signature = oci.artifact(subject=m)
    for b in signature.blobs:
        admin.push_blob(repo, b)
    c = client(racing, admin, repo)
    with gc.stopped_at(event, table):
        f = pool.submit(c.put_manifest, repo, signature.digest, signature)
        until(lambda: f.done() or blocked(racing), QUICK_S, "an answer, or a wait")
    assert f.result(60).status_code == 201
    admin.pull(repo, signature.digest, signature)
    gc.check()
    gc.age(24 * 15)
    gc.everything()
    assert admin.get(f"/v2/{repo}/manifests/{m.digest}").status_code == 404
    assert admin.get(f"/v2/{repo}/manifests/{signature.digest}").status_code == 404


@pytest.mark.parametrize("event, table", [("BEFORE DELETE", "tag"), ("BEFORE DELETE", "manifest"), ("BEFORE DELETE", "repository_blob"), ("BEFORE DELETE", "blob")])
def test_push_into_a_deleted_repository(racing, gc, admin, repo, pool, event, table):
    """The name is another repository's at once; what is pushed there is not touched."""
    clean(gc)
    m = oci.image(labels={"a": "b"})
    admin.push(repo, "t", m)
    assert Session(racing, "admin", racing.password).delete(f"repository/{repo}").status_code == 204
    c = client(racing, admin, repo)
    with gc.stopped_at(event, table):
        f = pool.submit(c.push, repo, "t", m)
        until(lambda: f.done() or blocked(racing), QUICK_S, "an answer, or a wait")
    assert f.result(60).status_code == 201
    later(gc, admin, repo, {"t": m})
    assert racing.sql("SELECT count(*) FROM repository WHERE state = 3") == [(0,)]


def test_pushes_do_not_wait(racing, gc, admin, repo):
    """While collection stands in the middle of each of its transactions, pushes to other images of that repository, with a layer that the
    dying image shares, go through."""
    for event, table in (ALL_STEPS[3], ALL_STEPS[5], ALL_LINK_STEPS[2], ALL_LINK_STEPS[6]):
        clean(gc)
        base = oci.tar_layer(2000)
        old = dying(gc, admin, repo, oci.image([base, oci.tar_layer()], labels={"a": "b"}))
        admin.push(repo, "keep", oci.image([base, oci.tar_layer()]))
        if (event, table) in ALL_LINK_STEPS:
            gc.run()
            gc.age()
        with gc.stopped_at(event, table):
            began = time.monotonic()
            admin.push(repo, f"n{secrets.token_hex(4)}", oci.image([base, oci.tar_layer()]))
            assert blocked(racing) == 0 and time.monotonic() - began < QUICK_S, (event, table, old.digest)


# -- the sweeper


def buried(gc, admin, repo, data):
    """A blob whose row is gone and whose tombstone is due."""
    admin.push_blob(repo, data)
    gc.age()
    gc.run()
    gc.age_tombstones()


@pytest.mark.parametrize("step", ["before", "locked", "armed", "deleted", "dropped"])
def test_upload_against_the_sweeper(racing, gc, admin, repo, pool, step):
    """The digest comes again before the sweep, between its steps and after it: readable after the 201, at the standard key or its own,
    and after every later run."""
    clean(gc)
    data = os.urandom(4000)
    d = oci.digest(data)
    buried(gc, admin, repo, data)
    c = client(racing, admin, repo)
    if step in ("before", "dropped"):
        if step == "dropped":
            gc.run()
        assert c.push_blob(repo, data).status_code == 201
    else:
        event = {"locked": "BEFORE UPDATE", "armed": "AFTER UPDATE", "deleted": "BEFORE DELETE"}[step]
        # BEFORE DELETE: the first deletion of tombstones is that of rows beside living blobs, of which there are none here.
        with gc.stopped_at(event, "tombstone"):
            f = pool.submit(c.push_blob, repo, data)
            until(lambda: f.done() or blocked(racing), QUICK_S, "an answer, or a wait")
        assert f.result(60).status_code == 201
    assert admin.pull_blob(repo, d) == data
    for _ in range(3):
        gc.age_tombstones()
        gc.run()
        assert admin.pull_blob(repo, d) == data
    assert racing.sql("SELECT p.key FROM placement p JOIN blob b ON b.id = p.blob_id WHERE b.digest = %s", d) == [(None,)]
    assert [f for f in racing.stored_files() if d.split(":")[1] in f] == [f"sha256/{d[7:9]}/{d[7:]}"]


def test_sweeper_that_is_late_and_killed(racing, gc, admin, repo):
    """The DELETE of a sweeper is on its way when it is killed, and arrives after the digest was pushed again: a process stopped just before
    unlink, killed for the registry, let go in the end by a second process that does what the late request would do."""
    clean(gc)
    data = os.urandom(4000)
    d = oci.digest(data)
    buried(gc, admin, repo, data)
    with gc.stopped_at("AFTER UPDATE", "tombstone") as p:
        pass
    assert p.returncode == 0
    # That run was whole. Now the state that a killed one leaves: the row says deleting, the object is still there.
    admin.push_blob(repo, data)
    gc.age()
    gc.run()
    gc.age_tombstones()
    path = store_of(racing) / "sha256" / d[7:9] / d[7:]
    racing.sql("UPDATE tombstone SET state = 1, not_before_ms = kade_now_ms() + 900000 WHERE digest = %s AND key = ''", d)
    assert path.exists()
    assert admin.push_blob(repo, data).status_code == 201
    assert admin.pull_blob(repo, d) == data
    path.unlink()                                           # the late DELETE
    assert admin.pull_blob(repo, d) == data
    for _ in range(4):
        gc.age_tombstones()
        gc.run()
        assert admin.pull_blob(repo, d) == data
    assert racing.sql("SELECT p.key FROM placement p JOIN blob b ON b.id = p.blob_id WHERE b.digest = %s", d) == [(None,)]


def test_unknown_outcome_keeps_the_row(racing, gc, admin, repo):
    """The store deletes and does not say so (killed in between): the row stays for a quarter of an hour, then goes."""
    clean(gc)
    data = os.urandom(3000)
    d = oci.digest(data)
    buried(gc, admin, repo, data)
    with gc.stopped_at("BEFORE DELETE", "tombstone") as p:
        # The first statement that deletes tombstones is the one before the store's work; at the second the object is gone.
        os.kill(p.pid, signal.SIGKILL)
        p.wait()
    racing.sql("UPDATE tombstone SET state = 1, not_before_ms = kade_now_ms() + 900000 WHERE digest = %s", d)
    with contextlib.suppress(FileNotFoundError):
        (store_of(racing) / "sha256" / d[7:9] / d[7:]).unlink()
    gc.run()
    assert racing.sql("SELECT state FROM tombstone WHERE digest = %s", d) == [(1,)]
    gc.age_tombstones()
    gc.run()
    assert racing.sql("SELECT count(*) FROM tombstone WHERE digest = %s", d) == [(0,)]


def test_only_one_in_the_fleet(racing, gc):
    clean(gc)
    db = psycopg2.connect(racing.uri)
    try:
        db.cursor().execute("SELECT pg_advisory_lock(8800, 8)")
        gc.run(code=4)
    finally:
        db.close()


def test_announced_upload_that_took_too_long(racing, gc, admin, repo, pool):
    """An upload stands still between its announcement and its completion for more than the hour, and the sweeper comes by: the client
    gets an error, or a blob that can be read; never a 201 for bytes that are gone."""
    clean(gc)
    data = os.urandom(3000)
    d = oci.digest(data)
    racing.expect_log("began to be deleted while it was completed|: 503: ")
    racing.sql("""CREATE OR REPLACE FUNCTION test_hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF current_setting('application_name') NOT LIKE 'kade-gc%%' THEN PERFORM set_config('lock_timeout', '0', true); PERFORM pg_advisory_xact_lock_shared(7, 99); END IF;
        RETURN NULL; END $$""")
    db = psycopg2.connect(racing.uri)
    db.autocommit = True
    cur = db.cursor()
    cur.execute("SELECT pg_advisory_lock(7, 99)")
    # Held at the end of the announcement's own statement: it is not committed, then commits, and the completion follows.
    cur.execute("CREATE TRIGGER test_hold BEFORE INSERT ON blob FOR EACH STATEMENT EXECUTE FUNCTION test_hold()")
    try:
        f = pool.submit(client(racing, admin, repo).push_blob, repo, data)
        until(lambda: gc.waiting(99) or f.done(), QUICK_S, "the completion")
        gc.age_tombstones()
        gc.run()
        gc.run()
    finally:
        cur.execute("SELECT pg_advisory_unlock(7, 99)")
        with contextlib.suppress(AssertionError, requests.RequestException):
            f.result(60)
        cur.execute("DROP TRIGGER test_hold ON blob")
        db.close()
    r = admin.head(f"/v2/{repo}/blobs/{d}")
    if r.status_code == 200:
        assert admin.pull_blob(repo, d) == data
    assert admin.push_blob(repo, data).status_code == 201
    assert admin.pull_blob(repo, d) == data
    gc.everything()

