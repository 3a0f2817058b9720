"""/api/v1/…/logs and aggregatelogs: the audit log of users, organizations and repositories."""

import datetime
import json

import pytest

import api
import oci
from stack import until

DAY = 86_400_000


class Log:
    """A new organization whose log holds made-up rows besides its own."""

    def __init__(self, stack):
        self.stack = stack
        self.owner = api.person(stack)
        self.org = api.organization(stack, self.owner)
        self.repo = api.repository(stack, f"{self.org}/app")
        self.id = stack.sql("SELECT id FROM account WHERE name = %s", self.org)[0][0]
        self.now = stack.sql("SELECT kade_now_ms()")[0][0]

    def clear(self):
        self.stack.sql("DELETE FROM audit_log WHERE namespace_id = %s", self.id)

    def add(self, ago_ms, kind="create_tag", table="audit_log", performer=None, repo=False, metadata="{}", ip=None):
        self.stack.sql(f"INSERT INTO {table} (at_ms, kind, namespace_id, performer_id, repository_id, metadata, ip)"
                       " SELECT %s, k.id, %s, (SELECT id FROM account WHERE name = %s), CASE WHEN %s THEN (SELECT id FROM repository WHERE namespace_id = %s LIMIT 1) END, %s, %s"
                       " FROM audit_kind k WHERE name = %s", self.now - ago_ms, self.id, performer, repo, self.id, metadata, ip, kind)

    def get(self, query="", client=None, tail="logs"):
        r = (client or self.owner).get(f"organization/{self.org}/{tail}?{query}")
        assert r.status_code == 200, r.text
        return r.json()


@pytest.fixture
def log(stack):
    return Log(stack)


def day(ms):
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc).strftime("%m/%d/%Y")


def test_a_row(log):
    log.clear()
    log.add(1000, "create_robot", performer=log.owner.user, metadata=json.dumps({"robot": "ci", "description": "ü"}), ip="192.0.2.7")
    body = log.get()
    assert set(body) == {"start_time", "end_time", "logs"} and api.RFC2822.fullmatch(body["start_time"]) and api.RFC2822.fullmatch(body["end_time"])
    (row,) = body["logs"]
    assert row["kind"] == "create_robot" and row["metadata"] == {"robot": "ci", "description": "ü"} and row["ip"] == "192.0.2.7"
    assert api.RFC2822.fullmatch(row["datetime"])
    p = row["performer"]
    assert p["name"] == log.owner.user and p["kind"] == "user" and p["is_robot"] is False and p["avatar"]["kind"] == "user"
    assert set(row) == {"kind", "metadata", "ip", "datetime", "performer"}


def test_rows_without_performer_or_with_odd_metadata(log):
    log.clear()
    for text in ("not json", "[1]", "", '{"a":'):
        log.add(1000, metadata=text)
    rows = log.get()["logs"]
    assert len(rows) == 4 and all(r["metadata"] == {} and r["ip"] is None and "performer" not in r for r in rows)
    log.clear()


def test_pulls_that_wait_and_rows_without_partition_are_shown(log):
    log.clear()
    log.add(1000)
    log.add(2000, "pull_repo", "audit_inbox")
    log.add(3000, "push_repo", "audit_overflow")
    assert [r["kind"] for r in log.get()["logs"]] == ["create_tag", "pull_repo", "push_repo"]
    counts = {a["kind"]: a["count"] for a in log.get(tail="aggregatelogs")["aggregated"]}
    assert counts == {"create_tag": 1, "pull_repo": 1, "push_repo": 1}
    log.stack.sql("DELETE FROM audit_inbox WHERE namespace_id = %s", log.id)
    log.stack.sql("DELETE FROM audit_overflow WHERE namespace_id = %s", log.id)


def test_a_real_pull_and_push(stack):
    owner = api.person(stack)
    client = stack.client(owner.user)
    m = oci.image()
    client.push(f"{owner.user}/app", "v1", m)
    assert client.get(f"/v2/{owner.user}/app/manifests/v1").status_code == 200
    until(lambda: "pull_repo" in [r["kind"] for r in owner.get("user/logs").json()["logs"]], what="the row of the pull")
    rows = owner.get("user/logs").json()["logs"]
    kinds = [r["kind"] for r in rows]
    assert {"push_repo", "pull_repo", "login_success"} <= set(kinds), kinds
    pull = rows[kinds.index("pull_repo")]
    assert pull["metadata"]["tag"] == "v1" and pull["metadata"]["repo"] == "app" and pull["performer"]["name"] == owner.user
    assert [r["kind"] for r in owner.get(f"repository/{owner.user}/app/logs").json()["logs"]][:2] == kinds[:2]
    assert owner.get(f"organization/{owner.user}/logs").json()["logs"] == owner.get("user/logs").json()["logs"]


def test_pages(log):
    log.clear()
    for i in range(45):
        log.add(1000 * (i // 4), metadata=json.dumps({"n": i}))                              # four rows at each moment
    log.add(5500, "pull_repo", "audit_inbox", metadata='{"n": 99}')
    found, times, token, pages = [], [], None, 0
    while True:
        body = log.get(f"next_page={token}" if token else "")
        assert len(body["logs"]) <= 20
        found += [r["metadata"]["n"] for r in body["logs"]]
        pages += 1
        token = body.get("next_page")
        if not token:
            break
    assert pages == 3 and sorted(found) == [*range(45), 99] and len(set(found)) == 46
    assert [n // 4 for n in found if n != 99] == sorted(n // 4 for n in found if n != 99)
    assert found.index(99) == 24
    assert len(log.get("next_page=nonsense")["logs"]) == 20
    log.stack.sql("DELETE FROM audit_inbox WHERE namespace_id = %s", log.id)


def test_window(log):
    log.clear()
    for days in (0, 2, 10, 20):
        log.add(days * DAY + 1000, metadata=json.dumps({"days": days}))

    def days(query=""):
        return [r["metadata"]["days"] for r in log.get(query)["logs"]]

    assert days() == [0]                                                                     # by default from a day ago
    assert days(f"starttime={day(log.now - 11 * DAY)}") == [0, 2, 10]
    assert days(f"starttime={day(log.now - 30 * DAY)}&endtime={day(log.now - 10 * DAY - 1000)}") == [10, 20]    # the day itself is in it
    assert days(f"starttime={day(log.now - 30 * DAY)}&endtime={day(log.now - 12 * DAY)}") == [20]
    for odd in ("yesterday", "13/01/2024", "02/30/2024", "1/1/24", "2024-01-01", "%00"):
        r = log.owner.get(f"organization/{log.org}/logs?starttime={odd}")
        assert r.status_code in (200, 400) and (r.status_code == 400 or [x["metadata"]["days"] for x in r.json()["logs"]] == [0]), odd
    api.error(log.owner.get(f"organization/{log.org}/logs?starttime=01/10/2024&endtime=01/01/2024"), 400, "invalid_request", "Invalid date range for logs")
    assert log.owner.get(f"organization/{log.org}/logs?starttime=01/02/2024&endtime=01/01/2024").status_code == 200


def test_performer(log):
    other = api.person(log.stack)
    log.clear()
    log.add(1000, performer=log.owner.user, metadata='{"n": 1}')
    log.add(2000, performer=other.user, metadata='{"n": 2}')
    log.add(3000, "pull_repo", "audit_inbox", performer=other.user, metadata='{"n": 3}')
    assert [r["metadata"]["n"] for r in log.get(f"performer={other.user}")["logs"]] == [2, 3]
    assert sum(a["count"] for a in log.get(f"performer={other.user}", tail="aggregatelogs")["aggregated"]) == 2
    api.error(log.owner.get(f"organization/{log.org}/logs?performer=no-such-user"), 400, "invalid_request")
    assert log.owner.get(f"user/logs?performer={other.user}").json()["logs"] == []
    log.stack.sql("DELETE FROM audit_inbox WHERE namespace_id = %s", log.id)


def test_counts(log):
    log.clear()
    for _ in range(3):
        log.add(1000)
    log.add(2000, "delete_tag")
    log.add(3 * DAY)
    start = day(log.now - 5 * DAY)
    found = log.get(f"starttime={start}", tail="aggregatelogs")["aggregated"]
    assert all(set(a) == {"kind", "count", "datetime"} and api.RFC2822.fullmatch(a["datetime"]) and "00:00:00" in a["datetime"] for a in found)
    assert sum(a["count"] for a in found) == 5 and {a["kind"]: a["count"] for a in found if a["kind"] == "delete_tag"} == {"delete_tag": 1}
    assert len({a["datetime"] for a in found if a["kind"] == "create_tag"}) >= 2
    for path in (f"organization/{log.org}", f"repository/{log.repo}", "user"):
        api.error(log.owner.get(f"{path}/aggregatelogs?starttime={day(log.now - 60 * DAY)}"), 400, "invalid_request", "Invalid date range for logs")


def test_repository(log):
    log.clear()
    log.add(1000, repo=True, metadata='{"n": 1}')
    log.add(2000, metadata='{"n": 2}')
    assert [r["metadata"]["n"] for r in log.owner.get(f"repository/{log.repo}/logs").json()["logs"]] == [1]
    assert sum(a["count"] for a in log.owner.get(f"repository/{log.repo}/aggregatelogs").json()["aggregated"]) == 1


def test_rights(log):
    stack, stranger, member, writer = log.stack, api.person(log.stack), api.person(log.stack), api.person(log.stack)
    api.team(stack, log.org, "plain", "member", member)
    api.permission(stack, log.repo, writer, "write")
    for tail in ("logs", "aggregatelogs"):
        for client in (stranger, member, writer):
            api.error(client.get(f"organization/{log.org}/{tail}"), 403, "insufficient_scope")
            api.error(client.get(f"repository/{log.repo}/{tail}"), 403, "insufficient_scope")
            assert client.get(f"user/{tail}").status_code == 200
        api.error(stranger.get(f"organization/no-such-org/{tail}"), 403, "insufficient_scope")
        for path in (f"organization/{log.org}", f"repository/{log.repo}", "user"):
            api.error(api.Api(stack).get(f"{path}/{tail}"), 401, "invalid_token")
        api.error(api.bearer(stack, log.owner, "repo:admin").get(f"organization/{log.org}/{tail}"), 403, "insufficient_scope")
        assert api.bearer(stack, log.owner, "org:admin").get(f"organization/{log.org}/{tail}").status_code == 200
        assert api.bearer(stack, log.owner, "repo:admin").get(f"repository/{log.repo}/{tail}").status_code == 200
        api.error(api.bearer(stack, log.owner, "user:read").get(f"user/{tail}"), 403, "insufficient_scope")


@pytest.mark.config(FEATURE_LOG_EXPORT=False)
def test_export_is_off(alone):
    log = Log(alone)
    for path in (f"organization/{log.org}", f"repository/{log.repo}", "user"):
        assert log.owner.post(f"{path}/exportlogs", {}).status_code == 405


@pytest.mark.config(ACTION_LOG_MAX_PAGE=2)
def test_last_page(alone):
    log = Log(alone)
    log.clear()
    for i in range(70):
        log.add(i)
    first = log.get()
    second = log.get(f"next_page={first['next_page']}")
    third = log.get(f"next_page={second['next_page']}")
    assert len(second["logs"]) == 20 and third["logs"] == [] and "next_page" not in third
