"""Pods one at a time and many at once: how long until the host has them, until they are seen to run, and until they are gone."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from lab import audit
from tests.bench import controlplane
from tests.bench.bench import Bench
from tests.bench.figures import median
from tests.bench.targets import Target
from tests.bench.watching import View, views
from tests.bench.workload import PODS, fake_pod, marker

VARIANTS = {"plain": False, "with a token": True}
"""Name -> whether the pod has a token of its ServiceAccount."""
_PAUSE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What one pod's life took, in seconds; `status` is nothing for the bare host."""

    accepted: float
    object: float
    running: float
    status: float
    ended: float
    gone: float


async def live(target: Target, view: View, *, token: bool = False) -> Life:
    """Creates a pod, waits until it runs, deletes it, and waits until it is gone. Raises TimeoutError."""
    mark = marker()
    began = time.perf_counter()
    await target.client.create(PODS, fake_pod(mark, token=token), namespace=target.space)
    accepted = time.perf_counter()
    there = await view.outside.when(mark, "there")
    running_there, running = await asyncio.gather(view.outside.when(mark, "running"), view.inside.when(mark, "running"))
    asked = time.perf_counter()
    await target.delete(mark)
    ended, gone = await asyncio.gather(view.outside.when(mark, "gone"), view.inside.when(mark, "gone"))
    return Life(
        accepted=accepted - began,
        object=there - accepted,
        running=running - began,
        status=running - running_there,
        ended=ended - asked,
        gone=gone - asked,
    )


async def serial(bench: Bench) -> None:
    """One pod at a time, in turns between the targets."""
    async with views(bench.targets, PODS) as seen:
        for target in bench.targets:
            await live(target, seen[target.name], token=True)  # brings what the pods of a namespace share
        for variant, token in VARIANTS.items():
            lives: dict[str, list[Life]] = defaultdict(list)
            for _ in range(bench.sizes.serial):
                for target in bench.targets:
                    lives[target.name].append(await live(target, seen[target.name], token=token))
                    await asyncio.sleep(_PAUSE)
            for measure in ("accepted", "object", "running", "status", "ended", "gone"):
                samples = {name: [getattr(life, measure) for life in found] for name, found in lives.items()}
                if measure == "status":
                    samples = {target.name: samples[target.name] for target in bench.virtual}
                bench.record_latencies(f"serial.{measure}", variant, samples)


async def burst(bench: Bench) -> None:
    """Many pods at once, without tokens, in turns between the targets; then the memory that this has left behind."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    memory = {}
    async with views(bench.targets, PODS) as seen:
        for _ in range(bench.sizes.bursts):
            for target in bench.targets:
                view = seen[target.name]
                began, busy = time.perf_counter(), time.process_time()
                marks = await create(target, bench.sizes.burst)
                found["objects"][target.name].append(await view.outside.all(marks, "there") - began)
                taken = await view.inside.all(marks, "running") - began
                found["running"][target.name].append(taken)
                found["client"][target.name].append((time.process_time() - busy) / taken * 100)
                memory[target.name] = await controlplane.memory(target)
                began = time.perf_counter()
                await remove(target, marks)
                await view.outside.all(marks, "gone")
                found["gone"][target.name].append(await view.inside.all(marks, "gone") - began)
    for measure, samples in found.items():
        for name, values in samples.items():
            bench.record(f"burst.{measure}", "p50", name, median(values))
    for name, parts in memory.items():
        for part, size in parts.items():
            bench.record("burst.memory", part, name, size)


async def create(target: Target, count: int) -> list[str]:
    """Creates plain pods as fast as the API server takes them; returns their markers."""
    marks = [marker() for _ in range(count)]
    await asyncio.gather(*(target.client.create(PODS, fake_pod(mark), namespace=target.space) for mark in marks))
    return marks


async def remove(target: Target, marks: Sequence[str]) -> None:
    """Deletes such pods."""
    await asyncio.gather(*(target.delete(mark) for mark in marks))


async def requests(bench: Bench) -> None:
    """What the control plane asks of the host for one pod's life, counted in the host's audit log."""
    async with views(bench.virtual, PODS) as seen:
        for target in bench.virtual:
            view = seen[target.name]
            keeper = marker()  # so that what all pods of a namespace share stays on the host
            await target.client.create(PODS, fake_pod(keeper, token=True), namespace=target.space)
            await view.inside.when(keeper, "running")
            await asyncio.sleep(bench.sizes.settle)
            for variant, token in VARIANTS.items():
                position = audit.position()
                for _ in range(bench.sizes.lives):
                    await live(target, view, token=token)
                await asyncio.sleep(1)  # for the Secrets of the last pod
                _count(bench, target, variant, target.asked(since=position))
            await target.delete(keeper)


def _count(bench: Bench, target: Target, variant: str, asked: list[audit.Request]) -> None:
    lives = bench.sizes.lives
    counted = [request for request in asked if not request.watches]
    bench.record("requests.writes", variant, target.name, sum(request.writes for request in counted) / lives)
    bench.record("requests.reads", variant, target.name, sum(not request.writes for request in counted) / lives)
    kinds = Counter(f"{request.verb} {request.resource}" for request in counted)
    for kind, count in sorted(kinds.items()):
        bench.record("requests.verb", f"{variant}: {kind}", target.name, count / lives)
