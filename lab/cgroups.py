"""The lab's own branch of the cgroup tree: every process it starts, and all their children, live below it.

That makes `down` exact: whatever is in the branch was started by the lab, containers and their shims included, and nothing else
is. Works with version 2 and with the older (or hybrid) tree of one hierarchy per controller.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from lab.errors import LabError

_ROOT = Path("/sys/fs/cgroup")
_V1_TRACKER = "pids"  # the hierarchy whose membership says which processes belong to the lab
_NEEDED = {"cpu", "cpuset", "memory", "pids"}  # by the kubelet
_REMEDY = "run the lab as root on the machine itself, or in a container with a writable cgroup tree"


def unified() -> bool:
    """Whether this machine has cgroup version 2 alone."""
    return (_ROOT / "cgroup.controllers").exists()


def hierarchies() -> list[Path]:
    """The mount points of every hierarchy that containers are placed in."""
    if unified():
        return [_ROOT]
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    found = [Path(fields[1]) for fields in mounts if fields[2] in ("cgroup", "cgroup2")]
    if not any(path.name == _V1_TRACKER for path in found):
        raise LabError("no usable cgroup tree is mounted on /sys/fs/cgroup", _REMEDY)
    return found


def create(path: str) -> None:
    """Makes a branch, such as sublet-lab/node-1, in every hierarchy; parents too."""
    for hierarchy in hierarchies():
        current = hierarchy
        for part in path.split("/"):
            if unified():
                _pass_controllers_down(current)
            parent, current = current, current / part
            try:
                current.mkdir(exist_ok=True)
            except OSError as error:
                raise LabError(f"cannot make the cgroup {current}: {error.strerror}", _REMEDY) from error
            _inherit_cpuset(parent, current)


def entrance(path: str) -> Path:
    """The file of a branch that takes the id of a process to move into it."""
    return _tracker() / path / "cgroup.procs"


def members(path: str) -> list[int]:
    """Ids of all processes in a branch and below it."""
    found: list[int] = []
    for procs in (_tracker() / path).glob("**/cgroup.procs"):
        try:
            found += [int(pid) for pid in procs.read_text().split()]
        except OSError:  # the group went away, or its threads are managed apart
            continue
    return [pid for pid in found if pid > 0]


def destroy(path: str, *, seconds: float = 20) -> None:
    """Kills every process in a branch, by id, and removes the branch from every hierarchy."""
    deadline = time.monotonic() + seconds
    while pids := members(path):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if time.monotonic() > deadline:
            raise LabError(f"processes in cgroup {path} do not die: {pids}", "look at them with ps; a reboot helps")
        time.sleep(0.02)
    for hierarchy in hierarchies():
        branch = hierarchy / path
        if branch.exists():
            _remove(branch, deadline)


def _tracker() -> Path:
    return _ROOT if unified() else _ROOT / _V1_TRACKER


def _remove(branch: Path, deadline: float) -> None:
    for folder in [*sorted((path for path in branch.glob("**/") if path != branch), reverse=True), branch]:
        while folder.exists():
            try:
                folder.rmdir()
            except OSError as error:  # the kernel needs a moment after the last process
                if time.monotonic() > deadline:
                    problem = f"cannot remove the cgroup {folder}: {error.strerror}"
                    raise LabError(problem, "run the command again") from error
                time.sleep(0.02)


def _pass_controllers_down(group: Path) -> None:
    control = group / "cgroup.subtree_control"
    for name in (group / "cgroup.controllers").read_text().split():
        with suppress(OSError):  # some machines keep one to themselves
            control.write_text(f"+{name}")
    if missing := _NEEDED - set(control.read_text().split()):
        raise LabError(f"the cgroup {group} does not pass on: {', '.join(sorted(missing))}", _REMEDY)


def _inherit_cpuset(parent: Path, child: Path) -> None:
    """Version 1 starts a cpuset empty, and no process can join an empty one."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        file = child / name
        if not unified() and file.exists() and not file.read_text().strip():
            file.write_text((parent / name).read_text())
