"""kade-gc is killed at each statement that it sends and at each call to the store, one after the other: strace delivers the signal at
the exact call. After each death rows and store agree and what lives can be pulled; in the end nothing is left."""

import os
import secrets
import shutil

import pytest

import oci
from api import Session
from collect import Gc

STORE_CALLS = ("unlinkat", "fsync", "renameat2", "openat")


@pytest.fixture(scope="module")
def mortal(make_stack):
    return make_stack("lighttpd", name="gccrash")


@pytest.fixture(scope="module")
def gc(mortal):
    g = Gc(mortal)
    g.run()
    return g


@pytest.fixture(scope="module")
def admin(mortal):
    return mortal.superuser()


class Garden:
    """Things at every stage of their way out, beside what stays."""

    def __init__(self, gc, admin):
        self.gc, self.admin = gc, admin
        self.base = oci.tar_layer(2000, "base")
        self.living = {}
        self.keep(f"admin/keep{secrets.token_hex(3)}", "latest")

    def keep(self, repo, tag):
        m = oci.index([oci.image([self.base, oci.tar_layer()]), oci.image()])
        self.admin.push(repo, tag, m)
        signature = oci.artifact(subject=m)
        self.admin.push(repo, signature.digest, signature)
        self.living[(repo, tag)] = m
        self.living[(repo, signature.digest)] = signature

    def sow(self):
        """A tag with a tree that is due, idle links that are due, an object that is due, a repository that was deleted, an own key."""
        gc, admin, name = self.gc, self.admin, secrets.token_hex(4)
        own = os.urandom(1500)
        admin.push_blob(f"admin/own{name}", own)
        admin.push(f"admin/a{name}", "t", oci.image([self.base, oci.tar_layer()]))
        admin.delete(f"/v2/admin/a{name}/manifests/t")
        gc.age_tags()
        gc.age()
        gc.run()                                            # the blob of its own gets a tombstone, the image's links are idle
        gc.stack.sql("UPDATE tombstone SET state = 1 WHERE digest = %s", oci.digest(own))
        admin.push_blob(f"admin/own{name}", own)
        m = oci.index([oci.image([self.base, oci.tar_layer()], labels={"a": "b"})])
        admin.push(f"admin/b{name}", "t", m)
        signature = oci.artifact(subject=m)
        admin.push(f"admin/b{name}", signature.digest, signature)
        admin.delete(f"/v2/admin/b{name}/manifests/t")
        admin.push(f"admin/c{name}", "t", oci.image([self.base, oci.tar_layer()]))
        assert Session(gc.stack, "admin", gc.stack.password).delete(f"repository/admin/c{name}").status_code == 204
        gc.age_tags()
        gc.age()
        gc.age_tombstones()

    def check(self):
        self.gc.check()
        for (repo, ref), m in self.living.items():
            self.admin.pull(repo, ref, m)


def killed_at(gc, call, when):
    """Runs kade-gc until its n-th such call; True: it was killed there, False: it ended before."""
    user = ["-u", gc.stack.user] if os.geteuid() == 0 else []
    p = gc.popen(before=("strace", "-f", "-qq", "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={when}", "-o", "/dev/null", *user))
    said = p.communicate(timeout=60)
    if "ptrace" in said[1] or "inject" in said[1]:
        pytest.skip(said[1].strip())
    assert p.returncode in (0, 1, 5, 137, -9), (p.returncode, said)
    return p.returncode in (137, -9)


def matrix(gc, admin, calls, stride):
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    garden, total = Garden(gc, admin), 0
    for call in calls:
        n = 1 + (total % stride)
        while True:
            garden.sow()
            killed = killed_at(gc, call, n)
            garden.check()
            if not killed:
                break
            total += 1
            n += stride
            # The dead session's locks go when the server notices.
            from stack import until
            until(lambda: gc.stack.sql("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'kade-gc'") == [(0,)], 20)
        print(f"  {call}: killed at {n - stride} calls and before")
    gc.everything()
    garden.check()
    gc.stack.sql("DELETE FROM upload")
    return total


def test_killed_at_statements_and_store_calls(gc, admin):
    """The short form: every eleventh statement, every third call."""
    assert matrix(gc, admin, ("sendto",), 11) >= 3
    assert matrix(gc, admin, ("unlinkat",), 3) >= 1


@pytest.mark.full
def test_killed_at_every_statement_and_store_call(gc, admin):
    assert matrix(gc, admin, ("sendto", *STORE_CALLS), 1) >= 60
