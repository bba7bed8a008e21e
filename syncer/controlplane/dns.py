"""The cluster's DNS where CoreDNS is a container of the control plane's pods: Service kube-dns leads to them.

The Service comes with the chart's manifests, without a selector; who answers is said here, and crosses the border as for any other
Service without one. In the other form CoreDNS is Deployment `coredns` of the virtual cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from syncer.controlplane.api_service import SERVICES, SLICES, endpoint_slice, put
from syncer.kube.client import Client
from syncer.kube.errors import NotFound
from syncer.kube.resource import Resource
from syncer.names import Object

DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment", namespaced=True)
HOST_RESOLVER = "$(HOST_RESOLVER)"
"""Stands in the manifests for the host cluster's DNS server, which this pod is told of by its kubelet."""
NAMESPACE, SERVICE = "kube-system", "kube-dns"
_SLICE, _DEPLOYMENT = "kube-dns-control-plane", "coredns"
_PORTS = {"dns": ("UDP", 1053), "dns-tcp": ("TCP", 1053), "metrics": ("TCP", 9153)}


async def ensure(virtual: Client, *, embedded: bool, endpoints: Sequence[str]) -> None:
    """Has kube-dns lead to these control plane pods if they answer for it, and removes what the other form has left behind."""
    with suppress(NotFound):
        if embedded:
            await virtual.delete(DEPLOYMENTS, NAMESPACE, _DEPLOYMENT)
        else:
            await virtual.delete(SLICES, NAMESPACE, _SLICE)
    if embedded:
        await announce(virtual, endpoints)


async def announce(virtual: Client, endpoints: Sequence[str]) -> None:
    """Names these control plane pods as the endpoints of kube-dns."""
    await put(virtual, SLICES, endpoint_slice(SERVICE, NAMESPACE, endpoints, _PORTS, name=_SLICE))


async def retire(virtual: Client) -> str:
    """Removes the Service of the other form, which looks for pods, and with it all that controllers keep for it on both sides.

    Returns its address, which running pods ask and the next one is to have; empty if there is nothing to remove.
    """
    try:
        found = await virtual.get(SERVICES, NAMESPACE, SERVICE)
    except NotFound:
        return ""
    if not found["spec"].get("selector"):
        return ""
    await virtual.delete(SERVICES, NAMESPACE, SERVICE, uid=found["metadata"]["uid"])
    return str(found["spec"]["clusterIP"])


def with_address(manifests: Iterable[Object], address: str) -> list[Object]:
    """The manifests with this address for kube-dns."""
    return [
        {**item, "spec": {**item["spec"], "clusterIP": address}}
        if (item["kind"], item["metadata"]["name"]) == ("Service", SERVICE)
        else item
        for item in manifests
    ]


def with_host_resolver(manifests: str, *, path: Path = Path("/etc/resolv.conf")) -> str:
    """The manifests with the first name server of this pod in its place, or with `path` itself when that names none."""
    if HOST_RESOLVER not in manifests:
        return manifests
    lines = [line.split() for line in path.read_text().splitlines()]
    servers = [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]
    return manifests.replace(HOST_RESOLVER, servers[0] if servers else str(path))
