"""What is measured: the bare host, and virtual clusters on it, of whatever make.

Of a virtual cluster nothing is known but its kubeconfig and the host namespace in which it and its pods live. What runs there below a
StatefulSet or a Deployment is taken as its control plane; the ServiceAccounts of those pods are whom the host's audit log names.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import orjson

from lab import audit, layout
from syncer.kube.client import Client
from syncer.kube.credentials import Credentials
from syncer.kube.errors import AlreadyExists, KubeError, NotFound
from syncer.kube.resource import Resource
from tests.bench.figures import HOST
from tests.bench.workload import MARKER, NAMESPACES, PODS
from tests.e2e.objects import Object, plain
from tests.e2e.tenancy import RESTRICTED

_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount", namespaced=True)
_KEEPERS = ("StatefulSet", "ReplicaSet")
_IN_FLIGHT = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A target as a user names it."""

    name: str
    kubeconfig: Path
    host_namespace: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """From NAME=KUBECONFIG:HOSTNAMESPACE. Raises ValueError."""
        name, equals, rest = text.partition("=")
        kubeconfig, colon, namespace = rest.rpartition(":")
        if not (name and equals and kubeconfig and colon and namespace) or name == HOST:
            raise ValueError(f"{text!r} is not NAME=KUBECONFIG:HOSTNAMESPACE with a NAME other than {HOST!r}")
        return cls(name=name, kubeconfig=Path(kubeconfig), host_namespace=namespace)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One API server to make objects at, in namespace `space`; `host_namespace` is where its pods are on the host."""

    name: str
    kubeconfig: Path
    client: Client
    host: Client
    space: str
    host_namespace: str
    accounts: tuple[str, ...] = ()
    """ServiceAccounts of its control plane."""

    @property
    def bare(self) -> bool:
        """Whether this is the host itself."""
        return self.client is self.host

    async def control_plane(self) -> list[Object]:
        """The host pods of its control plane; none for the bare host."""
        found = []
        for account in self.accounts:  # without looking through thousands of tenant's pods
            selector = f"spec.serviceAccountName={account}"
            found += await self.host.list(PODS, self.host_namespace, field_selector=selector)
        return [pod for pod in found if _is_kept(pod)]

    def asked(self, *, since: int) -> list[audit.Request]:
        """What its control plane has asked of the host after a position of the audit log."""
        users = {f"system:serviceaccount:{self.host_namespace}:{account}" for account in self.accounts}
        return [request for request in audit.requests(since=since) if request.user in users]

    async def clear(self) -> None:
        """Deletes the pods that were made and waits until neither side has any. Raises TimeoutError."""
        names = [pod["metadata"]["name"] for pod in await self.client.list(PODS, self.space)]
        await asyncio.gather(*(self.delete(name) for name in names))
        await eventually(self._is_clear, patience=240, every=0.5)

    async def delete(self, name: str) -> None:
        """Deletes a pod, which may be gone already."""
        with contextlib.suppress(NotFound):
            await self.client.delete(PODS, self.space, name)

    async def _is_clear(self) -> bool:
        answer = await self.client.raw("GET", PODS.path(self.space), query={"limit": "1"})
        if answer.status != 200 or orjson.loads(answer.body)["items"]:
            return False
        return not any(_is_marked(pod) for pod in await self.host.list(PODS, self.host_namespace))


@contextlib.asynccontextmanager
async def opened(addresses: list[Address]) -> AsyncIterator[list[Target]]:
    """The bare host and the named targets, each with a namespace to work in that is removed afterwards."""
    space = f"figures-{uuid.uuid4().hex[:6]}"
    host = _connect(layout.kubeconfig())
    bare = Target(name=HOST, kubeconfig=layout.kubeconfig(), client=host, host=host, space=space, host_namespace=space)
    others = [
        Target(
            name=address.name,
            kubeconfig=address.kubeconfig,
            client=_connect(address.kubeconfig),
            host=host,
            space=space,
            host_namespace=address.host_namespace,
            accounts=await _accounts(host, address.host_namespace),
        )
        for address in addresses
    ]
    targets = [bare, *others]
    try:
        for target in targets:
            await _make_space(target)
        yield targets
    finally:
        for target in reversed(targets):
            await _remove_space(target)
            await target.client.close()


async def eventually(probe: Callable[[], Awaitable[bool]], *, patience: float = 60.0, every: float = 0.25) -> float:
    """Waits until `probe` says yes, an unanswered or refused request being a no; returns when. Raises TimeoutError."""
    async with asyncio.timeout(patience):
        while True:
            with contextlib.suppress(KubeError, TimeoutError):
                async with asyncio.timeout(max(every, 5)):
                    if await probe():
                        return time.perf_counter()
            await asyncio.sleep(every)


def _connect(kubeconfig: Path) -> Client:
    return Client.connect(Credentials.from_kubeconfig(kubeconfig), name=kubeconfig.name, max_in_flight=_IN_FLIGHT)


async def _make_space(target: Target) -> None:
    with contextlib.suppress(AlreadyExists):
        await target.client.create(NAMESPACES, plain("Namespace", target.space, labels=RESTRICTED))

    async def has_account() -> bool:
        return bool(await target.client.get(_ACCOUNTS, target.space, "default"))

    await eventually(has_account)


async def _remove_space(target: Target) -> None:
    async def is_gone() -> bool:
        try:
            await target.client.get(NAMESPACES, None, target.space)
        except NotFound:
            return True
        return False

    with contextlib.suppress(KubeError, TimeoutError):
        await target.clear()
        await target.client.delete(NAMESPACES, None, target.space)
        await eventually(is_gone, patience=180)


async def _accounts(host: Client, namespace: str) -> tuple[str, ...]:
    kept = [pod for pod in await host.list(PODS, namespace) if _is_kept(pod)]
    return tuple(sorted({pod["spec"]["serviceAccountName"] for pod in kept}))


def _is_kept(pod: Object) -> bool:
    """Whether a controller of the host keeps the pod, which none does with those of a virtual cluster."""
    owners = pod["metadata"].get("ownerReferences", ())
    return any(owner.get("controller") and owner["kind"] in _KEEPERS for owner in owners)


def _is_marked(pod: Object) -> bool:
    return any(MARKER.search(str(part).encode()) for part in (pod["metadata"]["name"], pod["spec"]["containers"]))
