"""What is left of a virtual cluster that is removed, and what a removal must never do: hang, or take what was to be kept."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import inventory
from tests.e2e.inventory import Item
from tests.e2e.objects import claim, plain, service, workload
from tests.e2e.tenancy import CHART, Release, eventually, helm, host_kubectl, install, pod, shell, tenant_kubeconfig

pytestmark = pytest.mark.timeout(240)

_DATA = Item("PersistentVolumeClaim", "data-vc-0")


@pytest.fixture
def place(lab: None) -> Iterator[str]:
    """A host namespace that is gone after the test."""
    name = f"gone-{uuid.uuid4().hex[:6]}"
    yield name
    host_kubectl().run("delete", "namespace", name, "--ignore-not-found", "--timeout=90s", timeout=120)


def with_workloads(release: Release) -> Release:
    """Gives the tenant one of everything that reaches the host, all of it running."""
    sleeper = shell("sleep 3600", envFrom=[{"configMapRef": {"name": "settings"}}])
    mounted = {
        **sleeper,
        "name": "keeper",
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    release.tenant.apply(
        plain("ConfigMap", "settings", data={"a": "1"}),
        service("web", app="web"),
        claim("data"),
        workload("Deployment", "web", sleeper, replicas=2),
        pod("keeper", mounted, volumes=[volume]),
        namespace="default",
    )
    release.tenant("wait", "pod", "--all", "--for=condition=Ready", "--timeout=90s", timeout=100)
    return release


def leftovers(namespace: str) -> set[Item]:
    """What a host namespace holds beyond what every namespace holds."""
    return {item for item in inventory.everything(host_kubectl(), namespace) if not inventory.of_every_namespace(item)}


@pytest.mark.parametrize(("policy", "kept"), [("Retain", {_DATA}), ("Delete", set())])
def test_nothing_is_left_but_what_the_retention_policy_keeps(
    place: str, tmp_path: Path, policy: str, kept: set[Item]
) -> None:
    value = f"controlPlane.statefulSet.persistence.volumeClaim.retentionPolicy={policy}"
    with_workloads(install("vc", place, tmp_path, "--set", value))
    helm("uninstall", "vc", "--namespace", place)

    eventually(lambda: leftovers(place) == kept, patience=90)
    time.sleep(2)
    assert leftovers(place) == kept


def test_deleting_the_host_namespace_does_not_hang(place: str, tmp_path: Path) -> None:
    with_workloads(install("vc", place, tmp_path))
    began = time.monotonic()
    host_kubectl()("delete", "namespace", place, "--timeout=60s", timeout=70)
    print(f"\ndeleting the host namespace: {time.monotonic() - began:.1f} s")


def test_a_new_release_on_a_kept_volume_is_the_old_cluster(place: str, tmp_path: Path) -> None:
    first = install("vc", place, tmp_path)
    first.tenant.apply(plain("ConfigMap", "mine", data={"a": "1"}), namespace="default")
    helm("uninstall", "vc", "--namespace", place, "--wait")
    eventually(lambda: leftovers(place) == {_DATA}, patience=90)
    helm("install", "vc", str(CHART), "--namespace", place, "--wait", "--timeout", "180s")
    kubeconfig = tenant_kubeconfig(first.host, "vc", place, tmp_path)
    again = type(first.tenant)(kubeconfig=kubeconfig, prefix=first.tenant.prefix)

    found = eventually(lambda: again.get("configmap", "mine", "--namespace", "default"))
    assert found["data"] == {"a": "1"}
    with contextlib.suppress(AssertionError):
        helm("uninstall", "vc", "--namespace", place)
