"""Kubeconfig Secrets: what they hold, when they are written, and whose they must be."""

from __future__ import annotations

import base64

import pytest
import yaml

from syncer.controlplane import kubeconfig
from syncer.controlplane.kubeconfig import Entry, Identity, Issuer
from syncer.values import InvalidValue
from tests.unit.controlplane.memory_api import MemoryApi

OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "vc-owner-alpha", "uid": "owner"}
ISSUER = Issuer(cluster="alpha", namespace="team", owner=OWNER, authority=b"CA")
ADMIN = Identity(certificate=b"CERT", key=b"KEY")
PATH = "/api/v1/namespaces/team/secrets/vc-alpha"


def entry(**changes):
    row = {"secret": "vc-alpha", "namespace": "team", "context": "", "server": "https://alpha.team.svc", **changes}
    return Entry.parse(row, cluster="alpha")


def decoded(secret):
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def test_a_secret_holds_the_kubeconfig_and_its_parts():
    data = decoded(kubeconfig.secret(entry(), ISSUER, ADMIN))
    config = yaml.safe_load(data.pop("config"))
    assert data == {"certificate-authority": "CA", "client-certificate": "CERT", "client-key": "KEY"}
    assert config == {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "alpha", "cluster": {"server": "https://alpha.team.svc", "certificate-authority-data": "Q0E="}}
        ],
        "users": [{"name": "alpha", "user": {"client-certificate-data": "Q0VSVA==", "client-key-data": "S0VZ"}}],
        "contexts": [{"name": "alpha", "context": {"cluster": "alpha", "user": "alpha"}}],
        "current-context": "alpha",
    }


def test_an_insecure_kubeconfig_has_no_authority():
    data = decoded(kubeconfig.secret(entry(insecure=True), ISSUER, ADMIN))
    cluster = yaml.safe_load(data["config"])["clusters"][0]["cluster"]
    assert cluster == {"server": "https://alpha.team.svc", "insecure-skip-tls-verify": True}
    assert "certificate-authority" not in data


def test_a_token_takes_the_place_of_the_certificate():
    data = decoded(kubeconfig.secret(entry(context="mine"), ISSUER, Identity(token="t0k")))
    assert yaml.safe_load(data["config"])["users"] == [{"name": "mine", "user": {"token": "t0k"}}]
    assert data.keys() == {"config", "certificate-authority", "token"}
    assert data["token"] == "t0k"


def test_only_a_secret_beside_the_owner_has_one():
    assert kubeconfig.secret(entry(), ISSUER, ADMIN)["metadata"]["ownerReferences"] == [OWNER]
    assert "ownerReferences" not in kubeconfig.secret(entry(namespace="other"), ISSUER, ADMIN)["metadata"]


async def test_a_missing_secret_is_created():
    api = MemoryApi()
    assert await kubeconfig.write(api.client, kubeconfig.secret(entry(), ISSUER, ADMIN))
    assert api.writes == ["POST /api/v1/namespaces/team/secrets"]


async def test_an_equal_secret_is_not_written_again():
    api = MemoryApi()
    wanted = kubeconfig.secret(entry(), ISSUER, ADMIN)
    await kubeconfig.write(api.client, wanted)
    assert not await kubeconfig.write(api.client, wanted)
    assert len(api.writes) == 1


async def test_only_what_has_changed_is_written():
    api = MemoryApi()
    await kubeconfig.write(api.client, kubeconfig.secret(entry(), ISSUER, ADMIN))
    assert await kubeconfig.write(api.client, kubeconfig.secret(entry(), ISSUER, Identity(b"NEW", b"KEY")))
    assert api.transport.requests[-1].json["data"].keys() == {"config", "client-certificate"}


async def test_a_change_from_certificate_to_token_removes_the_certificate():
    api = MemoryApi()
    await kubeconfig.write(api.client, kubeconfig.secret(entry(), ISSUER, ADMIN))
    await kubeconfig.write(api.client, kubeconfig.secret(entry(), ISSUER, Identity(token="t0k")))
    assert api.objects[PATH]["data"].keys() == {"config", "certificate-authority", "token"}


async def test_labels_owners_and_keys_of_others_stay():
    api = MemoryApi()
    await kubeconfig.write(api.client, kubeconfig.secret(entry(), ISSUER, ADMIN))
    api.objects[PATH]["metadata"]["labels"]["team"] = "a"
    api.objects[PATH]["metadata"]["ownerReferences"] = [{"kind": "X", "uid": "x"}]
    api.objects[PATH]["data"]["note"] = "aGk="
    await kubeconfig.write(api.client, kubeconfig.secret(entry(), ISSUER, Identity(b"NEW", b"KEY")))
    found = api.objects[PATH]
    assert found["metadata"]["labels"]["team"] == "a"
    assert [owner["uid"] for owner in found["metadata"]["ownerReferences"]] == ["x", "owner"]
    assert found["data"]["note"] == "aGk="


@pytest.mark.parametrize(
    "found",
    [
        {"metadata": {}, "data": {"password": "aGk="}},
        {"metadata": {"labels": {"sublet.dev/cluster": "beta"}}, "data": {"config": "aGk="}},
        {"metadata": {"labels": {"sublet.dev/cluster": "beta"}}},
    ],
)
async def test_a_secret_of_somebody_else_is_named_and_not_touched(found):
    api = MemoryApi()
    api.put(PATH, found)
    with pytest.raises(InvalidValue, match="Secret team/vc-alpha: exists and is not a kubeconfig of cluster alpha"):
        await kubeconfig.write(api.client, kubeconfig.secret(entry(), ISSUER, ADMIN))
    assert api.writes == []


async def test_an_empty_secret_is_filled_and_marked():
    api = MemoryApi()
    api.put(PATH, {"metadata": {"labels": {"app.kubernetes.io/name": "sublet"}}})
    await kubeconfig.write(api.client, kubeconfig.secret(entry(), ISSUER, ADMIN))
    assert api.objects[PATH]["metadata"]["labels"]["sublet.dev/cluster"] == "alpha"
    assert decoded(api.objects[PATH])["client-key"] == "KEY"
    assert not await kubeconfig.write(api.client, kubeconfig.secret(entry(), ISSUER, ADMIN))


class Virtual(MemoryApi):
    """A virtual cluster whose controller manager fills token Secrets when they are read for the second time."""

    def __init__(self):
        super().__init__(namespaces=frozenset({"kube-system"}))
        self.token = "dDBr"
        self._read = 0
        self.before = self._fill

    def _fill(self, request):
        found = self.objects.get(request.path)
        if request.method == "GET" and found and found.get("type") == "kubernetes.io/service-account-token":
            self._read += 1
            if self._read == 2 and self.token:
                found["data"] = {"token": self.token}


ACCOUNT = {"name": "viewer", "namespace": "tools", "clusterRole": "view"}
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"


async def export(host, virtual, account=None, **changes):
    async def sleep(seconds):
        pass

    wanted = entry(serviceAccount=account or ACCOUNT, **changes)
    return await kubeconfig.export_with_token(host.client, virtual.client, wanted, ISSUER, sleep=sleep)


def bindings(virtual):
    return [obj for path, obj in virtual.objects.items() if path.startswith(BINDINGS)]


async def test_the_token_of_an_account_is_exported():
    host, virtual = MemoryApi(), Virtual()
    assert await export(host, virtual)
    assert decoded(host.objects[PATH])["token"] == "t0k"
    assert "/api/v1/namespaces/tools/serviceaccounts/viewer" in virtual.objects


async def test_a_second_export_writes_nothing():
    host, virtual = MemoryApi(), Virtual()
    await export(host, virtual)
    assert not await export(host, virtual)
    assert len(host.writes) == 1


async def test_the_account_gets_the_cluster_role():
    virtual = Virtual()
    await export(MemoryApi(), virtual)
    [binding] = bindings(virtual)
    assert binding["roleRef"]["name"] == "view"
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "viewer", "namespace": "tools"}]


async def test_a_changed_cluster_role_replaces_the_old_one():
    virtual = Virtual()
    await export(MemoryApi(), virtual)
    await export(MemoryApi(), virtual, {**ACCOUNT, "clusterRole": "edit"})
    assert [binding["roleRef"]["name"] for binding in bindings(virtual)] == ["edit"]


async def test_a_removed_cluster_role_takes_the_rights_away():
    virtual = Virtual()
    await export(MemoryApi(), virtual)
    await export(MemoryApi(), virtual, {**ACCOUNT, "clusterRole": ""})
    assert bindings(virtual) == []


async def test_the_bindings_name_tells_nothing_about_the_host():
    virtual = Virtual()
    await export(MemoryApi(), virtual)
    [binding] = bindings(virtual)
    assert "team" not in binding["metadata"]["name"]
    assert "vc-alpha" not in binding["metadata"]["name"]


async def test_a_token_that_never_comes_is_told():
    virtual = Virtual()
    virtual.token = ""
    with pytest.raises(InvalidValue, match="virtual Secret tools/viewer-kubeconfig-token: was not given a token"):
        await export(MemoryApi(), virtual)


async def test_a_secret_in_the_tokens_place_is_told():
    virtual = Virtual()
    virtual.put("/api/v1/namespaces/tools", {})
    virtual.put(
        "/api/v1/namespaces/tools/secrets/viewer-kubeconfig-token", {"type": "Opaque", "data": {"token": "eA=="}}
    )
    with pytest.raises(InvalidValue, match="is no token of ServiceAccount viewer"):
        await export(MemoryApi(), virtual)
