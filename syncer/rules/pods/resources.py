"""Resources that a tenant has given to a node: their own scheduler counts them, and the host has none to give.

A kubelet passes over an extended resource that its node does not have, and so does a host pod.
"""

from __future__ import annotations

from syncer.names import Object
from syncer.rules.context import Context


def step(spec: Object, pod: Object, context: Context) -> Object:
    """The step that leaves out requests for extended resources that the host's node does not have."""
    if not context.settings.schedules:
        return {}
    offered = context.world.host_resources(pod["spec"].get("nodeName") or "")
    return {
        kind: [_without(container, offered) for container in spec[kind]]
        for kind in ("initContainers", "containers")
        if spec.get(kind)
    }


def is_extended(resource: str) -> bool:
    """Whether a resource is one that only some nodes have, such as `example.com/gpu`."""
    return "/" in resource


def _without(container: Object, offered: frozenset[str]) -> Object:
    resources = container.get("resources")
    if not resources:
        return container
    kept = {
        kind: {name: amount for name, amount in resources[kind].items() if not is_extended(name) or name in offered}
        for kind in ("requests", "limits")
        if resources.get(kind)
    }
    return {**container, "resources": {**resources, **kept}}
