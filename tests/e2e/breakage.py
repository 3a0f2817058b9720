"""What the tests of faults share: clusters and stacks that may be broken, requests sent piece by piece, and the audit of a
registry after a fault: what the rows say must be what the store holds."""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket

import pytest

import oci
import stack as st


class FragileServers(st.Servers):
    """A cluster of its own, durable as in production: tests stop and crash it."""

    def start_database(self):
        super().start_database()
        with (self.postgres / "data" / "postgresql.conf").open("a") as f:
            f.write("fsync = on\nfull_page_writes = on\nlog_line_prefix = '%m [%p] '\n")
        self.stop_postgres()
        self.start_postgres()

    def stop_postgres(self):
        st.ctl("stop", "postgres", self.postgres)

    def start_postgres(self):
        st.ctl("start", "postgres", self.postgres)

    def crash_postgres(self):
        """Immediate stop: as after a power cut, without the loss of unsynced pages."""
        pid = int((self.postgres / "postgres.pid").read_text())
        os.kill(pid, signal.SIGQUIT)
        st.until(lambda: not alive(pid), 30, "the end of PostgreSQL")


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="module")
def fragile(build):
    s = FragileServers(build)
    try:
        s.start_database()
        yield s
    finally:
        s.stop()


@contextlib.contextmanager
def running(stack):
    try:
        yield stack.start()
    finally:
        stack.stop()


def scope_of(repo):
    return f"repository:{repo}:pull,push"


class Slow:
    """One request, sent piece by piece: the head at once, the body when the test says so."""

    def __init__(self, stack, client, method, path, repo=None, length=None, headers=None, token=None):
        self.stack, self.chunked = stack, length is None
        if token is None:
            token = client.token(scope_of(repo)) if repo else None
        path = re.sub(r"^https?://[^/]+", "", path)
        lines = [f"{method} {path} HTTP/1.1", f"Host: {stack.host}", "Connection: close", "Content-Type: application/octet-stream"]
        lines += [f"Authorization: Bearer {token}"] if token else []
        lines += ["Transfer-Encoding: chunked" if self.chunked else f"Content-Length: {length}"]
        lines += [f"{k}: {v}" for k, v in (headers or {}).items()]
        self.sock = socket.create_connection(("127.0.0.1", stack.port), timeout=60)
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())

    def send(self, data):
        self.sock.sendall(f"{len(data):x}\r\n".encode() + data + b"\r\n" if self.chunked else data)

    def answer(self):
        """(status, headers, body); status None when the connection ended without an answer."""
        if self.chunked:
            with contextlib.suppress(OSError):
                self.sock.sendall(b"0\r\n\r\n")
        return self.read()

    def read(self):
        data = b""
        with self.sock, contextlib.suppress(ConnectionError):
            while piece := self.sock.recv(65536):
                data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        m = re.match(rb"HTTP/1\.1 (\d+)", head)
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])}
        return (int(m[1]) if m else None), headers, body

    def close(self):
        self.sock.close()


def with_digest(location, d):
    return f"{location}{'&' if '?' in location else '?'}digest={d}"


def is_v2_error(status, headers, body):
    """Asserts the shape of an error body; gives its code."""
    assert headers["content-type"].split(";")[0] == "application/json", (status, headers, body[:200])
    if headers.get("transfer-encoding") == "chunked":
        body = re.sub(rb"(?:^|\r\n)[0-9a-fA-F]+\r\n", b"", body).rstrip(b"\r\n0")
    errors = json.loads(body)["errors"]
    assert errors and all({"code", "message", "detail"} <= set(e) for e in errors)
    return errors[0]["code"]


def writing(stack, uuid):
    """Is a writer's lease on the upload?"""
    return stack.sql("SELECT lease_until_ms > kade_now_ms() FROM upload WHERE uuid = %s", uuid) == [(True,)]


def uuid_of(location):
    return re.search(r"/uploads/([0-9a-f-]{36})", location)[1]


def upload_file(stack, location):
    return store_of(stack) / "uploads" / uuid_of(location)


def store_of(stack):
    return pathlib.Path(stack.config["DISTRIBUTED_STORAGE_CONFIG"]["default"][1]["storage_path"])


def expire_lease(stack, location):
    """A killed writer's lease runs out: what a minute does, at once."""
    assert stack.sql("UPDATE upload SET lease_until_ms = kade_now_ms() - 1 WHERE uuid = %s", uuid_of(location)) == 1


def inventory(stack):
    """What the rows and the store hold: {kind: set}."""
    root = store_of(stack)
    files = {str(p.relative_to(root)): p.stat().st_size for p in root.rglob("*") if p.is_file()}
    uploads = {f for f in files if f.startswith("uploads/")}
    objects = {f for f in files if re.match(r"sha\d+/", f)}
    key = "COALESCE({t}.key, split_part({d}, ':', 1) || '/' || substr(split_part({d}, ':', 2), 1, 2) || '/' || split_part({d}, ':', 2))"
    placed = dict(stack.sql(f"SELECT {key.format(t='p', d='b.digest')}, b.size_bytes FROM placement p JOIN blob b ON b.id = p.blob_id"))
    tombs = {r[0] for r in stack.sql(f"SELECT {key.format(t='x', d='x.digest')} FROM (SELECT digest, NULLIF(key, '') AS key FROM tombstone) x")}
    rows = {f"uploads/{r[0]}" for r in stack.sql("SELECT uuid FROM upload")}
    return {"files": files, "objects": objects, "uploads": uploads, "placed": placed, "tombstones": tombs, "upload_rows": rows}


def audit(stack, read_bytes=True):
    """Asserts that rows and store agree. Gives what is left over of interrupted uploads: ({objects with a tombstone only},
    {files without a row}); the first are the sweeper's, the second the job's that sweeps old uploads."""
    i = inventory(stack)
    for key, size in i["placed"].items():
        assert key in i["objects"], f"a blob's row without an object: {key}"
        assert i["files"][key] == size, f"{key}: {i['files'][key]} bytes, the row says {size}"
        if read_bytes:
            with (store_of(stack) / key).open("rb") as f:
                assert hashlib.file_digest(f, key.split("/")[0]).hexdigest() == key.split("/")[2].split(".")[0], f"{key}: other bytes"
    unexplained = i["objects"] - set(i["placed"]) - i["tombstones"]
    assert not unexplained, f"objects that no row knows, nobody would ever remove them: {sorted(unexplained)}"
    # Every manifest that a client may see has all its blobs here, served; every live tag has a manifest.
    lacking = stack.sql("""
        SELECT m.digest, b.digest FROM manifest m JOIN manifest_blob mb ON mb.manifest_id = m.id JOIN blob b ON b.id = mb.blob_id
        LEFT JOIN repository_blob rb ON rb.repository_id = m.repository_id AND rb.blob_id = b.id AND NOT rb.is_removed
        LEFT JOIN placement p ON p.blob_id = b.id
        WHERE (rb.blob_id IS NULL OR p.blob_id IS NULL) AND NOT m.is_removed
          AND (m.idle_since_ms > kade_now_ms() - 3600000 OR kade_manifest_held(m.id, 3600000))""")
    assert not lacking, f"manifests that can be pulled but lack a blob: {lacking}"
    short = stack.sql("""
        SELECT m.digest FROM manifest m WHERE NOT m.is_removed AND NOT m.is_index AND (SELECT count(*) FROM manifest_blob mb WHERE mb.manifest_id = m.id)
          <> (SELECT count(DISTINCT x->>'digest') FROM json_array_elements((convert_from(m.bytes, 'UTF8')::json->'layers')) x)
            + CASE WHEN EXISTS (SELECT 1 FROM json_array_elements((convert_from(m.bytes, 'UTF8')::json->'layers')) x
                WHERE x->>'digest' = convert_from(m.bytes, 'UTF8')::json->'config'->>'digest') THEN 0 ELSE 1 END""")
    assert not short, f"manifests without links to all their blobs: {short}"
    removed = stack.sql("SELECT t.name, m.digest FROM tag t JOIN manifest m ON m.id = t.manifest_id WHERE t.ended_ms IS NULL AND m.is_removed")
    assert not removed, f"live tags of removed manifests: {removed}"
    orphans = stack.sql("""
        SELECT p.digest, m.digest FROM manifest_child c JOIN manifest p ON p.id = c.manifest_id JOIN manifest m ON m.id = c.child_id
        WHERE m.is_removed AND NOT p.is_removed AND kade_manifest_held(p.id, 3600000)""")
    assert not orphans, f"indexes with a removed child: {orphans}"
    return i["tombstones"] & i["objects"] - set(i["placed"]), i["uploads"] - i["upload_rows"]


def access(stack, **want):
    """Lines of the access log whose members equal those wanted, oldest first."""
    found = []
    for text in stack.logs().values():
        for line in text.splitlines():
            with contextlib.suppress(ValueError):
                o = json.loads(line)
                if "status" in o and "route" in o and all(o.get(k) == v for k, v in want.items()):
                    found.append(o)
    return sorted(found, key=lambda o: o["time"])


def processes(stack):
    """Every kade.fcgi process of the stack: parents and workers of both pools."""
    return [p for pool in ("api", "transfer") for p in (stack.pool_pid(pool), *stack.children(pool))]


def pss_kib(pid):
    with contextlib.suppress(OSError):
        m = re.search(r"^Pss:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
        return int(m[1]) if m else 0
    return 0


def give(stack, path):
    """A folder that the pools own."""
    path.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        shutil.chown(path, stack.user)
        path.chmod(0o755)
    return path


def pull_ok(client, repo, ref, m):
    client.pull(repo, ref, m)
    return oci.digest(m.body)
