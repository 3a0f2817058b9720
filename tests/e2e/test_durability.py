"""What was answered 201 is there whatever happens next. The order of the system calls of a push, seen by strace; and a crash
matrix: kade.fcgi and PostgreSQL are killed at random points of pushes, then rows, store and answers are compared."""

import contextlib
import os
import random
import re
import secrets
import shutil
import signal
import subprocess
import threading

import pytest
import requests

import oci
import stack as st
from breakage import alive, audit, fragile, inventory, running, scope_of, with_digest  # noqa: F401


@pytest.fixture(scope="module")
def mortal(fragile):  # noqa: F811
    with running(st.Stack(fragile, "lighttpd", name="mortal")) as s:
        yield s


# -- the order of system calls


class Trace:
    """strace on the workers of both pools."""

    CALLS = "fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,openat,mkdir,mkdirat,pwrite64,write,writev,sendto,sendmsg,recvfrom"

    def __init__(self, stack, folder):
        if not shutil.which("strace"):
            pytest.skip("strace is not installed")
        self.folder, pids = folder, [p for pool in ("api", "transfer") for p in stack.children(pool)]
        words = ["strace", "-f", "-ttt", "-yy", "-s", "4000", "-e", f"trace={self.CALLS}", "-o", str(folder / "trace")]
        self.p = subprocess.Popen(words + [w for pid in pids for w in ("-p", str(pid))], stderr=subprocess.PIPE, text=True)
        said = []
        while len([s for s in said if "attached" in s]) < len(pids):
            line = self.p.stderr.readline()
            if not line or "Operation not permitted" in line:
                self.p.kill()
                pytest.skip(f"ptrace is not permitted: {line.strip() or said}")
            said.append(line)

    def stop(self):
        """Finished calls in the order in which they ended: (thread, text)."""
        self.p.send_signal(signal.SIGINT)
        self.p.wait(30)
        calls, half = [], {}
        for line in (self.folder / "trace").read_text(errors="replace").splitlines():
            m = re.match(r"(\d+)\s+[\d.]+ (.*)", line)
            if not m:
                continue
            thread, text = m[1], m[2]
            if text.endswith("<unfinished ...>"):
                half[thread] = text[: -len("<unfinished ...>")]
                continue
            if r := re.match(r"<\.\.\. \w+ resumed>(.*)", text):
                text = half.pop(thread, "") + r[1]
            calls.append((thread, text))
        return calls


def index_of(calls, pattern, start=0, thread=None):
    for i, (t, text) in enumerate(calls[start:], start):
        if (thread is None or t == thread) and re.search(pattern, text):
            return i
    raise AssertionError(f"no call like {pattern} after {calls[max(0, start - 1)]}\n" + "\n".join(f"{t} {c[:160]}" for t, c in calls[start : start + 60] if "pwrite" not in c))


@pytest.fixture
def traced(mortal, tmp_path):
    """Runs something under strace and gives the calls."""
    def run(work):
        t = Trace(mortal, tmp_path)
        try:
            work()
        finally:
            calls = t.stop()
        return calls
    return run


@pytest.mark.parametrize("how", ["put", "patch", "post"])
def test_order_of_a_blob_push(mortal, traced, how):
    admin, repo = mortal.superuser(), f"admin/d{secrets.token_hex(4)}"
    admin.push_blob(repo, b"warm", how)                     # statements prepared, repository made
    data = os.urandom(300_000)
    hexes = oci.digest(data).split(":")[1]
    calls = traced(lambda: admin.push_blob(repo, data, how))
    place = index_of(calls, rf"^send(to|msg)\(.*blob_place.*{hexes}")
    thread = calls[place][0]
    announced = index_of(calls, r"recvfrom\(.* = [1-9]", place, thread)
    synced = index_of(calls, r"^f(data)?sync\(\d+<[^>]*/uploads/[0-9a-f-]{36}>.* = 0", 0, thread)
    named = index_of(calls, rf"^rename(at2?)?\(.*uploads.*{hexes}.* = 0|^rename(at2?)?\(.*[0-9a-f-]{{36}}.*{hexes}.* = 0", synced, thread)
    file_synced_last = [i for i, (t, c) in enumerate(calls[:named]) if t == thread and re.match(r"f(data)?sync\(\d+<[^>]*/uploads/", c)][-1]
    written_last = [i for i, (t, c) in enumerate(calls) if t == thread and re.match(r"pwrite64\(\d+<[^>]*/uploads/", c)]
    folder = index_of(calls, rf"^fsync\(\d+<[^>]*/sha256/{hexes[:2]}>.* = 0", named, thread)
    sent = index_of(calls, rf"^send(to|msg)\(.*upload_finish.*{hexes}", folder, thread)
    committed = index_of(calls, r"^recvfrom\(.* = [1-9]", sent, thread)
    answered = index_of(calls, r"^(write|writev)\(.*201", committed, thread)
    for i in (place, announced, file_synced_last, named, folder, sent, committed, answered):
        print(f"  {thread} {calls[i][1][:150]}")
    assert not written_last or max(written_last) < file_synced_last, "bytes were written after the last sync"
    assert place < announced < named, "the object was put into place before a row knew of it"
    assert file_synced_last < named < folder < sent < committed < answered
    assert not any(t == thread and re.match(r"(write|writev)\(.*Status: 201", c) for t, c in calls[place:committed]), "answered before the commit"
    assert not any(t == thread and "Status: 201" in c for t, c in calls[place:committed])


def test_order_of_a_manifest_push(mortal, traced):
    admin, repo, m = mortal.superuser(), f"admin/d{secrets.token_hex(4)}", oci.image(1, 200)
    admin.push(repo, "warm", oci.image(1, 100))
    for b in m.blobs:
        admin.push_blob(repo, b)
    calls = traced(lambda: admin.put_manifest(repo, "latest", m))
    begin = index_of(calls, r"^send(to|msg)\(.*BEGIN")
    thread = calls[begin][0]
    commit = index_of(calls, r"^send(to|msg)\(.*COMMIT", begin, thread)
    done = index_of(calls, r"^recvfrom\(.*COMMIT", commit, thread)
    answered = index_of(calls, r"^(write|writev)\(.*201", done, thread)
    for i in (begin, commit, done, answered):
        print(f"  {thread} {calls[i][1][:150]}")
    assert begin < commit < done < answered
    assert not any(t == thread and "Status: 201" in c for t, c in calls[begin:done])


# -- the crash matrix


class Pushers:
    """Clients that push whole images without end and note what was answered 201."""

    def __init__(self, stack, n=4):
        self.stack, self.stop, self.lock = stack, threading.Event(), threading.Lock()
        self.images, self.blobs, self.tries, self.errors = {}, {}, 0, {}
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(n)]
        self.token = None

    def run(self, i):
        rnd = random.Random(f"{self.stack.name}{i}{os.urandom(4)}")
        client = self.stack.superuser()
        base = oci.tar_layer(5000, "base")
        while not self.stop.is_set():
            repo, tag = f"admin/crash{rnd.randrange(6)}", f"t{rnd.randrange(4)}-{i}"
            m = oci.image([base, oci.tar_layer(rnd.choice((10, 3000, 200_000)))])
            with self.lock:
                self.tries += 1
            try:
                how = rnd.choice(("put", "patch", "chunks", "post"))
                for b in m.blobs:
                    d = oci.digest(b)
                    client.push_blob(repo, b, how, d)
                    with self.lock:
                        self.blobs[(repo, d)] = len(b)
                if client.put_manifest(repo, tag, m).status_code == 201:
                    with self.lock:
                        self.images[(repo, tag)] = m
            except (AssertionError, requests.RequestException) as e:
                kind = re.sub(r"[0-9a-f-]{8,}|\d{4,}", "#", str(e))[:60]
                with self.lock:
                    self.errors[kind] = self.errors.get(kind, 0) + 1

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for t in self.threads:
            t.join()


def crash_kade(stack):
    for pool in ("api", "transfer"):
        with contextlib.suppress(ProcessLookupError):
            stack.kill_children(pool)


def crash_all(stack, servers):
    """The whole pools with their parents, and PostgreSQL at the same moment."""
    postgres = int((servers.postgres / "postgres.pid").read_text())
    parents = [stack.pool_pid(pool) for pool in ("api", "transfer")]
    victims = [p for pool in ("api", "transfer") for p in stack.children(pool)]
    for pid, sig in [*((p, signal.SIGKILL) for p in parents + victims), (postgres, signal.SIGQUIT)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sig)


def revive(stack, servers, what):
    if what in ("postgres", "all"):
        servers.stop_postgres()                             # waits for the end
        servers.start_postgres()
    if what == "all":
        stack.stop_pools()
        stack.start_pools()
    st.until(lambda: len(stack.children("api")) == 2 and len(stack.children("transfer")) == 2, 30, "workers")
    answers(stack)


def compare(stack, pushed):
    """Everything acknowledged can be pulled; rows and store agree. Tags that were being pushed again may show a newer image."""
    admin = stack.superuser()
    for (repo, tag), m in pushed.images.items():
        r = admin.get(f"/v2/{repo}/manifests/{tag}")
        assert r.status_code == 200, f"{repo}:{tag} was acknowledged: {r.status_code} {r.text}"
        admin.pull(repo, tag, m if r.content == m.body else None)
    for (repo, d), size in pushed.blobs.items():
        r = admin.head(f"/v2/{repo}/blobs/{d}")
        assert r.status_code == 200 and int(r.headers["Content-Length"]) == size, f"blob {d} was acknowledged"
    announced, files = audit(stack)
    i = inventory(stack)
    print(f"    objects {len(i['objects'])} = placements {len(i['placed'])} + with a tombstone only {len(announced)}; "
          f"uploads: files {len(i['uploads'])}, rows {len(i['upload_rows'])}, files without a row {len(files)}")
    assert len(i["objects"]) == len(i["placed"]) + len(announced)


def matrix(stack, servers, rounds):
    rnd = random.Random(20240)
    stack.expect_log(r'": 503: |: 503: |ended by signal|database|connect')
    total, seen = 0, {}
    for n in range(rounds):
        what = ("kade", "postgres", "all")[n % 3]
        with Pushers(stack) as pushed:
            # The point of the crash: after so many acknowledged blobs, and a random piece of a push more.
            goal = rnd.randrange(2, 14)
            st.until(lambda: len(pushed.blobs) >= goal, 60, f"{goal} blobs")
            threading.Event().wait(rnd.random() * 0.05)
            if what == "kade":
                crash_kade(stack)
            elif what == "postgres":
                os.kill(int((servers.postgres / "postgres.pid").read_text()), signal.SIGQUIT)
            else:
                crash_all(stack, servers)
            pushed.stop.set()
        revive(stack, servers, what)
        print(f"  round {n}: {what} killed after {len(pushed.blobs)} blobs, {len(pushed.images)} images of {pushed.tries} tries; refusals {pushed.errors}")
        compare(stack, pushed)
        total += len(pushed.blobs)
        seen.update(pushed.errors)
    assert total >= rounds and seen, "nothing was interrupted"


def test_crash_matrix(mortal, fragile):  # noqa: F811
    matrix(mortal, fragile, 20)


@pytest.mark.full
def test_crash_matrix_long(mortal, fragile):  # noqa: F811
    matrix(mortal, fragile, 500)


def answers(stack):
    """Both pools are there; lighttpd leaves one alone for a moment when its socket was gone."""
    st.until(lambda: stack.superuser().ask_token(scope_of("admin/x")).status_code == 200, 30, "an answer of the api pool")
    st.until(lambda: stack.superuser().head(f"/v2/admin/x/blobs/{oci.unknown_digest()}").status_code == 404, 30, "an answer of the transfer pool")


@contextlib.contextmanager
def dies_at(stack, call, when):
    """In place of the transfer pool a process that gets SIGKILL when it has made its first such call: strace injects the signal, so
    that the point is exact. Gives the strace; its end is the end of the process."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    stack.stop_pools()
    stack.start_pools()
    parent = stack.pool_pid("transfer")
    os.kill(parent, signal.SIGTERM)
    st.until(lambda: not alive(parent), 30, "the end of the pool")
    (stack.pools / "transfer.sock").unlink(missing_ok=True)
    words = ["strace", "-f", "-qq", "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={when}", "-o", str(stack.folder / "strace.out")]
    words += ["-u", stack.user] if os.geteuid() == 0 else []
    words += [str(stack.servers.bin / "kade.fcgi"), "--config", str(stack.config_file), "--pool", "transfer", "--managed", "--threads", "4",
              "--listen", f"unix:{stack.pools}/transfer.sock"]
    with (stack.pools / "transfer.log").open("ab") as log:
        p = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        st.until(lambda: (stack.pools / "transfer.sock").exists() or p.poll() is not None, 30, "the traced process")
        if p.poll() is not None:
            pytest.skip(f"strace cannot trace or inject here (exit code {p.returncode})")
        answers(stack)
        yield p
    finally:
        if p.poll() is None:
            os.killpg(p.pid, signal.SIGKILL)
        p.wait(30)
        stack.stop_pools()
        stack.start_pools()
        answers(stack)


STEPS = {                                          # the second fsync is the folder's: the object has its name, no commit yet
    "chunk written, not synced": ("fdatasync", 1),
    "not synced": ("fsync", 1),
    "synced, no name": ("renameat2", 1),
    "named, not committed": ("fsync", 2),
}


@pytest.mark.parametrize("how, step", [(h, s) for s in STEPS for h in ("put", "patch", "post") if h == "patch" or s != "chunk written, not synced"])
def test_killed_at_each_step_of_completion(mortal, how, step):
    """No blob is seen, no object is left that no row knows, and the client that tries again succeeds."""
    call, when = STEPS[step]
    mortal.expect_log("ended by signal 9|: 503: ")
    admin, repo, data = mortal.superuser(), f"admin/k{secrets.token_hex(4)}", os.urandom(300_000)
    digest = oci.digest(data)
    location = admin.start_upload(repo)

    def push():
        if how == "post":
            return admin.call("POST", f"/v2/{repo}/blobs/uploads/", params={"digest": digest}, data=data)
        if how == "patch":
            r = admin.patch(location, data)
            return r if r.status_code != 202 else admin.finish(location, digest)
        return admin.put(with_digest(location, digest), data=data)

    with dies_at(mortal, call, when) as traced:
        status = None
        with contextlib.suppress(requests.ConnectionError):
            status = push().status_code
        code = traced.wait(30)
        print(f"{how}, killed at {call} {when}: the client heard {status}; strace ended with {code}")
    assert status is None or status >= 500
    there = [f for f in mortal.stored_files() if digest.split(":")[1] in f]
    (rows,), = mortal.sql("SELECT count(*) FROM tombstone WHERE digest = %s", digest)
    print("  object:", bool(there), "tombstones:", rows)
    assert bool(there) == (step == "named, not committed")
    assert rows == (0 if call == "fdatasync" else 1)
    assert admin.head(f"/v2/{repo}/blobs/{digest}").status_code == 404
    audit(mortal)
    # The client goes on with its session, or hears that it is gone and begins again.
    mortal.sql("UPDATE upload SET lease_until_ms = NULL")
    if how != "post":
        r = admin.put(with_digest(location, digest), data=data if admin.get(location).headers["Range"] == "0-0" else b"")
        print("  the same session again:", r.status_code)
        assert r.status_code in (201, 404)
    admin.push_blob(repo, data)
    assert admin.pull_blob(repo, digest) == data
    assert mortal.sql("SELECT count(*) FROM tombstone WHERE digest = %s", digest) == [(0,)]
    audit(mortal)


def test_logs_of_the_matrix(mortal):
    mortal.expect_log(r": 503: |ended by signal|database|connect")
    mortal.check_logs()
