"""Mails and what their links do: confirmation of addresses, recovery, invitations, addresses for notifications; and kade-mail
against a real mail server that refuses, hangs, dies and comes back."""

import json
import re
import secrets
import shutil
import signal
import subprocess
import time

import pytest

import api
from postbox import Postbox, certificate
from stack import run_as, until

TITLE = 'Kade <b>"&'


class Job:
    """kade-mail of a stack."""

    def __init__(self, stack):
        self.stack = stack

    def words(self, *words):
        return [str(self.stack.servers.bin / "kade-mail"), "--config", str(self.stack.config_file), *words]

    def run(self, *words, code=0):
        r = run_as(self.stack.user, self.words(*words))
        assert r.returncode == code, f"kade-mail {words}: {r.returncode}: {r.stdout}{r.stderr}"
        for s in self.stack.secrets:
            assert s not in r.stderr + r.stdout
        return r

    def resident(self, *words):
        words = self.words("--resident", *words)
        if self.stack.user != "root":
            words = ["setpriv", f"--reuid={self.stack.user}", "--clear-groups", "--", *words]
        log = open(self.stack.folder / "kade-mail.out", "w")
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def due_now(self):
        """Whatever waits for its next try waits no longer."""
        self.stack.sql("UPDATE queue_item SET available_after_ms = 0 WHERE queue = 'mail'")

    def queue(self):
        return self.stack.sql("SELECT retries_remaining, available_after_ms - kade_now_ms(), lease FROM queue_item WHERE queue = 'mail' ORDER BY id")


@pytest.fixture(scope="module")
def box():
    b = Postbox()
    yield b
    b.stop()


@pytest.fixture(scope="module")
def kade(make_stack, box):
    """Mails go out at once: kade-mail is resident."""
    s = make_stack("lighttpd", name="mail", FEATURE_MAILING=True, MAIL_SERVER="localhost", MAIL_PORT=box.port, MAIL_USE_TLS=False,
                   MAIL_DEFAULT_SENDER="Kade, Inc. <kade@example.com>", REGISTRY_TITLE=TITLE, REGISTRY_TITLE_SHORT="Kade", FRESH_LOGIN_TIMEOUT="1d",
                   ACTION_LOG_AUDIT_LOGINS=True)
    job = Job(s).resident()
    yield s
    job.send_signal(signal.SIGTERM)
    assert job.wait(20) == 0, (s.folder / "kade-mail.out").read_text()


@pytest.fixture
def quiet(make_stack, box):
    """A stack whose job runs only when a test runs it; its queue is empty."""
    s = make_stack("lighttpd", name="quiet", FEATURE_MAILING=True, MAIL_SERVER="localhost", MAIL_PORT=box.port, MAIL_USE_TLS=False, FRESH_LOGIN_TIMEOUT="1d")
    s.sql("DELETE FROM queue_item")
    yield s
    box.reply = box.rcpt = box.mail_from = None
    box.delay_s = 0


def address():
    return f"a{secrets.token_hex(6)}@example.com"


def sign_up(kade, to, **more):
    name, password = f"n{secrets.token_hex(5)}", secrets.token_urlsafe(12)
    kade.secrets.add(password)
    kade.users[name] = password
    a = api.anonymous(kade)
    return name, a, a.post("user/", {"username": name, "password": password, "email": to, **more})


def is_signed_in(client, name):
    r = client.get("user/")
    return r.status_code == 200 and r.json()["username"] == name


def bad_link(r):
    assert r.status_code == 200 and "This link does not work" in r.text and "Set-Cookie" not in r.headers, r.text
    assert r.headers["Content-Type"] == "text/html; charset=utf-8" and "default-src 'none'" in r.headers["Content-Security-Policy"]


# -- confirmation


def test_sign_up(kade, box):
    to = address()
    name, a, r = sign_up(kade, to)
    asked = time.monotonic()
    assert r.status_code == 200 and r.json() == {"awaiting_verification": True}, r.text
    assert a.get("user/").status_code == 401
    r = a.post("signin", {"username": name, "password": kade.users[name]})
    assert r.status_code == 403 and r.json() == {"needsEmailVerification": True, "invalidCredentials": False, "message": None}
    mail = box.next_to(to)
    took = time.monotonic() - asked
    kade.secrets.add(mail.code)
    assert mail.sender == "kade@example.com" and mail.link.startswith(f"{kade.base}/confirm?code=")
    m = mail.message
    assert m["From"] == '"Kade, Inc." <kade@example.com>' and m["To"] == to and mail.subject == "[Kade] Please confirm your e-mail address"
    assert m.get_content_type() == "multipart/alternative" and m["Message-ID"].endswith("@example.com>") and m["Date"] and m["Auto-Submitted"]
    assert [p.get_content_type() for p in m.iter_parts()] == ["text/plain", "text/html"]
    assert name in mail.text and TITLE in mail.text and "<b>\"" not in mail.html and "Kade &lt;b&gt;" in mail.html
    assert took < 10                                            # it was woken; by its clock alone it could be fifteen
    visitor = api.Api(kade)
    assert visitor.http.head(kade.base + mail.path, allow_redirects=False).status_code in (404, 405)
    r = visitor.get(mail.path)
    assert r.status_code == 302 and r.headers["Location"] == f"{kade.base}/", r.text
    assert is_signed_in(visitor, name) and visitor.get("user/").json()["verified"] is True
    bad_link(api.Api(kade).get(mail.path))                      # once
    api.Session(kade, name)
    assert api.logs(kade, "user_create", username=name)[0][2]["email"] == to
    assert kade.sql("SELECT count(*) FROM queue_item WHERE queue = 'mail'")[0][0] == 0


def test_sign_up_needs_an_address(kade):
    for bad, text in ((None, "Email address is required"), ("", "Email address is required"), ("x", "Invalid email address"),
                      ("a@b.example\r\nBcc: c@d.example", "Invalid email address"), ("a@b.example>", "Invalid email address"),
                      ("a b@c.example", "Invalid email address"), ("a@localhost", "Invalid email address"), ("a,b@c.example", "Invalid email address")):
        _, _, r = sign_up(kade, bad)
        api.error(r, 400, "invalid_request", text)
    to = address()
    sign_up(kade, to)
    _, _, r = sign_up(kade, to.upper())
    assert r.status_code == 400 and "already exists" in r.text


@pytest.mark.parametrize("to", ["o'neil+tag@example.com", '"(odd)"@example.com', "gr\u00fc\u00df@example.com", "\ud64d\uae38\ub3d9@example.com"])
def test_odd_addresses(kade, box, to):
    to = to.replace("@", f"{secrets.token_hex(3)}@") if not to.startswith('"') else to.replace('"@', f'{secrets.token_hex(3)}"@')
    _, _, r = sign_up(kade, to)
    assert r.json() == {"awaiting_verification": True}, r.text
    assert box.next_to(to).to == [to]


@pytest.mark.parametrize("code", ["", "x", "A" * 4000, "PHNjcmlwdD4=", "%00", "' OR 1=1--"])
@pytest.mark.parametrize("path", ["confirm", "recovery", "authrepoemail", "confirminvite"])
def test_bad_codes(kade, path, code):
    r = api.Api(kade).get(f"/{path}", params={"code": code})
    bad_link(r)
    assert "script" not in r.text


def test_codes_end(kade, box):
    to = address()
    name, _, _ = sign_up(kade, to)
    mail = box.next_to(to)
    kade.sql("UPDATE account_code SET expires_ms = kade_now_ms() - 1 WHERE account_id = (SELECT id FROM account WHERE name = %s)", name)
    bad_link(api.Api(kade).get(mail.path))
    assert kade.sql("SELECT is_verified FROM account WHERE name = %s", name) == [(False,)]
    # A code of one use is none for another.
    kade.sql("UPDATE account_code SET expires_ms = kade_now_ms() + 100000")
    bad_link(api.Api(kade).get(mail.path.replace("/confirm", "/recovery")))
    # Nor does it let in somebody who was locked out meanwhile.
    kade.sql("UPDATE account SET is_enabled = false WHERE name = %s", name)
    bad_link(api.Api(kade).get(mail.path))


def test_change_of_address(kade, box):
    me, other, to = api.person(kade), api.person(kade), address()
    old = f"{me.user}@example.com"
    api.error(me.put("user/", {"email": f"{other.user}@example.com"}), 400, "invalid_request", "E-mail address already used")
    api.error(me.put("user/", {"email": "a@b.example\nX: y"}), 400, "invalid_request", "Invalid email address")
    r = me.put("user/", {"email": to})
    assert r.status_code == 200 and r.json()["email"] == old
    mail = box.next_to(to)
    assert mail.subject == "[Kade] E-mail address change requested" and me.get("user/").json()["email"] == old
    visitor = api.Api(kade)
    r = visitor.get(mail.path)
    assert r.status_code == 302 and r.headers["Location"] == f"{kade.base}/user/{me.user}?tab=settings"
    assert is_signed_in(visitor, me.user) and me.get("user/").json()["email"] == to
    told = box.next_to(old)
    assert told.subject == "[Kade] Account e-mail address changed" and me.user in told.text and "?code=" not in told.text
    assert api.logs(kade, "user_change_email", email=to)[0] == (me.user, me.user, {"email": to, "old_email": old})
    # Taken by somebody else between the mail and the click.
    third = address()
    me.put("user/", {"email": third})
    mail = box.next_to(third)
    kade.sql("UPDATE account SET email = %s WHERE name = %s", third, other.user)
    r = api.Api(kade).get(mail.path)
    assert r.status_code == 200 and "belongs to another account" in r.text and me.get("user/").json()["email"] == to


# -- recovery


def test_recovery(kade, box):
    me = api.person(kade)
    to = f"{me.user}@example.com"
    nobody = address()
    answers = [api.anonymous(kade).post("recovery", {"email": e}) for e in (to.upper(), nobody, "no address", "x@y\r\nz")]
    assert [(r.status_code, r.json()) for r in answers] == [(200, {"status": "sent"})] * 4
    mail = box.next_to(to)
    kade.secrets.add(mail.code)
    assert mail.subject == "[Kade] Account recovery" and "/recovery?code=" in mail.link
    assert until(lambda: not kade.sql("SELECT 1 FROM queue_item WHERE queue = 'mail'"), what="an empty queue")
    assert box.to(nobody) == []
    for table in ("account_code", "queue_item"):
        assert mail.code not in str(kade.sql(f"SELECT * FROM {table}"))
    second = api.anonymous(kade)
    second.post("recovery", {"email": to})
    later = box.next_to(to, 2)
    visitor = api.Api(kade)
    r = visitor.get(mail.path)
    assert r.status_code == 302 and r.headers["Location"] == f"{kade.base}/user/{me.user}?tab=settings&action=password"
    assert r.headers["Cache-Control"] == "no-store" and r.headers["Referrer-Policy"] == "no-referrer"
    bad_link(api.Api(kade).get(mail.path))
    bad_link(api.Api(kade).get(later.path))                     # the others of the account went with it
    visitor.take_csrf()
    new = secrets.token_urlsafe(12)
    kade.secrets.add(new)
    r = visitor.put("user/", {"password": new})
    assert r.status_code == 200, r.text
    told = box.next_to(to, 3)
    assert told.subject == "[Kade] Account password changed" and "?code=" not in told.text and new not in told.raw.decode()
    assert me.get("user/").status_code == 401                   # sessions of before have ended
    kade.users[me.user] = new
    api.Session(kade, me.user)
    assert ("by the link in a mail",) in [(m.get("message"),) for _, _, m in api.logs(kade, "login_success", username=me.user)]


def test_recovery_of_an_organization(kade, box):
    boss = api.person(kade)
    org, to = api.organization(kade, boss, f"org-{secrets.token_hex(4)}"), address()
    assert boss.put(f"organization/{org}", {"email": to}).status_code == 200
    r = api.anonymous(kade).post("recovery", {"email": to})
    keep = len(org) // 3 - 1
    assert r.json() == {"status": "org", "orgemail": to, "orgname": org[:keep] + "\u2022" * (len(org) - 2 * keep) + org[-keep:]}
    mail = box.next_to(to)
    assert f"{org}, administrated by {boss.user}" in mail.text and "?code=" not in mail.text


def test_recovery_changes_with_the_account(kade, box):
    """A link to an address that is no longer the account's, or older than its password, opens nothing."""
    for change in ("email", "password"):
        me = api.person(kade)
        to = f"{me.user}@example.com"
        api.anonymous(kade).post("recovery", {"email": to})
        mail = box.next_to(to)
        if change == "email":
            api.Session(kade, "admin").put(f"superuser/users/{me.user}", {"email": address()})
        else:
            kade.set_password(me.user)
            kade.sql("SELECT 1")
            api.Session(kade, me.user).put("user/", {"password": secrets.token_urlsafe(12)})
        bad_link(api.Api(kade).get(mail.path))


def test_recovery_needs_csrf_and_a_body(kade):
    assert api.Api(kade).post("recovery", {"email": "a@b.example"}).status_code == 403
    api.error(api.anonymous(kade).post("recovery", {}), 400, "invalid_request")


def test_too_many_to_one_address(quiet):
    me = api.person(quiet)
    a = api.anonymous(quiet)
    for _ in range(7):
        assert a.post("recovery", {"email": f"{me.user}@example.com"}).json() == {"status": "sent"}
    assert len(Job(quiet).queue()) == 4                         # the rest is dropped, in silence
    other = api.person(quiet)
    repo = api.repository(quiet, f"{other.user}/r")
    codes = [other.post(f"repository/{repo}/authorizedemail/x{other.user}@example.com").status_code for _ in range(5)]
    assert codes == [200] * 4 + [429]


def test_superusers_send_recovery(kade, box):
    su, me = api.Session(kade, "admin"), api.person(kade)
    r = su.post(f"superusers/users/{me.user}/sendrecovery")
    assert r.status_code == 200 and r.json() == {"email": f"{me.user}@example.com"}
    mail = box.next_to(f"{me.user}@example.com")
    visitor = api.Api(kade)
    assert visitor.get(mail.path).status_code == 302 and is_signed_in(visitor, me.user)
    api.error(su.post("superusers/users/no-such-user/sendrecovery"), 404, "not_found")
    api.error(su.post("superusers/users/admin/sendrecovery"), 400, "invalid_request")
    assert me.post("superusers/users/admin/sendrecovery").status_code == 403


def test_users_made_by_superusers_confirm(kade, box):
    to, name = address(), f"n{secrets.token_hex(5)}"
    su = api.Session(kade, "admin")
    r = su.post("superuser/users/", {"username": name, "email": to})
    assert r.status_code == 200, r.text
    kade.secrets.update((r.json()["password"], r.json()["encrypted_password"]))
    api.message(su.post("superuser/users/", {"username": f"{name}x"}), 400, "Invalid email address")
    mail = box.next_to(to)
    a = api.anonymous(kade)
    assert a.post("signin", {"username": name, "password": r.json()["password"]}).json()["needsEmailVerification"] is True
    assert api.Api(kade).get(mail.path).status_code == 302
    assert a.post("signin", {"username": name, "password": r.json()["password"]}).json() == {"success": True}


# -- invitations


@pytest.fixture
def boss(kade):
    return api.person(kade)


@pytest.fixture
def org(kade, boss):
    o = api.organization(kade, boss)
    for t in ("devs", "ops"):
        assert boss.put(f"organization/{o}/team/{t}", {"role": "member"}).status_code == 200
    return o


def members(boss, org, team="devs", pending=False):
    found = boss.get(f"organization/{org}/team/{team}/members", params={"includePending": "true"} if pending else {}).json()["members"]
    return [m.get("name") or m["email"] for m in found]


def test_a_user_is_invited(kade, box, boss, org):
    guest, stranger = api.person(kade), api.person(kade)
    r = boss.put(f"organization/{org}/team/devs/members/{guest.user}")
    assert r.status_code == 200 and r.json()["invited"] is True and r.json()["name"] == guest.user
    assert members(boss, org) == [] and members(boss, org, pending=True) == [guest.user]
    assert api.logs(kade, "org_invite_team_member", member=guest.user)[0] == (org, boss.user, {"user": guest.user, "member": guest.user, "team": "devs"})
    boss.put(f"organization/{org}/team/ops/members/{guest.user}")
    note = [n for n in guest.get("user/notifications").json()["notifications"] if n["kind"] == "org_team_invite" and n["metadata"]["team"] == "devs"][0]["metadata"]
    assert note["inviter"] == boss.user and note["org"] == org and note["code"].startswith("urn:teaminvite:")
    mail = box.next_to(f"{guest.user}@example.com")
    assert mail.subject == "[Kade] Invitation to join the team devs" and mail.code == note["code"] and boss.user in mail.text and org in mail.html
    assert note["code"] not in str(kade.sql("SELECT * FROM team_invite"))
    api.message(stranger.put(f"teaminvite/{note['code']}"), 400)
    api.message(stranger.delete(f"teaminvite/{note['code']}"), 400)
    api.message(guest.put("teaminvite/urn:teaminvite:none"), 400)
    assert api.Api(kade).put(f"teaminvite/{note['code']}").status_code == 403
    r = guest.put(f"teaminvite/{note['code']}")
    assert r.status_code == 200 and r.json() == {"org": org, "team": "devs"}
    assert members(boss, org) == members(boss, org, "ops") == [guest.user]              # all of the organization's at once
    assert [n for n in guest.get("user/notifications").json()["notifications"] if n["kind"] == "org_team_invite"] == []
    assert {m["team"] for n, p, m in api.logs(kade, "org_team_member_invite_accepted", member=guest.user) if n == org and p == guest.user} == {"devs", "ops"}
    api.message(guest.put(f"teaminvite/{note['code']}"), 400)
    # Somebody who is in the organization already is not asked.
    assert boss.put(f"organization/{org}/team/owners/members/{guest.user}").json()["invited"] is False


def test_declined_and_taken_back(kade, box, boss, org):
    guest = api.person(kade)
    path = f"organization/{org}/team/devs/members/{guest.user}"
    boss.put(path)
    code = guest.get("user/notifications").json()["notifications"][0]["metadata"]["code"]
    boss.put(path)                                                                       # anew: the old code ends
    api.message(guest.put(f"teaminvite/{code}"), 400)
    notes = guest.get("user/notifications").json()["notifications"]
    assert len(notes) == 1
    assert guest.delete(f"teaminvite/{notes[0]['metadata']['code']}").status_code == 204
    assert members(boss, org, pending=True) == [] and guest.get("user/notifications").json()["notifications"] == []
    assert api.logs(kade, "org_team_member_invite_declined", member=guest.user)[0][:2] == (org, guest.user)
    boss.put(path)
    assert boss.delete(path).status_code == 204
    assert guest.get("user/notifications").json()["notifications"] == [] and members(boss, org, pending=True) == []


def test_an_address_is_invited(kade, box, boss, org):
    to = address()
    path = f"organization/{org}/team/devs/invite/{to}"
    r = boss.put(path)
    assert r.status_code == 200 and r.json()["email"] == to and r.json()["kind"] == "invite" and r.json()["invited"] is True and "avatar" in r.json()
    assert api.logs(kade, "org_invite_team_member", email=to)[0] == (org, boss.user, {"email": to, "team": "devs", "member": to})
    assert members(boss, org, pending=True) == [to]
    mail = box.next_to(to)
    assert "/confirminvite?code=" in mail.link
    page = api.Api(kade).get(mail.path)
    assert page.status_code == 200 and "Sign in" in page.text and org in page.text and "<form" not in page.text
    # An account with that address needs no other mail: the code came there.
    name, a, r = sign_up(kade, to, invite_code=mail.code)
    assert r.status_code == 200 and r.json()["username"] == name and r.json()["verified"] is True, r.text
    other = api.person(kade)
    page = other.get(mail.path)
    assert "for somebody else" in page.text and "<form" not in page.text
    page = a.get(mail.path)
    token = re.search(r'name="_csrf_token" value="([^"]+)"', page.text)[1]
    form = {"code": mail.code, "answer": "accept"}
    assert a.call("POST", "/confirminvite", data={**form, "_csrf_token": "x"}, headers={"X-CSRF-Token": None}).status_code == 403
    assert members(boss, org) == []
    r = a.call("POST", "/confirminvite", data={**form, "_csrf_token": token}, headers={"X-CSRF-Token": None})
    assert r.status_code == 200 and "You are in the team devs" in r.text and members(boss, org) == [name]
    # Taken back.
    to = address()
    assert boss.put(f"organization/{org}/team/devs/invite/{to}").status_code == 200
    assert boss.delete(f"organization/{org}/team/devs/invite/{to}").status_code == 204
    assert boss.delete(f"organization/{org}/team/devs/invite/{to}").status_code == 404
    assert api.logs(kade, "org_delete_team_member_invite", email=to)[0][2] == {"email": to, "team": "devs", "member": to}
    api.error(boss.put(f"organization/{org}/team/none/invite/{to}"), 404, "not_found")


def test_an_invitation_is_for_a_confirmed_address(kade, box, boss, org):
    """Who claims an address that is not his gets nothing of what was sent there."""
    to = address()
    boss.put(f"organization/{org}/team/devs/invite/{to}")
    code = box.next_to(to).code
    thief = api.person(kade)
    kade.sql("UPDATE account SET email = %s, is_verified = false WHERE name = %s", to, thief.user)
    api.message(thief.put(f"teaminvite/{code}"), 400)
    kade.sql("UPDATE account SET is_verified = true WHERE name = %s", thief.user)
    kade.sql("UPDATE team_invite SET created_ms = created_ms - 31 * 86400000::int8")
    api.message(thief.put(f"teaminvite/{code}"), 400)
    assert members(boss, org, pending=True) == []
    r = run_as(kade.user, [str(kade.servers.bin / "kade-tokens"), "--config", str(kade.config_file)])
    assert r.returncode == 0 and kade.sql("SELECT count(*) FROM team_invite WHERE email = %s", to) == [(0,)]


@pytest.mark.parametrize("bad", ["a%0d%0aBcc:x@example.com", "a%40b", "a%3e@b.example", "%00a@b.example", "a%20b@c.example", "a%22b@c.example"])
def test_hostile_addresses(kade, box, boss, org, bad):
    before = len(box.mails)
    assert boss.put(f"organization/{org}/team/devs/invite/{bad}").status_code in (400, 404)
    repo = api.repository(kade, f"{boss.user}/r{secrets.token_hex(3)}")
    assert boss.post(f"repository/{repo}/authorizedemail/{bad}").status_code in (400, 404)
    assert len(box.mails) == before and kade.sql("SELECT count(*) FROM repository_email e JOIN repository r ON r.id = e.repository_id WHERE r.name = %s", repo.split("/")[1]) == [(0,)]


# -- addresses for notifications


def test_authorized_email(kade, box):
    me, other, to = api.person(kade), api.person(kade), address()
    repo = api.repository(kade, f"{me.user}/app")
    path = f"repository/{repo}/authorizedemail/{to}"
    note = {"event": "repo_push", "method": "email", "config": {"email": to}, "eventConfig": {}}
    assert me.get(path).status_code == 404
    assert me.post(f"repository/{repo}/notification/", note).status_code == 400
    want = {"email": to, "repository": "app", "namespace": me.user, "confirmed": False}
    r = me.post(path)
    assert r.status_code == 200 and r.json() == want
    assert me.get(path).json() == want and other.get(path).status_code == 403
    mail = box.next_to(to)
    assert mail.subject == f"[Kade] Please verify your e-mail address for repository {repo}"
    bad_link(api.Api(kade).get(f"/authrepoemail?code={'A' * 48}"))
    r = api.Api(kade).get(mail.path)
    assert r.status_code == 200 and repo in r.text and to in r.text and "Set-Cookie" not in r.headers
    bad_link(api.Api(kade).get(mail.path))
    assert me.get(path).json() == me.post(path).json() == {**want, "confirmed": True}
    assert len(box.to(to)) == 1
    r = me.post(f"repository/{repo}/notification/", note)
    assert r.status_code == 201 and r.json()["config"] == {"email": to}
    repo2 = api.repository(kade, f"{me.user}/app2")
    assert me.post(f"repository/{repo2}/notification/", note).status_code == 400         # for that repository alone


def test_external_login(kade):
    a = api.anonymous(kade)
    api.error(a.post("externallogin/github", {"kind": "login"}), 400, "invalid_request")
    api.error(a.post("externallogin/github", {"kind": "nonsense"}), 400, "invalid_request")
    assert api.Api(kade).post("externallogin/github", {"kind": "login"}).status_code == 403


# -- the job and its server


def recovery_for(stack):
    me = api.person(stack)
    assert api.anonymous(stack).post("recovery", {"email": f"{me.user}@example.com"}).json() == {"status": "sent"}
    return f"{me.user}@example.com"


def test_outage(quiet, box):
    job, to = Job(quiet), recovery_for(quiet)
    box.stop()
    try:
        job.run(code=1)
        (left, wait_ms, lease), = job.queue()
        assert left == 10 and 0 < wait_ms <= 10_000 and lease is None                    # no try is used up
        for _ in range(12):                                                              # however long it lasts
            job.due_now()
            job.run(code=1)
        assert job.queue()[0][0] == 10
    finally:
        box.start()
    assert json.loads(job.run("--status").stdout)["failed"] == 1
    job.due_now()
    assert json.loads(job.run("--json").stdout)["done"] == 1
    assert len(box.to(to)) == 1 and job.queue() == []


def test_after_an_outage_by_itself(quiet, box):
    to = recovery_for(quiet)
    box.stop()
    p = Job(quiet).resident("--interval", "1")
    try:
        until(lambda: quiet.sql("SELECT 1 FROM job_run WHERE job = 'mail' AND failed > 0 AND started_ms > kade_now_ms() - 60000"), what="a failed run")
        box.start()
        assert box.next_to(to, seconds=30)
    finally:
        p.send_signal(signal.SIGTERM)
        assert p.wait(20) == 0
        if box.controller is None:
            box.start()


def test_refused_for_now(quiet, box):
    job, to = Job(quiet), recovery_for(quiet)
    box.reply = "451 4.3.0 not now"
    waits = []
    for left in range(9, -1, -1):
        job.due_now()
        job.run(code=1)
        (have, wait_ms, _), = job.queue()
        assert have == left
        waits.append(wait_ms)
    expected = [min(10_000 * 3 ** n, 3_600_000) for n in range(10)]
    assert all(e - 5000 < w <= e for w, e in zip(waits, expected)), waits
    box.reply = None
    seen = box.seen
    job.due_now()
    job.run()                                                                            # given up
    assert box.seen == seen and box.to(to) == []
    quiet.sql("UPDATE queue_item SET expires_ms = 1")
    job.run()
    assert job.queue() == []


@pytest.mark.parametrize("where", ["rcpt", "reply"])
def test_refused_for_good(quiet, box, where):
    job, to = Job(quiet), recovery_for(quiet)
    setattr(box, where, "550 5.1.1 no such mailbox")
    r = job.run(code=1)
    assert "given up" in r.stderr + r.stdout and "550" in r.stderr + r.stdout and to not in r.stderr + r.stdout
    assert job.queue()[0][0] == 0
    setattr(box, where, None)
    other = recovery_for(quiet)
    job.run()
    assert box.to(to) == [] and len(box.to(other)) == 1


@pytest.mark.parametrize("reply", ["550 5.7.1 who are you", "530 5.7.0 log in first", "421 4.3.2 closing"])
def test_a_refused_sender_costs_no_mail(quiet, box, reply):
    job, to = Job(quiet), recovery_for(quiet)
    box.mail_from = reply
    job.run(code=1)
    assert job.queue()[0][0] == 10
    box.mail_from = None
    job.due_now()
    job.run()
    assert len(box.to(to)) == 1


def test_one_that_is_refused_holds_nobody_up(quiet, box):
    first, second = recovery_for(quiet), recovery_for(quiet)
    async def refuse(server, session, envelope, address, options):
        if address == first:
            return "550 no"
        envelope.rcpt_tos.append(address)
        return "250 OK"
    box.handle_RCPT, kept = refuse, box.handle_RCPT
    box.controller.stop()
    box.start()
    try:
        Job(quiet).run(code=1)
    finally:
        box.handle_RCPT = kept
        box.stop()
        box.start()
    assert box.to(first) == [] and len(box.to(second)) == 1


def test_slow_server(quiet, box):
    """Who asks does not wait for the mail server; a mail that takes long is sent once."""
    box.delay_s = 3
    p = Job(quiet).resident()
    try:
        start = time.monotonic()
        to = recovery_for(quiet)
        asked = time.monotonic() - start
        assert len(box.next_to(to).to) == 1 and asked < time.monotonic() - start
        assert until(lambda: Job(quiet).queue() == [], what="an empty queue")
    finally:
        p.send_signal(signal.SIGTERM)
        assert p.wait(40) == 0
    assert len(box.to(to)) == 1


def test_a_killed_job_loses_nothing(quiet, box):
    job, to = Job(quiet), recovery_for(quiet)
    box.delay_s = 30
    p = job.resident()
    until(lambda: job.queue() and job.queue()[0][2], what="a claimed mail")
    p.kill()
    p.wait()
    box.delay_s = 0
    job.run()                                                                            # the lease holds
    assert box.to(to) == [] and len(job.queue()) == 1
    job.due_now()
    job.run()
    assert len(box.to(to)) >= 1 and len({m.message["Message-ID"] for m in box.to(to)}) == 1 and job.queue() == []


def test_two_jobs_send_once(quiet, box):
    to = [recovery_for(quiet) for _ in range(6)]
    jobs = [subprocess.Popen(["setpriv", f"--reuid={quiet.user}", "--clear-groups", "--", "env", f"QUAY_OVERRIDE_CONFIG={over}", *Job(quiet).words()],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for over in ("{}", json.dumps({"KADE": {**quiet.config["KADE"], "STATE_DIR": str(quiet.folder / "state2")}}))]
    (quiet.folder / "state2").mkdir(exist_ok=True)
    shutil.chown(quiet.folder / "state2", quiet.user)
    for p in jobs:
        p.wait(60)
    Job(quiet).run()
    assert [len(box.to(t)) for t in to] == [1] * 6


def test_a_mail_that_cannot_be_read(quiet, box):
    job, to = Job(quiet), recovery_for(quiet)
    quiet.sql("UPDATE queue_item SET body = 'v1$$AAAA' || substr(body, 9)")
    job.run(code=1)
    assert job.queue()[0][0] == 0 and box.to(to) == []


def test_off(quiet, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps({**quiet.config, "FEATURE_MAILING": False}))
    assert subprocess.run([str(quiet.servers.bin / "kade-mail"), "--config", str(config)], capture_output=True).returncode == 3


def test_tls(quiet, tmp_path):
    """STARTTLS with a trusted certificate and a log-in; one that is not trusted, one of another host, a server without TLS, and a
    wrong password send nothing."""
    job, to = Job(quiet), recovery_for(quiet)
    password = secrets.token_urlsafe(12)
    quiet.secrets.add(password)
    cert, foreign = certificate(tmp_path), certificate(tmp_path, "other.example")
    trusted = quiet.folder / "extra_ca_certs"
    trusted.mkdir()
    shutil.copy(cert[0], trusted / "mail.crt")
    shutil.copy(foreign[0], trusted / "other.crt")
    changed = {"MAIL_USE_TLS": True, "MAIL_USERNAME": "kade", "MAIL_PASSWORD": password}
    kept = {k: quiet.config.get(k) for k in ("MAIL_PORT", "MAIL_USE_TLS", "MAIL_USERNAME", "MAIL_PASSWORD")}
    boxes = []

    def server(**kw):
        boxes.append(Postbox(**kw))
        return boxes[-1]

    def attempt(box, code, words="", **more):
        quiet.write_config({**changed, **more, "MAIL_PORT": box.port})
        job.due_now()
        r = job.run(code=code)
        assert words in r.stderr + r.stdout, r.stderr + r.stdout
        return [m.to for m in box.mails]

    try:
        assert attempt(server(), 1, "STARTTLS") == []
        assert attempt(server(tls=foreign, user="kade", password=password), 1, "certificate") == []
        strange = certificate(tmp_path, "localhost")                                     # a new one: not the trusted
        assert attempt(server(tls=strange, user="kade", password=password), 1, "certificate") == []
        wrong = server(tls=strange, user="kade", password="another")
        shutil.copy(strange[0], trusted / "mail.crt")
        assert attempt(wrong, 1, "log-in was refused") == [] and wrong.logins == [False] * len(wrong.logins) and wrong.logins
        assert job.queue()[0][0] == 10                                                   # none of it is the mail's fault
        good = server(tls=strange, user="kade", password=password)
        assert attempt(good, 0) == [[to]] and good.logins == [True]
    finally:
        for b in boxes:
            b.stop()
        quiet.write_config(kept)
        shutil.rmtree(trusted)


@pytest.mark.config(KADE={"LANGUAGE": "ko"}, FEATURE_MAILING=True, MAIL_SERVER="localhost", MAIL_PORT=1, MAIL_USE_TLS=False,
                    BRANDING={"logo": "/static/img/\"logo\".svg"}, FEATURE_INVITE_ONLY_USER_CREATION=True)
def test_korean_logo_and_invited_only(alone, box):
    alone.write_config({"MAIL_PORT": box.port})
    to = address()
    _, _, r = sign_up(alone, to)
    api.error(r, 400, "invalid_request", "Cannot create non-invited user")
    boss = api.person(alone)
    org = api.organization(alone, boss)
    assert boss.put(f"organization/{org}/team/owners/invite/{to}").status_code == 200
    Job(alone).run()
    mail = box.next_to(to)
    assert "초대" in mail.subject and "초대했습니다" in mail.text and 'lang="ko"' in mail.html and mail.message["Content-Language"] == "ko"
    assert all(len(line) <= 998 for line in mail.raw.splitlines()) and mail.raw.decode().isascii()
    assert f"{alone.base}/static/img/&quot;logo&quot;.svg" in mail.html
    name, a, r = sign_up(alone, to, invite_code=mail.code)
    assert r.status_code == 200 and r.json()["username"] == name
    assert a.put(f"teaminvite/{mail.code}").json() == {"org": org, "team": "owners"}
