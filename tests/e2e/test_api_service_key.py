"""Service keys: superusers' own, and those that services bring to the key server."""

import json
import secrets
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

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


class Service:
    """A program that brings its own key to the key server."""

    def __init__(self, stack, name=None):
        self.stack = stack
        self.http = api.Api(stack)
        self.name = name or f"svc{secrets.token_hex(4)}"
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.kid = secrets.token_hex(16)

    @property
    def path(self):
        return f"/keys/services/{self.name}/keys/{self.kid}"

    def jwk(self):
        return json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))

    def token(self, kid=None, **claims):
        now = int(time.time())
        body = {"iss": self.name, "aud": self.stack.base, "nbf": now, "iat": now, "exp": now + 60, **claims}
        return jwt.encode({k: v for k, v in body.items() if v is not None}, self.key, "RS256", headers={"kid": kid} if kid else None)

    def put(self, signer=None, **kw):
        token = kw.pop("token", None) or (signer.token(signer.kid) if signer else self.token(self.kid))
        return self.http.put(self.path, kw.pop("jwk", None) or self.jwk(), headers={"Authorization": f"Bearer {token}"}, **kw)

    def delete(self, signer=None, **kw):
        s = signer or self
        return self.http.delete(self.path, headers={"Authorization": f"Bearer {kw.get('token') or s.token(s.kid)}"})


@pytest.fixture
def service(stack):
    yield Service(stack)
    stack.sql("DELETE FROM service_key WHERE approved_ms IS NULL")


class TestKeyServer:
    def test_a_key_waits_for_its_approval(self, stack, root, service):
        assert service.put(params={"expiration": int(time.time()) + 3600, "rotation": 60}).status_code == 202
        assert service.http.get(service.path).status_code == 409
        assert service.http.get(f"/keys/services/{service.name}/keys").json() == {"keys": []}
        v = root.get(f"superuser/keys/{service.kid}").json()
        assert v["approval"] is None and v["rotation_duration"] == 60 and v["service"] == service.name and v["jwk"]["kid"] == service.kid
        asked = stack.sql("SELECT a.name, n.metadata FROM account_notification n JOIN account a ON a.id = n.account_id WHERE n.kind = 'service_key_submitted'"
                          " AND position(%s IN n.metadata) > 0", service.kid)
        assert [a[0] for a in asked] == ["admin"] and json.loads(asked[0][1])["service"] == service.name
        r = root.post(f"superuser/approvedkeys/{service.kid}", {"notes": "known to us"})
        assert r.status_code == 201 and r.content == b""
        assert root.post(f"superuser/approvedkeys/{service.kid}", {}).status_code == 201
        assert root.get(f"superuser/keys/{service.kid}").json()["approval"]["notes"] == "known to us"
        assert stack.sql("SELECT 1 FROM account_notification WHERE position(%s IN metadata) > 0", service.kid) == []
        r = service.http.get(service.path)
        assert r.status_code == 200 and r.json()["n"] == service.jwk()["n"] and "max-age" in r.headers["Cache-Control"]
        assert len(api.logs(stack, "service_key_approve", kid=service.kid)) == 1
        made = api.logs(stack, "service_key_create", kid=service.kid)
        assert len(made) == 1 and made[0][2]["preshared"] is False and made[0][2]["name"] == "" and {"ip", "user_agent"} <= set(made[0][2])

    def test_a_key_without_a_kid_in_the_token(self, service):
        assert service.put(token=service.token()).status_code == 202

    @pytest.mark.parametrize("claims", [{"aud": "https://elsewhere.example"}, {"iss": "other"}, {"exp": 1}, {"exp": None}, {"iat": None}, {"aud": None},
                                        {"exp": int(time.time()) + 10 ** 7}])
    def test_tokens_that_say_something_else(self, service, claims):
        assert service.put(token=service.token(service.kid, **claims)).status_code == 400
        assert service.http.get(service.path).status_code == 404

    def test_tokens_of_another_key(self, stack, service):
        other = Service(stack, service.name)
        assert service.put(token=other.token(service.kid)).status_code == 400
        assert service.put(signer=other).status_code == 403                      # unknown signer
        assert service.http.put(service.path, service.jwk()).status_code == 400  # none at all
        now = int(time.time())
        forged = jwt.encode({"iss": service.name, "aud": stack.base, "iat": now, "exp": now + 60}, "", "none", headers={"kid": service.kid})
        assert service.put(token=forged).status_code == 400
        hs = jwt.encode({"iss": service.name, "aud": stack.base, "iat": now, "exp": now + 60}, service.jwk()["n"], "HS256", headers={"kid": service.kid})
        assert service.put(token=hs).status_code == 400

    @pytest.mark.parametrize("jwk", [{"kty": "oct", "k": "AAAA"}, {"kty": "RSA", "e": "AQAB"}, {"kty": "EC", "crv": "P-256", "x": "AA"}, [], "x", {}])
    def test_keys_that_are_none(self, service, jwk):
        r = service.http.call("PUT", service.path, json=jwk, headers={"Authorization": f"Bearer {service.token(service.kid)}"})
        assert r.status_code == 400

    def test_numbers(self, service):
        for params in ({"expiration": "soon"}, {"expiration": 1}, {"rotation": -1}, {"rotation": 2 ** 40}):
            assert service.put(params=params).status_code == 400

    def test_a_kid_is_taken_once(self, stack, root, service):
        assert service.put().status_code == 202
        thief = Service(stack)
        thief.kid = service.kid
        assert thief.put().status_code == 400
        assert root.get(f"superuser/keys/{service.kid}").json()["service"] == service.name

    def test_rotation(self, stack, root, service):
        service.put()
        new = Service(stack, service.name)
        assert new.put(signer=service).status_code == 403                        # not approved yet
        root.post(f"superuser/approvedkeys/{service.kid}", {})
        root.put(f"superuser/keys/{service.kid}", {"name": "builder one", "metadata": {"rack": 4}})
        stranger = Service(stack)
        assert stranger.put(signer=service).status_code in (400, 403)            # of another service
        assert new.put(signer=service).status_code == 200
        assert service.http.get(service.path).status_code == 404
        v = root.get(f"superuser/keys/{new.kid}").json()
        assert v["name"] == "builder one" and v["metadata"]["rack"] == 4 and v["approval"]["approval_type"] == "Key Rotation"
        assert new.http.get(new.path).status_code == 200
        rotated = api.logs(stack, "service_key_rotate", kid=new.kid)
        assert len(rotated) == 1 and rotated[0][2]["signer_kid"] == service.kid

    def test_removal(self, stack, root, service):
        service.put()
        other = Service(stack)
        assert service.delete(signer=other).status_code in (400, 403)
        assert service.http.delete(service.path).status_code == 400
        assert Service(stack, service.name).delete().status_code == 404
        assert service.delete().status_code == 204
        assert service.delete().status_code == 404
        assert len(api.logs(stack, "service_key_delete", kid=service.kid)) == 1

    def test_removal_by_another_key_of_the_service(self, stack, root, service):
        service.put()
        new = Service(stack, service.name)
        new.put()
        assert service.delete(signer=new).status_code == 403
        root.post(f"superuser/approvedkeys/{new.kid}", {})
        assert service.delete(signer=new).status_code == 204

    def test_nobody_fills_the_table(self, stack, service):
        stack.sql("INSERT INTO service_key (kid, service, jwk) SELECT 'fill' || i, 'fill', '{}' FROM generate_series(1, 100) i")
        r = service.put()
        assert r.status_code == 429 and int(r.headers["Retry-After"]) > 0

    def test_names(self, stack, service):
        service.name = "Upper"
        assert service.put().status_code == 400


class TestWellKnown:
    def test_capabilities(self, stack):
        r = api.Api(stack).get("/.well-known/app-capabilities")
        assert r.status_code == 200
        assert r.json() == {"appName": "io.quay", "capabilities": {
            "io.quay.view-image": {"url-template": stack.base + "/{namespace}/{reponame}:{tag}"},
            "io.quay.image-security": {"rest-api-template": stack.base + "/api/v1/repository/{namespace}/{reponame}/image/{imageid}/security", "deprecated": True},
            "io.quay.manifest-security": {"rest-api-template": stack.base + "/api/v1/repository/{namespace}/{reponame}/manifest/{digest}/security"}}}

    def test_change_password(self, stack, root):
        r = root.get("/.well-known/change-password")
        assert r.status_code == 302 and r.headers["Location"].endswith("/user/admin?tab=settings")
        assert api.Api(stack).get("/.well-known/change-password").status_code == 401

    def test_live_events_are_off(self, root):
        assert root.get("/realtime/user/subscribe").status_code == 404
        assert root.get("/realtime/user/test").status_code == 404
