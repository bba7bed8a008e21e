"""A storm of Secrets that no pod uses: it is the virtual cluster's own matter, and has to cost the host nothing."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from lab import audit
from syncer.kube.errors import NotFound
from tests.bench import controlplane
from tests.bench.bench import Bench
from tests.bench.targets import Target
from tests.bench.watching import views
from tests.bench.workload import PODS, SECRETS, fake_pod, marker, secret

_AFTERWARDS = 5.0
"""Seconds in which requests would still count."""


async def secrets(bench: Bench) -> None:
    """Creates and deletes them at each target, beside one pod: what the last pod of a namespace leaves behind goes half a minute later."""
    async with views(bench.targets, PODS) as seen:
        for target in bench.targets:
            keeper = marker()
            await target.client.create(PODS, fake_pod(keeper), namespace=target.space)
            await seen[target.name].inside.when(keeper, "running")
            await asyncio.sleep(bench.sizes.settle)
            await _storm(bench, target)
            await target.delete(keeper)


async def _storm(bench: Bench, target: Target) -> None:
    names = [f"unused-{number}" for number in range(bench.sizes.secrets)]
    position, before = audit.position(), await controlplane.memory(target)
    began = time.perf_counter()
    await asyncio.gather(*(target.client.create(SECRETS, secret(name), namespace=target.space) for name in names))
    bench.record("secrets.seconds", f"{bench.sizes.secrets} Secrets", target.name, time.perf_counter() - began)
    if target.bare:
        await asyncio.gather(*(_delete(target, name) for name in names))
        return
    await asyncio.sleep(_AFTERWARDS)
    for part, size in (await controlplane.memory(target)).items():
        bench.record("secrets.memory", part, target.name, size - before.get(part, 0.0))
    await asyncio.gather(*(_delete(target, name) for name in names))
    await asyncio.sleep(_AFTERWARDS)
    asked = [request for request in target.asked(since=position) if not request.watches]
    bench.record("secrets.requests", "creating and deleting", target.name, len(asked))
    for kind, count in Counter(f"{request.verb} {request.resource}" for request in asked).items():
        bench.record("secrets.verb", kind, target.name, count)


async def _delete(target: Target, name: str) -> None:
    try:
        await target.client.delete(SECRETS, target.space, name)
    except NotFound:  # an answer was lost, and the request repeated
        return
