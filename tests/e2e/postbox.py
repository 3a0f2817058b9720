"""A real mail server on loopback (aiosmtpd) that keeps what it took, and can misbehave as servers do; and what tests read out of
mails: the link, the code, both forms of the body."""

import email
import email.policy
import re
import ssl
import subprocess
import time
import urllib.parse

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from stack import free_port, until


class Mail:
    """One mail as it came: envelope and message."""

    def __init__(self, envelope, peer):
        self.sender, self.to, self.peer = envelope.mail_from, envelope.rcpt_tos, peer
        self.raw = envelope.original_content
        self.message = email.message_from_bytes(self.raw, policy=email.policy.default)

    def part(self, kind):
        return self.message.get_body((kind,)).get_content()

    @property
    def text(self):
        return self.part("plain").replace("\r\n", "\n")

    @property
    def html(self):
        return self.part("html")

    @property
    def subject(self):
        return self.message["Subject"]

    @property
    def link(self):
        return re.search(r"^https?://\S+\?code=\S+$", self.text, re.M)[0]

    @property
    def path(self):
        """The link without scheme and host."""
        u = urllib.parse.urlsplit(self.link)
        return f"{u.path}?{u.query}"

    @property
    def code(self):
        return urllib.parse.parse_qs(urllib.parse.urlsplit(self.link).query)["code"][0]


class Postbox:
    """start() and stop() may be called again and again: an outage. reply: what DATA is answered with instead of being taken;
    delay_s: how long it thinks before; rcpt, mail_from: what RCPT and MAIL are answered with."""

    def __init__(self, tls=None, user=None, password=None, port=None):
        self.port = port or free_port()
        self.mails, self.seen, self.reply, self.rcpt, self.mail_from, self.delay_s = [], 0, None, None, None, 0
        self.logins = []
        self.user, self.password = user, password
        self.tls = tls
        self.controller = None
        self.start()

    def start(self):
        kw = {}
        if self.tls:
            kw["tls_context"] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            kw["tls_context"].load_cert_chain(*self.tls)
            kw["require_starttls"] = True
        if self.user:
            kw.update(authenticator=self._authenticate, auth_required=True, auth_require_tls=bool(self.tls))
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port, enable_SMTPUTF8=True, **kw)
        self.controller.start()
        return self

    def stop(self):
        if self.controller:
            self.controller.stop()
            self.controller = None

    def _authenticate(self, server, session, envelope, mechanism, data):
        assert isinstance(data, LoginPassword)
        ok = (data.login.decode(), data.password.decode()) == (self.user, self.password)
        self.logins.append(ok)
        return AuthResult(success=ok, handled=False)

    async def handle_MAIL(self, server: SMTP, session, envelope, address, options):
        if self.mail_from:
            return self.mail_from
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, server: SMTP, session, envelope, address, options):
        if self.rcpt:
            return self.rcpt
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        import asyncio

        self.seen += 1
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if self.reply:
            return self.reply
        self.mails.append(Mail(envelope, session.peer))
        return "250 taken"

    def to(self, address):
        return [m for m in self.mails if m.to == [address]]

    def next_to(self, address, n=1, seconds=20):
        """The n-th mail to that address, waited for."""
        return until(lambda: (self.to(address) + [None] * n)[n - 1], seconds, f"mail {n} to {address}")


def certificate(folder, name="localhost"):
    """A self-signed certificate: (certificate, key)."""
    crt, key = folder / f"{name}.crt", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout", key, "-out", crt,
                    "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"], check=True, capture_output=True)
    return str(crt), str(key)


def seconds_since(t):
    return time.monotonic() - t
