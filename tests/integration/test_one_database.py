"""Two API servers on one database, each with a kine of its own, as in several pods of a control plane."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest

from lab import toolchain
from syncer.kube.client import Client
from syncer.kube.credentials import Credentials
from syncer.kube.watch import reflect
from tests.integration.eventually import eventually
from tests.integration.servers import ApiServer
from tests.unit.kube.doubles import CONFIGMAPS, MemorySink

ROUNDS = 20


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ApiServer, ApiServer]]:
    """Both, ready."""
    toolchain.build(["kube-apiserver", "kine"])
    folder = tmp_path_factory.mktemp("two")
    with contextlib.ExitStack() as stack:
        servers = []
        for name in ("one", "two"):
            server = ApiServer(folder / name, store="kine", database=folder / "database")
            stack.callback(server.stop)
            server.wait_ready()
            servers.append(server)
        yield servers[0], servers[1]


@pytest.fixture
async def clients(two: tuple[ApiServer, ApiServer]) -> AsyncIterator[tuple[Client, Client]]:
    """Of each one."""
    async with contextlib.AsyncExitStack() as stack:
        found = [Client.connect(Credentials.from_kubeconfig(server.kubeconfig), name="test") for server in two]
        for client in found:
            stack.push_async_callback(client.close)
        yield found[0], found[1]


async def test_a_list_through_one_api_server_shows_what_another_one_has_acknowledged(
    clients: tuple[Client, Client],
) -> None:
    made: set[str] = set()
    for number in range(ROUNDS):
        writer, reader = clients[number % 2], clients[1 - number % 2]
        name = f"acknowledged-{number}"
        await writer.create(CONFIGMAPS, {"metadata": {"name": name}}, namespace="default")
        made.add(name)
        assert made <= {item["metadata"]["name"] for item in await reader.list(CONFIGMAPS, "default")}
    for name in made:
        await clients[0].delete(CONFIGMAPS, "default", name)
        assert name not in {item["metadata"]["name"] for item in await clients[1].list(CONFIGMAPS, "default")}


async def test_a_watch_through_one_api_server_tells_what_is_written_through_another_one(
    clients: tuple[Client, Client],
) -> None:
    sink = MemorySink()
    watching = asyncio.create_task(reflect(clients[0], CONFIGMAPS, sink, namespace="default"))
    try:
        await eventually(lambda: "end" in sink.calls)
        await clients[1].create(CONFIGMAPS, {"metadata": {"name": "told"}}, namespace="default")
        await eventually(lambda: "told" in sink.names)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
