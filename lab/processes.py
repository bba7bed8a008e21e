"""Daemons that outlive the command that started them.

A record in RUN remembers each one's process id together with its start time and the boot it belongs to, so a stale record (after a
crash, a reboot, or a reused id) is never taken for a living process, and no foreign process is ever signalled.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from lab import cgroups, layout, packages
from lab.errors import LabError

# Enters a cgroup, then becomes the program: from its first moment a daemon is where `down` will look for it.
_JOIN = ("sh", "-c", 'echo $$ > "$0" && exec "$@"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """A program to keep running. `name` is its file name in logs and records, such as node-1-kubelet.

    `reads` are its configuration files: a change of one, as of the command, is a reason to start the program again.
    """

    name: str
    command: tuple[str, ...]
    cgroup: str
    reads: tuple[Path, ...] = ()

    @property
    def identity(self) -> str:
        """A digest of all that makes the running program what it is."""
        digest = hashlib.sha256(repr(self.command).encode())
        for file in self.reads:
            digest.update(file.read_bytes())
        return digest.hexdigest()

    @property
    def log(self) -> Path:
        """Its stdout and stderr."""
        return layout.logs() / f"{self.name}.log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A started daemon. `started` is the kernel's start time in clock ticks since boot, `identity` that of the Daemon."""

    name: str
    pid: int
    started: int
    boot: str
    identity: str

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        return self.boot == _boot() and _start_time(self.pid) == self.started


def start(daemon: Daemon) -> bool:
    """Starts a daemon unless it runs already as it should. Returns whether it was started now."""
    record = find(daemon.name)
    if record and record.alive and record.identity == daemon.identity:
        return False
    stop(daemon.name)
    daemon.log.parent.mkdir(parents=True, exist_ok=True)
    with daemon.log.open("ab") as output:
        process = subprocess.Popen(
            (*_JOIN, str(cgroups.entrance(daemon.cgroup)), *daemon.command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={"PATH": packages.search_path(), "HOME": "/"},  # nothing of the user's, proxies least of all
            start_new_session=True,
        )
    started = _start_time(process.pid)
    if started is None:
        raise LabError(f"{daemon.name} died at once", f"see {daemon.log}")
    record = Record(name=daemon.name, pid=process.pid, started=started, boot=_boot(), identity=daemon.identity)
    _file(daemon.name).parent.mkdir(parents=True, exist_ok=True)
    _file(daemon.name).write_text(json.dumps(asdict(record)))
    process.returncode = 0  # it is not ours to wait for any more
    return True


def stop(name: str, *, grace: float = 5) -> None:
    """Ends a daemon: SIGTERM, and SIGKILL after `grace` seconds. Its children are left to their cgroup."""
    record = find(name)
    if record and record.alive:
        os.kill(record.pid, signal.SIGTERM)
        deadline = time.monotonic() + grace
        while record.alive:
            if time.monotonic() > deadline:
                os.kill(record.pid, signal.SIGKILL)
            time.sleep(0.02)
    _file(name).unlink(missing_ok=True)


def find(name: str) -> Record | None:
    """The record of a daemon, alive or not."""
    try:
        return Record(**json.loads(_file(name).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def alive(name: str) -> bool:
    """Whether a daemon of this name runs."""
    record = find(name)
    return record is not None and record.alive


def known() -> list[Record]:
    """Records of all daemons, by name."""
    files = sorted(_folder().glob("*.json"))
    return [record for file in files if (record := find(file.stem))]


def require_alive(*names: str) -> None:
    """Raises, with the end of its log, when one of the named daemons has died."""
    for name in names:
        if not alive(name):
            log = layout.logs() / f"{name}.log"
            tail = log.read_text(errors="replace")[-1500:] if log.exists() else ""
            raise LabError(f"{name} died. The end of its log:\n{tail}", f"the whole log is {log}")


def resident_bytes(pid: int) -> int:
    """Resident memory of a process, 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _folder() -> Path:
    return layout.RUN / "processes"


def _file(name: str) -> Path:
    return _folder() / f"{name}.json"


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _start_time(pid: int) -> int | None:
    """None when there is no such process, or only its corpse."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])
