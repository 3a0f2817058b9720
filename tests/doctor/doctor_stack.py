"""Web servers for the tests of kade-doctor: each started on a free loopback port in a private directory, with a
configuration given as text, and stopped by its own process id."""
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

APACHE_MODULES = "/usr/lib/apache2/modules"
LIGHTTPD_MODULES = os.environ.get("LIGHTTPD_MODULES", "/usr/lib/lighttpd")
START_S = 15


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_port(port, process):
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError("the server does not listen")


def wait_path(path, process):
    end = time.monotonic() + START_S
    while not os.path.exists(path):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError("the peer does not listen")
        time.sleep(0.02)


class Stack:
    """A peer and a web server in front of it."""

    def __init__(self, peer):
        self.peer, self.port = peer, free_port()
        self.dir = tempfile.mkdtemp(prefix="kade-doctor-")
        self.sock = f"{self.dir}/peer.sock"
        self.authority = f"127.0.0.1:{self.port}"
        self.scheme = "http"
        self.running = []
        os.chmod(self.dir, 0o755)
        for name in ("state", "spool"):
            os.mkdir(f"{self.dir}/{name}")
            os.chmod(f"{self.dir}/{name}", 0o777)

    def start(self, *command, env=None):
        with open(f"{self.dir}/log", "a") as log:
            p = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                                 env={**os.environ, **(env or {})}, cwd=self.dir)
        self.running.append(p)
        return p

    def start_peer(self, fault=""):
        p = self.start(self.peer, f"{self.dir}/state", self.authority, self.scheme, self.sock, env={"PEER_FAULT": fault})
        wait_path(self.sock, p)

    def write(self, name, text):
        path = f"{self.dir}/{name}"
        with open(path, "w") as f:
            f.write(text)
        return path

    def state(self):
        return sorted(os.listdir(f"{self.dir}/state"))

    def log(self):
        with open(f"{self.dir}/log") as f:
            return f.read()

    def close(self):
        for p in reversed(self.running):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(p.pid, signal.SIGTERM)
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(p.pid, signal.SIGKILL)
                p.wait()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(p.pid, signal.SIGKILL)
        shutil.rmtree(self.dir)


LIGHTTPD_FASTCGI = """
fastcgi.server = ( {authorizer} "/" => (( "socket" => "{sock}", "check-local" => "disable", "fix-root-scriptname" => "enable" )) )
"""
LIGHTTPD_AUTHORIZER = '"/v2/" => (( "socket" => "{sock}", "mode" => "authorizer", "check-local" => "disable" )),'
LIGHTTPD_GOOD = """
server.stream-request-body = 0
server.stream-response-body = 1
$REQUEST_HEADER["Content-Length"] != "" { server.stream-request-body = 1 }
"""


def lighttpd(stack, settings=LIGHTTPD_GOOD, authorizer=True, tls=None, fault=""):
    stack.scheme = "https" if tls else "http"
    stack.start_peer(fault)
    auth = LIGHTTPD_AUTHORIZER.format(sock=stack.sock) if authorizer else ""
    ssl = f'ssl.engine = "enable"\nssl.pemfile = "{tls}"\n' if tls else ""
    conf = stack.write("lighttpd.conf", f"""
server.modules = ( "mod_fastcgi", "mod_openssl" )
server.document-root = "{stack.dir}/state"
server.bind = "127.0.0.1"
server.port = {stack.port}
server.errorlog = "{stack.dir}/log"
server.upload-dirs = ( "{stack.dir}/spool" )
{ssl}{settings}
""" + LIGHTTPD_FASTCGI.format(authorizer=auth, sock=stack.sock))
    wait_port(stack.port, stack.start("lighttpd", "-D", "-m", LIGHTTPD_MODULES, "-f", conf))


APACHE_GOOD = """
LimitRequestBody 0
AllowEncodedSlashes NoDecode
MergeSlashes Off
SetEnv ap_trust_cgilike_cl 1
<Location "/">
  CGIPassAuth On
</Location>
"""


def apache(stack, modules, text):
    load = "".join(f"LoadModule {m}_module {APACHE_MODULES}/mod_{m}.so\n"
                   for m in ("mpm_event", "authz_core", "env", "mime", "headers", "filter", "deflate", *modules))
    conf = stack.write("apache.conf", f"""
ServerRoot "{stack.dir}"
ServerName localhost
{load}
Listen 127.0.0.1:{stack.port}
User www-data
Group www-data
PidFile {stack.dir}/apache.pid
ErrorLog {stack.dir}/log
TypesConfig /dev/null
DocumentRoot {stack.dir}/state
<Directory "/">
  Require all granted
</Directory>
{text}
""")
    wait_port(stack.port, stack.start("apache2", "-D", "FOREGROUND", "-f", conf, env={"TMPDIR": f"{stack.dir}/spool"}))


def apache_proxy(stack, settings=APACHE_GOOD, fault=""):
    stack.start_peer(fault)
    apache(stack, ("proxy", "proxy_fcgi"), settings + f"""
ProxyPass "/" "unix:{stack.sock}|fcgi://kade/" timeout=900 flushpackets=on iobuffersize=65536
""")


FCGID_GOOD = """
LimitRequestBody 0
FcgidMaxRequestLen 21474836480
FcgidPassHeader Authorization
FcgidOutputBufferSize 0
FcgidIOTimeout 900
AllowEncodedSlashes NoDecode
MergeSlashes Off
"""


def apache_fcgid(stack, settings=FCGID_GOOD, fault=""):
    program = stack.write("kade.fcgi", f"#!/bin/sh\nexec {stack.peer} {stack.dir}/state {stack.authority} http\n")
    os.chmod(program, 0o755)
    fault_line = f"FcgidInitialEnv PEER_FAULT {fault}\n" if fault else ""
    apache(stack, ("alias", "fcgid"), settings + fault_line + f"""
FcgidIPCDir {stack.dir}/spool
FcgidProcessTableFile {stack.dir}/spool/shm
FcgidMaxProcessesPerClass 6
ScriptAlias / {program}/
<Directory "{stack.dir}">
  SetHandler fcgid-script
  Options +ExecCGI
</Directory>
""")


NGINX_GOOD = """
client_max_body_size 0;
fastcgi_request_buffering off;
"""


def nginx(stack, settings=NGINX_GOOD, fault=""):
    stack.start_peer(fault)
    temp = "".join(f"  {m}_temp_path {stack.dir}/spool;\n" for m in ("client_body", "fastcgi", "proxy", "uwsgi", "scgi"))
    conf = stack.write("nginx.conf", f"""
daemon off;
pid {stack.dir}/nginx.pid;
error_log {stack.dir}/log;
events {{ }}
http {{
{temp}
  access_log off;
  server {{
    listen 127.0.0.1:{stack.port};
    location / {{
      {settings}
      fastcgi_pass unix:{stack.sock};
      include /etc/nginx/fastcgi_params;
      fastcgi_param HTTP_PROXY "";
      fastcgi_param REMOTE_USER "";
    }}
  }}
}}
""")
    wait_port(stack.port, stack.start("nginx", "-c", conf))
