"""People and controllers of the host who touch what stands for a tenant's object: it heals, or its controller replaces it."""

from __future__ import annotations

import json

import pytest

from syncer.names import host_name
from tests.e2e.objects import patient, plain, service, workload
from tests.e2e.tenancy import Kubectl, Release, becomes, eventually, pod

USES = patient(envFrom=[{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "settings"}}])


@pytest.fixture
def host(release: Release) -> Kubectl:
    """The host's kubectl in the release's namespace."""
    return release.host.within(release.namespace)


def replaced(kubectl: Kubectl, gone: str) -> str:
    """Waits until the Deployment `web` has another running pod than the one of this name; returns its name."""

    def another() -> str | None:
        pods = {item["metadata"]["name"]: item for item in kubectl.items("pods", "--selector=app=web")}
        names = [name for name, item in pods.items() if item["status"]["phase"] == "Running" and name != gone]
        return names[0] if names and gone not in pods else None

    return str(eventually(another))


@pytest.fixture
def web(release: Release, kubectl: Kubectl) -> str:
    """The name of the one running pod of a Deployment `web`."""
    kubectl.apply(workload("Deployment", "web", patient()))
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    return kubectl.names("pods", "--selector=app=web").pop()


def on_host(release: Release, kubectl: Kubectl, name: str) -> str:
    """The host name of an object of the test's namespace."""
    assert kubectl.namespace is not None
    return host_name(name, kubectl.namespace, release.name)


def test_a_pod_deleted_on_the_host_is_replaced_by_its_controller(
    release: Release, host: Kubectl, kubectl: Kubectl, web: str
) -> None:
    host("delete", "pod", on_host(release, kubectl, web), "--wait=false")
    new = replaced(kubectl, web)

    assert host.get("pod", on_host(release, kubectl, new))["status"]["phase"] in ("Running", "Pending")


def test_a_pod_deleted_by_force_on_the_host_is_replaced_by_its_controller(
    release: Release, host: Kubectl, kubectl: Kubectl, web: str
) -> None:
    host("delete", "pod", on_host(release, kubectl, web), "--force", "--grace-period=0")

    assert replaced(kubectl, web) != web


def test_an_evicted_pod_is_replaced_by_its_controller(
    release: Release, host: Kubectl, kubectl: Kubectl, web: str
) -> None:
    name = on_host(release, kubectl, web)
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": release.namespace},
    }
    path = f"/api/v1/namespaces/{release.namespace}/pods/{name}/eviction"
    host("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))

    assert replaced(kubectl, web) != web


def test_what_else_is_deleted_on_the_host_is_made_again(release: Release, host: Kubectl, kubectl: Kubectl) -> None:
    kubectl.apply(
        plain("ConfigMap", "settings", data={"A": "1"}),
        plain("Secret", "settings", stringData={"B": "2"}),
        service("web", app="web"),
        pod("user", USES),
    )
    kubectl.ready("user")
    settings, web = on_host(release, kubectl, "settings"), on_host(release, kubectl, "web")
    wanted = [f"configmap/{settings}", f"secret/{settings}", f"service/{web}"]
    before = {item["metadata"]["uid"] for item in host.items(*wanted)}
    address = kubectl.get("service", "web")["spec"]["clusterIP"]
    host("delete", *wanted, "--wait=false")

    def made_again() -> bool:
        return not before & {item["metadata"]["uid"] for item in host.items(*wanted)}

    eventually(made_again, patience=15)
    assert host.get("configmap", settings)["data"] == {"A": "1"}
    assert host.get("secret", settings)["data"] == {"B": "Mg=="}
    assert (
        host.get("service", web)["spec"]["clusterIP"] == kubectl.get("service", "web")["spec"]["clusterIP"] == address
    )


def test_a_deleted_token_secret_is_made_again_and_pods_that_start_later_can_use_it(
    release: Release, host: Kubectl, kubectl: Kubectl
) -> None:
    kubectl.apply(pod("user", patient()))
    kubectl.ready("user")
    chosen = f"--selector=sublet.dev/kind=token,sublet.dev/namespace={kubectl.namespace}"
    before = host.items("secrets", chosen)[0]["metadata"]
    host("delete", "secret", before["name"])

    becomes(
        [False],
        lambda: [item["metadata"]["uid"] == before["uid"] for item in host.items("secrets", chosen)],
        patience=15,
    )


def test_edits_of_the_tenants_fields_on_the_host_are_taken_back(
    release: Release, host: Kubectl, kubectl: Kubectl
) -> None:
    kubectl.apply(
        plain("ConfigMap", "settings", data={"A": "1"}),
        plain("Secret", "settings", stringData={"B": "2"}),
        pod("user", USES),
    )
    kubectl.ready("user")
    name = on_host(release, kubectl, "settings")
    host("patch", "configmap", name, "--type=merge", "--patch", '{"data": {"A": "edited", "more": "2"}}')

    becomes({"A": "1"}, lambda: host.get("configmap", name)["data"], patience=15)


def test_labels_and_annotations_of_the_host_are_left_alone(release: Release, host: Kubectl, kubectl: Kubectl) -> None:
    kubectl.apply(service("web", app="web"))
    name = on_host(release, kubectl, "web")
    eventually(lambda: host.get("service", name))
    host("label", "service", name, "team=blue")
    host("annotate", "service", name, "cost=7")
    kubectl("label", "service", "web", "mine=1")
    eventually(lambda: host.get("service", name)["metadata"]["labels"].get("mine") == "1", patience=15)
    metadata = host.get("service", name)["metadata"]

    assert metadata["labels"]["team"] == "blue"
    assert metadata["annotations"]["cost"] == "7"


def test_a_pod_that_lost_its_mark_is_let_go_and_replaced(
    release: Release, host: Kubectl, kubectl: Kubectl, web: str
) -> None:
    """As a ReplicaSet lets go of a pod whose labels change."""
    released = on_host(release, kubectl, web)
    host("label", "pod", released, "sublet.dev/managed-by-")
    try:
        assert replaced(kubectl, web) != web
    finally:
        host("delete", "pod", released, "--wait=false")
