"""The cluster's DNS where CoreDNS is a container of the control plane's pod: Service kube-dns leads to that pod.

The Service comes with the chart's manifests, without a selector; who answers is said here, and crosses the border as for any other
Service without one. In the other form CoreDNS is Deployment `coredns` of the virtual cluster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from syncer.controlplane.api_service import SERVICES, SLICES, endpoint_slice, put
from syncer.kube.client import Client
from syncer.kube.errors import KubeError, NotFound
from syncer.kube.resource import Resource
from syncer.rules.endpointslices import MADE_BY, SERVICE_NAME

DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment", namespaced=True)
HOST_RESOLVER = "$(HOST_RESOLVER)"
"""Stands in the manifests for the host cluster's DNS server, which this pod is told of by its kubelet."""
NAMESPACE, SERVICE = "kube-system", "kube-dns"
_SLICE, _DEPLOYMENT = "kube-dns-control-plane", "coredns"
_CONTROLLER = "endpointslice-controller.k8s.io"
_PAUSE = 0.2
_TRIES = 50
_AGAIN_AFTER = (0.0, 2.0, 5.0, 15.0)
"""Seconds before each look; controllers are in step long before the last."""
_PORTS = {"dns": ("UDP", 1053), "dns-tcp": ("TCP", 1053), "metrics": ("TCP", 9153)}


async def ensure(virtual: Client, *, embedded: bool, endpoints: Sequence[str]) -> None:
    """Has kube-dns lead to these control plane pods if they answer for it, and removes what the other form has left behind."""
    with suppress(NotFound):
        if embedded:
            await virtual.delete(DEPLOYMENTS, NAMESPACE, _DEPLOYMENT)
        else:
            await virtual.delete(SLICES, NAMESPACE, _SLICE)
    if embedded:
        await put(virtual, SLICES, endpoint_slice(SERVICE, NAMESPACE, endpoints, _PORTS, name=_SLICE))


async def forget_pods(client: Client, namespace: str, service: str) -> None:
    """Removes the endpoints that kube-dns has of its time with a selector: without one, nobody else looks after them.

    More than once: a controller that has not heard of the change yet makes them again.
    """
    for _ in range(_TRIES):
        try:
            found = await client.get(SERVICES, namespace, service)
        except NotFound:
            return
        if not found["spec"].get("selector"):
            break
        await asyncio.sleep(_PAUSE)  # it loses the selector on the host a moment later than in the virtual cluster
    for pause in _AGAIN_AFTER:
        await asyncio.sleep(pause)
        with suppress(KubeError):
            for item in await client.list(
                SLICES, namespace, label_selector=f"{SERVICE_NAME}={service},{MADE_BY}={_CONTROLLER}"
            ):
                await client.delete(SLICES, namespace, item["metadata"]["name"])


def with_host_resolver(manifests: str, *, path: Path = Path("/etc/resolv.conf")) -> str:
    """The manifests with the first name server of this pod in its place, or with `path` itself when that names none."""
    if HOST_RESOLVER not in manifests:
        return manifests
    lines = [line.split() for line in path.read_text().splitlines()]
    servers = [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]
    return manifests.replace(HOST_RESOLVER, servers[0] if servers else str(path))
