"""Bytes to an API server and back: the seam between our client and the HTTP library.

`Transport` is what the client needs. Tests hand it a plain function (see tests/unit/kube); in production it is
`AiohttpTransport`, the only place that knows aiohttp. Status codes are not judged here. A request without an answer
raises `Unreachable`.
"""

from __future__ import annotations

import io
import ssl
from asyncio import sslproto
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from syncer.kube.errors import Unreachable

_TLS_BUFFER = 32 * 1024
if hasattr(sslproto.SSLProtocol, "max_size"):
    # asyncio allocates this much for each TLS connection; with its own 256 KiB thirty idle watches would cost 10 MB.
    sslproto.SSLProtocol.max_size = _TLS_BUFFER

_KEEPALIVE = 75  # seconds; the server closes idle connections after 90
_LARGE_BODY = 1024 * 1024  # bytes from which aiohttp wants to write in pieces


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class StreamResponse(Protocol):
    """An answer whose body is read while it comes. Header names are in lower case."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, with names in lower case."""

    async def read_all(self) -> bytes:
        """The rest of the body."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives; raises Unreachable when the connection breaks before its end."""


class Transport(Protocol):
    """One API server, reachable by path. `query` values are plain text; the transport quotes them."""

    async def request(
        self, method: str, path: str, *, query: Mapping[str, str], body: bytes | None, headers: Mapping[str, str]
    ) -> Response:
        """Sends a request and reads the whole answer."""

    def stream(
        self, path: str, *, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[StreamResponse]:
        """Sends a GET and gives the answer as soon as its head is there; leaving the context closes the connection."""

    async def reconnect(self) -> None:
        """Closes all connections, so that the next ones shake hands with renewed certificates."""

    async def close(self) -> None:
        """Closes all connections."""


class AiohttpTransport:
    """Keep-alive HTTP/1.1 connections to the API server at `server`, such as https://10.0.0.1:6443.

    `connect_timeout` bounds the opening of a connection, `request_timeout` a whole request; both in seconds. Streams
    have no other limit than the first: their reader knows what silence means. Sessions open with the first request,
    inside the loop.
    """

    def __init__(
        self,
        server: str,
        ssl_context: ssl.SSLContext | None,
        *,
        connect_timeout: float = 5.0,
        request_timeout: float = 30.0,
    ) -> None:
        self._server = server.rstrip("/")
        self._ssl = ssl_context
        self._request_timeout = aiohttp.ClientTimeout(total=request_timeout, sock_connect=connect_timeout)
        self._stream_timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout)
        self._session: aiohttp.ClientSession | None = None
        self._reading: set[aiohttp.ClientResponse] = set()

    async def request(
        self, method: str, path: str, *, query: Mapping[str, str], body: bytes | None, headers: Mapping[str, str]
    ) -> Response:
        """Sends a request and reads the whole answer.

        A kept connection may turn out to be closed by the server only when it is used. aiohttp then repeats what is
        idempotent; POST and PATCH are repeated here, once: the creation of an object that did arrive shows as
        AlreadyExists.
        """
        try:
            try:
                return await self._once(method, path, query=query, body=body, headers=headers)
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
                if isinstance(error, aiohttp.ClientConnectorError) or method not in ("POST", "PATCH"):
                    raise
                return await self._once(method, path, query=query, body=body, headers=headers)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unreachable(error, f"{method} {self._server}{path}") from error

    async def _once(
        self, method: str, path: str, *, query: Mapping[str, str], body: bytes | None, headers: Mapping[str, str]
    ) -> Response:
        async with self._opened().request(
            method,
            self._url(path, query),
            data=io.BytesIO(body) if body is not None and len(body) >= _LARGE_BODY else body,
            headers=headers,
            timeout=self._request_timeout,
            allow_redirects=False,
        ) as answer:
            with self._noted(answer):
                content = await answer.read()
            return Response(answer.status, _lowered(answer.headers), content)

    @asynccontextmanager
    async def stream(
        self, path: str, *, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> AsyncIterator[StreamResponse]:
        """Sends a GET and gives the answer as soon as its head is there; leaving the context closes the connection."""
        try:
            answer = await self._opened().get(
                self._url(path, query), headers=headers, timeout=self._stream_timeout, allow_redirects=False
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unreachable(error, f"GET {self._server}{path}") from error
        try:
            with self._noted(answer):
                yield _AiohttpStream(answer)
        finally:
            _abort(answer)

    async def reconnect(self) -> None:
        """Closes all connections; running watches end and requests in flight raise Unreachable."""
        await self.close()

    async def close(self) -> None:
        """Closes all connections; a later request opens new ones."""
        session, self._session = self._session, None
        for answer in list(self._reading):
            _abort(answer)  # the session's own end would leave their readers waiting
        if session is not None:
            await session.close()

    @contextmanager
    def _noted(self, answer: aiohttp.ClientResponse) -> Iterator[None]:
        """Lets `close` reach an answer that is being read."""
        self._reading.add(answer)
        try:
            yield
        finally:
            self._reading.discard(answer)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    ssl=self._ssl if self._ssl is not None else True,
                    limit=0,  # the client bounds what is in flight; each watch needs a connection of its own
                    keepalive_timeout=_KEEPALIVE,
                    resolver=aiohttp.ThreadedResolver(),
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                raise_for_status=False,
            )
        return self._session

    def _url(self, path: str, query: Mapping[str, str]) -> URL:
        question = f"?{urlencode(query, quote_via=quote)}" if query else ""
        return URL(f"{self._server}{path}{question}", encoded=True)


class _AiohttpStream:
    """A StreamResponse over aiohttp's."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer
        self.status = answer.status
        self.headers = _lowered(answer.headers)

    async def read_all(self) -> bytes:
        try:
            return await self._answer.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unreachable(error, "reading an answer") from error

    def chunks(self) -> AsyncIterator[bytes]:
        return _Chunks(self._answer.content.iter_any())


class _Chunks:
    """An iterator rather than a generator: nothing is left to finalise when its reader stops in the middle."""

    def __init__(self, inner: AsyncIterator[bytes]) -> None:
        self._inner = inner

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self._inner.__anext__()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unreachable(error, "reading a stream") from error


def _abort(answer: aiohttp.ClientResponse) -> None:
    """Drops an answer's connection at once; an orderly end of TLS would wait half a minute for a peer that is gone."""
    connection = answer.connection  # None once the answer is complete and its connection is back in the pool
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    answer.close()


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _unreachable(error: Exception, doing: str) -> Unreachable:
    return Unreachable(f"{doing}: {error or type(error).__name__}")
