"""API servers that go away and come back under a running syncer."""

from __future__ import annotations

import asyncio
import gc
import uuid
from collections.abc import AsyncIterator
from typing import Literal

import pytest

from tests.integration.conftest import ApiServerPair
from tests.integration.syncing import CONFIGMAPS, PODS, Running, eventually, pod, running, sides

# A connection that is being opened when its server dies is left to the garbage collector by asyncio, which says so.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")


@pytest.fixture
async def sync(api_server_pair: ApiServerPair) -> AsyncIterator[Running]:
    space = f"t{uuid.uuid4().hex[:8]}"
    async with (
        sides(api_server_pair, space) as (host, virtual),
        running(api_server_pair, host, virtual) as it,
    ):
        yield it
    gc.collect()


@pytest.mark.parametrize("side", ["host", "virtual"])
async def test_sync_goes_on_after_an_api_server_was_killed(
    sync: Running, api_server_pair: ApiServerPair, side: Literal["host", "virtual"]
) -> None:
    server = getattr(api_server_pair, side)
    await sync.virtual.make(PODS, pod("before"))
    await eventually(lambda: sync.host.get(PODS, sync.host_name("before")))
    await asyncio.to_thread(server.kill9)
    try:

        async def noticed() -> bool:
            return side in sync.syncer.unready()

        await eventually(noticed)
        if side == "host":
            # The tenant goes on meanwhile; nothing of it is lost.
            await sync.virtual.make(PODS, pod("during"))
            await sync.virtual.delete(PODS, "before", grace_seconds=0)
    finally:
        await asyncio.to_thread(server.restart)
    await eventually(lambda: sync.virtual.make(PODS, pod("after")))
    await eventually(lambda: sync.host.get(PODS, sync.host_name("after")), patience=40)

    if side == "host":
        await eventually(lambda: sync.host.get(PODS, sync.host_name("during")))

        async def away() -> bool:
            return await sync.host.get(PODS, sync.host_name("before")) is None

        await eventually(away)

    async def ready() -> bool:
        return not sync.syncer.unready()

    await eventually(ready, patience=40)


async def test_what_the_host_lost_while_the_syncer_was_away_is_made_again(api_server_pair: ApiServerPair) -> None:
    space = f"t{uuid.uuid4().hex[:8]}"
    container = {"name": "main", "image": "busybox", "envFrom": [{"configMapRef": {"name": "used"}}]}
    async with sides(api_server_pair, space) as (host, virtual):
        async with running(api_server_pair, host, virtual) as first:
            await virtual.make(CONFIGMAPS, {"metadata": {"name": "used"}, "data": {"a": "1"}})
            await virtual.make(PODS, pod("web", containers=[container]))
            await eventually(lambda: host.get(CONFIGMAPS, first.host_name("used")))
        await host.delete(CONFIGMAPS, first.host_name("used"))
        await virtual.patch(CONFIGMAPS, "used", {"data": {"a": "2"}})
        async with running(api_server_pair, host, virtual):

            async def renewed() -> bool:
                found = await host.get(CONFIGMAPS, first.host_name("used"))
                return bool(found and found["data"] == {"a": "2"})

            await eventually(renewed)


async def test_a_hundred_pods_arrive_and_leave_without_a_trace(sync: Running) -> None:
    names = [f"p{number}" for number in range(100)]
    expected = {sync.host_name(name) for name in names}
    await asyncio.gather(*(sync.virtual.make(PODS, pod(name)) for name in names))

    async def all_there() -> bool:
        return expected <= await sync.host.names(PODS, ours=True)

    await eventually(all_there, patience=40)
    await asyncio.gather(*(sync.virtual.delete(PODS, name, grace_seconds=0) for name in names))

    async def none_left() -> bool:
        return not expected & await sync.host.names(PODS, ours=True)

    await eventually(none_left, patience=40)
    assert sync.syncer.engine is not None
    assert await sync.syncer.engine.compare() == 0
