"""Many clients at random calls of the whole API, taken from the program's own list: good and broken bodies, with rights and without,
all on the same few names, so that writers meet. Nothing is a 5xx, no sanitizer speaks, and afterwards the rows agree with one
another and with what the answers promised. Half a minute in the short run, half an hour in the full one; KADE_TRAFFIC_SECONDS and
KADE_TRAFFIC_SEED choose otherwise. KADE_BUILD_SANITIZED names a build with --enable-sanitizers, which tests/run full makes."""

import collections
import json
import os
import pathlib
import random
import re
import threading
import time
import urllib.parse

import pytest

import api
import breakage
import oci
import rows as table
import stack as stack_module
import test_permissions
from test_api_bad_input import HOSTILE, SEGMENTS, Raw, form

CLIENTS = 16
ORGS = ["permorg", "t-one", "t-two", "t-three"]
REPOS = ["permorg/app", "permorg/open", "permorg/t-a", "t-one/a", "t-one/b", "t-two/a/b", "t-three/none"]
USERS = ["p-stranger", "p-reader", "p-writer", "p-member", "t-user1", "t-user2", "permorg+bot", "permorg+t-bot", "t-one+t-bot", "nobody-there"]
TEAMS = ["members", "creators", "t-team", "t-other"]
TAGS = ["v1", "back", "t-1", "t-2", "t-3"]
ROBOTS = ["bot", "t-bot", "t-bot2"]
# Calls that would end the traffic itself: somebody's account or sessions.
LEFT_OUT = {"deleteCurrentUser", "convertUserToOrganization", "logout", "initializeUser", "takeOwnership", "changeOrganization"}
FORBIDDEN_MEMBERS = {"changeUserDetails": {"username", "password", "email"}}
# An answer of success of these calls is one row of that kind in the log.
LOGGED = {("createRepo", 201): "create_repo", ("createOrganization", 201): "org_create", ("createOrgRobot", 201): "create_robot", ("createUserRobot", 201): "create_robot",
          ("deleteFullTag", 204): "delete_tag", ("addManifestLabel", 201): "manifest_label_add", ("createOrganizationApplication", 200): "create_application",
          ("deleteOrgRobot", 204): "delete_robot", ("deleteUserRobot", 204): "delete_robot", ("restoreTag", 200): "revert_tag"}


ENDS = {"deleteAdminedOrganization", "deleteOrganization", "deleteRepository"}


class Traffic:
    def __init__(self, stack, build, seed):
        self.stack, self.build, self.seed = stack, build, seed
        self.world = test_permissions.World(stack, build)
        for name in ("t-user1", "t-user2"):
            stack.create_user(name)
        for org in ORGS[1:]:
            api.organization(stack, "p-founder", org)
        for repo in ("t-one/a", "t-two/a/b"):
            api.repository(stack, repo)
        client = stack.client("p-founder")
        self.images = [oci.image() for _ in range(3)]
        for repo in ("permorg/app", "t-one/a"):
            for i, m in enumerate(self.images):
                client.push(repo, f"t-{i + 1}", m)
        self.calls = [c for c in table.calls(build) if c.id not in LEFT_OUT]
        self.seen, self.problems, self.lock = collections.Counter(), [], threading.Lock()

    def logged(self):
        rows = self.stack.sql("SELECT k.name, count(*) FROM audit_log l JOIN audit_kind k ON k.id = l.kind WHERE k.name = ANY(%s) GROUP BY 1", list(set(LOGGED.values())))
        return collections.Counter(dict(rows))

    def identities(self):
        columns = ["anon", "stranger", "reader", "writer", "admin", "org_member", "org_creator", "org_admin", "org_admin", "superuser", "superuser", "global_readonly",
                   "token_repo_write", "token_org_admin", "token_repo_admin", "su_token_super_user"]
        people = {**self.world.people, "superuser": "admin"}
        found = []
        for i in range(CLIENTS):
            column = columns[i % len(columns)]
            if column == "anon":
                found.append(api.anonymous(self.stack))
            elif "token_" in column:
                found.append(api.bearer(self.stack, "admin" if column.startswith("su_") else "p-founder", column.split("token_")[1].replace("_", ":")))
            else:
                found.append(api.Session(self.stack, people[column]))
        return found


class Client(threading.Thread):
    def __init__(self, traffic, number, identity, end):
        super().__init__()
        self.t, self.identity, self.end = traffic, identity, end
        self.random, self.raw = random.Random(f"{traffic.seed} {number}"), Raw(traffic.stack)
        self.seen = collections.Counter()

    def pick(self, *lists):
        return self.random.choice(self.random.choice(lists))

    def capture(self, call, name):
        r, v = self.random, self.t.world.values
        if r.random() < 0.04:
            return r.choice(SEGMENTS)
        known = {"repository": REPOS, "orgname": ORGS, "owner": ["t-user1", *ORGS], "teamname": TEAMS, "tag": TAGS, "robot_shortname": ROBOTS, "membername": USERS, "username": USERS,
                 "name": ["t-three"], "manifestref": [m.digest for m in self.t.images], "prefix": ["p-", "t", "perm"], "error_type": ["not_found"], "quota_id": [v["quota"], "1"],
                 "limit_id": [v["limit"], "1"], "kid": ["none"], "client_id": [v["client_id"]], "token_uuid": [v["boss_token"]], "prototypeid": [v["prototype"]], "labelid": [v["label"]],
                 "policy_uuid": [v["prune_org"], v["prune_repo"], v["pin_org"], v["pin_repo"]], "uuid": [v["note"], v["org_note"], v["message"]]}
        if name == "username" and call.path.startswith("superuser/"):
            return f"t-user{r.randrange(60)}"
        if call.id in ENDS:                                     # what is deleted for good must not be what the others work on
            return f"t-gone{r.randrange(60)}" if name != "repository" else r.choice(REPOS[2:])
        return urllib.parse.quote(r.choice(known.get(name, [v["uuid"]])), safe="/:+")

    def value(self, name, p):
        r = self.random
        known = {"namespace": ORGS, "repository": ["a", "b", "t-a", "app"], "name": ["t-one", *(f"t-gone{n}" for n in range(60))], "manifest_digest": [m.digest for m in self.t.images], "role": ["read", "write", "admin", "member", "creator"],
                 "visibility": ["public", "private"], "username": [f"t-user{n}" for n in range(60)], "expiration": [None, int(time.time()) + 86400, 1], "tag_expiration_s": [0, 86400, 1209600], "value": [5, "7d", "x"],
                 "method": ["number_of_tags", "creation_date", "slack"], "tagPattern": ["t-.*", "v[0-9]+", "("], "scope": ["repo:read", "org:admin", "repo:admin"], "event": ["repo_push", "quota_error"],
                 "config": [{"url": "https://hooks.example.com/x"}], "eventConfig": [{}], "key": ["team", "k1", "quay.x"], "media_type": ["text/plain", None], "limit_bytes": [1000, 10 << 30], "type": ["Warning", "Reject"],
                 "threshold_percent": [50, 80, 0], "delegate": [{"kind": "user", "name": "p-reader"}, {"kind": "team", "name": "members"}, {"kind": "user", "name": "t-user1"}],
                 "activating_user": [{"name": "p-writer"}, {"name": "t-user2"}], "email": ["t-x@example.com"], "message": [{"content": "c", "media_type": "text/plain", "severity": "info"}]}
        if name in known and r.random() < 0.85:
            return r.choice(known[name])
        if "enum" in p and r.random() < 0.8:
            return r.choice(p["enum"])
        typed = {"string": HOSTILE[:-1], "integer": [0, 1, -1, 50, 2**40], "number": [1, 3600.5], "boolean": [True, False], "object": [{}, {"a": 1}], "array": [[], ["a"]]}
        return r.choice(typed[p["type"]]) if p.get("type") in typed and r.random() < 0.8 else r.choice([None, 1, "x", True, [], {}, "\0"])

    def body(self, call):
        r = self.random
        if call.body is None:
            return None if r.random() < 0.9 else "{}"
        if r.random() < 0.03:
            return r.choice(["{", "[]", "null", "", "[" * 200, '{"a": "\\ud800"}'])
        members = call.body.get("properties", {})
        chosen = {n for n in members if n in call.body.get("required", ()) or r.random() < 0.4} - FORBIDDEN_MEMBERS.get(call.id, set())
        if r.random() < 0.05 and chosen:
            chosen.pop()
        return json.dumps({n: self.value(n, members[n]) for n in chosen})

    def query(self, call):
        r = self.random
        chosen = [n for n in call.query if r.random() < 0.3]
        words = {"namespace": ORGS, "starttime": ["01/01/2026"], "filter_tag_name": ["like:t", "eq:v1"], "query": ["app", "t"], "public": ["true"], "starred": ["true"]}
        return "?" + urllib.parse.urlencode({n: r.choice([*words.get(n, ["true"]), "1", "-1", "x"]) for n in chosen}) if chosen else ""

    def one(self):
        r, identity = self.random, self.identity
        call = r.choice(self.t.calls)
        path = "/api/v1/" + re.sub(r"\{(\w+)\}", lambda m: self.capture(call, m[1]), call.path) + self.query(call)
        body = self.body(call)
        headers = {k: v for k, v in identity.headers.items()}
        if identity.http.cookies:
            headers["Cookie"] = "; ".join(f"{c.name}={c.value}" for c in identity.http.cookies)
        if body is not None:
            headers["Content-Type"] = "application/json" if r.random() < 0.98 else "text/plain"
        if r.random() < 0.02:
            headers.pop("X-CSRF-Token", None)
        answer = self.raw.send(call.method, path, body.encode() if body is not None else None, headers)
        self.seen[(table.find(self.t.build, call.method, path.removeprefix("/api/v1/")) or call).id, answer.status] += 1
        problem = form(answer) if answer.status >= 400 else None
        if problem is None and answer.status < 300:
            taken = table.find(self.t.build, call.method, path.removeprefix("/api/v1/"))     # an odd segment may lead to another row
            problem = table.problem(taken, Answer(answer)) if taken else f"{answer.status} on a path without a row"
        if problem:
            with self.t.lock:
                self.t.problems.append(f"{call.method} {path} {body}: {problem}")

    def run(self):
        while time.monotonic() < self.end and len(self.t.problems) < 50:
            try:
                self.one()
            except Exception as e:                              # a thread that ends in silence would prove nothing
                with self.t.lock:
                    self.t.problems.append(f"{type(e).__name__}: {e}")
        with self.t.lock:
            self.t.seen.update(self.seen)


class Answer:
    """What rows.problem() looks at."""

    def __init__(self, r):
        self.status_code, self.text, self.content, self.headers = r.status, r.text, r.text.encode(), r.headers

    def json(self):
        return json.loads(self.text)


# Each finds rows that must not be.
INVARIANTS = {
    "two live tags of one name": "SELECT repository_id, name FROM tag WHERE ended_ms IS NULL GROUP BY 1, 2 HAVING count(*) > 1",
    "a tag whose manifest is another repository's": "SELECT t.id FROM tag t JOIN manifest m ON m.id = t.manifest_id WHERE m.repository_id <> t.repository_id",
    "a tag that ends before it starts": "SELECT id FROM tag WHERE ended_ms < start_ms",
    "a live tag that waits for collection": "SELECT id FROM tag WHERE ended_ms IS NULL AND collect_after_ms IS NOT NULL",
    "a label of no manifest": "SELECT l.id FROM label l LEFT JOIN manifest m ON m.id = l.manifest_id WHERE m.id IS NULL",
    "a team member who is another namespace's robot": "SELECT r.id FROM team_member x JOIN team t ON t.id = x.team_id JOIN account r ON r.id = x.account_id JOIN account o ON o.id = t.organization_id"
                                                      " WHERE r.kind = 3 AND r.owner_id <> o.id",
    "a permission of another namespace's robot": "SELECT p.repository_id FROM repository_permission p JOIN account r ON r.id = p.account_id JOIN repository x ON x.id = p.repository_id JOIN account o ON o.id = x.namespace_id"
                                                 " WHERE r.kind = 3 AND r.owner_id <> o.id",
    "a team's permission in another organization": "SELECT p.repository_id FROM repository_permission p JOIN team t ON t.id = p.team_id JOIN repository x ON x.id = p.repository_id WHERE t.organization_id <> x.namespace_id",
    "a default permission for another organization's team": "SELECT d.uuid FROM default_permission d JOIN team t ON t.id = d.delegate_team_id WHERE t.organization_id <> d.organization_id",
    "a robot without its row": "SELECT a.id FROM account a LEFT JOIN robot r ON r.account_id = a.id WHERE a.kind = 3 AND r.account_id IS NULL",
    "an organization without an administrator": "SELECT o.name FROM account o WHERE o.kind = 2 AND o.is_enabled AND NOT EXISTS (SELECT 1 FROM team t JOIN team_member x ON x.team_id = t.id WHERE t.organization_id = o.id AND t.role = 3)",
    "a policy without a task": "SELECT p.namespace_id FROM prune_policy p LEFT JOIN prune_task t ON t.namespace_id = p.namespace_id WHERE t.namespace_id IS NULL AND p.uuid <> ALL(%(made_by_test)s)",
    "two limits of one kind and percent": "SELECT namespace_id FROM quota_limit GROUP BY namespace_id, kind, percent HAVING count(*) > 1",
    "an immutable tag that expires": "SELECT id FROM tag WHERE is_immutable AND expires_ms IS NOT NULL AND ended_ms IS NULL",
}


def run(stack, build, seconds):
    seed = os.environ.get("KADE_TRAFFIC_SEED") or str(time.time_ns())
    print("KADE_TRAFFIC_SEED", seed)
    t = Traffic(stack, build, seed)
    end = time.monotonic() + seconds
    clients = [Client(t, i, who, end) for i, who in enumerate(t.identities())]
    t.world.db.close()
    logged_before = t.logged()
    for c in clients:
        c.start()
    for c in clients:
        c.join()
    done = sum(t.seen.values())
    granted = {c for (c, status), n in t.seen.items() if status < 300}
    print(done, "requests;", collections.Counter({s: sum(n for (_, status), n in t.seen.items() if status == s) for s in {s for _, s in t.seen}}))
    print(len(granted), "calls granted at least once; never:", sorted({c.id for c in t.calls} - granted))
    stack.check_logs(new=True)
    assert not t.problems, "\n".join(t.problems[:20])
    assert done > CLIENTS and len(granted) > 40, "hardly anything was done"
    made_by_test = "ARRAY['" + "','".join(t.world.values[k] for k in ("prune_org", "prune_repo")) + "']"
    broken = {what: found[:5] for what, sql in INVARIANTS.items() if (found := stack.sql(sql % {"made_by_test": made_by_test}))}
    assert not broken, broken
    promised = collections.Counter()
    for (call, status), kind in LOGGED.items():
        promised[kind] += t.seen[call, status]
    logged = t.logged() - logged_before
    assert {k: logged[k] for k in promised} == dict(promised), (logged, promised)
    breakage.audit(stack)


@pytest.fixture(scope="module")
def sanitized(build, servers):
    """(servers, build): of the build with sanitizers where there is one."""
    other = os.environ.get("KADE_BUILD_SANITIZED")
    if not other:
        yield servers, build
        return
    s = stack_module.Servers(pathlib.Path(other))
    try:
        s.start_database()
        yield s, build
    finally:
        s.stop()


def traffic(sanitized, seconds):
    servers, build = sanitized
    stack = stack_module.Stack(servers, "lighttpd", {"FEATURE_SUPERUSERS_FULL_ACCESS": True, "GLOBAL_READONLY_SUPER_USERS": ["p-auditor"], "FRESH_LOGIN_TIMEOUT": "1d",
                                                     "FEATURE_USER_LOG_ACCESS": True, "FEATURE_RATE_LIMITS": False, "FEATURE_QUOTA_MANAGEMENT": True, "FEATURE_QUOTA_NOTIFICATIONS": True,
                                                     "FEATURE_AUTO_PRUNE": True, "FEATURE_IMMUTABLE_TAGS": True, "PERMANENTLY_DELETE_TAGS": True, "FEATURE_IMAGE_PULL_STATS": True})
    try:
        stack.start()
        run(stack, build, seconds)
    finally:
        stack.stop()


def test_half_a_minute(sanitized):
    traffic(sanitized, float(os.environ.get("KADE_TRAFFIC_SECONDS") or 20))


@pytest.mark.full
def test_half_an_hour(sanitized):
    if not os.environ.get("KADE_BUILD_SANITIZED"):
        pytest.skip("KADE_BUILD_SANITIZED names no build with sanitizers")
    traffic(sanitized, float(os.environ.get("KADE_TRAFFIC_SECONDS") or 1800))
