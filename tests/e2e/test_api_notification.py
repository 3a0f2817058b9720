"""Notifications of repositories: made, listed, tested, reset, removed; what their configuration must hold."""

import json
import secrets

import pytest

import api


@pytest.fixture(scope="module")
def owner(stack):
    return api.person(stack)


@pytest.fixture
def repo(stack, owner):
    return api.repository(stack, f"{owner.user}/n{secrets.token_hex(4)}")


def body(**kw):
    return {"event": "repo_push", "method": "webhook", "config": {"url": "https://hooks.example.com/x"}, "eventConfig": {}, **kw}


def make(owner, repo, **kw):
    r = owner.post(f"repository/{repo}/notification/", body(**kw))
    assert r.status_code == 201, r.text
    return r.json()


class TestLife:
    def test_make_and_read(self, stack, owner, repo):
        n = make(owner, repo, title="hook <1>", event="vulnerability_found", eventConfig={"level": "2"})
        assert n == {"uuid": n["uuid"], "title": "hook <1>", "event": "vulnerability_found", "method": "webhook",
                     "config": {"url": "https://hooks.example.com/x"}, "event_config": {"level": "2"}, "number_of_failures": 0}
        assert owner.get(f"repository/{repo}/notification/{n['uuid']}").json() == n
        assert owner.get(f"repository/{repo}/notification/").json() == {"notifications": [n]}
        name = repo.split("/")[1]
        assert api.logs(stack, "add_repo_notification", notification_id=n["uuid"]) == [
            (owner.user, owner.user, {"repo": name, "namespace": owner.user, "notification_id": n["uuid"], "event": "vulnerability_found", "method": "webhook"})]

    def test_empty(self, owner, repo):
        assert owner.get(f"repository/{repo}/notification/").json() == {"notifications": []}

    def test_reset(self, stack, owner, repo):
        n = make(owner, repo)
        stack.sql("UPDATE notification SET failures = 3 WHERE uuid = %s", n["uuid"])
        assert owner.get(f"repository/{repo}/notification/{n['uuid']}").json()["number_of_failures"] == 3
        assert owner.post(f"repository/{repo}/notification/{n['uuid']}").status_code == 204
        assert owner.get(f"repository/{repo}/notification/{n['uuid']}").json()["number_of_failures"] == 0
        assert len(api.logs(stack, "reset_repo_notification", notification_id=n["uuid"])) == 1

    def test_remove(self, stack, owner, repo):
        n = make(owner, repo)
        assert owner.delete(f"repository/{repo}/notification/{n['uuid']}").status_code == 204
        api.error(owner.get(f"repository/{repo}/notification/{n['uuid']}"), 404, "not_found")
        ns, name = repo.split("/")
        words = f"No repository notification found for: {ns}, {name}, {n['uuid']}"
        api.error(owner.delete(f"repository/{repo}/notification/{n['uuid']}"), 400, "invalid_request", words)
        api.error(owner.post(f"repository/{repo}/notification/{n['uuid']}"), 400, "invalid_request", words)
        api.error(owner.post(f"repository/{repo}/notification/{n['uuid']}/test"), 400, "invalid_request", words)
        assert len(api.logs(stack, "delete_repo_notification", notification_id=n["uuid"])) == 1

    def test_only_of_this_repository(self, stack, owner, repo):
        other = api.repository(stack, f"{owner.user}/n{secrets.token_hex(4)}")
        n = make(owner, repo)
        assert owner.get(f"repository/{other}/notification/{n['uuid']}").status_code == 404
        assert owner.delete(f"repository/{other}/notification/{n['uuid']}").status_code == 400
        assert owner.post(f"repository/{other}/notification/{n['uuid']}/test").status_code == 400
        assert owner.get(f"repository/{repo}/notification/{n['uuid']}").status_code == 200


class TestSamples:
    @pytest.mark.parametrize("event,config,member,value", [
        ("repo_push", {}, "updated_tags", ["latest", "foo"]),
        ("vulnerability_found", {"level": 3}, "vulnerability", {"id": "CVE-FAKE-CVE", "description": "A futurist vulnerability", "priority": "Low",
                                                                "link": "https://security-tracker.debian.org/tracker/CVE-FAKE-CVE"}),
        ("build_failure", {"ref-regex": ".*"}, "build_id", "fake-build-id"),
        ("repo_image_expiry", {"days": 9}, "expiring_in", "9 days"),
        ("repo_mirror_sync_failed", {}, "message", "TEST NOTIFICATION")])
    def test_a_test_waits_in_the_queue(self, stack, owner, repo, event, config, member, value):
        n = make(owner, repo, event=event, eventConfig=config)
        r = owner.post(f"repository/{repo}/notification/{n['uuid']}/test")
        assert r.status_code == 200 and r.json() == {}
        rows = stack.sql("SELECT queue, body FROM queue_item WHERE name = %s", f"{owner.user}/{n['uuid']}/{event}")
        assert len(rows) == 1 and rows[0][0] == "notification"
        item = json.loads(rows[0][1])
        data = item["event_data"]
        assert item["notification_uuid"] == n["uuid"] and item["performer_data"] == {}
        assert data["repository"] == repo and data["namespace"] == owner.user and data["name"] == repo.split("/")[1]
        assert data["docker_url"] == f"{stack.host}/{repo}" and data["homepage"] == f"{stack.base}/repository/{repo}"
        assert data[member] == value


class TestConfigurations:
    @pytest.mark.parametrize("kw,words", [
        ({"event": "nothing"}, "Invalid event 'nothing'"), ({"event": "quota_error"}, "Invalid event 'quota_error'"),
        ({"method": "pigeon"}, "Unknown notification method 'pigeon'"),
        ({"config": {}}, "Missing webhook URL"), ({"config": {"url": ""}}, "Missing webhook URL"), ({"config": {"url": 7}}, "Missing webhook URL"),
        ({"config": {"url": "ftp://example.com/"}}, "Invalid webhook URL"), ({"config": {"url": "http://localhost/x"}}, "Invalid webhook URL"),
        ({"config": {"url": "http://127.0.0.1:9/"}}, "Invalid webhook URL"), ({"config": {"url": "http://[::1]/"}}, "Invalid webhook URL"),
        ({"config": {"url": "http://169.254.169.254/latest"}}, "Invalid webhook URL"), ({"config": {"url": "http://10.1.2.3/"}}, "Invalid webhook URL"),
        ({"config": {"url": "http://0x7f000001/"}}, "Invalid webhook URL"), ({"config": {"url": "javascript:alert(1)"}}, "Invalid webhook URL"),
        ({"config": {"url": "http://user:pw@example.com/"}}, "Invalid webhook URL"),
        ({"config": {"url": "https://example.com/", "template": "{"}}, "Invalid template"),
        ({"config": {"url": "https://example.com/", "template": "{\"a\": \"${}\"}"}}, "Invalid template"),
        ({"config": {"url": "https://example.com/", "template": "{\"a\": \"${a b}\"}"}}, "Invalid template"),
        ({"config": {"url": "https://example.com/", "template": "{\"a\": \"${a\"}"}}, "Invalid template"),
        ({"config": {"url": "https://example.com/", "template": {}}}, "Invalid template"),
        ({"method": "slack", "config": {}}, "Missing Slack Callback URL"), ({"method": "slack", "config": {"url": "http://127.0.0.1/"}}, "Invalid Slack Callback URL"),
        ({"method": "flowdock", "config": {}}, "Missing Flowdock API Token"),
        ({"method": "hipchat", "config": {}}, "Missing Hipchat Room Notification Token"),
        ({"method": "hipchat", "config": {"notification_token": "x"}}, "Missing Hipchat Room ID"),
        ({"method": "email", "config": {}}, "Missing e-mail address"),
        ({"method": "email", "config": {"email": "a@example.com"}}, "The specified e-mail address is not authorized to receive notifications for this repository"),
        ({"method": "quay_notification", "config": {}}, "Missing target"),
        ({"method": "quay_notification", "config": {"target": {"kind": "user", "name": "nobody-here"}}}, "Unknown user nobody-here"),
        ({"method": "quay_notification", "config": {"target": {"kind": "org", "name": "nobody-here"}}}, "Unknown organization nobody-here"),
        ({"method": "quay_notification", "config": {"target": {"kind": "team", "name": "nobody-here"}}}, "Unknown team nobody-here"),
        ({"event": "vulnerability_found", "eventConfig": {"level": 9}}, "Invalid vulnerability level"),
        ({"event": "repo_image_expiry", "eventConfig": {"days": 0}}, "Invalid number of days")])
    def test_refused(self, owner, repo, kw, words):
        api.error(owner.post(f"repository/{repo}/notification/", body(**kw)), 400, "invalid_request", words)
        assert owner.get(f"repository/{repo}/notification/").json() == {"notifications": []}

    @pytest.mark.parametrize("missing", ["event", "method", "config", "eventConfig"])
    def test_required(self, owner, repo, missing):
        b = body()
        del b[missing]
        api.error(owner.post(f"repository/{repo}/notification/", b), 400, "invalid_request", f"'{missing}' is a required property")

    @pytest.mark.parametrize("method,config", [
        ("slack", {"url": "https://hooks.example.com/services/1"}), ("flowdock", {"flow_api_token": "t"}), ("hipchat", {"notification_token": "t", "room_id": "7"}),
        ("webhook", {"url": "https://example.com/", "template": "{\"a\": \"${$}\", \"${x.y[0].z}\": [\"t ${tags[*].name} u\"]}"})])
    def test_accepted(self, owner, repo, method, config):
        assert make(owner, repo, method=method, config=config)["config"] == config

    def test_unknown_members_are_not_kept(self, owner, repo):
        assert make(owner, repo, config={"url": "https://example.com/", "secret": "x"})["config"] == {"url": "https://example.com/"}

    def test_targets(self, stack, owner):
        org = api.organization(stack, owner)
        other = api.organization(stack, owner)
        api.team(stack, org, "watchers", "member")
        repo = api.repository(stack, f"{org}/app")
        for kind, name in (("user", owner.user), ("org", org), ("team", "watchers")):
            n = make(owner, repo, method="quay_notification", config={"target": {"kind": kind, "name": name, "extra": 1}})
            assert n["config"] == {"target": {"kind": kind, "name": name}}
        stack.create_robot(org, "bot")
        for kind, name in (("org", other), ("team", "others"), ("user", f"{org}+bot"), ("user", org), ("robot", "x")):
            r = owner.post(f"repository/{repo}/notification/", body(method="quay_notification", config={"target": {"kind": kind, "name": name}}))
            api.error(r, 400, "invalid_request")

    def test_hosts_that_the_operator_excludes(self, make_stack):
        stack = make_stack("lighttpd", name="nohooks", WEBHOOK_HOSTNAME_BLACKLIST=["internal.example.com"], SSRF_ALLOWED_HOSTS=["10.9.0.0/16"], FEATURE_RATE_LIMITS=False)
        owner = api.person(stack)
        repo = api.repository(stack, f"{owner.user}/r")
        for url in ("https://internal.example.com/x", "https://INTERNAL.example.com:8443/"):
            api.error(owner.post(f"repository/{repo}/notification/", body(config={"url": url})), 400, "invalid_request", "Invalid webhook URL")
        assert make(owner, repo, config={"url": "http://10.9.1.1/"})["uuid"]


class TestNamespaces:
    """About quotas: of an organization by its administrators, of the own account."""

    @pytest.fixture(scope="class")
    def nstack(self, make_stack):
        return make_stack("lighttpd", name="quotanotes", FEATURE_QUOTA_MANAGEMENT=True, FEATURE_QUOTA_NOTIFICATIONS=True, FEATURE_RATE_LIMITS=False)

    @pytest.fixture(params=["organization", "user"])
    def where(self, request, nstack):
        who = api.person(nstack)
        name = api.organization(nstack, who)
        return (f"organization/{name}/notifications", who, name) if request.param == "organization" else ("user/namespacenotifications", who, who.user)

    def test_life(self, nstack, where):
        path, who, ns = where
        assert who.get(path).json() == {"notifications": []}
        r = who.post(path, body(event="quota_warning", method="slack", config={"url": "https://hooks.example.com/y"}, title="t"))
        assert r.status_code == 201, r.text
        n = r.json()
        assert n == {"uuid": n["uuid"], "title": "t", "event": "quota_warning", "method": "slack", "config": {"url": "https://hooks.example.com/y"},
                     "event_config": {}, "number_of_failures": 0}
        one = f"{path}/{n['uuid']}"
        assert who.get(one).json() == n and who.get(path).json() == {"notifications": [n]}
        nstack.sql("UPDATE namespace_notification SET failures = 3 WHERE uuid = %s", n["uuid"])
        assert who.post(one).status_code == 204 and who.get(one).json()["number_of_failures"] == 0
        r = who.post(f"{one}/test")
        assert r.status_code == 200 and r.json() == {}
        item = json.loads(nstack.sql("SELECT body FROM queue_item WHERE name = %s", f"{ns}/{n['uuid']}/quota_warning")[0][0])
        assert item["notification_type"] == "namespace" and item["event_data"]["namespace"] == ns and item["event_data"]["threshold_percent"] == 80
        assert who.delete(one).status_code == 204
        for r in (who.get(one), who.delete(one), who.post(one), who.post(f"{one}/test")):
            assert r.status_code == 404
        members = {"namespace": ns, "notification_id": n["uuid"], "event": "quota_warning", "method": "slack"}
        for kind in ("create", "reset", "delete"):
            assert [e[2] for e in api.logs(nstack, f"{kind}_namespace_notification", notification_id=n["uuid"])] == [members]

    def test_events(self, where):
        path, who, _ = where
        api.error(who.post(path, body(event="repo_push")), 400, "invalid_request", "Invalid event 'repo_push'. Must be one of: quota_error, quota_warning")
        api.error(who.post(path, body(event="quota_error", method="pigeon")), 400, "invalid_request", "Unknown notification method 'pigeon'")

    def test_of_somebody_else(self, nstack, where):
        path, who, _ = where
        uuid = who.post(path, body(event="quota_error")).json()["uuid"]
        other = api.person(nstack)
        org = api.organization(nstack, other)
        for base in ("user/namespacenotifications", f"organization/{org}/notifications"):
            assert other.get(f"{base}/{uuid}").status_code == other.delete(f"{base}/{uuid}").status_code == other.post(f"{base}/{uuid}/test").status_code == 404
        if path.startswith("organization"):
            for r in (other.get(path), other.get(f"{path}/{uuid}"), other.delete(f"{path}/{uuid}"), other.post(path, body(event="quota_error"))):
                api.error(r, 403, "insufficient_scope")
        assert who.get(f"{path}/{uuid}").status_code == 200

    def test_they_end_with_the_quota(self, nstack):
        u, root = api.person(nstack), api.Session(nstack, "admin")
        root.post(f"superuser/users/{u.user}/quota", {"limit_bytes": 5})
        u.post("user/namespacenotifications", body(event="quota_error"))
        quota = u.get("user/quota").json()[0]["id"]
        assert root.delete(f"superuser/users/{u.user}/quota/{quota}").status_code == 204
        assert u.get("user/namespacenotifications").json() == {"notifications": []}

    def test_off(self, stack, owner):
        assert owner.get("user/namespacenotifications").status_code == 404
        assert owner.post("user/namespacenotifications", body(event="quota_error")).status_code == 405
