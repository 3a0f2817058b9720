"""The jobs and kade-migrate: real programs, a real database, real storage. What a job did is seen in rows and files."""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import time
import uuid

import psycopg2
import pytest

import oci
from stack import TOP, run_as, until

DAY_MS = 86400000


class Jobs:
    """The programs with a stack's configuration."""

    def __init__(self, stack):
        self.stack = stack

    def words(self, program, *words):
        return [str(self.stack.servers.bin / program), "--config", str(self.stack.config_file), *words]

    def run(self, program, *words, code=0):
        r = run_as(self.stack.user, self.words(program, *words))
        assert r.returncode == code, f"{program} {words}: {r.returncode}: {r.stdout}{r.stderr}"
        return r

    def summary(self, program, *words, code=0):
        return json.loads(self.run(program, "--json", *words, code=code).stdout)

    def popen(self, program, *words):
        words = self.words(program, *words)
        if os.geteuid() == 0:
            words = ["setpriv", f"--reuid={self.stack.user}", "--clear-groups", "--", *words]
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def last(self, job):
        rows = self.stack.sql("SELECT exit_code, done, failed, backlog, message FROM job_run WHERE job = %s ORDER BY id DESC LIMIT 1", job)
        return rows[0] if rows else None


@pytest.fixture(scope="module")
def jobs_stack(make_stack):
    """A stack of this file's own: jobs change what other tests would look at."""
    s = make_stack("lighttpd", name="jobs")
    r = run_as(s.user, [str(s.servers.bin / "kade-admin"), "--config", str(s.config_file), "adopt-storage"])
    assert r.returncode == 0, r.stderr
    return s


@pytest.fixture
def jobs(jobs_stack):
    return Jobs(jobs_stack)


@pytest.fixture
def client(jobs_stack):
    return jobs_stack.superuser()


@contextlib.contextmanager
def session(stack):
    db = psycopg2.connect(stack.uri)
    try:
        yield db.cursor()
    finally:
        db.close()


# -- the frame


@pytest.mark.parametrize("program", ["kade-tokens", "kade-uploads", "kade-audit", "kade-keys", "kade-actioncount"])
def test_every_job_has_the_frame(jobs, program):
    assert jobs.run(program, "--help").stdout.startswith(f"Usage: {program}")
    for bad in (["--nonsense"], ["word"], ["--max-items", "0"], ["--max-items", "x"], ["--parallel", "2"], ["--namespace", "x"],
                ["--interval", "5"], ["--resident", "--dry-run"]):
        jobs.run(program, *bad, code=2)
    before = jobs.stack.sql("SELECT count(*) FROM job_run")
    jobs.run(program, "--dry-run")
    assert jobs.stack.sql("SELECT count(*) FROM job_run") == before
    jobs.run(program)
    status = json.loads(jobs.run(program, "--status").stdout)
    assert status["exit"] == 0 and status["job"] == program.removeprefix("kade-") and status["ended_ms"] >= status["started_ms"]


def test_one_on_a_host(jobs):
    with open(jobs.stack.folder / "state" / "kade-tokens.lock", "a") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        jobs.run("kade-tokens", code=4)
        jobs.run("kade-tokens", "--dry-run")
    jobs.run("kade-tokens")


def test_one_in_the_fleet(jobs):
    with session(jobs.stack) as db:
        db.execute("SELECT pg_advisory_lock(8800, 1)")
        jobs.run("kade-tokens", code=4)
        jobs.run("kade-keys")                               # has no fleet lock
    until(lambda: run_as(jobs.stack.user, jobs.words("kade-tokens")).returncode == 0, what="the lock's end")


def test_off_by_configuration(jobs, tmp_path):
    config = tmp_path / "config.yaml"

    def run(program, **changes):
        config.write_text(json.dumps({**jobs.stack.config, **changes}))
        return subprocess.run([str(jobs.stack.servers.bin / program), "--config", str(config)], capture_output=True, text=True).returncode

    assert run("kade-tokens", REGISTRY_STATE="readonly") == 3
    assert run("kade-tokens", DB_URI="postgresql://kade@/kade?host=/nonexistent") == 5
    assert run("kade-tokens", SETUP_COMPLETE="perhaps") == 2


def test_schema_of_another_release(jobs):
    jobs.stack.sql("INSERT INTO schema_migration (version, name, min_app_version) VALUES (9999, '9999-future', 1)")
    try:
        jobs.run("kade-tokens")                             # accepts programs of this level
        jobs.stack.sql("UPDATE schema_migration SET min_app_version = 99 WHERE version = 9999")
        r = jobs.run("kade-tokens", code=2)
        assert "upgrade this host" in r.stderr
        for program in ("kade-admin", "kade-migrate"):
            r = run_as(jobs.stack.user, jobs.words(program, *(["status"] if program == "kade-admin" else
                                                              ["--schema", str(jobs.stack.servers.folder / "schema")])))
            assert r.returncode == 2 and "upgrade this host" in r.stderr, (program, r.stderr)
    finally:
        jobs.stack.sql("DELETE FROM schema_migration WHERE version = 9999")


def make_tokens(stack, n, expired_days):
    stack.sql("INSERT INTO token (kind, account_id, secret_hash, title, expires_ms) SELECT 1, a.id, decode(md5(random()::text || i), 'hex'), 't',"
              " kade_now_ms() - %s FROM account a, generate_series(1, %s) i WHERE a.name = 'admin'", int(expired_days * DAY_MS), n)


def test_limits_leave_work(jobs):
    make_tokens(jobs.stack, 3, 5)
    s = jobs.summary("kade-tokens", "--max-items", "1", code=6)
    assert (s["done"], s["backlog"], s["stopped"]) == (1, 2, "--max-items")
    assert jobs.last("tokens")[:4] == (6, 1, 0, 2)
    s = jobs.summary("kade-tokens")
    assert (s["done"], s["backlog"]) == (2, 0)


def test_nothing_due_costs_little(jobs):
    """At most five statements, as the server's log counts them."""
    jobs.run("kade-tokens")
    log = jobs.stack.servers.postgres / "postgres.log"
    jobs.stack.sql(f"ALTER DATABASE {jobs.stack.database} SET log_statement = 'all'")
    try:
        before = log.stat().st_size
        jobs.run("kade-tokens")
        with log.open() as f:
            f.seek(before)
            lines = [line for line in f if "LOG:  execute" in line or "LOG:  statement" in line]
    finally:
        jobs.stack.sql(f"ALTER DATABASE {jobs.stack.database} RESET log_statement")
    lines = [line for line in lines if "RESET log_statement" not in line]
    assert 3 <= len(lines) <= 5, "".join(lines)


def test_resident(jobs):
    p = jobs.popen("kade-tokens", "--resident", "--interval", "1")
    try:
        first = until(lambda: jobs.stack.sql("SELECT count(*) FROM job_run WHERE job = 'tokens' AND pid = %s", p.pid)[0][0], what="a run")
        assert first
        make_tokens(jobs.stack, 2, 5)
        until(lambda: jobs.stack.sql("SELECT count(*) FROM token WHERE title = 't'") == [(0,)], what="the tokens' end")
        jobs.run("kade-tokens", code=4)
        count = lambda: jobs.stack.sql("SELECT count(*) FROM job_run WHERE pid = %s", p.pid)[0][0]
        p.send_signal(signal.SIGHUP)                        # the same process begins anew
        n = count()
        until(lambda: count() > n, what="a run after HUP")
        p.send_signal(signal.SIGTERM)
        assert p.wait(20) == 0
    finally:
        p.kill()
        p.communicate()
    jobs.run("kade-tokens")


def test_metrics(jobs, tmp_path):
    text = jobs.stack.folder / "kade-keys.prom"
    jobs.run("kade-keys", "--textfile", str(text))
    values = dict(line.rsplit(" ", 1) for line in text.read_text().splitlines())
    assert int(values['kade_job_runs_total{job="keys",exit="0"}']) >= 1
    assert abs(int(values['kade_job_last_success_timestamp{job="keys"}']) - time.time()) < 60
    assert all('job="keys"' in k for k in values)
    text.unlink()
    r = jobs.run("kade-keys", "--textfile", "/nonexistent/x.prom")
    assert "/nonexistent/x.prom" in r.stderr


def test_kade_jobs_tells_who_fails(jobs):
    jobs.run("kade-tokens")
    rows = {j["job"]: j for j in json.loads(jobs.run("kade-jobs", "--json").stdout)}
    assert rows["tokens"]["state"] == "idle" and rows["tokens"]["last_success_ms"] == rows["tokens"]["ended_ms"]
    run_id, = jobs.stack.sql("INSERT INTO job_run (job, host, pid, heartbeat_ms) VALUES ('tokens', 'x', 1, kade_now_ms() - 100000) RETURNING id")[0]
    assert "lost" in jobs.run("kade-jobs", code=1).stdout
    jobs.stack.sql("UPDATE job_run SET heartbeat_ms = kade_now_ms() WHERE id = %s", run_id)
    assert "running" in jobs.run("kade-jobs").stdout
    jobs.stack.sql("UPDATE job_run SET ended_ms = kade_now_ms(), exit_code = 5, message = 'it rains' WHERE id = %s", run_id)
    out = jobs.run("kade-jobs", code=1).stdout
    assert "failing" in out and "it rains" in out
    jobs.stack.sql("DELETE FROM job_run WHERE id = %s", run_id)


# -- the jobs


def test_tokens(jobs):
    stack = jobs.stack
    make_tokens(stack, 600, 2)                              # more than a slice
    make_tokens(stack, 1, 0.5)                              # expired, but still shown
    make_tokens(stack, 1, -1)
    stack.sql("INSERT INTO account_code (account_id, code_hash, purpose, new_email, expires_ms) SELECT id, decode(md5(e::text), 'hex'), 1, 'a@example.com', kade_now_ms() + e"
              " FROM account, unnest(ARRAY[-1000, 100000]) e WHERE name = 'admin'")
    out = jobs.run("kade-tokens", "--dry-run").stdout
    assert "due: 601" in out
    assert jobs.summary("kade-tokens")["done"] == 601
    assert stack.sql("SELECT count(*) FROM token WHERE title = 't'") == [(2,)]
    assert stack.sql("SELECT count(*) FROM account_code") == [(1,)]
    stack.sql("DELETE FROM token WHERE title = 't'")
    stack.sql("DELETE FROM account_code")


def test_keys(jobs):
    stack = jobs.stack
    stack.sql("UPDATE service_key SET expires_ms = kade_now_ms() + 60000")
    (kid,), = stack.sql("SELECT kid FROM service_key WHERE approved_ms IS NOT NULL")
    for name, expires, approved, created in (("gone", -8, True, -30), ("kept", -6, True, -30), ("unapproved", 10, False, -2), ("new", 10, False, -0.5)):
        stack.sql("INSERT INTO service_key (kid, service, jwk, expires_ms, approved_ms, created_ms) VALUES (%s, 's', '{}', kade_now_ms() + %s,"
                  " CASE WHEN %s THEN 1 END, kade_now_ms() + %s)", name, int(expires * DAY_MS), approved, int(created * DAY_MS))
    jobs.run("kade-keys")
    assert {k for k, in stack.sql("SELECT kid FROM service_key")} == {kid, "kept", "new"}
    (left,), = stack.sql("SELECT expires_ms - kade_now_ms() FROM service_key WHERE kid = %s", kid)
    assert left > 3600000
    stack.sql("DELETE FROM service_key WHERE kid <> %s", kid)


def test_audit_partitions_and_overflow(jobs):
    stack = jobs.stack
    jobs.run("kade-audit")
    names = lambda: {n for n, in stack.sql("SELECT relname::text FROM pg_class WHERE relname ~ '^audit_log_[0-9]{6}$'")}
    last = max(names())
    stack.sql(f"DROP TABLE {last}")
    stack.sql("INSERT INTO audit_overflow (at_ms, kind, metadata) SELECT (extract(epoch FROM timestamp '2031-02-03 04:05' AT TIME ZONE 'UTC') * 1000)::int8"
              " + i, 1, '{\"n\": 1}' FROM generate_series(1, 2500) i")
    s = jobs.summary("kade-audit")
    assert (s["done"], s["backlog"]) == (2500, 0)
    assert last in names() and "audit_log_203102" in names()
    assert stack.sql("SELECT count(*) FROM audit_log_203102") == [(2500,)]
    assert stack.sql("SELECT count(*) FROM audit_overflow") == [(0,)]
    stack.sql("DROP TABLE audit_log_203102")


@pytest.mark.parametrize("day", ["2026-01-31", "2027-12-31", "2028-01-30", "2026-10-31"])
def test_no_month_is_left_out(jobs, day):
    """The statement with another day as today: four months in a row, whatever their length."""
    text = (TOP / "sql" / "query" / "audit.sql").read_text().split("-- name: audit_partitions_ahead")[1].split(";")[0]
    sql = "SELECT" + text.split("SELECT", 1)[1]
    sql = sql.replace("kade_audit_partition(", "to_char(to_timestamp((").replace("FROM generate_series", ")/1000) AT TIME ZONE 'UTC', 'YYYYMM') FROM generate_series")
    sql = sql.replace("now()", f"timestamptz '{day} 12:00+00'").replace("::int8)", "::int8")
    months = [int(m[:4]) * 12 + int(m[4:]) for m, in jobs.stack.sql(sql)]
    first = int(day[:4]) * 12 + int(day[5:7])
    assert months == [first, first + 1, first + 2, first + 3]


def test_pulls_are_filed(jobs, client):
    stack = jobs.stack
    client.push("admin/pulled", "v1", oci.image())
    jobs.run("kade-audit")
    filed = lambda: stack.sql("SELECT count(*) FROM audit_log l JOIN audit_kind k ON k.id = l.kind WHERE k.name = 'pull_repo'")[0][0]
    before = filed()
    for _ in range(3):
        assert client.get("/v2/admin/pulled/manifests/v1").status_code == 200
    until(lambda: filed() + stack.sql("SELECT count(*) FROM audit_inbox")[0][0] == before + 3, what="the rows of the pulls")
    jobs.run("kade-audit")
    assert filed() == before + 3 and stack.sql("SELECT count(*) FROM audit_inbox") == [(0,)]


# -- uploads


def age(stack, name, days):
    stack.sql("UPDATE upload SET created_ms = kade_now_ms() - %s WHERE uuid = %s", int(days * DAY_MS), name)


def begin(client, repo, data):
    location = client.start_upload(repo)
    r = client.patch(location, data)
    return r.headers["Location"], r.headers["Docker-Upload-UUID"]


def test_uploads_old_and_young(jobs, client):
    stack = jobs.stack
    repo = f"admin/u{secrets.token_hex(3)}"
    folder = stack.folder / "storage" / "uploads"
    _, old = begin(client, repo, b"x" * 5000)
    _, leased = begin(client, repo, b"y" * 5000)
    location, young = begin(client, repo, b"z" * 5000)
    for name in (old, leased):
        age(stack, name, 3)
    stack.sql("UPDATE upload SET lease = 'w', lease_until_ms = kade_now_ms() + 60000 WHERE uuid = %s", leased)
    assert old in jobs.run("kade-uploads", "--dry-run").stdout
    assert (folder / old).exists()
    s = jobs.summary("kade-uploads")
    assert s["failed"] == 0 and s["bytes"] == 5000
    assert not (folder / old).exists() and (folder / leased).exists() and (folder / young).exists()
    assert {u for u, in stack.sql("SELECT uuid FROM upload WHERE uuid = ANY(%s)", [old, leased, young])} == {leased, young}
    stack.sql("UPDATE upload SET lease = NULL, lease_until_ms = NULL WHERE uuid = %s", leased)
    jobs.run("kade-uploads")
    assert not (folder / leased).exists()
    r = client.finish(location, oci.digest(b"z" * 5000))    # the young one can be finished
    assert r.status_code == 201


def test_uploads_sweep(jobs, client):
    stack = jobs.stack
    folder = stack.folder / "storage" / "uploads"
    repo = f"admin/u{secrets.token_hex(3)}"
    _, known = begin(client, repo, b"x" * 100)
    old, young, other = str(uuid.uuid4()), str(uuid.uuid4()), "left-over"
    for name in (old, young, other):
        (folder / name).write_bytes(b"orphan")
        stack._own(folder / name)
    past = time.time() - 3 * 86400
    for name in (old, other, known):
        os.utime(folder / name, (past, past))
    blob = next(p for p in (stack.folder / "storage" / "sha256").rglob("*") if p.is_file()) if (stack.folder / "storage" / "sha256").exists() else None
    if blob:
        os.utime(blob, (past, past))
    stack.sql("UPDATE job_run SET ended_ms = kade_now_ms() - %s WHERE job = 'uploads-sweep'", DAY_MS + 1000)
    s = jobs.summary("kade-uploads")
    assert (s["failed"], s["done"], s["skipped"]) == (0, 2, 1)
    assert not (folder / old).exists() and not (folder / other).exists()
    assert (folder / young).exists() and (folder / known).exists() and (not blob or blob.exists())
    (folder / old).write_bytes(b"again")                    # once a day only
    stack._own(folder / old)
    os.utime(folder / old, (past, past))
    jobs.run("kade-uploads")
    assert (folder / old).exists()
    for name in (old, young):
        (folder / name).unlink()


def test_uploads_of_another_database_stay(jobs, client):
    """A copy of the database must not clean the original's storage."""
    stack = jobs.stack
    mark = stack.folder / "storage" / "kade-instance"
    repo = f"admin/u{secrets.token_hex(3)}"
    _, old = begin(client, repo, b"x" * 100)
    age(stack, old, 3)
    was = mark.read_text()
    try:
        for content in (json.dumps({"uuid": str(uuid.uuid4()), "epoch": 1}), json.dumps({**json.loads(was), "epoch": 77}), "no json"):
            mark.write_text(content)
            r = jobs.run("kade-uploads", code=2)
            assert "does not belong to this database" in r.stderr
            assert (stack.folder / "storage" / "uploads" / old).exists()
            assert stack.sql("SELECT count(*) FROM upload WHERE uuid = %s", old) == [(1,)]
    finally:
        mark.write_text(was)
    assert jobs.last("uploads")[0] == 2
    stack.sql("UPDATE instance SET deletion_paused = true")
    try:
        jobs.run("kade-uploads", code=3)
    finally:
        stack.sql("UPDATE instance SET deletion_paused = false")
    assert jobs.summary("kade-uploads")["done"] == 1


def test_uploads_whose_storage_fails(jobs, client):
    """The row is gone, the item failed, the sweep finds the object later."""
    stack = jobs.stack
    repo = f"admin/u{secrets.token_hex(3)}"
    _, old = begin(client, repo, b"x" * 100)
    path = stack.folder / "storage" / "uploads" / old
    age(stack, old, 3)
    with path.open("r+b") as f:
        fcntl.flock(f, fcntl.LOCK_EX)                       # as a request that works on it
        s = jobs.summary("kade-uploads", code=1)
    assert (s["failed"], s["done"]) == (1, 0) and old in s["message"]
    past = time.time() - 3 * 86400
    os.utime(path, (past, past))
    stack.sql("UPDATE job_run SET ended_ms = kade_now_ms() - %s WHERE job = 'uploads-sweep'", DAY_MS + 1000)
    jobs.run("kade-uploads")
    assert not path.exists()


# -- kade-migrate


class Database:
    """An empty database and the configuration that names it."""

    def __init__(self, servers, options=""):
        self.servers = servers
        self.name = "kade_m" + secrets.token_hex(4)
        self.maintenance = servers.database_uri("postgres")
        self.execute(f"CREATE DATABASE {self.name} {options}")
        self.uri = servers.database_uri(self.name)
        self.folder = servers.folder / self.name
        self.schema = self.folder / "schema"
        shutil.copytree(TOP / "sql" / "schema", self.schema)
        base = json.loads((servers.folder / "migrate.yaml").read_text())
        self.config = self.folder / "config.yaml"
        self.config.write_text(json.dumps({**base, "DB_URI": self.uri}))

    def execute(self, sql):
        db = psycopg2.connect(self.maintenance)
        db.autocommit = True
        with db.cursor() as cur:
            cur.execute(sql)
        db.close()

    def sql(self, text):
        with contextlib.closing(psycopg2.connect(self.uri)) as db:
            with db, db.cursor() as cur:
                cur.execute(text)
                return cur.fetchall() if cur.description else None

    def words(self, *words):
        return [str(self.servers.bin / "kade-migrate"), "--config", str(self.config), "--schema", str(self.schema), *words]

    def migrate(self, *words):
        return subprocess.run(self.words(*words), capture_output=True, text=True)

    def versions(self):
        return [v for v, in self.sql("SELECT version FROM schema_migration ORDER BY version")]

    def add(self, number, name, text, header="-- min_app_version: 1\n"):
        (self.schema / f"{number:04}-{name}.sql").write_text(header + text)

    def drop(self):
        self.execute(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")
        shutil.rmtree(self.folder)


@pytest.fixture
def make_database(servers):
    made = []

    def get(options="TEMPLATE template0"):
        made.append(Database(servers, options))
        return made[-1]

    yield get
    for d in made:
        d.drop()


@pytest.fixture
def database(make_database):
    return make_database()


def shipped():
    return len(list((TOP / "sql" / "schema").glob("[0-9]*.sql")))


def test_migrate(database):
    assert database.migrate("--check").returncode == 1
    r = database.migrate("--dry-run")
    assert r.returncode == 0 and r.stdout.count("would apply") == shipped()
    assert database.sql("SELECT to_regclass('account')") == [(None,)]
    r = database.migrate()
    assert r.returncode == 0, r.stderr
    assert database.versions() == list(range(1, shipped() + 1))
    assert database.migrate("--check").returncode == 0
    r = database.migrate()
    assert r.returncode == 0 and "up to date" in r.stdout
    assert "pending" not in database.migrate("--status").stdout
    assert database.sql("SELECT count(*) > 140 FROM audit_kind") == [(True,)]


def test_migrate_two_at_once(database):
    both = [subprocess.Popen(database.words(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    outs = [p.communicate(timeout=120) for p in both]
    assert [p.returncode for p in both] == [0] * 4, outs
    assert sum(o.count(" applied\n") for o, _ in outs) == shipped()


def test_migrate_rolls_back(database):
    n = shipped() + 1
    assert database.migrate().returncode == 0
    database.add(n, "broken", "CREATE TABLE first_half (id int);\nSELECT no_such_function();\n")
    r = database.migrate()
    assert r.returncode == 1 and f"{n:04}-broken" in r.stderr and "no_such_function" in r.stderr
    assert database.sql("SELECT to_regclass('first_half')") == [(None,)] and database.versions()[-1] == n - 1
    database.add(n, "broken", "CREATE TABLE first_half (id int);\nCOMMIT;\n")
    r = database.migrate()
    assert r.returncode == 1 and "ends its transaction" in r.stderr and database.versions()[-1] == n - 1


def test_migrate_without_transaction(database):
    n = shipped() + 1
    assert database.migrate().returncode == 0
    text = "-- a comment; with a semicolon\nCREATE INDEX CONCURRENTLY IF NOT EXISTS extra_one\n  ON account (company);\nCREATE INDEX CONCURRENTLY IF NOT EXISTS extra_two ON account (location);\n"
    database.add(n, "indexes", text)
    assert database.migrate().returncode == 1               # not inside a transaction
    database.add(n, "indexes", text, "-- min_app_version: 1\n-- transaction: none\n")
    r = database.migrate()
    assert r.returncode == 0, r.stderr
    assert database.versions()[-1] == n
    assert database.sql("SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relname ~ '^extra_' AND i.indisvalid") == [(2,)]


def test_migrate_does_not_wait_long_for_a_lock(database):
    n = shipped() + 1
    assert database.migrate().returncode == 0
    database.add(n, "column", "ALTER TABLE account ADD COLUMN extra int;\n")
    holder = psycopg2.connect(database.uri)
    holder.cursor().execute("LOCK TABLE account IN ACCESS SHARE MODE")
    p = subprocess.Popen(database.words(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert "its tables are in use" in p.stderr.readline()
        assert database.versions()[-1] == n - 1             # others get through meanwhile
        holder.close()
        out, err = p.communicate(timeout=60)
        assert p.returncode == 0, err
    finally:
        p.kill()
        holder.close()
    assert database.versions()[-1] == n


def test_migrate_refuses_strange_folders(database):
    n = shipped() + 1
    database.add(n + 1, "gap", "SELECT 1;\n")
    r = database.migrate()
    assert r.returncode == 2 and f"{n:04}" in r.stderr
    database.add(n, "headless", "SELECT 1;\n", header="")
    r = database.migrate()
    assert r.returncode == 2 and "min_app_version" in r.stderr
    (database.schema / f"{n:04}-headless.sql").unlink()
    (database.schema / f"{n + 1:04}-gap.sql").unlink()
    (database.schema / "notes.sql").write_text("-- min_app_version: 1\n")
    assert database.migrate().returncode == 2
    r = database.migrate("--schema", "/nonexistent")
    assert r.returncode == 2 and "/nonexistent" in r.stderr
    assert database.sql("SELECT to_regclass('account')") == [(None,)]


def test_migrate_refuses_another_history(database):
    assert database.migrate().returncode == 0
    database.sql("UPDATE schema_migration SET name = '0001-other' WHERE version = 1")
    r = database.migrate()
    assert r.returncode == 2 and "0001-other" in r.stderr
    database.sql("DELETE FROM schema_migration")
    r = database.migrate()
    assert r.returncode == 2 and "other means" in r.stderr


@pytest.mark.parametrize("options,word", [
    ("TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'", "encoding"),
    ("TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'", "LC_CTYPE"),
    ("TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'", "LC_COLLATE"),
])
def test_migrate_refuses_wrong_locales(make_database, options, word):
    d = make_database(options)
    r = d.migrate()
    assert r.returncode == 2 and word in r.stderr and "CREATE DATABASE" in r.stderr
    assert d.sql("SELECT to_regclass('account')") == [(None,)]


# -- kade-actioncount, times of last use

def day_rows(stack, repo_id, days_ago, n):
    stack.sql("SELECT kade_audit_partition(kade_now_ms() - %s)", days_ago * DAY_MS)
    stack.sql("INSERT INTO audit_log (at_ms, kind, repository_id) SELECT (kade_now_ms() / 86400000 - %s) * 86400000 + 3600000, 1, %s FROM generate_series(1, %s)",
              days_ago, repo_id, n)


def test_actioncount(jobs):
    stack = jobs.stack
    user = f"u{secrets.token_hex(4)}"
    stack.create_user(user)
    stack.admin("repo", "create", f"{user}/busy")
    repo, = stack.sql("SELECT r.id FROM repository r JOIN account n ON n.id = r.namespace_id WHERE n.name = %s", user)[0]
    stack.sql("DELETE FROM audit_day")
    day_rows(stack, repo, 3, 6)
    day_rows(stack, repo, 2, 7)
    day_rows(stack, repo, 0, 5)                              # today is not over
    out = jobs.summary("kade-actioncount", "--max-items", "1", code=6)
    assert out["done"] == 1
    jobs.run("kade-actioncount")
    assert stack.sql("SELECT kade_now_ms() / 86400000 - kade_day_ms(day) / 86400000, actions FROM repository_action WHERE repository_id = %s ORDER BY day", repo) == [(3, 6), (2, 7)]
    assert stack.sql("SELECT count(*) FROM audit_day WHERE scored_upto IS NOT NULL") == [(0,)]
    # yesterday is the last day counted: both days are one to six days old
    assert stack.sql("SELECT search_score FROM repository WHERE id = %s", repo) == [(round(100 * 13 * 0.062815 / 6),)]
    assert stack.sql("SELECT sum(n) FROM audit_count") == stack.sql("SELECT count(*) FROM audit_log WHERE at_ms < kade_now_ms() / 86400000 * 86400000")
    before = stack.sql("SELECT count(*) FROM audit_day")
    s = jobs.summary("kade-actioncount")                     # nothing is due
    assert s["done"] == 0 and stack.sql("SELECT count(*) FROM audit_day") == before


def test_actioncount_waits_for_the_inbox(jobs):
    stack = jobs.stack
    jobs.run("kade-actioncount")
    stack.sql("DELETE FROM audit_day WHERE day = (SELECT max(day) FROM audit_day)")
    stack.sql("INSERT INTO audit_inbox (at_ms, kind) VALUES ((kade_now_ms() / 86400000 - 1) * 86400000 + 5, 1)")
    assert jobs.summary("kade-actioncount")["done"] == 0
    jobs.run("kade-audit")
    assert jobs.summary("kade-actioncount")["done"] >= 1


def test_last_used(jobs, client):
    """A login writes it, at most once a minute; pulls by an old token through kade-audit, forwards only."""
    stack = jobs.stack
    user = f"u{secrets.token_hex(4)}"
    stack.create_user(user)
    seen = lambda: stack.sql("SELECT last_accessed_ms FROM account WHERE name = %s", user)[0][0]
    assert seen() is None
    c = stack.client(user)
    c.push(f"{user}/app", "v1", oci.image())
    first = seen()
    assert first is not None
    stack.sql("UPDATE account SET last_accessed_ms = 1000 WHERE name = %s", user)
    assert c.get(f"/v2/{user}/app/manifests/v1").status_code == 200
    assert seen() == 1000                                    # the bearer token is no login
    waiting = lambda: stack.sql("SELECT 1 FROM audit_inbox i JOIN account a ON a.id = i.performer_id WHERE a.name = %s", user)
    until(waiting, what="the pull in the inbox")
    jobs.run("kade-audit")
    assert seen() >= first
    later = stack.sql("SELECT kade_now_ms() + 3600000")[0][0]
    stack.sql("UPDATE account SET last_accessed_ms = %s WHERE name = %s", later, user)
    assert c.get(f"/v2/{user}/app/manifests/v1").status_code == 200
    until(waiting, what="the pull in the inbox")
    jobs.run("kade-audit")
    assert seen() == later
