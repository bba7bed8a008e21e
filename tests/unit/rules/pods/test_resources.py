"""Requests for resources that only the tenant's own node object has."""

from __future__ import annotations

from syncer.rules.pods import to_host
from tests.unit.builders import FakeWorld
from tests.unit.rules.pods.samples import KEY, context, pod

ASKED = {
    "requests": {"cpu": "1", "example.com/gpu": "1", "tenant.example/licence": "2"},
    "limits": {"example.com/gpu": "1", "tenant.example/licence": "2"},
}
WORLD = FakeWorld(resources=frozenset({"cpu", "memory", "example.com/gpu"}))


def resources_on_host(world, *, schedules):
    asking = pod(nodeName="node-1", containers=[{"name": "main", "image": "i", "resources": ASKED}, {"name": "other"}])
    containers = to_host(KEY, asking, context(world, schedules=schedules))["spec"]["containers"]
    assert "resources" not in containers[1]
    return containers[0]["resources"]


def test_what_the_hosts_node_does_not_have_is_not_asked_of_it():
    assert resources_on_host(WORLD, schedules=True) == {
        "requests": {"cpu": "1", "example.com/gpu": "1"},
        "limits": {"example.com/gpu": "1"},
    }


def test_when_the_host_schedules_it_must_hear_of_all_that_is_asked():
    assert resources_on_host(WORLD, schedules=False) == ASKED
