"""What goes wrong: processes of the control plane are killed, its pod is deleted, and somebody on the host deletes what is the tenant's.

In the first half of a soak everything is hit, the pod is deleted now and then. In the second half the syncer is spared, so that one
process lives long enough to tell whether its memory grows.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random

from syncer.kube.client import Client
from syncer.kube.errors import KubeError, NotFound
from syncer.kube.resource import Resource
from syncer.names import host_name
from tests.e2e import processes
from tests.e2e.tenancy import CommandFailed, Release
from tests.soak.load import CONFIG_MAPS, PODS, SERVICES, Load

CONTROL_PLANE = "control-plane pod"
_KILLS_PER_POD = 8
"""After so many the pod is deleted: the kubelet starts a container again at once, then after 10 s, 20 s, 40 s, ..."""
_PAUSE = {"rough": (15.0, 35.0), "long": (60.0, 100.0)}
"""Seconds between two strikes in the first and in the second half."""
_OUTSIDE_EVERY = 12.0
_DOUBLE = 0.15
"""How often a second process is killed with the first."""
_DELETION = 0.1
"""How often the pod is deleted in place of a process."""


class Chaos:
    """Strikes at random. `host` and `tenant` are clients for the two API servers, `space` the tenant's namespace."""

    def __init__(
        self, release: Release, load: Load, chance: Random, *, host: Client, tenant: Client, space: str
    ) -> None:
        self.struck: Counter[str] = Counter()
        """Strikes by what was hit."""
        self.strikes: list[str] = []
        """Time of day, what was hit, and its name if it has one of its own."""
        self.kills: Counter[tuple[str, str]] = Counter()
        """Kills by uid of the control plane's pod and container."""
        self.rough = True
        """Whether the syncer and the pod as a whole are hit too."""
        self._release, self._load, self._chance, self._space = release, load, chance, space
        self._host, self._tenant = host, tenant
        self._calm = asyncio.Lock()

    async def run(self) -> None:
        """Strikes until cancelled, but not while somebody holds `calm`."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(
                self._each(lambda: self._chance.uniform(*_PAUSE["rough" if self.rough else "long"]), self._strike)
            )
            tasks.create_task(self._each(lambda: _OUTSIDE_EVERY, self._delete_from_outside))

    @property
    def calm(self) -> asyncio.Lock:
        """Held while nothing may be struck."""
        return self._calm

    async def _each(self, seconds: Callable[[], float], strike: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds())
            async with self._calm:
                await strike()

    async def _strike(self) -> None:
        try:
            uid = (await asyncio.to_thread(processes.pod_of, self._release))["metadata"]["uid"]
        except CommandFailed:  # it has been deleted and its successor is not made yet
            return
        spent = sum(count for (pod, _), count in self.kills.items() if pod == uid) >= _KILLS_PER_POD
        if self.rough and (spent or self._chance.random() < _DELETION):
            await self._host.delete(PODS, self._release.namespace, self._release.pod)
            self._note(CONTROL_PLANE)
            return
        names = [name for name in processes.CONTAINERS if self.rough or name != "syncer"]
        for name in self._chance.sample(names, 2 if self._chance.random() < _DOUBLE else 1):
            await asyncio.to_thread(self._kill, uid, name)

    def _kill(self, uid: str, container: str) -> None:
        try:
            processes.kill(self._release, container)
        except (AssertionError, ProcessLookupError):  # it is down already
            return
        self.kills[uid, container] += 1
        self._note(container)

    async def _delete_from_outside(self) -> None:
        """A pod, whose tenant's pod must go too, or a ConfigMap or Service, which must come back."""
        kind = self._chance.choice((PODS, PODS, CONFIG_MAPS, SERVICES))
        if kind is PODS:
            await self._delete_pod()
            return
        names = self._load.ledger.config_maps if kind is CONFIG_MAPS else self._load.ledger.services
        if names:
            await self._delete_on_host(kind, self._chance.choice(sorted(names)))

    async def _delete_pod(self) -> None:
        pods = self._load.ledger.pods
        name = self._load.ledger.take(pods, self._chance)
        if name is None:
            return
        # A pod that the tenant has not seen running yet may rightly be made again.
        if not await self._runs(name) or not await self._delete_on_host(PODS, name):
            pods.add(name)

    async def _runs(self, name: str) -> bool:
        try:
            found = await self._tenant.get(PODS, self._space, name)
        except KubeError:
            return False
        return bool(found["status"].get("phase") == "Running")

    async def _delete_on_host(self, kind: Resource, name: str) -> bool:
        try:
            await self._host.delete(kind, self._release.namespace, host_name(name, self._space, self._release.name))
        except NotFound:
            return False
        self._note(f"host {kind.kind}", name)
        return True

    def _note(self, victim: str, name: str = "") -> None:
        self.struck[victim] += 1
        self.strikes.append(f"{time.strftime('%H:%M:%S')} {victim} {name}".rstrip())
