"""K3s and k0s in the place of the default API server, with real images of theirs: given by name, since the lab cannot make them."""

from __future__ import annotations

import contextlib
import os
import signal
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import commands, images
from tests.e2e import databases, processes
from tests.e2e.objects import Object
from tests.e2e.tenancy import (
    CHART,
    RESTRICTED,
    Kubectl,
    Release,
    becomes,
    eventually,
    helm,
    host_kubectl,
    install,
    pod,
    remove,
    shell,
    web,
)
from tests.e2e.test_62_stores import more, restarts, serve, written
from tests.e2e.writing import Writer

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]
DISTROS = ("k3s", "k0s")
STORES = ("sqlite", "external-etcd")
LABELS = {"k3s": RESTRICTED, "k0s": {"pod-security.kubernetes.io/enforce": "baseline"}}
"""What the host namespace may enforce: k0s wants to be root in its container."""


def values(distro: str) -> Object:
    """Values that choose a distribution, with the image of the environment. Skips the test without one."""
    variable = f"SUBLET_{distro.upper()}_IMAGE"
    image = os.environ.get(variable)
    if not image:
        pytest.skip(f"not run: no image ({variable} names one of {distro}, loaded into the lab or to be had by docker)")
    if any(image not in images.loaded(node) for node in commands.present_nodes()):
        commands.load_images([image])
    return {"controlPlane": {"distro": {distro: {"enabled": True, "image": image}}}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A release of a distribution; `server` is what holds its data besides the control plane's own store."""

    distro: str
    release: Release
    server: databases.Server | None


@pytest.fixture(scope="module", params=[(distro, store) for distro in DISTROS for store in STORES], ids="-".join)
def running(lab: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A release of each distribution on each kind of store: in the pod, reached by a socket, and elsewhere, with files and a prefix."""
    distro, store = request.param
    chosen, folder, host = values(distro), tmp_path_factory.mktemp("distro"), host_kubectl()
    namespace, server = f"distro-{uuid.uuid4().hex[:6]}", None
    with contextlib.ExitStack() as stack:
        if store != "sqlite":
            server = stack.enter_context(databases.server(store))
            chosen["controlPlane"] |= server.values()["controlPlane"]
            # The API server of k0s is in no group but root's.
            (files,) = chosen["controlPlane"]["statefulSet"]["persistence"]["addVolumes"]
            files["secret"]["defaultMode"] = 0o444
        host("create", "namespace", namespace)
        stack.callback(remove, host, "vc", namespace)
        if server:
            host.apply(server.secret(), namespace=namespace)
        release = install("vc", namespace, folder, "--values", written(chosen, folder), labels=LABELS[distro])
        print(f"\n{distro} on {store}: ready after {release.seconds_to_ready:.1f} s")
        yield Running(distro=distro, release=release, server=server)


@pytest.fixture
def kubectl(running: Running) -> Iterator[Kubectl]:
    """The tenant's kubectl in a namespace of its own."""
    with running.release.tenant_namespace(f"t-{uuid.uuid4().hex[:6]}") as name:
        yield running.release.tenant.within(name)


def test_one_container_has_taken_the_place_of_api_server_and_controllers(running: Running) -> None:
    containers = {found["name"] for found in processes.statuses(processes.pod_of(running.release))}

    assert containers == {"pki", "syncer", running.distro} | ({"store"} if running.server is None else set())


def test_a_workload_runs_and_is_reached_by_its_service(kubectl: Kubectl) -> None:
    serve(kubectl)


def test_a_pod_speaks_to_the_api_with_a_token_that_lives_as_long_as_it_says(kubectl: Kubectl) -> None:
    kubectl("create", "rolebinding", "see", "--clusterrole=view", f"--serviceaccount={kubectl.namespace}:default")
    kubectl.apply(pod("caller", web()), namespace=kubectl.namespace)
    kubectl.ready("caller")
    at = "/var/run/secrets/kubernetes.io/serviceaccount"
    url = f"https://kubernetes.default/api/v1/namespaces/{kubectl.namespace}/pods"
    script = f'curl -s --cacert {at}/ca.crt -H "Authorization: Bearer $(cat {at}/token)" {url}'

    assert '"name": "caller"' in eventually(lambda: kubectl.execute("caller", script))


def test_who_shows_nothing_sees_health_checks_only(running: Running, kubectl: Kubectl) -> None:
    kubectl.apply(pod("stranger", web()), namespace=kubectl.namespace)
    kubectl.ready("stranger")

    def status(path: str) -> str:
        return kubectl.execute(
            "stranger", f"curl -sk -o /dev/null -w '%{{http_code}}' https://kubernetes.default{path}"
        )

    assert [status(path) for path in ("/readyz", "/version", "/api")] == ["200", "401", "401"]


def test_the_tenant_finds_no_node_and_nothing_that_the_distribution_would_bring(running: Running) -> None:
    tenant = running.release.tenant
    brought = tenant.names("deployments,daemonsets,services", "--namespace=kube-system")

    assert brought == {"coredns", "kube-dns"}
    assert tenant.names("nodes") <= running.release.host.names("nodes")
    assert tenant.names("storageclasses,runtimeclasses") == set()


def test_what_was_acknowledged_outlives_the_deaths_of_store_and_server(running: Running, kubectl: Kubectl) -> None:
    release, own = running.release, "store" if running.server is None else None
    before = restarts(release)
    with Writer(kubectl) as writer:
        for victim in (
            running.server.pids if running.server else lambda: processes.processes_of(release, "store"),
            lambda: processes.processes_of(release, running.distro),
        ):
            more(writer)
            for pid in victim():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        more(writer)
    eventually(lambda: kubectl("get", "--raw", "/readyz"))

    assert writer.lost() == []
    again = {name: count - before[name] for name, count in restarts(release).items() if count != before[name]}
    assert again == {running.distro: 1} | ({own: 1} if own else {})
    print(f"\n{running.distro}: {len(writer.made)} objects and {len(writer.counted)} counters, none lost")


def test_the_control_plane_comes_back_with_everything_in_a_new_pod(running: Running, kubectl: Kubectl) -> None:
    kubectl.apply(pod("stays", shell("echo here; exec sleep infinity")), namespace=kubectl.namespace)
    kubectl.ready("stays")
    running.release.on_host("delete", "pod", running.release.pod)
    becomes(
        1,
        lambda: running.release.host.get("statefulset", "vc", "-n", running.release.namespace)["status"].get(
            "readyReplicas"
        ),
    )

    assert eventually(lambda: kubectl("logs", "stays")) == "here\n"


@pytest.mark.parametrize("distro", DISTROS)
def test_a_change_of_distribution_keeps_everything(lab: None, distro: str, tmp_path: Path) -> None:
    file = written(values(distro), tmp_path)
    release = install("vc", f"distro-{uuid.uuid4().hex[:6]}", tmp_path, labels=LABELS[distro])
    upgrade = ("upgrade", "vc", str(CHART), "--namespace", release.namespace, "--wait", "--timeout=180s")
    try:
        with release.tenant_namespace("kept") as space:
            kubectl = release.tenant.within(space)
            kubectl.apply(pod("stays", shell("echo here; exec sleep infinity")), namespace=space)
            kubectl.ready("stays")
            uid = kubectl.get("pod", "stays")["metadata"]["uid"]
            for more_values in (("--values", file), ("--reset-values",)):
                helm(*upgrade, *more_values)
                assert eventually(lambda: kubectl.get("pod", "stays"))["metadata"]["uid"] == uid
                assert eventually(lambda: kubectl("logs", "stays")) == "here\n"
                created = kubectl("create", "token", "default")
                assert created.count(".") == 2
    finally:
        remove(release.host, release.name, release.namespace)
