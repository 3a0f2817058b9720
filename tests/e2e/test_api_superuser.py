"""What superusers see and do: all users and organizations, their changes, taking over, messages, the registry itself."""

import secrets

import pytest

import api


@pytest.fixture(scope="module")
def root(stack):
    return api.Session(stack, "admin")


@pytest.fixture
def user(stack):
    return api.person(stack)


def all_pages(client, path, member):
    found, token = [], None
    while True:
        r = client.get(path, params={"limit": 7, **({"next_page": token} if token else {})})
        assert r.status_code == 200, r.text
        assert len(r.json()[member]) <= 7
        found += r.json()[member]
        token = r.json().get("next_page")
        if not token:
            return found


class TestLists:
    def test_users_in_one_answer_and_in_pages(self, stack, root, user):
        for _ in range(8):
            stack.create_user(f"s{secrets.token_hex(5)}")
        r = root.get("superuser/users/")
        assert r.status_code == 200 and r.headers["Content-Type"] == "application/json" and r.text.endswith("\n")
        assert set(r.json()) == {"users"}
        names = [u["username"] for u in r.json()["users"]]
        assert user.user in names and "admin" in names and len(set(names)) == len(names)
        assert [u["username"] for u in all_pages(root, "superuser/users/", "users")] == names

    def test_a_user_in_the_list(self, root, user):
        u = next(u for u in root.get("superuser/users/").json()["users"] if u["username"] == user.user)
        assert u["avatar"]["name"] == user.user and u["avatar"]["kind"] == "user"
        del u["avatar"]
        assert u == {"kind": "user", "name": user.user, "username": user.user, "email": f"{user.user}@example.com", "verified": True,
                     "super_user": False, "global_readonly_super_user": False, "enabled": True}
        a = next(u for u in root.get("superuser/users/").json()["users"] if u["username"] == "admin")
        assert a["super_user"] is True

    def test_robots_and_organizations_are_no_users(self, stack, root, user):
        stack.create_robot(user.user, "bot")
        org = api.organization(stack, user)
        names = [u["username"] for u in root.get("superuser/users/").json()["users"]]
        assert f"{user.user}+bot" not in names and org not in names
        orgs = root.get("superuser/organizations/").json()["organizations"]
        found = next(o for o in orgs if o["name"] == org)
        assert set(found) == {"name", "email", "avatar"} and found["avatar"]["kind"] == "org"
        assert [o["name"] for o in all_pages(root, "superuser/organizations/", "organizations")] == [o["name"] for o in orgs]

    def test_disabled_users_can_be_left_out(self, stack, root, user):
        assert root.put(f"superuser/users/{user.user}", {"enabled": False}).status_code == 200
        assert user.user in [u["username"] for u in root.get("superuser/users/").json()["users"]]
        assert user.user not in [u["username"] for u in root.get("superuser/users/", params={"disabled": "false"}).json()["users"]]

    @pytest.mark.parametrize("path", ["superuser/users/", "superuser/organizations/"])
    def test_limits(self, root, path):
        api.error(root.get(path, params={"limit": 101}), 400, "invalid_request", "Page limit cannot be above 100")
        assert root.get(path, params={"limit": 100}).status_code == 200
        assert "limit" in api.message(root.get(path, params={"limit": "ten"}), 400)["message"]

    def test_a_page_token_of_somebody_else_is_the_first_page(self, root):
        a = root.get("superuser/users/", params={"limit": 1}).json()
        b = root.get("superuser/users/", params={"limit": 1, "next_page": a["next_page"][:-4] + "AAAA"}).json()
        assert b["users"] == a["users"]
        assert root.get("superuser/users/", params={"limit": 1, "next_page": a["next_page"]}).json()["users"] != a["users"]

    def test_head(self, root):
        r = root.call("HEAD", "superuser/users/")
        assert r.status_code == 200 and r.content == b""


class TestCreate:
    def test_a_user_with_a_password_of_our_making(self, stack, root):
        name = f"m{secrets.token_hex(5)}"
        r = root.post("superuser/users/", {"username": name, "email": f"{name}@example.com"})
        assert r.status_code == 200, r.text
        body = r.json()
        stack.secrets |= {body["password"], body["encrypted_password"]}
        assert set(body) == {"username", "email", "password", "encrypted_password"} and body["username"] == name
        assert len(body["password"]) == 32 and body["password"].isalnum() and body["password"].upper() == body["password"]
        assert r.headers["Cache-Control"] == "no-store"
        api.Session(stack, name, body["password"])
        assert api.logs(stack, "user_create", username=name) == [(name, "admin", {"email": f"{name}@example.com", "username": name, "superuser": "admin"})]

    @pytest.mark.parametrize("name", ["A", "x", "ab cd", "../x", "a" * 256, "a+b"])
    def test_names_have_rules(self, root, name):
        assert root.post("superuser/users/", {"username": name}).status_code == 400

    def test_names_and_addresses_are_unique(self, stack, root, user):
        org = api.organization(stack, user)
        for name in (user.user, org):
            api.message(root.post("superuser/users/", {"username": name, "email": f"x{name}@example.com"}), 400)
        api.message(root.post("superuser/users/", {"username": f"y{user.user}", "email": f"{user.user}@example.com".upper()}), 400)
        api.message(root.post("superuser/users/", {"username": f"y{user.user}", "email": "nobody"}), 400)
        api.error(root.post("superuser/users/", {"email": "a@example.com"}), 400, "invalid_request", "'username' is a required property")


class TestOneUser:
    def test_read(self, root, user):
        u = root.get(f"superuser/users/{user.user}").json()
        assert u["username"] == user.user and u["enabled"] is True
        api.error(root.get("superuser/users/nobody-of-that-name"), 404, "not_found")

    def test_organizations_and_robots_are_not_found(self, stack, root, user):
        org = api.organization(stack, user)
        stack.create_robot(user.user, "bot")
        for name in (org, f"{user.user}+bot"):
            for method in ("GET", "DELETE"):
                assert root.call(method, f"superuser/users/{name}").status_code == 404
            assert root.put(f"superuser/users/{name}", {"enabled": False}).status_code == 404

    def test_a_new_password_ends_sessions(self, stack, root, user):
        new = secrets.token_urlsafe(12)
        stack.secrets.add(new)
        r = root.put(f"superuser/users/{user.user}", {"password": new})
        assert r.status_code == 200 and r.json()["encrypted_password"] and "password" not in r.json()
        assert user.get("user/").status_code == 401
        api.Session(stack, user.user, new)
        assert api.logs(stack, "user_change_password", username=user.user) == [(user.user, "admin", {"username": user.user, "superuser": "admin"})]
        api.error(root.put(f"superuser/users/{user.user}", {"password": "short"}), 400, "invalid_request")

    def test_email(self, stack, root, user):
        r = root.put(f"superuser/users/{user.user}", {"email": f"new-{user.user}@example.com"})
        assert r.status_code == 200 and r.json()["email"] == f"new-{user.user}@example.com"
        entry = api.logs(stack, "user_change_email", username=user.user)
        assert [e[2] for e in entry] == [{"username": user.user, "superuser": "admin", "email": f"new-{user.user}@example.com", "old_email": f"{user.user}@example.com"}]
        assert root.put(f"superuser/users/{user.user}", {"email": "admin@example.com"}).status_code == 400
        assert root.put(f"superuser/users/{user.user}", {"email": "none"}).status_code == 400

    def test_disable_and_enable(self, stack, root, user):
        r = root.put(f"superuser/users/{user.user}", {"enabled": False})
        assert r.status_code == 200 and r.json()["enabled"] is True           # as it was before
        assert root.get(f"superuser/users/{user.user}").json()["enabled"] is False
        assert user.get("user/").status_code == 401
        assert root.put(f"superuser/users/{user.user}", {"enabled": True}).json()["enabled"] is False
        assert user.get("user/").status_code == 200
        assert len(api.logs(stack, "user_disable", username=user.user)) == len(api.logs(stack, "user_enable", username=user.user)) == 1

    def test_superusers_are_left_alone(self, stack, root):
        api.error(root.put("superuser/users/admin", {"enabled": False}), 400, "invalid_request", "Cannot update a superuser")
        api.error(root.delete("superuser/users/admin"), 400, "invalid_request", "Cannot delete a superuser")
        api.error(root.post("superuser/takeownership/admin"), 400, "invalid_request")
        assert root.get("superuser/users/admin").json()["enabled"] is True

    def test_nobody_becomes_a_superuser_here(self, root, user):
        assert root.put(f"superuser/users/{user.user}", {"superuser": True}).status_code == 400
        assert root.get(f"superuser/users/{user.user}").json()["super_user"] is False

    def test_delete(self, stack, root, user):
        assert root.delete(f"superuser/users/{user.user}").status_code == 204
        assert root.get(f"superuser/users/{user.user}").status_code == 404
        assert user.get("user/").status_code == 401
        assert user.user not in [u["username"] for u in root.get("superuser/users/").json()["users"]]
        assert root.delete(f"superuser/users/{user.user}").status_code == 404
        api.message(root.post("superuser/users/", {"username": user.user}), 400)
        assert len(api.logs(stack, "user_delete", username=user.user)) == 1


class TestOrganizations:
    def test_rename(self, stack, root, user):
        org = api.organization(stack, user)
        stack.create_robot(org, "bot")
        api.repository(stack, f"{org}/app")
        r = root.put(f"superuser/organizations/{org}", {"name": f"{org}.new"})
        assert r.status_code == 200 and r.json()["name"] == f"{org}.new" and set(r.json()) == {"name", "email", "avatar"}
        assert stack.sql("SELECT name FROM account WHERE name LIKE %s ORDER BY name", f"{org}%") == [(f"{org}.new",), (f"{org}.new+bot",)]
        assert root.put(f"superuser/organizations/{org}", {"name": "xx"}).status_code == 404
        assert api.logs(stack, "org_change_name", old_name=org)[0][2] == {"old_name": org, "new_name": f"{org}.new", "superuser": "admin"}

    def test_rename_has_rules(self, stack, root, user):
        org = api.organization(stack, user)
        for name in ("Upper", "x", user.user, "a b"):
            assert root.put(f"superuser/organizations/{org}", {"name": name}).status_code == 400, name
        assert root.put(f"superuser/organizations/{org}", {"name": org}).status_code == 200
        assert root.put(f"superuser/organizations/{org}", {}).status_code == 200
        assert root.put(f"superuser/organizations/{user.user}", {"name": "xyz"}).status_code == 404

    def test_delete(self, stack, root, user):
        org = api.organization(stack, user)
        _, token = stack.create_robot(org, "bot")
        assert stack.client(f"{org}+bot", token).ask_token().status_code == 200
        assert root.delete(f"superuser/organizations/{org}").status_code == 204
        assert stack.sql("SELECT 1 FROM account WHERE name LIKE %s", f"{org}%") == []
        assert stack.client(f"{org}+bot", token).ask_token().status_code == 401
        assert root.delete(f"superuser/organizations/{org}").status_code == 404
        assert org not in [o["name"] for o in root.get("superuser/organizations/").json()["organizations"]]
        assert api.logs(stack, "org_delete", namespace=org)[0][1:] == ("admin", {"namespace": org})

    def test_take_an_organization(self, stack, root, user):
        org = api.organization(stack, user)
        r = root.post(f"superuser/takeownership/{org}")
        assert r.status_code == 200 and r.json() == {"namespace": org}
        assert root.post(f"superuser/takeownership/{org}").status_code == 200
        assert stack.sql("SELECT a.name FROM team t JOIN team_member m ON m.team_id = t.id JOIN account a ON a.id = m.account_id JOIN account o ON o.id = t.organization_id"
                         " WHERE o.name = %s AND t.role = 3 ORDER BY 1", org) == [("admin",), (user.user,)]
        entry = api.logs(stack, "take_ownership", namespace=org)[0]
        assert entry[:2] == ("admin", "admin") and entry[2]["was_user"] is False and entry[2]["superuser"] == "admin"

    def test_take_a_user(self, stack, root, user):
        app = stack.admin("token", "app", user.user, "--title", "laptop").split()[-1]
        stack.secrets.add(app)
        assert root.post(f"superuser/takeownership/{user.user}").json() == {"namespace": user.user}
        assert user.get("user/").status_code == 401
        assert stack.sql("SELECT kind, password_hash FROM account WHERE name = %s", user.user) == [(2, None)]
        assert stack.sql("SELECT 1 FROM token t JOIN account a ON a.id = t.account_id WHERE a.name = %s", user.user) == []
        assert stack.sql("SELECT a.name FROM team t JOIN team_member m ON m.team_id = t.id JOIN account a ON a.id = m.account_id JOIN account o ON o.id = t.organization_id"
                         " WHERE o.name = %s AND t.role = 3", user.user) == [("admin",)]
        r = user.post("signin", {"username": user.user, "password": user.password})
        assert r.status_code == 403
        assert api.logs(stack, "take_ownership", namespace=user.user)[0][2]["was_user"] is True
        assert root.post("superuser/takeownership/nobody-of-that-name").status_code == 404


class TestMessages:
    def test_text_of_a_message_is_normalised(self, stack, root):
        mark = secrets.token_hex(6)
        assert root.post("messages", {"message": {"content": f"{mark} \u202ee\u0301", "media_type": "text/plain", "severity": "info"}}).status_code == 201
        m, = [m for m in root.get("messages").json()["messages"] if mark in m["content"]]
        assert m["content"] == f"{mark} \u00e9"
        assert root.delete(f"message/{m['uuid']}").status_code == 204

    def test_life_of_a_message(self, stack, root):
        text = f"maintenance <b>{secrets.token_hex(4)}</b>"
        r = root.post("messages", {"message": {"content": text, "media_type": "text/markdown", "severity": "warning"}})
        assert r.status_code == 201 and r.content == b""
        r = api.anonymous(stack, csrf=False).get("messages")
        assert r.headers["Content-Type"] == "application/json"
        m = next(m for m in r.json()["messages"] if m["content"] == text)
        assert set(m) == {"uuid", "content", "severity", "media_type"} and m["severity"] == "warning" and m["media_type"] == "text/markdown"
        assert root.delete(f"message/{m['uuid']}").status_code == 204
        assert text not in [m["content"] for m in root.get("messages").json()["messages"]]

    @pytest.mark.parametrize("body", [{}, {"message": "x"}, {"message": {"content": "x", "media_type": "text/html", "severity": "info"}},
                                      {"message": {"content": "x", "media_type": "text/plain", "severity": "fatal"}},
                                      {"message": {"media_type": "text/plain", "severity": "info"}}])
    def test_bodies(self, root, body):
        api.error(root.post("messages", body), 400, "invalid_request")


class TestRegistry:
    def test_state(self, stack, root):
        assert api.anonymous(stack, csrf=False).get("superuser/registrystatus").json() == {"status": "ready", "provider_id": "file"}

    def test_size(self, stack, root):
        stack.sql("UPDATE registry_size SET is_queued = false")
        assert root.get("superuser/registrysize/").json() == {"size_bytes": 0, "last_ran": None, "queued": False, "running": False}
        r = root.post("superuser/registrysize/")
        assert r.status_code == 201 and r.json() == ""
        assert root.post("superuser/registrysize/").status_code == 202
        assert root.get("superuser/registrysize/").json()["queued"] is True

    def test_changelog(self, root):
        assert root.get("superuser/changelog/").json()["log"].startswith("# Changes\n")

    def test_the_configuration_is_not_shown(self, root):
        r = root.get("superuser/config")
        api.error(r, 403, "insufficient_scope")
        assert "SECRET" not in r.text

    def test_application_tokens(self, make_stack):
        stack = make_stack("lighttpd", name="sufull", FEATURE_SUPERUSERS_FULL_ACCESS=True, FEATURE_RATE_LIMITS=False)
        root = api.Session(stack, "admin")
        user = api.person(stack)
        token = stack.admin("token", "app", user.user, "--title", "laptop").split()[-1]
        stack.secrets.add(token)
        r = root.get("superuser/apptokens")
        assert r.status_code == 200 and r.json()["only_expiring"] is None
        assert "laptop" in [t["title"] for t in r.json()["tokens"]]
        assert all(set(t) == {"uuid", "title", "last_accessed", "created", "expiration"} for t in r.json()["tokens"])
        assert root.get("superuser/apptokens", params={"expiring": "true"}).json() == {"tokens": [], "only_expiring": True}

    def test_application_tokens_need_full_access(self, root):
        api.error(root.get("superuser/apptokens"), 403, "insufficient_scope")


class TestFreshness:
    def test_old_logins_prove_the_password_again(self, make_stack):
        stack = make_stack("lighttpd", name="sufresh", FRESH_LOGIN_TIMEOUT="1s", FEATURE_RATE_LIMITS=False)
        root = api.Session(stack, "admin")
        import stack as stack_module
        stack_module.until(lambda: root.get("superuser/users/").status_code == 401, what="an old login")
        api.error(root.get("superuser/users/"), 401, "fresh_login_required", "Requires fresh login")
        assert root.get("superuser/keys").status_code == 200
        assert root.post("signin/verify", {"password": stack.password}).status_code == 200
        assert root.get("superuser/users/").status_code == 200

    def test_tokens_need_the_scope(self, stack):
        boss = api.bearer(stack, "admin", "super:user")
        assert boss.get("superuser/users/", params={"limit": 1}).status_code == 200
        weak = api.bearer(stack, "admin", "org:admin user:admin repo:admin")
        api.error(weak.get("superuser/users/"), 403, "insufficient_scope")
        api.error(weak.post("superuser/users/", {"username": "xyz"}), 403, "insufficient_scope")


class TestLogs:
    def test_rows_of_all_namespaces(self, stack, root, user):
        org = api.organization(stack, user)
        repo = api.repository(stack, f"{org}/app")
        assert user.post(f"repository/{repo}/notification/", {"event": "repo_push", "method": "flowdock", "config": {"flow_api_token": "t"},
                                                              "eventConfig": {}}).status_code == 201
        assert user.put("user/", {"location": "here"}).status_code in (200, 400)
        r = root.get("superuser/logs")
        assert r.status_code == 200 and {"start_time", "end_time", "logs"} <= set(r.json())
        row = next(x for x in r.json()["logs"] if x["kind"] == "add_repo_notification" and x["metadata"]["namespace"] == org)
        assert row["namespace"]["name"] == org and row["namespace"]["kind"] == "org" and row["namespace"]["avatar"]["kind"] == "org"
        assert row["performer"]["name"] == user.user and api.RFC2822.fullmatch(row["datetime"])

    def test_pages(self, stack, root):
        stack.sql("INSERT INTO audit_log (kind, metadata) SELECT k.id, json_build_object('n', i)::text FROM audit_kind k, generate_series(1, 45) i WHERE k.name = 'service_key_create'")
        seen, token = [], None
        for _ in range(3):
            body = root.get("superuser/logs", params={"next_page": token} if token else {}).json()
            assert len(body["logs"]) == 20
            seen += [(x["datetime"], x["kind"], x["metadata"].get("n")) for x in body["logs"]]
            token = body["next_page"]
        numbers = [n for _, k, n in seen if n is not None]
        assert numbers == list(range(45, 0, -1))
        assert "namespace" not in body["logs"][0] or body["logs"][0]["kind"] != "service_key_create"

    def test_counts(self, root):
        r = root.get("superuser/aggregatelogs")
        assert r.status_code == 200 and all(set(x) == {"kind", "count", "datetime"} for x in r.json()["aggregated"])
        assert "service_key_create" in {x["kind"] for x in r.json()["aggregated"]}
        api.error(root.get("superuser/aggregatelogs", params={"starttime": "01/01/2001"}), 400, "invalid_request")
