"""Logs: whatever the host's framing, a client that takes one TLS record after another sees the text before the end."""

from __future__ import annotations

import asyncio

import h11
import pytest

from tests.unit.kubelet.fakes import LOGS, STREAMING, answer, head

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def sends(*parts: bytes):
    """A host that writes these, each when the one before is on its way."""

    async def handler(_reader, writer):
        for part in parts:
            writer.write(part)
            await writer.drain()

    return handler


async def records(api_server) -> list[bytes]:
    """The answer to a request for logs, one item for each TLS record."""

    def read() -> list[bytes]:
        with api_server.connect_blocking() as connection:
            connection.sendall(head(*LOGS))
            return list(iter(lambda: connection.recv(65536), b""))

    return await asyncio.to_thread(read)


def text_of(received: bytes) -> bytes:
    """The body of a complete answer."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(received)
    connection.receive_data(b"")
    events = iter(connection.next_event, h11.NEED_DATA)
    text = b""
    for event in events:
        if isinstance(event, h11.EndOfMessage):
            return text
        text += event.data if isinstance(event, h11.Data) else b""
    raise AssertionError(text)


@pytest.mark.parametrize(
    "handler",
    [
        answer("200 OK", b"one\ntwo\n"),
        sends(b"HTTP/1.1 200 OK\r\ncontent-length:8 \r\n\r\none\n", b"two\n"),
        sends(CHUNKED + b"8\r\none\ntwo\n\r\n0\r\n\r\n"),
        sends(CHUNKED, b"4\r\none\n\r\n", b"4\r\ntwo\n\r\n0\r\n\r\n"),
    ],
    ids=["with a length", "with a length, in parts", "one chunk", "chunks"],
)
async def test_the_end_comes_in_a_record_of_its_own(api_server, host, handler):
    host.handler = handler

    received = await records(api_server)

    assert text_of(b"".join(received)) == b"one\ntwo\n"
    assert received[-1] == b"0\r\n\r\n"


async def test_an_empty_log_ends_as_the_host_ends_it(api_server, host):
    host.handler = answer("200 OK", b"")
    assert text_of(b"".join(await records(api_server))) == b""


async def test_a_log_without_framing_passes_as_it_is(api_server, host):
    host.handler = sends(STREAMING + b"one\n")
    assert b"".join(await records(api_server)) == STREAMING + b"one\n"


async def test_a_log_that_breaks_off_is_not_ended_for_the_host(api_server, host):
    host.handler = sends(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\none\n")

    with pytest.raises(h11.RemoteProtocolError):
        text_of(b"".join(await records(api_server)))
