"""Runs other programs: one way to call them, one way to fail."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import LabError


def run(
    *command: str | Path,
    remedy: str = "see the message above; `python3 -m lab status` and `python3 -m lab logs` tell more",
    stdin: str | None = None,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Runs a command to its end and returns its stdout. Raises LabError with its stderr when it fails."""
    result = subprocess.run(
        [str(word) for word in command],
        input=stdin,
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise LabError(f"{_shown(command)} failed ({result.returncode}):\n{_tail(result)}", remedy)
    return result.stdout


def succeeds(*command: str | Path) -> bool:
    """Whether a command ends with 0; its output is dropped."""
    result = subprocess.run([str(word) for word in command], capture_output=True, check=False)
    return result.returncode == 0


def _shown(command: Sequence[str | Path]) -> str:
    words = shlex.join(str(word) for word in command)
    return words if len(words) < 300 else words[:300] + " ..."


def _tail(result: subprocess.CompletedProcess[str]) -> str:
    return (result.stderr.strip() or result.stdout.strip())[-3000:]
