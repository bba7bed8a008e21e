"""The listener on :10250, the port that the virtual API server takes for every node's kubelet.

Each connection carries one request. Only the virtual API server may ask: its certificate must come from the cluster's CA and bear
the one common name that is issued to it, so that no other certificate of that CA, a tenant admin's for example, opens a shell.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import h11

from syncer.kubelet.answers import explain, plain, shown
from syncer.kubelet.routes import LOGS, HostRequest, Locate, Refusal, translate
from syncer.kubelet.splice import Uplink, both, nowhere, pump
from syncer.kubelet.tail import pass_log
from syncer.kubelet.tls import TlsStream, listen
from syncer.kubelet.upstream import Answer, Upstream, UpstreamError

CLIENT_NAME = "sublet:kubelet-client"

Observe = Callable[[str, int, float], None]
"""Called when a request is answered: route, HTTP status (101 and 200 for streams that began), seconds since it came."""


class Gauge(Protocol):
    """A number that is shown to somebody, such as prometheus_client's."""

    def inc(self) -> None:
        """One more."""

    def dec(self) -> None:
        """One less."""


_log = logging.getLogger(__name__)
_MAX_HEAD = 1024 * 1024  # bytes, as much as the API server takes: the words of a command are part of the head
_HEAD = 10.0  # seconds for the request's head
_HANDSHAKE = 5.0  # seconds; the port can be reached by whoever reaches the pod
_MAX_HANDSHAKES = 256
_GOODBYE = 5.0  # seconds for a client to take an answer that needed no host


class KubeletServer:
    """Serves the kubelet API of all virtual nodes.

    `certificate`, `key` and `client_ca` are PEM files. `listen_host` None stands for all interfaces; `port` 0 takes a free
    port, to be read from the attribute. `streams` shows the requests being served; above `max_streams` more get a 503.
    """

    def __init__(
        self,
        *,
        listen_host: str | None,
        port: int,
        certificate: Path,
        key: Path,
        client_ca: Path,
        upstream: Upstream,
        locate: Locate,
        client_common_name: str = CLIENT_NAME,
        streams: Gauge | None = None,
        observe: Observe | None = None,
        max_streams: int = 512,
    ) -> None:
        self.port = port
        self._listen_host = listen_host
        self._files = (certificate, key, client_ca)
        self._client_name = client_common_name
        self._upstream = upstream
        self._locate = locate
        self._gauge = streams
        self._observe = observe or (lambda route, status, seconds: None)
        self._max_streams = max_streams
        self._context = self._read()
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._handshakes = 0
        self._open: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listens from now on. Raises OSError when the address is taken."""
        self._listener = listen(self._listen_host, self.port)
        self.port = self._listener.getsockname()[1]
        self._accepting = asyncio.create_task(self._accept(self._listener))

    def reload(self) -> None:
        """Uses renewed files from the next connection on. Raises OSError when they do not fit together."""
        self._context = self._read()

    def _read(self) -> ssl.SSLContext:
        certificate, key, client_ca = self._files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.verify_mode = ssl.CERT_REQUIRED
        # As the API server does it: each CA of the file counts, whoever has signed it.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(client_ca)
        context.load_cert_chain(certificate, key)
        return context

    async def close(self, grace: float = 10.0) -> None:
        """Accepts no more, lets streams end by themselves for `grace` seconds, then cuts them."""
        if self._accepting is not None and self._listener is not None:
            self._accepting.cancel()
            await asyncio.wait((self._accepting,))
            self._listener.close()
        if self._open:
            await asyncio.wait(self._open, timeout=grace)
        remaining = list(self._open)
        for connection in remaining:
            connection.cancel()
        await asyncio.gather(*remaining, return_exceptions=True)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:  # no file descriptors left, most likely
                _log.error("kubelet API: cannot accept connections: %s", error)
                await asyncio.sleep(1)
                continue
            if self._handshakes >= _MAX_HANDSHAKES:
                connection.close()
                continue
            self._handshakes += 1
            task = asyncio.create_task(self._connection(TlsStream(connection, self._context, server_side=True)))
            self._open.add(task)
            task.add_done_callback(self._open.discard)

    async def _connection(self, client: TlsStream) -> None:
        """One connection from the TLS handshake to its end."""
        began = time.perf_counter()
        try:
            try:
                async with asyncio.timeout(_HANDSHAKE):
                    await client.handshake()
            finally:
                self._handshakes -= 1
            outcome, early = await self._request(client)
            if isinstance(outcome, Refusal):
                self._observe(outcome.route, outcome.status, time.perf_counter() - began)
                await self._say(client, plain(shown(outcome.route, outcome.status), outcome.text))
            else:
                await self._stream(client, outcome, early, began)
        except OSError as error:  # a scanner, a broken TLS record, a peer that went away: nobody is left to tell
            _log.debug("kubelet API: connection lost: %s", error)
        finally:
            client.close()

    async def _request(self, client: TlsStream) -> tuple[HostRequest | Refusal, bytes]:
        """What is asked, and the bytes that came after the head."""
        name = _common_name(client)
        if name != self._client_name:
            _log.warning("kubelet API: refused a client certificate", extra={"common_name": name})
            return Refusal(403, "this certificate gives no access to the kubelet API"), b""
        if len(self._open) - self._handshakes > self._max_streams:
            return Refusal(503, "too many logs, exec, attach and port-forward streams are open"), b""
        try:
            async with asyncio.timeout(_HEAD):
                request, early = await _head(client)
        except TimeoutError:
            return Refusal(408, "the request did not come in time"), b""
        except h11.RemoteProtocolError as error:
            return Refusal(error.error_status_hint, f"not an HTTP request: {error}"), b""
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers]
        return translate(request.method.decode(), request.target.decode("latin-1"), headers, self._locate), early

    async def _say(self, client: TlsStream, answer: bytes) -> None:
        """A complete answer, and time to take it."""
        await client.write(answer)
        await client.end()
        with suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE):
                await pump(client, nowhere)

    async def _stream(self, client: TlsStream, request: HostRequest, early: bytes, began: float) -> None:
        uplink = Uplink(client, early, upgrade=request.route != LOGS)
        up = asyncio.create_task(uplink.run())
        down = asyncio.create_task(self._downlink(client, request, uplink, began))
        if self._gauge is not None:
            self._gauge.inc()
        try:
            await both(up, down, switched=lambda: uplink.switched)
        finally:
            if self._gauge is not None:
                self._gauge.dec()
        for direction in (up, down):
            error = None if direction.cancelled() else direction.exception()
            if error is not None and not isinstance(error, OSError):
                _log.error(
                    "kubelet API: stream failed", exc_info=error, extra={"pod": f"{request.namespace}/{request.pod}"}
                )

    async def _downlink(self, client: TlsStream, request: HostRequest, uplink: Uplink, began: float) -> None:
        """The host's answer, passed on or explained, and the end of what the client gets."""
        try:
            async with self._upstream.ask(request) as answer:
                self._observe(request.route, answer.status, time.perf_counter() - began)
                if answer.switched:
                    uplink.switch(answer.stream)
                    await pump(answer.stream, client.write, first=answer.start)
                elif answer.passes:
                    await pass_log(answer.start, answer.stream, client.write)
                else:
                    await client.write(_explained(request, answer))
        except UpstreamError as error:
            _log.warning("kubelet API: %s", error, exc_info=error.__cause__)
            self._observe(request.route, 502, time.perf_counter() - began)
            await client.write(plain(502, str(error)))
        await client.end()


def _common_name(client: TlsStream) -> str | None:
    """The common name of the client's certificate, if it has exactly one."""
    names = [value for part in client.peer.get("subject", ()) for kind, value in part if kind == "commonName"]
    return names[0] if len(names) == 1 else None


async def _head(client: TlsStream) -> tuple[h11.Request, bytes]:
    """The request without a body, and what came behind it."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD)
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            return event, connection.trailing_data[0]
        if event is not h11.NEED_DATA:
            raise ConnectionResetError("closed before a request came")
        connection.receive_data(await client.read())


def _explained(request: HostRequest, answer: Answer) -> bytes:
    status, text = explain(request, answer.status, answer.error)
    headers = [("Retry-After", answer.retry_after)] if answer.retry_after else []
    return plain(status, text, headers=headers)
