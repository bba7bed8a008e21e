"""kubectl against one cluster, as a user runs it: everything the demo shows goes through it."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import LabError

Object = dict[str, Any]
PATIENCE = 120.0
"""Seconds that a wait may last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubectl:
    """kubectl for the cluster of `kubeconfig`."""

    program: str
    kubeconfig: Path

    def command(self, *arguments: str) -> list[str]:
        """The whole command line."""
        return [self.program, f"--kubeconfig={self.kubeconfig}", *arguments]

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """Runs it and returns its standard output. Raises LabError."""
        result = self.run(*arguments, stdin=stdin)
        if result.returncode != 0:
            said = result.stderr.strip() or result.stdout.strip()
            raise LabError(f"kubectl {' '.join(arguments)}: {said}", "see what the cluster says about it")
        return result.stdout

    def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Runs it, however it ends."""
        return subprocess.run(
            self.command(*arguments),
            input=stdin or "",
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE + 60,
        )

    def get(self, *arguments: str) -> Object:
        """`kubectl get` of one object or a list, parsed."""
        found: Object = json.loads(self("get", *arguments, "--output=json"))
        return found

    def items(self, *arguments: str) -> list[Object]:
        """The items of a `kubectl get` of a list."""
        found: list[Object] = self.get(*arguments)["items"]
        return found

    def exists(self, *arguments: str) -> bool:
        """Whether `kubectl get` of one object finds it."""
        return bool(self("get", *arguments, "--ignore-not-found", "--output=name").strip())

    @contextmanager
    def started(self, *arguments: str) -> Iterator[Conversation]:
        """Runs it with both ends at hand; ends it on leaving."""
        process = subprocess.Popen(
            self.command(*arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            yield Conversation(process)
        finally:
            process.kill()
            process.communicate()

    def on_terminal(self, *arguments: str, rows: int, columns: int) -> str:
        """Runs it on a terminal of this size and returns what appeared there."""
        here, there = pty.openpty()
        fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        process = subprocess.Popen(
            self.command(*arguments), stdin=there, stdout=there, stderr=there, start_new_session=True
        )
        os.close(there)
        shown = bytearray()
        deadline = time.monotonic() + PATIENCE
        try:
            while time.monotonic() < deadline:
                if select.select([here], [], [], 0.1)[0]:
                    try:
                        shown += os.read(here, 65536)
                    except OSError:  # the other end is closed
                        break
                elif process.poll() is not None:
                    break
        finally:
            process.kill()
            process.wait()
            os.close(here)
        return shown.decode(errors="replace")


class Conversation:
    """A running command: say something to it, wait for what it says."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._in, self._out = process.stdin, process.stdout
        self.heard = ""

    def say(self, text: str) -> None:
        """Writes to its standard input."""
        self._in.write(text.encode())
        self._in.flush()

    def hear(self, text: str) -> str:
        """Reads until `text` was heard; returns all that was heard. Raises LabError."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.heard:
            readable = select.select([self._out], [], [], max(0.0, deadline - time.monotonic()))[0]
            data = os.read(self._out.fileno(), 65536) if readable else b""
            if not data:
                raise LabError(
                    f"expected to read {text!r}, but read {self.heard!r}", "see what the cluster says about it"
                )
            self.heard += data.decode(errors="replace")
        return self.heard


def eventually(probe: Callable[[], Any], *, what: str, patience: float = PATIENCE) -> Any:
    """The first truthy answer of `probe`, asked a few times a second; a refused command counts as no. Raises LabError."""
    deadline = time.monotonic() + patience
    while True:
        try:
            last = probe()
            if last:
                return last
        except LabError as error:
            last = error
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not within {patience:.0f} s; last: {last}", "see what the cluster says about it")
        time.sleep(0.2)


def labels(obj: Object) -> Mapping[str, str]:
    """An object's labels."""
    found: Mapping[str, str] = obj["metadata"].get("labels") or {}
    return found
