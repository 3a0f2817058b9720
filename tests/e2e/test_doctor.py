"""kade-doctor against the whole stack behind each web server: the example files pass its examination."""

import re
import subprocess

import pytest


@pytest.fixture
def password_file(any_stack, tmp_path):
    file = tmp_path / "password"
    file.write_text(any_stack.password + "\n")
    file.chmod(0o600)
    return file


def examine(any_stack, *words):
    r = subprocess.run([str(any_stack.servers.bin / "kade-doctor"), any_stack.base, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, timeout=300)
    return r.returncode, r.stdout


def test_example_files_pass(any_stack, password_file):
    code, said = examine(any_stack, "--user", "admin", "--password-file", str(password_file))
    assert code == 0, said
    ok, fails = re.search(r"(\d+) ok, \d+ warn, (\d+) FAIL", said).groups()
    assert int(fails) == 0 and int(ok) >= 20, said
    assert any_stack.password not in said
    client, repo = any_stack.superuser(), "admin/kade-doctor"
    assert client.get(f"/v2/{repo}/tags/list").json()["tags"] == []
    made = any_stack.sql("SELECT m.digest FROM manifest m JOIN repository r ON r.id = m.repository_id WHERE r.name = 'kade-doctor'")
    assert len(made) >= 2 and {client.get(f"/v2/{repo}/manifests/{d}").status_code for (d,) in made} == {404}, "it leaves something behind"
    assert any_stack.sql("SELECT count(*) FROM upload u JOIN repository r ON r.id = u.repository_id WHERE r.name = 'kade-doctor'") == [(0,)]


def test_without_an_account(any_stack):
    """It says what it could see as a stranger."""
    code, said = examine(any_stack)
    assert code == 0 and " 0 FAIL" in said, said
