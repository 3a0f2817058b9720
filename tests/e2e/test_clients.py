"""Real clients: skopeo, podman, buildah."""

import json
import os
import secrets
import shutil
import subprocess
import tarfile

import pytest

import oci


@pytest.fixture(scope="module")
def box(tmp_path_factory, stack, owner):
    """A folder with an authentication file and storage of its own for the tools."""
    folder = tmp_path_factory.mktemp("clients")
    (folder / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    return Box(folder, stack, owner)


class Box:
    def __init__(self, folder, stack, owner):
        self.folder, self.stack, self.owner = folder, stack, owner
        self.auth = folder / "auth.json"
        self.containers = ["--root", str(folder / "root"), "--runroot", str(folder / "run"), "--storage-driver", "vfs"]
        self.run("skopeo", "login", "--authfile", str(self.auth), "--tls-verify=false", "-u", owner.user, "--password-stdin", stack.host, input=owner.password)

    def run(self, *words, ok=True, **kw):
        if shutil.which(words[0]) is None:
            pytest.skip(f"{words[0]} is not installed")
        r = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.folder, timeout=300,
                           env={**os.environ, "HOME": str(self.folder), "XDG_RUNTIME_DIR": str(self.folder)}, **kw)
        assert (r.returncode == 0) == ok, f"{' '.join(words)}: exit code {r.returncode}\n{r.stdout}"
        return r.stdout

    def skopeo(self, verb, *words, **kw):
        return self.run("skopeo", "--policy", str(self.folder / "policy.json"), verb, "--authfile", str(self.auth), *words, **kw)

    def podman(self, *words, **kw):
        return self.run("podman", *self.containers, *words, **kw)

    def buildah(self, *words, **kw):
        return self.run("buildah", *self.containers, *words, **kw)

    def url(self, repo, tag="latest"):
        return f"docker://{self.stack.host}/{repo}:{tag}"


def oci_layout(folder, m):
    """An image as a folder in the OCI image layout."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def write(data):
        (blobs / oci.digest(data).split(":")[1]).write_bytes(data)

    def add(m):
        for b in (*m.blobs, m.body):
            write(b)
        for child in m.children:
            add(child)

    add(m)
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [m.descriptor(annotations={"org.opencontainers.image.ref.name": "latest"})]}))
    return f"oci:{folder}:latest"


@pytest.mark.parametrize("kind", ["image", "index"])
def test_skopeo_copy(box, owner, repo, tmp_path, kind):
    m = oci.image(3) if kind == "image" else oci.index([oci.image(), oci.image(arch="arm64")])
    box.skopeo("copy", "--all", "--dest-tls-verify=false", oci_layout(tmp_path / "in", m), box.url(repo))
    owner.pull(repo, "latest", m)
    box.skopeo("copy", "--all", "--src-tls-verify=false", box.url(repo), f"oci:{tmp_path}/out:latest")
    assert (tmp_path / "out" / "blobs" / "sha256" / m.digest.split(":")[1]).read_bytes() == m.body


def test_skopeo_copies_inside_the_registry(box, owner, repo, tmp_path):
    """From one repository to another: layers are mounted."""
    m = oci.image(2)
    owner.push(repo, "latest", m)
    box.skopeo("copy", "--src-tls-verify=false", "--dest-tls-verify=false", box.url(repo), box.url(repo + "-copy"))
    owner.pull(repo + "-copy", "latest", m)


def test_skopeo_as_schema2(box, owner, repo, tmp_path):
    box.skopeo("copy", "--format", "v2s2", "--dest-tls-verify=false", oci_layout(tmp_path / "in", oci.image(2)), box.url(repo))
    assert owner.pull(repo, "latest").headers["Content-Type"] == oci.DOCKER_IMAGE


def test_skopeo_inspect_tags_delete(box, owner, repo, pushed):
    owner.push(repo, "second", oci.image())
    inspected = json.loads(box.skopeo("inspect", "--tls-verify=false", box.url(repo)))
    assert inspected["Digest"] == pushed.digest and sorted(inspected["RepoTags"]) == ["latest", "second"]
    assert json.loads(box.skopeo("list-tags", "--tls-verify=false", f"docker://{box.stack.host}/{repo}"))["Tags"] == ["latest", "second"]
    box.skopeo("delete", "--tls-verify=false", box.url(repo))
    assert owner.get(f"/v2/{repo}/tags/list").json()["tags"] == ["second"]


def test_skopeo_without_the_right(box, stranger, repo, tmp_path):
    other = f"docker://{box.stack.host}/{stranger.user}/x{secrets.token_hex(3)}:latest"
    out = box.skopeo("copy", "--dest-tls-verify=false", oci_layout(tmp_path / "in", oci.image()), other, ok=False)
    assert "unauthorized" in out.lower() or "denied" in out.lower() or "authentication required" in out.lower()


def test_login_with_a_wrong_password(box):
    box.stack.create_user("forgetful")
    out = box.run("skopeo", "login", "--authfile", str(box.folder / "other.json"), "--tls-verify=false", "-u", "forgetful", "--password-stdin",
                  box.stack.host, input="wrong", ok=False)
    assert "invalid username/password" in out or "unauthorized" in out.lower()


def test_podman(box, owner, repo):
    """import, push, remove, pull: the same image."""
    content = os.urandom(300_000)
    root = box.folder / f"root-{secrets.token_hex(3)}.tar"
    with tarfile.open(root, "w") as t:
        (box.folder / "data").write_bytes(content)
        t.add(box.folder / "data", "data")
    ref = f"{box.stack.host}/{repo}:v1"
    box.podman("import", str(root), ref)
    before = box.podman("inspect", "--format", "{{.Id}}", ref)
    box.podman("push", "--authfile", str(box.auth), "--tls-verify=false", ref)
    box.podman("rmi", ref)
    box.podman("pull", "--authfile", str(box.auth), "--tls-verify=false", ref)
    assert box.podman("inspect", "--format", "{{.Id}}", ref) == before
    owner.pull(repo, "v1")


def test_podman_login(box):
    other = str(box.folder / "podman.json")
    out = box.podman("login", "--authfile", other, "--tls-verify=false", "-u", box.owner.user, "--password-stdin", box.stack.host, input=box.owner.password)
    assert "Login Succeeded" in out


def test_buildah_multi_arch(box, owner, repo):
    """A build from scratch for two platforms, pushed as a list."""
    (box.folder / "data").write_bytes(os.urandom(1000))
    (box.folder / "Containerfile").write_text("FROM scratch\nCOPY data /data\nLABEL made.by=test\n")
    name = f"localhost/m{secrets.token_hex(3)}"
    for arch in ("amd64", "arm64"):
        box.buildah("bud", "--isolation", "chroot", "--platform", f"linux/{arch}", "--manifest", name, str(box.folder))
    box.buildah("manifest", "push", "--all", "--authfile", str(box.auth), "--tls-verify=false", name, box.url(repo, "multi"))
    index = owner.pull(repo, "multi").json()
    assert sorted(m["platform"]["architecture"] for m in index["manifests"]) == ["amd64", "arm64"]


def test_robot_pushes_and_pulls(box, stack, owner, repo, tmp_path):
    name, token = stack.create_robot(owner.user, f"bot{secrets.token_hex(3)}")
    owner.push(repo, "latest", oci.image())
    stack.sql("INSERT INTO repository_permission (repository_id, account_id, role) SELECT r.id, a.id, 2 FROM repository r, account a "
              "WHERE r.name = %s AND a.name = %s", repo.split("/")[1], name)
    m = oci.image()
    box.run("skopeo", "copy", "--dest-creds", f"{name}:{token}", "--dest-tls-verify=false", oci_layout(tmp_path / "in", m), box.url(repo, "robot"))
    owner.pull(repo, "robot", m)
