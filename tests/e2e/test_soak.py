"""Mixed load for a long time (KADE_SOAK_SECONDS, default 1800): pushes, pulls, lists, deletions, refusals, reloads of the pools.
No request is answered with a fault, memory, descriptors and database connections do not grow, and at the end the rows and the
store agree."""

import os
import random
import secrets
import signal
import threading
import time

import pytest
import requests

import oci
from breakage import alive, audit, processes, pss_kib

SECONDS = int(os.environ.get("KADE_SOAK_SECONDS", "1800"))


class Client(threading.Thread):
    """One client that does something at random, again and again; wrong: answers that it must not get."""

    def __init__(self, stack, i, end):
        super().__init__()
        self.stack, self.i, self.end, self.wrong, self.done = stack, i, end, [], 0
        self.asked_again = 0
        self.random = random.Random(i)
        self.have = {}

    def run(self):
        self.client = self.stack.superuser()
        while not self.end.is_set():
            try:
                self.random.choice((self.push, self.push, self.pull, self.pull, self.pull, self.lists, self.delete, self.refused))()
                self.done += 1
            except (AssertionError, requests.RequestException) as e:
                if str(e).startswith("token: 429"):              # passwords wait for a place two seconds at most: asked again, as clients do
                    self.asked_again += 1
                    continue
                self.wrong.append(f"{time.strftime('%H:%M:%S')} {e}"[:400])

    def push(self):
        repo, tag = f"admin/soak{self.i}-{self.random.randrange(4)}", f"t{self.random.randrange(20)}"
        m = oci.image(self.random.randrange(1, 4), self.random.choice((100, 5000, 300_000)))
        self.client.push(repo, tag, m, self.random.choice(("put", "patch", "chunks", "post")))
        self.have[(repo, tag)] = m

    def pull(self):
        if self.have:
            (repo, tag), m = self.random.choice(list(self.have.items()))
            self.client.pull(repo, tag, m)

    def lists(self):
        for (repo, _) in list(self.have)[:1]:
            assert self.client.get(f"/v2/{repo}/tags/list?n=5").status_code == 200
            assert self.client.get(f"/v2/{repo}/referrers/{oci.unknown_digest()}").status_code in (200, 400)

    def delete(self):
        if len(self.have) > 20:
            (repo, tag) = self.random.choice(list(self.have))
            del self.have[(repo, tag)]
            assert self.client.delete(f"/v2/{repo}/manifests/{tag}").status_code == 202

    def refused(self):
        repo = f"admin/none{secrets.token_hex(3)}"
        assert self.client.get(f"/v2/{repo}/manifests/x").status_code == 404
        assert requests.get(f"{self.stack.base}/v2/{repo}/tags/list", timeout=60).status_code == 401


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def measure(stack):
    """The most that a worker of each pool holds, and the connections of all to the database."""
    pids = [p for pool in ("api", "transfer") for p in stack.children(pool)]
    return {"pss_kib": max(pss_kib(p) for p in pids), "descriptors": max(descriptors(p) for p in pids if alive(p)),
            "connections": stack.sql("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", stack.database)[0][0]}


@pytest.mark.full
def test_soak(make_stack):
    stack = make_stack("lighttpd", name="soak")
    end = threading.Event()
    clients = [Client(stack, i, end) for i in range(6)]
    begin, seen, reloads = time.monotonic(), [], 0
    for c in clients:
        c.start()
    try:
        while time.monotonic() - begin < SECONDS and all(c.is_alive() for c in clients):
            end.wait(SECONDS / 40)
            seen.append(measure(stack))
            if len(seen) % 10 == 5:
                for pool in ("api", "transfer"):
                    os.kill(stack.pool_pid(pool), signal.SIGHUP)
                reloads += 1
    finally:
        end.set()
        for c in clients:
            c.join()
    print(f"{sum(c.done for c in clients)} actions, {reloads} reloads; first {seen[0]}, last {seen[-1]}")
    wrong = [w for c in clients for w in c.wrong]
    assert not wrong, f"{len(wrong)} wrong answers: {wrong[:5]}"
    for what in seen[0]:
        early, late = max(s[what] for s in seen[5:20]), max(s[what] for s in seen[-15:])
        assert late <= early * 1.25 + 8, f"{what} grows: {early}, later {late}: {[s[what] for s in seen]}"
    for c in clients:
        for (repo, tag), m in c.have.items():
            c.client.pull(repo, tag, m)
    audit(stack)
    assert len(processes(stack)) == 6
