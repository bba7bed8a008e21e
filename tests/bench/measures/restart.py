"""The control plane is deleted while its pods run: how long until all is as if nothing had happened."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time

from syncer.kube.errors import AlreadyExists, NotFound
from tests.bench.measures.changes import report
from tests.bench.targets import Target, eventually
from tests.bench.watching import View
from tests.bench.workload import PODS, fake_pod, marker
from tests.e2e.objects import Object

_PATIENCE = 240.0
_OFTEN = 0.05


async def restart(target: Target, view: View, witness: str) -> dict[str, float]:
    """Seconds from the deletion until the pod has ended, the API server is ready, a status changed meanwhile is seen,
    a new pod is on the host, and all of these.

    `witness` is the marker of a running pod whose status the host changes while nobody listens. Raises TimeoutError.
    """
    old = await target.control_plane()
    began = time.perf_counter()
    for pod in old:
        await target.host.delete(PODS, target.host_namespace, pod["metadata"]["name"])
    ended = began
    for pod in old:
        ended = await eventually(functools.partial(_is_gone, target, pod), patience=_PATIENCE, every=_OFTEN)
    changed, new = marker(), marker()
    await report(target, view.outside.names[witness], changed)
    await target.client.close()  # connections to a pod that is gone would only be noticed by silence

    async def is_ready() -> bool:
        return (await target.client.raw("GET", "/readyz")).status == 200

    async def is_accepted() -> bool:
        with contextlib.suppress(AlreadyExists):  # an answer was lost, and the request repeated
            await target.client.create(PODS, fake_pod(new), namespace=target.space)
        return True

    async def create() -> float:
        await eventually(is_accepted, patience=_PATIENCE, every=_OFTEN)
        return await view.outside.when(new, "there", patience=_PATIENCE)

    ready = await eventually(is_ready, patience=_PATIENCE, every=_OFTEN)
    told, made = await asyncio.gather(view.inside.when(changed, "there", patience=_PATIENCE), create())
    await target.delete(new)
    await view.inside.when(new, "gone")
    times = {"gone": ended, "ready": ready, "status": told, "object": made, "converged": max(ready, told, made)}
    return {name: at - began for name, at in times.items()}


async def _is_gone(target: Target, pod: Object) -> bool:
    """Whether the pod has ended; a StatefulSet gives the next one the same name."""
    try:
        now = await target.host.get(PODS, target.host_namespace, pod["metadata"]["name"])
    except NotFound:
        return True
    return bool(now["metadata"]["uid"] != pod["metadata"]["uid"])
