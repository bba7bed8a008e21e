"""Processes of the control plane are killed while a hundred pods come and go: all converges, nothing is lost or left or made twice."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from lab import audit
from tests.e2e import fake_nodes, inventory, processes
from tests.e2e.agreement import differing, on_host, running, wanted
from tests.e2e.inventory import Item
from tests.e2e.objects import Object, service
from tests.e2e.tenancy import Kubectl, Release, becomes, eventually, install, uninstall

BARE, REPLICAS, LEFT = 40, 60, 20
"""Pods made one by one, pods of a Deployment, and how many of those are left in the end."""
USING = 10
"""So many of the pods made one by one use a ConfigMap of their own, and so many Services are made."""
ALL = 2 * (BARE + REPLICAS) + 2 * USING
"""So many host objects there are about: a pod and its tokens each, ConfigMaps, Services."""
PATIENCE = 120.0
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def fragile(lab: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """A release of its own, since its processes are killed."""
    fake_nodes.ensure()
    installed = install("vc", f"kill-{uuid.uuid4().hex[:6]}", tmp_path_factory.mktemp("fragile"))
    yield installed
    uninstall(installed)


@pytest.fixture
def kubectl(fragile: Release) -> Iterator[Kubectl]:
    """The tenant's kubectl in a namespace of its own."""
    eventually(lambda: fragile.tenant("get", "--raw", "/readyz"))
    with fragile.tenant_namespace(f"t-{uuid.uuid4().hex[:6]}") as name:
        yield fragile.tenant.within(name)


def everything() -> list[Object]:
    """What is made: pods, a Deployment, ConfigMaps, Services."""
    using = [{"envFrom": [{"configMapRef": {"name": f"bare-{number}"}}]} for number in range(USING)]
    return [
        *(fake_nodes.config(f"bare-{number}") for number in range(USING)),
        *(service(f"bare-{number}", app=f"bare-{number}") for number in range(USING)),
        fake_nodes.fake_deployment("many", REPLICAS),
        *(fake_nodes.fake_pod(f"bare-{number}", **(using[number] if number < USING else {})) for number in range(BARE)),
    ]


def converges(release: Release, kubectl: Kubectl, count: int) -> None:
    """Waits until so many pods are ready and both sides agree on every object and every status."""
    becomes(count, lambda: running(kubectl), patience=PATIENCE)
    becomes(set(), lambda: set(on_host(release, kubectl.namespace)) ^ wanted(release, kubectl), patience=45)
    becomes({}, lambda: differing(release, kubectl), patience=15)


def made_twice(release: Release, since: int) -> dict[str, int]:
    """Host objects that the syncer created more often than once."""
    account = f"system:serviceaccount:{release.namespace}:vc-{release.name}"
    created = Counter(
        f"{request.resource}/{request.name}"
        for request in audit.requests(since=since, user=account)
        if request.verb == "create" and request.code == 201
    )
    return {name: count for name, count in created.items() if count > 1}


def strangers(release: Release) -> set[Item]:
    """Host objects that are neither the release's nor, by their marks, the tenant's."""
    objects = inventory.everything(release.host, release.namespace)
    known = {*inventory.of_tenant(objects, release), *inventory.of_release(objects, release)}
    return {item for item in objects if item not in known and not inventory.of_every_namespace(item)}


@contextmanager
def insistently(kubectl: Kubectl, *commands: tuple[str, ...], stdin: str | None = None) -> Iterator[None]:
    """Gives the commands beside what goes on meanwhile, again and again until the API server takes them."""

    def give(command: tuple[str, ...]) -> None:
        eventually(lambda: kubectl.run(*command, stdin=stdin).returncode == 0, patience=PATIENCE)

    with ThreadPoolExecutor() as pool:
        given = [pool.submit(give, command) for command in commands]
        yield
        for one in given:
            one.result()


@pytest.mark.parametrize(("first", "second"), [("syncer", "store"), ("apiserver", "syncer")])
def test_processes_killed_amid_a_hundred_pods_lose_nothing(
    fragile: Release, kubectl: Kubectl, first: str, second: str
) -> None:
    """The one is killed while the pods are made, the other while most of them are deleted."""
    begin = audit.position()
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": everything()})
    with insistently(kubectl, ("apply", "-f", "-"), stdin=text):
        eventually(lambda: len(on_host(fragile, kubectl.namespace)) > ALL // 3, every=0.05)
        processes.kill(fragile, first)
    converges(fragile, kubectl, BARE + REPLICAS)

    fewer = ("scale", "deployment/many", f"--replicas={LEFT}")
    with insistently(kubectl, ("delete", "pods,configmaps", "--selector=kind=bare", "--wait=false"), fewer):
        eventually(lambda: len(on_host(fragile, kubectl.namespace)) < ALL * 4 // 5, every=0.05)
        processes.kill(fragile, second)
    converges(fragile, kubectl, LEFT)
    assert made_twice(fragile, begin) == {}
    assert strangers(fragile) == set()
