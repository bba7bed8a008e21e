"""The real processes behind a release's control plane, found on the machine that the lab's nodes share."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from tests.e2e.tenancy import Release

CONTAINERS = ("syncer", "apiserver", "controller-manager", "store")


def processes_of(release: Release, container: str) -> list[int]:
    """Ids of the processes in a container of the control plane; empty while it does not run."""
    return census(pod_of(release)).get(container, [])


def kill(release: Release, container: str) -> None:
    """Kills a container's processes as the kernel would when memory runs out."""
    pids = processes_of(release, container)
    assert pids, f"{container} does not run"
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def resident_bytes(release: Release, container: str) -> int:
    """Memory that a container's processes hold (VmRSS)."""
    return sum(resident(pid) for pid in processes_of(release, container))


def pod_of(release: Release) -> dict[str, Any]:
    """The control plane's pod as the host has it."""
    return release.host.get("pod", release.pod, "--namespace", release.namespace)


def census(pod: dict[str, Any]) -> dict[str, list[int]]:
    """Ids of the processes of each running container of a pod."""
    cgroups = {pid: _read(f"/proc/{pid}/cgroup") for pid in _all()}
    return {
        found["name"]: [pid for pid, cgroup in cgroups.items() if identity in cgroup]
        for found in statuses(pod)
        if "running" in found["state"] and (identity := str(found["containerID"]).rpartition("/")[2])
    }


def statuses(pod: dict[str, Any]) -> list[dict[str, Any]]:
    """Statuses of all containers of a pod, sidecars too."""
    status = pod["status"]
    return [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]


def resident(pid: int) -> int:
    """Memory that a process holds (VmRSS), in bytes; 0 when it has ended."""
    line = next(
        (line for line in _read(f"/proc/{pid}/status").splitlines() if line.startswith("VmRSS:")), "VmRSS: 0 kB"
    )
    return int(line.split()[1]) * 1024


def _all() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _read(file: str) -> str:
    try:
        return Path(file).read_text()
    except OSError:  # it has ended meanwhile
        return ""
