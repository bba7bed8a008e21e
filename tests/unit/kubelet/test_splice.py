"""Streams: not a byte lost, nothing left open, nothing said to the host before its time."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import socket
import struct
import termios
import threading
import time
from contextlib import suppress

import pytest

from tests.unit.kubelet.fakes import EXEC, LOGS, STREAMING, SWITCHED, head

BULK = os.urandom(1024 * 1024) * 24  # 24 MiB
DIGEST = hashlib.sha256(BULK).hexdigest()


def unacknowledged(connection: socket.socket) -> int:
    """Bytes that the peer's kernel does not have yet."""
    return struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, struct.pack("i", 0)))[0]


async def opened(api_server, request=EXEC):
    reader, writer = await api_server.connect()
    writer.write(head(*request))
    received = await reader.readuntil(b"\r\n\r\n")
    return received, reader, writer


@pytest.mark.parametrize(("request_lines", "start"), [(EXEC, SWITCHED), (LOGS, STREAMING)], ids=["exec", "logs"])
async def test_the_tail_of_a_stream_that_the_host_closes_arrives(api_server, host, request_lines, start):
    async def handler(reader, writer):
        writer.write(start + BULK)

    host.handler = handler
    received, reader, writer = await opened(api_server, request_lines)
    assert received == start
    assert hashlib.sha256(await reader.read(-1)).hexdigest() == DIGEST
    writer.close()


async def test_the_tail_waits_for_a_slow_reader_who_keeps_talking_to_a_host_that_is_gone(kubelet, api_server, host):
    """The case of `kubectl exec ... cat` over a slow line: pings meet a closed connection while megabytes are on their way."""
    bulk = BULK[: 8 * 1024 * 1024]
    gone = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    kubelet._upstream._port = listener.getsockname()[1]

    def serve() -> None:
        with listener:
            connection = host.secure(listener.accept()[0])
        connection.sendall(SWITCHED + bulk)
        connection.settimeout(0.01)
        while unacknowledged(connection):
            with suppress(TimeoutError):
                connection.recv(65536)
        connection.close()
        gone.set()

    def read_slowly() -> tuple[int, str]:
        digest, count = hashlib.sha256(), 0
        with api_server.connect_blocking() as connection:
            connection.sendall(head(*EXEC))
            assert connection.recv(len(SWITCHED)) == SWITCHED
            while data := connection.recv(65536):
                digest.update(data)
                count += len(data)
                connection.sendall(b"ping")
                time.sleep(0.002)
        return count, digest.hexdigest()

    _, received = await asyncio.gather(asyncio.to_thread(serve), asyncio.to_thread(read_slowly))
    assert gone.is_set()
    assert received == (len(bulk), hashlib.sha256(bulk).hexdigest())


async def test_what_the_client_sends_arrives_whole(api_server, host):
    received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def handler(reader, writer):
        writer.write(SWITCHED)
        received.set_result(await reader.readexactly(len(BULK)))
        writer.write(b"thanks")

    host.handler = handler
    _, reader, writer = await opened(api_server)
    writer.write(BULK)
    assert await reader.read(-1) == b"thanks"
    assert hashlib.sha256(received.result()).hexdigest() == DIGEST
    writer.close()


async def test_a_stream_goes_both_ways_at_once(api_server, host):
    async def handler(reader, writer):
        writer.write(SWITCHED)
        while data := await reader.read(65536):
            writer.write(data.upper())
            await writer.drain()

    host.handler = handler
    _, reader, writer = await opened(api_server)
    for word in (b"one", b"two", b"three"):
        writer.write(word)
        assert await reader.readexactly(len(word)) == word.upper()
    writer.close()


async def test_a_client_that_leaves_frees_the_host_connection_within_a_second(api_server, host):
    async def handler(reader, writer):
        writer.write(SWITCHED)
        assert await reader.read() == b""

    host.handler = handler
    _, _, writer = await opened(api_server)
    writer.close()
    await asyncio.wait_for(host.closed.wait(), 1)
    assert host.open == 0


async def test_a_client_that_leaves_before_the_first_log_line_frees_the_host_connection(api_server, host):
    asked = asyncio.Event()

    async def handler(reader, writer):
        asked.set()
        assert await reader.read() == b""

    host.handler = handler
    _, writer = await api_server.connect()
    writer.write(head(*LOGS))
    await asked.wait()
    writer.close()
    await asyncio.wait_for(host.closed.wait(), 1)


async def test_a_client_that_leaves_in_the_middle_of_bulk_frees_the_host_connection(api_server, host):
    async def handler(reader, writer):
        writer.write(SWITCHED)
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    host.handler = handler
    _, reader, writer = await opened(api_server)
    await reader.readexactly(1024 * 1024)
    writer.transport.abort()
    await asyncio.wait_for(host.closed.wait(), 2)
    assert host.open == 0


async def test_a_stalled_client_holds_the_host_back(api_server, host):
    sent = 0

    async def handler(reader, writer):
        nonlocal sent
        writer.transport.set_write_buffer_limits(high=65536)
        writer.write(SWITCHED)
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    host.handler = handler
    _, _, writer = await opened(api_server)
    before = -1
    while before != sent:
        before = sent
        await asyncio.sleep(0.3)
    assert sent < 64 * 1024 * 1024  # mostly the kernel's buffers of four sockets
    writer.transport.abort()


async def test_nothing_of_the_client_reaches_the_host_before_the_switch(api_server, host):
    switch = asyncio.Event()
    early: list[bytes] = []

    async def handler(reader, writer):
        with suppress(TimeoutError):
            early.append(await asyncio.wait_for(reader.read(1), 0.2))
        await switch.wait()
        writer.write(SWITCHED)
        writer.write(await reader.readexactly(6))

    host.handler = handler
    reader, writer = await api_server.connect()
    writer.write(head(*EXEC) + b"GET /a")
    await asyncio.sleep(0.3)
    switch.set()
    assert (await reader.read(-1)).endswith(b"GET /a")
    assert early == []
    writer.close()


async def test_a_second_request_behind_logs_never_reaches_the_host(api_server, host):
    received: list[bytes] = []

    async def handler(reader, writer):
        writer.write(STREAMING + b"line\n")
        try:
            received.append(await asyncio.wait_for(reader.read(1), 0.2))
        except TimeoutError:
            writer.write(b"end\n")

    host.handler = handler
    reader, writer = await api_server.connect()
    writer.write(head(*LOGS) + head("GET /api/v1/secrets HTTP/1.1"))
    assert (await reader.read(-1)).endswith(b"line\nend\n")
    assert received == []
    assert len(host.heads) == 1
    writer.close()
