"""Virtual nodes between both servers: mirrors of readable nodes, and stand-ins that hear of a node's loss."""

from __future__ import annotations

from typing import Any

import pytest

from syncer.names import MANAGED_BY, Key, Object
from syncer.values import Nodes
from tests.unit.engine.harness import Harness, engine_of
from tests.unit.engine.test_pods import running

KINDS = ("pods", "services", "nodes")
NODE = Key("nodes", "", "node-1")


def node(name: str = "node-1", *, ready: str = "True", **labels: str) -> Object:
    address = {"type": "InternalIP", "address": "192.0.2.7"}
    conditions = [{"type": "Ready", "status": ready, "lastHeartbeatTime": "then", "lastTransitionTime": "then"}]
    status = {"addresses": [address], "conditions": conditions}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {},
        "status": status,
    }


def mirrored(it: Harness) -> list[str]:
    return sorted(obj["metadata"]["name"] for obj in it.virtual.of("nodes"))


def readiness(it: Harness) -> str:
    conditions = it.mine("nodes", "node-1", "")["status"]["conditions"]
    return next(item["status"] for item in conditions if item["type"] == "Ready")


def choosing(**selector: Any) -> Any:
    return engine_of(*KINDS, nodes=Nodes(from_host=True, **selector))


async def test_by_default_only_nodes_with_pods_of_this_cluster_are_mirrored():
    async with choosing() as it:
        for name in ("node-1", "node-2"):
            it.host.put("nodes", node(name))
        await running(it)
        assert mirrored(it) == ["node-1"]
        assert it.mine("nodes", "node-1", "")["metadata"]["labels"][MANAGED_BY] == "vc"


async def test_all_nodes_can_be_mirrored():
    async with choosing(all=True) as it:
        for name in ("node-1", "node-2"):
            it.host.put("nodes", node(name))
        it.start()
        await it.settle()
        assert mirrored(it) == ["node-1", "node-2"]


async def test_nodes_can_be_chosen_by_labels_as_these_change():
    async with choosing(labels={"pool": "a"}) as it:
        it.host.put("nodes", node("node-1", pool="a"))
        it.host.put("nodes", node("node-2", pool="b"))
        it.start()
        await it.settle()
        assert mirrored(it) == ["node-1"]
        it.host.change("nodes", "", "node-2", {"metadata": {"labels": {"pool": "a"}}})
        it.host.change("nodes", "", "node-1", {"metadata": {"labels": {"pool": None}}})
        await it.settle()
        assert mirrored(it) == ["node-2"]


async def test_a_mirror_follows_its_node_and_goes_with_it():
    async with choosing(all=True) as it:
        it.host.put("nodes", node())
        it.start()
        await it.settle()
        it.host.put("nodes", node(ready="False"))
        await it.settle()
        assert readiness(it) == "False"
        it.host.remove("nodes", "", "node-1")
        await it.settle()
        assert mirrored(it) == []


async def test_heartbeats_cost_nothing():
    async with choosing(all=True) as it:
        it.host.put("nodes", node())
        it.start()
        await it.settle()
        before = len(it.virtual.calls)
        for second in range(5):
            beat = [{"type": "Ready", "status": "True", "lastHeartbeatTime": str(second), "lastTransitionTime": "then"}]
            it.host.change("nodes", "", "node-1", {"status": {"conditions": beat}})
            await it.settle()
        assert len(it.virtual.calls) == before


async def test_a_stand_in_shows_that_its_node_is_lost_and_found():
    async with engine_of() as it:
        await running(it)
        it.world.note_lost("node-1")
        it.world.wants_look(NODE)
        await it.settle()
        assert readiness(it) == "Unknown"


@pytest.mark.parametrize(
    "foreign", [{"metadata": {"name": "mine"}}, {"metadata": {"name": "mine", "labels": {MANAGED_BY: "other"}}}]
)
async def test_a_node_that_a_tenant_made_is_left_alone(foreign):
    async with engine_of() as it:
        it.virtual.put("nodes", foreign)
        it.start()
        await it.wait(120)
        assert mirrored(it) == ["mine"]
        assert it.virtual.said == []
