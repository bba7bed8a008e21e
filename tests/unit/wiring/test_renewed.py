"""What follows a renewal: new files are used, and another CA is told to those who were told of the one before."""

from __future__ import annotations

import asyncio
import datetime as dt
from types import SimpleNamespace

import pytest

from syncer.controlplane.renewal import State
from syncer.engine.metrics import Metrics
from syncer.plan.actions import Side
from syncer.wiring.background import Background
from syncer.wiring.renewed import Renewed

DUE = State(due=dt.datetime(2026, 11, 23, tzinfo=dt.UTC))


class Process:
    """Stands for all that hears of it; notes who did, in order. `authority` is the CA in the folder."""

    def __init__(self, *, leads: bool) -> None:
        self.authority = b"first"
        self.heard: list[str] = []
        self.metrics = Metrics()
        self.leading = asyncio.Event()
        if leads:
            self.leading.set()
        self.background = Background()
        client = SimpleNamespace(refresh=self.note("client"))
        self.renewed = Renewed(
            SimpleNamespace(metrics=self.metrics, leading=self.leading, clients={Side.VIRTUAL: client}),  # type: ignore[arg-type]
            servers=SimpleNamespace(  # type: ignore[arg-type]
                reload=lambda: self.heard.append("servers"), announce_authority=self.note("webhook")
            ),
            duties=SimpleNamespace(export_kubeconfigs=self.note("kubeconfigs")),  # type: ignore[arg-type]
            authority=lambda: self.authority,
            spawn=self.background.spawn,
        )

    def note(self, who):
        async def hear():
            self.heard.append(who)

        return hear

    async def hears(self):
        """Who hears of what lies in the folder now."""
        self.heard.clear()
        await self.renewed(DUE)
        await asyncio.gather(*self.background._tasks)
        return self.heard


async def test_what_lies_in_the_folder_is_used_and_the_ca_of_the_start_is_no_news():
    process = Process(leads=True)
    assert await process.hears() == ["client", "servers"]
    assert process.metrics.certificates_due._value.get() == DUE.due.timestamp()


async def test_a_renewal_under_the_same_ca_is_told_to_nobody_else():
    process = Process(leads=True)
    await process.hears()
    assert await process.hears() == ["client", "servers"]


@pytest.mark.parametrize(
    ("leads", "told"), [(True, ["webhook", "kubeconfigs"]), (False, ["webhook"])], ids=["leader", "another"]
)
async def test_another_ca_is_told_to_the_api_server_and_by_the_leader_in_kubeconfigs(leads, told):
    process = Process(leads=leads)
    await process.hears()
    process.authority = b"second"
    assert await process.hears() == ["client", "servers", *told]
