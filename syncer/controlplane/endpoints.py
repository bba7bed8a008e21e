"""Which pods of a control plane that has several can be sent requests: those that the host finds ready."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NoReturn

from syncer.controlplane.api_service import SLICES
from syncer.kube.client import Client
from syncer.kube.errors import KubeError
from syncer.kube.watch import reflect
from syncer.names import Object

_AGAIN = 1.0
_log = logging.getLogger(__name__)


Announce = Callable[[list[str]], Awaitable[None]]
"""Writes these addresses to the virtual cluster."""


async def follow(host: Client, announce: Announce, *, namespace: str, service: str) -> None:
    """Has them announced, and again with each change of the host Service's EndpointSlices."""
    ready = Ready()
    selector = f"kubernetes.io/service-name={service}"
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(reflect(host, SLICES, ready, namespace=namespace, label_selector=selector))
        tasks.create_task(_tell(announce, ready))


async def _tell(announce: Announce, ready: Ready) -> NoReturn:
    while True:
        await ready.news.wait()
        ready.news.clear()
        addresses = ready.addresses()
        if not addresses:  # better one that may come back than none
            continue
        try:
            await announce(addresses)
        except KubeError as error:
            _log.warning("the endpoints of the control plane cannot be written: %s", error)
            await asyncio.sleep(_AGAIN)
            ready.news.set()


class Ready:
    """Sink of the watch on the EndpointSlices."""

    def __init__(self) -> None:
        self.news = asyncio.Event()
        self._slices: dict[str, Object] = {}

    def addresses(self) -> list[str]:
        """IPs of the ready pods, of one family: that of the first."""
        found = sorted(
            (item["addressType"], address)
            for item in self._slices.values()
            for endpoint in item.get("endpoints") or ()
            if (endpoint.get("conditions") or {}).get("ready", True)
            for address in endpoint["addresses"]
        )
        return [address for family, address in found if family == found[0][0]]

    def begin(self) -> None:
        """A list starts."""
        self._slices.clear()

    def put(self, obj: Object) -> None:
        """A slice as listed."""
        self._slices[obj["metadata"]["name"]] = obj

    def end(self) -> None:
        """The list is complete."""
        self.news.set()

    def bookmark(self, resource_version: str) -> None:
        """Nothing to remember."""

    def changed(self, obj: Object) -> None:
        """A slice was made or changed."""
        self.put(obj)
        self.news.set()

    def deleted(self, obj: Object) -> None:
        """A slice is gone."""
        self._slices.pop(obj["metadata"]["name"], None)
        self.news.set()
