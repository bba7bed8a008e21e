"""Watches that note when something was first seen, by its marker.

Every line of a watch is searched for markers as it comes; what its type and the pod's phase say is noted with the time. A watch that
breaks is begun again until it is no longer wanted, and shows all objects anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import orjson

from syncer.kube.client import Client
from syncer.kube.errors import KubeError
from syncer.kube.framing import LineSplitter
from syncer.kube.resource import Resource
from tests.bench.targets import Target
from tests.bench.workload import MARKER

Moment = Literal["there", "running", "gone"]
PATIENCE = 120.0
_PAUSE = 0.05
_LIFE = 3600  # seconds; longer than any run


@dataclass
class Sightings:
    """First sightings of markers, on the clock of `time.perf_counter`."""

    names: dict[str, str] = field(default_factory=dict)
    """The name of the object in which each marker was seen last."""
    _first: dict[tuple[str, Moment], float] = field(default_factory=dict)
    _awaited: dict[tuple[str, Moment], asyncio.Event] = field(default_factory=dict)

    def note(self, line: bytes, now: float) -> None:
        """Takes one line of a watch that came at `now`."""
        marks = {found.decode() for found in MARKER.findall(line)}
        if not marks:
            return
        event = orjson.loads(line)
        for mark in marks:
            self.names[mark] = event["object"]["metadata"]["name"]
            for moment in _moments(event):
                self._saw((mark, moment), now)

    async def when(self, mark: str, moment: Moment, *, patience: float = PATIENCE) -> float:
        """The time of a sighting, perhaps in the past. Raises TimeoutError."""
        key = (mark, moment)
        if key not in self._first:
            async with asyncio.timeout(patience):
                await self._awaited.setdefault(key, asyncio.Event()).wait()
        return self._first[key]

    async def all(self, marks: Iterable[str], moment: Moment, *, patience: float = PATIENCE) -> float:
        """The time by which all were seen."""
        return max(await asyncio.gather(*(self.when(mark, moment, patience=patience) for mark in marks)))

    def _saw(self, key: tuple[str, Moment], now: float) -> None:
        if key not in self._first:
            self._first[key] = now
            if event := self._awaited.pop(key, None):
                event.set()


@dataclass(frozen=True, slots=True)
class View:
    """What is seen of one target's objects: by its own API server, and by the host's. For the bare host both are the same."""

    inside: Sightings
    outside: Sightings


@contextlib.asynccontextmanager
async def views(targets: Sequence[Target], resource: Resource) -> AsyncIterator[dict[str, View]]:
    """Watches one kind of all targets, by the target's name, from the first line on."""
    async with contextlib.AsyncExitStack() as stack:
        found = {}
        for target in targets:
            host = Sightings()
            await stack.enter_async_context(watching(target.host, resource, target.host_namespace, host.note))
            inside = host
            if not target.bare:
                inside = Sightings()
                await stack.enter_async_context(watching(target.client, resource, target.space, inside.note))
            found[target.name] = View(inside, host)
        yield found


@contextlib.asynccontextmanager
async def watching(
    client: Client, resource: Resource, namespace: str, note: Callable[[bytes, float], None]
) -> AsyncIterator[None]:
    """A watch that has begun, for as long as the context lasts."""
    begun = asyncio.Event()
    task = asyncio.create_task(_follow(client, resource, namespace, note, begun))
    try:
        async with asyncio.timeout(30):
            await begun.wait()
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _follow(
    client: Client, resource: Resource, namespace: str, note: Callable[[bytes, float], None], begun: asyncio.Event
) -> None:
    query = {"watch": "true", "timeoutSeconds": str(_LIFE)}
    while True:
        with contextlib.suppress(KubeError):
            async with client.stream(resource, namespace, query) as stream:
                begun.set()
                splitter = LineSplitter()
                async for chunk in stream.chunks():
                    now = time.perf_counter()
                    for line in splitter.feed(chunk):
                        note(line, now)
        await asyncio.sleep(_PAUSE)


def _moments(event: dict[str, object]) -> list[Moment]:
    if event["type"] == "DELETED":
        return ["gone"]
    obj = event["object"]
    assert isinstance(obj, dict)
    return ["there", "running"] if obj.get("status", {}).get("phase") == "Running" else ["there"]
