"""Two virtual clusters of the same name in two host namespaces know nothing of each other."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.e2e import inventory
from tests.e2e.objects import Object, claim, patient, plain, service, workload
from tests.e2e.tenancy import CommandFailed, Kubectl, Release, becomes, eventually, pod

USES = patient(envFrom=[{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "settings"}}])


def objects(value: str) -> list[Object]:
    """The same names in both clusters, each with a value of its own."""
    return [
        plain("ConfigMap", "settings", data={"A": value}),
        plain("Secret", "settings", stringData={"B": value}),
        claim("data"),
        service("web", app="web"),
        workload("Deployment", "web", USES),
        pod("single", USES),
    ]


@pytest.fixture(scope="module")
def pair(release: Release, neighbour: Release) -> Iterator[tuple[Kubectl, Kubectl]]:
    """The same namespace with the same objects in both clusters."""
    name = f"twin-{uuid.uuid4().hex[:6]}"
    with release.tenant_namespace(name), neighbour.tenant_namespace(name):
        both = release.tenant.within(name), neighbour.tenant.within(name)
        for kubectl, value in zip(both, ("one", "two"), strict=True):
            kubectl.apply(*objects(value))
        for kubectl in both:
            eventually(lambda kubectl=kubectl: len(kubectl.names("pods")) == 2)
            kubectl.ready()
        yield both


def uids(release: Release, namespace: str | None) -> dict[inventory.Item, str]:
    """The host objects that stand for one virtual namespace."""
    found = inventory.of_tenant(inventory.everything(release.host, release.namespace), release)
    return {
        item: obj["metadata"]["uid"]
        for item, obj in found.items()
        if obj["metadata"]["labels"]["sublet.dev/namespace"] == namespace and item.kind != "Endpoints"
    }


def test_each_pod_has_its_own_clusters_values(pair: tuple[Kubectl, Kubectl]) -> None:
    assert [kubectl.execute("single", "echo $A $B") for kubectl in pair] == ["one one", "two two"]


def test_each_service_leads_to_its_own_clusters_pods(pair: tuple[Kubectl, Kubectl]) -> None:
    for kubectl in pair:
        addresses = {item["status"]["podIP"] for item in kubectl.items("pods", "--selector=app=web")}
        slices = kubectl.items("endpointslices", "--selector=kubernetes.io/service-name=web")
        found = {address for part in slices for item in part["endpoints"] for address in item["addresses"]}
        assert found == addresses


def test_one_tenants_credentials_are_worth_nothing_at_the_other(
    release: Release, neighbour: Release, tmp_path_factory: pytest.TempPathFactory
) -> None:
    address = neighbour.host.get("service", neighbour.name, "--namespace", neighbour.namespace)["spec"]["clusterIP"]
    elsewhere = [f"--server=https://{address}", "--insecure-skip-tls-verify", "get", "namespaces"]
    # kubectl takes no authority together with the flag.
    text = release.tenant.kubeconfig.read_text().splitlines()
    path = tmp_path_factory.mktemp("foreign") / "kubeconfig"
    path.write_text("\n".join(line for line in text if "certificate-authority-data" not in line))
    foreign = Kubectl(kubeconfig=path, prefix=release.tenant.prefix)

    with pytest.raises(CommandFailed, match=r"Unauthorized|must be logged in|provide credentials"):
        foreign(*elsewhere)


def test_what_one_tenant_deletes_stays_with_the_other(
    release: Release, neighbour: Release, pair: tuple[Kubectl, Kubectl]
) -> None:
    first, second = pair
    before = uids(neighbour, second.namespace)
    first("delete", "deployment,service,pod,configmap,secret,pvc", "--all", "--wait=false")

    becomes(set(), lambda: {item.name for item in uids(release, first.namespace) if item.kind == "Pod"})
    assert uids(neighbour, second.namespace) == before
    assert len(second.names("pods")) == 2
