"""What a list costs does not grow with what it lists: each call that answers a list sends as many statements for one row as for a
hundred. The calls are those whose schema (tests/api/schemas) holds an array; each is seen to have grown in between."""

import json

import pytest

import api
import oci
import rows as table
from test_statements import statements

# Where the list of each call is made longer below; paths as in the table of rows.
PATHS = {
    "listAppTokens": "user/apptoken", "listAllAppTokens": "superuser/apptokens", "getGlobalMessages": "messages",
    "listOrganizationAutoPrunePolicies": "organization/l-org/autoprunepolicy/", "listRepositoryAutoPrunePolicies": "repository/l-org/app/autoprunepolicy/",
    "listUserAutoPrunePolicies": "user/autoprunepolicy/", "listOrgImmutabilityPolicies": "organization/l-org/immutabilitypolicy/",
    "listRepositoryImmutabilityPolicies": "repository/l-org/app/immutabilitypolicy/", "listRepoLogs": "repository/l-org/app/logs", "listOrgLogs": "organization/l-org/logs",
    "listUserLogs": "user/logs", "listAllLogs": "superuser/logs", "getAggregateRepoLogs": "repository/l-org/app/aggregatelogs", "getAggregateOrgLogs": "organization/l-org/aggregatelogs",
    "getAggregateUserLogs": "user/aggregatelogs", "listAllAggregateLogs": "superuser/aggregatelogs", "listManifestLabels": "repository/l-org/app/manifest/{digest}/labels",
    "getRepoManifest": "repository/l-org/app/manifest/{digest}", "listOrgNotifications": "organization/l-org/notifications", "listRepoNotifications": "repository/l-org/app/notification/",
    "listUserNamespaceNotifications": "user/namespacenotifications", "listUserNotifications": "user/notifications?limit=100", "listOrganizationQuota": "organization/l-org/quota",
    "listOrganizationQuotaLimit": "organization/l-org/quota/{quota}/limit", "getOrganizationQuota": "organization/l-org/quota/{quota}", "listUserQuota": "user/quota",
    "getUserQuota": "user/quota/{my_quota}", "listUserQuotaLimit": "user/quota/{my_quota}/limit", "getUserQuotaLimit": "user/quota/{my_quota}/limit/{my_limit}",
    "listUserQuotaSuperUser": "superuser/users/admin/quota", "listOrganizationQuotaSuperUser": "superuser/organization/l-org/quota", "getOrganization": "organization/l-org",
    "getOrganizationCollaborators": "organization/l-org/collaborators", "getOrganizationMembers": "organization/l-org/members", "getOrganizationMember": "organization/l-org/members/admin",
    "getApplicationInformation": "app/{client_id}", "getOrganizationApplications": "organization/l-org/applications",
    "listOrganizationApplicationTokens": "organization/l-org/applications/{client_id}/tokens", "listUserAuthorizations": "user/authorizations",
    "getUserAuthorization": "user/authorizations/{token}", "listAssignedAuthorizations": "user/assignedauthorization", "listRepoUserPermissions": "repository/l-org/app/permissions/user/",
    "listRepoTeamPermissions": "repository/l-org/app/permissions/team/", "getUserTransitivePermission": "repository/l-org/app/permissions/user/admin/transitive",
    "getOrganizationPrototypePermissions": "organization/l-org/prototypes", "listRepos": "repository?namespace=l-org&last_modified=true&popularity=true",
    "getRepo": "repository/l-org/app?includeTags=true&includeStats=true", "getUserRobots": "user/robots?permissions=true", "getOrgRobots": "organization/l-org/robots?permissions=true",
    "getUserRobotPermissions": "user/robots/r0/permissions", "getOrgRobotPermissions": "organization/l-org/robots/r0/permissions", "getUserRobotFederation": "user/robots/r0/federation",
    "getOrgRobotFederation": "organization/l-org/robots/r0/federation", "getMatchingEntities": "entities/l-?namespace=l-org&includeTeams=true&includeOrgs=true",
    "conductSearch": "find/all?query=l-", "conductRepoSearch": "find/repositories?query=l-&includeUsage=true", "listAllUsers": "superuser/users/", "listAllOrganizations": "superuser/organizations/",
    "getInstallUser": "superuser/users/l-u1", "listServiceKeys": "superuser/keys", "getServiceKey": "superuser/keys/l-k1", "listRepoTags": "repository/l-org/app/tag/?limit=100",
    "getOrganizationTeamMembers": "organization/l-org/team/l-team/members", "getOrganizationTeamPermissions": "organization/l-org/team/l-team/permissions",
    "uiNamespaces": "ui/namespaces", "uiMembers": "ui/namespace/l-org/members", "uiRobots": "ui/namespace/l-org/robots", "uiRepositories": "ui/repositories?namespace=l-org",
    "uiTags": "ui/repository/l-org/app/tags", "uiWhy": "ui/repository/l-org/app/why?user=l-u1",
    "getLoggedInUser": "user/", "getUserInformation": "users/admin", "listStarredRepos": "user/starred",
}
# Arrays that describe one thing or the registry and grow with nothing that this file makes more of.
NO_LISTS = {"getRegistryCapabilities", "discovery", "getRepoManifest", "getApplicationInformation", "getUserAuthorization", "getInstallUser", "getServiceKey", "getUserInformation",
            "listOrganizationQuota", "getAggregateRepoLogs", "getAggregateOrgLogs", "getAggregateUserLogs", "listAllAggregateLogs", "getUserTransitivePermission", "uiWhy",
            # walk through repositories and their tags, as a job does: bounded by pages, not by one statement
            "previewOrganizationAutoPrune", "previewRepositoryAutoPrune", "previewUserAutoPrune"}

SEED = """
CREATE FUNCTION pg_temp.acc(text) RETURNS int8 LANGUAGE sql AS $$ SELECT id FROM account WHERE name = $1 $$;
CREATE FUNCTION pg_temp.n() RETURNS SETOF int LANGUAGE sql AS $$ SELECT generate_series({first}, {last}) $$;
INSERT INTO account (kind, name, email, is_verified) SELECT 1, 'l-u' || i, 'l-u' || i || '@example.com', true FROM pg_temp.n() i;
INSERT INTO account (kind, name) SELECT 2, 'l-o' || i FROM pg_temp.n() i;
INSERT INTO team (organization_id, name, role) SELECT id, 'owners', 3 FROM account WHERE kind = 2 AND name IN (SELECT 'l-o' || i FROM pg_temp.n() i);
INSERT INTO team_member (team_id, account_id) SELECT t.id, pg_temp.acc('admin') FROM team t JOIN account o ON o.id = t.organization_id WHERE t.name = 'owners' AND o.name IN (SELECT 'l-o' || i FROM pg_temp.n() i);
INSERT INTO team (organization_id, name, role) SELECT pg_temp.acc('l-org'), 'l-t' || i, 1 FROM pg_temp.n() i;
INSERT INTO team_member (team_id, account_id) SELECT id, pg_temp.acc('admin') FROM team WHERE name IN (SELECT 'l-t' || i FROM pg_temp.n() i);
INSERT INTO team_member (team_id, account_id) SELECT t.id, a.id FROM team t, account a WHERE t.name = 'l-team' AND a.name IN (SELECT 'l-u' || i FROM pg_temp.n() i);
INSERT INTO repository (namespace_id, name, is_public) SELECT pg_temp.acc('l-org'), 'l-r' || i, true FROM pg_temp.n() i;
INSERT INTO star (account_id, repository_id) SELECT pg_temp.acc('admin'), id FROM repository WHERE name IN (SELECT 'l-r' || i FROM pg_temp.n() i);
INSERT INTO repository_permission (repository_id, team_id, role) SELECT r.id, t.id, 1 FROM repository r, team t WHERE t.name = 'l-team' AND r.name IN (SELECT 'l-r' || i FROM pg_temp.n() i);
INSERT INTO repository_permission (repository_id, team_id, role) SELECT r.id, t.id, 1 FROM repository r, team t WHERE r.name = 'app' AND t.name IN (SELECT 'l-t' || i FROM pg_temp.n() i);
INSERT INTO repository_permission (repository_id, account_id, role) SELECT r.id, a.id, 1 FROM repository r, account a WHERE r.name = 'app' AND a.name IN (SELECT 'l-u' || i FROM pg_temp.n() i);
INSERT INTO account (kind, name) SELECT 1, 'l-c' || i FROM pg_temp.n() i;
INSERT INTO repository_permission (repository_id, account_id, role) SELECT r.id, a.id, 1 FROM repository r, account a WHERE r.name = 'app' AND a.name IN (SELECT 'l-c' || i FROM pg_temp.n() i);
INSERT INTO repository_permission (repository_id, account_id, role) SELECT r.id, a.id, 1 FROM repository r, account a WHERE a.name = 'l-org+r0' AND r.name IN (SELECT 'l-r' || i FROM pg_temp.n() i);
INSERT INTO repository (namespace_id, name) SELECT pg_temp.acc('admin'), 'l-own' || i FROM pg_temp.n() i;
INSERT INTO repository_permission (repository_id, account_id, role) SELECT r.id, a.id, 1 FROM repository r, account a WHERE a.name = 'admin+r0' AND r.name IN (SELECT 'l-own' || i FROM pg_temp.n() i);
INSERT INTO default_permission (organization_id, activating_id, delegate_id, role) SELECT pg_temp.acc('l-org'), NULL, id, 1 FROM account WHERE name IN (SELECT 'l-u' || i FROM pg_temp.n() i);
INSERT INTO prune_policy (namespace_id, repository_id, method, value) SELECT pg_temp.acc('l-org'), NULL, 'number_of_tags', i::text FROM pg_temp.n() i;
INSERT INTO prune_policy (namespace_id, repository_id, method, value) SELECT pg_temp.acc('l-org'), id, 'number_of_tags', i::text FROM pg_temp.n() i, repository WHERE name = 'app';
INSERT INTO prune_policy (namespace_id, repository_id, method, value) SELECT pg_temp.acc('admin'), NULL, 'number_of_tags', i::text FROM pg_temp.n() i;
INSERT INTO immutability_policy (namespace_id, repository_id, tag_pattern) SELECT pg_temp.acc('l-org'), NULL, 'x' || i FROM pg_temp.n() i;
INSERT INTO immutability_policy (namespace_id, repository_id, tag_pattern) SELECT pg_temp.acc('l-org'), id, 'x' || i FROM pg_temp.n() i, repository WHERE name = 'app';
INSERT INTO quota_limit (namespace_id, kind, percent) SELECT q, 1 + mod(i, 2), mod(i, 100) + 1 FROM pg_temp.n() i, (VALUES (pg_temp.acc('l-org')), (pg_temp.acc('admin'))) v (q) ON CONFLICT DO NOTHING;
INSERT INTO notification (repository_id, event, method) SELECT id, 'repo_push', 'slack' FROM pg_temp.n() i, repository WHERE name = 'app';
INSERT INTO namespace_notification (namespace_id, event, method) SELECT pg_temp.acc(v), 'quota_error', 'slack' FROM pg_temp.n() i, (VALUES ('l-org'), ('admin')) x (v);
INSERT INTO account_notification (account_id, kind) SELECT pg_temp.acc('admin'), 'test_notification' FROM pg_temp.n() i;
INSERT INTO message (content, media_type, severity) SELECT 'm' || i, 'text/plain', 'info' FROM pg_temp.n() i;
INSERT INTO label (manifest_id, key, value, source) SELECT m.id, 'k' || i, 'v', 2 FROM pg_temp.n() i, manifest m;
INSERT INTO tag (repository_id, manifest_id, name) SELECT m.repository_id, m.id, 'l-t' || i FROM pg_temp.n() i, manifest m;
INSERT INTO service_key (kid, service, jwk) SELECT 'l-k' || i, 'lists', '{{}}' FROM pg_temp.n() i;
INSERT INTO oauth_application (organization_id, client_id, name) SELECT pg_temp.acc('l-org'), lpad(i::text, 20, 'A'), 'l-a' || i FROM pg_temp.n() i;
INSERT INTO token (kind, account_id, application_id, scopes, title, expires_ms, secret_hash) SELECT 2, pg_temp.acc('admin'), a.id, 'repo:read', 't' || i, kade_now_ms() + 1000000000, sha256(('t' || i)::bytea)
 FROM pg_temp.n() i, oauth_application a WHERE a.client_id = lpad('1', 20, 'A');
INSERT INTO oauth_assignment (application_id, account_id, redirect_uri, scopes, response_type) SELECT a.id, pg_temp.acc('admin'), 'https://x.example/', 'repo:read', 'token' FROM pg_temp.n() i, oauth_application a WHERE a.client_id = lpad('1', 20, 'A');
INSERT INTO robot_federation (account_id, issuer, subject, position) SELECT pg_temp.acc(v), 'https://idp' || i || '.example.com', 's', i FROM pg_temp.n() i, (VALUES ('l-org+r0'), ('admin+r0')) x (v);
INSERT INTO audit_log (kind, namespace_id, performer_id, repository_id) SELECT k.id, pg_temp.acc(v), pg_temp.acc('l-u1'), r.id FROM pg_temp.n() i, (VALUES ('l-org'), ('admin')) x (v), repository r, audit_kind k WHERE k.name = 'create_tag' AND r.name = 'app';
"""


def has_list(schema):
    """Whether an answer of that form holds an array or an object of any members, references followed."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            return has_list(table.schemas()[1]["definitions"][schema["$ref"].rsplit("/", 1)[1]])
        return schema.get("type") == "array" or isinstance(schema.get("additionalProperties"), dict) or any(has_list(v) for v in schema.values() if isinstance(v, (dict, list)))
    return isinstance(schema, list) and any(has_list(v) for v in schema)


def longest(node):
    """The longest list of an answer, objects by name included."""
    if isinstance(node, dict):
        own = len(node) if node and all(isinstance(v, dict) for v in node.values()) else 0
        return max([own, *map(longest, node.values())])
    if isinstance(node, list):
        return max([len(node), *map(longest, node)])
    return 0


@pytest.fixture(scope="module")
def counted(make_stack, build):
    """(stack, {call: (statements, longest list)} for one row each, the same for a hundred)."""
    stack = make_stack("lighttpd", name="lists", FEATURE_SUPERUSERS_FULL_ACCESS=True, FRESH_LOGIN_TIMEOUT="1d", FEATURE_USER_LOG_ACCESS=True, FEATURE_RATE_LIMITS=False,
                       FEATURE_QUOTA_MANAGEMENT=True, FEATURE_QUOTA_NOTIFICATIONS=True, FEATURE_AUTO_PRUNE=True, FEATURE_IMMUTABLE_TAGS=True)
    session = api.Session(stack, "admin")
    api.organization(stack, session, "l-org")
    api.team(stack, "l-org", "l-team", "member")
    m = oci.image()
    stack.client("admin").push("l-org/app", "first", m)
    stack.sql("INSERT INTO quota (namespace_id, limit_bytes) SELECT id, 1 << 30 FROM account WHERE name IN ('l-org', 'admin')")

    def more(first, last):
        for i in range(first - 1, last):
            for owner in ("user", "organization/l-org"):
                assert session.put(f"{owner}/robots/r{i}", {"description": "d"}).status_code == 201
            assert session.post("user/apptoken", {"title": f"a{i}"}).status_code == 200
        stack.sql(SEED.format(first=first, last=last))

    def measure():
        quota = {o["name"]: o["id"] for o in map(lambda r: dict(zip(("name", "id"), r)), stack.sql("SELECT a.name, q.namespace_id FROM quota q JOIN account a ON a.id = q.namespace_id"))}
        values = {"digest": m.digest, "quota": quota["l-org"], "my_quota": quota["admin"], "client_id": "A" * 19 + "1", "token": stack.sql("SELECT uuid FROM token WHERE title = 't1'")[0][0],
                  "my_limit": stack.sql("SELECT min(id) FROM quota_limit WHERE namespace_id = %s", quota["admin"])[0][0]}
        seen = {}
        for call, path in PATHS.items():
            r = session.get(path.format(**values))
            assert r.status_code == 200, f"{path}: {r.status_code} {r.text[:200]}"
            seen[call] = statements(stack, r), longest(r.json())
        return seen

    more(1, 1)
    one = measure()
    more(2, 100)
    return stack, one, measure()


def test_every_list_is_here(build):
    """By the schemas; and each path is that call's."""
    lists = {c.id for c in table.calls(build) if c.method == "GET" and has_list(table.schemas()[0][c.id].get("200", {}))}
    assert lists - PATHS.keys() <= NO_LISTS, lists - PATHS.keys() - NO_LISTS
    for call, path in PATHS.items():
        path = path.replace("{digest}", "sha256:0").replace("{", "").replace("}", "")
        assert table.find(build, "GET", path).id == call, path


@pytest.mark.parametrize("call", PATHS)
def test_list(counted, call):
    _, one, hundred = counted
    assert one[call][0] > 0 or call in ("getGlobalMessages",)
    assert hundred[call][0] == one[call][0], f"{one[call][0]} statements for one row, {hundred[call][0]} for a hundred"
    if call not in NO_LISTS:
        assert hundred[call][1] > one[call][1], f"the list has not grown: {one[call][1]}, {hundred[call][1]}"
    print(json.dumps({call: [one[call], hundred[call]]}))
