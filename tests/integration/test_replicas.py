"""Two syncers of one virtual cluster: one works, the other takes over when that one stops, dies or cannot reach its API server."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from syncer.engine.leader import LEASES, NAME, NAMESPACE, Leader
from syncer.kube.errors import Unreachable
from tests.integration.conftest import ApiServerPair
from tests.integration.syncing import PODS, Running, Side, document, eventually, pod, running, sides

TERMS = {"leaseDuration": 4, "renewDeadline": 2, "retryPeriod": 1}


@dataclass(frozen=True, slots=True)
class Replicas:
    """Both syncers, each with what ends it."""

    host: Side
    virtual: Side
    syncers: tuple[Running, Running]
    ends: tuple[contextlib.AsyncExitStack, contextlib.AsyncExitStack]

    async def leader(self) -> int:
        """Which one works."""

        async def found() -> list[int]:
            return [number + 1 for number, it in enumerate(self.syncers) if it.syncer.engine.leading.is_set()]

        (number,) = await eventually(found)
        return int(number) - 1

    async def is_on_host(self, name: str) -> bool:
        """Whether a pod of the tenant is there."""
        return self.syncers[0].host_name(name) in await self.host.names(PODS)


@pytest.fixture
async def replicas(api_server_pair: ApiServerPair, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Replicas]:
    """Two syncers that are ready."""

    async def idle(*_: object) -> None:
        """Here the webhooks listen on two ports, and each would put the other's away; in two pods they are the same."""

    monkeypatch.setattr("syncer.wiring.admission.keep", idle)
    async with contextlib.AsyncExitStack() as all_:
        host, virtual = await all_.enter_async_context(sides(api_server_pair, f"t-{uuid.uuid4().hex[:6]}"))
        config = document(host.space, leadership=TERMS)
        ends = (contextlib.AsyncExitStack(), contextlib.AsyncExitStack())
        for end in ends:
            all_.push_async_exit(end)
        one, two = [
            await end.enter_async_context(running(api_server_pair, host, virtual, config, identity=f"vc-{number}"))
            for number, end in enumerate(ends)
        ]
        yield Replicas(host, virtual, (one, two), ends)
        await virtual.client.delete(LEASES, NAMESPACE, NAME)


async def test_one_works_and_both_are_ready(replicas: Replicas) -> None:
    leader = await replicas.leader()
    await replicas.virtual.make(PODS, pod("web"))
    await eventually(lambda: replicas.is_on_host("web"))

    assert not replicas.syncers[1 - leader].syncer.engine.leading.is_set()
    assert [it.syncer.unready() for it in replicas.syncers] == ["", ""]


async def test_the_other_one_takes_over_at_once_from_one_that_stops(replicas: Replicas) -> None:
    leader = await replicas.leader()
    await replicas.ends[leader].aclose()
    began = time.monotonic()
    await replicas.virtual.make(PODS, pod("web"))
    await eventually(lambda: replicas.is_on_host("web"))

    assert time.monotonic() - began < TERMS["leaseDuration"]


async def test_the_other_one_takes_over_from_one_that_dies_and_makes_nothing_twice(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    await replicas.virtual.make(PODS, pod("before"))
    await eventually(lambda: replicas.is_on_host("before"))
    before = await replicas.host.get(PODS, replicas.syncers[0].host_name("before"))
    leader = await replicas.leader()

    async def dead(self: Leader) -> None:
        """The dead give nothing back."""

    monkeypatch.setattr(Leader, "release", dead)
    await replicas.ends[leader].aclose()
    await replicas.virtual.make(PODS, pod("web"))
    await eventually(lambda: replicas.is_on_host("web"), patience=3 * TERMS["leaseDuration"])
    after = await replicas.host.get(PODS, replicas.syncers[0].host_name("before"))

    assert before is not None
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


async def test_one_that_cannot_reach_its_api_server_stops_working(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = await replicas.leader()
    client = replicas.syncers[number].syncer.virtual

    async def nothing(*_: object, **__: object) -> None:
        raise Unreachable("no answer")

    for verb in ("get", "patch"):
        monkeypatch.setattr(client, verb, nothing)
    other = replicas.syncers[1 - number].syncer.engine
    await asyncio.wait_for(other.leading.wait(), 3 * TERMS["leaseDuration"])

    with pytest.raises(BaseExceptionGroup):
        await replicas.ends[number].aclose()
