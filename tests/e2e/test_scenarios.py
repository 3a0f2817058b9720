"""Ways in which clients use a registry that no other suite of this folder walks as a whole. docs/conformance.md lists every such
way with its test."""

import base64
import gzip
import json
import secrets

import pytest
import requests

import oci
import stack as st
from breakage import access

EMPTY_LAYER = gzip.compress(b"\0" * 1024, mtime=0)               # a tar without files, as builders make for steps that change nothing


def both_ways(client, repo, m, tag="latest"):
    client.push(repo, tag, m)
    client.pull(repo, tag, m)
    client.pull(repo, m.digest, m)


@pytest.mark.parametrize("media_type", [oci.OCI_IMAGE, oci.DOCKER_IMAGE])
class TestImages:
    def test_empty_layers_and_the_same_twice(self, owner, repo, media_type):
        """The push again changes nothing; the layers can be mounted elsewhere."""
        empty = (EMPTY_LAYER, oci.digest(b"\0" * 1024))
        m = oci.image([oci.tar_layer(), empty, empty, oci.tar_layer()], media_type=media_type)
        both_ways(owner, repo, m)
        both_ways(owner, repo, m)
        r = owner.call("POST", f"/v2/{repo}-2/blobs/uploads/", params={"mount": oci.digest(EMPTY_LAYER), "from": repo},
                       token=owner.token(f"repository:{repo}-2:pull,push", f"repository:{repo}:pull"))
        assert r.status_code == 201
        owner.pull_blob(f"{repo}-2", oci.digest(EMPTY_LAYER))

    def test_without_layers(self, owner, repo, media_type):
        both_ways(owner, repo, oci.image([], media_type=media_type))

    def test_one_blob_in_two_layers(self, owner, repo, media_type):
        layer = oci.tar_layer()
        both_ways(owner, repo, oci.image([layer, layer], media_type=media_type))

    @pytest.mark.parametrize("escaped", [True, False])
    def test_unicode_in_the_config(self, owner, repo, media_type, escaped):
        m = oci.image(1, media_type=media_type)
        config = json.loads(m.blobs[0])
        config["author"], config["config"]["Labels"] = "\u540d\u524d \U0001f433 \u00e9", {"\u9375": "\U0001f511"}
        raw = json.dumps(config, ensure_ascii=escaped).encode()
        value = m.json
        value["config"].update(digest=oci.digest(raw), size=len(raw))
        m = oci.to_manifest(value, media_type, blobs=[raw, m.blobs[1]])
        both_ways(owner, repo, m)
        assert owner.pull_blob(repo, oci.digest(raw)) == raw


def test_schema2_config_without_history(owner, repo):
    m = oci.image(1, media_type=oci.DOCKER_IMAGE)
    config = json.loads(m.blobs[0])
    del config["history"]
    raw = json.dumps(config).encode()
    value = m.json
    value["config"].update(digest=oci.digest(raw), size=len(raw))
    for b in (raw, m.blobs[1]):
        owner.push_blob(repo, b)
    r = owner.put_manifest(repo, "latest", oci.to_manifest(value, oci.DOCKER_IMAGE))
    assert r.status_code == 400 and oci.error_code(r) == "MANIFEST_INVALID"
    assert owner.get(f"/v2/{repo}/manifests/latest").status_code == 404


def test_remote_layers(owner, repo):
    """A layer that lives elsewhere is not pushed and not served; the manifest is."""
    m = oci.image(1, media_type=oci.DOCKER_IMAGE)
    remote = {**oci.descriptor(b"elsewhere", oci.DOCKER_FOREIGN), "urls": ["https://example.com/layer"]}
    value = m.json
    value["layers"].insert(0, remote)
    config = json.loads(m.blobs[0])
    config["history"].insert(0, {"created": "2024-01-01T00:00:00Z"})
    config["rootfs"]["diff_ids"].insert(0, oci.digest(b"elsewhere"))
    raw = json.dumps(config).encode()
    value["config"].update(digest=oci.digest(raw), size=len(raw))
    both_ways(owner, repo, oci.to_manifest(value, oci.DOCKER_IMAGE, blobs=[raw, m.blobs[1]]))
    r = owner.get(f"/v2/{repo}/blobs/{remote['digest']}")
    assert r.status_code == 404 and oci.error_code(r) == "BLOB_UNKNOWN"


def test_index_that_names_a_child_twice(owner, repo):
    child = oci.image()
    m = oci.index([child, child])
    both_ways(owner, repo, m)
    both_ways(owner, repo, m)


def test_policy_artifact_by_digest(owner, repo):
    """Open Policy Agent's: an image without tag, of a config and layers of its own types."""
    policy = b"package x\n"
    value = {"schemaVersion": 2, "config": oci.descriptor(b"{}", "application/vnd.unknown.config.v1+json"),
             "layers": [oci.descriptor(policy, "application/vnd.cncf.openpolicyagent.policy.layer.v1+rego", annotations={"org.opencontainers.image.title": "p.rego"})]}
    m = oci.to_manifest(value, oci.OCI_IMAGE, blobs=[b"{}", policy])
    owner.push(repo, m.digest, m)
    owner.pull(repo, m.digest, m)


def test_build_cache_as_an_index_of_layers(owner, repo):
    """buildkit's: the entries of the index are layers and a config, not manifests. They are held as a manifest's blobs are."""
    layer, config = oci.tar_layer()[0], b'{"layers":[]}'
    value = {"schemaVersion": 2, "mediaType": oci.OCI_INDEX, "manifests": [oci.descriptor(layer, oci.OCI_LAYER), oci.descriptor(config, "application/vnd.buildkit.cacheconfig.v0")]}
    for b in (layer, config):
        owner.push_blob(repo, b)
    m = oci.to_manifest(value, oci.OCI_INDEX)
    assert owner.put_manifest(repo, "cache", m).status_code == 201
    assert owner.get(f"/v2/{repo}/manifests/cache").content == m.body
    assert owner.delete(f"/v2/{repo}/blobs/{oci.digest(layer)}").status_code == 405


LABELS = {
    "plain": ("value", "text/plain"),
    "with.dots/and-more_x": ("a value", "text/plain"),
    "json": ('{"a": [1, 2]}', "application/json"),
    "list": ("[1]", "application/json"),
    "looks like json": ("{nothing", "text/plain"),
    "empty value": ("", "text/plain"),
}


def test_labels_of_the_config(stack, owner, repo):
    m = oci.image(1, labels={**{k: v for k, (v, _) in LABELS.items()}, "": "no key"})
    owner.push(repo, "latest", m)
    rows = stack.sql("SELECT l.key, l.value, l.media_type, l.source FROM label l JOIN manifest m ON m.id = l.manifest_id WHERE m.digest = %s", m.digest)
    assert {k: (v, t) for k, v, t, _ in rows} == LABELS and {s for *_, s in rows} == {1}


@pytest.mark.parametrize("label, seconds", [("1d", 86400), ("1h", 3600), ("2w", 14 * 86400), ("90m", 5400), ("1g", None), ("something", None), ("", None)])
def test_label_that_says_when_a_tag_expires(stack, owner, repo, label, seconds):
    owner.push(repo, "latest", oci.image(1, labels={"quay.expires-after": label}))
    ((start, end),) = stack.sql("SELECT t.start_ms, t.expires_ms FROM tag t JOIN repository r ON r.id = t.repository_id WHERE r.name = %s", repo.split("/")[1])
    assert end == (start + seconds * 1000 if seconds else None)


# -- names


@pytest.mark.parametrize("name", ["foo.bar", "foo-bar_baz", "a", "n" * 255])
def test_names_that_work(owner, name):
    m = oci.image()
    both_ways(owner, f"{owner.user}/{name}", m)


@pytest.mark.parametrize("name", ["n" * 256, "Upper", "-x", "x..y" + "\u00e9"])
def test_names_that_do_not(owner, name):
    """No token grants anything, and nothing is made."""
    repo = f"{owner.user}/{name}"
    r = owner.ask_token(f"repository:{repo}:pull,push")
    assert r.status_code == 400 or not json.loads(base64.urlsafe_b64decode(r.json()["token"].split(".")[1] + "=="))["access"]
    r = owner.call("POST", f"/v2/{repo}/blobs/uploads/", token=owner.token())
    assert r.status_code in (400, 401, 404)


def test_library(make_stack):
    """A name without a namespace is library's; where that is switched off such a name is no name."""
    s = make_stack("lighttpd", name="library", LIBRARY_NAMESPACE="library")
    s.create_org("library")
    admin, m = s.superuser(), oci.image()
    both_ways(admin, "library/plain", m)
    admin.pull("plain", "latest", m)
    r = admin.put_manifest("plain", "two", m)
    assert r.status_code == 201 and r.headers["Location"].endswith(f"/v2/library/plain/manifests/{m.digest}")
    admin.pull("library/plain", "two", m)
    s.restart_pools(FEATURE_LIBRARY_SUPPORT=False)
    admin.tokens.clear()
    admin.pull("library/plain", "latest", m)
    r = admin.get("/v2/plain/manifests/latest", token=admin.token("repository:library/plain:pull"))
    assert r.status_code in (400, 404)


# -- who may


def test_private_then_public(stack, owner, stranger, anonymous, repo):
    """Nobody's token for a private repository grants nothing, and its manifest is refused with a challenge; once the repository is
    public both work, with the very same clients."""
    m = oci.image()
    owner.push(repo, "latest", m)
    for client in (anonymous, stranger):
        assert client.granted(f"repository:{repo}:pull")[repo] == []
        r = client.get(f"/v2/{repo}/manifests/latest")
        assert r.status_code == 401 and oci.error_code(r) == "UNAUTHORIZED" and r.headers["WWW-Authenticate"].startswith("Bearer realm=")
    stack.admin("repo", "visibility", repo, "public")
    for client in (anonymous, stranger):
        client.tokens.clear()
        client.pull(repo, "latest", m)
        assert client.call("POST", f"/v2/{repo}/blobs/uploads/").status_code == 401


def test_catalog_without_a_database(servers, alone):
    """Nobody asks for a catalog that is not public: the answer needs no database."""
    r = requests.get(f"{alone.base}/v2/_catalog", timeout=30)
    (line,) = st.until(lambda: access(alone, id=r.headers["X-Request-Id"]), 60, "the line of the access log")
    assert line["statements"] == 0
    assert r.status_code == 200 and r.json() == {"repositories": []}


def test_token_that_ends_in_the_middle_of_a_push(owner, repo):
    """Refused at the start of a request, never in it: the session survives, and the same PUT with a new token succeeds."""
    data = secrets.token_bytes(100_000)
    location = owner.patch(owner.start_upload(repo), data).headers["Location"]
    r = owner.call("PUT", location, params={"digest": oci.digest(data)}, token="e30.e30.e30", data=b"")
    assert r.status_code == 401 and "WWW-Authenticate" in r.headers
    assert owner.finish(location, oci.digest(data)).status_code == 201


def test_large_pages_are_clamped(owner, repo):
    """Clients ask for 1,000, 10,000 and more at once: never an error."""
    m = oci.image()
    owner.push(repo, "latest", m)
    for n in (1000, 10_000, 10 ** 6, 10 ** 12):
        r = owner.get(f"/v2/{repo}/tags/list?n={n}")
        assert r.status_code == 200 and r.json()["tags"] == ["latest"]


def test_pull_only_token_for_a_repository_to_come(owner, repo):
    """helm and oras ask for the manifest with pull alone before they push: absent, not refused."""
    token = owner.token(f"repository:{repo}:pull")
    for path in (f"/v2/{repo}/manifests/latest", f"/v2/{repo}/manifests/{oci.unknown_digest()}", f"/v2/{repo}/blobs/{oci.unknown_digest()}"):
        assert owner.call("HEAD", path, token=token).status_code == 404


def test_signers_share_a_fallback_tag(owner, repo, pushed):
    """A signature as older tools store it: a tag named after the digest, pushed again and again."""
    tag = pushed.digest.replace(":", "-") + ".sig"
    for _ in range(3):
        both_ways(owner, repo, oci.artifact("application/vnd.dev.cosign.artifact.sig.v1+json"), tag)
    assert sorted(owner.get(f"/v2/{repo}/tags/list").json()["tags"]) == sorted(["latest", tag])
