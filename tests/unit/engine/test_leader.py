"""Who synchronises: one of several, and another as soon as that one is silent for too long."""

from __future__ import annotations

import asyncio

import pytest

from syncer.engine.leader import Leader, LostLeadership
from syncer.kube.errors import Unreachable
from syncer.values import Leadership
from tests.unit.controlplane.memory_api import MemoryApi
from tests.unit.kube.doubles import Clock

LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/sublet-syncer"
TERMS = Leadership(lease_duration=15, renew_deadline=10, retry_period=2)


@pytest.fixture
def api():
    return MemoryApi()


@pytest.fixture
def clock():
    return Clock(100.0)


@pytest.fixture
def naps(monkeypatch, clock):
    """Sleeping moves the clock on, and is counted."""
    taken: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds):
        taken.append(seconds)
        clock.now += seconds
        await real(0)

    monkeypatch.setattr("syncer.engine.leader.asyncio.sleep", sleep)
    return taken


def candidate(api, clock, identity="vc-0"):
    return Leader(api.client, TERMS, identity, clock=clock)


def spec(api):
    return api.objects[LEASE]["spec"]


async def test_the_first_one_leads_at_once(api, clock, naps):
    await candidate(api, clock).acquire()

    assert naps == []
    assert spec(api)["holderIdentity"] == "vc-0"
    assert spec(api)["leaseDurationSeconds"] == 15


async def test_another_one_waits_until_the_leader_was_silent_for_the_lease(api, clock, naps):
    await candidate(api, clock).acquire()
    await candidate(api, clock, "vc-1").acquire()

    assert 15 <= sum(naps) <= 17
    assert spec(api)["holderIdentity"] == "vc-1"
    assert spec(api)["leaseTransitions"] == 2


async def test_a_leader_that_renews_is_left_alone(api, clock, naps):
    leader, other = candidate(api, clock), candidate(api, clock, "vc-1")
    await leader.acquire()
    for _ in range(20):
        clock.now += 2
        assert await leader._try()
        assert not await other._try()


async def test_a_lease_that_was_given_back_is_taken_at_once(api, clock, naps):
    leader = candidate(api, clock)
    await leader.acquire()
    await leader.release()
    await candidate(api, clock, "vc-1").acquire()

    assert naps == []
    assert spec(api)["holderIdentity"] == "vc-1"


async def test_the_same_replica_takes_its_own_lease_back_at_once(api, clock, naps):
    await candidate(api, clock).acquire()
    await candidate(api, clock).acquire()

    assert naps == []
    assert spec(api)["leaseTransitions"] == 1


async def test_a_leader_that_cannot_renew_gives_up_before_others_may_begin(api, clock, naps, monkeypatch):
    leader = candidate(api, clock)
    await leader.acquire()

    async def nothing(*_, **__):
        raise Unreachable("no answer")

    monkeypatch.setattr(api.client, "get", nothing)
    with pytest.raises(LostLeadership):
        await leader.keep()
    assert sum(naps) <= TERMS.lease_duration - TERMS.retry_period


async def test_a_leader_whose_lease_another_one_holds_gives_up(api, clock, naps):
    leader = candidate(api, clock)
    await leader.acquire()
    api.objects[LEASE]["spec"] |= {"holderIdentity": "vc-1", "leaseDurationSeconds": 15}
    api.objects[LEASE]["metadata"]["resourceVersion"] = "999"

    with pytest.raises(LostLeadership):
        await leader.keep()
    assert len(naps) == 1


async def test_work_ends_with_the_lease_and_the_lease_is_given_back_with_the_work(api, clock):
    leader = candidate(api, clock)
    began = asyncio.Event()

    async def work():
        began.set()
        await asyncio.Event().wait()

    leading = asyncio.create_task(leader.lead(work))
    await began.wait()
    assert spec(api)["holderIdentity"] == "vc-0"
    leading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leading
    assert spec(api)["holderIdentity"] == ""
