"""What of a virtual cluster can be found on the host: only what its pods need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from syncer.names import host_name, token_secret_name
from tests.e2e import every_kind, inventory
from tests.e2e.inventory import Item
from tests.e2e.tenancy import Kubectl, Release, becomes, eventually


@pytest.fixture(scope="module")
def crowded(release: Release, stage: Kubectl) -> Iterator[str]:
    """A namespace with one object of every kind in it and all pods running."""
    assert stage.namespace is not None
    mark = stage.namespace
    release.tenant.apply(*every_kind.of_the_cluster(mark))
    release.tenant("wait", "--for=condition=Established", f"crd/widgets.{every_kind.group(mark)}", "--timeout=30s")
    stage.apply(*every_kind.of_a_namespace(mark))
    eventually(lambda: len(stage.names("pods")) >= every_kind.PODS)
    stage.ready()
    yield mark
    for obj in every_kind.of_the_cluster(mark):
        release.tenant.run("delete", obj["kind"], obj["metadata"]["name"], "--wait=false")


def test_the_host_holds_what_pods_need_and_nothing_else_of_the_tenant(
    release: Release, stage: Kubectl, crowded: str
) -> None:
    pods = stage.names("pods")
    slices = stage.names("endpointslices", "--selector=kubernetes.io/service-name=outside")
    wanted = {
        "Pod": pods,
        "Service": every_kind.SERVICES,
        "PersistentVolumeClaim": every_kind.CLAIMS,
        "ConfigMap": (*every_kind.USED, "kube-root-ca.crt"),
        "Secret": every_kind.USED,
        "EndpointSlice": slices,
    }
    expected = {Item("Secret", token_secret_name(name, crowded, release.name)) for name in pods}
    for kind, names in wanted.items():
        expected |= {Item(kind, host_name(name, crowded, release.name)) for name in names}

    def found() -> set[Item]:
        objects = inventory.everything(release.host, release.namespace)
        of_the_namespace = {
            item: obj
            for item, obj in inventory.of_tenant(objects, release).items()
            if obj["metadata"]["labels"]["sublet.dev/namespace"] == crowded
        }
        return set(of_the_namespace) - inventory.of_endpoint_controllers(of_the_namespace)

    becomes(expected, found, patience=10)


def test_the_host_namespace_holds_nothing_but_the_release_and_its_tenant(release: Release, crowded: str) -> None:
    objects = inventory.everything(release.host, release.namespace)
    known = {*inventory.of_tenant(objects, release), *inventory.of_release(objects, release)}

    assert {item for item in objects if item not in known and not inventory.of_every_namespace(item)} == set()


def test_kubectl_get_all_shows_only_translated_pods_and_services_beside_the_control_plane(
    release: Release, crowded: str
) -> None:
    shown = {Item.of(obj) for obj in release.host.items("all", "--namespace", release.namespace)}
    own = {
        Item("Pod", release.pod),
        Item("StatefulSet", release.name),
        Item("Service", release.name),
        Item("Service", f"{release.name}-headless"),
    }
    of_tenant = shown - own

    assert own <= shown
    assert {item.kind for item in of_tenant} == {"Pod", "Service"}
    assert all("-x-" in item.name for item in of_tenant)


def test_nothing_without_a_namespace_reaches_the_host(release: Release, crowded: str) -> None:
    kinds = release.host("api-resources", "--namespaced=false", "--verbs=list", "--output=name").split()
    names = release.host("get", ",".join(kinds), "--output=name", "--ignore-not-found").splitlines()

    assert [name for name in names if crowded in name] == []
