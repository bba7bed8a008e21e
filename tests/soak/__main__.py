"""`make soak`: a virtual cluster works for half an hour while its parts are killed, and must lose, leave and leak nothing.

    python -m tests.soak --minutes 30 [--seed N] [--rate 5] [--population 250] [--json FILE]

Runs on the lab, in a release of its own with default values. Exit code 1 when anything was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from lab import commands, layout, netns, toolchain
from syncer.kube.client import Client
from syncer.kube.credentials import Credentials
from tests.e2e import fake_nodes, processes
from tests.e2e.objects import Object
from tests.e2e.tenancy import CommandFailed, Release, eventually, install, uninstall
from tests.soak import checks, memory
from tests.soak.chaos import CONTROL_PLANE, Chaos
from tests.soak.load import Load
from tests.soak.report import Checkpoint, Findings

SPACE = "soak"
_SAMPLE_EVERY = 10.0
_CHECKPOINT_EVERY = 300.0
_ACKNOWLEDGED = 300.0
"""Seconds in which every request that has begun must have an answer once nothing is killed any more."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Borrows the lab, moves into its network and soaks; returns the exit code."""
    options = _parser().parse_args(arguments)
    with (
        commands.borrowed(nodes=2, fake_nodes=fake_nodes.COUNT),
        netns.entered(layout.nodes(1)[0].namespace),  # where Service IPs can be reached
        tempfile.TemporaryDirectory() as folder,
    ):
        release = install("vc", f"soak-{uuid.uuid4().hex[:6]}", Path(folder))
        try:
            findings = asyncio.run(Soak(release, options).run())
        finally:
            uninstall(release)
    path = options.json or toolchain.cache_root() / "soak" / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    findings.write(path)
    print(f"\n{findings.text()}\n\nseed {findings.seed}, {path}")
    return 1 if findings.violations else 0


class Soak:
    """One soak of a release."""

    def __init__(self, release: Release, options: argparse.Namespace) -> None:
        self._release = release
        self._kubectl = release.tenant.within(SPACE)
        self._seconds = options.minutes * 60
        self._began = time.monotonic()
        self._pods: dict[str, list[Object]] = {}
        self._findings = Findings(
            seed=options.seed, minutes=options.minutes, rate=options.rate, population=options.population
        )
        host, tenant = (
            Client.connect(Credentials.from_kubeconfig(kubectl.kubeconfig), name=name)
            for name, kubectl in (("host", release.host), ("virtual", release.tenant))
        )
        self._clients = host, tenant
        chance = random.Random(options.seed)
        self._load = Load(tenant, SPACE, chance, rate=options.rate, population=options.population)
        self._chaos = Chaos(release, self._load, chance, host=host, tenant=tenant, space=SPACE)

    async def run(self) -> Findings:
        """Works, strikes, rests and checks until the time is over."""
        print(f"seed {self._findings.seed}, host namespace {self._release.namespace}", flush=True)
        self._release.tenant("create", "namespace", SPACE)
        eventually(lambda: self._kubectl("get", "serviceaccount", "default"))
        await self._load.prepare()
        tasks = [asyncio.create_task(work()) for work in (self._load.run, self._chaos.run, self._sample)]
        checking = asyncio.create_task(self._check_now_and_then())
        try:
            await asyncio.wait([*tasks, checking], return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():  # none of them ends by itself
                    task.result()
            await checking
        finally:
            for task in (*tasks, checking):
                task.cancel()
            await asyncio.gather(*tasks, checking, return_exceptions=True)
            for client in self._clients:
                await client.close()
        return self._conclude()

    async def _check_now_and_then(self) -> None:
        rests = max(2, round(self._seconds / _CHECKPOINT_EVERY))
        for number in range(1, rests + 1):
            end = self._began + self._seconds * number / rests
            await asyncio.sleep(max(0.0, end - time.monotonic()))
            async with self._chaos.calm:
                await self._check()
            self._chaos.rough = number < rests / 2

    async def _check(self) -> None:
        began = time.monotonic()
        try:
            await asyncio.wait_for(self._load.rest(), _ACKNOWLEDGED)
            _, wrong = await asyncio.to_thread(checks.converged, self._release, self._kubectl, self._load.ledger)
        except TimeoutError:
            wrong = [f"requests of the tenant without an answer for {_ACKNOWLEDGED:.0f} s"]
        checkpoint = Checkpoint(
            time=began - self._began,
            seconds=time.monotonic() - began,
            wrong=wrong,
            pods=len(self._load.ledger.pods) + sum(self._load.ledger.deployments.values()),
        )
        self._findings.checkpoints.append(checkpoint)
        print(
            f"minute {checkpoint.time / 60:.1f}: {checkpoint.pods} pods, all well after {checkpoint.seconds:.0f} s"
            if not wrong
            else "\n".join(wrong),
            flush=True,
        )
        self._load.resume()

    async def _sample(self) -> None:
        while True:
            await asyncio.to_thread(self._sample_once)
            await asyncio.sleep(_SAMPLE_EVERY)

    def _sample_once(self) -> None:
        try:
            pod = processes.pod_of(self._release)
        except CommandFailed:  # it has been deleted and its successor is not made yet
            return
        self._pods.setdefault(pod["metadata"]["uid"], []).append(pod)
        now = time.monotonic() - self._began
        self._findings.samples += [
            memory.Sample(time=now, container=container, pid=pid, resident=processes.resident(pid))
            for container, pids in processes.census(pod).items()
            for pid in pids
        ]

    def _conclude(self) -> Findings:
        found = self._findings
        self._sample_once()
        found.lives = memory.lives(found.samples)
        found.done, found.struck = dict(self._load.done), dict(self._chaos.struck)
        found.strikes = self._chaos.strikes
        found.wrong = [
            *self._load.refused,
            *checks.unasked_restarts(self._chaos.kills, self._pods),
            *checks.unasked_replacements(self._chaos.struck[CONTROL_PLANE], self._pods),
            *memory.growing(found.lives),
        ]
        return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30, help="how long (default 30)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="what happens when; default: random")
    parser.add_argument("--rate", type=float, default=5, help="pods made and deleted per second (default 5)")
    parser.add_argument("--population", type=int, default=250, help="pods that there are at a time (default 250)")
    parser.add_argument("--json", type=Path, help="where to store the findings; default: in the cache")
    return parser


if __name__ == "__main__":
    sys.exit(main())
