"""How long an installation takes with its images present, with default values and without a volume to wait for."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
import uuid
from pathlib import Path

import orjson

from lab import layout
from syncer.kube.client import Client
from syncer.kube.credentials import Credentials
from tests.bench.bench import Bench
from tests.bench.figures import median
from tests.bench.watching import watching
from tests.bench.workload import PODS
from tests.e2e.tenancy import Release, install, uninstall

_VARIANTS = {
    "default values": (),
    "without a volume": ("--set=controlPlane.statefulSet.persistence.volumeClaim.enabled=false",),
}


async def installs(bench: Bench) -> None:
    """Installs and removes the chart several times. There is nothing to compare with on the bare host."""
    with tempfile.TemporaryDirectory() as folder:
        for variant, arguments in _VARIANTS.items():
            taken = [await _once(Path(folder), arguments) for _ in range(bench.sizes.installs)]
            for measure, values in zip(("install.ready", "install.helm"), zip(*taken, strict=True), strict=True):
                bench.record(measure, f"{variant}, p50", "sublet", median(values))


async def _once(folder: Path, arguments: tuple[str, ...]) -> tuple[float, float]:
    """Seconds until the control plane's pod is ready, and until helm says so."""
    namespace = f"figures-{uuid.uuid4().hex[:6]}"
    client = Client.connect(Credentials.from_kubeconfig(layout.kubeconfig()), name="host")
    ready: list[float] = []

    def note(line: bytes, now: float) -> None:
        pod = orjson.loads(line)["object"]
        conditions = pod.get("status", {}).get("conditions", ())
        if pod["metadata"]["name"] == "sublet-0" and any(
            item["type"] == "Ready" and item["status"] == "True" for item in conditions
        ):
            ready.append(now)

    release: Release | None = None
    try:
        async with watching(client, PODS, namespace, note):
            began = time.perf_counter()
            release = await asyncio.to_thread(install, "sublet", namespace, folder, *arguments)
        return ready[0] - began, release.seconds_to_ready
    finally:
        await client.close()
        if release is not None:
            with contextlib.suppress(AssertionError):
                await asyncio.to_thread(uninstall, release)
