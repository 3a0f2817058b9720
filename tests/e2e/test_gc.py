"""kade-gc: what goes and when, what stays. Time passes by changing the times in rows; what happened is seen through /v2, in rows and
in the store."""

import json
import os
import secrets
import shutil
import subprocess

import pytest

import oci
from api import Session
from collect import DAY_MS, HOUR_MS, Gc
from breakage import store_of
from stack import run_as


@pytest.fixture(scope="module")
def gc_stack(make_stack):
    return make_stack("lighttpd", name="gc", FEATURE_GARBAGE_COLLECTION=True)


@pytest.fixture(scope="module")
def gc(gc_stack):
    return Gc(gc_stack)


@pytest.fixture(scope="module")
def admin(gc_stack):
    return gc_stack.superuser()


@pytest.fixture
def repo():
    return f"admin/gc{secrets.token_hex(5)}"


@pytest.fixture(autouse=True)
def whole(gc_stack, gc):
    yield
    gc.check()
    gc_stack.check_logs(new=True)


def api(gc_stack):
    return Session(gc_stack, "admin", gc_stack.password)


def rows_of(gc_stack, repo, table):
    return gc_stack.sql(f"SELECT count(*) FROM {table} x JOIN repository r ON r.id = x.repository_id WHERE r.name = %s", repo.split("/")[1])[0][0]


def delete_tag(admin, repo, tag):
    assert admin.delete(f"/v2/{repo}/manifests/{tag}").status_code == 202


def there(admin, repo, ref):
    return admin.get(f"/v2/{repo}/manifests/{ref}").status_code == 200


def test_nothing_is_due(gc):
    gc.everything()
    said = gc.run()
    assert said["selected"] == said["failed"] == said["backlog"] == 0
    assert gc.stack.sql("SELECT exit_code FROM job_run WHERE job = 'gc' ORDER BY id DESC LIMIT 1") == [(0,)]


def test_an_image_goes_step_by_step(gc, admin, repo):
    """Tag → (window) → manifest → (window) → links and blobs → (retention) → objects; nothing sooner; the quota follows the link."""
    gc.everything()
    before, used = gc.counts(), gc.used("admin")
    m = oci.image(layers=2, labels={"a": "b"})
    admin.push(repo, "t", m)
    digests = [oci.digest(b) for b in m.blobs]
    size = sum(len(b) for b in m.blobs)
    assert gc.used("admin") == used + size
    delete_tag(admin, repo, "t")
    gc.run()
    assert rows_of(gc.stack, repo, "tag") == 1, "the time machine keeps it"
    gc.stack.sql("UPDATE tag SET collect_after_ms = kade_now_ms() - %s WHERE collect_after_ms IS NOT NULL", HOUR_MS // 2)
    gc.run()
    assert rows_of(gc.stack, repo, "tag") == 1, "one push window more"
    gc.age_tags()
    gc.run()
    assert rows_of(gc.stack, repo, "tag") == 0 and rows_of(gc.stack, repo, "manifest") == 0
    assert rows_of(gc.stack, repo, "repository_blob") == 3 and gc.used("admin") == used + size
    assert gc.stack.sql("SELECT count(*) FROM repository_blob rb JOIN repository r ON r.id = rb.repository_id WHERE r.name = %s AND idle_since_ms > kade_now_ms() - 60000",
                        repo.split("/")[1]) == [(3,)]
    gc.age()
    gc.run()
    assert rows_of(gc.stack, repo, "repository_blob") == 0 and gc.used("admin") == used
    assert gc.stack.sql("SELECT count(*), min(state), min(not_before_ms - kade_now_ms()) > %s FROM tombstone WHERE digest = ANY(%s)", 6 * DAY_MS, digests) == [(3, 0, True)]
    assert all(any(d.split(":")[1] in f for f in gc.stack.stored_files()) for d in digests)
    gc.run()
    assert all(any(d.split(":")[1] in f for f in gc.stack.stored_files()) for d in digests), "kept for KADE.OBJECT_RETENTION"
    gc.age_tombstones()
    gc.run()
    assert not any(d.split(":")[1] in f for d in digests for f in gc.stack.stored_files())
    assert gc.counts() == {**before, "tag": before["tag"]}


def test_what_is_used_stays(gc, admin, repo):
    """A layer shared with a living image, a manifest with a second tag, an index with its children, an image with its signature."""
    base = oci.tar_layer(3000, "base")
    dying, living, twice = oci.image([base, oci.tar_layer()]), oci.image([base, oci.tar_layer()]), oci.image()
    child = oci.image()
    index = oci.index([child, oci.image()])
    for tag, m in (("dying", dying), ("living", living), ("one", twice), ("two", twice), ("index", index), ("child", child)):
        admin.push(repo, tag, m)
    signature = oci.artifact(subject=living)
    admin.push(repo, signature.digest, signature)
    sbom = oci.artifact(subject=signature)
    admin.push(repo, sbom.digest, sbom)
    for tag in ("dying", "one", "child"):
        delete_tag(admin, repo, tag)
    gc.everything()
    assert not there(admin, repo, dying.digest)
    for ref, m in (("living", living), ("two", twice), ("index", index), (child.digest, child), (signature.digest, signature), (sbom.digest, sbom)):
        admin.pull(repo, ref, m)
    refs = admin.get(f"/v2/{repo}/referrers/{living.digest}").json()["manifests"]
    assert [r["digest"] for r in refs] == [signature.digest]


def test_trees_go_whole(gc, admin, repo):
    """An index of indexes, children, referrers of referrers, labels: all of it, and nothing beside it."""
    gc.everything()
    before = gc.counts()
    inner = oci.index([oci.image(labels={"k": "v"}), oci.image()])
    outer = oci.index([inner, oci.image()])
    admin.push(repo, "outer", outer)
    subject = outer
    for _ in range(4):
        subject = oci.artifact(subject=subject)
        admin.push(repo, subject.digest, subject)
    gc.age()
    gc.run()
    admin.pull(repo, "outer", outer)
    assert there(admin, repo, subject.digest), "referrers are held by their subject at any depth"
    delete_tag(admin, repo, "outer")
    gc.everything()
    assert gc.counts() == before


def test_a_ring_of_subject_and_child_goes(gc, admin, repo):
    """An index whose subject is its own child: neither holds the other for ever."""
    gc.everything()
    before = gc.counts()
    child = oci.image()
    ring = oci.index([child], subject=child.descriptor())
    admin.push(repo, "ring", ring)
    gc.age()
    gc.run()
    admin.pull(repo, "ring", ring)
    delete_tag(admin, repo, "ring")
    gc.everything()
    assert gc.counts() == before


def test_many_referrers(gc, admin, repo):
    """More referrers than one transaction takes: made by SQL, gone in several slices."""
    m = oci.image()
    admin.push(repo, "t", m)
    n = gc.stack.sql("""INSERT INTO manifest (repository_id, digest, media_type, bytes, subject)
        SELECT m.repository_id, 'sha256:' || encode(sha256(convert_to('r' || i, 'UTF8')), 'hex'), m.media_type, '{"layers":[],"config":{"digest":""}}', m.digest
        FROM manifest m, generate_series(1, 2500) i WHERE m.digest = %s RETURNING id""", m.digest)
    gc.stack.sql("UPDATE manifest SET is_index = true WHERE id = ANY(%s)", [r[0] for r in n])
    gc.age()
    gc.run()
    assert rows_of(gc.stack, repo, "manifest") == 2501
    delete_tag(admin, repo, "t")
    gc.everything()
    assert rows_of(gc.stack, repo, "manifest") == 0


def test_deleted_by_digest(gc, admin, repo):
    """An index and its children, a signature of a living image: gone one window later, invisible all the time."""
    living, child = oci.image(), oci.image()
    index = oci.index([child])
    admin.push(repo, "living", living)
    admin.push(repo, index.digest, index)
    signature = oci.artifact(subject=living)
    admin.push(repo, signature.digest, signature)
    for m in (index, signature):
        assert admin.delete(f"/v2/{repo}/manifests/{m.digest}").status_code == 202
    for _ in range(4):
        gc.age()
        gc.run()
        assert not any(there(admin, repo, m.digest) for m in (index, child, signature))
    assert rows_of(gc.stack, repo, "manifest") == 1
    admin.pull(repo, "living", living)


def test_expired_tags_end(gc, admin, repo):
    m = oci.image()
    admin.push(repo, "short", m)
    admin.push(repo, "long", m)
    gc.stack.sql("UPDATE tag SET expires_ms = kade_now_ms() - 1000 FROM repository r WHERE r.id = repository_id AND r.name = %s AND tag.name = 'short'", repo.split("/")[1])
    gc.run()
    rows = gc.stack.sql("""SELECT t.name, t.ended_ms = t.expires_ms, t.collect_after_ms - t.ended_ms FROM tag t JOIN repository r ON r.id = t.repository_id
        WHERE r.name = %s ORDER BY t.name""", repo.split("/")[1])
    assert rows == [("long", None, None), ("short", True, 14 * DAY_MS)]
    gc.everything()
    assert not there(admin, repo, "short")
    admin.pull(repo, "long", m)


def test_a_short_window_keeps_the_push_window(gc, admin, repo):
    """Time machine of zero seconds: the manifest stays a push window, cannot be pulled, and can be pushed again without its layers."""
    gc.stack.sql("UPDATE account SET tag_window_s = 0 WHERE name = 'admin'")
    try:
        m = oci.image()
        admin.push(repo, "t", m)
        delete_tag(admin, repo, "t")
        gc.run()
        assert rows_of(gc.stack, repo, "manifest") == 1 and not there(admin, repo, m.digest)
        assert admin.put_manifest(repo, "again", m).status_code == 201
        gc.everything()
        admin.pull(repo, "again", m)
    finally:
        gc.stack.sql("UPDATE account SET tag_window_s = 1209600 WHERE name = 'admin'")


def test_what_was_pushed_by_digest_has_its_window(gc, admin, repo):
    m = oci.image()
    admin.push(repo, m.digest, m)
    gc.age(0.5)
    gc.run()
    admin.pull(repo, m.digest, m)
    admin.push(repo, m.digest, m)                           # renews
    gc.age(0.9)
    gc.run()
    admin.pull(repo, m.digest, m)
    gc.age(0.2)
    gc.run()
    assert rows_of(gc.stack, repo, "manifest") == 0


def test_referrer_waits_for_its_subject(gc, admin, repo):
    """Pushed first, it is kept as long as the time machine goes back; the subject's push takes it up."""
    m = oci.image()
    early, lonely = oci.artifact(subject=m), oci.artifact(subject=oci.image())
    for a in (early, lonely):
        admin.push(repo, a.digest, a)
    gc.age(24 * 13)
    gc.run()
    assert there(admin, repo, early.digest) and there(admin, repo, lonely.digest)
    admin.push(repo, "t", m)
    gc.age(24 * 2)
    gc.run()
    assert there(admin, repo, early.digest) and not there(admin, repo, lonely.digest)


def test_blobs_that_no_manifest_took(gc, admin, repo):
    data, kept = os.urandom(3000), os.urandom(2000)
    for d in (data, kept):
        admin.push_blob(repo, d)
    gc.age(0.5)
    assert admin.head(f"/v2/{repo}/blobs/{oci.digest(kept)}").status_code == 200           # renews
    gc.age(0.75)
    assert admin.head(f"/v2/{repo}/blobs/{oci.digest(data)}").status_code == 404
    gc.run()
    assert admin.head(f"/v2/{repo}/blobs/{oci.digest(kept)}").status_code == 200
    assert rows_of(gc.stack, repo, "repository_blob") == 1


def test_mounted_blob_stays(gc, admin, repo):
    """The source goes, the mount keeps the object; the account of the namespace follows the links."""
    m = oci.image()
    admin.push(repo, "t", m)
    other = repo + "x"
    for b in m.blobs:
        r = admin.call("POST", f"/v2/{other}/blobs/uploads/", scope=None, params={"mount": oci.digest(b), "from": repo})
        assert r.status_code == 201
    assert admin.put_manifest(other, "t", m).status_code == 201
    used = gc.used("admin")
    delete_tag(admin, repo, "t")
    gc.everything()
    assert rows_of(gc.stack, repo, "repository_blob") == 0
    admin.pull(other, "t", m)
    assert gc.used("admin") == used


def test_deleted_repository(gc, admin, repo):
    """All of it, an upload on its way, many tags; the name is free at once; a second repository of that name is another one."""
    gc.everything()
    before, used = gc.counts(), gc.used("admin")
    for i in range(5):
        m = oci.index([oci.image(labels={"a": str(i)}), oci.image()])
        admin.push(repo, f"t{i}", m)
        a = oci.artifact(subject=m)
        admin.push(repo, a.digest, a)
    location = admin.start_upload(repo)
    admin.patch(location, b"x" * 1000)
    assert api(gc.stack).delete(f"repository/{repo}").status_code == 204
    fresh = oci.image()
    admin.push(repo, "new", fresh)
    gc.run()
    assert gc.stack.sql("SELECT count(*) FROM repository WHERE state = 3") == [(0,)]
    assert gc.stack.sql("SELECT count(*) FROM upload") == [(0,)] and not [f for f in gc.stack.stored_files() if f.startswith("uploads/")]
    admin.pull(repo, "new", fresh)
    assert gc.used("admin") == used + sum(len(b) for b in fresh.blobs)
    delete_tag(admin, repo, "new")
    gc.everything()
    assert gc.counts() == before


def test_deleted_repository_in_slices(gc, admin, repo):
    """--max-items ends a run with work left; the next goes on."""
    gc.everything()
    for i in range(4):
        admin.push(repo, f"t{i}", oci.image())
    assert api(gc.stack).delete(f"repository/{repo}").status_code == 204
    runs = 0
    while gc.stack.sql("SELECT count(*) FROM repository WHERE state = 3") != [(0,)]:
        runs += 1
        r = run_as(gc.stack.user, gc.words("--max-items", "3"))
        assert r.returncode == (6 if gc.stack.sql("SELECT count(*) FROM repository WHERE state = 3") != [(0,)] else 0), r.stderr
        gc.check()
        assert runs < 60
    assert runs > 1


def test_deleted_namespace(gc, admin):
    """After its grace: repositories, robots, teams, quota, the account; the name is free again. Another one of that name is not touched."""
    org = "org" + secrets.token_hex(4)
    gc.stack.create_org(org)
    gc.stack.create_robot(org, "bot")
    for i in range(3):
        admin.push(f"{org}/r{i}", "t", oci.image())
    assert gc.used(org) > 0
    (org_id,), = gc.stack.sql("SELECT id FROM account WHERE name = %s", org)
    assert api(gc.stack).delete(f"organization/{org}").status_code == 204
    assert gc.stack.sql("SELECT count(*) FROM deleted_namespace WHERE account_id = %s", org_id) == [(1,)]
    gc.run()
    assert gc.stack.sql("SELECT count(*) FROM account WHERE id = %s OR owner_id = %s", org_id, org_id) == [(0,)]
    for table in ("repository", "namespace_blob", "quota_ledger", "quota_total"):
        assert gc.stack.sql(f"SELECT count(*) FROM {table} WHERE namespace_id = %s", org_id) == [(0,)], table
    gc.stack.create_org(org)
    admin.push(f"{org}/r0", "t", oci.image())
    gc.everything()
    admin.pull(f"{org}/r0", "t")


def test_disabled_namespaces_are_not_collected(gc, admin):
    org = "off" + secrets.token_hex(4)
    gc.stack.create_org(org)
    m = oci.image()
    admin.push(f"{org}/r", "t", m)
    admin.push(f"{org}/r", "u", m)
    delete_tag(admin, f"{org}/r", "t")
    gc.stack.sql("UPDATE account SET is_enabled = false WHERE name = %s", org)
    gc.age_tags()
    gc.run()
    gc.run()
    assert rows_of(gc.stack, f"{org}/r", "tag") == 2
    gc.stack.sql("UPDATE account SET is_enabled = true WHERE name = %s", org)
    gc.everything()
    assert gc.stack.sql("SELECT count(*) FROM tag t JOIN repository r ON r.id = t.repository_id JOIN account a ON a.id = r.namespace_id WHERE a.name = %s", org) == [(1,)]


def test_another_databases_storage(gc, admin, repo):
    """A store that belongs to somebody else: nothing is changed, in rows or in the store."""
    m = oci.image()
    admin.push(repo, "t", m)
    delete_tag(admin, repo, "t")
    gc.age_tags()
    gc.run()
    gc.age()
    rows, files = gc.counts(), gc.stack.stored_files()
    gc.stack.sql("UPDATE instance SET epoch = epoch + 1")
    try:
        r = gc.run(code=2)
        assert "adopt-storage" in r.stderr + r.stdout
        assert gc.counts() == rows and gc.stack.stored_files() == files
    finally:
        gc.stack.sql("UPDATE instance SET epoch = epoch - 1")
    gc.everything()


def test_switched_off(gc, tmp_path):
    config = tmp_path / "config.yaml"
    off = {k: False for k in ("FEATURE_GARBAGE_COLLECTION", "FEATURE_REPOSITORY_GARBAGE_COLLECTION", "FEATURE_NAMESPACE_GARBAGE_COLLECTION")}
    for changes in (off, {"DISABLE_PUSHES": True}, {"REGISTRY_STATE": "readonly"}):
        config.write_text(json.dumps({**gc.stack.config, **changes}))
        os.chmod(config, 0o644)
        assert subprocess.run([str(gc.stack.servers.bin / "kade-gc"), "--config", str(config)], capture_output=True).returncode == 3


def test_own_key_moves_home(gc, admin, repo):
    """Bytes that came while their standard key was being deleted get a key of their own; when the tombstone is gone they move."""
    data = os.urandom(5000)
    d = oci.digest(data)
    admin.push_blob(repo, data)
    gc.age()
    gc.run()
    gc.stack.sql("UPDATE tombstone SET state = 1, not_before_ms = kade_now_ms() + 900000 WHERE digest = %s", d)       # a sweeper is at it
    admin.push_blob(repo, data)
    (key,), = gc.stack.sql("SELECT p.key FROM placement p JOIN blob b ON b.id = p.blob_id WHERE b.digest = %s", d)
    assert key.startswith("sha256/") and "." in key
    gc.run()
    assert admin.pull_blob(repo, d) == data
    assert gc.stack.sql("SELECT p.key FROM placement p JOIN blob b ON b.id = p.blob_id WHERE b.digest = %s", d) == [(key,)], "not while it is being deleted"
    gc.stack.sql("UPDATE tombstone SET not_before_ms = kade_now_ms() - 1 WHERE digest = %s AND key = ''", d)
    gc.run()
    assert gc.stack.sql("SELECT p.key FROM placement p JOIN blob b ON b.id = p.blob_id WHERE b.digest = %s", d) == [(None,)]
    assert admin.pull_blob(repo, d) == data
    assert gc.stack.sql("SELECT key, state FROM tombstone WHERE digest = %s", d) == [(key, 0)]
    gc.age_tombstones()
    gc.run()
    assert [f for f in gc.stack.stored_files() if d.split(":")[1] in f] == [f"sha256/{d[7:9]}/{d[7:]}"]
    assert admin.pull_blob(repo, d) == data


def test_tombstone_beside_a_living_blob(gc, admin, repo):
    """Whatever a row says: an object that a placement names is not deleted."""
    data = os.urandom(4000)
    d = oci.digest(data)
    admin.push_blob(repo, data)
    gc.stack.sql("INSERT INTO tombstone (digest, location_id, not_before_ms) SELECT %s, id, 0 FROM location", d)
    gc.run()
    assert admin.pull_blob(repo, d) == data
    assert gc.stack.sql("SELECT count(*) FROM tombstone WHERE digest = %s", d) == [(0,)]
    gc.stack.sql("INSERT INTO tombstone (digest, location_id, not_before_ms, state) SELECT %s, id, 0, 1 FROM location", d)
    assert gc.run(code=1)["failed"] == 1
    assert admin.pull_blob(repo, d) == data
    gc.stack.sql("DELETE FROM tombstone WHERE digest = %s", d)


def test_scrub(gc, admin, repo):
    """Leaks and losses of one slice are reported; an old leak goes when told, through a tombstone."""
    m = oci.image(size=1500)
    admin.push(repo, "t", m)
    root = store_of(gc.stack)
    leak = root / "sha256" / "ab" / ("ab" + secrets.token_hex(31))
    leak.parent.mkdir(exist_ok=True, parents=True)
    leak.write_bytes(b"leak")
    shutil.chown(leak.parent, gc.stack.user)
    shutil.chown(leak, gc.stack.user)
    said = gc.run("--scrub", "--prefix", "ab", code=0)
    assert said["failed"] == 0 and leak.exists()
    r = run_as(gc.stack.user, gc.words("--scrub", "--prefix", "ab", "--remove-unknown"))
    assert f"unknown default sha256/ab/{leak.name}: 4 bytes, too young" in r.stdout
    os.utime(leak, (1, 1))
    r = run_as(gc.stack.user, gc.words("--scrub", "--prefix", "ab", "--remove-unknown"))
    assert f"condemned default sha256/ab/{leak.name}" in r.stdout and leak.exists()
    gc.age_tombstones()
    gc.run()
    assert not leak.exists()
    lost = oci.digest(m.blobs[1])
    path = root / "sha256" / lost[7:9] / lost[7:]
    data = path.read_bytes()
    path.rename(path.with_name("aside"))
    try:
        r = run_as(gc.stack.user, gc.words("--scrub", "--prefix", lost[7:9]))
        assert r.returncode == 1, r.stderr
        assert f"missing default {lost}: {len(data)} bytes" in r.stdout and f"needed by {repo}:t" in r.stdout
    finally:
        path.with_name("aside").rename(path)


def test_after_restore(gc, admin, repo):
    """Deletion pauses, losses are listed by tag, the scrub works meanwhile; deletion goes on when told."""
    m = oci.image(size=1700)
    admin.push(repo, "t", m)
    lost = oci.digest(m.blobs[1])
    path = store_of(gc.stack) / "sha256" / lost[7:9] / lost[7:]
    out = gc.stack.admin("after-restore")
    assert "deletion is paused" in out and " 0 missing" in out
    path.rename(path.with_name("aside"))
    try:
        r = run_as(gc.stack.user, [str(gc.stack.servers.bin / "kade-admin"), "--config", str(gc.stack.config_file), "after-restore"])
        assert r.returncode == 1 and f"missing default {lost}" in r.stdout and f"needed by {repo}:t" in r.stdout
    finally:
        path.with_name("aside").rename(path)
    gc.run(code=3)
    gc.run("--scrub", "--prefix", "00")
    gc.stack.admin("resume-deletion")
    gc.run()


def test_explain_and_dry_run(gc, admin, repo):
    m = oci.image()
    admin.push(repo, "t", m)
    signature = oci.artifact(subject=m)
    admin.push(repo, signature.digest, signature)
    out = gc.run("--explain", f"{repo}:t").stdout
    assert f"manifest {m.digest}: kept, can be pulled" in out and "held by the live tag t" in out
    assert "with it would go: 2 manifests" in out
    out = gc.run("--explain", f"{repo}@{signature.digest}").stdout
    assert f"held by its subject {m.digest}" in out
    d = oci.digest(m.blobs[1])
    out = gc.run("--explain", d).stdout
    assert f"blob {d}" in out and "under its standard key" in out and f"needed by {repo}:t" in out
    assert "tags: 1 live, 0 ended" in gc.run("--explain", repo).stdout
    gc.run("--explain", f"{repo}:none", code=1)
    delete_tag(admin, repo, "t")
    out = gc.run("--explain", f"{repo}:t").stdout
    assert "held by the tag t, ended" in out and "cannot be pulled" in out
    gc.age_tags()
    rows = gc.counts()
    out = gc.run("--dry-run").stdout
    assert f"tag {repo}:t" in out and gc.counts() == rows


def test_statements_when_nothing_is_due(gc):
    """At most five statements, seen on the connection."""
    gc.everything()
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    p = gc.popen(before=("strace", "-f", "-qq", "-e", "trace=sendto", "-s", "200", "-o", str(gc.stack.folder / "gc.trace"),
                         *(["-u", gc.stack.user] if os.geteuid() == 0 else [])))
    said = p.communicate(timeout=30)
    if "ptrace" in said[1]:
        pytest.skip(said[1].strip())
    assert p.returncode == 0, said
    sent = [line for line in (gc.stack.folder / "gc.trace").read_text().splitlines() if "SELECT" in line or "INSERT" in line or "UPDATE" in line or "DELETE" in line]
    assert 1 <= len(sent) <= 5, "\n".join(sent)
