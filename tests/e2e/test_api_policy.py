"""Policies of tags: which are pruned, which become immutable; of organizations, repositories and the own namespace."""

import secrets

import pytest

import api
import oci

NOWHERE = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def pstack(make_stack):
    return make_stack("lighttpd", name="policies", FEATURE_AUTO_PRUNE=True, FEATURE_IMMUTABLE_TAGS=True, FEATURE_RATE_LIMITS=False)


@pytest.fixture(scope="module")
def owner(pstack):
    return api.person(pstack)


@pytest.fixture
def org(pstack, owner):
    return api.organization(pstack, owner)


@pytest.fixture
def repo(pstack, org):
    return api.repository(pstack, f"{org}/app")


@pytest.fixture(params=["organization", "repository", "user"])
def where(request, pstack):
    """Path of the policies, who they belong to, and the scope of their audit rows."""
    who = api.person(pstack)
    name = api.organization(pstack, who)
    if request.param == "organization":
        return f"organization/{name}/autoprunepolicy/", who, "namespace", {"namespace": name}
    if request.param == "repository":
        api.repository(pstack, f"{name}/app")
        return f"repository/{name}/app/autoprunepolicy/", who, "repository", {"namespace": name, "repo": "app"}
    return "user/autoprunepolicy/", who, "namespace", {"namespace": who.user}


class TestPrune:
    def test_life(self, pstack, where):
        path, who, kind, members = where
        assert who.get(path).json() == {"policies": []}
        r = who.post(path, {"method": "number_of_tags", "value": 10})
        assert r.status_code == 201 and set(r.json()) == {"uuid"}
        uuid = r.json()["uuid"]
        one = {"uuid": uuid, "method": "number_of_tags", "value": 10, "tagPattern": None, "tagPatternMatches": True}
        assert who.get(path).json() == {"policies": [one]} and who.get(path + uuid).json() == one
        r = who.put(path + uuid, {"method": "creation_date", "value": "7d", "tagPattern": "  v.* ", "tagPatternMatches": False})
        assert r.status_code == 204 and r.content == b""
        assert who.get(path + uuid).json() == {"uuid": uuid, "method": "creation_date", "value": "7d", "tagPattern": "v.*", "tagPatternMatches": False}
        r = who.delete(path + uuid)
        assert r.status_code == 200 and r.json() == {"uuid": uuid}
        assert who.get(path + uuid).status_code == 404 and who.delete(path + uuid).status_code == 404
        assert who.put(path + uuid, {"method": "number_of_tags", "value": 1}).status_code == 404
        assert [e[2] for e in api.logs(pstack, f"create_{kind}_autoprune_policy", **members)] == [
            {**members, "method": "number_of_tags", "value": 10, "tag_pattern": None, "tag_pattern_matches": True}]
        assert [e[2] for e in api.logs(pstack, f"update_{kind}_autoprune_policy", **members)] == [
            {**members, "method": "creation_date", "value": "7d", "tag_pattern": "v.*", "tag_pattern_matches": False}]
        assert [e[2] for e in api.logs(pstack, f"delete_{kind}_autoprune_policy", **members)] == [{**members, "policy_uuid": uuid}]

    def test_duplicates(self, where):
        path, who, kind, _ = where
        body = {"method": "creation_date", "value": "2w", "tagPattern": "a.*"}
        assert who.post(path, body).status_code == 201
        api.error(who.post(path, body), 400, "invalid_request", f"Existing policy with same values for this {kind}, duplicate policies are not permitted")
        assert who.post(path, {**body, "tagPatternMatches": False}).status_code == 201
        assert who.post(path, {**body, "tagPattern": "b.*"}).status_code == 201
        assert len(who.get(path).json()["policies"]) == 3

    @pytest.mark.parametrize("body,words", [
        ({"method": "never", "value": 1}, "Invalid method provided"), ({"method": "number_of_tags", "value": 0}, "Invalid value given for method type"),
        ({"method": "number_of_tags", "value": "5"}, "Invalid value given for method type"), ({"method": "number_of_tags", "value": True}, "Invalid value given for method type"),
        ({"method": "creation_date", "value": 5}, "Invalid value given for method type"), ({"method": "creation_date", "value": "5"}, "Invalid value given for method type"),
        ({"method": "creation_date", "value": "-5d"}, "Invalid value given for method type"), ({"method": "creation_date", "value": "0d"}, "Invalid value given for method type"),
        ({"method": "creation_date", "value": "1x"}, "Invalid value given for method type"),
        ({"method": "number_of_tags", "value": 1, "tagPattern": "  "}, "tag_pattern cannot be empty"),
        ({"method": "number_of_tags", "value": 1, "tagPattern": "("}, "tag_pattern must be a valid regular expression"),
        ({"value": 1}, "'method' is a required property"), ({"method": "number_of_tags"}, "'value' is a required property"),
        ({"method": "number_of_tags", "value": 1, "tagPatternMatches": "no"}, None)])
    def test_bodies(self, owner, org, body, words):
        api.error(owner.post(f"organization/{org}/autoprunepolicy/", body), 400, "invalid_request", words)
        assert owner.get(f"organization/{org}/autoprunepolicy/").json() == {"policies": []}

    def test_namespace_and_repository_do_not_mix(self, pstack, owner, org, repo):
        a = owner.post(f"organization/{org}/autoprunepolicy/", {"method": "number_of_tags", "value": 1}).json()["uuid"]
        b = owner.post(f"repository/{repo}/autoprunepolicy/", {"method": "number_of_tags", "value": 1}).json()["uuid"]
        other = api.repository(pstack, f"{org}/other")
        assert owner.get(f"repository/{repo}/autoprunepolicy/{a}").status_code == 404
        assert owner.get(f"organization/{org}/autoprunepolicy/{b}").status_code == 404
        assert owner.delete(f"repository/{other}/autoprunepolicy/{b}").status_code == 404
        assert owner.get("user/autoprunepolicy/" + a).status_code == 404
        assert len(owner.get(f"organization/{org}/autoprunepolicy/").json()["policies"]) == 1

    def test_the_task_comes_and_goes(self, pstack, owner, org, repo):
        def tasks():
            return pstack.sql("SELECT t.status, t.last_ran_ms FROM prune_task t JOIN account a ON a.id = t.namespace_id WHERE a.name = %s", org)

        a = owner.post(f"organization/{org}/autoprunepolicy/", {"method": "number_of_tags", "value": 1}).json()["uuid"]
        assert tasks() == [("queued", None)]
        b = owner.post(f"repository/{repo}/autoprunepolicy/", {"method": "number_of_tags", "value": 1}).json()["uuid"]
        owner.delete(f"organization/{org}/autoprunepolicy/{a}")
        assert tasks() == [("queued", None)]
        owner.delete(f"repository/{repo}/autoprunepolicy/{b}")
        assert tasks() == []

    def test_off(self, stack):
        admin = api.Session(stack, "admin")
        assert admin.get("user/autoprunepolicy/").status_code == 404
        assert admin.post("user/autoprunepolicy/", {"method": "number_of_tags", "value": 1}).status_code == 405


@pytest.fixture(params=["organization", "repository"])
def pinned(request, pstack):
    who = api.person(pstack)
    name = api.organization(pstack, who)
    api.repository(pstack, f"{name}/app")
    path = f"organization/{name}" if request.param == "organization" else f"repository/{name}/app"
    return f"{path}/immutabilitypolicy/", who, {"namespace": name, **({"repo": "app"} if request.param == "repository" else {})}


class TestImmutability:
    def test_life(self, pstack, pinned):
        path, who, members = pinned
        assert who.get(path).json() == {"policies": []}
        r = who.post(path, {"tagPattern": "v[0-9]+"})
        assert r.status_code == 201 and set(r.json()) == {"uuid"}
        uuid = r.json()["uuid"]
        assert who.get(path).json() == {"policies": [{"uuid": uuid, "tagPattern": "v[0-9]+", "tagPatternMatches": True}]}
        r = who.put(path + uuid, {"tagPattern": "latest", "tagPatternMatches": False})
        assert r.status_code == 204 and r.content == b""
        assert who.get(path + uuid).json() == {"uuid": uuid, "tagPattern": "latest", "tagPatternMatches": False}
        r = who.delete(path + uuid)
        assert r.status_code == 200 and r.json() == {"uuid": uuid}
        assert who.get(path + uuid).status_code == who.delete(path + uuid).status_code == 404
        assert who.put(path + uuid, {"tagPattern": "x"}).status_code == 404
        assert [e[2] for e in api.logs(pstack, "create_immutability_policy", **members)] == [{**members, "tag_pattern": "v[0-9]+", "tag_pattern_matches": True}]
        assert [e[2] for e in api.logs(pstack, "update_immutability_policy", **members)] == [{**members, "tag_pattern": "latest", "tag_pattern_matches": False}]
        assert [e[2] for e in api.logs(pstack, "delete_immutability_policy", **members)] == [{**members, "policy_uuid": uuid}]

    def test_duplicates(self, pinned):
        path, who, _ = pinned
        a = who.post(path, {"tagPattern": "a"}).json()["uuid"]
        assert who.post(path, {"tagPattern": "a", "tagPatternMatches": False}).status_code == 400
        b = who.post(path, {"tagPattern": "b"}).json()["uuid"]
        assert who.put(path + b, {"tagPattern": "a"}).status_code == 400
        assert who.put(path + a, {"tagPattern": "a", "tagPatternMatches": False}).status_code == 204

    @pytest.mark.parametrize("pattern", ["", "  ", "(", "[a", "a" * 257, "*", "(?<n>a)(?<n>b)", None, 5])
    def test_patterns(self, owner, org, pattern):
        api.error(owner.post(f"organization/{org}/immutabilitypolicy/", {"tagPattern": pattern}), 400, "invalid_request")

    def test_only_so_many(self, pstack, owner, org):
        pstack.sql("INSERT INTO immutability_policy (namespace_id, tag_pattern) SELECT a.id, 'p' || i FROM account a, generate_series(1, 100) i WHERE a.name = %s", org)
        api.error(owner.post(f"organization/{org}/immutabilitypolicy/", {"tagPattern": "more"}), 400, "invalid_request")


class TestPushes:
    @pytest.fixture
    def client(self, pstack, owner):
        return pstack.client(owner.user)

    def immutable(self, pstack, repo):
        ns, name = repo.split("/")
        return dict(pstack.sql("SELECT t.name, t.is_immutable FROM tag t JOIN repository r ON r.id = t.repository_id JOIN account n ON n.id = r.namespace_id"
                               " WHERE n.name = %s AND r.name = %s AND t.ended_ms IS NULL", ns, name))

    def test_new_tags_that_match(self, pstack, owner, client, org, repo):
        owner.post(f"organization/{org}/immutabilitypolicy/", {"tagPattern": "v[0-9]+"})
        owner.post(f"repository/{repo}/immutabilitypolicy/", {"tagPattern": "stable"})
        first = oci.image(layers=1)
        for tag in ("v1", "v1x", "xv1", "stable", "latest"):
            client.push(repo, tag, first)
        assert self.immutable(pstack, repo) == {"v1": True, "v1x": False, "xv1": False, "stable": True, "latest": False}
        assert len(api.logs(pstack, "tag_made_immutable_by_policy", namespace=org, tag="v1")) == 1
        second = oci.image(layers=1)
        client.push(repo, "tmp", second)
        r = client.put_manifest(repo, "v1", second)
        assert r.status_code in (400, 409), r.text
        assert client.put_manifest(repo, "latest", second).status_code == 201
        assert client.put_manifest(repo, "v1", first).status_code == 201            # what it points to already
        assert len(api.logs(pstack, "tag_made_immutable_by_policy", namespace=org, tag="v1")) == 1

    def test_all_but_those_that_match(self, pstack, owner, client, org, repo):
        owner.post(f"repository/{repo}/immutabilitypolicy/", {"tagPattern": "dev|tmp-.*", "tagPatternMatches": False})
        m = oci.image(layers=1)
        for tag in ("dev", "tmp-1", "tmp", "v1"):
            client.push(repo, tag, m)
        assert self.immutable(pstack, repo) == {"dev": False, "tmp-1": False, "tmp": True, "v1": True}

    def test_of_other_repositories(self, pstack, owner, client, org, repo):
        other = api.repository(pstack, f"{org}/other")
        owner.post(f"repository/{other}/immutabilitypolicy/", {"tagPattern": ".*"})
        client.push(repo, "v1", oci.image(layers=1))
        assert self.immutable(pstack, repo) == {"v1": False}

    def test_a_hostile_pattern_costs_little(self, pstack, owner, client, org, repo):
        assert owner.post(f"organization/{org}/immutabilitypolicy/", {"tagPattern": "(a+)+$b"}).status_code == 201
        assert owner.post(f"organization/{org}/immutabilitypolicy/", {"tagPattern": "((a|aa)+)+c"}).status_code == 201
        client.push(repo, "a" * 128, oci.image(layers=1))
        assert self.immutable(pstack, repo) == {"a" * 128: False}

    def test_a_removed_policy_changes_nothing_that_is_there(self, pstack, owner, client, org, repo):
        uuid = owner.post(f"organization/{org}/immutabilitypolicy/", {"tagPattern": ".*"}).json()["uuid"]
        client.push(repo, "v1", oci.image(layers=1))
        owner.delete(f"organization/{org}/immutabilitypolicy/{uuid}")
        client.push(repo, "v2", oci.image(layers=1))
        assert self.immutable(pstack, repo) == {"v1": True, "v2": False}
