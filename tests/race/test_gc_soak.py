"""Eight clients push, mount, tag, delete and restore at random on a few repositories while kade-gc runs without a pause and time
passes for it alone; at the end there is no difference between rows, store and what was acknowledged. KADE_SOAK_SECONDS: how long."""

import collections
import os
import random
import secrets
import threading
import time

import pytest
import requests

import oci
from api import Session
from collect import Gc

CLIENTS = 8


class Model:
    """What was acknowledged last under each tag; a tag belongs to one client, so that the last answer is known."""

    def __init__(self):
        self.lock, self.live, self.seen, self.errors = threading.Lock(), {}, collections.Counter(), []


class Worker(threading.Thread):
    def __init__(self, stack, model, number, stop, images, repos):
        super().__init__()
        self.stack, self.model, self.n, self.stop = stack, model, number, stop
        self.images, self.repos = images, repos
        self.rnd = random.Random(f"{number}-{secrets.token_hex(4)}")
        self.client, self.api = stack.superuser(), Session(stack, "admin", stack.password)

    def run(self):
        while not self.stop.is_set():
            try:
                self.one()
            except (AssertionError, requests.RequestException, KeyError) as e:
                with self.model.lock:
                    self.model.errors.append(f"client {self.n}: {e!r}"[:600])

    def one(self):
        repo, tag = self.rnd.choice(self.repos), f"c{self.n}-{self.rnd.randrange(3)}"
        what = self.rnd.choice(("push", "push", "push", "digest", "delete", "delete", "restore", "pull", "mount", "signature"))
        getattr(self, what)(repo, tag)
        with self.model.lock:
            self.model.seen[what] += 1

    def push_whole(self, repo, ref, m):
        """As a client that was told that a layer or child is missing: it uploads it and tries again."""
        for _ in range(6):
            for b in dict.fromkeys(m.blobs):
                if self.client.head(f"/v2/{repo}/blobs/{oci.digest(b)}").status_code != 200:
                    self.client.push_blob(repo, b, self.rnd.choice(("put", "post", "patch")))
            for child in m.children:
                self.push_whole(repo, child.digest, child)
            r = self.client.put_manifest(repo, ref, m)
            if r.status_code == 201:
                return
            assert r.status_code == 400, f"push of {ref}: {r.status_code} {r.text}"
            assert oci.error_code(r) in ("MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN"), r.text
        raise AssertionError(f"{repo} {ref}: refused six times: {r.text}")

    def push(self, repo, tag):
        m = self.rnd.choice(self.images)
        self.push_whole(repo, tag, m)
        with self.model.lock:
            self.model.live[(repo, tag)] = m

    def digest(self, repo, tag):
        m = self.rnd.choice(self.images)
        self.push_whole(repo, m.digest, m)

    def delete(self, repo, tag):
        r = self.client.delete(f"/v2/{repo}/manifests/{tag}")
        had = self.model.live.get((repo, tag))
        assert r.status_code == (202 if had else 404), f"delete of {tag}: {r.status_code} {r.text}"
        with self.model.lock:
            self.model.live.pop((repo, tag), None)

    def restore(self, repo, tag):
        """Some image that this name pointed to: it comes back, or it is gone."""
        m = self.rnd.choice(self.images)
        r = self.api.post(f"repository/{repo}/tag/{tag}/restore", {"manifest_digest": m.digest})
        assert r.status_code in (200, 404, 400), f"restore: {r.status_code} {r.text}"
        if r.status_code == 200:
            with self.model.lock:
                self.model.live[(repo, tag)] = m

    def pull(self, repo, tag):
        m = self.model.live.get((repo, tag))
        if m is not None:
            self.client.pull(repo, tag, m)
        else:
            assert self.client.head(f"/v2/{repo}/manifests/{tag}").status_code == 404

    def mount(self, repo, tag):
        b = self.rnd.choice(self.rnd.choice([m for m in self.images if m.blobs]).blobs)
        source = self.rnd.choice(self.repos)
        r = self.client.call("POST", f"/v2/{repo}/blobs/uploads/", params={"mount": oci.digest(b), "from": source})
        assert r.status_code in (201, 202), f"mount: {r.status_code} {r.text}"
        if r.status_code == 202:
            assert self.client.delete(r.headers["Location"]).status_code == 204

    def signature(self, repo, tag):
        m = self.model.live.get((repo, tag))
        if m is None:
            return
        a = oci.artifact(subject=m, data=b"signature of " + m.digest.encode())
        self.push_whole(repo, a.digest, a)
        self.client.pull(repo, a.digest, a)


def collect(gc, stop, runs, problems):
    """Time passes for what nobody needs; the process runs again and again. A third of an hour at a time: a push that takes a moment
    keeps its window, as in life."""
    while not stop.is_set():
        gc.age(0.34)
        gc.stack.sql("""UPDATE tag SET collect_after_ms = collect_after_ms - 86400000 * 5::int8 WHERE collect_after_ms IS NOT NULL""")
        gc.stack.sql("UPDATE tombstone SET not_before_ms = not_before_ms - 86400000 WHERE state = 0 AND not_before_ms > kade_now_ms() + 3600000")
        p = gc.popen("--json")
        said = p.communicate(timeout=120)
        if p.returncode not in (0, 1):
            problems.append((p.returncode, said))
        runs.append(said[0])


def soak(stack, seconds):
    gc = Gc(stack)
    gc.run()
    base = oci.tar_layer(4000, "base")
    images = [oci.image([base, oci.tar_layer(500, str(i))]) for i in range(8)] + [oci.image(labels={"x": "y"}) for _ in range(4)]
    images += [oci.index(images[:2]), oci.index(images[2:4]), oci.index(images[8:10])]
    repos = [f"admin/soak{i}-{secrets.token_hex(3)}" for i in range(3)]
    for r in repos:
        stack.superuser().start_upload(r)
    model, stop, runs, problems = Model(), threading.Event(), [], []
    workers = [Worker(stack, model, i, stop, images, repos) for i in range(CLIENTS)]
    collector = threading.Thread(target=collect, args=(gc, stop, runs, problems))
    for w in [*workers, collector]:
        w.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end and not model.errors:
        stop.wait(0.2)
    stop.set()
    for w in [*workers, collector]:
        w.join()
    print(f"  {dict(model.seen)}, {len(runs)} collections, {len(model.live)} tags live")
    assert not model.errors, "\n".join(model.errors[:10])
    assert not problems, problems[:3]
    assert sum(model.seen.values()) > 20 and runs
    stack.sql("DELETE FROM upload")
    admin = stack.superuser()

    def compare():
        gc.check()
        for (repo, tag), m in model.live.items():
            admin.pull(repo, tag, m)
        for repo in repos:
            tags = set(admin.get(f"/v2/{repo}/tags/list", scope=f"repository:{repo}:pull,push").json()["tags"] or [])
            assert tags == {t for r, t in model.live if r == repo}
    compare()
    gc.everything()
    compare()
    for repo in repos:
        for tag in [t for r, t in model.live if r == repo]:
            assert admin.delete(f"/v2/{repo}/manifests/{tag}").status_code == 202
    model.live.clear()
    gc.everything()
    compare()
    assert stack.sql("SELECT count(*) FROM manifest") == [(0,)] and stack.sql("SELECT count(*) FROM blob") == [(0,)]
    assert not [f for f in stack.stored_files() if f.startswith("sha")], "objects are left"


def test_soak(alone):
    soak(alone, float(os.environ.get("KADE_SOAK_SECONDS", 12)))


@pytest.mark.full
def test_soak_long(alone):
    soak(alone, float(os.environ.get("KADE_SOAK_SECONDS", 1200)))
