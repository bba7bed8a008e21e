"""Tells on stderr what the lab is doing and how long each step took."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lab.errors import LabError

_began = time.monotonic()


def say(text: str) -> None:
    """One line, stamped with the seconds since the command began."""
    print(f"[{time.monotonic() - _began:6.1f}s] {text}", file=sys.stderr, flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Announces a step, and its duration when it took a second or more."""
    say(f"{text} ...")
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    if took >= 1:
        say(f"{text}: done in {took:.1f} s")


def wait_until(
    condition: Callable[[], bool],
    *,
    what: str,
    seconds: float,
    remedy: str,
    check: Callable[[], None] = lambda: None,
    every: float = 0.1,
) -> None:
    """Polls a condition. `check` may raise to end the wait early, say because a process died."""
    deadline = time.monotonic() + seconds
    while not condition():
        check()
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not within {seconds:.0f} s", remedy)
        time.sleep(every)
