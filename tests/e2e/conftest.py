"""Fixtures of the end-to-end suites: one stack per web server for the whole session, fresh names for each test."""

import os
import pathlib
import secrets
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import oci  # noqa: E402
import stack as stack_module  # noqa: E402

WEB_SERVERS = ("lighttpd", "apache", "nginx", "apache-fcgid")


def pytest_configure(config):
    config.addinivalue_line("markers", "full: only in `tests/run full`")
    config.addinivalue_line("markers", "config(**keys): keys of config.yaml for the fixture alone")


@pytest.fixture(scope="session")
def build():
    folder = pathlib.Path(os.environ.get("KADE_BUILD", stack_module.TOP / ".kade" / "build-test"))
    missing = [p for p in ("kade.fcgi", "kade-migrate", "kade-admin") if not (folder / p).exists()]
    assert not missing, f"{folder} has no {', '.join(missing)}: build first, or set KADE_BUILD"
    return folder


@pytest.fixture(scope="session")
def servers(build):
    s = stack_module.Servers(build)
    try:
        s.start_database()
        yield s
    finally:
        s.stop()


@pytest.fixture(scope="session")
def make_stack(servers):
    """Stacks by web server and configuration, started when first asked for; their logs are read at the end."""
    made = {}

    def get(server="lighttpd", name=None, tls=False, **config):
        key = name or server
        if key not in made:
            s = stack_module.Stack(servers, server, config, name=key, tls=tls)
            made[key] = s
            s.start()
        return made[key]

    yield get
    problems = []
    for s in made.values():
        try:
            s.stop()
            if s.web:
                s.check_logs()
        except (AssertionError, RuntimeError) as e:
            problems.append(f"{s.name}: {e}")
    assert not problems, "\n".join(problems)


@pytest.fixture(scope="session")
def stack(make_stack):
    """The stack that suites use which do not depend on the web server."""
    return make_stack("lighttpd")


@pytest.fixture(autouse=True)
def clean_logs(request):
    """After each test: the logs of the stack it used hold no secret and no unexpected error."""
    used = [request.getfixturevalue(n) for n in ("stack", "any_stack", "alone") if n in request.fixturenames]
    yield
    for s in used:
        s.check_logs(new=True)


@pytest.fixture(scope="session", params=WEB_SERVERS)
def any_stack(request, make_stack):
    """Each web server in turn."""
    return make_stack(request.param)


@pytest.fixture
def alone(servers, request):
    """A stack of the test's own, to kill parts of it or to configure it: @pytest.mark.parametrize is not needed,
    @pytest.mark.config(KEY=value) gives keys of config.yaml."""
    marker = request.node.get_closest_marker("config")
    s = stack_module.Stack(servers, "lighttpd", marker.kwargs if marker else None)
    try:
        s.start()
        yield s
        s.check_logs(new=True)
    finally:
        s.stop()


@pytest.fixture(scope="session")
def roles(make_stack):
    """A stack with a read-only superuser and restricted users, and a private repository of an organization."""
    s = make_stack("lighttpd", name="roles", GLOBAL_READONLY_SUPER_USERS=["auditor"], FEATURE_RESTRICTED_USERS=True,
                   RESTRICTED_USERS_WHITELIST=["trusted"])
    for name in ("auditor", "limited", "trusted", "founder"):
        s.create_user(name)
    s.create_org("private", "founder")
    s.client("founder").push("private/box", "latest", oci.image())
    return s


@pytest.fixture(scope="session")
def owner(stack):
    """A user that owns the repositories of most tests."""
    name = "owner"
    stack.create_user(name)
    return stack.client(name)


@pytest.fixture(scope="session")
def stranger(stack):
    """A user with no right to anything of others."""
    name = "stranger"
    stack.create_user(name)
    return stack.client(name)


@pytest.fixture
def anonymous(stack):
    return stack.client()


@pytest.fixture
def repo(owner):
    """The name of a repository that does not exist yet; the owner may make it."""
    return f"{owner.user}/r{secrets.token_hex(5)}"


@pytest.fixture
def pushed(owner, repo):
    """An image, pushed as repo:latest."""
    m = oci.image(layers=2)
    owner.push(repo, "latest", m)
    return m
