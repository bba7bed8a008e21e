"""Bytes from one connection to another, and an order of ending in which none of them is lost.

When the host has said everything, the client is told so and then waited for: closing earlier would reset the connection as soon
as the client sends anything more, and SPDY clients send pings. When the client leaves, the host learns it at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from syncer.kubelet.tls import TlsStream

LAST_WORD = 300.0
"""Seconds for a client to take the end of a stream; a stalled kubectl holds what its API server buffers."""

_FAREWELL = 0.5  # seconds for a host to end after its client has left

Sink = Callable[[bytes], Awaitable[None]]


class Uplink:
    """The client's direction. Nothing that it says reaches the host before `switch`.

    The host would take it for a second request with our token. Until then, and for requests that never switch, only the client's
    leaving counts.
    """

    def __init__(self, client: TlsStream, early: bytes, *, upgrade: bool) -> None:
        self._client = client
        self._early = early
        self._host: asyncio.Future[TlsStream] | None = asyncio.get_running_loop().create_future() if upgrade else None

    @property
    def switched(self) -> bool:
        """Whether the host listens."""
        return self._host is not None and self._host.done()

    def switch(self, host: TlsStream) -> None:
        """From now on the host gets what the client says."""
        if self._host is not None:
            self._host.set_result(host)

    async def run(self) -> None:
        """Returns when the client has left, or has ended its direction, which the host is then told."""
        await pump(self._client, self._to_host, first=self._early)
        if self._host is not None and self._host.done():
            with suppress(OSError):
                await self._host.result().end()

    async def _to_host(self, data: bytes) -> None:
        if self._host is not None:
            host = await self._host
            with suppress(OSError):  # a host that listens no more may still have something to say
                await host.write(data)


async def pump(source: TlsStream, sink: Sink, *, first: bytes = b"") -> None:
    """Gives `first` and then all that comes from `source` to `sink`, until either of them is lost."""
    with suppress(
        OSError
    ):  # a reset ends a stream like an end does: the framing inside tells the far end the difference
        data = first or await source.read()
        while data:
            await sink(data)
            data = await source.read()


async def nowhere(data: bytes) -> None:
    """The sink for what nobody should get."""


async def both(uplink: asyncio.Task[None], downlink: asyncio.Task[None], *, switched: Callable[[], bool]) -> None:
    """Waits until one direction has ended, and then as long as the other one deserves. Leaves neither running.

    `downlink` ends with the client told that nothing more comes.
    """
    try:
        await asyncio.wait((uplink, downlink), return_when=asyncio.FIRST_COMPLETED)
        if downlink.done() and downlink.exception() is None:
            await asyncio.wait((uplink,), timeout=LAST_WORD)
        elif switched():
            await asyncio.wait((downlink,), timeout=_FAREWELL)
    finally:
        uplink.cancel()
        downlink.cancel()
        await asyncio.gather(uplink, downlink, return_exceptions=True)
