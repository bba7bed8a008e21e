"""A release over time: upgraded with other values, paused, resumed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.e2e.tenancy import CHART, Release, becomes, eventually, helm, host_kubectl, install, pod, remove, shell

pytestmark = pytest.mark.long
REPLICAS = "controlPlane.statefulSet.highAvailability.replicas"


@pytest.fixture(scope="module")
def aging(lab: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """A release of its own, in which a tenant's pod runs."""
    namespace = f"life-{uuid.uuid4().hex[:6]}"
    try:
        found = install("vc", namespace, tmp_path_factory.mktemp("life"))
        found.tenant("create", "namespace", "kept")
        kubectl = found.tenant.within("kept")
        eventually(lambda: kubectl("get", "serviceaccount", "default"))
        kubectl.apply(pod("one", shell("exec sleep infinity")), namespace="kept")
        kubectl.ready("one")
        yield found
    finally:
        remove(host_kubectl(), "vc", namespace)


def upgrade(release: Release, *settings: str) -> None:
    """Upgrades it to the default values with these."""
    pairs = [part for setting in settings for part in ("--set", setting)]
    helm("upgrade", "vc", str(CHART), "--namespace", release.namespace, "--reset-values", "--wait", *pairs)


def uids(release: Release) -> dict[str, str]:
    """The pods of the host namespace: who is who."""
    pods = release.host.items("pods", "--namespace", release.namespace)
    return {item["metadata"]["name"]: item["metadata"]["uid"] for item in pods}


def test_an_upgrade_beside_the_pod_leaves_it_running(aging: Release) -> None:
    before = uids(aging)
    upgrade(
        aging,
        "controlPlane.service.annotations.a=b",
        "rbac.clusterRole.enabled=false",
        "policies.networkPolicy.enabled=true",
    )

    assert uids(aging) == before
    assert aging.host.get("service", "vc", "--namespace", aging.namespace)["metadata"]["annotations"]["a"] == "b"


def test_an_upgrade_of_what_the_pod_reads_replaces_it_and_nothing_of_the_tenants(aging: Release) -> None:
    before = uids(aging)
    upgrade(aging, "sync.toHost.ingresses.enabled=true")
    eventually(lambda: "one" in aging.tenant.within("kept").names("pods"))
    after = uids(aging)

    assert {name for name in before if before[name] != after.get(name)} == {aging.pod}


def test_a_paused_cluster_keeps_its_pods_and_comes_back_as_it_was(aging: Release) -> None:
    before = uids(aging)
    upgrade(aging, f"{REPLICAS}=0")
    becomes({name: uid for name, uid in before.items() if name != aging.pod}, lambda: uids(aging))
    upgrade(aging)
    kubectl = aging.tenant.within("kept")

    eventually(lambda: kubectl("exec", "one", "--", "true") == "")
    assert {name: uid for name, uid in uids(aging).items() if name != aging.pod} == {
        name: uid for name, uid in before.items() if name != aging.pod
    }


def test_an_upgrade_of_the_dns_server_replaces_that_alone(aging: Release) -> None:
    before, dns = uids(aging), aging.tenant.within("kube-system")
    upgrade(aging, "controlPlane.coredns.deployment.pods.labels.a=b", "controlPlane.service.annotations.a=b")

    # The kubelet takes a minute or two to bring the changed document into the pod.
    eventually(lambda: len(dns.names("pods", "--selector=k8s-app=kube-dns,a=b")) == 1, patience=180)
    becomes(1, lambda: len(dns.names("pods", "--selector=k8s-app=kube-dns")))
    becomes(stable(before), lambda: stable(uids(aging)))
    assert aging.host.get("pod", aging.pod, "--namespace", aging.namespace)["metadata"]["uid"] == before[aging.pod]


def stable(pods: dict[str, str]) -> dict[str, str]:
    """Those that are no DNS server's."""
    return {name: uid for name, uid in pods.items() if not name.startswith("coredns-")}
