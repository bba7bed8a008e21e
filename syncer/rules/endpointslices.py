"""EndpointSlices of Services without a selector: those with one are made by the host, from the host's pods."""

from __future__ import annotations

from syncer.names import MAX_LABEL, Key, Object, host_name
from syncer.rules.context import Context
from syncer.rules.generic import skeleton
from syncer.rules.table import Rule

SERVICE_NAME = "kubernetes.io/service-name"
MADE_BY = "endpointslice.kubernetes.io/managed-by"
_OURS = "sublet.dev"


def service_of(slice_: Object) -> str | None:
    """Name of the Service whose endpoints these are."""
    name: str | None = (slice_["metadata"].get("labels") or {}).get(SERVICE_NAME)
    return name


def to_host(rule: Rule, key: Key, virtual: Object, context: Context) -> Object:
    """The host EndpointSlice; target pods carry their host names."""
    body = skeleton(rule, key, virtual, context)
    service = service_of(virtual) or ""
    name = host_name(service, key.namespace, context.cluster)
    body["metadata"]["labels"] |= {SERVICE_NAME: name[:MAX_LABEL], MADE_BY: _OURS}
    endpoints = [_endpoint(endpoint, context) for endpoint in virtual.get("endpoints") or ()]
    return {**body, "addressType": virtual["addressType"], "endpoints": endpoints, "ports": virtual.get("ports") or []}


def _endpoint(endpoint: Object, context: Context) -> Object:
    target = endpoint.get("targetRef")
    if not target:
        return endpoint
    rest = {name: value for name, value in endpoint.items() if name != "targetRef"}
    if target.get("kind") != "Pod" or not target.get("name") or not target.get("namespace"):
        return rest
    name = context.host_name(target["name"], target["namespace"])
    return {**rest, "targetRef": {"kind": "Pod", "name": name, "namespace": context.host_namespace}}
