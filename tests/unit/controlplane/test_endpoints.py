"""Which pods of the control plane are named to the virtual cluster, and what happens when they cannot be."""

from __future__ import annotations

import asyncio

import pytest

from syncer.controlplane import endpoints
from syncer.kube.errors import Unreachable
from syncer.names import Object


def piece(name: str, *ips: str, family: str = "IPv4", ready: bool | None = True) -> Object:
    conditions = {} if ready is None else {"ready": ready}
    return {
        "metadata": {"name": name},
        "addressType": family,
        "endpoints": [{"addresses": [ip], "conditions": conditions} for ip in ips],
    }


def listed(*slices: Object) -> endpoints.Ready:
    ready = endpoints.Ready()
    ready.begin()
    for item in slices:
        ready.put(item)
    ready.end()
    return ready


@pytest.mark.parametrize(
    ("slices", "found"),
    [
        ([], []),
        ([piece("a", "192.0.2.2", "192.0.2.1")], ["192.0.2.1", "192.0.2.2"]),
        ([piece("a", "192.0.2.2"), piece("b", "192.0.2.1")], ["192.0.2.1", "192.0.2.2"]),
        ([piece("a", "192.0.2.2"), piece("b", "192.0.2.1", ready=False)], ["192.0.2.2"]),
        ([piece("a", "192.0.2.2", ready=None)], ["192.0.2.2"]),
        ([piece("six", "2001:db8::1", family="IPv6"), piece("four", "192.0.2.2")], ["192.0.2.2"]),
        ([{**piece("a"), "endpoints": None}], []),
    ],
)
def test_ready_pods_of_one_family_are_named(slices: list[Object], found: list[str]) -> None:
    assert listed(*slices).addresses() == found


def test_changes_and_deletions_are_news() -> None:
    ready = listed(piece("a", "192.0.2.1"))
    ready.news.clear()
    ready.changed(piece("b", "192.0.2.2"))
    assert ready.news.is_set()
    assert ready.addresses() == ["192.0.2.1", "192.0.2.2"]
    ready.news.clear()
    ready.deleted(piece("a"))
    assert ready.news.is_set()
    assert ready.addresses() == ["192.0.2.2"]


def test_a_new_list_forgets_what_it_does_not_hold() -> None:
    ready = listed(piece("a", "192.0.2.1"))
    ready.begin()
    assert ready.addresses() == []


async def test_what_could_not_be_written_is_written_again_and_nothing_is_never_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoints, "_AGAIN", 0)
    told: list[list[str]] = []
    done = asyncio.Event()

    async def announce(addresses: list[str]) -> None:
        told.append(addresses)
        if len(told) == 1:
            raise Unreachable("no answer")
        done.set()

    ready = listed()
    task = asyncio.create_task(endpoints._tell(announce, ready))
    await asyncio.sleep(0)
    assert told == []
    ready.changed(piece("a", "192.0.2.1"))
    await asyncio.wait_for(done.wait(), 5)
    task.cancel()
    assert told == [["192.0.2.1"], ["192.0.2.1"]]
