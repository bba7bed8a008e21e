"""Measures virtual clusters against the bare host they live on.

    python -m tests.bench                                         # our chart with default values
    python -m tests.bench --only serial,burst --quick             # some of it, in small
    python -m tests.bench --install sublet --install tuned=FILE   # two releases of our chart, one with a values file
    python -m tests.bench other=KUBECONFIG:HOSTNAMESPACE          # a virtual cluster that is there already, of whatever make

The lab is brought up if it is not, and left as it was found. Needs root.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import aiohttp

from syncer.kube.errors import KubeError
from tests.bench import arrange
from tests.bench.bench import Bench
from tests.bench.catalogue import FAMILIES
from tests.bench.measures import changes, crowd, installs, pods, secrets, streams
from tests.bench.sizes import FULL, QUICK
from tests.bench.targets import Address, opened

_LIMIT = 900.0
"""Seconds that one group of measurements may take."""
_FAILURES = (AssertionError, EOFError, KubeError, OSError, TimeoutError, aiohttp.ClientError)
_MEASURES: dict[tuple[str, ...], Callable[[Bench, Sequence[str]], Awaitable[None]]] = {
    ("install",): lambda bench, _: installs.installs(bench),
    ("serial",): lambda bench, _: pods.serial(bench),
    ("changes",): lambda bench, _: changes.changes(bench),
    ("requests",): lambda bench, _: pods.requests(bench),
    ("burst",): lambda bench, _: pods.burst(bench),
    ("streams",): lambda bench, _: streams.streams(bench),
    ("secrets",): lambda bench, _: secrets.secrets(bench),
    ("memory", "idle", "growth", "restart"): crowd.crowd,
}
"""In the order in which they run; those of one line share the pods that they make."""


async def measure(bench: Bench, addresses: list[Address], families: Sequence[str]) -> bool:
    """Takes the chosen figures and keeps them after each group; whether all could be taken."""
    complete = True
    async with opened(addresses) as targets:
        bench.targets = targets
        for names, run in _MEASURES.items():
            chosen = [name for name in names if name in families]
            if not chosen:
                continue
            bench.tell(f"{', '.join(FAMILIES[name] for name in chosen)}:")
            began = time.monotonic()
            try:
                async with asyncio.timeout(_LIMIT):
                    await run(bench, chosen)
            except _FAILURES as error:
                complete = False
                bench.tell(f"  FAILED: {type(error).__name__} {error}")
                for target in targets:
                    await target.clear()
            bench.tell(f"  ({time.monotonic() - began:.0f} s)")
            bench.keep()
    return complete


def main() -> int:
    """Runs the command; returns the exit code."""
    options = _options()
    sizes = QUICK if options.quick else FULL
    file = options.output or Path("build/bench") / time.strftime("%Y-%m-%dT%H%M%S.json", time.gmtime())
    installs_ = options.install or ([] if options.targets else [arrange.Installation(name="sublet")])
    families = [name for name in FAMILIES if name in options.only]
    with arrange.lab(sizes):
        bench = Bench(targets=(), sizes=sizes, about=arrange.about(sizes, sys.argv[1:]), file=file)
        with arrange.installed(installs_) as addresses:
            complete = asyncio.run(measure(bench, [*addresses, *options.targets], families))
    print(file)
    return 0 if complete else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="virtual clusters against the bare host")
    parser.add_argument("targets", nargs="*", type=Address.parse, metavar="NAME=KUBECONFIG:HOSTNAMESPACE")
    parser.add_argument(
        "--install", action="append", type=arrange.Installation.parse, metavar="NAME[=VALUES]", help="from our chart"
    )
    parser.add_argument("--only", type=_families, default=list(FAMILIES), metavar="A,B", help=", ".join(FAMILIES))
    parser.add_argument("--quick", action="store_true", help="little of everything, to see that it works")
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: build/bench/DATE.json")
    return parser.parse_args()


def _families(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - FAMILIES.keys():
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(FAMILIES)}")
    return names


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
    signal.signal(signal.SIGTERM, lambda _number, _frame: signal.raise_signal(signal.SIGINT))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
