"""Two pods of the control plane on one database: the loss of the one whose syncer leads is a matter of seconds."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import uuid
from collections.abc import Iterator

import pytest

from syncer.engine.leader import NAME, NAMESPACE
from tests.e2e import databases, fake_nodes, processes
from tests.e2e.agreement import differing, on_host, running, wanted
from tests.e2e.tenancy import Kubectl, Release, becomes, eventually, host_kubectl, install, remove
from tests.e2e.test_62_stores import written
from tests.e2e.writing import Writer

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]
PODS = 100
SOON = 15.0
"""Seconds in which another syncer is to be at work."""


@pytest.fixture(scope="module")
def pair(lab: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """A release with two pods."""
    fake_nodes.ensure()
    folder, namespace, host = tmp_path_factory.mktemp("pair"), f"pair-{uuid.uuid4().hex[:6]}", host_kubectl()
    with databases.server("postgres") as server:
        values = server.values()
        values["controlPlane"]["statefulSet"]["highAvailability"] = {"replicas": 2}
        values["controlPlane"]["advanced"] = {"podDisruptionBudget": {"enabled": True}}
        host("create", "namespace", namespace)
        host.apply(server.secret(), namespace=namespace)
        try:
            yield install("vc", namespace, folder, "--values", written(values, folder))
        finally:
            remove(host, "vc", namespace)


@pytest.fixture
def kubectl(pair: Release) -> Iterator[Kubectl]:
    """The tenant's kubectl in a namespace of its own."""
    eventually(lambda: pair.tenant("get", "--raw", "/readyz"))
    with pair.tenant_namespace(f"t-{uuid.uuid4().hex[:6]}") as name:
        yield pair.tenant.within(name)


def leader(release: Release) -> str:
    """The pod whose syncer leads."""
    lease = eventually(lambda: release.tenant.get("lease", NAME, "--namespace", NAMESPACE))
    return str(lease["spec"]["holderIdentity"])


def delete(release: Release, pod: str) -> None:
    """As a drain does it."""
    release.on_host("delete", "pod", pod, "--wait=false")


def freeze(release: Release, pod: str) -> None:
    """As if the node had lost its power: nothing answers, nothing is given back."""
    found = release.host.get("pod", pod, "--namespace", release.namespace)
    for pid in (pid for pids in processes.census(found).values() for pid in pids):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    release.on_host("delete", "pod", pod, "--force", "--grace-period=0")


@pytest.mark.parametrize("lose", [delete, freeze])
def test_another_syncer_is_at_work_soon_after_the_leaders_pod_is_lost_amid_a_hundred_pods(
    pair: Release, kubectl: Kubectl, lose: object
) -> None:
    becomes(2, lambda: pair.host.get("statefulset", "vc", "-n", pair.namespace)["status"].get("readyReplicas"))
    lost = leader(pair)
    kubectl.apply(fake_nodes.fake_deployment("many", PODS), namespace=kubectl.namespace)
    eventually(lambda: len(on_host(pair, kubectl.namespace)) > PODS // 3, every=0.05)
    lose(pair, lost)
    began = time.monotonic()
    eventually(lambda: kubectl.apply(fake_nodes.fake_pod("probe"), namespace=kubectl.namespace) is None, every=0.1)
    accepted = time.monotonic() - began
    eventually(lambda: any("probe" in item.name for item in on_host(pair, kubectl.namespace)), every=0.1)
    seconds = time.monotonic() - began
    print(f"\nleader {lost} lost ({lose.__name__}): API again after {accepted:.1f} s, sync after {seconds:.1f} s")

    becomes(PODS + 1, lambda: running(kubectl), patience=120)
    becomes(set(), lambda: set(on_host(pair, kubectl.namespace)) ^ wanted(pair, kubectl), patience=60)
    becomes({}, lambda: differing(pair, kubectl), patience=30)
    assert seconds <= SOON


def test_nothing_acknowledged_is_lost_when_pods_of_the_control_plane_end_one_after_the_other(
    pair: Release, kubectl: Kubectl
) -> None:
    with Writer(kubectl) as writer:
        for pod in ("vc-0", "vc-1"):
            becomes(2, lambda: pair.host.get("statefulset", "vc", "-n", pair.namespace)["status"].get("readyReplicas"))
            before = len(writer.made)
            pair.on_host("delete", "pod", pod)
            eventually(lambda before=before: len(writer.made) > before + 20, patience=90)

    assert writer.lost() == []


def test_default_kubernetes_has_the_ready_pods_as_endpoints(pair: Release) -> None:
    pods = pair.host.items(
        "pods", "--namespace", pair.namespace, "--selector=app.kubernetes.io/component=control-plane"
    )
    wanted_ips = sorted(pod["status"]["podIP"] for pod in pods)

    def addresses() -> list[str]:
        found = pair.tenant.get("endpointslice", "kubernetes", "--namespace=default")
        return sorted(address for endpoint in found["endpoints"] for address in endpoint["addresses"])

    becomes(wanted_ips, addresses)


def test_a_service_that_is_made_through_either_api_server_has_the_hosts_address(
    pair: Release, kubectl: Kubectl
) -> None:
    for number in range(10):  # kube-proxy chooses one of the API servers each time
        name = f"web-{number}"
        kubectl("create", "service", "clusterip", name, "--tcp=80")
        virtual = kubectl.get("service", name)
        on = pair.host.get("service", f"{name}-x-{kubectl.namespace}-x-vc", "--namespace", pair.namespace)
        assert on["spec"]["clusterIP"] == virtual["spec"]["clusterIP"]
