"""Quotas: of organizations, users, the registry's default; their limits; who sets and who sees them; what is used."""

import secrets

import pytest

import api
import oci


@pytest.fixture(scope="module")
def qstack(make_stack):
    return make_stack("lighttpd", name="quota", FEATURE_QUOTA_MANAGEMENT=True, FEATURE_SUPERUSERS_FULL_ACCESS=True, FEATURE_RATE_LIMITS=False)


@pytest.fixture(scope="module")
def root(qstack):
    return api.Session(qstack, "admin")


@pytest.fixture(scope="module")
def owner(qstack):
    return api.person(qstack)


@pytest.fixture
def org(qstack, owner):
    return api.organization(qstack, owner)


def create(root, org, **kw):
    r = root.post(f"organization/{org}/quota", kw or {"limit_bytes": 10 << 30})
    assert r.status_code == 201 and r.json() == "Created", r.text
    return root.get(f"organization/{org}/quota").json()[0]["id"]


class TestOrganizations:
    def test_life(self, qstack, root, owner, org):
        assert root.get(f"organization/{org}/quota").json() == []
        q = create(root, org)
        one = {"id": q, "limit_bytes": 10 << 30, "limit": "10.0 GiB", "default_config": False, "limits": [], "default_config_exists": False}
        assert owner.get(f"organization/{org}/quota").json() == [one] and owner.get(f"organization/{org}/quota/{q}").json() == one
        r = root.put(f"organization/{org}/quota/{q}", {"limit": "1.5 GiB"})
        api.error(r, 400, "invalid_request")
        r = root.put(f"organization/{org}/quota/{q}", {"limit": "20 GB"})
        assert r.status_code == 200 and r.json()["limit_bytes"] == 20 * 10 ** 9 and r.json()["limit"] == "18.6 GiB"
        assert root.put(f"organization/{org}/quota/{q}", {}).json()["limit_bytes"] == 20 * 10 ** 9
        assert root.delete(f"organization/{org}/quota/{q}").status_code == 204
        assert root.delete(f"organization/{org}/quota/{q}").status_code == 404
        assert owner.get(f"organization/{org}/quota/{q}").status_code == 404
        assert api.logs(qstack, "org_create_quota", namespace=org)[0] == (org, "admin", {"namespace": org, "limit_bytes": 10 << 30, "limit": "10.0 GiB"})
        assert api.logs(qstack, "org_change_quota", namespace=org)[0][2] == {
            "namespace": org, "limit_bytes": 20 * 10 ** 9, "limit": "18.6 GiB", "previous_limit_bytes": 10 << 30, "previous_limit": "10.0 GiB"}
        assert api.logs(qstack, "org_delete_quota", namespace=org)[0][2] == {"namespace": org, "quota_id": q, "limit_bytes": 20 * 10 ** 9, "limit": "18.6 GiB"}

    def test_one_for_each(self, root, org):
        create(root, org)
        api.error(root.post(f"organization/{org}/quota", {"limit_bytes": 5}), 400, "invalid_request", f"Organization quota for '{org}' already exists")

    @pytest.mark.parametrize("body,words", [
        ({}, None), ({"limit_bytes": 1, "limit": "1"}, None), ({"limit_bytes": 0}, "Invalid quota size limit value: '0'"),
        ({"limit_bytes": -5}, "Invalid quota size limit value: '-5'"), ({"limit": "0 GiB"}, "Invalid quota size limit value: '0'"),
        ({"limit": "9 YiB"}, "Unsupported quota size limit."), ({"limit": "99999999999999999999"}, "Unsupported quota size limit."),
        ({"limit": "ten"}, None), ({"limit": "10  GiB"}, None), ({"limit": "10 gib"}, None), ({"limit": "10 GiBB"}, None), ({"limit": ""}, None),
        ({"limit": "-1"}, None), ({"limit_bytes": "5"}, None), ({"limit_bytes": 1.5}, None)])
    def test_bodies(self, root, org, body, words):
        api.error(root.post(f"organization/{org}/quota", body), 400, "invalid_request", words)
        assert root.get(f"organization/{org}/quota").json() == []

    @pytest.mark.parametrize("text,n,shown", [("100", 100, "100.0 Byte"), ("100 B", 100, "100.0 Byte"), ("1K", 1000, "1000.0 Byte"), ("1Ki", 1024, "1.0 KiB"),
                                              ("1 MB", 10 ** 6, "976.6 KiB"), ("3TiB", 3 << 40, "3.0 TiB"), ("7 EiB", 7 << 60, "7.0 EiB")])
    def test_sizes(self, root, org, text, n, shown):
        create(root, org, limit=text)
        q = root.get(f"organization/{org}/quota").json()[0]
        assert (q["limit_bytes"], q["limit"]) == (n, shown)

    def test_other_members_of_a_change(self, root, org):
        q = create(root, org)
        api.error(root.put(f"organization/{org}/quota/{q}", {"limits": []}), 400, "invalid_request",
                  "Additional properties are not allowed ('limits' was unexpected)")

    def test_of_another_organization(self, qstack, root, owner, org):
        q = create(root, org)
        other = api.organization(qstack, owner)
        for path in (f"organization/{other}/quota/{q}", f"organization/{other}/quota/{q}/limit", "organization/no-such-org/quota"):
            assert root.get(path).status_code == 404
        assert root.put(f"organization/{other}/quota/{q}", {"limit_bytes": 1}).status_code == 404
        assert root.delete(f"organization/{other}/quota/{q}").status_code == 404
        assert root.get(f"organization/{org}/quota/{q}").json()["limit_bytes"] == 10 << 30

    def test_owners_do_not_set_it(self, root, owner, org):
        api.error(owner.post(f"organization/{org}/quota", {"limit_bytes": 1 << 40}), 403, "insufficient_scope")
        q = create(root, org)
        for r in (owner.put(f"organization/{org}/quota/{q}", {"limit_bytes": 1 << 40}), owner.delete(f"organization/{org}/quota/{q}"),
                  owner.post(f"organization/{org}/quota/{q}/limit", {"type": "Reject", "threshold_percent": 100})):
            api.error(r, 403, "insufficient_scope")


class TestLimits:
    def test_life(self, qstack, root, owner, org):
        q = create(root, org)
        base = f"organization/{org}/quota/{q}/limit"
        r = root.post(base, {"type": "warning", "threshold_percent": 80})
        assert r.status_code == 201 and r.json() == "Created"
        limits = owner.get(base).json()
        assert limits == [{"id": limits[0]["id"], "type": "Warning", "limit_percent": 80}]
        one = f"{base}/{limits[0]['id']}"
        assert owner.get(one).json() == limits[0]
        r = root.put(one, {"threshold_percent": 90})
        assert r.status_code == 200 and r.json()["limits"] == [{**limits[0], "limit_percent": 90}] and r.json()["id"] == q
        assert root.put(one, {"type": "REJECT"}).json()["limits"][0]["type"] == "Reject"
        assert owner.get(f"organization/{org}/quota").json()[0]["limits"][0]["limit_percent"] == 90
        assert root.delete(one).status_code == 204 and root.delete(one).status_code == 404 and root.get(one).status_code == 404
        made = api.logs(qstack, "org_create_quota_limit", namespace=org)[0][2]
        assert made == {"namespace": org, "type": "Warning", "threshold_percent": 80}
        assert api.logs(qstack, "org_change_quota_limit", namespace=org)[-1][2] == {
            "namespace": org, "type": "Warning", "threshold_percent": 90, "previous_type": "Warning", "previous_threshold_percent": 80}
        assert api.logs(qstack, "org_delete_quota_limit", namespace=org)[0][2]["limit_id"] == limits[0]["id"]

    def test_rules(self, root, org):
        q = create(root, org)
        base = f"organization/{org}/quota/{q}/limit"
        for n in (0, 101, -1):
            api.error(root.post(base, {"type": "Reject", "threshold_percent": n}), 400, "invalid_request", "Quota limit threshold must be between 1 and 100")
        api.error(root.post(base, {"type": "Maybe", "threshold_percent": 5}), 400, "invalid_request")
        api.error(root.post(base, {"type": "Reject"}), 400, "invalid_request", "'threshold_percent' is a required property")
        assert root.post(base, {"type": "Reject", "threshold_percent": 100}).status_code == 201
        api.error(root.post(base, {"type": "Reject", "threshold_percent": 100}), 400, "invalid_request", "Quota limit already exists")
        assert root.post(base, {"type": "Warning", "threshold_percent": 100}).status_code == 201
        second = root.get(base).json()[1]["id"]
        api.error(root.put(f"{base}/{second}", {"type": "Reject"}), 400, "invalid_request", "Quota limit already exists")
        assert root.delete(f"organization/{org}/quota/{q}").status_code == 204
        assert root.get(f"{base}/{second}").status_code == 404


class TestUsers:
    def test_a_user(self, qstack, root):
        u = api.person(qstack)
        assert u.get("user/quota").json() == []
        assert root.post(f"superuser/users/{u.user}/quota", {"limit": "5 MiB"}).json() == "Created"
        api.error(root.post(f"superuser/users/{u.user}/quota", {"limit": "5 MiB"}), 400, "invalid_request", f"Quota for '{u.user}' already exists")
        q = u.get("user/quota").json()[0]
        assert q["limit_bytes"] == 5 << 20 and root.get(f"superuser/users/{u.user}/quota").json() == [q]
        assert root.post(f"organization/{u.user}/quota/{q['id']}/limit", {"type": "Reject", "threshold_percent": 100}).status_code == 201
        limits = u.get(f"user/quota/{q['id']}/limit").json()
        assert [x["type"] for x in limits] == ["Reject"]
        assert u.get(f"user/quota/{q['id']}/limit/{limits[0]['id']}").json()["limit_bytes"] == 5 << 20     # the whole quota
        assert root.put(f"superuser/users/{u.user}/quota/{q['id']}", {"limit_bytes": 7}).json()["limit_bytes"] == 7
        assert u.get(f"user/quota/{q['id']}").json()["limit_bytes"] == 7
        other = api.person(qstack)
        assert other.get(f"user/quota/{q['id']}").status_code == 404 and root.get(f"user/quota/{q['id']}").status_code == 404
        assert root.delete(f"superuser/users/{u.user}/quota/{q['id']}").status_code == 204
        assert root.delete(f"superuser/users/{u.user}/quota/{q['id']}").status_code == 404
        assert api.logs(qstack, "org_create_quota", namespace=u.user) == []

    def test_an_organization_by_the_superusers_path(self, root, org):
        assert root.post(f"superuser/organization/{org}/quota", {"limit_bytes": 9}).json() == "Created"
        q = root.get(f"superuser/organization/{org}/quota").json()[0]
        assert root.put(f"superuser/organization/{org}/quota/{q['id']}", {"limit_bytes": 11}).json()["limit_bytes"] == 11
        assert root.delete(f"superuser/organization/{org}/quota/{q['id']}").status_code == 204
        assert root.get("superuser/organization/no-such-org/quota").status_code == 404
        assert root.post("superuser/users/no-such-user/quota", {"limit_bytes": 9}).status_code == 404


class TestReport:
    def test_what_is_used(self, qstack, root, owner, org):
        create(root, org, limit_bytes=1 << 30)
        client = qstack.client(owner.user)
        m = oci.image(layers=2)
        client.push(f"{org}/app", "latest", m)
        found = next(o for o in root.get("superuser/organizations/").json()["organizations"] if o["name"] == org)
        assert found["quotas"][0]["limit_bytes"] == 1 << 30 and found["quota_report"]["configured_quota"] == 1 << 30
        size = qstack.sql("SELECT sum(b.size_bytes)::bigint FROM blob b JOIN repository_blob rb ON rb.blob_id = b.id JOIN repository r ON r.id = rb.repository_id"
                          " JOIN account n ON n.id = r.namespace_id WHERE n.name = %s", org)[0][0]
        assert size > 0 and found["quota_report"]["quota_bytes"] == size
        assert found["quota_report"]["backfill_status"] == "complete"
        assert owner.get(f"organization/{org}").json()["quota_report"] == found["quota_report"]
        assert "quota_report" in owner.get("user/").json() and "quota_report" not in root.get(f"users/{owner.user}").json()

    def test_a_default_of_the_registry(self, make_stack):
        stack = make_stack("lighttpd", name="quotadefault", FEATURE_QUOTA_MANAGEMENT=True, FEATURE_SUPERUSERS_FULL_ACCESS=True, DEFAULT_SYSTEM_REJECT_QUOTA_BYTES=1 << 30,
                           FEATURE_RATE_LIMITS=False)
        u = api.person(stack)
        assert u.get("user/quota").json() == [{"id": None, "limit_bytes": 1 << 30, "limit": "1.0 GiB", "default_config": True, "limits": [],
                                               "default_config_exists": True}]
        root = api.Session(stack, "admin")
        create(root, u.user, limit_bytes=5)
        assert u.get("user/quota").json()[0]["default_config"] is False

    def test_off(self, stack):
        root = api.Session(stack, "admin")
        name = f"o{secrets.token_hex(4)}"
        assert root.get(f"organization/{name}/quota").status_code == 404
        assert root.post(f"organization/{name}/quota", {"limit_bytes": 1}).status_code == 405
        assert root.get("user/quota").status_code == 404
        assert root.post(f"superuser/users/{name}/quota", {"limit_bytes": 1}).status_code == 405
