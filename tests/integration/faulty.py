"""An API server that misbehaves on demand: real sockets, optionally TLS, and a script that decides byte by byte.

    async def script(request: Request, reply: Reply) -> None:
        await reply.start()
        await reply.send(event("ADDED", obj))
        reply.abort()                              # the connection dies in the middle of the stream

    async with FaultyServer(script) as server:
        AiohttpTransport(server.url, None)

What real servers cannot be made to do at will is forced here: streams that break off, fall silent or end at once, packed bodies,
kept connections that close when they are used again, refusals with Retry-After, handshakes that never end.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

import orjson


@dataclass(frozen=True, slots=True)
class Request:
    """What arrived. `connection` counts the server's connections from 1, `turn` the requests on it from 1."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    connection: int
    turn: int


class Reply:
    """How the script answers one request."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.keep = True
        """Whether the connection serves another request after this one."""

    async def json(self, body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """A whole answer."""
        content = orjson.dumps(body)
        self._head(status, {"Content-Length": str(len(content)), "Content-Type": "application/json", **(headers or {})})
        self._writer.write(content)
        await self._writer.drain()

    async def start(self, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """The head of a stream."""
        self._head(status, {"Transfer-Encoding": "chunked", "Content-Type": "application/json", **(headers or {})})
        await self._writer.drain()

    async def send(self, data: bytes) -> None:
        """One chunk of a stream."""
        self._writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await self._writer.drain()

    async def finish(self) -> None:
        """The orderly end of a stream."""
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    def abort(self) -> None:
        """Cuts the connection, with whatever was not sent yet."""
        self.keep = False
        self._writer.transport.abort()

    def close(self) -> None:
        """Closes the connection in order after what was sent; without having sent anything: like a server's idle timeout."""
        self.keep = False

    async def hang(self) -> None:
        """Says nothing more until the client goes away."""
        self.keep = False
        while await self._reader.read(1024):
            pass

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in headers.items())]
        self._writer.write("\r\n".join([*lines, "", ""]).encode())


Script = Callable[[Request, Reply], Awaitable[None]]


class FaultyServer:
    """Runs `script` for each request, over TLS if given. With `mute` it accepts connections and never answers a byte."""

    def __init__(self, script: Script, *, tls: ssl.SSLContext | None = None, mute: bool = False) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        """How many connections were ever opened."""
        self.open = 0
        """How many connections are open now."""
        self.peers: list[dict[str, object]] = []
        """The client certificate of each connection, as ssl tells it."""
        self._script = script
        self._tls = tls
        self._mute = mute
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=None if self._mute else self._tls)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def all_closed(self) -> None:
        """Returns when no connection is open."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.open == 0)

    async def asked(self, times: int) -> None:
        """Returns when so many requests have arrived."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.requests) >= times)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        self.open += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, TimeoutError):
                if self._mute:
                    await Reply(reader, writer).hang()
                self.peers.append(dict(writer.get_extra_info("peercert") or {}))
                await self._serve(reader, writer, self.connections)
        finally:
            self.open -= 1
            writer.close()
            async with self._changed:
                self._changed.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        turn, keep = 0, True
        while keep:
            turn += 1
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, target, _ = head[0].split(" ")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            parts = urlsplit(target)
            request = Request(method, parts.path, dict(parse_qsl(parts.query)), headers, body, connection, turn)
            async with self._changed:
                self.requests.append(request)
                self._changed.notify_all()
            reply = Reply(reader, writer)
            await self._script(request, reply)
            keep = reply.keep
