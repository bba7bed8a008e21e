"""The two neighbours of the kubelet API over real TLS: a host API server that is a function, and the virtual API server calling."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from syncer.kube.credentials import Credentials, tls_context
from tests.integration.certificates import Authority

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n"
STREAMING = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"


def answer(status: str, body: bytes, *headers: str) -> Handler:
    """A handler that says this and closes."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        writer.write("\r\n".join(lines).encode() + body)

    return handler


class FakeHost:
    """A host API server. It remembers the heads of requests, and how many connections are open."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder / "host")
        self.handler: Handler = answer("500 Internal Server Error", b"no handler")
        self.heads: list[bytes] = []
        self.open = 0
        self.closed = asyncio.Event()
        """Set whenever a connection has ended."""
        self.errors: list[BaseException] = []

    async def start(self) -> None:
        certificate, key = self.authority.issue("kube-apiserver", hosts=("127.0.0.1",))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, ssl=self._context, ssl_shutdown_timeout=5
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()

    def secure(self, connection: socket.socket) -> ssl.SSLSocket:
        """TLS over a connection accepted elsewhere, outside of asyncio, and past its request's head."""
        secured = self._context.wrap_socket(connection, server_side=True)
        received = b""
        while not received.endswith(b"\r\n\r\n"):
            received += secured.recv(65536)
        return secured

    def credentials(self, token: str | Path = "first") -> Credentials:
        return Credentials(
            f"https://127.0.0.1:{self.port}", tls_context(), token=token, authority=self.authority.certificate
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            await self.handler(reader, writer)
        except OSError as error:
            self.errors.append(error)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            self.open -= 1
            self.closed.set()


class Caller:
    """The virtual API server, or somebody who pretends to be it: sends raw requests with a client certificate."""

    def __init__(self, port: int, server_ca: Path, certificate: tuple[Path, Path] | None) -> None:
        self._port = port
        self._context = tls_context()
        self._context.load_verify_locations(server_ca)
        if certificate is not None:
            self._context.load_cert_chain(*certificate)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._port, ssl=self._context, limit=64 * 1024)

    def connect_blocking(self) -> ssl.SSLSocket:
        """A connection whose directions fail one by one, as everywhere outside of asyncio."""
        return self._context.wrap_socket(
            socket.create_connection(("127.0.0.1", self._port), timeout=20), server_hostname="127.0.0.1"
        )

    async def ask(self, *lines: str) -> tuple[str, bytes]:
        """Sends one head and reads to the end: status line, and the rest of the answer's head and body."""
        reader, writer = await self.connect()
        writer.write(head(*lines))
        received = await reader.read(-1)
        writer.close()
        first, _, rest = received.partition(b"\r\n")
        return first.decode(), rest


def head(*lines: str) -> bytes:
    """A request's head, with a Host."""
    return "\r\n".join([lines[0], "Host: localhost:10250", *lines[1:], "", ""]).encode()


EXEC = ("POST /exec/shop/web/app?command=cat&input=1&output=1 HTTP/1.1", "Connection: Upgrade", "Upgrade: SPDY/3.1")
LOGS = ("GET /containerLogs/shop/web/app?follow=true HTTP/1.1",)
