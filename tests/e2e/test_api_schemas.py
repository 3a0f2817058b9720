"""Answers of calls about things of one's own, which the tables of permissions do not reach, against the schemas of
tests/api/schemas; and that each schema is met by one or the other, so that none is only believed."""

import csv
import re

import pytest

import api
import oci
import rows as table
import stack as stack_module
from test_permissions import FOLDER, FIXED

# What no test can reach: the services do not exist yet.
UNREACHED = {"changeRepoState", "getConfigDump", "retrieveExternalLoginAuthorizationUrl"}


@pytest.fixture(scope="module")
def kade(make_stack):
    return make_stack("lighttpd", name="schemas", FEATURE_MAILING=True, MAIL_SERVER="localhost", FEATURE_RATE_LIMITS=False, FEATURE_QUOTA_MANAGEMENT=True, FEATURE_QUOTA_NOTIFICATIONS=True, FEATURE_AUTO_PRUNE=True,
                      FEATURE_IMAGE_PULL_STATS=True, PERMANENTLY_DELETE_TAGS=True, FEATURE_SUPERUSERS_FULL_ACCESS=True)


class Checked:
    """A session whose granted answers are compared with the schemas."""

    met = set()

    def __init__(self, build, session):
        self.build, self.session = build, session

    def __call__(self, status, method, path, body=None):
        r = self.session.call(method, path, json=body)
        assert r.status_code == status, f"{method} {path}: {r.status_code} {r.text[:300]}"
        call = table.find(self.build, method, path)
        assert (problem := table.problem(call, r)) is None, problem
        self.met.add((call.id, str(status)))
        return r.json() if r.content else None


@pytest.fixture(scope="module")
def boss(kade, build):
    return Checked(build, api.Session(kade, "admin"))


@pytest.fixture(scope="module")
def me(kade, build):
    return Checked(build, api.person(kade, "s-me"))


@pytest.fixture(scope="module")
def org(kade, me):
    api.organization(kade, me.session, "s-org")
    api.repository(kade, "s-org/app")
    return "s-org"


def test_invitations(kade, build, me, org):
    guest = Checked(build, api.person(kade))
    me(200, "PUT", f"organization/{org}/team/guests", {"role": "member"})
    for status, method in ((204, "DELETE"), (200, "PUT")):
        me(200, "PUT", f"organization/{org}/team/guests/members/{guest.session.user}")
        note = guest.session.get("user/notifications").json()["notifications"][0]
        guest(status, method, f"teaminvite/{note['metadata']['code']}")


def test_password(kade, me):
    me(200, "POST", "user/clientkey", {"password": kade.users["s-me"]})
    me(200, "POST", "signin/verify", {"password": kade.users["s-me"]})
    me(200, "POST", "signin", {"username": "s-me", "password": kade.users["s-me"]})


def test_app_token(me):
    uuid = me(200, "POST", "user/apptoken", {"title": "t"})["token"]["uuid"]
    me(200, "GET", f"user/apptoken/{uuid}")
    me(204, "DELETE", f"user/apptoken/{uuid}")


def test_notes(kade, me):
    uuid = kade.sql("INSERT INTO account_notification (account_id, kind, metadata) SELECT id, 'test_notification', '{\"a\": 1}' FROM account WHERE name = 's-me' RETURNING uuid")[0][0]
    assert me(200, "GET", "user/notifications")["notifications"][0]["id"] == uuid
    me(200, "GET", f"user/notifications/{uuid}")
    assert me(200, "PUT", f"user/notifications/{uuid}", {"dismissed": True})["dismissed"] is True


def test_prune_policy(me):
    uuid = me(201, "POST", "user/autoprunepolicy/", {"method": "number_of_tags", "value": 10})["uuid"]
    me(200, "GET", "user/autoprunepolicy/")
    me(200, "GET", f"user/autoprunepolicy/{uuid}")
    me(204, "PUT", f"user/autoprunepolicy/{uuid}", {"method": "creation_date", "value": "7d"})
    me(200, "GET", f"user/autoprunepolicy/{uuid}")
    me(200, "DELETE", f"user/autoprunepolicy/{uuid}")


def test_namespace_notification(me):
    body = {"event": "quota_error", "method": "slack", "config": {"url": "https://hooks.example.com/x"}, "eventConfig": {}, "title": "t"}
    uuid = me(201, "POST", "user/namespacenotifications", body)["uuid"]
    me(200, "GET", f"user/namespacenotifications/{uuid}")
    me(200, "POST", f"user/namespacenotifications/{uuid}/test")
    me(204, "POST", f"user/namespacenotifications/{uuid}")
    me(204, "DELETE", f"user/namespacenotifications/{uuid}")


def test_quota(boss, me, org):
    boss(201, "POST", f"superuser/organization/{org}/quota", {"limit_bytes": 10 << 30})
    boss(201, "POST", "superuser/users/s-me/quota", {"limit": "10 GiB"})
    (quota,) = me(200, "GET", "user/quota")
    boss(201, "POST", f"organization/s-me/quota/{quota['id']}/limit", {"type": "Warning", "threshold_percent": 80})
    me(200, "GET", f"user/quota/{quota['id']}")
    (limit,) = me(200, "GET", f"user/quota/{quota['id']}/limit")
    me(200, "GET", f"user/quota/{quota['id']}/limit/{limit['id']}")
    me(200, "GET", "user/")
    me(200, "GET", f"organization/{org}")
    boss(200, "GET", "superuser/users/")
    boss(200, "PUT", f"superuser/users/s-me/quota/{quota['id']}", {"limit_bytes": 1})
    boss(204, "DELETE", f"superuser/users/s-me/quota/{quota['id']}")


def test_team_permission(me, org):
    me(200, "PUT", f"organization/{org}/team/builders", {"role": "member"})
    me(200, "PUT", f"repository/{org}/app/permissions/team/builders", {"role": "write"})
    me(200, "GET", f"repository/{org}/app/permissions/team/builders")
    me(200, "GET", f"organization/{org}/team/builders/permissions")
    me(204, "DELETE", f"repository/{org}/app/permissions/team/builders")


def test_assigned_authorization(kade, me, org):
    client = me(200, "POST", f"organization/{org}/applications", {"name": "assigner", "redirect_uri": "https://x.example/"})["client_id"]
    kade.sql("INSERT INTO oauth_assignment (account_id, application_id, redirect_uri, scopes, response_type)"
             " SELECT u.id, a.id, 'https://x.example/', 'repo:read', 'token' FROM account u, oauth_application a WHERE u.name = 's-me' AND a.client_id = %s", client)
    (one,) = me(200, "GET", "user/assignedauthorization")["authorizations"]
    assert one["application"]["clientId"] == client
    me(204, "DELETE", f"user/assignedauthorization/{one['uuid']}")


def test_images(kade, me):
    m = oci.image(2)
    client = kade.client("s-me")
    client.push("s-me/app", "v1", m)
    client.call("GET", "/v2/s-me/app/manifests/v1", token=client.token("repository:s-me/app:pull"))
    me(200, "GET", "repository/s-me/app/tag/v1/pull_statistics")
    me(200, "GET", f"repository/s-me/app/manifest/{m.digest}/pull_statistics")
    me(201, "PUT", "repository/s-me/app/tag/v1", {"expiration": 4102444800})
    me(200, "GET", "repository/s-me/app/tag/")
    me(200, "GET", "repository/s-me/app?includeStats=true&includeTags=true")
    me(201, "POST", "user/starred", {"namespace": "s-me", "repository": "app"})
    me(200, "GET", "user/starred")
    me(200, "GET", "repository?namespace=s-me&last_modified=true&popularity=true")
    me(200, "GET", "find/all?query=app")
    me(200, "GET", "find/repositories?query=app&includeUsage=true")
    me(204, "DELETE", "repository/s-me/app/tag/v1")
    me(200, "POST", "repository/s-me/app/tag/v1/expire", {"manifest_digest": m.digest, "is_alive": False, "include_submanifests": False})


def test_superuser(boss):
    boss(201, "POST", "superuser/registrysize/")
    boss(202, "POST", "superuser/registrysize/")
    boss(200, "GET", "superuser/registrysize/")


def test_robots(me, org):
    """With tokens, teams and repositories; with metadata."""
    me(201, "PUT", f"organization/{org}/robots/bot", {"description": "d", "unstructured_metadata": {"a": 1}})
    me(200, "PUT", f"organization/{org}/team/robots", {"role": "member"})
    me(200, "PUT", f"organization/{org}/team/robots/members/{org}+bot")
    me(200, "PUT", f"repository/{org}/app/permissions/user/{org}+bot", {"role": "read"})
    me(200, "GET", f"organization/{org}/robots?permissions=true&token=true")
    me(200, "GET", f"organization/{org}/robots/bot")
    me(200, "GET", f"organization/{org}/robots/bot/permissions")
    me(200, "POST", f"organization/{org}/robots/bot/federation", [{"issuer": "https://idp.example.com", "subject": "x"}])
    me(200, "GET", f"organization/{org}/robots/bot/federation")
    me(200, "GET", f"repository/{org}/app/permissions/user/")
    me(200, "GET", f"organization/{org}/members/{org}+bot")
    me(200, "GET", f"organization/{org}/team/robots/members")


def test_convert(kade, build, me):
    one = Checked(build, api.person(kade, "s-convert"))
    one(200, "POST", "user/convert", {"adminUser": "s-me", "adminPassword": kade.users["s-me"]})


def test_first_user(servers, build):
    """In a database without any user."""
    first = stack_module.Stack(servers, "lighttpd", {"FEATURE_USER_INITIALIZE": True})
    try:
        first.start()
        first.sql("TRUNCATE account CASCADE")
        body = {"username": "first", "password": "a-good-password", "email": "first@example.com", "access_token": True}
        one = Checked(build, api.Api(first))
        token = one(200, "POST", "user/initialize", body)["access_token"]
        first.secrets.add(token)
        assert api.Bearer(first, token).get("user/").json()["username"] == "first"
        api.message(api.Api(first).post("user/initialize", {**body, "username": "second"}), 400, "Cannot initialize user in a non-empty database")
    finally:
        first.stop()


def reached_by_tables(build):
    """(operation id, status) of all cells of the tables of permissions."""
    reached = set()
    for file in FOLDER.glob("*.tsv"):
        lines = [line for line in file.read_text().splitlines() if line.strip() and not line.startswith("#")]
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            path = re.sub(r"\{(repo|open|missing_repo)\}", "a/b", row["path"]).replace("{digest}", "sha256:0")
            call = table.find(build, row["method"], re.sub(r"\{\w+\}", "x", path))
            if call is not None:
                reached |= {(call.id, status) for column, status in row.items() if column not in FIXED}
    return reached


def test_every_schema_is_met(build, request):
    """Last: after the tests above."""
    ran = {i.name for i in request.session.items if i.fspath == request.node.fspath}
    if not {name for name in globals() if name.startswith("test_")} <= ran:
        pytest.skip("only some tests of this file were chosen")
    known = {(call, status) for call, statuses in table.schemas()[0].items() for status in statuses}
    missing = {f"{call} {status}" for call, status in known - reached_by_tables(build) - Checked.met if call not in UNREACHED}
    assert not missing, sorted(missing)
