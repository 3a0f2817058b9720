"""The calls of the API as the program itself lists them (kade.fcgi --openapi), and the schemas of their answers, which are
written by hand: tests/api/schemas/*.json, for each call and status of success what the body is, null: none."""

import functools
import json
import pathlib
import re
import subprocess

import jsonschema

SCHEMAS = pathlib.Path(__file__).resolve().parents[1] / "api" / "schemas"
METHODS = ("get", "post", "put", "patch", "delete")


class Call:
    """A row: method and path (below /api/v1/), operation id, the schema of its body or None, its query parameters."""

    def __init__(self, method, path, item):
        self.method, self.path, self.id = method.upper(), path.removeprefix("/api/v1/"), item["operationId"]
        self.captures = {p["name"]: p["schema"]["type"] for p in item["parameters"] if p["in"] == "path"}
        self.query = {p["name"]: p["schema"]["type"] for p in item["parameters"] if p["in"] == "query"}
        body = item.get("requestBody")
        self.body = body["content"]["application/json"]["schema"] if body else None
        self.permission, self.features = item["x-permission"], item.get("x-features", [])
        self.is_fresh = item.get("x-requires-fresh-login", False)
        self.scopes = [s["oauth"][0] for s in item["security"] if s.get("oauth")]
        form = re.escape(self.path.rstrip("/")).replace(re.escape("{repository}"), "[^/]+(?:(?:/|%2[Ff])[^/]+)+")   # its slash may be escaped
        self.form = re.compile(re.sub(r"\\{\w+\\}", "[^/]+", form))
        self.literals = sum(not s.startswith("{") for s in self.path.split("/"))

    def __repr__(self):
        return f"{self.method} {self.path}"


@functools.cache
def calls(build):
    out = subprocess.run([str(build / "kade.fcgi"), "--openapi"], stdout=subprocess.PIPE, check=True).stdout
    return [Call(m, p, item[m]) for p, item in json.loads(out)["paths"].items() for m in METHODS if m in item]


def find(build, method, path):
    """The call that takes this path (below /api/v1/), or None. The row with the most literal words wins, as in the router."""
    path = path.split("?")[0].rstrip("/")
    fit = [c for c in calls(build) if c.method == method and c.form.fullmatch(path)]
    return max(fit, key=lambda c: c.literals, default=None)


@functools.cache
def schemas():
    """{operation id: {status: schema or None}}, and what the references lead to."""
    found = {}
    for file in sorted(SCHEMAS.glob("*.json")):
        content = json.loads(file.read_text())
        if file.name == "definitions.json":
            common = content
            continue
        assert not found.keys() & content.keys(), file.name
        found.update(content)
    return found, common


@functools.cache
def validator(call_id, status):
    found, common = schemas()
    resolver = jsonschema.RefResolver("", {}, store={"definitions.json": common})
    return jsonschema.Draft7Validator(found[call_id][status], resolver=resolver)


def problem(call, response):
    """What is wrong with the answer of a call that was granted; None: nothing."""
    status, known = str(response.status_code), schemas()[0].get(call.id)
    if known is None:
        return f"{call}: {call.id} has no schema in tests/api/schemas"
    if status not in known:
        return f"{call}: {status} is not among {sorted(known)} of the schemas"
    if known[status] is None:
        return None if response.content == b"" else f"{call}: a body with {status}: {response.text[:80]}"
    if response.headers.get("Content-Type") != "application/json" or not response.text.endswith(("\n", "}", "]")):
        return f"{call}: {response.headers.get('Content-Type')} {response.text[-20:]!r}"
    error = jsonschema.exceptions.best_match(validator(call.id, status).iter_errors(response.json()))
    return None if error is None else f"{call}: at {'/'.join(map(str, error.absolute_path))}: {error.message[:300]}"
