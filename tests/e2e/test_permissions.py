"""Who may do what over the REST API: tests/api/permissions/*.tsv, written by hand from what Quay does. A row is one call, a
cell the status that one kind of caller gets. Every call starts from the same rows of the database: whatever it changed is put
back. A refused call may change nothing, a granted write must change something."""

import base64
import contextlib
import csv
import io
import json
import pathlib
import re

import psycopg2
import pytest

import api
import oci
import rows as table

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "api" / "permissions"
FIXED = ("method", "path", "body", "note")
# Rows that say when something was used or which network somebody came from: not what a call is about.
IGNORED_TABLES = {"audit_log", "audit_overflow", "audit_inbox", "account_network", "job_run", "service_key", "schema_migration", "audit_kind"}
IGNORED_COLUMNS = {"last_used_ms", "last_accessed_ms", "last_ms"}
GRANTED = range(200, 400)


def rows():
    found = []
    for file in sorted(FOLDER.glob("*.tsv")):
        with file.open(newline="") as f:
            lines = [line for line in f if line.strip() and not line.startswith("#")]
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            assert None not in row and None not in row.values(), f"{file.name}: {row}"
            found.append(pytest.param(file.name, row, id=f"{file.stem}:{row['method']}:{row['path']}:{len(found)}"))
    return found


class World:
    """The callers of the columns and the things of the placeholders."""

    def __init__(self, stack, build):
        self.stack = stack
        self.db = psycopg2.connect(stack.uri)
        self.build = build
        self.cache, self.is_prepared = {}, False
        self.org, self.repo, self.open = "permorg", "permorg/app", "permorg/open"
        self.people = {"stranger": "p-stranger", "reader": "p-reader", "writer": "p-writer", "admin": "p-admin", "org_member": "p-member",
                       "org_creator": "p-creator", "org_admin": "p-boss", "global_readonly": "p-auditor"}
        for name in (*self.people.values(), "p-founder", "p-other"):
            stack.create_user(name)
        api.organization(stack, "p-founder", self.org)
        api.repository(stack, self.repo)
        api.repository(stack, self.open, public=True)
        for role in ("reader", "writer", "admin"):
            api.permission(stack, self.repo, self.people[role], {"reader": "read", "writer": "write", "admin": "admin"}[role])
        api.team(stack, self.org, "members", "member", self.people["org_member"], "p-other")
        api.team(stack, self.org, "creators", "creator", self.people["org_creator"])
        stack.admin("team", "add", self.org, "owners", self.people["org_admin"])
        self.robot = stack.create_robot(self.org, "bot")
        api.permission(stack, self.repo, f"{self.org}+bot", "write")
        stack.create_robot("p-boss", "own")
        self.values = {"org": self.org, "repo": self.repo, "open": self.open, "missing_repo": f"{self.org}/missing", "missing_org": "no-such-org",
                       "other_user": "p-other", "team": "members", "robot": "bot", "uuid": "00000000-0000-4000-8000-000000000000"}
        self.values.update(self.oauth_values())
        self.values["prototype"] = self.one(
            "INSERT INTO default_permission (organization_id, delegate_id, role) SELECT o.id, u.id, 1 FROM account o, account u"
            " WHERE o.name = %s AND u.name = 'p-other' RETURNING uuid", self.org)
        self.values.update(self.policy_values())
        stack.sql("INSERT INTO team_invite (team_id, email, inviter_id, code_hash) SELECT t.id, 'invited@example.com', u.id, 'x' FROM team t JOIN account o"
                  " ON o.id = t.organization_id, account u WHERE o.name = %s AND t.name = 'members' AND u.name = 'p-founder'", self.org)
        stack.sql("INSERT INTO repository_email (repository_id, email) SELECT r.id, 'asked@example.com' FROM repository r JOIN account o ON o.id = r.namespace_id"
                  " WHERE o.name = %s AND r.name = 'app'", self.org)
        self.values.update(self.image_values())
        self.take()

    def take(self):
        """The state from which every call starts."""
        self.saved, self.before = self.save(), self.marks()

    def one(self, sql, *args):
        return self.stack.sql(sql, *args)[0][0]

    def oauth_values(self):
        """An application with a token of its founder's and one of the organization's administrator."""
        for who in ("p-founder", "p-boss"):
            self.stack.admin("token", "oauth", self.org, who, "--scopes", "repo:read", "--application", "permapp")
        token = "SELECT t.uuid FROM token t JOIN oauth_application a ON a.id = t.application_id JOIN account u ON u.id = t.account_id WHERE a.name = 'permapp' AND u.name = %s"
        return {
            "client_id": self.one("SELECT client_id FROM oauth_application WHERE name = 'permapp'"),
            "app_token": self.one(token, "p-founder"),
            "boss_token": self.one(token, "p-boss"),
        }

    def policy_values(self):
        """Quota, policies, a notification, a message and keys."""
        org = "(SELECT id FROM account WHERE name = 'permorg')"
        repo = f"(SELECT id FROM repository WHERE name = 'app' AND namespace_id = {org})"
        quota = self.one(f"INSERT INTO quota (namespace_id, limit_bytes) VALUES ({org}, 1000000) RETURNING namespace_id")
        prune = "INSERT INTO prune_policy (namespace_id, repository_id, method, value) VALUES ({}, {}, 'creation_date', '9d') RETURNING uuid"
        pin = "INSERT INTO immutability_policy (namespace_id, repository_id, tag_pattern) VALUES ({}, {}, 'p-.*') RETURNING uuid"
        key = "INSERT INTO service_key (kid, service, jwk, approved_ms, approval) VALUES ('{}', 'perm', '{{}}', 1, 'Super User API') RETURNING kid"
        return {
            "quota": str(quota), "limit": str(self.one(f"INSERT INTO quota_limit (namespace_id, kind, percent) VALUES ({quota}, 1, 50) RETURNING id")),
            "prune_org": self.one(prune.format(org, "NULL")), "prune_repo": self.one(prune.format(org, repo)),
            "pin_org": self.one(pin.format(org, "NULL")), "pin_repo": self.one(pin.format(org, repo)),
            "note": self.one(f"INSERT INTO notification (repository_id, event, method, config) VALUES ({repo}, 'repo_push', 'flowdock', '{{}}') RETURNING uuid"),
            "org_note": self.one(f"INSERT INTO namespace_notification (namespace_id, event, method, config) VALUES ({org}, 'quota_error', 'flowdock', '{{}}') RETURNING uuid"),
            "message": self.one("INSERT INTO message (content, media_type, severity) VALUES ('m', 'text/plain', 'info') RETURNING uuid"),
            "kid": self.one(key.format("p-kid")), "spare_kid": self.one(key.format("p-spare")),
        }

    def image_values(self):
        """An image with a live and an ended tag and a label of its own."""
        self.stack.create_user("p-pusher")
        api.permission(self.stack, self.repo, "p-pusher", "write")
        client, m = self.stack.client("p-pusher"), oci.image()
        client.push(self.repo, "v1", m)
        client.put_manifest(self.repo, "back", m)
        client.delete(f"/v2/{self.repo}/manifests/back")
        label = self.one("INSERT INTO label (manifest_id, key, value, source) SELECT id, 'team', 'blue', 2 FROM manifest WHERE digest = %s RETURNING uuid", m.digest)
        return {"digest": m.digest, "label": label}

    def caller(self, column):
        """A client for the column; its own name is {me}."""
        if column not in self.cache:
            if column == "anon":
                self.cache[column] = (api.anonymous(self.stack), "nobody")
            elif column == "superuser":
                self.cache[column] = (api.Session(self.stack, "admin"), "admin")
            elif column == "robot":                             # its name and token as Basic credentials, which the API does not take
                client = api.anonymous(self.stack)
                client.http.cookies.clear()
                client.headers["Authorization"] = "Basic " + base64.b64encode(":".join(self.robot).encode()).decode()
                self.cache[column] = (client, self.robot[0])
            elif column.startswith("su_token_"):
                self.cache[column] = (api.bearer(self.stack, "admin", column[9:].replace("_", ":")), "admin")
                self.take()
            elif column.startswith("token_"):
                scope = column[6:].replace("_", ":")
                self.cache[column] = (api.bearer(self.stack, "p-boss", scope), "p-boss")
                self.take()
            else:
                self.cache[column] = (api.Session(self.stack, self.people[column]), self.people[column])
            self.cache[column][0].http.headers["Connection"] = "close"      # callers may be silent for long
        return self.cache[column]

    # -- the database as it was

    @contextlib.contextmanager
    def cursor(self):
        with self.db, self.db.cursor() as cur:
            yield cur

    def tables(self, cur):
        cur.execute("SELECT c.oid::regclass::text, array_agg(a.attname::text ORDER BY a.attnum) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
                    " WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped GROUP BY c.oid")
        return {t: cols for t, cols in cur.fetchall() if t not in IGNORED_TABLES and not t.startswith("audit_log_")}

    def marks(self):
        """A digest of each table's rows."""
        with self.cursor() as cur:
            if self.is_prepared:                                # its plan takes longer than its run
                cur.execute("EXECUTE marks")
                return dict(cur.fetchall())
            tables = self.tables(cur)
            parts = [f"SELECT '{t}', md5(coalesce(string_agg(x, '|' ORDER BY x), '')) FROM (SELECT ROW({', '.join(c for c in cols if c not in IGNORED_COLUMNS)})::text AS x"
                     f" FROM {t}) q" for t, cols in tables.items()]
            cur.execute("SET plan_cache_mode = force_generic_plan; PREPARE marks AS " + " UNION ALL ".join(parts))
            self.is_prepared = True
            cur.execute("EXECUTE marks")
            return dict(cur.fetchall())

    def save(self):
        """All rows, as COPY writes them."""
        found = {}
        with self.cursor() as cur:
            for t in self.tables(cur):
                out = io.StringIO()
                cur.copy_expert(f"COPY {t} TO STDOUT", out)
                found[t] = out.getvalue()
        return found

    def restore(self, changed):
        if not changed:
            return
        with self.cursor() as cur:
            cur.execute("SET LOCAL session_replication_role = replica")
            for t in changed:
                cur.execute(f"DELETE FROM {t}")
                cur.copy_expert(f"COPY {t} FROM STDIN", io.StringIO(self.saved[t]))


@pytest.fixture(scope="module")
def world(make_stack, build):
    stack = make_stack("lighttpd", name="permissions", FEATURE_SUPERUSERS_FULL_ACCESS=True, GLOBAL_READONLY_SUPER_USERS=["p-auditor"],
                       FRESH_LOGIN_TIMEOUT="1d", FEATURE_USER_LOG_ACCESS=True, FEATURE_RATE_LIMITS=False,
                       FEATURE_MAILING=True, MAIL_SERVER="localhost",
                       FEATURE_QUOTA_MANAGEMENT=True, FEATURE_QUOTA_NOTIFICATIONS=True, FEATURE_AUTO_PRUNE=True, FEATURE_IMMUTABLE_TAGS=True)
    w = World(stack, build)
    yield w
    w.db.close()


def fill(text, values):
    return re.sub(r"\{([a-z_]+)\}", lambda m: values[m[1]] if m[1] in values else m[0], text)


def check(world, row, column, expected):
    client, me = world.caller(column)
    values = {**world.values, "me": me}
    body = row.get("body") or "-"
    kw = {} if body == "-" else {"json": json.loads(fill(body, values))}
    jar = client.http.cookies.copy()
    csrf = client.headers.get("X-CSRF-Token")
    r = client.call(row["method"], fill(row["path"], values), **kw)
    client.http.cookies = jar                                   # a call that signs out or in does so for itself
    if csrf:
        client.headers["X-CSRF-Token"] = csrf
    after = world.marks()
    unseen = read_back(client, row, fill(row["path"], values), kw.get("json"), r) if column in ("org_admin", "su_token_super_user") else None
    call = table.find(world.build, row["method"], fill(row["path"], values)) if not row["path"].startswith("/") else None
    changed = [t for t in after if world.before.get(t) != after[t]]
    world.restore(changed)
    wrong = [f"{column}: {unseen}"] if unseen else []
    if call is not None and r.status_code in GRANTED:
        problem = table.problem(call, r)
        wrong += [f"{column}: {problem}"] if problem else []
    if r.status_code != int(expected):
        wrong.append(f"{column}: {r.status_code}, not {expected}: {r.text[:160]}")
    if r.status_code not in GRANTED and changed:
        wrong.append(f"{column}: refused with {r.status_code}, but {changed} changed")
    if row["method"] == "GET" and changed and "changes" not in (row.get("note") or ""):
        wrong.append(f"{column}: GET changed {changed}")
    if row["method"] != "GET" and r.status_code in GRANTED and not changed and "unchanged" not in (row.get("note") or ""):
        wrong.append(f"{column}: granted with {r.status_code}, but nothing changed")
    return wrong


def read_back(client, row, path, body, r):
    """After a granted change the same caller reads the thing where it can be read: gone, or with the members that were sent.
    What is wrong, or None."""
    if row["method"] not in ("PUT", "DELETE") or r.status_code not in GRANTED or "unchanged" in (row["note"] or ""):
        return None
    again = client.get(path)
    if again.status_code == 405 or path.startswith("user/"):       # nothing to read at this path, or nobody who could
        return None
    if row["method"] == "DELETE":
        return None if again.status_code in (400, 404) else f"deleted, but GET answers {again.status_code}: {again.text[:100]}"
    if again.status_code != 200:
        return None if again.status_code == 404 else f"changed, but GET answers {again.status_code}: {again.text[:100]}"
    told = again.json()
    differ = {k: told[k] for k, v in (body or {}).items() if isinstance(told, dict) and isinstance(v, (str, int, bool)) and k in told and told[k] != v}
    return f"sent {body}, read {differ}" if differ else None


@pytest.mark.parametrize("file,row", rows())
def test_row(world, file, row):
    wrong = []
    for column, expected in row.items():
        if column not in FIXED and expected != "-":
            wrong += check(world, row, column, expected)
    assert not wrong, f"{file} {row['method']} {row['path']}\n" + "\n".join(wrong)


def pattern(path):
    """A path of the document as a pattern for the table's: a placeholder may stand there for itself or for a value."""
    return re.sub(r"\\\{repository\\\}", ".+", re.sub(r"\\\{(?!repository)[^}]*\\\}", "[^/]+", re.escape(path.removeprefix("/api/v1/").rstrip("/"))))


def test_every_route_has_a_row(world):
    """From the registry's own list of routes: no call is without expectations."""
    listed = {(row.values[1]["method"], row.values[1]["path"].split("?")[0].removeprefix("/api/v1/").rstrip("/")) for row in rows()}
    paths = api.Api(world.stack).get("discovery?internal=true").json()["paths"]
    missing = sorted(f"{m.upper()} {p}" for p, item in paths.items() for m in item
                     if m in ("get", "post", "put", "delete") and not any(lm == m.upper() and re.fullmatch(pattern(p), lp) for lm, lp in listed))
    assert not missing, "\n".join(missing)


def test_every_route_has_a_schema(build):
    """Written by hand, so none for what is not there, and at least one status of success for what is."""
    known = table.schemas()[0]
    ids = {c.id for c in table.calls(build)}
    assert not ids ^ known.keys(), ids ^ known.keys()
    common = {f"definitions.json#/definitions/{name}" for name in table.schemas()[1]["definitions"]}
    used = set(re.findall(r'"(definitions\.json[^"]+)"', json.dumps(table.schemas())))
    assert used == common, used ^ common
