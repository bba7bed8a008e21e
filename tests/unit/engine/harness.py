"""A whole engine between two API servers in memory, with watches that come later than answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from syncer.engine.metrics import Metrics
from syncer.engine.sync import Engine
from syncer.names import TOKEN, Key, Object
from syncer.plan.actions import Side
from tests.unit.builders import HOST_NAMESPACE, OWNER, SPACE, settings, table, there
from tests.unit.engine.fakes import FakeServer, passed

KINDS = ("pods", "services", "endpointslices", "configmaps", "secrets", "persistentvolumeclaims")
_LATENCY = 0.01


class Harness:
    """The engine and both its servers; time passes only by `wait`."""

    def __init__(self, *kinds: str, **options: Any) -> None:
        self.host, self.virtual = FakeServer("host"), FakeServer("virtual")
        self.engine = Engine(
            settings=settings(**options),
            table=table(*(kinds or KINDS)),
            host=self.host,  # type: ignore[arg-type]
            virtual=self.virtual,  # type: ignore[arg-type]
            owner=OWNER,
            metrics=Metrics(),
            virtual_version="v1.36.3",
            now=passed,
        )
        self.world, self.queue = self.engine.world, self.engine.queue
        self.world._clock = passed
        for side, rule, index in self.engine.indexes():
            server = self.host if side is Side.HOST else self.virtual
            server.watch.setdefault("secrets" if rule == TOKEN else rule, []).append(index)
        self._tasks: list[asyncio.Task[Any]] = []

    def start(self, *, workers: int = 4) -> None:
        """Lists everything and begins to work, as Engine.run does."""
        for server in (self.host, self.virtual):
            server._news.clear()
            for resource, indexes in server.watch.items():
                for index in indexes:
                    server.list_into(resource, index)
        self.engine.started.set()
        for key in self.engine._all_keys():
            self.queue.add(key)
        self._tasks += [asyncio.create_task(self.queue.work(self.engine._handle)) for _ in range(workers)]
        self._tasks += [asyncio.create_task(self._watch(server)) for server in (self.host, self.virtual)]

    async def _watch(self, server: FakeServer) -> None:
        while True:
            await server.news_came.wait()
            await asyncio.sleep(_LATENCY)
            server.tell()

    async def settle(self) -> None:
        """Lets everything happen that is due within half a second."""
        await self.wait(0.5)

    async def wait(self, seconds: float) -> None:
        """Lets time pass. A worker that died is an error of the test."""
        await asyncio.sleep(seconds)
        for task in self._tasks:
            if task.done():
                task.result()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def mine(self, resource: str, name: str = "web", namespace: str = SPACE) -> Object:
        """A virtual object, which must be there."""
        found = self.virtual.find(resource, namespace, name)
        assert found is not None, f"the virtual cluster has no {resource} {name}"
        return found

    def theirs(self, resource: str, name: str = "web", namespace: str = SPACE) -> Object:
        """The host object that stands for a virtual one, which must be there."""
        found = self.host.find(resource, HOST_NAMESPACE, there(name, namespace))
        assert found is not None, f"the host has no {resource} {there(name, namespace)}"
        return found

    def warnings(self) -> list[str]:
        """Messages of the Warning events that the tenant sees."""
        return [event["message"] for event in self.virtual.of("events")]

    def counted(self, metric: str) -> float:
        """The sum of a counter over its labels."""
        collected = getattr(self.engine.metrics, metric).collect()
        return sum(sample.value for family in collected for sample in family.samples if sample.name.endswith("_total"))


@asynccontextmanager
async def engine_of(*kinds: str, **options: Any) -> AsyncIterator[Harness]:
    """A harness that is not started yet, and is stopped in the end."""
    harness = Harness(*kinds, **options)
    try:
        yield harness
    finally:
        await harness.stop()


def pod_key(name: str = "web") -> Key:
    return Key("pods", SPACE, name)
