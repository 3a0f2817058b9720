"""/api/v1/repository/…/manifest: the view of a manifest, and labels."""

import json
import secrets
import time

import pytest

import api
import oci
from test_api_tag import Place


@pytest.fixture
def place(stack):
    return Place(stack)


def manifest(place, digest, client=None, query=""):
    return (client or place.owner).get(f"repository/{place.repo}/manifest/{digest}{query}")


def with_history(history, layers, **config):
    """An image whose config has this history."""
    made = [oci.tar_layer(500, f"l{i}") for i in range(layers)]
    text = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [d for _, d in made]}, "history": history, **config}).encode()
    value = {"schemaVersion": 2, "mediaType": oci.OCI_IMAGE, "config": oci.descriptor(text, oci.OCI_CONFIG), "layers": [oci.descriptor(b, oci.OCI_LAYER) for b, _ in made]}
    return oci.to_manifest(value, oci.OCI_IMAGE, blobs=[text, *(b for b, _ in made)])


def test_image(place):
    m = place.push("v1", with_history([
        {"created": "2024-02-29T23:59:59.123456789Z", "created_by": "/bin/sh -c #(nop) ADD file:1 in /", "author": "me", "comment": "first"},
        {"created": "2024-03-01T12:00:00+09:00", "created_by": "ENV A=b", "empty_layer": True},
        {"created": "not a date", "created_by": '["/bin/true", "x"]'}], 2))
    got = manifest(place, m.digest).json()
    assert got["digest"] == m.digest and got["is_manifest_list"] is False and got["manifest_data"] == m.body.decode()
    assert got["config_media_type"] == oci.OCI_CONFIG and "modelcard" not in got
    sizes = [d["size"] for d in m.json["layers"]]
    assert got["layers_compressed_size"] == sum(sizes)
    first, empty, last = got["layers"]
    assert first == {"index": 0, "compressed_size": sizes[0], "is_remote": False, "urls": None, "command": ["/bin/sh -c #(nop) ADD file:1 in /"], "comment": "first",
                     "author": "me", "blob_digest": m.json["layers"][0]["digest"], "created_datetime": "Thu, 29 Feb 2024 23:59:59 -0000"}
    assert empty["blob_digest"].startswith("sha256:a3ed95caeb02") and empty["compressed_size"] == 32 and empty["command"] == ["ENV A=b"]
    assert empty["created_datetime"] == "Fri, 01 Mar 2024 03:00:00 -0000" and empty["comment"] is None and empty["author"] is None
    assert last["command"] == ["/bin/true", "x"] and last["created_datetime"] is None and last["blob_digest"] == m.json["layers"][1]["digest"] and last["index"] == 2


def test_history_that_does_not_fit(place):
    m = place.push("v1", with_history([{"created_by": "x"}] * 3, 2))
    layers = manifest(place, m.digest).json()["layers"]
    assert [x["blob_digest"] for x in layers] == [d["digest"] for d in m.json["layers"]] and [x["command"] for x in layers] == [None, None]


def test_index(place):
    children = [oci.image(), oci.image(arch="arm64")]
    m = place.push("multi", oci.index(children))
    got = manifest(place, m.digest).json()
    assert got["is_manifest_list"] is True and got["layers"] is None and got["layers_compressed_size"] == 0 and got["config_media_type"] is None
    assert manifest(place, children[1].digest).json()["layers"][0]["blob_digest"] == children[1].json["layers"][0]["digest"]


def test_artifact(place):
    m = place.push("thing", oci.artifact())
    got = manifest(place, m.digest).json()
    assert [x["blob_digest"] for x in got["layers"]] == [d["digest"] for d in m.json["layers"]]


def test_model_card(place):
    card = "# Model\n\n*good* \U0001f40b".encode()
    text = b"{}"
    value = {"schemaVersion": 2, "mediaType": oci.OCI_IMAGE, "artifactType": "application/x-mlmodel", "config": oci.descriptor(text, oci.OCI_EMPTY),
             "layers": [oci.descriptor(b"weights", "application/octet-stream"),
                        oci.descriptor(card, "text/markdown", annotations={"org.opencontainers.image.title": "README.md"})]}
    m = place.push("model", oci.to_manifest(value, oci.OCI_IMAGE, blobs=[text, b"weights", card]))
    assert manifest(place, m.digest, query="?include_modelcard=true").json()["modelcard"] == card.decode()
    assert "modelcard" not in manifest(place, m.digest).json()


def test_rights_and_absence(stack, place):
    m = place.push("v1")
    stranger = api.person(stack)
    api.error(manifest(place, m.digest, stranger), 403, "insufficient_scope")
    api.error(manifest(place, m.digest, api.Api(stack)), 401, "invalid_token")
    for ref in (oci.unknown_digest(), "sha256:abc", "latest", "x" * 300, "sha256:%00", "%ff:00"):
        assert manifest(place, ref).status_code == (400 if "%" in ref else 404), ref
    api.error(manifest(place, oci.unknown_digest()), 404, "not_found")
    other = Place(stack)
    api.error(manifest(other, m.digest), 404, "not_found")
    place.owner.delete(f"{place.path}/v1")
    api.error(manifest(place, m.digest), 404, "not_found")                                   # dead: only the history knows it
    assert place.owner.get(f"repository/{place.repo}/manifest/{m.digest}/security").status_code == 404


# -- labels

def labels(place, m, **kw):
    return place.owner.get(f"repository/{place.repo}/manifest/{m.digest}/labels", **kw)


def add(place, m, key, value, media_type="text/plain", client=None):
    return (client or place.owner).post(f"repository/{place.repo}/manifest/{m.digest}/labels", {"key": key, "value": value, "media_type": media_type})


def test_labels(place):
    m = place.push("v1", oci.image(labels={"vendor": "me", "org.x.y": '{"a": 1}'}))
    found = {x["key"]: x for x in labels(place, m).json()["labels"]}
    assert set(found) == {"vendor", "org.x.y"}
    assert found["vendor"]["value"] == "me" and found["vendor"]["source_type"] == "manifest" and found["vendor"]["media_type"] == "text/plain"
    assert found["org.x.y"]["media_type"] == "application/json"
    r = add(place, m, "team", "blue")
    assert r.status_code == 201
    label = r.json()["label"]
    assert label == {"id": label["id"], "key": "team", "value": "blue", "source_type": "api", "media_type": "text/plain"}
    assert place.owner.get(r.headers["Location"]).json() == label
    assert [x["key"] for x in labels(place, m, params={"filter": "te"}).json()["labels"]] == ["team"]
    assert labels(place, m, params={"filter": "%"}).json()["labels"] == []
    meta = api.logs(place.stack, "manifest_label_add", id=label["id"])[0][2]
    assert meta == {"id": label["id"], "key": "team", "value": "blue", "manifest_digest": m.digest, "media_type": "text/plain", "namespace": place.owner.user, "repo": "app"}
    path = f"repository/{place.repo}/manifest/{m.digest}/labels"
    r = place.owner.delete(f"{path}/{label['id']}")
    assert r.status_code == 204 and r.content == b""
    assert set(x["key"] for x in labels(place, m).json()["labels"]) == {"vendor", "org.x.y"}
    assert len(api.logs(place.stack, "manifest_label_delete", id=label["id"])) == 1
    api.error(place.owner.delete(f"{path}/{label['id']}"), 404, "not_found")
    api.error(place.owner.get(f"{path}/{label['id']}"), 404, "not_found")
    api.message(place.owner.delete(f"{path}/{found['vendor']['id']}"), 400, "Cannot delete immutable label")


def test_label_media_type_is_guessed(place):
    m = place.push("v1")
    assert add(place, m, "a", '{"x": [1]}', None).json()["label"]["media_type"] == "application/json"
    assert add(place, m, "b", "{not json}", None).json()["label"]["media_type"] == "text/plain"


def test_label_refusals(stack, place):
    m = place.push("v1")
    for key in ("com.docker.x", "io.quay.x", "quay.expires-after", "internal", "org.opencontainers.image.title"):
        api.message(add(place, m, key, "x"), 400, "Label has a reserved prefix")
    for key in ("UPPER", "-a", "a..b", "a-", "", "x" * 256, "a b"):
        assert add(place, m, key, "x").status_code == 400, key
    assert add(place, m, "a", "x", "text/html").status_code == 400
    api.error(add(place, m, "a", "x", client=api.person(stack)), 403, "insufficient_scope")
    reader = api.person(stack)
    api.permission(stack, place.repo, reader, "read")
    api.error(add(place, m, "a", "x", client=reader), 403, "insufficient_scope")
    assert reader.get(f"repository/{place.repo}/manifest/{m.digest}/labels").json()["labels"] == []
    unknown = oci.image()
    api.error(add(place, unknown, "a", "x"), 404, "not_found")
    api.error(labels(place, unknown), 404, "not_found")


def test_labels_of_other_manifests(place):
    m, other = place.push("v1"), place.push("v2")
    label = add(place, m, "team", "blue").json()["label"]
    path = f"repository/{place.repo}/manifest/{other.digest}/labels/{label['id']}"
    api.error(place.owner.get(path), 404, "not_found")
    api.error(place.owner.delete(path), 404, "not_found")
    assert len(labels(place, m).json()["labels"]) == 1


@pytest.fixture(scope="module")
def acting(make_stack):
    """Where people may set the labels that act."""
    return make_stack("lighttpd", name="api-labels", FEATURE_IMMUTABLE_TAGS=True, DEFAULT_LABEL_KEY_RESERVED_PREFIXES=["com.docker."])


def test_labels_that_act(acting):
    place = Place(acting)
    m = place.push("v1")
    place.client.put_manifest(place.repo, "v2", m)
    place.push("other")
    assert add(place, m, "quay.expires-after", "2h").status_code == 201
    for t in place.tags():
        assert (t.get("end_ts") == t["start_ts"] + 7200) == (t["name"] != "other"), t
    assert add(place, m, "quay.expires-after", "nonsense").status_code == 201
    assert add(place, m, "quay.immutable", " TRUE ").status_code == 201
    for t in place.tags():
        assert t["immutable"] == (t["name"] != "other") and "end_ts" not in t, t
    assert add(place, m, "quay.expires-after", "1h").status_code == 201                      # what is immutable keeps its life
    assert all("end_ts" not in t for t in place.tags())
    api.error(place.owner.delete(f"{place.path}/v1"), 409, "tag_immutable")
