"""Who is answered by a server with TLS, and who is not any more."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from syncer.controlplane.tls_site import TlsSite
from tests.integration.certificates import Authority

Ask = Callable[[socket.socket], Awaitable[bytes]]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def runner(authority: Authority) -> AsyncIterator[web.AppRunner]:
    """A server that says hello."""

    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.add_routes([web.get("/", hello)])
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue("server", hosts=("127.0.0.1",)))
    await TlsSite(runner, "127.0.0.1", 0, context).start()
    yield runner
    await runner.cleanup()


@pytest.fixture
def ask(authority: Authority) -> Ask:
    """Gives what is answered to somebody who has called; nothing when the connection is closed instead."""

    context = ssl.create_default_context(cafile=authority.certificate)

    async def ask(caller: socket.socket) -> bytes:
        with contextlib.suppress(ConnectionError):
            reader, writer = await asyncio.open_connection(sock=caller, ssl=context, server_hostname="127.0.0.1")
            with contextlib.closing(writer):
                writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                return await reader.read()
        return b""

    return ask


async def test_those_who_ask_are_answered(runner: web.AppRunner, ask: Ask) -> None:
    answer = await ask(socket.create_connection(runner.addresses[0]))
    assert answer.endswith(b"hello")


@pytest.mark.parametrize("turns", range(6))
async def test_nobody_is_answered_who_is_not_through_the_handshake_in_the_end(
    turns: int, runner: web.AppRunner, ask: Ask
) -> None:
    caller = socket.create_connection(runner.addresses[0])
    for _ in range(turns):  # of the event loop, which does one thing after the other for a new connection
        await asyncio.sleep(0)
    await runner.cleanup()
    assert await ask(caller) == b""
