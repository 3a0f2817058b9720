"""Everything that is measured: PostgreSQL with its default durability, Redis, Kade's pools behind the web servers with the
files of conf-examples/, docker-registry and other peers, the trivial FastCGI program, a static file server; and their data."""

import base64
import hashlib
import io
import json
import os
import pathlib
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import psycopg2
import requests

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "e2e"))

import stack as e2e  # noqa: E402
from measure import Group  # noqa: E402

# A small host's sizes; durability as PostgreSQL ships it. deadlock_timeout makes the log name waits above 20 ms.
POSTGRES = """
fsync = on
full_page_writes = on
shared_buffers = 512MB
effective_cache_size = 2GB
max_wal_size = 4GB
checkpoint_timeout = 15min
wal_compression = lz4
random_page_cost = 1.1
max_connections = 100
log_lock_waits = on
deadlock_timeout = 20ms
"""
OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"
STATIC = """server.modules = ( "mod_accesslog" )
server.port = {port}
server.bind = "127.0.0.1"
server.username = "www-data"
server.document-root = "{root}"
server.errorlog = "{folder}/error.log"
accesslog.filename = "{folder}/access.log"
server.max-connections = 2048
server.max-fds = 8192
"""


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Servers(e2e.Servers):
    def start(self, kind, name=None, **values):
        if kind == "postgres":
            conf = self.folder / "postgres.conf"
            conf.write_text(POSTGRES)
            values["CONF"] = conf
        return super().start(kind, name, **values)


class Fleet:
    def __init__(self, build, sizes, distribution=None):
        self.sizes, self.distribution = sizes, distribution
        self.servers = Servers(build)
        self.folder = self.servers.folder
        self.build = build
        self.web, self.groups, self.extra = {}, {}, []
        self.process = None

    # -- life

    def start(self):
        self.servers.start_database()
        self.stack = s = e2e.Stack(self.servers, "lighttpd", {"KADE": {"ACCESS_LOG": "errors"}}, name="kade")
        s.start()
        self.web["lighttpd"] = s.base
        self.groups["kade"] = Group("kade", s.pools / "api.pid", s.pools / "transfer.pid")
        self.groups["postgres"] = Group("postgres", self.servers.postgres / "postgres.pid")
        self.groups["redis"] = Group("redis", self.servers.redis / "redis.pid")
        self.groups["lighttpd"] = Group("lighttpd", s.web / "lighttpd.pid")
        registry = self.servers.start("registry")
        self.registry_folder = registry
        self.registry = "http://" + e2e.read_env(registry)["DOCKER_REGISTRY"]
        self.groups["docker-registry"] = Group("docker-registry", registry / "registry.pid")

    def start_web(self, kind, tls=False, **values):
        """One more web server in front of the same pools; its URL."""
        name = kind + ("-tls" if tls else "") + ("-send" if "SENDFILE" in values else "")
        if name not in self.web:
            folder = self.servers.start(kind, name, SOCKETS=self.stack.pools, TLS="yes" if tls else "no", **values)
            self.web[name] = self._reached(folder)
            self.groups[name] = Group(name, folder / f"{kind}.pid")
        return self.web[name]

    @staticmethod
    def _reached(folder):
        env = e2e.read_env(folder)
        return env["WEB_URL"].replace("localhost", "127.0.0.1")

    def start_probe(self, kind, tls=False):
        """The trivial FastCGI program behind a web server with the same file."""
        name = "probe-" + kind + ("-tls" if tls else "")
        if name not in self.web:
            if "probe" not in self.groups:
                self.probe = self.servers.start("probe", PROBE=self.build_c("tests/servers/fcgi-probe.c", "-lfcgi", "-pthread"))
                self.groups["probe"] = Group("probe", self.probe / "api.pid", self.probe / "transfer.pid")
            folder = self.servers.start(kind, name, SOCKETS=self.probe, TLS="yes" if tls else "no")
            self.web[name] = self._reached(folder)
            self.groups[name] = Group(name, folder / f"{kind}.pid")
        return self.web[name]

    def build_c(self, source, *flags):
        """A program of one C file, built into the private folder."""
        program = self.servers.bin / pathlib.Path(source).stem
        subprocess.run(["cc", "-O2", "-o", str(program), str(TOP / source), *flags], check=True)
        program.chmod(0o755)
        return program

    def start_static(self, root):
        folder, port = self.folder / "static", e2e.free_port()
        folder.mkdir()
        if os.geteuid() == 0:
            shutil.chown(folder, "www-data")
        (folder / "lighttpd.conf").write_text(STATIC.format(port=port, root=root, folder=folder))
        self._spawn(["lighttpd", "-D", "-f", str(folder / "lighttpd.conf")], folder, "static")
        self.web["static"] = f"http://127.0.0.1:{port}"
        e2e.until(lambda: self._listens(port), what="the static server")

    def start_distribution(self):
        """distribution 3, when a binary was given."""
        folder, port = self.folder / "distribution", e2e.free_port()
        folder.mkdir()
        (folder / "config.yml").write_text(
            f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage: {{filesystem: {{rootdirectory: {self.registry_folder}/data}}, "
            f"delete: {{enabled: true}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n")
        self._spawn([str(self.distribution), "serve", str(folder / "config.yml")], folder, "distribution", OTEL_TRACES_EXPORTER="none")
        self.web["distribution"] = f"http://127.0.0.1:{port}"
        e2e.until(lambda: self._listens(port), what="distribution")

    def _spawn(self, words, folder, name, **env):
        p = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=(folder / "out.log").open("wb"), stderr=subprocess.STDOUT,
                             start_new_session=True, env={**os.environ, **env})
        self.extra.append(p)
        (folder / f"{name}.pid").write_text(f"{p.pid}\n")
        self.groups[name] = Group(name, folder / f"{name}.pid")

    @staticmethod
    def _listens(port):
        return subprocess.run(["ss", "-Hltn", f"sport = :{port}"], stdout=subprocess.PIPE).stdout.strip() != b""

    def stop(self):
        for p in self.extra:
            p.send_signal(signal.SIGTERM)
        for p in self.extra:
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        try:
            if getattr(self, "stack", None):
                self.stack.stop()
        finally:
            self.servers.stop()

    # -- data

    def load(self):
        """Repositories with manifests in Kade's database (COPY) and in docker-registry's folder, the same bytes in both;
        robots that may read five repositories each, and their tokens; small blobs pushed to both."""
        n, rng = self.sizes, random.Random(1)
        self.stack.create_org("bench")
        self.repos = [f"bench/r{i:04d}" for i in range(n["repositories"])]
        images = [(self.repos[i % len(self.repos)], f"v{i // len(self.repos)}", image(i)) for i in range(n["manifests"])]
        self._fill_database(images)
        self._fill_folder(images)
        self._make_tokens(n["tokens"])
        by_tag, by_digest, repo_token = [], [], {r: 1 + i % len(self.tokens) for i, r in enumerate(self.repos)}
        for repo, tag, body in images:
            by_tag.append(f"GET /v2/{repo}/manifests/{tag} {repo_token[repo]}")
            by_digest.append(f"GET /v2/{repo}/manifests/{digest(body)} {repo_token[repo]}")
        self.list("by-tag", by_tag, rng)
        self.list("by-digest", by_digest, rng)
        self.repo_token = repo_token
        self._push_small_blobs(n["blobs"], rng)
        self.sql("ANALYZE")

    def list(self, name, lines, rng=None):
        if rng:
            rng.shuffle(lines)
        (self.folder / f"{name}.list").write_text("\n".join(lines) + "\n")
        return self.path(name)

    def path(self, name):
        return self.folder / f"{name}.list"

    def sql(self, text, *args):
        return self.stack.sql(text, *args)

    def _fill_database(self, images):
        self.sql("INSERT INTO repository (namespace_id, name) SELECT a.id, 'r' || lpad(i::text, 4, '0') FROM account a, generate_series(0, %s - 1) i "
                 "WHERE a.name = 'bench'", len(self.repos))
        ids = dict(self.sql("SELECT 'bench/' || name, id FROM repository"))
        text = io.StringIO()
        for repo, tag, body in images:
            text.write(f"{ids[repo]}\t{tag}\t{digest(body)}\t\\\\x{body.hex()}\n")
        text.seek(0)
        db = psycopg2.connect(self.stack.uri)
        with db, db.cursor() as cur:
            cur.execute("CREATE TEMP TABLE g (repository_id int8, tag text, digest text, bytes bytea)")
            cur.copy_expert("COPY g FROM STDIN", text)
            cur.execute("INSERT INTO manifest (repository_id, digest, media_type, bytes, layers_bytes) SELECT repository_id, digest, %s, bytes, 1000 FROM g",
                        (OCI_IMAGE,))
            cur.execute("INSERT INTO tag (repository_id, manifest_id, name) SELECT g.repository_id, m.id, g.tag FROM g "
                        "JOIN manifest m ON m.repository_id = g.repository_id AND m.digest = g.digest")
        db.close()

    def _fill_folder(self, images):
        """The layout of distribution's file system driver; a tag's link is a second name of the revision's, which has the same bytes."""
        root = self.registry_folder / "data" / "docker" / "registry" / "v2"

        def put(path, data):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

        for repo, tag, body in images:
            d = digest(body)
            h, m = d[7:], root / "repositories" / repo / "_manifests"
            put(root / "blobs" / "sha256" / h[:2] / h / "data", body)
            put(m / "revisions" / "sha256" / h / "link", d.encode())
            current = m / "tags" / tag / "current"
            current.mkdir(parents=True)
            os.link(m / "revisions" / "sha256" / h / "link", current / "link")

    def _make_tokens(self, count):
        self.robots, self.tokens = [], []
        for i in range(count):
            name, password = self.stack.create_robot("bench", f"b{i}")
            self.robots.append((name, password))
        self.sql("INSERT INTO repository_permission (repository_id, account_id, role) SELECT r.id, a.id, 1 FROM repository r JOIN account a "
                 "ON a.name = 'bench+b' || (substr(r.name, 2)::int %% %s)", count)
        for i, (name, password) in enumerate(self.robots):
            scopes = [f"repository:{r}:pull" for r in self.repos[i::count]]
            self.tokens.append("Bearer " + self.token(name, password, scopes))
        (self.folder / "tokens").write_text("\n".join(self.tokens) + "\n")
        self.token_file = self.folder / "tokens"
        self.basic_file = self.folder / "basic"
        self.basic_file.write_text("".join("Basic " + base64.b64encode(f"{n}:{p}".encode()).decode() + "\n" for n, p in self.robots))

    def token(self, user, password, scopes):
        r = requests.get(f"{self.stack.base}/v2/auth", auth=(user, password), params=[("service", self.stack.host), *(("scope", s) for s in scopes)], timeout=60)
        r.raise_for_status()
        return r.json()["token"]

    def admin_token(self, *repos):
        return self.token(e2e.SUPERUSER, self.stack.password, [f"repository:{r}:pull,push" for r in repos])

    def _push_small_blobs(self, count, rng):
        """One blob of 3 KB for each of some repositories, readable with the repository's token."""
        heads, gets, repos = [], [], self.repos[: min(count, len(self.repos))]
        per, http = max(1, count // len(repos)), requests.Session()
        for i, repo in enumerate(repos):
            auth = {"Authorization": "Bearer " + self.admin_token(repo), "Content-Type": "application/octet-stream"}
            for k in range(per):
                data = secrets.token_bytes(3000)
                for base, headers in ((self.stack.base, auth), (self.registry, {"Content-Type": "application/octet-stream"})):
                    r = http.post(f"{base}/v2/{repo}/blobs/uploads/", headers=headers, timeout=60)
                    r.raise_for_status()
                    where = r.headers["Location"]
                    where = where if where.startswith("http") else base + where
                    http.put(where + ("&" if "?" in where else "?") + "digest=" + digest(data), data=data, headers=headers, timeout=60).raise_for_status()
                heads.append(f"HEAD /v2/{repo}/blobs/{digest(data)} {self.repo_token[repo]}")
                gets.append("GET" + heads[-1][4:])
        self.list("blob-head", heads, rng)
        self.list("blob-get", gets, rng)

    def forget(self, blob):
        """Frees the room of a pushed blob in both stores; what the databases say of it does not matter to a further push."""
        for folder in (self.stack.folder / "storage", self.registry_folder / "data"):
            for p in folder.rglob(f"*{blob[7:]}*"):
                if p.is_file():
                    p.unlink()
                elif (p / "data").is_file() and (p / "data").stat().st_size > 1_000_000:
                    (p / "data").unlink()

    # -- cold starts

    def drop_caches_of(self, *folders):
        """Takes the files of these folders out of the page cache."""
        os.sync()
        for folder in folders:
            for base, _, names in os.walk(folder):
                for name in names:
                    try:
                        fd = os.open(os.path.join(base, name), os.O_RDONLY)
                    except OSError:
                        continue
                    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                    os.close(fd)

    def restart_cold(self):
        self.stack.stop_pools()
        e2e.ctl("stop", "postgres", self.servers.postgres)
        self.drop_caches_of(self.servers.postgres / "data", self.stack.folder / "storage")
        e2e.ctl("start", "postgres", self.servers.postgres)
        self.stack.start_pools()

    def restart_cold_registry(self):
        e2e.ctl("stop", "registry", self.registry_folder)
        self.drop_caches_of(self.registry_folder / "data")
        e2e.ctl("start", "registry", self.registry_folder, PORT=self.registry.rsplit(":", 1)[1])

    def key_folder(self, name):
        folder = self.stack.folder / f"keys-{name}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(folder, self.stack.user)
        return folder

    def restart_pools(self, **changes):
        self.stack.restart_pools(**changes)

    def set_postgres(self, **settings):
        """Changes settings of the running server; None: back to the file's."""
        db = psycopg2.connect(self.stack.uri)
        db.autocommit = True
        with db.cursor() as cur:
            for name, value in settings.items():
                cur.execute(f"ALTER SYSTEM RESET {name}" if value is None else f"ALTER SYSTEM SET {name} = %s", None if value is None else (value,))
            cur.execute("SELECT pg_reload_conf()")
        db.close()
        for name, value in settings.items():
            e2e.until(lambda: value is None or self.sql("SELECT setting FROM pg_settings WHERE name = %s", name)[0][0] == str(value), what=name)

    def lock_waits(self):
        return (self.servers.postgres / "postgres.log").read_text(errors="replace").count("still waiting for")


def image(i):
    """A manifest of 1.5 KB with six layers, all names made up."""
    def part(media_type, k):
        return {"mediaType": media_type, "size": 1000 + k, "digest": digest(f"{i}.{k}".encode())}

    return json.dumps({
        "schemaVersion": 2, "mediaType": OCI_IMAGE, "config": part("application/vnd.oci.image.config.v1+json", 0),
        "layers": [part("application/vnd.oci.image.layer.v1.tar+gzip", k) for k in range(1, 7)],
        "annotations": {"org.opencontainers.image.revision": f"{i:040x}"}}, indent=3).encode()
