"""kade-admin: each command on a running registry; what it did is read back over the registry's own interface or as the
audit row that the same action in the web interface has."""

import json
import secrets
import subprocess

import pytest

import oci
from stack import run_as


@pytest.fixture
def name():
    return "n" + secrets.token_hex(5)


@pytest.fixture
def admin(stack):
    """kade-admin with these words: its exit code, output, and what it said on standard error."""

    def run(*words, code=0, text=None):
        r = run_as(stack.user, [str(stack.servers.bin / "kade-admin"), "--config", str(stack.config_file), *words], text=text)
        assert r.returncode == code, f"{words}: {r.returncode}: {r.stdout}{r.stderr}"
        return r.stdout if code == 0 else r.stderr

    return run


@pytest.fixture
def user(admin, stack, name):
    """A user with a generated password: name, password."""
    password = admin("user", "create", name, "--generate").split("password: ")[1].strip()
    stack.secrets.add(password)
    return name, password


@pytest.fixture
def org(admin, user):
    admin("org", "create", f"{user[0]}-org", "--owner", user[0])
    return f"{user[0]}-org"


def audit(stack, kind, namespace):
    """Metadata of the newest audit row of that kind."""
    rows = stack.sql(
        "SELECT l.metadata, l.performer_id, l.repository_id FROM audit_log l JOIN audit_kind k ON k.id = l.kind"
        " JOIN account n ON n.id = l.namespace_id WHERE k.name = %s AND n.name = %s ORDER BY l.id DESC LIMIT 1", kind, namespace)
    assert rows, f"no {kind} in {namespace}"
    assert rows[0][1] is None
    return json.loads(rows[0][0])


def logs_in(stack, name, password):
    return stack.client(name, password).ask_token().status_code


def test_user_create_and_password(stack, admin, user):
    who, password = user
    assert len(password) >= 20
    assert audit(stack, "user_create", who) == {"username": who}
    assert logs_in(stack, who, password) == 200
    stack.secrets.add("another-secret-1")
    out = admin("user", "password", who, "--password-file", "-", text="another-secret-1\n")
    assert "another-secret-1" not in out
    assert audit(stack, "user_change_password", who) == {"username": who}
    assert logs_in(stack, who, "another-secret-1") == 200
    assert logs_in(stack, who, password) == 401             # last: after a wrong password logins are slowed down


def test_passwords_from_files(stack, admin, name):
    path = stack.folder / "pw"
    for content, reason in ((b"", "empty"), (b"\n", "empty"), (b"short\n", "at least 8"), (b"with blank s\n", "whitespace"),
                            (b"abc\0defghij\n", "NUL"), (b"x" * 5000, "too long")):
        path.write_bytes(content)
        path.chmod(0o644)
        assert reason in admin("user", "create", name, "--password-file", str(path), code=1)
    assert "No such file" in admin("user", "create", name, "--password-file", f"{path}-absent", code=1)
    assert "needs a password" in admin("user", "create", name, code=1)
    assert "not both" in admin("user", "create", name, "--generate", "--password-file", "-", code=1)
    assert stack.sql("SELECT count(*) FROM account WHERE name = %s", name) == [(0,)]
    path.unlink()


@pytest.mark.parametrize("bad,reason", [("A", "2 and 255"), ("UPPER", "Namespace"), ("a..b", "Namespace"), ("x" * 256, "255")])
def test_user_names(admin, bad, reason):
    assert reason in admin("user", "create", bad, "--generate", code=1)


def test_user_is_unique(admin, user, org, name):
    for taken in (user[0], org):
        assert "already exists" in admin("user", "create", taken, "--generate", code=1)
        assert "already exists" in admin("org", "create", taken, "--owner", user[0], code=1)
    admin("user", "create", f"{name}-2", "--generate", "--email", f"{name}@example.com")
    assert "already exists" in admin("user", "create", f"{name}-3", "--generate", "--email", f"{name.upper()}@example.com", code=1)
    assert "Invalid email" in admin("user", "create", f"{name}-4", "--generate", "--email", "nobody@", code=1)


def test_disabled_user_is_out_at_once(stack, admin, user):
    who, password = user
    client = stack.client(who, password)
    client.push(f"{who}/app", "v1", oci.image())
    assert client.get(f"/v2/{who}/app/manifests/v1").status_code == 200
    admin("user", "disable", who)
    assert audit(stack, "user_disable", who) == {"username": who}
    assert client.get(f"/v2/{who}/app/manifests/v1").status_code == 401
    assert "already" in admin("user", "disable", who)
    admin("user", "enable", who)
    assert audit(stack, "user_enable", who) == {"username": who}
    assert stack.client(who, password).get(f"/v2/{who}/app/manifests/v1").status_code == 200


def test_user_list_and_superuser(stack, admin, user):
    lines = {l.split()[0]: l for l in admin("user", "list").splitlines()}
    assert "enabled" in lines[user[0]] and "(superuser)" in lines["admin"] and "(superuser)" not in lines[user[0]]
    assert "is a superuser" in admin("user", "superuser", "admin")
    assert "SUPER_USERS" in admin("user", "superuser", user[0], code=1)
    assert "SUPER_USERS" in admin("user", "create", f"{user[0]}-2", "--generate", "--superuser-hint")


def test_organization_and_teams(stack, admin, user, org, name):
    who, password = user
    assert audit(stack, "org_create", org) == {"namespace": org}
    owner = stack.client(who, password)
    owner.push(f"{org}/app", "v1", oci.image())
    other = admin("user", "create", f"{name}-b", "--generate").split("password: ")[1].strip()
    stack.secrets.add(other)
    member = stack.client(f"{name}-b", other)
    assert member.get(f"/v2/{org}/app/manifests/v1").status_code == 401
    admin("team", "create", org, "devs", "--role", "admin")
    assert audit(stack, "org_create_team", org) == {"team": "devs"}
    admin("team", "add", org, "devs", f"{name}-b")
    assert audit(stack, "org_add_team_member", org) == {"member": f"{name}-b", "team": "devs"}
    assert "already" in admin("team", "add", org, "devs", f"{name}-b")
    member = stack.client(f"{name}-b", other)
    assert member.get(f"/v2/{org}/app/manifests/v1").status_code == 200
    admin("team", "create", org, "devs", "--role", "member")
    assert audit(stack, "org_set_team_role", org) == {"team": "devs", "role": "member"}
    assert stack.client(f"{name}-b", other).get(f"/v2/{org}/app/manifests/v1").status_code == 401
    admin("team", "remove", org, "devs", f"{name}-b")
    assert audit(stack, "org_remove_team_member", org) == {"member": f"{name}-b", "team": "devs"}
    assert "no member" in admin("team", "remove", org, "devs", f"{name}-b", code=1)
    assert "nobody left" in admin("team", "remove", org, "owners", who, code=1)
    assert "no team" in admin("team", "add", org, "ghosts", who, code=1)
    assert "none of" in admin("team", "create", org, "x1", "--role", "boss", code=1)


def test_robot(stack, admin, user, org):
    robot = f"{org}+ci"
    token = admin("robot", "create", robot).split()[-1]
    stack.secrets.add(token)
    assert audit(stack, "create_robot", org) == {"robot": "ci", "description": ""}
    assert admin("robot", "token", robot).strip() == token
    assert logs_in(stack, robot, token) == 200
    fresh = admin("robot", "regenerate", robot).split()[-1]
    stack.secrets.add(fresh)
    assert audit(stack, "regenerate_robot_token", org) == {"robot": "ci"}
    assert admin("robot", "token", robot).strip() == fresh != token
    assert (logs_in(stack, robot, fresh), logs_in(stack, robot, token)) == (200, 401)
    assert "already exists" in admin("robot", "create", robot, code=1)
    assert "no robot" in admin("robot", "token", f"{org}+other", code=1)
    assert "NAMESPACE+NAME" in admin("robot", "create", "ci", code=1)
    admin("team", "create", org, "bots", "--role", "member")
    admin("team", "add", org, "bots", robot)
    admin("robot", "create", f"{user[0]}+mine")
    assert "another namespace" in admin("team", "add", org, "bots", f"{user[0]}+mine", code=1)


def test_repository(stack, admin, user, org, anonymous):
    who, password = user
    repo, client = f"{org}/app", stack.client(*user)
    admin("repo", "create", repo, "--public")
    assert audit(stack, "create_repo", org) == {"repo": "app", "namespace": org}
    assert "exists already" in admin("repo", "create", repo, code=1)
    client.push(repo, "v1", oci.image())
    assert anonymous.get(f"/v2/{repo}/manifests/v1").status_code == 200
    admin("repo", "visibility", repo, "private")
    assert audit(stack, "change_repo_visibility", org) == {"repo": "app", "namespace": org, "visibility": "private"}
    assert stack.client().get(f"/v2/{repo}/manifests/v1").status_code == 401
    admin("repo", "state", repo, "readonly")
    assert audit(stack, "change_repo_state", org) == {"repo": "app", "namespace": org, "state_changed": "READ_ONLY"}
    assert client.get(f"/v2/{repo}/manifests/v1").status_code == 200
    assert client.call("POST", f"/v2/{repo}/blobs/uploads/").status_code in (401, 403, 405)
    admin("repo", "state", repo, "normal")
    client.push(repo, "v2", oci.image())
    for words in (("repo", "state", repo, "odd"), ("repo", "visibility", repo, "odd"), ("repo", "create", f"{org}/Bad"),
                  ("repo", "create", "nobody-here/app"), ("repo", "state", f"{org}/none", "normal")):
        admin(*words, code=1)


def test_permissions(stack, admin, user, org, name):
    repo = f"{org}/app"
    stack.client(*user).push(repo, "v1", oci.image())
    password = admin("user", "create", f"{name}-p", "--generate").split("password: ")[1].strip()
    stack.secrets.add(password)

    def status(push=False):
        client = stack.client(f"{name}-p", password)
        if push:
            return client.call("POST", f"/v2/{repo}/blobs/uploads/").status_code
        return client.get(f"/v2/{repo}/manifests/v1").status_code

    assert status() == 401
    admin("permission", "set", repo, "read", f"user:{name}-p")
    assert audit(stack, "change_repo_permission", org) == {"username": f"{name}-p", "repo": "app", "namespace": org, "role": "read"}
    assert (status(), status(push=True)) == (200, 401)
    admin("permission", "set", repo, "write", f"user:{name}-p")
    assert (status(), status(push=True)) == (200, 202)
    admin("permission", "remove", repo, f"user:{name}-p")
    assert audit(stack, "delete_repo_permission", org) == {"username": f"{name}-p", "repo": "app", "namespace": org}
    assert status() == 401
    admin("team", "create", org, "readers", "--role", "member")
    admin("team", "add", org, "readers", f"{name}-p")
    admin("permission", "set", repo, "read", "team:readers")
    assert audit(stack, "change_repo_permission", org) == {"team": "readers", "repo": "app", "role": "read"}
    assert status() == 200
    admin("permission", "remove", repo, "team:readers")
    assert status() == 401
    for subject in ("user:ghost-zz", "team:ghosts", f"robot:{org}+ghost", "nothing", "dog:rex"):
        admin("permission", "set", repo, "read", subject, code=1)
    admin("permission", "remove", repo, f"user:{name}-p", code=1)


def test_app_token(stack, admin, user):
    out = admin("token", "app", user[0], "--title", "laptop", "--expires", "30d")
    uuid, token = out.split()[1].rstrip(","), out.split()[-1]
    stack.secrets.add(token)
    assert audit(stack, "create_app_specific_token", user[0]) == {"app_specific_token_title": "laptop", "app_specific_token": uuid}
    (left,), = stack.sql("SELECT expires_ms - kade_now_ms() FROM token WHERE uuid = %s", uuid)
    assert 29.9 < left / 86400000 <= 30
    assert logs_in(stack, "$app", token) == 200
    admin("token", "revoke", uuid)
    assert audit(stack, "revoke_app_specific_token", user[0]) == {"app_specific_token_title": "laptop", "app_specific_token": uuid}
    assert logs_in(stack, "$app", token) == 401
    assert "no token" in admin("token", "revoke", uuid, code=1)
    assert "duration" in admin("token", "app", user[0], "--title", "x", "--expires", "soon", code=1)


def test_oauth_token(stack, admin, user, org):
    out = admin("token", "oauth", org, user[0], "--scopes", "repo:read,repo:write", "--application", "builder")
    token = out.split()[-1]
    stack.secrets.add(token)
    row = audit(stack, "create_oauth_api_token", org)
    assert (row["application_name"], row["scope"]) == ("builder", "repo:read repo:write")
    assert audit(stack, "create_application", org)["client_id"] == row["client_id"]
    assert logs_in(stack, "$oauthtoken", token) == 200
    again = admin("token", "oauth", org, user[0], "--scopes", "repo:read", "--application", "builder").split()[-1]
    stack.secrets.add(again)
    assert audit(stack, "create_oauth_api_token", org)["client_id"] == row["client_id"]
    admin("token", "revoke", row["oauth_token_uuid"])
    assert audit(stack, "revoke_oauth_api_token", org)["oauth_token_uuid"] == row["oauth_token_uuid"]
    assert logs_in(stack, "$oauthtoken", token) == 401
    assert "repo:read" in admin("token", "oauth", org, user[0], "--scopes", "everything", code=1)
    assert "no organization" in admin("token", "oauth", user[0], user[0], "--scopes", "repo:read", code=1)


def test_repository_token(stack, admin, user, org):
    repo = f"{org}/app"
    stack.client(*user).push(repo, "v1", oci.image())
    out = admin("token", "repository", repo, "--role", "read")
    uuid, token = out.split()[1].rstrip(","), out.split()[-1]
    stack.secrets.add(token)
    client = stack.client("$token", token)
    assert client.get(f"/v2/{repo}/manifests/v1").status_code == 200
    assert client.call("POST", f"/v2/{repo}/blobs/uploads/").status_code == 401
    admin("token", "revoke", uuid)
    assert client.get(f"/v2/{repo}/manifests/v1").status_code == 401


def test_wrong_usage(stack, admin, name):
    for words in ((), ("user",), ("user", "create"), ("user", "create", "a1", "b1"), ("user", "list", "--role", "x"), ("org", "create", name),
                  ("--nonsense",), ("token", "app", name), ("user", "create", name, "--password", "secret-in-argv")):
        assert "secret-in-argv" not in admin(*words, code=2)
    assert admin("--help").startswith("Usage: kade-admin")
    r = subprocess.run([str(stack.servers.bin / "kade-admin"), "--config", "/nonexistent/x.yaml", "status"], capture_output=True, text=True)
    assert r.returncode == 2


def test_database_down(stack, tmp_path):
    config = dict(stack.config, DB_URI="postgresql://kade@/kade?host=/nonexistent")
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps(config))
    r = subprocess.run([str(stack.servers.bin / "kade-admin"), "--config", str(file), "status"], capture_output=True, text=True)
    assert r.returncode == 5 and "connect" in r.stderr


def test_adopt_storage(alone):
    run = lambda *words: run_as(alone.user, [str(alone.servers.bin / "kade-admin"), "--config", str(alone.config_file), *words])
    mark = alone.folder / "storage" / "kade-instance"
    (uuid, epoch), = alone.sql("SELECT uuid, epoch FROM instance")
    mark.unlink(missing_ok=True)
    assert "nobody" in run("status").stdout
    r = run("adopt-storage")
    assert r.returncode == 0 and "claimed" in r.stdout
    assert json.loads(mark.read_text()) == {"uuid": uuid, "epoch": epoch}
    assert run("adopt-storage").returncode == 0
    foreign = {"uuid": "0" * 8 + "-0000-4000-8000-" + "0" * 12, "epoch": 7}
    for content in (json.dumps(foreign), json.dumps({"uuid": uuid, "epoch": epoch + 5}), "no json"):
        mark.write_text(content)
        r = run("adopt-storage")
        assert r.returncode == 1 and "--yes" in r.stderr and mark.read_text() == content
    r = run("adopt-storage", "--yes")
    assert r.returncode == 0, r.stderr
    assert json.loads(mark.read_text()) == {"uuid": uuid, "epoch": epoch + 1}
    assert alone.sql("SELECT epoch FROM instance") == [(epoch + 1,)]
    assert "belongs to this database" in run("status").stdout
