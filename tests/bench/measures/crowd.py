"""A virtual cluster that fills up with pods, and what is measured on the way: memory, rest, the cost of one more pod, a restart."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from lab import audit
from tests.bench import catalogue, controlplane
from tests.bench.bench import MILLI, Bench
from tests.bench.figures import median
from tests.bench.measures import pods, restart
from tests.bench.targets import Target
from tests.bench.watching import View, views
from tests.bench.workload import PODS

_CALM = 5.0
"""Seconds after the last pod runs, before memory is read."""
_FAMILIES = ("memory", "idle", "growth", "restart")


@dataclass
class Crowd:
    """The pods of one target, and what was found with few of them, to compare with what is found with many."""

    bench: Bench
    target: Target
    views: dict[str, View]
    marks: list[str] = field(default_factory=list)
    with_few: dict[tuple[str, str], float] = field(default_factory=dict)
    """By target and title."""

    @property
    def view(self) -> View:
        """What is seen of the target's own pods."""
        return self.views[self.target.name]

    @property
    def label(self) -> str:
        """How many there are, in words."""
        return f"{len(self.marks)} pods"

    async def grow(self, count: int) -> None:
        """Fills up to `count` running pods."""
        more = await pods.create(self.target, count - len(self.marks))
        self.marks += more
        if more:
            await self.view.inside.all(more, "running", patience=300)


async def crowd(bench: Bench, families: Sequence[str]) -> None:
    """Fills each virtual cluster once, up to the greatest number that one of the chosen families asks for."""
    plan = [(count, _MEASURES[name]) for name in _FAMILIES if name in families for count in levels(bench, name)]
    host = bench.targets[0]
    for target in bench.virtual:
        async with views([host, target], PODS) as seen:
            full = Crowd(bench, target, seen)
            try:
                for count, steps in itertools.groupby(sorted(plan, key=lambda step: step[0]), key=lambda step: step[0]):
                    await full.grow(count)
                    await asyncio.sleep(_CALM)
                    for _, measure in steps:
                        await measure(full)
            finally:
                await target.clear()


def levels(bench: Bench, family: str) -> tuple[int, ...]:
    """Numbers of pods at which a family is measured."""
    sizes = bench.sizes
    return {
        "memory": sizes.memory_at,
        "idle": (sizes.idle_at,),
        "growth": sizes.growth_at,
        "restart": sizes.restart_at,
    }[family]


async def memory(full: Crowd) -> None:
    """Resident memory of each container."""
    for part, size in (await controlplane.memory(full.target)).items():
        full.bench.record("memory.pods", f"{full.label}, {part}", full.target.name, size)


async def idle(full: Crowd) -> None:
    """Requests to the host and processor time while nothing happens."""
    bench, target = full.bench, full.target
    await asyncio.sleep(bench.sizes.settle)
    position, before = audit.position(), await controlplane.cpu(target)
    await asyncio.sleep(bench.sizes.idle)
    after, asked = await controlplane.cpu(target), target.asked(since=position)
    watches = sum(request.watches for request in asked)
    bench.record("idle.requests", "in all", target.name, len(asked) - watches)
    bench.record("idle.watches", "in all", target.name, watches)
    for part, seconds in controlplane.spent(before, after).items():
        bench.record("idle.cpu", part, target.name, seconds / bench.sizes.idle * 100)


async def growth(full: Crowd) -> None:
    """Latency of one more pod, here and on the host, and the processor time that a pod's life takes."""
    bench, target = full.bench, full.target
    lives: dict[str, list[pods.Life]] = defaultdict(list)
    for _ in range(bench.sizes.growth):
        for name, view in full.views.items():
            of = target if name == target.name else bench.targets[0]
            lives[name].append(await pods.live(of, view))
    found: dict[tuple[str, str], float] = {}
    for measure in ("object", "running"):
        for name, values in lives.items():
            value = median([getattr(life, measure) for life in values]) * MILLI
            bench.record(f"growth.{measure}", full.label, name, value)
            found[name, catalogue.MEASURES[f"growth.{measure}"].title] = value
    for part, value in (await _processor_time(full)).items():
        bench.record("growth.cpu", f"{full.label}, {part}", target.name, value)
        found[target.name, f"processor time, {part}"] = value
    for (name, title), value in found.items():
        few = full.with_few.get((name, title), 0.0)
        if few > 0 and value > 0:  # the bare host's own latency may be nothing
            bench.record("growth.factor", title, name, value / few)
    full.with_few = full.with_few or found


async def _processor_time(full: Crowd) -> dict[str, float]:
    """Milliseconds per pod by container, when pods come and go together: the median of several times."""
    spent: dict[str, list[float]] = defaultdict(list)
    count = full.bench.sizes.growth
    for _ in range(full.bench.sizes.growths):
        before = await controlplane.cpu(full.target)
        marks = await pods.create(full.target, count)
        await full.view.inside.all(marks, "running")
        await pods.remove(full.target, marks)
        await full.view.inside.all(marks, "gone")
        for part, seconds in controlplane.spent(before, await controlplane.cpu(full.target)).items():
            spent[part].append(seconds * MILLI / count)
    return {part: median(values) for part, values in spent.items()}


async def cold_restart(full: Crowd) -> None:
    """The control plane's pod is deleted."""
    taken = await restart.restart(full.target, full.view, full.marks[0])
    for name, seconds in taken.items():
        full.bench.record(f"restart.{name}", full.label, full.target.name, seconds)


_MEASURES: dict[str, Callable[[Crowd], Awaitable[None]]] = {
    "memory": memory,
    "idle": idle,
    "growth": growth,
    "restart": cold_restart,
}
