"""Which of the host's events reach the tenant."""

from __future__ import annotations

from syncer.engine.events import EventMirror
from syncer.names import Object
from tests.unit.builders import HOST_NAMESPACE
from tests.unit.engine.harness import Harness, engine_of
from tests.unit.engine.test_pods import running


def about(host_pod: Object, **fields: object) -> Object:
    """A host event about a pod."""
    metadata = host_pod["metadata"]
    involved = {"kind": "Pod", "name": metadata["name"], "namespace": HOST_NAMESPACE, "uid": metadata["uid"]}
    name = f"{metadata['name']}.17abc"
    return {
        "metadata": {"name": name},
        "involvedObject": {**involved, **fields},
        "type": "Normal",
        "reason": "Started",
        "message": "Container started",
    }


async def told(harness: Harness, event: Object) -> list[str]:
    """Reasons of the events that the tenant has after this one."""
    world, context = harness.world, harness.engine.context
    mirror = EventMirror(
        host=harness.host,  # type: ignore[arg-type]
        virtual=harness.virtual,  # type: ignore[arg-type]
        world=world,
        context=context,
        kinds={"Pod": "pods"},
    )
    await mirror._write(event)
    return [found["reason"] for found in harness.virtual.of("events")]


async def test_events_of_the_host_reach_the_tenant():
    async with engine_of() as it:
        await running(it)
        assert await told(it, about(it.theirs("pods"))) == ["Started"]


async def test_events_about_an_earlier_host_pod_of_the_same_name_are_not_laid_on_its_successor():
    async with engine_of() as it:
        await running(it)
        assert await told(it, about(it.theirs("pods"), uid="an-earlier-one")) == []


async def test_events_about_containers_that_only_the_host_knows_are_kept_from_the_tenant():
    async with engine_of() as it:
        await running(it)
        assert await told(it, about(it.theirs("pods"), fieldPath="spec.initContainers{sublet-rewrite-hosts}")) == []
