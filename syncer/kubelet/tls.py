"""A TLS connection whose two directions live and end on their own.

asyncio's TLS transports close both directions when either fails: a ping written to a host that has just finished would throw away
the end of its output, which waits unread while kubectl is slow. Here a failed write leaves reading alone, what the kernel has
received can always be read, and a stream is ended by FIN and closed only after the peer has gone. Backpressure is plain: `write`
returns when the kernel has taken everything, and nothing is read that was not asked for.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

CHUNK = 128 * 1024
"""Bytes read at a time."""


class TlsStream:
    """TLS over a connected socket. One task may read while another writes; all methods raise OSError when the peer is lost."""

    def __init__(
        self,
        connection: socket.socket,
        context: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
    ) -> None:
        connection.setblocking(False)
        _prepare(connection)
        self._socket = connection
        self._loop = asyncio.get_running_loop()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_hostname
        )
        self._sending = asyncio.Lock()

    async def handshake(self) -> None:
        """Must come first. A refused peer gets the reason as an alert."""
        try:
            while True:
                try:
                    self._tls.do_handshake()
                except ssl.SSLWantReadError:
                    await self._flush()
                    if not await self._fill():
                        raise ConnectionResetError("the peer left during the TLS handshake") from None
                else:
                    break
        finally:
            await self._flush()

    @property
    def peer(self) -> Mapping[str, Any]:
        """The peer's verified certificate, as ssl decodes it."""
        return self._tls.getpeercert() or {}

    async def read(self) -> bytes:
        """At most `CHUNK` bytes, as soon as there are any; empty when the peer has ended its direction."""
        received = bytearray()
        while True:
            try:
                while len(received) < CHUNK and (data := self._tls.read(CHUNK - len(received))):
                    received += data
                return bytes(received)
            except ssl.SSLWantReadError:
                if received:
                    return bytes(received)
            if self._outgoing.pending and not self._sending.locked():  # TLS itself has something to say
                with suppress(OSError):
                    await self._flush()
            if not await self._fill():
                return b""

    async def write(self, data: bytes) -> None:
        """Sends all of `data`; returns when the kernel has it."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._tls.write(rest) :]
        await self._flush()

    async def end(self) -> None:
        """Says that nothing more will be sent. The peer's direction stays open."""
        with suppress(ssl.SSLError):  # it reports that the peer has not ended its own, which is not asked
            self._tls.unwrap()
        await self._flush()
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Frees the connection; nobody may be reading or writing."""
        self._socket.close()

    async def _flush(self) -> None:
        async with self._sending:
            data = self._outgoing.read()
            if data:
                await self._loop.sock_sendall(self._socket, data)

    async def _fill(self) -> bool:
        data = await self._loop.sock_recv(self._socket, CHUNK)
        self._incoming.write(data)
        return bool(data)


async def connect(host: str, port: int, context: ssl.SSLContext) -> TlsStream:
    """A client's stream to the first of the host's addresses that answers, after the handshake."""
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure: OSError = ConnectionError(f"{host} has no address")
    for family, kind, protocol, _, address in addresses:
        connection = socket.socket(family, kind, protocol)
        connection.setblocking(False)
        try:
            await loop.sock_connect(connection, address)
            stream = TlsStream(connection, context, server_hostname=host)
            await stream.handshake()
        except OSError as error:
            failure = error
            connection.close()
        except asyncio.CancelledError:
            connection.close()
            raise
        else:
            return stream
    raise failure


def listen(host: str | None, port: int) -> socket.socket:
    """A listening socket; without `host` on all interfaces, of both IP families where there are both."""
    if host is not None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=128)
    elif socket.has_dualstack_ipv6():
        listener = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=128)
    else:
        listener = socket.create_server(("", port), backlog=128)
    listener.setblocking(False)
    return listener


def _prepare(connection: socket.socket) -> None:
    """Sends keystrokes at once, and lets the kernel find out within about a minute that a silent peer is dead."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
