"""The real processes behind a release's control plane, found on the machine that the lab's nodes share."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.e2e.tenancy import Release

CONTAINERS = ("syncer", "apiserver", "controller-manager", "store")


def processes_of(release: Release, container: str) -> list[int]:
    """Ids of the processes in a container of the control plane; empty while it does not run."""
    identity = _container_id(release, container)
    return [pid for pid in _all() if identity and identity in _read(f"/proc/{pid}/cgroup")]


def kill(release: Release, container: str) -> None:
    """Kills a container's processes as the kernel would when memory runs out."""
    pids = processes_of(release, container)
    assert pids, f"{container} does not run"
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def resident_bytes(release: Release, container: str) -> int:
    """Memory that a container's processes hold (VmRSS)."""
    return sum(_resident(pid) for pid in processes_of(release, container))


def _container_id(release: Release, container: str) -> str:
    status = release.host.get("pod", release.pod, "--namespace", release.namespace)["status"]
    for found in [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]:
        if found["name"] == container and "running" in found["state"]:
            return str(found["containerID"]).rpartition("/")[2]
    return ""


def _all() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _resident(pid: int) -> int:
    line = next(
        (line for line in _read(f"/proc/{pid}/status").splitlines() if line.startswith("VmRSS:")), "VmRSS: 0 kB"
    )
    return int(line.split()[1]) * 1024


def _read(file: str) -> str:
    try:
        return Path(file).read_text()
    except OSError:  # it has ended meanwhile
        return ""
