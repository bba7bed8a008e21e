"""A scheduler of the virtual cluster's own, on the host's nodes. The test plays the host's kubelet and provisioner."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from lab import toolchain
from syncer.kube.resource import Resource
from syncer.names import Object
from tests.integration.conftest import ApiServerPair
from tests.integration.servers import Scheduler
from tests.integration.syncing import (
    CLAIMS,
    DEFAULT_KINDS,
    NODES,
    PODS,
    VOLUMES,
    Running,
    Side,
    document,
    eventually,
    pod,
    running,
    sides,
)

CLASSES = Resource("storage.k8s.io", "v1", "storageclasses", "StorageClass", namespaced=False)
KINDS = (*DEFAULT_KINDS, "nodes", "storageclasses", "persistentvolumes")
SELECTED = "volume.kubernetes.io/selected-node"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
HOSTNAME = "kubernetes.io/hostname"
UNCORDONED = {"spec": {"unschedulable": None, "taints": None}}


@pytest.fixture(scope="module", autouse=True)
def scheduler(api_server_pair: ApiServerPair) -> Iterator[None]:
    toolchain.build(["kube-scheduler"])
    scheduler = Scheduler(api_server_pair.virtual)
    yield
    scheduler.stop()


@pytest.fixture
async def sync(api_server_pair: ApiServerPair) -> AsyncIterator[Running]:
    space = f"t{uuid.uuid4().hex[:8]}"
    nodes = {"fromHost": True, "selector": {"all": False, "labels": {"space": space}}}
    async with sides(api_server_pair, space) as (host, virtual):
        config = document(host.space, kinds=KINDS, scheduler={"enabled": True}, nodes=nodes)
        for name in names(space):
            await add_node(host, name, space)
        async with running(api_server_pair, host, virtual, config) as it:
            yield it
        for name in names(space):
            await host.delete(NODES, name)
            await virtual.delete(NODES, name)


def names(space: str) -> tuple[str, str]:
    return f"{space}-a", f"{space}-b"


async def add_node(host: Side, name: str, space: str) -> None:
    await host.make(NODES, {"metadata": {"name": name, "labels": {HOSTNAME: name, "space": space}}})
    await host.patch(NODES, name, UNCORDONED)
    room = {"cpu": "4", "memory": "8Gi", "pods": "110"}
    condition = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "yes"}
    times = dict.fromkeys(("lastHeartbeatTime", "lastTransitionTime"), "2026-01-01T00:00:00Z")
    status = {"capacity": room, "allocatable": room, "conditions": [condition | times]}
    await host.patch(NODES, name, {"status": status}, "status")


def chosen(host_pod: Object) -> list[str]:
    (term,) = host_pod["spec"]["affinity"]["nodeAffinity"][REQUIRED]["nodeSelectorTerms"]
    values: list[str] = term["matchFields"][0]["values"]
    return values


async def test_a_pod_reaches_the_host_when_a_node_that_the_tenant_has_not_cordoned_is_chosen(sync: Running) -> None:
    first, second = names(sync.virtual.space)
    await eventually(lambda: sync.virtual.get(NODES, second))
    for name in (first, second):
        await sync.virtual.patch(NODES, name, {"spec": {"unschedulable": True}})
    on_shelf = {"nodeSelector": {"shelf": "top"}, "schedulerName": "default-scheduler"}
    await sync.virtual.make(PODS, pod("web", **on_shelf))

    async def unschedulable() -> bool:
        conditions = ((await sync.virtual.get(PODS, "web")) or {})["status"].get("conditions") or ()
        return any(item.get("reason") == "Unschedulable" for item in conditions)

    await eventually(unschedulable)
    assert await sync.host.get(PODS, sync.host_name("web")) is None

    await sync.virtual.patch(NODES, second, {"metadata": {"labels": {"shelf": "top"}}, "spec": {"unschedulable": None}})
    there = await eventually(lambda: sync.host.get(PODS, sync.host_name("web")))
    assert chosen(there) == [second]
    assert "nodeName" not in there["spec"]
    assert there["spec"]["nodeSelector"] == {"space": sync.virtual.space}
    assert (await sync.virtual.get(NODES, first) or {})["spec"]["unschedulable"] is True


async def test_a_pod_of_another_scheduler_of_the_tenants_is_that_schedulers(sync: Running) -> None:
    first, _ = names(sync.virtual.space)
    await eventually(lambda: sync.virtual.get(NODES, first))
    await sync.virtual.make(PODS, pod("own", schedulerName="mine"))
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "own"}, "target": {"name": first}}
    await sync.virtual.client.post_subresource(PODS, sync.virtual.space, "own", "binding", binding)
    there = await eventually(lambda: sync.host.get(PODS, sync.host_name("own")))
    assert chosen(there) == [first]
    assert there["spec"]["schedulerName"] == "default-scheduler"


async def test_a_claim_that_waits_for_its_pod_gets_a_volume_on_the_node_that_was_chosen_inside(sync: Running) -> None:
    space = sync.virtual.space
    await sync.host.make(
        CLASSES,
        {"metadata": {"name": space}, "provisioner": "x.example/y", "volumeBindingMode": "WaitForFirstConsumer"},
    )
    await eventually(lambda: sync.virtual.get(CLASSES, space))
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": space}
    await sync.virtual.make(CLAIMS, {"metadata": {"name": "data"}, "spec": asked})
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    await sync.virtual.make(PODS, pod("db", volumes=volumes))
    claim = sync.host_name("data")

    async def selected() -> str:
        found = await sync.host.get(CLAIMS, claim)
        return str(((found or {}).get("metadata", {}).get("annotations") or {}).get(SELECTED, ""))

    assert await eventually(selected) in names(space)
    # The provisioner cannot, and says so as provisioners do.
    await sync.host.patch(CLAIMS, claim, {"metadata": {"annotations": {SELECTED: None}}})
    node = await eventually(selected)
    assert node in names(space)
    assert await sync.host.get(PODS, sync.host_name("db")) is None

    term = {"matchExpressions": [{"key": HOSTNAME, "operator": "In", "values": [node]}]}
    reach = {"required": {"nodeSelectorTerms": [term]}}
    volume = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Gi"},
        "storageClassName": space,
        "local": {"path": "/data"},
        "nodeAffinity": reach,
        "claimRef": {"namespace": sync.host.space, "name": claim},
    }
    await sync.host.make(VOLUMES, {"metadata": {"name": space}, "spec": volume})
    await sync.host.patch(CLAIMS, claim, {"spec": {"volumeName": space}})
    done = {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}
    await sync.host.patch(CLAIMS, claim, {"status": done}, "status")

    there = await eventually(lambda: sync.host.get(PODS, sync.host_name("db")))
    assert chosen(there) == [node]
    assert (await sync.virtual.get(VOLUMES, space) or {})["spec"]["nodeAffinity"] == reach
