"""What `helm uninstall` and the deletion of the host namespace leave behind while the tenant's pods run: nothing but what was asked for."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e import agreement, inventory
from tests.e2e.inventory import Item
from tests.e2e.objects import Object, claim, patient, plain, service, workload
from tests.e2e.tenancy import (
    Release,
    becomes,
    eventually,
    helm,
    host_kubectl,
    install,
)

pytestmark = pytest.mark.timeout(240)
SPACE = "shop"
PODS = 3
DELETE = "controlPlane.statefulSet.persistence.volumeClaim.retentionPolicy=Delete"
LONGEST = 60.0
"""Seconds that the deletion of the host namespace may take."""


def objects() -> list[Object]:
    """Something of everything that reaches the host."""
    uses = patient(
        envFrom=[{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "settings"}}],
        volumeMounts=[{"name": "data", "mountPath": "/data"}],
    )
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    stuck = plain("ConfigMap", "stuck", data={"A": "1"})
    stuck["metadata"]["finalizers"] = ["example.com/never"]
    return [
        plain("ConfigMap", "settings", data={"A": "kept"}),
        plain("Secret", "settings", stringData={"B": "kept"}),
        stuck,
        claim("data"),
        service("web", app="web"),
        workload("Deployment", "web", uses, pods={"volumes": volumes}, replicas=2),
        workload("StatefulSet", "slow", patient(), pods={"terminationGracePeriodSeconds": 30}),
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For kubeconfigs."""
    return tmp_path_factory.mktemp("uninstall")


@pytest.fixture(scope="module")
def pair(lab: None, folder: Path) -> Iterator[tuple[Release, Release]]:
    """Two releases in one namespace, each with running pods: one keeps its store when it is removed, the other does not."""
    namespace = f"gone-{uuid.uuid4().hex[:6]}"
    host_kubectl()("create", "namespace", namespace)
    with ThreadPoolExecutor() as pool:
        keep = pool.submit(install, "keep", namespace, folder)
        drop = pool.submit(install, "drop", namespace, folder, "--set", DELETE)
        releases = keep.result(), drop.result()
    for release in releases:
        release.tenant("create", "namespace", SPACE)
        release.tenant.apply(*objects(), namespace=SPACE)
    for release in releases:
        all_run(release)
    yield releases
    host_kubectl()("delete", "namespace", namespace, "--ignore-not-found", "--timeout=120s", timeout=150)


def all_run(release: Release) -> None:
    """Waits until the tenant's workloads are as asked."""
    kubectl = release.tenant.within(SPACE)
    for name in ("deployment/web", "statefulset/slow"):
        eventually(lambda name=name: kubectl("rollout", "status", name, "--timeout=10s"))
    kubectl.ready()


def of(release: Release, objects: dict[Item, Object]) -> dict[Item, str]:
    """What of these is the release's or its tenant's, with the uid of each."""
    found = inventory.of_release(objects, release) | inventory.of_tenant(objects, release)
    return {item: obj["metadata"]["uid"] for item, obj in found.items()}


def left(release: Release) -> set[Item]:
    """What the namespace holds beside what each namespace has."""
    objects = inventory.everything(release.host, release.namespace)
    return {item for item in objects if not inventory.of_every_namespace(item)}


def again(release: Release, folder: Path) -> Release:
    """The same release, installed anew."""
    return install(release.name, release.namespace, folder)


def test_an_uninstalled_release_leaves_nothing_and_the_other_of_its_namespace_stays(
    pair: tuple[Release, Release],
) -> None:
    keep, drop = pair
    before = of(keep, inventory.everything(keep.host, keep.namespace))
    helm("uninstall", "drop", "--namespace", drop.namespace, "--wait")
    becomes(set(), lambda: left(drop) - set(before))
    time.sleep(2)  # nobody makes anything again

    assert left(drop) == set(before)
    assert of(keep, inventory.everything(keep.host, keep.namespace)) == before
    all_run(keep)


def test_a_kept_claim_brings_the_tenants_objects_back(pair: tuple[Release, Release], folder: Path) -> None:
    keep, drop = pair
    others = set(of(drop, inventory.everything(drop.host, drop.namespace)))
    helm("uninstall", "keep", "--namespace", keep.namespace, "--wait")
    becomes({Item("PersistentVolumeClaim", "data-keep-0")}, lambda: left(keep) - others)
    back = again(keep, folder)
    kubectl = back.tenant.within(SPACE)

    assert kubectl.get("configmap", "settings")["data"] == {"A": "kept"}
    # The store remembers pods that ran: what tells is that they run on the host.
    becomes(({}, PODS), lambda: (agreement.differing(back, kubectl), agreement.running(kubectl)))
    all_run(back)
    name = next(iter(kubectl.names("pods", "--selector=app=web")))
    assert kubectl.execute(name, "echo $A $B") == "kept kept"
    there = eventually(lambda: back.host.get("service", f"web-x-{SPACE}-x-keep", "--namespace", back.namespace))
    becomes(there["spec"]["clusterIP"], lambda: kubectl.get("service", "web")["spec"]["clusterIP"])
    assert kubectl.run("logs", name).returncode == 0
    print(f"\nhelm install to ready on a kept store: {back.seconds_to_ready:.1f} s")


def test_the_deletion_of_the_host_namespace_does_not_hang(pair: tuple[Release, Release]) -> None:
    keep, _ = pair
    began = time.monotonic()
    keep.host("delete", "namespace", keep.namespace, f"--timeout={LONGEST:.0f}s", timeout=LONGEST + 30)

    print(f"\ndeletion of the host namespace: {time.monotonic() - began:.1f} s")
    assert keep.namespace not in keep.host.names("namespaces")
