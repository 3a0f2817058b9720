"""./quickstart as a new user has it: build, start, push, break, repair, stop, remove. It builds, which takes
most of the time: behind lighttpd in each run, behind the others in full ones."""

import concurrent.futures
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

import pytest
import requests

import oci
import stack as st


class Quickstart:
    """One instance in a folder of its own."""

    def __init__(self, server):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kade-qs.", dir="/var/tmp" if os.geteuid() == 0 else None))
        self.folder.chmod(0o755)
        self.dir, self.server = self.folder / "i", server
        self.port = st.free_port()

    def call(self, *words):
        return subprocess.run([str(st.TOP / "quickstart"), "--dir", str(self.dir), *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=900)

    def run(self, *words, code=0):
        r = self.call(*words)
        assert r.returncode == code, f"quickstart {' '.join(words)}: exit code {r.returncode}\n{r.stdout}"
        return r.stdout

    def credentials(self):
        return dict(line.split("=", 1) for line in (self.dir / "credentials").read_text().splitlines())

    def client(self):
        c = self.credentials()
        return oci.Client(c["url"], c["url"].split("//")[1], c["username"], c["password"])

    def web_pid(self):
        return self.pid("web/" + self.server)

    def pid(self, name):
        return int((self.dir / "run" / f"{name}.pid").read_text())


@pytest.fixture(scope="module", params=["lighttpd", pytest.param("apache", marks=pytest.mark.full), pytest.param("nginx", marks=pytest.mark.full)])
def instance(request):
    q = Quickstart(request.param)
    try:
        q.said = q.run("--port", str(q.port), "--server", q.server)
        yield q
        q.run("reset", "--yes")
        assert not q.dir.exists(), "reset leaves something"
    finally:
        if q.dir.exists():
            subprocess.run([str(st.TOP / "quickstart"), "--dir", str(q.dir), "reset", "--yes"], stdin=subprocess.DEVNULL)
        shutil.rmtree(q.folder, ignore_errors=True)


@pytest.fixture
def image(instance):
    m = oci.image(2)
    instance.client().push("admin/kept", "latest", m)
    return m


def test_what_it_prints(instance):
    host = f"localhost:{instance.port}"
    assert f"http://{host}" in instance.said and str(instance.dir / "credentials") in instance.said
    c = instance.credentials()
    assert c["url"] == f"http://{host}" and c["password"] not in instance.said
    url = re.search(r"curl -u admin '([^']*)'", instance.said)[1]
    assert requests.get(url, auth=(c["username"], c["password"]), timeout=30).json()["token"]


def test_secrets_are_closed(instance):
    for name in ("credentials", "config.yaml"):
        assert (instance.dir / name).stat().st_mode & 0o077 == 0, name


def test_it_runs(instance, image):
    instance.client().pull("admin/kept", "latest", image)
    said = instance.run("status")
    assert "does not run" not in said and said.count(" runs") == 6


def test_again_keeps_everything(instance, image):
    before = instance.credentials(), (instance.dir / "config.yaml").read_text()
    instance.run()
    assert (instance.credentials(), (instance.dir / "config.yaml").read_text()) == before
    instance.client().pull("admin/kept", "latest", image)


@pytest.mark.parametrize("part", ["api", "transfer", "database", "web"])
def test_repairs_what_was_killed(instance, image, part):
    if part == "database":
        pid = int((instance.dir / "pg/data/postmaster.pid").read_text().splitlines()[0])
    elif part == "web":
        pid = instance.pid(f"web/{instance.server}")
    else:
        pid = instance.pid(part)
    os.kill(pid, signal.SIGKILL)
    st.until(lambda: instance.call("status").returncode == 3, 20, f"status to notice that {part} is gone")
    instance.run()
    assert instance.run("status")
    instance.client().pull("admin/kept", "latest", image)


class Load:
    """Clients that push and pull until told to stop; whatever is not the answer they want is kept."""

    def __init__(self, instance, n=4):
        self.instance, self.end, self.wrong, self.good = instance, threading.Event(), [], 0
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(n)]

    def run(self, i):
        m, client = oci.image(1), self.instance.client()
        client.token(f"repository:admin/load{i}:pull,push")      # once: passwords are checked a few at a time
        while not self.end.is_set():
            try:
                client.http.close()                             # new connections
                client.push(f"admin/load{i}", "t", m)
                client.pull(f"admin/load{i}", "t", m)
                self.good += 1
                m = oci.image(1)
            except (AssertionError, requests.RequestException) as e:
                self.wrong.append(str(e)[:300])

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        for t in self.threads:
            t.join()


def test_restart_loses_no_request(instance):
    """The pools are replaced while clients push and pull all the time, and while an upload is in mid-body."""
    client, data = instance.client(), os.urandom(300_000)
    location = client.start_upload("admin/slow")
    half = threading.Event()

    class Body:                                                  # of known length: lighttpd streams it, so that it stands in
        def __len__(self):                                       # the old pool while the new one begins
            return len(data)

        def __iter__(self):
            yield data[:150_000]
            half.wait(120)
            yield data[150_000:]

    with Load(instance) as load, concurrent.futures.ThreadPoolExecutor(1) as pool:
        slow = pool.submit(client.finish, location, oci.digest(data), Body())
        try:
            for _ in range(3):
                before = (instance.pid("api"), instance.pid("transfer"), instance.web_pid())
                done = load.good
                instance.run("restart")
                after = (instance.pid("api"), instance.pid("transfer"), instance.web_pid())
                assert before[0] != after[0] and before[1] != after[1] and before[2] == after[2]
                st.until(lambda: load.good > done + 8, 60, "pushes after the restart")
        finally:
            half.set()
        answer = slow.result(120)
        assert answer.status_code == 201, answer.text
    assert load.wrong == [] and load.good > 24
    assert client.pull_blob("admin/slow", oci.digest(data)) == data


def test_a_pool_that_was_killed_is_back_after_restart(instance, image):
    for pool in ("api", "transfer"):
        os.kill(instance.pid(pool), signal.SIGKILL)
    instance.run("restart")
    instance.client().pull("admin/kept", "latest", image)


def test_stop_and_restart(instance, image):
    instance.run("stop")
    assert instance.run("status", code=3).count("does not run") == 6
    instance.run("restart")
    instance.client().pull("admin/kept", "latest", image)


def test_settings(instance, image, tmp_path):
    extra = tmp_path / "extra.yaml"
    extra.write_text("REGISTRY_TITLE: Mine\nKADE:\n  ACCESS_LOG: all\n")
    said = instance.run("--config", str(extra), "--set", "FEATURE_ANONYMOUS_ACCESS=false", "--set", "KADE.SLOW_REQUEST_MS=700", "--set", "FEATURE_NOPE=1")
    assert "FEATURE_NOPE" in said and "unknown" in said
    config = (instance.dir / "config.yaml").read_text()
    for line in ("REGISTRY_TITLE: Mine", "FEATURE_ANONYMOUS_ACCESS: false", "  SLOW_REQUEST_MS: 700", "  ACCESS_LOG: all"):
        assert config.splitlines().count(line) == 1, line
    said = instance.run("--set", "AUTHENTICATION_TYPE=Nonsense", code=1)
    assert "AUTHENTICATION_TYPE" in said and (instance.dir / "config.yaml").read_text() == config
    instance.client().pull("admin/kept", "latest", image)


def test_taken_port(instance):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        other = instance.folder / "other"
        r = subprocess.run([str(st.TOP / "quickstart"), "--dir", str(other), "--port", str(s.getsockname()[1])], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert r.returncode == 1 and "is taken" in r.stdout and not other.exists()


def test_other_peoples_folders(instance):
    mine = instance.folder / "mine"
    mine.mkdir()
    (mine / "letter").write_text("dear")
    for verb in ("start", "reset"):
        r = subprocess.run([str(st.TOP / "quickstart"), "--dir", str(mine), "--port", str(st.free_port()), verb, "--yes"], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert r.returncode == 1 and (mine / "letter").read_text() == "dear"
    assert "say --yes" in instance.run("reset", code=1)


def test_logs(instance):
    said = instance.run("logs")
    assert "kade.fcgi" in said and instance.credentials()["password"] not in said
