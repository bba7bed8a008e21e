"""Which of the host's events reach the tenant."""

from __future__ import annotations

import pytest

from syncer.engine.events import EventMirror
from syncer.names import Object
from tests.unit.builders import HOST_NAMESPACE, there
from tests.unit.engine.harness import Harness, engine_of
from tests.unit.engine.test_pods import pod


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
