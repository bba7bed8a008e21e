"""A place where a web server listens with TLS, and with which all of its connections end."""

from __future__ import annotations

import asyncio
import ssl

from aiohttp import web


class TlsSite(web.BaseSite):
    """Like aiohttp's own, which knows nobody before the end of the TLS handshake: those it would answer for ever."""

    def __init__(self, runner: web.AppRunner, host: str | None, port: int, context: ssl.SSLContext) -> None:
        super().__init__(runner, ssl_context=context)
        self._host = host
        self._port = port
        self._over = asyncio.Event()

    @property
    def name(self) -> str:
        """What aiohttp calls it."""
        return f"https://{self._host or '*'}:{self._port}"

    async def start(self) -> None:
        """Listens, without `host` on all interfaces."""
        await super().start()
        server = self._runner.server
        assert server is not None
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Handshake(server, self._over), self._host, self._port, ssl=self._ssl_context, backlog=self._backlog
        )

    async def stop(self) -> None:
        """Lets nobody in any more."""
        self._over.set()
        if isinstance(self._server, asyncio.Server):
            for listener in self._server.sockets:
                asyncio.get_running_loop().remove_reader(listener.fileno())
            # Whoever has just been accepted begins with the handshake. When the server closes first, asyncio forgets them.
            await asyncio.sleep(0)
        await super().stop()


class _Handshake(asyncio.Protocol):
    """A connection in its handshake, of which the web server does not know yet."""

    def __init__(self, server: web.Server, over: asyncio.Event) -> None:
        self._server = server
        self._over = over

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hands it to the web server, or closes it when that is over."""
        if self._over.is_set():
            transport.close()
            return
        handler = self._server()
        transport.set_protocol(handler)
        handler.connection_made(transport)
