"""Two syncers of one virtual cluster: one works, the other takes over when that one stops, dies or cannot reach its API server."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from syncer.controlplane.api_service import SLICES
from syncer.engine.leader import LEASES, NAME, NAMESPACE, Leader
from syncer.kube.errors import Unreachable
from syncer.names import Object, host_name
from tests.integration.conftest import ApiServerPair
from tests.integration.syncing import PODS, Running, Side, document, eventually, pod, running, sides

TERMS = {"leaseDuration": 4, "renewDeadline": 2, "retryPeriod": 1}
DNS_SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec: {ports: [{name: dns, port: 53, protocol: UDP, targetPort: 1053}]}
"""
EMBEDDED = {"manifests": DNS_SERVICE, "dns": {"embedded": True}}


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

    monkeypatch.setattr("syncer.wiring.servers.admission.keep", idle)
    async with contextlib.AsyncExitStack() as all_:
        host, virtual = await all_.enter_async_context(sides(api_server_pair, f"t-{uuid.uuid4().hex[:6]}"))
        config = document(host.space, leadership=TERMS, **EMBEDDED)
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


def found_ready(*addresses: str) -> Object:
    """What the host finds of the control plane's pods."""
    return {
        "metadata": {"name": "vc-1", "labels": {"kubernetes.io/service-name": "vc"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [ip], "conditions": {"ready": True}} for ip in addresses],
        "ports": [{"name": "https", "port": 8443}],
    }


async def test_the_pods_that_the_host_finds_ready_answer_for_the_api_and_for_dns_on_both_sides(
    replicas: Replicas,
) -> None:
    host, virtual = replicas.host, replicas.virtual.client

    async def answering() -> set[tuple[str, ...]]:
        found = [
            await virtual.get(SLICES, "default", "kubernetes"),
            await virtual.get(SLICES, "kube-system", "kube-dns-control-plane"),
            await host.client.get(SLICES, host.space, host_name("kube-dns-control-plane", "kube-system", "vc")),
        ]
        return {tuple(ip for item in piece["endpoints"] for ip in item["addresses"]) for piece in found}

    async def all_are(*addresses: str) -> bool:
        return await answering() == {addresses}

    await host.make(SLICES, found_ready("192.0.2.1", "192.0.2.2"))
    await eventually(lambda: all_are("192.0.2.1", "192.0.2.2"))
    gone = found_ready("192.0.2.2")
    await host.patch(SLICES, "vc-1", {"endpoints": gone["endpoints"]})
    await eventually(lambda: all_are("192.0.2.2"))
