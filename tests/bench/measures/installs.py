"""How long an installation takes with its images present, with default values and without a volume to wait for."""

from __future__ import annotations

import asyncio
import tempfile
import time
import uuid
from pathlib import Path

import orjson

from lab import layout
from syncer.kube.client import Client
from syncer.kube.credentials import Credentials
from tests.bench.arrange import removed
from tests.bench.bench import Bench
from tests.bench.figures import median
from tests.bench.watching import watching
from tests.bench.workload import PODS
from tests.e2e.tenancy import install

_NAME = "sublet"
_VARIANTS = {
    "default values": (),
    "without a volume": ("--set=controlPlane.statefulSet.persistence.volumeClaim.enabled=false",),
}
_LAG = 10.0
"""Seconds that a watch may be behind helm."""


async def installs(bench: Bench) -> None:
    """Installs and removes the chart several times. There is nothing to compare with on the bare host."""
    with tempfile.TemporaryDirectory() as folder:
        for variant, arguments in _VARIANTS.items():
            taken = [await _once(Path(folder), arguments) for _ in range(bench.sizes.installs)]
            for measure, values in zip(("install.ready", "install.helm"), zip(*taken, strict=True), strict=True):
                bench.record(measure, f"{variant}, p50", _NAME, median(values))


async def _once(folder: Path, arguments: tuple[str, ...]) -> tuple[float, float]:
    """Seconds until the control plane's pod is ready, and until helm says so."""
    namespace = f"figures-{uuid.uuid4().hex[:6]}"
    client = Client.connect(Credentials.from_kubeconfig(layout.kubeconfig()), name="host")
    ready = asyncio.get_running_loop().create_future()

    def note(line: bytes, now: float) -> None:
        pod = orjson.loads(line)["object"]
        conditions = pod.get("status", {}).get("conditions", ())
        is_ready = any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)
        if pod["metadata"]["name"] == f"{_NAME}-0" and is_ready and not ready.done():
            ready.set_result(now)

    try:
        async with watching(client, PODS, namespace, note):
            began = time.perf_counter()
            release = await asyncio.to_thread(install, _NAME, namespace, folder, *arguments)
            return await asyncio.wait_for(ready, _LAG) - began, release.seconds_to_ready
    finally:
        await client.close()
        await asyncio.to_thread(removed, _NAME, namespace)
