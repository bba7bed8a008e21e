"""Shows proofs one by one, and all of them in a table."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from demo.proofs import Proof, Scene
from lab.errors import LabError
from lab.progress import say


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the table."""

    claim: str
    passed: bool
    seconds: float
    seen: str


def show(proofs: Sequence[Proof], scene: Scene) -> list[Line]:
    """Tries all proofs, telling each result as it comes; a failed one does not stop the others."""
    return [_tell(_show(proof, scene)) for proof in proofs]


def _show(proof: Proof, scene: Scene) -> Line:
    began = time.monotonic()
    try:
        seen, passed = proof.show(scene), True
    except (LabError, OSError, subprocess.TimeoutExpired) as error:
        seen, passed = str(error), False
    return Line(claim=proof.claim, passed=passed, seconds=time.monotonic() - began, seen=seen)


def _tell(line: Line) -> Line:
    say(f"{_word(line)}  {line.claim} ({line.seconds:.1f} s): {line.seen}")
    return line


def table(lines: Sequence[Line]) -> str:
    """All lines, for reading at the end."""
    width = max(len(line.claim) for line in lines)
    rows = [
        f"{_word(line)}  {line.claim:{width}}  {line.seconds:6.1f} s  {line.seen.splitlines()[0]}" for line in lines
    ]
    passed = sum(line.passed for line in lines)
    return "\n".join([*rows, f"{passed} of {len(lines)} proved"])


def _word(line: Line) -> str:
    return "PASS" if line.passed else "FAIL"
