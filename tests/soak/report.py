"""What a soak found, as a table for people and as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.soak.memory import Life, Sample


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """One rest: when it began (seconds), how long convergence took, what was wrong after that."""

    time: float
    seconds: float
    wrong: list[str]
    pods: int


@dataclass(kw_only=True)
class Findings:
    """All of a soak. `done` and `struck` count by what was done or hit, `strikes` are the latter one by one."""

    seed: int
    minutes: float
    rate: float
    population: int
    checkpoints: list[Checkpoint] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)
    done: Mapping[str, int] = field(default_factory=dict)
    struck: Mapping[str, int] = field(default_factory=dict)
    strikes: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """What was found in the end beside what checkpoints found."""

    @property
    def violations(self) -> list[str]:
        """Everything that was wrong at any time."""
        return [sentence for checkpoint in self.checkpoints for sentence in checkpoint.wrong] + self.wrong

    def write(self, path: Path) -> None:
        """Stores all as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**dataclasses.asdict(self), "violations": self.violations}, indent=1) + "\n")

    def text(self) -> str:
        """The tables."""
        rows = [["minute", "pods", "converged after", "wrong"]]
        rows += [
            [f"{item.time / 60:.1f}", str(item.pods), f"{item.seconds:.1f} s", str(len(item.wrong))]
            for item in self.checkpoints
        ]
        memory = [["process", "lived", "highest", "last", "growth per minute"]]
        memory += [
            [
                life.container,
                f"{life.seconds / 60:.1f} min",
                f"{life.highest:.1f} MiB",
                f"{life.last:.1f} MiB",
                "-" if life.slope is None else f"{life.slope:+.2f} MiB",
            ]
            for life in self.lives
        ]
        counts = [["", "times"], *([name, str(count)] for name, count in sorted(self.done.items()))]
        counts += [[f"struck: {name}", str(count)] for name, count in sorted(self.struck.items())]
        verdict = [f"WRONG: {sentence}" for sentence in self.violations] or ["nothing lost, nothing left, nothing grew"]
        return "\n\n".join([*map(_table, (rows, memory, counts)), "\n".join(verdict)])


def _table(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])
