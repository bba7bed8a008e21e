"""The transport, and what stands on it, against a server that misbehaves over real sockets."""

from __future__ import annotations

import asyncio
import gc
import gzip
import shutil
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from syncer.kube.client import Client
from syncer.kube.credentials import Credentials, tls_context
from syncer.kube.errors import Unreachable
from syncer.kube.transport import AiohttpTransport, Response
from syncer.kube.watch import Reflector
from tests.integration.certificates import Authority
from tests.integration.eventually import eventually
from tests.integration.faulty import FaultyServer, Reply, Request
from tests.unit.kube.doubles import CONFIGMAPS, MemorySink, NoCredentials, bookmark, configmap, event

Connect = Callable[..., AiohttpTransport]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Makes transports and closes them after the test."""
    made: list[AiohttpTransport] = []

    def make(server: FaultyServer, context: ssl.SSLContext | None = None, **more: float) -> AiohttpTransport:
        made.append(AiohttpTransport(server.url, context, **more))
        return made[-1]

    yield make
    for transport in made:
        await transport.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def server_tls(authority: Authority) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.certificate)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_cert_chain(*authority.issue("server", hosts=("127.0.0.1",)))
    return context


def client_tls(authority: Authority) -> ssl.SSLContext:
    context = tls_context(strict=True)
    context.load_verify_locations(authority.certificate)
    return context


async def send(transport: AiohttpTransport, method: str = "GET", body: bytes | None = None) -> Response:
    return await transport.request(method, "/x", query={}, body=body, headers={"Content-Type": "application/json"})


async def fine(request: Request, reply: Reply) -> None:
    await reply.json({"turn": request.turn})


async def closing_when_used_again(request: Request, reply: Reply) -> None:
    """A server whose idle timeout always wins the race against the next request."""
    if request.turn == 1:
        await fine(request, reply)
    else:
        reply.close()


async def test_connections_are_kept(connect: Connect) -> None:
    async with FaultyServer(fine) as server:
        transport = connect(server)
        for _ in range(3):
            await send(transport, "POST", b"{}")
        assert [request.turn for request in server.requests] == [1, 2, 3]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST", "PATCH"])
async def test_a_request_on_a_connection_that_was_just_closed_is_repeated(method: str, connect: Connect) -> None:
    async with FaultyServer(closing_when_used_again) as server:
        transport = connect(server)
        await send(transport)
        assert (await send(transport, method, b'{"k":1}')).status == 200
        assert [(request.connection, request.turn) for request in server.requests] == [(1, 1), (1, 2), (2, 1)]
        assert server.requests[2].body == b'{"k":1}'


async def test_a_large_body_is_repeated_whole(connect: Connect) -> None:
    async with FaultyServer(closing_when_used_again) as server:
        transport = connect(server)
        await send(transport)
        await send(transport, "POST", b"x" * 1_500_000)
        assert len(server.requests[2].body) == 1_500_000


async def test_a_server_that_always_closes_is_unreachable_after_two_attempts(connect: Connect) -> None:
    async def closing(request: Request, reply: Reply) -> None:
        reply.close()

    async with FaultyServer(closing) as server:
        with pytest.raises(Unreachable):
            await send(connect(server), "POST", b"{}")
        assert len(server.requests) == 2


async def test_a_refused_connection_is_unreachable(connect: Connect) -> None:
    async with FaultyServer(fine) as server:
        transport = connect(server)
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1"):
        await send(transport)


async def hanging(request: Request, reply: Reply) -> None:
    await reply.hang()


async def test_a_server_that_does_not_answer_is_unreachable_in_time(connect: Connect) -> None:
    async with FaultyServer(hanging) as server:
        with pytest.raises(Unreachable):
            await send(connect(server, request_timeout=0.1))
        await asyncio.wait_for(server.all_closed(), 1)


async def test_a_handshake_that_never_ends_is_unreachable_in_time(
    connect: Connect, authority: Authority, server_tls: ssl.SSLContext
) -> None:
    async with FaultyServer(fine, tls=server_tls, mute=True) as server:
        with pytest.raises(Unreachable):
            await send(connect(server, client_tls(authority), request_timeout=0.1))


async def test_a_server_of_another_authority_is_unreachable(
    connect: Connect, tmp_path: Path, server_tls: ssl.SSLContext
) -> None:
    async with FaultyServer(fine, tls=server_tls) as server:
        with pytest.raises(Unreachable, match="certificate"):
            await send(connect(server, client_tls(Authority(tmp_path))))


async def test_query_values_arrive_as_they_were(connect: Connect) -> None:
    query = {"labelSelector": "a in (b,c),d!=e+f", "continue": "a/b=&c%20"}
    async with FaultyServer(fine) as server:
        await connect(server).request("GET", "/x", query=query, body=None, headers={})
        assert server.requests[0].query == query


def watching(transport: AiohttpTransport, sink: MemorySink, *, silence: float = 30.0) -> Reflector:
    client = Client(transport, NoCredentials(), name="test")
    return Reflector(client, CONFIGMAPS, sink, namespace="ns", query={}, silence=silence)


def listing_then(after: Callable[[Reply], Awaitable[None]]) -> Callable[[Request, Reply], Awaitable[None]]:
    async def script(request: Request, reply: Reply) -> None:
        await reply.start()
        await reply.send(event("ADDED", configmap("a")))
        await reply.send(bookmark(10, ends_listing=True))
        await after(reply)

    return script


async def test_a_stream_that_breaks_off_is_unreachable_and_loses_nothing_complete(connect: Connect) -> None:
    async def broken_line(reply: Reply) -> None:
        await reply.send(event("ADDED", configmap("b", 11)) + event("ADDED", configmap("c", 12))[:-5])
        reply.close()

    sink = MemorySink()
    async with FaultyServer(listing_then(broken_line)) as server:
        assert (await watching(connect(server), sink).session()).reason == "unreachable"
    assert sink.names == ["a", "b"]


async def test_a_stream_that_ends_in_order_keeps_its_connection_for_the_next(connect: Connect) -> None:
    async def ending(request: Request, reply: Reply) -> None:
        await reply.start()
        await reply.send(bookmark(10, ends_listing=True))
        await reply.finish()

    async with FaultyServer(ending) as server:
        reflector = watching(connect(server), MemorySink())
        for _ in range(2):
            assert (await reflector.session()).reason == "ended"
        assert [request.connection for request in server.requests] == [1, 1]


async def test_an_event_of_several_megabytes_arrives(connect: Connect) -> None:
    async def big(reply: Reply) -> None:
        await reply.send(event("ADDED", configmap("big", 11, data={"k": "x" * 3_000_000})))
        await reply.finish()

    sink = MemorySink()
    async with FaultyServer(listing_then(big)) as server:
        await watching(connect(server), sink).session()
    assert len(sink.objects["ns", "big"]["data"]["k"]) == 3_000_000


async def test_a_stream_with_a_gzip_member_per_flush_loses_nothing(connect: Connect) -> None:
    async def packed(request: Request, reply: Reply) -> None:
        assert request.headers["accept-encoding"] == "identity"
        await reply.start(headers={"Content-Encoding": "gzip"})
        for name in "abcde":
            await reply.send(gzip.compress(event("ADDED", configmap(name))))
        await reply.send(gzip.compress(bookmark(10, ends_listing=True)))
        await reply.finish()

    sink = MemorySink()
    async with FaultyServer(packed) as server:
        await watching(connect(server), sink).session()
    assert sink.names == list("abcde")


async def test_a_silent_stream_is_left_in_time(connect: Connect) -> None:
    async with FaultyServer(listing_then(Reply.hang)) as server:
        assert (await watching(connect(server), MemorySink(), silence=0.1).session()).reason == "silent"
        await asyncio.wait_for(server.all_closed(), 1)


async def test_a_cancelled_watch_closes_its_connection_at_once(
    connect: Connect, authority: Authority, server_tls: ssl.SSLContext
) -> None:
    sink = MemorySink()
    async with FaultyServer(listing_then(Reply.hang), tls=server_tls) as server:
        watch = asyncio.create_task(watching(connect(server, client_tls(authority)), sink).session())
        await sink.synced.wait()
        watch.cancel()
        await asyncio.wait_for(server.all_closed(), 0.5)


async def test_reconnecting_ends_running_watches_for_a_new_session(connect: Connect) -> None:
    sink = MemorySink()
    async with FaultyServer(listing_then(Reply.hang)) as server:
        transport = connect(server)
        reflector = watching(transport, sink)
        watch = asyncio.create_task(reflector.session())
        await sink.synced.wait()
        await transport.reconnect()
        assert (await watch).reason == "unreachable"
        assert reflector.version == "10"


class Mounted:
    """A client certificate in files that change, and the client that uses it."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.files = (folder / "tls.crt", folder / "tls.key")
        self._authority = authority
        self.put("before")

    def put(self, name: str, *, key: bool = True) -> None:
        sources = self._authority.issue(name)
        for source, target in list(zip(sources, self.files, strict=True))[: 1 + key]:
            shutil.copy(source, target)

    def client(self, server: FaultyServer, connect: Connect) -> Client:
        context = tls_context(strict=True)
        authority = self._authority.certificate
        credentials = Credentials(server.url, context, certificate=self.files, authority=authority)
        return Client(connect(server, context), credentials, name="test")


async def once(request: Request, reply: Reply) -> None:
    """One answer per connection."""
    await fine(request, reply)
    reply.close()


def subjects(server: FaultyServer) -> list[str]:
    peers: list[Any] = server.peers
    return [peer["subject"][0][0][1] for peer in peers]


async def test_a_rotated_client_certificate_is_used_from_the_next_refresh_on(
    connect: Connect, authority: Authority, server_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    mounted = Mounted(tmp_path, authority)
    async with FaultyServer(fine, tls=server_tls) as server:
        client = mounted.client(server, connect)
        await client.raw("GET", "/x")
        mounted.put("after")
        await client.refresh()
        await client.raw("GET", "/x")
    assert subjects(server) == ["before", "after"]


async def test_a_half_written_certificate_leaves_the_old_one_in_use(
    connect: Connect, authority: Authority, server_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    mounted = Mounted(tmp_path, authority)
    async with FaultyServer(once, tls=server_tls) as server:
        client = mounted.client(server, connect)
        mounted.put("half", key=False)
        await client.refresh()
        await client.raw("GET", "/x")
        mounted.put("after")
        await client.refresh()
        await client.raw("GET", "/x")
    assert subjects(server) == ["before", "after"]


async def test_certificates_that_did_not_change_are_not_loaded_again(authority: Authority, tmp_path: Path) -> None:
    mounted = Mounted(tmp_path, authority)
    credentials = Credentials("https://server", tls_context(), certificate=mounted.files)
    assert not credentials.refresh()
    mounted.put("after")
    assert credentials.refresh()
    assert not credentials.refresh()


async def test_a_thousand_pods_are_listed_without_stopping_the_loop(connect: Connect) -> None:
    pod = configmap("p", spec={"containers": [{"name": f"c{at}", "env": [{"name": "x" * 20}] * 20} for at in range(5)]})
    lines = b"".join(event("ADDED", pod | {"metadata": pod["metadata"] | {"name": f"p{at}"}}) for at in range(1000))

    async def script(request: Request, reply: Reply) -> None:
        await reply.start()
        for at in range(0, len(lines), 32768):
            await reply.send(lines[at : at + 32768])
        await reply.send(bookmark(10, ends_listing=True))
        await reply.finish()

    sink = MemorySink()
    longest = 0.0

    async def probe() -> None:
        nonlocal longest
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            longest, last = max(longest, now - last), now

    async with FaultyServer(script) as server:
        gc.freeze()  # as the syncer does after its start, so that what others left behind is not collected here
        began = time.thread_time()
        probing = asyncio.create_task(probe())
        await watching(connect(server), sink).session()
        took = time.thread_time() - began
        probing.cancel()
        gc.unfreeze()
    assert len(sink.objects) == 1000
    assert longest < took / 3  # a share, since machines differ; 17 of 100 ms on two cores


async def test_requests_go_on_after_their_connections_were_closed_under_them(connect: Connect) -> None:
    async def slow(request: Request, reply: Reply) -> None:
        if request.connection == 1:
            await reply.hang()
        await fine(request, reply)

    async with FaultyServer(slow) as server:
        transport = connect(server)
        waiting = asyncio.create_task(send(transport, "POST", b"{}"))
        await server.asked(1)
        await transport.reconnect()
        assert (await waiting).status == 200
        await eventually(lambda: server.connections == 2)
