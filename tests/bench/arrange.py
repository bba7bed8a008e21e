"""The lab with enough fake nodes, and virtual clusters made by our chart, for as long as a run lasts."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from lab import cluster, commands, layout, netns
from tests.bench.sizes import Sizes
from tests.bench.targets import Address
from tests.e2e.tenancy import CommandFailed, host_kubectl, install, remove, tenant_kubeconfig

_PODS_PER_NODE = 110
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A virtual cluster to be made by our chart; without a values file with default values."""

    name: str
    values: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Installation:
        """From NAME or NAME=VALUESFILE."""
        name, _, file = text.partition("=")
        return cls(name=name, values=Path(file) if file else None)


@contextlib.contextmanager
def lab(sizes: Sizes) -> Iterator[None]:
    """The host cluster, entered."""
    wanted = -(-sizes.most // _PODS_PER_NODE)
    with commands.borrowed(nodes=2, fake_nodes=wanted), netns.entered(layout.nodes(1)[0].namespace):
        yield


@contextlib.contextmanager
def installed(wanted: Sequence[Installation]) -> Iterator[list[Address]]:
    """Such virtual clusters, each in a host namespace of its own. They are removed afterwards."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        found = []
        for item in wanted:
            namespace = f"figures-{uuid.uuid4().hex[:6]}"
            arguments = [f"--values={item.values}"] if item.values else []
            stack.callback(removed, item.name, namespace)
            release = install(item.name, namespace, folder, *arguments)
            kubeconfig = tenant_kubeconfig(release.host, item.name, namespace, folder)
            found.append(Address(name=item.name, kubeconfig=kubeconfig, host_namespace=namespace))
        yield found


def about(sizes: Sizes, arguments: Sequence[str]) -> dict[str, object]:
    """What is to be known about a run: when, on what, of which versions, how much."""
    versions = json.loads(cluster.kubectl("version", "-o", "json"))
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    return {
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "command": " ".join(["python -m tests.bench", *arguments]),
        "commit": _git("rev-parse", "--short", "HEAD"),
        "changed files": len(_git("status", "--porcelain", "--", "syncer", "chart", "lab", "Dockerfile").splitlines()),
        "kubernetes": versions["serverVersion"]["gitVersion"],
        "python": platform.python_version(),
        "aiohttp": metadata.version("aiohttp"),
        "cores": os.cpu_count(),
        "memory GiB": round(int(memory.split()[1]) / 2**20, 1),
        "kernel": platform.release(),
        "load at start": round(os.getloadavg()[0], 2),
        "sizes": asdict(sizes),
    }


def removed(name: str, namespace: str) -> None:
    """Removes a release and its host namespace, as far as they came to be."""
    with contextlib.suppress(CommandFailed, subprocess.TimeoutExpired):
        remove(host_kubectl(), name, namespace)


def _git(*words: str) -> str:
    command = ["git", "-C", str(_ROOT), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
