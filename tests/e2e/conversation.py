"""Talking to a running command, through pipes or on a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Sequence

PATIENCE = 30.0
"""Seconds to wait for an answer."""


class Conversation:
    """A command's input and output; both may be the same terminal."""

    def __init__(self, process: subprocess.Popen[bytes], speak: int, listen: int) -> None:
        self.process = process
        self.heard = ""
        """All that it has said so far; carriage returns are dropped."""
        self._speak, self._listen = speak, listen
        self._understood = 0

    def say(self, text: str) -> None:
        """Writes to its standard input."""
        os.write(self._speak, text.encode())

    def hear(self, text: str) -> str:
        """Listens until `text` is said, after what was listened for before; returns all that was said. Fails when it is not."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.heard[self._understood :]:
            assert self._more(deadline), f"heard {self.heard!r} and not {text!r}"
        self._understood = self.heard.index(text, self._understood) + len(text)
        return self.heard

    def end(self) -> int:
        """Listens until the command ends by itself; returns its exit code."""
        deadline = time.monotonic() + PATIENCE
        while self._more(deadline):
            pass
        return self.process.wait(timeout=PATIENCE)

    def resize(self, *, rows: int, columns: int) -> None:
        """Changes the size of the terminal."""
        fcntl.ioctl(self._listen, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _more(self, deadline: float) -> bool:
        if not select.select([self._listen], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return False
        try:
            data = os.read(self._listen, 65536)
        except OSError:  # a terminal that nobody uses any more
            return False
        self.heard += data.decode(errors="replace").replace("\r", "")
        return bool(data)


@contextlib.contextmanager
def piped(command: Sequence[str]) -> Iterator[Conversation]:
    """Runs a command with pipes: its errors are heard too."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield Conversation(process, process.stdin.fileno(), process.stdout.fileno())
        finally:
            process.kill()


@contextlib.contextmanager
def on_terminal(command: Sequence[str], *, rows: int = 24, columns: int = 80) -> Iterator[Conversation]:
    """Runs a command on a terminal of its own."""
    here, there = pty.openpty()
    fcntl.ioctl(here, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    # `setsid --ctty` makes it the terminal that the command is controlled by, so that it is told of a new size.
    process = subprocess.Popen(["setsid", "--ctty", "--wait", *command], stdin=there, stdout=there, stderr=there)
    os.close(there)
    try:
        yield Conversation(process, here, here)
    finally:
        process.kill()
        process.wait()
        os.close(here)
