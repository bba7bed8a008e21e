"""A tenant that writes without pause, and remembers what was acknowledged."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from types import TracebackType

from lab import layout, netns
from syncer.kube.client import Client
from syncer.kube.credentials import Credentials
from syncer.kube.errors import KubeError
from syncer.kube.resource import Resource
from tests.e2e.objects import plain
from tests.e2e.tenancy import Kubectl

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
WRITERS = 4
"""So many write at once. Each makes ConfigMaps and then counts up in one of its own."""
_AGAIN = 0.1


class Writer(threading.Thread):
    """Writes from entering until leaving the context; a request that fails is nobody's promise."""

    def __init__(self, kubectl: Kubectl) -> None:
        super().__init__(name="writer")
        assert kubectl.namespace is not None
        self._kubectl, self._space = kubectl, kubectl.namespace
        self._done = threading.Event()
        self.made: set[str] = set()
        """Names of ConfigMaps whose creation was acknowledged."""
        self.counted: dict[str, int] = {}
        """Acknowledged counts by ConfigMap."""

    def __enter__(self) -> Writer:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._done.set()
        self.join()

    def run(self) -> None:
        with netns.entered(layout.nodes(1)[0].namespace):
            asyncio.run(self._write())

    def lost(self) -> list[str]:
        """What was acknowledged and is not there, as words."""
        there = {item["metadata"]["name"]: item for item in self._kubectl.items("configmaps")}
        counts = {name: int(there[name]["data"]["COUNT"]) for name in self.counted if name in there}
        counted = self.counted.items()
        return [
            *(f"{name} is gone" for name in sorted(self.made - there.keys())),
            *(f"{name} is {counts[name]}, not {count}" for name, count in counted if counts.get(name, count) < count),
        ]

    def longest_silence(self, meanwhile: Callable[[], bool]) -> float:
        """Waits while `meanwhile` holds; the longest time, in seconds, in which no new object was acknowledged."""
        longest, count, since = 0.0, len(self.made), time.monotonic()
        while meanwhile():
            time.sleep(0.05)
            if len(self.made) > count:
                count, since = len(self.made), time.monotonic()
            longest = max(longest, time.monotonic() - since)
        return longest

    async def _write(self) -> None:
        client = Client.connect(Credentials.from_kubeconfig(self._kubectl.kubeconfig), name="writer")
        try:
            await asyncio.gather(*(self._write_as(client, f"writer-{number}") for number in range(WRITERS)))
        finally:
            await client.close()

    async def _write_as(self, client: Client, writer: str) -> None:
        number = 0
        while not self._done.is_set():
            number += 1
            name = f"{writer}-{number}"
            try:
                await client.create(CONFIG_MAPS, plain("ConfigMap", name, data={"COUNT": "0"}), namespace=self._space)
                self.made.add(name)
                for count in range(1, 4):
                    await client.patch(CONFIG_MAPS, self._space, name, {"data": {"COUNT": str(count)}})
                    self.counted[name] = count
            except KubeError:
                await asyncio.sleep(_AGAIN)
