"""Service keys: superusers' own, and those that services bring to the key server."""

import secrets
import time

import pytest

import api


@pytest.fixture(scope="module")
def root(stack):
    return api.Session(stack, "admin")


def make(stack, root, **body):
    r = root.post("superuser/keys", {"service": "builder", "expiration": None, **body})
    assert r.status_code == 200, r.text
    stack.secrets.add(r.json()["private_key"].split("\n")[1])
    return r.json()


class TestSuperusers:
    def test_make(self, stack, root):
        k = make(stack, root, name="ci of team_a: 1/2", notes="by hand", metadata={"a": 1, "created_by": "me"}, expiration=int(time.time()) + 3600)
        assert set(k) == {"kid", "name", "service", "public_key", "private_key"}
        assert k["private_key"].startswith("-----BEGIN RSA PRIVATE KEY-----") and k["public_key"].startswith("-----BEGIN PUBLIC KEY-----")
        r = root.get(f"superuser/keys/{k['kid']}")
        assert r.status_code == 200 and "PRIVATE" not in r.text
        v = r.json()
        assert v["metadata"] == {"a": 1, "created_by": "Quay Superuser Panel", "creator": "admin", "ip": v["metadata"]["ip"]}
        assert v["created_date"].endswith("GMT") and v["expiration_date"].endswith("GMT") and v["rotation_duration"] is None
        assert v["jwk"]["kty"] == "RSA" and "d" not in v["jwk"]
        assert v["approval"]["approval_type"] == "Super User API" and v["approval"]["notes"] == "by hand" and v["approval"]["approver"]["username"] == "admin"
        assert [e[0] for e in api.logs(stack, "service_key_create", kid=k["kid"])] == [None]
        assert api.logs(stack, "service_key_create", kid=k["kid"])[0][2]["preshared"] is True
        assert len(api.logs(stack, "service_key_approve", kid=k["kid"])) == 1
        assert stack.sql("SELECT 1 FROM service_key WHERE kid = %s AND position('\"d\"' IN jwk) > 0", k["kid"]) == []
        assert api.anonymous(stack, csrf=False).get(f"/keys/services/builder/keys/{k['kid']}").status_code == 200

    def test_list(self, stack, root):
        k = make(stack, root)
        keys = root.get("superuser/keys").json()["keys"]
        mine = next(x for x in keys if x["kid"] == k["kid"])
        assert set(mine) == {"name", "kid", "service", "jwk", "metadata", "created_date", "expiration_date", "rotation_duration", "approval"}
        assert mine["expiration_date"] is None
        instance = next(x for x in keys if x["service"] == "quay")
        assert instance["approval"]["approver"] is None and instance["approval"]["approval_type"] == "Automatic"

    @pytest.mark.parametrize("body", [{"service": "builder"}, {"expiration": None}, {"service": "Big", "expiration": None}, {"service": "", "expiration": None},
                                      {"service": "a", "expiration": 1000}, {"service": "a", "expiration": "soon"}, {"service": "a", "expiration": None, "name": "<b>"},
                                      {"service": "a", "expiration": 1e300}, {"service": "a", "expiration": None, "metadata": []}])
    def test_bodies(self, root, body):
        api.error(root.post("superuser/keys", body), 400, "invalid_request")

    def test_past(self, root):
        api.error(root.post("superuser/keys", {"service": "a", "expiration": 1000}), 400, "invalid_request", "Expiration date cannot be in the past")

    def test_change(self, stack, root):
        k = make(stack, root)
        end = int(time.time()) + 86400
        r = root.put(f"superuser/keys/{k['kid']}", {"name": "new name", "metadata": {"b": 2}})
        assert r.status_code == 200 and r.json()["name"] == "new name" and r.json()["metadata"] == {"b": 2} and r.json()["expiration_date"] is None
        r = root.put(f"superuser/keys/{k['kid']}", {"expiration": end})
        assert r.json()["name"] == "new name" and r.json()["expiration_date"].endswith("GMT")
        assert len(api.logs(stack, "service_key_modify", kid=k["kid"])) == 1
        extended = api.logs(stack, "service_key_extend", kid=k["kid"])
        assert len(extended) == 1 and extended[0][2]["old_expiration_date"] is None and extended[0][2]["expiration_date"] == r.json()["expiration_date"]
        assert root.put(f"superuser/keys/{k['kid']}", {"expiration": None}).json()["expiration_date"] is None
        api.error(root.put(f"superuser/keys/{k['kid']}", {"name": "\"x\""}), 400, "invalid_request")
        api.error(root.put("superuser/keys/none", {"name": "x"}), 404, "not_found")

    def test_delete(self, stack, root):
        k = make(stack, root)
        assert root.delete(f"superuser/keys/{k['kid']}").status_code == 204
        assert root.delete(f"superuser/keys/{k['kid']}").status_code == 404
        assert api.anonymous(stack, csrf=False).get(f"/keys/services/builder/keys/{k['kid']}").status_code == 404
        assert api.logs(stack, "service_key_delete", kid=k["kid"])[0][2]["created_date"].endswith("GMT")
        assert root.post("superuser/approvedkeys/none", {}).status_code == 404
