"""Who writes a body to the disk, and for whom: lighttpd has to spool what comes without a length, so Kade is asked before; the
others stream, and Kade refuses while the body comes."""

import os
import secrets
import threading
import time
import uuid

import pytest

import oci
import stack as st
from breakage import Slow, access, is_v2_error, scope_of, with_digest

BIG = 300 << 20
PIECE = os.urandom(1 << 20)


class Spool:
    """Watches the web server's upload folder while a request runs: the most bytes it held, files that were unlinked included."""

    def __init__(self, stack):
        self.folders = [str(p) for p in (stack.web / "spool",)]
        self.pids = [int(p.read_text()) for p in stack.web.glob("*.pid")]
        self.most, self.looks, self.stop = 0, 0, threading.Event()

    def held(self):
        total, seen = 0, set()
        family = list(self.pids)
        for pid in self.pids:
            try:
                with open(f"/proc/{pid}/task/{pid}/children") as f:
                    family += map(int, f.read().split())
            except OSError:
                pass
        for pid in family:
            try:
                fds = os.listdir(f"/proc/{pid}/fd")
            except OSError:
                continue
            for fd in fds:
                try:
                    if os.readlink(f"/proc/{pid}/fd/{fd}").startswith(tuple(self.folders)):
                        s = os.stat(f"/proc/{pid}/fd/{fd}")
                        if (s.st_dev, s.st_ino) not in seen:
                            seen.add((s.st_dev, s.st_ino))
                            total += s.st_size
                except OSError:
                    pass
        for folder in self.folders:
            for top, _, files in os.walk(folder):
                for name in files:
                    try:
                        s = os.stat(os.path.join(top, name))
                        if (s.st_dev, s.st_ino) not in seen:
                            total += s.st_size
                    except OSError:
                        pass
        return total

    def look(self):
        self.most = max(self.most, self.held())
        self.looks += 1

    def watch(self):
        while not self.stop.is_set():
            self.look()

    def __enter__(self):
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        self.look()                         # a quick refusal may be over during the first one
        assert self.looks > 1


def send_until_answered(request, total):
    """Sends the body in pieces, stops when an answer is there or the connection is gone. Gives the bytes sent and the answer."""
    sent = 0
    request.sock.settimeout(60)
    try:
        while sent < total:
            request.send(PIECE)
            sent += len(PIECE)
    except OSError:
        pass
    return sent, request.answer()


@pytest.fixture(scope="module")
def lighttpd(make_stack):
    return make_stack("lighttpd", name="spool")


@pytest.fixture
def name():
    return f"admin/s{secrets.token_hex(5)}"


@pytest.mark.parametrize("token", ["", "not.a.token"])
def test_stranger_spools_nothing(lighttpd, name, token):
    admin = lighttpd.superuser()
    location = admin.start_upload(name)
    with Spool(lighttpd) as spool:
        sent, (status, headers, body) = send_until_answered(Slow(lighttpd, admin, "PATCH", location, token=token), BIG)
    print(f"stranger: {status}, {sent >> 20} MiB sent, at most {spool.most} bytes spooled, {spool.looks} looks")
    assert status == 401 and is_v2_error(status, headers, body) == "UNAUTHORIZED"
    assert "bearer realm=" in headers["www-authenticate"].lower()
    assert spool.most == 0, "a stranger's bytes were written to the disk"
    assert admin.get(location).headers["Range"] == "0-0"


def test_who_may_is_spooled_and_served(lighttpd, name):
    """The same body by the owner: it is written to the disk, which shows that the watch sees it, and is taken."""
    admin = lighttpd.superuser()
    size = 32 << 20
    location = admin.start_upload(name)
    with Spool(lighttpd) as spool:
        r = admin.patch(location, PIECE * (size >> 20), streamed=True)
        assert r.status_code == 202 and r.headers["Range"] == f"0-{size - 1}"
    print(f"owner: at most {spool.most >> 20} MiB spooled, {spool.looks} looks")
    assert spool.most > size // 4
    st.until(lambda: Spool(lighttpd).held() == 0, 20, "an empty spool")
    assert admin.finish(r.headers["Location"], oci.digest(PIECE * (size >> 20))).status_code == 201
    asked = access(lighttpd, authorizer=True, status=200)
    assert any(location.split("/uploads/")[1][:36] in o["path"] for o in asked)


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_unknown_upload_spools_nothing(lighttpd, name, method):
    """A right to push is not enough: the upload must be there, and in this repository."""
    admin = lighttpd.superuser()
    location = admin.start_upload(name)
    admin.start_upload(name + "-other")
    for path in (f"/v2/{name}/blobs/uploads/{uuid.uuid4()}", location.replace(name, name + "-other")):
        if method == "PUT":
            path = with_digest(path, oci.unknown_digest())
        repo = name if name + "-other" not in path else name + "-other"
        with Spool(lighttpd) as spool:
            sent, (status, headers, body) = send_until_answered(Slow(lighttpd, admin, method, path, repo), BIG)
        print(f"unknown upload: {status}, {sent >> 20} MiB sent, at most {spool.most} bytes spooled")
        assert status == 404 and is_v2_error(status, headers, body) == "BLOB_UPLOAD_UNKNOWN"
        assert spool.most == 0


def test_right_without_push_spools_nothing(lighttpd, name):
    admin = lighttpd.superuser()
    location = admin.start_upload(name)
    lighttpd.users.get("reader") or lighttpd.create_user("reader")
    lighttpd.sql("INSERT INTO repository_permission (repository_id, account_id, role) SELECT r.id, a.id, 1 FROM repository r, account a WHERE r.name = %s AND a.name = 'reader'", name.split("/")[1])
    reader = lighttpd.client("reader")
    with Spool(lighttpd) as spool:
        _, (status, headers, body) = send_until_answered(Slow(lighttpd, reader, "PATCH", location, name), BIG)
    assert status == 401 and is_v2_error(status, headers, body) == "UNAUTHORIZED"
    assert spool.most == 0


@pytest.mark.parametrize("server", ["apache", "nginx"])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("case", ["stranger", "unknown upload"])
def test_streaming_servers_refuse_in_time(make_stack, name, server, known, case):
    """Kade answers before the body is whole, and no process of the web server keeps it on the disk. The body stops after a
    few MiB: the answer may not depend on the rest."""
    stack = make_stack(server)
    admin = stack.superuser()
    location = admin.start_upload(name)
    path, token = (location, "") if case == "stranger" else (f"/v2/{name}/blobs/uploads/{uuid.uuid4()}", admin.token(scope_of(name)))
    with Spool(stack) as spool:
        r = Slow(stack, admin, "PATCH", path, length=BIG if known else None, token=token)
        sent = 0
        try:
            for _ in range(4):
                r.send(PIECE)
                sent += len(PIECE)
        except OSError:
            pass
        t0 = time.monotonic()
        status, headers, body = r.read()                 # the body is not at its end: an answer that waits for it never comes
        print(f"{server}, {case}: {status} after {sent >> 20} of {BIG >> 20} MiB, {time.monotonic() - t0:.1f} s, {spool.held()} bytes spooled")
    assert status == (401 if case == "stranger" else 404) and is_v2_error(status, headers, body)
    assert spool.most == 0
    assert [o["in"] for o in access(stack, status=status, method="PATCH")][-1] == 0, "Kade read none of it"
