"""Memory and processor time of a target's control plane, by container, as the machine under the lab's nodes sees them."""

from __future__ import annotations

import os
from pathlib import Path

from tests.bench.targets import Target
from tests.e2e import processes

MIB = 2**20
ALL = "all"
"""The name of the sum over all containers."""
_TICK = os.sysconf("SC_CLK_TCK")


async def memory(target: Target) -> dict[str, float]:
    """Resident MiB (VmRSS) by container, and of `ALL`."""
    return _summed({name: sum(map(processes.resident, pids)) / MIB for name, pids in (await _census(target)).items()})


async def cpu(target: Target) -> dict[str, float]:
    """Seconds of processor time since they began, by container, and of `ALL`."""
    return _summed({name: sum(map(_seconds, pids)) for name, pids in (await _census(target)).items()})


async def _census(target: Target) -> dict[str, list[int]]:
    """Processes by container; where a container runs several programs, by container and program."""
    found: dict[str, list[int]] = {}
    for pod in await target.control_plane():
        for container, pids in processes.census(pod).items():
            for pid in pids:
                name = container if len(pids) == 1 else f"{container}/{_program(pid)}"
                found.setdefault(name, []).append(pid)
    return found


def _summed(parts: dict[str, float]) -> dict[str, float]:
    return {**parts, ALL: sum(parts.values())} if parts else {}


def spent(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """What was spent between two readings."""
    return {name: after[name] - before.get(name, 0.0) for name in after}


def _seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended meanwhile
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICK


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "ended"
