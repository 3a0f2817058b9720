"""An upload is a row: any process of any host goes on with it, whoever may push. And its size costs no memory."""

import concurrent.futures
import hashlib
import os
import re
import secrets
import subprocess
import threading

import pytest

import oci
import stack as st
from breakage import (Slow, audit, expire_lease, is_v2_error, processes, pss_kib, running, scope_of, store_of,
                      upload_file, uuid_of, writing)


class Twin(st.Stack):
    """A second host: pools and a web server of its own, with its own state and signing key; database and store are those of
    the first, and so is its name in the outside world."""

    def __init__(self, first, server="lighttpd"):
        super().__init__(first.servers, server, name=first.name + "-twin")
        self.first = first

    def start(self):
        self.folder.mkdir()
        self._own(self.folder)
        for d in ("spool", "state"):
            (self.folder / d).mkdir()
            self._own(self.folder / d)
        self.uri, self.config = self.first.uri, {**self.first.config}
        self.write_config({"KADE": {"SPOOL_DIR": f"{self.folder}/spool", "STATE_DIR": f"{self.folder}/state"}})
        self.start_pools()
        self.start_web()
        self.users, self.secrets = self.first.users, self.first.secrets
        return self

    def client(self, user=None, password=None):
        c = super().client(user, password)
        c.service = self.first.host
        return c


@pytest.fixture(scope="module")
def hosts(make_stack):
    first = make_stack("lighttpd", name="resume")
    with running(Twin(first)) as second:
        yield first, second
        second.check_logs()


@pytest.fixture
def org(hosts):
    """An organization with two writers; a repository in it."""
    first, _ = hosts
    for name in ("alice", "bob"):
        if name not in first.users:
            first.create_user(name)
    org = first.create_org("o" + secrets.token_hex(4))
    repo = f"{org}/r"
    first.superuser().start_upload(repo)
    first.sql("""INSERT INTO repository_permission (repository_id, account_id, role) SELECT r.id, a.id, 2
                 FROM repository r JOIN account o ON o.id = r.namespace_id, account a WHERE o.name = %s AND a.name IN ('alice', 'bob')""", org)
    return repo


def at(stack, location):
    """The same upload on another host."""
    return re.sub(r"^https?://[^/]+", stack.base, location)


def test_chunks_by_two_hosts_and_two_users(hosts, org):
    """Each chunk by another host and another user, sizes across the blocks of the hash; the status agrees everywhere."""
    clients = [(h, h.client(u)) for h in hosts for u in ("alice", "bob")]
    sizes = [1, 63, 64, 65, 1000, 65536, 262143, 262145, 1 << 20, 3, 777_777]
    data = os.urandom(sum(sizes))
    location, offset = clients[0][1].start_upload(org), 0
    for i, n in enumerate(sizes):
        host, client = clients[i % len(clients)]
        r = client.patch(at(host, location), data[offset : offset + n], first=offset if i % 3 else None, streamed=i % 2 == 0)
        offset += n
        assert r.status_code == 202 and r.headers["Range"] == f"0-{offset - 1}", f"chunk {i}: {r.status_code} {r.text}"
        for other, c in clients:
            assert c.get(at(other, location)).headers["Range"] == f"0-{offset - 1}"
    host, client = clients[-1]
    assert client.finish(at(host, location), oci.digest(data)).status_code == 201
    for _, c in clients:
        assert c.pull_blob(org, oci.digest(data)) == data
    print(f"{len(sizes)} chunks, {offset} bytes, two hosts with state in", hosts[0].config["KADE"]["STATE_DIR"], hosts[1].config["KADE"]["STATE_DIR"])


def test_token_of_one_host_is_good_at_the_other(hosts, org):
    """Each host signs with its own key; the other finds it in the database."""
    first, second = hosts
    kids = [h.client("alice").ask_token(scope_of(org)).json()["token"] for h in hosts]
    for token, other in zip(kids, (second, first)):
        assert other.client().call("GET", f"/v2/{org}/tags/list", token=token).status_code in (200, 404)
        assert other.client().call("POST", f"/v2/{org}/blobs/uploads/", token=token).status_code == 202


def test_one_writer_at_a_time_over_hosts(hosts, org):
    """While one host writes, the other says 416 with what is stored; the bytes are the writer's."""
    first, second = hosts
    alice, bob = first.client("alice"), second.client("bob")
    data = os.urandom(2 << 20)
    location = alice.start_upload(org)
    slow = Slow(first, alice, "PATCH", location, org, length=len(data))
    slow.send(data[: 1 << 20])
    st.until(lambda: writing(first, uuid_of(location)), 20, "the writer")
    r = bob.patch(at(second, location), os.urandom(1000))
    assert r.status_code == 416 and r.headers["Range"] == "0-0" and oci.error_code(r) == "BLOB_UPLOAD_INVALID"
    slow.send(data[1 << 20 :])
    assert slow.read()[0] == 202
    assert bob.finish(at(second, location), oci.digest(data)).status_code == 201
    assert alice.pull_blob(org, oci.digest(data)) == data


def test_a_writer_that_lost_its_lease(hosts, org):
    """Its host slept so long that another went on: what it sends afterwards changes nothing."""
    first, second = hosts
    alice, bob = first.client("alice"), second.client("bob")
    data = os.urandom(1 << 20)
    location = alice.start_upload(org)
    slow = Slow(first, alice, "PATCH", location, org, length=2 << 20)
    slow.send(os.urandom(1 << 20))
    st.until(lambda: writing(first, uuid_of(location)), 20, "the writer")
    expire_lease(first, location)
    r = bob.patch(at(second, location), data)
    print("successor while the old writer holds the file:", r.status_code)
    assert r.status_code == 416, "the store itself lets nobody else in"
    slow.send(os.urandom(1 << 20))
    status, headers, body = slow.read()
    print("old writer at its end:", status, headers.get("range"))
    assert status == 416 and is_v2_error(status, headers, body)
    assert bob.get(at(second, location)).headers["Range"] == "0-0"
    assert bob.patch(at(second, location), data).status_code == 202
    assert bob.finish(at(second, location), oci.digest(data)).status_code == 201
    assert alice.pull_blob(org, oci.digest(data)) == data


def test_cancelled_by_one_while_another_writes(hosts, org):
    """204 for who cancels; the writer hears that the upload is unknown; nothing of it stays."""
    first, second = hosts
    alice, bob = first.client("alice"), second.client("bob")
    location = alice.start_upload(org)
    slow = Slow(first, alice, "PATCH", location, org, length=2 << 20)
    slow.send(os.urandom(1 << 20))
    st.until(lambda: writing(first, uuid_of(location)), 20, "the writer")
    r = bob.delete(at(second, location))
    assert r.status_code == 204
    assert bob.get(at(second, location)).status_code == 404
    slow.send(os.urandom(1 << 20))
    status, headers, body = slow.read()
    print("writer of a cancelled upload:", status, body[:200])
    assert status == 404 and is_v2_error(status, headers, body) == "BLOB_UPLOAD_UNKNOWN"
    assert alice.get(location).status_code == 404
    assert not upload_file(first, location).exists(), "the bytes are gone with the upload"


def test_rows_and_store_agree(hosts):
    print("left over:", audit(hosts[0]))


# -- large blobs


class Source:
    """Pseudo-random bytes of any length from a seed, 1 MiB at a time: an AES stream, never whole in memory."""

    def __init__(self, size):
        self.size, self.key = size, secrets.token_hex(16)
        h = hashlib.sha256()
        for piece in self:
            h.update(piece)
        self.digest = f"sha256:{h.hexdigest()}"

    def __len__(self):                                           # requests takes the length from here
        return self.size

    def __iter__(self):
        p = subprocess.Popen(["openssl", "enc", "-aes-128-ctr", "-K", self.key, "-iv", "0" * 32, "-nosalt", "-in", "/dev/zero"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        left = self.size
        try:
            while left:
                piece = p.stdout.read(min(left, 1 << 20))
                left -= len(piece)
                yield piece
        finally:
            p.kill()
            p.stdout.close()
            p.wait()


class Memory:
    """Samples the PSS of every kade process. Limit: 16 MiB each and 512 KiB for each request in flight."""

    def __init__(self, stack, in_flight):
        self.stack, self.in_flight = stack, in_flight
        self.most, self.samples, self.stop = {}, 0, threading.Event()

    def run(self):
        while True:
            for pid in processes(self.stack):
                self.most[pid] = max(self.most.get(pid, 0), pss_kib(pid))
            self.samples += 1
            if self.stop.wait(0.2):
                return

    def __enter__(self):
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stop.set()
        self.thread.join()
        print(f"{self.stack.server}: {self.samples} samples, most PSS in KiB by process: {self.most}")
        if kind is None:
            limit = 16 * 1024 + 512 * self.in_flight
            assert self.samples and self.most
            assert all(0 < v < limit for v in self.most.values()), f"limit {limit} KiB: {self.most}"


def pull(client, repo, source, path=None):
    got, n = hashlib.sha256(), 0
    with client.get(f"/v2/{repo}/blobs/{source.digest}", stream=True, timeout=1800) as r:
        assert r.status_code == 200 and r.headers["Content-Length"] == str(source.size)
        for piece in r.iter_content(1 << 20):
            got.update(piece)
            n += len(piece)
    assert (n, f"sha256:{got.hexdigest()}") == (source.size, source.digest)


def range_of(client, repo, source, first, n):
    r = client.get(f"/v2/{repo}/blobs/{source.digest}", headers={"Range": f"bytes={first}-{first + n - 1}"})
    assert r.status_code == 206 and r.headers["Content-Range"] == f"bytes {first}-{first + n - 1}/{source.size}" and len(r.content) == n
    return r.content


def there_and_back(stack, size):
    """Chunked in one PATCH, then of known length in one PUT by another upload at the same time; both back at the same time."""
    admin, repo = stack.superuser(), f"admin/large{secrets.token_hex(3)}"
    one, two = Source(size), Source(size)
    admin.token(scope_of(repo))
    octets = {"Content-Type": "application/octet-stream"}

    def chunked():
        r = admin.call("PATCH", admin.start_upload(repo), data=iter(one), headers=octets, timeout=1800)
        assert r.status_code == 202 and r.headers["Range"] == f"0-{size - 1}", f"{r.status_code} {r.text[:300]}"
        return admin.finish(r.headers["Location"], one.digest, timeout=1800).status_code

    def known():
        r = admin.finish(admin.start_upload(repo), two.digest, two, timeout=1800)
        return r.status_code

    try:
        with Memory(stack, 2), concurrent.futures.ThreadPoolExecutor(2) as pool:
            a, b = pool.submit(chunked), pool.submit(known)
            assert (a.result(), b.result()) == (201, 201)
            assert range_of(admin, repo, one, size - 100_000, 100_000) == range_of(admin, repo, one, size - 100_000, 100_000)
            for f in [pool.submit(pull, admin, repo, s) for s in (one, two)]:
                f.result()
    finally:
        freed = 0
        root = store_of(stack)
        for p in [p for p in root.rglob("*") if p.is_file() and p.stat().st_size >= size // 2]:
            freed += p.stat().st_blocks * 512
            os.truncate(p, 0)                                   # the test's own gigabytes: given back at once
        stack.sql("DELETE FROM placement p USING blob b WHERE b.id = p.blob_id AND b.size_bytes >= %s", size // 2)
        for p in [p for p in root.rglob("*") if p.is_file() and p.stat().st_size == 0 and re.fullmatch(r"[0-9a-f]{64}", p.name)]:
            p.unlink()
        print(f"{freed >> 20} MiB given back")


@pytest.fixture(params=["lighttpd", "apache"])
def large(request, make_stack):
    return make_stack(request.param, name=f"large-{request.param}")


def test_256_mib(large):
    there_and_back(large, (256 << 20) + 1)


@pytest.mark.full
def test_3_gib(large):
    """Beyond 2 GiB: no limit of 31 bits, here or in the web server."""
    free = os.statvfs(store_of(large))
    if free.f_bavail * free.f_frsize < 14 << 30:
        pytest.skip("less than 14 GiB free for two blobs of 3 GiB and the web server's spool")
    there_and_back(large, (3 << 30) + 1)


def test_many_slow_uploads_cost_little(make_stack):
    """40 uploads stand still in mid-body, as clients behind bad lines do: each costs its buffers and no more."""
    stack = make_stack("nginx", name="large-nginx")
    admin = stack.superuser()
    repo, n = f"admin/slow{secrets.token_hex(3)}", 40
    admin.start_upload(repo)
    before = {pid: pss_kib(pid) for pid in processes(stack)}
    uploads = [Slow(stack, admin, "PATCH", admin.start_upload(repo), repo, length=4 << 20) for _ in range(n)]
    try:
        for u in uploads:
            u.send(os.urandom(600_000))
        st.until(lambda: stack.sql("SELECT count(*) FROM upload WHERE lease_until_ms > kade_now_ms()") == [(n,)], 30, "all writers")
        after = {pid: pss_kib(pid) for pid in processes(stack)}
        print("PSS in KiB, before and with", n, "uploads:", before, after)
        assert sum(after.values()) < 16 * 1024 * len(after) + 512 * n
        assert all(v < 16 * 1024 + 512 * n for v in after.values())
        assert sum(after.values()) - sum(before.values()) < 512 * n
    finally:
        for u in uploads:
            u.close()
