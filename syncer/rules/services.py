"""Services: the same cluster IP and node ports on both sides, selectors narrowed to the tenant's own pods."""

from __future__ import annotations

from syncer.names import UID, Key, Object
from syncer.rules.context import Context
from syncer.rules.generic import skeleton
from syncer.rules.table import Rule

PROMISE = 20.0
"""Seconds after which a host Service whose virtual one never came is taken for an orphan."""
KUBERNETES = ("default", "kubernetes")
"""The virtual API server's own Service, which syncer.controlplane looks after."""
NOWHERE = "moving.sublet.invalid"
"""What a virtual Service points to while its address changes (plan.services); no such name can be resolved (RFC 2606)."""
_ADDRESSES = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort")
_HEADLESS = "None"


def is_headless(service: Object) -> bool:
    """Whether the Service asks for no cluster IP."""
    return (service.get("spec") or {}).get("clusterIP") == _HEADLESS


def has_address(service: Object) -> bool:
    """Whether the Service is of a kind that gets a cluster IP."""
    spec = service.get("spec") or {}
    return spec.get("type") != "ExternalName" and not is_headless(service)


def selects_pods(service: Object) -> bool:
    """Whether Kubernetes makes the endpoints, from a selector."""
    spec = service.get("spec") or {}
    return bool(spec.get("selector")) and (spec.get("type") != "ExternalName" or spec.get("externalName") == NOWHERE)


def to_host(rule: Rule, key: Key, virtual: Object, context: Context) -> Object:
    """The host Service without addresses of its own, except for `None`; node ports as the tenant has them."""
    spec = {name: value for name, value in (virtual.get("spec") or {}).items() if name not in _ADDRESSES}
    given = virtual.get("spec") or {}
    if is_headless(virtual):
        spec["clusterIP"] = _HEADLESS
    if given.get("ipFamilyPolicy") in ("PreferDualStack", "RequireDualStack"):
        spec["ipFamilyPolicy"] = given["ipFamilyPolicy"]
    if given.get("selector"):
        narrowed = context.metadata.narrowed({"matchLabels": given["selector"]}, key.namespace)
        spec["selector"] = narrowed["matchLabels"]
    body = skeleton(rule, key, virtual, context)
    # Made during admission, before the virtual Service has a uid; a Service made again under its name keeps its address anyway.
    body["metadata"]["annotations"].pop(UID, None)
    return {**body, "spec": spec}


def with_address(body: Object, virtual: Object) -> Object:
    """`body` asking for the very addresses and health check port that the virtual Service has."""
    given = virtual.get("spec") or {}
    wanted = {name: given[name] for name in ("clusterIP", "healthCheckNodePort") if given.get(name)}
    return {**body, "spec": {**body["spec"], **wanted}}


def without_node_ports(body: Object) -> Object:
    """`body` leaving the choice of node ports to the host."""
    ports = [
        {name: value for name, value in port.items() if name != "nodePort"} for port in body["spec"].get("ports") or ()
    ]
    return {**body, "spec": {**body["spec"], "ports": ports}}


def allocations(host: Object) -> Object:
    """What the host's allocators decided, as spec fields for the virtual Service: addresses, node ports, health check port."""
    spec = host.get("spec") or {}
    fields = {name: spec[name] for name in ("clusterIP", "clusterIPs", "healthCheckNodePort") if spec.get(name)}
    if spec.get("clusterIPs"):
        fields |= {name: spec[name] for name in ("ipFamilies", "ipFamilyPolicy") if spec.get(name)}
    return fields


def ports_as_on_host(virtual: Object, host: Object) -> list[Object]:
    """The virtual Service's ports with the node ports that the host gave them, matched by protocol and port."""
    given = {_port_key(port): port.get("nodePort") for port in (host.get("spec") or {}).get("ports") or ()}
    ports = []
    for port in (virtual.get("spec") or {}).get("ports") or ():
        node_port = given.get(_port_key(port))
        ports.append({**port, "nodePort": node_port} if node_port else port)
    return ports


def _port_key(port: Object) -> tuple[str, int]:
    return port.get("protocol") or "TCP", port["port"]
