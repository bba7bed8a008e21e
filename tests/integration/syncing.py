"""A whole syncer between two real API servers, in the test's own event loop, with the chart's rule table."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from syncer.kube.client import Client
from syncer.kube.credentials import Credentials
from syncer.kube.errors import KubeError, NotFound
from syncer.kube.resource import Resource
from syncer.names import MANAGED_BY, Object, host_name
from syncer.values import parse
from syncer.wiring.servers import Ports
from syncer.wiring.syncer import Syncer
from tests.integration.conftest import ApiServerPair
from tests.integration.servers import free_port

RULES = Path(__file__).parents[2] / "chart" / "files" / "rules.yaml"
DEFAULT_KINDS = ("pods", "services", "endpointslices", "configmaps", "secrets", "persistentvolumeclaims", "events")
PODS, SERVICES, SECRETS, CONFIGMAPS, CLAIMS, VOLUMES, NODES, EVENTS = (
    Resource("", "v1", plural, kind, namespaced=plural not in ("nodes", "persistentvolumes"))
    for plural, kind in (
        ("pods", "Pod"),
        ("services", "Service"),
        ("secrets", "Secret"),
        ("configmaps", "ConfigMap"),
        ("persistentvolumeclaims", "PersistentVolumeClaim"),
        ("persistentvolumes", "PersistentVolume"),
        ("nodes", "Node"),
        ("events", "Event"),
    )
)
PATIENCE = 15.0


def rows(*kinds: str) -> list[Mapping[str, Any]]:
    """Rows of the chart's table for these plurals, resolved as the chart resolves them by default."""
    table = yaml.safe_load(RULES.read_text())
    return [
        {**row, "selection": "used" if "selectionToggle" in row else "all"} for row in table if row["resource"] in kinds
    ]


def document(namespace: str, *, kinds: tuple[str, ...] = DEFAULT_KINDS, **more: Any) -> dict[str, Any]:
    """A config document for a cluster called `vc` in this host namespace."""
    return {
        "cluster": {
            "name": "vc",
            "namespace": namespace,
            "domain": "cluster.local",
            "service": "vc",
            "owner": {"apiVersion": "v1", "kind": "ConfigMap", "name": "vc-owner-vc"},
            "workloadServiceAccount": "vc-workload-vc",
        },
        "metadata": {"denyLabels": ["app.kubernetes.io/instance"]},
        "rules": rows(*kinds),
        **more,
    }


class Side:
    """One API server as a test sees it; `space` is the namespace that calls without one mean."""

    def __init__(self, client: Client, space: str) -> None:
        self.client = client
        self.space = space

    async def make(self, resource: Resource, obj: Object) -> Object:
        """Creates an object in the namespace."""
        return await self.client.create(resource, obj, namespace=self.space if resource.namespaced else None)

    async def get(self, resource: Resource, name: str) -> Object | None:
        """The object, or None."""
        try:
            return await self.client.get(resource, self.space if resource.namespaced else None, name)
        except NotFound:
            return None

    async def patch(self, resource: Resource, name: str, body: Object, subresource: str | None = None) -> Object:
        """Merge-patches the object."""
        space = self.space if resource.namespaced else None
        return await self.client.patch(resource, space, name, body, subresource=subresource)

    async def delete(self, resource: Resource, name: str, **options: Any) -> None:
        """Deletes the object."""
        await self.client.delete(resource, self.space if resource.namespaced else None, name, **options)

    async def names(self, resource: Resource, *, ours: bool = False) -> set[str]:
        """Names of all objects, or of those that carry this cluster's mark."""
        selector = f"{MANAGED_BY}=vc" if ours else None
        found = await self.client.list(resource, self.space if resource.namespaced else None, label_selector=selector)
        return {item["metadata"]["name"] for item in found}


class Running:
    """A running syncer with both sides at hand."""

    def __init__(self, syncer: Syncer, host: Side, virtual: Side) -> None:
        self.syncer = syncer
        self.host = host
        self.virtual = virtual

    def host_name(self, name: str) -> str:
        """Host name of an object of the test's virtual namespace."""
        return host_name(name, self.virtual.space, "vc")


async def eventually(probe: Callable[[], Awaitable[Any]], *, patience: float = PATIENCE) -> Any:
    """The first truthy answer of `probe`, asked every 30 ms; fails with the last answer after `patience` seconds."""
    deadline = asyncio.get_running_loop().time() + patience
    while True:
        try:
            answer = await probe()
        except KubeError as error:
            answer = None
            last: object = error
        else:
            last = answer
        if answer:
            return answer
        assert asyncio.get_running_loop().time() < deadline, f"still {last!r} after {patience:.0f} s"
        await asyncio.sleep(0.03)


@contextlib.asynccontextmanager
async def sides(pair: ApiServerPair, space: str) -> AsyncIterator[tuple[Side, Side]]:
    """Clients for both servers, and a namespace of this name on both with what the chart puts into the host's."""
    host = Client.connect(Credentials.from_kubeconfig(pair.host.kubeconfig), name="host")
    virtual = Client.connect(Credentials.from_kubeconfig(pair.virtual.kubeconfig), name="virtual")
    try:
        host_side, virtual_side = Side(host, f"host-{space}"), Side(virtual, space)
        await asyncio.gather(
            asyncio.to_thread(pair.host.make_namespace, host_side.space),
            asyncio.to_thread(pair.virtual.make_namespace, virtual_side.space),
        )
        accounts = Resource("", "v1", "serviceaccounts", "ServiceAccount", namespaced=True)
        await host_side.make(accounts, {"metadata": {"name": "vc-workload-vc"}})
        await host_side.make(CONFIGMAPS, {"metadata": {"name": "vc-owner-vc"}})
        await host_side.make(
            SERVICES,
            {"metadata": {"name": "vc"}, "spec": {"ports": [{"name": "https", "port": 443, "targetPort": 8443}]}},
        )
        yield host_side, virtual_side
    finally:
        # The next syncer would bring this test's pods to its own host namespace.
        await virtual.raw("DELETE", PODS.path(space), body=b'{"gracePeriodSeconds": 0}')
        await host.close()
        await virtual.close()


@contextlib.asynccontextmanager
async def running(
    pair: ApiServerPair, host: Side, virtual: Side, config: dict[str, Any] | None = None, *, identity: str = ""
) -> AsyncIterator[Running]:
    """A syncer between the two namespaces, ready."""
    pki = pair.virtual.folder / "syncer"
    pki.mkdir(exist_ok=True)
    certificate, key = pair.virtual.ca.issue("syncer", hosts=("localhost", "127.0.0.1"))
    (pki / "syncer.crt").write_bytes(certificate.read_bytes())
    (pki / "syncer.key").write_bytes(key.read_bytes())
    (pki / "ca.crt").write_bytes(pair.virtual.ca.certificate.read_bytes())
    syncer = Syncer(
        parse(config or document(host.space)),
        host=Credentials.from_kubeconfig(pair.host.kubeconfig),
        virtual=Credentials.from_kubeconfig(pair.virtual.kubeconfig),
        pki=pki,
        pod_ip="192.0.2.1",
        ports=Ports(health=free_port(), kubelet=0, admission=free_port()),
        identity=identity,
    )
    task = asyncio.create_task(syncer.run())
    try:

        async def ready() -> bool:
            if task.done():
                task.result()
            return not syncer.unready()

        await eventually(ready, patience=30)
        yield Running(syncer, host, virtual)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def pod(name: str, **spec: Any) -> Object:
    """A small pod without a token, that needs no cluster DNS."""
    base = {
        "automountServiceAccountToken": False,
        "dnsPolicy": "Default",
        "containers": [{"name": "main", "image": "busybox"}],
    }
    return {"metadata": {"name": name, "labels": {"app": name}}, "spec": {**base, **spec}}
