"""Pod conditions, which both sides write.

The host's kubelet owns some types. A type named in the pod's readiness gates may be set on either side: by a controller of the tenant
or by one of the host, so the later transition wins, and the tenant's when times do not tell. Any other type that only the virtual pod
has was set by the virtual cluster itself (DisruptionTarget, say) and stays.
"""

from __future__ import annotations

from syncer.names import Object
from syncer.rules.pods.references import items

_KUBELETS = frozenset(
    (
        "PodScheduled",
        "PodReadyToStartContainers",
        "Initialized",
        "ContainersReady",
        "Ready",
        "PodResizePending",
        "PodResizeInProgress",
        "AllContainersRestarting",
    )
)
_MEANING = ("status", "reason", "message")
_GIVEN = (*_MEANING, "lastTransitionTime", "lastProbeTime")


def merged(host: list[Object], virtual: list[Object], spec: Object) -> list[Object]:
    """The conditions that the virtual pod should have; `spec` is the virtual pod's."""
    gates = gate_types(spec)
    theirs = {condition["type"]: condition for condition in virtual}
    result = [
        theirs[condition["type"]]
        if condition["type"] in gates
        and condition["type"] in theirs
        and not _wins(condition, theirs[condition["type"]])
        else condition
        for condition in host
    ]
    there = {condition["type"] for condition in host} | _KUBELETS
    result += [condition for condition in virtual if condition["type"] not in there]
    return result


def for_host(host: list[Object], virtual: list[Object], spec: Object) -> list[Object]:
    """Readiness-gate conditions that the host pod lacks, as items of a strategic merge patch."""
    gates = gate_types(spec)
    if not gates:
        return []
    here = {condition["type"]: condition for condition in host}
    return [
        {"type": condition["type"], **{field: condition.get(field) for field in _GIVEN}}
        for condition in virtual
        if condition["type"] in gates
        and not _same(condition, here.get(condition["type"]))
        and not _wins(here.get(condition["type"]), condition)
    ]


def gate_types(spec: Object) -> frozenset[str]:
    """Condition types that the pod's readiness waits for."""
    return frozenset(gate["conditionType"] for gate in items(spec.get("readinessGates")))


def _same(one: Object, other: Object | None) -> bool:
    return other is not None and all((one.get(field) or None) == (other.get(field) or None) for field in _MEANING)


def _wins(host: Object | None, virtual: Object) -> bool:
    if host is None or _same(host, virtual):
        return False
    # Times are RFC 3339 in UTC with whole seconds: they compare as text.
    return (host.get("lastTransitionTime") or "") > (virtual.get("lastTransitionTime") or "")
