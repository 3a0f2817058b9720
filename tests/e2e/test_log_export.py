"""Export of the audit log: the call, the job, the file, the report. The callback is a real HTTP server on loopback."""

import http.server
import json
import threading
import time

import pytest

import api
from stack import run_as


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.reports.append((self.path, self.headers["Content-Type"], json.loads(body)))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def receiver():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.reports, server.status = [], 200
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


@pytest.fixture(scope="module")
def place(make_stack):
    s = make_stack("lighttpd", name="logexport", SSRF_ALLOWED_HOSTS=["127.0.0.1"])
    r = run_as(s.user, [str(s.servers.bin / "kade-admin"), "--config", str(s.config_file), "adopt-storage"])
    assert r.returncode == 0, r.stderr
    s.owner, s.stranger = api.person(s), api.person(s)
    s.org = api.organization(s, s.owner)
    s.repo = api.repository(s, f"{s.org}/app")
    s.sql("INSERT INTO audit_log (kind, namespace_id, repository_id, performer_id, ip, metadata) SELECT 1, n.id, r.id, p.id, '192.0.2.1', '{\"n\": ' || i || '}'"
          " FROM account n JOIN repository r ON r.namespace_id = n.id, account p, generate_series(1, 2500) i WHERE n.name = %s AND p.name = %s", s.org, s.owner.user)
    return s


def job(stack, code=0):
    r = run_as(stack.user, [str(stack.servers.bin / "kade-logexport"), "--config", str(stack.config_file)])
    assert r.returncode == code, f"{r.returncode}: {r.stdout}{r.stderr}"


def today(days=0):
    return time.strftime("%m/%d/%Y", time.gmtime(time.time() + days * 86400))


def test_export(place, receiver):
    url = f"http://127.0.0.1:{receiver.server_port}/done"
    r = place.owner.post(f"repository/{place.repo}/exportlogs?starttime={today(-1)}&endtime={today()}", {"callback_url": url})
    assert r.status_code == 200, r.text
    export_id = r.json()["export_id"]
    assert api.logs(place, "export_logs_success", export_id=export_id)[0][2]["url"] == url
    job(place)
    path, kind, report = receiver.reports.pop()
    assert path == "/done" and kind == "application/json" and report["export_id"] == export_id and report["status"] == "success"
    assert report["namespace"] == place.org and report["repository"] == "app"
    got = api.anonymous(place, csrf=False).get("/exportedlogs/" + report["exported_data_url"].rsplit("/", 1)[1])
    assert got.status_code == 200 and got.headers["Content-Type"] == "application/json"
    body = json.loads(got.content)
    assert body["export_id"] == export_id and body["details"]["repository"] == "app"
    *rows, last = body["logs"]
    assert last == {"terminator": True} and len(rows) >= 2500
    assert {r["metadata"]["n"] for r in rows if "n" in r["metadata"]} == set(range(1, 2501))      # each once
    assert rows[0]["performer"]["name"] == place.owner.user and rows[0]["performer"]["avatar"] and api.RFC2822.fullmatch(rows[0]["datetime"])
    assert place.sql("SELECT count(*) FROM queue_item WHERE queue = 'exportactionlogs'") == [(0,)]


def test_files_go(place):
    place.owner.post(f"organization/{place.org}/exportlogs", {})
    job(place)
    keys = [k for k, in place.sql("SELECT body FROM queue_item WHERE queue = 'exportedlogs'")]
    name = keys[-1].rsplit("/", 1)[1]
    nobody = api.anonymous(place, csrf=False)
    assert nobody.get(f"/exportedlogs/{name}").status_code == 200
    place.sql("UPDATE queue_item SET available_after_ms = kade_now_ms() WHERE queue = 'exportedlogs'")
    job(place)
    assert nobody.get(f"/exportedlogs/{name}").status_code == 404
    assert place.sql("SELECT count(*) FROM queue_item WHERE queue = 'exportedlogs'") == [(0,)]


def test_names_lead_nowhere_else(place):
    nobody = api.anonymous(place, csrf=False)
    for name in ("..%2Fsha256", "kade-instance", "x", "0" * 73, "a" * 36 + "-" + "b" * 36, "%2e%2e"):
        assert nobody.get(f"/exportedlogs/{name}").status_code in (400, 404), name


def test_refused(place):
    path = f"organization/{place.org}/exportlogs"
    for body, text in (({"callback_url": "http://10.0.0.1/x"}, "Invalid callback URL"), ({"callback_url": "file:///etc/passwd"}, "Invalid callback URL"),
                       ({"callback_url": "http://u:p@example.com/"}, "Invalid callback URL"), ({"callback_email": "nobody"}, "Invalid callback e-mail")):
        api.error(place.owner.post(path, body), 400, "invalid_request", text)
    assert place.owner.post(path + f"?starttime={today()}&endtime={today(-9)}", {}).status_code == 400
    for who, status in ((place.stranger, 403), (api.anonymous(place), 401)):
        assert who.post(path, {}).status_code == status
        assert who.post(f"repository/{place.repo}/exportlogs", {}).status_code == status
    assert api.anonymous(place).post("user/exportlogs", {}).status_code == 401


def test_callback_that_fails(place, receiver):
    """One report for each export; a receiver that fails does not write the file again."""
    receiver.status = 500
    try:
        assert place.owner.post("user/exportlogs", {"callback_url": f"http://127.0.0.1:{receiver.server_port}/x"}).status_code == 200
        job(place)
        job(place)
    finally:
        receiver.status = 200
    assert len(receiver.reports) == 1 and receiver.reports.pop()[2]["status"] == "success"


def test_many_wait(place):
    answers = [place.stranger.post("user/exportlogs", {}).status_code for _ in range(21)]
    assert answers == [200] * 20 + [429]
    job(place)
    assert place.stranger.post("user/exportlogs", {}).status_code == 200
