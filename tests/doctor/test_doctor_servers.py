"""kade-doctor against real web servers with right and with deliberately wrong settings: a right one has no failure, each
wrong one is found and its directive is named. The registry behind them is a test peer (peer.c), which says so."""
import json
import os
import re
import socket
import subprocess
import threading
import time

import pytest

import doctor_stack as servers

BUILD = os.environ.get("KADE_BUILD") or os.getcwd()
DOCTOR = f"{BUILD}/kade-doctor"
PEER = f"{BUILD}/tests/doctor/doctor-peer"
PASSWORD = "correct horse"


@pytest.fixture
def stack():
    s = servers.Stack(PEER)
    yield s
    s.close()


def doctor(stack, *options, credentials=True, check_secret=True):
    password = stack.write("password", PASSWORD + "\n")
    os.chmod(password, 0o600)
    login = ("--user", "doctor", "--password-file", password) if credentials else ()
    p = subprocess.run([DOCTOR, *login, "--json", *options, f"{stack.scheme}://{stack.authority}"],
                       capture_output=True, text=True, timeout=300)
    assert p.stderr == "" and "Sanitizer" not in p.stdout, p.stderr
    for secret in (PASSWORD, "ZG9jdG9yOmNvcnJlY3QgaG9yc2U", "eyJhY2Nlc3Mi"):
        assert not check_secret or secret not in p.stdout
    out = json.loads(p.stdout)
    out["exit"] = p.returncode
    return out


def bad(out, verdict="FAIL"):
    return {c["name"]: c for c in out["checks"] if c["verdict"] == verdict}


def advice(out):
    return "\n".join(a for c in out["checks"] for a in c.get("advice", []))


def nothing_left(stack):
    """Of what the run made only tags' links may stay: the peer does not remove them with their manifest."""
    end = time.monotonic() + 10
    while (left := [f for f in stack.state() if not f.startswith("tag-")]) and time.monotonic() < end:
        time.sleep(0.05)  # a worker may still be busy with a request that was cut
    return left == []


def test_lighttpd_right(stack):
    servers.lighttpd(stack)
    out = doctor(stack)
    assert (out["exit"], bad(out), out["server_kind"]) == (0, {}, "lighttpd")
    assert bad(out, "warn") == {} and bad(out, "skip") == {}
    assert nothing_left(stack)


def test_apache_proxy_right(stack):
    servers.apache_proxy(stack)
    out = doctor(stack)
    assert (out["exit"], bad(out), bad(out, "skip")) == (0, {}, {})
    assert out["server_kind"].startswith("Apache")
    assert nothing_left(stack)


def test_apache_fcgid_right(stack):
    """mod_fcgid always takes the body first: two warnings, no failure."""
    servers.apache_fcgid(stack)
    out = doctor(stack)
    assert (out["exit"], bad(out)) == (0, {})
    assert set(bad(out, "warn")) >= {"refusal, length known", "refusal, chunked"}
    assert nothing_left(stack)


def test_nginx_right(stack):
    servers.nginx(stack)
    out = doctor(stack)
    assert (out["exit"], bad(out), bad(out, "skip"), out["server_kind"]) == (0, {}, {}, "nginx")
    assert nothing_left(stack)


def test_lighttpd_streaming_everything(stack):
    servers.lighttpd(stack, "server.stream-request-body = 1\n")
    out = doctor(stack, "--large-mib", "8")
    assert out["exit"] == 1
    assert "411" in bad(out)["chunked upload"]["seen"]
    assert '$REQUEST_HEADER["Content-Length"] != "" { server.stream-request-body = 1 }' in advice(out)
    assert nothing_left(stack)


def test_lighttpd_without_authorizer(stack):
    servers.lighttpd(stack, authorizer=False)
    out = doctor(stack)
    assert (out["exit"], set(bad(out, "warn"))) == (0, {"refusal, chunked"})
    assert '"mode" => "authorizer"' in advice(out)


def test_lighttpd_small_bodies(stack):
    servers.lighttpd(stack, servers.LIGHTTPD_GOOD + "server.max-request-size = 2048\n")
    out = doctor(stack)
    assert {"chunked upload", "large upload", "body limit"} <= set(bad(out))
    assert "server.max-request-size = 0" in advice(out)


@pytest.mark.skipif(not os.path.exists(f"{servers.LIGHTTPD_MODULES}/mod_deflate.so"), reason="lighttpd-mod-deflate is not installed")
def test_lighttpd_compression(stack):
    servers.lighttpd(stack, servers.LIGHTTPD_GOOD + 'server.modules += ( "mod_deflate" )\ndeflate.mimetypes = ( "application/" )\ndeflate.allowed-encodings = ( "gzip" )\n')
    out = doctor(stack, "--large-mib", "2")
    assert "compression" in bad(out)
    assert "deflate.mimetypes = ( )" in advice(out)


def test_apache_drops_authorization(stack):
    servers.apache_proxy(stack, servers.APACHE_GOOD.replace("CGIPassAuth On", ""))
    out = doctor(stack, "--large-mib", "2", "--server-hint", "apache-proxy-fcgi")
    assert "authorization" in bad(out) and "token" in bad(out, "skip")
    assert "CGIPassAuth On" in advice(out) and "FcgidPassHeader" not in advice(out)
    assert "authorization" in bad(doctor(stack, "--large-mib", "2", credentials=False))


def test_apache_drops_length(stack):
    servers.apache_proxy(stack, servers.APACHE_GOOD.replace("SetEnv ap_trust_cgilike_cl 1", ""))
    out = doctor(stack, "--large-mib", "2")
    assert {"head of a blob", "head of a manifest", "range"} <= set(bad(out))
    assert "SetEnv ap_trust_cgilike_cl 1" in advice(out)


def test_apache_encoded_slashes(stack):
    servers.apache_proxy(stack, servers.APACHE_GOOD.replace("AllowEncodedSlashes NoDecode", ""))
    out = doctor(stack, "--large-mib", "2")
    assert "path %2F" in bad(out, "warn")
    assert "AllowEncodedSlashes NoDecode" in advice(out)


def test_apache_deflate(stack):
    servers.apache_proxy(stack, servers.APACHE_GOOD + "SetOutputFilter DEFLATE\n")
    out = doctor(stack, "--large-mib", "2")
    assert "compression" in bad(out)
    assert "SetEnv no-gzip 1" in advice(out)


def test_apache_fcgid_body_limit(stack):
    """LimitRequestBody with mod_fcgid: bodies arrive cut or empty and look whole."""
    servers.apache_fcgid(stack, servers.FCGID_GOOD.replace("LimitRequestBody 0", "LimitRequestBody 1000000"))
    out = doctor(stack)
    assert {"chunked upload", "large upload"} <= set(bad(out))
    assert "LimitRequestBody 0" in advice(out)


def test_apache_fcgid_default_body_limit(stack):
    """The default, 1 GiB, is found without sending as much."""
    servers.apache_fcgid(stack, servers.FCGID_GOOD.replace("LimitRequestBody 0", ""))
    out = doctor(stack, "--large-mib", "2")
    assert set(bad(out)) == {"body limit"}
    assert "LimitRequestBody 0" in advice(out)


def test_apache_fcgid_defaults(stack):
    servers.apache_fcgid(stack, "FcgidPassHeader Authorization\n")
    out = doctor(stack)
    assert {"chunked upload", "large upload"} <= set(bad(out))
    assert out["server_kind"] == "Apache mod_fcgid"
    assert "FcgidMaxRequestLen 21474836480" in advice(out)


def test_apache_fcgid_drops_authorization(stack):
    servers.apache_fcgid(stack, servers.FCGID_GOOD.replace("FcgidPassHeader Authorization", ""))
    out = doctor(stack, "--large-mib", "2", "--server-hint", "apache-fcgid")
    assert "authorization" in bad(out)
    assert "FcgidPassHeader Authorization" in advice(out) and "CGIPassAuth" not in advice(out)


def test_nginx_default_limit(stack):
    servers.nginx(stack, "fastcgi_request_buffering off;\n")
    out = doctor(stack)
    assert {"chunked upload", "large upload", "body limit"} <= set(bad(out))
    assert "client_max_body_size 0;" in advice(out)


def test_nginx_gzip(stack):
    servers.nginx(stack, servers.NGINX_GOOD + "gzip on;\ngzip_types *;\ngzip_min_length 20;\n")
    out = doctor(stack, "--large-mib", "2")
    assert "compression" in bad(out)
    assert "gzip off;" in advice(out)


def test_nginx_spools(stack):
    servers.nginx(stack, "client_max_body_size 0;\n")
    out = doctor(stack)
    assert set(bad(out, "warn")) == {"refusal, length known", "refusal, chunked"}
    assert "fastcgi_request_buffering off;" in advice(out)


def test_nginx_one_accept_line(stack):
    servers.nginx(stack, servers.NGINX_GOOD + "fastcgi_param HTTP_ACCEPT $http_accept;\n")
    out = doctor(stack, "--large-mib", "2")
    assert "accept" in bad(out)
    assert "fastcgi_param HTTP_ACCEPT" in advice(out)


def test_apache_proxy_has_no_body_limit(stack):
    """mod_proxy_fcgi does not apply LimitRequestBody: nothing to find, nothing to blame."""
    servers.apache_proxy(stack, servers.APACHE_GOOD.replace("LimitRequestBody 0", "LimitRequestBody 1000000"))
    assert bad(doctor(stack)) == {}


def test_one_accept_line(stack):
    servers.nginx(stack, fault="first-accept")
    assert "accept" in bad(doctor(stack, "--large-mib", "2"))


def test_kept_part_of_a_cut(stack):
    """An offset that is honest about what was kept is right."""
    servers.nginx(stack, fault="keep-cut")
    out = doctor(stack, "--large-mib", "2")
    assert bad(out) == {}
    assert re.search(r"offset then [1-9]\d*, and the rest completed it", next(c["seen"] for c in out["checks"] if c["name"] == "cut upload"))


def test_wrong_offset_after_a_cut(stack):
    servers.nginx(stack, fault="corrupt-cut")
    assert set(bad(doctor(stack, "--large-mib", "2"))) == {"cut upload"}


def test_part_committed_as_whole(stack):
    servers.nginx(stack, fault="commit-cut")
    out = doctor(stack, "--large-mib", "2")
    assert "cut commit" in bad(out)


def test_wrong_password(stack):
    servers.nginx(stack)
    stack.write("wrong", "wrong horse\n")
    os.chmod(f"{stack.dir}/wrong", 0o600)
    out = doctor(stack, "--large-mib", "2", "--password-file", f"{stack.dir}/wrong")
    assert bad(out) and "authorization" not in bad(out) or "refuses the credentials" in bad(out)["authorization"]["seen"]


def test_wrong_name(stack):
    real = stack.authority
    stack.authority = "elsewhere.example"
    servers.nginx(stack)
    stack.authority = real
    out = doctor(stack, "--large-mib", "2")
    assert "challenge" in bad(out)
    assert f"SERVER_HOSTNAME: {real}" in advice(out)


def certificate(stack, name):
    pem = f"{stack.dir}/tls.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", pem + ".key", "-out", pem + ".crt",
                    "-days", "30", "-subj", "/CN=kade test", "-addext", f"subjectAltName={name}"], check=True, capture_output=True)
    stack.write("tls.pem", open(pem + ".key").read() + open(pem + ".crt").read())
    return pem


def test_tls(stack):
    pem = certificate(stack, "IP:127.0.0.1")
    servers.lighttpd(stack, tls=pem)
    assert bad(doctor(stack, "--cacert", pem + ".crt")) == {}
    out = doctor(stack)
    assert (out["exit"], set(bad(out))) == (1, {"TLS"}) and len(out["checks"]) == 2
    assert bad(doctor(stack, "--insecure", "--large-mib", "2")) == {}


def test_tls_other_name(stack):
    pem = certificate(stack, "DNS:other.example")
    servers.lighttpd(stack, tls=pem)
    out = doctor(stack, "--cacert", pem + ".crt")
    assert set(bad(out)) == {"TLS"}


def test_nobody_there(stack):
    p = subprocess.run([DOCTOR, f"http://127.0.0.1:{stack.port}"], capture_output=True, text=True, timeout=60)
    assert p.returncode == 5 and "connection refused" in p.stdout


@pytest.mark.parametrize("words", [
    [], ["ftp://x"], ["http://x/path"], ["http://a@b"], ["--large-mib", "0", "http://x"], ["--user", "x", "http://x"],
    ["--server-hint", "iis", "http://x"], ["--repository", "a/../b", "http://x"], ["http://x", "http://y"], ["--nonsense"]])
def test_usage(words):
    assert subprocess.run([DOCTOR, *words], capture_output=True, timeout=60).returncode == 2


def test_help():
    p = subprocess.run([DOCTOR, "--help"], capture_output=True, text=True)
    assert p.returncode == 0 and p.stdout.startswith("usage: kade-doctor")


def test_password_needs_tls(stack):
    password = stack.write("password", PASSWORD)
    p = subprocess.run([DOCTOR, "--user", "doctor", "--password-file", password, "http://192.0.2.1"], capture_output=True, text=True,
                       timeout=60)
    assert p.returncode == 2 and "without TLS" in p.stderr


class Hostile:
    """A server that answers every connection with the same bytes."""

    def __init__(self, answer):
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.answer, self.port = answer, self.sock.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                c, _ = self.sock.accept()
            except OSError:
                return
            with c:
                try:
                    c.settimeout(5)
                    c.recv(65536)
                    c.sendall(self.answer)
                except OSError:
                    pass


OK_HEAD = b"HTTP/1.1 401 x\r\nDocker-Distribution-API-Version: registry/2.0\r\n"
CHALLENGE = b'WWW-Authenticate: Bearer realm="http://x/",service="y"\r\n'


@pytest.mark.parametrize("answer", [
    b"", b"\r\n\r\n", b"HTTP/1.1 999 x\r\n\r\n", b"HTTP/1.1 -01 x\r\n\r\n", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 401",
    b"HTTP/1.1 200 x\r\n" + b"a: b\r\n" * 200 + b"\r\n", b"HTTP/1.1 200 x\r\na: " + b"x" * 100000 + b"\r\n\r\n",
    b"HTTP/1.1 100 x\r\n\r\n" * 100, b"HTTP/1.1 200 x\r\nno colon\r\n\r\n",
    OK_HEAD + b"Content-Length: -5\r\n\r\n", OK_HEAD + b"Content-Length: 99999999999999999999\r\n\r\n",
    OK_HEAD + b"Content-Length: 100\r\n\r\nshort", OK_HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nshort1",
    OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n", OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n\r\n",
    OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcdefgh\r\n0\r\n\r\n",
    OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 1000,
    OK_HEAD + CHALLENGE + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    OK_HEAD + b'WWW-Authenticate: Bearer realm="\r\nServer: \x1b[2Jx\r\nContent-Length: 0\r\n\r\n',
    OK_HEAD + CHALLENGE + b"Content-Length: 0\r\n\r\n",
])
def test_hostile_answers(answer, tmp_path):
    h = Hostile(answer)
    (tmp_path / "pw").write_text(PASSWORD)
    os.chmod(tmp_path / "pw", 0o600)
    p = subprocess.run([DOCTOR, "--large-mib", "1", "--timeout", "2", "--user", "doctor", "--password-file", tmp_path / "pw",
                        f"http://127.0.0.1:{h.port}"], capture_output=True, timeout=120)
    h.sock.close()
    assert p.returncode == 1 and p.stderr == b"" and b"FAIL" in p.stdout
    assert b"\x1b" not in p.stdout and b"Zy9jdG9y" not in p.stdout


def test_silent_server(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as s:
        p = subprocess.run([DOCTOR, "--timeout", "1", f"http://127.0.0.1:{s.getsockname()[1]}"], capture_output=True, text=True, timeout=60)
    assert p.returncode == 1 and "time-out" in p.stdout


def test_secret_sent_back_is_hidden(tmp_path):
    h = Hostile(b'HTTP/1.1 401 x\r\nDocker-Distribution-API-Version: registry/2.0\r\nWWW-Authenticate: Basic realm="'
                + PASSWORD.encode() + b'"\r\nContent-Length: 0\r\n\r\n')
    (tmp_path / "pw").write_text(PASSWORD)
    os.chmod(tmp_path / "pw", 0o600)
    p = subprocess.run([DOCTOR, "--large-mib", "1", "--user", "doctor", "--password-file", tmp_path / "pw",
                        f"http://127.0.0.1:{h.port}"], capture_output=True, text=True, timeout=60)
    h.sock.close()
    assert PASSWORD not in p.stdout and "*****" in p.stdout


def test_stopped_run_tidies_up(stack):
    servers.nginx(stack)
    password = stack.write("password", PASSWORD)
    os.chmod(password, 0o600)
    p = subprocess.Popen([DOCTOR, "--large-mib", "20000", "--user", "doctor", "--password-file", password,
                          f"http://{stack.authority}"], stdout=subprocess.PIPE, text=True)
    for line in p.stdout:
        if line.startswith("ok   chunked upload"):  # the endless one is next
            break
    while not any(f.startswith("up-") for f in stack.state()):
        assert p.poll() is None
    p.terminate()
    rest = p.stdout.read()
    assert p.wait(60) == 1 and re.search(r"^ok   cleanup: ", rest, re.M), rest
    assert nothing_left(stack)


CONFIG = """
SERVER_HOSTNAME: registry.example
PREFERRED_URL_SCHEME: https
DISTRIBUTED_STORAGE_CONFIG:
  here: [LocalStorage, {{storage_path: {dir}/blobs}}]
KADE: {{SENDFILE_TRUSTED: {trusted}, SPOOL_DIR: {dir}/kade-spool}}
"""


def local(stack, trusted="false", config_mode=0o640, blobs_mode=0o750, socket_mode=0o660):
    config = stack.write("config.yaml", CONFIG.format(dir=stack.dir, trusted=trusted))
    os.chmod(config, config_mode)
    for name in ("blobs", "kade-spool"):
        os.makedirs(f"{stack.dir}/{name}", exist_ok=True)
        os.chmod(f"{stack.dir}/{name}", blobs_mode if name == "blobs" else 0o700)
    if not os.path.exists(f"{stack.dir}/s"):
        socket.socket(socket.AF_UNIX).bind(f"{stack.dir}/s")
    os.chmod(f"{stack.dir}/s", socket_mode)
    p = subprocess.run([DOCTOR, "--json", "--config", config, "--socket", f"{stack.dir}/s"], capture_output=True, text=True, timeout=60)
    assert p.stderr == ""
    return {**json.loads(p.stdout), "exit": p.returncode}


def test_host_files(stack):
    assert bad(local(stack)) == {}
    assert set(bad(local(stack, config_mode=0o644))) == {"config file"}
    assert set(bad(local(stack, blobs_mode=0o755))) == {"blob directory"}
    assert set(bad(local(stack, socket_mode=0o666))) == {"socket"}
    assert "send-file" in bad(local(stack, trusted="true"), "warn")
    assert "send-file" in bad(local(stack, trusted="true", blobs_mode=0o700))
    os.chmod(stack.dir, 0o700)  # nobody passes: the modes below do not matter
    assert bad(local(stack, 0o644, 0o755, socket_mode=0o666)) == {}


def test_config_names_are_expected(stack):
    servers.nginx(stack)
    config = stack.write("config.yaml", CONFIG.format(dir=stack.dir, trusted="false"))
    out = doctor(stack, "--config", config, "--large-mib", "2")
    assert "registry.example" in bad(out)["challenge"]["seen"]
