"""Runs make targets one after another, stops at the first that fails, and says how long each took.

    python3 -m tools.stages lint test-unit test-e2e

A lab that the run brought up is taken down in the end, whatever happened; one that was up before stays.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

_LAB = (sys.executable, "-m", "lab")


def main(targets: Sequence[str]) -> int:
    """Runs the targets; returns the exit code of the first that failed, else 0."""
    signal.signal(signal.SIGTERM, _interrupt)
    lab_was_up = _lab_is_up()
    took: list[tuple[str, float, str]] = []
    code = 0
    try:
        for target in targets:
            print(f"\n=== {target}", flush=True)
            began = time.monotonic()
            code = _make(target)
            took.append((target, time.monotonic() - began, f"FAILED with exit code {code}" if code else "passed"))
            if code:
                break
    except KeyboardInterrupt:
        code = 130
    finally:
        if not lab_was_up and _lab_is_up():
            print("\n=== taking the lab down", flush=True)
            code = subprocess.run([*_LAB, "down"], check=False).returncode or code
    print()
    for target, seconds, result in took:
        print(f"{target:20} {seconds:8.1f} s  {result}")
    print(
        f"{'all':20} {sum(seconds for _, seconds, _ in took):8.1f} s  {'passed' if code == 0 else 'FAILED'}", flush=True
    )
    return code


def _make(target: str) -> int:
    return subprocess.run([os.environ.get("MAKE", "make"), "--no-print-directory", target], check=False).returncode


def _lab_is_up() -> bool:
    """Whether any part of the lab runs, in whatever state."""
    status = subprocess.run([*_LAB, "status"], capture_output=True, text=True, check=False)
    return status.returncode == 0 or "running" in status.stdout


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
