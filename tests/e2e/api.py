"""Clients of the REST API: a browser's session (cookie and CSRF token), an OAuth token, nobody; and the people that tests
need, made by kade-admin. Paths without a leading slash are under /api/v1/."""

import re
import secrets

import oci

ERROR_MEMBERS = {"detail", "error_message", "error_type", "title", "type", "status"}


class Api:
    """Nobody: requests without credentials."""

    def __init__(self, stack):
        self.stack = stack
        self.http = oci.Session()
        self.http.trust_env = False
        self.http.verify = stack.verify
        self.http.headers["Connection"] = "close"               # an idle connection may be closed just when it is used again
        self.headers = {}

    def url(self, path):
        if path.startswith("http"):
            return path
        return self.stack.base + (path if path.startswith("/") else f"/api/v1/{path}")

    def call(self, method, path, json=None, **kw):
        headers = {k: v for k, v in {**self.headers, **kw.pop("headers", {})}.items() if v is not None}
        r = self.http.request(method, self.url(path), json=json, headers=headers, allow_redirects=kw.pop("allow_redirects", False), timeout=60, **kw)
        if "X-Next-CSRF-Token" in r.headers:
            self.headers["X-CSRF-Token"] = r.headers["X-Next-CSRF-Token"]
        return r

    def get(self, path, **kw):
        return self.call("GET", path, **kw)

    def post(self, path, json=None, **kw):
        return self.call("POST", path, json=json, **kw)

    def put(self, path, json=None, **kw):
        return self.call("PUT", path, json=json, **kw)

    def delete(self, path, **kw):
        return self.call("DELETE", path, **kw)

    def take_csrf(self):
        """What a page does first: a session and its CSRF token, which unsafe requests show."""
        r = self.get("/csrf_token")
        assert r.status_code == 200, r.text
        self.headers["X-CSRF-Token"] = r.json()["csrf_token"]
        return self

    @property
    def csrf(self):
        return self.headers["X-CSRF-Token"]


class Session(Api):
    """A person signed in at the web interface. Of another session: the same person at another browser."""

    def __init__(self, stack, user, password=None):
        super().__init__(stack)
        self.user = user
        self.password = password or stack.users.get(user) or stack.password
        self.sign_in()

    def sign_in(self):
        self.take_csrf()
        r = self.post("signin", {"username": self.user, "password": self.password})
        assert r.status_code == 200, f"{self.user}: {r.status_code} {r.text}"
        for c in self.http.cookies:
            self.stack.secrets.add(c.value)
        return self


class Bearer(Api):
    """An OAuth token."""

    def __init__(self, stack, token):
        super().__init__(stack)
        self.token = token
        self.headers["Authorization"] = f"Bearer {token}"
        stack.secrets.add(token)


def anonymous(stack, csrf=True):
    """Nobody, who has the CSRF token that unsafe requests need."""
    return Api(stack).take_csrf() if csrf else Api(stack)


def person(stack, name=None):
    """A new user with a session."""
    name = name or f"u{secrets.token_hex(5)}"
    stack.create_user(name)
    return Session(stack, name)


def organization(stack, owner, name=None):
    """A new organization; owner: a Session or a name."""
    name = name or f"o{secrets.token_hex(5)}"
    return stack.create_org(name, owner.user if isinstance(owner, Session) else owner)


def team(stack, org, name, role, *members):
    stack.admin("team", "create", org, name, "--role", role)
    for m in members:
        stack.admin("team", "add", org, name, m.user if isinstance(m, Session) else m)
    return name


def bearer(stack, user, scopes, org=None, application="tool"):
    """A client with a new OAuth token of the user (a Session or a name); org: whose application it is for."""
    if org is None:
        org = "tools-of-tests"
        if not stack.sql("SELECT 1 FROM account WHERE name = %s", org):
            stack.create_org(org)
    user = user.user if isinstance(user, Session) else user
    out = stack.admin("token", "oauth", org, user, "--scopes", scopes, "--application", application)
    return Bearer(stack, out.split()[-1])


def repository(stack, path, public=False):
    """An empty repository."""
    stack.admin("repo", "create", path, *(["--public"] if public else []))
    return path


def permission(stack, path, who, role):
    """Rows of permissions have no command of their own: the table is written."""
    ns, name = path.split("/", 1)
    stack.sql(
        "INSERT INTO repository_permission (repository_id, account_id, role) SELECT r.id, u.id, %s FROM repository r"
        " JOIN account n ON n.id = r.namespace_id, account u WHERE n.name = %s AND r.name = %s AND u.name = %s",
        {"read": 1, "write": 2, "admin": 3}[role], ns, name, who.user if isinstance(who, Session) else who)


def error(response, status, kind, detail=None):
    """The full error body of the REST API; returns it."""
    assert response.status_code == status, f"{response.status_code} {response.text[:300]}"
    assert response.headers["Content-Type"] == "application/json"
    body = response.json()
    assert ERROR_MEMBERS <= set(body), body
    assert body["error_type"] == body["title"] == kind and body["status"] == status, body
    assert body["type"].endswith(f"/api/v1/error/{kind}") and body["detail"] == body["error_message"], body
    if detail is not None:
        assert body["detail"] == detail, body
    return body


def message(response, status, text=None, member="message"):
    """A body with one member: {"message": text}."""
    assert response.status_code == status, f"{response.status_code} {response.text[:300]}"
    body = response.json()
    assert member in body, body
    if text is not None:
        assert body[member] == text, body
    return body


def logs(stack, kind, **members):
    """Audit rows of that kind whose metadata holds these members, newest first: (namespace, performer, metadata)."""
    import json

    rows = stack.sql(
        "SELECT n.name, p.name, l.metadata FROM audit_log l JOIN audit_kind k ON k.id = l.kind LEFT JOIN account n ON n.id = l.namespace_id"
        " LEFT JOIN account p ON p.id = l.performer_id WHERE k.name = %s ORDER BY l.at_ms DESC, l.id DESC", kind)
    found = [(n, p, json.loads(m)) for n, p, m in rows]
    return [row for row in found if all(row[2].get(k) == v for k, v in members.items())]


RFC2822 = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d -0000")
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
