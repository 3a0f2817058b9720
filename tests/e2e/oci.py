"""An OCI distribution client for tests, and images for it to push: random layers, configs, indexes, artifacts. It checks
what every client relies on: digests, lengths, media types, error bodies."""

import dataclasses
import gzip
import hashlib
import io
import json
import os
import re
import tarfile
import time

import requests

OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
EVERYTHING = ", ".join((OCI_IMAGE, OCI_INDEX, DOCKER_IMAGE, DOCKER_LIST))


def digest(data, algorithm="sha256"):
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def unknown_digest(algorithm="sha256"):
    return digest(os.urandom(32), algorithm)


def tar_layer(size=2000, name="data"):
    """A gzip layer with one random file, and the digest of the tar inside (the config's diff_id)."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as t:
        info = tarfile.TarInfo(name)
        info.size = size
        t.addfile(info, io.BytesIO(os.urandom(size)))
    return gzip.compress(tar.getvalue(), 1, mtime=0), digest(tar.getvalue())


def descriptor(data, media_type, **more):
    return {"mediaType": media_type, "digest": digest(data), "size": len(data), **more}


@dataclasses.dataclass
class Manifest:
    body: bytes
    media_type: str
    blobs: list = dataclasses.field(default_factory=list)       # to be pushed before
    children: list = dataclasses.field(default_factory=list)    # manifests, likewise

    @property
    def digest(self):
        return digest(self.body)

    @property
    def json(self):
        return json.loads(self.body)

    def descriptor(self, **more):
        return descriptor(self.body, self.media_type, **more)


def to_manifest(value, media_type, **parts):
    return Manifest(json.dumps(value, indent=3, ensure_ascii=False).encode(), media_type, **parts)


def image(layers=1, size=2000, media_type=OCI_IMAGE, labels=None, arch="amd64", **more):
    """A runnable-looking image. layers: how many, or a list of (bytes, diff_id). more: members of the manifest."""
    docker = media_type == DOCKER_IMAGE
    made = [tar_layer(size, f"layer{i}") for i in range(layers)] if isinstance(layers, int) else layers
    config = {
        "architecture": arch,
        "os": "linux",
        "config": {"Labels": labels or {}, "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [d for _, d in made]},
        "history": [{"created": "2024-01-01T00:00:00Z", "created_by": f"step {i}"} for i in range(len(made))],
    }
    raw = json.dumps(config).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": descriptor(raw, DOCKER_CONFIG if docker else OCI_CONFIG),
        "layers": [descriptor(b, DOCKER_LAYER if docker else OCI_LAYER) for b, _ in made],
        **more,
    }
    return to_manifest(manifest, media_type, blobs=[raw, *(b for b, _ in made)])


def index(children, media_type=OCI_INDEX, **more):
    """An index of manifests, each with a platform from its place in the list."""
    archs = ("amd64", "arm64", "ppc64le", "s390x", "riscv64")
    entries = [c.descriptor(platform={"os": "linux", "architecture": archs[i % len(archs)]}) for i, c in enumerate(children)]
    return to_manifest({"schemaVersion": 2, "mediaType": media_type, "manifests": entries, **more}, media_type, children=list(children))


def artifact(artifact_type="application/vnd.example.thing", subject=None, data=None, **more):
    """An OCI artifact with an empty config; subject: a Manifest, or a descriptor."""
    data = os.urandom(100) if data is None else data
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE,
        "artifactType": artifact_type,
        "config": descriptor(b"{}", OCI_EMPTY),
        "layers": [descriptor(data, "application/octet-stream")],
        **more,
    }
    if subject is not None:
        manifest["subject"] = subject.descriptor() if isinstance(subject, Manifest) else subject
    return to_manifest(manifest, OCI_IMAGE, blobs=[b"{}", data])


def chunks(data, size):
    for i in range(0, len(data), size):
        yield data[i : i + size]


def error_code(response):
    """The code of a v2 error body, whose shape is checked."""
    assert response.headers["Content-Type"].split(";")[0] == "application/json", response.text[:200]
    errors = response.json()["errors"]
    assert len(errors) >= 1
    for e in errors:
        assert re.fullmatch(r"[A-Z_]+", e["code"]) and isinstance(e["message"], str) and "detail" in e, e
    return errors[0]["code"]


class Session(requests.Session):
    """Web servers close a kept connection after some idle seconds, maybe just as the next request is sent. After a pause this
    one opens a new connection, so that a connection that breaks is always a fault."""

    IDLE_S = 3
    used = 0.0

    def send(self, request, **kw):
        if time.monotonic() - self.used > self.IDLE_S:
            self.close()
        try:
            return super().send(request, **kw)
        finally:
            self.used = time.monotonic()


class Client:
    """Requests with the token dance: a token for the repository's scope is fetched when a request needs one and kept."""

    def __init__(self, base, service, user=None, password=None, verify=True, secrets=None):
        self.base, self.service, self.user, self.password = base, service, user, password
        self.http = Session()
        self.http.trust_env = False
        self.http.verify = verify
        self.tokens = {}
        self.secrets = secrets if secrets is not None else set()

    # -- tokens

    def ask_token(self, *scopes, **params):
        """The answer of /v2/auth as it is."""
        query = [("service", self.service), *(("scope", s) for s in scopes), *params.items()]
        return self.http.get(f"{self.base}/v2/auth", params=query, auth=(self.user, self.password) if self.user else None, timeout=60)

    def token(self, *scopes):
        if scopes not in self.tokens:
            r = self.ask_token(*scopes)
            assert r.status_code == 200, f"token: {r.status_code} {r.text[:300]}"
            self.tokens[scopes] = r.json()["token"]
            self.secrets.add(self.tokens[scopes])
        return self.tokens[scopes]

    def granted(self, *scopes):
        """What a token grants: {repository: actions}."""
        import base64

        payload = self.token(*scopes).split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return {a["name"]: a["actions"] for a in claims["access"]}

    # -- requests

    def call(self, method, path, scope=None, token=None, **kw):
        """path: "/v2/…" or a Location. scope: None = of the path's repository; "" = no Authorization at all."""
        headers = {"Accept": EVERYTHING, **kw.pop("headers", {})}
        if scope is None and token is None:
            m = re.match(r"(?:https?://[^/]*)?/v2/(.+)/(?:blobs|manifests|tags|referrers)/", path)
            scope = f"repository:{m[1]}:{'pull,push' if self.user else 'pull'}" if m else None
        if token is None and scope != "" and (scope or self.user):
            token = self.token(*([scope] if scope else []))
        if token:
            headers["Authorization"] = f"Bearer {token}"
        headers = {k: v for k, v in headers.items() if v is not None}
        url = path if path.startswith("http") else self.base + path
        return self.http.request(method, url, headers=headers, allow_redirects=kw.pop("allow_redirects", True), timeout=kw.pop("timeout", 120), **kw)

    def get(self, path, **kw):
        return self.call("GET", path, **kw)

    def head(self, path, **kw):
        return self.call("HEAD", path, **kw)

    def put(self, path, **kw):
        return self.call("PUT", path, **kw)

    def delete(self, path, **kw):
        return self.call("DELETE", path, **kw)

    # -- uploads

    def start_upload(self, repo, **params):
        r = self.call("POST", f"/v2/{repo}/blobs/uploads/", params=params)
        assert r.status_code == 202, f"{r.status_code} {r.text[:300]}"
        assert r.headers["Docker-Upload-UUID"] in r.headers["Location"]
        return r.headers["Location"]

    def patch(self, location, data, first=None, streamed=False, **kw):
        """A chunk; first: its offset, sent as Content-Range; streamed: without a declared length."""
        headers = {"Content-Type": "application/octet-stream", **kw.pop("headers", {})}
        if first is not None:
            headers["Content-Range"] = f"{first}-{first + len(data) - 1}"
        return self.call("PATCH", location, data=chunks(data, 60000) if streamed else data, headers=headers, **kw)

    def finish(self, location, d, data=b"", **kw):
        """PUT with the digest. The Location may already carry a query."""
        sep = "&" if "?" in location else "?"
        return self.call("PUT", f"{location}{sep}digest={d}", data=data, headers={"Content-Type": "application/octet-stream", **kw.pop("headers", {})}, **kw)

    def push_blob(self, repo, data, how="put", d=None):
        """how: "put" (containerd: POST, PUT with the body), "patch" (docker: POST, chunked PATCH, empty PUT), "chunks" (PATCHes
        with ranges), "post" (one request). Ends checked: 201, Location that works, digest."""
        d = d or digest(data)
        if how == "post":
            r = self.call("POST", f"/v2/{repo}/blobs/uploads/", params={"digest": d}, data=data, headers={"Content-Type": "application/octet-stream"})
        else:
            location = self.start_upload(repo)
            if how == "put":
                r = self.finish(location, d, data)
            elif how == "patch":
                p = self.patch(location, data, streamed=True)
                assert p.status_code == 202, f"{p.status_code} {p.text[:300]}"
                r = self.finish(p.headers["Location"], d)
            elif how == "chunks":
                offset, size = 0, max(1, len(data) // 3)
                for chunk in chunks(data, size):
                    p = self.patch(location, chunk, first=offset)
                    offset += len(chunk)
                    assert p.status_code == 202 and p.headers["Range"] == f"0-{offset - 1}", f"{p.status_code} {p.headers}"
                    location = p.headers["Location"]
                r = self.finish(location, d)
            else:
                raise ValueError(how)
        assert r.status_code == 201, f"{how}: {r.status_code} {r.text[:300]}"
        assert r.headers["Docker-Content-Digest"] == d
        assert r.headers["Location"].endswith(f"/v2/{repo}/blobs/{d}")
        return r

    # -- whole images

    def put_manifest(self, repo, ref, m, media_type=None, **kw):
        return self.put(f"/v2/{repo}/manifests/{ref}", data=m.body if isinstance(m, Manifest) else m,
                        headers={"Content-Type": media_type or m.media_type, **kw.pop("headers", {})}, **kw)

    def push(self, repo, ref, m, how="put"):
        """As clients do: HEAD each blob, upload what is missing, children by digest, then the manifest."""
        for b in dict.fromkeys(m.blobs):
            if self.head(f"/v2/{repo}/blobs/{digest(b)}").status_code != 200:
                self.push_blob(repo, b, how)
        for child in m.children:
            self.push(repo, child.digest, child, how)
        r = self.put_manifest(repo, ref, m)
        assert r.status_code == 201, f"manifest: {r.status_code} {r.text[:500]}"
        assert r.headers["Docker-Content-Digest"] == m.digest
        assert r.headers["Location"].endswith(f"/v2/{repo}/manifests/{m.digest}")
        return r

    def pull(self, repo, ref, m=None):
        """HEAD and GET of the manifest, then of every blob of it; compared with m when given."""
        path = f"/v2/{repo}/manifests/{ref}"
        h, g = self.head(path), self.get(path)
        assert (h.status_code, g.status_code) == (200, 200), f"{h.status_code}, {g.status_code} {g.text[:300]}"
        assert h.content == b""
        for name in ("Content-Type", "Content-Length", "Docker-Content-Digest"):
            assert h.headers[name] == g.headers[name], name
        assert int(g.headers["Content-Length"]) == len(g.content)
        assert digest(g.content) == g.headers["Docker-Content-Digest"]
        if m is not None:
            assert g.content == m.body and g.headers["Content-Type"] == m.media_type
        value = json.loads(g.content)
        for d in [value[k] for k in ("config",) if k in value] + value.get("layers", []):
            if "urls" not in d:
                self.pull_blob(repo, d["digest"], d["size"])
        for child in value.get("manifests", []):
            if child["mediaType"] in EVERYTHING:
                self.pull(repo, child["digest"])
        return g

    def pull_blob(self, repo, d, size=None):
        path = f"/v2/{repo}/blobs/{d}"
        h, g = self.head(path), self.get(path)
        assert (h.status_code, g.status_code) == (200, 200), f"{d}: {h.status_code}, {g.status_code}"
        assert h.content == b"" and h.headers["Docker-Content-Digest"] == d
        assert int(h.headers["Content-Length"]) == len(g.content) == (len(g.content) if size is None else size)
        assert digest(g.content, d.split(":")[0]) == d
        return g.content
