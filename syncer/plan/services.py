"""Plans for Services.

Normally the admission webhook has made the host Service before the virtual one exists, and nothing is left but to follow changes.
When it was bypassed, the host is asked for the virtual Service's address; if it cannot have that one, the virtual Service moves to the
host's. Node ports go the same way: the tenant's if the host can give them, else the host's.

An address cannot be changed, but the type ExternalName has none: the virtual Service becomes that for a moment and comes back with the
host's address. It is never away: its uid stays, and if the tenant deletes it meanwhile, it is deleted.
"""

from __future__ import annotations

import json

from syncer.names import PREFIX, Key, Object
from syncer.plan.actions import Action, Attempt, Create, Later, Side
from syncer.plan.generic import SAME, give_back, merge_difference, patch_of, removal
from syncer.rules import services
from syncer.rules.context import Context
from syncer.rules.metadata import metadata_patch
from syncer.rules.table import Rule

_LOST_ON_THE_WAY = (
    "type",
    "externalTrafficPolicy",
    "internalTrafficPolicy",
    "allocateLoadBalancerNodePorts",
    "loadBalancerClass",
)
"""Fields that the API server takes from a Service that becomes an ExternalName, beside what its allocators gave."""
_REMOVABLE = (
    "selector",
    "externalName",
    "externalIPs",
    "externalTrafficPolicy",
    "loadBalancerSourceRanges",
    "publishNotReadyAddresses",
    "sessionAffinityConfig",
    "trafficDistribution",
)
"""Fields that go from the host Service when the tenant takes them away; others the host fills in by itself.

Some load balancers write down the IP that they give in `loadBalancerIP`, and would do so again and again.
"""

_RELEASED = 0.3
"""Seconds in which a host gives back the address of a Service that is gone."""

MOVING = PREFIX + "moving"
"""Annotation of a virtual Service that is on its way to another address: the fields, as JSON, that it gets back."""
PORTS_BY_HOST = PREFIX + "ports-by-host"
"""Annotation of a host Service: the host refused the tenant's node ports and has chosen others, which the virtual one must take."""


def plan(rule: Rule, key: Key, *, virtual: Object | None, host: Object | None, context: Context) -> list[Action]:
    """Actions for one Service."""
    if (key.namespace, key.name) == services.KUBERNETES:
        return []
    if virtual is None:
        return removal(rule, host)
    fields = _on_its_way(virtual)
    if "deletionTimestamp" in virtual["metadata"] and (fields is not None or host is None or _moved(virtual, host)):
        return []
    if fields is not None:
        return _arrival(rule, key, virtual, host, fields, context)
    if host is None:
        return _creation(rule, key, virtual, context)
    if _moved(virtual, host):
        return _departure(rule, virtual)
    if _cannot_become(virtual, host):
        return removal(rule, host)
    if PORTS_BY_HOST in (host["metadata"].get("annotations") or {}):
        return _take_ports(rule, virtual, host)
    wanted = services.to_host(rule, key, virtual, context)
    return [*_follow(rule, virtual, wanted, host), *give_back(rule, virtual, host)]


def _creation(rule: Rule, key: Key, virtual: Object, context: Context) -> list[Action]:
    body = services.to_host(rule, key, virtual, context)
    exact = services.with_address(body, virtual)
    relaxed = services.without_node_ports(body)
    if exact == relaxed:
        return [Create(side=Side.HOST, resource=rule.key, body=body)]
    if relaxed != body:
        relaxed = _noted(relaxed, PORTS_BY_HOST, "true")
    fallback = Create(side=Side.HOST, resource=rule.key, body=relaxed)
    # A host Service that was deleted gives its address back a moment after it is gone.
    action = Create(side=Side.HOST, resource=rule.key, body=exact)
    return [Attempt(action=action, otherwise=(fallback,), again=_RELEASED)]


def _moved(virtual: Object, host: Object) -> bool:
    here, there = virtual["spec"].get("clusterIP"), host["spec"].get("clusterIP")
    both = services.has_address(virtual) and services.has_address(host)
    return both and bool(here) and bool(there) and here != there


def _cannot_become(virtual: Object, host: Object) -> bool:
    """Whether the tenant has made a Service again of a kind that no change of the host's leads to."""
    named = "ExternalName" in (virtual["spec"].get("type"), host["spec"].get("type"))
    return not named and services.is_headless(virtual) != services.is_headless(host)


def _departure(rule: Rule, virtual: Object) -> list[Action]:
    fields = {name: virtual["spec"][name] for name in _LOST_ON_THE_WAY if name in virtual["spec"]}
    spec = {"type": "ExternalName", "externalName": services.NOWHERE}
    return _step(rule, virtual, json.dumps(fields, sort_keys=True), spec)


def _on_its_way(virtual: Object) -> Object | None:
    """The fields that a Service on its way to another address gets back; None for any other, also one that only looks like it."""
    spec, note = virtual["spec"], (virtual["metadata"].get("annotations") or {}).get(MOVING)
    if note is None or (spec.get("type"), spec.get("externalName")) != ("ExternalName", services.NOWHERE):
        return None
    try:
        fields = json.loads(note)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None


def _arrival(
    rule: Rule, key: Key, virtual: Object, host: Object | None, fields: Object, context: Context
) -> list[Action]:
    if host is None:
        spec = {name: value for name, value in virtual["spec"].items() if name != "externalName"}
        # Who began this is gone. The echo of what is made here will be dropped, and the way is not at its end.
        return [*_creation(rule, key, {**virtual, "spec": {**spec, **fields}}, context), Later(seconds=0)]
    if not services.has_address(host):
        return removal(rule, host)
    ports = services.ports_as_on_host(virtual, host)
    return _step(rule, virtual, None, {**fields, "externalName": None, **services.allocations(host), "ports": ports})


def _step(rule: Rule, virtual: Object, note: str | None, spec: Object) -> list[Action]:
    """One of the two updates; what the tenant changes at the same time is not overwritten."""
    version = virtual["metadata"]["resourceVersion"]
    body = {"metadata": {"resourceVersion": version, "annotations": {MOVING: note}}, "spec": spec}
    return [patch_of(Side.VIRTUAL, rule.key, virtual, body), Later(seconds=0)]


def _take_ports(rule: Rule, virtual: Object, host: Object) -> list[Action]:
    ports = services.ports_as_on_host(virtual, host)
    done = _note(rule, host, PORTS_BY_HOST, None)
    if ports == virtual["spec"].get("ports"):
        return [done]
    return [patch_of(Side.VIRTUAL, rule.key, virtual, {"spec": {"ports": ports}}), done]


def _follow(rule: Rule, virtual: Object, wanted: Object, host: Object) -> list[Action]:
    spec = {**wanted["spec"]}
    have = {name: value for name, value in host["spec"].items() if name in spec}
    if services.has_address(virtual) != services.has_address(host):
        # ExternalName <-> cluster IP: the type changes, and with it whether there is an address at all.
        spec["clusterIP"] = virtual["spec"].get("clusterIP")
        have["clusterIP"] = host["spec"].get("clusterIP")
    for name in _REMOVABLE:
        if name in host["spec"] and name not in spec:
            spec[name], have[name] = None, host["spec"][name]
    difference = merge_difference(have, spec)
    changes = metadata_patch(wanted["metadata"], host["metadata"])
    metadata = {"metadata": changes} if changes else {}
    if difference is SAME:
        return [patch_of(Side.HOST, rule.key, host, metadata)] if changes else []
    exact = patch_of(Side.HOST, rule.key, host, {**metadata, "spec": difference})
    # The host may have given an address or a node port to somebody else: then it chooses, and the virtual Service follows.
    relaxed = {**spec, "ports": services.without_node_ports(wanted)["spec"]["ports"]}
    if services.has_address(virtual):
        relaxed.pop("clusterIP", None)
    noted = _noted({"metadata": changes, "spec": relaxed}, PORTS_BY_HOST, "true")
    return [Attempt(action=exact, otherwise=(patch_of(Side.HOST, rule.key, host, noted),))]


def _note(rule: Rule, host: Object, name: str, value: str | None) -> Action:
    return patch_of(Side.HOST, rule.key, host, {"metadata": {"annotations": {name: value}}})


def _noted(body: Object, name: str, value: str) -> Object:
    metadata = body["metadata"]
    return {**body, "metadata": {**metadata, "annotations": {**(metadata.get("annotations") or {}), name: value}}}
