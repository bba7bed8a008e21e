"""The tenant's work: pods come and go at a steady rate, and what they use is edited, all of it written down as it is acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from random import Random

from syncer.kube.client import Client
from syncer.kube.errors import AlreadyExists, ApiError, KubeError, NotFound, ServerError, TooManyRequests, Unreachable
from syncer.kube.resource import Resource
from tests.e2e import fake_nodes
from tests.e2e.objects import Object, patient, service, workload
from tests.soak.ledger import Ledger

PODS, CONFIG_MAPS, SERVICES = (
    Resource("", "v1", f"{kind.lower()}s", kind, namespaced=True) for kind in ("Pod", "ConfigMap", "Service")
)
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment", namespaced=True)
REVISION = "soak/revision"
_MAPS, _SERVICES = 20, 20
_FAKE, _REAL = "fake", "real"
_REPLICAS = (10, 60)
_IN_FLIGHT = 100
_AGAIN = 0.5
_PASSING = (Unreachable, ServerError, TooManyRequests)
_DISGUISED = ("failed to allocate", "unable to return a response in the time allotted")
"""Texts in refusals by which kube-apiserver says that its store fails or that it ends: 422 Invalid while it gives a Service an
address, 403 Forbidden while an admission plug-in of its own looks something up."""


class Load:
    """The work on one namespace. `rate` is pods per second, `population` how many of them there are at a time."""

    def __init__(self, client: Client, space: str, chance: Random, *, rate: float, population: int) -> None:
        self.ledger = Ledger()
        self.done: Counter[str] = Counter()
        """Acknowledged requests by what they did, and `tried again`."""
        self.refused: list[str] = []
        """Requests that the API server refused though nothing was wrong with them."""
        self._client, self._space, self._chance = client, space, chance
        self._rate, self._population = rate, population
        self._open = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._busy = 0
        self._count = 0
        self._room = asyncio.Semaphore(_IN_FLIGHT)

    async def prepare(self) -> None:
        """What there is all the time: ConfigMaps, a Deployment on fake nodes and one of real pods."""
        for number in range(_MAPS):
            await self._revise(f"settings-{number}", create=True)
        fake = fake_nodes.fake_deployment(_FAKE, _REPLICAS[0])
        for body in (fake, workload("Deployment", _REAL, patient(), replicas=3)):
            await self._insist("Deployment created", partial(self._create, DEPLOYMENTS, body), AlreadyExists)
            self.ledger.deployments[body["metadata"]["name"]] = body["spec"]["replicas"]

    async def run(self) -> None:
        """Works, except while it rests, until it is cancelled."""
        self._open.set()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._churn(tasks))
            for seconds, work in (
                (1.0, self._edit),
                (1.0, self._label),
                (4.0, self._swap_service),
                (20.0, self._scale),
                (90.0, self._roll_out),
            ):
                tasks.create_task(self._each(seconds, work))

    async def rest(self) -> None:
        """Begins nothing any more and waits until all that has begun is acknowledged."""
        self._open.clear()
        await self._idle.wait()

    def resume(self) -> None:
        """Goes on."""
        self._open.set()

    # -- rhythms -----------------------------------------------------------------------------------------------------

    async def _churn(self, tasks: asyncio.TaskGroup) -> None:
        following = time.monotonic()
        while True:
            await self._open.wait()
            await self._room.acquire()
            tasks.create_task(self._one())
            following = max(following + 1 / self._rate, time.monotonic() - 1)
            await asyncio.sleep(following - time.monotonic())

    async def _one(self) -> None:
        """A new pod, and the end of an old one when there are enough."""
        try:
            with self._at_work():
                await self._create_pod()
                if len(self.ledger.pods) > self._population and (name := self._take(self.ledger.pods)):
                    await self._delete(PODS, name)
        finally:
            self._room.release()

    async def _each(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            await self._open.wait()
            with self._at_work():
                await work()

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        self._busy += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._busy -= 1
            if not self._busy:
                self._idle.set()

    # -- single pieces of work ---------------------------------------------------------------------------------------

    async def _create_pod(self) -> None:
        name = f"pod-{self._next()}"
        container: Object = {}
        if self._chance.random() < 0.3:
            used = f"settings-{self._chance.randrange(_MAPS)}"
            container = {"envFrom": [{"configMapRef": {"name": used}}]}
        body = fake_nodes.fake_pod(name, **container)
        if await self._insist("pod created", lambda: self._create(PODS, body), AlreadyExists):
            self.ledger.pods.add(name)

    async def _edit(self) -> None:
        await self._revise(f"settings-{self._chance.randrange(_MAPS)}")

    async def _revise(self, name: str, *, create: bool = False) -> None:
        revision = self._next()
        data = {"REVISION": str(revision), "PADDING": "x" * self._chance.randrange(2000)}
        if create:
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
            done = await self._insist("ConfigMap created", lambda: self._create(CONFIG_MAPS, body), AlreadyExists)
        else:
            done = await self._patch("ConfigMap edited", CONFIG_MAPS, name, {"data": data})
        if done:
            self.ledger.config_maps[name] = revision

    async def _label(self) -> None:
        if not self.ledger.pods:
            return
        name, revision = self._chance.choice(sorted(self.ledger.pods)), self._next()
        marks = {REVISION: str(revision)}
        done = await self._patch("pod labelled", PODS, name, {"metadata": {"labels": marks, "annotations": marks}})
        if done and name in self.ledger.pods:
            self.ledger.labels[name] = revision

    async def _swap_service(self) -> None:
        name = f"service-{self._next()}"
        body = service(name, app=_REAL)
        if await self._insist("Service created", lambda: self._create(SERVICES, body), AlreadyExists):
            self.ledger.services.add(name)
        if len(self.ledger.services) > _SERVICES and (old := self._take(self.ledger.services)):
            await self._delete(SERVICES, old)

    async def _scale(self) -> None:
        replicas = self._chance.randint(*_REPLICAS)
        if await self._patch("Deployment scaled", DEPLOYMENTS, _FAKE, {"spec": {"replicas": replicas}}):
            self.ledger.deployments[_FAKE] = replicas

    async def _roll_out(self) -> None:
        template = {"metadata": {"annotations": {REVISION: str(self._next())}}}
        await self._patch("real pods replaced", DEPLOYMENTS, _REAL, {"spec": {"template": template}})

    # -- requests ----------------------------------------------------------------------------------------------------

    def _take(self, kind: set[str]) -> str | None:
        return self.ledger.take(kind, self._chance)

    def _next(self) -> int:
        self._count += 1
        return self._count

    async def _create(self, resource: Resource, body: Object) -> object:
        return await self._client.create(resource, body, namespace=self._space)

    async def _delete(self, resource: Resource, name: str) -> None:
        await self._insist(
            f"{resource.kind} deleted".replace("Pod", "pod"),
            lambda: self._client.delete(resource, self._space, name),
            settled=NotFound,
        )

    async def _patch(self, what: str, resource: Resource, name: str, body: Object) -> bool:
        """A pod may be gone meanwhile; of the rest nobody else deletes anything."""
        settled = NotFound if resource is PODS else None
        return await self._insist(what, lambda: self._client.patch(resource, self._space, name, body), settled)

    async def _insist(
        self, what: str, request: Callable[[], Awaitable[object]], settled: type[ApiError] | None = None
    ) -> bool:
        """Repeats a request until it is acknowledged, and says so. `settled`: what an earlier try that took effect leads to.

        A refusal is a fault by itself, and promises nothing.
        """
        while True:
            try:
                await request()
            except KubeError as error:
                if isinstance(error, _PASSING) or any(text in str(error) for text in _DISGUISED):
                    self.done["tried again"] += 1
                    await asyncio.sleep(_AGAIN)
                    continue
                if settled is None or not isinstance(error, settled):
                    self.refused.append(f"{time.strftime('%H:%M:%S')} {what}: {error}")
                    return False
            self.done[what] += 1
            return True
