"""docs/api.md is what the program says of itself, and its session does what it prints; the OpenAPI document is one."""

import json
import os
import pathlib
import re
import subprocess

import jsonschema
import pytest

import api
import stack as stack_module

PAGE = stack_module.TOP / "docs" / "api.md"
MARK = "<!-- Below this line: made by `kade.fcgi --routes`; `make update-docs` writes it anew. -->\n\n"
# Of Debian's package openapi-specification.
OPENAPI_SCHEMA = pathlib.Path("/usr/share/openapi-specification/schemas/v3.0/schema.json")
METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def kade(make_stack):
    return make_stack("lighttpd", name="api-reference", FEATURE_RATE_LIMITS=False, REGISTRY_TITLE="Häfen")


def printed(build, option):
    r = subprocess.run([str(build / "kade.fcgi"), option], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert r.returncode == 0 and r.stderr == b"", r.stderr
    return r.stdout.decode()


def test_the_list_is_the_table(build):
    head, mark, rest = PAGE.read_text().partition(MARK)
    assert mark and head.startswith("# ")
    assert rest == printed(build, "--routes"), "docs/api.md is older than the route tables: make update-docs"


def test_every_row_says_what_it_does(build):
    rows = re.findall(r"^#### `(.*)`\n\n`(.*)`: (.*)\n\nWho: (.*)\.$", printed(build, "--routes"), re.M)
    assert len(rows) > 200 and len(rows) == printed(build, "--routes").count("\n#### ")
    bad = [row for row in rows if len(row[2]) < 5 or not row[3] or "?" in row[3]]
    assert not bad, bad


def test_a_full_disk_is_no_success(build):
    for option in ("--routes", "--openapi"):
        with open("/dev/full", "w") as full:
            assert subprocess.run([str(build / "kade.fcgi"), option], stdout=full, stdin=subprocess.DEVNULL).returncode == 1


def operations(document):
    return {(m, p): op for p, item in document["paths"].items() for m, op in item.items() if m in METHODS}


def valid(document):
    if not OPENAPI_SCHEMA.exists():
        pytest.skip("no package openapi-specification")
    jsonschema.Draft4Validator(json.loads(OPENAPI_SCHEMA.read_text())).validate(document)
    for path, item in document["paths"].items():
        for method, op in item.items():
            names = [p["name"] for p in op["parameters"] if p["in"] == "path"]
            assert sorted(names) == sorted(re.findall(r"{(\w+)}", path)), path
    ids = [op["operationId"] for op in operations(document).values()]
    assert len(ids) == len(set(ids))


def test_openapi(build, kade):
    """The printed document has every row, the served one those that are on; both are valid."""
    whole = json.loads(printed(build, "--openapi"))
    r = api.Api(kade).get("ui/openapi.json")
    assert r.status_code == 200 and r.headers["Content-Type"] == "application/json"
    served = r.json()
    valid(whole)
    valid(served)
    assert served["info"]["title"] == "Häfen" and served["servers"] == [{"url": kade.base}]
    assert operations(served).keys() < operations(whole).keys() and len(operations(served)) > 140
    swagger = api.Api(kade).get("discovery?internal=true").json()
    def names(document):
        return {(m, p.rstrip("/")) for m, p in operations(document)}
    assert not names(swagger) - names(served)
    op = operations(served)["post", "/api/v1/user/apptoken"]
    assert op["requestBody"]["content"]["application/json"]["schema"]["required"] == ["title"] and op["x-requires-fresh-login"] is True
    assert {"session": []} in op["security"] and {"oauth": ["user:admin"]} in op["security"] and {} not in op["security"]


def test_allow(build, kade):
    """A method that no row of the path has: 405 with the methods of the rows, as the document lists them."""
    document = api.Api(kade).get("ui/openapi.json").json()
    nobody = api.Api(kade)
    wrong = []

    def methods(url):
        """Of all rows that take this path: a tail of one may also be the end of a longer repository's name."""
        have = set()
        for path, item in document["paths"].items():
            form = re.escape(path.rstrip("/")).replace(re.escape("{repository}"), "[^/]+(/[^/]+)+")
            if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", form), url.rstrip("/")):
                have |= {m.upper() for m in item}
        return have | {"OPTIONS"} | ({"HEAD"} if "GET" in have else set())

    for path in document["paths"]:
        url = path.replace("{repository}", "no/where").replace("{manifestref}", "sha256:" + "0" * 64)
        url = re.sub(r"{\w*id}", "1", re.sub(r"{(?!\w*id})\w+}", "x", url))
        have = methods(url)
        r = nobody.call("PATCH", url)
        if r.status_code != 405 or set(r.headers.get("Allow", "").split(", ")) != have:
            wrong.append(f"{path}: {r.status_code} {r.headers.get('Allow')}, not {sorted(have)}")
        r = nobody.call("OPTIONS", url)
        if r.status_code != 200 or set(r.headers.get("Allow", "").split(", ")) != have:
            wrong.append(f"OPTIONS {path}: {r.status_code} {r.headers.get('Allow')}, not {sorted(have)}")
    assert not wrong, "\n".join(wrong)


def blocks():
    """(language, text) of the page's fenced blocks, in order."""
    return re.findall(r"^```(\w+[ \w]*)\n(.*?)^```$", PAGE.read_text().partition(MARK)[0], re.M | re.S)


def test_session(kade, tmp_path):
    """The blocks of the page in one shell, as printed; each prints what the block after it says."""
    found = blocks()
    assert found[0][0] == "sh settings" and [kind for kind, _ in found[1:]] == ["sh", "text"] * (len(found) // 2) and len(found) > 10
    kade.create_user("alice")
    settings = dict(line.split("=", 1) for line in found[0][1].splitlines())
    values = {"REGISTRY": kade.base, "NAME": "alice", "PASSWORD": kade.users["alice"]}
    assert settings.keys() == values.keys()
    script = "set -euo pipefail\n" + "".join(f"{k}='{v}'\n" for k, v in values.items())
    script += "".join(f"{text}echo '--- end of block'\n" for kind, text in found[1:] if kind == "sh")
    env = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path), "HOME": str(tmp_path), "no_proxy": "*"}
    r = subprocess.run(["bash"], input=script, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=env)
    said = r.stdout.split("--- end of block\n")
    wanted = [text for kind, text in found if kind == "text"]
    for i, text in enumerate(wanted):
        assert i < len(said) and said[i] == text, f"block {i}: {said[i] if i < len(said) else 'not reached'}\n{r.stderr}"
    assert r.returncode == 0, r.stderr
    assert not list(tmp_path.iterdir()), "the session leaves nothing behind"
