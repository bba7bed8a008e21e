"""The host API server's side of a stream: one fresh TLS connection per request, as upgrades need it.

The answer's head is read to learn its status. A 101 or 2xx stays what it is, bytes to pass on; of anything else the body is read,
so that it can be explained.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import h11

from syncer.kube.credentials import Credentials
from syncer.kubelet.answers import MAX_ERROR
from syncer.kubelet.routes import HostRequest
from syncer.kubelet.tls import TlsStream, connect

_CONNECT = 10.0  # seconds for TCP and TLS
_UPGRADE = 60.0  # seconds for the answer to an upgrade, which includes the host's way to the real kubelet
_ERROR_BODY = 10.0  # seconds for an error's text
_MAX_HEAD = 64 * 1024  # bytes
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")


class UpstreamError(Exception):
    """The host API server cannot be asked; the text is fit for the tenant, the cause is chained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The start of the host's answer. If it `passes`, `start` and the rest of `stream` go on unchanged; else `error` is its body."""

    status: int
    stream: TlsStream
    start: bytes = b""
    error: bytes = b""
    retry_after: str | None = None

    @property
    def switched(self) -> bool:
        """Whether the connection has become a two-way stream."""
        return self.status == 101

    @property
    def passes(self) -> bool:
        """Whether the answer is of use to the caller as it is."""
        return self.switched or 200 <= self.status < 300


class Upstream:
    """The host API server of `credentials`, whose token is asked for anew with each request."""

    def __init__(self, credentials: Credentials) -> None:
        server = urlsplit(credentials.server)
        self._credentials = credentials
        self._host = server.hostname or ""
        self._port = server.port or 443
        self._authority = server.netloc.rpartition("@")[2]
        self._prefix = server.path.rstrip("/")

    @asynccontextmanager
    async def ask(self, request: HostRequest) -> AsyncIterator[Answer]:
        """Sends `request` and gives the answer's start; leaving the context closes the connection. Raises UpstreamError.

        A refused token is renewed once: no byte of the client's stream has been sent yet.
        """
        authorization = self._credentials.authorization()
        async with self._connection() as stream:
            answer = await self._exchange(request, authorization, stream)
            if answer.status != 401 or not self._credentials.renewed(authorization):
                yield answer
                return
        async with self._connection() as stream:
            yield await self._exchange(request, self._credentials.authorization(), stream)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[TlsStream]:
        try:
            async with asyncio.timeout(_CONNECT):
                stream = await connect(self._host, self._port, self._credentials.ssl_context)
        except OSError as error:
            raise UpstreamError("the host API server cannot be reached") from error
        try:
            yield stream
        finally:
            stream.close()

    async def _exchange(self, request: HostRequest, authorization: str | None, stream: TlsStream) -> Answer:
        connection = h11.Connection(h11.CLIENT)
        upgrade = any(name == "upgrade" for name, _ in request.headers)
        try:
            await stream.write(self._encode(connection, request, authorization))
            # Logs may take for ever: a container that says nothing lets the host's answer wait for its first line.
            async with asyncio.timeout(_UPGRADE if upgrade else None):
                status, start = await _start(stream)
            if status == 101 or 200 <= status < 300:
                return Answer(status=status, start=start, stream=stream)
            async with asyncio.timeout(_ERROR_BODY):
                error, retry_after = await _error(connection, start, stream)
        except (OSError, h11.RemoteProtocolError) as problem:
            raise UpstreamError("the host API server gave no usable answer") from problem
        return Answer(status=status, error=error, retry_after=retry_after, stream=stream)

    def _encode(self, connection: h11.Connection, request: HostRequest, authorization: str | None) -> bytes:
        """The request's head. h11 refuses what could be read as two heads."""
        headers = [("host", self._authority), *request.headers]
        if authorization is not None:
            headers.append(("authorization", authorization))
        if request.method == "POST":
            headers.append(("content-length", "0"))
        event = h11.Request(method=request.method, target=self._prefix + request.target, headers=headers)
        return (connection.send(event) or b"") + (connection.send(h11.EndOfMessage()) or b"")


async def _start(stream: TlsStream) -> tuple[int, bytes]:
    """Status of the final answer, or of 101, and all of it that has come until its head was complete."""
    start = bytearray()
    while True:
        length = start.find(b"\r\n\r\n")
        if length < 0 and len(start) < _MAX_HEAD:
            data = await stream.read()
            if not data:
                raise ConnectionResetError("closed before an answer came")
            start += data
            continue
        match = _STATUS.match(start)
        if length < 0 or match is None:
            raise h11.RemoteProtocolError("not an HTTP/1.1 answer")
        status = int(match[1])
        if status == 101 or status >= 200:
            return status, bytes(start)
        del start[: length + 4]


async def _error(connection: h11.Connection, start: bytes, stream: TlsStream) -> tuple[bytes, str | None]:
    """The first `MAX_ERROR` bytes of an error's body, and its Retry-After."""
    connection.receive_data(start)
    body = bytearray()
    retry_after: str | None = None
    while len(body) < MAX_ERROR:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.read())
        elif isinstance(event, h11.Response):
            retry_after = next(
                (value.decode("latin-1") for name, value in event.headers if name == b"retry-after"), None
            )
        elif isinstance(event, h11.Data):
            body += event.data
        else:
            break
    return bytes(body[:MAX_ERROR]), retry_after
