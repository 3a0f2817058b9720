"""One whole Kade on loopback: PostgreSQL database, Redis, the pools of kade.fcgi, a web server with the very file of
conf-examples/. Servers are started by tests/servers/ctl; the database is a copy of a template that kade-migrate made."""

import contextlib
import grp
import json
import os
import pathlib
import pwd
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import psycopg2
import requests

import oci

TOP = pathlib.Path(__file__).resolve().parents[2]
CTL = TOP / "tests" / "servers" / "ctl"
SUPERUSER = "admin"

# Lines that a log may hold only when the test that caused them says so (Stack.expect_log).
SUSPECT = re.compile(
    r'"level"\s*:\s*"error"|AddressSanitizer|runtime error:|Assertion|LeakSanitizer|segfault|terminated by signal'
    r"|premature end of script|FATAL|PANIC|deadlock detected",
    re.I,
)


def ctl(*args, **values):
    """Runs tests/servers/ctl; a failure carries what it said."""
    words = [str(CTL), *map(str, args), *(f"{k}={v}" for k, v in values.items())]
    r = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if r.returncode != 0:
        raise RuntimeError(f"{shlex.join(words)}: {r.stdout}")
    return r.stdout


def read_env(folder):
    """The KEY='value' lines that a server wrote."""
    lines = (pathlib.Path(folder) / "env").read_text().splitlines()
    return {k: v.strip("'") for k, v in (line.split("=", 1) for line in lines if "=" in line)}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(condition, seconds=20, what="condition"):
    """Waits for condition() to be true and returns its value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"{what} not reached in {seconds} s")
        time.sleep(0.02)


def run_as(user, words, text=None, **kw):
    """As that user when we are root, else as ourselves; text: what it reads from standard input."""
    if os.geteuid() == 0:
        words = ["setpriv", f"--reuid={user}", f"--regid={grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name}", "--clear-groups", "--", *words]
    return subprocess.run(words, input=text or "", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kw)


class Servers:
    """What all stacks of a session share: a PostgreSQL cluster with the template database, Redis, the programs."""

    def __init__(self, build):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kade-e2e."))
        self.folder.chmod(0o755)
        self.bin = self.folder / "bin"
        self.started = []
        self._copy_programs(pathlib.Path(build))

    def _copy_programs(self, build):
        # Copied, because the user nobody may not be able to walk to the build folder.
        self.bin.mkdir()
        found = [p for p in build.glob("kade*") if p.is_file() and os.access(p, os.X_OK)]
        for p in found:
            shutil.copy2(p, self.bin / p.name)
            (self.bin / p.name).chmod(0o755)

    def start(self, kind, name=None, **values):
        folder = self.folder / (name or kind)
        ctl("start", kind, folder, **values)
        self.started.append((kind, folder))
        return folder

    def start_database(self):
        self.postgres = self.start("postgres")
        self.redis = self.start("redis")
        ctl("db", self.postgres, "create", "kade_template")
        config = self.folder / "migrate.yaml"
        config.write_text(json.dumps(base_config(self, self.database_uri("kade_template"), self.folder, "localhost:1")))
        config.chmod(0o644)
        schema = self.folder / "schema"                          # copied for the same reason as the programs
        shutil.copytree(TOP / "sql" / "schema", schema)
        r = run_as("nobody", [str(self.bin / "kade-migrate"), "--config", str(config), "--schema", str(schema)])
        if r.returncode != 0:
            raise RuntimeError(f"kade-migrate: exit code {r.returncode}\n{r.stdout}{r.stderr}")

    def database_uri(self, name):
        return ctl("db", self.postgres, "uri", name).strip()

    def stop(self):
        problems = []
        for kind, folder in reversed(self.started):
            try:
                ctl("stop", kind, folder)
            except RuntimeError as e:
                problems.append(str(e))
        shutil.rmtree(self.folder, ignore_errors=True)
        if problems:
            raise RuntimeError("\n".join(problems))


def base_config(servers, database_uri, folder, host):
    """config.yaml of a test, as a dict: JSON is YAML."""
    redis = {"unix_socket_path": read_env(servers.redis)["KADE_TEST_REDIS"]}
    return {
        "SERVER_HOSTNAME": host,
        "PREFERRED_URL_SCHEME": "http",
        "SETUP_COMPLETE": True,
        "SECRET_KEY": "k" + secrets.token_hex(32),
        "DATABASE_SECRET_KEY": "d" + secrets.token_hex(32),
        "DB_URI": database_uri,
        "BUILDLOGS_REDIS": redis,
        "USER_EVENTS_REDIS": redis,
        "DISTRIBUTED_STORAGE_CONFIG": {"default": ["LocalStorage", {"storage_path": f"{folder}/storage"}]},
        "DISTRIBUTED_STORAGE_PREFERENCE": ["default"],
        "DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS": ["default"],
        "AUTHENTICATION_TYPE": "Database",
        "SUPER_USERS": [SUPERUSER],
        "FEATURE_MAILING": False,
        "FEATURE_USER_CREATION": True,
        "DEFAULT_TAG_EXPIRATION": "2w",
        "TAG_EXPIRATION_OPTIONS": ["0s", "1d", "1w", "2w", "4w"],
        "KADE": {"SPOOL_DIR": f"{folder}/spool", "STATE_DIR": f"{folder}/state", "ACCESS_LOG": "all"},
    }


class Stack:
    """config: keys that replace those of base_config; a dict under KADE is merged into its KADE block."""

    def __init__(self, servers, server="lighttpd", config=None, name=None, tls=False):
        self.servers, self.server, self.tls = servers, server, tls
        self.user = "www-data" if server == "apache-fcgid" else "nobody"      # whose processes the pools are
        self.name = name or f"{server}-{secrets.token_hex(3)}"
        self.folder = servers.folder / self.name
        self.port = free_port()
        self.host = f"localhost:{self.port}"
        self.base = f"http{'s' if tls else ''}://{self.host}"
        self.database = "kade_" + re.sub(r"\W", "_", self.name)
        self.overrides = config or {}
        self.secrets, self.expected, self.users = set(), [], {}
        self.read_upto = {}
        self.pools = self.web = None

    # -- life

    def start(self):
        self.folder.mkdir()
        self._own(self.folder)
        for d in ("storage", "spool", "state"):
            (self.folder / d).mkdir()
            self._own(self.folder / d)
        ctl("db", self.servers.postgres, "copy", "kade_template", self.database)
        self.uri = self.servers.database_uri(self.database)
        self.config = base_config(self.servers, self.uri, self.folder, self.host)
        if self.tls:
            self.config.update(PREFERRED_URL_SCHEME="https", EXTERNAL_TLS_TERMINATION=True)
        self.write_config(self.overrides)
        self.start_pools()
        self.start_web()
        self.password = secrets.token_urlsafe(15)
        self.create_user(SUPERUSER, self.password, superuser=True)
        return self

    def write_config(self, changes):
        changes = dict(changes)
        self.config["KADE"] = {**self.config["KADE"], **changes.pop("KADE", {})}
        self.config.update(changes)
        self.secrets |= {self.config["SECRET_KEY"], self.config["DATABASE_SECRET_KEY"]}
        self.secrets |= set(re.findall(r"://[^:/@]*:([^@]+)@", self.config["DB_URI"]))
        self.config_file = self.folder / "config.yaml"
        self.config_file.write_text(json.dumps(self.config, indent=1))
        self.config_file.chmod(0o600)
        self._own(self.config_file)

    def start_pools(self):
        self.pools = self.folder / "pools"
        if self.server != "apache-fcgid":                       # there the web server starts them
            ctl("start", "kade", self.pools, BIN=self.servers.bin, CONFIG=self.config_file)

    def stop_pools(self):
        if self.server != "apache-fcgid":
            ctl("stop", "kade", self.pools)

    def restart_pools(self, **changes):
        """With other keys in config.yaml; the web server keeps running."""
        self.stop_pools()
        self.write_config(changes)
        self.start_pools()

    def start_web(self):
        self.web = self.folder / "web"
        ctl("start", self.server, self.web, SOCKETS=self.pools, PORT=self.port, TLS="yes" if self.tls else "no",
            FCGI=self.servers.bin / "kade.fcgi", CONFIG=self.config_file)
        until(lambda: self._answers(), 20, f"{self.server}: an answer on /v2/")

    def stop(self):
        if self.web:
            ctl("stop", self.server, self.web)
        if self.pools:
            self.stop_pools()

    def _answers(self):
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.base}/v2/", timeout=5, verify=self.verify).status_code == 401

    @property
    def verify(self):
        return str(self.web / "tls.crt") if self.tls else True

    def _own(self, path):
        if os.geteuid() == 0:
            shutil.chown(path, self.user, pwd.getpwnam(self.user).pw_gid)

    def pool_pid(self, pool):
        return int((self.pools / f"{pool}.pid").read_text())

    def children(self, pool):
        pid = self.pool_pid(pool)
        return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def kill_children(self, pool, sig=signal.SIGKILL):
        killed = self.children(pool)
        for pid in killed:
            with contextlib.suppress(ProcessLookupError):   # several may kill at once
                os.kill(pid, sig)
        return killed

    # -- looking inside

    def sql(self, text, *args):
        """Rows of one statement in a transaction of its own."""
        with contextlib.closing(psycopg2.connect(self.uri)) as db:
            with db, db.cursor() as cur:
                cur.execute(text, args)
                return cur.fetchall() if cur.description else cur.rowcount

    def stored_files(self):
        root = self.folder / "storage"
        return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())

    def logs(self, new=False):
        """Log text by file name: pools and web server; new: what came since the last such call."""
        found = {}
        for folder in (self.pools, self.web):
            for p in sorted(folder.rglob("*.log")) if folder else ():
                name = str(p.relative_to(self.folder))
                with p.open("rb") as f:
                    f.seek(self.read_upto.get(name, 0) if new else 0)
                    data = f.read()
                    data = data[: data.rfind(b"\n") + 1]              # whole lines
                    if new:
                        self.read_upto[name] = self.read_upto.get(name, 0) + len(data)
                found[name] = data.decode(errors="replace")
        return found

    def expect_log(self, pattern):
        """Says that lines like this are no sign of a fault."""
        self.expected.append(re.compile(pattern))

    def check_logs(self, new=False):
        """No secret, and no error that no test announced."""
        bad = []
        for name, text in self.logs(new).items():
            bad += [f"{name}: holds a secret: {s[:4]}…" for s in self.secrets if s and s in text]
            bad += [f"{name}: {line}" for line in text.splitlines()
                    if SUSPECT.search(line) and not any(e.search(line) for e in self.expected)]
        assert not bad, "\n".join(bad[:20])

    # -- people

    def admin(self, *words, code=0):
        """kade-admin; its output, or what it complains of when it is expected to refuse."""
        r = run_as(self.user, [str(self.servers.bin / "kade-admin"), "--config", str(self.config_file), *words])
        assert r.returncode == code, f"kade-admin {shlex.join(words)}: exit code {r.returncode}\n{r.stdout}{r.stderr}"
        return r.stdout if code == 0 else r.stderr

    def _with_password(self, name, password, *words):
        """kade-admin with a password in a file."""
        self.secrets.add(password)
        file = self.folder / f"password-{secrets.token_hex(4)}"
        file.write_text(password + "\n")
        file.chmod(0o600)
        self._own(file)
        self.admin(*words, "--password-file", str(file))
        file.unlink()
        self.users[name] = password
        return password

    def create_user(self, name, password=None, superuser=False):
        return self._with_password(name, password or secrets.token_urlsafe(12), "user", "create", name, "--email", f"{name}@example.com",
                                   *(["--superuser-hint"] if superuser else []))

    def set_password(self, name):
        return self._with_password(name, secrets.token_urlsafe(12), "user", "password", name)

    def create_org(self, name, owner=SUPERUSER):
        self.admin("org", "create", name, "--owner", owner)
        return name

    def create_robot(self, owner, short):
        """Its full name and its token, which kade-admin prints as the last word of its output."""
        token = self.admin("robot", "create", f"{owner}+{short}").split()[-1]
        self.secrets.add(token)
        self.users[f"{owner}+{short}"] = token
        return f"{owner}+{short}", token

    def create_token(self, kind, *words):
        """Its uuid and the token itself. kind and words as kade-admin takes them: "app", "oauth", "repository"."""
        out = self.admin("token", kind, *words)
        uuid, token = re.search(r"^token (\S+), shown only now", out, re.M)[1], out.split()[-1]
        self.secrets.add(token)
        return uuid, token

    def permit(self, repo, role, who):
        """who: user:NAME, robot:NAME or team:NAME; role None: takes the right away."""
        self.admin("permission", *(["set", repo, role] if role else ["remove", repo]), who)

    def client(self, user=None, password=None):
        """An OCI client: anonymous without a name."""
        if user and password is None:
            password = self.users[user]
        return oci.Client(self.base, self.host, user, password, verify=self.verify, secrets=self.secrets)

    def superuser(self):
        return self.client(SUPERUSER)
