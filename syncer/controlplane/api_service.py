"""Service default/kubernetes: under the IP of the control plane's host Service, so that pods reach the virtual API server by it.

The API server runs with `--endpoint-reconciler-type=none` and leaves an existing Service alone; an address cannot be changed, so the one
it made at its first start is replaced, once, before the syncer becomes ready.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping, Sequence

from syncer.kube.client import Client
from syncer.kube.errors import AlreadyExists, KubeError, NotFound
from syncer.kube.resource import Resource
from syncer.names import Object

SERVICES = Resource("", "v1", "services", "Service", namespaced=True)
ENDPOINTS = Resource("", "v1", "endpoints", "Endpoints", namespaced=True)
SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", namespaced=True)
API_PORT = 8443
_NAMESPACE, _NAME = "default", "kubernetes"
_TRIES = 50


async def address_of(host: Client, namespace: str, service: str) -> str:
    """Cluster IP of the control plane's host Service."""
    found = await host.get(SERVICES, namespace, service)
    ip: str = found["spec"]["clusterIP"]
    return ip


async def ensure(virtual: Client, *, address: str, endpoints: list[str]) -> None:
    """Gives Service default/kubernetes this address, and these control plane pods as its endpoints."""
    for attempt in range(_TRIES):
        try:
            if await _has_address(virtual, address):
                break
            await virtual.create(SERVICES, _service(address), namespace=_NAMESPACE)
            break
        except KubeError:
            # The API server makes the Service again when it notices the gap; the range may also need a moment to become known.
            if attempt == _TRIES - 1:
                raise
            await asyncio.sleep(0.1)
    await announce(virtual, endpoints)


async def announce(virtual: Client, endpoints: list[str]) -> None:
    """Names these control plane pods as the endpoints of default/kubernetes."""
    await put(virtual, ENDPOINTS, _endpoints(endpoints))
    await put(virtual, SLICES, endpoint_slice(_NAME, _NAMESPACE, endpoints, {"https": ("TCP", API_PORT)}))


async def _has_address(virtual: Client, address: str) -> bool:
    try:
        found = await virtual.get(SERVICES, _NAMESPACE, _NAME)
    except NotFound:
        return False
    if found["spec"].get("clusterIP") == address:
        return True
    await virtual.delete(SERVICES, _NAMESPACE, _NAME, uid=found["metadata"]["uid"])
    return False


async def put(virtual: Client, resource: Resource, body: Object) -> None:
    """Creates an object, or brings one that is there up to it."""
    namespace, name = body["metadata"]["namespace"], body["metadata"]["name"]
    try:
        await virtual.create(resource, body, namespace=namespace)
    except AlreadyExists:
        change = {name: value for name, value in body.items() if name not in ("apiVersion", "kind", "addressType")}
        await virtual.patch(resource, namespace, name, change)


def _service(address: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": _NAME,
            "namespace": _NAMESPACE,
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "clusterIP": address,
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": API_PORT}],
            "sessionAffinity": "None",
            "type": "ClusterIP",
        },
    }


def _endpoints(addresses: list[str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        # The slice below is ours; without the label Kubernetes would make a second one from this object.
        "metadata": {
            "name": _NAME,
            "namespace": _NAMESPACE,
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [
            {
                "addresses": [{"ip": address} for address in addresses],
                "ports": [{"name": "https", "port": API_PORT, "protocol": "TCP"}],
            }
        ],
    }


def endpoint_slice(
    service: str, namespace: str, addresses: Sequence[str], ports: Mapping[str, tuple[str, int]], *, name: str = ""
) -> Object:
    """An EndpointSlice of a Service without a selector; `ports` are protocols and numbers by name."""
    family = f"IPv{ipaddress.ip_address(addresses[0]).version}"
    metadata = {"name": name or service, "namespace": namespace, "labels": {"kubernetes.io/service-name": service}}
    return {
        "apiVersion": SLICES.api_version,
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": family,
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
        "ports": [{"name": label, "port": port, "protocol": protocol} for label, (protocol, port) in ports.items()],
    }
