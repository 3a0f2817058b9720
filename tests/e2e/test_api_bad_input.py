"""Bad input to every call of the API, made from the program's own list of them: bodies that are no JSON or of the wrong shape,
texts that are too long, no UTF-8 or meant to lead elsewhere, paths, parameters, forged requests. Each is refused by a documented
status in the API's form and changes nothing; nothing is ever a 5xx. The caller holds every right, so that no refusal hides another."""

import http.client
import json
import os
import pathlib
import re
import secrets

import pytest

import api
import rows as table
import stack as stack_module
import test_permissions


REFUSED = {400, 401, 403, 404, 405, 409, 410, 413, 415, 429}
# Paths with things of the caller's own, whatever the capture is called.
OWN = {"user/robots/": {"robot_shortname": "own_robot"}, "user/notifications/": {"uuid": "own_note"}, "user/apptoken/": {"token_uuid": "own_app_token"},
       "user/authorizations/": {"access_token_uuid": "app_token"}, "repository/{repository}/notification/": {"uuid": "note"},
       "organization/{orgname}/notifications/": {"uuid": "org_note"}, "message/": {"uuid": "message"},
       "organization/{orgname}/autoprunepolicy/": {"policy_uuid": "prune_org"}, "repository/{repository}/autoprunepolicy/": {"policy_uuid": "prune_repo"},
       "organization/{orgname}/immutabilitypolicy/": {"policy_uuid": "pin_org"}, "repository/{repository}/immutabilitypolicy/": {"policy_uuid": "pin_repo"}}
CAPTURES = {"repository": "repo", "orgname": "org", "teamname": "team", "robot_shortname": "robot", "client_id": "client_id", "token_uuid": "app_token",
            "prototypeid": "prototype", "quota_id": "quota", "limit_id": "limit", "kid": "kid", "manifestref": "digest", "labelid": "label", "owner": "org", "name": "org"}
TEXTS = {"username": "p-reader", "membername": "p-member", "tag": "v1", "error_type": "not_found", "prefix": "p-", "service_id": "github", "code": "x", "email": "x@example.com"}
WRONG = {"string": (1, True, [], {}), "integer": ("x", 1.5, True, [], {}), "number": ("x", True, [], {}), "boolean": ("true", 1, [], {}),
         "object": ("x", 1, []), "array": ("x", 1, {})}
GOOD = {"string": "x", "integer": 1, "number": 1, "boolean": True, "object": {}, "array": [], None: "x"}
HOSTILE = ["", " ", "..", "../../etc/passwd", "a/b", "a//b", ".", "-", "\u0430dmin", "ad\u200bmin", "\u202eadmin", "a\nb", "a\r\nSet-Cookie: x=y", "%", "%00", "_", "*",
           "'; DROP TABLE account; --", "<script>alert(1)</script>", "\U0001f433", "x" * 300, "x" * 70000, "admin ", "ADMIN", "+", "a+b+c", "$app", "${HOME}", "{{7*7}}"]
# Calls that hash a password each time: a few texts must do.
SLOW = {"createInstallUser", "createNewUser", "signinUser", "verifyUser", "changeUserDetails", "changeInstallUser", "convertUserToOrganization", "generateUserClientKey"}
# Texts that people write at length: only the size of the body bounds them.
PROSE = {"description"}
SEGMENTS = ["%2e%2e", "..%2f..%2fetc", "%2F", "a%2Fb", "%00", "x%00y", "%ff%fe", "%c0%ae", "%d0%b0dmin", "%E2%80%AEx", "x" * 300, "%27%20OR%201=1", "%25", "%0a", "a%0d%0aX-Y:1", "+", "-1", "99999999999999999999",
            "00000000-0000-4000-8000-00000000000g", "sha256:zz"]


# Rows whose features the configuration of this file leaves off, and to which calls each test below applies.
OFF = {"FEATURE_REPO_MIRROR", "FEATURE_IMAGE_PULL_STATS", "FEATURE_USER_INITIALIZE"}
APPLIES = {"test_bodies": lambda c: c.body is not None, "test_fields": lambda c: c.body and c.body.get("properties"), "test_texts": lambda c: c.body is not None,
           "test_paths": lambda c: c.captures, "test_parameters": lambda c: c.query, "test_forgery": lambda c: c.method != "GET"}


class Raw:
    """Bytes as they are: nothing of the path is put in order on the way."""

    def __init__(self, stack):
        self.host = stack.host
        self.open()

    def open(self):
        self.http = http.client.HTTPConnection(self.host, timeout=60)

    def send(self, method, path, body=None, headers=None):
        for again in (False, True):
            try:
                self.http.request(method, path, body=body, headers=headers or {})
                r = self.http.getresponse()
                r.text = r.read().decode(errors="replace")
                if r.will_close:
                    self.http.close()
                return r
            except (http.client.HTTPException, OSError):           # an idle connection, closed by the server
                self.http.close()
                if again:
                    raise


@pytest.fixture(scope="module")
def world(make_stack, build):
    stack = make_stack("lighttpd", name="bad-input", FEATURE_MAILING=True, MAIL_SERVER="localhost", FEATURE_SUPERUSERS_FULL_ACCESS=True, FRESH_LOGIN_TIMEOUT="1d", FEATURE_USER_LOG_ACCESS=True, FEATURE_RATE_LIMITS=False,
                       FEATURE_QUOTA_MANAGEMENT=True, FEATURE_QUOTA_NOTIFICATIONS=True, FEATURE_AUTO_PRUNE=True, FEATURE_IMMUTABLE_TAGS=True, PERMANENTLY_DELETE_TAGS=True)
    w = test_permissions.World(stack, build)
    stack.create_robot("admin", "own")
    w.values["own_note"] = w.one("INSERT INTO account_notification (account_id, kind, metadata) SELECT id, 'test_notification', '{}' FROM account WHERE name = 'admin' RETURNING uuid")
    w.values["own_robot"] = "own"
    w.session = api.Session(stack, "admin")
    w.values["own_app_token"] = w.session.post("user/apptoken", {"title": "t"}).json()["token"]["uuid"]
    w.stranger = api.Session(stack, "p-stranger")
    w.raw = Raw(stack)
    w.take()
    yield w
    w.db.close()


def pytest_generate_tests(metafunc):
    if "call" in metafunc.fixturenames:
        build = pathlib.Path(os.environ.get("KADE_BUILD", stack_module.TOP / ".kade" / "build-test"))
        fits = APPLIES[metafunc.function.__name__]
        metafunc.parametrize("call", [c for c in table.calls(build) if not set(c.features) & OFF and fits(c)], ids=lambda c: c.id)


def path_of(world, call, **other):
    values = {name: world.values[what] for name, what in CAPTURES.items()} | TEXTS
    for begin, names in OWN.items():
        if call.path.startswith(begin):
            values |= {name: world.values[what] for name, what in names.items()}
    values |= other
    return "/api/v1/" + re.sub(r"\{(\w+)\}", lambda m: values.get(m[1], world.values["uuid"]), call.path)


def send(world, call, path=None, body=None, content="application/json", csrf=True, session=None):
    session = session or world.session
    headers = {"Cookie": "; ".join(f"{c.name}={c.value}" for c in session.http.cookies)}
    if csrf:
        headers["X-CSRF-Token"] = csrf if isinstance(csrf, str) else session.csrf
    if content:
        headers["Content-Type"] = content
    if isinstance(body, str):
        body = body.encode()
    return world.raw.send(call.method, path or path_of(world, call), body, headers)


def form(r):
    """What is wrong with a refusal's form."""
    if r.status not in REFUSED:
        return f"{r.status}: {r.text[:200]}"
    if "X-Request-Id" not in r.headers:                             # the web server's own refusal of a request line
        return None if r.status in (400, 404) else f"{r.status} of the web server: {r.text[:100]}"
    try:
        o = json.loads(r.text)
    except ValueError:
        return None if r.status == 429 else f"{r.status}: no JSON: {r.text[:100]}"
    if "error_type" in o and not api.ERROR_MEMBERS <= o.keys():
        return f"{r.status}: {o}"
    return None if o.keys() & {"message", "error", "detail", "error_message"} or "invalidCredentials" in o else f"{r.status}: {o}"


def unchanged(world):
    after = world.marks()
    changed = [t for t in after if world.before.get(t) != after[t]]
    world.restore(changed)
    return changed


def refused(world, call, cases, statuses=None):
    """Every case is refused in the right form, by one of the statuses, and all of them together change nothing."""
    wrong = []
    for what, kw in cases:
        r = send(world, call, **kw)
        problem = form(r)
        if problem is None and statuses and r.status not in statuses:
            problem = f"{r.status}, not {statuses}: {r.text[:160]}"
        if problem:
            wrong.append(f"{call}: {what}: {problem}")
    changed = unchanged(world)
    if changed:
        wrong.append(f"{call}: {changed} changed")
    assert not wrong, "\n".join(wrong[:30])


def survived(world, call, cases):
    """No case is more than a refusal: a text may be good, but nothing fails at it. What it changed is put back."""
    wrong = []
    for what, kw in cases:
        r = send(world, call, **kw)
        problem = form(r) if r.status >= 400 else None
        if problem:
            wrong.append(f"{call}: {what}: {problem}")
    unchanged(world)
    assert not wrong, "\n".join(wrong[:30])


def good(call):
    """A body of the right types; what it says may be nonsense."""
    return {name: p["enum"][0] if "enum" in p else GOOD[p.get("type")] for name, p in call.body.get("properties", {}).items()}


def test_bodies(world, call):
    whole = json.dumps(good(call))
    deep = "[" * 100 + "]" * 100
    cases = [("no body", dict(body="")), ("half", dict(body='{"a":')), ("words", dict(body="hello")), ("twice", dict(body=whole + whole)), ("a list", dict(body="[]")),
             ("a text", dict(body='"x"')), ("a number", dict(body="1")), ("null", dict(body="null")), ("NaN", dict(body='{"a": NaN}')), ("deep", dict(body='{"a": %s}' % deep)),
             ("not UTF-8", dict(body=b'{"a": "\xff\xfe"}')), ("half a surrogate", dict(body='{"a": "\\ud800"}')), ("NUL", dict(body='{"a": "x\\u0000y"}')), ("a key twice", dict(body='{"a": 1, "a": 2}')),
             ("too many values", dict(body=json.dumps({"a": list(range(6000))}))), ("UTF-16", dict(body=whole.encode("utf-16")))]
    refused(world, call, cases, {400, 413})
    refused(world, call, [(t or "none", dict(body=whole, content=t)) for t in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx", None)], {415})


def test_fields(world, call):
    properties = (call.body or {}).get("properties", {})
    cases = []
    for name in call.body.get("required", []):
        cases.append((f"without {name}", {k: v for k, v in good(call).items() if k != name}))
    for name, p in properties.items():
        for value in WRONG.get(p.get("type"), ()):
            cases.append((f"{name}: {value!r}", {**good(call), name: value}))
        if not p.get("nullable") and p.get("type"):
            cases.append((f"{name}: null", {**good(call), name: None}))
        if "maxLength" in p:
            cases.append((f"{name}: {p['maxLength'] + 1} bytes", {**good(call), name: "x" * (p["maxLength"] + 1)}))
        if "enum" in p:
            cases.append((f"{name}: no such word", {**good(call), name: "no-such-word"}))
        if "maximum" in p and p["maximum"] < 2**63 - 1:
            cases.append((f"{name}: too large", {**good(call), name: p["maximum"] + 1}))
        if p.get("type") in ("integer", "number"):
            cases.append((f"{name}: 2^70", {**good(call), name: 2**70}))
        if p.get("type") == "string":
            cases.append((f"{name}: NUL", {**good(call), name: "a\0b"}))
    refused(world, call, [(what, dict(body=json.dumps(body))) for what, body in cases], {400})
    endless = [n for n, p in properties.items() if p.get("type") == "string" and "maxLength" not in p and "enum" not in p and n not in PROSE and call.id != "createStar"]      # a star for what is not there is told as set
    refused(world, call, [(f"{n}: 70000 bytes", dict(body=json.dumps({**good(call), n: "x" * 70000}))) for n in endless])


def test_texts(world, call):
    """Texts that are names of something else elsewhere, in each member; members that nobody knows."""
    properties = (call.body or {}).get("properties", {})
    cases = [("unknown member", dict(body=json.dumps({**good(call), "no_such_member": {"x": [1]}})))] if call.body else []
    for name, p in properties.items():
        if p.get("type") == "string" and "enum" not in p:
            cases += [(f"{name}: {t[:40]!r}", dict(body=json.dumps({**good(call), name: t}))) for t in (HOSTILE[::6] if call.id in SLOW else HOSTILE)]
        if p.get("type") in ("integer", "number"):
            cases += [(f"{name}: {n}", dict(body=json.dumps({**good(call), name: n}))) for n in (-1, 0, 2**31, 2**53, 2**63 - 1, -(2**63))]
        if p.get("type") in ("object", None):
            cases += [(f"{name}: {v}", dict(body=json.dumps({**good(call), name: v}))) for v in ({"a": {"b": []}}, {"": ""}, {"kind": 1, "name": []}, {"url": "http://127.0.0.1/"}, {"name": "a\0b"}, {"target": {"kind": 1}})]
        if p.get("type") == "array":
            cases += [(f"{name}: {v}", dict(body=json.dumps({**good(call), name: v}))) for v in ([None], [1, "a"], [[]], [{}], ["x"] * 4000)]
    survived(world, call, cases)


def test_paths(world, call):
    cases = []
    for name in call.captures:
        for s in SEGMENTS:
            value = f"permorg/{s}" if name == "repository" else s
            cases.append((f"{name}={s[:40]}", dict(path=path_of(world, call, **{name: value}), body=json.dumps(good(call)) if call.body else None)))
    survived(world, call, cases)


def test_parameters(world, call):
    numbers = [n for n, t in call.query.items() if t == "integer"]
    url = path_of(world, call)
    refused(world, call, [(f"{n}={v}", dict(path=f"{url}?{n}={v}")) for n in numbers for v in ("x", "1.5", "1e3", "0x10", "99999999999999999999", "%00", "")], {400})
    texts = ["%00", "%ff", "x" * 5000, "%25", "_", "%27", "..%2f..", "%F0%9F%90%B3", "%E2%80%AE", "-1", "like:%25", "eq:", ":", "99/99/9999", "a&b"]
    survived(world, call, [(f"{n}={v[:40]}", dict(path=f"{url}?{n}={v}")) for n in call.query for v in texts] +
             [(f"{n}={v}", dict(path=f"{url}?{n}={v}")) for n in numbers for v in (-1, 0, 2**31, 2**63 - 1, -(2**63))])


def test_forgery(world, call):
    """A change without the session's own token: none, another session's, the cookie's value, a wrong one, in two places."""
    url, body = path_of(world, call), json.dumps(good(call)) if call.body else None
    cookie = next(c.value for c in world.session.http.cookies)
    cases = [("none", dict(body=body, csrf=False)), ("of another", dict(body=body, csrf=world.stranger.csrf)), ("the cookie", dict(body=body, csrf=cookie[:200])),
             ("wrong", dict(body=body, csrf=secrets.token_urlsafe(48))), ("shorter", dict(body=body, csrf=world.session.csrf[:-1])), ("empty parameter", dict(path=f"{url}?_csrf_token=", body=body, csrf=False))]
    wrong = []
    for what, kw in cases:
        r = send(world, call, **kw)
        if r.status != 403 or "CSRF token was invalid or missing." not in r.text:
            wrong.append(f"{call}: {what}: {r.status} {r.text[:100]}")
    assert not wrong and not unchanged(world), "\n".join(wrong)
